//! The data path, socket to application.
//!
//! The client's half: `listen tls peer target site authenticate permit refuse`. The origin's half: `transform
//! upstream upgrade`. Between them stands the [`permit::Permit`], which only the decision can make and without which
//! nothing is sent to an origin.

#![allow(dead_code, reason = "the seam between the two halves first, the callers follow")]

mod body;
mod permit;
mod target;
mod transform;
mod upgrade;
mod upstream;
