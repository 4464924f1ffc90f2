//! One call to a provider, and what its status means.

use crate::error::IdpError;
use crate::json;
use crate::outbound::{OutboundError, OutboundHttp};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value};
use url::Url;

impl From<OutboundError> for IdpError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Unreachable(why) => Self::Unreachable(why),
            OutboundError::Answer(why) => Self::BadAnswer(why),
            OutboundError::Fenced(why) => Self::Misconfigured(why.to_string()),
            OutboundError::Setting(why) => Self::Misconfigured(why),
        }
    }
}

/// Calls the provider; `what` names the endpoint in errors. Answers of the server's own failure and redirects end here.
///
/// # Errors
/// `Unreachable` for 429 and 5xx; `Misconfigured` for redirects, which are never followed.
pub(crate) async fn call(
    http: &OutboundHttp,
    request: Request<Vec<u8>>,
    what: &str,
) -> Result<Response<Vec<u8>>, IdpError> {
    let answer = http.call(request).await?;
    let status = answer.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(IdpError::Unreachable(format!("{what} answered {}", status.as_u16())));
    }
    if status.is_redirection() {
        let code = status.as_u16();
        return Err(IdpError::Misconfigured(format!(
            "{what} redirects ({code}); configure the address that it leads to"
        )));
    }
    Ok(answer)
}

/// GETs `url`, with an access token if one is given.
///
/// # Errors
/// As [`call`].
pub(crate) async fn get(
    http: &OutboundHttp,
    url: &Url,
    access_token: Option<&str>,
    what: &str,
) -> Result<Response<Vec<u8>>, IdpError> {
    let mut request = Request::get(url.as_str()).header(ACCEPT, "application/json");
    if let Some(token) = access_token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Vec::new()).map_err(|_| {
        IdpError::BadAnswer(format!("{what} cannot be called with what the provider sent"))
    })?;
    call(http, request, what).await
}

/// The JSON object of an answer.
///
/// # Errors
/// `BadAnswer` when it is something else, or can be read in two ways.
pub(crate) fn object(body: &[u8], what: &str) -> Result<Map<String, Value>, IdpError> {
    json::object(body)
        .map_err(|why| IdpError::BadAnswer(format!("{what} did not send a JSON object: {why}")))
}
