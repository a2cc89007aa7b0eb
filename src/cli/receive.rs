//! `receive`: what a clerk signs for. "All accepted, except ..." becomes a receipt in which every
//! quantity is written out.

use std::io::{BufRead, Write as _};
use std::path::PathBuf;

use rand::Rng;

use super::context::{Context, now, random};
use super::event_file::CONTEXT_MAX;
use super::failure::Failure;
use super::goods::{GoodsArgs, Stock};
use super::keyring::Keyring;
use super::locales::Language;
use super::shipment::{Row, Sheet, ShipmentFile};
use super::signing::{self, EventArgs, Plan, Scene, Signing};
use super::words::{self, choice, text};
use crate::model::draft::Draft;
use crate::model::encoding::List;
use crate::model::event::{Actual, Arrival, Capacity, Condition, Purpose, Receipt};
use crate::model::ident::{Handle, ShipmentId};
use crate::model::state::{Account, Gift, Whereabouts};
use crate::model::text::Text;
use crate::model::violation::{Code, Violation};

/// What `receive` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "SENDER/NUMBER", required_unless_present_any = ["shipment_file", "from"])]
    shipment: Option<ShipmentId>,
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shipment", "from"])]
    shipment_file: Option<PathBuf>,
    #[arg(long, value_name = "HANDLE", conflicts_with = "shipment")]
    from: Option<Handle>,
    #[arg(long, value_name = "PURPOSE", requires = "from", value_parser = choice!(Purpose))]
    purpose: Option<Purpose>,
    #[arg(long)]
    all_accepted: bool,
    #[arg(long = "except", value_name = "ROW: OUTCOME N, ...")]
    exceptions: Vec<String>,
    #[arg(long)]
    more_to_come: bool,
    #[arg(long, value_name = "N")]
    packages: Option<u32>,
    #[arg(long, value_name = "TEXT", value_parser = text::<40>)]
    temperature: Option<Text<40>>,
    #[command(flatten)]
    goods: GoodsArgs,
    #[command(flatten)]
    event: EventArgs,
}

/// Records what arrived.
///
/// # Errors
/// As [`signing::carry_out`], and where the exceptions do not fit the list.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let ring = Keyring::read(ctx, &args.event.keys)?;
    if let Some(path) = &args.shipment_file {
        let file = ShipmentFile::read(path)?;
        let sheet = file.sheet()?;
        if args.event.draft.is_some() {
            return offline(args, ctx, &ring, &file, &sheet);
        }
        return online(args, ctx, ring, &sheet.shipment);
    }
    match (&args.shipment, &args.from) {
        (Some(id), _) => online(args, ctx, ring, id),
        (None, Some(giver)) => hand_to_hand(args, ctx, ring, giver),
        (None, None) => unreachable!("the command line asks for one of them"),
    }
}

fn online(args: &Args, ctx: &Context, ring: Keyring, id: &ShipmentId) -> Result<(), Failure> {
    let done = signing::carry_out(ctx, &args.event, ring, |scene| {
        let taker = scene.actor(&[&id.giver])?;
        let arrivals = if args.goods.is_empty() {
            if let Some(received) = super::shipment::received(scene.state, id) {
                return Err(received);
            }
            let sheet = Sheet::of_state(scene.state, id)?;
            // Goods that were not sent to the signer are signed for only when they are named.
            if sheet.taker != taker {
                let failure = Failure::refused("shipment/other-taker");
                return Err(failure.with("expected", &sheet.taker).with("found", &taker));
            }
            arrivals(args, ctx, &sheet)?
        } else {
            named(
                args,
                scene,
                &|_, account| matches!(&account.place, Whereabouts::Moving { shipment, .. } if shipment == id),
            )?
        };
        let receipt = receipt(args, Some(id.clone()), arrivals)?;
        Ok(Plan::by(receipt, Capacity::Taker, &taker))
    })?;
    done.report(ctx, &[])
}

/// Without any ledger: from the shipment's file alone, to a file.
fn offline(
    args: &Args,
    ctx: &Context,
    ring: &Keyring,
    file: &ShipmentFile,
    sheet: &Sheet,
) -> Result<(), Failure> {
    let mut keys = ring.public();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(Failure::new("usage/one-key"));
    };
    let takers = file.keys_of(&sheet.taker)?;
    if !takers.is_empty() && !takers.contains(&key) {
        return Err(Failure::refused("key/not-takers").with("who", &sheet.taker));
    }
    let receipt = receipt(args, Some(sheet.shipment.clone()), arrivals(args, ctx, sheet)?)?;
    let mut nonce = [0; 16];
    random().fill_bytes(&mut nonce);
    let draft = Draft::new(receipt, now(), nonce).signer(Capacity::Taker, Some(&sheet.taker), key);
    let mut event = signing::finish(draft, &args.event, file.genesis, ring)?;
    event.context = file.entries.iter().take(CONTEXT_MAX).cloned().collect();
    let path = args.event.draft.as_ref().expect("asked before");
    signing::write_draft(event, path)?.report(ctx, &[])
}

