//! The keys that sign notes: their names, kinds and ids, and the verifier key that a reader of notes
//! is given beforehand (C2SP signed-note, "Verifier keys").

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::NoteSignature;

const SIGNATURE_LEN: usize = 64;
const TIME_LEN: usize = 8;

/// The name of a key: not empty, without Unicode spaces, control characters, and `+`. A URL without
/// scheme is the custom, such as `example.org/log1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Takes a name as it is, or `None` if it cannot be one.
    pub fn parse(name: &str) -> Option<Self> {
        let forbidden = |c: char| c.is_whitespace() || c == '+' || c < ' ';
        (!name.is_empty() && !name.contains(forbidden)).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key signs, and how: the signature type byte of C2SP signed-note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: Ed25519 over a time and the text of a checkpoint.
    Cosignature,
}

impl KeyKind {
    /// The type byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Ed25519, Self::Cosignature].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// The short identifier of a key under its name: a hint, not a commitment to the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    pub(super) fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// id = SHA-256(name || 0x0a || type || public key)[:4] [C2SP signed-note]
    pub(super) fn of(name: &KeyName, kind: KeyKind, key: &VerifyingKey) -> Self {
        let hash = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', kind.byte()])
            .chain_update(key.as_bytes())
            .finalize();
        Self([hash[0], hash[1], hash[2], hash[3]])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A text that is no verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerifierKeyError {
    /// `vkey/format`: not `name+id+key`, a name that cannot be one, or an id that is not 8
    /// lower-case hex digits.
    #[error("a verifier key is name+id+key")]
    Format,
    /// `vkey/base64`: the part after the id is not base64 in its one spelling.
    #[error("the key is not canonical base64")]
    Base64,
    /// `vkey/algorithm`: a signature type that is not supported.
    #[error("signature type {0:#04x} is not supported")]
    Algorithm(u8),
    /// `vkey/length`: the public key has another length than 32 bytes.
    #[error("an Ed25519 public key has 32 bytes, not {0}")]
    Length(usize),
    /// `vkey/point`: the bytes are no point of the curve in its one spelling, or one of small
    /// order, under which signatures mean nothing.
    #[error("the public key is not a usable point")]
    Point,
    /// `vkey/id`: the id does not belong to name and key.
    #[error("the key id is {computed}, not {stated}")]
    Id { computed: KeyId, stated: KeyId },
}

impl VerifierKeyError {
    /// The stable code of this kind of wrong data.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format => "vkey/format",
            Self::Base64 => "vkey/base64",
            Self::Algorithm(_) => "vkey/algorithm",
            Self::Length(_) => "vkey/length",
            Self::Point => "vkey/point",
            Self::Id { .. } => "vkey/id",
        }
    }
}

/// A public key with its name and kind: what a verifier must be given beforehand.
///
/// Printed as `name+id+base64(type || key)`, the *vkey* of C2SP signed-note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    kind: KeyKind,
    id: KeyId,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Names a public key.
    ///
    /// # Errors
    /// [`VerifierKeyError::Point`] if no signature under this key could mean anything.
    pub fn new(name: KeyName, kind: KeyKind, key: VerifyingKey) -> Result<Self, VerifierKeyError> {
        if key.is_weak() || !is_canonical(key.as_bytes()) {
            return Err(VerifierKeyError::Point);
        }
        Ok(Self { id: KeyId::of(&name, kind, &key), name, kind, key })
    }

    /// The public side of a signing key.
    pub fn of_signer(name: KeyName, kind: KeyKind, key: &SigningKey) -> Self {
        Self::new(name, kind, key.verifying_key())
            .expect("a clamped multiple of the base point has large order, and was just encoded")
    }

    /// Reads a vkey.
    ///
    /// # Errors
    /// [`VerifierKeyError`]; among others, the stated id is recomputed and compared.
    pub fn parse(text: &str) -> Result<Self, VerifierKeyError> {
        // The base64 part may hold further plus signs.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError::Format);
        };
        let name = KeyName::parse(name).ok_or(VerifierKeyError::Format)?;
        let mut stated = [0; 4];
        hex::decode_to_slice(id, &mut stated).map_err(|_| VerifierKeyError::Format)?;
        let stated = KeyId(stated);
        if stated.to_string() != id {
            return Err(VerifierKeyError::Format);
        }
        let key = BASE64_STANDARD.decode(key).map_err(|_| VerifierKeyError::Base64)?;
        let (&kind, key) = key.split_first().ok_or(VerifierKeyError::Base64)?;
        let kind = KeyKind::from_byte(kind).ok_or(VerifierKeyError::Algorithm(kind))?;
        let key = key.try_into().map_err(|_| VerifierKeyError::Length(key.len()))?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| VerifierKeyError::Point)?;
        let key = Self::new(name, kind, key)?;
        if key.id != stated {
            return Err(VerifierKeyError::Id { computed: key.id, stated });
        }
        Ok(key)
    }

    /// The name of the key.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// What the key signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The id of the key under its name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The public key itself.
    pub fn public_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Whether a signature line claims to be of this key.
    pub(super) fn is_named_by(&self, signature: &NoteSignature) -> bool {
        &self.name == signature.key_name() && self.id == signature.key_id()
    }

    /// Checks a signature over a text by `verify_strict` (cofactorless, no points of small order).
    /// Returns the time of a cosignature; `None` if the signature does not hold.
    pub(super) fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<CosignatureTime>> {
        let (time, signature) = match self.kind {
            KeyKind::Ed25519 => (None, signature),
            KeyKind::Cosignature => {
                let (time, signature) = signature.split_first_chunk::<TIME_LEN>()?;
                (Some(CosignatureTime::new(u64::from_be_bytes(*time))?), signature)
            }
        };
        let signature: &[u8; SIGNATURE_LEN] = signature.try_into().ok()?;
        let signature = Signature::from_bytes(signature);
        let held = match time {
            None => self.key.verify_strict(text.as_bytes(), &signature),
            Some(time) => self.key.verify_strict(cosigned(text, time).as_bytes(), &signature),
        };
        held.is_ok().then_some(time)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, self.id, BASE64_STANDARD.encode(key))
    }
}

/// Whether the y coordinate is below p = 2^255 - 19, in little-endian order under the sign bit.
fn is_canonical(key: &[u8; 32]) -> bool {
    let above_p = key[0] >= 0xed && key[1..31].iter().all(|b| *b == 0xff) && key[31] & 0x7f == 0x7f;
    !above_p
}

/// When a witness signed, in seconds since the Unix epoch; at most 2^63 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CosignatureTime(u64);

impl CosignatureTime {
    /// Takes seconds since the Unix epoch, or `None` above 2^63 - 1.
    pub fn new(unix_seconds: u64) -> Option<Self> {
        (unix_seconds <= i64::MAX as u64).then_some(Self(unix_seconds))
    }

    /// Seconds since the Unix epoch.
    pub fn unix_seconds(self) -> u64 {
        self.0
    }
}

/// What a cosignature signs [C2SP tlog-cosignature, Ed25519 signed message].
pub(super) fn cosigned(text: &str, time: CosignatureTime) -> String {
    format!("cosignature/v1\ntime {}\n{text}", time.0)
}
