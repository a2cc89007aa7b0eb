//! Runs a vector from its file alone.

use std::fs;
use std::path::Path;

use giftproof::bundle::{LogFolder, LogSource, OpenedBundle};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::trust::TrustFile;
use giftproof::model::verdict::{AsOf, Verdict};
use giftproof::verify::{Failure, Options, Outcome, Report, Spot, audit};
use serde_json::{Value, json};

use super::case::files_of;
use crate::util::places_in;

/// What is wrong with the audit of this log; nothing if it found what the vector says.
pub fn check_log(vector: &Value) -> Result<(), String> {
    let trust = TrustFile::parse(vector["trust"].as_str().unwrap().as_bytes());
    let trust = trust.map_err(|error| format!("trust file: {error}"))?;
    let folder = tempfile::tempdir().unwrap();
    if let Some(zip) = vector["zip"].as_str() {
        let path = folder.path().join("bundle.zip");
        fs::write(&path, hex::decode(zip).unwrap()).unwrap();
        return match open(&path) {
            Ok(bundle) => check_report(vector, &run(&*bundle, &trust)),
            Err(code) => check_refused(vector, code),
        };
    }
    write_log(vector, folder.path());
    check_report(vector, &run(&LogFolder::new(folder.path()), &trust))
}

fn run(source: &dyn LogSource, trust: &TrustFile) -> Report {
    audit(source, Some(trust), &Options::default()).unwrap()
}

fn open(path: &Path) -> Result<Box<dyn LogSource>, &'static str> {
    let opened = OpenedBundle::open(path).map_err(|error| error.code())?;
    let checkpoint = SignedCheckpoint::parse(opened.checkpoint()).map_err(|error| error.code())?;
    let size = checkpoint.checkpoint().size;
    Ok(Box::new(opened.with_size(size).map_err(|error| error.code())?))
}

fn write_log(vector: &Value, folder: &Path) {
    let entries: Vec<Vec<u8>> = vector["entries"].as_array().unwrap().iter().map(bytes).collect();
    let mut files = files_of(&entries);
    files.insert("checkpoint".to_owned(), vector["checkpoint"].as_str().unwrap().into());
    for (path, other) in vector["files"].as_object().into_iter().flatten() {
        match other {
            Value::Null => files.remove(path),
            other => files.insert(path.clone(), bytes(other)),
        };
    }
    for (path, bytes) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

pub fn bytes(hex: &Value) -> Vec<u8> {
    hex::decode(hex.as_str().unwrap()).unwrap()
}

/// The container was refused before an audit could begin.
fn check_refused(vector: &Value, code: &str) -> Result<(), String> {
    let expected = (vector["expect"].as_str(), vector["detail"].as_str());
    if expected == (Some("container/malformed"), Some(code)) {
        Ok(())
    } else {
        Err(format!("the container is refused: {code}"))
    }
}

fn check_report(vector: &Value, report: &Report) -> Result<(), String> {
    let expect = vector["expect"].as_str().unwrap();
    let mut expected: Vec<String> = Vec::new();
    if !matches!(expect, "ok" | "not-understood") {
        expected.push(format!("{expect} at {}", vector["at"]));
    }
    for also in vector["also"].as_array().into_iter().flatten() {
        expected.push(format!("{} at {}", also["code"].as_str().unwrap(), also["at"]));
    }
    let mut found: Vec<String> = report.failures.first().iter().map(describe).collect();
    expected.sort();
    found.sort();
    if expected != found {
        return Err(format!("expected {expected:?}, found {found:?}"));
    }
    let outcome = match expect {
        "ok" => Outcome::Clean,
        "not-understood" => Outcome::NotUnderstood,
        _ => Outcome::Failed,
    };
    if report.outcome() != outcome {
        return Err(format!("the outcome is {:?}", report.outcome()));
    }
    if expect == "not-understood" && json!(report.not_understood.first()) != json!([vector["at"]]) {
        return Err(format!("not understood: {:?}", report.not_understood.first()));
    }
    if let Some(detail) = vector["detail"].as_str() {
        let same = |failure: &&Failure| failure.violation.found.to_string() == detail;
        if report.failures.first().iter().find(same).is_none() {
            return Err(format!("no failure with the detail {detail}: {:?}", report.failures));
        }
    }
    check_gifts(vector, report)
}

fn describe(failure: &Failure) -> String {
    let at = match failure.at {
        Spot::Entry(index) => json!(index),
        Spot::File(file) => json!(file.to_string()),
    };
    format!("{} at {at}", failure.violation.code)
}

fn check_gifts(vector: &Value, report: &Report) -> Result<(), String> {
    for (id, expected) in vector["gifts"].as_object().into_iter().flatten() {
        let state = report.state.as_ref().ok_or("no state")?;
        let gift = state.gift_by_id(&id.parse().unwrap()).ok_or(format!("no gift {id}"))?;
        let verdict = Verdict::of(state, &gift, AsOf::last_entry(state));
        let found =
            json!({ "headline": verdict.headline.word(), "where": places_in(state, gift.id) });
        if found != *expected {
            return Err(format!("gift {id}: expected {expected}, found {found}"));
        }
    }
    Ok(())
}
