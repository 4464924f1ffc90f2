//! Case R18: a panic in a handler costs its own request and nothing else.
//!
//! The panic comes from where a real one could: the log's subscriber, which the handler calls in its middle.

use crate::town::{Plan, Town, everyone, policy};
use crate::wire::{Answer, client_config, connect};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use serde_json::json;
use std::fmt;
use std::sync::Once;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const HOST: &str = "open.example.com";

/// Requests for this path make the log fail.
const BREAKS: &str = "/breaks-the-log";

/// A log that fails at one path and keeps nothing.
struct Fragile;

/// Looks for [`BREAKS`] in the fields of an event.
struct Finds(bool);

impl Visit for Finds {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0 |= field.name() == "http.path" && value == BREAKS;
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl Subscriber for Fragile {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("narthex") && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut finds = Finds(false);
        event.record(&mut finds);
        assert!(!finds.0, "this panic is part of a test");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

async fn town() -> Town {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| tracing::subscriber::set_global_default(Fragile).unwrap());
    Town::build(Plan::default().app(HOST, &[policy("bypass", everyone())], json!({}))).await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

fn is_failure_with_ray(answer: &Answer) {
    let ray = answer.field("cf-ray");
    assert_eq!((answer.status, ray.len()), (500, 16), "{answer:?}");
    assert!(answer.text().contains(ray), "the page shows its Ray ID");
    assert!(!answer.text().contains("part of a test"), "and nothing of the panic");
}

#[tokio::test]
async fn r18_a_panic_in_a_handler_is_a_500_for_that_request_only() {
    let town = town().await;
    let mut other = town.wire(HOST).await;
    let mut wire = town.wire(HOST).await;
    for round in 1..=3 {
        is_failure_with_ray(&wire.ask(get(BREAKS)).await);
        assert_eq!(town.read_meters().panics, round, "counted once");
        assert_eq!(other.ask(get("/")).await.status, 200);
        assert_eq!(wire.ask(get("/")).await.status, 200, "its own connection goes on too");
    }
    drop((wire, other));
    while town.read_meters().connections_open > 0 {
        tokio::task::yield_now().await; // every place is given back
    }
}

async fn begin(sender: &SendRequest<Bytes>, path: &str) -> ResponseFuture {
    let mut sender = sender.clone().ready().await.unwrap();
    let request = http::Request::get(format!("https://{HOST}{path}")).body(()).unwrap();
    sender.send_request(request, true).unwrap().0
}

#[tokio::test]
async fn r18_the_other_streams_of_an_http2_connection_live_on() {
    let town = town().await;
    let stream = connect(client_config(&town.ca_pem, &[b"h2"]), town.port(), HOST).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let slow = begin(&sender, "/slow").await;
    while town.origin.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let broken = begin(&sender, BREAKS).await.await.unwrap();
    assert_eq!(broken.status(), 500);
    assert_eq!(broken.headers()["cf-ray"].len(), 16);
    town.origin.release();
    assert_eq!(slow.await.unwrap().status(), 200);
    assert_eq!(begin(&sender, "/").await.await.unwrap().status(), 200);
    assert_eq!(town.read_meters().panics, 1);
}

#[tokio::test]
async fn r18_a_handler_of_the_control_side_that_dies_is_a_500_too() {
    let mut town = town().await;
    let mut wire = town.wire("access.example.com").await;
    wire.send("GET / HTTP/1.1\r\nHost: access.example.com\r\n\r\n").await;
    drop(town.errands.recv().await.unwrap()); // as a task does that panics
    is_failure_with_ray(&wire.answer().await.unwrap());
    assert_eq!(town.read_meters().panics, 1);
    assert_eq!(town.wire(HOST).await.ask(get("/")).await.status, 200);
}
