//! Group H: framing and syntax of HTTP/1.1, through a bypassed application, so that only framing decides.

use crate::town::{Plan, Town, everyone, policy};
use serde_json::json;
use std::time::Duration;

const HOST: &str = "open.example.com";

async fn town() -> Town {
    let plan = Plan::default().app(HOST, &[policy("bypass", everyone())], json!({}));
    Town::build(plan).await
}

/// A request with `host` filled in for `HOST`.
fn raw(text: &str) -> String {
    text.replace("HOST", HOST)
}

#[tokio::test]
async fn h01_to_h31_what_has_two_meanings_is_refused_and_reaches_no_origin() {
    let town = town().await;
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: HOST\r\n\r\n", "a".repeat(17_000));
    let long_field = format!("GET / HTTP/1.1\r\nHost: HOST\r\nX: {}\r\n\r\n", "a".repeat(33_000));
    let long_head = format!(
        "GET / HTTP/1.1\r\nHost: HOST\r\n{}\r\n",
        format!("X: {}\r\n", "a".repeat(9_000)).repeat(8)
    );
    let many = format!("GET / HTTP/1.1\r\nHost: HOST\r\n{}\r\n", "X: y\r\n".repeat(101));
    let head = |line: &str| format!("{line}\r\nHost: HOST\r\n\r\n");
    let field = |field: &str| format!("POST / HTTP/1.1\r\nHost: HOST\r\n{field}\r\n\r\n0\r\n\r\n");
    let cases: Vec<(&str, String, &[u16])> = vec![
        ("h1 no host", "GET / HTTP/1.1\r\n\r\n".into(), &[400]),
        ("h1 no host in 1.0", "GET / HTTP/1.0\r\n\r\n".into(), &[400]),
        ("h2 two hosts", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n".into(), &[400]),
        (
            "h2 two other",
            "GET / HTTP/1.1\r\nHost: HOST\r\nHost: x.example.com\r\n\r\n".into(),
            &[400],
        ),
        ("h3 empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n".into(), &[400]),
        ("h3 list", "GET / HTTP/1.1\r\nHost: HOST, HOST\r\n\r\n".into(), &[400]),
        ("h3 userinfo", "GET / HTTP/1.1\r\nHost: u@HOST\r\n\r\n".into(), &[400]),
        ("h3 path", "GET / HTTP/1.1\r\nHost: HOST/x\r\n\r\n".into(), &[400]),
        ("h3 percent", "GET / HTTP/1.1\r\nHost: open%2eexample.com\r\n\r\n".into(), &[400]),
        ("h3 port", "GET / HTTP/1.1\r\nHost: HOST:x\r\n\r\n".into(), &[400]),
        ("p8 odd port", "GET / HTTP/1.1\r\nHost: HOST:9\r\n\r\n".into(), &[421]),
        ("h4 absolute other", head("GET https://x.example.com/ HTTP/1.1"), &[400]),
        ("h5 absolute userinfo", head("GET https://u@HOST/ HTTP/1.1"), &[400]),
        ("n15 absolute http", head("GET http://HOST/ HTTP/1.1"), &[400]),
        ("h6 no slash", head("GET foo HTTP/1.1"), &[400]),
        ("h6 authority", head("GET a.test:80 HTTP/1.1"), &[400]),
        ("h7 star", head("GET * HTTP/1.1"), &[400]),
        ("h9 space", head("GET /a b HTTP/1.1"), &[400]),
        ("h9 tab", head("GET /a\tb HTTP/1.1"), &[400]),
        ("h9 nul", head("GET /a\0b HTTP/1.1"), &[400]),
        ("h9 non-ascii", head("GET /é HTTP/1.1"), &[400]),
        ("h9 non-ascii query", head("GET /?é HTTP/1.1"), &[400]),
        ("p3 encoded slash", head("GET /a%2fb HTTP/1.1"), &[400]),
        ("p3 semicolon", head("GET /..;/x HTTP/1.1"), &[400]),
        ("p3 backslash", head("GET /a\\b HTTP/1.1"), &[400]),
        ("h11 bare cr", field("X: a\rb"), &[400]),
        ("h11 nul", field("X: a\0b"), &[400]),
        ("h12 folded", field("X: a\r\n b"), &[400]),
        ("h12 folded te", field("Transfer-Encoding:\r\n chunked"), &[400]),
        ("h13 space before colon", field("Host : x"), &[400]),
        ("h13 no colon", field("X"), &[400]),
        ("h13 empty name", field(": x"), &[400]),
        ("h13 brackets", field("X[a]: x"), &[400]),
        ("h13 leading space", "GET / HTTP/1.1\r\n Host: HOST\r\n\r\n".into(), &[400]),
        ("h14 version", head("GET / HTTP/1.2"), &[400, 505]),
        ("h14 version 2", head("GET / HTTP/2.0"), &[400, 505]),
        ("h14 lower case", head("GET / http/1.1"), &[400, 505]),
        ("h14 spaces", head("GET  / HTTP/1.1"), &[400]),
        ("h14 trailing space", head("GET / HTTP/1.1 "), &[400]),
        ("h16 trace", head("TRACE / HTTP/1.1"), &[405]),
        ("h16 connect", head("CONNECT HOST:443 HTTP/1.1"), &[405]),
        ("h18 two lengths", field("Content-Length: 1\r\nContent-Length: 2"), &[400]),
        ("h18 list", field("Content-Length: 1, 1"), &[400]),
        ("h18 plus", field("Content-Length: +1"), &[400]),
        ("h18 minus", field("Content-Length: -1"), &[400]),
        ("h18 hex", field("Content-Length: 0x1"), &[400]),
        ("h18 underscore", field("Content-Length: 1_0"), &[400]),
        ("h18 exponent", field("Content-Length: 1e1"), &[400]),
        ("h18 empty", field("Content-Length:"), &[400]),
        ("h18 large", field("Content-Length: 99999999999999999999"), &[400]),
        ("h20 twice", field("Transfer-Encoding: chunked, chunked"), &[400, 501]),
        ("h20 two", field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), &[400, 501]),
        ("h20 cow", field("Transfer-Encoding: cow, chunked"), &[400, 501]),
        ("h20 gzip", field("Transfer-Encoding: gzip, chunked"), &[400, 501]),
        ("h20 after", field("Transfer-Encoding: chunked, gzip"), &[400, 501]),
        ("h20 identity", field("Transfer-Encoding: identity"), &[400, 501]),
        ("h20 quoted", field("Transfer-Encoding: \"chunked\""), &[400, 501]),
        ("h20 parameter", field("Transfer-Encoding: chunked;a=b"), &[400, 501]),
        ("h20 comma", field("Transfer-Encoding: chunked,"), &[400, 501]),
        ("h20 vertical tab", field("Transfer-Encoding: \x0bchunked"), &[400, 501]),
        ("h20 empty", field("Transfer-Encoding:"), &[400, 501]),
        (
            "h21 in 1.0",
            "POST / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            &[400],
        ),
        ("h29 expectation", field("Expect: y 100-continue"), &[417]),
        ("h31 fields", many, &[431]),
        ("h31 head", long_head, &[431]),
        ("h31 target", long_target, &[414]),
        ("h31 field", long_field, &[431]),
    ];
    let mut without_ray = 0;
    for (name, request, statuses) in cases {
        let mut wire = town.wire(HOST).await;
        let answer = wire.ask(raw(&request)).await;
        assert!(statuses.contains(&answer.status), "{name}: {answer:?}");
        assert_eq!(town.origin.take().len(), 0, "{name}");
        without_ray += u64::from(answer.field("cf-ray").is_empty());
    }
    assert!(town.read_meters().malformed > 0 && without_ray > 0);
    while town.read_meters().unreadable < without_ray {
        tokio::task::yield_now().await; // counted when the connection has ended
    }
    assert_eq!(town.read_meters().unreadable, without_ray, "the HTTP library's own answers");
    let mut wire = town.wire(HOST).await;
    assert_eq!(wire.ask(raw(&head("GET / HTTP/1.1"))).await.status, 200, "others notice nothing");
}

