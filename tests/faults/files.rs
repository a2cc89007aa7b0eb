//! The files beside the log: they cannot be written, or a power cut has taken away what was not on
//! disk. They follow from the log, so none of that costs an event.

use std::fs;

use giftproof::ledger::{CHECKPOINT_FILE, TRUST_FILE};
use giftproof::model::trust::TrustFile;
use giftproof::writer::Operator;
use tempfile::TempDir;

use super::*;
use crate::util::copy_folder;

/// A ledger with files: the folder, and the operator's mark outside.
struct Office {
    folder: TempDir,
    store: MemoryStore,
    told: Told,
    author: Author,
}

const MARK: &str = "operators-mark";
const INDEX: &str = "index/state";
const CHANGES: &str = "index/changes";

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, told, author) = ledger_of(5, Some(folder.path()));
        let office = Self { folder, store: store.reopen(), told, author };
        office.open().unwrap().close().unwrap();
        office
    }

    fn open(&self) -> Result<Writer, WriterError> {
        let operator =
            Operator { key: secret("operator"), mark: Some(self.folder.path().join(MARK)) };
        Writer::over(Arc::new(self.store.clone()), Some(self.folder.path()), operator, clock())
    }

    /// As it would be after a power cut.
    fn reopen(&mut self) -> Result<Writer, WriterError> {
        self.store = self.store.reopen();
        self.open()
    }

    /// What is published is the newest checkpoint of a ledger that holds what was answered.
    fn check(&mut self) {
        let writer = self.reopen().unwrap();
        self.told.settle(&writer);
        assert_whole(&writer);
        let head = writer.with_ledger(|ledger| ledger.checkpoint().to_string());
        for file in [CHECKPOINT_FILE, MARK] {
            assert_eq!(fs::read_to_string(self.folder.path().join(file)).unwrap(), head);
        }
        writer.close().unwrap();
    }
}

#[test]
fn what_cannot_be_published_is_not_acknowledged_and_not_lost() {
    for file in [CHECKPOINT_FILE, MARK] {
        for before in 0..3 {
            let mut office = Office::new();
            let writer = office.reopen().unwrap();
            for event in office.author.donations(before) {
                office.told.submit(&writer, &[(event, None)]);
            }
            let obstacle = office.folder.path().join(format!("{file}.partial"));
            fs::create_dir(&obstacle).unwrap();
            let group: Vec<Case> =
                office.author.donations(2).into_iter().map(|event| (event, None)).collect();
            office.told.submit(&writer, &group);
            assert_eq!(office.told.unknown.len(), 2, "{file}");
            // Nothing more is signed.
            let more = writer.submit(office.author.donation(3)).unwrap_err();
            assert_eq!(more.code(), "writer/stopped");
            drop(writer);
            assert_eq!(office.reopen().err().unwrap().code(), "ledger/io");
            fs::remove_dir(&obstacle).unwrap();

            let writer = office.reopen().unwrap();
            assert_eq!(office.told.settle(&writer), 2, "the log had them already");
            office.told.submit(&writer, &group);
            drop(writer);
            office.check();
        }
    }
}

#[test]
fn an_index_that_cannot_be_written_costs_no_event() {
    let mut office = Office::new();
    let writer = office.reopen().unwrap();
    // Neither a new base nor a part can be written.
    let obstacles = [format!("{INDEX}.partial"), CHANGES.to_owned()];
    let obstacles = obstacles.map(|name| office.folder.path().join(name));
    let _ = fs::remove_file(&obstacles[1]);
    obstacles.iter().for_each(|obstacle| fs::create_dir(obstacle).unwrap());
    for event in office.author.donations(3) {
        office.told.submit(&writer, &[(event, None)]);
    }
    assert_eq!(office.told.log.len(), 7);
    assert_eq!(writer.close().unwrap_err().code(), "ledger/io");
    obstacles.iter().for_each(|obstacle| fs::remove_dir(obstacle).unwrap());
    office.check();
}

/// Files that are not synced may be gone, empty, cut short or as they were before. Of these, only a
/// mark that cannot be read is a reason to stop: it may have told of a newer log.
#[test]
fn a_power_cut_may_take_the_files_beside_the_log() {
    let mut office = Office::new();
    let before = tempfile::tempdir().unwrap();
    copy_folder(office.folder.path(), before.path());
    let writer = office.reopen().unwrap();
    for event in office.author.donations(3) {
        office.told.submit(&writer, &[(event, None)]);
    }
    writer.close().unwrap();
    let whole = tempfile::tempdir().unwrap();
    copy_folder(office.folder.path(), whole.path());

    for file in [CHECKPOINT_FILE, MARK, INDEX, CHANGES] {
        let path = office.folder.path().join(file);
        let newest = fs::read(whole.path().join(file)).unwrap();
        let old = fs::read(before.path().join(file)).unwrap_or_default();
        assert_eq!(old == newest, file == INDEX, "{file}");
        let cuts = [1, 20, newest.len() / 2, newest.len() - 1].map(|len| newest[..len].to_vec());
        let zeros = vec![0; newest.len()];
        for left in [vec![], old, zeros].into_iter().chain(cuts) {
            fs::write(&path, &left).unwrap();
            match office.reopen() {
                Ok(writer) => writer.close().unwrap(),
                Err(error) => {
                    assert_eq!((file, error.code()), (MARK, "ledger/mark-unreadable"));
                    fs::remove_file(&path).unwrap();
                }
            }
            office.check();
        }
        fs::remove_file(&path).unwrap();
        office.check();
    }
}

#[test]
fn a_trust_file_is_made_again_if_it_is_gone() {
    let mut office = Office::new();
    let path = office.folder.path().join(TRUST_FILE);
    let made = TrustFile::parse(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    office.check();
    let again = TrustFile::parse(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((again.genesis(), again.operator()), (made.genesis(), made.operator()));
}
