//! False seals and withheld events: shown where they are, and nowhere else.

use std::collections::BTreeSet;

use giftproof::model::draft::Draft;
use giftproof::model::entry::{Entry, NO_LEAF, Place};
use giftproof::model::fraud::{SealedRow, SubjectRow, Withheld};
use giftproof::model::hash::SubjectHash;
use giftproof::model::seal::{Row, Rows, SealFault, Sort, TableProof};
use giftproof::model::subject::{HashedSubject, Subject};

use giftproof::verify::fraud::{SealedClaim, false_seal};
use giftproof::verify::withheld::{Lodging, judge_lodged};
use giftproof::verify::{Options, Outcome, audit};

use super::*;

const OPERATOR: [(Capacity, &str); 1] = [(Capacity::Operator, "operator")];

fn subjects(log: &[Vec<u8>], index: usize) -> BTreeSet<Subject> {
    let genesis = if index == 0 { NO_LEAF } else { leaf_hash(&log[0]) };
    Entry::from_bytes(&log[index]).unwrap().event.open(&genesis).unwrap().subjects(None)
}

/// What a seal after these entries says, if it forgets some of them.
fn rows(log: &[Vec<u8>], forgotten: &[usize]) -> Rows {
    let mut rows = Rows::default();
    for index in (0..log.len()).filter(|index| !forgotten.contains(index)) {
        let place = Place { index: index as u64, leaf: leaf_hash(&log[index]) };
        for subject in subjects(log, index) {
            rows.touch(&HashedSubject::from(&subject), place);
        }
    }
    let _ = rows.statement(log.len() as u64);
    rows.seal();
    rows
}

/// A subject's row as a seal gives it, true or not, and what shows it.
fn sealed_row(rows: &Rows, subject: &Subject) -> (Option<Row>, TableProof) {
    let row = rows.get(&HashedSubject::from(subject));
    let table = Sort::of(subject).map(|sort| rows.table(sort).prove(&[subject.hash()]));
    (row, table.unwrap_or(TableProof::from_bytes(Vec::new())))
}

fn sealed(log: &[Vec<u8>], seal: usize, forgotten: &[usize], subject: &Subject) -> SealedRow {
    let (row, table) = sealed_row(&rows(&log[..seal], forgotten), subject);
    SealedRow { seal: shown(log, seal), row, table }
}

/// The operator seals the log, forgetting some entries. Gives the index.
fn push_seal(forge: &mut Forge, world: &World, forgotten: &[usize]) -> usize {
    let log = forge.entries();
    let statement = rows(&log, forgotten).statement(log.len() as u64);
    forge.push(&world.draft(statement, &OPERATOR))
}

/// Subjects of every sort, in entries of which some touch the same.
pub fn story() -> World {
    let mut world = World::new();
    let need = NeedDeclared {
        item: text("mask"),
        standard: text(""),
        quantity: None,
        unit: text("pcs"),
        wanted_by: None,
    };
    world.accept(world.draft(need, &[(Capacity::Recipient, "hospital-a")]));
    let donation = recorded("red-cross", vec![line(1, "mask", 100, "pcs", &[("hospital-a", 100)])]);
    let gift = world.accept(world.draft(donation, &[(Capacity::Taker, "red-cross")]));
    let sent = portions(&[(gift, 1, Some("hospital-a"), 60)]);
    let sent = dispatch(shipment("red-cross", "S-1"), "hospital-a", Purpose::Issue, sent);
    world.accept(world.draft(sent, &[(Capacity::Holder, "red-cross")]));
    let recall = Recall { item: text("mask"), lot: text("L"), number: text(""), text: text("") };
    world.accept(world.draft(recall, &[(Capacity::Speaker, "mask-maker")]));
    world.accept(world.draft(RulesChanged { rules: rules() }, &TWO));
    world.accept(revocation(&world, "hospital-b"));
    world
}

pub fn revocation(world: &World, party: &str) -> Draft {
    let revoked = KeyRevoked { handle: handle(party), key: key(party) };
    world.draft(revoked, &[(Capacity::Oneself, party)])
}

