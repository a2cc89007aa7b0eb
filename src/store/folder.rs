//! A ledger folder as a whole: who may change it, and a new log in the place of a damaged one.
//!
//! ```text
//! log.repairing/     a new log, not yet whole; nobody reads it
//! log.repaired/      a new log that is whole and on disk, with a marker and a mark of its own
//! log.damaged-1/     a log that was replaced; it is never touched again
//! ```
//!
//! Between two renames the folder has no `log`. Whoever opens it next finishes the replacing, so a
//! crash leaves the old log or the new one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::durable::{io, sync_folder};
use super::local::{OpenError, patiently};
use super::{StoreError, schema};

/// The file that says that a folder is a ledger, and of which version.
pub(super) const MARKER: &str = "giftproof-ledger";
/// The marker of a folder whose creation has not ended.
pub(super) const UNFINISHED: &str = "giftproof-ledger.unfinished";
/// The file with the number of the newest commit.
pub(super) const MARK: &str = "giftproof-mark";
/// The folder of the database.
pub(super) const LOG: &str = "log";
/// A new log that is being made.
const REPAIRING: &str = "log.repairing";
/// A new log that is whole.
const REPAIRED: &str = "log.repaired";

/// The right to use a ledger folder, which one process has at a time, as long as this lives.
#[derive(Debug)]
pub struct FolderLock {
    marker: File,
    intact: bool,
}

impl FolderLock {
    /// Locks a ledger folder.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. The folder is not touched.
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        let lock = Self::of(folder, File::options().read(true))?;
        if !lock.intact {
            return Err(OpenError::NotALedger);
        }
        lock.hold()
    }

    /// Locks a folder that holds a log, whatever has become of its marker.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn take_damaged(folder: &Path) -> Result<Self, OpenError> {
        let log = [LOG, REPAIRED].iter().any(|name| folder.join(name).is_dir());
        let marker = folder.join(MARKER).is_file();
        if !marker && (!log || folder.join(UNFINISHED).exists()) {
            return Self::take(folder);
        }
        let mut options = File::options();
        // A marker that was lost comes back empty, which is no marker yet.
        options.read(true).write(true).create(true).truncate(false);
        Self::of(folder, &options)?.hold()
    }

    /// Whether the folder says of itself that it is a ledger.
    pub fn is_marker_intact(&self) -> bool {
        self.intact
    }

    /// Writes the marker anew.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the folder may then be without a marker, and can be repaired again.
    pub fn mend_marker(&mut self) -> Result<(), StoreError> {
        let mut write = || {
            self.marker.set_len(0)?;
            self.marker.seek(SeekFrom::Start(0))?;
            self.marker.write_all(schema::marker_text().as_bytes())?;
            self.marker.sync_all()
        };
        write().map_err(io("writing the marker"))?;
        self.intact = true;
        Ok(())
    }

    /// The same lock, held until all that share it are gone.
    pub(super) fn share(&self) -> Result<File, StoreError> {
        self.marker.try_clone().map_err(io("locking the marker"))
    }

    fn of(folder: &Path, options: &fs::OpenOptions) -> Result<Self, OpenError> {
        if !folder.try_exists().map_err(io("looking for the ledger folder"))? {
            return Err(OpenError::NoFolder);
        }
        let marker = match options.open(folder.join(MARKER)) {
            Ok(marker) => marker,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let unfinished = folder.join(UNFINISHED).exists();
                return Err(if unfinished { OpenError::Unfinished } else { OpenError::NotALedger });
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(OpenError::NotALedger);
            }
            Err(error) => return Err(io("opening the marker")(error).into()),
        };
        let mut text = Vec::new();
        (&marker).take(64).read_to_end(&mut text).map_err(io("reading the marker"))?;
        match schema::marker_version(&text) {
            None => Ok(Self { marker, intact: false }),
            Some(schema::VERSION) => Ok(Self { marker, intact: true }),
            Some(found) if found < schema::VERSION => Err(OpenError::OlderVersion { found }),
            Some(found) => Err(OpenError::NewerVersion { found }),
        }
    }

    fn hold(self) -> Result<Self, OpenError> {
        patiently(|| match self.marker.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked),
            Err(TryLockError::Error(error)) => Err(io("locking the marker")(error).into()),
        })?;
        Ok(self)
    }
}

/// Where a new log for this folder is to be made, as a ledger folder of its own. What an earlier
/// attempt has left there is gone.
///
/// # Errors
///
/// [`StoreError`].
pub fn begin_replacing(folder: &Path, _lock: &FolderLock) -> Result<PathBuf, StoreError> {
    for name in [REPAIRING, REPAIRED] {
        remove(&folder.join(name))?;
    }
    Ok(folder.join(REPAIRING))
}

/// Puts the log that was made there in its place. Gives the folder of the old one, if there was
/// one.
///
/// # Errors
///
/// [`StoreError`]; the old log or the new one is in place, or will be when the folder is opened.
pub fn replace_log(folder: &Path, _lock: &FolderLock) -> Result<Option<PathBuf>, StoreError> {
    let failed = io("putting the new log in place");
    let rename = |from: &Path, to: &Path| {
        fs::rename(from, to).map_err(&failed)?;
        sync_folder(folder)
    };
    let (log, repaired) = (folder.join(LOG), folder.join(REPAIRED));
    rename(&folder.join(REPAIRING), &repaired)?;
    // Commits are counted anew. A crash after this leaves the old log with a mark that is behind
    // it, which does no harm.
    rename(&repaired.join(MARK), &folder.join(MARK))?;
    let damaged = (1u32..).map(|number| folder.join(format!("{LOG}.damaged-{number}")));
    let aside = damaged.into_iter().find(|path| path.symlink_metadata().is_err());
    let aside = aside.filter(|_| log.symlink_metadata().is_ok());
    if let Some(aside) = &aside {
        rename(&log, aside)?;
    }
    // A crash here leaves no log, and a whole one to be taken by whoever opens the folder.
    finish_replacing(folder)?;
    Ok(aside)
}

