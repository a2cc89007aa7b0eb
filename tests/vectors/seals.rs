//! Logs with seals (section 16), true and false.

use giftproof::model::draft::Draft;
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, LeafHash, NodeHash};
use giftproof::model::seal::TableRoot;
use giftproof::model::subject::Subject;

use super::case::{At, Case};
use super::scribe::{Scribe, first_rules};
use super::statements::*;
use crate::util::*;

/// Seals after eight entries, and after ten minutes.
fn sealing() -> Rules {
    Rules { seal_entries: 8, seal_seconds: 600, ..first_rules() }
}

fn operators(log: &Scribe, seal: EpochSealed) -> Draft {
    log.draft(seal, &[(Capacity::Operator, "operator")])
}

fn seal(log: &mut Scribe) -> EpochSealed {
    let statement = log.world.state.seal_statement();
    log.accept(operators(log, statement.clone()));
    statement
}

/// Eight entries with a subject of each sort. Gives the gift and the need.
fn eight() -> (Scribe, EventHash, EventHash) {
    let mut log = Scribe::under(sealing());
    log.enrol("red-cross", Role::Charity, 2);
    log.enrol("hospital-a", Role::Recipient, 2);
    let need = NeedDeclared {
        item: text("N95口罩"),
        standard: text(""),
        quantity: Some(100),
        unit: text("个"),
        wanted_by: None,
    };
    let need = log.accept(log.draft(need, &[(Capacity::Recipient, "hospital-a")]));
    let to = Some("hospital-a");
    let gift = pooled(&mut log, 100, &[("hospital-a", 100)]);
    let sent = portions(&[(gift, 1, to, 60)]);
    let id = shipment("red-cross", "S-1");
    log.accept(log.draft(dispatch(id.clone(), "hospital-a", Purpose::Issue, sent), &HOLDER));
    let arrived = vec![arrival(goods(gift, 1, to), [60, 0, 0, 0, 0])];
    log.accept(log.draft(receipt(id, true, arrived), &HOSPITAL));
    let recall =
        Recall { item: text("N95口罩"), lot: text("L-1"), number: text(""), text: text("") };
    log.accept(log.draft(recall, &[(Capacity::Registrar, "registrar-1")]));
    (log, gift, need)
}

fn hospital_uses(log: &Scribe, gift: EventHash, quantity: u64) -> Draft {
    let used = portions(&[(gift, 1, Some("hospital-a"), quantity)]);
    let statement = Use { ward: text(""), purpose: text(""), portions: used };
    log.draft(statement, &[(Capacity::Holder, "hospital-a")])
}

pub fn accepted() -> Vec<Case> {
    let (mut log, gift, need) = eight();
    seal(&mut log);
    log.accept(hospital_uses(&log, gift, 10));
    // Asked for.
    seal(&mut log);
    // Ten minutes to the second are not more than ten minutes.
    log.accept(hospital_uses(&log, gift, 10));
    log.world.now.0 += 600_000;
    log.accept(log.draft(NeedClosed { need }, &[(Capacity::Recipient, "hospital-a")]));
    log.world.now.0 += 1;
    seal(&mut log);
    let rules = Rules { seal_entries: 0, seal_seconds: 0, ..first_rules() };
    log.accept(log.draft(RulesChanged { rules }, &TWO));
    log.world.now.0 += 3_600_000;
    for _ in 0..8 {
        log.accept(hospital_uses(&log, gift, 1));
    }
    let places = [("hospital-a good", 32), ("red-cross good", 40), ("used hospital-a", 28)];
    let sealed = Case::ok("seals", &log)
        .about(
            "16",
            "Seals by count, on request and by time, over all sorts of subjects; then the rules \
             ask for none.",
        )
        .gift(gift, "received-in-part", &places);

    let (mut log, ..) = eight();
    let draft = log.draft(OperatorRotated { key: key("operator-2") }, &TAKER);
    let signed = log.sign_bytes(65, 1, draft.frame().unwrap().body, &["red-cross"]);
    let mut statement = seal(&mut log);
    log.unreadable(signed, &[Subject::Party(handle("hospital-b")).hash()]);
    statement.size += 2;
    statement.parties = TableRoot { rows: 3, hash: NodeHash::from_bytes([7; 32]) };
    assert_eq!(log.force(operators(&log, statement)), "seal/mismatch");
    let unjudged = Case::not_understood("seal-after-unknown-kind", &log, 9).about(
        "16.2",
        "A subject that only the links of an unknown kind tell of: the next seal is not judged.",
    );
    vec![sealed, unjudged]
}

