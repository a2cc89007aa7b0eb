//! `verify` of an audit statement: who audited which ledger, as of when, and whether it counts.

use std::fmt::Display;

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::phrases::number;
use super::verify::{moment, page};
use crate::model::audited::SignedStatement;
use crate::model::note::CosignatureTime;
use crate::model::trust::TrustFile;
use crate::model::violation::Code;

/// The answer for programs.
#[derive(Serialize)]
struct Answer {
    form: &'static str,
    level: &'static str,
    origin: String,
    size: u64,
    root: String,
    auditors: Vec<String>,
    differences: u64,
    audited_at_unix_seconds: u64,
}

/// Verifies a signed audit statement.
///
/// # Errors
/// What does not hold, with exit code 1; `verify/unknown-auditor` with 2, where the trust file
/// names none of its signers.
pub fn audited(bytes: &[u8], trust: &TrustFile, ctx: &Context) -> Result<(), Failure> {
    let signed = SignedStatement::parse(bytes)
        .map_err(|error| Failure::refused(error.code()).or_say(error))?;
    let statement = signed.statement();
    let checkpoint = &statement.checkpoint;
    if checkpoint.origin != *trust.origin() {
        return Err(Code::CheckpointOrigin.into());
    }
    let auditors = signed
        .verify(trust.auditors())
        .map_err(|error| Failure::refused(error.code()).or_say(error))?;
    if auditors.is_empty() {
        let names: Vec<String> = signed.claimed_by().map(ToString::to_string).collect();
        return Err(Failure::new("verify/unknown-auditor").with("names", names.join(", ")));
    }
    let auditors: Vec<String> = auditors.iter().map(|key| key.name().to_string()).collect();
    let seconds = statement.audited_at_unix_seconds;
    let time = CosignatureTime::new(seconds).map_or_else(|| seconds.to_string(), moment);
    let names = auditors.join(", ");
    let places: [(&str, &dyn Display); 6] = [
        ("names", &names),
        ("origin", &checkpoint.origin),
        ("size", &number(checkpoint.size)),
        ("root", &checkpoint.root),
        ("count", &number(statement.differences)),
        ("time", &time),
    ];
    let headline = ctx.say("verify.audited", &places);
    let rest = ctx.say("verify.audited-as-of", &places) + "\n";
    let answer = Answer {
        form: "audit-statement",
        level: "audited",
        origin: checkpoint.origin.to_string(),
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        auditors,
        differences: statement.differences,
        audited_at_unix_seconds: seconds,
    };
    ctx.answer(&answer, &page(ctx, &headline, &rest, "verify.audited-limit"))
}
