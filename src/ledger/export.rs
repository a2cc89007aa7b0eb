//! Ways out of a ledger: the bundle for auditors, and the one door by which they read any log.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::bundle::{
    BundleLayout, BundleWriter, Existing, LogFile, LogSource, OutputFile, SourceError, TrustCopy,
    WriteError,
};
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::hash::{LeafHash, NodeHash, leaf_hash};
use crate::model::key::SecretKey;
use crate::model::merkle::TreeBuilder;
use crate::model::tile::{BundleCoord, EntryBundle, TILE_WIDTH, TileCoord};
use crate::store::ObjectName;

use super::error::LedgerError;
use super::log::sign_checkpoint;
use super::{Ledger, Log};

impl Ledger {
    /// Writes a bundle of the first `until` entries, or of all.
    ///
    /// Of the checkpoints, only the newest and those that witnesses have cosigned lately are kept, so
    /// another one needs the operator's key, the one valid at that size, to be signed again. The
    /// same size with the same cosignatures gives the same bytes. `progress` is told the files
    /// that are done, and how many there are.
    ///
    /// # Errors
    /// `ledger/no-entry` (beyond the end, or size 0), `export/needs-operator-key`,
    /// `ledger/wrong-operator-key`, those of [`Log::export`].
    pub fn export(
        &self,
        out: &Path,
        until: Option<u64>,
        operator: Option<&SecretKey>,
        existing: Existing,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), LedgerError> {
        let checkpoint = self.checkpoint_at(until.unwrap_or(self.log().size()), operator)?;
        self.log().export(out, &checkpoint, existing, progress)
    }

    /// The checkpoint of a size with its cosignatures, if it is kept: the newest is, and of the
    /// earlier ones some of those that have been cosigned.
    pub fn kept_checkpoint(&self, size: u64) -> Option<SignedCheckpoint> {
        if size == self.checkpoint().checkpoint().size {
            return Some(self.log().cosigned());
        }
        self.witnessed().of_size(size)
    }

    /// The checkpoint of a size: one that is kept, or one that `operator` signs now.
    fn checkpoint_at(
        &self,
        size: u64,
        operator: Option<&SecretKey>,
    ) -> Result<SignedCheckpoint, LedgerError> {
        let newest = self.checkpoint();
        if let Some(kept) = self.kept_checkpoint(size) {
            return Ok(kept);
        }
        let (until, size) = (size, newest.checkpoint().size);
        if until == 0 || until > size {
            return Err(LedgerError::NoEntry { index: until.wrapping_sub(1), size });
        }
        let key = operator.ok_or(LedgerError::NeedsOperatorKey { until, size })?;
        let (expected, found) = (self.state().parties.operator_key_at(until), key.public().into());
        if expected != found {
            return Err(LedgerError::WrongOperatorKey { expected, found });
        }
        let (origin, root) = (self.log().origin().clone(), self.log().root_at(until)?);
        Ok(sign_checkpoint(Checkpoint { origin, size: until, root }, key))
    }
}

impl Log {
    /// Writes a bundle of the log as of a checkpoint of it. Everything in it is checked against
    /// the checkpoint on the way.
    ///
    /// # Errors
    /// `ledger/root`, `ledger/damaged`, `ledger/missing`, and those of writing. There is no file
    /// then.
    pub fn export(
        &self,
        out: &Path,
        checkpoint: &SignedCheckpoint,
        existing: Existing,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), LedgerError> {
        let size = checkpoint.checkpoint().size;
        let layout = BundleLayout::of_size(size);
        let file = OutputFile::create(out, existing).map_err(WriteError::Io)?;
        let mut bundle = BundleWriter::new(file, size);
        let mut tree = Rebuilt::default();
        for (done, file) in (1..).zip(layout.files()) {
            let bytes = match file {
                LogFile::Checkpoint => checkpoint.to_string().into_bytes(),
                LogFile::TrustCopy => self.trust_as_of(checkpoint)?.to_string().into_bytes(),
                LogFile::Tile(tile) if tile.level() == 0 => {
                    let hashes = self.hashes(&tile)?;
                    hashes.iter().for_each(|hash| tree.append(*hash));
                    to_bytes(&hashes)
                }
                LogFile::Tile(tile) => to_bytes(&tree.tile(&tile)),
                LogFile::Entries(bundle) => self.checked_bundle(&bundle)?,
            };
            // The first bundle of entries comes when all leaves are known.
            if matches!(file, LogFile::Entries(bundle) if bundle.index() == 0)
                && tree.builder.root() != checkpoint.checkpoint().root
            {
                return Err(LedgerError::Root);
            }
            bundle = bundle.put(file, &bytes)?;
            progress(done, layout.file_count());
        }
        bundle.finish()?.commit().map_err(WriteError::Io)?;
        Ok(())
    }

