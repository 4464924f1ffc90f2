//! The browser on the team domain: its `CF_Session`, which every form and every answer of a provider must come with
//! (security rule 24), and the count of rounds that led nowhere.
//!
//! Showing a login page keeps nothing on our side. The form carries the journey, and a proof that only the holder of
//! this browser's cookie could have made; what the data path saw comes from the meta token, which we signed.

use crate::ask::{Ask, Parameters};
use crate::journey::{APP_SESSION_HASH, Journey, Meta, PATIENCE_SECONDS, Seen, read_meta};
use crate::pages::{Response, with_cookie};
use crate::secret::{Handle, same, sha256};
use crate::trouble::Trouble;
use narthex_model::{Hostname, UnixSeconds};
use narthex_snapshot::Snapshot;
use narthex_token::{cookie, set_cookie};

/// A browser and its `CF_Session`.
pub(crate) struct Browser {
    handle: Handle,
    is_new: bool,
}

impl Browser {
    /// The browser that asks; one without a usable `CF_Session` gets a new one.
    pub(crate) fn of(ask: &Ask<'_>) -> Self {
        match ask.cookies(cookie::SESSION).find_map(Handle::read) {
            Some(handle) => Self { handle, is_new: false },
            None => Self { handle: Handle::random(), is_new: true },
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The answer, with the cookie if the browser lacks it.
    pub(crate) fn greet(&self, response: Response, now: UnixSeconds) -> Response {
        if !self.is_new {
            return response;
        }
        with_cookie(response, &set_cookie::session(self.handle.as_str(), now))
    }
}

/// Whether the request comes from the browser whose `CF_Session` has this SHA-256.
pub(crate) fn is_browser(ask: &Ask<'_>, key: &[u8; 32]) -> bool {
    ask.cookies(cookie::SESSION).filter_map(Handle::read).any(|handle| same(&handle.key(), key))
}

/// The hidden fields of a login form.
pub(crate) type Hidden = Vec<(&'static str, String)>;

/// The fields that carry `journey` through a form of `browser`; `meta` is the token that told what was seen.
pub(crate) fn hidden(
    browser: &Browser,
    journey: &Journey,
    meta: Option<&str>,
    at: UnixSeconds,
) -> Hidden {
    let seen = journey.seen.app_session.clone().unwrap_or_default();
    let mut fields = vec![
        ("kid", journey.app.aud().to_string()),
        ("meta", meta.unwrap_or("").to_owned()),
        (APP_SESSION_HASH, seen),
        ("redirect_url", journey.path.to_string()),
        ("at", at.to_string()),
    ];
    let proof = browser.handle.derive(&purpose(&journey.origin.host, fields.iter().map(|f| &*f.1)));
    fields.push(("proof", proof.as_str().to_owned()));
    fields
}

/// Fields of the form that are read once its proof has been checked, in the order in which they are proved.
const PROVED: [&str; 5] = ["kid", "meta", APP_SESSION_HASH, "redirect_url", "at"];

/// What the proof is about. None of the fields holds a line break and passes its parser.
fn purpose<'a>(host: &Hostname, fields: impl Iterator<Item = &'a str>) -> String {
    fields.fold(format!("login form\n{host}"), |purpose, field| purpose + "\n" + field)
}

/// What a posted login form carried, and the browser that it was made for.
pub(crate) struct Posted {
    pub(crate) browser: Browser,
    pub(crate) journey: Journey,
    pub(crate) hidden: Hidden,
    pub(crate) form: Parameters,
}

/// Reads a posted login form.
///
/// # Errors
/// `InvalidSession` unless a page of ours sent it from the browser that we made it for, at most four hours ago
/// (security C14).
pub(crate) fn posted(
    ask: &Ask<'_>,
    snapshot: &Snapshot,
    host: Hostname,
) -> Result<Posted, Trouble> {
    let form = ask.form()?;
    let field = |name| form.get(name).unwrap_or("");
    let mut journey = Journey::to(snapshot, field("kid"), host, Some(field("redirect_url")))?;
    let restart = journey.url();
    let invalid = || Trouble::InvalidSession { restart: Some(restart.clone()) };

    let purpose = purpose(&journey.origin.host, PROVED.iter().map(|name| field(name)));
    let mut handles = ask.cookies(cookie::SESSION).filter_map(Handle::read);
    let handle =
        handles.find(|handle| handle.proves(&purpose, field("proof"))).ok_or_else(invalid)?;
    let made = UnixSeconds(field("at").parse().map_err(|_| invalid())?);
    let fresh = (0..=PATIENCE_SECONDS).contains(&ask.now.since(made));
    if !fresh || !ask.is_sent_by(snapshot.premises.team.issuer()) {
        return Err(invalid());
    }
    journey.seen = match form.get("meta") {
        None => Seen::bound_to(form.get(APP_SESSION_HASH)),
        Some(meta) => match read_meta(snapshot, &journey, meta, made) {
            Meta::Fresh(seen) => seen,
            Meta::Outdated | Meta::Worthless => return Err(invalid()),
        },
    };
    let browser = Browser { handle, is_new: false };
    let hidden = hidden(&browser, &journey, form.get("meta"), made);
    Ok(Posted { browser, journey, hidden, form })
}

/// The cookie that counts silent rounds: how many, when the last one was, and where they lead.
const ROUNDS: &str = "CF_Rounds";
/// Rounds to one page, each within [`ROUND_SECONDS`] of the one before, after which a person is asked to help.
const MOST_ROUNDS: u32 = 3;
/// Nobody reads a page and comes back this fast.
const ROUND_SECONDS: i64 = 5;

/// Counts one more silent round of this browser and returns the cookie that remembers it.
///
/// Clients without cookies are not counted; they follow a bounded number of redirects.
///
/// # Errors
/// `Loop` when the last three did not get the browser anywhere (access-protocol §3.9, security O17).
pub(crate) fn count_round(ask: &Ask<'_>, journey: &Journey) -> Result<String, Trouble> {
    let place: String =
        sha256(journey.url().as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect();
    let before = ask.cookies(ROUNDS).find_map(|value| {
        let (count, rest) = value.split_once('.')?;
        let (at, where_to) = rest.split_once('.')?;
        let age = ask.now.since(UnixSeconds(at.parse().ok()?));
        let counts = where_to == place && (0..=ROUND_SECONDS).contains(&age);
        if counts { count.parse::<u32>().ok() } else { None }
    });
    let count = before.unwrap_or(0);
    if count >= MOST_ROUNDS {
        return Err(Trouble::Loop { restart: journey.url() });
    }
    let (next, now) = (count + 1, ask.now);
    Ok(format!(
        "{ROUNDS}={next}.{now}.{place}; Max-Age=60; Path=/cdn-cgi/access/login; Secure; HttpOnly; SameSite=None"
    ))
}
