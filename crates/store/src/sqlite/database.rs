//! One SQLite file: a writer and several readers, set up so that an acknowledged write survives a power cut.

use crate::StoreError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite, Transaction};
use std::path::Path;
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
        };
        let writer = pool().min_connections(1).max_connections(1).idle_timeout(None);
        let readers = pool().max_connections(READERS).idle_timeout(READER_IDLE);
        Ok(Self {
            writer: writer.connect_with(options.clone()).await?,
            readers: readers.connect_with(options.pragma("query_only", "ON")).await?,
        })
    }

    /// Begins a change. It takes effect with `commit` and not before; every write goes through here, because only
    /// an explicit `COMMIT` tells whether the disk took it.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
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

    /// Closes every connection; the last one writes the log back into the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
