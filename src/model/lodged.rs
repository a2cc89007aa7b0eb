//! Lodged notes: a registrar or a witness confirms that it has received a signed event, and when
//! (spec section 19.5).
//!
//! Whoever must fear that the operator withholds an event lodges it first. If the event is then not
//! in the log when the rules' `inclusion_seconds` are over, the note is what an accusation
//! ([`super::fraud`]) rests on. It says nothing about whether the ledger's rules accept the event.

use thiserror::Error;

use super::date::UnixMs;
use super::encoding::Malformed;
use super::entry::{NO_LEAF, OpenEvent, SignedEvent};
use super::fraud::bytes::{Reader, put_long};
use super::hash::LeafHash;
use super::key::{KeyBytes, SecretKey};
use super::signature::{self, Signature};
use super::version::newer;

const MAGIC: &[u8] = b"giftproof-lodged/v1\n";

/// Starts with 0xff, as no signed note and no cosignature can.
const CONTEXT: &[u8] = b"\xffgiftproof lodged v1\0";

/// The longest lodged note, in bytes: an event is part of an entry.
pub const LODGED_LEN_MAX: usize = 65_536 + 256;

/// Why bytes are no lodged note that holds; checks run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LodgedFault {
    /// `lodged/newer-version`: a newer giftproof wrote it.
    #[error("a newer version of this program wrote the lodged note: version {0}")]
    NewerVersion(u64),
    /// `lodged/malformed`: the bytes are not the one spelling of a lodged note, or the event in it
    /// is none.
    #[error("not a lodged note: {0}")]
    Malformed(#[from] Malformed),
    /// `lodged/signature`: who is said to have received the event has not signed that.
    #[error("the signature of who received the event is wrong: {0}")]
    Signature(&'static str),
    /// `lodged/event`: the event is not signed by all its signers.
    #[error("a signature of the event is wrong: {0}")]
    Event(&'static str),
}

impl LodgedFault {
    /// The stable code of this kind of wrong data.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NewerVersion(_) => "lodged/newer-version",
            Self::Malformed(_) => "lodged/malformed",
            Self::Signature(_) => "lodged/signature",
            Self::Event(_) => "lodged/event",
        }
    }

    /// The code of what is wrong in particular.
    pub const fn detail(&self) -> &'static str {
        match self {
            Self::NewerVersion(_) => "lodged/newer-version",
            Self::Malformed(malformed) => malformed.code,
            Self::Signature(code) | Self::Event(code) => code,
        }
    }
}

/// That somebody has received a signed event. Its signatures hold.
#[derive(Clone, Debug)]
pub struct Lodged {
    /// The ledger that the event is for.
    pub genesis: LeafHash,
    /// When it was received, by the receiver's clock.
    pub at: UnixMs,
    /// Whose word this is.
    pub key: KeyBytes,
    /// The event.
    pub event: OpenEvent,
    signature: Signature,
}

impl Lodged {
    /// Confirms that `event` was received at this moment.
    ///
    /// # Errors
    /// [`LodgedFault`] if the event is none, or is not signed by all its signers.
    pub fn sign(
        genesis: LeafHash,
        event: SignedEvent,
        at: UnixMs,
        key: &SecretKey,
    ) -> Result<Self, LodgedFault> {
        let event = event.open(&genesis)?;
        check_signatures(&event, &genesis).map_err(LodgedFault::Event)?;
        let mut lodged = Self {
            genesis,
            at,
            key: key.public().into(),
            event,
            signature: Signature::from_bytes([0; 64]),
        };
        lodged.signature = key.sign(&lodged.message());
        Ok(lodged)
    }

    /// Reads a lodged note, and checks its signatures. Whether its key is one whose word counts is
    /// not asked.
    ///
    /// # Errors
    /// [`LodgedFault`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LodgedFault> {
        if bytes.len() > LODGED_LEN_MAX {
            return Err(Malformed::new("encoding/too-long").into());
        }
        if let Some(found) = newer(MAGIC, bytes) {
            return Err(LodgedFault::NewerVersion(found));
        }
        let mut reader = Reader::after(MAGIC, bytes)?;
        let genesis = LeafHash::from_bytes(reader.array()?);
        let at = UnixMs(reader.number()?);
        let key = KeyBytes::from_bytes(reader.array()?);
        let event = SignedEvent::from_bytes(&reader.long()?)?.open(&genesis)?;
        let signature = Signature::from_bytes(reader.array()?);
        reader.finish()?;
        let lodged = Self { genesis, at, key, event, signature };
        let public = key.check().map_err(|fault| LodgedFault::Signature(fault.code()))?;
        signature::verify(&lodged.message(), &public, &signature)
            .map_err(|fault| LodgedFault::Signature(fault.code()))?;
        check_signatures(&lodged.event, &genesis).map_err(LodgedFault::Event)?;
        Ok(lodged)
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        [MAGIC, &self.stated(), self.signature.as_bytes()].concat()
    }

    fn message(&self) -> Vec<u8> {
        [CONTEXT, &self.stated()].concat()
    }

    fn stated(&self) -> Vec<u8> {
        let mut bytes = self.genesis.as_bytes().to_vec();
        bytes.extend(self.at.0.to_be_bytes());
        bytes.extend(self.key.as_bytes());
        put_long(&mut bytes, &self.event.signed.to_bytes());
        bytes
    }
}

/// Whether every signer of an event has signed it, by the auditor's rule; else the code of what is
/// wrong. `genesis` is that of the event's ledger.
pub(super) fn check_signatures(event: &OpenEvent, genesis: &LeafHash) -> Result<(), &'static str> {
    let message = event.signed.frame.signing_message(genesis);
    event.head.signers.iter().zip(&event.signed.signatures).try_for_each(|(signer, bytes)| {
        let key = signer.key.check().map_err(|fault| fault.code())?;
        signature::verify(&message, &key, &Signature::from_bytes(*bytes))
            .map_err(|fault| fault.code())
    })
}

/// What stands for the genesis hash in the message of the entry at this index.
pub(super) fn genesis_at(index: u64, genesis: LeafHash) -> LeafHash {
    if index == 0 { NO_LEAF } else { genesis }
}
