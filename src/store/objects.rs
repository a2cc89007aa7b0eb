//! The database of a log's objects: bundles and tiles, each written once and never dropped.
//!
//! ```text
//! tree "places"   place -> a chunk of an object, or nothing yet
//! tree "names"    name of an object -> its first place, its length
//! tree "last"     what the newest commit with objects has put
//! ```
//!
//! sled writes a whole leaf of a tree again when it splits, and after every ten changes. A chunk
//! under a new key would be written four times so, and the file be half dead copies. So chunks go
//! to numbered places, whose keys are made ahead and empty: leaves split while there is nothing in
//! them, and a chunk is written once, into a leaf that stays as it is.
//!
//! A commit first writes under "last" what it is about to put, then the chunks, then the names.
//! sled recovers a prefix of what was written to it, so an `open` that finds there a commit which
//! never came to its head takes away all that it has put.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sled::Tree;

use super::durable::{DurableDb, damaged, store_error};
use super::local::OpenError;
use super::schema::{self, Extent, LAST_KEY, LastPut};
use super::{ObjectName, StoreError};

/// So many places are made before one is filled: more than a leaf holds, so that the leaf of a place
/// that is filled has split for the last time.
const MADE_AHEAD: u64 = 32;

/// How often the first chunk of an object is looked up when the object is read.
///
/// sled learns of the lookups of its pages in blocks of 64, one block for each 256th page, and
/// until then its cache has no limit: so the pages of 16,384 lookups may be in memory, which are
/// 200 MB if chunk after chunk is read, and eight times as much if one of each page is. Repeated,
/// they are soon learned of. A lookup of what is in the cache takes a quarter of a microsecond.
const LOOKUPS: usize = 32;

/// The objects.
#[derive(Debug)]
pub(super) struct Objects {
    db: DurableDb,
    places: Tree,
    names: Tree,
    last: Tree,
    end: Mutex<End>,
}

/// Where the places end.
#[derive(Debug, Default)]
struct End {
    /// The first place that nothing is in.
    free: u64,
    /// The first place that is not made.
    made: u64,
    /// The number of the newest commit with objects; 0 for none.
    commit_number: u64,
}

impl Objects {
    /// Opens or creates the database in a folder.
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        let db = DurableDb::open(folder)?;
        let (places, names, last) = (db.tree("places")?, db.tree("names")?, db.tree("last")?);
        let objects = Self { db, places, names, last, end: Mutex::default() };
        let LastPut { commit_number, places, .. } = objects.last_put()?;
        let made = objects.places.last().map_err(store_error("reading the log"))?;
        let made = made.map(|(key, _)| schema::decode_place(&key));
        let made = match made {
            None => 0,
            Some(place) => 1 + place.ok_or_else(|| damaged("a place has no number"))?,
        };
        *objects.end() = End { free: places.end, made, commit_number };
        Ok(objects)
    }

    /// Reads an object.
    pub(super) fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError> {
        let failed = store_error("reading the log");
        let Some(extent) = self.names.get(schema::name_key(name)).map_err(&failed)? else {
            return Ok(None);
        };
        let extent = Extent::decode(&extent).ok_or_else(|| damaged("an object has no extent"))?;
        let mut bytes = Vec::with_capacity(extent.len);
        for place in extent.places() {
            let chunk = self.places.get(place.to_be_bytes()).map_err(&failed)?;
            let len = schema::CHUNK_LEN.min(extent.len - bytes.len());
            let chunk = chunk.filter(|chunk| chunk.len() == len);
            bytes.extend_from_slice(&chunk.ok_or_else(|| damaged("an object has lost a chunk"))?);
        }
        for _ in 1..LOOKUPS {
            self.places.contains_key(extent.first.to_be_bytes()).map_err(&failed)?;
        }
        Ok(Some(bytes))
    }

    /// Writes the objects of a commit durably.
    pub(super) fn write(
        &self,
        commit_number: u64,
        objects: &[(ObjectName, &[u8])],
    ) -> Result<(), StoreError> {
        let failed = store_error("writing a commit");
        let mut end = self.end();
        let mut place = end.free;
        let mut extents = Vec::with_capacity(objects.len());
        for (name, bytes) in objects {
            let extent = Extent { first: place, len: bytes.len() };
            place = extent.places().end;
            extents.push((schema::name_key(name), extent));
        }
        let last = LastPut {
            commit_number,
            places: end.free..place,
            names: extents.iter().map(|(key, _)| *key).collect(),
        };
        // A crash from here on leaves this list, and `undo` takes away what it names.
        self.last.insert(LAST_KEY, last.encode()).map_err(&failed)?;
        while end.made < place + MADE_AHEAD {
            self.places.insert(end.made.to_be_bytes(), &[]).map_err(&failed)?;
            end.made += 1;
        }
        // Single inserts, since sled keeps the whole of a batch in memory and stops readers
        // meanwhile; the name comes last, so that a reader finds a whole object or none.
        for ((_, bytes), (key, extent)) in objects.iter().zip(&extents) {
            for (place, chunk) in extent.places().zip(bytes.chunks(schema::CHUNK_LEN)) {
                self.places.insert(place.to_be_bytes(), chunk).map_err(&failed)?;
            }
            self.names.insert(key, &extent.encode()).map_err(&failed)?;
        }
        self.db.make_durable()?;
        (end.free, end.commit_number) = (place, commit_number);
        Ok(())
    }

    /// The number of the newest commit with objects; 0 for none.
    pub(super) fn commit_number(&self) -> u64 {
        self.end().commit_number
    }

    /// Takes away what a commit has put that never came to its head: it is not `known`, the newest
    /// that did.
    pub(super) fn undo(&self, known: u64) -> Result<(), StoreError> {
        let failed = store_error("undoing an unfinished commit");
        let LastPut { places, names, .. } = self.last_put()?;
        for name in names {
            self.names.remove(name).map_err(&failed)?;
        }
        for place in places.clone() {
            if self.places.contains_key(place.to_be_bytes()).map_err(&failed)? {
                self.places.insert(place.to_be_bytes(), &[]).map_err(&failed)?;
            }
        }
        // The list goes last: a crash before this line repeats the undoing.
        let nothing =
            LastPut { commit_number: known, places: places.start..places.start, names: Vec::new() };
        self.last.insert(LAST_KEY, nothing.encode()).map_err(&failed)?;
        self.db.make_durable()?;
        let mut end = self.end();
        (end.free, end.commit_number) = (places.start, known);
        Ok(())
    }

    fn last_put(&self) -> Result<LastPut, StoreError> {
        match self.last.get(LAST_KEY).map_err(store_error("reading the log"))? {
            None => Ok(LastPut::default()),
            Some(bytes) => {
                LastPut::decode(&bytes).ok_or_else(|| damaged("the list of a commit is malformed"))
            }
        }
    }

    fn end(&self) -> MutexGuard<'_, End> {
        // It is changed only when all else has been done.
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
