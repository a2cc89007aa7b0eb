//! `list`: gifts, parties, shipments, needs and differences, with filters.

use std::sync::Arc;

use serde::Serialize;

use super::context::{Context, columns};
use super::failure::Failure;
use super::phrases::{Phrases, number};
use super::words;
use crate::model::ident::{GiftId, Handle};
use crate::model::state::{Gift, Shipment, State, Whereabouts};
use crate::model::verdict::{AsOf, Flag, Headline, Verdict};

/// What there is to list.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum What {
    Gifts,
    Parties,
    Shipments,
    Needs,
    Differences,
}

/// What `list` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "WHAT")]
    what: What,
    #[arg(long, value_name = "PARTY")]
    party: Option<Handle>,
    #[arg(long, value_name = "HEADLINE", value_parser = headlines())]
    headline: Option<String>,
    #[arg(long, value_name = "TEXT", value_parser = words::composed)]
    item: Option<String>,
    #[arg(long, value_name = "LOT", value_parser = words::composed)]
    lot: Option<String>,
    #[arg(long)]
    overdue: bool,
    #[arg(long)]
    open: bool,
}

fn headlines() -> clap::builder::PossibleValuesParser {
    Headline::ALL.iter().map(|headline| headline.word()).collect::<Vec<_>>().into()
}

/// A gift in a list.
#[derive(Serialize)]
struct GiftRow {
    gift: GiftId,
    headline: &'static str,
    item: String,
    lines: usize,
    donor: String,
    donated: Option<u64>,
    accepted: Option<u64>,
    unit: Option<String>,
    flags: Vec<Flag>,
    #[serde(skip)]
    shown: Vec<String>,
}

/// Lists.
///
/// # Errors
/// When the ledger cannot be opened.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let phrases = Phrases { language: ctx.language, state: ledger.state() };
    match args.what {
        What::Gifts => gifts(args, ctx, &phrases),
        What::Differences => differences(args, ctx, &phrases),
        What::Parties => parties(args, ctx, &phrases),
        What::Shipments => shipments(args, ctx, &phrases),
        What::Needs => needs(args, ctx, &phrases),
    }
}

fn heading(phrases: &Phrases, keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| phrases.say(&format!("list.{key}"), &[])).collect()
}

fn tell<T: Serialize>(
    ctx: &Context,
    phrases: &Phrases,
    rows: &[T],
    keys: &[&str],
    shown: impl Fn(&T) -> Vec<String>,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return ctx.answer(&rows, &format!("{}\n", phrases.say("list.none", &[])));
    }
    let mut table = vec![heading(phrases, keys)];
    table.extend(rows.iter().map(shown));
    let count = phrases.say("list.count", &[("count", &number(rows.len() as u64))]);
    ctx.answer(&rows, &format!("{}{count}\n", columns(&table)))
}

/// Whether the gift is one that the filters ask for.
fn wanted(args: &Args, gift: &Gift, verdict: &Verdict) -> bool {
    let party = |party: &Handle| gift.journey.contains(party);
    let item = |text: &String| gift.donation.lines.iter().any(|l| l.item.as_str().contains(text));
    let lot = |text: &String| gift.lots().any(|(_, lot)| lot.as_str() == text);
    let overdue = verdict.flags.iter().any(|flag| matches!(flag, Flag::Overdue { .. }));
    args.party.as_ref().is_none_or(party)
        && args.headline.as_ref().is_none_or(|word| verdict.headline.word() == word)
        && args.item.as_ref().is_none_or(item)
        && args.lot.as_ref().is_none_or(lot)
        && (!args.overdue || overdue)
}

