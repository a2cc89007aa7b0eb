//! What it costs to seal a large table again, and to keep it ready.
//!
//! `cargo bench --bench seal -- --rows 4000000 --touched 65536`. Each line of the output is a JSON
//! object with one measurement. The rows are random, and those that are touched are spread evenly:
//! hardly two of them share a bucket, which is the dearest case.

use std::collections::HashMap;
use std::error::Error;
use std::time::Instant;

use bincode::config::standard;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use giftproof::model::entry::Place;
use giftproof::model::hash::{LeafHash, SubjectHash};
use giftproof::model::seal::{Row, Table};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows that one commit touches, where the sequencer is busy.
const COMMIT: usize = 4096;

fn main() -> Result<()> {
    let (mut rows, mut touched) = (200_000usize, vec![256usize, 65_536]);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--rows" => rows = value()?.parse()?,
            "--touched" => touched = vec![256, value()?.parse()?],
            // Cargo says so to every benchmark.
            "--bench" => {}
            _ => {
                return Err(
                    format!("unknown argument {argument}; there are --rows, --touched").into()
                );
            }
        }
    }
    let mut random = SmallRng::seed_from_u64(1);
    let subjects: Vec<SubjectHash> =
        (0..rows).map(|_| SubjectHash::from_bytes(random.random())).collect();

    let before = resident_bytes()?;
    let mut table = Table::new();
    let (_, seconds) = timed(|| subjects.iter().for_each(|subject| touch(&mut table, *subject)));
    let bytes = resident_bytes()?.saturating_sub(before) as f64 / rows as f64;
    print(
        json!({ "measure": "insert", "rows": rows, "ns_a_row": round(seconds / rows as f64 * 1e9) }),
    );
    print(json!({ "measure": "memory", "rows": rows, "bytes_a_row": round(bytes) }));

    let (_, seconds) = timed(|| table.seal());
    print(json!({ "measure": "first seal", "rows": rows, "ms": ms(seconds) }));

    for touched in touched {
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
        "measure": if refreshed { "seal, refreshed by commit" } else { "seal" },
        "rows": subjects.len(), "touched": touched,
        "touch_ns_a_row": round(touch_s / touched as f64 * 1e9),
        "refresh_ms": ms(refresh_s), "refresh_cpu_ms": ms(refresh_cpu_s),
        "refresh_ms_a_commit_at_most": ms(commits.into_iter().fold(0.0, f64::max)),
        "root_ms": ms(root_s), "keep_ms": ms(keep_s), "seal_cpu_ms": ms(seal_cpu_s),
    }));
}

/// Beside a hash map of the same rows.
fn lookups(table: &Table, subjects: &[SubjectHash]) {
    let map: HashMap<SubjectHash, Row> = table.iter().copied().collect();
    let chosen: Vec<&SubjectHash> = subjects.iter().step_by(7).collect();
    let count = chosen.len() as f64;
    let (found, table_s) = timed(|| chosen.iter().filter(|s| table.get(s).is_some()).count());
    assert_eq!(found, chosen.len());
    let (found, map_s) = timed(|| chosen.iter().filter(|s| map.contains_key(s)).count());
    assert_eq!(found, chosen.len());
    print(json!({
        "measure": "lookup", "rows": subjects.len(),
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
        "measure": "proof of one row", "rows": subjects.len(), "bytes": round(len as f64 / count),
        "prove_us": round((seconds - verify_s) / count * 1e6),
        "verify_us": round(verify_s / count * 1e6),
    }));
}

/// Writes the table as the index does, and reads it again: with its hashes worked out anew, and,
/// never sealed, without; the difference is what keeping them in the file could save at most.
fn store(table: &mut Table, subjects: &[SubjectHash]) -> Result<()> {
    let bytes = bincode::encode_to_vec(&*table, standard())?;
    let mut unsealed = Table::new();
    table.iter().for_each(|(subject, row)| unsealed.insert(*subject, *row));
    let plain = bincode::encode_to_vec(&unsealed, standard())?;
    let read = |bytes: &[u8]| -> Result<f64> {
        let (table, seconds) = timed(|| bincode::decode_from_slice::<Table, _>(bytes, standard()));
        drop(table?);
        Ok(seconds)
    };
    print(json!({
        "measure": "index", "rows": subjects.len(), "bytes": bytes.len(),
        "read_and_hash_ms": ms(read(&bytes)?), "read_ms": ms(read(&plain)?),
    }));
    Ok(())
}

/// How long this process has run on all cores, in steps of 10 ms: what a machine that does other
/// things too does not change. 0 where the system does not say.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses: utime and stime are the 12th and 13th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// How much of this process is in memory now.
fn resident_bytes() -> Result<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages.split(' ').nth(1).ok_or("statm has other fields")?.parse()?;
    Ok(4096 * pages)
}

fn print(measurement: Value) {
    println!("{measurement}");
}

/// What `work` gives, and the seconds that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

fn ms(seconds: f64) -> f64 {
    round(seconds * 1e3)
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
