//! An event before its signatures: statement, head, who is to sign.

use super::date::{Date, UnixMs};
use super::encoding::{List, Malformed};
use super::entry::SignedEvent;
use super::event::{Anchor, Capacity, Document, Frame, Head, Reason, Signer, Statement};
use super::hash::LeafHash;
use super::ident::{Handle, KeyBytes};
use super::key::SecretKey;

/// An event that is being put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it will state.
    pub statement: Statement,
    /// The day on which it happened.
    pub occurred_on: Option<Date>,
    /// When it is signed.
    pub signed_at: UnixMs,
    /// Fresh random bytes.
    pub nonce: [u8; 16],
    /// The newest entry seen.
    pub anchor: Option<Anchor>,
    /// Documents.
    pub documents: Vec<Document>,
    /// Why.
    pub reason: Option<Reason>,
    /// Who is to sign.
    pub signers: Vec<Signer>,
}

impl Draft {
    /// Begins with a statement; everything else is unknown yet.
    pub fn new(statement: impl Into<Statement>, signed_at: UnixMs, nonce: [u8; 16]) -> Self {
        Self {
            statement: statement.into(),
            occurred_on: None,
            signed_at,
            nonce,
            anchor: None,
            documents: Vec::new(),
            reason: None,
            signers: Vec::new(),
        }
    }

    /// Adds somebody who is to sign.
    pub fn signer(mut self, capacity: Capacity, party: Option<&Handle>, key: KeyBytes) -> Self {
        self.signers.push(Signer { party: party.cloned(), key, capacity });
        self
    }

    /// Says on which day it happened.
    pub fn on(mut self, day: Date) -> Self {
        self.occurred_on = Some(day);
        self
    }

    /// The bytes to be signed.
    ///
    /// # Errors
    /// `event/too-large`, or a list that is too long or holds something twice.
    pub fn frame(&self) -> Result<Frame, Malformed> {
        let head = Head {
            occurred_on: self.occurred_on,
            signed_at: self.signed_at,
            nonce: self.nonce,
            anchor: self.anchor,
            documents: List::new(self.documents.clone())?,
            reason: self.reason.clone(),
            signers: List::new(self.signers.clone())?,
        };
        Frame::new(&head, &self.statement)
    }

    /// Signs with all keys at once.
    ///
    /// # Errors
    /// As [`Self::frame`], and `signer/no-key` when a signer's key is not among `keys`.
    pub fn sign(&self, genesis: &LeafHash, keys: &[&SecretKey]) -> Result<SignedEvent, Malformed> {
        let frame = self.frame()?;
        let (head, _) = frame.open()?;
        let message = frame.signing_message(genesis);
        let sign = |signer: &Signer| {
            let key = keys.iter().find(|key| KeyBytes::from(key.public()) == signer.key);
            let key = key.ok_or(Malformed::new("signer/no-key"))?;
            Ok(*key.sign(&message).as_bytes())
        };
        let signatures = head.signers.iter().map(sign).collect::<Result<_, Malformed>>()?;
        Ok(SignedEvent { frame, signatures })
    }
}
