//! One vector: a log in files, and what an audit of it must find.

use std::collections::BTreeMap;

use giftproof::bundle::{BundleLayout, BundleWriter, LogFile};
use giftproof::model::hash::{EventHash, NodeHash, leaf_hash};
use giftproof::model::ident::GiftId;
use giftproof::model::merkle::TreeBuilder;
use giftproof::model::tile::push_entry;
use serde_json::{Map, Value, json};

use super::scribe::Scribe;

/// Where something is found: an entry, or a file.
#[derive(Clone, Debug, PartialEq)]
pub enum At {
    Entry(usize),
    File(&'static str),
}

/// A vector that is being put together.
pub struct Case {
    pub name: &'static str,
    pub expect: &'static str,
    at: Option<At>,
    detail: Option<&'static str>,
    spec: &'static str,
    what: &'static str,
    also: Vec<(&'static str, At)>,
    gifts: Map<String, Value>,
    entries: Vec<Vec<u8>>,
    checkpoint: String,
    trust: String,
    files: BTreeMap<String, Option<Vec<u8>>>,
    zip: Option<Vec<u8>>,
}

impl Case {
    fn new(name: &'static str, expect: &'static str, log: &Scribe) -> Self {
        Self {
            name,
            expect,
            at: None,
            detail: None,
            spec: "",
            what: "",
            also: Vec::new(),
            gifts: Map::new(),
            entries: log.entries.clone(),
            checkpoint: log.checkpoint().to_string(),
            trust: log.trust().to_string(),
            files: BTreeMap::new(),
            zip: None,
        }
    }

    /// A log without fault.
    pub fn ok(name: &'static str, log: &Scribe) -> Self {
        Self::new(name, "ok", log)
    }

    /// A log of which an entry is not understood.
    pub fn not_understood(name: &'static str, log: &Scribe, at: usize) -> Self {
        Self { at: Some(At::Entry(at)), ..Self::new(name, "not-understood", log) }
    }

    /// A log with a wrong entry.
    pub fn entry(name: &'static str, code: &'static str, at: usize, log: &Scribe) -> Self {
        Self { at: Some(At::Entry(at)), ..Self::new(name, code, log) }
    }

    /// A log whose last entry is wrong.
    pub fn last(name: &'static str, code: &'static str, log: &Scribe) -> Self {
        Self::entry(name, code, log.entries.len() - 1, log)
    }

    /// A log with a wrong file.
    pub fn wrong_file(
        name: &'static str,
        code: &'static str,
        at: &'static str,
        log: &Scribe,
    ) -> Self {
        Self { at: Some(At::File(at)), ..Self::new(name, code, log) }
    }

    /// The section, and one sentence.
    pub fn about(self, spec: &'static str, what: &'static str) -> Self {
        Self { spec, what, ..self }
    }

    pub fn detail(self, detail: &'static str) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// A further failure.
    pub fn also(mut self, code: &'static str, at: At) -> Self {
        self.also.push((code, at));
        self
    }

    /// What becomes of a gift: headline, and where it is.
    pub fn gift(mut self, gift: EventHash, headline: &str, places: &[(&str, u64)]) -> Self {
        let places: Map<String, Value> =
            places.iter().map(|(place, quantity)| ((*place).to_owned(), json!(quantity))).collect();
        let id = GiftId::from(&gift).to_string();
        self.gifts.insert(id, json!({ "headline": headline, "where": places }));
        self
    }

    pub fn checkpoint(self, note: impl ToString) -> Self {
        Self { checkpoint: note.to_string(), ..self }
    }

    pub fn trust(self, trust: impl ToString) -> Self {
        Self { trust: trust.to_string(), ..self }
    }

    /// Another file in the place of the one that follows; none: it is missing.
    pub fn file(mut self, path: &str, bytes: Option<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), bytes);
        self
    }

    pub fn entries(self, entries: Vec<Vec<u8>>) -> Self {
        Self { entries, ..self }
    }

    pub fn zip(self, zip: Vec<u8>) -> Self {
        Self { zip: Some(zip), ..self }
    }

    pub fn to_json(&self) -> Value {
        let at = |at: &At| match at {
            At::Entry(index) => json!(index),
            At::File(path) => json!(path),
        };
        let mut json = Map::new();
        let mut put = |name: &str, value: Value| {
            json.insert(name.to_owned(), value);
        };
        put("expect", json!(self.expect));
        if let Some(place) = &self.at {
            put("at", at(place));
        }
        if let Some(detail) = self.detail {
            put("detail", json!(detail));
        }
        put("spec", json!(self.spec));
        put("what", json!(self.what));
        if !self.also.is_empty() {
            let also = |(code, place): &(&str, At)| json!({ "code": code, "at": at(place) });
            put("also", self.also.iter().map(also).collect());
        }
        if !self.gifts.is_empty() {
            put("gifts", json!(self.gifts));
        }
        put("trust", json!(self.trust));
        match &self.zip {
            Some(zip) => put("zip", json!(hex::encode(zip))),
            None => {
                put("checkpoint", json!(self.checkpoint));
                put("entries", self.entries.iter().map(hex::encode).collect());
            }
        }
        if !self.files.is_empty() {
            let hex = |bytes: &Option<Vec<u8>>| json!(bytes.as_ref().map(hex::encode));
            let files = self.files.iter().map(|(path, bytes)| (path.clone(), hex(bytes)));
            put("files", files.collect::<Map<_, _>>().into());
        }
        json.into()
    }
}

/// The files that follow from the entries, by path; without checkpoint and trust copy.
pub fn files_of(entries: &[Vec<u8>]) -> BTreeMap<String, Vec<u8>> {
    let mut tree = TreeBuilder::new();
    let mut tiles = Vec::new();
    for entry in entries {
        tiles.extend(tree.append(leaf_hash(entry)));
    }
    tiles.extend(tree.partial_tiles());
    let tile_bytes = |hashes: &[NodeHash]| -> Vec<u8> {
        hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    };
    let mut files = BTreeMap::new();
    for file in BundleLayout::of_size(entries.len() as u64).files() {
        let bytes = match file {
            LogFile::Tile(coord) => {
                let same = |tile: &&giftproof::model::merkle::TileHashes| {
                    tile.level == coord.level() && tile.index == coord.index()
                };
                tile_bytes(&tiles.iter().find(same).unwrap().hashes)
            }
            LogFile::Entries(coord) => {
                let first = usize::try_from(coord.index()).unwrap() * 256;
                let mut bytes = Vec::new();
                for entry in entries.iter().skip(first).take(usize::from(coord.width())) {
                    push_entry(&mut bytes, entry).unwrap();
                }
                bytes
            }
            LogFile::Checkpoint | LogFile::TrustCopy => continue,
        };
        files.insert(file.to_string(), bytes);
    }
    files
}

/// The log as a bundle.
pub fn zip_of(log: &Scribe) -> Vec<u8> {
    let files = files_of(&log.entries);
    let size = log.entries.len() as u64;
    let mut writer = BundleWriter::new(Vec::new(), size);
    for file in BundleLayout::of_size(size).files() {
        let bytes = match file {
            LogFile::Checkpoint => log.checkpoint().to_string().into_bytes(),
            LogFile::TrustCopy => log.trust().to_string().into_bytes(),
            file => files[&file.to_string()].clone(),
        };
        writer = writer.put(file, &bytes).unwrap();
    }
    writer.finish().unwrap()
}
