//! Logs that an auditor must accept: whole journeys, every kind of event.

use giftproof::model::draft::Draft;
use giftproof::model::encoding::List;
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, document_hash};
use giftproof::model::ident::ShipmentId;
use giftproof::model::note::CosignatureTime;

use super::case::Case;
use super::crafted;
use super::scribe::{ORIGIN, Scribe, checkpoint, note_key};
use super::seals;
use super::statements::*;
use crate::util::*;

/// Every accepted log.
pub fn all() -> Vec<Case> {
    let mut cases = vec![
        first_receipt_case(),
        announced(),
        in_person(),
        by_recipient_alone(),
        slip(),
        order(),
        hand_to_hand(),
        packs(),
        returned(),
        provisional(),
        unsupported(),
        corrections(),
        speech(),
        keys(),
        offices(),
        witnessed(),
        crafted_signature(),
        unknown_kind(),
        unknown_version(),
    ];
    cases.extend(seals::accepted());
    cases
}

/// Sends all of these and has them accepted.
fn pass_on(
    log: &mut Scribe,
    id: ShipmentId,
    taker: &str,
    purpose: Purpose,
    gift: EventHash,
    quantity: u64,
) {
    let to = Some("hospital-a");
    let giver = id.giver.as_str().to_owned();
    let sent = dispatch(id.clone(), taker, purpose, portions(&[(gift, 1, to, quantity)]));
    log.accept(log.draft(sent, &[(Capacity::Holder, giver.as_str())]));
    let arrived = vec![arrival(goods(gift, 1, to), [quantity, 0, 0, 0, 0])];
    log.accept(log.draft(receipt(id, false, arrived), &[(Capacity::Taker, taker)]));
}

fn first_receipt_case() -> Case {
    let log = first_receipt();
    let places =
        [("hospital-a good", 480), ("hospital-a damaged", 15), ("unaccounted red-cross", 5)];
    Case::ok("first-receipt", &log)
        .about("8.3", "500 sent, 480 accepted, 15 damaged, and no more will come.")
        .gift(only_gift(&log), "received-with-differences", &places)
}

fn announced() -> Case {
    let mut log = Scribe::with(&["factory", "carrier", "hospital-a"]);
    let mut donation =
        enrolled_donor(vec![line(1, "gloves", 1_000, "pairs", &[("hospital-a", 1_000)])], None);
    donation.deadline = Some("2026-02-01".parse().unwrap());
    let donor = [(Capacity::Donor, "factory")];
    let gift = log.accept(log.draft(donation, &donor));
    let to = Some("hospital-a");
    let back = Withdrawal { portions: portions(&[(gift, 1, to, 200)]) };
    log.accept(log.draft(back, &donor));
    let id = shipment("factory", "F-1");
    let mut sent =
        dispatch(id.clone(), "hospital-a", Purpose::Issue, portions(&[(gift, 1, to, 800)]));
    sent.carrier = Some(handle("carrier"));
    sent.packages = List::new(vec![Package {
        label: text("1/1"),
        seal: text("A-77"),
        content: text("8 cartons"),
    }])
    .unwrap();
    sent.package_count = Some(8);
    log.accept(log.draft(sent, &[(Capacity::Holder, "factory"), (Capacity::Carrier, "carrier")]));
    let delivery = Delivery {
        shipment: id.clone(),
        place: text("gate 2"),
        waybill: text(""),
        time: text("14:05"),
    };
    let delivery = log.draft(delivery, &[(Capacity::Carrier, "carrier")]);
    log.accept(delivery.on("2026-01-01".parse().unwrap()));
    let arrived = vec![arrival(goods(gift, 1, to), [800, 0, 0, 0, 3])];
    log.accept(log.draft(receipt(id, true, arrived), &HOSPITAL));
    Case::ok("announced-gift", &log)
        .about("8.3", "A donor announces 1,000, takes 200 back and sends 800; 3 more arrive.")
        .gift(gift, "received-in-full", &[("hospital-a good", 803), ("withdrawn", 200)])
}

fn in_person() -> Case {
    let mut log = Scribe::with(&["factory", "hospital-a"]);
    let lines = vec![line(1, "gloves", 10, "pairs", &[("hospital-a", 10)])];
    let donation = enrolled_donor(lines, Some("hospital-a"));
    let who = [(Capacity::Donor, "factory"), (Capacity::Taker, "hospital-a")];
    let gift = log.accept(log.draft(donation, &who));
    Case::ok("handed-over-in-person", &log)
        .about("8.4", "An enrolled donor and the final recipient sign the donation together.")
        .gift(gift, "received-in-full", &[("hospital-a good", 10)])
}

