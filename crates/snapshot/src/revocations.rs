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
    pub(crate) fn ring(&self) {
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

    /// Revokes the application's tokens issued until `now`. Returns the last instant of issue that is refused, for the
    /// store: it is later than `now` when the application was revoked within this second before, for what was issued
    /// since is dated ahead ([`Self::issue_time`]).
    pub fn revoke_app(&self, aud: &AudTag, now: UnixSeconds) -> UnixSeconds {
        let at = self.issue_time(aud, now);
        self.restore_app(aud, at);
        at
    }

    /// Puts a revocation of the application in force again that was made before this process started.
    pub fn restore_app(&self, aud: &AudTag, at: UnixSeconds) {
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
            || token.certificate.is_none()
                && self
                    .service_tokens
                    .pin()
                    .get(&*token.common_name)
                    .is_some_and(|at| token.iat <= *at)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    const ALICE: &str = "1335d417-61da-459d-899c-0a01c76a2f94";
    const BOB: &str = "2335d417-61da-459d-899c-0a01c76a2f94";

    fn aud(digit: &str) -> AudTag {
        digit.repeat(64).parse().unwrap()
    }

    fn nonce(letter: &str) -> IdentityNonce {
        letter.repeat(16).parse().unwrap()
    }

    /// A session of `user` that began at `iat`.
    fn session(letter: &str, user: &str, iat: i64) -> Session {
        let body = json!({
            "nonce": letter.repeat(16), "expires_at": iat + 3_600, "tokens_until": iat + 86_400,
            "identity": {
                "id": "1", "email": "a@b.com", "idp": {"id": ALICE, "type": "oidc"}, "geo": {"country": null},
                "user_uuid": user, "account_id": "0123456789abcdef0123456789abcdef", "iat": iat, "ip": "192.0.2.1",
            },
        });
        serde_json::from_value(body).unwrap()
    }

    /// A token that was issued at `iat` under the session of this letter.
    fn token(letter: &str, user: &str, iat: i64) -> PersonToken {
        PersonToken {
            aud: aud("a"),
            email: "a@b.com".parse().unwrap(),
            sub: user.parse().unwrap(),
            identity_nonce: nonce(letter),
            country: None,
            custom: Map::new(),
            iat: UnixSeconds(iat),
            exp: UnixSeconds(iat + 86_400),
            binding: None,
        }
    }

    #[test]
    fn a_logout_ends_one_session_and_a_login_in_the_same_second_works() {
        let sessions = Sessions::new();
        let revocations = Revocations::new(sessions.clone());
        sessions.insert(session("o", ALICE, 100));
        assert!(!revocations.refuses_person(&token("o", ALICE, 100)));

        revocations.end_session(&nonce("o"), UnixSeconds(100 + 86_400));
        sessions.insert(session("n", ALICE, 100));
        assert!(revocations.refuses_person(&token("o", ALICE, 100)), "the session that ended");
        assert!(revocations.refuses_person(&token("o", ALICE, 200)), "however late its token is");
        assert!(revocations.refuses_session(&session("o", ALICE, 100)));
        assert!(sessions.get(&nonce("o")).is_none());
        assert!(!revocations.refuses_person(&token("n", ALICE, 100)), "the session that began");
        assert!(!revocations.refuses_session(&session("n", ALICE, 100)));
    }

    #[test]
    fn a_user_is_revoked_by_the_time_of_login() {
        let sessions = Sessions::new();
        let revocations = Revocations::new(sessions.clone());
        for (letter, user, iat) in [("o", ALICE, 50), ("s", ALICE, 100), ("b", BOB, 50)] {
            sessions.insert(session(letter, user, iat));
        }
        let ended = revocations.revoke_user(ALICE.parse().unwrap(), UnixSeconds(100));
        let mut ended: Vec<_> = ended.iter().map(|s| s.nonce.to_string()).collect();
        ended.sort();
        assert_eq!(ended, ["o".repeat(16), "s".repeat(16)]);
        sessions.insert(session("n", ALICE, 100));

        for (name, letter, user, iat, want) in [
            ("an old session", "o", ALICE, 50, true),
            ("an old session, renewed since", "o", ALICE, 150, true),
            ("a login of that second, before", "s", ALICE, 100, true),
            ("a login of that second, after", "n", ALICE, 100, false),
            ("its token, renewed", "n", ALICE, 150, false),
            ("somebody else", "b", BOB, 50, false),
            ("a session nobody knows, before", "u", ALICE, 99, true),
            ("a session nobody knows, of that second", "u", ALICE, 100, true),
            ("a session nobody knows, after", "u", ALICE, 101, false),
        ] {
            assert_eq!(revocations.refuses_person(&token(letter, user, iat)), want, "{name}");
        }
    }

    #[test]
    fn after_a_restart_the_store_tells_the_same() {
        let sessions = Sessions::new();
        let revocations = Revocations::new(sessions.clone());
        sessions.insert(session("f", ALICE, 50)); // its end was lost with the process
        sessions.insert(session("n", ALICE, 100)); // began after the revocation, within its second
        revocations.restore_user(ALICE.parse().unwrap(), UnixSeconds(100));
        revocations.end_session(&nonce("s"), UnixSeconds(100 + 86_400));

        assert!(revocations.refuses_person(&token("f", ALICE, 150)));
        assert!(revocations.refuses_session(&session("f", ALICE, 50)));
        assert!(revocations.refuses_person(&token("s", ALICE, 100)));
        assert!(!revocations.refuses_person(&token("n", ALICE, 100)));
        assert_eq!(sessions.len(), 2, "restoring ends no session by itself");
    }

    #[test]
    fn applications_and_service_tokens_are_revoked_by_the_time_of_issue() {
        let revocations = Revocations::new(Sessions::new());
        let client: ClientId = "e367826f93b8d71185e03fe518aff3b4.access".parse().unwrap();
        let machine = |digit: &str, name: &str, iat| MachineToken {
            aud: aud(digit),
            common_name: name.to_owned(),
            certificate: None,
            iat: UnixSeconds(iat),
            exp: UnixSeconds(iat + 60),
        };
        revocations.revoke_app(&aud("a"), UnixSeconds(100));
        revocations.revoke_service_token(&client, UnixSeconds(200));
        for (token, want) in [
            (machine("a", "robot", 100), true),
            (machine("a", "robot", 101), false),
            (machine("b", "robot", 50), false),
            (machine("b", client.as_str(), 200), true),
            (machine("b", client.as_str(), 201), false),
        ] {
            assert_eq!(revocations.refuses_machine(&token), want, "{token:?}");
        }
        assert!(revocations.refuses_person(&token("x", ALICE, 100)));
        assert!(!revocations.refuses_person(&token("x", ALICE, 101)));

        for (digit, now, want) in
            [("a", 99, 101), ("a", 100, 101), ("a", 101, 101), ("a", 500, 500), ("b", 100, 100)]
        {
            assert_eq!(revocations.issue_time(&aud(digit), UnixSeconds(now)), UnixSeconds(want));
        }
    }

    #[test]
    fn an_instant_never_moves_back() {
        let revocations = Revocations::new(Sessions::new());
        revocations.restore_app(&aud("a"), UnixSeconds(100));
        revocations.restore_app(&aud("a"), UnixSeconds(50));
        assert!(revocations.refuses_person(&token("x", ALICE, 100)));
    }

    #[test]
    fn what_was_issued_between_two_revocations_of_one_second_is_refused() {
        let revocations = Revocations::new(Sessions::new());
        let now = UnixSeconds(100);
        for _ in 0..3 {
            let issued = token("x", ALICE, revocations.issue_time(&aud("a"), now).0);
            assert!(!revocations.refuses_person(&issued), "it comes after what was revoked");
            assert_eq!(revocations.revoke_app(&aud("a"), now), issued.iat);
            assert!(revocations.refuses_person(&issued), "{:?}", issued.iat);
        }
        assert_eq!(revocations.revoke_app(&aud("a"), UnixSeconds(500)), UnixSeconds(500));
    }

    #[test]
    fn every_revocation_raises_the_generation_and_rings() {
        let revocations = Revocations::new(Sessions::new());
        let mut bell = revocations.watch();
        let client: ClientId = "e367826f93b8d71185e03fe518aff3b4.access".parse().unwrap();
        let acts: [&dyn Fn(); 5] = [
            &|| revocations.end_session(&nonce("o"), UnixSeconds(1)),
            &|| drop(revocations.revoke_user(ALICE.parse().unwrap(), UnixSeconds(1))),
            &|| revocations.restore_user(ALICE.parse().unwrap(), UnixSeconds(1)),
            &|| revocations.restore_app(&aud("a"), UnixSeconds(1)),
            &|| revocations.revoke_service_token(&client, UnixSeconds(1)),
        ];
        for (before, act) in acts.iter().enumerate() {
            assert_eq!(revocations.generation(), before as u64);
            act();
            assert!(bell.has_changed().unwrap());
            assert_eq!(*bell.borrow_and_update(), before as u64 + 1);
        }
    }

    #[test]
    fn what_no_token_can_refer_to_is_forgotten() {
        let revocations = Revocations::new(Sessions::new());
        revocations.end_session(&nonce("o"), UnixSeconds(1_000));
        revocations.revoke_app(&aud("a"), UnixSeconds(100));
        revocations.forget_expired(UnixSeconds(999));
        assert!(revocations.refuses_person(&token("o", BOB, 500)));
        revocations.forget_expired(UnixSeconds(1_000));
        assert!(!revocations.refuses_person(&token("o", BOB, 500)));
        revocations.forget_expired(UnixSeconds(100 + LONGEST_TOKEN_SECONDS));
        assert!(revocations.refuses_person(&token("x", ALICE, 100)));
        revocations.forget_expired(UnixSeconds(101 + LONGEST_TOKEN_SECONDS));
        assert!(!revocations.refuses_person(&token("x", ALICE, 100)));
    }
}
