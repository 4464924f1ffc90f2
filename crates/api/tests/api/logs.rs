//! The authentication log.

use crate::gateway::{Gateway, NOW, STAMP};
use http::Method;
use narthex_model::{AccessRecord, Action, AppId, RayId, Verdict};
use serde_json::{Value, json};

fn record(action: Action, verdict: Verdict, after: i64, email: Option<&str>) -> AccessRecord {
    let reason = "policy staff admits: email domain is example.com";
    AccessRecord {
        app: Some(AppId::random()),
        app_domain: "wiki.example.com/docs".to_owned(),
        user_email: email.map(|email| email.parse().unwrap()),
        connection: if email.is_some() { "oidc" } else { "nonidentity" }.to_owned(),
        ip_address: Some("192.0.2.9".parse().unwrap()),
        country: Some("JP".parse().unwrap()),
        rule: "include[0] {\"everyone\":{}}".to_owned(),
        ..AccessRecord::new(RayId::random(), NOW.plus(after), action, verdict, reason)
    }
}

/// Observed call 7.
#[tokio::test]
async fn the_log_is_read_as_clients_ask() {
    let gateway = Gateway::new().await;
    let records = [
        record(Action::Login, Verdict::Allowed, 0, Some("ann@example.com")),
        record(Action::Login, Verdict::Refused, 1, Some("bob@example.com")),
        record(Action::Logout, Verdict::Allowed, 2, Some("ann@example.com")),
        record(Action::Request, Verdict::Refused, 3, None),
    ];
    gateway.store.append_records(&records).await.unwrap();
    let path = "{A}/access/logs/access_requests";
    let all = format!("{path}?direction=asc&limit=25&since=2026-01-01T00%3A00%3A00%2B00%3A00");
    let all = gateway.result(Method::GET, &all, "", 200).await;
    let first = &records[0];
    assert_eq!(
        all[0],
        json!({
            "action": "login", "allowed": true, "app_domain": "wiki.example.com/docs", "app_uid": first.app,
            "connection": "oidc", "created_at": STAMP, "ip_address": "192.0.2.9", "ray_id": first.ray_id,
            "user_email": "ann@example.com", "country": "JP", "idp_uid": null, "policy_uid": null,
            "reason": "policy staff admits: email domain is example.com", "rule": "include[0] {\"everyone\":{}}",
            "service_token": null, "user_uid": null,
        })
    );
    assert_eq!(
        (&all[2]["action"], &all[3]["action"], &all[3]["user_email"]),
        (&json!("logout"), &json!("login"), &json!(""))
    );
    let second = records[1].ray_id.clone();
    for (query, want) in [
        ("", vec![3, 2, 1, 0]),
        ("limit=1&page=2", vec![2]),
        ("email=ann", vec![2, 0]),
        ("email=ann&email_exact=true", vec![]),
        ("email=ann@example.com&emailOp=neq", vec![3, 1]),
        ("allowed=false", vec![3, 1]),
        ("allowed=false&allowedOp=neq", vec![2, 0]),
        (&format!("ray_id={second}"), vec![1]),
        ("country_code=DE", vec![]),
        ("since=2026-09-21T14:13:22Z", vec![3, 2]),
        ("until=2026-09-21T14:13:20Z", vec![0]),
        ("page=9", vec![]),
    ] {
        let result = gateway.result(Method::GET, &format!("{path}?{query}"), "", 200).await;
        let rays: Vec<Value> = want.iter().map(|at: &usize| json!(records[*at].ray_id)).collect();
        let got: Vec<Value> =
            result.as_array().unwrap().iter().map(|r| r["ray_id"].clone()).collect();
        assert_eq!(got, rays, "{query}");
    }
    let two = gateway
        .result(Method::GET, &format!("{path}?limit=1&fields=allowed,ray_id"), "", 200)
        .await;
    assert_eq!(two, json!([{"allowed": false, "ray_id": records[3].ray_id}]));
    let got = gateway.refusal(Method::GET, &format!("{path}?since=now"), "").await;
    assert_eq!((got.0, got.1), (400, 12_091));
}
