//! A witness: it has seen the checkpoints of the logs that it trusts, and says so for as long as
//! each one extends the one before (C2SP tlog-witness and tlog-cosignature; spec section 20.1).
//!
//! Whoever runs one keeps a log's operator from showing two histories unseen: of one origin, no two
//! checkpoints that do not fit together bear its cosignature. What that rests on:
//!
//! - Nothing is cosigned that is not on disk: [`Keeper::keep_newest`] comes before the answer.
//! - Requests for one origin are judged one after the other, from reading the newest checkpoint to
//!   replacing it.
//! - Where replacing fails, nobody knows what is on disk. Nothing is cosigned, and the next request
//!   reads it again.
//! - A cosignature's time is never 0, and never before the one given last for the origin.
//!
//! What a log signed and cannot stand together is kept as evidence, see [`Misfit`].
//!
//! The core knows no clock, disk or net: time is an argument, the disk is a [`Keeper`].
//! [`WitnessFolder`] is the real one, and [`serve`] the door to it.

mod answer;
mod folder;
mod logs;
mod rate;
#[cfg(feature = "serve")]
pub mod serve;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ed25519_dalek::SigningKey;
use thiserror::Error;

use crate::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use crate::model::hash::empty_root;
use crate::model::key::SecretKey;
use crate::model::merkle::{ProofError, TREE_SIZE_MAX, verify_consistency};
use crate::model::note::{
    CosignatureTime, KeyKind, KeyName, Note, NoteSignature, NoteVerifyError, VerifierKey,
};
use crate::model::witness::AddCheckpoint;

pub use answer::{Answer, Refusal};
pub use folder::{EVIDENCE_MAX, FolderError, WitnessFolder};
pub use logs::{KEYS_PER_LOG_MAX, LOGS_MAX, LogsError, TrustedLogs};
use rate::Bucket;

/// How far a clock may step back, in seconds, before the witness stops to believe it. Within this,
/// the last time is given again.
pub const CLOCK_STEP_BACK_MAX: u64 = 300;

/// Where a witness keeps what must outlive it.
pub trait Keeper: Send + Sync {
    /// The note that was kept last for this log.
    ///
    /// # Errors
    /// When it cannot be read.
    fn newest(&self, origin: &Origin) -> io::Result<Option<Vec<u8>>>;

    /// Puts a note in the place of the last one, at once and durably.
    ///
    /// # Errors
    /// When that failed; then either of the two may be there.
    fn keep_newest(&self, origin: &Origin, note: &str) -> io::Result<()>;

    /// Keeps two checkpoints that do not fit, unless they are there already, or too many are. Says
    /// where, if they are new.
    ///
    /// # Errors
    /// When they could not be written.
    fn keep_evidence(&self, evidence: &Evidence<'_>) -> io::Result<Option<PathBuf>>;
}

/// In what two checkpoints that one log has signed do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MisfitKind {
    /// One size, two roots: the operator has signed two histories. The two notes prove it.
    Fork,
    /// No proof that the larger tree begins with the smaller was given. The request may have been
    /// somebody else's; but an operator that cannot show such a proof has forked its log.
    Unproven,
}

impl MisfitKind {
    /// The kind's name, as folders bear it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Unproven => "unproven",
        }
    }
}

/// Two checkpoints of one origin, both signed by the log, that do not fit.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// In what.
    pub kind: MisfitKind,
    /// The log.
    pub origin: &'a Origin,
    /// What the witness has cosigned: a signed note.
    pub cosigned: &'a str,
    /// Its size, in entries.
    pub cosigned_size: u64,
    /// What it was asked to cosign.
    pub offered: &'a SignedCheckpoint,
}

/// That evidence was met with, and what became of it.
#[derive(Debug)]
pub struct Misfit {
    /// Of which kind it is.
    pub kind: MisfitKind,
    /// Where it was put, if it is new and there was room.
    pub kept: io::Result<Option<PathBuf>>,
}

