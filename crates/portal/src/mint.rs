//! Minting an application's token for a login session.

use crate::Portal;
use crate::ask::Ask;
use narthex_model::{Session, UnixSeconds};
use narthex_snapshot::{App, Snapshot};
use narthex_store::StoreError;
use narthex_token::{Binding, PersonToken};
use serde::{Deserialize, Serialize};

/// What a token is minted for.
pub(crate) struct Order<'a> {
    pub(crate) app: &'a App,
    pub(crate) session: &'a Session,
    /// Seconds from now.
    pub(crate) life: i64,
    /// The token that it is derived from, if any.
    pub(crate) parent: Option<Parent>,
}

/// Dates of a token from which another one is derived. The other lives no longer, and is not minted when this one has
/// been revoked: else a revocation would be outlived by a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    pub(crate) iat: UnixSeconds,
    pub(crate) exp: UnixSeconds,
}

/// A token and what must come with it.
pub(crate) struct Minted {
    pub(crate) jwt: String,
    pub(crate) exp: UnixSeconds,
    /// The value of the binding cookie, where the application wants one.
    pub(crate) binding: Option<Binding>,
}

impl Portal {
    /// Mints the token; `None` when it would be revoked or expired at once.
    pub(crate) async fn mint(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        order: Order<'_>,
    ) -> Result<Option<Minted>, StoreError> {
        let Order { app, session, life, parent } = order;
        let binding = app.spec.cookie.enable_binding_cookie.then(Binding::random);
        let identity = &session.identity;
        let iat = self.live.revocations.issue_time(app.aud(), ask.now);
        let exp = parent.map_or(iat.plus(life), |parent| iat.plus(life).min(parent.exp));
        let token = PersonToken {
            aud: app.aud().clone(),
            email: identity.email.clone(),
            sub: identity.user_uuid,
            identity_nonce: session.nonce.clone(),
            country: identity.geo.country,
            custom: identity.custom().clone(),
            iat,
            exp,
            binding: binding.as_ref().map(Binding::hash),
        };
        let since = parent.map_or(iat, |parent| parent.iat);
        let as_old = PersonToken { iat: since, custom: serde_json::Map::new(), ..token.clone() };
        if exp <= ask.now || self.live.revocations.refuses_person(&as_old) {
            return Ok(None);
        }
        self.note_token(session, app.id(), exp).await?;
        let minted = snapshot.keys.mint_person(&token);
        if !minted.dropped.is_empty() {
            let (aud, dropped) = (&token.aud, minted.dropped.len());
            tracing::warn!(app.aud = %aud, dropped, "{dropped} claims did not fit into a token; get-identity has them");
        }
        Ok(Some(Minted { jwt: minted.jwt, exp, binding }))
    }
}
