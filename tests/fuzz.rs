//! The fuzz targets of `tests/fuzz` on their seeds: each input that a target begins with, or that
//! was once found with one, is tried.
//!
//! `tests/fuzz/seeds/<target>` has what no other fixture has; its binary files are written by
//! `cargo test write_fuzz_seeds -- --ignored`.

mod binary;
mod bundle;
mod event;
mod index;
mod log;
mod store;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use giftproof::bundle::Existing;
use giftproof::cli::event_file::EventFile;
use giftproof::cli::shipment::ShipmentFile;
use giftproof::keyfile::{self, Protection};
use giftproof::model::entry::{Entry, SignedEvent};
use giftproof::model::event::Kind;
use giftproof::model::hash::leaf_hash;
use giftproof::model::tile::push_entry;
use serde_json::Value;

use crate::forge::Forge;
use crate::util::*;

/// A name, and what is done with an input.
type Target = (&'static str, fn(&[u8]));

/// The targets, as `tests/fuzz/run` lists them.
const TARGETS: [Target; 6] = [
    ("binary", binary::run),
    ("bundle", bundle::run),
    ("event", event::run),
    ("index", index::run),
    ("log", log::run),
    ("text", text::run),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder, with their names.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    files
        .filter(|file| file.file_type().unwrap().is_file())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

fn seed_folder(target: &str) -> PathBuf {
    root().join("tests/fuzz/seeds").join(target)
}

#[test]
fn every_target_has_a_program_and_is_run() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    let programs = files(&root().join("tests/fuzz/targets")).into_keys();
    let programs: Vec<String> =
        programs.map(|name| name.strip_suffix(".rs").unwrap().to_owned()).collect();
    assert_eq!(programs, names);
    let script = fs::read_to_string(root().join("tests/fuzz/run")).unwrap();
    assert!(script.contains(&format!("set -- {}\n", names.join(" "))));
}

/// The address space that the seeds may have, in kilobytes.
const MEMORY_KB: u32 = 1 << 20;
const WITHIN: &str = "GIFTPROOF_TEST_MEMORY_IS_BOUNDED";

#[test]
fn every_target_holds_on_its_seeds_within_bounded_memory() {
    if cfg!(target_os = "linux") && std::env::var_os(WITHIN).is_none() {
        let name = "fuzz::every_target_holds_on_its_seeds_within_bounded_memory";
        let line = format!("ulimit -v {MEMORY_KB} && exec \"$0\" --exact {name} --nocapture");
        let mut command = Command::new("sh");
        command.args(["-c", &line]).arg(std::env::current_exe().unwrap());
        let output = command.env(WITHIN, "1").env("MALLOC_ARENA_MAX", "1").output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains("1 passed"), "{told}\n{failed}");
        return;
    }
    for (target, run) in TARGETS {
        let seeds = files(&seed_folder(target));
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (name, bytes) in seeds {
            println!("{target}/{name}");
            run(&bytes);
        }
    }
}

/// The texts and binary files that the tests of hostile bytes begin with.
#[test]
fn both_targets_of_files_hold_on_good_ones_of_every_format() {
    let mut count = 0;
    for folder in fs::read_dir(root().join("fixtures/seeds")).unwrap() {
        let folder = folder.unwrap();
        if folder.file_type().unwrap().is_dir() {
            for bytes in files(&folder.path()).values() {
                text::run(bytes);
                binary::run(bytes);
                count += 1;
            }
        }
    }
    assert!(count > 20, "the seeds are not where they are looked for");
}

#[test]
fn events_of_every_kind_are_seeds() {
    let kinds = files(&seed_folder("event")).into_values().filter_map(|bytes| {
        let event = SignedEvent::from_bytes(&bytes).ok()?;
        event.frame.open().unwrap().1.expect("it is understood");
        Kind::from_number(event.frame.kind)
    });
    let kinds: BTreeSet<Kind> = kinds.collect();
    assert_eq!(kinds, Kind::ALL.iter().copied().collect());
}

/// Each change that the target can make to a log is one that the auditors see.
#[test]
fn an_honest_log_is_clean_and_no_changed_one_is() {
    assert!(log::is_clean(&[]));
    let changes = [
        ("dropped", [0, 3, 0, 0, 0]),
        ("swapped", [1, 3, 4, 0, 0]),
        ("repeated", [2, 3, 5, 0, 0]),
        ("moved", [3, 3, 5, 0, 0]),
        ("exchanged", [4, 3, 4, 0, 0]),
        ("restated", [5, 3, 0, 20, 1]),
        ("restated by others", [6, 3, 0, 60, 1]),
        ("cut short", [7, 3, 0, 60, 1]),
        ("of another version", [8, 3, 0, 0, 2]),
        ("badly signed", [9, 3, 0, 5, 1]),
        ("not signed", [10, 3, 0, 0, 0]),
        ("signed once more", [11, 3, 0, 0, 1]),
        ("earlier than before", [12, 3, 0, 0, 0]),
        ("misplaced", [13, 3, 0, 0, 0]),
        ("mangled", [14, 3, 0, 0, 0]),
        ("checkpoint", [15, 0, 0, 30, 1]),
        ("tiles", [16, 0, 0, 30, 1]),
        ("entries", [17, 0, 0, 30, 1]),
        ("another root", [18, 0, 0, 0, 1]),
        ("nothing to read", [19, 0, 0, 0, 1]),
    ];
    for (what, change) in changes {
        assert!(!log::is_clean(&change), "{what}");
    }
    assert!(log::is_clean(&[0, 9, 0, 0, 0]), "nothing rests on the last event");
    assert!(log::is_clean(&[19, 2, 0, 9, 1]), "nothing rests on the trust file's copy");
}

