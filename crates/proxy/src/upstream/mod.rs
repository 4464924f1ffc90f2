//! Origins: how a request that was let in gets its answer.
//!
//! One [`Upstreams`] per core; nothing in it is shared with another core. A [`Permit`] is the only key to it. The
//! story of a request is [`Upstreams::send`]; each step is a file: `pool` keeps connections, `connect` opens them,
//! `h1` and `h2` speak over them, `retry` says when to try again, `vigil` keeps the time limits and the leashes,
//! `answer` brings back what the origin says.

mod answer;
mod carrier;
mod connect;
mod error;
mod h1;
mod h2;
mod head;
mod pool;
mod resolve;
mod retry;
mod tls;
mod upload;
mod vigil;

pub(crate) use answer::{Answer, STREAM_IDLE};
pub(crate) use error::UpstreamError;
pub(crate) use h1::Handed;
pub(crate) use vigil::{Cut, Watch};

use crate::body::{ClientBody, ProxyBody};
use crate::leash::Leash;
use crate::permit::Permit;
use crate::target::Target;
use crate::transform::{Hop, Introduction, clean_request};
use crate::upgrade::{self, Ask};
use answer::Arrived;
use carrier::{Carrier, Failed};
use connect::Dialer;
use head::Head;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use narthex_model::{IngressRule, RayId};
use narthex_snapshot::Origin;
use pool::{Goal, Road, Roads};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use upload::Upload;
use vigil::Vigil;

/// Largest head of an answer, in bytes, and its fields.
const HEAD_BYTES: usize = 64 * 1024;
const HEAD_FIELDS: usize = 100;

/// How exactly time limits are kept, but for the one to connect.
const TICK: Duration = Duration::from_secs(1);

/// The connections of one core to all origins.
pub(crate) struct Upstreams {
    roads: Rc<Roads>,
    vigil: Rc<Vigil>,
}

/// A request that was let in: what the origin is told beside the request itself.
struct Outbound<'a> {
    /// Where the origin is.
    rule: &'a IngressRule,
    /// Who asks.
    who: Introduction<'a>,
    /// How the request came.
    hop: Hop<'a>,
    /// The canonical path, and the query as sent.
    path: &'a PathAndQuery,
    /// Whether the client asked for a WebSocket by extended CONNECT (RFC 8441).
    websocket_over_http2: bool,
    /// What ends the exchange before its time.
    leash: Leash,
}

impl Upstreams {
    /// Starts without a connection. Must be called where tasks of this core can be spawned; `revocations` moves
    /// whenever something was revoked.
    pub(crate) fn start(revocations: watch::Receiver<u64>) -> Self {
        Self::with_tick(revocations, TICK)
    }

    fn with_tick(revocations: watch::Receiver<u64>, tick: Duration) -> Self {
        let (roads, vigil) = (Rc::new(Roads::default()), Vigil::new(tick));
        let (theirs, watched) = (Rc::downgrade(&roads), Rc::downgrade(&vigil));
        let ticks = move |time| watched.upgrade().map_or(u32::MAX, |vigil| vigil.ticks(time));
        let sweep = move |now| {
            if let Some(roads) = theirs.upgrade() {
                roads.sweep(now, &ticks);
            }
        };
        tokio::task::spawn_local(Vigil::keep(Rc::downgrade(&vigil), revocations, sweep));
        Self { roads, vigil }
    }

    /// Sends a request that was let in to its origin and brings back the answer's head; the body streams after it.
    ///
    /// Dropping the future, or the answer's body, ends the origin's work too (security rule 17).
    ///
    /// # Errors
    /// [`UpstreamError`] has one variant for each remedy; none of them is an answer of the origin.
    pub(crate) async fn forward(
        &self,
        permit: Permit<'_>,
        origin: &Arc<Origin>,
        request: Request<ClientBody>,
        target: &Target,
        ray: &RayId,
    ) -> Result<Response<ProxyBody>, UpstreamError> {
        let source = permit.source();
        let host = target.authority().to_string();
        let outbound = Outbound {
            rule: &origin.rule,
            who: Introduction {
                token: permit.assertion(),
                email: permit.email(),
                spent: permit.spent(),
            },
            hop: Hop {
                host: &host,
                client: source.ip,
                through: source.through,
                country: source.country,
                ray,
            },
            path: target.path_and_query(),
            websocket_over_http2: target.is_websocket_over_http2(),
            leash: permit.leash(),
        };
        self.send(outbound, request).await
    }

