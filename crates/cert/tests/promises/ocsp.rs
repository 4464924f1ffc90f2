//! OCSP: what is asked, and which answers are believed.

use crate::support::{
    CLIENT_AUTH, Forged, OCSP_SIGNING, ca, cn, extension, key, oid, purpose, seq, signed, tlv,
};
use narthex_cert::{
    Authority, Certificate, Member, OcspAnswer, OcspFault, OcspQuestion, OcspRule, OcspStatus,
    PresentedChain, Reason, Trust,
};
use narthex_model::{Clock, UnixSeconds};
use rcgen::KeyPair;
use std::sync::Arc;

const NOW: UnixSeconds = UnixSeconds(1_790_000_000); // 2026-09-21T14:13:20Z
const NONCE: [u8; 32] = [7; 32];

struct World {
    key: KeyPair,
    issuer: Certificate,
    authority: Arc<Authority>,
    leaf: PresentedChain,
    question: OcspQuestion,
}

fn world() -> World {
    let key = key();
    let der = Forged { serial: &[1], subject: cn("CA"), issuer: cn("CA"), extensions: vec![ca()] }
        .sign(&key, &key);
    let extensions = vec![purpose(CLIENT_AUTH)];
    let leaf = Forged { serial: &[0, 0x99], subject: cn("a"), issuer: cn("CA"), extensions }
        .sign(&crate::support::key(), &key);
    let issuer = Certificate::parse(&der).unwrap();
    let leaf = PresentedChain::parse(&[leaf.as_slice().into()]).unwrap();
    World {
        authority: Arc::new(Authority::parse(&issuer.pem()).unwrap()),
        question: OcspQuestion::new(leaf.leaf(), &issuer),
        leaf,
        issuer,
        key,
    }
}

/// An answer to be signed.
#[derive(Clone)]
struct Answer {
    certificate: Vec<u8>,
    status: Vec<u8>,
    from: &'static str,
    until: Option<&'static str>,
    nonce: Option<Vec<u8>>,
    times: usize,
}

fn good() -> Vec<u8> {
    tlv(0x80, &[])
}

fn revoked() -> Vec<u8> {
    tlv(0xa1, &tlv(0x18, b"20260101000000Z"))
}

fn unknown() -> Vec<u8> {
    tlv(0x82, &[])
}

impl World {
    /// The CertID that the request holds: behind four headers of two octets.
    fn certificate_id(&self) -> Vec<u8> {
        self.question.request(None)[8..].to_vec()
    }

    fn answer(&self, status: Vec<u8>) -> Answer {
        Answer {
            certificate: self.certificate_id(),
            status,
            from: "20260921000000Z",
            until: Some("20260922000000Z"),
            nonce: None,
            times: 1,
        }
    }

    fn read(&self, bytes: &[u8], now: UnixSeconds) -> Result<OcspAnswer, OcspFault> {
        self.question.read(bytes, &self.issuer, Some(&NONCE), now)
    }

    fn responder(
        &self,
        holder: &KeyPair,
        issuer: &KeyPair,
        named: &str,
        extensions: Vec<Vec<u8>>,
    ) -> Vec<u8> {
        Forged { serial: &[2], subject: cn("responder"), issuer: cn(named), extensions }
            .sign(holder, issuer)
    }
}

impl Answer {
    fn sign(&self, key: &KeyPair, certificates: &[Vec<u8>]) -> Vec<u8> {
        let until =
            self.until.map(|until| tlv(0xa0, &tlv(0x18, until.as_bytes()))).unwrap_or_default();
        let one = seq(&[&self.certificate, &self.status, &tlv(0x18, self.from.as_bytes()), &until]);
        let nonce = self
            .nonce
            .as_ref()
            .map(|nonce| tlv(0xa1, &seq(&[&extension("1.3.6.1.5.5.7.48.1.2", false, nonce)])));
        let data = seq(&[
            &tlv(0xa1, &cn("whoever")),
            &tlv(0x18, b"20260921000000Z"),
            &tlv(0x30, &one.repeat(self.times)),
            &nonce.unwrap_or_default(),
        ]);
        let three = signed(&data, key);
        let inside = &three[if three[1] < 0x80 { 2 } else { 2 + usize::from(three[1] & 0x7f) }..];
        let certificates = match certificates {
            [] => vec![],
            some => tlv(0xa0, &tlv(0x30, &some.concat())),
        };
        let basic = tlv(0x30, &[inside, &certificates].concat());
        wrap(0, &basic)
    }
}