/// Why a witness cannot begin.
#[derive(Debug, Error)]
pub enum OpenError {
    /// `witness/no-logs`: there is no log to witness.
    #[error("there is no log to witness")]
    NoLogs,
    /// `witness/key-is-log`: the witness's key is a log's key too.
    #[error("the witness's key is that of the log {0}")]
    KeyIsLog(Origin),
    /// `witness/damaged`: what is kept of a log is no checkpoint with this witness's cosignature.
    #[error("what is kept of the log {0} is not what this witness has written")]
    Damaged(Origin),
    /// `witness/io`: the disk failed.
    #[error("what is kept of the log {origin} cannot be read: {error}")]
    Io {
        /// The log.
        origin: Origin,
        /// What the system said.
        error: io::Error,
    },
}

impl OpenError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoLogs => "witness/no-logs",
            Self::KeyIsLog(_) => "witness/key-is-log",
            Self::Damaged(_) => "witness/damaged",
            Self::Io { .. } => "witness/io",
        }
    }
}

/// The newest checkpoint of a log that this witness has cosigned.
#[derive(Debug, Clone)]
struct Cosigned {
    checkpoint: Checkpoint,
    cosignature: NoteSignature,
    time: CosignatureTime,
    /// The log's signatures and the cosignature, and no other lines.
    note: String,
}

impl Cosigned {
    /// Reads what was kept; `None` if it is of another log, or not by this witness.
    fn parse(bytes: &[u8], origin: &Origin, witness: &VerifierKey) -> Option<Self> {
        let signed = SignedCheckpoint::parse(bytes).ok()?;
        let (checkpoint, note) = (signed.checkpoint(), signed.note());
        let time = note.verify(&[witness]).ok()?.first()?.time?;
        let cosignature = line_of(note, witness)?.clone();
        (checkpoint.origin == *origin).then(|| Self {
            checkpoint: checkpoint.clone(),
            cosignature,
            time,
            note: note.to_string(),
        })
    }
}

/// The first line that names this key.
fn line_of<'a>(note: &'a Note, key: &VerifierKey) -> Option<&'a NoteSignature> {
    let names = |line: &&NoteSignature| line.key_name() == key.name() && line.key_id() == key.id();
    note.signatures().iter().find(names)
}

/// What is known of one log.
struct State {
    /// `None` until the first cosignature.
    newest: Option<Cosigned>,
    /// Replacing the newest failed, and what is on disk has not been read since.
    unsure: bool,
    bucket: Bucket,
}

struct Log {
    keys: Vec<VerifierKey>,
    state: Mutex<State>,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // Whoever had the lock panicked, perhaps between the disk and the memory.
            let mut state = PoisonError::into_inner(poisoned);
            state.unsure = true;
            state
        })
    }

    /// The lines by which the log has signed, one of each of its keys. Other lines are left out:
    /// nobody has checked them, and they may bear the witness's own name.
    fn signatures(&self, note: &Note) -> Result<Vec<NoteSignature>, NoteVerifyError> {
        let keys: Vec<&VerifierKey> = self.keys.iter().collect();
        note.verify(&keys)?;
        Ok(keys.into_iter().filter_map(|key| line_of(note, key)).cloned().collect())
    }
}

/// What a witness shows of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The size of the newest checkpoint that it cosigned.
    pub size: u64,
    /// When it cosigned it.
    pub time: CosignatureTime,
}

/// A witness with its key, its logs, and what it has cosigned of each.
pub struct Witness<K = WitnessFolder> {
    name: KeyName,
    key: SigningKey,
    vkey: VerifierKey,
    logs: BTreeMap<Origin, Log>,
    per_minute: u32,
    keeper: K,
}

impl<K> fmt::Debug for Witness<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({})", self.vkey)
    }
}

/// The verifier key of a witness: what it gives to operators and auditors.
pub fn verifier_key(name: &KeyName, key: &SecretKey) -> VerifierKey {
    let key = SigningKey::from_bytes(key.seed());
    VerifierKey::of_signer(name.clone(), KeyKind::Cosignature, &key)
}

