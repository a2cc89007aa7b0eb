//! What can be wrong with a ledger folder, and which entries are gone.

use std::fmt;
use std::ops::Range;

use crate::model::ident::EntryIndex;
use crate::store::ObjectName;

/// Something in a ledger folder that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// `store/not-a-ledger`: the marker is lost.
    Marker,
    /// `store/damaged`: the database does not open, or has lost commits.
    Storage {
        /// What was found.
        found: String,
    },
    /// `ledger/head`: the log has no head, or one that is no signed checkpoint.
    Head,
    /// `ledger/rolled-back`: a longer log has been signed than is here.
    RolledBack {
        /// The entries that are here.
        size: u64,
        /// The entries under the checkpoint.
        published: u64,
    },
    /// `ledger/missing`: an object of the log is not there.
    Missing {
        /// Which.
        object: ObjectName,
    },
    /// `ledger/damaged`: an object of the log is not what the tree commits to.
    Altered {
        /// Which.
        object: ObjectName,
    },
    /// `repair/file`: a file beside the log is not what it should be, and is made anew.
    File {
        /// Its name in the folder.
        name: &'static str,
    },
    /// `ledger/policy`: the policy of witnesses is none. Only the operator knows what it was.
    Policy,
}

impl Damage {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Marker => "store/not-a-ledger",
            Self::Storage { .. } => "store/damaged",
            Self::Head => "ledger/head",
            Self::RolledBack { .. } => "ledger/rolled-back",
            Self::Missing { .. } => "ledger/missing",
            Self::Altered { .. } => "ledger/damaged",
            Self::File { .. } => "repair/file",
            Self::Policy => "ledger/policy",
        }
    }

    /// Whether the log itself must be made anew.
    pub const fn is_of_log(&self) -> bool {
        !matches!(self, Self::Marker | Self::File { .. } | Self::Policy)
    }
}

/// Entries that no copy has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost(Vec<Range<EntryIndex>>);

impl Lost {
    /// The ranges of indexes, in their order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<EntryIndex>> + '_ {
        self.0.iter().rev().cloned()
    }

    /// How many entries.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The index after the last of them.
    pub fn end(&self) -> EntryIndex {
        self.0.iter().map(|range| range.end).max().unwrap_or(0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, index: EntryIndex) {
        self.add_range(index..index + 1);
    }

    /// Bundles are added from the last to the first, the entries of each in their order.
    pub(super) fn add_range(&mut self, range: Range<EntryIndex>) {
        if range.is_empty() {
            return;
        }
        let at = self.0.iter().position(|known| known.start < range.start);
        let at = at.unwrap_or(self.0.len());
        self.0.insert(at, range);
        self.0.dedup_by(|lower, upper| {
            let joined = lower.end == upper.start;
            if joined {
                upper.start = lower.start;
            }
            joined
        });
    }
}

impl From<Range<EntryIndex>> for Lost {
    fn from(range: Range<EntryIndex>) -> Self {
        let mut lost = Self::default();
        lost.add_range(range);
        lost
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.ranges().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match range.end - range.start {
                1 => write!(f, "{comma}{}", range.start)?,
                _ => write!(f, "{comma}{}-{}", range.start, range.end - 1)?,
            }
        }
        Ok(())
    }
}
