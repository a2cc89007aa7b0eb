//! `witness`: who cosigns the ledger's checkpoints, and how to be one who does.

#[cfg(feature = "serve")]
mod serve;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::witnesses;
use crate::witness::{FolderError, WitnessFolder};

/// The commands on witnesses.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// One more witness.
    Add(witnesses::AddArgs),
    /// The witnesses, and what they have cosigned.
    List,
    /// One witness less.
    Remove(witnesses::RemoveArgs),
    /// How many must cosign.
    Quorum(witnesses::QuorumArgs),
    /// The whole policy.
    Policy(witnesses::PolicyArgs),
    /// Asks for cosignatures now.
    Ask,
    /// Runs a witness.
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    /// Tells a witness's key.
    Vkey(VkeyArgs),
}

/// What `witness vkey` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct VkeyArgs {
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// The command's own.
    pub fn run(&self, ctx: &Context) -> Result<(), Failure> {
        match self {
            Self::Add(args) => witnesses::add(args, ctx),
            Self::List => witnesses::list(ctx),
            Self::Remove(args) => witnesses::remove(args, ctx),
            Self::Quorum(args) => witnesses::quorum(args, ctx),
            Self::Policy(args) => witnesses::policy(args, ctx),
            Self::Ask => witnesses::ask(ctx),
            #[cfg(feature = "serve")]
            Self::Serve(args) => serve::run(args, ctx),
            Self::Vkey(args) => vkey(args, ctx),
        }
    }
}

fn vkey(args: &VkeyArgs, ctx: &Context) -> Result<(), Failure> {
    let key = WitnessFolder::vkey(&args.folder).map_err(|error| folder(&args.folder, &error))?;
    ctx.answer(&json!({ "vkey": key.to_string() }), &format!("{key}\n"))
}

/// A witness's folder that cannot be used.
fn folder(folder: &Path, error: &FolderError) -> Failure {
    Failure::new(error.code()).with("path", folder.display()).or_say(error)
}
