//! The key that signs our requests to SAML providers, its private half sealed in its place.

use super::database::Database;
use super::fault::damaged;
use crate::{SamlKey, StoreError};
use narthex_model::{MasterKey, UnixSeconds};

const PLACE: &str = "saml_key/pkcs8";

pub(super) async fn load(
    main: &Database,
    master: &MasterKey,
) -> Result<Option<SamlKey>, StoreError> {
    let row: Option<(Vec<u8>, String, i64)> =
        sqlx::query_as("SELECT sealed, certificate_pem, created_at FROM saml_key")
            .fetch_optional(main.readers())
            .await?;
    let key = |(sealed, certificate_pem, created_at): (Vec<u8>, _, _)| {
        let pkcs8 = master.open(&sealed, PLACE).map_err(|error| damaged(PLACE, error))?;
        Ok(SamlKey { pkcs8, certificate_pem, created_at: UnixSeconds(created_at) })
    };
    row.map(key).transpose()
}

/// Keeps the key unless there is one.
pub(super) async fn put_first(
    main: &Database,
    master: &MasterKey,
    key: &SamlKey,
) -> Result<(), StoreError> {
    let mut change = main.begin().await?;
    sqlx::query(
        "INSERT INTO saml_key (one, sealed, certificate_pem, created_at) VALUES (1, $1, $2, $3)
         ON CONFLICT (one) DO NOTHING",
    )
    .bind(master.seal(&key.pkcs8, PLACE))
    .bind(&key.certificate_pem)
    .bind(key.created_at.0)
    .execute(&mut *change)
    .await?;
    Ok(change.commit().await?)
}
