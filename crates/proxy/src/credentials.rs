//! What a request brings to prove who asks. Nothing is believed yet.
//!
//! A client's `Cf-Access-Jwt-Assertion` is not looked at: it is never a credential (access-protocol §5.8).

use crate::settings::Limits;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName};
use narthex_model::{Application, UnixSeconds};
use narthex_model::{SecretHash, ServiceToken};
use narthex_snapshot::Snapshot;
use narthex_token::cookie;
use std::sync::{Arc, LazyLock};

const CLIENT_ID: HeaderName = HeaderName::from_static("cf-access-client-id");
const CLIENT_SECRET: HeaderName = HeaderName::from_static("cf-access-client-secret");
const TOKEN: HeaderName = HeaderName::from_static("cf-access-token");

/// Longest single service-token header that is read as JSON, in bytes.
const LONGEST_SINGLE_HEADER: usize = 4096;

/// The credentials of one request, as text.
pub(crate) struct Presented<'r> {
    headers: &'r HeaderMap,
    /// `cf-access-token`.
    token: Option<&'r str>,
    limits: &'r Limits,
    pub(crate) service: ServicePair<'r>,
}

/// A service token's two halves, as they were sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ServicePair<'r> {
    /// None.
    Absent,
    /// Both halves, in two headers or in the application's single one.
    Sent {
        /// The public half.
        id: std::borrow::Cow<'r, str>,
        /// The secret half.
        secret: std::borrow::Cow<'r, str>,
        /// Whether it came in the application's single header, which then must not reach the origin.
        single: bool,
    },
    /// Half a pair, repeated halves, or both ways at once.
    Malformed(&'static str),
}

impl<'r> Presented<'r> {
    /// Looks for everything that `app` accepts, within `limits`.
    pub(crate) fn of(app: &Application, headers: &'r HeaderMap, limits: &'r Limits) -> Self {
        let ours = headers.keys().any(|name| name.as_str().starts_with("cf-access-"));
        let token = ours.then(|| headers.get(TOKEN)).flatten();
        let pair = if ours { two_headers(headers) } else { ServicePair::Absent };
        let service = match app.read_service_tokens_from_header.as_deref() {
            None => pair,
            Some(name) => match (pair, single_header(headers, name)) {
                (pair, ServicePair::Absent) => pair,
                (ServicePair::Absent, single) => single,
                (ServicePair::Sent { .. } | ServicePair::Malformed(_), _) => {
                    ServicePair::Malformed("a service token in two headers and in one as well")
                }
            },
        };
        Self { headers, token: token.and_then(|value| value.to_str().ok()), limits, service }
    }

    /// Whether cookies are all there is, as from a browser.
    pub(crate) fn are_cookies_only(&self) -> bool {
        self.token.is_none() && self.service == ServicePair::Absent
    }

    /// The `Cookie` fields as they were sent.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &'r [u8]> + use<'r> {
        self.headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes)
    }

    /// The application tokens to try, in their order: `cf-access-token`, then cookies. One that is too long is none.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &'r str> + use<'r> {
        let limits = self.limits;
        let cookies = cookie::token_candidates_within(self.cookies(), limits.cookies);
        self.token.into_iter().chain(cookies).filter(|token| token.len() <= limits.token)
    }

    /// The `CF_Binding` cookies that came with their companions, of which one must be the token's.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &'r str> + use<'r> {
        let headers = self.headers;
        let fields = move || headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
        cookie::bindings_within(fields, self.limits.cookies)
    }
}

/// `CF-Access-Client-Id` and `CF-Access-Client-Secret`, once each (access-protocol §8.2).
fn two_headers(headers: &HeaderMap) -> ServicePair<'_> {
    let mut ids = headers.get_all(CLIENT_ID).iter();
    let mut secrets = headers.get_all(CLIENT_SECRET).iter();
    match (ids.next(), secrets.next()) {
        (None, None) => ServicePair::Absent,
        (Some(_), None) | (None, Some(_)) => ServicePair::Malformed("half of a service token"),
        (Some(_), Some(_)) if ids.next().is_some() || secrets.next().is_some() => {
            ServicePair::Malformed("a service token sent twice")
        }
        (Some(id), Some(secret)) => match (id.to_str(), secret.to_str()) {
            (Ok(id), Ok(secret)) => {
                ServicePair::Sent { id: id.into(), secret: secret.into(), single: false }
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                ServicePair::Malformed("a service token that is not visible ASCII")
            }
        },
    }
}

#[derive(serde::Deserialize)]
struct SingleHeader {
    #[serde(rename = "cf-access-client-id")]
    id: String,
    #[serde(rename = "cf-access-client-secret")]
    secret: String,
}

/// The application's single header with both halves as JSON. Any other value, such as `Bearer …`, is not ours.
fn single_header<'r>(headers: &'r HeaderMap, name: &str) -> ServicePair<'r> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next().map(http::HeaderValue::as_bytes) else {
        return ServicePair::Absent;
    };
    if !value.starts_with(b"{") || value.len() > LONGEST_SINGLE_HEADER {
        return ServicePair::Absent;
    }
    if values.next().is_some() {
        return ServicePair::Malformed("a service token sent twice");
    }
    match serde_json::from_slice::<SingleHeader>(value) {
        Ok(pair) => {
            ServicePair::Sent { id: pair.id.into(), secret: pair.secret.into(), single: true }
        }
        Err(_) => ServicePair::Malformed("JSON without the two halves of a service token"),
    }
}

