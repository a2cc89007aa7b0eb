//! The derived index: whatever becomes of its files, a ledger opens with the state that a replay of
//! all entries gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use giftproof::ledger::{Ledger, Stage};
use giftproof::model::date::{Date, UnixMs};
use giftproof::model::encoding::List;
use giftproof::model::event::*;
use giftproof::model::seal::Sort;
use giftproof::model::state::State;
use giftproof::store::MemoryStore;
use giftproof::writer::{Clock, ManualClock, Writer};

use crate::ledger::{Author, genesis};
use crate::util::*;

/// The files of an index, by name.
type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder.join("index")).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

fn put(folder: &Path, files: &Files) {
    fs::remove_dir_all(folder.join("index")).ok();
    fs::create_dir(folder.join("index")).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join("index").join(name), bytes).unwrap();
    }
}

/// The name of the one file of values.
fn values(files: &Files) -> &str {
    files.keys().find(|name| name.starts_with("values-")).unwrap()
}

/// A ledger that was opened and closed several times, with seals between, and what the index was
/// after each time.
struct Grown {
    store: MemoryStore,
    folder: tempfile::TempDir,
    saved: Vec<Files>,
    /// What a replay of all entries gives.
    replayed: State,
}

fn grown(sessions: u64) -> Grown {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let clock = ManualClock::new(UnixMs(START_MS));
    let shared = || Arc::new(store.clone());
    let path = Some(folder.path());
    let (clock_of, operator) = (|| Clock::Manual(clock.clone()), || secret("operator"));
    let writer = Writer::create_over(shared(), path, genesis(), operator(), clock_of()).unwrap();
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    writer.close().unwrap();
    let mut saved = vec![files(folder.path())];
    for session in 0..sessions {
        let writer = Writer::over(shared(), path, operator(), clock_of()).unwrap();
        for quantity in 0..1 + session % 4 {
            writer.submit(author.donation(100 * session + quantity + 1)).unwrap();
        }
        if session % 3 == 1 {
            clock.set(UnixMs(clock.now().0 + 20_000));
            writer.seal().unwrap();
            writer.submit(author.enrolment(&format!("charity-{session}"))).unwrap();
        }
        if session == 3 {
            let (handle, key) = (handle("red-cross"), key("red-cross"));
            let since = Date::from_days(20_000).unwrap();
            let stolen = KeyCompromised { handle, key, since };
            writer.submit(author.event(stolen, &[(Capacity::Oneself, "red-cross")])).unwrap();
        }
        writer.close().unwrap();
        saved.push(files(folder.path()));
    }
    let replayed = Ledger::over(shared(), None).unwrap().state().clone();
    Grown { store, folder, saved, replayed }
}

impl Grown {
    fn open(&self) -> Ledger {
        Ledger::over(Arc::new(self.store.clone()), Some(self.folder.path())).unwrap()
    }

    /// Opens with these files, and compares all that the state says, also the hashes of tables.
    fn check(&self, files: &Files, what: &str) {
        put(self.folder.path(), files);
        let state = self.open().state().clone();
        assert!(state.fault().is_none() && state == self.replayed, "{what}");
        let (mut state, mut replayed) = (state, self.replayed.clone());
        assert_eq!(state.seal_statement(), replayed.seal_statement(), "{what}");
        let sealed =
            |state: &State| Sort::ALL.iter().map(|s| state.table(*s).sealed()).collect::<Vec<_>>();
        assert_eq!(sealed(&state), sealed(&replayed), "{what}");
    }
}

#[test]
fn saving_appends_what_has_changed_and_opening_gives_the_state_of_a_replay() {
    let grown = grown(12);
    for pair in grown.saved.windows(2) {
        assert_eq!(pair[0]["state"], pair[1]["state"]);
        for name in ["changes", values(&pair[1])] {
            let before = pair[0].get(name).cloned().unwrap_or_default();
            assert!(pair[1][name].starts_with(&before) && pair[1][name].len() > before.len());
        }
    }
    for (session, files) in grown.saved.iter().enumerate() {
        grown.check(files, &format!("session {session}"));
    }
}

#[test]
fn an_index_that_was_cut_off_anywhere_is_one_of_less() {
    let grown = grown(9);
    let newest = grown.saved.last().unwrap();
    for name in newest.keys() {
        let len = newest[name].len();
        let ends = grown.saved.iter().filter_map(|files| files.get(name)).map(Vec::len);
        let near: Vec<usize> = ends.flat_map(|end| end.saturating_sub(40)..end + 12).collect();
        for cut in (0..len).filter(|cut| cut % 61 == 0 || near.contains(cut)) {
            let mut files = newest.clone();
            files.get_mut(name).unwrap().truncate(cut);
            grown.check(&files, &format!("{name} cut at {cut}"));
        }
        let mut files = newest.clone();
        files.remove(name);
        grown.check(&files, &format!("without {name}"));
    }
}

