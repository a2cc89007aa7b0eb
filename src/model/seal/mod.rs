//! Seals: the operator's commitment that nothing about a subject was left out (spec section 16).
//!
//! A subject's [`Row`] says how many entries touch it, and which is the newest. The rows of one
//! [`Sort`] are a [`Table`], whose hash is that of a compact binary trie over the subject hashes;
//! a [`TableProof`] shows rows, and that there are none, under such a hash.

mod proof;
mod rows;
mod table;

use bincode::{Decode, Encode};
use serde::Serialize;

pub use proof::{SealFault, TableProof};
pub use rows::{RowChanges, Rows};
pub use table::Table;

use super::encoding::codes;
use super::entry::Place;
use super::hash::{HASH_LEN, NodeHash, SubjectHash, context_hash, node_hash};
use super::subject::Subject;

const ROW_CONTEXT: &[u8] = b"\xffgiftproof seal row v1\0";

/// The hash of a table, or a part of one, without rows.
pub const NO_ROWS: NodeHash = NodeHash::from_bytes([0; HASH_LEN]);

/// How many entries touch a subject, and the newest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Row {
    /// How many; at least 1.
    pub number: u32,
    /// The newest.
    #[serde(flatten)]
    pub place: Place,
}

impl Row {
    /// SHA-256(context || subject hash || number || index || leaf hash).
    pub fn hash(&self, subject: &SubjectHash) -> NodeHash {
        let (number, index) = (self.number.to_be_bytes(), self.place.index.to_be_bytes());
        let parts: [&[u8]; 4] = [subject.as_bytes(), &number, &index, self.place.leaf.as_bytes()];
        NodeHash::from_bytes(context_hash(ROW_CONTEXT, &parts))
    }
}

codes! {
    /// The tables of a seal, by the number of their subjects' sort.
    Sort {
        /// Parties.
        Parties = 2 "parties",
        /// Gifts.
        Gifts = 3 "gifts",
        /// Items and lots.
        Lots = 4 "lots",
        /// Shipments.
        Shipments = 5 "shipments",
        /// Needs and orders.
        Statements = 6 "statements",
    }
}

impl Sort {
    /// The table that a subject stands in; the root stands in the seal itself.
    pub const fn of(subject: &Subject) -> Option<Self> {
        match subject {
            Subject::Root => None,
            Subject::Party(_) => Some(Self::Parties),
            Subject::Gift(_) => Some(Self::Gifts),
            Subject::Lot { .. } => Some(Self::Lots),
            Subject::Shipment(_) => Some(Self::Shipments),
            Subject::Statement(_) => Some(Self::Statements),
        }
    }
}

/// What a seal says of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct TableRoot {
    /// How many rows it has.
    pub rows: u64,
    /// Its hash.
    pub hash: NodeHash,
}

/// What the rows that share their first bits come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
enum Part {
    /// There are none.
    Empty,
    /// There is one, of this row hash, at whatever depth.
    One(NodeHash),
    /// There are more.
    Many(NodeHash),
}

impl Part {
    const fn hash(self) -> NodeHash {
        match self {
            Part::Empty => NO_ROWS,
            Part::One(hash) | Part::Many(hash) => hash,
        }
    }

    /// Those whose next bit is 0, and those whose next bit is 1.
    fn join(left: Part, right: Part) -> Part {
        match (left, right) {
            (Part::Empty, Part::Empty) => Part::Empty,
            (Part::Empty, one @ Part::One(_)) | (one @ Part::One(_), Part::Empty) => one,
            _ => Part::Many(node_hash(&left.hash(), &right.hash())),
        }
    }
}

/// The bit of a subject hash by which rows part at this depth; bit 0 is the first byte's highest.
fn bit(subject: &SubjectHash, depth: u32) -> bool {
    let byte = subject.as_bytes()[(depth / 8) as usize];
    byte >> (7 - depth % 8) & 1 == 1
}

/// Where the ordered `items` part at this depth.
fn parting<T>(items: &[T], depth: u32, subject: impl Fn(&T) -> &SubjectHash) -> usize {
    items.partition_point(|item| !bit(subject(item), depth))
}
