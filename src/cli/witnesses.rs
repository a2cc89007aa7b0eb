//! The log's side of `witness`: the ledger's policy, and asking for cosignatures.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::context::{Context, columns};
use super::failure::{Failure, read_file};
use crate::cosign::{AskEnd, Asked, ask_all};
use crate::ledger::{Ledger, LedgerError};
use crate::model::date::UnixMs;
use crate::model::note::{CosignatureTime, VerifierKey};
use crate::model::policy::{POLICY_LEN_MAX, Policy, PolicyError, PolicyFault, Quorum};
use crate::model::text::forbidden;
use crate::model::trust::TrustError;
use crate::writer::Writer;

/// A command that records something waits at most so long for witnesses.
const PATIENCE: Duration = Duration::from_secs(3);

/// What `witness add` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct AddArgs {
    #[arg(value_name = "NAME")]
    name: String,
    #[arg(value_name = "VKEY")]
    vkey: String,
    #[arg(value_name = "URL")]
    url: String,
}

/// What `witness remove` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct RemoveArgs {
    #[arg(value_name = "NAME")]
    name: String,
}

/// What `witness quorum` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct QuorumArgs {
    #[arg(value_name = "K|all|any|none|NAME", required = true)]
    who: Vec<String>,
}

/// What `witness policy` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct PolicyArgs {
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Takes a witness into the policy.
///
/// # Errors
/// When key, name or address are none, are taken, or are the operator's own.
pub fn add(args: &AddArgs, ctx: &Context) -> Result<(), Failure> {
    let key = VerifierKey::parse(&args.vkey)
        .map_err(|error| Failure::new("witness/not-a-key").or_say(error))?;
    let misspelt =
        |word: &&String| word.is_empty() || word.contains(|c| c == ' ' || forbidden(c).is_some());
    if let Some(wrong) = [&args.name, &args.url].into_iter().find(misspelt) {
        return Err(Failure::refused("witness/misspelt").with("name", wrong));
    }
    let host = ["https://", "http://"].iter().find_map(|schema| args.url.strip_prefix(schema));
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        return Err(Failure::new("witness/url").with("url", &args.url));
    }
    let ledger = ctx.open()?;
    let policy = ledger.witnessed().policy();
    let edited = policy.with_witness(&args.name, key, Some(&args.url));
    let policy = edited.map_err(|error| misfit(&error, &args.name))?;
    take(&ledger, &policy, ctx)?;
    if demands_nobody(&policy) {
        ctx.note("note.nobody-demanded", &[]);
    }
    Ok(())
}

/// Takes a witness out of the policy.
///
/// # Errors
/// `witness/unknown`, `witness/needed`.
pub fn remove(args: &RemoveArgs, ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let policy = ledger.witnessed().policy();
    expect_known(policy, &args.name)?;
    let left = policy.without_witness(&args.name);
    let left = left.map_err(|_| Failure::refused("witness/needed").with("name", &args.name))?;
    take(&ledger, &left, ctx)
}

/// Says how many must cosign.
///
/// # Errors
/// `witness/none`, `witness/unknown`, `witness/too-few`, `witness/policy`.
pub fn quorum(args: &QuorumArgs, ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let policy = ledger.witnessed().policy();
    let quorum = match args.who.as_slice() {
        [word] if word == "none" => Quorum::None,
        [word] if word == "all" => Quorum::All,
        [word] if word == "any" => Quorum::Any,
        [word] if word.parse::<u64>().is_ok() => {
            Quorum::AtLeast(word.parse().expect("it is a number, as was seen just now"))
        }
        names => Quorum::Named(names.to_vec()),
    };
    if quorum != Quorum::None && policy.witnesses().next().is_none() {
        return Err(Failure::refused("witness/none"));
    }
    let edited = policy.with_quorum(&quorum);
    let policy = edited.map_err(|error| misfit(&error, &args.who.join(" ")))?;
    take(&ledger, &policy, ctx)
}

/// Shows the policy, or takes another one.
///
/// # Errors
/// `policy-file/malformed`, `witness/operator-key`, or when a file fails.
pub fn policy(args: &PolicyArgs, ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let Some(path) = &args.file else {
        return show(ledger.witnessed().policy(), ctx);
    };
    let bytes = read_file(path, POLICY_LEN_MAX as u64)?;
    let policy = Policy::parse(&bytes).map_err(|error| {
        let failure = Failure::new("policy-file/malformed").with("path", path.display());
        failure.or_say(error)
    })?;
    take(&ledger, &policy, ctx)
}

