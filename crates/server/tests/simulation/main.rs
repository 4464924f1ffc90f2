//! A whole gateway on a clock that is set, over a store that fails when told to, with people, machines and
//! administrators who do things at random: and a small model that knows who may be let in.
//!
//! Every choice comes from one number. `NARTHEX_SIM_SEED=7` replays the run of that number; `NARTHEX_SIM_SEEDS=100` tries
//! so many, `NARTHEX_SIM_STEPS` sets their length. What a run shows on its way is printed when it fails.
//!
//! `weather` is the store and its faults, `gateway` starts and restarts, `browser` is one person's, `office` an
//! administrator's, `beliefs` the model, `town` checks each answer against it, `play` chooses what happens.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod beliefs;
mod browser;
mod chance;
mod gateway;
mod line;
mod office;
mod play;
mod town;
mod weather;

use play::Play;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Runs of a plain `cargo test`, and the steps of each.
const SEEDS: u64 = 4;
const STEPS: u64 = 150;

#[test]
fn nobody_is_let_in_or_kept_out_against_the_model() {
    let seeds = match (number("NARTHEX_SIM_SEED"), number("NARTHEX_SIM_SEEDS")) {
        (Some(one), _) => one..one + 1,
        (None, Some(many)) => 0..many,
        (None, None) => 0..SEEDS,
    };
    let steps = number("NARTHEX_SIM_STEPS").unwrap_or(STEPS);
    let mut deeds = std::collections::BTreeMap::<&str, u64>::new();
    for seed in seeds {
        println!("--- NARTHEX_SIM_SEED={seed} NARTHEX_SIM_STEPS={steps} replays this");
        // One thread for people and control side alike: who goes first is a matter of the seed.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (deed, count) in runtime.block_on(async { Play::begin(seed).await.run(steps).await }) {
            *deeds.entry(deed).or_default() += count;
        }
    }
    println!("{deeds:?}");
    for deed in
        ["let in", "sent to log in", "logged in", "revoked", "restarted", "held up", "failed"]
    {
        assert!(deeds.get(deed).is_some_and(|count| *count > 0), "nobody was {deed}: {deeds:?}");
    }
}
