//! `repair`: says what is damaged in a ledger's folder, and makes it whole.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::audit::open_source;
use super::context::Context;
use super::failure::Failure;
use super::progress::{Stages, index_word};
use crate::repair::{self, Damage, Phase, Progress, RepairError};

/// How many damages are told to people one by one; programs get all.
const SHOWN_MAX: usize = 20;

/// What `repair` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[arg(long, value_name = "SOURCE")]
    from: Option<PathBuf>,
    #[arg(long)]
    dry_run: bool,
}

/// The answer for programs.
#[derive(Serialize)]
struct Answer<'a> {
    ledger: &'a Path,
    size: u64,
    damage: Vec<serde_json::Value>,
    repaired: bool,
    /// Where the damaged log is now.
    aside: Option<PathBuf>,
}

/// Repairs a ledger's folder.
///
/// # Errors
/// `repair/damaged` with exit code 1 after a dry run that found damage; when entries are lost or the
/// copy is of no use, with exit code 1 too; when the folder cannot be read or written.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let source = args.from.as_deref().map(|path| open_source(path, ctx)).transpose()?;
    let mark = ctx.operator_mark_of(&args.dir);
    let stages = Stages::new(ctx, word);
    let mut progress = |far: Progress| stages.at(far.phase, far.done, far.all);
    let examined = repair::examine(&args.dir, source, mark.as_deref(), &mut progress);
    stages.clear();
    let examined = examined.map_err(why)?;
    let (size, damage) = (examined.size(), examined.damage().to_vec());
    let mut text = told(&damage, &args.dir, ctx);
    let mut answer = Answer {
        ledger: &args.dir,
        size,
        damage: damage.iter().map(value).collect(),
        repaired: false,
        aside: None,
    };
    if damage.is_empty() || args.dry_run {
        ctx.answer(&answer, &text)?;
        return match damage.is_empty() {
            true => Ok(()),
            false => Err(Failure::refused("repair/damaged")),
        };
    }
    if !ctx.json {
        ctx.print(&text)?;
        text.clear();
    }
    let mended = examined.mend(&mut progress);
    stages.clear();
    let mended = mended.map_err(why)?;
    let (path, count) = (args.dir.display(), mended.size);
    text += &format!("{}\n", ctx.say("repair.done", &[("path", &path), ("count", &count)]));
    if let Some(aside) = &mended.aside {
        text += &format!("{}\n", ctx.say("repair.aside", &[("path", &aside.display())]));
    }
    if damage.contains(&Damage::Policy) {
        text += &format!("{}\n", ctx.say("repair.policy", &[]));
    }
    (answer.repaired, answer.aside) = (true, mended.aside);
    ctx.answer(&answer, &text)
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Reading => "read",
        Phase::Judging => "judge",
        Phase::Writing => "copy",
        Phase::Indexing(stage) => index_word(stage),
    }
}

/// What is damaged, a line each.
fn told(damage: &[Damage], folder: &Path, ctx: &Context) -> String {
    let path = folder.display();
    if damage.is_empty() {
        return format!("{}\n", ctx.say("repair.whole", &[("path", &path)]));
    }
    let mut text = format!("{}\n", ctx.say("repair.damaged", &[("path", &path)]));
    for damage in damage.iter().take(SHOWN_MAX) {
        text += &format!("  {} [{}]\n", phrase(damage, ctx), damage.code());
    }
    if let Some(more) = damage.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        text += &format!("  {}\n", ctx.say("repair.more", &[("count", &more)]));
    }
    text
}

fn phrase(damage: &Damage, ctx: &Context) -> String {
    match damage {
        Damage::Marker => ctx.say("repair.marker", &[]),
        Damage::Storage { found } => ctx.say("repair.storage", &[("why", found)]),
        Damage::Head => ctx.say("repair.head", &[]),
        Damage::RolledBack { size, published } => {
            ctx.say("repair.rolled-back", &[("size", size), ("published", published)])
        }
        Damage::Missing { object } => ctx.say("repair.missing", &[("object", object)]),
        Damage::Altered { object } => ctx.say("repair.altered", &[("object", object)]),
        Damage::File { name } => ctx.say("repair.file", &[("name", name)]),
        Damage::Policy => ctx.say("repair.no-policy", &[]),
    }
}

fn value(damage: &Damage) -> serde_json::Value {
    let part = match damage {
        Damage::Marker => "giftproof-ledger".to_owned(),
        Damage::Storage { .. } | Damage::RolledBack { .. } => "log".to_owned(),
        Damage::Head => "head".to_owned(),
        Damage::Missing { object } | Damage::Altered { object } => object.to_string(),
        Damage::File { name } => (*name).to_owned(),
        Damage::Policy => "witnesses".to_owned(),
    };
    json!({ "code": damage.code(), "part": part })
}

fn why(error: RepairError) -> Failure {
    let code = error.code();
    match error {
        RepairError::Ledger(error) => error.into(),
        RepairError::Lost { lost, size } => Failure::refused(code)
            .with("lost", &lost)
            .with("count", lost.count())
            .with("size", size),
        RepairError::SourceOlder { lost, size, source_size } => Failure::refused(code)
            .with("lost", &lost)
            .with("count", lost.count())
            .with("size", size)
            .with("source", source_size),
        RepairError::SourceForked { size } => Failure::refused(code).with("size", size),
        RepairError::SourceSignature => Failure::refused(code),
        RepairError::OtherLog { found } => Failure::refused(code).with("found", found),
        other => Failure::new(code).or_say(other),
    }
}
