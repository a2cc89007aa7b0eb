//! A whole ledger goes from store to store: nothing is lost, and nothing false comes in.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use giftproof::bundle::{Existing, LogSource, OpenedBundle, SourceError, TrustCopy};
use giftproof::ledger::{Ledger, POLICY_FILE};
use giftproof::mirror::Mirror;
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::tile::{BundleCoord, TileCoord};
use giftproof::model::trust::TrustFile;
use giftproof::store::{MemoryStore, Store};
use giftproof::transfer::{Step, Transfer, TransferError};
use giftproof::verify::{Options, Outcome, Progress, audit};
use giftproof::writer::Writer;
use serde_json::Value;

use crate::audit::{journey, unknown};
use crate::cli::Desk;
use crate::cosign::fake::Fake;
use crate::cosign::{ask, grow, ledger_of};
use crate::forge::*;
use crate::ledger::{check_ledger, clock};
use crate::util::*;

fn untold(_: Step, _: Progress) {}

fn of<'a>(
    source: &'a dyn LogSource,
    trust: Option<&TrustFile>,
) -> Result<Transfer<'a>, TransferError> {
    Transfer::of(source, trust, &untold)
}

/// The bundle of a ledger, byte for byte.
fn bundle(ledger: &Ledger) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.zip");
    ledger.export(&path, None, None, Existing::Refuse, &mut |_, _| {}).unwrap();
    fs::read(path).unwrap()
}

fn with_bundle<T>(bytes: &[u8], use_it: impl FnOnce(&dyn LogSource) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.zip");
    fs::write(&path, bytes).unwrap();
    let opened = OpenedBundle::open(&path).unwrap();
    let size = SignedCheckpoint::parse(opened.checkpoint()).unwrap().checkpoint().size;
    use_it(&opened.with_size(size).unwrap())
}

#[test]
fn a_ledger_goes_from_sled_to_memory_to_sled_and_on() {
    let (one, two) = (Fake::new("one.example"), Fake::new("two.example"));
    let (first, author) = ledger_of(3, &[&one, &two]);
    // More than two bundles, and not a whole one at the end.
    grow(first.path(), &author, 1000..1597);
    assert_eq!(ask(first.path()), [Ok(600), Ok(600)]);
    let ledger = Ledger::open(first.path()).unwrap();
    let (zip, head) = (bundle(&ledger), ledger.checkpoint().clone());
    assert_eq!(ledger.log().cosigned().note().signatures().len(), 3);
    drop(ledger);

    let (store, beside) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    with_bundle(&zip, |source| {
        of(source, None).unwrap().into_store(&store, beside.path()).unwrap();
    });
    let store: Arc<dyn Store> = Arc::new(store);
    let second = Ledger::over(store, Some(beside.path())).unwrap();
    assert_eq!(second.checkpoint(), &head);
    let zip_of_second = bundle(&second);
    assert!(zip_of_second == zip, "the bundle of the ledger in memory is another one");
    check_ledger(&second);

    let home = tempfile::tempdir().unwrap();
    let third = home.path().join("third");
    let made = with_bundle(&zip_of_second, |source| {
        of(source, None).unwrap().into_folder(&third).map(|ledger| bundle(&ledger))
    });
    assert!(made.unwrap() == zip, "the bundle of the new folder is another one");
    let ledger = Ledger::open(&third).unwrap();
    assert_eq!(ledger.checkpoint(), &head);
    assert_eq!(ledger.witnessed().policy(), second.witnessed().policy());
    check_ledger(&ledger);
    let trust = TrustFile::parse(&fs::read(third.join("giftproof.trust")).unwrap()).unwrap();
    assert_eq!(trust, ledger.trust().unwrap());
    drop(ledger);

    // The operator goes on, and so do the witnesses, from what they have cosigned.
    let writer = Writer::open(&third, secret("operator"), clock()).unwrap();
    assert_eq!(writer.submit(author.donation(5000)).unwrap().index, 600);
    writer.ask_witnesses(std::time::Duration::from_secs(60));
    writer.close().unwrap();
    assert_eq!(one.asked().last(), Some(&(600, 601)));
    let ledger = Ledger::open(&third).unwrap();
    check_ledger(&ledger);
    let report = audit(&ledger, Some(&ledger.trust().unwrap()), &Options::default()).unwrap();
    assert_eq!((report.outcome(), report.entries), (Outcome::Clean, 601));
}

