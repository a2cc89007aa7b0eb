//! A whole ledger goes from one store into another: out by a bundle, a mirror or the folder itself,
//! in by this. Whatever the store, it is the same ledger afterwards: the same entries, tree,
//! checkpoint and cosignatures, the same policy and trust file.
//!
//! Nothing is believed: the log is audited first, and its tree computed once more while it is
//! copied. Entry by entry it is what the operator signed, so no key is needed; to append to it, the
//! operator's key is, as before.

use std::path::Path;

use thiserror::Error;

use crate::bundle::{LogFile, LogSource, TrustCopy};
use crate::ledger::{BESIDE, Beside, CarryError, Ledger, LedgerError, Stage, carry};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::entry::Entry;
use crate::model::event::Kind;
use crate::model::note::{Note, NoteVerifyError};
use crate::model::policy::Policy;
use crate::model::tile::{EntryBundle, TileLayout};
use crate::model::trust::{TrustError, TrustFile};
use crate::store::{CreateError, LocalStore, Store};
use crate::verify::{AuditError, Options, Outcome, Progress, Report, audit};

/// Why a ledger was not moved. Where a new folder was begun, it is recognised as unfinished, and
/// may be filled again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The audit could not be run; the code is its own.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// `transfer/failed`: the log has integrity failures.
    #[error("the log fails its audit")]
    Failed(Box<Report>),
    /// `transfer/not-understood`: the log has entries that this version does not understand.
    #[error("the log holds entries that are not understood")]
    NotUnderstood(Box<Report>),
    /// `transfer/cosignature`: a line on the checkpoint names a witness of the policy, and is not
    /// its signature.
    #[error("the checkpoint bears a false cosignature: {0}")]
    Cosignature(#[from] NoteVerifyError),
    /// `transfer/trust-copy`, `trust-file/newer-version`: the copy of the trust file that came along is
    /// none, and no other was given.
    #[error("the trust file that came along is none: {0}")]
    TrustCopy(TrustError),
    /// The log could not be copied; the code is its own.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The folder could not be made; the code is that of the store.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The new ledger could not be written or opened; the code is its own.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl TransferError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Audit(error) => error.code(),
            Self::Failed(_) => "transfer/failed",
            Self::NotUnderstood(_) => "transfer/not-understood",
            Self::Cosignature(_) => "transfer/cosignature",
            Self::TrustCopy(TrustError::NewerVersion(_)) => "trust-file/newer-version",
            Self::TrustCopy(_) => "transfer/trust-copy",
            Self::Carry(error) => error.code(),
            Self::Create(error) => error.code(),
            Self::Ledger(error) => error.code(),
        }
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The source is audited.
    Audit,
    /// Its entries are copied.
    Copy,
    /// The new ledger is opened, and its index built.
    Index(Stage),
}

/// Told how far a step is.
pub type Told<'a> = &'a dyn Fn(Step, Progress);

/// A log that was found clean, on its way into another store.
pub struct Transfer<'a> {
    source: &'a dyn LogSource,
    /// The checkpoint as the operator signed it, without cosignatures.
    head: SignedCheckpoint,
    beside: Beside,
    told: Told<'a>,
}

impl<'a> Transfer<'a> {
    /// Audits a log. The trust file is the one given, else the copy that came along.
    ///
    /// The copy tells whose log it claims to be, and by which policy it was cosigned, but nothing of
    /// it is a demand: a ledger may be moved before its witnesses have answered. Only the policy of
    /// a trust file that is given must be satisfied. The policy that the new ledger gets is that of
    /// the copy if there is one, else that of the trust file given.
    ///
    /// # Errors
    /// [`TransferError`]; nothing has been written.
    pub fn of(
        source: &'a dyn LogSource,
        trust: Option<&TrustFile>,
        told: Told<'a>,
    ) -> Result<Self, TransferError> {
        let copy = match source.trust_copy().map_err(AuditError::from)? {
            TrustCopy::Absent => None,
            TrustCopy::Intact(bytes) | TrustCopy::Damaged(bytes) => {
                match TrustFile::parse(&bytes) {
                    Ok(copy) => Some(copy),
                    // With it, the policy would be lost: who knows better says so.
                    Err(error) if trust.is_none() => return Err(TransferError::TrustCopy(error)),
                    Err(_) => None,
                }
            }
        };
        let undemanding = copy.as_ref().map(without_policy);
        let progress = |progress| told(Step::Audit, progress);
        let options = Options { progress: Some(&progress), ..Options::default() };
        let report = audit(source, trust.or(undemanding.as_ref()), &options)?;
        match report.outcome() {
            Outcome::Clean => {}
            Outcome::Failed => return Err(TransferError::Failed(Box::new(report))),
            Outcome::NotUnderstood => {
                return Err(TransferError::NotUnderstood(Box::new(report)));
            }
        }
        let (Some(checkpoint), Some(state)) = (report.signed_checkpoint, report.state) else {
            unreachable!("a clean audit has a checkpoint and a state");
        };
        let key = state.parties.operator_key_at(checkpoint.checkpoint().size);
        let key = checkpoint.checkpoint().origin.log_key(&key);
        let key = key.expect("a clean audit has verified a signature of this key");
        // The copy of another log says nothing about this one.
        let copy = copy.filter(|copy| Some(copy.genesis()) == report.genesis);
        let known = copy.as_ref().or(trust);
        let policy = known.map_or_else(Policy::without_witnesses, |known| known.policy().clone());
        policy.cosignatures(&checkpoint)?;
        let lines = checkpoint.note().signatures().iter();
        let own = lines.filter(|line| line.key_id() == key.id() && line.key_name() == key.name());
        let head = Note::new(checkpoint.note().text().to_owned(), own.cloned().collect());
        let head = head.expect("fewer lines, the operator's among them, are a note still");
        let head = SignedCheckpoint::parse(head.to_string().as_bytes());
        let head = head.expect("a checkpoint with fewer lines is one");
        let trust = known.map(|known| known.to_string().into_bytes());
        let beside = Beside { policy, cosigned: Vec::new(), trust, checkpoint };
        Ok(Self { source, head, beside, told })
    }

