//! `correct`: puts a statement right. The whole statement is written anew, so that what holds from
//! now on can be read without the old one.

use super::context::Context;
use super::failure::Failure;
use super::receive::Exception;
use super::signing::{self, EventArgs, Plan, Signing};
use super::words::{self, parse_quantity, text};
use crate::model::encoding::{Blob, List};
use crate::model::entry::OpenEvent;
use crate::model::event::{Arrival, Correction, Dispatch, Donation, Line, Lot, Receipt, Statement};
use crate::model::hash::EventHash;
use crate::model::ident::GiftId;
use crate::model::state::State;
use crate::model::text::Text;
use crate::model::violation::Code;

/// What `correct` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "GIFT|INDEX|EVENT")]
    target: Target,
    #[arg(long, conflicts_with_all = ["line", "rows"])]
    void: bool,
    #[arg(long, value_name = "N")]
    line: Option<u16>,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>, requires = "line")]
    item: Option<Text<200>>,
    #[arg(long, value_name = "N", value_parser = parse_quantity, allow_negative_numbers = true)]
    quantity: Option<u64>,
    #[arg(long = "lot", value_name = "LOT[@EXPIRY]", value_parser = words::lot, requires = "line")]
    lots: Vec<Lot>,
    #[arg(long, value_name = "TEXT", value_parser = text::<120>, requires = "line")]
    maker: Option<Text<120>>,
    #[arg(long, value_name = "CODE", value_parser = text::<60>, requires = "line")]
    product_code: Option<Text<60>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<120>, requires = "line")]
    standard: Option<Text<120>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>, requires = "line")]
    specification: Option<Text<200>>,
    #[arg(long = "row", value_name = "N: OUTCOME N, ...")]
    rows: Vec<String>,
    #[arg(long, value_name = "NUMBER", value_parser = text::<60>)]
    waybill: Option<Text<60>>,
    #[command(flatten)]
    event: EventArgs,
}

/// What is corrected: a gift's donation, the entry at an index, or an event.
#[derive(Clone, Debug)]
enum Target {
    Gift(GiftId),
    Index(u64),
    Event(EventHash),
}

impl std::str::FromStr for Target {
    type Err = crate::model::encoding::Malformed;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        if typed.starts_with("gift1") {
            return typed.parse().map(Self::Gift);
        }
        match typed.parse() {
            Ok(index) => Ok(Self::Index(index)),
            Err(_) => typed.parse().map(Self::Event),
        }
    }
}

/// Replaces or voids a statement.
///
/// # Errors
/// As [`signing::carry_out`], and where the statement cannot be corrected like this.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    // The statement is read first: while events are written, the ledger is the writer's.
    let (index, target, held) = read(args, ctx)?;
    let kind = target.statement.as_ref().map(Statement::kind).ok_or(Code::CorrectionTarget)?;
    let replacement = if args.void { Vec::new() } else { replace(args, held)?.to_bytes() };
    let correction = Correction {
        target_index: index,
        target: target.hash,
        target_kind: kind as u16,
        replacement: Blob::new(replacement)?,
    };
    signing::run(ctx, &args.event, |_| {
        // The same parties in the same capacities, with keys that are theirs now.
        let signer = |signer: &crate::model::event::Signer| match &signer.party {
            Some(party) => Signing::party(signer.capacity, party),
            None => Signing::key(signer.capacity, None, signer.key),
        };
        let signers = target.head.signers.iter().map(signer).collect();
        Ok(Plan::new(correction, signers))
    })
}

/// The event, and the statement that holds in its place until now.
fn read(args: &Args, ctx: &Context) -> Result<(u64, OpenEvent, Statement), Failure> {
    let ledger = ctx.open()?;
    let state = ledger.state();
    let index = match &args.target {
        Target::Index(index) => *index,
        Target::Event(event) => ledger.index_of(event)?.ok_or(Code::CorrectionTarget)?,
        Target::Gift(gift) => state.gift_by_id(gift).ok_or(Code::GiftUnknown)?.entries[0],
    };
    if index >= state.size {
        return Err(Code::CorrectionTarget.into());
    }
    let event = ledger.entry(index)?.event.open(&state.genesis)?;
    let statement = event.statement.clone().ok_or(Code::CorrectionTarget)?;
    let held = held(state, index, &statement)?.unwrap_or(statement);
    Ok((index, event, held))
}

