//! Keys, registrars, operator and rules: everything takes effect at its own index. Needs, recalls,
//! disputes and attestations.

use giftproof::model::date::Date;
use giftproof::model::ident::KeyBytes;

use super::*;

const TWO: [(Capacity, &str); 2] =
    [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];

fn with_new(draft: Draft, owner: &str, key: KeyBytes) -> Draft {
    draft.signer(Capacity::NewKey, Some(&handle(owner)), key)
}

fn declare(world: &World, by: &str, key: KeyBytes) -> Draft {
    let need = NeedDeclared {
        item: text("mask"),
        standard: text(""),
        quantity: None,
        unit: text("pcs"),
        wanted_by: None,
    };
    world.draft(need, &[]).signer(Capacity::Recipient, Some(&handle(by)), key)
}

#[test]
fn keys_come_and_go_at_their_own_index() {
    let mut world = World::new();
    let party = || handle("hospital-a");
    let [first, second, third] = ["hospital-a", "second", "third"].map(key);
    assert_eq!(world.refuse(declare(&world, "hospital-a", second)), "key/not-of-party");
    let added = KeyAdded { handle: party(), key: second };
    let one = world.draft(added.clone(), &TWO[..1]);
    assert_eq!(world.refuse(with_new(one, "hospital-a", second)), "registrars/too-few");
    assert_eq!(world.refuse(world.draft(added.clone(), &TWO)), "signer/missing");
    let operator = world.draft(added.clone(), &[(Capacity::Operator, "operator")]);
    assert_eq!(world.refuse(with_new(operator, "hospital-a", second)), "registrars/too-few");
    world.accept(with_new(world.draft(added, &TWO), "hospital-a", second));
    world.accept(declare(&world, "hospital-a", first));
    world.accept(declare(&world, "hospital-a", second));

    let rotated = KeyRotated { handle: party(), old: first, new: third };
    let draft = world.draft(rotated, &[]).signer(Capacity::Oneself, Some(&party()), first);
    world.accept(with_new(draft, "hospital-a", third));
    assert_eq!(world.refuse(declare(&world, "hospital-a", first)), "key/ended");
    world.accept(declare(&world, "hospital-a", third));
    assert_eq!(world.state.parties.key(&first).unwrap().ended, Some(world.state.size - 2));
    assert!(!world.state.parties.key(&third).unwrap().recovered);

    // One key of a party does not end another: a thief of one would lock out the rest.
    let revoked = KeyRevoked { handle: party(), key: third };
    let by = |key| world.draft(revoked.clone(), &[]).signer(Capacity::Oneself, Some(&party()), key);
    let (by_second, by_third) = (by(second), by(third));
    assert_eq!(world.refuse(by_second), "registrars/too-few");
    world.accept(by_third);
    assert_eq!(world.refuse(declare(&world, "hospital-a", third)), "key/ended");
    let again = KeyRotated { handle: party(), old: third, new: key("fourth") };
    let draft = with_new(world.draft(again, &TWO), "hospital-a", key("fourth"));
    assert_eq!(world.refuse(draft), "key/ended");
    let ended_for_ever = KeyAdded { handle: party(), key: first };
    let draft = with_new(world.draft(ended_for_ever, &TWO), "hospital-a", first);
    assert_eq!(world.refuse(draft), "key/taken");
    let by_registrars = KeyRevoked { handle: party(), key: second };
    world.accept(world.draft(by_registrars, &TWO));
    assert_eq!(world.refuse(declare(&world, "hospital-a", second)), "key/ended");
}

