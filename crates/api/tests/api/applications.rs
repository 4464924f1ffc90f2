//! Applications: every field with its default, three views of the destinations, policies in place.

use crate::gateway::{Gateway, STAMP};
use http::Method;
use narthex_model::CanonicalPath;
use narthex_store::Revoked;
use serde_json::{Value, json};

const APPS: &str = "{A}/access/apps";

/// Every field of a self-hosted application with nothing but a domain.
fn plain(made: &Value, name: &str, domain: &str) -> Value {
    json!({
        "id": made["id"], "uid": made["id"], "aud": made["aud"], "type": "self_hosted", "name": name, "domain": domain,
        "destinations": [{"type": "public", "uri": domain}], "self_hosted_domains": [domain], "policies": [],
        "session_duration": "24h", "allowed_idps": [], "auto_redirect_to_identity": false,
        "options_preflight_bypass": false, "service_auth_401_redirect": false,
        "read_service_tokens_from_header": null, "custom_deny_message": null, "custom_deny_url": null,
        "custom_non_identity_deny_url": null, "cors_headers": null, "allow_authenticate_via_warp": null,
        "allow_iframe": false, "app_launcher_visible": true, "custom_pages": null, "logo_url": null, "mfa_config": null,
        "oauth_configuration": null, "scim_config": null, "skip_interstitial": false, "tags": [],
        "use_clientless_isolation_app_launcher_url": null, "same_site_cookie_attribute": null,
        "http_only_cookie_attribute": true, "enable_binding_cookie": false, "path_cookie_attribute": false,
        "eager_redirect_cookie_setting": true, "created_at": STAMP, "updated_at": STAMP,
    })
}

async fn make(gateway: &Gateway, body: Value) -> Value {
    gateway.result(Method::POST, APPS, body, 201).await
}

fn path(made: &Value) -> String {
    format!("{APPS}/{}", made["id"].as_str().unwrap())
}

/// Observed call 1z, and what the data path makes of it at once.
#[tokio::test]
async fn the_smallest_application_has_every_field() {
    let gateway = Gateway::new().await;
    let body = json!({"domain": "admin.example.com", "type": "self_hosted", "name": "Admin"});
    let made = gateway.result(Method::POST, "{Z}/access/apps", body, 201).await;
    assert_eq!(made, plain(&made, "Admin", "admin.example.com"));
    assert_eq!(made["aud"].as_str().unwrap().len(), 64);
    let snapshot = gateway.live.snapshot.load();
    let root = CanonicalPath::of("/").unwrap();
    let app = snapshot.app(&"admin.example.com".parse().unwrap(), &root).expect("in force at once");
    assert_eq!(app.aud().as_str(), made["aud"]);
    for (door, status) in [("{A}", 200), ("{Z}", 200), ("{Y}", 404)] {
        let id = made["id"].as_str().unwrap();
        let (got, answer) = gateway.get(&format!("{door}/access/apps/{id}")).await;
        assert_eq!(got, status, "{door}: {answer}");
        let (_, list) = gateway.get(&format!("{door}/access/apps")).await;
        assert_eq!(list["result_info"]["total_count"], u8::from(status == 200), "{door}");
    }
    let outside = json!({"destinations": [{"uri": "x.example.com"}, {"uri": "x.example.org"}]});
    let got = gateway.refusal(Method::POST, "{Z}/access/apps", outside).await;
    let reason = "access.api.error.invalid_request: domain does not belong to zone example.com";
    assert_eq!(got, (400, 12_130, reason.to_owned(), "/destinations/1/uri".to_owned()));
}

