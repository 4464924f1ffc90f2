//! The team domain's front page: who is logged in. Later the place for a tile per application.

use crate::Portal;
use crate::ask::Ask;
use crate::design::Frame;
use crate::pages::{Link, Notice, Response, page};
use crate::texts;
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_snapshot::Snapshot;

impl Portal {
    /// `GET /` on the team domain.
    pub(crate) async fn launcher(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let frame = Frame::of_team(snapshot);
        let session = self.global_session(ask, snapshot).await?;
        let (line, facts, actions) = match session {
            None => (texts::LAUNCHER_NOBODY, Vec::new(), Vec::new()),
            Some(session) => (
                texts::LAUNCHER_SOMEBODY,
                vec![(texts::FACT_ACCOUNT, session.identity.email.to_string())],
                vec![Link { href: "/cdn-cgi/access/logout".to_owned(), label: texts::LOG_OUT }],
            ),
        };
        let notice = Notice {
            frame: &frame,
            title: snapshot.organization.name.clone(),
            lines: vec![line.to_owned()],
            facts,
            actions,
            trace: None,
        };
        Ok(page(StatusCode::OK, &frame, &notice))
    }
}
