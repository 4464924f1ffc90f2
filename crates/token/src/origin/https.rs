//! The team's keys over HTTPS.

use super::{FetchCerts, FetchError};
use crate::{CertsError, MAX_CERTS_BYTES};
use async_trait::async_trait;
use narthex_model::TeamDomain;
use reqwest::{Certificate, StatusCode, Url, redirect};
use std::error::Error;

/// Fetches the document from a team domain. Certificates are checked against the system's authorities (on Linux also those
/// in `SSL_CERT_FILE`), redirects are not followed, and no more is read than [`MAX_CERTS_BYTES`]. Proxies are taken from
/// the environment (`HTTPS_PROXY`).
#[derive(Clone, Debug)]
pub struct HttpsCerts {
    client: reqwest::Client,
    url: Url,
}

impl HttpsCerts {
    /// From `https://<team>/cdn-cgi/access/certs`.
    ///
    /// # Errors
    /// `Setting` when TLS cannot be set up.
    pub fn of(team: &TeamDomain) -> Result<Self, FetchError> {
        Self::trusting(team, &[])
    }

    /// The same, where also the authorities in `roots_pem` may vouch for the team domain.
    ///
    /// # Errors
    /// `Setting` when they do not parse or TLS cannot be set up.
    pub fn trusting(team: &TeamDomain, roots_pem: &[u8]) -> Result<Self, FetchError> {
        let url = Url::parse(&format!("{}/cdn-cgi/access/certs", team.issuer()));
        Self::at(url.map_err(|e| FetchError::Setting(e.to_string()))?, roots_pem)
    }

    fn at(url: Url, roots_pem: &[u8]) -> Result<Self, FetchError> {
        let setting = |error: reqwest::Error| FetchError::Setting(deepest(&error));
        let roots = Certificate::from_pem_bundle(roots_pem).map_err(setting)?;
        let client = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("narthex-token/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(roots)
            .build()
            .map_err(setting)?;
        Ok(Self { client, url })
    }
}

#[async_trait]
impl FetchCerts for HttpsCerts {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let unreachable = |error: reqwest::Error| FetchError::Unreachable(deepest(&error));
        let mut answer = self.client.get(self.url.clone()).send().await.map_err(unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_CERTS_BYTES {
                return Err(CertsError::TooLarge.into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The cause at the bottom of an error, which says most.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers once with `head`, then with `x` until `length` or until nobody reads any more; whether
    /// everything was taken.
    async fn fetched(head: &str, length: usize) -> (Result<usize, FetchError>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/cdn-cgi/access/certs", listener.local_addr().unwrap());
        let head = head.to_owned();
        let whole = Arc::new(AtomicBool::new(false));
        let taken = Arc::clone(&whole);
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /cdn-cgi/access/certs HTTP/1.1\r\n"));
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut left = length;
            while left > 0 {
                let part = left.min(64 * 1024);
                if stream.write_all(&vec![b'x'; part]).await.is_err() {
                    return;
                }
                left -= part;
            }
            taken.store(true, Ordering::SeqCst);
        });
        let certs = HttpsCerts::at(Url::parse(&url).unwrap(), &[]).unwrap();
        let answer = certs.fetch().await.map(|body| body.len());
        server.await.unwrap();
        (answer, whole.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn an_answer_is_200_and_not_too_long() {
        let ok = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        assert_eq!(fetched(ok, 0).await.0, Ok(0));
        assert_eq!(fetched(ok, MAX_CERTS_BYTES).await.0, Ok(MAX_CERTS_BYTES));
        let too_large = || Err(FetchError::Certs(CertsError::TooLarge));
        assert_eq!(fetched(ok, MAX_CERTS_BYTES + 1).await.0, too_large());
        assert_eq!(fetched(ok, 256 << 20).await, (too_large(), false), "the rest is not read");
        for (status, code) in [("302 Found", 302), ("204 No Content", 204), ("500 Oh", 500)] {
            let head =
                format!("HTTP/1.1 {status}\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(fetched(&head, 0).await.0, Err(FetchError::Status(code)), "{status}");
        }
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
        assert!(matches!(fetched(cut, 9).await.0, Err(FetchError::Unreachable(_))));
    }

    #[tokio::test]
    async fn nobody_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let certs = HttpsCerts::at(Url::parse(&url).unwrap(), &[]).unwrap();
        assert!(matches!(certs.fetch().await, Err(FetchError::Unreachable(_))));
    }

    /// A team domain on this machine that answers with its port, and the certificate that vouches for it.
    async fn team_at_localhost() -> (TeamDomain, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await.unwrap();
                let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{port}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        (format!("localhost:{port}").parse().unwrap(), made.cert.pem())
    }

    #[tokio::test]
    async fn only_the_team_itself_is_asked() {
        let (team, root) = team_at_localhost().await;
        let (other, other_root) = team_at_localhost().await;
        let ask = async |team: &TeamDomain, root: &str| {
            let answer = HttpsCerts::trusting(team, root.as_bytes()).unwrap().fetch().await;
            answer.map(|body| String::from_utf8(body).unwrap())
        };
        let port = |team: &TeamDomain| Ok(team.authority().port.unwrap().to_string());
        assert_eq!(ask(&team, &root).await, port(&team));
        assert_eq!(ask(&other, &format!("{root}{other_root}")).await, port(&other));
        assert!(matches!(ask(&team, &other_root).await, Err(FetchError::Unreachable(_))));
        let untrusting = HttpsCerts::of(&team).unwrap().fetch().await;
        assert!(matches!(untrusting, Err(FetchError::Unreachable(_))), "{untrusting:?}");
    }

    #[test]
    fn the_address_is_that_of_the_team_and_roots_must_parse() {
        let team: TeamDomain = "access.example.com:8443".parse().unwrap();
        let certs = HttpsCerts::of(&team).unwrap();
        assert_eq!(certs.url.as_str(), "https://access.example.com:8443/cdn-cgi/access/certs");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(HttpsCerts::trusting(&team, broken), Err(FetchError::Setting(_))));
    }
}
