//! Several leaves of one tree at once: the hashes that lead from them to the root, each once
//! (spec section 17.3).

use std::collections::BTreeMap;

use super::NodeSource;
use super::proof::{ProofError, range_root, split};
use crate::model::hash::{LeafHash, NodeHash, empty_root, node_hash};

/// The hashes beside the leaves at these indexes, which increase and are below `size`.
///
/// # Errors
/// That of the source, if a hash cannot be had.
pub fn shown_proof<S: NodeSource>(
    indexes: &[u64],
    size: u64,
    nodes: &S,
) -> Result<Vec<NodeHash>, S::Error> {
    let mut proof = Vec::new();
    if size > 0 {
        collect(indexes, 0, size, nodes, &mut proof)?;
    }
    Ok(proof)
}

fn collect<S: NodeSource>(
    indexes: &[u64],
    lo: u64,
    hi: u64,
    nodes: &S,
    proof: &mut Vec<NodeHash>,
) -> Result<(), S::Error> {
    if indexes.is_empty() {
        proof.push(range_root(lo, hi, nodes)?);
    } else if hi - lo > 1 {
        let middle = lo + split(hi - lo);
        let (left, right) = indexes.split_at(indexes.partition_point(|index| *index < middle));
        collect(left, lo, middle, nodes, proof)?;
        collect(right, middle, hi, nodes, proof)?;
    }
    Ok(())
}

/// The root of the tree of `size` leaves of which these, by index, are shown.
///
/// # Errors
/// `proof/too-short`, `proof/too-long`; `proof/index-outside` for a leaf at or above `size`.
pub fn shown_root(
    leaves: &BTreeMap<u64, LeafHash>,
    size: u64,
    proof: &[NodeHash],
) -> Result<NodeHash, ProofError> {
    if let Some((&index, _)) = leaves.last_key_value().filter(|(index, _)| **index >= size) {
        return Err(super::proof::RangeError::IndexOutside { index, size }.into());
    }
    if size == 0 {
        let root = Ok(empty_root());
        return if proof.is_empty() { root } else { Err(ProofError::TooLong { needed: 0 }) };
    }
    let mut left = proof.iter();
    let root = rebuild(leaves, 0, size, &mut left);
    let root = root.ok_or(ProofError::TooShort { found: proof.len() })?;
    match left.len() {
        0 => Ok(root),
        over => Err(ProofError::TooLong { needed: proof.len() - over }),
    }
}

fn rebuild(
    leaves: &BTreeMap<u64, LeafHash>,
    lo: u64,
    hi: u64,
    proof: &mut std::slice::Iter<'_, NodeHash>,
) -> Option<NodeHash> {
    let Some((_, leaf)) = leaves.range(lo..hi).next() else {
        return proof.next().copied();
    };
    if hi - lo == 1 {
        return Some((*leaf).into());
    }
    let middle = lo + split(hi - lo);
    let left = rebuild(leaves, lo, middle, proof)?;
    let right = rebuild(leaves, middle, hi, proof)?;
    Some(node_hash(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hash::leaf_hash;
    use crate::model::merkle::{TileNodes, TreeBuilder, inclusion_proof};

    fn leaf(index: u64) -> LeafHash {
        leaf_hash(&index.to_be_bytes())
    }

    /// MTH as RFC 6962 defines it.
    fn mth(lo: u64, hi: u64) -> NodeHash {
        if hi - lo == 1 {
            return leaf(lo).into();
        }
        let mut k = 1;
        while k * 2 < hi - lo {
            k *= 2;
        }
        node_hash(&mth(lo, lo + k), &mth(lo + k, hi))
    }

    fn proof_of(indexes: &[u64], size: u64) -> Vec<NodeHash> {
        let mut tree = TreeBuilder::new();
        (0..size).for_each(|index| drop(tree.append(leaf(index))));
        let hashes: Vec<NodeHash> = (0..size).map(|index| leaf(index).into()).collect();
        let nodes = TileNodes::new(|_, tile: u64| {
            let from = tile as usize * 256;
            Ok::<_, ()>(hashes[from..hashes.len().min(from + 256)].to_vec())
        });
        shown_proof(indexes, size, &nodes).unwrap()
    }

    #[test]
    fn every_choice_of_leaves_leads_to_the_root_of_the_definition() {
        for size in 1..=9u64 {
            for choice in 1u64..1 << size {
                let indexes: Vec<u64> = (0..size).filter(|at| choice >> at & 1 == 1).collect();
                let proof = proof_of(&indexes, size);
                let leaves: BTreeMap<u64, LeafHash> =
                    indexes.iter().map(|index| (*index, leaf(*index))).collect();
                assert_eq!(shown_root(&leaves, size, &proof).unwrap(), mth(0, size));

                let mut long = proof.clone();
                long.push(mth(0, 1));
                assert_eq!(shown_root(&leaves, size, &long).unwrap_err().code(), "proof/too-long");
                if let Some((_, short)) = proof.split_last() {
                    let error = shown_root(&leaves, size, short).unwrap_err();
                    assert_eq!(error.code(), "proof/too-short");
                }
                let (&last, _) = leaves.last_key_value().unwrap();
                let error = shown_root(&leaves, last, &proof).unwrap_err();
                assert_eq!(error.code(), "proof/index-outside");
            }
        }
    }

    #[test]
    fn one_leaf_needs_the_hashes_of_its_inclusion_proof() {
        for size in [1u64, 2, 7, 200, 256] {
            for index in [0, size / 2, size - 1] {
                let hashes: Vec<NodeHash> = (0..size).map(|index| leaf(index).into()).collect();
                let nodes = TileNodes::new(|_, _| Ok::<_, ()>(hashes.clone()));
                let mut path = inclusion_proof(index, size, &nodes).unwrap();
                let mut shown = proof_of(&[index], size);
                path.sort();
                shown.sort();
                assert_eq!(path, shown);
            }
        }
    }

    #[test]
    fn another_leaf_or_place_gives_another_root() {
        let proof = proof_of(&[3, 6], 11);
        let root = |leaves: [(u64, u64); 2]| {
            let leaves = leaves.map(|(at, of)| (at, leaf(of))).into();
            shown_root(&leaves, 11, &proof)
        };
        assert_eq!(root([(3, 3), (6, 6)]).unwrap(), mth(0, 11));
        assert_ne!(root([(3, 6), (6, 3)]).unwrap(), mth(0, 11));
        assert_ne!(root([(3, 3), (6, 7)]).unwrap(), mth(0, 11));
        assert_ne!(root([(2, 3), (6, 6)]).unwrap(), mth(0, 11));
        assert_eq!(shown_root(&BTreeMap::new(), 0, &[]).unwrap(), empty_root());
    }
}
