//! An event in plain words, from the bytes that are signed and from nothing else.
//!
//! Every field is printed that states anything: nobody signs what was not shown. Names that come
//! from entries attached to a file stand apart, and are marked as not signed.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::context::Context;
use super::event_file::EventFile;
use super::failure::Failure;
use super::shipment::ShipmentFile;
use crate::model::entry::NO_LEAF;
use crate::model::event::{Head, Receipt, Statement};
use crate::model::hash::EventHash;
use crate::model::ident::GiftId;

/// Fields whose values are words of the spec wherever they stand.
const WORDS: &[&str] = &[
    "kind",
    "roles",
    "fate",
    "condition",
    "cause",
    "claim",
    "evidence",
    "consent",
    "code",
    "capacity",
];

/// The event for people.
///
/// # Errors
/// Where the bytes are no event that this program knows.
pub fn describe(ctx: &Context, file: &EventFile) -> Result<String, Failure> {
    let (head, statement) = file.open()?;
    let kind = statement.kind().word();
    let mut text = String::new();
    let _ = writeln!(text, "{}", ctx.language.word(kind));
    let _ = writeln!(text, "  {}", ctx.say(&format!("statement.{kind}"), &[]));
    fields(ctx, &statement_value(&statement)?, kind, 1, &mut text);
    text.push('\n');
    head_text(ctx, file, &head, &mut text);
    signers_text(ctx, file, &mut text)?;
    context_text(ctx, file, &statement, &mut text);
    Ok(text)
}

/// The event for programs.
///
/// # Errors
/// As [`describe`].
pub fn value(file: &EventFile) -> Result<Value, Failure> {
    let (head, statement) = file.open()?;
    let status = |good: Option<bool>| match good {
        None => "missing",
        Some(true) => "good",
        Some(false) => "bad",
    };
    let signatures: Vec<&str> = file.signed()?.iter().map(|(_, good)| status(*good)).collect();
    Ok(json!({
        "event": file.frame.hash(&file.genesis),
        "genesis": file.genesis,
        "head": head,
        "statement": statement_value(&statement)?,
        "signatures": signatures,
    }))
}

/// A correction's replacement is opened, so that it can be read like any statement.
fn statement_value(statement: &Statement) -> Result<Value, Failure> {
    let mut value = json!(statement);
    if let Statement::Correction(correction) = statement {
        value["replacement"] = match correction.replacement()? {
            Some(replacement) => statement_value(&replacement)?,
            None => Value::Null,
        };
    }
    Ok(value)
}

fn head_text(ctx: &Context, file: &EventFile, head: &Head, text: &mut String) {
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{}: {value}", ctx.say(&format!("field.{key}"), &[]));
    };
    line("event", file.frame.hash(&file.genesis).to_string());
    if file.genesis != NO_LEAF {
        line("genesis", file.genesis.to_string());
    }
    if let Some(day) = head.occurred_on {
        line("occurred_on", day.to_string());
    }
    line("signed_at", head.signed_at.to_string());
    if let Some(reason) = &head.reason {
        let code = ctx.language.word(reason.code.word());
        line("reason", format!("{code}. {}", reason.text).trim_end_matches(". ").to_owned());
    }
    for document in &head.documents {
        let kind = ctx.language.word(document.kind.word());
        let hash = document.sha256.map(|hash| format!(" (SHA-256 {hash})")).unwrap_or_default();
        line("document", format!("{kind} {}{hash}", document.number));
    }
    match &head.anchor {
        Some(anchor) => line("anchor", format!("{} ({})", anchor.index, anchor.leaf)),
        None => line("anchor", ctx.say("event.no-anchor", &[])),
    }
    line("nonce", hex::encode(head.nonce));
}

fn signers_text(ctx: &Context, file: &EventFile, text: &mut String) -> Result<(), Failure> {
    let _ = writeln!(text, "{}:", ctx.say("field.signers", &[]));
    for (signer, good) in file.signed()? {
        let status = match good {
            None => "event.signature-missing",
            Some(true) => "event.signature-good",
            Some(false) => "event.signature-bad",
        };
        let own = || ctx.say("event.own-key", &[]);
        let who = signer.party.as_ref().map_or_else(own, ToString::to_string);
        let capacity = ctx.language.word(signer.capacity.word());
        let status = ctx.say(status, &[]);
        let _ = writeln!(text, "  {who} ({capacity}) {}: {status}", signer.key);
    }
    Ok(())
}

