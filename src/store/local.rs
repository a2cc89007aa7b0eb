//! The store of a ledger folder, on sled.
//!
//! ```text
//! giftproof-ledger   the marker, "giftproof-ledger/v2\n", locked while the store is open
//! giftproof-mark     the number of the newest commit, a second opinion
//! log/               two sled databases, see `database`
//! ```
//!
//! One flipped bit can make sled open silently without the newest commits, and drop them for good.
//! The mark tells: it is written after each commit, so the log is never behind it. It is not synced,
//! and after a power cut it may itself be behind, which does no harm.
//!
//! Not covered here: a whole folder put back to an older state, lost commits that the mark does not
//! know, and single objects that damage has changed or taken away under a good head. These are for
//! the layer above, which compares the head with what has been published, knows which objects a
//! head needs, and checks them against the tree.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::database::Database;
use super::durable::{damaged, io, names_in, sync_folder};
use super::folder::{FolderLock, LOG, MARK, MARKER, UNFINISHED, finish_replacing};
use super::panics::contained;
use super::schema::{self, Head};
use super::{Commit, CommitError, ObjectName, Store, StoreError};

/// How long an open waits for a lock that may be about to go: a process that has just been started
/// holds what its parent had open until it runs its own program.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why a folder does not open as a ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// `store/no-folder`: there is no such folder.
    #[error("there is no such folder")]
    NoFolder,
    /// `store/not-a-ledger`: the folder holds no marker, or one that cannot be read as such.
    #[error("the folder is not a ledger")]
    NotALedger,
    /// `store/unfinished`: the creation of the ledger was interrupted; create it again.
    #[error("the creation of this ledger was interrupted: create it again")]
    Unfinished,
    /// `store/newer-version`: a newer giftproof wrote this ledger.
    #[error("the ledger has format version {found}, which is newer than this program")]
    NewerVersion {
        /// The version that the marker names.
        found: u64,
    },
    /// `store/older-version`: an older giftproof wrote this ledger.
    #[error("the ledger has format version {found}, which this program does not read any more")]
    OlderVersion {
        /// The version that the marker names.
        found: u64,
    },
    /// `store/locked`: another process, or another store of this process, has the ledger open.
    #[error("another process has this ledger open: it can be opened when that process has ended")]
    Locked,
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoFolder => "store/no-folder",
            Self::NotALedger => "store/not-a-ledger",
            Self::Unfinished => "store/unfinished",
            Self::NewerVersion { .. } => "store/newer-version",
            Self::OlderVersion { .. } => "store/older-version",
            Self::Locked => "store/locked",
            Self::Store(error) => error.code(),
        }
    }
}