#[test]
fn a_flipped_bit_is_found_before_anything_rests_on_it() {
    let grown = grown(9);
    let newest = grown.saved.last().unwrap();
    for name in ["state", "changes"] {
        for at in (0..newest[name].len()).step_by(23) {
            let mut files = newest.clone();
            files.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            grown.check(&files, &format!("{name} flipped at {at}"));
        }
    }
    // Values are not read when a ledger is opened: a wrong one is none, and that is said.
    let name = values(newest);
    for at in (0..newest[name].len()).step_by(23) {
        let mut files = newest.clone();
        files.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
        put(grown.folder.path(), &files);
        let state = grown.open().state().clone();
        let wrong = !grown.replayed.gifts.iter().eq(state.gifts.iter());
        assert_eq!(wrong, state.fault().is_some(), "{at}");
    }
}

/// Each file as it may be found after a crash while another base takes the old one's place.
#[test]
fn a_crash_while_the_base_is_rewritten_leaves_the_old_one_or_the_new() {
    let grown = grown(9);
    let old = grown.saved.last().unwrap();
    put(grown.folder.path(), &Files::new());
    grown.open().save_index().unwrap();
    let new = files(grown.folder.path());
    assert!(!new.contains_key("changes") && new["state"] != old["state"]);
    let with = |files: &Files, name: &str, bytes: &[u8]| {
        let mut files = files.clone();
        files.insert(name.to_owned(), bytes.to_owned());
        files
    };
    for cut in (0..=new["state"].len()).step_by(67) {
        let files = with(old, "state.partial", &new["state"][..cut]);
        grown.check(&files, &format!("partial of {cut}"));
    }
    // Values that were being moved together, and parts that follow another base.
    grown.check(&with(old, "values-1", &new[values(&new)]), "values moved");
    grown.check(&with(&new, "changes", &old["changes"]), "parts of the old base");
    grown.check(&with(&new, "values-7", &old[values(old)]), "values of the old base");
    let torn = [&old["changes"][..], &[7; 100]].concat();
    grown.check(&with(old, "changes", &torn), "something after the parts");
}

/// A gift that changes again and again is written each time; what it was is thrown away.
#[test]
fn what_is_written_stays_in_proportion_to_what_there_is() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let shared = || Arc::new(store.clone());
    let path = Some(folder.path());
    let (genesis, operator) = (genesis(), || secret("operator"));
    let writer =
        Writer::create_over(shared(), path, genesis, operator(), crate::ledger::clock()).unwrap();
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    let gift = writer.submit(author.donation(5)).unwrap().hash;
    writer.close().unwrap();
    let mut bases = vec![files(folder.path())["state"].clone()];
    let mut values = BTreeSet::new();
    for _ in 0..150 {
        let writer = Writer::over(shared(), path, operator(), crate::ledger::clock()).unwrap();
        let testimony = Testimony { goods: goods(gift, 1, None), quantity: 1 };
        let said = Attestation {
            evidence: EvidenceKind::PaperReceipt,
            text: text(""),
            url: text(""),
            from: None,
            until: None,
            held_by: None,
            recipient_name: text("A"),
            shipment: None,
            goods: List::new(vec![testimony]).unwrap(),
            listed: List::default(),
        };
        writer.submit(author.event(said, &[(Capacity::Speaker, "red-cross")])).unwrap();
        writer.close().unwrap();
        let files = files(folder.path());
        values.extend(files.keys().filter(|name| name.starts_with("values")).cloned());
        // A base, its parts, and one file of values.
        assert!(files.len() <= 3, "{:?}", files.keys());
        if bases.last() != Some(&files["state"]) {
            assert!(!files.contains_key("changes"));
            bases.push(files["state"].clone());
            // Of the values, an eighth at most is of no use now, or little.
            let state = Ledger::over(shared(), path).unwrap().state().clone();
            let records = state.gifts.records().chain(state.shipments.records());
            let used: usize = records.map(|record| 8 + record.unwrap().1.len()).sum();
            let len = files[self::values(&files)].len();
            assert!(len - used <= (len / 8).max(1 << 16), "{used} of {len}");
        }
        let parts = files.get("changes").map_or(0, Vec::len);
        assert!(parts < (1 << 16) + 4096 + files["state"].len() / 3, "{parts}");
    }
    assert!((2..15).contains(&bases.len()), "{}", bases.len());
    assert!(values.len() > 1, "{values:?}");
    let read = Ledger::over(shared(), path).unwrap().state().clone();
    assert!(read == *Ledger::over(shared(), None).unwrap().state());
}

