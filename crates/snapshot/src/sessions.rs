//! The login sessions in force, by nonce: what the data path knows of a person beyond the token.

use narthex_model::{IdentityNonce, Session, UnixSeconds, UserId};
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

    /// The sessions of one person. Looks at every session: for the control side.
    #[must_use]
    pub fn of_user(&self, user: UserId) -> Vec<Arc<Session>> {
        let table = self.by_nonce.pin();
        table.values().filter(|s| s.identity.user_uuid == user).cloned().collect()
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