    /// Takes along checkpoints of this log that witnesses cosigned earlier, and whether their last
    /// entry is a seal: a ledger folder has them, files of a log do not. Without them the witnesses
    /// are asked again.
    pub fn with_cosigned(mut self, cosigned: Vec<(SignedCheckpoint, bool)>) -> Self {
        self.beside.cosigned = cosigned;
        self
    }

    /// The newest checkpoint, with its cosignatures.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.beside.checkpoint
    }

    /// Copies the log into a store that is empty, and the files beside it into a folder.
    ///
    /// # Errors
    /// [`TransferError::Carry`], and [`TransferError::Ledger`] for the folder. What is in the store
    /// then is no ledger, and may be written over by another attempt.
    pub fn into_store(&self, store: &dyn Store, folder: &Path) -> Result<(), TransferError> {
        let mut beside = self.beside.clone();
        let size = self.head.checkpoint().size;
        let mut progress = |done, size| (self.told)(Step::Copy, Progress { done, size });
        if !beside.policy.cosignatures(&beside.checkpoint)?.is_empty() {
            beside.cosigned.retain(|(note, _)| note.checkpoint().size != size);
            let sealed = ends_with_seal(self.source, size)?;
            beside.cosigned.push((beside.checkpoint.clone(), sealed));
        }
        // The store becomes a ledger with the last commit: a crash before leaves files without one.
        beside.write(folder)?;
        carry(self.source, &self.head, store, &mut progress)?;
        Ok(())
    }

    /// Makes a ledger folder, and opens it.
    ///
    /// # Errors
    /// [`TransferError`]. The folder then is as it was, absent, or recognised as unfinished.
    pub fn into_folder(&self, folder: &Path) -> Result<Ledger, TransferError> {
        let fill = |store: &LocalStore| self.into_store(store, folder);
        drop(LocalStore::create_by(folder, &BESIDE, fill)?);
        let mut progress =
            |stage, done, size| (self.told)(Step::Index(stage), Progress { done, size });
        Ok(Ledger::reindex(folder, &mut progress)?)
    }
}

/// The same trust in a log, whoever has cosigned it.
fn without_policy(trust: &TrustFile) -> TrustFile {
    let (origin, operator) = (trust.origin().clone(), trust.operator().clone());
    let policy = Policy::without_witnesses();
    let bare = TrustFile::new(origin, trust.genesis(), operator, policy);
    let bare = bare.expect("the same trust file with less in it");
    match trust.newest() {
        Some(newest) => bare.with_newest(newest.clone()).expect("it is of the same origin"),
        None => bare,
    }
}

/// Whether the last of so many entries, which were audited, is a seal.
fn ends_with_seal(source: &dyn LogSource, size: u64) -> Result<bool, CarryError> {
    let layout = TileLayout::of_size(size);
    let Some(coord) = layout.bundle_count().checked_sub(1).and_then(|last| layout.bundle(last))
    else {
        return Ok(false);
    };
    let changed = || CarryError::Changed { file: LogFile::Entries(coord) };
    let bytes = source.entries(&coord)?;
    let entries = EntryBundle::parse(&bytes, &coord).map_err(|_| changed())?;
    let last = entries.entries().last().ok_or_else(changed)?;
    let last = Entry::from_bytes(last).map_err(|_| changed())?;
    Ok(last.event.frame.kind == Kind::EpochSealed as u16)
}
