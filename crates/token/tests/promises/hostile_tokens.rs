//! Tokens made to deceive (security J1 to J13). The forger even holds the team's key where that makes it harder.

use crate::forge::{NOW, Team, aud, decode, discovery, encode, kid, machine, meta, org, person};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
};
use base64::engine::general_purpose::STANDARD;
use narthex_token::{MAX_TOKEN_BYTES, SigningKey, TokenError};
use serde_json::{Value, json};
use std::sync::Arc;

fn open(team: &Team, jwt: &str) -> Result<(), TokenError> {
    team.ring.open_app(jwt, &aud(), NOW).map(drop)
}

fn algorithm(alg: &str) -> TokenError {
    TokenError::Algorithm { alg: alg.to_owned() }
}

#[test]
fn no_signature_and_no_jws() {
    let team = Team::new();
    let good = team.ring.mint(&person());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let claims = String::from_utf8(decode(payload)).unwrap();
    let none = |alg: &str, signature: &str| {
        let header = team.header().replace("RS256", alg);
        format!("{}.{payload}.{signature}", encode(header))
    };
    let parts = TokenError::Malformed("not three parts");
    for (name, jwt, want) in [
        ("none", none("none", ""), algorithm("none")),
        ("None", none("None", ""), algorithm("None")),
        ("nOnE", none("nOnE", signature), algorithm("nOnE")),
        ("an empty signature", format!("{message}."), TokenError::Signature),
        ("two parts", message.to_owned(), parts.clone()),
        ("four parts", format!("{good}.{signature}"), parts.clone()),
        ("a trailing dot", format!("{good}."), parts.clone()),
        ("a leading dot", format!(".{good}"), parts.clone()),
        ("five parts, as in a JWE", format!("{good}.e30.e30"), parts.clone()),
        ("nothing", String::new(), parts.clone()),
        (
            "only dots",
            "..".to_owned(),
            TokenError::Malformed(
                "the header is not a JSON object in which every member stands once",
            ),
        ),
        (
            "JSON serialisation",
            json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
            parts.clone(),
        ),
        (
            "a token within a token",
            team.sign(&team.header(), &json!(good).to_string()),
            TokenError::Malformed(
                "the payload is not a JSON object in which every member stands once",
            ),
        ),
        (
            "a payload that is no JSON",
            team.sign(&team.header(), &good),
            TokenError::Malformed(
                "the payload is not a JSON object in which every member stands once",
            ),
        ),
        (
            "a byte order mark",
            team.sign(&team.header(), &format!("\u{feff}{claims}")),
            TokenError::Malformed(
                "the payload is not a JSON object in which every member stands once",
            ),
        ),
        (
            "two payloads",
            team.sign(&team.header(), &format!("{claims}{claims}")),
            TokenError::Malformed(
                "the payload is not a JSON object in which every member stands once",
            ),
        ),
    ] {
        assert_eq!(open(&team, &jwt), Err(want), "{name}");
    }
    assert_eq!(open(&team, &good), Ok(()));
}

#[test]
fn algorithms_are_not_mixed_up() {
    let team = Team::new();
    let claims = Team::claims(&team.ring.mint(&person())).to_string();
    let header = |alg: &str| team.header().replace("RS256", alg);
    let jwk: Value = serde_json::from_str(team.ring.certs_json()).unwrap();
    let modulus = jwk["keys"][0]["n"].as_str().unwrap().to_owned();
    let pem = team.key.certificate_pem().to_owned();
    let der = base64::Engine::decode(
        &STANDARD,
        pem.lines().filter(|line| !line.starts_with('-')).collect::<String>(),
    )
    .unwrap();
    for (name, secret) in [
        ("PEM", pem.as_bytes()),
        ("DER", &der),
        ("modulus in base64url", modulus.as_bytes()),
        ("modulus", &decode(&modulus)),
        ("an empty secret", b""),
    ] {
        for (alg, want) in [("HS256", algorithm("HS256")), ("RS256", TokenError::Signature)] {
            let message = format!("{}.{}", encode(header(alg)), encode(&claims));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            let jwt = format!("{message}.{}", encode(mac));
            assert_eq!(open(&team, &jwt), Err(want), "{alg} with {name}");
        }
    }
    let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    for alg in ["RS256", "PS256", "RS512", "ES256"] {
        let message = format!("{}.{}", encode(header(alg)), encode(&claims));
        let signature = ecdsa.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        for (name, jwt) in [
            ("PSS", team.sign_with(&RSA_PSS_SHA256, &header(alg), &claims)),
            ("SHA-512", team.sign_with(&RSA_PKCS1_SHA512, &header(alg), &claims)),
            ("PKCS #1", team.sign(&header(alg), &claims)),
            ("ECDSA", format!("{message}.{}", encode(signature))),
        ] {
            let want = match (alg, name) {
                ("RS256", "PKCS #1") => Ok(()),
                ("RS256", _) => Err(TokenError::Signature),
                _ => Err(algorithm(alg)),
            };
            assert_eq!(open(&team, &jwt), want, "header {alg}, signature {name}");
        }
    }
}

