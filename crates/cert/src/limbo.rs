//! The public path-validation cases of x509-limbo (C2SP) through the verifier.
//!
//! Most are about servers, so each is run for the purpose that it names; that servers' certificates are refused as
//! clients is a test of its own. A case that is only about the server's name is no case for a client: such are listed
//! with the others on which we differ, each list with its reason.

use crate::{
    Authority, Certificate, ListRule, Member, PresentedChain, Reason, RevocationList, Trust,
};
use narthex_model::{Timestamp, UnixSeconds};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use std::sync::Arc;
use webpki::KeyUsage;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

#[derive(Deserialize)]
struct Cases {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    expected_result: String,
    crls: Vec<String>,
}

/// For cases without a time of their own: in 2026, within the validity that the vectors' makers gave their chains.
const USUAL_TIME: UnixSeconds = UnixSeconds(1_790_000_000);

impl Case {
    fn now(&self) -> UnixSeconds {
        let time = self.validation_time.as_deref().map(|time| time.parse::<Timestamp>().unwrap().0);
        time.unwrap_or(USUAL_TIME)
    }

    fn chain(&self) -> Option<PresentedChain> {
        let pems = std::iter::once(&self.peer_certificate).chain(&self.untrusted_intermediates);
        let ders: Vec<_> =
            pems.map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect();
        PresentedChain::parse(&ders).ok()
    }

    /// The roots that an administrator could upload, each with the lists that could be uploaded for it. A case with
    /// lists is about them, so there they are required.
    fn trust(&self) -> Trust {
        let rule = ListRule { required: !self.crls.is_empty(), ..ListRule::default() };
        let members = self.trusted_certs.iter().filter_map(|pem| Authority::parse(pem).ok());
        let members = members.map(|authority| {
            let lists = self.crls.iter();
            let lists =
                lists.filter_map(|crl| RevocationList::open(crl.as_bytes(), &authority).ok());
            Member {
                lists: lists.map(Arc::new).collect(),
                list_rule: rule,
                ..Member::new(Arc::new(authority))
            }
        });
        Trust::compile(members.collect()).unwrap()
    }

    fn outcome(&self, purpose: KeyUsage) -> Result<(), Reason> {
        let chain = self.chain().ok_or(Reason::Malformed)?;
        self.trust().verify_for(purpose, &chain, &[], self.now()).outcome.map(drop)
    }

    fn purpose(&self) -> KeyUsage {
        match self.validation_kind.as_str() {
            "SERVER" => KeyUsage::server_auth(),
            "CLIENT" => KeyUsage::client_auth(),
            kind => panic!("{}: {kind}", self.id),
        }
    }
}

fn cases() -> Option<Vec<Case>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/x509-limbo.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: {path} is not there");
        return None;
    };
    Some(serde_json::from_str::<Cases>(&text).unwrap().testcases)
}

/// Valid by the vectors, refused here.
const REFUSED: &[(&str, &str)] = &[
    ("pathlen::validation-ignores-pathlen-in-leaf", "its leaf is a CA; a CA is nobody's client"),
    ("rfc5280::ca-as-leaf", "its leaf is a CA; a CA is nobody's client"),
    ("pathlen::self-issued-certs-pathlen", "the library counts self-issued CAs of a path too"),
    ("rfc5280::nc::permitted-self-issued", "the library holds self-issued CAs to constraints too"),
    ("rfc5280::nc::permitted-dn-match", "the library refuses what directory names constrain"),
    ("rfc5280::nc::nc-permits-email-exact", "the library refuses what e-mail names constrain"),
    ("rfc5280::nc::nc-permits-email-domain", "the library refuses what e-mail names constrain"),
    ("rfc5280::nc::nc-permits-email-literal-asterisk-exact-match", "as above"),
    ("rfc5280::nc::nc-permits-email-literal-double-asterisk", "as above"),
    ("rfc5280::nc::nc-permits-email-literal-mid-asterisk", "as above"),
];

