//! One connection from its handshake to its end: HTTP/1.1 or HTTP/2, the limits in time, and parking.
//!
//! A connection has one timer, which ticks every few seconds, and none for each request. An HTTP/1.1 connection
//! without anything under way is taken apart after the first tick and only its TLS stream kept: that halves what an
//! idle connection holds (road, "Park idle connections").

use crate::handshake::Shaken;
use crate::http2::Http2;
use crate::lane::Lane;
use crate::peer::{Busy, Peer};
use crate::pulse::Watched;
use crate::serve::serve;
use crate::settings::Limits;
use crate::stage::Stage;
use crate::streams::Streams;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::server::conn::http1::UpgradeableConnection;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use narthex_upstream::{BodyError, ClientBody, ProxyBody};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_rustls::server::TlsStream;

type Stream = Watched<Box<TlsStream<TcpStream>>>;

/// How exactly limits in time are kept, at the most.
const LONGEST_TICK: Duration = Duration::from_secs(5);

/// How long saying goodbye on a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves a connection to its end.
pub(crate) async fn serve_connection(lane: Rc<Lane>, shaken: Shaken) {
    let Shaken { peer, stream, http2 } = shaken;
    if http2 {
        serve_http2(lane, peer, stream).await
    } else {
        serve_http1(lane, peer, stream).await
    }
}

/// An answer on its way out. The request is under way until its last byte is handed over.
struct Sending {
    body: ProxyBody,
    _busy: Busy,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn answer(
    lane: Rc<Lane>,
    peer: Rc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<Sending>, Infallible> {
    let busy = Busy::with_request(&peer);
    let (head, body) = request.into_parts();
    let body = ClientBody::of(body, lane.common.limits.body());
    let mut response = serve(&lane, &peer, head, body).await;
    if lane.is_leaving() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Sending { body, _busy: busy }))
}

async fn serve_http1(lane: Rc<Lane>, peer: Rc<Peer>, mut stream: Stream) {
    let mut watch = Watch::new(&lane, &peer);
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).half_close(false);
    let limits = &lane.common.limits;
    builder.max_buf_size(limits.head).max_header_size(limits.head);
    if limits.fields != Limits::default().fields {
        builder.max_headers(limits.fields); // costs an allocation each time
    }
    loop {
        let service = {
            let (lane, peer) = (Rc::clone(&lane), Rc::clone(&peer));
            service_fn(move |request| answer(Rc::clone(&lane), Rc::clone(&peer), request))
        };
        let mut connection = speak_http1(&builder, stream, service);
        let why = watch.over(connection.as_mut(), |c| c.graceful_shutdown()).await;
        match why {
            Why::Done(ended) => {
                if ended.is_err_and(|error: hyper::Error| error.is_parse()) {
                    lane.meters().unreadable.add(); // answered by the HTTP library
                }
                return;
            }
            Why::Close => return,
            Why::Quiet => {
                let Some((left, nothing_read)) = take_apart(connection) else { return };
                stream = left;
                if !nothing_read {
                    watch.a_head_has_begun();
                } else if !watch.park(&stream).await {
                    drop(tokio::time::timeout(GOODBYE, stream.shutdown()).await);
                    return;
                }
            }
        }
    }
}

/// Not inlined into the future that waits for it, which would then be as large as what is boxed here.
fn speak_http1<S>(
    builder: &http1::Builder,
    stream: Stream,
    service: S,
) -> Pin<Box<UpgradeableConnection<TokioIo<Stream>, S>>>
where
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    Box::pin(builder.serve_connection(TokioIo::new(stream), service).with_upgrades())
}

/// The stream of a quiet connection, and whether nothing of a next request was read from it; what was read is put back.
fn take_apart<S>(
    connection: Pin<Box<UpgradeableConnection<TokioIo<Stream>, S>>>,
) -> Option<(Stream, bool)>
where
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let parts = Pin::into_inner(connection).into_parts()?;
    let mut stream = parts.io.into_inner();
    let nothing_read = parts.read_buf.is_empty();
    stream.unread(parts.read_buf);
    Some((stream, nothing_read))
}

async fn serve_http2(lane: Rc<Lane>, peer: Rc<Peer>, stream: Stream) {
    let mut watch = Watch::new(&lane, &peer);
    let streams = Streams::default();
    watch.streams = Some(streams.clone());
    let mut connection = Box::pin(Http2::over(lane, peer, streams, stream));
    watch.over(connection.as_mut(), |connection| connection.get_mut().end()).await;
}

/// Why a connection is not driven further.
enum Why<T> {
    /// It has ended.
    Done(T),
    /// It is to be closed.
    Close,
    /// Nothing is under way.
    Quiet,
}

/// The watch over one connection.
struct Watch {
    lane: Rc<Lane>,
    peer: Rc<Peer>,
    tick: Duration,
    ticks: Interval,
    leaving: tokio::sync::watch::Receiver<Stage>,
    /// The streams of an HTTP/2 connection. One of HTTP/1.1 has none, and is taken apart when it is quiet.
    streams: Option<Streams>,
    /// Whether it was told to end after what is under way.
    ending: bool,
    quiet_for: Duration,
    head_for: Duration,
    stalled_for: Duration,
    read: u64,
    written: u64,
    requests: u64,
}

