//! `recall`, `lift-recall`, `attest`: warnings, and evidence outside the ledger.

use super::context::Context;
use super::failure::Failure;
use super::goods::{GoodsArgs, Stock};
use super::signing::{self, EventArgs, Plan, Scene, Signing};
use super::words::{choice, text};
use crate::model::date::Date;
use crate::model::encoding::List;
use crate::model::event::{Attestation, Capacity, EvidenceKind, Recall, RecallLifted, Testimony};
use crate::model::ident::{Handle, ShipmentId};
use crate::model::state::{Account, Gift, RecallState};
use crate::model::text::Text;
use crate::model::violation::Code;

/// What `recall` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct RecallArgs {
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    item: Text<200>,
    #[arg(long, value_name = "LOT", value_parser = text::<60>)]
    lot: Option<Text<60>>,
    #[arg(long, value_name = "NUMBER", value_parser = text::<60>)]
    number: Text<60>,
    #[arg(long, value_name = "TEXT", value_parser = text::<400>)]
    text: Option<Text<400>>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `lift-recall` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct LiftArgs {
    #[arg(value_name = "NUMBER")]
    number: String,
    #[command(flatten)]
    event: EventArgs,
}

/// What `attest` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct AttestArgs {
    #[arg(long, value_name = "KIND", value_parser = choice!(EvidenceKind))]
    kind: EvidenceKind,
    #[arg(long, value_name = "TEXT", value_parser = text::<2000>)]
    text: Option<Text<2000>>,
    #[arg(long, value_name = "URL", value_parser = text::<300>)]
    url: Option<Text<300>>,
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<Date>,
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Date>,
    #[arg(long, value_name = "HANDLE")]
    held_by: Option<Handle>,
    #[arg(long, value_name = "NAME", value_parser = text::<200>)]
    recipient_name: Option<Text<200>>,
    #[arg(long, value_name = "SENDER/NUMBER")]
    shipment: Option<ShipmentId>,
    #[command(flatten)]
    goods: GoodsArgs,
    #[command(flatten)]
    event: EventArgs,
}

/// Recalls an item or a lot of it.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn recall(args: &RecallArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| {
        let recall = Recall {
            item: args.item.clone(),
            lot: args.lot.clone().unwrap_or_default(),
            number: args.number.clone(),
            text: args.text.clone().unwrap_or_default(),
        };
        Ok(Plan::new(recall, vec![scene.speaker()?]))
    })
}

/// Ends a recall.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn lift(args: &LiftArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| {
        let open = |recall: &&RecallState| {
            recall.number.as_str() == args.number && recall.lifted.is_none()
        };
        let mut recalls = scene.state.recalls.iter();
        let found = recalls.find_map(|(goods, list)| Some((goods, list.iter().find(open)?)));
        let ((item, lot), recall) = found.ok_or(Code::RecallUnknown)?;
        let lifted = RecallLifted { recall: recall.event, item: item.clone(), lot: lot.clone() };
        Ok(Plan::new(lifted, lifters(scene)?))
    })
}

/// Who signed the recall, or k registrars.
fn lifters(scene: &Scene) -> Result<Vec<Signing>, Failure> {
    let registrars = scene.registrars_at_hand();
    if registrars.is_empty() { Ok(vec![scene.speaker()?]) } else { Ok(registrars) }
}

/// Attests evidence outside the ledger.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn attest(args: &AttestArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| {
        let party = scene.actor(&[])?;
        let anywhere = |_: &Gift, _: &Account| true;
        let stock = Stock { state: scene.state, place: &anywhere, meant_for: None };
        let portions =
            if args.goods.is_empty() { Vec::new() } else { args.goods.choose(&stock)? };
        let testimony = |portion: crate::model::event::Portion| Testimony {
            goods: portion.goods,
            quantity: portion.quantity,
        };
        let attestation = Attestation {
            evidence: args.kind,
            text: args.text.clone().unwrap_or_default(),
            url: args.url.clone().unwrap_or_default(),
            from: args.from,
            until: args.until,
            held_by: args.held_by.clone(),
            recipient_name: args.recipient_name.clone().unwrap_or_default(),
            shipment: args.shipment.clone(),
            goods: List::new(portions.into_iter().map(testimony).collect())?,
            listed: List::default(),
        };
        Ok(Plan::by(attestation, Capacity::Speaker, &party))
    })
}
