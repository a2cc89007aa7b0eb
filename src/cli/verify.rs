//! `verify`: looks at what a file is, and checks what it says against the trust file alone.
//!
//! Exit codes: 0 it holds, 1 it does not, 2 it cannot be judged. A fraud proof that holds is 1 too:
//! the ledger is not to be believed; one that does not is 2, since it says nothing of the ledger.

use std::fmt::Display;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anstyle::AnsiColor;
use serde::Serialize;

use super::audit::read_trust;
use super::compare;
use super::context::Context;
use super::failure::{Failure, file_failed, read_file};
use super::phrases::{number, styled, wrapped};
use super::verify_audited::audited;
use crate::model::audited::AUDIT_STATEMENT_LINE;
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::fraud::Fraud;
use crate::model::hash::{LeafHash, leaf_hash};
use crate::model::ident::EntryIndex;
use crate::model::note::CosignatureTime;
use crate::model::policy::Cosigned;
use crate::model::proof_file::{PROOF_FILE_LEN_MAX, ProofFile};
use crate::model::tile::ENTRY_LEN_MAX;
use crate::model::tlog_proof::{TLOG_PROOF_LINE, TlogProof};
use crate::model::trust::TrustFile;
use crate::model::version::newer;

/// No file that is verified here is longer, in bytes; each form has a lower bound of its own.
const FILE_LEN_MAX: u64 = PROOF_FILE_LEN_MAX as u64;

/// What `verify` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    #[arg(long, value_name = "FILE", conflicts_with = "leaf")]
    entry: Option<PathBuf>,
    #[arg(long, value_name = "HASH")]
    leaf: Option<LeafHash>,
}

/// What a file is, by how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    ProofFile,
    TlogProof,
    Checkpoint,
    Fraud,
    AuditStatement,
}

impl Form {
    fn of(bytes: &[u8]) -> Option<Self> {
        let begins = |line: &str| {
            let rest = bytes.strip_prefix(line.as_bytes());
            rest.is_some_and(|rest| rest.starts_with(b"\n"))
                || newer(format!("{line}\n").as_bytes(), bytes).is_some()
        };
        // A signed note has no first line of its own, but the first empty line of a checkpoint is
        // the one before its signatures.
        let signed = || {
            let empty = bytes.windows(2).position(|pair| pair == b"\n\n");
            empty.is_some_and(|at| bytes[at + 2..].starts_with("\u{2014} ".as_bytes()))
        };
        if ProofFile::is_meant(bytes) {
            Some(Self::ProofFile)
        } else if begins(TLOG_PROOF_LINE) {
            Some(Self::TlogProof)
        } else if Fraud::is_meant(bytes) {
            Some(Self::Fraud)
        } else if begins(AUDIT_STATEMENT_LINE) {
            Some(Self::AuditStatement)
        } else {
            signed().then_some(Self::Checkpoint)
        }
    }
}

/// Verifies a file, or what comes by standard input.
///
/// # Errors
/// With exit code 1 under the code of what does not hold; `verify/unknown-form`,
/// `verify/needs-trust`, `verify/needs-entry` and what cannot be read with 2.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let bytes = read_input(args.file.as_deref())?;
    match Form::of(&bytes) {
        Some(Form::ProofFile) => super::proof::verify(ctx, &bytes, &args.trust()?),
        Some(Form::TlogProof) => tlog_proof(&bytes, args, ctx),
        Some(Form::Checkpoint) => checkpoint(&bytes, args, ctx),
        Some(Form::Fraud) => compare::verify(&bytes, &args.trust()?, ctx),
        Some(Form::AuditStatement) => audited(&bytes, &args.trust()?, ctx),
        None => Err(Failure::new("verify/unknown-form")),
    }
}

/// Reads a file; standard input where there is none, or it is named `-`.
fn read_input(path: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let standard = Path::new("-");
    match path.filter(|path| *path != standard) {
        Some(path) => read_file(path, FILE_LEN_MAX),
        None => {
            let mut bytes = Vec::new();
            let read = io::stdin().take(FILE_LEN_MAX + 1).read_to_end(&mut bytes);
            read.map_err(|error| file_failed(standard, &error))?;
            if bytes.len() as u64 > FILE_LEN_MAX {
                return Err(Failure::new("file/too-large").with("path", standard.display()));
            }
            Ok(bytes)
        }
    }
}

impl Args {
    fn trust(&self) -> Result<TrustFile, Failure> {
        let path = self.trust.as_deref().ok_or_else(|| Failure::new("verify/needs-trust"))?;
        read_trust(path)
    }

    /// The leaf hash of the entry that a proof is about, which is not inside.
    fn leaf(&self) -> Result<LeafHash, Failure> {
        match (&self.entry, self.leaf) {
            (Some(path), _) => Ok(leaf_hash(&read_file(path, ENTRY_LEN_MAX as u64)?)),
            (None, Some(leaf)) => Ok(leaf),
            (None, None) => Err(Failure::new("verify/needs-entry")),
        }
    }
}

