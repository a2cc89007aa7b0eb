//! The derived index: the state that follows from the entries, in one file, to spare replaying
//! them. It may be deleted at any time.
//!
//! ```text
//! index/state = "giftproof-index/v2\n" || state || SHA-256 of all before
//! ```
//!
//! The state is encoded by bincode in its standard configuration; unlike the log, nobody but this
//! program reads it. A file that is absent, of another version, damaged, or not of this log is as
//! good as none. It is not synced: a power cut leaves at worst one with a wrong hash.

use std::fs;
use std::path::{Path, PathBuf};

use bincode::config::standard;
use sha2::{Digest, Sha256};

use crate::model::state::State;

use super::Log;
use super::error::{LedgerError, io};
use super::published::replace;

const MAGIC: &[u8] = b"giftproof-index/v2\n";
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

/// Writes the state.
///
/// # Errors
/// `ledger/io`; the old index, or none, is then there.
pub(super) fn save(folder: &Path, state: &State) -> Result<(), LedgerError> {
    let path = path(folder);
    fs::create_dir_all(folder.join("index")).map_err(io("making the folder of the index"))?;
    replace(&path, &encode(state)).map_err(io("writing the index"))
}

fn encode(state: &State) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bincode::encode_into_std_write(state, &mut bytes, standard())
        .expect("encoding to memory cannot fail");
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

fn decode(bytes: &[u8]) -> Option<State> {
    let (content, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_LEN)?)?;
    if Sha256::digest(content)[..] != *hash {
        return None;
    }
    let state = content.strip_prefix(MAGIC)?;
    let (decoded, consumed) = decode_bounded(state)?;
    (consumed == state.len()).then_some(decoded)
}

/// Decodes with a bound on what is allocated in advance, about 64 bytes for each byte of the file.
/// bincode has such bounds at compile time only, hence the steps.
fn decode_bounded(bytes: &[u8]) -> Option<(State, usize)> {
    const SMALL: usize = 64 << 20;
    const MEDIUM: usize = SMALL << 6;
    const LARGE: usize = MEDIUM << 6;
    let bound = bytes.len().saturating_mul(64);
    if bound <= SMALL {
        bincode::decode_from_slice(bytes, standard().with_limit::<SMALL>())
    } else if bound <= MEDIUM {
        bincode::decode_from_slice(bytes, standard().with_limit::<MEDIUM>())
    } else {
        bincode::decode_from_slice(bytes, standard().with_limit::<LARGE>())
    }
    .ok()
}
