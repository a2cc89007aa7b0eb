//! `export`, `trust` and `reindex`: the regulator's bundle, the trust file, the derived index.

use std::path::PathBuf;

use serde_json::json;

use super::context::Context;
use super::failure::{Failure, write_failed};
use super::init::{check_output, write_trust};
use super::progress::{Progress, Stages, index_word};
use super::witnesses::ask_before_export;
use crate::bundle::{Existing, WriteError};
use crate::ledger::{Ledger, LedgerError};

/// What `export` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ExportArgs {
    #[arg(value_name = "OUT.zip")]
    out: PathBuf,
    #[arg(long, value_name = "SIZE")]
    until: Option<u64>,
    #[arg(long)]
    replace: bool,
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    #[arg(long)]
    no_witnesses: bool,
}

/// What `trust` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct TrustArgs {
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Writes the bundle.
///
/// # Errors
/// When the ledger cannot be read or the bundle not be written.
pub fn run(args: &ExportArgs, ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let size = ledger.checkpoint().checkpoint().size;
    let until = args.until.unwrap_or(size);
    // Only an earlier size needs a checkpoint that nobody has signed yet.
    let operator = match ledger.kept_checkpoint(until) {
        Some(_) => None,
        None => Some(ctx.operator()?),
    };
    if until == 0 || until > size {
        return Err(Failure::new("export/no-such-size").with("until", until).with("size", size));
    }
    if let Some(path) = &args.trust {
        check_output(path)?;
    }
    if until == size && !args.no_witnesses {
        ask_before_export(&ledger, ctx);
    }
    let existing = if args.replace { Existing::Replace } else { Existing::Refuse };
    let line = Progress::begin(ctx, "export");
    let mut progress = |done, all| line.at(done, all);
    let written = ledger.export(&args.out, args.until, operator.as_ref(), existing, &mut progress);
    drop(line);
    written.map_err(|error| match error {
        LedgerError::Export(WriteError::Io(error)) => write_failed(&args.out, &error),
        other => other.into(),
    })?;
    if let Some(path) = &args.trust {
        write_trust(&ledger, path)?;
    }
    let text = ctx.say("done.exported", &[("count", &until), ("path", &args.out.display())]);
    ctx.answer(&json!({ "bundle": args.out, "size": until }), &(text + "\n"))
}

/// Shows the trust file as of now, or writes it.
///
/// # Errors
/// When the ledger cannot be read, or the file exists or cannot be written.
pub fn trust(args: &TrustArgs, ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let Some(path) = &args.file else {
        let trust = ledger.trust()?.to_string();
        return ctx.answer(&json!({ "trust": trust }), &trust);
    };
    write_trust(&ledger, path)?;
    let text = ctx.say("next.trust", &[("path", &path.display())]);
    ctx.answer(&json!({ "file": path }), &(text + "\n"))
}

/// Builds the index anew.
///
/// # Errors
/// When the ledger cannot be read or the index not be written.
pub fn reindex(ctx: &Context) -> Result<(), Failure> {
    let stages = Stages::new(ctx, index_word);
    let mut progress = |stage, done, all| stages.at(stage, done, all);
    let ledger = Ledger::reindex(ctx.ledger_dir()?, &mut progress)?;
    stages.clear();
    let size = ledger.state().size;
    ctx.answer(&json!({ "size": size }), &(ctx.say("done.reindexed", &[("count", &size)]) + "\n"))
}
