//! The documented facts about a connection's certificate, as texts: the fields of `tlsClientAuth` (access-protocol §7.8).

use crate::{Certificate, HeaderValue, PresentedChain, Verdict, hex};
use narthex_model::UnixSeconds;
use time::OffsetDateTime;

/// A field of `tlsClientAuth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `1` when the client presented a certificate, else `0`.
    Presented,
    /// `SUCCESS`, `NONE` or `FAILED:<reason>`.
    Verified,
    /// `1` when it is revoked, else `0`.
    Revoked,
    /// The issuer as OpenSSL writes it. By the documented example this is the RFC 2253 text.
    IssuerDn,
    /// The subject, likewise.
    SubjectDn,
    /// The issuer in RFC 2253 text.
    IssuerDnRfc2253,
    /// The subject in RFC 2253 text.
    SubjectDnRfc2253,
    /// The issuer in the slash form.
    IssuerDnLegacy,
    /// The subject in the slash form.
    SubjectDnLegacy,
    /// Serial number, upper-case hex.
    Serial,
    /// Serial number of the certificate above it, upper-case hex.
    IssuerSerial,
    /// SHA-256 fingerprint, lower-case hex.
    FingerprintSha256,
    /// SHA-1 fingerprint, lower-case hex.
    FingerprintSha1,
    /// Subject key identifier, upper-case hex.
    Ski,
    /// Subject key identifier of the certificate above it, upper-case hex.
    IssuerSki,
    /// `Dec 22 19:39:00 2018 GMT`
    NotBefore,
    /// `Dec 22 19:39:00 2018 GMT`
    NotAfter,
    /// The value of `Client-Cert`; empty when too large.
    Rfc9440,
    /// `1` when the value of `Client-Cert` is too large, else `0`.
    Rfc9440TooLarge,
    /// The value of `Client-Cert-Chain`; empty when too large or there is none.
    ChainRfc9440,
    /// `1` when the value of `Client-Cert-Chain` is too large, else `0`.
    ChainRfc9440TooLarge,
}

/// No field of `tlsClientAuth` has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no field {0:?} in tlsClientAuth; the fields are certPresented, certVerified, certSubjectDN and so on"
)]
pub struct UnknownField(pub String);

impl Field {
    /// Every field.
    pub const ALL: [Self; 21] = [
        Self::Presented,
        Self::Verified,
        Self::Revoked,
        Self::IssuerDn,
        Self::SubjectDn,
        Self::IssuerDnRfc2253,
        Self::SubjectDnRfc2253,
        Self::IssuerDnLegacy,
        Self::SubjectDnLegacy,
        Self::Serial,
        Self::IssuerSerial,
        Self::FingerprintSha256,
        Self::FingerprintSha1,
        Self::Ski,
        Self::IssuerSki,
        Self::NotBefore,
        Self::NotAfter,
        Self::Rfc9440,
        Self::Rfc9440TooLarge,
        Self::ChainRfc9440,
        Self::ChainRfc9440TooLarge,
    ];

    /// The documented name, `certSubjectDN` for example.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Presented => "certPresented",
            Self::Verified => "certVerified",
            Self::Revoked => "certRevoked",
            Self::IssuerDn => "certIssuerDN",
            Self::SubjectDn => "certSubjectDN",
            Self::IssuerDnRfc2253 => "certIssuerDNRFC2253",
            Self::SubjectDnRfc2253 => "certSubjectDNRFC2253",
            Self::IssuerDnLegacy => "certIssuerDNLegacy",
            Self::SubjectDnLegacy => "certSubjectDNLegacy",
            Self::Serial => "certSerial",
            Self::IssuerSerial => "certIssuerSerial",
            Self::FingerprintSha256 => "certFingerprintSHA256",
            Self::FingerprintSha1 => "certFingerprintSHA1",
            Self::Ski => "certSKI",
            Self::IssuerSki => "certIssuerSKI",
            Self::NotBefore => "certNotBefore",
            Self::NotAfter => "certNotAfter",
            Self::Rfc9440 => "certRFC9440",
            Self::Rfc9440TooLarge => "certRFC9440TooLarge",
            Self::ChainRfc9440 => "certChainRFC9440",
            Self::ChainRfc9440TooLarge => "certChainRFC9440TooLarge",
        }
    }
}

