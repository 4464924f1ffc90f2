//! What carries one request to an origin: a line of its own, or a seat on a shared connection.

use crate::error::UpstreamError;
use crate::h1::Line;
use crate::h2::Seat;
use crate::head::Head;
use crate::upload::{CutOff, Upload};
use crate::vigil::{Cut, Watch};
use http::Response;
use hyper::body::Incoming;
use narthex_http1::Fault;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// A connection, or a share of one, that this request may use.
pub(super) enum Carrier {
    Line(Line),
    Seat(Seat),
}

/// Where the body of an answer is.
pub(super) enum Source {
    /// On the line that carried the request.
    Line,
    /// On a shared connection.
    Shared(Incoming),
}

/// What the one or the other way of speaking HTTP to origins says when it fails.
#[derive(Debug, thiserror::Error)]
pub enum Loss {
    /// Over a line.
    #[error(transparent)]
    Line(#[from] Fault<CutOff>),
    /// On a shared connection.
    #[error(transparent)]
    Shared(#[from] hyper::Error),
}

/// How sending failed.
pub(super) enum Failed {
    /// Not a byte of it was sent; the body is where it was.
    Unsent,
    /// It was sent, and this came back.
    Lost(Loss),
    /// The exchange was ended from outside.
    Cut(Cut),
    /// It cannot be sent as the ingress rule wants.
    Impossible(UpstreamError),
}

impl Carrier {
    /// Sends a request and waits for the head of the answer, as long as the exchange lasts. `body` is taken; it is put back
    /// if nothing was sent.
    pub(super) async fn send(
        &mut self,
        head: &Head,
        body: &mut Option<Upload>,
        watch: &Watch,
    ) -> Result<Response<Source>, Failed> {
        watch.arrived().map_err(Failed::Cut)?;
        let Some(upload) = body.take() else { return Err(Failed::Unsent) };
        match self {
            Self::Line(line) => {
                line.begin(head, upload);
                let answer =
                    attended(watch, |cx| line.poll_answer(cx)).await.map_err(Failed::Cut)?;
                match answer {
                    Ok(answer) => Ok(answer.map(|()| Source::Line)),
                    Err(fault) => Err(match line.take_back() {
                        Some(upload) if fault.is_closed() => {
                            *body = Some(upload);
                            Failed::Unsent
                        }
                        Some(_) | None => Failed::Lost(fault.into()),
                    }),
                }
            }
            Self::Seat(seat) => {
                let request = head.shared(seat.scheme(), upload).map_err(Failed::Impossible)?;
                let mut sending = Box::pin(seat.send(request));
                let answer = attended(watch, |cx| sending.as_mut().poll(cx)).await;
                match answer.map_err(Failed::Cut)? {
                    Ok(answer) => Ok(answer.map(Source::Shared)),
                    Err(mut failed) => Err(match failed.take_message() {
                        Some(request) => {
                            *body = Some(request.into_body());
                            Failed::Unsent
                        }
                        None => Failed::Lost(failed.into_error().into()),
                    }),
                }
            }
        }
    }

    /// After an answer that never came, nobody else should have to wait on the same connection.
    pub(super) fn doubt(&self) {
        match self {
            Self::Line(_) => {} // closed when dropped
            Self::Seat(seat) => seat.retire(),
        }
    }
}

async fn attended<T>(
    watch: &Watch,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Cut> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(sent) => Poll::Ready(Ok(sent)),
        Poll::Pending => {
            watch.wait(cx).map_or_else(|cut| Poll::Ready(Err(cut)), |()| Poll::Pending)
        }
    })
    .await
}
