//! How long a ledger takes to open: after it was closed, and after its writer was killed.

use std::io::{BufRead, BufReader};

use giftproof::ledger::Ledger;
use giftproof::store::LocalStore;
use serde_json::{Value, json};

use crate::log::Folder;
use crate::measurement::*;

/// Of a ledger of 10,000 entries, and of the one in question. Each is opened in processes of their
/// own; the store alone in another one, since it has work of its own to do when it is opened again.
pub fn run(small: &Folder, folder: &Folder) -> Result<()> {
    for folder in [small, folder] {
        folder.with_ledger()?;
        let clean = opened(folder, "ledger")?;
        let store = opened(folder, "store")?;
        print_opened(folder, "open after a clean stop", &clean, &store)?;

        // More comes in now than the bundle has.
        folder.note_changed()?;
        kill_writer(folder, 0.3)?;
        let killed = opened(folder, "ledger")?;
        kill_writer(folder, 0.6)?;
        let store = opened(folder, "store")?;
        print_opened(folder, "open after kill -9", &killed, &store)?;
    }
    Ok(())
}

fn opened(folder: &Folder, of: &str) -> Result<Value> {
    run_alone(&["open-once", "--dir", argument(&folder.path), of])
}

/// The first opening after a ledger was written: of the store, which then reads what its last session
/// has written, and of the ledger after that.
pub fn after_writing(folder: &Folder) -> Result<()> {
    let store = opened(folder, "store")?;
    let ledger = opened(folder, "ledger")?;
    print_opened(folder, "open right after it was written, the store first", &ledger, &store)
}

fn print_opened(folder: &Folder, what: &str, ledger: &Value, store: &Value) -> Result<()> {
    print(json!({
        "what": what, "entries": ledger["entries"], "ms": ledger["ms"],
        "store_alone_ms": store["ms"], "peak_bytes": ledger["peak_bytes"],
        "disk_bytes": folder_bytes(&folder.ledger())?,
    }));
    Ok(())
}

/// Lets a process write, and kills it when it has written a share of what there is.
fn kill_writer(folder: &Folder, share: f64) -> Result<()> {
    let (dir, share) = (argument(&folder.path), share.to_string());
    let mut child = this_program(&["until-killed", "--dir", dir, &share])?.spawn()?;
    let mut line = String::new();
    let output = child.stdout.take().expect("it is piped");
    let told = BufReader::new(output).read_line(&mut line);
    // SIGKILL, where there are signals.
    child.kill()?;
    child.wait()?;
    if told? == 0 { Err("the process ended before it was killed".into()) } else { Ok(()) }
}

/// One opening. Prints one line.
pub fn once(folder: &Folder, of: &str) -> Result<()> {
    let path = folder.ledger();
    let (entries, seconds) = timed(|| -> Result<Option<u64>> {
        match of {
            "store" => LocalStore::open(&path).map(|_| None).map_err(Into::into),
            _ => Ok(Some(Ledger::open(&path)?.state().size)),
        }
    });
    print(json!({ "entries": entries?, "ms": ms(seconds), "peak_bytes": peak_bytes() }));
    Ok(())
}

/// Builds the index anew.
pub fn reindex(folder: &Folder) -> Result<()> {
    folder.with_ledger()?;
    print(run_alone(&["reindex-once", "--dir", argument(&folder.path)])?);
    Ok(())
}

/// As [`reindex`], in this process.
pub fn reindex_once(folder: &Folder) -> Result<()> {
    let (ledger, seconds) = timed(|| Ledger::reindex(&folder.ledger(), &mut |_, _, _| {}));
    let entries = ledger?.state().size;
    print(json!({
        "what": "reindex", "entries": entries, "rate": rate(entries, seconds),
        "seconds": round(seconds, 2), "peak_bytes": peak_bytes(),
        "disk_bytes": folder_bytes(&folder.ledger().join("index"))?,
    }));
    Ok(())
}
