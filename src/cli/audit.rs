//! `audit`: the regulator's command. Integrity failures first, apart from differences.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use super::audit_files::{FileArgs, Written};
use super::context::{Context, columns};
use super::failure::{Failure, file_failed, read_file};
use super::list::differing;
use super::phrases::{HEADING, Phrases, number, styled};
use super::progress;
use super::withheld::{self, EvidenceArgs};
use super::witnesses::moment;
use crate::bundle::{LogFolder, LogSource, OpenedBundle, SourceError};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::date::UnixMs;
use crate::model::ident::EntryIndex;
use crate::model::policy::Cosigned;
use crate::model::trust::{TRUST_LEN_MAX, TrustError, TrustFile};
use crate::model::verdict::{AsOf, Summary};
use crate::model::violation::Code;
use crate::verify::{self, CopyComparison, Options, Outcome, Progress, Report, Since};

/// How many findings of a kind are shown to people; programs get all that are listed.
const SHOWN_MAX: usize = 20;

/// What `audit` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    evidence: EvidenceArgs,
}

/// The answer for programs.
#[derive(Serialize)]
struct Answer<'a> {
    outcome: Outcome,
    origin: Option<String>,
    size: Option<u64>,
    root: Option<String>,
    genesis: Option<String>,
    trusted: bool,
    trust_copy: CopyComparison,
    entries: u64,
    signatures: u64,
    cosigned: Vec<Value>,
    gifts: u64,
    parties: u64,
    seconds: f64,
    failure_count: u64,
    failures: &'a [verify::Failure],
    not_understood: &'a [EntryIndex],
    differences: Option<&'a Summary>,
    since: Option<Earlier>,
    conflicts: Vec<Conflict>,
    withheld: Option<withheld::Answer>,
    #[serde(flatten)]
    written: Written,
}

/// What was known of the log.
#[derive(Serialize)]
struct Earlier {
    size: u64,
    /// The day of the audit that left a state.
    audited_on: Option<String>,
    /// Whether only the entries after it were replayed.
    resumed: bool,
}

/// Two checkpoints that do not fit.
#[derive(Serialize)]
struct Conflict {
    seen: String,
    found: String,
    root_then: Option<String>,
}

