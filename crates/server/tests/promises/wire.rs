//! A small HTTP client that shows every connection.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Opens connections to one address, under any name.
#[derive(Clone)]
pub(crate) struct Wire {
    tls: TlsConnector,
    at: SocketAddr,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn sets(&self, cookie: &str) -> bool {
        let set = self.headers.get_all("set-cookie").iter();
        set.filter_map(|set| set.to_str().ok()).any(|set| set.starts_with(&format!("{cookie}=")))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

impl Wire {
    pub(crate) fn trusting(ca_pem: &[u8], at: SocketAddr) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: TlsConnector::from(Arc::new(config)), at }
    }

    pub(crate) async fn open(&self, host: &str) -> Result<Connection, Failure> {
        let tcp = TcpStream::connect(self.at).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())?;
        let tls = self.tls.connect(name, tcp).await?;
        connection(tls, format!("{host}:{}", self.at.port())).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn get(&self, host: &str, path: &str) -> Result<Answer, Failure> {
        self.open(host).await?.ask("GET", path, &[], "").await
    }
}

/// One request without TLS.
pub(crate) async fn plain(at: SocketAddr, host: &str, path: &str) -> Result<Answer, Failure> {
    let tcp = TcpStream::connect(at).await?;
    connection(tcp, host.to_owned()).await?.ask("GET", path, &[], "").await
}

async fn connection<S>(stream: S, authority: String) -> Result<Connection, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, driver) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(Connection { sender, authority })
}

impl Connection {
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<Answer, Failure> {
        self.sender.ready().await?;
        let mut request = hyper::Request::builder().method(method).uri(path);
        request = request.header("host", &self.authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_ref()));
        let answer = self.sender.send_request(request.body(body)?).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}
