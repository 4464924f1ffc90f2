//! What a trusted client certificate says about whoever holds its key: the facts that policies ask and that
//! get-identity shows (access-protocol §7.5, §5.7).

use crate::CertificateAuthorityId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The holder of a client certificate that was trusted: an authority of the hostname signed it, it was in force, it
/// was not revoked, and possession of its key was proved.
///
/// Its JSON is the `mtls_auth` of the contract, with members of our own beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateHolder {
    /// The issuer's name.
    pub cert_issuer_dn: String,
    /// The serial number, upper-case hexadecimal digits.
    pub cert_serial: String,
    /// The issuer's key identifier, upper-case hexadecimal digits.
    pub cert_issuer_ski: String,
    /// The subject's common name, if it has exactly one.
    #[serde(with = "empty_is_none")]
    pub common_name: Option<Box<str>>,
    /// The authority that it was traced back to.
    pub certificate_id: Option<CertificateAuthorityId>,
    /// DNS names among the alternative names (RFC 5280 §4.2.1.6).
    pub dns_names: Box<[Box<str>]>,
    /// Addresses among the alternative names.
    pub emails: Box<[Box<str>]>,
    /// URIs among the alternative names.
    pub uris: Box<[Box<str>]>,
    /// SHA-256 of the public key (SubjectPublicKeyInfo), lower-case hexadecimal digits.
    pub spki_sha256: Box<str>,
    /// SHA-256 of the certificate, lower-case hexadecimal digits.
    pub fingerprint_sha256: Box<str>,
}

/// Alternative names are told to the team domain, in a URL, up to this many bytes; a certificate with more of them
/// is told without, and rules about them do not hold there.
const MOST_NAME_BYTES: usize = 1024;

impl CertificateHolder {
    /// `auth_status` of a certificate that was trusted.
    pub const SUCCESS: &'static str = "SUCCESS";

    /// `mtls_auth` of the contract: what get-identity shows, and what the data path tells the team domain.
    #[must_use]
    pub fn mtls_auth(&self) -> Value {
        let names = self.dns_names.iter().chain(&self.emails).chain(&self.uris);
        let told = if names.map(|name| name.len()).sum::<usize>() > MOST_NAME_BYTES {
            let (dns_names, emails, uris) = <_>::default();
            serde_json::to_value(Self { dns_names, emails, uris, ..self.clone() })
        } else {
            serde_json::to_value(self)
        };
        let mut told = told.unwrap_or_default();
        told["cert_presented"] = true.into();
        told["auth_status"] = Self::SUCCESS.into();
        told
    }

    /// Reads what [`Self::mtls_auth`] wrote; `None` for a certificate that was absent or not trusted.
    #[must_use]
    pub fn of_mtls_auth(told: &Value) -> Option<Self> {
        let trusted = told.get("auth_status").and_then(Value::as_str) == Some(Self::SUCCESS);
        trusted.then(|| serde_json::from_value(told.clone()).ok()).flatten()
    }
}

/// The contract writes an absent name as an empty text.
mod empty_is_none {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        name: &Option<Box<str>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_deref().unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Box<str>>, D::Error> {
        let name = Option::<Box<str>>::deserialize(deserializer)?;
        Ok(name.filter(|name| !name.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holder(names: usize) -> CertificateHolder {
        CertificateHolder {
            cert_serial: "0A".to_owned(),
            common_name: Some("robot".into()),
            dns_names: (0..names).map(|n| format!("host-{n}.example.com").into()).collect(),
            ..CertificateHolder::default()
        }
    }

    #[test]
    fn what_was_told_is_read_again() {
        for one in [holder(0), holder(3), CertificateHolder { common_name: None, ..holder(1) }] {
            assert_eq!(CertificateHolder::of_mtls_auth(&one.mtls_auth()), Some(one));
        }
        let told = holder(0).mtls_auth();
        for name in [
            "cert_issuer_dn",
            "cert_serial",
            "cert_issuer_ski",
            "cert_presented",
            "common_name",
            "auth_status",
        ] {
            assert!(told.get(name).is_some(), "{name} belongs to the contract");
        }
    }

    #[test]
    fn many_names_stay_out_of_urls() {
        let told = holder(1_000).mtls_auth();
        assert!(told.to_string().len() < 600, "{told}");
        assert_eq!(CertificateHolder::of_mtls_auth(&told), Some(holder(0)));
    }

    #[test]
    fn a_certificate_that_was_not_trusted_names_nobody() {
        for told in [
            json!({}),
            json!({"auth_status": "NONE", "common_name": "robot"}),
            json!({"auth_status": "FAILED:certificate has expired", "common_name": "robot"}),
            json!({"auth_status": "success", "common_name": "robot"}),
            json!({"auth_status": "SUCCESS", "common_name": 7}),
        ] {
            assert_eq!(CertificateHolder::of_mtls_auth(&told), None, "{told}");
        }
    }
}
