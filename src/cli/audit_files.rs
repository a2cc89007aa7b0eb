//! What `audit` is given of earlier audits, and what it leaves for later ones and for others: the
//! log as it was seen, the state to go on from, the auditor's statement.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use serde::Serialize;

use super::audit::with_source;
use super::context::{Context, now};
use super::failure::{Failure, file_failed, read_file, write_failed};
use super::keyring;
use super::progress::Progress;
use super::prove::write;
use crate::bundle::layout::CHECKPOINT_LEN_MAX;
use crate::bundle::{Existing, OutputFile, SourceError};
use crate::model::audited::AuditStatement;
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::hash::Digest32;
use crate::model::note::{KeyKind, KeyName, VerifierKey};
use crate::model::trust::TrustFile;
use crate::verify::{AuditState, Outcome, Report, Since};

/// With what a zip begins.
const ZIP: &[u8] = b"PK";

/// What `audit` is told of files beside the log.
#[derive(clap::Args, Clone, Debug)]
pub struct FileArgs {
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,
    #[arg(long, value_name = "HEX", requires = "since")]
    state_hash: Option<Digest32>,
    #[arg(long, value_name = "FILE")]
    save_state: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires_all = ["trust", "sign_key", "name"])]
    statement: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires = "statement")]
    sign_key: Option<PathBuf>,
    #[arg(long, value_name = "NAME", requires = "statement")]
    name: Option<String>,
}

/// Who signs a statement.
pub struct Auditor {
    name: KeyName,
    key: SigningKey,
}

/// What was written beside the answer.
#[derive(Default, Serialize)]
pub struct Written {
    /// The state to go on from.
    state: Option<PathBuf>,
    /// Its hash, which whoever goes on from it must give.
    state_sha256: Option<String>,
    /// The signed statement.
    statement: Option<PathBuf>,
    /// The key under which it counts, as a line of a trust file has it.
    auditor: Option<String>,
}

impl FileArgs {
    /// What is known of the log: a state to go on from, or the checkpoint of an older copy.
    ///
    /// # Errors
    /// `audit-state/unpinned`, those of [`AuditState::open`], or when there is neither.
    pub fn since(&self, ctx: &Context) -> Result<Since, Failure> {
        let Some(path) = &self.since else { return Ok(Since::Nothing) };
        let about = fs::metadata(path).map_err(|error| file_failed(path, &error))?;
        let start = if about.is_file() { start_of(path)? } else { Vec::new() };
        if AuditState::is_state(&start) {
            let pinned = self.state_hash.ok_or_else(|| Failure::new("audit-state/unpinned"))?;
            let line = Progress::begin(ctx, "read-state");
            let progress = |done, all| line.at(done, all);
            let read = File::open(path).and_then(|file| AuditState::read(file, &pinned, &progress));
            let state = read.map_err(|error| file_failed(path, &error))?.map_err(|error| {
                Failure::new(error.code()).with("path", path.display()).or_say(error)
            })?;
            return Ok(Since::State(Box::new(state)));
        }
        if self.state_hash.is_some() {
            return Err(Failure::new("audit-state/version").with("path", path.display()));
        }
        let bytes = if about.is_file() && !start.starts_with(ZIP) {
            read_file(path, CHECKPOINT_LEN_MAX)?
        } else {
            with_source(path, ctx, |source| {
                let failed = |error: SourceError| Failure::new(error.code()).or_say(error);
                source.checkpoint().map_err(failed)
            })?
        };
        let seen = SignedCheckpoint::parse(&bytes);
        let seen = seen.map_err(|error| Failure::new(error.code()).or_say(error))?;
        Ok(Since::Checkpoint(Box::new(seen)))
    }

