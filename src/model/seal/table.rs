//! The rows of one sort, with hashes that are kept: an update costs what it touches.
//!
//! The rows stand in [buckets](crate::model::buckets), by the bits of their subjects.
//!
//! Each node of the tree over the buckets keeps what its rows come to now. What has changed since
//! the newest seal is kept beside as it was then: rows, and what the rows below a node came to. So
//! what was sealed can still be proven while the log goes on, and the next seal forgets all of it
//! at once. In memory: about 95 bytes a row, and twice as many for each row that has changed since
//! the newest seal.
//!
//! Subject hashes are spread evenly unless somebody searches for subjects that share their first
//! bits; such rows crowd one bucket, and cost their number at each touch, nothing else.

use std::collections::{HashMap, VecDeque};

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use rayon::prelude::*;

use super::{Part, Row, TableProof, TableRoot, parting, proof};
use crate::model::buckets::node_of;
use crate::model::changed::Changed;
use crate::model::encoding::never_borrows;
use crate::model::entry::Place;
use crate::model::hash::{LeafHash, SubjectHash};

/// The table has a bucket for so many rows.
const ROWS_A_BUCKET: usize = 8;

/// From so many stale buckets on, and one of so many, it is worth looking at all of them on all
/// cores.
const WORTH_SHARING: usize = 1024;
const WORTH_SHARING_OF: usize = 16;

/// The row of buckets makes room for one in so many more at a time, not for twice as many.
const ROOM: usize = 16;

/// A subject with its row, without gaps between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub subject: SubjectHash,
    number: [u8; 4],
    index: [u8; 8],
    leaf: LeafHash,
}

impl Item {
    pub(super) fn new(subject: SubjectHash, row: Row) -> Self {
        let Row { number, place: Place { index, leaf } } = row;
        Self { subject, number: number.to_be_bytes(), index: index.to_be_bytes(), leaf }
    }

    pub(super) fn row(&self) -> Row {
        let place = Place { index: u64::from_be_bytes(self.index), leaf: self.leaf };
        Row { number: u32::from_be_bytes(self.number), place }
    }
}

/// Encoded, small numbers take less than their room.
impl Encode for Item {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.subject.encode(encoder)?;
        self.row().encode(encoder)
    }
}

impl<C> Decode<C> for Item {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self::new(SubjectHash::decode(decoder)?, Row::decode(decoder)?))
    }
}

never_borrows! { [] Item; }

/// The rows of the subjects of one sort.
#[derive(Clone, Debug, Encode)]
pub struct Table {
    /// Nodes 1 to n - 1: what their rows come to; none if they have changed since it was worked
    /// out, and then it is none for all nodes above as well.
    inner: Vec<Option<Part>>,
    /// Nodes n to 2n - 1.
    buckets: VecDeque<Bucket>,
    rows: u64,
    /// Buckets whose `now` is to be worked out again; some have become inner nodes since.
    stale: Vec<usize>,
    /// The newest seal's.
    sealed: Option<TableRoot>,
    before: Before,
    changes: Changed<TableChanges>,
}

/// What has changed in a table: the rows that were put in, in their order, or [tidied](Self::tidy).
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct TableChanges {
    /// Those before the newest seal, if there was one.
    sealed: Option<Vec<Item>>,
    /// Those since, or after the seal.
    now: Vec<Item>,
}

impl TableChanges {
    fn seal(&mut self) {
        self.sealed.get_or_insert_default().append(&mut self.now);
    }

    /// Leaves of each subject the newest row only, in the order of subjects.
    pub(super) fn tidy(&mut self) {
        for items in self.sealed.iter_mut().chain([&mut self.now]) {
            items.reverse();
            items.sort_by_key(|item| item.subject);
            items.dedup_by_key(|item| item.subject);
        }
    }
}

#[derive(Clone, Debug, Encode, Decode)]
struct Bucket {
    /// By subject.
    items: Box<[Item]>,
    /// As [`Table::inner`] has it.
    now: Option<Part>,
}

/// What was different at the newest seal.
#[derive(Clone, Debug, Default, Encode, Decode)]
struct Before {
    /// What the rows below a node came to, where something has changed since.
    parts: HashMap<usize, Part>,
    /// The rows of subjects that were touched since.
    rows: HashMap<SubjectHash, Option<Row>>,
}

impl Default for Table {
    fn default() -> Self {
        let bucket = Bucket { items: Box::default(), now: Some(Part::Empty) };
        Self {
            inner: Vec::new(),
            buckets: VecDeque::from([bucket]),
            rows: 0,
            stale: Vec::new(),
            sealed: None,
            before: Before::default(),
            changes: Changed::default(),
        }
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
        self.bucket(subject).row(subject)
    }

