//! One SQLite file: a writer and several readers, set up so that an acknowledged write survives a power cut.

use crate::StoreError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _, Sqlite, Transaction};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a statement waits for a lock of another process before it fails.
const BUSY: Duration = Duration::from_secs(5);
/// How long a call waits for its turn at the writer or for a free reader.
const TURN: Duration = Duration::from_secs(10);
/// How long a reader that nobody needs stays open; each costs a thread and a page cache.
const READER_IDLE: Duration = Duration::from_mins(1);
const READERS: u32 = 4;
/// To what size the write-ahead log shrinks again after a long read had kept it growing, in bytes.
const LOG_BYTES: &str = "67108864";

/// An open file.
pub(super) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Another process writes.
    handed_over: AtomicBool,
}

impl Database {
    /// How every connection to `path` is made.
    pub(super) fn options(path: &Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false) // `directory` makes the file, with the right mode
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .pragma("journal_size_limit", LOG_BYTES)
            .disable_statement_logging()
    }

    /// Opens the connections to a file whose schema is up to date.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = Self::options(path);
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(TURN)
                .max_lifetime(None)
                .test_before_acquire(false) // nothing lies between us and the file
                // SQLite ends a transaction by itself when the disk is full or fails. The rollback that sqlx then
                // sends is refused, and sqlx would count the transaction as open for ever: every later write would
                // fail, long after the disk has room again. Such a connection is replaced.
                .before_acquire(|it, _| Box::pin(async { Ok(!it.is_in_transaction()) }))
        };
        let writer = pool().min_connections(1).max_connections(1).idle_timeout(None);
        let readers = pool().max_connections(READERS).idle_timeout(READER_IDLE);
        Ok(Self {
            writer: writer.connect_with(options.clone()).await?,
            readers: readers.connect_with(options.pragma("query_only", "ON")).await?,
            handed_over: AtomicBool::new(false),
        })
    }

    /// Begins a change. It takes effect with `commit` and not before; every write goes through here, because only
    /// an explicit `COMMIT` tells whether the disk took it.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.may_write()?;
        let change = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        // Again, with the only writer in hand: `stop_writing` waits for whoever got this far before it.
        self.may_write()?;
        Ok(change)
    }

    fn may_write(&self) -> Result<(), StoreError> {
        if self.handed_over.load(Ordering::SeqCst) {
            return Err(StoreError::HandedOver);
        }
        Ok(())
    }

    /// Lets nobody begin a change any more, and returns once the last one has ended.
    pub(super) async fn stop_writing(&self) -> Result<(), StoreError> {
        self.handed_over.store(true, Ordering::SeqCst);
        drop(self.writer.acquire().await?);
        Ok(())
    }

    /// Takes changes again.
    pub(super) fn resume_writing(&self) {
        self.handed_over.store(false, Ordering::SeqCst);
    }

    /// Begins reading several things as of one instant.
    pub(super) async fn view(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.readers.begin().await?)
    }

    /// For a single reading statement.
    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Whether a reader reads and the writer gets its lock.
    pub(super) async fn health(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT count(*) FROM schema_version").execute(&self.readers).await?;
        Ok(self.begin().await?.rollback().await?)
    }

    /// Makes the writer refuse to write, as a read-only disk does, or lets it again.
    #[cfg(test)]
    pub(super) async fn refuse_writes(&self, refuse: bool) {
        let pragma = if refuse { "PRAGMA query_only = ON" } else { "PRAGMA query_only = OFF" };
        sqlx::raw_sql(pragma).execute(&self.writer).await.unwrap();
    }

    /// Closes every connection; the last one writes the log back into the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdminRecord, Change, PendingKind, SqliteStore, Store as _};
    use narthex_model::{MasterKey, Revision, Timestamp, UnixSeconds};
    use serde_json::json;
    use std::sync::Arc;

    const LATER: UnixSeconds = UnixSeconds(60);

    async fn open(place: &tempfile::TempDir) -> SqliteStore {
        let master = Arc::new(MasterKey::generate().0);
        SqliteStore::open(&place.path().join("narthex.db"), master).await.unwrap()
    }

    /// Sets something on the writer's own connection.
    async fn set(store: &SqliteStore, pragma: &'static str) {
        sqlx::raw_sql(pragma).execute(&store.main.writer).await.unwrap();
    }

    /// A write too large for the pages that are there.
    async fn write(store: &SqliteStore) -> Result<(), StoreError> {
        let body = json!("x".repeat(100_000));
        store.put_pending(PendingKind::Login, &[1; 32], &body, LATER).await
    }

    /// A change of many objects.
    async fn commit(store: &SqliteStore) -> Result<Revision, StoreError> {
        let group = |n| {
            let group = serde_json::from_value(json!({
                "id": format!("9a4bd9c5-5a0e-4d52-9d1f-0d2b{n:08x}"), "name": "x".repeat(1_000),
                "created_at": "2023-11-14T22:13:20Z", "updated_at": "2023-11-14T22:13:20Z",
            }));
            Change::PutGroup(Arc::new(group.unwrap()))
        };
        let audit = AdminRecord {
            at: Timestamp::default(),
            actor: "test".to_owned(),
            ip_address: None,
            ray_id: None,
            summary: json!(null),
        };
        let changes: Vec<_> = (0..200).map(group).collect();
        store.commit(Revision(0), &changes, &audit).await
    }

    #[tokio::test]
    async fn a_refused_write_changes_nothing_and_the_next_one_works() {
        let place = tempfile::tempdir().unwrap();
        let store = open(&place).await;
        for (trouble, cure, want) in [
            ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "is full"),
            ("PRAGMA query_only = ON", "PRAGMA query_only = OFF", "read-only"),
        ] {
            set(&store, trouble).await;
            let refused = write(&store).await.unwrap_err();
            assert!(refused.to_string().contains(want), "{trouble}: {refused}");
            set(&store, trouble).await; // perhaps another connection
            let refused = commit(&store).await.unwrap_err();
            assert!(refused.to_string().contains(want), "{trouble}: {refused}");
            let (revision, loaded) = store.load().await.unwrap();
            assert_eq!((revision, loaded.groups.len()), (Revision(0), 0), "{trouble}");
            set(&store, cure).await;
            store.health().await.unwrap();
        }
        write(&store).await.unwrap();
        assert_eq!(commit(&store).await.unwrap(), Revision(1));
    }

    #[tokio::test]
    async fn a_lock_of_somebody_else_is_named_and_reading_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let store = open(&place).await;
        set(&store, "PRAGMA busy_timeout = 0").await;
        let path = place.path().join("narthex.db");
        let mut other = Database::options(&path).connect().await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        for refused in [write(&store).await, store.health().await] {
            assert!(matches!(refused, Err(StoreError::Locked)), "{refused:?}");
        }
        store.load().await.unwrap();
        store.append_records(&[]).await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        write(&store).await.unwrap();
    }

    #[tokio::test]
    async fn a_write_that_is_dropped_half_way_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let store = open(&place).await;
        let mut change = store.main.begin().await.unwrap();
        sqlx::query("UPDATE meta SET revision = 7").execute(&mut *change).await.unwrap();
        drop(change);
        assert_eq!(commit(&store).await.unwrap(), Revision(1), "the writer is free again");
    }

    #[tokio::test]
    async fn every_connection_is_set_up_to_survive_a_power_cut() {
        let place = tempfile::tempdir().unwrap();
        let store = open(&place).await;
        for (pragma, want) in [
            ("PRAGMA journal_mode", "wal"),
            ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"), // FULL
            ("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
        ] {
            for pool in [&store.main.writer, &store.main.readers, &store.records.writer] {
                let found: String = sqlx::query_scalar(pragma).fetch_one(pool).await.unwrap();
                assert_eq!(found, want, "{pragma}");
            }
        }
        let refused = sqlx::raw_sql("DELETE FROM meta").execute(&store.main.readers).await;
        assert!(refused.is_err(), "readers only read");
    }
}
