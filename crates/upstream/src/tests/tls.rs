//! Origins behind TLS: who is believed (checklist T31).

use super::*;
use narthex_model::CertificateFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use std::path::PathBuf;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A CA, and a folder with its certificate.
struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn pool(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// TLS settings of a server called `name`.
    fn server(&self, name: &str, years: (i32, i32), alpn: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config).into()
    }
}

const GOOD: (i32, i32) = (2020, 4000);

async fn https_origin() -> (TcpListener, String) {
    let (listener, _) = origin().await;
    let service = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    (listener, service)
}

async fn accept(listener: &TcpListener, server: &TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    let (stream, _) = listener.accept().await.unwrap();
    server.accept(stream).await.ok()
}

#[test]
fn t31_only_the_right_certificate_is_believed() {
    let (ours, foreign) = (Ca::new(), Ca::new());
    let trusting = || OriginRequest { ca_pool: Some(ours.pool()), ..OriginRequest::default() };
    let named = |name: &str| OriginRequest { origin_server_name: Some(name.into()), ..trusting() };
    let anyone = OriginRequest { no_tls_verify: true, ..OriginRequest::default() };
    for (name, server, request, believed) in [
        ("the right one", ours.server("localhost", GOOD, &[]), trusting(), true),
        ("another name", ours.server("other.example", GOOD, &[]), trusting(), false),
        (
            "another name, expected",
            ours.server("other.example", GOOD, &[]),
            named("other.example"),
            true,
        ),
        (
            "the right name, not expected",
            ours.server("localhost", GOOD, &[]),
            named("other.example"),
            false,
        ),
        ("expired", ours.server("localhost", (2000, 2001), &[]), trusting(), false),
        ("not yet valid", ours.server("localhost", (3000, 4000), &[]), trusting(), false),
        ("an unknown CA", foreign.server("localhost", GOOD, &[]), trusting(), false),
        (
            "not in this machine's pool",
            ours.server("localhost", GOOD, &[]),
            OriginRequest::default(),
            false,
        ),
        ("anyone is believed", foreign.server("x", (2000, 2001), &[]), anyone, true),
    ] {
        story(async || {
            let (listener, service) = https_origin().await;
            let gateway = Gateway::with(&service, request);
            let asking = gateway.clone();
            let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
            let stream = accept(&listener, &server).await;
            if let (Some(mut stream), true) = (stream, believed) {
                assert!(read_head(&mut stream).await.unwrap().starts_with("GET / HTTP/1.1\r\n"));
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            let want = if believed { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
            assert_eq!(asked.await.unwrap(), want, "{name}");
            if !believed {
                let error = gateway.error();
                assert!(
                    matches!(
                        error,
                        UpstreamError::Tls { .. } | UpstreamError::Misconfigured { .. }
                    ),
                    "{name}: {error:?}"
                );
            }
        });
    }
}

#[test]
fn t31_plain_text_is_no_tls() {
    story(async || {
        let (listener, service) = https_origin().await;
        let anyone = OriginRequest { no_tls_verify: true, ..OriginRequest::default() };
        let gateway = Gateway::with(&service, anyone);
        let asking = gateway.clone();
        let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        assert_eq!(asked.await.unwrap(), StatusCode::BAD_GATEWAY);
        assert!(matches!(gateway.error(), UpstreamError::Tls { .. }));
    });
}

#[test]
fn what_cannot_be_read_is_not_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    for (name, request) in [
        (
            "no such file",
            OriginRequest { ca_pool: Some("/no/such/ca.pem".into()), ..OriginRequest::default() },
        ),
        (
            "an empty file",
            OriginRequest { ca_pool: Some(file("a", "")), ..OriginRequest::default() },
        ),
        (
            "no certificate",
            OriginRequest {
                ca_pool: Some(file(
                    "b",
                    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                )),
                ..OriginRequest::default()
            },
        ),
        (
            "no name",
            OriginRequest { origin_server_name: Some("a b".into()), ..OriginRequest::default() },
        ),
    ] {
        story(async || {
            let gateway = Gateway::with("https://localhost:1", request);
            assert_eq!(gateway.ask(get("/")).await.0, StatusCode::BAD_GATEWAY);
            let error = gateway.error();
            assert!(matches!(error, UpstreamError::Misconfigured { .. }), "{name}: {error:?}");
        });
    }
}

#[test]
fn http2_is_spoken_when_both_want_it() {
    let ca = Ca::new();
    for (wanted, alpn, spoken) in [
        (true, &["h2", "http/1.1"][..], "h2"),
        (true, &["http/1.1"], "http/1.1"),
        (true, &[], "http/1.1"),
        (false, &["h2", "http/1.1"], "http/1.1"),
    ] {
        let server = ca.server("localhost", GOOD, alpn);
        let request = OriginRequest {
            ca_pool: Some(ca.pool()),
            http2_origin: wanted,
            ..OriginRequest::default()
        };
        story(async || {
            let (listener, service) = https_origin().await;
            let gateway = Gateway::with(&service, request);
            for _ in 0..2 {
                let asking = gateway.clone();
                let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
                let mut stream = accept(&listener, &server).await.unwrap();
                if spoken == "h2" {
                    let mut connection = ::h2::server::handshake(stream).await.unwrap();
                    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
                    assert_eq!(request.uri().scheme_str(), Some("https"));
                    respond.send_response(Response::new(()), true).unwrap();
                    spawn_local(async move { connection.accept().await.is_none() });
                    assert_eq!(asked.await.unwrap(), StatusCode::OK, "{wanted} {alpn:?}");
                    return; // the second request would share the connection
                }
                read_head(&mut stream).await.unwrap();
                stream
                    .write_all(OK.replace("OK\r\n", "OK\r\nConnection: close\r\n").as_bytes())
                    .await
                    .unwrap();
                assert_eq!(asked.await.unwrap(), StatusCode::OK, "{wanted} {alpn:?}");
            }
        });
    }
}

#[test]
fn w8_an_answer_until_close_ends_properly_or_not_at_all() {
    let ca = Ca::new();
    for properly in [true, false] {
        let server = ca.server("localhost", GOOD, &[]);
        let request = OriginRequest { ca_pool: Some(ca.pool()), ..OriginRequest::default() };
        story(async || {
            let (listener, service) = https_origin().await;
            let gateway = Gateway::with(&service, request);
            let mut client = gateway.http1().await;
            let asked = spawn_local(async move { client.send_request(get("/")).await.unwrap() });
            let mut stream = accept(&listener, &server).await.unwrap();
            read_head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").await.unwrap();
            if properly {
                stream.shutdown().await.unwrap();
            }
            drop(stream); // without TLS's goodbye anybody on the road may have cut it
            let body = asked.await.unwrap().into_body().collect().await;
            assert_eq!(body.is_ok(), properly);
        });
    }
}

#[test]
fn an_origin_that_asks_is_shown_the_certificate_of_the_rule() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let key = KeyPair::generate().unwrap();
    let chain = CertificateParams::new(vec![]).unwrap().signed_by(&key, &clients.issuer).unwrap();
    let files = CertificateFiles {
        cert: clients.folder.path().join("gateway.pem"),
        key: clients.folder.path().join("gateway.key"),
    };
    std::fs::write(&files.cert, chain.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(clients.issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let server_key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&server_key, &ca.issuer).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
        );
    let server = TlsAcceptor::from(Arc::new(config.unwrap()));
    for (shown, want) in [(Some(files), StatusCode::OK), (None, StatusCode::BAD_GATEWAY)] {
        let request = OriginRequest {
            ca_pool: Some(ca.pool()),
            client_certificate: shown,
            ..OriginRequest::default()
        };
        story(async || {
            let (listener, service) = https_origin().await;
            let gateway = Gateway::with(&service, request);
            let asked = spawn_local(async move { gateway.ask(get("/")).await.0 });
            if let Some(mut stream) = accept(&listener, &server).await {
                assert!(stream.get_ref().1.peer_certificates().is_some());
                read_head(&mut stream).await.unwrap();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            assert_eq!(asked.await.unwrap(), want);
        });
    }
}
