//! Proof files in a large log: how many bytes, how long to make and to check.
//!
//! `cargo bench --bench measure -- proof --entries 10000000 --gifts 2000000`
//!
//! The log is simulated: the tree, the tables of the seal and the gift's own entries are real, with
//! real signatures; all other entries are leaf hashes, each of which touches a gift, and every
//! fourth a shipment too. The gift has five events by four parties, spread over the whole log; three
//! witnesses have cosigned. Prints one JSON line a measurement.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::Instant;

use ed25519_dalek::SigningKey;
use giftproof::model::checkpoint::{Checkpoint, Origin};
use giftproof::model::date::UnixMs;
use giftproof::model::draft::Draft;
use giftproof::model::encoding::List;
use giftproof::model::entry::{Entry, Header, NO_LEAF};
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, LeafHash, NodeHash, leaf_hash};
use giftproof::model::ident::{EntryIndex, ShipmentId};
use giftproof::model::merkle::{TileNodes, TreeBuilder, consistency_proof, shown_proof};
use giftproof::model::note::{CosignatureTime, KeyKind, KeyName, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::proof_file::{About, Maker, ProofFile, ProofSource};
use giftproof::model::state::{History, Recorded, State};
use giftproof::model::subject::{HashedSubject, Subject};
use giftproof::model::trust::TrustFile;
use serde_json::json;

use crate::measurement::{Result, peak_bytes, print, round};
use crate::util::*;

const ORIGIN: &str = "ledger.example/test";
const WITNESSES: [&str; 3] =
    ["witness.one.example", "witness.two.example", "witness.three.example"];
const RUNS: usize = 31;

/// A log of which a few entries are real.
struct Simulated {
    state: State,
    tree: TreeBuilder,
    /// Full tiles, by level and index.
    tiles: Tiles,
    entries: BTreeMap<EntryIndex, Vec<u8>>,
    gifts: u64,
}

/// A millisecond for each entry, after those of the cast.
fn recorded_at(index: EntryIndex) -> UnixMs {
    UnixMs(START_MS + 60_000 + index)
}

/// No entry here looks back.
struct Nothing;

impl History for Nothing {
    fn event(&self, _: EntryIndex) -> Option<Recorded> {
        None
    }

    fn leaf(&self, _: EntryIndex) -> Option<LeafHash> {
        None
    }
}

impl Simulated {
    fn begin(world: &World, gifts: u64) -> Self {
        let mut log = Self {
            state: world.state.clone(),
            tree: TreeBuilder::new(),
            tiles: HashMap::new(),
            entries: BTreeMap::new(),
            gifts,
        };
        for entry in &world.log.entries {
            log.put(entry.leaf());
            log.entries.insert(entry.header.index, entry.to_bytes());
        }
        log
    }

    fn put(&mut self, leaf: LeafHash) {
        for tile in self.tree.append(leaf) {
            self.tiles.insert((tile.level, tile.index), tile.hashes);
        }
    }

    /// Other people's entries, up to an index.
    fn fill(&mut self, until: EntryIndex) {
        while self.state.size < until {
            let index = self.state.size;
            let leaf = leaf_hash(&index.to_be_bytes());
            let gift = leaf_hash(&(index % self.gifts).to_be_bytes());
            let mut subjects = vec![Subject::Gift(EventHash::from_bytes(*gift.as_bytes()))];
            if index.is_multiple_of(4) {
                let number = text(&format!("S-{}", index / 4));
                subjects.push(Subject::Shipment(ShipmentId { giver: handle("red-cross"), number }));
            }
            let subjects: Vec<HashedSubject> = subjects.iter().map(Into::into).collect();
            self.state.advance_by_hash(index, recorded_at(index), leaf, &subjects);
            self.put(leaf);
        }
    }

    fn record(&mut self, draft: Draft) -> EventHash {
        let signed = sign(&draft, &self.state.genesis);
        let event = signed.clone().open(&self.state.genesis).unwrap();
        let hash = event.hash;
        let index = self.state.size;
        let recorded_at = recorded_at(index);
        let recorded = Recorded { index, recorded_at, event };
        let subjects = self.state.subjects(&recorded.event, &Nothing);
        let links = self.state.links(&subjects).unwrap();
        let header = Header { index, previous: self.state.last_leaf, recorded_at, links };
        let entry = Entry { header, event: signed };
        self.state.apply(&recorded, &Nothing).unwrap();
        self.state.advance(&recorded, entry.leaf(), &subjects);
        self.put(entry.leaf());
        self.entries.insert(index, entry.to_bytes());
        hash
    }
}

/// Tiles by level and index.
type Tiles = HashMap<(u8, u64), Vec<NodeHash>>;

impl Simulated {
    fn partial_tiles(&self) -> Tiles {
        self.tree.partial_tiles().map(|tile| ((tile.level, tile.index), tile.hashes)).collect()
    }

    fn tile<'a>(
        &'a self,
        partial: &'a Tiles,
        level: u8,
        index: u64,
    ) -> Result<&'a Vec<NodeHash>, String> {
        let tile = self.tiles.get(&(level, index)).or_else(|| partial.get(&(level, index)));
        tile.ok_or(format!("no tile {level}/{index}"))
    }
}

impl ProofSource for Simulated {
    type Error = String;

    fn entry(&self, index: EntryIndex) -> Result<Vec<u8>, String> {
        self.entries.get(&index).cloned().ok_or(format!("entry {index} is a leaf hash only"))
    }

