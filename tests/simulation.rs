//! A ledger's life, simulated: random histories of events of all sorts, on a simulated medium and
//! under a simulated clock, with faults, crashes and reopenings, against naive models that say what
//! must be in the log. One thread does one thing after the other, so a seed gives the same history
//! each time.
//!
//! The variable `GIFTPROOF_TEST_LONG` makes thousands of histories, `GIFTPROOF_TEST_SEED` begins
//! with another one.

mod history;
mod office;

use rayon::prelude::*;

use crate::faults::cases;
use history::History;

#[test]
fn histories_end_as_the_naive_models_say() {
    let first = std::env::var("GIFTPROOF_TEST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let seeds: Vec<u64> = (first..first + cases(200, 5_000) as u64).collect();
    let met: Vec<history::Met> = seeds.into_par_iter().map(run).collect();
    // The histories are worth something: all sorts of things happen in them.
    let met = met.into_iter().reduce(|all, met| all.and(&met)).unwrap();
    for (what, count) in met.counts() {
        assert!(count > 5, "{what} has happened {count} times");
    }
}

/// Lives through one history, and says how to do it again if it fails.
fn run(seed: u64) -> history::Met {
    let history = std::panic::AssertUnwindSafe(|| History::new(seed).live());
    std::panic::catch_unwind(history).unwrap_or_else(|_| {
        panic!(
            "history {seed} fails: GIFTPROOF_TEST_SEED={seed} cargo test --test tests simulation::"
        )
    })
}
