//! Statements replaced and voided; both versions stay, and what others rest on stands.

use giftproof::model::sorted::SortedSet;
use giftproof::model::subject::Subject;

use super::*;

const A: Option<&str> = Some("hospital-a");
const B: Option<&str> = Some("hospital-b");

/// The notice of 36,000 masks: 16,000 + 16,000, corrected next day to another type and
/// 18,000 + 18,000 (`fixtures/wuhan-2020/cases.md`).
#[test]
fn thirty_six_thousand_masks() {
    let mut world = World::new();
    let shares = [("hospital-a", 16_000), ("hospital-b", 16_000)];
    let first = recorded("red-cross", vec![line(1, "N95", 36_000, "pcs", &shares)]);
    let gift = world.accept(world.draft(first.clone(), BY_RED_CROSS));
    let accounts = &world.state.gifts.get(&gift).unwrap().accounts;
    assert_eq!(accounts.sum(|account| account.meant_for.is_none()), 4_000);
    world.wait_days(1);
    let mut second = first;
    second.lines = List::new(vec![line(1, "KN95", 36_000, "pcs", &shares)]).unwrap();
    world.accept(correcting(&world, gift, Some(second.into()), BY_RED_CROSS));
    let state = &world.state.gifts.get(&gift).unwrap();
    assert_eq!(state.donation.lines[0].item.as_str(), "KN95");
    assert!(state.lowered.is_empty());
    let (original, correction) = state.corrected[0];
    let original = world.log.entries[usize::try_from(original).unwrap()].clone();
    let original = original.event.open(&world.state.genesis).unwrap().statement;
    let Some(Statement::Donation(original)) = original else { panic!("a donation") };
    assert_eq!(original.lines[0].item.as_str(), "N95");
    assert_eq!(state.entries, [correction - 1, correction]);
    for hospital in ["hospital-a", "hospital-b"] {
        let more = designation("red-cross", Consent::NotNeeded, (gift, None, hospital, 2_000));
        world.accept(world.draft(more, FROM_RED_CROSS));
        let route = ("red-cross", hospital, hospital);
        world.accept(sending(&world, route, Purpose::Issue, (gift, Some(hospital), 18_000)));
        world.accept(taking(&world, route, true, (gift, Some(hospital), [18_000, 0, 0, 0, 0])));
    }
    expect(&world, gift, &[("hospital-a good", 18_000), ("hospital-b good", 18_000)]);
    assert_eq!(reached(&world, gift), [("vouched", 36_000)]);
    assert!(world.state.gifts.get(&gift).unwrap().redirected.is_empty());
}

#[test]
fn a_lowered_donation_names_who_lowered_it() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 36_000, &[("hospital-a", 30_000)]);
    let mut lower = Donation::clone(&world.state.gifts.get(&gift).unwrap().donation);
    let shares = [("hospital-a", 30_000)];
    lower.lines = List::new(vec![line(1, "mask", 32_000, "pcs", &shares)]).unwrap();
    world.accept(correcting(&world, gift, Some(lower.into()), BY_RED_CROSS));
    let lowered = &world.state.gifts.get(&gift).unwrap().lowered[0];
    assert_eq!((lowered.from, lowered.to), (36_000, 32_000));
    assert_eq!(lowered.by_alone, Some(handle("red-cross")));
    expect(&world, gift, &[("red-cross good", 32_000)]);
    // What has been sent on cannot be lowered away.
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 30_000)));
    let mut lower = Donation::clone(&world.state.gifts.get(&gift).unwrap().donation);
    lower.lines =
        List::new(vec![line(1, "mask", 29_999, "pcs", &[("hospital-a", 29_999)])]).unwrap();
    let draft = correcting(&world, gift, Some(lower.into()), BY_RED_CROSS);
    assert_eq!(world.refuse(draft), "correction/rests");
}

