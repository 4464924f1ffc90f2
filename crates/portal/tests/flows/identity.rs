//! `get-identity`, on both domains (access-protocol §5.7, seed 003).

use crate::browser::Browser;
use crate::house::{House, TEAM, robot, spoiled};
use http::{Method, StatusCode};
use narthex_model::ClientId;
use narthex_token::{CertificateThumbprint, MachineToken};
use serde_json::{Value, json};

const AT_TEAM: &str = "https://auth.example.com/cdn-cgi/access/get-identity";
const AT_APP: &str = "https://app.example.com/cdn-cgi/access/get-identity";

async fn ask(house: &House, at: &str, cookie: &str) -> (u16, Value) {
    let headers: &[(&str, &str)] = if cookie.is_empty() { &[] } else { &[("cookie", cookie)] };
    let page = Browser::new().send(house, Method::GET, at, headers, "").await;
    assert_eq!(page.headers["content-type"], "application/json", "{at}");
    assert!(page.headers["cache-control"].to_str().unwrap().contains("no-store"));
    assert!(
        !page.headers.contains_key("access-control-allow-origin"),
        "no other site learns anything"
    );
    (page.status.as_u16(), serde_json::from_str(&page.body).unwrap())
}

fn cookie(jwt: &str) -> String {
    format!("CF_Authorization={jwt}")
}

#[tokio::test]
async fn either_token_of_a_person_tells_everything() {
    let house = House::open().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let app = browser.cookie("app.example.com", "CF_Authorization").unwrap();
    let org = browser.cookie(TEAM, "CF_Authorization").unwrap();
    let token = house.open_app_token("wiki", app);
    let (status, identity) = ask(&house, AT_TEAM, &cookie(app)).await;
    assert_eq!(status, 200);
    assert_eq!(identity["email"], "ann@example.com");
    assert_eq!(identity["user_uuid"], token.sub.to_string());
    assert_eq!(identity["idp"]["type"], "onetimepin");
    assert_eq!((&identity["ip"], &identity["iat"]), (&json!("203.0.113.7"), &json!(token.iat.0)));
    for field in [
        "email",
        "idp",
        "geo",
        "user_uuid",
        "devicePosture",
        "account_id",
        "iat",
        "ip",
        "auth_status",
        "common_name",
        "service_token_id",
        "service_token_status",
        "is_warp",
        "is_gateway",
        "gateway_account_id",
        "device_id",
        "version",
        "device_sessions",
    ] {
        assert!(identity.get(field).is_some(), "{field} of seed 003");
    }
    assert_eq!(ask(&house, AT_TEAM, &cookie(org)).await, (200, identity.clone()));
    assert_eq!(ask(&house, AT_APP, &cookie(app)).await, (200, identity.clone()));
    let planted = format!("CF_Authorization=x; CF_Authorization={app}");
    assert_eq!(ask(&house, AT_APP, &planted).await, (200, identity), "the good one among several");
    let (status, refused) = ask(&house, AT_APP, &cookie(org)).await;
    assert_eq!(
        (status, &refused["err"]),
        (401, &json!("invalid token")),
        "an org token is not for applications"
    );
}

#[tokio::test]
async fn without_a_good_token_it_says_so() {
    let house = House::open().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let app = browser.cookie("app.example.com", "CF_Authorization").unwrap().to_owned();
    for at in [AT_TEAM, AT_APP] {
        assert_eq!(ask(&house, at, "").await, (400, json!({"err": "no app token set"})));
        assert_eq!(ask(&house, at, "other=1").await.0, 400);
        assert_eq!(ask(&house, at, &cookie("x")).await, (401, json!({"err": "invalid token"})));
        let broken = spoiled(&app);
        assert_eq!(ask(&house, at, &cookie(&broken)).await.0, 401);
    }
    browser.get(&house, "https://auth.example.com/cdn-cgi/access/logout").await;
    assert_eq!(
        ask(&house, AT_TEAM, &cookie(&app)).await,
        (401, json!({"err": "the token was revoked"}))
    );
    house.clock.advance(86_400);
    assert_eq!(
        ask(&house, AT_TEAM, &cookie(&app)).await,
        (401, json!({"err": "the token has expired"}))
    );
}

