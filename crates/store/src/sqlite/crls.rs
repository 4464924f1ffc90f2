//! Revocation lists of authorities: the last good one of each source is kept while the source is down.

use super::database::Database;
use super::object::AUTHORITY;
use super::row::parse;
use crate::StoreError;
use narthex_model::{
    CertificateAuthorityId, CrlFailure, CrlSource, StoredCrl, Timestamp, UnixSeconds,
};
use sqlx::SqliteConnection;

type Row = (String, String, Option<Vec<u8>>, Option<i64>, Option<i64>, Option<String>);

pub(super) async fn all(main: &Database) -> Result<Vec<StoredCrl>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT authority, source, der, taken_at, failed_at, failure FROM crl ORDER BY authority, source",
    )
    .fetch_all(main.readers())
    .await?;
    rows.into_iter().map(crl).collect()
}

pub(super) async fn of(
    main: &Database,
    authority: CertificateAuthorityId,
) -> Result<Vec<StoredCrl>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT authority, source, der, taken_at, failed_at, failure FROM crl WHERE authority = $1 ORDER BY source",
    )
    .bind(authority.to_string())
    .fetch_all(main.readers())
    .await?;
    rows.into_iter().map(crl).collect()
}

fn crl(
    (authority, source, der, taken_at, failed_at, failure): Row,
) -> Result<StoredCrl, StoreError> {
    let time = |at: i64| Timestamp(UnixSeconds(at));
    Ok(StoredCrl {
        authority: parse("crl.authority", &authority)?,
        source: CrlSource::from(source),
        der: der.map(Into::into),
        taken_at: taken_at.map(time),
        failure: failed_at.zip(failure).map(|(at, why)| CrlFailure { at: time(at), why }),
    })
}

/// Nothing is kept for an authority that was deleted meanwhile.
pub(super) async fn put(main: &Database, crl: &StoredCrl) -> Result<bool, StoreError> {
    let mut change = main.begin().await?;
    let (failed_at, failure) = crl.failure.as_ref().map(|f| (f.at.0.0, f.why.as_str())).unzip();
    let done = sqlx::query(
        "INSERT INTO crl (authority, source, der, taken_at, failed_at, failure)
         SELECT $1, $2, $3, $4, $5, $6 FROM object WHERE kind = $7 AND id = $1
         ON CONFLICT (authority, source) DO UPDATE SET der = excluded.der, taken_at = excluded.taken_at,
             failed_at = excluded.failed_at, failure = excluded.failure",
    )
    .bind(crl.authority.to_string())
    .bind(crl.source.to_string())
    .bind(crl.der.as_deref())
    .bind(crl.taken_at.map(|at| at.0.0))
    .bind(failed_at)
    .bind(failure)
    .bind(AUTHORITY)
    .execute(&mut *change)
    .await?;
    change.commit().await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn delete(
    main: &Database,
    authority: CertificateAuthorityId,
    source: &CrlSource,
) -> Result<bool, StoreError> {
    let mut change = main.begin().await?;
    let done = sqlx::query("DELETE FROM crl WHERE authority = $1 AND source = $2")
        .bind(authority.to_string())
        .bind(source.to_string())
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(done.rows_affected() > 0)
}

/// Forgets the lists of a deleted authority; part of a larger transaction.
pub(super) async fn delete_of(
    connection: &mut SqliteConnection,
    authority: CertificateAuthorityId,
) -> Result<(), StoreError> {
    let query = sqlx::query("DELETE FROM crl WHERE authority = $1").bind(authority.to_string());
    query.execute(connection).await?;
    Ok(())
}
