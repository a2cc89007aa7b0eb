//! The Merkle tree over the log's entries (RFC 6962 section 2.1): its right edge, its tiles, and
//! the two proofs.
//!
//! A *perfect subtree* at level `v` and index `i` covers the leaves `[i * 2^v, (i + 1) * 2^v)`; its
//! root never changes once its last leaf is there. Everything here is built of such roots:
//!
//! - [`Frontier`] keeps those that a tree of the present size is made of, one for each set bit of
//!   the size, so that appending and the root cost at most 64 hashes.
//! - [`TreeBuilder`] keeps, beside the frontier, the tiles that are not full yet (C2SP tlog-tiles,
//!   height 8) and hands out each tile that a leaf completes.
//! - [`inclusion_proof`] and [`consistency_proof`] ask a [`NodeSource`] for them, for instance
//!   [`TileNodes`], which computes them from stored tiles.
//!
//! Names and bytes of tile files are not decided here, nor is what an empty old tree means: both
//! proofs refuse size 0 and leave it to the caller.

mod proof;
mod shown;

use thiserror::Error;

use super::hash::{LeafHash, NodeHash, empty_root, node_hash};

pub use proof::{
    ProofError, ProveError, RangeError, consistency_proof, consistency_roots, inclusion_proof,
    root_of, verify_consistency, verify_inclusion, whole_consistency_proof,
};
pub use shown::{shown_proof, shown_root};

/// Levels of the tree that one tile spans (C2SP tlog-tiles).
pub const TILE_HEIGHT: u8 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;
/// The largest tree that can be built here, in leaves: sizes fit a signed 64-bit integer, as other
/// implementations of these formats demand.
pub const TREE_SIZE_MAX: u64 = i64::MAX as u64;

/// Stored hashes that do not belong to a tree of the stated size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EdgeError {
    /// `tree/too-large`: the size is above [`TREE_SIZE_MAX`].
    #[error("a tree of {size} leaves is larger than {TREE_SIZE_MAX}")]
    TooLarge { size: u64 },
    /// `tree/edge-count`: too many or too few subtrees, tiles, or hashes of a tile, for the size.
    #[error("a right edge of {found} hashes does not fit a tree of {size} leaves")]
    Count { size: u64, found: usize },
}

impl EdgeError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "tree/too-large",
            Self::Count { .. } => "tree/edge-count",
        }
    }
}

/// The right edge of a tree: the roots of its maximal perfect subtrees.
///
/// At most 63 hashes, so a clone is cheap: take one to try leaves that may yet be discarded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Largest subtree first: one for each set bit of `size`, from the highest bit down.
    subtrees: Vec<NodeHash>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores a frontier from its size in leaves and its [`subtrees`](Self::subtrees).
    ///
    /// # Errors
    /// [`EdgeError`] if the number of hashes is not the number of set bits of the size.
    pub fn from_subtrees(size: u64, subtrees: Vec<NodeHash>) -> Result<Self, EdgeError> {
        if size > TREE_SIZE_MAX {
            return Err(EdgeError::TooLarge { size });
        }
        if subtrees.len() != size.count_ones() as usize {
            return Err(EdgeError::Count { size, found: subtrees.len() });
        }
        Ok(Self { size, subtrees })
    }

    /// Appends one leaf.
    ///
    /// # Panics
    /// If the tree has [`TREE_SIZE_MAX`] leaves.
    pub fn append(&mut self, leaf: LeafHash) {
        self.append_with(leaf, |_, _| {});
    }

    /// Appends one leaf and reports each perfect subtree that it completes: (level, root), from
    /// level 0, the leaf itself, upwards.
    fn append_with(&mut self, leaf: LeafHash, mut completed: impl FnMut(u8, NodeHash)) {
        assert!(self.size < TREE_SIZE_MAX, "the tree is full");
        let mut root = NodeHash::from(leaf);
        completed(0, root);
        // Each trailing one of the size is a subtree as large as the one in hand.
        for level in 1..=self.size.trailing_ones() as u8 {
            let left = self.subtrees.pop().expect("there is a subtree for each set bit");
            root = node_hash(&left, &root);
            completed(level, root);
        }
        self.subtrees.push(root);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the maximal perfect subtrees, the largest first.
    pub fn subtrees(&self) -> &[NodeHash] {
        &self.subtrees
    }

    /// MTH of all leaves [RFC 6962, 2.1].
    pub fn root(&self) -> NodeHash {
        join(self.subtrees.iter().copied()).unwrap_or_else(empty_root)
    }
}

/// The root over neighbouring perfect subtrees of strictly falling size.
fn join(subtrees: impl DoubleEndedIterator<Item = NodeHash>) -> Option<NodeHash> {
    subtrees.rev().reduce(|right, left| node_hash(&left, &right))
}

/// The root of a perfect subtree, from all its nodes of one level: a power of two of them.
pub fn perfect_root(nodes: &[NodeHash]) -> NodeHash {
    debug_assert!(nodes.len().is_power_of_two());
    match nodes {
        [node] => *node,
        _ => {
            let (left, right) = nodes.split_at(nodes.len() / 2);
            node_hash(&perfect_root(left), &perfect_root(right))
        }
    }
}

/// The hashes of one tile: entry `j` is the root over the leaves
/// `[(index * 256 + j) * 256^level, (index * 256 + j + 1) * 256^level)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileHashes {
    pub level: u8,
    pub index: u64,
    /// 256 of a full tile, 1 to 255 of a partial one.
    pub hashes: Vec<NodeHash>,
}

/// A tree that grows, with the tiles it fills.
///
/// Levels of tiles above 0 hold hashes of full tiles below only, so the partial tile of level `l`
/// has `floor(size / 256^l) mod 256` hashes, and together they are all that is needed to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeBuilder {
    frontier: Frontier,
    /// The partial tile of each level, lowest first; each shorter than [`TILE_WIDTH`].
    partial: Vec<Vec<NodeHash>>,
}

