//! Where the log is kept: immutable objects and one mutable head behind one small trait.
//!
//! The store knows names and bytes, never what the bytes mean: entries, hashes and signatures are
//! the concern of the layers above, which check every byte they read against the tree. Two stores
//! keep the contract of [`Store`]: [`LocalStore`] on sled, and [`MemoryStore`], the reference with
//! fault hooks for tests.
//!
//! Invariants that every store keeps:
//!
//! - When [`Store::commit`] answers `Ok`, the head and all objects of the commit survive a power
//!   cut.
//! - [`Store::head`] never returns a head that a power cut could still take back, so a checkpoint
//!   read from it may be shown to others.
//! - All objects of a commit are durable before or together with its head. A crash leaves the old
//!   head or the new one, never a head without its objects.
//! - An object under an acknowledged head is never changed. Only tails are ever dropped.
//!
//! What a store cannot see is a whole ledger folder put back to an older state. The head then is an
//! older one that was once valid: the layer above compares it with what the operator has published.

mod database;
mod durable;
mod folder;
mod local;
mod memory;
mod objects;
mod panics;
mod schema;

use std::fmt;
use std::io;

pub use folder::{FolderLock, begin_replacing, replace_log};
pub use local::{CreateError, LocalStore, OpenError};
pub use memory::{Fault, MemoryStore, ReadFault, Step};

/// The largest object, in bytes: a bundle of 256 entries of 65,535 bytes, each behind a `u16`.
pub const OBJECT_LEN_MAX: usize = 256 * (2 + 65_535);

/// The largest head, in bytes.
pub const HEAD_LEN_MAX: usize = 65_536;

/// The most objects, and the most dropped tails, in one commit.
pub const COMMIT_OBJECTS_MAX: usize = 1024;

/// The name of one object of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectName {
    /// The entry bundle with this index: 256 entries, each `u16` big-endian length || entry.
    Bundle(u64),
    /// A full tile of 256 hashes at this level and index (C2SP tlog-tiles).
    Tile {
        /// The level in the tree of tiles, from 0.
        level: u8,
        /// The index within the level.
        index: u64,
    },
    /// The entries of one commit that do not yet fill a bundle.
    Tail {
        /// The index of the first entry in the run.
        first: u64,
    },
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(index) => write!(f, "bundle {index}"),
            Self::Tile { level, index } => write!(f, "tile {level}/{index}"),
            Self::Tail { first } => write!(f, "tail {first}"),
        }
    }
}

/// One step of the log: objects to put, tails to drop, and the head that makes them count.
#[derive(Clone, Debug)]
pub struct Commit<'a> {
    /// Objects to write if absent, at most [`COMMIT_OBJECTS_MAX`] of [`OBJECT_LEN_MAX`] bytes.
    pub put: Vec<(ObjectName, Vec<u8>)>,
    /// First indexes of the tails to drop, since bundles hold their entries now. A tail that is
    /// absent is passed over. None of them may be put by the same commit.
    pub drop_tails: Vec<u64>,
    /// The head that this commit replaces, `None` for the first.
    pub expected_head: Option<&'a [u8]>,
    /// The new head, at most [`HEAD_LEN_MAX`] bytes.
    pub head: &'a [u8],
}

impl Commit<'_> {
    /// Refuses what no store accepts, whatever it holds.
    fn check_limits(&self) -> Result<(), CommitError> {
        let objects = self.put.len().max(self.drop_tails.len());
        if objects > COMMIT_OBJECTS_MAX {
            return Err(CommitError::TooMany { count: objects });
        }
        let largest = self.put.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
        if largest > OBJECT_LEN_MAX || self.head.len() > HEAD_LEN_MAX {
            return Err(CommitError::TooLarge { len: largest.max(self.head.len()) });
        }
        for &first in &self.drop_tails {
            let name = ObjectName::Tail { first };
            assert!(
                self.put.iter().all(|(put, _)| *put != name),
                "a commit does not put and drop the same tail"
            );
        }
        Ok(())
    }
}

/// The log of one ledger: immutable objects and one mutable head.
///
/// Any number of threads may read while one commits. Several threads may commit: the head decides,
/// and all but one of those that expect the same head get [`CommitError::Conflict`].
///
/// Objects of a commit that did not end in `Ok` are *orphans*: no head leads to them, they may or
/// may not be readable, and a later commit replaces them.
pub trait Store: Send + Sync {
    /// Reads an object whole, at most [`OBJECT_LEN_MAX`] bytes; `None` if it is absent.
    ///
    /// Absence of a tail under a head just read means that a commit has dropped the tail since:
    /// read the head again.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the bytes are to be checked by the caller against the tree in any case.
    fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError>;

    /// The newest durable head; `None` before the first commit.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn head(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Puts, drops and moves the head as one durable step.
    ///
    /// Checked in this order, before anything is changed: the limits, the expected head, each
    /// object against what is there. An object already there with the same bytes is fine.
    ///
    /// # Errors
    ///
    /// [`CommitError`]. After [`CommitError::Unknown`] the store refuses all further use: drop it,
    /// open it again and read the head to learn which of the two states it is in. After any other
    /// error nothing has changed.
    fn commit(&self, commit: &Commit<'_>) -> Result<(), CommitError>;
}

/// The world failed: the store cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// `store/io`: the file system reports an error.
    #[error("{doing}: {source}")]
    Io {
        /// What the store was about to do.
        doing: &'static str,
        /// The error of the file system.
        source: io::Error,
    },
    /// `store/full`: no space is left.
    #[error("no space left for the ledger")]
    Full,
    /// `store/damaged`: the files are not in a state that the store can have left behind.
    #[error("the ledger's storage is damaged: {found}")]
    Damaged {
        /// What was found; often text of the database.
        found: String,
    },
    /// `store/stopped`: an earlier failure has stopped this store; it must be opened again.
    #[error("the store has stopped after an earlier failure: open it again")]
    Stopped,
}

impl StoreError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "store/io",
            Self::Full => "store/full",
            Self::Damaged { .. } => "store/damaged",
            Self::Stopped => "store/stopped",
        }
    }

    /// An `io::Error` met while `doing` something, with a full disk told apart.
    fn from_io(doing: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { doing, source },
        }
    }
}

/// Why a commit did not happen, or may not have happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// `store/conflict`: the head is not the expected one: somebody else has committed.
    #[error("the head has moved: another writer has committed")]
    Conflict,
    /// `store/object-differs`: an object of this name is there with other bytes.
    #[error("{name} is already stored with other bytes")]
    ObjectDiffers {
        /// The object.
        name: ObjectName,
    },
    /// `store/too-large`: an object or the head is above its limit.
    #[error("{len} bytes are above the limit of an object or of the head")]
    TooLarge {
        /// The length that was refused, in bytes.
        len: usize,
    },
    /// `store/too-many`: more objects than one commit may carry.
    #[error("{count} objects are above the limit of one commit")]
    TooMany {
        /// The number of objects.
        count: usize,
    },
    /// The store failed before anything was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `store/outcome-unknown`: the commit may or may not be durable.
    #[error("it is unknown whether the commit is durable: {cause}")]
    Unknown {
        /// What failed.
        cause: StoreError,
    },
}

impl CommitError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict => "store/conflict",
            Self::ObjectDiffers { .. } => "store/object-differs",
            Self::TooLarge { .. } => "store/too-large",
            Self::TooMany { .. } => "store/too-many",
            Self::Store(error) => error.code(),
            Self::Unknown { .. } => "store/outcome-unknown",
        }
    }
}
