//! Makes the files of a log out of events, as an operator would, or as a dishonest one could: every
//! field may be wrong, and all that comes after it is hashed and signed again to fit.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use giftproof::bundle::{BundleLayout, BundleWriter, LogFile, LogSource, SourceError, TrustCopy};
use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::date::UnixMs;
use giftproof::model::draft::Draft;
use giftproof::model::encoding::List;
use giftproof::model::entry::{Entry, Header, Link, NO_LEAF, Place, SignedEvent};
use giftproof::model::event::{SUBJECTS_MAX, Statement};
use giftproof::model::hash::{LeafHash, NodeHash, SubjectHash, leaf_hash};
use giftproof::model::merkle::{TileHashes, TreeBuilder};
use giftproof::model::note::{KeyKind, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::subject::Subject;
use giftproof::model::tile::{BundleCoord, TileCoord, TileLayout, push_entry};
use giftproof::model::trust::TrustFile;

use crate::util::*;

pub const ORIGIN: &str = "ledger.example/test";

/// The key of a name, for notes.
pub fn note_key(name: &str) -> SigningKey {
    SigningKey::from_bytes(secret(name).seed())
}

/// The files of a log, in memory.
#[derive(Clone)]
pub struct Files {
    pub size: u64,
    pub checkpoint: Vec<u8>,
    pub trust_copy: TrustCopy,
    pub tiles: BTreeMap<TileCoord, Vec<u8>>,
    pub bundles: BTreeMap<BundleCoord, Vec<u8>>,
}

impl Files {
    /// The files over these entries, with a checkpoint by the key of this name.
    pub fn of(entries: &[Vec<u8>], signer: &str) -> Self {
        let layout = TileLayout::of_size(entries.len() as u64);
        let mut tree = TreeBuilder::new();
        let mut tiles: Vec<TileHashes> = Vec::new();
        for entry in entries {
            tiles.extend(tree.append(leaf_hash(entry)));
        }
        tiles.extend(tree.partial_tiles());
        let tile = |tile: TileHashes| {
            let bytes = tile.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            (layout.tile(tile.level, tile.index).unwrap(), bytes)
        };
        let mut bundles = BTreeMap::new();
        for (bundle, entries) in layout.bundles().zip(entries.chunks(256)) {
            let mut bytes = Vec::new();
            entries.iter().for_each(|entry| push_entry(&mut bytes, entry).unwrap());
            bundles.insert(bundle, bytes);
        }
        let mut files = Self {
            size: entries.len() as u64,
            checkpoint: Vec::new(),
            trust_copy: TrustCopy::Intact(Vec::new()),
            tiles: tiles.into_iter().map(tile).collect(),
            bundles,
        };
        files.sign(ORIGIN, tree.root(), signer);
        files
    }

    /// Signs another checkpoint of the same size.
    pub fn sign(&mut self, origin: &str, root: NodeHash, signer: &str) {
        let checkpoint =
            Checkpoint { origin: Origin::parse(origin).unwrap(), size: self.size, root };
        self.checkpoint = checkpoint.sign(&note_key(signer)).to_string().into_bytes();
    }

    pub fn signed_checkpoint(&self) -> SignedCheckpoint {
        SignedCheckpoint::parse(&self.checkpoint).unwrap()
    }

    /// The file's bytes.
    pub fn bytes(&self, file: LogFile) -> Option<&Vec<u8>> {
        match file {
            LogFile::Checkpoint => Some(&self.checkpoint),
            LogFile::TrustCopy => match &self.trust_copy {
                TrustCopy::Intact(bytes) => Some(bytes),
                _ => None,
            },
            LogFile::Tile(tile) => self.tiles.get(&tile),
            LogFile::Entries(bundle) => self.bundles.get(&bundle),
        }
    }

    pub fn bytes_mut(&mut self, file: LogFile) -> &mut Vec<u8> {
        match file {
            LogFile::Checkpoint => &mut self.checkpoint,
            LogFile::TrustCopy => panic!("the trust copy is no file of the log"),
            LogFile::Tile(tile) => self.tiles.get_mut(&tile).unwrap(),
            LogFile::Entries(bundle) => self.bundles.get_mut(&bundle).unwrap(),
        }
    }

    pub fn files(&self) -> impl Iterator<Item = LogFile> {
        BundleLayout::of_size(self.size).files()
    }

    pub fn zip(&self) -> Vec<u8> {
        let mut writer = BundleWriter::new(Vec::new(), self.size);
        for file in self.files() {
            writer = writer.put(file, self.bytes(file).unwrap()).unwrap();
        }
        writer.finish().unwrap()
    }

    pub fn write_to(&self, folder: &Path) {
        for file in self.files() {
            let path = folder.join(file.to_string());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, self.bytes(file).unwrap()).unwrap();
        }
    }
}

impl LogSource for Files {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        Ok(self.checkpoint.clone())
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        Ok(self.trust_copy.clone())
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        let file = LogFile::Tile(*tile);
        self.bytes(file).cloned().ok_or(SourceError::Missing { file })
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        let file = LogFile::Entries(*bundle);
        self.bytes(file).cloned().ok_or(SourceError::Missing { file })
    }
}

