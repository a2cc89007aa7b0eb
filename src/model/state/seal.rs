//! Seals: what they must say, and when one is due (spec section 16).

use bincode::{Decode, Encode};

use super::State;
use crate::model::date::UnixMs;
use crate::model::event::EpochSealed;
use crate::model::ident::EntryIndex;
use crate::model::seal::{Row, Sort, Table, TableRoot};
use crate::model::subject::Subject;
use crate::model::violation::{Code, Detail, Violation};

/// A seal that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sealed {
    /// Its entry: the entries before are sealed.
    pub index: EntryIndex,
    /// When it was recorded.
    pub recorded_at: UnixMs,
}

/// How far the log is sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Seals {
    newest: Option<Sealed>,
    /// When the first entry after it was recorded; none if there is no such entry.
    unsealed_since: Option<UnixMs>,
}

impl Seals {
    /// An entry takes its place.
    pub(super) fn advance(&mut self, index: EntryIndex, recorded_at: UnixMs) {
        if self.newest.is_none_or(|newest| newest.index != index) {
            self.unsealed_since.get_or_insert(recorded_at);
        }
    }
}

impl State {
    /// The newest seal.
    pub fn newest_seal(&self) -> Option<Sealed> {
        self.seals.newest
    }

    /// How many entries there are after the newest seal, or at all.
    pub fn unsealed(&self) -> u64 {
        self.size - self.seals.newest.map_or(0, |newest| newest.index + 1)
    }

    /// Whether the next entry, if recorded at this moment, must be a seal.
    pub fn seal_due(&self, recorded_at: UnixMs) -> bool {
        self.check_seal(recorded_at).is_err()
    }

    /// Checks that the next entry, recorded at this moment, may be another than a seal.
    ///
    /// # Errors
    /// `seal/missed`.
    pub fn check_seal(&self, recorded_at: UnixMs) -> Result<(), Violation> {
        let entries = u64::from(self.rules().seal_entries);
        if entries != 0 && self.unsealed() >= entries {
            return Err(Violation::new(Code::SealMissed, entries, self.unsealed() + 1));
        }
        match self.seal_due_after() {
            Some(after) if recorded_at > after => {
                Err(Violation::new(Code::SealMissed, after.0, recorded_at.0))
            }
            _ => Ok(()),
        }
    }

    /// The moment after which a seal is due whatever else is recorded.
    pub fn seal_due_after(&self) -> Option<UnixMs> {
        let seconds = u64::from(self.rules().seal_seconds);
        let since = self.seals.unsealed_since.filter(|_| seconds != 0)?;
        Some(UnixMs(since.0.saturating_add(1_000 * seconds)))
    }

    /// What a seal must say if it is the next entry.
    pub fn seal_statement(&mut self) -> EpochSealed {
        self.rows.statement(self.size)
    }

    /// Works out, ahead of the next seal, what it will take: as much as was touched since. Does
    /// nothing where the rules ask for no seals.
    pub fn refresh_tables(&mut self) {
        if self.rules().seal_entries != 0 || self.rules().seal_seconds != 0 {
            self.rows.refresh();
        }
    }

    /// A subject's row now.
    pub fn row(&self, subject: &Subject) -> Option<Row> {
        self.rows.get(&subject.into())
    }

    /// The table of a sort: its rows now, and what can be proven of it as of the newest seal.
    pub fn table(&self, sort: Sort) -> &Table {
        self.rows.table(sort)
    }

    /// Lets a seal take effect, if it is true.
    pub(super) fn sealed(
        &mut self,
        stated: &EpochSealed,
        index: EntryIndex,
        recorded_at: UnixMs,
    ) -> Result<(), Violation> {
        if let Some(newest) = self.seals.newest.filter(|_| self.unsealed() == 0) {
            return Err(Violation::new(Code::SealNothingNew, index, newest.index));
        }
        let due = self.rows.statement(index);
        let mismatch =
            |expected, found| Err(Violation { code: Code::SealMismatch, expected, found });
        if stated.size != due.size {
            return mismatch(due.size.into(), stated.size.into());
        }
        if stated.root != due.root {
            return mismatch(Detail::Row(due.root.into()), Detail::Row(stated.root.into()));
        }
        for sort in Sort::ALL {
            let (due, stated) = (*due.table(*sort), *stated.table(*sort));
            if stated != due {
                let detail = |root: TableRoot| Detail::Table(*sort, root.into());
                return mismatch(detail(due), detail(stated));
            }
        }
        self.rows.seal();
        self.seals = Seals { newest: Some(Sealed { index, recorded_at }), unsealed_since: None };
        Ok(())
    }
}
