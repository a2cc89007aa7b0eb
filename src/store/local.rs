//! The store of a ledger folder, on sled.
//!
//! ```text
//! giftproof-ledger   the marker, "giftproof-ledger/v1\n", locked while the store is open
//! log/               one sled database
//!   tree "objects"   bundles and tiles, written once
//!   tree "recent"    tails, the head, and the list of objects that a commit is about to put
//! ```
//!
//! A commit writes that list, then the objects, then tails, drops and head as one atomic batch
//! that also removes the list. sled recovers a prefix of what was written to it, so an `open` that
//! finds a list takes the objects in it away: they belong to a commit that never came to its head.
//!
//! sled's own `flush` does not reach the medium. A commit is durable only after `fdatasync` on a
//! second descriptor of sled's data file, which covers the whole file.
//!
//! Not covered here: a database that opens without its newest commits, and objects with changed
//! bytes that still look whole. Both are for the layer above, which compares the head with what
//! has been published and checks objects against the tree.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sled::{Batch, Db, Tree};

use super::panics::contained;
use super::schema::{self, Key, SEGMENT_LEN};
use super::{Commit, CommitError, HEAD_LEN_MAX, ObjectName, Store, StoreError};

/// The file that says that a folder is a ledger, and of which version.
const MARKER: &str = "giftproof-ledger";
/// The marker of a folder whose creation has not ended.
const UNFINISHED: &str = "giftproof-ledger.unfinished";
/// The folder of the database.
const LOG: &str = "log";
/// The most memory for pages that sled keeps, in bytes.
const CACHE_LEN: u64 = 64 * 1024 * 1024;

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
    /// Holds the lock; after `database`, so that it is the last to be dropped.
    _marker: File,
}

/// What readers see beside the database: only what is durable.
#[derive(Debug, Default)]
struct Shown {
    head: Option<Vec<u8>>,
    /// Tails dropped by the commit in progress: `head` still leads to them.
    leaving: HashMap<u64, Vec<u8>>,
}

impl LocalStore {
    /// Creates a ledger in `folder` with its first commit, and opens it.
    ///
    /// The folder is absent, empty, or left by a creation that was interrupted; the folder above
    /// it exists. A crash at any point leaves a folder that can be created again, or the
    /// whole ledger: a marker without a first head does not occur.
    ///
    /// # Errors
    ///
    /// [`CreateError`]. After an error the folder may be created again, unless it is occupied.
    pub fn create(folder: &Path, first: &Commit<'_>) -> Result<Self, CreateError> {
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
        let ours = |name: &OsString| *name == UNFINISHED || *name == LOG;
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
        let database = Database::open(&log).map_err(|error| match error {
            OpenError::Store(error) => CreateError::Store(error),
            _ => CreateError::Locked,
        })?;
        let store = Self::around(database, None, marker);
        store.commit(first)?;
        // The folder now holds the log. The rename makes it a ledger, at once or not at all.
        sync_folder(folder)?;
        fs::rename(folder.join(UNFINISHED), folder.join(MARKER))
            .map_err(io("renaming the marker"))?;
        sync_folder(folder)?;
        Ok(store)
    }

