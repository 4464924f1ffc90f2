//! Reads settings, wires the parts, publishes snapshots, shuts down.
//!
//! [`start`] is the whole gateway as a value: the binary, the demo and the tests all begin there.

pub mod cli;
pub mod config;
pub mod data_dir;
pub mod demo;
mod errands;
mod figures;
mod hand_over;
mod health;
mod housekeeping;
mod keys;
pub mod logging;
mod metrics;
mod organization;
mod pen;
mod records;
mod responders;
mod restarts;
mod revocation_lists;
mod start;
pub mod systemd;
pub mod token;

pub use hand_over::{HandOverError, Inheritance, Program, Retiring, inherited};
pub use restarts::Panicked;
pub use start::{ReloadError, Running, StartError, start, start_over, start_with};

/// The style sheet of the demo's pages.
const DEMO_CSS: &str = include_str!("../templates/demo.css");
