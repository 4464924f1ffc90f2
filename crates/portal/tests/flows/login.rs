//! From a stranger to a session: the login page, the policies, and what a session spares (access-protocol §3.4).

use crate::browser::Browser;
use crate::house::{House, NOW, TEAM};
use http::{Method, StatusCode};
use narthex_model::{Action, GoDuration, LoginDesign, Verdict};
use serde_json::json;

#[tokio::test]
async fn a_stranger_logs_in_and_arrives_where_they_wanted() {
    let mut house = House::open().await;
    let mut browser = Browser::new();
    let url = browser.visit(&house, "wiki", "app.example.com", "/reports?y=2026&z=%2F");
    let login = browser.get(&house, &url).await;
    assert_eq!(login.status, StatusCode::OK);
    assert_eq!(login.heading(), "Log in to wiki");
    assert_eq!(login.headers["cf-access-domain"], "app.example.com");
    let [session] = login.cookies()[..] else { panic!("one cookie: {:?}", login.cookies()) };
    assert!(session.starts_with("CF_Session=") && session.contains("HttpOnly"), "{session}");
    assert!(house.outbox.list().is_empty() && house.records().is_empty(), "nothing happened yet");

    let (code_page, code) = browser.ask_for_code(&house, &login, "Ann@Example.com").await;
    assert!(code_page.body.contains("autocomplete=\"one-time-code\""));
    let entered =
        browser.enter_code(&house, &code_page, &format!(" {} {} ", &code[..3], &code[3..])).await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER, "{}", entered.body);
    let prefix = "https://app.example.com/cdn-cgi/access/authorized?nonce=";
    assert!(entered.location().starts_with(prefix), "{}", entered.location());
    let [org] = entered.cookies()[..] else { panic!("one cookie: {:?}", entered.cookies()) };
    assert!(org.starts_with("CF_Authorization=") && org.contains("SameSite=none"), "{org}");

    let onwards = entered.location().to_owned();
    let arrived = browser.get(&house, &onwards).await;
    assert_eq!(arrived.status, StatusCode::FOUND, "{}", arrived.body);
    assert_eq!(arrived.location(), "https://app.example.com/reports?y=2026&z=%2F");
    let [app] = arrived.cookies()[..] else { panic!("one cookie: {:?}", arrived.cookies()) };
    assert!(app.contains("Expires=") && app.contains("HttpOnly"), "{app}");
    let token = house
        .open_app_token("wiki", browser.cookie("app.example.com", "CF_Authorization").unwrap());
    assert_eq!(token.email.as_str(), "ann@example.com");
    assert_eq!((token.iat, token.exp), (NOW, NOW.plus(86_400)));
    assert_eq!(token.binding, None);

    let [record] = &house.records()[..] else { panic!("one record") };
    assert_eq!((record.action, record.verdict), (Action::Login, Verdict::Allowed));
    assert_eq!(record.user, Some(token.sub));
    assert_eq!(record.connection, "onetimepin");
    assert_eq!(record.app, Some(house.app("wiki").id));
    assert!(record.policy.is_some() && record.rule.contains("email_domain"), "{record:?}");
}

