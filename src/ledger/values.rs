//! The gifts and shipments of the index that are not in use: values in one file, which are
//! appended and never changed.
//!
//! ```text
//! index/values-<n> = record*
//! record           = length u32 || CRC-32 of value u32 || value
//! ```
//!
//! A place is the offset of a record. No place is given twice, so whatever is durable still finds
//! what it names. When much of a file is of no use any more, the rest is copied to another one,
//! together with a new base of the index, which says which file is meant. Its number is random: no
//! base finds places in a file that was made after another one was lost.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bincode::{Decode, Encode};

use crate::model::derived::array;
use crate::model::state::{Shelf, ShelfError, ShelfHead, ShelfPlace};

/// The most that is gathered before it is written.
const TAIL_MAX: usize = 1 << 20;

/// So much is read at once, since most records are shorter.
const READ_LEN: usize = 1024;

/// How much of which file of values something durable knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Extent {
    /// The number of the file.
    pub number: u64,
    /// Its length in bytes.
    pub len: u64,
    /// How many of them are of no use any more, as far as that is known.
    pub garbage: u64,
}

/// A file of values; copies are of the same file.
#[derive(Clone, Debug)]
pub(super) struct Values(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    extent: Extent,
    /// The records at the end that are not in the file yet. A crash loses no more with them than
    /// without: nothing durable names what was not synced.
    tail: Vec<u8>,
}

impl Values {
    /// An empty file, of a number that there is none of.
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        let file = options.open(path(folder, number))?;
        Ok(Self::of(file, Extent { number, len: 0, garbage: 0 }))
    }

    /// A file of which a base knows this; `None` if that much is not there.
    pub(super) fn open(folder: &Path, known: Extent) -> io::Result<Option<Self>> {
        let file = File::options().read(true).write(true).open(path(folder, known.number))?;
        let len = file.metadata()?.len();
        Ok((len >= known.len).then(|| Self::of(file, Extent { len, ..known })))
    }

    fn of(file: File, extent: Extent) -> Self {
        Self(Arc::new(Mutex::new(Open { file: Arc::new(file), extent, tail: Vec::new() })))
    }

    /// What is there now.
    pub(super) fn extent(&self) -> Extent {
        self.file().extent
    }

    /// Takes over what is known to be of no use: all that is after `known`, too.
    pub(super) fn know(&self, known: Extent) {
        let extent = &mut self.file().extent;
        extent.garbage = known.garbage + (extent.len - known.len);
    }

    /// What was put is durable after this: how much that is. Others may go on meanwhile.
    pub(super) fn sync(&self) -> io::Result<Extent> {
        let (file, extent) = {
            let mut open = self.file();
            open.write_tail()?;
            (Arc::clone(&open.file), open.extent)
        };
        file.sync_data()?;
        Ok(extent)
    }

    /// Puts what lies at these places, in their order, into another file: gives the places there.
    /// `copied` is called for each.
    pub(super) fn copy(
        &self,
        folder: &Path,
        places: &[ShelfPlace],
        into: &Self,
        copied: &mut dyn FnMut(),
    ) -> io::Result<Vec<ShelfPlace>> {
        let number = {
            let mut open = self.file();
            open.write_tail()?;
            open.extent.number
        };
        let file = File::open(path(folder, number))?;
        let (mut from, mut into) = (BufReader::with_capacity(TAIL_MAX, file), into.clone());
        let mut at = 0;
        let places = places.iter().map(|place| {
            let skip = i64::try_from(place.number() - at).map_err(io::Error::other)?;
            from.seek_relative(skip)?;
            let head = ShelfHead::begin(&array::<{ ShelfHead::LEN }>(&mut from)?)?;
            let mut value = Vec::new();
            // What a record states is not believed: no more is allocated than there is.
            from.by_ref().take(head.value_len() as u64).read_to_end(&mut value)?;
            at = place.number() + (ShelfHead::LEN + value.len()) as u64;
            copied();
            Ok(into.put(&head.check(value)?)?)
        });
        places.collect()
    }

    /// Takes away every file but this one; those that cannot be are tried again the next time.
    pub(super) fn remove_others(&self, folder: &Path) {
        let own = path(folder, self.extent().number);
        for found in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_values = found.file_name().to_string_lossy().starts_with("values-");
            if is_values && found.path() != own {
                let _ = fs::remove_file(found.path());
            }
        }
    }

    fn file(&self) -> MutexGuard<'_, Open> {
        // A panic between two lines leaves at worst bytes after the end, which are no record.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf for Values {
    fn put(&mut self, bytes: &[u8]) -> Result<ShelfPlace, ShelfError> {
        let mut open = self.file();
        let head = ShelfHead::of(bytes)?;
        if open.tail.len() >= TAIL_MAX {
            open.write_tail()?;
        }
        let place = open.extent.len;
        open.tail.extend(head.to_bytes());
        open.tail.extend(bytes);
        open.extent.len += (ShelfHead::LEN + bytes.len()) as u64;
        Ok(ShelfPlace::new(place))
    }

    fn get(&self, place: ShelfPlace) -> Result<Vec<u8>, ShelfError> {
        let mut open = self.file();
        let mut bytes = open.read(place.number(), READ_LEN)?;
        let head = ShelfHead::begin(&bytes)?;
        bytes.drain(..ShelfHead::LEN);
        if let Some(more) = head.value_len().checked_sub(bytes.len()) {
            let at = place.number() + (ShelfHead::LEN + bytes.len()) as u64;
            bytes.extend(open.read(at, more)?);
        }
        bytes.truncate(head.value_len());
        head.check(bytes)
    }

    fn clear(&mut self, place: ShelfPlace) {
        let mut open = self.file();
        // Without its length it is not counted: then the file lives longer, and nothing else.
        let head = open.read(place.number(), ShelfHead::LEN);
        if let Ok(head) = head.and_then(|bytes| ShelfHead::begin(&bytes)) {
            open.extent.garbage += (ShelfHead::LEN + head.value_len()) as u64;
        }
    }
}

