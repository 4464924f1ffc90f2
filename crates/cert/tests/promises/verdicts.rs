//! What is trusted, and for what reason the near misses are not.

use crate::support::oid;
use crate::support::{
    CLIENT_AUTH, Forged, SERVER_AUTH, ca, cn, extension, key, purpose, seq, tlv, usage,
};
use narthex_cert::{
    Authority, AuthorityFault, Certificate, CertificateFault, ChainFault, Facts, Member,
    PresentedChain, Reason, RevokedCertificates, Trust, Verdict,
};
use narthex_model::{ClientAuthField as Field, UnixSeconds};
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;

const NOW: UnixSeconds = UnixSeconds(1_790_000_000);
const FROM: UnixSeconds = UnixSeconds(1_577_836_800); // 2020-01-01, where forged certificates begin
const TO: UnixSeconds = UnixSeconds(2_524_607_999); // 2049-12-31T23:59:59Z, where they end

struct Ca {
    der: Vec<u8>,
    key: KeyPair,
    name: Vec<u8>,
}

fn root(name: &str) -> Ca {
    let key = key();
    let name = cn(name);
    let forged = Forged {
        serial: &[7],
        subject: name.clone(),
        issuer: name.clone(),
        extensions: vec![ca()],
    };
    Ca { der: forged.sign(&key, &key), key, name }
}

impl Ca {
    fn signs(&self, subject: &str, holder: &KeyPair, extensions: Vec<Vec<u8>>) -> Vec<u8> {
        let (subject, issuer) = (cn(subject), self.name.clone());
        Forged { serial: &[0x0a, 0xbc], subject, issuer, extensions }.sign(holder, &self.key)
    }

    fn below(&self, name: &str, extensions: Vec<Vec<u8>>) -> Self {
        let key = key();
        Self { der: self.signs(name, &key, extensions), key, name: cn(name) }
    }

    fn authority(&self) -> Arc<Authority> {
        Arc::new(Authority::parse(&crate::support::pem("CERTIFICATE", &self.der)).unwrap())
    }

    fn trust(&self) -> Trust {
        Trust::compile(vec![Member::new(self.authority())]).unwrap()
    }
}

fn chain(ders: &[&[u8]]) -> PresentedChain {
    let ders: Vec<_> = ders.iter().map(|der| CertificateDer::from(*der)).collect();
    PresentedChain::parse(&ders).unwrap()
}

fn client() -> Vec<Vec<u8>> {
    vec![purpose(CLIENT_AUTH)]
}

fn reason(verdict: &Verdict) -> Option<Reason> {
    verdict.outcome.clone().err()
}