    /// Who is to sign a statement, if one is asked for; and that what is to be written can be.
    ///
    /// # Errors
    /// `audit/auditor-name`, `audit/auditor-key`, or when the key cannot be read or a file not be
    /// written.
    pub fn auditor(
        &self,
        trust: Option<&TrustFile>,
        ctx: &Context,
    ) -> Result<Option<Auditor>, Failure> {
        for path in [&self.save_state, &self.statement].into_iter().flatten() {
            super::init::check_output(path)?;
        }
        let (Some(trust), Some(path), Some(name)) = (trust, &self.sign_key, &self.name) else {
            return Ok(None);
        };
        let name = KeyName::parse(name).ok_or_else(|| Failure::new("audit/auditor-name"))?;
        let key = SigningKey::from_bytes(keyring::read(ctx, path)?.seed());
        let public = VerifierKey::of_signer(name.clone(), KeyKind::Ed25519, &key);
        let known = trust.auditors().contains(&public);
        // Neither the operator nor a witness audits: their keys sign other things.
        if !known && let Err(error) = trust.clone().with_auditors(vec![public]) {
            return Err(Failure::new("audit/auditor-key").or_say(error));
        }
        Ok(Some(Auditor { name, key }))
    }

    /// Writes what is asked for and can be said of such a report.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(
        &self,
        report: &Report,
        differences: u64,
        auditor: Option<&Auditor>,
        ctx: &Context,
    ) -> Result<Written, Failure> {
        let at = now().0 / 1000;
        let mut written = Written::default();
        if let Some(path) = &self.save_state {
            match write_state(path, report, at, ctx).map_err(|error| write_failed(path, &error))? {
                Some(hash) => {
                    written.state = Some(path.clone());
                    written.state_sha256 = Some(hash.to_string());
                }
                None => ctx.note("audit.no-state", &[]),
            }
        }
        if let (Some(path), Some(Auditor { name, key })) = (&self.statement, auditor) {
            match (&report.checkpoint, report.outcome()) {
                (Some(checkpoint), Outcome::Clean) => {
                    let checkpoint = checkpoint.clone();
                    let statement =
                        AuditStatement { checkpoint, differences, audited_at_unix_seconds: at };
                    let signed = statement.sign(name, key);
                    let signed = signed.map_err(|_| Failure::new("audit/auditor-name"))?;
                    write(path, signed.to_string().as_bytes())?;
                    let public = VerifierKey::of_signer(name.clone(), KeyKind::Ed25519, key);
                    written.statement = Some(path.clone());
                    written.auditor = Some(public.to_string());
                }
                _ => ctx.note("audit.no-statement", &[]),
            }
        }
        Ok(written)
    }
}

impl Written {
    /// What people are told of it.
    pub fn lines(&self, ctx: &Context) -> String {
        let mut text = String::new();
        if let (Some(path), Some(hash)) = (&self.state, &self.state_sha256) {
            let places: [(&str, &dyn std::fmt::Display); 2] =
                [("path", &path.display()), ("hash", hash)];
            text += &format!("\n{}\n", ctx.say("audit.state", &places));
        }
        if let (Some(path), Some(auditor)) = (&self.statement, &self.auditor) {
            let places: [(&str, &dyn std::fmt::Display); 2] =
                [("path", &path.display()), ("auditor", auditor)];
            text += &format!("\n{}\n", ctx.say("audit.statement", &places));
        }
        text
    }
}

/// The first bytes of a file, by which its kinds differ.
fn start_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    read.map_err(|error| file_failed(path, &error))?;
    Ok(start)
}

/// Writes the state for the next audit, as it goes along; the file appears whole or not at all.
fn write_state(
    path: &Path,
    report: &Report,
    at: u64,
    ctx: &Context,
) -> io::Result<Option<Digest32>> {
    let line = Progress::begin(ctx, "state");
    let mut file = OutputFile::create(path, Existing::Refuse)?;
    let hash = AuditState::write(report, at, &mut file, &|done, all| line.at(done, all))?;
    if hash.is_some() {
        file.commit()?;
    }
    Ok(hash)
}