/// Donor, final recipients, consent and origin stay; so do units that others have signed for.
#[test]
fn what_a_donations_correction_may_not_touch() {
    let mut world = World::new();
    let two = |a: Line, b: Line| List::new(vec![a, b]).unwrap();
    let mask = |quantity, shares: &[(&str, u64)]| line(1, "mask", quantity, "pcs", shares);
    let gown = |shares: &[(&str, u64)]| line(2, "gown", 5, "box", shares);
    let mut donation = recorded("red-cross", vec![mask(10, &[("hospital-a", 8)])]);
    donation.lines = two(mask(10, &[("hospital-a", 8)]), gown(&[("hospital-b", 5)]));
    let gift = world.accept(world.draft(donation.clone(), BY_RED_CROSS));
    let gown_b = gown(&[("hospital-b", 5)]);
    type Change = Box<dyn Fn(&mut Donation)>;
    let lines = |lines: List<Line, 300>| -> Change { Box::new(move |d| d.lines = lines.clone()) };
    let refused: Vec<(&str, Change)> = vec![
        ("donor", Box::new(|d| d.donor.name = text("another"))),
        ("consent", Box::new(|d| d.standing_consent = true)),
        ("taker", Box::new(|d| d.taker = Some(handle("warehouse")))),
        ("deadline", Box::new(|d| d.deadline = giftproof::model::date::Date::from_days(1).ok())),
        ("historic", Box::new(|d| d.historic = true)),
        ("a share more", lines(two(mask(10, &[("hospital-a", 9)]), gown_b.clone()))),
        ("a share less", lines(two(mask(10, &[("hospital-a", 1)]), gown_b.clone()))),
        ("a share gone", lines(two(mask(10, &[]), gown_b.clone()))),
        ("another", lines(two(mask(10, &[("hospital-b", 8)]), gown_b.clone()))),
        ("a line gone", lines(List::new(vec![mask(10, &[("hospital-a", 8)])]).unwrap())),
        ("more, and a share less", lines(two(mask(12, &[("hospital-a", 7)]), gown_b.clone()))),
    ];
    for (what, change) in refused {
        let mut new = donation.clone();
        change(&mut new);
        let draft = correcting(&world, gift, Some(new.into()), BY_RED_CROSS);
        assert_eq!(world.refuse(draft), "correction/fixed", "{what}");
    }
    assert_eq!(world.refuse(correcting(&world, gift, None, BY_RED_CROSS)), "correction/fixed");
    // Line and share together may shrink: fewer were given.
    let mut fewer = donation.clone();
    fewer.lines = two(mask(7, &[("hospital-a", 5)]), gown_b.clone());
    world.accept(correcting(&world, gift, Some(fewer.clone().into()), BY_RED_CROSS));
    // The unit may change as long as nobody has signed for so many of it.
    let mut crates = fewer.clone();
    let mut in_crates = gown_b;
    in_crates.unit = text("crate");
    crates.lines = two(mask(7, &[("hospital-a", 5)]), in_crates);
    world.accept(correcting(&world, gift, Some(crates.into()), BY_RED_CROSS));
    let route = ("red-cross", "S", "hospital-a");
    let sent = world.accept(sending(&world, route, Purpose::Issue, (gift, A, 5)));
    let draft = correcting(&world, gift, Some(fewer.clone().into()), BY_RED_CROSS);
    assert_eq!(world.refuse(draft), "correction/rests");
    world.accept(correcting(&world, sent, None, FROM_RED_CROSS));
    world.accept(correcting(&world, gift, Some(fewer.into()), BY_RED_CROSS));
}

#[test]
fn a_receipt_is_corrected_and_voided_while_nothing_rests_on_it() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 100, &[("hospital-a", 100)]);
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 100)));
    let taker = [(Capacity::Taker, "hospital-a")];
    let got = world.accept(taking(&world, route, false, (gift, A, [100, 0, 0, 0, 0])));
    let other = |quantities| {
        let arrived = vec![arrival(goods(gift, 1, A), quantities)];
        Some(receipt(shipment("red-cross", "S"), true, arrived).into())
    };
    world.accept(correcting(&world, got, other([90, 0, 6, 0, 0]), &taker));
    let corrected =
        [("hospital-a damaged", 6), ("hospital-a good", 90), ("unaccounted red-cross", 4)];
    expect(&world, gift, &corrected);
    let too_many = correcting(&world, got, other([101, 0, 0, 0, 0]), &taker);
    assert_eq!(world.refuse(too_many), "correction/rests");
    let used =
        Use { ward: text("ICU"), purpose: text(""), portions: portions(&[(gift, 1, A, 80)]) };
    let used = world.accept(world.draft(used, &[(Capacity::Holder, "hospital-a")]));
    let fewer = correcting(&world, got, other([79, 0, 0, 0, 0]), &taker);
    assert_eq!(world.refuse(fewer), "correction/rests");
    assert_eq!(world.refuse(correcting(&world, got, None, &taker)), "correction/rests");
    world.accept(correcting(&world, used, None, &[(Capacity::Holder, "hospital-a")]));
    world.accept(correcting(&world, got, None, &taker));
    expect(&world, gift, &[("moving red-cross/S", 100)]);
    assert!(world.state.shipments.get(&shipment("red-cross", "S")).unwrap().receipts.is_empty());
    assert_eq!(reached(&world, gift), []);
    // A voided statement can be put right again.
    world.accept(correcting(&world, got, other([95, 0, 0, 0, 0]), &taker));
    assert_eq!(reached(&world, gift), [("vouched", 95)]);
    assert_eq!(world.state.shipments.get(&shipment("red-cross", "S")).unwrap().receipts.len(), 1);
}

