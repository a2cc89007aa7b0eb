//! What can still be read of a damaged ledger folder's log.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bundle::LogSource;
use crate::model::tile::{BundleCoord, EntryBundle, TILE_WIDTH, TileLayout};
use crate::store::{FolderLock, LocalStore, ObjectName, OpenError, Store as _};

/// How often a database that panicked is opened again: what else it holds may be readable.
const REOPENED_MAX: u32 = 64;

/// The log of a folder, as far as the database gives it out. Nothing of it is trusted.
pub(super) struct Remains {
    folder: PathBuf,
    opened: Mutex<Opened>,
}

struct Opened {
    lock: Arc<FolderLock>,
    store: Option<LocalStore>,
    reopened: u32,
}

impl Remains {
    /// Opens what is left; also why there is nothing, if there is nothing.
    pub(super) fn open(folder: &Path, lock: Arc<FolderLock>) -> (Self, Option<OpenError>) {
        let (store, error) = match LocalStore::salvage(folder, &lock) {
            Ok(store) => (Some(store), None),
            Err(error) => (None, Some(error)),
        };
        let opened = Mutex::new(Opened { lock, store, reopened: 0 });
        (Self { folder: folder.to_path_buf(), opened }, error)
    }

    /// The number of the newest commit with its head, and the number in the mark.
    pub(super) fn newest(&self) -> (Option<(u64, Vec<u8>)>, Option<u64>) {
        let newest = self.ask(|store| store.newest());
        (newest.flatten(), self.ask(|store| store.marked()).flatten())
    }

    /// An object, or nothing.
    pub(super) fn object(&self, name: ObjectName) -> Option<Vec<u8>> {
        self.ask(|store| store.read(&name)).flatten()
    }

    fn ask<T, E>(&self, question: impl FnOnce(&LocalStore) -> Result<T, E>) -> Option<T> {
        let mut opened = self.opened();
        let answer = question(opened.store.as_ref()?);
        if answer.is_err() {
            // A panic has stopped the store. It must be gone before it is opened again.
            opened.store = None;
            if opened.reopened < REOPENED_MAX {
                opened.reopened += 1;
                opened.store = LocalStore::salvage(&self.folder, &opened.lock).ok();
            }
        }
        answer.ok()
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        // A panic of ours under this lock leaves a store that can be asked on.
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries of one bundle, by their places; those that cannot be had are missing.
pub(super) type Places = Vec<Option<Vec<u8>>>;

/// Where entries can be had.
pub(super) trait Entries: Send + Sync {
    /// The entries of a bundle, as far as they can be had.
    fn places(&self, bundle: &BundleCoord) -> Places;
}

impl Entries for Remains {
    fn places(&self, bundle: &BundleCoord) -> Places {
        if let Some(full) = BundleCoord::new(bundle.index(), TILE_WIDTH)
            && let Some(bytes) = self.object(ObjectName::Bundle(bundle.index()))
            && let Ok(entries) = EntryBundle::parse(&bytes, &full)
        {
            return entries.entries().take(width(bundle)).map(|e| Some(e.to_vec())).collect();
        }
        // Where a run begins that follows a lost one, nobody says: each place is asked for.
        let mut places = vec![None; width(bundle)];
        for at in 0..places.len() {
            let first = bundle.index() * u64::from(TILE_WIDTH) + at as u64;
            let Some(run) = self.object(ObjectName::Tail { first }) else { continue };
            let mut rest = run.as_slice();
            for place in &mut places[at..] {
                let Some((len, after)) = rest.split_first_chunk::<2>() else { break };
                let len = usize::from(u16::from_be_bytes(*len));
                let Some((entry, after)) = after.split_at_checked(len) else { break };
                *place = Some(entry.to_vec());
                rest = after;
            }
        }
        places
    }
}

/// The entries of another copy of the log.
pub(super) struct Copy {
    pub(super) log: Box<dyn LogSource + Send>,
    /// How many entries its checkpoint states.
    pub(super) size: u64,
}

impl Entries for Copy {
    fn places(&self, bundle: &BundleCoord) -> Places {
        let read = || {
            let coord = TileLayout::of_size(self.size).bundle(bundle.index())?;
            let bytes = self.log.entries(&coord).ok()?;
            let entries = EntryBundle::parse(&bytes, &coord).ok()?;
            Some(entries.entries().map(|entry| Some(entry.to_vec())).collect::<Places>())
        };
        let mut places = read().unwrap_or_default();
        places.resize(width(bundle), None);
        places
    }
}

fn width(bundle: &BundleCoord) -> usize {
    usize::from(bundle.width())
}
