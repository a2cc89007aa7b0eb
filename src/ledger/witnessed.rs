//! What others have witnessed of a ledger: its policy, and the cosignatures that came in.
//!
//! ```text
//! witnesses                   the policy (C2SP tlog-policy); none: nobody is asked
//! cosigned/<size>             a checkpoint with all the cosignatures on it that came
//! cosigned/<size>-sealed      the same, of a checkpoint that proofs are made for
//! cosigned/troubles.json      which witness has failed last, when and why
//! ```
//!
//! The head of the store is signed by the operator alone, and stays so: cosignatures come later, and
//! stand beside it. Each file is complete and on disk before its name; a crash loses at most the
//! cosignature in hand, for which the witness is asked again. Kept are:
//!
//! - the newest checkpoint that satisfies the policy, and the newest sealed one;
//! - of each witness the newest checkpoint that it has cosigned: its size is what it is told next;
//! - what is newer than all that, up to a bound.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::bundle::{Existing, OutputFile};
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::note::{NoteSignature, VerifierKey};
use crate::model::policy::{Cosigned, POLICY_LEN_MAX, Policy};

use super::error::{LedgerError, io};
use super::published::{self, CHECKPOINT_FILE};

/// The file of the ledger folder with the policy.
pub const POLICY_FILE: &str = "witnesses";
/// The folder of the cosigned checkpoints.
pub(super) const FOLDER: &str = "cosigned";
/// What the name of a sealed checkpoint's file ends with.
const SEALED: &str = "-sealed";
const TROUBLES: &str = "troubles.json";

/// So many checkpoints are kept that are newer than the newest one that satisfies the policy.
const NEWER_MAX: usize = 64;

/// Why a witness has not cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// How often it has failed, one time after the other.
    pub failures: u32,
    /// When it failed last, in seconds since 1970, by this machine's clock.
    pub at_unix_seconds: u64,
    /// The stable code of the failure.
    pub code: String,
    /// The failure in its own words.
    pub why: String,
}

impl Trouble {
    /// Whether the witness has seen a longer log than this one, or another.
    pub fn contradicts(&self) -> bool {
        ["ledger/behind-witness", "ledger/forked"].contains(&self.code.as_str())
    }
}

/// A checkpoint with cosignatures.
#[derive(Clone, Debug)]
struct Gathered {
    note: SignedCheckpoint,
    /// Who of the policy's witnesses is on it.
    by: Vec<Cosigned>,
    sealed: bool,
}

#[derive(Debug, Default)]
struct Kept {
    by_size: BTreeMap<u64, Gathered>,
    /// The sizes of sealed checkpoints that witnesses are asked for.
    sealed: BTreeSet<u64>,
    /// By the witness's name in the policy.
    troubles: BTreeMap<String, Trouble>,
    /// Nothing is written any more: the folder may be somebody else's by now.
    closed: bool,
}

/// The policy of a ledger, and what its witnesses have cosigned. Used from any number of threads.
#[derive(Debug)]
pub struct Witnessed {
    policy: Policy,
    /// The ledger's folder; without one nothing outlives the process.
    folder: Option<PathBuf>,
    kept: Mutex<Kept>,
}

