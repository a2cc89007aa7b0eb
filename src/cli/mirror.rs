//! `mirror`: keeps a full, audited copy of somebody else's ledger.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::audit::{read_trust, with_source};
use super::context::{Context, now};
use super::failure::{Exit, Failure, file_failed};
use super::progress::Stages;
use crate::mirror::{Followed, Mirror, MirrorError};
use crate::model::trust::TrustFile;
use crate::verify::{Conflict, Options, Progress, Report};

/// What `mirror` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    #[arg(long, conflicts_with = "every")]
    once: bool,
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

/// Follows a ledger into a folder.
///
/// # Errors
/// When the ledger must not be followed, with exit code 1; when the mirror cannot be written. With
/// `--once`, also when the ledger cannot be read.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    let failed = |error| why(error, &args.dir);
    let mirror = Mirror::open(&args.dir).map_err(failed)?;
    if trust.is_none() {
        ctx.note("mirror.untrusted", &[]);
    }
    let mut told = None;
    loop {
        match follow(&mirror, args, trust.as_ref(), ctx) {
            Ok(followed) if args.once || told.is_none() || followed.from < followed.to => {
                tell(&followed, args, ctx)?;
                told = Some(followed);
            }
            Ok(_) => {}
            // The source may be back soon.
            Err(failure) if !args.once && may_pass(&failure) => {
                let message = failure.message(ctx.language);
                ctx.note("mirror.again", &[("why", &message), ("seconds", &args.every)]);
            }
            Err(failure) => return Err(failure),
        }
        if args.once {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(args.every));
    }
}

fn follow(
    mirror: &Mirror,
    args: &Args,
    trust: Option<&TrustFile>,
    ctx: &Context,
) -> Result<Followed, Failure> {
    let stages = Stages::new(ctx, |word| word);
    let progress = |far: Progress| stages.at("mirror", far.done, far.size);
    let saving = |done, all| stages.at("state", done, all);
    let options =
        Options { progress: Some(&progress), saving: Some(&saving), ..Options::default() };
    with_source(&args.source, ctx, |source| {
        let followed = mirror.follow(source, trust, now().0 / 1000, &options);
        followed.map_err(|error| why(error, &args.dir))
    })
}

fn tell(followed: &Followed, args: &Args, ctx: &Context) -> Result<(), Failure> {
    let Followed { from, to } = followed;
    let key = if from < to { "mirror.taken" } else { "mirror.same" };
    let new = to - from;
    let text = ctx.say(key, &[("new", &new), ("size", to), ("path", &args.dir.display())]);
    ctx.answer(&json!({ "mirror": args.dir, "from": from, "size": to }), &(text + "\n"))
}

/// Whether the next attempt may succeed without anybody's doing.
fn may_pass(failure: &Failure) -> bool {
    failure.exit == Exit::CannotRun && !failure.code.starts_with("mirror/")
}

fn why(error: MirrorError, folder: &Path) -> Failure {
    let code = error.code();
    match error {
        MirrorError::Io(error) => file_failed(folder, &error),
        MirrorError::Failed(report) => of_report(Failure::refused(code), &report),
        MirrorError::NotUnderstood(_) => Failure::new(code),
        MirrorError::Forked { conflict, evidence, .. } => {
            of_conflict(Failure::refused(code), &conflict, &evidence)
        }
        MirrorError::RolledBack { conflict, evidence } => {
            of_conflict(Failure::refused(code), &conflict, &evidence)
        }
        other => Failure::new(code).with("path", folder.display()).or_say(other),
    }
}

/// Fills in how much is wrong with a log, and what comes first.
pub fn of_report(failure: Failure, report: &Report) -> Failure {
    let failure = failure.with("count", report.failures.count());
    match report.failures.first().first() {
        Some(first) => failure.with("at", first.at).because(&first.violation),
        None => failure,
    }
}

fn of_conflict(failure: Failure, conflict: &Conflict, evidence: &Path) -> Failure {
    let (seen, found) = (conflict.seen.checkpoint(), conflict.found.checkpoint());
    failure
        .with("origin", &seen.origin)
        .with("seen", seen.size)
        .with("found", found.size)
        .with("path", evidence.display())
}