fn by_recipient_alone() -> Case {
    let mut log = Scribe::with(&["hospital-a"]);
    let lines = vec![line(1, "gloves", 10, "pairs", &[("hospital-a", 10)])];
    let donor = Donor {
        kind: DonorKind::OneTimeKey,
        party: None,
        key: Some(key("own-key")),
        name: text(""),
    };
    let donation = Donation { donor, ..recorded("hospital-a", lines) };
    let draft = log.draft(donation, &HOSPITAL).signer(Capacity::Donor, None, key("own-key"));
    let gift = log.accept(draft);
    Case::ok("recorded-by-the-recipient-alone", &log)
        .about("8.4", "A one-time key anybody can make does not make a receipt.")
        .gift(gift, "recorded-by-recipient-alone", &[("hospital-a good", 10)])
}

fn slip() -> Case {
    let mut log = Scribe::with(&["red-cross"]);
    let gift = slip_gift(&mut log);
    let donor = Donor {
        kind: DonorKind::OneTimeKey,
        party: None,
        key: Some(key("own-key")),
        name: text(""),
    };
    let draft = log.draft(GiftTakenOver { gift, donor }, &[]);
    let draft = draft.signer(Capacity::Donor, None, key("slip-1"));
    log.accept(draft.signer(Capacity::NewKey, None, key("own-key")));
    let dispute = log.accept(own_dispute(&log, gift, "own-key"));
    let answer = Answer { gift, dispute, text: text("in our store") };
    log.accept(log.draft(answer, &[(Capacity::Speaker, "red-cross")]));
    let closed = DisputeClosed { gift, dispute, text: text("seen") };
    log.accept(log.draft(closed, &[]).signer(Capacity::Donor, None, key("own-key")));
    Case::ok("slip-taken-over", &log)
        .about("7.3", "A slip's gift is taken over, disputed, answered and settled.")
        .gift(gift, "waiting-to-be-assigned", &[("red-cross good", 30)])
}

fn order() -> Case {
    let mut log = Scribe::with(&["red-cross", "headquarters", "hospital-a", "hospital-b"]);
    let gift = pooled(&mut log, 500, &[]);
    let order = log.accept(log.draft(hq_order(), &[(Capacity::Coordinator, "headquarters")]));
    let mut first = designation(vec![assign(gift, None, "hospital-a", 300)], Consent::NotNeeded);
    first.order = Some(order);
    log.accept(log.draft(first, &HOLDER));
    let change = vec![assign(gift, Some("hospital-a"), "hospital-b", 100)];
    let mut draft = log.draft(designation(change, Consent::Paper), &HOLDER);
    draft.documents = vec![Document {
        kind: DocumentKind::Consent,
        number: text("letter of 3 January"),
        sha256: Some(document_hash(b"a letter")),
    }];
    draft.reason = Some(Reason { code: ReasonCode::GreaterNeed, text: text("") });
    log.accept(draft);
    Case::ok("order-and-designations", &log)
        .about(
            "8.7",
            "Headquarters orders 300 of 500; 100 of them are changed by consent on paper.",
        )
        .gift(gift, "waiting-to-be-assigned", &[("red-cross good", 500)])
}

fn hand_to_hand() -> Case {
    let mut log = Scribe::with(&["red-cross", "hospital-a"]);
    let gift = pooled(&mut log, 100, &[("hospital-a", 100)]);
    let to = Some("hospital-a");
    let handed = Receipt {
        shipment: None,
        giver: Some(handle("red-cross")),
        purpose: Some(Purpose::Issue),
        closing: false,
        package_count: Some(2),
        temperature: text("4 °C"),
        arrivals: List::new(vec![arrival(goods(gift, 1, to), [85, 10, 5, 0, 0])]).unwrap(),
    };
    let both = [(Capacity::Taker, "hospital-a"), (Capacity::Holder, "red-cross")];
    log.accept(log.draft(handed, &both));
    let inspected = Finding { passed: 8, failed: 2, ..nothing_found(goods(gift, 1, to)) };
    let by = [(Capacity::Holder, "hospital-a")];
    log.accept(log.draft(count("", inspected), &by));
    let some = |quantity| portions(&[(gift, 1, to, quantity)]);
    let used = Use { ward: text("ICU"), purpose: text("protection"), portions: some(50) };
    log.accept(log.draft(used, &by));
    let gone = Disposal {
        fate: Fate::Destroyed,
        condition: Condition::Damaged,
        to: text(""),
        proceeds: None,
        portions: some(7),
    };
    log.accept(log.draft(gone, &by));
    let hold = Hold { cause: HoldCause::Recall, authority: text("maker"), portions: some(10) };
    log.accept(log.draft(hold, &by));
    log.accept(log.draft(Release { portions: some(4) }, &by));
    let places = [
        ("hospital-a good", 37),
        ("hospital-a on-hold", 6),
        ("used hospital-a", 50),
        ("destroyed hospital-a", 7),
    ];
    Case::ok("hand-to-hand", &log)
        .about("8.3", "Handed over, inspected, used, disposed of, held and released.")
        .gift(gift, "received-with-differences", &places)
}

