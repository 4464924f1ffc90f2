//! People: those who have logged in and those who are expected. Their sessions: see `user_sessions`.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Fields;
use crate::paging::Page;
use crate::resources::revocations;
use narthex_model::{Action, EmailAddress, User};
use narthex_snapshot::LONGEST_TOKEN_SECONDS;
use narthex_store::{EmailMatch, RecordFilter, UserFilter};
use serde_json::{Map, Value, json};

fn document(user: &User) -> Value {
    json!({
        "id": user.id, "uid": user.id, "seat_uid": user.id, "email": user.email, "name": user.name,
        "access_seat": user.last_successful_login.is_some(), "gateway_seat": false, "active_device_count": 0,
        "last_successful_login": user.last_successful_login,
        "created_at": user.created_at, "updated_at": user.updated_at,
    })
}

impl Call {
    /// The user that the path names.
    pub(super) async fn user(&self) -> Result<User, ApiError> {
        let id = self.id(0, Kind::User)?;
        self.parts.store.user(id).await?.ok_or(ApiError::Missing(Kind::User))
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

/// A name for people, on one line; it may be empty, as that of somebody whose provider tells none.
fn name(fields: &Fields) -> Result<Option<String>, ApiError> {
    if fields.raw("name").and_then(Value::as_str) == Some("") {
        return Ok(Some(String::new()));
    }
    fields.name()
}

/// Somebody who is expected: whoever logs in with the address is this user. It opens nothing; the policies do.
pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let email: EmailAddress = fields.need("email")?;
    let name = name(&fields)?.unwrap_or_default();
    let made = call.parts.store.create_user(&email, &name, call.now).await?;
    let user = made.ok_or_else(|| ApiError::Duplicate {
        pointer: fields.pointer("email"),
        application: false,
        reason: format!("there is a user of {email} already"),
    })?;
    call.parts.desk.note_deed(&call.audit()).await?;
    Ok(Answer::ok(document(&user)))
}

/// Another name. The address has to be sent and cannot change: tokens name the person by it.
pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let email: EmailAddress = fields.need("email")?;
    let name = name(&fields)?.ok_or_else(|| fields.refuse("name", "name is required"))?;
    let user = call.user().await?;
    if email != user.email {
        let reason = "the address of a user cannot change; make another user, and delete this one";
        return Err(fields.refuse("email", reason));
    }
    let renamed = call.parts.store.rename_user(user.id, &name, call.now).await?;
    call.parts.desk.note_deed(&call.audit()).await?;
    Ok(Answer::ok(document(&renamed.ok_or(ApiError::Missing(Kind::User))?)))
}

/// Forgets the person and ends every session, also one that is being begun at this moment. Somebody who logs in with
/// the same address is a new user.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let user = call.user().await?;
    let until = call.now.plus(LONGEST_TOKEN_SECONDS);
    call.parts.store.delete_user(user.id, until).await?;
    revocations::end_all(&call, &user, until).await?;
    call.parts.desk.note_deed(&call.audit()).await?;
    Ok(Answer::ok(document(&user)))
}

/// The page size of failed logins where the query names none: clients of the contract ask for one page only.
const FAILED_LOGINS: u32 = 100;

/// Every failed login that is kept, youngest first.
pub(crate) async fn failed_logins(call: Call) -> Result<Answer, ApiError> {
    let page = Page::of(&call.query, FAILED_LOGINS)?;
    let user = call.user().await?;
    let filter = RecordFilter {
        email: Some(EmailMatch::Exact(user.email.to_string())),
        actions: vec![Action::Login],
        allowed: Some(false),
        limit: page.size(),
        offset: page.offset(),
        ..RecordFilter::default()
    };
    let records = call.parts.store.records(&filter).await?;
    let total = call.parts.store.number_of_records(&filter).await?;
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
    Ok(Answer::page(page, listed.collect(), total))
}
