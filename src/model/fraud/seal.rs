//! What a seal says, in evidence (spec sections 16 and 19.4).

use super::bytes::{Reader, put_long};
use super::head::{Head, open};
use super::{FraudFault, Shown};
use crate::model::date::UnixMs;
use crate::model::encoding::Malformed;
use crate::model::entry::{Entry, Place};
use crate::model::event::{Capacity, EpochSealed, Statement};
use crate::model::hash::LeafHash;
use crate::model::ident::{EntryIndex, KeyBytes};
use crate::model::lodged::genesis_at;
use crate::model::seal::{Row, Sort, TableProof};
use crate::model::subject::Subject;

/// What a seal says about one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// The seal.
    pub seal: Shown,
    /// The subject's row; none if it has none.
    pub row: Option<Row>,
    /// What shows that in the table of its sort; empty for the root, whose row is in the seal.
    pub table: TableProof,
}

/// A seal that stands in the tree, signed by the operator.
pub(super) struct Seal {
    pub(super) index: EntryIndex,
    pub(super) recorded_at: UnixMs,
    pub(super) stated: EpochSealed,
}

impl Seal {
    /// Judges an entry that claims to be a seal; `keys` are the operator's.
    pub(super) fn of(
        shown: &Shown,
        head: &Head,
        keys: &[(EntryIndex, KeyBytes)],
        genesis: LeafHash,
    ) -> Result<Self, FraudFault> {
        let (entry, place) = open(&shown.entry, genesis).map_err(FraudFault::Seal)?;
        shown.check(place.index, head.checkpoint())?;
        let Some(Statement::EpochSealed(stated)) = entry.event.statement else {
            return Err(FraudFault::Seal("code/unknown"));
        };
        let signers = &entry.event.head.signers;
        let signed = signers.iter().any(|signer| {
            signer.capacity == Capacity::Operator && keys.iter().any(|(_, key)| *key == signer.key)
        });
        if !signed {
            return Err(FraudFault::Seal("signer/missing"));
        }
        if stated.size != place.index {
            return Err(FraudFault::Seal("chain/index"));
        }
        Ok(Self { index: place.index, recorded_at: entry.recorded_at, stated })
    }

    /// Checks that this is the subject's row under the seal.
    pub(super) fn check_row(
        &self,
        subject: &Subject,
        row: Option<Row>,
        table: &TableProof,
    ) -> Result<(), FraudFault> {
        match Sort::of(subject) {
            Some(sort) => table
                .verify(&[(subject.hash(), row)], self.stated.table(sort))
                .map_err(|fault| FraudFault::Rows(fault.code())),
            None if !table.as_bytes().is_empty() => Err(FraudFault::Rows("seal-path/trailing")),
            None if row != Some(self.stated.root) => {
                Err(FraudFault::Rows("seal-path/contradicted"))
            }
            None => Ok(()),
        }
    }
}

impl SealedRow {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let seal = Shown::read(reader)?;
        let row = read_row(reader)?;
        Ok(Self { seal, row, table: TableProof::from_bytes(reader.long()?) })
    }

    pub(super) fn put(&self, into: &mut Vec<u8>) {
        self.seal.put(into);
        put_row(into, self.row.as_ref());
        put_long(into, self.table.as_bytes());
    }

    pub(super) fn check(
        &self,
        subject: &Subject,
        head: &Head,
        keys: &[(EntryIndex, KeyBytes)],
        genesis: LeafHash,
    ) -> Result<Seal, FraudFault> {
        let seal = Seal::of(&self.seal, head, keys, genesis)?;
        seal.check_row(subject, self.row, &self.table)?;
        Ok(seal)
    }
}

pub(super) fn read_row(reader: &mut Reader<'_>) -> Result<Option<Row>, Malformed> {
    match reader.byte()? {
        0 => Ok(None),
        1 => {
            let number = reader.array().map(u32::from_be_bytes)?;
            let index = reader.number()?;
            let leaf = LeafHash::from_bytes(reader.array()?);
            Ok(Some(Row { number, place: Place { index, leaf } }))
        }
        _ => Err(Malformed::new("encoding/option")),
    }
}

pub(super) fn put_row(into: &mut Vec<u8>, row: Option<&Row>) {
    let Some(Row { number, place }) = row else { return into.push(0) };
    into.push(1);
    into.extend(number.to_be_bytes());
    into.extend(place.index.to_be_bytes());
    into.extend(place.leaf.as_bytes());
}

/// An entry that touches the subject, by the operator's link or by what its event states: its
/// place, and the number of its link.
pub(super) fn touching(
    shown: &Shown,
    subject: &Subject,
    head: &Head,
    genesis: LeafHash,
) -> Result<(Place, Option<u32>), FraudFault> {
    let entry = Entry::from_bytes(&shown.entry).map_err(|m| FraudFault::Entry(m.code))?;
    let index = entry.header.index;
    let leaf = shown.check(index, head.checkpoint())?;
    let hash = subject.hash();
    let number = entry.header.links.find(hash).map(|link| link.number);
    if number.is_none() {
        let event = entry.event.open(&genesis_at(index, genesis));
        let event = event.map_err(|malformed| FraudFault::Entry(malformed.code))?;
        if !event.subjects(None).iter().any(|touched| touched.hash() == hash) {
            return Err(FraudFault::Fits);
        }
    }
    Ok((Place { index, leaf }, number))
}

/// Whether a seal says of a subject what cannot be, since this entry before it touches it.
pub(super) fn contradicts_entry(row: Option<Row>, place: Place, number: Option<u32>) -> bool {
    let Some(row) = row else { return true };
    match row.place.index.cmp(&place.index) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => {
            row.place.leaf != place.leaf || number.is_some_and(|number| number != row.number)
        }
        std::cmp::Ordering::Greater => number.is_some_and(|number| number >= row.number),
    }
}

/// Whether two seals, at these indexes, say of a subject what cannot be true together.
pub(super) fn contradict(
    (first, row_then): (EntryIndex, Option<Row>),
    (second, row): (EntryIndex, Option<Row>),
) -> bool {
    let number_then = row_then.map_or(0, |row| row.number);
    let Some(row) = row else { return row_then.is_some() };
    match row.number.cmp(&number_then) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => row_then != Some(row),
        // What is new came after the first seal, which itself touches nothing, and before the
        // second.
        std::cmp::Ordering::Greater => {
            let new = u64::from(row.number - number_then);
            row.place.index <= first || row.place.index >= second || new > second - first - 1
        }
    }
}
