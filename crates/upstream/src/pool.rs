//! The roads of one core: for each origin how to get there, the connections that rest, and the budget of retries.

use crate::carrier::Carrier;
use crate::connect::{Dialer, Speech};
use crate::error::UpstreamError;
use crate::h1::Line;
use crate::h2::Trunks;
use crate::retry::Budget;
use crate::{Patience, Tally};
use hashbrown::HashMap;
use http::{HeaderValue, StatusCode};
use narthex_model::{IngressRule, OriginRequest, OriginService};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Connections that may rest for one origin on one core: more than the streams of a few busy HTTP/2 clients, which
/// come back all at once. One that rests holds some hundred bytes.
const RESTING: usize = 1024;

/// How long a connection may rest: less than the 60 s after which many origins close one.
const REST: Duration = Duration::from_secs(45);

/// How long a road is remembered after it was last used.
const MEMORY: Duration = Duration::from_secs(600);

/// Connections are shared by all rules that lead to the same place in the same way.
#[derive(Clone, PartialEq)]
struct Key {
    service: OriginService,
    request: OriginRequest,
}

/// All roads of one core.
pub(super) struct Roads {
    /// How long connecting may take where a rule does not say.
    connect: Duration,
    tally: Rc<dyn Tally>,
    all: RefCell<Vec<Rc<Road>>>,
    /// Which road an ingress rule of a snapshot takes, by where the rule lies in memory.
    known: RefCell<HashMap<usize, Known>>,
}

struct Known {
    /// As long as it is held, nothing else comes to lie there.
    rule: Weak<IngressRule>,
    road: Rc<Road>,
}

/// The road to one origin.
pub(super) struct Road {
    key: Key,
    /// `Host` for the origin in place of the client's.
    pub(super) host_header: Option<HeaderValue>,
    /// How long the origin may take to begin its answer, if the rule says so.
    first_byte: Option<Duration>,
    /// How often requests may be sent twice.
    pub(super) budget: Budget,
    goal: Goal,
    /// The line that rested last is taken first, so that those not needed grow old and are closed.
    resting: RefCell<Vec<Resting>>,
    trunks: Trunks,
    /// The rule asks for HTTP/2, and the origin has not said that it speaks HTTP/1.1 only.
    wants_http2: Cell<bool>,
    last_used: Cell<u32>,
}

/// Where a road ends.
pub(super) enum Goal {
    /// At an origin.
    Origin(Box<Dialer>),
    /// Nowhere: this is the answer.
    Status(StatusCode),
}

struct Resting {
    line: Line,
    since: u32,
}

impl Roads {
    pub(super) fn new(connect: Duration, tally: Rc<dyn Tally>) -> Self {
        Self { connect, tally, all: RefCell::default(), known: RefCell::default() }
    }

    /// The road that `rule` names, taken in tick `now`.
    ///
    /// # Errors
    /// `Misconfigured` when its `http_host_header` is no header value.
    pub(super) fn find(
        &self,
        rule: &Arc<IngressRule>,
        now: u32,
    ) -> Result<Rc<Road>, UpstreamError> {
        let place = Arc::as_ptr(rule).addr();
        if let Some(known) = self.known.borrow().get(&place) {
            known.road.last_used.set(now);
            return Ok(Rc::clone(&known.road));
        }
        let road = self.of_rule(rule, now)?;
        let known = Known { rule: Arc::downgrade(rule), road: Rc::clone(&road) };
        self.known.borrow_mut().insert(place, known);
        Ok(road)
    }

    fn of_rule(&self, rule: &IngressRule, now: u32) -> Result<Rc<Road>, UpstreamError> {
        let mut all = self.all.borrow_mut();
        let fits = |road: &&Rc<Road>| {
            road.key.service == rule.service && road.key.request == rule.origin_request
        };
        if let Some(road) = all.iter().find(fits) {
            return Ok(Rc::clone(road));
        }
        let road = Rc::new(Road::of(rule, self.connect, &self.tally, now)?);
        all.push(Rc::clone(&road));
        Ok(road)
    }

    /// Closes what has rested too long and forgets roads that nobody takes.
    pub(super) fn sweep(&self, now: u32, ticks: impl Fn(Duration) -> u32) {
        let (rest, memory) = (ticks(REST), ticks(MEMORY));
        self.known.borrow_mut().retain(|_, known| known.rule.strong_count() > 0);
        self.all.borrow_mut().retain(|road| {
            road.sweep(now, rest);
            let unused = now.wrapping_sub(road.last_used.get()) > memory;
            let empty = road.resting.borrow().is_empty() && road.trunks.is_empty();
            !(unused && empty && Rc::strong_count(road) == 1)
        });
    }
}

