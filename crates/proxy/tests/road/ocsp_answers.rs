//! OCSP: which of a responder's answers is kept, for how long, and when it is asked again. The responder is scripted: it issues
//! answers of any time.

use crate::clients::{Ca, Client, FIRST, get, wire};
use crate::town::{NOW, Plan, Town, policy};
use narthex_cert::{OcspAnswer, OcspStatus};
use narthex_model::UnixSeconds;
use narthex_snapshot::OcspAsk;
use rcgen::{KeyPair, SigningKey as _};
use serde_json::json;
use tokio::sync::mpsc;

const HOST: &str = "mtls.example.com";
const HOUR: i64 = 3_600;

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match (high, low) {
        (0, 0..0x80) => vec![low],
        (0, 0x80..) => vec![0x81, low],
        (1.., _) => vec![0x82, high, low],
    };
    [&[tag], &length[..], content].concat()
}

fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn generalized(at: UnixSeconds) -> Vec<u8> {
    let at = time::OffsetDateTime::from_unix_timestamp(at.0).unwrap();
    let (month, (hour, minute, second)) = (u8::from(at.month()), at.to_hms());
    let text = format!("{}{month:02}{:02}{hour:02}{minute:02}{second:02}Z", at.year(), at.day());
    tlv(0x18, text.as_bytes())
}

/// An answer of the authority itself (RFC 6960 §4.2.1), in force from `from` to `until`, as it is read at `from`.
fn answer(
    ours: &Ca,
    ask: &OcspAsk,
    status: OcspStatus,
    from: UnixSeconds,
    until: UnixSeconds,
) -> OcspAnswer {
    let status = match status {
        OcspStatus::Good => tlv(0x80, &[]),
        OcspStatus::Revoked => tlv(0xa1, &generalized(from)),
        OcspStatus::Unknown => tlv(0x82, &[]),
    };
    let request = ask.question.request(None);
    let certificate = &request[8..]; // the CertID, behind four headers of two octets
    let until = tlv(0xa0, &generalized(until));
    let one = seq(&[certificate, &status, &generalized(from), &until]);
    let responder = tlv(0xa2, &tlv(4, &[0; 20]));
    let data = seq(&[&responder, &generalized(from), &seq(&[&one])]);
    let ecdsa_with_sha256 = seq(&[&tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])]);
    let key = KeyPair::from_pem(&ours.key_pem()).unwrap();
    let signature = [&[0], &key.sign(&data).unwrap()[..]].concat();
    let basic = seq(&[&data, &ecdsa_with_sha256, &tlv(3, &signature)]);
    let kind = tlv(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]);
    let bytes = seq(&[&[0x0a, 1, 0], &tlv(0xa0, &seq(&[&kind, &tlv(4, &basic)]))]);
    ask.question.read(&bytes, &ask.issuer, None, from).unwrap()
}

/// A host whose authority asks its responder, the questions, and the authority with one of its clients.
struct Scene {
    town: Town,
    asks: mpsc::Receiver<OcspAsk>,
    ours: Ca,
    client: Client,
}

impl Scene {
    async fn new(mode: &str) -> Self {
        let ours = Ca::new(FIRST, "Our CA");
        let certificate = policy("non_identity", json!({"certificate": {}}));
        let mut town = Town::build(Plan::default().app(HOST, &[certificate], json!({}))).await;
        let ocsp = json!({"mode": mode, "url": "https://ocsp.example.com/"});
        town.publish(|configuration| {
            ours.put(configuration, &[HOST], json!({"revocation": {"ocsp": ocsp}}));
        });
        let asks = town.live.ocsp.take_asks().unwrap();
        let client = ours.client("robot");
        Self { town, asks, ours, client }
    }

    fn now(&self) -> UnixSeconds {
        self.town.clock.now()
    }

    fn settle(&self, ask: &OcspAsk, answer: Option<OcspAnswer>) {
        self.town.live.ocsp_settled(&ask.question, answer, self.now());
    }

    /// What `status` from `from` to `until`, in seconds from now, is worth when it is brought now.
    fn say(&self, ask: &OcspAsk, status: OcspStatus, from: i64, until: i64) {
        let now = self.now();
        let answer = answer(&self.ours, ask, status, now.plus(from), now.plus(until));
        self.settle(ask, Some(answer));
    }

    /// A connection, with what the responder answers to the question that its handshake asks.
    async fn connect(
        &mut self,
        said: Option<(OcspStatus, i64, i64)>,
    ) -> (crate::wire::Wire, OcspAsk) {
        let Self { town, asks, ours, client } = self;
        let asked = async {
            let ask = asks.recv().await.unwrap();
            let now = town.clock.now();
            let answer = said.map(|(status, from, until)| {
                answer(ours, &ask, status, now.plus(from), now.plus(until))
            });
            town.live.ocsp_settled(&ask.question, answer, now);
            ask
        };
        tokio::join!(wire(town, HOST, Some(client)), asked)
    }
}

async fn status(wire: &mut crate::wire::Wire) -> u16 {
    wire.ask(get(HOST)).await.status
}

