//! Service tokens: the matrix of access-protocol §8.3 and the strict mode of §8.4.

use crate::town::{CLIENT_ID, CLIENT_SECRET, NOW, Plan, Town, everyone, policy};
use narthex_token::AppToken;
use serde_json::json;

const ONLY: &str = "only.example.com";
const BOTH: &str = "both.example.com";
const SINGLE: &str = "single.example.com";
const WRONG: &str = "not-the-secret";
const LOUD: &str = "loud.example.com";

async fn town(strict: bool) -> Town {
    let service = || policy("non_identity", json!({"any_valid_service_token": {}}));
    let plan = Plan::default()
        .organization(json!({"strict_service_token_auth": strict}))
        .app(ONLY, &[service()], json!({}))
        .app(BOTH, &[service(), policy("allow", everyone())], json!({}))
        .app(SINGLE, &[service()], json!({"read_service_tokens_from_header": "Authorization"}))
        .app(LOUD, &[service()], json!({"service_auth_401_redirect": true}))
        .app(
            "mixed.example.com",
            &[service(), policy("allow", everyone())],
            json!({"service_auth_401_redirect": true}),
        )
        .app("people.example.com", &[policy("allow", everyone())], json!({}));
    Town::build(plan).await
}

fn pair(id: &str, secret: &str) -> String {
    format!("CF-Access-Client-Id: {id}\r\nCF-Access-Client-Secret: {secret}\r\n")
}