    /// A subject's row as of the newest seal.
    pub fn sealed_row(&self, subject: &SubjectHash) -> Option<Row> {
        self.sealed?;
        let before = self.before.rows.get(subject).copied();
        before.unwrap_or_else(|| self.get(subject))
    }

    /// Puts a row in, or in the place of the subject's old one.
    pub fn insert(&mut self, subject: SubjectHash, row: Row) {
        let item = Item::new(subject, row);
        self.changes.note(|changes| changes.now.push(item));
        let node = node_of(bits(&subject), self.buckets.len());
        let old = self.put(node, item);
        self.mark_stale(node);
        if old.is_none() {
            self.rows += 1;
            if self.rows > (self.buckets.len() * ROWS_A_BUCKET) as u64 {
                self.grow();
            }
        }
    }

    /// All rows, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (SubjectHash, Row)> {
        let items = self.buckets.iter().flat_map(|bucket| &bucket.items);
        items.map(|item| (item.subject, item.row()))
    }

    /// Works out the hashes of the buckets that were touched since, as can be done after each
    /// commit; [`Self::root`] then has only the nodes above them left.
    pub fn refresh(&mut self) {
        let first = self.buckets.len();
        if self.stale.len() >= WORTH_SHARING.max(first / WORTH_SHARING_OF) {
            self.stale.clear();
            let (front, back) = self.buckets.as_mut_slices();
            let numbered = front.par_iter_mut().chain(back).enumerate();
            numbered.for_each(|(at, bucket)| bucket.refresh((first + at).ilog2()));
        } else {
            for node in self.stale.drain(..).filter(|node| *node >= first) {
                self.buckets[node - first].refresh(node.ilog2());
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
        self.before = Before::default();
        self.sealed = Some(root);
        self.changes.note(TableChanges::seal);
    }

    /// What has changed since this was asked last; the first time, nothing.
    pub(super) fn take_changes(&mut self) -> TableChanges {
        self.changes.take()
    }

    /// Makes the changes that another table of the same beginning has seen.
    pub(super) fn take_in(&mut self, changes: TableChanges) {
        if let Some(rows) = changes.sealed {
            rows.iter().for_each(|item| self.insert(item.subject, item.row()));
            self.seal();
        }
        changes.now.iter().for_each(|item| self.insert(item.subject, item.row()));
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
            return match self.sealed_part(node) {
                Part::Empty => proof::put_empty(into),
                Part::One(_) => proof::put_row(&self.only_row(node), subjects, into),
                Part::Many(_) => {
                    let parting = parting(subjects, node.ilog2(), |subject| subject);
                    let (left, right) = subjects.split_at(parting);
                    proof::put_branch(into);
                    for (child, subjects) in [(2 * node, left), (2 * node + 1, right)] {
                        match subjects {
                            [] => proof::put_hash(&self.sealed_part(child).hash(), into),
                            _ => self.prove_node(child, subjects, into),
                        }
                    }
                }
            };
        };
        let items = self.buckets[bucket].sealed_items(&self.before);
        proof::put_items(&items, subjects, node.ilog2(), into);
    }

    /// The row below a node that had only one when it was sealed.
    fn only_row(&self, mut node: usize) -> Item {
        while node < self.buckets.len() {
            let left = matches!(self.sealed_part(2 * node), Part::One(_));
            node = 2 * node + usize::from(!left);
        }
        self.buckets[node - self.buckets.len()].sealed_items(&self.before)[0]
    }

    /// The bucket that a subject belongs to.
    fn bucket(&self, subject: &SubjectHash) -> &Bucket {
        let count = self.buckets.len();
        &self.buckets[node_of(bits(subject), count) - count]
    }

    fn now(&self, node: usize) -> Option<Part> {
        match node.checked_sub(self.buckets.len()) {
            Some(bucket) => self.buckets[bucket].now,
            None => self.inner[node - 1],
        }
    }

    fn now_mut(&mut self, node: usize) -> &mut Option<Part> {
        match node.checked_sub(self.buckets.len()) {
            Some(bucket) => &mut self.buckets[bucket].now,
            None => &mut self.inner[node - 1],
        }
    }

    /// What the rows below a node came to at the newest seal.
    fn sealed_part(&self, node: usize) -> Part {
        let sealed = self.before.parts.get(&node).copied();
        sealed.or(self.now(node)).expect("what has changed since the seal was remembered")
    }

    /// Puts an item into a bucket, and gives the subject's old row.
    fn put(&mut self, node: usize, item: Item) -> Option<Row> {
        let first = self.buckets.len();
        let old = self.buckets[node - first].put(item);
        if self.sealed.is_some() {
            self.before.rows.entry(item.subject).or_insert(old);
        }
        old
    }

    /// What the rows below a bucket's node come to has changed, and below all nodes above.
    fn mark_stale(&mut self, bucket: usize) {
        if self.now(bucket).is_some() {
            self.stale.push(bucket);
        }
        let mut node = bucket;
        while node > 0
            && let Some(was) = self.now_mut(node).take()
        {
            if self.sealed.is_some() {
                self.before.parts.entry(node).or_insert(was);
            }
            node /= 2;
        }
    }

    /// Halves the first bucket.
    fn grow(&mut self) {
        let node = self.buckets.len();
        let whole = self.buckets.pop_front().expect("a table has a bucket");
        let whole_is_fresh = whole.now.is_some();
        self.inner.push(whole.now);
        if self.buckets.capacity() < self.buckets.len() + 2 {
            self.buckets.reserve_exact(2 + node / ROOM);
        }
        let changed = self.before.parts.contains_key(&node);
        for (child, mut half) in (2 * node..).zip(whole.halve(node.ilog2())) {
            // What was fresh stays so; and what has not changed since a seal must be.
            let depth = child.ilog2();
            if changed {
                let part = part_of(&half.sealed_items(&self.before), depth);
                self.before.parts.insert(child, part);
            }
            match whole_is_fresh {
                true => half.refresh(depth),
                false => self.stale.push(child),
            }
            self.buckets.push_back(half);
        }
    }

    /// Works out what is stale at a node and below. All buckets are fresh.
    fn settle(&mut self, node: usize) -> Part {
        if let Some(now) = self.now(node) {
            return now;
        }
        let now = Part::join(self.settle(2 * node), self.settle(2 * node + 1));
        self.inner[node - 1] = Some(now);
        now
    }
}

