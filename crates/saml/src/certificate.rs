//! Certificates as SAML uses them: a container for a public key, which is strong enough or refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bergshamra_keys::Key;
use bergshamra_keys::loader::load_spki_der;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::UnixSeconds;

/// A certificate whose key is RSA of 2048 to 8192 bits, or ECDSA on P-256, P-384 or P-521.
#[derive(Clone)]
pub struct Certificate {
    der: Box<[u8]>,
    key: Key,
    not_after: UnixSeconds,
}

/// Why a certificate cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// Neither PEM nor the base64 inside it.
    #[error(
        "not a certificate: give the PEM block, or the base64 between its BEGIN and END lines, of one certificate"
    )]
    Unreadable,
    /// A kind or size of key that is not accepted.
    #[error(
        "the certificate's key is not RSA of 2048 to 8192 bits or ECDSA on P-256, P-384 or P-521"
    )]
    Key,
}

impl Certificate {
    /// Reads one certificate: PEM, or the bare base64 of its DER as metadata carries it.
    ///
    /// # Errors
    /// `Unreadable`, also for more than one PEM block; `Key` when it is too weak or of another kind.
    pub fn parse(text: &str) -> Result<Self, InvalidCertificate> {
        let unreadable = InvalidCertificate::Unreadable;
        let body = match text.trim().strip_prefix("-----BEGIN CERTIFICATE-----") {
            Some(rest) => rest.strip_suffix("-----END CERTIFICATE-----").ok_or(unreadable)?,
            None => text,
        };
        let compact: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(compact).map_err(|_| unreadable)?;
        Self::from_der(&der)
    }

    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// As [`Certificate::parse`].
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidCertificate> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| InvalidCertificate::Unreadable)?;
        if !rest.is_empty() {
            return Err(InvalidCertificate::Unreadable);
        }
        let public = certificate.public_key();
        if !is_strong(&public.parsed().map_err(|_| InvalidCertificate::Key)?) {
            return Err(InvalidCertificate::Key);
        }
        let key = load_spki_der(public.raw).map_err(|_| InvalidCertificate::Key)?;
        let not_after = UnixSeconds(certificate.validity().not_after.timestamp());
        Ok(Self { der: der.into(), key, not_after })
    }

    /// The certificate, as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Until when its issuer means it to be used. SAML does not ask; an administrator may want a warning.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        self.not_after
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(&self.der)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("der", &format_args!("{} bytes", self.der.len()))
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Whether forging with this kind and size of key is out of reach. Which curve it is the loader asks.
fn is_strong(key: &PublicKey<'_>) -> bool {
    match key {
        PublicKey::RSA(rsa) => (2048..=8192).contains(&rsa.key_size()),
        PublicKey::EC(point) => point.key_size() >= 256,
        PublicKey::DSA(_)
        | PublicKey::GostR3410(_)
        | PublicKey::GostR3410_2012(_)
        | PublicKey::Unknown(_) => false,
    }
}
