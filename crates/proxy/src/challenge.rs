//! Sending a client to log in: the redirect to the team domain, byte for byte as access-protocol §3.2 shows it.

use crate::client_certificate::{Judged, Standing};
use crate::lane::Lane;
use crate::site::RESOURCE_METADATA;
use crate::source::Source;
use crate::target::Target;
use crate::world::World;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, CACHE_CONTROL, CONTENT_TYPE, EXPIRES, LOCATION, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use narthex_model::{Authority, ServiceToken, UnixSeconds};
use narthex_snapshot::App;
use narthex_token::{AppSession, MetaToken, set_cookie};
use narthex_upstream::ProxyBody;
use std::sync::Arc;
use url::form_urlencoded::byte_serialize;

/// `Cache-Control` of everything that must not be kept (access-protocol §3.2).
pub(crate) const NEVER_KEEP: HeaderValue = HeaderValue::from_static(
    "private, max-age=0, no-store, no-cache, must-revalidate, post-check=0, pre-check=0",
);

/// `Expires` beside it.
pub(crate) const LONG_EXPIRED: HeaderValue =
    HeaderValue::from_static("Thu, 01 Jan 1970 00:00:01 GMT");

/// 143 bytes, as captured; whoever sees them has no browser.
const BODY: &[u8] = b"<html>\r\n<head><title>302 Found</title></head>\r\n<body>\r\n<center><h1>302 Found</h1></center>\r\n<hr><center>log in now</center>\r\n</body>\r\n</html>\r\n";

/// Longest path and query that are carried through a login, in bytes; they stand in the URL twice.
const LONGEST_RETURN: usize = 2048;

/// A login that could help.
pub(crate) struct Challenge<'a> {
    pub(crate) lane: &'a Lane,
    pub(crate) world: &'a World,
    pub(crate) app: &'a App,
    pub(crate) target: &'a Target,
    pub(crate) source: &'a Source,
    /// The `CF_AppSession` cookie that the browser sent; it is kept.
    pub(crate) app_session: Option<&'a AppSession>,
    /// A valid service token that no policy admits.
    pub(crate) token: Option<&'a Arc<ServiceToken>>,
    /// Whether a service token was sent that proves nothing.
    pub(crate) invalid_token: bool,
    /// The client certificate; `None` where none is asked for.
    pub(crate) certificate: Option<&'a Judged>,
    pub(crate) now: UnixSeconds,
}

impl Challenge<'_> {
    /// The 302.
    pub(crate) fn redirect(self) -> Response<ProxyBody> {
        let session = self.app_session.cloned().unwrap_or_else(AppSession::random);
        let back = self.way_back();
        let mut location = login_url(self.world, self.app, self.target);
        if self.lane.signatures.take() {
            location.push_str("&meta=");
            location.push_str(&self.world.snapshot.keys.mint(&self.meta(&session, back)));
        } else {
            // The login stays tied to this browser: a hash of somebody else's cookie would only spoil it.
            location.push_str("&app_session_hash=");
            location.push_str(&AppSession::hash(session.as_str()));
        }
        location.push_str("&redirect_url=");
        location.extend(byte_serialize(back.as_bytes()));

        let mut response = Response::new(ProxyBody::Full(Bytes::from_static(BODY)));
        *response.status_mut() = StatusCode::FOUND;
        let headers = response.headers_mut();
        let cookie = set_cookie::app_session(&session, self.now);
        let fields = [
            (LOCATION, HeaderValue::try_from(location)),
            (SET_COOKIE, HeaderValue::try_from(cookie)),
            (ACCESS_CONTROL_ALLOW_CREDENTIALS, Ok(HeaderValue::from_static("true"))),
            (CACHE_CONTROL, Ok(NEVER_KEEP)),
            (EXPIRES, Ok(LONG_EXPIRED)),
            (WWW_AUTHENTICATE, Ok(www_authenticate(self.target))),
            (CONTENT_TYPE, Ok(HeaderValue::from_static("text/html"))),
        ];
        for (name, value) in fields {
            headers.insert(name, value.expect("made of visible ASCII only"));
        }
        response
    }

    /// Path and query to come back to; what is too long to carry is cut to the path, or to `/`.
    fn way_back(&self) -> &str {
        let whole = self.target.path_and_query().as_str();
        let fits = |text: &&str| text.len() <= LONGEST_RETURN;
        [whole, self.target.path()].into_iter().find(fits).unwrap_or("/")
    }

    /// What is known of the client certificate: with one that is trusted, the login itself may depend on it.
    fn mtls_auth(&self) -> serde_json::Value {
        let Some(judged) = self.certificate else { return MetaToken::no_certificate() };
        match (judged.holder(), judged.standing()) {
            (Some(holder), _) => holder.mtls_auth(),
            (None, Standing::Missing | Standing::Trusted) => MetaToken::no_certificate(),
            (None, Standing::Failed(reason)) => {
                let mut told = MetaToken::no_certificate();
                told["cert_presented"] = true.into();
                told["auth_status"] = format!("FAILED:{reason}").into();
                told
            }
        }
    }

    fn meta(&self, session: &AppSession, back: &str) -> MetaToken {
        let status = if self.invalid_token { "SERVICE_TOKEN_INVALID" } else { "NONE" };
        MetaToken {
            aud: self.app.aud().clone(),
            hostname: self.target.host().clone(),
            redirect_url: back.to_owned(),
            iat: self.now,
            exp: self.now.plus(MetaToken::LIFE_SECONDS),
            service_token_status: self.token.is_some(),
            service_token_id: self.token.map(|token| token.client_id.clone()),
            auth_status: status.to_owned(),
            mtls_auth: self.mtls_auth(),
            real_country: self.source.country,
            app_session_hash: AppSession::hash(session.as_str()),
        }
    }
}

/// Where people log in to `app` on the host of `target`. Whoever sends somebody there may add `redirect_url`, the page to
/// return to; without it that is where the application begins.
pub(crate) fn login_url(world: &World, app: &App, target: &Target) -> String {
    let team = world.snapshot.premises.team.issuer();
    let host = without_default_port(target.authority());
    format!("{team}/cdn-cgi/access/login/{host}?kid={}", app.aud().as_str())
}

/// Host and port as a browser shows them.
pub(crate) fn without_default_port(authority: &Authority) -> Authority {
    let port = authority.port.filter(|port| *port != 443);
    Authority { host: authority.host.clone(), port }
}

/// `WWW-Authenticate` of a protected application, on 302 and 401.
pub(crate) fn www_authenticate(target: &Target) -> HeaderValue {
    let host = without_default_port(target.authority());
    let path = if target.path().len() > LONGEST_RETURN { "/" } else { target.path() };
    let path = path.replace('"', "%22");
    let text =
        format!("Cloudflare-Access resource_metadata=\"https://{host}{RESOURCE_METADATA}{path}\"");
    HeaderValue::try_from(text).expect("a canonical path is visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_as_long_as_captured() {
        assert_eq!(BODY.len(), 143);
    }
}