/// What the attached entries say of the names in the event.
fn context_text(ctx: &Context, file: &EventFile, statement: &Statement, text: &mut String) {
    let mut lines = Vec::new();
    if let Statement::Receipt(receipt) = statement {
        lines.extend(rows(ctx, file, receipt));
    }
    for entry in &file.context {
        let Ok(event) = entry.event.clone().open(&file.genesis) else { continue };
        match event.statement {
            Some(Statement::PartyEnrolled(party)) => {
                lines.push(format!("{}: {}", party.handle, party.particulars.name));
            }
            Some(Statement::Donation(donation)) => {
                let gift = GiftId::from(&event.hash);
                for line in &donation.lines {
                    let (number, item) = (line.number, &line.item);
                    lines.push(format!("{gift}:{number}: {item}, {} {}", line.quantity, line.unit));
                }
            }
            _ => {}
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{}", ctx.say("event.context", &[]));
        lines.iter().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
}

/// What was sent, row by row, and how much of it the receipt says came; empty where the entries do
/// not say what was sent.
fn rows(ctx: &Context, file: &EventFile, receipt: &Receipt) -> Vec<String> {
    let Some(shipment) = receipt.shipment.clone() else { return Vec::new() };
    let sent = ShipmentFile { genesis: file.genesis, shipment, entries: file.context.clone() };
    let Ok(sheet) = sent.sheet() else { return Vec::new() };
    let line = |row: &super::shipment::Row| {
        let arrival = receipt.arrivals.iter().find(|arrival| arrival.goods == row.goods)?;
        let came = arrival.came()?;
        let places: [(&str, &dyn std::fmt::Display); 5] = [
            ("row", &row.number),
            ("item", &row.item),
            ("came", &came),
            ("sent", &row.quantity),
            ("unit", &row.unit),
        ];
        let mut line = ctx.say("next.row", &places);
        let short = row.quantity.saturating_sub(came);
        if short > 0 && receipt.closing {
            line += &ctx.say("next.row-short", &[("short", &short), ("sent", &row.quantity)]);
        }
        Some(line)
    };
    sheet.rows.iter().filter_map(line).collect()
}

/// The fields of an object that state anything.
fn fields(ctx: &Context, value: &Value, kind: &str, depth: usize, text: &mut String) {
    let Value::Object(object) = value else { return };
    for (key, field) in object {
        // The kind of the statement itself is the heading already. Of goods, how many were accepted
        // is always said, and of the other outcomes those that there are.
        let nothing = field == 0 && key != "accepted" && object.contains_key("goods");
        if nothing || is_silent(field) || (key == "kind" && depth == 1) {
            continue;
        }
        let label = ctx.language.find(&format!("field.{key}")).unwrap_or(key);
        let indent = "  ".repeat(depth);
        match field {
            Value::Object(inner) => {
                let _ = writeln!(text, "{indent}{label}:");
                let kind = inner.get("kind").and_then(Value::as_str).unwrap_or(kind);
                fields(ctx, field, kind, depth + 1, text);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for item in items {
                    let _ = writeln!(text, "{indent}{label}:");
                    fields(ctx, item, kind, depth + 1, text);
                }
            }
            Value::Array(items) => {
                let items: Vec<String> =
                    items.iter().map(|item| plain(ctx, object, key, item, kind)).collect();
                let _ = writeln!(text, "{indent}{label}: {}", items.join(", "));
            }
            plain_value => {
                let shown = plain(ctx, object, key, plain_value, kind);
                let _ = writeln!(text, "{indent}{label}: {shown}");
            }
        }
    }
}

/// Nothing stated: absent, empty, or "no".
fn is_silent(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn plain(
    ctx: &Context,
    object: &Map<String, Value>,
    key: &str,
    value: &Value,
    kind: &str,
) -> String {
    match value {
        Value::Bool(_) => ctx.say("event.yes", &[]),
        Value::String(word) if is_word(object, key, kind) => ctx.language.word(word),
        Value::String(hash) if key == "gift" => {
            let gift = hash.parse::<EventHash>();
            gift.map_or_else(|_| hash.clone(), |gift| GiftId::from(&gift).to_string())
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a field holds a word of the spec, and not what somebody wrote.
fn is_word(object: &Map<String, Value>, key: &str, kind: &str) -> bool {
    match key {
        "purpose" => !matches!(kind, "donation" | "use"),
        // Of goods, the unit is a choice; of a line, it is what somebody wrote.
        "unit" => object.contains_key("meant_for"),
        "basis" => object.contains_key("cents"),
        _ => WORDS.contains(&key),
    }
}
