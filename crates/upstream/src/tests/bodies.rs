//! Bodies in both directions: streamed, held back, cut short, given up.

use super::*;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A client's request under way, and the origin's end of it after the head was read.
async fn asked(
    gateway: &Gateway,
    listener: &TcpListener,
    request: Request<Full<Bytes>>,
) -> (tokio::task::JoinHandle<Response<Incoming>>, tokio::net::TcpStream, String) {
    let mut client = gateway.http1().await;
    let answer = spawn_local(async move { client.send_request(request).await.unwrap() });
    let (mut stream, _) = listener.accept().await.unwrap();
    let head = read_head(&mut stream).await.unwrap();
    (answer, stream, head)
}

async fn next(body: &mut Incoming) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[test]
fn events_arrive_one_by_one() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (answer, mut stream, _) = asked(&gateway, &listener, get("/events")).await;
        stream.write_all(EVENTS.as_bytes()).await.unwrap();
        let mut body = answer.await.unwrap().into_body();
        for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
            stream.write_all(format!("9\r\n{event}\r\n").as_bytes()).await.unwrap();
            assert_eq!(next(&mut body).await, event); // before the next is sent
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        assert!(body.frame().await.is_none(), "a clean end");
    });
}

#[test]
fn w5_a_stream_ends_when_its_caller_is_revoked() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (answer, mut stream, _) = asked(&gateway, &listener, get("/events")).await;
        stream.write_all(EVENTS.as_bytes()).await.unwrap();
        let mut body = answer.await.unwrap().into_body();
        stream.write_all(b"9\r\ndata: 1\n\n\r\n").await.unwrap();
        next(&mut body).await;
        gateway.revoke();
        assert!(body.frame().await.unwrap().is_err(), "not a clean end");
        assert!(is_closed(&mut stream).await, "the origin is told");
    });
}

#[test]
fn a_download_that_never_pauses_ends_too_when_its_caller_is_revoked() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (answer, mut stream, _) = asked(&gateway, &listener, get("/")).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await.unwrap();
        let flood =
            spawn_local(async move { while stream.write_all(&[b'x'; 65536]).await.is_ok() {} });
        let mut body = answer.await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        gateway.revoke();
        while let Some(Ok(_)) = body.frame().await {}
        flood.await.unwrap();
    });
}

#[test]
fn an_origin_is_not_asked_for_somebody_who_was_revoked_meanwhile() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (answer, mut stream, _) = asked(&gateway, &listener, get("/slow")).await;
        gateway.revoke();
        assert_eq!(answer.await.unwrap().status(), StatusCode::BAD_GATEWAY);
        assert!(matches!(gateway.error(), UpstreamError::Revoked));
        assert!(is_closed(&mut stream).await);
    });
}

#[test]
fn w7_w8_a_cut_answer_never_looks_complete() {
    for (name, answer, reset) in [
        ("a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false),
        ("chunks", &*format!("{CHUNKED}4\r\nhalf\r\n"), false),
        ("within a chunk", &*format!("{CHUNKED}A\r\nhalf"), false),
        ("no last line", &*format!("{CHUNKED}4\r\nhalf\r\n0\r\n"), false),
        ("a bad chunk size", &*format!("{CHUNKED}4\r\nhalf\r\n+1\r\nx\r\n0\r\n\r\n"), false),
        ("a chunk that is too long", &*format!("{CHUNKED}4\r\nhalf!\r\n0\r\n\r\n"), false),
        ("until close, reset", "HTTP/1.1 200 OK\r\n\r\nhalf", true),
    ] {
        story(async || {
            let (listener, service) = origin().await;
            let gateway = Gateway::to(&service);
            let (passed, mut stream, _) = asked(&gateway, &listener, get("/")).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut body = passed.await.unwrap().into_body();
            assert_eq!(next(&mut body).await, "half", "{name}");
            if reset {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(stream);
            assert!(body.frame().await.unwrap().is_err(), "{name}");
        });
    }
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (answer, mut stream, _) = asked(&gateway, &listener, get("/")).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nwhole").await.unwrap();
        drop(stream);
        let body = answer.await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "whole");
    });
}

