//! `compare`: whether two checkpoints of one ledger can both be true, and a fraud proof if not.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::audit::{read_trust, with_source};
use super::context::Context;
use super::failure::{Failure, read_file, write_failed};
use crate::bundle::{Existing, LogSource, OutputFile, SourceError};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::date::UnixMs;
use crate::model::event::Kind;
use crate::model::fraud::{Accusation, Deed, Fraud, FraudFault, Named, SignedHead, name_of};
use crate::model::ident::EntryIndex;
use crate::model::proof_file::{PROOF_FILE_LEN_MAX, ProofFile};
use crate::model::seal::Row;
use crate::model::subject::Subject;
use crate::model::trust::TrustFile;
use crate::verify::Conflict;
use crate::verify::fraud::{Comparison, Evidence, SealedClaim, compare, false_seal, sealed_claims};

/// What `compare` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "A")]
    one: PathBuf,
    #[arg(value_name = "B")]
    other: PathBuf,
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
}

/// Compares two checkpoints, with the logs that they are of as far as these are at hand.
///
/// # Errors
/// `compare/fraud` with exit code 1, after the proof is written and the answer printed;
/// `compare/key` or `compare/files` with 2 where it cannot be told.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let trust = read_trust(&args.trust)?;
    let comparison = with_evidence(&args.one, &trust, ctx, |one| {
        with_evidence(&args.other, &trust, ctx, |other| {
            let failed = |error: SourceError| Failure::new(error.code()).or_say(error);
            let comparison = compare(&one.evidence, &other.evidence, &trust).map_err(failed)?;
            if let Comparison::Fraud(_) = comparison {
                return Ok(comparison);
            }
            for (log, shown) in [(one, other), (other, one)] {
                let fraud = false_seal(&log.evidence, &shown.claims, &trust).map_err(failed)?;
                if let Some(fraud) = fraud {
                    return Ok(Comparison::Fraud(Box::new(fraud)));
                }
            }
            Ok(comparison)
        })
    })?;
    match comparison {
        Comparison::Fit => {
            ctx.answer(&json!({ "fit": true }), &format!("{}\n", ctx.say("fraud.fit", &[])))
        }
        Comparison::Fraud(fraud) => {
            if let Some(out) = &args.out {
                write(&fraud, out)?;
            }
            let accusation = fraud.check(&trust)?;
            accuse(ctx, &accusation, args.out.as_deref())?;
            Err(Failure::refused("compare/fraud").with("origin", trust.origin()))
        }
        Comparison::Unclear(unclear) => Err(Failure::new(unclear.code())),
    }
}

/// Makes a proof of what an audit found: checkpoints that do not fit, or a false row of the root in
/// a seal of the log.
///
/// # Errors
/// When files cannot be read.
pub fn with_seen(
    source: &dyn LogSource,
    conflicts: &[Conflict],
    trust: &TrustFile,
) -> Result<Option<(Fraud, Accusation)>, Failure> {
    let failed = |error: SourceError| Failure::new(error.code()).or_say(error);
    let accused = |fraud: Fraud| fraud.check(trust).map(|accusation| (fraud, accusation));
    for Conflict { seen, found, .. } in conflicts {
        let log = Evidence { note: found.clone(), source: Some(source) };
        let seen = Evidence { note: seen.clone(), source: None };
        if let Comparison::Fraud(fraud) = compare(&log, &seen, trust).map_err(failed)? {
            return Ok(Some(accused(*fraud)?));
        }
    }
    let bytes = source.checkpoint().map_err(failed)?;
    // What is no checkpoint has failed the audit, and accuses nobody.
    let Ok(note) = SignedCheckpoint::parse(&bytes) else { return Ok(None) };
    let log = Evidence { note, source: Some(source) };
    let fraud = false_seal(&log, &[], trust).map_err(failed)?;
    Ok(fraud.map(accused).transpose()?)
}

/// Judges a fraud proof: says what it proves.
///
/// # Errors
/// `fraud/proven` with exit code 1: the ledger is not to be believed. With 2 the code of what is
/// wrong with the proof, which then accuses nobody.
pub fn verify(bytes: &[u8], trust: &TrustFile, ctx: &Context) -> Result<(), Failure> {
    let accusation = Fraud::parse(bytes)?.check(trust)?;
    accuse(ctx, &accusation, None)?;
    Err(Failure::refused("fraud/proven").with("origin", trust.origin()))
}

/// Writes a fraud proof; never over another file.
///
/// # Errors
/// When it cannot be written.
pub fn write(fraud: &Fraud, path: &Path) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let mut file = OutputFile::create(path, Existing::Refuse)?;
        file.write_all(&fraud.to_bytes())?;
        file.commit()
    };
    write().map_err(|error| write_failed(path, &error))
}

/// Says who did what.
fn accuse(ctx: &Context, accusation: &Accusation, out: Option<&Path>) -> Result<(), Failure> {
    let answer = json!({ "accusation": accusation, "proof": out });
    ctx.answer(&answer, &page(ctx, accusation, out))
}

/// What a fraud proof proves, for people.
pub fn page(ctx: &Context, accusation: &Accusation, out: Option<&Path>) -> String {
    let say = |key: &str, places: &[(&str, &dyn std::fmt::Display)]| {
        let text = ctx.say(&format!("fraud.{key}"), places);
        text + "\n"
    };
    let mut page = say(accusation.deed.word(), &[]);
    for head in &accusation.heads {
        page += &signed_head(&say, head);
    }
    match &accusation.deed {
        Deed::TwoTrees { found } if accusation.heads[0].size < accusation.heads[1].size => {
            page += &say("found", &[("size", &accusation.heads[0].size), ("root", found)]);
        }
        Deed::TwoEntries { index, entries } => {
            for Named { leaf, kind } in entries {
                let word = kind.and_then(Kind::from_number).map_or("?", Kind::word);
                let kind = ctx.language.word(word);
                page += &say("entry", &[("index", index), ("kind", &kind), ("leaf", leaf)]);
            }
        }
        _ => {}
    }
    page += &deed_of_seals(&say, ctx, &accusation.deed);
    for witness in accusation.witnesses() {
        page += &say("witness-too", &[("witness", &witness)]);
    }
    if let Some(out) = out {
        page += &say("written", &[("path", &out.display())]);
    }
    page
}

