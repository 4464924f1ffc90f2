//! What survives a restart, and what may be done beside a running gateway.

use crate::browser::Browser;
use crate::daemon::{Daemon, Place};
use crate::demo::demo;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_tokens_survive_and_a_new_token_works_at_once() {
    let place = Place::new("");
    let daemon = place.serve();
    let made = place.run(&["admin", "token", "create", "--config", "narthex.toml", "--name", "ci"]);
    let note = String::from_utf8(made.stderr).unwrap();
    assert!(made.status.success(), "{note}");
    assert!(note.contains("\"ci\"") && note.contains("shown this once"), "{note}");
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert!(!note.contains(&token));

    let verify =
        async |token: &str| place.call(token, "GET", "/user/tokens/verify", &Value::Null).await;
    let first = verify(&token).await;
    assert_eq!(first["result"]["status"], "active", "{first}");
    assert_eq!(verify("another").await["success"], false);
    let account = place.account().await;
    let organization = format!("/accounts/{account}/access/organizations");
    let before = place.api("GET", &organization, &Value::Null).await;
    let certs = async || place.wire().get("team.localhost", "/cdn-cgi/access/certs").await.unwrap();
    let keys = certs().await.text();
    assert!(keys.contains("\"kid\""), "{keys}");
    let said = daemon.stop();
    assert!(!said.contains(&token), "{said}");

    let daemon = place.serve();
    assert_eq!(verify(&token).await, first);
    assert_eq!(place.account().await, account);
    assert_eq!(place.api("GET", &organization, &Value::Null).await, before);
    assert_eq!(certs().await.text(), keys);
    daemon.stop();
}

#[test]
fn a_token_can_be_made_before_the_first_start() {
    let place = Place::new("");
    let made =
        place.run(&["admin", "token", "create", "--config", "narthex.toml", "--name", "first"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(made.stdout.len(), 65, "64 digits and the end of the line");
    place.serve().stop();
}

#[test]
fn the_master_key_may_come_from_the_environment() {
    let place = Place::new("[store]\nmaster_key = { env = \"NARTHEX_TEST_MASTER_KEY\" }");
    let serve = |key: &str| {
        let mut command = place.serving();
        command.env("NARTHEX_TEST_MASTER_KEY", key);
        Daemon::start(command)
    };
    let key = "5a".repeat(32);
    let daemon = serve(&key);
    daemon.wait_for("serving https", 1);
    daemon.stop();
    assert!(!place.file("data/master.key").exists(), "the key is not on the disk");
    // The start of an RSA private key in PKCS #8 (RFC 5208): version 0, rsaEncryption.
    let rsa = [2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1];
    let files =
        ["data/narthex.db", "data/narthex.db-wal"].map(|name| std::fs::read(place.file(name)));
    let held = files.into_iter().flatten().collect::<Vec<_>>().concat();
    assert!(held.windows(9).any(|at| at == b"BEGIN CER"), "the signing keys are here");
    assert!(!held.windows(rsa.len()).any(|at| at == rsa), "and sealed");
    let (status, said) = serve(&"5b".repeat(32)).ended();
    assert!(!status.success() && said.contains("was sealed by another master key"), "{said}");
    let daemon = serve(&key);
    daemon.wait_for("serving https", 1);
    let said = daemon.stop();
    assert!(!said.contains(&key), "{said}");
}

/// People of the demo: they log in by a code from its mailbox.
struct Demo<'a> {
    place: &'a Place,
    token: String,
    access: String,
}

impl Demo<'_> {
    async fn api(&self, method: &str, path: &str, body: Value) -> Value {
        let path = format!("{}{path}", self.access);
        let answer = self.place.call(&self.token, method, &path, &body).await;
        assert_eq!(answer["success"], true, "{method} {path}: {answer}");
        answer["result"].clone()
    }

    async fn log_in(&self, email: &str) -> Browser {
        let mut browser = Browser::new(self.place.wire());
        let asked = browser.open("app.localhost", "/json").await;
        let sent = browser.send(&asked, "email", email).await;
        let mailbox = browser.open("mailbox.localhost", "/").await.text;
        let (_, mail) = mailbox.split_once(email).expect("a mail to that address");
        let digits = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
        let code = mail.split(|c: char| !c.is_ascii_alphanumeric()).find(digits).expect("a code");
        let entered = browser.send(&sent, "code", code).await;
        assert_eq!(claims(&entered.text)["email"], email);
        browser
    }

    async fn sessions(&self, user: &Value) -> Vec<Value> {
        let path = format!("/users/{}/active_sessions", user.as_str().unwrap());
        self.api("GET", &path, Value::Null).await.as_array().unwrap().clone()
    }
}

