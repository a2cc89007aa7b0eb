//! How a ledger grows: by an event at a time in memory, by a commit for good.

use std::path::Path;
use std::sync::Arc;

use crate::model::date::UnixMs;
use crate::model::entry::{ENTRY_LEN_MAX, Entry, Header, Links, OpenEvent, Place};
use crate::model::event::EpochSealed;
use crate::model::key::SecretKey;
use crate::model::state::Recorded;
use crate::model::violation::Violation;
use crate::store::CommitError;

use super::error::{LedgerError, io};
use super::{Ledger, published, witnessed};

/// Why an event was not appended; nothing has changed.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// It breaks a rule.
    Violation(Violation),
    /// It touches more subjects than an entry can link.
    TooManySubjects { count: usize },
    /// Its entry would be too long.
    EntryTooLarge { len: usize },
    /// An earlier entry, or a gift, which a rule needs, could not be read.
    Log(LedgerError),
}

impl Ledger {
    /// Appends an event in memory. Its signatures have been checked.
    pub(crate) fn append(&mut self, event: OpenEvent, now: UnixMs) -> Result<Place, AppendError> {
        let recorded_at = now.max(self.state.recorded_at);
        let recorded = Recorded { index: self.state.size, recorded_at, event };
        let touched = self.state.touched(&recorded.event, &self.log);
        self.check_faults()?;
        let links = Links::new(self.state.links_by_hash(&touched));
        let links = links.map_err(|_| AppendError::TooManySubjects { count: touched.len() })?;
        let header =
            Header { index: recorded.index, previous: self.state.last_leaf, recorded_at, links };
        let bytes = Entry { header, event: recorded.event.signed.clone() }.to_bytes();
        if bytes.len() > ENTRY_LEN_MAX {
            return Err(AppendError::EntryTooLarge { len: bytes.len() });
        }
        let applied = self.state.apply(&recorded, &self.log);
        // A rule that could not look back, or at a gift, has seen less than there is.
        self.check_faults()?;
        applied.map_err(AppendError::Violation)?;
        let leaf = self.log.append(bytes);
        self.state.advance_by_hash(recorded.index, recorded_at, leaf, &touched);
        Ok(Place { index: recorded.index, leaf })
    }

    /// A state that has missed a gift once is not asked again: its fault stays.
    fn check_faults(&self) -> Result<(), AppendError> {
        let of_state = || self.state.fault().map(LedgerError::from);
        self.log.take_fault().or_else(of_state).map_or(Ok(()), |fault| Err(AppendError::Log(fault)))
    }

    /// What a seal must say if it is the next entry.
    pub(crate) fn seal_statement(&mut self) -> EpochSealed {
        self.state.seal_statement()
    }

    /// Works out, ahead of the next seal, what it will take.
    pub(crate) fn refresh_tables(&mut self) {
        self.state.refresh_tables();
    }

    /// Whether entries were appended that no commit has made durable.
    pub(crate) fn is_ahead(&self) -> bool {
        self.log.size() > self.checkpoint().checkpoint().size
    }

    /// Makes all that was appended durable. The key must be the operator's as of now.
    ///
    /// After an error the ledger in memory is ahead of the store: [`Self::reload`] it, or stop.
    pub(crate) fn commit(&mut self, key: &SecretKey) -> Result<(), CommitError> {
        let valid = self.state.parties.operator_key_at(self.log.size());
        assert_eq!(valid, key.public().into(), "the sequencer holds the operator's key");
        self.log.commit(key)
    }

    /// Reads everything from the store again.
    pub(crate) fn reload(&mut self) -> Result<(), LedgerError> {
        let witnessed = Arc::clone(self.witnessed());
        // Nobody writes the index while it is read.
        self.index = None;
        let (store, folder) = (self.log.store().clone(), self.folder.as_deref());
        *self = Self::witnessed_by(store, folder, witnessed, &mut |_, _, _| {})?;
        Ok(())
    }

    /// Writes the trust file, for others to take away; one that is there stays as it is, so it is
    /// on disk, whole, before it has its name.
    pub(crate) fn write_trust_if_absent(&self, path: &Path) -> Result<(), LedgerError> {
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        let trust = self.trust()?.to_string();
        witnessed::write_durably(path, trust.as_bytes()).map_err(io("writing the trust file"))
    }

    /// Lets the newest checkpoint leave the process.
    pub(crate) fn publish(&self, mark: Option<&Path>) -> Result<(), LedgerError> {
        let checkpoint = self.checkpoint().to_string();
        let write = |path: &Path| published::replace(path, checkpoint.as_bytes());
        // The mark comes first: nobody sees a checkpoint that it does not know.
        mark.map_or(Ok(()), write).map_err(io("writing the operator's mark"))?;
        self.witnessed().publish(self.checkpoint())
    }
}