#[test]
fn a_path_to_an_authority_of_the_hostname_is_trusted_and_near_misses_are_not() {
    let ours = root("Our CA");
    let theirs = root("Their CA");
    let impostor = root("Our CA"); // the same name with another key
    let middle = ours.below("Middle", vec![ca()]);
    let no_ca = ours.below("No CA", vec![]);
    let no_sign = ours.below("May not sign", vec![ca(), usage(0x02)]);
    let explicit_policy = extension("2.5.29.36", false, &tlv(0x30, &[0x80, 1, 0]));
    let policed = ours.below("Policed", vec![ca(), explicit_policy]);
    let numbered = |serial: &[u8]| {
        Forged { serial, subject: cn("a"), issuer: cn("Our CA"), extensions: client() }
            .sign(&key(), &ours.key)
    };
    let short =
        ours.below("Short", vec![extension("2.5.29.19", true, &seq(&[&[1, 1, 0xff], &[2, 1, 0]]))]);
    let under_short = short.below("Too deep", vec![ca()]);
    let dns = tlv(0x82, b"evil.example");
    let allowed = seq(&[&tlv(0x82, b"good.example")]);
    let names = extension("2.5.29.30", true, &seq(&[&tlv(0xa0, &allowed)]));
    let narrow = ours.below("Narrow", vec![ca(), names]);
    let alternative = |name: &[u8]| extension("2.5.29.17", false, &seq(&[name]));
    let wildcard = tlv(0x82, b"*.example");
    let uri = tlv(0x86, b"https://evil.example/");
    let uri_names =
        extension("2.5.29.30", true, &seq(&[&tlv(0xa0, &seq(&[&tlv(0x86, b"good.example")]))]));
    let narrow_uri = ours.below("Narrow URI", vec![ca(), uri_names]);
    let holder = key();
    let alone = Forged { serial: &[1], subject: cn("me"), issuer: cn("me"), extensions: client() }
        .sign(&holder, &holder);
    let with = |more: Vec<u8>| [client(), vec![more]].concat();
    type Case = (&'static str, Vec<Vec<u8>>, Option<Reason>);
    let table: Vec<Case> = vec![
        ("signed by the root", vec![ours.signs("a", &holder, client())], None),
        ("root sent too", vec![ours.signs("a", &holder, client()), ours.der.clone()], None),
        ("no purpose said", vec![ours.signs("a", &holder, vec![])], None),
        (
            "through an intermediate",
            vec![middle.signs("a", &holder, client()), middle.der.clone()],
            None,
        ),
        (
            "stray certificates between",
            vec![middle.signs("a", &holder, client()), theirs.der.clone(), middle.der.clone()],
            None,
        ),
        (
            "intermediate missing",
            vec![middle.signs("a", &holder, client())],
            Some(Reason::UnverifiedLeaf),
        ),
        (
            "another hostname's CA",
            vec![theirs.signs("a", &holder, client())],
            Some(Reason::UnverifiedLeaf),
        ),
        (
            "another hostname's CA, sent along",
            vec![theirs.signs("a", &holder, client()), theirs.der.clone()],
            Some(Reason::UnknownIssuer),
        ),
        ("self-signed", vec![alone], Some(Reason::SelfSigned)),
        (
            "a CA of the same name",
            vec![impostor.signs("a", &holder, client())],
            Some(Reason::BadSignature),
        ),
        (
            "made for servers",
            vec![ours.signs("a", &holder, vec![purpose(SERVER_AUTH)])],
            Some(Reason::Purpose),
        ),
        ("a CA", vec![middle.der.clone()], Some(Reason::Purpose)),
        ("the root itself", vec![ours.der.clone()], Some(Reason::Purpose)),
        (
            "an intermediate that is no CA",
            vec![no_ca.signs("a", &holder, client()), no_ca.der.clone()],
            Some(Reason::InvalidCa),
        ),
        (
            "an intermediate that may only sign lists",
            vec![no_sign.signs("a", &holder, client()), no_sign.der.clone()],
            Some(Reason::InvalidCa),
        ),
        ("as deep as allowed", vec![short.signs("a", &holder, client()), short.der.clone()], None),
        (
            "deeper than allowed",
            vec![
                under_short.signs("a", &holder, client()),
                under_short.der.clone(),
                short.der.clone(),
            ],
            Some(Reason::PathTooLong),
        ),
        (
            "a name that its CA may not certify",
            vec![narrow.signs("a", &holder, with(alternative(&dns))), narrow.der.clone()],
            Some(Reason::NameConstraint),
        ),
        (
            "a wildcard under a name constraint",
            vec![narrow.signs("a", &holder, with(alternative(&wildcard))), narrow.der.clone()],
            Some(Reason::NameConstraint),
        ),
        (
            "a URI under a URI constraint",
            vec![narrow_uri.signs("a", &holder, with(alternative(&uri))), narrow_uri.der.clone()],
            Some(Reason::NameConstraint),
        ),
        (
            "an unknown critical extension",
            vec![ours.signs("a", &holder, with(extension("1.2.3.4", true, &[5, 0])))],
            Some(Reason::CriticalExtension),
        ),
        (
            "an unknown extension that is not critical",
            vec![ours.signs("a", &holder, with(extension("1.2.3.4", false, &[5, 0])))],
            None,
        ),
        (
            "a key for signing", // digitalSignature
            vec![ours.signs("a", &holder, with(usage(0x80)))],
            None,
        ),
        (
            "a key for signing and for sealing keys",
            vec![ours.signs("a", &holder, with(usage(0xa0)))],
            None,
        ),
        (
            "a key for sealing keys alone", // keyEncipherment
            vec![ours.signs("a", &holder, with(usage(0x20)))],
            Some(Reason::Purpose),
        ),
        (
            "a key for signing certificates, of no CA",
            vec![ours.signs("a", &holder, with(usage(0x84)))],
            Some(Reason::Malformed),
        ),
        (
            "below policy constraints that are not marked as critical",
            vec![policed.signs("a", &holder, client()), policed.der.clone()],
            Some(Reason::Malformed),
        ),
        ("a serial number of 20 octets", vec![numbered(&[0x7f; 20])], None),
        (
            "a serial number of 20 octets, which would be negative without a zero before them",
            vec![numbered(&[&[0][..], &[0xff; 20]].concat())],
            None,
        ),
        ("a serial number of 21 octets", vec![numbered(&[0x7f; 21])], Some(Reason::Malformed)),
    ];
    let trust = ours.trust();
    for (case, ders, want) in table {
        let ders: Vec<&[u8]> = ders.iter().map(Vec::as_slice).collect();
        let verdict = trust.verify(&chain(&ders), &[], NOW);
        assert_eq!(reason(&verdict), want, "{case}");
        assert_eq!(verdict.is_trusted(NOW), want.is_none(), "{case}");
    }
}

#[test]
fn a_verdict_ends_with_the_validity() {
    let ours = root("Our CA");
    let presented = chain(&[&ours.signs("a", &key(), client())]);
    let trust = ours.trust();
    let table = [
        ("before", FROM.plus(-1), Some(Reason::NotYetValid), FROM.plus(-1)),
        ("the first second", FROM, None, TO),
        ("the last second", TO, None, TO),
        ("after", TO.plus(1), Some(Reason::Expired), UnixSeconds(i64::MAX)),
        ("before all time", UnixSeconds(-5), Some(Reason::NotYetValid), FROM.plus(-1)),
    ];
    for (case, now, want, until) in table {
        let verdict = trust.verify(&presented, &[], now);
        assert_eq!((reason(&verdict), verdict.until), (want, until), "{case}");
    }
    let early = trust.verify(&presented, &[], FROM);
    assert!(!early.is_trusted(TO.plus(1)), "a kept verdict does not outlive the certificate");
}

#[test]
fn weak_signatures_and_keys_are_refused() {
    if !crate::support::has_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| crate::support::openssl(arguments, b"");
    let (root_key, root_pem) = (path("root.key"), path("root.pem"));
    run(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &root_key, "-out", &root_pem,
        "-subj", "/CN=Root", "-days", "36500",
    ]);
    let authority = Authority::parse(&std::fs::read_to_string(&root_pem).unwrap()).unwrap();
    let trust = Trust::compile(vec![Member::new(Arc::new(authority))]).unwrap();
    for (case, digest, key, want) in [
        ("RSA 2048, SHA-256", "-sha256", "rsa:2048", None),
        ("RSA 2048, SHA-512", "-sha512", "rsa:2048", None),
        ("SHA-1", "-sha1", "rsa:2048", Some(Reason::WeakSignature)),
        ("MD5", "-md5", "rsa:2048", Some(Reason::WeakSignature)),
        ("RSA 1024", "-sha256", "rsa:1024", Some(Reason::WeakKey)),
    ] {
        let (leaf_key, request, leaf) = (path("leaf.key"), path("leaf.csr"), path("leaf.pem"));
        run(&[
            "req", "-newkey", key, "-nodes", "-keyout", &leaf_key, "-out", &request, "-subj",
            "/CN=a",
        ]);
        // Version 3 needs an extension.
        std::fs::write(path("ext"), "extendedKeyUsage=clientAuth\n").unwrap();
        run(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &root_pem,
            "-CAkey",
            &root_key,
            "-CAcreateserial",
            "-out",
            &leaf,
            "-days",
            "36500",
            "-extfile",
            &path("ext"),
            digest,
        ]);
        let leaf = Certificate::from_pem(&std::fs::read_to_string(&leaf).unwrap()).unwrap();
        let verdict = trust.verify(&chain(&[leaf.der()]), &[], NOW.plus(86_400 * 365));
        assert_eq!(reason(&verdict), want, "{case}");
    }
}