fn hand_to_hand(args: &Args, ctx: &Context, ring: Keyring, giver: &Handle) -> Result<(), Failure> {
    let done = signing::carry_out(ctx, &args.event, ring, |scene| {
        let taker = scene.actor(&[giver])?;
        let arrivals = named(args, scene, &|_, account| {
            let place = &account.place;
            matches!(place, Whereabouts::AtRest { holder, condition: Condition::Good } if holder == giver)
        })?;
        let receipt = Receipt {
            shipment: None,
            giver: Some(giver.clone()),
            purpose: Some(args.purpose.unwrap_or(Purpose::Issue)),
            closing: false,
            ..receipt(args, None, arrivals)?
        };
        let signers =
            vec![Signing::party(Capacity::Taker, &taker), Signing::party(Capacity::Holder, giver)];
        Ok(Plan::new(receipt, signers))
    })?;
    done.report(ctx, &[])
}

fn receipt(
    args: &Args,
    shipment: Option<ShipmentId>,
    mut arrivals: Vec<Arrival>,
) -> Result<Receipt, Failure> {
    let closing = !args.more_to_come;
    if !closing {
        // What has yet to come is not spoken of.
        arrivals.retain(|arrival| arrival.came() != Some(0) || arrival.surplus > 0);
    }
    Ok(Receipt {
        shipment,
        giver: None,
        purpose: None,
        closing,
        package_count: args.packages,
        temperature: args.temperature.clone().unwrap_or_default(),
        arrivals: List::new(arrivals)?,
    })
}

/// Goods that are named one by one, all accepted.
fn named(
    args: &Args,
    scene: &Scene,
    place: &dyn Fn(&Gift, &Account) -> bool,
) -> Result<Vec<Arrival>, Failure> {
    let portions = args.goods.choose(&Stock { state: scene.state, place, meant_for: None })?;
    let arrival = |portion: crate::model::event::Portion| Arrival {
        goods: portion.goods,
        accepted: portion.quantity,
        pending: 0,
        damaged: 0,
        rejected: 0,
        surplus: 0,
        actual: None,
    };
    Ok(portions.into_iter().map(arrival).collect())
}

/// What arrived of each row of the list.
fn arrivals(args: &Args, ctx: &Context, sheet: &Sheet) -> Result<Vec<Arrival>, Failure> {
    if sheet.rows.is_empty() {
        return Err(Failure::refused("shipment/nothing-left").with("shipment", &sheet.shipment));
    }
    let mut exceptions: Vec<Option<Exception>> = vec![None; sheet.rows.len()];
    if args.all_accepted || !args.exceptions.is_empty() {
        for typed in &args.exceptions {
            let (at, exception) = Exception::of(typed, &sheet.rows)?;
            if exceptions[at].replace(exception).is_some() {
                return Err(Failure::new("except/twice").with("typed", typed));
            }
        }
    } else if ctx.can_ask() {
        ask(ctx, sheet, &mut exceptions)?;
    } else {
        return Err(Failure::new("usage/nothing-said"));
    }
    let pairs = sheet.rows.iter().zip(exceptions);
    pairs.map(|(row, exception)| exception.unwrap_or_default().arrival(row)).collect()
}

/// Goes through the list with a clerk.
fn ask(ctx: &Context, sheet: &Sheet, into: &mut [Option<Exception>]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| super::failure::output_failed(&error);
    let mut err = anstream::stderr();
    writeln!(err, "{}", sheet.text(ctx)).map_err(failed)?;
    let mut lines = std::io::stdin().lock().lines();
    for (row, exception) in sheet.rows.iter().zip(into) {
        loop {
            let quantity = format!("{} {}", row.quantity, row.unit);
            let question = ctx.say(
                "ask.row",
                &[("row", &row.number), ("item", &row.item), ("quantity", &quantity)],
            );
            write!(err, "{question} ").and_then(|()| err.flush()).map_err(failed)?;
            let answer = lines.next().transpose().map_err(failed)?;
            let answer = answer.ok_or_else(|| Failure::new("usage/nothing-said"))?;
            if answer.trim().is_empty() {
                break;
            }
            match Exception::parse(&answer) {
                Ok(given) => {
                    *exception = Some(given);
                    break;
                }
                Err(failure) => {
                    writeln!(err, "{}", failure.message(ctx.language)).map_err(failed)?;
                }
            }
        }
    }
    Ok(())
}

/// What differs from "all accepted" in one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exception {
    accepted: Option<u64>,
    pending: u64,
    damaged: u64,
    short: u64,
    rejected: u64,
    surplus: u64,
    actual: Option<Actual>,
}

