//! The offline audit: replays a whole log from its files, and believes nothing that it can work
//! out itself (spec section 11).
//!
//! It shares the model with the writer, and nothing else. What it is told is the trust file; all
//! else it reads from a [`LogSource`]. The steps, with the codes under which they fail:
//!
//! | step | what is checked | codes |
//! |---|---|---|
//! | 1 | The checkpoint is a signed note in its one spelling, of three lines. If not, the audit ends here. It names the origin that the trust file names, and that entry 0 names. | `checkpoint/malformed`, `checkpoint/origin` |
//! | 2 | Each entry bundle that the checkpoint's size demands is there and holds as many entries as its name says. If not, the replay ends before its first entry. | `bundle/mismatch`, `container/malformed` |
//! | 3 | Each entry, in its order, is the one spelling of an entry; states its index; names the leaf hash of the entry before; was not recorded before it; and is a ledger-created event at index 0 and nowhere else. | `entry/malformed`, `chain/index`, `chain/previous`, `chain/time`, `genesis/place` |
//! | 4 | Its event's body is the one spelling of an event, with one signature for each signer, and no event with the same hash was accepted before. | `event/malformed`, `event/duplicate` |
//! | 5 | Each signature is valid by the auditor's rule ([`crate::model::signature`]), under a key that is valid itself. | `signature/invalid` |
//! | 6 | Its links are those that follow from the entries before: for each subject that the event touches, and for no other, the running number and the place of the entry before. | `links/mismatch` |
//! | 7 | The rules accept the event ([`crate::model::state`]): its anchor, who signs in which capacity, the balances. | `anchor/mismatch` to `event/no-change` |
//! | 8 | Each tile of each level holds the hashes that follow from the entries, and the root over all entries is the checkpoint's. Where an entry's leaf hash and the lowest tile differ: if the root over the lowest tiles as they stand is the checkpoint's, the bundle is wrong, else the tile. | `tile/mismatch`, `bundle/mismatch`, `container/malformed`, `checkpoint/root` |
//! | 9 | The checkpoint is signed by the operator key that is valid at index size - 1. | `checkpoint/signature` |
//! | 10 | Entry 0 has the leaf hash and the operator key that the trust file names. | `trust/genesis`, `trust/operator` |
//! | 11 | The log extends the newest checkpoint in the trust file: it is at least as large, its root at that size is that checkpoint's, and the operator key valid at that size has signed it. | `trust/checkpoint` |
//! | 12 | No witness of the trust file's policy has a wrong signature on the checkpoint, and those that cosigned it satisfy the policy. | `trust/policy` |
//!
//! Of steps 3 to 7 an entry fails the first that it does not pass, in the order of
//! [`crate::model::violation::Code::ALL`], and the audit goes on:
//!
//! - **An entry that fails** keeps its place: the next one must name its leaf hash, and it counts
//!   in the links of all that it touches. It changes no state. Every gift that it touches is marked
//!   with its index and code. What it touches follows from its event; if the event cannot be read,
//!   from the operator's links; if the entry cannot be read, it touches nothing.
//! - **Entry 0** is the exception: if it fails, no key and no rule is known, and the replay ends.
//! - **An event of an unknown kind or version** goes through steps 3 to 7 as far as they do not
//!   need its statement: chain, head, signatures, duplicate, anchor, and links, of which the
//!   subjects are taken as the operator wrote them. It is listed as not understood. What a later
//!   entry violates in step 7, a later correction in step 6, or the checkpoint in step 9, may then
//!   be the unknown event's doing: it is listed as unjudged, and is no failure.
//! - **If the replay ends early**, steps 8 (the root, and tiles that are not full), 9, 11 (beyond
//!   the end) and 12 cannot be decided and are left out: the audit has failed already.
//! - **Without a trust file** there are no steps 10 to 12, and the log's own root is all the trust.
//!
//! The audit is clean if nothing fails and nothing is not understood.

mod prepare;
mod replay;
mod report;
mod tiles;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use ed25519_dalek::VerifyingKey;
use thiserror::Error;

pub use report::{CopyComparison, Cosigned, Failure, LISTED_MAX, Listed, Outcome, Report, Spot};

