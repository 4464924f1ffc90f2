//! Group P: what a rule about a path sees, and what it must not be told by.

use crate::town::{Plan, Town, everyone, policy};
use serde_json::json;

const HOST: &str = "site.example.com";

async fn town() -> Town {
    let plan = Plan::default()
        .app(HOST, &[policy("allow", everyone())], json!({}))
        .app(&format!("{HOST}/healthz"), &[policy("bypass", everyone())], json!({}))
        .app(
            "cors.example.com",
            &[policy("allow", everyone())],
            json!({"options_preflight_bypass": true}),
        );
    Town::build(plan).await
}

#[tokio::test]
async fn p04_a_query_or_fragment_is_no_path() {
    let town = town().await;
    for (target, want, seen) in [
        ("/healthz", 200, "/healthz"),
        ("/healthz?x=/admin", 200, "/healthz?x=/admin"),
        ("/admin?/healthz", 302, ""),
        ("/admin?/../healthz", 302, ""),
        ("/admin?x=1/../../healthz", 302, ""),
        ("/?/healthz", 302, ""),
        ("/admin%3f/healthz", 302, ""),
        ("/admin%3F/../healthzz", 302, ""),
        ("/admin%23/healthz", 302, ""),
        ("/healthz%3f", 302, ""),
        ("/healthz%23x", 302, ""),
        ("/healthz%3f/admin", 302, ""),
        ("/admin#/healthz", 400, ""),
        ("/healthz#/admin", 400, ""),
        ("/healthz/..?/healthz", 302, ""),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let status = town.wire(HOST).await.ask(request).await.status;
        // A fragment may also be cut off, before the rules and before the origin.
        let cut = target.split('#').next().unwrap();
        let cut_off = target.contains('#') && status == if cut == "/healthz" { 200 } else { 302 };
        assert!(status == want || cut_off, "{target}: {status}");
        let lines: Vec<_> = town.origin.take().iter().map(|seen| seen.line().to_owned()).collect();
        match (status, cut_off) {
            (200, true) => assert_eq!(lines, [format!("GET {cut} HTTP/1.1")]),
            (200, false) => assert_eq!(lines, [format!("GET {seen} HTTP/1.1")]),
            (_, _) => assert!(lines.is_empty(), "{target}: {lines:?}"),
        }
    }
}

#[tokio::test]
async fn p10_a_path_of_5_000_segments_is_one_path() {
    let town = town().await;
    let mut wire = town.wire(HOST).await;
    let long = format!("/healthz{}", "/ab".repeat(5_000));
    let deep = format!("/healthz{}{}", "/a".repeat(5_000), "/../b".repeat(1_200));
    for (path, line) in [
        (&long, format!("GET {long} HTTP/1.1")),
        (&deep, format!("GET /healthz{}/b HTTP/1.1", "/a".repeat(4_999))),
    ] {
        assert!((15_000..=16 * 1024).contains(&path.len()), "{}", path.len());
        let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        assert_eq!(wire.ask(request).await.status, 200);
        assert_eq!(town.origin.take()[0].line(), line);
    }
    let up = format!("/healthz{}/healthz", "/..".repeat(5_000));
    let request = format!("GET {up} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let status = wire.ask(request).await.status;
    assert!([200, 400].contains(&status), "the root has no parent: {status}");
    assert!(town.origin.take().iter().all(|seen| seen.line() == "GET /healthz HTTP/1.1"));
    let too_long = format!("GET /healthz{} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", "/a".repeat(8_200));
    assert_eq!(town.wire(HOST).await.ask(too_long).await.status, 414);
    assert!(town.origin.take().is_empty());
}

#[tokio::test]
async fn p13_a_method_is_what_the_request_line_says() {
    let town = town().await;
    let host = "cors.example.com";
    let preflight = "Origin: https://a.test\r\nAccess-Control-Request-Method: PUT\r\n";
    let ask = async |line: &str, fields: &str, body: &str| {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let request =
            format!("{line} HTTP/1.1\r\nHost: {host}\r\n{preflight}{fields}{length}\r\n{body}");
        let status = town.wire(host).await.ask(request).await.status;
        (status, town.origin.take().len())
    };
    assert_eq!(ask("OPTIONS /", "", "").await, (200, 1), "a preflight is let through here");
    for fields in [
        "X-HTTP-Method-Override: OPTIONS\r\n",
        "X-HTTP-Method: OPTIONS\r\n",
        "X-Method-Override: OPTIONS\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
    ] {
        for (line, body) in
            [("GET /", ""), ("POST /", "_method=OPTIONS"), ("GET /?_method=OPTIONS", "")]
        {
            let (status, seen) = ask(line, fields, body).await;
            assert_eq!((status, seen), (302, 0), "{line} {fields}");
        }
    }
    // And where it is let in, it goes on as what it is.
    let wire = &mut town.wire(HOST).await;
    let request = format!(
        "POST /healthz HTTP/1.1\r\nHost: {HOST}\r\nX-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(wire.ask(request).await.status, 200);
    assert_eq!(town.origin.take()[0].line(), "POST /healthz HTTP/1.1");
}
