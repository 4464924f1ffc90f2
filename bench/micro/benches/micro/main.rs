//! What the parts of a request cost, one by one: `make bench-micro`, or `make bench-micro ARGS=policies` for some of them.
//!
//! The whole of a request is measured by `bench/run`. These figures say where to look, and whether a part grew.

mod applications;
mod cookies;
mod headers;
mod origin;
mod policies;
mod tokens;

fn main() {
    divan::main();
}
