//! The body of `/cdn-cgi/access/certs`: a JWK set and the same keys as certificates (access-protocol §5.6, RFC 7517).

use crate::SigningKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use std::sync::Arc;

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
}
