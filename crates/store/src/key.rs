//! Signing keys as they are kept.

use narthex_model::{Kid, UnixSeconds};
use std::fmt;
use zeroize::Zeroizing;

/// A signing key as it leaves and enters the store; on disk the private half is sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its id.
    pub kid: Kid,
    /// The private key, PKCS #8 DER.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// The certificate published beside the public key.
    pub certificate_pem: String,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// The first instant at which it signs.
    pub active_from: UnixSeconds,
}

/// The key that signs our requests to SAML providers. It has one certificate for as long as the gateway lives, because
/// providers are told of it by hand.
#[derive(Clone, PartialEq, Eq)]
pub struct SamlKey {
    /// The private key, PKCS #8 DER.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// The certificate that providers are given.
    pub certificate_pem: String,
    /// When it was made.
    pub created_at: UnixSeconds,
}

impl fmt::Debug for SamlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamlKey").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKey")
            .field("kid", &self.kid)
            .field("active_from", &self.active_from)
            .finish_non_exhaustive()
    }
}
