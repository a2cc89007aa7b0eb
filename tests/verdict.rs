//! Every headline and every flag, on journeys written out by hand.

use giftproof::model::encoding::List;
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use giftproof::model::state::History;
use giftproof::model::verdict::{
    AsOf, Flag, Headline, LateClock, Missing, Proof, Summary, Verdict,
};

use crate::util::*;

fn verdict(world: &World, gift: EventHash) -> Verdict {
    let mut as_of = AsOf::last_entry(&world.state);
    as_of.day = world.now.date(480);
    Verdict::of(&world.state, &world.state.gifts.get(&gift).unwrap(), as_of)
}

fn headline(world: &World, gift: EventHash) -> Headline {
    verdict(world, gift).headline
}

fn words(world: &World, gift: EventHash) -> Vec<&'static str> {
    verdict(world, gift).flags.iter().map(Flag::word).collect()
}

/// 100 gloves, recorded by the Red Cross, for hospital A.
fn designated(world: &mut World) -> EventHash {
    let lines = vec![line(1, "gloves", 100, "pair", &[("hospital-a", 100)])];
    world.accept(world.draft(recorded("red-cross", lines), &[(Capacity::Taker, "red-cross")]))
}

fn send(world: &mut World, gift: EventHash, to: &str, meant_for: Option<&str>, quantity: u64) {
    let id = shipment("red-cross", "S-1");
    let sent = portions(&[(gift, 1, meant_for, quantity)]);
    let statement = dispatch(id, to, Purpose::Issue, sent);
    world.accept(world.draft(statement, &[(Capacity::Holder, "red-cross")]));
}

fn sign(world: &mut World, gift: EventHash, by: &str, meant_for: Option<&str>, q: [u64; 5]) {
    let arrived = vec![arrival(goods(gift, 1, meant_for), q)];
    let statement = receipt(shipment("red-cross", "S-1"), false, arrived);
    world.accept(world.draft(statement, &[(Capacity::Taker, by)]));
}

#[test]
fn a_designated_gift_goes_through_its_headlines() {
    let mut world = World::new();
    let gift = designated(&mut world);
    assert_eq!(headline(&world, gift), Headline::WaitingToBeSent);
    send(&mut world, gift, "hospital-a", Some("hospital-a"), 100);
    assert_eq!(headline(&world, gift), Headline::OnTheWay);
    let delivery = Delivery {
        shipment: shipment("red-cross", "S-1"),
        place: text("gate 3"),
        waybill: text(""),
        time: text("03:10"),
    };
    world.accept(world.draft(delivery, &[(Capacity::Holder, "red-cross")]));
    assert_eq!(headline(&world, gift), Headline::ClaimedNotSigned);
    assert_eq!(verdict(&world, gift).proven[0].proof, Proof::ClaimedByOthers);
    sign(&mut world, gift, "hospital-a", Some("hospital-a"), [60, 0, 0, 0, 0]);
    assert_eq!(headline(&world, gift), Headline::ReceivedInPart);
    sign(&mut world, gift, "hospital-a", Some("hospital-a"), [40, 0, 0, 0, 0]);
    let verdict = verdict(&world, gift);
    assert_eq!(verdict.headline, Headline::ReceivedInFull);
    let total = verdict.total.unwrap();
    assert_eq!((total.donated, total.accepted), (100, 100));
    assert_eq!(verdict.proven.len(), 1);
    assert_eq!((verdict.proven[0].quantity, &verdict.proven[0].proof), (100, &Proof::Vouched));
    assert_eq!(verdict.missing, [Missing::DonorSignature]);
}

#[test]
fn damage_makes_it_received_with_differences() {
    let mut world = World::new();
    let gift = designated(&mut world);
    send(&mut world, gift, "hospital-a", Some("hospital-a"), 100);
    sign(&mut world, gift, "hospital-a", Some("hospital-a"), [96, 0, 4, 0, 0]);
    assert_eq!(headline(&world, gift), Headline::ReceivedWithDifferences);
    let verdict = verdict(&world, gift);
    assert!(verdict.flags.contains(&Flag::Damaged { quantity: 4 }));
    let proven: Vec<_> = verdict.proven.iter().map(|p| (p.quantity, p.proof.clone())).collect();
    assert_eq!(proven, [(96, Proof::Vouched), (4, Proof::ArrivedUnfit)]);
}

