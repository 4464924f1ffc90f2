//! Who writes: this process, or the one that took over from it. Whatever changes something goes through here, so that at any
//! moment one process at most writes (design §3).

use crate::hand_over::{Ask, Line, Reply};
use async_trait::async_trait;
use narthex_model::{AccessRecord, TrafficCount};
use narthex_store::{SpillMark, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard};

/// How long what is being written may take to finish before the pen is passed on.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts to bring records to the successor.
const AGAIN: Duration = Duration::from_secs(1);

/// Who has the pen.
#[derive(Debug)]
pub(crate) enum Holder {
    /// This process.
    Us,
    /// The one at the other end.
    Successor(Arc<Line>),
}

/// The right to write. Whoever needs it holds it while it works; while it is passed on, everybody waits.
#[derive(Debug)]
pub(crate) struct Pen {
    holder: Arc<RwLock<Holder>>,
    cut: Notify,
}

impl Default for Pen {
    fn default() -> Self {
        Self { holder: Arc::new(RwLock::new(Holder::Us)), cut: Notify::new() }
    }
}

/// The pen on its way. Dropped, it is where it was.
#[derive(Debug)]
pub(crate) struct Passing(OwnedRwLockWriteGuard<Holder>);

impl Pen {
    /// Waits while the pen is on its way. It stays where it is as long as what is returned lives.
    pub(crate) async fn holder(&self) -> RwLockReadGuard<'_, Holder> {
        self.holder.read().await
    }

    /// Returns when work that still needs the pen must be given up.
    pub(crate) fn cut(&self) -> impl Future<Output = ()> + '_ {
        self.cut.notified()
    }

    /// Takes the pen from everybody here: what is under way may finish, for a while.
    pub(crate) async fn take(&self) -> Passing {
        let guard = match tokio::time::timeout(PATIENCE, self.holder.clone().write_owned()).await {
            Ok(guard) => guard,
            Err(_) => {
                self.cut.notify_waiters();
                self.holder.clone().write_owned().await
            }
        };
        Passing(guard)
    }
}

impl Passing {
    /// The pen has arrived.
    pub(crate) fn to(mut self, successor: Arc<Line>) {
        *self.0 = Holder::Successor(successor);
    }
}

/// Where access records and traffic counts go.
pub(crate) struct Ledger {
    pub(crate) pen: Arc<Pen>,
    pub(crate) store: Arc<dyn Store>,
}

impl Ledger {
    /// Adds counts of admitted requests.
    ///
    /// # Errors
    /// As the store's.
    pub(crate) async fn fold(&self, counts: Vec<TrafficCount>) -> Result<(), StoreError> {
        if counts.is_empty() {
            return Ok(());
        }
        match &*self.pen.holder().await {
            Holder::Us => self.store.fold_traffic(&counts).await,
            Holder::Successor(line) => sent(line.ask(Ask::Counts(counts)).await),
        }
    }
}

#[async_trait]
impl crate::records::Shelf for Arc<Ledger> {
    async fn append(&self, records: &[AccessRecord]) -> Result<(), StoreError> {
        match &*self.pen.holder().await {
            Holder::Us => self.store.append_records(records).await,
            Holder::Successor(line) => {
                carry(line, records).await;
                Ok(())
            }
        }
    }

    async fn append_spilled(
        &self,
        records: &[AccessRecord],
        mark: &SpillMark,
    ) -> Result<(), StoreError> {
        match &*self.pen.holder().await {
            Holder::Us => self.store.append_spilled(records, mark).await,
            // The pen is passed on only when nothing is spilled.
            Holder::Successor(_) => Err(StoreError::HandedOver),
        }
    }

    async fn spill_mark(&self) -> Result<Option<SpillMark>, StoreError> {
        self.store.spill_mark().await
    }
}

/// Brings records to the process that keeps them, however often it refuses. They are never spilled here: the file is that
/// process's as well.
async fn carry(line: &Line, records: &[AccessRecord]) {
    while let Some(reply) = line.ask(Ask::Records(records.to_vec())).await {
        if let Reply::Done = reply {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
    let records = records.len();
    tracing::error!(records, "access records were lost: the process that took over has ended");
}

fn sent(reply: Option<Reply>) -> Result<(), StoreError> {
    match reply {
        Some(Reply::Done) => Ok(()),
        Some(Reply::Failed(why)) => Err(StoreError::Unavailable(why)),
        Some(Reply::Answer(_)) | None => Err(StoreError::HandedOver),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_for_the_pen_and_who_is_too_slow_is_cut() {
        let pen = Arc::new(Pen::default());
        let slow = tokio::spawn({
            let pen = pen.clone();
            async move {
                let _held = pen.holder().await;
                pen.cut().await;
            }
        });
        tokio::task::yield_now().await;
        let passing = pen.take().await; // after its patience
        slow.await.unwrap();
        let waiting = tokio::time::timeout(PATIENCE * 9, pen.holder());
        assert!(waiting.await.is_err(), "nobody has it while it is on its way");
        drop(passing);
        assert!(matches!(&*pen.holder().await, Holder::Us), "it came back");
    }
}
