//! One connection, and the exchange that is under way over it.

use crate::answer::{self, Trouble};
use crate::chunks::{Chunks, Piece};
use crate::fault::Fault;
use crate::framing::{AnswerFraming, keeps_alive};
use crate::request::RequestHead;
use crate::sending::{Sending, Stopped};
use crate::upgraded::Upgraded;
use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Room that is made for a read: at first, and at most when an answer keeps filling it.
const READ: usize = 8 * 1024;
const READ_MOST: usize = 64 * 1024;

/// Interim answers (1xx) that may precede an answer.
const INTERIM: u8 = 16;

/// A connection to an origin over `W`, for requests with bodies of type `B`.
///
/// The life of an exchange: [`begin`](Self::begin), then [`poll_answer`](Self::poll_answer) until the head of the answer is
/// there, then [`poll_data`](Self::poll_data) until [`is_ended`](Self::is_ended). The request's body is sent
/// throughout, whichever of the two is polled. Then the connection may [`begin`](Self::begin) again if it
/// [is reusable](Self::is_reusable). After a [`Fault`] it is of no more use and is to be dropped.
pub struct Connection<W, B> {
    wire: W,
    inbox: BytesMut,
    /// How far the end of a head was looked for.
    scanned: usize,
    room: usize,
    sending: Sending<B>,
    /// Somebody else than who reads the answer sends the rest of the request.
    apart: bool,
    /// Why the origin takes no more of the request; it may have answered before it stopped reading.
    deaf: Option<io::Error>,
    method: Method,
    interim: u8,
    reading: Reading,
    /// The origin means to keep the connection, and nothing has happened that speaks against it.
    kept: bool,
}

/// A frame of an answer's body, or why there is none.
type Piecewise<E> = Result<Frame<Bytes>, Fault<E>>;

#[derive(Debug, PartialEq, Eq)]
enum Reading {
    /// Nothing is under way, or the answer was read to its end.
    Ended,
    Head,
    Exact(u64),
    Chunked(Chunks),
    UntilClose,
}

