//! Whole journeys, with where everything is after each step.

use giftproof::model::hash::{Digest32, document_hash};

use super::*;

const A: Option<&str> = Some("hospital-a");
const B: Option<&str> = Some("hospital-b");

/// A gift that an enrolled donor announces, alone.
fn announce(
    world: &mut World,
    taker: Option<&str>,
    quantity: u64,
    shares: &[(&str, u64)],
) -> EventHash {
    let mut donation = recorded("warehouse", vec![line(1, "mask", quantity, "pcs", shares)]);
    donation.donor.kind = DonorKind::Enrolled;
    donation.donor.party = Some(handle("factory"));
    donation.taker = taker.map(handle);
    world.accept(world.draft(donation, &[(Capacity::Donor, "factory")]))
}

#[test]
fn from_the_factory_through_a_warehouse() {
    let mut world = World::new();
    let gift = announce(&mut world, Some("warehouse"), 100, &[("hospital-a", 90)]);
    expect(&world, gift, &[("announced", 100)]);
    let sent = portions(&[(gift, 1, A, 90), (gift, 1, None, 10)]);
    let mut statement = dispatch(shipment("factory", "F-1"), "warehouse", Purpose::Transfer, sent);
    statement.carrier = Some(handle("carrier"));
    let both = [(Capacity::Holder, "factory"), (Capacity::Carrier, "carrier")];
    world.accept(world.draft(statement, &both));
    expect(&world, gift, &[("moving factory/F-1", 100)]);
    assert_eq!(
        world.state.shipments.get(&shipment("factory", "F-1")).unwrap().answers(),
        &handle("carrier")
    );
    let delivered = Delivery {
        shipment: shipment("factory", "F-1"),
        place: text("gate"),
        waybill: text(""),
        time: text(""),
    };
    world.accept(world.draft(delivered, &[(Capacity::Carrier, "carrier")]));
    expect(&world, gift, &[("moving factory/F-1", 100)]);
    let to_warehouse = ("factory", "F-1", "warehouse");
    world.accept(taking(&world, to_warehouse, true, (gift, A, [80, 0, 3, 0, 0])));
    let after = [
        ("moving factory/F-1", 10),
        ("unaccounted factory", 7),
        ("warehouse damaged", 3),
        ("warehouse good", 80),
    ];
    expect(&world, gift, &after);
    world.accept(taking(&world, to_warehouse, false, (gift, None, [10, 0, 0, 0, 0])));
    assert_eq!(reached(&world, gift), []);
    let to_a = ("warehouse", "W-1", "hospital-a");
    world.accept(sending(&world, to_a, Purpose::Issue, (gift, A, 80)));
    world.accept(taking(&world, to_a, true, (gift, A, [79, 0, 0, 0, 0])));
    let after = [
        ("hospital-a good", 79),
        ("unaccounted factory", 7),
        ("unaccounted warehouse", 1),
        ("warehouse damaged", 3),
        ("warehouse good", 10),
    ];
    expect(&world, gift, &after);
    assert_eq!(reached(&world, gift), [("vouched", 79)]);
}

/// What a taker rejects rests with the donor, who sends it again together with the rest.
#[test]
fn a_donor_sends_again_what_was_rejected() {
    let mut world = World::new();
    let gift = announce(&mut world, None, 10, &[("hospital-a", 10)]);
    let first = ("factory", "1", "hospital-a");
    world.accept(sending(&world, first, Purpose::Issue, (gift, A, 6)));
    world.accept(taking(&world, first, false, (gift, A, [2, 0, 0, 4, 0])));
    expect(&world, gift, &[("announced", 4), ("factory good", 4), ("hospital-a good", 2)]);
    let change = designation("factory", Consent::None, (gift, A, "hospital-b", 5));
    world.accept(world.draft(change, &[(Capacity::Holder, "factory")]));
    let second = ("factory", "2", "hospital-b");
    world.accept(sending(&world, second, Purpose::Issue, (gift, B, 5)));
    expect(&world, gift, &[("announced", 3), ("hospital-a good", 2), ("moving factory/2", 5)]);
    world.accept(handing(
        &world,
        ("factory", "hospital-a"),
        Purpose::Issue,
        (gift, A, [3, 0, 0, 0, 0]),
    ));
    expect(&world, gift, &[("hospital-a good", 5), ("moving factory/2", 5)]);
    assert_eq!(reached(&world, gift), [("vouched", 5)]);
}

