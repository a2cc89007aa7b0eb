//! A log that comes into an empty store from elsewhere, whole; and the files beside it.
//!
//! While it is incomplete, the head of the store is no checkpoint but the line
//! `giftproof-incomplete/v1`: whoever opens such a store is told that its making was interrupted,
//! and whoever brings the log again may go over it.

use std::fs;
use std::path::Path;

use crate::bundle::{LogFile, LogSource, SourceError};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::hash::leaf_hash;
use crate::model::merkle::TreeBuilder;
use crate::model::policy::Policy;
use crate::model::tile::{EntryBundle, TILE_WIDTH, TileLayout};
use crate::store::{Commit, CommitError, ObjectName, Store};

use super::TRUST_FILE;
use super::error::{LedgerError, io};
use super::published::{self, CHECKPOINT_FILE};
use super::witnessed::{self, FOLDER, POLICY_FILE};

/// The head of a store that does not hold its whole log yet.
pub(super) const INCOMPLETE: &[u8] = b"giftproof-incomplete/v1\n";

/// The files beside the log that [`Beside::write`] makes.
pub const BESIDE: [&str; 4] = [POLICY_FILE, FOLDER, TRUST_FILE, CHECKPOINT_FILE];

/// A commit is made when so many bytes wait for it: the memory of stores follows their commits.
const COMMIT_LEN: usize = 1 << 20;
/// And when so many objects do.
const COMMIT_OBJECTS: usize = 256;

/// Why a log was not brought into a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarryError {
    /// `store/occupied`: the store has a head already.
    #[error("the store is not empty")]
    Occupied,
    /// A file of the log could not be read; the code is that of the source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// `audit/changed`: the log is not the one under the checkpoint.
    #[error("{file} was changed while it was read")]
    Changed {
        /// The file that is another one, as far as that can be told.
        file: LogFile,
    },
    /// The store failed; the code is its own.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl CarryError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Occupied => "store/occupied",
            Self::Source(error) => error.code(),
            Self::Changed { .. } => "audit/changed",
            Self::Commit(error) => error.code(),
        }
    }
}

/// Brings all entries under a checkpoint into a store that is empty, or in which this was
/// interrupted. The tree is computed from the entries, and must have the checkpoint's root.
/// `head` is the checkpoint with the operator's signature alone. `progress` is told the entries
/// that are in, and how many there are.
///
/// In memory is one commit, and 32 bytes for each hash at the right edge of the tree.
///
/// # Errors
/// [`CarryError`]. What is in the store then is no ledger.
pub fn carry(
    source: &dyn LogSource,
    head: &SignedCheckpoint,
    store: &dyn Store,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), CarryError> {
    let checkpoint = head.checkpoint();
    let layout = TileLayout::of_size(checkpoint.size);
    let mut filling = Filling::begin(store)?;
    let mut tree = TreeBuilder::new();
    for coord in layout.bundles() {
        let changed = || CarryError::Changed { file: LogFile::Entries(coord) };
        let bytes = source.entries(&coord)?;
        let entries = EntryBundle::parse(&bytes, &coord).map_err(|_| changed())?;
        for entry in entries.entries() {
            for tile in tree.append(leaf_hash(entry)) {
                let name = ObjectName::Tile { level: tile.level, index: tile.index };
                let hashes = tile.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
                filling.put(name, hashes)?;
            }
        }
        // A bundle that is not full is a tail: the entries stand in both in the same way.
        let name = match coord.width() {
            TILE_WIDTH => ObjectName::Bundle(coord.index()),
            _ => ObjectName::Tail { first: coord.index() * u64::from(TILE_WIDTH) },
        };
        filling.put(name, bytes)?;
        progress(tree.size(), checkpoint.size);
    }
    if tree.root() != checkpoint.root {
        return Err(CarryError::Changed { file: LogFile::Checkpoint });
    }
    filling.commit(head.to_string().as_bytes())
}

/// A store that is being filled.
struct Filling<'a> {
    store: &'a dyn Store,
    head: Option<Vec<u8>>,
    waiting: Vec<(ObjectName, Vec<u8>)>,
    waiting_len: usize,
}

