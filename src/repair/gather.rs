//! Finds the entries of a log among several copies of it, none of which is trusted.
//!
//! Each entry names the leaf hash of the one before it. So from the last entry backward every entry
//! is known by its hash, and it does not matter from where its bytes come. Whether the last entry is
//! the right one, the root over all of them tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::checkpoint::SignedCheckpoint;
use crate::model::entry::Entry;
use crate::model::hash::{LeafHash, NodeHash, leaf_hash};
use crate::model::merkle::{Frontier, TILE_HEIGHT, perfect_root};
use crate::model::tile::{BundleCoord, TILE_WIDTH, TileLayout, push_entry};
use crate::store::{Commit, CommitError, ObjectName, Store, StoreError};

use super::remains::{Entries, Places};
use super::{Lost, Phase, Progress};

const WIDTH: u64 = TILE_WIDTH as u64;

/// So many bundles with lost entries are told apart; where more are, all before them count as lost.
const LOST_BUNDLES_MAX: usize = 4096;

/// Where the bytes of a bundle are.
#[derive(Clone, Copy)]
enum Part {
    /// In the copy of this number.
    Copy(usize),
    /// Here: no copy has all of its entries.
    Spliced,
}

/// All entries of the log under a checkpoint, read where they are whole; a store to read from.
pub(super) struct Gathered {
    note: SignedCheckpoint,
    copies: Vec<Arc<dyn Entries>>,
    /// Of each full bundle.
    parts: Vec<Part>,
    spliced: BTreeMap<u64, Vec<u8>>,
    /// The roots over the full bundles.
    roots: Vec<NodeHash>,
    tail: Vec<u8>,
    tail_leaves: Vec<NodeHash>,
}

/// A bundle as it was found.
struct Found {
    part: Part,
    /// None for an entry that is lost.
    entries: Vec<Option<(LeafHash, Vec<u8>)>>,
    /// What the entry before the bundle hashes to, where that is known.
    previous: Option<LeafHash>,
}

