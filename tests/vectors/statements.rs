//! What the logs of both folders are made of.

use giftproof::model::draft::Draft;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use giftproof::model::note::{KeyKind, KeyName, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::trust::TrustFile;

use super::scribe::{ORIGIN, Scribe, first_rules, note_key, origin, vkey};
use crate::util::*;

pub const HOLDER: [(Capacity, &str); 1] = [(Capacity::Holder, "red-cross")];

pub const TAKER: [(Capacity, &str); 1] = [(Capacity::Taker, "red-cross")];

pub const HOSPITAL: [(Capacity, &str); 1] = [(Capacity::Taker, "hospital-a")];

/// Two of the three registrars.
pub const TWO: [(Capacity, &str); 2] =
    [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-2")];

/// The log whose last entry stands on the first screen of the specification.
pub fn first_receipt() -> Scribe {
    let mut log = Scribe::with(&["red-cross", "hospital-a"]);
    let gift = pooled(&mut log, 500, &[("hospital-a", 500)]);
    let id = shipment("red-cross", "S-1");
    let sent = portions(&[(gift, 1, Some("hospital-a"), 500)]);
    let sent = dispatch(id.clone(), "hospital-a", Purpose::Issue, sent);
    log.accept(log.draft(sent, &HOLDER));
    let arrived = vec![arrival(goods(gift, 1, Some("hospital-a")), [480, 0, 15, 0, 0])];
    let draft = log.draft(receipt(id, true, arrived), &HOSPITAL);
    log.accept(draft.on("2026-01-02".parse().unwrap()));
    log
}

/// A gift of so many masks, recorded by red-cross.
pub fn pooled(log: &mut Scribe, quantity: u64, shares: &[(&str, u64)]) -> EventHash {
    let donation = recorded("red-cross", vec![line(1, "N95口罩", quantity, "个", shares)]);
    log.accept(log.draft(donation, &TAKER))
}

/// The only gift of a log.
pub fn only_gift(log: &Scribe) -> EventHash {
    log.world.state.gifts.iter().next().unwrap().id
}

pub fn enrolled_donor(lines: Vec<Line>, taker: Option<&str>) -> Donation {
    let donor = Donor {
        kind: DonorKind::Enrolled,
        party: Some(handle("factory")),
        key: None,
        name: text("factory"),
    };
    Donation { donor, taker: taker.map(handle), ..recorded("red-cross", lines) }
}

/// A gift on a slip that red-cross issued.
pub fn slip_gift(log: &mut Scribe) -> EventHash {
    let donor = Donor {
        kind: DonorKind::Slip,
        party: Some(handle("red-cross")),
        key: Some(key("slip-1")),
        name: text(""),
    };
    let lines = vec![line(1, "N95口罩", 30, "个", &[])];
    let donation = Donation { donor, ..recorded("red-cross", lines) };
    log.accept(log.draft(donation, &TAKER).signer(Capacity::Donor, None, key("slip-1")))
}

pub fn own_dispute(log: &Scribe, gift: EventHash, name: &str) -> Draft {
    let dispute = Dispute { gift, claim: Claim::NotReceived, text: text("where is it?") };
    log.draft(dispute, &[]).signer(Capacity::Donor, None, key(name))
}

pub fn hq_order() -> Order {
    Order {
        number: text("HQ-7"),
        holder: handle("red-cross"),
        item: text("N95口罩"),
        unit: text("个"),
        quantity: 300,
        recipient: handle("hospital-a"),
    }
}

pub fn designation(assignments: Vec<Assignment>, consent: Consent) -> Designation {
    Designation {
        holder: handle("red-cross"),
        order: None,
        decided_by: text("headquarters"),
        decision: text(""),
        consent,
        assignments: List::new(assignments).unwrap(),
    }
}

pub fn assign(gift: EventHash, from: Option<&str>, to: &str, quantity: u64) -> Assignment {
    Assignment { goods: goods(gift, 1, from), recipient: handle(to), quantity }
}

pub fn nothing_found(goods: Goods) -> Finding {
    let (opened, loose, passed, failed, shortage, surplus, found) = (0, 0, 0, 0, 0, 0, 0);
    Finding { goods, opened, loose, passed, failed, shortage, surplus, found }
}

pub fn count(loose_unit: &str, finding: Finding) -> Count {
    Count { loose_unit: text(loose_unit), findings: List::new(vec![finding]).unwrap() }
}

pub fn correction(
    index: usize,
    target: EventHash,
    new: Option<Statement>,
    kind: Kind,
) -> Correction {
    let bytes = new.map(|statement| statement.to_bytes()).unwrap_or_default();
    Correction {
        target_index: index as u64,
        target,
        target_kind: kind as u16,
        replacement: Blob::new(bytes).unwrap(),
    }
}

/// Operator-2 runs the ledger, and four registrars vouch, three of whom suffice.
pub fn new_offices() -> Scribe {
    let mut log = Scribe::with(&["red-cross"]);
    let rotated = OperatorRotated { key: key("operator-2") };
    let operator = handle("operator");
    let draft = log.draft(rotated, &TWO);
    log.accept(draft.signer(Capacity::NewKey, Some(&operator), key("operator-2")));
    let registrar =
        |name, key_name| Identity { handle: handle(name), name: text(name), key: key(key_name) };
    let registrars = List::new(vec![
        registrar("registrar-1", "registrar-1b"),
        registrar("registrar-2", "registrar-2"),
        registrar("registrar-3", "registrar-3"),
        registrar("registrar-4", "registrar-4"),
    ])
    .unwrap();
    let draft = log.draft(RegistrarsChanged { registrars, threshold: 3 }, &TWO);
    let draft = draft.signer(Capacity::NewKey, Some(&handle("registrar-1")), key("registrar-1b"));
    log.accept(draft.signer(Capacity::NewKey, Some(&handle("registrar-4")), key("registrar-4")));
    let three =
        ["registrar-2", "registrar-3", "registrar-4"].map(|name| (Capacity::Registrar, name));
    let rules = Rules { offset_minutes: -300, ..first_rules() };
    log.accept(log.draft(RulesChanged { rules }, &three));
    log
}

pub fn witness_name() -> KeyName {
    KeyName::parse("witness.example/w1").unwrap()
}

/// A trust file that wants one witness.
pub fn trust_in_witness(log: &Scribe) -> TrustFile {
    let witness =
        VerifierKey::of_signer(witness_name(), KeyKind::Cosignature, &note_key("witness"));
    let policy = Policy::parse(format!("witness w1 {witness}\nquorum w1\n").as_bytes()).unwrap();
    TrustFile::new(origin(ORIGIN), log.world.state.genesis, vkey(ORIGIN, "operator"), policy)
        .unwrap()
}
