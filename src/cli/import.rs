//! `import`: a published list by a column map (a whole ledger: see [`transfer`]). A dry run comes
//! first, always; nothing is written unless all of it can be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rand::Rng;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::context::{Context, columns, now, random};
use super::failure::{Failure, file_failed, read_file};
use super::progress::Progress;
use super::{keyring, transfer};
use crate::bundle::{Existing, OutputFile};
use crate::import::{
    ImportError, Keyring, Map, Plan, Refused, Rehearsed, Signing, SigningError, plan, rehearse,
    to_csv,
};
use crate::ledger::Ledger;
use crate::model::ident::{Handle, KeyBytes};
use crate::model::key::SecretKey;
use crate::model::state::{History, Owner, Recorded, State};

/// Rows that are shown of those that cannot be mapped.
const REFUSED_SHOWN: usize = 20;

/// So many events are recorded between two looks at how far it is.
const RECORDED_AT_ONCE: usize = 4096;

/// What `import` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "LIST.csv", required_unless_present = "bundle")]
    list: Option<PathBuf>,
    #[arg(long, value_name = "MAP.toml", required_unless_present = "bundle")]
    map: Option<PathBuf>,
    #[command(flatten)]
    whole: transfer::WholeArgs,
    #[arg(long)]
    dry_run: bool,
    #[arg(long)]
    leave_out: bool,
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    #[arg(long = "registrar-key", value_name = "FILE")]
    registrar_keys: Vec<PathBuf>,
    #[arg(long)]
    unencrypted: bool,
}

impl Args {
    /// The list and the map.
    fn files(&self) -> (&Path, &Path) {
        let (list, map) = (self.list.as_deref(), self.map.as_deref());
        list.zip(map).expect("the command line demands both where there is no bundle")
    }
}

/// Plans, tells, and unless it is a dry run signs, rehearses and submits.
///
/// # Errors
/// `import/rows-refused` where rows cannot be mapped and `--leave-out` is not given; and when
/// anything cannot be read, signed, accepted or written.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    if let Some(bundle) = &args.whole.bundle {
        return transfer::run(bundle, args.whole.trust.as_deref(), ctx);
    }
    let plan = dry_run(args)?;
    if let Some(path) = &args.report {
        write_report(path, &plan.refused)?;
    }
    let mut text = told(args, ctx, &plan);
    let mut value = value(&plan);
    if args.dry_run {
        return ctx.answer(&value, &text);
    }
    if !plan.refused.is_empty() && !args.leave_out {
        ctx.answer(&value, &text)?;
        let count = plan.refused.len();
        return Err(Failure::refused("import/rows-refused").with("count", count));
    }
    let (recorded, made) = write(args, ctx, &plan)?;
    if made > 0 {
        let folder = folder(args);
        let places: [(&str, &dyn std::fmt::Display); 2] =
            [("count", &made), ("dir", &folder.display())];
        let _ = writeln!(text, "{}", ctx.say("import.keys-made", &places));
    }
    if let Some((first, last)) = recorded {
        let places: [(&str, &dyn std::fmt::Display); 3] =
            [("count", &(last - first + 1)), ("first", &first), ("last", &last)];
        let _ = writeln!(text, "{}", ctx.say("import.imported", &places));
        value["entries"] = json!([first, last]);
    }
    ctx.answer(&value, &text)
}

/// A list or a map is not longer than this, in bytes: it is held in memory as a whole.
const LIST_LEN_MAX: u64 = 256 << 20;

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    read_file(path, LIST_LEN_MAX)
}

/// What the import would do.
fn dry_run(args: &Args) -> Result<Plan, Failure> {
    let (list, path) = args.files();
    let source = String::from_utf8(read(path)?);
    let not_utf8 = || Failure::new("file/not-utf-8").with("path", path.display());
    let source = source.map_err(|_| not_utf8())?;
    let map = Map::read(&source).map_err(ImportError::from)?;
    // Other lists stand beside the map.
    let beside = path.parent().unwrap_or(Path::new(""));
    plan(&read(list)?, &map, |file| read(&beside.join(file)))
}

fn told(args: &Args, ctx: &Context, plan: &Plan) -> String {
    let mut text = String::new();
    if args.dry_run {
        let list = args.files().0.display();
        let _ = writeln!(text, "{}", ctx.say("import.dry-run", &[("list", &list)]));
    }
    let places: [(&str, &dyn std::fmt::Display); 5] = [
        ("mapped", &plan.mapped_count()),
        ("rows", &plan.row_count),
        ("gifts", &plan.gift_count()),
        ("shipments", &plan.shipment_count()),
        ("publications", &plan.publication_count()),
    ];
    let _ = writeln!(text, "{}", ctx.say("import.planned", &places));
    let _ = writeln!(text, "{}", ctx.say("import.parties", &[("count", &plan.parties.len())]));
    if plan.refused.is_empty() {
        return text;
    }
    let count = plan.refused.len();
    let _ = writeln!(text, "{}", ctx.say("import.refused-heading", &[("count", &count)]));
    let row = |refused: &Refused| {
        let why = Failure::refused(refused.code).with("found", &refused.found);
        vec![
            format!("  {}", ctx.say("import.row", &[("line", &refused.line)])),
            refused.reference.clone(),
            refused.code.to_owned(),
            why.message(ctx.language),
        ]
    };
    let rows: Vec<Vec<String>> = plan.refused.iter().take(REFUSED_SHOWN).map(row).collect();
    text += &columns(&rows);
    if count > REFUSED_SHOWN {
        let more = count - REFUSED_SHOWN;
        let _ = writeln!(text, "  {}", ctx.say("import.more", &[("count", &more)]));
    }
    text
}

