//! Proof files from a ledger's log.

use crate::model::audited::SignedStatement;
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::hash::NodeHash;
use crate::model::ident::EntryIndex;
use crate::model::proof_file::{About, MakeError, Maker, ProofFile, ProofSource};

use super::error::LedgerError;
use super::{Ledger, Log};

/// Why no proof was made.
pub type ProveError = MakeError<LedgerError>;

impl ProofSource for Log {
    type Error = LedgerError;

    fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, LedgerError> {
        Ok(self.entry_bytes(index)?.to_vec())
    }

    fn shown(&self, indexes: &[EntryIndex], size: u64) -> Result<Vec<NodeHash>, LedgerError> {
        self.shown_proof(indexes, size)
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<NodeHash>, LedgerError> {
        self.consistency_proof(old_size, new_size)
    }
}

impl Ledger {
    /// A proof about a gift, or that there is none of an id, under the newest seal if there is one,
    /// as of the newest checkpoint that enough witnesses have cosigned, with what auditors say of
    /// this ledger.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove(
        &self,
        about: About,
        statements: &[SignedStatement],
    ) -> Result<ProofFile, ProveError> {
        let checkpoint = self.provable();
        let maker = Maker {
            state: self.state(),
            source: self.log(),
            checkpoint: &checkpoint,
            sealed: true,
            statements,
        };
        maker.make(about)
    }

    /// The newest checkpoint that the ledger's own policy accepts and that the newest seal is under;
    /// where there is none, the newest with the cosignatures that came.
    fn provable(&self) -> SignedCheckpoint {
        let witnessed = self.witnessed();
        let sealed = self.state().newest_seal().map_or(0, |seal| seal.index + 1);
        let accepted = witnessed.accepted().into_iter().chain(witnessed.accepted_sealed());
        let mut under_seal = accepted.filter(|note| note.checkpoint().size >= sealed);
        under_seal.next().unwrap_or_else(|| self.log().cosigned())
    }
}
