//! Proof files: what a donor carries (spec section 17).
//!
//! [`ProofFile`] is the bytes and their parts; [`ProofFile::check`] believes none of them, and
//! derives the verdict again. What belongs into a proof is told by [`parts`], for who makes a proof
//! and who checks one alike.

mod audits;
mod bytes;
mod check;
mod entries;
mod make;
pub mod parts;
mod replay;

use thiserror::Error;

pub use check::{Audited, Level, ProofFault, Proven};
pub use make::{MakeError, Maker, ProofSource};

use super::checkpoint::SignedCheckpoint;
use super::encoding::Malformed;
use super::hash::{EventHash, NodeHash};
use super::ident::{EntryIndex, GiftId};

/// What every proof file begins with.
pub const MAGIC: &[u8] = b"giftproof-proof/v1\n";

/// The most bytes of a proof file.
pub const PROOF_FILE_LEN_MAX: usize = 64 << 20;

/// The most audit statements of a proof file.
pub const AUDITS_MAX: usize = 16;

/// How many tables a seal has: parties, gifts, lots, shipments, statements.
pub const TABLES: usize = 5;

/// What a proof is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The gift of this donation.
    Gift(EventHash),
    /// That no gift has this id.
    NoGift(GiftId),
}

/// An audit statement, and that the tree of the checkpoint extends the audited one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditShown {
    /// The signed note.
    pub note: Vec<u8>,
    /// The consistency proof from the audited size to the checkpoint's.
    pub consistency: Vec<NodeHash>,
}

/// A proof file, read but not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// What it is about.
    pub about: About,
    /// The checkpoint, with its cosignatures.
    pub checkpoint: SignedCheckpoint,
    /// The entry of the seal that it rests on.
    pub seal: Option<EntryIndex>,
    /// The entries, by index.
    pub entries: Vec<Vec<u8>>,
    /// The hashes that lead from the shown entries to the root.
    pub tree: Vec<NodeHash>,
    /// The table proofs, in the order of the seal's tables.
    pub tables: [Vec<u8>; TABLES],
    /// What auditors say.
    pub audits: Vec<AuditShown>,
}

/// Bytes that are no proof file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a proof file: {detail}")]
pub struct NotAProof {
    code: &'static str,
    /// What is wrong with them.
    pub detail: Malformed,
}

impl NotAProof {
    /// The stable code: `proof-file/malformed`, `proof-file/newer-version`, or `checkpoint/malformed`.
    pub const fn code(&self) -> &'static str {
        self.code
    }
}

impl From<Malformed> for NotAProof {
    fn from(detail: Malformed) -> Self {
        Self { code: "proof-file/malformed", detail }
    }
}
