//! From the doors to the store: access records in batches, and traffic counts folded once a minute.

use crate::restarts::{Restarts, Work};
use async_trait::async_trait;
use narthex_model::AccessRecord;
use narthex_store::{Store, StoreError};
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

/// Where records end: the store, or a script under test.
#[async_trait]
pub(crate) trait Shelf: Send + Sync {
    /// Makes `records` durable.
    ///
    /// # Errors
    /// As the store's; nothing was written then.
    async fn append(&self, records: &[AccessRecord]) -> Result<(), StoreError>;
}

#[async_trait]
impl Shelf for Arc<dyn Store> {
    async fn append(&self, records: &[AccessRecord]) -> Result<(), StoreError> {
        self.append_records(records).await
    }
}

/// Writes records until every sender is gone. While the store is away the records wait in the queue: nothing that was
/// accepted is lost unless the process ends first. After a panic the batch at hand is offered again.
pub(crate) async fn keep(
    mut queue: Receiver<AccessRecord>,
    shelf: impl Shelf,
    counts: Arc<RecordCounts>,
    restarts: Arc<Restarts>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while restarts.again(Work::Records, write(&mut queue, &mut batch, &shelf, &counts)).await {}
}

async fn write(
    queue: &mut Receiver<AccessRecord>,
    batch: &mut Vec<AccessRecord>,
    shelf: &impl Shelf,
    counts: &RecordCounts,
) {
    while !batch.is_empty() || queue.recv_many(batch, BATCH).await > 0 {
        while let Err(error) = shelf.append(batch).await {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::mpsc;

    /// Panics as often as it is told to, then refuses once, then keeps what it is given.
    #[derive(Default)]
    struct Scripted {
        panics: AtomicU64,
        refusals: AtomicU64,
        kept: Mutex<Vec<AccessRecord>>,
    }

    fn takes_one(from: &AtomicU64) -> bool {
        from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }

    #[async_trait]
    impl Shelf for Arc<Scripted> {
        async fn append(&self, records: &[AccessRecord]) -> Result<(), StoreError> {
            let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            assert!(!takes_one(&self.panics), "this panic is part of a test");
            if takes_one(&self.refusals) {
                return Err(StoreError::Full);
            }
            kept.extend_from_slice(records);
            Ok(())
        }
    }

    fn record(number: usize) -> AccessRecord {
        let ray = format!("{number:016x}").parse().unwrap();
        let (action, verdict) = (narthex_model::Action::Request, narthex_model::Verdict::Refused);
        AccessRecord::new(ray, narthex_model::UnixSeconds(0), action, verdict, "")
    }

    #[tokio::test(start_paused = true)]
    async fn r18_no_record_is_lost_or_doubled_when_the_writer_panics() {
        let shelf =
            Arc::new(Scripted { panics: 2.into(), refusals: 1.into(), ..Default::default() });
        let (sender, queue) = mpsc::channel(QUEUE);
        let (counts, restarts) = (Arc::<RecordCounts>::default(), Arc::<Restarts>::default());
        for number in 0..BATCH + 3 {
            sender.send(record(number)).await.unwrap();
        }
        let sent = tokio::spawn(keep(queue, shelf.clone(), counts.clone(), restarts.clone()));
        while counts.written() < 503 {
            tokio::time::sleep(RETRY).await;
        }
        sender.send(record(BATCH + 3)).await.unwrap();
        drop(sender);
        sent.await.unwrap();
        let kept = shelf.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let numbers: Vec<String> = kept.iter().map(|record| record.ray_id.to_string()).collect();
        let want: Vec<String> = (0..BATCH + 4).map(|number| format!("{number:016x}")).collect();
        assert_eq!(numbers, want);
        assert_eq!((counts.written(), counts.retries()), (504, 1));
        assert_eq!(restarts.read()[0], ("records", 2));
    }
}
