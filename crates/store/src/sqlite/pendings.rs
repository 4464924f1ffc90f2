//! What waits to be taken once. The handle is known here only by its SHA-256, and the body is sealed: a stolen copy
//! of the file finishes nobody's login.

use super::database::Database;
use super::fault::damaged;
use super::row::to_json;
use crate::{PendingKind, StoreError, TryOutcome};
use narthex_model::{MasterKey, UnixSeconds};
use serde_json::Value;
use std::fmt::Write as _;

/// Kind and SHA-256 of the handle.
type Handle<'a> = (PendingKind, &'a [u8; 32]);

fn place((kind, key): Handle<'_>) -> String {
    let mut place = format!("pending/{}/", kind.as_str());
    for byte in key {
        write!(place, "{byte:02x}").expect("a String takes everything");
    }
    place
}

fn open(master: &MasterKey, handle: Handle<'_>, sealed: &[u8]) -> Result<Value, StoreError> {
    let plain = master.open(sealed, &place(handle)).map_err(|error| damaged("pending", error))?;
    serde_json::from_slice(&plain).map_err(|error| damaged("pending", error))
}

pub(super) async fn put(
    main: &Database,
    master: &MasterKey,
    handle: Handle<'_>,
    body: &Value,
    expires: UnixSeconds,
) -> Result<(), StoreError> {
    let sealed = master.seal(to_json(body).as_bytes(), &place(handle));
    let mut change = main.begin().await?;
    sqlx::query(
        "INSERT INTO pending (kind, handle, sealed, tries, expires_at) VALUES ($1, $2, $3, 0, $4)
         ON CONFLICT (kind, handle) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at",
    )
    .bind(handle.0.as_str())
    .bind(handle.1.as_slice())
    .bind(sealed)
    .bind(expires.0)
    .execute(&mut *change)
    .await?;
    Ok(change.commit().await?)
}

pub(super) async fn peek(
    main: &Database,
    master: &MasterKey,
    handle: Handle<'_>,
    now: UnixSeconds,
) -> Result<Option<Value>, StoreError> {
    let sealed: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT sealed FROM pending WHERE kind = $1 AND handle = $2 AND expires_at > $3",
    )
    .bind(handle.0.as_str())
    .bind(handle.1.as_slice())
    .bind(now.0)
    .fetch_optional(main.readers())
    .await?;
    sealed.map(|sealed| open(master, handle, &sealed)).transpose()
}

pub(super) async fn take(
    main: &Database,
    master: &MasterKey,
    handle: Handle<'_>,
    now: UnixSeconds,
) -> Result<Option<Value>, StoreError> {
    let mut change = main.begin().await?;
    let sealed: Option<Vec<u8>> = sqlx::query_scalar(
        "DELETE FROM pending WHERE kind = $1 AND handle = $2 AND expires_at > $3 RETURNING sealed",
    )
    .bind(handle.0.as_str())
    .bind(handle.1.as_slice())
    .bind(now.0)
    .fetch_optional(&mut *change)
    .await?;
    change.commit().await?;
    sealed.map(|sealed| open(master, handle, &sealed)).transpose()
}

pub(super) async fn count_try(
    main: &Database,
    handle: Handle<'_>,
    limit: u32,
    now: UnixSeconds,
) -> Result<TryOutcome, StoreError> {
    let mut change = main.begin().await?;
    let counted: Option<i64> = sqlx::query_scalar(
        "UPDATE pending SET tries = tries + 1
         WHERE kind = $1 AND handle = $2 AND expires_at > $3 AND tries < $4 RETURNING tries",
    )
    .bind(handle.0.as_str())
    .bind(handle.1.as_slice())
    .bind(now.0)
    .bind(i64::from(limit))
    .fetch_optional(&mut *change)
    .await?;
    let outcome = match counted {
        Some(tries) => TryOutcome::Allowed(u32::try_from(tries).unwrap_or(u32::MAX)),
        None => {
            let there: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pending WHERE kind = $1 AND handle = $2 AND expires_at > $3",
            )
            .bind(handle.0.as_str())
            .bind(handle.1.as_slice())
            .bind(now.0)
            .fetch_one(&mut *change)
            .await?;
            if there > 0 { TryOutcome::Exhausted } else { TryOutcome::Gone }
        }
    };
    change.commit().await?;
    Ok(outcome)
}
