//! A form that waits for a login: handed to the control side when it came without a session, and put in place when it
//! comes again (see [`crate::forms`]).

use super::{Scene, Seen};
use crate::errand;
use crate::forms;
use crate::permit::{Ground, Permit};
use crate::refuse::Refusal;
use crate::report::Report;
use crate::source::Source;
use crate::target::Target;
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use narthex_snapshot::App;
use narthex_upstream::{ClientBody, ProxyBody, UpstreamError};
use std::sync::Arc;

/// Why no form was put in place.
enum NotExchanged {
    /// The control side says why, to the client.
    Answer(Response<Bytes>),
    /// There was no answer, or the request broke off.
    Refusal(Refusal),
}

/// Whether an admitted request may stand for a kept form: looked at for every request, so it costs next to nothing.
pub(super) fn may_stand_for_form(permit: &Permit<'_>, head: &Parts, body: &ClientBody) -> bool {
    permit.app().is_some_and(|app| app.spec.replay_post_after_login)
        && matches!(permit.ground(), Ground::Person(_))
        && forms::may_stand_for_one(head, body)
}

impl<'a> Scene<'a> {
    /// Whether a refused request is a form that waits for a login.
    pub(super) fn is_form_to_keep(
        &self,
        app: &App,
        refusal: &Refusal,
        head: &Parts,
        target: &Target,
    ) -> bool {
        let Refusal::Login { token: None, invalid_token: false, .. } = refusal else {
            return false;
        };
        let redirected = !self.wants.unauthorized && !self.wants.grpc;
        app.spec.replay_post_after_login && redirected && forms::is_own_form(head, target)
    }

    /// Has a form kept whose sender has to log in first. The cookie that leads back to it; `None` when it is lost.
    pub(super) async fn keep(
        &self,
        app: &Arc<App>,
        (head, body): (&Parts, ClientBody),
        target: &Target,
        source: &Source,
    ) -> Option<HeaderValue> {
        let _leave = self.lane.forms.ask(source.ip, self.now)?;
        let limits = &self.lane.common.limits;
        let reading = forms::read(body, limits.form_body, limits.form_time);
        let form = Box::pin(reading).await.ok()?;
        let site = errand::Site::FormToKeep;
        let answer = self.run(site, (&head.headers, form), target, source, Some(app)).await;
        let answer = answer.ok().filter(|answer| answer.status() == StatusCode::CREATED)?;
        answer.headers().get(SET_COOKIE).cloned()
    }

    /// Puts a kept form in the place of a request that stands for one; one that only looks like it stays as it is.
    async fn exchange(
        &self,
        permit: &Permit<'_>,
        (mut head, body): (Parts, ClientBody),
        target: &Target,
        source: &Source,
    ) -> Result<(Parts, ClientBody), NotExchanged> {
        let mark = Box::pin(forms::mark(body)).await;
        let (mark, stands) = mark.map_err(|error| {
            NotExchanged::Refusal(Refusal::Upstream(UpstreamError::RequestBody(error)))
        })?;
        if !stands {
            return Ok((head, ClientBody::from(mark)));
        }
        let (site, asking) = (errand::Site::KeptForm, (&head.headers, mark));
        match self.run(site, asking, target, source, permit.app()).await {
            Ok(kept) if kept.status() == StatusCode::OK => {
                let body = forms::put_in_place(&mut head, kept);
                Ok((head, body))
            }
            Ok(answer) => Err(NotExchanged::Answer(answer)),
            Err(not_run) => Err(NotExchanged::Refusal(Refusal::NotRun(not_run))),
        }
    }

    /// A request that looks as if it stood for a kept form, and its answer.
    pub(super) async fn exchanged(
        &self,
        permit: Permit<'_>,
        asked: (Parts, ClientBody),
        seen: Seen<'_>,
        report: &Report<'a>,
    ) -> Response<ProxyBody> {
        let (Some(target), Some(source)) = (seen.target, seen.source) else {
            return self.refuse(&Refusal::Nothing, seen, report);
        };
        match self.exchange(&permit, asked, target, source).await {
            Ok(asked) => self.send(permit, asked, seen, None, report).run(self, report).await,
            Err(NotExchanged::Answer(response)) => {
                report.passed_on(self.lane, self.ray, target, response.status());
                response.map(ProxyBody::from)
            }
            Err(NotExchanged::Refusal(refusal)) => self.refuse(&refusal, seen, report),
        }
    }

    async fn run(
        &self,
        site: errand::Site,
        (headers, body): (&HeaderMap, Bytes),
        target: &Target,
        source: &Source,
        app: Option<&Arc<App>>,
    ) -> Result<Response<Bytes>, errand::NotRun> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers.clone();
        *request.uri_mut() = Uri::from(target.path_and_query().clone());
        self.lane.meters().control.add();
        let common = &self.lane.common;
        let visitor = self.visitor(target, source, app);
        let patience = common.limits.control_time;
        Box::pin(errand::run_whole(&common.control, site, request, visitor, patience)).await
    }
}
