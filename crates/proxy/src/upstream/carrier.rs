//! What carries one request to an origin: a line of its own, or a seat on a shared connection.

use super::h1::Line;
use super::h2::Seat;
use super::upload::Upload;
use super::vigil::{Cut, Watch};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// A connection, or a share of one, that this request may use.
pub(super) enum Carrier {
    Line(Line),
    Seat(Seat),
}

/// How sending failed.
pub(super) enum Failed {
    /// Not a byte of it was sent; here it is again.
    Unsent(Box<Request<Upload>>),
    /// It was sent, and this came back.
    Lost(hyper::Error),
    /// The exchange was ended from outside.
    Cut(Cut),
}

impl Carrier {
    /// Sends `request` and waits for the head of the answer, as long as the exchange lasts.
    pub(super) async fn send(
        &mut self,
        request: Request<Upload>,
        watch: &Watch,
    ) -> Result<Response<Incoming>, Failed> {
        watch.arrived().map_err(Failed::Cut)?;
        match self {
            Self::Line(line) => attended(line.send(request), watch).await,
            Self::Seat(seat) => attended(seat.send(request), watch).await,
        }
    }

    /// After an answer that never came, nobody else should have to wait on the same connection.
    pub(super) fn doubt(&self) {
        match self {
            Self::Line(_) => {} // closed when dropped
            Self::Seat(seat) => seat.retire(),
        }
    }
}

async fn attended(
    sending: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload>>>>,
    watch: &Watch,
) -> Result<Response<Incoming>, Failed> {
    let mut sending = pin!(sending);
    poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
        Poll::Ready(Err(mut failed)) => Poll::Ready(Err(match failed.take_message() {
            Some(request) => Failed::Unsent(Box::new(request)),
            None => Failed::Lost(failed.into_error()),
        })),
        Poll::Pending => match watch.wait(cx) {
            Ok(()) => Poll::Pending,
            Err(cut) => Poll::Ready(Err(Failed::Cut(cut))),
        },
    })
    .await
}
