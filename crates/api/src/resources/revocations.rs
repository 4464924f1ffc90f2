//! Ending sessions and tokens before their time (access-protocol §10.3): in force first, then durable. A disk that is full
//! keeps nobody from being locked out; the answer says then that it was not written down.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::found;
use narthex_model::{
    AccessRecord, Action, Application, ClientId, EmailAddress, Session, UnixSeconds, User, UserId,
    Verdict,
};
use narthex_snapshot::LONGEST_TOKEN_SECONDS;
use narthex_store::{Revocation, Revoked, UserFilter};
use serde_json::{Value, json};

/// `POST …/apps/{id}/revoke_tokens`: people with a valid global session get a new token without noticing.
pub(crate) async fn app(call: Call) -> Result<Answer, ApiError> {
    let standing = call.standing();
    let seen = |app: &Application| call.scope.sees(app.zone.as_ref());
    let id = call.id(0, Kind::App)?;
    let app = found(&standing.configuration.apps, id, seen, Kind::App)?;
    let at = call.parts.live.revocations.revoke_app(&app.aud, call.now);
    keep(&call, [revocation(Revoked::App(app.aud.clone()), at)]).await?;
    let record = AccessRecord {
        app: Some(app.id),
        app_domain: app.domain().to_owned(),
        ..record(&call, "every token of the application was revoked")
    };
    note(&call, record).await;
    Ok(Answer::accepted(json!({})))
}

/// `POST …/organizations/revoke_user`: the person is named by `email` or `user_uid`.
pub(crate) async fn user(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let email: Option<EmailAddress> = fields.read("email")?;
    let id: Option<UserId> = fields.read("user_uid")?;
    let user = match (id, email) {
        (Some(id), _) => call.parts.store.user(id).await?,
        (None, Some(email)) => {
            let filter = UserFilter { email: Some(email.to_string()), ..UserFilter::default() };
            call.parts.store.users(&filter).await?.items.into_iter().next()
        }
        (None, None) => return Err(fields.refuse("email", "email or user_uid is required")),
    };
    end_all(&call, &user.ok_or(ApiError::Missing(Kind::User))?, call.now).await?;
    Ok(Answer::ok(Value::Bool(true)))
}

/// `POST …/organizations/revoke_all`: everybody has to log in again, and every machine gets a new token. Ours: clients
/// of the contract know how to revoke one thing at a time only.
pub(crate) async fn everything(call: Call) -> Result<Answer, ApiError> {
    let live = &call.parts.live;
    let mut revoked = Vec::new();
    for app in call.standing().configuration.apps.values() {
        let at = live.revocations.revoke_app(&app.aud, call.now);
        revoked.push(revocation(Revoked::App(app.aud.clone()), at));
    }
    let until = call.now.plus(LONGEST_TOKEN_SECONDS);
    let known = live.sessions.all();
    for session in &known {
        live.revocations.end_session(&session.nonce, until);
        revoked.push(Revocation::of_session(session.nonce.clone(), until));
    }
    keep(&call, revoked).await?;
    // Those that this node has not heard of.
    let others = call.parts.store.end_all_sessions(until).await.map_err(ApiError::RevokedHere)?;
    for nonce in &others {
        live.revocations.end_session(nonce, until);
    }
    let ended = known.len() + others.len();
    note(&call, record(&call, &format!("every session ({ended}) and every token was revoked")))
        .await;
    Ok(Answer::ok(json!({"sessions": ended})))
}

/// Ends every session of a person that began before `at`, and their tokens. Whoever logs in later is in at once.
pub(super) async fn end_all(call: &Call, user: &User, at: UnixSeconds) -> Result<(), ApiError> {
    let ended = call.parts.live.revocations.revoke_user(user.id, at);
    let until = call.now.plus(LONGEST_TOKEN_SECONDS);
    let ended = ended.iter().map(|session| Revocation::of_session(session.nonce.clone(), until));
    keep(call, [revocation(Revoked::User(user.id), call.now)].into_iter().chain(ended)).await?;
    note_about(call, user, "every session of the person was revoked").await;
    Ok(())
}

/// Ends one session of a person, and the tokens that were issued under it.
pub(super) async fn end_one(call: &Call, user: &User, session: &Session) -> Result<(), ApiError> {
    let until = call.now.plus(LONGEST_TOKEN_SECONDS);
    call.parts.live.revocations.end_session(&session.nonce, until);
    keep(call, [Revocation::of_session(session.nonce.clone(), until)]).await?;
    note_about(call, user, "a session of the person was ended").await;
    Ok(())
}

/// Ends the tokens that were minted for a service token. The change that asks for it stands in the audit already.
pub(super) async fn service_token(call: &Call, client: &ClientId) -> Result<(), ApiError> {
    call.parts.live.revocations.revoke_service_token(client, call.now);
    keep(call, [revocation(Revoked::ServiceToken(client.clone()), call.now)]).await
}

/// A revocation of what was issued until `at`.
fn revocation(what: Revoked, at: UnixSeconds) -> Revocation {
    Revocation { what, at, until: at.plus(LONGEST_TOKEN_SECONDS) }
}

/// Makes durable what is in force already.
async fn keep(
    call: &Call,
    revocations: impl IntoIterator<Item = Revocation>,
) -> Result<(), ApiError> {
    let revocations = revocations.into_iter().collect();
    call.parts.revocations.write(revocations).await.map_err(ApiError::RevokedHere)
}

async fn note_about(call: &Call, user: &User, what: &str) {
    let record = AccessRecord {
        user: Some(user.id),
        user_email: Some(user.email.clone()),
        ..record(call, what)
    };
    note(call, record).await;
}

/// Records what was revoked. That stands whether or not the record can be written now; one that cannot waits with those
/// of the doors.
async fn note(call: &Call, record: AccessRecord) {
    if call.parts.store.append_records(std::slice::from_ref(&record)).await.is_err()
        && call.parts.records.try_send(record).is_err()
    {
        tracing::error!(ray = %call.caller.ray, "the record of a revocation was lost: too many wait for the store");
    }
}

fn record(call: &Call, what: &str) -> AccessRecord {
    let reason = format!("{what} by API token {}", call.actor.name);
    let ray = call.caller.ray.clone();
    AccessRecord {
        ip_address: Some(call.caller.ip),
        ..AccessRecord::new(ray, call.now, Action::Revoke, Verdict::Allowed, reason)
    }
}
