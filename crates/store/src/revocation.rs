//! Revocations: what ends sessions and tokens before their time (access-protocol §10.3).

use narthex_model::{AudTag, ClientId, IdentityNonce, UnixSeconds, UserId};

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// One login session.
    Session(IdentityNonce),
    /// Every session and token of a person.
    User(UserId),
    /// Every token of an application.
    App(AudTag),
    /// Every token minted for a service token.
    ServiceToken(ClientId),
}

/// Tokens of `what` that were issued at or before `at` are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What is revoked.
    pub what: Revoked,
    /// The last instant of issue that is refused. For a session it equals `until`: nothing of it remains.
    pub at: UnixSeconds,
    /// When the last token that it concerns has expired by itself and the revocation may be forgotten.
    pub until: UnixSeconds,
}

impl Revocation {
    /// The end of one session.
    #[must_use]
    pub fn of_session(nonce: IdentityNonce, until: UnixSeconds) -> Self {
        Self { what: Revoked::Session(nonce), at: until, until }
    }
}
