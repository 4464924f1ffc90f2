//! One RSA signing key of the team and the certificate that publishes it.

use crate::KeyError;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use narthex_model::{Kid, UnixSeconds};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fmt;
use std::sync::Arc;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Life of a certificate in seconds: longer than the longest rotation interval (a year), twice, and the overlap.
const CERTIFICATE_SECONDS: i64 = 3 * 365 * 24 * 3600;

/// A certificate is valid from a day before it was made, for verifiers whose clock is late.
const CERTIFICATE_BACKDATED_SECONDS: i64 = 24 * 3600;

/// `RSAPublicKey` (RFC 8017 A.1.1) in DER up to the modulus, for a modulus of exactly 2048 bits.
const BEFORE_MODULUS: &[u8] = b"\x30\x82\x01\x0a\x02\x82\x01\x01\x00";

/// The rest of it: the exponent 65537.
const AFTER_MODULUS: &[u8] = b"\x02\x03\x01\x00\x01";

/// An RSA-2048 key with its id, its certificate and the instant of its first use.
///
/// The private key stays in memory for as long as the value lives and is wiped with it; `Debug` does not show it.
pub struct SigningKey {
    kid: Kid,
    secret: Arc<Private>,
    certificate_pem: String,
    active_from: UnixSeconds,
    created_at: UnixSeconds,
}

/// The private key, read once and kept ready, and its bytes for the store.
struct Private {
    pair: RsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl SigningKey {
    /// Makes a new key under a random id, which takes some tens of milliseconds of CPU.
    ///
    /// # Panics
    /// When the cryptographic library cannot make a key, which means that it or the machine is broken.
    #[must_use]
    pub fn generate(now: UnixSeconds, active_from: UnixSeconds) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("the library makes RSA-2048 keys");
        let der = AsDer::as_der(&pair).expect("a key that was just made can be written");
        let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
        let kid = Kid::random();
        let certificate_pem =
            certificate(&pair, &kid, now).expect("a key can sign its certificate");
        let secret = Arc::new(Private { pair, pkcs8 });
        Self { kid, secret, certificate_pem, active_from, created_at: now }
    }

    /// Takes up a key that was kept: `pkcs8` is a PKCS #8 private key in DER.
    ///
    /// # Errors
    /// `Damaged`, `Unsuitable` or `Certificate` when it is not a whole key as [`SigningKey::generate`] makes it.
    pub fn restore(
        kid: Kid,
        pkcs8: &[u8],
        certificate_pem: String,
        active_from: UnixSeconds,
        created_at: UnixSeconds,
    ) -> Result<Self, KeyError> {
        let Ok(pair) = RsaKeyPair::from_pkcs8(pkcs8) else { return Err(KeyError::Damaged { kid }) };
        if modulus_in(pair.public_key().as_ref()).is_none() {
            return Err(KeyError::Unsuitable { kid });
        }
        if !holds(&certificate_pem, pair.public_key().as_ref()) {
            return Err(KeyError::Certificate { kid });
        }
        let secret = Arc::new(Private { pair, pkcs8: Zeroizing::new(pkcs8.to_vec()) });
        Ok(Self { kid, secret, certificate_pem, active_from, created_at })
    }

    /// The same key with another instant of first use.
    #[must_use]
    pub fn rescheduled(&self, active_from: UnixSeconds) -> Self {
        Self {
            kid: self.kid.clone(),
            secret: Arc::clone(&self.secret),
            certificate_pem: self.certificate_pem.clone(),
            active_from,
            created_at: self.created_at,
        }
    }

    /// The `kid` of its tokens.
    #[must_use]
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// When it signs for the first time; published long before.
    #[must_use]
    pub fn active_from(&self) -> UnixSeconds {
        self.active_from
    }

    /// When it was made, and published.
    #[must_use]
    pub fn created_at(&self) -> UnixSeconds {
        self.created_at
    }

    /// The private key as PKCS #8 in DER, to be sealed and kept. It is wiped when the last copy of the key is dropped.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.secret.pkcs8
    }

    /// The self-signed certificate as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The public key as `RSAPublicKey` in DER.
    pub(crate) fn public_der(&self) -> &[u8] {
        self.secret.pair.public_key().as_ref()
    }

    /// The modulus, 256 bytes, the first of them not zero.
    pub(crate) fn modulus(&self) -> &[u8] {
        modulus_in(self.public_der()).expect("every key has been found to be RSA-2048")
    }

    /// The RSASSA-PKCS1-v1_5 signature with SHA-256 (RFC 8017 §8.2), 256 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 256] {
        let mut signature = [0; 256];
        let signed =
            self.secret.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.expect("a sound RSA-2048 key signs everything into 256 bytes");
        signature
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, active_from, created_at, secret: _, certificate_pem: _ } = self;
        f.debug_struct("SigningKey")
            .field("kid", kid)
            .field("active_from", active_from)
            .field("created_at", created_at)
            .finish_non_exhaustive()
    }
}

