//! What is written down of a request: meters, the log line, and the access record of a refusal. None of it holds a
//! token, a cookie, a secret, a query or, in the log, an address of mail (style, "Logs").

use crate::client_certificate::Judged;
use crate::errand::NotRun;
use crate::lane::Lane;
use crate::permit::{Ground, Permit};
use crate::refuse::{Refusal, Told};
use crate::settings::LogRequests;
use crate::target::Target;
use http::StatusCode;
use narthex_model::{AccessRecord, Action, PolicyId, RayId, ServiceToken, Verdict};
use narthex_snapshot::App;
use narthex_token::AppToken;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};

/// Characters of a path that are logged.
const LONGEST_PATH: usize = 512;

/// What has become known of one request on its way.
pub(crate) struct Report<'a> {
    began: Instant,
    admitted: Cell<Admitted<'a>>,
}

/// How a request was let in, if it was.
#[derive(Clone, Copy)]
struct Admitted<'a> {
    decision: &'static str,
    app: Option<&'a Arc<App>>,
    policy: Option<PolicyId>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(began: Instant) -> Self {
        Self { began, admitted: Cell::new(Admitted { decision: "local", app: None, policy: None }) }
    }

    /// The decision let the request in.
    pub(crate) fn admitted(&self, lane: &Lane, permit: &Permit<'a>) {
        let meters = lane.meters();
        let (decision, meter) = match permit.ground() {
            Ground::Person(_) => ("allow", &meters.admitted_person),
            Ground::Machine(_) => ("service_auth", &meters.admitted_machine),
            Ground::Bypass(_) => ("bypass", &meters.admitted_bypass),
            Ground::Preflight => ("preflight", &meters.admitted_bypass),
            Ground::Unmatched => ("unmatched", &meters.admitted_bypass),
        };
        meter.add();
        self.admitted.set(Admitted { decision, app: permit.app(), policy: permit.policy_id() });
    }

    /// There was an answer, from the origin or the control side.
    pub(crate) fn passed_on(&self, lane: &Lane, ray: &RayId, target: &Target, status: StatusCode) {
        let Admitted { decision, app, policy } = self.admitted.get();
        match lane.common.log {
            LogRequests::Off | LogRequests::Refused => {}
            LogRequests::All => info!(
                ray = ray.as_str(),
                http.host = %target.host(),
                http.method = %target.method(),
                http.path = cut(target.path()),
                http.status = status.as_u16(),
                app.aud = app.map(|app| app.aud().as_str()),
                policy.id = policy.map(|id| id.to_string()),
                decision,
                duration_ms = self.milliseconds(),
                "answered"
            ),
        }
    }

    /// There was a refusal.
    pub(crate) fn refused(&self, refusal: &Refusal, told: &Told<'_>, status: StatusCode) {
        if matches!(refusal, Refusal::Overloaded) {
            return; // counted where it was decided, and a line for each would make it worse
        }
        count(refusal, told);
        match told.lane.common.log {
            LogRequests::Off => {}
            LogRequests::Refused | LogRequests::All => self.log(refusal, told, status),
        }
        let recorded = matches!(
            refusal,
            Refusal::Unauthenticated { .. } | Refusal::Forbidden(_) | Refusal::Unmatched
        );
        if recorded {
            told.lane.recorder.record(|| record(refusal, told));
        }
    }

    fn log(&self, refusal: &Refusal, told: &Told<'_>, status: StatusCode) {
        let reason = refusal.for_operator();
        let (ray, status, duration_ms) = (told.ray.as_str(), status.as_u16(), self.milliseconds());
        let host = told.target.map(|target| target.host().as_str());
        let path = told.target.map(|target| cut(target.path()));
        let aud = told.app.map(|app| app.aud().as_str());
        let policy = refusal.policy().map(|id| id.to_string());
        let certificate = told.certificate.as_deref().map(Judged::for_operator);
        if refusal.is_our_failure() {
            warn!(
                ray,
                http.host = host,
                http.path = path,
                http.status = status,
                app.aud = aud,
                decision = self.admitted.get().decision,
                reason,
                duration_ms,
                "failed: {reason}"
            );
        } else {
            info!(
                ray,
                http.host = host,
                http.path = path,
                http.status = status,
                app.aud = aud,
                policy.id = policy,
                tls.client_certificate = certificate,
                decision = "refuse",
                reason,
                duration_ms,
                "refused: {reason}"
            );
        }
    }

    fn milliseconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1000.0
    }
}

