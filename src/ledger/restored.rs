//! What a repair asks of a ledger, and how it leaves one.

use std::path::Path;
use std::sync::Arc;

use crate::model::checkpoint::SignedCheckpoint;
use crate::model::note::{NoteVerifyError, VerifierKey};
use crate::store::Store;

use super::error::{LedgerError, io};
use super::index::Index;
use super::witnessed::{Witnessed, read_policy};
use super::{CHECKPOINT_FILE, Ledger, Log, Stage, TRUST_FILE, published};

impl Ledger {
    /// A ledger whose log is in this store and which has no folder, from its entries alone.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn replayed(
        store: Arc<dyn Store>,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Self, LedgerError> {
        let log = Log::open(store, Arc::new(Witnessed::open(None)?))?;
        Self::of_log(log, None, None, None, progress)
    }

    /// As [`Self::reindex`], of a store that is open.
    ///
    /// # Errors
    /// As [`Self::reindex`].
    pub(crate) fn reindex_over(
        store: Arc<dyn Store>,
        dir: &Path,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Self, LedgerError> {
        let log = Log::open(store, Arc::new(Witnessed::open(Some(dir))?))?;
        let index = Index::begin(dir).map_err(io("making the folder of the index"))?;
        let mut ledger = Self::of_log(log, Some(index), None, Some(dir), progress)?;
        ledger.save_index_telling(progress)?;
        Ok(ledger)
    }

    /// Lets the newest checkpoint be seen, and the trust file, if there is none.
    ///
    /// # Errors
    /// `ledger/io`.
    pub(crate) fn restore_files(&self, dir: &Path) -> Result<(), LedgerError> {
        self.write_trust_if_absent(&dir.join(TRUST_FILE))?;
        match published::read(&dir.join(CHECKPOINT_FILE))? {
            Some(Ok(shown)) if shown.note().text() == self.checkpoint().note().text() => Ok(()),
            _ => self.publish(None),
        }
    }

    /// Refuses a checkpoint that is not signed with the key that was the operator's at its size;
    /// of a size beyond the end, with the newest key.
    ///
    /// # Errors
    /// `ledger/origin`, `ledger/head-signature`, `ledger/trust`.
    pub(crate) fn check_signed(&self, note: &SignedCheckpoint) -> Result<(), LedgerError> {
        if note.checkpoint().origin != *self.log().origin() {
            return Err(LedgerError::Origin);
        }
        let key = self.state().parties.operator_key_at(note.checkpoint().size);
        let key = self.log().origin().log_key(&key);
        let key = key.map_err(|error| LedgerError::Trust(error.into()))?;
        note.verify(&key, [])?;
        Ok(())
    }

    /// Whether bytes of a checkpoint have changed since it was signed: a line of a key that was the
    /// operator's is on it, and wrong. Of an unknown key's line nobody can tell.
    pub(crate) fn is_rotten(&self, note: &SignedCheckpoint) -> bool {
        let keys = self.state().parties.operator_keys.iter();
        let keys = keys.filter_map(|(_, key)| self.log().origin().log_key(key).ok());
        let keys: Vec<VerifierKey> = keys.collect();
        let verified = note.note().verify(&keys.iter().collect::<Vec<_>>());
        matches!(verified, Err(NoteVerifyError::SignatureInvalid { .. }))
    }

    /// Whether a checkpoint lost the operator's signature to rot, as far as its key can be known.
    pub(crate) fn is_unsigned(&self, note: &SignedCheckpoint) -> bool {
        let known = note.checkpoint().size <= self.state().size;
        known && self.check_signed(note).is_err() || self.is_rotten(note)
    }

    /// Refuses a checkpoint that is not of this log.
    ///
    /// # Errors
    /// `ledger/rolled-back`, `ledger/forked`, and those of reading the log.
    pub(crate) fn check_extends(&self, note: &SignedCheckpoint) -> Result<(), LedgerError> {
        published::check(self.log(), note)
    }

    /// Whether the index of a folder is there, and not what was written.
    pub(crate) fn is_index_damaged(dir: &Path) -> bool {
        Index::is_damaged(dir)
    }

    /// Whether the policy of a folder is there, and cannot be read.
    pub(crate) fn is_policy_damaged(dir: &Path) -> bool {
        matches!(read_policy(dir), Err(LedgerError::Policy(_)))
    }
}
