//! Tables and their proofs against the definitions of spec section 16, written down naively.

use std::collections::{BTreeMap, BTreeSet};

use giftproof::model::entry::{Entry, NO_LEAF, Place};
use giftproof::model::event::Statement;
use giftproof::model::hash::{LeafHash, NodeHash, SubjectHash, leaf_hash};
use giftproof::model::seal::{Row, SealFault, Sort, Table, TableProof, TableRoot};
use giftproof::model::subject::Subject;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

type Rows = BTreeMap<SubjectHash, Row>;
type Slice<'a> = &'a [(SubjectHash, Row)];

fn row_bytes(subject: &SubjectHash, row: &Row) -> Vec<u8> {
    let mut bytes = subject.as_bytes().to_vec();
    bytes.extend(row.number.to_be_bytes());
    bytes.extend(row.place.index.to_be_bytes());
    bytes.extend(row.place.leaf.as_bytes());
    bytes
}

fn is_one(subject: &SubjectHash, bit: usize) -> bool {
    subject.as_bytes()[bit / 8] & (0x80 >> (bit % 8)) != 0
}

fn halves<T: Clone>(
    items: &[T],
    bit: usize,
    subject: impl Fn(&T) -> SubjectHash,
) -> (Vec<T>, Vec<T>) {
    items.iter().cloned().partition(|item| !is_one(&subject(item), bit))
}

/// Section 16.2, word for word.
fn hash_of(rows: Slice, depth: usize) -> [u8; 32] {
    match rows {
        [] => [0; 32],
        [(subject, row)] => {
            let context = b"\xffgiftproof seal row v1\0".to_vec();
            Sha256::digest([context, row_bytes(subject, row)].concat()).into()
        }
        _ => {
            let (zeros, ones) = halves(rows, depth, |row| row.0);
            let (left, right) = (hash_of(&zeros, depth + 1), hash_of(&ones, depth + 1));
            Sha256::digest([&[1][..], &left, &right].concat()).into()
        }
    }
}

fn root_of(rows: &Rows) -> TableRoot {
    let slice: Vec<_> = rows.clone().into_iter().collect();
    TableRoot { rows: rows.len() as u64, hash: NodeHash::from_bytes(hash_of(&slice, 0)) }
}

/// Section 16.4, word for word.
fn proof_of(rows: Slice, asked: &[SubjectHash], depth: usize) -> Vec<u8> {
    match (rows, asked) {
        (_, []) => hash_of(rows, depth).to_vec(),
        ([], _) => vec![0],
        ([(subject, _)], _) if asked.contains(subject) => vec![1],
        ([(subject, row)], _) => [vec![2], row_bytes(subject, row)].concat(),
        _ => {
            let (zeros, ones) = halves(rows, depth, |row| row.0);
            let (left, right) = halves(asked, depth, |subject| *subject);
            let left = proof_of(&zeros, &left, depth + 1);
            [vec![3], left, proof_of(&ones, &right, depth + 1)].concat()
        }
    }
}

fn place(index: u64) -> Place {
    Place { index, leaf: LeafHash::from_bytes(Sha256::digest(index.to_be_bytes()).into()) }
}

fn subject(first: &[u8], last: u8) -> SubjectHash {
    let mut bytes = [0; 32];
    bytes[..first.len()].copy_from_slice(first);
    bytes[31] = last;
    SubjectHash::from_bytes(bytes)
}

/// Subjects that share more or less of their first bits with one another.
fn subjects() -> impl Strategy<Value = SubjectHash> {
    let spread = any::<[u8; 32]>().prop_map(SubjectHash::from_bytes);
    let crowded = (0usize..256, any::<[u8; 32]>(), any::<bool>()).prop_map(|(same, other, one)| {
        let mut bytes = if one { [0xff; 32] } else { [0x5a; 32] };
        for bit in same..256 {
            let mask = 0x80 >> (bit % 8);
            bytes[bit / 8] = bytes[bit / 8] & !mask | other[bit / 8] & mask;
        }
        SubjectHash::from_bytes(bytes)
    });
    prop_oneof![spread, crowded]
}

