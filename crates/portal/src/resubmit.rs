//! The page between a login and the form that waited for it: it sends the form by itself, or asks first.

use crate::Portal;
use crate::ask::Ask;
use crate::design::Frame;
use crate::forms::{PROOF, PURPOSE};
use crate::journey::Journey;
use crate::pages::{Response, ResubmitPage, page_with_script, redirect};
use crate::secret::Handle;
use crate::texts;
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_snapshot::Snapshot;
use narthex_store::StoreError;
use narthex_token::cookie;

/// Where the page is, on the application's host.
const HERE: &str = "/cdn-cgi/access/resubmit";

/// Sends the form; allowed by its hash in the page's Content-Security-Policy.
const SCRIPT: &str = "document.getElementById(\"form\").submit()";

impl Portal {
    /// Where a finished login leads: to the page that was asked for, or to the one that sends the form that this
    /// browser had posted there.
    pub(crate) async fn landing(
        &self,
        ask: &Ask<'_>,
        journey: &Journey,
    ) -> Result<String, StoreError> {
        if journey.app.spec.replay_post_after_login {
            for handle in ask.cookies(cookie::FORM).filter_map(Handle::read) {
                let kept = self.peek_form(ask, &handle).await?;
                let waits = kept.is_some_and(|kept| {
                    kept.aud == *journey.app.aud()
                        && kept.host == journey.origin.host
                        && kept.path == journey.path.as_str()
                });
                if waits {
                    return Ok(format!("{}{HERE}", journey.origin));
                }
            }
        }
        Ok(journey.url())
    }

    /// `GET /cdn-cgi/access/resubmit` on an application's host.
    pub(crate) async fn resubmit(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let mut waiting = None;
        for handle in ask.cookies(cookie::FORM).filter_map(Handle::read) {
            let kept = self.peek_form(ask, &handle).await?;
            let here = kept.filter(|kept| kept.host == ask.visit.host.host);
            waiting = waiting.or(here.map(|kept| (handle, kept)));
        }
        let (handle, kept) = waiting.ok_or(Trouble::FormGone { page: None })?;
        let holders = self.holders(ask, snapshot).await?;
        let Some(holder) = holders.into_iter().find(|holder| *holder.app.aud() == kept.aud) else {
            return Ok(redirect(StatusCode::FOUND, &kept.path)); // to log in, which leads back here
        };
        self.check_owner(ask, &handle, &kept, holder.token.sub).await?;
        let frame = Frame::of_team(snapshot);
        let is_certain = kept.owner.is_some();
        let proof = handle.derive(PURPOSE);
        let page = ResubmitPage {
            frame: &frame,
            title: if is_certain { texts::SENDING_FORM } else { texts::SEND_FORM_QUESTION },
            line: if is_certain { texts::SENDING_FORM_WHY } else { texts::SEND_FORM_QUESTION_WHY },
            app: &holder.app.spec.name,
            account: holder.session.identity.email.as_str(),
            action: &kept.path,
            field: PROOF,
            proof: proof.as_str(),
            script: if is_certain { SCRIPT } else { "" },
        };
        Ok(page_with_script(StatusCode::OK, &frame, &page, page.script))
    }
}
