//! The answer of an OpenID Connect provider: bound to the browser that asked, to one provider, one use and ten
//! minutes (security rule 24).

use crate::Portal;
use crate::ask::Ask;
use crate::browser::is_browser;
use crate::journey::Journey;
use crate::login::{Goal, PendingLogin, allowed, callback_url};
use crate::pages::Response;
use crate::secret::Handle;
use crate::trouble::Trouble;
use narthex_idp::CallbackParams;
use narthex_model::{IdentityNonce, IdentityProvider, IdpId};
use narthex_snapshot::Snapshot;
use narthex_store::PendingKind;
use std::sync::Arc;

impl Portal {
    /// `GET /cdn-cgi/access/callback`.
    pub(crate) async fn callback(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let query = ask.query()?;
        let invalid = || Trouble::InvalidSession { restart: None };
        let state = query.get("state").and_then(Handle::read).ok_or_else(invalid)?;
        self.logins.count(ask.visit.ip, ask.now)?;
        let kept = self.store.take_pending(PendingKind::Login, &state.key(), ask.now).await?;
        let kept = kept.and_then(|body| serde_json::from_value::<PendingLogin>(body).ok());
        let pending = kept.ok_or(Trouble::LoginOver)?;
        let purpose = Purpose::of(pending.goal, snapshot)?;
        if !is_browser(ask, &pending.browser) {
            return Err(Trouble::InvalidSession { restart: purpose.restart() });
        }
        let idp = purpose.provider(snapshot, pending.oidc.idp())?;
        let owned = |name| query.get(name).map(str::to_owned);
        let answer = CallbackParams {
            code: owned("code"),
            iss: owned("iss"),
            error: owned("error"),
            error_description: owned("error_description"),
        };
        let asked = callback_url(snapshot);
        let vouched =
            self.providers.finish_oidc(&idp, &asked, &pending.oidc, &answer, ask.now).await;
        match (vouched, &purpose) {
            (Err(error), _) => Err(self.provider_failed(ask, purpose.journey(), &idp, error).await),
            (Ok(assertion), Purpose::App(journey)) => {
                self.enter(ask, snapshot, journey, &idp, assertion).await
            }
            (Ok(assertion), Purpose::Refresh(session)) => {
                self.refreshed(ask, snapshot, session, &idp, assertion).await
            }
        }
    }
}

/// A login's goal, as far as it still exists.
enum Purpose {
    App(Box<Journey>),
    Refresh(IdentityNonce),
}

impl Purpose {
    fn of(goal: Goal, snapshot: &Snapshot) -> Result<Self, Trouble> {
        match goal {
            Goal::App(packed) => Journey::unpack(packed, snapshot).map(Box::new).map(Self::App),
            Goal::Refresh(session) => Ok(Self::Refresh(session)),
        }
    }

    fn journey(&self) -> Option<&Journey> {
        match self {
            Self::App(journey) => Some(journey),
            Self::Refresh(_) => None,
        }
    }

    fn restart(&self) -> Option<String> {
        self.journey().map(Journey::url)
    }

    /// The provider that was asked, if it may still answer.
    fn provider(&self, snapshot: &Snapshot, id: IdpId) -> Result<Arc<IdentityProvider>, Trouble> {
        let gone = || Trouble::InvalidSession { restart: self.restart() };
        match self {
            Self::App(journey) => allowed(snapshot, journey, &id.to_string()),
            Self::Refresh(_) => snapshot.identity_provider(id).cloned().ok_or_else(gone),
        }
    }
}