/// Reads the documented name, or `certVerify`, which a documented sample writes for `certVerified`.
impl std::str::FromStr for Field {
    type Err = UnknownField;
    fn from_str(name: &str) -> Result<Self, UnknownField> {
        let name = if name == "certVerify" { "certVerified" } else { name };
        let found = Self::ALL.into_iter().find(|field| field.name() == name);
        found.ok_or_else(|| UnknownField(name.into()))
    }
}

/// The value of every [`Field`] for one connection. All are filled even when the verification failed; without a
/// certificate all but the first three are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts([Box<str>; Field::ALL.len()]);

impl Facts {
    /// For a connection without a certificate.
    #[must_use]
    pub fn none() -> Self {
        Self::bare("0", "NONE")
    }

    /// For a certificate that could not be read.
    #[must_use]
    pub fn unreadable() -> Self {
        Self::bare("1", &format!("FAILED:{}", crate::Reason::Malformed))
    }

    fn bare(presented: &str, verified: &str) -> Self {
        Self::each(|field| match field {
            Field::Presented => presented.into(),
            Field::Verified => verified.into(),
            Field::Revoked | Field::Rfc9440TooLarge | Field::ChainRfc9440TooLarge => "0".into(),
            Field::IssuerDn
            | Field::SubjectDn
            | Field::IssuerDnRfc2253
            | Field::SubjectDnRfc2253
            | Field::IssuerDnLegacy
            | Field::SubjectDnLegacy
            | Field::Serial
            | Field::IssuerSerial
            | Field::FingerprintSha256
            | Field::FingerprintSha1
            | Field::Ski
            | Field::IssuerSki
            | Field::NotBefore
            | Field::NotAfter
            | Field::Rfc9440
            | Field::ChainRfc9440 => String::new(),
        })
    }

    /// For a chain and what was found about it.
    #[must_use]
    pub fn of(chain: &PresentedChain, verdict: &Verdict) -> Self {
        let leaf: &Certificate = chain.leaf();
        let issuer = verdict.issuer.as_deref();
        let behind = chain.client_cert_chain();
        Self::each(|field| match field {
            Field::Presented => "1".into(),
            Field::Verified => verdict.verified(),
            Field::Revoked => flag(verdict.is_revoked()),
            Field::IssuerDn | Field::IssuerDnRfc2253 => leaf.issuer().rfc2253(),
            Field::SubjectDn | Field::SubjectDnRfc2253 => leaf.subject().rfc2253(),
            Field::IssuerDnLegacy => leaf.issuer().legacy(),
            Field::SubjectDnLegacy => leaf.subject().legacy(),
            Field::Serial => leaf.serial().hex(),
            Field::IssuerSerial => issuer.map(|issuer| issuer.serial().hex()).unwrap_or_default(),
            Field::FingerprintSha256 => leaf.sha256_hex(),
            Field::FingerprintSha1 => leaf.sha1_hex(),
            Field::Ski => leaf.subject_key_id().map(hex::upper).unwrap_or_default(),
            Field::IssuerSki => {
                let above = issuer.and_then(Certificate::subject_key_id);
                above.or(leaf.authority_key_id()).map(hex::upper).unwrap_or_default()
            }
            Field::NotBefore => openssl_time(leaf.not_before()),
            Field::NotAfter => openssl_time(leaf.not_after()),
            Field::Rfc9440 => chain.client_cert().text().to_owned(),
            Field::Rfc9440TooLarge => flag(chain.client_cert() == HeaderValue::TooLarge),
            Field::ChainRfc9440 => {
                behind.as_ref().map(HeaderValue::text).unwrap_or_default().to_owned()
            }
            Field::ChainRfc9440TooLarge => flag(behind == Some(HeaderValue::TooLarge)),
        })
    }

    /// The value of `field`.
    #[must_use]
    pub fn get(&self, field: Field) -> &str {
        &self.0[field as usize]
    }

    fn each(value: impl Fn(Field) -> String) -> Self {
        Self(Field::ALL.map(|field| value(field).into()))
    }
}

fn flag(value: bool) -> String {
    if value { "1" } else { "0" }.into()
}

/// `Dec  2 19:39:00 2018 GMT`, as OpenSSL prints an ASN.1 time: the day is two columns wide.
fn openssl_time(at: UnixSeconds) -> String {
    let form = time::macros::format_description!(
        "[month repr:short] [day padding:space] [hour]:[minute]:[second] [year] GMT"
    );
    let at = OffsetDateTime::from_unix_timestamp(at.0).ok();
    at.and_then(|at| at.format(form).ok()).unwrap_or_default()
}