/// Lists the witnesses, and what each has cosigned last.
///
/// # Errors
/// When the ledger cannot be read.
pub fn list(ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    let witnessed = ledger.witnessed();
    let policy = witnessed.policy();
    let say = |key: &str| ctx.say(&format!("witness.{key}"), &[]);
    let heads = ["name", "cosigned", "time", "trouble", "url", "key"];
    let mut rows = vec![heads.map(say).to_vec()];
    let mut values = Vec::new();
    for (name, key) in policy.witnesses() {
        let newest = witnessed.newest_of(name);
        let trouble = witnessed.trouble(name);
        let url = policy.witness_url(name);
        let cosigned = newest.as_ref().map(|(checkpoint, by)| (checkpoint.size, by.time));
        let troubled = trouble.as_ref().map(|trouble| told(ctx, &trouble.code, &trouble.why));
        rows.push(vec![
            name.to_owned(),
            cosigned.map_or_else(|| "-".to_owned(), |(size, _)| size.to_string()),
            cosigned.map_or_else(|| "-".to_owned(), |(_, time)| moment(time).to_string()),
            troubled.unwrap_or_else(|| "-".to_owned()),
            url.unwrap_or("-").to_owned(),
            key.to_string(),
        ]);
        values.push(json!({
            "name": name, "key": key.to_string(), "url": url,
            "size": cosigned.map(|(size, _)| size),
            "time": cosigned.map(|(_, time)| time.unix_seconds()),
            "trouble": trouble,
        }));
    }
    let size = ledger.checkpoint().checkpoint().size;
    let accepted = witnessed.accepted().map(|accepted| accepted.checkpoint().size);
    let mut text = if values.is_empty() { say("nobody") + "\n" } else { columns(&rows) };
    if let (false, Some(accepted)) = (demands_nobody(policy), accepted) {
        text += &ctx.say("witness.accepted", &[("accepted", &accepted), ("size", &size)]);
        text.push('\n');
    }
    // What whoever runs a witness needs to take the ledger in.
    let key = ledger.state().parties.operator_key_at(size);
    let key = ledger.log().origin().log_key(&key).map(|key| key.to_string());
    let key = key.expect("the newest checkpoint was verified with it on opening");
    text += &ctx.say("witness.log-key", &[("key", &key)]);
    text.push('\n');
    let answer = json!({ "witnesses": values, "accepted": accepted, "size": size, "log_key": key });
    ctx.answer(&answer, &text)
}

/// Asks every witness now, and shows what each has answered.
///
/// # Errors
/// `witness/none`; `witness/unsatisfied` if fewer have cosigned than the policy demands.
pub fn ask(ctx: &Context) -> Result<(), Failure> {
    let ledger = ctx.open()?;
    if ledger.witnessed().policy().witnesses().next().is_none() {
        return Err(Failure::refused("witness/none"));
    }
    let asked = ask_all(ledger.log());
    let row = |asked: &Asked| vec![asked.witness.clone(), answer(ctx, &asked.end)];
    let text = columns(&asked.iter().map(row).collect::<Vec<_>>());
    let (size, accepted) = (ledger.checkpoint().checkpoint().size, is_accepted(&ledger));
    let answers: Vec<Value> = asked.iter().map(value).collect();
    ctx.answer(&json!({ "size": size, "accepted": accepted, "witnesses": answers }), &text)?;
    if accepted { Ok(()) } else { Err(Failure::refused("witness/unsatisfied")) }
}

/// Asks for cosignatures on what is about to leave the ledger, if they are missing, and tells if they
/// still are.
pub fn ask_if_missing(ledger: &Ledger, ctx: &Context) {
    if is_accepted(ledger) {
        return;
    }
    for asked in ask_all(ledger.log()) {
        if let AskEnd::Failed { code, why } = &asked.end {
            let why = told(ctx, code, why);
            ctx.note("note.witness-failed", &[("name", &asked.witness), ("why", &why)]);
        }
    }
    if !is_accepted(ledger) {
        ctx.note("note.not-witnessed", &[]);
    }
}

/// As [`ask_if_missing`]; tells also what can be exported instead.
pub fn ask_before_export(ledger: &Ledger, ctx: &Context) {
    ask_if_missing(ledger, ctx);
    let accepted = ledger.witnessed().accepted();
    if let Some(accepted) = accepted.filter(|_| !is_accepted(ledger)) {
        let size = accepted.checkpoint().size;
        ctx.note("note.witnessed-until", &[("size", &size)]);
    }
}

