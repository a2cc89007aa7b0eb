//! Proof files from a ledger's log.

use crate::model::audited::SignedStatement;
use crate::model::hash::NodeHash;
use crate::model::ident::EntryIndex;
use crate::model::proof_file::{About, AuditShown, MakeError, Maker, ProofFile, ProofSource};

use super::error::LedgerError;
use super::{Ledger, Log};

/// Why no proof was made.
pub type ProveError = MakeError<LedgerError>;

impl ProofSource for Log {
    type Error = LedgerError;

    fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, LedgerError> {
        self.entry_bytes(index)
    }

    fn shown(&self, indexes: &[EntryIndex], size: u64) -> Result<Vec<NodeHash>, LedgerError> {
        self.shown_proof(indexes, size)
    }
}

impl Ledger {
    /// A proof about a gift, or that there is none of an id, under the newest seal if there is one,
    /// as of the newest checkpoint, with what auditors say of this ledger.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove(
        &self,
        about: About,
        statements: &[SignedStatement],
    ) -> Result<ProofFile, ProveError> {
        let size = self.checkpoint().checkpoint().size;
        let shown = |signed: &SignedStatement| {
            let consistency =
                self.log().consistency_proof(signed.statement().checkpoint.size, size);
            Ok(AuditShown { note: signed.to_string().into_bytes(), consistency: consistency? })
        };
        let audits: Result<_, LedgerError> = statements.iter().map(shown).collect();
        let maker = Maker {
            state: self.state(),
            source: self.log(),
            checkpoint: self.checkpoint(),
            sealed: true,
            audits: audits.map_err(MakeError::Source)?,
        };
        maker.make(about)
    }
}
