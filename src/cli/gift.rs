//! `withdraw` and `take-over`: what donors do with a gift that they have given.

use std::path::PathBuf;

use serde_json::json;

use super::context::{Context, random};
use super::failure::Failure;
use super::goods::{GoodsArgs, Stock};
use super::key;
use super::keyring::Keyring;
use super::signing::{self, EventArgs, Plan, Signing};
use super::words::text;
use crate::model::encoding::List;
use crate::model::event::{Capacity, Donor, DonorKind, GiftTakenOver, Withdrawal};
use crate::model::ident::{GiftId, Handle};
use crate::model::key::SecretKey;
use crate::model::state::Whereabouts;
use crate::model::text::Text;

/// What `withdraw` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct WithdrawArgs {
    #[command(flatten)]
    goods: GoodsArgs,
    #[command(flatten)]
    event: EventArgs,
}

/// What `take-over` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct TakeOverArgs {
    #[arg(value_name = "GIFT")]
    gift: GiftId,
    #[arg(long, value_name = "OUT.key", required_unless_present = "donor")]
    new_key: Option<PathBuf>,
    #[arg(long, value_name = "HANDLE", conflicts_with = "new_key")]
    donor: Option<Handle>,
    #[arg(long, value_name = "NAME", value_parser = text::<200>)]
    donor_name: Option<Text<200>>,
    #[arg(long)]
    unencrypted: bool,
    #[command(flatten)]
    event: EventArgs,
}

/// Takes back what was only announced.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn withdraw(args: &WithdrawArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| {
        let announced =
            |_: &_, account: &crate::model::state::Account| account.place == Whereabouts::Announced;
        let stock = Stock { state: scene.state, place: &announced, meant_for: None };
        let portions = args.goods.choose(&stock)?;
        let party = scene.actor(&[])?;
        let gift = portions.first().and_then(|portion| scene.state.gifts.get(&portion.goods.gift));
        let takes = gift.is_some_and(|gift| gift.donation.taker.as_ref() == Some(&party));
        let capacity = if takes { Capacity::Taker } else { Capacity::Donor };
        Ok(Plan::by(Withdrawal { portions: List::new(portions)? }, capacity, &party))
    })
}

/// A donor makes a slip's gift its own.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn take_over(args: &TakeOverArgs, ctx: &Context) -> Result<(), Failure> {
    let mut ring = Keyring::read(ctx, &args.event.keys)?;
    let mut new_key = None;
    if let Some(path) = &args.new_key {
        let secret = SecretKey::generate(&mut random());
        key::write(ctx, path, &secret, args.unencrypted)?;
        new_key = Some(secret.public().into());
        ring.add(secret);
    }
    let done = signing::carry_out(ctx, &args.event, ring, |scene| {
        let gift = scene.gift(&args.gift)?;
        let mut signers = Vec::new();
        if let Some(slip) = gift.donor.key {
            signers.push(Signing::key(Capacity::Donor, None, slip));
        }
        if let Some(key) = new_key {
            signers.push(Signing::key(Capacity::NewKey, None, key));
        }
        if let Some(donor) = &args.donor {
            signers.push(Signing::party(Capacity::Oneself, donor));
        }
        let kind = if args.donor.is_some() { DonorKind::Enrolled } else { DonorKind::OneTimeKey };
        let name = args.donor_name.clone().unwrap_or_else(|| gift.donor.name.clone());
        let donor = Donor { kind, party: args.donor.clone(), key: new_key, name };
        Ok(Plan::new(GiftTakenOver { gift: gift.id, donor }, signers))
    });
    match (done, &args.new_key) {
        (Ok(done), _) => done.report(ctx, &[("key_file", json!(args.new_key), String::new())]),
        (Err(failure), Some(path)) => {
            // Refused: the key is of no use. If the file stays, nothing names its key.
            let _ = std::fs::remove_file(path);
            Err(failure)
        }
        (Err(failure), None) => Err(failure),
    }
}
