//! Identifiers: UUIDs, hexadecimal tags and the few that have a form of their own (access-protocol §1.2).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Text that is not an identifier of the kind that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {form}, not {raw:?}")]
pub struct InvalidId {
    what: &'static str,
    form: &'static str,
    raw: String,
}

impl InvalidId {
    fn new(what: &'static str, form: &'static str, raw: &str) -> Self {
        Self { what, form, raw: raw.chars().take(80).collect() }
    }
}

/// Fills `N` bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random generator answers");
    bytes
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A new random identifier (UUID version 4).
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The UUID behind the identifier.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(raw: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(raw).map(Self).map_err(|_| InvalidId::new($what, "a UUID", raw))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(raw: String) -> Result<Self, InvalidId> {
                raw.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

uuid_id! {
    /// An application (`id` and `uid` of the API).
    AppId, "an application id"
}
uuid_id! {
    /// A policy, reusable or belonging to one application.
    PolicyId, "a policy id"
}
uuid_id! {
    /// A rule group.
    GroupId, "a group id"
}
uuid_id! {
    /// A configured identity provider.
    IdpId, "an identity provider id"
}
uuid_id! {
    /// A service token's object id; not its Client ID.
    ServiceTokenId, "a service token id"
}
uuid_id! {
    /// A person: the `sub` of tokens and the `user_uuid` of get-identity.
    UserId, "a user id"
}

uuid_id! {
    /// An authority of client certificates, whichever door it came through.
    CertificateAuthorityId, "a certificate id"
}
uuid_id! {
    /// A client certificate that the gateway issued.
    ClientCertificateId, "a client certificate id"
}

uuid_id! {
    /// A certificate set of a SAML provider, and each certificate in it.
    CertificateSetId, "a certificate set id"
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $digits:literal, $what:literal, $form:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// A new random value.
            #[must_use]
            pub fn random() -> Self {
                Self(hex(&random::<{ $digits / 2 }>()).into())
            }

            /// The digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(raw: &str) -> Result<Self, InvalidId> {
                let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                if raw.len() != $digits || !raw.bytes().all(digit) {
                    return Err(InvalidId::new($what, $form, raw));
                }
                Ok(Self(raw.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(raw: String) -> Result<Self, InvalidId> {
                raw.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hex_id! {
    /// An application's audience tag: the `aud` of every token minted for it.
    AudTag, 64, "an AUD tag", "64 lowercase hex digits"
}
hex_id! {
    /// A signing key's id, the `kid` of the JOSE header.
    Kid, 64, "a key id", "64 lowercase hex digits"
}
hex_id! {
    /// The account that everything belongs to.
    AccountId, 32, "an account id", "32 lowercase hex digits"
}
hex_id! {
    /// A DNS zone of the account.
    ZoneId, 32, "a zone id", "32 lowercase hex digits"
}
hex_id! {
    /// An API token's id; not the token.
    ApiTokenId, 32, "an API token id", "32 lowercase hex digits"
}
hex_id! {
    /// One request: shown on error pages, written to logs and records (`cf-ray`).
    RayId, 16, "a Ray ID", "16 lowercase hex digits"
}

/// A service token's Client ID, `<32 hex digits>.access`; the `common_name` of tokens minted for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(Box<str>);

impl ClientId {
    /// A new random Client ID.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{}.access", hex(&random::<16>())).into())
    }

    /// The Client ID as it stands in `CF-Access-Client-Id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = InvalidId;
    fn from_str(raw: &str) -> Result<Self, InvalidId> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match raw.strip_suffix(".access") {
            Some(digits) if digits.len() == 32 && digits.bytes().all(digit) => Ok(Self(raw.into())),
            Some(_) | None => {
                Err(InvalidId::new("a Client ID", "32 lowercase hex digits and .access", raw))
            }
        }
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidId;
    fn try_from(raw: String) -> Result<Self, InvalidId> {
        raw.parse()
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The handle of a login session: 16 letters and digits, the `identity_nonce` of tokens (seed 003).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityNonce(Box<str>);

impl IdentityNonce {
    /// A new nonce of 95 random bits; it names a session and is never by itself a credential.
    #[must_use]
    pub fn random() -> Self {
        const ALPHABET: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut nonce = String::with_capacity(16);
        while nonce.len() < 16 {
            for byte in random::<32>() {
                // 248 = 4 * 62: larger bytes would favour the first letters.
                if byte < 248 && nonce.len() < 16 {
                    nonce.push(char::from(ALPHABET[usize::from(byte % 62)]));
                }
            }
        }
        Self(nonce.into())
    }

    /// The sixteen characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdentityNonce {
    type Err = InvalidId;
    fn from_str(raw: &str) -> Result<Self, InvalidId> {
        if raw.len() != 16 || !raw.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidId::new("an identity nonce", "16 letters and digits", raw));
        }
        Ok(Self(raw.into()))
    }
}

impl TryFrom<String> for IdentityNonce {
    type Error = InvalidId;
    fn try_from(raw: String) -> Result<Self, InvalidId> {
        raw.parse()
    }
}

impl From<IdentityNonce> for String {
    fn from(nonce: IdentityNonce) -> Self {
        nonce.0.into()
    }
}

impl fmt::Display for IdentityNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IdentityNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_one_spelling() {
        let aud = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"; // seed 003
        assert_eq!(aud.parse::<AudTag>().map(|a| a.to_string()), Ok(aud.to_owned()));
        for near_miss in [&aud[1..], &aud.to_uppercase(), &format!("{aud}0"), ""] {
            assert!(near_miss.parse::<AudTag>().is_err(), "{near_miss}");
        }
        let client = "e367826f93b8d71185e03fe518aff3b4.access"; // seed 003
        assert!(client.parse::<ClientId>().is_ok());
        for near_miss in [&client[1..], "e367826f93b8d71185e03fe518aff3b4", ".access"] {
            assert!(near_miss.parse::<ClientId>().is_err(), "{near_miss}");
        }
        assert!("6ei69kawdKzMIAPF".parse::<IdentityNonce>().is_ok()); // seed 003
        assert!("6ei69kawdKzMIAP!".parse::<IdentityNonce>().is_err());
        assert!("7335d417-61da-459d-899c-0a01c76a2f94".parse::<UserId>().is_ok()); // seed 003
        assert!("7335d417".parse::<UserId>().is_err());
    }

    #[test]
    fn random_identifiers_parse_and_differ() {
        let one = IdentityNonce::random();
        assert_eq!(one.as_str().parse(), Ok(one.clone()));
        assert_ne!(one, IdentityNonce::random());
        assert_eq!(Kid::random().as_str().len(), 64);
        assert!(ClientId::random().as_str().parse::<ClientId>().is_ok());
    }
}
