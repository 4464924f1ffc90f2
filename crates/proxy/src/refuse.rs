//! The one place that turns a refusal into an answer, and so decides what a stranger gets to see. The texts, a
//! stranger's and the operator's beside each other, are in `texts`.

mod texts;

pub(crate) use texts::Notice;

use crate::challenge::{Challenge, LONG_EXPIRED, NEVER_KEEP, login_url, www_authenticate};
use crate::client_certificate::Judged;
use crate::errand::NotRun;
use crate::lane::Lane;
use crate::page::{Page, SECURITY_POLICY};
use crate::permit::Forbidden;
use crate::source::{Source, Unreadable};
use crate::target::{Malformed, Target};
use crate::wants::Wants;
use crate::world::World;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPIRES, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use narthex_model::{PolicyId, RayId, ServiceToken, UnixSeconds};
use narthex_snapshot::App;
use narthex_token::AppSession;
use narthex_upstream::UpstreamError;
use narthex_upstream::{BodyError, ProxyBody};
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;

const ACCESS_AUD: HeaderName = HeaderName::from_static("cf-access-aud");
const ACCESS_DOMAIN: HeaderName = HeaderName::from_static("cf-access-domain");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why a request got no answer from an application.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It has more than one meaning, or is more than we take.
    Malformed(Malformed),
    /// A trusted proxy did not say whose request it is.
    Unreadable(Unreadable),
    /// Its host is not one that this connection was made for.
    Misdirected,
    /// Nothing is at this path, which is the gateway's.
    Nothing,
    /// The host has an origin, and no application covers the request.
    Unmatched,
    /// The application has no origin.
    NoOrigin,
    /// A preflight that no setting allows (access-protocol §3.1 row 4).
    Preflight,
    /// A service token proved nothing.
    Unauthenticated {
        /// For the operator.
        why: &'static str,
        /// The token, when its Client ID is known.
        token: Option<Arc<ServiceToken>>,
    },
    /// The policies refused, and a login would not help.
    Forbidden(Box<Forbidden>),
    /// A login could help.
    Login {
        /// A valid service token that no policy admits.
        token: Option<Arc<ServiceToken>>,
        /// Whether a service token was sent that proves nothing.
        invalid_token: bool,
        /// The `CF_AppSession` cookie that the browser sent: a login in another tab may be waiting for it.
        app_session: Option<AppSession>,
    },
    /// More work for strangers than we do in a second.
    Busy,
    /// More is asked of this core than it can do.
    Overloaded,
    /// The control side gave no answer.
    NotRun(NotRun),
    /// The origin gave no answer.
    Upstream(UpstreamError),
    /// The gateway failed.
    Panic,
}

/// What is known of a request that is refused. What is absent had not been found out by then.
pub(crate) struct Told<'a> {
    pub(crate) lane: &'a Lane,
    pub(crate) world: &'a World,
    pub(crate) ray: &'a RayId,
    pub(crate) now: UnixSeconds,
    pub(crate) wants: Wants,
    pub(crate) target: Option<&'a Target>,
    pub(crate) source: Option<&'a Source>,
    pub(crate) app: Option<&'a Arc<App>>,
    /// The client certificate; `None` where none is asked for.
    pub(crate) certificate: Option<Rc<Judged>>,
}

