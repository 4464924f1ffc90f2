//! Somebody is known: the policies decide, a session begins, and the browser goes on to the application; or a page
//! says why not (access-protocol §3.4 step 8, §3.8).

use crate::Portal;
use crate::ask::Ask;
use crate::browser::count_round;
use crate::design::Frame;
use crate::journey::Journey;
use crate::pages::{Link, Notice, Response, page, redirect, with_cookie};
use crate::sessions::global_seconds;
use crate::texts;
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_idp::{Assertion, IdpError};
use narthex_model::{
    Geo, Identity, IdentityNonce, IdentityProvider, IdpReference, Session, Timestamp, UserId,
};
use narthex_policy::{Outcome, Person, Reason, Refusal};
use narthex_snapshot::Snapshot;
use std::collections::BTreeSet;
use url::Url;

impl Portal {
    /// Goes straight on when the browser has a session that the application accepts; `None` when somebody has to
    /// log in. Works without any other cookie (access-protocol §13.4).
    pub(crate) async fn enter_silently(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        journey: &Journey,
    ) -> Result<Option<Response>, Trouble> {
        let Some(session) = self.global_session(ask, snapshot).await? else { return Ok(None) };
        let ways = snapshot.allowed_idps(&journey.app);
        let Some(idp) = ways.iter().find(|way| way.id == session.identity.idp.id) else {
            return Ok(None); // logged in another way than this application asks for
        };
        let identity = &session.identity;
        let (admission, reason) = match decide(ask, journey, identity) {
            (Outcome::Admit(admission), reason) => (admission, reason),
            (Outcome::Refuse(_), reason) => {
                return self.deny(ask, snapshot, journey, idp, identity, &reason).await.map(Some);
            }
        };
        let round = count_round(ask, journey)?;
        let life = journey.app.session_seconds(Some(admission.policy));
        let onwards = self.set_out(ask, snapshot, journey, &session.nonce, life).await?;
        self.record_entry(ask, journey, idp, identity, &reason, "with the session of this browser")
            .await;
        Ok(Some(with_cookie(redirect(StatusCode::FOUND, &onwards), &round)))
    }

    /// A provider has vouched for somebody: decides, begins a session and sends the browser on.
    pub(crate) async fn enter(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        journey: &Journey,
        idp: &IdentityProvider,
        assertion: Assertion,
    ) -> Result<Response, Trouble> {
        // The user's id decides nothing; people who are refused leave no trace among the users.
        let mut identity = identity(ask, snapshot, idp, assertion);
        let (admission, reason) = match decide(ask, journey, &identity) {
            (Outcome::Admit(admission), reason) => (admission, reason),
            (Outcome::Refuse(_), reason) => {
                return self.deny(ask, snapshot, journey, idp, &identity, &reason).await;
            }
        };
        let user = self.store.user_for_login(&identity.email, &identity.name, ask.now).await?;
        identity.user_uuid = user.id;
        identity.certificate = journey.seen.certificate.as_deref().cloned();
        let life = journey.app.session_seconds(Some(admission.policy));
        let expires_at = ask.now.plus(global_seconds(&snapshot.organization, &journey.app));
        let session = Session {
            nonce: IdentityNonce::random(),
            identity,
            expires_at,
            tokens_until: expires_at.max(ask.now.plus(life)),
            apps: BTreeSet::new(),
        };
        let cookie = self.begin_session(ask, snapshot, &session, journey.url()).await?;
        let onwards = self.set_out(ask, snapshot, journey, &session.nonce, life).await?;
        self.record_entry(ask, journey, idp, &session.identity, &reason, "after logging in").await;
        Ok(with_cookie(redirect(StatusCode::FOUND, &onwards), &cookie))
    }

    /// Tells somebody that the policies refuse that account, and why.
    async fn deny(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        journey: &Journey,
        idp: &IdentityProvider,
        identity: &Identity,
        reason: &Reason,
    ) -> Result<Response, Trouble> {
        self.record_denial(ask, journey, Some((idp, identity)), reason).await;
        let spec = &journey.app.spec;
        if let Some(elsewhere) = web_address(spec.custom_deny_url.as_deref()) {
            return Ok(redirect(StatusCode::FOUND, elsewhere.as_str()));
        }
        let title = spec.custom_deny_message.clone().filter(|text| !text.trim().is_empty());
        let again = format!("{}{}", journey.origin, journey.path.with_message("unauthorized"));
        let again: String = url::form_urlencoded::byte_serialize(again.as_bytes()).collect();
        let mut facts = vec![(texts::FACT_ACCOUNT, identity.email.to_string())];
        facts.extend(self.deny_facts(journey, reason));
        Ok(refusal(
            ask,
            snapshot,
            Refused {
                title: title.unwrap_or_else(|| texts::DENIED.to_owned()),
                reason,
                facts,
                actions: vec![Link {
                    href: format!("/cdn-cgi/access/logout?returnTo={again}"),
                    label: texts::OTHER_ACCOUNT,
                }],
            },
        ))
    }

