//! `witness`: who cosigns the ledger's checkpoints, and how many of them must.

use clap::Subcommand;

use super::context::Context;
use super::failure::Failure;
use super::witnesses;

/// The commands on witnesses.
#[derive(Subcommand, Clone, Debug)]
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
        }
    }
}
