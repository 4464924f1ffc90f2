//! Origins that are dead, slow or endless, as clients see them (checklist R6, R7, R11).

use crate::town::{Plan, Town, everyone, policy};
use serde_json::json;
use tokio::net::TcpListener;

const DEAD: &str = "dead.other.test";
const HOST: &str = "open.example.com";

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[tokio::test]
async fn r07_a_dead_origin_is_a_502_then_a_503_that_says_when_to_come_back() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let plan = Plan { elsewhere: Some(format!("http://127.0.0.1:{port}")), ..Plan::default() };
    let plan = plan.app(HOST, &[policy("bypass", everyone())], json!({}));
    let town = Town::build(plan.app(DEAD, &[policy("bypass", everyone())], json!({}))).await;
    let mut wire = town.wire(DEAD).await;
    let found_out = wire.ask(get(DEAD)).await;
    assert_eq!((found_out.status, found_out.field("retry-after")), (502, ""));
    let told = wire.ask(get(DEAD)).await;
    assert_eq!((told.status, told.field("retry-after")), (503, "1"));
    assert_eq!(told.field("cf-ray").len(), 16);
    assert!(!told.text().contains(&port.to_string()), "no internal address");
    assert_eq!(town.read_meters().upstream_failures, 2);
    assert_eq!(town.wire(HOST).await.ask(get(HOST)).await.status, 200, "others notice nothing");
}
