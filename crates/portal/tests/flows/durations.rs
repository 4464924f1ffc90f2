//! How long logins and tokens last, and what happens when each of them ends (access-protocol §10.1, §10.2).

use crate::browser::Browser;
use crate::house::{House, TEAM};
use http::StatusCode;
use narthex_token::{OrgToken, TokenError};
use serde_json::{Value, json};

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
const ORGANIZATIONS: [Option<&str>; 4] = [None, Some("15m"), Some("24h"), Some("720h")];
const APPS: [&str; 4] = ["0s", "5m", "24h", "720h"];
const POLICIES: [Option<&str>; 4] = [None, Some("0s"), Some("30m"), Some("48h")];

/// Seconds that a global session lasts: the organisation's, else the application's, and never under a quarter of an hour.
fn global(organization: Option<&str>, app: &str) -> i64 {
    match (organization, app) {
        (Some("15m"), _) | (None, "0s" | "5m") => 15 * MINUTE,
        (Some("24h"), _) | (None, "24h") => DAY,
        (Some("720h"), _) | (None, "720h") => 30 * DAY,
        other => panic!("{other:?} is not in the table"),
    }
}

/// Seconds that a token of an application lasts: the policy's, else the application's; ten stand for none at all.
fn token(app: &str, policy: Option<&str>) -> i64 {
    match (policy, app) {
        (Some("0s"), _) | (None, "0s") => 10,
        (Some("30m"), _) => 30 * MINUTE,
        (Some("48h"), _) => 2 * DAY,
        (None, "5m") => 5 * MINUTE,
        (None, "24h") => DAY,
        (None, "720h") => 30 * DAY,
        other => panic!("{other:?} is not in the table"),
    }
}

fn org_token(house: &House, browser: &Browser) -> OrgToken {
    let aud = house.live.snapshot.load().organization.aud.clone();
    let jwt = browser.cookie(TEAM, "CF_Authorization").unwrap();
    house.keys().open_org(jwt, &aud, house.now()).unwrap()
}

/// Every combination: `global` and `token` say what is to come out, and whether the token can be renewed in silence
/// follows from them.
#[tokio::test]
async fn every_combination_of_durations() {
    for organization in ORGANIZATIONS {
        let house = House::with(|plan| {
            plan.organization(|o| o.session_duration = organization.map(|d| d.parse().unwrap()));
            for (at, app) in APPS.iter().enumerate() {
                for (by, policy) in POLICIES.iter().enumerate() {
                    let rule = policy.map_or(json!({}), |d| json!({"session_duration": d}));
                    let extra = json!({"session_duration": app, "policy": rule});
                    plan.app(&format!("{at}-{by}"), &[&format!("a{at}p{by}.example.com")], extra);
                }
            }
        })
        .await;
        for (at, app) in APPS.iter().enumerate() {
            for (by, policy) in POLICIES.iter().enumerate() {
                let name =
                    format!("organisation {organization:?}, application {app}, policy {policy:?}");
                let (id, host) = (format!("{at}-{by}"), format!("a{at}p{by}.example.com"));
                let (global, life) = (global(organization, app), token(app, *policy));
                let mut browser = Browser::at(&format!("198.51.100.{}", at * 4 + by));
                let email = format!("p{at}{by}@example.com");
                browser.arrive(&house, &id, &host, "/", &email).await;
                let jwt = browser.cookie(&host, "CF_Authorization").unwrap().to_owned();
                let (org, first) = (org_token(&house, &browser), house.open_app_token(&id, &jwt));
                assert_eq!(org.exp.since(org.iat), global, "{name}: the global session");
                assert_eq!(first.exp.since(first.iat), life, "{name}: the token");

                house.clock.advance(life - 1);
                house.live.forget_expired(house.now());
                house.open_app_token(&id, &jwt);
                let known = house.live.sessions.get(&first.identity_nonce);
                assert!(known.is_some(), "{name}: the session is known as long as its token");
                house.clock.advance(1);
                let aud = house.app(&id).aud.clone();
                let late = house.keys().open_app(&jwt, &aud, house.now());
                assert!(matches!(late, Err(TokenError::Expired { .. })), "{name}: {late:?}");

                let url = browser.visit(&house, &id, &host, "/");
                let page = browser.get(&house, &url).await;
                if life < global {
                    assert_eq!(page.status, StatusCode::FOUND, "{name}: renewed in silence");
                    let onwards = page.location().to_owned();
                    browser.get(&house, &onwards).await;
                    let jwt = browser.cookie(&host, "CF_Authorization").unwrap();
                    let next = house.open_app_token(&id, jwt);
                    assert_eq!((next.iat, next.exp.since(next.iat)), (house.now(), life), "{name}");
                    assert_eq!((next.sub, next.identity_nonce), (first.sub, first.identity_nonce));
                    house.clock.advance(org.exp.since(house.now()));
                    let url = browser.visit(&house, &id, &host, "/");
                    let page = browser.get(&house, &url).await;
                    assert_eq!(page.status, StatusCode::OK, "{name}: the global session is over");
                } else {
                    assert_eq!(page.status, StatusCode::OK, "{name}: somebody has to log in");
                }
            }
        }
    }
}

