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
//! | 7 | The rules accept the event ([`crate::model::state`]): its anchor, who signs in which capacity, the balances, what a seal says. Apart from this, and whatever else the entry fails: a seal that was due before it is there. | `anchor/mismatch` to `seal/mismatch`; `seal/missed` |
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
//!   from the operator's links; if the entry cannot be read, it touches nothing. Its `recorded_at`
//!   counts if it can be read.
//! - **Entry 0** is the exception: if it fails, no key and no rule is known, and the replay ends.
//! - **An event of an unknown kind or version** goes through steps 3 to 7 as far as they do not
//!   need its statement: chain, head, signatures, duplicate, anchor, and links, of which the
//!   subjects are taken as the operator wrote them. It is listed as not understood. What a later
//!   entry violates in step 7, a missed seal included, a later correction in step 6, or the
//!   checkpoint in step 9, may then be the unknown event's doing: it is listed as unjudged, and is
//!   no failure. Like an entry that fails, an unjudged one keeps its place and changes no state.
//! - **If the replay ends early**, steps 8 (the root, and tiles that are not full), 9, 11 (beyond
//!   the end) and 12 cannot be decided and are left out: the audit has failed already.
//! - **Without a trust file** there are no steps 10 to 12, and the log's own root is all the trust.
//!
//! An audit may go on from what was seen before ([`audit_since`]): the log must extend it, or it
//! fails with `since/checkpoint`. From the state with which an earlier audit ended, only the entries
//! after it are replayed.
//!
//! The audit is clean if nothing fails and nothing is not understood.

mod blocks;
pub mod fraud;
mod past;
mod prepare;
mod replay;
mod report;
mod saved;
mod since;
mod spill;
mod tiles;
mod trust;
pub mod withheld;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use thiserror::Error;

pub use report::{Conflict, CopyComparison, Failure, LISTED_MAX, Listed, Outcome, Report, Spot};
pub use saved::{AuditState, AuditStateError};
pub use since::{Since, audit_since, extends};

use crate::bundle::{LogFile, LogSource, SourceError};
use crate::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use crate::model::entry::NO_LEAF;
use crate::model::event::Kind;
use crate::model::hash::{LeafHash, leaf_hash};
use crate::model::merkle::TreeBuilder;
use crate::model::state::ShelfError;
use crate::model::tile::{EntryBundle, TILE_WIDTH, TileLayout};
use crate::model::trust::TrustFile;
use crate::model::violation::{Code, Violation};

use past::{OldTree, Past};
use prepare::{Contents, Intake, Prepared, Task};
use replay::Replay;
use report::End;
use since::Seen;
use tiles::Tiles;

/// How an audit is run. None of it changes what the audit finds.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How many threads read, hash and check signatures, beside the one that applies the rules.
    pub threads: NonZeroUsize,
    /// Told after each entry bundle how far the replay is, on the thread that called.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// Told how many gifts and shipments are written, and how many there are, while a mirror keeps
    /// what its next audit goes on from.
    pub saving: Option<&'a dyn Fn(u64, u64)>,
}

impl Default for Options<'_> {
    /// As many threads as the machine has for us, and nobody is told.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { threads, progress: None, saving: None }
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
    /// `audit/changed-since`: the file is not what it was when an earlier audit read it. What else
    /// is wrong, only an audit from entry 0 can tell.
    #[error("{file} is not what it was when the log was audited before")]
    ChangedSince {
        /// The file.
        file: LogFile,
    },
    /// What is kept of gifts and shipments outside memory cannot be had; the code is that of the
    /// shelf.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// `since/other-log`: what was seen or audited before is of another log.
    #[error("what was seen before is of {seen}, not of {found}")]
    OtherLog {
        /// The origin of what was seen before.
        seen: Origin,
        /// That of the log.
        found: Origin,
    },
}

impl AuditError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Changed { .. } => "audit/changed",
            Self::ChangedSince { .. } => "audit/changed-since",
            Self::Shelf(error) => error.code(),
            Self::OtherLog { .. } => "since/other-log",
        }
    }
}

