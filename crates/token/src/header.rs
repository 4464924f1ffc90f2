//! The JOSE header: written in one spelling (access-protocol §5.2), read without obeying it.

use crate::TokenError;
use crate::members::Members;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::Kid;

/// Length of [`written`] in characters: 100 bytes of JSON.
pub(crate) const HEADER_CHARS: usize = 134;

/// The header of a token signed by `kid`: exactly `{"alg":"RS256","kid":"…","typ":"JWT"}`, in base64url.
/// Clients write the members in this order again before they send the token on.
pub(crate) fn written(kid: &Kid) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","kid":"{kid}","typ":"JWT"}}"#))
}

/// The key that a header names, once it is sure that RS256 is meant and nothing else is asked for.
///
/// `crit`, `b64`, `zip`, `cty`, `enc`, `jwk`, `jku`, `x5u`, `x5c` and every other member are refused: no token of
/// ours has them, and each is a way to make a verifier do something else (security rule 21).
///
/// # Errors
/// `Malformed`, or `Algorithm` for another `alg`.
pub(crate) fn kid(encoded: &[u8]) -> Result<Kid, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(encoded);
    let json = json.map_err(|_| TokenError::Malformed("the header is not canonical base64url"))?;
    let members: Result<Members, _> = serde_json::from_slice(&json);
    let object = "the header is not a JSON object in which every member stands once";
    let mut members = members.map_err(|_| TokenError::Malformed(object))?;
    let alg = members.text("alg").map_err(|_| TokenError::Malformed("the header has no alg"))?;
    if alg != "RS256" {
        return Err(TokenError::Algorithm { alg: alg.chars().take(16).collect() });
    }
    let kid = members.parsed("kid");
    let kid = kid.map_err(|_| TokenError::Malformed("kid is not 64 lowercase hex digits"))?;
    if members.has("typ") && members.text("typ").as_deref() != Ok("JWT") {
        return Err(TokenError::Malformed("typ is not JWT"));
    }
    if !members.is_empty() {
        return Err(TokenError::Malformed("the header holds more than alg, kid and typ"));
    }
    Ok(kid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KID: &str = "9338abe1baf2fe492f646a736f25afbf7b025e35c627be4f60c414d4c73069b8"; // seed 003

    fn read(json: &str) -> Result<Kid, TokenError> {
        kid(URL_SAFE_NO_PAD.encode(json).as_bytes())
    }

    #[test]
    fn what_is_written_is_what_seed_003_shows() {
        let kid: Kid = KID.parse().unwrap();
        let encoded = written(&kid);
        assert_eq!(encoded.len(), HEADER_CHARS);
        // The beginning of the example token of seed 003.
        assert!(encoded.starts_with("eyJhbGciOiJSUzI1NiIsImtpZCI6IjkzMzhhYmUxYmFmMmZlNDkyZjY0"));
        assert_eq!(super::kid(encoded.as_bytes()), Ok(kid));
    }

    #[test]
    fn a_header_asks_for_rs256_and_nothing_else() {
        let with = |more: &str| read(&format!(r#"{{"alg":"RS256","kid":"{KID}"{more}}}"#));
        assert!(with("").is_ok(), "typ may be absent, as in some real tokens");
        assert!(with(r#","typ":"JWT""#).is_ok());
        for more in [
            r#","typ":"JOSE""#,
            r#","typ":null"#,
            r#","crit":["b64"]"#,
            r#","crit":[]"#,
            r#","b64":false"#,
            r#","zip":"DEF""#,
            r#","cty":"JWT""#,
            r#","enc":"A128GCM""#,
            r#","jwk":{"kty":"RSA"}"#,
            r#","jku":"https://evil.example/jwks""#,
            r#","x5u":"https://evil.example/x""#,
            r#","x5c":["AA=="]"#,
            r#","x5t":"AA""#,
            r#","alg":"RS256""#,
            r#","\u0061lg":"none""#,
            r#","kid":"x""#,
        ] {
            assert!(matches!(with(more), Err(TokenError::Malformed(_))), "{more}");
        }
    }

    #[test]
    fn other_algorithms_are_named_and_refused() {
        for alg in
            ["none", "None", "nOnE", "HS256", "PS256", "ES256", "RS512", "rs256", "", "RS256 "]
        {
            let refused = read(&format!(r#"{{"alg":"{alg}","kid":"{KID}"}}"#));
            assert_eq!(refused, Err(TokenError::Algorithm { alg: alg.into() }), "{alg}");
        }
        let long = read(&format!(r#"{{"alg":"{}"}}"#, "x".repeat(5000)));
        assert_eq!(long, Err(TokenError::Algorithm { alg: "x".repeat(16) }));
        assert!(matches!(read(r#"{"alg":["RS256"]}"#), Err(TokenError::Malformed(_))));
    }

    #[test]
    fn a_key_id_is_no_path_and_no_query() {
        for kid in [
            "",
            "../../etc/passwd",
            "' OR 1=1",
            "https://evil.example",
            &KID[1..],
            &KID.to_uppercase(),
        ] {
            let refused = read(&format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
            assert!(matches!(refused, Err(TokenError::Malformed(_))), "{kid}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(read(&format!(r#"{{"alg":{}"#, "[".repeat(10_000))).is_err());
    }
}
