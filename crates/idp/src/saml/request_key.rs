//! The key that signs our requests to SAML providers, those that they encrypt for, and the certificates that they know them
//! by.

use crate::error::IdpError;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use narthex_model::{EncryptionKey, Timestamp, UnixSeconds};
use narthex_saml::{Certificate, SigningKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, KeyUsagePurpose};
use std::fmt;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Life of the certificate in seconds. Providers are told of it by hand, so it is long.
const CERTIFICATE_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// It is valid from a day before it was made, for providers whose clock is late.
const BACKDATED_SECONDS: i64 = 24 * 3600;

/// An RSA-2048 key and its self-signed certificate. `Debug` does not show the private half.
pub struct RequestKey {
    pkcs8: Zeroizing<Vec<u8>>,
    certificate_pem: String,
    certificate: Certificate,
    pub(super) signing: SigningKey,
}

impl RequestKey {
    /// Makes a new key for the team domain `team`; takes some tens of milliseconds of CPU.
    ///
    /// # Panics
    /// When the cryptographic library cannot make a key, which means that it or the machine is broken.
    #[must_use]
    pub fn generate(team: &str, now: UnixSeconds) -> Self {
        let pkcs8 = generate();
        let usage = KeyUsagePurpose::DigitalSignature;
        let made = certificate(&pkcs8, team, usage, now);
        let certificate_pem = made.expect("a key signs its certificate");
        Self::restore(&pkcs8, certificate_pem).expect("what was just made is whole")
    }

    /// Takes up a key that was kept.
    ///
    /// # Errors
    /// `Misconfigured` when it is damaged.
    pub fn restore(pkcs8: &[u8], certificate_pem: String) -> Result<Self, IdpError> {
        let damaged = |what: &str| {
            IdpError::Misconfigured(format!("the {what} that signs our requests is damaged"))
        };
        let signing = SigningKey::from_pkcs8(pkcs8).map_err(|_| damaged("kept key"))?;
        let certificate = Certificate::parse(&certificate_pem);
        let certificate = certificate.map_err(|_| damaged("certificate of the key"))?;
        Ok(Self { pkcs8: Zeroizing::new(pkcs8.to_vec()), certificate_pem, certificate, signing })
    }

    /// The private key as PKCS #8 in DER, to be sealed and kept.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The certificate as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The certificate, for our metadata.
    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestKey([redacted])")
    }
}

/// Makes a key that a provider may encrypt assertions for; takes some tens of milliseconds of CPU.
///
/// # Panics
/// When the cryptographic library cannot make a key, which means that it or the machine is broken.
#[must_use]
pub fn encryption_key(team: &str, now: UnixSeconds) -> EncryptionKey {
    let pkcs8 = generate();
    let made = certificate(&pkcs8, team, KeyUsagePurpose::KeyEncipherment, now);
    let pem = made.expect("a key signs its certificate");
    EncryptionKey::new(&pkcs8, pem, Timestamp(now.plus(CERTIFICATE_SECONDS)))
}

fn generate() -> Zeroizing<Vec<u8>> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("the library makes RSA-2048 keys");
    let der = pair.as_der().expect("a key that was just made can be written");
    Zeroizing::new(der.as_ref().to_vec())
}

fn certificate(
    pkcs8: &[u8],
    team: &str,
    usage: KeyUsagePurpose,
    now: UnixSeconds,
) -> Result<String, rcgen::Error> {
    let date =
        |at: UnixSeconds| OffsetDateTime::from_unix_timestamp(at.0).map_err(|_| rcgen::Error::Time);
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), &rcgen::PKCS_RSA_SHA256)?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::OrganizationName, "narthex");
    parameters.distinguished_name.push(DnType::CommonName, team);
    parameters.key_usages = vec![usage];
    parameters.not_before = date(now.plus(-BACKDATED_SECONDS))?;
    parameters.not_after = date(now.plus(CERTIFICATE_SECONDS))?;
    Ok(parameters.self_signed(&pair)?.pem())
}