fn wrap(status: u8, basic: &[u8]) -> Vec<u8> {
    let bytes = tlv(0xa0, &seq(&[&oid("1.3.6.1.5.5.7.48.1.1"), &tlv(4, basic)]));
    seq(&[&[0x0a, 1, status], &bytes])
}

#[test]
fn answers_are_believed_when_the_issuer_or_its_responder_signed_them() {
    let world = world();
    let plain = |status| world.answer(status).sign(&world.key, &[]);
    for (case, bytes, want) in [
        ("good", plain(good()), OcspStatus::Good),
        ("revoked", plain(revoked()), OcspStatus::Revoked),
        ("unknown", plain(unknown()), OcspStatus::Unknown),
    ] {
        assert_eq!(world.read(&bytes, NOW).map(|answer| answer.status()), Ok(want), "{case}");
    }
    let holder = key();
    let stranger = key();
    let able = || vec![purpose(OCSP_SIGNING)];
    let delegated = |certificate: Vec<u8>| world.answer(good()).sign(&holder, &[certificate]);
    let table = [
        (
            "a certified responder",
            delegated(world.responder(&holder, &world.key, "CA", able())),
            true,
        ),
        ("one that may not", delegated(world.responder(&holder, &world.key, "CA", vec![])), false),
        (
            "a client",
            delegated(world.responder(&holder, &world.key, "CA", vec![purpose(CLIENT_AUTH)])),
            false,
        ),
        (
            "by another issuer",
            delegated(world.responder(&holder, &world.key, "Other", able())),
            false,
        ),
        ("forged", delegated(world.responder(&holder, &stranger, "CA", able())), false),
        ("by itself", delegated(world.responder(&holder, &holder, "CA", able())), false),
        ("nobody's", world.answer(good()).sign(&stranger, &[]), false),
        (
            "another's key beside a responder's certificate",
            world
                .answer(good())
                .sign(&stranger, &[world.responder(&holder, &world.key, "CA", able())]),
            false,
        ),
    ];
    for (case, bytes, want) in table {
        let read = world.read(&bytes, NOW);
        assert_eq!(read.is_ok(), want, "{case}: {read:?}");
        assert!(want || read == Err(OcspFault::Signature), "{case}");
    }
}