impl TreeBuilder {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from a stored tree: its size in leaves, and the hashes of the partial tile of each
    /// level, lowest first. A level without a partial tile below another one is an empty list;
    /// empty lists at the end may be left out.
    ///
    /// # Errors
    /// [`EdgeError`] if the number of hashes at any level does not follow from the size.
    pub fn from_partial_tiles(
        size: u64,
        mut partial: Vec<Vec<NodeHash>>,
    ) -> Result<Self, EdgeError> {
        let found = partial.iter().map(Vec::len).sum();
        while partial.last().is_some_and(Vec::is_empty) {
            partial.pop();
        }
        let mut remaining = size;
        for tile in &partial {
            if tile.len() as u64 != remaining % TILE_WIDTH as u64 {
                return Err(EdgeError::Count { size, found });
            }
            remaining >>= TILE_HEIGHT;
        }
        if remaining != 0 {
            return Err(EdgeError::Count { size, found });
        }
        // A partial tile of width w is one perfect subtree for each set bit of w.
        let mut subtrees = Vec::new();
        for tile in partial.iter().rev() {
            let mut rest = tile.as_slice();
            while !rest.is_empty() {
                let (first, after) = rest.split_at(1 << rest.len().ilog2());
                subtrees.push(perfect_root(first));
                rest = after;
            }
        }
        Ok(Self { frontier: Frontier::from_subtrees(size, subtrees)?, partial })
    }

    /// Appends one leaf; returns the tiles that it completes, lowest level first (mostly none, one
    /// at every 256th leaf, two at every 65,536th).
    ///
    /// # Panics
    /// If the tree has [`TREE_SIZE_MAX`] leaves.
    pub fn append(&mut self, leaf: LeafHash) -> Vec<TileHashes> {
        let first_leaf_after = self.frontier.size() + 1;
        let partial = &mut self.partial;
        let mut full = Vec::new();
        // Every eighth level of the tree is a level of tiles.
        self.frontier.append_with(leaf, |node_level, root| {
            if node_level % TILE_HEIGHT != 0 {
                return;
            }
            let level = node_level / TILE_HEIGHT;
            if partial.len() == usize::from(level) {
                partial.push(Vec::new());
            }
            let tile = &mut partial[usize::from(level)];
            tile.push(root);
            if tile.len() == TILE_WIDTH {
                let index = (first_leaf_after >> (TILE_HEIGHT * (level + 1))) - 1;
                full.push(TileHashes { level, index, hashes: std::mem::take(tile) });
            }
        });
        full
    }

    /// The tiles of the right edge that are not full, lowest level first; levels whose width is 0
    /// have none.
    pub fn partial_tiles(&self) -> impl Iterator<Item = TileHashes> {
        let size = self.frontier.size();
        (0u8..).zip(&self.partial).filter(|(_, hashes)| !hashes.is_empty()).map(
            move |(level, hashes)| TileHashes {
                level,
                // Level 7 is the highest that 63 bits of size reach, and holds one tile only.
                index: size.checked_shr(u32::from(TILE_HEIGHT * (level + 1))).unwrap_or(0),
                hashes: hashes.clone(),
            },
        )
    }

    /// The right edge.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// MTH of all leaves [RFC 6962, 2.1].
    pub fn root(&self) -> NodeHash {
        self.frontier.root()
    }
}

/// Where proofs get the roots of perfect subtrees from.
pub trait NodeSource {
    /// What can go wrong when a hash is fetched.
    type Error;

    /// The root of the perfect subtree over the leaves `[index * 2^level, (index + 1) * 2^level)`.
    /// It is asked only for subtrees that are complete in the tree that the proof is about.
    fn node(&self, level: u8, index: u64) -> Result<NodeHash, Self::Error>;
}

/// A [`NodeSource`] over tiles: `read(tile level, tile index)` gives the hashes of the tile, as many
/// as there are. The closure may cache: one proof asks for few tiles, each several times.
#[derive(Debug, Clone)]
pub struct TileNodes<F> {
    read: F,
}

impl<F> TileNodes<F> {
    /// Reads tiles by the given function.
    pub fn new(read: F) -> Self {
        Self { read }
    }
}

/// A node could not be had from tiles.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TileNodeError<E> {
    /// The tile could not be read.
    #[error(transparent)]
    Read(E),
    /// The tile was read but ends before the hashes that are needed.
    #[error("tile {level}/{index} has {found} hashes, {needed} are needed")]
    TooNarrow { level: u8, index: u64, needed: usize, found: usize },
}

impl<F, T, E> NodeSource for TileNodes<F>
where
    F: Fn(u8, u64) -> Result<T, E>,
    T: AsRef<[NodeHash]>,
{
    type Error = TileNodeError<E>;

    fn node(&self, level: u8, index: u64) -> Result<NodeHash, Self::Error> {
        // A node at level 8l + s is the root over 2^s neighbouring hashes of a tile of level l.
        let (tile_level, span) = (level / TILE_HEIGHT, 1 << (level % TILE_HEIGHT));
        let first = index * span as u64;
        let tile_index = first >> TILE_HEIGHT;
        let start = (first % TILE_WIDTH as u64) as usize;
        let tile = (self.read)(tile_level, tile_index).map_err(TileNodeError::Read)?;
        let hashes = tile.as_ref();
        let nodes = hashes.get(start..start + span).ok_or(TileNodeError::TooNarrow {
            level: tile_level,
            index: tile_index,
            needed: start + span,
            found: hashes.len(),
        })?;
        Ok(perfect_root(nodes))
    }
}
