//! What the owner of a trust file can tell of a checkpoint by itself, without the log: whose
//! signatures it has, and whether they are enough.

use std::collections::BTreeSet;

use thiserror::Error;

use super::TrustFile;
use crate::model::checkpoint::{CheckpointVerifyError, Origin, SignedCheckpoint};
use crate::model::hash::NodeHash;
use crate::model::note::{NoteVerifyError, VerifierKey};
use crate::model::policy::Cosigned;

/// A checkpoint that the trust file does not vouch for. The codes are those under which an audit
/// (spec section 11) reports the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Distrust {
    /// `checkpoint/origin`: it is of another log.
    #[error("the checkpoint is of {found}, the trust file of {trusted}")]
    Origin { trusted: Origin, found: Origin },
    /// `checkpoint/other-operator-key`: signed under the log's name with a key that is not the one
    /// in the trust file. After a rotation of the operator's key that is as it should be, and only
    /// the log can tell.
    #[error("the checkpoint is signed with another operator key than the trust file's")]
    OtherOperatorKey,
    /// `checkpoint/signature`: the operator's signature is wrong or missing.
    #[error("the operator has not signed the checkpoint: {0}")]
    Signature(CheckpointVerifyError),
    /// `trust/policy`: a witness's signature is wrong.
    #[error("a cosignature of the policy's is wrong: {0}")]
    Cosignature(CheckpointVerifyError),
    /// `trust/policy`: those who cosigned are not enough.
    #[error("the cosignatures of {found} witnesses do not satisfy the policy")]
    Policy { found: usize },
    /// `trust/checkpoint`: the same size as the newest that its owner has seen, and another root.
    #[error("at the same size the root was {seen}, not {found}")]
    Fork { seen: NodeHash, found: NodeHash },
}

impl Distrust {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Origin { .. } => "checkpoint/origin",
            Self::OtherOperatorKey => "checkpoint/other-operator-key",
            Self::Signature(_) => "checkpoint/signature",
            Self::Cosignature(_) | Self::Policy { .. } => "trust/policy",
            Self::Fork { .. } => "trust/checkpoint",
        }
    }
}

impl TrustFile {
    /// Judges a checkpoint by the operator's key of the trust file, which is that of entry 0.
    /// Returns the cosignatures of the policy's witnesses, in the order of the lines.
    ///
    /// That the log under this checkpoint extends the one that its owner has seen is not shown: it
    /// takes a consistency proof or the log. Only a contradiction at the same size is found.
    ///
    /// # Errors
    /// [`Distrust`], the first that applies, in the order of its variants.
    pub fn judge(&self, note: &SignedCheckpoint) -> Result<Vec<Cosigned>, Distrust> {
        self.judge_by(note, self.operator())
    }

    /// As [`Self::judge`], by the operator's key that is known to be valid at this checkpoint.
    ///
    /// # Errors
    /// [`Distrust`], the first that applies, in the order of its variants.
    pub fn judge_by(
        &self,
        note: &SignedCheckpoint,
        operator: &VerifierKey,
    ) -> Result<Vec<Cosigned>, Distrust> {
        let checkpoint = note.checkpoint();
        if checkpoint.origin != *self.origin() {
            let (trusted, found) = (self.origin().clone(), checkpoint.origin.clone());
            return Err(Distrust::Origin { trusted, found });
        }
        note.verify(operator, []).map_err(|error| {
            // A wrong signature of the known key is not excused by the line of another.
            let unknown = CheckpointVerifyError::Note(NoteVerifyError::NoKnownSignature);
            let mut lines = note.note().signatures().iter();
            let other = lines.any(|line| line.key_name() == self.origin().key_name());
            if error == unknown && other {
                Distrust::OtherOperatorKey
            } else {
                Distrust::Signature(error)
            }
        })?;
        let cosigned = self.policy().cosigned(note, operator).map_err(Distrust::Cosignature)?;
        let names: BTreeSet<&str> = cosigned.iter().map(|by| by.witness.as_str()).collect();
        if !self.policy().is_satisfied_by(&names) {
            return Err(Distrust::Policy { found: names.len() });
        }
        if let Some(seen) = self.newest().map(SignedCheckpoint::checkpoint)
            && seen.size == checkpoint.size
            && seen.root != checkpoint.root
        {
            return Err(Distrust::Fork { seen: seen.root, found: checkpoint.root });
        }
        Ok(cosigned)
    }
}
