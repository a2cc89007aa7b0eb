//! Lies in the files around the entries: bundles, tiles, checkpoint, container; and bits that flip.

use std::io::{Seek, SeekFrom, Write};

use giftproof::bundle::{LogFile, OpenedBundle, TrustCopy};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::entry::NO_LEAF;
use giftproof::model::event::*;
use giftproof::model::hash::NodeHash;
use giftproof::model::note::{KeyKind, VerifierKey};
use giftproof::model::tile::{BundleCoord, TileCoord};
use giftproof::model::trust::TrustFile;
use giftproof::model::violation::Code;
use giftproof::verify::{CopyComparison, Outcome, Spot};

use super::{Found, NOBODYS, Stage, found, need};
use crate::audit::{run, two_of_three};
use crate::forge::*;
use crate::util::*;

fn shorten(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - 1);
}

const CHECKPOINT: Spot = Spot::File(LogFile::Checkpoint);

fn lowest_tile(index: u64, width: u16) -> LogFile {
    LogFile::Tile(TileCoord::new(0, index, width).unwrap())
}

fn bundle(index: u64, width: u16) -> LogFile {
    LogFile::Entries(BundleCoord::new(index, width).unwrap())
}

/// A lie in the files around the entries: with the log, and the trust of whoever audits it.
pub type FileLie = fn(&mut Files, &mut TrustFile);

