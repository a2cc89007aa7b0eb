//! The test vectors in `fixtures/accept` and `fixtures/reject`, run from their files alone.
//!
//! A file that is an object is a whole log, a file that is an array holds single values (section
//! 16 of ledger-spec.md). Logs are written by `cargo test write_vectors -- --ignored`; values are
//! written by hand.

pub mod accepted;
pub mod case;
pub mod crafted;
pub mod refused;
pub mod run;
pub mod scribe;
pub mod seals;
pub mod statements;
pub mod values;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use giftproof::model::entry::{Entry, NO_LEAF};
use giftproof::model::event::{Kind, Statement};
use giftproof::model::violation::Code;
use serde_json::Value;

use case::Case;

/// The first needs two events whose SHA-256 share 160 bits; the second something that was seen
/// before, which no vector has (`tamper::since`).
const NEVER_MET: [Code; 2] = [Code::GiftIdTaken, Code::SinceCheckpoint];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Every file of a folder, by name.
fn listed(name: &str) -> Vec<(String, Value)> {
    let mut files: Vec<(String, Value)> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

fn check_folder(name: &str) {
    let mut wrong = Vec::new();
    for (file, vector) in listed(name) {
        let checked = match &vector {
            Value::Array(values) => values.iter().try_for_each(values::check),
            log => {
                let accepted = matches!(log["expect"].as_str(), Some("ok" | "not-understood"));
                assert_eq!(accepted, name == "accept", "{name}/{file}");
                run::check_log(log)
            }
        };
        if let Err(error) = checked {
            wrong.push(format!("{name}/{file}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn accepted_vectors_are_accepted() {
    check_folder("accept");
}

#[test]
fn refused_vectors_are_refused_under_their_code() {
    check_folder("reject");
}

#[test]
fn every_code_has_a_vector() {
    let refused: BTreeSet<String> = listed("reject")
        .iter()
        .filter_map(|(_, vector)| vector["expect"].as_str().map(str::to_owned))
        .collect();
    for code in Code::ALL {
        assert_eq!(refused.contains(code.as_str()), !NEVER_MET.contains(code), "{code}");
    }
}

#[test]
fn every_kind_is_accepted_somewhere() {
    let mut kinds = BTreeSet::new();
    for (_, vector) in listed("accept") {
        for entry in vector["entries"].as_array().into_iter().flatten() {
            let entry = Entry::from_bytes(&run::bytes(entry)).unwrap();
            let event = entry.event.open(&NO_LEAF).unwrap();
            kinds.extend(event.statement.as_ref().map(Statement::kind));
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Kind::ALL);
}

fn cases() -> [(&'static str, Vec<Case>); 2] {
    [("accept", accepted::all()), ("reject", refused::all())]
}

fn text(case: &Case) -> String {
    serde_json::to_string_pretty(&case.to_json()).unwrap() + "\n"
}

/// A change of a byte of the format, or of a rule, shows here.
#[test]
fn logs_are_those_that_the_scribe_writes() {
    for (name, cases) in cases() {
        let mut on_disk: BTreeSet<String> = listed(name)
            .into_iter()
            .filter(|(_, vector)| vector.is_object())
            .map(|(file, _)| file)
            .collect();
        for case in cases {
            let file = format!("{}.json", case.name);
            assert!(on_disk.remove(&file), "{name}/{file} is missing, or there twice");
            let text_on_disk = fs::read_to_string(folder(name).join(&file)).unwrap();
            assert!(text_on_disk == text(&case), "{name}/{file} is another log now");
        }
        assert_eq!(on_disk, BTreeSet::new());
    }
}

#[test]
#[ignore = "writes the vectors; released ones never change"]
fn write_vectors() {
    for (name, cases) in cases() {
        fs::create_dir_all(folder(name)).unwrap();
        for case in cases {
            fs::write(folder(name).join(format!("{}.json", case.name)), text(&case)).unwrap();
        }
    }
}
