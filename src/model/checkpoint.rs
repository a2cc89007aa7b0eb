//! Checkpoints: the signed head of a log (C2SP tlog-checkpoint), and the cosignatures of its
//! witnesses (C2SP tlog-cosignature).
//!
//! ```text
//! <origin>
//! <size, decimal>
//! <base64 of the root, 32 bytes>
//! ```
//!
//! is the text of a signed note. There is one spelling only, and no extension lines: nobody could
//! audit them, and some witnesses refuse them.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::SigningKey;
use thiserror::Error;

use super::hash::{HASH_LEN, NodeHash};
use super::ident::KeyBytes;
use super::note::{
    CosignatureTime, KeyKind, KeyName, Note, NoteError, NoteSignature, NoteVerifyError, Verified,
    VerifierKey, VerifierKeyError,
};

/// The longest origin, in bytes: what one length byte can state.
pub const ORIGIN_LEN_MAX: usize = 255;

/// The permanent identity of a log; its operator's key bears the same name. 1 to
/// [`ORIGIN_LEN_MAX`] bytes, without white space, control characters, and `+`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(KeyName);

impl Origin {
    /// Takes an origin as it is, or `None` if it cannot be one.
    pub fn parse(origin: &str) -> Option<Self> {
        if origin.len() > ORIGIN_LEN_MAX || origin.contains(char::is_control) {
            return None;
        }
        KeyName::parse(origin).map(Self)
    }

    /// The origin.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name that the log's own key must have.
    pub fn key_name(&self) -> &KeyName {
        &self.0
    }

    /// The operator's key under the name of its log.
    ///
    /// # Errors
    /// `vkey/point` if the bytes are no key that signs notes.
    pub fn log_key(&self, key: &KeyBytes) -> Result<VerifierKey, VerifierKeyError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes())
            .map_err(|_| VerifierKeyError::Point)?;
        VerifierKey::new(self.0.clone(), KeyKind::Ed25519, key)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// `checkpoint/structure`: fewer than three lines, or the last one has no line feed.
    #[error("a checkpoint has three lines")]
    Structure,
    /// `checkpoint/extension`: more than three lines.
    #[error("a checkpoint has no lines after the root")]
    Extension,
    /// `checkpoint/origin`: the first line cannot be an origin.
    #[error("the first line is not an origin")]
    Origin,
    /// `checkpoint/size`: the second line is not a decimal below 2^64 in its one spelling.
    #[error("the second line is not a size")]
    Size,
    /// `checkpoint/root`: the third line is not the base64 of 32 bytes in its one spelling.
    #[error("the third line is not a root hash")]
    Root,
}

impl CheckpointError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Structure => "checkpoint/structure",
            Self::Extension => "checkpoint/extension",
            Self::Origin => "checkpoint/origin",
            Self::Size => "checkpoint/size",
            Self::Root => "checkpoint/root",
        }
    }
}

/// A tree head: that the log named `origin` has `size` entries, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: Origin,
    /// The number of entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: NodeHash,
}

impl Checkpoint {
    /// Reads the text of a checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError`], the first that applies, in the order of its variants.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Structure)?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Structure);
        };
        if lines.next().is_some() {
            return Err(CheckpointError::Extension);
        }
        Ok(Self {
            origin: Origin::parse(origin).ok_or(CheckpointError::Origin)?,
            size: parse_decimal(size).ok_or(CheckpointError::Size)?,
            root: parse_root(root).ok_or(CheckpointError::Root)?,
        })
    }

    /// Signs the checkpoint as its log, under the origin as the key's name.
    pub fn sign(&self, key: &SigningKey) -> SignedCheckpoint {
        let text = self.to_string();
        let signature = NoteSignature::sign(&text, self.origin.key_name(), key);
        let note = Note::new(text, vec![signature]).expect("a checkpoint is far below all limits");
        SignedCheckpoint { checkpoint: self.clone(), note }
    }
}

impl fmt::Display for Checkpoint {
    /// The three lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = BASE64_STANDARD.encode(self.root.as_bytes());
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}

/// A decimal in its one spelling: no sign, no leading zero.
pub(super) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A hash in base64, in its one spelling.
pub(super) fn parse_root(text: &str) -> Option<NodeHash> {
    let root: [u8; HASH_LEN] = BASE64_STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(NodeHash::from_bytes(root))
}

