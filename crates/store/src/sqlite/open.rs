//! Opening and closing a data directory.

use super::database::Database;
use super::directory::{self, Hold};
use super::{SqliteStore, migrate};
use crate::{OpenError, StoreError};
use narthex_model::{AccountId, MasterKey};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnection;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// What the mark in `meta` says once it is opened with the right master key.
const MARK: &[u8] = b"narthex";
const MARK_PLACE: &str = "meta/sealed_mark";
const RECORDS_FILE: &str = "records.db";

impl SqliteStore {
    /// Opens the database at `path`, making what is missing; the file of records lies beside it as `records.db`.
    /// The directory belongs to this store until it is closed or dropped.
    ///
    /// # Errors
    /// See [`OpenError`]: each says what to do next.
    pub async fn open(path: &Path, master: Arc<MasterKey>) -> Result<Self, OpenError> {
        let directory = directory::of(path);
        directory::make(&directory)?;
        let hold = directory::hold(&directory)?;
        Self::open_held(path, master, hold).await
    }

    /// Opens the database for a short errand, such as making an API token, even while a gateway works on it.
    ///
    /// What the other process keeps in memory (configuration, sessions, revocations) is not told of changes made
    /// here: use this for API tokens and for reading.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; [`OpenError::InUse`] only when the other process is of another schema version.
    pub async fn open_beside(path: &Path, master: Arc<MasterKey>) -> Result<Self, OpenError> {
        let directory = directory::of(path);
        directory::make(&directory)?;
        match directory::hold(&directory) {
            Ok(hold) => Self::open_held(path, master, hold).await,
            Err(in_use @ OpenError::InUse { .. }) => {
                for (path, steps) in files(path)? {
                    let mut connection = connect(&path).await?;
                    let found = migrate::version(&mut connection, &path, steps).await?;
                    if found != migrate::known(steps) {
                        return Err(in_use);
                    }
                }
                Self::open_ready(path, master, None).await
            }
            Err(
                error @ (OpenError::Newer { .. }
                | OpenError::Elsewhere { .. }
                | OpenError::MasterKey { .. }
                | OpenError::File { .. }
                | OpenError::Database { .. }),
            ) => Err(error),
        }
    }

    /// Opens the database in the place of a process that hands over and writes no more: `lock` is what its
    /// [`SqliteStore::share_lock`] gave.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; [`OpenError::Elsewhere`] when the lock is of another data directory.
    pub async fn take_over(
        path: &Path,
        master: Arc<MasterKey>,
        lock: File,
    ) -> Result<Self, OpenError> {
        let hold = directory::inherit(&directory::of(path), lock)?;
        Self::open_held(path, master, hold).await
    }

    async fn open_held(path: &Path, master: Arc<MasterKey>, hold: Hold) -> Result<Self, OpenError> {
        for (path, steps) in files(path)? {
            directory::make_private(&path)?;
            migrate::climb(&mut connect(&path).await?, &path, steps).await?;
        }
        Self::open_ready(path, master, Some(hold)).await
    }

    async fn open_ready(
        path: &Path,
        master: Arc<MasterKey>,
        hold: Option<Hold>,
    ) -> Result<Self, OpenError> {
        let open = async |path: PathBuf| {
            Database::open(&path).await.map_err(|source| OpenError::Database { path, source })
        };
        let [(main, _), (records, _)] = files(path)?;
        let store = Self {
            main: open(main).await?,
            records: open(records).await?,
            master,
            hold: std::sync::Mutex::new(hold),
            path: path.to_owned(),
            watcher: Mutex::default(),
        };
        match mark(&store.main, &store.master).await {
            Ok(true) => Ok(store),
            Ok(false) => Err(OpenError::MasterKey { path: path.to_owned() }),
            Err(source) => Err(OpenError::Database { path: path.to_owned(), source }),
        }
    }

    /// Makes every write fail, or lets them again.
    #[cfg(test)]
    pub(crate) async fn refuse_writes(&self, refuse: bool) {
        self.main.refuse_writes(refuse).await;
        self.records.refuse_writes(refuse).await;
    }

    /// Ends every connection after the calls under way. Calls made later fail with [`StoreError::Unavailable`].
    /// Dropping the store without this loses nothing; the log is then written back at the next start.
    pub async fn close(&self) {
        self.main.close().await;
        self.records.close().await;
    }
}

pub(super) type Steps = &'static [&'static str];

/// The files of a store, and the steps that lead to their schemas.
pub(super) fn files(path: &Path) -> Result<[(PathBuf, Steps); 2], OpenError> {
    let records = path.with_file_name(RECORDS_FILE);
    if records == path {
        let why = "the name records.db is taken for access records; choose another";
        let source = io::Error::new(io::ErrorKind::InvalidInput, why);
        return Err(OpenError::File { path: records, source });
    }
    Ok([(path.to_owned(), migrate::MAIN), (records, migrate::RECORDS)])
}

pub(super) async fn connect(path: &Path) -> Result<SqliteConnection, OpenError> {
    let connection = Database::options(path).connect().await;
    connection.map_err(|error| OpenError::Database { path: path.to_owned(), source: error.into() })
}

/// Makes the row of `meta` at the first start. Whether `master` is the key that sealed it.
async fn mark(main: &Database, master: &MasterKey) -> Result<bool, StoreError> {
    let read = || sqlx::query_scalar::<_, Vec<u8>>("SELECT sealed_mark FROM meta");
    if read().fetch_optional(main.readers()).await?.is_none() {
        let mut change = main.begin().await?;
        sqlx::query(
            "INSERT INTO meta (one, revision, account_id, sealed_mark) VALUES (1, 0, $1, $2)
             ON CONFLICT (one) DO NOTHING",
        )
        .bind(AccountId::random().as_str())
        .bind(master.seal(MARK, MARK_PLACE))
        .execute(&mut *change)
        .await?;
        change.commit().await?;
    }
    let sealed = read().fetch_one(main.readers()).await?;
    Ok(master.open(&sealed, MARK_PLACE).is_ok_and(|mark| mark.as_slice() == MARK))
}
