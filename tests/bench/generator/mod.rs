//! Made-up ledgers of any size, the same for the same parameters.
//!
//! The generator streams: it authors some thousand events, signs them on all cores, puts them into
//! the log, and forgets them. What it remembers is bounded by the consignments that are open at a
//! time and the parties, whatever the number of entries; only seals need a row for each subject that
//! ever was, and can be left out. A folder then holds:
//!
//! | file | content |
//! |---|---|
//! | `bundle.zip` | the log with so many entries |
//! | `later.zip` | the same log when one in a hundred more had come |
//! | `trust` | what an auditor pins |
//! | `gifts` | the ids of some gifts, evenly spread, one a line |
//! | `generated.json` | the parameters, and counts; written last |

mod author;
mod chain;
mod vocabulary;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use giftproof::model::date::UnixMs;
use giftproof::model::entry::{Entry, SignedEvent};
use giftproof::model::event::{Kind, Rules};
use giftproof::model::hash::{LeafHash, SubjectHash};
use giftproof::model::ident::GiftId;
use giftproof::model::key::SecretKey;
use giftproof::model::subject::{HashedSubject, Subject};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::util::{START_MS, World, rules};
use author::{Author, Planned};
use chain::Chain;
use vocabulary::Vocabulary;

/// So many events are authored, signed and added at a time.
const CHUNK: u64 = 4096;

/// Ids of so many gifts are written down.
const GIFTS_NOTED: u64 = 1000;

/// What a ledger is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// How many entries `bundle.zip` has.
    pub entries: u64,
    /// How many gifts begin in them.
    pub gifts: u64,
    /// How many parties there are; each has a key.
    pub parties: u64,
    pub seed: u64,
    /// Whether the operator seals.
    pub seals: bool,
}

impl Parameters {
    /// The most consignments that are on their way at a time.
    pub fn open_max(&self) -> u64 {
        (self.gifts / 10).clamp(8, 20_000)
    }

    /// How many entries `later.zip` has.
    pub fn entries_later(&self) -> u64 {
        self.entries + self.entries / 100
    }

    /// As the rules of the ledger say; 0 without seals.
    pub fn seal_entries(&self) -> u32 {
        match self.seals {
            true => u32::try_from((self.entries / 16).clamp(256, 65_536)).expect("it is clamped"),
            false => 0,
        }
    }

    /// Entry 0.
    pub fn genesis(&self) -> Entry {
        let rules = Rules { seal_entries: self.seal_entries(), ..rules() };
        World::under(rules).log.entries.remove(0)
    }

    /// When the entry at an index is recorded: one a second.
    pub fn recorded_at(&self, index: u64) -> UnixMs {
        UnixMs(START_MS + 1000 * index)
    }
}

/// A ledger that was made, as `generated.json` tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    pub parameters: Parameters,
    /// The bytes of all entries of `bundle.zip`, without what holds them.
    pub entry_bytes: u64,
    /// The signatures of all events of `bundle.zip`.
    pub signatures: u64,
    /// How many entries of `bundle.zip` are of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// The entries before the first that is about a gift.
    pub preamble: u64,
    /// The most subjects that had to be remembered at a time.
    pub subjects_at_most: u64,
}

impl Generated {
    /// What is in a folder; none if no ledger was made there, or not to its end.
    pub fn in_folder(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join("generated.json")).ok()?).ok()
    }
}