/// Audits a bundle, an unpacked folder or a ledger folder.
///
/// # Errors
/// `audit/failed` and `audit/withheld` with exit code 1, `audit/not-understood` with 2; the answer
/// is printed before.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    let auditor = args.files.auditor(trust.as_ref(), ctx)?;
    let since = args.files.since(ctx)?;
    let mut earlier = earlier(&since);
    let started = Instant::now();
    let (report, evidence) = with_source(&args.source, ctx, |source| {
        let report = audit(source, trust.as_ref(), since, ctx)?;
        let evidence = args.evidence.look(source, &report, trust.as_ref())?;
        Ok((report, evidence))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    if let Some(earlier) = &mut earlier {
        earlier.resumed = report.resumed_at > 0;
    }
    let summary = report
        .state
        .as_ref()
        .map(|state| Summary::of(state, AsOf::newest(state, &report.cosigned)));
    let differences = summary.as_ref().map_or(0, |summary| summary.with_differences);
    ctx.check_faults()?;
    let written = args.files.write(&report, differences, auditor.as_ref(), ctx)?;
    let mut text = page(ctx, &report, earlier.as_ref(), summary.as_ref(), seconds);
    if let (true, Some(state)) = (args.list, &report.state) {
        let phrases = Phrases { language: ctx.language, state };
        text.push_str(&format!("\n{}", differing(&phrases)));
    }
    text.push_str(&written.lines(ctx));
    text.push_str(&args.evidence.write(&evidence, ctx)?);
    let checkpoint = report.checkpoint.as_ref();
    let answer = Answer {
        outcome: report.outcome(),
        origin: checkpoint.map(|c| c.origin.to_string()),
        size: checkpoint.map(|c| c.size),
        root: checkpoint.map(|c| c.root.to_string()),
        genesis: report.genesis.map(|genesis| genesis.to_string()),
        trusted: report.trusted,
        trust_copy: report.trust_copy,
        entries: report.entries,
        signatures: report.signatures,
        cosigned: report.cosigned.iter().map(cosigned).collect(),
        gifts: report.gifts(),
        parties: report.parties(),
        seconds,
        failure_count: report.failures.count(),
        failures: report.failures.first(),
        not_understood: report.not_understood.first(),
        differences: summary.as_ref(),
        since: earlier,
        conflicts: report.conflicts.iter().map(conflict).collect(),
        withheld: evidence.withheld.as_ref().map(withheld::Judged::answer),
        written,
    };
    ctx.answer(&answer, &text)?;
    match report.outcome() {
        Outcome::Clean | Outcome::NotUnderstood if evidence.is_withheld() => {
            Err(Failure::refused("audit/withheld"))
        }
        Outcome::Clean => Ok(()),
        Outcome::Failed => Err(Failure::refused("audit/failed")),
        Outcome::NotUnderstood => Err(Failure::new("audit/not-understood")),
    }
}

fn earlier(since: &Since) -> Option<Earlier> {
    let (size, audited_on) = match since {
        Since::Nothing => return None,
        Since::Checkpoint(seen) => (seen.checkpoint().size, None),
        Since::State(state) => {
            let at = UnixMs::from_unix_seconds(state.audited_at_unix_seconds());
            (state.checkpoint().checkpoint().size, Some(at.date(0).to_string()))
        }
    };
    Some(Earlier { size, audited_on, resumed: false })
}

fn conflict(conflict: &verify::Conflict) -> Conflict {
    Conflict {
        seen: conflict.seen.to_string(),
        found: conflict.found.to_string(),
        root_then: conflict.root_then.map(|root| root.to_string()),
    }
}

/// Reads a trust file.
///
/// # Errors
/// When it cannot be read, or is not in its one spelling.
pub fn read_trust(path: &Path) -> Result<TrustFile, Failure> {
    let bytes = read_file(path, TRUST_LEN_MAX as u64)?;
    TrustFile::parse(&bytes).map_err(|error| {
        let code = match error {
            TrustError::NewerVersion(_) => "trust-file/newer-version",
            _ => "trust-file/malformed",
        };
        Failure::new(code).with("path", path.display()).or_say(error)
    })
}

/// Whether a path is that of a ledger folder.
pub fn is_ledger(path: &Path) -> bool {
    path.join("giftproof-ledger").exists()
}

/// Opens what `path` is: a ledger folder, an unpacked bundle, or a bundle.
///
/// # Errors
/// When it is none of these, or cannot be read.
pub fn with_source<T>(
    path: &Path,
    ctx: &Context,
    use_it: impl FnOnce(&dyn LogSource) -> Result<T, Failure>,
) -> Result<T, Failure> {
    use_it(open_source(path, ctx)?.as_ref())
}

/// Opens what `path` is: an unpacked bundle, a mirror, or a bundle.
///
/// # Errors
/// When it is none of these, or cannot be read.
pub fn with_files<T>(
    path: &Path,
    use_it: impl FnOnce(&dyn LogSource) -> Result<T, Failure>,
) -> Result<T, Failure> {
    use_it(open_files(path)?.as_ref())
}

/// As [`with_source`], to keep.
///
/// # Errors
/// As [`with_source`].
pub fn open_source(path: &Path, ctx: &Context) -> Result<Box<dyn LogSource + Send>, Failure> {
    if is_ledger(path) { Ok(Box::new(ctx.open_at(path)?.into_log())) } else { open_files(path) }
}

fn open_files(path: &Path) -> Result<Box<dyn LogSource + Send>, Failure> {
    let about = fs::metadata(path).map_err(|error| file_failed(path, &error))?;
    if about.is_file() {
        let unreadable = |error: SourceError| Failure::refused(error.code()).or_say(error);
        let opened = OpenedBundle::open(path).map_err(unreadable)?;
        let checkpoint = SignedCheckpoint::parse(opened.checkpoint())
            .map_err(|error| Failure::refused(error.code()).or_say(error))?;
        let size = checkpoint.checkpoint().size;
        return Ok(Box::new(opened.with_size(size).map_err(unreadable)?));
    }
    Ok(Box::new(LogFolder::new(path)))
}

fn cosigned(by: &Cosigned) -> Value {
    json!({ "witness": by.witness, "time": by.time.unix_seconds() })
}

/// Audits, and shows how far it is.
///
/// # Errors
/// When the audit could not be run.
pub fn audit(
    source: &dyn LogSource,
    trust: Option<&TrustFile>,
    since: Since,
    ctx: &Context,
) -> Result<Report, Failure> {
    let line = progress::Progress::begin(ctx, "audit");
    let progress = |progress: Progress| line.at(progress.done, progress.size);
    let options = Options { progress: Some(&progress), ..Options::default() };
    let report = verify::audit_since(source, trust, since, &options)
        .map_err(|error| Failure::new(error.code()).or_say(error))?;
    if let Some(state) = &report.state {
        ctx.watch(state, Failure::from);
    }
    Ok(report)
}

fn page(
    ctx: &Context,
    report: &Report,
    earlier: Option<&Earlier>,
    summary: Option<&Summary>,
    seconds: f64,
) -> String {
    let say = |key: &str, places: &[(&str, &dyn std::fmt::Display)]| {
        ctx.say(&format!("audit.{key}"), places)
    };
    let failures = report.failures.count();
    let unknown = report.not_understood.count();
    let (colour, headline) = match report.outcome() {
        Outcome::Clean => (anstyle::AnsiColor::Green, say("clean", &[])),
        Outcome::Failed => {
            let key = if failures == 1 { "failed-once" } else { "failed" };
            (anstyle::AnsiColor::Red, say(key, &[("count", &number(failures))]))
        }
        Outcome::NotUnderstood => {
            (anstyle::AnsiColor::Yellow, say("not-understood", &[("count", &unknown)]))
        }
    };
    let mut page = format!("{}\n", styled(colour.on_default().bold(), &headline));
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    if let Some(checkpoint) = &report.checkpoint {
        let size = number(checkpoint.size);
        line(say("origin", &[("origin", &checkpoint.origin.as_str()), ("size", &size)]));
        line(say("root", &[("root", &checkpoint.root)]));
    }
    if let Some(genesis) = &report.genesis {
        line(say("genesis", &[("genesis", genesis)]));
    }
    line(say(trust_word(report), &[]));
    match report.trust_copy {
        CopyComparison::Absent => line(say("copy-absent", &[])),
        CopyComparison::Same => line(say("copy-same", &[])),
        CopyComparison::SameRoot => line(say("copy-same-root", &[])),
        CopyComparison::Differs => line(say("copy-differs", &[])),
        CopyComparison::Damaged => line(say("copy-damaged", &[])),
        CopyComparison::NotCompared => {}
    }
    if !report.cosigned.is_empty() {
        let by = |by: &Cosigned| {
            let time = moment(by.time);
            say("cosigned-by", &[("witness", &by.witness), ("time", &time)])
        };
        let who: Vec<String> = report.cosigned.iter().map(by).collect();
        line(say("cosigned", &[("who", &who.join(", "))]));
    }
    if let Some(earlier) = earlier {
        let day: &dyn std::fmt::Display = match &earlier.audited_on {
            Some(day) => day,
            None => &"",
        };
        let size = number(earlier.size);
        line(say(since_word(report, earlier), &[("size", &size), ("day", day)]));
    }
    let replayed = report.entries - report.resumed_at;
    let rate = replayed as f64 / seconds.max(0.001);
    line(say(
        if report.resumed_at > 0 { "checked-since" } else { "checked" },
        &[
            ("entries", &number(report.entries)),
            ("new", &number(replayed)),
            ("signatures", &number(report.signatures)),
            ("gifts", &number(report.gifts())),
            ("parties", &number(report.parties())),
            ("seconds", &format!("{seconds:.2}")),
            ("rate", &number(rate as u64)),
        ],
    ));
    if failures > 0 {
        line(format!("\n{}", styled(HEADING, &say("failures", &[]))));
        page.push_str(&findings(ctx, report));
    }
    if let (Some(summary), Some(state)) = (summary, &report.state) {
        let phrases = Phrases { language: ctx.language, state };
        page.push_str(&differences(&phrases, summary, report.outcome()));
    }
    page
}

/// How the log compares with what was seen of it before.
fn since_word(report: &Report, earlier: &Earlier) -> &'static str {
    let misfit = |finding: &verify::Failure| finding.violation.code == Code::SinceCheckpoint;
    let is_short = report.entries < earlier.size;
    match (report.failures.first().iter().any(misfit), earlier.resumed) {
        (true, _) => "since-misfit",
        (false, true) => "since-resumed",
        (false, false) if is_short || report.state.is_none() => "since-unknown",
        (false, false) if earlier.audited_on.is_some() => "since-anew",
        (false, false) => "since-extends",
    }
}

