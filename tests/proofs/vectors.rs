//! The proof files in `fixtures/proofs`, run from their files alone.
//!
//! They are written by `cargo test write_proof_vectors -- --ignored`; what each must prove stands
//! here, written by hand.

use std::fs;
use std::path::{Path, PathBuf};

use giftproof::model::proof_file::ProofFile;
use giftproof::model::trust::TrustFile;
use giftproof::model::verdict::Verdict;
use serde_json::{Value, json};

use super::cases::{Case, accepted, refusals};
use crate::util::places_in;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/proofs")
}

fn listed() -> Vec<(String, Value)> {
    let mut files: Vec<(String, Value)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

/// What a proof file proves, in the words of a vector.
fn found(bytes: &[u8], trust: &TrustFile) -> Value {
    let proof = match ProofFile::parse(bytes) {
        Ok(proof) => proof,
        Err(error) => return json!({ "expect": error.code(), "detail": error.detail.code }),
    };
    let proven = match proof.check(trust) {
        Ok(proven) => proven,
        Err(fault) => {
            let mut found = json!({ "expect": fault.code });
            if let Some(at) = fault.at {
                found["at"] = json!(at);
            }
            if let Some(detail) = fault.detail {
                found["detail"] = json!(detail);
            }
            return found;
        }
    };
    let expect = match (&proven.failures[..], &proven.not_understood[..]) {
        ([], []) => "verified",
        ([], _) => "not-understood",
        _ => "failed",
    };
    let mut found = json!({ "expect": expect, "level": proven.level().word() });
    if let Some(gift) = proven.gift() {
        let verdict = Verdict::of(&proven.state, &gift, proven.as_of);
        let flags: Vec<&str> = verdict.flags.iter().map(|flag| flag.word()).collect();
        found["headline"] = json!(verdict.headline.word());
        found["where"] = json!(places_in(&proven.state, gift.id));
        found["flags"] = json!(flags);
        found["journey"] = json!(Verdict::journey(&proven.state, &gift));
    }
    found["as_of"] = json!(proven.as_of.day.to_string());
    let mut add = |name: &str, value: Value| {
        if value.as_array().is_some_and(|list| !list.is_empty()) {
            found[name] = value;
        }
    };
    let failures = proven.failures.iter();
    add("failures", failures.map(|(at, v)| json!([at, v.code.as_str()])).collect());
    add("not_understood", json!(proven.not_understood));
    add("after_seal", json!(proven.after_seal));
    add("witnesses", proven.cosigned.iter().map(|by| json!(by.witness)).collect());
    add("auditors", proven.audited.iter().map(|by| json!(by.by)).collect());
    found
}

#[test]
fn proof_vectors_prove_what_they_say() {
    let listed = listed();
    assert!(listed.len() > 25, "{}", listed.len());
    for (name, vector) in listed {
        let trust = TrustFile::parse(vector["trust"].as_str().unwrap().as_bytes()).unwrap();
        let bytes = hex::decode(vector["proof"].as_str().unwrap()).unwrap();
        let mut expected = vector.clone();
        for beside in ["proof", "trust", "what"] {
            expected.as_object_mut().unwrap().remove(beside);
        }
        assert_eq!(found(&bytes, &trust), expected, "{name}");
    }
}

fn cases() -> Vec<Case> {
    let mut cases = accepted();
    cases.extend(refusals());
    cases
}

fn vector(case: &Case) -> Value {
    let mut vector = found(&case.bytes, &case.trust);
    assert_eq!(vector["expect"], case.expect, "{}: {vector}", case.name);
    if let Some((level, headline)) = case.proves {
        assert_eq!(vector["level"], level.word(), "{}", case.name);
        let headline = headline.map(|headline| json!(headline.word()));
        assert_eq!(vector.get("headline").cloned(), headline, "{}", case.name);
    }
    vector["what"] = json!(case.what);
    vector["proof"] = json!(hex::encode(&case.bytes));
    vector["trust"] = json!(case.trust.to_string());
    vector
}

fn text_of(case: &Case) -> String {
    serde_json::to_string_pretty(&vector(case)).unwrap() + "\n"
}

/// A change of a byte of the format, or of what is proven, shows here.
#[test]
fn proof_vectors_are_those_that_are_made() {
    let cases = cases();
    assert_eq!(cases.len(), listed().len());
    for case in cases {
        let path = folder().join(format!("{}.json", case.name));
        assert_eq!(fs::read_to_string(&path).unwrap(), text_of(&case), "{}", case.name);
    }
}

#[test]
#[ignore = "writes the files that the other tests read"]
fn write_proof_vectors() {
    fs::create_dir_all(folder()).unwrap();
    for case in cases() {
        fs::write(folder().join(format!("{}.json", case.name)), text_of(&case)).unwrap();
    }
}