#[tokio::test]
async fn a_session_spares_the_next_login() {
    let mut house = House::with(|plan| {
        plan.app("chat", &["chat.example.com"], json!({"session_duration": "30m"}));
        plan.app("zero", &["zero.example.com"], json!({"session_duration": "0s"}));
        plan.app("own", &["own.example.com"], json!({"policy": {"session_duration": "15m"}}));
    })
    .await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    house.records();
    for (app, host, life) in [
        ("chat", "chat.example.com", 1_800),
        ("zero", "zero.example.com", 10),
        ("own", "own.example.com", 900),
    ] {
        let url = browser.visit(&house, app, host, "/x");
        let silent = browser.get(&house, &url).await;
        assert_eq!(silent.status, StatusCode::FOUND, "{app}: {}", silent.body);
        let onwards = silent.location().to_owned();
        let arrived = browser.get(&house, &onwards).await;
        assert_eq!(arrived.location(), format!("https://{host}/x"));
        let token = house.open_app_token(app, browser.cookie(host, "CF_Authorization").unwrap());
        assert_eq!(token.exp.since(token.iat), life, "{app}");
        assert_eq!(house.records().len(), 1, "{app}: one record");
    }
    // The global session is over: somebody has to log in again.
    house.clock.advance(86_400);
    let url = browser.visit(&house, "wiki", "app.example.com", "/");
    assert_eq!(browser.get(&house, &url).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_exchanged_with_head_alone() {
    // access-protocol §13.4: the command-line client, with nothing but its org token.
    let house = House::open().await;
    let mut person = Browser::new();
    person.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let org = person.cookie(TEAM, "CF_Authorization").unwrap().to_owned();

    let mut client = Browser::new();
    (client.telling, client.method) = (false, Method::HEAD);
    client.set_cookie(TEAM, "CF_Authorization", &org);
    let url = client.visit(&house, "wiki", "app.example.com", "/");
    let second = client.get(&house, &url).await;
    assert_eq!((second.status, second.body.as_str()), (StatusCode::FOUND, ""));
    let onwards = second.location().to_owned();
    assert!(onwards.starts_with("https://app.example.com/cdn-cgi/access/authorized?"));
    let third = client.get(&house, &onwards).await;
    assert_eq!(third.status, StatusCode::FOUND);
    let cookie = third.cookies()[0];
    assert!(cookie.starts_with("CF_Authorization=") && cookie.contains("Expires="), "{cookie}");

    // Without a meta token as well, which ties nothing down.
    client.drop_cookie("app.example.com", "CF_AppSession");
    let url = house.plain_login_url("wiki", "app.example.com", "/");
    let onwards = client.get(&house, &url).await.location().to_owned();
    assert_eq!(client.get(&house, &onwards).await.cookies().len(), 1);
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let house = House::open().await;
    let url = house.plain_login_url("wiki", "app.example.com", "/");
    let others =
        ["/", "/cdn-cgi/access/certs", "/cdn-cgi/access/logout", "/cdn-cgi/access/get-identity"];
    for url in others.iter().map(|path| format!("https://{TEAM}{path}")).chain([url]) {
        let get = Browser::new().send(&house, Method::GET, &url, &[], "").await;
        let head = Browser::new().send(&house, Method::HEAD, &url, &[], "").await;
        assert_eq!(head.status, get.status, "{url}");
        assert_eq!(
            head.headers["content-length"].to_str().unwrap(),
            get.body.len().to_string(),
            "{url}"
        );
        assert_eq!(head.body, "");
        assert!(head.headers.keys().eq(get.headers.keys()), "{url}");
    }
}

#[tokio::test]
async fn an_application_is_found_by_kid_and_host_together() {
    let house = House::with(|plan| {
        plan.app("chat", &["chat.example.com", "*.chat.example.com"], json!({}));
    })
    .await;
    let (wiki, chat) = (house.app("wiki").aud.to_string(), house.app("chat").aud.to_string());
    for (host, kid, status) in [
        ("app.example.com", wiki.as_str(), 200),
        ("APP.example.com", &wiki, 200),
        ("app.example.com:8443", &wiki, 200),
        ("app.example.com%3A8443", &wiki, 200),
        ("chat.example.com", &chat, 200),
        ("a.chat.example.com", &chat, 200),
        ("app.example.com", &chat, 404),
        ("chat.example.com", &wiki, 404),
        ("evil.example", &wiki, 404),
        ("app.example.com", "", 404),
        ("app.example.com", &wiki[1..], 404),
        ("app.example.com", &"0".repeat(64), 404),
        ("a b", &wiki, 404),
        ("", &wiki, 404),
    ] {
        let url = format!("https://{TEAM}/cdn-cgi/access/login/{host}?kid={kid}");
        let page = Browser::new().get(&house, &url).await;
        assert_eq!(page.status.as_u16(), status, "{host} {kid}");
        if status == 404 {
            assert_eq!(page.heading(), "Unable to find your Access application!");
            assert!(page.cookies().is_empty());
        }
    }
}

#[tokio::test]
async fn a_refused_person_reads_why() {
    let mut house = House::with(|plan| {
        plan.app_for(
            "secret",
            &["secret.example.com"],
            "allow",
            json!({"email": {"email": "boss@example.com"}}),
            json!({"custom_deny_message": "Ask <b>Bob</b>."}),
        );
        plan.app_for(
            "away",
            &["away.example.com"],
            "allow",
            json!({"login_method": {"id": "11111111-1111-4111-8111-111111111111"}}),
            json!({"custom_deny_url": "https://help.example.com/denied", "policy": {
                "exclude": [{"email": {"email": "ann@example.com"}}]}}),
        );
    })
    .await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    house.records();

    let url = browser.visit(&house, "secret", "secret.example.com", "/x?y");
    let denied = browser.get(&house, &url).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    assert_eq!(denied.heading(), "Ask <b>Bob</b>.", "escaped, and as it was written");
    assert!(denied.body.contains("ann@example.com") && denied.body.contains("allow rule"));
    assert!(!denied.body.contains("boss@example.com"), "names nobody else: {}", denied.body);
    let again = "https%3A%2F%2Fsecret.example.com%2Fx%3Fy%26__cf_access_message%3Dunauthorized";
    assert!(
        denied.body.contains(&format!("/cdn-cgi/access/logout?returnTo={again}")),
        "{}",
        denied.body
    );
    let [record] = &house.records()[..] else { panic!("one record") };
    assert!(denied.body.contains(record.ray_id.as_str()), "the page names the record");
    assert_eq!((record.action, record.verdict), (Action::Login, Verdict::Refused));
    assert_eq!(record.user_email.as_ref().map(|e| e.as_str()), Some("ann@example.com"));

    let url = browser.visit(&house, "away", "away.example.com", "/");
    assert_eq!(browser.get(&house, &url).await.location(), "https://help.example.com/denied");
    assert_eq!(house.records().len(), 1);
}

#[tokio::test]
async fn a_refused_login_leaves_no_session_and_no_user() {
    let mut house = House::with(|plan| {
        plan.app_for(
            "strict",
            &["strict.example.com"],
            "allow",
            json!({"email_domain": {"domain": "example.com"}}),
            json!({"policy": {"require": [{"auth_method": {"auth_method": "hwk"}}]}}),
        );
    })
    .await;
    let mut browser = Browser::new();
    let url = browser.visit(&house, "strict", "strict.example.com", "/");
    let denied = browser.log_in(&house, &url, "ann@example.com").await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN, "{}", denied.body);
    assert_eq!(denied.heading(), "That account does not have access");
    assert!(denied.cookies().is_empty() && house.live.sessions.is_empty());
    let users = house.store.users(&narthex_store::UserFilter::default()).await.unwrap();
    assert!(format!("{users:?}").find("ann@example.com").is_none(), "{users:?}");
    assert_eq!(house.records().len(), 1);
}

#[tokio::test]
async fn nobody_is_asked_to_log_in_in_vain() {
    let mut house = House::with(|plan| {
        plan.app_for(
            "office",
            &["office.example.com"],
            "allow",
            json!({"email_domain": {"domain": "example.com"}}),
            json!({"policy": {"require": [{"ip": {"ip": "198.51.100.0/24"}}]}}),
        );
    })
    .await;
    let mut inside = Browser::at("198.51.100.9");
    let url = inside.visit(&house, "office", "office.example.com", "/");
    assert_eq!(inside.get(&house, &url).await.status, StatusCode::OK);
    let mut outside = Browser::new();
    let url = outside.visit(&house, "office", "office.example.com", "/");
    let page = outside.get(&house, &url).await;
    assert_eq!(
        (page.status, page.heading().as_str()),
        (StatusCode::FORBIDDEN, "You cannot get in from here")
    );
    assert_eq!(house.records().len(), 1);
    // Without a meta token nobody has looked at the application yet: it decides.
    let url = house.plain_login_url("office", "office.example.com", "/a");
    assert_eq!(outside.get(&house, &url).await.location(), "https://office.example.com/a");
}

#[tokio::test]
async fn a_session_of_another_provider_does_not_count() {
    let house = House::with(|plan| {
        let other = "22222222-2222-4222-8222-222222222222";
        let config = json!({"client_id": "c", "auth_url": "https://idp.example.com/a",
            "token_url": "https://idp.example.com/t", "certs_url": "https://idp.example.com/k"});
        let config = narthex_model::IdpConfig::parse("oidc", config).unwrap();
        plan.provider(crate::house::idp(other, "Elsewhere", config));
        plan.app("picky", &["picky.example.com"], json!({"allowed_idps": [other]}));
    })
    .await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let url = browser.visit(&house, "picky", "picky.example.com", "/");
    let page = browser.get(&house, &url).await;
    assert_eq!((page.status, page.heading().as_str()), (StatusCode::OK, "Log in to picky"));
    // Nor may the form of one application lead to a provider that another one allows.
    let (action, fields) = page.form();
    assert!(page.body.contains("Continue with Elsewhere") && !page.body.contains("type=\"email\""));
    let action = action.replace("22222222-2222-4222-8222-222222222222", crate::house::PIN_IDP);
    let page = browser.post(&house, &action, &fields).await;
    assert_eq!(page.heading(), "Invalid session. Please try logging in again");
}

#[tokio::test]
async fn each_login_begins_a_new_session_and_ends_the_last() {
    let house = House::open().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    let first = house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap());
    let old = browser.clone();

    // The form was opened before, in another tab without the session.
    let mut other = browser.clone();
    other.drop_cookie(TEAM, "CF_Authorization");
    let url = other.visit(&house, "wiki", "app.example.com", "/");
    let login = other.get(&house, &url).await;
    let (page, code) = other.ask_for_code(&house, &login, "bea@example.com").await;
    other.set_cookie(TEAM, "CF_Authorization", browser.cookie(TEAM, "CF_Authorization").unwrap());
    let entered = other.enter_code(&house, &page, &code).await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER, "{}", entered.body);
    let second = house.open_org_token(other.cookie(TEAM, "CF_Authorization").unwrap());
    assert_ne!(first, second);
    assert!(
        house.live.sessions.get(&first).is_none() && house.live.sessions.get(&second).is_some()
    );
    assert!(house.store.session(&first).await.unwrap().is_none());
    let token =
        house.open_app_token("wiki", old.cookie("app.example.com", "CF_Authorization").unwrap());
    assert!(house.live.revocations.refuses_person(&token), "the old token is dead");
}

