//! Random acts, small enough that they meet.

use giftproof::model::event::{Condition, Consent, Purpose};
use proptest::prelude::*;
use proptest::sample::select;

use super::naive::{Act, Name, Ship, Which};
use super::{HOSPITALS, PARTIES, PURPOSES};

fn party() -> impl Strategy<Value = Name> {
    select(PARTIES.to_vec())
}

fn purpose() -> impl Strategy<Value = Purpose> {
    select(PURPOSES.to_vec())
}

fn which() -> impl Strategy<Value = Which> {
    let meant = select(vec![None, Some("hospital-a"), Some("clinic")]);
    (0..3usize, any::<bool>(), meant)
}

fn ship() -> impl Strategy<Value = Ship> {
    (party(), 0..3u8)
}

/// Mostly nothing, else a few.
fn few<const N: usize>() -> impl Strategy<Value = [u64; N]> {
    proptest::array::uniform(prop_oneof![3 => Just(0u64), 2 => 1..4u64])
}

/// One thing found, or two; loose pieces only out of packs.
fn findings() -> impl Strategy<Value = [u64; 7]> {
    proptest::collection::vec((0..7usize, 1..4u64), 1..3).prop_map(|some| {
        let mut found = [0; 7];
        some.into_iter().for_each(|(at, quantity)| found[at] = quantity);
        found[0] = found[0].max(found[1].min(1));
        found
    })
}

fn giving() -> impl Strategy<Value = Act> {
    let donor = select(vec![None, Some("factory"), Some("clinic")]);
    let taker = select(vec![None, Some("red-cross"), Some("warehouse"), Some("hospital-a")]);
    let shares = [0..4u64, 0..4u64];
    (donor, taker, any::<bool>(), 0..4u64, shares).prop_map(
        |(donor, taker, signs, more, shares)| {
            let quantity = shares.iter().sum::<u64>() + more;
            let taker = if donor.is_some() { taker } else { taker.or(Some("red-cross")) };
            Act::Give { donor, taker, signs: signs || donor.is_none(), quantity, shares }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let consent = select(vec![Consent::None, Consent::NotNeeded, Consent::Signed]);
    let condition = select(Condition::ALL.to_vec());
    let part = || (which(), 1..4u64);
    let parts = prop_oneof![
        3 => part().prop_map(|part| vec![part]),
        1 => [part(), part()].prop_map(|parts| parts.to_vec()),
    ];
    prop_oneof![
        1 => giving(),
        3 => (party(), which(), select(HOSPITALS.to_vec()), 1..4u64, consent).prop_map(
            |(holder, which, to, quantity, consent)| {
                Act::Designate { holder, which, to, quantity, consent }
            }
        ),
        6 => (ship(), party(), purpose(), parts)
            .prop_map(|(ship, taker, purpose, parts)| Act::Dispatch { ship, taker, purpose, parts }),
        6 => (ship(), party(), any::<bool>(), which(), few()).prop_map(
            |(ship, taker, closing, which, came)| Act::Receive { ship, taker, closing, which, came }
        ),
        3 => (party(), party(), purpose(), which(), few()).prop_map(
            |(giver, taker, purpose, which, came)| Act::Hand { giver, taker, purpose, which, came }
        ),
        6 => (party(), which(), findings())
            .prop_map(|(by, which, found)| Act::Count { by, which, found }),
        1 => (party(), which(), 1..4u64)
            .prop_map(|(by, which, quantity)| Act::Use { by, which, quantity }),
        2 => (party(), condition, which(), 1..4u64).prop_map(
            |(by, condition, which, quantity)| Act::Dispose { by, condition, which, quantity }
        ),
        1 => (party(), which(), 1..4u64)
            .prop_map(|(by, which, quantity)| Act::Hold { by, which, quantity }),
        1 => (party(), which(), 1..4u64)
            .prop_map(|(by, which, quantity)| Act::Release { by, which, quantity }),
        1 => (party(), which(), 1..4u64)
            .prop_map(|(by, which, quantity)| Act::Withdraw { by, which, quantity }),
        3 => (0..60usize).prop_map(|nth| Act::Void { nth }),
    ]
}

pub fn story() -> impl Strategy<Value = Vec<(Act, Option<usize>)>> {
    let aim = || prop_oneof![4 => (0..40usize).prop_map(Some), 1 => Just(None)];
    let start = proptest::collection::vec((giving(), Just(None)), 1..3);
    let rest = proptest::collection::vec((act(), aim()), 0..60);
    (start, rest).prop_map(|(mut start, rest)| {
        start.extend(rest);
        start
    })
}
