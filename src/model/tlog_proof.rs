//! The proof that one entry is in a log, in a file of its own (C2SP tlog-proof; spec section 10.7).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>
//! index <decimal>
//! <base64 of a hash of the inclusion path, the leaf's neighbour first>...
//!
//! <signed checkpoint, with cosignatures>
//! ```
//!
//! The line `extra` may be absent; nobody signs it, and nothing rests on it. The entry itself is not
//! inside: whoever checks has its bytes or its leaf hash from elsewhere.
//!
//! There is one spelling: [`TlogProof::parse`] and printing are inverse. A proof shows that an entry
//! is in the log, and nothing about what else is.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use thiserror::Error;

use super::checkpoint::{SignedCheckpoint, SignedCheckpointError, parse_decimal};
use super::hash::{HASH_LEN, LeafHash, NodeHash};
use super::ident::EntryIndex;
use super::merkle::{ProofError, verify_inclusion};
use super::note::NOTE_LEN_MAX;
use super::policy::Cosigned;
use super::trust::{Distrust, TrustFile};
use super::version::newer;

/// The first line, without its line feed.
pub const TLOG_PROOF_LINE: &str = "c2sp.org/tlog-proof@v1";

/// The longest file that is read, in bytes: what stands above the checkpoint has at most half.
pub const TLOG_PROOF_LEN_MAX: usize = 65_536 + NOTE_LEN_MAX;

/// The longest inclusion path, in hashes: that of a tree of 2^64 leaves.
const PATH_LEN_MAX: usize = 64;

/// Bytes that are no tlog-proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TlogProofError {
    /// `tlog-proof/too-long`: longer than [`TLOG_PROOF_LEN_MAX`].
    #[error("a tlog-proof of {0} bytes is longer than {TLOG_PROOF_LEN_MAX}")]
    TooLong(usize),
    /// `tlog-proof/encoding`: not UTF-8.
    #[error("a tlog-proof is UTF-8")]
    Encoding,
    /// `tlog-proof/newer-version`: a newer version of the format.
    #[error("the proof is of the newer version {0} of its format")]
    NewerVersion(u64),
    /// `tlog-proof/version`: the first line is not that of a tlog-proof of a known version.
    #[error("the first line is not {TLOG_PROOF_LINE}")]
    Version,
    /// `tlog-proof/structure`: no empty line ends the path.
    #[error("an empty line and a checkpoint must follow the path")]
    Structure,
    /// `tlog-proof/extra`: the extra data is absent from its line, or not base64 in its one spelling.
    #[error("the extra line holds no base64")]
    Extra,
    /// `tlog-proof/index`: the line that must give the index does not, or not in its one spelling.
    #[error("the line with the index of the entry is missing or wrong")]
    Index,
    /// `tlog-proof/too-many-hashes`: more than any tree needs.
    #[error("no path has {0} hashes")]
    TooManyHashes(usize),
    /// `tlog-proof/hash`: a line of the path, counted from 1, is not the base64 of 32 bytes in its
    /// one spelling.
    #[error("line {0} of the path is not a hash")]
    Hash(usize),
    /// What follows is no signed checkpoint; the code is that of the checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] SignedCheckpointError),
}

impl TlogProofError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "tlog-proof/too-long",
            Self::Encoding => "tlog-proof/encoding",
            Self::NewerVersion(_) => "tlog-proof/newer-version",
            Self::Version => "tlog-proof/version",
            Self::Structure => "tlog-proof/structure",
            Self::Extra => "tlog-proof/extra",
            Self::Index => "tlog-proof/index",
            Self::TooManyHashes(_) => "tlog-proof/too-many-hashes",
            Self::Hash(_) => "tlog-proof/hash",
            Self::Checkpoint(error) => error.code(),
        }
    }
}

/// A tlog-proof that does not show that the entry is in the log of the trust file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotProven {
    /// The trust file does not vouch for the checkpoint; the code is that of the reason.
    #[error(transparent)]
    Checkpoint(#[from] Distrust),
    /// The path does not lead from the entry to the checkpoint's root; the code is that of the path.
    #[error(transparent)]
    Path(#[from] ProofError),
    /// `trust/genesis`: it is said to be entry 0, and entry 0 is another one.
    #[error("entry 0 is {trusted}, not {found}")]
    Genesis { trusted: LeafHash, found: LeafHash },
}

impl NotProven {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Checkpoint(error) => error.code(),
            Self::Path(error) => error.code(),
            Self::Genesis { .. } => "trust/genesis",
        }
    }
}

