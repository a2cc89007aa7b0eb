//! The entries before, for rules that look back.
//!
//! Of entries that this audit has replayed, one hash is kept for each 256, those of a full tile of
//! leaf hashes; and the leaf hashes themselves of the newest. Older ones are worked out again from
//! the entries, and the tile must have its hash. Of entries that an earlier audit replayed, only
//! the right edge of the tree over them is known: their leaf hashes come from the source's tiles,
//! and each tile must have the hash that the tile above it holds, up to that edge. An event is
//! read from the source again, and must have its leaf hash.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::AuditError;
use crate::bundle::{LogFile, LogSource};
use crate::model::entry::{Entry, NO_LEAF};
use crate::model::hash::{HASH_LEN, LeafHash, NodeHash, leaf_hash};
use crate::model::ident::EntryIndex;
use crate::model::merkle::{
    TILE_HEIGHT, TileNodeError, TileNodes, TreeBuilder, perfect_root, root_of,
};
use crate::model::state::{History, Recorded};
use crate::model::tile::{EntryBundle, TILE_WIDTH, TileCoord, TileLayout};

/// How many entry bundles are kept for rules that look back; 16.8 MB each at worst.
const BUNDLES_KEPT: usize = 8;

/// How many tiles of older entries are kept; 8 KB each.
const TILES_KEPT: usize = 256;

/// Of how many tiles the newest leaf hashes are kept; 8 KB each. Signers name entries that they
/// have just seen, so few rules look further back.
const RECENT_KEPT: usize = 2048;

const WIDTH: u64 = TILE_WIDTH as u64;

/// Level and index of a full tile, and its hashes.
type FullTile = ((u8, u64), Vec<NodeHash>);

/// The tree that an earlier audit ended with, read from the source's tiles and checked.
pub(super) struct OldTree<'a> {
    source: &'a dyn LogSource,
    size: u64,
    /// The hashes of the partial tile of each level.
    edge: Vec<Vec<NodeHash>>,
    /// The full tiles that were asked for last, oldest first.
    tiles: RefCell<VecDeque<FullTile>>,
}

impl<'a> OldTree<'a> {
    pub(super) fn new(source: &'a dyn LogSource, tree: &TreeBuilder) -> Self {
        let mut edge = vec![Vec::new(); TileLayout::of_size(tree.size()).level_count().into()];
        tree.partial_tiles().for_each(|tile| edge[usize::from(tile.level)] = tile.hashes);
        Self { source, size: tree.size(), edge, tiles: RefCell::default() }
    }

    /// The root over the first `size` entries, not more than the tree has.
    pub(super) fn root_at(&self, size: u64) -> Result<NodeHash, AuditError> {
        let nodes = TileNodes::new(|level, index| self.tile(level, index));
        root_of(size, &nodes).map_err(|error| match error {
            TileNodeError::Read(error) => error,
            TileNodeError::TooNarrow { .. } => unreachable!("full tiles and the edge are checked"),
        })
    }

    fn leaf(&self, index: EntryIndex) -> Result<LeafHash, AuditError> {
        let tile = self.tile(0, index / WIDTH)?;
        Ok(LeafHash::from_bytes(*tile[(index % WIDTH) as usize].as_bytes()))
    }

    /// The hashes of a tile that the tree has, as many as are in the tree.
    fn tile(&self, level: u8, index: u64) -> Result<Vec<NodeHash>, AuditError> {
        let full = self.size.checked_shr(u32::from(TILE_HEIGHT) * (u32::from(level) + 1));
        if index >= full.unwrap_or(0) {
            return Ok(self.edge[usize::from(level)].clone());
        }
        if let Some((_, hashes)) = self.tiles.borrow().iter().find(|(at, _)| *at == (level, index))
        {
            return Ok(hashes.clone());
        }
        // Ends at the edge: the tree has fewer tiles at each higher level.
        let above = self.tile(level + 1, index / WIDTH)?;
        let coord = TileCoord::new(level, index, TILE_WIDTH).expect("the levels of a tree are few");
        let bytes = self.source.tile(&coord)?;
        let (hashes, rest) = bytes.as_chunks::<HASH_LEN>();
        let hashes: Vec<NodeHash> = hashes.iter().copied().map(NodeHash::from_bytes).collect();
        let is_full = hashes.len() == usize::from(TILE_WIDTH) && rest.is_empty();
        if !is_full || perfect_root(&hashes) != above[(index % WIDTH) as usize] {
            return Err(AuditError::ChangedSince { file: LogFile::Tile(coord) });
        }
        let mut tiles = self.tiles.borrow_mut();
        if tiles.len() == TILES_KEPT {
            tiles.pop_front();
        }
        tiles.push_back(((level, index), hashes.clone()));
        Ok(hashes)
    }
}

