//! The rows of one sort, with hashes that are kept: an update costs what it touches.
//!
//! The rows stand in buckets, the buckets at the leaves of a complete binary tree that is numbered
//! like a heap: node `i` parts into `2i` and `2i + 1` by the next bit of the subject hash, and of
//! `n` buckets the nodes 1 to n - 1 are inner ones, n to 2n - 1 the buckets. The table grows by a
//! bucket at a time: node `n`, the first bucket, becomes an inner node, and its halves come to
//! stand at the end. So no growth stalls anybody, and a row is found by the bits of its subject.
//!
//! Each node keeps what its rows come to now, and what they came to at the newest seal; a bucket
//! also keeps its rows as they were then, where they have changed. So what was sealed can still be
//! proven while the log goes on. In memory: about 120 bytes a row, and 80 for each row that has
//! changed since the newest seal.
//!
//! Subject hashes are spread evenly unless somebody searches for subjects that share their first
//! bits; such rows crowd one bucket, and cost their number at each touch, nothing else.

use std::collections::VecDeque;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use rayon::prelude::*;

use super::{Part, Row, TableProof, TableRoot, parting, proof};
use crate::model::encoding::never_borrows;
use crate::model::hash::SubjectHash;

/// The table has a bucket for so many rows.
const ROWS_A_BUCKET: usize = 8;

/// From so many stale buckets on, and one of so many, it is worth looking at all of them on all
/// cores.
const WORTH_SHARING: usize = 1024;
const WORTH_SHARING_OF: usize = 16;

/// A subject with its row.
pub(super) type Item = (SubjectHash, Row);

/// The rows of the subjects of one sort.
#[derive(Clone, Debug)]
pub struct Table {
    /// Nodes 1 to n - 1.
    inner: Vec<Parts>,
    /// Nodes n to 2n - 1.
    buckets: VecDeque<Bucket>,
    rows: u64,
    /// Buckets whose `now` is to be worked out again; some have become inner nodes since.
    stale: Vec<usize>,
    /// The newest seal's.
    sealed: Option<TableRoot>,
}

/// What the rows below a node come to.
#[derive(Clone, Copy, Debug)]
struct Parts {
    /// None if they have changed; then it is none for all nodes above as well.
    now: Option<Part>,
    sealed: Part,
}

#[derive(Clone, Debug)]
struct Bucket {
    /// By subject.
    items: Vec<Item>,
    /// Rows as of the newest seal, of subjects that were touched since.
    before: Vec<(SubjectHash, Option<Row>)>,
    parts: Parts,
}

impl Default for Table {
    fn default() -> Self {
        let parts = Parts { now: Some(Part::Empty), sealed: Part::Empty };
        let bucket = Bucket { items: Vec::new(), before: Vec::new(), parts };
        let buckets = VecDeque::from([bucket]);
        Self { inner: Vec::new(), buckets, rows: 0, stale: Vec::new(), sealed: None }
    }
}

impl Table {
    /// A table without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows there are.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// A subject's row.
    pub fn get(&self, subject: &SubjectHash) -> Option<Row> {
        self.buckets[self.node_of(subject) - self.buckets.len()].row(subject)
    }

    /// A subject's row as of the newest seal.
    pub fn sealed_row(&self, subject: &SubjectHash) -> Option<Row> {
        self.sealed?;
        let bucket = &self.buckets[self.node_of(subject) - self.buckets.len()];
        match bucket.before.iter().find(|(touched, _)| touched == subject) {
            Some((_, before)) => *before,
            None => bucket.row(subject),
        }
    }

    /// Puts a row in, or in the place of the subject's old one.
    pub fn insert(&mut self, subject: SubjectHash, row: Row) {
        let node = self.node_of(&subject);
        let first = self.buckets.len();
        let old = self.buckets[node - first].insert(subject, row, self.sealed.is_some());
        self.mark_stale(node);
        if old.is_none() {
            self.rows += 1;
            if self.rows > (self.buckets.len() * ROWS_A_BUCKET) as u64 {
                self.grow();
            }
        }
    }

