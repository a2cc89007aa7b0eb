//! The log of a ledger: its entries and its tree, read from a store and checked against the head.
//!
//! The head of the store *is* the signed checkpoint, byte for byte. All else follows from its size:
//!
//! - bundle `i` and the tiles of level `l` for every full run of 256 entries or hashes;
//! - the entries after the last full bundle in *runs*, one a commit: the first begins where the
//!   last bundle ends, each next one where the one before it ends.
//!
//! A commit of one event so writes one run of one entry, and the checkpoint. Partial tiles are
//! not stored: `open` computes them from the entries and tiles at the right edge, and compares the
//! root that follows with the checkpoint's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use crate::model::entry::{Entry, NO_LEAF};
use crate::model::event::Statement;
use crate::model::hash::{HASH_LEN, LeafHash, NodeHash, leaf_hash, node_hash};
use crate::model::ident::EntryIndex;
use crate::model::key::SecretKey;
use crate::model::merkle::{
    Frontier, NodeSource, ProveError, TILE_HEIGHT, TileNodeError, TileNodes, TreeBuilder,
    consistency_proof, inclusion_proof, shown_proof,
};
use crate::model::policy::Policy;
use crate::model::state::{History, Recorded};
use crate::model::tile::{BundleCoord, EntryBundle, TILE_WIDTH, TileLayout, push_entry};
use crate::model::trust::TrustFile;
use crate::store::{Commit, CommitError, ObjectName, OpenError, Store};

use super::cache::Cache;
use super::carried::INCOMPLETE;
use super::error::LedgerError;
use super::witnessed::Witnessed;

const WIDTH: u64 = TILE_WIDTH as u64;

/// An entry after the last full bundle.
#[derive(Clone, Debug)]
struct TailEntry {
    leaf: LeafHash,
    bytes: Arc<Vec<u8>>,
}

/// The log of a ledger, open for reading from any number of threads.
///
/// Every entry that it gives out has the leaf hash that the tree holds in its place.
pub struct Log {
    store: Arc<dyn Store>,
    /// The head of the store.
    checkpoint: SignedCheckpoint,
    tree: TreeBuilder,
    tail: Vec<TailEntry>,
    /// The first indexes of the runs in which the stored part of the tail lies.
    runs: Vec<u64>,
    /// Full bundles and tiles that no commit has stored yet.
    fresh: BTreeMap<ObjectName, Arc<Vec<u8>>>,
    objects: Arc<Cache<ObjectName>>,
    /// Those in bundles, found to be what the tree holds.
    entries: Arc<Cache<EntryIndex>>,
    witnessed: Arc<Witnessed>,
    /// What went wrong while a rule looked back, which [`History`] cannot say.
    fault: Mutex<Option<LedgerError>>,
}

impl Log {
    /// Reads the head and the right edge of the tree. The head's signature is not checked here:
    /// whose key it must be of follows from the entries.
    pub(super) fn open(
        store: Arc<dyn Store>,
        witnessed: Arc<Witnessed>,
    ) -> Result<Self, LedgerError> {
        let head = store.head()?.ok_or(LedgerError::Empty)?;
        if head == INCOMPLETE {
            return Err(OpenError::Unfinished.into());
        }
        let checkpoint = SignedCheckpoint::parse(&head)?;
        let size = checkpoint.checkpoint().size;
        if size == 0 {
            return Err(LedgerError::Empty);
        }
        let mut log = Self {
            store,
            checkpoint,
            tree: TreeBuilder::new(),
            tail: Vec::new(),
            runs: Vec::new(),
            fresh: BTreeMap::new(),
            objects: Arc::default(),
            entries: Arc::default(),
            witnessed,
            fault: Mutex::new(None),
        };
        log.read_tail(size)?;
        log.read_tree(size)?;
        if log.tree.root() != log.checkpoint.checkpoint().root {
            return Err(LedgerError::Root);
        }
        Ok(log)
    }

    fn read_tail(&mut self, size: u64) -> Result<(), LedgerError> {
        let mut next = size - size % WIDTH;
        while next < size {
            let object = ObjectName::Tail { first: next };
            let run = self.store.read(&object)?.ok_or(LedgerError::Missing { object })?;
            self.runs.push(next);
            let entries = split_run(&run).ok_or(LedgerError::Damaged { object })?;
            next += entries.len() as u64;
            if entries.is_empty() || next > size {
                return Err(LedgerError::Damaged { object });
            }
            self.tail.extend(entries.into_iter().map(|bytes| TailEntry {
                leaf: leaf_hash(bytes),
                bytes: Arc::new(bytes.to_vec()),
            }));
        }
        Ok(())
    }

