//! `giftproof demo`: real donations in three acts. This builds; the command line tells.
//!
//! 1. [`published`]: the lists as they were published, and what can be proven from them.
//! 2. [`journeys`]: designated gifts with whole journeys, as they could have been; and [`scenes`]
//!    in which something goes wrong, between invented parties only.
//! 3. [`cheats`]: copies of the bundle that a dishonest operator has changed, and what the audit
//!    says of them.
//!
//! All events go through the writer as everybody's do. The clock is set by hand and begins in 2026:
//! nothing pretends to be older than its keys. The same seed gives the same bytes.

pub mod cheats;
pub mod journeys;
mod moves;
pub mod published;
pub mod scenes;
pub mod stage;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bundle::{Existing, OutputFile, SourceError, WriteError};
use crate::import::{ImportError, SigningError};
use crate::ledger::{Ledger, LedgerError};
use crate::model::encoding::Malformed;
use crate::model::trust::{TrustError, TrustFile};
use crate::model::violation::Violation;
use crate::verify::AuditError;
use crate::writer::{Refused, WriterError};

pub use stage::Seed;
use stage::Stage;

/// Why the demonstration had to stop.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The folder holds something already.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An embedded list cannot be read.
    #[error(transparent)]
    List(#[from] csv::Error),
    /// An embedded list cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A plan cannot be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The rules refuse what was to be imported.
    #[error(transparent)]
    Rehearsal(#[from] Violation),
    /// An event is malformed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The writer refuses an event.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The writer has stopped.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The trust file cannot be read again.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The bundle cannot be read again.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A changed bundle cannot be written.
    #[error(transparent)]
    Bundle(#[from] WriteError),
    /// An audit cannot be run.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Where the demonstration leaves what it makes.
#[derive(Clone, Debug)]
pub struct Places {
    /// The ledger's folder.
    pub ledger: PathBuf,
    /// The bundle for auditors.
    pub bundle: PathBuf,
    /// The trust file that an auditor pins.
    pub trust: PathBuf,
    /// Changed copies of the bundle.
    pub cheats: PathBuf,
}

/// A run of the demonstration. Its acts are played in their order.
pub struct Demo {
    /// Where everything is.
    pub places: Places,
    stage: Stage,
}

impl Demo {
    /// Begins in an empty or new folder.
    ///
    /// # Errors
    /// [`DemoError::NotEmpty`], and where the ledger cannot be created.
    pub fn begin(dir: &Path, seed: Seed) -> Result<Self, DemoError> {
        std::fs::create_dir_all(dir)?;
        if std::fs::read_dir(dir)?.next().is_some() {
            return Err(DemoError::NotEmpty(dir.to_path_buf()));
        }
        let places = Places {
            ledger: dir.join("ledger"),
            bundle: dir.join("bundle.zip"),
            trust: dir.join("giftproof.trust"),
            cheats: dir.join("cheats"),
        };
        let stage = Stage::create(&places.ledger, seed)?;
        Ok(Self { places, stage })
    }

    /// Act 1: as it was published.
    ///
    /// # Errors
    /// Those of the import.
    pub fn publish(&mut self) -> Result<published::Published, DemoError> {
        published::play(&mut self.stage)
    }

    /// Act 2, first part: as it could be.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn journeys(&mut self) -> Result<journeys::Journeys, DemoError> {
        journeys::play(&mut self.stage)
    }

    /// Act 2, second part: what can go wrong, between invented parties.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn scenes(&mut self) -> Result<Vec<scenes::Scene>, DemoError> {
        scenes::play(&mut self.stage)
    }

    /// Closes the ledger, and exports the bundle and the trust file.
    ///
    /// # Errors
    /// Those of the ledger and of writing.
    pub fn export(self) -> Result<Exported, DemoError> {
        let (places, seed) = (self.places, self.stage.seed().clone());
        self.stage.close()?;
        let ledger = Ledger::open(&places.ledger)?;
        ledger.export(&places.bundle, None, None, Existing::Refuse, &mut |_, _| {})?;
        let trust = ledger.trust()?;
        let mut file = OutputFile::create(&places.trust, Existing::Refuse)?;
        io::Write::write_all(&mut file, trust.to_string().as_bytes())?;
        file.commit()?;
        Ok(Exported { places, seed, ledger, trust })
    }
}

/// The finished ledger, and what an auditor gets.
pub struct Exported {
    /// Where everything is.
    pub places: Places,
    /// The ledger, open for reading.
    pub ledger: Ledger,
    /// What an auditor pins.
    pub trust: TrustFile,
    seed: Seed,
}

impl Exported {
    /// Act 3: audits the bundle as it is, and as a dishonest operator would have it.
    ///
    /// # Errors
    /// Where a bundle cannot be written, or an audit cannot be run.
    pub fn cheat(&self) -> Result<Vec<cheats::Audited>, DemoError> {
        cheats::play(&self.places, &self.trust, &self.seed)
    }
}