#[test]
fn an_upload_streams_and_is_framed_anew() {
    for (name, client_framing, method, want) in [
        ("a length", "Content-Length: 6\r\n", "POST", "content-length: 6\r\n"),
        ("chunks", "Transfer-Encoding: chunked\r\n", "POST", "transfer-encoding: chunked\r\n"),
        (
            "chunks with GET",
            "Transfer-Encoding: chunked\r\n",
            "GET",
            "transfer-encoding: chunked\r\n",
        ),
        ("a length with GET", "Content-Length: 6\r\n", "GET", "content-length: 6\r\n"),
    ] {
        story(async || {
            let (listener, service) = origin().await;
            let gateway = Gateway::to(&service);
            let mut client = gateway.raw();
            let head =
                format!("{method} / HTTP/1.1\r\nHost: app.example.com\r\n{client_framing}\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            let chunked = client_framing.starts_with('T');
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await.unwrap();
            assert_eq!(head.matches(want).count(), 1, "{name}: {head}");
            assert!(!(head.contains("length") && head.contains("chunked")), "{name}");
            for part in ["one", "two"] {
                let sent = if chunked { format!("3\r\n{part}\r\n") } else { part.to_owned() };
                client.write_all(sent.as_bytes()).await.unwrap();
                expect(&mut stream, &sent).await; // before the next is sent
            }
            if chunked {
                client.write_all(b"0\r\nX-Late: trailer\r\n\r\n").await.unwrap();
                expect(&mut stream, "0\r\n\r\n").await;
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
            assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 200"), "{name}");
        });
    }
}

#[test]
fn h29_a_client_that_waits_is_told_to_go_on_when_the_origin_is_there() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let mut client = gateway.raw();
        let head = "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await.unwrap();
        assert!(!head.contains("expect"), "{head}");
        assert_eq!(read_head(&mut client).await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"hi").await.unwrap();
        expect(&mut stream, "hi").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn r6_an_answer_may_come_before_the_upload_ends() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let mut client = gateway.raw();
        let head =
            "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 1000000\r\n\r\nbegin";
        client.write_all(head.as_bytes()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").await.unwrap();
        assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 413"));
        expect(&mut client, "big").await;
        expect(&mut stream, "begin").await;
        assert!(is_closed(&mut stream).await, "a connection in the middle of a request is closed");
    });
}

#[test]
fn rule_17_work_ends_when_its_client_is_gone() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);

        let (answer, mut stream, _) = asked(&gateway, &listener, get("/")).await;
        answer.abort(); // before the answer began
        assert!(is_closed(&mut stream).await);

        let (answer, mut stream, _) = asked(&gateway, &listener, get("/")).await;
        stream.write_all(format!("{CHUNKED}4\r\nhalf\r\n").as_bytes()).await.unwrap();
        drop(answer.await.unwrap()); // in the middle of it
        assert!(is_closed(&mut stream).await);

        let mut client = gateway.raw();
        let head = "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 10\r\n\r\nhalf";
        client.write_all(head.as_bytes()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        expect(&mut stream, "half").await;
        drop(client); // in the middle of the upload
        assert!(is_closed(&mut stream).await);
    });
}

#[test]
fn an_origin_that_says_nothing_is_given_up() {
    story(async || {
        let (listener, service) = origin().await;
        let patience =
            OriginRequest { response_timeout: "50ms".parse().ok(), ..OriginRequest::default() };
        let gateway = Gateway::with(&service, patience);
        let (answer, mut stream, _) = asked(&gateway, &listener, get("/")).await;
        assert_eq!(answer.await.unwrap().status(), StatusCode::BAD_GATEWAY);
        let error = gateway.error();
        assert!(
            matches!(error, UpstreamError::Timeout { step: error::Step::FirstByte, .. }),
            "{error:?}"
        );
        assert!(is_closed(&mut stream).await);
    });
}

