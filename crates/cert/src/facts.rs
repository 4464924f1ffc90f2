//! The documented facts about a connection's certificate, as texts: the fields of `tlsClientAuth` (access-protocol §7.8).

use crate::{Certificate, HeaderValue, PresentedChain, Verdict, hex};
use narthex_model::{ClientAuthField as Field, UnixSeconds};
use time::OffsetDateTime;

/// The value of every [`ClientAuthField`] for one connection. All are filled even when the verification failed; without a
/// certificate all but the first three are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts(Box<[Box<str>]>);

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
        let no = [Field::CertRevoked, Field::CertRfc9440TooLarge, Field::CertChainRfc9440TooLarge];
        Self::each(|field| {
            if field == Field::CertPresented {
                presented.into()
            } else if field == Field::CertVerified {
                verified.into()
            } else if no.contains(&field) {
                "0".into()
            } else {
                String::new()
            }
        })
    }

    /// For a chain and what was found about it.
    #[must_use]
    pub fn of(chain: &PresentedChain, verdict: &Verdict) -> Self {
        let leaf: &Certificate = chain.leaf();
        let issuer = verdict.issuer.as_deref();
        let behind = chain.client_cert_chain();
        Self::each(|field| match field {
            Field::CertPresented => "1".into(),
            Field::CertVerified => verdict.verified(),
            Field::CertRevoked => flag(verdict.is_revoked()),
            Field::CertIssuerDn | Field::CertIssuerDnRfc2253 => leaf.issuer().rfc2253(),
            Field::CertSubjectDn | Field::CertSubjectDnRfc2253 => leaf.subject().rfc2253(),
            Field::CertIssuerDnLegacy => leaf.issuer().legacy(),
            Field::CertSubjectDnLegacy => leaf.subject().legacy(),
            Field::CertSerial => leaf.serial().hex(),
            Field::CertIssuerSerial => {
                issuer.map(|issuer| issuer.serial().hex()).unwrap_or_default()
            }
            Field::CertFingerprintSha256 => leaf.sha256_hex(),
            Field::CertFingerprintSha1 => leaf.sha1_hex(),
            Field::CertSki => leaf.subject_key_id().map(hex::upper).unwrap_or_default(),
            Field::CertIssuerSki => {
                let above = issuer.and_then(Certificate::subject_key_id);
                above.or(leaf.authority_key_id()).map(hex::upper).unwrap_or_default()
            }
            Field::CertNotBefore => openssl_time(leaf.not_before()),
            Field::CertNotAfter => openssl_time(leaf.not_after()),
            Field::CertRfc9440 => chain.client_cert().text().to_owned(),
            Field::CertRfc9440TooLarge => flag(chain.client_cert() == HeaderValue::TooLarge),
            Field::CertChainRfc9440 => {
                behind.as_ref().map(HeaderValue::text).unwrap_or_default().to_owned()
            }
            Field::CertChainRfc9440TooLarge => flag(behind == Some(HeaderValue::TooLarge)),
        })
    }

    /// The value of `field`. The DN "as OpenSSL writes it" is the RFC 2253 text, by the documented example.
    #[must_use]
    pub fn get(&self, field: Field) -> &str {
        &self.0[field as usize]
    }

    fn each(value: impl Fn(Field) -> String) -> Self {
        Self(Field::ALL.iter().map(|field| value(*field).into()).collect())
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