    /// Computes the partial tile of each level from the full tiles below it.
    fn read_tree(&mut self, size: u64) -> Result<(), LedgerError> {
        let mut partial = vec![self.tail.iter().map(|entry| entry.leaf.into()).collect()];
        for level in 1..TileLayout::of_size(size).level_count() {
            let nodes = size >> (TILE_HEIGHT * level);
            let below = |index| self.full_tile(level - 1, index);
            let hashes = (nodes - nodes % WIDTH..nodes).map(|index| tile_root(&below(index)?));
            partial.push(hashes.collect::<Result<Vec<NodeHash>, LedgerError>>()?);
        }
        self.tree =
            TreeBuilder::from_partial_tiles(size, partial).map_err(|_| LedgerError::Root)?;
        Ok(())
    }

    /// The same log as it is now, to be read while this one grows.
    ///
    /// It holds on to the store: the folder stays open and locked as long as it lives.
    pub fn snapshot(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            checkpoint: self.checkpoint.clone(),
            tree: self.tree.clone(),
            tail: self.tail.clone(),
            runs: self.runs.clone(),
            fresh: self.fresh.clone(),
            objects: Arc::clone(&self.objects),
            entries: Arc::clone(&self.entries),
            witnessed: Arc::clone(&self.witnessed),
            fault: Mutex::new(None),
        }
    }

    /// The newest durable checkpoint.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The newest durable checkpoint, with the cosignatures on it that came.
    pub fn cosigned(&self) -> SignedCheckpoint {
        self.witnessed.dressed(&self.checkpoint)
    }

    /// The policy, and what its witnesses have cosigned.
    pub fn witnessed(&self) -> &Arc<Witnessed> {
        &self.witnessed
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The name of the log.
    pub fn origin(&self) -> &Origin {
        &self.checkpoint.checkpoint().origin
    }

    /// The entry at an index.
    ///
    /// # Errors
    /// `ledger/no-entry`, `ledger/missing`, `ledger/damaged`, `ledger/entry`, and the store's.
    pub fn entry(&self, index: EntryIndex) -> Result<Entry, LedgerError> {
        let malformed = |malformed| LedgerError::Entry { index, malformed };
        Entry::from_bytes(&self.entry_bytes(index)?).map_err(malformed)
    }

    /// The bytes of the entry at an index.
    ///
    /// # Errors
    /// As [`Self::entry`], but for `ledger/entry`.
    pub fn entry_bytes(&self, index: EntryIndex) -> Result<Arc<Vec<u8>>, LedgerError> {
        if let Some(entry) = self.tail_entry(index)? {
            return Ok(Arc::clone(&entry.bytes));
        }
        if let Some(bytes) = self.entries.get(&index) {
            return Ok(bytes);
        }
        let object = ObjectName::Bundle(index / WIDTH);
        let damaged = || LedgerError::Damaged { object };
        let bundle = self.object(object)?;
        let coord = BundleCoord::new(index / WIDTH, TILE_WIDTH).ok_or_else(damaged)?;
        let entries = EntryBundle::parse(&bundle, &coord).map_err(|_| damaged())?;
        let bytes = entries.entries().nth(place(index)).ok_or_else(damaged)?;
        if leaf_hash(bytes) != self.leaf(index)? {
            return Err(damaged());
        }
        let bytes = Arc::new(bytes.to_vec());
        self.entries.put(index, &bytes);
        Ok(bytes)
    }

    /// The leaf hash of the entry at an index.
    ///
    /// # Errors
    /// `ledger/no-entry`, `ledger/missing`, `ledger/damaged`, and the store's.
    pub fn leaf(&self, index: EntryIndex) -> Result<LeafHash, LedgerError> {
        if let Some(entry) = self.tail_entry(index)? {
            return Ok(entry.leaf);
        }
        let tile = self.full_tile(0, index / WIDTH)?;
        Ok(LeafHash::from_bytes(*tile[place(index)].as_bytes()))
    }

    /// The entry among those after the last full bundle; `None` if it is in a bundle.
    fn tail_entry(&self, index: EntryIndex) -> Result<Option<&TailEntry>, LedgerError> {
        let size = self.size();
        if index >= size {
            return Err(LedgerError::NoEntry { index, size });
        }
        let bundled = size - self.tail.len() as u64;
        Ok(index.checked_sub(bundled).map(|at| &self.tail[place(at)]))
    }

    /// The entry at an index, as the rules see it.
    ///
    /// # Errors
    /// As [`Self::entry`].
    pub fn recorded(&self, index: EntryIndex) -> Result<Recorded, LedgerError> {
        let entry = self.entry(index)?;
        let genesis = if index == 0 { NO_LEAF } else { self.leaf(0)? };
        let malformed = |malformed| LedgerError::Entry { index, malformed };
        let event = entry.event.open(&genesis).map_err(malformed)?;
        Ok(Recorded { index, recorded_at: entry.header.recorded_at, event })
    }

    /// What whoever trusts this log would pin: its name, entry 0, the operator key named there, its
    /// policy of witnesses, and this checkpoint as the newest.
    ///
    /// # Errors
    /// Those of reading entry 0, and `ledger/trust`.
    pub fn trust_as_of(&self, newest: &SignedCheckpoint) -> Result<TrustFile, LedgerError> {
        self.trust_with(self.witnessed.policy().clone(), newest)
    }

    /// As [`Self::trust_as_of`], with another policy.
    pub(super) fn trust_with(
        &self,
        policy: Policy,
        newest: &SignedCheckpoint,
    ) -> Result<TrustFile, LedgerError> {
        let genesis = self.recorded(0)?;
        let Some(Statement::LedgerCreated(created)) = &genesis.event.statement else {
            return Err(LedgerError::Damaged { object: ObjectName::Bundle(0) });
        };
        let operator = self
            .origin()
            .log_key(&created.operator.key)
            .map_err(|error| LedgerError::Trust(error.into()))?;
        let trust = TrustFile::new(self.origin().clone(), self.leaf(0)?, operator, policy)?;
        Ok(trust.with_newest(newest.clone())?)
    }

    /// MTH of the first `size` entries, at least one and at most all.
    pub(super) fn root_at(&self, size: u64) -> Result<NodeHash, LedgerError> {
        let nodes = TileNodes::new(|level, index| self.tile(level, index));
        let mut subtrees = Vec::new();
        let mut begin = 0;
        for level in (0..u64::BITS as u8).rev().filter(|level| size >> level & 1 == 1) {
            subtrees.push(nodes.node(level, begin >> level).map_err(node_failed)?);
            begin += 1 << level;
        }
        Ok(Frontier::from_subtrees(size, subtrees).map_err(|_| LedgerError::Root)?.root())
    }

    /// That the entry at an index is in the tree of the first `size` entries; leaf side first.
    ///
    /// # Errors
    /// `ledger/no-entry` if the log has fewer entries, `proof/index-outside`, `ledger/missing`,
    /// `ledger/damaged`, and the store's.
    pub fn inclusion_proof(
        &self,
        index: EntryIndex,
        size: u64,
    ) -> Result<Vec<NodeHash>, LedgerError> {
        self.expect_size(size)?;
        let nodes = TileNodes::new(|level, index| self.tile(level, index));
        inclusion_proof(index, size, &nodes).map_err(prove_failed)
    }

    /// That the tree of the first `new_size` entries extends the tree of the first `old_size`;
    /// empty if the sizes are equal.
    ///
    /// # Errors
    /// `ledger/no-entry` if the log has fewer entries, `proof/size-zero`, `proof/sizes-reversed`,
    /// `ledger/missing`, `ledger/damaged`, and the store's.
    pub fn consistency_proof(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Vec<NodeHash>, LedgerError> {
        self.expect_size(new_size)?;
        let nodes = TileNodes::new(|level, index| self.tile(level, index));
        consistency_proof(old_size, new_size, &nodes).map_err(prove_failed)
    }

    /// The hashes that lead from several entries to the root of the first `size`; the indexes
    /// increase, and are below it.
    ///
    /// # Errors
    /// As [`Self::inclusion_proof`].
    pub fn shown_proof(
        &self,
        indexes: &[EntryIndex],
        size: u64,
    ) -> Result<Vec<NodeHash>, LedgerError> {
        self.expect_size(size)?;
        let nodes = TileNodes::new(|level, index| self.tile(level, index));
        shown_proof(indexes, size, &nodes).map_err(node_failed)
    }

    /// Refuses a size that the log has not reached.
    fn expect_size(&self, size: u64) -> Result<(), LedgerError> {
        match size.checked_sub(1) {
            Some(index) if size > self.size() => {
                Err(LedgerError::NoEntry { index, size: self.size() })
            }
            _ => Ok(()),
        }
    }

    /// The hashes of a tile, as many as the tree has there.
    pub(super) fn tile(&self, level: u8, index: u64) -> Result<Vec<NodeHash>, LedgerError> {
        if index < (self.size().checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0)) {
            return self.full_tile(level, index);
        }
        let mut partial = self.tree.partial_tiles();
        let tile = partial.find(|tile| tile.level == level && tile.index == index);
        let object = ObjectName::Tile { level, index };
        Ok(tile.ok_or(LedgerError::Missing { object })?.hashes)
    }

    fn full_tile(&self, level: u8, index: u64) -> Result<Vec<NodeHash>, LedgerError> {
        let object = ObjectName::Tile { level, index };
        let bytes = self.object(object)?;
        let (hashes, rest) = bytes.as_chunks::<HASH_LEN>();
        if hashes.len() != usize::from(TILE_WIDTH) || !rest.is_empty() {
            return Err(LedgerError::Damaged { object });
        }
        Ok(hashes.iter().copied().map(NodeHash::from_bytes).collect())
    }

    /// The first `width` entries of a bundle, as a bundle; at least so many must be there. Whoever
    /// asks reads the log through: it is not kept.
    pub(super) fn bundle(&self, coord: &BundleCoord) -> Result<Vec<u8>, LedgerError> {
        let object = ObjectName::Bundle(coord.index());
        let damaged = || LedgerError::Damaged { object };
        let mut bytes = Vec::new();
        let mut add = |entry: &[u8]| push_entry(&mut bytes, entry).map_err(|_| damaged());
        let width = usize::from(coord.width());
        if coord.index() < self.size() / WIDTH {
            let stored = match self.fresh.get(&object) {
                Some(bytes) => bytes.to_vec(),
                None => self.stored(object)?,
            };
            if coord.width() == TILE_WIDTH {
                return Ok(stored);
            }
            let full = BundleCoord::new(coord.index(), TILE_WIDTH).ok_or_else(damaged)?;
            let entries = EntryBundle::parse(&stored, &full).map_err(|_| damaged())?;
            entries.entries().take(width).try_for_each(&mut add)?;
        } else if coord.index() == self.size() / WIDTH && width <= self.tail.len() {
            self.tail[..width].iter().try_for_each(|entry| add(&entry.bytes))?;
        } else {
            return Err(LedgerError::Missing { object });
        }
        Ok(bytes)
    }

    fn object(&self, name: ObjectName) -> Result<Arc<Vec<u8>>, LedgerError> {
        if let Some(bytes) = self.fresh.get(&name) {
            return Ok(Arc::clone(bytes));
        }
        if let Some(bytes) = self.objects.get(&name) {
            return Ok(bytes);
        }
        let bytes = Arc::new(self.stored(name)?);
        self.objects.put(name, &bytes);
        Ok(bytes)
    }

    fn stored(&self, object: ObjectName) -> Result<Vec<u8>, LedgerError> {
        self.store.read(&object)?.ok_or(LedgerError::Missing { object })
    }

    /// What went wrong while a rule looked back, if anything did since this was asked last.
    pub(super) fn take_fault(&self) -> Option<LedgerError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn looked_back<T>(&self, result: Result<T, LedgerError>) -> Option<T> {
        match result {
            Ok(found) => Some(found),
            Err(LedgerError::NoEntry { .. }) => None,
            Err(error) => {
                *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            }
        }
    }

    /// Appends an entry in memory; [`Self::commit`] makes it durable.
    pub(super) fn append(&mut self, bytes: Vec<u8>) -> LeafHash {
        let leaf = leaf_hash(&bytes);
        for tile in self.tree.append(leaf) {
            let name = ObjectName::Tile { level: tile.level, index: tile.index };
            let bytes = tile.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            self.fresh.insert(name, Arc::new(bytes));
        }
        self.tail.push(TailEntry { leaf, bytes: Arc::new(bytes) });
        if self.tail.len() == usize::from(TILE_WIDTH) {
            let name = ObjectName::Bundle(self.size() / WIDTH - 1);
            let entries = std::mem::take(&mut self.tail);
            self.fresh.insert(name, Arc::new(join_run(&entries)));
        }
        leaf
    }

    /// Makes all that was appended durable, under a checkpoint that this key signs.
    ///
    /// After an error the log in memory is ahead of the store and of no more use.
    pub(super) fn commit(&mut self, key: &SecretKey) -> Result<(), CommitError> {
        let stored = self.checkpoint.checkpoint().size;
        let bundled = self.size() - self.tail.len() as u64;
        let mut put: Vec<(ObjectName, Vec<u8>)> = std::mem::take(&mut self.fresh)
            .into_iter()
            .map(|(name, bytes)| (name, Arc::unwrap_or_clone(bytes)))
            .collect();
        // Entries up to the end of the last full bundle are in bundles now.
        let outgrown = bundled > stored - stored % WIDTH;
        let drop_tails = if outgrown { std::mem::take(&mut self.runs) } else { Vec::new() };
        let first = stored.max(bundled);
        if first < self.size() {
            put.push((ObjectName::Tail { first }, join_run(&self.tail[place(first - bundled)..])));
            self.runs.push(first);
        }
        let checkpoint = sign(self.origin().clone(), &self.tree, key);
        let (old, new) = (self.checkpoint.to_string(), checkpoint.to_string());
        self.store.commit(&Commit {
            put,
            drop_tails,
            expected_head: Some(old.as_bytes()),
            head: new.as_bytes(),
        })?;
        self.checkpoint = checkpoint;
        Ok(())
    }

    /// A store for the same log, to begin anew after a failed commit.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl History for Log {
    fn event(&self, index: EntryIndex) -> Option<Recorded> {
        self.looked_back(self.recorded(index))
    }

    fn leaf(&self, index: EntryIndex) -> Option<LeafHash> {
        self.looked_back(Log::leaf(self, index))
    }
}

