//! The streams of one HTTP/2 connection. Each is reset when its client takes nothing of its answer for too long,
//! although the connection lives: a client that opens many streams and no window holds nothing for ever (checklist
//! N7). It is the HTTP library that runs a stream; what is here runs around it and beside it.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use narthex_upstream::{BodyError, ProxyBody};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The HTTP library lets go of a stream once it has queued the end of the answer, though the client may have taken
/// nothing of the last chunk. Of chunks larger than this the last byte goes out on its own, so that no more than this
/// is queued for a stream that nobody watches.
const UNWATCHED: usize = 4096;

/// The streams of one connection, and the executor that runs them.
#[derive(Clone, Default)]
pub(crate) struct Streams(Rc<All>);

#[derive(Default)]
struct All {
    open: RefCell<Vec<Rc<Stream>>>,
    /// The stream whose request was just handed over; its task comes next.
    begun: Cell<Option<Rc<Stream>>>,
}

/// One stream.
#[derive(Default)]
pub(crate) struct Stream {
    place: Cell<usize>,
    /// How many looks found that the client has not taken what there is.
    untaken: Cell<Option<u32>>,
    ended: Cell<bool>,
    task: Cell<Option<Waker>>,
}

impl Streams {
    /// A request has come. The next task that is run is its stream's.
    pub(crate) fn begin(&self) -> Rc<Stream> {
        let stream = Rc::new(Stream::default());
        self.0.begun.set(Some(Rc::clone(&stream)));
        stream
    }

    /// Looks at every stream, and resets those of which the client has taken nothing for more than `most` looks.
    /// How many these were.
    pub(crate) fn look(&self, most: u32) -> usize {
        let open = self.0.open.borrow();
        let tired = |stream: &&Rc<Stream>| {
            let Some(looks) = stream.untaken.get() else { return false };
            stream.untaken.set(Some(looks + 1));
            looks >= most
        };
        let tired: Vec<_> = open.iter().filter(tired).map(Rc::clone).collect();
        drop(open); // what is woken may come back here
        for stream in &tired {
            stream.ended.set(true);
            if let Some(task) = stream.task.take() {
                task.wake();
            }
        }
        tired.len()
    }

    async fn run(self, stream: Rc<Stream>, task: impl Future) {
        {
            let mut open = self.0.open.borrow_mut();
            stream.place.set(open.len());
            open.push(Rc::clone(&stream));
        }
        let _leaves = Leaves(&self.0, &stream);
        let mut task = pin!(task);
        poll_fn(|cx| {
            if stream.ended.get() {
                return Poll::Ready(()); // the task is dropped, and with it the stream: RST_STREAM
            }
            let polled = task.as_mut().poll(cx).map(drop);
            let waker = stream.task.take().filter(|waker| waker.will_wake(cx.waker()));
            stream.task.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
            polled
        })
        .await;
    }
}

/// Takes a stream out when its task ends, however it does.
struct Leaves<'a>(&'a All, &'a Stream);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let mut open = self.0.open.borrow_mut();
        let place = self.1.place.get();
        if place < open.len() {
            open.swap_remove(place);
        }
        if let Some(other) = open.get(place) {
            other.place.set(place);
        }
    }
}

/// Runs the streams on the core of their connection.
impl<F: Future + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, task: F) {
        drop(match self.0.begun.take() {
            Some(stream) => tokio::task::spawn_local(self.clone().run(stream, task)),
            None => tokio::task::spawn_local(async move { drop(task.await) }), // a stream that was upgraded
        });
    }
}

/// An answer on its way to the client of a stream.
pub(crate) struct Outgoing {
    body: ProxyBody,
    stream: Rc<Stream>,
    last_byte: Option<Bytes>,
}

impl Outgoing {
    pub(crate) fn new(body: ProxyBody, stream: Rc<Stream>) -> Self {
        Self { body, stream, last_byte: None }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        // Asking for more means that the client has taken what was there.
        this.stream.untaken.set(None);
        let polled = match this.last_byte.take() {
            Some(byte) => Poll::Ready(Some(Ok(Frame::data(byte)))),
            None => Pin::new(&mut this.body).poll_frame(cx),
        };
        let Poll::Ready(Some(Ok(frame))) = polled else { return polled };
        this.stream.untaken.set(Some(0));
        let is_last = this.last_byte.is_none() && this.body.is_end_stream();
        let frame = match frame.into_data() {
            Ok(mut data) if is_last && data.len() > UNWATCHED => {
                let byte = data.split_off(data.len() - 1);
                this.last_byte = Some(Bytes::copy_from_slice(&byte)); // not the chunk's memory
                Frame::data(data)
            }
            Ok(data) => Frame::data(data),
            Err(trailers) => trailers,
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.last_byte.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.last_byte {
            Some(byte) => SizeHint::with_exact(byte.len() as u64),
            None => self.body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn of_a_large_last_chunk_the_last_byte_waits_for_the_client() {
        for (length, frames) in [(1, 1), (UNWATCHED, 1), (UNWATCHED + 1, 2), (100_000, 2)] {
            let stream = Rc::new(Stream::default());
            let body = ProxyBody::from(Bytes::from(vec![7; length]));
            let mut outgoing = Outgoing::new(body, Rc::clone(&stream));
            let (mut seen, mut total) = (0, 0);
            while !outgoing.is_end_stream() {
                assert_eq!(outgoing.size_hint().exact(), Some((length - total) as u64));
                total += outgoing.frame().await.unwrap().unwrap().into_data().unwrap().len();
                assert_eq!(stream.untaken.get(), Some(0), "it is the client's turn");
                seen += 1;
            }
            assert_eq!((seen, total), (frames, length));
        }
    }
}
