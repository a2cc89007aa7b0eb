//! A ledger that is only read: its own folder, a mirror of it, or an auditor's bundle.

use std::fs;
use std::path::{Path, PathBuf};

use super::audit::{audit, with_files};
use super::context::{Context, now};
use super::failure::Failure;
use crate::ledger::Ledger;
use crate::mirror::Mirror;
use crate::model::audited::SignedStatement;
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::ident::EntryIndex;
use crate::model::policy::Cosigned;
use crate::model::proof_file::{About, MakeError, ProofFile};
use crate::model::state::{Recorded, State};
use crate::prove::LogFiles;
use crate::verify::{AuditError, AuditState, Outcome, Since};

/// A ledger, open for reading.
pub enum Book {
    /// Its own folder.
    Ledger(Box<Ledger>),
    /// A copy, audited: by whoever keeps the mirror, or just now.
    Copy {
        /// Where it is.
        path: PathBuf,
        /// Where the audit ended.
        state: Box<AuditState>,
    },
}

impl Book {
    /// Opens what `--ledger` names.
    ///
    /// # Errors
    /// As [`Ledger::open`]; of a copy, `audit/failed` and `audit/not-understood`, and when it cannot
    /// be read.
    pub fn open(ctx: &Context) -> Result<Self, Failure> {
        let path = ctx.ledger_dir()?;
        if !is_copy(path) {
            return Ok(Self::Ledger(Box::new(ctx.open()?)));
        }
        if let Some(state) = Mirror::state_of(path) {
            ctx.watch(state.state(), Failure::from);
            return Ok(Self::Copy { path: path.to_path_buf(), state: Box::new(state) });
        }
        let report = with_files(path, |source| audit(source, None, Since::Nothing, ctx))?;
        match report.outcome() {
            Outcome::Clean => {}
            Outcome::Failed => return Err(Failure::refused("audit/failed")),
            Outcome::NotUnderstood => return Err(Failure::new("audit/not-understood")),
        }
        let state = AuditState::of(report, now().0 / 1000);
        let state = Box::new(state.expect("a clean audit has an end that another can go on from"));
        Ok(Self::Copy { path: path.to_path_buf(), state })
    }

    /// What follows from the entries.
    pub fn state(&self) -> &State {
        match self {
            Self::Ledger(ledger) => ledger.state(),
            Self::Copy { state, .. } => state.state(),
        }
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        match self {
            Self::Ledger(ledger) => ledger.checkpoint(),
            Self::Copy { state, .. } => state.checkpoint(),
        }
    }

    /// The ledger's own folder, if it is that.
    pub fn own(&self) -> Option<&Ledger> {
        match self {
            Self::Ledger(ledger) => Some(ledger),
            Self::Copy { .. } => None,
        }
    }

    /// An entry that is there.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it was.
    pub fn recorded(&self, index: EntryIndex) -> Result<Recorded, Failure> {
        match self {
            Self::Ledger(ledger) => Ok(ledger.log().recorded(index)?),
            Self::Copy { path, state } => with_files(path, |source| {
                let failed = |error: AuditError| Failure::new(error.code()).or_say(error);
                let recorded = state.recorded(source, index).map_err(failed)?;
                recorded.ok_or_else(|| Failure::refused("entry/malformed"))
            }),
        }
    }

    /// Who of the ledger's own witnesses has cosigned the newest checkpoint, and when. Whose word
    /// counts for a copy, only a trust file says.
    pub fn cosigned(&self) -> Vec<Cosigned> {
        match self {
            // A line that does not hold is none.
            Self::Ledger(ledger) => {
                let policy = ledger.witnessed().policy();
                policy.cosignatures(&ledger.log().cosigned()).unwrap_or_default()
            }
            Self::Copy { .. } => Vec::new(),
        }
    }

    /// A proof about a gift, or that there is none of an id, with what auditors say.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn prove(
        &self,
        about: About,
        statements: &[SignedStatement],
    ) -> Result<ProofFile, Failure> {
        match self {
            Self::Ledger(ledger) => ledger.prove(about, statements).map_err(unproven),
            Self::Copy { path, state } => with_files(path, |source| {
                let files = LogFiles::new(source, state.checkpoint());
                files.prove(state.state(), about, statements).map_err(unproven)
            }),
        }
    }
}

fn unproven<E: Into<Failure>>(error: MakeError<E>) -> Failure {
    match (error.code(), error) {
        (_, MakeError::Source(error)) => error.into(),
        (code, _) => Failure::refused(code.unwrap_or_default()),
    }
}

/// Whether this is a log in files, and no ledger's own folder.
fn is_copy(path: &Path) -> bool {
    let is_file = |path: PathBuf| fs::metadata(path).is_ok_and(|about| about.is_file());
    let ledger = is_file(path.join("giftproof-ledger"));
    !ledger && (is_file(path.to_path_buf()) || is_file(path.join("checkpoint")))
}
