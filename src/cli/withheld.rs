//! What `audit` finds that accuses somebody: two trees, a false seal, an event that was lodged and
//! is not there.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::compare;
use super::context::Context;
use super::failure::{Failure, read_file};
use crate::bundle::LogSource;
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::date::UnixMs;
use crate::model::fraud::{Accusation, Fraud};
use crate::model::ident::EntryIndex;
use crate::model::lodged::{LODGED_LEN_MAX, Lodged};
use crate::model::state::Owner;
use crate::model::trust::TrustFile;
use crate::verify::Report;
use crate::verify::fraud::Evidence;
use crate::verify::withheld::{Lodging, judge_lodged};

/// What `audit` is told of evidence.
#[derive(clap::Args, Clone, Debug)]
pub struct EvidenceArgs {
    #[arg(long, value_name = "OUT", requires = "trust")]
    fraud_proof: Option<PathBuf>,
    #[arg(long, value_name = "LODGED")]
    withheld: Option<PathBuf>,
}

/// What there is of it.
pub struct Found {
    /// What became of a lodged event.
    pub withheld: Option<Judged>,
    /// A proof that the log is a fraud in itself, or does not fit what was seen.
    fraud: Option<(Fraud, Accusation)>,
}

impl EvidenceArgs {
    /// Looks for what was asked about, in a log that was audited.
    ///
    /// # Errors
    /// As [`judge`], and when the log cannot be read.
    pub fn look(
        &self,
        source: &dyn LogSource,
        report: &Report,
        trust: Option<&TrustFile>,
    ) -> Result<Found, Failure> {
        let fraud = match (&self.fraud_proof, trust) {
            (Some(_), Some(trust)) => compare::with_seen(source, &report.conflicts, trust)?,
            _ => None,
        };
        let note = self.withheld.as_deref();
        let withheld = note.map(|note| judge(note, source, report, trust)).transpose()?.flatten();
        Ok(Found { withheld, fraud })
    }

    /// Writes the fraud proof, if there is one to be written, and says for people what was found.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, found: &Found, ctx: &Context) -> Result<String, Failure> {
        let mut text = String::new();
        if let Some(withheld) = &found.withheld {
            text.push_str(&format!("\n{}", withheld.page(ctx)));
        }
        // Two trees outweigh one event.
        let of_event = || found.withheld.as_ref().and_then(|withheld| withheld.fraud.as_ref());
        let fraud = found.fraud.as_ref().or_else(of_event);
        if let (Some(out), Some((fraud, accusation))) = (&self.fraud_proof, fraud) {
            compare::write(fraud, out)?;
            text.push_str(&format!("\n{}", compare::page(ctx, accusation, Some(out))));
        }
        Ok(text)
    }
}

impl Found {
    /// Whether an event was withheld.
    pub fn is_withheld(&self) -> bool {
        self.withheld.as_ref().is_some_and(|withheld| withheld.lodging.accuses())
    }
}

/// What became of a lodged event.
pub struct Judged {
    lodged: Lodged,
    lodging: Lodging,
    /// A fraud proof, if there is a small one.
    fraud: Option<(Fraud, Accusation)>,
}

/// The answer for programs.
#[derive(Serialize)]
pub struct Answer {
    event: String,
    lodged_at: UnixMs,
    by: String,
    outcome: &'static str,
    index: Option<EntryIndex>,
    deadline: Option<UnixMs>,
    code: Option<&'static str>,
}

/// Judges the lodged note in a file against a log that was audited; nothing where the audit did
/// not get so far that this could be told.
///
/// # Errors
/// When the note cannot be read, is of another ledger, or nobody's whose word counts.
fn judge(
    path: &Path,
    source: &dyn LogSource,
    report: &Report,
    trust: Option<&TrustFile>,
) -> Result<Option<Judged>, Failure> {
    let lodged = Lodged::parse(&read_file(path, LODGED_LEN_MAX as u64)?)?;
    let Some(state) = &report.state else { return Ok(None) };
    if lodged.genesis != state.genesis {
        return Err(Failure::new("lodged/other-ledger"));
    }
    let owner = state.parties.key(&lodged.key).map(|record| &record.owner);
    let is_witness = trust.is_some_and(|trust| {
        trust
            .policy()
            .witnesses()
            .any(|(_, key)| key.public_key().as_bytes() == lodged.key.as_bytes())
    });
    if !is_witness && !matches!(owner, Some(Owner::Registrar(_))) {
        return Err(Failure::new("lodged/nobody").with("key", lodged.key));
    }
    let failed = |error: &dyn std::fmt::Display, code: &str| Failure::new(code).or_say(error);
    let bytes = source.checkpoint().map_err(|error| failed(&error, error.code()))?;
    let note = SignedCheckpoint::parse(&bytes).map_err(|error| failed(&error, error.code()))?;
    let log = Evidence { note, source: Some(source) };
    let (lodging, fraud) =
        judge_lodged(&log, state, &lodged, trust).map_err(|error| failed(&error, error.code()))?;
    let fraud = match (fraud, trust) {
        (Some(fraud), Some(trust)) => {
            let accusation = fraud.check(trust)?;
            Some((fraud, accusation))
        }
        _ => None,
    };
    Ok(Some(Judged { lodged, lodging, fraud }))
}

impl Judged {
    /// For programs.
    pub fn answer(&self) -> Answer {
        let (outcome, index, deadline, code) = match self.lodging {
            Lodging::InTime { index } => ("in-time", Some(index), None, None),
            Lodging::Late { index, deadline } => ("late", Some(index), Some(deadline), None),
            Lodging::Pending { deadline } => ("pending", None, deadline, None),
            Lodging::Refused { code } => ("refused", None, None, Some(code)),
            Lodging::Absent { deadline } => ("absent", None, Some(deadline), None),
        };
        Answer {
            event: self.lodged.event.hash.to_string(),
            lodged_at: self.lodged.at,
            by: self.lodged.key.to_string(),
            outcome,
            index,
            deadline,
            code,
        }
    }

    /// For people.
    pub fn page(&self, ctx: &Context) -> String {
        let Answer { event, lodged_at, index, deadline, code, outcome, .. } = self.answer();
        let deadline = deadline.map(|deadline| deadline.to_string()).unwrap_or_default();
        let index = index.map(|index| index.to_string()).unwrap_or_default();
        let code = code.map(|code| Failure::refused(code).message(ctx.language));
        let key = match self.lodging {
            Lodging::Pending { deadline: None } => "no-promise",
            _ => outcome,
        };
        let outcome = ctx.say(
            &format!("lodged.{key}"),
            &[("deadline", &deadline), ("index", &index), ("why", &code.unwrap_or_default())],
        );
        let lodged = ctx.say("lodged.event", &[("event", &event), ("time", &lodged_at)]);
        let proof = match (self.lodging.accuses(), &self.fraud) {
            (true, None) => format!("{}\n", ctx.say("lodged.no-small-proof", &[])),
            _ => String::new(),
        };
        format!("{lodged}\n{outcome}\n{proof}")
    }
}
