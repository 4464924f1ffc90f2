//! The road to an origin: how a request that was let in gets its answer.
//!
//! One [`Upstreams`] per core; nothing in it is shared with another core. Whether a request may go at all was decided
//! before: the data path lends these roads to a permit only. A request goes out by [`Upstreams::send`] and its answer comes by [`Asking::answer`]; each step is
//! a file: `transform` takes out what a client may not claim and writes what the gateway says, `asking` sends it, `pool`
//! keeps connections, `connect` opens them and `ejected` knows where that failed a moment ago, `h1` and `h2` speak over
//! them, `retry` says when to try again, `vigil` keeps the time limits and the leashes, `answer` brings back what the
//! origin says, `upgrade` what becomes of a WebSocket.

mod answer;
mod asking;
mod body;
mod carrier;
mod connect;
mod ejected;
mod error;
mod h1;
mod h2;
mod head;
mod leash;
mod pool;
mod resolve;
mod retry;
mod tls;
mod transform;
mod upgrade;
mod upload;
mod vigil;

pub use answer::{Answer, Early};
pub use asking::Asking;
pub use body::{Arriving, BodyError, ClientBody, MinimumRate, ProxyBody};
pub use carrier::Loss;
pub use error::{Step, UpstreamError};
pub use leash::Leash;
pub use tls::{check_ca_pool, check_client_certificate};
pub use transform::{
    Certified, Hop, Introduction, JudgedCertificate, Loop, clean_request, write_managed,
};
pub use upgrade::{Tunnel, TunnelOffer};
pub use upload::CutOff;
pub use vigil::Cut;

use asking::Given;
use head::Head;
use http::Request;
use http::uri::PathAndQuery;
use http_body::Body as _;
use narthex_http1::{HEAD_BYTES, HEAD_FIELDS};
use narthex_model::{IngressRule, RayId};
use pool::Roads;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use upgrade::Ask;
use vigil::Vigil;

/// How exactly time limits are kept, but for the one to connect.
const TICK: Duration = Duration::from_secs(1);

/// The connections of one core to all origins.
pub struct Upstreams {
    roads: Rc<Roads>,
    vigil: Rc<Vigil>,
    tally: Rc<dyn Tally>,
    patience: Patience,
}

/// How long origins are waited for.
#[derive(Clone, Copy)]
pub struct Patience {
    /// For a connection, TLS included, where the ingress rule does not say.
    pub connect: Duration,
    /// After this time callers are asked about again even when nothing was revoked, for sessions that end by the clock.
    pub recheck: Duration,
    /// From the last byte of the request to the first of the answer.
    pub first_byte: Duration,
    /// Within an answer.
    pub idle: Duration,
    /// Within a stream that may be silent for long.
    pub stream: Duration,
    /// For a client of such a stream to take what is there.
    pub untaken: Duration,
}

/// Where one core counts what happens on the roads.
pub trait Tally {
    /// A request was sent a second time.
    fn retried(&self);
    /// An origin spoke in the gateway's name, and that was removed.
    fn impostor(&self);
    /// An address of an origin did not answer and is passed over from now on.
    fn ejected(&self);
    /// An address that was passed over answered again.
    fn returned(&self);
}

/// A request that was let in: what the origin is told beside the request itself.
pub struct Outbound<'a> {
    /// Where it goes.
    pub origin: &'a Arc<IngressRule>,
    /// Who asks.
    pub who: Introduction<'a>,
    /// How the request came.
    pub hop: Hop<'a>,
    /// The canonical path, and the query as sent.
    pub path: &'a PathAndQuery,
    /// Whether the client asked for a WebSocket by extended CONNECT (RFC 8441).
    pub websocket_over_http2: bool,
    /// What ends the exchange before its time.
    pub leash: Leash,
}

impl Upstreams {
    /// Starts without a connection. Must be called where tasks of this core can be spawned; `revocations` moves
    /// whenever something was revoked.
    #[must_use]
    pub fn start(
        revocations: watch::Receiver<u64>,
        tally: Rc<dyn Tally>,
        patience: Patience,
    ) -> Self {
        Self::with_tick(revocations, tally, patience, TICK)
    }

    fn with_tick(
        revocations: watch::Receiver<u64>,
        tally: Rc<dyn Tally>,
        patience: Patience,
        tick: Duration,
    ) -> Self {
        let (roads, vigil) = (
            Rc::new(Roads::new(patience.connect, Rc::clone(&tally))),
            Vigil::new(tick, patience.recheck),
        );
        let (theirs, watched) = (Rc::downgrade(&roads), Rc::downgrade(&vigil));
        let ticks = move |time| watched.upgrade().map_or(u32::MAX, |vigil| vigil.ticks(time));
        let sweep = move |now| {
            if let Some(roads) = theirs.upgrade() {
                roads.sweep(now, &ticks);
            }
        };
        tokio::task::spawn_local(Vigil::keep(Rc::downgrade(&vigil), revocations, sweep));
        Self { roads, vigil, tally, patience }
    }

    /// Puts a request on its way to its origin: what the origin is told is written here, and [`Asking::answer`] waits for
    /// what comes back.
    ///
    /// # Errors
    /// [`UpstreamError`], when it cannot be sent as it is.
    pub fn send<'a>(
        &'a self,
        outbound: Outbound<'_>,
        request: Request<ClientBody>,
        ray: &'a RayId,
    ) -> Result<Asking<'a>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        let ask = Ask::of(&mut parts, outbound.websocket_over_http2, body.is_end_stream())?;
        let is_stream = answer::is_stream(&parts.headers);
        let body = if is_stream { body.unhurried() } else { body };
        let takes_trailers = head::takes_trailers(&parts.headers);
        clean_request(&mut parts.headers, &outbound.hop, &outbound.who, ray)?;
        let road = self.roads.find(outbound.origin, self.vigil.now())?;
        let head = Head {
            method: parts.method,
            path: outbound.path.clone(),
            host: road.host_header.as_ref().unwrap_or(outbound.hop.host).clone(),
            headers: parts.headers,
            takes_trailers,
        };
        let first_byte = road.first_byte(&self.patience, is_stream);
        let watch = Some(self.vigil.watch(outbound.leash, first_byte));
        let given = Given { ray, tally: &*self.tally, patience: self.patience };
        Ok(Asking { road, head, body, upgrade: ask.map(Box::new), watch, first_byte, given })
    }
}

#[cfg(test)]
mod tests;
