//! Who may call, and what the others are told (api/README "Authentication", security A1, A4).

use crate::gateway::{ACCOUNT, Gateway, NOW, STAMP, TOKEN, ZONE, full};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use narthex_api::{every_operation, sha256};
use narthex_model::{ApiTokenId, Timestamp};
use narthex_store::ApiToken;
use serde_json::{Value, json};

/// Status, code and body of a request with these headers.
async fn ask(
    gateway: &Gateway,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, u64, Value) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = gateway.send(request.body(Bytes::new()).unwrap()).await;
    check_headers(response.headers(), gateway);
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    (response.status().as_u16(), body["errors"][0]["code"].as_u64().unwrap_or(0), body)
}

fn check_headers(headers: &HeaderMap, gateway: &Gateway) {
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["cf-ray"], gateway.ray.as_str());
}

fn token(secret: &str) -> ApiToken {
    ApiToken {
        id: ApiTokenId::random(),
        name: "terraform".to_owned(),
        hash: sha256(secret),
        created_at: Timestamp(NOW),
        not_before: None,
        expires_at: None,
        disabled: false,
        read_only: false,
    }
}

#[tokio::test]
async fn no_operation_is_open_to_strangers() {
    let gateway = Gateway::new().await;
    let operations = every_operation(ACCOUNT, ZONE);
    assert!(operations.len() > 80, "{}", operations.len());
    let before = gateway.desk.standing().revision;
    for (method, path) in operations {
        let got = ask(&gateway, method.clone(), &path, &[]).await;
        assert_eq!((got.0, got.1), (400, 9106), "{method} {path}");
        let got = ask(&gateway, method.clone(), &path, &[("authorization", "Bearer wrong")]).await;
        assert_eq!((got.0, got.1), (401, 1000), "{method} {path}");
        let cookie = [("cookie", "CF_Authorization=x; narthex=y"), ("content-type", "text/plain")];
        let got = ask(&gateway, method.clone(), &path, &cookie).await;
        assert_eq!((got.0, got.1), (400, 9106), "{method} {path}");
    }
    assert_eq!(gateway.desk.standing().revision, before, "nothing was changed");
}

#[tokio::test]
async fn credentials_and_their_near_misses() {
    let gateway = Gateway::new().await;
    let (live, off, late, early) = (token("live"), token("off"), token("late"), token("early"));
    let tokens = [
        live.clone(),
        ApiToken { disabled: true, ..off },
        ApiToken { expires_at: Some(Timestamp(NOW)), ..late },
        ApiToken { not_before: Some(Timestamp(NOW.plus(1))), ..early },
    ];
    for token in &tokens {
        gateway.store.put_api_token(token).await.unwrap();
    }
    let bearer = format!("Bearer {TOKEN}");
    let both: &[(&str, &str)] = &[
        ("authorization", "Bearer live"),
        ("x-auth-email", "a@example.com"),
        ("x-auth-key", "wrong"),
        ("api-version", "2026-10-04"),
        ("x-stainless-retry-count", "1"),
    ];
    for (headers, status, code) in [
        (&[("authorization", bearer.as_str())][..], 200, 0),
        (&[("authorization", "bearer live")], 200, 0),
        (both, 200, 0),
        (&[("x-auth-email", "a@example.com"), ("x-auth-key", "live")], 200, 0),
        (&[("x-auth-email", "a@example.com"), ("x-auth-key", "wrong")], 403, 9103),
        (&[("x-auth-key", "live")], 400, 9106),
        (&[("x-auth-user-service-key", "live")], 400, 9106),
        (&[("authorization", "live")], 400, 6003),
        (&[("authorization", "Basic bGl2ZTo=")], 400, 6003),
        (&[("authorization", "Bearer ")], 400, 6003),
        (&[("authorization", "Bearer liv")], 401, 1000),
        (&[("authorization", "Bearer off")], 401, 1000),
        (&[("authorization", "Bearer late")], 401, 1000),
        (&[("authorization", "Bearer early")], 401, 1000),
    ] {
        let got = ask(&gateway, Method::GET, &full("/user/tokens/verify"), headers).await;
        assert_eq!((got.0, got.1), (status, code), "{headers:?}: {}", got.2);
    }
    let malformed =
        ask(&gateway, Method::GET, &full("/accounts"), &[("authorization", "x")]).await.2;
    let chain = json!([{"code": 6111, "message": "Invalid format for Authorization header"}]);
    assert_eq!(
        malformed,
        json!({"success": false, "messages": [], "result": null,
               "errors": [{"code": 6003, "message": "Invalid request headers", "error_chain": chain}]})
    );
}

