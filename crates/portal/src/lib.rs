//! The team domain: login, callback, logout, identity and certs, and the gateway's own paths on application hosts.

mod ask;
mod audit;
mod authorized;
mod browser;
mod callback;
mod certs;
mod design;
mod enter;
mod forms;
mod handoff;
mod holder;
mod identity;
mod journey;
mod launcher;
mod login;
mod logout;
mod mint;
mod pages;
mod partition;
mod pin;
mod redirect;
mod refresh;
mod resubmit;
mod routes;
mod saml;
mod secret;
mod sessions;
mod silent;
mod texts;
mod throttle;
mod trouble;
mod visit;
mod walk;

pub use visit::Visit;

use ask::Ask;
use bytes::Bytes;
use design::Frame;
use http::{HeaderValue, Method, Request, Response, header};
use narthex_idp::Providers;
use narthex_model::{AccessRecord, Clock};
use narthex_snapshot::Live;
use narthex_store::{OwedRevocations, Store};
use saml::RequestKeys;
use silent::SilentHosts;
use std::fmt;
use std::sync::Arc;
use throttle::Throttle;
use tokio::sync::mpsc;

/// What a portal works with.
pub struct Parts {
    /// Configuration, sessions and revocations in force.
    pub live: Arc<Live>,
    /// Where people, sessions and pending logins are kept.
    pub store: Arc<dyn Store>,
    /// The way of revocations to the store.
    pub revocations: Arc<OwedRevocations>,
    /// Identity providers, and the way out for mail.
    pub providers: Providers,
    /// Where access records go; a login waits while the queue is full, so that none goes unrecorded.
    pub records: mpsc::Sender<AccessRecord>,
    /// Where "now" comes from.
    pub clock: Clock,
}

/// Answers what belongs to the gateway itself: one for the process, shared by reference.
pub struct Portal {
    live: Arc<Live>,
    store: Arc<dyn Store>,
    revocations: Arc<OwedRevocations>,
    providers: Providers,
    records: mpsc::Sender<AccessRecord>,
    clock: Clock,
    logins: Throttle,
    silent: SilentHosts,
    forms: forms::Ledger,
    request_key: RequestKeys,
}

impl Portal {
    /// Puts the parts together; nothing is called yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { live, store, revocations, providers, records, clock } = parts;
        let (logins, silent) = (Throttle::of_logins(), SilentHosts::default());
        let (forms, request_key) = (forms::Ledger::default(), RequestKeys::default());
        Self {
            live,
            store,
            revocations,
            providers,
            records,
            clock,
            logins,
            silent,
            forms,
            request_key,
        }
    }

    /// Answers a request to the team domain. Bodies are form posts; the caller bounds them (64 KiB, and 1.25 MiB for
    /// a SAML response).
    /// The answer to `HEAD` has the headers of `GET`, `content-length` among them, and no body.
    pub async fn team(&self, visit: Visit, request: Request<Bytes>) -> Response<Bytes> {
        let snapshot = self.live.snapshot.load_full(); // one view of the world, kept to the end
        let ask = Ask { visit: &visit, now: self.clock.now(), request: &request };
        let answer = self.route_team(&ask, &snapshot).await;
        let answer = answer.unwrap_or_else(|t| t.answer(&ask, &Frame::of_team(&snapshot)));
        finish(answer, request.method())
    }

    /// Answers a request for `/cdn-cgi/access/…` on an application's host, as [`Portal::team`] does.
    pub async fn app_path(&self, visit: Visit, request: Request<Bytes>) -> Response<Bytes> {
        let snapshot = self.live.snapshot.load_full();
        let ask = Ask { visit: &visit, now: self.clock.now(), request: &request };
        let answer = self.route_app(&ask, &snapshot).await;
        let answer = answer.unwrap_or_else(|t| t.answer(&ask, &Frame::of_team(&snapshot)));
        finish(answer, request.method())
    }
}

/// Writes the length, and leaves the body out for `HEAD`.
fn finish(mut answer: Response<Bytes>, method: &Method) -> Response<Bytes> {
    if answer.status() != http::StatusCode::NOT_MODIFIED {
        let length = HeaderValue::from(answer.body().len());
        answer.headers_mut().insert(header::CONTENT_LENGTH, length);
    }
    if *method == Method::HEAD { answer.map(|_| Bytes::new()) } else { answer }
}

impl fmt::Debug for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Portal")
    }
}
