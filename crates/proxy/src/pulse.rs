//! A connection's stream, watched: how much moves, whether the client takes what is sent, and bytes read too early
//! put back. It also holds the connection's place, so that the place is free exactly when the socket is closed.

use crate::slots::Slot;
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What moved over one connection. Atomic only because upgraded streams are typed to travel between threads.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    read: AtomicU64,
    written: AtomicU64,
    blocked: AtomicBool,
}

impl Pulse {
    /// Bytes read so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to write had to wait for the client.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }
}

/// A stream with a pulse.
pub(crate) struct Watched<S> {
    inner: S,
    pulse: Arc<Pulse>,
    /// Bytes that were read before they were wanted.
    unread: Bytes,
    _slot: Slot,
}

impl<S> Watched<S> {
    pub(crate) fn new(inner: S, slot: Slot) -> Self {
        Self { inner, pulse: Arc::default(), unread: Bytes::new(), _slot: slot }
    }

    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Puts bytes back; they are read next.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.unread = unless_empty(bytes);
    }
}

/// Bytes that are none keep all the memory that they were cut from.
fn unless_empty(bytes: Bytes) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { bytes }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.has_remaining() {
            let length = this.unread.len().min(buf.remaining());
            buf.put_slice(&this.unread.split_to(length));
            this.unread = unless_empty(std::mem::take(&mut this.unread));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        let new = buf.filled().len().saturating_sub(before) as u64;
        this.pulse.read.store(this.pulse.read().wrapping_add(new), Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn note(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = polled {
            let written = self.pulse.written().wrapping_add(written as u64);
            self.pulse.written.store(written, Ordering::Relaxed);
        }
        self.pulse.blocked.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.note(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_flush(cx);
        this.pulse.blocked.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meters::Meters;
    use crate::slots::Slots;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_was_put_back_is_read_first() {
        let slots = Slots::new(1, 1, Arc::new(Meters::new(1)), 0);
        let slot = slots.take("10.0.0.1".parse().unwrap(), false).unwrap();
        let mut watched = Watched::new(&b"world"[..], slot);
        watched.unread(Bytes::from_static(b"hello "));
        let mut text = String::new();
        watched.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello world");
        assert_eq!(watched.pulse().read(), 5);
        drop(watched);
        slots.until_empty().await;
    }
}