#[test]
fn only_what_is_announced_can_be_withdrawn() {
    let mut world = World::new();
    let gift = announce(&mut world, Some("red-cross"), 10, &[]);
    let back = |quantity| Withdrawal { portions: portions(&[(gift, 1, None, quantity)]) };
    assert_eq!(
        world.refuse(world.draft(back(1), &[(Capacity::Taker, "warehouse")])),
        "signer/wrong"
    );
    assert_eq!(
        world.refuse(world.draft(back(1), &[(Capacity::Donor, "red-cross")])),
        "signer/wrong"
    );
    world.accept(world.draft(back(2), &[(Capacity::Donor, "factory")]));
    world.accept(sending(
        &world,
        ("factory", "1", "red-cross"),
        Purpose::Transfer,
        (gift, None, 5),
    ));
    expect(&world, gift, &[("announced", 3), ("moving factory/1", 5), ("withdrawn", 2)]);
    for by in [[(Capacity::Donor, "factory")], [(Capacity::Taker, "red-cross")]] {
        assert_eq!(world.refuse(world.draft(back(4), &by)), "withdrawal/not-announced");
    }
    world.accept(world.draft(back(3), BY_RED_CROSS));
    expect(&world, gift, &[("moving factory/1", 5), ("withdrawn", 5)]);
}

/// Straight into the final recipient's hands: received if an enrolled donor signs beside it.
#[test]
fn a_donor_and_the_final_recipient_sign_together() {
    let mut world = World::new();
    let mut donation =
        recorded("hospital-a", vec![line(1, "mask", 9, "pcs", &[("hospital-a", 7)])]);
    donation.donor.kind = DonorKind::Enrolled;
    donation.donor.party = Some(handle("factory"));
    let both = [(Capacity::Donor, "factory"), (Capacity::Taker, "hospital-a")];
    let gift = world.accept(world.draft(donation, &both));
    expect(&world, gift, &[("hospital-a good", 9)]);
    assert_eq!(reached(&world, gift), [("vouched", 7)]);
}

#[test]
fn a_change_of_recipient_says_what_it_rests_on() {
    let mut world = World::new();
    let mut donation =
        recorded("red-cross", vec![line(1, "mask", 10, "pcs", &[("hospital-a", 10)])]);
    donation.donor.kind = DonorKind::OneTimeKey;
    donation.donor.key = Some(key("donor"));
    let draft = world.draft(donation, BY_RED_CROSS).signer(Capacity::Donor, None, key("donor"));
    let gift = world.accept(draft);
    let change = |consent| designation("red-cross", consent, (gift, A, "hospital-b", 1));
    for consent in [Consent::NotNeeded, Consent::Standing, Consent::Signed, Consent::Paper] {
        let draft = world.draft(change(consent), FROM_RED_CROSS);
        assert_eq!(world.refuse(draft), "designation/consent", "{consent}");
    }
    let wrong_key = world.draft(change(Consent::Signed), FROM_RED_CROSS);
    let wrong_key = wrong_key.signer(Capacity::Donor, None, key("not the donor"));
    assert_eq!(world.refuse(wrong_key), "signer/extra");
    world.accept(world.draft(change(Consent::None), FROM_RED_CROSS));
    let signed = world.draft(change(Consent::Signed), FROM_RED_CROSS);
    world.accept(signed.signer(Capacity::Donor, None, key("donor")));
    let mut paper = world.draft(change(Consent::Paper), &[(Capacity::Coordinator, "headquarters")]);
    let sha256: Digest32 = document_hash(b"a letter");
    let number = text("");
    paper.documents = vec![Document { kind: DocumentKind::Consent, number, sha256: Some(sha256) }];
    world.accept(paper);
    let known = world.state.gifts.get(&gift).unwrap();
    let rests_on = known.redirected.iter().map(|(_, consent)| *consent);
    let expected = [Consent::None, Consent::Signed, Consent::Paper];
    assert_eq!(rests_on.collect::<Vec<_>>(), expected);
    // Accepted goods are not for anybody else to assign; nor are goods on their way.
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 7)));
    let change = |holder| designation(holder, Consent::None, (gift, A, "hospital-b", 1));
    let draft = world.draft(change("red-cross"), FROM_RED_CROSS);
    assert_eq!(world.refuse(draft), "balance/exceeded");
    world.accept(taking(&world, route, true, (gift, A, [7, 0, 0, 0, 0])));
    let draft = world.draft(change("hospital-a"), &[(Capacity::Holder, "hospital-a")]);
    assert_eq!(world.refuse(draft), "balance/exceeded");
}

