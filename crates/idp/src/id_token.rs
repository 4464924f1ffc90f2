//! Opens an ID token: our strict reading first, then the library's checks, both over the same text
//! (OpenID Connect Core §3.1.3.7; security O1 to O3).
//!
//! The library checks signature, issuer, audience, expiry and nonce. Ours are the spelling (one base64url, no member twice),
//! the algorithm list, `azp`, `iat`, `nbf`, `sub`, and `at_hash` and `c_hash` when they are there.

use crate::fence;
use crate::json;
use crate::keys::{ALGORITHMS, KeySet};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::UnixSeconds;
use openidconnect::core::{
    CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthorizationCode, AuthorizationCodeHash,
    ClaimsVerificationError, ClientId, EmptyAdditionalClaims, IdTokenVerifier, IssuerUrl, Nonce,
    SignatureVerificationError,
};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};
use url::Url;

type IdToken = openidconnect::IdToken<
    EmptyAdditionalClaims,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// The longest ID token, in bytes.
const LONGEST: usize = 512 * 1024;
/// How far the provider's clock may be from ours, in seconds; for `iat` and `nbf` only.
const SKEW: i64 = 60;
/// A token older than a login may take was not made for this login.
const OLDEST: i64 = 600;

/// What the token has to be.
pub(crate) struct Expected<'a> {
    pub(crate) client_id: &'a str,
    /// The issuer, when it is known.
    pub(crate) issuer: Option<&'a str>,
    /// Where the keys come from: the origin of an issuer that is not known.
    pub(crate) certs_url: &'a Url,
    /// The `iss` of the callback, when there was one (RFC 9207).
    pub(crate) callback_issuer: Option<&'a str>,
    pub(crate) nonce: &'a str,
    pub(crate) access_token: &'a AccessToken,
    pub(crate) code: &'a str,
    pub(crate) now: UnixSeconds,
}

/// Why a token was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Signed by a key that is not in the set, or, when the token names no key, that does not fit: newer keys may help.
    Key(String),
    /// Nothing helps.
    Token(String),
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Token(why.into()))
}

/// Checks everything and returns the claims.
///
/// # Errors
/// [`Refused`]; the texts repeat nothing of the token but key ids, algorithms and issuers.
pub(crate) fn open(raw: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Object, Refused> {
    let (header, claims) = read(raw)?;
    check_header(&header)?;
    let issuer = check_issuer(&claims, expected)?;
    check_audience(&claims, expected.client_id)?;
    check_times(&claims, expected.now)?;
    check_subject(&claims)?;
    check_with_library(raw, keys, issuer, header.contains_key("kid"), expected)?;
    Ok(claims)
}

type Object = Map<String, Value>;

/// Header and claims in their one spelling.
fn read(raw: &str) -> Result<(Object, Object), Refused> {
    if raw.len() > LONGEST {
        return refuse(format!("the ID token is longer than {LONGEST} bytes"));
    }
    let parts: Vec<&str> = raw.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return refuse("the ID token is not a signed JWT of three parts");
    };
    let decode = |part: &str, what: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| Refused::Token(format!("the ID token's {what} is not base64url")))
    };
    let object = |part: &str, what: &str| {
        json::object(&decode(part, what)?)
            .map_err(|why| Refused::Token(format!("the ID token's {what}: {why}")))
    };
    decode(signature, "signature")?;
    Ok((object(header, "header")?, object(claims, "payload")?))
}

fn check_header(header: &Object) -> Result<(), Refused> {
    let alg = header.get("alg").cloned().unwrap_or_default();
    let known = serde_json::from_value::<CoreJwsSigningAlgorithm>(alg.clone()).ok();
    if !known.is_some_and(|known| ALGORITHMS.contains(&known)) {
        let alg: String = alg.to_string().chars().take(20).collect();
        return refuse(format!(
            "the ID token is signed with {alg}; set the provider to RS256, RS512, PS512, ES256, ES384 or ES512"
        ));
    }
    for unknown in ["crit", "b64", "zip", "enc", "cty"] {
        if header.contains_key(unknown) {
            return refuse(format!("the ID token's header has {unknown:?}"));
        }
    }
    match header.get("kid") {
        None => Ok(()),
        Some(Value::String(kid)) if kid.len() <= 256 => Ok(()),
        Some(_) => refuse("the ID token's key id is not a short text"),
    }
}