#[test]
fn a_dispatch_stands_once_its_receipt_is_there() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 100, &[("hospital-a", 100)]);
    let route = ("red-cross", "S", "hospital-a");
    let sent = world.accept(sending(&world, route, Purpose::Issue, (gift, A, 50)));
    let other = |quantity, waybill| {
        let sent = portions(&[(gift, 1, A, quantity)]);
        let mut new = dispatch(shipment("red-cross", "S"), "hospital-a", Purpose::Issue, sent);
        new.waybill = text(waybill);
        new
    };
    world.accept(correcting(&world, sent, Some(other(60, "").into()), FROM_RED_CROSS));
    expect(&world, gift, &[("moving red-cross/S", 60), ("red-cross good", 40)]);
    let mut elsewhere = other(60, "");
    elsewhere.taker = handle("hospital-b");
    let draft = correcting(&world, sent, Some(elsewhere.into()), FROM_RED_CROSS);
    assert_eq!(world.refuse(draft), "correction/fixed");
    let got = world.accept(taking(&world, route, false, (gift, A, [10, 0, 0, 0, 0])));
    for new in [None, Some(other(50, "").into())] {
        let draft = correcting(&world, sent, new, FROM_RED_CROSS);
        assert_eq!(world.refuse(draft), "correction/rests");
    }
    // The waybill may be put right at any time.
    world.accept(correcting(&world, sent, Some(other(60, "SF-1").into()), FROM_RED_CROSS));
    assert_eq!(
        world.state.shipments.get(&shipment("red-cross", "S")).unwrap().waybill.as_str(),
        "SF-1"
    );
    // Once the taker takes its receipt back, nothing rests on the dispatch any more.
    world.accept(correcting(&world, got, None, &[(Capacity::Taker, "hospital-a")]));
    world.accept(correcting(&world, sent, None, FROM_RED_CROSS));
    expect(&world, gift, &[("red-cross good", 100)]);
    let known = &world.state.shipments.get(&shipment("red-cross", "S")).unwrap();
    assert!(known.dispatches.is_empty() && known.gifts.is_empty());
    // Voided is not unchanged: a receipt for nothing stands between.
    world.accept(taking(&world, route, false, (gift, A, [10, 0, 0, 0, 0])));
    let draft = correcting(&world, sent, Some(other(60, "").into()), FROM_RED_CROSS);
    assert_eq!(world.refuse(draft), "correction/rests");
}

/// The giver alone would rewrite what its carrier has signed for.
#[test]
fn a_carrier_that_signed_a_dispatch_signs_its_correction() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 100, &[("hospital-a", 100)]);
    let sent = portions(&[(gift, 1, A, 50)]);
    let mut statement = dispatch(shipment("red-cross", "S"), "hospital-a", Purpose::Issue, sent);
    statement.carrier = Some(handle("carrier"));
    let both = [(Capacity::Holder, "red-cross"), (Capacity::Carrier, "carrier")];
    let sent = world.accept(world.draft(statement.clone(), &both));
    statement.portions = portions(&[(gift, 1, A, 51)]);
    let draft = correcting(&world, sent, Some(statement.clone().into()), FROM_RED_CROSS);
    assert_eq!(world.refuse(draft), "signer/missing");
    world.accept(correcting(&world, sent, Some(statement.into()), &both));
    expect(&world, gift, &[("moving red-cross/S", 51), ("red-cross good", 49)]);
}

/// A correction puts another gift's goods into a dispatch, and the next one takes them out.
#[test]
fn a_correction_moves_goods_of_gifts_that_come_in_and_go_out() {
    let mut world = World::new();
    let first = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let second = give(&mut world, "red-cross", 20, &[("hospital-a", 20)]);
    let route = ("red-cross", "S", "hospital-a");
    let sent = world.accept(sending(&world, route, Purpose::Issue, (first, A, 10)));
    let later = give(&mut world, "red-cross", 30, &[("hospital-a", 30)]);
    let of = |gifts: &[(EventHash, u16, Option<&str>, u64)]| {
        let id = shipment("red-cross", "S");
        dispatch(id, "hospital-a", Purpose::Issue, portions(gifts))
    };
    let with_second = of(&[(first, 1, A, 10), (second, 1, A, 15)]);
    world.accept(correcting(&world, sent, Some(with_second.into()), FROM_RED_CROSS));
    expect(&world, second, &[("moving red-cross/S", 15), ("red-cross good", 5)]);
    let gifts = |world: &World| {
        world.state.shipments.get(&shipment("red-cross", "S")).unwrap().gifts.clone()
    };
    assert_eq!(gifts(&world), SortedSet::from_iter([first, second]));
    // What was given later was not there to be sent.
    let too_early = of(&[(first, 1, A, 10), (later, 1, A, 1)]);
    let draft = correcting(&world, sent, Some(too_early.into()), FROM_RED_CROSS);
    assert_eq!(world.refuse(draft), "correction/rests");

    let without = of(&[(first, 1, A, 10)]);
    world.accept(correcting(&world, sent, Some(without.into()), FROM_RED_CROSS));
    expect(&world, second, &[("red-cross good", 20)]);
    expect(&world, first, &[("moving red-cross/S", 10)]);
    assert_eq!(gifts(&world), SortedSet::from_iter([first]));
    let newest = world.state.row(&Subject::Gift(second)).unwrap().place.index;
    assert_eq!(newest, world.state.size - 1, "the correction is linked to what it took out");
}

