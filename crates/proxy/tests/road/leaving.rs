//! Case R4 and its neighbours: leaving without losing what is under way.

use crate::town::{Plan, Town, everyone, policy};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;

const HOST: &str = "open.example.com";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

#[tokio::test]
async fn r04_what_is_under_way_finishes_and_idle_connections_close() {
    let town =
        Town::build(Plan::default().app(HOST, &[policy("bypass", everyone())], json!({}))).await;
    let port = town.port();
    let mut idle = town.wire(HOST).await;
    assert_eq!(idle.ask(get("/")).await.status, 200);
    let mut busy = town.wire(HOST).await;
    busy.send(get("/slow")).await;
    while town.origin.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let Town { running, origin, .. } = town;
    let leaving = tokio::spawn(running.drain(Duration::from_secs(20)));
    assert!(idle.is_closed().await);
    origin.release();
    let answer = busy.answer().await.expect("the answer under way");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("connection"), "close");
    assert!(busy.is_closed().await);
    let counts = leaving.await.unwrap();
    assert_eq!(counts.iter().map(|count| count.requests).sum::<u64>(), 2);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn r02_who_is_connected_is_told_to_connect_to_the_successor_and_nobody_is_cut_off() {
    let town =
        Town::build(Plan::default().app(HOST, &[policy("bypass", everyone())], json!({}))).await;
    let port = town.port();
    let mut idle = town.wire(HOST).await;
    assert_eq!(idle.ask(get("/")).await.status, 200);
    let mut silent = town.wire(HOST).await; // has shaken hands, and asked for nothing yet
    let Town { mut running, origin: _origin, .. } = town;
    let successor = running.listeners().unwrap();
    running.yield_to_successor();
    let mut new = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (socket, _) = successor.https[0].accept().or_else(|_| successor.https[0].accept()).unwrap();
    drop(socket);
    assert_eq!(tokio::io::AsyncReadExt::read(&mut new, &mut [0]).await.unwrap_or(0), 0);
    for wire in [&mut idle, &mut silent] {
        let answer = wire.ask(get("/")).await;
        assert_eq!((answer.status, answer.field("connection")), (200, "close"));
        assert!(wire.is_closed().await);
    }
    running.until_idle().await;
    drop(running.drain(Duration::ZERO).await);
    drop(successor);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn r04_what_does_not_finish_is_closed_when_the_grace_is_over() {
    let town =
        Town::build(Plan::default().app(HOST, &[policy("bypass", everyone())], json!({}))).await;
    let mut stuck = town.wire(HOST).await;
    stuck.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\nx")).await;
    let Town { running, origin, .. } = town;
    running.drain(Duration::from_millis(200)).await;
    assert!(stuck.is_closed().await);
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn connections_are_limited_and_a_port_in_use_is_named() {
    let settings = narthex_proxy::Settings {
        limits: narthex_proxy::Limits { connections: 2, ..Default::default() },
        ..Default::default()
    };
    let plan = Plan { settings, ..Plan::default() };
    let town = Town::build(plan.app(HOST, &[policy("bypass", everyone())], json!({}))).await;
    let mut one = town.wire(HOST).await;
    let _two = town.wire(HOST).await;
    let config = crate::wire::client_config(&town.ca_pem, &[]);
    assert!(crate::wire::connect(config, town.port(), HOST).await.is_err(), "a third");
    assert_eq!(one.ask(get("/")).await.status, 200);
    assert_eq!(town.read_meters().connections_refused, 1);
    assert_eq!(town.read_meters().connections_open, 2);
}

#[tokio::test]
async fn several_cores_share_one_port() {
    let settings = narthex_proxy::Settings { cores: 3, ..Default::default() };
    let plan = Plan { settings, ..Plan::default() };
    let town = Town::build(plan.app(HOST, &[policy("bypass", everyone())], json!({}))).await;
    for _ in 0..12 {
        assert_eq!(town.wire(HOST).await.ask(get("/")).await.status, 200);
    }
    let counts = town.running.folder().collect().await;
    assert_eq!(counts.iter().map(|count| count.requests).sum::<u64>(), 12);
}

#[tokio::test]
async fn connections_are_shared_out_evenly_among_the_cores() {
    // There is room for four on each core. The system's choice alone fills one of them before all are full.
    let limits = narthex_proxy::Limits { connections: 16, ..Default::default() };
    let settings = narthex_proxy::Settings { cores: 4, limits, ..Default::default() };
    let plan = Plan { settings, ..Plan::default() };
    let town = Town::build(plan.app(HOST, &[policy("bypass", everyone())], json!({}))).await;
    let mut wires = Vec::new();
    for _ in 0..16 {
        let mut wire = town.wire(HOST).await;
        assert_eq!(wire.ask(get("/")).await.status, 200);
        wires.push(wire);
    }
    assert_eq!(town.read_meters().connections_open, 16);
    let config = crate::wire::client_config(&town.ca_pem, &[]);
    assert!(crate::wire::connect(config, town.port(), HOST).await.is_err(), "one too many");
    drop(wires);
    town.running.drain(Duration::from_secs(20)).await;
}