use crate::bundle::{LogFile, LogSource, SourceError, TrustCopy};
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::entry::NO_LEAF;
use crate::model::event::Kind;
use crate::model::hash::{LeafHash, NodeHash, empty_root, leaf_hash};
use crate::model::ident::KeyBytes;
use crate::model::merkle::TreeBuilder;
use crate::model::note::{KeyKind, VerifierKey};
use crate::model::state::State;
use crate::model::tile::{EntryBundle, TileLayout};
use crate::model::trust::TrustFile;
use crate::model::violation::{Code, Violation};

use prepare::{Contents, Intake, Prepared, Task};
use replay::Replay;
use tiles::Tiles;

/// How an audit is run. None of it changes what the audit finds.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How many threads read, hash and check signatures, beside the one that applies the rules.
    pub threads: NonZeroUsize,
    /// Told after each entry bundle how far the replay is, on the thread that called.
    pub progress: Option<&'a dyn Fn(Progress)>,
}

impl Default for Options<'_> {
    /// As many threads as the machine has for us, and nobody is told.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { threads, progress: None }
    }
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries replayed.
    pub done: u64,
    /// Entries in all, as the checkpoint states.
    pub size: u64,
}

/// Why an audit could not be run: nothing is said about the log.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// There is no checkpoint, or a file could not be read for reasons of the system. The code is
    /// that of the source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// `audit/changed`: the file was changed while it was audited.
    #[error("{file} was changed while it was audited")]
    Changed {
        /// The file.
        file: LogFile,
    },
}

impl AuditError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Changed { .. } => "audit/changed",
        }
    }
}

/// Audits a log. The steps are those of the module.
///
/// In memory are 32 bytes an entry, the state that follows from the entries, and some tens of MB
/// for what is being read; with entries as large as can be, about 100 MB for each thread.
///
/// # Errors
/// [`AuditError`] if the audit could not be run. What is wrong with the log is in the report.
pub fn audit(
    source: &dyn LogSource,
    trust: Option<&TrustFile>,
    options: &Options<'_>,
) -> Result<Report, AuditError> {
    let mut report = Report::new(trust.is_some(), compare_trust_copy(source, trust)?);
    let note = match read_checkpoint(source)? {
        Ok(note) => note,
        Err(violation) => {
            report.fail(Spot::File(LogFile::Checkpoint), violation);
            return Ok(report);
        }
    };
    report.checkpoint = Some(note.checkpoint().clone());
    let newest = trust.and_then(TrustFile::newest).map(SignedCheckpoint::checkpoint);
    let root_then = replay(source, note.checkpoint(), newest, options, &mut report)?;
    check_checkpoint(&note, trust, &mut report);
    if let Some(trust) = trust {
        check_trust(&note, trust, root_then, &mut report);
    }
    Ok(report)
}

/// Step 1.
fn read_checkpoint(
    source: &dyn LogSource,
) -> Result<Result<SignedCheckpoint, Violation>, AuditError> {
    let malformed = |code: &'static str| Violation::new(Code::CheckpointMalformed, (), code);
    match source.checkpoint() {
        Ok(bytes) => Ok(SignedCheckpoint::parse(&bytes).map_err(|error| malformed(error.code()))),
        // Without a checkpoint, this is no log.
        Err(error @ (SourceError::Missing { .. } | SourceError::NotAFile { .. })) => {
            Err(error.into())
        }
        Err(error) => refusal(error, Code::CheckpointMalformed).map(Err),
    }
}

/// What is wrong with a log that gives such an error instead of a file; or that the system failed.
fn refusal(error: SourceError, code: Code) -> Result<Violation, AuditError> {
    let found = error.code();
    match error {
        SourceError::Io { .. } => Err(error.into()),
        SourceError::Missing { .. }
        | SourceError::NotAFile { .. }
        | SourceError::WrongLength { .. } => Ok(Violation::new(code, (), found)),
        SourceError::Truncated { .. }
        | SourceError::NotCanonical { .. }
        | SourceError::Crc { .. } => Ok(Violation::new(Code::ContainerMalformed, (), found)),
    }
}

