//! The two proofs of RFC 6962: that a leaf is in a tree (section 2.1.1), and that a tree extends
//! another (section 2.1.2). Making one needs hashes of the tree, checking one only the proof.

use std::convert::Infallible;

use thiserror::Error;

use super::{NodeSource, join};
use crate::model::hash::{LeafHash, NodeHash, empty_root, node_hash};

/// A proof that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProveError<E = Infallible> {
    /// There is no such proof for these numbers.
    #[error(transparent)]
    Range(RangeError),
    /// A hash could not be had.
    #[error(transparent)]
    Source(E),
}

/// Numbers that no proof is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RangeError {
    /// `proof/index-outside`: the tree has no leaf of this index.
    #[error("index {index} is outside a tree of {size} leaves")]
    IndexOutside { index: u64, size: u64 },
    /// `proof/size-zero`: whether a tree extends the empty one is not decided by a proof.
    #[error("the old tree is empty")]
    SizeZero,
    /// `proof/sizes-reversed`: the old tree is larger than the new one.
    #[error("the old tree has {old_size} leaves, the new one only {new_size}")]
    SizesReversed { old_size: u64, new_size: u64 },
}

impl RangeError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::IndexOutside { .. } => "proof/index-outside",
            Self::SizeZero => "proof/size-zero",
            Self::SizesReversed { .. } => "proof/sizes-reversed",
        }
    }

    fn check_inclusion(index: u64, size: u64) -> Result<(), Self> {
        if index < size { Ok(()) } else { Err(Self::IndexOutside { index, size }) }
    }

    fn check_consistency(old_size: u64, new_size: u64) -> Result<(), Self> {
        if old_size > new_size {
            return Err(Self::SizesReversed { old_size, new_size });
        }
        if old_size == 0 { Err(Self::SizeZero) } else { Ok(()) }
    }
}

/// k, the largest power of two smaller than n [RFC 6962, 2.1]; n is at least 2.
pub(super) fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// MTH(D[lo:hi]) for a range that is a node of the tree: hi > lo, and lo is a multiple of each
/// subtree that the range falls into.
pub(super) fn range_root<S: NodeSource>(lo: u64, hi: u64, nodes: &S) -> Result<NodeHash, S::Error> {
    let mut subtrees = Vec::new();
    let mut at = lo;
    while at < hi {
        let level = (hi - at).ilog2();
        subtrees.push(nodes.node(level as u8, at >> level)?);
        at += 1 << level;
    }
    Ok(join(subtrees.into_iter()).expect("the range is not empty"))
}

/// `MTH(D[0:size])` [RFC 6962, 2.1]: the root of a tree, or of the one that it grew from.
///
/// # Errors
/// If a hash cannot be had.
pub fn root_of<S: NodeSource>(size: u64, nodes: &S) -> Result<NodeHash, S::Error> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, nodes) }
}

/// `PATH(index, D[size])` [RFC 6962, 2.1.1], leaf side first.
///
/// # Errors
/// [`ProveError`] if the tree has no such leaf, or a hash cannot be had.
pub fn inclusion_proof<S: NodeSource>(
    index: u64,
    size: u64,
    nodes: &S,
) -> Result<Vec<NodeHash>, ProveError<S::Error>> {
    RangeError::check_inclusion(index, size).map_err(ProveError::Range)?;
    let mut proof = Vec::new();
    let (mut lo, mut hi) = (0, size);
    while hi - lo > 1 {
        let middle = lo + split(hi - lo);
        let sibling;
        if index < middle {
            sibling = range_root(middle, hi, nodes);
            hi = middle;
        } else {
            sibling = range_root(lo, middle, nodes);
            lo = middle;
        }
        proof.push(sibling.map_err(ProveError::Source)?);
    }
    proof.reverse();
    Ok(proof)
}

/// `PROOF(old_size, D[new_size])` [RFC 6962, 2.1.2]; empty if the sizes are equal.
///
/// # Errors
/// [`ProveError`] if the old tree is empty or the larger one, or a hash cannot be had.
pub fn consistency_proof<S: NodeSource>(
    old_size: u64,
    new_size: u64,
    nodes: &S,
) -> Result<Vec<NodeHash>, ProveError<S::Error>> {
    RangeError::check_consistency(old_size, new_size).map_err(ProveError::Range)?;
    let mut proof = Vec::new();
    let (mut lo, mut hi) = (0, new_size);
    while hi != old_size {
        let middle = lo + split(hi - lo);
        let sibling;
        if old_size <= middle {
            sibling = range_root(middle, hi, nodes);
            hi = middle;
        } else {
            sibling = range_root(lo, middle, nodes);
            lo = middle;
        }
        proof.push(sibling.map_err(ProveError::Source)?);
    }
    // The verifier has the root of the whole old tree, but not of a part of it.
    if lo > 0 {
        proof.push(range_root(lo, hi, nodes).map_err(ProveError::Source)?);
    }
    proof.reverse();
    Ok(proof)
}

/// As [`consistency_proof`], with its first hash also where the root of the old tree would do: for
/// a reader who does not believe that root ([`consistency_roots`]).
///
/// # Errors
/// As [`consistency_proof`].
pub fn whole_consistency_proof<S: NodeSource>(
    old_size: u64,
    new_size: u64,
    nodes: &S,
) -> Result<Vec<NodeHash>, ProveError<S::Error>> {
    let mut proof = consistency_proof(old_size, new_size, nodes)?;
    if old_size.is_power_of_two() {
        let start = nodes.node(old_size.ilog2() as u8, 0).map_err(ProveError::Source)?;
        proof.insert(0, start);
    }
    Ok(proof)
}

