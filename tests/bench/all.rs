//! All benchmarks, one after the other, and a table of what they measured.

use std::path::Path;

use serde_json::{Map, Value};

use crate::machine;
use crate::measurement::{Result, argument, run_seen};

/// Whoever measures so many entries has the time, and 2 GB of memory, for large tables.
const LARGE: u64 = 1_000_000;

/// The rows of tables that are sealed then, beside one of as many as there are gifts.
const LARGE_TABLES: [&str; 2] = ["4000000", "10000000"];

/// Runs everything on the ledgers of a folder, prints each line as it comes, and a table at the end.
pub fn run(folder: &Path, ledger: &[String], gifts: u64) -> Result<()> {
    let dir = argument(folder);
    let rows = gifts.to_string();
    let of_ledger = |name: &str| -> Vec<String> {
        let given = [name, "--dir", dir].map(str::to_owned);
        given.into_iter().chain(ledger.iter().cloned()).collect()
    };
    let others = |arguments: &[&str]| arguments.iter().map(|word| (*word).to_owned()).collect();
    let entries = ledger.iter().skip_while(|word| *word != "--entries").nth(1);
    let entries = entries.map_or("100000", String::as_str);
    let mut benches: Vec<Vec<String>> = vec![
        of_ledger("generate"),
        of_ledger("ingest"),
        of_ledger("audit"),
        of_ledger("lookup"),
        of_ledger("reindex"),
        of_ledger("disk"),
        of_ledger("open"),
        others(&["proof", "--entries", entries, "--gifts", &rows]),
        others(&["seal", "--rows", &rows]),
        others(&["scms", "--runs", "3"]),
    ];
    if entries.parse::<u64>().is_ok_and(|entries| entries >= LARGE) {
        benches.extend(LARGE_TABLES.map(|rows| others(&["seal", "--rows", rows])));
    }
    let mut lines = Vec::new();
    for bench in &benches {
        let words: Vec<&str> = bench.iter().map(String::as_str).collect();
        lines.extend(run_seen(&words, |line| println!("{line}"))?);
    }
    println!("\n{}\n", machine::described(folder));
    println!("{}", table(&lines));
    Ok(())
}

const COLUMNS: [&str; 7] =
    ["what", "entries", "rate", "floor", "ratio", "peak_bytes", "disk_bytes"];

/// The lines as a table in Markdown: what they have in common in columns, the rest in the last.
fn table(lines: &[Value]) -> String {
    let mut table =
        "| what | entries | a second | floor | ratio | peak memory | on disk | more |\n\
                     |---|--:|--:|--:|--:|--:|--:|---|\n"
            .to_owned();
    for line in lines.iter().filter_map(Value::as_object) {
        let known = COLUMNS
            .map(|column| line.get(column).map_or(String::new(), |value| cell(column, value)));
        table += &format!("| {} | {} |\n", known.join(" | "), rest(line));
    }
    table
}

fn rest(line: &Map<String, Value>) -> String {
    let rest = line.iter().filter(|(name, _)| !COLUMNS.contains(&name.as_str()));
    let rest =
        rest.map(|(name, value)| format!("{} {}", name.replace('_', " "), cell(name, value)));
    rest.collect::<Vec<_>>().join("; ")
}

/// Many bytes as megabytes or gigabytes; all else as it is.
fn cell(name: &str, value: &Value) -> String {
    match value.as_f64().filter(|_| name.ends_with("_bytes")) {
        Some(bytes) if bytes >= 1e9 => format!("{:.2} GB", bytes / 1e9),
        Some(bytes) if bytes >= 1e5 => format!("{:.1} MB", bytes / 1e6),
        _ if value.is_null() => String::new(),
        _ => plain(value),
    }
}

/// Text without its quotes; whole numbers in groups of three digits.
fn plain(value: &Value) -> String {
    let whole = |number: f64| number.fract() == 0.0 && number.abs() < 1e15;
    match (value.as_str(), value.as_f64()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(number)) if whole(number) => {
            let digits = format!("{number:.0}");
            let from_end = |at: usize| digits.len() - at;
            let grouped = digits.char_indices().map(|(at, digit)| {
                let parted = at > 0 && from_end(at).is_multiple_of(3);
                if parted { format!(",{digit}") } else { digit.to_string() }
            });
            grouped.collect()
        }
        _ => value.to_string(),
    }
}
