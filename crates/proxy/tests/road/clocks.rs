//! Case R16: the clock on the wall may jump; what is measured does not, and what expires does so on the second.

use crate::town::{NOW, Plan, Town, everyone, policy};
use narthex_model::UnixSeconds;
use narthex_proxy::{Limits, Settings};
use serde_json::json;
use std::time::Duration;

const HOST: &str = "wiki.example.com";
const OPEN: &str = "open.example.com";

async fn town() -> Town {
    let limits = Limits { head_time: Duration::from_millis(500), ..Limits::default() };
    let plan = Plan { settings: Settings { limits, ..Settings::default() }, ..Plan::default() };
    let plan = plan.app(HOST, &[policy("allow", everyone())], json!({}));
    Town::build(plan.app(OPEN, &[policy("bypass", everyone())], json!({}))).await
}

fn get(host: &str, path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

#[tokio::test]
async fn r16_a_token_ends_exactly_at_midnight() {
    let town = town().await;
    let midnight = UnixSeconds(NOW.0 - NOW.0.rem_euclid(86_400) + 86_400);
    town.clock.advance(midnight.since(NOW) - 3600);
    let began = midnight.plus(-3600);
    let token = town.log_in_with("a@b.test", HOST, |token| {
        (token.iat, token.exp) = (began, midnight);
    });
    let ask = get(HOST, "/", &format!("Cookie: CF_Authorization={token}\r\n"));
    let mut wire = town.wire(HOST).await;
    assert_eq!(wire.ask(&ask).await.status, 200);
    town.clock.advance(3599);
    assert_eq!(wire.ask(&ask).await.status, 200, "23:59:59, remembered by the connection");
    assert_eq!(town.wire(HOST).await.ask(&ask).await.status, 200, "and by the core");
    town.clock.advance(1);
    assert_eq!(wire.ask(&ask).await.status, 302, "00:00:00, on the connection that knew it");
    assert_eq!(town.wire(HOST).await.ask(&ask).await.status, 302, "and on another");
    town.clock.advance(-1);
    assert_eq!(wire.ask(&ask).await.status, 200, "a leap second: 23:59:59 once more");
}

#[tokio::test]
async fn r16_an_hour_forth_and_back_cuts_nothing_that_is_measured() {
    let town = town().await;
    let mut idle = town.wire(OPEN).await;
    assert_eq!(idle.ask(get(OPEN, "/", "")).await.status, 200);
    let mut slow = town.wire(OPEN).await;
    slow.send(get(OPEN, "/slow", "")).await;
    while town.origin.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let mut begun = town.wire(OPEN).await;
    begun.send("GET / HT").await;
    for jump in [3600, -3600, -3600, 3600] {
        town.clock.advance(jump);
        assert_eq!(idle.ask(get(OPEN, "/", "")).await.status, 200, "{jump}: kept alive");
        assert_eq!(town.wire(OPEN).await.ask(get(OPEN, "/", "")).await.status, 200, "{jump}: new");
    }
    town.origin.release();
    assert_eq!(slow.answer().await.unwrap().status, 200, "what was under way finishes");
    assert!(begun.is_closed().await, "and a head still has its time");
}
