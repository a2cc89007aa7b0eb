//! The two sled databases of a ledger folder.
//!
//! ```text
//! log/objects   bundles and tiles, written once, see `objects`
//! log/recent    the head, and the tails that it needs until a bundle holds their entries
//! ```
//!
//! What is recent is written over and over. In one database with the objects, each dead copy of it
//! would take them along when sled clears up, and most of what is written would be objects that are
//! moved. Alone it stays as small as it is.
//!
//! A commit makes its objects durable first, if it has any. Then tails, drops and head are one
//! atomic batch. A crash in between leaves objects without a head, which `open` takes away.
//!
//! sled panics on some damage: every call into this module runs under
//! [`contained`](super::panics::contained).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use sled::{Batch, Tree};

use super::durable::{DurableDb, damaged, io, store_error, sync_folder};
use super::local::OpenError;
use super::objects::Objects;
use super::schema::{self, Head, Key};
use super::{Commit, CommitError, ObjectName, StoreError};

/// Both databases.
#[derive(Debug)]
pub(super) struct Database {
    objects: Objects,
    db: DurableDb,
    recent: Tree,
}

impl Database {
    /// The folders of the databases in the folder `log`.
    pub(super) fn folders(log: &Path) -> [PathBuf; 2] {
        ["objects", "recent"].map(|name| log.join(name))
    }

    /// Opens or creates the databases in the folder `log`.
    pub(super) fn open(log: &Path) -> Result<Self, OpenError> {
        let [objects, recent] = Self::folders(log);
        fs::create_dir_all(log).map_err(io("making the folder of the log"))?;
        let objects = Objects::open(&objects)?;
        let db = DurableDb::open(&recent)?;
        let recent = db.tree("recent")?;
        sync_folder(log)?;
        Ok(Self { objects, db, recent })
    }

    /// Reads an object.
    pub(super) fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError> {
        match name {
            ObjectName::Bundle(_) | ObjectName::Tile { .. } => self.objects.read(name),
            ObjectName::Tail { first } => read_value(&self.recent, &Key::tail(*first)),
        }
    }

    /// Reads the value that keeps the head.
    pub(super) fn head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        read_value(&self.recent, &Key::HEAD)
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

    /// Writes the objects at the positions `missing` and all else of the commit, durably.
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
                    objects.push((*name, bytes.as_slice()));
                }
                ObjectName::Tail { first } => put_value(&mut batch, &Key::tail(*first), bytes),
            }
        }
        if !objects.is_empty() {
            self.objects.write(commit_number, &objects)?;
        }
        // A crash here leaves objects that `undo_unfinished` takes away.
        for &first in &commit.drop_tails {
            let key = Key::tail(first);
            for chunk_key in self.recent.scan_prefix(key.prefix()).keys() {
                batch.remove(chunk_key.map_err(&failed)?);
            }
        }
        let objects_at = self.objects.commit_number();
        let head = Head { commit_number, objects_at, bytes: commit.head }.encode();
        for number in schema::chunk_count(head.len())..schema::HEAD_CHUNKS_MAX {
            batch.remove(&Key::HEAD.chunk(number));
        }
        put_value(&mut batch, &Key::HEAD, &head);
        self.recent.apply_batch(batch).map_err(&failed)?;
        self.db.make_durable()
    }

    /// Takes away the objects of a commit that never came to this head.
    pub(super) fn undo_unfinished(&self, head: &Head<'_>) -> Result<(), StoreError> {
        let found = self.objects.commit_number();
        if found < head.objects_at {
            let expected = head.objects_at;
            return Err(damaged(format!("objects end at commit {found}, but had {expected}")));
        }
        if found > head.commit_number { self.objects.undo(head.objects_at) } else { Ok(()) }
    }
}

/// Reads a value from its chunks.
fn read_value(tree: &Tree, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
    let get = |number| tree.get(key.chunk(number)).map_err(store_error("reading the log"));
    let Some(first) = get(0)? else {
        return Ok(None);
    };
    let (total, bytes) = schema::open_chunk(&first)
        .ok_or_else(|| damaged("the first chunk of a value has a wrong length"))?;
    let mut value = Vec::with_capacity(total);
    value.extend_from_slice(bytes);
    for number in 1..schema::chunk_count(total) {
        match get(number)? {
            Some(chunk) if chunk.len() <= total - value.len() => value.extend_from_slice(&chunk),
            // A commit that drops this tail has come between.
            None if get(0)?.is_none() => return Ok(None),
            _ => return Err(damaged("a value has lost a chunk")),
        }
    }
    if value.len() != total {
        return Err(damaged("a value is too short"));
    }
    Ok(Some(value))
}

/// Adds a value to a batch, in chunks.
fn put_value(batch: &mut Batch, key: &Key, value: &[u8]) {
    for (number, chunk) in schema::chunks(value) {
        batch.insert(&key.chunk(number), chunk);
    }
}
