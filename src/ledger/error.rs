//! Why a ledger does not open, or cannot be read or written.

use std::io;

use thiserror::Error;

use crate::bundle::WriteError;
use crate::model::checkpoint::{CheckpointVerifyError, SignedCheckpointError};
use crate::model::encoding::Malformed;
use crate::model::ident::{EntryIndex, KeyBytes};
use crate::model::merkle::RangeError;
use crate::model::policy::PolicyError;
use crate::model::state::ShelfError;
use crate::model::trust::TrustError;
use crate::model::violation::Violation;
use crate::store::{CommitError, CreateError, ObjectName, OpenError, StoreError};

use super::witnessed::POLICY_FILE;

/// Why a ledger does not open, or cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The folder does not open; the code is that of the store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The folder was not created; the code is that of the store.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The storage failed; the code is that of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A commit failed; the code is that of the store.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// `ledger/empty`: the store has no head, or one of no entries.
    #[error("the ledger has no entries")]
    Empty,
    /// `ledger/no-entry`: an index beyond the end.
    #[error("there is no entry {index} in a ledger of {size}")]
    NoEntry { index: EntryIndex, size: u64 },
    /// `ledger/missing`: something that the head rests on is not there.
    #[error("the ledger is damaged: {object} is missing")]
    Missing { object: ObjectName },
    /// `ledger/damaged`: an object is not what the tree commits to.
    #[error("the ledger is damaged: {object} is not what was written")]
    Damaged { object: ObjectName },
    /// `ledger/head`: the head is no checkpoint.
    #[error("the ledger is damaged: its head is no checkpoint: {0}")]
    Head(#[from] SignedCheckpointError),
    /// `ledger/head-signature`: the operator did not sign the head.
    #[error("the ledger's head is not signed by its operator: {0}")]
    HeadSignature(#[from] CheckpointVerifyError),
    /// `ledger/root`: the stored tree is not the one that the head commits to.
    #[error("the ledger is damaged: its tree does not have the root of its checkpoint")]
    Root,
    /// `ledger/entry`: an entry's bytes are what the tree commits to, yet no entry in its place.
    #[error("entry {index} is malformed: {malformed}")]
    Entry { index: EntryIndex, malformed: Malformed },
    /// `ledger/rules`: an entry breaks a rule of this version of the program.
    #[error("entry {index} breaks a rule: {violation}")]
    Rules { index: EntryIndex, violation: Violation },
    /// `ledger/rolled-back`: a longer log has been published than is here.
    #[error(
        "the ledger has {size} entries, but a checkpoint over {published} has been signed: \
         this is an older copy; put the newest copy of the folder back. Whatever was signed \
         on top of the old one would contradict what others have seen"
    )]
    RolledBack { size: u64, published: u64 },
    /// `ledger/forked`: another log has been published under this name.
    #[error("a checkpoint over {published} entries has been signed that is not of this ledger")]
    Forked { published: u64 },
    /// `ledger/behind-witness`: a witness has seen a longer log under this name than is here.
    #[error("the ledger has {size} entries, but the witness {witness} has seen {seen}")]
    BehindWitness { witness: String, seen: u64, size: u64 },
    /// `ledger/forked`: a witness has seen another log of this size under this name.
    #[error("the witness {witness} has seen {size} entries that are not those of this ledger")]
    ForkedWitness { witness: String, size: u64 },
    /// `ledger/policy`: the file with the policy of witnesses is none.
    #[error("the file {POLICY_FILE} is no policy: {0}")]
    Policy(#[from] PolicyError),
    /// `ledger/mark-unreadable`: the mark beside the operator's key is no checkpoint.
    #[error("the mark of the newest signed checkpoint cannot be read: {0}")]
    MarkUnreadable(SignedCheckpointError),
    /// `ledger/mark-taken`: a new ledger, but the mark beside the operator's key is of another.
    #[error("the operator's mark is of another ledger: give each ledger a key of its own")]
    MarkTaken,
    /// `ledger/wrong-operator-key`: the key given is not the one that signs now.
    #[error("the operator's key is {expected}, not {found}")]
    WrongOperatorKey { expected: KeyBytes, found: KeyBytes },
    /// `ledger/origin`: the ledger's name cannot be the origin of checkpoints.
    #[error("the ledger's name cannot be the origin of a log")]
    Origin,
    /// No proof is about these numbers; the code is that of the range.
    #[error(transparent)]
    Proof(#[from] RangeError),
    /// `ledger/trust`: the ledger's name and key do not make a trust file.
    #[error("no trust file can be made: {0}")]
    Trust(#[from] TrustError),
    /// `ledger/index`: what the index keeps of gifts and shipments cannot be had, or is damaged.
    #[error("the index is damaged, or cannot be read or written: {0}")]
    Shelf(#[from] ShelfError),
    /// `ledger/io`: a file beside the log could not be read or written.
    #[error("{doing}: {source}")]
    Io { doing: &'static str, source: io::Error },
    /// `export/needs-operator-key`: nobody has signed a checkpoint of this earlier size.
    #[error("an export of {until} of {size} entries needs the operator's key")]
    NeedsOperatorKey { until: u64, size: u64 },
    /// The bundle was not written; the code is that of the bundle.
    #[error(transparent)]
    Export(#[from] WriteError),
}

impl LedgerError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(error) => error.code(),
            Self::Create(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Commit(error) => error.code(),
            Self::Empty => "ledger/empty",
            Self::NoEntry { .. } => "ledger/no-entry",
            Self::Missing { .. } => "ledger/missing",
            Self::Damaged { .. } => "ledger/damaged",
            Self::Head(_) => "ledger/head",
            Self::HeadSignature(_) => "ledger/head-signature",
            Self::Root => "ledger/root",
            Self::Entry { .. } => "ledger/entry",
            Self::Rules { .. } => "ledger/rules",
            Self::RolledBack { .. } => "ledger/rolled-back",
            Self::Forked { .. } | Self::ForkedWitness { .. } => "ledger/forked",
            Self::BehindWitness { .. } => "ledger/behind-witness",
            Self::Policy(_) => "ledger/policy",
            Self::MarkUnreadable(_) => "ledger/mark-unreadable",
            Self::MarkTaken => "ledger/mark-taken",
            Self::WrongOperatorKey { .. } => "ledger/wrong-operator-key",
            Self::Origin => "ledger/origin",
            Self::Proof(error) => error.code(),
            Self::Trust(_) => "ledger/trust",
            Self::Shelf(_) => "ledger/index",
            Self::Io { .. } => "ledger/io",
            Self::NeedsOperatorKey { .. } => "export/needs-operator-key",
            Self::Export(error) => error.code(),
        }
    }
}

/// An error of the file system met while doing this.
pub(super) fn io(doing: &'static str) -> impl Fn(io::Error) -> LedgerError {
    move |source| LedgerError::Io { doing, source }
}
