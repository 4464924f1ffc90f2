//! The layer around an application: whom it lets in, as whom, and what everybody else gets to read.

use crate::forge::{NOW, Team, aud, encode, machine, org, person};
use crate::origin_keys::{Answer, Script, TEAM, verifier, with_header};
use aws_lc_rs::hmac;
use axum::body::{Body, to_bytes};
use axum::{Extension, Router};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use narthex_token::origin::{Verifier, VerifyLayer};
use narthex_token::{AppSession, AppToken, CertificateThumbprint, MachineToken, PersonToken};
use serde_json::json;
use tower::ServiceExt;

/// An application that says whom it has before it.
fn application(verifier: Verifier) -> Router {
    let greet = |Extension(token): Extension<AppToken>| async move {
        match token {
            AppToken::Person(person) => format!("person {}", person.email),
            AppToken::Machine(machine) => format!("machine {}", machine.common_name),
        }
    };
    Router::new().fallback(greet).layer(VerifyLayer::new(verifier))
}

async fn ask(application: &Router, headers: HeaderMap) -> Response<Body> {
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers;
    application.clone().oneshot(request).await.unwrap()
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(to_bytes(answer.into_body(), 4096).await.unwrap().into()).unwrap()
}

async fn status_and_text(application: &Router, headers: HeaderMap) -> (u16, String) {
    let answer = ask(application, headers).await;
    (answer.status().as_u16(), text(answer).await)
}

fn cookies(fields: &[&str]) -> HeaderMap {
    fields.iter().map(|one| (header::COOKIE, HeaderValue::from_str(one).unwrap())).collect()
}

#[tokio::test]
async fn the_application_knows_whom_it_has_before_it() {
    let (verifier, _) = verifier(&Script::publishing(&[&TEAM]));
    let application = application(verifier);
    for (jwt, want) in [
        (TEAM.ring.mint(&person()), "person user@example.com"),
        (TEAM.ring.mint(&machine()), "machine e367826f93b8d71185e03fe518aff3b4.access"),
    ] {
        let answer = status_and_text(&application, with_header(&jwt)).await;
        assert_eq!(answer, (200, want.to_owned()));
    }
}

