//! What a liar would try, one test each.

use super::*;

const A: Option<&str> = Some("hospital-a");

/// A clerk alone: whatever it records, sends to itself or counts, nothing reads "received".
#[test]
fn a_recipient_alone_never_gets_beyond_recorded_alone() {
    let mut world = World::new();
    let recorded_for_itself = give(&mut world, "hospital-a", 10, &[("hospital-a", 10)]);
    assert_eq!(reached(&world, recorded_for_itself), [("alone", 10)]);

    // A one-time key, a slip: the clerk can have made both.
    for kind in [DonorKind::OneTimeKey, DonorKind::Slip] {
        let mut donation =
            recorded("hospital-a", vec![line(1, "x", 5, "pcs", &[("hospital-a", 5)])]);
        donation.donor.kind = kind;
        donation.donor.party = (kind == DonorKind::Slip).then(|| handle("red-cross"));
        donation.donor.key = Some(key(kind.word()));
        let draft = world.draft(donation, &[(Capacity::Taker, "hospital-a")]);
        let gift = world.accept(draft.signer(Capacity::Donor, None, key(kind.word())));
        assert_eq!(reached(&world, gift), [("alone", 5)]);
    }

    // Pooled at the hospital, assigned by itself to itself, missed and found again.
    let pooled = give(&mut world, "hospital-a", 10, &[]);
    let own = [(Capacity::Holder, "hospital-a")];
    let statement = designation("hospital-a", Consent::NotNeeded, (pooled, None, "hospital-a", 10));
    world.accept(world.draft(statement, &own));
    let lost = Finding { shortage: 4, ..finding(goods(pooled, 1, A)) };
    world.accept(counting(&world, "hospital-a", lost));
    let found = Finding { found: 4, surplus: 3, ..finding(goods(pooled, 1, A)) };
    world.accept(counting(&world, "hospital-a", found));
    expect(&world, pooled, &[("hospital-a good", 13)]);
    assert_eq!(reached(&world, pooled), []);

    // To and from itself.
    let to_itself = [(pooled, 1, A, 5)];
    let id = shipment("hospital-a", "S");
    let statement = dispatch(id, "hospital-a", Purpose::Issue, portions(&to_itself));
    assert!(world.draft(statement, &own).frame().unwrap().open().is_err());
    let mut draft =
        handing(&world, ("hospital-a", "hospital-a"), Purpose::Issue, (pooled, A, [1, 0, 0, 0, 0]));
    draft.signers[1].key = key("a second key");
    assert_eq!(world.refuse(draft), "party/same");
}

/// `Receipt.giver` names somebody who did not sign.
#[test]
fn nobody_is_drained_by_a_receipt_that_names_it() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let mut draft =
        handing(&world, ("red-cross", "hospital-a"), Purpose::Issue, (gift, A, [10, 0, 0, 0, 0]));
    draft.signers.retain(|signer| signer.capacity != Capacity::Holder);
    assert_eq!(world.refuse(draft.clone()), "signer/missing");
    let impostor = draft.signer(Capacity::Holder, Some(&handle("warehouse")), key("warehouse"));
    assert_eq!(world.refuse(impostor), "signer/wrong");
    expect(&world, gift, &[("red-cross good", 10)]);
}

/// A carrier signs in place of holder or taker.
#[test]
fn a_carrier_signs_only_as_carrier() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let sent = portions(&[(gift, 1, A, 10)]);
    let mut statement = dispatch(shipment("red-cross", "S"), "hospital-a", Purpose::Issue, sent);
    statement.carrier = Some(handle("carrier"));
    let as_holder = [(Capacity::Holder, "carrier")];
    assert_eq!(world.refuse(world.draft(statement.clone(), &as_holder)), "signer/wrong");
    let alone = [(Capacity::Carrier, "carrier")];
    assert_eq!(world.refuse(world.draft(statement.clone(), &alone)), "signer/missing");
    let both = [(Capacity::Holder, "red-cross"), (Capacity::Carrier, "carrier")];
    world.accept(world.draft(statement, &both));
    let route = ("red-cross", "S", "carrier");
    // Nothing was sent to the carrier: were it a custodian, its receipt would move nothing.
    assert_eq!(
        world.refuse(taking(&world, route, false, (gift, A, [10, 0, 0, 0, 0]))),
        "party/role"
    );
}

