//! Ledger folders: writing, opening again, and what is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use giftproof::bundle::{BundleLayout, Existing, LogFile, LogSource, OpenedBundle, TrustCopy};
use giftproof::ledger::{CHECKPOINT_FILE, Ledger, LedgerError, Stage, TRUST_FILE};
use giftproof::model::date::UnixMs;
use giftproof::model::draft::Draft;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::entry::{NO_LEAF, SignedEvent};
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, LeafHash, NodeHash, empty_root, node_hash};
use giftproof::model::ident::EntryIndex;
use giftproof::model::key::{PublicKey, SecretKey};
use giftproof::model::signature::{Signature, SignatureFault, verify};
use giftproof::model::state::{Recorded, State};
use giftproof::model::trust::TrustFile;
use giftproof::store::{Commit, CommitError, MemoryStore, ObjectName, Store, StoreError};
use giftproof::writer::{Clock, ManualClock, Operator, Refused, SignerFault, Writer, WriterError};
use tempfile::TempDir;

use crate::util::*;

/// A clock at the moment at which worlds begin.
pub fn clock() -> Clock {
    Clock::Manual(ManualClock::new(UnixMs(START_MS)))
}

/// The event of entry 0.
pub fn genesis() -> SignedEvent {
    World::bare().log.entries[0].event.clone()
}

/// Events for a ledger, each different, signed by those whose keys have their names.
pub struct Author {
    world: World,
    pub genesis: LeafHash,
}

impl Author {
    pub fn of(writer: &Writer) -> Self {
        Self::new(writer.genesis())
    }

    pub fn new(genesis: LeafHash) -> Self {
        let mut world = World::bare();
        world.now = UnixMs(START_MS);
        Self { world, genesis }
    }

    pub fn event(&self, statement: impl Into<Statement>, who: &[(Capacity, &str)]) -> SignedEvent {
        let mut draft = self.world.draft(statement, who);
        if matches!(draft.statement, Statement::Correction(_)) {
            draft.reason = Some(Reason { code: ReasonCode::Typing, text: text("") });
        }
        self.sign(&draft, who)
    }

    fn sign(&self, draft: &Draft, who: &[(Capacity, &str)]) -> SignedEvent {
        let keys: Vec<SecretKey> = who.iter().map(|(_, name)| secret(name)).collect();
        draft.sign(&self.genesis, &keys.iter().collect::<Vec<_>>()).unwrap()
    }

    /// Enrols a charity that takes gifts.
    pub fn enrolment(&self, name: &str) -> SignedEvent {
        let statement = PartyEnrolled {
            handle: handle(name),
            kind: PartyKind::Organisation,
            roles: List::new(vec![Role::Charity]).unwrap(),
            particulars: Particulars { name: text(name), identifier: text(""), place: text("") },
            key: key(name),
        };
        let [first, second, _] = REGISTRARS;
        let registrar = |name| (Capacity::Registrar, name);
        self.event(statement, &[(Capacity::NewKey, name), registrar(first), registrar(second)])
    }

    /// A donation to the charity, recorded by it.
    pub fn donation(&self, quantity: u64) -> SignedEvent {
        let donation = recorded("red-cross", vec![line(1, "masks", quantity, "piece", &[])]);
        self.event(donation, &[(Capacity::Taker, "red-cross")])
    }

    /// A correction of the donation at entry `target_index`: it says what it is for.
    pub fn correction(&self, target_index: EntryIndex, target: &SignedEvent) -> SignedEvent {
        let Ok((_, Some(Statement::Donation(mut donation)))) = target.frame.open() else {
            panic!("a donation is corrected")
        };
        donation.purpose = text("for the hospital");
        let correction = Correction {
            target_index,
            target: target.frame.hash(&self.genesis),
            target_kind: Kind::Donation as u16,
            replacement: Blob::new(Statement::from(donation).to_bytes()).unwrap(),
        };
        self.event(correction, &[(Capacity::Taker, "red-cross")])
    }

    pub fn donations(&self, count: u64) -> Vec<SignedEvent> {
        (1..=count).map(|quantity| self.donation(quantity)).collect()
    }
}