/// The place of an entry, its path and a signed checkpoint; parsed and not yet trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Not empty where it is there.
    extra: Option<Vec<u8>>,
    index: EntryIndex,
    path: Vec<NodeHash>,
    checkpoint: SignedCheckpoint,
}

impl TlogProof {
    /// Puts a proof together; nothing is checked of it but its length.
    ///
    /// # Errors
    /// [`TlogProofError::TooManyHashes`].
    pub fn new(
        index: EntryIndex,
        path: Vec<NodeHash>,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, TlogProofError> {
        if path.len() > PATH_LEN_MAX {
            return Err(TlogProofError::TooManyHashes(path.len()));
        }
        Ok(Self { extra: None, index, path, checkpoint })
    }

    /// Reads a tlog-proof.
    ///
    /// # Errors
    /// [`TlogProofError`], the first that applies, in the order of its variants.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > TLOG_PROOF_LEN_MAX {
            return Err(TlogProofError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TlogProofError::Encoding)?;
        if let Some(found) = newer(format!("{TLOG_PROOF_LINE}\n").as_bytes(), bytes) {
            return Err(TlogProofError::NewerVersion(found));
        }
        let (version, rest) = text.split_once('\n').ok_or(TlogProofError::Version)?;
        if version != TLOG_PROOF_LINE {
            return Err(TlogProofError::Version);
        }
        let (head, note) = rest.split_once("\n\n").ok_or(TlogProofError::Structure)?;
        let mut lines = head.split('\n').peekable();
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => Some(parse_extra(line).ok_or(TlogProofError::Extra)?),
            None => None,
        };
        let index = lines.next().and_then(|line| parse_decimal(line.strip_prefix("index ")?));
        let index = index.ok_or(TlogProofError::Index)?;
        let count = lines.clone().count();
        if count > PATH_LEN_MAX {
            return Err(TlogProofError::TooManyHashes(count));
        }
        let path = (1..)
            .zip(lines)
            .map(|(at, line)| parse_hash(line).ok_or(TlogProofError::Hash(at)))
            .collect::<Result<_, _>>()?;
        Ok(Self { extra, index, path, checkpoint: SignedCheckpoint::parse(note.as_bytes())? })
    }

    /// The index of the entry that it is about.
    pub fn index(&self) -> EntryIndex {
        self.index
    }

    /// The inclusion path, the leaf's neighbour first.
    pub fn path(&self) -> &[NodeHash] {
        &self.path
    }

    /// Data that came along, for which nobody vouches.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// The checkpoint, for which nobody vouches before [`Self::verify`].
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Checks that the path leads from this leaf to the checkpoint's root; nothing of signatures.
    ///
    /// # Errors
    /// [`ProofError`]; a path that is longer or shorter than the tree needs is refused.
    pub fn verify_path(&self, leaf: &LeafHash) -> Result<(), ProofError> {
        let checkpoint = self.checkpoint.checkpoint();
        verify_inclusion(self.index, checkpoint.size, leaf, &self.path, &checkpoint.root)
    }

    /// Checks that the entry with this leaf hash is in the log of the trust file, at the index that
    /// the proof names. Returns the cosignatures of the policy's witnesses.
    ///
    /// # Errors
    /// [`NotProven`], the first that applies, in the order of its variants.
    pub fn verify(&self, leaf: &LeafHash, trust: &TrustFile) -> Result<Vec<Cosigned>, NotProven> {
        let cosigned = trust.judge(&self.checkpoint)?;
        self.verify_path(leaf)?;
        if self.index == 0 && *leaf != trust.genesis() {
            return Err(NotProven::Genesis { trusted: trust.genesis(), found: *leaf });
        }
        Ok(cosigned)
    }
}

fn parse_extra(line: &str) -> Option<Vec<u8>> {
    let extra = BASE64_STANDARD.decode(line.strip_prefix("extra ")?).ok()?;
    (!extra.is_empty()).then_some(extra)
}

fn parse_hash(line: &str) -> Option<NodeHash> {
    let hash: [u8; HASH_LEN] = BASE64_STANDARD.decode(line).ok()?.try_into().ok()?;
    Some(NodeHash::from_bytes(hash))
}

impl fmt::Display for TlogProof {
    /// The file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TLOG_PROOF_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64_STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", BASE64_STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
