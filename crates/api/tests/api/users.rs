//! People, their sessions, and ending them.

use crate::gateway::{ACCOUNT, Gateway, NOW, STAMP};
use http::Method;
use narthex_model::{
    AccessRecord, Action, AppId, AudTag, Geo, Identity, IdentityNonce, IdpId, IdpReference, RayId,
    Session, User, Verdict,
};
use narthex_store::Revoked;
use narthex_token::MachineToken;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

async fn person(gateway: &Gateway, email: &str) -> User {
    gateway
        .store
        .user_for_login(&email.parse().unwrap(), "Some One", gateway.clock.now())
        .await
        .unwrap()
}

/// Logs a person in as the portal does: the session is kept, and the data path knows it.
async fn login(gateway: &Gateway, user: &User) -> Session {
    let identity = Identity {
        id: "subject".to_owned(),
        name: user.name.clone(),
        email: user.email.clone(),
        amr: vec!["pwd".to_owned()],
        idp: IdpReference { id: IdpId::random(), kind: "oidc".to_owned() },
        geo: Geo::default(),
        user_uuid: user.id,
        account_id: ACCOUNT.parse().unwrap(),
        iat: gateway.clock.now(),
        ip: "192.0.2.9".parse().unwrap(),
        groups: Vec::new(),
        oidc_fields: Map::new(),
        saml_attributes: Map::new(),
        certificate: None,
    };
    let end = gateway.clock.now().plus(86_400);
    let session = Session {
        nonce: IdentityNonce::random(),
        identity,
        expires_at: end,
        tokens_until: end,
        apps: BTreeSet::new(),
    };
    gateway.store.put_session(&session).await.unwrap();
    gateway.live.sessions.insert(session.clone());
    session
}

fn document(user: &User) -> Value {
    json!({
        "id": user.id, "uid": user.id, "seat_uid": user.id, "email": user.email, "name": "Some One", "access_seat": true,
        "gateway_seat": false, "active_device_count": 0, "last_successful_login": STAMP, "created_at": STAMP, "updated_at": STAMP,
    })
}

/// Observed call 10.
#[tokio::test]
async fn users_are_listed_page_by_page() {
    let gateway = Gateway::new().await;
    let mut users = Vec::new();
    for name in ["ann", "bob", "cleo"] {
        users.push(person(&gateway, &format!("{name}@example.com")).await);
    }
    let (status, list) = gateway.get("{A}/access/users?per_page=2&page=2").await;
    assert_eq!(status, 200);
    assert_eq!(
        list["result_info"],
        json!({"page": 2, "per_page": 2, "count": 1, "total_count": 3, "total_pages": 2})
    );
    for (query, count) in [
        ("", 3),
        ("?page=2", 0),
        ("?email=BOB@example.com", 1),
        ("?email=bob", 0),
        ("?search=cle", 1),
        ("?name=some one", 3),
    ] {
        let (_, list) =
            gateway.get(&format!("{{A}}/access/users{}", query.replace(' ', "%20"))).await;
        assert_eq!(list["result"].as_array().unwrap().len(), count, "{query}");
    }
    let path = format!("{{A}}/access/users/{}", users[0].id);
    assert_eq!(gateway.result(Method::GET, &path, "", 200).await, document(&users[0]));
    let unknown = "{A}/access/users/7335d417-61da-459d-899c-0a01c76a2f94";
    for path in [
        "",
        "/active_sessions",
        "/active_sessions/X1aXj1lFVcqqyoXF",
        "/last_seen_identity",
        "/failed_logins",
    ] {
        let got = gateway.refusal(Method::GET, &format!("{unknown}{path}"), "").await;
        assert_eq!((got.0, got.1), (404, 12_135), "{path}");
    }
}

