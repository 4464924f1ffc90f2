//! Revocation lists: full, delta, late, missing, hostile.

use crate::support::{
    CLIENT_AUTH, Forged, ca, cn, extension, key, purpose, seq, signed, tlv, usage, utc,
};
use narthex_cert::{
    Authority, CrlFault, DeltaList, ListRule, Member, PresentedChain, Reason, RevocationList, Trust,
};
use narthex_model::UnixSeconds;
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;

const NOW: UnixSeconds = UnixSeconds(1_790_000_000); // 2026-09-21
const NEXT: UnixSeconds = UnixSeconds(1_798_761_600); // 2027-01-01, the `nextUpdate` of the lists below

struct Ca {
    key: KeyPair,
    authority: Arc<Authority>,
}

fn ca_named(name: &str, more: Vec<Vec<u8>>) -> Ca {
    let key = key();
    let extensions = [vec![ca()], more].concat();
    let der =
        Forged { serial: &[1], subject: cn(name), issuer: cn(name), extensions }.sign(&key, &key);
    let authority = Authority::parse(&crate::support::pem("CERTIFICATE", &der)).unwrap();
    Ca { key, authority: Arc::new(authority) }
}

impl Ca {
    fn leaf(&self, serial: &[u8], more: Vec<Vec<u8>>) -> PresentedChain {
        let extensions = [vec![purpose(CLIENT_AUTH)], more].concat();
        let der = Forged { serial, subject: cn("a"), issuer: cn("CA"), extensions }
            .sign(&key(), &self.key);
        PresentedChain::parse(&[CertificateDer::from(der)]).unwrap()
    }

    fn list(&self, list: &List) -> Vec<u8> {
        list.sign("CA", &self.key)
    }

    fn judge(
        &self,
        chain: &PresentedChain,
        lists: &[RevocationList],
        rule: ListRule,
        now: UnixSeconds,
    ) -> Option<Reason> {
        let lists = lists.iter().cloned().map(Arc::new).collect();
        let member = Member { lists, list_rule: rule, ..Member::new(Arc::clone(&self.authority)) };
        Trust::compile(vec![member]).unwrap().verify(chain, &[], now).outcome.err()
    }
}

/// A list to be signed.
#[derive(Clone, Default)]
struct List {
    number: u8,
    entries: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
}

impl List {
    fn numbered(number: u8) -> Self {
        Self { number, ..Self::default() }
    }

    fn with(mut self, serial: &[u8], reason: Option<u8>) -> Self {
        let reason = reason.map(|code| tlv(0x30, &extension("2.5.29.21", false, &[0x0a, 1, code])));
        self.entries.push(seq(&[
            &tlv(2, serial),
            &utc("260101000000Z"),
            &reason.unwrap_or_default(),
        ]));
        self
    }

