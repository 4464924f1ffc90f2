//! From the doors to the store: access records in batches. While `records.db` does not take them they are spilled to a
//! file beside it and read again, in their order, once it does; when the disk takes nothing at all they wait in memory.

use crate::restarts::{Restarts, Work};
use async_trait::async_trait;
use narthex_model::AccessRecord;
use narthex_store::{Spill, SpillMark, Store, StoreError};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

/// Records that may wait in memory before the doors drop (and count) new ones.
pub(crate) const QUEUE: usize = 16_384;
/// Records written in one transaction.
const BATCH: usize = 500;
/// How long a store that refused is left alone before it is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// What became of the records.
#[derive(Debug, Default)]
pub(crate) struct RecordCounts {
    written: AtomicU64,
    retries: AtomicU64,
    spilled: AtomicU64,
    waiting: AtomicU64,
    unreadable: AtomicU64,
    lost: AtomicU64,
}

impl RecordCounts {
    /// Records that are durable in their chain.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Batches that the store refused at first.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Records that were spilled to a file.
    pub(crate) fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }

    /// Records in that file now.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Lines of that file that nobody could read.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Records that neither the store nor the file took before the process ended.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn add(counter: &AtomicU64, records: usize) {
    counter.fetch_add(u64::try_from(records).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Where records end: the store, or a script under test.
#[async_trait]
pub(crate) trait Shelf: Send + Sync {
    /// Makes `records` durable.
    ///
    /// # Errors
    /// As the store's; nothing was written then.
    async fn append(&self, records: &[AccessRecord]) -> Result<(), StoreError>;

    /// The same for records that were spilled, together with how far that file has been read.
    ///
    /// # Errors
    /// As the store's; nothing was written then.
    async fn append_spilled(
        &self,
        records: &[AccessRecord],
        mark: &SpillMark,
    ) -> Result<(), StoreError>;

    /// How far a file of spilled records has been read.
    ///
    /// # Errors
    /// As the store's.
    async fn spill_mark(&self) -> Result<Option<SpillMark>, StoreError>;
}

#[async_trait]
impl Shelf for Arc<dyn Store> {
    async fn append(&self, records: &[AccessRecord]) -> Result<(), StoreError> {
        self.append_records(records).await
    }

    async fn append_spilled(
        &self,
        records: &[AccessRecord],
        mark: &SpillMark,
    ) -> Result<(), StoreError> {
        Store::append_spilled(&**self, records, mark).await
    }

    async fn spill_mark(&self) -> Result<Option<SpillMark>, StoreError> {
        Store::spill_mark(&**self).await
    }
}

/// Takes records to the shelf until every sender is gone.
pub(crate) struct Keeper<S> {
    queue: Receiver<AccessRecord>,
    /// What was taken from the queue and lies nowhere else yet.
    batch: Vec<AccessRecord>,
    shelf: S,
    spill: Arc<Mutex<Spill>>,
    /// Whether the spill stands where the shelf says that it was read to.
    agreed: bool,
    /// Until when a shelf that refused is left alone.
    rests_until: Option<Instant>,
    counts: Arc<RecordCounts>,
}

impl<S: Shelf> Keeper<S> {
    pub(crate) fn new(
        queue: Receiver<AccessRecord>,
        shelf: S,
        spill: Spill,
        counts: Arc<RecordCounts>,
    ) -> Self {
        counts.waiting.store(spill.waiting(), Ordering::Relaxed);
        let (batch, spill) = (Vec::with_capacity(BATCH), Arc::new(Mutex::new(spill)));
        Self { queue, batch, shelf, spill, agreed: false, rests_until: None, counts }
    }

    /// Works until the queue ends. After a panic the batch at hand is offered again.
    pub(crate) async fn keep(mut self, restarts: Arc<Restarts>) {
        while restarts.again(Work::Records, self.work()).await {}
    }

    async fn work(&mut self) {
        loop {
            if self.batch.is_empty() {
                let more = self.queue.recv_many(&mut self.batch, BATCH);
                let more = if self.counts.waiting() == 0 {
                    more.await
                } else {
                    match tokio::time::timeout(RETRY, more).await {
                        Ok(more) => more,
                        Err(_) => {
                            self.bring_back().await;
                            continue;
                        }
                    }
                };
                if more == 0 {
                    return self.leave().await;
                }
            }
            self.put_away().await;
        }
    }

    /// The last look: what is spilled stays for the next process, unless the shelf takes it now.
    async fn leave(&mut self) {
        if !self.bring_back().await {
            let waiting = self.counts.waiting();
            tracing::warn!(waiting, "spilled access records are read again at the next start");
        }
    }

    /// Finds a place for the batch: the shelf, or the file, or memory until one of them takes it.
    async fn put_away(&mut self) {
        while !self.batch.is_empty() {
            if self.shelve().await {
                return;
            }
            let Err(error) = self.spill_batch().await else { return };
            let records = self.batch.len();
            if self.queue.is_closed() && self.queue.is_empty() {
                tracing::error!(%error, records, "access records were lost: neither records.db nor records.spill took them");
                add(&self.counts.lost, records);
                self.batch.clear();
                return;
            }
            tracing::error!(%error, records, "access records wait in memory, since records.spill takes none either: free some space on the disk. {QUEUE} can wait; more are lost, and counted in narthex_records_dropped_total");
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Whether the shelf took the batch, after all that was spilled before.
    async fn shelve(&mut self) -> bool {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        if !self.bring_back().await {
            return false;
        }
        match self.shelf.append(&self.batch).await {
            Ok(()) => {
                add(&self.counts.written, self.batch.len());
                self.batch.clear();
                true
            }
            Err(error) => {
                self.refused(&error);
                false
            }
        }
    }

    /// Takes what was spilled to the shelf. Whether nothing is left.
    async fn bring_back(&mut self) -> bool {
        let mut records = 0;
        while self.counts.waiting() > 0 {
            match self.bring_page().await {
                Ok(brought) => records += brought,
                Err(error) => {
                    self.agreed = false;
                    self.refused(&error);
                    return false;
                }
            }
        }
        if records > 0 {
            tracing::info!(records, "spilled access records were read again into their chain");
        }
        true
    }

    /// One page of what was spilled; how many records it held.
    async fn bring_page(&mut self) -> Result<usize, StoreError> {
        if !self.agreed {
            if let Some(mark) = self.shelf.spill_mark().await? {
                self.with_spill(move |spill| spill.accept(&mark)).await.map_err(unreadable)?;
            }
            self.agreed = true;
        }
        let page = self.with_spill(|spill| spill.peek(BATCH)).await.map_err(unreadable)?;
        let Some(page) = page else { return Ok(0) };
        self.agreed = false; // until both sides know
        self.shelf.append_spilled(&page.records, &page.mark).await?;
        add(&self.counts.written, page.records.len());
        if page.unreadable > 0 {
            self.counts.unreadable.fetch_add(page.unreadable, Ordering::Relaxed);
            tracing::error!(
                lines = page.unreadable,
                "lines of records.spill cannot be read and were skipped: the file was damaged or changed"
            );
        }
        self.with_spill(move |spill| spill.accept(&page.mark)).await.map_err(unreadable)?;
        self.agreed = true;
        Ok(page.records.len())
    }

    /// Adds the batch to the file.
    async fn spill_batch(&mut self) -> io::Result<()> {
        let batch = self.batch.clone();
        self.with_spill(move |spill| spill.append(&batch)).await?;
        add(&self.counts.spilled, self.batch.len());
        self.batch.clear();
        Ok(())
    }

    /// The shelf took nothing.
    fn refused(&mut self, error: &StoreError) {
        self.rests_until = Some(Instant::now() + RETRY);
        if self.counts.retries.fetch_add(1, Ordering::Relaxed).is_multiple_of(60) {
            tracing::error!(%error, "access records go to records.spill, and are read again by themselves once records.db takes them");
        }
    }

    /// Works on the file where waiting for the disk holds nobody up.
    async fn with_spill<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spill) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (spill, counts) = (self.spill.clone(), self.counts.clone());
        let done = tokio::task::spawn_blocking(move || {
            let mut spill = spill.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(&mut spill);
            counts.waiting.store(spill.waiting(), Ordering::Relaxed);
            done
        });
        done.await.map_err(io::Error::other)?
    }
}

/// A file that cannot be read now holds up what comes after it, as a store does that takes nothing.
fn unreadable(error: io::Error) -> StoreError {
    StoreError::Unavailable(format!("records.spill: {error}"))
}

#[cfg(test)]
mod tests;
