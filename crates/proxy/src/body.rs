//! Bodies on the road: what the client sends and what it gets back.
//!
//! A client's trailers end here: nobody judged them, so no origin is sent them (security rule 7). An origin's
//! trailers pass, because gRPC puts its status there.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The HTTP library gave up on it.
    #[error("the body broke off")]
    Http(#[from] hyper::Error),
    /// The connection it came over failed.
    #[error("the connection failed in the middle of a body")]
    Io(#[from] io::Error),
    /// It came slower than is allowed.
    #[error("the body came slower than {MINIMUM_RATE} bytes a second")]
    TooSlow,
    /// The gateway ended it: nothing moved for too long, or its caller was revoked.
    #[error(transparent)]
    Cut(#[from] crate::upstream::Cut),
}

/// Bytes a second that a client's body must bring on average once [`GRACE`] has passed.
const MINIMUM_RATE: u64 = 1024;

/// How long a body may be slower than [`MINIMUM_RATE`].
const GRACE: Duration = Duration::from_secs(10);

/// The body of a request, from the client.
pub(crate) enum ClientBody {
    /// None.
    Empty,
    /// As it arrives.
    Incoming(Arriving),
}

/// A body that is still arriving, held to a minimum rate (security §3).
pub(crate) struct Arriving {
    body: Incoming,
    received: u64,
    hurried: bool,
    /// Made when the client first keeps us waiting; most bodies never need one.
    pace: Option<Pace>,
}

struct Pace {
    started: Instant,
    rest: Pin<Box<Sleep>>,
}

impl ClientBody {
    /// Wraps what the HTTP library hands over.
    pub(crate) fn of(body: Incoming) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        Self::Incoming(Arriving { body, received: 0, hurried: true, pace: None })
    }

    /// Lifts the minimum rate, for calls that stay open and say something now and then.
    pub(crate) fn unhurried(self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Incoming(arriving) => Self::Incoming(Arriving { hurried: false, ..arriving }),
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Incoming(arriving) => arriving.poll_data(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Incoming(arriving) => arriving.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Incoming(arriving) => arriving.body.size_hint(),
        }
    }
}

impl Arriving {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {}
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    self.received = self.received.saturating_add(length as u64);
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if !self.hurried => return Poll::Pending,
                Poll::Pending => {
                    ready!(self.poll_too_slow(cx));
                    return Poll::Ready(Some(Err(BodyError::TooSlow)));
                }
            }
        }
    }

    /// Ready when the body has fallen behind [`MINIMUM_RATE`].
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let pace = self.pace.get_or_insert_with(|| Pace {
            started: Instant::now(),
            rest: Box::pin(tokio::time::sleep(GRACE)),
        });
        loop {
            ready!(pace.rest.as_mut().poll(cx));
            let seconds = pace.started.elapsed().as_secs();
            if self.received < seconds.saturating_mul(MINIMUM_RATE) {
                return Poll::Ready(());
            }
            pace.rest.as_mut().reset(Instant::now() + GRACE);
        }
    }
}

/// The body of an answer, to the client.
#[derive(Default)]
pub(crate) enum ProxyBody {
    /// None.
    #[default]
    Empty,
    /// Whole, in memory.
    Full(Bytes),
    /// As it arrives from an origin.
    Origin(crate::upstream::Answer),
}

impl From<Bytes> for ProxyBody {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                *this = Self::Empty;
                Poll::Ready(Some(Ok(frame)))
            }
            Self::Origin(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Origin(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Origin(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_whole_body_is_one_frame() {
        let body = ProxyBody::from(Bytes::from_static(b"hello"));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        assert!(ProxyBody::from(Bytes::new()).is_end_stream());
    }
}
