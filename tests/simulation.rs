//! A ledger's life, simulated: random histories of events of all sorts, on a simulated medium and
//! under a simulated clock, with faults, crashes and reopenings, against naive models that say what
//! must be in the log. One thread does one thing after the other, so a seed gives the same history
//! each time.
//!
//! The variable `GIFTPROOF_TEST_LONG` makes thousands of histories, `GIFTPROOF_TEST_SEED` begins
//! with another one. A history that fails says how to repeat it; once mended, what happened in it
//! becomes a script in `faults`: the same seed is another history as soon as one draw is added.

mod history;
mod office;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;

use crate::faults::cases;
use history::History;

#[test]
fn histories_end_as_the_naive_models_say() {
    let seeds: Vec<u64> = (seed()..).take(cases(200, 5_000)).collect();
    let met: Vec<history::Met> = seeds.into_par_iter().map(run).collect();
    // The histories are worth something: all sorts of things happen in them.
    let met = met.into_iter().reduce(|all, met| all.and(&met)).unwrap();
    for (what, count) in met.counts() {
        assert!(count > 5, "{what} has happened {count} times");
    }
}

#[test]
#[ignore = "repeats the history of the variable GIFTPROOF_TEST_SEED"]
fn one() {
    run(seed());
}

fn seed() -> u64 {
    std::env::var("GIFTPROOF_TEST_SEED").map_or(0, |seed| seed.parse().unwrap())
}

/// Lives through one history, and says how to do it again if it fails.
fn run(seed: u64) -> history::Met {
    let history = AssertUnwindSafe(|| History::new(seed).live());
    catch_unwind(history).unwrap_or_else(|_| {
        let command = "cargo test --test tests simulation::one -- --ignored";
        panic!("history {seed} fails; again: GIFTPROOF_TEST_SEED={seed} {command}")
    })
}
