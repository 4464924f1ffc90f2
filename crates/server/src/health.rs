//! Whether this node should get new work: the answer of `/readyz`.

use narthex_store::{Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the store may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(2);

/// Knows what keeps the gateway from serving. Nothing on the road of a request asks it.
pub(crate) struct Health {
    store: Arc<dyn Store>,
    leaving: AtomicBool,
    /// The right to write is on its way to another process, or on its way back.
    passing: AtomicBool,
}

impl Health {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, leaving: AtomicBool::new(false), passing: AtomicBool::new(false) }
    }

    /// From now on the gateway finishes what is under way.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// From now on it is no fault that the store takes no writes.
    pub(crate) fn pass(&self) {
        self.passing.store(true, Ordering::Relaxed);
    }

    /// From now on it is one again.
    pub(crate) fn stay(&self) {
        self.passing.store(false, Ordering::Relaxed);
    }

    /// What is wrong right now, if anything is.
    pub(crate) async fn trouble(&self) -> Option<String> {
        if self.leaving.load(Ordering::Relaxed) {
            return Some("the gateway is stopping".to_owned());
        }
        match tokio::time::timeout(PATIENCE, self.store.health()).await {
            Ok(Ok(())) => None,
            Ok(Err(StoreError::HandedOver)) if self.passing.load(Ordering::Relaxed) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the store has not answered for {PATIENCE:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::MasterKey;
    use narthex_store::SqliteStore;

    #[tokio::test]
    async fn a_store_that_is_gone_is_trouble_and_so_is_leaving() {
        let place = tempfile::tempdir().unwrap();
        let master = Arc::new(MasterKey::generate().0);
        let store =
            Arc::new(SqliteStore::open(&place.path().join("narthex.db"), master).await.unwrap());
        let health = Health::new(store.clone());
        assert_eq!(health.trouble().await, None);
        store.stop_writing().await.unwrap();
        assert!(health.trouble().await.unwrap().contains("taken over"));
        health.pass();
        assert_eq!(health.trouble().await, None, "for a moment that is in order");
        health.stay();
        assert!(health.trouble().await.is_some());
        store.close().await;
        let trouble = health.trouble().await.unwrap();
        assert!(trouble.contains("the database is not available"), "{trouble}");
        health.leave();
        assert_eq!(health.trouble().await.as_deref(), Some("the gateway is stopping"));
    }
}