#[test]
fn revoking_by_issuer_and_number_is_exact() {
    let ours = root("Our CA");
    let other = root("Other CA");
    let middle = ours.below("Middle", vec![ca()]);
    let leaf = middle.signs("a", &key(), client());
    let presented = chain(&[&leaf, &middle.der]);
    let read = |der: &[u8]| Certificate::parse(der).unwrap();
    let revoke = |issuer: &[u8], serial: &[u8]| {
        let mut revoked = RevokedCertificates::default();
        let serial = narthex_cert::Serial::from_hex(&support_hex(serial)).unwrap();
        revoked.insert(read(issuer).subject(), serial);
        let member = Member { revoked: Arc::new(revoked), ..Member::new(ours.authority()) };
        Trust::compile(vec![member]).unwrap()
    };
    for (case, trust, want) in [
        ("none", ours.trust(), None),
        ("the leaf", revoke(&middle.der, &[0x0a, 0xbc]), Some(Reason::Revoked)),
        ("the intermediate", revoke(&ours.der, &[0x0a, 0xbc]), Some(Reason::Revoked)),
        ("another number", revoke(&middle.der, &[0x0a, 0xbd]), None),
        ("another issuer", revoke(&other.der, &[0x0a, 0xbc]), None),
    ] {
        let verdict = trust.verify(&presented, &[], NOW);
        assert_eq!(reason(&verdict), want, "{case}");
        let facts = Facts::of(&presented, &verdict);
        assert_eq!(facts.get(Field::CertRevoked), if want.is_some() { "1" } else { "0" }, "{case}");
        assert_eq!(trust.digest() == ours.trust().digest(), case == "none", "{case}");
    }
}

