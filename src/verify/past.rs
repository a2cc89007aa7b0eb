//! The entries before, for rules that look back.
//!
//! Leaf hashes of entries that this audit has replayed are kept, 32 bytes each. Of entries that an
//! earlier audit replayed, only the right edge of the tree over them is known: their leaf hashes
//! come from the source's tiles, and each tile must have the hash that the tile above it holds, up
//! to that edge. An event is read from the source again, and must have its leaf hash.

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

/// How many tiles of the old tree are kept; 8 KB each.
const TILES_KEPT: usize = 256;

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

/// The entries before.
pub(super) struct Past<'a> {
    source: &'a dyn LogSource,
    layout: TileLayout,
    genesis: LeafHash,
    old: OldTree<'a>,
    /// The leaf hashes of the entries after the old tree.
    leaves: Vec<LeafHash>,
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
            old,
            leaves: Vec::new(),
            bundles: RefCell::default(),
            failed: RefCell::default(),
        }
    }

    /// How many entries there are.
    pub(super) fn size(&self) -> u64 {
        self.old.size + self.leaves.len() as u64
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
        let coord = self.layout.bundle(index / WIDTH).expect("the entry was read before");
        let file = LogFile::Entries(coord);
        let changed = || match index < self.old.size {
            true => AuditError::ChangedSince { file },
            false => AuditError::Changed { file },
        };
        let mut bundles = self.bundles.borrow_mut();
        let at = bundles.iter().position(|(kept, _)| *kept == coord.index());
        let kept = match at.and_then(|at| bundles.remove(at)) {
            Some(kept) => kept,
            None => (coord.index(), self.source.entries(&coord)?),
        };
        let bundle = EntryBundle::parse(&kept.1, &coord).map_err(|_| changed())?;
        let bytes = bundle.entries().nth((index % WIDTH) as usize).ok_or_else(changed)?;
        if leaf_hash(bytes) != leaf {
            return Err(changed());
        }
        // Only what could be read once is asked for, and these are the same bytes.
        let entry = Entry::from_bytes(bytes).map_err(|_| changed())?;
        if bundles.len() == BUNDLES_KEPT {
            bundles.pop_front();
        }
        bundles.push_back(kept);
        Ok(entry)
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
        match index.checked_sub(self.old.size) {
            None => self.looked_back(self.old.leaf(index)),
            Some(after) => self.leaves.get(usize::try_from(after).ok()?).copied(),
        }
    }
}