/// What became of a service token that was sent, or not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service<'w> {
    /// None was sent.
    Absent,
    /// Known, in force, and the secret is right.
    Valid {
        /// The token.
        token: &'w Arc<ServiceToken>,
        /// Whether it came in the application's single header.
        single: bool,
    },
    /// Anything else.
    Refused {
        /// For the operator.
        why: &'static str,
        /// The token, when its Client ID is known.
        known: Option<&'w Arc<ServiceToken>>,
    },
}

/// Compared with when the Client ID is unknown, so that the answer takes as long as for a known one (J15).
static NOBODY: LazyLock<SecretHash> = LazyLock::new(|| SecretHash::of(""));

impl<'w> Service<'w> {
    /// Checks the pair. Whatever is wrong with it, the time taken is about the same.
    pub(crate) fn check(pair: &ServicePair<'_>, snapshot: &'w Snapshot, now: UnixSeconds) -> Self {
        let (id, secret, single) = match pair {
            ServicePair::Absent => return Self::Absent,
            ServicePair::Malformed(why) => return Self::Refused { why, known: None },
            ServicePair::Sent { id, secret, single } => (id, secret, *single),
        };
        match snapshot.service_token(id) {
            None => {
                let _ = NOBODY.matches(secret);
                Self::Refused { why: "no service token has this Client ID", known: None }
            }
            Some(token) if token.admits(secret, now) => Self::Valid { token, single },
            Some(token) if token.is_live(now) => {
                Self::Refused { why: "the Client Secret is wrong", known: Some(token) }
            }
            Some(token) => Self::Refused {
                why: "the service token is disabled or expired",
                known: Some(token),
            },
        }
    }

    /// The token, if it was found valid.
    pub(crate) fn valid(&self) -> Option<&'w Arc<ServiceToken>> {
        match self {
            Self::Valid { token, .. } => Some(token),
            Self::Absent | Self::Refused { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn so_many_cookies_are_looked_at_and_so_long_a_token_is_read() {
        let app: Application = serde_json::from_value(serde_json::json!({
            "id": narthex_model::AppId::random().to_string(),
            "aud": narthex_model::AudTag::random().as_str(),
            "name": "app", "destinations": ["a.example.com"], "session_duration": "24h",
            "created_at": "2026-05-01T00:00:00Z", "updated_at": "2026-05-01T00:00:00Z",
        }))
        .unwrap();
        let cookies = "x=1; CF_Authorization=aaa; CF_Authorization=bbbb; CF_Authorization=c";
        let headers = headers(&[("cookie", cookies)]);
        for (pairs, candidates, token, want) in [
            (4, 3, 4, &["aaa", "bbbb", "c"][..]),
            (3, 3, 4, &["aaa", "bbbb"]),
            (4, 2, 4, &["aaa", "bbbb"]),
            (4, 3, 3, &["aaa", "c"]),
        ] {
            let cookies = cookie::Limits { pairs, candidates };
            let limits = Limits { cookies, token, ..Limits::default() };
            let presented = Presented::of(&app, &headers, &limits);
            assert_eq!(
                presented.tokens().collect::<Vec<_>>(),
                want,
                "{pairs} {candidates} {token}"
            );
        }
    }

    #[test]
    fn j15_a_pair_is_two_halves_once_each() {
        let sent = |single| ServicePair::Sent { id: "i".into(), secret: "s".into(), single };
        let malformed = |pair: &ServicePair<'_>| matches!(pair, ServicePair::Malformed(_));
        let id = ("CF-Access-Client-Id", "i");
        let secret = ("cf-access-client-secret", "s");
        assert_eq!(two_headers(&headers(&[id, secret])), sent(false));
        assert_eq!(two_headers(&headers(&[])), ServicePair::Absent);
        for near_miss in [&[id][..], &[secret], &[id, id, secret], &[id, secret, secret]] {
            assert!(malformed(&two_headers(&headers(near_miss))), "{near_miss:?}");
        }
        let json = r#"{"cf-access-client-id":"i","cf-access-client-secret":"s"}"#;
        let single = |value| single_header_of(&headers(&[("authorization", value)]));
        assert_eq!(single(json), "sent");
        assert_eq!(single("Bearer abc"), "absent");
        assert_eq!(single(r#"{"cf-access-client-id":"i"}"#), "malformed");
        let twice = headers(&[("authorization", json), ("authorization", json)]);
        assert_eq!(single_header_of(&twice), "malformed");
    }

    fn single_header_of(headers: &HeaderMap) -> &'static str {
        match single_header(headers, "Authorization") {
            ServicePair::Absent => "absent",
            ServicePair::Sent { single: true, .. } => "sent",
            ServicePair::Sent { .. } => "not single",
            ServicePair::Malformed(_) => "malformed",
        }
    }
}
