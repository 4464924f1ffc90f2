//! The response that every answer of the API leaves in, good or bad.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use narthex_model::RayId;
use serde_json::Value;

/// A JSON response with what every answer of the API carries.
pub(crate) fn respond(status: StatusCode, body: &Value, ray: &RayId) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(ray) = HeaderValue::from_str(ray.as_str()) {
        headers.insert("cf-ray", ray);
    }
    response
}
