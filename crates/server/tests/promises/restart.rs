//! What survives a restart, and what may be done beside a running gateway. Sessions: see `demo`.

use crate::daemon::Place;
use serde_json::Value;

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