/// The donor of one gift does not consent for another; a superfluous donor is no signer.
#[test]
fn consent_is_given_gift_by_gift() {
    let mut world = World::new();
    world.enrol("workshop", Role::Donor, 0);
    let mut gifts = Vec::new();
    for donor in ["factory", "workshop"] {
        let mut donation =
            recorded("red-cross", vec![line(1, "mask", 10, "pcs", &[("hospital-a", 10)])]);
        donation.donor.kind = DonorKind::Enrolled;
        donation.donor.party = Some(handle(donor));
        let both = [(Capacity::Donor, donor), (Capacity::Taker, "red-cross")];
        gifts.push(world.accept(world.draft(donation, &both)));
    }
    let mut change = designation("red-cross", Consent::Signed, (gifts[0], A, "hospital-b", 1));
    let one = (Capacity::Donor, "factory");
    let other = (Capacity::Donor, "workshop");
    let holder = (Capacity::Holder, "red-cross");
    assert_eq!(world.refuse(world.draft(change.clone(), &[holder, one, other])), "signer/extra");
    let both_gifts = gifts.iter().map(|gift| Assignment {
        goods: goods(*gift, 1, A),
        recipient: handle("hospital-b"),
        quantity: 1,
    });
    change.assignments = List::new(both_gifts.collect()).unwrap();
    assert_eq!(world.refuse(world.draft(change.clone(), &[holder, one])), "designation/consent");
    world.accept(world.draft(change, &[holder, one, other]));
}

#[test]
fn a_return_undoes_what_was_reached_and_a_rejected_return_restores_it() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let out = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, out, Purpose::Issue, (gift, A, 10)));
    world.accept(taking(&world, out, true, (gift, A, [10, 0, 0, 0, 0])));
    let back = ("hospital-a", "R", "red-cross");
    world.accept(sending(&world, back, Purpose::Return, (gift, A, 6)));
    assert_eq!(reached(&world, gift), [("vouched", 4)]);
    world.accept(taking(&world, back, true, (gift, A, [2, 0, 0, 3, 0])));
    let after = [("hospital-a good", 7), ("red-cross good", 2), ("unaccounted hospital-a", 1)];
    expect(&world, gift, &after);
    assert_eq!(reached(&world, gift), [("vouched", 7)]);
    // Passing on and using do not undo it.
    let on = ("hospital-a", "T", "hospital-b");
    world.accept(sending(&world, on, Purpose::Issue, (gift, A, 3)));
    world.accept(taking(&world, on, true, (gift, A, [3, 0, 0, 0, 0])));
    assert_eq!(reached(&world, gift), [("vouched", 7)]);
}

#[test]
fn a_loan_given_back_is_the_recipients_own_again() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let out = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, out, Purpose::Issue, (gift, A, 10)));
    world.accept(taking(&world, out, true, (gift, A, [10, 0, 0, 0, 0])));
    let lent = ("hospital-a", "L", "hospital-b");
    world.accept(sending(&world, lent, Purpose::Loan, (gift, A, 4)));
    world.accept(taking(&world, lent, true, (gift, A, [4, 0, 0, 0, 0])));
    expect(&world, gift, &[("hospital-a good", 6), ("hospital-b good", 4)]);
    assert_eq!(reached(&world, gift), [("vouched", 10)]);
    let back = ("hospital-b", "L", "hospital-a");
    world.accept(sending(&world, back, Purpose::Return, (gift, A, 4)));
    assert_eq!(reached(&world, gift), [("vouched", 10)], "on its way home");
    world.accept(taking(&world, back, true, (gift, A, [4, 0, 0, 0, 0])));
    expect(&world, gift, &[("hospital-a good", 10)]);
    assert_eq!(reached(&world, gift), [("vouched", 10)]);
}