fn claims(page: &str) -> Value {
    serde_json::from_str::<Value>(page)
        .map(|told| told["token"]["claims"].clone())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sessions_revocations_and_last_uses_survive() {
    let place = Place::new("");
    let daemon = demo(&place);
    daemon.wait_for("Ctrl-C stops the demo", 1);
    let token = std::fs::read_to_string(place.file("data/admin-token")).unwrap();
    let accounts = place.call(&token, "GET", "/accounts", &Value::Null).await;
    let account = accounts["result"][0]["id"].as_str().unwrap().to_owned();
    let it = Demo { place: &place, token, access: format!("/accounts/{account}/access") };

    let ann = it.api("POST", "/users", json!({"email": "ann@example.com", "name": "Ann"})).await;
    let mut kept = it.log_in("kim@example.com").await;
    let page = kept.open("app.localhost", "/json").await.text;
    let kim = claims(&page)["sub"].clone();
    let mut lost = it.log_in("kim@example.com").await;
    let lost_nonce =
        claims(&lost.open("app.localhost", "/json").await.text)["identity_nonce"].clone();
    let mut lee = it.log_in("lee@example.com").await;
    let lee_id = claims(&lee.open("app.localhost", "/json").await.text)["sub"].clone();

    let robot = it.api("POST", "/service_tokens", json!({"name": "robot"})).await;
    let apps = it.api("GET", "/apps?name=Example%20application", Value::Null).await;
    let policies = format!("/apps/{}/policies", apps[0]["id"].as_str().unwrap());
    let machines = json!({"name": "machines", "decision": "non_identity", "precedence": 2,
        "include": [{"any_valid_service_token": {}}]});
    it.api("POST", &policies, machines).await;
    let (id, secret) =
        (robot["client_id"].as_str().unwrap(), robot["client_secret"].as_str().unwrap());
    let pair = [("cf-access-client-id", id), ("cf-access-client-secret", secret)];
    let mut wire = place.wire().open("app.localhost").await.unwrap();
    assert_eq!(wire.ask("GET", "/json", &pair, "").await.unwrap().status, 200);

    let path = format!(
        "/users/{}/active_sessions/{}",
        kim.as_str().unwrap(),
        lost_nonce.as_str().unwrap()
    );
    it.api("DELETE", &path, Value::Null).await;
    it.api("POST", "/organizations/revoke_user", json!({"email": "lee@example.com"})).await;
    it.api("PUT", "/keys", json!({"key_rotation_interval_days": 30})).await;
    it.api("POST", "/keys/rotate", Value::Null).await;
    let certs =
        async || place.wire().get("team.localhost", "/cdn-cgi/access/certs").await.unwrap().text();
    let users = async || it.api("GET", "/users", Value::Null).await;
    let before = (
        certs().await,
        users().await,
        it.sessions(&kim).await,
        it.api("GET", "/keys", Value::Null).await,
    );
    assert_eq!(before.2.len(), 1, "one of two was ended");
    drop(wire);
    daemon.stop();

    let daemon = demo(&place);
    daemon.wait_for("Ctrl-C stops the demo", 1);
    let after = (
        certs().await,
        users().await,
        it.sessions(&kim).await,
        it.api("GET", "/keys", Value::Null).await,
    );
    assert_eq!(after, before);
    assert_eq!(
        claims(&kept.open("app.localhost", "/json").await.text)["sub"],
        kim,
        "still logged in"
    );
    for (who, browser) in [("whose session was ended", &mut lost), ("who was revoked", &mut lee)] {
        let page = browser.open("app.localhost", "/json").await;
        assert!(
            page.text.contains("name=\"email\""),
            "somebody {who} is asked again: {}",
            page.text
        );
    }
    assert_eq!(it.sessions(&lee_id).await, [] as [Value; 0]);
    let mut again = it.log_in("lee@example.com").await;
    assert_eq!(claims(&again.open("app.localhost", "/json").await.text)["sub"], lee_id);
    let expected = it.log_in("ann@example.com").await.open("app.localhost", "/json").await.text;
    assert_eq!(claims(&expected)["sub"], ann["id"]);
    let seen = it
        .api("GET", &format!("/service_tokens/{}", robot["id"].as_str().unwrap()), Value::Null)
        .await;
    assert!(seen["last_seen_at"].is_string(), "folded when the gateway stopped: {seen}");
    daemon.stop();
}
