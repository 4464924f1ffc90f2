//! People who have logged in, their sessions, and logins that failed.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::revocations;
use narthex_model::{Action, IdentityNonce, Session, UnixSeconds, User};
use narthex_snapshot::LONGEST_TOKEN_SECONDS;
use narthex_store::{EmailMatch, RecordFilter, UserFilter};
use serde_json::{Map, Value, json};

fn document(user: &User) -> Value {
    json!({
        "id": user.id, "uid": user.id, "seat_uid": user.id, "email": user.email, "name": user.name,
        "access_seat": true, "gateway_seat": false, "active_device_count": 0,
        "last_successful_login": user.last_successful_login,
        "created_at": user.created_at, "updated_at": user.updated_at,
    })
}

impl Call {
    async fn user(&self) -> Result<User, ApiError> {
        let id = self.id(0, Kind::User)?;
        self.parts.store.user(id).await?.ok_or(ApiError::Missing(Kind::User))
    }

    /// Whether the session is one that may still be used.
    fn is_active(&self, session: &Session) -> bool {
        self.now < session.expires_at && !self.parts.live.revocations.refuses_session(session)
    }
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let text = |name| call.query.text(name).map(str::to_owned);
    let filter = UserFilter {
        email: text("email"),
        name: text("name"),
        search: text("search"),
        limit: Some(page.size()),
        offset: page.offset(),
    };
    let users = call.parts.store.users(&filter).await?;
    Ok(Answer::page(page, users.items.iter().map(document).collect(), users.total))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(document(&call.user().await?)))
}

/// Forgets the person and ends every session. Somebody who logs in with the same address is a new user.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    revocations::end_all(&call, &user).await?;
    call.parts.store.delete_user(user.id, call.now.plus(LONGEST_TOKEN_SECONDS)).await?;
    Ok(Answer::ok(document(&user)))
}

pub(crate) async fn sessions(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let sessions = call.parts.store.sessions_of(user.id, call.now).await?;
    let active = sessions.iter().filter(|session| call.is_active(session));
    let listed = active.map(|session| {
        let UnixSeconds(iat) = session.identity.iat;
        let UnixSeconds(end) = session.expires_at;
        json!({
            "name": session.nonce, "expiration": end,
            "metadata": {"apps": {}, "expires": end, "iat": iat, "nonce": session.nonce, "ttl": end - iat},
        })
    });
    Ok(Answer::ok(listed.collect()))
}

pub(crate) async fn session(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let nonce: IdentityNonce = call.id(1, Kind::Session)?;
    let session = call.parts.store.session(&nonce).await?;
    let session = session.filter(|session| session.identity.user_uuid == user.id);
    let session = session.ok_or(ApiError::Missing(Kind::Session))?;
    let mut document = session.identity.to_json();
    document["isActive"] = call.is_active(&session).into();
    Ok(Answer::ok(document))
}

/// `null` for a person who was never seen.
pub(crate) async fn last_identity(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let identity = call.parts.store.last_identity(user.id).await?;
    Ok(Answer::ok(identity.map_or(Value::Null, |identity| identity.to_json())))
}

pub(crate) async fn failed_logins(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let filter = RecordFilter {
        email: Some(EmailMatch::Exact(user.email.to_string())),
        actions: vec![Action::Login],
        allowed: Some(false),
        limit: 100,
        ..RecordFilter::default()
    };
    let records = call.parts.store.records(&filter).await?;
    let standing = call.standing();
    let listed = records.iter().map(|record| {
        let app = record.app.and_then(|id| standing.configuration.apps.get(&id));
        let mut metadata = Map::new();
        metadata.insert("app_name".to_owned(), json!(app.map(|app| &app.name)));
        metadata.insert("aud".to_owned(), json!(app.map(|app| &app.aud)));
        metadata.insert("datetime".to_owned(), json!(record.created_at));
        metadata.insert("ray_id".to_owned(), json!(record.ray_id));
        metadata.insert("reason".to_owned(), json!(record.reason));
        metadata.insert("user_email".to_owned(), json!(user.email));
        metadata.insert("user_uuid".to_owned(), json!(user.id));
        json!({"expiration": 0, "metadata": metadata})
    });
    Ok(Answer::ok(listed.collect()))
}