fn all_subjects(log: &[Vec<u8>], size: usize) -> BTreeSet<Subject> {
    (0..size).flat_map(|index| subjects(log, index)).collect()
}

fn unsealed(log: &[Vec<u8>], subject: &Subject, sealed: SealedRow, entry: usize) -> Fraud {
    Fraud::Unsealed {
        head: Box::new(head(log)),
        subject: subject.clone(),
        sealed,
        entry: shown(log, entry),
    }
}

fn seals(log: &[Vec<u8>], subject: &Subject, first: SealedRow, second: SealedRow) -> Fraud {
    Fraud::Seals { head: Box::new(head(log)), subject: subject.clone(), first, second }
}

fn holds(fraud: &Fraud, trust: &TrustFile) -> Deed {
    let parsed = Fraud::parse(&fraud.to_bytes()).unwrap();
    assert_eq!(parsed.to_bytes(), fraud.to_bytes());
    parsed.check(trust).unwrap().deed
}

fn refused(fraud: &Fraud, trust: &TrustFile) -> &'static str {
    Fraud::parse(&fraud.to_bytes()).unwrap().check(trust).unwrap_err().code()
}

/// A seal that forgets an entry is shown to by this entry, for each subject of it; and by a true
/// seal after it.
#[test]
fn a_seal_that_forgets_an_entry_is_proven_false() {
    let world = story();
    let honest = Forge::of(&world);
    let (trust, size) = (honest.trust(), honest.items.len());
    for forgotten in [1, size - 6, size - 5, size - 4, size - 3, size - 2, size - 1] {
        let mut forge = honest.clone();
        let false_seal = push_seal(&mut forge, &world, &[forgotten]);
        let next = forge.push(&revocation(&world, "red-cross"));
        let true_seal = push_seal(&mut forge, &world, &[]);
        let log = forge.entries();
        for subject in subjects(&log, forgotten) {
            let row = sealed(&log, false_seal, &[forgotten], &subject);
            let fraud = unsealed(&log, &subject, row.clone(), forgotten);
            let deed = holds(&fraud, &trust);
            assert!(matches!(deed, Deed::FalseSeal { seal, .. } if seal == false_seal as u64));
            let later = sealed(&log, true_seal, &[], &subject);
            let deed = holds(&seals(&log, &subject, row, later), &trust);
            assert!(matches!(deed, Deed::TwoSeals { .. }));
        }
        // Of what the seal says truly, nothing is false.
        for subject in all_subjects(&log, size) {
            if !subjects(&log, forgotten).contains(&subject) {
                for entry in [0, 1, size - 1, next] {
                    let row = sealed(&log, false_seal, &[forgotten], &subject);
                    assert_eq!(
                        refused(&unsealed(&log, &subject, row, entry), &trust),
                        "fraud/fits"
                    );
                }
            }
        }
    }
}

/// The operator leaves out the link too: then the event itself tells what the entry touches.
#[test]
fn an_entry_without_its_link_contradicts_the_seal_all_the_same() {
    let world = story();
    let mut forge = Forge::of(&world);
    let (trust, hidden) = (forge.trust(), forge.items.len() - 1);
    forge.items[hidden].edit = Some(|header| edit_links(header, Vec::clear));
    let seal = push_seal(&mut forge, &world, &[hidden]);
    let log = forge.entries();
    let party = Subject::Party(handle("hospital-b"));
    let fraud = unsealed(&log, &party, sealed(&log, seal, &[hidden], &party), hidden);
    let deed = holds(&fraud, &trust);
    assert!(matches!(deed, Deed::FalseSeal { number: None, .. }), "{deed:?}");
    let other = Subject::Party(handle("hospital-a"));
    let fraud = unsealed(&log, &other, sealed(&log, seal, &[hidden], &other), hidden);
    assert_eq!(refused(&fraud, &trust), "fraud/fits");
}