/// A stranger invents surplus of a gift that it never had, to send it on or to fill its books.
#[test]
fn a_stranger_finds_no_surplus() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let more = Finding { surplus: 1, ..finding(goods(gift, 1, A)) };
    for stranger in ["factory", "hospital-b", "hospital-a"] {
        assert_eq!(world.refuse(counting(&world, stranger, more.clone())), "balance/exceeded");
    }
    let for_b = Finding { goods: goods(gift, 1, Some("hospital-b")), ..more.clone() };
    assert_eq!(world.refuse(counting(&world, "red-cross", for_b)), "balance/exceeded");
    let draft =
        handing(&world, ("warehouse", "hospital-b"), Purpose::Issue, (gift, A, [0, 0, 0, 0, 7]));
    assert_eq!(world.refuse(draft), "balance/exceeded");
    world.accept(counting(&world, "red-cross", more));
}

/// Surplus and opened packs again and again, until a sum over the accounts overflows.
#[test]
fn surplus_is_bounded_for_the_whole_gift() {
    let mut world = World::new();
    let lines = vec![line(1, "mask", 1, "pcs", &[]), line(2, "gown", 1, "box", &[])];
    let gift = world.accept(world.draft(recorded("red-cross", lines), BY_RED_CROSS));
    let most = Finding { surplus: QUANTITY_MAX - 1, ..finding(goods(gift, 1, None)) };
    world.accept(counting(&world, "red-cross", most));
    let lost = Finding { shortage: QUANTITY_MAX, ..finding(goods(gift, 1, None)) };
    world.accept(counting(&world, "red-cross", lost));
    let again = Finding { surplus: 2, ..finding(goods(gift, 1, None)) };
    assert_eq!(world.refuse(counting(&world, "red-cross", again)), "balance/overflow");
    let packs = Finding { surplus: 1, ..finding(goods(gift, 2, None)) };
    world.accept(counting(&world, "red-cross", packs));
    let opened = Finding { opened: 1, loose: QUANTITY_MAX - 1, ..finding(goods(gift, 2, None)) };
    world.accept(counting(&world, "red-cross", opened.clone()));
    assert_eq!(world.refuse(counting(&world, "red-cross", opened)), "balance/overflow");
}

/// A receipt for a shipment of one gift names another gift, to get into its journey.
#[test]
fn an_unsupported_receipt_gives_no_say_in_a_gift() {
    let mut world = World::new();
    let mine = give(&mut world, "red-cross", 10, &[("hospital-b", 10)]);
    let other = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let route = ("red-cross", "S", "hospital-b");
    world.accept(sending(&world, route, Purpose::Issue, (mine, Some("hospital-b"), 10)));
    world.accept(taking(&world, route, false, (other, A, [10, 0, 0, 0, 0])));
    expect(&world, other, &[("red-cross good", 10)]);
    assert_eq!(world.state.gifts.get(&other).unwrap().unsupported.len(), 1);
    let dispute = Dispute { gift: other, claim: Claim::Other, text: text("mine!") };
    assert_eq!(
        world.refuse(world.draft(dispute, &[(Capacity::Speaker, "hospital-b")])),
        "signer/wrong"
    );
}

/// A receipt for a shipment that does not exist yet, with a line that the gift does not have: were
/// it recorded, no correction could fold the gift again once the shipment exists.
#[test]
fn an_early_receipt_cannot_block_corrections() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let route = ("red-cross", "S", "hospital-a");
    let mut draft = taking(&world, route, false, (gift, A, [1, 0, 0, 0, 0]));
    world.accept(draft.clone());
    let arrived = vec![arrival(goods(gift, 9, A), [1, 0, 0, 0, 0])];
    draft.statement = receipt(shipment("red-cross", "S"), false, arrived).into();
    assert_eq!(world.refuse(draft), "line/unknown");
    world.accept(sending(&world, route, Purpose::Issue, (gift, A, 10)));
    let mut donation = Donation::clone(&world.state.gifts.get(&gift).unwrap().donation);
    donation.purpose = text("relief");
    let before = world.state.gifts.get(&gift).unwrap().clone();
    world.accept(correcting(&world, gift, Some(donation.into()), BY_RED_CROSS));
    let after = &world.state.gifts.get(&gift).unwrap();
    assert_eq!((&after.accounts, &after.unsupported), (&before.accounts, &before.unsupported));
    assert_eq!(after.journey, before.journey);
}

