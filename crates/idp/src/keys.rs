//! The keys that a provider signs with: its JWKS (RFC 7517), verified with aws-lc-rs.
//!
//! The algorithm list is access-protocol §12.2. `none` and shared secrets cannot be expressed: a key of another type than RSA
//! or EC is not even kept. RSA keys below 2,048 bits or with a weak exponent are kept only to be refused by name.

use crate::ask;
use crate::error::IdpError;
use crate::outbound::OutboundHttp;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use openidconnect::core::{
    CoreJsonCurveType, CoreJsonWebKeyType, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    JsonWebKey, JsonWebKeyAlgorithm, JsonWebKeyId, JsonWebKeySet, SignatureVerificationError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

/// The algorithms that ID tokens may be signed with (access-protocol §12.2).
pub(crate) const ALGORITHMS: [CoreJwsSigningAlgorithm; 6] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EcdsaP521Sha512,
];

/// How many keys of one set are looked at.
const KEYS: usize = 100;

/// A provider's key set.
pub(crate) type KeySet = JsonWebKeySet<ProviderKey>;

/// Fetches and reads the key set at `url`.
///
/// # Errors
/// As [`ask::call`]; `Misconfigured` when nothing is there; `BadAnswer` when no usable key is in it.
pub(crate) async fn fetch(http: &OutboundHttp, url: &Url) -> Result<KeySet, IdpError> {
    let answer = ask::get(http, url, None, "certs_url").await?;
    if answer.status() != StatusCode::OK {
        let code = answer.status().as_u16();
        return Err(IdpError::Misconfigured(format!("certs_url answered {code}")));
    }
    let keys = read(&ask::object(answer.body(), "certs_url")?);
    if keys.keys().is_empty() {
        let none = "certs_url names no RSA or EC key for signatures";
        return Err(IdpError::BadAnswer(none.to_owned()));
    }
    Ok(keys)
}

/// Reads a JWKS; keys that are not for us are skipped (RFC 7517 §5).
pub(crate) fn read(document: &Map<String, Value>) -> KeySet {
    let keys = document.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let keys = keys.iter().take(KEYS).filter_map(Value::as_object);
    JsonWebKeySet::new(keys.filter_map(ProviderKey::read).collect())
}

/// One public key of a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProviderKey {
    kid: Option<JsonWebKeyId>,
    kty: CoreJsonWebKeyType,
    usage: Option<CoreJsonWebKeyUse>,
    alg: Option<CoreJwsSigningAlgorithm>,
    material: Material,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The point, uncompressed: 4, x, y.
    Ec {
        curve: CoreJsonCurveType,
        point: Vec<u8>,
    },
    /// Verifies nothing.
    Nothing,
}

impl ProviderKey {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let of_type = |name: &str| match jwk.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(|text| Some(text.to_owned())),
        };
        let verifies = |ops: &Value| ops.as_array().is_some_and(|o| o.contains(&"verify".into()));
        if !jwk.get("key_ops").is_none_or(verifies) || of_type("use")?.is_some_and(|u| u != "sig") {
            return None;
        }
        let (kty, material) = match text("kty")? {
            "RSA" => {
                let strip = |b: Vec<u8>| b.into_iter().skip_while(|b| *b == 0).collect();
                let (n, e) = (strip(bytes("n")?), strip(bytes("e")?));
                (CoreJsonWebKeyType::RSA, Material::Rsa { n, e })
            }
            "EC" => {
                let (curve, size) = match text("crv")? {
                    "P-256" => (CoreJsonCurveType::P256, 32),
                    "P-384" => (CoreJsonCurveType::P384, 48),
                    "P-521" => (CoreJsonCurveType::P521, 66),
                    _ => return None,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != size || y.len() != size {
                    return None;
                }
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                (CoreJsonWebKeyType::EllipticCurve, Material::Ec { curve, point })
            }
            _ => return None,
        };
        // An algorithm that we do not know makes the key one that is not for us.
        let alg = match jwk.get("alg") {
            None => None,
            Some(alg) => Some(serde_json::from_value(alg.clone()).ok()?),
        };
        let kid = of_type("kid")?.map(JsonWebKeyId::new);
        Some(Self { kid, kty, usage: Some(CoreJsonWebKeyUse::Signature), alg, material })
    }

    fn verify_rsa(
        n: &[u8],
        e: &[u8],
        scheme: &'static signature::RsaParameters,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureVerificationError> {
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        let weak = |why: &str| Err(SignatureVerificationError::InvalidKey(why.to_owned()));
        if bits < 2048 {
            return weak(&format!("the RSA key has {bits} bits; at least 2048 are needed"));
        }
        let exponent = e.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        if e.len() > 8 || exponent < 65_537 || exponent % 2 == 0 {
            return weak("the RSA key's exponent is not an odd number from 65537");
        }
        RsaPublicKeyComponents { n, e }
            .verify(scheme, message, signature)
            .map_err(|_| SignatureVerificationError::CryptoError("no match".to_owned()))
    }
}

