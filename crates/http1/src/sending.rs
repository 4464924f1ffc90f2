//! The request on its way out: its head, then its body as that comes.

use crate::request::{RequestFraming, RequestHead};
use bytes::{Buf, Bytes};
use http_body::Body;
use std::io;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Data up to this size is copied behind the head, so that both leave in one write.
const COPIED: usize = 8 * 1024;

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What is waiting to be written, and where the rest comes from.
pub(crate) struct Sending<B> {
    /// Head, chunk sizes and small data, written up to `written`.
    outbox: Vec<u8>,
    written: usize,
    /// A large piece of data that follows the outbox; in a chunked body, a line end follows it.
    large: Bytes,
    closes_chunk: bool,
    /// Until it has given all it has.
    body: Option<B>,
    /// Whether the body has been asked for anything.
    asked: bool,
    /// The body of a request that was given up before anything of it was used.
    unused: Option<B>,
    framing: RequestFraming,
    /// Bytes of the body that are still owed, when its length was stated.
    owed: u64,
    unflushed: bool,
    touched: bool,
}

/// Why sending stopped.
pub(crate) enum Stopped<E> {
    /// The origin takes no more; it may still have an answer.
    Wire(io::Error),
    /// The request's own body failed; or was not as long as stated.
    Body(Option<E>),
}

impl<B> Sending<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Nothing to send.
    pub(crate) fn nothing() -> Self {
        Self {
            outbox: Vec::new(),
            written: 0,
            large: Bytes::new(),
            closes_chunk: false,
            body: None,
            asked: false,
            unused: None,
            framing: RequestFraming::None,
            owed: 0,
            unflushed: false,
            touched: false,
        }
    }

    /// Begins with the next request. Whatever was left of the one before is forgotten.
    pub(crate) fn begin(&mut self, head: &RequestHead<'_>, body: B) {
        let framing = RequestFraming::of(head.method, body.size_hint().exact());
        self.outbox.clear();
        head.write(framing, &mut self.outbox);
        (self.written, self.large, self.closes_chunk) = (0, Bytes::new(), false);
        self.owed = match framing {
            RequestFraming::Exact(length) => length,
            RequestFraming::None | RequestFraming::Chunked => 0,
        };
        (self.body, self.asked, self.unused) = (Some(body), false, None);
        self.framing = framing;
        (self.unflushed, self.touched) = (false, false);
    }

    /// Whether every byte is on its way.
    pub(crate) fn is_done(&self) -> bool {
        self.body.is_none() && self.is_written() && !self.unflushed
    }

    /// The body again, if no byte of the request has left and nothing was taken from the body.
    pub(crate) fn take_back(&mut self) -> Option<B> {
        self.unused.take().or_else(|| self.body.take().filter(|_| !self.touched && !self.asked))
    }

    /// Gives up: nothing more is written.
    pub(crate) fn stop(&mut self) {
        self.unused = self.take_back();
        self.outbox.clear();
        (self.written, self.large, self.unflushed) = (0, Bytes::new(), false);
    }

    /// Moves what can be moved; ready when all of it is on its way.
    pub(crate) fn poll<W>(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut W,
    ) -> Poll<Result<(), Stopped<B::Error>>>
    where
        W: AsyncWrite + Unpin,
    {
        loop {
            let waits = self.gather(cx)?;
            if self.is_written() {
                if self.unflushed {
                    ready!(Pin::new(&mut *wire).poll_flush(cx)).map_err(Stopped::Wire)?;
                    self.unflushed = false;
                }
                if self.body.is_none() {
                    return Poll::Ready(Ok(()));
                }
                if waits {
                    return Poll::Pending;
                }
            }
            ready!(self.write(cx, wire)).map_err(Stopped::Wire)?;
        }
    }

    fn is_written(&self) -> bool {
        self.written == self.outbox.len() && self.large.is_empty()
    }

    /// Asks the body for more, as long as there is room. Whether it has to be waited for.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<bool, Stopped<B::Error>> {
        while self.large.is_empty() && !self.closes_chunk && self.outbox.len() < COPIED {
            let Some(body) = &mut self.body else { return Ok(false) };
            if self.owed == 0 && self.framing != RequestFraming::Chunked {
                if self.touched {
                    self.body = None;
                }
                return Ok(false);
            }
            self.asked = true;
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(None) => self.end()?,
                Poll::Ready(Some(Err(error))) => return Err(Stopped::Body(Some(error))),
                Poll::Ready(Some(Ok(frame))) => {
                    let last = body.is_end_stream();
                    if let Ok(data) = frame.into_data() {
                        self.put(data)?;
                    }
                    if last {
                        self.end()?;
                    }
                }
            }
        }
        Ok(false)
    }

    fn put(&mut self, data: Bytes) -> Result<(), Stopped<B::Error>> {
        if data.is_empty() {
            return Ok(());
        }
        let chunked = self.framing == RequestFraming::Chunked;
        if chunked {
            let _ = write!(self.outbox, "{:x}\r\n", data.len());
        } else {
            let left = self.owed.checked_sub(data.len() as u64);
            self.owed = left.ok_or(Stopped::Body(None))?;
        }
        if data.len() <= COPIED {
            self.outbox.extend_from_slice(&data);
            if chunked {
                self.outbox.extend_from_slice(b"\r\n");
            }
        } else {
            (self.large, self.closes_chunk) = (data, chunked);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stopped<B::Error>> {
        self.body = None;
        if self.owed > 0 {
            return Err(Stopped::Body(None));
        }
        if self.framing == RequestFraming::Chunked && self.large.is_empty() {
            self.outbox.extend_from_slice(LAST_CHUNK);
        }
        Ok(())
    }

    fn write<W>(&mut self, cx: &mut Context<'_>, wire: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while self.written < self.outbox.len() {
            let rest = &self.outbox[self.written..];
            self.written += some(ready!(Pin::new(&mut *wire).poll_write(cx, rest))?)?;
            (self.touched, self.unflushed) = (true, true);
        }
        self.outbox.clear();
        self.written = 0;
        while !self.large.is_empty() {
            let written = some(ready!(Pin::new(&mut *wire).poll_write(cx, &self.large))?)?;
            self.large.advance(written);
            self.unflushed = true;
        }
        if std::mem::take(&mut self.closes_chunk) {
            self.outbox.extend_from_slice(b"\r\n");
            if self.body.is_none() {
                self.outbox.extend_from_slice(LAST_CHUNK);
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn some(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}