    fn shown(&self, indexes: &[EntryIndex], size: u64) -> Result<Vec<NodeHash>, String> {
        let partial = self.partial_tiles();
        let nodes = TileNodes::new(|level, index| self.tile(&partial, level, index));
        shown_proof(indexes, size, &nodes).map_err(|error| error.to_string())
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<NodeHash>, String> {
        let partial = self.partial_tiles();
        let nodes = TileNodes::new(|level, index| self.tile(&partial, level, index));
        consistency_proof(old_size, new_size, &nodes).map_err(|error| error.to_string())
    }
}

/// A log of so many entries about so many gifts.
pub fn run(size: u64, gifts: u64) -> Result<()> {
    let world = World::new();
    let mut log = Simulated::begin(&world, gifts);
    let step = size / 6;
    let draft = |statement: Statement, who: &[(Capacity, &str)]| world.draft(statement, who);

    log.fill(step);
    let mut donation = recorded("red-cross", vec![line(1, "N95 mask", 500, "piece", &[])]);
    donation.donor = Donor {
        kind: DonorKind::Enrolled,
        party: Some(handle("factory")),
        key: None,
        name: text(""),
    };
    let who = [(Capacity::Donor, "factory"), (Capacity::Taker, "red-cross")];
    let gift = log.record(draft(donation.into(), &who));
    log.fill(2 * step);
    let assignment =
        Assignment { goods: goods(gift, 1, None), recipient: handle("hospital-a"), quantity: 500 };
    let designation = Designation {
        holder: handle("red-cross"),
        order: None,
        decided_by: text("red-cross"),
        decision: text(""),
        consent: Consent::NotNeeded,
        assignments: List::new(vec![assignment]).unwrap(),
    };
    log.record(draft(designation.into(), &[(Capacity::Holder, "red-cross")]));
    log.fill(3 * step);
    let meant = Some("hospital-a");
    let id = shipment("red-cross", "S-1/2026");
    let mut sent =
        dispatch(id.clone(), "hospital-a", Purpose::Issue, portions(&[(gift, 1, meant, 500)]));
    sent.carrier = Some(handle("carrier"));
    let who = [(Capacity::Holder, "red-cross"), (Capacity::Carrier, "carrier")];
    log.record(draft(sent.into(), &who));
    log.fill(4 * step);
    let arrived = receipt(id, true, vec![arrival(goods(gift, 1, meant), [500, 0, 0, 0, 0])]);
    log.record(draft(arrived.into(), &[(Capacity::Taker, "hospital-a")]));
    log.fill(5 * step);
    let portions = portions(&[(gift, 1, meant, 300)]);
    let used = Use { ward: text("ward 3"), purpose: text("intensive care"), portions };
    log.record(draft(used.into(), &[(Capacity::Holder, "hospital-a")]));
    log.fill(size - 1);
    let began = Instant::now();
    let sealed = log.state.seal_statement();
    let seal_ms = began.elapsed().as_secs_f64() * 1e3;
    log.record(draft(sealed.into(), &[(Capacity::Operator, "operator")]));
    print(json!({ "what": "first seal of all rows", "entries": size, "ms": round(seal_ms, 2) }));
    measure(&log, gift, size);
    Ok(())
}

fn measure(log: &Simulated, gift: EventHash, size: u64) {
    let key = |name: &str| SigningKey::from_bytes(secret(name).seed());
    let origin = Origin::parse(ORIGIN).unwrap();
    let checkpoint = Checkpoint { origin: origin.clone(), size, root: log.tree.root() };
    let mut checkpoint = checkpoint.sign(&key("operator"));
    let mut policy = String::new();
    for (number, witness) in WITNESSES.iter().enumerate() {
        let name = KeyName::parse(witness).unwrap();
        let time = CosignatureTime::new(1_800_000_000).unwrap();
        checkpoint = checkpoint.cosign(time, &name, &key(witness)).unwrap();
        let vkey = VerifierKey::of_signer(name, KeyKind::Cosignature, &key(witness));
        policy += &format!("witness w{number} {vkey}\n");
    }
    policy += "group g 2 w0 w1 w2\nquorum g\n";
    let operator =
        VerifierKey::of_signer(origin.key_name().clone(), KeyKind::Ed25519, &key("operator"));
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let trust = TrustFile::new(origin, log.state.genesis, operator, policy).unwrap();

    let make = || {
        let maker = Maker {
            state: &log.state,
            source: log,
            checkpoint: &checkpoint,
            sealed: true,
            statements: &[],
        };
        maker.make(About::Gift(gift)).unwrap()
    };
    let bytes = make().to_bytes();
    let verify = || ProofFile::parse(&bytes).unwrap().check(&trust).unwrap();
    assert_eq!(verify().cosigned.len(), WITNESSES.len());
    assert_ne!(log.entries[&0].len(), 0);
    assert_ne!(log.state.genesis, NO_LEAF);
    let median = |run: &dyn Fn()| {
        let mut times: Vec<f64> = (0..RUNS)
            .map(|_| {
                let began = Instant::now();
                run();
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[RUNS / 2]
    };
    let prove_ms = median(&|| drop(black_box(make())));
    let verify_ms = median(&|| drop(black_box(verify())));
    let proof = make();
    print(json!({
        "what": "proof of a gift: five events, four parties, three cosignatures",
        "entries": size,
        "gifts": log.gifts,
        "bytes": bytes.len(),
        "entry_bytes": proof.entries.iter().map(Vec::len).sum::<usize>(),
        "tree_hashes": proof.tree.len(),
        "table_bytes": proof.tables.iter().map(Vec::len).collect::<Vec<_>>(),
        "prove_ms": round(prove_ms, 3),
        "verify_ms": round(verify_ms, 3),
        "peak_bytes": peak_bytes(),
    }));
}
