//! Entries from signed events: links, seals, and the files that a bundle is made of.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use giftproof::bundle::{BundleLayout, BundleWriter, Existing, LogFile, OutputFile};
use giftproof::model::checkpoint::{Checkpoint, Origin};
use giftproof::model::date::UnixMs;
use giftproof::model::draft::Draft;
use giftproof::model::entry::{Entry, Header, Link, Links, NO_LEAF, Place, SignedEvent};
use giftproof::model::event::Capacity;
use giftproof::model::hash::{LeafHash, NodeHash, SubjectHash, leaf_hash};
use giftproof::model::merkle::{TreeBuilder, perfect_root};
use giftproof::model::note::{KeyKind, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::seal::{Row, Rows};
use giftproof::model::subject::HashedSubject;
use giftproof::model::tile::{TILE_WIDTH, TileCoord, push_entry};
use giftproof::model::trust::TrustFile;

use crate::util::{handle, secret};

/// The log so far, as far as the next entry needs it.
///
/// In memory are the subjects that can still be touched, the hashes above the lowest level of the
/// tree (32 bytes for 256 entries), and, where seals are made, a row for each subject. Entries and
/// leaf hashes go to two files, from which bundles are made at the end.
pub struct Chain {
    folder: PathBuf,
    genesis: LeafHash,
    previous: LeafHash,
    recorded_at: UnixMs,
    /// The newest event of each subject that can still be touched.
    book: HashMap<SubjectHash, Row>,
    /// What seals commit to; none where no seals are made.
    rows: Option<Rows>,
    tree: TreeBuilder,
    /// The hashes of each level above 0.
    above: Vec<Vec<NodeHash>>,
    entries: BufWriter<File>,
    leaves: BufWriter<File>,
    pub facts: Facts,
}

/// What there is to be said about a log.
#[derive(Clone, Default)]
pub struct Facts {
    pub entries: u64,
    pub entry_bytes: u64,
    pub signatures: u64,
    /// How many entries there are of each kind, by its number.
    pub kinds: BTreeMap<u16, u64>,
    /// The most subjects that had to be remembered at a time.
    pub subjects_at_most: u64,
}

/// A log at a size.
pub struct Cut {
    size: u64,
    root: NodeHash,
}

impl Chain {
    /// Begins with entry 0.
    pub fn begin(folder: &Path, genesis: &Entry, seals: bool) -> io::Result<Self> {
        let file =
            |name| File::create(folder.join(name)).map(|f| BufWriter::with_capacity(1 << 20, f));
        let mut chain = Self {
            folder: folder.to_path_buf(),
            genesis: genesis.leaf(),
            previous: NO_LEAF,
            recorded_at: genesis.header.recorded_at,
            book: HashMap::new(),
            rows: seals.then(Rows::default),
            tree: TreeBuilder::new(),
            above: Vec::new(),
            entries: file("entries")?,
            leaves: file("leaves")?,
            facts: Facts::default(),
        };
        let root = genesis.header.links.iter().map(|link| link.subject.into()).collect::<Vec<_>>();
        chain.add(genesis.event.clone(), &root, genesis.header.recorded_at)?;
        Ok(chain)
    }

    /// Adds an event that touches these subjects.
    pub fn add(
        &mut self,
        event: SignedEvent,
        subjects: &[HashedSubject],
        recorded_at: UnixMs,
    ) -> io::Result<()> {
        let index = self.tree.size();
        let mut links = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let before = self.book.get(&subject.hash);
            let number = before.map_or(0, |row| row.number) + 1;
            links.push(Link {
                subject: subject.hash,
                number,
                previous: before.map(|row| row.place),
            });
        }
        let links = Links::new(links).expect("generated events have few subjects");
        let numbers: Vec<_> = links.iter().map(|link| (link.subject, link.number)).collect();
        let header = Header { index, previous: self.previous, recorded_at, links };
        *self.facts.kinds.entry(event.frame.kind).or_default() += 1;
        self.facts.signatures += event.signatures.len() as u64;
        let bytes = Entry { header, event }.to_bytes();
        let leaf = leaf_hash(&bytes);
        let place = Place { index, leaf };
        for (subject, number) in numbers {
            self.book.insert(subject, Row { number, place });
        }
        if let Some(rows) = &mut self.rows {
            subjects.iter().for_each(|subject| rows.touch(subject, place));
        }
        self.facts.subjects_at_most = self.facts.subjects_at_most.max(self.book.len() as u64);
        self.put(&bytes, leaf, recorded_at)
    }

    /// Forgets subjects that no later event touches.
    pub fn forget(&mut self, subjects: &[SubjectHash]) {
        for subject in subjects {
            self.book.remove(subject);
        }
    }

    /// Adds a seal over all entries so far.
    pub fn seal(&mut self, recorded_at: UnixMs) -> io::Result<()> {
        let rows = self.rows.as_mut().expect("seals were asked for");
        let statement = rows.statement(self.tree.size());
        let key = secret("operator");
        let nonce = *self.previous.as_bytes().first_chunk().expect("a hash has 32 bytes");
        let event = Draft::new(statement, recorded_at, nonce)
            .signer(Capacity::Operator, Some(&handle("operator")), key.public().into())
            .sign(&self.genesis, &[&key])
            .expect("a seal has few fields, and its signer's key is at hand");
        self.add(event, &[], recorded_at)?;
        self.rows.as_mut().expect("it was there").seal();
        Ok(())
    }

    fn put(&mut self, bytes: &[u8], leaf: LeafHash, recorded_at: UnixMs) -> io::Result<()> {
        let mut framed = Vec::with_capacity(bytes.len() + 2);
        push_entry(&mut framed, bytes).expect("generated entries are short");
        self.entries.write_all(&framed)?;
        self.leaves.write_all(leaf.as_bytes())?;
        for tile in self.tree.append(leaf) {
            let level = usize::from(tile.level);
            self.above.resize_with(self.above.len().max(level + 1), Vec::new);
            self.above[level].push(perfect_root(&tile.hashes));
        }
        (self.previous, self.recorded_at) = (leaf, recorded_at);
        self.facts.entries += 1;
        self.facts.entry_bytes += bytes.len() as u64;
        Ok(())
    }

    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The log as it is now.
    pub fn cut(&self) -> Cut {
        Cut { size: self.tree.size(), root: self.tree.root() }
    }

    /// Writes the bundle of a log that was cut here, as `name` in the folder.
    pub fn write_bundle(&mut self, cut: &Cut, name: &str) -> Result<(), Box<dyn Error>> {
        self.entries.flush()?;
        self.leaves.flush()?;
        let open =
            |name| File::open(self.folder.join(name)).map(|f| BufReader::with_capacity(1 << 20, f));
        let (mut entries, mut leaves) = (open("entries")?, open("leaves")?);
        let origin = Origin::parse("ledger.example/test").expect("an origin");
        let checkpoint = Checkpoint { origin, size: cut.size, root: cut.root }.sign(&operator());
        let output = OutputFile::create(&self.folder.join(name), Existing::Replace)?;
        let mut bundle = BundleWriter::new(output, cut.size);
        for file in BundleLayout::of_size(cut.size).files() {
            let bytes = match file {
                LogFile::Checkpoint => checkpoint.to_string().into_bytes(),
                LogFile::TrustCopy => self.trust()?.to_string().into_bytes(),
                LogFile::Tile(tile) if tile.level() == 0 => {
                    let mut bytes = vec![0; 32 * usize::from(tile.width())];
                    leaves.read_exact(&mut bytes)?;
                    bytes
                }
                LogFile::Tile(tile) => self.tile(&tile),
                LogFile::Entries(coord) => {
                    let mut bytes = Vec::new();
                    for _ in 0..coord.width() {
                        let mut len = [0; 2];
                        entries.read_exact(&mut len)?;
                        let begin = bytes.len() + 2;
                        bytes.extend(len);
                        bytes.resize(begin + usize::from(u16::from_be_bytes(len)), 0);
                        entries.read_exact(&mut bytes[begin..])?;
                    }
                    bytes
                }
            };
            bundle = bundle.put(file, &bytes)?;
        }
        Ok(bundle.finish()?.commit()?)
    }

    fn tile(&self, tile: &TileCoord) -> Vec<u8> {
        let begin = tile.index() as usize * usize::from(TILE_WIDTH);
        let hashes = &self.above[usize::from(tile.level()) - 1][begin..];
        let hashes = hashes.iter().take(usize::from(tile.width()));
        hashes.flat_map(|hash| *hash.as_bytes()).collect()
    }

    /// What an auditor would pin.
    pub fn trust(&self) -> Result<TrustFile, Box<dyn Error>> {
        let origin = Origin::parse("ledger.example/test").expect("an origin");
        let name = origin.key_name().clone();
        let operator = VerifierKey::of_signer(name, KeyKind::Ed25519, &operator());
        let policy = Policy::parse(b"quorum none\n")?;
        Ok(TrustFile::new(origin, self.genesis, operator, policy)?)
    }

    /// Removes the files that bundles were made of.
    pub fn finish(self) -> io::Result<Facts> {
        fs::remove_file(self.folder.join("entries"))?;
        fs::remove_file(self.folder.join("leaves"))?;
        Ok(self.facts)
    }
}

fn operator() -> SigningKey {
    SigningKey::from_bytes(secret("operator").seed())
}