/// A table whose rows are these, each touched once.
fn table_of(subjects: &[SubjectHash]) -> (Table, Rows) {
    let mut table = Table::new();
    let mut rows = Rows::new();
    for (index, subject) in subjects.iter().enumerate() {
        let row = Row { number: 1, place: place(index as u64) };
        table.insert(*subject, row);
        rows.insert(*subject, row);
    }
    (table, rows)
}

fn claims(rows: &Rows, asked: &[SubjectHash]) -> Vec<(SubjectHash, Option<Row>)> {
    asked.iter().map(|subject| (*subject, rows.get(subject).copied())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Touches and seals in any order; then all that was sealed is proven, whatever came later.
    #[test]
    fn a_table_is_what_its_rows_make_it(
        known in prop::collection::vec(subjects(), 1..120),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0u8..24), 1..300),
        strangers in prop::collection::vec(subjects(), 0..6),
        asked in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let (mut table, mut rows, mut sealed) = (Table::new(), Rows::new(), None);
        for (index, (which, then)) in steps.iter().enumerate() {
            let subject = *which.get(&known);
            let number = rows.get(&subject).map_or(0, |row| row.number) + 1;
            let row = Row { number, place: place(index as u64) };
            table.insert(subject, row);
            rows.insert(subject, row);
            match then {
                0 => {
                    table.seal();
                    sealed = Some(rows.clone());
                }
                1 => table.refresh(),
                2 => prop_assert_eq!(table.root(), root_of(&rows)),
                _ => {}
            }
        }
        prop_assert_eq!(table.len(), rows.len() as u64);
        for subject in known.iter().chain(&strangers) {
            prop_assert_eq!(table.get(subject), rows.get(subject).copied());
        }

        let stored = bincode::encode_to_vec(&table, bincode::config::standard()).unwrap();
        let (again, _): (Table, usize) =
            bincode::decode_from_slice(&stored, bincode::config::standard()).unwrap();
        prop_assert_eq!(&again, &table);
        for table in [&mut table, &mut again.clone()] {
            prop_assert_eq!(table.sealed(), sealed.as_ref().map(root_of));
            let Some(sealed) = &sealed else { continue };
            let mut asked: Vec<_> = asked.iter().map(|which| *which.get(&known)).collect();
            asked.extend(&strangers);
            let asked: Vec<_> = BTreeSet::from_iter(asked).into_iter().collect();
            let slice: Vec<_> = sealed.clone().into_iter().collect();
            let proof = table.prove(&asked);
            prop_assert_eq!(proof.as_bytes(), proof_of(&slice, &asked, 0));
            let claims = claims(sealed, &asked);
            prop_assert_eq!(proof.verify(&claims, &root_of(sealed)), Ok(()));
            for (subject, row) in &claims {
                prop_assert_eq!(table.sealed_row(subject), *row);
            }
            for at in 0..claims.len() {
                let mut wrong = claims.clone();
                wrong[at].1 = match wrong[at].1 {
                    Some(_) => None,
                    None => Some(Row { number: 1, place: place(0) }),
                };
                prop_assert!(proof.verify(&wrong, &root_of(sealed)).is_err());
                if let Some(row) = &mut wrong[at].1 {
                    row.number += 1;
                } else {
                    wrong[at].1 = claims[at].1.map(|row| Row { number: row.number + 1, ..row });
                }
                prop_assert!(proof.verify(&wrong, &root_of(sealed)).is_err());
            }
            prop_assert_eq!(table.root(), root_of(&rows));
        }
    }

    #[test]
    fn no_bytes_make_a_proof_panic(
        bytes in prop::collection::vec(prop_oneof![0u8..5, any::<u8>()], 0..400),
        asked in prop::collection::vec(subjects(), 1..4),
    ) {
        let claims: Vec<_> = asked.iter().map(|subject| (*subject, None)).collect();
        let root = TableRoot { rows: 3, hash: NodeHash::from_bytes([7; 32]) };
        prop_assert!(TableProof::from_bytes(bytes).verify(&claims, &root).is_err());
    }
}