/// MTH by its recursive definition [RFC 6962, 2.1].
fn root_of(leaves: &[LeafHash]) -> NodeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => (*leaf).into(),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// Checks everything that a ledger says, from its entries on: signatures, chain, links, rules,
/// tree, checkpoint.
pub fn check_ledger(ledger: &Ledger) {
    let entries: Vec<_> =
        (0..ledger.state().size).map(|index| ledger.entry(index).unwrap()).collect();
    let leaves: Vec<LeafHash> = entries.iter().map(|entry| entry.leaf()).collect();
    let mut state: Option<State> = None;
    let (mut previous, mut recorded_at) = (NO_LEAF, UnixMs(0));
    for ((index, entry), leaf) in (0..).zip(&entries).zip(&leaves) {
        assert_eq!((entry.header.index, entry.header.previous), (index, previous));
        assert!(entry.header.recorded_at >= recorded_at);
        (previous, recorded_at) = (*leaf, entry.header.recorded_at);
        let genesis = if index == 0 { NO_LEAF } else { leaves[0] };
        let event = entry.event.clone().open(&genesis).unwrap();
        let message = event.signed.frame.signing_message(&genesis);
        for (signer, signature) in event.head.signers.iter().zip(&event.signed.signatures) {
            let key = PublicKey::from_bytes(signer.key.as_bytes()).unwrap();
            verify(&message, &key, &Signature::from_bytes(*signature)).unwrap();
        }
        let recorded = Recorded { index, recorded_at, event };
        match &mut state {
            None => state = Some(State::begin(&recorded, *leaf).unwrap()),
            Some(state) => {
                let subjects = state.subjects(&recorded.event, ledger);
                assert_eq!(entry.header.links, state.links(&subjects).unwrap());
                state.apply(&recorded, ledger).unwrap();
                state.advance(&recorded, *leaf, &subjects);
            }
        }
    }
    let state = state.unwrap();
    assert!(state == *ledger.state(), "the state is not what follows from the entries");
    let checkpoint = ledger.checkpoint().checkpoint();
    assert_eq!((checkpoint.size, checkpoint.root), (leaves.len() as u64, root_of(&leaves)));
    let trust = ledger.trust().unwrap();
    assert_eq!(trust.genesis(), leaves[0]);
    if state.parties.operator_keys.len() == 1 {
        ledger.checkpoint().verify(trust.operator(), []).unwrap();
    }
    assert_eq!(TrustFile::parse(trust.to_string().as_bytes()).unwrap(), trust);
}

/// Makes a ledger folder with the charity enrolled and this many entries in all.
pub fn make(folder: &Path, entries: u64) -> Author {
    let writer = Writer::create(folder, genesis(), secret("operator"), clock()).unwrap();
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    for answer in writer.submit_many(author.donations(entries - 2)) {
        answer.unwrap();
    }
    writer.close().unwrap();
    author
}

/// As [`make`], in a folder that goes with the test.
pub fn folder_with(entries: u64) -> (TempDir, Author) {
    let folder = tempfile::tempdir().unwrap();
    let author = make(folder.path(), entries);
    (folder, author)
}

pub fn open(folder: &Path) -> Writer {
    Writer::open(folder, secret("operator"), clock()).unwrap()
}

fn code_of_opening(folder: &Path) -> &'static str {
    let reading = Ledger::open(folder).err().expect("opened for reading").code();
    let writing = Writer::open(folder, secret("operator"), clock()).err().expect("opened").code();
    assert_eq!(reading, writing);
    reading
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    for entries in [2, 3, 255, 256, 257, 600] {
        let (folder, _) = folder_with(entries);
        let ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(ledger.state().size, entries);
        assert_eq!(ledger.state().gifts.len() as u64, entries - 2);
        check_ledger(&ledger);
    }
}

#[test]
fn a_ledger_goes_on_where_it_ended() {
    let (folder, author) = folder_with(250);
    for step in 0..12 {
        let writer = open(folder.path());
        assert_eq!(writer.newest().index, 249 + step);
        let accepted = writer.submit(author.donation(1000 + step)).unwrap();
        assert_eq!((accepted.index, accepted.already), (250 + step, false));
        assert_eq!(writer.newest(), Anchor { index: accepted.index, leaf: accepted.leaf });
        writer.close().unwrap();
    }
    check_ledger(&Ledger::open(folder.path()).unwrap());
}

