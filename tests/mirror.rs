//! Mirrors: whoever reads one sees the old log or the new, whatever happens while it is changed,
//! and only a log that extends the copy is taken.

use std::cell::RefCell;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use giftproof::bundle::{BundleLayout, LogFile, LogFolder, LogSource, SourceError, TrustCopy};
use giftproof::mirror::{Followed, Mirror, MirrorError};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::event::*;
use giftproof::model::tile::{BundleCoord, TileCoord};
use giftproof::model::trust::TrustFile;
use giftproof::verify::{Options, Outcome};

use crate::audit::{journey, run, unknown};
use crate::forge::*;
use crate::util::*;

const SECONDS: u64 = 1_800_000_000;

fn follow(folder: &Path, source: &dyn LogSource) -> Result<Followed, MirrorError> {
    follow_with(folder, source, None)
}

fn follow_with(
    folder: &Path,
    source: &dyn LogSource,
    trust: Option<&TrustFile>,
) -> Result<Followed, MirrorError> {
    let options = Options { threads: NonZeroUsize::new(2).unwrap(), ..Options::default() };
    Mirror::open(folder).unwrap().follow(source, trust, SECONDS, &options)
}

/// Every file of the log is in the mirror, byte for byte, and the whole audits clean.
fn assert_mirrors(folder: &Path, files: &Files) {
    for file in files.files().filter(|file| *file != LogFile::TrustCopy) {
        let bytes = fs::read(folder.join(file.to_string())).unwrap();
        assert_eq!(&bytes, files.bytes(file).unwrap(), "{file}");
    }
    let report = run(&LogFolder::new(folder), None);
    assert_eq!((report.outcome(), report.entries), (Outcome::Clean, files.size));
}

/// All files below a folder but the mirror's own, by path.
fn tiles_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("tile")];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn paths(size: u64) -> Vec<String> {
    let files = BundleLayout::of_size(size).files();
    let mut paths: Vec<String> =
        files.map(|file| file.to_string()).filter(|path| path.starts_with("tile")).collect();
    paths.sort();
    paths
}

/// More than a bundle of entries.
fn entries() -> (World, Vec<Vec<u8>>) {
    let mut world = World::new();
    (0..90).for_each(|number| _ = journey(&mut world, number));
    let entries = Forge::of(&world).entries();
    assert!(entries.len() > 270);
    (world, entries)
}

fn files(entries: &[Vec<u8>], size: usize) -> Files {
    Files::of(&entries[..size], "operator")
}

#[test]
fn a_mirror_grows_with_its_source() {
    let (_, entries) = entries();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sizes = [1, 13, 255, 256, 257, 270];
    let mut before = 0;
    for size in sizes {
        let source = files(&entries, size);
        let followed = follow(folder, &source).unwrap();
        assert_eq!(followed, Followed { from: before, to: size as u64 });
        assert_mirrors(folder, &source);
        assert_eq!(
            follow(folder, &source).unwrap(),
            Followed { from: followed.to, to: followed.to }
        );
        // Whoever still reads by the last checkpoint finds its files; older ones are gone.
        let mut expected = paths(size as u64);
        expected.extend(paths(before));
        expected.sort();
        expected.dedup();
        assert_eq!(tiles_in(folder), expected, "size {size}");
        before = size as u64;
    }
    // A mirror can be mirrored, and a cosignature alone is worth taking.
    let second = tempfile::tempdir().unwrap();
    follow(second.path(), &LogFolder::new(folder)).unwrap();
    assert_mirrors(second.path(), &files(&entries, 270));
    let mut again = files(&entries, 270);
    let signed = again.signed_checkpoint().to_string();
    again.checkpoint = (signed.clone() + signed.lines().last().unwrap() + "\n").into_bytes();
    assert_eq!(follow(folder, &again).unwrap(), Followed { from: 270, to: 270 });
    assert_mirrors(folder, &again);
}

/// A source that breaks off after so many reads.
struct Breaking {
    files: Files,
    left: AtomicUsize,
    reads: AtomicUsize,
}

impl Breaking {
    fn new(files: Files, reads: usize) -> Self {
        Self { files, left: AtomicUsize::new(reads), reads: AtomicUsize::new(0) }
    }

    fn read(&self, file: LogFile) -> Result<Vec<u8>, SourceError> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_err() {
            let source = std::io::Error::other("the line is dead");
            return Err(SourceError::Io { file: Some(file), source });
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(self.files.bytes(file).unwrap().clone())
    }
}

impl LogSource for Breaking {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.files.checkpoint()
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        Ok(TrustCopy::Absent)
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        self.read(LogFile::Tile(*tile))
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        self.read(LogFile::Entries(*bundle))
    }
}

