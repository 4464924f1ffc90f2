//! Service tokens: the secret once, merges, rotation with and without a grace.

use crate::gateway::{Gateway, NOW, STAMP};
use http::Method;
use narthex_model::{AppId, Timestamp, TrafficCount, TrafficKey, UnixSeconds};
use narthex_store::Revoked;
use serde_json::{Value, json};

/// Whether the token of this answer admits with `secret` now, as the data path judges it.
fn admits(gateway: &Gateway, made: &Value, secret: &Value) -> bool {
    let snapshot = gateway.live.snapshot.load();
    let token = snapshot.service_token(made["client_id"].as_str().unwrap());
    token.is_some_and(|token| token.admits(secret.as_str().unwrap(), gateway.clock.now()))
}

fn without_secret(mut made: Value) -> Value {
    made.as_object_mut().unwrap().remove("client_secret");
    made
}

/// Observed call 3.
#[tokio::test]
async fn the_secret_is_shown_once() {
    let gateway = Gateway::new().await;
    let made = gateway
        .result(
            Method::POST,
            "{A}/access/service_tokens",
            json!({"name": "CI", "duration": "8760h"}),
            201,
        )
        .await;
    let (id, secret) = (made["id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    assert_eq!(secret.len(), 64);
    let client = made["client_id"].as_str().unwrap();
    assert!(client.len() == 39 && client.ends_with(".access"), "{client}");
    let want = json!({
        "id": id, "name": "CI", "client_id": client, "client_secret": secret, "client_secret_version": 1,
        "duration": "8760h", "enabled": true, "expires_at": "2027-09-21T14:13:20Z",
        "previous_client_secret_expires_at": null, "last_seen_at": null, "created_at": STAMP, "updated_at": STAMP,
    });
    assert_eq!(made, want);
    assert!(admits(&gateway, &made, &made["client_secret"]));
    let path = format!("{{A}}/access/service_tokens/{id}");
    let want = without_secret(want);
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, want);
    assert_eq!(gateway.get("{A}/access/service_tokens").await.1["result"], json!([want]));
    let stored = format!("{:?}", gateway.store.load().await.unwrap());
    assert!(!stored.contains(secret), "only a hash is kept");

    let deleted = gateway.result(Method::DELETE, &path, "", 200).await;
    assert_eq!(deleted, want, "the whole object, without the secret");
    assert!(!admits(&gateway, &made, &made["client_secret"]));
    let revoked = gateway.store.revocations(NOW).await.unwrap();
    assert_eq!(
        revoked[0].what,
        Revoked::ServiceToken(client.parse().unwrap()),
        "and what was minted for it"
    );
}

/// Observed call 3r.
#[tokio::test]
async fn rotation_kills_the_old_secret_unless_it_gets_a_grace() {
    let gateway = Gateway::new().await;
    let made =
        gateway.result(Method::POST, "{A}/access/service_tokens", json!({"name": "CI"}), 201).await;
    let path = format!("{{A}}/access/service_tokens/{}/rotate", made["id"].as_str().unwrap());
    let second = gateway.result(Method::POST, &path, "{}", 200).await;
    assert_eq!(second["client_secret_version"], 2);
    assert!(!admits(&gateway, &made, &made["client_secret"]));
    assert!(admits(&gateway, &made, &second["client_secret"]));

    let grace = json!({"previous_client_secret_expires_at": "2026-09-21T14:14:20+00:00"});
    let third = gateway.result(Method::POST, &path, grace, 200).await;
    assert_eq!(third["previous_client_secret_expires_at"], "2026-09-21T14:14:20Z");
    assert!(admits(&gateway, &made, &second["client_secret"]));
    assert!(admits(&gateway, &made, &third["client_secret"]));
    gateway.clock.advance(60);
    assert!(!admits(&gateway, &made, &second["client_secret"]), "the grace is over");
    assert!(admits(&gateway, &made, &third["client_secret"]));
    let odd = json!({"previous_client_secret_expires_at": "tomorrow"});
    let got = gateway.refusal(Method::POST, &path, odd).await;
    assert_eq!((got.0, got.3.as_str()), (400, "/previous_client_secret_expires_at"));
}

#[tokio::test]
async fn an_update_merges_and_a_higher_version_rotates() {
    let gateway = Gateway::new().await;
    let made =
        gateway.result(Method::POST, "{A}/access/service_tokens", json!({"name": "CI"}), 201).await;
    let path = format!("{{A}}/access/service_tokens/{}", made["id"].as_str().unwrap());
    gateway.clock.advance(10);
    let put = async |body: Value| gateway.result(Method::PUT, &path, body, 200).await;
    let renamed = put(json!({"name": "CD"})).await;
    let mut want = without_secret(made.clone());
    want["name"] = json!("CD");
    want["updated_at"] = json!("2026-09-21T14:13:30Z");
    assert_eq!(renamed, want, "nothing else has changed");
    let shorter = put(json!({"duration": "60m"})).await;
    assert_eq!(
        (&shorter["duration"], &shorter["expires_at"]),
        (&json!("60m"), &json!("2026-09-21T15:13:20Z"))
    );
    let endless = put(json!({"duration": "forever"})).await;
    assert_eq!((&endless["duration"], &endless["expires_at"]), (&json!("forever"), &Value::Null));
    let same = put(json!({"client_secret_version": 1, "name": null})).await;
    assert_eq!((same.get("client_secret"), &same["name"]), (None, &json!("CD")));
    assert!(admits(&gateway, &made, &made["client_secret"]));

    let off = put(json!({"enabled": false})).await;
    assert_eq!(off["enabled"], false);
    assert!(!admits(&gateway, &made, &made["client_secret"]));
    put(json!({"enabled": true})).await;

    let rotated = put(json!({"client_secret_version": 5, "previous_client_secret_expires_at": "2030-01-01T00:00:00Z"})).await;
    assert_eq!(rotated["client_secret_version"], 5);
    assert!(admits(&gateway, &made, &rotated["client_secret"]));
    assert!(admits(&gateway, &made, &made["client_secret"]), "in its grace");
    put(json!({"previous_client_secret_expires_at": "2026-09-21T14:13:30Z"})).await;
    assert!(!admits(&gateway, &made, &made["client_secret"]), "the grace was cut short");
    for (body, pointer) in [
        (json!({"client_secret_version": 4}), "/client_secret_version"),
        (json!({"client_secret_version": -1}), "/client_secret_version"),
        (json!({"duration": "1d"}), "/duration"),
        (json!({"duration": "0s"}), "/duration"),
        (json!({"enabled": "no"}), "/enabled"),
        (json!({"name": " "}), "/name"),
    ] {
        let got = gateway.refusal(Method::PUT, &path, &body).await;
        assert_eq!((got.0, got.3.as_str()), (400, pointer), "{body}: {}", got.2);
    }
}

/// Observed call 3f: no body and no content type.
#[tokio::test]
async fn a_refresh_extends_the_life() {
    let gateway = Gateway::new().await;
    let made = gateway
        .result(
            Method::POST,
            "{A}/access/service_tokens",
            json!({"name": "CI", "duration": "1h"}),
            201,
        )
        .await;
    gateway.clock.advance(7200);
    assert!(!admits(&gateway, &made, &made["client_secret"]), "it has expired");
    for body in ["", "{}", "null"] {
        let path = format!("{{A}}/access/service_tokens/{}/refresh", made["id"].as_str().unwrap());
        let refreshed = gateway.result(Method::POST, &path, body, 200).await;
        assert_eq!(
            (&refreshed["expires_at"], refreshed.get("client_secret")),
            (&json!("2026-09-21T17:13:20Z"), None)
        );
    }
    assert!(admits(&gateway, &made, &made["client_secret"]));
}

#[tokio::test]
async fn zones_keep_their_tokens_apart() {
    let gateway = Gateway::new().await;
    let made = gateway
        .result(Method::POST, "{Z}/access/service_tokens", json!({"name": "zoned"}), 201)
        .await;
    let id = made["id"].as_str().unwrap();
    for (door, status) in [("{A}", 200), ("{Z}", 200), ("{Y}", 404)] {
        let (got, _) = gateway.get(&format!("{door}/access/service_tokens/{id}")).await;
        assert_eq!(got, status, "{door}");
    }
    let (got, _) = gateway.delete(&format!("{{Y}}/access/service_tokens/{id}")).await;
    assert_eq!(got, 404, "nor can another zone delete it");
    assert_eq!(
        gateway.get("{A}/access/service_tokens?search=ZON&name=zoned").await.1["result_info"]["total_count"],
        1
    );
}

/// What happens to a token, one after the other.
enum Step {
    Later(i64),
    Put(Value),
    Rotate(Value),
    Refresh,
    Delete,
}

#[tokio::test]
async fn a_secret_works_as_long_as_it_should() {
    use Step::{Delete, Later, Put, Refresh, Rotate};
    let hour = || json!({"name": "CI", "duration": "1h"});
    let endless = || json!({"name": "CI", "duration": "forever"});
    let in_a_minute = || json!({"previous_client_secret_expires_at": at(60)});
    // The secrets that work at the end: the one it was made with, and the one of the last rotation.
    for (name, made, steps, works) in [
        ("fresh", hour(), vec![], [true, false]),
        ("in its last second", hour(), vec![Later(3_599)], [true, false]),
        ("expired", hour(), vec![Later(3_600)], [false, false]),
        ("refreshed after it had expired", hour(), vec![Later(9_000), Refresh], [true, false]),
        (
            "a refresh counts from then",
            hour(),
            vec![Later(1_800), Refresh, Later(3_599)],
            [true, false],
        ),
        ("and no longer", hour(), vec![Later(1_800), Refresh, Later(3_600)], [false, false]),
        ("without an end", endless(), vec![Later(400 * 86_400)], [true, false]),
        (
            "made shorter",
            endless(),
            vec![Later(60), Put(json!({"duration": "30s"}))],
            [false, false],
        ),
        ("made longer", hour(), vec![Put(json!({"duration": "3h"})), Later(10_000)], [true, false]),
        (
            "made endless",
            hour(),
            vec![Put(json!({"duration": "forever"})), Later(10_000)],
            [true, false],
        ),
        ("switched off", hour(), vec![Put(json!({"enabled": false}))], [false, false]),
        ("made off", json!({"name": "CI", "enabled": false}), vec![], [false, false]),
        (
            "off and on",
            hour(),
            vec![Put(json!({"enabled": false})), Put(json!({"enabled": true}))],
            [true, false],
        ),
        ("rotated", hour(), vec![Rotate(json!({}))], [false, true]),
        ("rotated twice", hour(), vec![Rotate(json!({})), Rotate(json!({}))], [false, true]),
        ("rotated with a grace", hour(), vec![Rotate(in_a_minute()), Later(59)], [true, true]),
        ("the grace is over", hour(), vec![Rotate(in_a_minute()), Later(60)], [false, true]),
        (
            "off in its grace",
            hour(),
            vec![Rotate(in_a_minute()), Put(json!({"enabled": false}))],
            [false, false],
        ),
        (
            "expired in its grace",
            hour(),
            vec![
                Later(3_590),
                Rotate(json!({"previous_client_secret_expires_at": at(7_200)})),
                Later(10),
            ],
            [false, false],
        ),
        (
            "a second rotation ends a grace",
            hour(),
            vec![Rotate(in_a_minute()), Rotate(json!({}))],
            [false, true],
        ),
        (
            "the grace is taken back",
            hour(),
            vec![Rotate(in_a_minute()), Put(json!({"previous_client_secret_expires_at": STAMP}))],
            [false, true],
        ),
        (
            "a raised version rotates",
            hour(),
            vec![Put(json!({"client_secret_version": 2}))],
            [false, true],
        ),
        ("deleted", hour(), vec![Delete], [false, false]),
    ] {
        let gateway = Gateway::new().await;
        let made = gateway.result(Method::POST, "{A}/access/service_tokens", made, 201).await;
        let path = format!("{{A}}/access/service_tokens/{}", made["id"].as_str().unwrap());
        let mut second = json!("there was no rotation");
        for step in steps {
            let told = match step {
                Later(seconds) => {
                    gateway.clock.advance(seconds);
                    continue;
                }
                Put(body) => gateway.result(Method::PUT, &path, body, 200).await,
                Rotate(body) => {
                    gateway.result(Method::POST, &format!("{path}/rotate"), body, 200).await
                }
                Refresh => gateway.result(Method::POST, &format!("{path}/refresh"), "", 200).await,
                Delete => gateway.result(Method::DELETE, &path, "", 200).await,
            };
            second = told.get("client_secret").cloned().unwrap_or(second);
        }
        let got = [&made["client_secret"], &second].map(|secret| admits(&gateway, &made, secret));
        assert_eq!(got, works, "{name}");
    }
}

/// RFC 3339 of an instant, so many seconds after [`NOW`].
fn at(seconds: i64) -> String {
    Timestamp(NOW.plus(seconds)).to_string()
}

#[tokio::test]
async fn the_last_use_is_told() {
    let gateway = Gateway::new().await;
    let made =
        gateway.result(Method::POST, "{A}/access/service_tokens", json!({"name": "CI"}), 201).await;
    let path = format!("{{A}}/access/service_tokens/{}", made["id"].as_str().unwrap());
    let seen = async || gateway.result(Method::GET, &path, "", 200).await["last_seen_at"].clone();
    assert_eq!(seen().await, Value::Null);
    let client = made["client_id"].as_str().unwrap();
    gateway.store.fold_traffic(&[used(client, NOW.plus(5))]).await.unwrap();
    assert_eq!(seen().await, "2026-09-21T14:13:25Z");
    let list = gateway.get("{A}/access/service_tokens").await.1;
    assert_eq!(list["result"][0]["last_seen_at"], "2026-09-21T14:13:25Z");
    let rotated = gateway.result(Method::POST, &format!("{path}/rotate"), "", 200).await;
    assert_eq!(rotated["last_seen_at"], "2026-09-21T14:13:25Z", "of the token, not of a secret");
}

/// What the data path counts when a service token is let in.
pub(crate) fn used(client: &str, at: UnixSeconds) -> TrafficCount {
    let key = TrafficKey {
        app: AppId::random(),
        caller: client.to_owned(),
        policy: None,
        network: "192.0.2.0/24".to_owned(),
        country: None,
    };
    TrafficCount { key, requests: 3, first: Timestamp(NOW), last: Timestamp(at) }
}
