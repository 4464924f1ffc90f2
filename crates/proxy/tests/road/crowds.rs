//! Crowds at the door: limits that hold for one address and for handshakes, and others who notice nothing
//! (checklist R9, T26).

use crate::town::{Plan, Town, everyone, policy};
use crate::wire::{Wire, client_config, connect_over};
use narthex_proxy::{Limits, Settings};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const HOST: &str = "open.example.com";

async fn town(limits: Limits) -> Town {
    let plan = Plan { settings: Settings { limits, ..Settings::default() }, ..Plan::default() };
    Town::build(plan.app(HOST, &[policy("bypass", everyone())], json!({}))).await
}

fn get() -> String {
    format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// A TCP connection from 127.0.0.`last`.
async fn from(town: &Town, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.connect(([127, 0, 0, 1], town.port()).into()).await.unwrap()
}

async fn wire_from(town: &Town, last: u8) -> std::io::Result<Wire> {
    let config = client_config(&town.ca_pem, &[b"http/1.1"]);
    connect_over(config, from(town, last).await, HOST).await.map(Wire::new)
}

#[tokio::test]
async fn r09_one_address_is_limited_and_others_are_not() {
    let town = town(Limits { connections_per_address: 5, ..Limits::default() }).await;
    let mut flood = Vec::new();
    for _ in 0..5 {
        flood.push(wire_from(&town, 2).await.unwrap());
    }
    for turned_away in 1..=50 {
        assert!(wire_from(&town, 2).await.is_err(), "at once, without a handshake");
        assert_eq!(town.read_meters().connections_refused, turned_away);
        if turned_away % 10 == 0 {
            assert_eq!(wire_from(&town, 3).await.unwrap().ask(get()).await.status, 200, "others");
        }
    }
    for wire in &mut flood {
        assert_eq!(wire.ask(get()).await.status, 200, "those who are in stay in");
    }
    drop(flood.pop());
    loop {
        // The place is given back when the gateway has seen the end.
        if let Ok(mut wire) = wire_from(&town, 2).await {
            assert_eq!(wire.ask(get()).await.status, 200);
            break;
        }
    }
}

#[tokio::test]
async fn t26_half_open_handshakes_are_limited_and_established_sessions_go_on() {
    const MOST: usize = 64;
    let town = town(Limits {
        handshakes: MOST,
        handshake_time: Duration::from_secs(600),
        ..Limits::default()
    })
    .await;
    let mut established = town.wire(HOST).await;
    assert_eq!(established.ask(get()).await.status, 200);
    let mut half_open = Vec::new();
    for number in 0..MOST {
        let mut tcp = from(&town, 2).await;
        let begun: &[u8] = if number % 2 == 0 { b"" } else { &[22, 3, 1, 0, 200, 1] };
        tcp.write_all(begun).await.unwrap();
        half_open.push(tcp);
    }
    let accepted = |wanted: u64| {
        let town = &town;
        async move {
            while town.read_meters().connections_accepted < wanted {
                tokio::task::yield_now().await;
            }
        }
    };
    accepted(MOST as u64 + 1).await;
    for more in 1..=200 {
        half_open.push(from(&town, 3).await);
        if more % 20 == 0 {
            assert_eq!(established.ask(get()).await.status, 200, "who is in notices nothing");
            let mut honest = town.wire(HOST).await;
            assert_eq!(honest.ask(get()).await.status, 200, "nor who comes now");
        }
    }
    for (number, displaced) in half_open.drain(..200).enumerate() {
        let mut displaced = displaced;
        let read = displaced.read(&mut [0; 1]).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{number} made room");
    }
    assert_eq!(town.read_meters().connections_refused, 0);
    assert_eq!(half_open.len(), MOST, "the newest still have their time");
    assert_eq!(established.ask(get()).await.status, 200);
}