#[test]
fn all_damaged_is_not_waiting() {
    let mut world = World::new();
    let gift = designated(&mut world);
    send(&mut world, gift, "hospital-a", Some("hospital-a"), 100);
    sign(&mut world, gift, "hospital-a", Some("hospital-a"), [0, 0, 100, 0, 0]);
    assert_eq!(headline(&world, gift), Headline::ReceivedWithDifferences);
    assert_eq!(verdict(&world, gift).total.unwrap().accepted, 0);
}

#[test]
fn rejected_goods_wait_with_their_giver() {
    let mut world = World::new();
    let gift = designated(&mut world);
    send(&mut world, gift, "hospital-a", Some("hospital-a"), 100);
    sign(&mut world, gift, "hospital-a", Some("hospital-a"), [0, 0, 0, 100, 0]);
    assert_eq!(headline(&world, gift), Headline::WaitingToBeSent);
    assert!(words(&world, gift).contains(&"rejected"));
}

#[test]
fn pending_goods_are_being_inspected() {
    let mut world = World::new();
    let gift = designated(&mut world);
    send(&mut world, gift, "hospital-a", Some("hospital-a"), 100);
    sign(&mut world, gift, "hospital-a", Some("hospital-a"), [0, 100, 0, 0, 0]);
    assert_eq!(headline(&world, gift), Headline::BeingInspected);
    assert_eq!(
        verdict(&world, gift).missing.last(),
        Some(&Missing::Inspection { holder: handle("hospital-a") })
    );
}

#[test]
fn what_others_accept_reached_another_unit() {
    let mut world = World::new();
    let gift = designated(&mut world);
    send(&mut world, gift, "hospital-b", Some("hospital-a"), 100);
    sign(&mut world, gift, "hospital-b", Some("hospital-a"), [100, 0, 0, 0, 0]);
    assert_eq!(headline(&world, gift), Headline::ReachedAnotherUnit);
}

#[test]
fn a_recipient_that_writes_both_sides_has_received_nothing_provable() {
    let mut world = World::new();
    let lines = vec![line(1, "gloves", 100, "pair", &[("hospital-a", 100)])];
    let donation = recorded("hospital-a", lines);
    let gift = world.accept(world.draft(donation, &[(Capacity::Taker, "hospital-a")]));
    assert_eq!(headline(&world, gift), Headline::RecordedByRecipientAlone);
    assert_eq!(verdict(&world, gift).total.unwrap().accepted, 0);
    assert_eq!(verdict(&world, gift).proven[0].proof, Proof::RecipientAlone);
}

#[test]
fn a_promise_is_announced_only_until_it_is_received_or_withdrawn() {
    let mut world = World::new();
    let lines = vec![line(1, "gloves", 100, "pair", &[("hospital-a", 100)])];
    let mut donation = recorded("red-cross", lines);
    donation.taker = None;
    donation.donor.kind = DonorKind::Enrolled;
    donation.donor.party = Some(handle("factory"));
    let by_donor = [(Capacity::Donor, "factory")];
    let gift = world.accept(world.draft(donation, &by_donor));
    assert_eq!(headline(&world, gift), Headline::AnnouncedOnly);
    // The donor's own word that it was sent is still only the donor's word.
    let sent = portions(&[(gift, 1, Some("hospital-a"), 40)]);
    let statement = dispatch(shipment("factory", "F-1"), "hospital-a", Purpose::Issue, sent);
    world.accept(world.draft(statement, &[(Capacity::Holder, "factory")]));
    assert_eq!(headline(&world, gift), Headline::AnnouncedOnly);
    let arrived = vec![arrival(goods(gift, 1, Some("hospital-a")), [40, 0, 0, 0, 0])];
    let statement = receipt(shipment("factory", "F-1"), false, arrived);
    world.accept(world.draft(statement, &[(Capacity::Taker, "hospital-a")]));
    assert_eq!(headline(&world, gift), Headline::ReceivedInPart);
    let withdrawal = Withdrawal { portions: portions(&[(gift, 1, Some("hospital-a"), 60)]) };
    world.accept(world.draft(withdrawal, &by_donor));
    assert_eq!(headline(&world, gift), Headline::ReceivedInFull);
}