fn deed_of_seals(say: &Say<'_>, ctx: &Context, deed: &Deed) -> String {
    let row = |row: &Option<Row>| match row {
        None => ctx.say("fraud.no-row", &[]),
        Some(Row { number, place }) => {
            ctx.say("fraud.row", &[("number", number), ("index", &place.index)])
        }
    };
    let named = |subject: &Subject| {
        let (sort, name) = name_of(subject);
        format!("{} {name}", ctx.say(&format!("fraud.subject-{sort}"), &[]))
    };
    match deed {
        Deed::TwoTrees { .. } | Deed::TwoEntries { .. } => String::new(),
        Deed::FalseSeal { seal, subject, row: sealed, entry, .. } => {
            let entry: [(&str, &dyn std::fmt::Display); 3] =
                [("index", &entry.index), ("subject", &named(subject)), ("leaf", &entry.leaf)];
            say("sealed", &[("seal", seal), ("subject", &named(subject)), ("row", &row(sealed))])
                + &say("touches", &entry)
        }
        Deed::TwoSeals { subject, seals } => {
            let line = |(seal, sealed): &(EntryIndex, Option<Row>)| {
                let subject = named(subject);
                say("sealed", &[("seal", seal), ("subject", &subject), ("row", &row(sealed))])
            };
            seals.iter().map(line).collect()
        }
        Deed::Withheld { event, kind, by, at, deadline, seal, sealed_at, late } => {
            let word = Kind::from_number(*kind).map_or("?", Kind::word);
            let kind = ctx.language.word(word);
            let received: [(&str, &dyn std::fmt::Display); 4] =
                [("kind", &kind), ("event", event), ("by", by), ("time", at)];
            let mut text = say("received", &received) + &say("deadline", &[("time", deadline)]);
            text += &match late {
                None => say("absent", &[("seal", seal), ("time", sealed_at)]),
                Some(index) => say("late", &[("index", index)]),
            };
            text + &say("by-word", &[("by", by)])
        }
    }
}

type Say<'a> = dyn Fn(&str, &[(&str, &dyn std::fmt::Display)]) -> String + 'a;

fn signed_head(say: &Say<'_>, head: &SignedHead) -> String {
    let mut text = say("head", &[("size", &head.size), ("root", &head.root)]);
    text += &match &head.key_since {
        None => say("by-first", &[("key", &head.key)]),
        Some(index) => say("by-rotated", &[("key", &head.key), ("index", index)]),
    };
    for (witness, seconds) in &head.cosigned {
        let time = UnixMs::from_unix_seconds(*seconds);
        text += &say("cosigned", &[("witness", witness), ("time", &time)]);
    }
    text
}

impl From<FraudFault> for Failure {
    fn from(fault: FraudFault) -> Self {
        let failure = Self::new(fault.code()).or_say(fault);
        match fault.detail() {
            Some(detail) => failure.because(Self::new(detail)),
            None => failure,
        }
    }
}

/// What is at hand of a log.
struct Hand<'a> {
    evidence: Evidence<'a>,
    /// What a proof file shows of a seal.
    claims: Vec<SealedClaim>,
}

/// Opens what `path` is: a ledger folder, an unpacked bundle, a bundle, a checkpoint, a trust file,
/// of which the newest checkpoint is taken, or a proof file.
fn with_evidence<T>(
    path: &Path,
    trust: &TrustFile,
    ctx: &Context,
    use_it: impl FnOnce(&Hand<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let refused = |error: &dyn std::fmt::Display, code: &str| Failure::new(code).or_say(error);
    if path.is_dir() || is_zip(path)? {
        return with_source(path, ctx, |source: &dyn LogSource| {
            let bytes = source.checkpoint().map_err(|error| refused(&error, error.code()))?;
            let note = SignedCheckpoint::parse(&bytes);
            let note = note.map_err(|error| refused(&error, error.code()))?;
            let evidence = Evidence { note, source: Some(source) };
            use_it(&Hand { evidence, claims: Vec::new() })
        });
    }
    let bytes = read_file(path, PROOF_FILE_LEN_MAX as u64)?;
    let mut claims = Vec::new();
    let note = if bytes.starts_with(b"giftproof-trust/") {
        let none = || Failure::new("compare/no-checkpoint").with("path", path.display());
        read_trust(path)?.newest().cloned().ok_or_else(none)?
    } else if ProofFile::is_meant(&bytes) {
        let file = ProofFile::parse(&bytes).map_err(|error| refused(&error, error.code()))?;
        let proven = file.check(trust).map_err(|fault| refused(&fault, fault.code))?;
        claims = sealed_claims(&file, &proven);
        file.checkpoint
    } else {
        SignedCheckpoint::parse(&bytes).map_err(|error| refused(&error, error.code()))?
    };
    use_it(&Hand { evidence: Evidence { note, source: None }, claims })
}

fn is_zip(path: &Path) -> Result<bool, Failure> {
    use std::io::Read as _;
    let mut magic = [0; 2];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut magic));
    read.map_err(|error| super::failure::file_failed(path, &error))?;
    Ok(magic == *b"PK")
}
