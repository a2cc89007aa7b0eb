//! A whole log under audit. An honest log is changed as the input says, anywhere from what a donor
//! states to a byte of a file; what is not changed is chained, hashed and signed again to fit. The
//! audit calls the result clean if and only if the naive auditor does.
//!
//! An input is five bytes for each change: what is done, to which item, with which other one, at
//! which byte of it, and with what.

mod naive;

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use giftproof::bundle::TrustCopy;
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::date::UnixMs;
use giftproof::model::encoding::{Blob, List};
use giftproof::model::entry::{Header, NO_LEAF};
use giftproof::model::event::*;
use giftproof::model::hash::{LeafHash, NodeHash};
use giftproof::model::ident::KeyBytes;
use giftproof::model::trust::TrustFile;
use giftproof::verify::{AuditState, Options, Outcome, audit};

use crate::forge::*;
use crate::util::*;

/// The most changes that are made to one log.
const CHANGES_MAX: usize = 12;

/// Logs stay below a bundle's width, so that the naive auditor has one tile to look at.
const ITEMS_MAX: usize = 40;

pub fn run(bytes: &[u8]) {
    is_clean(bytes);
}

/// What both auditors say of the changed log.
///
/// # Panics
/// When they differ.
pub fn is_clean(bytes: &[u8]) -> bool {
    KEYS.with(|_| ());
    let mut log = Changed { forge: STORY.clone(), files: Vec::new() };
    for change in bytes.as_chunks::<5>().0.iter().take(CHANGES_MAX) {
        log.change(*change);
    }
    let mut files = log.forge.files();
    for change in &log.files {
        change_file(&mut files, *change);
    }
    let options = Options { threads: NonZeroUsize::MIN, ..Options::default() };
    let report = audit(&files, Some(&TRUST), &options).unwrap();
    let clean = report.outcome() == Outcome::Clean;
    let naive = naive::audit(&files, TRUST.genesis());
    assert_eq!(clean, naive.is_some(), "{:?} {:?}", report.failures.first(), report.conflicts);
    if let Some((state, _)) = AuditState::encode(&report, 1_800_000_000) {
        assert!(AuditState::is_state(&state));
    }
    clean
}

thread_local! {
    /// Keys are known by name to the thread that has asked for them.
    static KEYS: Vec<KeyBytes> = {
        let parties = CAST.iter().map(|(name, _)| *name).chain(REGISTRARS);
        parties.chain(["operator", "a second key"]).map(key).collect()
    };
}

static TRUST: LazyLock<TrustFile> = LazyLock::new(|| STORY.trust());

/// A gift that arrives, a correction, what is used, a new key, a seal.
pub static STORY: LazyLock<Forge> = LazyLock::new(|| {
    let mut world = World::bare();
    world.enrol("red-cross", Role::Charity, 2);
    world.enrol("hospital-a", Role::Recipient, 2);
    let donated = recorded("red-cross", vec![line(1, "N95", 100, "box", &[("hospital-a", 100)])]);
    let gift = world.accept(world.draft(donated, &[(Capacity::Taker, "red-cross")]));
    let id = shipment("red-cross", "S-1");
    let sent = portions(&[(gift, 1, Some("hospital-a"), 100)]);
    let statement = dispatch(id.clone(), "hospital-a", Purpose::Issue, sent);
    world.accept(world.draft(statement, &[(Capacity::Holder, "red-cross")]));
    let arrived = |counts| vec![arrival(goods(gift, 1, Some("hospital-a")), counts)];
    let statement = receipt(id.clone(), true, arrived([98, 0, 2, 0, 0]));
    let received = world.accept(world.draft(statement, &[(Capacity::Taker, "hospital-a")]));
    let corrected = Statement::from(receipt(id, true, arrived([97, 0, 3, 0, 0])));
    let correction = Correction {
        target_index: world.index_of(&received).unwrap(),
        target: received,
        target_kind: Kind::Receipt as u16,
        replacement: Blob::new(corrected.to_bytes()).unwrap(),
    };
    let mut draft = world.draft(correction, &[(Capacity::Taker, "hospital-a")]);
    draft.reason = Some(Reason { code: ReasonCode::Typing, text: text("") });
    world.accept(draft);
    let portions = List::new(vec![Portion::new(goods(gift, 1, Some("hospital-a")), 40)]).unwrap();
    let used = Use { ward: text(""), purpose: text(""), portions };
    world.accept(world.draft(used, &[(Capacity::Holder, "hospital-a")]));
    let rotation =
        KeyRotated { handle: handle("red-cross"), old: key("red-cross"), new: key("a second key") };
    let draft = world.draft(rotation, &[(Capacity::Oneself, "red-cross")]);
    let new = key("a second key");
    world.accept(draft.signer(Capacity::NewKey, Some(&handle("red-cross")), new));
    let seal = world.state.seal_statement();
    world.accept(world.draft(seal, &[(Capacity::Operator, "operator")]));
    Forge::of(&world)
});

