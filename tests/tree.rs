//! The tree and its proofs, against the recursive definitions of RFC 6962, published vectors, and
//! other implementations.

use std::convert::Infallible;

use base64::prelude::{BASE64_STANDARD, Engine};
use giftproof::model::hash::{LeafHash, NodeHash, empty_root, leaf_hash, node_hash};
use giftproof::model::merkle::*;

// The tree, by its recursive definition.

fn leaves(count: u64) -> Vec<LeafHash> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

/// k, the largest power of two smaller than n.
fn k(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// MTH(D) [RFC 6962, 2.1]
fn mth(d: &[LeafHash]) -> NodeHash {
    match d {
        [] => empty_root(),
        [leaf] => NodeHash::from(*leaf),
        _ => node_hash(&mth(&d[..k(d.len())]), &mth(&d[k(d.len())..])),
    }
}

/// PATH(m, D) [RFC 6962, 2.1.1]
fn path(m: usize, d: &[LeafHash]) -> Vec<NodeHash> {
    let k = k(d.len());
    if d.len() == 1 {
        vec![]
    } else if m < k {
        [path(m, &d[..k]), vec![mth(&d[k..])]].concat()
    } else {
        [path(m - k, &d[k..]), vec![mth(&d[..k])]].concat()
    }
}

/// SUBPROOF(m, D, b) [RFC 6962, 2.1.2]; PROOF(m, D) = SUBPROOF(m, D, true).
fn subproof(m: usize, d: &[LeafHash], known: bool) -> Vec<NodeHash> {
    let k = k(d.len());
    if m == d.len() {
        if known { vec![] } else { vec![mth(d)] }
    } else if m <= k {
        [subproof(m, &d[..k], known), vec![mth(&d[k..])]].concat()
    } else {
        [subproof(m - k, &d[k..], false), vec![mth(&d[..k])]].concat()
    }
}

/// Perfect subtrees, computed from the leaves each time.
pub(super) struct Leaves<'a>(pub(super) &'a [LeafHash]);

impl NodeSource for Leaves<'_> {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<NodeHash, Infallible> {
        let (start, count) = ((index << level) as usize, 1 << level);
        Ok(mth(&self.0[start..start + count]))
    }
}

pub(super) fn frontier(leaves: &[LeafHash]) -> Frontier {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier
}

#[test]
fn all_sizes_to_130_follow_the_recursive_definition() {
    let all = leaves(130);
    let mut grown = Frontier::new();
    assert_eq!(grown.root(), empty_root());
    for (n, leaf) in (1u64..).zip(&all) {
        grown.append(*leaf);
        let d = &all[..n as usize];
        let root = mth(d);
        assert_eq!((grown.size(), grown.root()), (n, root));
        let restored = Frontier::from_subtrees(n, grown.subtrees().to_vec()).unwrap();
        assert_eq!(restored, grown);
        for i in 0..n {
            let proof = inclusion_proof(i, n, &Leaves(d)).unwrap();
            assert_eq!(proof, path(i as usize, d), "leaf {i} of {n}");
            verify_inclusion(i, n, &d[i as usize], &proof, &root).unwrap();
        }
        for m in 1..=n {
            let proof = consistency_proof(m, n, &Leaves(d)).unwrap();
            assert_eq!(proof, subproof(m as usize, d, true), "{m} to {n}");
            verify_consistency(m, n, &mth(&d[..m as usize]), &root, &proof).unwrap();
        }
    }
}

/// Everything near a proof: a bit of each hash flipped, a hash left out, doubled, or put in.
fn mutations(proof: &[NodeHash], spare: NodeHash) -> Vec<Vec<NodeHash>> {
    let mut all = Vec::new();
    for at in 0..=proof.len() {
        let mut longer = proof.to_vec();
        longer.insert(at, spare);
        all.push(longer);
    }
    for at in 0..proof.len() {
        let mut bytes = *proof[at].as_bytes();
        bytes[at % 32] ^= 0x10;
        let (mut flipped, mut shorter, mut doubled) =
            (proof.to_vec(), proof.to_vec(), proof.to_vec());
        flipped[at] = NodeHash::from_bytes(bytes);
        shorter.remove(at);
        doubled.insert(at, proof[at]);
        all.extend([flipped, shorter, doubled, proof[..at].to_vec()]);
    }
    all
}

