//! What must hold for any input at all, as plain functions that a fuzzer calls.
//!
//! A [`Target`] is a parser or a door of the gateway with the promises that no input may break: round trips, canonical
//! forms that stay as they are, answers of bounded length, nothing admitted that was not signed. It panics when one is
//! broken. `tests/short.rs` runs every target on its seeds and on mutations of them, on the stable toolchain and the same
//! each time; `libfuzzer/` hands the same functions to cargo-fuzz, where nightly is installed.

#![expect(clippy::unwrap_used, reason = "a target fails by panicking")]

mod gateway;
pub mod mutate;
pub mod seeds;
mod targets;

/// One thing to try with any bytes.
pub struct Target {
    /// Also the name of its folder of seeds.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Words of its language, which a mutation is likely to put in.
    pub words: &'static [&'static str],
    /// Executions of a short run: what fits into a second or two.
    pub rounds: u32,
}

/// Every target.
pub static TARGETS: &[Target] = &[
    targets::answers::TARGET,
    targets::api::TARGET,
    targets::certificate::TARGET,
    targets::claims::TARGET,
    targets::config::TARGET,
    targets::cookies::TARGET,
    targets::documents::TARGET,
    targets::jwks::TARGET,
    targets::ocsp::TARGET,
    targets::path::TARGET,
    targets::policy::TARGET,
    targets::portal::TARGET,
    targets::redirect::TARGET,
    targets::revocation_list::TARGET,
    targets::saml::TARGET,
    targets::token::TARGET,
];

/// The target of this name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("there is no target {name}; see the table in lib.rs"))
}
