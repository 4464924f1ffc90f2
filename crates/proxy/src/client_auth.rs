//! How a handshake asks for a client certificate: it is requested, never demanded, and whatever comes is taken as long
//! as the client proves to hold its key (access-protocol §7.4). What the certificate is worth is judged afterwards, on
//! every connection, resumed ones as well, and again when that may have changed (`client_certificate`).

use narthex_cert::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES, Trust};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Bytes of hints in one request; with more the client is left to choose by itself.
const MOST_HINT_BYTES: usize = 16 * 1024;

/// The request for a client certificate.
#[derive(Debug)]
pub(crate) struct CertificateRequest {
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl CertificateRequest {
    /// Asks for a certificate by one of the authorities of `trust`.
    pub(crate) fn new(trust: &Trust, provider: &CryptoProvider) -> Self {
        let names = trust.hints().iter().map(|name| name.der());
        let fits = names.clone().map(<[u8]>::len).sum::<usize>() <= MOST_HINT_BYTES;
        let hints = names.filter(|_| fits).map(|der| DistinguishedName::from(der.to_vec()));
        Self { hints: hints.collect(), algorithms: provider.signature_verification_algorithms }
    }
}

impl ClientCertVerifier for CertificateRequest {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    /// Takes every chain within the limits: this says nothing about trust.
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = others.iter().map(|der| der.len()).sum::<usize>() + leaf.len();
        let empty = leaf.is_empty() || others.iter().any(|der| der.is_empty());
        if empty || others.len() >= MAX_CHAIN_CERTIFICATES || bytes > MAX_CHAIN_BYTES {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
