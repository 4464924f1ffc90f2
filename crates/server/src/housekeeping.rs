//! What happens on its own: keys rotate, traffic counts are folded, service tokens that nobody uses are retired, what
//! has expired is forgotten.

use crate::restarts::{Restarts, Work};
use narthex_api::Desk;
use narthex_model::Clock;
use narthex_proxy::Folder;
use narthex_snapshot::Live;
use narthex_store::Store;
use std::sync::Arc;
use std::time::Duration;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(60);

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
        let counts = self.folder.collect().await;
        if !counts.is_empty()
            && let Err(error) = self.store.fold_traffic(&counts).await
        {
            tracing::warn!(%error, keys = counts.len(), "traffic counts were not kept");
        }
        if let Err(error) = self.desk.tick(now).await {
            tracing::error!(%error, "the signing keys could not be looked after");
        }
        if let Err(error) = self.desk.retire_unused_service_tokens(now).await {
            tracing::warn!(%error, "unused service tokens could not be looked for");
        }
        self.live.forget_expired(now);
        if let Err(error) = self.store.forget_expired(now).await {
            tracing::warn!(%error, "what has expired could not be forgotten");
        }
    }
}
