//! Taking up what another process has committed: for one that writes no more and still serves.

use super::{Desk, broken, compile, ring};
use crate::error::ApiError;
use narthex_model::{Revision, StoredCrl, UnixSeconds};
use narthex_snapshot::{Materials, RevocationLists};
use narthex_store::StoredKey;
use narthex_token::SigningKey;
use std::sync::Arc;

impl Desk {
    /// Puts in force what the store holds: configuration (which stands at `revision` there), signing keys and revocation
    /// lists. `seen` holds the lists of the last call. What has not changed costs little.
    ///
    /// # Errors
    /// `Store` when it cannot be read; `Fault` when the configuration does not compile with the configuration file that this
    /// process was started with. What was in force before stays.
    pub async fn follow_store(
        &self,
        revision: Revision,
        seen: &mut Vec<StoredCrl>,
        now: UnixSeconds,
    ) -> Result<(), ApiError> {
        let mut pen = self.pen.lock().await;
        let keys = self.store.load_keys().await?;
        let keys = keys.iter().map(|stored| known_or_restored(&pen.keys, stored));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let same_keys = keys.len() == pen.keys.len()
            && keys.iter().zip(&pen.keys).all(|(one, other)| Arc::ptr_eq(one, other));
        let lists = self.store.crls().await?;
        let standing = self.standing();
        if revision == standing.revision && same_keys && lists == *seen {
            return Ok(());
        }
        let (revision, configuration) = if revision == standing.revision {
            (revision, standing.configuration.clone())
        } else {
            self.store.load().await?
        };
        let read = RevocationLists::read(&configuration, &lists).0;
        let materials = Materials {
            keys: ring(&keys, &pen.materials.premises, now)?,
            revocation_lists: Arc::new(read),
            ..pen.materials.clone()
        };
        let snapshot = compile(&materials, &configuration, revision).await?;
        (pen.keys, pen.materials, *seen) = (keys, materials, lists);
        self.publish(snapshot, revision, configuration);
        Ok(())
    }
}

fn known_or_restored(
    known: &[Arc<SigningKey>],
    stored: &StoredKey,
) -> Result<Arc<SigningKey>, ApiError> {
    let same = |key: &&Arc<SigningKey>| {
        *key.kid() == stored.kid && key.active_from() == stored.active_from
    };
    if let Some(key) = known.iter().find(same) {
        return Ok(Arc::clone(key));
    }
    let restored = SigningKey::restore(
        stored.kid.clone(),
        &stored.pkcs8,
        stored.certificate_pem.clone(),
        stored.active_from,
        stored.created_at,
    );
    restored.map(Arc::new).map_err(broken)
}
