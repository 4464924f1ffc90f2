//! What a request to an application gets: through, to log in, or no.

use crate::town::{NOW, Plan, Town, everyone, policy};
use narthex_model::{Action, UnixSeconds, Verdict};
use narthex_token::{AppSession, AppToken, Binding};
use serde_json::{Value, json};

const WIKI: &str = "wiki.example.com";

fn get(host: &str, path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

async fn wiki(policies: &[Value], more: Value) -> Town {
    Town::build(Plan::default().app(WIKI, policies, more)).await
}

#[tokio::test]
async fn the_redirect_to_log_in_byte_for_byte() {
    let town = wiki(&[policy("allow", everyone())], json!({})).await;
    let mut wire = town.wire(WIKI).await;
    let answer = wire.ask(get(WIKI, "/path?q=1", "")).await;
    let aud = town.app(WIKI).aud.as_str();
    assert_eq!(answer.status, 302);
    let location = answer.field("location");
    let start = format!("https://access.example.com/cdn-cgi/access/login/{WIKI}?kid={aud}&meta=");
    assert!(location.starts_with(&start), "{location}");
    assert!(location.ends_with("&redirect_url=%2Fpath%3Fq%3D1"), "{location}");
    let cookie = answer.field("set-cookie");
    let (name, session) = cookie.split(';').next().unwrap().split_once('=').unwrap();
    assert_eq!(name, "CF_AppSession");
    assert!(session.len() == 17 && session.starts_with('n'), "{cookie}");
    assert!(
        cookie.contains("; Expires=") && cookie.contains("; Path=/; Secure; HttpOnly"),
        "{cookie}"
    );
    for (name, value) in [
        ("access-control-allow-credentials", "true"),
        (
            "cache-control",
            "private, max-age=0, no-store, no-cache, must-revalidate, post-check=0, pre-check=0",
        ),
        ("expires", "Thu, 01 Jan 1970 00:00:01 GMT"),
        (
            "www-authenticate",
            "Cloudflare-Access resource_metadata=\"https://wiki.example.com/.well-known/cloudflare-access-protected-resource/path\"",
        ),
        ("content-type", "text/html"),
        ("content-length", "143"),
    ] {
        assert_eq!(answer.fields(name), [value], "{name}");
    }
    assert_eq!(answer.field("cf-ray").len(), 16);

    let meta = location.split("&meta=").nth(1).unwrap().split('&').next().unwrap();
    let meta = town.keys.open_meta(meta, &town.app(WIKI).aud, NOW).unwrap();
    assert_eq!((meta.hostname.as_str(), meta.redirect_url.as_str()), (WIKI, "/path?q=1"));
    assert!(AppSession::is(session, &meta.app_session_hash));
    assert!(!meta.service_token_status);

    // A second tab keeps the cookie that the first one's login waits for.
    let again = wire.ask(get(WIKI, "/", &format!("Cookie: CF_AppSession={session}\r\n"))).await;
    assert!(again.field("set-cookie").contains(session), "{again:?}");
    let forged = wire.ask(get(WIKI, "/", "Cookie: CF_AppSession=x; CF_Authorization=y\r\n")).await;
    assert!(!forged.field("set-cookie").contains("CF_AppSession=x"), "{forged:?}");
    assert!(town.origin.seen().is_empty());
}

#[tokio::test]
async fn redirects_are_302_for_every_method_and_the_host_is_the_one_asked_for() {
    let town = wiki(&[policy("allow", everyone())], json!({})).await;
    let port = town.port();
    let mut wire = town.wire(WIKI).await;
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
        wire.send(format!(
            "{method} / HTTP/1.1\r\nHost: {WIKI}:{port}\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        let answer = wire.answer_to(method == "HEAD").await.unwrap();
        assert_eq!(answer.status, 302, "{method}");
        let login = format!("/cdn-cgi/access/login/{WIKI}:{port}?kid=");
        assert!(answer.field("location").contains(&login), "{method}: {answer:?}");
    }
}

#[tokio::test]
async fn a_person_gets_through_and_the_origin_knows_who() {
    let mut town =
        wiki(&[policy("allow", json!({"email": {"email": "ann@example.com"}}))], json!({})).await;
    let token = town.log_in("ann@example.com", WIKI);
    let mut wire = town.wire(WIKI).await;
    for round in 0..3 {
        let answer =
            wire.ask(get(WIKI, "/x", &format!("Cookie: a=b; CF_Authorization={token}\r\n"))).await;
        assert_eq!(answer.status, 200, "{round}: {answer:?}");
        let seen = town.origin.take();
        assert_eq!(seen[0].fields("cf-access-jwt-assertion"), [token.as_str()]);
        assert_eq!(seen[0].fields("cf-access-authenticated-user-email"), ["ann@example.com"]);
        assert_eq!(seen[0].fields("cookie"), [format!("a=b; CF_Authorization={token}")]);
        assert_eq!(seen[0].fields("cf-ray"), [answer.field("cf-ray")]);
    }
    let meters = town.read_meters();
    assert_eq!((meters.admitted_person, meters.memo_hits, meters.token_misses), (3, 2, 1));
    // On another connection of the core the token is known, and cf-access-token is as good as the cookie.
    let mut wire = town.wire(WIKI).await;
    assert_eq!(
        wire.ask(get(WIKI, "/", &format!("cf-access-token: {token}\r\n"))).await.status,
        200
    );
    assert_eq!(town.read_meters().token_hits, 1);
    // One record of the first use, and the counts add up.
    let record = town.records.recv().await.unwrap();
    assert_eq!((record.action, record.verdict), (Action::FirstUse, Verdict::Allowed));
    assert_eq!(record.user_email.unwrap().as_str(), "ann@example.com");
    assert!(town.records.try_recv().is_err());
    let counts = town.running.folder().collect().await;
    assert_eq!(counts.iter().map(|count| count.requests).sum::<u64>(), 4);
    assert_eq!(counts[0].key.network, "127.0.0.0/24");
    assert!(town.running.folder().collect().await.is_empty());
}

#[tokio::test]
async fn c1_j12_only_a_token_for_this_application_counts() {
    let plan = Plan::default().app(WIKI, &[policy("allow", everyone())], json!({})).app(
        "mail.example.com",
        &[policy("allow", everyone())],
        json!({}),
    );
    let town = Town::build(plan).await;
    let (wiki, mail) = (town.log_in("a@b.test", WIKI), town.log_in("a@b.test", "mail.example.com"));
    let mut wire = town.wire(WIKI).await;
    let mut flipped = wiki.clone();
    let last = if flipped.pop() == Some('A') { 'Q' } else { 'A' };
    flipped.push(last);
    let many = format!("CF_Authorization=x{}; ", 1).repeat(8);
    for (cookie, want) in [
        (format!("CF_Authorization={wiki}"), 200),
        (format!("CF_Authorization={mail}"), 302),
        (format!("CF_Authorization={mail}; CF_Authorization={wiki}"), 200),
        (format!("CF_Authorization=rubbish; CF_Authorization={wiki}"), 200),
        (format!("{many}CF_Authorization={wiki}"), 302),
        (format!("CF_Authorization={flipped}"), 302),
        (format!("CF_Authorization={wiki}."), 302),
        (format!("CF_authorization={wiki}"), 302),
        (String::new(), 302),
    ] {
        let answer = wire.ask(get(WIKI, "/", &format!("Cookie: {cookie}\r\n"))).await;
        assert_eq!(answer.status, want, "{cookie}");
    }
    let twice = format!("Cookie: CF_Authorization={mail}\r\nCookie: CF_Authorization={wiki}\r\n");
    assert_eq!(wire.ask(get(WIKI, "/", &twice)).await.status, 200);
}

#[tokio::test]
async fn rule_34_expiry_logout_and_policy_changes_count_at_once_on_an_open_connection() {
    let mut town = wiki(&[policy("allow", everyone())], json!({})).await;
    let ask = |token: &str| get(WIKI, "/", &format!("Cookie: CF_Authorization={token}\r\n"));
    let (first, second) = (town.log_in("a@b.test", WIKI), town.log_in("c@d.test", WIKI));
    let mut wire = town.wire(WIKI).await;
    for _ in 0..2 {
        assert_eq!(wire.ask(ask(&first)).await.status, 200);
    }
    let opened = town.keys.open_any_app(&first, NOW).unwrap();
    let AppToken::Person(person) = opened else { panic!("a person's") };
    town.live.revocations.end_session(&person.identity_nonce, NOW.plus(86_400));
    assert_eq!(wire.ask(ask(&first)).await.status, 302, "logged out");
    assert_eq!(wire.ask(ask(&second)).await.status, 200, "nobody else is");
    town.publish(|configuration| {
        let deny = configuration.policies.values().next().unwrap().as_ref().clone();
        let deny = narthex_model::Policy { decision: narthex_model::Decision::Deny, ..deny };
        configuration.policies.insert(deny.id, deny.into());
    });
    assert_eq!(wire.ask(ask(&second)).await.status, 403, "the policy refuses now");
    let mut town = wiki(&[policy("allow", everyone())], json!({})).await;
    let token = town.log_in("a@b.test", WIKI);
    let mut wire = town.wire(WIKI).await;
    assert_eq!(wire.ask(ask(&token)).await.status, 200);
    town.clock.advance(3600);
    assert_eq!(wire.ask(ask(&token)).await.status, 302, "expired");
    drop(town.records.try_recv());
}

#[tokio::test]
async fn a_session_that_this_node_does_not_know_is_asked_to_log_in_again_where_it_matters() {
    let rule = json!({"login_method": {"id": "7335d417-61da-459d-899c-0a01c76a2f94"}});
    let town = wiki(
        &[policy("allow", rule), policy("allow", json!({"email": {"email": "ann@example.com"}}))],
        json!({}),
    )
    .await;
    let mut wire = town.wire(WIKI).await;
    let unknown = |email: &str| {
        town.log_in_with(email, WIKI, |token| {
            town.live.sessions.remove(&token.identity_nonce);
        })
    };
    let ask = |token: String| get(WIKI, "/", &format!("Cookie: CF_Authorization={token}\r\n"));
    assert_eq!(wire.ask(ask(town.log_in("bob@example.com", WIKI))).await.status, 200);
    assert_eq!(
        wire.ask(ask(unknown("bob@example.com"))).await.status,
        302,
        "how he logged in is not known"
    );
    assert_eq!(
        wire.ask(ask(unknown("ann@example.com"))).await.status,
        200,
        "her address is in the token"
    );
}

/// A binding cookie and its companion.
fn both(binding: &Binding) -> String {
    format!("CF_Binding={0}; __Host-CF_Binding-0f={0}", binding.as_str())
}

/// A sibling host may set any cookie of its parent domain but one whose name begins with `__Host-`: so an attacker can
/// plant a token of their own together with its `CF_Binding`, and nothing more.
#[tokio::test]
async fn c2_a_planted_token_logs_nobody_in_where_the_binding_cookie_is_on() {
    let rule = json!({"email_domain": {"domain": "b.test"}});
    for (settings, planted_alone) in
        [(json!({"enable_binding_cookie": true}), 302), (json!({}), 200)]
    {
        let town = wiki(&[policy("allow", rule.clone())], settings).await;
        let (theirs, mine) = (Binding::random(), Binding::random());
        let bound = |email, binding: &Binding| {
            town.log_in_with(email, WIKI, |token| token.binding = Some(binding.hash()))
        };
        let (attacker, victim) = (bound("evil@b.test", &theirs), bound("ann@b.test", &mine));
        let planted = format!("CF_Authorization={attacker}; CF_Binding={}", theirs.as_str());
        let own = format!("CF_Authorization={victim}; {}", both(&mine));
        let mut wire = town.wire(WIKI).await;
        let mut ask = async |cookie: String| {
            let answer = wire.ask(get(WIKI, "/", &format!("Cookie: {cookie}\r\n"))).await;
            let seen = town.origin.take();
            assert!(seen.iter().all(|seen| !seen.head.contains("CF_Binding")), "i4: {seen:?}");
            let email = seen.first().map(|seen| seen.head.contains("ann@b.test"));
            (answer.status, email)
        };
        // Where it is off, this is what the documentation tells of: the browser works for the attacker.
        let told = (planted_alone == 200).then_some(false);
        assert_eq!(
            ask(planted.clone()).await,
            (planted_alone, told),
            "a browser that is logged out"
        );
        if planted_alone == 302 {
            // Planted with a longer path, so that it comes first: the person stays who they are.
            assert_eq!(ask(format!("{planted}; {own}")).await, (200, Some(true)));
            let swapped = format!("CF_Authorization={attacker}; {}", both(&mine));
            assert_eq!(ask(swapped).await, (302, None), "with the companion of somebody else");
        }
    }
}

#[tokio::test]
async fn c3_a_bound_token_needs_its_cookie() {
    let town = wiki(&[policy("allow", everyone())], json!({"enable_binding_cookie": true})).await;
    let (binding, other) = (Binding::random(), Binding::random());
    let bound = town.log_in_with("a@b.test", WIKI, |token| token.binding = Some(binding.hash()));
    let unbound = town.log_in("a@b.test", WIKI);
    let mut wire = town.wire(WIKI).await;
    for (cookie, want) in [
        (format!("CF_Authorization={bound}; {}", both(&binding)), 200),
        (format!("{}; CF_Authorization={bound}", both(&binding)), 200),
        (format!("CF_Authorization={bound}; {}", both(&other)), 302),
        (format!("CF_Authorization={bound}"), 302),
        (format!("CF_Authorization={bound}; __Host-CF_Binding-0f={}", binding.as_str()), 302),
        (format!("CF_Authorization={unbound}; {}", both(&binding)), 302),
    ] {
        let answer = wire.ask(get(WIKI, "/", &format!("Cookie: {cookie}\r\n"))).await;
        assert_eq!(answer.status, want, "{cookie}");
    }
    let seen = town.origin.seen();
    assert!(seen.iter().all(|seen| !seen.head.contains("CF_Binding")), "i4: {seen:?}");
}

#[tokio::test]
async fn refusals_say_why_in_the_form_the_client_wants() {
    let rule = json!({"email": {"email": "ann@example.com"}});
    let mut town = wiki(&[policy("allow", rule)], json!({})).await;
    let token = town.log_in("bob@example.com", WIKI);
    let cookie = format!("Cookie: CF_Authorization={token}\r\n");
    let mut wire = town.wire(WIKI).await;
    let aud = town.app(WIKI).aud.as_str().to_owned();
    let page = wire.ask(get(WIKI, "/", &cookie)).await;
    assert_eq!((page.status, page.field("cf-access-aud")), (403, aud.as_str()));
    assert_eq!(page.field("cf-access-domain"), WIKI);
    assert!(page.field("content-type").starts_with("text/html"));
    assert!(page.field("cache-control").contains("no-store"));
    assert!(
        page.field("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-")
    );
    let text = page.text();
    for part in [
        "json_data",
        "Forbidden. You don",
        "bob@example.com",
        page.field("cf-ray"),
        "/cdn-cgi/access/logout",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("ann@example.com"), "names nobody else");
    let json = wire.ask(get(WIKI, "/", &format!("{cookie}Accept: application/json\r\n"))).await;
    let body: Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(json.field("content-type"), "application/json");
    assert_eq!((&body["status_code"], &body["aud"]), (&json!(403), &json!(aud)));
    assert_eq!(body["ray_id"], json.field("cf-ray"));
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .starts_with("Forbidden. You don't have permission to view this.")
    );
    let grpc =
        wire.ask(get(WIKI, "/", &format!("{cookie}Content-Type: application/grpc\r\n"))).await;
    assert_eq!((grpc.status, grpc.field("grpc-status")), (200, "7"));
    let grpc = wire.ask(get(WIKI, "/", "Content-Type: application/grpc+proto\r\n")).await;
    assert_eq!((grpc.status, grpc.field("grpc-status")), (200, "16"));
    let xhr = wire.ask(get(WIKI, "/", "X-Requested-With: XMLHttpRequest\r\n")).await;
    assert_eq!(xhr.status, 401);
    assert!(xhr.field("www-authenticate").starts_with("Cloudflare-Access "));
    let login = format!("https://access.example.com/cdn-cgi/access/login/{WIKI}?kid={aud}");
    assert!(xhr.text().contains(&login), "a script learns where to log in: {}", xhr.text());
    let fields = "X-Requested-With: XMLHttpRequest\r\nAccept: application/json\r\n";
    let xhr = wire.ask(get(WIKI, "/", fields)).await;
    let told: Value = serde_json::from_slice(&xhr.body).unwrap();
    assert_eq!((xhr.status, &told["login_url"]), (401, &json!(login)));
    assert_eq!(body.get("login_url"), None, "a login does not help whom the policies refuse");
    let accept =
        wire.ask(get(WIKI, "/", "Accept: application/json\r\nSec-Fetch-Mode: cors\r\n")).await;
    assert_eq!(accept.status, 302, "§3.1, measured");
    wire.send(format!("HEAD / HTTP/1.1\r\nHost: {WIKI}\r\n{cookie}\r\n")).await;
    assert_eq!(wire.answer_to(true).await.unwrap().status, 403);
    assert!(town.origin.seen().is_empty());
    let record = town.records.recv().await.unwrap();
    assert_eq!((record.action, record.verdict), (Action::Request, Verdict::Refused));
    assert_eq!(record.user_email.unwrap().as_str(), "bob@example.com");
    assert_eq!(record.app_domain, WIKI);
    assert_eq!(record.ray_id.as_str(), page.field("cf-ray"));
    assert_eq!(record.created_at.0, UnixSeconds(NOW.0));
}

#[tokio::test]
async fn row_9_no_login_is_offered_where_none_can_help() {
    let elsewhere = json!({"decision": "allow", "include": [everyone()], "require": [{"ip": {"ip": "192.0.2.0/24"}}]});
    let town = wiki(&[elsewhere], json!({"custom_non_identity_deny_url": ""})).await;
    let mut wire = town.wire(WIKI).await;
    assert_eq!(wire.ask(get(WIKI, "/", "")).await.status, 403);
    let xhr = wire.ask(get(WIKI, "/", "X-Requested-With: XMLHttpRequest\r\n")).await;
    assert_eq!(xhr.status, 403, "row 9 comes before row 11");
    let elsewhere = json!({"decision": "allow", "include": [everyone()], "require": [{"ip": {"ip": "192.0.2.0/24"}}]});
    let town =
        wiki(&[elsewhere], json!({"custom_non_identity_deny_url": "https://help.example.com/"}))
            .await;
    let mut wire = town.wire(WIKI).await;
    let answer = wire.ask(get(WIKI, "/", "")).await;
    assert_eq!((answer.status, answer.field("location")), (302, "https://help.example.com/"));
}

#[tokio::test]
async fn discovery_and_token_checks_never_reach_the_origin() {
    let town = wiki(&[policy("allow", everyone())], json!({})).await;
    let mut wire = town.wire(WIKI).await;
    wire.send(format!(
        "HEAD /x HTTP/1.1\r\nHost: {WIKI}\r\ncf-access-metadata-request: true\r\n\r\n"
    ))
    .await;
    let probe = wire.answer_to(true).await.unwrap();
    assert_eq!(probe.status, 200);
    assert_eq!(probe.field("cf-access-metadata").split('.').count(), 3);
    let check = "/?cloudflared_token_check=true";
    assert_eq!(wire.ask(get(WIKI, check, "cf-access-token: rubbish\r\n")).await.status, 302);
    let token = town.log_in("a@b.test", WIKI);
    assert_eq!(
        wire.ask(get(WIKI, check, &format!("cf-access-token: {token}\r\n"))).await.status,
        200
    );
    let known =
        wire.ask(get(WIKI, "/.well-known/cloudflare-access-protected-resource/docs", "")).await;
    let document: Value = serde_json::from_slice(&known.body).unwrap();
    assert_eq!(known.status, 200);
    assert_eq!(document["resource"], format!("https://{WIKI}/docs"));
    assert_eq!(document["authorization_servers"], json!(["https://access.example.com"]));
    assert!(town.origin.seen().is_empty());
}

#[tokio::test]
async fn preflights() {
    let plan = Plan::default()
        .app("none.example.com", &[policy("allow", everyone())], json!({}))
        .app("open.example.com", &[policy("bypass", everyone())], json!({}))
        .app("pass.example.com", &[policy("allow", everyone())], json!({"options_preflight_bypass": true}))
        .app(
            "cors.example.com",
            &[policy("allow", everyone())],
            json!({"cors_headers": {"allowed_origins": ["https://a.test"], "allowed_methods": ["PUT"], "allow_credentials": true}}),
        );
    let town = Town::build(plan).await;
    let fields = "Origin: https://a.test\r\nAccess-Control-Request-Method: PUT\r\nCf-Access-Jwt-Assertion: forged\r\n";
    for (host, want, forwarded) in [
        ("none.example.com", 403, 0),
        ("open.example.com", 200, 1),
        ("pass.example.com", 200, 1),
        ("cors.example.com", 200, 0),
    ] {
        let request = format!("OPTIONS / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        let answer = town.wire(host).await.ask(request).await;
        let seen = town.origin.take();
        assert_eq!((answer.status, seen.len()), (want, forwarded), "{host}");
        assert!(seen.iter().all(|seen| !seen.head.contains("forged")), "i1");
        if host == "cors.example.com" {
            assert_eq!(answer.field("access-control-allow-origin"), "https://a.test");
            assert_eq!(answer.field("access-control-allow-credentials"), "true");
        }
    }
    let plain = "OPTIONS / HTTP/1.1\r\nHost: cors.example.com\r\n\r\n";
    assert_eq!(town.wire("cors.example.com").await.ask(plain).await.status, 302, "no preflight");
}

#[tokio::test]
async fn pages_that_cors_allows_can_read_that_a_login_is_needed() {
    let cors = |more: Value| {
        let mut cors = json!({"allowed_origins": ["https://a.test"], "allowed_methods": ["GET"]});
        cors.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"cors_headers": cors})
    };
    let plan = Plan::default()
        .app("none.example.com", &[policy("allow", everyone())], json!({}))
        .app("some.example.com", &[policy("allow", everyone())], cors(json!({})))
        .app(
            "with.example.com",
            &[policy("allow", everyone())],
            cors(json!({"allow_credentials": true})),
        );
    let town = Town::build(plan).await;
    let xhr = "X-Requested-With: XMLHttpRequest\r\n";
    for (host, from, want, origin, credentials) in [
        ("none.example.com", "https://a.test", 401, "", ""),
        ("some.example.com", "https://a.test", 401, "https://a.test", ""),
        ("with.example.com", "https://a.test", 401, "https://a.test", "true"),
        ("with.example.com", "https://b.test", 401, "", ""),
    ] {
        let request = get(host, "/", &format!("{xhr}Origin: {from}\r\n"));
        let answer = town.wire(host).await.ask(request).await;
        let (allowed, with) = ("access-control-allow-origin", "access-control-allow-credentials");
        assert_eq!(
            (answer.status, answer.field(allowed), answer.field(with)),
            (want, origin, credentials),
            "{host} {from}"
        );
        let varies = answer.fields("vary").contains(&"Origin");
        assert_eq!(varies, host != "none.example.com", "{host}: {answer:?}");
    }
    // The redirect stays as it was captured: no script could follow it to the team domain.
    let request = get("with.example.com", "/", "Origin: https://a.test\r\n");
    let redirect = town.wire("with.example.com").await.ask(request).await;
    assert_eq!(redirect.status, 302);
    assert_eq!(redirect.fields("access-control-allow-origin"), Vec::<&str>::new());
    assert!(town.origin.seen().is_empty());
}

