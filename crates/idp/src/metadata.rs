//! What a provider says about itself: its discovery document (OpenID Connect Discovery 1.0 §4), when it has one.
//!
//! The addresses of the contract (`auth_url`, `token_url`, `certs_url`) always come from the configuration. The document adds
//! the issuer when none is configured, the userinfo endpoint, whether answers carry `iss` (RFC 9207), and how the token
//! endpoint wants the client to show itself.
//!
//! **Which issuer is expected.** The configured one. Without one, the issuer of a discovery document found at the origin of
//! `auth_url` or `certs_url` or at a prefix of their paths, if the document belongs to that place and names exactly the
//! configured `auth_url` and `certs_url`. Without such a document, the ID token's own `iss` has to be an https address (http
//! on this machine) of the same origin as `certs_url`: whoever holds that origin hands out the keys anyway.

use crate::ask;
use crate::error::IdpError;
use crate::fence;
use crate::outbound::OutboundHttp;
use http::StatusCode;
use narthex_model::OidcConfig;
use serde_json::{Map, Value};
use url::Url;

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// How many places are asked for a discovery document when no issuer is configured.
const PLACES: usize = 8;

/// What was learned. The default is what holds for a provider without a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The issuer, configured or learned; none: same origin as `certs_url`.
    pub(crate) issuer: Option<String>,
    /// `authorization_response_iss_parameter_supported`: an answer without `iss` is refused.
    pub(crate) iss_in_answers: bool,
    /// Configured or learned.
    pub(crate) userinfo: Option<Url>,
    /// The token endpoint takes the client secret in the body only.
    pub(crate) secret_in_body: bool,
}

/// Asks the provider about itself.
///
/// # Errors
/// `Unreachable`, and `Misconfigured` when the document at the configured issuer names another issuer.
pub(crate) async fn discover(
    http: &OutboundHttp,
    config: &OidcConfig,
) -> Result<Metadata, IdpError> {
    let own = Metadata { userinfo: config.userinfo_url.clone(), ..Metadata::default() };
    if let Some(issuer) = &config.issuer {
        let own = Metadata { issuer: Some(issuer.clone()), ..own };
        let place = place_of(issuer)
            .filter(|url| url.scheme() == "https" || fence::is_this_machine(url))
            .ok_or_else(|| IdpError::Misconfigured("issuer is not an https address".to_owned()))?;
        let Some(document) = fetch(http, &place).await? else { return Ok(own) };
        return match text(&document, "issuer") {
            Some(named) if named == issuer => Ok(own.completed(config, &document)),
            Some(_) | None => Err(IdpError::Misconfigured(format!(
                "the discovery document of {issuer} names another issuer"
            ))),
        };
    }
    for place in places(config) {
        let document = match fetch(http, &place).await {
            Ok(Some(document)) => document,
            Ok(None) | Err(IdpError::BadAnswer(_) | IdpError::Misconfigured(_)) => continue,
            Err(other) => return Err(other),
        };
        if belongs(&document, &place, config) {
            let issuer = text(&document, "issuer").map(str::to_owned);
            return Ok(Metadata { issuer, ..own }.completed(config, &document));
        }
    }
    Ok(own)
}

impl Metadata {
    /// Adds what the document says about endpoints that are the configured ones.
    fn completed(mut self, config: &OidcConfig, document: &Map<String, Value>) -> Self {
        let names = |name: &str, url: &Url| text(document, name).is_some_and(|t| is(t, url));
        if names("authorization_endpoint", &config.auth_url) {
            let iss = "authorization_response_iss_parameter_supported";
            self.iss_in_answers = document.get(iss) == Some(&Value::Bool(true));
        }
        if names("token_endpoint", &config.token_url) {
            let methods = document.get("token_endpoint_auth_methods_supported");
            let offers = |method: &str| {
                let all = methods.and_then(Value::as_array);
                all.is_some_and(|all| all.iter().any(|m| m == method))
            };
            self.secret_in_body = offers("client_secret_post") && !offers("client_secret_basic");
        }
        if self.userinfo.is_none() && names("jwks_uri", &config.certs_url) {
            let learned = text(document, "userinfo_endpoint").and_then(|t| t.parse::<Url>().ok());
            self.userinfo = learned.filter(|url| may_be_learned(url, config));
        }
        self
    }
}

/// Whether an address that only the provider named may be called: https, and this machine only for a provider that the
/// administrator placed on this machine.
fn may_be_learned(url: &Url, config: &OidcConfig) -> bool {
    match (fence::is_this_machine(url), fence::is_this_machine(&config.certs_url)) {
        (true, local) => local,
        (false, _) => url.scheme() == "https",
    }
}

/// Whether the document is the one of its place, and of the configured provider.
fn belongs(document: &Map<String, Value>, place: &Url, config: &OidcConfig) -> bool {
    let named = |name: &str, url: &Url| text(document, name).is_some_and(|t| is(t, url));
    text(document, "issuer").and_then(place_of).is_some_and(|of_issuer| of_issuer == *place)
        && named("authorization_endpoint", &config.auth_url)
        && named("jwks_uri", &config.certs_url)
}

