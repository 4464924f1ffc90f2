//! Service tokens: credentials of machines (access-protocol §8).

use crate::{ClientId, SecretHash, ServiceTokenId, Timestamp, UnixSeconds, ZoneId};
use serde::{Deserialize, Serialize};

/// A service token. The secret itself is shown once and only its hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceToken {
    /// Its id.
    pub id: ServiceTokenId,
    /// A name for people.
    pub name: String,
    /// The public half.
    pub client_id: ClientId,
    /// Hash of the secret half.
    pub secret: SecretHash,
    /// Hash of the secret before the last rotation and the instant it stops working.
    #[serde(default)]
    pub previous_secret: Option<(SecretHash, Timestamp)>,
    /// Rises with every rotation.
    #[serde(default = "first")]
    pub client_secret_version: u32,
    /// As written: a Go duration, or `forever`.
    pub duration: String,
    /// Off refuses both secrets and keeps the object.
    pub enabled: bool,
    /// When it stops working; `None` for `forever`.
    pub expires_at: Option<Timestamp>,
    /// The zone through which it was made, if any.
    #[serde(default)]
    pub zone: Option<ZoneId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

fn first() -> u32 {
    1
}

impl ServiceToken {
    /// Whether `secret` admits at `now`: enabled, not expired, and the secret or the previous one in its grace.
    /// The time taken does not tell where a wrong secret differs.
    #[must_use]
    pub fn admits(&self, secret: &str, now: UnixSeconds) -> bool {
        let current = self.secret.matches(secret);
        let previous = self.previous_secret.as_ref();
        let previous = previous.is_some_and(|(hash, until)| hash.matches(secret) & (now < until.0));
        self.is_live(now) & (current | previous)
    }

    /// Whether the token as such is in force at `now`.
    #[must_use]
    pub fn is_live(&self, now: UnixSeconds) -> bool {
        self.enabled && self.expires_at.is_none_or(|at| now < at.0)
    }
}