    fn and(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    fn delta(self, base: u8) -> Self {
        self.and(extension("2.5.29.27", true, &[2, 1, base]))
    }

    /// With an issuing distribution point of this content.
    fn point(self, content: &[u8]) -> Self {
        self.and(extension("2.5.29.28", true, &tlv(0x30, content)))
    }

    fn sign(&self, issuer: &str, key: &KeyPair) -> Vec<u8> {
        let entries =
            if self.entries.is_empty() { vec![] } else { tlv(0x30, &self.entries.concat()) };
        let number = extension("2.5.29.20", false, &[2, 1, self.number]);
        let extensions = tlv(0xa0, &seq(&[&number, &self.extensions.concat()]));
        let day = utc(&format!("2601{:02}000000Z", self.number + 1));
        let message = seq(&[
            &[2, 1, 1],
            &crate::support::algorithm(),
            &cn(issuer),
            &day,
            &utc("270101000000Z"),
            &entries,
            &extensions,
        ]);
        signed(&message, key)
    }
}

const LENIENT: ListRule = ListRule { required: false, grace_seconds: 3600 };
const STRICT: ListRule = ListRule { required: true, grace_seconds: 0 };

#[test]
fn a_list_revokes_what_it_names_and_covers_the_rest() {
    let ours = ca_named("CA", vec![]);
    let open = |list: List| RevocationList::open(&ours.list(&list), &ours.authority).unwrap();
    let list =
        open(List::numbered(1).with(&[5], None).with(&[0, 0x80], Some(1)).with(&[7], Some(6)));
    assert_eq!(
        (list.len(), list.number().as_deref(), list.next_update()),
        (3, Some("01"), Some(NEXT))
    );
    let empty = open(List::numbered(1));
    let users = open(List::numbered(1).point(&tlv(0x81, &[0xff])));
    let authorities = open(List::numbered(1).point(&tlv(0x82, &[0xff])));
    let url = tlv(0x86, b"http://crl.example/1");
    let part = open(List::numbered(1).point(&tlv(0xa0, &tlv(0xa0, &url))));
    let names_part = extension("2.5.29.31", false, &seq(&[&seq(&[&tlv(0xa0, &tlv(0xa0, &url))])]));
    let table: Vec<(&str, PresentedChain, &RevocationList, ListRule, Option<Reason>)> = vec![
        ("named", ours.leaf(&[5], vec![]), &list, LENIENT, Some(Reason::Revoked)),
        ("named, high bit", ours.leaf(&[0, 0x80], vec![]), &list, LENIENT, Some(Reason::Revoked)),
        ("on hold", ours.leaf(&[7], vec![]), &list, LENIENT, Some(Reason::Revoked)),
        ("not named", ours.leaf(&[6], vec![]), &list, STRICT, None),
        ("nearly named", ours.leaf(&[5, 0], vec![]), &list, STRICT, None),
        ("an empty list", ours.leaf(&[5], vec![]), &empty, STRICT, None),
        ("a list of users", ours.leaf(&[5], vec![]), &users, STRICT, None),
        (
            "a list of CAs covers no user",
            ours.leaf(&[5], vec![]),
            &authorities,
            STRICT,
            Some(Reason::NoList),
        ),
        (
            "which matters only where one is required",
            ours.leaf(&[5], vec![]),
            &authorities,
            LENIENT,
            None,
        ),
        ("its own part of the list", ours.leaf(&[5], vec![names_part]), &part, STRICT, None),
        ("another part of the list", ours.leaf(&[5], vec![]), &part, STRICT, Some(Reason::NoList)),
    ];
    for (case, chain, list, rule, want) in table {
        assert_eq!(ours.judge(&chain, std::slice::from_ref(list), rule, NOW), want, "{case}");
    }
    let chain = ours.leaf(&[6], vec![]);
    assert_eq!(ours.judge(&chain, &[], STRICT, NOW), Some(Reason::NoList));
    assert_eq!(ours.judge(&chain, &[], LENIENT, NOW), None);
}

#[test]
fn a_late_list_serves_for_its_grace_and_always_revokes() {
    let ours = ca_named("CA", vec![]);
    let list =
        RevocationList::open(&ours.list(&List::numbered(1).with(&[5], None)), &ours.authority)
            .unwrap();
    let good = ours.leaf(&[6], vec![]);
    let bad = ours.leaf(&[5], vec![]);
    for (case, chain, rule, now, want) in [
        ("in time", &good, STRICT, NEXT, None),
        ("late, no grace", &good, STRICT, NEXT.plus(1), Some(Reason::ListTooOld)),
        ("late, within grace", &good, LENIENT, NEXT.plus(3600), None),
        ("late, beyond grace", &good, LENIENT, NEXT.plus(3601), Some(Reason::ListTooOld)),
        ("revoked, however late", &bad, LENIENT, NEXT.plus(9_999_999), Some(Reason::Revoked)),
    ] {
        assert_eq!(ours.judge(chain, std::slice::from_ref(&list), rule, now), want, "{case}");
    }
    assert!(!list.is_overdue(NEXT) && list.is_overdue(NEXT.plus(1)));
    let member =
        Member { lists: vec![Arc::new(list)], list_rule: LENIENT, ..Member::new(ours.authority) };
    let verdict = Trust::compile(vec![member]).unwrap().verify(&good, &[], NOW);
    assert_eq!(verdict.until, NEXT.plus(3600), "a kept verdict ends with the list");
}

#[test]
fn deltas_are_merged_onto_the_list_that_they_follow() {
    let ours = ca_named("CA", vec![]);
    let full = |list: List| RevocationList::open(&ours.list(&list), &ours.authority).unwrap();
    let delta = |list: List| DeltaList::open(&ours.list(&list), &ours.authority).unwrap();
    let base = full(List::numbered(3).with(&[5], None).with(&[7], Some(6)));
    let merged = base
        .with_delta(&delta(List::numbered(4).delta(3).with(&[9], None).with(&[7], Some(8))))
        .unwrap();
    for (serial, want) in
        [(5, Some(Reason::Revoked)), (9, Some(Reason::Revoked)), (7, None), (8, None)]
    {
        let chain = ours.leaf(&[serial], vec![]);
        assert_eq!(
            ours.judge(&chain, std::slice::from_ref(&merged), STRICT, NOW),
            want,
            "{serial}"
        );
    }
    assert_eq!((merged.number().as_deref(), merged.len()), (Some("04"), 2));
    let again = merged.with_delta(&delta(List::numbered(5).delta(3).with(&[8], None))).unwrap();
    assert_eq!(again.len(), 3, "a second delta onto the same base");
    for (case, onto, news) in [
        ("no news", &merged, List::numbered(4).delta(3)),
        ("older than the list", &base, List::numbered(2).delta(1)),
        ("a base that is newer than the list", &base, List::numbered(6).delta(5)),
        ("another scope", &base, List::numbered(4).delta(3).point(&tlv(0x81, &[0xff]))),
    ] {
        assert!(matches!(onto.with_delta(&delta(news)), Err(CrlFault::NoFit(_))), "{case}");
    }
    let is_delta = RevocationList::open(&ours.list(&List::numbered(4).delta(3)), &ours.authority);
    assert_eq!(is_delta, Err(CrlFault::IsDelta));
    let is_full = DeltaList::open(&ours.list(&List::numbered(4)), &ours.authority);
    assert_eq!(is_full.err(), Some(CrlFault::IsFull));
    let restores =
        RevocationList::open(&ours.list(&List::numbered(1).with(&[7], Some(8))), &ours.authority);
    assert!(
        matches!(restores, Err(CrlFault::Malformed(_))),
        "only a delta takes away: {restores:?}"
    );
}

#[test]
fn a_source_cannot_go_back_in_time() {
    let ours = ca_named("CA", vec![]);
    let full = |number| {
        RevocationList::open(&ours.list(&List::numbered(number)), &ours.authority).unwrap()
    };
    assert!(full(3).after(&full(2)).is_ok());
    assert!(full(3).after(&full(3)).is_ok(), "the same again");
    assert_eq!(full(2).after(&full(3)), Err(CrlFault::Older));
}

#[test]
fn hostile_lists_are_refused() {
    let ours = ca_named("CA", vec![]);
    let silent = ca_named("CA", vec![usage(0x04)]); // keyCertSign alone
    let signer = ca_named("CA", vec![usage(0x06)]); // keyCertSign and cRLSign
    let other = ca_named("CA", vec![]); // the same name, another key
    let good = List::numbered(1).with(&[5], None);
    assert!(RevocationList::open(&signer.list(&good), &signer.authority).is_ok());
    let pem = crate::support::pem("X509 CRL", &ours.list(&good));
    assert!(RevocationList::open(pem.as_bytes(), &ours.authority).is_ok(), "PEM");
    let issuer = || "CN=CA".to_owned();
    let point = |content: &[u8]| ours.list(&good.clone().point(content));
    let mut flipped = ours.list(&good);
    let at = flipped.len() - 5;
    flipped[at] ^= 1;
    let foreign = List::numbered(1).sign("Nobody", &ours.key);
    let entry = extension("2.5.29.29", true, &seq(&[&tlv(0xa4, &cn("Other"))]));
    let indirect_entry = List {
        entries: vec![seq(&[&[2, 1, 5], &utc("260101000000Z"), &tlv(0x30, &entry)])],
        ..List::numbered(1)
    };
    let twice = good.clone().and(extension("2.5.29.20", false, &[2, 1, 9]));
    let table: Vec<(&str, Vec<u8>, &Ca, CrlFault)> = vec![
        ("by another key", other.list(&good), &ours, CrlFault::Signature { issuer: issuer() }),
        ("changed", flipped, &ours, CrlFault::Signature { issuer: issuer() }),
        (
            "by a CA that signs no lists",
            silent.list(&good),
            &silent,
            CrlFault::MayNotSign { issuer: issuer() },
        ),
        ("by a stranger", foreign, &ours, CrlFault::UnknownIssuer { issuer: "CN=Nobody".into() }),
        ("not a list", b"hello".to_vec(), &ours, CrlFault::NotACrl),
        ("nothing", vec![], &ours, CrlFault::NotACrl),
        (
            "cut short",
            ours.list(&good)[..40].to_vec(),
            &ours,
            CrlFault::Malformed("outer structure"),
        ),
        ("too large", vec![0x30; 21 << 20], &ours, CrlFault::TooLarge(21 << 20)),
        (
            "indirect",
            point(&tlv(0x84, &[0xff])),
            &ours,
            CrlFault::Unsupported("an indirect list, of several issuers"),
        ),
        (
            "an entry of another issuer",
            ours.list(&indirect_entry),
            &ours,
            CrlFault::Unsupported("an indirect list, of several issuers"),
        ),
        (
            "some reasons",
            point(&tlv(0x83, &[1, 2])),
            &ours,
            CrlFault::Unsupported("a list of some reasons only"),
        ),
        (
            "attribute certificates",
            point(&tlv(0x85, &[0xff])),
            &ours,
            CrlFault::Unsupported("a list of attribute certificates"),
        ),
        (
            "an unknown critical extension",
            ours.list(&good.clone().and(extension("1.2.3.4", true, &[5, 0]))),
            &ours,
            CrlFault::Unsupported("it holds an unknown critical extension"),
        ),
        ("a number twice", ours.list(&twice), &ours, CrlFault::Malformed("list of extensions")),
    ];
    for (case, list, by, want) in table {
        assert_eq!(RevocationList::open(&list, &by.authority), Err(want), "{case}");
    }
    for content in [
        tlv(0x83, &[]), // a set of reasons without bits, and without its count of unused bits
        tlv(0x83, &[0]),
        tlv(0x83, &[9]),
        tlv(0xa0, &[]),
        tlv(0x81, &[0]),
        tlv(0x86, &[0xff]),
        [tlv(0x81, &[0xff]), tlv(0x82, &[0xff])].concat(),
        [tlv(0x82, &[0xff]), tlv(0x81, &[0xff])].concat(),
    ] {
        let opened = RevocationList::open(&point(&content), &ours.authority);
        assert!(opened.is_err(), "{content:02x?}: {opened:?}");
    }
    let nameless =
        RevocationList::open(&point(&tlv(0xa0, &tlv(0xa0, &[]))), &ours.authority).unwrap();
    let judged = ours.judge(&ours.leaf(&[6], vec![]), &[nameless], STRICT, NOW);
    assert_eq!(judged, Some(Reason::NoList), "a point without a name belongs to no certificate");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Signed by the right key, so that reading does not stop at the signature.
    #[test]
    fn no_signed_bytes_make_it_panic(at in 0usize..200, octet: u8, entries in 0u8..3) {
        static OURS: std::sync::LazyLock<Ca> = std::sync::LazyLock::new(|| ca_named("CA", vec![]));
        let mut list = List::numbered(2).delta(1).point(&tlv(0x81, &[0xff]));
        for serial in 0..entries {
            list = list.with(&[serial], Some(serial));
        }
        let whole = OURS.list(&list);
        // The signed part starts behind the outer header.
        let mut message = whole[if whole[1] == 0x81 { 3 } else { 4 }..].to_vec();
        message.truncate(message.len() - 90);
        let at = at % message.len();
        message[at] = octet;
        let again = signed(&message, &OURS.key);
        let _ = RevocationList::open(&again, &OURS.authority);
        let _ = DeltaList::open(&again, &OURS.authority);
    }
}

/// Lists that OpenSSL and rcgen write are read.
#[test]
fn lists_of_other_programs_are_read() {
    use rcgen::{
        CertificateParams, CertificateRevocationListParams, IsCa, Issuer, RevokedCertParams,
        SerialNumber,
    };
    let key = key();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let authority = Authority::parse(&root.pem()).unwrap();
    let day = rcgen::date_time_ymd;
    let list = CertificateRevocationListParams {
        this_update: day(2026, 1, 1),
        next_update: day(2027, 1, 1),
        crl_number: SerialNumber::from(0x1234),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(0xabcd),
            revocation_time: day(2026, 1, 1),
            reason_code: Some(rcgen::RevocationReason::KeyCompromise),
            invalidity_date: Some(day(2025, 1, 1)),
        }],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&Issuer::from_params(&params, &key)).unwrap();
    let read = RevocationList::open(list.pem().unwrap().as_bytes(), &authority).unwrap();
    assert_eq!((read.len(), read.number().as_deref()), (1, Some("1234")));
}
