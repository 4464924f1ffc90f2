//! The two sides: this gateway as service provider, and an identity provider as it is configured.

use url::{Host, Url};

use crate::Certificate;
use crate::keys::DecryptionKey;

/// A SAML entity's name: 1 to 1024 characters (core §8.3.6), a URI by custom, compared letter by letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityId(Box<str>);

/// Not an [`EntityId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entity ID has 1 to 1024 characters, without white space or control characters")]
pub struct InvalidEntityId;

impl TryFrom<&str> for EntityId {
    type Error = InvalidEntityId;

    fn try_from(raw: &str) -> Result<Self, InvalidEntityId> {
        let bad = |c: char| c.is_whitespace() || c.is_control();
        if raw.is_empty() || raw.chars().count() > 1024 || raw.contains(bad) {
            return Err(InvalidEntityId);
        }
        Ok(Self(raw.into()))
    }
}

impl EntityId {
    /// The name as it is written in messages.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An address that browsers are sent to: `https`, or `http` on a loopback address (a provider under test).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(Url);

/// Not an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SAML endpoint is an https address without user name, password and fragment")]
pub struct InvalidEndpoint;

impl TryFrom<&str> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(raw: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(raw).map_err(|_| InvalidEndpoint)?;
        let loopback = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(InvalidEndpoint),
        };
        let scheme = url.scheme() == "https" || url.scheme() == "http" && loopback;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if scheme && plain { Ok(Self(url)) } else { Err(InvalidEndpoint) }
    }
}

impl Endpoint {
    /// The address as it is written in messages.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

/// This gateway, for one team. Entity ID and callback address are the same text (access-protocol §12.3).
#[derive(Clone, Debug)]
pub struct ServiceProvider {
    /// What `Audience` must name.
    pub entity_id: EntityId,
    /// The assertion consumer service: what `Destination` and `Recipient` must name.
    pub acs_url: Endpoint,
    /// Keys for encrypted assertions, tried in this order; without any, such assertions are refused.
    pub decryption_keys: Vec<DecryptionKey>,
}

/// An identity provider, as the administrator configured it.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// Where browsers are sent with a request.
    pub sso_url: Endpoint,
    /// What `Issuer` must name; where it is not configured, any issuer whose signature verifies.
    pub entity_id: Option<EntityId>,
    /// The only certificates whose keys may sign; several while the provider changes keys. Their own validity and
    /// issuer are not asked (metadata interoperability profile §2.5.1): [`Certificate::not_after`] is for a warning.
    pub certificates: Vec<Certificate>,
    /// Whether this provider may still sign with RSA-SHA1. Off unless an administrator says so.
    pub allow_sha1: bool,
    /// Ask the provider to authenticate anew, whatever session it has.
    pub force_authn: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https() {
        for (raw, want) in [
            ("https://idp.example.com/sso?tenant=1", true),
            ("http://127.0.0.1:8080/sso", true),
            ("http://[::1]/sso", true),
            ("http://localhost/sso", true),
            ("http://idp.example.com/sso", false),
            ("http://localhost.example.com/sso", false),
            ("https://user@idp.example.com/sso", false),
            ("https://idp.example.com/sso#top", false),
            ("javascript:alert(1)", false),
            ("/sso", false),
        ] {
            assert_eq!(Endpoint::try_from(raw).is_ok(), want, "{raw}");
        }
    }

    #[test]
    fn an_entity_id_is_one_word() {
        assert!(EntityId::try_from("urn:example:idp").is_ok());
        assert!(EntityId::try_from("a".repeat(1024).as_str()).is_ok());
        for raw in ["", " ", "a b", "a\n", &"a".repeat(1025)] {
            assert_eq!(EntityId::try_from(raw), Err(InvalidEntityId), "{raw:?}");
        }
    }
}
