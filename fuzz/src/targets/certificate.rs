//! A certificate. The input is its signed part (`TBSCertificate`, RFC 5280 §4.1), under a good signature of a CA that
//! the hostname trusts, or a whole certificate.

use super::pki::CA;
use super::team::NOW;
use crate::Target;
use narthex_cert::{
    Certificate, Facts, HeaderValue, MAX_CHAIN_VALUE, MAX_LEAF_VALUE, Member, PresentedChain, Trust,
};
use narthex_model::ClientAuthField;
use rustls_pki_types::CertificateDer;
use std::sync::{Arc, LazyLock};

pub(crate) const TARGET: Target = Target {
    name: "certificate",
    run,
    words: &["/CN=", ",CN=", "+CN=", "\0", "\u{202e}", "admin@example.com", "spiffe://", "\n", "é"],
    rounds: 6_000,
};

static TRUST: LazyLock<Trust> =
    LazyLock::new(|| Trust::compile(vec![Member::new(Arc::new(CA.authority.clone()))]).unwrap());

fn run(data: &[u8]) {
    judge(data, false);
    judge(&CA.sign(data), true);
}

fn judge(der: &[u8], signed: bool) {
    let Ok(certificate) = Certificate::parse(der) else { return };
    assert_eq!(certificate.der().as_ref(), der, "kept as it came");
    assert_eq!(Certificate::from_pem(&certificate.pem()).as_ref(), Ok(&certificate));
    for name in [certificate.subject(), certificate.issuer()] {
        let visible = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        assert!(visible(&name.rfc2253()), "{:?}", name.rfc2253());
        assert!(visible(&name.legacy()), "{:?}", name.legacy());
        assert!(name.der().len() <= der.len());
    }
    for names in [certificate.dns_names(), certificate.emails(), certificate.uris()] {
        assert!(names.len() <= 256);
        assert!(names.iter().all(|name| name.len() <= der.len()));
    }

    let chain = PresentedChain::parse(&[CertificateDer::from(der.to_vec())]).expect("it was read");
    assert!(chain.client_cert().text().len() <= MAX_LEAF_VALUE);
    assert!(
        chain.client_cert_chain().as_ref().map_or("", HeaderValue::text).len() <= MAX_CHAIN_VALUE
    );
    let verdict = TRUST.verify(&chain, &[], NOW);
    let facts = Facts::of(&chain, &verdict);
    for field in ClientAuthField::ALL {
        let value = facts.get(*field);
        assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{field:?}: {value:?}");
        assert!(value.len() <= 6 * der.len() + 64, "{field:?}: {} bytes", value.len());
    }
    if verdict.is_trusted(NOW) {
        assert!(signed, "a certificate that the CA never signed is trusted");
        assert_eq!(certificate.issuer(), CA.certificate.subject());
        assert!(certificate.not_before() <= NOW && NOW <= certificate.not_after());
        assert!(certificate.key().is_strong());
        assert!(!certificate.serial().hex().is_empty());
    }
}