/// The modulus of an `RSAPublicKey` with 2048 bits and the exponent 65537; `None` for every other key.
fn modulus_in(pkcs1: &[u8]) -> Option<&[u8]> {
    let modulus = pkcs1.strip_prefix(BEFORE_MODULUS)?.strip_suffix(AFTER_MODULUS)?;
    (modulus.len() == 256 && modulus[0] >= 0x80).then_some(modulus)
}

/// The `RSAPublicKey` in DER with this modulus and the exponent 65537; `None` unless the modulus has 2048 bits.
pub(crate) fn public_der(modulus: &[u8]) -> Option<Vec<u8>> {
    let der = [BEFORE_MODULUS, modulus, AFTER_MODULUS].concat();
    modulus_in(&der).is_some().then_some(der)
}

/// Whether the certificate holds exactly this public key.
fn holds(certificate_pem: &str, pkcs1: &[u8]) -> bool {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes());
    der.is_ok_and(|der| memchr::memmem::find(&der, pkcs1).is_some())
}

/// Lets rcgen sign with the key that is kept, so that no second copy of it comes into being.
struct Signer<'a>(&'a RsaKeyPair);

impl rcgen::PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl rcgen::SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature)
    }
}

/// The self-signed certificate that wraps the public key for verifiers who read PEM (access-protocol §5.6).
fn certificate(pair: &RsaKeyPair, kid: &Kid, now: UnixSeconds) -> Result<String, rcgen::Error> {
    let date =
        |at: UnixSeconds| OffsetDateTime::from_unix_timestamp(at.0).map_err(|_| rcgen::Error::Time);
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "narthex");
    parameters.distinguished_name.push(rcgen::DnType::CommonName, kid.as_str());
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    parameters.not_before = date(now.plus(-CERTIFICATE_BACKDATED_SECONDS))?;
    parameters.not_after = date(now.plus(CERTIFICATE_SECONDS))?;
    Ok(parameters.self_signed(&Signer(pair))?.pem())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate(UnixSeconds(1_800_000_000), UnixSeconds(1_800_086_400))
    }

    fn restore(kid: &Kid, pkcs8: &[u8], pem: &str) -> Result<SigningKey, KeyError> {
        SigningKey::restore(kid.clone(), pkcs8, pem.to_owned(), UnixSeconds(2), UnixSeconds(1))
    }

    #[test]
    fn a_key_survives_being_kept() {
        let key = key();
        let again = restore(key.kid(), key.pkcs8(), key.certificate_pem()).unwrap();
        assert_eq!(again.sign(b"x"), key.sign(b"x"), "PKCS #1 v1.5 is deterministic");
        assert_eq!((again.kid(), again.modulus()), (key.kid(), key.modulus()));
        assert_eq!((again.active_from(), again.created_at()), (UnixSeconds(2), UnixSeconds(1)));
        let moved = again.rescheduled(UnixSeconds(3));
        assert_eq!((moved.active_from(), moved.kid()), (UnixSeconds(3), key.kid()));
    }

    #[test]
    fn nothing_but_a_key_of_ours_is_taken_up() {
        let (key, other) = (key(), key());
        let kid = key.kid().clone();
        let damaged = Err(KeyError::Damaged { kid: kid.clone() });
        let certificate = Err(KeyError::Certificate { kid: kid.clone() });
        let mut changed = key.pkcs8().to_vec();
        changed[600] ^= 1; // somewhere in the private parts
        let ecdsa = rcgen::KeyPair::generate().unwrap();
        let big = RsaKeyPair::generate(KeySize::Rsa3072).unwrap();
        let big = AsDer::as_der(&big).unwrap();
        let unsuitable = Err(KeyError::Unsuitable { kid: kid.clone() });
        for (name, pkcs8, pem, want) in [
            ("nothing", &[][..], key.certificate_pem(), &damaged),
            ("cut short", &key.pkcs8()[..900], key.certificate_pem(), &damaged),
            ("a bit changed", &changed, key.certificate_pem(), &damaged),
            ("an ECDSA key", ecdsa.serialized_der(), key.certificate_pem(), &damaged),
            ("RSA-3072", big.as_ref(), key.certificate_pem(), &unsuitable),
            ("another certificate", key.pkcs8(), other.certificate_pem(), &certificate),
            ("no certificate", key.pkcs8(), "", &certificate),
        ] {
            assert_eq!(restore(&kid, pkcs8, pem).map(drop), *want, "{name}");
        }
    }

    #[test]
    fn a_weak_public_key_has_no_modulus() {
        let key = key();
        let der = key.public_der().to_vec();
        assert!(modulus_in(&der).is_some());
        assert_eq!(public_der(key.modulus()), Some(der.clone()));
        assert_eq!(public_der(&key.modulus()[1..]), None);
        let exponent = [&der[..der.len() - 5], b"\x02\x01\x03"].concat();
        assert_eq!(modulus_in(&exponent), None, "exponent 3");
        let mut small = der.clone();
        small[9] &= 0x7f;
        assert_eq!(modulus_in(&small), None, "2047 bits");
        assert_eq!(modulus_in(&der[1..]), None);
    }

    #[test]
    fn debug_shows_no_key() {
        let key = key();
        let shown = format!("{key:?}");
        assert!(shown.contains(key.kid().as_str()));
        assert!(shown.len() < 200, "{shown}");
    }
}
