//! The gifts and shipments that a state holds: by which names they are found, which of them an event
//! is about to use, and which of them a refused entry touches.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Gift, ShelfError, State};
use crate::model::event::Statement;
use crate::model::hash::EventHash;
use crate::model::ident::{EntryIndex, GiftId};
use crate::model::subject::Subject;

impl State {
    /// A gift by the id that donors hold.
    pub fn gift_by_id(&self, id: &GiftId) -> Option<Arc<Gift>> {
        self.gifts.labelled(id.as_bytes())
    }

    /// Why gifts or shipments could not be had, if that has happened: the rules took them for
    /// absent. Whatever the state has answered since may be wrong.
    pub fn fault(&self) -> Option<ShelfError> {
        self.gifts.fault().or(self.shipments.fault())
    }

    /// [`Self::fault`], for whoever has the state in hand no more.
    pub fn watch(&self) -> impl Fn() -> Option<ShelfError> + use<> {
        let (gifts, shipments) = (self.gifts.watch(), self.shipments.watch());
        move || gifts().or_else(&shipments)
    }

    /// What an event touches is looked at more than once, and then it changes.
    pub(super) fn warm(&mut self, statement: &Statement, own: EventHash) {
        let mut subjects = Vec::new();
        Subject::of_statement(statement, own, &mut subjects);
        for subject in &subjects {
            match subject {
                Subject::Gift(gift) => drop(self.gifts.warm(gift)),
                Subject::Shipment(shipment) => drop(self.shipments.warm(shipment)),
                _ => {}
            }
        }
    }

    /// Marks every gift that a refused entry touches: "ledger fails here".
    pub fn fail(&mut self, subjects: &BTreeSet<Subject>, index: EntryIndex, code: &str) {
        for subject in subjects {
            // Its id is all that some entries say of a gift.
            if let Subject::Gift(donation) = subject
                && let Some(gift) = self.gift_by_id(&GiftId::from(donation))
            {
                self.mark_failed(&gift.id, index, code);
            }
        }
    }

    /// Marks a gift, if no earlier entry has.
    pub fn mark_failed(&mut self, gift: &EventHash, index: EntryIndex, code: &str) {
        self.gifts.change(gift, |gift| {
            if gift.failed.as_ref().is_none_or(|(first, _)| index < *first) {
                gift.failed = Some((index, code.to_owned()));
            }
        });
    }
}
