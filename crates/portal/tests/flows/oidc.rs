//! Logging in at an OpenID Connect provider: the answer is bound to a browser, a provider, one use and ten minutes
//! (security rule 24, C6, C14, O7, O16).

use crate::browser::{Browser, Page};
use crate::house::{House, PIN_IDP, TEAM};
use crate::provider::Provider;
use http::{Method, StatusCode};
use narthex_model::{Action, Verdict};
use serde_json::json;

const IDP: &str = "22222222-2222-4222-8222-222222222222";
const OVER: &str = "This login is over";
const INVALID: &str = "Invalid session. Please try logging in again";
const ANN: &str = "ann@example.com";

async fn house(provider: &Provider) -> House {
    House::with(|plan| {
        plan.provider(provider.configured(IDP, "Staff login"));
        let at_once = json!({"allowed_idps": [IDP], "auto_redirect_to_identity": true});
        plan.app("instant", &["instant.example.com"], at_once);
        plan.organization(|o| o.auto_redirect_to_identity = true);
    })
    .await
}

/// Presses the button of the provider.
async fn choose(house: &House, browser: &mut Browser) -> Page {
    let url = browser.visit(house, "wiki", "app.example.com", "/x");
    let login = browser.get(house, &url).await;
    assert!(login.body.contains("Continue with Staff login"), "{}", login.body);
    let (_, fields) = login.form();
    let fields: Vec<_> = fields.into_iter().filter(|(name, _)| name != "email").collect();
    let action = format!("/cdn-cgi/access/login/app.example.com/{IDP}");
    assert!(login.body.contains(&format!("formaction=\"{action}\"")));
    browser.post(house, &action, &fields).await
}

#[tokio::test]
async fn somebody_logs_in_at_a_provider() {
    let provider = Provider::start().await;
    let mut house = house(&provider).await;
    let mut browser = Browser::new();
    let there = choose(&house, &mut browser).await;
    assert_eq!(there.status, StatusCode::SEE_OTHER);
    assert!(house.records().is_empty());
    let claims = json!({"email": "Ann@Example.com", "name": "Ann Lee", "groups": ["staff"], "team": "blue", "amr": ["pwd"]});
    let back = browser.get(&house, &provider.log_in(there.location(), claims)).await;
    assert_eq!(back.status, StatusCode::FOUND, "{}", back.body);
    let onwards = back.location().to_owned();
    let arrived = browser.get(&house, &onwards).await;
    assert_eq!(arrived.location(), "https://app.example.com/x");
    let token = house
        .open_app_token("wiki", browser.cookie("app.example.com", "CF_Authorization").unwrap());
    assert_eq!((token.email.as_str(), &token.custom["team"]), (ANN, &json!("blue")));
    let identity =
        browser.get(&house, "https://auth.example.com/cdn-cgi/access/get-identity").await;
    let identity: serde_json::Value = serde_json::from_str(&identity.body).unwrap();
    assert_eq!((&identity["id"], &identity["name"]), (&json!("subject"), &json!("Ann Lee")));
    assert_eq!(identity["idp"], json!({"id": IDP, "type": "oidc"}));
    assert_eq!(
        (&identity["amr"], &identity["groups"][0]["name"]),
        (&json!(["pwd"]), &json!("staff"))
    );
    let [record] = &house.records()[..] else { panic!("one record") };
    assert_eq!((record.verdict, record.connection.as_str()), (Verdict::Allowed, "oidc"));
    // The same person keeps the same id.
    browser.get(&house, "https://auth.example.com/cdn-cgi/access/logout").await;
    let there = choose(&house, &mut browser).await;
    let back = browser.get(&house, &provider.log_in(there.location(), json!({"email": ANN}))).await;
    let onwards = back.location().to_owned();
    browser.get(&house, &onwards).await;
    let again = house
        .open_app_token("wiki", browser.cookie("app.example.com", "CF_Authorization").unwrap());
    assert_eq!((again.sub, again.identity_nonce == token.identity_nonce), (token.sub, false));
}