fn compare_trust_copy(
    source: &dyn LogSource,
    trust: Option<&TrustFile>,
) -> Result<CopyComparison, AuditError> {
    Ok(match source.trust_copy() {
        Ok(TrustCopy::Absent) => CopyComparison::Absent,
        Ok(TrustCopy::Damaged(_)) => CopyComparison::Damaged,
        Ok(TrustCopy::Intact(bytes)) => match trust.map(|trust| trust.to_string().into_bytes()) {
            None => CopyComparison::NotCompared,
            Some(trust) if trust == bytes => CopyComparison::Same,
            Some(_) => CopyComparison::Differs,
        },
        Err(error @ SourceError::Io { .. }) => return Err(error.into()),
        Err(_) => CopyComparison::Damaged,
    })
}

/// Steps 2 to 8. Gives the root at the size of the `newest` checkpoint, if the replay got there.
fn replay(
    source: &dyn LogSource,
    checkpoint: &Checkpoint,
    newest: Option<&Checkpoint>,
    options: &Options<'_>,
    report: &mut Report,
) -> Result<Option<NodeHash>, AuditError> {
    let layout = TileLayout::of_size(checkpoint.size);
    let genesis = first_leaf(source, layout)?;
    let mut replay = Replay::new(source, layout, genesis.unwrap_or(NO_LEAF));
    let mut tiles = Tiles::new(source, checkpoint.size);
    let mut root_then = newest.filter(|newest| newest.size == 0).map(|_| empty_root());
    if checkpoint.size == 0 {
        let violation = Violation::new(Code::GenesisPlace, Kind::LedgerCreated as u64, ());
        replay.fail_file(LogFile::Checkpoint, violation);
    }
    let task = Task { source, layout, genesis: genesis.unwrap_or(NO_LEAF) };
    std::thread::scope(|scope| {
        let mut intake = Intake::start(task, options.threads, scope);
        for index in 0..layout.bundle_count() {
            let Prepared { coord, contents, tile } = intake.next(index);
            let entries = match contents {
                Contents::Entries(entries) => entries,
                Contents::Refused(violation) => {
                    replay.fail_file(LogFile::Entries(coord), violation);
                    return Ok(());
                }
                Contents::Failed(error) => return Err(error),
            };
            let leaves: Vec<LeafHash> = entries.iter().map(|entry| entry.leaf).collect();
            tiles.add_bundle(coord, &leaves, tile, |tree: &TreeBuilder| {
                if newest.is_some_and(|newest| newest.size == tree.size()) {
                    root_then = Some(tree.root());
                }
            })?;
            for entry in entries {
                if let ControlFlow::Break(()) = replay.add(entry)? {
                    return Ok(());
                }
            }
            if let Some(progress) = options.progress {
                progress(Progress { done: replay.size(), size: checkpoint.size });
            }
        }
        Ok(())
    })?;
    replay.finish(report);
    let root = tiles.root();
    if report.entries < checkpoint.size {
        report.failures.append(tiles.break_off());
    } else {
        report.failures.append(tiles.finish(checkpoint.root)?);
        if root != checkpoint.root {
            let violation = Violation::new(Code::RootMismatch, root, checkpoint.root);
            report.fail(Spot::File(LogFile::Checkpoint), violation);
        }
    }
    Ok(root_then)
}

/// The genesis hash, which all events but entry 0 are bound to; none if the first bundle is not
/// one, which step 2 reports.
fn first_leaf(source: &dyn LogSource, layout: TileLayout) -> Result<Option<LeafHash>, AuditError> {
    let Some(coord) = layout.bundle(0) else { return Ok(None) };
    let bytes = match source.entries(&coord) {
        Ok(bytes) => bytes,
        Err(error) => return refusal(error, Code::BundleMismatch).map(|_| None),
    };
    let bundle = EntryBundle::parse(&bytes, &coord).ok();
    Ok(bundle.and_then(|bundle| bundle.entries().next()).map(leaf_hash))
}

/// The operator's key for a checkpoint of this size, under the name that signs it.
fn operator_key(state: &State, checkpoint: &Checkpoint) -> (KeyBytes, Option<VerifierKey>) {
    let bytes = state.parties.operator_key_at(checkpoint.size);
    let key = VerifyingKey::from_bytes(bytes.as_bytes()).ok();
    let name = checkpoint.origin.key_name().clone();
    (bytes, key.and_then(|key| VerifierKey::new(name, KeyKind::Ed25519, key).ok()))
}