#[test]
fn a_delivery_that_is_voided_no_longer_says_when_it_arrived() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 10)));
    let statement = Delivery {
        shipment: shipment("red-cross", "S"),
        place: text("gate"),
        waybill: text(""),
        time: text(""),
    };
    let delivered = world.accept(world.draft(statement, FROM_RED_CROSS));
    let arrived =
        |world: &World| world.state.shipments.get(&shipment("red-cross", "S")).unwrap().arrived();
    assert!(arrived(&world).is_some());
    world.accept(correcting(&world, delivered, None, FROM_RED_CROSS));
    assert!(arrived(&world).is_none());
}

/// A correction's words are worth what its own signature is, and no more than the original's.
#[test]
fn corrected_words_stand_on_the_weaker_signature() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 10)));
    let got = world.accept(taking(&world, route, false, (gift, A, [1, 0, 0, 0, 0])));
    assert_eq!(reached(&world, gift), [("vouched", 1)]);
    let two = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
    let rotated =
        KeyRotated { handle: handle("hospital-a"), old: key("hospital-a"), new: key("found") };
    let draft = world.draft(rotated, &two);
    world.accept(draft.signer(Capacity::NewKey, Some(&handle("hospital-a")), key("found")));
    let arrived = vec![arrival(goods(gift, 1, A), [10, 0, 0, 0, 0])];
    let all = receipt(shipment("red-cross", "S"), false, arrived);
    let old_key =
        correcting(&world, got, Some(all.clone().into()), &[(Capacity::Taker, "hospital-a")]);
    assert_eq!(world.refuse(old_key), "key/ended");
    let draft = correcting(&world, got, Some(all.into()), &[]);
    world.accept(draft.signer(Capacity::Taker, Some(&handle("hospital-a")), key("found")));
    assert_eq!(reached(&world, gift), [("recovered", 10)]);
    let found = world.state.parties.key(&key("found")).unwrap().origin;
    let gift = world.state.gifts.get(&gift).unwrap();
    assert!(gift.signatures().any(|(_, _, key)| key == found), "a correction is signed, too");
}

#[test]
fn corrections_of_corrections_and_of_what_is_not_there() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 5), ("hospital-b", 5)]);
    let mut donation = Donation::clone(&world.state.gifts.get(&gift).unwrap().donation);
    donation.purpose = text("relief");
    let correction = correcting(&world, gift, Some(donation.clone().into()), BY_RED_CROSS);
    let correction = world.accept(correction);
    let draft = correcting(&world, correction, None, BY_RED_CROSS);
    assert_eq!(draft.frame().unwrap().open().unwrap_err().code, "correction/kind");
    let mut wrong = correcting(&world, gift, Some(donation.into()), BY_RED_CROSS);
    let Statement::Correction(statement) = &mut wrong.statement else { panic!("a correction") };
    statement.target_index += 1;
    assert_eq!(world.refuse(wrong), "correction/target");
    // Both hospitals' goods are told apart, also where a correction swaps them.
    let route = ("red-cross", "S", "hospital-a");
    let sent = world.accept(sending(&world, route, Purpose::Transfer, (gift, A, 5)));
    let swapped = portions(&[(gift, 1, B, 5)]);
    let swapped = dispatch(shipment("red-cross", "S"), "hospital-a", Purpose::Transfer, swapped);
    world.accept(correcting(&world, sent, Some(swapped.into()), FROM_RED_CROSS));
    assert_eq!(
        world.refuse(sending(&world, route, Purpose::Transfer, (gift, B, 1))),
        "balance/exceeded"
    );
    world.accept(taking(&world, route, true, (gift, B, [5, 0, 0, 0, 0])));
    assert_eq!(reached(&world, gift), []);
}
