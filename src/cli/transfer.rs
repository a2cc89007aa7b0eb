//! `import --bundle`: a whole ledger comes into a new folder, from a bundle, a mirror or an older
//! folder, checked all the way.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::audit::{is_ledger, read_trust, with_files};
use super::context::Context;
use super::failure::Failure;
use super::mirror::of_report;
use super::progress::{Stages, index_word};
use crate::bundle::LogSource;
use crate::ledger::TRUST_FILE;
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::trust::TrustFile;
use crate::transfer::{Step, Transfer, TransferError};
use crate::verify;

/// What `import` is told of a whole ledger.
#[derive(clap::Args, Clone, Debug)]
pub struct WholeArgs {
    #[arg(
        long,
        value_name = "SOURCE",
        conflicts_with_all = ["list", "map", "dry_run", "leave_out", "report", "keys", "registrar_keys"]
    )]
    pub bundle: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub trust: Option<PathBuf>,
}

/// Audits a source, copies it into the ledger's folder, and opens that.
///
/// # Errors
/// When the source is damaged, or the folder is taken or cannot be written.
pub fn run(bundle: &Path, trust: Option<&Path>, ctx: &Context) -> Result<(), Failure> {
    let trust = trust.map(read_trust).transpose()?;
    let folder = ctx.ledger_dir()?;
    if is_ledger(bundle) {
        let ledger = ctx.open_at(bundle)?;
        let cosigned = ledger.witnessed().kept_checkpoints();
        return transfer(&ledger, cosigned, trust.as_ref(), folder, ctx);
    }
    with_files(bundle, |source| transfer(source, Vec::new(), trust.as_ref(), folder, ctx))
}

fn transfer(
    source: &dyn LogSource,
    cosigned: Vec<(SignedCheckpoint, bool)>,
    trust: Option<&TrustFile>,
    folder: &Path,
    ctx: &Context,
) -> Result<(), Failure> {
    let stages = Stages::new(ctx, word);
    let told = |step: Step, far: verify::Progress| stages.at(step, far.done, far.size);
    let transfer = Transfer::of(source, trust, &told).map_err(why)?.with_cosigned(cosigned);
    let ledger = transfer.into_folder(folder).map_err(why)?;
    stages.clear();
    let checkpoint = ledger.checkpoint().checkpoint();
    let witnesses = ledger.witnessed().policy().cosignatures(transfer.checkpoint());
    let witnesses: Vec<String> =
        witnesses.unwrap_or_default().into_iter().map(|by| by.witness).collect();
    let answer = json!({
        "ledger": folder,
        "origin": checkpoint.origin.as_str(),
        "size": checkpoint.size,
        "root": checkpoint.root.to_string(),
        "trusted": trust.is_some(),
        "cosigned": witnesses,
    });
    let places: [(&str, &dyn std::fmt::Display); 3] = [
        ("size", &checkpoint.size),
        ("origin", &checkpoint.origin.as_str()),
        ("dir", &folder.display()),
    ];
    let mut text = ctx.say("transfer.done", &places) + "\n";
    if trust.is_none() {
        text += &(ctx.say("transfer.untrusted", &[]) + "\n");
    }
    ctx.answer(&answer, &text)
}

fn word(step: Step) -> &'static str {
    match step {
        Step::Audit => "audit",
        Step::Copy => "copy",
        Step::Index(stage) => index_word(stage),
    }
}

fn why(error: TransferError) -> Failure {
    let code = error.code();
    match error {
        TransferError::Failed(report) => of_report(Failure::refused(code), &report),
        TransferError::Cosignature(_) => Failure::refused(code),
        TransferError::Ledger(error) => error.into(),
        other => Failure::new(code).with("path", TRUST_FILE).or_say(other),
    }
}
