//! Group J at the door: what is no token of this application counts as nothing at all (ANON). What the token crate
//! refuses in detail is tried there.

use crate::town::{NOW, Plan, Town, everyone, policy};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_token::{MachineToken, MetaToken, OrgToken};
use serde_json::{Value, json};

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
