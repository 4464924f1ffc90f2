//! Bodies on the road: what the client sends and what it gets back.
//!
//! A client's trailers end here: nobody judged them, so no origin is sent them (security rule 7). An origin's
//! trailers pass, because gRPC puts its status there.

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
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
pub enum BodyError {
    /// The HTTP library gave up on it.
    #[error("the body broke off")]
    Http(#[from] hyper::Error),
    /// The stream of an HTTP/2 connection ended before it.
    #[error("the stream broke off")]
    Stream(#[from] h2::Error),
    /// The origin did.
    #[error("the answer broke off")]
    Origin(#[source] crate::Loss),
    /// The connection it came over failed.
    #[error("the connection failed in the middle of a body")]
    Io(#[from] io::Error),
    /// Its end can be read in two ways.
    #[error("the body's end can be read in two ways")]
    Unclear,
    /// It came slower than is allowed.
    #[error("the body came slower than is allowed")]
    TooSlow,
    /// The gateway ended it: nothing moved for too long, or its caller was revoked.
    #[error(transparent)]
    Cut(#[from] crate::Cut),
}

/// How slowly a client's body may come.
#[derive(Clone, Copy, Debug)]
pub struct MinimumRate {
    /// Bytes a second that it must bring on average once the grace is over.
    pub bytes_per_second: u64,
    /// How long it may be slower.
    pub grace: Duration,
}

impl MinimumRate {
    /// Whether `received` bytes are too few after `elapsed`.
    fn is_missed(self, received: u64, elapsed: Duration) -> bool {
        u128::from(received) * 1000 < elapsed.as_millis() * u128::from(self.bytes_per_second)
    }
}

/// The body of a request, from the client.
pub enum ClientBody {
    /// None.
    Empty,
    /// Whole, in memory.
    Whole(Bytes),
    /// As it arrives.
    Incoming(Arriving),
}

impl From<Bytes> for ClientBody {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Whole(bytes) }
    }
}

/// A body that is still arriving, held to a minimum rate (security §3).
pub struct Arriving {
    body: Inflow,
    received: u64,
    /// `None`: it may come as slowly as it likes.
    rate: Option<MinimumRate>,
    /// Made when the client first keeps us waiting; most bodies never need one.
    pace: Option<Pace>,
}

/// What brings a body.
enum Inflow {
    /// An HTTP/1.1 connection.
    Connection(Incoming),
    /// A stream of an HTTP/2 connection, and how many bytes it said it would bring.
    Stream(RecvStream, Option<u64>),
}

struct Pace {
    started: Instant,
    rest: Pin<Box<Sleep>>,
}

impl ClientBody {
    /// Wraps what the HTTP library hands over.
    pub fn of(body: Incoming, rate: MinimumRate) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        Self::Incoming(Arriving::at(rate, Inflow::Connection(body)))
    }

    /// Wraps the body on a stream of an HTTP/2 connection; `length` is what the request says.
    pub fn of_stream(body: RecvStream, length: Option<u64>, rate: MinimumRate) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        Self::Incoming(Arriving::at(rate, Inflow::Stream(body, length)))
    }

    /// Lifts the minimum rate, for calls that stay open and say something now and then.
    pub fn unhurried(self) -> Self {
        match self {
            Self::Empty | Self::Whole(_) => self,
            Self::Incoming(arriving) => Self::Incoming(Arriving { rate: None, ..arriving }),
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
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                *this = Self::Empty;
                Poll::Ready(Some(Ok(frame)))
            }
            Self::Incoming(arriving) => arriving.poll_data(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Incoming(arriving) => arriving.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Incoming(arriving) => arriving.size_hint(),
        }
    }
}

impl Inflow {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Connection(body) => Pin::new(body).poll_frame(cx).map_err(BodyError::Http),
            Self::Stream(stream, _) => stream.poll_data(cx).map(|polled| {
                let data = polled?;
                if let Ok(data) = &data {
                    // It is handed on at once, and what hands it on asks for no more than it can pass on.
                    drop(stream.flow_control().release_capacity(data.len()));
                }
                Some(data.map(Frame::data).map_err(BodyError::Stream))
            }),
        }
    }
}

impl Arriving {
    fn at(rate: MinimumRate, body: Inflow) -> Self {
        Self { body, received: 0, rate: Some(rate), pace: None }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Inflow::Connection(body) => body.is_end_stream(),
            Inflow::Stream(stream, _) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Inflow::Connection(body) => body.size_hint(),
            Inflow::Stream(_, Some(length)) => {
                SizeHint::with_exact(length.saturating_sub(self.received))
            }
            Inflow::Stream(_, None) => SizeHint::default(),
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match self.body.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {
                    // The HTTP library takes a bare LF for the end of the trailers, and says that there are none
                    // (checklist H25).
                    if frame.trailers_ref().is_some_and(HeaderMap::is_empty) {
                        return Poll::Ready(Some(Err(BodyError::Unclear)));
                    }
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    self.received = self.received.saturating_add(length as u64);
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    let Some(rate) = self.rate else { return Poll::Pending };
                    ready!(self.poll_too_slow(rate, cx));
                    return Poll::Ready(Some(Err(BodyError::TooSlow)));
                }
            }
        }
    }

    /// Ready when the body has fallen behind `rate`.
    fn poll_too_slow(&mut self, rate: MinimumRate, cx: &mut Context<'_>) -> Poll<()> {
        let pace = self.pace.get_or_insert_with(|| Pace {
            started: Instant::now(),
            rest: Box::pin(tokio::time::sleep(rate.grace)),
        });
        loop {
            ready!(pace.rest.as_mut().poll(cx));
            if rate.is_missed(self.received, pace.started.elapsed()) {
                return Poll::Ready(());
            }
            pace.rest.as_mut().reset(Instant::now() + rate.grace);
        }
    }
}

/// The body of an answer, to the client.
#[derive(Default)]
pub enum ProxyBody {
    /// None.
    #[default]
    Empty,
    /// Whole, in memory.
    Full(Bytes),
    /// As it arrives from an origin.
    Origin(crate::Answer),
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

    #[test]
    fn a_body_is_measured_from_its_beginning() {
        let rate = MinimumRate { bytes_per_second: 1024, grace: Duration::from_secs(10) };
        for (received, seconds, missed) in [
            (0, 10, true),
            (10 * 1024 - 1, 10, true),
            (10 * 1024, 10, false),
            (u64::MAX, 86_400, false),
            (0, 0, false),
        ] {
            let elapsed = Duration::from_secs(seconds);
            assert_eq!(rate.is_missed(received, elapsed), missed, "{received} in {seconds} s");
        }
    }

    #[tokio::test]
    async fn a_whole_body_is_one_frame() {
        let body = ProxyBody::from(Bytes::from_static(b"hello"));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        assert!(ProxyBody::from(Bytes::new()).is_end_stream());
    }
}