/// What the trust file has told.
fn trust_word(report: &Report) -> &'static str {
    let misfit = |finding: &verify::Failure| {
        use Code::{CheckpointOrigin, TrustCheckpoint, TrustGenesis, TrustOperator, TrustPolicy};
        let codes = [CheckpointOrigin, TrustCheckpoint, TrustGenesis, TrustOperator, TrustPolicy];
        codes.contains(&finding.violation.code)
    };
    match (report.trusted, report.failures.first().iter().any(misfit), report.entries) {
        (false, ..) => "untrusted",
        (true, true, _) => "trust-misfit",
        (true, false, 0) => "trust-unknown",
        (true, false, _) => "trusted",
    }
}

fn findings(ctx: &Context, report: &Report) -> String {
    let say = |key: &str| ctx.say(&format!("audit.{key}"), &[]);
    let heading = ["entry", "code", "expected", "found"].map(say);
    let mut rows = vec![heading.to_vec()];
    rows[0][0].insert_str(0, "  ");
    let mut meaning = BTreeMap::new();
    for finding in report.failures.first().iter().take(SHOWN_MAX) {
        let told = || Failure::from(&finding.violation).message(ctx.language);
        meaning.entry(finding.violation.code).or_insert_with(told);
        rows.push(vec![
            format!("  {}", finding.at),
            finding.violation.code.to_string(),
            finding.violation.expected.to_string(),
            finding.violation.found.to_string(),
        ]);
    }
    let mut text = columns(&rows);
    let more = report.failures.count().saturating_sub(SHOWN_MAX as u64);
    if more > 0 {
        let _ = writeln!(text, "  {}", ctx.say("audit.more", &[("count", &number(more))]));
    }
    let meaning = meaning.into_iter().map(|(code, text)| vec![format!("  {code}"), text]);
    let meaning: Vec<Vec<String>> = meaning.collect();
    if !meaning.is_empty() {
        let _ = write!(text, "\n{}\n{}", styled(HEADING, &say("meaning")), columns(&meaning));
    }
    text
}

