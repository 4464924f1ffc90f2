//! The example application: shows what it received, and whether the token in it is genuine.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::Clock;
use narthex_snapshot::Live;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Clone)]
struct Example {
    live: Arc<Live>,
    clock: Clock,
}

#[derive(Template)]
#[template(path = "example.html")]
struct Page {
    css: &'static str,
    email: Option<String>,
    verified: bool,
    verdict: String,
    explanation: String,
    claims: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
}

pub(super) fn pages(live: Arc<Live>, clock: Clock) -> Router {
    Router::new().route("/json", any(as_json)).fallback(as_page).with_state(Example { live, clock })
}

/// What the token in the request is worth.
enum Finding {
    Verified(Value),
    Missing,
    Refused(String),
}

impl Example {
    /// Verifies as an application should: signature, issuer and times; here any application of the team is accepted,
    /// because the example does not know its own audience tag.
    fn judge(&self, headers: &HeaderMap) -> Finding {
        let Some(token) = headers.get("cf-access-jwt-assertion") else { return Finding::Missing };
        let Ok(token) = token.to_str() else { return Finding::Refused("not text".to_owned()) };
        match self.live.snapshot.load().keys.open_any_app(token, self.clock.now()) {
            Ok(_) => Finding::Verified(payload(token)),
            Err(why) => Finding::Refused(why.to_string()),
        }
    }
}

/// The claims of a token whose signature has been checked.
fn payload(token: &str) -> Value {
    let bytes = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let text =
        |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

async fn as_page(State(example): State<Example>, request: Request) -> Response {
    let finding = example.judge(request.headers());
    let (verified, verdict, explanation, claims) = match &finding {
        Finding::Verified(claims) => (
            true,
            String::new(),
            "The header Cf-Access-Jwt-Assertion is signed by this gateway and in force. Its claims:".to_owned(),
            serde_json::to_string_pretty(claims).unwrap_or_default(),
        ),
        Finding::Missing => (
            false,
            "No token".to_owned(),
            "The request came without Cf-Access-Jwt-Assertion, as it does under a bypass policy.".to_owned(),
            String::new(),
        ),
        Finding::Refused(why) => (
            false,
            "Token refused".to_owned(),
            format!("A token came and is not genuine: {why}."),
            String::new(),
        ),
    };
    let email = match &finding {
        Finding::Verified(claims) => claims["email"].as_str().map(str::to_owned),
        Finding::Missing | Finding::Refused(_) => None,
    };
    let page = Page {
        css: super::super::DEMO_CSS,
        email,
        verified,
        verdict,
        explanation,
        claims,
        method: request.method().to_string(),
        path: request.uri().to_string(),
        headers: shown(request.headers()),
    };
    match page.render() {
        Ok(html) => ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn as_json(State(example): State<Example>, request: Request) -> Json<Value> {
    let finding = match example.judge(request.headers()) {
        Finding::Verified(claims) => json!({"verified": true, "claims": claims}),
        Finding::Missing => json!({"verified": false, "reason": "no token"}),
        Finding::Refused(why) => json!({"verified": false, "reason": why}),
    };
    Json(json!({
        "token": finding,
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": shown(request.headers()),
    }))
}
