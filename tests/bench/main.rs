//! How fast, how large, how much memory: everything that is measured, on ledgers of any size.
//!
//! ```text
//! cargo bench --bench measure -- all --entries 1000000 --gifts 200000
//! cargo bench --bench measure -- audit --entries 100000 --gifts 20000 --dir /var/tmp/measured
//! ```
//!
//! A ledger takes about 3 kB an entry on disk in all its forms: 30 GB for 10 million. Tables of 4 or
//! 10 million rows are sealed by `seal --rows 4000000`, without a ledger.
//!
//! Each benchmark prints one JSON line a measurement; `all` runs them one after the other and ends
//! with a table. The ledgers are made up, the same for the same `--entries`, `--gifts`, `--parties`
//! and `--seed`, in a temporary folder or in `--dir`, where the next run finds them again. Beside
//! what is fast stands its floor, measured in the same run: see `floor`.

mod all;
mod audit;
mod disk;
mod floor;
mod generator;
mod ingest;
mod log;
mod lookup;
mod machine;
mod measurement;
mod opening;
mod proof;
mod scms;
mod seal;
#[path = "../util.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod util;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use generator::Parameters;
use log::Folder;
use measurement::Result;

/// Measures giftproof.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// Cargo says so to every benchmark.
    #[arg(long = "bench", hide = true, global = true)]
    by_cargo: bool,
}

#[derive(Subcommand)]
enum Bench {
    /// Everything, and a table of it.
    All(Ledger),
    /// Only makes the ledger.
    Generate(Ledger),
    /// Audits of a bundle and of a ledger folder, and again when 1 % more has come.
    Audit(Ledger),
    /// How fast events come in, from many and from one.
    Ingest(Ledger),
    /// What became of a gift.
    Lookup(Ledger),
    /// Opening after a clean stop and after kill -9.
    Open(Ledger),
    /// Building the index anew.
    Reindex(Ledger),
    /// Bundle, mirror, ledger folder and index.
    Disk(Ledger),
    /// Making and checking a proof file in a large log, which is simulated.
    Proof {
        #[arg(long, default_value_t = 100_000)]
        entries: u64,
        #[arg(long, default_value_t = 20_000)]
        gifts: u64,
    },
    /// Sealing a large table again.
    Seal {
        #[arg(long, default_value_t = 200_000)]
        rows: usize,
        #[arg(long, default_value_t = 65_536)]
        touched: usize,
    },
    /// Published deliveries of a real project, written, audited and exported.
    Scms {
        /// How often the audit is timed.
        #[arg(long, default_value = "5")]
        runs: NonZeroUsize,
    },
    // Parts of the others, in processes of their own.
    #[command(hide = true)]
    AuditOnce {
        #[arg(long)]
        dir: PathBuf,
        of: String,
    },
    #[command(hide = true)]
    LookupOnce {
        #[arg(long)]
        dir: PathBuf,
    },
    #[command(hide = true)]
    OpenOnce {
        #[arg(long)]
        dir: PathBuf,
        of: String,
    },
    #[command(hide = true)]
    ReindexOnce {
        #[arg(long)]
        dir: PathBuf,
    },
    #[command(hide = true)]
    MirrorOnce {
        #[arg(long)]
        dir: PathBuf,
    },
    #[command(hide = true)]
    UntilKilled {
        #[arg(long)]
        dir: PathBuf,
        share: f64,
    },
    #[command(hide = true)]
    ScmsOnce { dir: PathBuf },
}

/// Which ledger.
#[derive(Args)]
struct Ledger {
    #[arg(long, default_value_t = 100_000)]
    entries: u64,
    #[arg(long, default_value_t = 20_000)]
    gifts: u64,
    #[arg(long, default_value_t = 500)]
    parties: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Without seals, making it needs no memory that grows with the gifts.
    #[arg(long)]
    no_seals: bool,
    /// Where the ledger is made, and found again; a temporary folder unless given.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Ledger {
    fn parameters(&self) -> Parameters {
        let Self { entries, gifts, parties, seed, .. } = *self;
        Parameters { entries, gifts, parties, seed, seals: !self.no_seals }
    }

    /// What to compare with: a ledger of 10,000 entries.
    fn small(&self) -> Parameters {
        let entries = self.entries.min(10_000);
        let gifts =
            (u128::from(self.gifts) * u128::from(entries) / u128::from(self.entries)) as u64;
        Parameters { entries, gifts: gifts.max(1), ..self.parameters() }
    }

    /// The same, for another process.
    fn arguments(&self) -> Vec<String> {
        let numbers = [
            ("--entries", self.entries),
            ("--gifts", self.gifts),
            ("--parties", self.parties),
            ("--seed", self.seed),
        ];
        let numbers = numbers.into_iter().flat_map(|(name, n)| [name.to_owned(), n.to_string()]);
        numbers.chain(self.no_seals.then(|| "--no-seals".to_owned())).collect()
    }

    /// Runs something in the folder, which goes away again if it is a temporary one.
    fn in_folder(&self, run: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        match &self.dir {
            Some(dir) => {
                fs::create_dir_all(dir)?;
                run(dir)
            }
            None => run(tempfile::tempdir()?.path()),
        }
    }

    fn with(&self, run: impl FnOnce(&Folder) -> Result<()>) -> Result<()> {
        self.in_folder(|dir| run(&Folder::with(&dir.join("large"), self.parameters())?))
    }

    fn with_both(&self, run: impl FnOnce(&Folder, &Folder) -> Result<()>) -> Result<()> {
        self.in_folder(|dir| {
            let small = Folder::with(&dir.join("small"), self.small())?;
            run(&small, &Folder::with(&dir.join("large"), self.parameters())?)
        })
    }
}

fn main() -> Result<()> {
    match Arguments::parse().bench {
        Bench::All(ledger) => {
            ledger.in_folder(|dir| all::run(dir, &ledger.arguments(), ledger.gifts))
        }
        Bench::Generate(ledger) => ledger.with(|_| Ok(())),
        Bench::Audit(ledger) => ledger.with(audit::run),
        Bench::Ingest(ledger) => ledger.with(ingest::run),
        Bench::Lookup(ledger) => ledger.with_both(lookup::run),
        Bench::Open(ledger) => ledger.with_both(opening::run),
        Bench::Reindex(ledger) => ledger.with(opening::reindex),
        Bench::Disk(ledger) => ledger.with(disk::run),
        Bench::Proof { entries, gifts } => proof::run(entries, gifts),
        Bench::Seal { rows, touched } => seal::run(rows, touched),
        Bench::Scms { runs } => scms::run(runs.get()),
        Bench::AuditOnce { dir, of } => audit::once(&Folder::open(&dir)?, &of),
        Bench::LookupOnce { dir } => lookup::once(&Folder::open(&dir)?),
        Bench::OpenOnce { dir, of } => opening::once(&Folder::open(&dir)?, &of),
        Bench::ReindexOnce { dir } => opening::reindex_once(&Folder::open(&dir)?),
        Bench::MirrorOnce { dir } => disk::mirror_once(&Folder::open(&dir)?),
        Bench::UntilKilled { dir, share } => ingest::until_killed(&Folder::open(&dir)?, share),
        Bench::ScmsOnce { dir } => scms::once(&dir),
    }
}
