//! `dispatch` and `deliver`: goods on their way.

use std::path::PathBuf;

use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::goods::{GoodsArgs, Stock};
use super::keyring::Keyring;
use super::shipment::ShipmentFile;
use super::signing::{self, EventArgs, Plan, Scene, Signing};
use super::words::{choice, text};
use crate::model::date::Date;
use crate::model::encoding::{List, Malformed};
use crate::model::event::{Capacity, Condition, Delivery, Dispatch, Package, Purpose, Role};
use crate::model::ident::{Handle, ShipmentId};
use crate::model::state::{Account, Gift, Whereabouts};
use crate::model::text::Text;

/// What `dispatch` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "NUMBER", value_parser = text::<40>)]
    number: Text<40>,
    #[arg(long, value_name = "HANDLE")]
    to: Handle,
    #[arg(long, value_name = "PURPOSE", value_parser = choice!(Purpose))]
    purpose: Option<Purpose>,
    #[command(flatten)]
    goods: GoodsArgs,
    #[arg(long, value_name = "HANDLE", conflicts_with = "carrier_name")]
    carrier: Option<Handle>,
    #[arg(long, value_name = "NAME", value_parser = text::<120>)]
    carrier_name: Option<Text<120>>,
    #[arg(long, value_name = "NUMBER", value_parser = text::<60>)]
    waybill: Option<Text<60>>,
    #[arg(long, value_name = "N")]
    packages: Option<u32>,
    #[arg(long = "package", value_name = "LABEL[:SEAL[:CONTENT]]", value_parser = package)]
    package_list: Vec<Package>,
    #[arg(long, value_name = "YYYY-MM-DD")]
    expected: Option<Date>,
    #[arg(long, value_name = "OUT", conflicts_with = "draft")]
    shipment_file: Option<PathBuf>,
    #[command(flatten)]
    event: EventArgs,
}

/// What `deliver` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct DeliverArgs {
    #[arg(value_name = "SENDER/NUMBER")]
    shipment: ShipmentId,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    place: Option<Text<200>>,
    #[arg(long, value_name = "NUMBER", value_parser = text::<60>)]
    waybill: Option<Text<60>>,
    #[arg(long, value_name = "TIME", value_parser = text::<20>)]
    time: Option<Text<20>>,
    #[command(flatten)]
    event: EventArgs,
}

fn package(typed: &str) -> Result<Package, Malformed> {
    let mut parts = typed.splitn(3, ':');
    let mut next = || parts.next().unwrap_or_default();
    Ok(Package { label: text(next())?, seal: text(next())?, content: text(next())? })
}

/// Sends goods on their way.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let ring = Keyring::read(ctx, &args.event.keys)?;
    // Begun before anything is recorded: a file that cannot be written refuses the dispatch.
    let file = args.shipment_file.as_deref().map(ShipmentFile::begin).transpose()?;
    let mut id = None;
    let mut open = None;
    let done = signing::carry_out(ctx, &args.event, ring, |scene| {
        let dispatch = statement(args, scene)?;
        let shipment = scene.state.shipments.get(&dispatch.shipment);
        open = shipment.and_then(|shipment| Some(shipment.dispatches.last()?.index));
        id = Some(dispatch.shipment.clone());
        let mut signers = vec![Signing::party(Capacity::Holder, &dispatch.shipment.giver)];
        if let Some(carrier) = args.carrier.as_ref().filter(|carrier| scene.has(carrier)) {
            signers.push(Signing::party(Capacity::Carrier, carrier));
        }
        Ok(Plan::new(dispatch, signers))
    })?;
    let id = id.expect("the plan was made");
    let line = match open.filter(|_| done.new_entry().is_some()) {
        Some(entry) => ctx.say("next.shipment-added", &[("shipment", &id), ("index", &entry)]),
        None => ctx.say("done.shipment", &[("shipment", &id)]),
    };
    let mut more = vec![("shipment", json!(id.to_string()), line)];
    let (Some(path), Some(file)) = (&args.shipment_file, file) else {
        return done.report(ctx, &more);
    };
    let written =
        ctx.open().and_then(|ledger| ShipmentFile::of(&ledger, &id)?.write_to(file, path));
    if written.is_ok() {
        let line = ctx.say("done.shipment-file", &[("path", &path.display())]);
        more.push(("shipment_file", json!(path), line));
    }
    done.report(ctx, &more)?;
    // The dispatch is recorded, so this is no failure of it.
    if let Err(failure) = written {
        let why = failure.message(ctx.language);
        ctx.note("note.no-shipment-file", &[("why", &why), ("shipment", &id)]);
    }
    Ok(())
}

fn statement(args: &Args, scene: &Scene) -> Result<Dispatch, Failure> {
    let besides: Vec<&Handle> = args.carrier.iter().chain([&args.to]).collect();
    let giver = scene.actor(&besides)?;
    let uses = scene.state.parties.get(&args.to).is_some_and(|party| party.has(Role::Recipient));
    let usual = if uses { Purpose::Issue } else { Purpose::Transfer };
    let purpose = args.purpose.unwrap_or(usual);
    let here = |gift: &Gift, account: &Account| match &account.place {
        Whereabouts::AtRest { holder, condition } => {
            *holder == giver && *condition == Condition::Good
        }
        Whereabouts::Announced => gift.donor.party.as_ref() == Some(&giver),
        _ => false,
    };
    // What goes to a final recipient for its use is what is meant for it, unless somebody says
    // otherwise.
    let meant_for = Some(&args.to).filter(|_| uses && purpose == Purpose::Issue);
    let stock = Stock { state: scene.state, place: &here, meant_for };
    Ok(Dispatch {
        shipment: ShipmentId { giver: giver.clone(), number: args.number.clone() },
        taker: args.to.clone(),
        purpose,
        carrier: args.carrier.clone(),
        carrier_name: args.carrier_name.clone().unwrap_or_default(),
        waybill: args.waybill.clone().unwrap_or_default(),
        package_count: args.packages,
        packages: List::new(args.package_list.clone())?,
        expected_on: args.expected,
        portions: List::new(args.goods.choose(&stock)?)?,
    })
}

/// Claims that a shipment arrived.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn deliver(args: &DeliverArgs, ctx: &Context) -> Result<(), Failure> {
    let ring = Keyring::read(ctx, &args.event.keys)?;
    let mut before = None;
    let done = signing::carry_out(ctx, &args.event, ring, |scene| {
        let shipment = scene.state.shipments.get(&args.shipment);
        before = shipment.and_then(|shipment| Some(shipment.deliveries.last()?.index));
        let party = scene.actor(&[])?;
        let sends = party == args.shipment.giver;
        let delivery = Delivery {
            shipment: args.shipment.clone(),
            place: args.place.clone().unwrap_or_default(),
            waybill: args.waybill.clone().unwrap_or_default(),
            time: args.time.clone().unwrap_or_default(),
        };
        let capacity = if sends { Capacity::Holder } else { Capacity::Carrier };
        Ok(Plan::by(delivery, capacity, &party))
    })?;
    done.report(ctx, &[])?;
    if let (Some(entry), Some(_)) = (before, done.new_entry()) {
        ctx.note("note.delivered-before", &[("shipment", &args.shipment), ("index", &entry)]);
    }
    Ok(())
}
