//! Signed notes (C2SP signed-note) and the two kinds of signatures on them that this project
//! makes and checks: plain Ed25519 and the witness's timestamped cosignature (C2SP
//! tlog-cosignature, "cosignature/v1").
//!
//! ```text
//! <text, one or more lines>
//! <empty line: the last one of the note>
//! — <key name> <base64 of key id[4] || signature>
//! ```
//!
//! The text may hold empty lines itself. Base64 is the standard alphabet with padding and has one
//! spelling only; so [`Note::parse`] and printing are inverse, and a note is kept byte for byte.
//!
//! Limits: [`NOTE_LEN_MAX`] bytes and [`SIGNATURES_MAX`] signature lines. What the text means is
//! not this module's matter; see [`super::checkpoint`].

mod vkey;

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signer, SigningKey};
use thiserror::Error;

use vkey::cosigned;
pub use vkey::{CosignatureTime, KeyId, KeyKind, KeyName, VerifierKey, VerifierKeyError};

/// The longest note that is read or made, in bytes.
pub const NOTE_LEN_MAX: usize = 65_536;
/// The largest number of signature lines.
pub const SIGNATURES_MAX: usize = 64;

/// Em dash and space, with which a signature line begins.
const SIGNATURE_MARK: &str = "\u{2014} ";

/// One signature line; nothing is known about it until [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    id: KeyId,
    /// What follows the key id; at least one byte.
    signature: Vec<u8>,
}

impl NoteSignature {
    /// Signs the text of a note; type 0x01.
    pub fn sign(text: &str, name: &KeyName, key: &SigningKey) -> Self {
        let signature = key.sign(text.as_bytes()).to_bytes().to_vec();
        Self::by(name, KeyKind::Ed25519, key, signature)
    }

    /// Cosigns the text of a checkpoint; type 0x04. The message does not name the cosigner, so a
    /// key must serve one cosigner only, and never as a log's key.
    pub fn cosign(text: &str, time: CosignatureTime, name: &KeyName, key: &SigningKey) -> Self {
        let mut signature = time.unix_seconds().to_be_bytes().to_vec();
        signature.extend(key.sign(cosigned(text, time).as_bytes()).to_bytes());
        Self::by(name, KeyKind::Cosignature, key, signature)
    }

    fn by(name: &KeyName, kind: KeyKind, key: &SigningKey, signature: Vec<u8>) -> Self {
        let id = KeyId::of(name, kind, &key.verifying_key());
        Self { name: name.clone(), id, signature }
    }

    /// Reads one line, without its line feed; `None` if it is no signature line.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, blob) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        let blob = BASE64_STANDARD.decode(blob).ok()?;
        let (id, signature) = blob.split_first_chunk::<4>()?;
        if signature.is_empty() {
            return None;
        }
        let name = KeyName::parse(name)?;
        Some(Self { name, id: KeyId::from_bytes(*id), signature: signature.to_vec() })
    }

    /// The name of the key that the line claims to be of.
    pub fn key_name(&self) -> &KeyName {
        &self.name
    }

    /// The id of the key that the line claims to be of.
    pub fn key_id(&self) -> KeyId {
        self.id
    }
}

impl fmt::Display for NoteSignature {
    /// The line, without its line feed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [self.id.as_bytes(), self.signature.as_slice()].concat();
        write!(f, "{SIGNATURE_MARK}{} {}", self.name, BASE64_STANDARD.encode(blob))
    }
}

/// Bytes that are no signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoteError {
    /// `note/too-long`: longer than [`NOTE_LEN_MAX`].
    #[error("a note of {0} bytes is longer than {NOTE_LEN_MAX}")]
    TooLong(usize),
    /// `note/encoding`: not UTF-8, or a control character other than the line feed.
    #[error("a note is UTF-8 without control characters")]
    Encoding,
    /// `note/structure`: no text that ends in a line feed, no empty line after it, or no signature
    /// line after that.
    #[error("a note is a text, an empty line and signature lines")]
    Structure,
    /// `note/too-many-signatures`: more than [`SIGNATURES_MAX`].
    #[error("a note has at most {SIGNATURES_MAX} signatures, not {0}")]
    TooManySignatures(usize),
    /// `note/signature-line`: a line after the last empty one is no signature line.
    #[error("line {0} of the signatures is not a signature line")]
    SignatureLine(usize),
}

