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

use serde::Serialize;
use thiserror::Error;

use self::bytes::{Reader, put_hashes};
use self::head::as_text;
use super::encoding::Malformed;
use super::entry::Entry;
use super::hash::{LeafHash, NodeHash};
use super::ident::EntryIndex;
use super::merkle::consistency_roots;
use super::trust::TrustFile;

pub use head::{Head, SignedHead};

const MAGIC: &[u8] = b"giftproof-fraud/v1\n";

/// The longest fraud proof that is read, in bytes.
pub const FRAUD_LEN_MAX: usize = 16 << 20;

/// Why a fraud proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FraudFault {
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
            Self::Malformed(_) => "fraud/malformed",
            Self::Keys(_) => "fraud/keys",
            Self::Path(_) => "fraud/path",
            Self::Checkpoint(_) => "fraud/checkpoint",
            Self::Order => "fraud/order",
            Self::Fits => "fraud/fits",
        }
    }

    /// The code of what is wrong in particular.
    pub const fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(malformed) => Some(malformed.code),
            Self::Keys(code) | Self::Path(code) | Self::Checkpoint(code) => Some(code),
            Self::Order | Self::Fits => None,
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
        /// The leaf hashes, and the hashes of the events if they can be read.
        entries: Vec<Named>,
    },
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

impl Fraud {
    /// Whether bytes claim to be a fraud proof.
    pub fn is_meant(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads a fraud proof.
    ///
    /// # Errors
    /// [`FraudFault::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FraudFault> {
        if bytes.len() > FRAUD_LEN_MAX {
            return Err(Malformed::new("encoding/too-long").into());
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
