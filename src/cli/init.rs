//! `init`: a new ledger, on one machine or with the registrars' signatures from elsewhere.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use rand::Rng;
use serde_json::json;

use super::context::{Context, now, random};
use super::event_file::EventFile;
use super::failure::{Failure, read_file, write_failed};
use super::keyring::Keyring;
use super::signing::write_draft;
use super::words::{parse_quantity, text};
use crate::bundle::{Existing, OutputFile};
use crate::ledger::Ledger;
use crate::model::checkpoint::Origin;
use crate::model::draft::Draft;
use crate::model::encoding::{List, Malformed};
use crate::model::entry::NO_LEAF;
use crate::model::event::{
    Capacity, Clock as Deadline, ClockKind, Identity, LedgerCreated, Rules, Statement,
};
use crate::model::ident::{Handle, KeyBytes};
use crate::model::key::SecretKey;
use crate::model::text::Text;
use crate::model::violation::Code;
use crate::writer::{Clock, Writer};

/// The longest file of a public key that is read, in bytes.
const PUBLIC_LEN_MAX: u64 = 1 << 12;

/// What `init` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(long, value_name = "URL", required_unless_present = "from")]
    origin: Option<String>,
    #[arg(long, value_name = "NAME", value_parser = text::<200>, required_unless_present = "from")]
    operator: Option<Text<200>>,
    #[arg(long, value_name = "HANDLE", default_value = "operator")]
    operator_handle: Handle,
    #[arg(long = "registrar", value_name = "HANDLE:NAME:KEY", required_unless_present = "from")]
    registrars: Vec<IdentityWord>,
    #[arg(long = "registrar-key", value_name = "FILE")]
    registrar_keys: Vec<PathBuf>,
    #[arg(long, value_name = "K")]
    threshold: Option<u8>,
    #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_negative_numbers = true)]
    offset_minutes: i16,
    #[arg(long = "clock", value_name = "KIND=DAYS:BASIS")]
    clocks: Vec<ClockWord>,
    #[arg(long, value_name = "COUNT", default_value_t = 65_536)]
    seal_entries: u32,
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    seal_seconds: u32,
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,
    #[arg(long, value_name = "FILE", conflicts_with_all = ["draft", "origin", "registrars"])]
    from: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

/// A public key: 64 hex digits, or the file that holds them.
#[derive(Clone, Debug)]
pub struct KeyWord(String);

impl FromStr for KeyWord {
    type Err = Malformed;

    fn from_str(typed: &str) -> Result<Self, Malformed> {
        Ok(Self(typed.to_owned()))
    }
}

impl KeyWord {
    /// The key; reads its file.
    ///
    /// # Errors
    /// `key/not-public`, `key/invalid`, or when the file cannot be read.
    pub fn key(&self) -> Result<KeyBytes, Failure> {
        let key: KeyBytes = match self.0.parse() {
            Ok(key) => key,
            Err(_) => {
                let bytes = read_file(Path::new(&self.0), PUBLIC_LEN_MAX)?;
                let line = str::from_utf8(&bytes).ok().and_then(|line| line.trim().parse().ok());
                line.ok_or_else(|| Failure::new("key/not-public").with("path", &self.0))?
            }
        };
        // Found here, and not only when everybody has signed.
        key.check().map_err(|_| Failure::from(Code::KeyInvalid))?;
        Ok(key)
    }
}

/// `registrar-a:Registry of A:registrar-a.pub`: who somebody is.
#[derive(Clone, Debug)]
pub struct IdentityWord {
    handle: Handle,
    name: Text<200>,
    key: KeyWord,
}

impl FromStr for IdentityWord {
    type Err = Malformed;

    fn from_str(typed: &str) -> Result<Self, Malformed> {
        let mut parts = typed.splitn(3, ':');
        let mut next = || parts.next().ok_or(Malformed::new("identity/malformed"));
        Ok(Self { handle: next()?.parse()?, name: text(next()?)?, key: next()?.parse()? })
    }
}

impl IdentityWord {
    /// The identity; reads the key's file.
    ///
    /// # Errors
    /// As [`KeyWord::key`].
    pub fn identity(&self) -> Result<Identity, Failure> {
        let (handle, name) = (self.handle.clone(), self.name.clone());
        Ok(Identity { handle, name, key: self.key.key()? })
    }
}

/// `receipt=3:Regulation 12`: a clock and its legal basis.
#[derive(Clone, Debug)]
struct ClockWord(Deadline);

impl FromStr for ClockWord {
    type Err = Malformed;

    fn from_str(typed: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::new("clock/malformed");
        let (kind, rest) = typed.split_once('=').ok_or(malformed)?;
        let (days, basis) = rest.split_once(':').unwrap_or((rest, ""));
        let kind = kind.parse().map_err(|_| malformed)?;
        let days = u16::try_from(parse_quantity(days)?).map_err(|_| malformed)?;
        Ok(Self(Deadline { kind, days, basis: text(basis)? }))
    }
}

