//! What a rule asks about a client certificate (access-protocol §7.5): two questions of the contract, and our own.

use super::CertificateHolder;
use crate::CertificateAuthorityId;

/// A question about a trusted client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSelector {
    /// Only certificates of this authority count; `None`: those of any that is associated with the hostname.
    pub authority: Option<CertificateAuthorityId>,
    /// What is asked.
    pub asks: CertificateQuestion,
}

/// What is asked about a client certificate. Every comparison is with the whole value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateQuestion {
    /// That there is one.
    Any,
    /// Its subject has exactly one common name, which is this, letter for letter.
    CommonName(Box<str>),
    /// A DNS name, compared without case.
    DnsName(Box<str>),
    /// An address, compared without case.
    Email(Box<str>),
    /// A URI, such as a SPIFFE ID, letter for letter.
    Uri(Box<str>),
    /// SHA-256 of its public key, lower-case hexadecimal digits: it outlives renewals that keep the key.
    PublicKey(Box<str>),
    /// SHA-256 of the certificate, lower-case hexadecimal digits.
    Fingerprint(Box<str>),
}

impl CertificateSelector {
    /// Whether the certificate is one that is asked for.
    #[must_use]
    pub fn holds_for(&self, holder: &CertificateHolder) -> bool {
        if self.authority.is_some() && self.authority != holder.certificate_id {
            return false;
        }
        let among = |names: &[Box<str>], wanted: &str| {
            names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
        };
        match &self.asks {
            CertificateQuestion::Any => true,
            CertificateQuestion::CommonName(name) => holder.common_name.as_ref() == Some(name),
            CertificateQuestion::DnsName(name) => among(&holder.dns_names, name),
            CertificateQuestion::Email(address) => among(&holder.emails, address),
            CertificateQuestion::Uri(uri) => holder.uris.contains(uri),
            CertificateQuestion::PublicKey(digest) => holder.spki_sha256 == *digest,
            CertificateQuestion::Fingerprint(digest) => holder.fingerprint_sha256 == *digest,
        }
    }
}
