//! Act 1: the lists as they were published, and what follows from them alone.
//!
//! Everything here is counted from the embedded lists; the tests compare with counts that were made
//! by other means.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::import::{ImportError, Map, Plan, Refused, plan};
use crate::model::date::Date;
use crate::model::state::Gift;

use super::DemoError;
use super::stage::Stage;

/// Donations received, line by line.
const RECEIVED: &[u8] = include_bytes!("../../fixtures/wuhan-2020/received.csv");
const RECEIVED_MAP: &str = include_str!("../../fixtures/wuhan-2020/received.toml");
/// Goods issued, line by line.
const DISTRIBUTED: &[u8] = include_bytes!("../../fixtures/wuhan-2020/distributed.csv");
const DISTRIBUTED_MAP: &str = include_str!("../../fixtures/wuhan-2020/distributed.toml");
/// Specifications and notes.
const DETAILS: &[u8] = include_bytes!("../../fixtures/wuhan-2020/details.csv");
/// The notice that restates an earlier one.
const RESTATING_NOTICE: &str = "WH-R-6-2";

/// Lines that two gifts must at least have to be compared.
const DUPLICATE_LINES_MIN: usize = 8;
/// Days that may lie between them.
const DUPLICATE_DAYS_MAX: i32 = 3;

/// What follows from the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Lines received.
    pub received_lines: usize,
    /// Of these, lines with a quantity.
    pub mapped_lines: usize,
    /// The gifts that they make.
    pub gifts: usize,
    /// Gifts that restate an earlier notice.
    pub restating: usize,
    /// Gifts of which anything in the ledger says who got them.
    pub linked: usize,
    /// Gifts in another charity's table, which names their recipients.
    pub named: usize,
    /// Lines without a quantity.
    pub refused: Vec<WithoutQuantity>,
    /// Lines issued.
    pub issued_lines: usize,
    /// Attestations that list them: one for each notice and recipient.
    pub attestations: usize,
    /// How issues compare with receipts.
    pub compared: Compared,
    /// The same without the restating notice.
    pub compared_without_restating: Compared,
    /// Pairs of gifts that look like one.
    pub duplicates: Vec<Duplicate>,
}

/// A line that says no quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutQuantity {
    /// `notice:row`.
    pub reference: String,
    /// What stands where an item should.
    pub item: String,
    /// It reads like the second half of another line: a pack size, or no word at all.
    pub is_continuation: bool,
}

/// Issues and receipts, by item and unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Different pairs of item and unit that were issued.
    pub issued: usize,
    /// Of these, pairs that were received under the same name.
    pub matched: usize,
    /// Of these, pairs of which more was issued than received.
    pub exceeded: Vec<Exceeded>,
}

/// More was issued than received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The item.
    pub item: String,
    /// The unit.
    pub unit: String,
    /// How many were received.
    pub received: u64,
    /// How many were issued.
    pub issued: u64,
}

/// Two gifts of different donors that list mostly the same goods within days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Both donors.
    pub donors: [String; 2],
    /// Both days.
    pub days: [Date; 2],
    /// Lines of the longer gift.
    pub lines: usize,
    /// Lines with the same quantity and unit in both.
    pub same: usize,
}

#[derive(Clone, Debug, Deserialize)]
struct Line {
    notice: String,
    row: String,
    date: String,
    #[serde(default)]
    donor: String,
    item: String,
    quantity: String,
    unit: String,
}

/// Plans both lists by the maps that ship with the project.
///
/// # Errors
/// None with the embedded lists, which the tests read.
pub fn plans() -> Result<(Plan, Plan), DemoError> {
    let read = |_: &str| Ok::<_, ImportError>(DETAILS.to_vec());
    let received = Map::read(RECEIVED_MAP).map_err(ImportError::from)?;
    let distributed = Map::read(DISTRIBUTED_MAP).map_err(ImportError::from)?;
    Ok((plan(RECEIVED, &received, read)?, plan(DISTRIBUTED, &distributed, read)?))
}

