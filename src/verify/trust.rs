//! What only a checkpoint's signatures and a trust file can tell (steps 1 and 9 to 12 of the audit).

use std::collections::BTreeSet;

use super::AuditError;
use super::report::{Conflict, CopyComparison, Failure, Report, Spot};
use super::since::Seen;
use crate::bundle::{LogFile, LogSource, SourceError, TrustCopy};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::ident::KeyBytes;
use crate::model::note::VerifierKey;
use crate::model::state::State;
use crate::model::trust::TrustFile;
use crate::model::violation::{Code, Violation};

const CHECKPOINT: Spot = Spot::File(LogFile::Checkpoint);

/// Compares the copy of a trust file beside the log with the auditor's.
pub(super) fn compare_copy(
    source: &dyn LogSource,
    trust: Option<&TrustFile>,
) -> Result<CopyComparison, AuditError> {
    Ok(match source.trust_copy() {
        Ok(TrustCopy::Absent) => CopyComparison::Absent,
        Ok(TrustCopy::Damaged(_)) => CopyComparison::Damaged,
        Ok(TrustCopy::Intact(bytes)) => match (trust, TrustFile::parse(&bytes)) {
            (None, _) => CopyComparison::NotCompared,
            (Some(trust), _) if trust.to_string().into_bytes() == bytes => CopyComparison::Same,
            (Some(trust), Ok(copy)) if pins_the_same(trust, &copy) => CopyComparison::SameRoot,
            (Some(_), _) => CopyComparison::Differs,
        },
        Err(error @ SourceError::Io { .. }) => return Err(error.into()),
        Err(_) => CopyComparison::Damaged,
    })
}

/// Whether two trust files name the same log, key and policy, whatever their owners have seen of it.
fn pins_the_same(one: &TrustFile, other: &TrustFile) -> bool {
    one.origin() == other.origin()
        && one.genesis() == other.genesis()
        && one.operator().to_string() == other.operator().to_string()
        && one.policy().to_string() == other.policy().to_string()
}

/// The operator's key for this checkpoint, if it has signed it.
fn operator_signature(state: &State, note: &SignedCheckpoint) -> Result<VerifierKey, Violation> {
    let checkpoint = note.checkpoint();
    let bytes = state.parties.operator_key_at(checkpoint.size);
    let not_by = |found: &'static str| Violation::new(Code::CheckpointSignature, bytes, found);
    let key = checkpoint.origin.log_key(&bytes).map_err(|error| not_by(error.code()))?;
    note.verify(&key, []).map_err(|error| not_by(error.code()))?;
    Ok(key)
}

/// What steps 1, 9 and 12 still ask of the checkpoint, when the whole log is known.
pub(super) fn check_checkpoint(
    note: &SignedCheckpoint,
    trust: Option<&TrustFile>,
    report: &mut Report,
) {
    let checkpoint = note.checkpoint();
    let differs = |origin: &str| origin != checkpoint.origin.as_str();
    let origin = report.state.as_ref().map(|state| state.origin.as_str());
    let trusted = trust.map(|trust| trust.origin().as_str());
    if origin.is_some_and(differs) || trusted.is_some_and(differs) {
        report.fail(CHECKPOINT, Violation::new(Code::CheckpointOrigin, (), ()));
    }
    if report.entries < checkpoint.size {
        return;
    }
    let Some(state) = &report.state else { return };
    match operator_signature(state, note) {
        Ok(key) => {
            if let Some(trust) = trust {
                check_policy(note, &key, trust, report);
            }
        }
        Err(violation) if report.not_understood.is_empty() => report.fail(CHECKPOINT, violation),
        Err(violation) => report.unjudged.push(Failure { at: CHECKPOINT, violation }),
    }
}

/// Step 12.
fn check_policy(
    note: &SignedCheckpoint,
    operator: &VerifierKey,
    trust: &TrustFile,
    report: &mut Report,
) {
    match trust.policy().cosigned(note, operator) {
        Ok(cosigned) => report.cosigned = cosigned,
        Err(error) => {
            report.fail(CHECKPOINT, Violation::new(Code::TrustPolicy, (), error.code()));
            return;
        }
    }
    let names: BTreeSet<&str> = report.cosigned.iter().map(|by| by.witness.as_str()).collect();
    if !trust.policy().is_satisfied_by(&names) {
        let violation = Violation::new(Code::TrustPolicy, "quorum", names.len());
        report.fail(CHECKPOINT, violation);
    }
}

/// Step 10.
pub(super) fn check_trust(trust: &TrustFile, report: &mut Report) {
    if let Some(genesis) = report.genesis.filter(|genesis| *genesis != trust.genesis()) {
        let violation = Violation::new(Code::TrustGenesis, trust.genesis(), genesis);
        report.fail(Spot::Entry(0), violation);
    }
    if let Some(state) = &report.state {
        let key = state.parties.operator_key_at(0);
        let trusted = KeyBytes::from_bytes(*trust.operator().public_key().as_bytes());
        if key != trusted {
            report.fail(Spot::Entry(0), Violation::new(Code::TrustOperator, trusted, key));
        }
    }
}

/// Step 11, for a checkpoint of whatever origin it was seen: in the trust file, or before.
pub(super) fn check_seen(note: &SignedCheckpoint, seen: &Seen<'_>, report: &mut Report) {
    let Some(state) = &report.state else { return };
    if let Err(violation) = check_extends(note, seen) {
        report.conflicts.push(Conflict {
            seen: seen.checkpoint.clone(),
            found: note.clone(),
            root_then: seen.root_then,
        });
        report.fail(CHECKPOINT, violation);
    } else if seen.root_then.is_some()
        // An event that is not understood may have changed the operator's key.
        && report.not_understood.is_empty()
        && let Err(violation) = operator_signature(state, seen.checkpoint)
    {
        report.fail(CHECKPOINT, Violation { code: seen.code, ..violation });
    }
}

/// Whether the log is at least as large as one that was seen, and had its root at that size; as far
/// as the replay got.
fn check_extends(note: &SignedCheckpoint, seen: &Seen<'_>) -> Result<(), Violation> {
    let (size, then) = (note.checkpoint().size, seen.checkpoint.checkpoint());
    if size < then.size {
        return Err(Violation::new(seen.code, then.size, size));
    }
    match seen.root_then.filter(|root| *root != then.root) {
        Some(root) => Err(Violation::new(seen.code, then.root, root)),
        None => Ok(()),
    }
}
