//! The regulator's bundle: a whole log in files that any tool for C2SP tlog-tiles can read.
//!
//! - [`layout`]: which files a log of one size consists of, in which order, and their bounds.
//! - [`zip`]: the one byte form of a bundle; [`BundleWriter`] and [`BundleReader`] for it.
//! - [`folder`]: the same files unpacked, or mirrored.
//! - [`output`]: a file that appears only when it is complete.
//!
//! An auditor reads any of them, or a ledger's own store, through [`LogSource`]. Nothing here
//! knows hashes or signatures: a source gives bytes within bounds, and whoever asked must check
//! them against a checkpoint.

use std::io;

use thiserror::Error;

use crate::model::tile::{BundleCoord, TileCoord};

pub mod folder;
pub mod layout;
pub mod output;
mod reader;
mod writer;
pub mod zip;

pub use folder::LogFolder;
pub use layout::{BundleLayout, LogFile};
pub use output::{Existing, OutputFile};
pub use reader::{BundleReader, OpenedBundle};
pub use writer::{BundleWriter, WriteError};

/// Where a log's files are read from, from any number of threads.
///
/// Every answer is bounded as [`LogFile::len_bounds`] says, whatever the source claims.
pub trait LogSource: Sync {
    /// The checkpoint's bytes: a signed note, not verified.
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError>;

    /// The copy of the trust file that came along. It proves nothing: it is here to be compared
    /// with the trust file that the reader has from elsewhere.
    fn trust_copy(&self) -> Result<TrustCopy, SourceError>;

    /// The tile's bytes, exactly 32 for each of its hashes.
    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError>;

    /// The entry bundle's bytes, not parsed: see [`crate::model::tile::EntryBundle`].
    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError>;
}

/// The copy of a trust file beside a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustCopy {
    /// The source has none.
    Absent,
    /// The bytes are as they were written.
    Intact(Vec<u8>),
    /// The bytes are not those that the bundle's checksum was made of. To be reported, but no
    /// reason to refuse the log, which does not rest on them.
    Damaged(Vec<u8>),
}

impl TrustCopy {
    /// The bytes, intact or not.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Absent => None,
            Self::Intact(bytes) | Self::Damaged(bytes) => Some(bytes),
        }
    }
}

/// Why a log's file could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// `bundle/io`: the system failed; `file` is what was being read, if it was a single one.
    #[error("reading {} failed: {source}", file.map_or("the log".into(), |file| file.to_string()))]
    Io { file: Option<LogFile>, source: io::Error },
    /// `bundle/missing`: the source has no such file.
    #[error("{file} is missing")]
    Missing { file: LogFile },
    /// `bundle/not-a-file`: in a folder, a symbolic link, folder or device stands on the path.
    #[error("{file} is not a plain file in plain folders")]
    NotAFile { file: LogFile },
    /// `bundle/wrong-length`: the file is shorter or longer than such a file can be.
    #[error("{file} has {len} bytes instead of {min} to {max}")]
    WrongLength { file: LogFile, len: u64, min: u64, max: u64 },
    /// `bundle/truncated`: the zip does not end with its last record: it was cut off, or
    /// something was added.
    #[error("the zip, of {len} bytes, does not end where it should")]
    Truncated { len: u64 },
    /// `bundle/not-canonical`: the zip is not in its one form; the first byte that differs.
    #[error("byte {offset} of the zip is {found:#04x} instead of {expected:#04x}")]
    NotCanonical { offset: u64, expected: u8, found: u8 },
    /// `bundle/crc`: the file's bytes do not have the checksum that the zip states.
    #[error("{file} has the CRC-32 {found:08x} instead of {stated:08x}")]
    Crc { file: LogFile, stated: u32, found: u32 },
}

impl SourceError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "bundle/io",
            Self::Missing { .. } => "bundle/missing",
            Self::NotAFile { .. } => "bundle/not-a-file",
            Self::WrongLength { .. } => "bundle/wrong-length",
            Self::Truncated { .. } => "bundle/truncated",
            Self::NotCanonical { .. } => "bundle/not-canonical",
            Self::Crc { .. } => "bundle/crc",
        }
    }
}

/// Refuses a length that such a file cannot have, before anything is allocated for it.
fn check_len(file: LogFile, len: u64) -> Result<(), SourceError> {
    let bounds = file.len_bounds();
    if bounds.contains(&len) {
        return Ok(());
    }
    Err(SourceError::WrongLength { file, len, min: *bounds.start(), max: *bounds.end() })
}
