//! `registrars change` and `operator rotate`: changes of the trust root.

use std::path::PathBuf;

use super::context::Context;
use super::failure::Failure;
use super::init::IdentityWord;
use super::keyring::Keyring;
use super::signing::{self, EventArgs, Plan, Scene, Signing};
use crate::model::encoding::List;
use crate::model::event::{Capacity, Identity, OperatorRotated, RegistrarsChanged};
use crate::model::ident::Handle;

/// The commands on the registrars.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Registrars {
    /// Other registrars, or another threshold.
    Change(ChangeArgs),
}

/// The commands on the operator.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Operator {
    /// Another operator key.
    Rotate(RotateArgs),
}

/// What `registrars change` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ChangeArgs {
    #[arg(long, value_name = "HANDLE:NAME:KEY")]
    add: Vec<IdentityWord>,
    #[arg(long, value_name = "HANDLE")]
    remove: Vec<Handle>,
    #[arg(long, value_name = "K")]
    threshold: Option<u8>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `operator rotate` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct RotateArgs {
    #[arg(long, value_name = "FILE")]
    new_key: PathBuf,
    #[command(flatten)]
    event: EventArgs,
}

impl Registrars {
    /// Carries the command out.
    ///
    /// # Errors
    /// As [`signing::carry_out`].
    pub fn run(&self, ctx: &Context) -> Result<(), Failure> {
        let Self::Change(args) = self;
        signing::run(ctx, &args.event, |scene| change(args, scene))
    }
}

fn change(args: &ChangeArgs, scene: &Scene) -> Result<Plan, Failure> {
    let parties = &scene.state.parties;
    let mut registrars: Vec<Identity> = parties.registrars.to_vec();
    registrars.retain(|registrar| !args.remove.contains(&registrar.handle));
    // All of the new ones sign, beside k of the old.
    let mut signers = scene.registrars();
    for word in &args.add {
        let new = word.identity()?;
        signers.push(Signing::key(Capacity::NewKey, Some(&new.handle), new.key));
        registrars.push(new);
    }
    let threshold = args.threshold.unwrap_or(parties.threshold);
    let registrars = List::new(registrars)?;
    Ok(Plan::new(RegistrarsChanged { registrars, threshold }, signers))
}

impl Operator {
    /// Carries the command out.
    ///
    /// # Errors
    /// As [`signing::carry_out`].
    pub fn run(&self, ctx: &Context) -> Result<(), Failure> {
        let Self::Rotate(args) = self;
        let mut ring = Keyring::read(ctx, &args.event.keys)?;
        let secret = super::keyring::read(ctx, &args.new_key)?;
        let key = secret.public().into();
        ring.add(secret);
        let done = signing::carry_out(ctx, &args.event, ring, |scene| {
            let operator = &scene.state.parties.operator;
            let mut signers = vec![Signing::key(Capacity::NewKey, Some(operator), key)];
            signers.extend(scene.registrars());
            Ok(Plan::new(OperatorRotated { key }, signers))
        })?;
        done.report(ctx, &[])
    }
}
