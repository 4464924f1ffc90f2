//! Logging out, on both domains (access-protocol §10.4, security C9, C10).

use crate::browser::Browser;
use crate::house::{House, TEAM, escape};
use http::StatusCode;
use narthex_model::{Action, Verdict};
use serde_json::json;

const AT_TEAM: &str = "https://auth.example.com/cdn-cgi/access/logout";
const AT_APP: &str = "https://app.example.com/cdn-cgi/access/logout";

async fn house() -> House {
    House::with(|plan| {
        plan.app(
            "many",
            &["*.many.example.com", "path.example.com/a"],
            json!({"path_cookie_attribute": true}),
        );
    })
    .await
}

#[tokio::test]
async fn the_team_domain_ends_the_session_everywhere() {
    let mut house = house().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let nonce = house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap());
    let (before, org) =
        (browser.clone(), browser.cookie(TEAM, "CF_Authorization").unwrap().to_owned());
    house.records();

    let page = browser.get(&house, AT_TEAM).await;
    assert_eq!((page.status, page.heading().as_str()), (StatusCode::OK, "You are logged out"));
    assert!(
        browser.cookie(TEAM, "CF_Authorization").is_none()
            && browser.cookie(TEAM, "CF_Session").is_none()
    );
    assert!(
        house.live.sessions.get(&nonce).is_none()
            && house.store.session(&nonce).await.unwrap().is_none()
    );
    let token =
        house.open_app_token("wiki", before.cookie("app.example.com", "CF_Authorization").unwrap());
    assert!(house.live.revocations.refuses_person(&token));
    let kept = house.store.revocations(house.now()).await.unwrap();
    assert!(kept.iter().any(|r| r.until >= token.exp), "as long as any token lives: {kept:?}");
    let [record] = &house.records()[..] else { panic!("one record") };
    assert_eq!((record.action, record.verdict), (Action::Logout, Verdict::Allowed));
    assert_eq!(record.user_email.as_ref().map(|e| e.as_str()), Some("ann@example.com"));

    // The old global cookie is worth nothing any more.
    browser.set_cookie(TEAM, "CF_Authorization", &org);
    let url = browser.visit(&house, "wiki", "app.example.com", "/");
    assert_eq!(browser.get(&house, &url).await.status, StatusCode::OK);
    browser.get(&house, AT_TEAM).await;
    assert!(house.records().is_empty(), "nothing is left to end");
}

#[tokio::test]
async fn an_application_ends_it_too() {
    let mut house = house().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/deep", "ann@example.com").await;
    house.records();
    let page = browser.get(&house, AT_APP).await;
    assert_eq!(page.status, StatusCode::FOUND);
    assert_eq!(page.location(), "https://app.example.com/?__cf_access_message=logged_out");
    assert!(browser.cookie("app.example.com", "CF_Authorization").is_none());
    assert!(house.live.sessions.is_empty());
    assert_eq!(house.records()[0].app, Some(house.app("wiki").id));
    let url = browser.visit(&house, "wiki", "app.example.com", "/");
    assert_eq!(browser.get(&house, &url).await.status, StatusCode::OK, "no silent return");
}

#[tokio::test]
async fn an_application_without_its_cookie_asks_the_team_domain() {
    let house = house().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    browser.drop_cookie("app.example.com", "CF_Authorization");
    let page = browser.get(&house, AT_APP).await;
    let landing = escape("https://app.example.com/?__cf_access_message=logged_out");
    assert_eq!(page.location(), format!("{AT_TEAM}?returnTo={landing}"));
    let onwards = page.location().to_owned();
    let page = browser.get(&house, &onwards).await;
    assert_eq!(page.location(), "https://app.example.com/?__cf_access_message=logged_out");
    assert!(house.live.sessions.is_empty());
}

#[tokio::test]
async fn cookies_with_a_path_are_taken_away_as_well() {
    let house = house().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "many", "path.example.com", "/a/b", "ann@example.com").await;
    let page = browser.get(&house, "https://path.example.com/cdn-cgi/access/logout").await;
    assert!(
        page.cookies()
            .iter()
            .any(|c| c.starts_with("CF_Authorization=;") && c.contains("Path=/a;")),
        "{:?}",
        page.cookies()
    );
    assert!(browser.cookie("path.example.com", "CF_Authorization").is_none());
}

#[tokio::test]
async fn it_returns_to_our_own_places_only() {
    let house = house().await;
    for (to, accepted) in [
        ("https://app.example.com/bye", true),
        ("https://auth.example.com/", true),
        ("https://sub.auth.example.com/", true),
        ("https://x.many.example.com/", true),
        ("https://path.example.com/outside", true),
        ("https://example.com/", false),
        ("https://evil.example/", false),
        ("https://many.example.com/", false),
        ("https://app.example.com.evil.example/", false),
        ("https://app.example.com@evil.example/", false),
        ("http://app.example.com/", false),
        ("//app.example.com/", false),
        ("/local", false),
        ("javascript:alert(1)", false),
    ] {
        for at in [AT_TEAM, AT_APP] {
            let mut browser = Browser::new();
            browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
            let page = browser.get(&house, &format!("{at}?returnTo={}", escape(to))).await;
            if accepted {
                assert_eq!((page.status, page.location()), (StatusCode::FOUND, to), "{at}");
            } else {
                assert_eq!(
                    (page.status, page.heading().as_str()),
                    (StatusCode::BAD_REQUEST, "Invalid redirect URL"),
                    "{to}"
                );
                assert!(!page.headers.contains_key("location"));
            }
            assert!(house.live.sessions.is_empty(), "logged out in any case: {to}");
            house.clock.advance(3_600);
        }
    }
    let page = Browser::new().get(&house, &format!("{AT_TEAM}?returnTo=a&returnTo=b")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn it_is_a_plain_get() {
    let house = house().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    for at in [AT_TEAM, AT_APP] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let page = browser.send(&house, method.parse().unwrap(), at, &[], "").await;
            assert_eq!(
                (page.status, page.headers["allow"].to_str().unwrap()),
                (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD")
            );
        }
    }
    assert_eq!(house.live.sessions.len(), 1);
}

/// Security C9, C12: whoever logs in again in the very second of the revocation gets in, under another session, and
/// what was revoked stays so.
#[tokio::test]
async fn c9_c12_a_new_login_revives_nothing_old() {
    let house = house().await;
    let arrive = async || {
        let mut browser = Browser::new();
        let page = browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
        assert_eq!(page.status, StatusCode::FOUND, "{}", page.body);
        let app = browser.cookie("app.example.com", "CF_Authorization").unwrap();
        let token = house.open_app_token("wiki", app);
        let nonce = house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap());
        (browser, token, nonce)
    };
    let (mut old, dead, first) = arrive().await;
    house.live.revocations.revoke_user(dead.sub, house.now());
    for _ in 0..2 {
        let (mut new, token, nonce) = arrive().await;
        assert_ne!(nonce, first, "another session");
        assert_eq!(token.sub, dead.sub, "of the same person");
        assert!(!house.live.revocations.refuses_person(&token), "the new token works");
        assert!(house.live.revocations.refuses_person(&dead), "the old one stays dead");
        let url = old.visit(&house, "wiki", "app.example.com", "/");
        assert_eq!(old.get(&house, &url).await.status, StatusCode::OK, "is asked who they are");
        new.get(&house, AT_TEAM).await;
        assert!(house.live.revocations.refuses_person(&token), "until its logout");
    }
}
