//! Which certificate a name is shown, and under which TLS settings (security rules 9 to 15).
//!
//! Each name has a configuration of its own, with session tickets of its own: a session made for one name is never
//! resumed for another (rule 11). A reload makes everything new, old tickets included; so does, for one name, every
//! change of whose client certificates count there.

use crate::client_auth::CertificateRequest;
use crate::local_ca::{LocalCa, LocalCaError};
use narthex_cert::{Trust, TrustDigest};
use narthex_model::{Hostname, UnixSeconds};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use x509_parser::extensions::GeneralName;

/// Configurations of names kept at once; with more names the least lucky are made again.
const MOST_NAMES: usize = 16_384;

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(default_provider()));

/// Why a certificate was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The PEM holds no certificate.
    #[error("the certificate file holds no PEM certificate")]
    NoCertificate,
    /// The certificate's PEM is damaged.
    #[error("the certificate file is damaged: {0}")]
    Certificate(String),
    /// The key's PEM is damaged or there is none.
    #[error("the key file holds no private key that can be read: {0}")]
    Key(String),
    /// Certificate and key do not belong together, or the key is of no known kind.
    #[error("certificate and key do not fit together")]
    Mismatch(#[source] rustls::Error),
    /// No DNS name in it.
    #[error("the certificate is for no DNS name: it has no subjectAltName")]
    NoName,
}

/// A certificate chain with its key, and the names it is for.
pub struct ServerCertificate {
    key: Arc<CertifiedKey>,
    names: Vec<CertificateName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum CertificateName {
    Exact(Hostname),
    /// `*.` and this: exactly one label below it.
    Below(Hostname),
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ServerCertificate {
    /// Reads a chain, leaf first, and its private key, both in PEM.
    ///
    /// # Errors
    /// [`CertificateError`] when one of them cannot be read, they do not fit together, or there is no name.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|e| CertificateError::Certificate(e.to_string()))?;
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        let names = names_of(leaf)?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|e| CertificateError::Key(e.to_string()))?;
        let key =
            CertifiedKey::from_der(chain, key, &PROVIDER).map_err(CertificateError::Mismatch)?;
        Ok(Self { key: Arc::new(key), names })
    }
}

fn names_of(leaf: &CertificateDer<'_>) -> Result<Vec<CertificateName>, CertificateError> {
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|e| CertificateError::Certificate(e.to_string()))?;
    let alternative = leaf
        .subject_alternative_name()
        .map_err(|e| CertificateError::Certificate(e.to_string()))?
        .ok_or(CertificateError::NoName)?;
    let mut names = Vec::new();
    for name in &alternative.value.general_names {
        let &GeneralName::DNSName(name) = name else { continue };
        match name.strip_prefix("*.") {
            Some(parent) => names.extend(parent.parse().ok().map(CertificateName::Below)),
            None => names.extend(name.parse().ok().map(CertificateName::Exact)),
        }
    }
    if names.is_empty() { Err(CertificateError::NoName) } else { Ok(names) }
}

/// Where certificates come from.
#[derive(Clone, Debug, Default)]
pub struct CertificateSource {
    /// Those that were configured. Where two are for one name, the first is shown.
    pub certificates: Vec<Arc<ServerCertificate>>,
    /// Signs for names that none of them is for; without it such names are refused.
    pub local_ca: Option<Arc<LocalCa>>,
}

/// What decides whether a request for one host may come over a connection made for another: the same chain is shown
/// to both. (The same client certificates must count on both as well, which the snapshot knows.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsRule {
    /// A configured certificate, by its place in one generation of them.
    Configured { generation: u64, place: usize },
    /// The local CA's, which is for one name.
    Local(Hostname),
}

/// How connections to one name are made.
pub(crate) struct NameTls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) rule: TlsRule,
    /// The trust under which a client certificate is asked for; `None` when none is.
    pub(crate) asks: Option<TrustDigest>,
    /// The authorities of that trust.
    pub(crate) authorities: Option<TrustDigest>,
    key: Arc<CertifiedKey>,
    /// From this instant on it is made again; only the local CA's certificates are renewed here.
    renew_at: Option<UnixSeconds>,
}

/// The certificates in force, and the configurations made from them so far. Shared by all cores; read at handshakes.
pub(crate) struct Certificates {
    source: CertificateSource,
    generation: u64,
    exact: HashMap<Hostname, usize>,
    below: HashMap<Hostname, usize>,
    made: papaya::HashMap<Hostname, Arc<NameTls>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Certificates {
    pub(crate) fn new(source: CertificateSource) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        let (mut exact, mut below) = (HashMap::new(), HashMap::new());
        for (place, certificate) in source.certificates.iter().enumerate() {
            for name in &certificate.names {
                match name {
                    CertificateName::Exact(name) => exact.entry(name.clone()).or_insert(place),
                    CertificateName::Below(name) => below.entry(name.clone()).or_insert(place),
                };
            }
        }
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        Self { source, generation, exact, below, made: papaya::HashMap::new() }
    }

    /// The rule for `name`; `None` when there is no certificate for it.
    pub(crate) fn rule(&self, name: &Hostname) -> Option<TlsRule> {
        let parent = name.as_str().split_once('.').map(|(_, parent)| parent);
        let place = self.exact.get(name).or_else(|| self.below.get(parent?));
        match place {
            Some(&place) => Some(TlsRule::Configured { generation: self.generation, place }),
            None => self.source.local_ca.as_ref().map(|_| TlsRule::Local(name.clone())),
        }
    }