struct Changed {
    forge: Forge,
    /// Changes that are made to the files, after all others.
    files: Vec<[u8; 5]>,
}

impl Changed {
    fn change(&mut self, change: [u8; 5]) {
        let [what, item, other, at, with] = change;
        let items = &mut self.forge.items;
        let count = items.len();
        let at_byte = usize::from(other) << 8 | usize::from(at);
        let (item, other) = (usize::from(item) % count, usize::from(other) % count);
        let event = &mut items[item].event;
        match what % 20 {
            0 if count > 1 => _ = items.remove(item),
            1 => items.swap(item, other),
            2 if count < ITEMS_MAX => {
                let again = items[item].clone();
                items.insert(other, again);
            }
            3 => {
                let moved = items.remove(item);
                items.insert(other, moved);
            }
            4 => items[item].event = items[other].event.clone(),
            // What somebody states, signed by all who are named, and then as if by them.
            5 | 6 => {
                let len = event.frame.body.len();
                event.frame.body[at_byte % len] ^= with;
                if what % 20 == 5 {
                    self.sign(item);
                }
            }
            7 => {
                let len = event.frame.body.len();
                event.frame.body.splice(at_byte % len.., [with]);
                self.sign(item);
            }
            8 => {
                event.frame.kind ^= u16::from(at);
                event.frame.version ^= u16::from(with);
                self.sign(item);
            }
            9 => {
                if let Some(signature) = event.signatures.first_mut() {
                    signature[usize::from(at) % 64] ^= with;
                }
            }
            10 => _ = event.signatures.pop(),
            11 if event.signatures.len() < SIGNERS_MAX => event.signatures.push([with; 64]),
            12 => {
                let millis = u64::from(at) * 60_000 + u64::from(with);
                items[item].recorded_at = UnixMs(START_MS + millis);
            }
            13 => items[item].edit = Some(EDITS[usize::from(with) % EDITS.len()]),
            14 => items[item].mangle = Some(MANGLES[usize::from(with) % MANGLES.len()]),
            _ => self.files.push(change),
        }
    }

    /// Signs an event again with all keys that its body names.
    fn sign(&mut self, item: usize) {
        let genesis = if item == 0 { NO_LEAF } else { self.forge.genesis() };
        let event = &mut self.forge.items[item].event;
        *event = sign_frame(event.frame.clone(), &genesis);
    }
}

const EDITS: [Edit; 6] = [
    |header| header.index += 1,
    |header| header.index = u64::MAX,
    |header| header.previous = LeafHash::from_bytes([7; 32]),
    |header| header.links = List::default(),
    |header| edit_links(header, |links| _ = links.pop()),
    |header: &mut Header| edit_links(header, |links| links.iter_mut().for_each(|l| l.number = 0)),
];

const MANGLES: [fn(&mut Vec<u8>); 4] =
    [|bytes| bytes.push(0), |bytes| _ = bytes.pop(), |bytes| bytes[0] ^= 1, Vec::clear];

/// Changes what is published, and nothing else to fit.
fn change_file(files: &mut Files, [what, choice, high, low, with]: [u8; 5]) {
    let at = |len: usize| (usize::from(high) << 8 | usize::from(low)) % len;
    match what % 20 {
        15 => flip(&mut files.checkpoint, at, with),
        16 => files.tiles.values_mut().for_each(|tile| flip(tile, at, with)),
        17 => files.bundles.values_mut().for_each(|bundle| flip(bundle, at, with)),
        18 => {
            let size = files.size;
            let root = stated_root(files);
            match choice % 6 {
                0 => files.sign(ORIGIN, NodeHash::from_bytes([with; 32]), "operator"),
                1 => files.sign(ORIGIN, root, "red-cross"),
                2 => files.sign("ledger.example/other", root, "operator"),
                3 => files.size = u64::from(with),
                4 => files.size = u64::MAX - u64::from(with),
                _ => {}
            }
            if files.size != size {
                files.sign(ORIGIN, root, "operator");
            }
        }
        _ => match choice % 4 {
            0 => files.tiles.clear(),
            1 => files.bundles.clear(),
            2 => files.trust_copy = TrustCopy::Intact(vec![with; usize::from(low)]),
            _ => files.trust_copy = TrustCopy::Absent,
        },
    }
}

/// The root of the checkpoint, unless it was changed beyond reading.
fn stated_root(files: &Files) -> NodeHash {
    let checkpoint = SignedCheckpoint::parse(&files.checkpoint);
    checkpoint.map_or(NodeHash::from_bytes([0; 32]), |signed| signed.checkpoint().root)
}

fn flip(bytes: &mut [u8], at: impl Fn(usize) -> usize, with: u8) {
    if !bytes.is_empty() {
        let at = at(bytes.len());
        bytes[at] ^= with;
    }
}
