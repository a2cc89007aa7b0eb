//! Events: what parties sign (spec sections 4 and 5).
//!
//! A *body* is a head, common to all kinds and versions, and a statement. The frame around it names
//! kind and version by number, so that a verifier that does not know them can still check who
//! signed. Everything that the signatures protect is in the body, the list of signers included:
//! no signature can be added or stripped.

mod custody;
mod evidence;
mod gift;
mod head;
mod party;
mod seal;

pub use custody::*;
pub use evidence::*;
pub use gift::*;
pub use head::*;
pub use party::*;
pub use seal::*;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::encoding::{self, Malformed};
use super::hash::{EventHash, LeafHash, context_hash};

/// The most bytes of an event's body.
pub const BODY_LEN_MAX: usize = 32_768;
/// The most subjects that one event may touch.
pub const SUBJECTS_MAX: usize = 400;
/// The most signers of one event.
pub const SIGNERS_MAX: usize = 16;

/// Starts with 0xff, as no signed note can: a signature on a checkpoint is none on an event.
const SIGNING_CONTEXT: &[u8] = b"\xffgiftproof event signature v1\0";
const EVENT_CONTEXT: &[u8] = b"\xffgiftproof event hash v1\0";

macro_rules! statements {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $word:literal,)+) => {
        /// What an event states; each kind has its number in the spec (section 5).
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        pub enum Statement { $($(#[$doc])* $variant($variant),)+ }

        /// The kinds of statement.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Kind { $($(#[$doc])* $variant = $number,)+ }

        impl Kind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant),+];

            /// The word that programs and command lines use.
            pub const fn word(self) -> &'static str {
                match self { $(Kind::$variant => $word,)+ }
            }
        }

        impl Statement {
            /// The kind.
            pub const fn kind(&self) -> Kind {
                match self { $(Statement::$variant(_) => Kind::$variant,)+ }
            }

            fn encode(&self) -> Vec<u8> {
                match self { $(Statement::$variant(statement) => encoding::encode(statement),)+ }
            }

            fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, Malformed> {
                match kind {
                    $(Kind::$variant => encoding::decode(bytes).map(Statement::$variant),)+
                }
            }
        }

        $(impl From<$variant> for Statement {
            fn from(statement: $variant) -> Self {
                Statement::$variant(statement)
            }
        })+
    };
}

statements! {
    /// The trust root: entry 0.
    LedgerCreated = 1 "ledger-created",
    /// A party and its first key.
    PartyEnrolled = 2 "party-enrolled",
    /// One more key of a party.
    KeyAdded = 3 "key-added",
    /// A new key in place of an old one.
    KeyRotated = 4 "key-rotated",
    /// A key ends.
    KeyRevoked = 5 "key-revoked",
    /// A key was in the wrong hands.
    KeyCompromised = 6 "key-compromised",
    /// New particulars of a party.
    PartyUpdated = 7 "party-updated",
    /// Other registrars, or another threshold.
    RegistrarsChanged = 8 "registrars-changed",
    /// Another operator key.
    OperatorRotated = 9 "operator-rotated",
    /// Other clocks.
    RulesChanged = 10 "rules-changed",
    /// A final recipient wants something.
    NeedDeclared = 16 "need-declared",
    /// A need is met or gone.
    NeedClosed = 17 "need-closed",
    /// A gift begins.
    Donation = 32 "donation",
    /// What was only announced is taken back.
    Withdrawal = 33 "withdrawal",
    /// The donor takes a slip's gift over with a key of its own.
    GiftTakenOver = 34 "gift-taken-over",
    /// A coordinator orders pooled stock to a recipient.
    Order = 35 "order",
    /// Who the final recipient of a portion is.
    Designation = 36 "designation",
    /// Goods leave a holder.
    Dispatch = 37 "dispatch",
    /// A claim that goods arrived.
    Delivery = 38 "delivery",
    /// The taker signs for what arrived.
    Receipt = 39 "receipt",
    /// A holder looks into its stock.
    Count = 40 "count",
    /// What became of accepted goods.
    Use = 41 "use",
    /// Lost, destroyed, expired, sold, lent.
    Disposal = 42 "disposal",
    /// Goods that may not move.
    Hold = 43 "hold",
    /// They may again.
    Release = 44 "release",
    /// Somebody contradicts.
    Dispute = 48 "dispute",
    /// The other side answers.
    Answer = 49 "answer",
    /// Who disputed is content.
    DisputeClosed = 50 "dispute-closed",
    /// A statement is replaced or voided.
    Correction = 51 "correction",
    /// Goods to be kept from use.
    Recall = 52 "recall",
    /// A recall ends.
    RecallLifted = 53 "recall-lifted",
    /// Evidence outside the log.
    Attestation = 54 "attestation",
    /// Nothing about any subject was left out.
    EpochSealed = 64 "epoch-sealed",
}