/// Observed call 1: a linked policy and one written out, in one list.
#[tokio::test]
async fn an_application_is_made_as_clients_send_it() {
    let gateway = Gateway::new().await;
    let policy = json!({"name": "staff", "decision": "allow", "include": [{"email_domain": {"domain": "example.com"}}]});
    let policy = gateway.result(Method::POST, "{A}/access/policies", policy, 201).await;
    let body = json!({
        "domain": "admin.example.com", "type": "self_hosted",
        "cors_headers": {"allowed_origins": ["https://a.example.com"], "allowed_methods": ["GET"], "max_age": 600},
        "destinations": [{"type": "public", "uri": "admin.example.com"}], "http_only_cookie_attribute": true, "name": "Admin",
        "policies": [{"id": policy["id"], "precedence": 1},
                     {"name": "inline", "decision": "allow", "precedence": 2, "include": [{"email": {"email": "User@example.com"}}]}],
        "same_site_cookie_attribute": "lax", "session_duration": "24h",
    });
    let made = make(&gateway, body.clone()).await;
    let mut want = plain(&made, "Admin", "admin.example.com");
    want["cors_headers"] = body["cors_headers"].clone();
    want["same_site_cookie_attribute"] = json!("lax");
    let mut linked = policy.clone();
    linked["precedence"] = json!(1);
    linked["app_count"] = json!(1);
    let inline = made["policies"][1]["id"].clone();
    let inline = json!({
        "id": inline, "uid": inline, "name": "inline", "decision": "allow", "include": [{"email": {"email": "User@example.com"}}],
        "exclude": [], "require": [], "session_duration": null, "reusable": false, "precedence": 2, "isolation_required": false,
        "purpose_justification_required": false, "purpose_justification_prompt": null, "approval_required": false,
        "approval_groups": [], "mfa_config": null, "connection_rules": null, "created_at": STAMP, "updated_at": STAMP,
    });
    want["policies"] = json!([linked, inline]);
    assert_eq!(made, want);
    assert_eq!(gateway.result(Method::GET, &path(&made), "", 200).await, want);
    assert_eq!(gateway.get(APPS).await.1["result"], json!([want]));
    assert_eq!(
        gateway.result(Method::PUT, &path(&made), &made, 200).await,
        want,
        "what was read can be written back"
    );
}

