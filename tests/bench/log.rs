//! The logs that are measured: the generated bundles, and ledger folders that hold the same events.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use giftproof::bundle::{BundleReader, LogSource, OpenedBundle};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::entry::{Entry, SignedEvent};
use giftproof::model::event::Kind;
use giftproof::model::hash::LeafHash;
use giftproof::model::ident::GiftId;
use giftproof::model::tile::EntryBundle;
use giftproof::model::trust::TrustFile;
use giftproof::writer::{Clock, ManualClock, Writer};

use crate::generator::{Generated, Parameters, generate};
use crate::measurement::{Result, print, rate, round, timed};
use crate::util::secret;

/// Events that are handed in at once.
pub const IN_FLIGHT: usize = 4096;

/// A folder with a generated ledger.
pub struct Folder {
    pub path: PathBuf,
    pub generated: Generated,
}

impl Folder {
    /// Makes the ledger, unless the folder has it.
    pub fn with(path: &Path, parameters: Parameters) -> Result<Self> {
        let had = Generated::in_folder(path);
        let (generated, seconds) = timed(|| generate(path, parameters));
        let generated = generated.map_err(|error| error.to_string())?;
        if had.as_ref() != Some(&generated) {
            print(serde_json::json!({
                "what": "generate", "entries": parameters.entries,
                "rate": rate(parameters.entries_later(), seconds), "seconds": round(seconds, 1),
                "peak_bytes": crate::measurement::peak_bytes(),
                "subjects_at_most": generated.subjects_at_most,
                "disk_bytes": fs::metadata(path.join("bundle.zip"))?.len(),
            }));
        }
        Ok(Self { path: path.to_path_buf(), generated })
    }

    /// A folder in which the ledger was made.
    pub fn open(path: &Path) -> Result<Self> {
        let generated = Generated::in_folder(path).ok_or("no ledger was made in this folder")?;
        Ok(Self { path: path.to_path_buf(), generated })
    }

    pub fn entries(&self) -> u64 {
        self.generated.parameters.entries
    }

    pub fn bundle(&self) -> Result<BundleReader> {
        open_bundle(&self.path.join("bundle.zip"))
    }

    pub fn later(&self) -> Result<BundleReader> {
        open_bundle(&self.path.join("later.zip"))
    }

    pub fn trust(&self) -> Result<TrustFile> {
        Ok(TrustFile::parse(&fs::read(self.path.join("trust"))?)?)
    }

    /// The ids of some gifts.
    pub fn gifts(&self) -> Result<Vec<GiftId>> {
        let gifts = fs::read_to_string(self.path.join("gifts"))?;
        gifts.lines().map(|line| Ok(line.parse()?)).collect()
    }

    pub fn genesis(&self) -> LeafHash {
        self.generated.parameters.genesis().leaf()
    }

    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger")
    }

    /// Stands beside a ledger folder that holds all events.
    fn ledger_is_whole(&self) -> PathBuf {
        self.path.join("ledger-is-whole")
    }

    /// The ledger folder, filled by the real writer if it is not there.
    pub fn with_ledger(&self) -> Result<PathBuf> {
        if !self.ledger_is_whole().exists() {
            let (writer, _) = self.begin_ledger()?;
            let mut events = Events::of(self.bundle()?, 1)?;
            loop {
                let chunk: Vec<_> = events.by_ref().take(IN_FLIGHT).collect();
                if chunk.is_empty() {
                    break;
                }
                submit_all(&writer, chunk)?;
            }
            writer.close()?;
            self.note_whole()?;
        }
        Ok(self.ledger())
    }

    pub fn note_whole(&self) -> Result<()> {
        Ok(fs::write(self.ledger_is_whole(), "")?)
    }

    /// The ledger folder is about to get more events than the bundle has.
    pub fn note_changed(&self) -> Result<()> {
        Ok(fs::remove_file(self.ledger_is_whole())?)
    }

    /// An empty ledger folder in the place of any other. Its clock stands after the last event.
    pub fn begin_ledger(&self) -> Result<(Writer, ManualClock)> {
        let _ = fs::remove_file(self.ledger_is_whole());
        if self.ledger().exists() {
            fs::remove_dir_all(self.ledger())?;
        }
        let parameters = &self.generated.parameters;
        let genesis = parameters.genesis();
        let clock = ManualClock::new(genesis.header.recorded_at);
        let writer = Writer::create(
            &self.ledger(),
            genesis.event,
            secret("operator"),
            Clock::Manual(clock.clone()),
        )?;
        clock.set(self.end());
        Ok((writer, clock))
    }

    /// After the last event of `later.zip`.
    pub fn end(&self) -> giftproof::model::date::UnixMs {
        self.generated.parameters.recorded_at(self.generated.parameters.entries_later() + 1)
    }
}

/// Submits events that must all be accepted.
pub fn submit_all(writer: &Writer, events: Vec<SignedEvent>) -> Result<()> {
    for answer in writer.submit_many(events) {
        answer?;
    }
    Ok(())
}

/// The number of the consignment that an event tells of, which stands in its nonce.
pub fn consignment(event: &SignedEvent) -> u64 {
    let (head, _) = event.frame.open().expect("a generated event can be read");
    u64::from_be_bytes(*head.nonce.first_chunk().expect("a nonce has 16 bytes"))
}

/// Whether an event names the index of another: such an event is right in one order only.
pub fn names_an_index(event: &SignedEvent) -> bool {
    event.frame.kind == Kind::Correction as u16
}

/// The bundle in a file, of the size that its checkpoint states.
pub fn open_bundle(path: &Path) -> Result<BundleReader> {
    let opened = OpenedBundle::open(path)?;
    let size = SignedCheckpoint::parse(opened.checkpoint())?.checkpoint().size;
    Ok(opened.with_size(size)?)
}

/// As the checkpoint states it.
pub fn size_of(bundle: &BundleReader) -> Result<u64> {
    Ok(SignedCheckpoint::parse(&bundle.checkpoint()?)?.checkpoint().size)
}

/// The events of a log in their order, without the seals of its operator, who makes his own.
pub struct Events {
    bundle: BundleReader,
    size: u64,
    next: u64,
    read: VecDeque<SignedEvent>,
}

impl Events {
    /// From an entry on.
    pub fn of(bundle: BundleReader, from: u64) -> Result<Self> {
        Ok(Self { size: size_of(&bundle)?, bundle, next: from, read: VecDeque::new() })
    }

    /// Reads the rest of the bundle that holds the next entry.
    fn read(&mut self) -> Result<()> {
        let layout = self.bundle.layout().tree();
        let coord = layout.bundle(self.next / 256).expect("the size was compared");
        let bytes = self.bundle.entries(&coord)?;
        let skip = (self.next % 256) as usize;
        for entry in EntryBundle::parse(&bytes, &coord)?.entries().skip(skip) {
            self.next += 1;
            let event = Entry::from_bytes(entry)?.event;
            if event.frame.kind != Kind::EpochSealed as u16 {
                self.read.push_back(event);
            }
        }
        Ok(())
    }
}

impl Iterator for Events {
    type Item = SignedEvent;

    fn next(&mut self) -> Option<SignedEvent> {
        while self.read.is_empty() && self.next < self.size {
            self.read().expect("a generated bundle can be read");
        }
        self.read.pop_front()
    }
}
