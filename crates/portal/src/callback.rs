//! The answer of an OpenID Connect provider: bound to the browser that asked, to one provider, one use and ten
//! minutes (security rule 24).

use crate::Portal;
use crate::ask::Ask;
use crate::browser::is_browser;
use crate::journey::Journey;
use crate::login::{PendingLogin, allowed, callback_url};
use crate::pages::Response;
use crate::secret::Handle;
use crate::trouble::Trouble;
use narthex_idp::CallbackParams;
use narthex_snapshot::Snapshot;
use narthex_store::PendingKind;

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
        let journey = Journey::unpack(pending.journey, snapshot)?;
        if !is_browser(ask, &pending.browser) {
            return Err(Trouble::InvalidSession { restart: Some(journey.url()) });
        }
        let idp = allowed(snapshot, &journey, &pending.oidc.idp().to_string())?;
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
        match vouched {
            Ok(assertion) => self.enter(ask, snapshot, &journey, &idp, assertion).await,
            Err(error) => Err(self.provider_failed(ask, &journey, &idp, error).await),
        }
    }
}
