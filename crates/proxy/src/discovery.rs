//! What anybody may learn of an application: enough to find the way to log in (access-protocol §2.5, §13.2).

use crate::challenge::without_default_port;
use crate::lane::Lane;
use crate::site::RESOURCE_METADATA;
use crate::target::Target;
use crate::world::World;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use narthex_model::UnixSeconds;
use narthex_snapshot::App;
use narthex_token::MatchToken;
use narthex_upstream::ProxyBody;

const PROBE: HeaderName = HeaderName::from_static("cf-access-metadata-request");
const METADATA: HeaderName = HeaderName::from_static("cf-access-metadata");

/// Whether a command-line client asks which application this is.
pub(crate) fn is_probe(headers: &HeaderMap) -> bool {
    headers.get(PROBE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// The answer to the probe: a token of type `match` in `cf-access-metadata`. It comes before any policy and never
/// from the origin. `None` when more probes came than we sign for.
pub(crate) fn metadata(
    lane: &Lane,
    world: &World,
    app: &App,
    target: &Target,
    now: UnixSeconds,
) -> Option<Response<ProxyBody>> {
    let token = MatchToken {
        aud: app.aud().clone(),
        hostname: target.host().clone(),
        auth_domain: world.snapshot.premises.team.clone(),
        app_hostname: app.domain().split('/').next().unwrap_or_default().to_owned(),
        iat: now,
    };
    if !lane.signatures.take() {
        return None;
    }
    let jwt = world.snapshot.keys.mint(&token);
    let mut response = Response::new(ProxyBody::Empty);
    let headers = response.headers_mut();
    headers.insert(METADATA, HeaderValue::try_from(jwt).ok()?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

/// Protected-resource metadata in the shape of RFC 9728; 200 whether or not anybody is logged in.
pub(crate) fn resource_metadata(world: &World, target: &Target) -> Response<ProxyBody> {
    let host = without_default_port(target.authority());
    let path = target.path().strip_prefix(RESOURCE_METADATA).filter(|path| !path.is_empty());
    let document = serde_json::json!({
        "resource": format!("https://{host}{}", path.unwrap_or("/")),
        "authorization_servers": [world.snapshot.premises.team.issuer()],
        "authentication_methods": ["cloudflared"],
    });
    let mut response = Response::new(ProxyBody::from(bytes::Bytes::from(document.to_string())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether a client only asks if its token still admits (access-protocol §13.5): the answer then is 200 without the
/// origin, or what a request without a valid token gets.
pub(crate) fn is_token_check(target: &Target) -> bool {
    let asked = |query: &str| query.split('&').any(|pair| pair == "cloudflared_token_check=true");
    matches!(*target.method(), Method::GET | Method::HEAD) && target.query().is_some_and(asked)
}
