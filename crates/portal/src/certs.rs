//! `/cdn-cgi/access/certs`: the keys from which everybody verifies our tokens (access-protocol §5.6).

use crate::ask::Ask;
use crate::pages::Response;
use crate::secret::sha256;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use narthex_snapshot::Snapshot;

/// The document, or 304 for who has it already. Next keys are published a day before use, so that ten minutes in
/// a cache never hide one. Public keys are for everybody: any site may read them, without credentials.
pub(crate) fn certs(ask: &Ask<'_>, snapshot: &Snapshot) -> Response {
    let body = snapshot.keys.certs_json();
    let hash: String =
        sha256(body.as_bytes()).iter().take(16).map(|b| format!("{b:02x}")).collect();
    let tag = format!("\"{hash}\"");
    let known = ask.headers().get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let known =
        known.map(|one| one.trim().trim_start_matches("W/")).any(|one| one == tag || one == "*");

    let mut response =
        Response::new(if known { Bytes::new() } else { Bytes::from(body.to_owned()) });
    *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    if !known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}
