//! What a log takes up on disk, in each of its forms.

use std::fs;

use giftproof::mirror::Mirror;
use giftproof::verify::Options;
use serde_json::json;

use crate::log::Folder;
use crate::measurement::*;

pub fn run(folder: &Folder) -> Result<()> {
    let ledger = folder.with_ledger()?;
    let mirrored = run_alone(&["mirror-once", "--dir", argument(&folder.path)])?;
    let mirror = folder.path.join("mirror");
    let index = folder_bytes(&ledger.join("index"))?;
    print_size(folder, "bundle", fs::metadata(folder.path.join("bundle.zip"))?.len());
    print_size(folder, "mirror, without the state of its audit", {
        let state = mirrored["state_bytes"].as_u64().unwrap_or(0);
        folder_bytes(&mirror)?.saturating_sub(state)
    });
    print_size(folder, "ledger folder, without its index", folder_bytes(&ledger)? - index);
    print_size(folder, "index", index);
    print(mirrored);
    Ok(fs::remove_dir_all(mirror)?)
}

/// The least is an entry's bytes and its leaf hash, and a byte of the tree above.
fn print_size(folder: &Folder, what: &str, bytes: u64) {
    let entries = folder.entries();
    let least = folder.generated.entry_bytes + 33 * entries;
    print(json!({
        "what": format!("disk: {what}"), "entries": entries, "disk_bytes": bytes,
        "bytes_an_entry": round(bytes as f64 / entries as f64, 1),
        "entry_bytes": round(folder.generated.entry_bytes as f64 / entries as f64, 1),
        "times_the_least": round(bytes as f64 / least as f64, 3),
    }));
}

/// Takes a mirror of the bundle, which audits it on the way.
pub fn mirror_once(folder: &Folder) -> Result<()> {
    let path = folder.path.join("mirror");
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    let (bundle, trust) = (folder.bundle()?, folder.trust()?);
    let (followed, seconds) = timed(|| -> Result<_> {
        Ok(Mirror::open(&path)?.follow(&bundle, Some(&trust), 0, &Options::default())?)
    });
    let entries = followed?.to;
    print(json!({
        "what": "mirror a bundle", "entries": entries, "rate": rate(entries, seconds),
        "seconds": round(seconds, 2), "peak_bytes": peak_bytes(),
        "state_bytes": private_bytes(&path)?,
    }));
    Ok(())
}

/// What a mirror holds beside the log: the state of its audit, in folders whose names begin with a
/// dot.
fn private_bytes(mirror: &std::path::Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(mirror)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            sum += folder_bytes(&entry.path())?;
        }
    }
    Ok(sum)
}