#[test]
fn the_state_is_the_same_with_and_without_the_index() {
    let (folder, author) = folder_with(300);
    let index = folder.path().join("index/state");
    let saved = fs::read(&index).unwrap();
    let whole = tempfile::tempdir().unwrap();
    copy_folder(index.parent().unwrap(), &whole.path().join("index"));
    let put_whole = |folder: &Path| {
        fs::remove_dir_all(folder.join("index")).ok();
        copy_folder(&whole.path().join("index"), &folder.join("index"));
    };
    let reference = Ledger::open(folder.path()).unwrap().state().clone();

    fs::remove_dir_all(folder.path().join("index")).unwrap();
    assert!(*Ledger::open(folder.path()).unwrap().state() == reference);
    // Any damage to the index makes it one that is not there. It is long: some bits stand for all.
    for position in (0..saved.len()).step_by(saved.len() / 97) {
        let mut flipped = saved.clone();
        flipped[position] ^= 1 << (position % 8);
        fs::create_dir_all(index.parent().unwrap()).unwrap();
        fs::write(&index, flipped).unwrap();
        assert!(*Ledger::open(folder.path()).unwrap().state() == reference);
    }
    fs::write(&index, &saved[..saved.len() / 2]).unwrap();
    assert!(*Ledger::open(folder.path()).unwrap().state() == reference);

    // One from before is caught up with; one of another ledger, or from the future, is none.
    put_whole(folder.path());
    let writer = open(folder.path());
    writer.submit(author.donation(7)).unwrap();
    writer.close().unwrap();
    put_whole(folder.path());
    check_ledger(&Ledger::open(folder.path()).unwrap());
    let (other, _) = folder_with(10);
    put_whole(other.path());
    check_ledger(&Ledger::open(other.path()).unwrap());
}

#[test]
fn whoever_waits_for_a_ledger_is_told_how_far_it_is() {
    // Of each stage: that it goes forward, and to its end.
    let ends = |told: &[(Stage, u64, u64)]| {
        let stages = told.chunk_by(|(a, ..), (b, ..)| a == b);
        let stages = stages.map(|told| {
            let (stage, _, all) = told[0];
            assert!(told.is_sorted() && told.iter().all(|(_, _, whole)| *whole == all));
            assert_eq!(told.last(), Some(&(stage, all, all)));
            (stage, all)
        });
        stages.collect::<Vec<_>>()
    };
    let (folder, author) = folder_with(300);
    let index = folder.path().join("index");
    let mut told = Vec::new();
    let mut tell = |stage, done, all| told.push((stage, done, all));

    drop(Ledger::open_telling(folder.path(), &mut tell).unwrap());
    assert_eq!(ends(&std::mem::take(&mut told)), [(Stage::Entries, 300)]);

    fs::remove_file(index.join("state")).unwrap();
    let mut tell = |stage, done, all| told.push((stage, done, all));
    let ledger = Ledger::reindex(folder.path(), &mut tell).unwrap();
    let kept = (ledger.state().gifts.len() + ledger.state().shipments.len()) as u64;
    drop(ledger);
    assert!(index.join("state").exists() && kept > 0);
    assert_eq!(ends(&std::mem::take(&mut told)), [(Stage::Entries, 300), (Stage::Index, kept)]);

    fs::remove_dir_all(&index).unwrap();
    let writer = open(folder.path());
    writer.submit(author.donation(7)).unwrap();
    let kept = writer.with_state(|state| state.gifts.len() + state.shipments.len()) as u64;
    let mut tell = |stage, done, all| told.push((stage, done, all));
    writer.close_telling(&mut tell).unwrap();
    assert_eq!(ends(&told), [(Stage::Index, kept)]);
}

#[test]
fn an_event_is_in_the_log_once() {
    let (folder, author) = folder_with(2);
    let writer = open(folder.path());
    let event = author.donation(5);
    let first = writer.submit(event.clone()).unwrap();
    let again = writer.submit(event.clone()).unwrap();
    assert_eq!((again.index, again.leaf, again.hash), (first.index, first.leaf, first.hash));
    assert!(!first.already && again.already && !again.signatures_differ);

    // Within one commit as well, and across an opening.
    let other = author.donation(6);
    let answers = writer.submit_many(vec![other.clone(), event.clone(), other.clone()]);
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().map(|a| a.already).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(answers[0].index, answers[2].index);
    writer.close().unwrap();
    let writer = open(folder.path());
    assert!(writer.submit(other).unwrap().already);

    // The same body under other valid signatures: made with another nonce than RFC 8032's, and with
    // torsion in R, which only the cofactored equation takes.
    let message = event.frame.signing_message(&author.genesis);
    let seed = secret("red-cross");
    for torsion in EIGHT_TORSION {
        let signature = sign_otherwise(&seed, &message, torsion);
        let resigned = SignedEvent { signatures: vec![signature], ..event.clone() };
        assert_ne!(resigned.signatures, event.signatures);
        let answer = writer.submit(resigned).unwrap();
        assert!(answer.already && answer.signatures_differ);
    }
    writer.close().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(ledger.entry(first.index).unwrap().event, event);
    assert_eq!(ledger.state().size, 4);
    check_ledger(&ledger);
}

