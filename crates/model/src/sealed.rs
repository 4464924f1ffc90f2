//! Sealing: how secrets lie on disk. AES-256-GCM-SIV under one master key (dependencies §13).

use crate::id::random;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fmt;
use zeroize::Zeroizing;

/// A sealed value could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sealed value does not open: it was sealed by another master key, for another place, or is damaged"
)]
pub struct Unsealable;

/// Text that is not a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits (32 random bytes)")]
pub struct InvalidMasterKey;

/// The key-encrypting key of one installation.
pub struct MasterKey(LessSafeKey);

impl MasterKey {
    /// Makes a new key and returns it with the text to keep: 64 hexadecimal digits.
    #[must_use]
    pub fn generate() -> (Self, Zeroizing<String>) {
        let bytes = Zeroizing::new(random::<32>());
        (Self::of(&bytes), Zeroizing::new(crate::id::hex(bytes.as_slice())))
    }

    /// Reads a key as [`MasterKey::generate`] wrote it; surrounding white space is ignored.
    ///
    /// # Errors
    /// [`InvalidMasterKey`] unless 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidMasterKey> {
        let text = text.trim().as_bytes();
        let mut bytes = Zeroizing::new([0u8; 32]);
        if text.len() != 64 {
            return Err(InvalidMasterKey);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidMasterKey)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidMasterKey)?;
        }
        Ok(Self::of(&bytes))
    }

    fn of(bytes: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, bytes).expect("the key has 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Whether both are the same key. Neither shows its bytes: one opens what the other has sealed.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        other.open(&self.seal(b"", "the same key"), "the same key").is_ok()
    }

    /// Seals `plain` for `place` (table, row and column): a sealed value moved elsewhere does not open.
    #[must_use]
    pub fn seal(&self, plain: &[u8], place: &str) -> Vec<u8> {
        let nonce = random::<NONCE_LEN>();
        let mut sealed = plain.to_vec();
        let tag = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.as_bytes()),
            &mut sealed,
        );
        tag.expect("sealing fails only for inputs of many gigabytes");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`MasterKey::seal`] made for the same `place`.
    ///
    /// # Errors
    /// [`Unsealable`] for another key or place, or when a byte has changed.
    pub fn open(&self, sealed: &[u8], place: &str) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(Unsealable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = self.0.open_in_place(nonce, Aad::from(place.as_bytes()), body.as_mut_slice());
        let length = plain.map_err(|_| Unsealable)?.len();
        body.truncate(length);
        Ok(body)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_own_place_only() {
        let (key, text) = MasterKey::generate();
        let sealed = key.seal(b"secret", "idp/1/client_secret");
        let again = MasterKey::parse(&text).unwrap();
        assert_eq!(again.open(&sealed, "idp/1/client_secret").unwrap().as_slice(), b"secret");
        assert!(key.open(&sealed, "idp/2/client_secret").is_err(), "moved to another row");
        assert!(
            MasterKey::generate().0.open(&sealed, "idp/1/client_secret").is_err(),
            "another key"
        );
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(&damaged, "idp/1/client_secret").is_err(), "byte {at} changed");
        }
        assert!(key.open(&sealed[..5], "idp/1/client_secret").is_err(), "cut short");
        assert!(MasterKey::parse("abc").is_err());
        assert!(key.is(&again) && again.is(&key) && !key.is(&MasterKey::generate().0));
    }
}
