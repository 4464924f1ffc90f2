//! Group T: which name is shown which certificate, and which host may be asked for over it.

use crate::town::{Plan, Town, everyone, policy};
use crate::wire::{Wire, client_config, connect};
use narthex_proxy::{CertificateSource, ServerCertificate, Settings};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const A: &str = "a.example.com";
const B: &str = "b.example.com";

fn plan() -> Plan {
    let open = || policy("bypass", everyone());
    Plan::default().app(A, &[open()], json!({})).app(B, &[open()], json!({}))
}

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// The TLS alert with which a handshake ended.
async fn alert(town: &Town, name: &str, alpn: &[&[u8]]) -> String {
    let connected = connect(client_config(&town.ca_pem, alpn), town.port(), name).await;
    connected.map(drop).unwrap_err().to_string()
}

#[tokio::test]
async fn t01_t02_a_name_that_is_not_ours_is_refused_without_a_certificate() {
    let town = Town::build(plan()).await;
    for name in ["stranger.test", "a.b.example.com", "127.0.0.1"] {
        let alert = alert(&town, name, &[]).await;
        assert!(alert.to_lowercase().contains("unrecogni"), "{name}: {alert}");
    }
    while town.read_meters().handshakes_unknown_name < 3 {
        tokio::task::yield_now().await; // each is counted after its alert has left
    }
}

#[tokio::test]
async fn t03_a_host_of_another_rule_is_misdirected_and_the_connection_goes_on() {
    let town = Town::build(plan()).await;
    let mut wire = town.wire(A).await;
    assert_eq!(wire.ask(get(A)).await.status, 200);
    assert_eq!(wire.ask(get(B)).await.status, 421);
    assert_eq!(wire.ask(get("stranger.test")).await.status, 421);
    assert_eq!(wire.ask(get(A)).await.status, 200);
    assert_eq!(town.origin.seen().len(), 2);
}

