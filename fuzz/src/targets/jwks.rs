//! The `certs` document as an origin fetches it. `{KID}` and `{N}` are those of the team's key.

use super::team::{NOW, TEAM};
use crate::Target;
use narthex_token::{AppToken, KeySet};
use serde_json::Value;
use std::sync::LazyLock;

pub(crate) const TARGET: Target = Target {
    name: "jwks",
    run,
    words: &[
        "{KID}",
        "{N}",
        "AQAB",
        "AQAA",
        "AAEAAQ",
        "Aw",
        "kid",
        "kty",
        "RSA",
        "EC",
        "oct",
        "alg",
        "RS256",
        "RS512",
        "use",
        "sig",
        "enc",
        "e",
        "n",
        "keys",
        "public_cert",
        "public_certs",
        "cert",
        "key_ops",
        "k",
    ],
    rounds: 3_000,
};

static MODULUS: LazyLock<String> = LazyLock::new(|| {
    let certs: Value = serde_json::from_str(TEAM.ring.certs_json()).unwrap();
    certs["keys"][0]["n"].as_str().unwrap().to_owned()
});

fn run(data: &[u8]) {
    let team = &*TEAM;
    let text = String::from_utf8_lossy(data);
    let text = text.replace("{KID}", team.key.kid().as_str()).replace("{N}", &MODULUS);
    let Ok(set) = KeySet::read(&team.issuer, text.as_bytes()) else { return };
    match set.open_app(&team.jwt, &team.aud, NOW) {
        Ok(token) => {
            assert!(text.contains(&*MODULUS) && text.contains(team.key.kid().as_str()));
            assert_eq!(token, AppToken::Person(team.person.clone()));
        }
        Err(why) => assert!(why.to_string().len() < 1_000, "an error is short"),
    }
    for (kind, other) in &team.others {
        assert!(set.open_app(other, &team.aud, NOW).is_err(), "a token of kind {kind}");
    }
}