fn support_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn an_upload_is_taken_whole_or_refused_with_the_reason() {
    let ours = root("Root");
    let middle = ours.below("Middle", vec![ca()]);
    let foreign = root("Root").below("Middle", vec![ca()]);
    let no_sign = ours.below("No sign", vec![ca(), usage(0x02)]);
    let leaf = ours.signs("leaf", &key(), client());
    let odd = ours.below("Odd", vec![ca(), extension("1.2.3.4", true, &[5, 0])]);
    let (one, two) = (key(), key());
    let circle = [("One", "Two", &one, &two), ("Two", "One", &two, &one)].map(
        |(subject, issuer, holder, signer)| {
            let (subject, issuer) = (cn(subject), cn(issuer));
            Forged { serial: &[3], subject, issuer, extensions: vec![ca()] }.sign(holder, signer)
        },
    );
    let pem = |ders: &[&[u8]]| {
        ders.iter().map(|der| crate::support::pem("CERTIFICATE", der)).collect::<String>()
    };
    let both = Authority::parse(&pem(&[&middle.der, &ours.der, &ours.der])).unwrap();
    assert_eq!(
        (both.anchors().len(), both.intermediates().len()),
        (1, 1),
        "a repeated one counts once"
    );
    assert_eq!(both.principal().subject().rfc2253(), "CN=Middle");
    let alone = Authority::parse(&pem(&[&middle.der])).unwrap();
    assert_eq!(alone.anchors()[0].subject().rfc2253(), "CN=Middle", "trusted by itself");
    let subject = |name: &str| format!("CN={name}");
    for (case, text, want) in [
        ("empty", String::new(), AuthorityFault::NotPem),
        ("no PEM", "hello".into(), AuthorityFault::NotPem),
        (
            "a key with it",
            pem(&[&ours.der]) + &ours.key.serialize_pem(),
            AuthorityFault::PrivateKey,
        ),
        (
            "a client's",
            pem(&[&ours.der, &leaf]),
            AuthorityFault::NotCa { position: 2, subject: subject("leaf") },
        ),
        (
            "no right to sign",
            pem(&[&no_sign.der]),
            AuthorityFault::MayNotSign { position: 1, subject: subject("No sign") },
        ),
        (
            "signed by another of that name",
            pem(&[&ours.der, &foreign.der]),
            AuthorityFault::NotSignedByIssuer { position: 2, subject: subject("Middle") },
        ),
        (
            "a critical extension",
            pem(&[&odd.der]),
            AuthorityFault::Flawed {
                position: 1,
                subject: subject("Odd"),
                flaw: "it holds a critical extension that is not understood here",
            },
        ),
        ("a circle", pem(&[&circle[0], &circle[1]]), AuthorityFault::NoAnchor),
        ("too many", pem(&vec![ours.der.as_slice(); 33]), AuthorityFault::TooLarge),
    ] {
        assert_eq!(Authority::parse(&text), Err(want), "{case}");
    }
}

