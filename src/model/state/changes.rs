//! What has changed in a state since it was written, for whoever keeps it on a disk.

use bincode::{Decode, Encode};

use super::parties::PartyChanges;
use super::seal::Seals;
use super::seen::Slot;
use super::{Campaign, Label, NeedState, OrderState, RecallState, ShelfError, ShelfPlace, State};
use crate::model::date::UnixMs;
use crate::model::event::Rules;
use crate::model::hash::{EventHash, LeafHash};
use crate::model::ident::EntryIndex;
use crate::model::seal::RowChanges;
use crate::model::text::Text;

/// What some entries have changed in a state. Its size is that of the changes, not of the state.
///
/// Gifts and shipments are on their shelves: only their places are here.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Changes {
    parties: PartyChanges,
    rules: Vec<(EntryIndex, Rules)>,
    /// Labels, and the numbers of places.
    gifts: Vec<(Label, u64)>,
    shipments: Vec<(Label, u64)>,
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

impl State {
    /// What has changed until now is not asked for: [`Self::take_changes`] gives what changes after.
    pub fn track_changes(&mut self) {
        self.gifts.track_changes();
        self.shipments.track_changes();
        self.take_changes().expect("nothing has to be put on a shelf");
    }

    /// What has changed since this was asked last. The first time it is not known, and the answer
    /// is of no use; from then on it is remembered, in memory in proportion to what changes.
    ///
    /// # Errors
    /// If gifts or shipments cannot be put on their shelves; then again it is not known.
    pub fn take_changes(&mut self) -> Result<Changes, ShelfError> {
        Ok(Changes {
            parties: self.parties.take_changes(),
            rules: self.rules.clone(),
            gifts: numbered(self.gifts.take_changes()?),
            shipments: numbered(self.shipments.take_changes()?),
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
        })
    }

    /// Makes the changes that the state has seen next that this one was written of.
    pub fn take_in(&mut self, changes: Changes) {
        self.parties.take_in(changes.parties);
        self.rules = changes.rules;
        self.gifts.take_in(placed(changes.gifts));
        self.shipments.take_in(placed(changes.shipments));
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

fn numbered(places: Vec<(Label, ShelfPlace)>) -> Vec<(Label, u64)> {
    places.into_iter().map(|(label, place)| (label, place.number())).collect()
}

fn placed(places: Vec<(Label, u64)>) -> impl Iterator<Item = (Label, ShelfPlace)> {
    places.into_iter().map(|(label, number)| (label, ShelfPlace::new(number)))
}