fn get(host: &str, fields: &str) -> String {
    format!("GET /api HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

async fn ask(town: &Town, host: &str, fields: &str) -> (u16, bool) {
    let answer = town.wire(host).await.ask(get(host, fields)).await;
    let cookies = answer.fields("set-cookie");
    (answer.status, cookies.iter().any(|cookie| cookie.starts_with("CF_Authorization=")))
}

#[tokio::test]
async fn the_matrix_of_the_legacy_mode() {
    let town = town(false).await;
    let good = pair(CLIENT_ID, CLIENT_SECRET);
    let answer = town.wire(BOTH).await.ask(get(BOTH, &good)).await;
    let cookie = answer.field("set-cookie").split(';').next().unwrap().to_owned();
    let only = town.wire(ONLY).await.ask(get(ONLY, &good)).await;
    let only = only.field("set-cookie").split(';').next().unwrap().to_owned();
    for (host, fields, want) in [
        (ONLY, String::new(), (403, false)),
        (ONLY, good.clone(), (200, true)),
        (ONLY, pair(CLIENT_ID, WRONG), (403, false)),
        (ONLY, format!("Cookie: {only}\r\n"), (403, false)),
        (BOTH, String::new(), (302, false)),
        (BOTH, good.clone(), (200, true)),
        (BOTH, pair(CLIENT_ID, WRONG), (302, false)),
        (BOTH, format!("Cookie: {cookie}\r\n"), (200, false)),
        (BOTH, format!("{good}Cookie: {cookie}\r\n"), (200, false)),
        (
            BOTH,
            format!("cf-access-token: {}\r\n", &cookie["CF_Authorization=".len()..]),
            (200, false),
        ),
        (LOUD, String::new(), (401, false)),
        ("mixed.example.com", String::new(), (302, false)),
        ("mixed.example.com", pair(CLIENT_ID, WRONG), (401, false)),
        ("mixed.example.com", good.clone(), (200, true)),
    ] {
        assert_eq!(ask(&town, host, &fields).await, want, "{host} {fields}");
    }
    // What the meta token tells whoever diagnoses (§8.3).
    let answer = town.wire("people.example.com").await.ask(get("people.example.com", &good)).await;
    let meta = answer.field("location").split("&meta=").nth(1).unwrap().split('&').next().unwrap();
    let meta = town.keys.open_meta(meta, &town.app("people.example.com").aud, NOW).unwrap();
    assert!(meta.service_token_status);
}

#[tokio::test]
async fn j15_the_strict_mode_says_401_or_403_and_sets_no_cookie() {
    let mut town = town(true).await;
    let good = pair(CLIENT_ID, CLIENT_SECRET);
    let person = town.log_in("a@b.test", BOTH);
    let unknown = "00000000000000000000000000000000.access";
    for (host, fields, want) in [
        (ONLY, good.clone(), 200),
        (ONLY, String::new(), 403),
        (ONLY, pair(CLIENT_ID, WRONG), 401),
        (ONLY, pair(unknown, CLIENT_SECRET), 401),
        (ONLY, format!("CF-Access-Client-Id: {CLIENT_ID}\r\n"), 401),
        (ONLY, format!("CF-Access-Client-Secret: {CLIENT_SECRET}\r\n"), 401),
        (ONLY, format!("{good}{good}"), 401),
        (BOTH, pair(CLIENT_ID, WRONG), 401),
        (BOTH, format!("{}Cookie: CF_Authorization={person}\r\n", pair(CLIENT_ID, WRONG)), 401),
        (BOTH, format!("Cookie: CF_Authorization={person}\r\n"), 200),
        ("people.example.com", good.clone(), 403),
    ] {
        assert_eq!(ask(&town, host, &fields).await, (want, false), "{host} {fields}");
    }
    let records = std::iter::from_fn(|| town.records.try_recv().ok());
    let known: Vec<_> = records.filter(|r| r.reason.contains("Secret is wrong")).collect();
    assert_eq!(known.len(), 3);
    assert!(known.iter().all(|r| r.service_token.as_ref().unwrap().as_str() == CLIENT_ID));
    assert!(known.iter().all(|r| !format!("{r:?}").contains(WRONG)), "i4: no secret in a record");
}

#[tokio::test]
async fn the_origin_sees_the_machine_and_never_its_secret() {
    let town = town(false).await;
    let json = format!(
        r#"{{"cf-access-client-id":"{CLIENT_ID}","cf-access-client-secret":"{CLIENT_SECRET}"}}"#
    );
    let single = format!("Authorization: {json}\r\n");
    for (host, fields) in [(ONLY, pair(CLIENT_ID, CLIENT_SECRET)), (SINGLE, single)] {
        assert_eq!(ask(&town, host, &fields).await, (200, true), "{host}");
        let seen = town.origin.take();
        assert!(!seen[0].head.contains(CLIENT_SECRET), "i4: {}", seen[0].head);
        assert!(seen[0].fields("cf-access-authenticated-user-email").is_empty());
        let jwt = seen[0].fields("cf-access-jwt-assertion")[0];
        assert_eq!(seen[0].fields("cookie"), [format!("CF_Authorization={jwt}")]);
        let token = town.keys.open_app(jwt, &town.app(host).aud, NOW).unwrap();
        let AppToken::Machine(token) = token else { panic!("a machine's") };
        assert_eq!(token.common_name, CLIENT_ID);
    }
    // An ordinary Authorization falls through to the origin where somebody else admits.
    let bearer = "Authorization: Bearer abc\r\n";
    assert_eq!(ask(&town, SINGLE, bearer).await, (403, false));
    let both = format!("{bearer}{}", pair(CLIENT_ID, CLIENT_SECRET));
    assert_eq!(ask(&town, SINGLE, &both).await, (200, true));
    assert_eq!(town.origin.take()[0].fields("authorization"), ["Bearer abc"]);
}

#[tokio::test]
async fn a_minted_token_is_reused_and_dies_with_its_service_token() {
    let mut town = town(false).await;
    let good = pair(CLIENT_ID, CLIENT_SECRET);
    let mut wire = town.wire(BOTH).await;
    for _ in 0..2 {
        assert_eq!(wire.ask(get(BOTH, &good)).await.status, 200);
    }
    let seen = town.origin.take();
    let jwt = seen[0].fields("cf-access-jwt-assertion")[0].to_owned();
    assert_eq!(seen[1].fields("cf-access-jwt-assertion"), [jwt.as_str()]);
    let cookie = format!("Cookie: CF_Authorization={jwt}\r\n");
    assert_eq!(wire.ask(get(BOTH, &cookie)).await.status, 200);
    town.publish(|configuration| {
        let token = configuration.service_tokens.values().next().unwrap().as_ref().clone();
        let off = narthex_model::ServiceToken { enabled: false, ..token };
        configuration.service_tokens.insert(off.id, off.into());
    });
    assert_eq!(wire.ask(get(BOTH, &cookie)).await.status, 302, "disabled");
    assert_eq!(wire.ask(get(BOTH, &good)).await.status, 302);
}
