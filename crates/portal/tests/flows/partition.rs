//! Cookies for private windows: a page's own script gets one for another host of its application, and nobody else gets
//! anything (security C1, C14; rules 24, 27).

use crate::browser::{Browser, Page};
use crate::house::House;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

const A: &str = "a.example.com";
const B: &str = "b.other.test";
const PAGE: &str = "https://a.example.com";
const KIND: (&str, &str) = ("content-type", "application/x-www-form-urlencoded;charset=UTF-8");
const OWN: [(&str, &str); 3] =
    [("origin", PAGE), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
const ACROSS: [(&str, &str); 3] =
    [("origin", PAGE), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")];

fn settings(more: Value) -> Value {
    let mut settings = json!({
        "partitioned_cookie_handoff": true, "eager_redirect_cookie_setting": false,
        "cors_headers": {"allow_all_methods": true, "allowed_origins": [PAGE], "allow_credentials": true},
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

async fn house(more: Value) -> House {
    House::with(|plan| {
        plan.app("duo", &[A, B, "c.third.test", "*.wild.test"], settings(more));
        plan.app("chat", &["chat.example.com"], json!({}));
    })
    .await
}

/// A browser that is logged in on A, and nowhere else.
async fn at_a(house: &House) -> Browser {
    let mut browser = Browser::new();
    browser.arrive(house, "duo", A, "/", "ann@example.com").await;
    assert!(browser.cookie(A, "CF_Authorization").is_some());
    assert!(browser.cookie(B, "CF_Authorization").is_none());
    browser
}

async fn post(
    browser: &mut Browser,
    house: &House,
    host: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Page {
    let headers: Vec<_> = [KIND].iter().chain(headers).copied().collect();
    let url = format!("https://{host}/cdn-cgi/access/handoff");
    browser.send(house, Method::POST, &url, &headers, body).await
}

fn said(page: &Page) -> Value {
    serde_json::from_str(&page.body).unwrap_or_default()
}

/// The first step, as the script does it.
async fn code_for(browser: &mut Browser, house: &House, to: &str) -> String {
    let page = post(browser, house, A, &OWN, &format!("to={to}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_eq!(said(&page)["url"], format!("https://{to}/cdn-cgi/access/handoff"));
    said(&page)["code"].as_str().unwrap().to_owned()
}

async fn redeem(browser: &mut Browser, house: &House, code: &str) -> Page {
    post(browser, house, B, &ACROSS, &format!("code={code}")).await
}

fn gave_nothing(page: &Page) -> bool {
    page.status.is_client_error()
        && page.cookies().is_empty()
        && said(page).get("code").is_none()
        && !page.headers.contains_key("access-control-allow-origin")
}

#[tokio::test]
async fn a_page_of_one_host_gets_a_partitioned_cookie_for_another() {
    let house = house(json!({})).await;
    let mut browser = at_a(&house).await;
    let own = house.open_app_token("duo", browser.cookie(A, "CF_Authorization").unwrap());
    house.clock.advance(100);
    let code = code_for(&mut browser, &house, B).await;
    let page = redeem(&mut browser, &house, &code).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let [cookie] = page.cookies()[..] else { panic!("{:?}", page.cookies()) };
    let (value, attributes) = cookie.split_once("; ").unwrap();
    let date = own.exp.http_date();
    assert_eq!(
        attributes,
        format!("Expires={date}; Path=/; Secure; SameSite=none; HttpOnly; Partitioned")
    );
    let token = house.open_app_token("duo", value.strip_prefix("CF_Authorization=").unwrap());
    assert_eq!((token.sub, &token.identity_nonce), (own.sub, &own.identity_nonce));
    assert_eq!((token.iat, token.exp), (house.now(), own.exp), "it outlives no other");
    for (name, want) in [
        ("access-control-allow-origin", PAGE),
        ("access-control-allow-credentials", "true"),
        ("vary", "Origin"),
    ] {
        assert_eq!(page.headers[name], want, "{name}");
    }
    assert_eq!(said(&page)["expires_in"], own.exp.since(house.now()));
    assert!(gave_nothing(&redeem(&mut browser, &house, &code).await), "once");
    code_for(&mut browser, &house, "x.wild.test").await;
}

#[tokio::test]
async fn of_many_that_bring_one_code_one_gets_a_cookie() {
    let house = house(json!({})).await;
    let mut browser = at_a(&house).await;
    let code = code_for(&mut browser, &house, B).await;
    let mut tabs: Vec<_> = (0..4).map(|_| browser.clone()).collect();
    let answers = tabs.iter_mut().map(|tab| redeem(tab, &house, &code));
    let answers = futures_util::future::join_all(answers).await;
    assert_eq!(answers.iter().filter(|page| !page.cookies().is_empty()).count(), 1);
}

#[tokio::test]
async fn only_the_pages_own_script_gets_a_code() {
    let house = house(json!({})).await;
    let mut browser = at_a(&house).await;
    let site = |site| [("origin", PAGE), ("sec-fetch-site", site), ("sec-fetch-mode", "cors")];
    let mode =
        |mode| [("origin", PAGE), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", mode)];
    for headers in [
        &[][..],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
        &[("origin", "null")],
        &[("origin", "https://c.evil.test"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://b.other.test"), ("sec-fetch-site", "cross-site")],
        &[("origin", "http://a.example.com")],
        &[("origin", "https://a.example.com:8443")],
        &[("origin", "https://a.example.com.evil.test")],
        &site("cross-site"),
        &site("same-site"),
        &site("none"),
        &mode("navigate"),
        &mode("no-cors"),
        &mode("websocket"),
    ] {
        let page = post(&mut browser, &house, A, headers, &format!("to={B}")).await;
        assert!(
            gave_nothing(&page) && page.status == StatusCode::FORBIDDEN,
            "{headers:?} {}",
            page.body
        );
    }
    // An older browser, which sends `Origin` alone.
    let page = post(&mut browser, &house, A, &[("origin", PAGE)], &format!("to={B}")).await;
    assert_eq!(page.status, StatusCode::OK);

    let url = format!("https://{A}/cdn-cgi/access/handoff?to={B}");
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS] {
        let page = browser.send(&house, method.clone(), &url, &OWN, "").await;
        assert_eq!(
            (page.status, &page.headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &http::HeaderValue::from_static("POST"))
        );
        assert!(gave_nothing(&page), "{method}");
    }
    let page = browser.send(&house, Method::POST, &url, &OWN, "").await;
    assert!(gave_nothing(&page), "the host stands in the body: {}", page.body);
}

#[tokio::test]
async fn a_code_needs_a_session_and_a_host_that_the_application_offers() {
    let house = house(json!({})).await;
    let mut browser = at_a(&house).await;
    for (to, status) in [
        (A, 400),
        ("chat.example.com", 400),
        ("evil.test", 400),
        ("b.other.test.evil.test", 400),
        ("x.y.wild.test", 400),
        ("b.other.test%2Fx", 400),
        ("https%3A%2F%2Fb.other.test", 400),
        ("", 400),
    ] {
        let page = post(&mut browser, &house, A, &OWN, &format!("to={to}")).await;
        assert!(gave_nothing(&page), "{to}: {}", page.body);
        assert_eq!(page.status.as_u16(), status, "{to}: {}", page.body);
    }
    let twice = post(&mut browser, &house, A, &OWN, &format!("to={B}&to={B}")).await;
    assert!(gave_nothing(&twice));

    let page = post(&mut Browser::new(), &house, A, &OWN, &format!("to={B}")).await;
    assert!(gave_nothing(&page) && page.status == StatusCode::UNAUTHORIZED, "{}", page.body);
    let org = browser.cookie("auth.example.com", "CF_Authorization").unwrap().to_owned();
    let mut with_global = Browser::new();
    with_global.set_cookie(A, "CF_Authorization", &org);
    assert!(gave_nothing(&post(&mut with_global, &house, A, &OWN, &format!("to={B}")).await));

    // A session of another application does not help, at its host or at this one.
    let mut chatting = Browser::new();
    chatting.arrive(&house, "chat", "chat.example.com", "/", "bob@example.com").await;
    let other = chatting.cookie("chat.example.com", "CF_Authorization").unwrap().to_owned();
    chatting.set_cookie(A, "CF_Authorization", &other);
    assert!(gave_nothing(&post(&mut chatting, &house, A, &OWN, &format!("to={B}")).await));
    let own = [("origin", "https://chat.example.com"), ("sec-fetch-site", "same-origin")];
    let page = post(&mut chatting, &house, "chat.example.com", &own, &format!("to={B}")).await;
    assert!(
        gave_nothing(&page) && page.body.contains("partitioned_cookie_handoff"),
        "{}",
        page.body
    );

    house.clock.advance(86_400);
    let page = post(&mut browser, &house, A, &OWN, &format!("to={B}")).await;
    assert!(gave_nothing(&page) && page.status == StatusCode::UNAUTHORIZED, "expired");
}

#[tokio::test]
async fn a_code_is_good_at_one_host_for_one_page_for_half_a_minute() {
    let house = house(json!({})).await;
    let mut browser = at_a(&house).await;
    let from = |origin: &'static str| [("origin", origin), ("sec-fetch-site", "cross-site")];
    for (host, headers) in [
        ("c.third.test", &ACROSS[..]),
        ("chat.example.com", &ACROSS),
        (A, &OWN),
        (B, &[]),
        (B, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")]),
        (B, &from("null")),
        (B, &from("https://c.evil.test")),
        (B, &from("https://b.other.test")),
        (B, &from("https://a.example.com.evil.test")),
        (B, &[("origin", PAGE), ("sec-fetch-mode", "navigate")]),
        (B, &[("origin", PAGE), ("sec-fetch-mode", "no-cors")]),
    ] {
        let code = code_for(&mut browser, &house, B).await;
        let page = post(&mut browser, &house, host, headers, &format!("code={code}")).await;
        assert!(gave_nothing(&page), "{host} {headers:?}: {}", page.body);
        assert!(
            gave_nothing(&redeem(&mut browser, &house, &code).await),
            "{host} {headers:?}: used up"
        );
    }
    let code = code_for(&mut browser, &house, B).await;
    let spoiled = crate::house::spoiled(&code);
    for bad in ["x", "", &code[1..], &spoiled] {
        assert!(gave_nothing(&redeem(&mut browser, &house, bad).await), "{bad}");
    }
    let url = format!("https://{B}/cdn-cgi/access/handoff?code={code}");
    assert!(gave_nothing(&browser.send(&house, Method::GET, &url, &ACROSS, "").await), "in a URL");
    house.clock.advance(29);
    assert_eq!(redeem(&mut browser, &house, &code).await.cookies().len(), 1, "29 seconds later");
    let code = code_for(&mut browser, &house, B).await;
    house.clock.advance(30);
    assert!(gave_nothing(&redeem(&mut browser, &house, &code).await), "30 seconds later");
}

#[tokio::test]
async fn a_logout_reaches_the_partitioned_cookie_and_codes_under_way() {
    let house = house(json!({})).await;
    let mut browser = at_a(&house).await;
    let code = code_for(&mut browser, &house, B).await;
    redeem(&mut browser, &house, &code).await;
    let token = house.open_app_token("duo", browser.cookie(B, "CF_Authorization").unwrap());
    assert!(!house.live.revocations.refuses_person(&token));
    let under_way = code_for(&mut browser, &house, B).await;
    browser.get(&house, &format!("https://{A}/cdn-cgi/access/logout")).await;
    assert!(house.live.revocations.refuses_person(&token));
    let page = redeem(&mut browser, &house, &under_way).await;
    assert_eq!((page.status, page.cookies().len()), (StatusCode::UNAUTHORIZED, 0), "{}", page.body);
    assert_eq!(page.headers["access-control-allow-origin"], PAGE, "the page reads why");
}

#[tokio::test]
async fn what_is_revoked_or_changed_between_the_steps_counts() {
    let mut house = house(json!({})).await;
    let mut browser = at_a(&house).await;
    house.clock.advance(10);
    let code = code_for(&mut browser, &house, B).await;
    let aud = house.app("duo").aud.clone();
    house.live.revocations.revoke_app(&aud, house.now());
    house.clock.advance(1);
    let page = redeem(&mut browser, &house, &code).await;
    assert_eq!((page.status.as_u16(), page.cookies().len()), (401, 0), "{}", page.body);

    let mut browser = at_a(&house).await;
    let codes = [code_for(&mut browser, &house, B).await, code_for(&mut browser, &house, B).await];
    house.reconfigure(|configuration| {
        let policies = configuration.policies.values_mut();
        for policy in policies {
            let mut closed = (**policy).clone();
            closed.rules =
                serde_json::from_value(json!({"include": [{"email": {"email": "x@example.com"}}]}))
                    .unwrap();
            *policy = Arc::new(closed);
        }
    });
    let page = redeem(&mut browser, &house, &codes[0]).await;
    assert_eq!((page.status.as_u16(), page.cookies().len()), (403, 0), "{}", page.body);
    assert!(gave_nothing(&post(&mut browser, &house, A, &OWN, &format!("to={B}")).await));
    house.reconfigure(|configuration| {
        let apps = configuration.apps.values_mut();
        for app in apps {
            let mut off = (**app).clone();
            off.cookie.partitioned_cookie_handoff = false;
            *app = Arc::new(off);
        }
    });
    let page = redeem(&mut browser, &house, &codes[1]).await;
    assert_eq!((page.status.as_u16(), page.cookies().len()), (403, 0), "{}", page.body);
}

#[tokio::test]
async fn only_pages_that_may_call_the_application_are_served() {
    let house = house(json!({})).await;
    let mut browser = Browser::new();
    browser.arrive(&house, "duo", B, "/", "ann@example.com").await;
    let own = [("origin", "https://b.other.test"), ("sec-fetch-site", "same-origin")];
    let page = post(&mut browser, &house, B, &own, &format!("to={A}")).await;
    assert!(gave_nothing(&page) && page.body.contains("allowed_origins"), "{}", page.body);
}

#[tokio::test]
async fn a_binding_cookie_is_partitioned_too_and_needed_for_a_code() {
    let house = house(json!({"enable_binding_cookie": true})).await;
    let mut browser = at_a(&house).await;
    let code = code_for(&mut browser, &house, B).await;
    let page = redeem(&mut browser, &house, &code).await;
    let [token, binding, companion] = page.cookies()[..] else { panic!("{:?}", page.cookies()) };
    assert!([token, binding, companion].iter().all(|cookie| cookie.ends_with("; Partitioned")));
    assert!(companion.starts_with("__Host-CF_Binding-"), "{companion}");
    let token = house.open_app_token("duo", browser.cookie(B, "CF_Authorization").unwrap());
    assert!(token.is_bound_to(browser.cookie(B, "CF_Binding")));
    assert_ne!(browser.cookie(A, "CF_Binding"), browser.cookie(B, "CF_Binding"));

    let foreign = browser.cookie(B, "CF_Binding").unwrap().to_owned();
    browser.set_cookie(A, "CF_Binding", &foreign);
    assert!(gave_nothing(&post(&mut browser, &house, A, &OWN, &format!("to={B}")).await));
    browser.drop_cookie(A, "CF_Binding");
    assert!(gave_nothing(&post(&mut browser, &house, A, &OWN, &format!("to={B}")).await));
}

#[tokio::test]
async fn the_script_is_served_as_a_script() {
    let house = house(json!({})).await;
    let url = format!("https://{A}/cdn-cgi/access/handoff.js");
    let page = Browser::new().get(&house, &url).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert!(page.body.contains("export async function handOff(host)"), "{}", page.body);
}