/// Imports both lists, and says what follows from them.
///
/// # Errors
/// Those of the import.
pub fn play(stage: &mut Stage) -> Result<Published, DemoError> {
    let (received, distributed) = plans()?;
    stage.import(&received)?;
    stage.import(&distributed)?;
    let (restating, linked) = stage.with_state(|state| {
        let restates = |gift: &Arc<Gift>| !gift.donation.restates.is_empty();
        let is_linked = |gift: &Arc<Gift>| {
            let meant_for = gift.accounts.iter().any(|(account, _)| account.meant_for.is_some());
            meant_for || !gift.shipments.is_empty() || !gift.evidence.is_empty()
        };
        let count = |wanted: &dyn Fn(&Arc<Gift>) -> bool| state.gifts.iter().filter(wanted).count();
        (count(&restates), count(&is_linked))
    });
    let (in_lines, out_lines) = (lines(RECEIVED)?, lines(DISTRIBUTED)?);
    let without: Vec<Line> =
        in_lines.iter().filter(|line| line.notice != RESTATING_NOTICE).cloned().collect();
    Ok(Published {
        received_lines: received.row_count,
        mapped_lines: received.mapped_count(),
        gifts: received.gift_count(),
        restating,
        linked,
        named: super::journeys::designated_count()?,
        refused: received.refused.iter().map(|row| without_quantity(row, &in_lines)).collect(),
        issued_lines: distributed.mapped_count(),
        attestations: distributed.publication_count(),
        compared: compare(&in_lines, &out_lines),
        compared_without_restating: compare(&without, &out_lines),
        duplicates: duplicates(&in_lines),
    })
}

fn lines(csv: &[u8]) -> Result<Vec<Line>, DemoError> {
    Ok(csv::Reader::from_reader(csv).deserialize().collect::<Result<_, _>>()?)
}

fn without_quantity(refused: &Refused, lines: &[Line]) -> WithoutQuantity {
    let reference = |line: &&Line| format!("{}:{}", line.notice, line.row) == refused.reference;
    let item = lines.iter().find(reference).map_or(String::new(), |line| line.item.clone());
    let word = |character: char| ('\u{4e00}'..='\u{9fff}').contains(&character);
    let is_continuation = item.contains('/') || !item.chars().any(word);
    WithoutQuantity { reference: refused.reference.clone(), item, is_continuation }
}

/// Item and unit without blanks, in lower case.
fn key(line: &Line) -> (String, String) {
    let plain = |text: &str| {
        let kept = text.chars().filter(|character| !character.is_whitespace());
        kept.collect::<String>().to_lowercase()
    };
    (plain(&line.item), plain(&line.unit))
}

fn totals(lines: &[Line]) -> BTreeMap<(String, String), u64> {
    let mut totals = BTreeMap::new();
    for line in lines {
        if let Ok(quantity) = line.quantity.parse::<u64>() {
            *totals.entry(key(line)).or_default() += quantity;
        }
    }
    totals
}

fn compare(received: &[Line], issued: &[Line]) -> Compared {
    let (received, issued) = (totals(received), totals(issued));
    let mut compared = Compared { issued: issued.len(), ..Compared::default() };
    for ((item, unit), issued) in issued {
        let Some(received) = received.get(&(item.clone(), unit.clone())).copied() else { continue };
        compared.matched += 1;
        if issued > received {
            compared.exceeded.push(Exceeded { item, unit, received, issued });
        }
    }
    // Those with the greatest gap come first.
    compared.exceeded.sort_by_key(|pair| std::cmp::Reverse(pair.issued - pair.received));
    compared
}

/// A gift of the list: day, donor, and how often each quantity and unit occurs.
struct Consignment {
    day: Date,
    donor: String,
    goods: BTreeMap<(String, String), usize>,
    lines: usize,
}

fn duplicates(lines: &[Line]) -> Vec<Duplicate> {
    let mut groups: BTreeMap<(&str, &str, &str), Consignment> = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.quantity.is_empty()) {
        let Ok(day) = line.date.parse() else { continue };
        let group = groups.entry((&line.notice, &line.date, &line.donor)).or_insert_with(|| {
            Consignment { day, donor: line.donor.clone(), goods: BTreeMap::new(), lines: 0 }
        });
        *group.goods.entry((line.quantity.clone(), line.unit.clone())).or_default() += 1;
        group.lines += 1;
    }
    let large: Vec<Consignment> =
        groups.into_values().filter(|group| group.lines >= DUPLICATE_LINES_MIN).collect();
    let mut pairs = Vec::new();
    for (at, one) in large.iter().enumerate() {
        for other in &large[at + 1..] {
            let apart = other.day.days_since(one.day).abs();
            if one.donor == other.donor || apart > DUPLICATE_DAYS_MAX {
                continue;
            }
            let same = one
                .goods
                .iter()
                .map(|(goods, count)| other.goods.get(goods).map_or(0, |there| *count.min(there)));
            let (same, lines) = (same.sum::<usize>(), one.lines.max(other.lines));
            // Four fifths of the longer one.
            if same * 5 >= lines * 4 {
                let donors = [one.donor.clone(), other.donor.clone()];
                pairs.push(Duplicate { donors, days: [one.day, other.day], lines, same });
            }
        }
    }
    pairs
}