impl NoteError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "note/too-long",
            Self::Encoding => "note/encoding",
            Self::Structure => "note/structure",
            Self::TooManySignatures(_) => "note/too-many-signatures",
            Self::SignatureLine(_) => "note/signature-line",
        }
    }
}

/// A note whose signatures do not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteVerifyError {
    /// `note/signature-invalid`: a line claims to be of a known key, and its signature is wrong.
    #[error("the signature of {name}+{id} is wrong")]
    SignatureInvalid { name: KeyName, id: KeyId },
    /// `note/key-ambiguous`: two different known keys share name and id.
    #[error("two known keys are called {name}+{id}")]
    KeyAmbiguous { name: KeyName, id: KeyId },
    /// `note/no-known-signature`: no line is of a known key.
    #[error("no known key has signed the note")]
    NoKnownSignature,
}

impl NoteVerifyError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SignatureInvalid { .. } => "note/signature-invalid",
            Self::KeyAmbiguous { .. } => "note/key-ambiguous",
            Self::NoKnownSignature => "note/no-known-signature",
        }
    }
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<'a> {
    /// Whose signature it is.
    pub key: &'a VerifierKey,
    /// The time that a cosignature states; other kinds have none.
    pub time: Option<CosignatureTime>,
}

/// A text with signature lines, parsed and not yet trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Puts signature lines, at least one, below a text.
    ///
    /// # Errors
    /// [`NoteError`] if the result would not parse.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        // Without its line feed, the last line of the text would become a line of the signatures.
        if !text.ends_with('\n') {
            return Err(NoteError::Structure);
        }
        let note = Self { text, signatures };
        Self::parse(note.to_string().as_bytes())
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError`], the first that applies, in the order of its variants.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_LEN_MAX {
            return Err(NoteError::TooLong(bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Encoding)?;
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::Encoding);
        }
        // The first line feed of the last empty line ends the text.
        let end = note.rfind("\n\n").ok_or(NoteError::Structure)? + 1;
        let (text, lines) = (&note[..end], &note[end + 1..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Structure)?;
        let count = lines.split('\n').count();
        if count > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures(count));
        }
        let signatures = (1..)
            .zip(lines.split('\n'))
            .map(|(i, line)| NoteSignature::parse(line).ok_or(NoteError::SignatureLine(i)))
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Adds a signature line at the end, for instance a cosignature.
    ///
    /// # Errors
    /// [`NoteError`] if the note grows above its limits.
    pub fn with_signature(mut self, signature: NoteSignature) -> Result<Self, NoteError> {
        self.signatures.push(signature);
        Self::new(self.text, self.signatures)
    }

    /// The signed text, with its last line feed. Nobody vouches for it before [`Note::verify`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks every line that claims to be of a known key, by name and id; lines of unknown keys
    /// mean nothing. Returns what holds, in the order of the lines; a key that signed twice is
    /// there twice.
    ///
    /// # Errors
    /// [`NoteVerifyError`]: one wrong signature of a known key refuses the whole note, and so does
    /// a note without any signature of a known key.
    pub fn verify<'a>(
        &self,
        known: &[&'a VerifierKey],
    ) -> Result<Vec<Verified<'a>>, NoteVerifyError> {
        let mut verified = Vec::new();
        for line in &self.signatures {
            let mut named = known.iter().filter(|key| key.is_named_by(line));
            let Some(&key) = named.next() else { continue };
            let (name, id) = (key.name().clone(), key.id());
            if named.any(|&other| other != key) {
                return Err(NoteVerifyError::KeyAmbiguous { name, id });
            }
            let time = key
                .verify(&self.text, &line.signature)
                .ok_or(NoteVerifyError::SignatureInvalid { name, id })?;
            verified.push(Verified { key, time });
        }
        if verified.is_empty() {
            return Err(NoteVerifyError::NoKnownSignature);
        }
        Ok(verified)
    }
}

impl fmt::Display for Note {
    /// The note, byte for byte as it was parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}
