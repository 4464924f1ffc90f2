//! What happens on its own: keys rotate, traffic counts are folded, service tokens that nobody uses are retired, what
//! has expired is forgotten.

use crate::pen::{Holder, Ledger};
use crate::restarts::{Restarts, Work};
use narthex_api::Desk;
use narthex_model::Clock;
use narthex_proxy::Folder;
use narthex_snapshot::Live;
use narthex_store::{Store, StoreError, Term};
use std::sync::Arc;
use std::time::Duration;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(60);
/// Most records that are forgotten in one transaction, and most transactions of a round.
const PRUNED: u32 = 1_000;
const PRUNES: usize = 100;

/// What housekeeping works on.
pub(crate) struct Household {
    /// The tables of the data path.
    pub(crate) live: Arc<Live>,
    /// What is kept.
    pub(crate) store: Arc<dyn Store>,
    /// The only writer of configuration, which also rotates keys.
    pub(crate) desk: Arc<Desk>,
    /// Collects the traffic counts of every core.
    pub(crate) folder: Folder,
    /// Seconds for which records are kept.
    pub(crate) keep_records: i64,
    /// Where traffic counts go.
    pub(crate) ledger: Arc<Ledger>,
    /// The clock.
    pub(crate) clock: Clock,
}

impl Household {
    /// Works once a minute, for ever.
    pub(crate) async fn keep(self, restarts: Arc<Restarts>) {
        while restarts.again(Work::Housekeeping, self.rounds()).await {}
    }

    async fn rounds(&self) {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        rounds.tick().await; // the first tick is at once
        loop {
            rounds.tick().await;
            self.round().await;
        }
    }

    /// One round. A part that fails is tried again in the next; counts that the store did not take are lost and said so.
    pub(crate) async fn round(&self) {
        let now = self.clock.now();
        if let Err(error) = self.ledger.fold(self.folder.collect().await).await {
            tracing::warn!(%error, "traffic counts were not kept");
        }
        self.live.forget_expired(now);
        let pen = self.ledger.pen.holder().await;
        if matches!(&*pen, Holder::Successor(_)) {
            return; // whose work the rest is
        }
        if let Err(error) = self.desk.tick(now).await {
            tracing::error!(%error, "the signing keys could not be looked after");
        }
        if let Err(error) = self.desk.retire_unused_service_tokens(now).await {
            tracing::warn!(%error, "unused service tokens could not be looked for");
        }
        let tokens = &self.desk.standing().configuration.service_tokens;
        let known = tokens.values().map(|token| token.client_id.clone()).collect();
        if let Err(error) = self.store.forget_service_tokens_seen(&known).await {
            tracing::warn!(%error, "when deleted service tokens were let in could not be forgotten");
        }
        let before = now.plus(-self.keep_records);
        if let Err(error) = prune(&*self.store, Term { before, now }).await {
            tracing::warn!(%error, "old access records could not be forgotten");
        }
        if let Err(error) = self.store.forget_expired(now).await {
            tracing::warn!(%error, "what has expired could not be forgotten");
        }
    }
}

/// Forgets records whose time is over, a little at a time: new ones are written in between.
async fn prune(store: &dyn Store, term: Term) -> Result<(), StoreError> {
    for _ in 0..PRUNES {
        if store.prune_records(term, PRUNED).await? == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::{AccessRecord, Action, MasterKey, RayId, UnixSeconds, Verdict};
    use narthex_store::{Intact, RecordFilter, SqliteStore};

    #[tokio::test]
    async fn a_round_forgets_all_that_is_old_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("narthex.db");
        let store = SqliteStore::open(&path, Arc::new(MasterKey::generate().0)).await.unwrap();
        let record = |at| {
            let (ray, at) = (RayId::random(), UnixSeconds(at));
            AccessRecord::new(ray, at, Action::Login, Verdict::Allowed, "")
        };
        let records: Vec<_> = (0..2_600).map(record).collect();
        store.append_records(&records).await.unwrap();
        let (before, now) = (UnixSeconds(2_500), UnixSeconds(3_000));
        prune(&store, Term { before, now }).await.unwrap();
        let filter = RecordFilter { limit: 1_000, ..RecordFilter::default() };
        let left = store.records(&filter).await.unwrap();
        assert!(left.iter().rev().eq(&records[2_500..]), "{} are left", left.len());
        assert_eq!(store.verify_audit().await.unwrap(), Intact::Yes(100));
    }
}