#[tokio::test]
async fn the_only_provider_is_taken_at_once_where_that_is_wanted() {
    let provider = Provider::start().await;
    let house = house(&provider).await;
    let mut browser = Browser::new();
    let url = browser.visit(&house, "instant", "instant.example.com", "/");
    let there = browser.get(&house, &url).await;
    assert_eq!(there.status, StatusCode::FOUND);
    assert!(browser.cookie(TEAM, "CF_Session").is_some());
    let back = browser.get(&house, &provider.log_in(there.location(), json!({"email": ANN}))).await;
    assert!(back.location().starts_with("https://instant.example.com/cdn-cgi/access/authorized?"));

    let page =
        Browser::new().get(&house, &house.plain_login_url("wiki", "app.example.com", "/")).await;
    assert_eq!(page.status, StatusCode::OK, "two ways: somebody has to choose");
    let pin_only = House::with(|plan| {
        plan.organization(|o| o.auto_redirect_to_identity = true);
    })
    .await;
    let page = Browser::new()
        .get(&pin_only, &pin_only.plain_login_url("wiki", "app.example.com", "/"))
        .await;
    assert_eq!(page.status, StatusCode::OK, "a code needs an address first");
}

#[tokio::test]
async fn an_answer_belongs_to_one_browser_and_one_use() {
    let provider = Provider::start().await;
    let house = house(&provider).await;
    let answer = async |browser: &mut Browser| {
        let there = choose(&house, browser).await;
        provider.log_in(there.location(), json!({"email": ANN}))
    };
    let mut ann = Browser::new();

    let url = answer(&mut ann).await;
    let mut victim = Browser::new();
    choose(&house, &mut victim).await;
    let page = victim.get(&house, &url).await;
    assert_eq!((page.heading().as_str(), page.cookies().len()), (INVALID, 0), "another browser");
    assert_eq!(ann.get(&house, &url).await.heading(), OVER, "and it is used up");

    let url = answer(&mut ann).await;
    let page = Browser::new().get(&house, &url).await;
    assert_eq!((page.heading().as_str(), page.cookies().len()), (INVALID, 0), "no cookie");
    assert!(page.body.contains("https://app.example.com/x"), "the way to start again");

    let url = answer(&mut ann).await;
    assert_eq!(ann.get(&house, &url).await.status, StatusCode::FOUND);
    let page = ann.get(&house, &url).await;
    assert_eq!(
        (page.status, page.heading().as_str()),
        (StatusCode::BAD_REQUEST, OVER),
        "the back button"
    );
    assert_eq!(house.live.sessions.len(), 1);
    ann.get(&house, "https://auth.example.com/cdn-cgi/access/logout").await;

    let url = answer(&mut ann).await;
    let mut tabs: Vec<_> = (0..3).map(|_| ann.clone()).collect();
    let answers =
        futures_util::future::join_all(tabs.iter_mut().map(|tab| tab.get(&house, &url))).await;
    assert_eq!(
        answers.iter().filter(|page| page.status == StatusCode::FOUND).count(),
        1,
        "two tabs"
    );

    house.clock.advance(60);
    let mut late = Browser::new();
    let url = answer(&mut late).await;
    house.clock.advance(600);
    assert_eq!(late.get(&house, &url).await.heading(), OVER, "ten minutes later");
}

#[tokio::test]
async fn a_damaged_answer_is_no_answer() {
    let provider = Provider::start().await;
    let house = house(&provider).await;
    let mut browser = Browser::new();
    let there = choose(&house, &mut browser).await;
    let url = provider.log_in(there.location(), json!({"email": ANN}));
    let (state, code) =
        (url.split("&state=").nth(1).unwrap(), url.split(['=', '&']).nth(1).unwrap());
    let at = format!("https://{TEAM}/cdn-cgi/access/callback");
    let mutated = format!("{}{}", if state.starts_with('A') { 'B' } else { 'A' }, &state[1..]);
    for (query, heading) in [
        (String::new(), INVALID),
        ("?state=".to_owned(), INVALID),
        (format!("?code={code}"), INVALID),
        (format!("?code={code}&state=x"), INVALID),
        (format!("?code={code}&state={}", "A".repeat(10_000)), INVALID),
        (format!("?code={code}&state={}", "A".repeat(43)), OVER),
        (format!("?code={code}&state={mutated}"), OVER),
        (format!("?code={code}&state={state}&state={state}"), "This link cannot be read"),
        (format!("?code={code}&code=x&state={state}"), "This link cannot be read"),
        (format!("?code={code}&state={state}&iss=a&iss=b"), "This link cannot be read"),
    ] {
        let page = browser.get(&house, &format!("{at}{query}")).await;
        assert_eq!(
            (page.status, page.heading().as_str()),
            (StatusCode::BAD_REQUEST, heading),
            "{query}"
        );
        assert!(page.cookies().is_empty(), "{query}");
    }
    let page = browser.send(&house, Method::POST, &url, &[], "").await;
    assert_eq!((page.status, page.heading().as_str()), (StatusCode::BAD_REQUEST, INVALID));
    assert_eq!(
        browser.get(&house, &url).await.status,
        StatusCode::FOUND,
        "none of that used it up"
    );
}

