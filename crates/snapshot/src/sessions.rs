//! The login sessions in force, by nonce: what the data path knows of a person beyond the token.

use narthex_model::{AppId, IdentityNonce, Session, UnixSeconds, UserId};
use std::sync::Arc;

/// Every session in force on this node. A clone is another handle to the same table.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    by_nonce: Arc<papaya::HashMap<IdentityNonce, Arc<Session>>>,
}

impl Sessions {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a session, or replaces the one of the same nonce.
    pub fn insert(&self, session: Session) {
        self.by_nonce.pin().insert(session.nonce.clone(), Arc::new(session));
    }

    /// The session of this nonce.
    #[must_use]
    pub fn get(&self, nonce: &IdentityNonce) -> Option<Arc<Session>> {
        self.by_nonce.pin().get(nonce).cloned()
    }

    /// Removes a session and returns it.
    pub fn remove(&self, nonce: &IdentityNonce) -> Option<Arc<Session>> {
        self.by_nonce.pin().remove(nonce).cloned()
    }

    /// Notes that a token for `app` which lives `until` is issued under a session. Returns the session if that is news,
    /// for the store; of several notes at the same time none is lost.
    #[must_use]
    pub fn note_token(
        &self,
        nonce: &IdentityNonce,
        app: AppId,
        until: UnixSeconds,
    ) -> Option<Arc<Session>> {
        let table = self.by_nonce.pin();
        let known =
            |session: &Session| session.apps.contains(&app) && until <= session.tokens_until;
        if table.get(nonce).is_none_or(|session| known(session)) {
            return None;
        }
        let noted = table.update(nonce.clone(), |session| {
            let mut session = Session::clone(session);
            session.apps.insert(app);
            session.tokens_until = session.tokens_until.max(until);
            Arc::new(session)
        });
        noted.cloned()
    }

    /// The sessions of one person. Looks at every session: for the control side.
    #[must_use]
    pub fn of_user(&self, user: UserId) -> Vec<Arc<Session>> {
        let table = self.by_nonce.pin();
        table.values().filter(|s| s.identity.user_uuid == user).cloned().collect()
    }

    /// Every session.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.by_nonce.pin().values().cloned().collect()
    }

    /// Forgets the sessions under which no token can be in force any more.
    pub fn forget_expired(&self, now: UnixSeconds) {
        self.by_nonce.pin().retain(|_, session| now < session.tokens_until);
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_nonce.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_nonce.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ALICE: &str = "1335d417-61da-459d-899c-0a01c76a2f94";
    const BOB: &str = "2335d417-61da-459d-899c-0a01c76a2f94";

    fn session(letter: &str, user: &str, tokens_until: i64) -> Session {
        let body = json!({
            "nonce": letter.repeat(16), "expires_at": 10, "tokens_until": tokens_until,
            "identity": {
                "id": "1", "email": "a@b.com", "idp": {"id": ALICE, "type": "oidc"}, "geo": {"country": null},
                "user_uuid": user, "account_id": "0123456789abcdef0123456789abcdef", "iat": 1, "ip": "192.0.2.1",
            },
        });
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn sessions_live_as_long_as_their_tokens() {
        let sessions = Sessions::new();
        let other_handle = sessions.clone();
        for (letter, user, until) in [("a", ALICE, 100), ("b", BOB, 200), ("c", ALICE, 300)] {
            sessions.insert(session(letter, user, until));
        }
        assert_eq!(other_handle.of_user(ALICE.parse().unwrap()).len(), 2);
        for (now, left) in [(99, 3), (100, 2), (299, 1), (300, 0)] {
            sessions.forget_expired(UnixSeconds(now));
            assert_eq!(other_handle.len(), left, "{now}");
        }
        assert!(other_handle.is_empty());
    }

    #[test]
    fn tokens_are_noted_once_and_never_make_a_session_shorter() {
        let sessions = Sessions::new();
        let one = session("a", ALICE, 100);
        sessions.insert(one.clone());
        let (wiki, shop) = (AppId::random(), AppId::random());
        let note = |app, until| {
            let noted = sessions.note_token(&one.nonce, app, UnixSeconds(until));
            noted.map(|session| (session.apps.len(), session.tokens_until.0))
        };
        for (name, app, until, want) in [
            ("the first token of an application", wiki, 50, Some((1, 100))),
            ("another of it", wiki, 100, None),
            ("one that lives longer", wiki, 101, Some((1, 101))),
            ("another application's", shop, 60, Some((2, 101))),
        ] {
            assert_eq!(note(app, until), want, "{name}");
        }
        assert_eq!(sessions.get(&one.nonce).unwrap().apps.len(), 2);
        let unknown = session("b", BOB, 100).nonce;
        assert!(sessions.note_token(&unknown, wiki, UnixSeconds(1)).is_none());
    }

    #[test]
    fn a_session_is_found_until_it_is_removed() {
        let sessions = Sessions::new();
        let one = session("a", ALICE, 100);
        sessions.insert(one.clone());
        assert_eq!(sessions.get(&one.nonce).as_deref(), Some(&one));
        assert_eq!(sessions.remove(&one.nonce).as_deref(), Some(&one));
        assert!(sessions.get(&one.nonce).is_none() && sessions.remove(&one.nonce).is_none());
    }
}
