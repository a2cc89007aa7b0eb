//! `prove`: the proof that one entry is in the log, in the form that tools for C2SP tlog-proof read.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::audit::with_source;
use super::context::Context;
use super::failure::{Failure, read_file, write_failed};
use super::init::check_output;
use crate::bundle::{Existing, OutputFile};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::hash::leaf_hash;
use crate::model::ident::EntryIndex;
use crate::model::note::NOTE_LEN_MAX;
use crate::prove::{NoProof, prove_entry};

/// What `prove` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "INDEX")]
    index: EntryIndex,
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Writes the proof, and the entry's bytes beside it where they are asked for.
///
/// # Errors
/// `prove/no-such-entry`, `prove/other-log`, `prove/misfit`; when the log cannot be read or a file
/// not be written.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    for path in [&args.out, &args.entry].into_iter().flatten() {
        check_output(path)?;
    }
    let under = args.checkpoint.as_deref().map(read_checkpoint).transpose()?;
    let proven = with_source(ctx.ledger_dir()?, ctx, |source| {
        prove_entry(source, args.index, under).map_err(Failure::from)
    })?;
    let proof = proven.proof.to_string();
    if let Some(path) = &args.entry {
        write(path, &proven.entry)?;
    }
    let size = proven.proof.checkpoint().checkpoint().size;
    let mut answer = json!({
        "index": args.index,
        "size": size,
        "leaf": leaf_hash(&proven.entry).to_string(),
        "entry": args.entry,
    });
    let Some(path) = &args.out else {
        answer["proof"] = proof.clone().into();
        return ctx.answer(&answer, &proof);
    };
    write(path, proof.as_bytes())?;
    answer["out"] = json!(path);
    let places: [(&str, &dyn std::fmt::Display); 3] =
        [("index", &args.index), ("size", &size), ("path", &path.display())];
    ctx.answer(&answer, &(ctx.say("done.proven", &places) + "\n"))
}

impl From<NoProof> for Failure {
    fn from(error: NoProof) -> Self {
        match &error {
            NoProof::NoSuchEntry { index, size } => {
                Self::new(error.code()).with("index", index).with("size", size)
            }
            NoProof::Source(_) => Self::new(error.code()).or_say(error),
            _ => Self::refused(error.code()).or_say(error),
        }
    }
}

fn read_checkpoint(path: &Path) -> Result<SignedCheckpoint, Failure> {
    let bytes = read_file(path, NOTE_LEN_MAX as u64)?;
    SignedCheckpoint::parse(&bytes).map_err(|error| Failure::refused(error.code()).or_say(error))
}

/// Writes a file that appears whole or not at all.
///
/// # Errors
/// When it cannot be written, or exists.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let mut file = OutputFile::create(path, Existing::Refuse)?;
        file.write_all(bytes)?;
        file.commit()
    };
    write().map_err(|error| write_failed(path, &error))
}
