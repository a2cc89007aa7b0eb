//! What stands for itself beside gifts and shipments: recalls, needs, orders, campaigns.

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::model::date::Date;
use crate::model::event::{NeedDeclared, Order};
use crate::model::hash::EventHash;
use crate::model::ident::{EntryIndex, Handle};
use crate::model::text::Text;

/// A recall.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct RecallState {
    /// The event.
    pub event: EventHash,
    /// Its entry.
    pub index: EntryIndex,
    /// Who recalls.
    pub by: Handle,
    /// The recall's number.
    pub number: Text<60>,
    /// The entry that lifted it.
    pub lifted: Option<EntryIndex>,
}

/// A need.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct NeedState {
    /// The event.
    pub event: EventHash,
    /// Its entry.
    pub index: EntryIndex,
    /// Who wants it.
    pub recipient: Handle,
    /// What is wanted.
    pub need: NeedDeclared,
    /// The entry that closed it.
    pub closed: Option<EntryIndex>,
}

/// An order on pooled stock.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct OrderState {
    /// The event.
    pub event: EventHash,
    /// Its entry.
    pub index: EntryIndex,
    /// Who ordered.
    pub by: Handle,
    /// The order.
    pub order: Order,
    /// How much of it designations have carried out.
    pub carried_out: u64,
}

/// A public campaign, as far as its reports go.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Campaign {
    /// The day of its first gift.
    pub first: Date,
    /// The days of its reports: attestations of that kind that name its number as a document.
    pub reports: Vec<Date>,
}
