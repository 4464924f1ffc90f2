//! The desk: writers take turns, failures change nothing, and the audit tells who did what (security A5, A6, A10, A11).

use crate::gateway::{Gateway, NOW, full, premises};
use bytes::Bytes;
use http::Method;
use narthex_api::{MOST_BODY_BYTES, by_itself};
use narthex_model::Zone;
use narthex_store::Intact;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn fifty_writers_lose_nothing() {
    let gateway = Arc::new(Gateway::new().await);
    let group = json!({"name": "g", "include": [{"everyone": {}}]});
    let made = gateway.result(Method::POST, "{A}/access/groups", &group, 201).await;
    let shared = format!("{{A}}/access/groups/{}", made["id"].as_str().unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (gateway, shared) = (Arc::clone(&gateway), shared.clone());
        writers.spawn(async move {
            let body = json!({"name": format!("g{n}"), "include": [{"everyone": {}}]});
            gateway.result(Method::POST, "{A}/access/groups", &body, 201).await;
            gateway.result(Method::PUT, &shared, &body, 200).await;
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let (revision, stored) = gateway.store.load().await.unwrap();
    assert_eq!(stored.groups.len(), 51);
    assert_eq!(revision, gateway.desk.standing().revision);
    assert_eq!(revision, gateway.live.snapshot.load().revision);
    assert!(matches!(gateway.store.verify_audit().await.unwrap(), Intact::Yes(_)));
}

#[tokio::test]
async fn what_another_writer_committed_is_taken_up() {
    let gateway = Gateway::new().await;
    let group = |name: &str| json!({"name": name, "include": [{"everyone": {}}]});
    gateway.result(Method::POST, "{A}/access/groups", group("ours"), 201).await;
    let (revision, theirs) = gateway.store.load().await.unwrap();
    let mut edited = theirs.clone();
    edited.groups.clear();
    let changes = narthex_store::Change::between(&theirs, &edited);
    gateway
        .store
        .commit(revision, &changes, &by_itself("another node", "clear", NOW))
        .await
        .unwrap();
    gateway.result(Method::POST, "{A}/access/groups", group("second"), 201).await;
    let names: Vec<String> =
        gateway.desk.standing().configuration.groups.values().map(|g| g.name.clone()).collect();
    assert_eq!(names, ["second"]);
}

#[tokio::test]
async fn the_audit_tells_who_did_what() {
    let gateway = Gateway::new().await;
    let body = json!({"name": "g", "include": [{"everyone": {}}]});
    let made = gateway.result(Method::POST, "{A}/access/groups", body, 201).await;
    let audit = gateway.store.recorded_changes(10, 0).await.unwrap();
    let last = &audit.items[0];
    assert_eq!(last.record.actor, "bootstrap (00000000000000000000000000000000)");
    assert_eq!(last.record.ip_address, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(last.record.ray_id.as_ref(), Some(&gateway.ray));
    assert_eq!(
        last.record.summary,
        json!({"method": "POST", "path": full("{A}/access/groups"), "retry": 0})
    );
    assert_eq!(last.objects, [format!("put group {}", made["id"].as_str().unwrap())]);
    let before = audit.total;
    gateway.refusal(Method::POST, "{A}/access/groups", "{}").await;
    gateway.get("{A}/access/groups").await;
    assert_eq!(
        gateway.store.recorded_changes(1, 0).await.unwrap().total,
        before,
        "no change, no record"
    );
}

#[tokio::test]
async fn bodies_are_bounded_and_read_strictly() {
    let gateway = Gateway::new().await;
    let deep = format!("{{\"name\": {}", "[".repeat(100_000));
    for body in ["{", "[1]", "nonsense", deep.as_str(), "{\"name\": \"\u{0}\"}", "{} {}"] {
        let got = gateway.refusal(Method::POST, "{A}/access/groups", body).await;
        assert_eq!((got.0, got.1), (400, 12_130), "{}", &body[..body.len().min(30)]);
    }
    let request = |body: Vec<u8>| {
        http::Request::post(full("{A}/access/groups"))
            .header("authorization", format!("Bearer {}", crate::gateway::TOKEN))
            .body(Bytes::from(body))
            .unwrap()
    };
    let large = gateway.send(request(vec![b' '; MOST_BODY_BYTES + 1])).await;
    assert_eq!(large.status(), 413);
    let answer: Value = serde_json::from_slice(large.body()).unwrap();
    assert_eq!(answer["success"], false);
    let invalid = gateway.send(request(b"{\"name\": \"\xff\"}".to_vec())).await;
    assert_eq!(invalid.status(), 400, "not UTF-8");
    let odd = gateway
        .refusal(
            Method::POST,
            "{A}/access/groups",
            json!({"name": "a\u{0}b", "include": [{"everyone": {}}]}),
        )
        .await;
    assert_eq!(odd.3, "/name");
}

#[tokio::test]
async fn another_configuration_file_is_taken_up_or_refused_whole() {
    let gateway = Gateway::new().await;
    gateway.result(Method::POST, "{A}/access/apps", json!({"domain": "a.example.org"}), 201).await;
    let mut narrower = premises();
    narrower.zones.retain(|zone| zone.name.as_str() == "example.com");
    let refused = gateway.desk.replace_premises(Arc::new(narrower), None, NOW).await;
    assert!(refused.unwrap_err().to_string().contains("domain does not belong to zone"));
    assert_eq!(gateway.live.snapshot.load().premises.zones.len(), 2, "the old one stays");
    let mut wider = premises();
    wider.zones.push(Zone {
        id: "00000000000000000000000000000003".parse().unwrap(),
        name: "example.net".parse().unwrap(),
    });
    gateway.desk.replace_premises(Arc::new(wider), None, NOW).await.unwrap();
    gateway.result(Method::POST, "{A}/access/apps", json!({"domain": "a.example.net"}), 201).await;
}
