//! What is sent twice, and what never is (security rule 18, checklist R6).

use super::*;

/// An origin that answers the first request on every connection and drops the second, having read it. Tells every
/// request line it saw.
async fn one_per_connection(drops: u32) -> (Gateway, Rc<RefCell<Vec<String>>>) {
    let (listener, service) = origin().await;
    let seen = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&seen);
    spawn_local(async move {
        for connection in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let told = Rc::clone(&told);
            let tell = move |head: String| {
                told.borrow_mut().push(head.lines().next().unwrap_or_default().to_owned());
            };
            spawn_local(async move {
                tell(read_head(&mut stream).await?);
                if connection > 0 && connection < drops {
                    return None; // without a word
                }
                stream.write_all(OK.as_bytes()).await.ok()?;
                tell(read_head(&mut stream).await?);
                None::<()>
            });
        }
    });
    (Gateway::to(&service), seen)
}

#[test]
fn r06_a_reused_connection_that_is_dropped_costs_an_idempotent_request_nothing() {
    story(async || {
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
            let (gateway, seen) = one_per_connection(0).await;
            gateway.ask(get("/first")).await;
            let (status, ..) = gateway.ask(request(method.clone(), "/second")).await;
            assert_eq!(status, StatusCode::OK, "{method}");
            let second = format!("{method} /second HTTP/1.1");
            let want = ["GET /first HTTP/1.1", &second, &second];
            assert_eq!(*seen.borrow(), want, "{method}");
            assert_eq!(gateway.tally.retries.get(), 1, "{method}");
        }
    });
}

#[test]
fn r06_a_post_is_never_sent_twice() {
    story(async || {
        for body in ["", "x=1"] {
            let (gateway, seen) = one_per_connection(0).await;
            gateway.ask(get("/first")).await;
            let post = request(Method::POST, "/second").map(|_| Full::from(body));
            let (status, ..) = gateway.ask(post).await;
            assert_eq!(status, StatusCode::BAD_GATEWAY, "{body:?}");
            assert!(matches!(gateway.error(), UpstreamError::Closed(Some(_))), "{body:?}");
            let want = ["GET /first HTTP/1.1", "POST /second HTTP/1.1"];
            assert_eq!(*seen.borrow(), want, "{body:?}");
        }
    });
}

#[test]
fn r06_a_request_with_a_body_is_never_sent_twice() {
    story(async || {
        let (gateway, seen) = one_per_connection(0).await;
        gateway.ask(get("/first")).await;
        let put = request(Method::PUT, "/second").map(|_| Full::from("x=1"));
        assert_eq!(gateway.ask(put).await.0, StatusCode::BAD_GATEWAY);
        assert_eq!(seen.borrow().len(), 2);
    });
}

#[test]
fn a_new_connection_that_is_dropped_is_an_answer() {
    story(async || {
        let (gateway, seen) = one_per_connection(10).await;
        gateway.ask(get("/first")).await;
        let (status, ..) = gateway.ask(get("/second")).await; // reused, dropped; new, dropped
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert_eq!(seen.borrow().len(), 3, "{:?}", seen.borrow());
        let (status, ..) = gateway.ask(get("/third")).await; // new, dropped
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert_eq!(seen.borrow().len(), 4, "{:?}", seen.borrow());
    });
}

#[test]
fn a_connection_closed_while_it_rested_is_passed_over() {
    story(async || {
        let (listener, service) = origin().await;
        let gateway = Gateway::to(&service);
        let road = gateway.upstreams.roads.find(&gateway.origin, 0).unwrap();
        for (at, method) in [Method::GET, Method::POST, Method::POST].into_iter().enumerate() {
            let asking = gateway.clone();
            let asked = spawn_local(async move { asking.ask(request(method, "/")).await.0 });
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            assert_eq!(asked.await.unwrap(), StatusCode::OK, "{at}");
            drop(stream); // closed while it rests
            while let Some(Carrier::Line(line)) = road.carrier_at_hand() {
                road.rest(line, 0);
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn r07_a_storm_of_retries_is_not_possible() {
    story(async || {
        let (gateway, seen) = one_per_connection(0).await;
        let mut failures = 0;
        for _ in 0..200 {
            failures += u32::from(gateway.ask(get("/")).await.0 != StatusCode::OK);
        }
        let sent = seen.borrow().len();
        assert!(sent <= 200 + 10 + 40, "{sent} requests for 200, {failures} failed");
        assert!(failures > 0, "the budget ran out");
    });
}

#[test]
fn r07_a_dead_origin_is_found_out_once_and_comes_back() {
    story(async || {
        let (listener, service) = origin().await;
        let at = listener.local_addr().unwrap();
        drop(listener);
        let gateway = Gateway::to(&service);
        gateway.ask(get("/")).await;
        assert!(matches!(gateway.error(), UpstreamError::Connect { .. }), "who finds out: 502");
        for method in [Method::GET, Method::POST] {
            gateway.ask(request(method, "/")).await;
            let error = gateway.error();
            let UpstreamError::Down { retry_after, .. } = error else { panic!("{error:?}") };
            assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
        }
        let seen = echo_forever(TcpListener::bind(at).await.unwrap(), OK);
        while gateway.ask(get("/")).await.2 != "ok" {
            assert!(matches!(gateway.error(), UpstreamError::Down { .. }));
        }
        assert_eq!(seen.get(), (1, 1));
        assert_eq!(gateway.tally.ejected.get(), (1, 1), "passed over once, and back once");
        assert_eq!(gateway.ask(get("/")).await.2, "ok");
    });
}

#[test]
fn r07_traffic_moves_to_an_address_that_lives_and_the_dead_one_is_left_alone() {
    story(async || {
        let Ok(listener) = TcpListener::bind("[::1]:0").await else { return }; // a machine without IPv6
        let port = listener.local_addr().unwrap().port();
        let alive = echo_forever(
            listener,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        );
        let gateway = Gateway::to(&format!("http://localhost:{port}")); // 127.0.0.1 first
        for method in [Method::POST, Method::GET, Method::POST] {
            let (status, ..) = gateway.ask(request(method, "/")).await;
            assert_eq!(status, StatusCode::OK, "what was not sent yet may go elsewhere");
        }
        // Somebody listens at the first address now; while it is passed over nobody comes there.
        let Ok(other) = TcpListener::bind(("127.0.0.1", port)).await else { return }; // taken meanwhile
        let other = echo_forever(other, OK);
        for _ in 0..20 {
            assert_eq!(gateway.ask(get("/")).await.0, StatusCode::OK);
        }
        assert!(other.get().0 <= 1, "at most the one that tries again");
        assert!(alive.get().0 >= 4, "{:?}", alive.get());
    });
}