impl Kind {
    /// The kind with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u16 == number)
    }

    /// Whether it is about the root or a party, and about no goods.
    pub const fn is_of_root_or_party(self) -> bool {
        (self as u16) <= Kind::RulesChanged as u16
    }
}

/// The version of every statement that this build knows.
pub const STATEMENT_VERSION: u16 = 1;

/// An event's bytes: kind, version and body. Encoded with a u32 length before the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The kind's number, which may be one that this build does not know.
    pub kind: u16,
    /// The version of the kind.
    pub version: u16,
    /// Head and statement.
    pub body: Vec<u8>,
}

impl Frame {
    /// Puts a head and a statement into their bytes.
    ///
    /// # Errors
    /// `event/too-large`.
    pub fn new(head: &Head, statement: &Statement) -> Result<Self, Malformed> {
        let mut body = encoding::encode(head);
        body.extend(statement.encode());
        if body.len() > BODY_LEN_MAX {
            return Err(Malformed::new("event/too-large"));
        }
        Ok(Self { kind: statement.kind() as u16, version: STATEMENT_VERSION, body })
    }

    /// SHA-256(context || genesis || kind || version || body): what names the event.
    pub fn hash(&self, genesis: &LeafHash) -> EventHash {
        let (kind, version) = (self.kind.to_be_bytes(), self.version.to_be_bytes());
        let parts: [&[u8]; 4] = [genesis.as_bytes(), &kind, &version, &self.body];
        EventHash::from_bytes(context_hash(EVENT_CONTEXT, &parts))
    }

    /// What every signer signs: context || genesis || kind || version || body.
    pub fn signing_message(&self, genesis: &LeafHash) -> Vec<u8> {
        let mut message = Vec::with_capacity(SIGNING_CONTEXT.len() + 36 + self.body.len());
        self.append_signing_message(genesis, &mut message);
        message
    }

    /// Appends what every signer signs to bytes that end where it begins.
    pub fn append_signing_message(&self, genesis: &LeafHash, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(SIGNING_CONTEXT);
        bytes.extend_from_slice(genesis.as_bytes());
        bytes.extend_from_slice(&self.kind.to_be_bytes());
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&self.body);
    }

    /// Reads head and statement; the statement is `None` for a kind or version that this build
    /// does not know.
    ///
    /// # Errors
    /// `event/too-large`, or where the bytes are not the one spelling of an event.
    pub fn open(&self) -> Result<(Head, Option<Statement>), Malformed> {
        if self.body.len() > BODY_LEN_MAX {
            return Err(Malformed::new("event/too-large"));
        }
        let (head, consumed): (Head, usize) = encoding::decode_prefix(&self.body)?;
        head.check()?;
        let statement = match (Kind::from_number(self.kind), self.version) {
            (Some(kind), STATEMENT_VERSION) => {
                let statement = Statement::decode(kind, &self.body[consumed..])?;
                statement.check()?;
                Some(statement)
            }
            _ => None,
        };
        Ok((head, statement))
    }
}

impl Statement {
    /// Checks what a statement can contradict in itself.
    fn check(&self) -> Result<(), Malformed> {
        match self {
            Statement::LedgerCreated(s) => s.check(),
            Statement::PartyEnrolled(s) => s.check(),
            Statement::RegistrarsChanged(s) => check_registrars(&s.registrars, s.threshold),
            Statement::RulesChanged(s) => s.rules.check(),
            Statement::NeedDeclared(s) => s.check(),
            Statement::Donation(s) => s.check(),
            Statement::Withdrawal(s) => check_portions(&s.portions),
            Statement::GiftTakenOver(s) => s.donor.check(),
            Statement::Order(s) => check_quantity(s.quantity),
            Statement::Designation(s) => s.check(),
            Statement::Dispatch(s) => s.check(),
            Statement::Receipt(s) => s.check(),
            Statement::Count(s) => s.check(),
            Statement::Use(s) => check_portions(&s.portions),
            Statement::Disposal(s) => check_portions(&s.portions),
            Statement::Hold(s) => check_portions(&s.portions),
            Statement::Release(s) => check_portions(&s.portions),
            Statement::Attestation(s) => s.check(),
            Statement::Correction(s) => s.check(),
            _ => Ok(()),
        }
    }

    /// The statement's bytes as they stand in a body.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode()
    }

    /// Reads a statement of this kind from its bytes.
    pub fn from_bytes(kind: Kind, bytes: &[u8]) -> Result<Self, Malformed> {
        let statement = Self::decode(kind, bytes)?;
        statement.check()?;
        Ok(statement)
    }
}

/// A position in the log that a signer had seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Anchor {
    /// The entry.
    pub index: u64,
    /// Its leaf hash.
    pub leaf: LeafHash,
}
