//! Settings of a SAML 2.0 provider (access-protocol §12.3), each member read with its place.

use super::{CertificateSet, InvalidIdpConfig, is_web_url};
use crate::{Secret, pem_blocks};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::Url;

/// The most certificates, attributes and headers of one provider.
const MOST: usize = 100;
/// The longest name of an attribute, of an issuer, and of a header, in bytes.
const LONGEST: usize = 1024;
/// The longest certificate as it is written, in bytes.
const LONGEST_CERTIFICATE: usize = 64 * 1024;

/// Settings of a SAML 2.0 provider.
#[derive(Clone, Debug)]
pub struct SamlConfig {
    /// Where people log in: the provider's single sign-on address for the redirect binding.
    pub sso_target_url: Url,
    /// The provider's entity id, compared with the issuer of what it sends.
    pub issuer_url: String,
    /// The certificates that it may sign with, at least one: the place of the entry that holds it, and its DER.
    pub certificates: Vec<(usize, Vec<u8>)>,
    /// Attributes kept with the identity and, as `custom`, in application tokens; policies can ask for them.
    pub attributes: Vec<String>,
    /// The attribute that holds the e-mail address; the subject's name when absent.
    pub email_attribute_name: Option<String>,
    /// Attributes that are copied into the header fields of the callback's answer.
    pub header_attributes: Vec<HeaderAttribute>,
    /// Whether our requests are signed.
    pub sign_request: bool,
    /// Whether the provider is asked not to rely on an earlier login.
    pub force_authn: bool,
    /// Whether assertions may come encrypted for a key of the certificate set.
    pub enable_encryption: bool,
    /// The certificate set, as it is kept.
    pub(super) sealed: Option<Secret>,
    /// What was written, letter for letter, for the API to echo.
    written: Map<String, Value>,
}

/// One attribute that becomes a header field.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HeaderAttribute {
    /// The attribute's name.
    pub attribute_name: String,
    /// The field's name.
    pub header_name: String,
}

/// Names of answer fields that the gateway writes itself or that say how an answer is to be read.
const OWN_HEADERS: [&str; 22] = [
    "location",
    "set-cookie",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "date",
    "server",
    "refresh",
    "link",
    "cache-control",
    "expires",
    "pragma",
    "vary",
    "clear-site-data",
    "strict-transport-security",
    "x-frame-options",
    "referrer-policy",
    "alt-svc",
];

/// Beginnings of such names.
const OWN_PREFIXES: [&str; 7] =
    ["cf-", "content-", "access-control-", "cross-origin-", "sec-", "www-", "x-content-"];

impl SamlConfig {
    pub(super) fn parse(config: Value) -> Result<Self, InvalidIdpConfig> {
        let Value::Object(mut written) = config else {
            return Err(InvalidIdpConfig::Member("it must be an object".to_owned()));
        };
        written.retain(|_, value| !value.is_null());
        let members = Members(&written);
        let sso: String = members.need("sso_target_url")?;
        let sso_target_url = Url::parse(&sso)
            .ok()
            .filter(is_web_url)
            .ok_or_else(|| at("/sso_target_url", format!("{sso:?} is not an https URL")))?;
        let issuer_url: String = members.need("issuer_url")?;
        named("/issuer_url", &issuer_url)?;
        let config = Self {
            sso_target_url,
            issuer_url,
            certificates: certificates(members.read("idp_public_certs")?.unwrap_or_default())?,
            attributes: attributes(members.read("attributes")?.unwrap_or_default())?,
            email_attribute_name: members
                .read("email_attribute_name")?
                .filter(|name: &String| !name.is_empty()),
            header_attributes: headers(members.read("header_attributes")?.unwrap_or_default())?,
            sign_request: members.read("sign_request")?.unwrap_or(false),
            force_authn: members.read("force_authn")?.unwrap_or(false),
            enable_encryption: members.read("enable_encryption")?.unwrap_or(false),
            sealed: None,
            written: Map::new(),
        };
        members.read::<u32>("max_sso_url_length")?; // our RelayState is short: it always fits
        Ok(Self { written, ..config })
    }

    /// The keys that assertions may be encrypted for, if a set was made.
    #[must_use]
    pub fn certificate_set(&self) -> Option<CertificateSet> {
        self.sealed.as_ref().and_then(CertificateSet::read)
    }

    /// The same configuration with this set.
    #[must_use]
    pub fn with_certificate_set(self, set: &CertificateSet) -> Self {
        Self { sealed: Some(set.to_secret()), ..self }
    }