impl Bucket {
    fn row(&self, subject: &SubjectHash) -> Option<Row> {
        self.find(subject).ok().map(|at| self.items[at].row())
    }

    fn find(&self, subject: &SubjectHash) -> Result<usize, usize> {
        self.items.binary_search_by(|item| item.subject.cmp(subject))
    }

    fn put(&mut self, item: Item) -> Option<Row> {
        match self.find(&item.subject) {
            Ok(at) => Some(std::mem::replace(&mut self.items[at], item).row()),
            Err(at) => {
                // Room for more than there is would be the most of the memory.
                let mut items = std::mem::take(&mut self.items).into_vec();
                items.reserve_exact(1);
                items.insert(at, item);
                self.items = items.into_boxed_slice();
                None
            }
        }
    }

    /// Works out what the rows come to, at the depth where the bucket stands.
    fn refresh(&mut self, depth: u32) {
        if self.now.is_none() {
            self.now = Some(part_of(&self.items, depth));
        }
    }

    /// The rows as of the newest seal.
    fn sealed_items(&self, before: &Before) -> Vec<Item> {
        let as_sealed = |item: &Item| match before.rows.get(&item.subject) {
            Some(before) => before.map(|row| Item::new(item.subject, row)),
            None => Some(*item),
        };
        self.items.iter().filter_map(as_sealed).collect()
    }

    /// The rows whose bit at this depth is 0, and the others; what they come to is not known yet.
    fn halve(self, depth: u32) -> [Self; 2] {
        let (left, right) = self.items.split_at(parting(&self.items, depth, |item| &item.subject));
        [left, right].map(|items| Self { items: items.into(), now: None })
    }
}

/// The first bits of a subject hash.
fn bits(subject: &SubjectHash) -> u64 {
    u64::from_be_bytes(*subject.as_bytes().first_chunk().expect("a hash is longer than 8 bytes"))
}

/// What rows come to that share their first `depth` bits.
pub(super) fn part_of(items: &[Item], depth: u32) -> Part {
    match items {
        [] => Part::Empty,
        [item] => Part::One(item.row().hash(&item.subject)),
        _ => {
            let (left, right) = items.split_at(parting(items, depth, |item| &item.subject));
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
                other.get(&subject) == Some(row)
                    && self.sealed_row(&subject) == other.sealed_row(&subject)
            })
    }
}

impl Eq for Table {}

/// As it is in memory, hashes too: reading it costs none.
impl<C> Decode<C> for Table {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let table = Self {
            inner: Decode::decode(decoder)?,
            buckets: Decode::decode(decoder)?,
            rows: Decode::decode(decoder)?,
            stale: Decode::decode(decoder)?,
            sealed: Decode::decode(decoder)?,
            before: Decode::decode(decoder)?,
            changes: Changed::default(),
        };
        match table.inner.len() + 1 == table.buckets.len() {
            true => Ok(table),
            false => Err(DecodeError::Other("a table's nodes do not fit its buckets")),
        }
    }
}

never_borrows! { [] Table; }
