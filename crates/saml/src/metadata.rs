//! The service provider's metadata: what an administrator loads into the identity provider.

use std::borrow::Cow;

use crate::Certificate;
use crate::names;
use crate::party::ServiceProvider;

/// The metadata document of `sp` (metadata §2.4.4), to be served as `application/samlmetadata+xml`.
///
/// `signing` are the certificates of the key that signs requests, `encryption` those that assertions may be encrypted
/// for; both may be empty, and hold two while a key is changed.
#[must_use]
pub fn metadata(
    sp: &ServiceProvider,
    signing: &[Certificate],
    encryption: &[Certificate],
) -> String {
    let keys: String = signing
        .iter()
        .map(|certificate| key_descriptor("signing", certificate, ""))
        .chain(encryption.iter().map(|c| key_descriptor("encryption", c, METHODS)))
        .collect();
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>"#,
            "\n",
            r#"<md:EntityDescriptor xmlns:md="{metadata}" entityID="{entity}">"#,
            r#"<md:SPSSODescriptor AuthnRequestsSigned="{signed}" WantAssertionsSigned="true" protocolSupportEnumeration="{protocol}">"#,
            r#"{keys}<md:AssertionConsumerService Binding="{binding}" Location="{acs}" index="0" isDefault="true"/>"#,
            r#"</md:SPSSODescriptor></md:EntityDescriptor>"#,
            "\n"
        ),
        metadata = names::METADATA,
        entity = escape(sp.entity_id.as_str()),
        signed = !signing.is_empty(),
        protocol = names::PROTOCOL,
        keys = keys,
        binding = names::POST_BINDING,
        acs = escape(sp.acs_url.as_str()),
    )
}

/// What [`crate::consume`] can open, best first.
const METHODS: &str = concat!(
    r#"<md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes256-gcm"/>"#,
    r#"<md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes128-gcm"/>"#,
    r#"<md:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"/>"#,
);

fn key_descriptor(purpose: &str, certificate: &Certificate, methods: &str) -> String {
    format!(
        concat!(
            r#"<md:KeyDescriptor use="{purpose}"><ds:KeyInfo xmlns:ds="{dsig}"><ds:X509Data><ds:X509Certificate>"#,
            r#"{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>{methods}</md:KeyDescriptor>"#
        ),
        purpose = purpose,
        dsig = names::DSIG,
        certificate = certificate.base64(),
        methods = methods,
    )
}

/// `text` for an attribute's value or an element's content.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped.into()
}
