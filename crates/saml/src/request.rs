//! A login request, carried to the provider by a redirect of the browser (bindings §3.4).

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::deflate::compress_to_vec;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::keys::SigningKey;
use crate::names;
use crate::party::{IdentityProvider, ServiceProvider};
use crate::{UnixSeconds, metadata::escape};

/// The name of a request, which its response must repeat. Unguessable when made by [`RequestId::random`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

/// Not a [`RequestId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request ID is a letter or underscore and up to 127 letters, digits, '_', '-' or '.'")]
pub struct InvalidRequestId;

impl RequestId {
    /// A new name of 128 random bits.
    ///
    /// # Panics
    /// When the system has no randomness to give.
    #[must_use]
    pub fn random() -> Self {
        let mut bits = [0; 16];
        rand::fill(&mut bits).expect("the system's random generator answers");
        Self(format!("_{:032x}", u128::from_be_bytes(bits)).into())
    }

    /// The name as it is written in messages.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for RequestId {
    type Error = InvalidRequestId;

    fn try_from(raw: &str) -> Result<Self, InvalidRequestId> {
        let first = raw.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let rest = raw.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if first && rest && raw.len() <= 128 { Ok(Self(raw.into())) } else { Err(InvalidRequestId) }
    }
}

/// What the provider hands back unread: 1 to 80 bytes (bindings §3.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayState(Box<str>);

/// Not a [`RelayState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a RelayState has 1 to 80 bytes; keep what is longer and send its name")]
pub struct InvalidRelayState;

impl TryFrom<&str> for RelayState {
    type Error = InvalidRelayState;

    fn try_from(raw: &str) -> Result<Self, InvalidRelayState> {
        if (1..=80).contains(&raw.len()) { Ok(Self(raw.into())) } else { Err(InvalidRelayState) }
    }
}

impl RelayState {
    /// The text as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why no request could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The year of `now` has more than four digits.
    #[error("the clock shows no date that SAML can write; set it")]
    Clock,
    /// The library would not sign.
    #[error("the request could not be signed")]
    Signing,
}

/// The address to redirect the browser to, so that the provider authenticates it and posts a response to the callback.
///
/// `id` is to be kept with the login that this browser began, and handed to [`crate::consume`] when it returns. With a
/// `key` the request is signed by RSA-SHA256 over the query (bindings §3.4.4.1), which is then not to be rewritten.
///
/// # Errors
/// See [`RequestError`]; neither happens on a machine in order.
pub fn authn_request(
    sp: &ServiceProvider,
    idp: &IdentityProvider,
    now: UnixSeconds,
    id: &RequestId,
    relay_state: Option<&RelayState>,
    key: Option<&SigningKey>,
) -> Result<Url, RequestError> {
    let document = document(sp, idp, now, id)?;
    let mut query = String::new();
    let mut add = |name: &str, value: &str| {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        query.extend(utf8_percent_encode(value, RESERVED));
    };
    add("SAMLRequest", &STANDARD.encode(compress_to_vec(document.as_bytes(), 9)));
    if let Some(state) = relay_state {
        add("RelayState", state.as_str());
    }
    if let Some(key) = key {
        add("SigAlg", names::RSA_SHA256);
        let signature = key.sign(query.as_bytes()).ok_or(RequestError::Signing)?;
        query.push_str("&Signature=");
        query.extend(utf8_percent_encode(&STANDARD.encode(signature), RESERVED));
    }
    let mut url = idp.sso_url.url().clone();
    let before = url.query().filter(|own| !own.is_empty()).map(|own| format!("{own}&"));
    url.set_query(Some(&(before.unwrap_or_default() + &query)));
    Ok(url)
}

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn document(
    sp: &ServiceProvider,
    idp: &IdentityProvider,
    now: UnixSeconds,
    id: &RequestId,
) -> Result<String, RequestError> {
    let force = if idp.force_authn { r#" ForceAuthn="true""# } else { "" };
    Ok(format!(
        concat!(
            r#"<samlp:AuthnRequest xmlns:samlp="{protocol}" xmlns:saml="{assertions}" ID="{id}" Version="2.0""#,
            r#" IssueInstant="{instant}" Destination="{destination}"{force} ProtocolBinding="{binding}""#,
            r#" AssertionConsumerServiceURL="{acs}"><saml:Issuer>{issuer}</saml:Issuer>"#,
            r#"<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified" AllowCreate="true"/>"#,
            r#"</samlp:AuthnRequest>"#
        ),
        protocol = names::PROTOCOL,
        assertions = names::ASSERTIONS,
        id = id.as_str(),
        instant = now.write().ok_or(RequestError::Clock)?,
        destination = escape(idp.sso_url.as_str()),
        force = force,
        binding = names::POST_BINDING,
        acs = escape(sp.acs_url.as_str()),
        issuer = escape(sp.entity_id.as_str()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_requests_can_stand_in_an_id_attribute() {
        let id = RequestId::random();
        assert_eq!(RequestId::try_from(id.as_str()).as_ref(), Ok(&id));
        assert_ne!(RequestId::random(), id);
        for raw in ["", "1a", "a b", "a\"", "é", &"a".repeat(129)] {
            assert_eq!(RequestId::try_from(raw), Err(InvalidRequestId), "{raw:?}");
        }
    }

    #[test]
    fn a_relay_state_is_short() {
        assert!(RelayState::try_from("a".repeat(80).as_str()).is_ok());
        assert_eq!(RelayState::try_from("a".repeat(81).as_str()), Err(InvalidRelayState));
        assert_eq!(RelayState::try_from(""), Err(InvalidRelayState));
    }
}
