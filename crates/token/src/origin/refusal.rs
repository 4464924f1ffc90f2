//! What an application answers instead of letting a request in: the one place that decides what a stranger gets to see.

use crate::TokenError;
use http::{HeaderValue, Response, StatusCode, header};

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was presented.
    #[error(
        "This application is reached through its access gateway: the request has no Cf-Access-Jwt-Assertion."
    )]
    NoToken,
    /// The header stands there twice, so that two readers could believe two different people.
    #[error("Cf-Access-Jwt-Assertion stands there more than once.")]
    SeveralTokens,
    /// The token is not good here.
    #[error("The access token is refused: {0}.")]
    Token(#[from] TokenError),
    /// The token of a cookie is bound to a browser or to a client certificate, and nothing proves that it is theirs.
    #[error(
        "The access token is refused: it is bound to a browser or a certificate that did not come with it."
    )]
    NotBound,
    /// The team's keys could not be fetched; the reason is in the log.
    #[error("The keys that access tokens are checked with cannot be fetched at the moment.")]
    NoKeys,
}

impl Refusal {
    /// 401 for whom we do not know, 403 for a good token that is meant for something else, 503 while there are no keys.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::SeveralTokens | Self::NotBound => StatusCode::UNAUTHORIZED,
            Self::Token(TokenError::Audience | TokenError::Issuer | TokenError::Type) => {
                StatusCode::FORBIDDEN
            }
            Self::Token(
                TokenError::TooLarge
                | TokenError::Malformed(_)
                | TokenError::Algorithm { .. }
                | TokenError::UnknownKey { .. }
                | TokenError::Signature
                | TokenError::Expired { .. }
                | TokenError::NotYetValid { .. }
                | TokenError::Claim(_),
            ) => StatusCode::UNAUTHORIZED,
            Self::NoKeys => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether another set of keys might change it.
    pub(crate) fn lacks_key(&self) -> bool {
        matches!(self, Self::Token(TokenError::UnknownKey { .. }))
    }

    /// The answer: plain text that nothing keeps.
    #[must_use]
    pub fn answer<B: From<String>>(&self) -> Response<B> {
        let mut answer = Response::new(B::from(format!("{self}\n")));
        *answer.status_mut() = self.status();
        let headers = answer.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                let scheme = HeaderValue::from_static("Cloudflare-Access"); // RFC 9110 §15.5.2 asks for one
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, super::SECONDS_AFTER_A_FAILURE.into());
            }
            _ => {}
        }
        answer
    }
}
