//! What the portal writes down: one record for each login, refusal and logout (design §3, security rule 37).

use crate::Portal;
use crate::ask::Ask;
use crate::journey::Journey;
use narthex_model::{AccessRecord, Action, EmailAddress, Identity, IdentityProvider, Verdict};
use narthex_policy::Reason;
use narthex_snapshot::App;

impl Portal {
    /// Hands a record over. Waits while the queue is full: a login that cannot be written down does not happen.
    async fn record(&self, record: AccessRecord) {
        if self.records.send(record).await.is_err() {
            tracing::error!("an access record was lost: nothing takes records any more");
        }
    }

    /// Somebody was let in.
    pub(crate) async fn record_entry(
        &self,
        ask: &Ask<'_>,
        journey: &Journey,
        idp: &IdentityProvider,
        identity: &Identity,
        reason: &Reason,
        how: &str,
    ) {
        let name = &reason.policy_name;
        let sentence = format!("admitted by the policy {name:?} {how}");
        let record = blank(ask, Action::Login, Verdict::Allowed, sentence);
        let record = AccessRecord { user: Some(identity.user_uuid), ..of_person(record, identity) };
        self.record(of_app(with_reason(of_idp(record, idp), reason), &journey.app)).await;
    }

    /// The policies refused somebody, or everybody who comes from there.
    pub(crate) async fn record_denial(
        &self,
        ask: &Ask<'_>,
        journey: &Journey,
        who: Option<(&IdentityProvider, &Identity)>,
        reason: &Reason,
    ) {
        let fact =
            if reason.fact.is_empty() { String::new() } else { format!(" ({})", reason.fact) };
        let sentence = format!("{}{fact}", reason.sentence);
        let mut record = blank(ask, Action::Login, Verdict::Refused, sentence);
        if let Some((idp, identity)) = who {
            record = of_person(of_idp(record, idp), identity);
        }
        self.record(of_app(with_reason(record, reason), &journey.app)).await;
    }

    /// Somebody tried to log in, and the provider did not vouch.
    pub(crate) async fn record_failed_login(
        &self,
        ask: &Ask<'_>,
        journey: Option<&Journey>,
        idp: &IdentityProvider,
        email: Option<&EmailAddress>,
        reason: String,
    ) {
        let record = of_idp(blank(ask, Action::Login, Verdict::Refused, reason), idp);
        let record = AccessRecord { user_email: email.cloned(), ..record };
        self.record(at(ask, record, journey.map(|journey| &*journey.app))).await;
    }

    /// Somebody logged in again, for no application in particular.
    pub(crate) async fn record_refresh(
        &self,
        ask: &Ask<'_>,
        idp: &IdentityProvider,
        identity: &Identity,
        verdict: Verdict,
        reason: &str,
    ) {
        let record = of_idp(blank(ask, Action::Login, verdict, reason.to_owned()), idp);
        self.record(at(ask, of_person(record, identity), None)).await;
    }

    /// Somebody logged out; `app` is where, or the team domain.
    pub(crate) async fn record_logout(
        &self,
        ask: &Ask<'_>,
        identity: &Identity,
        app: Option<&App>,
    ) {
        let record = blank(ask, Action::Logout, Verdict::Allowed, "logged out".to_owned());
        let record = AccessRecord {
            user: Some(identity.user_uuid),
            idp: Some(identity.idp.id),
            connection: identity.idp.kind.clone(),
            ..of_person(record, identity)
        };
        self.record(at(ask, record, app)).await;
    }
}

fn blank(ask: &Ask<'_>, action: Action, verdict: Verdict, reason: String) -> AccessRecord {
    AccessRecord {
        ip_address: Some(ask.visit.ip),
        country: ask.visit.country,
        ..AccessRecord::new(ask.visit.ray.clone(), ask.now, action, verdict, reason)
    }
}

fn of_app(record: AccessRecord, app: &App) -> AccessRecord {
    AccessRecord { app: Some(app.id()), app_domain: app.domain().to_owned(), ..record }
}

/// Of the application, or else of the host that was asked.
fn at(ask: &Ask<'_>, record: AccessRecord, app: Option<&App>) -> AccessRecord {
    match app {
        Some(app) => of_app(record, app),
        None => AccessRecord { app_domain: ask.visit.host.to_string(), ..record },
    }
}

fn of_idp(record: AccessRecord, idp: &IdentityProvider) -> AccessRecord {
    AccessRecord { idp: Some(idp.id), connection: idp.config.kind().to_owned(), ..record }
}

fn of_person(record: AccessRecord, identity: &Identity) -> AccessRecord {
    AccessRecord { user_email: Some(identity.email.clone()), ..record }
}

fn with_reason(record: AccessRecord, reason: &Reason) -> AccessRecord {
    AccessRecord { policy: reason.policy, rule: reason.rule.clone(), ..record }
}