#[test]
fn an_honest_bundle_is_whole_and_no_changed_one_is() {
    assert!(bundle::is_whole(&[]));
    for [high, low] in [0_u16, 40, 400, 4_000, 10_000].map(u16::to_be_bytes) {
        for [what, with] in [[0, 0x80], [1, 7], [2, 0], [2, 200], [3, 0]] {
            assert!(!bundle::is_whole(&[high, low, what, with]), "{high} {low} {what}");
        }
    }
}

/// The shipment of the fuzzed story, and all that was said before it was received.
fn dispatched() -> ShipmentFile {
    let entries = log::STORY.entries();
    let entries = entries[1..5].iter().map(|entry| Entry::from_bytes(entry).unwrap()).collect();
    ShipmentFile { genesis: log::STORY.genesis(), shipment: shipment("red-cross", "S-1"), entries }
}

#[test]
fn a_shipment_is_a_seed() {
    let file = ShipmentFile::read(&seed_folder("text").join("shipment-file")).unwrap();
    assert_eq!(file.entries, dispatched().entries);
    let rows = file.sheet().unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.quantity).collect::<Vec<_>>(), [100]);
}

/// The entries of a vector in `fixtures/accept`.
fn entries(vector: &[u8]) -> Vec<Vec<u8>> {
    let vector: Value = serde_json::from_slice(vector).unwrap();
    let entries = vector["entries"].as_array().into_iter().flatten();
    entries.map(|entry| hex::decode(entry.as_str().unwrap()).unwrap()).collect()
}

#[test]
#[ignore = "writes the files that the other tests read"]
fn write_fuzz_seeds() {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(seed_folder(target)).unwrap();
        fs::write(seed_folder(target).join(name), bytes).unwrap();
    };
    let mut shortest: BTreeMap<Kind, Vec<u8>> = BTreeMap::new();
    for vector in files(&root().join("fixtures/accept")).values() {
        for entry in entries(vector) {
            let event = Entry::from_bytes(&entry).unwrap().event;
            let Some(kind) = Kind::from_number(event.frame.kind) else { continue };
            let bytes = event.to_bytes();
            if event.frame.version == 1
                && shortest.get(&kind).is_none_or(|found| bytes.len() < found.len())
            {
                shortest.insert(kind, bytes);
            }
        }
    }
    for (kind, bytes) in &shortest {
        write("event", kind.word(), bytes);
    }
    let world = World::bare();
    let genesis = world.log.entries[0].to_bytes();
    write("event", "an-entry", &genesis);
    write("event", "a-bundle", &[&(genesis.len() as u16).to_be_bytes(), &genesis[..]].concat());

    let seed = "a seed".as_bytes().repeat(6)[..32].try_into().unwrap();
    let key = giftproof::model::key::SecretKey::from_seed(&seed);
    let pem = keyfile::encode(&key, Protection::Unencrypted, &mut rand::rng()).unwrap();
    write("text", "key", pem.as_bytes());
    let phrase = keyfile::Passphrase::new("passphrase".to_owned());
    let pem = keyfile::encode(&key, Protection::Passphrase(&phrase), &mut rand::rng()).unwrap();
    write("text", "key-encrypted", pem.as_bytes());
    let donation = SignedEvent::from_bytes(&shortest[&Kind::Donation]).unwrap();
    let mut file = EventFile::new(leaf_hash(&genesis), donation.frame).unwrap();
    file.signatures[0] = Some(donation.signatures[0]);
    file.context.push(world.log.entries[0].clone());
    let path = seed_folder("text").join("event-file");
    file.write(&path, Existing::Replace).unwrap();

    let marker =
        format!("giftproof-witness/v1\n{}\n", include_str!("../fixtures/seeds/vkey/witness"));
    write("text", "witness-marker", marker.as_bytes());

    let shipment = dispatched();
    let path = seed_folder("text").join("shipment-file");
    let _ = fs::remove_file(&path);
    shipment.write_to(ShipmentFile::begin(&path).unwrap(), &path).unwrap();
    let mut entries = Vec::new();
    for entry in &shipment.entries {
        push_entry(&mut entries, &entry.to_bytes()).unwrap();
    }
    write("event", "a-shipment", &entries);

    binary::paths().into_iter().for_each(|(name, path)| write("binary", name, &path));
    store::values().into_iter().for_each(|(name, value)| write("binary", name, &value));
    write("bundle", "zip", &Forge::of(&World::bare()).files().zip());
}
