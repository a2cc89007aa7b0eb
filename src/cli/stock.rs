//! `count`, `use`, `dispose`, `hold`, `release`: what holders do with goods at rest.

use super::context::Context;
use super::failure::Failure;
use super::goods::{GoodsArgs, Stock};
use super::signing::{self, EventArgs, Plan, Scene};
use super::words::{self, choice, parse_quantity, text};
use crate::model::encoding::List;
use crate::model::event::{
    Capacity, Condition, Count, Disposal, Fate, Finding, Hold, HoldCause, Portions, Release,
    Statement, UnitChoice, Use, Value,
};
use crate::model::ident::Handle;
use crate::model::state::{Account, Gift, Whereabouts};
use crate::model::text::Text;

/// What `count` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct CountArgs {
    #[command(flatten)]
    goods: GoodsArgs,
    #[arg(long, value_name = "N", value_parser = parse_quantity, requires = "loose")]
    opened: Option<u64>,
    #[arg(long, value_name = "N UNIT", value_parser = words::pack)]
    loose: Option<crate::model::event::Pack>,
    #[arg(long, value_name = "N", value_parser = parse_quantity)]
    passed: Option<u64>,
    #[arg(long, value_name = "N", value_parser = parse_quantity)]
    failed: Option<u64>,
    #[arg(long, value_name = "N", value_parser = parse_quantity)]
    shortage: Option<u64>,
    #[arg(long, value_name = "N", value_parser = parse_quantity)]
    surplus: Option<u64>,
    #[arg(long, value_name = "N", value_parser = parse_quantity)]
    found: Option<u64>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `use` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct UseArgs {
    #[command(flatten)]
    goods: GoodsArgs,
    #[arg(long, value_name = "TEXT", value_parser = text::<120>)]
    ward: Option<Text<120>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    purpose: Option<Text<200>>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `dispose` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct DisposeArgs {
    #[arg(long, value_name = "FATE", value_parser = choice!(Fate))]
    fate: Fate,
    #[arg(long, value_name = "CONDITION", default_value = "good", value_parser = choice!(Condition))]
    condition: Condition,
    #[command(flatten)]
    goods: GoodsArgs,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    to: Option<Text<200>>,
    #[arg(long, value_name = "SUM CURRENCY BASIS", value_parser = words::value)]
    proceeds: Option<Value>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `hold` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct HoldArgs {
    #[arg(long, value_name = "CAUSE", value_parser = choice!(HoldCause))]
    cause: HoldCause,
    #[arg(long, value_name = "NAME", value_parser = text::<200>)]
    authority: Option<Text<200>>,
    #[command(flatten)]
    goods: GoodsArgs,
    #[command(flatten)]
    event: EventArgs,
}

/// What `release` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ReleaseArgs {
    #[command(flatten)]
    goods: GoodsArgs,
    #[command(flatten)]
    event: EventArgs,
}

/// Chooses among what the signer holds in this condition, and lets the signer state it.
fn of_holder(
    ctx: &Context,
    goods: &GoodsArgs,
    event: &EventArgs,
    condition: Condition,
    statement: impl FnOnce(Portions) -> Statement,
) -> Result<(), Failure> {
    signing::run(ctx, event, |scene| {
        let holder = scene.actor(&[])?;
        let here = |_: &Gift, account: &Account| is_held(&account.place, &holder, condition);
        let stock = Stock { state: scene.state, place: &here, meant_for: None };
        let portions = List::new(goods.choose(&stock)?)?;
        Ok(Plan::by(statement(portions), Capacity::Holder, &holder))
    })
}

fn is_held(place: &Whereabouts, by: &Handle, wanted: Condition) -> bool {
    match place {
        Whereabouts::AtRest { holder, condition } => holder == by && *condition == wanted,
        Whereabouts::Inspected { holder, .. } => holder == by && wanted == Condition::Pending,
        _ => false,
    }
}

/// Says what became of accepted goods.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn use_goods(args: &UseArgs, ctx: &Context) -> Result<(), Failure> {
    of_holder(ctx, &args.goods, &args.event, Condition::Good, |portions| {
        let (ward, purpose) = (args.ward.clone(), args.purpose.clone());
        let (ward, purpose) = (ward.unwrap_or_default(), purpose.unwrap_or_default());
        Use { ward, purpose, portions }.into()
    })
}

/// Says that goods are gone.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn dispose(args: &DisposeArgs, ctx: &Context) -> Result<(), Failure> {
    of_holder(ctx, &args.goods, &args.event, args.condition, |portions| {
        Disposal {
            fate: args.fate,
            condition: args.condition,
            to: args.to.clone().unwrap_or_default(),
            proceeds: args.proceeds.clone(),
            portions,
        }
        .into()
    })
}

/// Keeps goods from moving.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn hold(args: &HoldArgs, ctx: &Context) -> Result<(), Failure> {
    of_holder(ctx, &args.goods, &args.event, Condition::Good, |portions| {
        let authority = args.authority.clone().unwrap_or_default();
        Hold { cause: args.cause, authority, portions }.into()
    })
}

/// Lets goods move again.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn release(args: &ReleaseArgs, ctx: &Context) -> Result<(), Failure> {
    of_holder(ctx, &args.goods, &args.event, Condition::OnHold, |portions| {
        Release { portions }.into()
    })
}

/// Records what a holder found in its stock.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn count(args: &CountArgs, ctx: &Context) -> Result<(), Failure> {
    signing::run(ctx, &args.event, |scene| plan_count(args, scene))
}

fn plan_count(args: &CountArgs, scene: &Scene) -> Result<Plan, Failure> {
    let holder = scene.actor(&[])?;
    let [of] = &args.goods.gifts[..] else { return Err(Failure::new("usage/one-gift")) };
    // Wherever the finding is about: pending goods, missing ones, or those at rest.
    let wanted = |place: &Whereabouts| {
        if args.passed.or(args.failed).is_some() {
            is_held(place, &holder, Condition::Pending)
        } else if args.found.is_some() {
            matches!(place, Whereabouts::Unaccounted { giver, taker }
                if *giver == holder || taker.as_ref() == Some(&holder))
        } else {
            is_held(place, &holder, Condition::Good)
        }
    };
    let here = |_: &Gift, account: &Account| wanted(&account.place);
    let stock = Stock { state: scene.state, place: &here, meant_for: None };
    // The portion only says which goods; the quantities are the finding's.
    let all = [args.opened, args.passed, args.failed, args.shortage, args.surplus, args.found];
    let most = all.into_iter().flatten().max().unwrap_or_default();
    let mut goods = args.goods.clone();
    goods.gifts[0].quantity = of.quantity.or(Some(most));
    let portions = goods.choose(&stock)?;
    let [portion] = &portions[..] else {
        return Err(Failure::new("goods/ambiguous").with("gift", of.of.gift));
    };
    let mut goods = portion.goods.clone();
    if args.opened.is_some() {
        goods.unit = UnitChoice::Stated;
    }
    let loose = args.loose.as_ref();
    let finding = Finding {
        goods,
        opened: args.opened.unwrap_or_default(),
        loose: loose.map_or(0, |loose| loose.content),
        passed: args.passed.unwrap_or_default(),
        failed: args.failed.unwrap_or_default(),
        shortage: args.shortage.unwrap_or_default(),
        surplus: args.surplus.unwrap_or_default(),
        found: args.found.unwrap_or_default(),
    };
    let loose_unit = loose.map(|loose| loose.unit.clone()).unwrap_or_default();
    let count = Count { loose_unit, findings: List::new(vec![finding])? };
    Ok(Plan::by(count, Capacity::Holder, &holder))
}
