//! `key`: new keys, and what they are.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::{Context, random};
use super::failure::{Failure, write_failed};
use super::keyring;
use crate::bundle::{Existing, OutputFile};
use crate::keyfile::{self, KeyFileError, Protection};
use crate::model::ident::KeyBytes;
use crate::model::key::SecretKey;
use crate::model::state::{GiftKey, Owner};

/// The commands on keys.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Makes a key.
    New(NewArgs),
    /// Tells what a key file holds.
    Show(ShowArgs),
}

/// What `key new` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct NewArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[arg(long)]
    unencrypted: bool,
}

/// What `key show` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ShowArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn run(&self, ctx: &Context) -> Result<(), Failure> {
        match self {
            Self::New(args) => new(args, ctx),
            Self::Show(args) => show(args, ctx),
        }
    }
}

fn new(args: &NewArgs, ctx: &Context) -> Result<(), Failure> {
    let secret = SecretKey::generate(&mut random());
    let public = args.file.with_extension("pub");
    if public.symlink_metadata().is_ok() {
        return Err(Failure::new("file/exists").with("path", public.display()));
    }
    write(ctx, &args.file, &secret, args.unencrypted)?;
    // A crash here leaves the key without its public half, which `key show` tells again.
    write_public(&public, &secret)?;
    let key = KeyBytes::from(secret.public());
    let text = ctx.say(
        "key.new",
        &[("file", &args.file.display()), ("public", &public.display()), ("key", &key)],
    );
    ctx.answer(&json!({ "file": args.file, "public": public, "key": key }), &(text + "\n"))
}

/// Writes a secret key to a new file, encrypted unless told otherwise.
///
/// # Errors
/// When no passphrase can be had, or the file cannot be written or exists.
pub fn write(
    ctx: &Context,
    path: &Path,
    secret: &SecretKey,
    unencrypted: bool,
) -> Result<(), Failure> {
    let passphrase = if unencrypted { None } else { Some(keyring::new_passphrase(ctx, path)?) };
    let protection = passphrase.as_ref().map_or(Protection::Unencrypted, Protection::Passphrase);
    keyfile::write_new(path, secret, protection, &mut random()).map_err(|error| match error {
        KeyFileError::NotFound => write_failed(path, &std::io::ErrorKind::NotFound.into()),
        other => Failure::from(other).with("path", path.display()),
    })
}

fn write_public(path: &Path, secret: &SecretKey) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let mut file = OutputFile::create(path, Existing::Refuse)?;
        std::io::Write::write_all(&mut file, format!("{}\n", secret.public()).as_bytes())?;
        file.commit()
    };
    write().map_err(|error| write_failed(path, &error))
}

fn show(args: &ShowArgs, ctx: &Context) -> Result<(), Failure> {
    let key = KeyBytes::from(keyring::read(ctx, &args.file)?.public());
    if ctx.ledger.is_none() {
        return ctx.answer(&json!({ "key": key }), &format!("{key}\n"));
    }
    let ledger = ctx.open()?;
    let parties = &ledger.state().parties;
    let (record, of_gift) = (parties.key(&key), parties.gift_key(&key));
    let owner = match record.map(|record| &record.owner) {
        None => of_gift.map(|record| record.gift().to_string()),
        Some(Owner::Operator) => Some(format!("{} ({})", parties.operator_name, parties.operator)),
        Some(Owner::Party(handle) | Owner::Registrar(handle)) => {
            Some(format!("{} ({handle})", parties.name(handle).unwrap_or_default()))
        }
    };
    let of_gift = of_gift.and_then(GiftKey::ended);
    let ended = record.map_or(of_gift, |record| record.ended);
    let value = json!({ "key": key, "owner": owner, "ended": ended });
    let owner = owner.unwrap_or_else(|| ctx.say("key.nobody", &[]));
    let mut text = format!("{key}\n{owner}\n");
    if let Some(index) = ended {
        text += &ctx.say("key.ended", &[("index", &index)]);
        text.push('\n');
    }
    ctx.answer(&value, &text)
}
