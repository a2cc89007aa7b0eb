//! Proofs about single entries, made from any source of a log: a ledger, a bundle, an unpacked one.
//!
//! A source gives bytes, not truth. So each proof is checked against its checkpoint before it is
//! given out; whose signature the checkpoint bears is for whoever receives the proof to judge.

use thiserror::Error;

use crate::bundle::{LogSource, SourceError};
use crate::model::audited::SignedStatement;
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint, SignedCheckpointError};
use crate::model::hash::{HASH_LEN, NodeHash, leaf_hash};
use crate::model::ident::EntryIndex;
use crate::model::merkle::{
    ProofError, ProveError, TileNodeError, TileNodes, consistency_proof, inclusion_proof,
    shown_proof,
};
use crate::model::proof_file::{About, MakeError, Maker, ProofFile, ProofSource};
use crate::model::state::State;
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
    let files = LogFiles { source, layout, checkpoint: &under };
    let entry = files.entry(index)?;
    let nodes = TileNodes::new(|level, index| files.tile(level, index));
    let path = inclusion_proof(index, size, &nodes).map_err(prove_failed)?;
    let proof = TlogProof::new(index, path, under.clone())?;
    proof.verify_path(&leaf_hash(&entry))?;
    Ok(ProvenEntry { entry, proof })
}

/// A log in files, under a checkpoint: its own, or one of fewer entries.
pub struct LogFiles<'a> {
    source: &'a dyn LogSource,
    layout: TileLayout,
    checkpoint: &'a SignedCheckpoint,
}

impl<'a> LogFiles<'a> {
    /// The files of a log, with its own checkpoint.
    pub fn new(source: &'a dyn LogSource, checkpoint: &'a SignedCheckpoint) -> Self {
        Self { source, layout: TileLayout::of_size(checkpoint.checkpoint().size), checkpoint }
    }

    /// A proof about a gift, or that there is none of an id, under the newest seal, with what
    /// auditors say. `state` is what follows from the entries.
    ///
    /// # Errors
    /// [`MakeError`].
    pub fn prove(
        &self,
        state: &State,
        about: About,
        statements: &[SignedStatement],
    ) -> Result<ProofFile, MakeError<NoProof>> {
        let checkpoint = self.checkpoint;
        Maker { state, source: self, checkpoint, sealed: true, statements }.make(about)
    }

    fn tile(&self, level: u8, index: u64) -> Result<Vec<NodeHash>, SourceError> {
        let tile = self.layout.tile(level, index).expect("proofs need complete subtrees only");
        let bytes = self.source.tile(&tile)?;
        let (hashes, _) = bytes.as_chunks::<HASH_LEN>();
        Ok(hashes.iter().copied().map(NodeHash::from_bytes).collect())
    }
}

impl ProofSource for LogFiles<'_> {
    type Error = NoProof;

    fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, NoProof> {
        let (width, size) = (u64::from(TILE_WIDTH), self.checkpoint.checkpoint().size);
        let no_such_entry = NoProof::NoSuchEntry { index, size };
        let bundle = self.layout.bundle(index / width).filter(|_| index < size);
        let bundle = bundle.ok_or(no_such_entry)?;
        let bytes = self.source.entries(&bundle)?;
        let mut entries = EntryBundle::parse(&bytes, &bundle)?.entries();
        let entry = entries.nth((index % width) as usize);
        Ok(entry.expect("the bundle is as wide as its name").to_vec())
    }

    fn shown(&self, indexes: &[EntryIndex], size: u64) -> Result<Vec<NodeHash>, NoProof> {
        let nodes = TileNodes::new(|level, index| self.tile(level, index));
        shown_proof(indexes, size, &nodes).map_err(node_failed)
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<NodeHash>, NoProof> {
        let nodes = TileNodes::new(|level, index| self.tile(level, index));
        consistency_proof(old_size, new_size, &nodes).map_err(prove_failed)
    }
}

fn prove_failed(error: ProveError<TileNodeError<SourceError>>) -> NoProof {
    match error {
        ProveError::Range(range) => NoProof::Misfit(range.into()),
        ProveError::Source(error) => node_failed(error),
    }
}

fn node_failed(error: TileNodeError<SourceError>) -> NoProof {
    match error {
        TileNodeError::Read(error) => NoProof::Source(error),
        TileNodeError::TooNarrow { level, index, .. } => NoProof::ShortTile { level, index },
    }
}