/// The token's issuer, which is the expected one, and the callback's.
fn check_issuer<'a>(claims: &'a Object, expected: &Expected<'_>) -> Result<&'a str, Refused> {
    let Some(issuer) = claims.get("iss").and_then(Value::as_str) else {
        return refuse("the ID token names no issuer");
    };
    let cut: String = issuer.chars().filter(|c| !c.is_control()).take(200).collect();
    match expected.issuer {
        Some(want) if want == issuer => {}
        Some(want) => {
            return refuse(format!("the ID token's issuer is {cut}; {want} is expected"));
        }
        None if is_of_origin(issuer, expected.certs_url) => {}
        None => {
            return refuse(format!(
                "the ID token's issuer is {cut}, of another origin than certs_url; if that is right, configure it as issuer"
            ));
        }
    }
    match expected.callback_issuer {
        Some(other) if other != issuer => {
            refuse("the callback names another issuer than the ID token")
        }
        Some(_) | None => Ok(issuer),
    }
}

/// Whether `issuer` is an https address (http on this machine) of the origin of `certs_url`.
fn is_of_origin(issuer: &str, certs_url: &Url) -> bool {
    let plain = |url: &Url| {
        url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    let safe = |url: &Url| {
        url.scheme() == "https" || (url.scheme() == "http" && fence::is_this_machine(url))
    };
    issuer
        .parse::<Url>()
        .is_ok_and(|url| safe(&url) && plain(&url) && url.origin() == certs_url.origin())
}

/// `aud` holds our client id; with other audiences beside it, `azp` says that the token is for us.
fn check_audience(claims: &Object, client_id: &str) -> Result<(), Refused> {
    let audiences: Option<Vec<&str>> = match claims.get("aud") {
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(several)) if several.len() <= 20 => {
            several.iter().map(Value::as_str).collect()
        }
        Some(_) | None => None,
    };
    let Some(audiences) = audiences else {
        return refuse("the ID token's audience is missing or not a text");
    };
    if !audiences.contains(&client_id) {
        return refuse("the ID token is for another client");
    }
    match claims.get("azp") {
        None if audiences.len() > 1 => {
            refuse("the ID token is for several clients and does not say which one asked (azp)")
        }
        None => Ok(()),
        Some(azp) if azp == client_id => Ok(()),
        Some(_) => refuse("the ID token was asked for by another client (azp)"),
    }
}

/// `exp`, `iat` and `nbf` are whole seconds; `exp` is strict, the others allow for a minute of skew.
fn check_times(claims: &Object, now: UnixSeconds) -> Result<(), Refused> {
    let whole = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) if (0..=253_402_300_799).contains(&seconds) => Ok(Some(seconds)),
            Some(_) | None => refuse(format!("the ID token's {name} is not a time")),
        },
    };
    match whole("exp")? {
        Some(exp) if now.0 < exp => {}
        Some(exp) => {
            return refuse(format!(
                "the ID token expired at {exp}, and it is {now} (Unix seconds)"
            ));
        }
        None => return refuse("the ID token has no exp"),
    }
    match whole("iat")? {
        Some(iat) if iat > now.0 + SKEW => {
            refuse("the ID token is from the future; compare the clocks of both machines")
        }
        Some(iat) if iat < now.0 - OLDEST - SKEW => {
            refuse("the ID token is older than this login; compare the clocks of both machines")
        }
        Some(_) => Ok(()),
        None => refuse("the ID token has no iat"),
    }?;
    match whole("nbf")? {
        Some(nbf) if nbf > now.0 + SKEW => refuse("the ID token is not valid yet"),
        Some(_) | None => Ok(()),
    }
}

fn check_subject(claims: &Object) -> Result<(), Refused> {
    match claims.get("sub").and_then(Value::as_str) {
        Some(sub) if (1..=255).contains(&sub.len()) && !sub.chars().any(char::is_control) => Ok(()),
        Some(_) | None => refuse("the ID token's sub is not a text of 1 to 255 bytes"),
    }
}

