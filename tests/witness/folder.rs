//! What a witness keeps on disk.

use std::fs;

use giftproof::model::witness::origin_hash;
use giftproof::witness::{EVIDENCE_MAX, WitnessFolder};
use tempfile::TempDir;

use super::*;

fn begin() -> (TempDir, Witness) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("witness");
    WitnessFolder::prepare(&folder).unwrap();
    let keeper = WitnessFolder::create(&folder, &witness_vkey()).unwrap();
    let (name, key) = witness_key();
    let witness = Witness::open(keeper, name, &key, logs(&[1]), 1000).unwrap();
    (dir, witness)
}

fn again(dir: &TempDir) -> Result<Witness, &'static str> {
    let keeper = WitnessFolder::open(&dir.path().join("witness")).map_err(|error| error.code())?;
    let (name, key) = witness_key();
    Witness::open(keeper, name, &key, logs(&[1]), 1000).map_err(|error| error.code())
}

#[test]
fn what_was_cosigned_outlives_the_witness() {
    let (dir, witness) = begin();
    let first = request(0, &leaves(3, 0, 0));
    cosigned_at(&ask(&witness, &first), &first);
    let shown = witness.newest(&origin()).unwrap();
    let file = dir.path().join("witness/logs").join(origin_hash(&origin()));
    assert_eq!(fs::read_to_string(&file).unwrap(), shown);
    assert_eq!(again(&dir).unwrap_err(), "witness/locked", "one at a time");
    assert_eq!(WitnessFolder::vkey(&dir.path().join("witness")).unwrap(), witness_vkey());
    drop(witness);

    // What a crash in the middle of replacing leaves is not read.
    fs::write(file.with_file_name(format!(".{}.1-0.partial", origin_hash(&origin()))), "x")
        .unwrap();
    let witness = again(&dir).unwrap();
    assert_eq!(witness.newest(&origin()).unwrap(), shown);
    assert_eq!(ask(&witness, &request(0, &leaves(4, 0, 1))).body(), "3\n");
    drop(witness);

    // A note that is damaged is not taken for "nothing cosigned yet".
    fs::write(&file, &shown[..shown.len() - 1]).unwrap();
    assert_eq!(again(&dir).unwrap_err(), "witness/damaged");
    // Nor is a folder from which all notes are gone.
    fs::remove_dir_all(dir.path().join("witness/logs")).unwrap();
    assert_eq!(again(&dir).unwrap_err(), "witness/not-a-witness");
}

#[test]
fn a_disk_that_refuses_gets_nothing_cosigned() {
    let (dir, witness) = begin();
    // No file can take the place of a folder that holds something.
    let file = dir.path().join("witness/logs").join(origin_hash(&origin()));
    fs::create_dir(&file).unwrap();
    fs::write(file.join("x"), "").unwrap();
    let first = request(0, &leaves(3, 0, 0));
    for _ in 0..2 {
        assert_eq!(ask(&witness, &first).code(), "cosign/storage");
    }
    assert_eq!(witness.newest(&origin()), None);
    fs::remove_dir_all(&file).unwrap();
    cosigned_at(&ask(&witness, &first), &first);
    let left: Vec<_> = fs::read_dir(dir.path().join("witness/logs")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half-written stays");
}

#[test]
fn evidence_is_two_notes_and_bounded() {
    let (dir, witness) = begin();
    cosigned_at(&ask(&witness, &request(0, &leaves(8, 0, 0))), &request(0, &leaves(8, 0, 0)));
    let fork = request(8, &leaves(8, 5, 1));
    let misfit = ask(&witness, &fork).misfit.unwrap();
    let case = misfit.kept.unwrap().expect("it is new");
    assert!(case.starts_with(dir.path().join("witness/evidence")));
    let note = |name: &str| SignedCheckpoint::parse(&fs::read(case.join(name)).unwrap()).unwrap();
    assert_eq!(note("offered"), fork.checkpoint);
    let own = witness_vkey();
    assert_eq!(note("cosigned").verify(&vkey(1), [&own]).unwrap().len(), 1);
    assert_eq!(note("cosigned").checkpoint().root, root(&leaves(8, 0, 0)));
    // The same case again is not kept again; many others are, up to the bound, each kind for itself.
    assert_eq!(ask(&witness, &fork).misfit.unwrap().kept.unwrap(), None);
    let mut kept = 1;
    for branch in 2..=60 {
        let fork = request(8, &leaves(8, 5, branch));
        kept += usize::from(ask(&witness, &fork).misfit.unwrap().kept.unwrap().is_some());
    }
    assert_eq!(kept, EVIDENCE_MAX);
    let grown = ask(&witness, &request(8, &leaves(9, 5, 1))).misfit.unwrap();
    assert!(grown.kept.unwrap().unwrap().ends_with(format!(
        "unproven-8-9-{}",
        hex::encode(&root(&leaves(9, 5, 1)).as_bytes()[..8])
    )));
    // Half a case, as a crash leaves it, is completed.
    fs::remove_file(case.join("cosigned")).unwrap();
    assert_eq!(ask(&witness, &fork).misfit.unwrap().kept.unwrap(), Some(case.clone()));
    assert_eq!(note("cosigned").checkpoint().size, 8);
}

#[test]
fn folders_of_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("x");
    let code = |folder: &std::path::Path| WitnessFolder::open(folder).unwrap_err().code();
    assert_eq!(code(&folder), "witness/no-folder");
    fs::create_dir(&folder).unwrap();
    assert_eq!(code(&folder), "witness/not-a-witness");
    let marker = folder.join("giftproof-witness");
    for (text, expected) in [
        (format!("giftproof-witness/v2\n{}\n", witness_vkey()), "witness/newer-version"),
        (format!("giftproof-ledger/v1\n{}\n", witness_vkey()), "witness/not-a-witness"),
        (format!("giftproof-witness/v1\n{}\n", vkey(1)), "witness/not-a-witness"),
        (format!("giftproof-witness/v1\n{}", witness_vkey()), "witness/not-a-witness"),
        ("giftproof-witness/v1".to_owned(), "witness/not-a-witness"),
        ("\u{1}".repeat(9999), "witness/not-a-witness"),
    ] {
        fs::write(&marker, text).unwrap();
        assert_eq!(code(&folder), expected);
    }
    fs::write(&marker, [0xff, 0xfe]).unwrap();
    assert_eq!(code(&folder), "witness/not-a-witness");
    assert_eq!(WitnessFolder::prepare(&folder).unwrap_err().code(), "witness/occupied");
    let deep = dir.path().join("no/such/place");
    assert_eq!(WitnessFolder::prepare(&deep).unwrap_err().code(), "witness/io");
}