    /// The first hashes of a tile, as many as it is wide.
    fn hashes(&self, tile: &TileCoord) -> Result<Vec<NodeHash>, LedgerError> {
        let (level, index, width) = (tile.level(), tile.index(), usize::from(tile.width()));
        let mut hashes = self.tile(level, index)?;
        if hashes.len() < width {
            return Err(LedgerError::Missing { object: ObjectName::Tile { level, index } });
        }
        hashes.truncate(width);
        Ok(hashes)
    }

    /// A bundle whose entries have the leaf hashes of the tile.
    fn checked_bundle(&self, coord: &BundleCoord) -> Result<Vec<u8>, LedgerError> {
        let damaged = || LedgerError::Damaged { object: ObjectName::Bundle(coord.index()) };
        let bytes = self.bundle(coord)?;
        let leaves = self.tile(0, coord.index())?;
        let entries = EntryBundle::parse(&bytes, coord).map_err(|_| damaged())?;
        let same = |(entry, leaf): (&[u8], &NodeHash)| NodeHash::from(leaf_hash(entry)) == *leaf;
        if entries.entries().zip(&leaves).all(same) { Ok(bytes) } else { Err(damaged()) }
    }
}

/// The tiles above level 0, computed from the leaves.
#[derive(Default)]
struct Rebuilt {
    builder: TreeBuilder,
    /// Full tiles by level and index: 32 bytes for each 256 entries.
    full: BTreeMap<(u8, u64), Vec<NodeHash>>,
}

impl Rebuilt {
    fn append(&mut self, leaf: NodeHash) {
        let full = self.builder.append(LeafHash::from_bytes(*leaf.as_bytes()));
        let above = full.into_iter().filter(|tile| tile.level > 0);
        self.full.extend(above.map(|tile| ((tile.level, tile.index), tile.hashes)));
    }

    fn tile(&self, coord: &TileCoord) -> Vec<NodeHash> {
        if coord.width() == TILE_WIDTH {
            let full = self.full.get(&(coord.level(), coord.index()));
            return full.expect("all leaves below are in").clone();
        }
        let mut partial = self.builder.partial_tiles();
        partial.find(|tile| tile.level == coord.level()).expect("all leaves below are in").hashes
    }
}

fn to_bytes(hashes: &[NodeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// What is missing is missing; all else is a failure of the store to an auditor.
fn source_error(file: LogFile) -> impl Fn(LedgerError) -> SourceError {
    move |error| match error {
        LedgerError::Missing { .. } => SourceError::Missing { file },
        error => SourceError::Io { file: Some(file), source: io::Error::other(error) },
    }
}

impl LogSource for Log {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        Ok(self.cosigned().to_string().into_bytes())
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        let trust = self.trust_as_of(&self.cosigned());
        let trust = trust.map_err(source_error(LogFile::TrustCopy))?;
        Ok(TrustCopy::Intact(trust.to_string().into_bytes()))
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        let hashes = self.hashes(tile).map_err(source_error(LogFile::Tile(*tile)))?;
        Ok(to_bytes(&hashes))
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        let file = LogFile::Entries(*bundle);
        let bytes = self.bundle(bundle).map_err(source_error(file))?;
        let (len, bounds) = (bytes.len() as u64, file.len_bounds());
        if !bounds.contains(&len) {
            let (min, max) = bounds.into_inner();
            return Err(SourceError::WrongLength { file, len, min, max });
        }
        Ok(bytes)
    }
}

impl LogSource for Ledger {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        LogSource::checkpoint(self.log())
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        LogSource::trust_copy(self.log())
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        LogSource::tile(self.log(), tile)
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        LogSource::entries(self.log(), bundle)
    }
}