impl<K: Keeper> Witness<K> {
    /// Begins where the keeper's notes end. At most `per_minute` larger trees of each log are
    /// cosigned a minute, and at least one.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        keeper: K,
        name: KeyName,
        key: &SecretKey,
        logs: TrustedLogs,
        per_minute: u32,
    ) -> Result<Self, OpenError> {
        let vkey = verifier_key(&name, key);
        let mut known = BTreeMap::new();
        for (origin, keys) in logs.into_iter() {
            if keys.iter().any(|key| key.public_key() == vkey.public_key()) {
                return Err(OpenError::KeyIsLog(origin));
            }
            let newest = match read_newest(&keeper, &origin, &vkey) {
                Ok(newest) => newest,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(OpenError::Damaged(origin));
                }
                Err(error) => return Err(OpenError::Io { origin, error }),
            };
            let state = State { newest, unsure: false, bucket: Bucket::full() };
            known.insert(origin, Log { keys, state: Mutex::new(state) });
        }
        if known.is_empty() {
            return Err(OpenError::NoLogs);
        }
        let key = SigningKey::from_bytes(key.seed());
        Ok(Self { name, key, vkey, logs: known, per_minute: per_minute.max(1), keeper })
    }

    /// The key by which this witness's cosignatures are known.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.vkey
    }

    /// The logs, and what was cosigned of each.
    pub fn logs(&self) -> impl Iterator<Item = (&Origin, Option<Seen>)> {
        self.logs.iter().map(|(origin, log)| {
            let seen = |newest: &Cosigned| Seen { size: newest.checkpoint.size, time: newest.time };
            (origin, log.lock().newest.as_ref().map(seen))
        })
    }

    /// The newest checkpoint of a log with the log's signatures and this witness's cosignature;
    /// `None` if it never cosigned one.
    pub fn newest(&self, origin: &Origin) -> Option<String> {
        Some(self.logs.get(origin)?.lock().newest.as_ref()?.note.clone())
    }

    /// Judges the body of an `add-checkpoint` request at this time, in seconds since 1970, and
    /// cosigns what extends all that was cosigned before.
    pub fn add_checkpoint(&self, body: &[u8], now_unix_seconds: u64) -> Answer {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return Answer::refused(Refusal::Malformed(error)),
        };
        let offered = request.checkpoint.checkpoint();
        let Some(log) = self.logs.get(&offered.origin) else {
            return Answer::refused(Refusal::UnknownLog(offered.origin.clone()));
        };
        let mut misfit = None;
        let outcome = self.judge(log, &request, now_unix_seconds, &mut misfit);
        Answer { about: Some((offered.origin.clone(), offered.size)), outcome, misfit }
    }

    /// The order of the checks is that of spec section 20.1.
    fn judge(
        &self,
        log: &Log,
        request: &AddCheckpoint,
        now: u64,
        misfit: &mut Option<Misfit>,
    ) -> Result<NoteSignature, Refusal> {
        let signed = log.signatures(request.checkpoint.note()).map_err(Refusal::Signature)?;
        let offered = request.checkpoint.checkpoint();
        if offered.size > TREE_SIZE_MAX {
            return Err(Refusal::TooLarge(offered.size));
        }
        if request.old_size > offered.size {
            return Err(Refusal::OldSize { old: request.old_size, size: offered.size });
        }
        if offered.size == 0 && offered.root != empty_root() {
            return Err(Refusal::EmptyRoot);
        }
        // From here to the end nobody else judges a checkpoint of this log.
        let mut locked = log.lock();
        let state = &mut *locked;
        if state.unsure {
            let newest = read_newest(&self.keeper, &offered.origin, &self.vkey);
            state.newest = newest.map_err(Refusal::Storage)?;
            state.unsure = false;
        }
        let kept = state.newest.as_ref();
        if let Some(kept) = kept.filter(|kept| is_fork(&kept.checkpoint, offered)) {
            // Whatever the request says of the old size.
            *misfit = Some(self.keep_misfit(MisfitKind::Fork, kept, &request.checkpoint));
        }
        let kept_size = kept.map_or(0, |kept| kept.checkpoint.size);
        if request.old_size != kept_size {
            return Err(Refusal::Conflict { size: kept_size });
        }
        if misfit.is_some() {
            return Err(Refusal::RootDiffers { size: kept_size });
        }
        if let Err(error) = extends(kept.map(|kept| &kept.checkpoint), request) {
            if let Some(kept) = kept.filter(|_| 0 < kept_size && kept_size < offered.size) {
                *misfit = Some(self.keep_misfit(MisfitKind::Unproven, kept, &request.checkpoint));
            }
            return Err(Refusal::Proof(error));
        }
        let time = time(now, kept.map(|kept| kept.time))?;
        match kept {
            Some(kept) if offered.size == kept_size => {
                // One checkpoint at one second has one cosignature. So whoever repeats a request
                // costs a write a second at most.
                if time == kept.time {
                    return Ok(kept.cosignature.clone());
                }
            }
            // Only the log can sign larger trees, so nobody else can use up what it is allowed.
            _ => state
                .bucket
                .take(self.per_minute, now)
                .map_err(|seconds| Refusal::TooMany { seconds })?,
        }
        self.cosign(state, offered, signed, time)
    }

    /// Cosigns, keeps, and only then hands out.
    fn cosign(
        &self,
        state: &mut State,
        offered: &Checkpoint,
        mut signatures: Vec<NoteSignature>,
        time: CosignatureTime,
    ) -> Result<NoteSignature, Refusal> {
        // What is signed is what was understood, written anew.
        let text = offered.to_string();
        let cosignature = NoteSignature::cosign(&text, time, &self.name, &self.key);
        signatures.push(cosignature.clone());
        let note = Note::new(text, signatures).expect("a few signatures are far below all limits");
        let note = note.to_string();
        // A crash in here leaves the old note or the new one, whose cosignature nobody has seen.
        state.unsure = true;
        self.keeper.keep_newest(&offered.origin, &note).map_err(Refusal::Storage)?;
        state.unsure = false;
        let checkpoint = offered.clone();
        state.newest = Some(Cosigned { checkpoint, cosignature, time, note });
        let newest = state.newest.as_ref().expect("it was put there just now");
        Ok(newest.cosignature.clone())
    }

    fn keep_misfit(&self, kind: MisfitKind, kept: &Cosigned, offered: &SignedCheckpoint) -> Misfit {
        let evidence = Evidence {
            kind,
            origin: &kept.checkpoint.origin,
            cosigned: &kept.note,
            cosigned_size: kept.checkpoint.size,
            offered,
        };
        Misfit { kind, kept: self.keeper.keep_evidence(&evidence) }
    }
}