#[tokio::test]
async fn a_replace_gives_defaults_back_but_keeps_the_policies() {
    let gateway = Gateway::new().await;
    let everyone =
        |name: &str| json!({"name": name, "decision": "allow", "include": [{"everyone": {}}]});
    let made = make(&gateway, json!({
        "domain": "A.example.com", "name": "First", "session_duration": "1h30m", "policies": [everyone("p"), everyone("q")],
        "logo_url": "https://x/l.png", "tags": ["b", "a"], "skip_interstitial": true, "app_launcher_visible": false,
        "eager_redirect_cookie_setting": false, "custom_deny_message": "Ask\nsomebody", "custom_deny_url": "https://example.com/no",
        "unknown_field": {"kept": "no"},
    })).await;
    assert_eq!(made["domain"], "A.example.com", "letter case is echoed");
    assert_eq!(made["session_duration"], "1h30m");
    assert_eq!(made["tags"], json!(["a", "b"]));
    assert_eq!(made["logo_url"], "https://x/l.png");
    assert_eq!(
        (&made["skip_interstitial"], &made["app_launcher_visible"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(made.get("unknown_field"), None);
    gateway.clock.advance(5);

    for untouched in [Value::Null, json!("absent")] {
        let mut body = json!({"domain": "b.example.com", "type": "self_hosted", "name": null});
        if untouched.is_null() {
            body["policies"] = Value::Null;
        }
        let replaced = gateway.result(Method::PUT, &path(&made), body, 200).await;
        let mut want = plain(&made, "b.example.com", "b.example.com");
        want["policies"] = made["policies"].clone();
        want["updated_at"] = json!("2026-09-21T14:13:25Z");
        assert_eq!(replaced, want);
    }
    let second = &made["policies"][1];
    let body =
        json!({"domain": "b.example.com", "policies": [{"id": second["id"]}, everyone("new")]});
    let replaced = gateway.result(Method::PUT, &path(&made), body, 200).await;
    let names: Vec<&str> = replaced["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["q", "new"]);
    assert_eq!(
        gateway.desk.standing().configuration.policies.len(),
        2,
        "what belonged to it and was left out is gone"
    );
    gateway
        .result(Method::PUT, &path(&made), json!({"domain": "b.example.com", "policies": []}), 200)
        .await;
    assert!(gateway.desk.standing().configuration.policies.is_empty());
}

/// Official clients neither know our extensions nor forgive a member that they do not know.
#[tokio::test]
async fn an_extension_shows_only_where_it_is_on_and_stays_unless_it_is_named() {
    let gateway = Gateway::new().await;
    let plain_body = json!({
        "domain": "a.example.com", "name": "A",
        "cors_headers": {"allow_all_methods": true, "allowed_origins": ["https://a.example.com"], "allow_credentials": true},
    });
    let with = |name: &str, setting: Value| {
        let mut body = plain_body.clone();
        body[name] = setting;
        body
    };
    let made = make(&gateway, plain_body.clone()).await;
    for name in ["partitioned_cookie_handoff", "replay_post_after_login"] {
        assert_eq!(made.get(name), None);
        for (body, want) in [
            (with(name, json!(true)), Some(&json!(true))),
            (plain_body.clone(), Some(&json!(true))),
            (with(name, json!(false)), None),
            (plain_body.clone(), None),
            (with(name, json!(true)), Some(&json!(true))),
            (with(name, json!(null)), None),
        ] {
            let got = gateway.result(Method::PUT, &path(&made), body.clone(), 200).await;
            assert_eq!(got.get(name), want, "{body}");
            let (_, read) = gateway.get(&path(&made)).await;
            assert_eq!(read["result"].get(name), want, "{body}");
        }
    }
    let mut useless = with("partitioned_cookie_handoff", json!(true));
    useless["same_site_cookie_attribute"] = json!("lax");
    let got = gateway.refusal(Method::PUT, &path(&made), useless).await;
    assert_eq!((got.0, got.3.as_str()), (400, "/partitioned_cookie_handoff"), "{got:?}");
}

#[tokio::test]
async fn deleting_an_application_takes_its_policies_along() {
    let gateway = Gateway::new().await;
    let own = json!({"name": "p", "decision": "allow", "include": [{"everyone": {}}]});
    let made = make(&gateway, json!({"domain": "a.example.com", "policies": [own]})).await;
    assert_eq!(
        gateway.result(Method::DELETE, &path(&made), "", 202).await,
        json!({"id": made["id"]})
    );
    let got = gateway.refusal(Method::GET, &path(&made), "").await;
    assert_eq!(
        (got.0, got.1, got.2.as_str()),
        (404, 11_021, "access.api.error.unknown_application")
    );
    assert!(gateway.desk.standing().configuration.policies.is_empty());
    assert_eq!(gateway.live.snapshot.load().apps().len(), 0);
}

#[tokio::test]
async fn a_destination_belongs_to_one_application() {
    let gateway = Gateway::new().await;
    make(&gateway, json!({"destinations": [{"uri": "a.example.com"}, {"uri": "b.example.com/x"}]}))
        .await;
    for (body, code, name, pointer) in [
        (json!({"domain": "A.example.com."}), 11_010, "application_already_exists", "/domain"),
        (
            json!({"self_hosted_domains": ["c.example.com", "b.example.com/x"]}),
            12_132,
            "conflict",
            "/self_hosted_domains/1",
        ),
        (
            json!({"destinations": [{"uri": "c.example.com"}, {"uri": "a.example.com"}]}),
            12_132,
            "conflict",
            "/destinations/1/uri",
        ),
    ] {
        let (status, answer) = gateway.post(APPS, &body).await;
        assert_eq!(status, 409, "{answer}");
        let error = &answer["errors"][0];
        assert_eq!(
            (&error["code"], &error["source"]["pointer"]),
            (&json!(code), &json!(pointer)),
            "{answer}"
        );
        let message = error["message"].as_str().unwrap();
        let start = format!("access.api.error.{name}: destination belongs to another application");
        assert!(message.starts_with(&start), "{message}");
    }
    make(&gateway, json!({"domain": "b.example.com"})).await;
}

#[tokio::test]
async fn a_conflict_is_not_worth_repeating() {
    use bytes::Bytes;
    let gateway = Gateway::new().await;
    make(&gateway, json!({"domain": "a.example.com"})).await;
    let request = http::Request::post(crate::gateway::full(APPS))
        .header("authorization", format!("Bearer {}", crate::gateway::TOKEN))
        .body(Bytes::from(r#"{"domain": "a.example.com"}"#))
        .unwrap();
    let response = gateway.send(request).await;
    assert_eq!(response.status(), 409);
    assert_eq!(response.headers()["x-should-retry"], "false");
}

#[tokio::test]
async fn what_is_no_application_is_refused_with_its_place() {
    let gateway = Gateway::new().await;
    let with = |member: &str, value: Value| json!({"domain": "a.example.com", member: value});
    let cors = |cors: Value| with("cors_headers", cors);
    let u = "7335d417-61da-459d-899c-0a01c76a2f94";
    let two = json!([{"name": "p", "decision": "allow", "include": [{"everyone": {}}], "precedence": 1},
                     {"name": "q", "decision": "allow", "include": [{"everyone": {}}], "precedence": 1}]);
    for (body, pointer) in [
        (json!({}), "/domain"),
        (json!({"domain": "a.example.net"}), "/domain"),
        (json!({"self_hosted_domains": ["access.example.com"]}), "/self_hosted_domains/0"),
        (json!({"destinations": [{"uri": "a.example.com/cdn-cgi/x"}]}), "/destinations/0/uri"),
        (with("allowed_idps", json!([u])), "/allowed_idps/0"),
        (with("auto_redirect_to_identity", json!(true)), "/auto_redirect_to_identity"),
        (with("policies", json!([u])), "/policies/0"),
        (with("policies", two), "/policies/1/precedence"),
        (
            with(
                "policies",
                json!([{"name": "p", "decision": "bypass", "include": [{"email": {"email": "a@b.c"}}]}]),
            ),
            "/policies/0/include/0",
        ),
        (with("custom_deny_url", json!("javascript:alert(1)")), "/custom_deny_url"),
        (with("read_service_tokens_from_header", json!("a b")), "/read_service_tokens_from_header"),
        (with("session_duration", json!("745h")), "/session_duration"),
        (cors(json!({"allowed_origins": ["https://a"]})), "/cors_headers/allowed_methods"),
        (
            cors(
                json!({"allow_all_origins": true, "allow_all_methods": true, "allow_credentials": true}),
            ),
            "/cors_headers/allow_credentials",
        ),
        (
            cors(json!({"allow_all_origins": true, "allowed_methods": ["FETCH"]})),
            "/cors_headers/allowed_methods/0",
        ),
        (
            cors(json!({"allow_all_origins": true, "allow_all_methods": true, "max_age": 86_401})),
            "/cors_headers/max_age",
        ),
        (cors(json!({"allow_all_origins": "yes"})), "/cors_headers/allow_all_origins"),
        (
            json!({"domain": "a.example.com", "options_preflight_bypass": true,
                "cors_headers": {"allow_all_origins": true, "allow_all_methods": true}}),
            "/options_preflight_bypass",
        ),
    ] {
        let got = gateway.refusal(Method::POST, APPS, &body).await;
        assert_eq!((got.0, got.1, got.3.as_str()), (400, 12_130, pointer), "{body}: {}", got.2);
    }
    assert!(gateway.desk.standing().configuration.apps.is_empty(), "nothing was changed");
    assert!(gateway.desk.standing().configuration.policies.is_empty(), "nor half of something");
}

#[tokio::test]
async fn lists_are_filtered() {
    let gateway = Gateway::new().await;
    let wiki = make(&gateway, json!({"name": "Wiki", "domain": "wiki.example.com"})).await;
    gateway.clock.advance(1);
    make(&gateway, json!({"name": "Wiki admin", "destinations": [{"uri": "admin.example.com"}, {"uri": "wiki.example.org"}]})).await;
    let aud = wiki["aud"].as_str().unwrap();
    for (query, want) in [
        ("", vec!["Wiki", "Wiki admin"]),
        ("name=wiki", vec!["Wiki", "Wiki admin"]),
        ("name=Wiki&exact=true", vec!["Wiki"]),
        ("name=wiki&exact=true", vec![]),
        ("domain=wiki.example", vec!["Wiki", "Wiki admin"]),
        ("domain=wiki.example.org&exact=true", vec!["Wiki admin"]),
        (&format!("aud={aud}"), vec!["Wiki"]),
        ("aud=ff", vec![]),
        ("search=ADMIN.example", vec!["Wiki admin"]),
        ("per_page=1&page=2&unknown=1", vec!["Wiki admin"]),
        ("page=3", vec![]),
    ] {
        let (status, list) = gateway.get(&format!("{APPS}?{query}")).await;
        let names: Vec<&str> = list["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["name"].as_str().unwrap())
            .collect();
        assert_eq!((status.as_u16(), names), (200, want), "{query}");
    }
}

#[tokio::test]
async fn the_side_settings_have_a_path_of_their_own() {
    let gateway = Gateway::new().await;
    let made = make(&gateway, json!({"domain": "a.example.com", "allow_iframe": true})).await;
    let settings = format!("{}/settings", path(&made));
    let changed =
        gateway.result(Method::PATCH, &settings, json!({"skip_interstitial": true}), 200).await;
    assert_eq!(changed, json!({"allow_iframe": true, "skip_interstitial": true}));
    let replaced =
        gateway.result(Method::PUT, &settings, json!({"skip_interstitial": true}), 200).await;
    assert_eq!(replaced, json!({"allow_iframe": false, "skip_interstitial": true}));
    assert_eq!(
        gateway.refusal(Method::PATCH, &settings, json!({"allow_iframe": 1})).await.3,
        "/allow_iframe"
    );
}

#[tokio::test]
async fn tokens_of_an_application_are_revoked() {
    let gateway = Gateway::new().await;
    let made = make(&gateway, json!({"domain": "a.example.com"})).await;
    let before = gateway.live.revocations.generation();
    for body in ["", "{}", "null"] {
        let result = gateway
            .result(Method::POST, &format!("{}/revoke_tokens", path(&made)), body, 202)
            .await;
        assert_eq!(result, json!({}));
    }
    assert!(gateway.live.revocations.generation() > before, "in force");
    let kept = gateway.store.revocations(gateway.clock.now()).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].what, Revoked::App(made["aud"].as_str().unwrap().parse().unwrap()));
    let unknown = "{A}/access/apps/7335d417-61da-459d-899c-0a01c76a2f94/revoke_tokens";
    assert_eq!(gateway.refusal(Method::POST, unknown, "").await.0, 404);
}
