//! `witness serve`: one command with which an association or an authority runs a witness.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::folder;
use crate::cli::audit::read_trust;
use crate::cli::context::{Context, now, random};
use crate::cli::failure::{Failure, read_file};
use crate::cli::locales::Language;
use crate::cli::{key, keyring};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::date::UnixMs;
use crate::model::key::SecretKey;
use crate::model::note::KeyName;
use crate::model::policy::POLICY_LEN_MAX;
use crate::model::witness::AddCheckpoint;
use crate::witness::serve::{Limits, Service, serve, signalled};
use crate::witness::{
    Answer, LogsError, MisfitKind, OpenError, TrustedLogs, Witness, WitnessFolder, verifier_key,
};

/// The key's file in the witness's folder, unless it is elsewhere.
const KEY: &str = "witness.key";

/// What `witness serve` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    #[arg(long = "logs", value_name = "FILE")]
    logs: Vec<PathBuf>,
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: u32,
    #[arg(long)]
    unencrypted: bool,
}

/// Runs a witness until the system asks it to end; makes its folder and key on first use.
///
/// # Errors
/// When it cannot begin.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let (logs, seen) = trusted(args)?;
    // Taken before anybody is asked for a passphrase.
    let listen = |error: &std::io::Error| {
        Failure::new("witness/listen").with("address", args.listen).with("error", error)
    };
    let listener = TcpListener::bind(args.listen).map_err(|error| listen(&error))?;
    let address = listener.local_addr().map_err(|error| listen(&error))?;
    let (keeper, name, secret) = open(args, ctx)?;
    let witness = Witness::open(keeper, name, &secret, logs, args.per_minute);
    let witness = witness.map_err(|error| {
        let failure = Failure::new(error.code()).with("path", args.folder.display());
        match &error {
            OpenError::KeyIsLog(origin)
            | OpenError::Damaged(origin)
            | OpenError::Io { origin, .. } => failure.with("origin", origin),
            OpenError::NoLogs => failure,
        }
        .or_say(error)
    })?;
    let told = Told { language: ctx.language, quiet: ctx.quiet };
    for checkpoint in seen {
        begin_with(&witness, &checkpoint, &told);
    }
    let vkey = witness.verifier_key().to_string();
    let url = format!("http://{address}");
    let text = ctx.say("witness.serves", &[("vkey", &vkey), ("url", &url)]);
    let answer = json!({ "vkey": vkey, "url": url, "folder": args.folder });
    let service = Service {
        witness,
        limits: Limits::default(),
        clock: now_seconds,
        told: Box::new(move |answer| told.tell(answer)),
    };
    let mut answered = Ok(());
    let begun = || answered = ctx.answer(&answer, &(text + "\n"));
    serve(service, listener, signalled(), begun).map_err(|error| listen(&error))?;
    answered
}

fn now_seconds() -> u64 {
    now().0 / 1000
}

/// The logs that trust files and lists name, and the checkpoints that trust files pin.
fn trusted(args: &Args) -> Result<(TrustedLogs, Vec<SignedCheckpoint>), Failure> {
    let (mut logs, mut seen) = (TrustedLogs::default(), Vec::new());
    let failed = |path: &Path, error: LogsError| {
        let failure = match &error {
            LogsError::Policy(_) => Failure::new("witness/log-list"),
            other => Failure::new(other.code()),
        };
        failure.with("path", path.display()).or_say(error)
    };
    for path in &args.trust {
        let trust = read_trust(path)?;
        logs.add(trust.operator().clone()).map_err(|error| failed(path, error))?;
        seen.extend(trust.newest().cloned());
    }
    for path in &args.logs {
        let policy = read_file(path, POLICY_LEN_MAX as u64)?;
        logs.add_policy(&policy).map_err(|error| failed(path, error))?;
    }
    Ok((logs, seen))
}

