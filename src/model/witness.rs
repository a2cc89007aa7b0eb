//! What a log asks of a witness: `add-checkpoint` (C2SP tlog-witness), as bytes.
//!
//! ```text
//! old <size of the witness's newest checkpoint, decimal>
//! <base64 of a hash of the consistency proof, 32 bytes>    0 to 63 lines
//!
//! <signed checkpoint, see `checkpoint`>
//! ```
//!
//! There is one spelling only, so that [`AddCheckpoint::parse`] and printing are inverse. Whether the
//! witness may cosign is decided in [`crate::witness`].

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::checkpoint::{Origin, SignedCheckpoint, SignedCheckpointError};
use super::checkpoint::{parse_decimal, parse_root};
use super::hash::NodeHash;
use super::note::NOTE_LEN_MAX;

/// The largest number of hashes in a consistency proof (C2SP tlog-witness).
pub const PROOF_LINES_MAX: usize = 63;
/// A hash in base64, and its line feed.
const PROOF_LINE_LEN: usize = 45;
/// `old `, 20 digits, a line feed.
const OLD_LINE_LEN_MAX: usize = 25;
/// The longest request, in bytes: old size, proof, the empty line, and a note.
pub const REQUEST_LEN_MAX: usize =
    OLD_LINE_LEN_MAX + PROOF_LINES_MAX * PROOF_LINE_LEN + 1 + NOTE_LEN_MAX;

/// A request to cosign a checkpoint, parsed and not yet trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the newest checkpoint that the witness is thought to have cosigned.
    pub old_size: u64,
    /// The consistency proof from the old size to the checkpoint's.
    pub proof: Vec<NodeHash>,
    /// What is to be cosigned.
    pub checkpoint: SignedCheckpoint,
}

/// Bytes that are no such request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// `request/too-long`: longer than [`REQUEST_LEN_MAX`].
    #[error("a request of {0} bytes is longer than {REQUEST_LEN_MAX}")]
    TooLong(usize),
    /// `request/old-size`: the first line is not `old` and a size in its one spelling.
    #[error("the first line is not \"old\" and a size")]
    OldSize,
    /// `request/structure`: no empty line ends the proof.
    #[error("no empty line stands before the checkpoint")]
    Structure,
    /// `request/proof-too-long`: more than [`PROOF_LINES_MAX`] hashes.
    #[error("a proof has at most {PROOF_LINES_MAX} hashes")]
    ProofTooLong,
    /// `request/proof-line`: a line is not the base64 of 32 bytes; lines are counted from 1.
    #[error("line {0} of the proof is not a hash")]
    ProofLine(usize),
    /// What follows the empty line is no signed checkpoint; the code is that of the checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] SignedCheckpointError),
}

impl RequestError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "request/too-long",
            Self::OldSize => "request/old-size",
            Self::Structure => "request/structure",
            Self::ProofTooLong => "request/proof-too-long",
            Self::ProofLine(_) => "request/proof-line",
            Self::Checkpoint(error) => error.code(),
        }
    }
}

impl AddCheckpoint {
    /// Reads a request.
    ///
    /// # Errors
    /// [`RequestError`], the first from the top.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > REQUEST_LEN_MAX {
            return Err(RequestError::TooLong(bytes.len()));
        }
        let (old, mut rest) = split_line(bytes).ok_or(RequestError::OldSize)?;
        let old_size = old.strip_prefix(b"old ").and_then(|size| str::from_utf8(size).ok());
        let old_size = old_size.and_then(parse_decimal).ok_or(RequestError::OldSize)?;
        let mut proof = Vec::new();
        loop {
            let (line, after) = split_line(rest).ok_or(RequestError::Structure)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if proof.len() == PROOF_LINES_MAX {
                return Err(RequestError::ProofTooLong);
            }
            let hash = str::from_utf8(line).ok().and_then(parse_root);
            proof.push(hash.ok_or(RequestError::ProofLine(proof.len() + 1))?);
        }
        Ok(Self { old_size, proof, checkpoint: SignedCheckpoint::parse(rest)? })
    }
}

impl fmt::Display for AddCheckpoint {
    /// The request's body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.proof {
            writeln!(f, "{}", BASE64_STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// The bytes before the first line feed, and those after it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// The name under which a witness shows its newest checkpoint of a log: SHA-256(origin), in 64
/// lower-case hex digits (C2SP tlog-witness).
pub fn origin_hash(origin: &Origin) -> String {
    hex::encode(Sha256::digest(origin.as_str()))
}
