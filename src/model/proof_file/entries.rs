//! The entries of a proof: how they hang together, and what a seal says of them (spec section 17.4).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::About;
use super::check::{ProofFault, own};
use super::parts::{Further, Part, Parts, further};
use crate::model::encoding::Malformed;
use crate::model::entry::{Entry, NO_LEAF, Place};
use crate::model::event::{Capacity, Statement};
use crate::model::hash::{EventHash, LeafHash, SubjectHash, leaf_hash};
use crate::model::ident::{EntryIndex, KeyBytes};
use crate::model::key::PublicKey;
use crate::model::seal::{Row, Sort, TableProof, TableRoot};
use crate::model::signature::{Signature, verify};
use crate::model::state::{History, Recorded, State};
use crate::model::subject::Subject;
use crate::model::trust::TrustFile;

/// An entry as the rules see it, if it can be read.
pub(super) fn recorded(parts: &Parts, index: EntryIndex) -> Option<Recorded> {
    let part = parts.get(&index)?;
    let event = part.event.as_ref().ok()?.clone();
    Some(Recorded { index, recorded_at: part.header.recorded_at, event })
}

/// The entries of a file, as far as each can be read by itself.
pub(super) struct Entries {
    pub(super) parts: Parts,
    pub(super) leaves: BTreeMap<EntryIndex, LeafHash>,
    pub(super) genesis: LeafHash,
    /// Keys that were judged: a judgement costs as much as a signature.
    keys: RefCell<HashMap<KeyBytes, Option<PublicKey>>>,
}

/// The entries that link a subject, in their order: number and place.
pub(super) type Chain = Vec<(u32, Place)>;

impl Entries {
    fn new() -> Self {
        let (parts, leaves) = (Parts::new(), BTreeMap::new());
        Self { parts, leaves, genesis: NO_LEAF, keys: RefCell::default() }
    }

    /// Step 2.
    pub(super) fn read(
        entries: &[Vec<u8>],
        size: u64,
        trust: &TrustFile,
    ) -> Result<Self, ProofFault> {
        let mut file = Self::new();
        for bytes in entries {
            let malformed =
                |error: Malformed| ProofFault::new("entry/malformed").because(error.code);
            let entry = Entry::from_bytes(bytes).map_err(malformed)?;
            let index = entry.header.index;
            let last = file.leaves.last_key_value();
            if !last.map_or(index == 0, |(last, _)| index > *last) || index >= size {
                return Err(ProofFault::at("proof-file/entry-order", index));
            }
            file.put(entry, bytes);
        }
        if file.parts.is_empty() {
            return Err(ProofFault::at("proof-file/entry-order", 0));
        }
        if file.genesis != trust.genesis() {
            return Err(ProofFault::at("trust/genesis", 0));
        }
        let first = file.parts.get(&0).and_then(Part::statement);
        let Some(Statement::LedgerCreated(first)) = first else {
            return Err(ProofFault::at("genesis/place", 0));
        };
        if first.operator.key != KeyBytes::from_bytes(*trust.operator().public_key().as_bytes()) {
            return Err(ProofFault::at("trust/operator", 0));
        }
        Ok(file)
    }

    /// Entries of a log, by index, with entry 0 among them.
    pub(super) fn of_log(
        entries: &BTreeMap<EntryIndex, Vec<u8>>,
    ) -> Result<Self, (EntryIndex, Malformed)> {
        let mut file = Self::new();
        for (index, bytes) in entries {
            let entry = Entry::from_bytes(bytes).map_err(|malformed| (*index, malformed))?;
            file.put(entry, bytes);
        }
        Ok(file)
    }

    fn put(&mut self, entry: Entry, bytes: &[u8]) {
        let (index, leaf) = (entry.header.index, leaf_hash(bytes));
        if index == 0 {
            self.genesis = leaf;
        }
        let bound_to = if index == 0 { NO_LEAF } else { self.genesis };
        let event = entry.event.open(&bound_to);
        self.leaves.insert(index, leaf);
        self.parts.insert(index, Part { header: entry.header, event });
    }

