//! One HTTP/1.1 connection to an origin.
//!
//! The seam to the HTTP library is narrow: a [`Line`] sends one request at a time and gives back an answer whose
//! framing has been held against RFC 9112 §6.3, or says why not. A line that is dropped is closed; only
//! [`super::pool`] keeps one for another request.

use super::connect::Wire;
use super::error::UpstreamError;
use super::upload::Upload;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

/// A connection that is not in use by anybody else.
pub(super) struct Line {
    sender: http1::SendRequest<Upload>,
    driver: AbortHandle,
}

impl Line {
    /// Speaks HTTP/1.1 over `wire`.
    pub(super) async fn open(wire: Wire) -> Result<Self, UpstreamError> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(super::HEAD_BYTES).max_headers(super::HEAD_FIELDS);
        let opened = builder.handshake(TokioIo::new(wire)).await;
        let (sender, connection) = opened.map_err(UpstreamError::of_http)?;
        let driver = tokio::task::spawn_local(connection.with_upgrades()).abort_handle();
        Ok(Self { sender, driver })
    }

    /// Whether another request may be sent right now.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether the origin has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends `request`; the answer's head comes out of the future.
    pub(super) fn send(
        &mut self,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload>>>> + use<>
    {
        self.sender.try_send_request(request)
    }

    /// The connection now belongs to an upgrade, which ends it when it ends.
    pub(super) fn hand_over(self) -> Handed {
        Handed { _line: self }
    }
}

/// A connection that has been upgraded; closed when dropped.
pub(crate) struct Handed {
    _line: Line,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Writes the one framing of a request: a length if it is known, else chunks, else nothing.
pub(super) fn frame(headers: &mut HeaderMap, method: &Method, length: Option<u64>) {
    match length {
        Some(0) if ![Method::POST, Method::PUT, Method::PATCH].contains(method) => {}
        Some(length) => {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        None => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// Refuses an answer whose length two readers could understand differently (RFC 9112 §6.3, checklist I8). The HTTP
/// library is more lenient.
pub(super) fn check_framing<B>(answer: &Response<B>) -> Result<(), UpstreamError> {
    let refuse = |reason| Err(UpstreamError::bad_answer(reason));
    let headers = answer.headers();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (coding, length) = (codings.next(), lengths.next());
    if codings.next().is_some() || lengths.next().is_some() {
        return refuse("it states its length twice");
    }
    let bodiless = answer.status().is_informational() || answer.status() == 204;
    match (coding, length) {
        (None, None) => Ok(()),
        (Some(_), Some(_)) => refuse("it has both Content-Length and Transfer-Encoding"),
        (Some(_), None) if answer.version() != Version::HTTP_11 => {
            refuse("it has Transfer-Encoding before HTTP/1.1")
        }
        (Some(_), None) if bodiless => refuse("it frames a body that its status cannot have"),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), None) => refuse("its Transfer-Encoding is not chunked alone"),
        (None, Some(length)) if bodiless && length != "0" => {
            refuse("it frames a body that its status cannot have")
        }
        (None, Some(length)) => {
            let digits = length.as_bytes();
            let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            if plain { Ok(()) } else { refuse("its Content-Length is not a number") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_one_length() {
        for (name, status, fields, sound) in [
            ("none", 200, &[][..], true),
            ("a length", 200, &[("content-length", "5")], true),
            ("chunked", 200, &[("transfer-encoding", "Chunked")], true),
            ("two equal lengths", 200, &[("content-length", "5"), ("content-length", "5")], false),
            ("a list of lengths", 200, &[("content-length", "5, 5")], false),
            ("a signed length", 200, &[("content-length", "+5")], false),
            ("an empty length", 200, &[("content-length", "")], false),
            ("both", 200, &[("content-length", "5"), ("transfer-encoding", "chunked")], false),
            ("gzip, chunked", 200, &[("transfer-encoding", "gzip, chunked")], false),
            (
                "chunked twice",
                200,
                &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
                false,
            ),
            ("identity", 200, &[("transfer-encoding", "identity")], false),
            ("204 with nothing", 204, &[("content-length", "0")], true),
            ("204 with something", 204, &[("content-length", "5")], false),
            ("204 in chunks", 204, &[("transfer-encoding", "chunked")], false),
            ("101 with something", 101, &[("content-length", "5")], false),
            ("304 speaks of another body", 304, &[("content-length", "5")], true),
        ] {
            let mut answer = Response::builder().status(status);
            for (name, value) in fields {
                answer = answer.header(*name, *value);
            }
            assert_eq!(check_framing(&answer.body(()).unwrap()).is_ok(), sound, "{name}");
        }
        let mut old = Response::builder().header("transfer-encoding", "chunked").body(()).unwrap();
        *old.version_mut() = Version::HTTP_10;
        assert!(check_framing(&old).is_err(), "chunks in HTTP/1.0");
    }

    #[test]
    fn a_request_has_one_framing() {
        for (method, length, want) in [
            (Method::GET, Some(0), &[][..]),
            (Method::POST, Some(0), &["content-length: 0"]),
            (Method::GET, Some(3), &["content-length: 3"]),
            (Method::GET, None, &["transfer-encoding: chunked"]),
            (Method::POST, None, &["transfer-encoding: chunked"]),
        ] {
            let mut headers = HeaderMap::new();
            frame(&mut headers, &method, length);
            let written: Vec<String> =
                headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
            assert_eq!(written, want, "{method} {length:?}");
        }
    }
}
