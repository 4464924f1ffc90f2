//! The walk through an application's other hosts, so that a login sets the cookies of all of them (access-protocol §3.7).
//!
//! A link of the walk must log in nobody but the browser that holds the session: else it would be a link to lure
//! somebody with. Cookies do not reach from one host to another, so the walk goes round twice. On the first round each
//! host ties the browser down with a `CF_AppSession` of its own, and the team domain, where the round ends, asks whether
//! this is the browser with the session. On the second (`handoff`) each host gives its token to the browser with that
//! cookie. For five hosts and a provider that asks nothing these are fourteen redirects; browsers follow twenty, or
//! sixteen.
//!
//! A client that is no browser is not walked: it keeps no cookies that could be compared, and wants one token.

use crate::Portal;
use crate::ask::Ask;
use crate::handoff::{LIFE_SECONDS, Stop};
use crate::journey::{Journey, Packed};
use crate::pages::{Response, redirect, with_cookie};
use crate::redirect::AppOrigin;
use crate::secret::Handle;
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_model::{Hostname, IdentityNonce, UnixSeconds};
use narthex_snapshot::{App, Snapshot};
use narthex_store::PendingKind;
use narthex_token::{AppSession, cookie, set_cookie};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Most hosts whose cookies are set at login (seed 004).
const EAGER_HOSTS: usize = 5;

/// A walk on its first round, as the store keeps it under a nonce.
#[derive(Debug, Serialize, Deserialize)]
struct Walk {
    /// The host that may redeem the nonce; `None` for the team domain.
    at: Option<Hostname>,
    /// Hosts that have not tied the browser down yet.
    ahead: Vec<Hostname>,
    /// Those that have.
    tied: Vec<Stop>,
    journey: Packed,
    session: IdentityNonce,
    /// Life of the token in seconds.
    life: i64,
}

impl Portal {
    /// Sends a session on its way and returns the URL where that begins: at the application's other hosts if there are
    /// any to visit, else at the journey's own.
    pub(crate) async fn set_out(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        journey: &Journey,
        session: &IdentityNonce,
        life: i64,
    ) -> Result<String, Trouble> {
        let mut ahead = Vec::new();
        // A login that is bound to no browser goes through its application once more, and comes back here.
        if ask.is_telling_browser() && journey.seen.app_session.is_some() {
            ahead = others(&journey.app, &journey.origin.host);
            ahead.retain(|host| !self.silent.is_silent(host, session, ask.now));
        }
        let session = session.clone();
        if ahead.is_empty() {
            return self.hand_off(ask.now, snapshot, journey, Vec::new(), (session, life)).await;
        }
        let journey = journey.pack();
        let walk = Walk { at: None, ahead, tied: Vec::new(), journey, session, life };
        self.walk_on(ask.now, snapshot, walk).await
    }

    /// `GET /cdn-cgi/access/walk` on one of the other hosts: ties the browser down and sends it on.
    pub(crate) async fn walk_through(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let here = &ask.visit.host.host;
        let mut walk = self.resume(ask, Some(here)).await?;
        self.silent.arrived(here, &walk.session, ask.now);
        Journey::unpack(walk.journey.clone(), snapshot)?;
        // A login in another tab may wait for the cookie that is there.
        let session = ask.cookies(cookie::APP_SESSION).find_map(AppSession::resumed);
        let session = session.unwrap_or_else(AppSession::random);
        let app_session = Some(AppSession::hash(session.as_str()));
        walk.tied.push(Stop { host: here.clone(), app_session });
        let next = self.walk_on(ask.now, snapshot, walk).await?;
        let onwards = redirect(StatusCode::FOUND, &next);
        Ok(with_cookie(onwards, &set_cookie::app_session(&session, ask.now)))
    }

    /// `GET /cdn-cgi/access/walk` on the team domain: the first round is over. Whoever was lured into it ends here.
    pub(crate) async fn walked(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let Walk { tied, journey, session, life, .. } = self.resume(ask, None).await?;
        let journey = Journey::unpack(journey, snapshot)?;
        if !self.holds_session(ask, snapshot, &session).await? {
            let cookie_missing = ask.cookies(cookie::AUTHORIZATION).next().is_none();
            let restart = Some(journey.url());
            return Err(Trouble::InvalidLoginSession { restart, cookie_missing });
        }
        let next = self.hand_off(ask.now, snapshot, &journey, tied, (session, life)).await?;
        Ok(redirect(StatusCode::FOUND, &next))
    }

    /// Moves a walk to the next host, or back to the team domain, and returns the URL there.
    async fn walk_on(
        &self,
        now: UnixSeconds,
        snapshot: &Snapshot,
        mut walk: Walk,
    ) -> Result<String, Trouble> {
        walk.at = if walk.ahead.is_empty() { None } else { Some(walk.ahead.remove(0)) };
        let nonce = Handle::random();
        let body = serde_json::to_value(&walk).expect("a walk has only text keys");
        let expires = now.plus(LIFE_SECONDS);
        self.store.put_pending(PendingKind::Walk, &nonce.key(), &body, expires).await?;
        let team = &snapshot.premises.team;
        let origin = match walk.at {
            None => team.issuer().to_owned(),
            Some(host) => {
                self.silent.sent(&host, &walk.session, now);
                AppOrigin::of(host, team.authority()).to_string()
            }
        };
        Ok(format!("{origin}/cdn-cgi/access/walk?nonce={}", nonce.as_str()))
    }

    /// Takes the walk of the nonce in the query. Whoever presents a nonce uses it up, also at the wrong host.
    async fn resume(&self, ask: &Ask<'_>, here: Option<&Hostname>) -> Result<Walk, Trouble> {
        let invalid = || Trouble::InvalidLoginSession { restart: None, cookie_missing: false };
        let query = ask.query()?;
        let nonce = query.get("nonce").and_then(Handle::read).ok_or_else(invalid)?;
        let kept = self.store.take_pending(PendingKind::Walk, &nonce.key(), ask.now).await?;
        let walk = kept.and_then(|body| serde_json::from_value::<Walk>(body).ok());
        walk.filter(|walk| walk.at.as_ref() == here).ok_or_else(invalid)
    }
}

/// The hosts to visit for their cookies before the one where the login began. None when there are more than five in
/// all, or when the application's setting says so; wildcards name no host to visit.
fn others(app: &App, start: &Hostname) -> Vec<Hostname> {
    let patterns: HashSet<_> = app.spec.destinations.iter().map(|d| &d.host).collect();
    let eager = app.spec.cookie.eager_redirect_cookie_setting != Some(false);
    if !eager || patterns.len() > EAGER_HOSTS {
        return Vec::new();
    }
    app.spec.exact_hosts().filter(|host| *host != start).cloned().collect()
}
