//! Group J at the door: what is no token of this application counts as nothing at all (ANON). What the token crate
//! refuses in detail is tried there.

use crate::town::{NOW, Plan, Town, everyone, policy};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_token::{
    KeyRing, MachineToken, MetaToken, OVERLAP_SECONDS, OrgToken, PersonToken, SigningKey,
};
use serde_json::{Value, json};
use std::sync::Arc;

const WIKI: &str = "wiki.example.com";

async fn town() -> Town {
    Town::build(Plan::default().app(WIKI, &[policy("allow", everyone())], json!({}))).await
}

/// A token with its header or payload changed, and the old signature.
fn altered(jwt: &str, part: usize, edit: impl FnOnce(&mut Value)) -> String {
    let mut parts: Vec<String> = jwt.split('.').map(str::to_owned).collect();
    let mut json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[part]).unwrap()).unwrap();
    edit(&mut json);
    parts[part] = URL_SAFE_NO_PAD.encode(json.to_string());
    parts.join(".")
}

#[tokio::test]
async fn j1_to_j14_what_is_no_token_of_ours_is_nothing() {
    let town = town().await;
    let good = town.log_in("a@b.test", WIKI);
    let aud = town.app(WIKI).aud.clone();
    let unsigned = |alg: &str| {
        let token = altered(&good, 0, |header| header["alg"] = alg.into());
        format!("{}.", token.rsplit_once('.').unwrap().0)
    };
    let meta = MetaToken {
        aud: aud.clone(),
        hostname: WIKI.parse().unwrap(),
        redirect_url: "/".to_owned(),
        iat: NOW,
        exp: NOW.plus(300),
        service_token_status: false,
        service_token_id: None,
        auth_status: "NONE".to_owned(),
        mtls_auth: MetaToken::no_certificate(),
        real_country: None,
        app_session_hash: "0".repeat(64),
    };
    let org = OrgToken {
        aud: aud.clone(),
        email: "a@b.test".parse().unwrap(),
        sub: narthex_model::UserId::random(),
        account_id: narthex_model::AccountId::random(),
        identity_nonce: narthex_model::IdentityNonce::random(),
        iat: NOW,
        exp: NOW.plus(300),
    };
    let machine = |common_name: &str| MachineToken {
        aud: aud.clone(),
        common_name: common_name.to_owned(),
        certificate: None,
        iat: NOW,
        exp: NOW.plus(300),
    };
    let cases = vec![
        ("j1 none", unsigned("none")),
        ("j1 None", unsigned("None")),
        ("j1 empty signature", format!("{}.", good.rsplit_once('.').unwrap().0)),
        ("j1 two parts", good.rsplit_once('.').unwrap().0.to_owned()),
        ("j1 four parts", format!("{good}.x")),
        ("j2 HS256", altered(&good, 0, |header| header["alg"] = "HS256".into())),
        ("j4 another key", altered(&good, 0, |header| header["kid"] = "0".repeat(64).into())),
        ("j5 crit", altered(&good, 0, |header| header["crit"] = json!(["exp"]))),
        ("j8 padding", format!("{good}=")),
        ("j9 a later end", altered(&good, 1, |claims| claims["exp"] = json!(NOW.0 + 99_999_999))),
        ("j10 no audience", altered(&good, 1, |claims| claims["aud"] = json!([]))),
        ("j12 org", town.keys.mint(&org)),
        ("j12 meta", town.keys.mint(&meta)),
        (
            "a machine nobody knows",
            town.keys.mint(&machine("00000000000000000000000000000000.access")),
        ),
        ("a machine without a name", town.keys.mint(&machine(""))),
        ("j13 huge", format!("{}{good}", "a".repeat(17_000))),
        ("j13 a megabyte's worth of dots", ".".repeat(20_000)),
        ("j6 rubbish", "eyJhbGciOiJSUzI1NiJ9.e30.x".to_owned()),
        (
            "not yet",
            town.log_in_with("a@b.test", WIKI, |token| {
                (token.iat, token.exp) = (NOW.plus(600), NOW.plus(900));
            }),
        ),
        (
            "over",
            town.log_in_with("a@b.test", WIKI, |token| {
                (token.iat, token.exp) = (NOW.plus(-900), NOW);
            }),
        ),
    ];
    for (name, token) in cases {
        for field in ["cf-access-token: ", "Cookie: CF_Authorization="] {
            let mut wire = town.wire(WIKI).await;
            let request = format!("GET / HTTP/1.1\r\nHost: {WIKI}\r\n{field}{token}\r\n\r\n");
            let answer = wire.ask(request).await;
            assert_eq!(answer.status, 302, "{name}: {answer:?}");
        }
    }
    assert!(town.origin.take().is_empty());
    let request = format!("GET / HTTP/1.1\r\nHost: {WIKI}\r\ncf-access-token: {good}\r\n\r\n");
    assert_eq!(town.wire(WIKI).await.ask(request).await.status, 200);
}

