//! From the doors to the store: access records in batches, and traffic counts folded once a minute.

use narthex_model::AccessRecord;
use narthex_store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Records that may wait for the store before the doors drop (and count) new ones.
pub(crate) const QUEUE: usize = 16_384;
/// Records written in one transaction.
const BATCH: usize = 500;
/// How long a batch that the store refused waits before it is offered again.
const RETRY: Duration = Duration::from_secs(1);

/// What became of the records.
#[derive(Debug, Default)]
pub(crate) struct RecordCounts {
    written: AtomicU64,
    retries: AtomicU64,
}

impl RecordCounts {
    /// Records that are durable.
    #[must_use]
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Batches that the store refused at first.
    #[must_use]
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

/// Writes records until every sender is gone. While the store is away the records wait in the queue: nothing that was
/// accepted is lost unless the process ends first.
pub(crate) async fn keep(
    mut queue: Receiver<AccessRecord>,
    store: Arc<dyn Store>,
    counts: Arc<RecordCounts>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        while let Err(error) = store.append_records(&batch).await {
            if counts.retries.fetch_add(1, Ordering::Relaxed).is_multiple_of(60) {
                tracing::error!(%error, records = batch.len(), "access records wait for the store");
            }
            if queue.is_closed() && queue.is_empty() {
                tracing::error!(%error, records = batch.len(), "access records were lost: the store did not take them");
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
        counts.written.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        batch.clear();
    }
}
