//! `designate` and `order`: for whom goods are.

use super::context::Context;
use super::failure::Failure;
use super::goods::{GoodsArgs, Stock};
use super::signing::{self, EventArgs, Plan, Scene, Signing};
use super::words::{choice, parse_quantity, text};
use crate::model::encoding::List;
use crate::model::event::{Assignment, Capacity, Condition, Consent, Designation, Order, Role};
use crate::model::hash::EventHash;
use crate::model::ident::Handle;
use crate::model::state::{Account, Gift, OrderState, Whereabouts};
use crate::model::text::Text;
use crate::model::violation::Code;

/// What `designate` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(long, value_name = "HANDLE", required_unless_present = "order")]
    to: Option<Handle>,
    #[command(flatten)]
    goods: GoodsArgs,
    #[arg(long, value_name = "NUMBER")]
    order: Option<String>,
    #[arg(long, value_name = "HANDLE")]
    holder: Option<Handle>,
    #[arg(long, value_name = "NAME", value_parser = text::<200>)]
    decided_by: Option<Text<200>>,
    #[arg(long, value_name = "NUMBER", value_parser = text::<60>)]
    decision: Option<Text<60>>,
    #[arg(long, value_name = "CONSENT", value_parser = choice!(Consent))]
    consent: Option<Consent>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `order` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct OrderArgs {
    #[arg(value_name = "NUMBER", value_parser = text::<60>)]
    number: Text<60>,
    #[arg(long, value_name = "HANDLE")]
    holder: Handle,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    item: Text<200>,
    #[arg(long, value_name = "TEXT", value_parser = text::<24>)]
    unit: Text<24>,
    #[arg(long, value_name = "N", value_parser = parse_quantity)]
    quantity: u64,
    #[arg(long, value_name = "HANDLE")]
    to: Handle,
    #[command(flatten)]
    event: EventArgs,
}

/// A coordinator orders pooled stock to a recipient.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn order(args: &OrderArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| {
        let order = Order {
            number: args.number.clone(),
            holder: args.holder.clone(),
            item: args.item.clone(),
            unit: args.unit.clone(),
            quantity: args.quantity,
            recipient: args.to.clone(),
        };
        Ok(Plan::by(order, Capacity::Coordinator, &scene.actor(&[])?))
    })
}

/// Designates goods at rest, or what is only announced, to a final recipient.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| plan(args, scene))
}

fn plan(args: &Args, scene: &Scene) -> Result<Plan, Failure> {
    let order = args.order.as_deref().map(|number| find(scene, number)).transpose()?;
    let coordinates = |party: &Handle| {
        scene.state.parties.get(party).is_some_and(|party| party.has(Role::Coordinator))
    };
    let holder = match (&args.holder, order) {
        (Some(holder), _) => holder.clone(),
        (None, Some(order)) => order.order.holder.clone(),
        (None, None) => scene.actor(&[])?,
    };
    let to = args.to.clone().or_else(|| order.map(|order| order.order.recipient.clone()));
    let to = to.expect("the command line asks for a recipient or an order");
    let rests = |gift: &Gift, account: &Account| match &account.place {
        Whereabouts::AtRest { holder: at, condition } => {
            *at == holder && *condition == Condition::Good && account.reached.is_none()
        }
        Whereabouts::Announced => gift.donor.party.as_ref() == Some(&holder),
        _ => false,
    };
    let not_yet = |gift: &Gift, account: &Account| {
        rests(gift, account) && account.meant_for.as_ref() != Some(&to)
    };
    let mut goods = args.goods.clone();
    // Who names nobody as the recipient until now speaks of what is for nobody yet.
    goods.undesignated |= goods.meant_for.is_none();
    if let Some(order) = order.filter(|_| goods.is_empty()) {
        let left = order.order.quantity - order.carried_out;
        goods.item = Some(order.order.item.clone());
        goods.unit = Some(order.order.unit.clone());
        goods.quantity = goods.quantity.or(Some(left));
    }
    let portions = goods.choose(&Stock { state: scene.state, place: &not_yet, meant_for: None })?;
    let changes = portions.iter().any(|portion| portion.goods.meant_for.is_some());
    let mut signers = Vec::new();
    let decider = scene.parties().into_iter().find(|party| *party != holder && coordinates(party));
    match &decider {
        Some(coordinator) => signers.push(Signing::party(Capacity::Coordinator, coordinator)),
        None => signers.push(Signing::party(Capacity::Holder, &holder)),
    }
    let consent = consent(args, scene, &portions, changes, &mut signers)?;
    let assignment = |portion: &crate::model::event::Portion| Assignment {
        goods: portion.goods.clone(),
        recipient: to.clone(),
        quantity: portion.quantity,
    };
    let by_order = |order: &OrderState| text(order.by.as_str()).unwrap_or_default();
    let designation = Designation {
        holder,
        order: order.map(|order| order.event),
        decided_by: args.decided_by.clone().or(order.map(by_order)).unwrap_or_default(),
        decision: args
            .decision
            .clone()
            .or(order.map(|order| order.order.number.clone()))
            .unwrap_or_default(),
        consent,
        assignments: List::new(portions.iter().map(assignment).collect())?,
    };
    Ok(Plan::new(designation, signers))
}

/// What a change of recipient rests on: what is said, else the donor's key where it is at hand.
fn consent(
    args: &Args,
    scene: &Scene,
    portions: &[crate::model::event::Portion],
    changes: bool,
    signers: &mut Vec<Signing>,
) -> Result<Consent, Failure> {
    if !changes && args.consent.is_none() {
        return Ok(Consent::NotNeeded);
    }
    let mut donors = Vec::new();
    let mut standing = true;
    for portion in portions {
        let Some(gift) = scene.state.gifts.get(&portion.goods.gift) else { continue };
        standing &= gift.donation.standing_consent;
        if let Some(key) = scene.gift_key(&gift) {
            donors.push((None, Some(key)));
        } else if let Some(donor) = gift.donor.party.as_ref().filter(|donor| scene.has(donor)) {
            donors.push((Some(donor.clone()), None));
        }
    }
    donors.sort();
    donors.dedup();
    let otherwise = if standing { Consent::Standing } else { Consent::None };
    let consent = match args.consent {
        Some(consent) => consent,
        None if donors.is_empty() => otherwise,
        None => Consent::Signed,
    };
    if consent == Consent::Signed {
        signers.extend(donors.into_iter().map(|(party, key)| match (party, key) {
            (Some(party), _) => Signing::party(Capacity::Donor, &party),
            (None, key) => {
                Signing::key(Capacity::Donor, None, key.expect("without a party there is a key"))
            }
        }));
    }
    Ok(consent)
}

/// The order with this number, or of this event.
fn find<'a>(scene: &Scene<'a>, number: &str) -> Result<&'a OrderState, Failure> {
    let orders = &scene.state.orders;
    if let Some(order) = number.parse::<EventHash>().ok().and_then(|event| orders.get(&event)) {
        return Ok(order);
    }
    let mut found = orders.values().filter(|order| order.order.number.as_str() == number);
    match (found.next(), found.next()) {
        (Some(order), None) => Ok(order),
        (None, _) => Err(Failure::from(Code::OrderMismatch)),
        (Some(_), Some(_)) => Err(Failure::new("order/ambiguous").with("number", number)),
    }
}
