//! The login sessions behind tokens: found, begun and ended.

use crate::Portal;
use crate::ask::Ask;
use crate::trouble::Trouble;
use narthex_model::{AppId, IdentityNonce, Organization, Session, UnixSeconds};
use narthex_snapshot::{App, LONGEST_TOKEN_SECONDS, Snapshot};
use narthex_store::{Revocation, StoreError};
use narthex_token::{OrgToken, cookie, set_cookie};
use std::sync::Arc;

impl Portal {
    /// The global session of the browser that asks, if it is in force (access-protocol §3.5).
    pub(crate) async fn global_session(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Option<Arc<Session>>, StoreError> {
        for jwt in ask.cookies(cookie::AUTHORIZATION) {
            let Ok(token) = snapshot.keys.open_org(jwt, &snapshot.organization.aud, ask.now) else {
                continue;
            };
            let session = self.session(&token.identity_nonce).await?;
            if let Some(session) = session.filter(|session| ask.now < session.expires_at) {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    /// Whether the browser that asks holds the global session of this nonce.
    pub(crate) async fn holds_session(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        nonce: &IdentityNonce,
    ) -> Result<bool, StoreError> {
        let held = ask.cookies(cookie::AUTHORIZATION).any(|jwt| {
            let token = snapshot.keys.open_org(jwt, &snapshot.organization.aud, ask.now);
            token.is_ok_and(|token| token.identity_nonce == *nonce)
        });
        if !held {
            return Ok(false);
        }
        let session = self.session(nonce).await?;
        Ok(session.is_some_and(|session| ask.now < session.expires_at))
    }

    /// The session of this nonce, unless it was ended; asks the store where another node made it.
    pub(crate) async fn session(
        &self,
        nonce: &IdentityNonce,
    ) -> Result<Option<Arc<Session>>, StoreError> {
        let session = match self.live.sessions.get(nonce) {
            Some(session) => Some(session),
            None => self.store.session(nonce).await?.map(Arc::new),
        };
        Ok(session.filter(|session| !self.live.revocations.refuses_session(session)))
    }

    /// Keeps a session: durable first, then in force.
    pub(crate) async fn keep_session(&self, session: Session) -> Result<(), StoreError> {
        self.store.put_session(&session).await?;
        self.live.sessions.insert(session);
        Ok(())
    }

    /// Notes that an application's token which lives `until` is issued under the session: durable, so that the session
    /// is known as long as its last token and an administrator sees where it leads.
    pub(crate) async fn note_token(
        &self,
        session: &Session,
        app: AppId,
        until: UnixSeconds,
    ) -> Result<(), StoreError> {
        let sessions = &self.live.sessions;
        if sessions.get(&session.nonce).is_none() {
            sessions.insert(session.clone()); // another node began it
        }
        match sessions.note_token(&session.nonce, app, until) {
            Some(noted) => self.store.put_session(&noted).await,
            None => Ok(()),
        }
    }

    /// Begins a session and returns the cookie that carries it; the one that this browser had before ends
    /// (security C9).
    ///
    /// # Errors
    /// `JustRevoked` when the person's sessions were revoked in this very moment.
    pub(crate) async fn begin_session(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        session: &Session,
        restart: String,
    ) -> Result<String, Trouble> {
        if self.live.revocations.refuses_session(session) {
            return Err(Trouble::JustRevoked { restart });
        }
        let before = self.global_session(ask, snapshot).await?;
        self.keep_session(session.clone()).await?;
        if let Some(before) = before {
            self.end_session(&before.nonce, ask.now).await;
        }
        let token = OrgToken {
            aud: snapshot.organization.aud.clone(),
            email: session.identity.email.clone(),
            sub: session.identity.user_uuid,
            account_id: session.identity.account_id.clone(),
            identity_nonce: session.nonce.clone(),
            iat: ask.now,
            exp: session.expires_at,
        };
        let jwt = snapshot.keys.mint(&token);
        Ok(set_cookie::org_authorization(&jwt, session.expires_at))
    }

    /// Ends a session: nothing issued under it is accepted from now on, on this node also while the store takes nothing.
    pub(crate) async fn end_session(&self, nonce: &IdentityNonce, now: UnixSeconds) {
        // Longer than any token can live, also one that is being minted while we are here.
        let until = now.plus(LONGEST_TOKEN_SECONDS);
        self.live.revocations.end_session(nonce, until);
        self.live.sessions.remove(nonce);
        let ended = Revocation::of_session(nonce.clone(), until);
        if let Err(error) = self.revocations.write(vec![ended]).await {
            tracing::error!(%error, "the end of a session is not durable yet, and is forgotten if the gateway restarts now");
        }
    }
}

/// Life of a global session in seconds: the organisation's setting, else as long as the application's, else 24 h;
/// at least 15 minutes and at most a month (access-protocol §10.1).
pub(crate) fn global_seconds(organization: &Organization, app: &App) -> i64 {
    let own = organization.session_duration.as_ref();
    own.unwrap_or(&app.spec.session_duration).seconds().clamp(15 * 60, 30 * 86_400)
}