/// The leaf hashes of the entries after the last full tile of the old tree.
struct Leaves {
    /// The index of the first tile of them.
    first: u64,
    /// The hashes of the full tiles.
    full: Vec<NodeHash>,
    /// The newest full tiles, at most so many.
    recent: VecDeque<Vec<LeafHash>>,
    recent_max: usize,
    /// The tile that is not full yet.
    open: Vec<LeafHash>,
    /// The older tiles that were asked for last, oldest first.
    older: RefCell<VecDeque<(u64, Vec<LeafHash>)>>,
}

impl Leaves {
    /// Those at the edge of the old tree; of `recent_max` full tiles, all are kept.
    fn after(old: &OldTree<'_>, recent_max: usize) -> Self {
        let edge = old.edge.first().into_iter().flatten();
        Self {
            first: old.size / WIDTH,
            recent_max,
            full: Vec::new(),
            recent: VecDeque::new(),
            open: edge.map(|hash| LeafHash::from_bytes(*hash.as_bytes())).collect(),
            older: RefCell::default(),
        }
    }

    fn size(&self) -> u64 {
        (self.first + self.full.len() as u64) * WIDTH + self.open.len() as u64
    }

    fn push(&mut self, leaf: LeafHash) {
        self.open.push(leaf);
        if self.open.len() < usize::from(TILE_WIDTH) {
            return;
        }
        if self.recent.len() == self.recent_max {
            self.recent.pop_front();
        }
        self.full.push(tile_hash(&self.open));
        self.recent.push_back(std::mem::take(&mut self.open));
    }

    /// The leaf hash of an entry from the first tile on; `None` if there is no such entry. A tile
    /// that is not at hand any more is worked out by `read`, and gives that error if it is not what
    /// it was.
    fn get(
        &self,
        index: EntryIndex,
        read: impl FnOnce() -> Result<Vec<LeafHash>, AuditError>,
        changed: impl FnOnce() -> AuditError,
    ) -> Result<Option<LeafHash>, AuditError> {
        let (tile, at) = (index / WIDTH - self.first, (index % WIDTH) as usize);
        let Some(expected) = usize::try_from(tile).ok().and_then(|tile| self.full.get(tile)) else {
            let is_open = tile == self.full.len() as u64;
            return Ok(self.open.get(at).filter(|_| is_open).copied());
        };
        let gone = (self.full.len() - self.recent.len()) as u64;
        if let Some(recent) = tile.checked_sub(gone) {
            return Ok(Some(self.recent[recent as usize][at]));
        }
        let mut older = self.older.borrow_mut();
        let leaves = match older.iter().position(|(kept, _)| *kept == tile) {
            Some(kept) => older.remove(kept).expect("it was found there").1,
            None => {
                Some(read()?).filter(|read| tile_hash(read) == *expected).ok_or_else(changed)?
            }
        };
        let leaf = leaves[at];
        if older.len() == TILES_KEPT {
            older.pop_front();
        }
        older.push_back((tile, leaves));
        Ok(Some(leaf))
    }
}

/// The hash of a full tile of leaf hashes; of no other number of them.
fn tile_hash(leaves: &[LeafHash]) -> NodeHash {
    let nodes: Vec<NodeHash> = leaves.iter().copied().map(NodeHash::from).collect();
    perfect_root(&nodes)
}

/// The entries before.
pub(super) struct Past<'a> {
    source: &'a dyn LogSource,
    layout: TileLayout,
    genesis: LeafHash,
    old: OldTree<'a>,
    leaves: Leaves,
    /// The bundles that were asked for last, oldest first.
    bundles: RefCell<VecDeque<(u64, Vec<u8>)>>,
    /// Why an event could not be had; the rules only see that it could not.
    failed: RefCell<Option<AuditError>>,
}

impl<'a> Past<'a> {
    /// Nothing but what is in the old tree. `genesis` is the leaf hash of entry 0.
    pub(super) fn new(
        source: &'a dyn LogSource,
        layout: TileLayout,
        genesis: LeafHash,
        old: OldTree<'a>,
    ) -> Self {
        Self {
            source,
            layout,
            genesis,
            leaves: Leaves::after(&old, RECENT_KEPT),
            old,
            bundles: RefCell::default(),
            failed: RefCell::default(),
        }
    }

    /// How many entries there are.
    pub(super) fn size(&self) -> u64 {
        self.leaves.size()
    }

    /// The leaf hash of entry 0, if there is one.
    pub(super) fn genesis(&self) -> Option<LeafHash> {
        (self.size() > 0).then_some(self.genesis)
    }

    pub(super) fn push(&mut self, leaf: LeafHash) {
        self.leaves.push(leaf);
    }

    /// Why something could not be had since this was asked last.
    pub(super) fn take_fault(&self) -> Option<AuditError> {
        self.failed.take()
    }