    /// How to make a connection to `name`, which must be one that this gateway answers for; `None` when there is
    /// no certificate for it. With `trust`, a client certificate is asked for.
    ///
    /// # Errors
    /// When the local CA or the TLS library fails.
    pub(crate) fn for_name(
        &self,
        name: &Hostname,
        trust: Option<&Trust>,
        now: UnixSeconds,
    ) -> Result<Option<Arc<NameTls>>, LocalCaError> {
        let asks = trust.map(Trust::digest);
        let made = self.made.pin();
        let known = made.get(name).filter(|known| known.renew_at.is_none_or(|at| now < at));
        if let Some(known) = known.filter(|known| known.asks == asks) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(rule) = self.rule(name) else { return Ok(None) };
        let (key, renew_at) = match known {
            Some(known) => (Arc::clone(&known.key), known.renew_at),
            None => match self.key(&rule, now)? {
                Some(made) => made,
                None => return Ok(None),
            },
        };
        let config = Arc::new(config_showing(Arc::clone(&key), trust));
        let authorities = trust.map(Trust::authorities_digest);
        let tls = Arc::new(NameTls { config, rule, asks, authorities, key, renew_at });
        if made.len() >= MOST_NAMES {
            made.clear();
        }
        made.insert(name.clone(), Arc::clone(&tls));
        Ok(Some(tls))
    }

    /// The chain and key that a rule shows, and when they are to be made again.
    fn key(&self, rule: &TlsRule, now: UnixSeconds) -> Result<Option<MadeKey>, LocalCaError> {
        Ok(match (rule, &self.source.local_ca) {
            (TlsRule::Configured { place, .. }, _) => {
                let configured = self.source.certificates.get(*place);
                configured.map(|certificate| (Arc::clone(&certificate.key), None))
            }
            (TlsRule::Local(name), Some(ca)) => {
                let leaf = ca.issue(name, now)?;
                let key = CertifiedKey::from_der(leaf.chain, leaf.key, &PROVIDER);
                let key = key.map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
                Some((Arc::new(key), Some(leaf.renew_at)))
            }
            (TlsRule::Local(_), None) => None,
        })
    }
}

type MadeKey = (Arc<CertifiedKey>, Option<UnixSeconds>);

/// TLS 1.2 and 1.3, no early data, tickets of its own (security rules 11 and 14).
fn config_showing(key: Arc<CertifiedKey>, trust: Option<&Trust>) -> ServerConfig {
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(key));
    let builder = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has cipher suites for both versions");
    let builder = match trust {
        None => builder.with_no_client_auth(),
        Some(trust) => {
            builder.with_client_cert_verifier(Arc::new(CertificateRequest::new(trust, &PROVIDER)))
        }
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if let Ok(ticketer) = Ticketer::new() {
        config.ticketer = ticketer;
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_780_000_000);

    fn name(raw: &str) -> Hostname {
        raw.parse().unwrap()
    }

    fn self_signed(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn certificate(names: &[&str]) -> Arc<ServerCertificate> {
        let (chain, key) = self_signed(names);
        Arc::new(ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap())
    }

    #[test]
    fn a_name_gets_the_certificate_that_is_for_it() {
        let certificates = vec![
            certificate(&["wiki.example.com"]),
            certificate(&["*.example.com", "example.com"]),
        ];
        let tls = Certificates::new(CertificateSource { certificates, local_ca: None });
        let place = |raw| match tls.rule(&name(raw)) {
            Some(TlsRule::Configured { place, .. }) => Some(place),
            Some(TlsRule::Local(_)) | None => None,
        };
        assert_eq!(place("wiki.example.com"), Some(0));
        assert_eq!(place("other.example.com"), Some(1));
        assert_eq!(place("example.com"), Some(1));
        assert_eq!(place("a.b.example.com"), None);
        assert_eq!(place("badexample.com"), None);
        assert!(tls.for_name(&name("a.b.example.com"), None, NOW).unwrap().is_none());
    }

    #[test]
    fn the_local_ca_signs_for_one_name_at_a_time_and_renews() {
        let dir = tempfile::tempdir().unwrap();
        let local_ca = Some(Arc::new(LocalCa::open_or_create(dir.path(), NOW).unwrap()));
        let tls = Certificates::new(CertificateSource { certificates: Vec::new(), local_ca });
        let at = |raw, now| tls.for_name(&name(raw), None, now).unwrap().unwrap();
        let first = at("a.test", NOW);
        assert!(Arc::ptr_eq(&first, &at("a.test", NOW)));
        assert_ne!(first.rule, at("b.test", NOW).rule);
        assert!(!Arc::ptr_eq(&first, &at("a.test", NOW.plus(300 * 86_400))));
    }

    #[test]
    fn t30_what_does_not_fit_together_is_refused() {
        let ((chain, key), (_, other)) = (self_signed(&["a.test"]), self_signed(&["a.test"]));
        let read = |chain: &str, key: &str| {
            ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).map(|c| c.names.len())
        };
        assert!(matches!(read(&chain, &key), Ok(1)));
        assert!(matches!(read(&chain, &other), Err(CertificateError::Mismatch(_))));
        assert!(matches!(read("", &key), Err(CertificateError::NoCertificate)));
        assert!(matches!(read(&chain, ""), Err(CertificateError::Key(_))));
        let (no_name, its_key) = self_signed(&[]);
        assert!(matches!(read(&no_name, &its_key), Err(CertificateError::NoName)));
    }
}
