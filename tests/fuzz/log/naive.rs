//! An auditor of short logs, as simple as can be: one entry after the other, by the definitions,
//! until something is wrong. Only what an event does to the goods is the model's.

use std::collections::{BTreeMap, BTreeSet};

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signature, VerifyingKey};
use giftproof::bundle::{LogFile, LogSource};
use giftproof::model::entry::{Entry, NO_LEAF, Place};
use giftproof::model::event::Kind;
use giftproof::model::hash::{EventHash, LeafHash, SubjectHash};
use giftproof::model::state::{History, Recorded, State};
use giftproof::model::subject::Subject;
use giftproof::model::tile::TileLayout;
use sha2::{Digest, Sha256};

use crate::forge::{Files, ORIGIN, note_key};

type Hash = [u8; 32];

/// The state at the end of a clean log; none for any other.
pub fn audit(files: &Files, genesis: LeafHash) -> Option<State> {
    let (size, root) = checkpoint(&files.checkpoint)?;
    let entries = entries(files, size)?;
    let leaves: Vec<Hash> = entries.iter().map(|entry| hash(&[&[0], entry])).collect();
    let tile = files.tile(&TileLayout::of_size(size).tile(0, 0)?).ok()?;
    let holds =
        tree(&leaves) == root && tile == leaves.concat() && leaves[0] == *genesis.as_bytes();
    if holds { replay(&entries, genesis) } else { None }
}

/// Size and root of a checkpoint in the form that the operator's key signs, and with nobody else's
/// signature on it.
fn checkpoint(note: &[u8]) -> Option<(u64, Hash)> {
    let note = std::str::from_utf8(note).ok()?;
    let (text, signatures) = note.split_once("\n\n")?;
    let [origin, size, root] = text.split('\n').collect::<Vec<_>>().try_into().ok()?;
    let line = signatures.strip_prefix(&format!("\u{2014} {ORIGIN} "))?.strip_suffix('\n')?;
    let signature = BASE64_STANDARD.decode(line).ok()?;
    let (id, signature) = signature.split_first_chunk::<4>()?;
    let key = note_key("operator").verifying_key();
    let named = hash(&[ORIGIN.as_bytes(), b"\n\x01", key.as_bytes()]);
    let signature = Signature::from_slice(signature).ok()?;
    key.verify_strict(format!("{text}\n").as_bytes(), &signature).ok()?;
    let root = BASE64_STANDARD.decode(root).ok()?.try_into().ok()?;
    let holds = origin == ORIGIN && *id == named[..4];
    holds.then_some((size.parse().ok()?, root))
}

fn entries(files: &Files, size: u64) -> Option<Vec<Vec<u8>>> {
    let bundle = TileLayout::of_size(size).bundle(0).filter(|_| size < 256)?;
    let bytes = files.bytes(LogFile::Entries(bundle))?;
    let (mut rest, mut entries) = (&bytes[..], Vec::new());
    while let Some((len, after)) = rest.split_first_chunk() {
        let (entry, after) = after.split_at_checked(u16::from_be_bytes(*len).into())?;
        entries.push(entry.to_vec());
        rest = after;
    }
    (rest.is_empty() && entries.len() as u64 == size).then_some(entries)
}

fn hash(parts: &[&[u8]]) -> Hash {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// MTH of RFC 6962 section 2.1.
fn tree(leaves: &[Hash]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    hash(&[&[1], &tree(left), &tree(right)])
}

struct Past(Vec<(Recorded, LeafHash)>);

impl History for Past {
    fn event(&self, index: u64) -> Option<Recorded> {
        self.0.get(index as usize).map(|(recorded, _)| recorded.clone())
    }

    fn leaf(&self, index: u64) -> Option<LeafHash> {
        self.0.get(index as usize).map(|(_, leaf)| *leaf)
    }
}

fn replay(entries: &[Vec<u8>], genesis: LeafHash) -> Option<State> {
    let (mut past, mut state) = (Past(Vec::new()), None::<State>);
    let (mut previous, mut recorded_at) = (NO_LEAF, None);
    let mut seen: BTreeSet<EventHash> = BTreeSet::new();
    let mut places: BTreeMap<SubjectHash, (u32, Place)> = BTreeMap::new();
    for (bytes, index) in entries.iter().zip(0..) {
        let Entry { header, event } = Entry::from_bytes(bytes).ok()?;
        let leaf = LeafHash::from_bytes(hash(&[&[0], bytes]));
        let creates = event.frame.kind == Kind::LedgerCreated as u16;
        let in_its_place = header.index == index
            && header.previous == previous
            && Some(header.recorded_at) >= recorded_at
            && creates == (index == 0);
        let context = if index == 0 { NO_LEAF } else { genesis };
        let event = event.open(&context).ok()?;
        let message = event.signed.frame.signing_message(&context);
        let signed = event.head.signers.iter().zip(&event.signed.signatures);
        let signed = signed.map(|(signer, signature)| {
            let key = VerifyingKey::from_bytes(signer.key.as_bytes()).ok()?;
            key.verify_strict(&message, &Signature::from_bytes(signature)).ok()
        });
        signed.collect::<Option<()>>()?;
        event.statement.as_ref()?;
        if !in_its_place || !seen.insert(event.hash) {
            return None;
        }
        let recorded = Recorded { index, recorded_at: header.recorded_at, event };
        let subjects = match &state {
            Some(state) => state.subjects(&recorded.event, &past),
            None => recorded.event.subjects(None),
        };
        let hashes: Vec<_> = Subject::hashed(&subjects).iter().map(|s| s.hash).collect();
        let links: BTreeMap<_, _> =
            header.links.iter().map(|link| (link.subject, (link.number, link.previous))).collect();
        let due = hashes.iter().map(|subject| {
            let before = places.get(subject);
            (*subject, (before.map_or(1, |(number, _)| number + 1), before.map(|(_, at)| *at)))
        });
        if links != due.collect() {
            return None;
        }
        for (subject, (number, _)) in links {
            places.insert(subject, (number, Place { index, leaf }));
        }
        (previous, recorded_at) = (leaf, Some(recorded.recorded_at));
        match &mut state {
            None => state = Some(State::begin(&recorded, leaf).ok()?),
            Some(state) => {
                state.apply(&recorded, &past).ok()?;
                state.advance(&recorded, leaf, &subjects);
            }
        }
        past.0.push((recorded, leaf));
    }
    state
}