/// Makes a ledger, unless the folder holds the same one already.
pub fn generate(folder: &Path, parameters: Parameters) -> Result<Generated, Box<dyn Error>> {
    if let Some(made) = Generated::in_folder(folder).filter(|made| made.parameters == parameters) {
        return Ok(made);
    }
    fs::create_dir_all(folder)?;
    // Another ledger's counts must not outlive its files.
    let _ = fs::remove_file(folder.join("generated.json"));
    let genesis = parameters.genesis();
    let mut author = Author::new(parameters, genesis.leaf(), Vocabulary::read()?);
    let preamble = 1 + author.enrolments();
    if preamble >= parameters.entries || parameters.gifts == 0 {
        let least = format!("more than {preamble} entries for so many parties, and a gift");
        return Err(format!("a ledger needs {least}").into());
    }
    let mut chain = Chain::begin(folder, &genesis, parameters.seals)?;
    let mut gifts = Gifts { step: parameters.gifts.div_ceil(GIFTS_NOTED), ..Gifts::default() };
    let mut sealing = Sealing { every: parameters.seal_entries().into(), sealed: 0 };
    extend(&mut chain, &mut author, &mut sealing, &mut gifts, parameters.entries)?;
    let (cut, facts) = (chain.cut(), chain.facts.clone());
    extend(
        &mut chain,
        &mut author,
        &mut sealing,
        &mut Gifts::default(),
        parameters.entries_later(),
    )?;
    let later = chain.cut();
    chain.write_bundle(&cut, "bundle.zip")?;
    chain.write_bundle(&later, "later.zip")?;
    fs::write(folder.join("trust"), chain.trust()?.to_string())?;
    fs::write(folder.join("gifts"), gifts.noted)?;
    chain.finish()?;
    let word = |(kind, count): (&u16, &u64)| {
        let kind = Kind::from_number(*kind).expect("generated events are of known kinds");
        (kind.word().to_owned(), *count)
    };
    let generated = Generated {
        parameters,
        entry_bytes: facts.entry_bytes,
        signatures: facts.signatures,
        kinds: facts.kinds.iter().map(word).collect(),
        preamble,
        subjects_at_most: facts.subjects_at_most,
    };
    fs::write(folder.join("generated.json"), serde_json::to_vec_pretty(&generated)?)?;
    Ok(generated)
}

/// When seals are due: after so many entries; 0 for never.
struct Sealing {
    every: u64,
    /// So many entries are sealed, the newest seal included.
    sealed: u64,
}

/// Some of the gifts, by their ids.
#[derive(Default)]
struct Gifts {
    step: u64,
    count: u64,
    noted: String,
}

impl Gifts {
    fn note(&mut self, gift: GiftId) {
        if self.step > 0 && self.count.is_multiple_of(self.step) {
            self.noted += &format!("{gift}\n");
        }
        self.count += 1;
    }
}

/// What stands at one place of the log.
enum Item {
    Event(Box<Planned>),
    Seal,
}

/// Goes on to so many entries.
fn extend(
    chain: &mut Chain,
    author: &mut Author,
    sealing: &mut Sealing,
    gifts: &mut Gifts,
    size: u64,
) -> Result<(), Box<dyn Error>> {
    let parameters = author.parameters();
    let genesis = author.genesis();
    while chain.size() < size {
        let begin = chain.size();
        let mut items = Vec::new();
        for index in begin..size.min(begin + CHUNK) {
            let due = sealing.every > 0 && index - sealing.sealed >= sealing.every;
            items.push(if due {
                sealing.sealed = index + 1;
                Item::Seal
            } else {
                Item::Event(Box::new(author.next(index, parameters.recorded_at(index))))
            });
        }
        let signed: Vec<Option<Signed>> = items
            .into_par_iter()
            .map(|item| match item {
                Item::Event(planned) => Some(sign(*planned, &genesis, &author.keys)),
                Item::Seal => None,
            })
            .collect();
        for (index, signed) in (begin..).zip(signed) {
            let recorded_at = parameters.recorded_at(index);
            let Some(Signed { event, subjects, gift, closed }) = signed else {
                chain.seal(recorded_at)?;
                continue;
            };
            chain.add(event, &subjects, recorded_at)?;
            chain.forget(&closed);
            gift.into_iter().for_each(|gift| gifts.note(gift));
        }
    }
    Ok(())
}

struct Signed {
    event: SignedEvent,
    subjects: Vec<HashedSubject>,
    gift: Option<GiftId>,
    closed: Vec<SubjectHash>,
}

fn sign(planned: Planned, genesis: &LeafHash, keys: &[SecretKey]) -> Signed {
    let Planned { draft, keys: signers, gift, closed } = planned;
    let signers: Vec<&SecretKey> = signers.into_iter().map(|key| &keys[key]).collect();
    let signed = draft.sign(genesis, &signers).expect("every signer's key is at hand");
    let event = signed.open(genesis).expect("what was just encoded is an event");
    // A correction here touches what its target does: it changes no goods.
    let subjects = Subject::hashed(&event.subjects(None));
    Signed { event: event.signed, subjects, gift, closed }
}
