//! Claims of the provider that an administrator chose: in the application's token as far as they fit, in get-identity
//! always, in the global token never (seed 003, access-protocol §5.4).

use crate::browser::Browser;
use crate::house::{House, TEAM};
use crate::provider::Provider;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::io;
use std::sync::{Arc, Mutex};

const IDP: &str = "22222222-2222-4222-8222-222222222222";
const ANN: &str = "ann@example.com";

/// Logs in with these claims; answers the payloads of both tokens as JSON, the length of the application's token, and
/// what get-identity says.
async fn log_in(keeping: &[&str], claims: Value) -> (Value, Value, usize, Value) {
    let provider = Provider::start().await;
    let house = House::with(|plan| {
        plan.provider(provider.keeping(IDP, "Staff login", keeping));
        let at_once = json!({"allowed_idps": [IDP], "auto_redirect_to_identity": true});
        plan.app("instant", &["instant.example.com"], at_once);
    })
    .await;
    let mut browser = Browser::new();
    let url = browser.visit(&house, "instant", "instant.example.com", "/");
    let there = browser.get(&house, &url).await.location().to_owned();
    let onwards = browser.get(&house, &provider.log_in(&there, claims)).await;
    let onwards = onwards.location().to_owned();
    browser.get(&house, &onwards).await;
    let app = browser.cookie("instant.example.com", "CF_Authorization").unwrap();
    let org = browser.cookie(TEAM, "CF_Authorization").unwrap();
    let payload = |jwt: &str| -> Value {
        let payload = jwt.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    let told = (payload(app), payload(org), app.len());
    let at = format!("https://{TEAM}/cdn-cgi/access/get-identity");
    let identity = serde_json::from_str(&browser.get(&house, &at).await.body).unwrap();
    (told.0, told.1, told.2, identity)
}

#[tokio::test]
async fn the_chosen_claims_are_custom_in_the_application_token_alone() {
    let claims = json!({
        "email": ANN, "team": "blue", "site": ["tokyo", "osaka"], "level": 3, "remote": true, "salary": 1_000_000,
    });
    let kept = json!({"team": "blue", "site": ["tokyo", "osaka"], "level": 3, "remote": true});
    let (app, org, _, identity) =
        log_in(&["team", "site", "level", "remote", "absent"], claims).await;
    assert_eq!(app["custom"], kept);
    assert_eq!((&identity["custom"], &identity["oidc_fields"]), (&kept, &kept));
    assert_eq!(org["type"], "org");
    for nowhere in ["custom", "team", "site", "level", "remote"] {
        assert_eq!(org.get(nowhere), None, "the global token holds no {nowhere}");
    }
    for told in [&app, &org, &identity] {
        assert!(!told.to_string().contains("salary"), "not chosen: {told}");
    }
    let (app, _, _, identity) = log_in(&[], json!({"email": ANN, "team": "blue"})).await;
    assert_eq!((app.get("custom"), &identity["custom"]), (None, &json!({})), "nothing was chosen");
}

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_does_not_fit_is_left_out_of_the_token_and_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let written = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();

    let mut claims = Map::new();
    claims.insert("email".to_owned(), json!(ANN));
    let small = json!({"team": "blue", "site": "tokyo"});
    claims.extend(small.as_object().unwrap().clone());
    let (app, _, length, _) = log_in(&["team", "site", "roles"], claims.clone().into()).await;
    assert!(length <= 3_800 && app["custom"] == small, "{length}");
    assert!(!written().contains("did not fit"), "{}", written());

    claims.insert("roles".to_owned(), json!("r".repeat(2_800)));
    let (app, _, length, identity) = log_in(&["team", "site", "roles"], claims.into()).await;
    assert_eq!(app["custom"], small, "the largest goes first");
    assert!(length <= 3_800, "{length}");
    assert_eq!(identity["custom"]["roles"].as_str().unwrap().len(), 2_800, "told in full here");
    let said = written();
    assert!(said.contains("1 claims did not fit into a token; get-identity has them"), "{said}");
    assert!(said.contains(app["aud"][0].as_str().unwrap()), "of which application: {said}");
    assert!(!said.contains("rrrr") && !said.contains("blue"), "and no claim: {said}");
}