/// Opens the witness's folder and key; makes both if there is no witness yet.
fn open(args: &Args, ctx: &Context) -> Result<(WitnessFolder, KeyName, SecretKey), Failure> {
    let key_file = args.key.clone().unwrap_or_else(|| args.folder.join(KEY));
    let name = match args.name.as_deref().map(|name| (name, KeyName::parse(name))) {
        Some((name, None)) => return Err(Failure::new("witness/name").with("name", name)),
        Some((_, name)) => name,
        None => None,
    };
    let failed = |error| folder(&args.folder, &error);
    if !WitnessFolder::exists(&args.folder) {
        let name = name.ok_or_else(|| Failure::new("witness/no-name"))?;
        // A key that may have cosigned before must not begin again from nothing.
        if key_file.symlink_metadata().is_ok() {
            return Err(Failure::new("witness/used-key").with("path", key_file.display()));
        }
        WitnessFolder::prepare(&args.folder).map_err(failed)?;
        let secret = SecretKey::generate(&mut random());
        key::write(ctx, &key_file, &secret, args.unencrypted)?;
        let vkey = verifier_key(&name, &secret);
        return Ok((WitnessFolder::create(&args.folder, &vkey).map_err(failed)?, name, secret));
    }
    let keeper = WitnessFolder::open(&args.folder).map_err(failed)?;
    let known = keeper.verifier_key().name().clone();
    if let Some(other) = name.filter(|name| *name != known) {
        let failure = Failure::new("witness/other-name").with("name", other);
        return Err(failure.with("known", known));
    }
    let secret = keyring::read(ctx, &key_file)?;
    if verifier_key(&known, &secret) != *keeper.verifier_key() {
        return Err(Failure::new("witness/other-key").with("path", key_file.display()));
    }
    Ok((keeper, known, secret))
}

/// A log of which nothing was cosigned yet begins where the trust file says, so that it cannot show
/// a new witness another history than the trust file's owner has seen.
fn begin_with(witness: &Witness, checkpoint: &SignedCheckpoint, told: &Told) {
    let origin = &checkpoint.checkpoint().origin;
    if witness.newest(origin).is_none() {
        let (old_size, proof) = (0, Vec::new());
        let request = AddCheckpoint { old_size, proof, checkpoint: checkpoint.clone() };
        told.tell(&witness.add_checkpoint(request.to_string().as_bytes(), now_seconds()));
    }
}

/// Tells on standard error what was answered: one line each, for people and for programs.
#[derive(Clone, Copy)]
struct Told {
    language: Language,
    quiet: bool,
}

impl Told {
    fn tell(self, answer: &Answer) {
        let mut lines = Vec::new();
        let (origin, size) = match &answer.about {
            Some((origin, size)) => (origin.as_str(), size.to_string()),
            None => ("-", "-".to_owned()),
        };
        if !self.quiet {
            let (now, status, code) =
                (UnixMs(now_seconds() * 1000), answer.status(), answer.code());
            lines.push(format!("{now} {origin} {size} {status} {code}"));
        }
        // What the operator of a witness must know is told in any case.
        if let Err(refusal) = &answer.outcome
            && refusal.status() == 500
        {
            lines.push(refusal.to_string());
        }
        if let Some(misfit) = &answer.misfit {
            let key = match (&misfit.kept, misfit.kind) {
                (Ok(Some(_)), MisfitKind::Fork) => Some("witness.fork"),
                (Ok(Some(_)), MisfitKind::Unproven) => Some("witness.unproven"),
                (Ok(None), _) => None,
                (Err(_), _) => Some("witness.evidence-lost"),
            };
            let why = match &misfit.kept {
                Ok(path) => path.as_deref().unwrap_or(Path::new("")).display().to_string(),
                Err(error) => error.to_string(),
            };
            let places: [(&str, &dyn std::fmt::Display); 3] =
                [("origin", &origin), ("size", &size), ("why", &why)];
            lines.extend(key.map(|key| self.language.say(key, &places)));
        }
        for line in lines {
            // In one piece, since others tell at the same time; who does not read it keeps nobody
            // from a cosignature.
            let line = format!("giftproof: {line}\n");
            let _ = anstream::stderr().write_all(line.as_bytes());
        }
    }
}