/// Refused by the vectors, accepted here: why, and which.
const ACCEPTED: &[(&str, &[&str])] = &[
    (
        "only the server's name is wrong, or none is there, or it is spelt as no server's may be; a client is asked for none, \
         and policies compare names exactly, without patterns",
        &[
            "rfc5280::san::ip-in-dns",
            "rfc5280::san::underscore-dns",
            "webpki::cn::case-mismatch",
            "webpki::cn::ipv4-hex-mismatch",
            "webpki::cn::ipv4-leading-zeros-mismatch",
            "webpki::cn::ipv6-non-rfc5952-mismatch",
            "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::ipv6-uppercase-mismatch",
            "webpki::cn::not-in-san",
            "webpki::cn::punycode-not-in-san",
            "webpki::cn::utf8-vs-punycode-mismatch",
            "webpki::san::mismatch-apex-subdomain-san",
            "webpki::san::mismatch-domain-san",
            "webpki::san::mismatch-subdomain-apex-san",
            "webpki::san::mismatch-subdomain-san",
            "webpki::san::no-san",
            "webpki::san::public-suffix-multi-label-wildcard-san",
            "webpki::san::public-suffix-private-namespace-wildcard-san",
            "webpki::san::public-suffix-wildcard-san",
            "webpki::san::san-wildcard-only",
            "webpki::san::san-wildcard-only-tld",
            "webpki::san::unicode-emoji-san",
            "webpki::san::wildcard-embedded-leftmost-san",
            "webpki::san::wildcard-embedded-ulabel-san",
            "webpki::san::wildcard-match-across-labels-san",
            "webpki::san::wildcard-not-in-leftmost-san",
        ],
    ),
    (
        "key identifiers are there to find an issuer (RFC 5280 §4.2.1.1, §4.2.1.2), which is found by name and signature; \
         validation (§6.1) does not read them, and `openssl x509 -req` writes none",
        &[
            "rfc5280::aki::cross-signed-root-missing-aki",
            "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::aki::leaf-missing-aki",
            "rfc5280::ski::intermediate-missing-ski",
            "rfc5280::ski::root-missing-ski",
        ],
    ),
    (
        "what the web's rules want of a root's key identifiers; a root is trusted because somebody uploaded it",
        &[
            "webpki::aki::root-with-aki-all-fields",
            "webpki::aki::root-with-aki-authoritycertissuer",
            "webpki::aki::root-with-aki-authoritycertserialnumber",
            "webpki::aki::root-with-aki-missing-keyidentifier",
            "webpki::aki::root-with-aki-ski-mismatch",
        ],
    ),
    (
        "what the web's rules want of purposes; RFC 5280 allows `any`, a critical list, none for a client, and one for a root",
        &[
            "webpki::eku::ee-anyeku",
            "webpki::eku::ee-critical-eku",
            "webpki::eku::ee-without-eku",
            "webpki::eku::root-has-eku",
        ],
    ),
    (
        "the issuer gave an extension the wrong criticality; it is understood and obeyed either way (RFC 5280 §4.2), so that \
         nothing is lost",
        &[
            "crl::crlnumber-critical",
            "rfc5280::san::noncritical-with-empty-subject",
            "webpki::san::san-critical-with-nonempty-subject",
            "rfc5280::nc::permitted-dns-match-noncritical",
            "rfc5280::root-non-critical-basic-constraints",
        ],
    ),
    (
        "users of certificates should handle a serial number of zero (RFC 5280 §4.1.2.2); it is revoked like another",
        &["rfc5280::serial::zero"],
    ),
    (
        "OpenSSL reads `.name` as all names below it, and so do the CAs that write it; a client's DNS name counts for nothing but a \
         rule that names it whole",
        &["rfc5280::nc::invalid-dnsname-leading-period"],
    ),
    (
        "`openssl ca -gencrl` writes no number unless told to; a list that goes back in time is seen by its date",
        &["crl::crlnumber-missing"],
    ),
    (
        "a limit on the depth that the case sets and nobody can set here; the library's own is fixed",
        &["pathlen::max-chain-depth-0-exhausted", "pathlen::max-chain-depth-1-exhausted"],
    ),
];

#[test]
fn the_verifier_judges_as_the_vectors_do() {
    let Some(cases) = cases() else { return };
    let accepted: Vec<_> = ACCEPTED.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    let refused: Vec<_> = REFUSED.iter().map(|(id, _)| *id).collect();
    for id in accepted.iter().chain(&refused) {
        assert!(cases.iter().any(|case| case.id == *id), "{id} is no case");
    }
    for case in &cases {
        let outcome = case.outcome(case.purpose());
        let id = case.id.as_str();
        let want = match case.expected_result.as_str() {
            "SUCCESS" => !refused.contains(&id),
            "FAILURE" => accepted.contains(&id),
            other => panic!("{id}: {other}"),
        };
        assert_eq!(outcome.is_ok(), want, "{id}: {outcome:?}");
    }
}

/// The same leaves as clients: those that are made for servers only are refused.
#[test]
fn servers_certificates_are_no_clients() {
    let Some(cases) = cases() else { return };
    let mut refused = 0;
    for case in &cases {
        let as_server = case.outcome(KeyUsage::server_auth());
        let as_client = case.outcome(KeyUsage::client_auth());
        let leaf = Certificate::from_pem(&case.peer_certificate);
        let (_, parsed) = match &leaf {
            Ok(leaf) => X509Certificate::from_der(leaf.der()).unwrap(),
            Err(_) => continue,
        };
        let purposes = parsed.extended_key_usage().unwrap().map(|found| found.value);
        let serves_only =
            purposes.is_some_and(|found| found.server_auth && !found.client_auth && !found.any);
        if as_server.is_ok() && serves_only {
            assert_eq!(as_client, Err(Reason::Purpose), "{}", case.id);
            refused += 1;
        }
    }
    assert!(refused > 50, "the vectors hold many servers: {refused}");
}
