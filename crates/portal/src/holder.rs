//! Whose request it is on an application's host: the person whose token counts there, as the data path would find.

use crate::Portal;
use crate::ask::Ask;
use narthex_model::Session;
use narthex_policy::{CertificateFact, Facts, Outcome, Person};
use narthex_snapshot::{App, Snapshot};
use narthex_store::StoreError;
use narthex_token::{AppToken, PersonToken, cookie};
use std::sync::Arc;

/// A person's token that counts, the application it is for and the login session behind it.
pub(crate) struct Holder {
    pub(crate) app: Arc<App>,
    pub(crate) token: PersonToken,
    pub(crate) session: Arc<Session>,
}

impl Portal {
    /// The holders of the tokens among this request's cookies whose application lives on this host, in their order.
    pub(crate) async fn holders(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Vec<Holder>, StoreError> {
        let here = &ask.visit.host.host;
        let mut holders = Vec::new();
        for jwt in ask.cookies(cookie::AUTHORIZATION) {
            let Ok(AppToken::Person(token)) = snapshot.keys.open_any_app(jwt, ask.now) else {
                continue;
            };
            let Some(app) = snapshot.app_by_aud(&token.aud) else { continue };
            let lives_here = app.spec.destinations.iter().any(|d| d.host.matches(here));
            if !lives_here || !has_binding(ask, app, &token) {
                continue;
            }
            if self.live.revocations.refuses_person(&token) {
                continue;
            }
            let session = self.session(&token.identity_nonce).await?;
            if let Some(session) = session.filter(|s| s.identity.user_uuid == token.sub) {
                holders.push(Holder { app: Arc::clone(app), token, session });
            }
        }
        Ok(holders)
    }
}

/// Whether the binding cookie that the token needs is there.
fn has_binding(ask: &Ask<'_>, app: &App, token: &PersonToken) -> bool {
    let needs_none = token.is_bound_to(None) && !app.spec.cookie.enable_binding_cookie;
    let mut bindings = ask.bindings();
    needs_none
        || (token.binding.is_some() && bindings.any(|cookie| token.is_bound_to(Some(cookie))))
}

/// How long a token may live by the policy that admits this person from here now, in seconds; `None` when no policy
/// does.
pub(crate) fn admitted_seconds(ask: &Ask<'_>, app: &App, session: &Session) -> Option<i64> {
    let certificate = ask.visit.certificate.as_deref();
    let facts = Facts {
        ip: ask.visit.ip,
        country: ask.visit.country,
        service_token: None,
        certificate: certificate.map_or(CertificateFact::Absent, CertificateFact::Valid),
        person: Person::Known(&session.identity),
    };
    match app.policies.after_login(&facts) {
        Outcome::Admit(admission) => Some(app.session_seconds(Some(admission.policy))),
        Outcome::Refuse(_) => None,
    }
}
