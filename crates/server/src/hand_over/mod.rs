//! Another binary takes over from this one without a lost request (security checklist R2, R3).
//!
//! The running process starts the new one and keeps one [`Line`] to it. Over the line go, in this order:
//!
//! 1. the offer: listening sockets, and the lock of the data directory (`sockets`);
//! 2. the new one asks for the *pen* when it has read its settings: what the old one is writing is finished, and from then
//!    on the old one writes nothing. Errands wait;
//! 3. the new one opens the store, accepts connections and says that it is *ready*. The old one stops accepting. Should the
//!    new one end before, or take too long, the old one takes the pen back and goes on as if nothing had happened;
//! 4. while the old one finishes what is under way, its errands, records and counts are carried to the new one, and before
//!    the new one answers an errand the old one has taken up what it changed (*settle*): a session that is revoked is refused
//!    by both before anybody is told.

mod carried;
mod follow;
mod line;
mod predecessor;
mod sockets;
mod successor;

pub(crate) use carried::CarriedErrand;
pub(crate) use line::{Ask, Line, Reply};
pub(crate) use predecessor::{Elder, Predecessor};
pub use predecessor::{Inheritance, inherited};
pub use successor::{HandOverError, Program, Retiring};
