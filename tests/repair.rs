//! Damaged ledger folders are made whole from copies of the log, or stay as they are.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use giftproof::bundle::{Existing, LogFolder, LogSource, OpenedBundle};
use giftproof::ledger::{CHECKPOINT_FILE, Ledger, POLICY_FILE, TRUST_FILE};
use giftproof::mirror::Mirror;
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::event::Rules;
use giftproof::model::hash::document_hash;
use giftproof::repair::{Damage, Mended, RepairError, examine};
use giftproof::store::{FolderLock, LocalStore, ObjectName, Store as _};
use giftproof::verify::Options;
use giftproof::writer::Writer;
use tempfile::TempDir;

use crate::cli::{Desk, stderr, words};
use crate::ledger::{check_ledger, clock, folder_with, make, open};
use crate::util::*;

type Source = Box<dyn LogSource + Send>;

fn repair(folder: &Path, source: Option<Source>) -> Result<(Vec<Damage>, Mended), RepairError> {
    let examined = examine(folder, source, None, &mut |_| {})?;
    let damage = examined.damage().to_vec();
    Ok((damage, examined.mend(&mut |_| {})?))
}

fn codes(damage: &[Damage]) -> Vec<&'static str> {
    damage.iter().map(Damage::code).collect()
}

/// The hashes of all files of a folder, but for the files that the database writes to when it is opened.
fn contents(folder: &Path) -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("log") {
                    folders.push(path);
                }
            } else {
                let bytes = fs::read(&path).unwrap();
                found.push((path, document_hash(&bytes).to_string()));
            }
        }
    }
    found.sort();
    found
}

fn bundle(ledger: &Path, out: &Path) -> Source {
    let opened = Ledger::open(ledger).unwrap();
    opened.export(out, None, None, Existing::Replace, &mut |_, _| {}).unwrap();
    open_bundle(out)
}

fn open_bundle(path: &Path) -> Source {
    let opened = OpenedBundle::open(path).unwrap();
    let size = SignedCheckpoint::parse(opened.checkpoint()).unwrap().checkpoint().size;
    Box::new(opened.with_size(size).unwrap())
}

fn mirror(ledger: &Path, folder: &Path) -> Source {
    let opened = Ledger::open(ledger).unwrap();
    let mirror = Mirror::open(folder).unwrap();
    mirror.follow(&opened, None, 1_800_000_000, &Options::default()).unwrap();
    Box::new(LogFolder::new(folder))
}

/// A ledger of 600 entries in several commits, another whole copy of it, and its bundle.
fn copies() -> (TempDir, TempDir, PathBuf) {
    let (folder, author) = folder_with(590);
    let writer = open(folder.path());
    for quantity in 1000..1010 {
        writer.submit(author.donation(quantity)).unwrap();
    }
    writer.close().unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    let out = copy.path().join("bundle.zip");
    drop(bundle(folder.path(), &out));
    (folder, copy, out)
}

/// Zeros most of the database: it opens no more, or without most of what it had.
fn destroy(folder: &Path) {
    let db = fs::File::options().write(true).open(folder.join("log/objects/db")).unwrap();
    db.write_all_at(&vec![0xa5; 200_000], 0).unwrap();
}

fn goes_on(folder: &Path, size: u64) {
    let ledger = Ledger::open(folder).unwrap();
    assert_eq!(ledger.state().size, size);
    check_ledger(&ledger);
    let genesis = ledger.state().genesis;
    drop(ledger);
    let writer = open(folder);
    let event = crate::ledger::Author::new(genesis).donation(77_777);
    assert_eq!(writer.submit(event).unwrap().index, size);
    writer.close().unwrap();
    check_ledger(&Ledger::open(folder).unwrap());
}

#[test]
fn a_whole_folder_is_left_alone() {
    let (folder, _copy, out) = copies();
    let before = contents(folder.path());
    for source in [None, Some(open_bundle(&out))] {
        let (damage, mended) = repair(folder.path(), source).unwrap();
        assert!(damage.is_empty(), "{damage:?}");
        assert_eq!(mended, Mended { size: 600, aside: None });
    }
    assert_eq!(contents(folder.path()), before);
    goes_on(folder.path(), 600);
}