    /// What the API answers: defaults filled in, what was written as it was written.
    pub(super) fn to_json(&self) -> Value {
        let mut object = json!({
            "attributes": [], "header_attributes": [], "sign_request": false, "enable_encryption": false,
        });
        if let Some(object) = object.as_object_mut() {
            object.extend(self.written.clone());
        }
        object
    }
}

fn at(pointer: impl Into<String>, why: impl Into<String>) -> InvalidIdpConfig {
    InvalidIdpConfig::At { pointer: pointer.into(), why: why.into() }
}

/// The members of `config`, `null` being absent.
struct Members<'a>(&'a Map<String, Value>);

impl Members<'_> {
    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, InvalidIdpConfig> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let read = serde_json::from_value(value.clone());
        read.map(Some).map_err(|error| match value {
            // A private key may have been pasted; it is not repeated.
            Value::String(_) => at(format!("/{name}"), "it must not be a text"),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => at(format!("/{name}"), error.to_string()),
        })
    }

    fn need<T: DeserializeOwned>(&self, name: &str) -> Result<T, InvalidIdpConfig> {
        self.read(name)?.ok_or_else(|| at(format!("/{name}"), format!("{name} is required")))
    }
}

/// Refuses a name that is empty, too long, or holds control characters.
fn named(pointer: &str, name: &str) -> Result<(), InvalidIdpConfig> {
    let sound =
        !name.trim().is_empty() && name.len() <= LONGEST && !name.contains(char::is_control);
    if sound { Ok(()) } else { Err(at(pointer, "it is empty, too long, or no text of one line")) }
}

fn bounded<T>(pointer: &str, list: &[T]) -> Result<(), InvalidIdpConfig> {
    if list.len() > MOST {
        return Err(at(pointer, format!("there are at most {MOST} entries")));
    }
    Ok(())
}

/// Certificates as PEM, or as the bare base64 that metadata documents hold.
fn certificates(written: Vec<String>) -> Result<Vec<(usize, Vec<u8>)>, InvalidIdpConfig> {
    bounded("/idp_public_certs", &written)?;
    let mut found = Vec::new();
    for (n, text) in written.iter().enumerate() {
        let pointer = format!("/idp_public_certs/{n}");
        if text.len() > LONGEST_CERTIFICATE {
            return Err(at(pointer, "it is too long for a certificate"));
        }
        let blocks = if text.contains("-----BEGIN") {
            pem_blocks(text).map_err(|error| at(&*pointer, error.to_string()))?
        } else {
            let bare = text.replace(char::is_whitespace, "");
            let der = STANDARD.decode(bare).ok().filter(|der| !der.is_empty());
            let der = der.ok_or_else(|| {
                at(&*pointer, "it is no certificate; paste it as PEM or as base64")
            })?;
            vec![("CERTIFICATE", der)]
        };
        if blocks.is_empty() {
            return Err(at(pointer, "there is no certificate in it"));
        }
        for (label, der) in blocks {
            if label != "CERTIFICATE" {
                return Err(at(
                    pointer,
                    format!(
                        "it holds a {label:?} block; paste certificates only, never a private key"
                    ),
                ));
            }
            found.push((n, der));
        }
    }
    if found.is_empty() {
        return Err(at(
            "/idp_public_certs",
            "give the certificate that the provider signs with; what nobody signed is refused",
        ));
    }
    Ok(found)
}

fn attributes(written: Vec<String>) -> Result<Vec<String>, InvalidIdpConfig> {
    bounded("/attributes", &written)?;
    for (n, name) in written.iter().enumerate() {
        named(&format!("/attributes/{n}"), name)?;
    }
    Ok(written)
}