#[test]
fn an_origin_that_falls_silent_is_given_up_unless_it_is_a_stream() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (answer, mut events, _) = asked(&gateway, &listener, get("/events")).await;
        events.write_all(EVENTS.as_bytes()).await.unwrap();
        let mut stream = answer.await.unwrap().into_body();

        let (answer, mut silent, _) = asked(&gateway, &listener, get("/")).await;
        silent.write_all(format!("{CHUNKED}4\r\nhalf\r\n").as_bytes()).await.unwrap();
        let mut body = answer.await.unwrap().into_body();
        assert_eq!(next(&mut body).await, "half");
        assert!(body.frame().await.unwrap().is_err());
        assert!(is_closed(&mut silent).await);

        events.write_all(b"9\r\ndata: 1\n\n\r\n").await.unwrap();
        assert_eq!(next(&mut stream).await, "data: 1\n\n");
    });
}

#[test]
fn a_slow_upload_is_not_a_slow_origin() {
    story(async || {
        let (listener, service) = origin().await;
        let patience =
            OriginRequest { response_timeout: "100ms".parse().ok(), ..OriginRequest::default() };
        let gateway = Gateway::with(&service, patience);
        let (sender, mut parts) = mpsc::channel::<Bytes>(1);
        let frames = futures_util::stream::poll_fn(move |cx| {
            parts.poll_recv(cx).map(|part| part.map(|part| Ok::<_, Infallible>(Frame::data(part))))
        });
        let mut client = gateway.http2::<StreamBody<_>>().await;
        let uri = "https://app.example.com/";
        let post = Request::builder().method(Method::POST).uri(uri).body(StreamBody::new(frames));
        let answer = spawn_local(async move { client.send_request(post.unwrap()).await.unwrap() });
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        let vigil = Rc::clone(&gateway.upstreams.vigil);
        for _ in 0..5 {
            let before = vigil.now();
            while vigil.now().wrapping_sub(before) < 5 {
                tokio::task::yield_now().await; // half of what is allowed, five times
            }
            sender.send(Bytes::from_static(b"x")).await.unwrap();
            expect(&mut stream, "1\r\nx\r\n").await;
        }
        drop(sender);
        expect(&mut stream, "0\r\n\r\n").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    });
}

#[test]
fn a_client_that_does_not_read_holds_the_origin_back() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let (answer, mut stream, _) = asked(&gateway, &listener, get("/")).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await.unwrap();
        let written = Rc::new(Cell::new(0));
        let counted = Rc::clone(&written);
        let flood = spawn_local(async move {
            while stream.write_all(&[b'x'; 65536]).await.is_ok() {
                counted.set(counted.get() + 65536);
            }
        });
        let answer = answer.await.unwrap();
        let mut still = 0;
        let mut before = 0;
        while still < 1000 {
            tokio::task::yield_now().await;
            still = if written.get() == before { still + 1 } else { 0 };
            before = written.get();
        }
        assert!(
            written.get() < 100_000_000,
            "the kernel's buffers, and a little: {}",
            written.get()
        );
        drop(answer);
        flood.await.unwrap();
    });
}

