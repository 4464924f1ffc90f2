//! WebSockets and other upgrades, from both versions of HTTP (checklist W2, W3, W5, W7, H33, N17).

use super::*;
use base64::Engine as _;
use hyper::ext::Protocol;
use tokio::net::TcpStream;

/// The sample key of RFC 6455 §1.3, and what belongs to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A text frame with "hi", as a server sends it.
const HI: &[u8] = b"\x81\x02hi";

fn wish(fields: &str) -> String {
    format!("GET /ws HTTP/1.1\r\nHost: app.example.com\r\n{fields}\r\n")
}

fn websocket_wish() -> String {
    wish(&format!(
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: chat\r\n"
    ))
}

fn switch(fields: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n")
}

fn websocket_switch() -> String {
    switch(&format!(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: chat\r\n"
    ))
}

/// A WebSocket through the gateway: the client's end, and the origin's.
async fn websocket(gateway: &Gateway, listener: &TcpListener) -> (DuplexStream, TcpStream) {
    let mut client = gateway.raw();
    client.write_all(websocket_wish().as_bytes()).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    read_head(&mut stream).await.unwrap();
    stream.write_all(websocket_switch().as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 101 "));
    (client, stream)
}

#[test]
fn a_websocket_carries_bytes_both_ways() {
    story(async || {
        let (listener, service) = origin().await;
        let mut gateway = Gateway::to(&service);
        gateway.who.token = Some(HeaderValue::from_static("TOKEN"));
        let mut client = gateway.raw();
        client.write_all(websocket_wish().as_bytes()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await.unwrap();
        for field in [
            "cf-access-jwt-assertion: TOKEN",
            "connection: Upgrade",
            "upgrade: websocket",
            &format!("sec-websocket-key: {KEY}"),
            "sec-websocket-version: 13",
            "sec-websocket-protocol: chat",
        ] {
            assert_eq!(head.matches(&format!("\r\n{field}\r\n")).count(), 1, "{field} in {head}");
        }
        // the first frame comes in the same packet as the 101
        let answer = [websocket_switch().as_bytes(), HI].concat();
        stream.write_all(&answer).await.unwrap();
        let head = read_head(&mut client).await.unwrap();
        for field in [
            "connection: Upgrade",
            "upgrade: websocket",
            &format!("sec-websocket-accept: {ACCEPT}"),
            "sec-websocket-protocol: chat",
            "cf-ray: 0123456789abcdef",
        ] {
            assert_eq!(head.matches(&format!("\r\n{field}\r\n")).count(), 1, "{field} in {head}");
        }
        let mut frame = [0; 4];
        client.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame, HI);
        let large = vec![b'x'; 1_000_000];
        let sent = large.clone();
        let writing = spawn_local(async move {
            client.write_all(&sent).await.unwrap();
            client
        });
        let mut read = vec![0; large.len()];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, large);
        drop(writing.await.unwrap());
        assert!(is_closed(&mut stream).await);
    });
}

#[test]
fn n17_a_websocket_over_http2_reaches_an_http1_origin() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let mut client = gateway.http2::<Full<Bytes>>().await;
        let connect = Request::builder()
            .method(Method::CONNECT)
            .uri("https://app.example.com/ws?x=1")
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "chat");
        let connect = connect.body(Full::default()).unwrap();
        let answer = spawn_local(async move { client.send_request(connect).await.unwrap() });
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.starts_with("GET /ws?x=1 HTTP/1.1\r\n"), "{head}");
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
        stream.write_all(accepting(key).as_bytes()).await.unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        for gone in ["sec-websocket-accept", "upgrade", "connection"] {
            assert!(!answer.headers().contains_key(gone), "{gone}");
        }
        let mut client = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        client.write_all(b"ping").await.unwrap();
        expect(&mut stream, "ping").await;
        stream.write_all(HI).await.unwrap();
        let mut frame = [0; 4];
        client.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame, HI);
        gateway.revoke();
        assert_eq!(goodbye(&mut client).await, 1008);
        assert!(is_closed(&mut stream).await);
    });
}

fn accepting(key: &str) -> String {
    let mut proof = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
    proof.update(key.as_bytes());
    proof.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = base64::engine::general_purpose::STANDARD.encode(proof.finish());
    websocket_switch().replace(ACCEPT, &accept)
}

