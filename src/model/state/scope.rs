//! How much of a log is replayed: all of it, or what a proof file holds (spec section 17.5).

use bincode::{Decode, Encode};

use crate::model::hash::EventHash;

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
