//! What can go wrong with a store, a variant per remedy.

use narthex_model::Revision;
use std::io;
use std::path::PathBuf;

/// Why a call on an open store failed. Nothing was changed by a call that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the configuration since it was read (security A6).
    #[error(
        "the configuration is at revision {}, not {}; read it again and repeat the change",
        found.0, expected.0
    )]
    Moved {
        /// The revision that the caller had read.
        expected: Revision,
        /// The revision in force.
        found: Revision,
    },
    /// The disk is full.
    #[error("the disk that holds the data directory is full; free some space and repeat")]
    Full,
    /// The files or their file system cannot be written.
    #[error("the data directory is read-only; make it writable for the gateway's user and repeat")]
    ReadOnly,
    /// Somebody else held the database, or the queue of writers was too long.
    #[error("the database stayed locked for too long; end what holds it and repeat")]
    Locked,
    /// This process has handed the data directory over and writes no more.
    #[error(
        "another process of the gateway has taken over the data directory; repeat over a new connection"
    )]
    HandedOver,
    /// The database cannot be reached or the disk answers with errors.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// What was read makes no sense: a damaged file, or a row that somebody else wrote.
    #[error("the database is damaged: {0}; restore it from a backup")]
    Damaged(String),
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on the same data directory.
    #[error(
        "{} is in use by {holder}; stop that one first, or give this one another data directory",
        directory.display()
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// Who holds it, such as `process 4711`.
        holder: String,
    },
    /// A newer program has written the database (security A12).
    #[error(
        "{} has schema version {found} and this program knows up to {known}; start the newer program, or restore the \
         backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The youngest version that this program knows.
        known: i64,
    },
    /// A process wants to hand over a data directory that is not the one to be opened.
    #[error(
        "{} is not the data directory of the process that hands over; stop that one first, then start this one",
        directory.display()
    )]
    Elsewhere {
        /// The data directory to be opened.
        directory: PathBuf,
    },
    /// The secrets in the database were sealed by another key.
    #[error(
        "{} was sealed by another master key; start with the key that belongs to it",
        path.display()
    )]
    MasterKey {
        /// The database.
        path: PathBuf,
    },
    /// A file or directory cannot be made or locked.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database itself.
    #[error("{}: {source}", path.display())]
    Database {
        /// Which one.
        path: PathBuf,
        /// What went wrong.
        source: StoreError,
    },
}
