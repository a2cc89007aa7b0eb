//! A mirror: a full copy of somebody else's log, every part of which was audited before it was
//! taken.
//!
//! ```text
//! checkpoint, giftproof.trust, tile/...     the log as files, for lookups and audits
//! .giftproof-mirror/state                   where the last audit ended
//! .giftproof-mirror/previous                the size before: its partial tiles go next time
//! .giftproof-mirror/incoming/               what is being taken
//! .giftproof-mirror/lock                    held while a process follows
//! evidence/<seen>-<found>-<root>/           two checkpoints that do not fit
//! ```
//!
//! - New tiles and entries are kept apart until an audit of them is clean, then moved over, then
//!   the state is written, and last the checkpoint. So whoever reads the folder sees the old log or
//!   the new one, and whatever a crash leaves behind is either taken up again or not asked for.
//! - Only a log that extends the copy is followed. Of one that does not, both checkpoints are kept.
//! - Whoever can write the folder can write its state: a mirror is as trustworthy as its keeper.
//!   Others audit it as they would any log.

mod taking;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bundle::layout::TRUST_COPY_PATH;
use crate::bundle::output::sync_folder;
use crate::bundle::{Existing, LogFile, LogFolder, LogSource, OutputFile, TrustCopy};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::hash::{Digest32, HASH_LEN};
use crate::model::tile::{TILE_WIDTH, TileLayout};
use crate::model::trust::TrustFile;
use crate::model::violation::Code;
use crate::verify::{
    AuditError, AuditState, Conflict, Options, Outcome, Report, Since, audit, audit_since, extends,
};

use taking::Taking;

const PRIVATE: &str = ".giftproof-mirror";
const CHECKPOINT: &str = "checkpoint";

/// What following came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// How many entries the mirror had.
    pub from: u64,
    /// How many it has.
    pub to: u64,
}

/// Why a log was not followed; the mirror is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// `mirror/locked`: another process follows into this folder.
    #[error("another process has this mirror open")]
    Locked,
    /// `mirror/occupied`: the folder holds other things.
    #[error("the folder is not empty, and no mirror")]
    Occupied,
    /// `mirror/io`: the mirror's folder could not be read or written.
    #[error("the mirror's folder: {0}")]
    Io(#[from] io::Error),
    /// The audit could not be run; the code is that of the audit.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// `mirror/failed`: the log has integrity failures.
    #[error("the log fails its audit")]
    Failed(Box<Report>),
    /// `mirror/not-understood`: the log holds entries that this build does not understand.
    #[error("the log holds entries that are not understood")]
    NotUnderstood(Box<Report>),
    /// `mirror/forked`: the operator has signed two checkpoints that do not fit.
    /// `mirror/other-ledger`: it is not shown that the mirrored log's operator signed the other one.
    #[error("the log does not extend the mirrored one; both checkpoints are in {}", evidence.display())]
    Forked {
        /// The mirror's checkpoint and the log's.
        conflict: Box<Conflict>,
        /// The operator of the mirrored log has signed both.
        signed: bool,
        /// Where both are kept.
        evidence: PathBuf,
    },
    /// `mirror/rolled-back`: the log is the beginning of the mirrored one.
    #[error("the log has fewer entries than the mirror; both checkpoints are in {}", evidence.display())]
    RolledBack {
        /// The mirror's checkpoint and the log's.
        conflict: Box<Conflict>,
        /// Where both are kept.
        evidence: PathBuf,
    },
    /// `mirror/damaged`: the mirror is not what it was when it was audited.
    #[error("the mirror's own files are damaged")]
    Damaged,
}

impl MirrorError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Locked => "mirror/locked",
            Self::Occupied => "mirror/occupied",
            Self::Io(_) => "mirror/io",
            Self::Audit(error) => error.code(),
            Self::Failed(_) => "mirror/failed",
            Self::NotUnderstood(_) => "mirror/not-understood",
            Self::Forked { signed: true, .. } => "mirror/forked",
            Self::Forked { signed: false, .. } => "mirror/other-ledger",
            Self::RolledBack { .. } => "mirror/rolled-back",
            Self::Damaged => "mirror/damaged",
        }
    }
}

