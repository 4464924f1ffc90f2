//! The application's end of a login: a nonce becomes a token in a cookie (access-protocol §3.6).

use crate::Portal;
use crate::ask::Ask;
use crate::design::Frame;
use crate::forms::Owner;
use crate::handoff::HandOff;
use crate::journey::Journey;
use crate::mint::{Minted, Order};
use crate::pages::{MovingPage, Response, page, redirect, with_cookie};
use crate::secret::{Handle, same, sha256};
use crate::texts;
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_model::{CanonicalPath, Hostname, SameSite, Session};
use narthex_snapshot::{App, Snapshot};
use narthex_store::PendingKind;
use narthex_token::{AppSession, cookie, set_cookie};

impl Portal {
    /// `GET /cdn-cgi/access/authorized` on an application's host.
    pub(crate) async fn authorized(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let here = &ask.visit.host.host;
        let hand_off = self.redeem(ask).await?;
        self.silent.arrived(here, &hand_off.session, ask.now);
        let journey = Journey::unpack(hand_off.journey.clone(), snapshot)?;
        let belongs = belongs(ask, hand_off.stop.app_session.as_deref());
        let may_have_cookie = matches!(belongs, Belongs::Yes);
        if hand_off.then.is_empty() {
            match belongs {
                Belongs::Yes => {}
                Belongs::AskAgain => return Ok(redirect(StatusCode::FOUND, &journey.url())),
                Belongs::No { cookie_missing } => {
                    let restart = Some(journey.url());
                    return Err(Trouble::InvalidLoginSession { restart, cookie_missing });
                }
            }
        }
        let session = self.session(&hand_off.session).await?;
        let session = session.ok_or_else(|| invalid(Some(journey.url())))?;
        // On the way through the other hosts a browser that does not belong is given nothing and walks on: the last host
        // says what is wrong, and one whose cookies are blocked keeps nobody from the others.
        let cookies = if may_have_cookie {
            self.cookies(ask, snapshot, &journey, &session, hand_off.life).await?
        } else {
            Vec::new()
        };

        let response =
            if let Some(next) = self.hand_on(ask.now, snapshot, &journey, hand_off).await? {
                redirect(StatusCode::FOUND, &next)
            } else {
                let landing = self.landing(ask, &journey).await?;
                match journey.app.spec.cookie.same_site_cookie_attribute {
                    Some(SameSite::Strict) => moving_page(snapshot, &landing),
                    None | Some(SameSite::None | SameSite::Lax) => {
                        redirect(StatusCode::FOUND, &landing)
                    }
                }
            };
        Ok(cookies.iter().fold(response, |response, cookie| with_cookie(response, cookie)))
    }

    /// Takes the hand-off of the nonce in the query. Whoever presents a nonce uses it up, also with the wrong state
    /// or at the wrong host.
    async fn redeem(&self, ask: &Ask<'_>) -> Result<HandOff, Trouble> {
        let query = ask.query()?;
        let nonce = query.get("nonce").and_then(Handle::read).ok_or_else(|| invalid(None))?;
        let kept = self.store.take_pending(PendingKind::Handoff, &nonce.key(), ask.now).await?;
        let kept = kept.and_then(|body| serde_json::from_value::<HandOff>(body).ok());
        let hand_off = kept.ok_or_else(|| invalid(None))?;
        let state = sha256(query.get("state").unwrap_or("").as_bytes());
        let here = hand_off.stop.host == ask.visit.host.host;
        if same(&state, &hand_off.state) && here { Ok(hand_off) } else { Err(invalid(None)) }
    }

    /// Mints the token and writes the cookies that carry it.
    async fn cookies(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        journey: &Journey,
        session: &Session,
        life: i64,
    ) -> Result<Vec<String>, Trouble> {
        let order = Order { app: &journey.app, session, life, parent: None };
        let minted = self.mint(ask, snapshot, order).await?;
        let revoked = || Trouble::JustRevoked { restart: journey.url() };
        let Minted { jwt, exp, binding } = minted.ok_or_else(revoked)?;
        let settings = &journey.app.spec.cookie;
        let path = cookie_path(&journey.app, &ask.visit.host.host, journey);
        let mut cookies = vec![set_cookie::app_authorization(&jwt, exp, settings, &path)];
        if let Some(value) = binding {
            cookies.push(set_cookie::binding(&value, exp, settings, &path));
            let aud = journey.app.aud();
            cookies.push(set_cookie::binding_companion(&value, exp, settings, &path, aud));
        }
        if journey.app.spec.replay_post_after_login {
            let owner = Owner::of(journey.app.aud(), session.identity.user_uuid);
            cookies.push(set_cookie::person(&owner.to_hex(), exp));
        }
        Ok(cookies)
    }
}

fn invalid(restart: Option<String>) -> Trouble {
    Trouble::InvalidLoginSession { restart, cookie_missing: false }
}

/// Whether the browser is the one that began the login.
enum Belongs {
    Yes,
    /// It cannot be told; the application's next answer ties the browser down.
    AskAgain,
    No {
        cookie_missing: bool,
    },
}

/// Compares `CF_AppSession` with the hash that the login is bound to on this host. A login that began at the team domain is bound to
/// nothing: a browser then goes through the application once more, so that nobody can be logged in as somebody else
/// by a link; a client that is no browser gets its token (access-protocol §16, 47).
fn belongs(ask: &Ask<'_>, bound_to: Option<&str>) -> Belongs {
    let Some(hash) = bound_to else {
        return if ask.is_telling_browser() { Belongs::AskAgain } else { Belongs::Yes };
    };
    let mut sent = ask.cookies(cookie::APP_SESSION).peekable();
    let cookie_missing = sent.peek().is_none();
    if sent.any(|value| AppSession::is(value, hash)) {
        Belongs::Yes
    } else {
        Belongs::No { cookie_missing }
    }
}

/// `Path` of the cookie on this host: where the login began, that of the page to return to.
fn cookie_path(app: &App, here: &Hostname, journey: &Journey) -> String {
    if *here == journey.origin.host
        && let Ok(path) = CanonicalPath::of(journey.path.path())
    {
        return app.cookie_path(here, &path).to_owned();
    }
    if !app.spec.cookie.path_cookie_attribute {
        return "/".to_owned();
    }
    let there = app.spec.destinations.iter().find(|d| d.host.matches(here));
    there.map_or("/", |d| d.path.literal_prefix()).to_owned()
}

fn moving_page(snapshot: &Snapshot, location: &str) -> Response {
    let frame = Frame::of_team(snapshot);
    let moving = MovingPage { frame: &frame, title: texts::MOVING_TITLE, location };
    page(StatusCode::OK, &frame, &moving)
}
