//! The dry run: a list and its map become gifts, shipments and publications, or reasons why not.

use std::collections::BTreeMap;

use super::map::{Map, MapError};
use super::planner::Planner;
use super::report::Refused;
use super::table::Table;
use crate::model::date::Date;
use crate::model::encoding::List;
use crate::model::event::{
    Attestation, Dispatch, Document, Donation, Head, Particulars, PartyKind, Role,
};
use crate::model::hash::Digest32;
use crate::model::ident::Handle;
use crate::model::text::Text;

/// What an import would put into a ledger. Nothing has been signed yet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The list that is imported.
    pub source: PlannedSource,
    /// Parties that must be enrolled before, signers and recipients.
    pub parties: BTreeMap<Handle, PlannedParty>,
    /// What happens, in the order of the list.
    pub steps: Vec<Step>,
    /// Rows of the list.
    pub row_count: usize,
    /// Rows that stay outside, in the order of the list.
    pub refused: Vec<Refused>,
}

/// The list itself, which is attested by its hash: it is imported once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSource {
    /// Who imports it, and signs.
    pub speaker: Handle,
    /// What it is, in words.
    pub about: Text<2000>,
    /// SHA-256 of its bytes.
    pub list: Digest32,
    /// SHA-256 of the map's bytes.
    pub map: Digest32,
}

impl PlannedSource {
    /// Whether an event attests that this very list was imported, by whatever map.
    pub fn is_attested_by(&self, head: &Head) -> bool {
        head.documents.iter().any(|document| document.sha256 == Some(self.list))
    }

    /// Whether it was imported by this very map.
    pub fn is_same_map(&self, head: &Head) -> bool {
        head.documents.iter().any(|document| document.sha256 == Some(self.map))
    }
}

/// A party that must be in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedParty {
    /// What it is.
    pub kind: PartyKind,
    /// What it may do.
    pub roles: List<Role, 8>,
    /// What is known of it.
    pub particulars: Particulars,
}

/// Something to sign.
#[derive(Clone, Debug)]
pub enum Step {
    /// A gift, recorded by its taker.
    Gift(PlannedGift),
    /// A shipment of gifts that come before it: dispatch, delivery, receipt.
    Shipment(PlannedShipment),
    /// Rows that are linked to no gift.
    Publication(PlannedPublication),
}

/// A donation.
#[derive(Clone, Debug)]
pub struct PlannedGift {
    /// What will be signed by its taker.
    pub donation: Donation,
    /// The day.
    pub on: Option<Date>,
    /// Documents.
    pub documents: Vec<Document>,
}

/// A journey from the gift's taker to a final recipient.
#[derive(Clone, Debug)]
pub struct PlannedShipment {
    /// What will be signed by the giver, but for the portions.
    pub dispatch: Dispatch,
    /// The goods: which step is the gift, which of its lines, how many.
    pub parcels: Vec<Parcel>,
    /// When it was sent.
    pub dispatched_on: Option<Date>,
    /// When it arrived, by the giver's word.
    pub delivered_on: Option<Date>,
    /// Where.
    pub place: Text<200>,
    /// When the recipient recorded it.
    pub received_on: Option<Date>,
    /// Documents.
    pub documents: Vec<Document>,
}

/// Goods of a shipment.
#[derive(Clone, Copy, Debug)]
pub struct Parcel {
    /// The step that makes the gift.
    pub gift: usize,
    /// The gift's line.
    pub line: u16,
    /// How many of the line's unit.
    pub quantity: u64,
}

/// An attestation.
#[derive(Clone, Debug)]
pub struct PlannedPublication {
    /// Who signs.
    pub speaker: Handle,
    /// What it signs.
    pub attestation: Attestation,
    /// The day.
    pub on: Option<Date>,
    /// Documents.
    pub documents: Vec<Document>,
}

impl Plan {
    /// Maps every row, and keeps those that cannot be mapped aside.
    ///
    /// # Errors
    /// Where the map and the list do not fit at all.
    pub fn of(table: &Table, map: &Map, list: Digest32) -> Result<Self, MapError> {
        map.check(table)?;
        let mut planner = Planner::new(table, map);
        for row in table.rows() {
            if let Err(fault) = planner.take(row) {
                planner.refuse(row, fault);
            }
        }
        let (speaker, about) = (map.party[0].handle.clone(), map.about.clone());
        Ok(planner.finish(PlannedSource { speaker, about, list, map: map.sha256() }))
    }

    /// How many rows are mapped.
    pub fn mapped_count(&self) -> usize {
        self.row_count - self.refused.len()
    }

    /// How many steps are gifts.
    pub fn gift_count(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Gift(_))).count()
    }

    /// How many steps are shipments.
    pub fn shipment_count(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Shipment(_))).count()
    }

    /// How many steps are publications.
    pub fn publication_count(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Publication(_))).count()
    }
}