fn packs() -> Case {
    let mut log = Scribe::with(&["red-cross", "hospital-a"]);
    let donation = recorded("red-cross", vec![line(1, "masks", 2, "boxes", &[])]);
    let gift = log.accept(log.draft(donation, &TAKER));
    let opened = Finding { opened: 2, loose: 3_980, ..nothing_found(goods(gift, 1, None)) };
    log.accept(log.draft(count("pieces", opened), &HOLDER));
    let loose = Goods { unit: UnitChoice::Loose, ..goods(gift, 1, None) };
    let short = Finding { shortage: 30, surplus: 3, ..nothing_found(loose.clone()) };
    log.accept(log.draft(count("", short), &HOLDER));
    let found = Finding { found: 10, ..nothing_found(loose.clone()) };
    log.accept(log.draft(count("", found), &HOLDER));
    let id = shipment("red-cross", "S-1");
    let sent = List::new(vec![Portion::new(loose.clone(), 2_000)]).unwrap();
    log.accept(log.draft(dispatch(id.clone(), "hospital-a", Purpose::Issue, sent), &HOLDER));
    let arrived = vec![arrival(loose, [2_000, 0, 0, 0, 0])];
    log.accept(log.draft(receipt(id, true, arrived), &HOSPITAL));
    let places = [
        ("hospital-a good", 2_000),
        ("opened red-cross", 2),
        ("red-cross good", 1_963),
        ("unaccounted red-cross", 20),
    ];
    Case::ok("packs-opened", &log)
        .about("8.2", "Two boxes hold 3,980 pieces; 30 are missing, 3 too many, 10 found again.")
        .gift(gift, "reached-another-unit", &places)
}

fn returned() -> Case {
    let mut log = Scribe::with(&["red-cross", "warehouse", "hospital-a"]);
    let gift = pooled(&mut log, 100, &[("hospital-a", 100)]);
    pass_on(&mut log, shipment("red-cross", "1"), "warehouse", Purpose::Transfer, gift, 100);
    pass_on(&mut log, shipment("warehouse", "1"), "hospital-a", Purpose::Issue, gift, 100);
    pass_on(&mut log, shipment("hospital-a", "1"), "warehouse", Purpose::Return, gift, 40);
    Case::ok("returned", &log).about("8.4", "A return takes back what had been reached.").gift(
        gift,
        "received-in-part",
        &[("hospital-a good", 60), ("warehouse good", 40)],
    )
}

fn provisional() -> Case {
    let mut log = Scribe::with(&["red-cross"]);
    log.enrol("tent", Role::Recipient, 1);
    let donation = recorded("red-cross", vec![line(1, "N95口罩", 10, "个", &[("tent", 10)])]);
    let gift = log.accept(log.draft(donation, &TAKER));
    let id = shipment("red-cross", "S-1");
    let sent = portions(&[(gift, 1, Some("tent"), 10)]);
    log.accept(log.draft(dispatch(id.clone(), "tent", Purpose::Issue, sent), &HOLDER));
    let arrived = vec![arrival(goods(gift, 1, Some("tent")), [10, 0, 0, 0, 0])];
    log.accept(log.draft(receipt(id, true, arrived), &[(Capacity::Taker, "tent")]));
    Case::ok("provisional-recipient", &log)
        .about("7.2", "One registrar enrols a tent hospital provisionally.")
        .gift(gift, "received-in-full", &[("tent good", 10)])
}

