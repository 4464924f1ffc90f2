//! The local CA: signs a certificate for any name of ours that has none, for demonstrations and development.
//!
//! It is made at the first start and kept, so that people need to trust it once only.

use narthex_model::{Hostname, UnixSeconds};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The certificate, for people to trust.
const CERTIFICATE_FILE: &str = "local-ca.pem";

/// The private key, for nobody.
const KEY_FILE: &str = "local-ca-key.pem";

/// Life of the CA in seconds: ten years.
const CA_LIFE: i64 = 3650 * 86_400;

/// Life of a certificate it signs, in seconds: what browsers still accept.
const LEAF_LIFE: i64 = 397 * 86_400;

/// Certificates begin this long ago, in seconds, for clients whose clock is behind.
const BACKDATED: i64 = 3600;

/// Why the local CA could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum LocalCaError {
    /// A file could not be read or written.
    #[error("the local CA's file {} could not be read or written", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// One of the two files is missing.
    #[error(
        "of the local CA's files only {} is there; restore the other, or delete it and trust a new CA",
        present.display()
    )]
    Half {
        /// The one that is there.
        present: PathBuf,
    },
    /// The files do not hold a CA and its key.
    #[error(
        "the local CA in {} is damaged; restore {CERTIFICATE_FILE} and {KEY_FILE}, or delete both and trust a new CA",
        dir.display()
    )]
    Damaged {
        /// Where they are.
        dir: PathBuf,
        /// What is wrong.
        source: Option<rcgen::Error>,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made")]
    Sign(#[from] rcgen::Error),
}

/// A CA that signs for any name.
pub struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalCa")
    }
}

impl LocalCa {
    /// Opens the CA kept in `dir`, or makes one there: `local-ca.pem` for people to trust, and its key, which only
    /// this program may read.
    ///
    /// # Errors
    /// [`LocalCaError`] when the files cannot be written, or what is there is no CA with its key.
    pub fn open_or_create(dir: &Path, now: UnixSeconds) -> Result<Self, LocalCaError> {
        let (certificate_path, key_path) = (dir.join(CERTIFICATE_FILE), dir.join(KEY_FILE));
        match (certificate_path.exists(), key_path.exists()) {
            (true, true) => Self::open(dir, &certificate_path, &key_path),
            (true, false) => Err(LocalCaError::Half { present: certificate_path }),
            (false, true) => Err(LocalCaError::Half { present: key_path }),
            (false, false) => {
                let (ca, key) = Self::create(now)?;
                write(&key_path, key.serialize_pem().as_bytes(), 0o600)?;
                write(&certificate_path, ca.certificate_pem.as_bytes(), 0o644)?;
                Ok(ca)
            }
        }
    }

    fn open(dir: &Path, certificate: &Path, key: &Path) -> Result<Self, LocalCaError> {
        let read = |path: &Path| {
            let failed = |source| LocalCaError::File { path: path.into(), source };
            fs::read_to_string(path).map_err(failed)
        };
        let damaged = |source| LocalCaError::Damaged { dir: dir.into(), source };
        let certificate_pem = read(certificate)?;
        let key = KeyPair::from_pem(&read(key)?).map_err(|e| damaged(Some(e)))?;
        if !signs_for(&key, &certificate_pem) {
            return Err(damaged(None));
        }
        let issuer =
            Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(|e| damaged(Some(e)))?;
        Ok(Self { issuer, certificate_pem })
    }

    /// A new CA, and a second copy of its key to be kept.
    fn create(now: UnixSeconds) -> Result<(Self, KeyPair), rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::OrganizationName, "narthex");
        params.distinguished_name.push(DnType::CommonName, "narthex local CA");
        params.not_before = date(now.plus(-BACKDATED));
        params.not_after = date(now.plus(CA_LIFE));
        let certificate_pem = params.self_signed(&key)?.pem();
        let kept = KeyPair::from_pem(&key.serialize_pem())?;
        Ok((Self { issuer: Issuer::new(params, key), certificate_pem }, kept))
    }

    /// The CA's certificate as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Signs a certificate for `name` with a new key, valid from now on for 397 days at most.
    ///
    /// # Errors
    /// `Sign` when the cryptographic library fails.
    pub(crate) fn issue(&self, name: &Hostname, now: UnixSeconds) -> Result<Leaf, LocalCaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![name.as_str().to_owned()])?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = date(now.plus(-BACKDATED));
        params.not_after = date(now.plus(LEAF_LIFE - BACKDATED));
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Leaf {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            renew_at: now.plus(LEAF_LIFE / 2),
        })
    }
}

/// A certificate of the local CA with its key.
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// From this instant on a new one is made in its place.
    pub(crate) renew_at: UnixSeconds,
}

fn signs_for(key: &KeyPair, certificate_pem: &str) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()) else {
        return false;
    };
    let certificate = pem.parse_x509();
    certificate
        .is_ok_and(|c| c.is_ca() && c.public_key().subject_public_key.data == key.public_key_raw())
}

fn date(at: UnixSeconds) -> time::OffsetDateTime {
    rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(at.0).unwrap_or(0))
}

fn write(path: &Path, text: &[u8], mode: u32) -> Result<(), LocalCaError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    written.map_err(|source| LocalCaError::File { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: UnixSeconds = UnixSeconds(1_780_000_000);

    #[test]
    fn a_ca_is_made_once_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let made = LocalCa::open_or_create(dir.path(), NOW).unwrap();
        let opened = LocalCa::open_or_create(dir.path(), NOW).unwrap();
        assert_eq!(made.certificate_pem(), opened.certificate_pem());
        let mode = |file| fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(KEY_FILE), 0o600);
        assert_eq!(mode(CERTIFICATE_FILE) & 0o444, 0o444);
        assert_eq!(format!("{made:?}"), "LocalCa");
    }

    #[test]
    fn half_a_ca_or_another_key_is_an_error() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        LocalCa::open_or_create(one.path(), NOW).unwrap();
        LocalCa::open_or_create(other.path(), NOW).unwrap();
        fs::copy(other.path().join(KEY_FILE), one.path().join(KEY_FILE)).unwrap();
        let damaged = LocalCa::open_or_create(one.path(), NOW);
        assert!(matches!(damaged, Err(LocalCaError::Damaged { .. })));
        fs::remove_file(one.path().join(KEY_FILE)).unwrap();
        let half = LocalCa::open_or_create(one.path(), NOW);
        assert!(matches!(half, Err(LocalCaError::Half { .. })));
    }

    #[test]
    fn leaves_are_for_one_name_and_short_lived() {
        let dir = tempfile::tempdir().unwrap();
        let ca = LocalCa::open_or_create(dir.path(), NOW).unwrap();
        let leaf = ca.issue(&"wiki.example.com".parse().unwrap(), NOW).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&leaf.chain[0]).unwrap();
        let validity = certificate.validity();
        let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
        assert!(days <= 397, "{days}");
        assert!(!certificate.is_ca());
        let (_, pem) = x509_parser::pem::parse_x509_pem(ca.certificate_pem().as_bytes()).unwrap();
        let authority = pem.parse_x509().unwrap();
        assert!(certificate.issuer() == authority.subject());
        assert_eq!(
            authority.basic_constraints().unwrap().unwrap().value.path_len_constraint,
            Some(0)
        );
    }
}