/// R = [r]B + T, S = r + ka for an r of our own. With T the identity, a valid signature that
/// RFC 8032 would not make; with T of small order, one that holds in the cofactored equation only.
fn sign_otherwise(key: &SecretKey, message: &[u8], torsion: EdwardsPoint) -> [u8; 64] {
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use curve25519_dalek::scalar::{Scalar, clamp_integer};
    use sha2::{Digest, Sha512};
    let expanded = Sha512::digest(key.seed());
    let half: [u8; 32] = expanded[..32].try_into().unwrap();
    let a = Scalar::from_bytes_mod_order(clamp_integer(half));
    let r = Scalar::from(0x1234_5678_9abc_def0u64);
    let point = (ED25519_BASEPOINT_POINT * r + torsion).compress().to_bytes();
    let hash = Sha512::new().chain_update(point).chain_update(key.public().as_bytes());
    let k: [u8; 64] = hash.chain_update(message).finalize().into();
    let s = r + Scalar::from_bytes_mod_order_wide(&k) * a;
    [point, s.to_bytes()].concat().try_into().unwrap()
}

#[test]
fn of_many_events_together_each_gets_its_own_answer() {
    let (folder, author) = folder_with(2);
    let writer = open(folder.path());
    let mut events = author.donations(300);
    for bad in [0, 3, 4, 299] {
        events[bad].signatures[0][40] ^= 1;
    }
    events[77].frame.body.push(0);
    events[150] = author.enrolment("blood-bank");
    assert_eq!(events[150].signatures.len(), 3);
    events[150].signatures[1][63] ^= 0x80;
    events[150].signatures[2][7] ^= 1;

    let mut index = 2;
    for (number, answer) in writer.submit_many(events).into_iter().enumerate() {
        match (number, answer) {
            (0 | 3 | 4 | 299, Err(Refused::Signature { position: 0, fault, .. })) => {
                assert_eq!(fault, SignerFault::Signature(SignatureFault::Equation));
            }
            (77, Err(refused)) => assert_eq!(refused.code(), "encoding/trailing"),
            // The first of two.
            (150, Err(Refused::Signature { position: 1, fault, .. })) => {
                assert_eq!(fault, SignerFault::Signature(SignatureFault::SNotReduced));
            }
            (number, answer) => {
                assert_eq!(answer.unwrap().index, index, "event {number}");
                index += 1;
            }
        }
    }
    assert_eq!(index, 2 + 300 - 6);
    writer.with_ledger(check_ledger);
}

