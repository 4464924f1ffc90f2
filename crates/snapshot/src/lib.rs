//! Configuration compiled into one immutable table that is swapped whole, and the two small tables that change
//! faster: login sessions and revocations.
//!
//! [`Snapshot::compile`] is the only validation that a configuration passes: what does not compile changes nothing.
//! The data path reads [`Live`] and never the store.

mod app;
mod certificates;
mod check;
mod countries;
mod fault;
mod ingress;
mod live;
mod ocsp;
mod places;
mod policies;
mod revocation_lists;
mod revocations;
mod sessions;
mod snapshot;

pub use app::App;
pub use certificates::{CertificateRule, ManagedHeaders, RuleAuthority};
pub use countries::{Countries, CountriesError};
pub use fault::{Fault, FaultAt, FaultCode};
pub use live::Live;
pub use ocsp::{OcspAnswers, OcspAsk, OcspCounts};
pub use revocation_lists::{ReadList, RevocationLists, UnusableList};
pub use revocations::{LONGEST_TOKEN_SECONDS, Revocations};
pub use sessions::Sessions;
pub use snapshot::{Materials, Snapshot};