impl Witnessed {
    /// Reads what a ledger folder holds. What cannot be read of the cosignatures is passed over:
    /// the witnesses have it.
    ///
    /// # Errors
    /// `ledger/policy`, `ledger/io`.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, LedgerError> {
        let policy = folder.map_or(Ok(None), read_policy)?;
        let policy = policy.unwrap_or_else(Policy::without_witnesses);
        let mut kept = Kept::default();
        if let Some(folder) = folder.map(|folder| folder.join(FOLDER)) {
            kept.by_size = read_checkpoints(&folder, &policy)?;
            let troubles = fs::read(folder.join(TROUBLES)).unwrap_or_default();
            kept.troubles = serde_json::from_slice(&troubles).unwrap_or_default();
        }
        let folder = folder.map(Path::to_path_buf);
        Ok(Self { policy, folder, kept: Mutex::new(kept) })
    }

    /// Whose cosignatures are enough.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The checkpoint with all cosignatures on it that came.
    pub fn dressed(&self, checkpoint: &SignedCheckpoint) -> SignedCheckpoint {
        self.kept().dressed(checkpoint)
    }

    /// The newest checkpoint that the policy accepts; none if it demands nobody.
    pub fn accepted(&self) -> Option<SignedCheckpoint> {
        let kept = self.kept();
        let accepted = |gathered: &&Gathered| self.accepts(gathered);
        kept.by_size.values().rev().find(accepted).map(|gathered| gathered.note.clone())
    }

    /// The newest checkpoint that the policy accepts, of those that proofs are made for.
    pub fn accepted_sealed(&self) -> Option<SignedCheckpoint> {
        let kept = self.kept();
        let accepted = |gathered: &&Gathered| gathered.sealed && self.accepts(gathered);
        kept.by_size.values().rev().find(accepted).map(|gathered| gathered.note.clone())
    }

    /// The checkpoint of this size, if a witness has cosigned it and it is kept.
    pub fn of_size(&self, size: u64) -> Option<SignedCheckpoint> {
        self.kept().by_size.get(&size).map(|gathered| gathered.note.clone())
    }

    /// All checkpoints that are kept, by size, and whether proofs are made for them.
    pub fn kept_checkpoints(&self) -> Vec<(SignedCheckpoint, bool)> {
        let kept = self.kept();
        kept.by_size.values().map(|gathered| (gathered.note.clone(), gathered.sealed)).collect()
    }

    /// The newest checkpoint that this witness has cosigned, and when.
    pub fn newest_of(&self, witness: &str) -> Option<(Checkpoint, Cosigned)> {
        let kept = self.kept();
        kept.by_size.values().rev().find_map(|gathered| {
            let by = gathered.by.iter().find(|by| by.witness == witness)?;
            Some((gathered.note.checkpoint().clone(), by.clone()))
        })
    }

    /// Why this witness has failed, if it has since it cosigned last.
    pub fn trouble(&self, witness: &str) -> Option<Trouble> {
        self.kept().troubles.get(witness).cloned()
    }

    /// Passes over checkpoints that were kept, as if their files could not be read.
    pub(super) fn forget_if(&self, rotten: impl Fn(&SignedCheckpoint) -> bool) {
        self.kept().by_size.retain(|_, gathered| !rotten(&gathered.note));
    }

    /// The largest checkpoint that is kept.
    pub(super) fn largest(&self) -> Option<SignedCheckpoint> {
        self.kept().by_size.values().next_back().map(|gathered| gathered.note.clone())
    }

    /// Proofs are made for the checkpoint of this size: its cosignatures are kept until those of
    /// a later one of that sort are there.
    pub(crate) fn hold_sealed(&self, size: u64) {
        let mut kept = self.kept();
        kept.sealed.insert(size);
        if kept.sealed.len() > NEWER_MAX {
            kept.sealed.pop_first();
        }
    }

    /// Keeps a cosignature that was checked, and lets others see it.
    ///
    /// # Errors
    /// `ledger/io`. The cosignature is known until the process ends.
    pub(crate) fn add(
        &self,
        checkpoint: &SignedCheckpoint,
        line: NoteSignature,
        by: Cosigned,
    ) -> Result<(), LedgerError> {
        let mut kept = self.kept();
        let size = checkpoint.checkpoint().size;
        // Only with a policy of more witnesses than a note has lines is there no room.
        let Ok(note) = kept.dressed(checkpoint).with_signature(line) else { return Ok(()) };
        // Whoever was quicker, the same cosignatures make the same note.
        let note = note.with_lines_by(|line| self.rank(line));
        let sealed = kept.sealed.contains(&size);
        let had_trouble = kept.troubles.remove(&by.witness).is_some();
        let gathered = kept.by_size.entry(size).or_insert_with(|| Gathered {
            note: note.clone(),
            by: Vec::new(),
            sealed,
        });
        gathered.by.retain(|earlier| earlier.witness != by.witness);
        gathered.by.push(by);
        gathered.note = note;
        gathered.sealed |= sealed;
        let gathered = gathered.clone();
        let dropped = self.prune(&mut kept);
        let Some(folder) = self.folder.as_deref().filter(|_| !kept.closed) else { return Ok(()) };
        let keep = || -> io::Result<()> {
            fs::create_dir_all(folder.join(FOLDER))?;
            let note = gathered.note.to_string();
            write_durably(&file_of(folder, size, gathered.sealed), note.as_bytes())?;
            // A crash here leaves more than is needed, which the next cosignature takes away.
            for (size, gathered) in dropped {
                let _ = fs::remove_file(file_of(folder, size, gathered.sealed));
            }
            if had_trouble {
                write_troubles(folder, &kept.troubles)?;
            }
            Ok(())
        };
        keep().map_err(io("keeping a cosignature"))?;
        // Others see it only now. Where the log has grown meanwhile, its newer checkpoint stays.
        let file = folder.join(CHECKPOINT_FILE);
        match published::read(&file)? {
            Some(Ok(shown)) if shown.note().text() == gathered.note.note().text() => {
                let shown = kept.dressed(&shown).to_string();
                published::replace(&file, shown.as_bytes()).map_err(io("publishing"))
            }
            _ => Ok(()),
        }
    }

    /// Remembers why a witness has failed.
    ///
    /// # Errors
    /// `ledger/io`. It is remembered until the process ends.
    pub(crate) fn failed(&self, witness: &str, trouble: Trouble) -> Result<(), LedgerError> {
        let mut kept = self.kept();
        kept.troubles.insert(witness.to_owned(), trouble);
        match self.folder.as_deref().filter(|_| !kept.closed) {
            Some(folder) => {
                write_troubles(folder, &kept.troubles).map_err(io("keeping a witness's failure"))
            }
            None => Ok(()),
        }
    }

    /// Lets a checkpoint leave the process, with the cosignatures on it that came.
    pub(super) fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), LedgerError> {
        let kept = self.kept();
        let Some(folder) = &self.folder else { return Ok(()) };
        let shown = kept.dressed(checkpoint).to_string();
        published::replace(&folder.join(CHECKPOINT_FILE), shown.as_bytes())
            .map_err(io("publishing"))
    }

    /// Writes nothing from now on, whoever still holds this.
    pub(crate) fn close(&self) {
        self.kept().closed = true;
    }

    /// 0 for the log's own lines, then the witnesses in the order of the policy.
    fn rank(&self, line: &NoteSignature) -> usize {
        let is_of = |(_, key): (&str, &VerifierKey)| {
            key.id() == line.key_id() && key.name() == line.key_name()
        };
        self.policy.witnesses().position(is_of).map_or(0, |place| place + 1)
    }

    fn accepts(&self, gathered: &Gathered) -> bool {
        self.policy.witnesses().next().is_some() && self.policy.accepts(&gathered.by)
    }

    /// Takes away what is not needed any more.
    fn prune(&self, kept: &mut Kept) -> BTreeMap<u64, Gathered> {
        let newest = |wanted: &dyn Fn(&Gathered) -> bool| {
            let found = kept.by_size.iter().rev().find(|(_, gathered)| wanted(gathered));
            found.map(|(size, _)| *size)
        };
        let accepted = newest(&|gathered| self.accepts(gathered)).unwrap_or(0);
        let sealed = newest(&|gathered| gathered.sealed && self.accepts(gathered));
        let of = |name: &str| newest(&|gathered| gathered.by.iter().any(|by| by.witness == name));
        let mut needed: BTreeSet<u64> = self.policy.witnesses().flat_map(|(n, _)| of(n)).collect();
        needed.extend(sealed);
        let newer = kept.by_size.range(accepted..).rev().take(NEWER_MAX);
        needed.extend(newer.map(|(size, _)| *size));
        needed.insert(accepted);
        // A sealed checkpoint that has yet to be accepted waits for the slower witnesses.
        let waiting = |size: &u64| sealed.is_none_or(|sealed| *size > sealed);
        needed.extend(kept.sealed.iter().filter(|size| waiting(size)).rev().take(NEWER_MAX));
        kept.sealed.retain(waiting);
        let all = std::mem::take(&mut kept.by_size);
        let (kept_now, dropped) = all.into_iter().partition(|(size, _)| needed.contains(size));
        kept.by_size = kept_now;
        dropped
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic under this lock leaves at worst a cosignature that was not written.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn dressed(&self, checkpoint: &SignedCheckpoint) -> SignedCheckpoint {
        let same = |gathered: &&Gathered| gathered.note.note().text() == checkpoint.note().text();
        let gathered = self.by_size.get(&checkpoint.checkpoint().size).filter(same);
        gathered.map_or_else(|| checkpoint.clone(), |gathered| gathered.note.clone())
    }
}