/// Reads a close frame and the end behind it; the code it brings.
async fn goodbye(client: &mut (impl AsyncReadExt + Unpin)) -> u16 {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest[0], 0x88, "{rest:?}");
    assert_eq!(usize::from(rest[1]), rest.len() - 2, "one frame and nothing behind it");
    u16::from_be_bytes([rest[2], rest[3]])
}

#[test]
fn w5_a_websocket_is_closed_when_its_caller_is_revoked() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (mut client, mut stream) = websocket(&gateway, &listener).await;
        stream.write_all(HI).await.unwrap();
        let mut frame = [0; 4];
        client.read_exact(&mut frame).await.unwrap();
        gateway.revoke();
        assert_eq!(goodbye(&mut client).await, 1008);
        drop(client);
        assert!(is_closed(&mut stream).await);
    });
}

#[test]
fn w5_within_a_frame_nothing_is_said() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (mut client, mut stream) = websocket(&gateway, &listener).await;
        stream.write_all(&HI[..3]).await.unwrap();
        let mut part = [0; 3];
        client.read_exact(&mut part).await.unwrap();
        gateway.revoke();
        assert!(is_closed(&mut client).await);
        assert!(is_closed(&mut stream).await);
    });
}

#[test]
fn w7_the_end_of_one_direction_is_told_at_once_and_the_other_goes_on() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);

        let (mut client, mut stream) = websocket(&gateway, &listener).await;
        client.shutdown().await.unwrap();
        assert!(is_closed(&mut stream).await);
        stream.write_all(HI).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, HI);

        let (mut client, mut stream) = websocket(&gateway, &listener).await;
        stream.shutdown().await.unwrap();
        assert!(is_closed(&mut client).await);
        client.write_all(b"more").await.unwrap();
        expect(&mut stream, "more").await;

        let (mut client, stream) = websocket(&gateway, &listener).await;
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream); // reset
        assert!(is_closed(&mut client).await);
    });
}

#[test]
fn h32_a_websocket_ends_whose_client_takes_nothing() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (client, mut stream) = websocket(&gateway, &listener).await;
        while stream.write_all(&[0; 65536]).await.is_ok() {}
        drop(client);

        let (mut client, mut stream) = websocket(&gateway, &listener).await;
        let vigil = Rc::clone(&gateway.upstreams.vigil);
        for _ in 0..20 {
            stream.write_all(HI).await.unwrap(); // one that takes what there is may be slow
            let mut frame = [0; 4];
            client.read_exact(&mut frame).await.unwrap();
            assert_eq!(frame, HI);
            let before = vigil.now();
            while vigil.now() == before {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn w3_a_switch_must_belong_to_the_wish() {
    let websocket = websocket_wish();
    let other = wish("Connection: upgrade\r\nUpgrade: foo/2\r\n");
    for (name, wish, answer) in [
        ("a wrong proof", &websocket, websocket_switch().replace("s3p", "S3p")),
        ("no proof", &websocket, switch("Upgrade: websocket\r\nConnection: Upgrade\r\n")),
        (
            "two proofs",
            &websocket,
            websocket_switch().replace("Sec-WebSocket-Protocol", "Sec-WebSocket-Accept"),
        ),
        ("another protocol", &websocket, websocket_switch().replace("websocket", "foo")),
        ("no protocol", &websocket, websocket_switch().replace("Upgrade: websocket\r\n", "")),
        (
            "two protocols",
            &websocket,
            websocket_switch().replace("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: foo"),
        ),
        (
            "not in Connection",
            &websocket,
            websocket_switch().replace("Connection: Upgrade", "Connection: close"),
        ),
        (
            "a body",
            &websocket,
            websocket_switch().replace("Connection", "Content-Length: 5\r\nConnection"),
        ),
        (
            "a chunked body",
            &websocket,
            websocket_switch().replace("Connection", "Transfer-Encoding: chunked\r\nConnection"),
        ),
        ("a websocket for foo", &other, switch("Upgrade: websocket\r\nConnection: Upgrade\r\n")),
    ] {
        story(async || {
            let (listener, service) = origin().await;
            let gateway = Gateway::to(&service);
            let mut client = gateway.raw();
            client.write_all(wish.as_bytes()).await.unwrap();
            client.write_all(b"early bytes").await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 502 "), "{name}");
            let error = gateway.error();
            assert!(matches!(error, UpstreamError::BadAnswer { .. }), "{name}: {error:?}");
            assert!(is_closed(&mut stream).await, "{name}: no early byte is forwarded");
        });
    }
}

#[test]
fn other_protocols_may_be_switched_to() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let mut client = gateway.raw();
        let wish = wish("Connection: Upgrade\r\nUpgrade: h2c, foo/2\r\n");
        client.write_all(wish.as_bytes()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.contains("upgrade: foo/2\r\n"), "{head}");
        stream
            .write_all(switch("Upgrade: foo/2\r\nConnection: Upgrade\r\n").as_bytes())
            .await
            .unwrap();
        read_head(&mut client).await.unwrap();
        client.write_all(b"one").await.unwrap();
        expect(&mut stream, "one").await;
        stream.write_all(b"two").await.unwrap();
        expect(&mut client, "two").await;
        gateway.revoke();
        assert!(is_closed(&mut client).await, "nothing is said in a protocol that we do not know");
    });
}

