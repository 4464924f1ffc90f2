//! Rules in, decision and reason out. Pure: no clock, no I/O, no tokens.
//!
//! Every selector answers yes, no or unknown; one evaluator serves the request path ([`PolicyList::before_login`],
//! [`PolicyList::after_login`]), the question whether a login could help ([`PolicyList::could_admit`]) and the
//! explanation of a decision ([`PolicyList::explain`]).

#![allow(clippy::unimplemented, dead_code, reason = "the interface first, the bodies follow")]

mod answer;
mod facts;
mod fault;
mod groups;
mod list;
mod policy;
mod reason;

pub use facts::{CertificateFact, Facts, Person};
pub use fault::PolicyFault;
pub use groups::Groups;
pub use list::{Admission, Admitted, Outcome, PolicyList, Refusal};
pub use policy::CompiledPolicy;
pub use reason::Reason;