/// Creates a ledger, or drafts the event that does.
///
/// # Errors
/// When keys, files or the folder fail, or the statement contradicts itself.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let mut ring = Keyring::read(ctx, &args.registrar_keys)?;
    let given: Vec<KeyBytes> = ring.public().collect();
    let operator = match &args.draft {
        Some(_) if ctx.operator_key.is_none() => return Err(Failure::new("usage/no-operator-key")),
        _ => ctx.operator()?,
    };
    ring.add(SecretKey::from_seed(operator.seed()));
    let mut file = match &args.from {
        Some(path) => EventFile::read(path)?,
        None => {
            let statement = statement(args, ctx, operator.public().into())?;
            EventFile::new(NO_LEAF, draft(statement).frame()?)?
        }
    };
    let Statement::LedgerCreated(created) = file.open()?.1 else {
        return Err(Failure::refused("genesis/place"));
    };
    let registrars = || created.registrars.iter().map(|registrar| registrar.key);
    if let Some((_, path)) =
        given.iter().zip(&args.registrar_keys).find(|(key, _)| !registrars().any(|k| k == **key))
    {
        return Err(Failure::refused("registrar/other-key").with("path", path.display()));
    }
    file.sign(&ring)?;
    if let Some(path) = &args.draft {
        return write_draft(file, path)?.report(ctx, &[]);
    }
    let folder = ctx.ledger_dir()?;
    let operator = ctx.operator_with_mark()?;
    // A key that has signed for a ledger signs for no other.
    if let Some(mark) = operator.mark.as_ref().filter(|mark| mark.exists()) {
        return Err(Failure::new("operator/used").with("path", mark.display()));
    }
    // Asked before there is a ledger; inside its folder, which has yet to be made, it is free.
    if let Some(path) = args.trust.as_ref().filter(|path| !path.starts_with(folder)) {
        check_output(path)?;
    }
    Writer::create(folder, file.complete()?, operator, Clock::System)?.close()?;
    let ledger = Ledger::open(folder)?;
    let trust = args.trust.as_ref().map(|path| (path, write_trust(&ledger, path)));
    let written = trust.as_ref().filter(|(_, end)| end.is_ok()).map(|(path, _)| path);
    let state = ledger.state();
    let places: [(&str, &dyn std::fmt::Display); 2] =
        [("folder", &folder.display()), ("genesis", &state.genesis)];
    let answer = json!({
        "ledger": folder, "origin": state.origin, "genesis": state.genesis, "trust": written,
    });
    let trust_line = match written {
        Some(path) => ctx.say("next.trust", &[("path", &path.display())]),
        None => ctx.say("next.no-trust", &[]),
    };
    ctx.answer(&answer, &format!("{}\n{trust_line}\n", ctx.say("done.created", &places)))?;
    // There is a ledger, so this is no failure of its creation.
    if let Some((_, Err(failure))) = trust {
        ctx.note("note.no-trust-file", &[("why", &failure.message(ctx.language))]);
    }
    Ok(())
}

/// Whether a new file can be made here: asked before there is something that stays when it cannot.
///
/// # Errors
/// When it exists, or cannot be made.
pub fn check_output(path: &Path) -> Result<(), Failure> {
    let begun = OutputFile::create(path, Existing::Refuse);
    begun.map(drop).map_err(|error| write_failed(path, &error))
}

/// Writes the trust file that auditors and donors pin.
///
/// # Errors
/// When it cannot be written, or exists.
pub fn write_trust(ledger: &Ledger, path: &Path) -> Result<(), Failure> {
    let trust = ledger.trust()?;
    let write = || -> std::io::Result<()> {
        let mut file = OutputFile::create(path, Existing::Refuse)?;
        std::io::Write::write_all(&mut file, trust.to_string().as_bytes())?;
        file.commit()
    };
    write().map_err(|error| write_failed(path, &error))
}

fn statement(args: &Args, ctx: &Context, operator: KeyBytes) -> Result<LedgerCreated, Failure> {
    let origin = args.origin.as_deref().unwrap_or_default();
    if Origin::parse(origin).is_none() {
        return Err(Failure::new("trust/origin").with("origin", origin));
    }
    let registrars: Vec<Identity> =
        args.registrars.iter().map(IdentityWord::identity).collect::<Result<_, _>>()?;
    // floor(n / 2) + 1, and never one alone.
    let majority = u8::try_from(registrars.len() / 2 + 1).unwrap_or(u8::MAX).max(2);
    let mut clocks: Vec<Deadline> =
        [(ClockKind::Disclosure, 5), (ClockKind::Filing, 5), (ClockKind::Receipt, 3)]
            .map(|(kind, days)| {
                let basis = ctx.say(&format!("init.clock-{}", kind.word()), &[]);
                Deadline {
                    kind,
                    days,
                    basis: text(&basis).expect("the embedded texts keep the rules"),
                }
            })
            .to_vec();
    for ClockWord(clock) in &args.clocks {
        clocks.retain(|other| other.kind != clock.kind);
        clocks.push(clock.clone());
    }
    Ok(LedgerCreated {
        origin: Text::new(origin)?,
        operator: Identity {
            handle: args.operator_handle.clone(),
            name: args.operator.clone().unwrap_or_default(),
            key: operator,
        },
        registrars: List::new(registrars)?,
        threshold: args.threshold.unwrap_or(majority),
        rules: Rules {
            version: 1,
            offset_minutes: args.offset_minutes,
            clocks: List::new(clocks)?,
            seal_entries: args.seal_entries,
            seal_seconds: args.seal_seconds,
            inclusion_seconds: 86_400,
        },
    })
}

fn draft(statement: LedgerCreated) -> Draft {
    let mut nonce = [0; 16];
    random().fill_bytes(&mut nonce);
    let operator = statement.operator.clone();
    let registrars = statement.registrars.clone();
    let draft = Draft::new(statement, now(), nonce);
    let draft = draft.signer(Capacity::Operator, Some(&operator.handle), operator.key);
    registrars.iter().fold(draft, |draft, registrar| {
        draft.signer(Capacity::Registrar, Some(&registrar.handle), registrar.key)
    })
}