/// A lost key, replaced on the registrars' word, says so; and so does its successor.
#[test]
fn a_recovered_key_stays_recovered() {
    let mut world = World::new();
    let party = handle("hospital-a");
    let rotate = |old: &str, new: &str| KeyRotated {
        handle: handle("hospital-a"),
        old: key(old),
        new: key(new),
    };
    let draft = world.draft(rotate("hospital-a", "found"), &TWO);
    world.accept(with_new(draft, "hospital-a", key("found")));
    let draft = world.draft(rotate("found", "next"), &[]);
    let draft = draft.signer(Capacity::Oneself, Some(&party), key("found"));
    world.accept(with_new(draft, "hospital-a", key("next")));
    let standing = |name| world.state.parties.standing(&party, &key(name), world.state.size);
    assert_eq!(standing("found"), Standing::Recovered);
    assert_eq!(standing("next"), Standing::Recovered);
}

#[test]
fn compromise_is_noted_by_the_party_or_registrars_and_ends_nothing() {
    let mut world = World::new();
    let since = |days| KeyCompromised {
        handle: handle("hospital-a"),
        key: key("hospital-a"),
        since: Date::from_days(days).unwrap(),
    };
    let by_other = world.draft(since(20_000), &[(Capacity::Oneself, "hospital-b")]);
    assert_eq!(world.refuse(by_other), "signer/wrong");
    assert_eq!(world.refuse(world.draft(since(20_000), &TWO[..1])), "registrars/too-few");
    world.accept(world.draft(since(20_000), &[(Capacity::Oneself, "hospital-a")]));
    world.accept(world.draft(since(19_000), &TWO));
    world.accept(world.draft(since(20_500), &TWO));
    let noted = world.state.parties.key(&key("hospital-a")).unwrap().compromised_since;
    assert_eq!(noted, Date::from_days(19_000).ok(), "the earliest day stands");
    world.accept(declare(&world, "hospital-a", key("hospital-a")));
}

#[test]
fn registrars_change_and_so_does_who_counts() {
    let mut world = World::new();
    let changed = RegistrarsChanged {
        registrars: List::new(["registrar-2", "registrar-3", "registrar-4"].map(identity).to_vec())
            .unwrap(),
        threshold: 3,
    };
    let draft = world.draft(changed.clone(), &TWO);
    assert_eq!(world.refuse(draft.clone()), "signer/missing", "the new one must sign");
    world.accept(with_new(draft, "registrar-4", key("registrar-4")));
    let back = RegistrarsChanged { threshold: 2, ..changed };
    assert_eq!(world.refuse(world.draft(back.clone(), &TWO)), "signer/wrong");
    let three = ["registrar-2", "registrar-3", "registrar-4"].map(|r| (Capacity::Registrar, r));
    assert_eq!(world.refuse(world.draft(back.clone(), &three[..2])), "registrars/too-few");
    world.accept(world.draft(back.clone(), &three));
    world.accept(world.draft(back, &three[1..]));
}

#[test]
fn the_operator_rotates_with_the_registrars() {
    let mut world = World::new();
    let size = world.state.size;
    let rotated = OperatorRotated { key: key("operator 2") };
    let draft = with_new(world.draft(rotated.clone(), &TWO[..1]), "operator", key("operator 2"));
    assert_eq!(world.refuse(draft), "registrars/too-few");
    world.accept(with_new(world.draft(rotated, &TWO), "operator", key("operator 2")));
    // A checkpoint of size s is signed by the key valid at index s - 1.
    assert_eq!(world.state.parties.operator_key_at(size), key("operator"));
    assert_eq!(world.state.parties.operator_key_at(size + 1), key("operator 2"));
    let enrolled = |signer| {
        let statement = PartyEnrolled {
            handle: handle("trucks"),
            kind: PartyKind::Organisation,
            roles: List::new(vec![Role::Carrier]).unwrap(),
            particulars: Particulars {
                name: text("Trucks"),
                identifier: text(""),
                place: text(""),
            },
            key: key("trucks"),
        };
        let draft = with_new(world.draft(statement, &[]), "trucks", key("trucks"));
        draft.signer(Capacity::Operator, Some(&handle("operator")), key(signer))
    };
    let (old, new) = (enrolled("operator"), enrolled("operator 2"));
    assert_eq!(world.refuse(old), "key/ended");
    world.accept(new);
}

