//! Proofs about single entries, made from any source of a log: a ledger, a bundle, an unpacked one.
//!
//! A source gives bytes, not truth. So each proof is checked against its checkpoint before it is
//! given out; whose signature the checkpoint bears is for whoever receives the proof to judge.

use thiserror::Error;

use crate::bundle::{LogSource, SourceError};
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint, SignedCheckpointError};
use crate::model::hash::{HASH_LEN, NodeHash, leaf_hash};
use crate::model::ident::EntryIndex;
use crate::model::merkle::{ProofError, ProveError, TileNodeError, TileNodes, inclusion_proof};
use crate::model::tile::{EntriesMalformed, EntryBundle, TILE_WIDTH, TileLayout};
use crate::model::tlog_proof::{TlogProof, TlogProofError};

/// An entry, and the proof that it is in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenEntry {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The proof.
    pub proof: TlogProof,
}

/// Why there is no proof of an entry.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NoProof {
    /// A file of the log could not be had; the code is that of the source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The log's checkpoint is none; the code is that of the checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] SignedCheckpointError),
    /// `prove/other-log`: the given checkpoint is of another log, or of more entries than are here.
    #[error("{wanted} entries of {origin} are not here", wanted = .0.size, origin = .0.origin)]
    OtherLog(Checkpoint),
    /// `prove/no-such-entry`: the index is beyond the end.
    #[error("there is no entry {index} among the first {size}")]
    NoSuchEntry { index: EntryIndex, size: u64 },
    /// `prove/entries-malformed`: the entry bundle is malformed.
    #[error(transparent)]
    Entries(#[from] EntriesMalformed),
    /// `prove/misfit`: entry and tiles do not lead to the checkpoint's root.
    #[error("the log's files do not fit its checkpoint: {0}")]
    Misfit(#[from] ProofError),
    /// `prove/misfit`: a tile is shorter than the tree needs.
    #[error("the log's files do not fit its checkpoint: tile {level}/{index} is short")]
    ShortTile { level: u8, index: u64 },
    /// The proof is larger than one may be; the code is that of the proof.
    #[error(transparent)]
    TooLarge(#[from] TlogProofError),
}

impl NoProof {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::OtherLog(_) => "prove/other-log",
            Self::NoSuchEntry { .. } => "prove/no-such-entry",
            Self::Entries(_) => "prove/entries-malformed",
            Self::Misfit(_) | Self::ShortTile { .. } => "prove/misfit",
            Self::TooLarge(error) => error.code(),
        }
    }
}

/// Proves that an entry is in the log, under the log's own checkpoint or one that is given: cosigned
/// by more witnesses, or of fewer entries.
///
/// # Errors
/// [`NoProof`].
pub fn prove_entry(
    source: &dyn LogSource,
    index: EntryIndex,
    under: Option<SignedCheckpoint>,
) -> Result<ProvenEntry, NoProof> {
    let own = SignedCheckpoint::parse(&source.checkpoint()?)?;
    let layout = TileLayout::of_size(own.checkpoint().size);
    let under = under.unwrap_or_else(|| own.clone());
    let (size, origin) = (under.checkpoint().size, &under.checkpoint().origin);
    if size > layout.size() || *origin != own.checkpoint().origin {
        return Err(NoProof::OtherLog(under.checkpoint().clone()));
    }
    let width = u64::from(TILE_WIDTH);
    let no_such_entry = NoProof::NoSuchEntry { index, size };
    let bundle = layout.bundle(index / width).filter(|_| index < size).ok_or(no_such_entry)?;
    let bytes = source.entries(&bundle)?;
    let mut entries = EntryBundle::parse(&bytes, &bundle)?.entries();
    let entry = entries.nth((index % width) as usize).expect("the bundle is as wide as its name");
    let path = inclusion_proof(
        index,
        size,
        &TileNodes::new(|level, index| {
            let tile = layout.tile(level, index).expect("a proof needs complete subtrees only");
            let bytes = source.tile(&tile)?;
            let (hashes, _) = bytes.as_chunks::<HASH_LEN>();
            Ok(hashes.iter().copied().map(NodeHash::from_bytes).collect::<Vec<_>>())
        }),
    );
    let path = path.map_err(|error| match error {
        ProveError::Range(range) => NoProof::Misfit(range.into()),
        ProveError::Source(TileNodeError::Read(error)) => NoProof::Source(error),
        ProveError::Source(TileNodeError::TooNarrow { level, index, .. }) => {
            NoProof::ShortTile { level, index }
        }
    })?;
    let proof = TlogProof::new(index, path, under)?;
    proof.verify_path(&leaf_hash(entry))?;
    Ok(ProvenEntry { entry: entry.to_vec(), proof })
}