/// A factory takes no custody of others' goods, but its own come back to it.
#[test]
fn goods_go_back_to_the_factory() {
    let mut world = World::new();
    let gift = announce(&mut world, None, 10, &[]);
    let out = ("factory", "1", "warehouse");
    world.accept(sending(&world, out, Purpose::Transfer, (gift, None, 10)));
    world.accept(taking(&world, out, true, (gift, None, [10, 0, 0, 0, 0])));
    let draft = sending(&world, ("warehouse", "2", "factory"), Purpose::Transfer, (gift, None, 10));
    assert_eq!(world.refuse(draft), "party/role");
    let back = ("warehouse", "2", "factory");
    world.accept(sending(&world, back, Purpose::Return, (gift, None, 10)));
    world.accept(taking(&world, back, true, (gift, None, [10, 0, 0, 0, 0])));
    expect(&world, gift, &[("factory good", 10)]);
}

#[test]
fn issued_to_a_unit_that_it_was_not_meant_for() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let issue = ("red-cross", "S", "hospital-b");
    world.accept(sending(&world, issue, Purpose::Issue, (gift, A, 5)));
    world.accept(taking(&world, issue, true, (gift, A, [3, 2, 0, 0, 0])));
    let store = ("red-cross", "T", "hospital-b");
    world.accept(sending(&world, store, Purpose::Transfer, (gift, A, 5)));
    world.accept(taking(&world, store, true, (gift, A, [5, 0, 0, 0, 0])));
    assert_eq!(reached(&world, gift), [("other unit", 3)]);
    let passed = Finding { passed: 2, ..finding(goods(gift, 1, A)) };
    world.accept(counting(&world, "hospital-b", passed));
    assert_eq!(reached(&world, gift), [("other unit", 5)]);
}

#[test]
fn pending_goods_pass_or_fail_by_count() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let from_hand = ("red-cross", "hospital-a");
    world.accept(handing(&world, from_hand, Purpose::Issue, (gift, A, [1, 9, 0, 0, 0])));
    expect(&world, gift, &[("hospital-a good", 1), ("hospital-a pending", 9)]);
    assert_eq!(reached(&world, gift), [("vouched", 1)]);
    let too_many = Finding { passed: 5, failed: 5, ..finding(goods(gift, 1, A)) };
    assert_eq!(world.refuse(counting(&world, "hospital-a", too_many)), "balance/exceeded");
    let found = Finding { passed: 5, failed: 3, ..finding(goods(gift, 1, A)) };
    world.accept(counting(&world, "hospital-a", found));
    let after = [("hospital-a damaged", 3), ("hospital-a good", 6), ("hospital-a pending", 1)];
    expect(&world, gift, &after);
    assert_eq!(reached(&world, gift), [("vouched", 6)]);
    let disposal = Disposal {
        fate: Fate::Destroyed,
        condition: Condition::Pending,
        to: text(""),
        proceeds: None,
        portions: portions(&[(gift, 1, A, 1)]),
    };
    world.accept(world.draft(disposal, &[(Capacity::Holder, "hospital-a")]));
    let after = [("destroyed hospital-a", 1), ("hospital-a damaged", 3), ("hospital-a good", 6)];
    expect(&world, gift, &after);
}

