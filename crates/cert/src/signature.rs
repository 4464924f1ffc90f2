//! Signatures over what is not a presented certificate: an uploaded CA, a revocation list, an OCSP answer.

use crate::der;
use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;

/// The signature algorithms that are believed anywhere in a chain, a list or an answer: RSA with SHA-2 and 2048 bits
/// or more, ECDSA on the NIST curves with SHA-2, Ed25519. No SHA-1, no MD5 (security.md T20).
pub(crate) const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// What is signed, by which algorithm, and the signature: the first three members of a signed structure (RFC 5280
/// §4.1, §5.1; RFC 6960 §4.2.1).
pub(crate) struct Signed<'a> {
    /// With tag and length.
    pub(crate) message: &'a [u8],
    /// The content of the AlgorithmIdentifier.
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Reads a signed structure; what stands behind the signature inside it is left out.
    pub(crate) fn read(structure: &'a [u8]) -> Option<Self> {
        let mut parts = der::only(structure, der::SEQUENCE)?.content;
        Some(Self {
            message: der::take_tagged(&mut parts, der::SEQUENCE)?.whole,
            algorithm: der::take_tagged(&mut parts, der::SEQUENCE)?.content,
            signature: der::take_tagged(&mut parts, der::BIT_STRING)?.content.strip_prefix(&[0])?,
        })
    }

    /// Whether the key of this SubjectPublicKeyInfo signed it, with an algorithm that is believed.
    pub(crate) fn is_by(&self, spki: &[u8]) -> bool {
        let Some((algorithm, key)) = key_of(spki) else { return false };
        ALGORITHMS.iter().any(|candidate| {
            candidate.signature_alg_id().as_ref() == self.algorithm
                && candidate.public_key_alg_id().as_ref() == algorithm
                && candidate.verify_signature(key, self.message, self.signature).is_ok()
        })
    }
}

/// The content of the key's AlgorithmIdentifier and the key's own octets.
fn key_of(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut info = der::only(spki, der::SEQUENCE)?.content;
    let algorithm = der::take_tagged(&mut info, der::SEQUENCE)?.content;
    Some((algorithm, der::only(info, der::BIT_STRING)?.content.strip_prefix(&[0])?))
}
