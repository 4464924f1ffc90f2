//! OCSP: what a responder says counts on the next request, and what its silence means is the authority's rule. The responder is
//! OpenSSL's, without a network between.

use crate::clients::{Ca, Client, FIRST, get, wire};
use crate::town::{NOW, Plan, Town, policy};
use narthex_cert::{OcspAnswer, OcspStatus};
use narthex_model::Clock;
use narthex_snapshot::OcspAsk;
use serde_json::json;
use std::process::{Command, Stdio};

const HOST: &str = "mtls.example.com";

async fn town(ours: &Ca, mode: &str) -> Town {
    let certificate = policy("non_identity", json!({"certificate": {}}));
    let mut town = Town::build(Plan::default().app(HOST, &[certificate], json!({}))).await;
    town.clock.advance(Clock::System.now().since(NOW)); // OpenSSL's answers are of now
    let ocsp = json!({"mode": mode, "url": "https://ocsp.example.com/"});
    town.publish(|configuration| {
        ours.put(configuration, &[HOST], json!({"revocation": {"ocsp": ocsp}}));
    });
    town
}

/// What OpenSSL's responder answers with this index entry.
fn answer(ours: &Ca, ask: &OcspAsk, entry: &str) -> OcspAnswer {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("ca.pem"), &ours.pem).unwrap();
    std::fs::write(path("ca.key"), ours.key_pem()).unwrap();
    std::fs::write(path("index"), entry).unwrap();
    std::fs::write(path("request"), ask.question.request(None)).unwrap();
    let done = Command::new("openssl")
        .args([
            "ocsp",
            "-index",
            &path("index"),
            "-CA",
            &path("ca.pem"),
            "-rsigner",
            &path("ca.pem"),
        ])
        .args([
            "-rkey",
            &path("ca.key"),
            "-reqin",
            &path("request"),
            "-respout",
            &path("answer"),
            "-ndays",
            "1",
        ])
        .stderr(Stdio::null())
        .status();
    assert!(done.unwrap().success());
    let bytes = std::fs::read(path("answer")).unwrap();
    ask.question.read(&bytes, &ask.issuer, None, Clock::System.now()).unwrap()
}

const GOOD: &str = "V\t310101000000Z\t\tC0FFEE\tunknown\t/CN=robot\n";
const REVOKED: &str = "R\t310101000000Z\t260101000000Z\tC0FFEE\tunknown\t/CN=robot\n";

fn there() -> bool {
    let there = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: the openssl command is not installed");
    }
    there
}

async fn first_status(town: &Town, client: &Client) -> (u16, String) {
    let answer = wire(town, HOST, Some(client)).await.ask(get(HOST)).await;
    (answer.status, answer.text())
}

#[tokio::test]
async fn the_responder_is_asked_in_the_handshake_and_its_word_counts_at_once() {
    if !there() {
        return;
    }
    let ours = Ca::new(FIRST, "Our CA");
    let client = ours.client("robot");
    for mode in ["hard", "soft"] {
        let town = town(&ours, mode).await;
        let mut asks = town.live.ocsp.take_asks().unwrap();
        let (live, clock) = (std::sync::Arc::clone(&town.live), town.clock.clone());
        let settle = |ask: &OcspAsk, entry| {
            let answer = answer(&ours, ask, entry);
            assert_eq!(answer.status() == OcspStatus::Good, entry == GOOD);
            live.ocsp_settled(&ask.question, Some(answer), clock.now());
        };
        let asked = async {
            let ask = asks.recv().await.unwrap();
            assert_eq!(ask.url.as_str(), "https://ocsp.example.com/");
            settle(&ask, GOOD);
            ask
        };
        let connected = async {
            let mut wire = wire(&town, HOST, Some(&client)).await;
            let answer = wire.ask(get(HOST)).await;
            (wire, answer.status)
        };
        let (ask, (mut open, status)) = tokio::join!(asked, connected);
        assert_eq!(status, 200, "{mode}: the handshake waited for the answer");
        assert_eq!(open.ask(get(HOST)).await.status, 200);
        assert_eq!(first_status(&town, &client).await.0, 200, "known: nobody is asked again");
        assert!(asks.try_recv().is_err());
        settle(&ask, REVOKED);
        let refused = open.ask(get(HOST)).await;
        assert_eq!(refused.status, 403, "{mode}");
        assert!(refused.text().contains("has been revoked"), "{}", refused.text());
    }
}

#[tokio::test]
async fn silence_refuses_in_hard_mode_alone_and_is_not_asked_for_on_every_request() {
    let ours = Ca::new(FIRST, "Our CA");
    let client = ours.client("robot");
    for (mode, want) in [("hard", 403), ("soft", 200)] {
        let town = town(&ours, mode).await;
        let mut asks = town.live.ocsp.take_asks().unwrap();
        let silent = async {
            let ask = asks.recv().await.unwrap();
            town.live.ocsp_settled(&ask.question, None, town.clock.now());
        };
        let ((), (status, text)) = tokio::join!(silent, first_status(&town, &client));
        assert_eq!(status, want, "{mode}");
        assert_eq!(text.contains("cannot be told right now"), want == 403, "{mode}: {text}");
        assert_eq!(first_status(&town, &client).await.0, want);
        assert!(asks.try_recv().is_err(), "{mode}: the responder is left alone for a while");
        town.clock.advance(31);
        let again = async {
            let ask = asks.recv().await.unwrap();
            town.live.ocsp_settled(&ask.question, None, town.clock.now());
        };
        tokio::join!(again, first_status(&town, &client));
    }
}