#[test]
fn the_last_byte_of_both_bodies_frees_the_connection() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let asking = gateway.clone();
        let asked = spawn_local(async move {
            for _ in 0..3 {
                asking.ask(request(Method::POST, "/").map(|_| Full::from("x=1"))).await;
            }
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..3 {
            read_head(&mut stream).await.unwrap();
            expect(&mut stream, "x=1").await;
            let answer = format!("{CHUNKED}2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked.await.unwrap();
    });
}

#[test]
fn what_the_origin_sees_and_the_client_gets() {
    story(async || {
        let (listener, service) = origin().await;
        let mut gateway = Gateway::to(&service);
        gateway.who = Who {
            token: Some(HeaderValue::from_static("TOKEN")),
            email: Some(HeaderValue::from_static("ada@example.com")),
            spent: Some("x-machine".parse().unwrap()),
        };
        let mut forged = get("/a?b=c");
        for (name, value) in [
            ("cf-access-jwt-assertion", "forged"),
            ("cf_access_authenticated_user_email", "forged@example.com"),
            ("cf-access-client-secret", "secret"),
            ("x-machine", "secret"),
            ("x-forwarded-for", "198.51.100.1"),
            ("cookie", "a=1; CF_Authorization=forged; CF_Binding=secret"),
            ("connection", "cf-access-jwt-assertion, x-hop"),
            ("x-hop", "secret"),
            ("x-app", "passes"),
        ] {
            forged.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let (answer, mut stream, head) = asked(&gateway, &listener, forged).await;
        let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
        lines[1..].sort_unstable();
        assert_eq!(
            lines,
            [
                "GET /a?b=c HTTP/1.1",
                "cdn-loop: narthex; loops=1",
                "cf-access-authenticated-user-email: ada@example.com",
                "cf-access-jwt-assertion: TOKEN",
                "cf-connecting-ip: 203.0.113.9",
                "cf-ipcountry: JP",
                "cf-ray: 0123456789abcdef",
                "cf-visitor: {\"scheme\":\"https\"}",
                "cookie: a=1; CF_Authorization=TOKEN",
                "host: app.example.com",
                "x-app: passes",
                "x-forwarded-for: 203.0.113.9",
                "x-forwarded-host: app.example.com",
                "x-forwarded-proto: https",
            ]
        );
        let said = "HTTP/1.1 200 OK\r\nSet-Cookie: CF_Session=forged\r\nSet-Cookie: a=1\r\nCf-Access-Domain: evil\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(said.as_bytes()).await.unwrap();
        let answer = answer.await.unwrap();
        let mut got: Vec<_> =
            answer.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        got.retain(|field| !field.starts_with("date"));
        got.sort();
        assert_eq!(got, ["cf-ray: 0123456789abcdef", "content-length: 0", "set-cookie: a=1"]);
        assert_eq!(gateway.tally.impostors.get(), 1);
    });
}

#[test]
fn a_rule_may_name_the_host_for_the_origin() {
    story(async || {
        let (listener, service) = origin().await;
        let named = OriginRequest {
            http_host_header: Some("inside:8080".into()),
            ..OriginRequest::default()
        };
        let gateway = Gateway::with(&service, named);
        let (_answer, _stream, head) = asked(&gateway, &listener, get("/")).await;
        assert!(head.contains("host: inside:8080\r\n"), "{head}");
        assert!(head.contains("x-forwarded-host: app.example.com\r\n"), "{head}");
    });
}

#[test]
fn a_silent_handshake_is_given_up() {
    story(async || {
        let (_listener, service) = origin().await;
        let hurry = OriginRequest {
            connect_timeout: "50ms".parse().ok(),
            no_tls_verify: true,
            ..OriginRequest::default()
        };
        for http2_origin in [false, true] {
            let hurry = OriginRequest { http2_origin, ..hurry.clone() };
            let gateway = Gateway::with(&service.replace("http:", "https:"), hurry);
            assert_eq!(gateway.ask(get("/")).await.0, StatusCode::BAD_GATEWAY);
            let error = gateway.error();
            assert!(
                matches!(error, UpstreamError::Timeout { step: error::Step::Connect, .. }),
                "{error:?}"
            );
        }
    });
}

#[test]
fn r07_the_next_address_is_tried_when_one_refuses() {
    story(async || {
        let Ok(listener) = TcpListener::bind("[::1]:0").await else { return }; // a machine without IPv6
        let port = listener.local_addr().unwrap().port();
        let seen = echo_forever(listener, OK);
        let gateway = Gateway::to(&format!("http://localhost:{port}")); // 127.0.0.1 first
        assert_eq!(gateway.ask(get("/")).await.2, "ok");
        assert_eq!(seen.get(), (1, 1));
    });
}
