//! How fast a log is audited, as a bundle, as a ledger folder, and again when more has come.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use giftproof::bundle::LogSource;
use giftproof::ledger::Ledger;
use giftproof::verify::{AuditState, Options, Outcome, Report, Since, audit_since};
use serde_json::{Value, json};

use crate::floor::Floor;
use crate::log::Folder;
use crate::measurement::*;

/// Signatures that the floor is measured with.
const SAMPLE: u64 = 200_000;

/// All of them, each in a process of its own.
pub fn run(folder: &Folder) -> Result<()> {
    let floor = Floor::sample(&folder.bundle()?, &folder.genesis(), SAMPLE)?;
    let bundle = fs::metadata(folder.path.join("bundle.zip"))?.len();
    measure(folder, &floor, "audit of a bundle", "bundle", bundle)?;
    let ledger = folder_bytes(&folder.with_ledger()?)?;
    measure(folder, &floor, "audit of a ledger folder", "ledger", ledger)?;
    since(folder)
}

fn measure(folder: &Folder, floor: &Floor, what: &str, of: &str, disk: u64) -> Result<()> {
    let once = || run_alone(&["audit-once", "--dir", argument(&folder.path), of]);
    let (audited, floor_rate) = floor.around(once)?;
    let signatures = audited["signatures_a_second"].as_f64().ok_or("no rate")?;
    print(json!({
        "what": what, "entries": audited["entries"], "rate": audited["rate"],
        "signatures_a_second": audited["signatures_a_second"],
        "floor": floor_rate.round(), "ratio": round(signatures / floor_rate, 2),
        "peak_bytes": audited["peak_bytes"], "disk_bytes": disk,
        "threads": floor.threads(), "seconds": audited["seconds"], "cpu_s": audited["cpu_s"],
    }));
    Ok(())
}

/// One in a hundred entries more, from the state that the audit of the bundle has left; beside it
/// the audit of all of them.
fn since(folder: &Folder) -> Result<()> {
    let dir = argument(&folder.path);
    let saved = run_alone(&["audit-once", "--dir", dir, "save"])?;
    let whole = run_alone(&["audit-once", "--dir", dir, "later"])?;
    let since = run_alone(&["audit-once", "--dir", dir, "since"])?;
    let state = folder.path.join("state");
    let bytes = fs::metadata(&state)?.len();
    fs::remove_file(state.with_extension("hash"))?;
    fs::remove_file(state)?;
    let seconds = |audited: &Value| audited["seconds"].as_f64().unwrap_or(f64::NAN);
    print(json!({
        "what": "audit --since, 1 % more", "entries": since["entries"], "new": since["new"],
        "rate": since["rate"],
        "percent_of_full": round(100.0 * seconds(&since) / seconds(&whole), 2),
        "seconds": since["seconds"], "full_seconds": whole["seconds"],
        "peak_bytes": since["peak_bytes"], "disk_bytes": bytes, "save_ms": saved["save_ms"],
    }));
    Ok(())
}

/// One audit, from opening the files to the report, as an auditor does it. Prints one line.
pub fn once(folder: &Folder, of: &str) -> Result<()> {
    let trust = folder.trust()?;
    let path = folder.path.join("state");
    let (cpu_before, start) = (cpu_s(), std::time::Instant::now());
    let since = match of {
        "since" => read_state(&path)?,
        _ => Since::Nothing,
    };
    let source: Box<dyn LogSource> = match of {
        "ledger" => Box::new(Ledger::open(&folder.ledger())?.into_log()),
        "later" | "since" => Box::new(folder.later()?),
        _ => Box::new(folder.bundle()?),
    };
    let report = audit_since(source.as_ref(), Some(&trust), since, &Options::default())?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_s() - cpu_before);
    let peak = peak_bytes();
    assert_eq!(report.outcome(), Outcome::Clean, "{of}: {:?}", report.failures.first());
    let new = report.entries - report.resumed_at;
    let (save, save_s) = timed(|| if of == "save" { write_state(&path, &report) } else { Ok(()) });
    save?;
    print(json!({
        "entries": report.entries, "new": new, "rate": rate(new, seconds),
        "signatures_a_second": rate(report.signatures, seconds),
        "seconds": round(seconds, 3), "cpu_s": round(cpu, 2), "peak_bytes": peak,
        "save_ms": ms(save_s),
    }));
    Ok(())
}

/// Writes the state, and its hash, as an auditor pins it, to a file beside it.
fn write_state(path: &Path, report: &Report) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 18, File::create(path)?);
    let hash = AuditState::write(report, 0, &mut file, &|_, _| {})?;
    file.flush()?;
    let hash = hash.ok_or("the audit cannot be gone on from")?;
    Ok(fs::write(path.with_extension("hash"), hash.to_string())?)
}

fn read_state(path: &Path) -> Result<Since> {
    let pinned = fs::read_to_string(path.with_extension("hash"))?;
    let pinned = pinned.parse().map_err(|_| "no hash")?;
    let state = AuditState::read(File::open(path)?, &pinned, &|_, _| {})??;
    Ok(Since::State(Box::new(state)))
}
