//! The offline audit of honest logs, of logs that this build does not fully understand, and of
//! bytes that were never a log. Dishonest logs are in `tamper.rs`.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use giftproof::bundle::{LogFile, LogFolder, LogSource, OpenedBundle, SourceError, TrustCopy};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::encoding::Blob;
use giftproof::model::entry::{Entry, NO_LEAF};
use giftproof::model::event::*;
use giftproof::model::hash::{EventHash, NodeHash};
use giftproof::model::note::{CosignatureTime, KeyKind, KeyName, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::subject::Subject;
use giftproof::model::tile::{BundleCoord, TileCoord};
use giftproof::model::trust::TrustFile;
use giftproof::model::violation::Code;
use giftproof::verify::{CopyComparison, Options, Outcome, Progress, Report, Spot, audit};

use crate::forge::*;
use crate::util::*;

pub fn run(source: &dyn LogSource, trust: Option<&TrustFile>) -> Report {
    let options = Options { threads: NonZeroUsize::new(2).unwrap(), ..Options::default() };
    audit(source, trust, &options).unwrap()
}

/// A gift of 100 masks for hospital A, sent and received; each event anchored in the one before.
/// Gives the hash of the donation.
pub fn journey(world: &mut World, number: u32) -> EventHash {
    let anchored = |world: &World, mut draft: giftproof::model::draft::Draft| {
        draft.anchor = Some(Anchor { index: world.state.size - 1, leaf: world.state.last_leaf });
        draft
    };
    let donation =
        recorded("red-cross", vec![line(1, "N95口罩", 100, "个", &[("hospital-a", 100)])]);
    let draft = world.draft(donation, &[(Capacity::Taker, "red-cross")]);
    let gift = world.accept(anchored(world, draft));
    let id = shipment("red-cross", &format!("S-{number}"));
    let sent = portions(&[(gift, 1, Some("hospital-a"), 100)]);
    let statement = dispatch(id.clone(), "hospital-a", Purpose::Issue, sent);
    let draft = world.draft(statement, &[(Capacity::Holder, "red-cross")]);
    world.accept(anchored(world, draft));
    let arrived = vec![arrival(goods(gift, 1, Some("hospital-a")), [98, 0, 2, 0, 0])];
    let draft = world.draft(receipt(id, true, arrived), &[(Capacity::Taker, "hospital-a")]);
    world.accept(anchored(world, draft));
    gift
}

/// A correction of a gift's receipt that was `offset` entries ago.
pub fn correction(world: &World, gift: EventHash, offset: u64) -> Correction {
    let target_index = world.state.size - offset;
    let entry = &world.log.entries[target_index as usize];
    let event = entry.event.clone().open(&world.state.genesis).unwrap();
    let Some(Statement::Receipt(old)) = &event.statement else { panic!("no receipt there") };
    let arrived = vec![arrival(goods(gift, 1, Some("hospital-a")), [97, 0, 3, 0, 0])];
    let new = Statement::from(receipt(old.shipment.clone().unwrap(), true, arrived));
    Correction {
        target_index,
        target: event.hash,
        target_kind: Kind::Receipt as u16,
        replacement: Blob::new(new.to_bytes()).unwrap(),
    }
}

/// More than 300 entries: two bundles, and tiles of two levels.
fn large_world() -> World {
    let mut world = World::new();
    for number in 0..97 {
        world.wait_days(1);
        let gift = journey(&mut world, number);
        if number % 40 == 0 {
            let correction = correction(&world, gift, 1);
            world.accept(world.draft(correction, &[(Capacity::Taker, "hospital-a")]));
        }
    }
    assert!(world.state.size > 300);
    world
}

fn assert_clean(report: &Report, world: &World) {
    assert_eq!(report.failures.first(), []);
    assert_eq!(report.outcome(), Outcome::Clean);
    assert_eq!(report.outcome().exit_code(), 0);
    assert_eq!(report.entries, world.state.size);
    assert_eq!(report.genesis, Some(world.state.genesis));
    assert_eq!(report.state.as_ref(), Some(&world.state));
    assert_eq!(report.gifts(), world.state.gifts.len() as u64);
    assert_eq!(report.parties(), CAST.len() as u64);
}

#[test]
fn an_honest_log_is_clean_from_every_container() {
    let world = large_world();
    let forge = Forge::of(&world);
    let entries: Vec<Vec<u8>> = world.log.entries.iter().map(Entry::to_bytes).collect();
    assert_eq!(forge.entries(), entries, "links by their definition, and by the state");
    let trust = forge.trust();
    let mut files = forge.files();
    assert_eq!(files.tiles.len(), 3);
    files.trust_copy = TrustCopy::Intact(trust.to_string().into_bytes());

    let report = run(&files, Some(&trust));
    assert_clean(&report, &world);
    assert!(report.trusted);
    assert_eq!(report.trust_copy, CopyComparison::Same);
    let signatures = world.log.entries.iter().map(|entry| entry.event.signatures.len() as u64);
    assert_eq!(report.signatures, signatures.sum::<u64>());
    assert_eq!(report.events[&Kind::Donation], 97);
    assert_eq!(report.events[&Kind::Correction], 3);
    assert_eq!(report.events.values().sum::<u64>(), world.state.size);

    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("bundle.zip");
    std::fs::write(&zip, files.zip()).unwrap();
    let opened = OpenedBundle::open(&zip).unwrap();
    let size = SignedCheckpoint::parse(opened.checkpoint()).unwrap().checkpoint().size;
    let report = run(&opened.with_size(size).unwrap(), Some(&trust));
    assert_clean(&report, &world);
    assert_eq!(report.trust_copy, CopyComparison::Same);

    let unpacked = folder.path().join("unpacked");
    files.write_to(&unpacked);
    let report = run(&LogFolder::new(&unpacked), None);
    assert_clean(&report, &world);
    assert!(!report.trusted);
    assert_eq!(report.trust_copy, CopyComparison::NotCompared);
    std::fs::remove_file(unpacked.join("giftproof.trust")).unwrap();
    let report = run(&LogFolder::new(&unpacked), Some(&trust));
    assert_clean(&report, &world);
    assert_eq!(report.trust_copy, CopyComparison::Absent);
}

#[test]
fn threads_and_progress_change_nothing() {
    let world = large_world();
    let files = Forge::of(&world).files();
    for threads in [1, 2, 5] {
        let seen = RefCell::new(Vec::new());
        let progress = |progress: Progress| seen.borrow_mut().push((progress.done, progress.size));
        let threads = NonZeroUsize::new(threads).unwrap();
        let options = Options { threads, progress: Some(&progress), ..Options::default() };
        let report = audit(&files, None, &options).unwrap();
        assert_clean(&report, &world);
        let size = world.state.size;
        assert_eq!(seen.into_inner(), [(256, size), (size, size)]);
    }
}

fn witness_key(name: &str) -> VerifierKey {
    VerifierKey::of_signer(KeyName::parse(name).unwrap(), KeyKind::Cosignature, &note_key(name))
}

fn cosign(note: SignedCheckpoint, seconds: u64, witness: &str) -> SignedCheckpoint {
    let time = CosignatureTime::new(seconds).unwrap();
    note.cosign(time, &KeyName::parse(witness).unwrap(), &note_key(witness)).unwrap()
}

/// Two of these three witnesses are enough.
pub fn two_of_three() -> Policy {
    let witness =
        |name: &str| format!("witness {name} {}\n", witness_key(&format!("{name}.example")));
    let names = ["w1", "w2", "w3"];
    let lines: String = names.map(witness).concat();
    Policy::parse(format!("{lines}group g 2 w1 w2 w3\nquorum g\n").as_bytes()).unwrap()
}

#[test]
fn cosignatures_are_checked_against_the_policy() {
    let forge = Forge::of(&World::new());
    let trust = forge.trust_with(two_of_three());
    let mut files = forge.files();
    let alone = files.signed_checkpoint();
    let with_one = cosign(alone.clone(), 1_800_000_000, "w1.example");
    let with_two = cosign(with_one.clone(), 1_800_000_100, "w3.example");
    let with_stranger = cosign(with_one.clone(), 1_800_000_200, "w4.example");
    // A cosignature of another time than the one it was made for.
    let moved = with_two.to_string().replacen("w3.example ", "w2.example ", 1);
    // Within the signature of the first witness.
    let mut damaged = with_two.to_string();
    let at = damaged.find("w1.example ").unwrap() + 60;
    let other = if &damaged[at..=at] == "A" { "B" } else { "A" };
    damaged.replace_range(at..=at, other);
    for (note, cosigned, failure) in [
        (alone.to_string(), 0, Some("expected quorum, found 0")),
        (with_one.to_string(), 1, Some("expected quorum, found 1")),
        (with_two.to_string(), 2, None),
        (with_stranger.to_string(), 1, Some("expected quorum, found 1")),
        // Under another name the key is unknown, so the line means nothing.
        (moved, 1, Some("expected quorum, found 1")),
        (damaged, 0, Some("note/signature-invalid")),
    ] {
        files.checkpoint = note.clone().into_bytes();
        let report = run(&files, Some(&trust));
        assert_eq!(report.cosigned.len(), cosigned, "{note}");
        match failure {
            None => assert_eq!(report.outcome(), Outcome::Clean),
            Some(words) => {
                let [failure] = report.failures.first() else { panic!("{:?}", report.failures) };
                assert_eq!(failure.violation.code, Code::TrustPolicy);
                assert!(failure.violation.to_string().contains(words), "{failure:?}");
            }
        }
    }
}

#[test]
fn a_log_may_grow_beyond_the_checkpoint_that_was_seen() {
    let world = large_world();
    let mut forge = Forge::of(&world);
    let (files, trust) = (forge.files(), forge.trust());
    for size in [1, 2, 255, 256, 257, forge.items.len()] {
        forge.items.truncate(size.max(1));
        let seen = Forge { items: Forge::of(&world).items[..size].to_vec() }.files();
        let trust = trust.clone().with_newest(seen.signed_checkpoint()).unwrap();
        assert_clean(&run(&files, Some(&trust)), &world);
    }
    let mut empty = Files::of(&[], "operator");
    let trust_empty = trust.clone().with_newest(empty.signed_checkpoint()).unwrap();
    assert_clean(&run(&files, Some(&trust_empty)), &world);
    empty.sign(ORIGIN, NodeHash::from_bytes([1; 32]), "operator");
    let trust_empty = trust.with_newest(empty.signed_checkpoint()).unwrap();
    let report = run(&files, Some(&trust_empty));
    assert_eq!(report.failures.first()[0].violation.code, Code::TrustCheckpoint);
}

#[test]
fn a_checkpoint_is_signed_with_the_key_of_its_size() {
    let mut world = World::new();
    let statement = OperatorRotated { key: key("operator-2") };
    let mut draft = world.draft(
        statement,
        &[(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-3")],
    );
    draft = draft.signer(Capacity::NewKey, Some(&handle("operator")), key("operator-2"));
    let before = world.state.size;
    world.accept(draft);
    journey(&mut world, 1);
    let forge = Forge::of(&world);
    let trust = forge.trust();
    let entries = forge.entries();
    // The new key signs from the rotation on: it is valid at that index.
    let at_rotation = &entries[..before as usize + 1];
    for (entries, signer, clean) in [
        (&entries[..before as usize], "operator", true),
        (&entries[..before as usize], "operator-2", false),
        (at_rotation, "operator-2", true),
        (at_rotation, "operator", false),
        (&entries[..], "operator-2", true),
        (&entries[..], "operator", false),
    ] {
        let report = run(&Files::of(entries, signer), Some(&trust));
        assert_eq!(report.outcome() == Outcome::Clean, clean, "{signer} at {}", entries.len());
        assert_eq!(
            report.failures.first().first().map(|f| f.violation.code),
            match clean {
                true => None,
                false => Some(Code::CheckpointSignature),
            }
        );
    }
    let seen = |signer| Files::of(at_rotation, signer).signed_checkpoint();
    let files = Files::of(&entries, "operator-2");
    let seen_rightly = trust.clone().with_newest(seen("operator-2")).unwrap();
    assert_clean(&run(&files, Some(&seen_rightly)), &world);
    let seen_wrongly = trust.with_newest(seen("operator")).unwrap();
    let report = run(&files, Some(&seen_wrongly));
    assert_eq!(report.failures.first()[0].violation.code, Code::TrustCheckpoint);
}

type Change = fn(&mut Item);

/// An event of a kind that no build knows yet.
pub fn unknown(world: &World, forge: &Forge, signer: &str) -> giftproof::model::entry::SignedEvent {
    let draft = world.draft(
        NeedClosed { need: EventHash::from_bytes([1; 32]) },
        &[(Capacity::Recipient, signer)],
    );
    let mut frame = draft.frame().unwrap();
    frame.kind = 4000;
    frame.body.extend(b"what this build cannot read");
    sign_frame(frame, &forge.genesis())
}

#[test]
fn what_is_not_understood_is_neither_clean_nor_a_failure() {
    let mut world = World::new();
    let gift = journey(&mut world, 1);
    let mut forge = Forge::of(&world);
    let at = forge.push_event(unknown(&world, &forge, "hospital-a"));
    forge.items[at].touches = vec![Subject::Gift(gift).hash()];
    // It counts among the events about the gift.
    let correction = correction(&world, gift, 1);
    forge.push(&world.draft(correction, &[(Capacity::Taker, "hospital-a")]));
    let report = run(&forge.files(), Some(&forge.trust()));
    assert_eq!((report.failures.first(), report.unjudged.first()), (&[][..], &[][..]));
    assert_eq!(report.not_understood.first(), [at as u64]);
    assert_eq!(report.outcome(), Outcome::NotUnderstood);
    assert_eq!(report.outcome().exit_code(), 2);

    // Who knows what the event allowed: what breaks a rule after it accuses nobody.
    let statement = RulesChanged { rules: rules() };
    let next = forge.push(&world.draft(statement, &[(Capacity::Registrar, "registrar-1")]));
    let mut files = forge.files();
    let report = run(&files, Some(&forge.trust()));
    assert_eq!(report.outcome(), Outcome::NotUnderstood);
    let [unjudged] = report.unjudged.first() else { panic!("{:?}", report.unjudged) };
    assert_eq!(unjudged.at, Spot::Entry(next as u64));
    assert_eq!(unjudged.violation.code, Code::RegistrarsTooFew);
    let root = files.signed_checkpoint().checkpoint().root;
    files.sign(ORIGIN, root, "operator-2");
    let report = run(&files, Some(&forge.trust()));
    assert_eq!(report.outcome(), Outcome::NotUnderstood);
    assert_eq!(report.unjudged.first()[1].violation.code, Code::CheckpointSignature);

    // The same before it is a failure, and so is what needs no rules.
    let mut before = forge.clone();
    before.items.swap(at, next);
    let report = run(&before.files(), None);
    let [failure] = report.failures.first() else { panic!("{:?}", report.failures) };
    assert_eq!(
        (failure.at, failure.violation.code),
        (Spot::Entry(at as u64), Code::RegistrarsTooFew)
    );
    assert_eq!(report.outcome(), Outcome::Failed);
    let changes: [(Change, Code); 3] = [
        (|item| item.event.signatures[0][40] ^= 1, Code::SignatureInvalid),
        (|item| item.edit = Some(|header| header.previous = NO_LEAF), Code::ChainPrevious),
        (
            |item| item.edit = Some(|header| edit_links(header, |links| links[0].number += 1)),
            Code::LinksMismatch,
        ),
    ];
    for (change, code) in changes {
        let mut forge = forge.clone();
        change(&mut forge.items[at]);
        let report = run(&forge.files(), None);
        // Nothing is left that was not understood, so what follows is judged.
        let [failure, next] = report.failures.first() else { panic!("{:?}", report.failures) };
        assert_eq!((failure.at, failure.violation.code), (Spot::Entry(at as u64), code));
        assert_eq!(next.violation.code, Code::RegistrarsTooFew);
        // The gift is known only by the link to it.
        let (index, marked) =
            report.state.unwrap().gifts.get(&gift).unwrap().failed.clone().unwrap();
        assert_eq!((index, marked.as_str()), (at as u64, code.as_str()));
    }
}

/// A first entry of a version to come: nothing can be said about the rest.
#[test]
fn an_unknown_genesis_is_not_understood() {
    let world = World::new();
    let mut forge = Forge::of(&world);
    let mut frame = forge.items[0].event.frame.clone();
    frame.version = 2;
    forge.items[0].event = sign_frame(frame, &NO_LEAF);
    let report = run(&forge.files(), None);
    assert_eq!(report.not_understood.first(), [0]);
    assert_eq!((report.outcome(), report.entries), (Outcome::NotUnderstood, 1));
    assert!(report.state.is_none());
}

#[test]
fn without_a_checkpoint_there_is_no_log_to_audit() {
    let folder = tempfile::tempdir().unwrap();
    let error = audit(&LogFolder::new(folder.path()), None, &Options::default()).unwrap_err();
    assert_eq!(error.code(), "bundle/missing");
}

/// The files of a log on a medium that fails, or that somebody writes to meanwhile.
struct Restless<F> {
    files: Files,
    reads: AtomicUsize,
    /// Sees how many bundles were read before, and may change the next one.
    disturb: F,
}

impl<F: Fn(usize, &mut Vec<u8>) -> std::io::Result<()> + Sync> LogSource for Restless<F> {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.files.checkpoint()
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        self.files.trust_copy()
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        self.files.tile(tile)
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        let mut bytes = self.files.entries(bundle)?;
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        (self.disturb)(read, &mut bytes)
            .map_err(|source| SourceError::Io { file: Some(LogFile::Entries(*bundle)), source })?;
        Ok(bytes)
    }
}

/// The one bundle is read to find the genesis hash, to be replayed, and once more because of the
/// correction.
#[test]
fn a_log_that_changes_or_cannot_be_read_is_not_judged() {
    let (_, forge) = small_forge();
    let judge = |disturb: &(dyn Fn(usize, &mut Vec<u8>) -> std::io::Result<()> + Sync)| {
        let source = Restless { files: forge.files(), reads: AtomicUsize::new(0), disturb };
        let report = audit(&source, Some(&forge.trust()), &Options::default());
        report.map(|report| report.outcome()).map_err(|error| error.code())
    };
    assert_eq!(judge(&|_, _| Ok(())), Ok(Outcome::Clean));
    // Within the first entry, and within the receipt that is corrected.
    let entries = forge.entries();
    let receipt = entries[..12].iter().map(|entry| 2 + entry.len()).sum::<usize>() + 100;
    for (at, place) in [(0, 60), (1, 60), (2, receipt)] {
        let fails = |read, _: &mut Vec<u8>| match read == at {
            true => Err(std::io::Error::other("the medium fails")),
            false => Ok(()),
        };
        assert_eq!(judge(&fails), Err("bundle/io"), "read {at}");
        let changes = |read, bytes: &mut Vec<u8>| {
            bytes[place] ^= u8::from(read == at);
            Ok(())
        };
        assert_eq!(judge(&changes), Err("audit/changed"), "read {at}");
    }
}

#[test]
fn an_empty_log_has_no_genesis() {
    let report = run(&Files::of(&[], "operator"), Some(&Forge::of(&World::new()).trust()));
    let [failure] = report.failures.first() else { panic!("{:?}", report.failures) };
    assert_eq!(failure.violation.code, Code::GenesisPlace);
    assert!(report.state.is_none());
}

fn small_forge() -> (World, Forge) {
    let mut world = World::new();
    let gift = journey(&mut world, 1);
    let correction = correction(&world, gift, 1);
    world.accept(world.draft(correction, &[(Capacity::Taker, "hospital-a")]));
    let forge = Forge::of(&world);
    (world, forge)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    /// Events with changed bytes, exchanged and repeated, signed and chained as if they were meant
    /// so: whatever they state, the audit ends with a report.
    #[test]
    fn no_event_makes_the_audit_panic(
        changes in vec((any::<Index>(), any::<Index>(), any::<u8>()), 0..5),
        moves in vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..5),
    ) {
        let (_, mut forge) = small_forge();
        for (item, at, byte) in changes {
            let item = item.index(forge.items.len());
            let genesis = if item == 0 { NO_LEAF } else { forge.genesis() };
            let mut frame = forge.items[item].event.frame.clone();
            let at = at.index(frame.body.len());
            frame.body[at] = byte;
            forge.items[item].event = sign_frame(frame, &genesis);
        }
        for (from, to, again) in moves {
            let from = from.index(forge.items.len());
            let item = if again { forge.items[from].clone() } else { forge.items.remove(from) };
            forge.items.insert(to.index(forge.items.len()), item);
        }
        run(&forge.files(), Some(&forge.trust()));
    }

    /// Files of any bytes: cut, grown, and overwritten.
    #[test]
    fn no_bytes_make_the_audit_panic(
        file in any::<Index>(),
        at in any::<Index>(),
        removed in 0usize..40,
        bytes in vec(any::<u8>(), 0..40),
    ) {
        let (_, forge) = small_forge();
        let honest = forge.files();
        let names: Vec<_> = honest.files().filter(|file| *file != LogFile::TrustCopy).collect();
        let mut files = honest.clone();
        let changed = files.bytes_mut(*file.get(&names));
        let at = at.index(changed.len());
        let end = changed.len().min(at + removed);
        changed.splice(at..end, bytes);
        let same = names.iter().all(|name| files.bytes(*name) == honest.bytes(*name));
        let report = run(&files, Some(&forge.trust()));
        prop_assert_eq!(report.outcome() == Outcome::Clean, same);
    }
}
