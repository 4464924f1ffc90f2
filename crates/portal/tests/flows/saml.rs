//! What the portal does around a SAML login, up to the response: metadata, key, request, and the forms that are no
//! answer to it (security S9, S11, C6). Logins to the end, with responses of a provider that others wrote, are in
//! `e2e/browser/saml.test.mjs`; what makes a response good is `narthex-saml`'s.

use crate::browser::{Browser, Page};
use crate::house::{House, NOW, TEAM, idp};
use http::{Method, StatusCode};
use narthex_idp::RequestKey;
use narthex_model::{Action, IdpConfig};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;
use url::Url;

const SIGNED: &str = "22222222-2222-4222-8222-222222222222";
const PLAIN: &str = "33333333-3333-4333-8333-333333333333";
const CALLBACK: &str = "/cdn-cgi/access/callback";

static THEIRS: LazyLock<String> =
    LazyLock::new(|| RequestKey::generate("idp.example.com", NOW).certificate_pem().to_owned());

fn config(extra: Value) -> IdpConfig {
    let mut config = json!({
        "issuer_url": "urn:idp", "sso_target_url": "https://idp.example.com/sso?tenant=1",
        "idp_public_certs": [*THEIRS],
    });
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    IdpConfig::parse("saml", config).unwrap()
}

async fn house() -> House {
    House::with(|plan| {
        plan.provider(idp(SIGNED, "Staff SAML", config(json!({"sign_request": true}))));
        plan.provider(idp(PLAIN, "Other SAML", config(json!({"force_authn": true}))));
        for (app, provider) in [("signed", SIGNED), ("plain", PLAIN)] {
            let at_once = json!({"allowed_idps": [provider], "auto_redirect_to_identity": true});
            plan.app(app, &[&format!("{app}.example.com")], at_once);
        }
    })
    .await
}

/// Goes to an application; answers the parameters of the request that the provider gets.
async fn depart(house: &House, browser: &mut Browser, app: &str) -> HashMap<String, String> {
    let url = browser.visit(house, app, &format!("{app}.example.com"), "/x");
    let there = browser.get(house, &url).await;
    assert!(there.location().starts_with("https://idp.example.com/sso?tenant=1&SAMLRequest="));
    Url::parse(there.location()).unwrap().query_pairs().into_owned().collect()
}

/// Posts a form as a page of the provider's site does.
async fn answer(house: &House, browser: &mut Browser, fields: &[(&str, &str)]) -> Page {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let fields: Vec<_> = fields.iter().map(owned).collect();
    let from = [("origin", "https://idp.example.com"), ("sec-fetch-site", "cross-site")];
    browser.post_from(house, CALLBACK, &fields, &from).await
}

async fn read(house: &House, path: &str) -> Page {
    Browser::new().get(house, &format!("https://{TEAM}/cdn-cgi/access/{path}")).await
}

