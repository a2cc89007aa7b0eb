//! Act 2, first part: designated gifts with whole journeys, as they could have been.
//!
//! The gifts, donors and recipients are those of a published notice. Nobody signed in 2020: keys and
//! signatures are made here, and every gift says so. Where the notice leaves something open, a list
//! of our own says how it was read, and what was invented.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::model::encoding::{Blob, List};
use crate::model::event::*;
use crate::model::hash::EventHash;
use crate::model::text::Text;
use crate::model::verdict::{AsOf, Verdict};

use super::DemoError;
use super::moves::{Leg, donation, donor, line, portion};
use super::stage::{By, Stage};

const DESIGNATED: &[u8] = include_bytes!("../../fixtures/wuhan-2020/designated.csv");
const LINES: &[u8] = include_bytes!("../../fixtures/wuhan-2020/designated_lines.csv");
const ALIASES: &[u8] = include_bytes!("../../fixtures/wuhan-2020/aliases.csv");
const HOSPITALS: &[u8] = include_bytes!("../../fixtures/wuhan-2020/hospitals/hospitals.csv");

/// The charity that published the notice.
const CHARITY: &str = "hubei-red-cross";
/// An invented carrier: the notice names none.
pub const CARRIER: &str = "demo-carrier";
/// The row with 16,000 + 16,000 of 36,000 masks.
const MASKS_ROW: u16 = 14;
/// The donor of this row holds a slip, and takes it over.
const SLIP_ROW: u16 = 11;
const PURPOSE: &str =
    "as it could be: keys and signatures made for the demonstration 演示：密钥与签名均为演示生成";

/// Handles of the recipients, by their full names.
const RECIPIENTS: &[(&str, &str)] = &[
    ("湖北省疾病预防控制中心", "hubei-cdc"),
    ("武汉铁路局", "wuhan-railway"),
    ("武汉火车站", "wuhan-station"),
    ("武昌火车站", "wuchang-station"),
    ("汉口火车站", "hankou-station"),
    ("湖北省荣军医院", "rongjun-hospital"),
    ("华中科技大学同济医学院附属协和医院", "union-hospital"),
    ("武汉科技大学附属天佑医院", "tianyou-hospital"),
    ("武汉仁爱医院", "renai-hospital"),
    ("徐家棚社区", "xujiapeng-community"),
    ("上海中医医院医疗队", "shanghai-tcm-team"),
    ("华中科技大学校医院", "hust-hospital"),
];

/// What act 2 has built of the notice.
#[derive(Clone, Debug)]
pub struct Journeys {
    /// Gifts with whole journeys.
    pub gifts: Vec<Journey>,
    /// Rows without a usable quantity.
    pub refused: Vec<(u16, String)>,
    /// Recipients that the hospital list knows, with their place.
    pub listed: usize,
    /// Recipients under their published names.
    pub unlisted: usize,
    /// The 36,000 masks: as first published, and at the end.
    pub masks: Masks,
}

/// A gift of the notice.
#[derive(Clone, Debug)]
pub struct Journey {
    /// Its row.
    pub row: u16,
    /// The donor, as published.
    pub donor: String,
    /// The gift.
    pub gift: EventHash,
}

/// A gift that contradicted itself and was corrected.
#[derive(Clone, Debug)]
pub struct Masks {
    /// The gift.
    pub gift: EventHash,
    /// The verdict after the donation.
    pub before: Verdict,
    /// The verdict after the correction and two more designations.
    pub corrected: Verdict,
}

#[derive(Clone, Debug, Deserialize)]
struct Row {
    row: u16,
    donor: String,
    item: String,
    value_cny: String,
}

#[derive(Clone, Debug, Deserialize)]
struct LineRow {
    row: u16,
    line: u16,
    item: String,
    quantity: u64,
    unit: String,
    recipient: String,
    share: u64,
    note: String,
}

fn read<T: for<'de> Deserialize<'de>>(csv: &[u8]) -> Result<Vec<T>, DemoError> {
    Ok(csv::Reader::from_reader(csv).deserialize().collect::<Result<_, _>>()?)
}

/// How many gifts the notice lists.
///
/// # Errors
/// None with the embedded list, which the tests read.
pub fn designated_count() -> Result<usize, DemoError> {
    Ok(read::<Row>(DESIGNATED)?.len())
}

/// A gift while it is played.
struct Played {
    row: u16,
    donor: String,
    lines: Vec<Line>,
    gift: EventHash,
}

