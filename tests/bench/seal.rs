//! What it costs to seal a large table again, and to keep it ready.
//!
//! `cargo bench --bench measure -- seal --rows 4000000 --touched 65536`. Each line of the output is a JSON
//! object with one measurement. The rows are random, and those that are touched are spread evenly:
//! hardly two of them share a bucket, which is the dearest case.

use std::collections::HashMap;

use bincode::config::standard;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use giftproof::model::entry::Place;
use giftproof::model::hash::{LeafHash, SubjectHash};
use giftproof::model::seal::{Row, Table};

use crate::measurement::{Result, cpu_s, print, resident_bytes, timed};

/// Rows that one commit touches, where the sequencer is busy.
const COMMIT: usize = 4096;

/// A table of so many rows, sealed again when 256 of them were touched, and when so many were.
pub fn run(rows: usize, touched: usize) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(1);
    let subjects: Vec<SubjectHash> =
        (0..rows).map(|_| SubjectHash::from_bytes(random.random())).collect();

    let resident = || resident_bytes().unwrap_or(0);
    let before = resident();
    let mut table = Table::new();
    let (_, seconds) = timed(|| subjects.iter().for_each(|subject| touch(&mut table, *subject)));
    let bytes = resident().saturating_sub(before) as f64 / rows as f64;
    print(
        json!({ "what": "rows of a seal: insert", "rows": rows, "ns_a_row": round(seconds / rows as f64 * 1e9) }),
    );
    print(json!({ "what": "rows of a seal: memory", "rows": rows, "bytes_a_row": round(bytes) }));

    let (_, seconds) = timed(|| table.seal());
    print(json!({ "what": "first seal", "rows": rows, "ms": ms(seconds) }));

    for touched in [256, touched] {
        for refreshed in [false, true] {
            reseal(&mut table, &subjects, &mut random, touched, refreshed);
        }
    }
    lookups(&table, &subjects);
    proofs(&table, &subjects);
    store(&mut table, &subjects)
}

fn touch(table: &mut Table, subject: SubjectHash) {
    let number = table.get(&subject).map_or(0, |row| row.number) + 1;
    let place = Place { index: 7, leaf: LeafHash::from_bytes([7; 32]) };
    table.insert(subject, Row { number, place });
}

/// Touches rows commit by commit, and seals; with hashes worked out after each commit, or only at
/// the seal.
fn reseal(
    table: &mut Table,
    subjects: &[SubjectHash],
    random: &mut SmallRng,
    touched: usize,
    refreshed: bool,
) {
    let chosen: Vec<SubjectHash> =
        (0..touched).map(|_| subjects[random.random_range(0..subjects.len())]).collect();
    let mut commits = Vec::new();
    let (mut touch_s, mut refresh_s, mut refresh_cpu_s) = (0.0, 0.0, 0.0);
    for commit in chosen.chunks(COMMIT) {
        touch_s += timed(|| commit.iter().for_each(|subject| touch(table, *subject))).1;
        if refreshed {
            let before = cpu_s();
            let (_, seconds) = timed(|| table.refresh());
            refresh_s += seconds;
            refresh_cpu_s += cpu_s() - before;
            commits.push(seconds);
        }
    }
    let before = cpu_s();
    let (_, root_s) = timed(|| table.root());
    let (_, keep_s) = timed(|| table.seal());
    let seal_cpu_s = cpu_s() - before;
    print(json!({
        "what": if refreshed { "seal, refreshed by commit" } else { "seal" },
        "rows": subjects.len(), "touched": touched,
        "touch_ns_a_row": round(touch_s / touched as f64 * 1e9),
        "refresh_ms": ms(refresh_s), "refresh_cpu_ms": ms(refresh_cpu_s),
        "refresh_ms_a_commit_at_most": ms(commits.into_iter().fold(0.0, f64::max)),
        "root_ms": ms(root_s), "keep_ms": ms(keep_s), "seal_cpu_ms": ms(seal_cpu_s),
    }));
}

/// Beside a hash map of the same rows.
fn lookups(table: &Table, subjects: &[SubjectHash]) {
    let map: HashMap<SubjectHash, Row> = table.iter().collect();
    let chosen: Vec<&SubjectHash> = subjects.iter().step_by(7).collect();
    let count = chosen.len() as f64;
    let (found, table_s) = timed(|| chosen.iter().filter(|s| table.get(s).is_some()).count());
    assert_eq!(found, chosen.len());
    let (found, map_s) = timed(|| chosen.iter().filter(|s| map.contains_key(s)).count());
    assert_eq!(found, chosen.len());
    print(json!({
        "what": "rows of a seal: lookup", "rows": subjects.len(),
        "table_ns": round(table_s / count * 1e9), "hash_map_ns": round(map_s / count * 1e9),
    }));
}

fn proofs(table: &Table, subjects: &[SubjectHash]) {
    let root = table.sealed().expect("it was sealed");
    let chosen: Vec<&SubjectHash> = subjects.iter().take(1_000).collect();
    let (mut len, mut verify_s) = (0, 0.0);
    let (_, seconds) = timed(|| {
        for subject in &chosen {
            let proof = table.prove(&[**subject]);
            len += proof.as_bytes().len();
            let claim = (**subject, table.sealed_row(subject));
            let (checked, seconds) = timed(|| proof.verify(&[claim], &root));
            checked.expect("what was sealed is proven");
            verify_s += seconds;
        }
    });
    let count = chosen.len() as f64;
    print(json!({
        "what": "rows of a seal: proof of one", "rows": subjects.len(), "bytes": round(len as f64 / count),
        "prove_us": round((seconds - verify_s) / count * 1e6),
        "verify_us": round(verify_s / count * 1e6),
    }));
}

/// Writes the table as the index does, and reads it again.
fn store(table: &mut Table, subjects: &[SubjectHash]) -> Result<()> {
    let bytes = bincode::encode_to_vec(&*table, standard())?;
    let (read, seconds) = timed(|| bincode::decode_from_slice::<Table, _>(&bytes, standard()));
    assert!(read?.0 == *table);
    print(json!({
        "what": "rows of a seal: stored", "rows": subjects.len(), "bytes": bytes.len(),
        "read_ms": ms(seconds),
    }));
    Ok(())
}

fn ms(seconds: f64) -> f64 {
    round(seconds * 1e3)
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