impl Refusal {
    /// The status, before the client's form is considered.
    pub(crate) fn status(&self, app: Option<&Arc<App>>) -> StatusCode {
        match self {
            Self::Malformed(malformed) => match malformed {
                Malformed::Method => StatusCode::METHOD_NOT_ALLOWED,
                Malformed::Expectation => StatusCode::EXPECTATION_FAILED,
                Malformed::TooLong(_) => StatusCode::URI_TOO_LONG,
                Malformed::FieldTooLong(_) | Malformed::TooManyFields(_) => {
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
                }
                Malformed::NoHost
                | Malformed::TwoHosts
                | Malformed::Host
                | Malformed::Authorities
                | Malformed::Form
                | Malformed::Scheme
                | Malformed::Path(_)
                | Malformed::Query
                | Malformed::Framing => StatusCode::BAD_REQUEST,
            },
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Nothing => StatusCode::NOT_FOUND,
            Self::Unmatched | Self::Preflight => StatusCode::FORBIDDEN,
            Self::Unauthenticated { .. } | Self::Login { .. } => StatusCode::UNAUTHORIZED,
            // access-protocol §3.1 row 8: a block by Service Auth is 401 where the application says so.
            Self::Forbidden(forbidden) => {
                let wanted = app.is_some_and(|app| app.spec.service_auth_401_redirect);
                if wanted && forbidden.by_service_auth {
                    StatusCode::UNAUTHORIZED
                } else {
                    StatusCode::FORBIDDEN
                }
            }
            Self::Busy | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotRun(not_run) => match not_run {
                NotRun::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
                NotRun::Body => StatusCode::BAD_REQUEST,
                NotRun::Busy => StatusCode::SERVICE_UNAVAILABLE,
                NotRun::Failed => StatusCode::INTERNAL_SERVER_ERROR,
                NotRun::Silent(_) => StatusCode::GATEWAY_TIMEOUT,
            },
            Self::NoOrigin => StatusCode::BAD_GATEWAY,
            Self::Upstream(error) => upstream_status(error),
            Self::Panic => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer, in the form that the client wants.
    pub(crate) fn answer(&self, told: &Told<'_>) -> Response<ProxyBody> {
        if told.wants.grpc {
            return grpc(self.status(told.app), &self.notice(told));
        }
        if let Some(challenge) = self.challenge(told).filter(|_| !told.wants.unauthorized) {
            return challenge.redirect();
        }
        if let Some(elsewhere) = self.deny_url(told) {
            return elsewhere;
        }
        let notice = self.notice(told);
        let members = self.members(&notice, told);
        let mut response =
            if told.wants.json { json(&members) } else { page(&notice, &members, told) };
        *response.status_mut() = notice.status;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NEVER_KEEP);
        headers.insert(EXPIRES, LONG_EXPIRED);
        if notice.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, self.retry_after(told.ray).into());
        }
        self.name_application(headers, notice.status, told);
        response
    }

    /// Seconds after which it is worth asking again. Those who are turned away together do not come back together.
    fn retry_after(&self, ray: &RayId) -> u64 {
        if let Self::Overloaded = self {
            return 1 + ray.as_str().bytes().last().map_or(0, |digit| u64::from(digit % 4));
        }
        let Self::Upstream(UpstreamError::Down { retry_after, .. }) = self else { return 1 };
        (retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0)).max(1)
    }

    /// What programs are told. A script that got 401 where a page would have got a redirect is told where that leads:
    /// `login_url`, an extension of ours.
    fn members(&self, notice: &Notice, told: &Told<'_>) -> serde_json::Value {
        let mut members = json!({
            "message": notice.message,
            "status_code": notice.status.as_u16(),
            "ray_id": told.ray.as_str(),
        });
        if let Some(app) = told.app {
            members["aud"] = app.aud().as_str().into();
            members["app_domain"] = app.domain().into();
        }
        if let (Self::Login { .. }, Some(app), Some(target)) = (self, told.app, told.target) {
            members["login_url"] = login_url(told.world, app, target).into();
        }
        members
    }

    fn challenge<'a>(&'a self, told: &'a Told<'_>) -> Option<Challenge<'a>> {
        let Self::Login { token, invalid_token, app_session } = self else { return None };
        let Told { lane, world, now, target, source, app, .. } = *told;
        Some(Challenge {
            lane,
            world,
            app: app?,
            target: target?,
            source: source?,
            app_session: app_session.as_ref(),
            token: token.as_ref(),
            invalid_token: *invalid_token,
            certificate: told.certificate.as_deref(),
            now,
        })
    }

    /// The policy that decided.
    pub(crate) fn policy(&self) -> Option<PolicyId> {
        if let Self::Forbidden(forbidden) = self { forbidden.reason.policy } else { None }
    }

    /// Whether the operator has something to repair.
    pub(crate) fn is_our_failure(&self) -> bool {
        match self {
            Self::NoOrigin
            | Self::NotRun(NotRun::Busy | NotRun::Failed | NotRun::Silent(_))
            | Self::Panic => true,
            Self::Upstream(error) => upstream_status(error).is_server_error(),
            Self::Malformed(_)
            | Self::Unreadable(_)
            | Self::Misdirected
            | Self::Nothing
            | Self::Unmatched
            | Self::Preflight
            | Self::Unauthenticated { .. }
            | Self::Forbidden(_)
            | Self::Login { .. }
            | Self::Busy
            | Self::Overloaded
            | Self::NotRun(NotRun::TooLarge(_) | NotRun::Body) => false,
        }
    }

    /// `cf-access-aud` and `cf-access-domain` on 401 and 403 (access-protocol §2.7), by which clients recognise Access.
    fn name_application(&self, headers: &mut HeaderMap, status: StatusCode, told: &Told<'_>) {
        let Some(app) = told.app else { return };
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return;
        }
        let mut insert = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        insert(ACCESS_AUD, app.aud().as_str());
        insert(ACCESS_DOMAIN, app.domain());
        if let Some(target) = told.target.filter(|_| status == StatusCode::UNAUTHORIZED) {
            headers.insert(WWW_AUTHENTICATE, www_authenticate(target));
        }
    }

    /// Where the application sends people whom its policies refuse, if it does. Programs are told themselves.
    fn deny_url(&self, told: &Told<'_>) -> Option<Response<ProxyBody>> {
        let Self::Forbidden(forbidden) = self else { return None };
        let spec = &told.app?.spec;
        let url = match forbidden.person {
            Some(_) => spec.custom_deny_url.as_deref(),
            None => spec.custom_non_identity_deny_url.as_deref(),
        };
        let url =
            url.filter(|url| !url.is_empty() && !told.wants.json && !told.wants.unauthorized)?;
        let mut response = Response::new(ProxyBody::Empty);
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(LOCATION, HeaderValue::from_str(url).ok()?);
        response.headers_mut().insert(CACHE_CONTROL, NEVER_KEEP);
        Some(response)
    }
}

