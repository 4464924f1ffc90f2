//! Asking one origin: over a connection at hand or a new one, and a second time where that is safe.

use crate::answer::{self, Arrived};
use crate::body::{ClientBody, ProxyBody};
use crate::carrier::{Carrier, Failed, Loss};
use crate::connect::Dialer;
use crate::error::UpstreamError;
use crate::head::Head;
use crate::pool::Road;
use crate::retry;
use crate::upgrade::{self, Ask};
use crate::upload::{Progress, Upload};
use crate::vigil::{Cut, Watch};
use crate::{Patience, Tally};
use http::{Response, StatusCode};
use http_body::Body as _;
use narthex_model::RayId;
use std::rc::Rc;
use std::time::Duration;

/// A request that is about to be sent.
pub(super) struct Asking<'a> {
    pub(super) road: &'a Rc<Road>,
    pub(super) dialer: &'a Dialer,
    pub(super) watch: Watch,
    /// How long the answer may take to begin.
    pub(super) first_byte: Duration,
    pub(super) given: Given<'a>,
}

/// What stays the same for a request, whatever becomes of it.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) ray: &'a RayId,
    pub(super) tally: &'a dyn Tally,
    pub(super) patience: Patience,
}

impl Asking<'_> {
    /// Sends a request and brings back the answer.
    ///
    /// A connection that turns out to be closed before anything was sent is passed over. A request that was sent and
    /// lost is sent again once, if that is safe (security rule 18).
    pub(super) async fn for_an_answer(
        self,
        head: Head,
        body: ClientBody,
    ) -> Result<Response<ProxyBody>, UpstreamError> {
        let repeatable = retry::is_repeatable(&head.method, !body.is_end_stream());
        let reusable = !answer::request_binds(&head.headers);
        let (mut upload, mut progress) = Upload::new(body, self.watch.exchange());
        let mut tried = false;
        self.road.budget.earn();
        loop {
            let at_hand = if tried { None } else { self.road.carrier_at_hand() };
            let used_before = at_hand.is_some();
            let mut carrier = match at_hand {
                Some(carrier) => carrier,
                None => self.road.new_carrier(self.dialer).await?,
            };
            match carrier.send(&head, upload, &self.watch).await {
                Ok(response) => {
                    let road = Rc::clone(self.road);
                    let arrived = Arrived { carrier, road, reusable };
                    return answer::pass_on(response, arrived, self.watch, self.given);
                }
                Err(Failed::Unsent(body)) if used_before => upload = body,
                Err(Failed::Unsent(_)) => return Err(UpstreamError::Closed(None)),
                Err(Failed::Lost(loss)) => {
                    let harmless = used_before && repeatable && retry::was_dropped(&loss);
                    if !harmless || !self.road.budget.spend() {
                        drop(carrier);
                        return Err(lost(loss, &progress).await);
                    }
                    carrier.doubt();
                    self.given.tally.retried();
                    tried = true;
                    (upload, progress) = Upload::new(ClientBody::Empty, self.watch.exchange());
                }
                Err(Failed::Impossible(error)) => return Err(error),
                Err(Failed::Cut(cut)) => return Err(self.given_up(&carrier, cut)),
            }
        }
    }

    /// Sends the wish to upgrade, over a connection of its own that is never used again.
    pub(super) async fn for_an_upgrade(
        self,
        mut head: Head,
        ask: Ask,
    ) -> Result<Response<ProxyBody>, UpstreamError> {
        ask.write(&mut head.method, &mut head.headers);
        let (upload, progress) = Upload::new(ClientBody::Empty, self.watch.exchange());
        let mut carrier = Carrier::Line(self.road.new_line(self.dialer).await?);
        match carrier.send(&head, upload, &self.watch).await {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let Carrier::Line(line) = carrier else { return Err(UpstreamError::Closed(None)) };
                let origin = line.upgraded().ok_or(UpstreamError::Closed(None))?;
                let Given { ray, patience, .. } = self.given;
                upgrade::switch(ask, response.headers(), origin, self.watch, (ray, patience))
            }
            Ok(response) => {
                let road = Rc::clone(self.road);
                let arrived = Arrived { carrier, road, reusable: false };
                let passed = answer::pass_on(response, arrived, self.watch, self.given)?;
                upgrade::refused(&ask, passed)
            }
            Err(Failed::Unsent(_)) => Err(UpstreamError::Closed(None)),
            Err(Failed::Lost(loss)) => Err(lost(loss, &progress).await),
            Err(Failed::Impossible(error)) => Err(error),
            Err(Failed::Cut(cut)) => Err(self.given_up(&carrier, cut)),
        }
    }

    /// The exchange was ended before the answer began. One that is never answered puts its connection in doubt; one
    /// that nobody wants any more does not.
    fn given_up(&self, carrier: &Carrier, cut: Cut) -> UpstreamError {
        match cut {
            Cut::Idle => carrier.doubt(),
            Cut::Revoked | Cut::Gone => {}
        }
        UpstreamError::of_cut(cut, self.first_byte)
    }
}

/// Why there is no answer: what was wrong with the client's body, else what happened to the connection.
async fn lost(loss: Loss, progress: &Progress) -> UpstreamError {
    let Some(failure) = progress.take_failure() else { return UpstreamError::of_loss(loss) };
    // The client's connection closes with its answer only if it has seen before that nobody reads the body any more.
    tokio::task::yield_now().await;
    UpstreamError::RequestBody(failure)
}
