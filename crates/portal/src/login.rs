//! The first step at the team domain: straight on with a session, otherwise to a provider (access-protocol §3.4).

use crate::Portal;
use crate::ask::Ask;
use crate::browser::{Browser, Hidden, Posted, hidden, posted};
use crate::design::Frame;
use crate::journey::{APP_SESSION_HASH, Journey, Meta, Packed, Seen, host_of, read_meta};
use crate::pages::{LoginPage, ProviderButton, Response, page, redirect};
use crate::secret::Handle;
use crate::texts;
use crate::trouble::Trouble;
use http::{HeaderName, HeaderValue, StatusCode};
use narthex_idp::{IdpError, PendingOidc, PendingSaml};
use narthex_model::{Hostname, IdentityNonce, IdentityProvider, IdpConfig, IdpId};
use narthex_policy::Person;
use narthex_snapshot::Snapshot;
use narthex_store::PendingKind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

/// What a login at a provider is for.
#[derive(Serialize, Deserialize)]
pub(crate) enum Goal {
    /// Getting into an application.
    App(Packed),
    /// Reading anew what the provider knows about the person of this session.
    Refresh(IdentityNonce),
}

/// A login under way at a provider, kept under the state that its answer must carry.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingLogin {
    pub(crate) goal: Goal,
    /// SHA-256 of the browser's `CF_Session`.
    pub(crate) browser: [u8; 32],
    /// What the provider's answer is checked against.
    #[serde(flatten)]
    pub(crate) asked: Asked,
}

/// What a provider was asked; only an answer of the same protocol is an answer to it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Asked {
    Oidc(PendingOidc),
    Saml(PendingSaml),
}

/// Seconds within which a provider has to answer (security rule 24).
const PENDING_SECONDS: i64 = 600;

/// Where providers send people back to; the same for all of them (access-protocol §12.2).
pub(crate) fn callback_url(snapshot: &Snapshot) -> Url {
    let url = format!("{}/cdn-cgi/access/callback", snapshot.premises.team.issuer());
    Url::parse(&url).expect("an issuer is an https origin")
}

impl Portal {
    /// `GET /cdn-cgi/access/login/<app-host>`: begins a login, or finishes it silently.
    pub(crate) async fn login(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        host: &str,
    ) -> Result<Response, Trouble> {
        let query = ask.query()?;
        let kid = query.get("kid").unwrap_or("");
        let mut journey = Journey::to(snapshot, kid, host_of(host)?, query.get("redirect_url"))?;
        let meta = query.get("meta");
        journey.seen = match meta {
            None => Seen::bound_to(query.get(APP_SESSION_HASH)),
            Some(raw) => match read_meta(snapshot, &journey, raw, ask.now) {
                Meta::Fresh(seen) => seen,
                // The application knows what it sees now, and sends the browser back here.
                Meta::Outdated => return Ok(redirect(StatusCode::FOUND, &journey.url())),
                Meta::Worthless => {
                    let restart = Some(journey.url());
                    return Err(Trouble::InvalidLoginSession { restart, cookie_missing: false });
                }
            },
        };
        if let Some(response) = self.enter_silently(ask, snapshot, &journey).await? {
            return Ok(response);
        }
        if !journey.app.policies.could_admit(&journey.facts(ask.visit, Person::Anybody)) {
            // Without a meta token nobody has looked for a client certificate yet: the application will.
            return match meta {
                None => Ok(redirect(StatusCode::FOUND, &journey.url())),
                Some(_) => self.refuse_before_login(ask, snapshot, &journey).await,
            };
        }
        self.ask_who(ask, snapshot, &journey, meta).await
    }

    /// Offers the ways to log in, or takes the only one when it is to be taken at once (Instant Auth).
    async fn ask_who(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        journey: &Journey,
        meta: Option<&str>,
    ) -> Result<Response, Trouble> {
        let ways = snapshot.allowed_idps(&journey.app);
        let browser = Browser::of(ask);
        let at_once = journey.app.spec.auto_redirect_to_identity
            || snapshot.organization.auto_redirect_to_identity;
        let response = match ways.as_slice() {
            [] => return Err(Trouble::NoProvider),
            [only] if at_once && matches!(only.config, IdpConfig::Oidc(_) | IdpConfig::Saml(_)) => {
                let goal = Goal::App(journey.pack());
                let there = self.depart(ask, snapshot, goal, &browser, only).await;
                self.departed(ask, journey, only, there).await?
            }
            some => {
                let hidden = hidden(&browser, journey, meta, ask.now);
                login_page(snapshot, journey, some, &hidden, None)
            }
        };
        Ok(browser.greet(response, ask.now))
    }

    /// `POST /cdn-cgi/access/login/<app-host>/<idp id>`: the provider that was chosen, or an address for a code.
    pub(crate) async fn choose(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        host: &str,
        idp: &str,
    ) -> Result<Response, Trouble> {
        let (posted, idp) = chosen(ask, snapshot, host, idp)?;
        if let Some(response) = self.enter_silently(ask, snapshot, &posted.journey).await? {
            return Ok(see_other(response));
        }
        match &idp.config {
            IdpConfig::Oidc(_) | IdpConfig::Saml(_) => {
                let (journey, browser) = (&posted.journey, &posted.browser);
                let goal = Goal::App(journey.pack());
                let there = self.depart(ask, snapshot, goal, browser, &idp).await;
                self.departed(ask, journey, &idp, there).await.map(see_other)
            }
            IdpConfig::OneTimePin => self.send_code(ask, snapshot, &posted, &idp).await,
        }
    }

