//! Proof files: made by `lookup --proof`, shown by `verify`.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::book::Book;
use super::context::Context;
use super::failure::{Failure, read_file};
use super::gift_page::{Step, journey, page};
use super::phrases::{Phrases, number, wrapped};
use crate::model::audited::SignedStatement;
use crate::model::date::UnixMs;
use crate::model::ident::{EntryIndex, GiftId};
use crate::model::note::NOTE_LEN_MAX;
use crate::model::proof_file::{About, Level, ProofFault, ProofFile, Proven};
use crate::model::state::History;
use crate::model::subject::Subject;
use crate::model::trust::TrustFile;
use crate::model::verdict::{Headline, Verdict};
use crate::model::violation::Violation;

/// The answer for programs.
#[derive(Serialize)]
struct Answer<'a> {
    outcome: &'static str,
    gift: GiftId,
    exists: bool,
    level: Level,
    verdict: Option<Verdict>,
    journey: Vec<Step>,
    checkpoint: Checkpoint,
    seal: Option<Seal>,
    witnesses: Vec<Witness<'a>>,
    auditors: Vec<Auditor<'a>>,
    after_seal: &'a [EntryIndex],
    failures: Vec<Broken<'a>>,
    not_understood: &'a [EntryIndex],
}

#[derive(Serialize)]
struct Checkpoint {
    origin: String,
    size: u64,
    root: String,
}

#[derive(Serialize)]
struct Seal {
    index: EntryIndex,
    recorded_at_unix_ms: u64,
}

#[derive(Serialize)]
struct Witness<'a> {
    name: &'a str,
    unix_seconds: u64,
}

#[derive(Serialize)]
struct Auditor<'a> {
    name: &'a str,
    size: u64,
    unix_seconds: u64,
}

#[derive(Serialize)]
struct Broken<'a> {
    at: EntryIndex,
    #[serde(flatten)]
    violation: &'a Violation,
}

/// Makes a proof about a gift, or that there is none of this id, and writes it.
///
/// # Errors
/// When it cannot be made or written.
pub fn write(
    ctx: &Context,
    ledger: &Book,
    about: About,
    path: &Path,
    statements: &[PathBuf],
) -> Result<(), Failure> {
    let statements: Result<Vec<_>, Failure> =
        statements.iter().map(|path| read_statement(path)).collect();
    let proof = ledger.prove(about, &statements?)?;
    let bytes = proof.to_bytes();
    super::prove::write(path, &bytes)?;
    let len = number(bytes.len());
    let path = path.display();
    match proof.seal {
        Some(seal) => {
            ctx.note("note.proof", &[("path", &path), ("len", &len), ("seal", &number(seal))]);
            let newest = match about {
                About::Gift(donation) => ledger.state().row(&Subject::Gift(donation)),
                About::NoGift(_) => None,
            };
            if newest.is_some_and(|row| row.place.index > seal) {
                ctx.note("note.proof-newer", &[]);
            }
        }
        None => ctx.note("note.proof-unsealed", &[("path", &path), ("len", &len)]),
    }
    Ok(())
}

fn read_statement(path: &Path) -> Result<SignedStatement, Failure> {
    let bytes = read_file(path, NOTE_LEN_MAX as u64)?;
    SignedStatement::parse(&bytes).map_err(|error| {
        let failure = Failure::new("audit-statement/malformed").with("path", path.display());
        failure.or_say(error)
    })
}

/// Checks a proof file, and shows what it proves.
///
/// # Errors
/// `proof-file/malformed` and the other codes that spec section 17.4 lists; `verify/failed` if
/// entries in it break the rules, `verify/not-understood` if some are of an unknown kind.
pub fn verify(ctx: &Context, bytes: &[u8], trust: &TrustFile) -> Result<(), Failure> {
    let proof = ProofFile::parse(bytes).map_err(|error| refused(ctx, &error.into()))?;
    let proven = proof.check(trust).map_err(|fault| refused(ctx, &fault))?;
    let outcome = outcome(&proven);
    let gift = proven.gift();
    let gift = gift.as_deref();
    let verdict = gift.map(|gift| Verdict::of(&proven.state, gift, proven.as_of));
    let recorded = |index| {
        let known = proven.event(index);
        known.ok_or_else(|| Failure::refused("proof-file/entry-missing").with("at", index))
    };
    let steps = gift.map(|gift| journey(&proven.state, gift, recorded)).transpose()?;
    let steps = steps.unwrap_or_default();
    let words = Phrases { language: ctx.language, state: &proven.state };
    let id = match &proven.about {
        About::Gift(donation) => GiftId::from(donation),
        About::NoGift(id) => *id,
    };
    let mut text = match (gift, &verdict) {
        (Some(gift), Some(verdict)) => page(&words, gift, verdict, &steps),
        _ => wrapped(&words.say("proven.no-gift", &[("gift", &id)])).join("\n") + "\n",
    };
    text.push_str(&footing(&words, &proven));
    let checkpoint = proven.checkpoint.checkpoint();
    let answer = Answer {
        outcome: outcome.word(),
        gift: id,
        exists: gift.is_some(),
        level: proven.level(),
        verdict,
        journey: steps,
        checkpoint: Checkpoint {
            origin: checkpoint.origin.to_string(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
        },
        seal: proven
            .seal
            .map(|seal| Seal { index: seal.index, recorded_at_unix_ms: seal.recorded_at.0 }),
        witnesses: witnesses(&proven),
        auditors: auditors(&proven),
        after_seal: &proven.after_seal,
        failures: broken(&proven),
        not_understood: &proven.not_understood,
    };
    ctx.answer(&answer, &text)?;
    match outcome {
        Outcome::Verified => Ok(()),
        Outcome::Failed => Err(Failure::refused("verify/failed")),
        Outcome::NotUnderstood => Err(Failure::new("verify/not-understood")),
    }
}

/// How a verification ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Verified,
    Failed,
    NotUnderstood,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::NotUnderstood => "not-understood",
        }
    }
}