/// Three rows, `000...`, `010...` and `1...`: as section 16.4 writes them.
#[test]
fn proofs_have_the_bytes_that_the_specification_says() {
    let [a, b, c] = [subject(&[0x00], 1), subject(&[0x40], 2), subject(&[0x80], 3)];
    let (mut table, rows) = table_of(&[a, b, c]);
    table.seal();
    let hash = |subject| rows[&subject].hash(&subject);
    let absent = subject(&[0xc0], 0);
    let other = [&[2][..], &row_bytes(&c, &rows[&c])].concat();
    let node = |left: NodeHash, right: NodeHash| {
        let parts = [&[1][..], left.as_bytes(), right.as_bytes()];
        NodeHash::from_bytes(Sha256::digest(parts.concat()).into())
    };
    for (asked, bytes) in [
        (vec![a], [&[3, 3, 1][..], hash(b).as_bytes(), hash(c).as_bytes()].concat()),
        (vec![a, b, c], vec![3, 3, 1, 1, 1]),
        (vec![a, c], [&[3, 3, 1][..], hash(b).as_bytes(), &[1]].concat()),
        (vec![c], [&[3][..], node(hash(a), hash(b)).as_bytes(), &[1]].concat()),
        (vec![absent], [&[3][..], node(hash(a), hash(b)).as_bytes(), &other].concat()),
        (vec![c, absent], [&[3][..], node(hash(a), hash(b)).as_bytes(), &[1]].concat()),
    ] {
        let proof = table.prove(&asked);
        assert_eq!(hex::encode(proof.as_bytes()), hex::encode(bytes));
        assert_eq!(proof.verify(&claims(&rows, &asked), &root_of(&rows)), Ok(()));
    }
    let empty = TableProof::from_bytes(vec![0]);
    assert_eq!(empty.verify(&[(a, None)], &root_of(&Rows::new())), Ok(()));
}

#[test]
fn wrong_proofs_have_their_codes() {
    let [a, b] = [subject(&[0x00], 1), subject(&[0x80], 2)];
    let (_, rows) = table_of(&[a, b]);
    let root = root_of(&rows);
    let hash = rows[&b].hash(&b);
    let present = [(a, Some(rows[&a]))];
    let absent = [(subject(&[0x00], 9), None)];
    let leftmost = [(subject(&[], 0), None)];
    let other = |subject: &SubjectHash| [&[2][..], &row_bytes(subject, &rows[&b])].concat();
    let zero = [0; 32];
    let good = [&[3, 1][..], hash.as_bytes()].concat();
    let check = |bytes: &[u8], claims: &[_], root: &TableRoot| {
        let checked = TableProof::from_bytes(bytes.to_vec()).verify(claims, root);
        checked.as_ref().map_err(SealFault::code).copied()
    };
    assert_eq!(check(&good, &present, &root), Ok(()));
    let deep = [3].repeat(257);
    let below = |last| [vec![3], last, zero.to_vec()].concat();
    for (bytes, claims, code) in [
        (good.clone(), &absent[..], "seal-path/contradicted"),
        (good[..33].to_vec(), &present, "seal-path/truncated"),
        (vec![], &present, "seal-path/truncated"),
        ([&good[..], &[0]].concat(), &present, "seal-path/trailing"),
        (vec![4], &present, "seal-path/node"),
        (vec![0], &present, "seal-path/contradicted"),
        (vec![1], &absent, "seal-path/contradicted"),
        (other(&b), &present, "seal-path/contradicted"),
        (vec![0], &[], "seal-path/contradicted"),
        (vec![0], &[absent[0], absent[0]], "seal-path/contradicted"),
        // A row of the right half in the left one, and the row of the very subject.
        (below(other(&b)), &absent, "seal-path/misplaced"),
        (below(other(&absent[0].0)), &absent, "seal-path/misplaced"),
        (below(other(&a)), &absent, "seal-path/not-compact"),
        (below(vec![1]), &present, "seal-path/not-compact"),
        (below(vec![0]), &absent, "seal-path/not-compact"),
        (deep, &leftmost, "seal-path/too-deep"),
        (vec![0], &absent, "seal-path/root"),
        ([&[3, 1][..], &[7; 32]].concat(), &present, "seal-path/root"),
    ] {
        assert_eq!(check(&bytes, claims, &root), Err(code), "{}", hex::encode(&bytes));
    }
    for rows in [0, 1] {
        let miscounted = TableRoot { rows, ..root };
        assert_eq!(check(&good, &present, &miscounted), Err("seal-path/root"));
    }
}

