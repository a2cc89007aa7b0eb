//! How fast a ledger of 31,460 entries is written and audited, and how large it is.
//!
//! The entries are the published deliveries in `fixtures/scms-deliveries`, signed with made-up
//! keys and appended by the real writer to a ledger in a temporary folder. Each line of the output
//! is a JSON object with one measurement. `--runs N` says how often the audit is timed.
//!
//! Beside the audit stands its floor: a bare loop of `verify_strict` over the same signatures with
//! as many threads. An audit that costs little more than that has no other work worth mending; it
//! can cost less, since it checks signatures in batches. The two are timed in turn, so that what
//! else the machine does falls on both.

#[path = "../util.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod util;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Value, json};

use giftproof::bundle::{BundleReader, Existing, LogSource, OpenedBundle};
use giftproof::import::{Keyring, Map, Plan, Signing, plan};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::date::UnixMs;
use giftproof::model::entry::{Entry, NO_LEAF, SignedEvent};
use giftproof::model::ident::Handle;
use giftproof::model::tile::{EntryBundle, TileLayout};
use giftproof::model::trust::TrustFile;
use giftproof::verify::{Options, Outcome, Report, audit};
use giftproof::writer::{Clock, ManualClock, Writer};

use util::{REGISTRARS, START_MS, World, handle, secret};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// With this argument the program audits the bundle in the folder that follows, once, and prints
/// how much memory that took: a process of its own, so that nothing else is counted.
const AUDIT_ONCE: &str = "--audit-once";

fn main() -> Result<()> {
    let mut runs = 5;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--runs" => runs = value()?.parse::<NonZeroUsize>()?.get(),
            AUDIT_ONCE => return audit_once(Path::new(&value()?)),
            // Cargo says so to every benchmark.
            "--bench" => {}
            _ => return Err(format!("unknown argument {argument}; there is --runs N").into()),
        }
    }
    let dir = tempfile::tempdir()?;
    write_ledger(dir.path())?;
    measure_audit(dir.path(), runs)?;
    measure_disk(dir.path())
}

/// Imports the deliveries into a ledger in the folder, and exports bundle and trust file.
fn write_ledger(dir: &Path) -> Result<()> {
    let world = World::bare();
    let (events, sign_s) = timed(|| signed_deliveries(&world));
    let events = events?;
    let count = events.len();
    print(json!({
        "measure": "plan and sign", "events": count, "seconds": round(sign_s, 3),
        "events_per_s": rate(count, sign_s),
    }));

    let genesis = world.log.entries[0].event.clone();
    let clock = Clock::Manual(ManualClock::new(UnixMs(START_MS)));
    let writer = Writer::create(&dir.join("ledger"), genesis, secret("operator"), clock)?;
    let (answers, ingest_s) = timed(|| writer.submit_many(events));
    answers.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    print(json!({
        "measure": "ingest", "entries": count, "seconds": round(ingest_s, 3),
        "entries_per_s": rate(count, ingest_s),
    }));

    let trust = writer.with_ledger(|ledger| -> Result<TrustFile> {
        ledger.export(&dir.join("bundle.zip"), None, None, Existing::Refuse, &mut |_, _| {})?;
        Ok(ledger.trust()?)
    })?;
    std::fs::write(dir.join("trust"), trust.to_string())?;
    Ok(writer.close()?)
}

fn signed_deliveries(world: &World) -> Result<Vec<SignedEvent>> {
    let read = |file: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scms-deliveries");
        std::fs::read(Path::new(folder).join(file))
    };
    let map = Map::read(&String::from_utf8(read("deliveries.toml")?)?)?;
    let plan: Plan = plan(&read("deliveries.csv")?, &map, |file| -> Result<_> { Ok(read(file)?) })?;
    let made = |handle: &Handle| (handle.clone(), secret(handle.as_str()));
    let keys = Keyring {
        parties: plan.parties.keys().map(made).collect(),
        registrars: REGISTRARS[..2].iter().map(|name| (handle(name), secret(name))).collect(),
    };
    let signing = Signing { genesis: world.state.genesis, keys: &keys, signed_at: world.now };
    Ok(signing.sign(&plan, &world.state)?)
}

