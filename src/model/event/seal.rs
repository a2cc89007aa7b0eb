//! What the operator commits to (spec section 5.33).

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::model::seal::{Row, Sort, TableRoot};

/// Nothing was left out: for every subject, how many entries touch it, and the newest of them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct EpochSealed {
    /// How many entries it covers: its own index.
    pub size: u64,
    /// The row of the root subject.
    pub root: Row,
    /// The table of parties.
    pub parties: TableRoot,
    /// The table of gifts.
    pub gifts: TableRoot,
    /// The table of items and lots.
    pub lots: TableRoot,
    /// The table of shipments.
    pub shipments: TableRoot,
    /// The table of needs and orders.
    pub statements: TableRoot,
}

impl EpochSealed {
    /// What it says of a table.
    pub const fn table(&self, sort: Sort) -> &TableRoot {
        match sort {
            Sort::Parties => &self.parties,
            Sort::Gifts => &self.gifts,
            Sort::Lots => &self.lots,
            Sort::Shipments => &self.shipments,
            Sort::Statements => &self.statements,
        }
    }
}