pub fn refused() -> Vec<Case> {
    type Lie = fn(&mut EpochSealed);
    let false_seal = |name, what, lie: Lie| {
        let (mut log, ..) = eight();
        let mut statement = log.world.state.seal_statement();
        lie(&mut statement);
        assert_eq!(log.force(operators(&log, statement)), "seal/mismatch", "{name}");
        Case::last(name, "seal/mismatch", &log).about("16", what)
    };
    let mut cases = vec![
        false_seal("seal-size", "It says to cover itself.", |seal| seal.size += 1),
        false_seal("seal-root-number", "An entry about the root too many.", |seal| {
            seal.root.number += 1;
        }),
        false_seal("seal-root-place", "The root's newest entry is another.", |seal| {
            seal.root.place.leaf = LeafHash::from_bytes([7; 32]);
        }),
        false_seal("seal-parties", "The table of parties is that of gifts.", |seal| {
            seal.parties = seal.gifts;
        }),
        false_seal("seal-gifts", "A gift is left out.", |seal| {
            seal.gifts = TableRoot { rows: 0, hash: NodeHash::from_bytes([0; 32]) };
        }),
        false_seal("seal-lots", "A recall is left out.", |seal| {
            seal.lots = TableRoot { rows: 0, hash: NodeHash::from_bytes([0; 32]) };
        }),
        false_seal("seal-shipments", "A bit of the shipments' hash is another.", |seal| {
            let mut bytes = *seal.shipments.hash.as_bytes();
            bytes[31] ^= 1;
            seal.shipments.hash = NodeHash::from_bytes(bytes);
        }),
        false_seal("seal-statements", "A row of needs and orders too many.", |seal| {
            seal.statements.rows += 1;
        }),
    ];

    let (mut log, ..) = eight();
    let statement = log.world.state.seal_statement();
    let by_registrar = log.draft(statement.clone(), &[(Capacity::Registrar, "registrar-1")]);
    assert_eq!(log.force(by_registrar), "signer/missing");
    cases.push(
        Case::last("seal-by-registrar", "signer/missing", &log)
            .about("7.3", "A registrar seals; only the operator does."),
    );

    let (mut log, ..) = eight();
    let statement = seal(&mut log);
    let again = EpochSealed { size: statement.size + 1, ..statement };
    assert_eq!(log.force(operators(&log, again)), "seal/nothing-new");
    cases.push(
        Case::last("seal-nothing-new", "seal/nothing-new", &log)
            .about("8.7", "A seal directly after a seal."),
    );

    let (mut log, gift, _) = eight();
    log.accept(hospital_uses(&log, gift, 1));
    log.accept(hospital_uses(&log, gift, 1));
    seal(&mut log);
    for _ in 0..9 {
        log.accept(hospital_uses(&log, gift, 1));
    }
    cases.push(
        Case::entry("seal-missed-by-count", "seal/missed", 8, &log)
            .about("16.3", "Eight entries, and the ninth is no seal; later again.")
            .also("seal/missed", At::Entry(19)),
    );

    let (mut log, gift, _) = eight();
    seal(&mut log);
    log.accept(hospital_uses(&log, gift, 1));
    log.world.now.0 += 600_001;
    log.accept(hospital_uses(&log, gift, 1));
    log.accept(hospital_uses(&log, gift, 1));
    cases.push(
        Case::entry("seal-missed-by-time", "seal/missed", 10, &log)
            .about("16.3", "Ten minutes and a millisecond, and no seal."),
    );

    let (mut log, gift, _) = eight();
    let mut statement = log.world.state.seal_statement();
    statement.size = 0;
    log.force(operators(&log, statement));
    log.accept(hospital_uses(&log, gift, 1));
    cases.push(
        Case::entry("seal-false-and-missed", "seal/mismatch", 8, &log)
            .about("16.3", "A false seal is none.")
            .also("seal/missed", At::Entry(9)),
    );

    let mut log = Scribe::under(Rules { seal_entries: 1, ..first_rules() });
    seal(&mut log);
    log.enrol("red-cross", Role::Charity, 2);
    let rules = Rules { seal_entries: 3, ..first_rules() };
    seal(&mut log);
    log.accept(log.draft(RulesChanged { rules }, &TWO));
    pooled(&mut log, 10, &[]);
    pooled(&mut log, 11, &[]);
    pooled(&mut log, 12, &[]);
    cases.push(
        Case::last("seal-missed-by-new-rules", "seal/missed", &log)
            .about("16.3", "The rules at the entry say when: three after they changed."),
    );
    cases
}
