//! Fraud proofs: what shows to anybody, with nothing but the trust file at hand, that who signed has
//! lied (spec section 19).
//!
//! A proof holds if and only if the operator's key, or one that registrars made the operator's,
//! has signed what cannot be true together. What it shows, it shows by hashes and signatures alone:
//! no honest operator's checkpoints, whatever is picked from the trees under them, make one.
//!
//! What is not small is not here: a seal that is missing or wrong as a whole takes an audit.

pub mod bytes;
mod head;
mod seal;
mod withheld;

use serde::Serialize;
use thiserror::Error;

use self::bytes::{Reader, put_hashes, put_short};
use self::head::as_text;
use super::date::UnixMs;
use super::encoding::Malformed;
use super::entry::{Entry, Place};
use super::hash::{EventHash, LeafHash, NodeHash};
use super::ident::{EntryIndex, GiftId};
use super::merkle::consistency_roots;
use super::seal::Row;
use super::subject::Subject;
use super::trust::TrustFile;
use super::version::newer;

pub use head::{Head, SignedHead};
pub use seal::SealedRow;
pub use withheld::{SubjectRow, Withheld};

const MAGIC: &[u8] = b"giftproof-fraud/v1\n";

/// The longest fraud proof that is read, in bytes.
pub const FRAUD_LEN_MAX: usize = 16 << 20;

