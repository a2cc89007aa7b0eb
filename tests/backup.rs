//! Copies of a ledger's folder: when they may be made, how they are put back, and how one that is
//! too old is recognised.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use giftproof::bundle::{Existing, LogFolder};
use giftproof::ledger::{CHECKPOINT_FILE, Ledger};
use giftproof::mirror::Mirror;
use giftproof::model::violation::Code;
use giftproof::repair::{Damage, examine};
use giftproof::verify::{Options, Outcome, audit};
use giftproof::writer::{Operator, Writer};

use crate::cli::{Desk, stderr, words};
use crate::ledger::{Author, check_ledger, clock, folder_with, open};
use crate::util::*;

fn operator(mark: &Path) -> Operator {
    Operator { key: secret("operator"), mark: Some(mark.to_path_buf()) }
}

#[test]
fn a_copy_of_a_closed_folder_goes_on_where_it_was_made() {
    let (folder, author) = folder_with(300);
    let backup = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), backup.path());
    let writer = open(backup.path());
    assert_eq!(writer.submit(author.donation(1)).unwrap().index, 300);
    writer.close().unwrap();
    check_ledger(&Ledger::open(backup.path()).unwrap());
}

/// A bundle or mirror can be taken at any time. A copy of the folder's files can not: made while a
/// writer runs, it may be of several moments at once. It is then refused or older, never wrong.
#[test]
fn a_copy_made_under_a_writer_is_whole_or_refused_or_older_and_never_another_log() {
    let (folder, _) = folder_with(300);
    let writer = open(folder.path());
    let stop = AtomicBool::new(false);
    let backups = [(); 8].map(|()| tempfile::tempdir().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            let author = Author::of(&writer);
            for quantity in (1000..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                writer.submit(author.donation(quantity)).unwrap();
            }
        });
        backups.iter().for_each(|backup| copy_what_is_there(folder.path(), backup.path()));
        stop.store(true, Ordering::Relaxed);
    });
    for backup in &backups {
        match Ledger::open(backup.path()) {
            Ok(ledger) => {
                check_ledger(&ledger);
                let size = ledger.state().size;
                let leaf = writer.with_ledger(|newest| newest.log().leaf(size - 1)).unwrap();
                assert_eq!(ledger.newest().leaf, leaf);
            }
            Err(error) => {
                let families = ["store", "ledger"];
                let family = error.code().split('/').next().unwrap();
                assert!(families.contains(&family), "{}", error.code());
            }
        }
    }
    writer.close().unwrap();
}

/// A file that is renamed meanwhile may be gone when its turn comes.
fn copy_what_is_there(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries.flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_what_is_there(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target)),
        }
    }
}

#[test]
fn an_older_copy_is_recognised_and_caught_up_from_a_mirror() {
    let (folder, author) = folder_with(300);
    let keys = tempfile::tempdir().unwrap();
    let mark = keys.path().join("operator.mark");
    let backup = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), backup.path());
    let writer = Writer::open(folder.path(), operator(&mark), clock()).unwrap();
    (0..30).for_each(|n| drop(writer.submit(author.donation(2000 + n)).unwrap()));
    writer.close().unwrap();
    let newest = Ledger::open(folder.path()).unwrap();
    let trust = newest.trust().unwrap();
    let mirrored = tempfile::tempdir().unwrap();
    let mirror = Mirror::open(mirrored.path()).unwrap();
    mirror.follow(&newest, None, 1_800_000_000, &Options::default()).unwrap();
    let checkpoint = newest.checkpoint().clone();
    drop(newest);

    // By the mark beside the operator's key.
    let error = Writer::open(backup.path(), operator(&mark), clock()).err().unwrap();
    assert_eq!(error.code(), "ledger/rolled-back");
    // By whoever holds a newer checkpoint.
    let old = Ledger::open(backup.path()).unwrap();
    let report = audit(&old, Some(&trust), &Options::default()).unwrap();
    assert_eq!(report.outcome(), Outcome::Failed);
    assert_eq!(report.failures.first()[0].violation.code, Code::TrustCheckpoint);
    // By the mirror, which does not follow.
    let error = mirror.follow(&old, None, 1_800_000_001, &Options::default()).unwrap_err();
    assert_eq!(error.code(), "mirror/rolled-back");
    drop(old);

    // The mark says what is lost; the mirror has it.
    let lost = examine(backup.path(), None, Some(&mark), &mut |_| {}).err().unwrap();
    assert_eq!(lost.code(), "repair/lost");
    assert!(lost.to_string().ends_with(": 300-329"), "{lost}");
    let source = Box::new(LogFolder::new(mirrored.path()));
    let examined = examine(backup.path(), Some(source), Some(&mark), &mut |_| {}).unwrap();
    let behind = Damage::RolledBack { size: 300, published: 330 };
    assert_eq!(examined.damage(), [behind]);
    examined.mend(&mut |_| {}).unwrap();
    let restored = Ledger::open(backup.path()).unwrap();
    assert_eq!(restored.checkpoint().note().text(), checkpoint.note().text());
    check_ledger(&restored);
    assert_eq!(fs::read(backup.path().join(CHECKPOINT_FILE)).unwrap(), fs::read(&mark).unwrap());
    drop(restored);
    let writer = Writer::open(backup.path(), operator(&mark), clock()).unwrap();
    let index = writer.submit(Author::of(&writer).donation(9)).unwrap().index;
    assert_eq!(index, 330);
    writer.close().unwrap();
    let out = keys.path().join("out.zip");
    let ledger = Ledger::open(backup.path()).unwrap();
    ledger.export(&out, None, None, Existing::Refuse, &mut |_, _| {}).unwrap();
    // It extends what everybody has seen.
    let report = audit(&ledger, Some(&trust), &Options::default()).unwrap();
    assert_eq!(report.outcome(), Outcome::Clean);
    mirror.follow(&ledger, None, 1_800_000_002, &Options::default()).unwrap();
}

#[test]
fn the_commands_recognise_an_older_copy() {
    let desk = Desk::with_ledger();
    let backup = desk.path("hospital").join("ledger");
    copy_folder(&desk.ledger(), &backup);
    desk.donate();
    desk.run("office", "trust ../charity/newest.trust");
    desk.run("office", "export ../charity/newest.zip");
    let tell = |line: &str| {
        let output = desk.command("hospital", &words(line)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), stderr(&output), said)
    };
    let (exit, told, _) = tell("audit ledger --trust ../charity/newest.trust");
    assert!(exit == Some(1) && told.contains("[audit/failed]"), "{told}");
    // The two fit: the older copy is the beginning of the newer one, not another ledger.
    let compare = "compare ledger ../charity/newest.zip --trust ../charity/newest.trust";
    let (exit, told, said) = tell(compare);
    assert_eq!(exit, Some(0), "{told}");
    assert!(said.contains("the larger tree extends the smaller one"), "{said}");
    let (exit, told, _) = tell("seal --ledger ledger");
    assert!(exit == Some(2) && told.contains("[ledger/rolled-back]"), "{told}");
    let (exit, told, _) = tell("repair ledger");
    assert!(exit == Some(1) && told.contains("[repair/lost]"), "{told}");
    let (exit, told, _) = tell("repair ledger --from ../charity/newest.zip");
    assert_eq!(exit, Some(0), "{told}");
    let (exit, told, _) = tell("audit ledger --trust ../charity/newest.trust");
    assert_eq!(exit, Some(0), "{told}");
}
