//! The answer of an identity provider, by `GET` from OpenID Connect and by `POST` from SAML: bound to the browser that asked, to one provider, one use and ten
//! minutes (security rule 24).

use crate::Portal;
use crate::ask::Ask;
use crate::browser::is_browser;
use crate::journey::Journey;
use crate::login::{Asked, Goal, PendingLogin, allowed, callback_url, see_other};
use crate::pages::Response;
use crate::saml::with_headers;
use crate::secret::Handle;
use crate::trouble::Trouble;
use narthex_idp::{Assertion, CallbackParams};
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
        let (purpose, asked) = self.login_under(ask, snapshot, &state).await?;
        let Asked::Oidc(pending) = asked else {
            return Err(Trouble::InvalidSession { restart: purpose.restart() });
        };
        let idp = purpose.provider(snapshot, pending.idp())?;
        let owned = |name| query.get(name).map(str::to_owned);
        let answer = CallbackParams {
            code: owned("code"),
            iss: owned("iss"),
            error: owned("error"),
            error_description: owned("error_description"),
        };
        let asked = callback_url(snapshot);
        let vouched = self.providers.finish_oidc(&idp, &asked, &pending, &answer, ask.now).await;
        match vouched {
            Err(error) => Err(self.provider_failed(ask, purpose.journey(), &idp, error).await),
            Ok(assertion) => self.vouched(ask, snapshot, &purpose, &idp, assertion).await,
        }
    }

    /// `POST /cdn-cgi/access/callback`: a SAML response. The form comes from the provider's site, and with it
    /// `CF_Session`, which is `SameSite=None` for this reason; the browser is the one that began, or nothing happens.
    pub(crate) async fn saml_callback(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let form = ask.form()?;
        let invalid = || Trouble::InvalidSession { restart: None };
        let response = form.get("SAMLResponse").ok_or_else(invalid)?;
        let state = form.get("RelayState").and_then(Handle::read).ok_or(Trouble::Unsolicited)?;
        let (purpose, asked) = self.login_under(ask, snapshot, &state).await?;
        let Asked::Saml(pending) = asked else {
            return Err(Trouble::InvalidSession { restart: purpose.restart() });
        };
        let idp = purpose.provider(snapshot, pending.idp())?;
        let callback = callback_url(snapshot);
        let vouched = self.providers.finish_saml(&idp, &callback, &pending, response, ask.now);
        let vouched = match vouched {
            Ok(vouched) => self.used_once(&idp, vouched, ask.now).await?,
            Err(error) => Err(error),
        };
        let vouched = match vouched {
            Ok(vouched) => vouched,
            Err(error) => {
                return Err(self.provider_failed(ask, purpose.journey(), &idp, error).await);
            }
        };
        let answer = self.vouched(ask, snapshot, &purpose, &idp, vouched.assertion).await?;
        Ok(see_other(with_headers(answer, vouched.headers)))
    }

    /// The login that was begun under `state` by this very browser, taken out of the store: it is finished once.
    async fn login_under(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        state: &Handle,
    ) -> Result<(Purpose, Asked), Trouble> {
        self.logins.count(ask.visit.ip, ask.now)?;
        let kept = self.store.take_pending(PendingKind::Login, &state.key(), ask.now).await?;
        let kept = kept.and_then(|body| serde_json::from_value::<PendingLogin>(body).ok());
        let pending = kept.ok_or(Trouble::LoginOver)?;
        let purpose = Purpose::of(pending.goal, snapshot)?;
        if !is_browser(ask, &pending.browser) {
            return Err(Trouble::InvalidSession { restart: purpose.restart() });
        }
        Ok((purpose, pending.asked))
    }

    /// A provider has vouched for somebody: on to what the login was for.
    async fn vouched(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        purpose: &Purpose,
        idp: &IdentityProvider,
        assertion: Assertion,
    ) -> Result<Response, Trouble> {
        match purpose {
            Purpose::App(journey) => self.enter(ask, snapshot, journey, idp, assertion).await,
            Purpose::Refresh(session) => {
                self.refreshed(ask, snapshot, session, idp, assertion).await
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
