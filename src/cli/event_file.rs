//! An event on its way from signer to signer, in a file.
//!
//! ```json
//! {"format":"giftproof-event/v1","genesis":"<hex>","kind":39,"version":1,"body":"<base64>",
//!  "signatures":["<base64>",null]}
//! ```
//!
//! `genesis` is 64 zeros for the event that creates a ledger. The signatures stand in the order of
//! the signers in the body, with `null` where somebody has yet to sign. A file may carry `context`:
//! entries, base64, from which names can be looked up; nobody signs them.

use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::failure::{Failure, read_file, write_failed};
use super::keyring::Keyring;
use crate::bundle::{Existing, OutputFile};
use crate::model::entry::{ENTRY_LEN_MAX, Entry, SignatureBytes, SignedEvent};
use crate::model::event::{BODY_LEN_MAX, Frame, Head, SIGNERS_MAX, Signer, Statement};
use crate::model::hash::LeafHash;
use crate::model::signature::{Signature, verify};
use crate::model::version::newer;

/// The longest file that is read, in bytes.
pub const FILE_LEN_MAX: u64 = 4 << 20;
/// The most entries that a file may carry along.
pub const CONTEXT_MAX: usize = 400;

const FORMAT: &str = "giftproof-event/v1";

/// An event, perhaps not yet signed by everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFile {
    /// The ledger that it is for.
    pub genesis: LeafHash,
    /// The event.
    pub frame: Frame,
    /// One for each signer, in their order; none where it is missing.
    pub signatures: Vec<Option<SignatureBytes>>,
    /// Entries that came along.
    pub context: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    genesis: String,
    kind: u16,
    version: u16,
    body: String,
    signatures: Vec<Option<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    context: Vec<String>,
}

impl EventFile {
    /// An event that nobody has signed yet.
    ///
    /// # Errors
    /// Where the event contradicts itself.
    pub fn new(genesis: LeafHash, frame: Frame) -> Result<Self, Failure> {
        let (head, _) = frame.open()?;
        let signatures = vec![None; head.signers.len()];
        Ok(Self { genesis, frame, signatures, context: Vec::new() })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// `event-file/malformed`, `event-file/newer-version`, or where the bytes in it are no event.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let written: Written = read_json(path, FORMAT, "event-file")?;
        let malformed = || Failure::new("event-file/malformed").with("path", path.display());
        if written.format != FORMAT {
            return Err(malformed());
        }
        let genesis = written.genesis.parse().map_err(|_| malformed())?;
        let body = STANDARD.decode(&written.body).map_err(|_| malformed())?;
        if body.len() > BODY_LEN_MAX || written.signatures.len() > SIGNERS_MAX {
            return Err(malformed());
        }
        let signature = |text: &Option<String>| -> Result<Option<SignatureBytes>, Failure> {
            let Some(text) = text else { return Ok(None) };
            let bytes = STANDARD.decode(text).map_err(|_| malformed())?;
            bytes.try_into().map(Some).map_err(|_| malformed())
        };
        let signatures = written.signatures.iter().map(signature).collect::<Result<_, _>>()?;
        let context = decode_entries(&written.context).ok_or_else(malformed)?;
        let frame = Frame { kind: written.kind, version: written.version, body };
        let file = Self { genesis, frame, signatures, context };
        let (head, _) = file.frame.open()?;
        if head.signers.len() != file.signatures.len() {
            return Err(malformed());
        }
        Ok(file)
    }

