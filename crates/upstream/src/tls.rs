//! TLS towards origins: whom we believe, and the one way to believe anybody.

use narthex_model::{CertificateFiles, OriginRequest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Settings for one origin: a connection that speaks HTTP/1.1 only, and one that may choose HTTP/2.
#[derive(Clone)]
pub(super) struct OriginTls {
    pub(super) http1: Arc<ClientConfig>,
    pub(super) either: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

impl OriginTls {
    /// Settings for an origin at `host`, as its rule asks.
    ///
    /// # Errors
    /// A sentence that says what to correct. Trust is never widened because something could not be read
    /// (security rule 15).
    pub(super) fn of(host: &str, request: &OriginRequest) -> Result<Self, String> {
        let name = request.origin_server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            format!("{name:?} cannot stand on a certificate; set origin_server_name")
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if request.no_tls_verify {
            let anyone = Arc::new(Anyone(provider));
            builder.dangerous().with_custom_certificate_verifier(anyone)
        } else {
            let roots = match &request.ca_pool {
                Some(file) => Arc::new(read_roots(file)?),
                None => system_roots()?,
            };
            builder.with_root_certificates(roots)
        };
        let mut config = match &request.client_certificate {
            Some(files) => {
                let (chain, key) = read_certificate(files)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    format!(
                        "{} does not belong to {}: {error}",
                        files.key.display(),
                        files.cert.display()
                    )
                })?
            }
            None => builder.with_no_client_auth(),
        };
        let mut either = config.clone();
        either.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { http1: Arc::new(config), either: Arc::new(either), name })
    }
}

/// Checks that a file of CAs for origins can be used.
///
/// # Errors
/// Why it cannot be read, or what is wrong in it.
pub fn check_ca_pool(file: &Path) -> Result<(), String> {
    read_roots(file).map(drop)
}

/// Checks that a certificate for origins can be used.
///
/// # Errors
/// Why it cannot be read, or what is wrong with it.
pub fn check_client_certificate(files: &CertificateFiles) -> Result<(), String> {
    let request = OriginRequest {
        client_certificate: Some(files.clone()),
        no_tls_verify: true,
        ..OriginRequest::default()
    };
    OriginTls::of("origin", &request).map(drop)
}

type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_certificate(
    CertificateFiles { cert, key }: &CertificateFiles,
) -> Result<Certificate, String> {
    let chain =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| format!("client_certificate {}: {error}", cert.display()))?;
    if chain.is_empty() {
        return Err(format!(
            "client_certificate {}: there is no certificate in it",
            cert.display()
        ));
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("client_certificate {}: {error}", key.display()))?;
    Ok((chain, key))
}

fn read_roots(file: &Path) -> Result<RootCertStore, String> {
    let complain = |what: &dyn std::fmt::Display| format!("ca_pool {}: {what}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| complain(&e))? {
        roots.add(certificate.map_err(|e| complain(&e))?).map_err(|e| complain(&e))?;
    }
    if roots.is_empty() {
        return Err(complain(&"there is no certificate in it"));
    }
    Ok(roots)
}

/// The CAs that this machine trusts, read once.
fn system_roots() -> Result<Arc<RootCertStore>, String> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err("this machine has no CA certificates; set ca_pool".to_owned());
    }
    Ok(Arc::clone(roots))
}

/// Believes every certificate, for `no_tls_verify`. The handshake's signatures are still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