/// An auditor finds a false row of the root in the seal itself; other rows in what somebody was
/// shown under the seal.
#[test]
fn a_log_is_searched_for_what_contradicts_its_seals() {
    let world = story();
    let honest = Forge::of(&world);
    let (trust, size) = (honest.trust(), honest.items.len());
    let search = |forgotten: &[usize], subject: Option<&Subject>| {
        let mut forge = honest.clone();
        let seal = push_seal(&mut forge, &world, forgotten);
        push_seal(&mut forge, &world, &[]);
        let log = forge.entries();
        let claim = subject.map(|subject| {
            let SealedRow { row, table, .. } = sealed(&log, seal, forgotten, subject);
            SealedClaim { seal: seal as u64, subject: subject.clone(), row, table }
        });
        let files = Files::of(&log, "operator");
        let evidence = Evidence { note: files.signed_checkpoint(), source: Some(&files) };
        let fraud = false_seal(&evidence, claim.as_slice(), &trust).unwrap();
        fraud.map(|fraud| match holds(&fraud, &trust) {
            Deed::FalseSeal { subject, entry, .. } => (subject, entry.index as usize),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(search(&[], None), None);
    assert_eq!(search(&[size - 2], None), Some((Subject::Root, size - 2)));
    let party = Subject::Party(handle("hospital-b"));
    assert_eq!(search(&[size - 1], None), None);
    assert_eq!(search(&[size - 1], Some(&party)), Some((party.clone(), size - 1)));
    assert_eq!(search(&[], Some(&party)), None);
}

/// What a proof of several rows shows of one is what a proof of this one alone would.
#[test]
fn a_proof_of_several_rows_has_one_for_each() {
    let log = Forge::of(&story()).entries();
    let rows = rows(&log, &[]);
    let nobody = ["nobody", "no-one", "none-such"].map(|name| Subject::Party(handle(name)));
    let all = all_subjects(&log, log.len());
    for sort in Sort::ALL {
        let of_sort = all.iter().chain(&nobody).filter(|subject| Sort::of(subject) == Some(*sort));
        let asked: Vec<SubjectHash> = of_sort.map(Subject::hash).collect();
        let table = rows.table(*sort);
        let claims: Vec<_> = asked.iter().map(|subject| (*subject, table.get(subject))).collect();
        for several in 1..=claims.len() {
            let claims = &claims[..several];
            let proof = table.prove(&asked[..several]);
            for (subject, row) in claims {
                let narrow = proof.narrow(claims, subject).unwrap();
                assert_eq!(narrow, table.prove(&[*subject]));
                assert!(narrow.verify(&[(*subject, *row)], &table.sealed().unwrap()).is_ok());
            }
            let other = Subject::Party(handle("other")).hash();
            assert_eq!(proof.narrow(claims, &other), Err(SealFault::Contradicted));
            for len in 0..proof.as_bytes().len() {
                let cut = TableProof::from_bytes(proof.as_bytes()[..len].to_vec());
                assert!(cut.narrow(claims, &claims[0].0).is_err());
            }
        }
    }
}

/// Every seal, subject and entry of an honest log, put together in every way.
#[test]
fn an_honest_operators_seals_accuse_it_of_nothing() {
    let world = story();
    let mut forge = Forge::of(&world);
    let first = push_seal(&mut forge, &world, &[]);
    forge.push(&revocation(&world, "red-cross"));
    let second = push_seal(&mut forge, &world, &[]);
    let (trust, log) = (forge.trust(), forge.entries());
    let all = all_subjects(&log, first);
    let nobody = Subject::Party(handle("nobody"));
    for subject in all.iter().chain([&nobody]) {
        let [one, two] = [first, second].map(|seal| sealed(&log, seal, &[], subject));
        for entry in 0..log.len() {
            for row in [&one, &two] {
                let fraud = unsealed(&log, subject, row.clone(), entry);
                assert_eq!(refused(&fraud, &trust), "fraud/fits");
            }
        }
        assert_eq!(refused(&seals(&log, subject, one.clone(), two.clone()), &trust), "fraud/fits");
        assert_eq!(refused(&seals(&log, subject, two.clone(), one.clone()), &trust), "fraud/order");
        assert_eq!(refused(&seals(&log, subject, one.clone(), one.clone()), &trust), "fraud/order");
        // Rows that the seal does not give.
        let wrong = [
            SealedRow { row: None, ..one.clone() },
            SealedRow {
                row: one.row.map(|row| Row { number: row.number + 1, ..row }),
                ..one.clone()
            },
            SealedRow {
                row: Some(Row { number: 1, place: Place { index: 0, leaf: leaf_hash(&log[0]) } }),
                ..one.clone()
            },
            SealedRow { table: TableProof::from_bytes(vec![0]), row: None, ..one.clone() },
            SealedRow { table: TableProof::from_bytes(Vec::new()), row: None, ..one.clone() },
        ];
        for row in wrong.into_iter().filter(|row| *row != one) {
            let fraud = unsealed(&log, subject, row.clone(), 1);
            let code = refused(&fraud, &trust);
            let is_root_0 = *subject == Subject::Root && row.row.is_some_and(|row| row.number == 1);
            assert!(code == "fraud/rows" || (is_root_0 && code == "fraud/fits"), "{code}");
        }
        // The rows of another seal, or another table.
        if one.row != two.row {
            let mixed = SealedRow { seal: two.seal.clone(), ..one.clone() };
            assert_eq!(refused(&seals(&log, subject, mixed, two), &trust), "fraud/rows");
        }
    }
    // In another table there is no such row; but what stands there is another subject.
    let party = Subject::Party(handle("hospital-a"));
    let parties = rows(&log[..first], &[]);
    for sort in Sort::ALL.iter().filter(|sort| **sort != Sort::Parties) {
        let table = parties.table(*sort).prove(&[party.hash()]);
        let row = SealedRow { seal: shown(&log, first), row: None, table };
        assert_eq!(refused(&unsealed(&log, &party, row, 4), &trust), "fraud/rows", "{sort}");
    }
}

#[test]
fn only_the_operators_seals_are_seals() {
    let world = story();
    let honest = Forge::of(&world);
    let (trust, forgotten) = (honest.trust(), honest.items.len() - 1);
    let log = honest.entries();
    let subject = Subject::Party(handle("hospital-b"));
    let statement = |size: usize| rows(&log, &[forgotten]).statement(size as u64);
    let judge = |draft: Draft| {
        let mut forge = honest.clone();
        let seal = forge.push(&draft);
        let log = forge.entries();
        let row = sealed(&log, seal, &[forgotten], &subject);
        refused(&unsealed(&log, &subject, row, forgotten), &trust)
    };
    let size = log.len();
    for who in [(Capacity::Registrar, "registrar-1"), (Capacity::Speaker, "operator")] {
        assert_eq!(judge(world.draft(statement(size), &[who])), "fraud/seal");
    }
    let stranger = world.draft(statement(size), &[]);
    let stranger = stranger.signer(Capacity::Operator, Some(&handle("operator")), key("stranger"));
    assert_eq!(judge(stranger), "fraud/seal");
    assert_eq!(judge(world.draft(statement(size - 1), &OPERATOR)), "fraud/seal");
    let other = world.draft(RulesChanged { rules: rules() }, &OPERATOR);
    assert_eq!(judge(other), "fraud/seal");
}

pub const DELAY_SECONDS: u64 = 86_400;

/// A log in which a party's revocation was lodged and something else happened; sealed at the end.
pub struct Case {
    world: World,
    pub lodged: Vec<u8>,
    subjects: Vec<Subject>,
}

impl Case {
    /// The revocation is lodged with somebody; it is not recorded.
    pub fn new(party: &str, lodger: &str) -> Self {
        let world = World::new();
        let draft = revocation(&world, party);
        Self::of(world, &draft, lodger, vec![Subject::Party(handle(party))])
    }

    fn of(world: World, draft: &Draft, lodger: &str, subjects: Vec<Subject>) -> Self {
        let genesis = world.state.genesis;
        let event = sign(draft, &genesis);
        let lodged = Lodged::sign(genesis, event, world.now, &secret(lodger)).unwrap().to_bytes();
        Self { world, lodged, subjects }
    }

    pub fn wait(&mut self, seconds: u64) {
        self.world.now.0 += 1000 * seconds;
    }

    /// The log.
    pub fn forge(&self, end: End) -> Forge {
        let mut forge = Forge::of(&self.world);
        if end == End::Sealed {
            let seal = push_seal(&mut forge, &self.world, &[]);
            forge.items[seal].recorded_at = self.world.now;
        }
        forge
    }

    /// The evidence, sealed now.
    fn evidence(&self) -> Withheld {
        let log = self.forge(End::Sealed).entries();
        let seal = log.len() - 1;
        let rows = rows(&log[..seal], &[]);
        let row = |subject: &Subject| {
            let (row, table) = sealed_row(&rows, subject);
            SubjectRow { subject: subject.clone(), row, table }
        };
        let asked: BTreeSet<_> =
            self.subjects.iter().chain([&Subject::Root]).map(Subject::hash).collect();
        let touches = |entry: &&Vec<u8>| {
            let links = Entry::from_bytes(entry).unwrap().header.links;
            links.iter().any(|link| asked.contains(&link.subject))
        };
        Withheld {
            head: head(&log),
            lodged: self.lodged.clone(),
            anchor: Vec::new(),
            seal: shown(&log, seal),
            subjects: self.subjects.iter().map(row).collect(),
            entries: log[..seal].iter().filter(touches).cloned().collect(),
        }
    }

    fn judge(&self) -> Result<Deed, FraudFault> {
        judge(self.evidence(), &Forge::of(&self.world).trust())
    }
}

fn judge(evidence: Withheld, trust: &TrustFile) -> Result<Deed, FraudFault> {
    let bytes = Fraud::Withheld(Box::new(evidence)).to_bytes();
    let fraud = Fraud::parse(&bytes).unwrap();
    assert_eq!(fraud.to_bytes(), bytes);
    fraud.check(trust).map(|accusation| accusation.deed)
}

#[test]
fn a_revocation_that_is_not_recorded_in_time_is_withheld() {
    let mut case = Case::new("hospital-a", "registrar-2");
    case.wait(DELAY_SECONDS);
    assert_eq!(case.judge(), Err(FraudFault::Early), "at the last moment it may still come");
    case.world.now.0 += 1;
    let Ok(Deed::Withheld { by, at, deadline, late, .. }) = case.judge() else { panic!() };
    assert_eq!((by.as_str(), late), ("registrar-2", None));
    assert_eq!((at, deadline), (after(60), after(60 + DELAY_SECONDS)));
    // Too late is too late.
    let draft = revocation(&World::new(), "hospital-a");
    case.world.accept(draft);
    let Ok(Deed::Withheld { late, .. }) = case.judge() else { panic!() };
    assert_eq!(late, Some(case.world.state.size - 1));
}

#[test]
fn what_was_recorded_in_time_is_not_withheld() {
    let mut case = Case::new("hospital-a", "registrar-2");
    case.wait(DELAY_SECONDS);
    case.world.accept(revocation(&World::new(), "hospital-a"));
    case.wait(1);
    assert_eq!(case.judge(), Err(FraudFault::Fits));
    // Nor is it if the accuser hides its entry, or shows another subject instead.
    let trust = Forge::of(&case.world).trust();
    let mut hidden = case.evidence();
    hidden.entries.pop();
    assert_eq!(judge(hidden, &trust).unwrap_err().code(), "fraud/chain");
    let mut hidden = case.evidence();
    hidden.entries.pop();
    hidden.subjects[0].row = None;
    assert_eq!(judge(hidden, &trust).unwrap_err().code(), "fraud/rows");
    case.subjects = vec![Subject::Party(handle("hospital-b"))];
    assert_eq!(case.judge().unwrap_err().code(), "fraud/chain");
}

#[test]
fn what_the_rules_refuse_is_not_withheld() {
    let party = |name: &str| vec![Subject::Party(handle(name))];
    let code = |mut case: Case| {
        case.wait(DELAY_SECONDS + 1);
        let fault = case.judge().unwrap_err();
        (fault.code(), fault.detail())
    };
    // The key had ended; it is another party's; nobody of that name is enrolled.
    let mut world = World::new();
    world.accept(revocation(&world, "hospital-a"));
    let again = revocation(&world, "hospital-a");
    let case = Case::of(world, &again, "registrar-1", party("hospital-a"));
    assert_eq!(code(case), ("fraud/refused", Some("key/ended")));
    let world = World::new();
    let revoked = KeyRevoked { handle: handle("hospital-a"), key: key("hospital-a") };
    let draft = world.draft(revoked, &[(Capacity::Oneself, "hospital-b")]);
    let case = Case::of(world, &draft, "registrar-1", party("hospital-a"));
    assert_eq!(code(case), ("fraud/refused", Some("registrars/too-few")));
    let world = World::new();
    let draft = revocation(&world, "nobody");
    let case = Case::of(world, &draft, "registrar-1", party("nobody"));
    assert_eq!(code(case), ("fraud/refused", Some("party/unknown")));
    // It was refused when it came, or became so before it had to be recorded.
    let mut case = Case::new("hospital-a", "registrar-1");
    case.wait(10);
    let revoked = KeyRevoked { handle: handle("hospital-a"), key: key("hospital-a") };
    case.world.accept(case.world.draft(revoked, &TWO));
    assert_eq!(code(case), ("fraud/refused", Some("key/ended")));
    let world = World::bare();
    let draft = revocation(&world, "hospital-a");
    let mut case = Case::of(world, &draft, "registrar-1", party("hospital-a"));
    case.wait(10);
    case.world.enrol("hospital-a", Role::Recipient, 2);
    assert_eq!(code(case), ("fraud/refused", Some("party/unknown")));
    // Of what no small file shows, nobody is accused.
    let world = World::new();
    let added = KeyAdded { handle: handle("carrier"), key: key("more") };
    let draft = world.draft(added, &TWO);
    let draft = draft.signer(Capacity::NewKey, Some(&handle("carrier")), key("more"));
    let case = Case::of(world, &draft, "registrar-1", party("carrier"));
    assert_eq!(code(case), ("fraud/refused", Some("fraud/takes-an-audit")));
    // Signed later than it was received.
    let mut case = Case::new("hospital-a", "registrar-1");
    let mut world = World::new();
    world.now.0 += 1;
    let draft = revocation(&world, "hospital-a");
    let event = sign(&draft, &world.state.genesis);
    let at = UnixMs(world.now.0 - 1);
    let lodged = Lodged::sign(world.state.genesis, event, at, &secret("registrar-1")).unwrap();
    case.lodged = lodged.to_bytes();
    assert_eq!(code(case), ("fraud/refused", Some("gate/signed-in-future")));
}

#[test]
fn only_a_registrars_or_witnesss_word_counts() {
    for lodger in ["stranger", "hospital-a", "operator", "red-cross"] {
        let mut case = Case::new("hospital-a", lodger);
        case.wait(DELAY_SECONDS + 1);
        assert_eq!(case.judge().unwrap_err().code(), "fraud/lodged", "{lodger}");
    }
    let mut case = Case::new("hospital-a", "guard");
    case.wait(DELAY_SECONDS + 1);
    let name = KeyName::parse("witness.example/w").unwrap();
    let vkey = VerifierKey::of_signer(name, KeyKind::Cosignature, &note_key("guard"));
    let policy = Policy::parse(format!("witness guard {vkey}\nquorum none\n").as_bytes()).unwrap();
    let forge = Forge::of(&case.world);
    let deed = judge(case.evidence(), &forge.trust_with(policy)).unwrap();
    assert!(matches!(deed, Deed::Withheld { by, .. } if by == "guard"));
    // Of another ledger.
    let mut case = Case::new("hospital-a", "registrar-1");
    case.wait(DELAY_SECONDS + 1);
    let other = World::under(Rules { offset_minutes: 0, ..rules() });
    let draft = revocation(&other, "hospital-a");
    let event = sign(&draft, &other.state.genesis);
    let lodged = Lodged::sign(other.state.genesis, event, other.now, &secret("registrar-1"));
    case.lodged = lodged.unwrap().to_bytes();
    assert_eq!(case.judge().unwrap_err().code(), "fraud/lodged");
}

#[test]
fn a_lodged_note_is_what_was_signed() {
    let case = Case::new("hospital-a", "registrar-1");
    let bytes = &case.lodged;
    assert_eq!(Lodged::parse(bytes).unwrap().to_bytes(), *bytes);
    for len in 0..bytes.len() {
        assert_eq!(Lodged::parse(&bytes[..len]).unwrap_err().code(), "lodged/malformed");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(Lodged::parse(&flipped).is_err(), "byte {at}, bit {bit}");
        }
    }
    assert!(Lodged::parse(&[&bytes[..], &[0]].concat()).is_err());
    // Nobody confirms what its signers have not signed.
    let world = World::new();
    let mut event = sign(&revocation(&world, "hospital-a"), &world.state.genesis);
    event.signatures[0] = [0; 64];
    let genesis = world.state.genesis;
    let fault = Lodged::sign(genesis, event, world.now, &secret("registrar-1")).unwrap_err();
    assert_eq!(fault.code(), "lodged/event");
}

/// A recall touches a lot that nothing touched before: it is absent under the seal.
#[test]
fn a_withheld_recall_is_missing_from_a_table() {
    let world = World::new();
    let recall = Recall { item: text("mask"), lot: text("L"), number: text(""), text: text("") };
    let draft = world.draft(recall, &[(Capacity::Speaker, "mask-maker")]);
    let lot = Subject::Lot { item: text("mask"), lot: text("L") };
    let subjects = vec![Subject::Party(handle("mask-maker")), lot];
    let mut case = Case::of(world, &draft, "registrar-1", subjects);
    case.wait(DELAY_SECONDS + 1);
    assert!(matches!(case.judge(), Ok(Deed::Withheld { late: None, .. })));
    // Without the maker's own entries, nothing tells that it may recall.
    case.subjects.remove(0);
    assert_eq!(case.judge().unwrap_err().detail(), Some("party/unknown"));
}

/// Whether the log is sealed at its end.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    Sealed,
    Open,
}

/// What an audit of the whole log makes of the lodged note.
fn audited(case: &Case, end: End) -> (Lodging, Option<Deed>) {
    let forge = case.forge(end);
    let (trust, files) = (forge.trust(), forge.files());
    let report = audit(&files, Some(&trust), &Options::default()).unwrap();
    assert_eq!(report.outcome(), Outcome::Clean, "{:?}", report.failures);
    let log = Evidence { note: files.signed_checkpoint(), source: Some(&files) };
    let lodged = Lodged::parse(&case.lodged).unwrap();
    let state = report.state.as_ref().unwrap();
    let (lodging, fraud) = judge_lodged(&log, state, &lodged, Some(&trust)).unwrap();
    (lodging, fraud.map(|fraud| holds(&fraud, &trust)))
}

#[test]
fn an_audit_tells_what_became_of_a_lodged_event() {
    let deadline = after(60 + DELAY_SECONDS);
    let mut case = Case::new("hospital-a", "registrar-1");
    assert_eq!(audited(&case, End::Sealed), (Lodging::Pending { deadline: Some(deadline) }, None));
    case.wait(DELAY_SECONDS + 1);
    let (lodging, deed) = audited(&case, End::Sealed);
    assert_eq!(lodging, Lodging::Absent { deadline });
    assert!(matches!(deed, Some(Deed::Withheld { late: None, .. })));
    // Without a seal there is no small proof.
    case.world.accept(revocation(&case.world, "hospital-b"));
    assert_eq!(audited(&case, End::Open), (Lodging::Absent { deadline }, None));
    // The rules refuse it by now, but did not when it had to be recorded.
    let revoked = KeyRevoked { handle: handle("hospital-a"), key: key("hospital-a") };
    case.world.accept(case.world.draft(revoked.clone(), &TWO));
    let (lodging, deed) = audited(&case, End::Sealed);
    assert_eq!(lodging, Lodging::Absent { deadline });
    assert!(matches!(deed, Some(Deed::Withheld { late: None, .. })));

    // They did.
    let mut case = Case::new("hospital-a", "registrar-1");
    case.wait(10);
    case.world.accept(case.world.draft(revoked, &TWO));
    case.wait(DELAY_SECONDS);
    assert_eq!(audited(&case, End::Sealed), (Lodging::Refused { code: "key/ended" }, None));

    let mut case = Case::new("hospital-a", "registrar-1");
    case.wait(DELAY_SECONDS);
    let index = case.world.state.size;
    case.world.accept(revocation(&World::new(), "hospital-a"));
    assert_eq!(audited(&case, End::Sealed), (Lodging::InTime { index }, None));
    let mut case = Case::new("hospital-a", "registrar-1");
    case.wait(DELAY_SECONDS + 1);
    case.world.accept(revocation(&World::new(), "hospital-a"));
    let (lodging, deed) = audited(&case, End::Sealed);
    assert_eq!(lodging, Lodging::Late { index, deadline });
    assert!(matches!(deed, Some(Deed::Withheld { late: Some(at), .. }) if at == index));
}

/// A dispute rests on the gift's whole journey, and on all parties to it.
#[test]
fn a_withheld_dispute_is_proven_with_the_gifts_journey() {
    let mut world = story();
    let gift = world.state.gifts.iter().next().unwrap().id;
    let arrived = vec![arrival(goods(gift, 1, Some("hospital-a")), [60, 0, 0, 0, 0])];
    let arrived = receipt(shipment("red-cross", "S-1"), true, arrived);
    world.accept(world.draft(arrived, &[(Capacity::Taker, "hospital-a")]));
    let dispute = Dispute { gift, claim: Claim::NotReceived, text: text("") };
    let draft = world.draft(dispute, &[(Capacity::Speaker, "hospital-a")]);
    let mut case = Case::of(world, &draft, "registrar-3", Vec::new());
    case.wait(DELAY_SECONDS + 1);
    let (lodging, deed) = audited(&case, End::Sealed);
    assert!(matches!(lodging, Lodging::Absent { .. }));
    assert!(matches!(deed, Some(Deed::Withheld { late: None, .. })), "{deed:?}");
}

/// A proof of each deed that rests on a seal.
pub fn samples() -> Vec<(&'static str, Fraud)> {
    let world = story();
    let mut forge = Forge::of(&world);
    let forgotten = forge.items.len() - 1;
    let seal = push_seal(&mut forge, &world, &[forgotten]);
    let second = push_seal(&mut forge, &world, &[]);
    let log = forge.entries();
    let subject = Subject::Party(handle("hospital-b"));
    let row = sealed(&log, seal, &[forgotten], &subject);
    let later = sealed(&log, second, &[], &subject);
    let mut case = Case::new("hospital-a", "registrar-1");
    case.wait(DELAY_SECONDS + 1);
    vec![
        ("false-seal", unsealed(&log, &subject, row.clone(), forgotten)),
        ("two-seals", seals(&log, &subject, row, later)),
        ("withheld", Fraud::Withheld(Box::new(case.evidence()))),
    ]
}

/// Notes of two who received an event.
pub fn lodged_samples() -> Vec<(&'static str, Vec<u8>)> {
    let lodged = |party, lodger| Case::new(party, lodger).lodged;
    vec![
        ("by-a-registrar", lodged("hospital-a", "registrar-1")),
        ("by-another", lodged("hospital-b", "registrar-2")),
    ]
}