#[tokio::test]
async fn a_token_is_told_about_itself() {
    let gateway = Gateway::new().await;
    let mine = ApiToken {
        expires_at: Some(Timestamp(NOW.plus(60))),
        not_before: Some(Timestamp(NOW)),
        ..token("mine")
    };
    gateway.store.put_api_token(&mine).await.unwrap();
    for path in ["/user/tokens/verify", "{A}/tokens/verify"] {
        let got =
            ask(&gateway, Method::GET, &full(path), &[("authorization", "Bearer mine")]).await.2;
        let want = json!({
            "success": true, "errors": [],
            "messages": [{"code": 10000, "message": "This API Token is valid and active"}],
            "result": {"id": mine.id, "status": "active", "not_before": STAMP, "expires_on": "2026-09-21T14:14:20Z"},
        });
        assert_eq!(got, want, "{path}");
    }
    gateway.clock.advance(60);
    let got = ask(
        &gateway,
        Method::GET,
        &full("/user/tokens/verify"),
        &[("authorization", "Bearer mine")],
    )
    .await;
    assert_eq!(
        got.2["errors"][0]["message"],
        "Invalid API Token: it expired at 2026-09-21T14:14:20Z"
    );
}

#[tokio::test]
async fn a_token_that_reads_may_not_write() {
    let gateway = Gateway::new().await;
    let reader = ApiToken { read_only: true, ..token("reader") };
    gateway.store.put_api_token(&reader).await.unwrap();
    let before = gateway.desk.standing().revision;
    for (method, path) in every_operation(ACCOUNT, ZONE) {
        let got = ask(&gateway, method.clone(), &path, &[("authorization", "Bearer reader")]).await;
        let fine = if method == Method::GET {
            matches!(got.0, 200 | 404 | 501)
        } else {
            matches!((got.0, got.1), (403, 10_000) | (501, 7000))
        };
        assert!(fine, "{method} {path}: {}", got.2);
    }
    assert_eq!(gateway.desk.standing().revision, before, "nothing was changed");
}

#[tokio::test]
async fn other_accounts_and_zones_are_out_of_reach() {
    let gateway = Gateway::new().await;
    for path in [
        "/accounts/ffffffffffffffffffffffffffffffff/access/apps",
        "/accounts/ffffffffffffffffffffffffffffffff",
        "/accounts/1/access/apps",
        "/accounts/0123456789ABCDEF0123456789ABCDEF/access/apps",
        "/zones/ffffffffffffffffffffffffffffffff/access/apps",
        "/zones/ffffffffffffffffffffffffffffffff",
        "/zones/example.com/access/apps",
    ] {
        let got = gateway.refusal(Method::GET, path, "").await;
        assert_eq!((got.0, got.1), (403, 10_000), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_route_says_so() {
    let gateway = Gateway::new().await;
    for (method, path, want) in [
        (Method::GET, "{A}/access/unknown", (404, 7003, "Could not route to ")),
        (Method::GET, "{A}/access/apps/../groups", (404, 7003, "Could not route to ")),
        (Method::GET, "{A}/access/apps/..", (404, 11021, "access.api.error.unknown_application")),
        (Method::GET, "{A}/access/apps/", (404, 7003, "Could not route to ")),
        (Method::GET, "{A}/access/apps/1", (404, 11021, "access.api.error.unknown_application")),
        (Method::GET, "{A}/access/groups/1", (404, 12109, "access.api.error.group_not_found")),
        (Method::GET, "{A}/access/policies/1", (404, 12135, "access.api.error.not_found")),
        (Method::PATCH, "{A}/access/apps", (405, 7001, "Method not available for that URI")),
        (
            Method::GET,
            "{A}/access/tags",
            (501, 7000, "No route for that URI: tags are not supported"),
        ),
        (Method::GET, "{A}/access/ai-controls/mcp/portals", (404, 7003, "Could not route to ")),
    ] {
        let got = gateway.refusal(method, path, "").await;
        assert_eq!((got.0, got.1), (want.0, want.1), "{path}: {}", got.2);
        assert!(got.2.starts_with(want.2), "{path}: {}", got.2);
    }
}
