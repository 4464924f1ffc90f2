//! Case H32: clients that are slow on purpose are sent away, and nobody else notices them.

use crate::origin::LARGE;
use crate::town::{Plan, Town, everyone, policy};
use crate::wire::Wire;
use narthex_proxy::{Limits, Settings};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;

const HOST: &str = "open.example.com";

/// Between two bytes of a client that drips. The dripping is what these tests are about.
const DRIP: Duration = Duration::from_millis(20);

async fn town() -> Town {
    let limits = Limits {
        head_time: Duration::from_millis(300),
        body_grace: Duration::from_millis(300),
        write_stall: Duration::from_millis(300),
        ..Limits::default()
    };
    let plan = Plan { settings: Settings { limits, ..Settings::default() }, ..Plan::default() };
    Town::build(plan.app(HOST, &[policy("bypass", everyone())], json!({}))).await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// Sends `bytes` one by one, as slowly as [`DRIP`], until the gateway says something or closes.
async fn drip(mut wire: Wire, bytes: Vec<u8>) -> (Wire, Option<u16>) {
    let mut drops = tokio::time::interval(DRIP);
    for byte in bytes {
        wire.send([byte]).await;
        tokio::select! {
            biased;
            answer = wire.answer() => return (wire, answer.map(|answer| answer.status)),
            _ = drops.tick() => {}
        }
    }
    panic!("the gateway listened to the end");
}

#[tokio::test]
async fn h32_heads_and_bodies_that_drip_are_cut_off_and_others_notice_nothing() {
    let town = town().await;
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {}", "x".repeat(5000));
    let upload = format!("POST /up HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5000\r\n\r\n");
    let mut drips = JoinSet::new();
    for _ in 0..40 {
        let wire = town.wire(HOST).await;
        drips.spawn(drip(wire, head.clone().into_bytes()));
    }
    for _ in 0..40 {
        let mut wire = town.wire(HOST).await;
        wire.send(&upload).await;
        drips.spawn(drip(wire, vec![b'x'; 5000]));
    }
    let mut other = town.wire(HOST).await;
    let (mut answered, mut statuses) = (0, Vec::new());
    while !drips.is_empty() {
        tokio::select! {
            biased;
            Some(dripped) = drips.join_next() => {
                let (mut wire, status) = dripped.unwrap();
                assert!(wire.is_closed().await);
                statuses.push(status);
            }
            answer = other.ask(get("/")) => {
                assert_eq!(answer.status, 200);
                answered += 1;
            }
        }
    }
    let count = |status| statuses.iter().filter(|other| **other == status).count();
    assert_eq!((count(None), count(Some(408))), (40, 40), "{statuses:?}");
    assert!(answered > 0);
    assert!(town.origin.seen().iter().all(|seen| seen.line() == "GET / HTTP/1.1"), "none is whole");
}

#[tokio::test]
async fn h32_a_body_that_is_slow_but_not_too_slow_arrives() {
    let town = town().await;
    let mut wire = town.wire(HOST).await;
    let length = 40 * 1024;
    wire.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n")).await;
    let mut drops = tokio::time::interval(DRIP);
    for _ in 0..40 {
        drops.tick().await;
        wire.send([b'x'; 1024]).await; // some fifty times of what is asked for
    }
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert_eq!(town.origin.take()[0].body.len(), length);
}

#[tokio::test]
async fn h32_who_does_not_read_a_large_answer_is_sent_away() {
    let town = town().await;
    let mut lazy = Vec::new();
    for _ in 0..5 {
        let mut wire = town.wire(HOST).await;
        wire.send(get("/large")).await;
        lazy.push(wire);
    }
    let mut other = town.wire(HOST).await;
    while town.read_meters().write_stalls < 5 {
        assert_eq!(other.ask(get("/")).await.status, 200);
    }
    for mut wire in lazy {
        assert!(wire.answer().await.is_none(), "what was sent before is no whole answer");
    }
    let answer = other.ask(get("/large")).await;
    assert_eq!(answer.body.len(), LARGE, "who reads gets all of it");
    assert!(answer.body.iter().all(|byte| *byte == b'x'));
}

/// RFC 9112 §9.3: what follows of the request would be taken for the next one.
#[tokio::test]
async fn an_answer_that_comes_before_the_end_of_its_request_is_the_last_of_its_connection() {
    let town = town().await;
    for (path, sent, last) in [("/early", 10, true), ("/", 5000, false)] {
        let mut wire = town.wire(HOST).await;
        let head = format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5000\r\n\r\n");
        wire.send(head).await;
        wire.send(vec![b'x'; sent]).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]), "{path}");
        assert_eq!(answer.fields("connection").contains(&"close"), last, "{path}");
        if last {
            assert!(wire.is_closed().await);
        } else {
            assert_eq!(wire.ask(get("/")).await.status, 200);
        }
    }
}