#[test]
fn a_refused_event_leaves_no_trace() {
    let (folder, author) = folder_with(2);
    let writer = open(folder.path());
    let before = writer.with_state(State::clone);
    let refused = |event| writer.submit(event).unwrap_err().code();

    let mut bad = author.donation(1);
    bad.signatures[0][40] ^= 1;
    assert_eq!(refused(bad), "signature/invalid");
    let mut stripped = author.donation(1);
    stripped.signatures.clear();
    assert_eq!(refused(stripped), "signature/count");
    let mut garbled = author.donation(1);
    garbled.frame.body.push(0);
    assert_eq!(refused(garbled), "encoding/trailing");
    let mut unknown = author.donation(1);
    unknown.frame.version = 2;
    let message = unknown.frame.signing_message(&author.genesis);
    unknown.signatures = vec![*secret("red-cross").sign(&message).as_bytes()];
    assert_eq!(refused(unknown), "gate/unknown-kind");

    let by_taker = [(Capacity::Taker, "red-cross")];
    let item = |item: &str| recorded("red-cross", vec![line(1, item, 5, "piece", &[])]);
    // "é" in two code points.
    assert_eq!(refused(author.event(item("cafe\u{301}"), &by_taker)), "gate/not-nfc");
    let correction = Correction {
        target_index: 1,
        target: author.donation(1).frame.hash(&author.genesis),
        target_kind: Kind::Donation as u16,
        replacement: Blob::new(Statement::from(item("cafe\u{301}")).to_bytes()).unwrap(),
    };
    assert_eq!(refused(author.event(correction.clone(), &by_taker)), "gate/not-nfc");
    let composed = Blob::new(Statement::from(item("caf\u{e9}")).to_bytes()).unwrap();
    let without = author.world.draft(Correction { replacement: composed, ..correction }, &by_taker);
    assert_eq!(refused(author.sign(&without, &by_taker)), "gate/no-reason");
    let mut draft = author.world.draft(item("masks"), &by_taker);
    draft.signed_at = UnixMs(START_MS + 600_001);
    assert_eq!(refused(author.sign(&draft, &by_taker)), "gate/signed-in-future");
    // The clock stands at 2026-01-01T00:00Z: that day has begun in the east, the next nowhere.
    draft.signed_at = UnixMs(START_MS);
    draft.occurred_on = Some("2026-01-02".parse().unwrap());
    assert_eq!(refused(author.sign(&draft, &by_taker)), "gate/occurred-in-future");
    draft.occurred_on = None;
    draft.signed_at = UnixMs(START_MS + 600_000);
    draft.signers.push(draft.signers[0].clone());
    assert_eq!(draft.frame().unwrap_err().code, "list/duplicate");
    let stranger = [(Capacity::Taker, "warehouse")];
    let unenrolled = recorded("warehouse", vec![line(1, "masks", 5, "piece", &[])]);
    assert_eq!(refused(author.event(unenrolled, &stranger)), "party/unknown");

    assert!(writer.with_state(|state| *state == before));
    draft.signers.pop();
    let accepted = writer.submit(author.sign(&draft, &by_taker)).unwrap();
    assert_eq!((accepted.index, accepted.warnings), (2, vec![]));
    let accepted = writer.submit(author.event(item("call 13800138000"), &by_taker)).unwrap();
    assert_eq!(accepted.warnings.len(), 1);
    assert_eq!(accepted.warnings[0].code(), "warning/telephone");
    writer.close().unwrap();
    check_ledger(&Ledger::open(folder.path()).unwrap());
}

