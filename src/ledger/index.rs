//! The derived index: the state that follows from the entries, to spare replaying them. It may be
//! deleted at any time.
//!
//! ```text
//! index/state      = "giftproof-index/v5\n" || extent || state || places || hash     the base
//! index/changes    = part*                                                 what came after
//! part             = length of changes u64 || extent || changes || hash
//! index/values-<n>   gifts and shipments, see `values`; an extent says how much of which
//! ```
//!
//! All is in the encoding of [`crate::model::derived`]. The hash of the base is SHA-256 of all
//! before; that of a part is SHA-256(hash of what it follows || what is between length and hash):
//! parts of another base, or after one that is torn, are none. To save costs what has changed since
//! the last time: a part is appended, until the parts have as much as a [`Moment`] allows; then a new
//! base is written, and values are moved together if much of their file is of no use any more.
//!
//! While a ledger grows, another thread does of it what it can: [`Index::save_if_due`]. What is
//! written is of one moment, and what comes meanwhile is left to the next part.
//!
//! Whatever is absent, of another version, damaged, or not of this log is as good as none, and so
//! is all that follows it: the log knows everything. So parts are not synced. Values are, before
//! something names them, since they are not read when a ledger is opened; and a base is, before it
//! takes the old one's place: a power cut must not cost the replay of a large log.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Take, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};

use crate::model::derived::{self, array};
use crate::model::hash::LeafHash;
use crate::model::state::{
    Changes, Gift, Keep, Kept, Label, ShelfPlace, Shelved, Shipment, State, Unshelved,
};

use super::error::{LedgerError, io};
use super::values::{Extent, Values};
use super::{Log, Stage};

/// The index is written after so many entries: opening replays no more, if it is there. Seldom, so
/// that a gift is not written once more for each of its events.
const EVERY: u64 = 65_536;

const MAGIC: &[u8] = b"giftproof-index/v5\n";
const HASH_LEN: u64 = 32;

/// So many bytes of parts, or of values that are of no use, are put up with in any case; see
/// [`Moment`].
const PUT_UP_WITH: u64 = 1 << 16;

/// Whoever waits is told after so many gifts and shipments that are written.
const TOLD_EVERY: u64 = 4096;

type Hash = [u8; HASH_LEN as usize];

/// The index of a ledger folder.
#[derive(Debug)]
pub(super) struct Index {
    folder: PathBuf,
    values: Values,
    /// What the next part would follow; none if only a new base can be written.
    written: Option<Written>,
    /// The size of the state that is written; 0 if there is none.
    pub(super) size: u64,
    /// What another thread writes; `written` is none meanwhile.
    behind: Option<JoinHandle<io::Result<Saved>>>,
}

/// A part or a base that was written.
struct Saved {
    written: Written,
    /// Of a part; a base is written when everything is on the shelf.
    shelved: Option<Shelved>,
    /// The size of the state that is written now.
    size: u64,
}

/// When an index is written. A new base takes seconds if the log is large, so that most is put up with
/// while somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The ledger grows: the parts may have as many bytes as the base, and three in four of the
    /// values may be of no use.
    Busy,
    /// It was opened, or is closed: a third of the base, and an eighth of the values, which alone is
    /// a reason for a new base.
    Quiet,
}

impl Moment {
    /// How many bytes of parts are put up with, after a base of so many.
    fn parts_len_max(self, base_len: u64) -> u64 {
        PUT_UP_WITH.max(match self {
            Self::Busy => base_len,
            Self::Quiet => base_len / 3,
        })
    }

    /// How many of so many bytes of values may be of no use.
    fn garbage_max(self, len: u64) -> u64 {
        PUT_UP_WITH.max(match self {
            Self::Busy => len / 4 * 3,
            Self::Quiet => len / 8,
        })
    }
}

/// What is left to be done of saving while the state goes on.
type Rest = Box<dyn FnOnce() -> io::Result<Saved> + Send>;

/// A base and its parts.
#[derive(Clone, Copy, Debug)]
struct Written {
    base_len: u64,
    parts_len: u64,
    /// The hash of the last of them.
    hash: Hash,
}

impl Written {
    /// Whether it is time for a new base.
    fn is_full(&self, moment: Moment) -> bool {
        self.parts_len >= moment.parts_len_max(self.base_len)
    }
}