/// Every lie that is told in the files, with all that is found.
pub fn file_lies() -> Vec<(&'static str, FileLie, Found)> {
    let upper = LogFile::Tile(TileCoord::new(1, 0, 1).unwrap());
    let (low, high) = (lowest_tile(0, 256), lowest_tile(1, 4));
    let at = Spot::File;
    vec![
        ("nothing", |_, _| {}, vec![]),
        (
            "a bundle that ends within an entry",
            |files, _| shorten(files.bytes_mut(bundle(1, 4))),
            vec![(at(bundle(1, 4)), Code::BundleMismatch)],
        ),
        (
            "a bundle with an entry too many",
            |files, _| files.bytes_mut(bundle(0, 256)).extend([0, 0]),
            vec![(at(bundle(0, 256)), Code::BundleMismatch)],
        ),
        (
            "a missing bundle",
            |files, _| drop(files.bundles.pop_last()),
            vec![(at(bundle(1, 4)), Code::BundleMismatch)],
        ),
        (
            "an entry exchanged under the signed root",
            |files, _| {
                // The signature of the last entry: nothing links to it.
                let last = files.bytes_mut(bundle(1, 4));
                let len = last.len();
                last[len - 10] ^= 1;
            },
            vec![
                (Spot::Entry(259), Code::SignatureInvalid),
                (at(bundle(1, 4)), Code::BundleMismatch),
                (CHECKPOINT, Code::RootMismatch),
            ],
        ),
        (
            "the last entry of a full bundle exchanged under the signed root",
            |files, _| {
                let full = files.bytes_mut(bundle(0, 256));
                let len = full.len();
                full[len - 10] ^= 1;
            },
            vec![
                (Spot::Entry(255), Code::SignatureInvalid),
                (Spot::Entry(256), Code::ChainPrevious),
                (at(bundle(0, 256)), Code::BundleMismatch),
                (CHECKPOINT, Code::RootMismatch),
            ],
        ),
        (
            "the same, and another hash in an upper tile",
            |files, _| {
                let full = files.bytes_mut(bundle(0, 256));
                let len = full.len();
                full[len - 10] ^= 1;
                files.bytes_mut(LogFile::Tile(TileCoord::new(1, 0, 1).unwrap()))[31] ^= 1
            },
            vec![
                (Spot::Entry(255), Code::SignatureInvalid),
                (Spot::Entry(256), Code::ChainPrevious),
                (at(bundle(0, 256)), Code::BundleMismatch),
                (at(upper), Code::TileMismatch),
                (CHECKPOINT, Code::RootMismatch),
            ],
        ),
        (
            "another hash in a lowest tile",
            |files, _| files.bytes_mut(lowest_tile(0, 256))[77] ^= 1,
            vec![(at(low), Code::TileMismatch)],
        ),
        (
            "another hash in a partial tile",
            |files, _| files.bytes_mut(lowest_tile(1, 4))[0] ^= 1,
            vec![(at(high), Code::TileMismatch)],
        ),
        (
            "another hash in an upper tile",
            |files, _| files.bytes_mut(LogFile::Tile(TileCoord::new(1, 0, 1).unwrap()))[31] ^= 1,
            vec![(at(upper), Code::TileMismatch)],
        ),
        (
            "missing tiles",
            |files, _| files.tiles.clear(),
            vec![
                (at(low), Code::TileMismatch),
                (at(high), Code::TileMismatch),
                (at(upper), Code::TileMismatch),
            ],
        ),
        (
            "a short tile",
            |files, _| shorten(files.bytes_mut(lowest_tile(0, 256))),
            vec![(at(low), Code::TileMismatch)],
        ),
        (
            "another root, signed",
            |files, _| files.sign(ORIGIN, NodeHash::from_bytes([1; 32]), "operator"),
            vec![(CHECKPOINT, Code::RootMismatch)],
        ),
        (
            "a checkpoint with a fourth line",
            |files, _| {
                let note = String::from_utf8(files.checkpoint.clone()).unwrap();
                files.checkpoint = note.replacen("\n\n", "\nmore\n\n", 1).into_bytes();
            },
            vec![(CHECKPOINT, Code::CheckpointMalformed)],
        ),
        (
            "a checkpoint in another spelling",
            |files, _| {
                let note = String::from_utf8(files.checkpoint.clone()).unwrap();
                files.checkpoint = note.replacen("\n260\n", "\n0260\n", 1).into_bytes();
            },
            vec![(CHECKPOINT, Code::CheckpointMalformed)],
        ),
        (
            "a larger size than there are entries",
            |files, _| {
                let root = files.signed_checkpoint().checkpoint().root;
                files.size = u64::MAX;
                files.sign(ORIGIN, root, "operator");
            },
            vec![(at(bundle(1, 256)), Code::BundleMismatch)],
        ),
        (
            "the log signed again with a stranger's key",
            |files, _| {
                let root = files.signed_checkpoint().checkpoint().root;
                files.sign(ORIGIN, root, "stranger");
            },
            vec![(CHECKPOINT, Code::CheckpointSignature)],
        ),
        (
            "a checkpoint of another log",
            |files, _| {
                let root = files.signed_checkpoint().checkpoint().root;
                files.sign("ledger.example/other", root, "operator");
            },
            vec![(CHECKPOINT, Code::CheckpointOrigin)],
        ),
        (
            "a clone of the ledger under the same origin",
            |files, _| {
                let mut forge = Forge::of(&World::new());
                let mut draft = World::bare().draft(NeedClosed { need: NOBODYS }, &[]);
                let event = forge.items[0].event.clone().open(&NO_LEAF).unwrap();
                (draft.statement, draft.signers) =
                    (event.statement.unwrap(), event.head.signers.to_vec());
                forge.items.truncate(1);
                forge.items[0].event = sign(&draft, &NO_LEAF);
                *files = forge.files();
            },
            vec![(Spot::Entry(0), Code::TrustGenesis)],
        ),
        (
            "another operator than the one trusted",
            |_, trust| {
                let text = trust.to_string();
                let (start, rest) = text.split_once("operator ").unwrap();
                let (_, end) = rest.split_once('\n').unwrap();
                let name = trust.origin().key_name().clone();
                let kind = KeyKind::Ed25519;
                let other = note_key("stranger");
                let other = VerifierKey::of_signer(name, kind, &other);
                let text = format!("{start}operator {other}\n{end}");
                *trust = TrustFile::parse(text.as_bytes()).unwrap();
            },
            vec![(Spot::Entry(0), Code::TrustOperator)],
        ),
        (
            "a log shorter than the one that was seen",
            |files, trust| {
                let mut seen = files.clone();
                seen.size += 1;
                seen.sign(ORIGIN, NodeHash::from_bytes([1; 32]), "operator");
                *trust = trust.clone().with_newest(seen.signed_checkpoint()).unwrap();
            },
            vec![(CHECKPOINT, Code::TrustCheckpoint)],
        ),
        (
            "a log that witnesses have not seen",
            |_, trust| {
                let (origin, operator) = (trust.origin().clone(), trust.operator().clone());
                let policy = two_of_three();
                *trust = TrustFile::new(origin, trust.genesis(), operator, policy).unwrap();
            },
            vec![(CHECKPOINT, Code::TrustPolicy)],
        ),
    ]
}