#[test]
fn no_neighbour_of_a_proof_is_a_proof() {
    let all = leaves(40);
    let other = NodeHash::from(leaf_hash(b"other"));
    for n in 1..=40u64 {
        let d = &all[..n as usize];
        let root = mth(d);
        for i in 0..n {
            let leaf = &d[i as usize];
            let proof = path(i as usize, d);
            let spares = [other, root, NodeHash::from(*leaf)];
            for wrong in spares.iter().flat_map(|spare| mutations(&proof, *spare)) {
                assert!(verify_inclusion(i, n, leaf, &wrong, &root).is_err());
            }
            assert!(verify_inclusion(i, n, leaf, &proof, &other).is_err());
            assert!(verify_inclusion(i, n, &leaf_hash(b"other"), &proof, &root).is_err());
            for wrong in (0..n + 2).filter(|wrong| *wrong != i) {
                assert!(verify_inclusion(wrong, n, leaf, &proof, &root).is_err());
            }
        }
        for m in 1..=n {
            let old = mth(&d[..m as usize]);
            let proof = subproof(m as usize, d, true);
            for wrong in [other, root, old].iter().flat_map(|spare| mutations(&proof, *spare)) {
                assert!(verify_consistency(m, n, &old, &root, &wrong).is_err(), "{m} to {n}");
            }
            assert!(verify_consistency(m, n, &other, &root, &proof).is_err());
            assert!(verify_consistency(m, n, &old, &other, &proof).is_err());
            if m != n {
                assert!(verify_consistency(m, n, &root, &old, &proof).is_err());
                assert!(verify_consistency(n, m, &root, &old, &proof).is_err());
            }
        }
    }
}

#[test]
fn wrong_proofs_are_named() {
    let d = &leaves(6);
    let (root, other) = (mth(d), NodeHash::from(leaf_hash(b"other")));
    let inclusion = |index, proof: &[NodeHash], root| {
        verify_inclusion(index, 6, &d[3], proof, &root).unwrap_err().code()
    };
    let proof = path(3, d);
    assert_eq!(inclusion(6, &proof, root), "proof/index-outside");
    assert_eq!(inclusion(3, &proof[..2], root), "proof/too-short");
    assert_eq!(inclusion(3, &[&proof[..], &[other]].concat(), root), "proof/too-long");
    assert_eq!(inclusion(3, &proof, other), "proof/root");
    let consistency = |m, n, old: NodeHash, proof: &[NodeHash], new| {
        verify_consistency(m, n, &old, &new, proof).unwrap_err().code()
    };
    let (old, proof) = (mth(&d[..3]), subproof(3, d, true));
    assert_eq!(consistency(0, 6, empty_root(), &[], root), "proof/size-zero");
    assert_eq!(consistency(0, 0, empty_root(), &[], empty_root()), "proof/size-zero");
    assert_eq!(consistency(6, 3, root, &proof, old), "proof/sizes-reversed");
    assert_eq!(consistency(3, 6, old, &[], root), "proof/too-short");
    assert_eq!(consistency(3, 6, old, &proof[..2], root), "proof/too-short");
    assert_eq!(consistency(3, 6, old, &[&proof[..], &[other]].concat(), root), "proof/too-long");
    assert_eq!(consistency(6, 6, root, &[other], root), "proof/too-long");
    assert_eq!(consistency(3, 6, other, &proof, root), "proof/old-root");
    assert_eq!(consistency(3, 6, old, &proof, other), "proof/root");
    assert_eq!(consistency(6, 6, root, &[], other), "proof/root");
    // Numbers at the end of their range must not overflow.
    let huge = vec![other; 64];
    assert!(verify_inclusion(u64::MAX - 1, u64::MAX, &d[0], &huge, &root).is_err());
    assert!(verify_consistency(u64::MAX - 1, u64::MAX, &old, &root, &huge).is_err());
    assert!(verify_consistency(1 << 63, u64::MAX, &old, &root, &huge).is_err());
    assert!(inclusion_proof(6, 6, &Leaves(d)).is_err());
    assert!(consistency_proof(0, 6, &Leaves(d)).is_err());
    assert!(consistency_proof(7, 6, &Leaves(d)).is_err());
}

// Tiles.

/// Grows a tree and collects the tiles it fills.
fn grow(builder: &mut TreeBuilder, leaves: &[LeafHash]) -> Vec<TileHashes> {
    leaves.iter().flat_map(|leaf| builder.append(*leaf)).collect()
}

/// What another implementation stores for these leaves.
struct Foreign(Vec<tlog_tiles::Hash>);

impl tlog_tiles::HashReader for Foreign {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|i| self.0[*i as usize]).collect())
    }
}

fn foreign(leaves: &[LeafHash]) -> Foreign {
    let mut stored = Foreign(Vec::new());
    for (n, leaf) in (0..).zip(leaves) {
        let leaf = tlog_tiles::Hash(*leaf.as_bytes());
        let new = tlog_tiles::stored_hashes_for_record_hash(n, leaf, &stored).unwrap();
        stored.0.extend(new);
    }
    stored
}

