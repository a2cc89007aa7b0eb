//! Act 3: the bundle as it is, and as a dishonest operator would have it.
//!
//! The operator has its own key: every changed log but the first is chained anew to its end, with
//! links, tiles and checkpoint that fit. What it does not have is anybody else's key.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;

use crate::bundle::{BundleLayout, BundleReader, BundleWriter, LogFile, LogSource, OpenedBundle};
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::date::UnixMs;
use crate::model::draft::Draft;
use crate::model::encoding::{List, Malformed};
use crate::model::entry::{Entry, Header, Link, Links, NO_LEAF, Place, SignedEvent};
use crate::model::event::*;
use crate::model::hash::{LeafHash, SubjectHash, leaf_hash};
use crate::model::ident::EntryIndex;
use crate::model::merkle::TreeBuilder;
use crate::model::subject::{HashedSubject, Subject};
use crate::model::tile::{EntryBundle, TileLayout, push_entry};
use crate::model::trust::TrustFile;
use crate::verify::{Options, Report, audit};

use super::stage::OPERATOR;
use super::{DemoError, Places, Seed};

/// An audit of a bundle.
#[derive(Debug)]
pub struct Audited {
    /// The word by which the texts know it; `honest` for the bundle as it is.
    pub word: &'static str,
    /// The file.
    pub bundle: PathBuf,
    /// The entry that was changed, dropped or added.
    pub changed: Option<EntryIndex>,
    /// What the audit found.
    pub report: Report,
}

/// The log as the operator has it.
struct Log {
    checkpoint: SignedCheckpoint,
    trust_copy: Vec<u8>,
    entries: Vec<Entry>,
}