/// Two boxes, counted: 3,980 pieces. They were accepted as boxes, and are as pieces.
#[test]
fn opened_packs_are_counted_and_not_guessed() {
    let mut world = World::new();
    let donation = recorded("red-cross", vec![line(1, "mask", 3, "box", &[("hospital-a", 3)])]);
    let gift = world.accept(world.draft(donation, BY_RED_CROSS));
    let loose = |meant_for| Goods { unit: UnitChoice::Loose, ..goods(gift, 1, meant_for) };
    let early = Finding { shortage: 1, ..finding(loose(A)) };
    assert_eq!(world.refuse(counting(&world, "red-cross", early)), "unit/unknown");
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 3)));
    world.accept(taking(&world, route, true, (gift, A, [3, 0, 0, 0, 0])));
    let opened = Finding { opened: 2, loose: 3_980, ..finding(goods(gift, 1, A)) };
    world.accept(counting(&world, "hospital-a", opened));
    expect(&world, gift, &[("hospital-a good", 3_981), ("opened hospital-a", 2)]);
    assert_eq!(reached(&world, gift), [("vouched", 3_981)]);
    assert_eq!(world.state.gifts.get(&gift).unwrap().unpacked, 3_980);
    let on = portions(&[(gift, 1, A, 1)]);
    let pieces = Portion::new(loose(A), 80);
    let on = List::new(on.iter().cloned().chain([pieces]).collect()).unwrap();
    let on = dispatch(shipment("hospital-a", "T"), "hospital-b", Purpose::Transfer, on);
    world.accept(world.draft(on, &[(Capacity::Holder, "hospital-a")]));
    let after = [("hospital-a good", 3_900), ("moving hospital-a/T", 81), ("opened hospital-a", 2)];
    expect(&world, gift, &after);
}

/// A box that was sent and a box of surplus, opened together: nobody knows whose pieces are whose,
/// so none of them count.
#[test]
fn pieces_of_mixed_packs_count_as_the_weakest() {
    let mut world = World::new();
    let donation = recorded("red-cross", vec![line(1, "mask", 1, "box", &[("hospital-a", 1)])]);
    let gift = world.accept(world.draft(donation, BY_RED_CROSS));
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 1)));
    world.accept(taking(&world, route, true, (gift, A, [1, 0, 0, 0, 1])));
    assert_eq!(reached(&world, gift), [("vouched", 1)]);
    let opened = Finding { opened: 2, loose: 100, ..finding(goods(gift, 1, A)) };
    world.accept(counting(&world, "hospital-a", opened));
    assert_eq!(reached(&world, gift), []);
}

/// A line that says what a box holds is kept in pieces; portions may be given in either.
#[test]
fn known_packs_are_balanced_in_pieces() {
    let mut world = World::new();
    let mut masks = line(1, "mask", 3, "box", &[("hospital-a", 2)]);
    masks.pack = Some(Pack { content: 2_000, unit: text("pcs") });
    let gift = world.accept(world.draft(recorded("red-cross", vec![masks]), BY_RED_CROSS));
    let inner = Goods { unit: UnitChoice::Inner, ..goods(gift, 1, A) };
    let both =
        List::new(vec![Portion::new(goods(gift, 1, A), 1), Portion::new(inner, 500)]).unwrap();
    let statement = dispatch(shipment("red-cross", "S"), "hospital-a", Purpose::Issue, both);
    world.accept(world.draft(statement, FROM_RED_CROSS));
    expect(&world, gift, &[("moving red-cross/S", 2_500), ("red-cross good", 3_500)]);
    let opened = Finding { opened: 1, loose: 2_000, ..finding(goods(gift, 1, A)) };
    assert_eq!(world.refuse(counting(&world, "red-cross", opened)), "count/packs");
}

#[test]
fn shortage_is_found_again_and_surplus_never_counts_as_reached() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 100, &[("hospital-a", 100)]);
    let short = Finding { shortage: 10, ..finding(goods(gift, 1, A)) };
    world.accept(counting(&world, "red-cross", short));
    expect(&world, gift, &[("red-cross good", 90), ("unaccounted red-cross", 10)]);
    let found = |found| Finding { found, ..finding(goods(gift, 1, A)) };
    assert_eq!(world.refuse(counting(&world, "red-cross", found(11))), "balance/exceeded");
    world.accept(counting(&world, "red-cross", found(4)));
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 94)));
    world.accept(taking(&world, route, true, (gift, A, [90, 0, 0, 0, 5])));
    let after = [("hospital-a good", 95), ("unaccounted red-cross", 10)];
    expect(&world, gift, &after);
    assert_eq!(reached(&world, gift), [("vouched", 90)]);
    // Four of them went missing between the two: the hospital finds them, and they have arrived.
    // The other six went missing at the charity, and are not the hospital's to find.
    assert_eq!(world.refuse(counting(&world, "hospital-a", found(5))), "balance/exceeded");
    world.accept(counting(&world, "hospital-a", found(3)));
    assert_eq!(reached(&world, gift), [("vouched", 93)]);
    world.accept(counting(&world, "red-cross", found(7)));
    expect(&world, gift, &[("hospital-a good", 98), ("red-cross good", 7)]);
    assert_eq!(reached(&world, gift), [("vouched", 93)]);
    let more = Finding { surplus: 2, ..finding(goods(gift, 1, A)) };
    world.accept(counting(&world, "hospital-a", more));
    assert_eq!(
        (reached(&world, gift), world.state.gifts.get(&gift).unwrap().surplus),
        (vec![("vouched", 93)], 7)
    );
}