#[tokio::test]
async fn somebody_can_be_expected() {
    let gateway = Gateway::new().await;
    let path = "{A}/access/users";
    let made = gateway
        .result(Method::POST, path, json!({"email": "Ann@Example.com", "name": "Ann"}), 200)
        .await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        made,
        json!({
            "id": id, "uid": id, "seat_uid": id, "email": "ann@example.com", "name": "Ann", "access_seat": false,
            "gateway_seat": false, "active_device_count": 0, "last_successful_login": null,
            "created_at": STAMP, "updated_at": STAMP,
        })
    );
    let one = format!("{path}/{id}");
    assert_eq!(gateway.result(Method::GET, &one, "", 200).await, made);
    let bare = gateway.result(Method::POST, path, json!({"email": "bob@example.com"}), 200).await;
    assert_eq!(bare["name"], "");
    for (body, status, pointer) in [
        (json!({"email": "ANN@example.com", "name": "Other"}), 409, "/email"),
        (json!({"name": "Nobody"}), 400, "/email"),
        (json!({"email": "nobody"}), 400, "/email"),
        (json!({"email": "c@example.com", "name": "two\nlines"}), 400, "/name"),
        (json!({"email": "c@example.com", "name": 7}), 400, "/name"),
    ] {
        let got = gateway.refusal(Method::POST, path, &body).await;
        assert_eq!((got.0, got.3.as_str()), (status, pointer), "{body}: {}", got.2);
    }

    gateway.clock.advance(10);
    let body = json!({"email": "ann@example.com", "name": "Ann Lee"});
    let renamed = gateway.result(Method::PUT, &one, &body, 200).await;
    let updated = "2026-09-21T14:13:30Z";
    assert_eq!((&renamed["name"], &renamed["updated_at"]), (&json!("Ann Lee"), &json!(updated)));
    for (body, pointer) in [
        (json!({"email": "other@example.com", "name": "Ann"}), "/email"),
        (json!({"name": "Ann"}), "/email"),
        (json!({"email": "ann@example.com"}), "/name"),
    ] {
        let got = gateway.refusal(Method::PUT, &one, &body).await;
        assert_eq!((got.0, got.3.as_str()), (400, pointer), "{body}: {}", got.2);
    }
    let unknown = format!("{path}/7335d417-61da-459d-899c-0a01c76a2f94");
    assert_eq!(gateway.refusal(Method::PUT, &unknown, &body).await.0, 404);
    assert_eq!(gateway.result(Method::GET, &one, "", 200).await, renamed);

    let login = person(&gateway, "ann@example.com").await;
    assert_eq!(login.id.to_string(), id, "whoever logs in with the address is the same user");
    let seen = gateway.result(Method::GET, &one, "", 200).await;
    assert_eq!(
        (&seen["access_seat"], &seen["last_successful_login"]),
        (&json!(true), &json!(updated))
    );
    let (_, found) = gateway.get(&format!("{path}?search=LEE")).await;
    assert_eq!(found["result_info"]["total_count"], 0, "the provider's name took its place");

    let audit = gateway.store.recorded_changes(10, 0).await.unwrap();
    let deeds: Vec<_> =
        audit.items.iter().map(|item| item.record.summary["method"].clone()).collect();
    assert_eq!(
        deeds[..3],
        [json!("PUT"), json!("POST"), json!("POST")],
        "who made and changed them"
    );
}

#[tokio::test]
async fn sessions_are_seen_with_their_identity() {
    let gateway = Gateway::new().await;
    let (ann, bob) =
        (person(&gateway, "ann@example.com").await, person(&gateway, "bob@example.com").await);
    let base = format!("{{A}}/access/users/{}", ann.id);
    assert_eq!(
        gateway.result(Method::GET, &format!("{base}/last_seen_identity"), "", 200).await,
        Value::Null
    );
    let session = login(&gateway, &ann).await;
    let nonce = session.nonce.as_str();
    let (iat, end) = (NOW.0, NOW.0 + 90_000);
    let app = json!({"type": "self_hosted", "name": "Wiki", "domain": "wiki.example.com/docs"});
    let app = gateway.result(Method::POST, "{A}/access/apps", app, 201).await;
    let uid = app["id"].as_str().unwrap();
    for (app, until) in [(uid.parse().unwrap(), NOW.plus(90_000)), (AppId::random(), NOW)] {
        let noted = gateway.live.sessions.note_token(&session.nonce, app, until).unwrap();
        gateway.store.put_session(&noted).await.unwrap();
    }
    let apps = json!({uid: {"hostname": "wiki.example.com/docs", "name": "Wiki", "type": "self_hosted", "uid": uid}});
    assert_eq!(
        gateway.result(Method::GET, &format!("{base}/active_sessions"), "", 200).await,
        json!([{"name": nonce, "expiration": end,
                "metadata": {"apps": apps, "expires": end, "iat": iat, "nonce": nonce, "ttl": 90_000}}]),
        "as long as its last token, with the applications that still exist"
    );
    let mut identity = session.identity.to_json([&session]);
    assert_eq!(
        gateway.result(Method::GET, &format!("{base}/last_seen_identity"), "", 200).await,
        identity
    );
    identity["isActive"] = json!(true);
    let one = format!("{base}/active_sessions/{nonce}");
    assert_eq!(gateway.result(Method::GET, &one, "", 200).await, identity);
    let others = format!("{{A}}/access/users/{}/active_sessions/{nonce}", bob.id);
    assert_eq!(gateway.refusal(Method::GET, &others, "").await.0, 404, "not bob's");
    gateway.clock.advance(86_400);
    assert_eq!(
        gateway.result(Method::GET, &one, "", 200).await["isActive"],
        true,
        "a token of it is good for ten minutes more"
    );
    gateway.clock.advance(3_600);
    assert_eq!(
        gateway.result(Method::GET, &format!("{base}/active_sessions"), "", 200).await,
        json!([])
    );
    assert_eq!(gateway.result(Method::GET, &one, "", 200).await["isActive"], false);
}