    /// Sends the browser to a provider with a login page of its own.
    ///
    /// # Errors
    /// `Stayed::Provider` when the provider cannot be asked, `Stayed::Here` for our own reasons.
    pub(crate) async fn depart(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        goal: Goal,
        browser: &Browser,
        idp: &IdentityProvider,
    ) -> Result<Response, Stayed> {
        self.logins.count(ask.visit.ip, ask.now).map_err(Trouble::from)?;
        let state = Handle::random();
        let callback = callback_url(snapshot);
        let (location, asked) = if matches!(idp.config, IdpConfig::Saml(_)) {
            let begun = self.begin_saml(ask, snapshot, idp, &callback, state.as_str()).await?;
            (begun.location, Asked::Saml(begun.pending))
        } else {
            let begun = self.providers.begin_oidc(idp, &callback, state.as_str()).await?;
            (begun.location, Asked::Oidc(begun.pending))
        };
        let pending = PendingLogin { goal, browser: browser.handle().key(), asked };
        let body = serde_json::to_value(&pending).expect("a pending login has only text keys");
        let expires = ask.now.plus(PENDING_SECONDS);
        let kept = self.store.put_pending(PendingKind::Login, &state.key(), &body, expires).await;
        kept.map_err(Trouble::from)?;
        Ok(redirect(StatusCode::FOUND, location.as_str()))
    }

    /// What becomes of a journey whose traveller was to leave for a provider.
    async fn departed(
        &self,
        ask: &Ask<'_>,
        journey: &Journey,
        idp: &IdentityProvider,
        there: Result<Response, Stayed>,
    ) -> Result<Response, Trouble> {
        match there {
            Ok(response) => Ok(response),
            Err(Stayed::Here(trouble)) => Err(trouble),
            Err(Stayed::Provider(error)) => {
                Err(self.provider_failed(ask, Some(journey), idp, error).await)
            }
        }
    }
}

/// Why a browser was not sent to a provider.
#[derive(Debug)]
pub(crate) enum Stayed {
    Provider(IdpError),
    Here(Trouble),
}

impl From<IdpError> for Stayed {
    fn from(error: IdpError) -> Self {
        Self::Provider(error)
    }
}

impl From<Trouble> for Stayed {
    fn from(trouble: Trouble) -> Self {
        Self::Here(trouble)
    }
}

/// Reads a form of ours that was posted to the address of a provider: the only way in for what a stranger posts.
///
/// # Errors
/// `InvalidSession` unless a page of ours sent it from the browser that we made it for, and the application offers
/// the provider (security C14).
pub(crate) fn chosen(
    ask: &Ask<'_>,
    snapshot: &Snapshot,
    host: &str,
    idp: &str,
) -> Result<(Posted, Arc<IdentityProvider>), Trouble> {
    let posted = posted(ask, snapshot, host_of(host)?)?;
    let idp = allowed(snapshot, &posted.journey, idp)?;
    Ok((posted, idp))
}

/// The provider of this id, if people may log in to the application through it.
pub(crate) fn allowed(
    snapshot: &Snapshot,
    journey: &Journey,
    idp: &str,
) -> Result<Arc<IdentityProvider>, Trouble> {
    let gone = || Trouble::InvalidSession { restart: Some(journey.url()) };
    let id: IdpId = idp.parse().map_err(|_| gone())?;
    let ways = snapshot.allowed_idps(&journey.app);
    ways.into_iter().find(|way| way.id == id).ok_or_else(gone)
}

/// The page that asks who somebody is.
pub(crate) fn login_page(
    snapshot: &Snapshot,
    journey: &Journey,
    ways: &[Arc<IdentityProvider>],
    hidden: &Hidden,
    typed: Option<(&str, &'static str)>,
) -> Response {
    let frame = Frame::of_team(snapshot);
    let host = &journey.origin.host;
    let mut providers = Vec::new();
    let mut mailbox = None;
    for way in ways {
        let action = choice_path(host, way.id);
        match way.config {
            IdpConfig::Oidc(_) | IdpConfig::Saml(_) => {
                providers.push(ProviderButton { name: &way.name, action });
            }
            IdpConfig::OneTimePin => mailbox = mailbox.or(Some(action)),
        }
    }
    let login = LoginPage {
        frame: &frame,
        title: texts::log_in_to(&journey.app.spec.name),
        host: host.as_str(),
        providers,
        mailbox,
        hidden,
        email: typed.map_or("", |(email, _)| email),
        problem: typed.map(|(_, problem)| problem),
    };
    let status = if typed.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let mut response = page(status, &frame, &login);
    if let Ok(domain) = HeaderValue::try_from(journey.app.domain()) {
        response.headers_mut().insert(HeaderName::from_static("cf-access-domain"), domain);
    }
    response
}

/// Where the form for one provider goes.
pub(crate) fn choice_path(host: &Hostname, idp: IdpId) -> String {
    format!("/cdn-cgi/access/login/{host}/{idp}")
}

/// After a posted form browsers go on with `GET` for certain only on 303.
pub(crate) fn see_other(mut response: Response) -> Response {
    if response.status() == StatusCode::FOUND {
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
    response
}
