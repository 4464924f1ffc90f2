//! Every target on its seeds and on mutations of them: a bounded number, the same each time.
//!
//! `NARTHEX_FUZZ_ROUNDS=1000000` runs each target that often; `NARTHEX_FUZZ_SEED=7` makes other mutations.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use narthex_fuzz::mutate::{self, Random};
use narthex_fuzz::{Target, seeds};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Tries one input, and keeps it when it breaks a promise.
fn attempt(target: &Target, input: &[u8], which: &str) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) else { return };
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-broken", target.name));
    std::fs::write(&kept, input).unwrap();
    eprintln!(
        "{}, {which}, breaks a promise with:\n{}\nThe input is kept in {}; put it among {} once the fault is mended.",
        target.name,
        input.escape_ascii(),
        kept.display(),
        seeds::folder(target.name).display(),
    );
    resume_unwind(panic);
}

fn short(name: &str) {
    let target = narthex_fuzz::target(name);
    let seeds = seeds::of(name);
    for (file, seed) in &seeds {
        attempt(target, seed, &format!("seed {file}"));
    }
    let first = number("NARTHEX_FUZZ_SEED").unwrap_or(0);
    let rounds = number("NARTHEX_FUZZ_ROUNDS").unwrap_or(u64::from(target.rounds));
    let mut random = Random::new(first);
    for round in 0..rounds {
        attempt(target, &mutate::input(&mut random, target, &seeds), &format!("round {round}"));
    }
    println!("{name}: {} seeds and {rounds} mutations", seeds.len());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { short(stringify!($name)); })*

        #[test]
        fn no_target_is_left_out() {
            let names: Vec<_> = narthex_fuzz::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    answers api certificate claims config cookies documents jwks ocsp path policy portal redirect revocation_list saml token
}