fn upstream_status(error: &UpstreamError) -> StatusCode {
    match error {
        UpstreamError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        UpstreamError::Loop(_) => StatusCode::LOOP_DETECTED,
        UpstreamError::BadUpgrade(_) => StatusCode::BAD_REQUEST,
        UpstreamError::RequestBody(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
        UpstreamError::RequestBody(_) | UpstreamError::Cancelled => StatusCode::BAD_REQUEST,
        UpstreamError::Revoked => StatusCode::FORBIDDEN,
        UpstreamError::Down { .. } => StatusCode::SERVICE_UNAVAILABLE,
        UpstreamError::Misconfigured { .. }
        | UpstreamError::Resolve { .. }
        | UpstreamError::Connect { .. }
        | UpstreamError::Tls { .. }
        | UpstreamError::Closed(_)
        | UpstreamError::BadAnswer { .. }
        | UpstreamError::TooBig => StatusCode::BAD_GATEWAY,
    }
}

fn json(members: &serde_json::Value) -> Response<ProxyBody> {
    let mut response = Response::new(body(members.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn page(notice: &Notice, members: &serde_json::Value, told: &Told<'_>) -> Response<ProxyBody> {
    let data = matches!(notice.status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
    let data = data.then(|| members.to_string());
    let team = &told.world.snapshot.organization.name;
    let page = Page { notice, team, ray: told.ray.as_str(), data };
    let mut response = Response::new(body(page.text()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, SECURITY_POLICY.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn body(text: String) -> ProxyBody {
    ProxyBody::from(Bytes::from(text))
}

/// A refusal in the terms of gRPC: always 200, the status beside it (access-protocol §6.7).
fn grpc(status: StatusCode, notice: &Notice) -> Response<ProxyBody> {
    let code = match status {
        StatusCode::UNAUTHORIZED => "16",
        StatusCode::FORBIDDEN => "7",
        StatusCode::BAD_REQUEST => "3",
        StatusCode::NOT_FOUND | StatusCode::MISDIRECTED_REQUEST => "5",
        StatusCode::GATEWAY_TIMEOUT => "4",
        StatusCode::INTERNAL_SERVER_ERROR => "13",
        _ => "14",
    };
    let mut response = Response::new(ProxyBody::Empty);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(code));
    let message: String = url::form_urlencoded::byte_serialize(notice.message.as_bytes()).collect();
    if let Ok(message) = HeaderValue::try_from(message.replace('+', "%20")) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}
