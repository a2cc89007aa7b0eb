//! The sled database of a ledger folder.
//!
//! ```text
//! tree "objects"   bundles and tiles, written once
//! tree "recent"    tails, the head, and the list of objects that a commit is about to put
//! ```
//!
//! A commit writes that list, then the objects, then tails, drops and head as one atomic batch
//! that also removes the list. sled recovers a prefix of what was written to it, so an `open` that
//! finds a list takes the objects in it away: they belong to a commit that never came to its head.
//!
//! sled's own `flush` does not reach the medium. A commit is durable only after `fdatasync` on a
//! second descriptor of sled's data file, which covers the whole file.
//!
//! sled panics on some damage: every call into this module runs under
//! [`contained`](super::panics::contained).

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sled::{Batch, Db, Tree};

use super::local::OpenError;
use super::schema::{self, Key, SEGMENT_LEN};
use super::{Commit, CommitError, ObjectName, StoreError};

/// The most memory for pages that sled keeps, in bytes.
const CACHE_LEN: u64 = 64 * 1024 * 1024;

/// The database and the descriptors that make it durable.
#[derive(Debug)]
pub(super) struct Database {
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
    pub(super) fn open(log: &Path) -> Result<Self, OpenError> {
        let config = sled::Config::new()
            .path(log)
            .segment_size(SEGMENT_LEN)
            .cache_capacity(CACHE_LEN)
            .flush_every_ms(None);
        let open = || {
            let db = config.open()?;
            let objects = db.open_tree("objects")?;
            let recent = db.open_tree("recent")?;
            Ok((db, objects, recent))
        };
        let (db, objects, recent) = open().map_err(|error| match error {
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
        database.make_durable()?;
        let conf = File::open(log.join("conf")).map_err(io("opening the log's settings"))?;
        conf.sync_all().map_err(io("syncing the log's settings"))?;
        sync_folder(&database.blobs)?;
        sync_folder(log)?;
        Ok(database)
    }

    /// Reads an object.
    pub(super) fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError> {
        read_value(self.tree(name), &Key::of(name))
    }

    /// Reads the value that keeps the head.
    pub(super) fn head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        read_value(&self.recent, &Key::HEAD)
    }

    /// The tree that an object is in.
    fn tree(&self, name: &ObjectName) -> &Tree {
        match name {
            ObjectName::Bundle(_) | ObjectName::Tile { .. } => &self.objects,
            ObjectName::Tail { .. } => &self.recent,
        }
    }

    /// The positions in `commit.put` of what is not stored yet.
    pub(super) fn missing(&self, commit: &Commit<'_>) -> Result<Vec<usize>, CommitError> {
        let mut missing = Vec::new();
        let mut first_of: HashMap<ObjectName, usize> = HashMap::new();
        for (position, (name, bytes)) in commit.put.iter().enumerate() {
            let same = if let Some(&earlier) = first_of.get(name) {
                commit.put[earlier].1 == *bytes
            } else {
                first_of.insert(*name, position);
                let stored = self.read(name)?;
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
    pub(super) fn tails(&self, firsts: &[u64]) -> Result<HashMap<u64, Vec<u8>>, StoreError> {
        let mut tails = HashMap::new();
        for &first in firsts {
            if let Some(bytes) = self.read(&ObjectName::Tail { first })? {
                tails.insert(first, bytes);
            }
        }
        Ok(tails)
    }

    /// Writes the objects at the positions `missing` and all else of the commit.
    pub(super) fn write(
        &self,
        commit: &Commit<'_>,
        commit_number: u64,
        missing: &[usize],
    ) -> Result<(), StoreError> {
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
        let head = schema::encode_head(commit_number, commit.head);
        for number in schema::chunk_count(head.len())..schema::HEAD_CHUNKS_MAX {
            batch.remove(&Key::HEAD.chunk(number));
        }
        put_value(&mut batch, &Key::HEAD, &head);
        if !objects.is_empty() {
            batch.remove(&Key::PENDING.chunk(0));
        }
        self.recent.apply_batch(batch).map_err(&failed)
    }

    /// Takes away the objects of a commit that never came to its head.
    pub(super) fn undo_pending(&self) -> Result<(), StoreError> {
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
pub(super) fn damaged(found: String) -> StoreError {
    StoreError::Damaged { found }
}

/// An error of the file system met while doing this.
pub(super) fn io(doing: &'static str) -> impl Fn(io::Error) -> StoreError {
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