#[test]
fn held_goods_do_not_move() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[]);
    let some = || portions(&[(gift, 1, None, 8)]);
    let hold = Hold { cause: HoldCause::Customs, authority: text("customs"), portions: some() };
    world.accept(world.draft(hold, FROM_RED_CROSS));
    expect(&world, gift, &[("red-cross good", 2), ("red-cross on-hold", 8)]);
    let draft =
        sending(&world, ("red-cross", "S", "warehouse"), Purpose::Transfer, (gift, None, 3));
    assert_eq!(world.refuse(draft), "balance/exceeded");
    let disposal = |condition| Disposal {
        fate: Fate::Sold,
        condition,
        to: text("a shop"),
        proceeds: Some(Value { cents: 100, currency: text("CNY"), basis: ValueBasis::Invoice }),
        portions: portions(&[(gift, 1, None, 2)]),
    };
    world.accept(world.draft(disposal(Condition::Good), FROM_RED_CROSS));
    assert_eq!(
        world.refuse(world.draft(disposal(Condition::Good), FROM_RED_CROSS)),
        "balance/exceeded"
    );
    assert_eq!(
        world.refuse(world.draft(disposal(Condition::Damaged), FROM_RED_CROSS)),
        "balance/exceeded"
    );
    world.accept(world.draft(disposal(Condition::OnHold), FROM_RED_CROSS));
    let release = Release { portions: portions(&[(gift, 1, None, 6)]) };
    world.accept(world.draft(release.clone(), FROM_RED_CROSS));
    assert_eq!(world.refuse(world.draft(release, FROM_RED_CROSS)), "balance/exceeded");
    expect(&world, gift, &[("red-cross good", 6), ("sold red-cross", 4)]);
    let used =
        Use { ward: text(""), purpose: text("drill"), portions: portions(&[(gift, 1, None, 6)]) };
    world.accept(world.draft(used, FROM_RED_CROSS));
    expect(&world, gift, &[("sold red-cross", 4), ("used red-cross", 6)]);
}

#[test]
fn one_shipment_of_several_dispatches_received_in_parts() {
    let mut world = World::new();
    let one = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let two = give(&mut world, "red-cross", 20, &[("hospital-a", 20)]);
    let route = ("red-cross", "S", "hospital-a");
    world.accept(sending(&world, route, Purpose::Issue, (one, A, 4)));
    world.accept(sending(&world, route, Purpose::Issue, (one, A, 5)));
    world.accept(sending(&world, route, Purpose::Issue, (two, A, 20)));
    let elsewhere = sending(&world, ("red-cross", "S", "hospital-b"), Purpose::Issue, (one, A, 1));
    assert_eq!(world.refuse(elsewhere), "shipment/mismatch");
    let transfer = sending(&world, route, Purpose::Transfer, (one, A, 1));
    assert_eq!(world.refuse(transfer), "shipment/mismatch");
    world.accept(taking(&world, route, false, (one, A, [9, 0, 0, 0, 0])));
    assert_eq!(
        world.refuse(taking(&world, route, false, (one, A, [1, 0, 0, 0, 0]))),
        "balance/exceeded"
    );
    let after_receipt = sending(&world, route, Purpose::Issue, (one, A, 1));
    assert_eq!(world.refuse(after_receipt), "shipment/mismatch");
    world.accept(taking(&world, route, false, (two, A, [7, 0, 0, 0, 0])));
    expect(&world, two, &[("hospital-a good", 7), ("moving red-cross/S", 13)]);
    world.accept(taking(&world, route, true, (two, A, [0, 0, 0, 0, 0])));
    expect(&world, two, &[("hospital-a good", 7), ("unaccounted red-cross", 13)]);
    expect(&world, one, &[("hospital-a good", 9), ("red-cross good", 1)]);
}