    fn looked_back<T>(&self, result: Result<T, AuditError>) -> Option<T> {
        let first = |error| {
            self.failed.borrow_mut().get_or_insert(error);
        };
        result.map_err(first).ok()
    }

    /// The entry with this leaf hash.
    fn read(&self, index: EntryIndex, leaf: LeafHash) -> Result<Entry, AuditError> {
        self.bundle(index, |bundle| {
            let bytes = bundle.entries().nth((index % WIDTH) as usize)?;
            // Only what could be read once is asked for, and these are the same bytes.
            (leaf_hash(bytes) == leaf).then(|| Entry::from_bytes(bytes).ok())?
        })
    }

    /// What is read from the bundle that an entry is in; none if it is not what it was.
    fn bundle<T>(
        &self,
        index: EntryIndex,
        read: impl FnOnce(EntryBundle<'_>) -> Option<T>,
    ) -> Result<T, AuditError> {
        let coord = self.layout.bundle(index / WIDTH).expect("the entry was read before");
        let mut bundles = self.bundles.borrow_mut();
        let at = bundles.iter().position(|(kept, _)| *kept == coord.index());
        let kept = match at.and_then(|at| bundles.remove(at)) {
            Some(kept) => kept,
            None => (coord.index(), self.source.entries(&coord)?),
        };
        let bundle = EntryBundle::parse(&kept.1, &coord).ok();
        let found = bundle.and_then(read).ok_or_else(|| self.changed(index))?;
        if bundles.len() == BUNDLES_KEPT {
            bundles.pop_front();
        }
        bundles.push_back(kept);
        Ok(found)
    }

    fn changed(&self, index: EntryIndex) -> AuditError {
        let coord = self.layout.bundle(index / WIDTH).expect("the entry was read before");
        let file = LogFile::Entries(coord);
        match index < self.old.size {
            true => AuditError::ChangedSince { file },
            false => AuditError::Changed { file },
        }
    }
}

impl History for Past<'_> {
    fn event(&self, index: EntryIndex) -> Option<Recorded> {
        let leaf = self.leaf(index)?;
        let entry = self.looked_back(self.read(index, leaf))?;
        let genesis = if index == 0 { NO_LEAF } else { self.genesis };
        let event = entry.event.open(&genesis).ok()?;
        Some(Recorded { index, recorded_at: entry.header.recorded_at, event })
    }

    fn leaf(&self, index: EntryIndex) -> Option<LeafHash> {
        if index / WIDTH < self.leaves.first {
            return self.looked_back(self.old.leaf(index));
        }
        let hashes = |bundle: EntryBundle<'_>| Some(bundle.entries().map(leaf_hash).collect());
        let read = || self.bundle(index, hashes);
        self.looked_back(self.leaves.get(index, read, || self.changed(index)))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(index: u64) -> LeafHash {
        leaf_hash(&index.to_be_bytes())
    }

    fn changed() -> AuditError {
        let coord = TileLayout::of_size(1).bundle(0).expect("there is an entry");
        AuditError::Changed { file: LogFile::Entries(coord) }
    }

    #[test]
    fn leaves_that_are_not_kept_are_read_again_and_must_be_the_same() {
        const SIZE: u64 = 6 * WIDTH + 3;
        // Nothing is read of this tree but its edge.
        let folder = crate::bundle::LogFolder::new("/nowhere");
        for old_size in [0, 1, 255, 256, 600] {
            let mut tree = TreeBuilder::new();
            (0..old_size).for_each(|index| drop(tree.append(leaf(index))));
            let mut leaves = Leaves::after(&OldTree::new(&folder, &tree), 2);
            (old_size..SIZE).for_each(|index| leaves.push(leaf(index)));
            assert_eq!(leaves.size(), SIZE);
            for index in old_size / WIDTH * WIDTH..SIZE {
                let begin = index / WIDTH * WIDTH;
                let tile: Vec<LeafHash> = (begin..begin + WIDTH).map(leaf).collect();
                let mut wrong = tile.clone();
                wrong[7] = leaf(SIZE);
                let is_kept = begin >= 4 * WIDTH;
                let got = leaves.get(index, || Ok(wrong), changed);
                // After the first of a tile, the right one is at hand.
                if is_kept || index > begin {
                    assert_eq!(got.unwrap(), Some(leaf(index)));
                    continue;
                }
                assert!(matches!(got, Err(AuditError::Changed { .. })), "{index}");
                assert_eq!(leaves.get(index, || Ok(tile), changed).unwrap(), Some(leaf(index)));
            }
            for index in [SIZE, SIZE + 1, SIZE + WIDTH, u64::MAX] {
                assert_eq!(leaves.get(index, || Err(changed()), changed).unwrap(), None);
            }
        }
    }
}