/// Observed call 11.
#[tokio::test]
async fn revoking_a_person_ends_every_session() {
    let gateway = Gateway::new().await;
    let (ann, bob) =
        (person(&gateway, "ann@example.com").await, person(&gateway, "bob@example.com").await);
    let (first, second, other) =
        (login(&gateway, &ann).await, login(&gateway, &ann).await, login(&gateway, &bob).await);
    let path = "{A}/access/organizations/revoke_user";
    let body = json!({"email": "Ann@example.com", "warp_session_reauth": true});
    let result = gateway.result(Method::POST, &format!("{path}?devices=true"), body, 200).await;
    assert_eq!(result, Value::Bool(true));
    let refused = |session: &Session| gateway.live.revocations.refuses_session(session);
    assert_eq!([refused(&first), refused(&second), refused(&other)], [true, true, false]);
    let listed = format!("{{A}}/access/users/{}/active_sessions", ann.id);
    assert_eq!(gateway.result(Method::GET, &listed, "", 200).await, json!([]));
    assert!(gateway.store.session(&first.nonce).await.unwrap().is_none(), "durable");
    assert!(gateway.store.session(&other.nonce).await.unwrap().is_some());
    let log = gateway.get("{A}/access/logs/access_requests").await.1["result"].take();
    assert_eq!(
        (&log[0]["action"], &log[0]["user_email"]),
        (&json!("revoke"), &json!("ann@example.com"))
    );

    let again = login(&gateway, &ann).await;
    assert!(!refused(&again), "a new login is a new session");
    for (body, status) in [
        (json!({"email": "nobody@example.com"}), 404),
        (json!({}), 400),
        (json!({"email": "x"}), 400),
    ] {
        assert_eq!(gateway.refusal(Method::POST, path, body).await.0, status);
    }
    let by_id = json!({"user_uid": bob.id});
    gateway.result(Method::POST, "{Z}/access/organizations/revoke_user", by_id, 200).await;
    assert!(refused(&other));
}

#[tokio::test]
async fn one_session_can_be_ended_and_the_others_stay() {
    let gateway = Gateway::new().await;
    let (ann, bob) =
        (person(&gateway, "ann@example.com").await, person(&gateway, "bob@example.com").await);
    let (lost, kept) = (login(&gateway, &ann).await, login(&gateway, &ann).await);
    let at = |user: &User, nonce: &IdentityNonce| {
        format!("{{A}}/access/users/{}/active_sessions/{nonce}", user.id)
    };
    let before = gateway.live.revocations.generation();
    for path in [at(&bob, &lost.nonce), at(&ann, &IdentityNonce::random())] {
        assert_eq!(gateway.refusal(Method::DELETE, &path, "").await.0, 404, "{path}");
    }
    assert_eq!(gateway.live.revocations.generation(), before, "nothing was ended");
    let told = gateway.result(Method::GET, &at(&ann, &kept.nonce), "", 200).await;
    assert_eq!(told["device_sessions"].as_object().unwrap().len(), 2);

    let ended = gateway.result(Method::DELETE, &at(&ann, &lost.nonce), "", 200).await;
    assert_eq!(ended, json!({"nonce": lost.nonce}));
    let refused = |session: &Session| gateway.live.revocations.refuses_session(session);
    assert_eq!([refused(&lost), refused(&kept)], [true, false]);
    assert!(gateway.store.session(&lost.nonce).await.unwrap().is_none(), "durable");
    assert_eq!(gateway.refusal(Method::GET, &at(&ann, &lost.nonce), "").await.0, 404);
    let told = gateway.result(Method::GET, &at(&ann, &kept.nonce), "", 200).await;
    let device = kept.device().to_string();
    assert_eq!(told["device_sessions"], json!({device: {"last_authenticated": NOW.0}}));
    let log = gateway.get("{A}/access/logs/access_requests").await.1["result"].take();
    assert_eq!(
        (&log[0]["action"], &log[0]["user_email"]),
        (&json!("revoke"), &json!("ann@example.com"))
    );
}

