//! A checkpoint in evidence, with what makes the key that signed it the operator's.

use serde::Serialize;

use super::bytes::{Reader, put_count, put_hashes, put_long, put_short};
use super::{FraudFault, Shown};
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::encoding::Malformed;
use crate::model::entry::{Entry, Place};
use crate::model::event::{Anchor, Kind};
use crate::model::hash::{LeafHash, NodeHash, leaf_hash};
use crate::model::ident::{EntryIndex, KeyBytes};
use crate::model::lodged::{check_signatures, genesis_at};
use crate::model::merkle::verify_inclusion;
use crate::model::note::{KeyKind, VerifierKey};
use crate::model::state::{History, Recorded, State};
use crate::model::subject::Subject;
use crate::model::trust::TrustFile;

/// A signed checkpoint in evidence.
///
/// If another key than the trust file's signed it, `root` has the entries of the root subject, from
/// entry 0 up to the operator-rotated that brought this key, linked to each other; and `path` leads
/// from the last of them to the checkpoint's own root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The checkpoint, byte for byte.
    pub note: SignedCheckpoint,
    /// Entries of the root subject, by index.
    pub root: Vec<Vec<u8>>,
    /// From the last of them.
    pub path: Vec<NodeHash>,
}

/// Whose signature a checkpoint in evidence bears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignedHead {
    /// How many entries the tree has.
    pub size: u64,
    /// Its root.
    #[serde(serialize_with = "as_text")]
    pub root: NodeHash,
    /// The operator's key.
    #[serde(serialize_with = "as_text")]
    pub key: KeyBytes,
    /// The entry by which registrars made this key the operator's; none for the first key.
    pub key_since: Option<EntryIndex>,
    /// The witnesses of the trust file's policy who cosigned it, each with the time, in seconds
    /// since 1970.
    pub cosigned: Vec<(String, u64)>,
}

pub(super) fn as_text<S: serde::Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Head {
    /// A checkpoint that the trust file's own operator key signed.
    pub fn by_first_key(note: SignedCheckpoint) -> Self {
        Self { note, root: Vec::new(), path: Vec::new() }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let note = SignedCheckpoint::parse(&reader.long()?);
        let note = note.map_err(|error| Malformed::new(error.code()))?;
        Ok(Self { note, root: reader.list(Reader::short)?, path: reader.hashes()? })
    }

    pub(super) fn put(&self, into: &mut Vec<u8>) {
        put_long(into, self.note.to_string().as_bytes());
        put_count(into, self.root.len());
        self.root.iter().for_each(|entry| put_short(into, entry));
        put_hashes(into, &self.path);
    }

    /// What it states.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.note.checkpoint()
    }

    /// Whose signature it bears, if it is one of the operator's keys.
    ///
    /// # Errors
    /// [`FraudFault::Keys`], [`FraudFault::Checkpoint`].
    pub fn check(&self, trust: &TrustFile) -> Result<SignedHead, FraudFault> {
        let checkpoint = self.checkpoint();
        if checkpoint.origin != *trust.origin() {
            return Err(FraudFault::Checkpoint("checkpoint/origin"));
        }
        let keys = self.operator_keys(trust)?;
        let &(since, key) = keys.last().expect("the trust file's is the first");
        let operator = verifier(trust, key)?;
        self.note.verify(&operator, []).map_err(|error| FraudFault::Checkpoint(error.code()))?;
        // A line that claims to be a witness's and is not takes nothing from what the operator did.
        let cosigned = trust.policy().witnesses().flat_map(|(name, key)| {
            let held = self.note.note().verify(&[key]).unwrap_or_default();
            held.into_iter().filter_map(|by| Some((name.to_owned(), by.time?.unix_seconds())))
        });
        Ok(SignedHead {
            size: checkpoint.size,
            root: checkpoint.root,
            key,
            key_since: (since > 0).then_some(since),
            cosigned: cosigned.collect(),
        })
    }

    /// The operator's keys up to the one that signed, each with the entry that brought it.
    ///
    /// # Errors
    /// [`FraudFault::Keys`].
    pub(super) fn operator_keys(
        &self,
        trust: &TrustFile,
    ) -> Result<Vec<(EntryIndex, KeyBytes)>, FraudFault> {
        if self.root.is_empty() {
            if !self.path.is_empty() {
                return Err(FraudFault::Keys("encoding/second-spelling"));
            }
            let key = KeyBytes::from_bytes(*trust.operator().public_key().as_bytes());
            return Ok(vec![(0, key)]);
        }
        let mut chain = RootChain::begin(&self.root[0], trust)?;
        for entry in &self.root[1..] {
            chain.extend(entry)?;
        }
        let (Place { index, leaf }, keys) = (chain.last, &chain.state.parties.operator_keys);
        if index == 0 || keys.last().is_none_or(|(since, _)| *since != index) {
            // Nothing after the rotation, and no rotation, is needed.
            return Err(FraudFault::Keys("encoding/second-spelling"));
        }
        let Checkpoint { size, root, .. } = self.checkpoint();
        verify_inclusion(index, *size, &leaf, &self.path, root)
            .map_err(|error| FraudFault::Path(error.code()))?;
        Ok(keys.clone())
    }
}

