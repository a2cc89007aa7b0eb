//! `dispute`, `answer`, `close-dispute`: contradictions, which every verdict shows.

use super::context::Context;
use super::failure::Failure;
use super::signing::{self, EventArgs, Plan, Scene, Signing};
use super::words::{choice, text};
use crate::model::event::{Answer, Capacity, Claim, Dispute, DisputeClosed};
use crate::model::hash::EventHash;
use crate::model::ident::GiftId;
use crate::model::state::{DisputeState, Gift};
use crate::model::text::Text;
use crate::model::violation::Code;

/// What `dispute` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct DisputeArgs {
    #[arg(value_name = "GIFT")]
    gift: GiftId,
    #[arg(long, value_name = "CLAIM", value_parser = choice!(Claim))]
    claim: Claim,
    #[arg(long, value_name = "TEXT", value_parser = text::<800>)]
    text: Text<800>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `answer` and `close-dispute` are told.
#[derive(clap::Args, Clone, Debug)]
pub struct ReplyArgs {
    #[arg(value_name = "GIFT")]
    gift: GiftId,
    #[arg(long, value_name = "TEXT", value_parser = text::<800>)]
    text: Text<800>,
    #[arg(long, value_name = "EVENT")]
    dispute: Option<EventHash>,
    #[command(flatten)]
    event: EventArgs,
}

/// The gift's own key where it is at hand, else a party or a registrar.
fn speaker(scene: &Scene, gift: &Gift) -> Result<Signing, Failure> {
    match scene.gift_key(gift) {
        Some(key) => Ok(Signing::key(Capacity::Donor, None, key)),
        None => scene.speaker(),
    }
}

/// The dispute that is named, else the only open one.
fn open_dispute(gift: &Gift, named: Option<EventHash>) -> Result<EventHash, Failure> {
    if let Some(event) = named {
        return Ok(event);
    }
    let open = |dispute: &&DisputeState| dispute.closed.is_none();
    let mut disputes = gift.disputes.iter().filter(open);
    match (disputes.next(), disputes.next()) {
        (Some(dispute), None) => Ok(dispute.event),
        (None, _) => Err(Code::DisputeUnknown.into()),
        (Some(_), Some(_)) => Err(Failure::new("dispute/several")),
    }
}

/// Contradicts.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn dispute(args: &DisputeArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| {
        let gift = scene.gift(&args.gift)?;
        let dispute = Dispute { gift: gift.id, claim: args.claim, text: args.text.clone() };
        Ok(Plan::new(dispute, vec![speaker(scene, &gift)?]))
    })
}

/// Answers a contradiction.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn answer(args: &ReplyArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| {
        let gift = scene.gift(&args.gift)?;
        let dispute = open_dispute(&gift, args.dispute)?;
        let answer = Answer { gift: gift.id, dispute, text: args.text.clone() };
        Ok(Plan::new(answer, vec![speaker(scene, &gift)?]))
    })
}

/// Withdraws a contradiction.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn close(args: &ReplyArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| {
        let gift = scene.gift(&args.gift)?;
        let dispute = open_dispute(&gift, args.dispute)?;
        let closed = DisputeClosed { gift: gift.id, dispute, text: args.text.clone() };
        Ok(Plan::new(closed, vec![speaker(scene, &gift)?]))
    })
}