#[test]
fn an_answer_is_about_this_certificate_this_request_and_this_time() {
    let world = world();
    let other = {
        let forged =
            Forged { serial: &[5], subject: cn("b"), issuer: cn("CA"), extensions: vec![] };
        let leaf = Certificate::parse(&forged.sign(&key(), &world.key)).unwrap();
        OcspQuestion::new(&leaf, &world.issuer).request(None)[8..].to_vec()
    };
    let base = world.answer(good());
    let sign = |answer: Answer| answer.sign(&world.key, &[]);
    let force = |from, until| OcspFault::NotInForce {
        from: UnixSeconds(from),
        until: UnixSeconds(until),
        now: NOW,
    };
    let noon = 1_790_000_000 - 14 * 3600 - 13 * 60 - 20; // 2026-09-21T00:00:00Z
    let mut flipped = sign(base.clone());
    let at = flipped.len() - 3;
    flipped[at] ^= 1;
    let table = [
        ("as asked", sign(base.clone()), Ok(())),
        ("our nonce", sign(Answer { nonce: Some(tlv(4, &NONCE)), ..base.clone() }), Ok(())),
        (
            "another nonce",
            sign(Answer { nonce: Some(tlv(4, &[8; 32])), ..base.clone() }),
            Err(OcspFault::Nonce),
        ),
        (
            "half a nonce",
            sign(Answer { nonce: Some(tlv(4, &NONCE[..16])), ..base.clone() }),
            Err(OcspFault::Nonce),
        ),
        (
            "not a nonce",
            sign(Answer { nonce: Some(vec![1, 2]), ..base.clone() }),
            Err(OcspFault::Malformed("nonce")),
        ),
        (
            "another certificate",
            sign(Answer { certificate: other, ..base.clone() }),
            Err(OcspFault::OtherCertificate),
        ),
        (
            "no certificate",
            sign(Answer { times: 0, ..base.clone() }),
            Err(OcspFault::OtherCertificate),
        ),
        (
            "twice",
            sign(Answer { times: 2, ..base.clone() }),
            Err(OcspFault::Malformed("list of answers, which holds two about one certificate,")),
        ),
        (
            "yesterday's",
            sign(Answer {
                from: "20260920000000Z",
                until: Some("20260921000000Z"),
                ..base.clone()
            }),
            Err(force(noon - 86_400, noon)),
        ),
        (
            "tomorrow's",
            sign(Answer {
                from: "20260922000000Z",
                until: Some("20260923000000Z"),
                ..base.clone()
            }),
            Err(force(noon + 86_400, noon + 2 * 86_400)),
        ),
        (
            "old and without an end",
            sign(Answer { until: None, ..base.clone() }),
            Err(force(noon, noon + 300)),
        ),
        ("changed", flipped, Err(OcspFault::Signature)),
        ("try later", seq(&[&[0x0a, 1, 3]]), Err(OcspFault::Refused("tryLater"))),
        ("unauthorised", seq(&[&[0x0a, 1, 6]]), Err(OcspFault::Refused("unauthorized"))),
        ("successful and empty", seq(&[&[0x0a, 1, 0]]), Err(OcspFault::Malformed("content"))),
        ("no answer", b"hello".to_vec(), Err(OcspFault::Malformed("outer structure"))),
        ("nothing", vec![], Err(OcspFault::Malformed("outer structure"))),
        ("too large", vec![0x30; 70_000], Err(OcspFault::TooLarge(70_000))),
    ];
    for (case, bytes, want) in table {
        assert_eq!(world.read(&bytes, NOW).map(drop), want, "{case}");
    }
    let stranger = world_of_another();
    let fault = world.question.read(&sign(base), &stranger, None, NOW);
    assert_eq!(fault, Err(OcspFault::Signature), "read with another issuer than it was asked with");
}

fn world_of_another() -> Certificate {
    world().issuer
}

#[test]
fn rules_say_what_a_missing_answer_means() {
    let world = world();
    let read =
        |status: Vec<u8>| world.read(&world.answer(status).sign(&world.key, &[]), NOW).unwrap();
    let end = read(good()).until();
    let foreign = {
        let other = self::world();
        other.read(&other.answer(good()).sign(&other.key, &[]), NOW).unwrap()
    };
    let none = || Some(Reason::NoOcspAnswer);
    let table = [
        (OcspRule::Off, None, NOW, None),
        (OcspRule::Off, Some(read(revoked())), NOW, None),
        (OcspRule::Soft, None, NOW, None),
        (OcspRule::Soft, Some(read(unknown())), NOW, None),
        (OcspRule::Soft, Some(read(revoked())), NOW, Some(Reason::Revoked)),
        (OcspRule::Soft, Some(read(revoked())), end.plus(1), Some(Reason::Revoked)),
        (OcspRule::Soft, Some(read(good())), NOW, None),
        (OcspRule::Hard, None, NOW, none()),
        (OcspRule::Hard, Some(read(unknown())), NOW, none()),
        (OcspRule::Hard, Some(read(revoked())), NOW, Some(Reason::Revoked)),
        (OcspRule::Hard, Some(read(good())), NOW, None),
        (OcspRule::Hard, Some(read(good())), end, None),
        (OcspRule::Hard, Some(read(good())), end.plus(1), none()),
        (OcspRule::Hard, Some(foreign), NOW, none()),
    ];
    for (ocsp, answer, now, want) in table {
        let member = Member { ocsp, ..Member::new(Arc::clone(&world.authority)) };
        let status = answer.as_ref().map(OcspAnswer::status);
        let answers: Vec<_> = answer.into_iter().map(Arc::new).collect();
        let verdict = Trust::compile(vec![member]).unwrap().verify(&world.leaf, &answers, now);
        assert_eq!(verdict.outcome.clone().err(), want, "{ocsp:?} {status:?} at {now}");
        let asks = verdict.ocsp.iter().map(|asked| &asked.question).eq([&world.question]);
        assert!(asks || verdict.ocsp.is_empty(), "{ocsp:?}");
        assert_eq!(asks, ocsp != OcspRule::Off, "{ocsp:?}: whether to ask");
        if (ocsp, status, want) == (OcspRule::Hard, Some(OcspStatus::Good), None) {
            assert_eq!(verdict.until, end, "a kept verdict ends with the answer");
        }
    }
}

