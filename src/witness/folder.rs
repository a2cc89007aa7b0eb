//! The folder of a witness.
//!
//! ```text
//! giftproof-witness            the marker: "giftproof-witness/v1\n", then the witness's vkey and a
//!                              line feed; locked while the witness runs
//! witness.key                  its secret key, unless that is elsewhere; see `crate::keyfile`
//! logs/<origin hash>           the newest cosigned checkpoint of a log, as a signed note
//! evidence/<origin hash>/<case>/
//!     cosigned, offered        two checkpoints that do not fit, as signed notes
//! ```
//!
//! A note under `logs` is replaced by renaming a file that is complete and on disk, and the name is
//! on disk before anybody is told. A crash leaves the old note or the new one, and perhaps a file
//! whose name begins with a dot, which is never read.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Evidence, Keeper};
use crate::bundle::{Existing, OutputFile};
use crate::model::checkpoint::Origin;
use crate::model::note::{KeyKind, NOTE_LEN_MAX, VerifierKey};
use crate::model::version::newer;
use crate::model::witness::origin_hash;

/// The file that says that a folder is a witness's, and of which version.
const MARKER: &str = "giftproof-witness";
/// The folder of the newest cosigned checkpoints.
const LOGS: &str = "logs";
const VERSION: &str = "giftproof-witness/v1";
/// Far above any vkey.
const MARKER_LEN_MAX: u64 = 4096;

/// How many cases of each kind are kept of one log: the first ones, so that none pushes out another.
pub const EVIDENCE_MAX: usize = 32;

/// Why a folder does not open as a witness's, or cannot be made one.
#[derive(Debug, Error)]
pub enum FolderError {
    /// `witness/no-folder`: there is no such folder.
    #[error("there is no such folder")]
    NoFolder,
    /// `witness/not-a-witness`: the folder holds no marker, or one that cannot be read as such, or
    /// the folder `logs` is gone.
    #[error("the folder is not a witness's")]
    NotAWitness,
    /// `witness/newer-version`: a newer giftproof wrote it.
    #[error("a newer version of this program made this folder")]
    NewerVersion,
    /// `witness/occupied`: the folder is to become a witness's, and holds something else.
    #[error("the folder is not empty")]
    Occupied,
    /// `witness/locked`: a witness runs on the folder.
    #[error("a witness runs on this folder already")]
    Locked,
    /// `witness/io`: the disk failed.
    #[error("the folder cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl FolderError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoFolder => "witness/no-folder",
            Self::NotAWitness => "witness/not-a-witness",
            Self::NewerVersion => "witness/newer-version",
            Self::Occupied => "witness/occupied",
            Self::Locked => "witness/locked",
            Self::Io(_) => "witness/io",
        }
    }
}

/// A witness's folder; nobody else has it open.
#[derive(Debug)]
pub struct WitnessFolder {
    folder: PathBuf,
    vkey: VerifierKey,
    /// Holds the lock.
    _marker: File,
}

impl WitnessFolder {
    /// Whether there is a witness in this folder.
    pub fn exists(folder: &Path) -> bool {
        folder.join(MARKER).symlink_metadata().is_ok()
    }

