//! What the crate promises, by its public interface, and beside what the `openssl` command says.
#![expect(clippy::unwrap_used, reason = "the helpers below belong to the tests")]

mod lists;
mod names;
mod ocsp;
mod own_ca;
mod support;
mod verdicts;
