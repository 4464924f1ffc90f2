//! Headers made from the facts of a client certificate: by the rules of a hostname, and the managed set of a zone
//! (access-protocol §7.7, §7.8).

use crate::ZoneId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A header rule that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeaderRule {
    /// Not a field name (RFC 9110 §5.1).
    #[error("{0:?} is not the name of a header")]
    Name(String),
    /// A header that carries the message itself or the gateway's own proof.
    #[error("the gateway writes {0:?} itself, so a rule may not; choose another name")]
    Reserved(String),
    /// Not a field value (RFC 9110 §5.5).
    #[error(
        "a header's value is visible ASCII of at most {LONGEST_VALUE} characters, with spaces inside"
    )]
    Value,
    /// Not a field of a client certificate.
    #[error(
        "there is no field {0:?}; the fields are certPresented, certVerified, certIssuerDN and so on"
    )]
    Field(String),
    /// Too many rules for one hostname.
    #[error("a hostname has at most {MOST_RULES} header rules")]
    TooMany,
}

const LONGEST_NAME: usize = 128;
const LONGEST_VALUE: usize = 4096;
const MOST_RULES: usize = 64;

/// Names that frame a message, route it, or carry what the gateway itself says.
const RESERVED: [&str; 22] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "http2-settings",
    "expect",
    "cookie",
    "authorization",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "client-cert",
    "client-cert-chain",
    "true-client-ip",
];

/// The name of a header that a rule writes: shown as written, compared in lower case.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuleHeader {
    lower: Box<str>,
    written: Box<str>,
}

impl RuleHeader {
    /// The name in lower case, as HTTP/2 wants it.
    #[must_use]
    pub fn as_lower(&self) -> &str {
        &self.lower
    }
}

impl TryFrom<String> for RuleHeader {
    type Error = InvalidHeaderRule;
    fn try_from(written: String) -> Result<Self, InvalidHeaderRule> {
        let shown = || written.chars().take(80).collect();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !(1..=LONGEST_NAME).contains(&written.len()) || !written.bytes().all(token) {
            return Err(InvalidHeaderRule::Name(shown()));
        }
        let lower = written.to_ascii_lowercase();
        // An origin that folds `_` into `-` must not be told something else under another spelling.
        let folded = lower.replace('_', "-");
        let own =
            ["cf-access-", "cf-client-cert-", "cf-cert-", "cf-connecting-", "cf-ray", "cf-ip"];
        if RESERVED.contains(&&*folded) || own.iter().any(|own| folded.starts_with(own)) {
            return Err(InvalidHeaderRule::Reserved(shown()));
        }
        Ok(Self { lower: lower.into(), written: written.into() })
    }
}

impl std::str::FromStr for RuleHeader {
    type Err = InvalidHeaderRule;
    fn from_str(raw: &str) -> Result<Self, InvalidHeaderRule> {
        raw.to_owned().try_into()
    }
}

impl From<RuleHeader> for String {
    fn from(name: RuleHeader) -> Self {
        name.written.into()
    }
}

impl fmt::Debug for RuleHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for RuleHeader {
    fn eq(&self, other: &Self) -> bool {
        self.lower == other.lower
    }
}

impl Eq for RuleHeader {}