#[tokio::test]
async fn p11_p12_p18_reserved_paths_and_hosts_without_an_application() {
    let town =
        Town::build(Plan::default().app(WIKI, &[policy("bypass", everyone())], json!({}))).await;
    let mut wire = town.wire(WIKI).await;
    for (path, want) in [
        ("/cdn-cgi/x", 404),
        ("/CDN-CGI/access/x", 404),
        ("//cdn-cgi/x", 404),
        ("/x/../cdn-cgi/", 404),
        ("/cdn-cgi%2fx", 400),
    ] {
        assert_eq!(wire.ask(get(WIKI, path, "")).await.status, want, "{path}");
    }
    let mut wire = town.wire("other.example.com").await;
    let answer = wire.ask(get("other.example.com", "/", "")).await;
    assert_eq!(answer.status, 403);
    let challenge = wire.ask(get("other.example.com", "/.well-known/acme-challenge/x", "")).await;
    assert_eq!(challenge.status, 403);
    assert!(town.origin.seen().is_empty());
    let plan = Plan::default().organization(json!({"deny_unmatched_requests": false}));
    let town = Town::build(plan.app(WIKI, &[policy("allow", everyone())], json!({}))).await;
    let mut wire = town.wire("other.example.com").await;
    let forged = "Cf-Access-Authenticated-User-Email: x@y.z\r\n";
    assert_eq!(wire.ask(get("other.example.com", "/", forged)).await.status, 200);
    assert!(!town.origin.take()[0].head.contains("x@y.z"));
}

