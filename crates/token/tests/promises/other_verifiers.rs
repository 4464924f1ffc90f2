//! Verifiers that know nothing of this crate: what an origin does with the certs document (access-protocol §5.5).

use crate::forge::{NOW, Team, aud, decode, discovery, meta, person};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use narthex_token::MAX_MINTED_BYTES;
use serde_json::{Value, json};

/// Seed 003: check the signature, the issuer, the audience and the expiry, with the key that `kid` names.
fn origin(team: &Team, jwt: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let certs: Value = serde_json::from_str(team.ring.certs_json()).unwrap();
    let kid = jsonwebtoken::decode_header(jwt)?.kid.unwrap();
    let keys = certs["keys"].as_array().unwrap();
    let jwk = keys.iter().find(|jwk| jwk["kid"] == kid.as_str()).unwrap();
    let (n, e) = (jwk["n"].as_str().unwrap(), jwk["e"].as_str().unwrap());
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&["https://access.example.com:8443"]);
    validation.set_audience(&[aud().as_str()]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_exp = false; // the tokens of these tests live in another year
    let key = DecodingKey::from_rsa_components(n, e)?;
    Ok(jsonwebtoken::decode::<Value>(jwt, &key, &validation)?.claims)
}

#[test]
fn an_origin_accepts_a_persons_token() {
    let team = Team::new();
    let jwt = team.ring.mint(&person());
    assert_eq!(
        origin(&team, &jwt).unwrap(),
        json!({"aud": [aud().as_str()], "email": "user@example.com", "exp": NOW.0 + 86_400, "iat": NOW.0,
            "nbf": NOW.0, "iss": "https://access.example.com:8443", "type": "app",
            "identity_nonce": "6ei69kawdKzMIAPF", "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
            "country": "US"})
    );
    assert_eq!(decode(jwt.split('.').next().unwrap()), team.header().as_bytes());
}

/// Anybody who asks for an application gets a meta token and a discovery token with the application's audience.
#[test]
fn an_origin_refuses_what_strangers_hold() {
    let team = Team::new();
    assert!(origin(&team, &team.ring.mint(&meta())).is_err());
    assert!(origin(&team, &team.ring.mint(&discovery(&team))).is_err());
}

#[test]
fn the_certificate_wraps_the_key_of_the_jwk() {
    let team = Team::new();
    let certs: Value = serde_json::from_str(team.ring.certs_json()).unwrap();
    let pem = certs["public_cert"]["cert"].as_str().unwrap();
    let (rest, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    assert!(rest.is_empty());
    let certificate = pem.parse_x509().unwrap();
    let key = certificate.public_key().parsed().unwrap();
    let x509_parser::public_key::PublicKey::RSA(key) = key else { panic!("an RSA key") };
    let n = decode(certs["keys"][0]["n"].as_str().unwrap());
    assert_eq!(key.modulus, [&[0][..], &n].concat());
    assert_eq!(key.try_exponent(), Ok(65537));
    let spki = certificate.public_key().raw;
    let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki);
    let signature = &certificate.signature_value.data;
    verifier.verify(certificate.tbs_certificate.as_ref(), signature).expect("self-signed");
    let validity = certificate.validity();
    assert!(validity.not_before.timestamp() < NOW.0);
    assert!(validity.not_after.timestamp() > NOW.0 + 2 * 365 * 86_400);
}

#[test]
fn a_cookie_is_never_too_long() {
    let team = Team::new();
    let mut token = person();
    for at in 0..200 {
        token.custom.insert(format!("claim{at}"), json!("ü".repeat(at)));
    }
    let minted = team.ring.mint_person(&token);
    assert!(minted.jwt.len() <= MAX_MINTED_BYTES, "{}", minted.jwt.len());
    assert!(minted.jwt.len() > MAX_MINTED_BYTES - 300, "and no more is dropped than must be");
    assert_eq!(minted.dropped[0], "claim199");
    let claims = origin(&team, &minted.jwt).unwrap();
    assert_eq!(claims["custom"].as_object().unwrap().len() + minted.dropped.len(), 200);
    assert!(!format!("{minted:?}").contains("eyJ"), "a token is not printed");
}