    /// Makes the folder, unless it is there and empty: what follows is to be put in it.
    ///
    /// # Errors
    /// [`FolderError::Occupied`], [`FolderError::Io`].
    pub fn prepare(folder: &Path) -> Result<(), FolderError> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        match fs::read_dir(folder)?.next() {
            Some(_) => Err(FolderError::Occupied),
            None => Ok(sync_folder(parent(folder))?),
        }
    }

    /// Makes the folder that of the witness with this key, which has never cosigned anything, and
    /// opens it. Its secret half is on disk already: a crash before this leaves a key that has
    /// signed nothing.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn create(folder: &Path, vkey: &VerifierKey) -> Result<Self, FolderError> {
        // Before the marker, so that a folder with a marker and without this has lost something.
        make_folder(&folder.join(LOGS))?;
        let marker = format!("{VERSION}\n{vkey}\n");
        write_file(&folder.join(MARKER), &marker, Existing::Refuse)?;
        Self::open(folder)
    }

    /// Opens the folder of a witness.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(folder: &Path) -> Result<Self, FolderError> {
        let vkey = Self::vkey(folder)?;
        let marker = File::options().read(true).write(true).open(folder.join(MARKER))?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // To begin again from nothing under the same key would be to cosign a second history.
        if !folder.join(LOGS).is_dir() {
            return Err(FolderError::NotAWitness);
        }
        Ok(Self { folder: folder.to_owned(), vkey, _marker: marker })
    }

    /// The key of the witness in this folder, also while it runs.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn vkey(folder: &Path) -> Result<VerifierKey, FolderError> {
        let marker = match File::open(folder.join(MARKER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let there = folder.is_dir();
                return Err(if there { FolderError::NotAWitness } else { FolderError::NoFolder });
            }
            marker => marker?,
        };
        let mut text = String::new();
        match marker.take(MARKER_LEN_MAX).read_to_string(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(FolderError::NotAWitness);
            }
            read => read?,
        };
        let (version, vkey) = text.split_once('\n').ok_or(FolderError::NotAWitness)?;
        if version != VERSION {
            let newer = newer(VERSION.as_bytes(), version.as_bytes()).is_some();
            return Err(if newer { FolderError::NewerVersion } else { FolderError::NotAWitness });
        }
        let vkey = vkey.strip_suffix('\n').and_then(|vkey| VerifierKey::parse(vkey).ok());
        vkey.filter(|key| key.kind() == KeyKind::Cosignature).ok_or(FolderError::NotAWitness)
    }

    /// The key of this witness.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.vkey
    }

    fn note_of(&self, origin: &Origin) -> PathBuf {
        self.folder.join(LOGS).join(origin_hash(origin))
    }
}

impl Keeper for WitnessFolder {
    fn newest(&self, origin: &Origin) -> io::Result<Option<Vec<u8>>> {
        let note = match File::open(self.note_of(origin)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            note => note?,
        };
        let mut bytes = Vec::new();
        note.take(NOTE_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn keep_newest(&self, origin: &Origin, note: &str) -> io::Result<()> {
        write_file(&self.note_of(origin), note, Existing::Replace)
    }

    fn keep_evidence(&self, evidence: &Evidence<'_>) -> io::Result<Option<PathBuf>> {
        let offered = evidence.offered.checkpoint();
        let kind = evidence.kind.word();
        let of_log = self.folder.join("evidence").join(origin_hash(evidence.origin));
        make_folder(&self.folder.join("evidence"))?;
        make_folder(&of_log)?;
        // One case is one pair of trees, however often somebody shows it.
        let root = hex::encode(&offered.root.as_bytes()[..8]);
        let name = format!("{kind}-{}-{}-{root}", evidence.cosigned_size, offered.size);
        let case = of_log.join(&name);
        let mut cases = 0;
        for entry in fs::read_dir(&of_log)? {
            let found = entry?.file_name();
            cases += usize::from(found.to_string_lossy().starts_with(kind));
        }
        let begun = case.exists();
        if case.join("cosigned").exists() || !begun && cases >= EVIDENCE_MAX {
            return Ok(None);
        }
        make_folder(&case)?;
        // A crash in between leaves half a case, which the next such request completes.
        write_file(&case.join("offered"), &evidence.offered.to_string(), Existing::Replace)?;
        write_file(&case.join("cosigned"), evidence.cosigned, Existing::Replace)?;
        Ok(Some(case))
    }
}

fn write_file(path: &Path, text: &str, existing: Existing) -> io::Result<()> {
    let mut file = OutputFile::create(path, existing)?;
    file.write_all(text.as_bytes())?;
    file.commit()
}

/// Makes a folder durably, unless it is there.
fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| sync_folder(parent(folder))),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable. Only Unix can, and only Unix needs it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
