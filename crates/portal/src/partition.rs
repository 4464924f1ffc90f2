//! Private windows: a `Partitioned` cookie for a page that calls another host of its application, in browsers that
//! block third-party cookies (seed 004; CHIPS, draft-cutler-httpbis-partitioned-cookies).
//!
//! Such a browser sends `https://B` no cookie with a fetch from a page of `https://A`, unless it was set as
//! `Partitioned` while A was the top-level site. So a script of A asks A's gateway for a code, with its own session,
//! and brings the code to B's gateway, which answers with the cookie. Why nobody else gets anything out of it:
//!
//! - The code is given to A's own pages only: `POST`, with `Origin` and Fetch Metadata of A itself, which no other
//!   site's page can send; a link, an image or a form elsewhere gets nothing.
//! - It is good once, for 30 seconds, at one host, from pages of one origin. Whoever presents it uses it up. The store
//!   knows its hash.
//! - It stands in bodies, never in a URL, so it is in no log and no `Referer`.
//! - The token lives no longer than the one that it was asked with, so that two hosts cannot renew each other for
//!   ever; it is of the same login session, so that a logout ends it too; and the policies are asked twice more.

use crate::Portal;
use crate::ask::Ask;
use crate::holder::{Holder, admitted_seconds};
use crate::mint::{Minted, Order, Parent};
use crate::pages::{Response, json, script, with_cookie};
use crate::redirect::AppOrigin;
use crate::secret::Handle;
use crate::trouble::Trouble;
use http::{HeaderName, HeaderValue, StatusCode, header};
use narthex_model::{AudTag, Hostname, IdentityNonce};
use narthex_snapshot::{App, Snapshot};
use narthex_store::PendingKind;
use narthex_token::set_cookie;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What the store keeps under a code.
#[derive(Debug, Serialize, Deserialize)]
struct Offer {
    aud: AudTag,
    /// The host that may redeem it.
    host: Hostname,
    /// The origin whose pages may bring it.
    origin: String,
    session: IdentityNonce,
    /// The token that it was asked with.
    parent: Parent,
}

/// Seconds for which a code is good.
const LIFE_SECONDS: i64 = 30;

/// Why there is no code, or no cookie. The text is for whoever writes the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unoffered {
    #[error(
        "a hand-off is asked for by a script of the page's own origin, as /cdn-cgi/access/handoff.js does"
    )]
    NotOwnPage,
    #[error("name the host that the page wants to call: to=api.example.com")]
    NoHost,
    #[error("the page's own session has ended; load the page again")]
    NoSession,
    #[error("the application does not offer this; switch on partitioned_cookie_handoff")]
    SwitchedOff,
    #[error("that host is not another one of this application's")]
    OtherHost,
    #[error("allowed_origins in the application's cors_headers does not name this page's origin")]
    OriginNotAllowed,
    #[error("no policy of the application admits you from here")]
    NotAdmitted,
    #[error(
        "the code is unknown, was used before, is older than 30 seconds, or belongs to another host or page"
    )]
    BadCode,
}

impl Unoffered {
    fn status(self) -> StatusCode {
        match self {
            Self::NoHost | Self::OtherHost | Self::BadCode => StatusCode::BAD_REQUEST,
            Self::NoSession => StatusCode::UNAUTHORIZED,
            Self::NotOwnPage | Self::SwitchedOff | Self::OriginNotAllowed | Self::NotAdmitted => {
                StatusCode::FORBIDDEN
            }
        }
    }

    fn answer(self) -> Response {
        json(self.status(), &json!({"err": self.to_string()}))
    }
}

/// `GET /cdn-cgi/access/handoff.js`: both steps as a module, for pages whose Content-Security-Policy allows scripts of
/// their own origin.
pub(crate) fn handoff_script() -> Response {
    script(include_str!("../scripts/handoff.js"))
}

impl Portal {
    /// `POST /cdn-cgi/access/handoff`: gives a code (`to=<host>`), or the cookie for one (`code=<code>`).
    pub(crate) async fn partition(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        self.logins.count(ask.visit.ip, ask.now)?;
        let form = ask.form()?;
        match (form.get("to"), form.get("code")) {
            (_, Some(code)) => self.redeem_offer(ask, snapshot, code).await,
            (Some(to), None) => self.offer(ask, snapshot, to).await,
            (None, None) => Ok(Unoffered::NoHost.answer()),
        }
    }

