//! The keys that a SAML provider may encrypt assertions for: the one in use, and the one before it, which goes on opening
//! what the provider still encrypts for it.

use crate::{CertificateSetId, Secret, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use zeroize::Zeroizing;

/// A provider's certificate set. It is sealed as a whole, as the one secret of its provider.
#[derive(Clone, Serialize, Deserialize)]
pub struct CertificateSet {
    /// Its id.
    pub uid: CertificateSetId,
    /// The certificate to encrypt for.
    pub current: EncryptionKey,
    /// The one before it.
    pub previous: Option<EncryptionKey>,
    /// When the set was made.
    pub created_at: Timestamp,
    /// When it was last rotated.
    pub updated_at: Timestamp,
}

/// One key with its certificate.
#[derive(Clone, Serialize, Deserialize)]
pub struct EncryptionKey {
    /// Its id.
    pub uid: CertificateSetId,
    /// The certificate that the provider is given.
    pub certificate_pem: String,
    /// When the certificate expires.
    pub not_after: Timestamp,
    /// PKCS #8 in base64.
    #[serde(serialize_with = "exposed")]
    pkcs8: Secret,
}

impl EncryptionKey {
    /// A key under a new id; `pkcs8` is DER.
    #[must_use]
    pub fn new(pkcs8: &[u8], certificate_pem: String, not_after: Timestamp) -> Self {
        let pkcs8 = Secret::from(STANDARD.encode(pkcs8));
        Self { uid: CertificateSetId::random(), certificate_pem, not_after, pkcs8 }
    }

    /// The private key, PKCS #8 in DER.
    #[must_use]
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(STANDARD.decode(self.pkcs8.expose()).unwrap_or_default())
    }
}

/// Writes the key into what is sealed as a whole.
fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl CertificateSet {
    /// A new set with one key.
    #[must_use]
    pub fn of(key: EncryptionKey, now: Timestamp) -> Self {
        let uid = CertificateSetId::random();
        Self { uid, current: key, previous: None, created_at: now, updated_at: now }
    }

    /// The set with `key` in use and the present one before it; what was before that is forgotten.
    #[must_use]
    pub fn rotated(self, key: EncryptionKey, now: Timestamp) -> Self {
        Self { current: key, previous: Some(self.current), updated_at: now, ..self }
    }

    /// The keys that may open an assertion, the one in use first.
    pub fn keys(&self) -> impl Iterator<Item = &EncryptionKey> {
        [&self.current].into_iter().chain(&self.previous)
    }

    pub(super) fn to_secret(&self) -> Secret {
        Secret::from(serde_json::to_string(self).expect("a set has only text keys"))
    }

    pub(super) fn read(secret: &Secret) -> Option<Self> {
        serde_json::from_str(secret.expose()).ok()
    }
}

impl fmt::Debug for CertificateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateSet").field("uid", &self.uid).finish_non_exhaustive()
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey").field("uid", &self.uid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixSeconds;

    #[test]
    fn a_set_keeps_two_keys_and_shows_none() {
        let key = |n: u8| EncryptionKey::new(&[n; 40], format!("PEM {n}"), Timestamp::default());
        let at = |n| Timestamp(UnixSeconds(n));
        let set = CertificateSet::of(key(1), at(1)).rotated(key(2), at(2)).rotated(key(3), at(3));
        let pems: Vec<_> = set.keys().map(|key| key.certificate_pem.as_str()).collect();
        assert_eq!(pems, ["PEM 3", "PEM 2"]);
        assert_eq!((set.created_at, set.updated_at), (at(1), at(3)));
        let again = CertificateSet::read(&set.to_secret()).expect("what we write, we read");
        assert_eq!((again.uid, again.current.uid), (set.uid, set.current.uid));
        assert_eq!(*again.current.pkcs8(), [3; 40]);
        let shown = format!("{set:?} {:?}", set.current);
        assert!(!shown.contains("PEM") && !shown.contains("AwMD"), "{shown}");
    }
}