/// Finishes what a crash has left of [`replace_log`].
pub(super) fn finish_replacing(folder: &Path) -> Result<(), StoreError> {
    let (log, repaired) = (folder.join(LOG), folder.join(REPAIRED));
    if log.symlink_metadata().is_ok() || !repaired.join(LOG).is_dir() {
        return Ok(());
    }
    fs::rename(repaired.join(LOG), log).map_err(io("putting the new log in place"))?;
    sync_folder(folder)?;
    remove(&repaired)
}

/// Removes a folder with all that is in it.
fn remove(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io("removing an unfinished log")(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Commit, LocalStore, Store as _};
    use super::*;

    const HEADS: [&[u8]; 2] = [b"old", b"new"];

    fn create(folder: &Path, head: &[u8]) {
        let first = Commit { put: vec![], drop_tails: vec![], expected_head: None, head };
        drop(LocalStore::create(folder, &first).unwrap());
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A ledger folder beside whose log a new one stands, as [`replace_log`] finds it.
    fn prepared() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), HEADS[0]);
        let lock = FolderLock::take(folder.path()).unwrap();
        create(&begin_replacing(folder.path(), &lock).unwrap(), HEADS[1]);
        folder
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_log_or_the_new_one() {
        // The steps of `replace_log`, done by hand: a crash comes after so many of them.
        let steps: [(&str, &str, &[u8]); 4] = [
            ("log.repairing", "log.repaired", HEADS[0]),
            ("log.repaired/giftproof-mark", "giftproof-mark", HEADS[0]),
            ("log", "log.damaged-1", HEADS[1]),
            ("log.repaired/log", "log", HEADS[1]),
        ];
        for crash in 0..=steps.len() {
            let folder = prepared();
            let mut expected = HEADS[0];
            for (from, to, head) in &steps[..crash] {
                fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
                expected = head;
            }
            let store = LocalStore::open(folder.path()).unwrap();
            assert_eq!(store.head().unwrap().as_deref(), Some(expected), "after {crash} steps");
            let commit = Commit {
                put: vec![],
                drop_tails: vec![],
                expected_head: Some(expected),
                head: b"next",
            };
            store.commit(&commit).unwrap();
            drop(store);
            assert_eq!(
                LocalStore::open(folder.path()).unwrap().head().unwrap().unwrap(),
                b"next",
                "after {crash} steps"
            );
        }
    }

    #[test]
    fn the_damaged_log_is_moved_aside_and_stays() {
        let folder = prepared();
        let old = names(&folder.path().join("log"));
        let lock = FolderLock::take(folder.path()).unwrap();
        let aside = replace_log(folder.path(), &lock).unwrap().unwrap();
        assert_eq!(aside, folder.path().join("log.damaged-1"));
        assert_eq!(names(&aside), old);
        assert_eq!(
            names(folder.path()),
            ["giftproof-ledger", "giftproof-mark", "log", "log.damaged-1"]
        );
        create(&begin_replacing(folder.path(), &lock).unwrap(), b"newer");
        let aside = replace_log(folder.path(), &lock).unwrap().unwrap();
        assert_eq!(aside, folder.path().join("log.damaged-2"));
        drop(lock);
        let store = LocalStore::open(folder.path()).unwrap();
        assert_eq!(store.head().unwrap().unwrap(), b"newer");
    }

    #[test]
    fn a_lost_marker_is_mended_and_no_folder_is_taken_for_a_ledger() {
        let folder = prepared();
        for text in [Some("giftproof-ledger/w1\n"), Some(""), None] {
            let marker = folder.path().join(MARKER);
            match text {
                Some(text) => fs::write(marker, text).unwrap(),
                None => fs::remove_file(marker).unwrap(),
            }
            assert_eq!(LocalStore::open(folder.path()).unwrap_err().code(), "store/not-a-ledger");
            let mut lock = FolderLock::take_damaged(folder.path()).unwrap();
            assert!(!lock.is_marker_intact());
            lock.mend_marker().unwrap();
            let second = LocalStore::open(folder.path()).unwrap_err();
            assert_eq!(second.code(), "store/locked");
            drop(lock);
            LocalStore::open(folder.path()).unwrap();
        }
        fs::write(folder.path().join(MARKER), "giftproof-ledger/v3\n").unwrap();
        let newer = FolderLock::take_damaged(folder.path()).unwrap_err();
        assert_eq!(newer.code(), "store/newer-version");
        let empty = tempfile::tempdir().unwrap();
        let none = FolderLock::take_damaged(empty.path()).unwrap_err();
        assert_eq!(none.code(), "store/not-a-ledger");
        assert!(names(empty.path()).is_empty());
        let missing = FolderLock::take_damaged(&empty.path().join("x")).unwrap_err();
        assert_eq!(missing.code(), "store/no-folder");
    }
}
