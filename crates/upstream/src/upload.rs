//! The request's body on its way to the origin.

use crate::body::{BodyError, ClientBody};
use crate::vigil::{Cut, Exchange};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The body as the connection to the origin reads it. It ends with an error when its exchange is ended.
pub(super) struct Upload {
    body: ClientBody,
    progress: Rc<Progress>,
    exchange: Rc<Exchange>,
}

/// What became of an upload; outlives it.
#[derive(Default)]
pub(super) struct Progress {
    failed: RefCell<Option<BodyError>>,
}

/// The upload was ended; why stands in its [`Progress`] or its exchange.
#[derive(Debug, thiserror::Error)]
#[error("the request's body was cut off")]
pub struct CutOff(#[source] h2::Error);

impl CutOff {
    /// An HTTP/2 origin is told CANCEL: the request is not wanted any more (RFC 9113 §7).
    fn new() -> Self {
        Self(h2::Reason::CANCEL.into())
    }
}

impl Upload {
    /// `body` as a part of `exchange`; `progress` is told what becomes of it.
    pub(super) fn new(body: ClientBody, progress: &Rc<Progress>, exchange: &Rc<Exchange>) -> Self {
        Self { body, progress: Rc::clone(progress), exchange: Rc::clone(exchange) }
    }
}

impl Progress {
    /// What was wrong with the client's body, if that is what ended it.
    pub(super) fn take_failure(&self) -> Option<BodyError> {
        self.failed.borrow_mut().take()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let this = self.get_mut();
        match this.exchange.attend_upload(cx) {
            Ok(()) => {}
            Err(Cut::Idle | Cut::Revoked | Cut::Gone) => {
                return Poll::Ready(Some(Err(CutOff::new())));
            }
        }
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_ready() {
            this.exchange.moved();
        }
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(Some(Err(error))) => {
                *this.progress.failed.borrow_mut() = Some(error);
                Poll::Ready(Some(Err(CutOff::new())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
