//! One sled database whose writes reach the medium.
//!
//! sled's own `flush` does not: what was written is durable only after `fdatasync` on a second
//! descriptor of its data file, which covers the whole file.
//!
//! sled panics on some damage: every call into this module runs under
//! [`contained`](super::panics::contained).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sled::{Db, Tree};

use super::StoreError;
use super::local::OpenError;
use super::schema::SEGMENT_LEN;

/// The most memory for pages that sled keeps, in bytes; 256 pages may stay in any case, and
/// those that it has not counted yet, see `objects`.
const CACHE_LEN: u64 = 32 * 1024 * 1024;

/// How the name of a snapshot ends that sled is still writing.
const BEGUN: &str = ".generating";

/// A database and the descriptors that make it durable.
#[derive(Debug)]
pub(super) struct DurableDb {
    db: Db,
    /// A second descriptor of sled's data file: `fdatasync` works by file, not by descriptor.
    data: File,
    blobs: PathBuf,
    synced_blobs: Mutex<BTreeSet<OsString>>,
}

impl DurableDb {
    /// Opens or creates the database in a folder.
    ///
    /// The caller holds the lock of the ledger's folder.
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        remove_begun_snapshots(folder)?;
        let config = sled::Config::new()
            .path(folder)
            .segment_size(SEGMENT_LEN)
            .cache_capacity(CACHE_LEN)
            .flush_every_ms(None);
        let db = config.open().map_err(|error| match error {
            // sled tells this case apart by its text only.
            sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => {
                OpenError::Locked
            }
            error => OpenError::Store(store_error("opening the log")(error)),
        })?;
        let data = File::options()
            .read(true)
            .write(true)
            .open(folder.join("db"))
            .map_err(io("opening the log's data file"))?;
        let blobs = folder.join("blobs");
        let database = Self { db, data, blobs, synced_blobs: Mutex::new(BTreeSet::new()) };
        database.make_durable()?;
        let conf = File::open(folder.join("conf")).map_err(io("opening the log's settings"))?;
        conf.sync_all().map_err(io("syncing the log's settings"))?;
        sync_folder(&database.blobs)?;
        sync_folder(folder)?;
        Ok(database)
    }

    /// A tree of this database.
    pub(super) fn tree(&self, name: &str) -> Result<Tree, StoreError> {
        self.db.open_tree(name).map_err(store_error("opening the log"))
    }

    /// Brings all that was written to the medium.
    pub(super) fn make_durable(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(store_error("flushing the log"))?;
        self.sync_blobs()?;
        self.data.sync_data().map_err(io("syncing the log"))
    }

    /// Syncs new files that sled has put beside its data file, which it never does itself.
    ///
    /// Chunks are small enough that there are none; this is the second line of defence.
    fn sync_blobs(&self) -> Result<(), StoreError> {
        let found = names_in(&self.blobs)?;
        let mut synced = self.synced_blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if found == *synced {
            return Ok(());
        }
        for name in found.difference(&synced) {
            match File::open(self.blobs.join(name)).and_then(|blob| blob.sync_all()) {
                Ok(()) => {}
                // sled has removed it again: nothing in the log leads to it any more.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io("syncing the log")(error)),
            }
        }
        sync_folder(&self.blobs)?;
        *synced = found;
        Ok(())
    }
}

/// Takes away the snapshots that sled has begun to write when it was opened before, and has not
/// given their names: it would take one that a crash has cut short for a damaged one.
fn remove_begun_snapshots(folder: &Path) -> Result<(), StoreError> {
    if !folder.exists() {
        return Ok(());
    }
    for name in names_in(folder)? {
        if name.to_string_lossy().ends_with(BEGUN) {
            fs::remove_file(folder.join(name)).map_err(io("removing a begun snapshot"))?;
        }
    }
    Ok(())
}

/// The names in a folder.
pub(super) fn names_in(folder: &Path) -> Result<BTreeSet<OsString>, StoreError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .map_err(io("listing a folder of the ledger"))
}

/// Makes the names in a folder durable. Only Unix can, and only Unix needs it.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io("syncing a folder of the ledger"))?;
    }
    Ok(())
}

/// Damage, told in these words.
pub(super) fn damaged(found: impl Into<String>) -> StoreError {
    StoreError::Damaged { found: found.into() }
}

/// An error of the file system met while doing this.
pub(super) fn io(doing: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::from_io(doing, error)
}

/// What an error of sled means for the ledger.
pub(super) fn store_error(doing: &'static str) -> impl Fn(sled::Error) -> StoreError {
    move |error| match error {
        // A file that sled's own data leads to is not there, or ends too early.
        sled::Error::Io(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) =>
        {
            damaged(format!("{doing}: {error}"))
        }
        sled::Error::Io(error) => StoreError::from_io(doing, error),
        error => damaged(format!("{doing}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_a_crash_cut_short_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let open = || loop {
            // sled lets its lock go some time after it was dropped.
            match DurableDb::open(&path) {
                Err(OpenError::Locked) => std::thread::sleep(std::time::Duration::from_millis(10)),
                opened => return opened.unwrap(),
            }
        };
        open().tree("t").unwrap().insert(b"key", b"value").unwrap();
        drop(open());
        for begun in ["", "cut"] {
            let snapshot = path.join(format!("snap.FFFFFFFFFFFFFFF0{BEGUN}"));
            fs::write(&snapshot, begun).unwrap();
            let found = open().tree("t").unwrap().get(b"key").unwrap();
            assert_eq!(found.as_deref(), Some(&b"value"[..]));
            assert!(!snapshot.exists());
        }
    }

    #[test]
    fn the_world_and_damage_are_told_apart() {
        let code = |kind: io::ErrorKind| store_error("x")(sled::Error::Io(kind.into())).code();
        assert_eq!(code(io::ErrorKind::StorageFull), "store/full");
        assert_eq!(code(io::ErrorKind::PermissionDenied), "store/io");
        assert_eq!(code(io::ErrorKind::UnexpectedEof), "store/damaged");
        let bug = sled::Error::ReportableBug("x".to_owned());
        assert_eq!(store_error("x")(bug).code(), "store/damaged");
    }
}