/// The key as that of the log's operator.
fn verifier(trust: &TrustFile, key: KeyBytes) -> Result<VerifierKey, FraudFault> {
    let name = trust.origin().key_name().clone();
    let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes())
        .map_err(|_| FraudFault::Keys("vkey/point"))?;
    VerifierKey::new(name, KeyKind::Ed25519, key).map_err(|error| FraudFault::Keys(error.code()))
}

/// The entries of the root subject so far: each linked to the one before, signed by those whom the
/// rules ask for. The first is the one that the trust file names.
struct RootChain {
    state: State,
    last: Place,
    count: u32,
}

impl RootChain {
    fn begin(bytes: &[u8], trust: &TrustFile) -> Result<Self, FraudFault> {
        if leaf_hash(bytes) != trust.genesis() {
            return Err(FraudFault::Keys("trust/genesis"));
        }
        let (entry, place) = open(bytes, trust.genesis()).map_err(FraudFault::Keys)?;
        let state = State::begin(&entry, place.leaf)
            .map_err(|violation| FraudFault::Keys(violation.code.as_str()))?;
        let key = KeyBytes::from_bytes(*trust.operator().public_key().as_bytes());
        if state.parties.operator_key_at(0) != key {
            return Err(FraudFault::Keys("trust/operator"));
        }
        Ok(Self { state, last: place, count: 1 })
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), FraudFault> {
        let (entry, place) = open(bytes, self.state.genesis).map_err(FraudFault::Keys)?;
        let header = Entry::from_bytes(bytes).map_err(|m| FraudFault::Keys(m.code))?.header;
        let link = header.links.find(Subject::Root.hash());
        let follows = link.is_some_and(|link| {
            link.previous == Some(self.last) && Some(link.number) == self.count.checked_add(1)
        });
        if !follows || place.index <= self.last.index {
            return Err(FraudFault::Keys("links/mismatch"));
        }
        // What these kinds do rests on registrars and operator alone, whom this chain is all about.
        let kind = entry.event.statement.as_ref().map(|statement| statement.kind());
        let Some(Kind::RegistrarsChanged | Kind::OperatorRotated | Kind::RulesChanged) = kind
        else {
            return Err(FraudFault::Keys("links/mismatch"));
        };
        self.state
            .apply(&entry, &NoHistory(entry.event.head.anchor))
            .map_err(|violation| FraudFault::Keys(violation.code.as_str()))?;
        self.last = place;
        self.count += 1;
        Ok(())
    }
}

/// An entry with its event, all signatures of which hold, and its place; else the code of what is
/// wrong.
pub(super) fn open(bytes: &[u8], genesis: LeafHash) -> Result<(Recorded, Place), &'static str> {
    let entry = Entry::from_bytes(bytes).map_err(|malformed| malformed.code)?;
    let place = Place { index: entry.header.index, leaf: leaf_hash(bytes) };
    let genesis = genesis_at(place.index, genesis);
    let event = entry.event.open(&genesis).map_err(|malformed| malformed.code)?;
    check_signatures(&event, &genesis)?;
    let recorded_at = entry.header.recorded_at;
    Ok((Recorded { index: place.index, recorded_at, event }, place))
}

/// No entry but the one in hand is known: its anchor, if it names one, is left alone.
pub(super) struct NoHistory(pub(super) Option<Anchor>);

impl History for NoHistory {
    fn event(&self, _: EntryIndex) -> Option<Recorded> {
        None
    }

    fn leaf(&self, index: EntryIndex) -> Option<LeafHash> {
        self.0.filter(|anchor| anchor.index == index).map(|anchor| anchor.leaf)
    }
}

impl Shown {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { entry: reader.short()?, path: reader.hashes()? })
    }

    pub(super) fn put(&self, into: &mut Vec<u8>) {
        put_short(into, &self.entry);
        put_hashes(into, &self.path);
    }

    /// The leaf hash, if the entry stands at this index of the tree.
    ///
    /// # Errors
    /// [`FraudFault::Path`].
    pub(super) fn check(
        &self,
        index: EntryIndex,
        tree: &Checkpoint,
    ) -> Result<LeafHash, FraudFault> {
        let leaf = leaf_hash(&self.entry);
        verify_inclusion(index, tree.size, &leaf, &self.path, &tree.root)
            .map_err(|error| FraudFault::Path(error.code()))?;
        Ok(leaf)
    }
}