/// Why a fraud proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FraudFault {
    /// `fraud/newer-version`: a newer giftproof wrote it.
    #[error("a newer version of this program wrote the fraud proof: version {0}")]
    NewerVersion(u64),
    /// `fraud/malformed`: the bytes are not the one spelling of a fraud proof.
    #[error("not a fraud proof: {0}")]
    Malformed(#[from] Malformed),
    /// `fraud/keys`: the entries that are shown do not make the key the operator's.
    #[error("what is shown does not make the key the operator's: {0}")]
    Keys(&'static str),
    /// `fraud/path`: hashes do not lead to the checkpoint's root.
    #[error("hashes do not lead to the root of the tree: {0}")]
    Path(&'static str),
    /// `fraud/checkpoint`: a checkpoint is of another log, or not signed by the operator.
    #[error("a checkpoint is not one of this log's operator: {0}")]
    Checkpoint(&'static str),
    /// `fraud/entry`: what should be an entry is none, or its event is not signed by its signers.
    #[error("an entry that is shown is none: {0}")]
    Entry(&'static str),
    /// `fraud/seal`: what should be a seal of the operator is none.
    #[error("what is shown is no seal of the operator: {0}")]
    Seal(&'static str),
    /// `fraud/rows`: what the seal says of a subject is not what is claimed.
    #[error("the seal does not say what is claimed: {0}")]
    Rows(&'static str),
    /// `fraud/lodged`: the lodged note does not hold, or nobody's whose word counts.
    #[error("the lodged note does not count: {0}")]
    Lodged(&'static str),
    /// `fraud/chain`: the entries are not all that touch the subjects, or do not stand by
    /// themselves.
    #[error("the entries that are shown are not a whole story: {0}")]
    Chain(&'static str),
    /// `fraud/early`: the event need not be in the log by the seal that is shown.
    #[error("the event need not be in the log yet")]
    Early,
    /// `fraud/refused`: the rules refused the event at some time, or may have.
    #[error("the operator may have refused the event: {0}")]
    Refused(&'static str),
    /// `fraud/order`: the two sides do not stand in their order.
    #[error("the two sides do not stand in their order")]
    Order,
    /// `fraud/fits`: what is shown can all be true.
    #[error("what is shown fits together: nobody is accused")]
    Fits,
}

impl FraudFault {
    /// The stable code of this kind of wrong data.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NewerVersion(_) => "fraud/newer-version",
            Self::Malformed(_) => "fraud/malformed",
            Self::Keys(_) => "fraud/keys",
            Self::Path(_) => "fraud/path",
            Self::Checkpoint(_) => "fraud/checkpoint",
            Self::Entry(_) => "fraud/entry",
            Self::Seal(_) => "fraud/seal",
            Self::Rows(_) => "fraud/rows",
            Self::Lodged(_) => "fraud/lodged",
            Self::Chain(_) => "fraud/chain",
            Self::Early => "fraud/early",
            Self::Refused(_) => "fraud/refused",
            Self::Order => "fraud/order",
            Self::Fits => "fraud/fits",
        }
    }

    /// The code of what is wrong in particular.
    pub const fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(malformed) => Some(malformed.code),
            Self::Keys(code)
            | Self::Path(code)
            | Self::Checkpoint(code)
            | Self::Entry(code)
            | Self::Seal(code)
            | Self::Rows(code)
            | Self::Lodged(code)
            | Self::Chain(code)
            | Self::Refused(code) => Some(code),
            Self::NewerVersion(_) | Self::Early | Self::Order | Self::Fits => None,
        }
    }
}

/// An entry with its inclusion path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// From its leaf to the root.
    pub path: Vec<NodeHash>,
}

/// Evidence against who signed it: parsed, not yet judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fraud {
    /// Two trees of which neither extends the other.
    Trees {
        /// Of the smaller tree; of two of one size, the one with the smaller root.
        older: Box<Head>,
        /// Of the larger.
        newer: Box<Head>,
        /// A whole consistency proof of the larger tree from the smaller one's size
        /// ([`consistency_roots`]); empty if the sizes are equal.
        hashes: Vec<NodeHash>,
    },
    /// Two entries at one index.
    Entries {
        /// The index.
        index: EntryIndex,
        /// One tree, and the entry in it; ordered as in `Trees`.
        older: Box<(Head, Shown)>,
        /// Another tree, and the entry in it.
        newer: Box<(Head, Shown)>,
    },
    /// A seal that leaves out an entry, or says of it what it does not say itself.
    Unsealed {
        /// The tree.
        head: Box<Head>,
        /// What the entry touches.
        subject: Subject,
        /// What the seal says of that.
        sealed: SealedRow,
        /// The entry, below the seal.
        entry: Shown,
    },
    /// Two seals that cannot both be true.
    Seals {
        /// The tree.
        head: Box<Head>,
        /// What they say something about.
        subject: Subject,
        /// The first.
        first: SealedRow,
        /// The second.
        second: SealedRow,
    },
    /// An event that is not in the log when it must be.
    Withheld(Box<Withheld>),
}

/// What a fraud proof proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accusation {
    /// What was done.
    #[serde(flatten)]
    pub deed: Deed,
    /// The checkpoints that the operator signed.
    pub heads: Vec<SignedHead>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "deed", rename_all = "kebab-case")]
pub enum Deed {
    /// The operator signed two trees of which neither extends the other.
    TwoTrees {
        /// The root that the larger tree gives the smaller one's size.
        #[serde(serialize_with = "as_text")]
        found: NodeHash,
    },
    /// The operator signed two entries at one index.
    TwoEntries {
        /// The index.
        index: EntryIndex,
        /// The entries.
        entries: Vec<Named>,
    },
    /// The operator sealed that an entry is not there, or is another one.
    FalseSeal {
        /// The seal.
        seal: EntryIndex,
        /// What the entry touches.
        #[serde(serialize_with = "subject_as_text")]
        subject: Subject,
        /// What the seal says of that; none if it says that nothing touches it.
        row: Option<Row>,
        /// The entry.
        entry: Place,
        /// The how-manieth about the subject it says it is; none if it does not say.
        number: Option<u32>,
    },
    /// The operator sealed two things that cannot both be true.
    TwoSeals {
        /// What they are about.
        #[serde(serialize_with = "subject_as_text")]
        subject: Subject,
        /// The first seal and what it says, and the second.
        seals: [(EntryIndex, Option<Row>); 2],
    },
    /// The operator withheld an event, if who received it has handed it in.
    Withheld {
        /// The event.
        #[serde(serialize_with = "as_text")]
        event: EventHash,
        /// Its kind's number.
        kind: u16,
        /// The registrar or witness whose word this is.
        by: String,
        /// When it was received, as it says.
        at: UnixMs,
        /// Until when the event must be in the log.
        deadline: UnixMs,
        /// The seal under which it is not.
        seal: EntryIndex,
        /// When that was recorded.
        sealed_at: UnixMs,
        /// The entry that it became too late.
        late: Option<EntryIndex>,
    },
}

/// A subject for people and programs: its sort, and its name.
pub fn name_of(subject: &Subject) -> (&'static str, String) {
    match subject {
        Subject::Root => ("root", String::new()),
        Subject::Party(handle) => ("party", handle.to_string()),
        Subject::Gift(donation) => ("gift", GiftId::from(donation).to_string()),
        Subject::Lot { item, lot } => ("lot", format!("{} {}", item.as_str(), lot.as_str())),
        Subject::Shipment(shipment) => ("shipment", shipment.to_string()),
        Subject::Statement(event) => ("statement", event.to_string()),
    }
}

fn subject_as_text<S: serde::Serializer>(
    subject: &Subject,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let (sort, name) = name_of(subject);
    serializer.collect_str(&format_args!("{sort} {name}"))
}

/// An entry, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its leaf hash.
    #[serde(serialize_with = "as_text")]
    pub leaf: LeafHash,
    /// The kind's number; none if the bytes are no entry.
    pub kind: Option<u16>,
}

