//! Makes a proof file from a log.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::entries::Entries;
use super::parts::{Further, further, subjects};
use super::replay::{Replayed, Signatures};
use super::{About, AuditShown, ProofFile};
use crate::model::audited::SignedStatement;
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::encoding::Malformed;
use crate::model::entry::Entry;
use crate::model::hash::NodeHash;
use crate::model::ident::EntryIndex;
use crate::model::seal::Sort;
use crate::model::state::State;
use crate::model::subject::Subject;

/// Where the entries and the tree of a log come from.
pub trait ProofSource {
    /// What can go wrong.
    type Error;

    /// The bytes of an entry.
    ///
    /// # Errors
    /// If it cannot be had.
    fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, Self::Error>;

    /// The hashes that lead from these entries to the root of the first `size`
    /// ([`shown_proof`](crate::model::merkle::shown_proof)).
    ///
    /// # Errors
    /// If they cannot be had.
    fn shown(&self, indexes: &[EntryIndex], size: u64) -> Result<Vec<NodeHash>, Self::Error>;

    /// That the tree of the first `new_size` entries extends that of the first `old_size`
    /// ([`consistency_proof`](crate::model::merkle::consistency_proof)).
    ///
    /// # Errors
    /// If there is no such proof, or its hashes cannot be had.
    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<NodeHash>, Self::Error>;
}

/// Why no proof was made.
#[derive(Debug, Error)]
pub enum MakeError<E> {
    /// The log could not be read.
    #[error(transparent)]
    Source(E),
    /// An entry of the log cannot be read as one, or entry 0 does not hold.
    #[error("entry {index}: {malformed}")]
    Entry {
        /// Which.
        index: EntryIndex,
        /// What is wrong with it.
        malformed: Malformed,
    },
    /// `proof-file/no-gift`: there is no such gift below the checkpoint's size.
    #[error("no such gift as of this checkpoint")]
    NoGift,
    /// `proof-file/gift-exists`: there is a gift of this id.
    #[error("there is such a gift")]
    GiftExists,
    /// `proof-file/no-seal`: only a seal can show that there is no such gift.
    #[error("only a seal can show that there is no such gift")]
    NoSeal,
    /// `proof-file/too-large`: the file would be larger than is read.
    #[error("the proof would have {len} bytes")]
    TooLarge {
        /// How many.
        len: usize,
    },
}

impl<E> MakeError<E> {
    /// The stable code; none where the log could not be read, which has its own.
    pub const fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Source(_) => return None,
            Self::Entry { malformed, .. } => malformed.code,
            Self::NoGift => "proof-file/no-gift",
            Self::GiftExists => "proof-file/gift-exists",
            Self::NoSeal => "proof-file/no-seal",
            Self::TooLarge { .. } => "proof-file/too-large",
        })
    }
}

/// A log, its state, and the checkpoint under which something is to be proven.
pub struct Maker<'a, S> {
    /// What follows from the log; it may be ahead of the checkpoint.
    pub state: &'a State,
    /// The log.
    pub source: &'a S,
    /// The checkpoint, with cosignatures.
    pub checkpoint: &'a SignedCheckpoint,
    /// Whether the proof is to rest on the state's newest seal; it is below the checkpoint's size.
    pub sealed: bool,
    /// What auditors say of trees that the checkpoint extends.
    pub statements: &'a [SignedStatement],
}

