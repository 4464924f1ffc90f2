//! Signing keys: the interval, rotating now, and the schedule.

use crate::gateway::{Gateway, STAMP};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn keys_are_rotated_on_demand_and_on_schedule() {
    let gateway = Gateway::new().await;
    let path = "{A}/access/keys";
    let state = |days: i64, interval: u16, last: &str| json!({"days_until_next_rotation": days, "key_rotation_interval_days": interval, "last_key_rotation_at": last});
    assert_eq!(gateway.result(Method::GET, path, "", 200).await, state(42, 42, STAMP));
    gateway.desk.tick(gateway.clock.now()).await.unwrap();
    let ring = |gateway: &Gateway| gateway.live.snapshot.load().keys.clone();
    let first = ring(&gateway);
    assert!(first.next_rotation().is_some(), "the next key is published long before it signs");
    assert_eq!(gateway.store.load_keys().await.unwrap().len(), 2);
    assert!(!gateway.desk.tick(gateway.clock.now()).await.unwrap(), "nothing more to do");

    gateway.clock.advance(3600);
    let rotated = gateway.result(Method::POST, &format!("{path}/rotate"), "", 200).await;
    assert_eq!(rotated["last_key_rotation_at"], "2026-09-21T15:13:20Z");
    let second = ring(&gateway);
    assert_ne!(first.signer_kid(), second.signer_kid());
    let published = |certs: &str, kid: &str| certs.contains(kid);
    assert!(
        published(first.certs_json(), second.signer_kid().as_str()),
        "verifiers knew it before"
    );
    assert!(
        published(second.certs_json(), first.signer_kid().as_str()),
        "its tokens stay good for a while"
    );
    let kept = gateway.store.load_keys().await.unwrap();
    assert_eq!(kept.len(), 3, "former, current and next");
    let audit = gateway.store.recorded_changes(1, 0).await.unwrap();
    assert_eq!(audit.items[0].record.actor, "bootstrap (00000000000000000000000000000000)");

    let days = 42 * 86_400;
    gateway.clock.advance(days);
    assert!(
        gateway.desk.tick(gateway.clock.now()).await.unwrap(),
        "the next key takes over by itself"
    );
    let third = ring(&gateway);
    assert_ne!(second.signer_kid(), third.signer_kid());
    assert!(
        !published(third.certs_json(), first.signer_kid().as_str()),
        "the oldest has been retired"
    );
}

#[tokio::test]
async fn the_interval_is_21_to_365_days() {
    let gateway = Gateway::new().await;
    let path = "{A}/access/keys";
    let set =
        gateway.result(Method::PUT, path, json!({"key_rotation_interval_days": 30}), 200).await;
    assert_eq!(set["key_rotation_interval_days"], 30);
    for body in [
        json!({}),
        json!({"key_rotation_interval_days": 20}),
        json!({"key_rotation_interval_days": 366}),
        json!({"key_rotation_interval_days": "30"}),
        json!({"key_rotation_interval_days": 1e30}),
    ] {
        let got = gateway.refusal(Method::PUT, path, &body).await;
        assert_eq!((got.0, got.3.as_str()), (400, "/key_rotation_interval_days"), "{body}");
    }
}