impl Index {
    /// An index of nothing, in place of what is there.
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        let folder = folder.join("index");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&folder)?,
        }
        let values = Values::create(&folder, rand::random())?;
        Ok(Self { folder, values, written: None, size: 0, behind: None })
    }

    /// The index, and the state that it holds, as far as it fits the log; none without a base.
    /// `progress` is told the entries in proportion to the bytes that were read.
    pub(super) fn load(
        folder: &Path,
        log: &Log,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Option<(Self, State)> {
        let folder = folder.join("index");
        let len = |name| fs::metadata(folder.join(name)).map_or(0, |about| about.len());
        // The base is read twice.
        let (mut read, all) = (0, 2 * len("state") + len("changes"));
        let mut tell = |more| {
            read += more;
            progress(Stage::Entries, share(log.size(), read, all), log.size());
        };
        let base = File::open(folder.join("state"));
        let base = base.and_then(|file| read_base(&file, &folder, &mut tell)).ok();
        let (mut state, mut written, values) = base.filter(|(state, ..)| is_of(log, state))?;
        let fits = |changes: &Changes| has(log, changes.size, changes.last_leaf);
        take_in_parts(&folder, &mut state, &mut written, &values, fits, &mut tell);
        state.track_changes();
        values.remove_others(&folder);
        let size = state.size;
        Some((Self { folder, values, written: Some(written), size, behind: None }, state))
    }

    /// Whether something in it is not what was written.
    pub(super) fn is_damaged(folder: &Path) -> bool {
        let folder = folder.join("index");
        let Ok(base) = File::open(folder.join("state")) else { return false };
        let base = read_base(&base, &folder, &mut |_| {});
        let Ok((mut state, mut written, values)) = base else { return true };
        take_in_parts(&folder, &mut state, &mut written, &values, |_| true, &mut |_| {});
        let parts = fs::metadata(folder.join("changes")).map_or(0, |about| about.len());
        parts != written.parts_len
            || state.gifts.records().any(|record| record.is_err())
            || state.shipments.records().any(|record| record.is_err())
    }

    /// Lets the gifts and shipments of a state that has none yet lie in the index.
    pub(super) fn shelve(&self, state: &mut State) {
        state.gifts = Kept::over(self.values.clone(), Gift::HOT_MAX).learning();
        state.shipments = Kept::over(self.values.clone(), Shipment::HOT_MAX).learning();
    }

    /// Writes what has changed in the state since it was loaded or saved; all of it, if that is not
    /// written yet, or it is time for a new base, of which `progress` is told.
    ///
    /// # Errors
    /// `ledger/io`; the old index, or a part of it, is then there, and the next time all is
    /// written.
    pub(super) fn save(
        &mut self,
        state: &mut State,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<(), LedgerError> {
        // What has gone wrong there is mended by a new base.
        let _ = self.finish(state);
        if self.written.is_some() && self.size == state.size {
            return Ok(());
        }
        let saved = self.begin_save(state, Moment::Quiet, progress).and_then(|rest| rest());
        self.take_saved(saved, state).map_err(io("writing the index"))
    }

    /// As [`Self::save`], but that another thread does what it can.
    ///
    /// # Errors
    /// As [`Self::save`]; if it is the other thread that fails, whoever calls next is told.
    pub(super) fn save_behind(&mut self, state: &mut State) -> Result<(), LedgerError> {
        self.finish(state).map_err(io("writing the index"))?;
        let rest = self.begin_save(state, Moment::Busy, &mut |_, _, _| {});
        let rest = rest.map_err(io("writing the index"))?;
        match thread::Builder::new().name("index".to_owned()).spawn(rest) {
            Ok(behind) => {
                self.behind = Some(behind);
                Ok(())
            }
            Err(error) => {
                state.forget_changes();
                Err(io("writing the index")(error))
            }
        }
    }

    /// Sees to it that what is not written does not become much more than [`EVERY`] entries. What
    /// cannot be written is left to the next time: without it, opening replays more.
    pub(super) fn save_if_due(&mut self, state: &mut State) {
        if self.behind.as_ref().is_some_and(|behind| !behind.is_finished()) {
            return;
        }
        let _ = self.finish(state);
        // A new base at once after the last part that there is room for: then least has changed
        // that the state must wait for.
        let is_full = self.written.is_some_and(|written| written.is_full(Moment::Busy));
        if is_full || state.size - self.size >= EVERY {
            let _ = self.save_behind(state);
        }
    }

    /// Waits for what is being written, if anything is.
    fn finish(&mut self, state: &mut State) -> io::Result<()> {
        let Some(behind) = self.behind.take() else { return Ok(()) };
        let saved = behind.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.take_saved(saved, state)
    }

    fn take_saved(&mut self, saved: io::Result<Saved>, state: &mut State) -> io::Result<()> {
        match saved {
            Ok(Saved { written, shelved, size }) => {
                if let Some(shelved) = shelved {
                    state.note_shelved(shelved);
                }
                (self.written, self.size) = (Some(written), size);
                Ok(())
            }
            Err(error) => {
                state.forget_changes();
                Err(error)
            }
        }
    }

    /// Whether it is time to move the values together.
    fn is_wasteful(&self, moment: Moment) -> bool {
        let Extent { len, garbage, .. } = self.values.extent();
        garbage > moment.garbage_max(len)
    }

    /// Does of a part or a base what the state must wait for.
    fn begin_save(
        &mut self,
        state: &mut State,
        moment: Moment,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> io::Result<Rest> {
        let wasteful = moment == Moment::Quiet && self.is_wasteful(moment);
        let is_open = |written: &Written| !wasteful && !written.is_full(moment);
        let Some(written) = self.written.take().filter(is_open) else {
            return self.begin_base(state, moment, progress);
        };
        let (folder, values) = (self.folder.clone(), self.values.clone());
        let changes = state.take_unshelved();
        Ok(Box::new(move || append(&folder, &values, written, changes)))
    }

    /// Writes a new base, without building it in memory; what is left is to make it durable, and to
    /// let it take the old one's place.
    fn begin_base(
        &mut self,
        state: &mut State,
        moment: Moment,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> io::Result<Rest> {
        // After this, everything has a place.
        state.take_changes()?;
        let (count, wasteful) =
            (state.gifts.len() + state.shipments.len(), self.is_wasteful(moment));
        let all = count as u64 * if wasteful { 2 } else { 1 };
        let mut done = 0;
        let mut one_more = || {
            done += 1;
            if done % TOLD_EVERY == 0 || done == all {
                progress(Stage::Index, done, all);
            }
        };
        if wasteful {
            self.move_values(state, &mut one_more)?;
        }
        let (folder, values, size) = (self.folder.clone(), self.values.clone(), state.size);
        let partial = folder.join("state.partial");
        let mut writer = BufWriter::with_capacity(1 << 20, Hashed::new(File::create(&partial)?));
        writer.write_all(MAGIC)?;
        derived::write(&values.extent(), &mut writer)?;
        derived::write(state, &mut writer)?;
        write_places(&state.gifts, &mut writer, &mut one_more)?;
        write_places(&state.shipments, &mut writer, &mut one_more)?;
        let Hashed { inner: mut file, hash } = writer.into_inner()?;
        let hash: Hash = hash.finalize().into();
        file.write_all(&hash)?;
        let written = Written { base_len: file.stream_position()?, parts_len: 0, hash };
        Ok(Box::new(move || {
            values.sync()?;
            file.sync_all()?;
            // A crash before this line leaves the old base with its parts and values, after it the
            // new one: the parts of the old do not follow it, and it names other values.
            fs::rename(&partial, folder.join("state"))?;
            values.remove_others(&folder);
            match fs::remove_file(folder.join("changes")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(Saved { written, shelved: None, size }),
            }
        }))
    }

    /// Copies what is of use to another file of values. After an error all is where it was.
    fn move_values(&mut self, state: &mut State, moved: &mut dyn FnMut()) -> io::Result<()> {
        let values = Values::create(&self.folder, rand::random())?;
        let mut copy = |taken: &[_]| self.values.copy(&self.folder, taken, &values, moved);
        let gifts = copy(&state.gifts.taken())?;
        let shipments = copy(&state.shipments.taken())?;
        state.gifts.relocate(values.clone(), gifts);
        state.shipments.relocate(values.clone(), shipments);
        self.values = values;
        Ok(())
    }
}

/// Appends a part.
fn append(
    folder: &Path,
    values: &Values,
    written: Written,
    changes: Unshelved,
) -> io::Result<Saved> {
    let (changes, shelved) = changes.shelve()?;
    let (extent, size) = (values.sync()?, changes.size);
    let changes = derived::encode(&(extent, changes));
    let hash = part_hash(&written.hash, &changes);
    let len = (changes.len() as u64).to_be_bytes();
    let path = folder.join("changes");
    let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
    // What is there beyond the parts that were read is torn, or follows another base. A crash
    // on any of these lines leaves the parts before, and at most one that is torn.
    file.set_len(written.parts_len)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(&[&len, &changes[..], &hash].concat())?;
    let part_len = len.len() as u64 + changes.len() as u64 + HASH_LEN;
    let written = Written { parts_len: written.parts_len + part_len, hash, ..written };
    Ok(Saved { written, shelved: Some(shelved), size })
}

fn write_places<V: Keep>(
    kept: &Kept<V>,
    into: &mut impl Write,
    written: &mut dyn FnMut(),
) -> io::Result<()> {
    into.write_all(&(kept.len() as u64).to_be_bytes())?;
    for (label, place) in kept.places() {
        let place = place.expect("all that has changed was put on the shelf");
        derived::write(&(label, place.number()), into)?;
        written();
    }
    Ok(())
}

fn read_places<V: Keep>(
    kept: &Kept<V>,
    from: &mut Take<impl Read>,
    values: &Values,
) -> io::Result<Kept<V>> {
    let count = u64::from_be_bytes(array(from)?);
    let mut places = Vec::new();
    for _ in 0..count {
        let len = from.limit();
        let (label, number): (Label, u64) = derived::read(from, len)?;
        places.push((label, ShelfPlace::new(number)));
    }
    Ok(kept.at_places(values.clone(), V::HOT_MAX, places).learning())
}

/// Whoever reads the index, or takes it away, finds nobody who writes it.
impl Drop for Index {
    fn drop(&mut self) {
        if let Some(behind) = self.behind.take() {
            // It is derived, whatever has become of it.
            let _ = behind.join();
        }
    }
}

/// Whether a state is of this log.
fn is_of(log: &Log, state: &State) -> bool {
    has(log, 1, state.genesis) && has(log, state.size, state.last_leaf)
}

/// Whether the log has so many entries, the last of them with this leaf hash.
fn has(log: &Log, size: u64, last: LeafHash) -> bool {
    size.checked_sub(1).is_some_and(|index| log.leaf(index).is_ok_and(|leaf| leaf == last))
}

/// `read` is told of the bytes as they are read, which they are twice.
fn read_base(
    mut file: &File,
    folder: &Path,
    read: &mut dyn FnMut(u64),
) -> io::Result<(State, Written, Values)> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let base_len = file.metadata()?.len();
    let hashed_len = base_len.checked_sub(HASH_LEN).ok_or_else(damaged)?;
    // Nothing is decoded before it is known to be what was written: decoding reserves memory for
    // the lengths that it reads, and more for those of a longer file.
    let mut hashed = Hashed::new(io::sink());
    let told = Told { inner: file, read: &mut *read };
    io::copy(&mut BufReader::with_capacity(1 << 20, told).take(hashed_len), &mut hashed)?;
    let hash: Hash = hashed.hash.finalize().into();
    file.seek(SeekFrom::Start(hashed_len))?;
    if array::<{ HASH_LEN as usize }>(&mut file)? != hash {
        return Err(damaged());
    }
    file.rewind()?;
    let told = Told { inner: file, read };
    let mut content = BufReader::with_capacity(1 << 20, told).take(hashed_len);
    if array::<{ MAGIC.len() }>(&mut content)? != MAGIC {
        return Err(damaged());
    }
    let len = content.limit();
    let extent = derived::read(&mut content, len)?;
    let values = Values::open(folder, extent)?.ok_or_else(damaged)?;
    let mut state: State = derived::read(&mut content, len)?;
    state.gifts = read_places(&state.gifts, &mut content, &values)?;
    state.shipments = read_places(&state.shipments, &mut content, &values)?;
    if content.limit() != 0 {
        return Err(damaged());
    }
    values.know(extent);
    Ok((state, Written { base_len, parts_len: 0, hash }, values))
}

/// Takes in the parts up to the first that is torn, damaged, of another base, or does not fit.
fn take_in_parts(
    folder: &Path,
    state: &mut State,
    written: &mut Written,
    values: &Values,
    fits: impl Fn(&Changes) -> bool,
    read: &mut dyn FnMut(u64),
) {
    let Ok(mut parts) = File::open(folder.join("changes")) else { return };
    while let Some(((extent, changes), hash, len)) = read_part(&mut parts, written)
        && extent.len <= values.extent().len
        && fits(&changes)
    {
        state.take_in(changes);
        values.know(extent);
        written.hash = hash;
        written.parts_len += len;
        read(len);
    }
}

/// The next part, its hash, and how many bytes it takes.
fn read_part(from: &mut File, after: &Written) -> Option<((Extent, Changes), Hash, u64)> {
    let len = u64::from_be_bytes(array(from).ok()?);
    let mut changes = Vec::new();
    // What is stated is not believed: no more is allocated than there is.
    Read::take(&mut *from, len).read_to_end(&mut changes).ok()?;
    let hash = part_hash(&after.hash, &changes);
    if changes.len() as u64 != len || array(from).ok()? != hash {
        return None;
    }
    Some((derived::decode(&changes)?, hash, 8 + len + HASH_LEN))
}

fn part_hash(after: &Hash, changes: &[u8]) -> Hash {
    Sha256::new().chain_update(after).chain_update(changes).finalize().into()
}

/// So much of a whole as `done` is of `all`.
fn share(whole: u64, done: u64, all: u64) -> u64 {
    let share = u128::from(whole) * u128::from(done.min(all)) / u128::from(all.max(1));
    u64::try_from(share).expect("a part of the whole")
}

/// What is read through here, and who is told of it.
struct Told<'a, T> {
    inner: T,
    read: &'a mut dyn FnMut(u64),
}

impl<T: Read> Read for Told<'_, T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(into)?;
        (self.read)(len as u64);
        Ok(len)
    }
}

/// What is written through here, with the hash of it.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new() }
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
