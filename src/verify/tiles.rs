//! Compares the tiles with the tree that follows from the entries (step 8 of the audit).

use super::report::{Failure, Listed, Spot};
use super::{AuditError, refusal};
use crate::bundle::{LogFile, LogSource, SourceError};
use crate::model::hash::{HASH_LEN, LeafHash, NodeHash};
use crate::model::merkle::{TileHashes, TreeBuilder};
use crate::model::tile::{BundleCoord, TileCoord, TileLayout};
use crate::model::violation::{Code, Violation};

/// Builds the tree entry by entry, and compares each tile when the last of its hashes is known.
///
/// Where an entry and its hash in the lowest tile differ, either may be what was tampered with. The
/// checkpoint's root decides: if it is the root of the tree over the lowest tiles as they stand,
/// the operator committed to them, and the bundle is wrong; else the tile is.
pub(super) struct Tiles<'a> {
    source: &'a dyn LogSource,
    layout: TileLayout,
    tree: TreeBuilder,
    /// The first leaves of the first bundle, where an earlier audit ended within it.
    known: Vec<LeafHash>,
    /// The tree over the lowest tiles as they stand.
    standing: Standing,
    /// What is wrong if the entries are right.
    against_entries: Listed<Failure>,
    /// What is wrong if the lowest tiles are right.
    against_tiles: Listed<Failure>,
}

enum Standing {
    /// The same as that over the entries so far.
    Same,
    Differs(TreeBuilder),
    /// A lowest tile could not be had.
    Lost,
}

impl<'a> Tiles<'a> {
    /// Goes on from a tree that the log is known to begin with; the empty one, if from none.
    pub(super) fn new(source: &'a dyn LogSource, size: u64, tree: TreeBuilder) -> Self {
        let lowest = tree.partial_tiles().find(|tile| tile.level == 0);
        let leaf = |hash: &NodeHash| LeafHash::from_bytes(*hash.as_bytes());
        Self {
            source,
            layout: TileLayout::of_size(size),
            tree,
            known: lowest.iter().flat_map(|tile| &tile.hashes).map(leaf).collect(),
            standing: Standing::Same,
            against_entries: Listed::default(),
            against_tiles: Listed::default(),
        }
    }

    /// The tree over the entries so far.
    pub(super) fn tree(&self) -> &TreeBuilder {
        &self.tree
    }

    /// Takes the leaf hashes of an entry bundle, and the tile that should hold them. `after_each`
    /// sees the tree after each leaf that it has not known before.
    pub(super) fn add_bundle(
        &mut self,
        bundle: BundleCoord,
        leaves: &[LeafHash],
        tile: Result<Vec<u8>, SourceError>,
        mut after_each: impl FnMut(&TreeBuilder),
    ) -> Result<(), AuditError> {
        let known = std::mem::take(&mut self.known);
        let standing = self.compare_lowest(bundle, &known, leaves, tile)?;
        for (at, leaf) in leaves.iter().enumerate().skip(known.len()) {
            let by_entries = self.tree.append(*leaf);
            let by_tiles = match &mut self.standing {
                Standing::Differs(tree) => tree.append(standing[at]),
                Standing::Same | Standing::Lost => Vec::new(),
            };
            after_each(&self.tree);
            for (at, tile) in by_entries.iter().enumerate().filter(|(_, tile)| tile.level > 0) {
                self.compare_upper(tile, by_tiles.get(at))?;
            }
        }
        Ok(())
    }

    /// Compares the tiles that are not full, and says what is wrong, given the checkpoint's root.
    /// To be called after the last entry.
    pub(super) fn finish(mut self, root: NodeHash) -> Result<Listed<Failure>, AuditError> {
        let by_entries: Vec<TileHashes> = self.tree.partial_tiles().collect();
        let by_tiles: Vec<TileHashes> = match &self.standing {
            Standing::Differs(tree) => tree.partial_tiles().collect(),
            Standing::Same | Standing::Lost => Vec::new(),
        };
        for (at, tile) in by_entries.iter().enumerate().filter(|(_, tile)| tile.level > 0) {
            self.compare_upper(tile, by_tiles.get(at))?;
        }
        Ok(match self.standing {
            Standing::Differs(tree) if tree.root() == root => self.against_tiles,
            _ => self.against_entries,
        })
    }

