//! What auditors say of the log that a proof is from (spec section 17.4, step 9).

use super::AuditShown;
use super::check::{Audited, ProofFault};
use crate::model::audited::SignedStatement;
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::merkle::verify_consistency;
use crate::model::trust::TrustFile;

/// The statements of auditors in the trust file, each about a tree that the checkpoint extends.
/// What others say counts for nothing, and is not judged.
pub(super) fn check(
    audits: &[AuditShown],
    checkpoint: &SignedCheckpoint,
    trust: &TrustFile,
) -> Result<Vec<Audited>, ProofFault> {
    let mut audited = Vec::new();
    let checkpoint = checkpoint.checkpoint();
    for AuditShown { note, consistency } in audits {
        let fault = |detail| ProofFault::new("proof-file/audit").because(detail);
        let signed = SignedStatement::parse(note).map_err(|error| fault(error.code()))?;
        let auditors = signed.verify(trust.auditors()).map_err(|error| fault(error.code()))?;
        if auditors.is_empty() {
            continue;
        }
        let statement = signed.statement();
        let then = &statement.checkpoint;
        if then.origin != checkpoint.origin {
            return Err(fault("checkpoint/origin"));
        }
        let extends = verify_consistency(
            then.size,
            checkpoint.size,
            &then.root,
            &checkpoint.root,
            consistency,
        );
        extends.map_err(|error| fault(error.code()))?;
        audited.extend(auditors.into_iter().map(|key| Audited {
            by: key.name().to_string(),
            size: then.size,
            unix_seconds: statement.audited_at_unix_seconds,
        }));
    }
    Ok(audited)
}