impl Gathered {
    /// Gathers the log under a checkpoint; of two copies of an entry, the first that fits is taken.
    ///
    /// # Errors
    /// The entries that no copy has. The root is not compared.
    pub(super) fn of(
        note: &SignedCheckpoint,
        copies: Vec<Arc<dyn Entries>>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, Lost> {
        let size = note.checkpoint().size;
        let layout = TileLayout::of_size(size);
        let mut gathered = Self {
            note: note.clone(),
            copies,
            parts: Vec::new(),
            spliced: BTreeMap::new(),
            roots: Vec::new(),
            tail: Vec::new(),
            tail_leaves: Vec::new(),
        };
        let (mut lost, mut lost_bundles) = (Lost::default(), 0);
        let mut wanted = None;
        for index in (0..layout.bundle_count()).rev() {
            let bundle = layout.bundle(index).expect("the layout has this bundle");
            let found = gathered.find(&bundle, wanted);
            wanted = found.previous;
            let missing = (0..).zip(&found.entries).filter(|(_, entry)| entry.is_none());
            let before = lost.count();
            missing.for_each(|(at, _)| lost.add(index * WIDTH + at));
            if lost.count() > before {
                lost_bundles += 1;
                if lost_bundles == LOST_BUNDLES_MAX {
                    lost.add_range(0..index * WIDTH);
                    break;
                }
            } else {
                gathered.keep(&bundle, found);
            }
            progress(Progress { phase: Phase::Reading, done: size - index * WIDTH, all: size });
        }
        gathered.parts.reverse();
        gathered.roots.reverse();
        if lost.is_empty() { Ok(gathered) } else { Err(lost) }
    }

    /// The root over all entries.
    pub(super) fn root(&self) -> NodeHash {
        let size = self.note.checkpoint().size;
        let (mut subtrees, mut at) = (Vec::new(), 0);
        for level in (0..u64::BITS as u8).rev().filter(|level| size >> level & 1 == 1) {
            let count = 1usize << level.checked_sub(TILE_HEIGHT).unwrap_or(level);
            let nodes = if level < TILE_HEIGHT {
                &self.tail_leaves[(at % WIDTH) as usize..][..count]
            } else {
                &self.roots[(at / WIDTH) as usize..][..count]
            };
            subtrees.push(perfect_root(nodes));
            at += 1 << level;
        }
        let frontier = Frontier::from_subtrees(size, subtrees);
        frontier.expect("there is a subtree for each bit of the size").root()
    }

    /// How many entries there are.
    pub(super) fn size(&self) -> u64 {
        self.note.checkpoint().size
    }

    /// The checkpoint, as it was signed.
    pub(super) fn head_bytes(&self) -> Vec<u8> {
        self.note.to_string().into_bytes()
    }

    /// The names of all objects that the log consists of, in the order of its entries.
    pub(super) fn names(&self) -> impl Iterator<Item = ObjectName> {
        let size = self.note.checkpoint().size;
        let full = size / WIDTH;
        let bundles = (0..full).flat_map(move |bundle| {
            // A bundle that fills tiles above is followed by them.
            let filled =
                move |level: &u8| (bundle + 1).is_multiple_of(WIDTH.pow(u32::from(*level)));
            let tile = move |level: u8| ObjectName::Tile {
                level,
                index: bundle / WIDTH.pow(u32::from(level)),
            };
            let tiles = (0..7).take_while(filled).map(tile);
            std::iter::once(ObjectName::Bundle(bundle)).chain(tiles)
        });
        let tail = ObjectName::Tail { first: full * WIDTH };
        let tail = (!size.is_multiple_of(WIDTH)).then_some(tail);
        bundles.chain(tail)
    }

    /// The bytes of an object of the log.
    pub(super) fn object(&self, name: &ObjectName) -> Option<Vec<u8>> {
        let size = self.note.checkpoint().size;
        match *name {
            ObjectName::Bundle(index) => self.bundle(index),
            ObjectName::Tile { level: 0, index } => {
                let mut leaves = Vec::new();
                let bundle = BundleCoord::new(index, TILE_WIDTH)?;
                for entry in self.places_of(&bundle)? {
                    leaves.extend_from_slice(NodeHash::from(leaf_hash(&entry?)).as_bytes());
                }
                Some(leaves)
            }
            ObjectName::Tile { level, index } => {
                // Each hash of the tile is over this many full bundles.
                let each = WIDTH.checked_pow(u32::from(level) - 1)?;
                let begin = usize::try_from(index.checked_mul(each)?.checked_mul(WIDTH)?).ok()?;
                let len = usize::try_from(each.checked_mul(WIDTH)?).ok()?;
                let roots = self.roots.get(begin..begin.checked_add(len)?)?;
                let hashes = roots.chunks(len / usize::from(TILE_WIDTH)).map(perfect_root);
                Some(hashes.flat_map(|hash| *hash.as_bytes()).collect())
            }
            ObjectName::Tail { first } => {
                (first == size - size % WIDTH && first < size).then(|| self.tail.clone())
            }
        }
    }

    /// The bytes of a tail's entries.
    pub(super) fn tail_places(&self) -> Places {
        let size = self.note.checkpoint().size;
        let bundle = TileLayout::of_size(size).bundle(size / WIDTH);
        bundle.map_or_else(Vec::new, |bundle| split(&self.tail, &bundle))
    }

    fn bundle(&self, index: u64) -> Option<Vec<u8>> {
        if let Some(bytes) = self.spliced.get(&index) {
            return Some(bytes.clone());
        }
        join(self.places_of(&BundleCoord::new(index, TILE_WIDTH)?)?)
    }

    fn places_of(&self, bundle: &BundleCoord) -> Option<Places> {
        match self.parts.get(usize::try_from(bundle.index()).ok()?)? {
            Part::Copy(copy) => Some(self.copies[*copy].places(bundle)),
            Part::Spliced => Some(split(self.spliced.get(&bundle.index())?, bundle)),
        }
    }

    /// Finds a bundle whose last entry hashes to what is wanted: whole in one copy, else entry by
    /// entry.
    fn find(&self, bundle: &BundleCoord, wanted: Option<LeafHash>) -> Found {
        let mut read = Vec::new();
        for (number, copy) in self.copies.iter().enumerate() {
            read.push(copy.places(bundle));
            let found = follow(&read[number..], Part::Copy(number), bundle, wanted);
            if found.entries.iter().all(Option::is_some) {
                return found;
            }
        }
        follow(&read, Part::Spliced, bundle, wanted)
    }

    fn keep(&mut self, bundle: &BundleCoord, found: Found) {
        let entries: Vec<(LeafHash, Vec<u8>)> = found.entries.into_iter().flatten().collect();
        let leaves: Vec<NodeHash> = entries.iter().map(|(leaf, _)| (*leaf).into()).collect();
        let bytes = || join(entries.iter().map(|(_, bytes)| Some(bytes.clone())).collect());
        if bundle.width() < TILE_WIDTH {
            self.tail = bytes().unwrap_or_default();
            self.tail_leaves = leaves;
            return;
        }
        if let (Part::Spliced, Some(bytes)) = (found.part, bytes()) {
            self.spliced.insert(bundle.index(), bytes);
        }
        self.parts.push(found.part);
        self.roots.push(perfect_root(&leaves));
    }
}

/// Goes from the last entry of a bundle to its first, by the hashes.
fn follow(
    copies: &[Places],
    part: Part,
    bundle: &BundleCoord,
    mut wanted: Option<LeafHash>,
) -> Found {
    let mut entries = vec![None; usize::from(bundle.width())];
    for (at, place) in entries.iter_mut().enumerate().rev() {
        let index = bundle.index() * WIDTH + at as u64;
        let fits = |bytes: &Vec<u8>| {
            let leaf = leaf_hash(bytes);
            if wanted.is_some_and(|wanted| wanted != leaf) {
                return None;
            }
            let header = Entry::from_bytes(bytes).ok()?.header;
            (header.index == index).then(|| (header.previous, (leaf, bytes.clone())))
        };
        let found = copies.iter().filter_map(|copy| copy[at].as_ref()).find_map(fits);
        (wanted, *place) =
            found.map_or((None, None), |(previous, found)| (Some(previous), Some(found)));
    }
    Found { part, entries, previous: wanted }
}

fn join(places: Places) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in places {
        push_entry(&mut bytes, &entry?).ok()?;
    }
    Some(bytes)
}

fn split(bytes: &[u8], bundle: &BundleCoord) -> Places {
    let parsed = crate::model::tile::EntryBundle::parse(bytes, bundle).ok();
    parsed.map_or_else(Vec::new, |bundle| {
        bundle.entries().map(|entry| Some(entry.to_vec())).collect()
    })
}

impl Store for Gathered {
    fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.object(name))
    }

    fn head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Some(self.head_bytes()))
    }

    /// There is nothing to write to.
    fn commit(&self, _: &Commit<'_>) -> Result<(), CommitError> {
        Err(StoreError::Stopped.into())
    }
}
