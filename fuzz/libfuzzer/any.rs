//! Every target: the binary's own name says which.

#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<&narthex_fuzz::Target> =
    LazyLock::new(|| narthex_fuzz::target(env!("CARGO_BIN_NAME")));

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