impl Deed {
    /// The word that programs use.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::TwoTrees { .. } => "two-trees",
            Self::TwoEntries { .. } => "two-entries",
            Self::FalseSeal { .. } => "false-seal",
            Self::TwoSeals { .. } => "two-seals",
            Self::Withheld { .. } => "withheld",
        }
    }
}

impl Accusation {
    /// The witnesses of the trust file that cosigned both of two trees that do not fit: they lied
    /// too, since a cosignature says that a tree extends all that its witness has cosigned.
    pub fn witnesses(&self) -> Vec<&str> {
        let [one, other] = self.heads.as_slice() else { return Vec::new() };
        let mut names: Vec<&str> = one.cosigned.iter().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| other.cosigned.iter().any(|(by, _)| by == name));
        names.sort_unstable();
        names.dedup();
        names
    }
}

const TREES: u8 = 1;
const ENTRIES: u8 = 2;
const UNSEALED: u8 = 3;
const SEALS: u8 = 4;
const WITHHELD: u8 = 5;

impl Fraud {
    /// Whether bytes claim to be a fraud proof, of this version or a newer one.
    pub fn is_meant(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC) || newer(MAGIC, bytes).is_some()
    }

    /// Reads a fraud proof.
    ///
    /// # Errors
    /// [`FraudFault::NewerVersion`], [`FraudFault::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FraudFault> {
        if bytes.len() > FRAUD_LEN_MAX {
            return Err(Malformed::new("encoding/too-long").into());
        }
        if let Some(found) = newer(MAGIC, bytes) {
            return Err(FraudFault::NewerVersion(found));
        }
        let mut reader = Reader::after(MAGIC, bytes)?;
        let fraud = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(fraud)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match reader.byte()? {
            TREES => Self::Trees {
                older: Box::new(Head::read(reader)?),
                newer: Box::new(Head::read(reader)?),
                hashes: reader.hashes()?,
            },
            ENTRIES => Self::Entries {
                index: reader.number()?,
                older: Box::new((Head::read(reader)?, Shown::read(reader)?)),
                newer: Box::new((Head::read(reader)?, Shown::read(reader)?)),
            },
            UNSEALED => Self::Unsealed {
                head: Box::new(Head::read(reader)?),
                subject: read_subject(reader)?,
                sealed: SealedRow::read(reader)?,
                entry: Shown::read(reader)?,
            },
            SEALS => Self::Seals {
                head: Box::new(Head::read(reader)?),
                subject: read_subject(reader)?,
                first: SealedRow::read(reader)?,
                second: SealedRow::read(reader)?,
            },
            WITHHELD => Self::Withheld(Box::new(Withheld::read(reader)?)),
            _ => return Err(Malformed::new("code/unknown")),
        })
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        match self {
            Self::Trees { older, newer, hashes } => {
                bytes.push(TREES);
                older.put(&mut bytes);
                newer.put(&mut bytes);
                put_hashes(&mut bytes, hashes);
            }
            Self::Entries { index, older, newer } => {
                bytes.push(ENTRIES);
                bytes.extend(index.to_be_bytes());
                for (head, shown) in [&**older, &**newer] {
                    head.put(&mut bytes);
                    shown.put(&mut bytes);
                }
            }
            Self::Unsealed { head, subject, sealed, entry } => {
                bytes.push(UNSEALED);
                head.put(&mut bytes);
                put_subject(&mut bytes, subject);
                sealed.put(&mut bytes);
                entry.put(&mut bytes);
            }
            Self::Seals { head, subject, first, second } => {
                bytes.push(SEALS);
                head.put(&mut bytes);
                put_subject(&mut bytes, subject);
                first.put(&mut bytes);
                second.put(&mut bytes);
            }
            Self::Withheld(withheld) => {
                bytes.push(WITHHELD);
                withheld.put(&mut bytes);
            }
        }
        bytes
    }

    /// Judges the evidence.
    ///
    /// # Errors
    /// [`FraudFault`]: it accuses nobody.
    pub fn check(&self, trust: &TrustFile) -> Result<Accusation, FraudFault> {
        match self {
            Self::Trees { older, newer, hashes } => {
                let heads = check_heads(older, newer, trust)?;
                let found = check_trees(&heads, hashes)?;
                Ok(Accusation { deed: Deed::TwoTrees { found }, heads })
            }
            Self::Entries { index, older, newer } => {
                let heads = check_heads(&older.0, &newer.0, trust)?;
                let named = |(head, shown): &(Head, Shown)| -> Result<Named, FraudFault> {
                    let leaf = shown.check(*index, head.checkpoint())?;
                    let entry = Entry::from_bytes(&shown.entry).ok();
                    Ok(Named { leaf, kind: entry.map(|entry| entry.event.frame.kind) })
                };
                let entries = vec![named(older)?, named(newer)?];
                if entries[0].leaf == entries[1].leaf {
                    return Err(FraudFault::Fits);
                }
                Ok(Accusation { deed: Deed::TwoEntries { index: *index, entries }, heads })
            }
            Self::Unsealed { head, subject, sealed, entry } => {
                let (signed, keys) = (head.check(trust)?, head.operator_keys(trust)?);
                let seal = sealed.check(subject, head, &keys, trust.genesis())?;
                let (place, number) = seal::touching(entry, subject, head, trust.genesis())?;
                let row = sealed.row;
                if place.index >= seal.index || !seal::contradicts_entry(row, place, number) {
                    return Err(FraudFault::Fits);
                }
                let (seal, subject) = (seal.index, subject.clone());
                let deed = Deed::FalseSeal { seal, subject, row, entry: place, number };
                Ok(Accusation { deed, heads: vec![signed] })
            }
            Self::Seals { head, subject, first, second } => {
                let (signed, keys) = (head.check(trust)?, head.operator_keys(trust)?);
                let said = |sealed: &SealedRow| -> Result<_, FraudFault> {
                    let seal = sealed.check(subject, head, &keys, trust.genesis())?;
                    Ok((seal.index, sealed.row))
                };
                let seals = [said(first)?, said(second)?];
                if seals[0].0 >= seals[1].0 {
                    return Err(FraudFault::Order);
                }
                if !seal::contradict(seals[0], seals[1]) {
                    return Err(FraudFault::Fits);
                }
                let deed = Deed::TwoSeals { subject: subject.clone(), seals };
                Ok(Accusation { deed, heads: vec![signed] })
            }
            Self::Withheld(withheld) => {
                let (deed, signed) = withheld.check(trust)?;
                Ok(Accusation { deed, heads: vec![signed] })
            }
        }
    }
}