fn headers(written: Vec<HeaderAttribute>) -> Result<Vec<HeaderAttribute>, InvalidIdpConfig> {
    bounded("/header_attributes", &written)?;
    for (n, HeaderAttribute { attribute_name, header_name }) in written.iter().enumerate() {
        let pointer = format!("/header_attributes/{n}");
        named(&format!("{pointer}/attribute_name"), attribute_name)?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let pointer = format!("{pointer}/header_name");
        if header_name.is_empty() || header_name.len() > 128 || !header_name.bytes().all(token) {
            return Err(at(pointer, format!("{header_name:?} is not the name of a header")));
        }
        let lower = header_name.to_ascii_lowercase();
        if OWN_HEADERS.contains(&&*lower) || OWN_PREFIXES.iter().any(|own| lower.starts_with(own)) {
            return Err(at(
                pointer,
                format!("the gateway writes {header_name:?} itself; choose another name"),
            ));
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IdpConfig;

    fn whole() -> Value {
        json!({
            "issuer_url": "https://idp.example.com/metadata", "sso_target_url": "https://idp.example.com/sso",
            "idp_public_certs": ["MAA=", "-----BEGIN CERTIFICATE-----\nMAAw\nAA==\n-----END CERTIFICATE-----\n"],
            "attributes": ["group", "urn:oid:2.5.4.12"], "email_attribute_name": "mail", "sign_request": true,
            "header_attributes": [{"attribute_name": "group", "header_name": "X-Group"}], "force_authn": true,
            "max_sso_url_length": 2000, "enable_encryption": false,
        })
    }

    fn saml(config: Value) -> Result<SamlConfig, InvalidIdpConfig> {
        let IdpConfig::Saml(config) = IdpConfig::parse("saml", config)? else {
            panic!("it is of another type");
        };
        Ok(*config)
    }

    #[test]
    fn a_configuration_is_read_and_echoed() {
        let config = saml(whole()).expect("a configuration");
        assert_eq!(config.certificates, [(0, vec![0x30, 0]), (1, vec![0x30, 0, 0x30, 0])]);
        assert_eq!(config.email_attribute_name.as_deref(), Some("mail"));
        assert_eq!(config.header_attributes[0].header_name, "X-Group");
        assert!(config.sign_request && config.force_authn);
        assert_eq!(config.to_json(), whole());
        assert_eq!(saml(config.to_json()).expect("what we write, we read").to_json(), whole());

        let least = json!({"issuer_url": "urn:x", "sso_target_url": "https://a/", "idp_public_certs": ["MAA="],
            "email_attribute_name": null});
        let config = saml(least).expect("a configuration");
        assert!(!config.sign_request && config.email_attribute_name.is_none());
        let echoed = json!({"issuer_url": "urn:x", "sso_target_url": "https://a/", "idp_public_certs": ["MAA="],
            "attributes": [], "header_attributes": [], "sign_request": false, "enable_encryption": false});
        assert_eq!(config.to_json(), echoed);
    }

    #[test]
    fn near_misses_are_refused_with_their_place() {
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----";
        let header = |name: &str| json!([{"attribute_name": "a", "header_name": name}]);
        for (member, value, place) in [
            ("sso_target_url", Value::Null, "/sso_target_url"),
            ("sso_target_url", json!("http://idp.example.com/"), "/sso_target_url"),
            ("sso_target_url", json!("javascript:alert(1)"), "/sso_target_url"),
            ("sso_target_url", json!(7), "/sso_target_url"),
            ("issuer_url", Value::Null, "/issuer_url"),
            ("issuer_url", json!(" "), "/issuer_url"),
            ("idp_public_certs", Value::Null, "/idp_public_certs"),
            ("idp_public_certs", json!([]), "/idp_public_certs"),
            ("idp_public_certs", json!("MAA="), "/idp_public_certs"),
            ("idp_public_certs", json!(["MAA=", ""]), "/idp_public_certs/1"),
            ("idp_public_certs", json!(["not base64"]), "/idp_public_certs/0"),
            ("idp_public_certs", json!(key), "/idp_public_certs"),
            ("idp_public_certs", json!([key]), "/idp_public_certs/0"),
            (
                "idp_public_certs",
                json!(["-----BEGIN CERTIFICATE-----\nMAA="]),
                "/idp_public_certs/0",
            ),
            ("attributes", json!(["a", ""]), "/attributes/1"),
            ("attributes", json!("a"), "/attributes"),
            ("attributes", json!(vec!["a"; 101]), "/attributes"),
            ("header_attributes", header("Set-Cookie"), "/header_attributes/0/header_name"),
            ("header_attributes", header("location"), "/header_attributes/0/header_name"),
            ("header_attributes", header("CF-Ray"), "/header_attributes/0/header_name"),
            (
                "header_attributes",
                header("Content-Security-Policy"),
                "/header_attributes/0/header_name",
            ),
            ("header_attributes", header("a b"), "/header_attributes/0/header_name"),
            ("header_attributes", header(""), "/header_attributes/0/header_name"),
            ("header_attributes", json!([{"header_name": "X-A"}]), "/header_attributes"),
            ("sign_request", json!("yes"), "/sign_request"),
            ("enable_encryption", json!("yes"), "/enable_encryption"),
            ("max_sso_url_length", json!(-1), "/max_sso_url_length"),
        ] {
            let mut config = whole();
            config[member] = value.clone();
            match saml(config) {
                Err(InvalidIdpConfig::At { pointer, why }) => {
                    assert_eq!(pointer, place, "{value}: {why}");
                    assert!(!why.contains("MAA="), "{why}");
                }
                other => panic!("{member} {value}: {other:?}"),
            }
        }
    }
}