impl Watch {
    fn new(lane: &Rc<Lane>, peer: &Rc<Peer>) -> Self {
        let tick =
            (lane.common.limits.head_time / 2).clamp(Duration::from_millis(10), LONGEST_TICK);
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + tick, tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            lane: Rc::clone(lane),
            peer: Rc::clone(peer),
            tick,
            ticks,
            leaving: lane.common.leaving.clone(),
            streams: None,
            ending: false,
            quiet_for: Duration::ZERO,
            head_for: Duration::ZERO,
            stalled_for: Duration::ZERO,
            read: 0,
            written: 0,
            requests: 0,
        }
    }

    /// Drives a connection until it ends, or there is a reason not to.
    async fn over<C: Future>(
        &mut self,
        mut connection: Pin<&mut C>,
        end: fn(Pin<&mut C>),
    ) -> Why<C::Output> {
        let mut leaving = self.leaving.clone();
        let peer = Rc::clone(&self.peer);
        // Set before an answer is handed over, which has the connection driven: to look after that is enough.
        let outdated =
            || poll_fn(|_| if peer.outdated.get() { Poll::Ready(()) } else { Poll::Pending });
        // HTTP/2 has a word for "ask elsewhere". HTTP/1.1 says it with an answer: a connection that is closed while nothing
        // seems to be under way may lose a request that is on its way.
        let end_at = if self.streams.is_some() { Stage::Yielding } else { Stage::Closing };
        loop {
            tokio::select! {
                biased; // leaving first: an answer that begins now says that it is the last
                _ = leaving.wait_for(|stage| *stage >= end_at), if !self.ending => {
                    self.ending = true;
                    end(connection.as_mut());
                }
                ended = &mut connection => return Why::Done(ended),
                () = outdated(), if !self.ending => {
                    self.ending = true;
                    end(connection.as_mut());
                }
                _ = self.ticks.tick() => match self.look() {
                    Look::Fine => {}
                    Look::Close => return Why::Close,
                    Look::Quiet => return Why::Quiet,
                    Look::End => {
                        self.ending = true;
                        end(connection.as_mut());
                    }
                },
            }
        }
    }

    /// One look at what has moved since the last.
    fn look(&mut self) -> Look {
        let (peer, limits) = (&self.peer, &self.lane.common.limits);
        let (read, written) = (peer.pulse.read(), peer.pulse.written());
        let stalled = peer.pulse.is_blocked() && written == self.written;
        let brought = read.wrapping_sub(self.read);
        let asked = peer.requests.get() != self.requests;
        (self.read, self.written, self.requests) = (read, written, peer.requests.get());

        self.stalled_for = if stalled { self.stalled_for + self.tick } else { Duration::ZERO };
        if self.stalled_for >= limits.write_stall {
            self.lane.meters().write_stalls.add();
            return Look::Close;
        }
        if let Some(streams) = &self.streams {
            let looks = limits.write_stall.as_nanos().div_ceil(self.tick.as_nanos().max(1));
            for _ in 0..streams.look(u32::try_from(looks).unwrap_or(u32::MAX)) {
                self.lane.meters().write_stalls.add();
            }
        }
        if peer.under_way.get() > 0 || asked {
            (self.quiet_for, self.head_for) = (Duration::ZERO, Duration::ZERO);
            return Look::Fine;
        }
        self.quiet_for += self.tick;
        if self.streams.is_none() {
            return self.look_at_quiet_http1(read);
        }
        if brought > limits.idle_bytes || self.ending && self.quiet_for >= 2 * self.tick {
            return Look::Close;
        }
        if self.quiet_for >= limits.keep_alive && !self.ending { Look::End } else { Look::Fine }
    }

    fn look_at_quiet_http1(&mut self, read: u64) -> Look {
        if read == self.peer.read_when_idle.get() && self.head_for.is_zero() {
            // The end of an answer may still be waiting for the client to take it.
            return if self.peer.pulse.is_blocked() { Look::Fine } else { Look::Quiet };
        }
        self.head_for += self.tick;
        if self.head_for >= self.lane.common.limits.head_time { Look::Close } else { Look::Fine }
    }

    /// Part of the next head came with the last request: its time runs, though nothing more may come.
    fn a_head_has_begun(&mut self) {
        self.head_for = self.head_for.max(self.tick);
    }

    /// Waits until a quiet connection brings something. `false` when it is to be closed.
    async fn park(&mut self, stream: &Stream) -> bool {
        let (tcp, _) = stream.get_ref().get_ref();
        let patience = self.lane.common.limits.keep_alive.saturating_sub(self.quiet_for);
        let readable = pin!(tcp.readable());
        let woken = tokio::select! {
            woken = readable => woken.is_ok(),
            _ = self.leaving.wait_for(|stage| *stage >= Stage::Closing) => false,
            () = tokio::time::sleep(patience) => false,
        };
        self.quiet_for = Duration::ZERO;
        self.ticks.reset();
        woken
    }
}

/// What one look found.
enum Look {
    Fine,
    /// Nothing is under way, and no head has begun.
    Quiet,
    /// To be ended properly.
    End,
    /// To be closed at once.
    Close,
}
