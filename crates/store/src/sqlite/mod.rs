//! The store on SQLite.

use crate::OpenError;
use narthex_model::MasterKey;
use std::path::Path;
use std::sync::Arc;

/// A data directory with its SQLite files, held by this process alone.
pub struct SqliteStore(());

impl SqliteStore {
    /// Opens `path`, making what is missing; `records.db` lies beside it.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[expect(clippy::unimplemented, reason = "the body follows in the next commit")]
    #[expect(clippy::unused_async, reason = "the body follows in the next commit")]
    pub async fn open(path: &Path, master: Arc<MasterKey>) -> Result<Self, OpenError> {
        unimplemented!("opening {} with {master:?}", path.display())
    }
}
