//! The mailbox: mail that the gateway would have sent, as a page.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use narthex_idp::{Outbox, PostedMail};
use std::sync::Arc;

#[derive(Clone)]
struct Mailbox {
    outbox: Arc<Outbox>,
    example: Arc<str>,
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct Page<'a> {
    css: &'static str,
    example: &'a str,
    mails: &'a [PostedMail],
}

pub(super) fn pages(outbox: Arc<Outbox>, example: String) -> Router {
    let mailbox = Mailbox { outbox, example: example.into() };
    Router::new().route("/", get(latest_first)).with_state(mailbox)
}

async fn latest_first(State(mailbox): State<Mailbox>) -> Response {
    let mut mails = mailbox.outbox.list();
    mails.reverse();
    let page = Page { css: super::super::DEMO_CSS, example: &mailbox.example, mails: &mails };
    match page.render() {
        Ok(html) => ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