#[test]
fn a_chain_is_read_within_limits() {
    let ours = root("Our CA");
    let leaf = ours.signs("a", &key(), client());
    let many = |count| vec![CertificateDer::from(leaf.as_slice()); count];
    assert_eq!(PresentedChain::parse(&many(16)).unwrap().others().len(), 15);
    assert_eq!(PresentedChain::parse(&many(17)).err(), Some(ChainFault::TooMany(17)));
    assert_eq!(PresentedChain::parse(&[]).err(), Some(ChainFault::Empty));
    let large = vec![0; 1 << 20];
    let fault = PresentedChain::parse(&[CertificateDer::from(large.as_slice())]).err();
    assert_eq!(fault, Some(ChainFault::TooLarge(1 << 20)));
    for broken in [&[][..], &leaf[..leaf.len() - 1], &[leaf.as_slice(), &[0]].concat()] {
        let read = PresentedChain::parse(&[CertificateDer::from(broken)]);
        assert!(
            matches!(read, Err(ChainFault::Certificate { position: 0, .. })),
            "{}",
            broken.len()
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Every extension that is read, with one octet changed. (The signature is not looked at before.)
    #[test]
    fn no_extension_makes_reading_panic(at in 0usize..600, octet: u8) {
        static LEAF: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            let url = tlv(0xa0, &tlv(0xa0, &tlv(0x86, b"http://crl.example/")));
            let responder = seq(&[&oid("1.3.6.1.5.5.7.48.1"), &tlv(0x86, b"http://ocsp.example/")]);
            let names = [tlv(0x82, b"a.example"), tlv(0x81, b"a@a.example"), tlv(0x86, b"spiffe://a"), tlv(0x87, &[1; 4])];
            let extensions = vec![
                ca(),
                usage(0x06),
                purpose(CLIENT_AUTH),
                extension("2.5.29.14", false, &tlv(4, &[1; 20])),
                extension("2.5.29.35", false, &seq(&[&tlv(0x80, &[2; 20])])),
                extension("2.5.29.17", false, &tlv(0x30, &names.concat())),
                extension("2.5.29.30", true, &seq(&[&tlv(0xa0, &seq(&[&tlv(0x82, b"a.example")]))])),
                extension("2.5.29.31", false, &seq(&[&seq(&[&url])])),
                extension("1.3.6.1.5.5.7.1.1", false, &seq(&[&responder])),
            ];
            root("Our CA").signs("a", &key(), extensions)
        });
        let mut der = LEAF.clone();
        let at = at % der.len();
        der[at] = octet;
        if let Ok(read) = PresentedChain::parse(&[CertificateDer::from(der.as_slice())]) {
            let trust = Trust::compile(Vec::new()).unwrap();
            let _ = Facts::of(&read, &trust.verify(&read, &[], NOW));
            let _ = Authority::of(vec![Arc::clone(read.leaf())]);
        }
    }
}

#[test]
fn loops_and_crowds_end_quickly() {
    // Fifteen CAs of one name that sign each other: each step has fifteen ways to go on.
    let name = "Ring";
    let keys: Vec<KeyPair> = (0..15).map(|_| key()).collect();
    let ring: Vec<Vec<u8>> = (0..15)
        .map(|at| {
            let extensions = vec![ca()];
            Forged { serial: &[at as u8 + 1], subject: cn(name), issuer: cn(name), extensions }
                .sign(&keys[at], &keys[(at + 1) % 15])
        })
        .collect();
    let leaf = Forged { serial: &[99], subject: cn("a"), issuer: cn(name), extensions: client() }
        .sign(&key(), &keys[0]);
    let mut ders = vec![leaf.as_slice()];
    ders.extend(ring.iter().map(Vec::as_slice));
    let verdict = root("Our CA").trust().verify(&chain(&ders), &[], NOW);
    assert!(
        verdict.outcome.is_err(),
        "it ends, and the crate's own test of limits is that it ends at all"
    );
}