#[tokio::test]
async fn j14_one_flipped_bit_anywhere_makes_it_nothing() {
    let town = town().await;
    let good = town.log_in("a@b.test", WIKI);
    let mut wire = town.wire(WIKI).await;
    // Every bit is tried in the token crate; here every place, through the caches, between uses of the good one.
    for at in (0..good.len()).step_by(31) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        for (token, want) in [(String::from_utf8(bytes).unwrap(), 302), (good.clone(), 200)] {
            let field = format!("Cookie: CF_Authorization={token}\r\n");
            let request = format!("GET / HTTP/1.1\r\nHost: {WIKI}\r\n{field}\r\n");
            assert_eq!(wire.ask(request).await.status, want, "{at}");
        }
    }
}

fn cookie(token: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {WIKI}\r\nCookie: CF_Authorization={token}\r\n\r\n")
}

fn header(token: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {WIKI}\r\ncf-access-token: {token}\r\n\r\n")
}

/// The claims of a token.
fn claims(jwt: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap())
        .unwrap()
}

/// Any header and payload with a good signature of the team's own key: whoever makes this holds more than any attacker.
fn signed(header: &str, payload: &str) -> String {
    let pair = RsaKeyPair::from_pkcs8(Town::key().pkcs8()).unwrap();
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn good_header() -> String {
    format!(r#"{{"alg":"RS256","kid":"{}","typ":"JWT"}}"#, Town::key().kid())
}

/// Warm on the connection, warm on the core, and seen for the first time: the end of the overlap is the end everywhere.
#[tokio::test]
async fn j7_a_retired_key_opens_nothing_once_its_overlap_is_over() {
    let mut town = town().await;
    let long = |token: &mut PersonToken| token.exp = NOW.plus(30 * 86_400);
    let (old, old_and_unused) =
        (town.log_in_with("a@b.test", WIKI, long), town.log_in_with("a@b.test", WIKI, long));
    let both = vec![Town::key(), Arc::new(SigningKey::generate(NOW.plus(1), NOW))]; // made a second later
    town.rekey(both.clone());
    let new = town.log_in_with("a@b.test", WIKI, long);
    let mut warm = town.wire(WIKI).await;
    for seconds in [0, OVERLAP_SECONDS - 1] {
        town.clock.advance(seconds);
        town.rekey(both.clone());
        for token in [&old, &new, &old] {
            assert_eq!(warm.ask(cookie(token)).await.status, 200, "after {seconds} s");
        }
    }
    town.origin.take();
    town.clock.advance(1);
    town.rekey(both); // what the control side does at this second, whether or not the key could be deleted
    for (name, token) in [("used", &old), ("never used", &old_and_unused)] {
        assert_eq!(warm.ask(cookie(token)).await.status, 302, "{name}, on a warm connection");
        assert_eq!(town.wire(WIKI).await.ask(cookie(token)).await.status, 302, "{name}");
        assert_eq!(town.wire(WIKI).await.ask(header(token)).await.status, 302, "{name}");
    }
    assert!(town.origin.take().is_empty());
    assert_eq!(
        warm.ask(cookie(&new)).await.status,
        200,
        "its successor's tokens are as good as before"
    );
}

#[tokio::test]
async fn c11_whoever_is_revoked_while_the_application_works_is_told_so() {
    let town = town().await;
    let token = town.log_in("a@b.test", WIKI);
    let mut wire = town.wire(WIKI).await;
    wire.send(cookie(&token).replacen("GET / ", "GET /slow ", 1)).await;
    while town.origin.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    town.live.revocations.revoke_app(&town.app(WIKI).aud, NOW);
    let answer = wire.answer().await.unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.text().contains("Your access has ended"), "{}", answer.text());
    assert_eq!(town.wire(WIKI).await.ask(cookie(&token)).await.status, 302);
}

#[tokio::test]
async fn j7_a_key_of_another_organisation_with_the_same_kid_opens_nothing() {
    let town = town().await;
    let good = claims(&town.log_in("a@b.test", WIKI));
    let stranger = SigningKey::generate(NOW, NOW);
    let same_kid = SigningKey::restore(
        Town::key().kid().clone(),
        stranger.pkcs8(),
        stranger.certificate_pem().to_owned(),
        NOW,
        NOW,
    );
    let mut wire = town.wire(WIKI).await;
    for (name, key, team) in [
        ("the same kid and issuer", same_kid.unwrap(), "access.example.com"),
        ("another kid, the same issuer", stranger, "access.example.com"),
        ("another organisation", SigningKey::generate(NOW, NOW), "access.other.test"),
    ] {
        let ring = KeyRing::of(vec![Arc::new(key)], &team.parse().unwrap(), NOW).unwrap();
        let token = ring.mint(&PersonToken {
            aud: good["aud"][0].as_str().unwrap().parse().unwrap(),
            email: "a@b.test".parse().unwrap(),
            sub: good["sub"].as_str().unwrap().parse().unwrap(),
            identity_nonce: good["identity_nonce"].as_str().unwrap().parse().unwrap(),
            country: None,
            custom: Default::default(),
            iat: NOW,
            exp: NOW.plus(3600),
            binding: None,
        });
        for request in [cookie(&token), header(&token)] {
            assert_eq!(wire.ask(request).await.status, 302, "{name}");
        }
    }
    assert!(town.origin.take().is_empty());
}

/// Claims of the wrong value or JSON type, signed with the team's own key (J8 to J12).
#[tokio::test]
async fn j9_j10_j11_what_the_claims_say_is_taken_at_its_word_and_type() {
    const OTHER: &str = "other.example.com";
    let plan = Plan::default().app(WIKI, &[policy("allow", everyone())], json!({})).app(
        OTHER,
        &[policy("allow", everyone())],
        json!({}),
    );
    let town = Town::build(plan).await;
    let good = town.log_in("a@b.test", WIKI);
    let good = claims(&good);
    let (aud, other) = (town.app(WIKI).aud.as_str(), town.app(OTHER).aud.as_str());
    let issuer = "https://access.example.com";
    let mut wire = town.wire(WIKI).await;
    let mut try_one = async |what: &str, token: &str, want: u16| {
        for request in [cookie(token), header(token)] {
            assert_eq!(wire.ask(request).await.status, want, "{what}");
        }
    };
    try_one("as it is", &signed(&good_header(), &good.to_string()), 200).await;
    for (member, value, want) in [
        ("aud", json!(aud), 200), // RFC 7519 §4.1.3: a single audience may be a string
        ("aud", json!([aud, other]), 302),
        ("aud", json!([other, aud]), 302),
        ("aud", json!([aud, aud]), 302),
        ("aud", json!([[aud]]), 302),
        ("aud", json!({"0": aud}), 302),
        ("aud", json!([]), 302),
        ("aud", json!(""), 302),
        ("aud", json!([""]), 302),
        ("aud", json!(null), 302),
        ("aud", json!([null]), 302),
        ("aud", json!(0), 302),
        ("aud", json!(true), 302),
        ("aud", json!([other]), 302),
        ("aud", json!([&aud[..63]]), 302),
        ("aud", json!([&aud[..32]]), 302),
        ("aud", json!([format!("{aud}0")]), 302),
        ("aud", json!([format!("{aud} ")]), 302),
        ("aud", json!([aud.to_uppercase()]), 302),
        ("aud", json!(["*"]), 302),
        ("iss", json!("https://access.other.test"), 302),
        ("iss", json!(format!("{issuer}/")), 302),
        ("iss", json!(format!("{issuer}:443")), 302),
        ("iss", json!(issuer.to_uppercase()), 302),
        ("iss", json!("https://Access.example.com"), 302),
        ("iss", json!("http://access.example.com"), 302),
        ("iss", json!("access.example.com"), 302),
        ("iss", json!(format!("{issuer}\u{0}")), 302),
        ("iss", json!([issuer]), 302),
        ("iss", json!({"iss": issuer}), 302),
        ("iss", json!(""), 302),
        ("iss", json!(null), 302),
        ("iss", json!(1), 302),
        ("exp", json!((NOW.0 + 3600).to_string()), 302),
        ("exp", json!(NOW.0 as f64 + 3600.5), 302),
        ("exp", json!(1e300), 302),
        ("exp", json!(-1), 302),
        ("exp", json!(0), 302),
        ("exp", json!(9_223_372_036_854_775_808_u64), 302),
        ("exp", json!([NOW.0 + 3600]), 302),
        ("exp", json!(null), 302),
        ("exp", json!(true), 302),
        ("nbf", json!(NOW.0 + 61), 302),
        ("nbf", json!("0"), 302),
        ("nbf", json!(null), 302),
        ("nbf", json!(1e300), 302),
        ("iat", json!(NOW.0 + 86_400), 302),
        ("iat", json!("0"), 302),
        ("iat", json!(null), 302),
        ("iat", json!([NOW.0]), 302),
        ("type", json!("org"), 302),
        ("type", json!("meta"), 302),
        ("type", json!(["app"]), 302),
        ("type", json!(null), 302),
        ("type", json!(true), 302),
        ("sub", json!(7), 302),
        ("sub", json!(null), 302),
        ("email", json!(["a@b.test"]), 302),
        ("email", json!({"email": "a@b.test"}), 302),
        ("email", json!(null), 302),
        ("identity_nonce", json!(7), 302),
        ("identity_nonce", json!(["0123456789abcdef"]), 302),
    ] {
        let mut claims = good.clone();
        claims[member] = value.clone();
        let token = signed(&good_header(), &claims.to_string());
        try_one(&format!("{member} = {value}"), &token, want).await;
    }
    for member in ["aud", "iss", "exp", "iat", "type", "sub", "email", "identity_nonce", "nbf"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(member);
        let token = signed(&good_header(), &claims.to_string());
        try_one(&format!("without {member}"), &token, 302).await;
    }
    let text = good.to_string();
    let twice = text.replacen('{', r#"{"email":"root@b.test","#, 1);
    for (name, payload) in [
        ("a member twice", twice),
        ("a byte order mark", format!("\u{feff}{text}")),
        ("text behind it", format!("{text} {text}")),
        ("an array", format!("[{text}]")),
        ("NUL within", text.replacen("a@b.test", "a@b.test\0", 1)),
    ] {
        try_one(name, &signed(&good_header(), &payload), 302).await;
    }
    for (name, header) in [
        ("kid a number", good_header().replace(&format!("\"{}\"", Town::key().kid()), "7")),
        ("no kid", r#"{"alg":"RS256","typ":"JWT"}"#.to_owned()),
        ("alg a list", good_header().replace("\"RS256\"", "[\"RS256\"]")),
        ("alg null", good_header().replace("\"RS256\"", "null")),
        ("typ a number", good_header().replace("\"JWT\"", "1")),
    ] {
        try_one(name, &signed(&header, &text), 302).await;
    }
    // The other application's token is as good as any there, and nothing here.
    let there = town.log_in("a@b.test", OTHER);
    try_one("another application's token", &there, 302).await;
    assert_eq!(town.wire(OTHER).await.ask(cookie(&there).replace(WIKI, OTHER)).await.status, 200);
    let admitted = town.origin.take();
    assert_eq!(
        admitted.len(),
        5,
        "the good one and the one with a plain audience twice, and the other's"
    );
}

#[tokio::test]
async fn c4_odd_cookies_do_no_harm_and_others_pass_byte_for_byte() {
    let town = town().await;
    let good = town.log_in("a@b.test", WIKI);
    let mut wire = town.wire(WIKI).await;
    let crowd = "a=b; ".repeat(500);
    for (cookies, want) in [
        (format!("=; ;;; x; $Version=1; \"q\"=\"v\"; CF_Authorization={good}"), 200),
        (format!("  CF_Authorization = {good} "), 200),
        (format!("a=\"b;c\"; CF_Authorization={good}"), 200),
        (format!("{crowd}CF_Authorization={good}"), 302),
        ("CF_Authorization".to_owned(), 302),
        ("CF_Authorization=".to_owned(), 302),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {WIKI}\r\nCookie: {cookies}\r\n\r\n");
        assert_eq!(wire.ask(request).await.status, want, "{}", &cookies[..40.min(cookies.len())]);
    }
    let seen = town.origin.take();
    assert_eq!(
        seen[0].fields("cookie"),
        [format!("=; ;;; x; $Version=1; \"q\"=\"v\"; CF_Authorization={good}")]
    );
}
