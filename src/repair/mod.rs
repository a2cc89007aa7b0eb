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

mod damage;
mod error;
mod gather;
mod remains;
mod scene;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bundle::LogSource;
use crate::ledger::{CHECKPOINT_FILE, Ledger, LedgerError, Stage, TRUST_FILE};
use crate::model::tile::TILE_WIDTH;
use crate::store::{
    Commit, FolderLock, LocalStore, ObjectName, Store as _, begin_replacing, replace_log,
};

pub use damage::{Damage, Lost};
pub use error::RepairError;

use error::io;
use gather::Gathered;
use scene::Scene;

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
    Indexing(Stage),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The entries that the ledger has now.
    pub size: u64,
    /// Where the damaged log is now, if it was replaced.
    pub aside: Option<PathBuf>,
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
        let ledger = Ledger::reindex_over(store, &folder, &mut |stage, done, all| {
            progress(Progress { phase: Phase::Indexing(stage), done, all });
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
    Ledger::replayed(store, &mut |_, done, all| {
        progress(Progress { phase: Phase::Judging, done, all });
    })?;
    Ok(())
}