/// The policy of a ledger folder, if it has one.
///
/// # Errors
/// `ledger/policy`, `ledger/io`.
pub(super) fn read_policy(folder: &Path) -> Result<Option<Policy>, LedgerError> {
    match fs::metadata(folder.join(POLICY_FILE)) {
        Ok(about) if about.len() > POLICY_LEN_MAX as u64 => {
            // It need not be read to know that it is too long.
            return Err(LedgerError::Policy(crate::model::policy::PolicyError::TooLong(
                usize::try_from(about.len()).unwrap_or(usize::MAX),
            )));
        }
        _ => {}
    }
    match fs::read(folder.join(POLICY_FILE)) {
        Ok(bytes) => Ok(Some(Policy::parse(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("reading the policy")(error)),
    }
}

/// Writes the policy of a ledger folder: the old one or the new is there at any time.
pub(super) fn write_policy(folder: &Path, policy: &Policy) -> Result<(), LedgerError> {
    let file = folder.join(POLICY_FILE);
    write_durably(&file, policy.to_string().as_bytes()).map_err(io("writing the policy"))
}

fn read_checkpoints(
    folder: &Path,
    policy: &Policy,
) -> Result<BTreeMap<u64, Gathered>, LedgerError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(io("reading the cosignatures")(error)),
    };
    let mut by_size = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(io("reading the cosignatures"))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let (number, sealed) = match name.strip_suffix(SEALED) {
            Some(number) => (number, true),
            None => (name, false),
        };
        let Ok(size) = number.parse::<u64>() else { continue };
        let Ok(Some(Ok(note))) = published::read(&path) else { continue };
        let Ok(by) = policy.cosignatures(&note) else { continue };
        if note.checkpoint().size == size && !by.is_empty() {
            by_size.insert(size, Gathered { note, by, sealed });
        }
    }
    Ok(by_size)
}