/// Plays all journeys.
///
/// # Errors
/// Those of the writer.
pub fn play(stage: &mut Stage) -> Result<Journeys, DemoError> {
    let rows: Vec<Row> = read(DESIGNATED)?;
    let lines: Vec<LineRow> = read(LINES)?;
    let names = Names::read()?;
    stage.wait(1)?;
    let (listed, unlisted) = enrol(stage, &rows, &lines, &names)?;
    let mut played = Vec::new();
    let mut refused = Vec::new();
    for row in &rows {
        let lines: Vec<&LineRow> = lines.iter().filter(|line| line.row == row.row).collect();
        if lines.is_empty() {
            refused.push((row.row, row.item.clone()));
        } else {
            played.push(give(stage, row, &lines, &names)?);
        }
    }
    stage.record()?;
    let masks = played.iter().find(|gift| gift.row == MASKS_ROW);
    let masks = correct_masks(stage, masks.expect("the list holds the masks"))?;
    bring(stage, &played)?;
    let journey =
        |played: Played| Journey { row: played.row, donor: played.donor, gift: played.gift };
    let gifts = played.into_iter().map(journey).collect();
    Ok(Journeys { gifts, refused, listed, unlisted, masks })
}

/// Full names and places of recipients.
struct Names {
    aliases: BTreeMap<String, String>,
    places: BTreeMap<String, String>,
}

impl Names {
    fn read() -> Result<Self, DemoError> {
        #[derive(Deserialize)]
        struct Alias {
            alias: String,
            canonical: String,
        }
        #[derive(Deserialize)]
        struct Hospital {
            name: String,
            address: String,
        }
        let aliases = read::<Alias>(ALIASES)?.into_iter().map(|a| (a.alias, a.canonical));
        let hospitals = read::<Hospital>(HOSPITALS)?.into_iter().map(|h| (h.name, h.address));
        Ok(Self { aliases: aliases.collect(), places: hospitals.collect() })
    }

    fn full<'a>(&'a self, published: &'a str) -> &'a str {
        self.aliases.get(published).map_or(published, String::as_str)
    }

    fn handle(&self, published: &str) -> &'static str {
        let full = self.full(published);
        let known = RECIPIENTS.iter().find(|(name, _)| *name == full);
        known.expect("the table holds every recipient of the list").1
    }
}

fn donor_handle(row: u16) -> String {
    format!("donor-{row:02}")
}

/// Natural persons are not enrolled: they make a key for their gift alone.
fn is_person(donor: &str) -> bool {
    donor.starts_with("个人-")
}

/// Enrols charity, carrier, donors, and recipients by two of three registrars.
fn enrol(
    stage: &mut Stage,
    rows: &[Row],
    lines: &[LineRow],
    names: &Names,
) -> Result<(usize, usize), DemoError> {
    stage.enrol(CHARITY, "湖北省红十字会", "湖北省", Role::Charity, 2)?;
    stage.enrol(CARRIER, "Demo Carrier 演示承运商 (invented 虚构)", "", Role::Carrier, 0)?;
    let given: BTreeSet<u16> = lines.iter().map(|line| line.row).collect();
    for row in rows.iter().filter(|row| given.contains(&row.row) && !is_person(&row.donor)) {
        stage.enrol(&donor_handle(row.row), &row.donor, "", Role::Donor, 0)?;
    }
    let recipients: BTreeSet<&str> = lines.iter().map(|line| names.full(&line.recipient)).collect();
    let mut listed = 0;
    for name in &recipients {
        let place = names.places.get(*name);
        listed += usize::from(place.is_some());
        let place = place.map_or("", String::as_str);
        stage.enrol(names.handle(name), name, place, Role::Recipient, 2)?;
    }
    stage.record()?;
    Ok((listed, recipients.len() - listed))
}

fn give(
    stage: &mut Stage,
    row: &Row,
    rows: &[&LineRow],
    names: &Names,
) -> Result<Played, DemoError> {
    let mut lines: Vec<Line> = Vec::new();
    let numbers: BTreeSet<u16> = rows.iter().map(|line| line.line).collect();
    for number in numbers {
        let shares: Vec<&&LineRow> = rows.iter().filter(|line| line.line == number).collect();
        let first = shares[0];
        let shares: Vec<(&str, u64)> =
            shares.iter().map(|share| (names.handle(&share.recipient), share.share)).collect();
        let mut line = line(number, &first.item, first.quantity, &first.unit, &shares)?;
        line.specification = Text::new(first.note.clone())?;
        lines.push(line);
    }
    if let ([line], Ok(yuan)) = (&mut lines[..], row.value_cny.parse::<u64>()) {
        let (cents, basis) = (yuan * 100, ValueBasis::Published);
        line.value = Some(Value { cents, currency: Text::new("CNY")?, basis });
    }
    let (own, slip) = (format!("donor-key-{}", row.row), format!("slip-{}", row.row));
    let party = donor_handle(row.row);
    let is_slip = row.row == SLIP_ROW;
    let (given, by) = if is_slip {
        let key = stage.key(&slip);
        (
            donor(DonorKind::Slip, Some(CHARITY), Some(key), &row.donor)?,
            By::Key(Capacity::Donor, &slip),
        )
    } else if is_person(&row.donor) {
        let key = stage.key(&own);
        (donor(DonorKind::OneTimeKey, None, Some(key), &row.donor)?, By::Key(Capacity::Donor, &own))
    } else {
        (
            donor(DonorKind::Enrolled, Some(&party), None, &row.donor)?,
            By::Party(Capacity::Donor, &party),
        )
    };
    let statement = donation(given, Some(CHARITY), lines.clone(), PURPOSE)?;
    let mut draft = stage.draft(statement);
    let number = Text::new(format!("HB-D-0130:{}", row.row))?;
    draft.documents = vec![Document { kind: DocumentKind::Notice, number, sha256: None }];
    let gift = stage.sign(draft, &[by, By::Party(Capacity::Taker, CHARITY)])?;
    if is_slip {
        let key = stage.key(&own);
        let donor = donor(DonorKind::OneTimeKey, None, Some(key), &row.donor)?;
        let by = [By::Key(Capacity::Donor, &slip), By::Key(Capacity::NewKey, &own)];
        stage.say(GiftTakenOver { gift, donor }, &by)?;
    }
    Ok(Played { row: row.row, donor: row.donor.clone(), lines, gift })
}