/// The slip's issuer wrote the standing consent, or made the key that signed it.
#[test]
fn standing_consent_is_the_donors_own_or_none() {
    let mut world = World::new();
    let change = |gift| designation("red-cross", Consent::Standing, (gift, A, "hospital-b", 1));
    let lines = || vec![line(1, "mask", 10, "pcs", &[("hospital-a", 10)])];
    let mut written = recorded("red-cross", lines());
    written.standing_consent = true;
    let by_taker = world.accept(world.draft(written.clone(), BY_RED_CROSS));
    assert_eq!(world.refuse(world.draft(change(by_taker), FROM_RED_CROSS)), "designation/consent");

    let mut slip = written.clone();
    slip.donor = Donor {
        kind: DonorKind::Slip,
        party: Some(handle("red-cross")),
        key: Some(key("slip")),
        name: text(""),
    };
    let draft = world.draft(slip, BY_RED_CROSS).signer(Capacity::Donor, None, key("slip"));
    let by_slip = world.accept(draft);
    assert_eq!(world.refuse(world.draft(change(by_slip), FROM_RED_CROSS)), "designation/consent");
    let own =
        Donor { kind: DonorKind::OneTimeKey, party: None, key: Some(key("own")), name: text("") };
    let statement = GiftTakenOver { gift: by_slip, donor: own };
    let draft = world.draft(statement, &[]).signer(Capacity::Donor, None, key("slip"));
    world.accept(draft.signer(Capacity::NewKey, None, key("own")));
    world.accept(world.draft(change(by_slip), FROM_RED_CROSS));

    let mut own = written;
    own.donor.kind = DonorKind::OneTimeKey;
    own.donor.key = Some(key("one-time"));
    let draft = world.draft(own, BY_RED_CROSS).signer(Capacity::Donor, None, key("one-time"));
    let by_donor = world.accept(draft);
    world.accept(world.draft(change(by_donor), FROM_RED_CROSS));
}

/// Who issued the slip still has its key after the donor took the gift over.
#[test]
fn a_slips_key_ends_when_the_gift_is_taken_over() {
    let mut world = World::new();
    let mut slip = recorded("red-cross", vec![line(1, "mask", 10, "pcs", &[])]);
    slip.donor.kind = DonorKind::Slip;
    slip.donor.party = Some(handle("red-cross"));
    slip.donor.key = Some(key("slip"));
    let draft = world.draft(slip.clone(), BY_RED_CROSS).signer(Capacity::Donor, None, key("slip"));
    let gift = world.accept(draft);
    let donor = Donor {
        kind: DonorKind::Enrolled,
        party: Some(handle("factory")),
        key: None,
        name: text(""),
    };
    let statement = GiftTakenOver { gift, donor };
    let draft = world.draft(statement.clone(), &[(Capacity::Oneself, "factory")]);
    world.accept(draft.signer(Capacity::Donor, None, key("slip")));
    let draft = world.draft(statement, &[(Capacity::Oneself, "factory")]);
    assert_eq!(world.refuse(draft.signer(Capacity::Donor, None, key("slip"))), "gift/take-over");

    slip.lines = List::new(vec![line(1, "mask", 8, "pcs", &[])]).unwrap();
    let by_slip = correcting(&world, gift, Some(slip.clone().into()), BY_RED_CROSS);
    let by_slip = by_slip.signer(Capacity::Donor, None, key("slip"));
    assert_eq!(world.refuse(by_slip), "signer/missing");
    let both = [(Capacity::Taker, "red-cross"), (Capacity::Donor, "factory")];
    world.accept(correcting(&world, gift, Some(slip.into()), &both));
    assert_eq!(world.state.gifts.get(&gift).unwrap().lowered[0].by_alone, None);
    let dispute = Dispute { gift, claim: Claim::Other, text: text("") };
    let draft = world.draft(dispute, &[]).signer(Capacity::Donor, None, key("slip"));
    assert_eq!(world.refuse(draft), "signer/missing");
}

/// One thief with one stolen key, known as stolen, names a clean successor.
#[test]
fn a_compromised_key_cannot_launder_itself_by_rotation() {
    let mut world = World::new();
    let since = giftproof::model::date::Date::from_days(20_000).unwrap();
    let told = KeyCompromised { handle: handle("hospital-a"), key: key("hospital-a"), since };
    let two = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
    world.accept(world.draft(told, &two));
    let rotated =
        KeyRotated { handle: handle("hospital-a"), old: key("hospital-a"), new: key("thief") };
    let by_itself = world.draft(rotated.clone(), &[(Capacity::Oneself, "hospital-a")]).signer(
        Capacity::NewKey,
        Some(&handle("hospital-a")),
        key("thief"),
    );
    assert_eq!(world.refuse(by_itself.clone()), "registrars/too-few");
    let with_registrars = two.iter().fold(by_itself, |draft, (capacity, name)| {
        draft.signer(*capacity, Some(&handle(name)), key(name))
    });
    world.accept(with_registrars);
    let standing = |key| world.state.parties.standing(&handle("hospital-a"), &key, 99);
    assert_eq!(standing(key("thief")), Standing::Recovered);
}

