//! API tokens, found by the hash of what was presented.

use super::database::Database;
use super::row::{hash, parse, timestamp};
use crate::{ApiToken, StoreError};
use narthex_model::ApiTokenId;

type Row = (String, String, Vec<u8>, i64, Option<i64>, Option<i64>, i64, i64);

fn token(
    (id, name, raw, created_at, not_before, expires_at, disabled, read_only): Row,
) -> Result<ApiToken, StoreError> {
    Ok(ApiToken {
        id: parse("api_token.id", &id)?,
        name,
        hash: hash("api_token.hash", &raw)?,
        created_at: timestamp(created_at),
        not_before: not_before.map(timestamp),
        expires_at: expires_at.map(timestamp),
        disabled: disabled != 0,
        read_only: read_only != 0,
    })
}

pub(super) async fn put(main: &Database, token: &ApiToken) -> Result<(), StoreError> {
    let mut change = main.begin().await?;
    sqlx::query(
        "INSERT INTO api_token (id, name, hash, created_at, not_before, expires_at, disabled, read_only)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, hash = excluded.hash, created_at = excluded.created_at,
             not_before = excluded.not_before, expires_at = excluded.expires_at, disabled = excluded.disabled,
             read_only = excluded.read_only",
    )
    .bind(token.id.as_str())
    .bind(&token.name)
    .bind(token.hash.as_slice())
    .bind(token.created_at.0.0)
    .bind(token.not_before.map(|at| at.0.0))
    .bind(token.expires_at.map(|at| at.0.0))
    .bind(i64::from(token.disabled))
    .bind(i64::from(token.read_only))
    .execute(&mut *change)
    .await?;
    Ok(change.commit().await?)
}

pub(super) async fn by_hash(
    main: &Database,
    hash: &[u8; 32],
) -> Result<Option<ApiToken>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, name, hash, created_at, not_before, expires_at, disabled, read_only
         FROM api_token WHERE hash = $1",
    )
    .bind(hash.as_slice())
    .fetch_optional(main.readers())
    .await?;
    row.map(token).transpose()
}

pub(super) async fn list(main: &Database) -> Result<Vec<ApiToken>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, name, hash, created_at, not_before, expires_at, disabled, read_only
         FROM api_token ORDER BY created_at, id",
    )
    .fetch_all(main.readers())
    .await?;
    rows.into_iter().map(token).collect()
}

pub(super) async fn delete(main: &Database, id: &ApiTokenId) -> Result<bool, StoreError> {
    let mut change = main.begin().await?;
    let done = sqlx::query("DELETE FROM api_token WHERE id = $1")
        .bind(id.as_str())
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(done.rows_affected() > 0)
}