    /// All rows, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &(SubjectHash, Row)> {
        self.buckets.iter().flat_map(|bucket| &bucket.items)
    }

    /// Works out the hashes of the buckets that were touched since, as can be done after each
    /// commit; [`Self::root`] then has only the nodes above them left.
    pub fn refresh(&mut self) {
        let first = self.buckets.len();
        if self.stale.len() >= WORTH_SHARING.max(first / WORTH_SHARING_OF) {
            self.stale.clear();
            let (front, back) = self.buckets.as_mut_slices();
            let numbered = front.par_iter_mut().chain(back).enumerate();
            numbered.for_each(|(at, bucket)| bucket.refresh(first + at));
        } else {
            for node in self.stale.drain(..).filter(|node| *node >= first) {
                self.buckets[node - first].refresh(node);
            }
        }
    }

    /// What a seal says of the table as it is now.
    pub fn root(&mut self) -> TableRoot {
        self.refresh();
        TableRoot { rows: self.rows, hash: self.settle(1).hash() }
    }

    /// The table is sealed as it is now: this is what will be proven until the next seal.
    pub fn seal(&mut self) {
        let root = self.root();
        self.keep(1);
        self.sealed = Some(root);
    }

    /// What the newest seal says of the table.
    pub fn sealed(&self) -> Option<TableRoot> {
        self.sealed
    }

    /// The proof, under [`Self::sealed`], of these subjects' rows, or that they have none.
    ///
    /// # Panics
    /// If there are no subjects, or the table was never sealed.
    pub fn prove(&self, subjects: &[SubjectHash]) -> TableProof {
        assert!(!subjects.is_empty() && self.sealed.is_some(), "there is something to be proven");
        let mut subjects = subjects.to_vec();
        subjects.sort_unstable();
        subjects.dedup();
        let mut bytes = Vec::new();
        self.prove_node(1, &subjects, &mut bytes);
        TableProof::from_bytes(bytes)
    }

    fn prove_node(&self, node: usize, subjects: &[SubjectHash], into: &mut Vec<u8>) {
        let Some(bucket) = node.checked_sub(self.buckets.len()) else {
            return match self.inner[node - 1].sealed {
                Part::Empty => proof::put_empty(into),
                Part::One(_) => proof::put_row(&self.only_row(node), subjects, into),
                Part::Many(_) => {
                    let parting = parting(subjects, node.ilog2(), |subject| subject);
                    let (left, right) = subjects.split_at(parting);
                    proof::put_branch(into);
                    for (child, subjects) in [(2 * node, left), (2 * node + 1, right)] {
                        match subjects {
                            [] => proof::put_hash(&self.parts(child).sealed.hash(), into),
                            _ => self.prove_node(child, subjects, into),
                        }
                    }
                }
            };
        };
        let items = self.buckets[bucket].sealed_items();
        proof::put_items(&items, subjects, node.ilog2(), into);
    }

    /// The row below a node that had only one when it was sealed.
    fn only_row(&self, mut node: usize) -> Item {
        while node < self.buckets.len() {
            let left = matches!(self.parts(2 * node).sealed, Part::One(_));
            node = 2 * node + usize::from(!left);
        }
        self.buckets[node - self.buckets.len()].sealed_items()[0]
    }

    /// The node of the bucket that a subject belongs to.
    fn node_of(&self, subject: &SubjectHash) -> usize {
        let first = subject.as_bytes().first_chunk().expect("a hash is longer than 8 bytes");
        let bits = u64::from_be_bytes(*first);
        // Buckets stand at this depth and, as far as the table has grown, at the next.
        let depth = self.buckets.len().ilog2();
        let deeper = (2usize << depth) | (bits >> (63 - depth)) as usize;
        if deeper < 2 * self.buckets.len() { deeper } else { deeper >> 1 }
    }

    fn parts(&self, node: usize) -> &Parts {
        match node.checked_sub(self.buckets.len()) {
            Some(bucket) => &self.buckets[bucket].parts,
            None => &self.inner[node - 1],
        }
    }

    fn mark_stale(&mut self, bucket: usize) {
        let first = self.buckets.len();
        if self.buckets[bucket - first].parts.now.take().is_none() {
            return;
        }
        self.stale.push(bucket);
        let mut node = bucket / 2;
        while node > 0 && self.inner[node - 1].now.take().is_some() {
            node /= 2;
        }
    }

    /// Halves the first bucket.
    fn grow(&mut self) {
        let node = self.buckets.len();
        let bucket = self.buckets.pop_front().expect("a table has a bucket");
        self.inner.push(bucket.parts);
        let stale = bucket.parts.now.is_none();
        for (child, half) in (2 * node..).zip(bucket.halve(node.ilog2())) {
            self.buckets.push_back(half);
            if stale {
                self.stale.push(child);
            }
        }
    }

    /// Works out what is stale at a node and below. All buckets are fresh.
    fn settle(&mut self, node: usize) -> Part {
        if let Some(now) = self.parts(node).now {
            return now;
        }
        let now = Part::join(self.settle(2 * node), self.settle(2 * node + 1));
        self.inner[node - 1].now = Some(now);
        now
    }

    /// What is now at a node and below becomes what was sealed. Nothing is stale.
    fn keep(&mut self, node: usize) {
        let keep = |parts: &mut Parts| {
            let now = parts.now.expect("nothing is stale");
            std::mem::replace(&mut parts.sealed, now) != now
        };
        if let Some(bucket) = node.checked_sub(self.buckets.len()) {
            let bucket = &mut self.buckets[bucket];
            keep(&mut bucket.parts);
            bucket.before = Vec::new();
        } else if keep(&mut self.inner[node - 1]) {
            self.keep(2 * node);
            self.keep(2 * node + 1);
        }
    }
}