/// The operator, who admitted a donor, adds or replaces its key, to consent in its name.
#[test]
fn the_operator_does_not_keep_anybodys_keys() {
    let mut world = World::new();
    world.enrol("big-donor", Role::Donor, 2);
    world.enrol("small-donor", Role::Donor, 0);
    for name in ["big-donor", "small-donor"] {
        let new = key(&format!("{name} 2"));
        let by = |world: &World, statement: Statement, who: &[(Capacity, &str)]| {
            let draft = world.draft(statement, who);
            draft.signer(Capacity::NewKey, Some(&handle(name)), new)
        };
        let operator = [(Capacity::Operator, "operator")];
        let added: Statement = KeyAdded { handle: handle(name), key: new }.into();
        let draft = by(&world, added.clone(), &operator);
        assert_eq!(world.refuse(draft), "registrars/too-few");
        let rotated = KeyRotated { handle: handle(name), old: key(name), new };
        let draft = by(&world, rotated.into(), &operator);
        assert_eq!(world.refuse(draft), "registrars/too-few");
        // A party that nobody need vouch for adds a key with one that it has.
        let draft = by(&world, added, &[(Capacity::Oneself, name)]);
        world.accept(draft);
    }
    let added = KeyAdded { handle: handle("hospital-a"), key: key("hospital-a 2") };
    let draft = world.draft(added, &[(Capacity::Oneself, "hospital-a")]);
    let draft = draft.signer(Capacity::NewKey, Some(&handle("hospital-a")), key("hospital-a 2"));
    assert_eq!(world.refuse(draft), "signer/wrong");
}

/// The handle of a registrar that left: who gets it could lift its recalls and close its disputes.
#[test]
fn a_former_registrars_handle_is_nobody_elses() {
    let mut world = World::new();
    let recall = Recall { item: text("x"), lot: text(""), number: text("1"), text: text("") };
    let recall = world.accept(world.draft(recall, &[(Capacity::Registrar, "registrar-3")]));
    let fewer = RegistrarsChanged {
        registrars: List::new(vec![identity("registrar-1"), identity("registrar-2")]).unwrap(),
        threshold: 2,
    };
    let two = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
    world.accept(world.draft(fewer, &two));
    let enrolled = PartyEnrolled {
        handle: handle("registrar-3"),
        kind: PartyKind::Person,
        roles: List::new(vec![Role::Donor]).unwrap(),
        particulars: Particulars { name: text("me"), identifier: text(""), place: text("") },
        key: key("impostor"),
    };
    let draft = world.draft(enrolled, &[(Capacity::Operator, "operator")]);
    let draft = draft.signer(Capacity::NewKey, Some(&handle("registrar-3")), key("impostor"));
    assert_eq!(world.refuse(draft), "party/exists");
    let lifted = RecallLifted { recall, item: text("x"), lot: text("") };
    let by_former = world.draft(lifted.clone(), &[(Capacity::Registrar, "registrar-3")]);
    assert_eq!(world.refuse(by_former), "signer/wrong");
    world.accept(world.draft(lifted, &two));
    assert_eq!(world.state.parties.name(&handle("registrar-3")), Some("registrar-3"));
    // It may come back, with a new key and its old name.
    let mut again = identity("registrar-3");
    again.key = key("registrar-3 again");
    let back = RegistrarsChanged {
        registrars: List::new(vec![identity("registrar-1"), identity("registrar-2"), again])
            .unwrap(),
        threshold: 2,
    };
    let draft = world.draft(back, &two);
    let new = Some(handle("registrar-3"));
    world.accept(draft.signer(Capacity::NewKey, new.as_ref(), key("registrar-3 again")));
}