fn check_with_library(
    raw: &str,
    keys: &KeySet,
    issuer: &str,
    names_key: bool,
    expected: &Expected<'_>,
) -> Result<(), Refused> {
    let issuer = IssuerUrl::new(issuer.to_owned())
        .map_err(|_| Refused::Token("the ID token's issuer is not an address".to_owned()))?;
    let token: IdToken = raw
        .parse()
        .map_err(|_| Refused::Token("a claim of the ID token has a wrong type".to_owned()))?;
    let now = SystemTime::UNIX_EPOCH
        + Duration::from_secs(u64::try_from(expected.now.0).unwrap_or_default());
    let client_id = ClientId::new(expected.client_id.to_owned());
    let verifier = IdTokenVerifier::new_public_client(client_id, issuer, keys.clone())
        .set_allowed_algs(ALGORITHMS)
        .set_other_audience_verifier_fn(|_| true) // `check_audience` has asked for `azp`
        .set_time_fn(move || now.into());
    let nonce = Nonce::new(expected.nonce.to_owned());
    let claims = token.claims(&verifier, &nonce).map_err(|e| explain(&e, names_key))?;

    let unsigned = |_| Refused::Token("the ID token's signature cannot be read".to_owned());
    let key = token.signing_key(&verifier).map_err(unsigned)?;
    let alg = token.signing_alg().map_err(unsigned)?;
    let unhashed = |_| Refused::Token("the ID token's hashes cannot be computed".to_owned());
    if let Some(hash) = claims.access_token_hash() {
        let want =
            AccessTokenHash::from_token(expected.access_token, alg, key).map_err(unhashed)?;
        if *hash != want {
            return refuse("the ID token belongs to another access token (at_hash)");
        }
    }
    if let Some(hash) = claims.code_hash() {
        let code = AuthorizationCode::new(expected.code.to_owned());
        let want = AuthorizationCodeHash::from_code(&code, alg, key).map_err(unhashed)?;
        if *hash != want {
            return refuse("the ID token belongs to another code (c_hash)");
        }
    }
    Ok(())
}