#[test]
fn undesignated_goods_wait_to_be_assigned_and_can_be_lost() {
    let mut world = World::new();
    let lines = vec![line(1, "gloves", 100, "pair", &[])];
    let donation = recorded("red-cross", lines);
    let gift = world.accept(world.draft(donation, &[(Capacity::Taker, "red-cross")]));
    assert_eq!(headline(&world, gift), Headline::WaitingToBeAssigned);
    let dispose = |fate| Disposal {
        fate,
        condition: Condition::Good,
        to: text(""),
        proceeds: None,
        portions: portions(&[(gift, 1, None, 50)]),
    };
    let by_holder = [(Capacity::Holder, "red-cross")];
    world.accept(world.draft(dispose(Fate::Lost), &by_holder));
    assert_eq!(headline(&world, gift), Headline::WaitingToBeAssigned);
    let lost = world.draft(dispose(Fate::Lost), &by_holder);
    let sold = world.draft(dispose(Fate::Sold), &by_holder);
    let before = world.state.clone();
    world.accept(lost);
    assert_eq!(headline(&world, gift), Headline::Lost);
    world.state = before;
    world.accept(sold);
    assert_eq!(headline(&world, gift), Headline::DisposedOf);
}

#[test]
fn a_failed_entry_outweighs_everything() {
    let mut world = World::new();
    let gift = designated(&mut world);
    let subjects = [giftproof::model::subject::Subject::Gift(gift)].into();
    world.state.fail(&subjects, 9, "balance/exceeded");
    assert_eq!(headline(&world, gift), Headline::LedgerFails);
}

#[test]
fn a_paper_receipt_is_a_claim() {
    let mut world = World::new();
    let gift = designated(&mut world);
    let attestation = Attestation {
        evidence: EvidenceKind::PaperReceipt,
        text: text("stamped, in our files"),
        url: text(""),
        from: None,
        until: None,
        held_by: Some(handle("red-cross")),
        recipient_name: text("hospital-a"),
        shipment: None,
        goods: List::new(vec![Testimony {
            goods: goods(gift, 1, Some("hospital-a")),
            quantity: 100,
        }])
        .unwrap(),
        listed: List::default(),
    };
    world.accept(world.draft(attestation, &[(Capacity::Speaker, "red-cross")]));
    assert_eq!(headline(&world, gift), Headline::ClaimedNotSigned);
    let paper = Proof::Paper { held_by: Some(handle("red-cross")) };
    assert!(verdict(&world, gift).proven.iter().any(|proven| proven.proof == paper));
}

#[test]
fn the_own_deadline_is_met_by_the_first_delivery() {
    let mut world = World::new();
    let lines = vec![line(1, "gloves", 100, "pair", &[("hospital-a", 100)])];
    let mut donation = recorded("red-cross", lines);
    donation.deadline = Some("2026-01-04".parse().unwrap());
    let gift = world.accept(world.draft(donation, &[(Capacity::Taker, "red-cross")]));
    send(&mut world, gift, "hospital-a", Some("hospital-a"), 100);
    world.wait_days(5);
    let overdue = Flag::Overdue { clock: LateClock::Deadline, days: 2 };
    assert!(verdict(&world, gift).flags.contains(&overdue));
    let delivery = Delivery {
        shipment: shipment("red-cross", "S-1"),
        place: text(""),
        waybill: text(""),
        time: text(""),
    };
    let carrier = [(Capacity::Holder, "red-cross")];
    let draft = world.draft(delivery, &carrier).on("2026-01-04".parse().unwrap());
    world.accept(draft);
    assert!(!words(&world, gift).contains(&"overdue"));
    assert!(!words(&world, gift).contains(&"late"));
    let early = world.draft(
        receipt(
            shipment("red-cross", "S-1"),
            true,
            vec![arrival(goods(gift, 1, Some("hospital-a")), [100, 0, 0, 0, 0])],
        ),
        &[(Capacity::Taker, "hospital-a")],
    );
    world.accept(early.on("2026-01-03".parse().unwrap()));
    assert!(words(&world, gift).contains(&"receipt-before-delivery"));
    assert_eq!(headline(&world, gift), Headline::ReceivedInFull);
}