#[test]
fn every_changed_bit_and_every_cut_of_a_proof_is_refused() {
    let known: Vec<SubjectHash> = (0..40).map(|index| place(index).leaf).map(of_leaf).collect();
    let (mut table, rows) = table_of(&known);
    table.seal();
    let asked = [known[3], known[17], of_leaf(place(99).leaf), of_leaf(place(100).leaf)];
    let proof = table.prove(&asked);
    let (claims, root) = (claims(&rows, &asked), root_of(&rows));
    assert_eq!(proof.verify(&claims, &root), Ok(()));
    let bytes = proof.as_bytes();
    for bit in 0..8 * bytes.len() {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(TableProof::from_bytes(changed).verify(&claims, &root).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        let cut = TableProof::from_bytes(bytes[..len].to_vec());
        assert_eq!(cut.verify(&claims, &root), Err(SealFault::Truncated));
    }
}

fn of_leaf(leaf: LeafHash) -> SubjectHash {
    SubjectHash::from_bytes(*leaf.as_bytes())
}

/// Enough rows that all cores hash, and several sizes of the tree of buckets.
#[test]
fn a_large_table_is_sealed_again_after_few_touches() {
    let known: Vec<SubjectHash> = (0..20_000).map(|index| of_leaf(place(index).leaf)).collect();
    let (mut table, mut rows) = table_of(&known);
    table.seal();
    assert_eq!(table.sealed(), Some(root_of(&rows)));
    for (index, subject) in (20_000..).zip(known.iter().step_by(97)) {
        let row = Row { number: 2, place: place(index) };
        table.insert(*subject, row);
        rows.insert(*subject, row);
    }
    assert_ne!(table.sealed(), Some(root_of(&rows)));
    assert_eq!(table.root(), root_of(&rows));
    assert_ne!(table.sealed(), Some(root_of(&rows)));
    table.seal();
    assert_eq!(table.sealed(), Some(root_of(&rows)));
}

/// The seals of a vector say what the links of the entries before them say.
#[test]
fn seals_follow_from_the_links() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/accept/seals.json");
    let vector: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut rows: BTreeMap<Option<Sort>, Rows> = BTreeMap::new();
    let (mut genesis, mut seals, mut sorts) = (NO_LEAF, 0, BTreeSet::new());
    for (index, hex) in (0..).zip(vector["entries"].as_array().unwrap()) {
        let bytes = hex::decode(hex.as_str().unwrap()).unwrap();
        let leaf = leaf_hash(&bytes);
        let Entry { header, event } = Entry::from_bytes(&bytes).unwrap();
        let event = event.open(&genesis).unwrap();
        if let Some(Statement::EpochSealed(seal)) = &event.statement {
            assert_eq!(seal.size, index);
            assert_eq!(seal.root, rows[&None][&Subject::Root.hash()]);
            for sort in Sort::ALL {
                let rows = rows.get(&Some(*sort)).cloned().unwrap_or_default();
                assert_eq!(*seal.table(*sort), root_of(&rows), "{sort} at {index}");
            }
            assert!(header.links.is_empty());
            seals += 1;
        }
        for subject in event.subjects(None) {
            let hash = subject.hash();
            let link = header.links.iter().find(|link| link.subject == hash).unwrap();
            let row = Row { number: link.number, place: Place { index, leaf } };
            rows.entry(Sort::of(&subject)).or_default().insert(hash, row);
            sorts.insert(Sort::of(&subject));
        }
        if index == 0 {
            genesis = leaf;
        }
    }
    assert_eq!((seals, sorts.len()), (3, 6));
}
