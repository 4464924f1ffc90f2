//! Hostile targets, from the public list, the URL standard and by hand, against every parameter that says where to go (security C7, C8).

use crate::browser::Browser;
use crate::house::{House, escape};
use http::{Method, StatusCode};
use std::path::PathBuf;
use url::Url;

/// The 559 lines of oauth2-proxy's list (MIT), or nothing and a word about it where they are not at hand.
fn hostile_targets() -> Vec<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let directory = std::env::var_os("NARTHEX_VECTORS").map_or(beside, PathBuf::from);
    let path = directory.join("open-redirects.txt");
    match std::fs::read_to_string(&path) {
        Ok(list) => list.lines().map(str::to_owned).collect(),
        Err(error) => {
            eprintln!("skipped: {} cannot be read ({error}); set NARTHEX_VECTORS", path.display());
            Vec::new()
        }
    }
}

/// What the URL standard tries on browsers.
fn url_standard() -> Vec<String> {
    let lines = include_str!("../../testdata/url-standard-inputs.txt").lines();
    let inputs = lines.filter(|line| !line.starts_with('#'));
    inputs.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Both lists: each target of the first in all its spellings, of the second as an honest client would write it into a
/// query. What the check itself makes of the second, glued to all kinds of beginnings, is tried beside it.
fn targets() -> Vec<(String, Vec<String>)> {
    let hostile = hostile_targets().into_iter().map(|target| (spellings(&target).to_vec(), target));
    let standard = url_standard().into_iter().map(|input| (vec![escape(&input)], input));
    let targets = hostile.chain(standard).map(|(spellings, target)| (target, spellings));
    targets.collect()
}

/// Each target as it stands, and in the two spellings in which it may arrive in a query.
fn spellings(target: &str) -> [String; 3] {
    let query = format!("x={target}");
    let decoded = url::form_urlencoded::parse(query.as_bytes()).next();
    let decoded = decoded.map_or(String::new(), |(_, value)| value.into_owned());
    [target.to_owned(), escape(target), escape(&decoded)]
}

/// Whether a request with this query can exist at all.
fn sendable(query: &str) -> bool {
    query.parse::<http::uri::PathAndQuery>().is_ok()
}

#[tokio::test]
async fn no_hostile_target_leads_anywhere_else_after_a_login() {
    let house = House::open().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let kid = house.app("wiki").aud.to_string();
    let (mut tried, mut refused) = (0, 0);
    for (target, spellings) in targets() {
        for spelling in spellings {
            let path =
                format!("/cdn-cgi/access/login/app.example.com?kid={kid}&redirect_url={spelling}");
            if !sendable(&path) {
                continue;
            }
            tried += 1;
            browser.drop_cookie("auth.example.com", "CF_Rounds");
            let page = browser.get(&house, &format!("https://auth.example.com{path}")).await;
            if page.status == StatusCode::BAD_REQUEST {
                refused += 1;
                assert!(!page.headers.contains_key("location"));
                continue;
            }
            assert_eq!(page.status, StatusCode::FOUND, "{target}");
            assert!(
                page.location().starts_with("https://app.example.com/cdn-cgi/access/authorized?"),
                "{target}"
            );
            let onwards = page.location().to_owned();
            browser.telling = false;
            let last = browser.get(&house, &onwards).await;
            browser.telling = true;
            // As a browser reads it, not as it looks.
            let location = Url::parse(last.location()).unwrap();
            assert_eq!(
                location.origin().ascii_serialization(),
                "https://app.example.com",
                "{target}"
            );
            assert!(!location.path().starts_with("//"), "{target}: {location}");
            assert!(last.location().starts_with("https://app.example.com/"), "{target}");
        }
    }
    eprintln!("{tried} requests, {refused} refused");
}

#[tokio::test]
async fn nor_after_a_logout() {
    let house = House::open().await;
    for (target, spellings) in targets() {
        for spelling in spellings {
            for host in ["auth.example.com", "app.example.com"] {
                let path = format!("/cdn-cgi/access/logout?returnTo={spelling}");
                if !sendable(&path) {
                    continue;
                }
                let url = format!("https://{host}{path}");
                let page = Browser::new().send(&house, Method::GET, &url, &[], "").await;
                match page.headers.get("location") {
                    None => assert!(matches!(page.status.as_u16(), 200 | 400), "{target}"),
                    Some(location) => {
                        let location = Url::parse(location.to_str().unwrap()).unwrap();
                        let host = location.host_str().unwrap();
                        assert!(
                            ["auth.example.com", "app.example.com"].contains(&host),
                            "{target}: {location}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn the_return_page_belongs_to_the_same_application() {
    let house = House::with(|plan| {
        plan.app("docs", &["app.example.com/docs"], serde_json::json!({}));
    })
    .await;
    let mut browser = Browser::new();
    for (app, path, heading) in [
        ("wiki", "/", "Log in to wiki"),
        ("wiki", "/a?next=https://evil.example/", "Log in to wiki"),
        ("wiki", "https://app.example.com/a", "Log in to wiki"),
        ("docs", "/docs", "Log in to docs"),
        ("docs", "/docs/../docs/x", "Log in to docs"),
        ("wiki", "/docs", "Invalid redirect URL"),
        ("wiki", "/a/../docs/x", "Invalid redirect URL"),
        ("docs", "/", "Invalid redirect URL"),
        ("docs", "/docs/..", "Invalid redirect URL"),
        ("docs", "/docsx", "Invalid redirect URL"),
        ("wiki", "https://evil.example/", "Invalid redirect URL"),
        ("wiki", "//evil.example/", "Invalid redirect URL"),
        ("wiki", "/\\evil.example/", "Invalid redirect URL"),
        ("wiki", "/\t/evil.example/", "Invalid redirect URL"),
        ("wiki", "/x\r\nSet-Cookie: a=b", "Invalid redirect URL"),
        ("wiki", "javascript:alert(1)", "Invalid redirect URL"),
        ("wiki", "/cdn-cgi/access/logout", "Invalid redirect URL"),
    ] {
        let page = browser.get(&house, &house.plain_login_url(app, "app.example.com", path)).await;
        assert_eq!(page.heading(), heading, "{app} {path:?}");
    }
    // Nothing said: the application's own place.
    let kid = house.app("docs").aud.to_string();
    let url = format!("https://auth.example.com/cdn-cgi/access/login/app.example.com?kid={kid}");
    let page = browser.get(&house, &url).await;
    assert!(
        page.form().1.contains(&("redirect_url".to_owned(), "/docs".to_owned())),
        "{:?}",
        page.form()
    );
    let twice = format!("{url}&redirect_url=/docs&redirect_url=//evil.example");
    assert_eq!(browser.get(&house, &twice).await.status, StatusCode::BAD_REQUEST);
}
