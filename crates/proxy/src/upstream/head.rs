//! The head of a request to an origin, and its two ways of writing: HTTP/1.1's and HTTP/2's.

use super::carrier::Carrier;
use super::error::UpstreamError;
use super::h1;
use super::upload::Upload;
use http::header::{CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use http_body::Body;

/// What an origin is asked, apart from the body.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// Canonical path, and the query as sent.
    pub(crate) path: PathAndQuery,
    /// `Host` or `:authority`.
    pub(crate) host: HeaderValue,
    /// Everything else; no framing, nothing hop-by-hop.
    pub(crate) headers: HeaderMap,
    /// The client takes trailers, and means it (gRPC does).
    pub(crate) takes_trailers: bool,
}

/// Whether `TE` says that trailers are welcome. To be asked before the hop-by-hop fields are removed.
pub(super) fn takes_trailers(headers: &HeaderMap) -> bool {
    let mut codings =
        headers.get_all(TE).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

impl Head {
    /// The request as `carrier` sends it.
    ///
    /// # Errors
    /// `Misconfigured` when the host cannot be an HTTP/2 authority.
    pub(super) fn onto(
        self,
        carrier: &Carrier,
        body: Upload,
    ) -> Result<Request<Upload>, UpstreamError> {
        let Self { method, path, host, mut headers, takes_trailers } = self;
        let mut parts = Request::new(()).into_parts().0;
        match carrier {
            Carrier::Line(_) => {
                h1::frame(&mut headers, &method, body.size_hint().exact());
                headers.insert(HOST, host);
                parts.uri = Uri::from(path);
            }
            Carrier::Seat(seat) => {
                if takes_trailers {
                    headers.insert(TE, HeaderValue::from_static("trailers"));
                }
                parts.uri = absolute(seat.scheme(), &host, path)?;
                parts.version = Version::HTTP_2;
            }
        }
        parts.method = method;
        parts.headers = headers;
        Ok(Request::from_parts(parts, body))
    }

    /// Takes a request that was not sent apart again.
    pub(super) fn back(request: Request<Upload>) -> Option<(Self, Upload)> {
        let (mut parts, body) = request.into_parts();
        let takes_trailers = parts.headers.remove(TE).is_some();
        let host = match parts.headers.remove(HOST) {
            Some(host) => host,
            None => HeaderValue::from_str(parts.uri.authority()?.as_str()).ok()?,
        };
        for framing in [CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(framing);
        }
        let path = parts.uri.path_and_query()?.clone();
        let (method, headers) = (parts.method, parts.headers);
        Some((Self { method, path, host, headers, takes_trailers }, body))
    }
}

fn absolute(scheme: Scheme, host: &HeaderValue, path: PathAndQuery) -> Result<Uri, UpstreamError> {
    let invalid = || UpstreamError::Misconfigured {
        origin: String::from_utf8_lossy(host.as_bytes()).into_owned(),
        reason: "http_host_header cannot stand in an HTTP/2 request".to_owned(),
    };
    let authority = Authority::try_from(host.as_bytes()).map_err(|_| invalid())?;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|_| invalid())
}
