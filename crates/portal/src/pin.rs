//! One-time PINs: six digits by mail prove an address (access-protocol §12.4).
//!
//! Whatever the address, the answer is the same and costs the same; the mail itself is sent later.

use crate::Portal;
use crate::ask::Ask;
use crate::browser::Posted;
use crate::design::Frame;
use crate::login::{choice_path, chosen, login_page, see_other};
use crate::pages::{CodePage, Response, page};
use crate::secret::Handle;
use crate::texts;
use crate::trouble::Trouble;
use http::StatusCode;
use narthex_idp::{Assertion, PIN_TRIES, PendingPin, Pin, pin_mail};
use narthex_model::{EmailAddress, IdentityProvider, IdpConfig, IdpId};
use narthex_policy::Person;
use narthex_snapshot::Snapshot;
use narthex_store::{PendingKind, TryOutcome};
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// A code that was asked for.
#[derive(Serialize, Deserialize)]
struct PendingCode {
    idp: IdpId,
    pin: PendingPin,
}

/// One code for a browser, a provider and an address: a new one takes the place of the last.
fn handle_of(browser: &Handle, idp: IdpId, email: &EmailAddress) -> Handle {
    browser.derive(&format!("one-time pin\n{idp}\n{email}"))
}

impl Portal {
    /// Keeps a code for the address that was typed, and mails it if some policy could admit that address.
    pub(crate) async fn send_code(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        posted: &Posted,
        idp: &IdentityProvider,
    ) -> Result<Response, Trouble> {
        let journey = &posted.journey;
        let typed = posted.form.get("email").unwrap_or("").trim();
        let Ok(email) = typed.parse::<EmailAddress>() else {
            let ways = snapshot.allowed_idps(&journey.app);
            let typed = Some((typed, texts::BAD_EMAIL));
            return Ok(login_page(snapshot, journey, &ways, &posted.hidden, typed));
        };
        self.providers.pin_limits().ask(&email, ask.visit.ip)?;

        let pin = Pin::random();
        let handle = handle_of(posted.browser.handle(), idp.id, &email);
        let person = Person::Claims { email: &email };
        let welcome = journey.app.policies.could_admit(&journey.facts(ask.visit, person));
        let kept = if welcome {
            PendingPin::new(&pin, handle.as_str(), email.clone(), ask.now)
        } else {
            PendingPin::decoy(handle.as_str(), email.clone(), ask.now)
        };
        let expires = kept.expires();
        let body = serde_json::to_value(PendingCode { idp: idp.id, pin: kept })
            .expect("a pending code has only text keys");
        self.store.put_pending(PendingKind::Pin, &handle.key(), &body, expires).await?;
        let mail = pin_mail(&pin, &email, &journey.origin.host);
        if welcome {
            self.providers.mail_later(mail);
        }
        Ok(code_page(snapshot, posted, idp, &email, None))
    }

    /// `POST /cdn-cgi/access/login/<app-host>/<idp id>/code`: the code that was typed.
    pub(crate) async fn check_code(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        host: &str,
        idp: &str,
    ) -> Result<Response, Trouble> {
        let (posted, idp) = chosen(ask, snapshot, host, idp)?;
        let restart = || Trouble::InvalidSession { restart: Some(posted.journey.url()) };
        let email = posted.form.get("email").and_then(|email| email.parse().ok());
        let (Some(email), IdpConfig::OneTimePin) = (email, &idp.config) else {
            return Err(restart());
        };
        self.providers.pin_limits().attempt(ask.visit.ip)?;

        let handle = handle_of(posted.browser.handle(), idp.id, &email);
        if let Some(problem) = self.try_code(ask, &posted, &idp, &handle, &email).await? {
            return Ok(code_page(snapshot, &posted, &idp, &email, Some(problem)));
        }
        let assertion = Assertion {
            subject: email.to_string(),
            email,
            name: String::new(),
            amr: Vec::new(),
            groups: Vec::new(),
            claims: Map::new(),
            attributes: Map::new(),
        };
        let response = self.enter(ask, snapshot, &posted.journey, &idp, assertion).await?;
        Ok(see_other(response))
    }

    /// Tries a code: what is wrong with it, or nothing, and then it works no second time.
    async fn try_code(
        &self,
        ask: &Ask<'_>,
        posted: &Posted,
        idp: &IdentityProvider,
        handle: &Handle,
        email: &EmailAddress,
    ) -> Result<Option<&'static str>, Trouble> {
        let (kind, key, now) = (PendingKind::Pin, handle.key(), ask.now);
        match self.store.count_try(kind, &key, PIN_TRIES, now).await? {
            TryOutcome::Allowed(_) => {}
            TryOutcome::Gone => return Ok(Some(texts::CODE_OVER)),
            TryOutcome::Exhausted => {
                self.store.take_pending(kind, &key, now).await?; // the next code starts afresh
                return Ok(Some(texts::CODE_EXHAUSTED));
            }
        }
        let kept = self.store.peek_pending(kind, &key, now).await?;
        let Some(kept) = kept.and_then(|body| serde_json::from_value::<PendingCode>(body).ok())
        else {
            return Ok(Some(texts::CODE_OVER));
        };
        let digits: String = posted.form.get("code").unwrap_or("").split_whitespace().collect();
        if kept.pin.check(handle.as_str(), &digits, now).is_err() || kept.idp != idp.id {
            self.record_wrong_code(ask, &posted.journey, idp, email).await;
            return Ok(Some(texts::WRONG_CODE));
        }
        // Of several right answers at the same time one takes it.
        let taken = self.store.take_pending(kind, &key, now).await?;
        Ok(if taken.is_some() { None } else { Some(texts::CODE_OVER) })
    }
}

fn code_page(
    snapshot: &Snapshot,
    posted: &Posted,
    idp: &IdentityProvider,
    email: &EmailAddress,
    problem: Option<&'static str>,
) -> Response {
    let frame = Frame::of_team(snapshot);
    let mut hidden = posted.hidden.clone();
    hidden.push(("email", email.to_string()));
    let again = choice_path(&posted.journey.origin.host, idp.id);
    let code = CodePage {
        frame: &frame,
        title: texts::CODE_TITLE,
        email: email.as_str(),
        hidden: &hidden,
        check: format!("{again}/code"),
        again,
        restart: posted.journey.url(),
        problem,
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    page(status, &frame, &code)
}
