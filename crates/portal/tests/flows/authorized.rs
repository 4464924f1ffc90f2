//! The hand-over to the application: one nonce, one host, one browser, one minute (access-protocol §3.6, §3.7,
//! security C5).

use crate::browser::{Browser, Page};
use crate::house::{House, NOW, TEAM, spoiled};
use http::StatusCode;
use narthex_token::MetaToken;
use serde_json::json;

const BAD: &str = "Invalid login session";

/// Logs in and stops before the application redeems the nonce.
async fn handed_over(house: &House, browser: &mut Browser) -> String {
    let url = browser.visit(house, "wiki", "app.example.com", "/x");
    if browser.cookie(TEAM, "CF_Authorization").is_none() {
        return browser.log_in(house, &url, "ann@example.com").await.location().to_owned();
    }
    browser.get(house, &url).await.location().to_owned()
}

fn is_refused(page: &Page) -> bool {
    page.status == StatusCode::BAD_REQUEST && page.heading() == BAD && page.cookies().is_empty()
}

#[tokio::test]
async fn a_nonce_works_once() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let url = handed_over(&house, &mut browser).await;
    assert_eq!(browser.get(&house, &url).await.status, StatusCode::FOUND);
    assert!(is_refused(&browser.get(&house, &url).await));

    let url = handed_over(&house, &mut browser).await;
    let mut tabs: Vec<_> = (0..4).map(|_| browser.clone()).collect();
    let answers = tabs.iter_mut().map(|tab| tab.get(&house, &url));
    let answers = futures_util::future::join_all(answers).await;
    assert_eq!(answers.iter().filter(|page| !page.cookies().is_empty()).count(), 1);
}

#[tokio::test]
async fn every_changed_byte_spoils_it() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let whole = handed_over(&house, &mut browser).await;
    let query = whole.find('?').unwrap() + 1;
    for at in query..whole.len() {
        let url = handed_over(&house, &mut browser).await;
        let mut bytes = url.into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let page = browser.get(&house, &changed).await;
        assert!(is_refused(&page), "byte {at}: {} {}", page.status, page.heading());
        house.clock.advance(6); // one person's pace, not a loop's
    }
}

#[tokio::test]
async fn what_is_missing_twice_or_foreign_is_refused() {
    let house = House::with(|plan| {
        plan.app("chat", &["chat.example.com"], json!({}));
    })
    .await;
    let mut browser = Browser::new();
    let at = "https://app.example.com/cdn-cgi/access/authorized";
    for query in ["", "?", "?nonce=&state=", "?nonce=x&state=y", "?state=e30"] {
        assert!(is_refused(&browser.get(&house, &format!("{at}{query}")).await), "{query}");
    }
    let url = handed_over(&house, &mut browser).await;
    let twice = browser.get(&house, &format!("{url}&state=e30")).await;
    assert_eq!((twice.status, twice.cookies().len()), (StatusCode::BAD_REQUEST, 0));
    let elsewhere = url.replace("app.example.com", "chat.example.com");
    browser.visit(&house, "chat", "chat.example.com", "/");
    assert!(is_refused(&browser.get(&house, &elsewhere).await), "another host");
    assert!(is_refused(&browser.get(&house, &url).await), "and it is used up");

    let mixed = (handed_over(&house, &mut browser).await, handed_over(&house, &mut browser).await);
    let (nonce, state) =
        (mixed.0.split("&state=").next().unwrap(), mixed.1.split("&state=").nth(1).unwrap());
    assert_eq!(mixed.0.split("&state=").nth(1), Some(state), "the state says only where");
    assert_eq!(
        browser.get(&house, &format!("{nonce}&state={state}")).await.status,
        StatusCode::FOUND
    );

    let url = handed_over(&house, &mut browser).await;
    house.clock.advance(60);
    assert!(is_refused(&browser.get(&house, &url).await), "a minute later");
}

