//! What has changed in a state since it was written, for whoever keeps it on a disk.

use bincode::{Decode, Encode};

use super::kept::{ChangedValues, Places, ShelvedValues};
use super::parties::PartyChanges;
use super::record::Dictionary;
use super::seal::Seals;
use super::seen::Slot;
use super::{
    Campaign, Gift, Label, NeedState, OrderState, RecallState, ShelfError, ShelfPlace, Shipment,
    State,
};
use crate::model::date::UnixMs;
use crate::model::event::Rules;
use crate::model::hash::{EventHash, LeafHash};
use crate::model::ident::EntryIndex;
use crate::model::seal::RowChanges;
use crate::model::text::Text;

/// What some entries have changed in a state. Its size is that of the changes, not of the state.
///
/// Gifts and shipments are on their shelves: only their places are here, and what their records are
/// read with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Changes {
    parties: PartyChanges,
    rules: Vec<(EntryIndex, Rules)>,
    /// Labels, and the numbers of places.
    gifts: Vec<(Label, u64)>,
    shipments: Vec<(Label, u64)>,
    dictionaries: [Dictionary; 2],
    recalls: Vec<((Text<200>, Text<60>), Vec<RecallState>)>,
    needs: Vec<(EventHash, NeedState)>,
    orders: Vec<(EventHash, OrderState)>,
    campaigns: Vec<(Text<60>, Campaign)>,
    publications: Vec<(EntryIndex, ())>,
    events: Vec<Slot>,
    rows: RowChanges,
    seals: Seals,
    recorded_at: UnixMs,
    /// How many entries have been taken in with them.
    pub size: u64,
    /// The leaf hash of the last of them.
    pub last_leaf: LeafHash,
}

/// What has changed, as it is: gifts and shipments are still to be put on their shelves, and rows to
/// be tidied, which any thread may do while the state goes on.
pub struct Unshelved {
    gifts: ChangedValues<Gift>,
    shipments: ChangedValues<Shipment>,
    others: Changes,
}

/// Which gifts and shipments were put on their shelves, and where they lie.
pub struct Shelved {
    gifts: ShelvedValues<Gift>,
    shipments: ShelvedValues<Shipment>,
}

impl State {
    /// What has changed until now is not asked for: [`Self::take_changes`] gives what changes after.
    pub fn track_changes(&mut self) {
        self.gifts.track_changes();
        self.shipments.track_changes();
        self.take_unshelved();
    }

    /// What was taken has come to nothing: what has changed is not known again.
    pub fn forget_changes(&mut self) {
        self.gifts.forget_changes();
        self.shipments.forget_changes();
    }

    /// As [`Self::take_unshelved`], with what has changed put on the shelves.
    ///
    /// # Errors
    /// If gifts or shipments cannot be put on their shelves; then again it is not known.
    pub fn take_changes(&mut self) -> Result<Changes, ShelfError> {
        match self.take_unshelved().shelve() {
            Ok((changes, shelved)) => {
                self.note_shelved(shelved);
                Ok(changes)
            }
            Err(error) => {
                self.forget_changes();
                Err(error)
            }
        }
    }

    /// Takes note of where gifts and shipments lie that were put on their shelves.
    pub fn note_shelved(&mut self, shelved: Shelved) {
        self.gifts.note_shelved(shelved.gifts);
        self.shipments.note_shelved(shelved.shipments);
    }

    /// What has changed since this was asked last, in no time. The first time it is not known, and
    /// the answer is of no use; from then on it is remembered, in memory in proportion to what
    /// changes.
    pub fn take_unshelved(&mut self) -> Unshelved {
        let (gifts, shipments) = (self.gifts.take_changed(), self.shipments.take_changed());
        let others = Changes {
            parties: self.parties.take_changes(),
            rules: self.rules.clone(),
            gifts: Vec::new(),
            shipments: Vec::new(),
            dictionaries: [self.gifts.dictionary(), self.shipments.dictionary()],
            recalls: self.recalls.take_changes(),
            needs: self.needs.take_changes(),
            orders: self.orders.take_changes(),
            campaigns: self.campaigns.take_changes(),
            publications: self.publications.take_changes(),
            events: self.events.take_changes(),
            rows: self.rows.take_changes(),
            seals: self.seals,
            recorded_at: self.recorded_at,
            size: self.size,
            last_leaf: self.last_leaf,
        };
        Unshelved { gifts, shipments, others }
    }

    /// Makes the changes that the state has seen next that this one was written of.
    pub fn take_in(&mut self, changes: Changes) {
        self.parties.take_in(changes.parties);
        self.rules = changes.rules;
        let [of_gifts, of_shipments] = changes.dictionaries;
        self.gifts.take_in(placed(changes.gifts), of_gifts);
        self.shipments.take_in(placed(changes.shipments), of_shipments);
        self.recalls.take_in(changes.recalls);
        self.needs.take_in(changes.needs);
        self.orders.take_in(changes.orders);
        self.campaigns.take_in(changes.campaigns);
        self.publications.take_in(changes.publications);
        self.events.take_in(changes.events);
        self.rows.take_in(changes.rows);
        self.seals = changes.seals;
        self.recorded_at = changes.recorded_at;
        self.size = changes.size;
        self.last_leaf = changes.last_leaf;
    }
}

impl Unshelved {
    /// Puts gifts and shipments on their shelves, and gives with the changes what
    /// [`State::note_shelved`] is to know.
    ///
    /// # Errors
    /// If they cannot be put there.
    pub fn shelve(mut self) -> Result<(Changes, Shelved), ShelfError> {
        let (gift_places, gifts) = self.gifts.shelve()?;
        let (shipment_places, shipments) = self.shipments.shelve()?;
        let (gift_places, shipment_places) = (numbered(gift_places), numbered(shipment_places));
        self.others.rows.tidy();
        let changes = Changes { gifts: gift_places, shipments: shipment_places, ..self.others };
        Ok((changes, Shelved { gifts, shipments }))
    }
}

fn numbered(places: Places) -> Vec<(Label, u64)> {
    places.into_iter().map(|(label, place)| (label, place.number())).collect()
}

fn placed(places: Vec<(Label, u64)>) -> impl Iterator<Item = (Label, ShelfPlace)> {
    places.into_iter().map(|(label, number)| (label, ShelfPlace::new(number)))
}
