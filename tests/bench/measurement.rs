//! Measurements: one JSON line each, and where the numbers come from.

use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

pub type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

pub fn print(measurement: Value) {
    println!("{measurement}");
}

/// What `work` gives, and the seconds that it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// The middle one; of an even number the upper of the two in the middle.
pub fn median(values: Vec<f64>) -> f64 {
    percentile(values, 50)
}

/// The value below which so many in a hundred are; 0 of none.
pub fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = values.len() * percent / 100;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

pub fn rate(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds).round() as u64
}

pub fn round(value: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (value * unit).round() / unit
}

pub fn ms(seconds: f64) -> f64 {
    round(seconds * 1e3, 2)
}

/// The most memory that this process has held; null where the system does not tell.
pub fn peak_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// How much of this process is in memory now.
pub fn resident_bytes() -> Option<u64> {
    status("VmRSS:")
}

/// What Linux says about this process.
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(kib.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// How long this process has run on all cores, in steps of 10 ms: what a machine that does other
/// things too does not change. 0 where the system does not say.
pub fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses: utime and stime are the 12th and 13th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The length of all files in the folder.
pub fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        sum += if facts.is_dir() { folder_bytes(&entry.path())? } else { facts.len() };
    }
    Ok(sum)
}

/// This program once more, with other arguments: a process of its own has a peak of its own, and
/// nothing that is warm.
pub fn this_program(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdout(Stdio::piped());
    Ok(command)
}

/// Runs this program with other arguments, and gives the JSON lines that it prints, each to
/// `seen` as soon as it is there.
pub fn run_seen(arguments: &[&str], seen: impl Fn(&str)) -> Result<Vec<Value>> {
    let mut child = this_program(arguments)?.spawn()?;
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line?;
        seen(&line);
        lines.push(serde_json::from_str(&line)?);
    }
    let status = child.wait()?;
    if status.success() { Ok(lines) } else { Err(format!("{arguments:?}: {status}").into()) }
}

/// As [`run_seen`], of a program that prints one line.
pub fn run_alone(arguments: &[&str]) -> Result<Value> {
    run_seen(arguments, |_| {})?.pop().ok_or_else(|| "nothing was measured".into())
}

/// A path as an argument.
pub fn argument(path: &Path) -> &str {
    path.to_str().expect("folders of benchmarks have plain names")
}
