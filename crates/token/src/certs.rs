//! The body of `/cdn-cgi/access/certs`: a JWK set and the same keys as certificates (access-protocol §5.6, RFC 7517).
//!
//! The gateway writes it; an origin that verifies reads the JWK set back.

use crate::key::public_der;
use crate::{CertsError, SigningKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::Kid;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Longer documents are refused unread: 1 MiB, as the vendor's own client does (access-protocol §5.6).
pub const MAX_CERTS_BYTES: usize = 1024 * 1024;

#[derive(Serialize)]
struct Document<'a> {
    keys: Vec<Jwk<'a>>,
    public_cert: Certificate<'a>,
    public_certs: Vec<Certificate<'a>>,
}

#[derive(Serialize)]
struct Jwk<'a> {
    kid: &'a str,
    kty: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    e: &'static str,
    n: String,
}

#[derive(Serialize)]
struct Certificate<'a> {
    kid: &'a str,
    cert: &'a str,
}

/// The document for `keys`; `signer` comes first among them and is `public_cert`.
pub(crate) fn document(signer: &SigningKey, others: &[Arc<SigningKey>]) -> String {
    let all = || std::iter::once(signer).chain(others.iter().map(Arc::as_ref));
    let document = Document {
        keys: all().map(jwk).collect(),
        public_cert: certificate(signer),
        public_certs: all().map(certificate).collect(),
    };
    serde_json::to_string(&document).expect("texts always have a JSON form")
}

fn jwk(key: &SigningKey) -> Jwk<'_> {
    let n = URL_SAFE_NO_PAD.encode(key.modulus());
    let e = "AQAB"; // 65537, the exponent of every key
    Jwk { kid: key.kid().as_str(), kty: "RSA", alg: "RS256", usage: "sig", e, n }
}

fn certificate(key: &SigningKey) -> Certificate<'_> {
    Certificate { kid: key.kid().as_str(), cert: key.certificate_pem() }
}

#[derive(Deserialize)]
struct Received {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct ReceivedJwk {
    kid: Kid,
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    e: String,
    n: String,
}

/// The keys of a document that tokens can be signed with, each as `RSAPublicKey` in DER. Others are passed over, so
/// that a key of a kind yet to come does not take the document's other keys away (RFC 7517 §5).
pub(crate) fn read(body: &[u8]) -> Result<Vec<(Kid, Vec<u8>)>, CertsError> {
    if body.len() > MAX_CERTS_BYTES {
        return Err(CertsError::TooLarge);
    }
    let received: Received = serde_json::from_slice(body).map_err(|_| CertsError::NotAKeySet)?;
    let mut keys: Vec<(Kid, Vec<u8>)> = Vec::with_capacity(received.keys.len());
    for (kid, der) in received.keys.into_iter().filter_map(usable) {
        if keys.iter().any(|(known, _)| *known == kid) {
            return Err(CertsError::Duplicate { kid });
        }
        keys.push((kid, der));
    }
    if keys.is_empty() { Err(CertsError::NoKey) } else { Ok(keys) }
}

/// A key as every key of ours is: RSA of 2048 bits with the exponent 65537, for signatures by RS256.
fn usable(jwk: serde_json::Value) -> Option<(Kid, Vec<u8>)> {
    let jwk: ReceivedJwk = serde_json::from_value(jwk).ok()?;
    let for_rs256 = jwk.kty == "RSA"
        && jwk.alg.is_none_or(|alg| alg == "RS256")
        && jwk.usage.is_none_or(|usage| usage == "sig");
    if !for_rs256 || jwk.e != "AQAB" {
        return None;
    }
    let modulus = URL_SAFE_NO_PAD.decode(jwk.n).ok()?;
    Some((jwk.kid, public_der(&modulus)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::UnixSeconds;
    use serde_json::json;

    #[test]
    fn the_document_is_that_of_the_contract() {
        let now = UnixSeconds(1_800_000_000);
        let [signer, next] = [0, 1].map(|_| Arc::new(SigningKey::generate(now, now)));
        let text = document(&signer, &[Arc::clone(&next)]);
        let pem = |key: &SigningKey| json!({"kid": key.kid(), "cert": key.certificate_pem()});
        let jwk = |key: &SigningKey| {
            json!({"kid": key.kid(), "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB",
                "n": URL_SAFE_NO_PAD.encode(key.modulus())})
        };
        let want = json!({"keys": [jwk(&signer), jwk(&next)], "public_cert": pem(&signer),
            "public_certs": [pem(&signer), pem(&next)]});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), want);
        let start = format!(
            r#"{{"keys":[{{"kid":"{}","kty":"RSA","alg":"RS256","use":"sig","e":"AQAB","n":""#,
            signer.kid()
        );
        assert!(text.starts_with(&start), "members in the order of the contract");
        assert!(signer.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
        assert!(!signer.certificate_pem().contains('\r'));
    }

    #[test]
    fn what_is_written_can_be_read_and_what_is_not_ours_is_passed_over() {
        let now = UnixSeconds(1_800_000_000);
        let [signer, next] = [0, 1].map(|_| Arc::new(SigningKey::generate(now, now)));
        let pair = |key: &SigningKey| (key.kid().clone(), key.public_der().to_vec());
        let text = document(&signer, &[Arc::clone(&next)]);
        assert_eq!(read(text.as_bytes()), Ok(vec![pair(&signer), pair(&next)]));

        let set = |keys: &[serde_json::Value]| read(json!({"keys": keys}).to_string().as_bytes());
        let good = serde_json::to_value(jwk(&signer)).unwrap();
        let other = serde_json::to_value(jwk(&next)).unwrap();
        let with = |member: &str, value: serde_json::Value| {
            let mut changed = good.clone();
            changed[member] = value;
            changed
        };
        for (member, value) in [
            ("kty", json!("EC")),
            ("kty", json!("oct")),
            ("alg", json!("HS256")),
            ("alg", json!("RS512")),
            ("use", json!("enc")),
            ("e", json!("Aw")),
            ("kid", json!("../../etc/passwd")),
            ("kid", json!(5)),
            ("n", json!("AQAB")),
            ("n", json!(format!("{}==", good["n"].as_str().unwrap()))),
            ("n", json!("A".repeat(342))),
            ("n", json!(null)),
        ] {
            let keys = [with(member, value.clone()), other.clone()];
            assert_eq!(set(&keys), Ok(vec![pair(&next)]), "{member} = {value}");
            assert_eq!(set(&keys[..1]), Err(CertsError::NoKey), "{member} = {value}");
        }
        let mut bare = good.clone();
        bare.as_object_mut().unwrap().retain(|name, _| name != "alg" && name != "use");
        assert_eq!(set(&[bare]), Ok(vec![pair(&signer)]), "both may be absent (RFC 7517 §4)");

        let duplicate = CertsError::Duplicate { kid: signer.kid().clone() };
        assert_eq!(set(&[good.clone(), with("n", other["n"].clone())]), Err(duplicate));
        for body in ["", "[]", "{}", "<html>", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert_eq!(read(body.as_bytes()), Err(CertsError::NotAKeySet), "{body}");
        }
        let padded = |length: usize| format!("{text}{}", " ".repeat(length - text.len()));
        assert!(read(padded(MAX_CERTS_BYTES).as_bytes()).is_ok());
        assert_eq!(read(padded(MAX_CERTS_BYTES + 1).as_bytes()), Err(CertsError::TooLarge));
    }
}
