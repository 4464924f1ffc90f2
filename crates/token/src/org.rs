//! The global session token, the team domain's own `CF_Authorization` (access-protocol §5.3).

use narthex_model::{AccountId, AudTag, EmailAddress, IdentityNonce, UnixSeconds, UserId};

/// Type `org`: proves a login to the team domain, never to an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgToken {
    /// The organization.
    pub aud: AudTag,
    /// The address that the identity provider confirmed.
    pub email: EmailAddress,
    /// The person.
    pub sub: UserId,
    /// The account.
    pub account_id: AccountId,
    /// The login session.
    pub identity_nonce: IdentityNonce,
    /// When it was issued; also its `nbf`.
    pub iat: UnixSeconds,
    /// From this instant on it is refused.
    pub exp: UnixSeconds,
}