/// A client below an intermediate that names a responder, if `named`: the world of the client's question, and that of the
/// intermediate's.
fn worlds_of_two(named: bool) -> (World, World) {
    let root = world();
    let url = tlv(0x86, b"http://ocsp.example.com/");
    let access = seq(&[&seq(&[&oid("1.3.6.1.5.5.7.48.1"), &url])]);
    let mut extensions = vec![ca()];
    extensions.extend(named.then(|| extension("1.3.6.1.5.5.7.1.1", false, &access)));
    let below = key();
    let der = Forged { serial: &[5], subject: cn("Below"), issuer: cn("CA"), extensions }
        .sign(&below, &root.key);
    let extensions = vec![purpose(CLIENT_AUTH)];
    let leaf = Forged { serial: &[6], subject: cn("a"), issuer: cn("Below"), extensions }
        .sign(&key(), &below);
    let intermediate = Certificate::parse(&der).unwrap();
    let leaf = PresentedChain::parse(&[leaf.as_slice().into(), der.as_slice().into()]).unwrap();
    let client = World {
        question: OcspQuestion::new(leaf.leaf(), &intermediate),
        authority: Arc::clone(&root.authority),
        leaf,
        issuer: intermediate.clone(),
        key: below,
    };
    (client, World { question: OcspQuestion::new(&intermediate, &root.issuer), ..root })
}

