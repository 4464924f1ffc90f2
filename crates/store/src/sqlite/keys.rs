//! Signing keys, the private half sealed in its place.

use super::database::Database;
use super::fault::damaged;
use super::row::parse;
use crate::{StoreError, StoredKey};
use narthex_model::{Kid, MasterKey, UnixSeconds};

fn place(kid: &Kid) -> String {
    format!("signing_key/{kid}/pkcs8")
}

pub(super) async fn load(
    main: &Database,
    master: &MasterKey,
) -> Result<Vec<StoredKey>, StoreError> {
    let rows: Vec<(String, Vec<u8>, String, i64, i64)> = sqlx::query_as(
        "SELECT kid, sealed, certificate_pem, created_at, active_from FROM signing_key ORDER BY active_from, kid",
    )
    .fetch_all(main.readers())
    .await?;
    let key = |(kid, sealed, certificate_pem, created_at, active_from): (_, Vec<u8>, _, _, _)| {
        let kid: Kid = parse("signing_key.kid", &kid as &String)?;
        let pkcs8 = master.open(&sealed, &place(&kid)).map_err(|e| damaged(place(&kid), e))?;
        Ok(StoredKey {
            kid,
            pkcs8,
            certificate_pem,
            created_at: UnixSeconds(created_at),
            active_from: UnixSeconds(active_from),
        })
    };
    rows.into_iter().map(key).collect()
}

pub(super) async fn put(
    main: &Database,
    master: &MasterKey,
    key: &StoredKey,
) -> Result<(), StoreError> {
    let mut change = main.begin().await?;
    sqlx::query(
        "INSERT INTO signing_key (kid, sealed, certificate_pem, created_at, active_from) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (kid) DO UPDATE SET sealed = excluded.sealed, certificate_pem = excluded.certificate_pem,
             created_at = excluded.created_at, active_from = excluded.active_from",
    )
    .bind(key.kid.as_str())
    .bind(master.seal(&key.pkcs8, &place(&key.kid)))
    .bind(&key.certificate_pem)
    .bind(key.created_at.0)
    .bind(key.active_from.0)
    .execute(&mut *change)
    .await?;
    Ok(change.commit().await?)
}

pub(super) async fn delete(main: &Database, kid: &Kid) -> Result<bool, StoreError> {
    let mut change = main.begin().await?;
    let done = sqlx::query("DELETE FROM signing_key WHERE kid = $1")
        .bind(kid.as_str())
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(done.rows_affected() > 0)
}
