//! Who signed what of a gift, in as few bytes as tell it.
//!
//! It is asked for only when a key turns out to be compromised; a gift's own keys never are, so
//! their signatures are not noted.

use bincode::{Decode, Encode};

use super::gift::{Books, Fact, Gift};
use super::parties::KeyOrigin;
use crate::model::date::Date;
use crate::model::ident::EntryIndex;

/// A signature, to be found if its key turns out to be compromised.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Signed {
    /// The place of its entry in [`Gift::entries`].
    place: u32,
    on: Date,
    key: KeyOrigin,
}

impl Gift {
    /// Takes note of who signed the newest entry.
    pub(super) fn note_signers(&mut self, fact: &Fact, books: &Books) {
        let recorded = fact.recorded_at.date(books.rules.offset_minutes);
        let on = fact.head.occurred_on.unwrap_or(recorded);
        let place = u32::try_from(self.entries.len() - 1).expect("a subject has 2^32 - 1 entries");
        let keys = fact.head.signers.iter().filter_map(|signer| books.parties.key(&signer.key));
        self.signed.extend(keys.map(|key| Signed { place, on, key: key.origin }));
    }

    /// What was signed with keys that are no gift's: the entry, the day, the key.
    pub fn signatures(&self) -> impl Iterator<Item = (EntryIndex, Date, KeyOrigin)> {
        let entry = |signed: &Signed| self.entries[signed.place as usize];
        self.signed.iter().map(move |signed| (entry(signed), signed.on, signed.key))
    }
}
