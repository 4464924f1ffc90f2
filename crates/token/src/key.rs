//! One RSA signing key of the team and the certificate that publishes it.
#![expect(clippy::unimplemented, reason = "the interface comes first; the bodies follow")]

use crate::KeyError;
use narthex_model::{Kid, UnixSeconds};

/// An RSA-2048 key with its id, its certificate and the instant of its first use.
pub struct SigningKey {
    kid: Kid,
    certificate_pem: String,
    active_from: UnixSeconds,
    created_at: UnixSeconds,
}

impl SigningKey {
    /// Makes a new key, which takes some tens of milliseconds of CPU.
    #[must_use]
    pub fn generate(now: UnixSeconds, active_from: UnixSeconds) -> Self {
        let _ = (now, active_from);
        unimplemented!()
    }

    /// Takes up a key that was kept: `pkcs8` is a PKCS #8 private key in DER.
    ///
    /// # Errors
    /// `Damaged`, `Weak` or `Certificate` when it is not a whole key that this crate made.
    pub fn restore(
        kid: Kid,
        pkcs8: &[u8],
        certificate_pem: String,
        active_from: UnixSeconds,
        created_at: UnixSeconds,
    ) -> Result<Self, KeyError> {
        let _ = (pkcs8, kid, certificate_pem, active_from, created_at);
        unimplemented!()
    }

    /// The same key with another instant of first use.
    ///
    /// # Errors
    /// `Damaged` never in practice: the key has been read before.
    pub fn rescheduled(&self, active_from: UnixSeconds) -> Result<Self, KeyError> {
        let _ = active_from;
        unimplemented!()
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

    /// The private key as PKCS #8 in DER, to be sealed and kept. It is wiped when the key is dropped.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        unimplemented!()
    }

    /// The self-signed certificate as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }
}
