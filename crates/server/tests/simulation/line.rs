//! Connections to the gateway over TLS, on the simulation's clock.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use narthex_model::Clock;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[derive(Debug)]
struct Set(Clock);

impl TimeProvider for Set {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Exchange {
    tls: TlsConnector,
    pub(crate) at: SocketAddr,
}

/// One connection.
pub(crate) struct Line(SendRequest<Full<Bytes>>);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn location(&self) -> Option<&str> {
        self.headers.get("location").map(|location| location.to_str().unwrap())
    }
}

impl Exchange {
    pub(crate) fn new(ca_pem: &[u8], at: SocketAddr, clock: &Clock) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(Set(clock.clone())))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: TlsConnector::from(Arc::new(config)), at }
    }

    pub(crate) async fn open(&self, host: &str) -> Line {
        let tcp = TcpStream::connect(self.at).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let tls = self.tls.connect(name, tcp).await.unwrap();
        let (sender, driver) = handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(driver);
        Line(sender)
    }
}

impl Line {
    /// One request; `None` when the connection ends without an answer.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        self.0.ready().await.ok()?;
        let mut request = hyper::Request::builder().method(method).uri(path).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let (head, body) = self.0.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Some(Answer { status: head.status.as_u16(), headers: head.headers, text })
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }
}
