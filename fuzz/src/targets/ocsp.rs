//! An answer of an OCSP responder. The input is its signed part (`ResponseData`, RFC 6960 §4.2.1), under a good
//! signature, or a whole answer.

use super::pki::CA;
use super::team::NOW;
use crate::Target;
use crate::mutate::tlv;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use narthex_cert::{Certificate, OcspQuestion, OcspStatus};
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};
use std::sync::LazyLock;

pub(crate) const TARGET: Target =
    Target { name: "ocsp", run, words: &["\u{0}", "\u{1}", "\u{ff}"], rounds: 4_000 };

/// The certificate that is asked about: number 4660 of the CA.
static ASKED: LazyLock<OcspQuestion> = LazyLock::new(|| {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Robot");
    params.serial_number = Some(SerialNumber::from(4660));
    let key = KeyPair::generate().unwrap();
    let own = params.self_signed(&key).unwrap();
    OcspQuestion::new(&Certificate::parse(own.der()).unwrap(), &CA.certificate)
});

fn run(data: &[u8]) {
    assert!(ASKED.read(data, &CA.certificate, None, NOW).is_err(), "nobody signed this");
    let with_hashes = adopted(data);
    let basic = CA.sign(&with_hashes);
    let Ok(answer) = ASKED.read(&wrapped(&basic), &CA.certificate, None, NOW) else { return };
    assert!(answer.answers(&ASKED));
    assert!(answer.holds(NOW) && answer.counts(NOW));
    assert!(NOW <= answer.until() && answer.issued() <= NOW.plus(24 * 3600));
    assert!(!answer.holds(answer.until().plus(1)));
    match answer.status() {
        OcspStatus::Revoked => assert!(answer.counts(answer.until().plus(1)), "stays revoked"),
        OcspStatus::Good | OcspStatus::Unknown => assert!(!answer.counts(answer.until().plus(1))),
    }
    // The same words by somebody else.
    let mut forged = basic;
    *forged.last_mut().unwrap() ^= 1;
    assert!(ASKED.read(&wrapped(&forged), &CA.certificate, None, NOW).is_err());
}

/// The input with the hashes of this run's CA in place of twenty times `n` and twenty times `k`.
fn adopted(data: &[u8]) -> Vec<u8> {
    let sha1 = |octets: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref().to_vec();
    let spki = CA.certificate.spki();
    let bits = &spki[spki.len() - 65..]; // an uncompressed point of P-256
    let mut out = data.to_vec();
    for (mark, hash) in [(b'n', sha1(CA.certificate.subject().der())), (b'k', sha1(bits))] {
        if let Some(at) = out.windows(20).position(|window| window == [mark; 20]) {
            out[at..at + 20].copy_from_slice(&hash);
        }
    }
    out
}

/// `OCSPResponse` with the status `successful` around a basic answer.
fn wrapped(basic: &[u8]) -> Vec<u8> {
    const ID_BASIC: &[u8] = b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01";
    let bytes = tlv(0x30, &[ID_BASIC, &tlv(4, basic)].concat());
    tlv(0x30, &[&[0x0a, 1, 0][..], &tlv(0xa0, &bytes)].concat())
}
