//! Reusable policies and those of one application.

use crate::gateway::{Gateway, STAMP};
use http::Method;
use narthex_store::{Intact, StoreError};
use serde_json::{Value, json};
use std::sync::Arc;

const U: &str = "7335d417-61da-459d-899c-0a01c76a2f94";

async fn app(gateway: &Gateway, domain: &str) -> String {
    let made = gateway
        .result(
            Method::POST,
            "{A}/access/apps",
            json!({"domain": domain, "type": "self_hosted"}),
            201,
        )
        .await;
    made["id"].as_str().unwrap().to_owned()
}

fn everyone(name: &str) -> Value {
    json!({"name": name, "decision": "allow", "include": [{"everyone": {}}]})
}

/// Observed call 2, as both typed clients send it.
#[tokio::test]
async fn a_reusable_policy_is_made_as_clients_send_it() {
    let gateway = Gateway::new().await;
    let body = json!({
        "decision": "allow",
        "include": [{"email_domain": {"domain": "example.com"}}, {"certificate": {}}, {"common_name": {"common_name": "client"}},
                    {"service_token": {"token_id": U}}, {"ip": {"ip": "10.0.0.0/8"}}, {"geo": {"country_code": "JP"}}],
        "name": "allow staff", "exclude": [{"any_valid_service_token": {}}],
        "require": [{"auth_method": {"auth_method": "mfa"}}], "session_duration": "30m",
    });
    let made = gateway.result(Method::POST, "{A}/access/policies", &body, 201).await;
    let id = made["id"].as_str().unwrap();
    let want = json!({
        "id": id, "uid": id, "name": "allow staff", "decision": "allow", "include": body["include"],
        "exclude": body["exclude"], "require": body["require"], "session_duration": "30m", "reusable": true,
        "app_count": 0, "isolation_required": false, "purpose_justification_required": false,
        "purpose_justification_prompt": null, "approval_required": false, "approval_groups": [],
        "mfa_config": null, "connection_rules": null, "created_at": STAMP, "updated_at": STAMP,
    });
    assert_eq!(made, want);
    let path = format!("{{A}}/access/policies/{id}");
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, want);
    assert_eq!(gateway.get("{A}/access/policies").await.1["result"], json!([want]));

    let replaced = gateway
        .result(
            Method::PUT,
            &path,
            json!({"name": "p", "decision": "deny", "include": [{"everyone": {}}],
        "purpose_justification_prompt": "why?", "mfa_config": null, "session_duration": null}),
            200,
        )
        .await;
    assert_eq!(replaced["session_duration"], Value::Null, "a replace gives defaults back");
    assert_eq!(replaced["purpose_justification_prompt"], "why?");
    assert_eq!(gateway.result(Method::DELETE, &path, "", 202).await, json!({"id": id}));
}

#[tokio::test]
async fn what_no_policy_may_say() {
    let gateway = Gateway::new().await;
    let with = |member: &str, value: Value| {
        let mut body = everyone("p");
        body[member] = value;
        body
    };
    for (body, pointer) in [
        (with("decision", json!("permit")), "/decision"),
        (with("decision", Value::Null), "/decision"),
        (with("session_duration", json!("1 day")), "/session_duration"),
        (with("session_duration", json!("1000h")), "/session_duration"),
        (with("isolation_required", json!(true)), "/isolation_required"),
        (with("approval_required", json!(true)), "/approval_required"),
        (with("purpose_justification_required", json!(true)), "/purpose_justification_required"),
        (with("mfa_config", json!({"allowed_authenticators": ["totp"]})), "/mfa_config"),
        (
            json!({"name": "p", "decision": "bypass", "include": [{"email": {"email": "a@example.com"}}]}),
            "/include/0",
        ),
        (
            json!({"name": "p", "decision": "non_identity", "include": [{"everyone": {}}], "require": [{"auth_method": {"auth_method": "mfa"}}]}),
            "/require/0",
        ),
    ] {
        let got = gateway.refusal(Method::POST, "{A}/access/policies", &body).await;
        assert_eq!((got.0, got.1, got.3.as_str()), (400, 12_130, pointer), "{body}: {}", got.2);
    }
}

