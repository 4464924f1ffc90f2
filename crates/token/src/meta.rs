//! The meta token: what the data path saw of a request, told to the team domain in the login URL (access-protocol §3.3).
//!
//! A stranger holds this token, and its `aud` is the application's. It therefore carries no `iss`, so that an origin
//! that checks signature, issuer, audience and expiry, as seed 003 tells it to, never takes it for an application token.

use narthex_model::{AudTag, ClientId, CountryCode, Hostname, UnixSeconds};
use serde_json::Value;

/// Type `meta`: facts about the request that was sent to the login page.
#[derive(Clone, Debug, PartialEq)]
pub struct MetaToken {
    /// The application, written as a string.
    pub aud: AudTag,
    /// The host that was asked for.
    pub hostname: Hostname,
    /// Path and query that were asked for. Keep it short: the token travels in a URL.
    pub redirect_url: String,
    /// When it was issued; also its `nbf`.
    pub iat: UnixSeconds,
    /// From this instant on it is refused; [`MetaToken::LIFE_SECONDS`] after `iat`.
    pub exp: UnixSeconds,
    /// A valid service token was sent, but no Service Auth policy admits it.
    pub service_token_status: bool,
    /// Client ID of that service token; left out when there was none.
    pub service_token_id: Option<ClientId>,
    /// `NONE`, or what became of the credential that was sent.
    pub auth_status: String,
    /// What is known of a client certificate; [`MetaToken::no_certificate`] when none was sent.
    pub mtls_auth: Value,
    /// Where the request came from; left out when unknown.
    pub real_country: Option<CountryCode>,
    /// SHA-256 of the `CF_AppSession` cookie, 64 hexadecimal digits ([`crate::AppSession::hash`]).
    pub app_session_hash: String,
}

impl MetaToken {
    /// Life of a meta token in seconds.
    pub const LIFE_SECONDS: i64 = 300;

    /// `mtls_auth` of a request without a client certificate.
    #[must_use]
    pub fn no_certificate() -> Value {
        serde_json::json!({
            "cert_issuer_dn": "", "cert_serial": "", "cert_issuer_ski": "", "cert_presented": false,
            "common_name": "", "auth_status": "NONE",
        })
    }
}