#[tokio::test]
async fn names_of_one_certificate_may_share_a_connection() {
    let made = rcgen::generate_simple_self_signed(vec![A.to_owned(), B.to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let certificate = ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let certificates =
        CertificateSource { certificates: vec![Arc::new(certificate)], local_ca: None };
    let settings = Settings { certificates, ..Settings::default() };
    let mut town = Town::build(Plan { settings, ..plan() }).await;
    town.ca_pem = chain;
    let mut wire = town.wire(A).await;
    assert_eq!(wire.ask(get(B)).await.status, 200);
    assert_eq!(wire.ask(get("c.example.com")).await.status, 421, "no certificate for it");
    let alert = alert(&town, "c.example.com", &[]).await;
    assert!(alert.to_lowercase().contains("unrecogni"), "{alert}");

    // t29: a reload shows another certificate at once and leaves open connections alone.
    let fresh = rcgen::generate_simple_self_signed(vec![A.to_owned()]).unwrap();
    let (chain, key) = (fresh.cert.pem(), fresh.signing_key.serialize_pem());
    let certificate = ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let source = CertificateSource { certificates: vec![Arc::new(certificate)], local_ca: None };
    town.running.reload_certificates(source);
    assert_eq!(wire.ask(get(A)).await.status, 200);
    assert_eq!(wire.ask(get(B)).await.status, 421, "the certificate in force is not for it");
    town.ca_pem = chain;
    assert_eq!(town.wire(A).await.ask(get(A)).await.status, 200);
}

/// A hundred certificates, one after the other, while clients that trust them all make one connection after the other.
#[tokio::test(flavor = "multi_thread")]
async fn t29_swapping_the_certificate_fails_no_handshake() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let made: Vec<_> = (0..4_u8)
        .map(|number| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec![A.to_owned()]).unwrap();
            params.serial_number = Some(rcgen::SerialNumber::from(u64::from(number) + 1));
            let made = params.signed_by(&key, &issuer).unwrap();
            (made.pem(), key.serialize_pem(), made.der().to_vec())
        })
        .collect();
    let source = |(chain, key, _): &(String, String, Vec<u8>)| {
        let certificate = ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        CertificateSource { certificates: vec![Arc::new(certificate)], local_ca: None }
    };
    let settings = Settings { certificates: source(&made[0]), ..Settings::default() };
    let town = Town::build(Plan { settings, ..plan() }).await;
    let config = client_config(&ca_pem, &[b"http/1.1"]);
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visitors: Vec<_> = (0..4)
        .map(|_| {
            let (config, port) = (config.clone(), town.port());
            let (over, served) = (Arc::clone(&over), Arc::clone(&served));
            tokio::spawn(async move {
                while !over.load(SeqCst) {
                    let stream =
                        connect(config.clone(), port, A).await.expect("no handshake fails");
                    assert_eq!(Wire::new(stream).ask(get(A)).await.status, 200);
                    served.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for swap in 1..=100 {
        let now = &made[swap % made.len()];
        let before = served.load(SeqCst);
        town.running.reload_certificates(source(now));
        let mut fresh = config.clone();
        fresh.resumption = rustls::client::Resumption::disabled();
        let stream = connect(fresh, town.port(), A).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        assert!(shown == now.2, "swap {swap}: a new connection sees the new certificate");
        while served.load(SeqCst) == before && visitors.iter().all(|one| !one.is_finished()) {
            tokio::task::yield_now().await; // the load goes on between any two swaps
        }
    }
    over.store(true, SeqCst);
    for visitor in visitors {
        visitor.await.unwrap();
    }
    assert!(served.load(SeqCst) >= 100);
}

#[tokio::test]
async fn t12_a_session_of_one_name_is_not_resumed_for_another() {
    let town = Town::build(plan()).await;
    let mut config = client_config(&town.ca_pem, &[b"http/1.1"]);
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let mut kinds = Vec::new();
    for host in [A, A, B] {
        let stream = connect(config.clone(), town.port(), host).await.unwrap();
        let mut wire = Wire::new(stream);
        assert_eq!(wire.ask(get(host)).await.status, 200, "reads the tickets too");
        kinds.push(wire.handshake_kind());
    }
    use rustls::HandshakeKind::{Full, FullWithHelloRetryRequest, Resumed};
    assert!(matches!(kinds[0], Some(Full | FullWithHelloRetryRequest)), "{kinds:?}");
    assert!(matches!(kinds[1], Some(Resumed)), "{kinds:?}");
    assert!(matches!(kinds[2], Some(Full | FullWithHelloRetryRequest)), "{kinds:?}");
}

#[tokio::test]
async fn t23_t27_old_versions_and_unknown_protocols_are_refused() {
    let town = Town::build(plan()).await;
    let alert = alert(&town, A, &[b"spdy/3"]).await;
    assert!(alert.to_lowercase().contains("applicationprotocol"), "{alert}");
    // A ClientHello of TLS 1.1 with one CBC suite.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([0; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let mut tcp = TcpStream::connect(("127.0.0.1", town.port())).await.unwrap();
    tcp.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.first(), Some(&21), "an alert: {answer:?}");
}

#[tokio::test]
async fn t24_no_early_data_is_offered() {
    let town = Town::build(plan()).await;
    let mut config = client_config(&town.ca_pem, &[b"http/1.1"]);
    config.enable_early_data = true;
    for _ in 0..2 {
        let stream = connect(config.clone(), town.port(), A).await.unwrap();
        assert!(!stream.get_ref().1.is_early_data_accepted());
        let mut wire = Wire::new(stream);
        assert_eq!(wire.ask(get(A)).await.status, 200);
    }
}

#[tokio::test]
async fn plain_http_is_sent_to_https() {
    let settings = Settings { public_https_port: Some(8443), ..Settings::default() };
    let town = Town::build(Plan { settings, ..plan() }).await;
    let port = town.running.http_addrs()[0].port();
    let https = 8443;
    for (request, status, location) in [
        (get(A).replace("GET /", "GET /x/../y?z"), 301, format!("https://{A}:{https}/y?z")),
        (
            format!("POST / HTTP/1.1\r\nHost: {A}:80\r\nContent-Length: 0\r\n\r\n"),
            308,
            format!("https://{A}:{https}/"),
        ),
        (get("stranger.test"), 400, String::new()),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, String::new()),
        (format!("GET / HTTP/1.1\r\nHost: {A}\r\nHost: {B}\r\n\r\n"), 400, String::new()),
        (get("evil.test/@a.example.com"), 400, String::new()),
    ] {
        let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        let told = answer.lines().find_map(|line| line.strip_prefix("location: "));
        assert_eq!(told.unwrap_or_default(), location, "{request}");
    }
}

#[tokio::test]
async fn p14_p15_only_a_trusted_proxy_speaks_for_others() {
    let rule = json!({"ip": {"ip": "203.0.113.0/24"}});
    for (trusted, fields, want) in [
        (false, "X-Forwarded-For: 203.0.113.9\r\n", 403),
        (
            false,
            "CF-Connecting-IP: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n",
            403,
        ),
        (true, "X-Forwarded-For: 203.0.113.9\r\n", 200),
        (true, "X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n", 403),
        (true, "X-Forwarded-For: rubbish\r\n", 400),
        (true, "", 403),
    ] {
        let trusted_proxies =
            if trusted { vec!["127.0.0.0/8".parse().unwrap()] } else { Vec::new() };
        let settings = Settings { trusted_proxies, ..Settings::default() };
        let plan = Plan { settings, ..Plan::default() };
        let town = Town::build(plan.app(A, &[policy("bypass", rule.clone())], json!({}))).await;
        let request = format!("GET / HTTP/1.1\r\nHost: {A}\r\n{fields}\r\n");
        let answer = town.wire(A).await.ask(request).await;
        assert_eq!(answer.status, want, "{trusted} {fields}");
        if want == 200 {
            assert_eq!(town.origin.take()[0].fields("cf-connecting-ip"), ["203.0.113.9"]);
        }
    }
}

#[tokio::test]
async fn the_proxy_protocol_is_read_from_trusted_proxies_only() {
    let rule = json!({"ip": {"ip": "203.0.113.0/24"}});
    let header = b"PROXY TCP4 203.0.113.9 127.0.0.1 1234 443\r\n";
    for (trusted, want) in [(true, Some(200)), (false, None)] {
        let trusted_proxies =
            if trusted { vec!["127.0.0.0/8".parse().unwrap()] } else { Vec::new() };
        let settings = Settings { trusted_proxies, ..Settings::default() };
        let plan = Plan { settings, ..Plan::default() };
        let town = Town::build(plan.app(A, &[policy("bypass", rule.clone())], json!({}))).await;
        let mut tcp = TcpStream::connect(("127.0.0.1", town.port())).await.unwrap();
        tcp.write_all(header).await.unwrap();
        let connector =
            tokio_rustls::TlsConnector::from(Arc::new(client_config(&town.ca_pem, &[])));
        let stream = connector.connect(A.try_into().unwrap(), tcp).await;
        let status = match stream {
            Ok(stream) => Some(Wire::new(stream).ask(get(A)).await.status),
            Err(_) => None,
        };
        assert_eq!(status, want);
    }
}

#[tokio::test]
async fn t25_who_says_nothing_or_too_little_is_sent_away() {
    let limits = narthex_proxy::Limits {
        handshake_time: Duration::from_millis(200),
        head_time: Duration::from_millis(200),
        keep_alive: Duration::from_millis(400),
        ..narthex_proxy::Limits::default()
    };
    let settings = Settings { limits, ..Settings::default() };
    let town = Town::build(Plan { settings, ..plan() }).await;
    for begun in [&b""[..], &[22, 3, 1, 0, 200, 1]] {
        let mut tcp = TcpStream::connect(("127.0.0.1", town.port())).await.unwrap();
        tcp.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        let _closed = tcp.read_to_end(&mut rest).await;
    }
    while town.read_meters().handshakes_failed < 2 {
        tokio::task::yield_now().await; // it is counted just after the socket is closed
    }
    let mut silent = town.wire(A).await;
    let mut slow = town.wire(A).await;
    slow.send("GET / HTTP/1.1\r\nHo").await; // h32
    let mut idle = town.wire(A).await;
    assert_eq!(idle.ask(get(A)).await.status, 200);
    for wire in [&mut silent, &mut slow, &mut idle] {
        assert!(wire.is_closed().await);
    }
    assert_eq!(town.origin.seen().len(), 1);
}

#[tokio::test]
async fn t19_a_client_hello_without_end_is_not_read_to_its_end() {
    let limits = narthex_proxy::Limits {
        handshake_time: Duration::from_secs(3600),
        ..narthex_proxy::Limits::default()
    };
    let settings = Settings { limits, ..Settings::default() };
    let town = Town::build(Plan { settings, ..plan() }).await;
    let mut tcp = TcpStream::connect(("127.0.0.1", town.port())).await.unwrap();
    // A ClientHello that says it has 60,000 bytes, in records of 4,096, of which nine come.
    let mut begun = vec![1, 0, 0xea, 0x60];
    begun.resize(9 * 4096, 0);
    for record in begun.chunks(4096) {
        let _sent = tcp.write_all(&[22, 3, 1, 0x10, 0]).await; // closed already: that is the point
        let _sent = tcp.write_all(record).await;
    }
    let mut nothing = [0; 1];
    let closed = tokio::time::timeout(Duration::from_secs(20), tcp.read(&mut nothing)).await;
    assert!(matches!(closed.unwrap(), Ok(0) | Err(_)), "without waiting for the rest");
    assert_eq!(town.wire(A).await.ask(get(A)).await.status, 200);
}

#[tokio::test]
async fn a_parked_connection_wakes_up() {
    let limits = narthex_proxy::Limits {
        head_time: Duration::from_secs(1), // so that parking comes after half of it
        ..narthex_proxy::Limits::default()
    };
    let settings = Settings { limits, ..Settings::default() };
    let town = Town::build(Plan { settings, ..plan() }).await;
    let mut wires = Vec::new();
    for _ in 0..4 {
        let mut wire = town.wire(A).await;
        assert_eq!(wire.ask(get(A)).await.status, 200);
        wires.push(wire);
    }
    for pause in [1, 300, 700] {
        for wire in &mut wires {
            // Time is what this test is about: it must pass between two requests.
            let _elapsed =
                tokio::time::timeout(Duration::from_millis(pause), std::future::pending::<()>())
                    .await;
            assert_eq!(wire.ask(get(A)).await.status, 200);
            wire.send("GET / HTTP/1.1\r\nHost: ").await;
            assert_eq!(wire.ask(format!("{A}\r\n\r\n")).await.status, 200, "a head in two pieces");
        }
    }
}
