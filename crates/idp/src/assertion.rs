//! What a provider vouched for, parsed and bounded.

use narthex_model::{EmailAddress, GroupMembership};
use serde_json::{Map, Value};
use std::fmt;

/// One finished login at an identity provider. The identity is (provider, `subject`); the address is an attribute
/// (security rule 25).
#[derive(Clone, PartialEq)]
pub struct Assertion {
    /// The provider's name for the person, `sub`: 1 to 255 bytes, stable at that provider only.
    pub subject: String,
    /// The address that the provider vouched for.
    pub email: EmailAddress,
    /// A name for people; empty when the provider gave none.
    pub name: String,
    /// Authentication methods (RFC 8176).
    pub amr: Vec<String>,
    /// The `groups` claim: at most 1,000 entries and 64 KiB.
    pub groups: Vec<GroupMembership>,
    /// The OpenID Connect claims that the provider's configuration asked to keep, and no others: at most 64 KiB.
    pub claims: Map<String, Value>,
    /// The same of SAML attributes.
    pub attributes: Map<String, Value>,
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion([redacted])")
    }
}