#[tokio::test]
async fn what_is_revoked_stays_so_when_its_responder_falls_silent() {
    let mut scene = Scene::new("soft").await;
    let (mut open, _) = scene.connect(Some((OcspStatus::Revoked, 0, HOUR))).await;
    assert_eq!(status(&mut open).await, 403);
    scene.town.clock.advance(3 * HOUR);
    scene.town.live.forget_expired(scene.now());
    assert_eq!(status(&mut open).await, 403, "its answer is over, and there is no other");
    let ask = scene.asks.recv().await.unwrap();
    scene.settle(&ask, None);
    assert_eq!(status(&mut open).await, 403, "the responder is silent");
    scene.say(&ask, OcspStatus::Good, 0, HOUR);
    assert_eq!(status(&mut open).await, 200, "a newer answer takes it back");
}

#[tokio::test]
async fn an_older_answer_does_not_take_back_a_newer_one() {
    let mut scene = Scene::new("hard").await;
    let (mut open, ask) = scene.connect(Some((OcspStatus::Good, -HOUR, HOUR))).await;
    assert_eq!(status(&mut open).await, 200);
    scene.say(&ask, OcspStatus::Revoked, 0, HOUR);
    assert_eq!(status(&mut open).await, 403);
    let mut open = wire(&scene.town, HOST, Some(&scene.client)).await;
    scene.say(&ask, OcspStatus::Good, -HOUR, HOUR);
    assert_eq!(status(&mut open).await, 403, "sent again by somebody who kept it");
}

#[tokio::test]
async fn a_responder_is_asked_again_in_good_time_and_not_on_every_request() {
    // Of an answer's time left, half may pass; an hour at most, half a minute at least. Most are prepared well ahead.
    for (from, until, wait) in
        [(0, 600, 300), (-90_000, 600, 300), (0, 7 * 86_400, HOUR), (-HOUR, 10, 30)]
    {
        let mut scene = Scene::new("soft").await;
        let (mut open, _) = scene.connect(Some((OcspStatus::Good, from, until))).await;
        scene.town.clock.advance(wait - 1);
        assert_eq!(status(&mut open).await, 200);
        assert!(scene.asks.try_recv().is_err(), "{from} {until}: early");
        scene.town.clock.advance(1);
        assert_eq!(status(&mut open).await, 200);
        let ask = scene.asks.try_recv().expect("it is time");
        assert_eq!(status(&mut open).await, 200);
        assert!(scene.asks.try_recv().is_err(), "{from} {until}: it is under way");
        scene.settle(&ask, None);
        assert_eq!(status(&mut open).await, 200);
        assert!(scene.asks.try_recv().is_err(), "{from} {until}: in vain a moment ago");
        scene.town.clock.advance(30);
        assert_eq!(status(&mut open).await, 200);
        assert!(scene.asks.try_recv().is_ok(), "{from} {until}: again");
    }
}

#[tokio::test]
async fn an_answer_counts_for_its_time_and_unknown_is_not_good() {
    for (mode, over, unknown) in [("hard", 403, 403), ("soft", 200, 200)] {
        let mut scene = Scene::new(mode).await;
        let (mut open, ask) = scene.connect(Some((OcspStatus::Good, 0, HOUR))).await;
        scene.town.clock.advance(HOUR);
        assert_eq!(status(&mut open).await, 200, "{mode}: its last second");
        scene.town.clock.advance(1);
        assert_eq!(status(&mut open).await, over, "{mode}");
        scene.say(&ask, OcspStatus::Good, 0, HOUR);
        assert_eq!(status(&mut open).await, 200, "{mode}");
        scene.say(&ask, OcspStatus::Unknown, 0, HOUR);
        assert_eq!(status(&mut open).await, unknown, "{mode}");
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_responder_says_revoked_and_not_when_it_knows_somebody_new() {
    let mut scene = Scene::new("soft").await;
    let (mut stream, ask) = scene.connect(Some((OcspStatus::Good, 0, HOUR))).await;
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    assert_eq!(stream.ask(upgrade).await.status, 101);
    let before = scene.town.live.revocations.generation();
    scene.say(&ask, OcspStatus::Good, 0, 2 * HOUR);
    assert_eq!(scene.town.live.revocations.generation(), before, "nothing was taken from anybody");
    scene.say(&ask, OcspStatus::Revoked, 0, HOUR);
    assert!(stream.is_closed().await);
    let counts = scene.town.live.ocsp.counts();
    assert_eq!((counts.good, counts.revoked, counts.unknown, counts.failed), (2, 1, 0, 0));
}

#[tokio::test]
async fn an_answer_that_was_known_to_nobody_yet_ends_nothing() {
    let mut scene = Scene::new("hard").await;
    let before = scene.town.live.revocations.generation();
    let (mut open, _) = scene.connect(Some((OcspStatus::Good, 0, HOUR))).await;
    assert_eq!(status(&mut open).await, 200);
    assert_eq!(scene.town.live.revocations.generation(), before);
    assert_eq!(scene.now(), NOW);
}
