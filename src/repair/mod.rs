//! Repairs a ledger folder: says what is damaged, and makes it whole from what is left and from
//! another copy of the log.
//!
//! - **What counts** is the newest checkpoint that the operator has signed: in the folder, in the
//!   operator's mark, or in the copy. Nothing is signed here, and no log is made shorter than one
//!   that was signed.
//! - **Nothing is trusted.** Every entry is known by its hash, from the last one backward; the root
//!   over all is the checkpoint's; the rules are applied again; the operator key that follows from
//!   the entries has signed the checkpoint; every other checkpoint at hand is of the same log.
//! - **All or nothing.** A new log is made beside the old one and put in its place when it is whole
//!   and on disk. The old one is moved aside and stays. Where entries are lost, all stays as it is,
//!   but for what the database does to its own files when it is opened.

mod gather;
mod remains;

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::bundle::{LogSource, SourceError};
use crate::ledger::{CHECKPOINT_FILE, Ledger, LedgerError, TRUST_FILE};
use crate::model::checkpoint::{Origin, SignedCheckpoint, SignedCheckpointError};
use crate::model::hash::leaf_hash;
use crate::model::ident::EntryIndex;
use crate::model::tile::{TILE_WIDTH, TileLayout};
use crate::model::trust::TrustFile;
use crate::store::{
    Commit, CommitError, CreateError, FolderLock, LocalStore, ObjectName, OpenError, Store as _,
    StoreError, begin_replacing, replace_log,
};

use gather::Gathered;
use remains::{Copy, Entries, Remains};

const WIDTH: u64 = TILE_WIDTH as u64;

/// So many objects go into one commit of the new log.
const OBJECTS_A_COMMIT: usize = 64;

/// How far a repair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Entries that are done.
    pub done: u64,
    /// Entries in all.
    pub all: u64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All copies are read, from the last entry to the first.
    Reading,
    /// The rules are applied to the entries.
    Judging,
    /// The new log is written.
    Writing,
    /// The index is built.
    Indexing,
}

/// Something in a ledger folder that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// `store/not-a-ledger`: the marker is lost.
    Marker,
    /// `store/damaged`: the database does not open, or has lost commits.
    Storage {
        /// What was found.
        found: String,
    },
    /// `ledger/head`: the log has no head, or one that is no signed checkpoint.
    Head,
    /// `ledger/rolled-back`: a longer log has been signed than is here.
    RolledBack {
        /// The entries that are here.
        size: u64,
        /// The entries under the checkpoint.
        published: u64,
    },
    /// `ledger/missing`: an object of the log is not there.
    Missing {
        /// Which.
        object: ObjectName,
    },
    /// `ledger/damaged`: an object of the log is not what the tree commits to.
    Altered {
        /// Which.
        object: ObjectName,
    },
    /// `repair/file`: a file beside the log is not what it should be, and is made anew.
    File {
        /// Its name in the folder.
        name: &'static str,
    },
    /// `ledger/policy`: the policy of witnesses is none. Only the operator knows what it was.
    Policy,
}

impl Damage {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Marker => "store/not-a-ledger",
            Self::Storage { .. } => "store/damaged",
            Self::Head => "ledger/head",
            Self::RolledBack { .. } => "ledger/rolled-back",
            Self::Missing { .. } => "ledger/missing",
            Self::Altered { .. } => "ledger/damaged",
            Self::File { .. } => "repair/file",
            Self::Policy => "ledger/policy",
        }
    }

    /// Whether the log itself must be made anew.
    pub const fn is_of_log(&self) -> bool {
        !matches!(self, Self::Marker | Self::File { .. } | Self::Policy)
    }
}

/// Entries that no copy has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost(Vec<Range<EntryIndex>>);

impl Lost {
    /// The ranges of indexes, in their order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<EntryIndex>> + '_ {
        self.0.iter().rev().cloned()
    }

    /// How many entries.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The index after the last of them.
    pub fn end(&self) -> EntryIndex {
        self.0.iter().map(|range| range.end).max().unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, index: EntryIndex) {
        self.add_range(index..index + 1);
    }

    /// Bundles are added from the last to the first, the entries of each in their order.
    fn add_range(&mut self, range: Range<EntryIndex>) {
        if range.is_empty() {
            return;
        }
        let at = self.0.iter().position(|known| known.start < range.start);
        let at = at.unwrap_or(self.0.len());
        self.0.insert(at, range);
        self.0.dedup_by(|lower, upper| {
            let joined = lower.end == upper.start;
            if joined {
                upper.start = lower.start;
            }
            joined
        });
    }
}