#[test]
fn only_the_operators_key_opens_for_writing() {
    let (folder, _) = folder_with(2);
    let error = Writer::open(folder.path(), secret("factory"), clock()).err().unwrap();
    assert_eq!(error.code(), "ledger/wrong-operator-key");
    assert!(error.to_string().contains(&key("operator").to_string()));
    let elsewhere = tempfile::tempdir().unwrap();
    let error = Writer::create(elsewhere.path(), genesis(), secret("factory"), clock());
    assert_eq!(error.err().unwrap().code(), "ledger/wrong-operator-key");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_new_operator_key_signs_from_its_own_event_on() {
    let (folder, author) = folder_with(3);
    let writer = open(folder.path());
    let statement = OperatorRotated { key: key("operator-2") };
    let [first, second] = [REGISTRARS[0], REGISTRARS[1]].map(|name| (Capacity::Registrar, name));
    let draft = author.world.draft(statement, &[first, second]);
    let draft = draft.signer(Capacity::NewKey, Some(&handle("operator")), key("operator-2"));
    let event = author.sign(&draft, &[first, second, (Capacity::NewKey, "operator-2")]);
    assert_eq!(writer.submit(event.clone()).unwrap_err().code(), "gate/operator-key");
    let wrong = writer.rotate_operator(event.clone(), secret("factory"));
    assert_eq!(wrong.unwrap_err().code(), "gate/operator-key");
    assert_eq!(writer.rotate_operator(event, secret("operator-2")).unwrap().index, 3);
    writer.submit(author.donation(9)).unwrap();
    writer.close().unwrap();

    let error = Writer::open(folder.path(), secret("operator"), clock()).err().unwrap();
    assert_eq!(error.code(), "ledger/wrong-operator-key");
    let writer = Writer::open(folder.path(), secret("operator-2"), clock()).unwrap();
    assert_eq!(writer.submit(author.donation(10)).unwrap().index, 5);
    // Earlier sizes stay those of the earlier key.
    let out = folder.path().join("early.zip");
    let export = |key: &SecretKey| {
        writer.with_ledger(|l| l.export(&out, Some(3), Some(key), Existing::Refuse, &mut |_, _| {}))
    };
    let error = export(&secret("operator-2")).unwrap_err();
    assert_eq!(error.code(), "ledger/wrong-operator-key");
    export(&secret("operator")).unwrap();
    writer.close().unwrap();
    check_ledger(&Ledger::open(folder.path()).unwrap());
}

#[test]
fn one_opens_a_ledger_at_a_time() {
    let (folder, _) = folder_with(2);
    let writer = open(folder.path());
    assert_eq!(code_of_opening(folder.path()), "store/locked");
    let snapshot = writer.snapshot();
    writer.close().unwrap();
    assert_eq!(code_of_opening(folder.path()), "store/locked");
    drop(snapshot);
    check_ledger(&Ledger::open(folder.path()).unwrap());
}

#[test]
fn folders_that_are_no_ledger_of_this_version_are_named_so() {
    let (folder, _) = folder_with(2);
    assert_eq!(code_of_opening(&folder.path().join("nowhere")), "store/no-folder");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(code_of_opening(empty.path()), "store/not-a-ledger");
    for (version, code) in [(3, "store/newer-version"), (1, "store/older-version")] {
        let marker = format!("giftproof-ledger/v{version}\n");
        fs::write(folder.path().join("giftproof-ledger"), marker).unwrap();
        assert_eq!(code_of_opening(folder.path()), code);
    }
    let error = Writer::create(folder.path(), genesis(), secret("operator"), clock());
    assert_eq!(error.err().unwrap().code(), "store/occupied");
}

#[test]
fn an_older_copy_is_refused_by_checkpoint_and_by_mark() {
    let (folder, author) = folder_with(300);
    let old = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), old.path());
    let keys = tempfile::tempdir().unwrap();
    let mark = keys.path().join("operator.mark");
    let operator = || Operator { key: secret("operator"), mark: Some(mark.clone()) };
    let writer = Writer::open(folder.path(), operator(), clock()).unwrap();
    writer.submit(author.donation(1)).unwrap();
    writer.close().unwrap();
    let newest = fs::read(folder.path().join(CHECKPOINT_FILE)).unwrap();
    assert_eq!(fs::read(&mark).unwrap(), newest);

    // The whole folder put back: the mark tells. The log alone: the checkpoint tells as well.
    let open_old = || Writer::open(old.path(), operator(), clock());
    assert_eq!(open_old().err().unwrap().code(), "ledger/rolled-back");
    fs::write(old.path().join(CHECKPOINT_FILE), &newest).unwrap();
    assert_eq!(code_of_opening(old.path()), "ledger/rolled-back");
    assert_eq!(open_old().err().unwrap().code(), "ledger/rolled-back");

    // Somebody went on from the old copy without the mark: now there are two histories.
    fs::remove_file(old.path().join(CHECKPOINT_FILE)).unwrap();
    let writer = open(old.path());
    (0..5).for_each(|quantity| drop(writer.submit(author.donation(50 + quantity)).unwrap()));
    writer.close().unwrap();
    assert_eq!(open_old().err().unwrap().code(), "ledger/forked");
    fs::write(old.path().join(CHECKPOINT_FILE), &newest).unwrap();
    assert_eq!(code_of_opening(old.path()), "ledger/forked");

    // An unreadable checkpoint file is written anew, an unreadable mark is not.
    fs::write(folder.path().join(CHECKPOINT_FILE), "garbage").unwrap();
    Writer::open(folder.path(), operator(), clock()).unwrap().close().unwrap();
    assert_eq!(fs::read(folder.path().join(CHECKPOINT_FILE)).unwrap(), newest);
    fs::write(&mark, "garbage").unwrap();
    let error = Writer::open(folder.path(), operator(), clock()).err().unwrap();
    assert_eq!(error.code(), "ledger/mark-unreadable");
    let new = tempfile::tempdir().unwrap();
    let error = Writer::create(new.path(), genesis(), operator(), clock()).err().unwrap();
    assert_eq!(error.code(), "ledger/mark-taken");
    check_ledger(&Ledger::open(folder.path()).unwrap());
}

/// A store that gives other bytes, or none, for one object.
struct Tampered {
    inner: MemoryStore,
    name: ObjectName,
    bit: Option<usize>,
}

