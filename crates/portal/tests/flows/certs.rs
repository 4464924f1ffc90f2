//! The keys, for everybody (access-protocol §5.6, security J18); and what else stands or does not stand at an address.

use crate::browser::Browser;
use crate::house::House;
use http::{Method, StatusCode};
use serde_json::Value;

const AT: &str = "https://auth.example.com/cdn-cgi/access/certs";

#[tokio::test]
async fn everybody_may_read_and_keep_them_for_a_while() {
    let house = House::open().await;
    let fetch = async |headers: &[(&str, &str)]| {
        Browser::new().send(&house, Method::GET, AT, headers, "").await
    };
    let page = fetch(&[]).await;
    assert_eq!(
        (page.status, page.headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "application/json")
    );
    assert_eq!(page.headers["cache-control"], "public, max-age=600");
    let keys: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(keys["keys"][0]["kty"], "RSA");
    assert_eq!(keys["public_cert"]["kid"], keys["keys"][0]["kid"]);
    let tag = page.headers["etag"].to_str().unwrap().to_owned();
    for (condition, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"x\", {tag}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (tag.replace('"', ""), 200),
        ("\u{7f}".to_owned(), 200),
        (String::new(), 200),
    ] {
        if let Ok(value) = http::HeaderValue::try_from(&condition) {
            let page = fetch(&[("if-none-match", value.to_str().unwrap())]).await;
            assert_eq!(page.status.as_u16(), status, "{condition}");
            assert_eq!(page.headers["etag"].to_str().unwrap(), tag);
            assert_eq!(page.body.is_empty(), status == 304);
        }
    }
    for headers in [
        &[("accept", "text/html;q=1, */*;q=0")][..],
        &[("origin", "https://evil.example"), ("cookie", "CF_Authorization=x")],
        &[("origin", "null")],
        &[("accept-encoding", "br, gzip")],
    ] {
        let again = fetch(headers).await;
        assert_eq!(again.body, page.body, "{headers:?}");
        assert_eq!(again.headers["access-control-allow-origin"], "*");
        assert!(!again.headers.contains_key("access-control-allow-credentials"));
        assert!(again.cookies().is_empty());
    }
}

#[tokio::test]
async fn other_addresses_and_methods_get_a_page_that_leaks_nothing() {
    let house = House::open().await;
    for (method, url, status) in [
        ("POST", AT, 405),
        ("DELETE", "https://auth.example.com/", 405),
        ("GET", "https://auth.example.com/nothing", 404),
        ("GET", "https://auth.example.com/cdn-cgi/access", 404),
        ("GET", "https://auth.example.com/cdn-cgi/access/", 404),
        ("GET", "https://auth.example.com/cdn-cgi/access/certs/", 404),
        ("GET", "https://auth.example.com/cdn-cgi/access/login", 404),
        ("GET", "https://auth.example.com/cdn-cgi/access/cert_sign", 404),
        (
            "GET",
            "https://auth.example.com/cdn-cgi/access/login/app.example.com/11111111-1111-4111-8111-111111111111",
            405,
        ),
        ("GET", "https://app.example.com/cdn-cgi/access/login/app.example.com", 404),
        ("GET", "https://app.example.com/cdn-cgi/access/certs", 404),
        ("GET", "https://app.example.com/cdn-cgi/access/cli?token=x", 404),
        ("POST", "https://app.example.com/cdn-cgi/access/authorized", 405),
        ("GET", "https://app.example.com/cdn-cgi/other", 404),
    ] {
        let secret = "s3cr3t-in-a-header";
        let page = Browser::new()
            .send(
                &house,
                method.parse().unwrap(),
                url,
                &[("cookie", secret), ("user-agent", secret)],
                "",
            )
            .await;
        assert_eq!(page.status.as_u16(), status, "{method} {url}");
        assert!(page.headers["cache-control"].to_str().unwrap().contains("no-store"), "{url}");
        assert!(
            page.headers["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("default-src 'none'")
        );
        assert!(page.body.contains("Ray ID") && !page.body.contains(secret), "{url}");
        assert!(
            !page.body.contains("<script") && !page.body.contains("narthex"),
            "no version, no stack: {url}"
        );
        assert!(page.body.starts_with("<!DOCTYPE html>") && page.body.contains("<title>"), "{url}");
    }
}