    /// Writes the file; over another only when `existing` allows it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path, existing: Existing) -> Result<(), Failure> {
        let signature = |bytes: &Option<SignatureBytes>| bytes.map(|bytes| STANDARD.encode(bytes));
        let written = Written {
            format: FORMAT.to_owned(),
            genesis: self.genesis.to_string(),
            kind: self.frame.kind,
            version: self.frame.version,
            body: STANDARD.encode(&self.frame.body),
            signatures: self.signatures.iter().map(signature).collect(),
            context: encode_entries(&self.context),
        };
        write_json(path, &written, existing)
    }

    /// Head and statement.
    ///
    /// # Errors
    /// `event/unknown-kind`, which nobody should sign with a program that cannot show it.
    pub fn open(&self) -> Result<(Head, Statement), Failure> {
        let (head, statement) = self.frame.open()?;
        let statement = statement.ok_or_else(|| Failure::new("event/unknown-kind"))?;
        Ok((head, statement))
    }

    /// Signs wherever one of these keys is named. Gives the signers that were added.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn sign(&mut self, ring: &Keyring) -> Result<Vec<Signer>, Failure> {
        let (head, _) = self.open()?;
        let message = self.frame.signing_message(&self.genesis);
        let mut added = Vec::new();
        for (signer, signature) in head.signers.iter().zip(&mut self.signatures) {
            if let Some(secret) = ring.secret(&signer.key) {
                *signature = Some(*secret.sign(&message).as_bytes());
                added.push(signer.clone());
            }
        }
        Ok(added)
    }

    /// Who has signed, and whether the signature is good; `None` where it is missing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn signed(&self) -> Result<Vec<(Signer, Option<bool>)>, Failure> {
        let (head, _) = self.frame.open()?;
        let message = self.frame.signing_message(&self.genesis);
        let good = |signer: &Signer, bytes: &SignatureBytes| {
            let Ok(key) = signer.key.check() else { return false };
            let signature = Signature::from_bytes(*bytes);
            verify(&message, &key, &signature).is_ok()
        };
        let pair = |(signer, bytes): (&Signer, &Option<SignatureBytes>)| {
            (signer.clone(), bytes.as_ref().map(|bytes| good(signer, bytes)))
        };
        Ok(head.signers.iter().zip(&self.signatures).map(pair).collect())
    }

    /// The event with all its signatures.
    ///
    /// # Errors
    /// `event-file/unsigned`, naming who has yet to sign.
    pub fn complete(self) -> Result<SignedEvent, Failure> {
        let (head, _) = self.frame.open()?;
        let missing = head.signers.iter().zip(&self.signatures).filter(|(_, s)| s.is_none());
        let names: Vec<String> = missing.map(|(signer, _)| signer_name(signer)).collect();
        if !names.is_empty() {
            return Err(Failure::refused("event-file/unsigned").with("who", names.join(", ")));
        }
        let signatures = self.signatures.into_iter().flatten().collect();
        Ok(SignedEvent { frame: self.frame, signatures })
    }
}

/// A signer, for messages: its handle, or its key.
pub fn signer_name(signer: &Signer) -> String {
    match &signer.party {
        Some(handle) => format!("{handle} ({})", signer.capacity),
        None => format!("{} ({})", signer.key, signer.capacity),
    }
}

/// Entries as base64.
pub fn encode_entries(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| STANDARD.encode(entry.to_bytes())).collect()
}

/// Entries from base64, within bounds.
pub fn decode_entries(texts: &[String]) -> Option<Vec<Entry>> {
    if texts.len() > CONTEXT_MAX {
        return None;
    }
    let entry = |text: &String| {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() <= ENTRY_LEN_MAX)?;
        Entry::from_bytes(&bytes).ok()
    };
    texts.iter().map(entry).collect()
}

/// Reads a JSON file of bounded size.
///
/// # Errors
/// When it cannot be read; `newer-version` of this family of codes where the file names a higher
/// version of the format, else `malformed` when it is not what it should be.
pub fn read_json<T: for<'de> Deserialize<'de>>(
    path: &Path,
    format: &str,
    family: &str,
) -> Result<T, Failure> {
    let bytes = read_file(path, FILE_LEN_MAX)?;
    let failure =
        |what: &str| Failure::new(format!("{family}/{what}")).with("path", path.display());
    // Asked first: what else a newer file has in it, nobody knows.
    let named = serde_json::from_slice::<Named>(&bytes);
    if named.is_ok_and(|named| newer(format.as_bytes(), named.format.as_bytes()).is_some()) {
        return Err(failure("newer-version"));
    }
    serde_json::from_slice(&bytes).map_err(|_| failure("malformed"))
}

/// The one member that every version of a file has.
#[derive(Deserialize)]
struct Named {
    format: String,
}

/// Writes a JSON file, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize, how: Existing) -> Result<(), Failure> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("string keys and no floats");
    bytes.push(b'\n');
    let write = || -> std::io::Result<()> {
        let mut file = OutputFile::create(path, how)?;
        file.write_all(&bytes)?;
        file.commit()
    };
    write().map_err(|error| write_failed(path, &error))
}