impl<W, B> Connection<W, B>
where
    W: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    /// Speaks over `wire`, which nobody else reads or writes.
    #[must_use]
    pub fn new(wire: W) -> Self {
        Self {
            wire,
            inbox: BytesMut::new(),
            scanned: 0,
            room: READ,
            sending: Sending::nothing(),
            apart: false,
            deaf: None,
            method: Method::GET,
            interim: 0,
            reading: Reading::Ended,
            kept: true,
        }
    }

    /// Whether another request may be sent: the last exchange has ended well, and the origin has neither closed the
    /// connection nor said anything unasked. Costs no system call while the wire's runtime knows nothing new.
    pub fn is_ready(&mut self) -> bool {
        if !self.is_reusable() {
            return false;
        }
        let mut cx = Context::from_waker(Waker::noop());
        self.kept = self.poll_read(&mut cx).is_pending();
        self.kept
    }

    /// Whether the exchange has ended in a way that leaves no doubt where the next answer will begin.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.kept
            && self.is_ended()
            && self.sending.is_done()
            && self.deaf.is_none()
            && self.inbox.is_empty()
    }

    /// Gives back the buffers of a connection that rests.
    pub fn slim(&mut self) {
        if self.is_reusable() {
            self.inbox = BytesMut::new();
            self.sending = Sending::nothing();
        }
    }

    /// Begins an exchange; nothing is written before the first poll. The body's size hint decides its framing: the
    /// exact length if there is one, else chunks.
    pub fn begin(&mut self, head: &RequestHead<'_>, body: B) {
        self.sending.begin(head, body);
        self.method.clone_from(head.method);
        self.apart = false;
        (self.interim, self.scanned, self.room) = (0, 0, READ);
        self.reading = Reading::Head;
    }

    /// After a [`Fault`]: the request's body again, if no byte of the request has left and nothing was taken from the
    /// body. The request can then be sent over another connection, whatever it is.
    pub fn take_back(&mut self) -> Option<B> {
        self.sending.take_back()
    }

    /// From now on the answer is read without sending: the rest of the request is left to [`poll_send`](Self::poll_send),
    /// which another task polls, so that a client that does not read its answer before it has sent its request is
    /// not waited for in vain.
    pub fn send_apart(&mut self) {
        self.apart = true;
    }

    /// Sends on; ready when the request is sent, or nothing more of it can be.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault<B::Error>>> {
        if self.sending.is_done() {
            return Poll::Ready(Ok(()));
        }
        match self.sending.poll(cx, &mut self.wire) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(Stopped::Body(error))) => Poll::Ready(Err(Fault::Upload(error))),
            Poll::Ready(Err(Stopped::Wire(error))) => {
                self.sending.stop();
                self.deaf = Some(error); // it may have answered before it stopped reading
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Whether all of the request is on its way.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.sending.is_done()
    }

    /// The head of the answer. Interim answers are passed over, but for 101 (RFC 9110 §15.2).
    ///
    /// # Errors
    /// [`Fault`]; the connection is of no more use then.
    pub fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, Fault<B::Error>>> {
        self.send(cx)?;
        loop {
            match answer::read_head(&mut self.inbox, &mut self.scanned).map_err(fault)? {
                Some(head) if is_interim(&head) => {
                    self.interim += 1;
                    if self.interim > INTERIM {
                        return Poll::Ready(Err(Fault::Bad("it sends interim answers for ever")));
                    }
                }
                Some(head) => return Poll::Ready(self.expect_body(&head).map(|()| head)),
                None => match self.poll_read(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.cut_off(None))),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(self.cut_off(Some(error)))),
                },
            }
        }
    }

    /// The next piece of the answer's body: data, or the trailers as the last frame. `None` at its end.
    ///
    /// # Errors
    /// [`Fault`]; the body is not whole then.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piecewise<B::Error>>> {
        if !self.apart
            && let Err(fault) = self.send(cx)
        {
            return Poll::Ready(Some(Err(fault)));
        }
        loop {
            match self.take_data() {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(trailers)) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::Short) => {}
                Err(trouble) => return Poll::Ready(Some(Err(fault(trouble)))),
            }
            match self.poll_read(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) if self.reading == Reading::UntilClose => {
                    (self.reading, self.kept) = (Reading::Ended, false);
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Some(Err(Fault::BrokeOff(None)))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Some(Err(Fault::BrokeOff(Some(error)))));
                }
            }
        }
    }

    /// Whether the answer was read to its end.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.reading == Reading::Ended
    }

    /// How much of the answer's body is still to come, if the origin said so.
    #[must_use]
    pub fn size_hint(&self) -> SizeHint {
        match self.reading {
            Reading::Ended => SizeHint::with_exact(0),
            Reading::Exact(left) => SizeHint::with_exact(left),
            Reading::Head | Reading::Chunked(_) | Reading::UntilClose => SizeHint::default(),
        }
    }

    /// The connection after a 101: it speaks another protocol now.
    pub fn upgraded(self) -> Upgraded<W> {
        Upgraded { wire: self.wire, read: self.inbox.freeze() }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Fault<B::Error>> {
        match self.poll_send(cx) {
            Poll::Ready(Err(fault)) => Err(fault),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn expect_body(&mut self, head: &Response<()>) -> Result<(), Fault<B::Error>> {
        let (status, version, headers) = (head.status(), head.version(), head.headers());
        let framing = AnswerFraming::of(&self.method, status, version, headers);
        self.kept = keeps_alive(version, headers) && status != StatusCode::SWITCHING_PROTOCOLS;
        self.reading = match framing.map_err(Fault::Bad)? {
            AnswerFraming::None => Reading::Ended,
            AnswerFraming::Exact(length) => Reading::Exact(length),
            AnswerFraming::Chunked => Reading::Chunked(Chunks::default()),
            AnswerFraming::UntilClose => Reading::UntilClose,
        };
        Ok(())
    }

    fn take_data(&mut self) -> Result<Piece, Trouble> {
        match &mut self.reading {
            Reading::Ended => Ok(Piece::End),
            Reading::Head => Err(Trouble::Bad("its head was not read before its body")),
            Reading::Exact(_) | Reading::UntilClose if self.inbox.is_empty() => Ok(Piece::Short),
            Reading::UntilClose => Ok(Piece::Data(self.inbox.split().freeze())),
            Reading::Exact(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.inbox.len());
                *left -= here as u64;
                if *left == 0 {
                    self.reading = Reading::Ended;
                }
                Ok(Piece::Data(self.inbox.split_to(here).freeze()))
            }
            Reading::Chunked(chunks) => {
                let piece = chunks.next(&mut self.inbox)?;
                if chunks.is_done() {
                    self.reading = Reading::Ended;
                }
                Ok(piece)
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox.reserve(self.room);
        let read = pin!(self.wire.read_buf(&mut self.inbox)).poll(cx);
        if let Poll::Ready(Ok(count)) = read
            && count >= self.room
        {
            self.room = (self.room * 2).min(READ_MOST);
        }
        read
    }

    /// The connection ended before the head of the answer was there.
    fn cut_off(&mut self, error: Option<io::Error>) -> Fault<B::Error> {
        let why = self.deaf.take().or(error);
        if self.inbox.is_empty() && self.interim == 0 {
            Fault::Closed(why)
        } else {
            Fault::BrokeOff(why)
        }
    }
}

fn is_interim(head: &Response<()>) -> bool {
    head.status().is_informational() && head.status() != StatusCode::SWITCHING_PROTOCOLS
}

fn fault<E>(trouble: Trouble) -> Fault<E> {
    match trouble {
        Trouble::Bad(what) => Fault::Bad(what),
        Trouble::TooBig => Fault::TooBig,
    }
}
