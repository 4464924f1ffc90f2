//! The administration API under `/client/v4`, a file per resource, and the [`Desk`]: the only writer of configuration.
//!
//! [`Api::answer`] tells the story of a request: authenticate, find the row of the table in `routes`, check its
//! permission, run it, wrap the outcome in the envelope. A resource reads the body into a form that points at its
//! mistakes, asks the desk to change the configuration, and writes the object as clients expect it.

mod answer;
mod authenticate;
mod call;
mod desk;
mod door;
mod envelope;
mod error;
mod fields;
mod inactivity;
mod paging;
mod parts;
mod permission;
mod query;
mod resources;
mod routes;

pub use authenticate::sha256;
pub use desk::{Desk, Standing, by_itself, stored};
pub use door::{Api, MOST_BODY_BYTES};
pub use error::{ApiError, Kind};
pub use fields::MOST_ENTRIES;
pub use parts::{ApiParts, Caller};
pub use resources::EXPIRES_SOON_SECONDS;
#[doc(hidden)]
pub use routes::every_operation;
