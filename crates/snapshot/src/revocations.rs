//! Which tokens count as absent although their signature and dates are good (access-protocol §10).
//!
//! A logout ends one session by its nonce. A user, an application or a service token is revoked as of an instant.
//! Instants are whole seconds, so a second holds tokens from before and after it; three rules keep a login that
//! comes after a revocation usable at once, and let nothing from before it through:
//!
//! - For a user, what counts is when the person logged in, not when a token was issued: a session that this node
//!   knows and that began before the instant is out, and those that exist when the revocation is made are ended one
//!   by one. A session of the same second that was not there yet is a new login.
//! - A token whose session this node does not know is out when it was issued at or before the instant.
//! - For an application and a service token, whatever was issued at or before the instant is out; a token issued
//!   later within that second is dated one second ahead ([`Revocations::issue_time`]).
//!
//! Everything here is in memory. The server feeds it from the store when it starts.

use crate::Sessions;
use narthex_model::{AudTag, ClientId, IdentityNonce, Session, UnixSeconds, UserId};
use narthex_token::{MachineToken, PersonToken};
use papaya::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// No token lives longer than this many seconds (31 days, access-protocol §10.1); revocations of users,
/// applications and service tokens are forgotten that long after they were made.
pub const LONGEST_TOKEN_SECONDS: i64 = 31 * 86_400;

/// The revocations in force.
#[derive(Debug)]
pub struct Revocations {
    sessions: Sessions,
    /// Sessions that were ended, until when to remember it.
    ended: HashMap<IdentityNonce, UnixSeconds>,
    /// Nothing from before this instant counts.
    users: HashMap<UserId, UnixSeconds>,
    apps: HashMap<AudTag, UnixSeconds>,
    service_tokens: HashMap<Box<str>, UnixSeconds>,
    generation: AtomicU64,
    bell: watch::Sender<u64>,
}

impl Revocations {
    /// No revocations; `sessions` tells when the person behind a token logged in.
    #[must_use]
    pub fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            ended: HashMap::new(),
            users: HashMap::new(),
            apps: HashMap::new(),
            service_tokens: HashMap::new(),
            generation: AtomicU64::new(0),
            bell: watch::Sender::new(0),
        }
    }

    /// Rises with every revocation. A cache that holds verdicts of an older generation must ask again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Wakes with every revocation, for streams that stay open.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// After the tables have changed: whoever sees the new generation sees the change.
    fn ring(&self) {
        let next = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.bell.send_modify(|seen| *seen = next.max(*seen));
    }

    /// Ends one login session: a logout. `until` is when the last token issued under it expires
    /// ([`Session::tokens_until`]); after that the entry is forgotten.
    pub fn end_session(&self, nonce: &IdentityNonce, until: UnixSeconds) {
        raise(&self.ended, nonce.clone(), until);
        self.sessions.remove(nonce);
        self.ring();
    }

    /// Revokes every session that `user` has now, and every token from before `at`, which is now. Returns the
    /// sessions that were ended, for the caller to keep in the store beside the revocation: they, not `at`, tell a
    /// login of the same second before the revocation from one after it.
    pub fn revoke_user(&self, user: UserId, at: UnixSeconds) -> Vec<Arc<Session>> {
        raise(&self.users, user, at);
        let sessions = self.sessions.of_user(user);
        for session in &sessions {
            raise(&self.ended, session.nonce.clone(), session.tokens_until);
            self.sessions.remove(&session.nonce);
        }
        self.ring();
        sessions
    }

    /// Puts a revocation of `user` in force again that was made at `at`, before this process started. The sessions
    /// that it ended come by [`Self::end_session`].
    pub fn restore_user(&self, user: UserId, at: UnixSeconds) {
        raise(&self.users, user, at);
        self.ring();
    }

    /// Revokes the application's tokens issued at or before `at`.
    pub fn revoke_app(&self, aud: &AudTag, at: UnixSeconds) {
        raise(&self.apps, aud.clone(), at);
        self.ring();
    }

    /// Revokes the tokens issued to a service token at or before `at`.
    pub fn revoke_service_token(&self, client_id: &ClientId, at: UnixSeconds) {
        raise(&self.service_tokens, client_id.as_str().into(), at);
        self.ring();
    }

    /// Whether a person's token counts as absent.
    #[must_use]
    pub fn refuses_person(&self, token: &PersonToken) -> bool {
        if self.ended.pin().contains_key(&token.identity_nonce) {
            return true;
        }
        if self.apps.pin().get(&token.aud).is_some_and(|at| token.iat <= *at) {
            return true;
        }
        self.users.pin().get(&token.sub).is_some_and(|at| {
            let session = self.sessions.get(&token.identity_nonce);
            session.map_or(token.iat <= *at, |session| session.identity.iat < *at)
        })
    }

    /// Whether a machine's token counts as absent.
    #[must_use]
    pub fn refuses_machine(&self, token: &MachineToken) -> bool {
        self.apps.pin().get(&token.aud).is_some_and(|at| token.iat <= *at)
            || self.service_tokens.pin().get(&*token.common_name).is_some_and(|at| token.iat <= *at)
    }

    /// Whether a login session may not be used for new tokens any more.
    #[must_use]
    pub fn refuses_session(&self, session: &Session) -> bool {
        self.ended.pin().contains_key(&session.nonce)
            || self
                .users
                .pin()
                .get(&session.identity.user_uuid)
                .is_some_and(|at| session.identity.iat < *at)
    }

    /// The `iat` of a token that is issued for this application at `now`: one second later when the application
    /// was revoked within this very second, so that the new token is not taken for an old one.
    #[must_use]
    pub fn issue_time(&self, aud: &AudTag, now: UnixSeconds) -> UnixSeconds {
        self.apps.pin().get(aud).map_or(now, |at| now.max(at.plus(1)))
    }

    /// Forgets revocations of tokens that have expired by themselves.
    pub fn forget_expired(&self, now: UnixSeconds) {
        self.ended.pin().retain(|_, until| now < *until);
        let recent = |at: &UnixSeconds| now.since(*at) <= LONGEST_TOKEN_SECONDS;
        self.users.pin().retain(|_, at| recent(at));
        self.apps.pin().retain(|_, at| recent(at));
        self.service_tokens.pin().retain(|_, at| recent(at));
    }
}

/// Sets an instant, never back to an earlier one.
fn raise<K: Hash + Eq>(table: &HashMap<K, UnixSeconds>, key: K, at: UnixSeconds) {
    table.pin().update_or_insert(key, |known| at.max(*known), at);
}
