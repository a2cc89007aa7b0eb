//! What can be wrong with an entry, a log or an event at the door: every code, in the order of
//! precedence (spec section 12).
//!
//! The writer refuses an event under the code under which an auditor would report it.

use std::fmt;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::encoding::never_borrows;
use super::hash::HASH_LEN;
use super::ident::{Handle, KeyBytes};
use super::seal::{Row, Sort, TableRoot};

macro_rules! violations {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)+) => {
        /// A stable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)+ }

        impl Code {
            /// Every code, in the order of precedence.
            pub const ALL: &'static [Code] = &[$(Code::$name),+];

            /// The code as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)+ }
            }
        }
    };
}

violations! {
    /// An entry's bytes are not the one spelling of an entry.
    EntryMalformed = "entry/malformed",
    /// An entry does not say the index at which it stands.
    ChainIndex = "chain/index",
    /// An entry does not name the leaf hash of the entry before.
    ChainPrevious = "chain/previous",
    /// An entry was recorded earlier than the entry before.
    ChainTime = "chain/time",
    /// Entry 0 is not a ledger-created event, or another entry is.
    GenesisPlace = "genesis/place",
    /// An event's body is not the one spelling of an event.
    EventMalformed = "event/malformed",
    /// An event is in the log already.
    EventDuplicate = "event/duplicate",
    /// A signature is not valid.
    SignatureInvalid = "signature/invalid",
    /// The links are not those that follow from the log.
    LinksMismatch = "links/mismatch",
    /// The anchor names an entry that is not in this log, or not yet.
    AnchorMismatch = "anchor/mismatch",
    /// A party is not enrolled.
    PartyUnknown = "party/unknown",
    /// A handle is taken.
    PartyExists = "party/exists",
    /// A party does not have the role that this needs.
    PartyRole = "party/role",
    /// A new key is not a valid public key.
    KeyInvalid = "key/invalid",
    /// A new key is already somebody's.
    KeyTaken = "key/taken",
    /// A key is not this party's.
    KeyNotOfParty = "key/not-of-party",
    /// A key was revoked or rotated before.
    KeyEnded = "key/ended",
    /// Somebody who must sign does not.
    SignerMissing = "signer/missing",
    /// Somebody signs who has nothing to say here.
    SignerExtra = "signer/extra",
    /// The signer is somebody else than this needs.
    SignerWrong = "signer/wrong",
    /// Fewer registrars sign than this needs.
    RegistrarsTooFew = "registrars/too-few",
    /// Giver and taker are one party.
    SameParty = "party/same",
    /// No such gift.
    GiftUnknown = "gift/unknown",
    /// Another gift has the same first 20 bytes.
    GiftIdTaken = "gift/id-taken",
    /// No such line in the gift.
    LineUnknown = "line/unknown",
    /// The line does not say what one unit holds, or has no loose pieces.
    UnitUnknown = "unit/unknown",
    /// No such shipment.
    ShipmentUnknown = "shipment/unknown",
    /// The shipment's number is in use for other goods or another taker.
    ShipmentMismatch = "shipment/mismatch",
    /// More than its giver answers for.
    BalanceExceeded = "balance/exceeded",
    /// A quantity grows beyond all bounds.
    BalanceOverflow = "balance/overflow",
    /// Nothing there to withdraw: the goods were delivered.
    NotAnnounced = "withdrawal/not-announced",
    /// The donor's consent is claimed, but not shown.
    ConsentMissing = "designation/consent",
    /// No such order, or it is for another holder, item, unit or recipient, or used up.
    OrderMismatch = "designation/order",
    /// The gift is not a slip's, or the slip's key does not sign.
    TakeOver = "gift/take-over",
    /// A finding that the line's packs do not allow.
    CountPacks = "count/packs",
    /// No such dispute, or not this signer's, or closed.
    DisputeUnknown = "dispute/unknown",
    /// The gift's own key has an open dispute already.
    DisputeOpen = "dispute/open",
    /// No such event to correct, or it is of another kind.
    CorrectionTarget = "correction/target",
    /// The correction touches donor, final recipient, consent or origin.
    CorrectionFixed = "correction/fixed",
    /// Later events rest on what the correction changes.
    CorrectionRests = "correction/rests",
    /// No such recall, or lifted already.
    RecallUnknown = "recall/unknown",
    /// No such need, or closed already.
    NeedUnknown = "need/unknown",
    /// A party's key, name or standing already is what this event says.
    NoChange = "event/no-change",
    /// A seal covers nothing that the one before does not.
    SealNothingNew = "seal/nothing-new",
    /// A seal does not say what follows from the log.
    SealMismatch = "seal/mismatch",
    /// A seal was due before this entry, by the ledger's own rules.
    SealMissed = "seal/missed",
    /// A bundle of entries is not what the tree commits to, or malformed.
    BundleMismatch = "bundle/mismatch",
    /// A tile is not the one that follows from the entries.
    TileMismatch = "tile/mismatch",
    /// The root that follows from the entries is not the checkpoint's.
    RootMismatch = "checkpoint/root",
    /// The checkpoint is malformed.
    CheckpointMalformed = "checkpoint/malformed",
    /// The checkpoint is not signed by the operator key valid at its size.
    CheckpointSignature = "checkpoint/signature",
    /// The checkpoint names another log.
    CheckpointOrigin = "checkpoint/origin",
    /// The log is not the one that is trusted: another genesis hash.
    TrustGenesis = "trust/genesis",
    /// The log is not the one that is trusted: another operator key in entry 0.
    TrustOperator = "trust/operator",
    /// The log does not extend the checkpoint in the trust file.
    TrustCheckpoint = "trust/checkpoint",
    /// The log does not extend the one that was seen or audited before.
    SinceCheckpoint = "since/checkpoint",
    /// The checkpoint does not carry the cosignatures that the trust file's policy wants.
    TrustPolicy = "trust/policy",
    /// The container is not in its one canonical form.
    ContainerMalformed = "container/malformed",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Encode for Code {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.as_str().encode(encoder)
    }
}

