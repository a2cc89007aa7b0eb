//! How long it takes to say what became of a gift.

use giftproof::ledger::Ledger;
use giftproof::model::ident::GiftId;
use giftproof::model::verdict::{AsOf, Verdict};
use serde_json::{Value, json};

use crate::log::Folder;
use crate::measurement::*;

/// In a ledger of 10,000 entries, and in the one in question.
pub fn run(small: &Folder, folder: &Folder) -> Result<()> {
    let mut medians = Vec::new();
    for folder in [small, folder] {
        folder.with_ledger()?;
        let line = run_alone(&["lookup-once", "--dir", argument(&folder.path)])?;
        medians.push(line["warm_p50_us"].as_f64().unwrap_or(f64::NAN));
        print(line);
    }
    print(json!({
        "what": "lookup, against 10 k", "entries": folder.entries(),
        "times_the_small": round(medians[1] / medians[0], 2),
    }));
    Ok(())
}

/// In a process of its own: each gift once, the first one apart, then all of them again. The
/// system's own cache of the files is as it was.
pub fn once(folder: &Folder) -> Result<()> {
    let gifts = folder.gifts()?;
    let (ledger, open_s) = timed(|| Ledger::open(&folder.ledger()));
    let ledger = ledger?;
    let pass =
        || -> Result<Vec<f64>> { gifts.iter().map(|gift| looked_up(&ledger, gift)).collect() };
    let (cold, warm) = (pass()?, pass()?);
    let us = |values: &[f64], percent| round(percentile(values.to_vec(), percent) * 1e6, 1);
    let line: Value = json!({
        "what": "lookup by gift id, with its journey", "entries": folder.entries(),
        "rate": rate(warm.len() as u64, warm.iter().sum()),
        "open_ms": ms(open_s), "first_us": us(&cold[..1], 50),
        "cold_p50_us": us(&cold, 50), "cold_p99_us": us(&cold, 99),
        "warm_p50_us": us(&warm, 50), "warm_p99_us": us(&warm, 99), "gifts": gifts.len(),
        "peak_bytes": peak_bytes(), "disk_bytes": folder_bytes(&folder.ledger())?,
    });
    print(line);
    Ok(())
}

/// The seconds from the id to the verdict and the entries that tell the gift's journey.
fn looked_up(ledger: &Ledger, id: &GiftId) -> Result<f64> {
    let (found, seconds) = timed(|| -> Result<()> {
        let state = ledger.state();
        let gift = state.gift_by_id(id).ok_or("the ledger has all gifts")?;
        std::hint::black_box(Verdict::of(state, &gift, AsOf::last_entry(state)));
        for index in Verdict::journey(state, &gift) {
            std::hint::black_box(ledger.entry(index)?);
        }
        Ok(())
    });
    found?;
    Ok(seconds)
}
