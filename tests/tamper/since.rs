//! Audits that go on from what was seen before: they say what an audit of everything says, and do
//! not follow a log that does not extend the old one.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Mutex;

use giftproof::bundle::{LogFile, LogSource, SourceError, TrustCopy};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::event::*;
use giftproof::model::hash::{Digest32, NodeHash};
use giftproof::model::tile::{BundleCoord, TileCoord};
use giftproof::model::trust::TrustFile;
use giftproof::model::violation::Code;
use giftproof::verify::{AuditState, Options, Outcome, Report, Since, Spot, audit_since};

use super::Stage;
use super::entries::LIES;
use crate::audit::{correction, journey, run, unknown};
use crate::forge::*;
use crate::util::*;

const SECONDS: u64 = 1_800_000_000;

fn go_on(source: &dyn LogSource, trust: Option<&TrustFile>, since: Since) -> Report {
    let options = Options { threads: NonZeroUsize::new(2).unwrap(), ..Options::default() };
    audit_since(source, trust, since, &options).unwrap()
}

/// The state with which an audit of these files ends, through its bytes.
fn state_of(files: &Files) -> Since {
    let (bytes, hash) = AuditState::encode(&run(files, None), SECONDS).unwrap();
    let state = AuditState::open(&bytes, &hash).unwrap();
    assert_eq!(state.checkpoint(), &files.signed_checkpoint());
    assert_eq!(state.audited_at_unix_seconds(), SECONDS);
    Since::State(Box::new(state))
}

fn seen(files: &Files) -> Since {
    Since::Checkpoint(Box::new(files.signed_checkpoint()))
}

/// All that a report says, but where it began.
fn assert_same(one: &Report, other: &Report, what: &str) {
    assert_eq!(one.failures, other.failures, "{what}");
    assert_eq!(one.not_understood, other.not_understood, "{what}");
    assert_eq!(one.unjudged, other.unjudged, "{what}");
    assert_eq!(one.state, other.state, "{what}");
    assert_eq!(one.events, other.events, "{what}");
    assert_eq!(
        (one.entries, one.signatures, one.genesis, one.outcome()),
        (other.entries, other.signatures, other.genesis, other.outcome()),
        "{what}"
    );
    assert_eq!(one.signed_checkpoint, other.signed_checkpoint, "{what}");
    assert_eq!(one.cosigned, other.cosigned, "{what}");
}

/// Goes on from each of these sizes, and compares with an audit of everything.
fn assert_splits_do_not_matter(entries: &[Vec<u8>], splits: impl Iterator<Item = usize>) -> Report {
    let files = Files::of(entries, "operator");
    let whole = run(&files, None);
    assert_eq!(whole.entries, entries.len() as u64);
    for split in splits {
        let before = Files::of(&entries[..split], "operator");
        let report = go_on(&files, None, state_of(&before));
        assert_eq!(report.resumed_at, split as u64);
        assert_same(&report, &whole, &format!("split at {split}"));
        let (one, two) = (AuditState::encode(&report, 1), AuditState::encode(&whole, 1));
        assert_eq!(one.is_some(), two.is_some());
    }
    whole
}

#[test]
fn a_log_full_of_lies_is_judged_the_same_from_wherever_one_goes_on() {
    let stage = Stage::new();
    let mut forge = Forge::of(&stage.world);
    for (_, _, lie) in LIES {
        lie(&stage, &mut forge);
    }
    let entries = forge.entries();
    assert!(entries.len() > 60, "{}", entries.len());
    let whole = assert_splits_do_not_matter(&entries, (1..=entries.len()).step_by(3));
    let codes: BTreeSet<Code> = whole.failures.first().iter().map(|f| f.violation.code).collect();
    assert!(codes.len() > 20, "{codes:?}");
}

#[test]
fn what_is_not_understood_stays_so_for_whoever_goes_on() {
    let mut world = World::new();
    let gift = journey(&mut world, 1);
    let mut forge = Forge::of(&world);
    let at = forge.push_event(unknown(&world, &forge, "hospital-a"));
    let new_rules = RulesChanged { rules: rules() };
    let broken = forge.push(&world.draft(new_rules, &[(Capacity::Registrar, "registrar-1")]));
    let correction = correction(&world, gift, 1);
    forge.push(&world.draft(correction, &[(Capacity::Taker, "hospital-a")]));
    let entries = forge.entries();
    let whole = assert_splits_do_not_matter(&entries, 1..=entries.len());
    assert_eq!(whole.not_understood.first(), [at as u64]);
    assert_eq!(whole.unjudged.first()[0].at, Spot::Entry(broken as u64));
}

