//! Which tokens count as absent although their signature and dates are good (access-protocol §10).

use crate::Sessions;
use narthex_model::{AudTag, ClientId, IdentityNonce, Session, UnixSeconds, UserId};
use narthex_token::{MachineToken, PersonToken};
use tokio::sync::watch;

/// No token lives longer than this many seconds (31 days, access-protocol §10.1); revocations of users,
/// applications and service tokens are forgotten that long after they were made.
pub const LONGEST_TOKEN_SECONDS: i64 = 31 * 86_400;

/// The revocations in force.
#[derive(Debug)]
pub struct Revocations {
    sessions: Sessions,
}

impl Revocations {
    /// No revocations; `sessions` tells when the person behind a token logged in.
    #[must_use]
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }

    /// Rises with every revocation. A cache that holds verdicts of an older generation must ask again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        unimplemented!()
    }

    /// Wakes with every revocation, for streams that stay open.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        unimplemented!()
    }

    /// Ends one login session: a logout. `until` is when the last token issued under it expires
    /// ([`Session::tokens_until`]); after that the entry is forgotten.
    pub fn end_session(&self, nonce: &IdentityNonce, until: UnixSeconds) {
        let _ = (nonce, until);
        unimplemented!()
    }

    /// Revokes every session that `user` has now, and every token from before `at`. Returns the sessions that were
    /// ended, for the caller to keep in the store beside the revocation: they, not `at`, tell a login of the same
    /// second before the revocation from one after it.
    pub fn revoke_user(&self, user: UserId, at: UnixSeconds) -> Vec<std::sync::Arc<Session>> {
        let _ = (user, at);
        unimplemented!()
    }

    /// Revokes the application's tokens issued at or before `at`.
    pub fn revoke_app(&self, aud: &AudTag, at: UnixSeconds) {
        let _ = (aud, at);
        unimplemented!()
    }

    /// Revokes the tokens issued to a service token at or before `at`.
    pub fn revoke_service_token(&self, client_id: &ClientId, at: UnixSeconds) {
        let _ = (client_id, at);
        unimplemented!()
    }

    /// Whether a person's token counts as absent.
    #[must_use]
    pub fn refuses_person(&self, token: &PersonToken) -> bool {
        let _ = token;
        unimplemented!()
    }

    /// Whether a machine's token counts as absent.
    #[must_use]
    pub fn refuses_machine(&self, token: &MachineToken) -> bool {
        let _ = token;
        unimplemented!()
    }

    /// Whether a login session may not be used for new tokens any more.
    #[must_use]
    pub fn refuses_session(&self, session: &Session) -> bool {
        let _ = session;
        unimplemented!()
    }

    /// The `iat` of a token that is issued for this application at `now`: one second later when the application
    /// was revoked within this very second, so that the new token is not taken for an old one.
    #[must_use]
    pub fn issue_time(&self, aud: &AudTag, now: UnixSeconds) -> UnixSeconds {
        let _ = (aud, now);
        unimplemented!()
    }

    /// Forgets revocations of tokens that have expired by themselves.
    pub fn forget_expired(&self, now: UnixSeconds) {
        let _ = now;
        unimplemented!()
    }
}