/// One key in two roles of the system, whichever door it comes through.
#[test]
fn a_key_has_one_owner_for_ever() {
    let mut world = World::new();
    let two = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
    let mut taken = vec!["operator", "registrar-1", "hospital-b", "one-time"];
    let mut donation = recorded("red-cross", vec![line(1, "mask", 1, "pcs", &[])]);
    donation.donor.kind = DonorKind::OneTimeKey;
    donation.donor.key = Some(key("one-time"));
    let draft = world.draft(donation, BY_RED_CROSS);
    world.accept(draft.signer(Capacity::Donor, None, key("one-time")));
    let rotated =
        KeyRotated { handle: handle("hospital-b"), old: key("hospital-b"), new: key("b2") };
    let draft = world.draft(rotated, &[(Capacity::Oneself, "hospital-b")]);
    world.accept(draft.signer(Capacity::NewKey, Some(&handle("hospital-b")), key("b2")));
    taken.push("b2");
    for name in taken {
        let of_a = Some(handle("hospital-a"));
        let added = KeyAdded { handle: handle("hospital-a"), key: key(name) };
        let draft = world.draft(added, &[]).signer(Capacity::NewKey, of_a.as_ref(), key(name));
        assert_eq!(world.refuse(draft), "key/taken", "{name} for a party");
        let operator = OperatorRotated { key: key(name) };
        let draft = world.draft(operator, &two);
        let draft =
            draft.signer(Capacity::NewKey, Some(&handle("operator")), key(&format!("{name}!")));
        assert_eq!(world.refuse(draft), "key/taken", "{name} for the operator");
        let mut new = identity("registrar-4");
        new.key = key(name);
        let registrars = vec![identity("registrar-2"), identity("registrar-3"), new];
        let changed =
            RegistrarsChanged { registrars: List::new(registrars).unwrap(), threshold: 2 };
        assert_eq!(world.refuse(world.draft(changed, &two)), "key/taken", "{name} for a registrar");
        let mut gift = recorded("red-cross", vec![line(1, "mask", 1, "pcs", &[])]);
        gift.donor.kind = DonorKind::OneTimeKey;
        gift.donor.key = Some(key(name));
        assert_eq!(world.refuse(world.draft(gift, BY_RED_CROSS)), "key/taken", "{name} for a gift");
    }
}

/// Two keys of one party sign in one capacity, or one capacity holds two parties.
#[test]
fn each_capacity_is_taken_once() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[]);
    let two = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
    let added = KeyAdded { handle: handle("red-cross"), key: key("second") };
    let draft = world.draft(added, &two);
    world.accept(draft.signer(Capacity::NewKey, Some(&handle("red-cross")), key("second")));
    let route = ("red-cross", "S", "hospital-a");
    let draft = sending(&world, route, Purpose::Issue, (gift, None, 1));
    let twice = draft.clone().signer(Capacity::Holder, Some(&handle("red-cross")), key("second"));
    assert_eq!(world.refuse(twice), "signer/extra");
    let nameless = draft.clone().signer(Capacity::Holder, None, key("nobody"));
    assert_eq!(world.refuse(nameless), "signer/extra");
    let sent = world.accept(draft);
    let correction = correcting(&world, sent, None, FROM_RED_CROSS);
    let twice = correction.signer(Capacity::Holder, Some(&handle("red-cross")), key("second"));
    assert_eq!(world.refuse(twice), "signer/extra");
}

/// Fewer than k registrars, in every statement that needs k.
#[test]
fn one_registrar_only_enrols_provisionally_recalls_and_disputes() {
    let mut world = World::new();
    world.enrol("tent", Role::Recipient, 1);
    let gift = give(&mut world, "red-cross", 10, &[("tent", 10)]);
    let route = ("red-cross", "S", "tent");
    world.accept(sending(&world, route, Purpose::Issue, (gift, Some("tent"), 10)));
    world.accept(taking(&world, route, false, (gift, Some("tent"), [6, 0, 0, 0, 0])));
    assert_eq!(reached(&world, gift), [("provisional", 6)]);
    let one = [(Capacity::Registrar, "registrar-1")];
    let particulars = Particulars { name: text("Tent"), identifier: text(""), place: text("") };
    let vouch = PartyUpdated { handle: handle("tent"), particulars, successor: None };
    assert_eq!(world.refuse(world.draft(vouch.clone(), &one)), "registrars/too-few");
    let rotated = KeyRotated { handle: handle("tent"), old: key("tent"), new: key("tent 2") };
    let draft = world.draft(rotated, &one);
    let draft = draft.signer(Capacity::NewKey, Some(&handle("tent")), key("tent 2"));
    assert_eq!(world.refuse(draft), "registrars/too-few");
    let two = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
    world.accept(world.draft(vouch.clone(), &two));
    assert_eq!(world.refuse(world.draft(vouch, &two)), "event/no-change");
    world.accept(taking(&world, route, true, (gift, Some("tent"), [4, 0, 0, 0, 0])));
    // Never backwards: what was signed before stays provisional.
    assert_eq!(reached(&world, gift), [("vouched", 4), ("provisional", 6)]);
}
