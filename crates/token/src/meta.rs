//! The meta token: what the data path saw of a request, told to the team domain in the login URL (access-protocol §3.3).
//!
//! A stranger holds this token, and its `aud` is the application's. It therefore carries no `iss`, so that an origin
//! that checks signature, issuer, audience and expiry, as seed 003 tells it to, never takes it for an application token.

use crate::TokenError;
use crate::digest::Sha256Hex;
use crate::members::Members;
use crate::payload::{Payload, sealed};
use crate::standing::{Expected, Standing};
use narthex_model::{AudTag, ClientId, CountryCode, Hostname, UnixSeconds};
use serde::Serialize;
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

    /// Reads claims whose signature has been checked.
    pub(crate) fn read(mut members: Members, expected: &Expected<'_>) -> Result<Self, TokenError> {
        let standing = Standing::of(&mut members, expected)?;
        let Standing { aud, iat, exp, .. } = standing.with_nbf()?;
        Ok(Self {
            aud,
            hostname: members.parsed("hostname")?,
            redirect_url: members.text("redirect_url")?,
            iat,
            exp,
            service_token_status: members.flag("service_token_status")?,
            service_token_id: members.optional("service_token_id")?,
            auth_status: members.text("auth_status")?,
            mtls_auth: members.object("mtls_auth")?.into(),
            real_country: members.optional("real_country")?,
            app_session_hash: members.parsed::<Sha256Hex>("app_session_hash")?.0,
        })
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    aud: &'a str,
    hostname: &'a str,
    redirect_url: &'a str,
    iat: UnixSeconds,
    nbf: UnixSeconds,
    exp: UnixSeconds,
    service_token_status: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_token_id: Option<&'a str>,
    auth_status: &'a str,
    is_warp: bool,
    is_gateway: bool,
    mtls_auth: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    real_country: Option<CountryCode>,
    app_session_hash: &'a str,
}

impl sealed::Claims for MetaToken {
    fn payload(&self, _issuer: &str) -> Payload {
        Payload::whole(&Wire {
            kind: "meta",
            aud: self.aud.as_str(),
            hostname: self.hostname.as_str(),
            redirect_url: &self.redirect_url,
            iat: self.iat,
            nbf: self.iat,
            exp: self.exp,
            service_token_status: self.service_token_status,
            service_token_id: self.service_token_id.as_ref().map(ClientId::as_str),
            auth_status: &self.auth_status,
            is_warp: false,
            is_gateway: false,
            mtls_auth: &self.mtls_auth,
            real_country: self.real_country,
            app_session_hash: &self.app_session_hash,
        })
    }
}