#[tokio::test]
async fn requests_are_signed_where_that_is_asked_for_and_by_one_key() {
    let house = house().await;
    let mut browser = Browser::new();
    let plain = depart(&house, &mut browser, "plain").await;
    assert!(plain.contains_key("RelayState") && !plain.contains_key("Signature"));
    assert_eq!(house.store.saml_key().await.unwrap(), None, "no key before it is needed");
    let signed = depart(&house, &mut browser, "signed").await;
    assert_eq!(signed["SigAlg"], "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
    assert_ne!(signed["RelayState"], plain["RelayState"]);

    let certificate = read(&house, "public-cert").await.body;
    let kept = house.store.saml_key().await.unwrap().unwrap();
    assert_eq!(certificate, kept.certificate_pem);
    assert_eq!(read(&house, "public-cert").await.body, certificate, "the same each time");
    let bare: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    for (path, says_key) in [
        ("saml-metadata".to_owned(), true),
        (format!("{SIGNED}/saml-metadata"), true),
        (format!("{PLAIN}/saml-metadata"), false),
    ] {
        let page = read(&house, &path).await;
        assert_eq!(page.headers["content-type"], "application/samlmetadata+xml");
        let us = format!("https://{TEAM}{CALLBACK}");
        assert!(page.body.contains(&format!("entityID=\"{us}\"")), "{path}: {}", page.body);
        assert!(page.body.contains(&format!("Location=\"{us}\"")), "{path}");
        assert_eq!(page.body.contains(&bare), says_key, "{path}");
    }
    for nowhere in ["11111111-1111-4111-8111-111111111111", IDP_NOBODY_MADE, "x"] {
        let page = read(&house, &format!("{nowhere}/saml-metadata")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{nowhere}");
    }
    for path in ["saml-metadata", "public-cert"] {
        let url = format!("https://{TEAM}/cdn-cgi/access/{path}");
        let page = Browser::new().send(&house, Method::POST, &url, &[], "").await;
        assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
}

const IDP_NOBODY_MADE: &str = "44444444-4444-4444-8444-444444444444";

#[tokio::test]
async fn s9_only_an_answer_to_the_request_of_this_browser_is_looked_at() {
    let mut house = house().await;
    let mut browser = Browser::new();
    let state = depart(&house, &mut browser, "plain").await.remove("RelayState").unwrap();
    let response = "PHg+PC94Pg=="; // <x></x>
    for (fields, status, heading) in [
        (vec![], 400, "Invalid session. Please try logging in again"),
        (vec![("RelayState", state.as_str())], 400, "Invalid session. Please try logging in again"),
        (vec![("SAMLResponse", response)], 400, "Begin at your application"),
        (
            vec![("SAMLResponse", response), ("RelayState", "https://plain.example.com/")],
            400,
            "Begin at your application",
        ),
        (
            vec![("SAMLResponse", response), ("RelayState", &"A".repeat(43))],
            400,
            "This login is over",
        ),
        (
            vec![
                ("SAMLResponse", response),
                ("SAMLResponse", response),
                ("RelayState", state.as_str()),
            ],
            400,
            "This link cannot be read",
        ),
    ] {
        let page = answer(&house, &mut browser, &fields).await;
        assert_eq!(
            (page.status.as_u16(), page.heading().as_str()),
            (status, heading),
            "{fields:?}"
        );
    }
    assert!(house.records().is_empty(), "none of that was an attempt to log in");

    let fields = [("SAMLResponse", response), ("RelayState", state.as_str())];
    let page = answer(&house, &mut browser, &fields).await;
    assert_eq!(page.heading(), "Your identity provider's answer cannot be used");
    let [record] = house.records().try_into().unwrap();
    assert_eq!(record.action, Action::Login);
    assert!(record.reason.contains("not a SAML 2.0 response"), "{}", record.reason);
    let page = answer(&house, &mut browser, &fields).await;
    assert_eq!(page.heading(), "This login is over", "one answer, be it a bad one");
}

#[tokio::test]
async fn a_login_is_bound_to_its_browser_its_protocol_and_ten_minutes() {
    let house = house().await;
    let fields = |state| [("SAMLResponse", "PHg+PC94Pg=="), ("RelayState", state)];
    let mut other = Browser::new();
    depart(&house, &mut other, "plain").await;
    let mut browser = Browser::new();
    let asked = depart(&house, &mut browser, "plain").await;
    let page = answer(&house, &mut other, &fields(&asked["RelayState"])).await;
    assert_eq!(page.heading(), "Invalid session. Please try logging in again");

    let asked = depart(&house, &mut browser, "plain").await;
    let as_oidc = format!("https://{TEAM}{CALLBACK}?code=x&state={}", asked["RelayState"]);
    let page = browser.get(&house, &as_oidc).await;
    assert_eq!(page.heading(), "Invalid session. Please try logging in again");

    let asked = depart(&house, &mut browser, "plain").await;
    house.clock.advance(601);
    let page = answer(&house, &mut browser, &fields(&asked["RelayState"])).await;
    assert_eq!(page.heading(), "This login is over");
}
