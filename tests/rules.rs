//! The rules, walked through with whole journeys and single mistakes.

mod attacks;
mod corrections;
mod journeys;
mod keys;
mod mistakes;

use std::collections::BTreeMap;

use giftproof::model::draft::Draft;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use giftproof::model::ident::ShipmentId;
use giftproof::model::state::{Reached, Standing};

use crate::util::*;

/// The gift's goods must be exactly here.
#[track_caller]
fn expect(world: &World, gift: EventHash, expected: &[(&str, u64)]) {
    let expected = expected.iter().map(|(place, quantity)| ((*place).to_owned(), *quantity));
    assert_eq!(places(world, gift), expected.collect::<BTreeMap<_, _>>());
    // What is true of the whole log is true of each gift's proof.
    crate::proofs::agree(world);
}

/// How much counts as accepted, by how well it is proven.
fn reached(world: &World, gift: EventHash) -> Vec<(&'static str, u64)> {
    let levels = [
        ("vouched", Reached::Recipient(Standing::Vouched)),
        ("recovered", Reached::Recipient(Standing::Recovered)),
        ("provisional", Reached::Recipient(Standing::Provisional)),
        ("alone", Reached::RecordedAlone),
        ("other unit", Reached::OtherUnit),
    ];
    let accounts = &world.state.gifts.get(&gift).unwrap().accounts;
    let sum = |level| accounts.sum(|account| account.counts_as_reached() == Some(level));
    levels.map(|(word, level)| (word, sum(level))).into_iter().filter(|(_, q)| *q > 0).collect()
}

/// A gift of pooled or designated masks that the charity recorded.
fn give(world: &mut World, taker: &str, quantity: u64, shares: &[(&str, u64)]) -> EventHash {
    let donation = recorded(taker, vec![line(1, "mask", quantity, "pcs", shares)]);
    world.accept(world.draft(donation, &[(Capacity::Taker, taker)]))
}

fn designation(
    holder: &str,
    consent: Consent,
    (gift, from, to, quantity): (EventHash, Option<&str>, &str, u64),
) -> Designation {
    Designation {
        holder: handle(holder),
        order: None,
        decided_by: text(holder),
        decision: text(""),
        consent,
        assignments: List::new(vec![Assignment {
            goods: goods(gift, 1, from),
            recipient: handle(to),
            quantity,
        }])
        .unwrap(),
    }
}

/// The holder sends masks of one gift.
fn sending(
    world: &World,
    (giver, number, taker): (&str, &str, &str),
    purpose: Purpose,
    (gift, meant_for, quantity): (EventHash, Option<&str>, u64),
) -> Draft {
    let sent = portions(&[(gift, 1, meant_for, quantity)]);
    let statement = dispatch(shipment(giver, number), taker, purpose, sent);
    world.draft(statement, &[(Capacity::Holder, giver)])
}

/// The taker receives masks of one gift.
fn taking(
    world: &World,
    (giver, number, taker): (&str, &str, &str),
    closing: bool,
    (gift, meant_for, quantities): (EventHash, Option<&str>, [u64; 5]),
) -> Draft {
    let arrived = vec![arrival(goods(gift, 1, meant_for), quantities)];
    let statement = receipt(shipment(giver, number), closing, arrived);
    world.draft(statement, &[(Capacity::Taker, taker)])
}

/// From hand to hand.
fn handing(
    world: &World,
    (giver, taker): (&str, &str),
    purpose: Purpose,
    (gift, meant_for, quantities): (EventHash, Option<&str>, [u64; 5]),
) -> Draft {
    let mut statement = receipt(
        ShipmentId { giver: handle(giver), number: text("none") },
        false,
        vec![arrival(goods(gift, 1, meant_for), quantities)],
    );
    (statement.shipment, statement.giver, statement.purpose) =
        (None, Some(handle(giver)), Some(purpose));
    world.draft(statement, &[(Capacity::Taker, taker), (Capacity::Holder, giver)])
}

/// A finding with nothing found.
fn finding(goods: Goods) -> Finding {
    Finding { goods, opened: 0, loose: 0, passed: 0, failed: 0, shortage: 0, surplus: 0, found: 0 }
}

fn counting(world: &World, by: &str, finding: Finding) -> Draft {
    let statement =
        Count { loose_unit: text("loose pcs"), findings: List::new(vec![finding]).unwrap() };
    world.draft(statement, &[(Capacity::Holder, by)])
}

/// Puts a statement in another's place, or voids it.
fn correcting(
    world: &World,
    target: EventHash,
    replacement: Option<Statement>,
    who: &[(Capacity, &str)],
) -> Draft {
    let index = world.index_of(&target).unwrap();
    let kind = world.log.entries[usize::try_from(index).unwrap()].event.frame.kind;
    let bytes = replacement.map_or(Vec::new(), |statement| statement.to_bytes());
    let statement = Correction {
        target_index: index,
        target,
        target_kind: kind,
        replacement: Blob::new(bytes).unwrap(),
    };
    world.draft(statement, who)
}

const FROM_RED_CROSS: &[(Capacity, &str)] = &[(Capacity::Holder, "red-cross")];
const BY_RED_CROSS: &[(Capacity, &str)] = &[(Capacity::Taker, "red-cross")];

/// Walk-in to pooled stock to headquarters' order to hospital.
#[test]
fn a_recorded_gift_goes_from_pooled_stock_to_a_hospital() {
    let mut world = World::new();
    let donation = recorded("red-cross", vec![line(1, "N95口罩", 500, "个", &[])]);
    let gift = world.accept(world.draft(donation, &[(Capacity::Taker, "red-cross")]));
    let order = Order {
        number: text("HQ-7"),
        holder: handle("red-cross"),
        item: text("N95口罩"),
        unit: text("个"),
        quantity: 300,
        recipient: handle("hospital-a"),
    };
    let order = world.accept(world.draft(order, &[(Capacity::Coordinator, "headquarters")]));
    let designation = |quantity| Designation {
        holder: handle("red-cross"),
        order: Some(order),
        decided_by: text("headquarters"),
        decision: text("HQ-7"),
        consent: Consent::NotNeeded,
        assignments: List::new(vec![Assignment {
            goods: goods(gift, 1, None),
            recipient: handle("hospital-a"),
            quantity,
        }])
        .unwrap(),
    };
    let by_holder = [(Capacity::Holder, "red-cross")];
    assert_eq!(world.refuse(world.draft(designation(301), &by_holder)), "designation/order");
    world.accept(world.draft(designation(300), &by_holder));
    let id = shipment("red-cross", "S-1");
    let sent = portions(&[(gift, 1, Some("hospital-a"), 300)]);
    let statement = dispatch(id.clone(), "hospital-a", Purpose::Issue, sent);
    world.accept(world.draft(statement, &by_holder));
    let arrived = vec![arrival(goods(gift, 1, Some("hospital-a")), [290, 0, 4, 1, 0])];
    let statement = receipt(id, true, arrived);
    world.accept(world.draft(statement, &[(Capacity::Taker, "hospital-a")]));
    let expected = [
        ("hospital-a damaged", 4),
        ("hospital-a good", 290),
        ("red-cross good", 201),
        ("unaccounted red-cross", 5),
    ];
    let expected = expected.map(|(place, quantity)| (place.to_owned(), quantity)).into();
    assert_eq!(places(&world, gift), expected);
}