#[test]
fn a_missed_seal_is_reported_once_by_whoever_goes_on() {
    let mut world = World::under(Rules { seal_entries: 6, ..rules() });
    for (name, role) in CAST {
        world.enrol(name, *role, if role.is_vouched() { 2 } else { 0 });
    }
    journey(&mut world, 1);
    let seal = world.state.seal_statement();
    world.accept(world.draft(seal, &[(Capacity::Operator, "operator")]));
    (2..5).for_each(|number| _ = journey(&mut world, number));
    let entries = Forge::of(&world).entries();
    let whole = assert_splits_do_not_matter(&entries, 1..=entries.len());
    // Six entries after nothing, and six after the seal, which is the fourteenth.
    let missed: Vec<(Spot, Code)> =
        whole.failures.first().iter().map(|f| (f.at, f.violation.code)).collect();
    let at = |index| (Spot::Entry(index), Code::SealMissed);
    assert_eq!(missed, [at(6), at(20)]);
}

/// More than a bundle, with rules that look far back, and another operator key on the way.
fn long_world() -> World {
    let mut world = World::new();
    let first = journey(&mut world, 0);
    for number in 1..84 {
        world.wait_days(1);
        journey(&mut world, number);
    }
    let last = journey(&mut world, 84);
    assert!(world.state.size > 258, "{}", world.state.size);
    for gift in [first, last] {
        let receipt = world.state.gifts.get(&gift).unwrap().clone();
        let index = world.index_of(&gift).unwrap() + 2;
        assert_eq!(receipt.id, gift);
        let correction = correction(&world, gift, world.state.size - index);
        let mut draft = world.draft(correction, &[(Capacity::Taker, "hospital-a")]);
        // An anchor is compared with a leaf of long ago.
        draft.anchor = Some(Anchor { index: 3, leaf: world.log.entries[3].leaf() });
        world.accept(draft);
    }
    world
}

#[test]
fn rules_look_back_beyond_where_the_audit_goes_on() {
    let world = long_world();
    let entries = Forge::of(&world).entries();
    let size = entries.len();
    let splits = [1, 2, 100, 255, 256, 257, size - 3, size - 2, size - 1, size];
    let whole = assert_splits_do_not_matter(&entries, splits.into_iter());
    assert_eq!(whole.outcome(), Outcome::Clean);
    assert_eq!(whole.events[&Kind::Correction], 2);
    assert_eq!(whole.state.unwrap(), world.state);
}

#[test]
fn the_operators_key_may_change_on_either_side() {
    let mut world = World::new();
    journey(&mut world, 1);
    let registrars = [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-3")];
    let draft = world.draft(OperatorRotated { key: key("operator-2") }, &registrars);
    let rotated = world.state.size as usize;
    world.accept(draft.signer(Capacity::NewKey, Some(&handle("operator")), key("operator-2")));
    journey(&mut world, 2);
    let forge = Forge::of(&world);
    let (entries, trust) = (forge.entries(), forge.trust());
    for (split, size) in [(rotated, rotated + 1), (rotated + 1, entries.len())] {
        let signer = |size| if size <= rotated { "operator" } else { "operator-2" };
        let before = Files::of(&entries[..split], signer(split));
        for newest in [None, Some(&entries[..split - 1]), Some(&entries[..size])] {
            let newest = newest.map(|seen| Files::of(seen, signer(seen.len())).signed_checkpoint());
            let trust = newest.into_iter().fold(trust.clone(), |t, n| t.with_newest(n).unwrap());
            let files = Files::of(&entries[..size], signer(size));
            let report = go_on(&files, Some(&trust), state_of(&before));
            assert_eq!(report.outcome(), Outcome::Clean, "{:?}", report.failures);
            assert_same(&report, &run(&files, Some(&trust)), "rotation");
            let wrong =
                Files::of(&entries[..size], if size <= rotated { "red-cross" } else { "operator" });
            let report = go_on(&wrong, Some(&trust), state_of(&before));
            assert_eq!(report.failures.first()[0].violation.code, Code::CheckpointSignature);
        }
    }
}

/// What was read, by path.
struct Watched<'a> {
    files: &'a Files,
    read: Mutex<Vec<String>>,
}

impl Watched<'_> {
    fn note(&self, file: LogFile) {
        self.read.lock().unwrap().push(file.to_string());
    }
}

impl LogSource for Watched<'_> {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.files.checkpoint()
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        self.files.trust_copy()
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        self.note(LogFile::Tile(*tile));
        self.files.tile(tile)
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        self.note(LogFile::Entries(*bundle));
        self.files.entries(bundle)
    }
}

