//! `refresh-identity`: logs in again at the same provider, reads anew what it says about the person, and begins a new
//! session in place of the old one (access-protocol §10.5). Tokens of the old session are renewed at their next use.

use crate::Portal;
use crate::ask::Ask;
use crate::browser::Browser;
use crate::design::Frame;
use crate::enter::identity;
use crate::login::{Goal, Stayed};
use crate::pages::{Link, Response, note, redirect, with_cookie};
use crate::texts;
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_idp::Assertion;
use narthex_model::{IdentityNonce, IdentityProvider, IdpConfig, Session, Verdict};
use narthex_snapshot::Snapshot;
use std::collections::BTreeSet;

const HERE: &str = "/cdn-cgi/access/refresh-identity";

impl Portal {
    /// `GET /cdn-cgi/access/refresh-identity`.
    pub(crate) async fn refresh(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let frame = Frame::of_team(snapshot);
        if ask.query()?.get("success") == Some("true") {
            return Ok(note(&frame, texts::REFRESHED, texts::REFRESHED_WHY, Vec::new()));
        }
        let Some(session) = self.global_session(ask, snapshot).await? else {
            return Ok(redirect(StatusCode::FOUND, "/"));
        };
        let gone = || Trouble::InvalidSession { restart: None };
        let idp = snapshot.identity_provider(session.identity.idp.id).ok_or_else(gone)?;
        if matches!(idp.config, IdpConfig::OneTimePin) {
            let href = "/cdn-cgi/access/logout".to_owned();
            let actions = vec![Link { href, label: texts::LOG_OUT }];
            let (title, line) = (texts::REFRESH_BY_CODE, texts::REFRESH_BY_CODE_WHY);
            return Ok(note(&frame, title, line, actions));
        }
        let browser = Browser::of(ask);
        let goal = Goal::Refresh(session.nonce.clone());
        match self.depart(ask, snapshot, goal, &browser, idp).await {
            Ok(response) => Ok(browser.greet(response, ask.now)),
            Err(Stayed::Here(trouble)) => Err(trouble),
            Err(Stayed::Provider(error)) => Err(self.provider_failed(ask, None, idp, error).await),
        }
    }

    /// The provider has vouched again: a new session of the same length, for the same person. If it vouched for
    /// somebody else, the session ends.
    pub(crate) async fn refreshed(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        before: &IdentityNonce,
        idp: &IdentityProvider,
        assertion: Assertion,
    ) -> Result<Response, Trouble> {
        let mut identity = identity(ask, snapshot, idp, assertion);
        let before = self.session(before).await?;
        let before = before.filter(|b| ask.now < b.expires_at).ok_or(Trouble::LoginOver)?;
        if identity.email != before.identity.email || identity.id != before.identity.id {
            // Whoever sits there now is not whom the session is for (security O9).
            self.end_session(&before.nonce, ask.now).await;
            let reason = "logged in again as somebody else; the session was ended";
            self.record_refresh(ask, idp, &identity, Verdict::Refused, reason).await;
            return Err(Trouble::OtherAccount);
        }
        let user = self.store.user_for_login(&identity.email, &identity.name, ask.now).await?;
        identity.user_uuid = user.id;
        identity.certificate = before.identity.certificate.clone();
        let expires_at = ask.now.plus(before.expires_at.since(before.identity.iat));
        let nonce = IdentityNonce::random();
        let (tokens_until, apps) = (expires_at, BTreeSet::new());
        let session = Session { nonce, identity, expires_at, tokens_until, apps };
        let again = format!("{}{HERE}", snapshot.premises.team.issuer());
        let cookie = self.begin_session(ask, snapshot, &session, again.clone()).await?;
        let reason = "logged in again to renew the identity";
        self.record_refresh(ask, idp, &session.identity, Verdict::Allowed, reason).await;
        let done = format!("{again}?success=true");
        Ok(with_cookie(redirect(StatusCode::FOUND, &done), &cookie))
    }
}
