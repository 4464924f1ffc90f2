//! Responses of implementations that narthex does not share a line with: xmlsec1, signxml, pysaml2 and samlify. How they
//! were made is written in `testdata/make.py` and `testdata/make.mjs`.

#![allow(clippy::unwrap_used, reason = "part of the tests")]

mod forge;

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forge::Scene;
use narthex_saml::{Certificate, DecryptionKey, InvalidCertificate, Refusal, UnixSeconds};

fn testdata(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn decryption_key() -> DecryptionKey {
    let pem = testdata("sp.key");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    DecryptionKey::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap()
}

fn scene(provider: &str) -> Scene {
    let mut scene = Scene::default();
    scene.idp.certificates = vec![Certificate::parse(&testdata(provider)).unwrap()];
    scene.sp.decryption_keys = vec![decryption_key()];
    scene
}

#[test]
fn what_others_sign_is_read() {
    let plain = ["email", "name"].as_slice();
    let pysaml2 = [
        "urn:oid:0.9.2342.19200300.100.1.3",
        "urn:oid:2.5.4.42",
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.1",
    ]
    .as_slice();
    for (file, provider, names) in [
        ("xmlsec1-assertion.xml", "provider-rsa.pem", plain),
        ("xmlsec1-response.xml", "provider-rsa.pem", plain),
        ("xmlsec1-both.xml", "provider-rsa.pem", plain),
        ("xmlsec1-rsa-sha512.xml", "provider-rsa.pem", plain),
        ("xmlsec1-ecdsa.xml", "provider-ec.pem", plain),
        ("signxml-response.xml", "provider-rsa.pem", plain),
        ("pysaml2-assertion.xml", "provider-rsa.pem", pysaml2),
        ("pysaml2-both.xml", "provider-rsa.pem", pysaml2),
        ("samlify-assertion.xml", "provider-rsa.pem", &["email"]),
        ("samlify-both.xml", "provider-rsa.pem", &["email"]),
        ("xmlsec1-encrypted-aes128-gcm.xml", "provider-rsa.pem", plain),
        ("xmlsec1-encrypted-aes256-gcm.xml", "provider-rsa.pem", plain),
        ("xmlsec1-encrypted-aes128-cbc.xml", "provider-rsa.pem", plain),
        ("xmlsec1-encrypted-aes192-cbc.xml", "provider-rsa.pem", plain),
        ("xmlsec1-encrypted-aes256-cbc.xml", "provider-rsa.pem", plain),
        ("xmlsec1-encrypted-then-signed.xml", "provider-rsa.pem", plain),
        ("samlify-encrypted-gcm.xml", "provider-rsa.pem", &["email"]),
        ("samlify-encrypted-cbc.xml", "provider-rsa.pem", &["email"]),
    ] {
        let document = testdata(file);
        let read = scene(provider).consume(&document).unwrap_or_else(|why| panic!("{file}: {why}"));
        assert_eq!(read.name_id, "ada@example.com", "{file}");
        assert_eq!(read.attributes[0].values, ["ada@example.com"], "{file}");
        let mut found: Vec<_> = read.attributes.iter().map(|held| held.name.as_str()).collect();
        let mut want = names.to_vec();
        found.sort_unstable();
        want.sort_unstable();
        assert_eq!(found, want, "{file}");
        if let Some(name) = read.attribute("name") {
            assert_eq!(name, ["Ada & Zoë <3"], "{file}");
        }

        // The same by another's keys, too late, and with another name written over the person's.
        let other =
            if provider == "provider-rsa.pem" { "provider-ec.pem" } else { "provider-rsa.pem" };
        assert!(scene(other).consume(&document).is_err(), "{file}: by another's key");
        let late = Scene { now: UnixSeconds(forge::NOW.0 + 600), ..scene(provider) };
        assert_eq!(late.consume(&document), Err(Refusal::Expired), "{file}: late");
        if document.contains("ada@") {
            let forged = document.replace("ada@", "eve@");
            assert_eq!(scene(provider).consume(&forged), Err(Refusal::Signature), "{file}: forged");
        }
    }
}

#[test]
fn a_provider_may_change_its_key() {
    let mut changing = scene("provider-ec.pem");
    changing.idp.certificates.push(Certificate::parse(&testdata("provider-rsa.pem")).unwrap());
    for file in ["xmlsec1-ecdsa.xml", "xmlsec1-assertion.xml"] {
        assert_eq!(changing.consume(&testdata(file)).map(drop), Ok(()), "{file}");
    }
    changing.idp.certificates.clear();
    assert_eq!(changing.consume(&testdata("xmlsec1-assertion.xml")), Err(Refusal::Signature));
}

#[test]
fn sha_1_is_read_only_where_an_administrator_allows_it() {
    let document = testdata("xmlsec1-rsa-sha1.xml");
    let mut scene = scene("provider-rsa.pem");
    assert_eq!(scene.consume(&document), Err(Refusal::Algorithm));
    scene.idp.allow_sha1 = true;
    assert_eq!(scene.consume(&document).map(drop), Ok(()));
    assert_eq!(scene.consume(&document.replace("ada@", "eve@")), Err(Refusal::Signature));
}

#[test]
fn old_encryption_is_not_spoken() {
    for (file, want) in [
        ("xmlsec1-encrypted-rsa15.xml", Refusal::EncryptionAlgorithm),
        ("xmlsec1-encrypted-des.xml", Refusal::EncryptionAlgorithm),
        // Triple DES is all that pysaml2 has, unless it is told another template.
        ("pysaml2-encrypted.xml", Refusal::EncryptionAlgorithm),
    ] {
        assert_eq!(scene("provider-rsa.pem").consume(&testdata(file)), Err(want), "{file}");
    }
    let mut keyless = scene("provider-rsa.pem");
    keyless.sp.decryption_keys.clear();
    let document = testdata("xmlsec1-encrypted-aes128-gcm.xml");
    assert_eq!(keyless.consume(&document), Err(Refusal::NoDecryptionKey));
}

#[test]
fn certificates_hold_keys_that_are_strong() {
    let bare: String =
        testdata("provider-rsa.pem").lines().filter(|line| !line.starts_with('-')).collect();
    let two = testdata("provider-rsa.pem") + &testdata("provider-ec.pem");
    for (name, text, want) in [
        ("RSA 2048", testdata("provider-rsa.pem"), Ok(())),
        ("P-256", testdata("provider-ec.pem"), Ok(())),
        ("bare base64", bare.clone(), Ok(())),
        ("RSA 1024", testdata("weak-rsa.pem"), Err(InvalidCertificate::Key)),
        ("P-192", testdata("weak-ec.pem"), Err(InvalidCertificate::Key)),
        ("DSA", testdata("weak-dsa.pem"), Err(InvalidCertificate::Key)),
        ("Ed25519", testdata("weak-ed25519.pem"), Err(InvalidCertificate::Key)),
        ("two", two, Err(InvalidCertificate::Unreadable)),
        ("a key", testdata("sp.key"), Err(InvalidCertificate::Unreadable)),
        ("cut", bare[..400].to_owned(), Err(InvalidCertificate::Unreadable)),
        ("something behind it", format!("{bare}AAAA"), Err(InvalidCertificate::Unreadable)),
        ("nothing", String::new(), Err(InvalidCertificate::Unreadable)),
    ] {
        assert_eq!(Certificate::parse(&text).map(drop), want, "{name}");
    }
    // Made for thirty years on 2026-11-22 at 20:59:30.
    let certificate = Certificate::parse(&testdata("provider-rsa.pem")).unwrap();
    assert_eq!(certificate.not_after(), UnixSeconds(1_795_381_170 + 10_957 * 86_400));
    assert!(DecryptionKey::from_pkcs8(certificate.der()).is_err());
}