/// Why a ledger was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// `store/occupied`: the folder holds something, perhaps a ledger.
    #[error("the folder is not empty")]
    Occupied,
    /// `store/locked`: another process is creating a ledger here.
    #[error("another process is creating a ledger here")]
    Locked,
    /// The first commit was refused or failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CreateError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Occupied => "store/occupied",
            Self::Locked => "store/locked",
            Self::Commit(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

pub(super) fn patiently<T>(mut open: impl FnMut() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let started = Instant::now();
    loop {
        match open() {
            Err(OpenError::Locked) if started.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

/// The store of a ledger folder. One process at a time has it open.
///
/// A panic of the database is caught and reported as [`StoreError::Damaged`]; the store then
/// refuses all further use.
#[derive(Debug)]
pub struct LocalStore {
    /// `None` only while dropping.
    database: Option<Database>,
    shown: RwLock<Shown>,
    /// Held by the one commit in progress.
    committing: Mutex<()>,
    stopped: AtomicBool,
    mark: File,
    /// Holds the lock; after `database`, so that it is the last to be dropped.
    _marker: File,
}

/// What readers see beside the database: only what is durable.
#[derive(Debug, Default)]
struct Shown {
    head: Option<Vec<u8>>,
    /// The number of the commit that wrote `head`; 0 for none.
    commit_number: u64,
    /// Tails dropped by the commit in progress: `head` still leads to them.
    leaving: HashMap<u64, Vec<u8>>,
}

impl LocalStore {
    /// Creates a ledger in `folder` with its first commit, and opens it.
    ///
    /// The folder is absent, empty, or left by a creation that was interrupted; the folder above
    /// it exists. A crash at any point leaves a folder that can be created again, or the whole
    /// ledger: a marker without a first head does not occur.
    ///
    /// # Errors
    ///
    /// [`CreateError`]. After an error the folder may be created again, unless it is occupied.
    pub fn create(folder: &Path, first: &Commit<'_>) -> Result<Self, CreateError> {
        Self::create_by(folder, &[], |store| Ok(store.commit(first)?))
    }

    /// As [`Self::create`], by any number of commits: the folder is a ledger when `fill` has ended
    /// well, which may have put files of these names `beside` the log.
    ///
    /// # Errors
    ///
    /// [`CreateError`], or what `fill` ends with.
    pub fn create_by<E: From<CreateError>>(
        folder: &Path,
        beside: &[&str],
        fill: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<Self, E> {
        let store = Self::begin(folder, beside)?;
        fill(&store)?;
        Self::finish(folder)?;
        Ok(store)
    }

    /// A store without a head, in a folder that is not yet a ledger.
    fn begin(folder: &Path, beside: &[&str]) -> Result<Self, CreateError> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io("creating the ledger folder")(error).into());
            }
            _ => {}
        }
        if let Some(parent) = folder.parent() {
            sync_folder(if parent == Path::new("") { Path::new(".") } else { parent })?;
        }
        let names = names_in(folder)?;
        let ours = |name: &OsString| {
            [UNFINISHED, LOG, MARK].iter().chain(beside).any(|ours| *name == **ours)
        };
        let begun = names.contains(OsStr::new(UNFINISHED));
        if !(names.is_empty() || begun && names.iter().all(ours)) {
            return Err(CreateError::Occupied);
        }

        // From here on a crash leaves the unfinished marker, alone or with a log that never was
        // part of a ledger.
        let mut marker = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(UNFINISHED))
            .map_err(io("writing the marker"))?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CreateError::Locked),
            Err(TryLockError::Error(error)) => return Err(io("locking the marker")(error).into()),
        }
        if folder.join(MARKER).exists() {
            // Another process has finished since the folder was listed.
            let _ = fs::remove_file(folder.join(UNFINISHED));
            return Err(CreateError::Occupied);
        }
        marker.set_len(0).map_err(io("writing the marker"))?;
        marker.write_all(schema::marker_text().as_bytes()).map_err(io("writing the marker"))?;
        marker.sync_all().map_err(io("syncing the marker"))?;
        sync_folder(folder)?;

        let log = folder.join(LOG);
        if log.exists() {
            fs::remove_dir_all(&log).map_err(io("removing an unfinished log"))?;
        }
        let mark = open_mark(folder)?;
        mark.set_len(0).map_err(io("writing the mark"))?;
        let database =
            contained(|| Database::open(&log)).map_err(damaged)?.map_err(|error| match error {
                OpenError::Store(error) => CreateError::Store(error),
                _ => CreateError::Locked,
            })?;
        Ok(Self::around(database, mark, marker))
    }

    /// The folder now holds the log. The rename makes it a ledger, at once or not at all.
    fn finish(folder: &Path) -> Result<(), CreateError> {
        sync_folder(folder)?;
        fs::rename(folder.join(UNFINISHED), folder.join(MARKER))
            .map_err(io("renaming the marker"))?;
        Ok(sync_folder(folder)?)
    }

    /// Opens the ledger in `folder`.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A folder that is refused as no ledger, newer or locked is not touched.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_locked(folder, &FolderLock::take(folder)?)
    }

    /// As [`Self::open`], under a lock that was taken before.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open_locked(folder: &Path, lock: &FolderLock) -> Result<Self, OpenError> {
        let store = Self::salvage(folder, lock)?;
        let value = store.call(Database::head)?;
        let head = value.as_deref().and_then(Head::decode);
        let head = head.ok_or_else(|| damaged("the log has no head"))?;
        let commit_number = head.commit_number;
        if let Some(marked) = store.marked()?.filter(|&marked| marked > commit_number) {
            let lost = format!("the log ends at commit {commit_number}, but had {marked}");
            return Err(damaged(lost).into());
        }
        store.call(|database| database.undo_unfinished(&head))?;
        *store.shown_mut() =
            Shown { head: Some(head.bytes.to_vec()), commit_number, leaving: HashMap::new() };
        Ok(store)
    }

    /// Opens what is left of a log, to read from: its head may be missing, or an older one, and
    /// the store does not show it.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the database does not open.
    pub fn salvage(folder: &Path, lock: &FolderLock) -> Result<Self, OpenError> {
        finish_replacing(folder)?;
        // sled would make a new, empty database of what is missing.
        let log = folder.join(LOG);
        for path in Database::folders(&log).iter().flat_map(|db| ["conf", "db"].map(|f| db.join(f)))
        {
            if !path.is_file() {
                return Err(damaged(format!("{} is missing", path.display())).into());
            }
        }
        let mark = open_mark(folder)?;
        let database = patiently(|| contained(|| Database::open(&log)).map_err(damaged)?)?;
        Ok(Self::around(database, mark, lock.share()?))
    }

    /// The number of the newest commit and its head, as the database has them; none if it has no
    /// head.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn newest(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let value = self.call(Database::head)?;
        let newest = value.as_deref().and_then(Head::decode);
        Ok(newest.map(|head| (head.commit_number, head.bytes.to_vec())))
    }

    /// The number of the newest commit as the mark has it; none if there is no whole mark.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn marked(&self) -> Result<Option<u64>, StoreError> {
        read_mark(&self.mark)
    }

    fn around(database: Database, mark: File, marker: File) -> Self {
        Self {
            database: Some(database),
            shown: RwLock::default(),
            committing: Mutex::new(()),
            stopped: AtomicBool::new(false),
            mark,
            _marker: marker,
        }
    }

    /// Calls the database, unless an earlier failure has stopped this store.
    fn call<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(StoreError::Stopped);
        }
        let database = self.database.as_ref().expect("the database is there until the drop");
        contained(|| work(database)).map_err(|panic| {
            self.stopped.store(true, Ordering::Release);
            damaged(panic)
        })?
    }

    fn shown(&self) -> RwLockReadGuard<'_, Shown> {
        // Nothing that holds this lock can leave it half-changed.
        self.shown.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown_mut(&self) -> RwLockWriteGuard<'_, Shown> {
        self.shown.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn committing(&self) -> MutexGuard<'_, ()> {
        self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for LocalStore {
    fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self.call(|database| database.read(name))?;
        Ok(match (stored, name) {
            (None, ObjectName::Tail { first }) => self.shown().leaving.get(first).cloned(),
            (stored, _) => stored,
        })
    }

    fn head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(StoreError::Stopped);
        }
        Ok(self.shown().head.clone())
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), CommitError> {
        commit.check_limits()?;
        let _alone = self.committing();
        if self.head()?.as_deref() != commit.expected_head {
            return Err(CommitError::Conflict);
        }
        let missing = self.call(|database| Ok(database.missing(commit)))??;
        let leaving = self.call(|database| database.tails(&commit.drop_tails))?;
        let commit_number = {
            let mut shown = self.shown_mut();
            shown.leaving = leaving;
            shown.commit_number + 1
        };

        // Any failure from here on may have left this commit, or a part of it, on the medium. The
        // next `open` finds out which.
        self.call(|database| database.write(commit, commit_number, &missing)).map_err(|cause| {
            self.stopped.store(true, Ordering::Release);
            CommitError::Unknown { cause }
        })?;
        // The commit is durable whether or not its mark can be written.
        let _ = write_mark(&self.mark, commit_number);
        let head = Some(commit.head.to_vec());
        *self.shown_mut() = Shown { head, commit_number, leaving: HashMap::new() };
        Ok(())
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        let database = self.database.take();
        // sled writes and syncs when it is dropped, and may panic in it.
        let _ = contained(|| drop(database));
    }
}

