//! One core's view of the configuration in force.

use narthex_snapshot::Snapshot;
use std::sync::Arc;

/// A snapshot, and its number on this core, by which memos recognise it.
pub(crate) struct World {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Rises with every snapshot that this core takes up.
    pub(crate) number: u64,
}
