//! `narthexd admin token create`: a new API token, shown once.

use crate::config::{Settings, StoreRoute};
use crate::data_dir;
use narthex_model::{ApiTokenId, Clock, Secret, Timestamp};
use narthex_store::{ApiToken, OpenError, SqliteStore, Store, StoreError};

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenCreateError {
    /// The data directory does not let us in.
    #[error(transparent)]
    DataDir(#[from] data_dir::DataDirError),
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token named `name`, which may do everything or only read, and returns its value, which is kept nowhere else. The gateway may be running.
///
/// # Errors
/// [`TokenCreateError`] when the data directory or the store refuses.
pub async fn create(
    settings: &Settings,
    name: &str,
    read_only: bool,
    clock: &Clock,
) -> Result<Secret, TokenCreateError> {
    let master = data_dir::prepare(settings)?;
    let StoreRoute::Sqlite(path) = &settings.store;
    let store = SqliteStore::open_beside(path, master).await?;
    let secret = Secret::random();
    store
        .put_api_token(&ApiToken {
            id: ApiTokenId::random(),
            name: name.to_owned(),
            hash: narthex_api::sha256(secret.expose()),
            created_at: Timestamp(clock.now()),
            expires_at: None,
            not_before: None,
            disabled: false,
            read_only,
        })
        .await?;
    Ok(secret)
}