impl JsonWebKey for ProviderKey {
    type KeyUse = CoreJsonWebKeyUse;
    type SigningAlgorithm = CoreJwsSigningAlgorithm;

    fn key_id(&self) -> Option<&JsonWebKeyId> {
        self.kid.as_ref()
    }

    fn key_type(&self) -> &CoreJsonWebKeyType {
        &self.kty
    }

    fn key_use(&self) -> Option<&CoreJsonWebKeyUse> {
        self.usage.as_ref()
    }

    fn signing_alg(&self) -> JsonWebKeyAlgorithm<&CoreJwsSigningAlgorithm> {
        self.alg.as_ref().map_or(JsonWebKeyAlgorithm::Unspecified, JsonWebKeyAlgorithm::Algorithm)
    }

    /// The library makes such keys from client secrets, for algorithms that [`ALGORITHMS`] does not name.
    fn new_symmetric(_: Vec<u8>) -> Self {
        let (kty, material) = (CoreJsonWebKeyType::Symmetric, Material::Nothing);
        Self { kid: None, kty, usage: None, alg: None, material }
    }

    fn verify_signature(
        &self,
        algorithm: &CoreJwsSigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureVerificationError> {
        use CoreJwsSigningAlgorithm as Alg;
        let ec = |scheme, point| {
            UnparsedPublicKey::new(scheme, point)
                .verify(message, signature)
                .map_err(|_| SignatureVerificationError::CryptoError("no match".to_owned()))
        };
        let rsa = |scheme, n, e| Self::verify_rsa(n, e, scheme, message, signature);
        match (algorithm, &self.material) {
            (Alg::RsaSsaPkcs1V15Sha256, Material::Rsa { n, e }) => {
                rsa(&signature::RSA_PKCS1_2048_8192_SHA256, n, e)
            }
            (Alg::RsaSsaPkcs1V15Sha512, Material::Rsa { n, e }) => {
                rsa(&signature::RSA_PKCS1_2048_8192_SHA512, n, e)
            }
            (Alg::RsaSsaPssSha512, Material::Rsa { n, e }) => {
                rsa(&signature::RSA_PSS_2048_8192_SHA512, n, e)
            }
            (Alg::EcdsaP256Sha256, Material::Ec { curve: CoreJsonCurveType::P256, point }) => {
                ec(&signature::ECDSA_P256_SHA256_FIXED, point)
            }
            (Alg::EcdsaP384Sha384, Material::Ec { curve: CoreJsonCurveType::P384, point }) => {
                ec(&signature::ECDSA_P384_SHA384_FIXED, point)
            }
            (Alg::EcdsaP521Sha512, Material::Ec { curve: CoreJsonCurveType::P521, point }) => {
                ec(&signature::ECDSA_P521_SHA512_FIXED, point)
            }
            (_, _) => Err(SignatureVerificationError::InvalidKey(
                "the algorithm and the key do not belong together".to_owned(),
            )),
        }
    }

    /// For `at_hash` and `c_hash` (OpenID Connect Core §3.1.3.6): the hash of the signature's algorithm.
    fn hash_bytes(&self, bytes: &[u8], alg: &CoreJwsSigningAlgorithm) -> Result<Vec<u8>, String> {
        use CoreJwsSigningAlgorithm as Alg;
        let algorithm = match alg {
            Alg::RsaSsaPkcs1V15Sha256 | Alg::EcdsaP256Sha256 => &digest::SHA256,
            Alg::EcdsaP384Sha384 => &digest::SHA384,
            Alg::RsaSsaPkcs1V15Sha512 | Alg::RsaSsaPssSha512 | Alg::EcdsaP521Sha512 => {
                &digest::SHA512
            }
            Alg::HmacSha256
            | Alg::HmacSha384
            | Alg::HmacSha512
            | Alg::RsaSsaPkcs1V15Sha384
            | Alg::RsaSsaPssSha256
            | Alg::RsaSsaPssSha384
            | Alg::EdDsa
            | Alg::None
            | _ => return Err("not an algorithm for ID tokens".to_owned()),
        };
        Ok(digest::digest(algorithm, bytes).as_ref().to_vec())
    }
}

#[cfg(test)]
mod vectors;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(jwk: Value) -> Option<ProviderKey> {
        ProviderKey::read(jwk.as_object().unwrap())
    }

