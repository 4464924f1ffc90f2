//! An origin's answer on its way back: judged, cleaned, and streamed as it comes.

use crate::asking::Given;
use crate::body::{BodyError, ProxyBody};
use crate::carrier::{Carrier, Loss, Source};
use crate::error::UpstreamError;
use crate::pool::Road;
use crate::transform::{clean_answer, clean_trailers};
use crate::vigil::Watch;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What an answer came over, and what it takes for that to be used again.
pub(super) struct Arrived {
    pub(super) carrier: Carrier,
    pub(super) road: Rc<Road>,
    /// Whether it may be used again after this answer.
    pub(super) reusable: bool,
}

/// Marks an answer that came before its request was sent to the end. What the client still sends after the answer
/// would be taken for its next request, so its connection is not kept (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug)]
pub struct Early;

/// The body of an origin's answer. Read to its end, it leaves its connection to the next request; dropped before,
/// or ended by an error, it takes the connection with it.
pub struct Answer {
    source: Source,
    watch: Watch,
    /// None after the end.
    arrived: Option<Arrived>,
    /// Why it broke off. It is kept for one more turn, so that what came before is sent on before the client's
    /// connection is closed over it.
    broken: Option<Loss>,
}

/// Whether these credentials or challenges are of a kind that authenticates a connection and not a request
/// (security rule 20, checklist I10).
pub(super) fn binds_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut parts = value.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii_start);
        parts.any(|part| {
            ["ntlm", "negotiate"].iter().any(|scheme| {
                let (head, rest) = part.split_at_checked(scheme.len()).unwrap_or((b"", b""));
                head.eq_ignore_ascii_case(scheme.as_bytes())
                    && rest.first().is_none_or(|b| b.is_ascii_whitespace())
            })
        })
    })
}

/// Whether a request carries credentials that some origins bind to the connection.
pub(super) fn request_binds(headers: &HeaderMap) -> bool {
    binds_connection(headers, &AUTHORIZATION)
}

/// Judges and cleans an answer and wraps its body.
///
/// # Errors
/// `BadAnswer` when its framing has two meanings, or it switches protocols without being asked.
pub(super) fn pass_on(
    answer: Response<Source>,
    mut arrived: Arrived,
    watch: Watch,
    Given { ray, tally, patience }: Given<'_>,
) -> Result<Response<ProxyBody>, UpstreamError> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(UpstreamError::bad_answer("it switches protocols without being asked"));
    }
    let mut early = false;
    match &arrived.carrier {
        Carrier::Line(line) => {
            early = line.send_the_rest();
            arrived.reusable &= !binds_connection(answer.headers(), &WWW_AUTHENTICATE);
        }
        Carrier::Seat(_) => {} // shared from the start, so no origin can bind it to one caller
    }
    watch.arrived().map_err(|cut| UpstreamError::of_cut(cut, patience.idle))?;
    let (parts, source) = answer.into_parts();
    let mut passed = Response::new(ProxyBody::Empty);
    if early {
        passed.extensions_mut().insert(Early);
    }
    *passed.status_mut() = parts.status;
    *passed.headers_mut() = parts.headers;
    if parts.status == StatusCode::NO_CONTENT {
        passed.headers_mut().remove(CONTENT_LENGTH);
    }
    if clean_answer(passed.headers_mut(), ray) > 0 {
        tally.impostor();
        arrived.road.warn_of_impostor();
    }
    let stream = is_stream(passed.headers());
    watch.allow(if stream { patience.stream } else { patience.idle });
    let mut answer = Answer { source, watch, arrived: Some(arrived), broken: None };
    if answer.is_ended() {
        answer.finish();
    } else {
        *passed.body_mut() = ProxyBody::Origin(answer);
    }
    Ok(passed)
}

/// Whether a message of this type may be silent for long: server-sent events and gRPC.
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    ["text/event-stream", "application/grpc"].iter().any(|stream| {
        kind.get(..stream.len()).is_some_and(|head| head.eq_ignore_ascii_case(stream.as_bytes()))
    })
}

impl Answer {
    /// The answer was read to its end: its connection may serve another request, unless something speaks against it.
    fn finish(&mut self) {
        let Some(arrived) = self.arrived.take() else { return };
        match arrived.carrier {
            Carrier::Line(line) if arrived.reusable && line.is_reusable() => {
                arrived.road.rest(line, self.watch.now());
            }
            Carrier::Line(_) | Carrier::Seat(_) => {} // dropped: a line is closed, a seat is free
        }
    }

    /// Whether nothing more comes.
    fn is_ended(&self) -> bool {
        match (&self.arrived, &self.source) {
            (None, _) => true,
            (Some(_), Source::Shared(body)) => body.is_end_stream(),
            (Some(Arrived { carrier: Carrier::Line(line), .. }), Source::Line) => line.is_ended(),
            (Some(Arrived { carrier: Carrier::Seat(_), .. }), Source::Line) => true,
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Loss>>> {
        match (&self.arrived, &mut self.source) {
            (Some(Arrived { carrier: Carrier::Line(line), .. }), Source::Line) => {
                line.poll_data(cx).map_err(Loss::Line)
            }
            (Some(_), Source::Shared(body)) => Pin::new(body).poll_frame(cx).map_err(Loss::Shared),
            (None, _) | (Some(Arrived { carrier: Carrier::Seat(_), .. }), Source::Line) => {
                Poll::Ready(None)
            }
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.arrived = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(loss) = this.broken.take() {
            return this.fail(BodyError::Origin(loss));
        }
        let attended = match this.poll_source(cx) {
            Poll::Pending => this.watch.wait(cx).map(|()| Poll::Pending),
            Poll::Ready(polled) => this.watch.arrived().map(|()| Poll::Ready(polled)),
        };
        match attended {
            Err(cut) => this.fail(BodyError::Cut(cut)),
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(None)) => {
                this.finish();
                Poll::Ready(None)
            }
            Ok(Poll::Ready(Some(Err(loss)))) => {
                this.broken = Some(loss);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(Poll::Ready(Some(Ok(mut frame)))) => {
                let last = frame.trailers_mut().map(clean_trailers).is_some();
                if last || this.is_ended() {
                    this.finish(); // nobody polls again after this frame
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.arrived, &self.source) {
            (Some(Arrived { carrier: Carrier::Line(line), .. }), Source::Line) => line.size_hint(),
            (Some(_), Source::Shared(body)) => body.size_hint(),
            (None, _) | (Some(_), Source::Line) => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_credentials_bind_the_connection() {
        for (value, want) in [
            ("NTLM", true),
            ("negotiate", true),
            ("Negotiate oYG2MIG", true),
            ("Basic realm=\"a\", NTLM", true),
            ("Basic bnRsbQ==", false),
            ("Bearer negotiate", false),
            ("NTLMv9 x", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(value));
            assert_eq!(binds_connection(&headers, &WWW_AUTHENTICATE), want, "{value}");
        }
    }
}