#[test]
fn a_part_that_another_thread_writes_is_whole_for_whoever_opens_next() {
    let grown = grown(9);
    for (session, older) in grown.saved.iter().enumerate().rev().skip(1) {
        put(grown.folder.path(), older);
        let mut ledger = grown.open();
        ledger.save_index_behind().unwrap();
        drop(ledger);
        let behind = files(grown.folder.path());
        assert!(behind["changes"].len() > older.get("changes").map_or(0, Vec::len));
        grown.check(&behind, &format!("session {session}"));

        // Whoever saves next waits for it, and finds nothing left to do.
        put(grown.folder.path(), older);
        let mut ledger = grown.open();
        ledger.save_index_behind().unwrap();
        ledger.save_index().unwrap();
        assert_eq!(*ledger.state(), grown.replayed);
        drop(ledger);
        let saved = files(grown.folder.path());
        assert_eq!(saved["changes"].len(), behind["changes"].len());
        grown.check(&saved, &format!("session {session}, saved again"));
    }
}

/// Long enough that parts and bases are written while gifts go on changing.
#[test]
#[ignore = "120,000 events take half a minute"]
fn a_ledger_that_grew_while_its_index_was_written_is_that_of_a_replay() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let shared = || Arc::new(store.clone());
    let (path, operator) = (Some(folder.path()), secret("operator"));
    let clock = crate::ledger::clock();
    let writer = Writer::create_over(shared(), path, genesis(), operator, clock).unwrap();
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    let mut gifts = Vec::new();
    while gifts.len() < 50_000 {
        let quantities = gifts.len() as u64 + 10..gifts.len() as u64 + 2_010;
        let donations: Vec<_> = quantities.map(|quantity| author.donation(quantity)).collect();
        gifts.extend(donations.iter().map(|event| event.frame.hash(&author.genesis)));
        // Older gifts change again and again, some of them just as they are written.
        let older = gifts.iter().rev().step_by(5).take(3_600);
        let holds = older.enumerate().map(|(number, gift)| {
            let portions = portions(&[(*gift, 1, None, 1)]);
            let authority = text(&number.to_string());
            let hold = Hold { cause: HoldCause::Recall, authority, portions };
            author.event(hold, &[(Capacity::Holder, "red-cross")])
        });
        let events: Vec<_> = donations.into_iter().chain(holds).collect();
        let answers = writer.submit_many(events);
        assert!(answers.iter().all(Result::is_ok));
    }
    // As a kill would leave it, when nothing is being written any more.
    let mut killed = files(folder.path());
    loop {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let before = std::mem::replace(&mut killed, files(folder.path()));
        if before == killed {
            break;
        }
    }
    drop(writer);
    assert!(killed["state"].len() > 1_000_000);
    let replayed = Ledger::over(shared(), None).unwrap().state().clone();
    assert!(replayed.size > 100_000);
    assert_eq!(*Ledger::over(shared(), path).unwrap().state(), replayed, "closed");
    put(folder.path(), &killed);
    // What comes out of the index is told in leaps; then each entry that is replayed.
    let (mut before, mut first_replayed) = (0, 0);
    let mut tell = |stage, done, _| {
        if stage == Stage::Entries {
            first_replayed = if done == before + 1 { first_replayed } else { done };
            before = done;
        }
    };
    let opened = Ledger::over_telling(shared(), path, &mut tell).unwrap();
    assert_eq!(*opened.state(), replayed, "killed");
    let replays = replayed.size + 1 - first_replayed;
    assert!(0 < replays && replays <= 65_536, "{replays}");
}

#[test]
fn a_part_that_cannot_be_written_by_another_thread_is_told_and_all_is_written_next() {
    let grown = grown(5);
    put(grown.folder.path(), &grown.saved[2]);
    let mut ledger = grown.open();
    // A folder stands where the file of parts should.
    let changes = grown.folder.path().join("index").join("changes");
    fs::remove_file(&changes).unwrap();
    fs::create_dir(&changes).unwrap();
    ledger.save_index_behind().unwrap();
    assert_eq!(ledger.save_index_behind().unwrap_err().code(), "ledger/io");
    fs::remove_dir(&changes).unwrap();
    ledger.save_index_behind().unwrap();
    drop(ledger);
    let saved = files(grown.folder.path());
    assert!(!saved.contains_key("changes") && saved["state"] != grown.saved[2]["state"]);
    grown.check(&saved, "written anew");
}

#[test]
fn what_follows_a_torn_part_is_written_over_it() {
    let grown = grown(4);
    let mut files = grown.saved.last().unwrap().clone();
    let len = files["changes"].len();
    files.get_mut("changes").unwrap().truncate(len - 5);
    put(grown.folder.path(), &files);
    let mut ledger = grown.open();
    ledger.save_index().unwrap();
    drop(ledger);
    let again = self::files(grown.folder.path());
    assert_eq!(again["state"], files["state"]);
    assert!(!again["changes"].starts_with(&files["changes"]));
    grown.check(&again, "saved again");
}