#[test]
fn rules_hold_from_the_entry_after() {
    let mut world = World::new();
    let mut stricter = rules();
    stricter.inclusion_seconds = 60;
    let changed = RulesChanged { rules: stricter };
    assert_eq!(world.refuse(world.draft(changed.clone(), &TWO[..1])), "registrars/too-few");
    world.accept(world.draft(changed, &TWO));
    let at = world.state.size - 1;
    assert_eq!(world.state.rules_at(at).inclusion_seconds, 86_400);
    assert_eq!(world.state.rules_at(at + 1).inclusion_seconds, 60);
}

#[test]
fn needs_are_closed_by_who_declared_them() {
    let mut world = World::new();
    assert_eq!(world.refuse(declare(&world, "red-cross", key("red-cross"))), "party/role");
    let need = world.accept(declare(&world, "hospital-a", key("hospital-a")));
    let closed = NeedClosed { need };
    let by = |name| [(Capacity::Recipient, name)];
    assert_eq!(world.refuse(world.draft(closed.clone(), &by("hospital-b"))), "signer/wrong");
    world.accept(world.draft(closed.clone(), &by("hospital-a")));
    assert_eq!(world.refuse(world.draft(closed, &by("hospital-a"))), "need/unknown");
}

#[test]
fn disputes_are_open_until_who_raised_them_closes_them() {
    let mut world = World::new();
    let mut donation = recorded("red-cross", vec![line(1, "mask", 1, "pcs", &[("hospital-a", 1)])]);
    donation.donor.kind = DonorKind::OneTimeKey;
    donation.donor.key = Some(key("donor"));
    let draft = world.draft(donation, BY_RED_CROSS).signer(Capacity::Donor, None, key("donor"));
    let gift = world.accept(draft);
    let dispute = Dispute { gift, claim: Claim::NotReceived, text: text("where is it?") };
    let speaker = |name| [(Capacity::Speaker, name)];
    let donor = |draft: Draft| draft.signer(Capacity::Donor, None, key("donor"));
    assert_eq!(world.refuse(world.draft(dispute.clone(), &speaker("warehouse"))), "signer/wrong");
    let raised = world.accept(donor(world.draft(dispute.clone(), &[])));
    assert_eq!(world.refuse(donor(world.draft(dispute.clone(), &[]))), "dispute/open");
    world.accept(world.draft(dispute.clone(), &speaker("hospital-a")));
    world.accept(world.draft(dispute.clone(), &[(Capacity::Registrar, "registrar-1")]));
    assert_eq!(world.refuse(world.draft(dispute.clone(), &TWO)), "signer/missing");
    let answer = Answer { gift, dispute: raised, text: text("on its way") };
    assert_eq!(world.refuse(donor(world.draft(answer.clone(), &[]))), "party/same");
    world.accept(world.draft(answer.clone(), &speaker("red-cross")));
    let closed = DisputeClosed { gift, dispute: raised, text: text("it is here") };
    assert_eq!(world.refuse(world.draft(closed.clone(), &speaker("red-cross"))), "signer/wrong");
    world.accept(donor(world.draft(closed.clone(), &[])));
    assert_eq!(world.refuse(donor(world.draft(closed, &[]))), "dispute/unknown");
    assert_eq!(world.refuse(world.draft(answer, &speaker("red-cross"))), "dispute/unknown");
    let first = &world.state.gifts.get(&gift).unwrap().disputes[0];
    assert_eq!((first.answers.len(), first.closed), (1, Some(world.state.size - 1)));
    world.accept(donor(world.draft(dispute, &[])));
}