fn bytes_of(hashes: &[NodeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[test]
fn seventy_thousand_leaves_fill_the_tiles_of_another_implementation() {
    const SIZE: u64 = 70_000;
    let all = leaves(SIZE);
    let mut builder = TreeBuilder::new();
    let mut tiles = grow(&mut builder, &all);
    let partial: Vec<TileHashes> = builder.partial_tiles().collect();
    // The example of C2SP tlog-tiles.
    let shape = |tile: &TileHashes| (tile.level, tile.index, tile.hashes.len());
    assert_eq!(
        partial.iter().map(shape).collect::<Vec<_>>(),
        [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    );
    tiles.extend(partial);

    let stored = foreign(&all);
    let root = tlog_tiles::tree_hash(SIZE, &stored).unwrap();
    assert_eq!(builder.root().as_bytes(), &root.0);
    let expected = tlog_tiles::Tile::new_tiles(8, 0, SIZE);
    assert_eq!(tiles.len(), expected.len());
    for tile in expected {
        let at = (tile.level(), tile.level_index());
        let ours = tiles.iter().find(|ours| (ours.level, ours.index) == at).unwrap();
        assert_eq!(bytes_of(&ours.hashes), tile.read_data(&stored).unwrap(), "tile {at:?}");
    }

    let nodes = TileNodes::new(|level, index| {
        let found = tiles.iter().find(|tile| (tile.level, tile.index) == (level, index));
        found.map(|tile| tile.hashes.as_slice()).ok_or(())
    });
    for at in [1, 255, 256, 257, 4_095, 65_535, 65_536, 65_537, 69_888, 69_999] {
        let ours = inclusion_proof(at, SIZE, &nodes).unwrap();
        let theirs = tlog_tiles::prove_record(SIZE, at, &stored).unwrap();
        assert_eq!(bytes_of(&ours), theirs.iter().flat_map(|hash| hash.0).collect::<Vec<_>>());
        let ours = consistency_proof(at, SIZE, &nodes).unwrap();
        let theirs = tlog_tiles::prove_tree(SIZE, at, &stored).unwrap();
        assert_eq!(bytes_of(&ours), theirs.iter().flat_map(|hash| hash.0).collect::<Vec<_>>());
        let old = frontier(&all[..at as usize]).root();
        verify_consistency(at, SIZE, &old, &builder.root(), &ours).unwrap();
    }
    // 70,001 leaves are not there: the tile that should hold the last one is too narrow.
    let too_narrow = TileNodeError::TooNarrow { level: 0, index: 273, needed: 113, found: 112 };
    let error = inclusion_proof(69_999, 70_002, &nodes).unwrap_err();
    assert!(matches!(error, ProveError::Source(TileNodeError::TooNarrow { level: 0, .. })));
    assert_eq!(nodes.node(0, 70_000).unwrap_err(), too_narrow);
    assert_eq!(
        nodes.node(8, 300).unwrap_err(),
        TileNodeError::TooNarrow { level: 1, index: 1, needed: 45, found: 17 }
    );
    assert_eq!(nodes.node(0, 80_000).unwrap_err(), TileNodeError::Read(()));
}

#[test]
fn a_tree_goes_on_from_its_partial_tiles() {
    let all = leaves(66_200);
    for size in [0u64, 1, 2, 255, 256, 257, 511, 600, 65_535, 65_536, 65_537, 66_000] {
        let (before, after) = all.split_at(size as usize);
        let mut builder = TreeBuilder::new();
        grow(&mut builder, before);
        let mut partial = vec![Vec::new(); 3];
        for tile in builder.partial_tiles() {
            partial[usize::from(tile.level)] = tile.hashes;
        }
        let mut reopened = TreeBuilder::from_partial_tiles(size, partial.clone()).unwrap();
        assert_eq!(reopened.frontier(), builder.frontier());
        assert_eq!((reopened.size(), reopened.root()), (size, builder.root()));
        let next = &after[..after.len().min(600)];
        assert_eq!(grow(&mut reopened, next), grow(&mut builder, next), "from {size}");
        assert_eq!(reopened.root(), builder.root());

        // Hashes that do not fit the size.
        let code =
            |size, partial| TreeBuilder::from_partial_tiles(size, partial).unwrap_err().code();
        for level in 0..3 {
            let mut more = partial.clone();
            more[level].push(empty_root());
            assert_eq!(code(size, more), "tree/edge-count");
            let mut fewer = partial.clone();
            if fewer[level].pop().is_some() {
                assert_eq!(code(size, fewer), "tree/edge-count");
            }
        }
        assert_eq!(code(size + 1, partial), "tree/edge-count");
    }
    let full = vec![vec![empty_root(); 256], vec![]];
    assert!(TreeBuilder::from_partial_tiles(256, full).is_err());
    let hashes = vec![empty_root(); 64];
    assert_eq!(Frontier::from_subtrees(u64::MAX, hashes).unwrap_err().code(), "tree/too-large");
    assert_eq!(Frontier::from_subtrees(3, vec![]).unwrap_err().code(), "tree/edge-count");
}

#[test]
fn proofs_are_those_of_another_implementation() {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    let all = leaves(300);
    let mut theirs = MemoryBackedTree::<sha2::Sha256, [u8; 8]>::new();
    for n in 1..=300u64 {
        theirs.push((n - 1).to_be_bytes());
        if ![1, 2, 3, 64, 65, 127, 128, 129, 255, 256, 257, 300].contains(&n) {
            continue;
        }
        let d = &all[..n as usize];
        assert_eq!(frontier(d).root().as_bytes().as_slice(), theirs.root().as_bytes().as_slice());
        for i in 0..n {
            let proof = inclusion_proof(i, n, &Leaves(d)).unwrap();
            assert_eq!(bytes_of(&proof), theirs.prove_inclusion(i as usize).as_bytes());
            let proof = consistency_proof(n - i, n, &Leaves(d)).unwrap();
            assert_eq!(bytes_of(&proof), theirs.prove_consistency(i as usize).as_bytes());
        }
    }
}

// Published roots and proofs.

pub(super) fn node(base64: &str) -> NodeHash {
    NodeHash::from_bytes(BASE64_STANDARD.decode(base64).unwrap().try_into().unwrap())
}

pub(super) fn nodes<const N: usize>(base64: [&str; N]) -> Vec<NodeHash> {
    base64.map(node).to_vec()
}

/// The leaves of transparency-dev/merkle, testonly/constants.go.
pub(super) fn published_leaves() -> Vec<LeafHash> {
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
        .into_iter()
        .chain(["606162636465666768696a6b6c6d6e6f"])
        .map(|entry| leaf_hash(&hex::decode(entry).unwrap()))
        .collect()
}

#[test]
fn published_roots_of_one_to_eight_leaves() {
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves = published_leaves();
    for (n, root) in (1..).zip(roots) {
        assert_eq!(frontier(&leaves[..n]).root().to_string(), root);
    }
    assert_eq!(empty_root(), node("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="));
}

#[test]
fn published_roots_of_a_served_log() {
    // Tessera, testdata/log.
    let words =
        "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten";
    let leaves: Vec<_> = words.split(' ').map(|word| leaf_hash(word.as_bytes())).collect();
    for (n, root) in [
        (1, "0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek="),
        (7, "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U="),
        (15, "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs="),
    ] {
        assert_eq!(frontier(&leaves[..n]).root(), node(root));
    }
}

#[test]
fn published_proofs() {
    let leaves = published_leaves();
    let (six, eight) = (mth(&leaves[..6]), mth(&leaves));
    // transparency-dev/merkle, testdata/consistency/{1,2}/happy-path.json.
    let from_one = nodes([
        "lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=",
        "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
        "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=",
    ]);
    let from_six = nodes([
        "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
        "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
        "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
    ]);
    assert_eq!(consistency_proof(1, 8, &Leaves(&leaves)).unwrap(), from_one);
    assert_eq!(consistency_proof(6, 8, &Leaves(&leaves)).unwrap(), from_six);
    verify_consistency(1, 8, &mth(&leaves[..1]), &eight, &from_one).unwrap();
    verify_consistency(6, 8, &six, &eight, &from_six).unwrap();
    assert!(verify_consistency(6, 8, &eight, &six, &from_six).is_err());
    assert!(verify_consistency(4, 8, &six, &eight, &from_six).is_err());

    // Sunlight, internal/witness: leaf hash k is 2a, k and 30 zero bytes.
    let made_up = |k: u8| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&[0x2a, k]);
        LeafHash::from_bytes(bytes)
    };
    let leaves: Vec<_> = (0..5).map(made_up).collect();
    let (three, five) = (mth(&leaves[..3]), mth(&leaves));
    assert_eq!(three, node("RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0="));
    assert_eq!(five, node("QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY="));
    let leaf = |k: usize| NodeHash::from(leaves[k]);
    let proof = [leaf(1), leaf(2)];
    verify_consistency(1, 3, &leaf(0), &three, &proof).unwrap();
    let first_two = node("wgiIFdZfYNv6WU1OllBKsWnLYIS/DBMqt8Uh/S4OukE=");
    let proof = [leaf(2), leaf(3), first_two, leaf(4)];
    verify_consistency(3, 5, &three, &five, &proof).unwrap();
}
