//! The userinfo endpoint (OpenID Connect Core §5.3): claims that the ID token lacks.

use crate::ask;
use crate::error::IdpError;
use crate::outbound::OutboundHttp;
use http::StatusCode;
use openidconnect::AccessToken;
use serde_json::{Map, Value};
use url::Url;

/// Asks for the claims of `subject`.
///
/// Only plain JSON is read. A signed answer (`application/jwt`) is refused: it is sent only to clients that registered for it.
///
/// # Errors
/// `BadAnswer` when the answer is about somebody else (§5.3.2) or not a JSON object; otherwise as [`ask::call`].
pub(crate) async fn fetch(
    http: &OutboundHttp,
    url: &Url,
    access_token: &AccessToken,
    subject: &str,
) -> Result<Map<String, Value>, IdpError> {
    let answer = ask::get(http, url, Some(access_token.secret()), "the userinfo endpoint").await?;
    if answer.status() != StatusCode::OK {
        let code = answer.status().as_u16();
        return Err(IdpError::BadAnswer(format!("the userinfo endpoint answered {code}")));
    }
    let kind = answer.headers().get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/jwt")) {
        return Err(IdpError::BadAnswer(
            "the userinfo endpoint sent a signed answer; set the provider to plain JSON".to_owned(),
        ));
    }
    let claims = ask::object(answer.body(), "the userinfo endpoint")?;
    if claims.get("sub").is_none_or(|sub| sub != subject) {
        return Err(IdpError::BadAnswer("the userinfo is about another person (sub)".to_owned()));
    }
    Ok(claims)
}