    #[test]
    fn only_public_signature_keys_are_kept() {
        let b64 = |n: usize| URL_SAFE_NO_PAD.encode(vec![0xab; n]);
        let rsa = |extra: Value| {
            let mut jwk = json!({"kty": "RSA", "n": b64(256), "e": "AQAB"});
            jwk.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            jwk
        };
        for (name, jwk, kept) in [
            ("plain RSA", rsa(json!({})), true),
            ("with kid, use and alg", rsa(json!({"kid": "1", "use": "sig", "alg": "PS512"})), true),
            ("for verifying", rsa(json!({"key_ops": ["verify"]})), true),
            ("P-256", json!({"kty": "EC", "crv": "P-256", "x": b64(32), "y": b64(32)}), true),
            ("P-521", json!({"kty": "EC", "crv": "P-521", "x": b64(66), "y": b64(66)}), true),
            ("for encryption", rsa(json!({"use": "enc"})), false),
            ("for wrapping", rsa(json!({"key_ops": ["wrapKey"]})), false),
            ("for RSA-OAEP", rsa(json!({"alg": "RSA-OAEP"})), false),
            ("kid of a wrong type", rsa(json!({"kid": 1})), false),
            ("n of a wrong type", rsa(json!({"n": 5})), false),
            ("n padded", rsa(json!({"n": "qw=="})), false),
            ("a secret", json!({"kty": "oct", "k": b64(32)}), false),
            (
                "x too short",
                json!({"kty": "EC", "crv": "P-256", "x": b64(31), "y": b64(32)}),
                false,
            ),
            (
                "Bitcoin's curve",
                json!({"kty": "EC", "crv": "secp256k1", "x": b64(32), "y": b64(32)}),
                false,
            ),
            ("Ed25519", json!({"kty": "OKP", "crv": "Ed25519", "x": b64(32)}), false),
            ("no type", json!({"n": b64(256), "e": "AQAB"}), false),
        ] {
            assert_eq!(key(jwk).is_some(), kept, "{name}");
        }
        let many: Vec<Value> = (0..5_000).map(|_| rsa(json!({}))).collect();
        let set = json!({"keys": many});
        assert_eq!(read(set.as_object().unwrap()).keys().len(), KEYS);
    }

    #[test]
    fn weak_rsa_keys_are_refused_by_name() {
        let verify = |n: Vec<u8>, e: &[u8]| {
            let jwk = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e)});
            let alg = CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256;
            key(jwk).unwrap().verify_signature(&alg, b"message", &[1; 256]).unwrap_err()
        };
        let weak = |error| matches!(error, SignatureVerificationError::InvalidKey(_));
        let mut leading_zeros = vec![0; 192];
        leading_zeros.extend([0xff; 128]);
        let mut one_bit_short = vec![0xff; 256];
        one_bit_short[0] = 0x7f;
        for (name, n, e) in [
            ("1024 bits", vec![0xff; 128], &[1, 0, 1][..]),
            ("1024 bits behind zeros", leading_zeros, &[1, 0, 1]),
            ("2047 bits", one_bit_short, &[1, 0, 1]),
            ("no modulus", vec![], &[1, 0, 1]),
            ("exponent 1", vec![0xff; 256], &[1]),
            ("exponent 3", vec![0xff; 256], &[3]),
            ("exponent 65535", vec![0xff; 256], &[0xff, 0xff]),
            ("exponent 65536", vec![0xff; 256], &[1, 0, 0]),
            ("exponent of 2048 bits", vec![0xff; 256], &[0xff; 256]),
        ] {
            assert!(weak(verify(n, e)), "{name}");
        }
        let sound = verify(vec![0xff; 256], &[1, 0, 1]);
        assert!(matches!(sound, SignatureVerificationError::CryptoError(_)), "{sound:?}");
    }
}
