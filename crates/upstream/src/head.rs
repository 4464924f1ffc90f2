//! The head of a request to an origin.

use crate::error::UpstreamError;
use crate::upload::Upload;
use http::header::TE;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Version};

/// What an origin is asked, apart from the body.
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
    /// The request as a shared connection sends it.
    ///
    /// # Errors
    /// `Misconfigured` when the host cannot be an HTTP/2 authority.
    pub(super) fn shared(
        &self,
        scheme: Scheme,
        body: Upload,
    ) -> Result<Request<Upload>, UpstreamError> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = absolute(scheme, &self.host, self.path.clone())?;
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().clone_from(&self.headers);
        if self.takes_trailers {
            request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        }
        Ok(request)
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
