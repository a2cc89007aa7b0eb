//! Proofs of presence and absence under a table's hash (spec section 16.4).
//!
//! A proof shows the table's nodes in pre-order, as far as the subjects in question lie below
//! them; it does not repeat what whoever checks it already has, subjects and rows.

use thiserror::Error;

use super::table::Item;
use super::{NO_ROWS, Part, Row, TableRoot, bit, parting};
use crate::model::entry::Place;
use crate::model::hash::{HASH_LEN, LeafHash, NodeHash, SubjectHash};

/// No row is below the node.
const EMPTY: u8 = 0;
/// One row is, that of a subject in question.
const ASKED: u8 = 1;
/// One row is, that of another subject: it follows.
const OTHER: u8 = 2;
/// Two nodes follow.
const BRANCH: u8 = 3;

/// The bits of a subject hash: no branch is deeper.
const DEPTH_MAX: u32 = 8 * HASH_LEN as u32;

/// What is wrong with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealFault {
    /// `seal-path/truncated`: it ends too early.
    #[error("the path ends too early")]
    Truncated,
    /// `seal-path/trailing`: something follows it.
    #[error("bytes follow the path")]
    Trailing,
    /// `seal-path/node`: no node begins with this byte.
    #[error("no node of a path begins with {0:#04x}")]
    Node(u8),
    /// `seal-path/too-deep`: it branches where subject hashes have no more bits.
    #[error("the path is longer than a subject hash")]
    TooDeep,
    /// `seal-path/misplaced`: the row of another subject stands where that cannot be.
    #[error("the path shows a row where it cannot be: {subject}")]
    Misplaced { subject: SubjectHash },
    /// `seal-path/not-compact`: a branch that no table has, since at most one row is below it.
    #[error("the path branches where at most one row is")]
    NotCompact,
    /// `seal-path/contradicted`: it shows a claimed row to be absent, or the reverse; or it cannot
    /// be about these claims at all.
    #[error("the path contradicts what is claimed")]
    Contradicted,
    /// `seal-path/root`: it is not of the table that was sealed.
    #[error("the path leads to {found}, but {expected} was sealed")]
    Root { expected: NodeHash, found: NodeHash },
}

impl SealFault {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "seal-path/truncated",
            Self::Trailing => "seal-path/trailing",
            Self::Node(_) => "seal-path/node",
            Self::TooDeep => "seal-path/too-deep",
            Self::Misplaced { .. } => "seal-path/misplaced",
            Self::NotCompact => "seal-path/not-compact",
            Self::Contradicted => "seal-path/contradicted",
            Self::Root { .. } => "seal-path/root",
        }
    }
}

/// A proof of what some subjects' rows are, or that they have none: bytes, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableProof(Vec<u8>);

impl TableProof {
    /// Takes bytes that claim to be such a proof.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Checks that these subjects have these rows, or none, in the table with this root.
    ///
    /// # Errors
    /// [`SealFault`]; `Contradicted` also where there are no claims, or two about one subject.
    pub fn verify(
        &self,
        claims: &[(SubjectHash, Option<Row>)],
        expected: &TableRoot,
    ) -> Result<(), SealFault> {
        let mut claims = claims.to_vec();
        claims.sort_unstable_by_key(|(subject, _)| *subject);
        if claims.is_empty() || claims.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(SealFault::Contradicted);
        }
        let mut reader = Reader(&self.0);
        let root = reader.node(&claims, 0)?;
        if !reader.0.is_empty() {
            return Err(SealFault::Trailing);
        }
        let counted = match root {
            Part::Empty => expected.rows == 0,
            Part::One(_) => expected.rows == 1,
            Part::Many(_) => expected.rows > 1,
        };
        if root.hash() != expected.hash || !counted {
            return Err(SealFault::Root { expected: expected.hash, found: root.hash() });
        }
        Ok(())
    }
}

