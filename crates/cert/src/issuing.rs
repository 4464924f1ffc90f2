//! The account's own certificate authority: it signs requests of clients, or makes a key for them.

use crate::{Certificate, CertificateFault};
use aws_lc_rs::rand;
use narthex_model::UnixSeconds;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// The longest validity that a client's certificate may be asked for: ten years.
pub const MAX_VALIDITY_DAYS: u32 = 3650;

/// Bytes of a certificate signing request (PEM).
const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// Seconds by which a certificate's validity begins before it is made, for clocks that are behind.
const BACKDATED_SECONDS: i64 = 300;

/// The account's own CA with its private key.
pub struct IssuingCa {
    certificate: Arc<Certificate>,
    key: Zeroizing<Vec<u8>>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate that the CA has signed.
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// The private key as PKCS #8 PEM, if it was made here. It is shown once and kept nowhere.
    pub private_key_pem: Option<Zeroizing<String>>,
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuingFault {
    /// The validity is zero or longer than ten years.
    #[error("a validity of {0} days: ask for 1 to {MAX_VALIDITY_DAYS}")]
    Validity(u32),
    /// The request is no PKCS #10 in PEM, is too large, or its signature is not by the key that it holds.
    #[error("the certificate signing request cannot be used: {0}")]
    Request(String),
    /// The request's key is too weak or of a kind that is not accepted.
    #[error(
        "the request holds a key that is not accepted: use RSA of 2048 bits or more, a NIST curve, or Ed25519"
    )]
    WeakKey,
    /// The request names nobody.
    #[error(
        "the request has neither a subject nor an alternative name: nothing would tell its holder from others"
    )]
    Nameless,
    /// The kept certificate and key do not belong together or cannot be read.
    #[error("the kept certificate authority cannot be used: {0}")]
    Unusable(String),
}

impl IssuingCa {
    /// Makes a CA: an ECDSA key on P-256, self-signed, for `days` from `now`. `name` becomes its common name.
    ///
    /// # Errors
    /// [`IssuingFault::Unusable`] when the system gives no randomness.
    pub fn generate(name: &str, days: u32, now: UnixSeconds) -> Result<Self, IssuingFault> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unusable)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?);
        set_validity(&mut params, days, now);
        let made = params.self_signed(&key).map_err(unusable)?;
        Self::restore(made.der(), &Zeroizing::new(key.serialize_der()))
    }

    /// The CA from what was kept of it: certificate (DER) and private key (PKCS #8 DER).
    ///
    /// # Errors
    /// [`IssuingFault::Unusable`], also when the key is not the certificate's.
    pub fn restore(certificate: &[u8], pkcs8: &Zeroizing<Vec<u8>>) -> Result<Self, IssuingFault> {
        let read = Certificate::parse(certificate);
        let read =
            read.map_err(|fault: CertificateFault| IssuingFault::Unusable(fault.to_string()))?;
        let pair =
            KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8.as_slice())).map_err(unusable)?;
        if rcgen::PublicKeyData::subject_public_key_info(&pair) != read.spki() {
            return Err(IssuingFault::Unusable("the key is not the certificate's".into()));
        }
        let der = CertificateDer::from(certificate.to_vec());
        let issuer = Issuer::from_ca_cert_der(&der, pair).map_err(unusable)?;
        Ok(Self { certificate: Arc::new(read), key: pkcs8.clone(), issuer })
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// Its private key (PKCS #8 DER), to be sealed and kept.
    #[must_use]
    pub fn pkcs8(&self) -> &Zeroizing<Vec<u8>> {
        &self.key
    }

    /// Signs a client's request (PKCS #10, PEM): subject, alternative names and key are the request's; purpose
    /// (client authentication alone), validity and serial number are ours, whatever else the request asks for.
    ///
    /// # Errors
    /// See [`IssuingFault`].
    pub fn sign(&self, csr_pem: &str, days: u32, now: UnixSeconds) -> Result<Issued, IssuingFault> {
        check_days(days)?;
        if csr_pem.len() > MAX_REQUEST_BYTES {
            return Err(IssuingFault::Request("it is too large".into()));
        }
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|error| IssuingFault::Request(error.to_string()))?;
        let asked = request.params;
        let params = self.client(asked.distinguished_name, asked.subject_alt_names, days, now)?;
        let signed = CertificateSigningRequestParams { params, public_key: request.public_key }
            .signed_by(&self.issuer)
            .map_err(|error| IssuingFault::Request(error.to_string()))?;
        self.issued(signed.der(), None)
    }

    /// Makes a key on P-256 and a certificate for it with this common name.
    ///
    /// # Errors
    /// See [`IssuingFault`].
    pub fn issue(
        &self,
        common_name: &str,
        days: u32,
        now: UnixSeconds,
    ) -> Result<Issued, IssuingFault> {
        check_days(days)?;
        let mut name = DistinguishedName::new();
        if !common_name.is_empty() {
            name.push(DnType::CommonName, common_name);
        }
        let params = self.client(name, Vec::new(), days, now)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unusable)?;
        let signed = params.signed_by(&key, &self.issuer).map_err(unusable)?;
        self.issued(signed.der(), Some(Zeroizing::new(key.serialize_pem())))
    }

    fn client(
        &self,
        name: DistinguishedName,
        alternative: Vec<SanType>,
        days: u32,
        now: UnixSeconds,
    ) -> Result<CertificateParams, IssuingFault> {
        if name.iter().next().is_none() && alternative.is_empty() {
            return Err(IssuingFault::Nameless);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.subject_alt_names = alternative;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        set_validity(&mut params, days, now);
        let last = OffsetDateTime::from_unix_timestamp(self.certificate.not_after().0);
        if let Ok(last) = last {
            params.not_after = params.not_after.min(last);
        }
        Ok(params)
    }

    fn issued(
        &self,
        der: &[u8],
        private_key_pem: Option<Zeroizing<String>>,
    ) -> Result<Issued, IssuingFault> {
        let certificate =
            Certificate::parse(der).map_err(|fault| IssuingFault::Request(fault.to_string()))?;
        if !certificate.key().is_strong() {
            return Err(IssuingFault::WeakKey);
        }
        Ok(Issued { certificate, private_key_pem })
    }
}

/// The key is a secret.
impl std::fmt::Debug for IssuingCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuingCa").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The key is a secret.
impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

fn check_days(days: u32) -> Result<(), IssuingFault> {
    let valid = (1..=MAX_VALIDITY_DAYS).contains(&days);
    if valid { Ok(()) } else { Err(IssuingFault::Validity(days)) }
}

fn set_validity(params: &mut CertificateParams, days: u32, now: UnixSeconds) {
    let at = |seconds: UnixSeconds| {
        OffsetDateTime::from_unix_timestamp(seconds.0).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    params.not_before = at(now.plus(-BACKDATED_SECONDS));
    params.not_after = at(now.plus(i64::from(days) * 86_400));
}

/// 159 random bits, never negative and never zero (RFC 5280 §4.1.2.2).
fn serial() -> Result<SerialNumber, IssuingFault> {
    let mut octets = [0; 20];
    rand::fill(&mut octets)
        .map_err(|_| IssuingFault::Unusable("the system gives no random numbers".into()))?;
    octets[0] = octets[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&octets))
}

fn unusable(error: rcgen::Error) -> IssuingFault {
    IssuingFault::Unusable(error.to_string())
}