    /// What is wrong so far, of a log whose end cannot be reached.
    pub(super) fn break_off(self) -> Listed<Failure> {
        self.against_entries
    }

    /// Gives the hashes of the lowest tile as they stand; those of the entries if it has none.
    ///
    /// The known ones are proven: whatever differs from them is wrong itself.
    fn compare_lowest(
        &mut self,
        bundle: BundleCoord,
        known: &[LeafHash],
        leaves: &[LeafHash],
        tile: Result<Vec<u8>, SourceError>,
    ) -> Result<Vec<LeafHash>, AuditError> {
        let coord = TileCoord::new(0, bundle.index(), bundle.width());
        let file = LogFile::Tile(coord.expect("a bundle is as wide as a tile"));
        self.compare_known(known, leaves, LogFile::Entries(bundle), Code::BundleMismatch);
        let standing: Vec<LeafHash> = match hashes(tile, leaves.len())? {
            Ok(hashes) => hashes.into_iter().map(LeafHash::from_bytes).collect(),
            Err(violation) => {
                self.against_entries.push(Failure { at: Spot::File(file), violation });
                self.standing = Standing::Lost;
                return Ok(leaves.to_vec());
            }
        };
        self.compare_known(known, &standing, file, Code::TileMismatch);
        let mut after = leaves.iter().zip(&standing).skip(known.len());
        let Some((leaf, hash)) = after.find(|(a, b)| a != b) else {
            return Ok(standing);
        };
        let violation = Violation::new(Code::TileMismatch, *leaf, *hash);
        self.against_entries.push(Failure { at: Spot::File(file), violation });
        let violation = Violation::new(Code::BundleMismatch, *hash, *leaf);
        let at = Spot::File(LogFile::Entries(bundle));
        self.against_tiles.push(Failure { at, violation });
        if let Standing::Same = self.standing {
            self.standing = Standing::Differs(self.tree.clone());
        }
        Ok(standing)
    }

    fn compare_known(&mut self, known: &[LeafHash], found: &[LeafHash], file: LogFile, code: Code) {
        if let Some((known, found)) = known.iter().zip(found).find(|(a, b)| a != b) {
            let violation = Violation::new(code, *known, *found);
            let failure = Failure { at: Spot::File(file), violation };
            self.against_entries.push(failure.clone());
            self.against_tiles.push(failure);
        }
    }

    /// Compares a tile above the lowest level with what both trees say.
    fn compare_upper(
        &mut self,
        by_entries: &TileHashes,
        by_tiles: Option<&TileHashes>,
    ) -> Result<(), AuditError> {
        let coord = self.layout.tile(by_entries.level, by_entries.index);
        let coord = coord.expect("the tree has the tiles of its layout");
        let at = Spot::File(LogFile::Tile(coord));
        let found = hashes(self.source.tile(&coord), by_entries.hashes.len())?;
        let compare = |tile: &TileHashes| match &found {
            Err(violation) => Some(violation.clone()),
            Ok(found) => {
                let found = found.iter().copied().map(NodeHash::from_bytes);
                let differing = tile.hashes.iter().zip(found).find(|(a, b)| *a != b);
                differing.map(|(hash, found)| Violation::new(Code::TileMismatch, *hash, found))
            }
        };
        if let Some(violation) = compare(by_entries) {
            self.against_entries.push(Failure { at, violation });
        }
        if let Some(violation) = by_tiles.and_then(compare) {
            self.against_tiles.push(Failure { at, violation });
        }
        Ok(())
    }
}

/// A tile's hashes, as many as it must have; or what is wrong with the file.
pub(super) fn hashes(
    tile: Result<Vec<u8>, SourceError>,
    width: usize,
) -> Result<Result<Vec<[u8; HASH_LEN]>, Violation>, AuditError> {
    let bytes = match tile {
        Ok(bytes) => bytes,
        Err(error) => return refusal(error, Code::TileMismatch).map(Err),
    };
    let (hashes, rest) = bytes.as_chunks();
    if hashes.len() != width || !rest.is_empty() {
        let violation = Violation::new(Code::TileMismatch, width * HASH_LEN, bytes.len());
        return Ok(Err(violation));
    }
    Ok(Ok(hashes.to_vec()))
}