#[test]
fn whoever_mirrors_is_told_how_much_is_kept_for_the_next_audit() {
    let (world, entries) = entries();
    let folder = tempfile::tempdir().unwrap();
    let told = RefCell::new(Vec::new());
    let saving = |done, all| told.borrow_mut().push((done, all));
    let options = Options { saving: Some(&saving), ..Options::default() };
    let mirror = Mirror::open(folder.path()).unwrap();
    mirror.follow(&files(&entries, entries.len()), None, SECONDS, &options).unwrap();
    let all = (world.state.gifts.len() + world.state.shipments.len()) as u64;
    assert!(all > 0);
    assert_eq!(told.into_inner(), (1..=all).map(|done| (done, all)).collect::<Vec<_>>());
}

#[test]
fn what_was_taken_before_an_interruption_is_not_taken_again() {
    let (_, entries) = entries();
    let (old, new) = (files(&entries, 20), files(&entries, 270));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    follow(folder, &old).unwrap();
    let mut reads = 0;
    for attempt in 0.. {
        let source = Breaking::new(new.clone(), 1);
        let followed = follow(folder, &source);
        reads += source.reads.load(Ordering::SeqCst);
        match followed {
            Ok(followed) => {
                assert_eq!(followed, Followed { from: 20, to: 270 });
                assert!(attempt > 2, "it was interrupted");
                break;
            }
            Err(error) => {
                assert_eq!(error.code(), "bundle/io");
                assert_mirrors(folder, &old);
            }
        }
    }
    // Two bundles, two lowest tiles, the one above them.
    assert_eq!(reads, 5);
    assert_mirrors(folder, &new);
    assert!(!folder.join(".giftproof-mirror/incoming").exists());
}

#[test]
fn what_was_kept_wrongly_is_taken_again() {
    let (_, entries) = entries();
    let (old, new) = (files(&entries, 20), files(&entries, 270));
    for file in new.files().filter(|file| file.to_string().starts_with("tile")) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        follow(folder, &old).unwrap();
        let path = folder.join(".giftproof-mirror/incoming").join(file.to_string());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = new.bytes(file).unwrap().clone();
        bytes[70 % new.bytes(file).unwrap().len()] ^= 1;
        fs::write(path, bytes).unwrap();
        follow(folder, &new).unwrap();
        assert_mirrors(folder, &new);
    }
}

/// What a crash leaves behind when it comes after each of the steps of publishing, in their order.
#[test]
fn a_crash_leaves_the_old_log_or_the_new() {
    let (_, entries) = entries();
    let (old, new) = (files(&entries, 250), files(&entries, 270));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let state = folder.join(".giftproof-mirror/state");
    let checkpoint = folder.join("checkpoint");
    follow(folder, &old).unwrap();
    let old_state = fs::read(&state).unwrap();
    follow(folder, &new).unwrap();

    // Before the state was written: the files are there, and nobody asks for them.
    fs::write(&state, &old_state).unwrap();
    fs::write(&checkpoint, &old.checkpoint).unwrap();
    assert_mirrors(folder, &old);
    assert_eq!(follow(folder, &new).unwrap(), Followed { from: 250, to: 270 });
    assert_mirrors(folder, &new);

    // Before the checkpoint was: the next round publishes it.
    fs::write(&checkpoint, &old.checkpoint).unwrap();
    assert_mirrors(folder, &old);
    assert_eq!(follow(folder, &new).unwrap(), Followed { from: 270, to: 270 });
    assert_mirrors(folder, &new);

    // In the first round of all, too.
    fs::remove_file(&checkpoint).unwrap();
    assert_eq!(follow(folder, &new).unwrap(), Followed { from: 270, to: 270 });
    assert_mirrors(folder, &new);

    // A state that is lost or damaged, or of older files than are there, is made again.
    let lost = [None, Some(b"damaged".to_vec()), Some(old_state)];
    for (lost, size) in lost.into_iter().zip(271..) {
        match lost {
            None => fs::remove_file(&state).unwrap(),
            Some(bytes) => fs::write(&state, bytes).unwrap(),
        }
        let newer = files(&entries, size);
        let followed = Followed { from: size as u64 - 1, to: size as u64 };
        assert_eq!(follow(folder, &newer).unwrap(), followed);
        assert_mirrors(folder, &newer);
    }
}

fn kept(evidence: &Path) -> [SignedCheckpoint; 2] {
    ["seen", "found"]
        .map(|name| SignedCheckpoint::parse(&fs::read(evidence.join(name)).unwrap()).unwrap())
}