fn value(plan: &Plan) -> Value {
    json!({
        "rows": plan.row_count,
        "mapped": plan.mapped_count(),
        "gifts": plan.gift_count(),
        "shipments": plan.shipment_count(),
        "publications": plan.publication_count(),
        "parties": plan.parties.keys().collect::<Vec<_>>(),
        "refused": plan.refused,
    })
}

fn write_report(path: &Path, refused: &[Refused]) -> Result<(), Failure> {
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let bytes = if is_json {
        let rows = serde_json::to_vec_pretty(refused);
        rows.expect("rows are made of plain values")
    } else {
        to_csv(refused)
    };
    let write = || -> std::io::Result<()> {
        let mut file = OutputFile::create(path, Existing::Refuse)?;
        std::io::Write::write_all(&mut file, &bytes)?;
        file.commit()
    };
    write().map_err(|error| file_failed(path, &error))
}

/// The folder of the parties' keys.
fn folder(args: &Args) -> PathBuf {
    args.keys.clone().unwrap_or_else(|| PathBuf::from("keys"))
}

/// Signs, rehearses and submits. Gives the first and last new entry, and how many keys were made.
fn write(args: &Args, ctx: &Context, plan: &Plan) -> Result<(Option<(u64, u64)>, usize), Failure> {
    let writer = ctx.open_writer()?;
    let before = writer.with_ledger(|ledger| attested(ledger, plan));
    if let Some(before) = before.as_ref().filter(|b| !plan.source.is_same_map(&b.event.head)) {
        return Err(Failure::refused("import/already").with("index", before.index));
    }
    let state = writer.with_state(State::clone);
    let (keys, made) = keys(args, ctx, plan, &state)?;
    // An import that was cut short is signed again as of its beginning: what is in the ledger
    // already then is the same events.
    let begun = before.as_ref().map(|before| before.event.head.signed_at);
    let signed_at = begun.unwrap_or_else(now);
    let signing = Signing { genesis: state.genesis, keys: &keys, signed_at };
    let mut events = signing.sign(plan, &state)?;
    let hashes: Vec<_> = events.iter().map(|event| event.frame.hash(&state.genesis)).collect();
    let known = hashes.iter().map(|hash| writer.with_ledger(|ledger| ledger.index_of(hash)));
    let mut known = known.collect::<Result<Vec<_>, _>>()?.into_iter();
    events.retain(|_| known.next().flatten().is_none());
    if let (Some(before), true) = (&before, events.is_empty()) {
        return Err(Failure::refused("import/already").with("index", before.index));
    }
    let count = events.len();
    if let Rehearsed::Refused { at, violation } = rehearse(&state, &events, now())? {
        let why = Failure::from(&*violation).message(ctx.language);
        let failure = Failure::refused("import/event");
        return Err(failure.with("at", at + 1).with("count", count).with("why", why));
    }
    // Keys are on disk before anything is signed with them for good.
    for (handle, key) in &made {
        let path = folder(args).join(format!("{handle}.key"));
        super::key::write(ctx, &path, key, args.unencrypted)?;
    }
    let line = Progress::begin(ctx, "record");
    let mut indexes = Vec::with_capacity(count);
    let mut events = events.into_iter();
    while events.len() > 0 {
        for answer in writer.submit_many(events.by_ref().take(RECORDED_AT_ONCE).collect()) {
            indexes.push(answer?.index);
        }
        line.at(indexes.len() as u64, count as u64);
    }
    drop(line);
    super::witnesses::close(ctx, writer)?;
    let recorded = indexes.iter().min().copied().zip(indexes.iter().max().copied());
    Ok((recorded, made.len()))
}

/// The event that attests that this very list was imported, wholly or not.
fn attested(ledger: &Ledger, plan: &Plan) -> Option<Recorded> {
    let publications = ledger.state().publications.keys();
    let mut recorded = publications.filter_map(|index| ledger.event(*index));
    recorded.find(|recorded| plan.source.is_attested_by(&recorded.event.head))
}

/// The keys that the plan needs: those in the folder, and new ones for parties that are new.
fn keys(
    args: &Args,
    ctx: &Context,
    plan: &Plan,
    state: &State,
) -> Result<(Keyring, Vec<(Handle, SecretKey)>), Failure> {
    let folder = folder(args);
    let mut keys = Keyring::default();
    let mut made = Vec::new();
    for path in &args.registrar_keys {
        let key = keyring::read(ctx, path)?;
        let public = KeyBytes::from(key.public());
        match state.parties.key(&public).map(|record| &record.owner) {
            Some(Owner::Registrar(handle)) => keys.registrars.insert(handle.clone(), key),
            _ => return Err(Failure::refused("key/not-of-party").with("found", public)),
        };
    }
    let mut parties = BTreeMap::new();
    for handle in plan.parties.keys() {
        let path = folder.join(format!("{handle}.key"));
        let key = if path.exists() {
            keyring::read(ctx, &path)?
        } else if state.parties.get(handle).is_none() {
            let mut seed = Zeroizing::new([0; 32]);
            random().fill_bytes(&mut *seed);
            made.push((handle.clone(), SecretKey::from_seed(&seed)));
            SecretKey::from_seed(&seed)
        } else {
            continue;
        };
        parties.insert(handle.clone(), key);
    }
    keys.parties = parties;
    if !made.is_empty() {
        std::fs::create_dir_all(&folder).map_err(|error| file_failed(&folder, &error))?;
    }
    Ok((keys, made))
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        Self::new("import/malformed").with("error", error.to_string().trim_end()).or_say(&error)
    }
}

impl From<SigningError> for Failure {
    fn from(error: SigningError) -> Self {
        match &error {
            SigningError::NoKey(handle) => Self::new("import/no-key").with("party", handle),
            SigningError::Malformed { code, .. } => Self::refused(*code).or_say(&error),
        }
    }
}
