//! This gateway's own RSA keys: one to sign requests, one to open encrypted assertions.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

use std::sync::Arc;

/// Not an RSA key of at least 2048 bits in PKCS#8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RSA key of 2048 to 8192 bits in PKCS#8 (DER)")]
pub struct InvalidKey;

/// Signs requests, by RSA-SHA256. Cloning shares the key.
#[derive(Clone)]
pub struct SigningKey(Arc<RsaKeyPair>);

impl SigningKey {
    /// Reads a key in PKCS#8.
    ///
    /// # Errors
    /// When it is no RSA key or shorter than 2048 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, InvalidKey> {
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| InvalidKey)?;
        Ok(Self(Arc::new(pair)))
    }

    /// The signature of `message`; nothing when the library fails, which it does only out of memory.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(signature)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(self.0.public_key()).finish()
    }
}

/// The hash of RSA-OAEP, which is also that of its mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OaepHash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// Opens encrypted assertions, by RSA-OAEP. Cloning shares the key.
#[derive(Clone)]
pub struct DecryptionKey(Arc<OaepPrivateDecryptingKey>);

impl DecryptionKey {
    /// Reads a key in PKCS#8.
    ///
    /// # Errors
    /// When it is no RSA key or shorter than 2048 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, InvalidKey> {
        let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| InvalidKey)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| InvalidKey)?;
        Ok(Self(Arc::new(key)))
    }

    /// What `ciphertext` carries, if it was made for this key.
    pub(crate) fn unwrap(&self, hash: OaepHash, ciphertext: &[u8]) -> Option<Vec<u8>> {
        let algorithm: &'static OaepAlgorithm = match hash {
            OaepHash::Sha1 => &OAEP_SHA1_MGF1SHA1,
            OaepHash::Sha256 => &OAEP_SHA256_MGF1SHA256,
            OaepHash::Sha384 => &OAEP_SHA384_MGF1SHA384,
            OaepHash::Sha512 => &OAEP_SHA512_MGF1SHA512,
        };
        let mut plain = vec![0; self.0.min_output_size()];
        let plain = self.0.decrypt(algorithm, ciphertext, &mut plain, None).ok()?;
        Some(plain.to_vec())
    }
}

impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DecryptionKey(RSA, {} bits)", self.0.key_size_bits())
    }
}
