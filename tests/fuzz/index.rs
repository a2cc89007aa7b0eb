//! The derived index of a ledger folder, which is decoded before its hash is known. Whatever became
//! of its files, the ledger opens with the state that its entries give, or the index is named as
//! damaged.
//!
//! An input is five bytes for each change: in which file, at which byte of it, what is done, and
//! with what.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use giftproof::ledger::Ledger;
use giftproof::model::date::UnixMs;
use giftproof::model::state::State;
use giftproof::store::MemoryStore;
use giftproof::writer::{Clock, ManualClock, Writer};

use super::log::STORY;
use crate::util::*;

/// A ledger, the files of its index by name, and what a replay of its entries gives.
struct Honest {
    store: MemoryStore,
    index: BTreeMap<String, Vec<u8>>,
    replayed: State,
}

/// A base, and a part for each session after the first.
static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let (shared, path) = (|| Arc::new(store.clone()), Some(folder.path()));
    let clock = |ms| Clock::Manual(ManualClock::new(UnixMs(ms)));
    let mut events = STORY.items.iter().map(|item| item.event.clone());
    let genesis = events.next().unwrap();
    let operator = || secret("operator");
    let writer = Writer::create_over(shared(), path, genesis, operator(), clock(START_MS));
    writer.unwrap().close().unwrap();
    for _ in 0..3 {
        let clock = clock(START_MS + 60_000);
        let writer = Writer::over(shared(), path, operator(), clock).unwrap();
        for event in events.by_ref().take(3) {
            writer.submit(event).unwrap();
        }
        writer.close().unwrap();
    }
    let index = files(&folder.path().join("index"));
    assert!(index.len() == 3 && index.contains_key("changes"), "{:?}", index.keys());
    let replayed = Ledger::over(shared(), None).unwrap().state().clone();
    Honest { store, index, replayed }
});

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

pub fn run(bytes: &[u8]) {
    let honest = &*HONEST;
    let mut index: Vec<(&String, Vec<u8>)> =
        honest.index.iter().map(|(name, bytes)| (name, bytes.clone())).collect();
    for change in bytes.as_chunks::<5>().0 {
        let count = index.len();
        change_bytes(&mut index[usize::from(change[0]) % count].1, *change);
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("index")).unwrap();
    for (name, bytes) in index {
        fs::write(folder.path().join("index").join(name), bytes).unwrap();
    }
    // Values are read when they are asked for, as a replay may do: a damaged one is a fault, and
    // not another gift.
    match Ledger::over(Arc::new(honest.store.clone()), Some(folder.path())) {
        Ok(ledger) => {
            let same = *ledger.state() == honest.replayed;
            assert!(same || ledger.state().fault().is_some(), "another state");
        }
        Err(error) => assert_eq!(error.code(), "ledger/index"),
    }
}

fn change_bytes(bytes: &mut Vec<u8>, [_, high, low, what, with]: [u8; 5]) {
    let at = (usize::from(high) << 8 | usize::from(low)) % bytes.len().max(1);
    match what % 7 {
        _ if bytes.is_empty() => bytes.push(with),
        0 => bytes[at] ^= with,
        1 => bytes[at] = with,
        2 => bytes.insert(at, with),
        3 => bytes.truncate(at),
        4 => _ = bytes.drain(at..bytes.len().min(at + 1 + usize::from(with))),
        // The longer a file, the more may be in it.
        5 => bytes.resize(bytes.len() + (usize::from(with) << 14), 0),
        // A large number in the encoding of what is derived.
        _ => {
            let end = bytes.len().min(at + 5);
            bytes[at..end].copy_from_slice(&[252, 0, 0, 0, with][..end - at]);
        }
    }
}