    /// The story of one request on its way to an origin.
    async fn send(
        &self,
        outbound: Outbound<'_>,
        request: Request<ClientBody>,
    ) -> Result<Response<ProxyBody>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        let ask = Ask::of(&mut parts, outbound.websocket_over_http2, body.is_end_stream())?;
        let takes_trailers = head::takes_trailers(&parts.headers);
        clean_request(&mut parts.headers, &outbound.hop, &outbound.who)?;
        let road = self.roads.find(outbound.rule, self.vigil.now())?;
        let host = match &road.host_header {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(outbound.hop.host)
                .map_err(|_| UpstreamError::BadUpgrade("the host cannot stand in a field"))?,
        };
        let head = Head {
            method: parts.method,
            path: outbound.path.clone(),
            host,
            headers: parts.headers,
            takes_trailers,
        };
        let watch = self.vigil.watch(outbound.leash, road.first_byte);
        let ray = outbound.hop.ray;
        match (road.goal(), ask) {
            (Goal::Status(status), _) => Ok(nobody_there(*status, ray)),
            (Goal::Origin(dialer), None) => ask_once(&road, dialer, head, body, watch, ray).await,
            (Goal::Origin(dialer), Some(ask)) => {
                Box::pin(ask_upgrade(&road, dialer, head, ask, watch, ray)).await
            }
        }
    }
}

/// Sends a request over a connection at hand or a new one, and again if that is safe (security rule 18).
async fn ask_once(
    road: &Rc<Road>,
    dialer: &Dialer,
    mut head: Head,
    body: ClientBody,
    watch: Watch,
    ray: &RayId,
) -> Result<Response<ProxyBody>, UpstreamError> {
    let repeatable = retry::is_repeatable(&head.method, !body.is_end_stream());
    let reusable = !answer::request_binds(&head.headers);
    let (mut upload, mut progress) = Upload::new(body, watch.exchange());
    let mut tried = false;
    road.budget.earn();
    loop {
        let at_hand = if tried { None } else { road.carrier_at_hand() };
        let (mut carrier, used_before) = match at_hand {
            Some(carrier) => (carrier, true),
            None => (road.new_carrier(dialer).await?, false),
        };
        let again = (used_before && repeatable).then(|| head.clone());
        match carrier.send(head.onto(&carrier, upload)?, &watch).await {
            Ok(response) => {
                let arrived = Arrived { carrier, road: Rc::clone(road), progress, reusable };
                return answer::pass_on(response, arrived, watch, ray);
            }
            Err(Failed::Unsent(request)) if used_before => {
                (head, upload) = Head::back(*request).ok_or(UpstreamError::Closed(None))?;
            }
            Err(Failed::Unsent(_)) => return Err(UpstreamError::Closed(None)),
            Err(Failed::Lost(error)) => match again {
                Some(same) if retry::was_dropped(&error) && road.budget.spend() => {
                    tried = true;
                    head = same;
                    (upload, progress) = Upload::new(ClientBody::Empty, watch.exchange());
                }
                Some(_) | None => return Err(lost(error, &progress)),
            },
            Err(Failed::Cut(cut)) => {
                carrier.doubt();
                return Err(UpstreamError::of_cut(cut, road.first_byte));
            }
        }
    }
}

/// Sends an upgrade over a connection of its own, which is never reused.
async fn ask_upgrade(
    road: &Rc<Road>,
    dialer: &Dialer,
    mut head: Head,
    ask: Ask,
    watch: Watch,
    ray: &RayId,
) -> Result<Response<ProxyBody>, UpstreamError> {
    ask.write(&mut head.method, &mut head.headers);
    let (upload, progress) = Upload::new(ClientBody::Empty, watch.exchange());
    let mut carrier = Carrier::Line(road.new_line(dialer).await?);
    let request = head.onto(&carrier, upload)?;
    match carrier.send(request, &watch).await {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            h1::check_framing(&response)?;
            let Carrier::Line(line) = carrier else { return Err(UpstreamError::Closed(None)) };
            upgrade::switch(ask, response, line.hand_over(), watch, ray)
        }
        Ok(response) => {
            let reusable = false;
            let arrived = Arrived { carrier, road: Rc::clone(road), progress, reusable };
            upgrade::refused(&ask, answer::pass_on(response, arrived, watch, ray)?)
        }
        Err(Failed::Unsent(_)) => Err(UpstreamError::Closed(None)),
        Err(Failed::Lost(error)) => Err(lost(error, &progress)),
        Err(Failed::Cut(cut)) => Err(UpstreamError::of_cut(cut, road.first_byte)),
    }
}

/// Why there is no answer: what was wrong with the client's body, else what the HTTP library says.
fn lost(error: hyper::Error, progress: &upload::Progress) -> UpstreamError {
    match progress.take_failure() {
        Some(failure) => UpstreamError::RequestBody(failure),
        None => UpstreamError::of_http(error),
    }
}

/// The answer of `http_status:`.
fn nobody_there(status: StatusCode, ray: &RayId) -> Response<ProxyBody> {
    let mut answer = Response::new(ProxyBody::Empty);
    *answer.status_mut() = status;
    crate::transform::clean_answer(answer.headers_mut(), ray);
    answer
}

#[cfg(test)]
mod tests;
