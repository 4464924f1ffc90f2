//! Forms that wait for a login: posted without a session, kept sealed, and given out once to the one who sent them
//! (`replay_post_after_login`, an extension of ours).
//!
//! The data path hands over what a page of the application itself posted (`narthex_proxy`, "Forms"). The browser gets
//! a `CF_Form` cookie, under whose hash the form lies in the store for ten minutes. After the login `authorized` leads
//! to a page of ours (`resubmit`) that posts a proof, which only the holder of the cookie could have been given, to the
//! form's own address; the data path brings it here and puts the form in its place. We chose this over a page that
//! posts the form again, which can carry neither files nor the exact bytes, and over fetching the answer under an address
//! of ours, against which its links would be resolved.
//!
//! Whose form it was is told by the token that came with it, also an expired one, or by the `CF_Person` cookie that
//! outlives the session, since browsers forget expired cookies. A form of one person is never sent as another. Where
//! nothing tells, the page asks before it sends.

mod ledger;

pub(crate) use ledger::Ledger;

use crate::ask::Ask;
use crate::design::Frame;
use crate::pages::{Response, redirect};
use crate::redirect::{AppOrigin, ReturnPath};
use crate::secret::{Handle, same, sha256};
use crate::trouble::Trouble;
use crate::{Portal, Visit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use narthex_model::{AudTag, Hostname, UserId};
use narthex_snapshot::{App, Snapshot};
use narthex_store::{PendingKind, StoreError};
use narthex_token::{AppToken, TokenError, cookie, set_cookie};
use serde::{Deserialize, Serialize};

/// What the store keeps under the hash of a `CF_Form` cookie.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptForm {
    pub(crate) aud: AudTag,
    pub(crate) host: Hostname,
    /// Path and query that it was posted to.
    pub(crate) path: String,
    /// Whose session it was posted in, if that can be told.
    pub(crate) owner: Option<Owner>,
    content_type: String,
    referer: Option<String>,
    /// In base64: a form is bytes, not text.
    body: String,
}

/// Who somebody is at one application, as a hash that tells nothing else.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Owner([u8; 32]);

impl Owner {
    pub(crate) fn of(aud: &AudTag, person: UserId) -> Self {
        Self(sha256(format!("owner of a form\n{aud}\n{person}").as_bytes()))
    }

    pub(crate) fn is(self, other: Self) -> bool {
        same(&self.0, &other.0)
    }

    /// The value of `CF_Person`.
    pub(crate) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(hex: &str) -> Option<Self> {
        let digits = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let byte = |at: usize| hex.get(2 * at..2 * at + 2).map(|two| u8::from_str_radix(two, 16));
        let mut hash = [0; 32];
        for (at, place) in hash.iter_mut().enumerate().filter(|_| digits) {
            *place = byte(at)?.ok()?;
        }
        digits.then_some(Self(hash))
    }
}

/// Seconds for which a form is kept: as long as a login at a provider may take.
const LIFE_SECONDS: i64 = 600;

/// The field of the post that stands for a kept form.
pub(crate) const PROOF: &str = "cf_form";

/// What a proof is about.
pub(crate) const PURPOSE: &str = "a kept form";

