//! What a token says, under a good signature: the first line is the header, the rest the payload. `{KID}` is the key.

use super::team::{NOW, TEAM};
use crate::Target;
use narthex_token::{AppToken, MAX_TOKEN_BYTES};
use serde_json::Value;

pub(crate) const TARGET: Target = Target {
    name: "claims",
    run,
    words: &[
        "{KID}",
        "RS256",
        "none",
        "HS256",
        "alg",
        "kid",
        "typ",
        "JWT",
        "crit",
        "b64",
        "jwk",
        "x5c",
        "aud",
        "email",
        "exp",
        "iat",
        "nbf",
        "iss",
        "type",
        "app",
        "org",
        "meta",
        "identity_nonce",
        "sub",
        "country",
        "custom",
        "bnd",
        "common_name",
        "cnf",
        "x5t#S256",
        "https://access.example.com",
        "1800000000",
        "1800003600",
        "1800000000.5",
        "1e10",
        "",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ],
    rounds: 1_000,
};

fn run(data: &[u8]) {
    let team = &*TEAM;
    let kid = team.key.kid().to_string();
    let text = String::from_utf8_lossy(data).replace("{KID}", &kid);
    let (header, payload) = text.split_once('\n').unwrap_or((&text, ""));
    let jwt = team.sign(header.as_bytes(), payload.as_bytes());

    let opened = team.ring.open_any_app(&jwt, NOW).ok();
    assert_eq!(team.set.open_any_app(&jwt, NOW).ok(), opened, "the origin reads as the gateway");
    let Some(token) = opened else { return };
    assert!(jwt.len() <= MAX_TOKEN_BYTES);
    let read: Value = serde_json::from_str(header).expect("a header that was accepted is JSON");
    assert_eq!(read["alg"], "RS256");
    assert_eq!(read["kid"], *kid);
    let read: Value = serde_json::from_str(payload).expect("a payload that was accepted is JSON");
    assert_eq!(read["iss"], "https://access.example.com");
    assert_eq!(read["type"], "app");
    let said = |value: &Value| *value == *token.aud().as_str();
    assert!(said(&read["aud"]) || read["aud"].as_array().is_some_and(|all| all.iter().any(said)));
    assert!(NOW < token.exp(), "an expired token was accepted");
    assert!(token.iat() <= NOW.plus(120), "a token of the future was accepted");

    // What was read says the same when it is written and read again.
    let again = match &token {
        AppToken::Person(person) => {
            assert_eq!(
                read["email"].as_str().map(str::to_lowercase).as_deref(),
                Some(person.email.as_str())
            );
            let minted = team.ring.mint_person(person);
            if !minted.dropped.is_empty() {
                return; // too large to be minted whole
            }
            minted.jwt
        }
        AppToken::Machine(machine) => team.mint_machine(machine),
    };
    assert_eq!(team.ring.open_app(&again, token.aud(), NOW).as_ref(), Ok(&token));
}
