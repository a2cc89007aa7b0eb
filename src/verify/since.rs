//! Auditing a log of which something is known already.

use super::report::Report;
use super::saved::AuditState;
use super::tiles::hashes;
use super::{AuditError, Options, Spot, read_checkpoint, replay, trust};
use crate::bundle::{LogFile, LogSource};
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::hash::NodeHash;
use crate::model::merkle::{
    ProveError, TileNodeError, TileNodes, consistency_proof, verify_consistency,
};
use crate::model::tile::TileLayout;
use crate::model::trust::TrustFile;
use crate::model::violation::Code;

/// What is known of a log before it is audited, beside what the trust file says.
pub enum Since {
    /// Nothing.
    Nothing,
    /// A checkpoint that was seen: the log must extend it. All entries are replayed.
    Checkpoint(Box<SignedCheckpoint>),
    /// Where an earlier audit ended: the log must extend that, and only what is new is replayed.
    State(Box<AuditState>),
}

/// A checkpoint that the log must extend.
pub(super) struct Seen<'a> {
    pub checkpoint: &'a SignedCheckpoint,
    /// The code of the failure if it does not.
    pub code: Code,
    /// The log's root over as many entries; none if the replay does not get there.
    pub root_then: Option<NodeHash>,
}

impl Seen<'_> {
    pub(super) fn size(&self) -> u64 {
        self.checkpoint.checkpoint().size
    }
}

/// As [`super::audit`], of a log of which something is known.
///
/// Going on from a state costs what the new entries do, and gives the report that an audit from
/// entry 0 would give, but for what is wrong with files of the old part: those are not read again,
/// except for rules that look back. Where the log does not extend the state, or its tiles cannot
/// show that it does, all entries are replayed, so that the report says what is wrong.
///
/// # Errors
/// As [`super::audit`], and [`AuditError::OtherLog`].
pub fn audit_since(
    source: &dyn LogSource,
    trust: Option<&TrustFile>,
    since: Since,
    options: &Options<'_>,
) -> Result<Report, AuditError> {
    let mut report = Report::new(trust.is_some(), trust::compare_copy(source, trust)?);
    let note = match read_checkpoint(source)? {
        Ok(note) => note,
        Err(violation) => {
            report.fail(Spot::File(LogFile::Checkpoint), violation);
            return Ok(report);
        }
    };
    let checkpoint = note.checkpoint();
    report.checkpoint = Some(checkpoint.clone());
    report.signed_checkpoint = Some(note.clone());
    let (before, from) = match since {
        Since::Nothing => (None, None),
        Since::Checkpoint(seen) => (Some(*seen), None),
        Since::State(state) => {
            let seen = state.checkpoint().clone();
            let goes_on = extends(source, checkpoint, seen.checkpoint())?;
            (Some(seen), goes_on.then_some(*state))
        }
    };
    if let Some(before) = &before
        && before.checkpoint().origin != checkpoint.origin
    {
        let (seen, found) = (before.checkpoint().origin.clone(), checkpoint.origin.clone());
        return Err(AuditError::OtherLog { seen, found });
    }
    let newest = trust.and_then(TrustFile::newest).map(|seen| (seen, Code::TrustCheckpoint));
    let before = before.as_ref().map(|seen| (seen, Code::SinceCheckpoint));
    let seen = [newest, before].into_iter().flatten();
    let mut seen: Vec<Seen<'_>> =
        seen.map(|(checkpoint, code)| Seen { checkpoint, code, root_then: None }).collect();
    replay(source, checkpoint, from, &mut seen, options, &mut report)?;
    trust::check_checkpoint(&note, trust, &mut report);
    if let Some(trust) = trust {
        trust::check_trust(trust, &mut report);
    }
    seen.iter().for_each(|seen| trust::check_seen(&note, seen, &mut report));
    Ok(report)
}

/// Whether a log's tiles show that the tree of its checkpoint begins with that of an older one, by
/// the consistency proof that they give (RFC 6962 section 2.1.2). If not, either the log does not
/// extend the older one, or its tiles are wrong.
///
/// # Errors
/// [`AuditError::Source`] if the system failed.
pub fn extends(
    source: &dyn LogSource,
    checkpoint: &Checkpoint,
    older: &Checkpoint,
) -> Result<bool, AuditError> {
    let (old, new) = (older.size, checkpoint.size);
    if old == 0 || old > new {
        return Ok(false);
    }
    let layout = TileLayout::of_size(new);
    let nodes = TileNodes::new(|level, index| -> Result<Vec<NodeHash>, Unreadable> {
        let tile = layout.tile(level, index).ok_or(Unreadable::Wrong)?;
        match hashes(source.tile(&tile), tile.width().into()) {
            Ok(Ok(hashes)) => Ok(hashes.into_iter().map(NodeHash::from_bytes).collect()),
            Ok(Err(_)) => Err(Unreadable::Wrong),
            Err(error) => Err(Unreadable::Failed(error)),
        }
    });
    let proof = match consistency_proof(old, new, &nodes) {
        Ok(proof) => proof,
        Err(ProveError::Source(TileNodeError::Read(Unreadable::Failed(error)))) => {
            return Err(error);
        }
        Err(_) => return Ok(false),
    };
    Ok(verify_consistency(old, new, &older.root, &checkpoint.root, &proof).is_ok())
}

/// Why a tile gives no hashes.
enum Unreadable {
    /// The file is not what it must be.
    Wrong,
    /// The system failed.
    Failed(AuditError),
}