/// Two heads of the operator, in their order.
fn check_heads(
    older: &Head,
    newer: &Head,
    trust: &TrustFile,
) -> Result<Vec<SignedHead>, FraudFault> {
    let heads = vec![older.check(trust)?, newer.check(trust)?];
    match (heads[0].size, heads[0].root).cmp(&(heads[1].size, heads[1].root)) {
        std::cmp::Ordering::Less => Ok(heads),
        std::cmp::Ordering::Equal => Err(FraudFault::Fits),
        std::cmp::Ordering::Greater => Err(FraudFault::Order),
    }
}

/// The root that the larger tree gives the smaller one's size, which is not the smaller one's.
fn check_trees(heads: &[SignedHead], hashes: &[NodeHash]) -> Result<NodeHash, FraudFault> {
    let (older, newer) = (&heads[0], &heads[1]);
    if older.size == newer.size {
        return if hashes.is_empty() {
            Ok(newer.root)
        } else {
            Err(FraudFault::Path("proof/too-long"))
        };
    }
    let (found, root) = consistency_roots(older.size, newer.size, hashes)
        .map_err(|error| FraudFault::Path(error.code()))?;
    if root != newer.root {
        return Err(FraudFault::Path("proof/root"));
    }
    if found == older.root { Err(FraudFault::Fits) } else { Ok(found) }
}

fn read_subject(reader: &mut Reader<'_>) -> Result<Subject, Malformed> {
    let sort = reader.byte()?;
    Subject::from_encoded(sort, &reader.short()?)
}

fn put_subject(into: &mut Vec<u8>, subject: &Subject) {
    let (sort, bytes) = subject.encoded();
    into.push(sort);
    put_short(into, &bytes);
}