fn unsupported() -> Case {
    let mut log = Scribe::with(&["red-cross", "hospital-a"]);
    let gift = pooled(&mut log, 100, &[("hospital-a", 100)]);
    let arrived = vec![arrival(goods(gift, 1, Some("hospital-a")), [100, 0, 0, 0, 0])];
    let id = shipment("red-cross", "never sent");
    log.accept(log.draft(receipt(id, false, arrived), &HOSPITAL));
    Case::ok("unsupported-receipt", &log)
        .about("8.3", "A receipt for what nobody sent is recorded, and moves nothing.")
        .gift(gift, "waiting-to-be-sent", &[("red-cross good", 100)])
}

fn corrections() -> Case {
    let mut log = Scribe::with(&["red-cross", "hospital-a", "hospital-b"]);
    let shares = [("hospital-a", 16_000), ("hospital-b", 16_000)];
    let donation =
        |item, quantity| recorded("red-cross", vec![line(1, item, quantity, "个", &shares)]);
    let gift = log.accept(log.draft(donation("N95口罩", 36_000), &TAKER));
    let new = donation("KN95口罩", 35_000).into();
    log.accept(log.draft(correction(4, gift, Some(new), Kind::Donation), &TAKER));
    let to = Some("hospital-a");
    let id = shipment("red-cross", "S-1");
    let sent = portions(&[(gift, 1, to, 16_000)]);
    log.accept(log.draft(dispatch(id.clone(), "hospital-a", Purpose::Issue, sent), &HOLDER));
    let arrived = |accepted, damaged| {
        let arrival = arrival(goods(gift, 1, to), [accepted, 0, damaged, 0, 0]);
        receipt(id.clone(), false, vec![arrival])
    };
    let received = log.accept(log.draft(arrived(15_000, 1_000), &HOSPITAL));
    let new = arrived(15_900, 100).into();
    log.accept(log.draft(correction(7, received, Some(new), Kind::Receipt), &HOSPITAL));
    let by = [(Capacity::Holder, "hospital-a")];
    let used = Use { ward: text(""), purpose: text(""), portions: portions(&[(gift, 1, to, 500)]) };
    let used = log.accept(log.draft(used, &by));
    log.accept(log.draft(correction(9, used, None, Kind::Use), &by));
    let places =
        [("hospital-a damaged", 100), ("hospital-a good", 15_900), ("red-cross good", 19_000)];
    Case::ok("corrections", &log)
        .about(
            "8.6",
            "Item and quantity of a donation, a receipt's quantities, a use that was none.",
        )
        .gift(gift, "received-in-part", &places)
}

fn speech() -> Case {
    let mut log = Scribe::with(&["red-cross", "hospital-a", "mask-maker"]);
    let gift = pooled(&mut log, 10, &[]);
    let need = NeedDeclared {
        item: text("N95口罩"),
        standard: text("GB 19083"),
        quantity: None,
        unit: text("个"),
        wanted_by: Some("2026-01-09".parse().unwrap()),
    };
    let by = [(Capacity::Recipient, "hospital-a")];
    let need = log.accept(log.draft(need, &by));
    log.accept(log.draft(NeedClosed { need }, &by));
    let (item, lot) = (text("N95口罩"), text("L-1"));
    let recall = Recall {
        item: text("N95口罩"),
        lot: text("L-1"),
        number: text("R-1"),
        text: text("leaks"),
    };
    let recall = log.accept(log.draft(recall, &[(Capacity::Speaker, "mask-maker")]));
    let two = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-3")];
    log.accept(log.draft(RecallLifted { recall, item, lot }, &two));
    let listed = Listed { row: 3, item: text("gloves"), quantity: 40, unit: text("pairs") };
    let attestation = Attestation {
        evidence: EvidenceKind::Publication,
        text: text("issued in January"),
        url: text("https://charity.example/january"),
        from: Some("2026-01-01".parse().unwrap()),
        until: None,
        held_by: Some(handle("hospital-a")),
        recipient_name: text("Hospital A"),
        shipment: None,
        goods: List::new(vec![Testimony { goods: goods(gift, 1, None), quantity: 10 }]).unwrap(),
        listed: List::new(vec![listed]).unwrap(),
    };
    log.accept(log.draft(attestation, &[(Capacity::Speaker, "red-cross")]));
    let dispute = Dispute { gift, claim: Claim::Other, text: text("") };
    log.accept(log.draft(dispute, &[(Capacity::Registrar, "registrar-2")]));
    Case::ok("needs-recalls-evidence", &log)
        .about("7.3", "A need, a recall that is lifted, evidence, and a registrar's dispute.")
        .gift(gift, "waiting-to-be-assigned", &[("red-cross good", 10)])
}

