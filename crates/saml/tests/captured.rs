//! Responses that real identity providers sent, some years ago: `testdata/captured/README.md` says whose they are.

#![allow(clippy::unwrap_used, reason = "part of the tests")]

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use narthex_saml::{
    Certificate, DecryptionKey, Endpoint, EntityId, Expectation, IdentityProvider, Refusal,
    RequestId, ServiceProvider, UnixSeconds, consume,
};

fn captured(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/captured").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// One response, and what both sides were configured with.
struct Capture {
    file: &'static str,
    certificate: &'static str,
    key: &'static str,
    issuer: &'static str,
    acs: &'static str,
    audience: &'static str,
    request: &'static str,
    /// Unix seconds, within a minute of the response.
    now: i64,
    name_id: &'static str,
    attributes: &'static [&'static str],
}

const ADFS_ACS: &str = "https://saml.test.nope/session/sso/saml/acs/dknhyszjl7";
const ADFS_AUDIENCE: &str = "https://saml.test.nope/session/sso/saml/spentityid/dknhyszjl7";
const ADFS_NAMES: &[&str] = &[
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
];
const PING_ACS: &str = "https://saml.test.nope/session/sso/saml/acs/hp24dqnpvq";
const PING_AUDIENCE: &str = "https://saml.test.nope/session/sso/saml/spentityid/hp24dqnpvq";
const PING_ISSUER: &str = "https://saml.test.nope:9031/eid/sxpmrhbkzn";

const CAPTURES: &[Capture] = &[
    Capture {
        file: "adfs.xml",
        certificate: "adfs.pem",
        key: "sp.key",
        issuer: "http://fs.spstest2.com/adfs/services/trust",
        acs: ADFS_ACS,
        audience: ADFS_AUDIENCE,
        request: "_5988bf45-1cc8-4228-b3e8-1aa8590e63d3",
        now: 1_506_036_480,
        name_id: "paul@spstest2.com",
        attributes: ADFS_NAMES,
    },
    Capture {
        file: "adfs-encrypted.xml",
        certificate: "adfs.pem",
        key: "sp.key",
        issuer: "http://fs.spstest2.com/adfs/services/trust",
        acs: ADFS_ACS,
        audience: ADFS_AUDIENCE,
        request: "_252d0129-1c83-496e-b039-ffc9cee11cca",
        now: 1_506_036_000,
        name_id: "paul@spstest2.com",
        attributes: ADFS_NAMES,
    },
    Capture {
        file: "okta.xml",
        certificate: "okta.pem",
        key: "sp.key",
        issuer: "http://www.okta.com/exk659aytfMeNI49v0h7",
        acs: "http://localhost:8080/v1/_saml_callback",
        audience: "\"123\"",
        request: "_15f66d2d-628b-4d9b-a99e-089d8da862e1",
        now: 1_469_488_830,
        name_id: "russellhaering",
        attributes: &["username"],
    },
    Capture {
        file: "okta-encrypted.xml",
        certificate: "okta-encrypted.pem",
        key: "sp.key",
        issuer: "http://www.okta.com/exkbb59wb20X96NY20h7",
        acs: "https://saml.test.nope/session/sso/saml/acs/skv8dv26wh",
        audience: "https://saml.test.nope/session/sso/saml/spentityid/skv8dv26wh",
        request: "_5260fc99-9c41-433b-8a31-b7a3e3a4e755",
        now: 1_504_736_040,
        name_id: "fronkey@skyportsystems.com",
        attributes: &["givenName", "sn", "group"],
    },
    Capture {
        file: "ping.xml",
        certificate: "ping.pem",
        key: "ping-sp.key",
        issuer: PING_ISSUER,
        acs: PING_ACS,
        audience: PING_AUDIENCE,
        request: "_27242a27-9aea-40d6-b603-c1d6daa198d4",
        now: 1_504_311_160,
        name_id: "firstlast@saml.test.nope",
        attributes: &["firstname", "group", "lastname"],
    },
    Capture {
        file: "ping-encrypted.xml",
        certificate: "ping.pem",
        key: "ping-sp.key",
        issuer: PING_ISSUER,
        acs: PING_ACS,
        audience: PING_AUDIENCE,
        request: "_f76c0eed-5023-4d82-9c2e-3bb760997fd1",
        now: 1_504_401_790,
        name_id: "firstlast@saml.test.nope",
        attributes: &["firstname", "group", "lastname"],
    },
];

#[test]
fn what_real_providers_sent_is_read() {
    for capture in CAPTURES {
        let body: String =
            captured(capture.key).lines().filter(|line| !line.starts_with("-----")).collect();
        let key = DecryptionKey::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
        let sp = ServiceProvider {
            entity_id: EntityId::try_from(capture.audience).unwrap(),
            acs_url: Endpoint::try_from(capture.acs).unwrap(),
            decryption_keys: vec![key],
        };
        let idp = IdentityProvider {
            sso_url: Endpoint::try_from("https://unused.example.com/").unwrap(),
            entity_id: Some(EntityId::try_from(capture.issuer).unwrap()),
            certificates: vec![Certificate::parse(&captured(capture.certificate)).unwrap()],
            allow_sha1: false,
            force_authn: false,
        };
        let request = RequestId::try_from(capture.request).unwrap();
        let expectation = Expectation {
            sp: &sp,
            idp: &idp,
            in_response_to: Some(&request),
            now: UnixSeconds(capture.now),
            skew_seconds: 0,
        };
        let field = STANDARD.encode(captured(capture.file));
        let file = capture.file;
        let read = consume(&field, &expectation).unwrap_or_else(|why| panic!("{file}: {why}"));
        assert_eq!(read.name_id, capture.name_id, "{file}");
        let names: Vec<_> = read.attributes.iter().map(|held| held.name.as_str()).collect();
        assert_eq!(names, capture.attributes, "{file}");

        let today = Expectation { now: UnixSeconds(1_795_381_200), ..expectation };
        assert_eq!(consume(&field, &today), Err(Refusal::Expired), "{file}");
    }
}