impl From<Range<EntryIndex>> for Lost {
    fn from(range: Range<EntryIndex>) -> Self {
        let mut lost = Self::default();
        lost.add_range(range);
        lost
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.ranges().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match range.end - range.start {
                1 => write!(f, "{comma}{}", range.start)?,
                _ => write!(f, "{comma}{}-{}", range.start, range.end - 1)?,
            }
        }
        Ok(())
    }
}

/// Why a ledger folder was not repaired; its log is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The folder cannot be used; the code is that of the store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new log could not be made; the code is that of the store.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The new log could not be written; the code is that of the store.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The storage failed; the code is that of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was gathered is no ledger; the code is that of the ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The copy cannot be read; the code is that of the source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The copy's checkpoint is none; the code is that of the checkpoint.
    #[error("the copy's checkpoint: {0}")]
    SourceCheckpoint(#[from] SignedCheckpointError),
    /// `repair/lost`: entries are in no copy at hand.
    #[error("entries are lost: {lost}")]
    Lost {
        /// Which.
        lost: Lost,
        /// The entries under the newest signed checkpoint.
        size: u64,
    },
    /// `repair/source-older`: the copy ends before what is lost does.
    #[error("the copy has {source_size} entries only; lost are {lost}")]
    SourceOlder {
        /// Which entries are in no copy.
        lost: Lost,
        /// The entries under the newest signed checkpoint.
        size: u64,
        /// The entries of the copy.
        source_size: u64,
    },
    /// `repair/source-forked`: the operator has signed another log than the copy's.
    #[error("the copy's checkpoint over {size} entries is not of this log")]
    SourceForked {
        /// The entries under the copy's checkpoint.
        size: u64,
    },
    /// `repair/source-signature`: the operator has not signed the copy's checkpoint.
    #[error("the copy's checkpoint is not signed by the ledger's operator")]
    SourceSignature,
    /// `repair/other-log`: the copy is of another log.
    #[error("the copy is of another log: {found}")]
    OtherLog {
        /// Its origin.
        found: Origin,
    },
    /// `repair/unknown-log`: nothing in the folder says which log it was.
    #[error("nothing in the folder says which log it was")]
    UnknownLog,
    /// `ledger/io`: a file of the folder could not be read or written.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The error of the file system.
        source: io::Error,
    },
}

impl RepairError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(error) => error.code(),
            Self::Create(error) => error.code(),
            Self::Commit(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Ledger(error) => error.code(),
            Self::Source(error) => error.code(),
            Self::SourceCheckpoint(error) => error.code(),
            Self::Lost { .. } => "repair/lost",
            Self::SourceOlder { .. } => "repair/source-older",
            Self::SourceForked { .. } => "repair/source-forked",
            Self::SourceSignature => "repair/source-signature",
            Self::OtherLog { .. } => "repair/other-log",
            Self::UnknownLog => "repair/unknown-log",
            Self::Io { .. } => "ledger/io",
        }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The entries that the ledger has now.
    pub size: u64,
    /// Where the damaged log is now, if it was replaced.
    pub aside: Option<PathBuf>,
}

/// Where a checkpoint was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    File,
    Mark,
    Source,
}

/// A ledger folder that was looked through, locked until this goes.
pub struct Examined {
    folder: PathBuf,
    /// Shared with whoever reads the old log.
    lock: Arc<FolderLock>,
    damage: Vec<Damage>,
    size: u64,
    gathered: Arc<Gathered>,
}

/// The checkpoints at hand, and the copies that entries are read from.
struct Scene {
    own: Arc<Remains>,
    copy: Option<Arc<Copy>>,
    /// The entries under the head.
    own_size: u64,
    trust: Option<TrustFile>,
    notes: Vec<(Place, SignedCheckpoint)>,
    damage: Vec<Damage>,
}

