//! Ending sessions and tokens before their time (access-protocol §10.3): durable first, then in force.

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
    keep(&call, Revoked::App(app.aud.clone())).await?;
    call.parts.live.revocations.revoke_app(&app.aud, call.now);
    let record = AccessRecord {
        app: Some(app.id),
        app_domain: app.domain().to_owned(),
        ..record(&call, "every token of the application was revoked")
    };
    call.parts.store.append_records(&[record]).await?;
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
    let revocations = &call.parts.live.revocations;
    for app in call.standing().configuration.apps.values() {
        keep(&call, Revoked::App(app.aud.clone())).await?;
        revocations.revoke_app(&app.aud, call.now);
    }
    let until = call.now.plus(LONGEST_TOKEN_SECONDS);
    let ended = call.parts.store.end_all_sessions(until).await?;
    for nonce in &ended {
        revocations.end_session(nonce, until);
    }
    let what = format!("every session ({}) and every token was revoked", ended.len());
    call.parts.store.append_records(&[record(&call, &what)]).await?;
    Ok(Answer::ok(json!({"sessions": ended.len()})))
}

/// Ends every session of a person that began before `at`, and their tokens. Whoever logs in later is in at once.
pub(super) async fn end_all(call: &Call, user: &User, at: UnixSeconds) -> Result<(), ApiError> {
    keep(call, Revoked::User(user.id)).await?;
    let until = call.now.plus(LONGEST_TOKEN_SECONDS);
    for session in call.parts.live.revocations.revoke_user(user.id, at) {
        call.parts.store.end_session(&session.nonce, until).await?;
    }
    let record = AccessRecord {
        user: Some(user.id),
        user_email: Some(user.email.clone()),
        ..record(call, "every session of the person was revoked")
    };
    Ok(call.parts.store.append_records(&[record]).await?)
}

/// Ends one session of a person, and the tokens that were issued under it.
pub(super) async fn end_one(call: &Call, user: &User, session: &Session) -> Result<(), ApiError> {
    let until = call.now.plus(LONGEST_TOKEN_SECONDS);
    call.parts.store.end_session(&session.nonce, until).await?;
    call.parts.live.revocations.end_session(&session.nonce, until);
    let record = AccessRecord {
        user: Some(user.id),
        user_email: Some(user.email.clone()),
        ..record(call, "a session of the person was ended")
    };
    Ok(call.parts.store.append_records(&[record]).await?)
}

/// Ends the tokens that were minted for a service token. The change that asks for it stands in the audit already.
pub(super) async fn service_token(call: &Call, client: &ClientId) -> Result<(), ApiError> {
    keep(call, Revoked::ServiceToken(client.clone())).await?;
    call.parts.live.revocations.revoke_service_token(client, call.now);
    Ok(())
}

async fn keep(call: &Call, what: Revoked) -> Result<(), ApiError> {
    let until = call.now.plus(LONGEST_TOKEN_SECONDS);
    let revocation = Revocation { what, at: call.now, until };
    Ok(call.parts.store.put_revocation(&revocation).await?)
}

fn record(call: &Call, what: &str) -> AccessRecord {
    let reason = format!("{what} by API token {}", call.actor.name);
    let ray = call.caller.ray.clone();
    AccessRecord {
        ip_address: Some(call.caller.ip),
        ..AccessRecord::new(ray, call.now, Action::Revoke, Verdict::Allowed, reason)
    }
}