impl Open {
    /// Where the tail begins, and the file should end.
    fn tail_begin(&self) -> u64 {
        self.extent.len - self.tail.len() as u64
    }

    /// Puts the tail into the file; after an error it is still the tail.
    fn write_tail(&mut self) -> io::Result<()> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.tail_begin()))?;
        file.write_all(&self.tail)?;
        self.tail.clear();
        Ok(())
    }

    /// What is at an offset: `len` bytes, or as many as there are in the file, or in the tail. No
    /// record is in both.
    fn read(&mut self, at: u64, len: usize) -> Result<Vec<u8>, ShelfError> {
        if let Some(at) = at.checked_sub(self.tail_begin()) {
            let rest = usize::try_from(at).ok().and_then(|at| self.tail.get(at..));
            let rest = rest.ok_or(ShelfError::Damaged)?;
            return Ok(rest[..len.min(rest.len())].to_vec());
        }
        // What a record states is not believed: no more is allocated than there is, but for this.
        let mut bytes = Vec::with_capacity(len.min(READ_LEN));
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(at))?;
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("values-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut values = Values::create(folder.path(), 3).unwrap();
        let wanted: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 7 * usize::from(n)]).collect();
        let places: Vec<_> = wanted.iter().map(|value| values.put(value).unwrap()).collect();
        let extent = values.extent();
        let path = path(folder.path(), 3);
        let all = |values: &Values| {
            places
                .iter()
                .zip(&wanted)
                .all(|(place, value)| values.get(*place).as_ref() == Ok(value))
        };
        assert!(all(&values) && fs::read(&path).unwrap().is_empty());
        values.sync().unwrap();
        assert!(all(&values));
        let whole = fs::read(&path).unwrap();
        assert_eq!(extent, Extent { number: 3, len: whole.len() as u64, garbage: 0 });
        for (place, value) in places.iter().zip(&wanted) {
            assert_eq!(&values.get(*place).unwrap(), value);
        }
        // Any bit flipped, any place that is none.
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, &flipped).unwrap();
            let values = Values::open(folder.path(), extent).unwrap().unwrap();
            let wrong = places.iter().zip(&wanted).filter(|(place, value)| {
                values.get(**place).map_or_else(
                    |error| error == ShelfError::Damaged,
                    |found| {
                        assert_eq!(found, **value);
                        false
                    },
                )
            });
            assert_eq!(wrong.count(), 1, "{at}");
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(Values::open(folder.path(), extent).unwrap().is_none());
        let beyond = ShelfPlace::new(extent.len + 9);
        assert_eq!(values.get(beyond), Err(ShelfError::Damaged));
        values.clear(places[19]);
        values.clear(beyond);
        assert_eq!(values.extent().garbage, 8 + 7 * 19);
    }
}
