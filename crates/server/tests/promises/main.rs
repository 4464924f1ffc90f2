//! What `narthexd` promises as a program: the binary itself, its files, its signals and its listeners.

#![expect(clippy::unwrap_used, reason = "these are tests; a panic is a failure")]

mod audit;
mod browser;
mod check;
mod daemon;
mod demo;
mod drain;
mod forms;
mod metrics;
mod office;
mod origin;
mod private_windows;
mod reload;
mod responder;
mod restart;
mod start;
mod strangers;
mod wire;
