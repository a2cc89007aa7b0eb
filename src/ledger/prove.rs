//! Proof files from a ledger's log.

use crate::model::audited::SignedStatement;
use crate::model::checkpoint::SignedCheckpoint;
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
        let size = checkpoint.checkpoint().size;
        let shown = |signed: &SignedStatement| {
            let consistency =
                self.log().consistency_proof(signed.statement().checkpoint.size, size);
            Ok(AuditShown { note: signed.to_string().into_bytes(), consistency: consistency? })
        };
        let audits: Result<_, LedgerError> = statements.iter().map(shown).collect();
        let maker = Maker {
            state: self.state(),
            source: self.log(),
            checkpoint: &checkpoint,
            sealed: true,
            audits: audits.map_err(MakeError::Source)?,
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