fn keys() -> Case {
    let mut log = Scribe::with(&["hospital-a", "red-cross"]);
    let hospital = handle("hospital-a");
    let new = |draft: Draft, name| draft.signer(Capacity::NewKey, Some(&hospital), key(name));
    let own = |draft: Draft, name| draft.signer(Capacity::Oneself, Some(&hospital), key(name));
    let added = KeyAdded { handle: hospital.clone(), key: key("hospital-a-2") };
    let draft = new(log.draft(added, &TWO), "hospital-a-2");
    log.accept(draft);
    let rotated = |old, new| KeyRotated { handle: hospital.clone(), old: key(old), new: key(new) };
    let draft = log.draft(rotated("hospital-a", "hospital-a-3"), &[]);
    log.accept(own(new(draft, "hospital-a-3"), "hospital-a"));
    let draft = new(log.draft(rotated("hospital-a-2", "hospital-a-4"), &TWO), "hospital-a-4");
    log.accept(draft);
    let revoked = KeyRevoked { handle: hospital.clone(), key: key("hospital-a-3") };
    let draft = own(log.draft(revoked, &[]), "hospital-a-3");
    log.accept(draft);
    let since = "2026-01-01".parse().unwrap();
    let stolen = KeyCompromised { handle: hospital.clone(), key: key("hospital-a"), since };
    let draft = own(log.draft(stolen, &[]), "hospital-a-4");
    log.accept(draft);
    let updated = PartyUpdated {
        handle: hospital.clone(),
        particulars: Particulars {
            name: text("Hospital A"),
            identifier: text(""),
            place: text(""),
        },
        successor: Some(handle("red-cross")),
    };
    log.accept(log.draft(updated, &TWO));
    Case::ok("lives-of-keys", &log)
        .about("7.2", "A key is added, rotated, recovered, revoked and said to be compromised.")
}

fn offices() -> Case {
    let log = new_offices();
    let size = log.entries.len() as u64;
    Case::ok("new-operator-and-registrars", &log)
        .about("7.2", "A new operator key signs the checkpoint; other registrars change the rules.")
        .checkpoint(checkpoint(ORIGIN, size, log.root(), "operator-2"))
}

fn witnessed() -> Case {
    let mut log = Scribe::with(&["red-cross"]);
    let trust = trust_in_witness(&log).with_newest(log.checkpoint()).unwrap();
    pooled(&mut log, 10, &[]);
    let time = CosignatureTime::new(1_767_300_000).unwrap();
    let note = log.checkpoint().cosign(time, &witness_name(), &note_key("witness")).unwrap();
    Case::ok("witnessed", &log)
        .about("10.6", "A witness has cosigned, and the log extends the checkpoint that was seen.")
        .checkpoint(note)
        .trust(trust)
}

fn crafted_signature() -> Case {
    let mut log = Scribe::with(&["red-cross"]);
    let donation = recorded("red-cross", vec![line(1, "N95口罩", 10, "个", &[])]);
    let mut signed = log.sign(&log.draft(donation, &TAKER));
    let message = signed.frame.signing_message(&log.world.state.genesis);
    signed.signatures[0] = crafted::with_torsion_in_r(&secret("red-cross"), &message);
    let gift = log.record(signed).unwrap();
    Case::ok("signature-cofactored-only", &log)
        .about(
            "7.1",
            "R has a torsion part: a cofactorless library says no, every auditor says yes.",
        )
        .gift(gift, "waiting-to-be-assigned", &[("red-cross good", 10)])
}

fn unknown_kind() -> Case {
    let mut log = Scribe::with(&["red-cross"]);
    let draft = log.draft(OperatorRotated { key: key("operator-2") }, &TAKER);
    let body = draft.frame().unwrap().body;
    let signed = log.sign_bytes(65, 1, body, &["red-cross"]);
    log.spoil(signed, |_| {});
    pooled(&mut log, 10, &[]);
    Case::not_understood("unknown-kind", &log, 2)
        .about("4.6", "An event of kind 65: frame, head, signature, chain and links hold.")
}

fn unknown_version() -> Case {
    let mut log = Scribe::with(&["red-cross"]);
    let draft = log.draft(OperatorRotated { key: key("operator-2") }, &TAKER);
    let body = draft.frame().unwrap().body;
    let signed = log.sign_bytes(32, 2, body, &["red-cross"]);
    log.spoil(signed, |_| {});
    Case::not_understood("unknown-version", &log, 2)
        .about("4.6", "A donation of version 2, whose statement nobody knows.")
}
