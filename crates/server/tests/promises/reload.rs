//! SIGHUP: a new file in force without a dropped request, or the old one as before.

use crate::daemon::{Daemon, Place};
use crate::origin;
use crate::wire::Wire;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const READ: &str = "read the configuration again";
const KEPT: &str = "kept the running configuration";

fn reload(daemon: &Daemon, outcome: &str, times: usize) -> String {
    daemon.signal("HUP");
    daemon.wait_for(outcome, times)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_reloads_drop_no_request() {
    let quick = origin::quick().await;
    let ingress = |status: usize| {
        format!(
            "[[ingress]]\nhostname = \"wiki.localhost\"\nservice = \"http://{quick}\"\n\
             [[ingress]]\nhostname = \"changing.localhost\"\nservice = \"http_status:{status}\""
        )
    };
    let place = Place::new(&ingress(210));
    let daemon = place.serve();
    place.open_to_all("wiki.localhost").await;
    place.open_to_all("changing.localhost").await;

    let enough = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let mut connection = place.wire().open("wiki.localhost").await.unwrap();
        let (enough, answered) = (enough.clone(), answered.clone());
        loops.spawn(async move {
            while !enough.load(Ordering::Relaxed) {
                let answer = connection.ask("GET", "/", &[], "").await.unwrap();
                assert_eq!((answer.status, answer.text().as_str()), (200, "here"));
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for round in 1..=20 {
        place.write(&place.usual("", &ingress(210 + round)));
        tokio::task::block_in_place(|| reload(&daemon, READ, round));
        let answer = place.wire().get("changing.localhost", "/").await.unwrap();
        assert_eq!(usize::from(answer.status), 210 + round, "in force when it is said");
    }
    enough.store(true, Ordering::Relaxed);
    while let Some(outcome) = loops.join_next().await {
        outcome.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) >= 64);
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_and_certificates_are_taken_up() {
    let place = Place::new("");
    let daemon = place.serve();
    let apps = format!("/accounts/{}/access/apps", place.account().await);
    let app = Place::open_app("wiki.example.test");
    let refused = place.call(crate::daemon::TOKEN, "POST", &apps, &app).await;
    assert_eq!(refused["errors"][0]["code"], 12130, "{refused}");

    let own = rcgen::generate_simple_self_signed(vec!["wiki.example.test".to_owned()]).unwrap();
    std::fs::write(place.file("own.pem"), own.cert.pem()).unwrap();
    std::fs::write(place.file("own.key"), own.signing_key.serialize_pem()).unwrap();
    place.write(&place.usual(
        "",
        "[[zone]]\nname = \"example.test\"\n[[tls.certificate]]\ncert = \"own.pem\"\nkey = \"own.key\"\n\
         [[ingress]]\nhostname = \"wiki.example.test\"\nservice = \"http_status:218\"",
    ));
    reload(&daemon, READ, 1);
    place.api("POST", &apps, &app).await;
    let trusting_it_alone = Wire::trusting(own.cert.pem().as_bytes(), place.https_addr());
    let answer = trusting_it_alone.get("wiki.example.test", "/").await.unwrap();
    assert_eq!(answer.status, 218);
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_up_changes_nothing_and_is_said() {
    let ingress = "[[ingress]]\nhostname = \"wiki.localhost\"\nservice = \"http_status:218\"";
    let place = Place::new(ingress);
    let daemon = place.serve();
    place.open_to_all("wiki.localhost").await;
    let in_force = async || place.wire().get("wiki.localhost", "/").await.unwrap().status;

    place.write(&place.usual("lisetn = 1", "[[zone]]\nname = \"example.test\""));
    let said = reload(&daemon, KEPT, 1);
    assert!(said.contains("unknown field `lisetn`") && said.contains("line 6"), "{said}");
    assert_eq!(in_force().await, 218);

    place.write(&place.usual("", ingress).replace("team.localhost", "login.localhost"));
    let said = reload(&daemon, KEPT, 2);
    assert!(said.contains("[team] domain") && said.contains("restart it"), "{said}");
    assert_eq!(in_force().await, 218);

    let without_zone =
        place.usual("", ingress).replace("name = \"localhost\"", "name = \"example.test\"");
    place.write(&without_zone);
    let said = reload(&daemon, KEPT, 3);
    assert!(said.contains("what the store holds does not fit the new file"), "{said}");
    assert_eq!(in_force().await, 218);

    let account = place.account().await;
    let text = place
        .usual("cores = 7", &ingress.replace("218", "219"))
        .replace(&format!("metrics = \"127.0.0.1:{}\"", place.metrics), "");
    place.write(&format!("{text}\n[account]\nid = \"{}\"\n", "0f".repeat(16)));
    let said = reload(&daemon, READ, 1);
    assert!(
        said.contains("changes of [listen] metrics, [listen] cores, [account] id take effect at the next restart"),
        "{said}"
    );
    assert_eq!(in_force().await, 219, "the rest is in force");
    assert_eq!(place.account().await, account);
    assert_eq!(place.private("/healthz").await.0, 200);
    daemon.stop();

    let daemon = place.serve();
    assert_eq!(place.account().await, "0f".repeat(16));
    assert_eq!(place.api("GET", "/accounts", &Value::Null).await.as_array().unwrap().len(), 1);
    daemon.stop();
}