#[test]
fn only_what_is_new_is_read() {
    let mut world = World::new();
    (0..172).for_each(|number| _ = journey(&mut world, number));
    let entries = Forge::of(&world).entries();
    assert!(entries.len() > 520);
    let before = Files::of(&entries[..515], "operator");
    let files = Files::of(&entries, "operator");
    let watched = Watched { files: &files, read: Mutex::default() };
    let report = go_on(&watched, None, state_of(&before));
    assert_eq!(report.outcome(), Outcome::Clean);
    let read = watched.read.into_inner().unwrap();
    let bundles: Vec<&String> = read.iter().filter(|path| path.contains("entries")).collect();
    assert_eq!(bundles, [&format!("tile/entries/002.p/{}", entries.len() - 512)]);
    assert!(!read.contains(&"tile/0/000".to_owned()), "{read:?}");
}

/// A log with the same first entries, and other ones after them.
fn fork(entries: &Forge, at: usize) -> Forge {
    let mut fork = entries.clone();
    let item = fork.items.remove(at);
    fork.items.push(item);
    fork
}

#[test]
fn a_log_that_does_not_extend_what_was_seen_is_not_followed() {
    let world = long_world();
    let forge = Forge::of(&world);
    let entries = forge.entries();
    let size = entries.len();
    let other = fork(&forge, 40).entries();
    for split in [41, 100, 256, 258, size] {
        let before = Files::of(&entries[..split], "operator");
        let files = Files::of(&other, "operator");
        for since in [state_of(&before), seen(&before)] {
            let report = go_on(&files, None, since);
            let failure = report.failures.first().last().unwrap();
            assert_eq!(failure.violation.code, Code::SinceCheckpoint, "{split}");
            let [conflict] = report.conflicts.as_slice() else { panic!("{:?}", report.conflicts) };
            assert_eq!(conflict.seen, before.signed_checkpoint());
            assert_eq!(conflict.found, files.signed_checkpoint());
            let then = Files::of(&other[..split], "operator");
            assert_eq!(conflict.root_then, Some(then.signed_checkpoint().checkpoint().root));
            assert_eq!(report.resumed_at, 0, "everything is looked at");
        }
        // What both have in common fits.
        let common = Files::of(&entries[..40], "operator");
        assert!(go_on(&files, None, seen(&common)).conflicts.is_empty());
        assert!(go_on(&files, None, state_of(&common)).conflicts.is_empty());

        // Taken back.
        let shorter = Files::of(&entries[..split - 1], "operator");
        for since in [state_of(&before), seen(&before)] {
            let report = go_on(&shorter, None, since);
            let failure = report.failures.first().last().unwrap();
            assert_eq!(failure.violation.code, Code::SinceCheckpoint);
            assert_eq!(failure.violation.expected.to_string(), split.to_string());
            assert_eq!(report.conflicts[0].root_then, None);
        }
    }
}

#[test]
fn a_checkpoint_that_nobody_signed_accuses_nobody() {
    let world = World::new();
    let entries = Forge::of(&world).entries();
    let files = Files::of(&entries, "operator");
    let forged = Files::of(&entries[..5], "red-cross");
    let report = go_on(&files, None, seen(&forged));
    let [failure] = report.failures.first() else { panic!("{:?}", report.failures) };
    assert_eq!(failure.violation.code, Code::SinceCheckpoint);
    assert!(report.conflicts.is_empty());

    let mut elsewhere = forged.clone();
    elsewhere.sign("other.example", NodeHash::from_bytes([1; 32]), "operator");
    let error = audit_since(&files, None, seen(&elsewhere), &Options::default()).unwrap_err();
    assert_eq!(error.code(), "since/other-log");
}

#[test]
fn files_that_were_changed_are_found_where_they_are_read() {
    let world = long_world();
    let entries = Forge::of(&world).entries();
    let size = entries.len();
    let honest = Files::of(&entries, "operator");
    let tile = |level, index, width| LogFile::Tile(TileCoord::new(level, index, width).unwrap());
    let edge = (size - 256) as u16;
    let bundle = LogFile::Entries(BundleCoord::new(1, edge).unwrap());
    // Each change with where one goes on, and whether that still follows from the old state.
    for (file, at, split, goes_on) in [
        (tile(0, 1, edge), 32 * 5 + 3, 258, false),
        (tile(0, 1, edge), 3, 258, false),
        (tile(1, 0, 1), 3, 258, false),
        (bundle, 60, 258, true),
        (bundle, 60, 100, true),
    ] {
        let mut files = honest.clone();
        files.bytes_mut(file)[at] ^= 1;
        let before = Files::of(&entries[..split], "operator");
        let report = go_on(&files, None, state_of(&before));
        assert_eq!(report.resumed_at > 0, goes_on, "{file} {at}");
        let wrong = report.failures.first().iter().any(|failure| failure.at == Spot::File(file));
        assert!(wrong, "{file} {at}: {:?}", report.failures);
        assert!(report.conflicts.is_empty());
        assert!(AuditState::encode(&report, 0).is_none(), "nobody goes on from wrong files");
    }
    // The corrections look back into the first bundle, and the anchors into its tile.
    for (file, at) in [
        (tile(0, 0, 256), 32 * 3 + 1),
        (
            LogFile::Entries(BundleCoord::new(0, 256).unwrap()),
            honest.bundles.values().next().unwrap().len() / 20,
        ),
    ] {
        let mut files = honest.clone();
        files.bytes_mut(file)[at] ^= 1;
        let before = Files::of(&entries[..size - 2], "operator");
        let result = audit_since(&files, None, state_of(&before), &Options::default());
        assert_eq!(result.unwrap_err().code(), "audit/changed-since", "{file}");
    }
}

