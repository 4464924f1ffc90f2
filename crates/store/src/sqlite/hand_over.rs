//! A data directory in the hands of two processes for a while: one writes, the one before it only reads.
//!
//! The lock of the directory goes from one to the other without ever being free, so no third process gets in between.

use super::directory::Hold;
use super::open::{connect, files};
use super::{SqliteStore, migrate};
use crate::{OpenError, StoreError};
use narthex_model::Revision;
use std::fs::File;
use std::io;
use std::sync::{MutexGuard, PoisonError};

impl SqliteStore {
    /// The lock of the data directory, for the process that is to take over: pass it on, and give it there to
    /// [`SqliteStore::take_over`]. `None` for a store that was opened beside another process.
    ///
    /// # Errors
    /// When the system has no file descriptor left.
    pub fn share_lock(&self) -> io::Result<Option<File>> {
        self.hold().as_ref().map(Hold::share).transpose()
    }

    /// Leaves the data directory to the process that has taken over: should that one end, another may begin while this one
    /// still reads.
    pub fn let_go(&self) {
        drop(self.hold().take());
    }

    fn hold(&self) -> MutexGuard<'_, Option<Hold>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets another process write from now on: what is being written is finished first, and every later change fails
    /// with [`StoreError::HandedOver`]. Reading goes on.
    ///
    /// # Errors
    /// When what is being written takes too long; call [`SqliteStore::resume_writing`] then.
    pub async fn stop_writing(&self) -> Result<(), StoreError> {
        self.main.stop_writing().await?;
        self.records.stop_writing().await
    }

    /// Writes again, because the process that was to take over has ended.
    ///
    /// # Errors
    /// [`OpenError::Newer`] when that process has brought the database to a schema that this program does not know. Nothing
    /// is written then.
    pub async fn resume_writing(&self) -> Result<(), OpenError> {
        for (path, steps) in files(&self.path)? {
            let mut connection = connect(&path).await?;
            migrate::version(&mut connection, &path, steps).await?;
        }
        if let Some(hold) = &*self.hold() {
            // Only for the words of a message.
            let _unsigned = hold.sign();
        }
        self.main.resume_writing();
        self.records.resume_writing();
        Ok(())
    }

    /// The revision of the configuration.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn revision(&self) -> Result<Revision, StoreError> {
        let revision: i64 =
            sqlx::query_scalar("SELECT revision FROM meta").fetch_one(self.main.readers()).await?;
        Ok(Revision(revision))
    }

    /// A number that is another one after a different connection has changed the main file: how a process that writes no
    /// more learns that there is something to read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn data_version(&self) -> Result<i64, StoreError> {
        let mut watcher = self.watcher.lock().await;
        // The number is one connection's own: it must be the same connection each time. One that fails is not kept.
        let mut connection = match watcher.take() {
            Some(connection) => connection,
            None => {
                connect(&self.path).await.map_err(|e| StoreError::Unavailable(e.to_string()))?
            }
        };
        let version = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut connection).await?;
        *watcher = Some(connection);
        Ok(version)
    }
}