#[test]
fn a_destroyed_database_comes_back_from_each_kind_of_copy() {
    let (folder, copy, out) = copies();
    let mirrored = tempfile::tempdir().unwrap();
    drop(mirror(copy.path(), mirrored.path()));
    let sources: [(&str, &dyn Fn() -> Source); 3] = [
        ("bundle", &|| open_bundle(&out)),
        ("mirror", &|| Box::new(LogFolder::new(mirrored.path()))),
        ("folder", &|| Box::new(Ledger::open(copy.path()).unwrap())),
    ];
    let checkpoint = fs::read(folder.path().join(CHECKPOINT_FILE)).unwrap();
    for (kind, source) in sources {
        let damaged = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), damaged.path());
        destroy(damaged.path());
        let was = fs::read(damaged.path().join("log/objects/db")).unwrap();
        let before = contents(damaged.path());

        // Without a copy, everything is lost and nothing is touched.
        let error = repair(damaged.path(), None).unwrap_err();
        assert_eq!(error.code(), "repair/lost", "{kind}");
        assert!(error.to_string().ends_with(": 0-599"), "{error}");
        assert_eq!(contents(damaged.path()), before);

        let (damage, mended) = repair(damaged.path(), Some(source())).unwrap();
        assert_eq!(codes(&damage), ["store/damaged"], "{kind}");
        let aside = mended.aside.unwrap();
        assert_eq!((mended.size, &aside), (600, &damaged.path().join("log.damaged-1")));
        // sled may have cut the file's end off; what it had is kept.
        assert_eq!(fs::read(aside.join("objects/db")).unwrap()[..200_000], was[..200_000]);
        assert_eq!(fs::read(damaged.path().join(CHECKPOINT_FILE)).unwrap(), checkpoint);
        goes_on(damaged.path(), 600);
    }
}

/// What becomes of an object's bytes; none if the object is lost.
type Change<'a> = Option<&'a dyn Fn(&mut Vec<u8>)>;

