//! The story of one request, from a TLS connection to the application behind it.

mod errands;
mod kept;

use crate::client_certificate::Judged;
use crate::credentials::Presented;
use crate::errand;
use crate::lane::Lane;
use crate::peer::{Busy, Peer};
use crate::permit::{Asked, Denial, Permit, Witness, admit_unmatched, decide};
use crate::refuse::{Refusal, Told};
use crate::report::{self, Report};
use crate::site::Site;
use crate::source::Source;
use crate::target::Target;
use crate::wants::Wants;
use crate::world::World;
use crate::{discovery, preflight};
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use narthex_model::{RayId, UnixSeconds};
use narthex_snapshot::{App, ManagedHeaders};
use narthex_token::{AppSession, AppToken, cookie, set_cookie};
use narthex_upstream::write_managed;
use narthex_upstream::{Asking, Early, JudgedCertificate, UpstreamError};
use narthex_upstream::{ClientBody, ProxyBody};
use std::cell::OnceCell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

const RAY: HeaderName = HeaderName::from_static("cf-ray");

/// Answers one request. Whatever happens, there is an answer with a Ray ID.
pub(crate) async fn serve(
    lane: &Rc<Lane>,
    peer: &Rc<Peer>,
    head: Parts,
    body: ClientBody,
) -> Response<ProxyBody> {
    let began = Instant::now();
    let world = lane.world(); // one view of the world, kept to the end
    let now = lane.clock.now(); // one instant, passed down as a value
    let ray = lane.rays.next();
    let wants = Wants::of(&head.method, &head.headers);
    let http1 = head.version < Version::HTTP_2;
    let scene = Scene { lane, world: &world, peer, ray: &ray, now, wants, http1 };
    let (known, report) = (Known::default(), Report::new(began));

    let judge = || scene.judge(head, body, &known, &report);
    let course = catch_unwind(AssertUnwindSafe(judge)); // a panic costs this request and nothing else (security rule 40)
    let mut course = course.unwrap_or_else(|_| Course::Answered(scene.failed(began)));
    let mut run = pin!(course.run(&scene, &report));
    let mut response = poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(scene.failed(began)))
    })
    .await;
    if http1 && peer.outdated.get() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response = closing(response);
    }
    if let Ok(value) = HeaderValue::from_str(ray.as_str()) {
        response.headers_mut().insert(RAY, value);
    }
    if wants.no_body { head_only(response) } else { response }
}

/// One request and what it is judged by.
struct Scene<'a> {
    lane: &'a Rc<Lane>,
    world: &'a World,
    peer: &'a Rc<Peer>,
    ray: &'a RayId,
    now: UnixSeconds,
    wants: Wants,
    http1: bool,
}

/// What has been found out of a request so far.
#[derive(Clone, Copy, Default)]
struct Seen<'s> {
    target: Option<&'s Target>,
    source: Option<&'s Source>,
    app: Option<&'s Arc<App>>,
}

/// What a request turned out to ask for, and where it came from.
#[derive(Default)]
struct Known {
    target: OnceCell<Target>,
    source: OnceCell<Source>,
}

/// Where a request goes once it was judged. Judging never waits; what does wait is small for the many requests that go
/// to an origin, and boxed for the few that go elsewhere.
#[expect(clippy::large_enum_variant, reason = "nearly every request is the large one")]
enum Course<'s> {
    /// It has its answer.
    Answered(Response<ProxyBody>),
    /// It is on its way to an origin.
    Sent(Sent<'s>),
    /// Somebody else has to be asked first.
    Asked(Pin<Box<dyn Future<Output = Response<ProxyBody>> + 's>>),
}

/// A request on its way to an origin, and what its answer will need.
struct Sent<'s> {
    asking: Asking<'s>,
    seen: Seen<'s>,
    /// The token that a machine may go on with.
    cookie: Option<HeaderValue>,
    managed: ManagedHeaders,
    /// The client certificate, where the client is told of it too.
    judged: Option<Rc<Judged>>,
}

