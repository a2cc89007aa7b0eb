//! `event`: events in files, so that several signers on several machines, one of them without
//! network, can sign one event.

use std::path::PathBuf;

use serde_json::json;

use super::args::EventCommand;
use super::context::Context;
use super::describe;
use super::event_file::{EventFile, signer_name};
use super::failure::Failure;
use super::keyring::Keyring;
use super::signing;
use crate::bundle::Existing;

/// The commands on events in files.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Writes an event to a file instead of recording it.
    Draft(DraftArgs),
    /// Shows what will be signed.
    Show(ShowArgs),
    /// Adds signatures.
    Sign(SignArgs),
    /// Records the event.
    Submit(SubmitArgs),
}

/// What `event draft` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct DraftArgs {
    #[command(subcommand)]
    command: Box<EventCommand>,
}

/// What `event show` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ShowArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What `event sign` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct SignArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What `event submit` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct SubmitArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[arg(long, value_name = "FILE")]
    new_operator_key: Option<PathBuf>,
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// When files, keys or ledger fail, or the rules refuse the event.
    pub fn run(&self, ctx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Draft(args) => {
                ctx.drafting = true;
                args.command.run(ctx)
            }
            Self::Show(args) => {
                let file = EventFile::read(&args.file)?;
                ctx.answer(&describe::value(&file)?, &describe::describe(ctx, &file)?)
            }
            Self::Sign(args) => sign(args, ctx),
            Self::Submit(args) => submit(args, ctx),
        }
    }
}

fn sign(args: &SignArgs, ctx: &Context) -> Result<(), Failure> {
    let mut file = EventFile::read(&args.file)?;
    let ring = Keyring::read(ctx, &args.keys)?;
    let added = file.sign(&ring)?;
    if added.is_empty() {
        return Err(Failure::refused("event-file/not-asked"));
    }
    match &args.out {
        Some(out) => file.write(out, Existing::Refuse)?,
        None => file.write(&args.file, Existing::Replace)?,
    }
    let signed: Vec<String> = added.iter().map(signer_name).collect();
    let missing = signing::unsigned(&file)?;
    let mut text = ctx.say("event.signed", &[("who", &signing::names(ctx, &added))]);
    text.push('\n');
    let path = args.out.as_ref().unwrap_or(&args.file);
    text += &signing::next(ctx, signing::kind_of(&file)?, &missing, path);
    text.push('\n');
    let missing: Vec<String> = missing.iter().map(signer_name).collect();
    ctx.answer(&json!({ "signed": signed, "unsigned": missing }), &text)
}

fn submit(args: &SubmitArgs, ctx: &Context) -> Result<(), Failure> {
    let mut file = EventFile::read(&args.file)?;
    let mut ring = Keyring::default();
    if let Some(path) = &args.new_operator_key {
        ring.add(super::keyring::read(ctx, path)?);
    }
    // Where the operator itself is asked to sign, its key is at hand now.
    ring.add(ctx.operator()?);
    file.sign(&ring)?;
    let writer = ctx.open_writer()?;
    let mut done = signing::submit(ctx, &writer, file, &ring, "event-file/unsigned")?;
    done.witnesses = super::witnesses::close(ctx, writer)?;
    done.report(ctx, &[])
}