#[tokio::test]
async fn everything_can_be_revoked_at_once() {
    let gateway = Gateway::new().await;
    let app = json!({"type": "self_hosted", "name": "Wiki", "domain": "wiki.example.com"});
    let app = gateway.result(Method::POST, "{A}/access/apps", app, 201).await;
    let aud: AudTag = app["aud"].as_str().unwrap().parse().unwrap();
    let (ann, bob) =
        (person(&gateway, "ann@example.com").await, person(&gateway, "bob@example.com").await);
    let sessions = [login(&gateway, &ann).await, login(&gateway, &bob).await];
    let machine = |iat| MachineToken {
        aud: aud.clone(),
        common_name: "e367826f93b8d71185e03fe518aff3b4.access".to_owned(),
        iat,
        certificate: None,
        exp: iat.plus(60),
    };
    let revocations = &gateway.live.revocations;
    assert!(!revocations.refuses_machine(&machine(NOW)));
    let path = "{A}/access/organizations/revoke_all";
    assert_eq!(gateway.result(Method::POST, path, "", 200).await, json!({"sessions": 2}));
    for session in &sessions {
        assert!(revocations.refuses_session(session));
        assert!(gateway.store.session(&session.nonce).await.unwrap().is_none(), "durable");
    }
    assert!(revocations.refuses_machine(&machine(NOW)));
    let kept = gateway.store.revocations(NOW).await.unwrap();
    assert!(kept.iter().any(|revocation| revocation.what == Revoked::App(aud.clone())), "durable");
    assert!(!revocations.refuses_session(&login(&gateway, &ann).await), "nobody is locked out");
    assert!(!revocations.refuses_machine(&machine(revocations.issue_time(&aud, NOW))));
    let log = gateway.get("{A}/access/logs/access_requests").await.1["result"].take();
    assert_eq!((&log[0]["action"], log.as_array().unwrap().len()), (&json!("revoke"), 1));
}

/// A disk that takes nothing keeps nobody from being locked out (security A10, R20).
#[tokio::test]
async fn what_cannot_be_written_is_revoked_all_the_same() {
    let mut gateway = Gateway::new().await;
    let ann = person(&gateway, "ann@example.com").await;
    let [first, second] = [login(&gateway, &ann).await, login(&gateway, &ann).await];
    let user = json!({"user_uid": ann.id});
    let one = format!("{{A}}/access/users/{}/active_sessions/{}", ann.id, first.nonce);
    let refused =
        |gateway: &Gateway, session: &Session| gateway.live.revocations.refuses_session(session);
    for (file, table) in [("narthex.db", "revocation"), ("records.db", "access_record")] {
        let refuse = format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no room'); END"
        );
        gateway.tamper(file, &refuse).await;
    }
    let (status, _, message, _) = gateway.refusal(Method::DELETE, &one, "").await;
    assert_eq!(status, 507, "{message}");
    assert!(message.contains("refused by this gateway from now on"), "{message}");
    assert!(message.contains("repeat the call"), "{message}");
    assert_eq!([refused(&gateway, &first), refused(&gateway, &second)], [true, false]);
    let path = "{A}/access/organizations/revoke_user";
    assert_eq!(gateway.refusal(Method::POST, path, user.clone()).await.0, 507);
    assert!(refused(&gateway, &second));
    assert!(gateway.store.session(&second.nonce).await.unwrap().is_some(), "not durable yet");
    gateway.tamper("narthex.db", "DROP TRIGGER refuse").await;
    gateway.revocations.settle().await.unwrap();
    for session in [&first, &second] {
        assert!(gateway.store.session(&session.nonce).await.unwrap().is_none(), "durable");
    }
    assert_eq!(gateway.result(Method::POST, path, user, 200).await, Value::Bool(true));
    let record = gateway.later.try_recv().unwrap();
    assert_eq!(record.user, Some(ann.id), "the record of what was revoked waits for the store");
}

