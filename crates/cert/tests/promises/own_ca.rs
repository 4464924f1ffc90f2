//! The account's own CA: what it signs is a client's certificate and nothing more.

use narthex_cert::{
    Authority, Certificate, IssuingCa, IssuingFault, Member, PresentedChain, Trust,
};
use narthex_model::UnixSeconds;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::sync::Arc;
use zeroize::Zeroizing;

const NOW: UnixSeconds = UnixSeconds(1_790_000_000);
const DAY: i64 = 86_400;

fn ours() -> IssuingCa {
    IssuingCa::generate("Acme clients", 3650, NOW).unwrap()
}

fn is_trusted(ca: &IssuingCa, leaf: &Certificate) -> bool {
    let authority = Authority::of(vec![Arc::clone(ca.certificate())]).unwrap();
    let trust = Trust::compile(vec![Member::new(Arc::new(authority))]).unwrap();
    let chain = PresentedChain::parse(std::slice::from_ref(leaf.der())).unwrap();
    trust.verify(&chain, &[], NOW).is_trusted(NOW)
}

#[test]
fn what_it_issues_is_trusted_under_it_alone() {
    let ca = ours();
    let issued = ca.issue("robot", 30, NOW).unwrap();
    let leaf = &issued.certificate;
    assert!(is_trusted(&ca, leaf));
    assert!(!is_trusted(&ours(), leaf), "another account's CA of the same name");
    assert_eq!(leaf.common_name(), Some("robot"));
    assert_eq!(leaf.not_after(), NOW.plus(30 * DAY));
    assert!(!leaf.is_ca());
    let pem = issued.private_key_pem.as_ref().unwrap();
    let key = KeyPair::from_pem(pem).unwrap();
    assert_eq!(
        rcgen::PublicKeyData::subject_public_key_info(&key),
        leaf.spki(),
        "the key is the certificate's"
    );
    let other = ca.issue("robot", 30, NOW).unwrap();
    assert_ne!(other.certificate.serial(), leaf.serial());
    assert!(!format!("{issued:?}{ca:?}").contains("PRIVATE"), "no key in a log");
}

#[test]
fn a_request_gives_name_and_key_and_nothing_else() {
    let ca = ours();
    let key = crate::support::key();
    let mut params = CertificateParams::new(vec!["robot.example".into()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "robot");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let issued = ca.sign(&request, 1, NOW).unwrap();
    let leaf = issued.certificate;
    assert!(issued.private_key_pem.is_none());
    assert!(is_trusted(&ca, &leaf), "it is for clients, though it asked to be a server and a CA");
    assert!(!leaf.is_ca());
    assert_eq!(leaf.dns_names(), &["robot.example".into()]);
    assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&key), leaf.spki());
    if crate::support::has_openssl() {
        let text =
            crate::support::openssl(&["x509", "-inform", "DER", "-noout", "-purpose"], leaf.der());
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("SSL client : Yes") && text.contains("SSL server : No"), "{text}");
        assert!(text.contains("SSL client CA : No"), "{text}");
    }
}

#[test]
fn bad_requests_say_what_is_wrong() {
    let ca = ours();
    let key = crate::support::key();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let nameless = params.serialize_request(&key).unwrap().pem().unwrap();
    params.distinguished_name.push(DnType::CommonName, "robot");
    let request = params.serialize_request(&key).unwrap();
    let mut forged = request.der().to_vec();
    let name = forged.windows(5).position(|part| part == b"robot").unwrap();
    forged[name] = b'R';
    let forged = crate::support::pem("CERTIFICATE REQUEST", &forged);
    let good = request.pem().unwrap();
    for (case, request, days, want) in [
        ("no days", &good, 0, "a validity of 0 days"),
        ("too many days", &good, 3651, "a validity of 3651 days"),
        ("nameless", &nameless, 1, "neither a subject nor an alternative name"),
        ("signed by another", &forged, 1, "cannot be used"),
        ("no request", &"hello".to_owned(), 1, "cannot be used"),
        ("too large", &"x".repeat(20_000), 1, "too large"),
    ] {
        let fault = ca.sign(request, days, NOW).unwrap_err().to_string();
        assert!(fault.contains(want), "{case}: {fault}");
    }
    if crate::support::has_openssl() {
        let weak = crate::support::openssl(
            &[
                "req",
                "-new",
                "-newkey",
                "rsa:1024",
                "-nodes",
                "-keyout",
                "/dev/null",
                "-subj",
                "/CN=a",
            ],
            b"",
        );
        let weak = String::from_utf8(weak).unwrap();
        assert!(weak.contains("CERTIFICATE REQUEST"));
        assert!(ca.sign(&weak, 1, NOW).is_err(), "RSA 1024");
    }
    assert_eq!(ca.issue("", 1, NOW).err(), Some(IssuingFault::Nameless));
}

#[test]
fn a_certificate_does_not_outlive_its_ca() {
    let ca = IssuingCa::generate("short", 10, NOW).unwrap();
    let issued = ca.issue("robot", 30, NOW).unwrap();
    assert_eq!(issued.certificate.not_after(), ca.certificate().not_after());
}

#[test]
fn it_is_restored_from_what_was_kept() {
    let ca = ours();
    let again = IssuingCa::restore(ca.certificate().der(), ca.pkcs8()).unwrap();
    assert!(is_trusted(&ca, &again.issue("robot", 1, NOW).unwrap().certificate));
    let other = ours();
    let mixed = IssuingCa::restore(ca.certificate().der(), other.pkcs8());
    assert!(matches!(mixed, Err(IssuingFault::Unusable(_))), "another's key");
    let broken = IssuingCa::restore(ca.certificate().der(), &Zeroizing::new(vec![1, 2, 3]));
    assert!(matches!(broken, Err(IssuingFault::Unusable(_))));
}
