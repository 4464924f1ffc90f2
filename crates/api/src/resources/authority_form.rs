//! An uploaded authority: read once, refused with what is wrong with it, and shown by its fingerprint.

use crate::error::ApiError;
use crate::fields::Fields;
use narthex_cert::Authority;
use narthex_model::{
    AuthorityKind, CertificateAuthority, CertificateAuthorityId, CertificatePem, RevocationChecks,
    Timestamp, UnixSeconds, ZoneId,
};

/// A certificate that ends within this many seconds is reported: thirty days.
pub const EXPIRES_SOON_SECONDS: i64 = 30 * 86_400;

/// Whether a certificate ends soon, or has ended.
pub(crate) fn expiring(expires_on: Timestamp, now: UnixSeconds) -> bool {
    expires_on.0.since(now) < EXPIRES_SOON_SECONDS
}

/// Certificates of an authority as they came in a request.
pub(crate) struct Uploaded {
    pem: CertificatePem,
    pub(crate) authority: Authority,
}

impl Uploaded {
    /// Reads the member `name`: PEM of an authority, with what issued it behind.
    ///
    /// # Errors
    /// `Invalid` for anything but certificates of authorities.
    pub(crate) fn read(fields: &Fields, name: &str) -> Result<Self, ApiError> {
        // Terraform files and shell scripts often carry PEM with its line ends written as `\n`.
        let text: String = fields.need(name)?;
        let text = text.replace("\\n", "\n");
        let authority = Authority::parse(&text);
        let authority = authority.map_err(|why| fields.refuse(name, why.to_string()))?;
        let pem = text
            .try_into()
            .map_err(|why: narthex_model::InvalidPem| fields.refuse(name, why.to_string()))?;
        Ok(Self { pem, authority })
    }

    /// The object that is made of it; without hostnames yet.
    pub(crate) fn authority(
        self,
        kind: AuthorityKind,
        name: String,
        zone: Option<ZoneId>,
        now: Timestamp,
    ) -> CertificateAuthority {
        CertificateAuthority {
            id: CertificateAuthorityId::random(),
            name,
            kind,
            fingerprint: self.authority.principal().md5_fingerprint(),
            expires_on: Timestamp(self.authority.expires_on()),
            certificates: self.pem,
            key: None,
            hostnames: Vec::new(),
            revocation: RevocationChecks::default(),
            zone,
            created_at: now,
            updated_at: now,
        }
    }
}

/// The name of a certificate's signature algorithm as the contract writes it, such as `SHA256WithRSA`; its OID when
/// there is no name.
pub(crate) fn signature_of(der: &[u8]) -> String {
    let Ok((_, read)) = x509_parser::parse_x509_certificate(der) else { return String::new() };
    let oid = read.signature_algorithm.algorithm.to_id_string();
    let known = match oid.as_str() {
        "1.2.840.113549.1.1.5" => "SHA1WithRSA",
        "1.2.840.113549.1.1.11" => "SHA256WithRSA",
        "1.2.840.113549.1.1.12" => "SHA384WithRSA",
        "1.2.840.113549.1.1.13" => "SHA512WithRSA",
        "1.2.840.113549.1.1.10" => "RSAPSS",
        "1.2.840.10045.4.3.2" => "ECDSAWithSHA256",
        "1.2.840.10045.4.3.3" => "ECDSAWithSHA384",
        "1.2.840.10045.4.3.4" => "ECDSAWithSHA512",
        "1.3.101.112" => "Ed25519",
        other => other,
    };
    known.to_owned()
}