#[test]
fn a_chain_is_asked_about_up_to_its_anchor() {
    use OcspRule::{Hard, Off, Soft};
    let silent = Some(Reason::NoOcspAnswer);
    let revoked_ = Some(Reason::Revoked);
    type Said = Option<fn() -> Vec<u8>>;
    const GOOD: Said = Some(good);
    const REVOKED: Said = Some(revoked);
    const UNKNOWN: Said = Some(unknown);
    // Rules for leaf and intermediate, what is said of them, and how often the two are asked about.
    for (rules, said, want, asked) in [
        ((Off, Off), (REVOKED, REVOKED), None, (0, 0)),
        ((Hard, Off), (GOOD, REVOKED), None, (1, 0)),
        ((Off, Hard), (REVOKED, GOOD), None, (0, 1)),
        ((Off, Soft), (None, None), None, (0, 1)),
        ((Off, Soft), (None, UNKNOWN), None, (0, 1)),
        ((Off, Soft), (None, REVOKED), revoked_, (0, 1)),
        ((Off, Hard), (None, None), silent, (0, 1)),
        ((Off, Hard), (None, UNKNOWN), silent, (0, 1)),
        ((Off, Hard), (None, REVOKED), revoked_, (0, 1)),
        ((Hard, Hard), (GOOD, GOOD), None, (1, 1)),
        ((Hard, Hard), (GOOD, None), silent, (1, 1)),
        ((Hard, Hard), (None, GOOD), silent, (1, 1)),
        ((Hard, Hard), (None, REVOKED), revoked_, (1, 1)),
        ((Soft, Soft), (REVOKED, GOOD), revoked_, (1, 1)),
    ] {
        let (client, above) = worlds_of_two(true);
        let read = |world: &World, said: Said| {
            let bytes = world.answer(said?()).sign(&world.key, &[]);
            Some(Arc::new(world.read(&bytes, NOW).unwrap()))
        };
        let answers = [read(&above, said.1), read(&client, said.0)];
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        let (ocsp, ocsp_intermediates) = rules;
        let member =
            Member { ocsp, ocsp_intermediates, ..Member::new(Arc::clone(&client.authority)) };
        let trust = Trust::compile(vec![member]).unwrap();
        let verdict = trust.verify(&client.leaf, &answers, NOW);
        assert_eq!(verdict.outcome.clone().err(), want, "{rules:?}");
        let count = |question: &OcspQuestion| {
            verdict.ocsp.iter().filter(|asked| asked.question == *question).count()
        };
        assert_eq!((count(&client.question), count(&above.question)), asked, "{rules:?}");
        for asked in verdict.ocsp.iter().filter(|asked| asked.question == above.question) {
            assert_eq!(asked.issuer.der(), above.issuer.der(), "{rules:?}");
        }
    }
    let (client, _) = worlds_of_two(false);
    let member = Member { ocsp_intermediates: Hard, ..Member::new(Arc::clone(&client.authority)) };
    let verdict = Trust::compile(vec![member]).unwrap().verify(&client.leaf, &[], NOW);
    assert!(verdict.is_trusted(NOW) && verdict.ocsp.is_empty(), "there is nobody to ask");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_changed_answer_is_believed_or_makes_reading_panic(at in 0usize..400, flip in 1u8..) {
        static WORLD: std::sync::LazyLock<(World, Vec<u8>)> = std::sync::LazyLock::new(|| {
            let world = world();
            let answer = world.answer(good()).sign(&world.key, &[]);
            (world, answer)
        });
        let (world, answer) = &*WORLD;
        let mut answer = answer.clone();
        let at = at % answer.len();
        answer[at] ^= flip;
        let read = world.read(&answer, NOW);
        proptest::prop_assert!(read.is_err(), "octet {at}: {read:?}");
    }
}

/// OpenSSL's responder understands the question, and its answer is understood.
#[test]
fn openssl_answers() {
    if !crate::support::has_openssl() {
        return;
    }
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("ca.pem"), world.issuer.pem()).unwrap();
    std::fs::write(path("ca.key"), world.key.serialize_pem()).unwrap();
    std::fs::write(path("request"), world.question.request(Some(&NONCE))).unwrap();
    for (entry, want) in [
        ("V\t491231235959Z\t\t99\tunknown\t/CN=a\n", OcspStatus::Good),
        ("R\t491231235959Z\t260101000000Z\t99\tunknown\t/CN=a\n", OcspStatus::Revoked),
        ("V\t491231235959Z\t\t98\tunknown\t/CN=a\n", OcspStatus::Unknown),
    ] {
        std::fs::write(path("index"), entry).unwrap();
        crate::support::openssl(
            &[
                "ocsp",
                "-index",
                &path("index"),
                "-CA",
                &path("ca.pem"),
                "-rsigner",
                &path("ca.pem"),
                "-rkey",
                &path("ca.key"),
                "-reqin",
                &path("request"),
                "-respout",
                &path("answer"),
                "-ndays",
                "1",
            ],
            b"",
        );
        let answer = std::fs::read(path("answer")).unwrap();
        let read = world.question.read(&answer, &world.issuer, Some(&NONCE), Clock::System.now());
        assert_eq!(read.map(|answer| answer.status()), Ok(want), "{entry}");
        let other =
            world.question.read(&answer, &world.issuer, Some(&[1; 32]), Clock::System.now());
        assert_eq!(other, Err(OcspFault::Nonce), "it repeats our nonce");
    }
}