#[tokio::test]
async fn the_control_side_answers_its_own_sites() {
    let mut town = wiki(&[policy("allow", everyone())], json!({})).await;
    let mut errands = std::mem::replace(&mut town.errands, tokio::sync::mpsc::channel(1).1);
    let answering = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(errand) = errands.recv().await {
            seen.push((errand.site, errand.request.uri().to_string(), errand.visitor.app));
            let body = errand.request.body().clone();
            drop(errand.reply.send(http::Response::new(body)));
            if seen.len() == 4 {
                break;
            }
        }
        (seen, errands)
    });
    for (host, path) in [
        ("access.example.com", "/a/../cdn-cgi/access/login?x=1"),
        ("admin.example.com", "/client/v4/x"),
        (WIKI, "/cdn-cgi/access/authorized?nonce=1"),
    ] {
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello");
        let answer = town.wire(host).await.ask(request).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{host}");
        assert_eq!(answer.field("cf-ray").len(), 16);
    }
    // A SAML response is larger than any other form.
    let callback = |size: usize| {
        let head = "POST /cdn-cgi/access/callback HTTP/1.1\r\nHost: access.example.com\r\nContent-Length: ";
        format!("{head}{size}\r\n\r\n{}", "x".repeat(size.min(65 * 1024)))
    };
    let team = "access.example.com";
    assert_eq!(town.wire(team).await.ask(callback(65 * 1024)).await.status, 200);
    let (mut seen, errands) = answering.await.unwrap();
    assert_eq!(seen.pop().unwrap().1, "/cdn-cgi/access/callback");
    assert_eq!(town.wire(team).await.ask(callback(1280 * 1024 + 1)).await.status, 413);
    let sites = [narthex_proxy::Site::Team, narthex_proxy::Site::Admin, narthex_proxy::Site::App];
    let paths = ["/cdn-cgi/access/login?x=1", "/client/v4/x", "/cdn-cgi/access/authorized?nonce=1"];
    let apps = [None, None, Some(town.app(WIKI).id)];
    for (at, (site, path, app)) in seen.into_iter().enumerate() {
        assert_eq!((site, path.as_str(), app), (sites[at], paths[at], apps[at]));
    }
    let large = format!(
        "POST / HTTP/1.1\r\nHost: access.example.com\r\nContent-Length: {}\r\n\r\n",
        65 * 1024
    );
    assert_eq!(town.wire("access.example.com").await.ask(large).await.status, 413);
    drop(errands);
    let busy = town.wire("access.example.com").await.ask(get("access.example.com", "/", "")).await;
    assert_eq!((busy.status, busy.field("retry-after")), (503, "1"));
}

#[tokio::test]
async fn w1_an_upgrade_without_a_session_is_refused_as_any_request() {
    let plan = Plan::default().app(WIKI, &[policy("allow", everyone())], json!({})).app(
        "only.example.com",
        &[policy("non_identity", json!({"any_valid_service_token": {}}))],
        json!({}),
    );
    let town = Town::build(plan).await;
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (host, want) in [(WIKI, 302), ("only.example.com", 403)] {
        assert_eq!(
            town.wire(host).await.ask(get(host, "/ws", fields)).await.status,
            want,
            "{host}"
        );
    }
    assert!(town.origin.seen().is_empty());
}