impl PartialOrd for RuleHeader {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RuleHeader {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.lower.cmp(&other.lower)
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A fact about the client certificate of a connection, by its name in `tlsClientAuth` (access-protocol §7.8).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum ClientAuthField {
            $($(#[$doc])* $name,)*
        }

        impl ClientAuthField {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

fields! {
    /// `1` when a certificate was presented, else `0`.
    CertPresented = "certPresented",
    /// `SUCCESS`, `NONE` or `FAILED:<reason>`.
    CertVerified = "certVerified",
    /// `1` when it was revoked, else `0`.
    CertRevoked = "certRevoked",
    /// Issuer, as OpenSSL writes names by default.
    CertIssuerDn = "certIssuerDN",
    /// Subject, as OpenSSL writes names by default.
    CertSubjectDn = "certSubjectDN",
    /// Issuer in the form of RFC 2253.
    CertIssuerDnRfc2253 = "certIssuerDNRFC2253",
    /// Subject in the form of RFC 2253.
    CertSubjectDnRfc2253 = "certSubjectDNRFC2253",
    /// Issuer in OpenSSL's old form with slashes.
    CertIssuerDnLegacy = "certIssuerDNLegacy",
    /// Subject in OpenSSL's old form with slashes.
    CertSubjectDnLegacy = "certSubjectDNLegacy",
    /// Serial number, upper-case hexadecimal digits.
    CertSerial = "certSerial",
    /// The issuer's serial number, upper-case hexadecimal digits.
    CertIssuerSerial = "certIssuerSerial",
    /// SHA-256 of the certificate, lower-case hexadecimal digits.
    CertFingerprintSha256 = "certFingerprintSHA256",
    /// SHA-1 of the certificate, lower-case hexadecimal digits.
    CertFingerprintSha1 = "certFingerprintSHA1",
    /// Subject key identifier.
    CertSki = "certSKI",
    /// The issuer's subject key identifier.
    CertIssuerSki = "certIssuerSKI",
    /// From when it is valid, `Dec 22 19:39:00 2018 GMT`.
    CertNotBefore = "certNotBefore",
    /// Until when it is valid.
    CertNotAfter = "certNotAfter",
    /// The certificate as a byte sequence of RFC 9440.
    CertRfc9440 = "certRFC9440",
    /// Whether the certificate is too large for `certRFC9440`.
    CertRfc9440TooLarge = "certRFC9440TooLarge",
    /// The chain as a list of byte sequences of RFC 9440.
    CertChainRfc9440 = "certChainRFC9440",
    /// Whether the chain is too large for `certChainRFC9440`.
    CertChainRfc9440TooLarge = "certChainRFC9440TooLarge",
}

impl TryFrom<String> for ClientAuthField {
    type Error = InvalidHeaderRule;
    fn try_from(raw: String) -> Result<Self, InvalidHeaderRule> {
        if raw == "certVerify" {
            return Ok(Self::CertVerified); // as the sample of seed 000 spells it
        }
        let found = Self::ALL.iter().find(|field| field.as_str() == raw);
        found.copied().ok_or_else(|| InvalidHeaderRule::Field(raw.chars().take(80).collect()))
    }
}

impl From<ClientAuthField> for &'static str {
    fn from(field: ClientAuthField) -> Self {
        field.as_str()
    }
}

/// What stands in a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "WrittenSource")]
pub enum HeaderSource {
    /// Always this.
    Value(Box<str>),
    /// A fact about the certificate; the header is absent while the fact is.
    Field(ClientAuthField),
}

/// `{"value": …}` or `{"field": …}` before the value is checked.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenSource {
    Value(String),
    Field(ClientAuthField),
}

impl TryFrom<WrittenSource> for HeaderSource {
    type Error = InvalidHeaderRule;
    fn try_from(written: WrittenSource) -> Result<Self, InvalidHeaderRule> {
        match written {
            WrittenSource::Field(field) => Ok(Self::Field(field)),
            WrittenSource::Value(value) => {
                let sound = value.len() <= LONGEST_VALUE && value.trim() == value;
                let visible = |b: u8| b == b' ' || b.is_ascii_graphic();
                if !sound || !value.bytes().all(visible) {
                    return Err(InvalidHeaderRule::Value);
                }
                Ok(Self::Value(value.into()))
            }
        }
    }
}

/// The header rules of one hostname: what stands in which header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<RuleHeader, HeaderSource>",
    into = "BTreeMap<RuleHeader, HeaderSource>"
)]
pub struct HeaderRules(BTreeMap<RuleHeader, HeaderSource>);

impl HeaderRules {
    /// Every rule, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&RuleHeader, &HeaderSource)> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<RuleHeader, HeaderSource>> for HeaderRules {
    type Error = InvalidHeaderRule;
    fn try_from(rules: BTreeMap<RuleHeader, HeaderSource>) -> Result<Self, InvalidHeaderRule> {
        if rules.len() > MOST_RULES {
            return Err(InvalidHeaderRule::TooMany);
        }
        Ok(Self(rules))
    }
}

impl From<HeaderRules> for BTreeMap<RuleHeader, HeaderSource> {
    fn from(rules: HeaderRules) -> Self {
        rules.0
    }
}

/// The managed transforms of a zone that this gateway has: the set of TLS client-auth headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedTransforms {
    /// The zone.
    pub zone: ZoneId,
    /// On requests to the origin.
    #[serde(default)]
    pub client_certificate_request_headers: bool,
    /// On responses to the client, as seed 000 says.
    #[serde(default)]
    pub client_certificate_response_headers: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_nine_headers_of_the_seed_are_one_map() {
        let written = json!({
            "X-CERT-ISSUER-DN": {"field": "certIssuerDN"}, "X-CERT-SUBJECT-DN": {"field": "certSubjectDN"},
            "X-CERT-ISSUER-DN-L": {"field": "certIssuerDNLegacy"}, "X-CERT-SUBJECT-DN-L": {"field": "certSubjectDNLegacy"},
            "X-CERT-SERIAL": {"field": "certSerial"}, "X-CERT-FINGER": {"field": "certFingerprintSHA1"},
            "X-CERT-VERIFY": {"field": "certVerify"}, "X-CERT-NOTBE": {"field": "certNotBefore"},
            "X-CERT-NOTAF": {"field": "certNotAfter"},
        });
        let rules: HeaderRules = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(rules.iter().len(), 9);
        let mut want = written;
        want["X-CERT-VERIFY"]["field"] = "certVerified".into();
        assert_eq!(
            serde_json::to_value(&rules).unwrap(),
            want,
            "echoed, with the property's real name"
        );
    }