pub(super) fn file_of(folder: &Path, size: u64, sealed: bool) -> PathBuf {
    folder.join(FOLDER).join(format!("{size}{}", if sealed { SEALED } else { "" }))
}

/// Writes a small file that is on disk, whole, before it has its name.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OutputFile::create(path, Existing::Replace)?;
    file.write_all(bytes)?;
    file.commit()
}

fn write_troubles(folder: &Path, troubles: &BTreeMap<String, Trouble>) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(troubles).map_err(io::Error::other)?;
    fs::create_dir_all(folder.join(FOLDER))?;
    // Not synced: without it, a witness that fails is only asked sooner.
    published::replace(&folder.join(FOLDER).join(TROUBLES), &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::Origin;
    use crate::model::hash::NodeHash;
    use crate::model::note::{CosignatureTime, KeyKind, KeyName};
    use ed25519_dalek::SigningKey;
    use tempfile::TempDir;

    fn name(witness: &str) -> KeyName {
        KeyName::parse(witness).unwrap()
    }

    fn key(witness: &str) -> SigningKey {
        SigningKey::from_bytes(&[witness.len() as u8; 32])
    }

    /// A folder whose policy demands both `a` and `bb`.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let line = |witness: &str| {
            let kind = KeyKind::Cosignature;
            let key = VerifierKey::of_signer(name(witness), kind, &key(witness));
            format!("witness {witness} {key}\n")
        };
        let policy = format!("{}{}group g all a bb\nquorum g\n", line("a"), line("bb"));
        fs::write(folder.path().join(POLICY_FILE), policy).unwrap();
        folder
    }

    fn checkpoint(size: u64) -> SignedCheckpoint {
        let origin = Origin::parse("ledger.example/log").unwrap();
        let root = NodeHash::from_bytes([size as u8; 32]);
        Checkpoint { origin, size, root }.sign(&SigningKey::from_bytes(&[9; 32]))
    }

    fn add(witnessed: &Witnessed, size: u64, witness: &str) {
        let time = CosignatureTime::new(1000 + size).unwrap();
        let (note, name) = (checkpoint(size), name(witness));
        let line = NoteSignature::cosign(note.note().text(), time, &name, &key(witness));
        witnessed.add(&note, line, Cosigned { witness: witness.to_owned(), time }).unwrap();
    }

    fn files(folder: &TempDir) -> BTreeSet<String> {
        let entries = fs::read_dir(folder.path().join(FOLDER)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn open(folder: &TempDir) -> Witnessed {
        Witnessed::open(Some(folder.path())).unwrap()
    }

    fn sizes(witnessed: &Witnessed) -> [Option<u64>; 4] {
        let size = |note: Option<SignedCheckpoint>| note.map(|note| note.checkpoint().size);
        let newest = |witness| witnessed.newest_of(witness).map(|(checkpoint, _)| checkpoint.size);
        [size(witnessed.accepted()), size(witnessed.accepted_sealed()), newest("a"), newest("bb")]
    }

    #[test]
    fn what_is_needed_is_kept_and_there_after_opening_again() {
        let folder = folder();
        let witnessed = open(&folder);
        witnessed.hold_sealed(5);
        for (size, witness, kept, expected) in [
            (3, "a", "3", [None, None, Some(3), None]),
            (4, "a", "3 4", [None, None, Some(4), None]),
            (3, "bb", "3 4", [Some(3), None, Some(4), Some(3)]),
            (5, "a", "3 4 5-sealed", [Some(3), None, Some(5), Some(3)]),
            (5, "bb", "5-sealed", [Some(5), Some(5), Some(5), Some(5)]),
            (6, "bb", "5-sealed 6", [Some(5), Some(5), Some(5), Some(6)]),
            (6, "a", "5-sealed 6", [Some(6), Some(5), Some(6), Some(6)]),
            (7, "a", "5-sealed 6 7", [Some(6), Some(5), Some(7), Some(6)]),
            // What comes late does not take back what is there.
            (4, "bb", "5-sealed 6 7", [Some(6), Some(5), Some(7), Some(6)]),
        ] {
            add(&witnessed, size, witness);
            let kept: BTreeSet<String> = kept.split(' ').map(str::to_owned).collect();
            assert_eq!(files(&folder), kept, "{witness} at {size}");
            assert_eq!(sizes(&witnessed), expected, "{witness} at {size}");
            assert_eq!(sizes(&open(&folder)), expected, "{witness} at {size}");
        }
        witnessed.hold_sealed(8);
        add(&witnessed, 8, "a");
        add(&witnessed, 9, "a");
        add(&witnessed, 9, "bb");
        // A sealed checkpoint that is older than an accepted one still waits for the others.
        assert_eq!(sizes(&witnessed), [Some(9), Some(5), Some(9), Some(9)]);
        add(&witnessed, 8, "bb");
        assert_eq!(sizes(&open(&folder)), [Some(9), Some(8), Some(9), Some(9)]);
        assert_eq!(files(&folder), BTreeSet::from(["8-sealed".to_owned(), "9".to_owned()]));
    }

    #[test]
    fn a_witness_that_cosigns_again_has_one_line() {
        let folder = folder();
        let witnessed = open(&folder);
        (0..3).for_each(|_| add(&witnessed, 3, "a"));
        add(&witnessed, 3, "bb");
        add(&witnessed, 3, "a");
        let dressed = open(&folder).dressed(&checkpoint(3));
        let lines: Vec<&str> =
            dressed.note().signatures().iter().map(|line| line.key_name().as_str()).collect();
        assert_eq!(lines, ["ledger.example/log", "a", "bb"]);
        assert_eq!(dressed.note().text(), checkpoint(3).note().text());
        assert_eq!(witnessed.policy().cosignatures(&dressed).unwrap().len(), 2);
        assert_eq!(witnessed.dressed(&checkpoint(4)), checkpoint(4));
    }

    #[test]
    fn without_a_quorum_the_number_of_checkpoints_is_bounded() {
        let folder = folder();
        let witnessed = open(&folder);
        (1..=NEWER_MAX as u64 + 5).for_each(|size| add(&witnessed, size, "a"));
        assert_eq!(files(&folder).len(), NEWER_MAX);
        assert_eq!(sizes(&witnessed), [None, None, Some(NEWER_MAX as u64 + 5), None]);
    }

    #[test]
    fn nothing_is_written_after_closing() {
        let folder = folder();
        let witnessed = open(&folder);
        add(&witnessed, 3, "a");
        let trouble =
            Trouble { failures: 2, at_unix_seconds: 7, code: "c".into(), why: "w".into() };
        witnessed.failed("bb", trouble.clone()).unwrap();
        assert_eq!(open(&folder).trouble("bb"), Some(trouble.clone()));
        witnessed.close();
        add(&witnessed, 4, "bb");
        witnessed.failed("a", trouble).unwrap();
        assert_eq!(sizes(&open(&folder)), [None, None, Some(3), None]);
        assert_eq!(
            (open(&folder).trouble("a"), open(&folder).trouble("bb").is_some()),
            (None, true)
        );
    }
}