/// Writes the changed copies, and audits all.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn play(places: &Places, trust: &TrustFile, seed: &Seed) -> Result<Vec<Audited>, DemoError> {
    std::fs::create_dir_all(&places.cheats)?;
    let honest = open(&places.bundle)?;
    let log = Log::read(&honest)?;
    let operator = seed.secret(OPERATOR);
    let operator = SigningKey::from_bytes(operator.seed());
    let mut audited = vec![audited("honest", places.bundle.clone(), None, trust)?];
    type Cheat = fn(&mut Log, &Seed) -> Result<EntryIndex, DemoError>;
    let cheats: [(&'static str, Cheat); 3] =
        [("quantity", swap_quantity), ("dropped", drop_dispute), ("forged", forge_receipt)];
    let path = places.cheats.join("byte.zip");
    let changed = change_byte(&honest, &log, &path)?;
    audited.push(self::audited("byte", path, Some(changed), trust)?);
    for (word, cheat) in cheats {
        let mut log = log.clone_entries();
        let changed = cheat(&mut log, seed)?;
        let path = places.cheats.join(format!("{word}.zip"));
        log.write(&path, &operator)?;
        audited.push(self::audited(word, path, Some(changed), trust)?);
    }
    Ok(audited)
}

fn open(path: &Path) -> Result<BundleReader, DemoError> {
    let opened = OpenedBundle::open(path)?;
    let checkpoint = SignedCheckpoint::parse(opened.checkpoint());
    let size = checkpoint.map_err(|error| Malformed::new(error.code()))?.checkpoint().size;
    Ok(opened.with_size(size)?)
}

fn audited(
    word: &'static str,
    bundle: PathBuf,
    changed: Option<EntryIndex>,
    trust: &TrustFile,
) -> Result<Audited, DemoError> {
    let report = audit(&open(&bundle)?, Some(trust), &Options::default())?;
    Ok(Audited { word, bundle, changed, report })
}

/// One byte of one entry is another; the rest, and the container's checksums, fit.
fn change_byte(honest: &BundleReader, log: &Log, path: &Path) -> Result<EntryIndex, DemoError> {
    let size = log.checkpoint.checkpoint().size;
    let target = log.find(|statement| matches!(statement, Statement::Receipt(_)))?;
    let mut out = BundleWriter::new(File::create(path)?, size);
    for file in BundleLayout::of_size(size).files() {
        let mut bytes = log.file(honest, file)?;
        if let LogFile::Entries(bundle) = file
            && bundle.index() == target / TILE
        {
            let entries = EntryBundle::parse(&bytes, &bundle);
            let entries = entries.map_err(|_| Malformed::new("bundle/mismatch"))?;
            let before = usize::try_from(target % TILE).expect("below 256");
            // Each entry has its length in two bytes before it; the middle is in its body.
            let start: usize = entries.entries().take(before).map(|entry| entry.len() + 2).sum();
            let len = log.entries[usize::try_from(target).expect("in memory")].to_bytes().len();
            bytes[start + 2 + len / 2] ^= 1;
        }
        out = out.put(file, &bytes)?;
    }
    out.finish()?;
    Ok(target)
}

/// Entries of a bundle (C2SP tlog-tiles).
const TILE: u64 = 256;

/// What the hospital signed as 950 accepted and 20 damaged becomes all of 1,000.
fn swap_quantity(log: &mut Log, _: &Seed) -> Result<EntryIndex, DemoError> {
    let short = |arrival: &Arrival| arrival.damaged > 0;
    let index = log.find(|statement| match statement {
        Statement::Receipt(receipt) => receipt.arrivals.iter().any(short),
        _ => false,
    })?;
    let event = &mut log.entry_mut(index).event;
    let (head, statement) = event.frame.open()?;
    let Some(Statement::Receipt(mut receipt)) = statement else {
        unreachable!("the entry was found by its statement")
    };
    let whole = |arrival: &Arrival| Arrival { accepted: 1_000, damaged: 0, ..arrival.clone() };
    receipt.arrivals = List::new(receipt.arrivals.iter().map(whole).collect())?;
    event.frame = Frame::new(&head, &receipt.into())?;
    log.drop_seal();
    Ok(index)
}

/// The hospital's objection is left out; everything after it moves up.
fn drop_dispute(log: &mut Log, _: &Seed) -> Result<EntryIndex, DemoError> {
    let index = log.find(|statement| matches!(statement, Statement::Dispute(_)))?;
    log.entries.remove(usize::try_from(index).expect("in memory"));
    log.drop_seal();
    Ok(index)
}

/// A receipt for what is on its way, in the recipient's name, with a key that nobody vouched for.
fn forge_receipt(log: &mut Log, seed: &Seed) -> Result<EntryIndex, DemoError> {
    let unsigned = |statement: &Statement| match statement {
        Statement::Dispatch(dispatch) => dispatch.shipment.number.as_str() == "OVERDUE",
        _ => false,
    };
    let index = log.find(unsigned)?;
    let Some(Statement::Dispatch(dispatch)) = log.entry_mut(index).event.frame.open()?.1 else {
        unreachable!("the entry was found by its statement")
    };
    let receipt = Receipt {
        shipment: Some(dispatch.shipment),
        giver: None,
        purpose: None,
        closing: true,
        package_count: None,
        temperature: crate::model::text::Text::default(),
        arrivals: List::new(super::moves::all_accepted(&dispatch.portions))?,
    };
    let signed_at = log.recorded_at();
    let forger = seed.secret("forger");
    let draft = Draft::new(receipt, signed_at, [0xf0; 16]).signer(
        Capacity::Taker,
        Some(&dispatch.taker),
        forger.public().into(),
    );
    let event = draft.sign(&log.genesis(), &[&forger])?;
    let header = Header {
        index: log.size(),
        previous: NO_LEAF,
        recorded_at: signed_at,
        links: log.links_of(&event)?,
    };
    log.entries.push(Entry { header, event });
    Ok(log.size() - 1)
}

impl Log {
    fn read(source: &BundleReader) -> Result<Self, DemoError> {
        let checkpoint = SignedCheckpoint::parse(&source.checkpoint()?)
            .map_err(|error| Malformed::new(error.code()))?;
        let mut entries = Vec::new();
        for coord in TileLayout::of_size(checkpoint.checkpoint().size).bundles() {
            let bytes = source.entries(&coord)?;
            let bundle = EntryBundle::parse(&bytes, &coord);
            let bundle = bundle.map_err(|_| Malformed::new("bundle/mismatch"))?;
            for entry in bundle.entries() {
                entries.push(Entry::from_bytes(entry)?);
            }
        }
        let trust_copy = source.trust_copy()?.bytes().map(<[u8]>::to_vec).unwrap_or_default();
        Ok(Self { checkpoint, trust_copy, entries })
    }

    fn clone_entries(&self) -> Self {
        Self {
            checkpoint: self.checkpoint.clone(),
            trust_copy: self.trust_copy.clone(),
            entries: self.entries.clone(),
        }
    }

    fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    fn genesis(&self) -> LeafHash {
        self.entries[0].leaf()
    }

    fn recorded_at(&self) -> UnixMs {
        self.entries.last().expect("a log has an entry 0").header.recorded_at
    }

    fn entry_mut(&mut self, index: EntryIndex) -> &mut Entry {
        &mut self.entries[usize::try_from(index).expect("in memory")]
    }

    /// The first entry with such a statement.
    fn find(&self, wanted: impl Fn(&Statement) -> bool) -> Result<EntryIndex, DemoError> {
        for entry in &self.entries {
            if entry.event.frame.open()?.1.as_ref().is_some_and(&wanted) {
                return Ok(entry.header.index);
            }
        }
        unreachable!("the acts before have made such an entry")
    }

    /// Leaves out the seal at the end, which would not fit a changed entry before it. The rules of
    /// this ledger ask for none, so nobody misses it.
    fn drop_seal(&mut self) {
        self.entries.pop();
    }

    /// The subjects of a new event, as links that are still to be numbered.
    fn links_of(&self, event: &SignedEvent) -> Result<Links, DemoError> {
        let open = event.clone().open(&self.genesis())?;
        let subjects = Subject::hashed(&open.subjects(None));
        let link =
            |subject: &HashedSubject| Link { subject: subject.hash, number: 1, previous: None };
        Ok(List::new(subjects.iter().map(link).collect())?)
    }

    /// Index, previous leaf hash and links of every entry, as they must be now.
    fn chain(&mut self) -> Result<Vec<Vec<u8>>, DemoError> {
        let mut places: HashMap<SubjectHash, (u32, Place)> = HashMap::new();
        let mut previous = NO_LEAF;
        let mut chained = Vec::with_capacity(self.entries.len());
        for (index, entry) in (0..).zip(&mut self.entries) {
            let link = |link: &Link| {
                let before = places.get(&link.subject);
                let number = before.map_or(0, |(number, _)| *number) + 1;
                Link { subject: link.subject, number, previous: before.map(|(_, place)| *place) }
            };
            let links: Vec<Link> = entry.header.links.iter().map(link).collect();
            entry.header.index = index;
            entry.header.previous = previous;
            entry.header.links = List::new(links.clone())?;
            let bytes = entry.to_bytes();
            previous = leaf_hash(&bytes);
            for link in links {
                places.insert(link.subject, (link.number, Place { index, leaf: previous }));
            }
            chained.push(bytes);
        }
        Ok(chained)
    }

    fn file(&self, source: &BundleReader, file: LogFile) -> Result<Vec<u8>, DemoError> {
        Ok(match file {
            LogFile::Checkpoint => source.checkpoint()?,
            LogFile::TrustCopy => self.trust_copy.clone(),
            LogFile::Tile(tile) => source.tile(&tile)?,
            LogFile::Entries(bundle) => source.entries(&bundle)?,
        })
    }

    /// Chains everything anew, and signs a checkpoint over it.
    fn write(mut self, path: &Path, operator: &SigningKey) -> Result<(), DemoError> {
        let entries = self.chain()?;
        let size = self.size();
        let mut tree = TreeBuilder::new();
        let mut tiles = BTreeMap::new();
        let mut add = |tile: crate::model::merkle::TileHashes| {
            let hashes = tile.hashes.iter().flat_map(|hash| *hash.as_bytes());
            tiles.insert((tile.level, tile.index), hashes.collect::<Vec<u8>>());
        };
        for entry in &entries {
            tree.append(leaf_hash(entry)).into_iter().for_each(&mut add);
        }
        tree.partial_tiles().for_each(&mut add);
        let origin = self.checkpoint.checkpoint().origin.clone();
        let checkpoint = Checkpoint { origin, size, root: tree.root() }.sign(operator);
        let mut out = BundleWriter::new(File::create(path)?, size);
        for file in BundleLayout::of_size(size).files() {
            let bytes = match file {
                LogFile::Checkpoint => checkpoint.to_string().into_bytes(),
                LogFile::TrustCopy => self.trust_copy.clone(),
                LogFile::Tile(tile) => {
                    tiles.remove(&(tile.level(), tile.index())).expect("the tree has every tile")
                }
                LogFile::Entries(bundle) => {
                    let first = usize::try_from(bundle.index() * TILE).expect("in memory");
                    let mut bytes = Vec::new();
                    for entry in &entries[first..first + usize::from(bundle.width())] {
                        let pushed = push_entry(&mut bytes, entry);
                        pushed.map_err(|_| Malformed::new("entry/too-large"))?;
                    }
                    bytes
                }
            };
            out = out.put(file, &bytes)?;
        }
        out.finish()?;
        Ok(())
    }
}