/// Changes the objects of a log below its head, as rot would if the database did not see it.
fn alter(folder: &Path, objects: &[(ObjectName, Change<'_>)]) {
    // The store never changes an object: its database is made again around the same head.
    let mut kept = Vec::new();
    let store = LocalStore::open(folder).unwrap();
    let head = store.head().unwrap().unwrap();
    let size = SignedCheckpoint::parse(&head).unwrap().checkpoint().size;
    let mut names = vec![ObjectName::Tile { level: 0, index: 0 }];
    names.push(ObjectName::Tile { level: 0, index: 1 });
    names.extend((0..size / 256).map(ObjectName::Bundle));
    names.extend((size - size % 256..size).map(|first| ObjectName::Tail { first }));
    for name in names {
        let Some(mut bytes) = store.read(&name).unwrap() else { continue };
        match objects.iter().find(|(altered, _)| *altered == name) {
            Some((_, None)) => continue,
            Some((_, Some(change))) => change(&mut bytes),
            None => {}
        }
        kept.push((name, bytes));
    }
    drop(store);
    let mark = fs::read(folder.join("giftproof-mark")).unwrap();
    let number = u64::from_be_bytes(mark[..8].try_into().unwrap());
    let made = tempfile::tempdir().unwrap();
    let commit = |put, expected_head| giftproof::store::Commit {
        put,
        drop_tails: Vec::new(),
        expected_head,
        head: &head,
    };
    let store = LocalStore::create(made.path(), &commit(kept, None)).unwrap();
    (1..number).for_each(|_| store.commit(&commit(Vec::new(), Some(&head))).unwrap());
    drop(store);
    fs::remove_dir_all(folder.join("log")).unwrap();
    copy_folder(&made.path().join("log"), &folder.join("log"));
}

#[test]
fn damaged_objects_are_named_and_taken_from_where_they_are_whole() {
    let (folder, _copy, out) = copies();
    let flip: &dyn Fn(&mut Vec<u8>) = &|bytes: &mut Vec<u8>| bytes[700] ^= 4;
    let last: &dyn Fn(&mut Vec<u8>) = &|bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    let tile = |index| ObjectName::Tile { level: 0, index };
    // Tiles follow from the entries; of entries, a copy is needed.
    type Case<'a> = (&'a [(ObjectName, Option<&'a dyn Fn(&mut Vec<u8>)>)], &'a [&'a str], bool);
    let cases: [Case<'_>; 6] = [
        (&[(tile(0), Some(flip))], &["ledger/damaged"], false),
        (&[(tile(1), None)], &["ledger/missing"], false),
        (&[(ObjectName::Bundle(0), Some(flip))], &["ledger/damaged"], true),
        (&[(ObjectName::Bundle(1), Some(last))], &["ledger/damaged"], true),
        (
            &[(ObjectName::Bundle(1), None), (tile(1), None)],
            &["ledger/missing", "ledger/missing"],
            true,
        ),
        (&[(ObjectName::Tail { first: 595 }, None)], &["ledger/damaged"], true),
    ];
    for (objects, expected, needs_copy) in cases {
        let damaged = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), damaged.path());
        alter(damaged.path(), objects);
        let before = contents(damaged.path());
        if needs_copy {
            let error = repair(damaged.path(), None).unwrap_err();
            assert_eq!(error.code(), "repair/lost", "{error}");
            assert_eq!(contents(damaged.path()), before);
        }
        let source = needs_copy.then(|| open_bundle(&out));
        let (damage, mended) = repair(damaged.path(), source).unwrap();
        assert_eq!(codes(&damage), expected, "{damage:?}");
        assert!(mended.aside.is_some());
        goes_on(damaged.path(), 600);
    }
}

#[test]
fn two_damaged_copies_can_make_one_whole() {
    let (folder, copy, _) = copies();
    let flip: &dyn Fn(&mut Vec<u8>) = &|bytes: &mut Vec<u8>| bytes[700] ^= 4;
    let late: &dyn Fn(&mut Vec<u8>) = &|bytes: &mut Vec<u8>| bytes[60_000] ^= 4;
    let unpacked = tempfile::tempdir().unwrap();
    drop(mirror(copy.path(), unpacked.path()));
    // One lacks an entry early in the bundle, the other a later one.
    let path = unpacked.path().join("tile/entries/000");
    let mut bytes = fs::read(&path).unwrap();
    late(&mut bytes);
    fs::write(path, bytes).unwrap();
    alter(folder.path(), &[(ObjectName::Bundle(0), Some(flip))]);
    let source: Source = Box::new(LogFolder::new(unpacked.path()));
    let (damage, _) = repair(folder.path(), Some(source)).unwrap();
    assert_eq!(codes(&damage), ["ledger/damaged"]);
    goes_on(folder.path(), 600);
}

#[test]
fn copies_of_other_older_and_forked_logs_are_refused() {
    let (folder, copy, _) = copies();
    destroy(folder.path());
    let before = contents(folder.path());
    let out = copy.path().join("x.zip");
    let refused = |source: Source, code: &str| {
        let error = repair(folder.path(), Some(source)).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(contents(folder.path()), before);
    };

    // Fewer entries than the folder's own checkpoint.
    let older = tempfile::tempdir().unwrap();
    make(older.path(), 590);
    refused(bundle(older.path(), &out), "repair/source-older");
    // The same beginning, other entries at the end, and longer: signed by the same operator.
    let author = crate::ledger::Author::of(&open(older.path()));
    let writer = open(older.path());
    (0..20).for_each(|n| drop(writer.submit(author.donation(5000 + n)).unwrap()));
    writer.close().unwrap();
    refused(bundle(older.path(), &out), "repair/source-forked");
    // Another origin.
    let world = World::under(Rules { offset_minutes: 0, ..rules() });
    let other = tempfile::tempdir().unwrap();
    let event = world.log.entries[0].event.clone();
    let writer = Writer::create(other.path(), event, secret("operator"), clock()).unwrap();
    let author = crate::ledger::Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    writer.submit_many(author.donations(700)).into_iter().for_each(|a| drop(a.unwrap()));
    writer.close().unwrap();
    // The same name and operator, another entry 0.
    let error = repair(folder.path(), Some(bundle(other.path(), &out))).unwrap_err();
    assert!(["repair/source-forked", "repair/other-log"].contains(&error.code()), "{error}");
    assert_eq!(contents(folder.path()), before);
    // A longer log whose checkpoint nobody has signed.
    let mirrored = tempfile::tempdir().unwrap();
    drop(mirror(copy.path(), mirrored.path()));
    let path = mirrored.path().join("checkpoint");
    let text = fs::read_to_string(&path).unwrap();
    let (text, line) = text.rsplit_once(' ').unwrap();
    fs::write(&path, format!("{text} {}A{}", &line[..20], &line[21..])).unwrap();
    refused(Box::new(LogFolder::new(mirrored.path())), "repair/source-signature");

    // What is of no use for a destroyed log contradicts a whole one as well.
    let whole = tempfile::tempdir().unwrap();
    copy_folder(copy.path(), whole.path());
    let forked = Some(bundle(older.path(), &out));
    let error = repair(whole.path(), forked).unwrap_err();
    assert_eq!(error.code(), "repair/source-forked");
    goes_on(whole.path(), 600);
}

#[test]
fn files_beside_the_log_are_made_anew() {
    let (folder, _, _) = copies();
    let path = |name: &str| folder.path().join(name);
    let checkpoint = fs::read(path(CHECKPOINT_FILE)).unwrap();
    fs::write(path("giftproof-ledger"), "giftproof-ledge2/v1\n").unwrap();
    fs::write(path(TRUST_FILE), "garbage").unwrap();
    let mut index = fs::read(path("index/state")).unwrap();
    index[100] ^= 1;
    fs::write(path("index/state"), index).unwrap();
    // A digit of the size: it reads as a longer log that nobody has signed.
    let grown = String::from_utf8(checkpoint.clone()).unwrap().replace("\n600\n", "\n640\n");
    fs::write(path(CHECKPOINT_FILE), grown).unwrap();
    let (damage, mended) = repair(folder.path(), None).unwrap();
    let mut found = codes(&damage);
    found.sort_unstable();
    assert_eq!(found, ["repair/file", "repair/file", "repair/file", "store/not-a-ledger"]);
    assert_eq!(mended.aside, None);
    assert_eq!(fs::read(path(CHECKPOINT_FILE)).unwrap(), checkpoint);
    goes_on(folder.path(), 600);

    // The policy is the operator's own.
    fs::write(path(POLICY_FILE), "garbage\n").unwrap();
    assert_eq!(Ledger::open(folder.path()).err().unwrap().code(), "ledger/policy");
    let (damage, _) = repair(folder.path(), None).unwrap();
    assert_eq!(codes(&damage), ["ledger/policy"]);
    assert_eq!(fs::read(path(POLICY_FILE)).unwrap(), b"garbage\n");
}

#[test]
fn a_folder_in_use_is_not_repaired() {
    let (folder, _, _) = copies();
    let lock = FolderLock::take(folder.path()).unwrap();
    assert_eq!(repair(folder.path(), None).unwrap_err().code(), "store/locked");
    drop(lock);
    assert!(repair(folder.path(), None).unwrap().0.is_empty());
}

#[test]
fn the_command_tells_first_and_repairs_then() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    desk.run("office", "export ../charity/copy.zip");
    let lookup = desk.run("charity", &format!("lookup {gift}"));
    let whole = desk.json("office", "repair ledger");
    assert_eq!((&whole["damage"], &whole["repaired"]), (&serde_json::json!([]), &false.into()));

    destroy(&desk.ledger());
    let tell = |line: &str, exit: i32| {
        let output = desk.command("office", &words(line)).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{line}: {}", stderr(&output));
        let told = stderr(&output);
        (String::from_utf8(output.stdout).unwrap(), told)
    };
    let (_, told) = tell("repair ledger", 1);
    assert!(told.contains("[repair/lost]\n") && told.contains("(0-4)"), "{told}");
    let (said, told) = tell("repair ledger --from ../charity/copy.zip --dry-run", 1);
    assert!(said.contains("ledger: damaged\n") && said.contains("[store/damaged]\n"), "{said}");
    assert!(told.contains("[repair/damaged]\n"), "{told}");
    assert!(!desk.ledger().join("log.damaged-1").exists());
    let (said, _) = tell("repair ledger --from ../charity/copy.zip --lang zh", 0);
    assert!(said.contains("已修复；条目数：5") && said.contains("log.damaged-1"), "{said}");
    assert_eq!(desk.run("charity", &format!("lookup {gift}")), lookup);
    // The operator goes on, with the mark beside its key.
    desk.donate();
    assert_eq!(desk.size(), 6);
    desk.run("office", "audit ledger");
}