fn explain(error: &ClaimsVerificationError, names_key: bool) -> Refused {
    use ClaimsVerificationError as E;
    use SignatureVerificationError as S;
    let text = match error {
        E::Expired(_) => "the ID token has expired",
        E::InvalidAudience(_) => "the ID token is for another client",
        E::InvalidIssuer(_) => "the ID token is from another issuer",
        E::InvalidNonce(_) => "the ID token was not made for this login (nonce)",
        E::SignatureVerification(S::NoMatchingKey) => {
            return Refused::Key(
                "the ID token is signed by a key that certs_url does not name".into(),
            );
        }
        E::SignatureVerification(S::CryptoError(_)) if !names_key => {
            return Refused::Key("the ID token names no key, and none of certs_url fits".into());
        }
        E::SignatureVerification(S::CryptoError(_)) => "the ID token's signature does not match",
        E::SignatureVerification(S::AmbiguousKeyId(_)) => {
            "the ID token does not say which of several keys signed it"
        }
        E::SignatureVerification(S::InvalidKey(why)) => {
            return Refused::Token(format!("the ID token's key is not accepted: {why}"));
        }
        E::SignatureVerification(_) => "the ID token's signature cannot be checked",
        E::InvalidAuthContext(_)
        | E::InvalidAuthTime(_)
        | E::InvalidSubject(_)
        | E::Other(_)
        | E::Unsupported(_)
        | _ => "the ID token is not what it has to be",
    };
    Refused::Token(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_token_has_one_spelling() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let (header, claims) = (part("{\"alg\":\"RS256\"}"), part("{\"a\":1}"));
        assert!(read(&format!("{header}.{claims}.AAAA")).is_ok());
        for (name, near_miss) in [
            ("two parts", format!("{header}.{claims}")),
            ("four parts", format!("{header}.{claims}.AAAA.AAAA")),
            ("padded", format!("{header}=.{claims}.AAAA")),
            ("stray bits", format!("{header}.{claims}.AAF")),
            ("other alphabet", format!("{header}.{claims}.AA+/")),
            ("white space", format!("{header}.{claims}.AAAA\n")),
            ("a member twice", format!("{header}.{}.AAAA", part("{\"sub\":\"a\",\"sub\":\"b\"}"))),
            ("a header member twice", format!("{}.{claims}.AAAA", part("{\"alg\":1,\"alg\":2}"))),
            ("JSON form", "{\"payload\":\"\"}".to_owned()),
            ("too long", "a".repeat(LONGEST + 1)),
        ] {
            assert!(read(&near_miss).is_err(), "{name}");
        }
    }

    #[test]
    fn headers() {
        for alg in ["RS256", "RS512", "PS512", "ES256", "ES384", "ES512"] {
            assert_eq!(check_header(&map(json!({"alg": alg, "typ": "JWT"}))), Ok(()), "{alg}");
        }
        for near_miss in [
            json!({}),
            json!({"alg": "none"}),
            json!({"alg": "None"}),
            json!({"alg": "rs256"}),
            json!({"alg": "HS256"}),
            json!({"alg": "RS384"}),
            json!({"alg": "EdDSA"}),
            json!({"alg": ["RS256"]}),
            json!({"alg": "RS256", "crit": ["exp"]}),
            json!({"alg": "RS256", "b64": false}),
            json!({"alg": "RS256", "zip": "DEF"}),
            json!({"alg": "RS256", "cty": "JWT"}),
            json!({"alg": "RS256", "kid": 1}),
            json!({"alg": "RS256", "kid": "x".repeat(257)}),
        ] {
            assert!(check_header(&map(near_miss.clone())).is_err(), "{near_miss}");
        }
    }

    #[test]
    fn audiences() {
        for (claims, ok) in [
            (json!({"aud": "us"}), true),
            (json!({"aud": ["us"]}), true),
            (json!({"aud": "us", "azp": "us"}), true),
            (json!({"aud": ["them", "us"], "azp": "us"}), true),
            (json!({"aud": ["them", "us"]}), false),
            (json!({"aud": ["them", "us"], "azp": "them"}), false),
            (json!({"aud": "us", "azp": "them"}), false),
            (json!({"aud": "us", "azp": null}), false),
            (json!({"aud": "us", "azp": ["us"]}), false),
            (json!({"aud": "them", "azp": "us"}), false),
            (json!({"aud": "us2"}), false),
            (json!({"aud": ["us", 1], "azp": "us"}), false),
            (json!({"aud": [["us"]]}), false),
            (json!({"aud": []}), false),
            (json!({"aud": {"us": 1}}), false),
            (json!({}), false),
        ] {
            assert_eq!(check_audience(&map(claims.clone()), "us").is_ok(), ok, "{claims}");
        }
    }

    #[test]
    fn times() {
        let now = NOW.0;
        for (claims, ok) in [
            (json!({"exp": now + 1, "iat": now}), true),
            (json!({"exp": now + 1, "iat": now + 60, "nbf": now + 60}), true),
            (json!({"exp": now + 1, "iat": now - 660}), true),
            (json!({"exp": now, "iat": now}), false),
            (json!({"exp": now + 1, "iat": now + 61}), false),
            (json!({"exp": now + 1, "iat": now - 661}), false),
            (json!({"exp": now + 1, "iat": now, "nbf": now + 61}), false),
            (json!({"exp": now + 1}), false),
            (json!({"iat": now}), false),
            (json!({"exp": (now + 1).to_string(), "iat": now}), false),
            (json!({"exp": now + 1, "iat": true}), false),
            (json!({"exp": now + 1, "iat": null}), false),
            (json!({"exp": now + 1, "iat": now, "nbf": "0"}), false),
            (json!({"exp": 1e300, "iat": now}), false),
            (json!({"exp": 1.9e9, "iat": now}), false),
            (json!({"exp": u64::MAX, "iat": now}), false),
            (json!({"exp": i64::MAX, "iat": now}), false),
            (json!({"exp": now + 1, "iat": -1}), false),
        ] {
            assert_eq!(check_times(&map(claims.clone()), NOW).is_ok(), ok, "{claims}");
        }
    }

    #[test]
    fn subjects() {
        for (claims, ok) in [
            (json!({"sub": "a"}), true),
            (json!({"sub": "é".repeat(127)}), true),
            (json!({"sub": "é".repeat(128)}), false),
            (json!({"sub": ""}), false),
            (json!({"sub": 1}), false),
            (json!({"sub": "a\nb"}), false),
            (json!({}), false),
        ] {
            assert_eq!(check_subject(&map(claims.clone())).is_ok(), ok, "{claims}");
        }
    }

    #[test]
    fn an_unknown_issuer_has_the_origin_of_the_keys() {
        let https: Url = "https://login.example/tenant/keys".parse().unwrap();
        let local: Url = "http://localhost:9000/keys".parse().unwrap();
        for (issuer, certs, ok) in [
            ("https://login.example/tenant/v2.0", &https, true),
            ("https://login.example", &https, true),
            ("https://login.example:443/", &https, true),
            ("http://localhost:9000", &local, true),
            ("http://login.example", &https, false),
            ("https://login.example:444", &https, false),
            ("https://login.example.evil", &https, false),
            ("https://evil@login.example", &https, false),
            ("https://login.example/?x", &https, false),
            ("http://localhost:9001", &local, false),
            ("login.example", &https, false),
            ("", &https, false),
        ] {
            assert_eq!(is_of_origin(issuer, certs), ok, "{issuer}");
        }
    }
}