impl Store for Tampered {
    fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError> {
        let mut bytes = self.inner.read(name)?;
        if *name == self.name {
            match (self.bit, &mut bytes) {
                (Some(bit), Some(bytes)) => {
                    let bit = bit % (bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                _ => return Ok(None),
            }
        }
        Ok(bytes)
    }

    fn head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.head()
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), CommitError> {
        self.inner.commit(commit)
    }
}

#[test]
fn a_missing_or_changed_object_is_named() {
    let store = MemoryStore::new();
    let writer =
        Writer::create_over(Arc::new(store.clone()), None, genesis(), secret("operator"), clock())
            .unwrap();
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    for answer in writer.submit_many(author.donations(518)) {
        answer.unwrap();
    }
    writer.close().unwrap();

    let bundle = ObjectName::Bundle(1);
    let tile = ObjectName::Tile { level: 0, index: 1 };
    let tail = ObjectName::Tail { first: 512 };
    let opened = |name, bit| {
        Ledger::over(Arc::new(Tampered { inner: store.clone(), name, bit }), None)
            .err()
            .expect("opened")
    };
    for name in [bundle, tile, tail] {
        let error = opened(name, None);
        assert_eq!(error.code(), "ledger/missing");
        assert!(error.to_string().contains(&name.to_string()), "{error}");
    }
    for bit in (0..400_000).step_by(7919) {
        // The order of discovery differs: a tile shows in the root, a bundle against its tile.
        let codes: Vec<_> =
            [bundle, tile, tail].iter().map(|name| opened(*name, Some(bit)).code()).collect();
        let allowed =
            [["ledger/damaged"; 2], ["ledger/root"; 2], ["ledger/root", "ledger/damaged"]];
        for (code, allowed) in codes.iter().zip(allowed) {
            assert!(allowed.contains(code), "{codes:?} at bit {bit}");
        }
    }
    check_ledger(&Ledger::over(Arc::new(store), None).unwrap());
}

#[test]
fn the_store_of_a_ledger_is_read_by_the_auditors_door() {
    let (folder, _) = folder_with(700);
    let ledger = Ledger::open(folder.path()).unwrap();
    let zip = folder.path().join("all.zip");
    let mut calls = Vec::new();
    ledger
        .export(&zip, None, None, Existing::Refuse, &mut |done, all| calls.push((done, all)))
        .unwrap();
    let layout = BundleLayout::of_size(700);
    assert_eq!(calls.len() as u64, layout.file_count());
    assert_eq!(calls.last(), Some(&(layout.file_count(), layout.file_count())));

    let bundle = OpenedBundle::open(&zip).unwrap().with_size(700).unwrap();
    for file in layout.files() {
        let read = |source: &dyn LogSource| match file {
            LogFile::Checkpoint => source.checkpoint().unwrap(),
            LogFile::TrustCopy => match source.trust_copy().unwrap() {
                TrustCopy::Intact(bytes) => bytes,
                other => panic!("{other:?}"),
            },
            LogFile::Tile(tile) => source.tile(&tile).unwrap(),
            LogFile::Entries(entries) => source.entries(&entries).unwrap(),
        };
        assert!(read(&ledger) == read(&bundle), "{file}");
    }
    let trust = fs::read(folder.path().join(TRUST_FILE)).unwrap();
    let trust = TrustFile::parse(&trust).unwrap();
    assert_eq!(trust.newest().unwrap().checkpoint().size, 1);
    assert_eq!(trust.genesis(), ledger.state().genesis);
}

#[test]
fn an_export_of_an_earlier_size_is_what_the_export_was_then() {
    let sizes = [1, 2, 200, 256, 257, 511, 512, 513];
    let folder = tempfile::tempdir().unwrap();
    let outs = tempfile::tempdir().unwrap();
    let writer = Writer::create(folder.path(), genesis(), secret("operator"), clock()).unwrap();
    let author = Author::of(&writer);
    let mut events = vec![author.enrolment("red-cross")];
    events.extend(author.donations(511));
    let mut events = events.into_iter();
    for size in sizes {
        let missing = size - writer.newest().index - 1;
        for answer in writer.submit_many(events.by_ref().take(missing as usize).collect()) {
            answer.unwrap();
        }
        let out = outs.path().join(format!("{size}-then.zip"));
        let nothing = &mut |_, _| {};
        writer.with_ledger(|l| l.export(&out, None, None, Existing::Refuse, nothing)).unwrap();
    }
    writer.close().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let operator = secret("operator");
    for size in sizes {
        let out = outs.path().join(format!("{size}-now.zip"));
        ledger.export(&out, Some(size), Some(&operator), Existing::Refuse, &mut |_, _| {}).unwrap();
        let then = fs::read(outs.path().join(format!("{size}-then.zip"))).unwrap();
        assert!(fs::read(out).unwrap() == then, "size {size}");
    }
    let out = outs.path().join("x.zip");
    let export = |until, key: Option<&SecretKey>| {
        ledger.export(&out, until, key, Existing::Refuse, &mut |_, _| {}).unwrap_err().code()
    };
    assert_eq!(export(Some(100), None), "export/needs-operator-key");
    assert_eq!(export(Some(100), Some(&secret("factory"))), "ledger/wrong-operator-key");
    assert_eq!(export(Some(514), Some(&operator)), "ledger/no-entry");
    assert_eq!(export(Some(0), Some(&operator)), "ledger/no-entry");
    assert!(!out.exists());
    check_ledger(&ledger);
}

#[test]
fn two_runs_with_the_same_clock_write_the_same_bytes() {
    let bundles: BTreeSet<Vec<u8>> = (0..2)
        .map(|_| {
            let (folder, _) = folder_with(20);
            let out = folder.path().join("all.zip");
            let ledger = Ledger::open(folder.path()).unwrap();
            ledger.export(&out, None, None, Existing::Refuse, &mut |_, _| {}).unwrap();
            fs::read(out).unwrap()
        })
        .collect();
    assert_eq!(bundles.len(), 1);
}

#[test]
fn recorded_at_follows_the_clock_but_never_back() {
    let folder = tempfile::tempdir().unwrap();
    let hand = ManualClock::new(UnixMs(START_MS));
    let clock = Clock::Manual(hand.clone());
    let writer = Writer::create(folder.path(), genesis(), secret("operator"), clock).unwrap();
    let author = Author::of(&writer);
    hand.set(UnixMs(START_MS + 5000));
    writer.submit(author.enrolment("red-cross")).unwrap();
    hand.set(UnixMs(START_MS + 2000));
    writer.submit(author.donation(1)).unwrap();
    hand.set(UnixMs(START_MS + 7000));
    writer.submit(author.donation(2)).unwrap();
    let times: Vec<u64> = (0..4)
        .map(|index| writer.with_ledger(|l| l.entry(index).unwrap().header.recorded_at.0))
        .map(|recorded_at| recorded_at - START_MS)
        .collect();
    assert_eq!(times, [0, 5000, 5000, 7000]);
    writer.close().unwrap();
    check_ledger(&Ledger::open(folder.path()).unwrap());
}

#[test]
fn a_genesis_that_breaks_the_rules_makes_no_ledger() {
    let create = |event| {
        let folder = tempfile::tempdir().unwrap();
        let error = Writer::create(folder.path(), event, secret("operator"), clock()).err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        error.unwrap()
    };
    let mut unsigned = genesis();
    unsigned.signatures[0][0] ^= 1;
    assert!(matches!(create(unsigned), WriterError::Genesis(_)));
    let author = Author::new(NO_LEAF);
    let error = create(author.enrolment("red-cross"));
    assert!(matches!(error, WriterError::Ledger(LedgerError::Rules { index: 0, .. })), "{error}");
}

/// An entry has room for 400 links, an event for 32 KiB.
#[test]
fn what_is_too_large_is_refused_at_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let writer =
        Writer::create_over(store, Some(folder.path()), genesis(), secret("operator"), clock())
            .unwrap();
    let author = Author::of(&writer);
    for name in ["red-cross", "warehouse"] {
        writer.submit(author.enrolment(name)).unwrap();
    }
    let donations = author.donations(400);
    let accepted = writer.submit_many(donations);
    let gifts: Vec<EventHash> =
        accepted.into_iter().map(|accepted| accepted.unwrap().hash).collect();
    let sent = |count: usize| {
        let portions: Vec<_> = gifts[..count].iter().map(|gift| (*gift, 1, None, 1)).collect();
        let id = shipment("red-cross", "S-1");
        let statement =
            dispatch(id, "warehouse", Purpose::Transfer, crate::util::portions(&portions));
        author.event(statement, &[(Capacity::Holder, "red-cross")])
    };
    let refused = writer.submit(sent(400)).unwrap_err();
    assert_eq!(refused.code(), "gate/too-many-subjects");
    assert!(writer.submit(sent(399)).is_ok());

    let mut event = sent(1);
    event.frame.body.resize(32_769, 0);
    assert_eq!(writer.submit(event).unwrap_err().code(), "event/too-large");
    writer.with_ledger(check_ledger);
}
