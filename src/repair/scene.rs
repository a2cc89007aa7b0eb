//! What is at hand to repair a ledger folder with, and what follows from it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::io;
use super::gather::Gathered;
use super::remains::{Copy, Entries, Remains};
use super::{Damage, Lost, Phase, Progress, RepairError, WIDTH};
use crate::bundle::LogSource;
use crate::ledger::{CHECKPOINT_FILE, Ledger, LedgerError, TRUST_FILE};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::hash::leaf_hash;
use crate::model::tile::TileLayout;
use crate::model::trust::TrustFile;
use crate::store::{FolderLock, ObjectName, OpenError, StoreError};

/// Where a checkpoint was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    File,
    Mark,
    Source,
}

/// The checkpoints at hand, and the copies that entries are read from.
pub(super) struct Scene {
    own: Arc<Remains>,
    copy: Option<Arc<Copy>>,
    /// The entries under the head.
    pub(super) own_size: u64,
    trust: Option<TrustFile>,
    notes: Vec<(Place, SignedCheckpoint)>,
    pub(super) damage: Vec<Damage>,
}

impl Scene {
    pub(super) fn look(
        folder: &Path,
        lock: &Arc<FolderLock>,
        source: Option<Box<dyn LogSource + Send>>,
        mark: Option<&Path>,
    ) -> Result<Self, RepairError> {
        let mut damage = Vec::new();
        if !lock.is_marker_intact() {
            damage.push(Damage::Marker);
        }
        let (own, unopened) = Remains::open(folder, Arc::clone(lock));
        let mut notes = Vec::new();
        let mut own_size = 0;
        let (newest, marked) = own.newest();
        match (unopened, newest) {
            (Some(OpenError::Store(StoreError::Damaged { found })), _) => {
                damage.push(Damage::Storage { found });
            }
            (Some(error), _) => return Err(error.into()),
            (None, None) => damage.push(Damage::Head),
            (None, Some((commit_number, head))) => {
                match SignedCheckpoint::parse(&head) {
                    Ok(note) => {
                        own_size = note.checkpoint().size;
                        notes.push((Place::Head, note));
                    }
                    Err(_) => damage.push(Damage::Head),
                }
                if let Some(marked) = marked.filter(|&marked| marked > commit_number) {
                    let found = format!("the log ends at commit {commit_number}, but had {marked}");
                    damage.push(Damage::Storage { found });
                }
            }
        }
        let published = [
            (Place::File, Some(folder.join(CHECKPOINT_FILE))),
            (Place::Mark, mark.map(Path::to_path_buf)),
        ];
        for (place, path) in published {
            let Some(bytes) = path.map_or(Ok(None), |path| read(&path))? else { continue };
            match SignedCheckpoint::parse(&bytes) {
                Ok(note) => notes.push((place, note)),
                Err(_) if place == Place::File => {
                    damage.push(Damage::File { name: CHECKPOINT_FILE });
                }
                Err(error) => return Err(LedgerError::MarkUnreadable(error).into()),
            }
        }
        let trust = read(&folder.join(TRUST_FILE))?.map(|bytes| TrustFile::parse(&bytes).ok());
        if let Some(None) = trust {
            damage.push(Damage::File { name: TRUST_FILE });
        }
        let trust = trust.flatten();
        if Ledger::is_index_damaged(folder) {
            damage.push(Damage::File { name: "index" });
        }
        if Ledger::is_policy_damaged(folder) {
            damage.push(Damage::Policy);
        }
        let mut copy = None;
        if let Some(log) = source {
            let note = SignedCheckpoint::parse(&log.checkpoint()?)?;
            let (size, found) = (note.checkpoint().size, &note.checkpoint().origin);
            let ours = notes.iter().map(|(_, note)| &note.checkpoint().origin);
            let mut ours = ours.chain(trust.iter().map(TrustFile::origin)).peekable();
            if ours.peek().is_some() && !ours.any(|origin| origin == found) {
                return Err(RepairError::OtherLog { found: found.clone() });
            }
            notes.push((Place::Source, note));
            copy = Some(Arc::new(Copy { log, size }));
        }
        Ok(Self { own: Arc::new(own), copy, own_size, trust, notes, damage })
    }

    /// The log under the newest checkpoint of which all entries can be had. A newer checkpoint must
    /// be none that the operator has signed.
    pub(super) fn newest_whole(
        &mut self,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Arc<Gathered>, Ledger), RepairError> {
        let mut notes = self.notes.clone();
        notes.sort_by_key(|(_, note)| std::cmp::Reverse(note.checkpoint().size));
        let mut failed: Option<RepairError> = None;
        for (at, (place, note)) in notes.iter().enumerate() {
            let whole = self.whole_under(note, progress);
            let (gathered, ledger) = match whole {
                Ok(whole) => whole,
                Err(error) => {
                    // The newest is what counts; what is wrong with an older one says less.
                    let forged = *place == Place::Source
                        && matches!(error, RepairError::Ledger(LedgerError::HeadSignature(_)));
                    let error = if forged { RepairError::SourceSignature } else { error };
                    failed.get_or_insert(error);
                    continue;
                }
            };
            for (place, newer) in &notes[..at] {
                if newer.checkpoint().size > note.checkpoint().size
                    && (*place == Place::Source || !ledger.is_rotten(newer))
                {
                    return Err(failed.unwrap_or(RepairError::UnknownLog));
                }
            }
            return Ok((gathered, ledger));
        }
        Err(failed.unwrap_or(RepairError::UnknownLog))
    }