/// # Errors
/// What the keeper says; `InvalidData` if what it has is not this witness's.
fn read_newest(
    keeper: &impl Keeper,
    origin: &Origin,
    witness: &VerifierKey,
) -> io::Result<Option<Cosigned>> {
    let Some(bytes) = keeper.newest(origin)? else { return Ok(None) };
    let cosigned = Cosigned::parse(&bytes, origin, witness);
    cosigned.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn is_fork(kept: &Checkpoint, offered: &Checkpoint) -> bool {
    kept.size == offered.size && kept.root != offered.root
}

/// Whether the offered tree begins with the kept one; the old size is the kept one's, and nothing
/// kept is the empty tree.
fn extends(kept: Option<&Checkpoint>, request: &AddCheckpoint) -> Result<(), ProofError> {
    let offered = request.checkpoint.checkpoint();
    match kept {
        Some(kept) if kept.size > 0 => {
            verify_consistency(kept.size, offered.size, &kept.root, &offered.root, &request.proof)
        }
        // Every tree begins with the empty one; there is nothing to prove.
        _ if request.proof.is_empty() => Ok(()),
        _ => Err(ProofError::TooLong { needed: 0 }),
    }
}

/// The time of a cosignature: this one, or the last one if the clock is a little behind it.
fn time(now: u64, last: Option<CosignatureTime>) -> Result<CosignatureTime, Refusal> {
    let last = last.map_or(0, CosignatureTime::unix_seconds);
    if now == 0 || now.saturating_add(CLOCK_STEP_BACK_MAX) < last {
        return Err(Refusal::Clock { now, last });
    }
    CosignatureTime::new(now.max(last)).ok_or(Refusal::Clock { now, last })
}
