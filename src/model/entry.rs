//! Entries: an event at its place in the log, with what the operator adds (spec section 6).
//!
//! entry = index u64 || previous leaf hash || recorded_at u64 || links || frame || signatures.
//! Its leaf hash is the Merkle leaf and the next entry's link in one.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::date::UnixMs;
use super::encoding::{self, Keyed, List, Malformed};
use super::event::{Frame, Head, SIGNERS_MAX, SUBJECTS_MAX, Statement};
use super::hash::{EventHash, HASH_LEN, LeafHash, leaf_hash};
use super::ident::EntryIndex;
use super::subject::{HashedSubject, Subject};

/// The most bytes of an entry (C2SP tlog-tiles).
pub const ENTRY_LEN_MAX: usize = 65_535;

/// The fewest: a header without links, a frame without body, no signature.
pub const ENTRY_LEN_MIN: usize = 59;

/// What stands before entry 0, and in the place of the genesis hash in its signing message.
pub const NO_LEAF: LeafHash = LeafHash::from_bytes([0; HASH_LEN]);

/// A subject's event before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Place {
    /// The entry.
    pub index: EntryIndex,
    /// Its leaf hash.
    pub leaf: LeafHash,
}

/// From this entry to the previous one about the same subject.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Link {
    /// The subject.
    pub subject: super::hash::SubjectHash,
    /// The how-manieth event about the subject this is, from 1.
    pub number: u32,
    /// The one before; none for the first.
    pub previous: Option<Place>,
}

impl Keyed for Link {
    type Key<'a> = super::hash::SubjectHash;

    fn key(&self) -> Self::Key<'_> {
        self.subject
    }
}

/// The links of an entry, by subject hash.
pub type Links = List<Link, SUBJECTS_MAX>;

/// What the operator adds to an event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// The entry's place, from 0.
    pub index: EntryIndex,
    /// The leaf hash of the entry before; 32 zero bytes before entry 0.
    pub previous: LeafHash,
    /// When the operator recorded it; never less than the entry before.
    pub recorded_at: UnixMs,
    /// For each subject that the event touches, its event before this one.
    pub links: Links,
}

/// A signature, 64 bytes, not yet checked.
pub type SignatureBytes = [u8; 64];

/// An event with the signatures of its signers, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEvent {
    /// The event.
    pub frame: Frame,
    /// One signature for each signer, in the order of the head's list.
    pub signatures: Vec<SignatureBytes>,
}

/// An event whose bytes have been read, with its hash; its signatures are not yet checked.
#[derive(Clone, Debug)]
pub struct OpenEvent {
    /// The event's bytes and its signatures.
    pub signed: SignedEvent,
    /// What names the event.
    pub hash: EventHash,
    /// What all events say.
    pub head: Head,
    /// What it states; none for a kind or version that this build does not know.
    pub statement: Option<Statement>,
}

impl SignedEvent {
    /// Reads the event's body.
    ///
    /// # Errors
    /// Where the bytes are not the one spelling of an event, or `signature/count` when there is
    /// not one signature for each signer.
    pub fn open(self, genesis: &LeafHash) -> Result<OpenEvent, Malformed> {
        let (head, statement) = self.frame.open()?;
        if self.signatures.len() != head.signers.len() {
            return Err(Malformed::new("signature/count"));
        }
        let hash = self.frame.hash(genesis);
        Ok(OpenEvent { signed: self, hash, head, statement })
    }

    fn encode_into(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.frame.kind.to_be_bytes());
        bytes.extend_from_slice(&self.frame.version.to_be_bytes());
        let len = u32::try_from(self.frame.body.len()).expect("a body is at most 32 KiB");
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&self.frame.body);
        let count = u8::try_from(self.signatures.len()).expect("there are at most 16 signers");
        bytes.push(count);
        for signature in &self.signatures {
            bytes.extend_from_slice(signature);
        }
    }

    /// Frame and signatures, as they stand in an entry.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.frame.body.len() + 9 + 64 * self.signatures.len());
        self.encode_into(&mut bytes);
        bytes
    }

    /// Reads frame and signatures.
    ///
    /// # Errors
    /// `encoding/truncated`, `encoding/trailing`, `event/too-large`, `signature/count`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        const TRUNCATED: Malformed = Malformed::new("encoding/truncated");
        let (kind, rest) = bytes.split_first_chunk().ok_or(TRUNCATED)?;
        let (version, rest) = rest.split_first_chunk().ok_or(TRUNCATED)?;
        let (len, rest) = rest.split_first_chunk().ok_or(TRUNCATED)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
        if len > super::event::BODY_LEN_MAX {
            return Err(Malformed::new("event/too-large"));
        }
        let (body, rest) = rest.split_at_checked(len).ok_or(TRUNCATED)?;
        let (&count, rest) = rest.split_first().ok_or(TRUNCATED)?;
        if usize::from(count) > SIGNERS_MAX {
            return Err(Malformed::new("signature/count"));
        }
        let (signatures, after) = rest.as_chunks::<64>();
        if signatures.len() < usize::from(count) {
            return Err(TRUNCATED);
        }
        if signatures.len() > usize::from(count) || !after.is_empty() {
            return Err(Malformed::new("encoding/trailing"));
        }
        let frame = Frame {
            kind: u16::from_be_bytes(*kind),
            version: u16::from_be_bytes(*version),
            body: body.to_vec(),
        };
        Ok(Self { frame, signatures: signatures.to_vec() })
    }
}

/// An event at an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the operator adds.
    pub header: Header,
    /// The event and its signatures.
    pub event: SignedEvent,
}

impl Entry {
    /// The bytes whose leaf hash stands in the tree.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = encoding::encode(&self.header);
        self.event.encode_into(&mut bytes);
        bytes
    }

    /// Reads an entry; only its own spelling is accepted.
    ///
    /// # Errors
    /// `entry/too-large`, or where the bytes are not the one spelling of an entry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > ENTRY_LEN_MAX {
            return Err(Malformed::new("entry/too-large"));
        }
        let (header, consumed): (Header, usize) = encoding::decode_prefix(bytes)?;
        Ok(Self { header, event: SignedEvent::from_bytes(&bytes[consumed..])? })
    }

    /// SHA-256(0x00 || entry).
    pub fn leaf(&self) -> LeafHash {
        leaf_hash(&self.to_bytes())
    }
}

impl OpenEvent {
    /// What the event touches. A correction also touches what its target does: `target` is that
    /// event's statement with its hash.
    pub fn subjects(
        &self,
        target: Option<(&Statement, EventHash)>,
    ) -> std::collections::BTreeSet<Subject> {
        let mut subjects = std::collections::BTreeSet::new();
        if let Some(statement) = &self.statement {
            Subject::of_statement(statement, self.hash, &mut subjects);
        }
        if let Some((statement, hash)) = target {
            Subject::of_statement(statement, hash, &mut subjects);
        }
        subjects
    }

    /// The hashes of what the event touches, as far as it says so itself: all but what a
    /// correction's target does.
    pub fn touched(&self) -> Vec<HashedSubject> {
        let mut subjects = Vec::new();
        if let Some(statement) = &self.statement {
            Subject::of_statement(statement, self.hash, &mut subjects);
        }
        // A gift stands in as many portions as it has lines there; each is hashed once.
        subjects.sort_unstable();
        subjects.dedup();
        Subject::hashed(&subjects)
    }
}