    /// Step 4: the entries of each subject follow one another without a gap.
    pub(super) fn chains(
        &self,
        subjects: &BTreeSet<Subject>,
    ) -> Result<BTreeMap<Subject, Chain>, ProofFault> {
        let mut chains: BTreeMap<Subject, Chain> =
            subjects.iter().map(|subject| (subject.clone(), Chain::new())).collect();
        let by_hash: BTreeMap<SubjectHash, &Subject> =
            subjects.iter().map(|subject| (subject.hash(), subject)).collect();
        // Where each first breaks. Once through the entries: either may be very many.
        let mut broken: BTreeMap<&Subject, EntryIndex> = BTreeMap::new();
        for (index, part) in &self.parts {
            let touched = self.touched(part);
            // What an earlier correction brought in may be touched, too.
            let is_correction = matches!(part.statement(), Some(Statement::Correction(_)));
            let mut linked = BTreeSet::new();
            for link in &*part.header.links {
                linked.insert(link.subject);
                let Some(subject) = by_hash.get(&link.subject) else { continue };
                let chain = chains.get_mut(subject).expect("every subject has a chain");
                let last = chain.last();
                let number = last.map_or(0, |(number, _)| *number) + 1;
                let follows =
                    link.number == number && link.previous == last.map(|(_, place)| *place);
                let of_it = touched.as_ref().is_none_or(|all| all.contains(&link.subject));
                if !follows || !(of_it || is_correction) {
                    broken.entry(subject).or_insert(*index);
                }
                chain.push((number, Place { index: *index, leaf: self.leaves[index] }));
            }
            let unlinked = touched.iter().flatten().filter(|hash| !linked.contains(hash));
            for subject in unlinked.filter_map(|hash| by_hash.get(hash)) {
                broken.entry(subject).or_insert(*index);
            }
        }
        match broken.first_key_value() {
            Some((_, index)) => Err(ProofFault::at("proof-file/chain", *index)),
            None => Ok(chains),
        }
    }

    /// What an entry touches, as far as it says so itself; none if it cannot be understood.
    fn touched(&self, part: &Part) -> Option<BTreeSet<SubjectHash>> {
        let event = part.event.as_ref().ok()?;
        let target = match event.statement.as_ref()? {
            Statement::Correction(s) => recorded(&self.parts, s.target_index),
            _ => None,
        };
        let target = target.map(|target| target.event);
        let statement = target.as_ref().and_then(|target| target.statement.as_ref());
        let subjects = event.subjects(statement.zip(target.as_ref().map(|target| target.hash)));
        Some(subjects.iter().map(Subject::hash).collect())
    }

    /// Step 5: no entry too many, none too few.
    pub(super) fn check_complete(
        &self,
        about: &About,
        seal: Option<EntryIndex>,
        chains: &BTreeMap<Subject, Chain>,
    ) -> Result<(), ProofFault> {
        let places = chains.values().flatten().map(|(_, place)| place.index);
        let mut belong: BTreeSet<EntryIndex> = places.chain(seal).collect();
        let further = further(about, &self.parts);
        let events = if further.is_empty() { BTreeMap::new() } else { self.events() };
        for further in further {
            match further {
                Further::Order(order) => belong.extend(events.get(&order)),
                Further::Target(index) => {
                    belong.insert(index);
                }
            }
        }
        if let Some(missing) = belong.iter().find(|index| !self.parts.contains_key(index)) {
            return Err(ProofFault::at("proof-file/entry-missing", *missing));
        }
        match self.parts.keys().find(|index| !belong.contains(index)) {
            Some(extra) => Err(ProofFault::at("proof-file/entry-extra", *extra)),
            None => Ok(()),
        }
    }

    /// Where each event first stands.
    fn events(&self) -> BTreeMap<EventHash, EntryIndex> {
        let known =
            |(index, part): (&EntryIndex, &Part)| Some((part.event.as_ref().ok()?.hash, *index));
        self.parts.iter().rev().filter_map(known).collect()
    }

    /// Step 6: the seal, and a row or the absence of every subject under it.
    pub(super) fn check_seal(
        &self,
        seal: EntryIndex,
        state: &State,
        chains: &BTreeMap<Subject, Chain>,
        tables: &[Vec<u8>; super::TABLES],
    ) -> Result<(), ProofFault> {
        let fault = || ProofFault::at("proof-file/seal", seal);
        let part = self.parts.get(&seal).ok_or_else(fault)?;
        let Some(Statement::EpochSealed(sealed)) = part.statement() else { return Err(fault()) };
        self.check_sealer(part, seal, state).ok_or_else(fault)?;
        if sealed.size != seal {
            return Err(fault());
        }
        let row = |chain: &Chain| {
            let newest = chain.iter().rev().find(|(_, place)| place.index < seal);
            newest.map(|(number, place)| Row { number: *number, place: *place })
        };
        let mut claims: BTreeMap<Sort, Vec<_>> = BTreeMap::new();
        for (subject, chain) in chains {
            let row = row(chain);
            match Sort::of(subject) {
                Some(sort) => claims.entry(sort).or_default().push((subject.hash(), row)),
                None if row != Some(sealed.root) => {
                    return Err(
                        ProofFault::at("proof-file/rows", seal).because("seal-path/contradicted")
                    );
                }
                None => {}
            }
        }
        for (sort, bytes) in Sort::ALL.iter().zip(tables) {
            let claims = claims.remove(sort).unwrap_or_default();
            check_table(bytes, &claims, sealed.table(*sort))
                .map_err(|code| ProofFault::at("proof-file/rows", seal).because(code))?;
        }
        Ok(())
    }