    /// The first step, on the page's own host.
    async fn offer(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        to: &str,
    ) -> Result<Response, Trouble> {
        let team = snapshot.premises.team.authority();
        let origin = AppOrigin::of(ask.visit.host.host.clone(), team).to_string();
        if !ask.is_own_script_of(&origin) {
            return Ok(Unoffered::NotOwnPage.answer());
        }
        let Ok(host) = to.parse::<Hostname>() else { return Ok(Unoffered::NoHost.answer()) };
        let holders = self.holders(ask, snapshot).await?;
        let holder = match choose(ask, holders, &host, &origin) {
            Ok(holder) => holder,
            Err(unoffered) => return Ok(unoffered.answer()),
        };
        let code = Handle::random();
        let offer = Offer {
            aud: holder.app.aud().clone(),
            host: host.clone(),
            origin,
            session: holder.session.nonce.clone(),
            parent: Parent { iat: holder.token.iat, exp: holder.token.exp },
        };
        let body = serde_json::to_value(&offer).expect("an offer has only text keys");
        let expires = ask.now.plus(LIFE_SECONDS);
        self.store.put_pending(PendingKind::Partition, &code.key(), &body, expires).await?;
        let there = AppOrigin::of(host, team);
        Ok(json(
            StatusCode::OK,
            &json!({
                "code": code.as_str(),
                "url": format!("{there}/cdn-cgi/access/handoff"),
                "expires_in": LIFE_SECONDS,
            }),
        ))
    }

    /// The second step, on the host that the page wants to call.
    async fn redeem_offer(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        code: &str,
    ) -> Result<Response, Trouble> {
        let bad = || Ok(Unoffered::BadCode.answer());
        let Some(code) = Handle::read(code) else { return bad() };
        let kept = self.store.take_pending(PendingKind::Partition, &code.key(), ask.now).await?;
        let offer = kept.and_then(|body| serde_json::from_value::<Offer>(body).ok());
        let Some(offer) = offer else { return bad() };
        if offer.host != ask.visit.host.host || !ask.is_script_of(&offer.origin) {
            return bad();
        }
        // From here on the page that asks is the one that may, and reads why it gets nothing.
        let answer = self.accept(ask, snapshot, &offer).await?;
        Ok(readable_by(&offer.origin, answer))
    }

    async fn accept(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        offer: &Offer,
    ) -> Result<Response, Trouble> {
        let Some(app) = snapshot.app_by_aud(&offer.aud) else {
            return Ok(Unoffered::OtherHost.answer());
        };
        if let Err(unoffered) = offers(app, &offer.host, &offer.origin) {
            return Ok(unoffered.answer());
        }
        let Some(session) = self.session(&offer.session).await? else {
            return Ok(Unoffered::NoSession.answer());
        };
        let Some(life) = admitted_seconds(ask, app, &session) else {
            return Ok(Unoffered::NotAdmitted.answer());
        };
        let order = Order { app, session: &session, life, parent: Some(offer.parent) };
        let Some(minted) = self.mint(ask, snapshot, order).await? else {
            return Ok(Unoffered::NoSession.answer());
        };
        let Minted { jwt, exp, binding } = minted;
        let response = json(StatusCode::OK, &json!({"expires_in": exp.since(ask.now)}));
        let response = with_cookie(response, &set_cookie::partitioned_authorization(&jwt, exp));
        Ok(match binding {
            Some(value) => {
                let response = with_cookie(response, &set_cookie::partitioned_binding(&value, exp));
                let companion = set_cookie::partitioned_binding_companion(&value, exp, app.aud());
                with_cookie(response, &companion)
            }
            None => response,
        })
    }
}

/// The first of the holders whose application offers a cookie for `host` to pages of `origin`, or why none does.
fn choose(
    ask: &Ask<'_>,
    holders: Vec<Holder>,
    host: &Hostname,
    origin: &str,
) -> Result<Holder, Unoffered> {
    if *host == ask.visit.host.host {
        return Err(Unoffered::OtherHost);
    }
    let mut why = Unoffered::NoSession;
    for holder in holders {
        match offers(&holder.app, host, origin) {
            Ok(()) if admitted_seconds(ask, &holder.app, &holder.session).is_some() => {
                return Ok(holder);
            }
            Ok(()) => why = Unoffered::NotAdmitted,
            Err(unoffered) => why = unoffered,
        }
    }
    Err(why)
}

/// Whether the application gives pages of `origin` a cookie for its host `host`.
fn offers(app: &App, host: &Hostname, origin: &str) -> Result<(), Unoffered> {
    if !app.spec.cookie.partitioned_cookie_handoff {
        return Err(Unoffered::SwitchedOff);
    }
    if !app.spec.destinations.iter().any(|d| d.host.matches(host)) {
        return Err(Unoffered::OtherHost);
    }
    // Without CORS settings the origin server answers preflights, and says which pages may call it.
    if app.cors().is_some_and(|cors| !cors.allows(origin.as_bytes())) {
        return Err(Unoffered::OriginNotAllowed);
    }
    Ok(())
}

/// The answer as scripts of `origin` may read it; browsers take cookies from no other answer to a fetch.
fn readable_by(origin: &str, mut response: Response) -> Response {
    let Ok(origin) = HeaderValue::from_str(origin) else { return response };
    let fields: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
        (header::VARY, HeaderValue::from_static("Origin")),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, value);
    }
    response
}
