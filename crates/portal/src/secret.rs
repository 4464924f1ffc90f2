//! Random handles that only one browser holds, what is kept of them, and proofs that need one.

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// 256 random bits as 43 characters of base64url: a login state, a hand-over nonce, a `CF_Session` cookie.
#[derive(Clone)]
pub(crate) struct Handle(String);

impl Handle {
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).expect("the system's random generator answers");
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads what a browser sent; anything that cannot be one of ours is none.
    pub(crate) fn read(raw: &str) -> Option<Self> {
        let sound = raw.len() == 43 && URL_SAFE_NO_PAD.decode(raw).is_ok();
        sound.then(|| Self(raw.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What the store keeps instead of the handle: its SHA-256.
    pub(crate) fn key(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }

    /// Another handle, derived from this one for one purpose: the same purpose gives the same handle.
    pub(crate) fn derive(&self, purpose: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        Self(URL_SAFE_NO_PAD.encode(hmac::sign(&key, purpose.as_bytes())))
    }

    /// Whether `claimed` is [`Self::derive`] of `purpose`; in constant time.
    pub(crate) fn proves(&self, purpose: &str, claimed: &str) -> bool {
        self.derive(purpose).0.as_bytes().ct_eq(claimed.as_bytes()).into()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// Whether two hashes are the same; in constant time.
pub(crate) fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_random_and_has_one_spelling() {
        let handle = Handle::random();
        assert_ne!(handle.as_str(), Handle::random().as_str());
        assert_eq!(Handle::read(handle.as_str()).unwrap().key(), handle.key());
        let padded = format!("{}=", handle.as_str());
        let plus = "+".repeat(43);
        // The last of 43 characters carries four bits: of its spellings only one is canonical.
        let loose = format!("{}B", "A".repeat(42));
        for near_miss in ["", "x", &handle.as_str()[1..], &padded, &plus, &loose] {
            assert!(Handle::read(near_miss).is_none(), "{near_miss}");
        }
    }

    #[test]
    fn a_proof_needs_the_handle_and_the_purpose() {
        let (one, other) = (Handle::random(), Handle::random());
        let proof = one.derive("form");
        assert!(one.proves("form", proof.as_str()));
        assert!(!other.proves("form", proof.as_str()));
        assert!(!one.proves("other form", proof.as_str()));
        assert!(!one.proves("form", ""));
    }
}
