//! The sessions of a person, and what the last one told about them.
//!
//! A session is active as long as anything that was issued under it is accepted: its global session, or a token of an
//! application that lives longer. Its `nonce` is the `identity_nonce` of every such token.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::revocations;
use narthex_model::{Configuration, IdentityNonce, Session, UnixSeconds, User};
use serde_json::{Map, Value, json};

impl Call {
    /// Whether the session is one under which something is accepted.
    fn is_active(&self, session: &Session) -> bool {
        self.now < session.tokens_until && !self.parts.live.revocations.refuses_session(session)
    }

    async fn active_sessions(&self, user: &User) -> Result<Vec<Session>, ApiError> {
        let mut sessions = self.parts.store.sessions_of(user.id, self.now).await?;
        sessions.retain(|session| self.is_active(session));
        Ok(sessions)
    }

    /// The session of this user that the path names.
    async fn session(&self, user: &User) -> Result<Session, ApiError> {
        let nonce: IdentityNonce = self.id(1, Kind::Session)?;
        let session = self.parts.store.session(&nonce).await?;
        let session = session.filter(|session| session.identity.user_uuid == user.id);
        session.ok_or(ApiError::Missing(Kind::Session))
    }
}

/// The applications that tokens were issued for, as far as they still exist.
fn apps(session: &Session, configuration: &Configuration) -> Map<String, Value> {
    let known = session.apps.iter().filter_map(|id| configuration.apps.get(id));
    known
        .map(|app| {
            let document = json!({
                "hostname": app.domain(), "name": app.name, "type": app.kind, "uid": app.id,
            });
            (app.id.to_string(), document)
        })
        .collect()
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let standing = call.standing();
    let sessions = call.active_sessions(&user).await?;
    let listed = sessions.iter().map(|session| {
        let UnixSeconds(iat) = session.identity.iat;
        let UnixSeconds(end) = session.tokens_until;
        json!({
            "name": session.nonce, "expiration": end,
            "metadata": {
                "apps": apps(session, &standing.configuration), "expires": end, "iat": iat, "nonce": session.nonce,
                "ttl": end - iat,
            },
        })
    });
    Ok(Answer::ok(listed.collect()))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let session = call.session(&user).await?;
    let mut document = session.identity.to_json(&call.active_sessions(&user).await?);
    document["isActive"] = call.is_active(&session).into();
    Ok(Answer::ok(document))
}

/// Ends this session and leaves the others. Ours: clients of the contract know how to end all of a person's only.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let session = call.session(&user).await?;
    revocations::end_one(&call, &user, &session).await?;
    Ok(Answer::ok(json!({"nonce": session.nonce})))
}

/// The identity of the login that came last; `null` for a person who never logged in.
pub(crate) async fn last_identity(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let Some(identity) = call.parts.store.last_identity(user.id).await? else {
        return Ok(Answer::ok(Value::Null));
    };
    Ok(Answer::ok(identity.to_json(&call.active_sessions(&user).await?)))
}