#[test]
fn a_fork_and_a_rollback_are_not_followed_and_both_checkpoints_are_kept() {
    let (world, entries) = entries();
    let mut fork = Forge::of(&world);
    let moved = fork.items.remove(100);
    fork.items.push(moved);
    // An honest log but for being another one: the event that was moved stands on nothing.
    let mut other = World::new();
    (0..60).for_each(|number| _ = journey(&mut other, number + 1));
    let other = Forge::of(&other).entries();
    assert_eq!(other[..10], entries[..10]);
    let ours = files(&entries, 150);
    for (theirs, code) in [
        (files(&fork.entries(), 270), "mirror/forked"),
        (files(&other, 180), "mirror/forked"),
        (files(&other, 150), "mirror/forked"),
        (files(&other, 140), "mirror/forked"),
        (files(&entries, 140), "mirror/rolled-back"),
        (files(&entries, 1), "mirror/rolled-back"),
        // Signed by somebody else, it proves nothing against the operator.
        (Files::of(&other, "red-cross"), "mirror/other-ledger"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        follow(folder, &ours).unwrap();
        let error = follow(folder, &theirs).unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        let (MirrorError::Forked { conflict, evidence, .. }
        | MirrorError::RolledBack { conflict, evidence }) = error
        else {
            panic!("{error:?}");
        };
        assert!(evidence.starts_with(folder.join("evidence")));
        let expected = [ours.signed_checkpoint(), theirs.signed_checkpoint()];
        assert_eq!(kept(&evidence), expected);
        assert_eq!([conflict.seen, conflict.found], expected);
        assert_mirrors(folder, &ours);
        assert!(!folder.join(".giftproof-mirror/incoming").exists());
        // It goes on where the source is honest again.
        follow(folder, &files(&entries, 160)).unwrap();
        assert_mirrors(folder, &files(&entries, 160));
    }
}

#[test]
fn another_ledger_of_the_same_name_accuses_nobody() {
    let (_, entries) = entries();
    let folder = tempfile::tempdir().unwrap();
    follow(folder.path(), &files(&entries, 20)).unwrap();
    // Its own first entry names the same operator, and rules that differ.
    let mut world = World::under(Rules { inclusion_seconds: 1, ..rules() });
    world.enrol("red-cross", Role::Charity, 2);
    let elsewhere = Forge::of(&world).files();
    let error = follow(folder.path(), &elsewhere).unwrap_err();
    assert_eq!(error.code(), "mirror/other-ledger");
    let other = Forge::of(&world).trust();
    let empty = tempfile::tempdir().unwrap();
    let error = follow_with(empty.path(), &files(&entries, 20), Some(&other)).unwrap_err();
    let MirrorError::Failed(report) = error else { panic!("{error:?}") };
    assert_eq!(report.failures.first()[0].violation.code.as_str(), "trust/genesis");
    assert!(!empty.path().join("checkpoint").exists());
}

#[test]
fn what_is_not_clean_is_not_taken() {
    let (world, entries) = entries();
    let mut forge = Forge::of(&world);
    let new_rules = RulesChanged { rules: rules() };
    forge.push(&world.draft(new_rules, &[(Capacity::Registrar, "registrar-1")]));
    let failing = forge.files();
    let mut forge = Forge::of(&world);
    let event = unknown(&world, &forge, "hospital-a");
    forge.push_event(event);
    let unknown = forge.files();
    let mut damaged = files(&entries, 270);
    damaged.bytes_mut(LogFile::Tile(TileCoord::new(0, 1, 14).unwrap()))[7] ^= 1;
    for size in [0, 20, 260] {
        for (source, code) in [
            (&failing, "mirror/failed"),
            (&unknown, "mirror/not-understood"),
            (&damaged, "mirror/failed"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let ours = files(&entries, size);
            if size > 0 {
                follow(folder, &ours).unwrap();
            }
            let error = follow(folder, source).unwrap_err();
            assert_eq!(error.code(), code, "{size}: {error:?}");
            assert!(!folder.join("evidence").exists());
            match size {
                0 => assert!(!folder.join("checkpoint").exists()),
                _ => assert_mirrors(folder, &ours),
            }
        }
    }
}

#[test]
fn a_damaged_mirror_says_so() {
    let (_, entries) = entries();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    follow(folder, &files(&entries, 260)).unwrap();
    let tile = folder.join("tile/0/000");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[9] ^= 1;
    fs::write(&tile, bytes).unwrap();
    fs::remove_file(folder.join(".giftproof-mirror/state")).unwrap();
    let error = follow(folder, &files(&entries, 270)).unwrap_err();
    assert_eq!(error.code(), "mirror/damaged");
}

#[test]
fn a_mirror_has_one_keeper_and_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Mirror::open(folder.path()).unwrap();
    assert_eq!(Mirror::open(folder.path()).unwrap_err().code(), "mirror/locked");
    drop(kept);
    Mirror::open(folder.path()).unwrap();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("letter"), "dear").unwrap();
    assert_eq!(Mirror::open(other.path()).unwrap_err().code(), "mirror/occupied");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
}