/// One event about two gifts changes both or neither.
#[test]
fn an_event_that_fails_for_one_gift_changes_none() {
    let mut world = World::new();
    let one = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let two = give(&mut world, "red-cross", 20, &[("hospital-a", 20)]);
    for (first, second) in [(11, 20), (10, 21)] {
        let sent = portions(&[(one, 1, A, first), (two, 1, A, second)]);
        let statement = dispatch(shipment("red-cross", "S"), "hospital-a", Purpose::Issue, sent);
        assert_eq!(world.refuse(world.draft(statement, FROM_RED_CROSS)), "balance/exceeded");
    }
}

#[test]
fn a_receipt_for_what_nobody_sent_moves_nothing() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 5), ("hospital-b", 5)]);
    let none = ("red-cross", "none", "hospital-a");
    world.accept(taking(&world, none, true, (gift, A, [5, 0, 0, 0, 0])));
    world.accept(sending(&world, ("red-cross", "S", "hospital-a"), Purpose::Issue, (gift, A, 5)));
    // Sent to somebody else, and goods that were not in it.
    world.accept(taking(
        &world,
        ("red-cross", "S", "hospital-b"),
        true,
        (gift, A, [5, 0, 0, 0, 0]),
    ));
    world.accept(taking(
        &world,
        ("red-cross", "S", "hospital-a"),
        true,
        (gift, B, [5, 0, 0, 0, 0]),
    ));
    expect(&world, gift, &[("moving red-cross/S", 5), ("red-cross good", 5)]);
    assert_eq!(world.state.gifts.get(&gift).unwrap().unsupported.len(), 3);
    assert_eq!(reached(&world, gift), []);
}

/// A clinic that gives as well as takes: what it announced, what rests with it, and what it has
/// accepted for itself lie side by side, and only the first two are for it to assign.
#[test]
fn a_designation_takes_only_what_has_reached_nobody() {
    let mut world = World::new();
    let clinic = PartyEnrolled {
        handle: handle("clinic"),
        kind: PartyKind::Organisation,
        roles: List::new(vec![Role::Donor, Role::Recipient]).unwrap(),
        particulars: Particulars { name: text("clinic"), identifier: text(""), place: text("") },
        key: key("clinic"),
    };
    let who = [
        (Capacity::NewKey, "clinic"),
        (Capacity::Registrar, "registrar-1"),
        (Capacity::Registrar, "registrar-2"),
    ];
    world.accept(world.draft(clinic, &who));
    let own = Some("clinic");
    let mut donation = recorded("warehouse", vec![line(1, "mask", 10, "pcs", &[("clinic", 10)])]);
    donation.donor.kind = DonorKind::Enrolled;
    donation.donor.party = Some(handle("clinic"));
    let gift = world.accept(world.draft(donation, &[(Capacity::Donor, "clinic")]));
    world.accept(sending(&world, ("clinic", "1", "warehouse"), Purpose::Transfer, (gift, own, 6)));
    let came = [3, 0, 0, 3, 0];
    world.accept(taking(&world, ("clinic", "1", "warehouse"), true, (gift, own, came)));
    world.accept(handing(
        &world,
        ("warehouse", "clinic"),
        Purpose::Issue,
        (gift, own, [3, 0, 0, 0, 0]),
    ));
    expect(&world, gift, &[("announced", 4), ("clinic good", 6)]);
    let to_a = |quantity| designation("clinic", Consent::None, (gift, own, "hospital-a", quantity));
    let by = [(Capacity::Holder, "clinic")];
    assert_eq!(world.refuse(world.draft(to_a(8), &by)), "balance/exceeded");
    world.accept(world.draft(to_a(5), &by));
    expect(&world, gift, &[("announced", 4), ("clinic good", 6)]);
    let accounts = &world.state.gifts.get(&gift).unwrap().accounts;
    assert_eq!(accounts.sum(|account| account.meant_for == Some(handle("hospital-a"))), 5);
    assert_eq!(reached(&world, gift), [("vouched", 3)]);
}