#[test]
fn a_hash_that_no_proof_needs_is_compared_all_the_same() {
    // The proof that 16 entries are the beginning of 19 does not need the 16 hashes.
    let mut world = World::new();
    (0..3).for_each(|number| _ = journey(&mut world, number));
    let entries = Forge::of(&world).entries();
    assert_eq!(entries.len(), 19);
    let mut files = Files::of(&entries, "operator");
    let tile = TileCoord::new(0, 0, 19).unwrap();
    files.bytes_mut(LogFile::Tile(tile))[32 * 3] ^= 1;
    let report = go_on(&files, None, state_of(&Files::of(&entries[..16], "operator")));
    assert_eq!(report.resumed_at, 16);
    assert_same(&report, &run(&files, None), "a tile");
}

#[test]
fn a_state_is_believed_by_its_hash_alone() {
    let world = World::new();
    let files = Forge::of(&world).files();
    let (bytes, hash) = AuditState::encode(&run(&files, None), SECONDS).unwrap();
    let code = |bytes: &[u8], hash: &Digest32| {
        AuditState::open(bytes, hash).map(|_| "whole").map_err(|error| error.code())
    };
    assert_eq!(code(&bytes, &hash), Ok("whole"));
    assert_eq!(bytes[..26], *b"\xffgiftproof audit state v3\0");
    assert_eq!(hash, state_hash(&bytes[..bytes.len() - 32]));
    assert_eq!(code(&bytes, &Digest32::from_bytes([0; 32])), Err("audit-state/pinned"));
    for end in (0..bytes.len()).step_by(7) {
        assert!(code(&bytes[..end], &hash).is_err(), "{end}");
    }
    for at in (0..bytes.len()).step_by(5) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let found = code(&changed, &hash).unwrap_err();
        // The version is one digit, which a turned bit can make a higher one.
        let expected = match at {
            24 if changed[24].is_ascii_digit() && changed[24] > b'2' => "audit-state/newer-version",
            0..26 => "audit-state/version",
            _ => "audit-state/hash",
        };
        assert_eq!(found, expected);
        // Whoever writes states can hash them too: what is no state is still none.
        let content = changed.len() - 32;
        let again = state_hash(&changed[..content]);
        changed[content..].copy_from_slice(again.as_bytes());
        if at < content {
            assert!(
                ["audit-state/version", "audit-state/newer-version", "audit-state/pinned"]
                    .contains(&code(&changed, &hash).unwrap_err())
            );
            let _ = code(&changed, &again);
        }
    }
    // The length of the checkpoint, how many gifts and shipments there are, where the body is.
    let place = bytes.len() - 40;
    let body = u64::from_be_bytes(*bytes[place..].first_chunk().unwrap()) as usize;
    for at in [body, place - 16, place - 8, place] {
        let mut changed = bytes[..bytes.len() - 32].to_vec();
        changed.splice(at..at + 1, [253, 0, 0, 0, 0, 0, 0, 0, 16]);
        let again = state_hash(&changed);
        changed.extend(again.as_bytes());
        let found = code(&changed, &again);
        assert_eq!(found, Err("audit-state/malformed"), "{at}");
    }
}

#[test]
fn a_state_is_of_the_log_that_its_checkpoint_names() {
    let world = World::new();
    let entries = Forge::of(&world).entries();
    let note = |size: usize| {
        SignedCheckpoint::to_string(&Files::of(&entries[..size], "operator").signed_checkpoint())
    };
    let (bytes, _) =
        AuditState::encode(&run(&Files::of(&entries[..7], "operator"), None), 0).unwrap();
    let (old, new) = (note(7), note(8));
    assert_eq!(old.len(), new.len());
    let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
    let mut changed = bytes[..bytes.len() - 32].to_vec();
    changed[at..at + new.len()].copy_from_slice(new.as_bytes());
    let hash = state_hash(&changed);
    changed.extend(hash.as_bytes());
    let error = AuditState::open(&changed, &hash).unwrap_err();
    assert_eq!(error.code(), "audit-state/malformed");
}