fn outcome(proven: &Proven) -> Outcome {
    if !proven.failures.is_empty() {
        Outcome::Failed
    } else if !proven.not_understood.is_empty() {
        Outcome::NotUnderstood
    } else {
        Outcome::Verified
    }
}

fn refused(ctx: &Context, fault: &ProofFault) -> Failure {
    let at = fault.at.map(|index| ctx.say("proven.at", &[("index", &number(index))]));
    let detail = fault.detail.map(|detail| format!(" ({detail})"));
    Failure::refused(fault.code)
        .with("at", at.unwrap_or_default())
        .with("detail", detail.unwrap_or_default())
        .or_say(fault)
}

fn witnesses(proven: &Proven) -> Vec<Witness<'_>> {
    let cosigned = proven.cosigned.iter();
    let named = cosigned.map(|by| (&by.witness, by.time.unix_seconds()));
    named.map(|(name, unix_seconds)| Witness { name, unix_seconds }).collect()
}

fn auditors(proven: &Proven) -> Vec<Auditor<'_>> {
    let audited = proven.audited.iter();
    let named = audited.map(|audit| (&audit.by, audit.size, audit.unix_seconds));
    named.map(|(name, size, unix_seconds)| Auditor { name, size, unix_seconds }).collect()
}

fn broken(proven: &Proven) -> Vec<Broken<'_>> {
    proven.failures.iter().map(|(at, violation)| Broken { at: *at, violation }).collect()
}

/// What the proof rests on.
fn footing(words: &Phrases, proven: &Proven) -> String {
    let checkpoint = proven.checkpoint.checkpoint();
    let root = checkpoint.root.to_string();
    let mut texts = Vec::new();
    for (index, violation) in &proven.failures {
        let code = violation.code.as_str();
        texts.push(words.say("proven.failure", &[("index", &number(*index)), ("code", &code)]));
    }
    for index in &proven.not_understood {
        texts.push(words.say("proven.not-understood", &[("index", &number(*index))]));
    }
    if outcome(proven) == Outcome::Verified {
        texts.push(words.say("proven.verified", &[]));
    }
    match &proven.seal {
        None => texts.push(words.say("proven.included", &[])),
        Some(seal) => {
            let absent = matches!(proven.about, About::NoGift(_));
            let key = if absent { "proven.complete-absent" } else { "proven.complete" };
            let places: [(&str, &dyn Display); 2] =
                [("index", &number(seal.index)), ("time", &seal.recorded_at)];
            texts.push(words.say(key, &places));
        }
    }
    if !proven.after_seal.is_empty() {
        let entries: Vec<String> = proven.after_seal.iter().map(|index| number(*index)).collect();
        texts.push(words.say("proven.after-seal", &[("entries", &entries.join(", "))]));
    }
    for audit in &proven.audited {
        let time = UnixMs::from_unix_seconds(audit.unix_seconds);
        texts.push(words.say(
            "proven.audited",
            &[("auditor", &audit.by), ("size", &number(audit.size)), ("time", &time)],
        ));
    }
    texts.push(words.say(
        "proven.checkpoint",
        &[
            ("origin", &checkpoint.origin),
            ("size", &number(checkpoint.size)),
            ("root", &&root[..16]),
        ],
    ));
    for by in &proven.cosigned {
        let time = UnixMs::from_unix_seconds(by.time.unix_seconds());
        texts.push(words.say("proven.witnessed", &[("witness", &by.witness), ("time", &time)]));
    }
    if proven.cosigned.is_empty() {
        texts.push(words.say("proven.unwitnessed", &[]));
    }
    texts.push(words.say("lookup.limit", &[]));
    texts.iter().map(|text| format!("\n{}\n", wrapped(text).join("\n"))).collect()
}

/// Whether a gift's headline is the one that is expected, if one is.
pub fn is_expected(headline: Headline, expected: Option<&str>) -> bool {
    expected.is_none_or(|word| match word {
        "received" => headline.is_received(),
        word => headline.word() == word,
    })
}