/// 260 entries: two bundles, two lowest tiles, one above.
fn two_bundles() -> Forge {
    let mut stage = Stage::new();
    while stage.world.state.size < 260 {
        let draft = need(&stage, "hospital-a");
        stage.world.accept(draft);
    }
    Forge::of(&stage.world)
}

#[test]
fn lies_in_the_files_are_found() {
    let forge = two_bundles();
    let honest = forge.files();
    for (lie, tell, expected) in file_lies() {
        let (mut files, mut trust) = (honest.clone(), forge.trust());
        tell(&mut files, &mut trust);
        let report = run(&files, Some(&trust));
        assert_eq!(found(&report), expected, "{lie}");
    }
}

/// A flipped bit in a tile of a zip: the container finds it before any hash is compared.
#[test]
fn a_container_that_is_not_canonical_is_found_when_it_is_read() {
    let forge = two_bundles();
    let files = forge.files();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.zip");
    let mut zip = files.zip();
    let tile = files.bytes(lowest_tile(1, 4)).unwrap();
    let at = zip.windows(tile.len()).position(|bytes| bytes == tile.as_slice()).unwrap();
    zip[at + 5] ^= 1;
    std::fs::write(&path, &zip).unwrap();
    let reader = OpenedBundle::open(&path).unwrap().with_size(files.size).unwrap();
    let report = run(&reader, None);
    assert_eq!(found(&report), [(Spot::File(lowest_tile(1, 4)), Code::ContainerMalformed)]);
}

/// Two entries, and a trust file beside them.
fn smallest_log() -> (Files, TrustFile) {
    let mut world = World::bare();
    world.enrol("carrier", Role::Carrier, 0);
    let forge = Forge::of(&world);
    let (mut files, trust) = (forge.files(), forge.trust());
    files.trust_copy = TrustCopy::Intact(trust.to_string().into_bytes());
    (files, trust)
}

/// What a program that is given this zip would say: nothing, or a code.
fn judge(path: &std::path::Path, trust: &TrustFile) -> Result<CopyComparison, &'static str> {
    let opened = OpenedBundle::open(path).map_err(|error| error.code())?;
    let note = SignedCheckpoint::parse(opened.checkpoint()).map_err(|error| error.code())?;
    let reader = opened.with_size(note.checkpoint().size).map_err(|error| error.code())?;
    let report = run(&reader, Some(trust));
    match report.failures.first() {
        [] => Ok(report.trust_copy),
        [failure, ..] => Err(failure.violation.code.as_str()),
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_bundle_is_found() {
    let (files, trust) = smallest_log();
    let zip = files.zip();
    let copy = files.bytes(LogFile::TrustCopy).unwrap();
    let copy_at = zip.windows(copy.len()).position(|bytes| bytes == copy.as_slice()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.zip");
    std::fs::write(&path, &zip).unwrap();
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    let mut put = |byte: u8, at: usize| {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    assert_eq!(judge(&path, &trust), Ok(CopyComparison::Same));
    for (at, byte) in zip.iter().enumerate() {
        let in_copy = (copy_at..copy_at + copy.len()).contains(&at);
        for bit in 0..8 {
            put(byte ^ 1 << bit, at);
            match judge(&path, &trust) {
                Ok(CopyComparison::Damaged) if in_copy => {}
                Err(_) if !in_copy => {}
                other => panic!("bit {bit} of byte {at}: {other:?}"),
            }
        }
        put(*byte, at);
    }
    for len in (0..zip.len()).rev() {
        file.set_len(len as u64).unwrap();
        assert!(judge(&path, &trust).is_err(), "cut to {len} bytes");
    }
}

/// The same without a container that would notice: hashes and signatures alone.
#[test]
fn every_flipped_bit_of_every_file_is_found() {
    let (honest, trust) = smallest_log();
    for name in honest.files().filter(|name| *name != LogFile::TrustCopy) {
        for bit in 0..honest.bytes(name).unwrap().len() * 8 {
            let mut files = honest.clone();
            files.bytes_mut(name)[bit / 8] ^= 1 << (bit % 8);
            let report = run(&files, Some(&trust));
            assert_eq!(report.outcome(), Outcome::Failed, "bit {bit} of {name}");
        }
    }
}
