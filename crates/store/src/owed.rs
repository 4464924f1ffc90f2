//! Revocations on their way to the store. They are in force in memory before they come here; what the store does not take,
//! because the disk is full or somebody holds the database, is owed to it and offered again until it does.

use crate::{Revocation, Revoked, Store, StoreError};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two offers of what is owed.
const AGAIN: Duration = Duration::from_secs(1);

/// The revocations that are in force on this node and not durable yet; one for the process, shared by reference.
///
/// They are lost when the process ends before the store took them. There is one for each subject, so repeating a call
/// while the disk is full costs nothing.
pub struct OwedRevocations {
    store: Arc<dyn Store>,
    owed: Mutex<HashMap<Revoked, Revocation>>,
    /// Held while the store is asked.
    turn: tokio::sync::Mutex<()>,
}

impl OwedRevocations {
    /// Owes nothing yet.
    #[must_use]
    pub fn to(store: Arc<dyn Store>) -> Self {
        Self { store, owed: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Makes revocations durable that are in force already. They are owed from the first moment, also when the caller
    /// does not wait for the end.
    ///
    /// # Errors
    /// As the store's; they stay owed then.
    pub async fn write(&self, new: Vec<Revocation>) -> Result<(), StoreError> {
        {
            let mut owed = self.lock();
            for revocation in new {
                let known = owed.entry(revocation.what.clone()).or_insert(revocation.clone());
                known.at = known.at.max(revocation.at);
                known.until = known.until.max(revocation.until);
            }
        }
        self.settle().await
    }

    /// Offers the store what is owed.
    ///
    /// # Errors
    /// As the store's; everything stays owed then.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let offered: Vec<Revocation> = self.lock().values().cloned().collect();
        self.store.put_revocations(&offered).await?;
        let mut owed = self.lock();
        for taken in offered {
            // One that was repeated meanwhile reaches further, and is offered again.
            if owed.get(&taken.what) == Some(&taken) {
                owed.remove(&taken.what);
            }
        }
        Ok(())
    }

    /// Settles whenever something is owed, for ever.
    pub async fn keep_settling(&self) {
        let mut clock = tokio::time::interval(AGAIN);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let before = self.count();
            if before > 0 && self.settle().await.is_ok() {
                tracing::info!(
                    revocations = before,
                    "revocations that the store had refused are durable now"
                );
            }
        }
    }

    /// How many are owed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Revoked, Revocation>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OwedRevocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwedRevocations").field("owed", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;
    use narthex_model::{AudTag, MasterKey, UnixSeconds};

    const UNTIL: UnixSeconds = UnixSeconds(9_000);

    fn revoked(aud: &AudTag, at: i64) -> Revocation {
        Revocation { what: Revoked::App(aud.clone()), at: UnixSeconds(at), until: UNTIL }
    }

    #[tokio::test]
    async fn what_the_store_refuses_is_owed_once_and_paid_when_it_takes_it() {
        let place = tempfile::tempdir().unwrap();
        let master = Arc::new(MasterKey::generate().0);
        let path = place.path().join("narthex.db");
        let store = Arc::new(SqliteStore::open(&path, master).await.unwrap());
        let owed = OwedRevocations::to(store.clone());
        let [one, other] = [AudTag::random(), AudTag::random()];
        owed.write(vec![revoked(&one, 1)]).await.unwrap();
        assert_eq!(owed.count(), 0);

        store.refuse_writes(true).await;
        for at in [5, 7, 6] {
            let refused = owed.write(vec![revoked(&one, at), revoked(&other, 5)]).await;
            assert!(matches!(refused, Err(StoreError::ReadOnly)), "{refused:?}");
        }
        assert_eq!(owed.count(), 2, "one for each subject");
        assert!(matches!(owed.settle().await, Err(StoreError::ReadOnly)));
        let kept = async || store.revocations(UnixSeconds(0)).await.unwrap();
        assert_eq!(kept().await, [revoked(&one, 1)]);

        store.refuse_writes(false).await;
        let settling = owed.keep_settling();
        let paid = async {
            while owed.count() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { () = settling => {}, () = paid => {} }
        let mut kept = kept().await;
        kept.sort_by_key(|revocation| revocation.at.0);
        assert_eq!(kept, [revoked(&other, 5), revoked(&one, 7)], "as far as each reached");
    }

    #[tokio::test]
    async fn a_caller_who_does_not_wait_leaves_nothing_undone() {
        let place = tempfile::tempdir().unwrap();
        let master = Arc::new(MasterKey::generate().0);
        let path = place.path().join("narthex.db");
        let store = Arc::new(SqliteStore::open(&path, master).await.unwrap());
        let owed = OwedRevocations::to(store.clone());
        let mut call = Box::pin(owed.write(vec![revoked(&AudTag::random(), 1)]));
        assert!(poll_once(&mut call).await.is_none(), "it waits for the disk");
        drop(call);
        assert_eq!(owed.count(), 1);
        owed.settle().await.unwrap();
        assert_eq!(store.revocations(UnixSeconds(0)).await.unwrap().len(), 1);
    }

    /// Polls once; `None` while the future waits.
    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
