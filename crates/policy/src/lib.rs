//! Rules in, decision and reason out. Pure: no clock, no I/O, no tokens.
//!
//! Every selector answers yes, no or unknown; one evaluator serves the request path ([`PolicyList::before_login`],
//! [`PolicyList::after_login`]), the question whether a login could help ([`PolicyList::could_admit`]) and the
//! explanation of a decision ([`PolicyList::explain`]).
//!
//! Unknown always counts against the caller: a policy that admits needs a certain yes, one that refuses is content
//! with "perhaps", and an `exclude` that may hold excludes.

mod answer;
mod asked;
mod connection;
mod facts;
mod fault;
mod finding;
mod groups;
mod list;
mod person;
mod policy;
mod reason;
mod rules;
mod selector;

pub use facts::{CertificateFact, Facts, Person};
pub use fault::{PolicyFault, PolicyFaultKind};
pub use list::{Admission, Admitted, Outcome, PolicyList, Refusal};
pub use policy::CompiledPolicy;
pub use reason::Reason;
pub use rules::Groups;
