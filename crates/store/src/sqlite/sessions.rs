//! Login sessions, from login until their last token has expired.

use super::database::Database;
use super::row::{from_json, parse, to_json};
use crate::{Revocation, Revoked, StoreError};
use narthex_model::{IdentityNonce, Session, UnixSeconds, UserId};
use sqlx::SqliteConnection;

fn session(body: &str) -> Result<Session, StoreError> {
    from_json("session.body", body)
}

pub(super) async fn put(main: &Database, session: &Session) -> Result<(), StoreError> {
    let identity = &session.identity;
    let person = identity.user_uuid.to_string();
    let mut change = main.begin().await?;
    let revoked: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM revocation WHERE (kind = 'session' AND subject = $1)
             OR (kind = 'user' AND subject = $2 AND valid_after > $3)",
    )
    .bind(session.nonce.as_str())
    .bind(&person)
    .bind(identity.iat.0)
    .fetch_one(&mut *change)
    .await?;
    if revoked > 0 {
        return Ok(change.rollback().await?);
    }
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM session WHERE nonce = $1")
        .bind(session.nonce.as_str())
        .fetch_one(&mut *change)
        .await?;
    sqlx::query(
        "INSERT INTO session (nonce, person, begun_at, tokens_until, body) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (nonce) DO UPDATE SET person = excluded.person, begun_at = excluded.begun_at,
             tokens_until = excluded.tokens_until, body = excluded.body",
    )
    .bind(session.nonce.as_str())
    .bind(&person)
    .bind(identity.iat.0)
    .bind(session.tokens_until.0)
    .bind(to_json(session))
    .execute(&mut *change)
    .await?;
    if known == 0 {
        sqlx::query("UPDATE person SET last_identity = $1 WHERE id = $2")
            .bind(to_json(identity))
            .bind(&person)
            .execute(&mut *change)
            .await?;
    }
    Ok(change.commit().await?)
}

pub(super) async fn get(
    main: &Database,
    nonce: &IdentityNonce,
) -> Result<Option<Session>, StoreError> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM session WHERE nonce = $1")
        .bind(nonce.as_str())
        .fetch_optional(main.readers())
        .await?;
    body.map(|body| session(&body)).transpose()
}

pub(super) async fn live(main: &Database, now: UnixSeconds) -> Result<Vec<Session>, StoreError> {
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM session WHERE tokens_until > $1 ORDER BY nonce")
            .bind(now.0)
            .fetch_all(main.readers())
            .await?;
    bodies.iter().map(|body| session(body)).collect()
}

pub(super) async fn of(
    main: &Database,
    user: UserId,
    now: UnixSeconds,
) -> Result<Vec<Session>, StoreError> {
    let bodies: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM session WHERE person = $1 AND tokens_until > $2 ORDER BY begun_at DESC, nonce",
    )
    .bind(user.to_string())
    .bind(now.0)
    .fetch_all(main.readers())
    .await?;
    bodies.iter().map(|body| session(body)).collect()
}

pub(super) async fn end_all(
    main: &Database,
    until: UnixSeconds,
) -> Result<Vec<IdentityNonce>, StoreError> {
    let mut change = main.begin().await?;
    sqlx::query(
        "INSERT INTO revocation (kind, subject, valid_after, kept_until)
         SELECT 'session', nonce, $1, $1 FROM session WHERE 1 = 1
         ON CONFLICT (kind, subject) DO UPDATE SET kept_until = excluded.kept_until",
    )
    .bind(until.0)
    .execute(&mut *change)
    .await?;
    let nonces: Vec<String> =
        sqlx::query_scalar("DELETE FROM session RETURNING nonce").fetch_all(&mut *change).await?;
    change.commit().await?;
    nonces.iter().map(|nonce| parse("session.nonce", nonce)).collect()
}

/// Removes the sessions that `revocation` ends; part of the transaction that writes it.
pub(super) async fn delete_revoked(
    connection: &mut SqliteConnection,
    revocation: &Revocation,
) -> Result<(), StoreError> {
    match &revocation.what {
        Revoked::Session(nonce) => {
            sqlx::query("DELETE FROM session WHERE nonce = $1")
                .bind(nonce.as_str())
                .execute(connection)
                .await?;
        }
        Revoked::User(user) => {
            // Those of this very second are named one by one: whoever logs in later in it is in, also after a restart.
            sqlx::query(
                "INSERT INTO revocation (kind, subject, valid_after, kept_until)
                 SELECT 'session', nonce, $3, $3 FROM session WHERE person = $1 AND begun_at = $2
                 ON CONFLICT (kind, subject) DO UPDATE SET kept_until = excluded.kept_until",
            )
            .bind(user.to_string())
            .bind(revocation.at.0)
            .bind(revocation.until.0)
            .execute(&mut *connection)
            .await?;
            sqlx::query("DELETE FROM session WHERE person = $1 AND begun_at <= $2")
                .bind(user.to_string())
                .bind(revocation.at.0)
                .execute(connection)
                .await?;
        }
        Revoked::App(_) | Revoked::ServiceToken(_) => {}
    }
    Ok(())
}

/// Sessions, revocations and pending things whose time is over.
pub(super) async fn forget_expired(main: &Database, now: UnixSeconds) -> Result<u64, StoreError> {
    let mut change = main.begin().await?;
    let mut forgotten = 0;
    for statement in [
        "DELETE FROM session WHERE tokens_until <= $1",
        "DELETE FROM revocation WHERE kept_until <= $1",
        "DELETE FROM pending WHERE expires_at <= $1",
    ] {
        let done = sqlx::query(statement).bind(now.0).execute(&mut *change).await?;
        forgotten += done.rows_affected();
    }
    change.commit().await?;
    Ok(forgotten)
}
