//! The organization: one object that merges what clients write.

use crate::gateway::{Gateway, STAMP};
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "{A}/access/organizations";

fn fresh() -> Value {
    json!({
        "name": "acme", "auth_domain": "access.example.com:8443", "login_design": {}, "session_duration": null,
        "auto_redirect_to_identity": false, "deny_unmatched_requests": true,
        "deny_unmatched_requests_exempted_zone_names": [], "strict_service_token_auth": true,
        "is_ui_read_only": false, "allow_authenticate_via_warp": false, "mfa_config": null,
        "mfa_required_for_all_apps": false, "custom_pages": null, "service_token_inactivity": null,
        "ui_read_only_toggle_reason": null, "user_seat_expiration_inactive_time": null,
        "warp_auth_non_browser_401": null, "warp_auth_session_duration": null,
        "created_at": STAMP, "updated_at": STAMP,
    })
}

/// Observed call 8, with our team domain.
#[tokio::test]
async fn what_is_written_is_merged() {
    let gateway = Gateway::new().await;
    assert_eq!(gateway.result(Method::GET, PATH, "", 200).await, fresh());
    assert_eq!(gateway.result(Method::GET, "{Z}/access/organizations", "", 200).await, fresh());
    let body = json!({
        "auth_domain": "access.example.com:8443", "name": "Example", "session_duration": "24h",
        "login_design": {"logo_path": "https://x/l.png", "background_color": "#fff"},
    });
    let mut want = fresh();
    for (name, value) in body.as_object().unwrap() {
        want[name] = value.clone();
    }
    assert_eq!(gateway.result(Method::PUT, PATH, &body, 200).await, want);
    let more = json!({"is_ui_read_only": true, "user_seat_expiration_inactive_time": "730h", "session_duration": null,
                      "deny_unmatched_requests": false, "strict_service_token_auth": null, "unknown": 1,
                      "deny_unmatched_requests_exempted_zone_names": ["example.org"]});
    for name in [
        "is_ui_read_only",
        "user_seat_expiration_inactive_time",
        "session_duration",
        "deny_unmatched_requests",
        "deny_unmatched_requests_exempted_zone_names",
    ] {
        want[name] = more[name].clone();
    }
    assert_eq!(gateway.result(Method::PUT, PATH, &more, 200).await, want);
    assert_eq!(gateway.result(Method::PUT, "{Z}/access/organizations", "{}", 200).await, want);
    assert!(!gateway.live.snapshot.load().organization.deny_unmatched_requests, "in force");
}

#[tokio::test]
async fn it_exists_already_and_its_domain_is_fixed() {
    let gateway = Gateway::new().await;
    let body = json!({"auth_domain": "x.example.com", "name": "x"});
    let got = gateway.refusal(Method::POST, PATH, &body).await;
    assert_eq!((got.0, got.1), (409, 12_132), "{}", got.2);
    let got = gateway.refusal(Method::PUT, PATH, &body).await;
    assert_eq!((got.0, got.3.as_str()), (400, "/auth_domain"), "{}", got.2);
    assert_eq!(gateway.result(Method::GET, PATH, "", 200).await, fresh(), "nothing was changed");
}

#[tokio::test]
async fn what_is_not_built_cannot_be_switched_on() {
    let gateway = Gateway::new().await;
    for (body, pointer) in [
        (json!({"allow_authenticate_via_warp": true}), "/allow_authenticate_via_warp"),
        (json!({"mfa_config": {"allowed_authenticators": ["totp"]}}), "/mfa_config"),
        (json!({"mfa_required_for_all_apps": true}), "/mfa_required_for_all_apps"),
        (
            json!({"custom_pages": {"forbidden": "7335d417-61da-459d-899c-0a01c76a2f94"}}),
            "/custom_pages",
        ),
        (
            json!({"service_token_inactivity": {"enabled": true, "action": "disable"}}),
            "/service_token_inactivity",
        ),
        (
            json!({"user_seat_expiration_inactive_time": "729h"}),
            "/user_seat_expiration_inactive_time",
        ),
        (json!({"login_design": {"background_color": "red"}}), "/login_design/background_color"),
        (json!({"login_design": {"text_color": "#12345"}}), "/login_design/text_color"),
        (json!({"login_design": {"logo_path": "javascript:1"}}), "/login_design/logo_path"),
        (json!({"login_design": "dark"}), "/login_design"),
        (json!({"session_duration": "24"}), "/session_duration"),
        (
            json!({"deny_unmatched_requests_exempted_zone_names": ["example.net"]}),
            "/deny_unmatched_requests_exempted_zone_names/0",
        ),
        (json!({"is_ui_read_only": "no"}), "/is_ui_read_only"),
    ] {
        let got = gateway.refusal(Method::PUT, PATH, &body).await;
        assert_eq!((got.0, got.1, got.3.as_str()), (400, 12_130, pointer), "{body}: {}", got.2);
    }
    let off = json!({"allow_authenticate_via_warp": false, "mfa_required_for_all_apps": false, "mfa_config": {},
                     "custom_pages": {"forbidden": "", "identity_denied": null},
                     "service_token_inactivity": {"enabled": false, "inactivity_threshold_days": 90, "action": "disable"}});
    let kept = gateway.result(Method::PUT, PATH, &off, 200).await;
    assert_eq!(kept["service_token_inactivity"], off["service_token_inactivity"], "off is echoed");
}