#[test]
fn every_shape_of_the_right_edge_comes_over() {
    let mut world = World::new();
    (0..90).for_each(|number| _ = journey(&mut world, number));
    let forge = Forge::of(&world);
    let entries = forge.entries();
    assert!(entries.len() > 257);
    for size in [1, 2, 255, 256, 257] {
        let mut files = Files::of(&entries[..size], "operator");
        files.trust_copy = TrustCopy::Absent;
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("ledger");
        let ledger = of(&files, Some(&forge.trust())).unwrap().into_folder(&folder).unwrap();
        assert_eq!(ledger.log().cosigned().to_string().as_bytes(), files.checkpoint);
        for file in files.files().skip(2) {
            let bytes = match file {
                giftproof::bundle::LogFile::Tile(tile) => LogSource::tile(&ledger, &tile),
                giftproof::bundle::LogFile::Entries(bundle) => ledger.entries(&bundle),
                _ => unreachable!("the first two are left out"),
            };
            assert_eq!(&bytes.unwrap(), files.bytes(file).unwrap(), "{file} of {size}");
        }
        check_ledger(&ledger);
    }
}

/// What the source may do after its audit.
struct Fickle<'a> {
    files: &'a Files,
    after: &'a Files,
    breaks: AtomicBool,
    audited: AtomicBool,
}

impl Fickle<'_> {
    fn now(&self) -> &Files {
        if self.audited.load(Ordering::SeqCst) { self.after } else { self.files }
    }
}

impl LogSource for Fickle<'_> {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.files.checkpoint()
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        self.files.trust_copy()
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        self.now().tile(tile)
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        if bundle.index() == 1 && self.breaks.load(Ordering::SeqCst) {
            let file = Some(giftproof::bundle::LogFile::Entries(*bundle));
            return Err(SourceError::Io { file, source: std::io::Error::other("gone") });
        }
        self.now().entries(bundle)
    }
}

#[test]
fn what_was_interrupted_is_recognised_and_made_again() {
    let mut world = World::new();
    (0..90).for_each(|number| _ = journey(&mut world, number));
    let entries = Forge::of(&world).entries();
    let mut files = Files::of(&entries, "operator");
    files.trust_copy = TrustCopy::Absent;
    // Another log of the same size: one of its gifts is another one.
    let mut other = World::new();
    (0..89).chain([999]).for_each(|number| _ = journey(&mut other, number));
    let other = Files::of(&Forge::of(&other).entries(), "operator");
    assert_eq!(files.size, other.size);

    let no = || AtomicBool::new(false);
    let source = Fickle { files: &files, after: &files, breaks: no(), audited: no() };
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("ledger");
    let transfer = of(&source, None).unwrap();
    source.breaks.store(true, Ordering::SeqCst);
    assert_eq!(transfer.into_folder(&folder).err().unwrap().code(), "bundle/io");
    let unfinished = |folder: &Path| Ledger::open(folder).err().unwrap().code();
    assert_eq!(unfinished(&folder), "store/unfinished");
    source.breaks.store(false, Ordering::SeqCst);
    check_ledger(&transfer.into_folder(&folder).unwrap());
    assert_eq!(transfer.into_folder(&folder).err().unwrap().code(), "store/occupied");

    // What was audited is what is copied, or nothing is.
    let source = Fickle { files: &files, after: &other, breaks: no(), audited: no() };
    let folder = home.path().join("changed");
    let transfer = of(&source, None).unwrap();
    source.audited.store(true, Ordering::SeqCst);
    assert_eq!(transfer.into_folder(&folder).err().unwrap().code(), "audit/changed");
    assert_eq!(unfinished(&folder), "store/unfinished");
}

