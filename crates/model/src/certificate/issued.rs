//! Client certificates that the gateway's own authority signed (api/README "Client certificates").

use super::{CertificatePem, SerialNumber};
use crate::{CertificateAuthorityId, ClientCertificateId, Timestamp, ZoneId};
use serde::{Deserialize, Serialize};

/// Whether a certificate counts. The contract knows two states in between; ours change at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificateStatus {
    /// It counts until it expires.
    Active,
    /// It does not count.
    Revoked,
}

impl ClientCertificateStatus {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

/// A certificate that the gateway issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// Its id.
    pub id: ClientCertificateId,
    /// The authority that signed it.
    pub authority: CertificateAuthorityId,
    /// The certificate.
    pub certificate: CertificatePem,
    /// The signing request it was made from, PEM as it was sent.
    pub csr: String,
    /// Whether it counts.
    pub status: ClientCertificateStatus,
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// SHA-256 of the DER, lower-case hexadecimal digits.
    pub fingerprint_sha256: String,
    /// Subject key identifier, lower-case hexadecimal digits.
    pub ski: String,
    /// Name of the signature's algorithm, such as `ECDSAWithSHA256`.
    pub signature: String,
    /// What the subject says; empty where it is silent.
    pub subject: IssuedSubject,
    /// Days from issue to expiry, as asked for.
    pub validity_days: u32,
    /// From when it is valid.
    pub issued_on: Timestamp,
    /// Until when it is valid.
    pub expires_on: Timestamp,
    /// When it was revoked, if it is.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
    /// The zone through which it was made.
    pub zone: ZoneId,
}

/// The parts of a subject that the contract shows one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the attributes (RFC 5280 §4.1.2.4)")]
pub struct IssuedSubject {
    pub common_name: String,
    pub country: String,
    pub state: String,
    pub location: String,
    pub organization: String,
    pub organizational_unit: String,
}
