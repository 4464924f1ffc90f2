//! The team domain: login, callback, logout, identity and certs, and the gateway's own paths on application hosts.

#![expect(
    clippy::unimplemented,
    clippy::unused_async,
    reason = "the interface first, the bodies follow"
)]

mod visit;

pub use visit::Visit;

use bytes::Bytes;
use narthex_idp::Providers;
use narthex_model::{AccessRecord, Clock};
use narthex_snapshot::Live;
use narthex_store::Store;
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a portal works with.
pub struct Parts {
    /// Configuration, sessions and revocations in force.
    pub live: Arc<Live>,
    /// Where people, sessions and pending logins are kept.
    pub store: Arc<dyn Store>,
    /// Identity providers, and the way out for mail.
    pub providers: Providers,
    /// Where access records go; a login waits while the queue is full, so that none goes unrecorded.
    pub records: mpsc::Sender<AccessRecord>,
    /// Where "now" comes from.
    pub clock: Clock,
}

/// Answers what belongs to the gateway itself: one for the process, shared by reference.
pub struct Portal {
    parts: Parts,
}

impl Portal {
    /// Puts the parts together; nothing is called yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Answers a request to the team domain. Bodies are form posts; the caller bounds them (64 KiB).
    /// The answer to `HEAD` has the headers of `GET`, `content-length` among them, and no body.
    pub async fn team(&self, visit: Visit, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let _ = (visit, request);
        unimplemented!()
    }

    /// Answers a request for `/cdn-cgi/access/…` on an application's host.
    pub async fn app_path(
        &self,
        visit: Visit,
        request: http::Request<Bytes>,
    ) -> http::Response<Bytes> {
        let _ = (visit, request);
        unimplemented!()
    }
}

impl fmt::Debug for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = &self.parts;
        f.write_str("Portal")
    }
}