impl<C> Decode<C> for Code {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let word = String::decode(decoder)?;
        let code = Self::ALL.iter().find(|code| code.as_str() == word);
        code.copied().ok_or(DecodeError::Other("code/unknown"))
    }
}

never_borrows! { [] Code; }

/// One of the two values that do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Detail {
    /// Nothing.
    Nothing,
    /// A count, an index or a quantity.
    Number(u64),
    /// A hash.
    Hash([u8; HASH_LEN]),
    /// A party.
    Party(Handle),
    /// A key.
    Key(KeyBytes),
    /// A word of the spec: a role, a capacity, a code.
    Word(String),
    /// The row of the root subject.
    Row(Box<Row>),
    /// A table.
    Table(Sort, Box<TableRoot>),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detail::Nothing => f.write_str("-"),
            Detail::Number(number) => write!(f, "{number}"),
            Detail::Hash(hash) => f.write_str(&hex::encode(hash)),
            Detail::Party(handle) => write!(f, "{handle}"),
            Detail::Key(key) => write!(f, "{key}"),
            Detail::Word(word) => f.write_str(word),
            Detail::Row(row) => {
                write!(f, "root {} {} {}", row.number, row.place.index, row.place.leaf)
            }
            Detail::Table(sort, root) => write!(f, "{sort} {} {}", root.rows, root.hash),
        }
    }
}

impl serde::Serialize for Detail {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Detail::Nothing => serializer.serialize_none(),
            Detail::Number(number) => serializer.serialize_u64(*number),
            other => serializer.collect_str(other),
        }
    }
}

macro_rules! details {
    ($($type:ty => $make:expr;)*) => {$(
        impl From<$type> for Detail {
            fn from(value: $type) -> Self {
                #[allow(clippy::redundant_closure_call)]
                ($make)(value)
            }
        }
    )*};
}

details! {
    () => |()| Detail::Nothing;
    u64 => Detail::Number;
    usize => |number| Detail::Number(number as u64);
    &Handle => |handle: &Handle| Detail::Party(handle.clone());
    Option<&Handle> => |handle: Option<&Handle>| {
        handle.map_or(Detail::Nothing, |handle| Detail::Party(handle.clone()))
    };
    KeyBytes => Detail::Key;
    &'static str => |word: &str| Detail::Word(word.to_owned());
    super::hash::LeafHash => |hash: super::hash::LeafHash| Detail::Hash(*hash.as_bytes());
    super::hash::NodeHash => |hash: super::hash::NodeHash| Detail::Hash(*hash.as_bytes());
    super::hash::EventHash => |hash: super::hash::EventHash| Detail::Hash(*hash.as_bytes());
    super::hash::SubjectHash => |hash: super::hash::SubjectHash| Detail::Hash(*hash.as_bytes());
}

/// The data is wrong: a code, and both values.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, thiserror::Error)]
#[error("{code}: expected {expected}, found {found}")]
pub struct Violation {
    /// The code.
    pub code: Code,
    /// What the rule demands.
    pub expected: Detail,
    /// What is there.
    pub found: Detail,
}

impl Violation {
    /// A violation with both values.
    pub fn new(code: Code, expected: impl Into<Detail>, found: impl Into<Detail>) -> Self {
        Self { code, expected: expected.into(), found: found.into() }
    }
}
