//! Service tokens that nobody uses (access-protocol §8.1).

use crate::gateway::{Gateway, NOW};
use crate::service_tokens::used;
use http::Method;
use narthex_store::Revoked;
use serde_json::{Value, json};

const DAY: i64 = 86_400;

async fn wish(gateway: &Gateway, enabled: bool, action: &str) {
    let body = json!({"service_token_inactivity": {"enabled": enabled, "inactivity_threshold_days": 30, "action": action}});
    gateway.result(Method::PUT, "{A}/access/organizations", body, 200).await;
}

/// A token made at the start, and its path.
async fn token(gateway: &Gateway) -> (Value, String) {
    let body = json!({"name": "CI", "duration": "forever"});
    let made = gateway.result(Method::POST, "{A}/access/service_tokens", body, 201).await;
    let path = format!("{{A}}/access/service_tokens/{}", made["id"].as_str().unwrap());
    (made, path)
}

async fn name_it(gateway: &Gateway, kind: &str, made: &Value) {
    let rule = json!([{"service_token": {"token_id": made["id"]}}]);
    let body = json!({"name": "CI", "decision": "non_identity", "include": rule});
    gateway.result(Method::POST, &format!("{{A}}/access/{kind}"), body, 201).await;
}

/// `Some(enabled)`, or `None` when the token is gone.
async fn state(gateway: &Gateway, path: &str) -> Option<bool> {
    let (status, token) = gateway.get(path).await;
    if status == 404 { None } else { token["result"]["enabled"].as_bool() }
}

#[tokio::test]
async fn only_what_nobody_uses_or_names_is_retired() {
    const ON: Option<bool> = Some(true);
    const OFF: Option<bool> = Some(false);
    const GONE: Option<bool> = None;
    for (name, enabled, action, named_by, used_on_day, touched_on_day, today, want) in [
        ("nothing is wished for", false, "delete", None, None, None, 400, ON),
        ("not yet", true, "disable", None, None, None, 29, ON),
        ("never used", true, "disable", None, None, None, 30, OFF),
        ("never used, and it is to go", true, "delete", None, None, None, 30, GONE),
        ("used since", true, "disable", None, Some(1), None, 30, ON),
        ("used, and then no more", true, "disable", None, Some(1), None, 32, OFF),
        ("an administrator was at it", true, "delete", None, None, Some(5), 34, ON),
        ("and then no more", true, "delete", None, None, Some(5), 35, GONE),
        ("a policy names it", true, "delete", Some("policies"), None, None, 400, ON),
        ("a group names it", true, "delete", Some("groups"), None, None, 400, ON),
    ] {
        let gateway = Gateway::new().await;
        wish(&gateway, enabled, action).await;
        let (made, path) = token(&gateway).await;
        if let Some(kind) = named_by {
            name_it(&gateway, kind, &made).await;
        }
        if let Some(day) = used_on_day {
            let count = used(made["client_id"].as_str().unwrap(), NOW.plus(day * DAY));
            gateway.store.fold_traffic(&[count]).await.unwrap();
        }
        if let Some(day) = touched_on_day {
            gateway.clock.advance(day * DAY);
            gateway.result(Method::PUT, &path, json!({"name": "CD"}), 200).await;
        }
        gateway.clock.advance(NOW.plus(today * DAY).since(gateway.clock.now()));
        let retired = gateway.desk.retire_unused_service_tokens(gateway.clock.now()).await.unwrap();
        assert_eq!(state(&gateway, &path).await, want, "{name}");
        assert_eq!(retired, usize::from(want != ON), "{name}");
        let again = gateway.desk.retire_unused_service_tokens(gateway.clock.now()).await.unwrap();
        assert_eq!(again, 0, "{name}: nothing is left to do");
        let revoked = gateway.store.revocations(gateway.clock.now()).await.unwrap();
        let minted = Revoked::ServiceToken(made["client_id"].as_str().unwrap().parse().unwrap());
        let is_revoked = revoked.iter().any(|revocation| revocation.what == minted);
        assert_eq!(is_revoked, want != ON, "{name}: what was minted for it");
        if want != ON {
            let audit = gateway.store.recorded_changes(1, 0).await.unwrap();
            assert_eq!(audit.items[0].record.actor, "housekeeping", "{name}");
        }
    }
}

#[tokio::test]
async fn a_token_that_was_switched_on_again_gets_its_time() {
    let gateway = Gateway::new().await;
    wish(&gateway, true, "disable").await;
    let (_, path) = token(&gateway).await;
    gateway.clock.advance(30 * DAY);
    gateway.desk.retire_unused_service_tokens(gateway.clock.now()).await.unwrap();
    assert_eq!(state(&gateway, &path).await, Some(false));
    gateway.result(Method::PUT, &path, json!({"enabled": true}), 200).await;
    gateway.desk.retire_unused_service_tokens(gateway.clock.now()).await.unwrap();
    assert_eq!(state(&gateway, &path).await, Some(true));
}

#[tokio::test]
async fn the_setting_is_read_kept_and_checked() {
    let gateway = Gateway::new().await;
    let path = "{A}/access/organizations";
    let told = async || {
        let organization = gateway.result(Method::GET, path, "", 200).await;
        organization["service_token_inactivity"].clone()
    };
    assert_eq!(told().await, Value::Null);
    wish(&gateway, true, "disable").await;
    let set = json!({"enabled": true, "inactivity_threshold_days": 30, "action": "disable"});
    assert_eq!(told().await, set);
    gateway.result(Method::PUT, path, json!({"name": "Acme"}), 200).await;
    assert_eq!(told().await, set, "what is not mentioned stays");
    for (setting, pointer) in [
        (json!({"enabled": true}), "/service_token_inactivity"),
        (
            json!({"enabled": true, "inactivity_threshold_days": 30, "action": "shout"}),
            "/service_token_inactivity/action",
        ),
        (
            json!({"enabled": true, "inactivity_threshold_days": 29, "action": "delete"}),
            "/service_token_inactivity/inactivity_threshold_days",
        ),
        (
            json!({"enabled": true, "inactivity_threshold_days": 366, "action": "delete"}),
            "/service_token_inactivity/inactivity_threshold_days",
        ),
        (
            json!({"enabled": "yes", "inactivity_threshold_days": 30, "action": "delete"}),
            "/service_token_inactivity/enabled",
        ),
    ] {
        let got =
            gateway.refusal(Method::PUT, path, json!({"service_token_inactivity": setting})).await;
        assert_eq!((got.0, got.3.as_str()), (400, pointer), "{}", got.2);
    }
    gateway.result(Method::PUT, path, json!({"service_token_inactivity": null}), 200).await;
    assert_eq!(told().await, Value::Null);
}
