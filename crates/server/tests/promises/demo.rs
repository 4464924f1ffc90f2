//! `narthexd demo`: three addresses, a login, and the same again after a restart.

use crate::browser::Browser;
use crate::daemon::{Daemon, Place, narthexd};
use serde_json::Value;
use std::net::TcpListener;

pub(crate) fn demo(place: &Place) -> Daemon {
    let mut command = narthexd();
    command.arg("demo").arg("--data-dir").arg(place.file("data"));
    for (option, port) in
        [("--https", place.https), ("--http", place.http), ("--metrics", place.metrics)]
    {
        command.arg(option).arg(format!("127.0.0.1:{port}"));
    }
    Daemon::start(command)
}

/// How many applications, policies and identity providers there are, as the API tells the demo's own token.
async fn furniture(place: &Place) -> Vec<usize> {
    let token = std::fs::read_to_string(place.file("data/admin-token")).unwrap();
    let get =
        async |path: String| place.call(&token, "GET", &path, &Value::Null).await["result"].clone();
    let account = get("/accounts".to_owned()).await[0]["id"].as_str().unwrap().to_owned();
    let mut counts = Vec::new();
    for kind in ["apps", "identity_providers"] {
        let list = get(format!("/accounts/{account}/access/{kind}")).await;
        counts.push(list.as_array().unwrap().len());
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_the_demo_survives_a_restart_and_nothing_is_doubled() {
    let place = Place::new("");
    let daemon = demo(&place);
    let said = daemon.wait_for("Ctrl-C stops the demo", 1);
    for name in ["app", "mailbox", "admin"] {
        let address = format!("https://{name}.localhost:{}", place.https);
        assert!(said.contains(&address), "{said}");
        let answer = place.wire().get(&format!("{name}.localhost"), "/").await.unwrap();
        assert!(answer.status < 500, "{address}: {}", answer.status);
    }
    assert_eq!(furniture(&place).await, [2, 1]);

    let mut browser = Browser::new(place.wire());
    let asked = browser.open("app.localhost", "/json").await;
    let sent = browser.send(&asked, "email", "kim@example.com").await;
    let mail = browser.open("mailbox.localhost", "/").await.text;
    let digits = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
    let code =
        mail.split(|c: char| !c.is_ascii_alphanumeric()).find(digits).expect("a code in the mail");
    let entered = browser.send(&sent, "code", code).await;
    let told = |page: &str| serde_json::from_str::<Value>(page).unwrap()["token"].clone();
    let token = told(&entered.text);
    assert_eq!((entered.status, &token["claims"]["email"]), (200, &Value::from("kim@example.com")));
    daemon.stop();

    let daemon = demo(&place);
    daemon.wait_for("Ctrl-C stops the demo", 1);
    let again = browser.open("app.localhost", "/json").await;
    assert_eq!((again.status, told(&again.text)), (200, token), "still logged in");
    let identity = browser.open("team.localhost", "/cdn-cgi/access/get-identity").await;
    assert!(
        identity.status == 200 && identity.text.contains("kim@example.com"),
        "{}",
        identity.text
    );
    assert_eq!(furniture(&place).await, [2, 1], "furnished once");
    daemon.stop();
}

#[test]
fn a_port_in_use_names_the_option() {
    let place = Place::new("");
    for (port, option) in
        [(place.https, "--https"), (place.http, "--http"), (place.metrics, "--metrics")]
    {
        let holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (status, said) = demo(&place).ended();
        drop(holder);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{said}");
        assert!(said.contains(&format!("Choose another port with {option}, ")), "{said}");
    }
}