    /// Whether the operator alone has signed the seal.
    fn check_sealer(&self, part: &Part, seal: EntryIndex, state: &State) -> Option<()> {
        let event = part.event.as_ref().ok()?;
        let [signer] = &event.head.signers[..] else { return None };
        let operator = state.parties.operator_key_at(seal);
        let by_operator = signer.capacity == Capacity::Operator && signer.key == operator;
        let handle = signer.party.as_ref() == Some(&state.parties.operator);
        (by_operator && handle && self.bad_signer(part).is_none()).then_some(())
    }

    /// The key, if it is valid.
    fn judge(&self, key: &KeyBytes) -> Option<PublicKey> {
        *self.keys.borrow_mut().entry(*key).or_insert_with(|| key.check().ok())
    }

    /// The first signer whose signature is not valid.
    pub(super) fn bad_signer(&self, part: &Part) -> Option<usize> {
        let event = part.event.as_ref().ok()?;
        let bound_to = if part.header.index == 0 { NO_LEAF } else { self.genesis };
        let message = event.signed.frame.signing_message(&bound_to);
        let mut signed = event.head.signers.iter().zip(&event.signed.signatures);
        signed.position(|(signer, signature)| {
            let signature = Signature::from_bytes(*signature);
            self.judge(&signer.key).is_none_or(|key| verify(&message, &key, &signature).is_err())
        })
    }

    /// The entries that the rows of these subjects name, under a seal.
    pub(super) fn rows(
        &self,
        subjects: &BTreeSet<Subject>,
        seal: EntryIndex,
    ) -> BTreeSet<EntryIndex> {
        let asked: BTreeSet<SubjectHash> = subjects.iter().map(Subject::hash).collect();
        let before = self.parts.range(..seal);
        let links =
            before.flat_map(|(index, part)| part.header.links.iter().map(|l| (l.subject, *index)));
        // Of each subject the last one stays.
        let newest: BTreeMap<SubjectHash, EntryIndex> =
            links.filter(|(subject, _)| asked.contains(subject)).collect();
        newest.into_values().collect()
    }

    /// The entries whose place in the tree is shown: the seal, the gift's newest, and those that
    /// neither a link of a later entry nor a row names.
    pub(super) fn shown(
        &self,
        about: &About,
        seal: Option<EntryIndex>,
        rows: &BTreeSet<EntryIndex>,
    ) -> BTreeMap<EntryIndex, LeafHash> {
        let own = own(about).hash();
        let newest = self.parts.iter().rev().find(|(_, part)| part.links(&own));
        let newest = newest.map(|(index, _)| *index);
        let places = self.parts.iter().flat_map(|(index, part)| {
            let places = part.header.links.iter().filter_map(|link| link.previous);
            // An entry is named by what came after it.
            places.filter(|place| place.index < *index)
        });
        let known = places.filter(|place| self.leaves.get(&place.index) == Some(&place.leaf));
        let named: BTreeSet<EntryIndex> = known.map(|place| place.index).collect();
        let is_shown = |index: &EntryIndex| {
            let is_named = named.contains(index) || rows.contains(index);
            !is_named || Some(*index) == seal || Some(*index) == newest
        };
        let leaves = self.leaves.iter().filter(|(index, _)| is_shown(index));
        leaves.map(|(index, leaf)| (*index, *leaf)).collect()
    }
}

/// A table proof; nothing stands for it where nothing is asked.
fn check_table(
    bytes: &[u8],
    claims: &[(SubjectHash, Option<Row>)],
    root: &TableRoot,
) -> Result<(), &'static str> {
    if claims.is_empty() {
        return if bytes.is_empty() { Ok(()) } else { Err("encoding/trailing") };
    }
    TableProof::from_bytes(bytes.to_vec()).verify(claims, root).map_err(|fault| fault.code())
}

impl History for Entries {
    fn event(&self, index: EntryIndex) -> Option<Recorded> {
        recorded(&self.parts, index)
    }

    fn leaf(&self, index: EntryIndex) -> Option<LeafHash> {
        self.leaves.get(&index).copied()
    }
}