#[tokio::test]
async fn a_bound_token_needs_its_other_half_at_the_application() {
    let house = House::with(|plan| {
        plan.app("bound", &["bound.example.com"], json!({"enable_binding_cookie": true}));
    })
    .await;
    let mut browser = Browser::new();
    browser.arrive(&house, "bound", "bound.example.com", "/", "ann@example.com").await;
    let token = cookie(browser.cookie("bound.example.com", "CF_Authorization").unwrap());
    let binding = browser.cookie("bound.example.com", "CF_Binding").unwrap();
    let at = "https://bound.example.com/cdn-cgi/access/get-identity";
    assert_eq!(ask(&house, at, &token).await.0, 401);
    assert_eq!(ask(&house, at, &format!("{token}; CF_Binding=x")).await.0, 401);
    assert_eq!(ask(&house, at, &format!("{token}; CF_Binding={binding}")).await.0, 401, "c2");
    let both = format!("{token}; CF_Binding={binding}; __Host-CF_Binding-0f={binding}");
    assert_eq!(ask(&house, at, &both).await.0, 200);
    assert_eq!(
        ask(&house, AT_TEAM, &token).await.0,
        200,
        "an origin never sees the other half (seed 003)"
    );
}

#[tokio::test]
async fn a_service_token_is_named() {
    let client = ClientId::random();
    let kept = robot(&client);
    let mut house = House::with(|plan| {
        plan.service_token(kept);
    })
    .await;
    let mint = |house: &House, name: &str| {
        let aud = house.app("wiki").aud.clone();
        let (iat, exp) = (house.now(), house.now().plus(60));
        let common_name = name.to_owned();
        cookie(&house.keys().mint(&MachineToken { aud, common_name, certificate: None, iat, exp }))
    };
    let (status, identity) = ask(&house, AT_TEAM, &mint(&house, client.as_str())).await;
    assert_eq!((status, &identity["service_token_status"]), (200, &json!(true)));
    assert_eq!(
        (&identity["service_token_id"], &identity["email"]),
        (&json!(client.as_str()), &json!(""))
    );
    assert_eq!(ask(&house, AT_TEAM, &mint(&house, "nobody.access")).await.0, 401);

    // A certificate may be issued under any name, a service token's among them.
    let certificate = Some(CertificateThumbprint::of_sha256([7; 32]));
    let (aud, common_name) = (house.app("wiki").aud.clone(), client.to_string());
    let (iat, exp) = (house.now(), house.now().plus(60));
    let jwt = house.keys().mint(&MachineToken { aud, common_name, certificate, iat, exp });
    let (status, identity) = ask(&house, AT_TEAM, &cookie(&jwt)).await;
    assert_eq!((status, &identity["service_token_status"]), (200, &json!(false)));
    assert_eq!(
        (&identity["auth_status"], &identity["common_name"], &identity["mtls_auth"]["common_name"]),
        (&json!("SUCCESS"), &json!(client.as_str()), &json!(client.as_str()))
    );
    let gone = mint(&house, client.as_str());
    house.reconfigure(|configuration| configuration.service_tokens.clear());
    assert_eq!(ask(&house, AT_TEAM, &gone).await.0, 401, "a deleted token names nobody");
}

#[tokio::test]
async fn the_front_page_knows_who_is_logged_in() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let url = "https://auth.example.com/";
    assert!(browser.get(&house, url).await.body.contains("You are not logged in"));
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let page = browser.get(&house, url).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("ann@example.com") && page.body.contains("/cdn-cgi/access/logout"));
}