#[tokio::test]
async fn p1_p2_h4_h8_the_origin_sees_what_was_judged() {
    let town = town().await;
    let mut wire = town.wire(HOST).await;
    for (target, want) in [
        ("/", "/"),
        ("/a/../b", "/b"),
        ("//b//c", "/b/c"),
        ("/%2e%2e/%61", "/a"),
        ("/%252e", "/%252e"),
        ("/caf%c3%a9?x=%2f", "/caf%C3%A9?x=%2f"),
        ("/a?b=/../c", "/a?b=/../c"),
        ("/a#frag", "/a"),
        ("https://open.example.com/abs", "/abs"),
        ("https://open.example.com:443/abs", "/abs"),
    ] {
        let request = raw(&format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n\r\n"));
        assert_eq!(wire.ask(request).await.status, 200, "{target}");
        let seen = town.origin.take();
        assert_eq!(seen[0].line(), format!("GET {want} HTTP/1.1"), "{target}");
    }
    for host in ["OPEN.example.com", "open.example.com.", "open.example.com:443"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(wire.ask(request).await.status, 200, "{host}");
        let seen = town.origin.take();
        assert!(seen[0].fields("host")[0].starts_with(HOST), "{host}: {:?}", seen[0]);
    }
}

#[tokio::test]
async fn h10_bare_line_feeds_make_one_clean_request_or_none() {
    let town = town().await;
    for request in ["GET / HTTP/1.1\nHost: HOST\n\n", "GET / HTTP/1.1\r\nHost: HOST\nX: y\r\n\r\n"]
    {
        let answer = town.wire(HOST).await.ask(raw(request)).await;
        let seen = town.origin.take();
        match answer.status {
            400 => assert!(seen.is_empty()),
            200 => {
                assert_eq!(seen.len(), 1);
                assert!(!seen[0].head.replace("\r\n", "").contains('\n'), "{:?}", seen[0]);
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn h17_cl_and_te() {
    let town = town().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n";
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ] {
        let request =
            format!("POST /one HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n\r\n0\r\n\r\n{smuggled}");
        let mut wire = town.wire(HOST).await;
        let answer = wire.ask(raw(&request)).await;
        assert!([200, 400].contains(&answer.status), "{fields}: {answer:?}");
        assert!(wire.is_closed().await, "{fields}");
        let seen = town.origin.take();
        assert!(seen.iter().all(|seen| seen.line().contains("/one")), "{fields}: {seen:?}");
    }
}

#[tokio::test]
async fn h15_methods_are_passed_as_they_are() {
    let town = town().await;
    for method in ["get", "PURGE", "PROPFIND"] {
        let request = raw(&format!("{method} / HTTP/1.1\r\nHost: HOST\r\n\r\n"));
        assert_eq!(town.wire(HOST).await.ask(request).await.status, 200);
        assert_eq!(town.origin.take()[0].line(), format!("{method} / HTTP/1.1"));
    }
}

#[tokio::test]
async fn h7_options_of_the_server_is_answered_here() {
    let town = town().await;
    let answer = town.wire(HOST).await.ask(raw("OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n")).await;
    assert_eq!((answer.status, town.origin.take().len()), (204, 0));
}

#[tokio::test]
async fn h23_to_h26_bodies_in_chunks() {
    let town = town().await;
    let good = chunked("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nCookie: evil=1\r\nHost: evil\r\n\r\n");
    assert_eq!(town.wire(HOST).await.ask(good).await.status, 200);
    let seen = town.origin.take();
    assert_eq!(seen[0].body, b"abcde");
    assert!(!seen[0].head.contains("evil"), "trailers are dropped");
    for bad in [
        "0x1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "1_0\r\na\r\n0\r\n\r\n",
        "fffffffffffffffff\r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
    ] {
        is_never_whole(&town, bad).await;
    }
}

/// Sends a chunked body with `bad` chunks and another request behind it; neither reaches an origin as a whole one.
async fn is_never_whole(town: &Town, bad: &str) {
    let shown = &bad[..bad.len().min(60)];
    let mut wire = town.wire(HOST).await;
    wire.send(chunked(bad)).await;
    wire.send(raw("GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n")).await;
    let answer = wire.answer().await;
    assert!(answer.is_none_or(|a| [400, 408].contains(&a.status)), "{shown:?}");
    assert!(wire.is_closed().await, "{shown:?}");
    assert!(town.origin.take().is_empty(), "{shown:?} is never forwarded as complete");
}

fn chunked(body: &str) -> String {
    raw(&format!("POST /c HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n{body}"))
}

#[tokio::test]
async fn h19_a_length_said_twice_or_with_zeros_is_one_length_upstream() {
    let town = town().await;
    for fields in [
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 0003",
        "Content-Length: 00000000000000000000003",
    ] {
        let mut wire = town.wire(HOST).await;
        let next = "GET /next HTTP/1.1\r\nHost: HOST\r\n\r\n";
        wire.send(raw(&format!("POST /one HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n\r\nabc{next}")))
            .await;
        let answer = wire.answer().await.unwrap();
        let seen = if answer.status == 200 {
            assert_eq!(wire.answer().await.unwrap().status, 200, "{fields}");
            town.origin.take()
        } else {
            assert_eq!(answer.status, 400, "{fields}");
            assert!(wire.is_closed().await && town.origin.take().is_empty(), "{fields}");
            continue;
        };
        let lines: Vec<_> = seen.iter().map(|seen| seen.line()).collect();
        assert_eq!(lines, ["POST /one HTTP/1.1", "GET /next HTTP/1.1"], "{fields}");
        assert_eq!((seen[0].fields("content-length"), &*seen[0].body), (vec!["3"], &b"abc"[..]));
    }
}

#[tokio::test]
async fn h24_an_extension_of_a_chunk_that_could_be_read_twice_is_refused() {
    let town = town().await;
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(64 * 1024));
    let many = "1;x=y\r\na\r\n".repeat(16 * 1024) + "0\r\n\r\n";
    for bad in [
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "1;a\n\r\na\r\n0\r\n\r\n",
        "1;a\rb\r\na\r\n0\r\n\r\n",
        "1;a=\"\r\n\"\r\na\r\n0\r\n\r\n",
        "1;a=\"\r\n0\r\n\r\nGET /quoted HTTP/1.1\r\nHost: HOST\r\n\r\n\"\r\na\r\n0\r\n\r\n",
        &long,
        &many,
    ] {
        is_never_whole(&town, bad).await;
    }
    // The HTTP library lets NUL pass. The extension goes no further, and nothing is smuggled by it.
    let mut wire = town.wire(HOST).await;
    wire.send(
        chunked("1;a\0b\r\na\r\n0\r\n\r\n") + &raw("GET /next HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    )
    .await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let seen = town.origin.take();
    assert_eq!((&*seen[0].body, seen[1].line()), (&b"a"[..], "GET /next HTTP/1.1"));

    let mut wire = town.wire(HOST).await;
    assert_eq!(wire.ask(chunked("1;a=\"b\";c\r\na\r\n0;d\r\n\r\n")).await.status, 200);
    assert_eq!(town.origin.take()[0].body, b"a", "an honest extension is dropped");
}

#[tokio::test]
async fn h25_chunks_that_end_in_another_way_are_never_a_whole_body() {
    let limits = narthex_proxy::Limits {
        body_grace: Duration::from_millis(200),
        ..narthex_proxy::Limits::default()
    };
    let settings = narthex_proxy::Settings { limits, ..narthex_proxy::Settings::default() };
    let plan = Plan { settings, ..Plan::default() };
    let town = Town::build(plan.app(HOST, &[policy("bypass", everyone())], json!({}))).await;
    for bad in [
        "1\na\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na\r\n0\n\r\n",
        "1\r\na\r\n0\r\n\n",
        "1\r\na0\r\n\r\n",
        "5\r\nab\r\n0\r\n\r\n",
    ] {
        is_never_whole(&town, bad).await;
    }
    for unfinished in ["1\r\na\r\n0\r\n", "1\r\na\r\n0\r\nX: y\r\n", "5\r\nab", "1\r\na\r\n", "1;x"]
    {
        let mut wire = town.wire(HOST).await;
        let answer = wire.ask(chunked(unfinished)).await;
        assert_eq!(answer.status, 408, "{unfinished:?}");
        assert!(wire.is_closed().await && town.origin.take().is_empty(), "{unfinished:?}");
    }
}

#[tokio::test]
async fn h27_h28_pipelined_requests_stay_apart() {
    let town = town().await;
    let mut wire = town.wire(HOST).await;
    let body = "GET /evil HTTP/1.1\r\n\r\n";
    let first =
        format!("GET /1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    wire.send(raw(&format!("{first}GET /2 HTTP/1.1\r\nHost: HOST\r\n\r\n"))).await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let seen = town.origin.take();
    assert_eq!((seen[0].line(), seen[0].body.as_slice()), ("GET /1 HTTP/1.1", body.as_bytes()));
    assert_eq!(seen[1].line(), "GET /2 HTTP/1.1");

    let mut wire = town.wire(HOST).await;
    let good = |n: usize| raw(&format!("GET /{n} HTTP/1.1\r\nHost: HOST\r\n\r\n"));
    let all = [good(1), good(2), "GET /3 HTTP/1.1\r\nHost : x\r\n\r\n".to_owned(), good(4)];
    wire.send(all.concat()).await;
    let mut statuses = Vec::new();
    while let Some(answer) = wire.answer().await {
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 200, 400]);
    assert_eq!(town.origin.take().len(), 2);
}

#[tokio::test]
async fn h22_h33_i1_i2_what_a_client_may_not_claim_is_taken_out() {
    let town = town().await;
    let fields = "Cf-Access-Jwt-Assertion: forged\r\nCF_ACCESS_AUTHENTICATED_USER_EMAIL: a@b.c\r\n\
        cf-access-token: t\r\nTransfer_Encoding: chunked\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\
        Connection: Upgrade, HTTP2-Settings, X-Hop\r\nX-Hop: y\r\nX-Forwarded-For: 1.2.3.4\r\n\
        Cookie: a=1; CF_Authorization=forged; b=2\r\nCf-Client-Cert-Sha256: x";
    let request = raw(&format!("GET / HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n\r\n"));
    assert_eq!(town.wire(HOST).await.ask(request).await.status, 200);
    let seen = town.origin.take();
    for absent in
        ["forged", "a@b.c", "cf-access-token", "h2c", "HTTP2-Settings", "X-Hop", "1.2.3.4", "Cert"]
    {
        let head = seen[0].head.to_ascii_lowercase();
        assert!(!head.contains(&absent.to_ascii_lowercase()), "{absent}: {}", seen[0].head);
    }
    assert_eq!(seen[0].fields("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen[0].fields("cookie"), ["a=1; b=2"]);
}

#[tokio::test]
async fn h30_a_refused_upload_is_not_read() {
    let town =
        Town::build(Plan::default().app(HOST, &[policy("allow", everyone())], json!({}))).await;
    let mut wire = town.wire(HOST).await;
    let head = raw("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1000000000\r\n\r\n");
    wire.send(head).await;
    wire.send(vec![b'x'; 20_000]).await;
    assert_eq!(wire.answer().await.unwrap().status, 302);
    wire.send(vec![b'x'; 2_000_000]).await;
    assert!(wire.is_closed().await);
    assert!(town.origin.take().is_empty());
}

#[tokio::test]
async fn h29_a_body_is_asked_for_only_after_the_decision() {
    let plan = Plan::default().app(HOST, &[policy("bypass", everyone())], json!({})).app(
        "wiki.example.com",
        &[policy("allow", everyone())],
        json!({}),
    );
    let town = Town::build(plan).await;
    let fields = "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let mut wire = town.wire(HOST).await;
    wire.send(raw(&format!("POST / HTTP/1.1\r\nHost: HOST\r\n{fields}"))).await;
    assert_eq!(wire.read_final_or_not(false).await.unwrap().status, 100);
    assert_eq!(wire.ask("abc").await.status, 200);
    assert_eq!(town.origin.take()[0].body, b"abc");
    let mut wire = town.wire("wiki.example.com").await;
    wire.send(format!("POST / HTTP/1.1\r\nHost: wiki.example.com\r\n{fields}")).await;
    assert_eq!(wire.read_final_or_not(false).await.unwrap().status, 302);
}

#[tokio::test]
async fn h34_another_protocol_than_was_agreed_is_refused() {
    let town = town().await;
    let mut wire = town.wire(HOST).await;
    wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let answer = wire.answer().await;
    assert!(answer.is_none_or(|answer| [400, 505].contains(&answer.status)));
    assert!(town.origin.seen().is_empty());
}
