//! Logs that an auditor must refuse: at least one for each code.

mod entries;
mod files;
mod gifts;
mod parties;
mod signatures;

use giftproof::model::draft::Draft;

use super::case::Case;
use super::scribe::Scribe;
use super::seals;
use super::statements::TAKER;
use crate::util::*;

/// Every refused log.
pub fn all() -> Vec<Case> {
    let steps = [
        entries::entries(),
        entries::genesis(),
        entries::events(),
        signatures::signatures(),
        signatures::links(),
        parties::parties(),
        parties::speech(),
        gifts::gifts(),
        files::files(),
        files::trust(),
        seals::refused(),
    ];
    steps.into_iter().flatten().collect()
}

/// red-cross and hospital-a: entries 0 to 2.
fn two() -> Scribe {
    Scribe::with(&["red-cross", "hospital-a"])
}

fn small_donation(log: &Scribe) -> Draft {
    log.draft(recorded("red-cross", vec![line(1, "N95口罩", 10, "个", &[])]), &TAKER)
}

fn refused(
    name: &'static str,
    code: &'static str,
    spec: &'static str,
    what: &'static str,
    mut log: Scribe,
    draft: Draft,
) -> Case {
    assert_eq!(log.force(draft), code, "{name}");
    Case::last(name, code, &log).about(spec, what)
}