/// Why the operator has not signed this checkpoint, if it has not.
fn operator_signature(state: &State, note: &SignedCheckpoint) -> Result<VerifierKey, Violation> {
    let (bytes, key) = operator_key(state, note.checkpoint());
    let not_by = |found: &'static str| Violation::new(Code::CheckpointSignature, bytes, found);
    let key = key.ok_or_else(|| not_by("key/invalid"))?;
    note.verify(&key, []).map_err(|error| not_by(error.code()))?;
    Ok(key)
}

/// What steps 1, 9 and 12 still ask of the checkpoint, when the whole log is known.
fn check_checkpoint(note: &SignedCheckpoint, trust: Option<&TrustFile>, report: &mut Report) {
    let at = Spot::File(LogFile::Checkpoint);
    let checkpoint = note.checkpoint();
    let differs = |origin: &str| origin != checkpoint.origin.as_str();
    let origin = report.state.as_ref().map(|state| state.origin.as_str());
    let trusted = trust.map(|trust| trust.origin().as_str());
    if origin.is_some_and(differs) || trusted.is_some_and(differs) {
        report.fail(at, Violation::new(Code::CheckpointOrigin, (), ()));
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
        Err(violation) if report.not_understood.is_empty() => report.fail(at, violation),
        Err(violation) => report.unjudged.push(Failure { at, violation }),
    }
}

/// Step 12.
fn check_policy(
    note: &SignedCheckpoint,
    operator: &VerifierKey,
    trust: &TrustFile,
    report: &mut Report,
) {
    let policy = trust.policy();
    let at = Spot::File(LogFile::Checkpoint);
    let cosignatures = match note.verify(operator, policy.witnesses().map(|(_, key)| key)) {
        Ok(cosignatures) => cosignatures,
        Err(error) => {
            report.fail(at, Violation::new(Code::TrustPolicy, (), error.code()));
            return;
        }
    };
    for cosignature in &cosignatures {
        if let (Some(witness), Some(time)) =
            (policy.witness_name(cosignature.key), cosignature.time)
        {
            report.cosigned.push(Cosigned { witness: witness.to_owned(), time });
        }
    }
    let names: BTreeSet<&str> = report.cosigned.iter().map(|by| by.witness.as_str()).collect();
    if !policy.is_satisfied_by(&names) {
        let violation = Violation::new(Code::TrustPolicy, "quorum", names.len());
        report.fail(at, violation);
    }
}

/// Steps 10 and 11.
fn check_trust(
    note: &SignedCheckpoint,
    trust: &TrustFile,
    root_then: Option<NodeHash>,
    report: &mut Report,
) {
    if let Some(genesis) = report.genesis.filter(|genesis| *genesis != trust.genesis()) {
        report.fail(Spot::Entry(0), Violation::new(Code::TrustGenesis, trust.genesis(), genesis));
    }
    let Some(state) = &report.state else { return };
    let first = state.parties.operator_key_at(0);
    let trusted = KeyBytes::from_bytes(*trust.operator().public_key().as_bytes());
    let operator = Violation::new(Code::TrustOperator, trusted, first);
    let newest = trust.newest().and_then(|newest| {
        newest_violation(note, newest, root_then, state)
            // An unknown event may have changed the operator's key.
            .filter(|violation| {
                violation.code != Code::CheckpointSignature || report.not_understood.is_empty()
            })
            .map(|violation| Violation { code: Code::TrustCheckpoint, ..violation })
    });
    if first != trusted {
        report.fail(Spot::Entry(0), operator);
    }
    if let Some(violation) = newest {
        report.fail(Spot::File(LogFile::Checkpoint), violation);
    }
}

/// Why the log does not extend the newest checkpoint in the trust file, if it does not.
fn newest_violation(
    note: &SignedCheckpoint,
    newest: &SignedCheckpoint,
    root_then: Option<NodeHash>,
    state: &State,
) -> Option<Violation> {
    let (size, seen) = (note.checkpoint().size, newest.checkpoint());
    if size < seen.size {
        return Some(Violation::new(Code::TrustCheckpoint, seen.size, size));
    }
    let root = root_then?;
    if root != seen.root {
        return Some(Violation::new(Code::TrustCheckpoint, seen.root, root));
    }
    operator_signature(state, newest).err()
}