impl Bucket {
    fn row(&self, subject: &SubjectHash) -> Option<Row> {
        let at = self.items.binary_search_by_key(subject, |(subject, _)| *subject);
        at.ok().map(|at| self.items[at].1)
    }

    /// Puts a row in, and gives the old one.
    fn insert(&mut self, subject: SubjectHash, row: Row, sealed: bool) -> Option<Row> {
        let old = match self.items.binary_search_by_key(&subject, |(subject, _)| *subject) {
            Ok(at) => Some(std::mem::replace(&mut self.items[at].1, row)),
            Err(at) => {
                // Small steps: room for twice as much would be the most of the memory.
                if self.items.len() == self.items.capacity() {
                    self.items.reserve_exact(2);
                }
                self.items.insert(at, (subject, row));
                None
            }
        };
        if sealed && !self.before.iter().any(|(touched, _)| *touched == subject) {
            self.before.push((subject, old));
        }
        old
    }

    fn refresh(&mut self, node: usize) {
        if self.parts.now.is_none() {
            self.parts.now = Some(part_of(&self.items, node.ilog2()));
        }
    }

    /// The rows as of the newest seal.
    fn sealed_items(&self) -> Vec<Item> {
        let before =
            |subject: &SubjectHash| self.before.iter().find(|(touched, _)| touched == subject);
        let as_sealed = |(subject, row): &Item| match before(subject) {
            Some((_, before)) => before.map(|before| (*subject, before)),
            None => Some((*subject, *row)),
        };
        self.items.iter().filter_map(as_sealed).collect()
    }

    /// The rows whose bit at this depth is 0, and the others.
    fn halve(mut self, depth: u32) -> [Self; 2] {
        let right = self.items.split_off(parting(&self.items, depth, |(subject, _)| subject));
        self.items.shrink_to_fit();
        let (ones, zeros) =
            self.before.into_iter().partition(|(subject, _)| super::bit(subject, depth));
        let whole = self.parts;
        [(self.items, zeros), (right, ones)].map(|(items, before)| {
            let mut half = Self { items, before, parts: whole };
            half.parts.sealed = match whole.sealed {
                Part::Empty => Part::Empty,
                _ => part_of(&half.sealed_items(), depth + 1),
            };
            half.parts.now = whole.now.map(|_| part_of(&half.items, depth + 1));
            half
        })
    }
}

/// What rows come to that share their first `depth` bits.
pub(super) fn part_of(items: &[Item], depth: u32) -> Part {
    match items {
        [] => Part::Empty,
        [(subject, row)] => Part::One(row.hash(subject)),
        _ => {
            let (left, right) = items.split_at(parting(items, depth, |(subject, _)| subject));
            Part::join(part_of(left, depth + 1), part_of(right, depth + 1))
        }
    }
}

impl PartialEq for Table {
    /// The same rows, now and as of the newest seal.
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
            && self.sealed == other.sealed
            && self.iter().all(|(subject, row)| {
                other.get(subject) == Some(*row)
                    && self.sealed_row(subject) == other.sealed_row(subject)
            })
    }
}

impl Eq for Table {}

/// Whether it was sealed, the rows as of then (all, if never), and those that were touched since.
/// Hashes are worked out again when it is read.
impl Encode for Table {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.sealed.is_some().encode(encoder)?;
        let touched: u64 = self.buckets.iter().map(|bucket| bucket.before.len() as u64).sum();
        let new = self.buckets.iter().flat_map(|bucket| &bucket.before);
        let new = new.filter(|(_, before)| before.is_none()).count() as u64;
        (self.rows - new).encode(encoder)?;
        for bucket in &self.buckets {
            bucket.sealed_items().iter().try_for_each(|item| item.encode(encoder))?;
        }
        touched.encode(encoder)?;
        for bucket in &self.buckets {
            for (subject, _) in &bucket.before {
                let row = bucket.row(subject).expect("no row is ever taken out");
                (*subject, row).encode(encoder)?;
            }
        }
        Ok(())
    }
}

impl<C> Decode<C> for Table {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut table = Self::new();
        let sealed = bool::decode(decoder)?;
        for _ in 0..u64::decode(decoder)? {
            let (subject, row) = Item::decode(decoder)?;
            table.insert(subject, row);
        }
        if sealed {
            table.seal();
        }
        for _ in 0..u64::decode(decoder)? {
            let (subject, row) = Item::decode(decoder)?;
            table.insert(subject, row);
        }
        Ok(table)
    }
}

never_borrows! { [] Table; }
