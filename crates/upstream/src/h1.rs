//! One HTTP/1.1 connection to an origin.
//!
//! A [`Line`] carries one request at a time. A line that is dropped is closed; only [`super::pool`] keeps one for
//! another request.

use crate::connect::Wire;
use crate::head::Head;
use crate::upload::{CutOff, Upload};
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use narthex_http1::{Connection, Fault, RequestHead, Upgraded};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A connection that is not in use by anybody else.
pub(super) struct Line(Rc<RefCell<Connection<Wire, Upload>>>);

impl Line {
    /// Speaks HTTP/1.1 over `wire`.
    pub(super) fn over(wire: Wire) -> Self {
        Self(Rc::new(RefCell::new(Connection::new(wire))))
    }

    /// Whether another request may be sent right now.
    pub(super) fn is_ready(&self) -> bool {
        self.0.borrow_mut().is_ready()
    }

    /// Gives back memory that a connection needs only while it is used.
    pub(super) fn slim(&self) {
        self.0.borrow_mut().slim();
    }

    /// Begins an exchange.
    pub(super) fn begin(&self, head: &Head, body: Upload) {
        let Head { method, path: target, host, headers, takes_trailers: _ } = head;
        self.0.borrow_mut().begin(&RequestHead { method, target, host, headers }, body);
    }

    /// The head of the answer.
    pub(super) fn poll_answer(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, Fault<CutOff>>> {
        self.0.borrow_mut().poll_answer(cx)
    }

    /// The next frame of the answer's body.
    pub(super) fn poll_data(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault<CutOff>>>> {
        self.0.borrow_mut().poll_data(cx)
    }

    /// Whether the answer was read to its end.
    pub(super) fn is_ended(&self) -> bool {
        self.0.borrow().is_ended()
    }

    /// Whether the exchange ended without a doubt.
    pub(super) fn is_reusable(&self) -> bool {
        self.0.borrow().is_reusable()
    }

    /// How much of the answer is still to come.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.0.borrow().size_hint()
    }

    /// The request's body, if nothing of the request was used.
    pub(super) fn take_back(&self) -> Option<Upload> {
        self.0.borrow_mut().take_back()
    }

    /// Sends what is left of the request beside its answer; whether anything was. Rare: most requests are sent before
    /// they are answered.
    pub(super) fn send_the_rest(&self) -> bool {
        if self.0.borrow().is_sent() {
            return false;
        }
        self.0.borrow_mut().send_apart();
        let line = Rc::clone(&self.0);
        tokio::task::spawn_local(async move {
            // A failed upload stands in its progress. An answer that is dropped ends its upload, and so this.
            let _sent = poll_fn(|cx| line.borrow_mut().poll_send(cx)).await;
        });
        true
    }

    /// What an upgrade makes of the connection; none if somebody still sends over it.
    pub(super) fn upgraded(self) -> Option<Upgraded<Wire>> {
        Rc::into_inner(self.0).map(|connection| connection.into_inner().upgraded())
    }
}
