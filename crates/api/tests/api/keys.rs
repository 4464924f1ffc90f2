//! Signing keys: the interval, rotating now, and the schedule.

use crate::gateway::{Gateway, STAMP};
use http::Method;
use narthex_token::OVERLAP_SECONDS;
use serde_json::json;

const REFUSE_DELETIONS: &str = "CREATE TRIGGER refuse_deletions BEFORE DELETE ON signing_key
    BEGIN SELECT RAISE(ABORT, 'no'); END";
const REFUSE_KEYS: &str = "CREATE TRIGGER refuse_keys BEFORE INSERT ON signing_key
    WHEN NOT EXISTS (SELECT 1 FROM signing_key WHERE kid = NEW.kid)
    BEGIN SELECT RAISE(ABORT, 'no'); END";

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
async fn each_of_several_rotations_within_a_second_takes_effect() {
    let gateway = Gateway::new().await;
    gateway.desk.tick(gateway.clock.now()).await.unwrap();
    for round in 0..6 {
        let before = gateway.live.snapshot.load().keys.clone();
        gateway.result(Method::POST, "{A}/access/keys/rotate", "", 200).await;
        let after = gateway.live.snapshot.load().keys.clone();
        assert_ne!(before.signer_kid(), after.signer_kid(), "{round}");
        assert!(before.certs_json().contains(after.signer_kid().as_str()), "{round}: known before");
        let kept = gateway.store.load_keys().await.unwrap();
        let last = kept.iter().filter(|key| key.active_from <= gateway.clock.now());
        let last = last.max_by_key(|key| (key.active_from, key.created_at)).unwrap();
        assert_eq!(last.kid, *after.signer_kid(), "{round}: as a restart would have it");
    }
}

/// The dates of the keys decide, and not whether the store can follow (security J7, A10).
#[tokio::test]
async fn j7_a_store_that_takes_nothing_does_not_keep_a_retired_key_alive() {
    let gateway = Gateway::new().await;
    let ring = |gateway: &Gateway| gateway.live.snapshot.load().keys.clone();
    gateway.desk.tick(gateway.clock.now()).await.unwrap();
    let first = ring(&gateway);
    gateway.clock.advance(3600);
    gateway.result(Method::POST, "{A}/access/keys/rotate", "", 200).await;
    let second = ring(&gateway);
    assert!(second.certs_json().contains(first.signer_kid().as_str()));

    gateway.meddle(REFUSE_DELETIONS).await;
    gateway.clock.advance(OVERLAP_SECONDS - 1);
    assert!(!gateway.desk.tick(gateway.clock.now()).await.unwrap(), "not yet");
    gateway.clock.advance(1);
    gateway.desk.tick(gateway.clock.now()).await.unwrap_err();
    assert!(!ring(&gateway).certs_json().contains(first.signer_kid().as_str()));
    assert_eq!(gateway.store.load_keys().await.unwrap().len(), 3, "still on the disk");
    gateway.meddle("DROP TRIGGER refuse_deletions").await;
    gateway.desk.tick(gateway.clock.now()).await.unwrap();
    assert_eq!(gateway.store.load_keys().await.unwrap().len(), 2, "and gone once it can be");

    gateway.meddle(REFUSE_KEYS).await;
    let published = second.next_rotation().unwrap();
    gateway.clock.advance(published.since(gateway.clock.now()));
    gateway.desk.tick(gateway.clock.now()).await.unwrap_err();
    assert_ne!(ring(&gateway).signer_kid(), second.signer_kid(), "the next key takes over");
}

/// A rotation that the store follows half of the way is in force as far as it went.
#[tokio::test]
async fn a_rotation_that_stops_half_way_leaves_store_and_ring_in_step() {
    let gateway = Gateway::new().await;
    let ring = |gateway: &Gateway| gateway.live.snapshot.load().keys.clone();
    gateway.desk.tick(gateway.clock.now()).await.unwrap();
    let first = ring(&gateway);
    gateway.clock.advance(3600);
    gateway.meddle(REFUSE_KEYS).await;
    let (status, _) = gateway.post("{A}/access/keys/rotate", "").await;
    assert_eq!(status.as_u16(), 503);
    let second = ring(&gateway);
    assert_ne!(first.signer_kid(), second.signer_kid());
    let kept = gateway.store.load_keys().await.unwrap();
    let signer = kept.iter().filter(|key| key.active_from <= gateway.clock.now());
    let signer = signer.max_by_key(|key| key.active_from).unwrap();
    assert_eq!(signer.kid, *second.signer_kid(), "what a restart would find");
    gateway.meddle("DROP TRIGGER refuse_keys").await;
    gateway.desk.tick(gateway.clock.now()).await.unwrap();
    assert!(ring(&gateway).next_rotation().is_some());
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
