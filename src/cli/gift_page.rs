//! A gift for people and programs, wherever its entries come from: a ledger or a proof file.

use serde::Serialize;

use super::context::columns;
use super::failure::Failure;
use super::phrases::{HEADING, Phrases, number, styled};
use crate::model::event::{Capacity, DonorKind, Head, Signer, Statement};
use crate::model::ident::{EntryIndex, Handle};
use crate::model::state::{Gift, Owner, Recorded, Standing, State};
use crate::model::verdict::Verdict;

/// What an event says, for programs.
#[derive(Serialize)]
pub struct Said {
    hash: String,
    recorded_at_unix_ms: u64,
    head: Head,
    statement: Option<Statement>,
}

/// One event of the journey.
#[derive(Serialize)]
pub struct Step {
    index: EntryIndex,
    day: String,
    #[serde(flatten)]
    said: Said,
    #[serde(skip)]
    event: Recorded,
    superseded_by: Option<EntryIndex>,
}

/// The journey of a gift, by the entries that `recorded` gives.
///
/// # Errors
/// Those of `recorded`.
pub fn journey(
    state: &State,
    gift: &Gift,
    recorded: impl Fn(EntryIndex) -> Result<Recorded, Failure>,
) -> Result<Vec<Step>, Failure> {
    let offset = state.rules().offset_minutes;
    let mut steps = Vec::new();
    for index in Verdict::journey(state, gift) {
        let event = recorded(index)?;
        let day = event.event.head.occurred_on.unwrap_or(event.recorded_at.date(offset));
        let corrected = gift.corrected.iter().rev().find(|(target, _)| *target == index);
        let superseded_by = corrected.map(|(_, by)| *by);
        let said = Said {
            hash: event.event.hash.to_string(),
            recorded_at_unix_ms: event.recorded_at.0,
            head: event.event.head.clone(),
            statement: event.event.statement.clone(),
        };
        steps.push(Step { index, day: day.to_string(), said, event, superseded_by });
    }
    Ok(steps)
}

/// Everything about a gift but what it rests on: headline, places, proof, flags, journey.
pub fn page(words: &Phrases, gift: &Gift, verdict: &Verdict, journey: &[Step]) -> String {
    let mut page = format!("{}\n{}\n\n", words.headline(verdict), verdict.gift);
    page.push_str(&columns(&about(words, gift)));
    let mut section = |title: &str, body: String| {
        let title = words.say(&format!("lookup.{title}"), &[]);
        page.push_str(&format!("\n{}\n{body}", styled(HEADING, &title)));
    };
    section("where", columns(&holdings(words, verdict)));
    if verdict.recipients.len() > 1 {
        section("by-recipient", columns(&recipients(words, verdict)));
    }
    section("proven", columns(&proven(words, verdict)));
    let flags: Vec<String> = verdict.flags.iter().map(|flag| words.flag(flag)).collect();
    section("flags", list(&flags, &words.say("lookup.no-flags", &[])));
    section("journey", columns(&steps(words, journey, gift)));
    let missing: Vec<String> = verdict.missing.iter().map(|m| words.missing(m)).collect();
    section("missing", list(&missing, &words.say("missing.nothing", &[])));
    page
}

fn list(items: &[String], nothing: &str) -> String {
    if items.is_empty() {
        return format!("  {nothing}\n");
    }
    items.iter().map(|item| format!("  - {item}\n")).collect()
}

fn about(words: &Phrases, gift: &Gift) -> Vec<Vec<String>> {
    let row = |key: &str, value: String| vec![words.say(&format!("lookup.{key}"), &[]), value];
    let donor = &gift.donor;
    let name = donor.name.stated().map(str::to_owned);
    let name = name.or(donor.party.as_ref().map(|party| words.who(party)));
    let name = name.unwrap_or_else(|| words.say("donor.anonymous", &[]));
    let party = |handle: &Option<Handle>| handle.as_ref().map(|h| words.who(h)).unwrap_or_default();
    let how = match donor.kind {
        DonorKind::Enrolled => words.say("donor.enrolled", &[]),
        DonorKind::OneTimeKey => words.say("donor.one-time-key", &[]),
        DonorKind::Slip => words.say("donor.slip", &[("issuer", &party(&donor.party))]),
        DonorKind::Recorded => {
            words.say("donor.recorded", &[("taker", &party(&gift.donation.taker))])
        }
    };
    let mut rows = vec![row("given", format!("{name} ({how})"))];
    rows.extend(gift.given_on.map(|day| row("given-on", day.to_string())));
    rows.extend(gift.donation.taker.as_ref().map(|taker| row("taken-by", words.who(taker))));
    rows.extend(gift.donation.purpose.stated().map(|text| row("purpose", text.to_owned())));
    rows.extend(gift.donation.deadline.map(|day| row("deadline", day.to_string())));
    let documents: Vec<&str> = gift.documents.iter().filter_map(|d| d.number.stated()).collect();
    if !documents.is_empty() {
        rows.push(row("documents", documents.join(", ")));
    }
    rows
}

fn amount(quantity: u64, unit: &impl std::fmt::Display) -> String {
    format!("  {} {unit}", number(quantity))
}

/// The item, where a gift has several lines.
fn item(verdict: &Verdict, line: u16) -> Option<String> {
    let several = verdict.lines.len() > 1;
    let line = verdict.lines.iter().find(|known| known.number == line)?;
    several.then(|| line.item.to_string())
}

fn holdings(words: &Phrases, verdict: &Verdict) -> Vec<Vec<String>> {
    let row = |holding: &crate::model::verdict::Holding| {
        let mut row = vec![amount(holding.quantity, &holding.unit)];
        row.extend(item(verdict, holding.line));
        row.push(words.place(holding));
        row
    };
    verdict.holdings.iter().map(row).collect()
}

