//! How much of a log is replayed: all of it, or what a proof file holds (spec section 17.5).

use bincode::{Decode, Encode};

use super::{Recorded, State};
use crate::model::date::UnixMs;
use crate::model::hash::{EventHash, LeafHash};
use crate::model::ident::EntryIndex;
use crate::model::violation::Violation;

/// How much of a log is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Scope {
    /// Every entry: what is not known is not there.
    #[default]
    Whole,
    /// The entries of a proof about this gift, or about none. Other gifts are not known, and what
    /// the rules ask and do for their sake is left out.
    Part(Option<EventHash>),
}

impl Scope {
    /// Whether the entries are only a part of the log.
    pub(super) fn is_part(self) -> bool {
        self != Self::Whole
    }

    /// Whether the rules are applied to this gift.
    pub(super) fn covers(self, gift: &EventHash) -> bool {
        match self {
            Self::Whole => true,
            Self::Part(about) => about == Some(*gift),
        }
    }
}

impl State {
    /// As [`Self::begin`], for the entries of a proof: `gift` is what it is about.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_part(
        entry: &Recorded,
        leaf: LeafHash,
        gift: Option<EventHash>,
    ) -> Result<Self, Violation> {
        Ok(Self { scope: Scope::Part(gift), ..Self::begin(entry, leaf)? })
    }

    /// Goes on to an entry of a part of the log, whose links are the caller's affair.
    pub fn pass_over(&mut self, index: EntryIndex, recorded_at: UnixMs, leaf: LeafHash) {
        self.advance_by_hash(index, recorded_at, leaf, &[]);
    }
}