/// A mirror that this process alone writes.
#[derive(Debug)]
pub struct Mirror {
    folder: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Mirror {
    /// Where the last audit of a mirror ended, for whoever only reads it; none if there is none, or
    /// the mirror is just being changed.
    pub fn state_of(folder: &Path) -> Option<AuditState> {
        let state = open(&folder.join(PRIVATE).join("state")).ok()??;
        let published = fs::read(folder.join(CHECKPOINT)).ok()?;
        (state.checkpoint().to_string().as_bytes() == published).then_some(state)
    }

    /// Whether a folder is a mirror.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(PRIVATE).is_dir()
    }

    /// Opens a mirror, or begins one in a folder that is new or empty.
    ///
    /// # Errors
    /// [`MirrorError::Occupied`], [`MirrorError::Locked`], [`MirrorError::Io`].
    pub fn open(folder: &Path) -> Result<Self, MirrorError> {
        fs::create_dir_all(folder)?;
        if !Self::is_at(folder) && fs::read_dir(folder)?.next().is_some() {
            return Err(MirrorError::Occupied);
        }
        fs::create_dir_all(folder.join(PRIVATE))?;
        let lock = File::create(folder.join(PRIVATE).join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_path_buf(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(MirrorError::Locked),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Takes what is new in a log, once.
    ///
    /// # Errors
    /// [`MirrorError`]; the mirror is as it was, but for evidence of a log that does not fit.
    pub fn follow(
        &self,
        source: &dyn LogSource,
        trust: Option<&TrustFile>,
        now_unix_seconds: u64,
        options: &Options<'_>,
    ) -> Result<Followed, MirrorError> {
        let offered = source.checkpoint().map_err(AuditError::from)?;
        if let Some(size) = self.published(&offered)? {
            return Ok(Followed { from: size, to: size });
        }
        let from = self.state(now_unix_seconds, options)?;
        let have = from.as_ref().map_or(0, |state| state.checkpoint().checkpoint().size);
        let incoming = self.private("incoming");
        let taking = Taking::new(source, offered, &self.folder, have, incoming);
        let mut audited = self.audit_taking(&taking, from, trust, options);
        if refuses(&audited) && taking.reused() {
            // What an earlier attempt had kept may be what is wrong.
            taking.discard()?;
            let from = self.state(now_unix_seconds, options)?;
            audited = self.audit_taking(&taking, from, trust, options);
        }
        if refuses(&audited) {
            // Nothing of a log that is not followed stays.
            taking.discard()?;
        }
        let report = audited?;
        let signed = report.signed_checkpoint.as_ref().expect("a clean audit has a checkpoint");
        let to = signed.checkpoint().size;
        taking.settle(to)?;
        self.publish_trust(source, trust)?;
        // A crash before this leaves the old mirror, one after it the new: `state` publishes then.
        let saved = self.save(&report, now_unix_seconds, options)?;
        assert!(saved, "another audit can go on from a clean one");
        write(&self.folder.join(CHECKPOINT), signed.to_string().as_bytes())?;
        self.prune(have, to)?;
        Ok(Followed { from: have, to })
    }

    /// The size of the mirror, if this is its checkpoint.
    fn published(&self, offered: &[u8]) -> io::Result<Option<u64>> {
        let same = read(&self.folder.join(CHECKPOINT))?.is_some_and(|own| own == offered);
        let own = SignedCheckpoint::parse(offered).ok().filter(|_| same);
        Ok(own.map(|own| own.checkpoint().size))
    }

    /// A clean audit of what is taken, on top of what is here; or why it is not followed.
    fn audit_taking(
        &self,
        taking: &Taking<'_>,
        from: Option<AuditState>,
        trust: Option<&TrustFile>,
        options: &Options<'_>,
    ) -> Result<Report, MirrorError> {
        let since = match from {
            None => Since::Nothing,
            Some(state) => {
                let ours = state.checkpoint().checkpoint();
                let fits = match SignedCheckpoint::parse(taking.offered()) {
                    Ok(offered) => extends(taking, offered.checkpoint(), ours)?,
                    Err(_) => false,
                };
                if !fits {
                    return Err(self.why_not(taking.source(), &state, trust, options)?);
                }
                Since::State(Box::new(state))
            }
        };
        judged(audit_since(taking, trust, since, options)?)
    }

    /// Why a log does not extend the mirror, found in the whole log alone.
    fn why_not(
        &self,
        source: &dyn LogSource,
        state: &AuditState,
        trust: Option<&TrustFile>,
        options: &Options<'_>,
    ) -> Result<MirrorError, MirrorError> {
        let ours = state.checkpoint();
        let since = Since::Checkpoint(Box::new(ours.clone()));
        let report = audit_since(source, trust, since, options)?;
        let Some(conflict) = report.conflicts.iter().find(|conflict| conflict.seen == *ours) else {
            return Ok(match judged(report) {
                Err(error) => error,
                // The log extends the mirror by what it says itself: so the mirror is wrong.
                Ok(_) => MirrorError::Damaged,
            });
        };
        let conflict = Box::new(conflict.clone());
        let evidence = self.keep(&conflict)?;
        let found = conflict.found.checkpoint();
        let mirrored = LogFolder::new(&self.folder);
        if found.size < ours.checkpoint().size && extends(&mirrored, ours.checkpoint(), found)? {
            return Ok(MirrorError::RolledBack { conflict, evidence });
        }
        let forged = [Code::CheckpointSignature, Code::CheckpointOrigin];
        let mut failures = report.failures.first().iter();
        let signed = report.genesis == Some(state.genesis())
            && report.entries == found.size
            && report.not_understood.is_empty()
            && !failures.any(|failure| forged.contains(&failure.violation.code));
        Ok(MirrorError::Forked { conflict, signed, evidence })
    }

    /// Where the last audit of the mirror ended; none if it is empty.
    fn state(
        &self,
        now_unix_seconds: u64,
        options: &Options<'_>,
    ) -> Result<Option<AuditState>, MirrorError> {
        let known = open(&self.private("state"))?;
        let published = read(&self.folder.join(CHECKPOINT))?;
        match (known, published) {
            (None, None) => Ok(None),
            (Some(state), published) if fits(&state, published.as_deref()) => {
                let note = state.checkpoint().to_string();
                if published.as_deref() != Some(note.as_bytes()) {
                    // A crash came between the two.
                    write(&self.folder.join(CHECKPOINT), note.as_bytes())?;
                }
                Ok(Some(state))
            }
            _ => {
                // Lost or damaged: what follows from the entries follows again.
                let report = audit(&LogFolder::new(&self.folder), None, options)?;
                let report = judged(report).map_err(|_| MirrorError::Damaged)?;
                if !self.save(&report, now_unix_seconds, options)? {
                    return Err(MirrorError::Damaged);
                }
                let state = open(&self.private("state"))?;
                state.map(Some).ok_or(MirrorError::Damaged)
            }
        }
    }

    /// Writes the state of an audit at once and for good; false if another cannot go on from it.
    fn save(
        &self,
        report: &Report,
        now_unix_seconds: u64,
        options: &Options<'_>,
    ) -> io::Result<bool> {
        let mut file = OutputFile::create(&self.private("state"), Existing::Replace)?;
        let progress = options.saving.unwrap_or(&|_, _| {});
        let hash = AuditState::write(report, now_unix_seconds, &mut file, progress)?;
        if hash.is_some() {
            file.commit()?;
        }
        Ok(hash.is_some())
    }

    fn private(&self, name: &str) -> PathBuf {
        self.folder.join(PRIVATE).join(name)
    }

    /// Keeps two checkpoints that do not fit. Gives the folder.
    fn keep(&self, conflict: &Conflict) -> io::Result<PathBuf> {
        let (seen, found) = (conflict.seen.checkpoint(), conflict.found.checkpoint());
        let root = found.root.to_string();
        let name = format!("{}-{}-{}", seen.size, found.size, &root[..16]);
        let folder = self.folder.join("evidence").join(name);
        fs::create_dir_all(&folder)?;
        write(&folder.join("seen"), conflict.seen.to_string().as_bytes())?;
        write(&folder.join("found"), conflict.found.to_string().as_bytes())?;
        sync_folder(&self.folder.join("evidence"))?;
        sync_folder(&self.folder)?;
        Ok(folder)
    }

    /// Puts a trust file beside the log, as a convenience; one that is there stays.
    fn publish_trust(&self, source: &dyn LogSource, trust: Option<&TrustFile>) -> io::Result<()> {
        let path = self.folder.join(TRUST_COPY_PATH);
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        match (trust, source.trust_copy()) {
            (Some(trust), _) => write(&path, trust.to_string().as_bytes()),
            (None, Ok(TrustCopy::Intact(bytes))) => write(&path, &bytes),
            // Nothing rests on it.
            (None, _) => Ok(()),
        }
    }

    /// Removes the partial tiles and bundles of the size before the last: somebody may still be
    /// reading by the last checkpoint.
    fn prune(&self, last: u64, size: u64) -> io::Result<()> {
        let path = self.private("previous");
        let before = read(&path)?.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        let kept: Vec<LogFile> = partial(last).chain(partial(size)).collect();
        for file in partial(before.unwrap_or(0)).filter(|file| !kept.contains(file)) {
            match fs::remove_file(self.folder.join(file.to_string())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        write(&path, last.to_string().as_bytes())
    }
}

/// The files of a log of this size that a longer log does not have.
fn partial(size: u64) -> impl Iterator<Item = LogFile> {
    let layout = TileLayout::of_size(size);
    let last = move |level| layout.tile(level, layout.tile_count(level).checked_sub(1)?);
    let tiles = (0..layout.level_count()).filter_map(last).filter(|t| t.width() < TILE_WIDTH);
    let bundle = layout.bundle_count().checked_sub(1).and_then(|index| layout.bundle(index));
    let bundle = bundle.filter(|bundle| bundle.width() < TILE_WIDTH);
    tiles.map(LogFile::Tile).chain(bundle.map(LogFile::Entries))
}

/// Whether an audit came to its end, and the log is not to be followed; an audit that was interrupted
/// is taken up again.
fn refuses(audited: &Result<Report, MirrorError>) -> bool {
    !matches!(audited, Ok(_) | Err(MirrorError::Audit(AuditError::Source(_)) | MirrorError::Io(_)))
}

/// A report that a mirror may follow.
fn judged(report: Report) -> Result<Report, MirrorError> {
    match report.outcome() {
        Outcome::Clean => Ok(report),
        Outcome::Failed => Err(MirrorError::Failed(Box::new(report))),
        Outcome::NotUnderstood => Err(MirrorError::NotUnderstood(Box::new(report))),
    }
}

/// Reads a state of our own, which nobody else writes, so that its own hash is enough. None if there
/// is none, or it is damaged.
fn open(path: &Path) -> io::Result<Option<AuditState>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut hash = [0; HASH_LEN];
    if file.metadata()?.len() < HASH_LEN as u64 {
        return Ok(None);
    }
    file.seek(SeekFrom::End(-(HASH_LEN as i64)))?;
    file.read_exact(&mut hash)?;
    Ok(AuditState::read(file, &Digest32::from_bytes(hash), &|_, _| {})?.ok())
}

/// Whether a state is of the published checkpoint, or of one that a crash kept from being so.
fn fits(state: &AuditState, published: Option<&[u8]>) -> bool {
    let published = published.map(SignedCheckpoint::parse);
    match published {
        None => true,
        Some(Ok(published)) => {
            let (ours, theirs) = (state.checkpoint().checkpoint(), published.checkpoint());
            ours == theirs || ours.size > theirs.size
        }
        Some(Err(_)) => false,
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file at once and for good.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OutputFile::create(path, Existing::Replace)?;
    file.write_all(bytes)?;
    file.commit()
}