impl<S: ProofSource> Maker<'_, S> {
    /// Makes the proof.
    ///
    /// # Errors
    /// [`MakeError`].
    pub fn make(self, about: About) -> Result<ProofFile, MakeError<S::Error>> {
        let size = self.checkpoint.checkpoint().size;
        let newest = self.state.newest_seal().map(|seal| seal.index);
        let seal = newest.filter(|seal| self.sealed && *seal < size);
        let mut fetched = Fetched::default();
        for index in [0].into_iter().chain(seal) {
            fetched.put(index, self.entry(index)?)?;
        }
        let mut walked = BTreeSet::new();
        let (file, subjects) = loop {
            let count = fetched.entries.len();
            let file = Entries::of_log(&fetched.entries)
                .map_err(|(index, malformed)| MakeError::Entry { index, malformed })?;
            let state = replayed(&file, about, seal)?;
            let gift = match &about {
                About::Gift(donation) => state.gifts.get(donation),
                About::NoGift(_) => None,
            };
            let subjects = subjects(&about, gift.as_deref(), &file.parts);
            for subject in &subjects {
                if walked.insert(subject.clone()) {
                    self.walk(subject, size, &mut fetched)?;
                }
            }
            for further in further(&about, &file.parts) {
                let index = match further {
                    Further::Order(order) => self.state.orders.get(&order).map(|order| order.index),
                    Further::Target(index) => Some(index),
                };
                if let Some(index) = index.filter(|index| *index < size) {
                    fetched.put(index, self.entry(index)?)?;
                }
            }
            if fetched.entries.len() == count {
                match (&about, gift) {
                    (About::Gift(_), None) => return Err(MakeError::NoGift),
                    _ => break (file, subjects),
                }
            }
        };
        if let About::NoGift(id) = &about {
            if self.state.row(&Subject::Gift(id.first_hash())).is_some() {
                return Err(MakeError::GiftExists);
            }
            if seal.is_none() {
                return Err(MakeError::NoSeal);
            }
        }
        let rows = seal.map(|seal| file.rows(&subjects, seal)).unwrap_or_default();
        let shown: Vec<EntryIndex> = file.shown(&about, seal, &rows).into_keys().collect();
        let tree = self.source.shown(&shown, size).map_err(MakeError::Source)?;
        Ok(ProofFile {
            about,
            checkpoint: self.checkpoint.clone(),
            seal,
            entries: fetched.entries.into_values().collect(),
            tree,
            tables: seal.map(|_| self.tables(&subjects)).unwrap_or_default(),
            audits: self.audits(size)?,
        })
    }

    fn audits(&self, size: u64) -> Result<Vec<AuditShown>, MakeError<S::Error>> {
        let shown = |signed: &SignedStatement| {
            let then = signed.statement().checkpoint.size;
            let consistency = self.source.consistency(then, size).map_err(MakeError::Source)?;
            Ok(AuditShown { note: signed.to_string().into_bytes(), consistency })
        };
        self.statements.iter().map(shown).collect()
    }

    fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, MakeError<S::Error>> {
        self.source.entry(index).map_err(MakeError::Source)
    }

    /// Fetches a subject's entries below a size, from its newest along the links.
    fn walk(
        &self,
        subject: &Subject,
        size: u64,
        fetched: &mut Fetched,
    ) -> Result<(), MakeError<S::Error>> {
        let hash = subject.hash();
        let mut next = self.state.row(subject).map(|row| row.place.index);
        while let Some(index) = next {
            let entry = match fetched.entries.get(&index) {
                Some(known) => known.clone(),
                None => self.entry(index)?,
            };
            let header = Entry::from_bytes(&entry);
            let header = header.map_err(|malformed| MakeError::Entry { index, malformed })?.header;
            if index < size {
                fetched.put(index, entry)?;
            }
            let link = header.links.find(hash);
            next = link.and_then(|link| link.previous).map(|place| place.index);
        }
        Ok(())
    }

    /// The table proofs, under the state's newest seal.
    fn tables(&self, subjects: &BTreeSet<Subject>) -> [Vec<u8>; super::TABLES] {
        let mut tables: [Vec<u8>; super::TABLES] = Default::default();
        for (sort, proof) in Sort::ALL.iter().zip(&mut tables) {
            let of_sort = subjects.iter().filter(|subject| Sort::of(subject) == Some(*sort));
            let keys: Vec<_> = of_sort.map(Subject::hash).collect();
            if !keys.is_empty() {
                *proof = self.state.table(*sort).prove(&keys).as_bytes().to_vec();
            }
        }
        tables
    }
}

/// The entries so far.
#[derive(Default)]
struct Fetched {
    entries: BTreeMap<EntryIndex, Vec<u8>>,
    len: usize,
}

impl Fetched {
    fn put<E>(&mut self, index: EntryIndex, entry: Vec<u8>) -> Result<(), MakeError<E>> {
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.entries.entry(index) {
            self.len += entry.len() + 2;
            vacant.insert(entry);
        }
        // Hashes and checkpoint take the rest.
        if self.len > super::PROOF_FILE_LEN_MAX / 2 {
            return Err(MakeError::TooLarge { len: self.len });
        }
        Ok(())
    }
}

/// What the entries make of one another. That they are signed is known: they are in the log.
fn replayed<E>(
    file: &Entries,
    about: About,
    seal: Option<EntryIndex>,
) -> Result<State, MakeError<E>> {
    let replayed = Replayed::of(file, about, seal, Signatures::Known);
    let replayed = replayed.map_err(|fault| MakeError::Entry {
        index: fault.at.unwrap_or_default(),
        malformed: Malformed::new(fault.code),
    })?;
    Ok(replayed.state)
}
