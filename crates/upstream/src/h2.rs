//! HTTP/2 to an origin: a few connections that many requests share.

use crate::connect::Wire;
use crate::error::UpstreamError;
use crate::upload::Upload;
use http::uri::Scheme;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::task::AbortHandle;

/// Requests that share one connection at most; origins commonly allow 100 or more.
const SHARERS: usize = 100;

/// Bytes that an origin may send ahead of the client's reading, for one answer and for a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// The shared connections to one origin.
#[derive(Default)]
pub(super) struct Trunks {
    open: RefCell<Vec<Rc<Trunk>>>,
    /// Held while a connection is made, so that a crowd makes one and not a hundred.
    pub(super) dialing: tokio::sync::Mutex<()>,
}

/// One shared connection.
pub(super) struct Trunk {
    scheme: Scheme,
    sender: http2::SendRequest<Upload>,
    driver: AbortHandle,
    sharers: Cell<usize>,
    retired: Cell<bool>,
    /// The tick in which it was first seen without a sharer.
    quiet_since: Cell<Option<u32>>,
}

/// A request's place on a shared connection.
pub(super) struct Seat(Rc<Trunk>);

/// Runs the HTTP library's tasks on this core.
#[derive(Clone, Copy)]
pub(super) struct ThisCore;

impl<F: Future + 'static> Executor<F> for ThisCore {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

impl Trunks {
    /// A place on a connection that has one left.
    pub(super) fn seat(&self) -> Option<Seat> {
        let mut open = self.open.borrow_mut();
        open.retain(|trunk| !trunk.retired.get() && !trunk.sender.is_closed());
        open.iter().find(|trunk| trunk.sharers.get() < SHARERS).map(Seat::on)
    }

    /// Speaks HTTP/2 over `wire` and takes the first place on it.
    pub(super) async fn open(&self, wire: Wire) -> Result<Seat, UpstreamError> {
        let mut builder = http2::Builder::new(ThisCore);
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(super::HEAD_BYTES).unwrap_or(u32::MAX));
        let scheme = match &wire {
            Wire::Tls(_) => Scheme::HTTPS,
            Wire::Tcp(_) | Wire::Unix(_) => Scheme::HTTP,
        };
        let opened = builder.handshake(TokioIo::new(wire)).await;
        let (sender, connection) = opened.map_err(|error| UpstreamError::of_loss(error.into()))?;
        let driver = tokio::task::spawn_local(connection).abort_handle();
        let trunk = Rc::new(Trunk {
            scheme,
            sender,
            driver,
            sharers: Cell::new(0),
            retired: Cell::new(false),
            quiet_since: Cell::new(None),
        });
        self.open.borrow_mut().push(Rc::clone(&trunk));
        Ok(Seat::on(&trunk))
    }

    /// Closes connections that nobody has used for `ticks`.
    pub(super) fn sweep(&self, now: u32, ticks: u32) {
        self.open.borrow_mut().retain(|trunk| {
            let quiet = trunk.sharers.get() == 0;
            let since = quiet.then(|| trunk.quiet_since.get().unwrap_or(now));
            trunk.quiet_since.set(since);
            let fresh = since.is_none_or(|since| now.wrapping_sub(since) <= ticks);
            fresh && !trunk.sender.is_closed()
        });
    }

    /// Whether no connection is open.
    pub(super) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }
}

impl Seat {
    fn on(trunk: &Rc<Trunk>) -> Self {
        trunk.sharers.set(trunk.sharers.get() + 1);
        Self(Rc::clone(trunk))
    }

    /// Sends `request`; the answer's head comes out of the future.
    pub(super) fn send(
        &mut self,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload>>>> + use<>
    {
        self.0.sender.clone().try_send_request(request)
    }

    /// The scheme that the connection itself has; origins compare.
    pub(super) fn scheme(&self) -> Scheme {
        self.0.scheme.clone()
    }

    /// Nobody else gets a place on this connection; those who have one may finish.
    pub(super) fn retire(&self) {
        self.0.retired.set(true);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.sharers.set(self.0.sharers.get().saturating_sub(1));
    }
}

impl Drop for Trunk {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