fn cut(path: &str) -> &str {
    path.get(..LONGEST_PATH).unwrap_or(path)
}

fn count(refusal: &Refusal, told: &Told<'_>) {
    let meters = told.lane.meters();
    let meter = match refusal {
        Refusal::Malformed(_) | Refusal::Unreadable(_) | Refusal::Misdirected => &meters.malformed,
        Refusal::Nothing | Refusal::NoOrigin => &meters.not_found,
        Refusal::Unmatched | Refusal::Preflight | Refusal::Forbidden(_) => &meters.forbidden,
        Refusal::Unauthenticated { .. } => &meters.unauthenticated,
        Refusal::Login { .. } => &meters.sent_to_login,
        Refusal::Busy
        | Refusal::Overloaded
        | Refusal::NotRun(NotRun::TooLarge(_) | NotRun::Body | NotRun::Busy | NotRun::Silent(_)) => {
            &meters.control_busy
        }
        Refusal::Upstream(_) => &meters.upstream_failures,
        Refusal::NotRun(NotRun::Failed) | Refusal::Panic => &meters.panics,
    };
    meter.add();
}

fn record(refusal: &Refusal, told: &Told<'_>) -> AccessRecord {
    let forbidden =
        if let Refusal::Forbidden(forbidden) = refusal { Some(forbidden) } else { None };
    let reason = forbidden.map(|forbidden| &forbidden.reason);
    let person = forbidden.and_then(|forbidden| forbidden.person.as_ref());
    let token = if let Refusal::Unauthenticated { token, .. } = refusal {
        token.as_ref()
    } else {
        forbidden.and_then(|forbidden| forbidden.token.as_ref())
    };
    AccessRecord {
        policy: reason.and_then(|reason| reason.policy),
        rule: reason.map(|reason| reason.rule.clone()).unwrap_or_default(),
        service_token: token.map(|token: &Arc<ServiceToken>| token.client_id.clone()),
        user: person.map(|person| person.user),
        user_email: person.map(|person| person.email.clone()),
        idp: person.map(|person| person.idp),
        connection: person.map_or("nonidentity", |person| &person.connection).to_owned(),
        ..blank(told, Action::Request, Verdict::Refused, reason_with_certificate(refusal, told))
    }
}

/// The reason, and how a client certificate stood where one is asked for.
fn reason_with_certificate(refusal: &Refusal, told: &Told<'_>) -> String {
    let reason = refusal.for_operator();
    match told.certificate.as_deref() {
        Some(judged) => format!("{reason}; client certificate: {}", judged.for_operator()),
        None => reason,
    }
}

/// A credential that this process has not seen at this application before.
pub(crate) fn first_use(permit: &Permit<'_>, told: &Told<'_>) {
    let Some(bearer) = permit.bearer().filter(|bearer| !bearer.was_reported()) else { return };
    let Some(app) = permit.app() else { return };
    let who = match bearer.token() {
        AppToken::Person(token) => Cow::Borrowed(token.identity_nonce.as_str()),
        AppToken::Machine(token) => match token.certificate {
            None => Cow::Borrowed(token.common_name.as_str()),
            Some(_) => Cow::Owned(format!("certificate {}", token.common_name)),
        },
    };
    if !told.lane.common.first_uses.is_first(app.id(), &who) {
        return;
    }
    told.lane.recorder.record(|| {
        let reason = "the credential was used at this application for the first time";
        let blank = blank(told, Action::FirstUse, Verdict::Allowed, reason.to_owned());
        let record = AccessRecord { policy: permit.policy_id(), ..blank };
        match bearer.token() {
            AppToken::Person(token) => AccessRecord {
                user: Some(token.sub),
                user_email: Some(token.email.clone()),
                ..record
            },
            AppToken::Machine(token) => AccessRecord {
                service_token: match token.certificate {
                    None => token.common_name.parse().ok(),
                    Some(_) => None, // whoever issued it chose its name
                },
                connection: "nonidentity".to_owned(),
                ..record
            },
        }
    });
}

fn blank(told: &Told<'_>, action: Action, verdict: Verdict, reason: String) -> AccessRecord {
    let asked = || told.target.map(|target| target.host().to_string());
    AccessRecord {
        app: told.app.map(|app| app.id()),
        app_domain: told.app.map(|app| app.domain().to_owned()).or_else(asked).unwrap_or_default(),
        ip_address: told.source.map(|source| source.ip),
        country: told.source.and_then(|source| source.country),
        ..AccessRecord::new(told.ray.clone(), told.now, action, verdict, reason)
    }
}