impl Course<'_> {
    /// Runs it to its end; it lies still meanwhile.
    async fn run(&mut self, scene: &Scene<'_>, report: &Report<'_>) -> Response<ProxyBody> {
        match self {
            Self::Answered(response) => std::mem::take(response),
            Self::Sent(sent) => match sent.asking.answer().await {
                Ok(response) => scene.passed_on(response, sent, report),
                Err(error) => scene.refuse(&Refusal::Upstream(error), sent.seen, report),
            },
            Self::Asked(asked) => asked.await,
        }
    }
}

impl<'a> Scene<'a> {
    fn judge<'s>(
        &'s self,
        head: Parts,
        body: ClientBody,
        known: &'s Known,
        report: &'s Report<'a>,
    ) -> Course<'s> {
        if self.lane.overload.turns_away(self.world, self.peer, &head.headers) {
            return self.refused(&Refusal::Overloaded, Seen::default(), report);
        }
        let target = match self.target(&head) {
            Ok(Some(target)) => known.target.get_or_init(|| target),
            Ok(None) => return Course::Answered(no_content()), // OPTIONS *
            Err(refusal) => return self.refused(&refusal, Seen::default(), report),
        };
        match self.source(&head) {
            Ok(source) => {
                let source = known.source.get_or_init(|| source);
                self.course((head, body), target, source, report)
            }
            Err(refusal) => {
                self.refused(&refusal, Seen { target: Some(target), ..Seen::default() }, report)
            }
        }
    }

    /// What becomes of a request whose target and source are known.
    fn course<'s>(
        &'s self,
        asked: (Parts, ClientBody),
        target: &'s Target,
        source: &'s Source,
        report: &'s Report<'a>,
    ) -> Course<'s> {
        let errand = |site, asked, report| {
            Course::Asked(Box::pin(self.errand(site, asked, target, source, report)))
        };
        match Site::of(&self.world.snapshot, target) {
            Site::Team => errand(errand::Site::Team, asked, report),
            Site::Admin => errand(errand::Site::Admin, asked, report),
            Site::Gateway => errand(errand::Site::App, asked, report),
            Site::Reserved => {
                let seen = Seen { target: Some(target), source: Some(source), app: None };
                self.refused(&Refusal::Nothing, seen, report)
            }
            Site::ResourceMetadata => {
                Course::Answered(discovery::resource_metadata(self.world, target))
            }
            Site::App(app) => self.app(app, asked, target, source, report),
            Site::Unmatched => self.unmatched(asked, target, source, report),
        }
    }

    /// Host, path and method made canonical, once; and the host is one that this connection was made for.
    fn target(&self, head: &Parts) -> Result<Option<Target>, Refusal> {
        let limits = &self.lane.common.limits;
        if Target::is_options_of_server(head) {
            Target::check_server_wide(head, &self.peer.authority, limits)
                .map_err(Refusal::Malformed)?;
            return Ok(None);
        }
        let target = Target::of(head, &self.peer.authority, limits).map_err(Refusal::Malformed)?;
        if self.is_misdirected(&target) { Err(Refusal::Misdirected) } else { Ok(Some(target)) }
    }

    /// One name, one rule (security rule 9): the host must have the TLS rule that the handshake was made under, the same
    /// client certificates must count on it as on the name of the handshake, and its port must be one that leads here. The admin host shares no connection, not even under a certificate that
    /// names its neighbours too (security A3).
    fn is_misdirected(&self, target: &Target) -> bool {
        let host = target.host();
        if *host != self.peer.sni {
            let rule = self.lane.certificates().rule(host);
            let admin = self.world.snapshot.premises.admin.as_ref();
            let snapshot = &self.world.snapshot;
            let trust = |host| snapshot.certificate_rule(host).map(|rule| rule.trust.digest());
            if rule.as_ref() != Some(&self.peer.rule)
                || trust(host) != trust(&self.peer.sni)
                || !snapshot.knows_host(host)
                || admin.is_some_and(|admin| admin.host == *host)
            {
                return true;
            }
        }
        let team = self.world.snapshot.premises.team.authority().port;
        let public = self.lane.common.https_port;
        let ours = [Some(443), Some(self.peer.port), team, public];
        let leads_here = |port| ours.contains(&Some(port));
        !target.authority().port.is_none_or(leads_here)
    }

    fn source(&self, head: &Parts) -> Result<Source, Refusal> {
        let address = self.peer.address;
        let (ip, through) = if self.peer.speaks_for_others {
            let client = self.lane.common.trusted.client_behind(address, &head.headers);
            (client.map_err(Refusal::Unreadable)?, Some(address))
        } else {
            (address, None)
        };
        Ok(Source { ip, country: self.peer.country(ip, self.world), through })
    }

    /// A request for an application: the decision, and with its permit the road to the origin.
    fn app<'s>(
        &'s self,
        app: &'a Arc<App>,
        (head, body): (Parts, ClientBody),
        target: &'s Target,
        source: &'s Source,
        report: &'s Report<'a>,
    ) -> Course<'s> {
        let seen = Seen { target: Some(target), source: Some(source), app: Some(app) };
        if discovery::is_probe(&head.headers) {
            let metadata = discovery::metadata(self.lane, self.world, app, target, self.now);
            return Course::Answered(
                metadata.unwrap_or_else(|| self.refuse(&Refusal::Busy, seen, report)),
            );
        }
        let mut permit = match self.permit(app, &head, target, *source) {
            Ok(Some(permit)) => permit,
            Ok(None) => return Course::Answered(preflight_answer(app, &head)),
            Err(refusal) if self.is_form_to_keep(app, &refusal, &head, target) => {
                return Course::Asked(Box::pin(async move {
                    let cookie = self.keep(app, (&head, body), target, source).await;
                    let mut response = self.turned_away(app, &refusal, &head, seen, report);
                    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
                    response
                }));
            }
            Err(refusal) => {
                return Course::Answered(self.turned_away(app, &refusal, &head, seen, report));
            }
        };
        report.admitted(self.lane, &permit);
        report::first_use(&permit, &self.told(seen, permit.certificate().cloned()));
        permit.count(self.now);
        if discovery::is_token_check(target) {
            return Course::Answered(Response::new(ProxyBody::Empty));
        }
        if target.is_websocket_over_http2() {
            permit.keep_busy(Busy::with_stream(self.peer));
        }
        let cookie = self.cookie_for_machine(&permit, target, &head);
        if kept::may_stand_for_form(&permit, &head, &body) {
            return Course::Asked(Box::pin(self.exchanged(permit, (head, body), seen, report)));
        }
        self.send(permit, (head, body), seen, cookie, report)
    }

    /// The answer to a request for an application that was not let in.
    fn turned_away(
        &self,
        app: &App,
        refusal: &Refusal,
        head: &Parts,
        seen: Seen<'_>,
        report: &Report<'a>,
    ) -> Response<ProxyBody> {
        let mut response = self.refuse(refusal, seen, report);
        if let Some(cors) = app.cors().filter(|_| !response.status().is_redirection()) {
            preflight::let_read(cors, &head.headers, response.headers_mut());
        }
        response
    }

    /// The client certificate as it stands for this request; `None` where none is asked for. A connection that shows none
    /// that counts, where another might, is let go.
    fn certificate(&self, target: &Target) -> Option<Witness> {
        let witness = Witness::of(self.peer, target.host(), self.lane, self.world, self.now)?;
        if self.peer.certificate.is_outdated(witness.judged()) {
            self.peer.outdated.set(true);
        }
        Some(witness)
    }

    /// The decision about a request to an application; `None` when the gateway answers a preflight itself.
    fn permit(
        &self,
        app: &'a Arc<App>,
        head: &Parts,
        target: &Target,
        source: Source,
    ) -> Result<Option<Permit<'a>>, Refusal> {
        let presented = Presented::of(&app.spec, &head.headers, &self.lane.common.limits);
        let Self { lane, world, peer, now, .. } = *self;
        let certificate = self.certificate(target);
        let presented = &presented;
        let asked = Asked { lane, world, app, peer, presented, source, certificate, now };
        let preflight = preflight::is_preflight(&head.method, &head.headers);
        if preflight && app.spec.options_preflight_bypass {
            return Ok(Some(asked.permit_preflight()));
        }
        if preflight && app.cors().is_some() {
            return Ok(None);
        }
        decide(&asked).map(Some).map_err(|denial| match denial {
            Denial::Overloaded => Refusal::Overloaded,
            Denial::Login { .. } if preflight => Refusal::Preflight,
            Denial::Login { token, invalid_token } => {
                Refusal::Login { token, invalid_token, app_session: app_session(&head.headers) }
            }
            Denial::Unauthenticated { why, token } => Refusal::Unauthenticated { why, token },
            Denial::Forbidden(forbidden) => Refusal::Forbidden(forbidden),
        })
    }

    /// A request that no application covers, on a host that has an origin.
    fn unmatched<'s>(
        &'s self,
        asked: (Parts, ClientBody),
        target: &'s Target,
        source: &'s Source,
        report: &Report<'a>,
    ) -> Course<'s> {
        let seen = Seen { target: Some(target), source: Some(source), app: None };
        let certificate = self.certificate(target);
        let admitted = admit_unmatched(self.lane, self.world, target, *source, certificate);
        let Some(mut permit) = admitted else {
            return self.refused(&Refusal::Unmatched, seen, report);
        };
        if target.is_websocket_over_http2() {
            permit.keep_busy(Busy::with_stream(self.peer));
        }
        report.admitted(self.lane, &permit);
        self.send(permit, asked, seen, None, report)
    }

    /// Puts a request that was let in on the road to its origin.
    fn send<'s>(
        &'s self,
        permit: Permit<'_>,
        (head, body): (Parts, ClientBody),
        seen: Seen<'s>,
        cookie: Option<HeaderValue>,
        report: &Report<'a>,
    ) -> Course<'s> {
        let snapshot = &self.world.snapshot;
        let origin = |target: &Target| snapshot.origin(target.host(), &target.canonical_path());
        let Some((target, origin)) = seen.target.and_then(|target| Some((target, origin(target)?)))
        else {
            return self.refused(&Refusal::NoOrigin, seen, report);
        };
        let managed = snapshot.managed_headers(target.host());
        let judged = permit.certificate().filter(|_| managed.on_responses).cloned();
        let request = Request::from_parts(head, body);
        let road = &self.lane.road;
        match road.send(permit, origin, request, managed.on_requests, target, self.ray) {
            Ok(asking) => Course::Sent(Sent { asking, seen, cookie, managed, judged }),
            Err(error) => Course::Answered(self.refuse(&Refusal::Upstream(error), seen, report)),
        }
    }

    /// An origin's answer as the client gets it.
    fn passed_on(
        &self,
        mut response: Response<ProxyBody>,
        sent: &mut Sent<'_>,
        report: &Report<'_>,
    ) -> Response<ProxyBody> {
        if self.http1 && response.extensions_mut().remove::<Early>().is_some() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if sent.managed.on_responses {
            let facts = sent.judged.as_ref().map(|judged| judged.facts());
            write_managed(response.headers_mut(), facts);
        }
        if let Some(cookie) = sent.cookie.take() {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        if let Some(target) = sent.seen.target {
            report.passed_on(self.lane, self.ray, target, response.status());
        }
        response
    }

    /// A machine's first answer brings the token that it may go on with, but that of a service token not in strict mode
    /// (access-protocol §4.2, §8.4). One for a certificate (§7.9) is worth nothing without it.
    fn cookie_for_machine(
        &self,
        permit: &Permit<'_>,
        target: &Target,
        head: &Parts,
    ) -> Option<HeaderValue> {
        let bearer = permit.minted()?;
        let app = permit.app()?;
        let jwt = bearer.assertion().to_str().ok()?;
        let has = |jwt: &str| {
            let fields = head.headers.get_all(COOKIE).iter();
            cookie::token_candidates(fields.map(HeaderValue::as_bytes)).any(|token| token == jwt)
        };
        let strict = self.world.snapshot.organization.strict_service_token_auth;
        let by_certificate = match bearer.token() {
            AppToken::Machine(token) => token.certificate.is_some(),
            AppToken::Person(_) => false,
        };
        if strict && !by_certificate || has(jwt) {
            return None;
        }
        let path = app.cookie_path(target.host(), &target.canonical_path());
        let exp = bearer.token().exp();
        let text = set_cookie::app_authorization(jwt, exp, &app.spec.cookie, path);
        HeaderValue::try_from(text).ok()
    }

    fn told<'s>(&'s self, seen: Seen<'s>, certificate: Option<Rc<Judged>>) -> Told<'s> {
        let Self { lane, world, ray, now, wants, .. } = *self;
        let Seen { target, source, app } = seen;
        Told { lane, world, ray, now, wants, target, source, app, certificate }
    }

    /// The answer to a request during which the gateway itself failed.
    fn failed(&self, began: Instant) -> Response<ProxyBody> {
        self.refuse(&Refusal::Panic, Seen::default(), &Report::new(began)) // which counts it
    }

    fn refused<'s>(&'s self, refusal: &Refusal, seen: Seen<'_>, report: &Report<'_>) -> Course<'s> {
        Course::Answered(self.refuse(refusal, seen, report))
    }

    fn refuse(
        &self,
        refusal: &Refusal,
        seen: Seen<'_>,
        report: &Report<'_>,
    ) -> Response<ProxyBody> {
        let certificate = seen.target.and_then(|target| self.certificate(target));
        let otherwise = |it: &Witness| self.peer.certificate.was_asked_otherwise(it.judged());
        if certificate.as_ref().is_some_and(otherwise) {
            self.peer.outdated.set(true);
        }
        let told = self.told(seen, certificate.map(|witness| Rc::clone(witness.judged())));
        let response = refusal.answer(&told);
        report.refused(refusal, &told, response.status());
        let unclear = matches!(
            refusal,
            Refusal::Malformed(_) | Refusal::Upstream(UpstreamError::RequestBody(_))
        );
        if unclear && self.http1 { closing(response) } else { response }
    }
}

/// The `CF_AppSession` that a browser already has.
fn app_session(headers: &HeaderMap) -> Option<AppSession> {
    let fields = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    cookie::named(fields, cookie::APP_SESSION).find_map(AppSession::resumed)
}

fn preflight_answer(app: &App, head: &Parts) -> Response<ProxyBody> {
    match app.cors() {
        Some(cors) => preflight::answer(cors, &head.headers),
        None => no_content(),
    }
}

/// The last answer on its connection: what follows a request with two meanings may not be one (checklist H), and a
/// client that has to show another certificate can do so with its next handshake only.
fn closing(mut response: Response<ProxyBody>) -> Response<ProxyBody> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn no_content() -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The head that a GET would have got. What comes from an origin has its own head already.
fn head_only(response: Response<ProxyBody>) -> Response<ProxyBody> {
    let (mut head, body) = response.into_parts();
    let ProxyBody::Full(bytes) = body else { return Response::from_parts(head, body) };
    head.headers.insert(CONTENT_LENGTH, bytes.len().into());
    Response::from_parts(head, ProxyBody::Empty)
}