/// A note that is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignedCheckpointError {
    /// The bytes are no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note's text is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl SignedCheckpointError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
        }
    }
}

/// A checkpoint that is not what its log signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointVerifyError {
    /// `checkpoint/log-key`: the key given for the log does not bear the checkpoint's origin as its
    /// name, or signs cosignatures.
    #[error("{key} is not the key of a log named {origin}")]
    LogKey { origin: Origin, key: Box<VerifierKey> },
    /// A signature of a known key is wrong, or there is none.
    #[error(transparent)]
    Note(#[from] NoteVerifyError),
    /// `checkpoint/log-signature-missing`: witnesses have signed, the log has not.
    #[error("the log {origin} has not signed the checkpoint")]
    LogSignatureMissing { origin: Origin },
}

impl CheckpointVerifyError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LogKey { .. } => "checkpoint/log-key",
            Self::Note(error) => error.code(),
            Self::LogSignatureMissing { .. } => "checkpoint/log-signature-missing",
        }
    }
}

/// A checkpoint with signature lines, parsed and not yet trusted; kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint.
    ///
    /// # Errors
    /// [`SignedCheckpointError`]: first as a note, then as a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignedCheckpointError> {
        let note = Note::parse(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// What the note states. Nobody vouches for it before [`SignedCheckpoint::verify`].
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, with all its signature lines.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Adds the cosignature of a witness: that at `time`, this is the largest consistent tree that
    /// it has seen under this origin.
    ///
    /// # Errors
    /// [`NoteError`] if the note grows above its limits.
    pub fn cosign(
        self,
        time: CosignatureTime,
        name: &KeyName,
        key: &SigningKey,
    ) -> Result<Self, NoteError> {
        let cosignature = NoteSignature::cosign(self.note.text(), time, name, key);
        Ok(Self { note: self.note.with_signature(cosignature)?, ..self })
    }

    /// Puts a signature line below; one of the same key, by name and id, goes. Whether the line
    /// holds is not checked.
    ///
    /// # Errors
    /// [`NoteError`] if the note grows above its limits.
    pub fn with_signature(self, signature: NoteSignature) -> Result<Self, NoteError> {
        let of_another = |line: &&NoteSignature| {
            line.key_id() != signature.key_id() || line.key_name() != signature.key_name()
        };
        let mut lines: Vec<_> = self.note.signatures().iter().filter(of_another).cloned().collect();
        lines.push(signature);
        Ok(Self { note: Note::new(self.note.text().to_owned(), lines)?, ..self })
    }

    /// The same, with its signature lines in the order of their ranks.
    pub fn with_lines_by<K: Ord>(self, rank: impl Fn(&NoteSignature) -> K) -> Self {
        let mut lines = self.note.signatures().to_vec();
        lines.sort_by_key(rank);
        let note = Note::new(self.note.text().to_owned(), lines);
        Self { note: note.expect("the same lines make a note in any order"), ..self }
    }

    /// Checks the log's signature and those of all known witnesses; returns the witnesses'
    /// cosignatures, in the order of the lines, for a policy to judge.
    ///
    /// # Errors
    /// [`CheckpointVerifyError`]; one wrong signature of a known key is enough.
    pub fn verify<'a>(
        &self,
        log: &'a VerifierKey,
        witnesses: impl IntoIterator<Item = &'a VerifierKey>,
    ) -> Result<Vec<Verified<'a>>, CheckpointVerifyError> {
        let origin = &self.checkpoint.origin;
        if log.kind() != KeyKind::Ed25519 || log.name() != origin.key_name() {
            let (origin, key) = (origin.clone(), Box::new(log.clone()));
            return Err(CheckpointVerifyError::LogKey { origin, key });
        }
        let known: Vec<&VerifierKey> = std::iter::once(log).chain(witnesses).collect();
        let verified = self.note.verify(&known)?;
        let (by_log, cosignatures): (Vec<_>, Vec<_>) =
            verified.into_iter().partition(|verified| verified.key == log);
        if by_log.is_empty() {
            return Err(CheckpointVerifyError::LogSignatureMissing { origin: origin.clone() });
        }
        Ok(cosignatures)
    }
}

impl fmt::Display for SignedCheckpoint {
    /// The note, byte for byte as it was parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}