#[tokio::test]
async fn what_a_provider_says_is_recorded_and_not_echoed() {
    let provider = Provider::start().await;
    let mut house = house(&provider).await;
    for (answer, status, heading) in [
        (
            "error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E",
            403,
            "The login was refused or cancelled",
        ),
        ("error=%3Cb%3Eodd", 403, "The login was refused or cancelled"),
        ("", 502, "Your identity provider's answer cannot be used"),
        (
            "code=e30&iss=https%3A%2F%2Fevil.example",
            502,
            "Your identity provider's answer cannot be used",
        ),
    ] {
        let mut browser = Browser::new();
        let there = choose(&house, &mut browser).await;
        let url = provider.log_in(there.location(), json!({}));
        let state = url.split("&state=").nth(1).unwrap();
        let page = browser
            .get(&house, &format!("https://{TEAM}/cdn-cgi/access/callback?{answer}&state={state}"))
            .await;
        assert_eq!((page.status.as_u16(), page.heading().as_str()), (status, heading), "{answer}");
        assert!(
            !page.body.contains("script")
                && !page.body.contains("odd")
                && !page.body.contains("evil")
        );
        assert!(page.body.contains("https://app.example.com/x") && page.cookies().is_empty());
        let [record] = &house.records()[..] else { panic!("one record") };
        assert_eq!((record.action, record.verdict), (Action::Login, Verdict::Refused));
        assert!(record.idp.is_some() && page.body.contains(record.ray_id.as_str()));
    }
    for (claims, heading) in [
        (json!({"email": ANN, "email_verified": false}), "Your e-mail address is not confirmed"),
        (json!({"email": "no address"}), "Your identity provider's answer cannot be used"),
        (json!({"email": "eve@evil.example"}), "That account does not have access"),
    ] {
        let mut browser = Browser::new();
        let there = choose(&house, &mut browser).await;
        let page = browser.get(&house, &provider.log_in(there.location(), claims)).await;
        assert_eq!(page.heading(), heading);
        assert_eq!(house.records().len(), 1);
    }
    assert!(house.live.sessions.is_empty());
}

#[tokio::test]
async fn a_provider_that_is_gone_leaves_a_way_back() {
    let provider = Provider::start().await;
    let mut house = house(&provider).await;
    let mut browser = Browser::new();
    let there = choose(&house, &mut browser).await;
    house.reconfigure(|configuration| {
        configuration.identity_providers.retain(|id, _| id.to_string() == PIN_IDP);
        configuration.apps.retain(|_, app| app.allowed_idps.is_empty());
    });
    let page = browser.get(&house, &provider.log_in(there.location(), json!({"email": ANN}))).await;
    assert_eq!(page.heading(), INVALID, "removed while somebody was there");

    let nowhere = Provider { issuer: "http://127.0.0.1:9".to_owned() };
    let mut house = House::with(|plan| {
        plan.provider(nowhere.configured(IDP, "Staff login"));
    })
    .await;
    let page = choose(&house, &mut Browser::new()).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.body);
    assert_eq!(page.heading(), "Your identity provider does not answer");
    assert_eq!(page.headers["retry-after"], "30");
    assert_eq!(house.records().len(), 1);
    let [] = &house.outbox.list()[..] else { panic!("no mail") };
}