/// A proof that does not show what it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The numbers are such that no proof is about them.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// `proof/too-long`: hashes are left over when the root is reached.
    #[error("the proof has more than the {needed} hashes that it needs")]
    TooLong { needed: usize },
    /// `proof/too-short`: the hashes end below the root.
    #[error("the proof ends after {found} hashes, below the root")]
    TooShort { found: usize },
    /// `proof/old-root`: the proof leads to another root of the old tree.
    #[error("the proof leads to old root {found}, not {expected}")]
    OldRoot { expected: NodeHash, found: NodeHash },
    /// `proof/root`: the proof leads to another root.
    #[error("the proof leads to root {found}, not {expected}")]
    Root { expected: NodeHash, found: NodeHash },
}

impl ProofError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Range(range) => range.code(),
            Self::TooLong { .. } => "proof/too-long",
            Self::TooShort { .. } => "proof/too-short",
            Self::OldRoot { .. } => "proof/old-root",
            Self::Root { .. } => "proof/root",
        }
    }
}

/// A climb from a node to the root: `node` is the index of the node in its level, `last` that of
/// the last node of the same level.
struct Climb {
    node: u64,
    last: u64,
}

impl Climb {
    /// Goes up by one sibling, and says on which side it stands: true if on the left.
    fn sibling_is_left(&mut self) -> Option<bool> {
        if self.last == 0 {
            return None;
        }
        let left = self.node % 2 == 1 || self.node == self.last;
        if left {
            // A last node without a right neighbour moves up unchanged until it is a right child.
            self.skip(self.node.trailing_zeros());
        }
        self.skip(1);
        Some(left)
    }

    fn skip(&mut self, levels: u32) {
        self.node >>= levels;
        self.last >>= levels;
    }
}

/// Checks that the tree of `size` leaves under `root` has `leaf` at `index`.
///
/// # Errors
/// [`ProofError`] says in what the proof fails; each tree has exactly one valid proof a leaf.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &LeafHash,
    proof: &[NodeHash],
    root: &NodeHash,
) -> Result<(), ProofError> {
    RangeError::check_inclusion(index, size)?;
    let mut climb = Climb { node: index, last: size - 1 };
    let mut found = NodeHash::from(*leaf);
    for (used, sibling) in proof.iter().enumerate() {
        let left = climb.sibling_is_left().ok_or(ProofError::TooLong { needed: used })?;
        found = if left { node_hash(sibling, &found) } else { node_hash(&found, sibling) };
    }
    if climb.last != 0 {
        return Err(ProofError::TooShort { found: proof.len() });
    }
    expect_root(*root, found)
}

/// Checks that the tree of `new_size` leaves under `new_root` begins with all the leaves of the tree
/// of `old_size` leaves under `old_root`.
///
/// # Errors
/// [`ProofError`] says in what the proof fails. An empty old tree is refused: whether it is taken
/// as the beginning of anything is for the caller to decide.
pub fn verify_consistency(
    old_size: u64,
    new_size: u64,
    old_root: &NodeHash,
    new_root: &NodeHash,
    proof: &[NodeHash],
) -> Result<(), ProofError> {
    RangeError::check_consistency(old_size, new_size)?;
    if old_size == new_size {
        if !proof.is_empty() {
            return Err(ProofError::TooLong { needed: 0 });
        }
        return expect_root(*new_root, *old_root);
    }
    // The climb starts at the largest perfect subtree that ends the old tree. If that is the whole
    // old tree, the proof leaves it out, since the verifier has its root.
    let (start, siblings) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(ProofError::TooShort { found: 0 })?
    };
    let (old, new) = climb_both(old_size, new_size, start, siblings).map_err(|error| {
        let before = proof.len() - siblings.len();
        match error {
            ProofError::TooLong { needed } => ProofError::TooLong { needed: before + needed },
            ProofError::TooShort { found } => ProofError::TooShort { found: before + found },
            other => other,
        }
    })?;
    if old != *old_root {
        return Err(ProofError::OldRoot { expected: *old_root, found: old });
    }
    expect_root(*new_root, new)
}

/// The two roots that a whole consistency proof ([`whole_consistency_proof`]) leads to: of the old
/// tree, and of the new one.
///
/// If the second is the root of a tree, the first is that of its first `old_size` leaves: no other
/// hashes lead to the same root at these sizes.
///
/// # Errors
/// [`ProofError`] if the hashes are too many or too few, or the sizes are none of two such trees.
pub fn consistency_roots(
    old_size: u64,
    new_size: u64,
    whole_proof: &[NodeHash],
) -> Result<(NodeHash, NodeHash), ProofError> {
    RangeError::check_consistency(old_size, new_size)?;
    let (start, siblings) = whole_proof.split_first().ok_or(ProofError::TooShort { found: 0 })?;
    climb_both(old_size, new_size, start, siblings)
}

/// Climbs from the largest perfect subtree that ends the old tree to both roots.
fn climb_both(
    old_size: u64,
    new_size: u64,
    start: &NodeHash,
    siblings: &[NodeHash],
) -> Result<(NodeHash, NodeHash), ProofError> {
    let mut climb = Climb { node: old_size - 1, last: new_size - 1 };
    climb.skip(climb.node.trailing_ones());
    let (mut old, mut new) = (*start, *start);
    for (used, sibling) in siblings.iter().enumerate() {
        if climb.sibling_is_left().ok_or(ProofError::TooLong { needed: used })? {
            // What stands to the left belongs to both trees, what stands to the right is new.
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
        } else {
            new = node_hash(&new, sibling);
        }
    }
    if climb.last != 0 {
        return Err(ProofError::TooShort { found: siblings.len() });
    }
    Ok((old, new))
}

fn expect_root(expected: NodeHash, found: NodeHash) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::Root { expected, found }) }
}