/// Looks through a ledger folder, and whether it can be made whole with this copy of the log.
/// `mark` is the operator's mark beside its key, if it is at hand.
///
/// # Errors
/// [`RepairError`]; the folder is as it was.
pub fn examine(
    folder: &Path,
    source: Option<Box<dyn LogSource + Send>>,
    mark: Option<&Path>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Examined, RepairError> {
    let lock = Arc::new(FolderLock::take_damaged(folder)?);
    let mut scene = Scene::look(folder, &lock, source, mark)?;
    let (gathered, ledger) = scene.newest_whole(progress)?;
    scene.check_identity(&ledger)?;
    scene.check_checkpoints(&ledger)?;
    let size = ledger.state().size;
    if scene.own_size < size && !scene.damage.iter().any(Damage::is_of_log) {
        scene.damage.push(Damage::RolledBack { size: scene.own_size, published: size });
    }
    scene.compare_objects(&gathered);
    let Scene { damage, .. } = scene;
    Ok(Examined { folder: folder.to_path_buf(), lock, damage, size, gathered })
}

impl Scene {
    fn look(
        folder: &Path,
        lock: &Arc<FolderLock>,
        source: Option<Box<dyn LogSource + Send>>,
        mark: Option<&Path>,
    ) -> Result<Self, RepairError> {
        let mut damage = Vec::new();
        if !lock.is_marker_intact() {
            damage.push(Damage::Marker);
        }
        let (own, unopened) = Remains::open(folder, Arc::clone(lock));
        let mut notes = Vec::new();
        let mut own_size = 0;
        let (newest, marked) = own.newest();
        match (unopened, newest) {
            (Some(OpenError::Store(StoreError::Damaged { found })), _) => {
                damage.push(Damage::Storage { found });
            }
            (Some(error), _) => return Err(error.into()),
            (None, None) => damage.push(Damage::Head),
            (None, Some((commit_number, head))) => {
                match SignedCheckpoint::parse(&head) {
                    Ok(note) => {
                        own_size = note.checkpoint().size;
                        notes.push((Place::Head, note));
                    }
                    Err(_) => damage.push(Damage::Head),
                }
                if let Some(marked) = marked.filter(|&marked| marked > commit_number) {
                    let found = format!("the log ends at commit {commit_number}, but had {marked}");
                    damage.push(Damage::Storage { found });
                }
            }
        }
        let published = [
            (Place::File, Some(folder.join(CHECKPOINT_FILE))),
            (Place::Mark, mark.map(Path::to_path_buf)),
        ];
        for (place, path) in published {
            let Some(bytes) = path.map_or(Ok(None), |path| read(&path))? else { continue };
            match SignedCheckpoint::parse(&bytes) {
                Ok(note) => notes.push((place, note)),
                Err(_) if place == Place::File => {
                    damage.push(Damage::File { name: CHECKPOINT_FILE });
                }
                Err(error) => return Err(LedgerError::MarkUnreadable(error).into()),
            }
        }
        let trust = read(&folder.join(TRUST_FILE))?.map(|bytes| TrustFile::parse(&bytes).ok());
        if let Some(None) = trust {
            damage.push(Damage::File { name: TRUST_FILE });
        }
        let trust = trust.flatten();
        if Ledger::is_index_damaged(folder) {
            damage.push(Damage::File { name: "index" });
        }
        if Ledger::is_policy_damaged(folder) {
            damage.push(Damage::Policy);
        }
        let mut copy = None;
        if let Some(log) = source {
            let note = SignedCheckpoint::parse(&log.checkpoint()?)?;
            let (size, found) = (note.checkpoint().size, &note.checkpoint().origin);
            let ours = notes.iter().map(|(_, note)| &note.checkpoint().origin);
            let mut ours = ours.chain(trust.iter().map(TrustFile::origin)).peekable();
            if ours.peek().is_some() && !ours.any(|origin| origin == found) {
                return Err(RepairError::OtherLog { found: found.clone() });
            }
            notes.push((Place::Source, note));
            copy = Some(Arc::new(Copy { log, size }));
        }
        Ok(Self { own: Arc::new(own), copy, own_size, trust, notes, damage })
    }

    /// The log under the newest checkpoint of which all entries can be had. A newer checkpoint must
    /// be none that the operator has signed.
    fn newest_whole(
        &mut self,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Arc<Gathered>, Ledger), RepairError> {
        let mut notes = self.notes.clone();
        notes.sort_by_key(|(_, note)| std::cmp::Reverse(note.checkpoint().size));
        let mut failed: Option<RepairError> = None;
        for (at, (place, note)) in notes.iter().enumerate() {
            let whole = self.whole_under(note, progress);
            let (gathered, ledger) = match whole {
                Ok(whole) => whole,
                Err(error) => {
                    // The newest is what counts; what is wrong with an older one says less.
                    let forged = *place == Place::Source
                        && matches!(error, RepairError::Ledger(LedgerError::HeadSignature(_)));
                    let error = if forged { RepairError::SourceSignature } else { error };
                    failed.get_or_insert(error);
                    continue;
                }
            };
            for (place, newer) in &notes[..at] {
                if newer.checkpoint().size > note.checkpoint().size
                    && (*place == Place::Source || !ledger.is_rotten(newer))
                {
                    return Err(failed.unwrap_or(RepairError::UnknownLog));
                }
            }
            return Ok((gathered, ledger));
        }
        Err(failed.unwrap_or(RepairError::UnknownLog))
    }

    /// All entries under a checkpoint, and the state that follows from them.
    fn whole_under(
        &self,
        note: &SignedCheckpoint,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Arc<Gathered>, Ledger), RepairError> {
        let (size, root) = (note.checkpoint().size, note.checkpoint().root);
        let source_size = self.copy.as_ref().map_or(0, |copy| copy.size);
        let lost = |lost: Lost| match source_size {
            0 => RepairError::Lost { lost, size },
            _ if source_size < lost.end() => RepairError::SourceOlder { lost, size, source_size },
            _ => RepairError::Lost { lost, size },
        };
        let here = self.own_size.max(source_size);
        if size == 0 || here < size {
            return Err(lost(Lost::from(here..size)));
        }
        let own: Arc<dyn Entries> = self.own.clone();
        let mut copies = vec![own];
        if let Some(copy) = &self.copy {
            copies.push(copy.clone());
        }
        let mut whole = None;
        // Of the last entry, no other one knows the hash: each copy's is tried.
        for _ in 0..copies.len() {
            let gathered = Gathered::of(note, copies.clone(), progress).map_err(lost)?;
            if gathered.root() == root {
                whole = Some(Arc::new(gathered));
                break;
            }
            copies.reverse();
        }
        let forked = || match source_size >= size {
            true => RepairError::SourceForked { size: source_size },
            false => lost(Lost::from(size - 1..size)),
        };
        let gathered = whole.ok_or_else(forked)?;
        let ledger = Ledger::replayed(gathered.clone(), &mut |done, all| {
            progress(Progress { phase: Phase::Judging, done, all });
        })?;
        Ok((gathered, ledger))
    }

    /// The log must be the one that was in the folder: by the trust file, by entry 0, or by a
    /// checkpoint that the operator has signed.
    fn check_identity(&self, ledger: &Ledger) -> Result<(), RepairError> {
        let genesis = ledger.state().genesis;
        let first = TileLayout::of_size(1).bundle(0).map(|bundle| self.own.places(&bundle));
        let first = first.and_then(|places| places.into_iter().next().flatten());
        let first = first.map(|bytes| leaf_hash(&bytes));
        let pinned = self.trust.as_ref().map(TrustFile::genesis);
        let signed = |(place, note): &(Place, SignedCheckpoint)| {
            *place != Place::Source && ledger.check_signed(note).is_ok()
        };
        if first == Some(genesis) || pinned == Some(genesis) || self.notes.iter().any(signed) {
            return Ok(());
        }
        if first.is_none()
            && pinned.is_none()
            && self.notes.iter().all(|(p, _)| *p == Place::Source)
        {
            return Err(RepairError::UnknownLog);
        }
        Err(RepairError::OtherLog { found: ledger.log().origin().clone() })
    }

    /// Every other checkpoint at hand must be of the same log.
    fn check_checkpoints(&mut self, ledger: &Ledger) -> Result<(), RepairError> {
        for (place, note) in &self.notes {
            let size = note.checkpoint().size;
            if ledger.check_signed(note).is_err() {
                match place {
                    Place::Source => return Err(RepairError::SourceSignature),
                    Place::Mark => {
                        let error = LedgerError::Forked { published: size };
                        return Err(error.into());
                    }
                    Place::File => self.damage.push(Damage::File { name: CHECKPOINT_FILE }),
                    Place::Head => self.damage.push(Damage::Head),
                }
                continue;
            }
            ledger.check_extends(note).map_err(|error| match (place, error) {
                (Place::Source, LedgerError::Forked { .. }) => RepairError::SourceForked { size },
                (_, LedgerError::Forked { .. }) if self.copy.is_some() => {
                    let size = self.copy.as_ref().map_or(size, |copy| copy.size);
                    RepairError::SourceForked { size }
                }
                (_, error) => error.into(),
            })?;
        }
        Ok(())
    }

    /// Which objects of the folder's own log are not those of the whole one.
    fn compare_objects(&mut self, whole: &Gathered) {
        if self.damage.iter().any(|damage| matches!(damage, Damage::Head | Damage::Storage { .. }))
        {
            return;
        }
        let bundled = self.own_size / WIDTH;
        for object in whole.names() {
            let ours = match object {
                ObjectName::Bundle(index) => index < bundled,
                ObjectName::Tile { level, index } => {
                    let span = WIDTH.checked_pow(u32::from(level)).unwrap_or(u64::MAX);
                    (index + 1).saturating_mul(span) <= bundled
                }
                ObjectName::Tail { .. } => false,
            };
            if !ours {
                continue;
            }
            match self.own.object(object) {
                None => self.damage.push(Damage::Missing { object }),
                found if found != whole.object(&object) => {
                    self.damage.push(Damage::Altered { object });
                }
                Some(_) => {}
            }
        }
        let tail = TileLayout::of_size(self.own_size).bundle(bundled);
        if let Some(tail) = tail
            && whole.size() == self.own_size
            && self.own.places(&tail) != whole.tail_places()
        {
            self.damage
                .push(Damage::Altered { object: ObjectName::Tail { first: bundled * WIDTH } });
        }
    }
}

impl Examined {
    /// What is damaged; nothing, if the folder is whole.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The entries that the ledger has when it is repaired.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes the folder whole.
    ///
    /// # Errors
    /// [`RepairError`]; the old log or the new one is in place.
    pub fn mend(self, progress: &mut dyn FnMut(Progress)) -> Result<Mended, RepairError> {
        let Self { folder, lock, damage, size, gathered } = self;
        let mut aside = None;
        if damage.is_empty() {
            return Ok(Mended { size, aside });
        }
        if damage.iter().any(Damage::is_of_log) {
            write_log(&begin_replacing(&folder, &lock)?, &gathered, size, progress)?;
            // The database must be closed before its folder is moved.
            drop(gathered);
            aside = replace_log(&folder, &lock)?;
        } else {
            drop(gathered);
        }
        let mut lock = lock;
        if damage.contains(&Damage::Marker) {
            let whole = Arc::get_mut(&mut lock).expect("nobody else reads the folder any more");
            whole.mend_marker()?;
        }
        for damage in &damage {
            if let Damage::File { name: name @ (CHECKPOINT_FILE | TRUST_FILE) } = damage {
                fs::remove_file(folder.join(name)).map_err(io("removing a damaged file"))?;
            }
        }
        if damage.contains(&Damage::Policy) {
            // The log is whole; the ledger opens when the operator has put its policy back.
            return Ok(Mended { size, aside });
        }
        // Opens the folder as everybody will.
        let store = Arc::new(LocalStore::open_locked(&folder, &lock)?);
        let ledger = Ledger::reindex_over(store, &folder, &mut |done, all| {
            progress(Progress { phase: Phase::Indexing, done, all });
        })?;
        ledger.restore_files(&folder)?;
        Ok(Mended { size, aside })
    }
}

/// Writes a whole log into a new ledger folder.
fn write_log(
    folder: &Path,
    whole: &Gathered,
    size: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), RepairError> {
    let head = whole.head_bytes();
    let commit =
        |put, expected_head| Commit { put, drop_tails: Vec::new(), expected_head, head: &head };
    // Nobody opens this folder before it is whole, so each commit can have the last head.
    let store = LocalStore::create(folder, &commit(Vec::new(), None))?;
    let mut names = whole.names().peekable();
    let mut done = 0;
    while names.peek().is_some() {
        let mut put = Vec::new();
        for name in names.by_ref().take(OBJECTS_A_COMMIT) {
            if let ObjectName::Bundle(_) = name {
                done += WIDTH;
            }
            let bytes = whole.object(&name).ok_or(LedgerError::Missing { object: name })?;
            put.push((name, bytes));
        }
        store.commit(&commit(put, Some(&head)))?;
        progress(Progress { phase: Phase::Writing, done, all: size });
    }
    drop(store);
    // What was read twice may have changed: only what is on disk now counts.
    let lock = FolderLock::take(folder)?;
    let store = Arc::new(LocalStore::open_locked(folder, &lock)?);
    Ledger::replayed(store, &mut |done, all| {
        progress(Progress { phase: Phase::Judging, done, all });
    })?;
    Ok(())
}

/// Reads a small file; nothing if it is absent or empty.
fn read(path: &Path) -> Result<Option<Vec<u8>>, RepairError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("reading a file of the ledger")(error)),
    }
}

fn io(doing: &'static str) -> impl Fn(io::Error) -> RepairError {
    move |source| RepairError::Io { doing, source }
}