/// The answer for programs.
#[derive(Serialize)]
struct Answer {
    form: &'static str,
    level: &'static str,
    origin: String,
    size: u64,
    root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<EntryIndex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<LeafHash>,
    cosigned: Vec<Witnessed>,
}

#[derive(Serialize)]
struct Witnessed {
    witness: String,
    at_unix_seconds: u64,
}

impl Answer {
    fn new(
        form: &'static str,
        level: &'static str,
        note: &SignedCheckpoint,
        cosigned: &[Cosigned],
    ) -> Self {
        let checkpoint = note.checkpoint();
        let cosigned = cosigned.iter().map(|by| Witnessed {
            witness: by.witness.clone(),
            at_unix_seconds: by.time.unix_seconds(),
        });
        Self {
            form,
            level,
            origin: checkpoint.origin.to_string(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            index: None,
            leaf: None,
            cosigned: cosigned.collect(),
        }
    }
}

fn tlog_proof(bytes: &[u8], args: &Args, ctx: &Context) -> Result<(), Failure> {
    let proof =
        TlogProof::parse(bytes).map_err(|error| Failure::refused(error.code()).or_say(error))?;
    let (trust, leaf) = (args.trust()?, args.leaf()?);
    let cosigned = proof
        .verify(&leaf, &trust)
        .map_err(|error| Failure::refused(error.code()).or_say(error))?;
    let (note, index) = (proof.checkpoint(), proof.index());
    let answer = Answer {
        index: Some(index),
        leaf: Some(leaf),
        ..Answer::new("tlog-proof", "included", note, &cosigned)
    };
    let places: [(&str, &dyn Display); 2] = [("index", &index), ("origin", trust.origin())];
    let headline = ctx.say("verify.included", &places);
    let rest =
        [ctx.say("verify.leaf", &[("leaf", &leaf)]) + "\n", seen(ctx, note, &cosigned)].concat();
    ctx.answer(&answer, &page(ctx, &headline, &rest, "verify.included-limit"))
}

fn checkpoint(bytes: &[u8], args: &Args, ctx: &Context) -> Result<(), Failure> {
    let note = SignedCheckpoint::parse(bytes)
        .map_err(|error| Failure::refused(error.code()).or_say(error))?;
    let trust = args.trust()?;
    let cosigned =
        trust.judge(&note).map_err(|error| Failure::refused(error.code()).or_say(error))?;
    let answer = Answer::new("checkpoint", "signed", &note, &cosigned);
    let headline = ctx.say("verify.signed", &[("origin", trust.origin())]);
    ctx.answer(&answer, &page(ctx, &headline, &seen(ctx, &note, &cosigned), "verify.signed-limit"))
}

/// The checkpoint, and who has cosigned it and when.
fn seen(ctx: &Context, note: &SignedCheckpoint, cosigned: &[Cosigned]) -> String {
    let checkpoint = note.checkpoint();
    let places: [(&str, &dyn Display); 2] =
        [("size", &number(checkpoint.size)), ("root", &checkpoint.root)];
    let mut text = ctx.say("verify.checkpoint", &places) + "\n";
    for by in cosigned {
        let places: [(&str, &dyn Display); 2] =
            [("witness", &by.witness), ("time", &moment(by.time))];
        text += &(ctx.say("verify.cosigned", &places) + "\n");
    }
    if cosigned.is_empty() {
        text += &(ctx.say("verify.no-cosignature", &[]) + "\n");
    }
    text
}

/// The headline, what it rests on, and what it does not prove.
pub fn page(ctx: &Context, headline: &str, rest: &str, limit: &str) -> String {
    let headline = styled(AnsiColor::Green.on_default().bold(), headline);
    format!("{headline}\n{rest}\n{}\n", wrapped(&ctx.say(limit, &[])).join("\n"))
}

/// A moment in UTC; the bare seconds beyond the year 9999.
pub fn moment(time: CosignatureTime) -> String {
    let seconds = time.unix_seconds();
    let stamp = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    stamp.map_or_else(|| seconds.to_string(), |stamp| stamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_known_by_how_they_begin() {
        assert_eq!(Form::of(b"c2sp.org/tlog-proof@v1\n"), Some(Form::TlogProof));
        assert_eq!(Form::of(b"c2sp.org/tlog-proof@v10\n"), Some(Form::TlogProof), "a newer one");
        assert_eq!(Form::of(b"giftproof audit statement v1\n"), Some(Form::AuditStatement));
        assert_eq!(Form::of("a\n1\nb\n\n\u{2014} a b\n".as_bytes()), Some(Form::Checkpoint));
        let trust = "giftproof-trust/v1\n\nquorum none\n\na\n1\nb\n\n\u{2014} a b\n";
        for unknown in ["", trust, "PK\x03\x04", "a\n\n- a b\n"] {
            assert_eq!(Form::of(unknown.as_bytes()), None);
        }
    }

    #[test]
    fn moments_are_written_in_utc() {
        // Checked with date -u -d @1700000000.
        let at = |seconds| moment(CosignatureTime::new(seconds).unwrap());
        assert_eq!(at(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(at(i64::MAX as u64), "9223372036854775807");
    }
}
