//! The response that every answer of the API leaves in, good or bad.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use narthex_model::RayId;
use serde_json::Value;

/// A JSON response with what every answer of the API carries.
pub(crate) fn respond(status: StatusCode, body: &Value, ray: &RayId) -> Response<Bytes> {
    bare(status, "application/json", body.to_string(), ray)
}

/// A document of any type, with the same headers.
pub(crate) fn bare(
    status: StatusCode,
    kind: &'static str,
    text: String,
    ray: &RayId,
) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(ray) = HeaderValue::from_str(ray.as_str()) {
        headers.insert("cf-ray", ray);
    }
    response
}
