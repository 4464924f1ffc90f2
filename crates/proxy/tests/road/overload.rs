//! More is asked than can be done (security rule 19, checklist R8): who is turned away, who is not, and when it ends. How
//! long work waits is told, so that no test has to make a core really late.

use crate::town::{Plan, Town, everyone, policy};
use crate::wire::Answer;
use bytes::Bytes;
use http::Response;
use narthex_proxy::{Lateness, Limits, Settings, ToldLateness};
use serde_json::json;
use std::time::Duration;

const APP: &str = "app.example.com";
const OPEN: &str = "open.example.com";

async fn town(limits: Limits) -> (Town, ToldLateness) {
    let wait = ToldLateness::default();
    let settings =
        Settings { limits, lateness: Lateness::Told(wait.clone()), ..Settings::default() };
    let plan = Plan { settings, ..Plan::default() }
        .app(APP, &[policy("allow", everyone())], json!({}))
        .app(OPEN, &[policy("bypass", everyone())], json!({}));
    (Town::build(plan).await, wait)
}

fn get(host: &str, fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

fn assert_turned_away(answer: &Answer) {
    assert_eq!(answer.status, 503);
    let after: u64 = answer.field("retry-after").parse().unwrap();
    assert!((1..=4).contains(&after), "{after}");
    assert_eq!(answer.field("cf-ray").len(), 16, "{}", answer.head);
    assert!(answer.fields("connection").is_empty(), "another connection would cost more");
}

#[tokio::test]
async fn r08_strangers_are_turned_away_before_those_who_are_known_and_administrators_never() {
    let (mut town, wait) = town(Limits::default()).await;
    let mut stranger = town.wire(OPEN).await;
    let mut person = town.wire(APP).await;
    let mut admin = town.wire("admin.example.com").await;
    let cookie =
        |town: &Town| format!("Cookie: CF_Authorization={}\r\n", town.log_in("a@b.test", APP));
    let known = cookie(&town);
    assert_eq!(stranger.ask(get(OPEN, "")).await.status, 200);
    assert_eq!(person.ask(get(APP, &known)).await.status, 200);

    wait.set(Duration::from_millis(60)); // more than it may be, so that the pressure rises bit by bit
    while stranger.ask(get(OPEN, "")).await.status != 503 {}
    assert_eq!(town.read_meters().overloaded, 1);
    wait.set(Duration::from_millis(25)); // what is aimed at: the pressure stays
    while person.ask(get(APP, &cookie(&town))).await.status != 503 {} // not verified before
    assert_eq!(person.ask(get(APP, &known)).await.status, 200);
    assert_eq!(town.read_meters().shed_known, 0);

    wait.set(Duration::from_secs(1));
    while person.ask(get(APP, &known)).await.status != 503 {}
    let mut in_a_row = 0; // until the pressure is at its highest
    while in_a_row < 50 {
        let answer = person.ask(get(APP, &known)).await;
        in_a_row = if answer.status == 503 { in_a_row + 1 } else { 0 };
    }
    let page = stranger.ask(get(OPEN, "Accept: text/html\r\n")).await;
    assert_turned_away(&page);
    assert!(page.text().contains("Too busy") && page.text().contains(page.field("cf-ray")));
    let json = person.ask(get(APP, &format!("{known}Accept: application/json\r\n"))).await;
    assert_turned_away(&json);
    let json: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!((&json["status_code"], json["ray_id"].is_string()), (&json!(503), true));
    let asked = admin.ask(get("admin.example.com", ""));
    let (asked, ()) = tokio::join!(asked, async {
        let errand = town.errands.recv().await.unwrap();
        errand.reply.send(Response::new(Bytes::from_static(b"revoked"))).unwrap();
    });
    assert_eq!((asked.status, asked.text()), (200, "revoked".to_owned()));

    wait.set(Duration::ZERO);
    while stranger.ask(get(OPEN, "")).await.status != 200 {}
    while town.read_meters().overloaded > 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert_eq!(stranger.ask(get(OPEN, "")).await.status, 200, "nobody is turned away any more");
        assert_eq!(person.ask(get(APP, &known)).await.status, 200);
    }
}

#[tokio::test]
async fn r08_new_connections_are_taken_later_and_none_is_refused() {
    let (town, wait) = town(Limits { overload_connections: 10, ..Limits::default() }).await;
    let mut busy = town.wire(OPEN).await;
    wait.set(Duration::from_secs(1));
    while busy.ask(get(OPEN, "")).await.status != 503 {}
    let mut all = Vec::new();
    while town.read_meters().connections_delayed < 3 {
        all.push(town.wire(OPEN).await);
    }
    assert_eq!(town.read_meters().connections_refused, 0);
    for wire in &mut all {
        assert_turned_away(&wire.ask(get(OPEN, "")).await);
    }
    wait.set(Duration::ZERO);
    for wire in &mut all {
        while wire.ask(get(OPEN, "")).await.status != 200 {}
    }
}