/// Opens the mark file, which is only a second opinion: a lost one is made anew.
fn open_mark(folder: &Path) -> Result<File, StoreError> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(MARK))
        .map_err(io("opening the mark"))
}

/// The commit number in the mark file; `None` if the file holds no whole mark.
fn read_mark(mark: &File) -> Result<Option<u64>, StoreError> {
    let mut bytes = Vec::new();
    mark.take(64).read_to_end(&mut bytes).map_err(io("reading the mark"))?;
    Ok(schema::decode_mark(&bytes))
}

fn write_mark(mut mark: &File, commit_number: u64) -> io::Result<()> {
    mark.seek(SeekFrom::Start(0))?;
    mark.write_all(&schema::encode_mark(commit_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(folder: &Path) -> LocalStore {
        let first = Commit { put: vec![], drop_tails: vec![], expected_head: None, head: b"1" };
        LocalStore::create(folder, &first).unwrap()
    }

    #[test]
    fn a_panic_of_the_database_is_damage_and_stops_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = create(folder.path());
        let result: Result<(), StoreError> = store.call(|_| panic!("an assertion of sled"));
        let error = result.unwrap_err();
        assert_eq!(error.code(), "store/damaged");
        assert!(error.to_string().ends_with("an assertion of sled"), "{error}");

        let next =
            Commit { put: vec![], drop_tails: vec![], expected_head: Some(b"1"), head: b"2" };
        assert_eq!(store.commit(&next).unwrap_err().code(), "store/stopped");
        assert_eq!(store.head().unwrap_err().code(), "store/stopped");
        assert_eq!(store.read(&ObjectName::Bundle(0)).unwrap_err().code(), "store/stopped");
        drop(store);
        LocalStore::open(folder.path()).unwrap().commit(&next).unwrap();
    }

    #[test]
    fn a_tail_is_read_while_a_commit_drops_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = create(folder.path());
        let name = ObjectName::Tail { first: 5 };
        assert_eq!(store.read(&name).unwrap(), None);
        store.shown_mut().leaving.insert(5, vec![7]);
        assert_eq!(store.read(&name).unwrap(), Some(vec![7]));
        assert_eq!(store.read(&ObjectName::Bundle(5)).unwrap(), None);
    }
}
