//! Revocations, kept until the last token that they concern has expired by itself.

use super::database::Database;
use super::fault::damaged;
use super::row::parse;
use super::sessions;
use crate::{Revocation, Revoked, StoreError};
use narthex_model::UnixSeconds;
use sqlx::SqliteConnection;

/// How [`Revoked`] lies in the columns `kind` and `subject`.
fn columns(what: &Revoked) -> (&'static str, String) {
    match what {
        Revoked::Session(nonce) => ("session", nonce.to_string()),
        Revoked::User(id) => ("user", id.to_string()),
        Revoked::App(aud) => ("app", aud.to_string()),
        Revoked::ServiceToken(id) => ("service_token", id.to_string()),
    }
}

fn revoked(kind: &str, subject: &str) -> Result<Revoked, StoreError> {
    let place = "revocation.subject";
    match kind {
        "session" => parse(place, subject).map(Revoked::Session),
        "user" => parse(place, subject).map(Revoked::User),
        "app" => parse(place, subject).map(Revoked::App),
        "service_token" => parse(place, subject).map(Revoked::ServiceToken),
        other => Err(damaged("revocation.kind", format!("{other:?} is unknown"))),
    }
}

pub(super) async fn put(main: &Database, revocations: &[Revocation]) -> Result<(), StoreError> {
    if revocations.is_empty() {
        return Ok(());
    }
    let mut change = main.begin().await?;
    for revocation in revocations {
        write(&mut change, revocation).await?;
        sessions::delete_revoked(&mut change, revocation).await?;
    }
    Ok(change.commit().await?)
}

/// Writes the row; part of a larger transaction.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    revocation: &Revocation,
) -> Result<(), StoreError> {
    let (kind, subject) = columns(&revocation.what);
    sqlx::query(
        "INSERT INTO revocation (kind, subject, valid_after, kept_until) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind, subject) DO UPDATE SET
             valid_after = CASE WHEN excluded.valid_after > revocation.valid_after THEN excluded.valid_after
                                ELSE revocation.valid_after END,
             kept_until = CASE WHEN excluded.kept_until > revocation.kept_until THEN excluded.kept_until
                               ELSE revocation.kept_until END",
    )
    .bind(kind)
    .bind(subject)
    .bind(revocation.at.0)
    .bind(revocation.until.0)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn in_force(
    main: &Database,
    now: UnixSeconds,
) -> Result<Vec<Revocation>, StoreError> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT kind, subject, valid_after, kept_until FROM revocation WHERE kept_until > $1 ORDER BY kind, subject",
    )
    .bind(now.0)
    .fetch_all(main.readers())
    .await?;
    let revocation = |(kind, subject, at, until): (String, String, i64, i64)| {
        let what = revoked(&kind, &subject)?;
        Ok(Revocation { what, at: UnixSeconds(at), until: UnixSeconds(until) })
    };
    rows.into_iter().map(revocation).collect()
}