/// Observed call 2s.
#[tokio::test]
async fn a_scoped_policy_lives_in_its_application() {
    let gateway = Gateway::new().await;
    let id = app(&gateway, "a.example.com").await;
    let base = format!("{{A}}/access/apps/{id}/policies");
    let body =
        json!({"precedence": 1, "decision": "allow", "include": [{"everyone": {}}], "name": "p"});
    let made = gateway.result(Method::POST, &base, body, 201).await;
    let first = made["id"].as_str().unwrap().to_owned();
    let want = json!({
        "id": first, "uid": first, "name": "p", "decision": "allow", "include": [{"everyone": {}}], "exclude": [],
        "require": [], "session_duration": null, "reusable": false, "precedence": 1, "isolation_required": false,
        "purpose_justification_required": false, "purpose_justification_prompt": null, "approval_required": false,
        "approval_groups": [], "mfa_config": null, "connection_rules": null, "created_at": STAMP, "updated_at": STAMP,
    });
    assert_eq!(made, want);
    let second = gateway.result(Method::POST, &base, everyone("q"), 201).await;
    assert_eq!(second["precedence"], 2, "the next free place");
    let clash =
        json!({"precedence": 2, "decision": "allow", "include": [{"everyone": {}}], "name": "r"});
    let got = gateway.refusal(Method::POST, &base, clash).await;
    let reason = "access.api.error.invalid_request: policy precedences must be unique";
    assert_eq!(got, (400, 12_130, reason.to_owned(), "/precedence".to_owned()));

    let moved =
        json!({"precedence": 9, "decision": "deny", "include": [{"everyone": {}}], "name": "p"});
    let moved = gateway.result(Method::PUT, &format!("{base}/{first}"), moved, 200).await;
    assert_eq!((&moved["precedence"], &moved["decision"]), (&json!(9), &json!("deny")));
    let order = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|p| p["name"].clone()).collect()
    };
    assert_eq!(order(&gateway.get(&base).await.1["result"]), ["q", "p"]);
    assert_eq!(gateway.get(&base).await.1["result_info"]["total_count"], 2);
    let app = gateway.result(Method::GET, &format!("{{A}}/access/apps/{id}"), "", 200).await;
    assert_eq!(order(&app["policies"]), ["q", "p"]);
    assert_eq!(gateway.get("{A}/access/policies").await.1["result"], json!([]), "not reusable");
    let elsewhere =
        gateway.refusal(Method::GET, &format!("{{A}}/access/policies/{first}"), "").await;
    assert_eq!((elsewhere.0, elsewhere.1), (404, 12_135));

    let deleted = gateway.result(Method::DELETE, &format!("{base}/{first}"), "", 202).await;
    assert_eq!(deleted, json!({"id": first}));
    assert_eq!(order(&gateway.get(&base).await.1["result"]), ["q"]);
}

#[tokio::test]
async fn reusable_policies_are_linked_read_and_protected() {
    let gateway = Gateway::new().await;
    let policy = gateway.result(Method::POST, "{A}/access/policies", everyone("shared"), 201).await;
    let policy = policy["id"].as_str().unwrap();
    let body = json!({"domain": "a.example.com", "type": "self_hosted", "policies": [policy]});
    let app = gateway.result(Method::POST, "{A}/access/apps", body, 201).await;
    let app = app["id"].as_str().unwrap();
    let inside = format!("{{A}}/access/apps/{app}/policies/{policy}");
    let read = gateway.result(Method::GET, &inside, "", 200).await;
    assert_eq!(
        (&read["reusable"], &read["precedence"], &read["app_count"]),
        (&json!(true), &json!(1), &json!(1))
    );
    for (method, body) in [(Method::PUT, everyone("x")), (Method::DELETE, Value::Null)] {
        let got = gateway.refusal(method, &inside, body).await;
        assert_eq!((got.0, got.1), (400, 12_130), "{}", got.2);
    }
    let outside = format!("{{A}}/access/policies/{policy}");
    let got = gateway.refusal(Method::DELETE, &outside, "").await;
    assert_eq!((got.0, got.1), (409, 12_132), "{}", got.2);
    gateway.result(Method::DELETE, &format!("{{A}}/access/apps/{app}"), "", 202).await;
    gateway.result(Method::DELETE, &outside, "", 202).await;
}