#[test]
fn what_is_damaged_short_or_unsigned_stays_outside() {
    let mut world = World::new();
    (0..90).for_each(|number| _ = journey(&mut world, number));
    let mut forge = Forge::of(&world);
    let trust = forge.trust();
    let good = || {
        let mut files = forge.files();
        files.trust_copy = TrustCopy::Absent;
        files
    };
    let code = |files: &Files, trust: Option<&TrustFile>| of(files, trust).err().unwrap().code();
    assert!(of(&good(), Some(&trust)).is_ok());
    assert!(of(&good(), None).is_ok());

    let mut damaged = good();
    let bundle = *damaged.bundles.keys().next().unwrap();
    let bytes = damaged.bundles.get_mut(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert_eq!(code(&damaged, None), "transfer/failed");
    let mut short = good();
    let last = *short.bundles.keys().next_back().unwrap();
    short.bundles.remove(&last);
    assert_eq!(code(&short, None), "transfer/failed");
    let mut foreign = good();
    let root = foreign.signed_checkpoint().checkpoint().root;
    foreign.sign(ORIGIN, root, "stranger");
    assert_eq!(code(&foreign, None), "transfer/failed");
    let mut unsigned = good();
    let text = unsigned.signed_checkpoint().note().text().to_owned();
    unsigned.checkpoint = format!("{text}\n").into_bytes();
    assert_eq!(code(&unsigned, None), "transfer/failed");

    // A trust file of one's own must be satisfied; the copy that came along need only be one.
    let demanding = forge.trust_with(crate::audit::two_of_three());
    assert_eq!(code(&good(), Some(&demanding)), "transfer/failed");
    let mut copied = good();
    copied.trust_copy = TrustCopy::Intact(demanding.to_string().into_bytes());
    assert!(of(&copied, None).is_ok());
    copied.trust_copy = TrustCopy::Intact(b"no trust file".to_vec());
    assert_eq!(code(&copied, None), "transfer/trust-copy");
    assert!(of(&copied, Some(&trust)).is_ok());
    copied.trust_copy = TrustCopy::Intact(b"giftproof-trust/v2\n".to_vec());
    assert_eq!(code(&copied, None), "trust-file/newer-version");

    let event = unknown(&world, &forge, "hospital-a");
    forge.push_event(event);
    let mut newer = forge.files();
    newer.trust_copy = TrustCopy::Absent;
    assert_eq!(code(&newer, None), "transfer/not-understood");
}

#[test]
fn the_command_moves_a_ledger_from_bundle_mirror_and_folder() {
    let desk = Desk::with_ledger();
    let gift = desk.donate();
    desk.run("office", "trust my.trust");
    desk.run("office", "export all.zip");
    desk.run("office", "mirror ledger mirrored --once --trust my.trust");
    assert!(Mirror::is_at(&desk.path("office").join("mirrored")));
    let size = desk.size();
    for source in ["all.zip", "mirrored", "ledger"] {
        let to = format!("from-{source}");
        let line = format!("import --bundle {source} --ledger {to} --trust my.trust");
        let answer: Value = desk.json("office", &line);
        assert_eq!((answer["size"].as_u64(), &answer["trusted"]), (Some(size), &Value::Bool(true)));
        desk.run("office", &format!("audit {to} --trust my.trust"));
        desk.run("office", &format!("lookup {gift} --ledger {to}"));
        desk.run("office", &format!("export {to}.zip --ledger {to}"));
        let exported = |name: &str| fs::read(desk.path("office").join(name)).unwrap();
        assert!(exported(&format!("{to}.zip")) == exported("all.zip"), "{source}");
        desk.refused("office", &line, "store/occupied", 2);
    }
    assert!(!desk.path("office").join("from-all.zip").join(POLICY_FILE).exists());
    let told = desk.run("office", "import --bundle all.zip --ledger again --lang zh");
    assert!(told.contains("未与您自己的信任文件比对"), "{told}");

    let path = desk.path("office").join("all.zip");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    desk.refused("office", "import --bundle all.zip --ledger no", "transfer/failed", 1);
    assert!(!desk.path("office").join("no").exists());
    desk.refused("office", "import --bundle all.zip --map m.toml", "usage/conflict", 2);
    desk.refused("office", "import list.csv", "usage/missing-argument", 2);
}
