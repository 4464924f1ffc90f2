//! Asking one origin: over a connection at hand or a new one, and a second time where that is safe.

use crate::answer::{self, Arrived};
use crate::body::{ClientBody, ProxyBody};
use crate::carrier::{Carrier, Failed, Loss};
use crate::connect::Dialer;
use crate::error::UpstreamError;
use crate::head::Head;
use crate::pool::{Goal, Road};
use crate::retry;
use crate::transform::clean_answer;
use crate::upgrade::{self, Ask};
use crate::upload::{Progress, Upload};
use crate::vigil::{Cut, Watch};
use crate::{Patience, Tally};
use http::{Response, StatusCode};
use http_body::Body as _;
use narthex_model::RayId;
use std::rc::Rc;
use std::time::Duration;

/// A request on its way to its origin, and what is waited for. It lies still in the one place where it was made: what
/// waits for it borrows it, so that the futures of a request stay small.
///
/// Dropping it ends the origin's work (security rule 17).
pub struct Asking<'a> {
    pub(super) road: Rc<Road>,
    pub(super) head: Head,
    pub(super) body: ClientBody,
    /// The upgrade that the client asks for.
    pub(super) upgrade: Option<Box<Ask>>,
    /// Taken by the answer.
    pub(super) watch: Option<Watch>,
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
    /// Sends the request and brings back the answer's head; the body streams after it. Asked again, it knows of none.
    ///
    /// # Errors
    /// [`UpstreamError`] has one variant for each remedy; none of them is an answer of the origin.
    pub async fn answer(&mut self) -> Result<Response<ProxyBody>, UpstreamError> {
        let watch = self.watch.take().ok_or(UpstreamError::Closed(None))?;
        let road = Rc::clone(&self.road);
        match (road.goal(), self.upgrade.take()) {
            (Goal::Status(status), _) => Ok(nobody_there(*status, self.given.ray)),
            (Goal::Origin(dialer), None) => self.for_an_answer(dialer, watch).await,
            (Goal::Origin(dialer), Some(ask)) => {
                Box::pin(self.for_an_upgrade(dialer, watch, *ask)).await
            }
        }
    }

    /// A connection that turns out to be closed before anything was sent is passed over. A request that was sent and
    /// lost is sent again once, if that is safe (security rule 18).
    async fn for_an_answer(
        &mut self,
        dialer: &Dialer,
        watch: Watch,
    ) -> Result<Response<ProxyBody>, UpstreamError> {
        let body = std::mem::replace(&mut self.body, ClientBody::Empty);
        let repeatable = retry::is_repeatable(&self.head.method, !body.is_end_stream());
        let reusable = !answer::request_binds(&self.head.headers);
        let mut progress = Rc::default();
        let mut upload = Some(Upload::new(body, &progress, watch.exchange()));
        let mut tried = false;
        self.road.budget.earn();
        loop {
            let at_hand = if tried { None } else { self.road.carrier_at_hand() };
            let used_before = at_hand.is_some();
            let mut carrier = match at_hand {
                Some(carrier) => carrier,
                None => Box::pin(self.road.new_carrier(dialer)).await?, // rare, and large
            };
            match carrier.send(&self.head, &mut upload, &watch).await {
                Ok(response) => {
                    let road = Rc::clone(&self.road);
                    let arrived = Arrived { carrier, road, reusable };
                    return answer::pass_on(response, arrived, watch, self.given);
                }
                Err(Failed::Unsent) if used_before => {}
                Err(Failed::Unsent) => return Err(UpstreamError::Closed(None)),
                Err(Failed::Lost(loss)) => {
                    let harmless = used_before && repeatable && retry::was_dropped(&loss);
                    if !harmless || !self.road.budget.spend() {
                        drop(carrier);
                        return Err(Box::pin(lost(loss, &progress)).await);
                    }
                    carrier.doubt();
                    self.given.tally.retried();
                    tried = true;
                    progress = Rc::default();
                    upload = Some(Upload::new(ClientBody::Empty, &progress, watch.exchange()));
                }
                Err(Failed::Impossible(error)) => return Err(error),
                Err(Failed::Cut(cut)) => return Err(self.given_up(&carrier, cut)),
            }
        }
    }

    /// Sends the wish to upgrade, over a connection of its own that is never used again.
    async fn for_an_upgrade(
        &mut self,
        dialer: &Dialer,
        watch: Watch,
        ask: Ask,
    ) -> Result<Response<ProxyBody>, UpstreamError> {
        ask.write(&mut self.head.method, &mut self.head.headers);
        let progress = Rc::default();
        let mut upload = Some(Upload::new(ClientBody::Empty, &progress, watch.exchange()));
        let mut carrier = Carrier::Line(self.road.new_line(dialer).await?);
        match carrier.send(&self.head, &mut upload, &watch).await {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let Carrier::Line(line) = carrier else { return Err(UpstreamError::Closed(None)) };
                let origin = line.upgraded().ok_or(UpstreamError::Closed(None))?;
                let Given { ray, patience, .. } = self.given;
                upgrade::switch(ask, response.headers(), origin, watch, (ray, patience))
            }
            Ok(response) => {
                let road = Rc::clone(&self.road);
                let arrived = Arrived { carrier, road, reusable: false };
                let passed = answer::pass_on(response, arrived, watch, self.given)?;
                upgrade::refused(&ask, passed)
            }
            Err(Failed::Unsent) => Err(UpstreamError::Closed(None)),
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

/// The answer of `http_status:`.
fn nobody_there(status: StatusCode, ray: &RayId) -> Response<ProxyBody> {
    let mut answer = Response::new(ProxyBody::Empty);
    *answer.status_mut() = status;
    clean_answer(answer.headers_mut(), ray);
    answer
}