fn recipients(words: &Phrases, verdict: &Verdict) -> Vec<Vec<String>> {
    let row = |recipient: &crate::model::verdict::RecipientVerdict| {
        let mut row = vec![format!("  {}", words.who(&recipient.recipient))];
        row.extend(item(verdict, recipient.line));
        row.push(words.say(
            "lookup.recipient-row",
            &[
                ("accepted", &number(recipient.accepted)),
                ("designated", &number(recipient.designated)),
                ("unit", &recipient.unit),
            ],
        ));
        row
    };
    verdict.recipients.iter().map(row).collect()
}

fn proven(words: &Phrases, verdict: &Verdict) -> Vec<Vec<String>> {
    let row = |proven: &crate::model::verdict::Proven| {
        let mut row = vec![amount(proven.quantity, &proven.unit)];
        row.extend(item(verdict, proven.line));
        row.push(words.proof(&proven.proof));
        row
    };
    verdict.proven.iter().map(row).collect()
}

fn steps(words: &Phrases, journey: &[Step], gift: &Gift) -> Vec<Vec<String>> {
    let heading = ["when", "what", "where-to", "signed", "vouched", "entry"];
    let heading = heading.map(|key| words.say(&format!("lookup.{key}"), &[]));
    let mut rows = vec![heading.to_vec()];
    rows[0][0].insert_str(0, "  ");
    for step in journey {
        let event = &step.event.event;
        let Some(statement) = &event.statement else { continue };
        let what = words.say(&format!("kind.{}", statement.kind().word()), &[]);
        let mut index = step.index.to_string();
        if let Some(by) = step.superseded_by {
            index = format!("{index} (-> {by})");
        }
        let mut row =
            vec![format!("  {}", step.day), what, where_to(words, statement, gift), String::new()];
        row.extend([String::new(), index]);
        // One signer a line, each beside those who vouched for its key.
        for signer in &event.head.signers {
            row[3] = match &signer.party {
                Some(party) => words.who(party),
                None => words.say("standing.gift", &[]),
            };
            row[4] = vouched_by(words, signer, step.index);
            rows.push(std::mem::replace(&mut row, vec![String::new(); 6]));
        }
    }
    rows
}

/// Who vouched for a signer's key, or in what other right it signed.
fn vouched_by(words: &Phrases, signer: &Signer, index: EntryIndex) -> String {
    match (signer.capacity, &signer.party) {
        (Capacity::Operator, _) => words.say("standing.operator", &[]),
        (Capacity::Registrar, _) => words.say("standing.registrar", &[]),
        (_, None) => words.say("standing.gift", &[]),
        (_, Some(handle)) => {
            let parties = &words.state.parties;
            let Some(party) = parties.get(handle) else {
                let owner = parties.key(&signer.key).map(|record| &record.owner);
                let operator = matches!(owner, Some(Owner::Operator));
                let word = if operator { "operator" } else { "registrar" };
                return words.say(&format!("standing.{word}"), &[]);
            };
            if party.vouchers.is_empty() {
                return words.say("standing.admitted", &[]);
            }
            let standing = parties.standing(handle, &signer.key, index);
            if standing == Standing::Provisional {
                return words.standing(standing);
            }
            let vouchers: Vec<&str> = party.vouchers.iter().map(Handle::as_str).collect();
            format!("{} ({})", vouchers.join(" + "), words.standing(standing))
        }
    }
}

fn where_to(words: &Phrases, statement: &Statement, gift: &Gift) -> String {
    match statement {
        Statement::Donation(s) => s.taker.as_ref().map(|to| words.who(to)).unwrap_or_default(),
        Statement::Dispatch(s) => format!("-> {} ({})", words.who(&s.taker), s.shipment.number),
        Statement::Delivery(s) => {
            let place = s.place.stated().unwrap_or_default();
            format!("{place} ({})", s.shipment.number).trim_start().to_owned()
        }
        Statement::Receipt(s) => {
            let mut sums = [0u64; 5];
            // A shipment may carry other donors' goods; their figures are not this gift's.
            for arrival in s.arrivals.iter().filter(|arrival| arrival.goods.gift == gift.id) {
                let parts = [
                    arrival.accepted,
                    arrival.pending,
                    arrival.damaged,
                    arrival.rejected,
                    arrival.surplus,
                ];
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum = sum.saturating_add(part));
            }
            let names = ["accepted", "pending", "damaged", "rejected", "surplus"];
            let parts = names.iter().zip(sums).filter(|(_, sum)| *sum > 0);
            let parts: Vec<String> = parts
                .map(|(name, sum)| {
                    format!("{} {}", words.say(&format!("outcome.{name}"), &[]), number(sum))
                })
                .collect();
            parts.join(", ")
        }
        Statement::Designation(s) => {
            let mine = s.assignments.iter().filter(|a| a.goods.gift == gift.id);
            let mut to: Vec<String> = mine.map(|a| words.who(&a.recipient)).collect();
            to.dedup();
            format!("-> {}", to.join(", "))
        }
        Statement::Use(s) => s.ward.to_string(),
        Statement::Disposal(s) => s.to.to_string(),
        Statement::Hold(s) => s.authority.to_string(),
        Statement::Dispute(s) => words.say(&format!("claim.{}", s.claim), &[]),
        Statement::Attestation(s) => s.recipient_name.to_string(),
        Statement::Correction(s) => format!("({})", s.target_index),
        _ => String::new(),
    }
}
