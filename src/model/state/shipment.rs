//! Shipments: what their dispatches, deliveries and receipts say of them as a whole.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::kept::{Keep, Label};
use crate::model::date::Date;
use crate::model::event::{Dispatch, Purpose};
use crate::model::hash::EventHash;
use crate::model::ident::{EntryIndex, Handle, ShipmentId};
use crate::model::sorted::SortedSet;
use crate::model::subject::Subject;
use crate::model::text::Text;

/// A day, and the entry that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Dated {
    /// The entry.
    pub index: EntryIndex,
    /// The day, if known.
    pub on: Option<Date>,
    /// The day on which it was recorded.
    pub recorded_on: Date,
}

impl Dated {
    /// The day on which it happened; the day of the record where nothing better is known.
    pub fn day(&self) -> Date {
        self.on.unwrap_or(self.recorded_on)
    }
}

/// A shipment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Shipment {
    /// Sender and number.
    pub id: ShipmentId,
    /// To whom.
    pub taker: Handle,
    /// What for.
    pub purpose: Purpose,
    /// The carrier, where it is a party.
    pub carrier: Option<Handle>,
    /// It signed for the goods.
    pub carrier_signed: bool,
    /// A carrier that is not enrolled.
    pub carrier_name: Text<120>,
    /// The carrier's number.
    pub waybill: Text<60>,
    /// When it should arrive.
    pub expected_on: Option<Date>,
    /// Its dispatches.
    pub dispatches: Vec<Dated>,
    /// Claims of arrival.
    pub deliveries: Vec<Dated>,
    /// The taker's receipts.
    pub receipts: Vec<Dated>,
    /// The gifts that it carries.
    pub gifts: SortedSet<EventHash>,
}

impl Shipment {
    pub(super) fn new(dispatch: &Dispatch) -> Self {
        Self {
            id: dispatch.shipment.clone(),
            taker: dispatch.taker.clone(),
            purpose: dispatch.purpose,
            carrier: dispatch.carrier.clone(),
            carrier_signed: false,
            carrier_name: dispatch.carrier_name.clone(),
            waybill: dispatch.waybill.clone(),
            expected_on: dispatch.expected_on,
            dispatches: Vec::new(),
            deliveries: Vec::new(),
            receipts: Vec::new(),
            gifts: SortedSet::default(),
        }
    }

    /// Who answers for what is on its way: the carrier if it signed, else the sender.
    pub fn answers(&self) -> &Handle {
        let carrier = self.carrier.as_ref().filter(|_| self.carrier_signed);
        carrier.unwrap_or(&self.id.giver)
    }

    /// When it arrived: by the first delivery, else by the first receipt.
    pub fn arrived(&self) -> Option<Dated> {
        let first = |dated: &[Dated]| dated.iter().min_by_key(|dated| dated.day()).copied();
        first(&self.deliveries).or_else(|| first(&self.receipts))
    }

    /// Receipts that are dated before the first delivery.
    pub fn receipts_before_delivery(&self) -> Vec<EntryIndex> {
        let Some(delivered) = self.deliveries.iter().filter_map(|delivery| delivery.on).min()
        else {
            return Vec::new();
        };
        let early = |receipt: &&Dated| receipt.on.is_some_and(|on| on < delivered);
        self.receipts.iter().filter(early).map(|receipt| receipt.index).collect()
    }
}

impl Keep for Shipment {
    type Key = ShipmentId;

    /// Some 40,000, for as many gifts.
    const HOT_MAX: usize = 24 << 20;

    fn key(&self) -> &ShipmentId {
        &self.id
    }

    /// The first bytes of its hash as a subject.
    fn label(key: &ShipmentId) -> Label {
        let hash = Subject::hash_of_shipment(key);
        *hash.as_bytes().first_chunk().expect("a hash is longer")
    }

    fn weight(&self) -> usize {
        let dated = self.dispatches.len() + self.deliveries.len() + self.receipts.len();
        size_of::<Self>() + dated * size_of::<Dated>() + self.gifts.len() * size_of::<EventHash>()
    }
}