#[test]
fn w2_an_answer_in_place_of_a_switch_ends_the_connection() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let mut client = gateway.raw();
        client.write_all(websocket_wish().as_bytes()).await.unwrap();
        client.write_all(b"GET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        let head = read_head(&mut client).await.unwrap();
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.contains("connection: close\r\n"),
            "{head}"
        );
        expect(&mut client, "ok").await;
        assert!(is_closed(&mut client).await);
        assert!(is_closed(&mut stream).await, "nothing more is forwarded");
    });
}

#[test]
fn n17_a_success_that_is_no_switch_is_no_tunnel() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        for (said, want) in [("200 OK", 502), ("403 Forbidden", 403)] {
            let mut client = gateway.http2::<Full<Bytes>>().await;
            let connect =
                Request::builder().method(Method::CONNECT).uri("https://app.example.com/ws");
            let connect = connect.extension(Protocol::from_static("websocket"));
            let connect = connect.body(Full::default()).unwrap();
            let answer = spawn_local(async move { client.send_request(connect).await.unwrap() });
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await.unwrap();
            stream.write_all(OK.replace("200 OK", said).as_bytes()).await.unwrap();
            assert_eq!(answer.await.unwrap().status(), want);
        }
    });
}

#[test]
fn what_is_not_an_upgrade_stays_a_request() {
    for (name, wish) in [
        (
            "h33, h2c",
            wish(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            ),
        ),
        ("not in Connection", wish("Upgrade: websocket\r\n")),
        ("HTTP/1.0", websocket_wish().replace("HTTP/1.1", "HTTP/1.0")),
        (
            "with a body",
            websocket_wish()
                .replace("GET", "POST")
                .replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nhi"),
        ),
    ] {
        story(async || {
            let (listener, service) = origin().await;
            let gateway = Gateway::to(&service);
            let mut client = gateway.raw();
            client.write_all(wish.as_bytes()).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await.unwrap();
            for gone in ["upgrade", "connection", "http2-settings"] {
                assert!(!head.contains(gone), "{name}: {head}");
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
            assert!(read_head(&mut client).await.unwrap().contains(" 200 OK"), "{name}");
        });
    }
}

#[test]
fn a_websocket_is_asked_for_properly_or_not_at_all() {
    for (name, wish) in [
        ("no key", websocket_wish().replace("Sec-WebSocket-Key", "X-Key")),
        ("a short key", websocket_wish().replace(KEY, "dGhlIHNhbXBsZQ==")),
        ("two keys", websocket_wish().replace("Sec-WebSocket-Protocol", "Sec-WebSocket-Key")),
        ("not GET", websocket_wish().replace("GET", "DELETE")),
    ] {
        story(async || {
            let (_listener, service) = origin().await;
            let gateway = Gateway::to(&service);
            let mut client = gateway.raw();
            client.write_all(wish.as_bytes()).await.unwrap();
            read_head(&mut client).await.unwrap();
            assert!(matches!(gateway.error(), UpstreamError::BadUpgrade(_)), "{name}");
        });
    }
}
