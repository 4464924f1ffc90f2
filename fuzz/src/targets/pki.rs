//! A certificate authority that signs whatever it is given, so that damage behind the signature is read too.

use crate::mutate::tlv;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use narthex_cert::{Authority, Certificate};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use std::sync::LazyLock;

pub(super) static CA: LazyLock<Ca> = LazyLock::new(Ca::new);

pub(super) struct Ca {
    key: EcdsaKeyPair,
    pub(super) certificate: Certificate,
    pub(super) authority: Authority,
}

/// `ecdsa-with-SHA256` (RFC 5758 §3.2)
pub(super) const ALGORITHM: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";

impl Ca {
    fn new() -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Some CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.remove(DnType::OrganizationName);
        let made = params.self_signed(&pair).unwrap();
        let pkcs8 = pair.serialize_der();
        Self {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).unwrap(),
            certificate: Certificate::parse(made.der()).unwrap(),
            authority: Authority::parse(&made.pem()).unwrap(),
        }
    }

    /// The signed structure around `message` (RFC 5280 §4.1): message, algorithm, signature.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(&SystemRandom::new(), message).unwrap();
        let bits = [&[0], signature.as_ref()].concat();
        tlv(0x30, &[message, ALGORITHM, &tlv(3, &bits)].concat())
    }
}