/// 16,000 + 16,000 leaves 4,000; the correction notice makes it KN95, and 18,000 + 18,000.
fn correct_masks(stage: &mut Stage, masks: &Played) -> Result<Masks, DemoError> {
    let gift = masks.gift;
    let verdict = |stage: &Stage| {
        stage.with_state(|state| {
            let gift = state.gifts.get(&gift).expect("the donation has been recorded");
            Verdict::of(state, &gift, AsOf::last_entry(state))
        })
    };
    let before = verdict(stage);
    stage.wait(1)?;
    let (target_index, mut new) = stage.with_state(|state| {
        let gift = state.gifts.get(&gift).expect("the donation has been recorded");
        (gift.entries[0], Donation::clone(&gift.donation))
    });
    let mut line = new.lines[0].clone();
    line.item = Text::new("KN95口罩")?;
    new.lines = List::new(vec![line])?;
    let replacement = Blob::new(Statement::from(new).to_bytes())?;
    let target_kind = Kind::Donation as u16;
    let mut draft =
        stage.draft(Correction { target_index, target: gift, target_kind, replacement });
    draft.reason = Some(Reason {
        code: ReasonCode::Description,
        text: Text::new("更正公告 http://www.hbsredcross.org.cn/xxgk/8667.jhtml")?,
    });
    let party = donor_handle(MASKS_ROW);
    let by = [By::Party(Capacity::Donor, &party), By::Party(Capacity::Taker, CHARITY)];
    stage.sign(draft, &by)?;
    let undesignated = portion(gift, 1, None, 0).goods;
    let to = |recipient: &crate::model::ident::Handle| Assignment {
        goods: undesignated.clone(),
        recipient: recipient.clone(),
        quantity: 2_000,
    };
    let assignments = masks.lines[0].shares.iter().map(|share| to(&share.recipient)).collect();
    let designation = Designation {
        holder: super::stage::handle(CHARITY),
        order: None,
        decided_by: Text::new("湖北省红十字会")?,
        decision: Text::new("xxgk/8667")?,
        consent: Consent::NotNeeded,
        assignments: List::new(assignments)?,
    };
    stage.say(designation, &[By::Party(Capacity::Holder, CHARITY)])?;
    stage.record()?;
    Ok(Masks { gift, before, corrected: verdict(stage) })
}

/// Sends each gift to each of its recipients; reported as delivered and accepted the day after.
fn bring(stage: &mut Stage, played: &[Played]) -> Result<(), DemoError> {
    let mut legs: Vec<(String, String, Vec<Portion>)> = Vec::new();
    for gift in played {
        let mut by_recipient: BTreeMap<&str, Vec<Portion>> = BTreeMap::new();
        for line in &gift.lines {
            for share in &line.shares {
                let recipient = share.recipient.as_str();
                // The correction has added 2,000 to each.
                let more = if gift.row == MASKS_ROW { 2_000 } else { 0 };
                let sent = portion(gift.gift, line.number, Some(recipient), share.quantity + more);
                by_recipient.entry(recipient).or_default().push(sent);
            }
        }
        for (number, (recipient, goods)) in (1..).zip(by_recipient) {
            legs.push((format!("HB-{}-{number}", gift.row), recipient.to_owned(), goods));
        }
    }
    stage.wait(1)?;
    for (number, to, goods) in &legs {
        stage.send(&journey_leg(number, to), goods)?;
    }
    stage.wait(1)?;
    for (number, to, goods) in &legs {
        let leg = journey_leg(number, to);
        stage.report_delivered(&leg)?;
        stage.receive(&leg, super::moves::all_accepted(goods))?;
    }
    stage.record()
}

fn journey_leg<'a>(number: &'a str, to: &'a str) -> Leg<'a> {
    Leg { number, from: CHARITY, to, purpose: Purpose::Issue, carrier: Some(CARRIER) }
}