impl<'a> Filling<'a> {
    fn begin(store: &'a dyn Store) -> Result<Self, CarryError> {
        let head = store.head().map_err(CommitError::from)?;
        if head.as_deref().is_some_and(|head| head != INCOMPLETE) {
            return Err(CarryError::Occupied);
        }
        Ok(Self { store, head, waiting: Vec::new(), waiting_len: 0 })
    }

    fn put(&mut self, name: ObjectName, bytes: Vec<u8>) -> Result<(), CarryError> {
        self.waiting_len += bytes.len();
        self.waiting.push((name, bytes));
        if self.waiting_len < COMMIT_LEN && self.waiting.len() < COMMIT_OBJECTS {
            return Ok(());
        }
        self.commit(INCOMPLETE)
    }

    /// A crash after this leaves the log as far as it has come, under a head that says so, or the
    /// whole of it.
    fn commit(&mut self, head: &[u8]) -> Result<(), CarryError> {
        let put = std::mem::take(&mut self.waiting);
        self.waiting_len = 0;
        let expected_head = self.head.as_deref();
        self.store.commit(&Commit { put, drop_tails: Vec::new(), expected_head, head })?;
        self.head = Some(head.to_vec());
        Ok(())
    }
}

/// What stands beside the log in a ledger folder, and comes along with it.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Whose cosignatures are enough; one without witnesses is not written down.
    pub policy: Policy,
    /// Checkpoints of the log with cosignatures, and whether their last entry is a seal.
    pub cosigned: Vec<(SignedCheckpoint, bool)>,
    /// The trust file, as others were given it.
    pub trust: Option<Vec<u8>>,
    /// The newest checkpoint, with the cosignatures on it.
    pub checkpoint: SignedCheckpoint,
}

impl Beside {
    /// Writes the files into a ledger folder that is being made. All are on disk afterwards.
    ///
    /// # Errors
    /// `ledger/io`.
    pub fn write(&self, folder: &Path) -> Result<(), LedgerError> {
        let failed = || io("writing the files beside the log");
        if self.policy.witnesses().next().is_some() {
            witnessed::write_policy(folder, &self.policy)?;
        }
        fs::create_dir_all(folder.join(FOLDER)).map_err(failed())?;
        for (note, sealed) in &self.cosigned {
            // A wrong line refuses the note when the folder is opened, which then has none.
            let file = witnessed::file_of(folder, note.checkpoint().size, *sealed);
            witnessed::write_durably(&file, note.to_string().as_bytes()).map_err(failed())?;
        }
        if let Some(trust) = &self.trust {
            witnessed::write_durably(&folder.join(TRUST_FILE), trust).map_err(failed())?;
        }
        let checkpoint = self.checkpoint.to_string();
        published::replace(&folder.join(CHECKPOINT_FILE), checkpoint.as_bytes()).map_err(failed())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::Ledger;
    use crate::store::MemoryStore;

    #[test]
    fn a_store_that_is_being_filled_is_no_ledger_and_can_be_filled_again() {
        let store = MemoryStore::new();
        let open = || {
            let opened = Ledger::over(Arc::new(store.clone()), None);
            opened.err().expect("it holds no ledger").code()
        };
        let large = |index| (ObjectName::Bundle(index), vec![0; COMMIT_LEN - 1]);
        for attempt in 0..2 {
            let mut filling = Filling::begin(&store).unwrap();
            let expected = if attempt == 0 { "ledger/empty" } else { "store/unfinished" };
            let (name, bytes) = large(0);
            filling.put(name, bytes).unwrap();
            assert_eq!(open(), expected);
            let (name, bytes) = large(1);
            filling.put(name, bytes).unwrap();
            assert_eq!(open(), "store/unfinished");
            assert_eq!(store.head().unwrap().unwrap(), b"giftproof-incomplete/v1\n");
        }
        let mut filling = Filling::begin(&store).unwrap();
        filling.commit(b"a checkpoint").unwrap();
        assert!(matches!(Filling::begin(&store), Err(CarryError::Occupied)));
    }
}