/// The objects and the head of a log that holds only this entry.
pub(super) fn first_commit(
    origin: Origin,
    entry: &[u8],
    key: &SecretKey,
) -> (Vec<(ObjectName, Vec<u8>)>, SignedCheckpoint) {
    let mut tree = TreeBuilder::new();
    let leaf = leaf_hash(entry);
    tree.append(leaf);
    let run = join_run(&[TailEntry { leaf, bytes: Arc::new(entry.to_vec()) }]);
    (vec![(ObjectName::Tail { first: 0 }, run)], sign(origin, &tree, key))
}

/// Signs the head of this tree.
fn sign(origin: Origin, tree: &TreeBuilder, key: &SecretKey) -> SignedCheckpoint {
    sign_checkpoint(Checkpoint { origin, size: tree.size(), root: tree.root() }, key)
}

/// Signs a checkpoint. The same checkpoint gives the same bytes.
pub(super) fn sign_checkpoint(checkpoint: Checkpoint, key: &SecretKey) -> SignedCheckpoint {
    checkpoint.sign(key.signing_key())
}

/// A node of the tree could not be had.
fn node_failed(error: TileNodeError<LedgerError>) -> LedgerError {
    match error {
        TileNodeError::Read(error) => error,
        TileNodeError::TooNarrow { level, index, .. } => {
            LedgerError::Damaged { object: ObjectName::Tile { level, index } }
        }
    }
}

