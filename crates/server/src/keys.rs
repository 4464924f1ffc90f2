//! Signing keys at start: read from the store, or made when there are none.

use narthex_api::stored;
use narthex_model::UnixSeconds;
use narthex_store::{Store, StoreError};
use narthex_token::{KeyAction, KeyError, SigningKey, made_at, next_action};
use std::sync::Arc;

/// Why the signing keys are not there.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The store does not give or take them.
    #[error("signing keys: {0}")]
    Store(#[from] StoreError),
    /// One of them is damaged.
    #[error("signing keys: {0}")]
    Key(#[from] KeyError),
}

/// Reads the signing keys, and makes those that the schedule asks for (at the first start: a current and a next one).
///
/// # Errors
/// [`KeysError`] when the store is away or a key is damaged.
pub(crate) async fn open(
    store: &dyn Store,
    interval_days: u16,
    now: UnixSeconds,
) -> Result<Vec<Arc<SigningKey>>, KeysError> {
    let mut keys = Vec::new();
    for stored in store.load_keys().await? {
        let key = SigningKey::restore(
            stored.kid,
            &stored.pkcs8,
            stored.certificate_pem,
            stored.active_from,
            stored.created_at,
        )?;
        keys.push(Arc::new(key));
    }
    // The rest of the schedule is the desk's; at a first start there must be something to sign with.
    while let KeyAction::Generate { active_from } = next_action(&keys, interval_days, now) {
        let key = SigningKey::generate(made_at(&keys, now), active_from);
        store.put_key(&stored(&key)).await?;
        keys.push(Arc::new(key));
    }
    Ok(keys)
}