    /// Opens the ledger in `folder`.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A folder that is refused as no ledger, newer or locked is not touched.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        if !folder.try_exists().map_err(io("looking for the ledger folder"))? {
            return Err(OpenError::NoFolder);
        }
        let marker = match File::open(folder.join(MARKER)) {
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
            None => return Err(OpenError::NotALedger),
            Some(schema::VERSION) => {}
            Some(found) => return Err(OpenError::NewerVersion { found }),
        }
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked),
            Err(TryLockError::Error(error)) => return Err(io("locking the marker")(error).into()),
        }
        // sled would make a new, empty database of what is missing.
        for file in ["conf", "db"] {
            if !folder.join(LOG).join(file).is_file() {
                return Err(damaged(format!("{LOG}/{file} is missing")).into());
            }
        }
        let database = Database::open(&folder.join(LOG))?;
        let head = contained(|| {
            database.undo_pending()?;
            read_value(&database.recent, &Key::HEAD)
        })
        .map_err(damaged)??
        .ok_or_else(|| damaged("the log has no head".to_owned()))?;
        Ok(Self::around(database, Some(head), marker))
    }

    fn around(database: Database, head: Option<Vec<u8>>, marker: File) -> Self {
        Self {
            database: Some(database),
            shown: RwLock::new(Shown { head, leaving: HashMap::new() }),
            committing: Mutex::new(()),
            stopped: AtomicBool::new(false),
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
        let stored = self.call(|database| read_value(database.tree(name), &Key::of(name)))?;
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
        self.shown_mut().leaving = leaving;

        // Any failure from here on may have left this commit, or a part of it, on the medium. The
        // next `open` finds out which.
        self.call(|database| {
            database.write(commit, &missing)?;
            database.make_durable()
        })
        .map_err(|cause| {
            self.stopped.store(true, Ordering::Release);
            CommitError::Unknown { cause }
        })?;
        *self.shown_mut() = Shown { head: Some(commit.head.to_vec()), leaving: HashMap::new() };
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

/// The database and the descriptors that make it durable.
#[derive(Debug)]
struct Database {
    db: Db,
    objects: Tree,
    recent: Tree,
    /// A second descriptor of sled's data file: `fdatasync` works by file, not by descriptor.
    data: File,
    blobs: PathBuf,
    synced_blobs: Mutex<BTreeSet<OsString>>,
}

impl Database {
    /// Opens or creates the database in the folder `log`.
    fn open(log: &Path) -> Result<Self, OpenError> {
        let config = sled::Config::new()
            .path(log)
            .segment_size(SEGMENT_LEN)
            .cache_capacity(CACHE_LEN)
            .flush_every_ms(None);
        let opened = contained(|| {
            let db = config.open()?;
            let objects = db.open_tree("objects")?;
            let recent = db.open_tree("recent")?;
            Ok((db, objects, recent))
        });
        let (db, objects, recent) = opened.map_err(damaged)?.map_err(|error| match error {
            // sled tells this case apart by its text only.
            sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => {
                OpenError::Locked
            }
            error => OpenError::Store(store_error("opening the log")(error)),
        })?;
        let data = File::options()
            .read(true)
            .write(true)
            .open(log.join("db"))
            .map_err(io("opening the log's data file"))?;
        let database = Self {
            db,
            objects,
            recent,
            data,
            blobs: log.join("blobs"),
            synced_blobs: Mutex::new(BTreeSet::new()),
        };
        contained(|| database.make_durable()).map_err(damaged)??;
        let conf = File::open(log.join("conf")).map_err(io("opening the log's settings"))?;
        conf.sync_all().map_err(io("syncing the log's settings"))?;
        sync_folder(&database.blobs)?;
        sync_folder(log)?;
        Ok(database)
    }

    /// The tree that an object is in.
    fn tree(&self, name: &ObjectName) -> &Tree {
        match name {
            ObjectName::Bundle(_) | ObjectName::Tile { .. } => &self.objects,
            ObjectName::Tail { .. } => &self.recent,
        }
    }

    /// The positions in `commit.put` of what is not stored yet.
    fn missing(&self, commit: &Commit<'_>) -> Result<Vec<usize>, CommitError> {
        let mut missing = Vec::new();
        let mut first_of: HashMap<ObjectName, usize> = HashMap::new();
        for (position, (name, bytes)) in commit.put.iter().enumerate() {
            let same = if let Some(&earlier) = first_of.get(name) {
                commit.put[earlier].1 == *bytes
            } else {
                first_of.insert(*name, position);
                let stored = read_value(self.tree(name), &Key::of(name))?;
                if stored.is_none() {
                    missing.push(position);
                }
                stored.is_none_or(|stored| stored == *bytes)
            };
            if !same {
                return Err(CommitError::ObjectDiffers { name: *name });
            }
        }
        Ok(missing)
    }

    /// Those of the tails that are stored.
    fn tails(&self, firsts: &[u64]) -> Result<HashMap<u64, Vec<u8>>, StoreError> {
        let mut tails = HashMap::new();
        for &first in firsts {
            let key = Key::of(&ObjectName::Tail { first });
            if let Some(bytes) = read_value(&self.recent, &key)? {
                tails.insert(first, bytes);
            }
        }
        Ok(tails)
    }

    /// Writes the objects at the positions `missing` and all else of the commit.
    fn write(&self, commit: &Commit<'_>, missing: &[usize]) -> Result<(), StoreError> {
        let failed = store_error("writing a commit");
        let mut batch = Batch::default();
        let mut objects = Vec::new();
        for (name, bytes) in missing.iter().map(|&position| &commit.put[position]) {
            match name {
                ObjectName::Bundle(_) | ObjectName::Tile { .. } => {
                    objects.push((Key::of(name), bytes));
                }
                ObjectName::Tail { .. } => put_value(&mut batch, &Key::of(name), bytes),
            }
        }

        if !objects.is_empty() {
            let keys: Vec<Key> = objects.iter().map(|(key, _)| *key).collect();
            let mut pending = Batch::default();
            put_value(&mut pending, &Key::PENDING, &schema::encode_pending(&keys));
            self.recent.apply_batch(pending).map_err(&failed)?;
        }
        // A crash between here and the batch leaves the list, and `open` undoes what it names.
        // Single inserts, since sled keeps the whole of a batch in memory and stops readers
        // meanwhile; chunk 0 comes last, so that a reader finds a whole object or none.
        for (key, bytes) in &objects {
            for (number, chunk) in schema::chunks(bytes).into_iter().rev() {
                self.objects.insert(key.chunk(number), chunk).map_err(&failed)?;
            }
        }

        for &first in &commit.drop_tails {
            let key = Key::of(&ObjectName::Tail { first });
            for chunk_key in self.recent.scan_prefix(key.prefix()).keys() {
                batch.remove(chunk_key.map_err(&failed)?);
            }
        }
        for number in schema::chunk_count(commit.head.len())..schema::chunk_count(HEAD_LEN_MAX) {
            batch.remove(&Key::HEAD.chunk(number));
        }
        put_value(&mut batch, &Key::HEAD, commit.head);
        if !objects.is_empty() {
            batch.remove(&Key::PENDING.chunk(0));
        }
        self.recent.apply_batch(batch).map_err(&failed)
    }

    /// Takes away the objects of a commit that never came to its head.
    fn undo_pending(&self) -> Result<(), StoreError> {
        let failed = store_error("undoing an unfinished commit");
        let Some(list) = read_value(&self.recent, &Key::PENDING)? else {
            return Ok(());
        };
        let keys = schema::decode_pending(&list)
            .ok_or_else(|| damaged("the list of pending objects has a wrong length".to_owned()))?;
        for key in keys {
            for chunk_key in self.objects.scan_prefix(key.prefix()).keys() {
                self.objects.remove(chunk_key.map_err(&failed)?).map_err(&failed)?;
            }
        }
        // The list goes last: a crash before this line repeats the undoing.
        self.recent.remove(Key::PENDING.chunk(0)).map_err(&failed)?;
        self.make_durable()
    }

    /// Brings all that was written to the medium.
    fn make_durable(&self) -> Result<(), StoreError> {
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

/// Reads a value from its chunks.
fn read_value(tree: &Tree, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
    let get = |number| tree.get(key.chunk(number)).map_err(store_error("reading the log"));
    let Some(first) = get(0)? else {
        return Ok(None);
    };
    let (total, bytes) = schema::open_chunk(&first)
        .ok_or_else(|| damaged("the first chunk of a value has a wrong length".to_owned()))?;
    let mut value = Vec::with_capacity(total);
    value.extend_from_slice(bytes);
    for number in 1..schema::chunk_count(total) {
        match get(number)? {
            Some(chunk) if chunk.len() <= total - value.len() => value.extend_from_slice(&chunk),
            // A commit that drops this tail has come between.
            None if get(0)?.is_none() => return Ok(None),
            _ => return Err(damaged("a value has lost a chunk".to_owned())),
        }
    }
    if value.len() != total {
        return Err(damaged("a value is too short".to_owned()));
    }
    Ok(Some(value))
}

/// Adds a value to a batch, in chunks.
fn put_value(batch: &mut Batch, key: &Key, value: &[u8]) {
    for (number, chunk) in schema::chunks(value) {
        batch.insert(&key.chunk(number), chunk);
    }
}

/// The names in a folder.
fn names_in(folder: &Path) -> Result<BTreeSet<OsString>, StoreError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .map_err(io("listing a folder of the ledger"))
}

/// Makes the names in a folder durable. Only Unix can, and only Unix needs it.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io("syncing a folder of the ledger"))?;
    }
    Ok(())
}

fn damaged(found: String) -> StoreError {
    StoreError::Damaged { found }
}

fn io(doing: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::from_io(doing, error)
}

/// What an error of sled means for the ledger.
fn store_error(doing: &'static str) -> impl Fn(sled::Error) -> StoreError {
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