#[test]
fn a_recall_of_a_lot_shows_until_it_is_lifted() {
    let mut world = World::new();
    let mut gloves = line(1, "gloves", 100, "pair", &[("hospital-a", 100)]);
    let lot = Lot { number: text("L7"), expires_on: None };
    gloves.lots = List::new(vec![lot]).unwrap();
    let donation = recorded("red-cross", vec![gloves]);
    let gift = world.accept(world.draft(donation, &[(Capacity::Taker, "red-cross")]));
    let recall = |lot: &str| Recall {
        item: text("gloves"),
        lot: text(lot),
        number: text("R-1"),
        text: text(""),
    };
    let by_maker = [(Capacity::Speaker, "mask-maker")];
    world.accept(world.draft(recall("L8"), &by_maker));
    assert!(!words(&world, gift).contains(&"recalled"));
    let event = world.accept(world.draft(recall("L7"), &by_maker));
    assert!(words(&world, gift).contains(&"recalled"));
    let lifted = RecallLifted { recall: event, item: text("gloves"), lot: text("L7") };
    world.accept(world.draft(lifted, &by_maker));
    assert!(!words(&world, gift).contains(&"recalled"));
}

#[test]
fn changed_recipients_corrections_disputes_and_keys_are_flagged() {
    let mut world = World::new();
    let gift = designated(&mut world);
    let designation = Designation {
        holder: handle("red-cross"),
        order: None,
        decided_by: text("the charity's board"),
        decision: text(""),
        consent: Consent::None,
        assignments: List::new(vec![Assignment {
            goods: goods(gift, 1, Some("hospital-a")),
            recipient: handle("hospital-b"),
            quantity: 30,
        }])
        .unwrap(),
    };
    world.accept(world.draft(designation, &[(Capacity::Holder, "red-cross")]));
    let dispute = Dispute { gift, claim: Claim::Recipient, text: text("not what was promised") };
    world.accept(world.draft(dispute, &[(Capacity::Speaker, "hospital-a")]));
    let compromised = KeyCompromised {
        handle: handle("red-cross"),
        key: key("red-cross"),
        since: "2025-12-31".parse().unwrap(),
    };
    let registrars = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];
    world.accept(world.draft(compromised, &registrars));
    let words = words(&world, gift);
    for word in ["changed-without-consent", "disputed", "key-compromised", "donor-only-recorded"] {
        assert!(words.contains(&word), "{word} is not among {words:?}");
    }
    assert_eq!(verdict(&world, gift).recipients.len(), 2);
    let with_it =
        world.state.gifts.get(&gift).unwrap().entries.clone().into_iter().filter(|index| {
            let head = world.log.event(*index).unwrap().event.head;
            head.signers.iter().any(|signer| signer.key == key("red-cross"))
        });
    let with_it: Vec<_> = with_it.map(|index| (index, key("red-cross"))).collect();
    let flagged = verdict(&world, gift).flags.into_iter().filter_map(|flag| match flag {
        Flag::KeyCompromised { index, key, .. } => Some((index, key)),
        _ => None,
    });
    assert_eq!(flagged.collect::<Vec<_>>(), with_it);
    assert_eq!(with_it.len(), 2, "the donation and its change");
}

#[test]
fn a_long_campaign_must_report_every_three_months() {
    let mut world = World::new();
    let mut donation = recorded("red-cross", vec![line(1, "gloves", 100, "pair", &[])]);
    donation.campaign = text("C-2026-1");
    world.accept(world.draft(donation, &[(Capacity::Taker, "red-cross")]));
    let silent = |world: &World| {
        let mut as_of = AsOf::last_entry(&world.state);
        as_of.day = world.now.date(480);
        let silent = Summary::of(&world.state, as_of).silent_campaigns;
        silent.iter().map(|silent| silent.days).collect::<Vec<_>>()
    };
    let report = |world: &mut World| {
        let attestation = Attestation {
            evidence: EvidenceKind::Report,
            text: text("what came in and went out"),
            url: text(""),
            from: None,
            until: None,
            held_by: None,
            recipient_name: text(""),
            shipment: None,
            goods: List::default(),
            listed: List::default(),
        };
        let mut draft = world.draft(attestation, &[(Capacity::Speaker, "red-cross")]);
        let number = text("C-2026-1");
        draft.documents.push(Document { kind: DocumentKind::Notice, number, sha256: None });
        world.accept(draft);
    };
    world.wait_days(88);
    report(&mut world);
    world.wait_days(90);
    report(&mut world);
    // 178 days: not yet a campaign that must report at all; 10 days later it is, and it has.
    assert!(silent(&world).is_empty());
    world.wait_days(10);
    assert!(silent(&world).is_empty());
    world.wait_days(85);
    assert_eq!(silent(&world), [5]);
}
