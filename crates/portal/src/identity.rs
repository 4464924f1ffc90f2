//! `get-identity`: everything that is known about whoever holds a token (access-protocol §5.7, seed 003).

use crate::Portal;
use crate::ask::Ask;
use crate::pages::{Response, json};
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_model::{Identity, IdentityNonce, Session};
use narthex_snapshot::Snapshot;
use narthex_token::{AppToken, MachineToken, TokenError, cookie};
use serde_json::{Value, json};

/// Which kinds of token are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The team domain: tokens of applications and of the global session.
    Team,
    /// An application's host: tokens of applications, with their binding cookie where they need one.
    App,
}

impl Portal {
    /// `GET /cdn-cgi/access/get-identity`. There are no CORS headers: other sites learn nothing.
    pub(crate) async fn get_identity(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        door: Door,
    ) -> Result<Response, Trouble> {
        let mut refused = None;
        for jwt in ask.cookies(cookie::AUTHORIZATION) {
            match self.identity_behind(ask, snapshot, door, jwt).await? {
                Ok(identity) => return Ok(json(StatusCode::OK, &identity)),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        Ok(match refused {
            None => json(StatusCode::BAD_REQUEST, &json!({"err": "no app token set"})),
            Some(why) => json(StatusCode::UNAUTHORIZED, &json!({"err": why})),
        })
    }

    /// The identity behind one token, or why there is none.
    async fn identity_behind(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        door: Door,
        jwt: &str,
    ) -> Result<Result<Value, &'static str>, Trouble> {
        let revocations = &self.live.revocations;
        let nonce = match snapshot.keys.open_any_app(jwt, ask.now) {
            Ok(AppToken::Machine(token)) => return Ok(self.machine(ask, snapshot, &token)),
            Ok(AppToken::Person(token)) => {
                let mut bindings = ask.bindings().map(Some).chain([None]);
                let bound = door == Door::Team || bindings.any(|cookie| token.is_bound_to(cookie));
                if !bound || revocations.refuses_person(&token) {
                    return Ok(Err("the token was revoked"));
                }
                token.identity_nonce
            }
            Err(TokenError::Type) if door == Door::Team => {
                let aud = &snapshot.organization.aud;
                match snapshot.keys.open_org(jwt, aud, ask.now) {
                    Ok(token) => token.identity_nonce,
                    Err(error) => return Ok(Err(word(&error))),
                }
            }
            Err(error) => return Ok(Err(word(&error))),
        };
        self.person(ask, &nonce).await
    }

    async fn person(
        &self,
        ask: &Ask<'_>,
        nonce: &IdentityNonce,
    ) -> Result<Result<Value, &'static str>, Trouble> {
        let Some(session) = self.session(nonce).await? else {
            return Ok(Err("the session has ended"));
        };
        // Applications ask here while a store is away; they then learn of this one session.
        let all = self.store.sessions_of(session.identity.user_uuid, ask.now).await;
        let all = all.unwrap_or_else(|_| vec![Session::clone(&session)]);
        let live = all.iter().filter(|one| !self.live.revocations.refuses_session(one));
        Ok(Ok(session.identity.to_json(live)))
    }

    fn machine(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        token: &MachineToken,
    ) -> Result<Value, &'static str> {
        let account = &snapshot.premises.account.id;
        if let Some(thumbprint) = token.certificate {
            if self.live.revocations.refuses_machine(token) {
                return Err("the token was revoked");
            }
            let shown = ask.visit.certificate.as_deref();
            let shown = shown.filter(|holder| thumbprint.is_of(holder));
            return Ok(Identity::of_certificate(account, &token.common_name, shown, token.iat));
        }
        let known = snapshot.service_token(&token.common_name);
        let known = known.filter(|known| known.is_live(ask.now));
        match known {
            Some(known) if !self.live.revocations.refuses_machine(token) => {
                Ok(Identity::of_service_token(account, &known.client_id, token.iat))
            }
            Some(_) | None => Err("the token was revoked"),
        }
    }
}

/// What a stranger learns about a refused token.
fn word(error: &TokenError) -> &'static str {
    if matches!(error, TokenError::Expired { .. }) {
        "the token has expired"
    } else {
        "invalid token"
    }
}
