//! What is kept: one trait of domain calls, SQLite behind it.
//!
//! [`Store`] is the seam: what the portal, the API and the server ask of whatever keeps their data. A call that
//! returned `Ok` after writing would survive a power cut (security rule 31). The data path never comes here.

mod api_token;
mod change;
#[doc(hidden)]
pub mod contract;
mod error;
mod filter;
mod key;
mod owed;
mod pending;
mod revocation;
mod spill;
mod sqlite;
mod store;

pub use api_token::ApiToken;
pub use change::{AdminRecord, Change, RecordedChange};
pub use error::{OpenError, StoreError};
pub use filter::{
    Direction, EmailMatch, Is, Listing, RecordFilter, Term, TrafficFilter, UserFilter,
};
pub use key::{SamlKey, StoredKey};
pub use owed::OwedRevocations;
pub use pending::{PendingKind, TryOutcome};
pub use revocation::{Revocation, Revoked};
pub use spill::{Spill, SpillMark, SpilledPage};
pub use sqlite::SqliteStore;
pub use store::{Intact, Store};