/// What an operator writes into a header, changed.
pub type Edit = fn(&mut Header);

/// An event that is to become an entry.
#[derive(Clone)]
pub struct Item {
    pub recorded_at: UnixMs,
    pub event: SignedEvent,
    /// What it touches beyond what it states.
    pub touches: Vec<SubjectHash>,
    /// Changes the header that would be right.
    pub edit: Option<Edit>,
    /// Changes the entry's bytes.
    pub mangle: Option<fn(&mut Vec<u8>)>,
}

/// A log that can be changed anywhere, and is chained afresh.
#[derive(Clone)]
pub struct Forge {
    pub items: Vec<Item>,
}

impl Forge {
    /// The world's log.
    pub fn of(world: &World) -> Self {
        let item = |entry: &Entry| Item {
            recorded_at: entry.header.recorded_at,
            event: entry.event.clone(),
            touches: Vec::new(),
            edit: None,
            mangle: None,
        };
        Self { items: world.log.entries.iter().map(item).collect() }
    }

    /// Adds an event that is signed by all its signers, whatever the rules say. Gives its index.
    pub fn push(&mut self, draft: &Draft) -> usize {
        let event = sign(draft, &self.genesis());
        self.push_event(event)
    }

    pub fn push_event(&mut self, event: SignedEvent) -> usize {
        let recorded_at = self.items.iter().map(|item| item.recorded_at).max().unwrap();
        let touches = Vec::new();
        self.items.push(Item { recorded_at, event, touches, edit: None, mangle: None });
        self.items.len() - 1
    }

    /// The leaf hash of entry 0.
    pub fn genesis(&self) -> LeafHash {
        leaf_hash(&Self { items: vec![self.items[0].clone()] }.entries()[0])
    }

    /// The entries' bytes: index, previous leaf hash and links worked out by their definition.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut previous = NO_LEAF;
        let mut places: BTreeMap<SubjectHash, Vec<Place>> = BTreeMap::new();
        for (index, item) in self.items.iter().enumerate() {
            let mut subjects = self.subjects(index, entries.first());
            subjects.extend(&item.touches);
            let link = |subject: &SubjectHash| {
                let before = places.get(subject).map_or(&[][..], Vec::as_slice);
                let number = before.len() as u32 + 1;
                Link { subject: *subject, number, previous: before.last().copied() }
            };
            let mut header = Header {
                index: index as u64,
                previous,
                recorded_at: item.recorded_at,
                links: List::new(subjects.iter().map(link).take(SUBJECTS_MAX).collect()).unwrap(),
            };
            if let Some(edit) = item.edit {
                edit(&mut header);
            }
            let mut bytes = Entry { header, event: item.event.clone() }.to_bytes();
            if let Some(mangle) = item.mangle {
                mangle(&mut bytes);
            }
            previous = leaf_hash(&bytes);
            for subject in subjects {
                let place = Place { index: index as u64, leaf: previous };
                places.entry(subject).or_default().push(place);
            }
            entries.push(bytes);
        }
        entries
    }

    /// What an event touches; nothing if it cannot be read.
    fn subjects(&self, index: usize, entry_0: Option<&Vec<u8>>) -> Vec<SubjectHash> {
        let genesis = entry_0.map_or(NO_LEAF, |bytes| leaf_hash(bytes));
        let Ok(event) = self.items[index].event.clone().open(&genesis) else { return Vec::new() };
        let target = match &event.statement {
            Some(Statement::Correction(correction)) => {
                let target = self.items[..index].get(correction.target_index as usize);
                let target = target.and_then(|item| item.event.clone().open(&genesis).ok());
                target.filter(|target| target.hash == correction.target)
            }
            _ => None,
        };
        let statement = target.as_ref().and_then(|target| target.statement.as_ref());
        let target = statement.zip(target.as_ref().map(|target| target.hash));
        Subject::hashed(&event.subjects(target)).iter().map(|subject| subject.hash).collect()
    }

    /// The files, with a checkpoint by the operator.
    pub fn files(&self) -> Files {
        Files::of(&self.entries(), "operator")
    }

    /// The trust file of somebody who has seen no checkpoint yet, and asks for no witness.
    pub fn trust(&self) -> TrustFile {
        self.trust_with(Policy::without_witnesses())
    }

    pub fn trust_with(&self, policy: Policy) -> TrustFile {
        let origin = Origin::parse(ORIGIN).unwrap();
        let name = origin.key_name().clone();
        let operator = VerifierKey::of_signer(name, KeyKind::Ed25519, &note_key("operator"));
        TrustFile::new(origin, self.genesis(), operator, policy).unwrap()
    }
}

/// Changes the links of a header.
pub fn edit_links(header: &mut Header, edit: impl FnOnce(&mut Vec<Link>)) {
    let mut links = header.links.to_vec();
    edit(&mut links);
    header.links = List::new(links).unwrap();
}
