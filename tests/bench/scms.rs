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

use std::path::Path;

use serde_json::{Value, json};

use giftproof::bundle::{BundleReader, Existing, LogSource};
use giftproof::import::{Keyring, Map, Plan, Signing, plan};
use giftproof::model::date::UnixMs;
use giftproof::model::entry::SignedEvent;
use giftproof::model::ident::Handle;
use giftproof::model::tile::EntryBundle;
use giftproof::model::trust::TrustFile;
use giftproof::verify::{Options, Outcome, Report, audit};
use giftproof::writer::{Clock, ManualClock, Writer};

use crate::floor::{Floor, genesis_of};
use crate::log::open_bundle;
use crate::measurement::*;
use crate::util::{REGISTRARS, START_MS, World, handle, secret};

/// Imports the deliveries, and measures; the audit so many times.
pub fn run(runs: usize) -> Result<()> {
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
    let count = events.len() as u64;
    print(json!({
        "what": "deliveries: plan and sign", "entries": count, "seconds": round(sign_s, 3),
        "rate": rate(count, sign_s),
    }));

    let genesis = world.log.entries[0].event.clone();
    let clock = Clock::Manual(ManualClock::new(UnixMs(START_MS)));
    let writer = Writer::create(&dir.join("ledger"), genesis, secret("operator"), clock)?;
    let (answers, ingest_s) = timed(|| writer.submit_many(events));
    answers.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    print(json!({
        "what": "deliveries: ingest", "entries": count, "seconds": round(ingest_s, 3),
        "rate": rate(count, ingest_s),
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
    let bundle = open_bundle(&dir.join("bundle.zip"))?;
    let floor = Floor::sample(&bundle, &genesis_of(&bundle)?, u64::MAX)?;
    let (mut audits, mut ratios, mut report) = (Vec::new(), Vec::new(), None);
    for _ in 0..runs {
        let ((audited, seconds), floor_rate) = floor.around(|| {
            let (audited, seconds) = timed(|| audit_bundle(dir));
            Ok((audited?, seconds))
        })?;
        audits.push(seconds);
        ratios.push(audited.signatures as f64 / seconds / floor_rate);
        report = Some(audited);
    }
    let report = report.ok_or("the audit was not run")?;
    let seconds = median(audits);
    let peak: Value = run_alone(&["scms-once", argument(dir)])?;
    print(json!({
        "what": "deliveries: audit", "entries": report.entries, "rate": rate(report.entries, seconds),
        "signatures_a_second": rate(report.signatures, seconds), "ratio": round(median(ratios), 2),
        "peak_bytes": peak, "runs": runs, "threads": floor.threads(),
    }));
    Ok(())
}

/// From opening the files to the report, as an auditor does it.
fn audit_bundle(dir: &Path) -> Result<Report> {
    let trust = TrustFile::parse(&std::fs::read(dir.join("trust"))?)?;
    let report = audit(&open_bundle(&dir.join("bundle.zip"))?, Some(&trust), &Options::default())?;
    assert_eq!(report.outcome(), Outcome::Clean);
    Ok(report)
}

/// One audit in a process of its own. Prints how much memory it took.
pub fn once(dir: &Path) -> Result<()> {
    audit_bundle(dir)?;
    print(json!(peak_bytes()));
    Ok(())
}

fn measure_disk(dir: &Path) -> Result<()> {
    let entries = entries(&open_bundle(&dir.join("bundle.zip"))?)?;
    let measured = [
        ("bundle", std::fs::metadata(dir.join("bundle.zip"))?.len()),
        ("entries", entries.iter().map(|entry| entry.len() as u64).sum()),
        ("ledger folder", folder_bytes(&dir.join("ledger"))?),
    ];
    for (what, bytes) in measured {
        print(json!({
            "what": format!("deliveries: {what}"), "disk_bytes": bytes,
            "bytes_per_entry": round(bytes as f64 / entries.len() as f64, 1),
        }));
    }
    Ok(())
}

/// The bytes of every entry.
fn entries(bundle: &BundleReader) -> Result<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    for coord in bundle.layout().tree().bundles() {
        let bytes = bundle.entries(&coord)?;
        entries.extend(EntryBundle::parse(&bytes, &coord)?.entries().map(<[u8]>::to_vec));
    }
    Ok(entries)
}