fn gift_rows(wanted: impl Fn(&Gift, &Verdict) -> bool, phrases: &Phrases) -> Vec<GiftRow> {
    let state = phrases.state;
    let as_of = AsOf::last_entry(state);
    let shown = state.gifts.iter().filter_map(|gift| {
        let verdict = Verdict::of(state, &gift, as_of);
        wanted(&gift, &verdict).then(|| (gift.entries[0], row(phrases, &gift, verdict)))
    });
    let mut rows: Vec<(u64, GiftRow)> = shown.collect();
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn row(phrases: &Phrases, gift: &Gift, verdict: Verdict) -> GiftRow {
    let first = &verdict.lines[0];
    let more = verdict.lines.len() - 1;
    let item = match more {
        0 => first.item.to_string(),
        more => phrases.say("list.lines-more", &[("item", &first.item), ("more", &more)]),
    };
    let donor = gift.donor.name.stated().map(str::to_owned);
    let donor = donor.or(gift.donor.party.as_ref().map(|party| phrases.who(party)));
    let donor = donor.unwrap_or_else(|| phrases.say("donor.anonymous", &[]));
    let total = verdict.total.as_ref();
    let shown = vec![
        verdict.gift.to_string(),
        phrases.say(&format!("headline.{}", verdict.headline.word()), &[]),
        total.map(|t| format!("{} {}", number(t.donated), t.unit)).unwrap_or_default(),
        total.map(|t| number(t.accepted)).unwrap_or_default(),
        item.clone(),
        donor.clone(),
    ];
    GiftRow {
        gift: verdict.gift,
        headline: verdict.headline.word(),
        item,
        lines: verdict.lines.len(),
        donor,
        donated: total.map(|total| total.donated),
        accepted: total.map(|total| total.accepted),
        unit: total.map(|total| total.unit.to_string()),
        flags: verdict.flags,
        shown,
    }
}

fn gifts(args: &Args, ctx: &Context, phrases: &Phrases) -> Result<(), Failure> {
    let rows = gift_rows(|gift, verdict| wanted(args, gift, verdict), phrases);
    let keys = ["gift", "headline", "donated", "accepted", "item", "donor"];
    tell(ctx, phrases, &rows, &keys, |row| row.shown.clone())
}

const DIFFERING: [&str; 3] = ["gift", "headline", "difference"];

fn differing_row(phrases: &Phrases, row: &GiftRow) -> Vec<String> {
    let differences = row.flags.iter().filter(|flag| flag.is_difference());
    let differences: Vec<String> = differences.map(|flag| phrases.flag(flag)).collect();
    vec![row.gift.to_string(), row.shown[1].clone(), differences.join("; ")]
}

fn differs(row: &GiftRow) -> bool {
    row.flags.iter().any(Flag::is_difference)
}

/// Every gift with a difference, as a table.
pub fn differing(phrases: &Phrases) -> String {
    let mut table = vec![heading(phrases, &DIFFERING)];
    let rows = gift_rows(|_, _| true, phrases);
    table.extend(rows.iter().filter(|row| differs(row)).map(|row| differing_row(phrases, row)));
    columns(&table)
}

fn differences(args: &Args, ctx: &Context, phrases: &Phrases) -> Result<(), Failure> {
    let mut rows = gift_rows(|gift, verdict| wanted(args, gift, verdict), phrases);
    rows.retain(differs);
    tell(ctx, phrases, &rows, &DIFFERING, |row| differing_row(phrases, row))
}

fn parties(args: &Args, ctx: &Context, phrases: &Phrases) -> Result<(), Failure> {
    let all = phrases.state.parties.iter();
    let wanted =
        all.filter(|party| args.party.as_ref().is_none_or(|handle| party.handle == *handle));
    let rows: Vec<_> = wanted.collect();
    let shown = |party: &&crate::model::state::Party| {
        let roles = party.roles.iter().map(|role| phrases.language.word(role.word()));
        let standing = if party.vouched_since.is_some() {
            "vouched"
        } else if party.vouchers.is_empty() {
            "admitted"
        } else {
            "provisional"
        };
        let valid = party.keys.iter().filter(|key| {
            phrases.state.parties.key(key).is_some_and(|record| record.ended.is_none())
        });
        vec![
            party.handle.to_string(),
            party.particulars.name.to_string(),
            roles.collect::<Vec<_>>().join(", "),
            phrases.say(&format!("standing.{standing}"), &[]),
            valid.count().to_string(),
        ]
    };
    tell(ctx, phrases, &rows, &["handle", "name", "roles", "standing", "keys"], shown)
}

/// How much of a shipment is still on its way.
fn is_open(state: &State, shipment: &Shipment) -> bool {
    let moving = |gift: Arc<Gift>| {
        gift.accounts.iter().any(|(account, quantity)| {
            let here = matches!(&account.place, Whereabouts::Moving { shipment: id, .. } if *id == shipment.id);
            here && quantity > 0
        })
    };
    shipment.gifts.iter().filter_map(|id| state.gifts.get(id)).any(moving)
}

fn shipments(args: &Args, ctx: &Context, phrases: &Phrases) -> Result<(), Failure> {
    let state = phrases.state;
    let wanted = state.shipments.iter().filter(|shipment| {
        let party = |handle: &Handle| {
            shipment.id.giver == *handle
                || shipment.taker == *handle
                || shipment.carrier.as_ref() == Some(handle)
        };
        args.party.as_ref().is_none_or(party) && (!args.open || is_open(state, shipment))
    });
    let mut rows: Vec<Shipment> = wanted.map(Arc::unwrap_or_clone).collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    let shown = |shipment: &Shipment| {
        let word = match (shipment.receipts.is_empty(), shipment.deliveries.is_empty()) {
            _ if !is_open(state, shipment) => "received",
            (true, false) => "delivered",
            _ => "open",
        };
        vec![
            shipment.id.number.to_string(),
            phrases.who(&shipment.id.giver),
            phrases.who(&shipment.taker),
            phrases.language.word(shipment.purpose.word()),
            phrases.say(&format!("list.{word}"), &[]),
            shipment.gifts.len().to_string(),
        ]
    };
    tell(ctx, phrases, &rows, &["shipment", "from", "to", "purpose", "state", "gifts"], shown)
}

fn needs(args: &Args, ctx: &Context, phrases: &Phrases) -> Result<(), Failure> {
    let wanted = phrases.state.needs.values().filter(|need| {
        args.party.as_ref().is_none_or(|party| need.recipient == *party)
            && args.item.as_ref().is_none_or(|item| need.need.item.as_str().contains(item))
            && (!args.open || need.closed.is_none())
    });
    let rows: Vec<_> = wanted.collect();
    let shown = |state: &&crate::model::state::NeedState| {
        let need = &state.need;
        let quantity = need.quantity.map(|q| format!("{} {}", number(q), need.unit));
        let word = if state.closed.is_some() { "closed" } else { "open" };
        vec![
            phrases.who(&state.recipient),
            need.item.to_string(),
            quantity.unwrap_or_default(),
            need.wanted_by.map(|day| day.to_string()).unwrap_or_default(),
            phrases.say(&format!("list.{word}"), &[]),
        ]
    };
    tell(ctx, phrases, &rows, &["recipient", "item", "quantity", "wanted-by", "state"], shown)
}
