//! Origins that answer with something other than one HTTP answer (checklist I8, W3, N19).

use super::*;

const LONG: usize = 1024 * 1024;

#[test]
fn i8_what_has_two_meanings_is_refused_and_its_connection_closed() {
    let many = "x: y\r\n".repeat(101);
    let long = format!("x: {}\r\n", "y".repeat(LONG));
    let fields = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nok");
    for (name, answer) in [
        ("length and chunks", fields("Content-Length: 2\r\nTransfer-Encoding: chunked")),
        ("chunks and length", fields("Transfer-Encoding: chunked\r\nContent-Length: 2")),
        ("two lengths", fields("Content-Length: 2\r\nContent-Length: 3")),
        ("the same length twice", fields("Content-Length: 2\r\nContent-Length: 2")),
        ("a list of lengths", fields("Content-Length: 2, 2")),
        ("a signed length", fields("Content-Length: +2")),
        ("a length in hex", fields("Content-Length: 0x2")),
        ("a length beyond 64 bits", fields("Content-Length: 99999999999999999999")),
        ("chunked twice", fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        ("gzip, chunked", fields("Transfer-Encoding: gzip, chunked")),
        ("chunked, gzip", fields("Transfer-Encoding: chunked, gzip")),
        ("identity", fields("Transfer-Encoding: identity")),
        (
            "chunks in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        ("a space before the colon", fields("Content-Length : 2")),
        ("a folded line", fields("X: a\r\n b")),
        ("NUL in a value", fields("X: a\0b")),
        ("a bare CR in a value", fields("X: a\rb")),
        ("no colon", fields("X")),
        ("101 fields", fields(many.trim_end())),
        ("a head of 1 MB", fields(long.trim_end())),
        ("a status line without a status", "HTTP/1.1 OK\r\n\r\n".into()),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n".into()),
        ("a status below 100", "HTTP/1.1 099 OK\r\n\r\n".into()),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n".into()),
        ("HTTP/0.9", "<html>hello</html>\r\n\r\n".into()),
        ("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok".into()),
        (
            "a switch nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                .into(),
        ),
        (
            "a 204 with a body",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                .into(),
        ),
        ("nothing", String::new()),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Le".into()),
    ] {
        story(async || {
            let (listener, service) = origin().await;
            let gateway = Gateway::to(&service);
            let asking = gateway.clone();
            let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await.unwrap();
            let _closed_early = stream.write_all(answer.as_bytes()).await;
            if name == "nothing" || name == "half a head" {
                stream.shutdown().await.unwrap();
            }
            assert_eq!(asked.await.unwrap(), StatusCode::BAD_GATEWAY, "{name}");
            let error = gateway.error();
            let sound = match name {
                "101 fields" | "a head of 1 MB" => matches!(error, UpstreamError::TooBig),
                "nothing" => matches!(error, UpstreamError::Closed(_)),
                _ => matches!(error, UpstreamError::BadAnswer { .. }),
            };
            assert!(sound, "{name}: {error:?}");
            assert!(is_closed(&mut stream).await, "{name}: the connection is closed");

            let asked = spawn_local(async move { gateway.ask(get("/")).await.2 });
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            assert_eq!(asked.await.unwrap(), "ok", "{name}: the next request is not harmed");
        });
    }
}

#[test]
fn answers_that_mean_one_thing_pass() {
    for (name, answer, status, body) in [
        ("a length", OK, 200, "ok"),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            200,
            "ok",
        ),
        ("204", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (
            "204 with a length of nothing",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            204,
            "",
        ),
        (
            "304 with the length of another",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            304,
            "",
        ),
        (
            "100 before",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            200,
            "ok",
        ),
        (
            "103 before",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            200,
            "ok",
        ),
        ("no reason phrase", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        ("an unknown status", "HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok", 799, "ok"),
    ] {
        story(async || {
            let (listener, service) = origin().await;
            let seen = echo_forever(listener, answer);
            let gateway = Gateway::to(&service);
            for _ in 0..2 {
                let (got, headers, text) = gateway.ask(get("/")).await;
                assert_eq!((got.as_u16(), &*text), (status, body.as_bytes()), "{name}");
                assert_eq!(headers.contains_key("transfer-encoding"), name == "chunks", "{name}");
            }
            assert_eq!(seen.get(), (1, 2), "{name}: the connection is used again");
        });
    }
}

#[test]
fn a_head_request_keeps_the_length_it_is_told() {
    story(async || {
        let (listener, service) = origin().await;
        let seen = echo_forever(listener, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
        let gateway = Gateway::to(&service);
        for _ in 0..2 {
            let (_, headers, body) = gateway.ask(request(Method::HEAD, "/")).await;
            assert_eq!((headers["content-length"].to_str().unwrap(), body.len()), ("5000", 0));
        }
        assert_eq!(seen.get(), (1, 2));
    });
}

#[test]
fn an_origin_that_only_says_wait_is_not_waited_for() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let asking = gateway.clone();
        let asked = spawn_local(async move { asking.ask(get("/")).await.0 });
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.await.unwrap(), StatusCode::BAD_GATEWAY);
        assert!(matches!(gateway.error(), UpstreamError::BadAnswer { .. }));
    });
}