fn differences(phrases: &Phrases, summary: &Summary, outcome: Outcome) -> String {
    let say = |key: &str, places: &[(&str, &dyn std::fmt::Display)]| {
        phrases.say(&format!("audit.{key}"), places)
    };
    let gifts = |count: &u64| {
        let key = if *count == 1 { "gift" } else { "gifts" };
        say(key, &[("count", &number(*count))])
    };
    let mut text = String::new();
    let mut section = |title: &str, rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            let title = styled(HEADING, &say(title, &[]));
            let _ = write!(text, "\n{title}\n{}", columns(&rows));
        }
    };
    let headlines = summary.by_headline.iter().map(|(headline, count)| {
        let headline = phrases.say(&format!("headline.{}", headline.word()), &[]);
        vec![format!("  {headline}"), gifts(count)]
    });
    section("by-headline", headlines.collect());
    let flags = summary.by_flag.iter().map(|(flag, count)| {
        vec![format!("  {}", phrases.say(&format!("flag-name.{flag}"), &[])), gifts(count)]
    });
    section("by-flag", flags.collect());
    let mut clocks = Vec::new();
    for (clock, count) in &summary.by_clock {
        let clock = say(clock.word(), &[]);
        if count.late > 0 {
            let late = say("late", &[("clock", &clock), ("gifts", &gifts(&count.late))]);
            let in_shipments = (count.shipments > 0)
                .then(|| say("shipments", &[("count", &number(count.shipments))]));
            clocks.push(vec![format!("  {late}"), in_shipments.unwrap_or_default()]);
        }
        if count.overdue > 0 {
            let overdue = say("overdue", &[("clock", &clock), ("gifts", &gifts(&count.overdue))]);
            clocks.push(vec![format!("  {overdue}"), String::new()]);
        }
    }
    if summary.receipts_before_delivery > 0 {
        let count = number(summary.receipts_before_delivery);
        clocks.push(vec![format!("  {}", say("receipts-before", &[("count", &count)]))]);
    }
    for silent in &summary.silent_campaigns {
        let places: [(&str, &dyn std::fmt::Display); 2] =
            [("campaign", &silent.campaign), ("days", &silent.days)];
        clocks.push(vec![format!("  {}", say("reports-late", &places))]);
    }
    section("by-clock", clocks);
    let parties = summary.by_party.iter();
    let parties =
        parties.map(|(party, count)| vec![format!("  {}", phrases.who(party)), gifts(count)]);
    section("by-party", parties.collect());
    let title = match (outcome, summary.with_differences) {
        (Outcome::Failed, _) => "unreliable",
        (_, 0) => "no-differences",
        _ => "differences",
    };
    let count = gifts(&summary.with_differences);
    let title = styled(HEADING, &say(title, &[]));
    let all = if summary.with_differences > 0 { format!(" ({count})") } else { String::new() };
    format!("\n{title}{all}\n{text}")
}
