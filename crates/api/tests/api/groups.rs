//! Rule groups.

use crate::gateway::{Gateway, STAMP};
use http::Method;
use serde_json::{Value, json};

fn body(name: &str) -> Value {
    json!({"name": name, "include": [{"email_domain": {"domain": "Example.com"}}, {"geo": {"country_code": "jp"}}]})
}

#[tokio::test]
async fn a_group_is_made_read_replaced_and_deleted() {
    let gateway = Gateway::new().await;
    let made = gateway.result(Method::POST, "{A}/access/groups", body("Staff"), 201).await;
    let id = made["id"].as_str().unwrap();
    let want = json!({
        "id": id, "uid": id, "name": "Staff", "exclude": [], "require": [], "is_default": false,
        "include": [{"email_domain": {"domain": "Example.com"}}, {"geo": {"country_code": "jp"}}],
        "created_at": STAMP, "updated_at": STAMP,
    });
    assert_eq!(made, want, "echoed as it was written");
    let path = format!("{{A}}/access/groups/{id}");
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, want);

    gateway.clock.advance(5);
    let other = json!({"id": "ignored", "name": "All", "include": [{"everyone": {}}], "exclude": null,
                       "require": [{"ip": {"ip": "10.0.0.0/8"}}], "is_default": true});
    let replaced = gateway.result(Method::PUT, &path, &other, 200).await;
    assert_eq!(
        replaced,
        json!({"id": id, "uid": id, "name": "All", "include": [{"everyone": {}}], "exclude": [],
               "require": [{"ip": {"ip": "10.0.0.0/8"}}], "is_default": true,
               "created_at": STAMP, "updated_at": "2026-09-21T14:13:25Z"})
    );
    assert_eq!(gateway.result(Method::DELETE, &path, "{}", 202).await, json!({"id": id}));
    assert_eq!(gateway.refusal(Method::GET, &path, "").await.0, 404);
    assert_eq!(gateway.refusal(Method::DELETE, &path, "").await.0, 404);
    assert_eq!(gateway.refusal(Method::PUT, &path, &other).await.1, 12_109);
}

#[tokio::test]
async fn lists_are_paged_and_filtered_and_zones_see_their_own() {
    let gateway = Gateway::new().await;
    for n in 0..30 {
        gateway.clock.advance(1);
        gateway.result(Method::POST, "{A}/access/groups", body(&format!("g{n:02}")), 201).await;
    }
    gateway.clock.advance(1);
    gateway.result(Method::POST, "{Z}/access/groups", body("zoned"), 201).await;
    let names = |list: &Value| -> Vec<String> {
        list["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|g| g["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, first) = gateway.get("{A}/access/groups").await;
    assert_eq!(names(&first)[..2], ["g00", "g01"]);
    assert_eq!(
        first["result_info"],
        json!({"page": 1, "per_page": 25, "count": 25, "total_count": 31, "total_pages": 2})
    );
    assert_eq!(names(&gateway.get("{A}/access/groups?page=2").await.1).last().unwrap(), "zoned");
    assert!(names(&gateway.get("{A}/access/groups?page=3").await.1).is_empty());
    assert_eq!(names(&gateway.get("{A}/access/groups?name=g07").await.1), ["g07"]);
    assert_eq!(names(&gateway.get("{A}/access/groups?search=G2").await.1).len(), 10);
    assert_eq!(names(&gateway.get("{Z}/access/groups").await.1), ["zoned"]);
    assert!(names(&gateway.get("{Y}/access/groups").await.1).is_empty());
    for query in ["per_page=0", "per_page=1001", "page=x"] {
        let got = gateway.refusal(Method::GET, &format!("{{A}}/access/groups?{query}"), "").await;
        assert_eq!((got.0, got.1), (400, 12_091), "{query}");
    }
}

#[tokio::test]
async fn what_is_no_group_is_refused_with_its_place() {
    let gateway = Gateway::new().await;
    let many: Vec<Value> =
        (0..50_001).map(|n| json!({"email": {"email": format!("{n}@example.com")}})).collect();
    for (body, pointer) in [
        (json!({"include": [{"everyone": {}}]}), "/name"),
        (json!({"name": "", "include": [{"everyone": {}}]}), "/name"),
        (json!({"name": 7, "include": [{"everyone": {}}]}), "/name"),
        (json!({"name": "x"}), "/include"),
        (json!({"name": "x", "include": []}), "/include"),
        (json!({"name": "x", "include": {}}), "/include"),
        (json!({"name": "x", "include": many}), "/include"),
        (
            json!({"name": "x", "include": [{"everyone": {}}, {"emial": {"email": "a@b.c"}}]}),
            "/include/1",
        ),
        (json!({"name": "x", "include": [{"everyone": {}, "certificate": {}}]}), "/include/0"),
        (
            json!({"name": "x", "include": [{"everyone": {}}], "require": [{"device_posture": {"integration_uid": "x"}}]}),
            "/require/0",
        ),
        (
            json!({"name": "x", "include": [{"group": {"id": "7335d417-61da-459d-899c-0a01c76a2f94"}}]}),
            "/include/0/group/id",
        ),
        (json!([]), ""),
        (json!("x"), ""),
    ] {
        let got = gateway.refusal(Method::POST, "{A}/access/groups", &body).await;
        let text = body.to_string();
        assert_eq!(
            (got.0, got.1, got.3.as_str()),
            (400, 12_130, pointer),
            "{}: {}",
            &text[..text.len().min(99)],
            got.2
        );
        assert!(got.2.starts_with("access.api.error.invalid_request: "), "{}", got.2);
    }
    assert_eq!(gateway.get("{A}/access/groups").await.1["result"], json!([]));
}

#[tokio::test]
async fn groups_in_use_stay_and_circles_are_refused() {
    let gateway = Gateway::new().await;
    let inner =
        gateway.result(Method::POST, "{A}/access/groups", body("inner"), 201).await["id"].clone();
    let refers = json!({"name": "outer", "include": [{"group": {"id": inner}}]});
    let outer = gateway.result(Method::POST, "{A}/access/groups", &refers, 201).await["id"].clone();
    let path = |id: &Value| format!("{{A}}/access/groups/{}", id.as_str().unwrap());

    let (status, answer) = gateway.delete(&path(&inner)).await;
    assert_eq!(status, 409);
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("access.api.error.conflict: it is in use: group "), "{message}");

    let circle = json!({"name": "inner", "include": [{"group": {"id": outer}}]});
    let got = gateway.refusal(Method::PUT, &path(&inner), circle).await;
    assert_eq!((got.0, got.1), (400, 12_130), "{}", got.2);

    gateway.result(Method::DELETE, &path(&outer), "", 202).await;
    gateway.result(Method::DELETE, &path(&inner), "", 202).await;
}