#[tokio::test]
async fn an_identity_is_read_anew_on_demand() {
    let provider = Provider::start().await;
    let mut house = house(&provider).await;
    let at = "https://auth.example.com/cdn-cgi/access/refresh-identity";
    let mut browser = Browser::new();
    assert_eq!(browser.get(&house, at).await.location(), "/", "nobody is logged in");
    let there = choose(&house, &mut browser).await;
    let claims = json!({"email": ANN, "groups": ["staff"]});
    browser.get(&house, &provider.log_in(there.location(), claims)).await;
    let first = house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap());
    house.clock.advance(3_600);
    house.records();

    let there = browser.get(&house, at).await;
    let claims = json!({"email": ANN, "sub": "somebody else", "iat": house.now().0});
    let page = browser.get(&house, &provider.log_in(there.location(), claims)).await;
    assert_eq!(
        (page.status, page.heading().as_str()),
        (StatusCode::FORBIDDEN, "That is another account")
    );
    assert!(house.live.sessions.get(&first).is_none(), "o9: ended, with every token under it");
    let again = browser.get(&house, at).await;
    assert_eq!(again.location(), "/", "there is nothing left to renew");
    let identity = format!("https://{TEAM}/cdn-cgi/access/get-identity");
    let answer = browser.get(&house, &identity).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);

    let [refused] = &house.records()[..] else { panic!("one record") };
    assert_eq!((refused.action, refused.verdict), (Action::Login, Verdict::Refused));

    let there = choose(&house, &mut browser).await;
    let claims = json!({"email": ANN, "groups": ["staff"], "iat": house.now().0});
    let onwards = browser.get(&house, &provider.log_in(there.location(), claims)).await;
    assert_eq!(onwards.status, StatusCode::FOUND, "{}", onwards.body);
    let first = house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap());
    house.clock.advance(3_600);
    house.records();

    let again =
        |house: &House| json!({"email": ANN, "groups": ["staff", "admins"], "iat": house.now().0});

    let there = browser.get(&house, at).await;
    let url = provider.log_in(there.location(), again(&house));
    let page = Browser::new().get(&house, &url).await;
    assert_eq!(page.heading(), INVALID, "another browser");
    let there = browser.get(&house, at).await;
    let url = provider.log_in(there.location(), again(&house));
    let back = browser.get(&house, &url).await;
    assert_eq!(back.location(), format!("{at}?success=true"), "{}", back.body);
    assert_eq!(browser.get(&house, back.location()).await.heading(), "You have logged in again");
    let second = house.open_org_token(browser.cookie(TEAM, "CF_Authorization").unwrap());
    let session = house.live.sessions.get(&second).unwrap();
    assert_eq!(session.identity.groups.len(), 2);
    assert_eq!(session.expires_at.since(house.now()), 86_400, "the clock starts anew");
    assert!(house.live.sessions.get(&first).is_none(), "and the old session is over");
    let verdicts: Vec<_> = house.records().iter().map(|r| (r.action, r.verdict)).collect();
    assert_eq!(verdicts, [(Action::Login, Verdict::Allowed)]);

    let mut by_mail = Browser::new();
    let url = by_mail.visit(&house, "wiki", "app.example.com", "/");
    by_mail.log_in(&house, &url, "bea@example.com").await;
    assert_eq!(by_mail.get(&house, at).await.heading(), "There is nothing to read anew");
}

/// What a refresh reads anew decides at the next request, and is in the next token (access-protocol §10.5).
#[tokio::test]
async fn what_was_read_anew_decides() {
    let provider = Provider::start().await;
    let house = House::with(|plan| {
        plan.provider(provider.configured(IDP, "Staff login"));
        let red = json!({"oidc": {"identity_provider_id": IDP, "claim_name": "team", "claim_value": "red"}});
        plan.app_for("vault", &["vault.example.com"], "allow", red, json!({}));
    })
    .await;
    let mut browser = Browser::new();
    let there = choose(&house, &mut browser).await;
    let claims = |team: &str| json!({"email": ANN, "team": team, "iat": house.now().0});
    let back = browser.get(&house, &provider.log_in(there.location(), claims("blue"))).await;
    let onwards = back.location().to_owned();
    browser.get(&house, &onwards).await;
    let before = browser.cookie("app.example.com", "CF_Authorization").unwrap().to_owned();
    let url = browser.visit(&house, "vault", "vault.example.com", "/");
    assert_eq!(browser.get(&house, &url).await.status, StatusCode::FORBIDDEN, "not of that team");

    house.clock.advance(60);
    let there =
        browser.get(&house, "https://auth.example.com/cdn-cgi/access/refresh-identity").await;
    browser.get(&house, &provider.log_in(there.location(), claims("red"))).await;
    let url = browser.visit(&house, "vault", "vault.example.com", "/");
    let onwards = browser.get(&house, &url).await.location().to_owned();
    browser.get(&house, &onwards).await;
    let vault = browser.cookie("vault.example.com", "CF_Authorization").unwrap();
    assert_eq!(house.open_app_token("vault", vault).custom["team"], "red");

    let old = house.open_app_token("wiki", &before);
    assert!(house.live.revocations.refuses_person(&old), "the old session's tokens are over");
    let url = browser.visit(&house, "wiki", "app.example.com", "/");
    let onwards = browser.get(&house, &url).await.location().to_owned();
    browser.get(&house, &onwards).await;
    let renewed = browser.cookie("app.example.com", "CF_Authorization").unwrap();
    let renewed = house.open_app_token("wiki", renewed);
    assert_eq!(
        (renewed.sub, &renewed.custom["team"]),
        (old.sub, &json!("red")),
        "renewed in silence"
    );
    assert_ne!(renewed.identity_nonce, old.identity_nonce);
}