/// The document at `place`, or none when the provider has none there.
async fn fetch(http: &OutboundHttp, place: &Url) -> Result<Option<Map<String, Value>>, IdpError> {
    let answer = ask::get(http, place, None, "the discovery document").await?;
    if answer.status() != StatusCode::OK {
        return Ok(None);
    }
    ask::object(answer.body(), "the discovery document").map(Some)
}

/// Where an issuer's document is.
fn place_of(issuer: &str) -> Option<Url> {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let url: Url = format!("{issuer}{WELL_KNOWN}").parse().ok()?;
    let plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then_some(url)
}

/// Where a document may be when only the endpoints are known: at the origins first, then down their paths.
fn places(config: &OidcConfig) -> Vec<Url> {
    let mut places: Vec<(usize, Url)> = Vec::new();
    for endpoint in [&config.auth_url, &config.certs_url] {
        let segments: Vec<&str> = endpoint.path().trim_matches('/').split('/').collect();
        for depth in 0..segments.len() {
            let prefix: String = segments[..depth].iter().flat_map(|s| ["/", s]).collect();
            let mut place = endpoint.clone();
            place.set_path(&format!("{prefix}{WELL_KNOWN}"));
            place.set_query(None);
            place.set_fragment(None);
            if !places.iter().any(|(_, known)| *known == place) {
                places.push((depth, place));
            }
        }
    }
    places.sort_by_key(|(depth, _)| *depth);
    places.into_iter().map(|(_, place)| place).take(PLACES).collect()
}

fn text<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    document.get(name).and_then(Value::as_str)
}

fn is(text: &str, url: &Url) -> bool {
    text.parse::<Url>().is_ok_and(|parsed| parsed == *url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(auth: &str, certs: &str) -> OidcConfig {
        let token = auth.replace("auth", "token");
        serde_json::from_value(
            json!({"client_id": "c", "auth_url": auth, "token_url": token, "certs_url": certs}),
        )
        .unwrap()
    }

    #[test]
    fn the_usual_places_of_known_providers_are_asked() {
        for (auth, certs, place) in [
            // Keycloak
            (
                "https://kc.example/realms/x/protocol/openid-connect/auth",
                "https://kc.example/realms/x/protocol/openid-connect/certs",
                "https://kc.example/realms/x/.well-known/openid-configuration",
            ),
            // Okta, custom authorization server
            (
                "https://o.okta.example/oauth2/default/v1/authorize",
                "https://o.okta.example/oauth2/default/v1/keys",
                "https://o.okta.example/oauth2/default/.well-known/openid-configuration",
            ),
            // Google: the keys are elsewhere
            (
                "https://accounts.google.example/o/oauth2/v2/auth",
                "https://www.googleapis.example/oauth2/v3/certs",
                "https://accounts.google.example/.well-known/openid-configuration",
            ),
        ] {
            let places = places(&config(auth, certs));
            assert!(places.len() <= PLACES);
            assert!(places.contains(&place.parse().unwrap()), "{place} {places:?}");
        }
        let deep = format!("https://a.example/{}", "x/".repeat(50));
        assert_eq!(places(&config(&deep, &deep)).len(), PLACES);
    }

    #[test]
    fn a_document_counts_for_its_own_place_and_endpoints_only() {
        let config = config("https://a.example/x/auth", "https://a.example/x/keys");
        let place: Url = format!("https://a.example/x{WELL_KNOWN}").parse().unwrap();
        let document = |issuer: &str, auth: &str, jwks: &str| {
            let document =
                json!({"issuer": issuer, "authorization_endpoint": auth, "jwks_uri": jwks});
            belongs(document.as_object().unwrap(), &place, &config)
        };
        let (auth, keys) = ("https://a.example/x/auth", "https://a.example/x/keys");
        assert!(document("https://a.example/x", auth, keys));
        assert!(document("https://a.example/x/", auth, keys), "Auth0 writes a slash");
        for (issuer, auth, keys) in [
            ("https://a.example", auth, keys),
            ("https://evil.example/x", auth, keys),
            ("https://a.example/x?y", auth, keys),
            ("https://a.example/x", "https://a.example/x/authorize", keys),
            ("https://a.example/x", auth, "https://evil.example/x/keys"),
            ("", auth, keys),
        ] {
            assert!(!document(issuer, auth, keys), "{issuer} {auth} {keys}");
        }
    }

    #[test]
    fn a_learned_address_stays_on_its_side_of_the_fence() {
        let remote = config("https://a.example/auth", "https://a.example/keys");
        let local = config("http://localhost:1/auth", "http://localhost:1/keys");
        for (url, from_remote, from_local) in [
            ("https://graph.example/me", true, true),
            ("http://graph.example/me", false, false),
            ("http://127.0.0.1:6379/", false, true),
            ("https://localhost/", false, true),
        ] {
            let url: Url = url.parse().unwrap();
            assert_eq!(may_be_learned(&url, &remote), from_remote, "{url}");
            assert_eq!(may_be_learned(&url, &local), from_local, "{url}");
        }
    }
}