impl Portal {
    /// Keeps a form that came without a session. Its head and body are those that the browser sent; `visit.app` is the
    /// application. Answers 201 with the cookie, or 204 when it is not kept.
    pub async fn keep_form(&self, visit: Visit, request: Request<Bytes>) -> http::Response<Bytes> {
        let snapshot = self.live.snapshot.load_full();
        let ask = Ask { visit: &visit, now: self.clock.now(), request: &request };
        let mut answer = Response::default();
        match self.keep(&ask, &snapshot).await {
            Ok(Some(cookie)) => {
                *answer.status_mut() = StatusCode::CREATED;
                answer.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            Ok(None) => *answer.status_mut() = StatusCode::NO_CONTENT,
            Err(error) => {
                tracing::warn!(ray = %visit.ray, %error, "a form was not kept: {error}");
                *answer.status_mut() = StatusCode::NO_CONTENT;
            }
        }
        answer
    }

    async fn keep(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Option<HeaderValue>, StoreError> {
        let Some(app) = ask.visit.app.and_then(|id| snapshot.app_by_id(id)) else {
            return Ok(None);
        };
        let Some(form) = self.form_of(ask, snapshot, app) else { return Ok(None) };
        let size = form.body.len() + form.content_type.len() + form.path.len();
        if !self.forms.take(app.id(), size, ask.now) {
            tracing::info!(app.aud = %app.aud(), "a form was not kept: too much is kept already");
            return Ok(None);
        }
        let handle = Handle::random();
        let expires = ask.now.plus(LIFE_SECONDS);
        let body = serde_json::to_value(&form).expect("a form has only text keys");
        self.store.put_pending(PendingKind::Form, &handle.key(), &body, expires).await?;
        Ok(HeaderValue::try_from(set_cookie::form(handle.as_str(), expires)).ok())
    }

    /// The form in a request, if it is one that may be sent again.
    fn form_of(&self, ask: &Ask<'_>, snapshot: &Snapshot, app: &App) -> Option<KeptForm> {
        let host = &ask.visit.host.host;
        let uri = ask.request.uri();
        let raw = uri.path_and_query()?.as_str();
        let origin = AppOrigin::of(host.clone(), snapshot.premises.team.authority());
        let path = ReturnPath::parse(raw, &origin).ok().filter(|path| path.as_str() == raw)?;
        let stands_for_one = ask.form().is_ok_and(|form| form.get(PROOF).is_some());
        let text = |name: HeaderName| ask.headers().get(name)?.to_str().ok().map(str::to_owned);
        (app.spec.replay_post_after_login && !stands_for_one).then_some(())?;
        Some(KeptForm {
            aud: app.aud().clone(),
            host: host.clone(),
            path: path.to_string(),
            owner: owner(ask, snapshot, app),
            content_type: text(header::CONTENT_TYPE)?,
            referer: text(header::REFERER),
            body: STANDARD.encode(ask.request.body()),
        })
    }

    /// Gives a kept form out, once: 200 with its `Content-Type`, `Referer` and body. Otherwise a page for the client.
    pub async fn kept_form(&self, visit: Visit, request: Request<Bytes>) -> http::Response<Bytes> {
        let snapshot = self.live.snapshot.load_full();
        let ask = Ask { visit: &visit, now: self.clock.now(), request: &request };
        let answer = self.give_out(&ask, &snapshot).await;
        let answer = answer.unwrap_or_else(|t| t.answer(&ask, &Frame::of_team(&snapshot)));
        crate::finish(answer, request.method())
    }

    async fn give_out(&self, ask: &Ask<'_>, snapshot: &Snapshot) -> Result<Response, Trouble> {
        let path = ask.request.uri().path_and_query().map(|path| path.as_str().to_owned());
        let gone = || Trouble::FormGone { page: path.clone() };
        let form = ask.form()?;
        let proof = form.get(PROOF).unwrap_or("");
        let mut handles = ask.cookies(cookie::FORM).filter_map(Handle::read);
        let handle = handles.find(|handle| handle.proves(PURPOSE, proof)).ok_or_else(gone)?;
        let kept = self.peek_form(ask, &handle).await?.ok_or_else(gone)?;
        let app = ask.visit.app.and_then(|id| snapshot.app_by_id(id)).ok_or_else(gone)?;
        let here = kept.host == ask.visit.host.host && path.as_ref() == Some(&kept.path);
        if !here || kept.aud != *app.aud() || !app.spec.replay_post_after_login {
            return Err(gone());
        }
        let holders = self.holders(ask, snapshot).await?;
        let holder = holders.into_iter().find(|holder| holder.app.aud() == app.aud());
        let Some(holder) = holder else {
            return Ok(redirect(StatusCode::SEE_OTHER, &kept.path)); // the session has just ended
        };
        self.check_owner(ask, &handle, &kept, holder.token.sub).await?;
        let taken = self.store.take_pending(PendingKind::Form, &handle.key(), ask.now).await?;
        let kept = taken.and_then(read).ok_or_else(gone)?;
        let body = STANDARD.decode(&kept.body).map_err(|_| gone())?;
        let mut answer = Response::new(Bytes::from(body));
        let headers: &mut HeaderMap = answer.headers_mut();
        for (name, text) in
            [(header::CONTENT_TYPE, Some(kept.content_type)), (header::REFERER, kept.referer)]
        {
            headers.extend(
                text.and_then(|text| HeaderValue::try_from(text).ok()).map(|value| (name, value)),
            );
        }
        Ok(answer)
    }

    /// Drops the form when it is somebody else's than `person`.
    pub(crate) async fn check_owner(
        &self,
        ask: &Ask<'_>,
        handle: &Handle,
        kept: &KeptForm,
        person: UserId,
    ) -> Result<(), Trouble> {
        if kept.owner.is_none_or(|owner| owner.is(Owner::of(&kept.aud, person))) {
            return Ok(());
        }
        self.store.take_pending(PendingKind::Form, &handle.key(), ask.now).await?;
        Err(Trouble::FormOfAnother { page: kept.path.clone() })
    }

    /// The form that waits under `handle`.
    pub(crate) async fn peek_form(
        &self,
        ask: &Ask<'_>,
        handle: &Handle,
    ) -> Result<Option<KeptForm>, StoreError> {
        let kept = self.store.peek_pending(PendingKind::Form, &handle.key(), ask.now).await?;
        Ok(kept.and_then(read))
    }

    /// Forgets the forms that wait for this browser: it has logged out.
    pub(crate) async fn drop_forms(&self, ask: &Ask<'_>) -> Result<(), StoreError> {
        for handle in ask.cookies(cookie::FORM).filter_map(Handle::read) {
            self.store.take_pending(PendingKind::Form, &handle.key(), ask.now).await?;
        }
        Ok(())
    }
}

fn read(kept: serde_json::Value) -> Option<KeptForm> {
    serde_json::from_value(kept).ok()
}

/// Whose session a request came in, be it over.
fn owner(ask: &Ask<'_>, snapshot: &Snapshot, app: &App) -> Option<Owner> {
    let open = |jwt, at| snapshot.keys.open_app(jwt, app.aud(), at);
    let by_token = ask.cookies(cookie::AUTHORIZATION).find_map(|jwt| {
        let opened = match open(jwt, ask.now) {
            // Its last second: signature and claims are checked all the same.
            Err(TokenError::Expired { exp, .. }) => open(jwt, exp.plus(-1)),
            opened => opened,
        };
        match opened {
            Ok(AppToken::Person(token)) => Some(Owner::of(app.aud(), token.sub)),
            Ok(AppToken::Machine(_)) | Err(_) => None,
        }
    });
    by_token.or_else(|| ask.cookies(cookie::PERSON).find_map(Owner::read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_one_person_at_one_application() {
        let (aud, other) = (AudTag::random(), AudTag::random());
        let (ann, bob) = (UserId::random(), UserId::random());
        let owner = Owner::of(&aud, ann);
        assert!(owner.is(Owner::of(&aud, ann)));
        assert!(!owner.is(Owner::of(&aud, bob)) && !owner.is(Owner::of(&other, ann)));
        let hex = owner.to_hex();
        assert!(Owner::read(&hex).is_some_and(|read| read.is(owner)));
        for near_miss in ["", "00", &hex[1..], &format!("{hex}0"), &hex.replace(&hex[..1], "g")] {
            assert!(Owner::read(near_miss).is_none(), "{near_miss}");
        }
    }
}
