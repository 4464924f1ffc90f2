//! Bytes both ways between two connections that have switched protocols.
//!
//! A quiet tunnel holds no buffer: bytes are read into the stack and only what cannot be written at once is kept.
//! The end of one direction is passed on at once, and the other goes on (checklist W7).

use super::websocket::{self, Frames};
use crate::Patience;
use crate::vigil::{Cut, Watch};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Chunks moved in a row before other tasks get their turn.
const TURN: usize = 32;

/// How long the other direction may stand still once one has ended.
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// How long a client may take to read the goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// One direction.
#[derive(Default)]
struct Flow {
    /// What was read and could not be written yet.
    kept: Vec<u8>,
    written: usize,
    unflushed: bool,
    /// The reading side has ended.
    ended: bool,
    /// And the writing side was told.
    closed: bool,
    frames: Option<Frames>,
}

/// Moves bytes until both directions have ended, one breaks, or the exchange is ended. Both connections are closed
/// when it returns. The client of a WebSocket is told why (RFC 6455 §7.4.1), unless that would break into a frame.
pub(super) async fn splice<A, B>(
    mut client: A,
    mut origin: B,
    watch: Watch,
    patience: Patience,
    is_websocket: bool,
) where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut up = Flow::default();
    let mut down = Flow { frames: is_websocket.then(Frames::default), ..Flow::default() };
    let cut = poll_fn(|cx| {
        let flows = [
            up.poll_move(cx, &mut client, &mut origin, &watch),
            down.poll_move(cx, &mut origin, &mut client, &watch),
        ];
        match flows {
            [Poll::Ready(Err(_)), _] | [_, Poll::Ready(Err(_))] => return Poll::Ready(None),
            [Poll::Ready(Ok(())), Poll::Ready(Ok(()))] => return Poll::Ready(None),
            [_, _] => {}
        }
        watch.limit(match (down.kept.is_empty(), up.closed || down.closed) {
            (false, _) => patience.untaken, // the client's turn
            (true, true) => HALF_CLOSED,
            (true, false) => patience.stream,
        });
        watch.wait(cx).map_or_else(|cut| Poll::Ready(Some(cut)), |()| Poll::Pending)
    })
    .await;
    drop(origin);
    let between = down.kept.is_empty() && down.frames.as_ref().is_some_and(Frames::is_between);
    if let (Some(cut), true, false) = (cut, between, down.ended) {
        say_goodbye(&mut client, cut).await;
    }
}

async fn say_goodbye<A: AsyncRead + AsyncWrite + Unpin>(client: &mut A, cut: Cut) {
    let (code, reason) = match cut {
        Cut::Revoked => (websocket::POLICY_VIOLATION, "access was revoked"),
        Cut::Idle | Cut::Gone => (websocket::GOING_AWAY, "the connection was idle"),
    };
    let frame = websocket::close_frame(code, reason);
    let goodbye = async {
        client.write_all(&frame).await?;
        client.shutdown().await?;
        // Closing with bytes unread would make the system reset the connection and lose the frame on its way.
        let mut rest = [0; 1024];
        while client.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _too_late_to_matter = tokio::time::timeout(GOODBYE, goodbye).await;
}

impl Flow {
    /// Moves what there is from `source` to `sink`; ready when `source` has ended and `sink` was told.
    fn poll_move<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        watch: &Watch,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        for _ in 0..TURN {
            ready!(self.poll_write_kept(cx, sink, watch))?;
            if self.ended {
                if !self.closed {
                    ready!(Pin::new(&mut *sink).poll_shutdown(cx))?;
                    self.closed = true;
                    watch.exchange().moved();
                }
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::uninit(&mut chunk);
            match Pin::new(&mut *source).poll_read(cx, &mut buffer) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => self.ended = true,
                Poll::Ready(Ok(())) => {
                    watch.exchange().moved();
                    self.take(cx, sink, buffer.filled())?;
                }
                Poll::Pending => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *sink).poll_flush(cx))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes `bytes`, and keeps what the sink does not take now.
    fn take<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        if let Some(frames) = &mut self.frames {
            frames.follow(bytes);
        }
        self.unflushed = true;
        let mut rest = bytes;
        while !rest.is_empty() {
            match Pin::new(&mut *sink).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => rest = &rest[written..],
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.kept = rest.to_vec();
                    break;
                }
            }
        }
        Ok(())
    }

    fn poll_write_kept<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
        watch: &Watch,
    ) -> Poll<io::Result<()>> {
        while self.written < self.kept.len() {
            let written = ready!(Pin::new(&mut *sink).poll_write(cx, &self.kept[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
            watch.exchange().moved();
        }
        if !self.kept.is_empty() {
            (self.kept, self.written) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}