/// Audits a log. The steps are those of the module.
///
/// In memory are 32 bytes an entry, the state that follows from the entries, and for each thread
/// about 30 MB of what is being read: ten times as much if entries are as large as can be. Of gifts
/// and shipments, those that were touched last are in memory, and of the others 45 bytes each; what
/// they say goes to a temporary file once it is more than a few megabytes.
///
/// # Errors
/// [`AuditError`] if the audit could not be run. What is wrong with the log is in the report.
pub fn audit(
    source: &dyn LogSource,
    trust: Option<&TrustFile>,
    options: &Options<'_>,
) -> Result<Report, AuditError> {
    audit_since(source, trust, Since::Nothing, options)
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

/// Steps 2 to 8, from the end of an earlier audit if there is one. Puts into each checkpoint that
/// was seen the root over as many entries, as far as the replay gets.
fn replay(
    source: &dyn LogSource,
    checkpoint: &Checkpoint,
    from: Option<AuditState>,
    seen: &mut [Seen<'_>],
    options: &Options<'_>,
    report: &mut Report,
) -> Result<(), AuditError> {
    let layout = TileLayout::of_size(checkpoint.size);
    let genesis = match &from {
        Some(from) => Some(from.state.genesis),
        None => first_leaf(source, layout)?,
    };
    let (tree, state, found) = match from {
        Some(AuditState { tree, state, found, .. }) => (tree, Some(state), found),
        None => Default::default(),
    };
    let begin = tree.size();
    report.resumed_at = begin;
    let old = OldTree::new(source, &tree);
    for seen in seen.iter_mut().filter(|seen| seen.size() <= begin) {
        seen.root_then = Some(old.root_at(seen.size())?);
    }
    let past = Past::new(source, layout, genesis.unwrap_or(NO_LEAF), old);
    let mut replay = Replay::new(past, state, found);
    let mut tiles = Tiles::new(source, checkpoint.size, tree);
    if checkpoint.size == 0 {
        let violation = Violation::new(Code::GenesisPlace, Kind::LedgerCreated as u64, ());
        replay.fail_file(LogFile::Checkpoint, violation);
    }
    let first_bundle = begin / u64::from(TILE_WIDTH);
    let task = Task { source, layout, genesis: genesis.unwrap_or(NO_LEAF), first_bundle };
    std::thread::scope(|scope| {
        let mut intake = Intake::start(task, options.threads, scope);
        for index in first_bundle..layout.bundle_count() {
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
            if begin == 0 && index == 0 && leaves.first().copied() != genesis {
                return Err(AuditError::Changed { file: LogFile::Entries(coord) });
            }
            tiles.add_bundle(coord, &leaves, tile, |tree: &TreeBuilder| {
                for seen in seen.iter_mut().filter(|seen| seen.size() == tree.size()) {
                    seen.root_then = Some(tree.root());
                }
            })?;
            let known = begin.saturating_sub(index * u64::from(TILE_WIDTH)) as usize;
            for entry in entries.iter().skip(known) {
                if let ControlFlow::Break(()) = replay.add(entry)? {
                    return Ok(());
                }
            }
            intake.give_back(index, entries);
            if let Some(progress) = options.progress {
                progress(Progress { done: replay.size(), size: checkpoint.size });
            }
        }
        Ok(())
    })?;
    let found = replay.finish(report)?;
    if report.entries < checkpoint.size {
        report.failures.append(tiles.break_off());
        return Ok(());
    }
    let tree = tiles.tree().clone();
    report.failures.append(tiles.finish(checkpoint.root)?);
    if tree.root() != checkpoint.root {
        let violation = Violation::new(Code::RootMismatch, tree.root(), checkpoint.root);
        report.fail(Spot::File(LogFile::Checkpoint), violation);
    }
    report.end = Some(End { tree, found });
    Ok(())
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
