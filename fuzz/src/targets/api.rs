//! A call of the administration API by somebody who may do everything: a line `METHOD path?query`, an empty line, a body.
//! `{A}` and `{Z}` in the path are the account and the zone.

use crate::Target;
use crate::gateway::{self, ACCOUNT, Gateway, TOKEN};
use bytes::Bytes;
use http::{Request, StatusCode};
use narthex_model::Configuration;
use narthex_snapshot::Snapshot;
use serde_json::Value;

pub(crate) const TARGET: Target = Target {
    name: "api",
    run,
    words: &[
        "GET ",
        "POST ",
        "PUT ",
        "PATCH ",
        "DELETE ",
        "{A}",
        "{Z}",
        "/access/apps",
        "/access/policies",
        "/access/groups",
        "/access/service_tokens",
        "/access/identity_providers",
        "/access/organizations",
        "/access/users",
        "/access/certificates",
        "/access/keys",
        "/access/logs",
        "name",
        "domain",
        "destinations",
        "type",
        "self_hosted",
        "uri",
        "session_duration",
        "policies",
        "precedence",
        "decision",
        "include",
        "exclude",
        "require",
        "everyone",
        "config",
        "oidc",
        "onetimepin",
        "duration",
        "forever",
        "allowed_idps",
        "cors_headers",
        "33333333-3333-4333-8333-333333333333",
        "44444444-4444-4444-8444-444444444444",
        "55555555-5555-4555-8555-555555555555",
        "wiki.example.com",
        "new.example.com/*",
        "*.example.com",
        "?page=",
        "&per_page=",
        "?name=",
        "-1",
        "18446744073709551616",
        "https://idp.example.net/a",
        "client_id",
        "auth_url",
        "token_url",
        "certs_url",
        "same_site_cookie_attribute",
        "none",
        "lax",
        "24h",
        "-5m",
        "ip",
        "10.0.0.0/8",
        "geo",
        "country_code",
    ],
    rounds: 500,
};

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (line, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let Some((method, path)) = line.trim().split_once(' ') else { return };
    gateway::with(async |gateway| {
        let Some((status, answer)) = call(gateway, method, path, body).await else { return };
        let written = status.is_success() && method != "GET";
        if !written {
            return;
        }
        // What was acknowledged is in the store, and a restart would compile it.
        let standing = gateway.desk.standing();
        let (revision, stored) = gateway.store.load().await.unwrap();
        assert_eq!(revision, standing.revision);
        assert_eq!(shown(stored.clone()), shown(standing.configuration.clone()));
        Snapshot::compile(&gateway.materials, &stored, revision).expect("what stands compiles");

        // What is read can be written back, and nothing changes.
        let (collection, id) = (path.split('?').next().unwrap(), answer["result"]["id"].as_str());
        let Some(id) =
            id.filter(|_| method == "POST" && RETURNABLE.iter().any(|it| collection.ends_with(it)))
        else {
            return;
        };
        let place = format!("{collection}/{id}");
        let (status, read) =
            call(gateway, "GET", &place, "").await.expect("a path that was given out");
        assert_eq!(status, StatusCode::OK, "{read}");
        let (status, put) =
            call(gateway, "PUT", &place, &read["result"].to_string()).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{put}\nof {read}");
        assert_eq!(without_dates(&put["result"]), without_dates(&read["result"]));
    });
}

/// Collections whose objects say all that they were made of.
const RETURNABLE: &[&str] = &["/access/groups", "/access/policies", "/access/apps"];

/// A configuration as text: providers as the API shows them, everything else as it is.
fn shown(mut configuration: Configuration) -> String {
    let providers = std::mem::take(&mut configuration.identity_providers);
    let told: Vec<_> =
        providers.values().map(|it| (it.id, &it.name, it.config.to_json())).collect();
    format!("{configuration:?} {told:?}")
}

fn without_dates(object: &Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove("updated_at");
    object
}

async fn call(
    gateway: &Gateway,
    method: &str,
    path: &str,
    body: &str,
) -> Option<(StatusCode, Value)> {
    let path = path.replace("{A}", &format!("/accounts/{ACCOUNT}"));
    let path = path.replace("{Z}", "/zones/00000000000000000000000000000001");
    let request = Request::builder()
        .method(method)
        .uri(format!("/client/v4{path}"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Bytes::from(body.to_owned()))
        .ok()?;
    let answer = gateway.call(request).await;
    let status = answer.status();
    let shown = String::from_utf8_lossy(answer.body());
    assert!(
        !status.is_server_error() || status == StatusCode::NOT_IMPLEMENTED,
        "{status}: {shown}"
    );
    let envelope: Value = serde_json::from_slice(answer.body()).expect("every answer is JSON");
    assert_eq!(envelope["success"], status.is_success(), "{status}: {shown}");
    let errors = envelope["errors"].as_array().expect("a list of errors");
    assert_eq!(errors.is_empty(), status.is_success(), "{status}: {shown}");
    for error in errors {
        let message = error["message"].as_str().expect("a message");
        assert!(!message.is_empty() && message.len() < 4_096, "{message}");
    }
    Some((status, envelope))
}