#[tokio::test]
async fn no_duration_at_all_means_a_new_decision_at_every_visit() {
    let mut house = House::with(|plan| {
        plan.app("strict", &["strict.example.com"], json!({"session_duration": "0s"}));
        plan.organization(|o| o.session_duration = Some("1h".parse().unwrap()));
    })
    .await;
    let mut browser = Browser::new();
    browser.arrive(&house, "strict", "strict.example.com", "/", "ann@example.com").await;
    let read = |house: &House, browser: &Browser| {
        let jwt = browser.cookie("strict.example.com", "CF_Authorization").unwrap();
        house.open_app_token("strict", jwt)
    };
    let first = read(&house, &browser);
    for visit in 1..=5 {
        house.clock.advance(10);
        let url = browser.visit(&house, "strict", "strict.example.com", "/page");
        let onwards = browser.get(&house, &url).await.location().to_owned();
        let page = browser.get(&house, &onwards).await;
        assert_eq!(page.location(), "https://strict.example.com/page", "nobody is asked");
        let next = read(&house, &browser);
        assert_eq!((next.iat, next.exp), (house.now(), house.now().plus(10)), "visit {visit}");
        assert_eq!((next.sub, &next.identity_nonce), (first.sub, &first.identity_nonce));
    }
    house.reconfigure(|configuration| {
        for policy in configuration.policies.values_mut() {
            let mut rules = serde_json::to_value(&**policy).unwrap();
            rules["include"] = json!([{"email_domain": {"domain": "example.org"}}]);
            *policy = std::sync::Arc::new(
                serde_json::from_value::<narthex_model::Policy>(rules).unwrap(),
            );
        }
    });
    house.clock.advance(10);
    let url = browser.visit(&house, "strict", "strict.example.com", "/page");
    assert_eq!(
        browser.get(&house, &url).await.status,
        StatusCode::FORBIDDEN,
        "the rules have changed"
    );
}

/// One browser, two applications: the global session saves the second login, whatever the first token's life.
#[tokio::test]
async fn the_global_session_carries_from_application_to_application() {
    let house = House::with(|plan| {
        plan.app("chat", &["chat.example.com"], json!({"session_duration": "0s"}));
        plan.organization(|o| o.session_duration = Some("15m".parse().unwrap()));
    })
    .await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let ends = org_token(&house, &browser).exp;
    for (after, status) in [(0, StatusCode::FOUND), (899, StatusCode::FOUND), (900, StatusCode::OK)]
    {
        house.clock.advance(ends.plus(after - 900).since(house.now()));
        let url = browser.visit(&house, "chat", "chat.example.com", "/");
        assert_eq!(browser.get(&house, &url).await.status, status, "{after} seconds later");
    }
    let wiki = browser.cookie("app.example.com", "CF_Authorization").unwrap();
    let token = house.open_app_token("wiki", wiki);
    assert_eq!(token.exp.since(token.iat), DAY, "and a longer token goes on by itself (§10.2)");
    let identity = format!("CF_Authorization={wiki}");
    let at = "https://app.example.com/cdn-cgi/access/get-identity";
    let headers = [("cookie", identity.as_str())];
    let page = Browser::new().send(&house, http::Method::GET, at, &headers, "").await;
    let told: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!((page.status, &told["email"]), (StatusCode::OK, &json!("ann@example.com")));
}
