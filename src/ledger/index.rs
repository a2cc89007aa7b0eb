//! The derived index: the state that follows from the entries, in one file, to spare replaying
//! them. It may be deleted at any time.
//!
//! ```text
//! index/state = "giftproof-index/v3\n" || state || SHA-256 of all before
//! ```
//!
//! The state is as [`State::write`] writes it. A file that is absent, of another
//! version, damaged, or not of this log is as good as none. It is not synced: a power cut leaves at
//! worst one with a wrong hash.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::state::{Kept, State};

use super::Log;
use super::error::{LedgerError, io};
use super::published::replace;

const MAGIC: &[u8] = b"giftproof-index/v3\n";
const HASH_LEN: usize = 32;

/// The file of the index in a ledger folder.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("index").join("state")
}

/// Reads the state, if the file fits the log.
pub(super) fn load(folder: &Path, log: &Log) -> Option<State> {
    let state = decode(&fs::read(path(folder)).ok()?)?;
    let last = state.size.checked_sub(1)?;
    let fits = log.leaf(last).ok()? == state.last_leaf && log.leaf(0).ok()? == state.genesis;
    fits.then_some(state)
}

/// Whether there is a file that is not what was written.
pub(super) fn is_damaged(folder: &Path) -> bool {
    fs::read(path(folder)).is_ok_and(|bytes| decode(&bytes).is_none())
}

/// Writes the state.
///
/// # Errors
/// `ledger/io`; the old index, or none, is then there.
pub(super) fn save(folder: &Path, state: &State) -> Result<(), LedgerError> {
    let path = path(folder);
    fs::create_dir_all(folder.join("index")).map_err(io("making the folder of the index"))?;
    replace(&path, &encode(state)?).map_err(io("writing the index"))
}

fn encode(state: &State) -> Result<Vec<u8>, LedgerError> {
    let mut bytes = MAGIC.to_vec();
    state.write(&mut bytes).map_err(io("writing the index"))?;
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<State> {
    let (content, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_LEN)?)?;
    if Sha256::digest(content)[..] != *hash {
        return None;
    }
    let mut body = content.strip_prefix(MAGIC)?;
    let len = body.len() as u64;
    let state = State::read(&mut body, len, Kept::default(), Kept::default()).ok()?;
    body.is_empty().then_some(state)
}