impl Exception {
    /// `2: damaged 3, short 2` or `gloves: ...`; gives the place in the list, too.
    fn of(typed: &str, rows: &[Row]) -> Result<(usize, Self), Failure> {
        let split = typed.split_once([':', '：']);
        let (name, rest) =
            split.ok_or_else(|| Failure::new("except/malformed").with("typed", typed))?;
        let name = name.trim();
        let by_number = name.parse::<usize>().ok();
        let fits = |row: &&Row| match by_number {
            Some(number) => row.number == number,
            None => row.item.to_lowercase().contains(&name.to_lowercase()),
        };
        let found: Vec<&Row> = rows.iter().filter(fits).collect();
        // An item's whole name is better than a part of another's.
        let whole: Vec<&Row> = found.iter().copied().filter(|row| row.item == name).collect();
        match (&whole[..], &found[..]) {
            ([row], _) | ([], [row]) => Ok((row.number - 1, Self::parse(rest)?)),
            ([], []) => Err(Failure::new("except/no-row").with("row", name)),
            _ => Err(Failure::new("except/several-rows").with("row", name)),
        }
    }

    /// `damaged 3, short 2, item=KN95, lot=L-7@2027-01-01`; Chinese words and commas will do.
    pub(super) fn parse(typed: &str) -> Result<Self, Failure> {
        let malformed = || Failure::new("except/malformed").with("typed", typed.trim());
        let mut exception = Self::default();
        for part in typed.split([',', '，', ';', '；', '、']).map(str::trim) {
            if let Some(item) = part.strip_prefix("item=") {
                exception.actual().item = text(item)?;
                continue;
            }
            if let Some(lot) = part.strip_prefix("lot=") {
                let lot = words::lot(lot)?;
                let actual = exception.actual();
                (actual.lot, actual.expires_on) = (lot.number, lot.expires_on);
                continue;
            }
            let digits = part.find(|c: char| c.is_ascii_digit()).ok_or_else(malformed)?;
            let (word, quantity) = part.split_at(digits);
            let end = quantity.find(|c: char| !c.is_ascii_digit()).unwrap_or(quantity.len());
            let quantity = words::parse_quantity(&quantity[..end])?;
            let place = exception.outcome(word.trim()).ok_or_else(malformed)?;
            *place = quantity;
        }
        Ok(exception)
    }

    fn actual(&mut self) -> &mut Actual {
        let nothing = Actual { item: Text::default(), lot: Text::default(), expires_on: None };
        self.actual.get_or_insert(nothing)
    }

    /// The quantity that a word of either language names.
    fn outcome(&mut self, word: &str) -> Option<&mut u64> {
        let is = |outcome: &str| {
            let said = |language: Language| {
                language.find(&format!("outcome.{outcome}")).is_some_and(|said| said == word)
            };
            word == outcome || said(Language::English) || said(Language::Chinese)
        };
        if is("accepted") {
            Some(self.accepted.get_or_insert(0))
        } else if is("pending") {
            Some(&mut self.pending)
        } else if is("damaged") {
            Some(&mut self.damaged)
        } else if is("short") {
            Some(&mut self.short)
        } else if is("rejected") {
            Some(&mut self.rejected)
        } else if is("surplus") {
            Some(&mut self.surplus)
        } else {
            None
        }
    }

    /// Puts these quantities in the place of those of an arrival.
    pub(super) fn overwrite(self, arrival: &mut Arrival) {
        arrival.accepted = self.accepted.unwrap_or_default();
        arrival.pending = self.pending;
        arrival.damaged = self.damaged;
        arrival.rejected = self.rejected;
        arrival.surplus = self.surplus;
        arrival.actual = self.actual.or(arrival.actual.take());
    }

    fn arrival(self, row: &Row) -> Result<Arrival, Failure> {
        let apart = [self.pending, self.damaged, self.short, self.rejected];
        let apart = apart.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
        let exceeded = || Violation::new(Code::BalanceExceeded, row.quantity, apart);
        let rest = row.quantity.checked_sub(apart).ok_or_else(exceeded)?;
        let accepted = self.accepted.unwrap_or(rest);
        Ok(Arrival {
            goods: row.goods.clone(),
            accepted,
            pending: self.pending,
            damaged: self.damaged,
            rejected: self.rejected,
            surplus: self.surplus,
            actual: self.actual,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_read_in_both_languages() {
        let exception = Exception::parse("damaged 3, short 2").unwrap();
        assert_eq!((exception.damaged, exception.short, exception.pending), (3, 2, 0));
        assert_eq!(Exception::parse("破损 3，短少2件").unwrap(), exception);
        assert!(Exception::parse("damaged").is_err());
        assert!(Exception::parse("eaten 3").is_err());
        let other = Exception::parse("item=KN95, lot=L-7@2027-01-01").unwrap().actual.unwrap();
        assert_eq!((other.item.as_str(), other.lot.as_str()), ("KN95", "L-7"));
    }
}