/// A proof could not be made.
fn prove_failed(error: ProveError<TileNodeError<LedgerError>>) -> LedgerError {
    match error {
        ProveError::Range(range) => LedgerError::Proof(range),
        ProveError::Source(error) => node_failed(error),
    }
}

/// The place of an entry or hash in its bundle, tile or tail.
fn place(index: u64) -> usize {
    (index % WIDTH) as usize
}

/// The root over the hashes of a full tile.
fn tile_root(hashes: &[NodeHash]) -> Result<NodeHash, LedgerError> {
    let tile = TileNodes::new(|_, _| Ok::<_, LedgerError>(hashes));
    let half = |index| tile.node(TILE_HEIGHT - 1, index).map_err(|_| LedgerError::Root);
    Ok(node_hash(&half(0)?, &half(1)?))
}

/// Entries as they stand in a run or a bundle: u16 big-endian length, then the entry.
fn join_run(entries: &[TailEntry]) -> Vec<u8> {
    let mut run = Vec::new();
    for entry in entries {
        push_entry(&mut run, &entry.bytes).expect("no entry is longer than its limit");
    }
    run
}

/// The entries of a run; `None` if it does not end with its last entry.
fn split_run(mut run: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !run.is_empty() {
        let (len, rest) = run.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(entry);
        run = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hash::empty_root;
    use crate::model::merkle::{verify_consistency, verify_inclusion};
    use crate::store::MemoryStore;

    /// Any bytes do for an entry here.
    fn entry(index: u64) -> Vec<u8> {
        format!("entry {index}").into_bytes()
    }

    /// MTH by its recursive definition [RFC 6962, 2.1], over these entries.
    fn mth(begin: u64, end: u64) -> NodeHash {
        match end - begin {
            0 => empty_root(),
            1 => leaf_hash(&entry(begin)).into(),
            size => {
                let middle = begin + size.next_power_of_two() / 2;
                node_hash(&mth(begin, middle), &mth(middle, end))
            }
        }
    }

    fn grow(log: &mut Log, size: u64, key: &SecretKey) {
        (log.size()..size)
            .for_each(|index| assert_eq!(log.append(entry(index)), leaf_hash(&entry(index))));
        log.commit(key).unwrap();
    }

    fn open(store: &MemoryStore) -> Log {
        let nobody = Witnessed::open(None).unwrap();
        Log::open(Arc::new(store.clone()), Arc::new(nobody)).unwrap()
    }

    #[test]
    fn a_log_opens_with_the_same_tree_at_every_shape_of_its_right_edge() {
        let key = SecretKey::from_seed(&[1; 32]);
        let store = MemoryStore::new();
        let origin = Origin::parse("ledger.example/log").unwrap();
        let (put, head) = first_commit(origin, &entry(0), &key);
        let head = head.to_string();
        let drop_tails = Vec::new();
        store
            .commit(&Commit { put, drop_tails, expected_head: None, head: head.as_bytes() })
            .unwrap();
        let mut log = open(&store);
        let sizes = [2, 255, 256, 257, 300, 511, 512, 3000, 65_535, 65_536, 65_537, 66_100];
        for size in sizes {
            grow(&mut log, size, &key);
            let reopened = open(&store);
            assert_eq!(reopened.size(), size);
            assert_eq!(reopened.tree, log.tree, "size {size}");
            assert_eq!(reopened.runs, log.runs, "size {size}");
            // Goes on from what was stored, not from what is in memory.
            log = reopened;
        }
        for size in sizes {
            assert_eq!(log.root_at(size).unwrap(), mth(0, size), "size {size}");
        }
        for index in (0..66_100).step_by(977).chain([65_535, 65_536, 66_047, 66_048, 66_099]) {
            assert_eq!(*log.entry_bytes(index).unwrap(), entry(index));
        }
        let roots: Vec<(u64, NodeHash)> = sizes.map(|size| (size, mth(0, size))).to_vec();
        for (size, root) in &roots {
            for index in [0, 1, size / 2, size - 1] {
                let proof = log.inclusion_proof(index, *size).unwrap();
                let leaf = leaf_hash(&entry(index));
                verify_inclusion(index, *size, &leaf, &proof, root).unwrap();
            }
            for (old, old_root) in roots.iter().filter(|(old, _)| old <= size) {
                let proof = log.consistency_proof(*old, *size).unwrap();
                verify_consistency(*old, *size, old_root, root, &proof).unwrap();
            }
        }
        for (refused, code) in [
            (log.inclusion_proof(0, 66_101), "ledger/no-entry"),
            (log.inclusion_proof(300, 300), "proof/index-outside"),
            (log.inclusion_proof(0, 0), "proof/index-outside"),
            (log.consistency_proof(1, 66_101), "ledger/no-entry"),
            (log.consistency_proof(0, 300), "proof/size-zero"),
            (log.consistency_proof(301, 300), "proof/sizes-reversed"),
        ] {
            assert_eq!(refused.unwrap_err().code(), code);
        }
        assert_eq!(log.entry_bytes(66_100).unwrap_err().code(), "ledger/no-entry");
    }

    #[test]
    fn a_run_ends_with_its_last_entry() {
        let run = |entries: &[&str]| {
            let entry = |text: &&str| TailEntry {
                leaf: leaf_hash(text.as_bytes()),
                bytes: Arc::new(text.as_bytes().to_vec()),
            };
            join_run(&entries.iter().map(entry).collect::<Vec<_>>())
        };
        assert_eq!(run(&["ab", "", "c"]), b"\0\x02ab\0\0\0\x01c");
        assert_eq!(split_run(b"\0\x02ab\0\0\0\x01c").unwrap(), [&b"ab"[..], b"", b"c"]);
        for wrong in [&b"\0"[..], b"\0\x02a", b"\0\x01ab", b"\0\x01a\xff"] {
            assert_eq!(split_run(wrong), None);
        }
    }
}