/// What the slip's key disputed, the donor that took the gift over can close.
#[test]
fn a_dispute_outlives_the_key_that_raised_it() {
    let mut world = World::new();
    let mut slip = recorded("red-cross", vec![line(1, "mask", 1, "pcs", &[])]);
    slip.donor.kind = DonorKind::Slip;
    slip.donor.party = Some(handle("red-cross"));
    slip.donor.key = Some(key("slip"));
    let by_slip = |draft: Draft| draft.signer(Capacity::Donor, None, key("slip"));
    let gift = world.accept(by_slip(world.draft(slip, BY_RED_CROSS)));
    let dispute = Dispute { gift, claim: Claim::Other, text: text("") };
    let dispute = world.accept(by_slip(world.draft(dispute, &[])));
    let own = |name: &str| Donor {
        kind: DonorKind::Enrolled,
        party: Some(handle(name)),
        key: None,
        name: text(""),
    };
    let over = |name: &str| GiftTakenOver { gift, donor: own(name) };
    let draft = by_slip(world.draft(over("red-cross"), &[(Capacity::Oneself, "red-cross")]));
    assert_eq!(world.refuse(draft), "party/role");
    world.accept(by_slip(world.draft(over("factory"), &[(Capacity::Oneself, "factory")])));
    let closed = DisputeClosed { gift, dispute, text: text("") };
    world.accept(world.draft(closed, &[(Capacity::Speaker, "factory")]));
}

#[test]
fn recalls_are_lifted_by_who_recalled_or_k_registrars() {
    let mut world = World::new();
    let recall = |number: &str| Recall {
        item: text("mask"),
        lot: text("L1"),
        number: text(number),
        text: text(""),
    };
    let by_charity = world.draft(recall("0"), &[(Capacity::Speaker, "red-cross")]);
    assert_eq!(world.refuse(by_charity), "party/role");
    assert_eq!(world.refuse(world.draft(recall("0"), &TWO)), "signer/missing");
    let mut recalls = Vec::new();
    for (number, by) in [
        ("1", (Capacity::Speaker, "mask-maker")),
        ("2", (Capacity::Speaker, "regulator")),
        ("3", (Capacity::Registrar, "registrar-1")),
    ] {
        recalls.push(world.accept(world.draft(recall(number), &[by])));
    }
    let lifted =
        |at: usize| RecallLifted { recall: recalls[at], item: text("mask"), lot: text("L1") };
    let maker = [(Capacity::Speaker, "mask-maker")];
    assert_eq!(world.refuse(world.draft(lifted(1), &maker)), "signer/wrong");
    world.accept(world.draft(lifted(0), &maker));
    assert_eq!(world.refuse(world.draft(lifted(0), &maker)), "recall/unknown");
    assert_eq!(world.refuse(world.draft(lifted(1), &TWO[..1])), "registrars/too-few");
    world.accept(world.draft(lifted(1), &TWO));
    assert_eq!(world.refuse(world.draft(lifted(2), &TWO[1..])), "registrars/too-few");
    world.accept(world.draft(lifted(2), &TWO[..1]));
}

#[test]
fn attestations_speak_of_gifts_or_stand_alone() {
    let mut world = World::new();
    let gift = give(&mut world, "red-cross", 10, &[("hospital-a", 10)]);
    let mut paper = Attestation {
        evidence: EvidenceKind::PaperReceipt,
        text: text(""),
        url: text(""),
        from: None,
        until: None,
        held_by: Some(handle("red-cross")),
        recipient_name: text("Hospital A"),
        shipment: None,
        goods: List::new(vec![Testimony {
            goods: goods(gift, 1, Some("hospital-a")),
            quantity: 9,
        }])
        .unwrap(),
        listed: List::default(),
    };
    let by = [(Capacity::Speaker, "red-cross")];
    world.accept(world.draft(paper.clone(), &by));
    let evidence = &world.state.gifts.get(&gift).unwrap().evidence[0];
    assert_eq!((evidence.line, evidence.quantity), (1, 9));
    expect(&world, gift, &[("red-cross good", 10)]);
    paper.held_by = Some(handle("nobody"));
    assert_eq!(world.refuse(world.draft(paper.clone(), &by)), "party/unknown");
    (paper.held_by, paper.goods) = (None, List::default());
    world.accept(world.draft(paper, &by));
    assert!(world.state.publications.keys().eq([&(world.state.size - 1)]));
}