/// Whether the newest checkpoint has the cosignatures that the policy demands.
fn is_accepted(ledger: &Ledger) -> bool {
    let policy = ledger.witnessed().policy();
    let cosigned = policy.cosignatures(&ledger.log().cosigned());
    cosigned.is_ok_and(|cosigned| policy.accepts(&cosigned))
}

/// Waits a little for the witnesses of what was recorded, tells who has failed, and closes the
/// ledger. Gives what became of each witness, for programs; nothing where nobody is asked.
///
/// # Errors
/// As [`Writer::close`].
pub fn close(ctx: &Context, writer: Writer) -> Result<Vec<Value>, Failure> {
    let asked = writer.ask_witnesses(PATIENCE);
    for asked in &asked {
        if let AskEnd::Failed { code, why } = &asked.end {
            let why = told(ctx, code, why);
            ctx.note("note.witness-failed", &[("name", &asked.witness), ("why", &why)]);
        }
    }
    ctx.close(writer)?;
    Ok(asked.iter().map(value).collect())
}

fn value(asked: &Asked) -> Value {
    match &asked.end {
        AskEnd::Cosigned { size, time } => {
            json!({ "name": asked.witness, "size": size, "time": time.unix_seconds() })
        }
        AskEnd::Failed { code, why } => {
            json!({ "name": asked.witness, "error": { "code": code, "message": why } })
        }
        AskEnd::Waiting => json!({ "name": asked.witness, "waiting": true }),
    }
}

fn answer(ctx: &Context, end: &AskEnd) -> String {
    match end {
        AskEnd::Cosigned { size, time } => {
            let places: [(&str, &dyn Display); 2] = [("size", size), ("time", &moment(*time))];
            ctx.say("witness.has-cosigned", &places)
        }
        AskEnd::Failed { code, why } => told(ctx, code, why),
        AskEnd::Waiting => ctx.say("witness.waiting", &[]),
    }
}

/// A failure for people, with its code.
fn told(ctx: &Context, code: &str, why: &str) -> String {
    let message = Failure::new(code).or_say(why).message(ctx.language);
    format!("{message} [{code}]")
}

/// A cosignature's time as a moment.
pub fn moment(time: CosignatureTime) -> UnixMs {
    UnixMs::from_unix_seconds(time.unix_seconds())
}

fn expect_known(policy: &Policy, name: &str) -> Result<(), Failure> {
    if policy.witnesses().any(|(known, _)| known == name) {
        return Ok(());
    }
    let known: Vec<&str> = policy.witnesses().map(|(known, _)| known).collect();
    Err(Failure::refused("witness/unknown").with("name", name).with("known", known.join(", ")))
}

/// Why the policy cannot be changed so.
fn misfit(error: &PolicyError, name: &str) -> Failure {
    let PolicyError::Line { fault, .. } = error else {
        return Failure::refused("witness/policy").or_say(error);
    };
    match fault {
        PolicyFault::NameTaken(taken) => Failure::refused("witness/taken").with("name", taken),
        PolicyFault::KeyRepeated => Failure::refused("witness/same-key"),
        PolicyFault::KeyKind => Failure::refused("witness/key-kind"),
        PolicyFault::NameUnknown(name) => {
            Failure::refused("witness/unknown").with("name", name).with("known", "")
        }
        PolicyFault::Threshold => Failure::refused("witness/too-few").with("name", name),
        PolicyFault::Syntax => Failure::refused("witness/misspelt").with("name", name),
        _ => Failure::refused("witness/policy").or_say(error),
    }
}

/// Makes a policy the ledger's, and shows it.
fn take(ledger: &Ledger, policy: &Policy, ctx: &Context) -> Result<(), Failure> {
    ledger.set_policy(policy).map_err(|error| match error {
        LedgerError::Trust(TrustError::OperatorIsWitness(name)) => {
            Failure::refused("witness/operator-key").with("name", name)
        }
        other => other.into(),
    })?;
    show(policy, ctx)
}

fn show(policy: &Policy, ctx: &Context) -> Result<(), Failure> {
    ctx.answer(&json!({ "policy": policy.to_string() }), &policy.to_string())
}

fn demands_nobody(policy: &Policy) -> bool {
    policy.accepts(&[])
}
