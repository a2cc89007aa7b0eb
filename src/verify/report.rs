//! What an audit found.

use std::collections::BTreeMap;

use serde::Serialize;

use super::saved::Found;
use crate::bundle::LogFile;
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::event::Kind;
use crate::model::hash::{LeafHash, NodeHash};
use crate::model::ident::EntryIndex;
use crate::model::merkle::TreeBuilder;
use crate::model::policy::Cosigned;
use crate::model::state::State;
use crate::model::violation::Violation;

/// How many findings of one sort are listed; the rest is only counted.
pub const LISTED_MAX: usize = 10_000;

/// The first [`LISTED_MAX`] findings of a sort, and how many there are in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed<T> {
    first: Vec<T>,
    count: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { first: Vec::new(), count: 0 }
    }
}

impl<T> Listed<T> {
    /// The findings that are listed, in the order in which the steps of the audit made them.
    pub fn first(&self) -> &[T] {
        &self.first
    }

    /// How many there are, listed or not.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn push(&mut self, finding: T) {
        self.count += 1;
        if self.first.len() < LISTED_MAX {
            self.first.push(finding);
        }
    }

    /// What was listed before, and how many there were in all.
    pub(super) fn restore((first, count): (Vec<T>, u64)) -> Option<Self> {
        let fits = first.len() as u64 == count.min(LISTED_MAX as u64);
        fits.then_some(Self { first, count })
    }

    pub(super) fn append(&mut self, other: Self) {
        self.count += other.count;
        let room = LISTED_MAX - self.first.len();
        self.first.extend(other.first.into_iter().take(room));
    }
}

/// Where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spot {
    /// In the entry at this index.
    Entry(EntryIndex),
    /// In this file.
    File(LogFile),
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entry(index) => write!(f, "entry {index}"),
            Self::File(file) => file.fmt(f),
        }
    }
}

impl Serialize for Spot {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An integrity failure: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Where.
    pub at: Spot,
    /// What: a code and both values.
    #[serde(flatten)]
    pub violation: Violation,
}

/// How the copy of a trust file beside the log compares with the one that the auditor has.
///
/// No audit rests on the copy, so none of these is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyComparison {
    /// There is no copy.
    Absent,
    /// Byte for byte the same.
    Same,
    /// It pins the same log, key and policy; its newest checkpoint is another one.
    SameRoot,
    /// It pins something else.
    Differs,
    /// It is not as it was written into the bundle.
    Damaged,
    /// There is a copy, and nothing to compare it with.
    NotCompared,
}

/// The outcome of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything holds.
    Clean,
    /// There is an integrity failure.
    Failed,
    /// No failure, but entries that this build does not understand.
    NotUnderstood,
}

impl Outcome {
    /// The exit code of a program that ran the audit: 0 clean, 1 failed, 2 not understood.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::NotUnderstood => 2,
        }
    }
}

/// Two tree heads of one origin that do not fit: the log of one does not begin with the other's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What was seen before. Where the log is long enough to tell, the operator's signature on it
    /// is checked too, and a wrong one is a failure of its own.
    pub seen: SignedCheckpoint,
    /// The checkpoint of the log that was audited.
    pub found: SignedCheckpoint,
    /// The root over as many entries of that log as were seen before; none if it has fewer.
    pub root_then: Option<NodeHash>,
}

/// Where a replay ended.
#[derive(Debug)]
pub(super) struct End {
    pub tree: TreeBuilder,
    pub found: Found,
}

/// What an audit found.
#[derive(Debug)]
pub struct Report {
    /// What the log's checkpoint states; none if it is malformed.
    pub checkpoint: Option<Checkpoint>,
    /// That checkpoint with its signatures.
    pub signed_checkpoint: Option<SignedCheckpoint>,
    /// How many entries an earlier audit had replayed, whose state this one went on from.
    pub resumed_at: u64,
    /// Checkpoints that were seen before, and that this log does not extend.
    pub conflicts: Vec<Conflict>,
    /// The leaf hash of entry 0, if there is one.
    pub genesis: Option<LeafHash>,
    /// Whether there was a trust file. Without one the log is consistent in itself at best: nothing
    /// tells whose it is, and whether others are shown another one.
    pub trusted: bool,
    /// The copy of a trust file beside the log.
    pub trust_copy: CopyComparison,
    /// The valid cosignatures of the policy's witnesses on the checkpoint.
    pub cosigned: Vec<Cosigned>,
    /// How many entries were replayed; fewer than the checkpoint's size if the replay had to end.
    pub entries: u64,
    /// The events that the rules accepted.
    pub events: BTreeMap<Kind, u64>,
    /// How many signatures were checked.
    pub signatures: u64,
    /// Integrity failures.
    pub failures: Listed<Failure>,
    /// Entries of a kind or version that this build does not know.
    pub not_understood: Listed<EntryIndex>,
    /// What would be failures if no entry before had been left not understood. They may follow
    /// from it, so they accuse nobody.
    pub unjudged: Listed<Failure>,
    /// What follows from the entries; none if not even entry 0 holds.
    pub state: Option<State>,
    /// What the next audit can go on from; none if the replay did not get to the checkpoint's root.
    pub(super) end: Option<End>,
}

impl Report {
    pub(super) fn new(trusted: bool, trust_copy: CopyComparison) -> Self {
        Self {
            checkpoint: None,
            signed_checkpoint: None,
            resumed_at: 0,
            conflicts: Vec::new(),
            genesis: None,
            trusted,
            trust_copy,
            cosigned: Vec::new(),
            entries: 0,
            events: BTreeMap::new(),
            signatures: 0,
            failures: Listed::default(),
            not_understood: Listed::default(),
            unjudged: Listed::default(),
            state: None,
            end: None,
        }
    }

    /// The outcome: a failure outweighs what was not understood.
    pub fn outcome(&self) -> Outcome {
        if !self.failures.is_empty() {
            Outcome::Failed
        } else if !self.not_understood.is_empty() {
            Outcome::NotUnderstood
        } else {
            Outcome::Clean
        }
    }

    /// How many gifts the log is about.
    pub fn gifts(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.gifts.len() as u64)
    }

    /// How many parties are enrolled.
    pub fn parties(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.parties.iter().count() as u64)
    }

    pub(super) fn fail(&mut self, at: Spot, violation: Violation) {
        self.failures.push(Failure { at, violation });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_counted() {
        let mut some = Listed::default();
        (0..LISTED_MAX + 5).for_each(|finding| some.push(finding));
        let mut all = Listed::default();
        all.push(7);
        all.append(some);
        assert_eq!((all.first().len(), all.count()), (LISTED_MAX, LISTED_MAX as u64 + 6));
        assert_eq!(all.first()[..3], [7, 0, 1]);
    }
}
