//! Checkpoints that have left the process: the file `checkpoint` of the ledger folder, and the mark
//! that an operator keeps beside its key. Both hold the newest checkpoint as it was signed.
//!
//! They are written after the commit, so the log is never behind them: if it is, somebody has put
//! an older copy of the folder back. They are not synced, and may be behind after a power cut, or
//! empty, which does no harm.

use std::fs;
use std::io;
use std::path::Path;

use crate::model::checkpoint::{SignedCheckpoint, SignedCheckpointError};

use super::Log;
use super::error::{LedgerError, io};

/// The file of the ledger folder with the newest checkpoint.
pub const CHECKPOINT_FILE: &str = "checkpoint";

/// Reads a published checkpoint; `None` if the file is absent or empty.
pub(super) fn read(
    path: &Path,
) -> Result<Option<Result<SignedCheckpoint, SignedCheckpointError>>, LedgerError> {
    match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => Ok(Some(SignedCheckpoint::parse(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("reading a published checkpoint")(error)),
    }
}

/// Refuses a log that does not extend what was published.
///
/// # Errors
/// `ledger/rolled-back`, `ledger/forked`, and those of reading the log.
pub(super) fn check(log: &Log, published: &SignedCheckpoint) -> Result<(), LedgerError> {
    let published = published.checkpoint();
    let forked = LedgerError::Forked { published: published.size };
    if published.origin != *log.origin() || published.size == 0 {
        return Err(forked);
    }
    if published.size > log.size() {
        return Err(LedgerError::RolledBack { size: log.size(), published: published.size });
    }
    if log.root_at(published.size)? != published.root { Err(forked) } else { Ok(()) }
}

/// Writes a file beside the log, at once or not at all as long as the machine stays up.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    // One writer at a time has the ledger open, so nobody else uses this name.
    fs::write(&partial, bytes)?;
    fs::rename(&partial, path)
}
