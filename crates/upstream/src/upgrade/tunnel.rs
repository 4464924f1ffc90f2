//! A stream of an HTTP/2 connection as a tunnel (RFC 8441 §5, RFC 9113 §8.5).

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// What goes with a CONNECT request, for whoever wants its stream as a tunnel. The tunnel is there once the client was
/// answered.
#[derive(Clone)]
pub struct TunnelOffer(Arc<Mutex<Option<oneshot::Receiver<Tunnel>>>>);

/// The other end of an offer: keeps the client's half of the stream until the answer is sent.
pub struct TunnelEnd {
    body: RecvStream,
    taker: oneshot::Sender<Tunnel>,
}

/// Both halves of the stream.
pub struct Tunnel {
    sink: SendStream<Bytes>,
    source: RecvStream,
    /// What was received and not read yet.
    left: Bytes,
}

impl TunnelOffer {
    /// Offers the stream of which `body` is the client's half.
    #[must_use]
    pub fn of(body: RecvStream) -> (Self, Option<TunnelEnd>) {
        let (taker, tunnel) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(tunnel)))), Some(TunnelEnd { body, taker }))
    }

    /// The tunnel, once the client was answered with success; `None` when it never was.
    pub(super) async fn tunnel(self) -> Option<Tunnel> {
        let taken = self.0.lock().ok()?.take();
        taken?.await.ok()
    }
}

impl TunnelEnd {
    /// The client was answered; `join` puts its half of the stream to the other. Nobody may be waiting for it any more.
    pub fn open(self, join: impl FnOnce(RecvStream) -> Tunnel) {
        drop(self.taker.send(join(self.body)));
    }
}

impl Tunnel {
    /// The stream whose halves these are.
    #[must_use]
    pub fn new(sink: SendStream<Bytes>, source: RecvStream) -> Self {
        Self { sink, source, left: Bytes::new() }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.left.is_empty() {
            match ready!(this.source.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(data)) => this.left = data,
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
            }
        }
        let length = this.left.len().min(buf.remaining());
        buf.put_slice(this.left.get(..length).unwrap_or_default());
        this.left.advance(length);
        // Room for as much again.
        drop(this.source.flow_control().release_capacity(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.sink.reserve_capacity(buf.len());
        let mut room = this.sink.capacity();
        while room == 0 {
            room = match this.sink.poll_capacity(cx) {
                Poll::Ready(Some(room)) => room.map_err(into_io)?,
                Poll::Ready(None) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                // A client that resets the stream makes no more room.
                Poll::Pending => match ready!(this.sink.poll_reset(cx)) {
                    Ok(reason) => return Poll::Ready(Err(into_io(reason.into()))),
                    Err(error) => return Poll::Ready(Err(into_io(error))),
                },
            };
        }
        let length = room.min(buf.len());
        let data = Bytes::copy_from_slice(buf.get(..length).unwrap_or_default());
        this.sink.send_data(data, false).map_err(into_io)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // the connection sends what it was handed
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().sink.send_data(Bytes::new(), true).map_err(into_io))
    }
}

fn into_io(error: h2::Error) -> io::Error {
    match error.reason() {
        Some(Reason::NO_ERROR | Reason::CANCEL | Reason::STREAM_CLOSED) => {
            io::ErrorKind::BrokenPipe.into()
        }
        Some(_) | None => io::Error::other(error),
    }
}