    /// All entries under a checkpoint, and the state that follows from them.
    fn whole_under(
        &self,
        note: &SignedCheckpoint,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Arc<Gathered>, Ledger), RepairError> {
        let (size, root) = (note.checkpoint().size, note.checkpoint().root);
        let source_size = self.copy.as_ref().map_or(0, |copy| copy.size);
        let lost = |lost: Lost| match source_size {
            0 => RepairError::Lost { lost, size },
            _ if source_size < lost.end() => RepairError::SourceOlder { lost, size, source_size },
            _ => RepairError::Lost { lost, size },
        };
        let here = self.own_size.max(source_size);
        if size == 0 || here < size {
            return Err(lost(Lost::from(here..size)));
        }
        let own: Arc<dyn Entries> = self.own.clone();
        let mut copies = vec![own];
        if let Some(copy) = &self.copy {
            copies.push(copy.clone());
        }
        let mut whole = None;
        // Of the last entry, no other one knows the hash: each copy's is tried.
        for _ in 0..copies.len() {
            let gathered = Gathered::of(note, copies.clone(), progress).map_err(lost)?;
            if gathered.root() == root {
                whole = Some(Arc::new(gathered));
                break;
            }
            copies.reverse();
        }
        let forked = || match source_size >= size {
            true => RepairError::SourceForked { size: source_size },
            false => lost(Lost::from(size - 1..size)),
        };
        let gathered = whole.ok_or_else(forked)?;
        let ledger = Ledger::replayed(gathered.clone(), &mut |_, done, all| {
            progress(Progress { phase: Phase::Judging, done, all });
        })?;
        Ok((gathered, ledger))
    }

    /// The log must be the one that was in the folder: by the trust file, by entry 0, or by a
    /// checkpoint that the operator has signed.
    pub(super) fn check_identity(&self, ledger: &Ledger) -> Result<(), RepairError> {
        let genesis = ledger.state().genesis;
        let first = TileLayout::of_size(1).bundle(0).map(|bundle| self.own.places(&bundle));
        let first = first.and_then(|places| places.into_iter().next().flatten());
        let first = first.map(|bytes| leaf_hash(&bytes));
        let pinned = self.trust.as_ref().map(TrustFile::genesis);
        let signed = |(place, note): &(Place, SignedCheckpoint)| {
            *place != Place::Source && ledger.check_signed(note).is_ok()
        };
        if first == Some(genesis) || pinned == Some(genesis) || self.notes.iter().any(signed) {
            return Ok(());
        }
        if first.is_none()
            && pinned.is_none()
            && self.notes.iter().all(|(p, _)| *p == Place::Source)
        {
            return Err(RepairError::UnknownLog);
        }
        Err(RepairError::OtherLog { found: ledger.log().origin().clone() })
    }

    /// Every other checkpoint at hand must be of the same log.
    pub(super) fn check_checkpoints(&mut self, ledger: &Ledger) -> Result<(), RepairError> {
        for (place, note) in &self.notes {
            let size = note.checkpoint().size;
            if ledger.check_signed(note).is_err() {
                match place {
                    Place::Source => return Err(RepairError::SourceSignature),
                    Place::Mark => {
                        let error = LedgerError::Forked { published: size };
                        return Err(error.into());
                    }
                    Place::File => self.damage.push(Damage::File { name: CHECKPOINT_FILE }),
                    Place::Head => self.damage.push(Damage::Head),
                }
                continue;
            }
            ledger.check_extends(note).map_err(|error| match (place, error) {
                (Place::Source, LedgerError::Forked { .. }) => RepairError::SourceForked { size },
                (_, LedgerError::Forked { .. }) if self.copy.is_some() => {
                    let size = self.copy.as_ref().map_or(size, |copy| copy.size);
                    RepairError::SourceForked { size }
                }
                (_, error) => error.into(),
            })?;
        }
        Ok(())
    }

    /// Which objects of the folder's own log are not those of the whole one.
    pub(super) fn compare_objects(&mut self, whole: &Gathered) {
        if self.damage.iter().any(|damage| matches!(damage, Damage::Head | Damage::Storage { .. }))
        {
            return;
        }
        let bundled = self.own_size / WIDTH;
        for object in whole.names() {
            let ours = match object {
                ObjectName::Bundle(index) => index < bundled,
                ObjectName::Tile { level, index } => {
                    let span = WIDTH.checked_pow(u32::from(level)).unwrap_or(u64::MAX);
                    (index + 1).saturating_mul(span) <= bundled
                }
                ObjectName::Tail { .. } => false,
            };
            if !ours {
                continue;
            }
            match self.own.object(object) {
                None => self.damage.push(Damage::Missing { object }),
                found if found != whole.object(&object) => {
                    self.damage.push(Damage::Altered { object });
                }
                Some(_) => {}
            }
        }
        let tail = TileLayout::of_size(self.own_size).bundle(bundled);
        if let Some(tail) = tail
            && whole.size() == self.own_size
            && self.own.places(&tail) != whole.tail_places()
        {
            self.damage
                .push(Damage::Altered { object: ObjectName::Tail { first: bundled * WIDTH } });
        }
    }
}

/// Reads a small file; nothing if it is absent or empty.
fn read(path: &Path) -> Result<Option<Vec<u8>>, RepairError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("reading a file of the ledger")(error)),
    }
}