#[tokio::test]
async fn a_scoped_policy_becomes_reusable() {
    let gateway = Gateway::new().await;
    let id = app(&gateway, "a.example.com").await;
    let base = format!("{{A}}/access/apps/{id}/policies");
    let made = gateway.result(Method::POST, &base, everyone("p"), 201).await;
    let policy = made["id"].as_str().unwrap();
    let path = format!("{base}/{policy}/make_reusable");
    let moved = gateway.result(Method::PUT, &path, "", 200).await;
    assert_eq!(
        (&moved["id"], &moved["reusable"], &moved["app_count"]),
        (&json!(policy), &json!(true), &json!(1))
    );
    assert_eq!(gateway.get("{A}/access/policies").await.1["result"][0]["id"], policy);
    assert_eq!(gateway.get(&base).await.1["result"][0]["id"], policy, "still linked");
    assert_eq!(gateway.refusal(Method::PUT, &path, "").await.0, 400, "it is reusable already");
}

/// Security A6. The contract has no version in its bodies, so that two edits of one policy are both made, one after the
/// other; a writer beside the desk is told of the conflict.
#[tokio::test]
async fn a6_fifty_edits_of_policies_at_once_lose_nothing() {
    let gateway = Arc::new(Gateway::new().await);
    let id = app(&gateway, "a.example.com").await;
    let base = format!("{{A}}/access/apps/{id}/policies");
    let made = gateway.result(Method::POST, &base, everyone("shared"), 201).await;
    let shared = format!("{base}/{}", made["id"].as_str().unwrap());
    let before = gateway.store.recorded_changes(1, 0).await.unwrap().total;
    let (stale, old) = gateway.store.load().await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (gateway, base, shared) = (Arc::clone(&gateway), base.clone(), shared.clone());
        writers.spawn(async move {
            let name = format!("p{n}");
            gateway.result(Method::POST, &base, everyone(&name), 201).await;
            let edited = gateway.result(Method::PUT, &shared, everyone(&name), 200).await;
            assert_eq!(edited["name"], name.as_str(), "each is answered with its own edit");
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let (revision, stored) = gateway.store.load().await.unwrap();
    let list = gateway.get(&format!("{base}?per_page=100")).await.1["result"].clone();
    let mut precedences: Vec<_> =
        list.as_array().unwrap().iter().map(|p| p["precedence"].as_u64().unwrap()).collect();
    precedences.sort_unstable();
    assert_eq!(precedences, (1..=51).collect::<Vec<u64>>(), "nobody took another's place");
    let names: std::collections::BTreeSet<_> =
        list.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert!((0..50).all(|n| names.contains(format!("p{n}").as_str())), "{names:?}");
    assert_eq!(stored.policies.len(), 51);
    assert_eq!(revision, gateway.live.snapshot.load().revision, "what is kept is in force");
    let audit = gateway.store.recorded_changes(1_000, 0).await.unwrap();
    assert_eq!(audit.total, before + 100, "one record for each edit");
    assert!(matches!(gateway.store.verify_audit().await.unwrap(), Intact::Yes(_)));

    let changes = narthex_store::Change::between(&stored, &old);
    let note = narthex_api::by_itself("another node", "put the old ones back", crate::gateway::NOW);
    let conflict = gateway.store.commit(stale, &changes, &note).await;
    assert!(matches!(conflict, Err(StoreError::Moved { .. })), "{conflict:?}");
    assert_eq!(gateway.store.load().await.unwrap().1.policies.len(), 51);
}