#[test]
fn facts_equal_what_openssl_prints() {
    if !crate::support::has_openssl() {
        return;
    }
    let ours = root("Our CA");
    let identifier = extension("2.5.29.14", false, &tlv(4, &[0xab; 20]));
    let leaf = ours.signs("Zoë", &key(), [client(), vec![identifier]].concat());
    let presented = chain(&[&leaf, &ours.der]);
    let facts = Facts::of(&presented, &ours.trust().verify(&presented, &[], NOW));
    let print = |arguments: &[&str]| {
        let arguments = [&["x509", "-inform", "DER", "-noout"], arguments].concat();
        let text = String::from_utf8(crate::support::openssl(&arguments, &leaf)).unwrap();
        text.trim_end().split_once('=').unwrap().1.to_owned()
    };
    let fingerprint = |text: String| text.replace(':', "").to_ascii_lowercase();
    for (field, want) in [
        (Field::CertSubjectDn, print(&["-subject", "-nameopt", "RFC2253"])),
        (Field::CertIssuerDn, print(&["-issuer", "-nameopt", "RFC2253"])),
        (Field::CertSubjectDnRfc2253, print(&["-subject", "-nameopt", "RFC2253"])),
        (Field::CertIssuerDnRfc2253, print(&["-issuer", "-nameopt", "RFC2253"])),
        (Field::CertSubjectDnLegacy, print(&["-subject", "-nameopt", "compat"])),
        (Field::CertIssuerDnLegacy, print(&["-issuer", "-nameopt", "compat"])),
        (Field::CertSerial, print(&["-serial"])),
        (Field::CertFingerprintSha256, fingerprint(print(&["-fingerprint", "-sha256"]))),
        (Field::CertFingerprintSha1, fingerprint(print(&["-fingerprint", "-sha1"]))),
        (Field::CertNotBefore, print(&["-startdate"])),
        (Field::CertNotAfter, print(&["-enddate"])),
        (Field::CertSki, "AB".repeat(20)),
        (Field::CertIssuerSerial, "07".into()),
        (Field::CertPresented, "1".into()),
        (Field::CertVerified, "SUCCESS".into()),
        (Field::CertRevoked, "0".into()),
    ] {
        assert_eq!(facts.get(field), want, "{}", field.as_str());
    }
    let read = Certificate::parse(&leaf).unwrap();
    assert_eq!(read.md5_fingerprint(), print(&["-fingerprint", "-md5"]));
    assert_eq!(
        read.pem(),
        String::from_utf8(crate::support::openssl(&["x509", "-inform", "DER"], &leaf)).unwrap()
    );
    assert!(facts.get(Field::CertRfc9440).starts_with(":MII"), "{}", facts.get(Field::CertRfc9440));
    assert!(facts.get(Field::CertChainRfc9440).ends_with(':'));
}

#[test]
fn fields_without_a_certificate_are_empty_but_for_the_flags() {
    let none = Facts::none();
    for &field in Field::ALL {
        let want = match field.as_str() {
            "certVerified" => "NONE",
            "certPresented"
            | "certRevoked"
            | "certRFC9440TooLarge"
            | "certChainRFC9440TooLarge" => "0",
            _ => "",
        };
        assert_eq!(none.get(field), want, "{}", field.as_str());
    }
    assert_eq!(Facts::unreadable().get(Field::CertPresented), "1");
}

#[test]
fn header_values_beyond_their_bounds_are_left_out() {
    let ours = root("Our CA");
    let padding = extension("1.2.3.4", false, &tlv(4, &[0; 4000]));
    let long = ours.signs("a", &key(), vec![padding.clone()]);
    let longer = ours.signs(
        "a",
        &key(),
        vec![padding.clone(), extension("1.2.3.5", false, &tlv(4, &[0; 4000]))],
    );
    let facts = |ders: &[&[u8]]| {
        let presented = chain(ders);
        Facts::of(&presented, &ours.trust().verify(&presented, &[], NOW))
    };
    let within = facts(&[&long, &long, &long]);
    assert_eq!(within.get(Field::CertRfc9440TooLarge), "0");
    assert_eq!(within.get(Field::CertRfc9440).len(), 2 + long.len().div_ceil(3) * 4);
    assert_eq!(within.get(Field::CertChainRfc9440TooLarge), "0");
    assert_eq!(within.get(Field::CertChainRfc9440).matches(", ").count(), 1);
    let beyond = facts(&[&longer, &long, &long, &long]);
    assert_eq!((beyond.get(Field::CertRfc9440), beyond.get(Field::CertRfc9440TooLarge)), ("", "1"));
    assert_eq!(
        (beyond.get(Field::CertChainRfc9440), beyond.get(Field::CertChainRfc9440TooLarge)),
        ("", "1")
    );
}

/// Found by mutation: no revocation list and no administrator could have named it.
#[test]
fn a_certificate_without_a_serial_number_is_not_read() {
    let key = key();
    let made = |serial: &[u8]| {
        let (subject, issuer) = (cn("Robot"), cn("Some CA"));
        Certificate::parse(
            &Forged { serial, subject, issuer, extensions: client() }.sign(&key, &key),
        )
    };
    assert_eq!(made(&[]), Err(CertificateFault::Malformed("serial number")));
    assert_eq!(made(&[0]).unwrap().serial().hex(), "00");
}
