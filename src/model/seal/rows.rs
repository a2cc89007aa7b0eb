//! The rows of all subjects, each in its table.

use std::collections::HashMap;

use bincode::{Decode, Encode};

use super::table::TableChanges;
use super::{Row, Sort, Table, TableRoot};
use crate::model::entry::Place;
use crate::model::event::EpochSealed;
use crate::model::hash::SubjectHash;
use crate::model::subject::{HashedSubject, Subject};

/// Every subject's row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Rows {
    root: Option<Row>,
    /// In the order of [`Sort::ALL`].
    tables: [Table; 5],
    /// Of subjects that only links tell of. They stand in no table: whoever wrote the links knows
    /// the sort, this build does not.
    unsorted: HashMap<SubjectHash, Row>,
}

/// What has changed in the rows of all subjects.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RowChanges {
    root: Option<Row>,
    tables: [TableChanges; 5],
    unsorted: HashMap<SubjectHash, Row>,
}

impl RowChanges {
    /// Leaves of each subject the newest row only.
    pub fn tidy(&mut self) {
        self.tables.iter_mut().for_each(TableChanges::tidy);
    }
}

impl Rows {
    /// The table of a sort.
    pub fn table(&self, sort: Sort) -> &Table {
        &self.tables[place_of(sort)]
    }

    /// A subject's row.
    pub fn get(&self, subject: &HashedSubject) -> Option<Row> {
        let HashedSubject { hash, sort } = subject;
        let unsorted = || self.unsorted.get(hash).copied();
        match sort {
            Some(sort) => self.table(*sort).get(hash).or_else(unsorted),
            None if *hash == Subject::Root.hash() => self.root,
            None => self.tables.iter().find_map(|table| table.get(hash)).or_else(unsorted),
        }
    }

    /// One more entry touches the subject: the one at this place.
    ///
    /// # Panics
    /// If 2^32 - 1 entries touch it already.
    pub fn touch(&mut self, subject: &HashedSubject, place: Place) {
        let before = self.get(subject).map_or(0, |row| row.number);
        let number = before.checked_add(1).expect("a log has fewer entries about one subject");
        let row = Row { number, place };
        let HashedSubject { hash, sort } = *subject;
        let table = match sort {
            Some(sort) => Some(&mut self.tables[place_of(sort)]),
            None => self.tables.iter_mut().find(|table| table.get(&hash).is_some()),
        };
        if let Some(table) = table {
            table.insert(hash, row);
            // An event has now told the sort.
            self.unsorted.remove(&hash);
        } else if hash == Subject::Root.hash() {
            self.root = Some(row);
        } else {
            self.unsorted.insert(hash, row);
        }
    }

    /// Works out hashes ahead of the next seal, as [`Table::refresh`].
    pub fn refresh(&mut self) {
        self.tables.iter_mut().for_each(Table::refresh);
    }

    /// What a seal at this index must say.
    ///
    /// # Panics
    /// If no entry touches the root: entry 0 does.
    pub fn statement(&mut self, size: u64) -> EpochSealed {
        let [parties, gifts, lots, shipments, statements]: [TableRoot; 5] =
            self.tables.each_mut().map(Table::root);
        let root = self.root.expect("entry 0 touches the root");
        EpochSealed { size, root, parties, gifts, lots, shipments, statements }
    }

    /// What has changed since this was asked last; the first time, little. It is as it came, and
    /// takes less room when it is [tidied](RowChanges::tidy).
    pub fn take_changes(&mut self) -> RowChanges {
        let tables = self.tables.each_mut().map(Table::take_changes);
        RowChanges { root: self.root, tables, unsorted: self.unsorted.clone() }
    }

    /// Makes the changes that others of the same beginning have seen.
    pub fn take_in(&mut self, changes: RowChanges) {
        self.root = changes.root;
        self.unsorted = changes.unsorted;
        let tables = self.tables.iter_mut().zip(changes.tables);
        tables.for_each(|(table, changes)| table.take_in(changes));
    }

    /// The tables are sealed as they are now.
    pub fn seal(&mut self) {
        self.tables.iter_mut().for_each(Table::seal);
    }
}

const fn place_of(sort: Sort) -> usize {
    // Sorts are numbered from 2; 1 is the root.
    sort as usize - 2
}
