//! Accounts and zones: what the configuration file says, as clients look it up.

use crate::gateway::{ACCOUNT, Gateway, STAMP, ZONE};
use serde_json::json;

#[tokio::test]
async fn the_account_is_listed_and_read() {
    let gateway = Gateway::new().await;
    let account = json!({
        "id": ACCOUNT, "name": "acme", "type": "standard", "created_on": STAMP,
        "settings": {"abuse_contact_email": null, "enforce_twofactor": false},
    });
    let info = |page, count| json!({"page": page, "per_page": 20, "count": count, "total_count": 1, "total_pages": 1});
    let (status, list) = gateway.get("/accounts").await;
    assert_eq!(status, 200);
    let want = json!({"success": true, "errors": [], "messages": [], "result": [account], "result_info": info(1, 1)});
    assert_eq!(list, want);
    let past = gateway.get("/accounts?page=2&count=1&total_pages=1").await.1;
    assert_eq!((&past["result"], &past["result_info"]), (&json!([]), &info(2, 0)));
    assert_eq!(gateway.get("/accounts?name=other").await.1["result"], json!([]));
    let read = gateway.get("{A}").await.1;
    assert_eq!(read, json!({"success": true, "errors": [], "messages": [], "result": account}));
}

#[tokio::test]
async fn zones_are_found_by_name() {
    let gateway = Gateway::new().await;
    let zone = json!({
        "id": ZONE, "name": "example.com", "status": "active", "type": "full", "paused": false,
        "account": {"id": ACCOUNT, "name": "acme"},
        "owner": {"id": ACCOUNT, "name": "acme", "type": "organization"},
        "created_on": STAMP, "activated_on": STAMP, "modified_on": STAMP, "development_mode": 0,
        "name_servers": [], "original_name_servers": [], "original_dnshost": null, "original_registrar": null,
        "meta": {}, "plan": {"id": "self_hosted", "name": "Self-hosted", "legacy_id": "self_hosted"},
        "permissions": ["#access:edit", "#access:read"],
    });
    for (query, count) in [
        ("", 2),
        ("?name=example.com", 1),
        ("?name=EXAMPLE.com&status=active", 1),
        ("?name=example.net", 0),
        ("?name=ample.com", 0),
        ("?account.id=0123456789abcdef0123456789abcdef&type=full&type=partial", 2),
        ("?account.id=ffffffffffffffffffffffffffffffff", 0),
        ("?status=pending", 0),
        ("?per_page=1", 1),
        ("?per_page=1&page=3", 0),
    ] {
        let (status, list) = gateway.get(&format!("/zones{query}")).await;
        assert_eq!(status, 200, "{query}");
        assert_eq!(list["result"].as_array().unwrap().len(), count, "{query}");
        assert_eq!(list["result_info"]["count"], count, "{query}");
    }
    assert_eq!(gateway.get("/zones?name=example.com").await.1["result"][0], zone);
    assert_eq!(gateway.get("{Z}").await.1["result"], zone);
}
