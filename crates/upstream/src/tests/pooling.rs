//! Which connections are used again.

use super::*;

#[test]
fn requests_in_a_row_share_a_connection() {
    story(async || {
        let (listener, service) = origin().await;
        let seen = echo_forever(listener, OK);
        let gateway = Gateway::to(&service);
        for _ in 0..5 {
            assert_eq!(gateway.ask(get("/")).await.2, "ok");
        }
        assert_eq!(seen.get(), (1, 5));
    });
}

#[test]
fn requests_at_once_have_a_connection_each_and_leave_them_to_others() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let both = (gateway.clone(), gateway.clone());
        let first = spawn_local(async move { both.0.ask(get("/1")).await.2 });
        let second = spawn_local(async move { both.1.ask(get("/2")).await.2 });
        let (mut one, _) = listener.accept().await.unwrap();
        let (mut two, _) = listener.accept().await.unwrap();
        for stream in [&mut one, &mut two] {
            read_head(stream).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
        assert_eq!((first.await.unwrap(), second.await.unwrap()), ("ok".into(), "ok".into()));
        let third = spawn_local(async move { gateway.ask(get("/3")).await.2 });
        let head = tokio::select! {
            head = read_head(&mut one) => head,
            head = read_head(&mut two) => head,
            _ = listener.accept() => panic!("a connection was at hand"),
        };
        assert!(head.unwrap().starts_with("GET /3 "));
        third.abort();
    });
}

#[test]
fn a_connection_in_doubt_is_not_used_again() {
    for (name, answer) in [
        ("told to close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (
            "more than one answer",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        ),
        ("NTLM", "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nok"),
        (
            "Negotiate",
            "HTTP/1.1 200 OK\r\nWWW-Authenticate: Negotiate oRQw\r\nContent-Length: 2\r\n\r\nok",
        ),
    ] {
        story(async || {
            let (listener, service) = origin().await;
            let seen = echo_forever(listener, answer);
            let gateway = Gateway::to(&service);
            for _ in 0..3 {
                assert_eq!(gateway.ask(get("/")).await.2, "ok", "{name}");
            }
            assert_eq!(seen.get(), (3, 3), "{name}");
        });
    }
}

#[test]
fn i10_credentials_that_bind_a_connection_are_not_shared() {
    story(async || {
        let (listener, service) = origin().await;
        let seen = echo_forever(listener, OK);
        let gateway = Gateway::to(&service);
        for scheme in ["Negotiate YII", "NTLM TlRM", "negotiate YII"] {
            let mut request = get("/");
            request.headers_mut().insert("authorization", HeaderValue::from_static(scheme));
            gateway.ask(request).await;
        }
        assert_eq!(seen.get().0, 3);
        let mut request = get("/");
        request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer negotiate"));
        gateway.ask(request).await;
        gateway.ask(get("/")).await;
        assert_eq!(seen.get(), (4, 5), "others are shared");
    });
}

#[test]
fn what_rests_too_long_is_closed() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let asked = spawn_local(async move {
            gateway.ask(get("/")).await;
            gateway
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        let gateway = asked.await.unwrap();
        let now = gateway.upstreams.vigil.now();
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap();
        let road = gateway.upstreams.roads.find(&gateway.origin, now).unwrap();
        for later in [45, 46] {
            let Some(Carrier::Line(line)) = road.carrier_at_hand() else {
                panic!("it rests still")
            };
            road.rest(line, now);
            gateway.upstreams.roads.sweep(now + later, seconds);
        }
        assert!(road.carrier_at_hand().is_none());
        assert!(is_closed(&mut stream).await);
    });
}

#[test]
fn a_unix_socket_is_an_origin_too() {
    story(async || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let gateway = Gateway::to(&format!("unix:{}", path.display()));
        let asked = spawn_local(async move { gateway.ask(get("/")).await.2 });
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read_head(&mut stream).await.unwrap().contains("host: app.example.com\r\n"));
        stream.write_all(OK.as_bytes()).await.unwrap();
        assert_eq!(asked.await.unwrap(), "ok");
    });
}

#[test]
fn a_name_below_localhost_is_this_machine() {
    story(async || {
        let (listener, service) = origin().await;
        let port = listener.local_addr().unwrap().port();
        let seen = echo_forever(listener, OK);
        drop(service);
        let gateway = Gateway::to(&format!("http://wiki.localhost:{port}"));
        assert_eq!(gateway.ask(get("/")).await.2, "ok");
        assert_eq!(seen.get(), (1, 1));
    });
}

#[test]
fn nobody_there() {
    story(async || {
        let gateway = Gateway::to("http_status:404");
        let (status, headers, _) = gateway.ask(get("/")).await;
        assert_eq!(
            (status, headers["cf-ray"].to_str().unwrap()),
            (StatusCode::NOT_FOUND, "0123456789abcdef")
        );

        let (listener, service) = origin().await;
        drop(listener);
        let gateway = Gateway::to(&service);
        gateway.ask(get("/")).await;
        assert!(matches!(gateway.error(), UpstreamError::Connect { .. }));

        let gateway = Gateway::to("unix:/nowhere/at/all.sock");
        gateway.ask(get("/")).await;
        assert!(matches!(gateway.error(), UpstreamError::Connect { .. }));
    });
}
