//! What a stranger gets to see of what goes wrong (security L2): no version, no address of ours, nothing of the request,
//! a Ray ID to ask about, and nothing to keep.

use crate::daemon::{Place, free_port};
use crate::wire::Answer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MARK: &str = "echo-of-the-request";

fn assert_discreet(case: &str, answer: &Answer, internal: &[String]) {
    let headers: String = answer
        .headers
        .iter()
        // The contract wants the address that was asked for in these.
        .filter(|(name, _)| {
            !["location", "set-cookie", "www-authenticate"].contains(&name.as_str())
        })
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let all = format!("{headers}\n{}", answer.text());
    let cache = answer.headers.get("cache-control").map(|value| value.to_str().unwrap());
    assert!(cache.is_some_and(|cache| cache.contains("no-store")), "{case}: {cache:?}\n{all}");
    let ray = answer.headers.get("cf-ray").unwrap_or_else(|| panic!("{case}: no Ray ID\n{all}"));
    assert!(ray.len() >= 16, "{case}: {ray:?}");
    let lower = all.to_lowercase();
    for secret in ["narthexd", env!("CARGO_PKG_VERSION"), "hyper", "rustls", "panicked", ".rs:"] {
        assert!(!lower.contains(secret), "{case}: tells {secret:?}\n{all}");
    }
    assert!(!all.contains(MARK), "{case}: echoes the request\n{all}");
    for address in internal {
        assert!(!all.contains(address.as_str()), "{case}: tells {address}\n{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_no_error_page_tells_what_is_inside() {
    let nobody = free_port();
    let place = Place::new(&format!(
        "[[ingress]]\nhostname = \"*.localhost\"\nservice = \"http://127.0.0.1:{nobody}\"\n"
    ));
    let daemon = place.serve();
    let access = format!("/accounts/{}/access", place.account().await);
    place.open_to_all("down.localhost").await;
    let app = |name: &str, decision: &str, include: serde_json::Value| {
        json!({
            "type": "self_hosted", "name": name, "domain": format!("{name}.localhost"),
            "policies": [{"precedence": 1, "name": "rule", "decision": decision, "include": [include]}],
        })
    };
    for app in [
        app("closed", "deny", json!({"everyone": {}})),
        app("machines", "non_identity", json!({"any_valid_service_token": {}})),
        app("people", "allow", json!({"everyone": {}})),
    ] {
        place.api("POST", &format!("{access}/apps"), &app).await;
    }
    let internal =
        [format!("127.0.0.1:{nobody}"), format!(":{nobody}"), format!(":{}", place.metrics)];
    let page = format!("/{MARK}?q={MARK}");
    let login = format!("/cdn-cgi/access/login/people.localhost?kid={MARK}&redirect_url=/{MARK}");
    let json = [("accept", "application/json")];
    let pair = [("cf-access-client-id", MARK), ("cf-access-client-secret", MARK)];
    let many = vec![("x-many", MARK); 99];
    let long = format!("/{}", "a".repeat(20_000));
    let huge = "a".repeat(40_000);
    let large = [("x-large", huge.as_str())];
    let marked = [("x-marked", MARK), ("cookie", "CF_Authorization=echo-of-the-request")];
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, &str, &str, Fields<'_>, &[u16]); 22] = [
        ("down.localhost", "GET", &page, &marked, &[502, 503]),
        ("down.localhost", "GET", &page, &json, &[502, 503]),
        ("closed.localhost", "GET", &page, &marked, &[403]),
        ("closed.localhost", "GET", &page, &json, &[403]),
        ("machines.localhost", "GET", &page, &marked, &[401, 403]),
        ("machines.localhost", "GET", &page, &pair, &[401, 403]),
        ("people.localhost", "GET", &page, &[("x-requested-with", "XMLHttpRequest")], &[401]),
        ("people.localhost", "GET", &page, &marked, &[302]),
        ("nothing.localhost", "GET", &page, &marked, &[403, 404]),
        ("down.localhost", "TRACE", &page, &[], &[405]),
        ("down.localhost", "GET", &format!("/a%2fb/{MARK}"), &[], &[400]),
        ("down.localhost", "GET", &long, &[], &[414]),
        ("down.localhost", "GET", "/", &large, &[431]),
        ("down.localhost", "GET", "/", &many, &[200, 431, 502, 503]),
        ("people.localhost", "GET", &format!("/cdn-cgi/access/{MARK}"), &[], &[404]),
        (
            "people.localhost",
            "GET",
            &format!("/cdn-cgi/access/authorized?nonce={MARK}"),
            &[],
            &[400],
        ),
        ("people.localhost", "GET", "/cdn-cgi/access/get-identity", &marked, &[400, 401]),
        ("team.localhost", "GET", &page, &marked, &[404]),
        ("team.localhost", "GET", &login, &marked, &[400, 404]),
        (
            "team.localhost",
            "GET",
            &format!("/cdn-cgi/access/callback?state={MARK}&code={MARK}"),
            &[],
            &[400],
        ),
        ("admin.localhost", "GET", &format!("/client/v4/{MARK}"), &marked, &[400, 401, 403, 404]),
        ("admin.localhost", "GET", "/client/v4/accounts", &marked, &[400, 401, 403]),
    ];
    for (host, method, path, fields, statuses) in cases {
        let case = format!("{method} {host}{}", &path[..path.len().min(60)]);
        let mut wire = place.wire().open(host).await.unwrap();
        let answer = wire.ask(method, path, fields, "").await.unwrap();
        assert!(statuses.contains(&answer.status), "{case}: {}", answer.status);
        assert_discreet(&case, &answer, &internal);
    }
    // To the plain port, which knows one answer.
    let at = ([127, 0, 0, 1], place.http).into();
    let plain = crate::wire::plain(at, "stranger.test", "/").await.unwrap();
    assert!(!plain.text().contains("127.0.0.1") && !plain.headers.contains_key("server"));
    // What the HTTP library writes by itself carries no Ray ID, and nothing else either.
    for broken in ["nonsense\r\n\r\n", "GET / HTTP/9.9\r\nhost: x\r\n\r\n"] {
        let mut tcp = tokio::net::TcpStream::connect(("127.0.0.1", place.http)).await.unwrap();
        tcp.write_all(broken.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        assert!(head.is_empty() || head.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(body.is_empty() && !head.to_lowercase().contains("server:"), "{answer}");
    }
    daemon.stop();
}