fn measure_audit(dir: &Path, runs: usize) -> Result<()> {
    let threads = Options::default().threads;
    let signatures = signatures(&open_bundle(dir)?)?;
    let mut audits = Vec::new();
    let mut floors = Vec::new();
    let mut ratios = Vec::new();
    let mut entries = 0;
    for _ in 0..runs {
        let (report, audit_s) = timed(|| audit_bundle(dir));
        let report = report?;
        let ((), floor_s) = timed(|| verify_one_by_one(&signatures, threads));
        assert_eq!(report.signatures, signatures.len() as u64, "the same signatures");
        entries = report.entries as usize;
        audits.push(audit_s);
        floors.push(floor_s);
        ratios.push(audit_s / floor_s);
    }
    let (audit_s, floor_s) = (median(audits), median(floors));
    print(json!({
        "measure": "audit", "runs": runs, "threads": threads, "entries": entries,
        "signatures": signatures.len(), "seconds": round(audit_s, 3),
        "entries_per_s": rate(entries, audit_s),
        "signatures_per_s": rate(signatures.len(), audit_s),
        "peak_bytes": peak_of_audit(dir)?,
    }));
    print(json!({
        "measure": "floor", "runs": runs, "threads": threads, "signatures": signatures.len(),
        "seconds": round(floor_s, 3), "signatures_per_s": rate(signatures.len(), floor_s),
        "audit_to_floor": round(median(ratios), 3),
    }));
    Ok(())
}

/// From opening the files to the report, as an auditor does it.
fn audit_bundle(dir: &Path) -> Result<Report> {
    let trust = TrustFile::parse(&std::fs::read(dir.join("trust"))?)?;
    let report = audit(&open_bundle(dir)?, Some(&trust), &Options::default())?;
    assert_eq!(report.outcome(), Outcome::Clean);
    Ok(report)
}

fn open_bundle(dir: &Path) -> Result<BundleReader> {
    let opened = OpenedBundle::open(&dir.join("bundle.zip"))?;
    let size = SignedCheckpoint::parse(opened.checkpoint())?.checkpoint().size;
    Ok(opened.with_size(size)?)
}

fn audit_once(dir: &Path) -> Result<()> {
    audit_bundle(dir)?;
    println!("{}", json!(peak_bytes()));
    Ok(())
}

/// The most memory that the audit holds at a time; null where the system does not tell.
fn peak_of_audit(dir: &Path) -> Result<Value> {
    let output = Command::new(std::env::current_exe()?).arg(AUDIT_ONCE).arg(dir).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What Linux says about this process.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kib.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// What an event's signer has signed, the key in the form that verifies fastest.
struct Signed {
    message: Vec<u8>,
    key: VerifyingKey,
    signature: Signature,
}

/// Every signature of the log.
fn signatures(bundle: &BundleReader) -> Result<Vec<Signed>> {
    let mut keys = BTreeMap::new();
    let mut all = Vec::new();
    let mut genesis = NO_LEAF;
    for entry in entries(bundle)? {
        let entry = Entry::from_bytes(&entry)?;
        let message = entry.event.frame.signing_message(&genesis);
        if entry.header.index == 0 {
            genesis = entry.leaf();
        }
        let (head, _) = entry.event.frame.open()?;
        for (signer, signature) in head.signers.iter().zip(&entry.event.signatures) {
            let key = match keys.get(&signer.key) {
                Some(key) => *key,
                None => VerifyingKey::from_bytes(signer.key.as_bytes())?,
            };
            keys.insert(signer.key, key);
            let signature = Signature::from_bytes(signature);
            all.push(Signed { message: message.clone(), key, signature });
        }
    }
    Ok(all)
}

fn verify_one_by_one(signatures: &[Signed], threads: NonZeroUsize) {
    std::thread::scope(|scope| {
        for share in signatures.chunks(signatures.len().div_ceil(threads.get())) {
            scope.spawn(move || {
                for Signed { message, key, signature } in share {
                    key.verify_strict(message, signature).expect("the writer let it in");
                }
            });
        }
    });
}

fn measure_disk(dir: &Path) -> Result<()> {
    let entries = entries(&open_bundle(dir)?)?;
    let measured = [
        ("bundle", std::fs::metadata(dir.join("bundle.zip"))?.len()),
        ("entries", entries.iter().map(|entry| entry.len() as u64).sum()),
        ("ledger folder", folder_bytes(&dir.join("ledger"))?),
    ];
    for (what, bytes) in measured {
        print(json!({
            "measure": "disk", "of": what, "bytes": bytes,
            "bytes_per_entry": round(bytes as f64 / entries.len() as f64, 1),
        }));
    }
    Ok(())
}

/// The bytes of every entry.
fn entries(bundle: &BundleReader) -> Result<Vec<Vec<u8>>> {
    let size = SignedCheckpoint::parse(&bundle.checkpoint()?)?.checkpoint().size;
    let mut entries = Vec::new();
    for coord in TileLayout::of_size(size).bundles() {
        let bytes = bundle.entries(&coord)?;
        entries.extend(EntryBundle::parse(&bytes, &coord)?.entries().map(<[u8]>::to_vec));
    }
    Ok(entries)
}

/// The length of all files in the folder.
fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        sum += if facts.is_dir() { folder_bytes(&entry.path())? } else { facts.len() };
    }
    Ok(sum)
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

/// The middle one; of an even number the upper of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rate(count: usize, seconds: f64) -> u64 {
    (count as f64 / seconds).round() as u64
}

fn round(value: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (value * unit).round() / unit
}
