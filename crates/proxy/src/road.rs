//! The gate between the decision and the road to an origin: without a [`Permit`] nothing passes it.

use crate::meters::{LaneMeters, Meters};
use crate::permit::Permit;
use crate::settings::Limits;
use crate::target::Target;
use http::{HeaderValue, Request};
use narthex_model::{IngressRule, RayId};
use narthex_upstream::{
    Asking, ClientBody, Hop, Introduction, Outbound, Patience, Tally, UpstreamError, Upstreams,
};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;

/// One core's road to all origins.
pub(crate) struct Road(Upstreams);

impl Road {
    /// Opens the road of the core `lane`. Must be called where tasks of this core can be spawned; `revocations` moves
    /// whenever something was revoked.
    pub(crate) fn open(
        revocations: watch::Receiver<u64>,
        meters: Arc<Meters>,
        lane: usize,
        limits: &Limits,
    ) -> Self {
        let patience = Patience {
            connect: limits.origin_connect,
            recheck: limits.recheck,
            first_byte: limits.origin_first_byte,
            idle: limits.origin_idle,
            stream: limits.stream_idle,
            untaken: limits.write_stall,
        };
        Self(Upstreams::start(revocations, Rc::new(Counted { meters, lane }), patience))
    }

    /// Puts a request that was let in on its way to its origin; [`Asking::answer`] brings back what it says.
    ///
    /// # Errors
    /// [`UpstreamError`], when it cannot be sent as it is.
    pub(crate) fn send<'a>(
        &'a self,
        permit: Permit<'_>,
        origin: &Arc<IngressRule>,
        request: Request<ClientBody>,
        managed: bool,
        target: &Target,
        ray: &'a RayId,
    ) -> Result<Asking<'a>, UpstreamError> {
        let source = permit.source();
        let host = HeaderValue::try_from(target.authority().to_string());
        let outbound = Outbound {
            origin,
            who: Introduction {
                token: permit.assertion(),
                email: permit.email(),
                spent: permit.spent(),
                certified: permit.certified(managed),
            },
            hop: Hop {
                host: &host.expect("a hostname and a port are visible ASCII"),
                client: source.ip,
                through: source.through,
                country: source.country,
            },
            path: target.path_and_query(),
            websocket_over_http2: target.is_websocket_over_http2(),
            leash: permit.leash(),
        };
        self.0.send(outbound, request, ray)
    }
}

/// Where one core counts what happens on its road.
struct Counted {
    meters: Arc<Meters>,
    lane: usize,
}

impl Counted {
    fn lane(&self) -> &LaneMeters {
        self.meters.lane(self.lane)
    }
}

impl Tally for Counted {
    fn retried(&self) {
        self.lane().upstream_retries.add();
    }

    fn impostor(&self) {
        self.lane().impostors.add();
    }

    fn ejected(&self) {
        self.lane().upstream_ejections.add();
    }

    fn returned(&self) {
        self.lane().upstream_returns.add();
    }
}