impl Road {
    fn of(
        rule: &IngressRule,
        connect: Duration,
        tally: &Rc<dyn Tally>,
        now: u32,
    ) -> Result<Self, UpstreamError> {
        let request = &rule.origin_request;
        let host_header = request.http_host_header.as_deref().map(HeaderValue::from_str);
        let host_header = host_header.transpose().map_err(|_| UpstreamError::Misconfigured {
            origin: rule.service.to_string(),
            reason: "http_host_header is not a host".to_owned(),
        })?;
        let limit = request.response_timeout.as_ref().filter(|limit| !limit.is_zero());
        let goal = match Dialer::of(&rule.service, request, connect, Rc::clone(tally)) {
            Some(dialer) => Goal::Origin(Box::new(dialer)),
            None => Goal::Status(match rule.service {
                OriginService::Status(status) => {
                    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
                }
                OriginService::Http { .. }
                | OriginService::Https { .. }
                | OriginService::Unix(_) => StatusCode::BAD_GATEWAY,
            }),
        };
        Ok(Self {
            key: Key { service: rule.service.clone(), request: request.clone() },
            host_header,
            first_byte: limit.map(narthex_model::GoDuration::std),
            budget: Budget::default(),
            goal,
            resting: RefCell::default(),
            trunks: Trunks::default(),
            wants_http2: Cell::new(request.http2_origin),
            last_used: Cell::new(now),
        })
    }

    /// How long the origin may take to begin its answer. A `stream` may begin when there is something to say, unless
    /// the rule has another opinion.
    pub(super) fn first_byte(&self, patience: &Patience, stream: bool) -> Duration {
        self.first_byte.unwrap_or(if stream { patience.stream } else { patience.first_byte })
    }

    /// Where it ends.
    pub(super) fn goal(&self) -> &Goal {
        &self.goal
    }

    /// A connection that was used before and has room for a request.
    pub(super) fn carrier_at_hand(&self) -> Option<Carrier> {
        if self.wants_http2.get() {
            return self.trunks.seat().map(Carrier::Seat);
        }
        let mut resting = self.resting.borrow_mut();
        std::iter::from_fn(|| resting.pop())
            .map(|resting| resting.line)
            .find(Line::is_ready)
            .map(Carrier::Line)
    }

    /// A connection that nobody used before, or a place on a shared one that was just made.
    ///
    /// # Errors
    /// Why the origin cannot be reached.
    pub(super) async fn new_carrier(&self, dialer: &Dialer) -> Result<Carrier, UpstreamError> {
        if !self.wants_http2.get() {
            return self.new_line(dialer).await.map(Carrier::Line);
        }
        let turn = tokio::time::timeout(dialer.timeout(), self.trunks.dialing.lock());
        let _one_at_a_time = turn.await.map_err(|_| dialer.late())?;
        if let Some(seat) = self.trunks.seat() {
            return Ok(Carrier::Seat(seat));
        }
        match dialer.open(Speech::Http2).await? {
            (wire, Speech::Http2) => self.trunks.open(wire).await.map(Carrier::Seat),
            (wire, Speech::Http1) => {
                self.wants_http2.set(false);
                Ok(Carrier::Line(Line::over(wire)))
            }
        }
    }

    /// A new HTTP/1.1 connection, whatever the rule says about HTTP/2: upgrades need one.
    ///
    /// # Errors
    /// Why the origin cannot be reached.
    pub(super) async fn new_line(&self, dialer: &Dialer) -> Result<Line, UpstreamError> {
        let (wire, _) = dialer.open(Speech::Http1).await?;
        Ok(Line::over(wire))
    }

    /// Lets a line rest until another request needs it. The caller vouches for it: the answer was read to its end,
    /// the request was sent to its end, and the connection belongs to nobody.
    pub(super) fn rest(&self, line: Line, now: u32) {
        let mut resting = self.resting.borrow_mut();
        if resting.len() < RESTING {
            resting.push(Resting { line, since: now });
        }
    }

    /// The origin spoke in the gateway's name.
    pub(super) fn warn_of_impostor(&self) {
        let origin = &self.key.service;
        tracing::warn!(%origin, "removed cookies or fields of the gateway's own from an origin's answer");
    }

    fn sweep(&self, now: u32, rest: u32) {
        self.resting.borrow_mut().retain(|resting| {
            let rested = now.wrapping_sub(resting.since);
            let keep = rested <= rest && resting.line.is_ready();
            if keep && rested >= 1 {
                resting.line.slim();
            }
            keep
        });
        self.trunks.sweep(now, rest);
    }
}