#[test]
fn the_header_chooses_nothing() {
    let team = Team::new();
    let claims = Team::claims(&team.ring.mint(&person())).to_string();
    let with = |more: &str| {
        let header = team.header().replace('}', &format!("{more}}}"));
        open(&team, &team.sign(&header, &claims))
    };
    assert_eq!(with(""), Ok(()));
    for more in [
        r#","crit":["exp"]"#,
        r#","crit":["b64"],"b64":false"#,
        r#","b64":true"#,
        r#","zip":"DEF""#,
        r#","cty":"JWT""#,
        r#","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
        r#","jku":"http://127.0.0.1:1/jwks""#,
        r#","x5u":"http://127.0.0.1:1/x""#,
        r#","x5c":["MIIB"]"#,
        r#","alg":"RS256""#,
        r#","typ":"JWT""#,
    ] {
        assert!(matches!(with(more), Err(TokenError::Malformed(_))), "{more}");
    }
    let spelled = format!(r#"{{ "typ":"JWT", "kid":"{}", "alg":"RS256" }}"#, team.key.kid());
    assert_eq!(open(&team, &team.sign(&spelled, &claims)), Ok(()), "signed by us, so it is ours");
}

#[test]
fn foreign_and_unknown_keys() {
    let (team, other) = (Team::new(), Team::new());
    let unknown = TokenError::UnknownKey { kid: other.key.kid().clone() };
    assert_eq!(open(&team, &other.ring.mint(&person())), Err(unknown));
    let same_kid = SigningKey::restore(
        team.key.kid().clone(),
        other.key.pkcs8(),
        other.key.certificate_pem().to_owned(),
        NOW,
        NOW,
    );
    let same_kid = Team::with(Arc::new(same_kid.unwrap()));
    assert_eq!(open(&team, &same_kid.ring.mint(&person())), Err(TokenError::Signature));
    let claims = Team::claims(&team.ring.mint(&person())).to_string();
    for kid in ["../../etc/passwd", "' OR '1'='1", "http://127.0.0.1:1/", "", &"f".repeat(65)] {
        let header = team.header().replace(team.key.kid().as_str(), kid);
        let want = TokenError::Malformed("kid is not 64 lowercase hex digits");
        assert_eq!(open(&team, &team.sign(&header, &claims)), Err(want), "{kid}");
    }
    let header = team.header().replace(team.key.kid().as_str(), kid('f').as_str());
    let want = TokenError::UnknownKey { kid: kid('f') };
    assert_eq!(open(&team, &team.sign(&header, &claims)), Err(want));
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    let team = Team::new();
    let good = team.ring.mint(&person());
    assert_eq!(open(&team, &"A".repeat(1 << 20)), Err(TokenError::TooLarge));
    assert_eq!(
        open(&team, &format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES))),
        Err(TokenError::TooLarge)
    );
    let deep = format!(r#"{{"custom":{}"#, "[".repeat(8000));
    let object = "the payload is not a JSON object in which every member stands once";
    let signed = team.sign(&team.header(), &deep);
    assert_eq!(open(&team, &signed), Err(TokenError::Malformed(object)));
    let header = encode(format!(r#"{{"alg":{}"#, "[".repeat(8000)));
    assert!(matches!(open(&team, &format!("{header}.e30.AA")), Err(TokenError::Malformed(_))));
}

#[test]
fn claims_of_the_wrong_type_or_value() {
    let team = Team::new();
    let other = "97e2aae120121f902df8bc99fc345913ab186d174f3079ea729236766b2e7c4a";
    let issuer = "https://access.example.com:8443";
    let claim = |name| Err(TokenError::Claim(name));
    let exp = |exp: i64| json!(exp);
    for (member, value, want) in [
        ("aud", json!(aud().as_str()), Ok(())),
        ("aud", json!([other]), Err(TokenError::Audience)),
        ("aud", json!(other), Err(TokenError::Audience)),
        ("aud", json!([aud().as_str(), other]), claim("aud")),
        ("aud", json!([[aud().as_str()]]), claim("aud")),
        ("aud", json!([]), claim("aud")),
        ("aud", json!({}), claim("aud")),
        ("aud", json!(null), claim("aud")),
        ("aud", json!(&aud().as_str()[..32]), claim("aud")),
        ("aud", json!("*"), claim("aud")),
        ("iss", json!("https://access.example.com"), Err(TokenError::Issuer)),
        ("iss", json!(format!("{issuer}/")), Err(TokenError::Issuer)),
        ("iss", json!(issuer.to_uppercase()), Err(TokenError::Issuer)),
        ("iss", json!(issuer.replace("https", "http")), Err(TokenError::Issuer)),
        ("iss", json!([issuer]), claim("iss")),
        ("iss", json!(null), claim("iss")),
        ("iss", json!(5), claim("iss")),
        ("type", json!("org"), Err(TokenError::Type)),
        ("type", json!(""), Err(TokenError::Type)),
        ("type", json!(["app"]), claim("type")),
        ("exp", exp(NOW.0), Err(TokenError::Expired { exp: NOW, now: NOW })),
        ("exp", exp(NOW.0 + 1), Ok(())),
        ("exp", exp(-1), claim("exp")),
        ("exp", json!(1e300), claim("exp")),
        ("exp", json!(1_900_000_000.5), claim("exp")),
        ("exp", json!(9_223_372_036_854_775_808_u64), claim("exp")),
        ("exp", json!("1900000000"), claim("exp")),
        ("exp", json!(true), claim("exp")),
        ("exp", json!(null), claim("exp")),
        ("nbf", json!(NOW.0 + 60), Ok(())),
        ("nbf", json!(NOW.0 + 61), Err(TokenError::NotYetValid { from: NOW.plus(61), now: NOW })),
        ("nbf", json!("0"), claim("nbf")),
        ("nbf", json!(null), claim("nbf")),
        ("iat", json!(NOW.0 + 61), Err(TokenError::NotYetValid { from: NOW.plus(61), now: NOW })),
        ("iat", json!(null), claim("iat")),
        ("email", json!(["user@example.com"]), claim("email")),
        ("email", json!("user@example.com, x@y.z"), claim("email")),
        ("email", json!(""), claim("email")),
        ("sub", json!(""), claim("sub")),
        ("sub", json!("7335d417"), claim("sub")),
        ("sub", json!(7335), claim("sub")),
        ("identity_nonce", json!("6ei69kawdKzMIAP"), claim("identity_nonce")),
        ("identity_nonce", json!(null), claim("identity_nonce")),
        ("country", json!("USA"), claim("country")),
        ("country", json!(null), claim("country")),
        ("custom", json!([]), claim("custom")),
        ("custom", json!({}), Ok(())),
        ("bnd", json!("00"), claim("bnd")),
        ("bnd", json!(null), claim("bnd")),
        ("unheard_of", json!({"a": [1]}), Ok(())),
    ] {
        let mut claims = Team::claims(&team.ring.mint(&person()));
        claims[member] = value.clone();
        assert_eq!(open(&team, &team.forge(&claims)), want, "{member} = {value}");
    }
    for member in ["aud", "email", "exp", "iat", "nbf", "iss", "type", "identity_nonce", "sub"] {
        let mut claims = Team::claims(&team.ring.mint(&person()));
        claims.as_object_mut().unwrap().remove(member);
        assert_eq!(open(&team, &team.forge(&claims)), claim(member), "without {member}");
    }
    for member in ["aud", "exp", "iat", "iss", "type", "common_name", "sub"] {
        let mut claims = Team::claims(&team.ring.mint(&machine()));
        claims.as_object_mut().unwrap().remove(member);
        assert_eq!(open(&team, &team.forge(&claims)), claim(member), "a machine without {member}");
    }
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    let team = Team::new();
    let claims = Team::claims(&team.ring.mint(&person())).to_string();
    let object = "the payload is not a JSON object in which every member stands once";
    for more in [
        r#","email":"admin@example.com"}"#,
        r#","\u0065mail":"admin@example.com"}"#,
        r#","unheard_of":1,"unheard_of":2}"#,
        r#","custom":{"role":"user","role":"admin"}}"#,
    ] {
        let payload = claims.replacen('}', more, 1);
        let opened = open(&team, &team.sign(&team.header(), &payload));
        assert_eq!(opened, Err(TokenError::Malformed(object)), "{more}");
    }
}

#[test]
fn each_kind_opens_at_its_own_door_only() {
    let team = Team::new();
    for (kind, jwt) in [
        ("app", team.ring.mint(&person())),
        ("app", team.ring.mint(&machine())),
        ("org", team.ring.mint(&org())),
        ("meta", team.ring.mint(&meta())),
        ("match", team.ring.mint(&discovery(&team))),
    ] {
        for (door, opened) in [
            ("app", team.ring.open_app(&jwt, &aud(), NOW).is_ok()),
            ("app", team.ring.open_any_app(&jwt, NOW).is_ok()),
            ("org", team.ring.open_org(&jwt, &aud(), NOW).is_ok()),
            ("meta", team.ring.open_meta(&jwt, &aud(), NOW).is_ok()),
        ] {
            assert_eq!(opened, kind == door, "{kind} at the door for {door}");
        }
    }
    assert_eq!(team.ring.open_org(&team.ring.mint(&org()), &aud(), NOW), Ok(org()));
    assert_eq!(team.ring.open_meta(&team.ring.mint(&meta()), &aud(), NOW), Ok(meta()));
    let mut claims = Team::claims(&team.ring.mint(&meta()));
    claims["iss"] = json!(team.ring.issuer());
    let opened = team.ring.open_meta(&team.forge(&claims), &aud(), NOW);
    assert_eq!(opened, Err(TokenError::Issuer), "a meta token has no iss");
}