    #[test]
    fn near_misses_are_no_rules() {
        let field = json!({"field": "certSerial"});
        for (name, source) in [
            ("", &field),
            ("X CERT", &field),
            ("X-CERT:", &field),
            ("Host", &field),
            ("Content_Length", &field),
            ("Cf-Access-Jwt-Assertion", &field),
            ("CF_ACCESS_JWT_ASSERTION", &field),
            ("Cf-Client-Cert-Sha256", &field),
            ("cf-cert-serial", &field),
            ("Client-Cert", &field),
            ("X-Forwarded-For", &field),
            ("X", &json!({"field": "certsSerial"})),
            ("X", &json!({"value": "a\r\nHost: b"})),
            ("X", &json!({"value": " a"})),
            ("X", &json!({"value": "\u{e9}"})),
            ("X", &json!({"value": "a", "field": "certSerial"})),
            ("X", &json!({})),
            ("X", &json!("a")),
        ] {
            let rules = serde_json::from_value::<HeaderRules>(json!({name: source}));
            assert!(rules.is_err(), "{name:?}: {source}");
        }
        let sound = json!({"X-Env": {"value": "production eu"}, "x-empty": {"value": ""}});
        assert_eq!(serde_json::from_value::<HeaderRules>(sound).unwrap().iter().len(), 2);
        let many: serde_json::Map<String, Value> =
            (0..=MOST_RULES).map(|n| (format!("x-{n}"), field.clone())).collect();
        assert!(serde_json::from_value::<HeaderRules>(many.into()).is_err());
    }

    #[test]
    fn names_are_one_in_any_case() {
        let rules: HeaderRules =
            serde_json::from_str(r#"{"X-A": {"value": "1"}, "x-a": {"value": "2"}}"#).unwrap();
        assert_eq!(rules.iter().len(), 1);
    }
}
