//! Why a ledger folder is not repaired.

use std::io;

use thiserror::Error;

use super::Lost;
use crate::bundle::SourceError;
use crate::ledger::LedgerError;
use crate::model::checkpoint::{Origin, SignedCheckpointError};
use crate::store::{CommitError, CreateError, OpenError, StoreError};

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

/// An error of the file system met while doing this.
pub(super) fn io(doing: &'static str) -> impl Fn(io::Error) -> RepairError {
    move |source| RepairError::Io { doing, source }
}