#[tokio::test]
async fn everybody_else_is_told_why() {
    let (verifier, clock) = verifier(&Script::publishing(&[&TEAM]));
    let application = application(verifier);
    let good = TEAM.ring.mint(&person());
    let claims = Team::claims(&good);
    let with = |member: &str, value: serde_json::Value| {
        let mut changed = claims.clone();
        changed[member] = value;
        with_header(&TEAM.forge(&changed))
    };
    let spoken = |alg: &str, signature: &str| {
        let header = TEAM.header().replace("RS256", alg);
        format!("{}.{}.{signature}", encode(header), encode(claims.to_string()))
    };
    let shared = {
        let message = spoken("HS256", "");
        let message = message.trim_end_matches('.');
        let pem = hmac::Key::new(hmac::HMAC_SHA256, TEAM.key.certificate_pem().as_bytes());
        format!("{message}.{}", encode(hmac::sign(&pem, message.as_bytes())))
    };
    let mut twice = with_header(&good);
    twice.append(
        HeaderName::from_static("cf-access-jwt-assertion"),
        twice.iter().next().unwrap().1.clone(),
    );
    let mut unreadable = with_header(&good);
    unreadable.values_mut().for_each(|value| *value = HeaderValue::from_bytes(b"\xff").unwrap());
    let stranger = Team::new().ring.mint(&person());
    for (name, headers, status, why) in [
        ("nothing", HeaderMap::new(), 401, "no Cf-Access-Jwt-Assertion"),
        (
            "a cookie",
            cookies(&[&format!("CF_Authorization={good}")]),
            401,
            "no Cf-Access-Jwt-Assertion",
        ),
        ("two", twice, 401, "more than once"),
        ("no text", unreadable, 401, "not ASCII"),
        ("an empty one", with_header(""), 401, "not three parts"),
        ("garbage", with_header("garbage"), 401, "not three parts"),
        ("a bearer", with_header(&format!("Bearer {good}")), 401, "header is not canonical"),
        ("none", with_header(&spoken("none", "")), 401, "only RS256"),
        ("HS256 with the public key", with_header(&shared), 401, "only RS256"),
        (
            "another's signature",
            with_header(&spoken("RS256", &encode([1; 256]))),
            401,
            "does not match",
        ),
        ("an unknown key", with_header(&stranger), 401, "not in the key set"),
        ("too long", with_header(&"a.".repeat(9000)), 401, "longer than 16384 bytes"),
        ("another application", with("aud", json!(["f".repeat(64)])), 403, "another application"),
        ("two audiences", with("aud", json!([aud().as_str(), "f".repeat(64)])), 401, "\"aud\""),
        ("another team", with("iss", json!("https://access.example.org")), 403, "another team"),
        ("no issuer", with("iss", json!(null)), 401, "\"iss\""),
        ("a session of the team domain", with_header(&TEAM.ring.mint(&org())), 403, "another kind"),
        ("a meta token", with_header(&TEAM.ring.mint(&crate::forge::meta())), 401, "\"iss\""),
        ("no expiry", with("exp", json!(null)), 401, "\"exp\""),
        ("over", with("exp", json!(NOW.0)), 401, "expired at 1800000000"),
        ("not yet", with("nbf", json!(NOW.0 + 61)), 401, "valid from 1800000061"),
        ("a person without an address", with("email", json!("")), 401, "\"email\""),
    ] {
        let answer = ask(&application, headers).await;
        assert_eq!(answer.status().as_u16(), status, "{name}");
        let known = answer.headers();
        assert_eq!(known[header::CONTENT_TYPE], "text/plain; charset=utf-8", "{name}");
        assert_eq!(known[header::CACHE_CONTROL], "no-store", "{name}");
        assert_eq!(known[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{name}");
        assert_eq!(known.contains_key(header::WWW_AUTHENTICATE), status == 401, "{name}");
        let text = text(answer).await;
        assert!(text.contains(why) && text.ends_with(".\n"), "{name}: {text}");
        assert!(!text.contains("eyJ"), "{name}: a token is not repeated");
    }
    assert_eq!(ask(&application, with_header(&good)).await.status(), StatusCode::OK);
    clock.advance(86_400);
    assert_eq!(ask(&application, with_header(&good)).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_keys_the_answer_says_when_to_come_back() {
    let (verifier, _) = verifier(&Script::answering(Answer::Down));
    let answer = ask(&application(verifier), with_header(&TEAM.ring.mint(&person()))).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[header::RETRY_AFTER], "5");
    assert!(!text(answer).await.contains("refused"), "why is for the log");
}

#[tokio::test]
async fn a_cookie_counts_only_where_it_is_asked_for() {
    let (verifier, _) = verifier(&Script::publishing(&[&TEAM]));
    let application = application(verifier.or_by_cookie());
    let good = TEAM.ring.mint(&person());
    let other = TEAM.ring.mint(&PersonToken { aud: "f".repeat(64).parse().unwrap(), ..person() });
    let hash = AppSession::hash("secret"); // SHA-256 in hexadecimal digits, as every cookie's
    let bound = TEAM.ring.mint(&PersonToken { binding: Some(hash), ..person() });
    let certificate = Some(CertificateThumbprint::of_sha256([7; 32]));
    let robot = TEAM.ring.mint(&MachineToken { certificate, ..machine() });
    let pair = |jwt: &str| format!("CF_Authorization={jwt}");
    for (name, fields, want) in [
        ("the one", vec![pair(&good)], 200),
        ("among others", vec![format!("a=b; {}; c=d", pair(&good))], 200),
        ("the second", vec![format!("{}; {}", pair(&other), pair(&good))], 200),
        ("in a second field", vec![pair("garbage"), pair(&good)], 200),
        ("another application's", vec![pair(&other)], 403),
        ("garbage", vec![pair("garbage")], 401),
        ("none", vec!["a=b".to_owned()], 401),
        ("bound, with its cookie", vec![format!("{}; CF_Binding=secret", pair(&bound))], 200),
        ("bound, with another", vec![format!("{}; CF_Binding=secret2", pair(&bound))], 401),
        ("bound, without", vec![pair(&bound)], 401),
        ("a service token's", vec![pair(&TEAM.ring.mint(&machine()))], 200),
        ("a certificate's", vec![pair(&robot)], 401),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        assert_eq!(status_and_text(&application, cookies(&fields)).await.0, want, "{name}");
    }
    let mut both = cookies(&[&pair(&good)]);
    both.extend(with_header("garbage"));
    assert_eq!(status_and_text(&application, both).await.0, 401, "a header hides the cookies");
    for jwt in [&bound, &robot] {
        let answer = status_and_text(&application, with_header(jwt)).await;
        assert_eq!(answer.0, 200, "checked by the gateway");
    }
}