#[tokio::test]
async fn the_global_session_lives_as_configured() {
    for (own, app, seconds) in [
        (Some("2h"), "24h", 7_200),
        (None, "3h", 10_800),
        (None, "0s", 900),
        (Some("1m"), "24h", 900),
    ] {
        let house = House::with(|plan| {
            plan.organization(|o| {
                o.session_duration = own.map(|d| d.parse::<GoDuration>().unwrap())
            });
            plan.app("timed", &["timed.example.com"], json!({"session_duration": app}));
        })
        .await;
        let mut browser = Browser::new();
        browser.arrive(&house, "timed", "timed.example.com", "/", "ann@example.com").await;
        let nonce = house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap());
        let session = house.live.sessions.get(&nonce).unwrap();
        assert_eq!(session.expires_at.since(NOW), seconds, "{own:?} {app}");
        assert!(session.tokens_until >= session.expires_at);
    }
}

#[tokio::test]
async fn the_pages_look_as_the_organisation_wants() {
    let house = House::with(|plan| {
        plan.organization(|o| {
            o.name = "Ärger & <Söhne>".to_owned();
            o.login_design = LoginDesign {
                background_color: Some("#123456".to_owned()),
                text_color: Some("#fff".to_owned()),
                logo_path: Some("https://cdn.example.com/logo.png".to_owned()),
                header_text: Some("Only for <em>staff</em>".to_owned()),
                footer_text: Some("Help: extension 7".to_owned()),
            };
        });
    })
    .await;
    let page =
        Browser::new().get(&house, &house.plain_login_url("wiki", "app.example.com", "/")).await;
    assert!(page.body.contains("--page:#123456;--aside:#ffffff"));
    assert!(page.body.contains("https://cdn.example.com/logo.png"));
    assert!(
        page.body.contains("Only for &#60;em&#62;staff") && page.body.contains("Help: extension 7")
    );
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("img-src https://cdn.example.com;")
    );
    assert!(
        page.body.contains("<html lang=\"en\">") && page.body.contains("<label for=\"email\">")
    );
}