/// What an earlier correction put in the statement's place.
fn held(state: &State, index: u64, original: &Statement) -> Result<Option<Statement>, Failure> {
    let replaced = state.gifts.iter().find_map(|gift| gift.replaced.get(&index).cloned());
    match replaced.filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => Ok(Some(Statement::from_bytes(original.kind(), &bytes)?)),
        None => Ok(None),
    }
}

fn replace(args: &Args, held: Statement) -> Result<Statement, Failure> {
    match held {
        Statement::Donation(donation) => donation_anew(args, donation).map(Statement::Donation),
        Statement::Dispatch(dispatch) => dispatch_anew(args, dispatch).map(Statement::Dispatch),
        Statement::Receipt(receipt) => receipt_anew(args, receipt).map(Statement::Receipt),
        Statement::Delivery(mut delivery) => {
            let waybill = args.waybill.clone();
            delivery.waybill = waybill.ok_or_else(|| Failure::new("usage/nothing-corrected"))?;
            Ok(Statement::Delivery(delivery))
        }
        other => Err(Failure::new("correct/void-only").with("kind", other.kind().word())),
    }
}

fn donation_anew(args: &Args, mut donation: Donation) -> Result<Donation, Failure> {
    let number = args.line.ok_or_else(|| Failure::new("usage/nothing-corrected"))?;
    let mut lines: Vec<Line> = donation.lines.to_vec();
    let line = lines.iter_mut().find(|line| line.number == number);
    let line = line.ok_or_else(|| Failure::from(Code::LineUnknown).with("found", number))?;
    fn put<T: Clone>(new: &Option<T>, into: &mut T) {
        if let Some(new) = new {
            into.clone_from(new);
        }
    }
    put(&args.item, &mut line.item);
    put(&args.quantity, &mut line.quantity);
    put(&args.maker, &mut line.maker);
    put(&args.product_code, &mut line.product_code);
    put(&args.standard, &mut line.standard);
    put(&args.specification, &mut line.specification);
    if !args.lots.is_empty() {
        line.lots = List::new(args.lots.clone())?;
    }
    donation.lines = List::new(lines)?;
    Ok(donation)
}

fn dispatch_anew(args: &Args, mut dispatch: Dispatch) -> Result<Dispatch, Failure> {
    if let Some(waybill) = &args.waybill {
        dispatch.waybill = waybill.clone();
    }
    if let (Some(row), Some(quantity)) = (args.line, args.quantity) {
        let mut portions = dispatch.portions.to_vec();
        let portion = row.checked_sub(1).and_then(|at| portions.get_mut(usize::from(at)));
        let portion = portion.ok_or_else(|| Failure::new("except/no-row").with("row", row))?;
        portion.quantity = quantity;
        dispatch.portions = List::new(portions)?;
    } else if args.waybill.is_none() {
        return Err(Failure::new("usage/nothing-corrected"));
    }
    Ok(dispatch)
}

fn receipt_anew(args: &Args, mut receipt: Receipt) -> Result<Receipt, Failure> {
    if args.rows.is_empty() {
        return Err(Failure::new("usage/nothing-corrected"));
    }
    let mut arrivals: Vec<Arrival> = receipt.arrivals.to_vec();
    for typed in &args.rows {
        let malformed = || Failure::new("except/malformed").with("typed", typed);
        let (row, rest) = typed.split_once([':', '：']).ok_or_else(malformed)?;
        let row: usize = row.trim().parse().map_err(|_| malformed())?;
        let arrival = row.checked_sub(1).and_then(|at| arrivals.get_mut(at));
        let arrival = arrival.ok_or_else(|| Failure::new("except/no-row").with("row", row))?;
        Exception::parse(rest)?.overwrite(arrival);
    }
    receipt.arrivals = List::new(arrivals)?;
    Ok(receipt)
}