#[tokio::test]
async fn the_browser_is_the_one_that_visited_the_application() {
    let house = House::open().await;
    let mut ann = Browser::new();
    let url = handed_over(&house, &mut ann).await;
    // Somebody is lured to Ann's link, with a visit of their own behind them (login CSRF).
    let mut victim = Browser::new();
    victim.visit(&house, "wiki", "app.example.com", "/");
    assert!(is_refused(&victim.get(&house, &url).await));
    let url = handed_over(&house, &mut ann).await;
    let page = Browser::new().get(&house, &url).await;
    assert!(is_refused(&page) && page.body.contains("allow cookies"), "{}", page.body);
    assert!(
        page.body.contains("href=\"https://app.example.com/x\""),
        "the way back: {}",
        page.body
    );
    // A planted second cookie does not keep Ann out.
    let url = handed_over(&house, &mut ann).await;
    let own = ann.cookie("app.example.com", "CF_AppSession").unwrap().to_owned();
    let cookies = format!("CF_AppSession=n0000000000000000; CF_AppSession={own}");
    ann.drop_cookie("app.example.com", "CF_AppSession");
    let page = ann.send(&house, http::Method::GET, &url, &[("cookie", &cookies)], "").await;
    assert_eq!(page.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_login_bound_to_no_browser_goes_through_the_application_once_more() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let url = house.plain_login_url("wiki", "app.example.com", "/docs");
    let entered = browser.log_in(&house, &url, "ann@example.com").await;
    let again = browser.get(&house, entered.location()).await;
    assert_eq!(
        (again.status, again.location()),
        (StatusCode::FOUND, "https://app.example.com/docs")
    );
    assert!(again.cookies().is_empty(), "nobody can be logged in as somebody else by a link");
    let url = browser.visit(&house, "wiki", "app.example.com", "/docs");
    let bound = browser.get(&house, &url).await.location().to_owned();
    assert_eq!(browser.get(&house, &bound).await.cookies().len(), 1);

    // A data path that had no time to sign a meta token names the cookie's hash all the same.
    let session = browser.cookie("app.example.com", "CF_AppSession").unwrap();
    let hash = narthex_token::AppSession::hash(session);
    let url = format!(
        "{}&app_session_hash={hash}",
        house.plain_login_url("wiki", "app.example.com", "/docs")
    );
    let bound = browser.get(&house, &url).await.location().to_owned();
    assert_eq!(browser.get(&house, &bound).await.cookies().len(), 1);
    let bound =
        browser.get(&house, &url.replace(&hash, &"0".repeat(64))).await.location().to_owned();
    assert!(is_refused(&browser.get(&house, &bound).await));
}

/// Security C15 among others: ten years old, huge or binary is refused; nothing here is ever decompressed.
#[tokio::test]
async fn c15_a_meta_token_is_ours_and_about_this_login() {
    let house = House::with(|plan| {
        plan.app("chat", &["chat.example.com"], json!({}));
    })
    .await;
    let session = "n0123456789abcdef";
    let host = "app.example.com";
    let login = |meta: &str| format!("{}&meta={meta}", house.plain_login_url("wiki", host, "/y"));
    let good = house.mint_meta("wiki", host, |_| {}, session);
    let aged = |seconds: i64| {
        let aged = |meta: &mut MetaToken| {
            (meta.iat, meta.exp) = (meta.iat.plus(-seconds), meta.exp.plus(-seconds));
        };
        house.mint_meta("wiki", host, aged, session)
    };
    let elsewhere = |meta: &mut MetaToken| meta.hostname = "other.example.com".parse().unwrap();
    let foreign = house.mint_meta("wiki", host, elsewhere, session);
    let other_app = house.mint_meta("chat", host, |_| {}, session);
    let broken = spoiled(&good);
    let mut browser = Browser::new();
    assert_eq!(browser.get(&house, &login(&good)).await.status, StatusCode::OK);
    for minutes in [6, 60, 240] {
        let page = browser.get(&house, &login(&aged(minutes * 60))).await;
        assert_eq!(
            page.location(),
            "https://app.example.com/y",
            "{minutes} minutes old: from the start"
        );
    }
    let decade = aged(10 * 365 * 86_400);
    let large = "A".repeat(60_000);
    for bad in
        [&decade, &aged(5 * 3600), &foreign, &other_app, &broken, &large, "%00%ff", "x", "a.b.c"]
    {
        let page = browser.get(&house, &login(bad)).await;
        let shown = &bad[..bad.len().min(60)];
        assert_eq!(
            (page.status, page.heading().as_str()),
            (StatusCode::BAD_REQUEST, BAD),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_client_certificate_that_the_application_saw_counts() {
    let house = House::with(|plan| {
        let admits = json!({"email_domain": {"domain": "example.com"}});
        let rule = json!({"policy": {"require": [{"common_name": {"common_name": "laptop"}}]}});
        plan.app_for("vault", &["vault.example.com"], "allow", admits, rule);
    })
    .await;
    let with = |status: &str, name: &str| {
        let mtls = json!({"auth_status": status, "common_name": name, "cert_presented": true});
        let meta =
            house.mint_meta("vault", "vault.example.com", |meta| meta.mtls_auth = mtls, "n0");
        format!("{}&meta={meta}", house.plain_login_url("vault", "vault.example.com", "/"))
    };
    for (status, name, answer) in [
        ("SUCCESS", "laptop", 200),
        ("SUCCESS", "desktop", 403),
        ("NONE", "laptop", 403),
        ("FAILED", "laptop", 403),
    ] {
        let page = Browser::new().get(&house, &with(status, name)).await;
        assert_eq!(page.status.as_u16(), answer, "{status} {name}");
    }
}

#[tokio::test]
async fn cookies_are_set_as_configured() {
    let house = House::with(|plan| {
        plan.app(
            "lax",
            &["lax.example.com"],
            json!({"same_site_cookie_attribute": "lax", "http_only_cookie_attribute": false}),
        );
        plan.app(
            "path",
            &["path.example.com/a", "path.example.com/b"],
            json!({"path_cookie_attribute": true}),
        );
        plan.app("bound", &["bound.example.com"], json!({"enable_binding_cookie": true}));
    })
    .await;
    for (app, host, path, want, not) in [
        ("lax", "lax.example.com", "/", "SameSite=lax", "HttpOnly"),
        ("path", "path.example.com", "/b/c", "Path=/b;", "SameSite=lax"),
        ("wiki", "app.example.com", "/", "SameSite=none", "CF_Binding"),
    ] {
        let page = Browser::new().arrive(&house, app, host, path, "ann@example.com").await;
        let [cookie] = page.cookies()[..] else { panic!("{app}: one cookie") };
        assert!(cookie.contains(want) && !cookie.contains(not), "{app}: {cookie}");
        house.clock.advance(3_600); // the mailbox is rationed
    }
    let mut browser = Browser::new();
    let page = browser.arrive(&house, "bound", "bound.example.com", "/", "ann@example.com").await;
    let [_, binding, host] = page.cookies()[..] else { panic!("{:?}", page.cookies()) };
    let rest = host.strip_prefix("__Host-CF_Binding-").expect("c2: its companion");
    assert_eq!(rest.split_once('='), Some((&rest[..16], &binding["CF_Binding=".len()..])));
    assert!(host.contains("; Path=/; Secure;") && !host.contains("Domain"), "{host}");
    let token = house
        .open_app_token("bound", browser.cookie("bound.example.com", "CF_Authorization").unwrap());
    let binding = browser.cookie("bound.example.com", "CF_Binding").unwrap();
    assert!(token.is_bound_to(Some(binding)) && !token.is_bound_to(None));
}

#[tokio::test]
async fn with_same_site_strict_the_page_moves_on_by_itself() {
    let house = House::with(|plan| {
        plan.app(
            "strict",
            &["strict.example.com"],
            json!({"same_site_cookie_attribute": "strict"}),
        );
    })
    .await;
    let page = Browser::new()
        .arrive(&house, "strict", "strict.example.com", "/a?b=1&c='\"", "ann@example.com")
        .await;
    assert_eq!(page.status, StatusCode::OK);
    let refresh = "<meta http-equiv=\"refresh\" content=\"0;url=https://strict.example.com/a?b=1&#38;c=%27%22\">";
    assert!(page.body.contains(refresh), "{}", page.body);
    assert_eq!(page.cookies().len(), 1);
}

#[tokio::test]
async fn what_was_ended_meanwhile_is_not_handed_over() {
    let mut house = House::open().await;
    let mut browser = Browser::new();
    let url = handed_over(&house, &mut browser).await;
    browser.get(&house, "https://auth.example.com/cdn-cgi/access/logout").await;
    assert!(is_refused(&browser.get(&house, &url).await), "logged out");

    let url = handed_over(&house, &mut browser).await;
    let user = house
        .live
        .sessions
        .get(&house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap()))
        .unwrap();
    house.live.revocations.revoke_user(user.identity.user_uuid, house.now());
    assert!(is_refused(&browser.get(&house, &url).await), "revoked");

    house.clock.advance(60);
    browser.drop_cookie(TEAM, "CF_Authorization");
    let url = handed_over(&house, &mut browser).await;
    house.reconfigure(|configuration| configuration.apps.clear());
    assert_eq!(
        browser.get(&house, &url).await.status,
        StatusCode::NOT_FOUND,
        "the application is gone"
    );
    assert!(house.now() > NOW);
}

#[tokio::test]
async fn a_session_lasts_as_long_as_its_tokens() {
    let house = House::with(|plan| {
        plan.organization(|o| o.session_duration = Some("15m".parse().unwrap()));
    })
    .await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/", "ann@example.com").await;
    house.clock.advance(600);
    let url = handed_over(&house, &mut browser).await;
    browser.get(&house, &url).await;
    let nonce = house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap());
    let token = house
        .open_app_token("wiki", browser.cookie("app.example.com", "CF_Authorization").unwrap());
    assert_eq!(house.live.sessions.get(&nonce).unwrap().tokens_until, token.exp);
    assert_eq!(house.store.session(&nonce).await.unwrap().unwrap().tokens_until, token.exp);
}