#[tokio::test]
async fn a_deleted_user_is_forgotten_and_logged_out() {
    let gateway = Gateway::new().await;
    let ann = person(&gateway, "ann@example.com").await;
    let session = login(&gateway, &ann).await;
    let path = format!("{{A}}/access/users/{}", ann.id);
    assert_eq!(gateway.result(Method::DELETE, &path, "", 200).await, document(&ann));
    assert_eq!(gateway.refusal(Method::GET, &path, "").await.0, 404);
    assert!(gateway.live.revocations.refuses_session(&session));
    let late = login(&gateway, &ann).await;
    assert!(gateway.live.revocations.refuses_session(&late), "a login under way comes too late");
    assert_ne!(person(&gateway, "ann@example.com").await.id, ann.id, "who comes back is new");
}

#[tokio::test]
async fn failed_logins_are_listed() {
    let gateway = Gateway::new().await;
    let ann = person(&gateway, "ann@example.com").await;
    let ray = RayId::random();
    let failed = AccessRecord {
        app_domain: "a.example.com".to_owned(),
        user_email: Some(ann.email.clone()),
        connection: "oidc".to_owned(),
        ..AccessRecord::new(ray.clone(), NOW, Action::Login, Verdict::Refused, "no policy admits")
    };
    let passed = AccessRecord { verdict: Verdict::Allowed, ..failed.clone() };
    gateway.store.append_records(&[failed, passed]).await.unwrap();
    let path = format!("{{A}}/access/users/{}/failed_logins", ann.id);
    assert_eq!(
        gateway.result(Method::GET, &path, "", 200).await,
        json!([{"expiration": 0, "metadata": {"app_name": null, "aud": null, "datetime": STAMP, "ray_id": ray,
                "reason": "no policy admits", "user_email": "ann@example.com", "user_uuid": ann.id}}])
    );
}

#[tokio::test]
async fn every_failed_login_that_is_kept_stands_on_some_page() {
    let gateway = Gateway::new().await;
    let ann = person(&gateway, "ann@example.com").await;
    let failed = |n: i64| AccessRecord {
        user_email: Some(ann.email.clone()),
        ..AccessRecord::new(RayId::random(), NOW.plus(n), Action::Login, Verdict::Refused, "no")
    };
    let all: Vec<_> = (0..205).map(failed).collect();
    gateway.store.append_records(&all).await.unwrap();
    let path = format!("{{A}}/access/users/{}/failed_logins", ann.id);
    let mut rays = Vec::new();
    for (query, count, info) in [
        (
            "",
            100,
            json!({"page": 1, "per_page": 100, "count": 100, "total_count": 205, "total_pages": 3}),
        ),
        (
            "?page=2",
            100,
            json!({"page": 2, "per_page": 100, "count": 100, "total_count": 205, "total_pages": 3}),
        ),
        (
            "?page=3",
            5,
            json!({"page": 3, "per_page": 100, "count": 5, "total_count": 205, "total_pages": 3}),
        ),
        (
            "?page=4",
            0,
            json!({"page": 4, "per_page": 100, "count": 0, "total_count": 205, "total_pages": 3}),
        ),
    ] {
        let (status, answer) = gateway.get(&format!("{path}{query}")).await;
        assert_eq!((status.as_u16(), &answer["result_info"]), (200, &info), "{query}");
        let listed = answer["result"].as_array().unwrap();
        assert_eq!(listed.len(), count, "{query}");
        rays.extend(listed.iter().map(|one| one["metadata"]["ray_id"].clone()));
    }
    let want: Vec<_> = all.iter().rev().map(|record| json!(record.ray_id)).collect();
    assert_eq!(rays, want, "youngest first, each once");
    let small = gateway.get(&format!("{path}?per_page=7&page=30")).await.1;
    assert_eq!(small["result"].as_array().unwrap().len(), 2);
    assert_eq!(gateway.refusal(Method::GET, &format!("{path}?per_page=0"), "").await.0, 400);
}
