//! Logging out, on either domain: the session ends, and with it every token issued under it (access-protocol §10.4).
//!
//! It is a plain `GET`, as clients expect; a stranger can cause it, and nothing else (security C10).

use crate::Portal;
use crate::ask::Ask;
use crate::design::Frame;
use crate::pages::{Response, note, redirect, with_cookie};
use crate::redirect::return_to;
use crate::texts;
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_model::{Application, Hostname};
use narthex_snapshot::Snapshot;
use narthex_token::{AppToken, cookie, set_cookie};
use std::collections::BTreeSet;
use url::Url;

impl Portal {
    /// `GET /cdn-cgi/access/logout` on the team domain.
    pub(crate) async fn logout_team(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let onwards = self.onwards(ask, snapshot);
        if let Some(session) = self.global_session(ask, snapshot).await? {
            self.end_session(&session.nonce, ask.now).await;
            self.record_logout(ask, &session.identity, None).await;
        }
        let response = match onwards {
            Ok(Some(url)) => redirect(StatusCode::FOUND, url.as_str()),
            Ok(None) => {
                let frame = Frame::of_team(snapshot);
                note(&frame, texts::LOGGED_OUT, texts::LOGGED_OUT_WHY, Vec::new())
            }
            Err(trouble) => trouble.answer(ask, &Frame::of_team(snapshot)),
        };
        let response = with_cookie(response, &set_cookie::remove_org_authorization());
        Ok(with_cookie(response, &set_cookie::remove_session()))
    }

    /// `GET /cdn-cgi/access/logout` on an application's host.
    pub(crate) async fn logout_app(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        if let Err(error) = self.drop_forms(ask).await {
            tracing::warn!(%error, "forms of somebody who logged out stay until their time is over");
        }
        let mut ended = false;
        for jwt in ask.cookies(cookie::AUTHORIZATION) {
            let Ok(AppToken::Person(token)) = snapshot.keys.open_any_app(jwt, ask.now) else {
                continue;
            };
            ended = true;
            if let Some(session) = self.session(&token.identity_nonce).await? {
                let app = snapshot.app_by_aud(&token.aud);
                self.end_session(&session.nonce, ask.now).await;
                self.record_logout(ask, &session.identity, app.map(AsRef::as_ref)).await;
            }
        }
        let landing = format!("https://{}/?__cf_access_message=logged_out", ask.visit.host);
        let response = match self.onwards(ask, snapshot) {
            Err(trouble) => trouble.answer(ask, &Frame::of_team(snapshot)),
            Ok(onwards) => {
                let landing = onwards.map_or(landing, |url| url.to_string());
                // Without a token nobody here knows the session; the team domain does, and would log the person
                // in again at once.
                let location = if ended { landing } else { through_team(snapshot, &landing) };
                redirect(StatusCode::FOUND, &location)
            }
        };
        let mut removals = removals(snapshot, &ask.visit.host.host);
        if ask.cookies(cookie::FORM).next().is_some() {
            removals.insert(set_cookie::remove_form());
        }
        Ok(removals.iter().fold(response, |response, cookie| with_cookie(response, cookie)))
    }

    /// Where the visitor asks to be sent after the logout.
    fn onwards(&self, ask: &Ask<'_>, snapshot: &Snapshot) -> Result<Option<Url>, Trouble> {
        let query = ask.query()?;
        let Some(raw) = query.get("returnTo") else { return Ok(None) };
        let team = snapshot.premises.team.authority();
        let ours = |host: &Hostname| host.is_within(&team.host) || is_protected(snapshot, host);
        return_to(raw, team, ours).map(Some).map_err(|_| Trouble::ForeignReturn)
    }
}

/// Whether some application lives on `host`.
fn is_protected(snapshot: &Snapshot, host: &Hostname) -> bool {
    snapshot.apps().any(|app| app.spec.destinations.iter().any(|d| d.host.matches(host)))
}

fn through_team(snapshot: &Snapshot, landing: &str) -> String {
    let landing: String = url::form_urlencoded::byte_serialize(landing.as_bytes()).collect();
    format!("{}/cdn-cgi/access/logout?returnTo={landing}", snapshot.premises.team.issuer())
}

/// The cookies to take away on `host`: of every application there, on each path where they may have been set.
fn removals(snapshot: &Snapshot, host: &Hostname) -> BTreeSet<String> {
    let mut removals = BTreeSet::new();
    for app in snapshot.apps() {
        let spec: &Application = &app.spec;
        for destination in spec.destinations.iter().filter(|d| d.host.matches(host)) {
            let path = match spec.cookie.path_cookie_attribute {
                true => destination.path.literal_prefix(),
                false => "/",
            };
            removals.insert(set_cookie::remove_app_authorization(&spec.cookie, path));
            removals.insert(set_cookie::remove_binding(&spec.cookie, path));
            removals.insert(set_cookie::remove_binding_companion(&spec.cookie, path, app.aud()));
        }
    }
    removals
}
