//! `seal`: the operator commits to everything that the ledger says of everybody so far.

use serde_json::{Map, Value, json};

use super::context::{Context, columns};
use super::failure::Failure;
use crate::model::entry::Entry;
use crate::model::event::{EpochSealed, Statement};
use crate::model::seal::Sort;

/// Asks for a seal, and tells what it covers; the newest one, if nothing is unsealed.
///
/// # Errors
/// `gate/seal-too-soon`, and when the ledger cannot be written.
pub fn run(ctx: &Context) -> Result<(), Failure> {
    let writer = ctx.open_writer()?;
    let accepted = writer.seal()?;
    let entry = writer.with_ledger(|ledger| ledger.entry(accepted.index))?;
    ctx.close(writer)?;
    let seal = statement(&entry)?;
    let tables = Sort::ALL.iter().map(|sort| (sort.word().to_owned(), json!(seal.table(*sort))));
    let tables: Map<String, Value> = tables.collect();
    let value = json!({
        "index": accepted.index,
        "leaf": accepted.leaf,
        "recorded_at": entry.header.recorded_at,
        "already": accepted.already,
        "covers": seal.size,
        "root": seal.root,
        "tables": tables,
    });
    let (index, size) = (accepted.index, seal.size);
    let told = if accepted.already { "done.sealed-before" } else { "done.sealed" };
    let mut text = ctx.say(told, &[("index", &index), ("count", &size)]) + "\n";
    let row = |sort: &Sort| {
        let table = seal.table(*sort);
        let sort = ctx.say(&format!("field.{sort}"), &[]);
        vec![format!("  {sort}"), table.rows.to_string(), table.hash.to_string()]
    };
    text += &columns(&Sort::ALL.iter().map(row).collect::<Vec<_>>());
    ctx.answer(&value, &text)
}

fn statement(entry: &Entry) -> Result<EpochSealed, Failure> {
    match entry.event.frame.open()?.1 {
        Some(Statement::EpochSealed(seal)) => Ok(seal),
        _ => unreachable!("a seal was asked for"),
    }
}
