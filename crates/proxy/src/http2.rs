//! One HTTP/2 connection: its streams are accepted, each is answered in a task of its own, and a body leaves as the
//! client makes room for it.
//!
//! The library `h2` is used directly. It enforces the protocol and its limits (security §3, checklist N); what an HTTP
//! server does above that stands here: `Date`, `Content-Length`, the end of a stream whose client is gone, and tunnels
//! (RFC 8441).

use crate::lane::Lane;
use crate::peer::{Busy, Peer};
use crate::serve::serve;
use crate::settings::Limits;
use crate::streams::Streams;
use bytes::Bytes;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use narthex_upstream::{ClientBody, ProxyBody, Tunnel, TunnelOffer};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};

/// What a client may send ahead on one stream, and on the connection, in bytes.
const WINDOW: u32 = 1024 * 1024;

/// Bytes kept of one answer while the client makes no room on the wire.
const SEND_BUFFER: usize = 400 * 1024;

/// A connection that is driven by polling it.
pub(crate) struct Http2<S> {
    state: State<S>,
    lane: Rc<Lane>,
    peer: Rc<Peer>,
    streams: Streams,
    /// Whether it was told to end before it had begun.
    ending: bool,
}

enum State<S> {
    Beginning(Handshake<S, Bytes>),
    Open(Connection<S, Bytes>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http2<S> {
    /// Speaks HTTP/2 over `stream`.
    pub(crate) fn over(lane: Rc<Lane>, peer: Rc<Peer>, streams: Streams, stream: S) -> Self {
        let state = State::Beginning(builder(&lane.common.limits).handshake(stream));
        Self { state, lane, peer, streams, ending: false }
    }

    /// Takes no new streams; those that are open may finish.
    pub(crate) fn end(&mut self) {
        match &mut self.state {
            State::Beginning(_) => self.ending = true,
            State::Open(connection) => connection.graceful_shutdown(),
        }
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .max_local_error_reset_streams(Some(limits.resets))
        .max_send_buffer_size(SEND_BUFFER)
        .enable_connect_protocol();
    builder
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Http2<S> {
    type Output = ();

    /// Ready when the connection has ended, however it did.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Beginning(handshake) => {
                    let Ok(mut connection) = ready!(Pin::new(handshake).poll(cx)) else {
                        return Poll::Ready(());
                    };
                    if this.ending {
                        connection.graceful_shutdown();
                    }
                    this.state = State::Open(connection);
                }
                State::Open(connection) => match ready!(connection.poll_accept(cx)) {
                    Some(Ok((request, respond))) => {
                        let stream = Stream {
                            lane: Rc::clone(&this.lane),
                            busy: Busy::with_request(&this.peer),
                            peer: Rc::clone(&this.peer),
                            streams: this.streams.clone(),
                            respond,
                        };
                        tokio::task::spawn_local(stream.answer(request));
                    }
                    Some(Err(_)) | None => return Poll::Ready(()),
                },
            }
        }
    }
}

/// One stream, from its request to the end of its answer. Dropped before, it is reset.
struct Stream {
    lane: Rc<Lane>,
    peer: Rc<Peer>,
    streams: Streams,
    respond: SendResponse<Bytes>,
    /// The connection is not idle until the answer was handed over whole.
    busy: Busy,
}

impl Stream {
    async fn answer(self, request: Request<RecvStream>) {
        let Self { lane, peer, streams, mut respond, busy } = self;
        let (mut head, body) = request.into_parts();
        let mut tunnel = None;
        let body = if head.method == Method::CONNECT {
            let offer;
            (offer, tunnel) = TunnelOffer::of(body);
            head.extensions.insert(offer);
            ClientBody::Empty
        } else {
            let length = content_length(&head.headers);
            ClientBody::of_stream(body, length, lane.common.limits.body())
        };
        let mut serving = pin!(serve(&lane, &peer, head, body));
        let answer = poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            // A client that resets its stream wants no answer any more.
            Poll::Pending => respond.poll_reset(cx).map(|_| None),
        });
        let Some(answer) = answer.await else { return };
        let (mut head, body) = answer.into_parts();
        lane.dates.add_to(&mut head.headers, lane.clock.now());
        let is_tunnel = tunnel.is_some() && head.status.is_success();
        let ends = body.is_end_stream() && !is_tunnel;
        if !ends && let Some(length) = body.size_hint().exact().filter(|_| !is_tunnel) {
            head.headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        let Ok(sink) = respond.send_response(Response::from_parts(head, ()), ends) else {
            return respond.send_reset(Reason::INTERNAL_ERROR);
        };
        match tunnel.filter(|_| is_tunnel) {
            Some(tunnel) => tunnel.open(|body| Tunnel::new(sink, body)),
            None if ends => {}
            None => Sending { sink, body, streams }.run().await,
        }
        drop(busy);
    }
}

/// The length that a request says its body has; `h2` holds the body to it.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next()?.to_str().ok()?.parse().ok();
    length.filter(|_| lengths.next().is_none())
}

/// A body on its way out.
struct Sending {
    sink: SendStream<Bytes>,
    body: ProxyBody,
    streams: Streams,
}

impl Sending {
    /// Sends it to its end, or resets the stream where it breaks off.
    async fn run(mut self) {
        loop {
            let next = poll_fn(|cx| match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Some(frame)),
                Poll::Pending => self.sink.poll_reset(cx).map(|_| None),
            });
            let Some(next) = next.await else { return };
            match next {
                None => return drop(self.sink.send_data(Bytes::new(), true)),
                Some(Err(_)) => return self.sink.send_reset(Reason::INTERNAL_ERROR),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let last = self.body.is_end_stream();
                        if self.send(data, last).await.is_none() || last {
                            return;
                        }
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            return drop(self.sink.send_trailers(trailers));
                        }
                    }
                },
            }
        }
    }

    /// Hands data over as the client makes room for it, so that no more lies in memory than it takes. `None` when it takes
    /// no more.
    async fn send(&mut self, mut data: Bytes, last: bool) -> Option<()> {
        if data.is_empty() && !last {
            return Some(());
        }
        loop {
            let room = if data.is_empty() { 0 } else { self.room(data.len()).await? };
            let chunk = data.split_to(room.min(data.len()));
            self.sink.send_data(chunk, last && data.is_empty()).ok()?;
            if data.is_empty() {
                return Some(());
            }
        }
    }

    /// How many of `wanted` bytes the client has room for, once it has any.
    async fn room(&mut self, wanted: usize) -> Option<usize> {
        self.sink.reserve_capacity(wanted);
        match self.sink.capacity() {
            0 => {}
            room => return Some(room),
        }
        let untaken = self.streams.wait_for_room();
        poll_fn(|cx| {
            if untaken.has_lasted_too_long(cx) {
                self.sink.send_reset(Reason::CANCEL);
                return Poll::Ready(None);
            }
            loop {
                match self.sink.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(0))) => {}
                    Poll::Ready(Some(Ok(room))) => return Poll::Ready(Some(room)),
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(None),
                    Poll::Pending => return self.sink.poll_reset(cx).map(|_| None),
                }
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_length_is_believed_when_it_is_said_once() {
        for (lengths, want) in [
            (&[][..], None),
            (&["5"], Some(5)),
            (&["5", "5"], None),
            (&["five"], None),
            (&["18446744073709551616"], None),
        ] {
            let mut headers = HeaderMap::new();
            for length in lengths {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            assert_eq!(content_length(&headers), want, "{lengths:?}");
        }
    }
}
