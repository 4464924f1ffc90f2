//! Secrets in memory: never printed, compared in constant time, wiped when dropped.

use crate::id::{hex, random};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret text. `Debug` prints `[redacted]`; there is no `Display`, `Serialize` or `PartialEq`.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// 64 random hexadecimal digits, the form of a service token's Client Secret.
    #[must_use]
    pub fn random() -> Self {
        Self(Zeroizing::new(hex(&random::<32>())))
    }

    /// The text itself, for the one place that has to show or send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What is kept of a secret: HMAC-SHA-256 under a random salt of its own, 64 hexadecimal digits each.
///
/// For secrets of 128 random bits and more; a person's password needs a slow hash instead.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHash {
    salt: Box<str>,
    mac: Box<str>,
}

impl SecretHash {
    /// Hashes `secret` under a new salt.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        let salt = hex(&random::<32>());
        let mac = Self::mac(&salt, secret);
        Self { salt: salt.into(), mac: mac.into() }
    }

    /// Whether `presented` is the secret; the time taken does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        let mac = Self::mac(&self.salt, presented);
        mac.as_bytes().ct_eq(self.mac.as_bytes()).into()
    }

    fn mac(salt: &str, secret: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
        hex(hmac::sign(&key, secret.as_bytes()).as_ref())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:?}", SecretHash::of("hunter2")), "[redacted] [redacted]");
    }

    #[test]
    fn a_hash_knows_its_secret_only() {
        let hash = SecretHash::of("right");
        assert!(hash.matches("right"));
        for near_miss in ["", "Right", "righ", "right "] {
            assert!(!hash.matches(near_miss), "{near_miss:?}");
        }
        assert_ne!(hash, SecretHash::of("right"), "two salts");
    }
}