    /// Tells somebody that nobody could get in from where the request came from, whoever they are.
    pub(crate) async fn refuse_before_login(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        journey: &Journey,
    ) -> Result<Response, Trouble> {
        let facts = journey.facts(ask.visit, Person::Anybody);
        let outcome = Outcome::Refuse(Refusal::NothingMatches);
        let reason = journey.app.policies.explain(&facts, &outcome);
        self.record_denial(ask, journey, None, &reason).await;
        let elsewhere = journey.app.spec.custom_non_identity_deny_url.as_deref();
        if let Some(elsewhere) = web_address(elsewhere) {
            return Ok(redirect(StatusCode::FOUND, elsewhere.as_str()));
        }
        Ok(refusal(
            ask,
            snapshot,
            Refused {
                title: texts::NO_WAY_IN.to_owned(),
                reason: &reason,
                facts: self.deny_facts(journey, &reason),
                actions: vec![Link { href: journey.url(), label: texts::TRY_AGAIN }],
            },
        ))
    }

    fn deny_facts(&self, journey: &Journey, reason: &Reason) -> Vec<(&'static str, String)> {
        let mut facts = vec![(texts::FACT_APP, journey.app.spec.name.clone())];
        if !reason.policy_name.is_empty() {
            facts.push((texts::FACT_POLICY, reason.policy_name.clone()));
        }
        facts
    }

    /// Records that a provider did not vouch, and says what the person sees of it.
    pub(crate) async fn provider_failed(
        &self,
        ask: &Ask<'_>,
        journey: Option<&Journey>,
        idp: &IdentityProvider,
        error: IdpError,
    ) -> Trouble {
        self.record_failed_login(ask, journey, idp, None, error.to_string()).await;
        Trouble::Provider { error, restart: journey.map(Journey::url) }
    }

    /// Records that a wrong code was typed for an address.
    pub(crate) async fn record_wrong_code(
        &self,
        ask: &Ask<'_>,
        journey: &Journey,
        idp: &IdentityProvider,
        email: &narthex_model::EmailAddress,
    ) {
        let reason = "the login code was wrong".to_owned();
        self.record_failed_login(ask, Some(journey), idp, Some(email), reason).await;
    }
}

/// What the policies say about a person's request.
fn decide(ask: &Ask<'_>, journey: &Journey, identity: &Identity) -> (Outcome, Reason) {
    let facts = journey.facts(ask.visit, Person::Known(identity));
    let outcome = journey.app.policies.after_login(&facts);
    let reason = journey.app.policies.explain(&facts, &outcome);
    (outcome, reason)
}

/// What is known of a person now; the user's id is filled in when the person is admitted.
pub(crate) fn identity(
    ask: &Ask<'_>,
    snapshot: &Snapshot,
    idp: &IdentityProvider,
    assertion: Assertion,
) -> Identity {
    Identity {
        id: assertion.subject,
        name: assertion.name,
        email: assertion.email,
        amr: assertion.amr,
        idp: IdpReference { id: idp.id, kind: idp.config.kind().to_owned() },
        geo: Geo { country: ask.visit.country },
        user_uuid: UserId::random(),
        account_id: snapshot.premises.account.id.clone(),
        iat: ask.now,
        ip: ask.visit.ip,
        groups: assertion.groups,
        oidc_fields: assertion.claims,
        saml_attributes: assertion.attributes,
        certificate: None,
    }
}

/// An address that an administrator chose for refused people.
fn web_address(raw: Option<&str>) -> Option<Url> {
    let url = raw.and_then(|raw| Url::parse(raw).ok());
    url.filter(|url| matches!(url.scheme(), "https" | "http"))
}

struct Refused<'a> {
    title: String,
    reason: &'a Reason,
    facts: Vec<(&'static str, String)>,
    actions: Vec<Link>,
}

fn refusal(ask: &Ask<'_>, snapshot: &Snapshot, refused: Refused<'_>) -> Response {
    let frame = Frame::of_team(snapshot);
    let notice = Notice {
        frame: &frame,
        title: refused.title,
        lines: vec![refused.reason.sentence.clone()],
        facts: refused.facts,
        actions: refused.actions,
        trace: Some((ask.visit.ray.to_string(), Timestamp(ask.now).to_string())),
    };
    page(StatusCode::FORBIDDEN, &frame, &notice)
}
