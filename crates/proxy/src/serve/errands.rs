//! Requests that the control side answers: the team domain, the admin host, and the reserved paths of applications.

use super::{Scene, Seen};
use crate::errand;
use crate::refuse::Refusal;
use crate::report::Report;
use crate::source::Source;
use crate::target::Target;
use http::request::Parts;
use http::{Request, Response, Uri};
use narthex_snapshot::App;
use narthex_upstream::{ClientBody, ProxyBody};
use std::sync::Arc;

impl<'a> Scene<'a> {
    /// Something that the control side answers.
    pub(super) async fn errand(
        &self,
        site: errand::Site,
        (mut head, body): (Parts, ClientBody),
        target: &Target,
        source: &Source,
        report: &Report<'a>,
    ) -> Response<ProxyBody> {
        self.lane.meters().control.add();
        head.uri = Uri::from(target.path_and_query().clone());
        let limits = &self.lane.common.limits;
        let (app, most) = match site {
            errand::Site::App => (self.app_of_host(target), limits.portal_body),
            errand::Site::Team if target.path() == "/cdn-cgi/access/callback" => {
                (None, limits.callback_body)
            }
            errand::Site::Team | errand::Site::FormToKeep | errand::Site::KeptForm => {
                (None, limits.portal_body)
            }
            errand::Site::Admin => (None, limits.admin_body),
        };
        let visitor = self.visitor(target, source, app);
        let request = Request::from_parts(head, body);
        let control = &self.lane.common.control;
        let run = errand::run(control, site, request, visitor, most, limits.control_time);
        match Box::pin(run).await {
            Ok(response) => {
                report.passed_on(self.lane, self.ray, target, response.status());
                response.map(ProxyBody::from)
            }
            Err(not_run) => {
                let seen = Seen { target: Some(target), source: Some(source), app: None };
                self.refuse(&Refusal::NotRun(not_run), seen, report)
            }
        }
    }

    pub(super) fn visitor(
        &self,
        target: &Target,
        source: &Source,
        app: Option<&Arc<App>>,
    ) -> errand::Visitor {
        errand::Visitor {
            ip: source.ip,
            country: source.country,
            ray: self.ray.clone(),
            host: target.authority().clone(),
            path: target.path().to_owned(),
            app: app.map(|app| app.id()),
            certificate: self.certificate(target).and_then(|it| it.judged().holder().cloned()),
        }
    }

    /// The application at the root of a host, if there is one.
    fn app_of_host(&self, target: &Target) -> Option<&'a Arc<App>> {
        let root = narthex_model::CanonicalPath::of("/").ok()?;
        self.world.snapshot.app(target.host(), &root)
    }
}