impl TableProof {
    /// The proof of one claim alone, out of one of several that holds: under the same root, it
    /// holds for this claim.
    ///
    /// # Errors
    /// [`SealFault`] where the proof is not about these claims, or the subject not among them.
    pub fn narrow(
        &self,
        claims: &[(SubjectHash, Option<Row>)],
        subject: &SubjectHash,
    ) -> Result<Self, SealFault> {
        let mut claims = claims.to_vec();
        claims.sort_unstable_by_key(|(subject, _)| *subject);
        if !claims.iter().any(|(claimed, _)| claimed == subject) {
            return Err(SealFault::Contradicted);
        }
        let mut bytes = Vec::new();
        Reader(&self.0).narrow(&claims, 0, subject, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

type Claim = (SubjectHash, Option<Row>);

impl Reader<'_> {
    /// Reads a node, for the claims below it: at least one, ordered, with the same first bits.
    fn node(&mut self, claims: &[Claim], depth: u32) -> Result<Part, SealFault> {
        let mut present = claims.iter().filter_map(|(subject, row)| Some((subject, (*row)?)));
        let (row, more) = (present.next(), present.next());
        match (self.array::<1>()?, row, more) {
            ([EMPTY], None, None) => Ok(Part::Empty),
            ([ASKED], Some((subject, row)), None) => Ok(Part::One(row.hash(subject))),
            ([OTHER], None, None) => self.other(claims, depth),
            ([BRANCH], _, _) => self.branch(claims, depth),
            ([EMPTY | ASKED | OTHER], ..) => Err(SealFault::Contradicted),
            ([byte], ..) => Err(SealFault::Node(byte)),
        }
    }

    /// The row of a subject that nothing is claimed about, with the first bits of those below it.
    fn other(&mut self, claims: &[Claim], depth: u32) -> Result<Part, SealFault> {
        let subject = SubjectHash::from_bytes(self.array()?);
        let number = u32::from_be_bytes(self.array()?);
        let index = u64::from_be_bytes(self.array()?);
        let leaf = LeafHash::from_bytes(self.array()?);
        let claimed = claims.iter().any(|(claimed, _)| *claimed == subject);
        if claimed || (0..depth).any(|depth| bit(&subject, depth) != bit(&claims[0].0, depth)) {
            return Err(SealFault::Misplaced { subject });
        }
        Ok(Part::One(Row { number, place: Place { index, leaf } }.hash(&subject)))
    }

    fn branch(&mut self, claims: &[Claim], depth: u32) -> Result<Part, SealFault> {
        if depth == DEPTH_MAX {
            return Err(SealFault::TooDeep);
        }
        let (left, right) = claims.split_at(parting(claims, depth, |(subject, _)| subject));
        let left = self.side(left, depth + 1)?;
        let right = self.side(right, depth + 1)?;
        match Part::join(left, right) {
            many @ Part::Many(_) => Ok(many),
            Part::Empty | Part::One(_) => Err(SealFault::NotCompact),
        }
    }

    /// A node, or, where no claim is below it, the hash alone; unless it is that of no rows, one
    /// row or more may be behind it.
    fn side(&mut self, claims: &[Claim], depth: u32) -> Result<Part, SealFault> {
        if !claims.is_empty() {
            return self.node(claims, depth);
        }
        let hash = NodeHash::from_bytes(self.array()?);
        Ok(if hash == NO_ROWS { Part::Empty } else { Part::Many(hash) })
    }

    /// Reads a node as [`Self::node`] does, and writes it as a proof of the one subject below it
    /// would have it.
    fn narrow(
        &mut self,
        claims: &[Claim],
        depth: u32,
        subject: &SubjectHash,
        into: &mut Vec<u8>,
    ) -> Result<(), SealFault> {
        let node = self.0;
        if node.first() != Some(&BRANCH) {
            let part = self.node(claims, depth)?;
            let mut rows = claims.iter().filter_map(|(claimed, row)| Some((*claimed, (*row)?)));
            match rows.next() {
                // The one row here is claimed, and may be another subject's.
                Some((claimed, row)) if part != Part::Empty => {
                    put_row(&Item::new(claimed, row), &[*subject], into);
                }
                _ => into.extend_from_slice(&node[..node.len() - self.0.len()]),
            }
            return Ok(());
        }
        self.array::<1>()?;
        if depth == DEPTH_MAX {
            return Err(SealFault::TooDeep);
        }
        put_branch(into);
        let (left, right) = claims.split_at(parting(claims, depth, |(subject, _)| subject));
        for side in [left, right] {
            if side.iter().any(|(claimed, _)| claimed == subject) {
                self.narrow(side, depth + 1, subject, into)?;
            } else {
                put_hash(&self.side(side, depth + 1)?.hash(), into);
            }
        }
        Ok(())
    }

    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], SealFault> {
        let (array, rest) = self.0.split_first_chunk().ok_or(SealFault::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }
}

/// Writes the nodes of a part of a table from its rows; at least one subject lies below it.
pub(super) fn put_items(items: &[Item], subjects: &[SubjectHash], depth: u32, into: &mut Vec<u8>) {
    match items {
        [] => put_empty(into),
        [item] => put_row(item, subjects, into),
        _ => {
            let parts = items.split_at(parting(items, depth, |item| &item.subject));
            let asked = subjects.split_at(parting(subjects, depth, |subject| subject));
            put_branch(into);
            for (items, subjects) in [(parts.0, asked.0), (parts.1, asked.1)] {
                match subjects {
                    [] => put_hash(&super::table::part_of(items, depth + 1).hash(), into),
                    _ => put_items(items, subjects, depth + 1, into),
                }
            }
        }
    }
}

pub(super) fn put_empty(into: &mut Vec<u8>) {
    into.push(EMPTY);
}

pub(super) fn put_row(item: &Item, subjects: &[SubjectHash], into: &mut Vec<u8>) {
    let Row { number, place: Place { index, leaf } } = item.row();
    if subjects.contains(&item.subject) {
        return into.push(ASKED);
    }
    into.push(OTHER);
    into.extend_from_slice(item.subject.as_bytes());
    into.extend_from_slice(&number.to_be_bytes());
    into.extend_from_slice(&index.to_be_bytes());
    into.extend_from_slice(leaf.as_bytes());
}

pub(super) fn put_branch(into: &mut Vec<u8>) {
    into.push(BRANCH);
}

pub(super) fn put_hash(hash: &NodeHash, into: &mut Vec<u8>) {
    into.extend_from_slice(hash.as_bytes());
}
