//! `demo`: tells three acts on real donations in plain words. What is told is read from the ledger
//! that the acts build, and from the audits of its bundle.

use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use rand::Rng;
use serde_json::{Value, json};

use super::context::{Context, columns, random};
use super::failure::{Failure, file_failed};
use super::phrases::{number, wrapped};
use crate::demo::cheats::Audited;
use crate::demo::journeys::{Journey, Journeys};
use crate::demo::published::Published;
use crate::demo::scenes::Scene;
use crate::demo::{Demo, DemoError, Exported, Places, Seed};
use crate::model::hash::EventHash;
use crate::model::ident::GiftId;
use crate::model::state::State;
use crate::model::verdict::{AsOf, Flag, Headline, Proof, Verdict};
use crate::verify::{Outcome, Spot};

/// Pairs of item and unit that are shown of those issued beyond what was received.
const EXCEEDED_SHOWN: usize = 5;
/// Findings that are shown of each changed copy.
const FINDINGS_SHOWN: usize = 3;

/// What `demo` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// Plays and tells the three acts.
///
/// # Errors
/// When the folder is not empty, or cannot be written.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => fresh_folder()?,
    };
    let seed = args.seed.map_or_else(random_seed, Seed::of_number);
    let teller = Teller { ctx };
    teller.title(&dir)?;

    let bar = teller.working("import");
    let mut demo = Demo::begin(&dir, seed)?;
    let published = demo.publish()?;
    bar.finish_and_clear();
    teller.act(&teller.published(&published))?;

    let bar = teller.working("journeys");
    let journeys = demo.journeys()?;
    let scenes = demo.scenes()?;
    let exported = demo.export()?;
    bar.finish_and_clear();
    let state = exported.ledger.state();
    teller.act(&teller.journeys(&journeys, state))?;
    teller.act(&teller.scenes(&scenes, state))?;

    let bar = teller.working("cheats");
    let audits = exported.cheat()?;
    bar.finish_and_clear();
    teller.act(&teller.cheats(&audits))?;
    let next = next(&journeys, &scenes, &exported.places);
    teller.act(&teller.next(&next))?;
    if ctx.json {
        let answer = answer(&published, &journeys, &scenes, &audits, &exported, &next);
        return ctx.answer(&answer, "");
    }
    Ok(())
}

fn fresh_folder() -> Result<PathBuf, Failure> {
    let folder = tempfile::Builder::new().prefix("giftproof-demo-").tempdir();
    let folder = folder.map_err(|error| file_failed(&std::env::temp_dir(), &error))?;
    // It is what the demonstration leaves, to be looked at afterwards.
    Ok(folder.keep())
}

fn random_seed() -> Seed {
    let mut bytes = [0; 32];
    random().fill_bytes(&mut bytes);
    Seed::of_bytes(&bytes)
}

/// Commands that are worth trying next.
struct Next {
    /// A gift that was received.
    received: GiftId,
    /// One that went wrong.
    another_unit: Option<GiftId>,
    ledger: PathBuf,
    bundle: PathBuf,
    forged: PathBuf,
    trust: PathBuf,
}

fn next(journeys: &Journeys, scenes: &[Scene], places: &Places) -> Next {
    let wrong = scenes.iter().find(|scene| scene.word == "another-unit");
    Next {
        received: GiftId::from(&journeys.masks.gift),
        another_unit: wrong.map(|scene| GiftId::from(&scene.gift)),
        ledger: places.ledger.clone(),
        bundle: places.bundle.clone(),
        forged: places.cheats.join("forged.zip"),
        trust: places.trust.clone(),
    }
}

/// Tells in one language; to programs only at the end.
struct Teller<'a> {
    ctx: &'a Context,
}

/// Text that grows by lines.
#[derive(Default)]
struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        let bold = Style::new().bold();
        let _ = writeln!(self.0, "\n{bold}{text}{bold:#}");
    }

    fn item(&mut self, text: &str) {
        let mut bullet = "- ";
        for line in wrapped(text) {
            let _ = writeln!(self.0, "{bullet}{line}");
            bullet = "  ";
        }
    }

    fn below(&mut self, text: &str) {
        let _ = writeln!(self.0, "    {text}");
    }

    fn table(&mut self, rows: &[Vec<String>]) {
        columns(rows).lines().for_each(|row| self.below(row));
    }
}

impl Teller<'_> {
    fn say(&self, key: &str, places: &[(&str, &dyn Display)]) -> String {
        self.ctx.say(&format!("demo.{key}"), places)
    }

    fn act(&self, page: &Page) -> Result<(), Failure> {
        if self.ctx.json { Ok(()) } else { self.ctx.print(&page.0) }
    }

    fn working(&self, what: &str) -> ProgressBar {
        if self.ctx.quiet {
            return ProgressBar::hidden();
        }
        let bar =
            ProgressBar::new_spinner().with_message(self.say(&format!("working-{what}"), &[]));
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        bar
    }

    fn title(&self, dir: &Path) -> Result<(), Failure> {
        let mut page = Page::default();
        page.heading(&self.say("title", &[]));
        page.item(&self.say("folder", &[("dir", &dir.display())]));
        page.item(&self.say("clock", &[]));
        self.act(&page)
    }

    fn published(&self, found: &Published) -> Page {
        let mut page = Page::default();
        page.heading(&self.say("act-1", &[]));
        let counts: [(&str, &dyn Display); 3] = [
            ("lines", &number(found.received_lines)),
            ("mapped", &number(found.mapped_lines)),
            ("gifts", &number(found.gifts)),
        ];
        page.item(&self.say("received", &counts));
        page.item(&self.say("restating", &[("gifts", &found.restating)]));
        let continuation = found.refused.iter().filter(|row| row.is_continuation).count();
        let counts: [(&str, &dyn Display); 2] =
            [("lines", &found.refused.len()), ("continuation", &continuation)];
        page.item(&self.say("refused", &counts));
        let refused = found.refused.iter().map(|row| {
            let mark =
                if row.is_continuation { self.say("continuation", &[]) } else { String::new() };
            vec![row.reference.clone(), row.item.clone(), mark]
        });
        page.table(&refused.collect::<Vec<_>>());
        let counts: [(&str, &dyn Display); 2] =
            [("lines", &found.issued_lines), ("attestations", &found.attestations)];
        page.item(&self.say("issued", &counts));
        page.heading(&self.say("proven", &[]));
        let counts: [(&str, &dyn Display); 3] =
            [("linked", &found.linked), ("gifts", &found.gifts), ("named", &found.named)];
        page.item(&self.say("linked", &counts));
        self.compared(found, &mut page);
        for pair in &found.duplicates {
            let places: [(&str, &dyn Display); 6] = [
                ("one", &pair.donors[0]),
                ("other", &pair.donors[1]),
                ("day", &pair.days[0]),
                ("later", &pair.days[1]),
                ("same", &pair.same),
                ("lines", &pair.lines),
            ];
            page.item(&self.say("duplicate", &places));
        }
        page
    }

    fn compared(&self, found: &Published, page: &mut Page) {
        let compared = &found.compared;
        let places: [(&str, &dyn Display); 5] = [
            ("issued", &compared.issued),
            ("unmatched", &(compared.issued - compared.matched)),
            ("matched", &compared.matched),
            ("exceeded", &compared.exceeded.len()),
            ("without", &found.compared_without_restating.exceeded.len()),
        ];
        page.item(&self.say("compared", &places));
        let rows = compared.exceeded.iter().take(EXCEEDED_SHOWN).map(|pair| {
            let places: [(&str, &dyn Display); 2] =
                [("received", &number(pair.received)), ("issued", &number(pair.issued))];
            vec![format!("{} / {}", pair.item, pair.unit), self.say("exceeded", &places)]
        });
        page.table(&rows.collect::<Vec<_>>());
        page.below(&self.say("compared-note", &[]));
    }

    fn journeys(&self, found: &Journeys, state: &State) -> Page {
        let mut page = Page::default();
        page.heading(&self.say("act-2", &[]));
        let all = found.gifts.len() + found.refused.len();
        page.item(&self.say("table", &[("all", &all), ("gifts", &found.gifts.len())]));
        page.item(&self.say("made", &[]));
        let counts: [(&str, &dyn Display); 3] = [
            ("all", &(found.listed + found.unlisted)),
            ("listed", &found.listed),
            ("unlisted", &found.unlisted),
        ];
        page.item(&self.say("enrolled", &counts));
        let refused = found.refused.iter();
        let refused = refused.map(|(row, item)| self.say("row", &[("row", row), ("item", item)]));
        let refused = refused.collect::<Vec<_>>().join(&self.say("and", &[]));
        page.item(&self.say("rows-refused", &[("rows", &refused)]));
        let rows = found.gifts.iter().map(|journey| self.journey(journey, state));
        page.table(&rows.collect::<Vec<_>>());
        page.item(&self.say("readings", &[]));
        page.item(&self.say("masks", &[]));
        let now = verdict(state, &found.masks.gift);
        let steps =
            [("first", &found.masks.before), ("corrected", &found.masks.corrected), ("end", &now)];
        for (step, verdict) in steps {
            let line = &verdict.lines[0];
            let places: [(&str, &dyn Display); 5] = [
                ("item", &line.item),
                ("donated", &number(line.donated)),
                ("designated", &number(line.designated)),
                ("open", &number(line.donated - line.designated)),
                ("accepted", &number(line.accepted)),
            ];
            page.below(&self.say(&format!("masks-{step}"), &places));
        }
        page
    }

    fn journey(&self, journey: &Journey, state: &State) -> Vec<String> {
        let verdict = verdict(state, &journey.gift);
        let row = self.say("row-number", &[("row", &journey.row)]);
        let item = &verdict.lines[0].item;
        let item = match verdict.lines.len() {
            1 => item.to_string(),
            more => self.say("more-lines", &[("item", item), ("more", &(more - 1))]),
        };
        vec![row, journey.donor.clone(), item, self.outcome(&verdict)]
    }

    fn scenes(&self, scenes: &[Scene], state: &State) -> Page {
        let mut page = Page::default();
        page.heading(&self.say("wrong", &[]));
        page.item(&self.say("invented", &[]));
        for scene in scenes {
            page.item(&self.say(&format!("scene.{}", scene.word), &[]));
            let verdict = verdict(state, &scene.gift);
            page.below(&self.outcome(&verdict));
            let weaker =
                verdict.proven.iter().find_map(|proven| weaker_than_vouched(&proven.proof));
            if let Some(proof) = weaker {
                page.below(&self.ctx.say(&format!("proof.{proof}"), &[]));
            }
        }
        page
    }

    /// Headline and flags, but for the flag that all gifts of the demonstration have.
    fn outcome(&self, verdict: &Verdict) -> String {
        let colour = match verdict.headline {
            Headline::ReceivedInFull => AnsiColor::Green,
            Headline::LedgerFails | Headline::Lost => AnsiColor::Red,
            _ => AnsiColor::Yellow,
        };
        let style = colour.on_default();
        let headline = self.ctx.say(&format!("headline.{}", verdict.headline.word()), &[]);
        let mut flags: Vec<String> = Vec::new();
        for flag in verdict.flags.iter().filter(|flag| **flag != Flag::Unwitnessed) {
            let name = self.ctx.say(&format!("flag-name.{}", flag.word()), &[]);
            if !flags.contains(&name) {
                flags.push(name);
            }
        }
        let flags = flags.join(&self.say("comma", &[]));
        let flags = if flags.is_empty() { flags } else { self.say("flags", &[("flags", &flags)]) };
        format!("{style}{headline}{style:#}{flags}")
    }

    fn cheats(&self, audits: &[Audited]) -> Page {
        let mut page = Page::default();
        page.heading(&self.say("act-3", &[]));
        page.item(&self.say("operator", &[]));
        for audited in audits {
            let changed = audited.changed.unwrap_or_default();
            page.item(&self.say(&format!("cheat.{}", audited.word), &[("entry", &changed)]));
            let report = &audited.report;
            let clean = report.outcome() == Outcome::Clean;
            let style = if clean { AnsiColor::Green } else { AnsiColor::Red }.on_default();
            let places: [(&str, &dyn Display); 3] = [
                ("exit", &report.outcome().exit_code()),
                ("entries", &number(report.entries)),
                ("signatures", &number(report.signatures)),
            ];
            let ended = self.say(if clean { "clean" } else { "found" }, &places);
            page.below(&format!("{style}{ended}{style:#}"));
            for failure in report.failures.first().iter().take(FINDINGS_SHOWN) {
                let meaning = Failure::from(&failure.violation).message(self.ctx.language);
                let at = match failure.at {
                    Spot::Entry(index) => self.say("at-entry", &[("entry", &index)]),
                    Spot::File(file) => self.say("at-file", &[("file", &file)]),
                };
                page.below(&format!("{at}: {} [{}]", meaning, failure.violation.code));
            }
            let more = report.failures.count().saturating_sub(FINDINGS_SHOWN as u64);
            if more > 0 {
                page.below(&self.say("more-findings", &[("count", &more)]));
            }
        }
        page
    }

    fn next(&self, next: &Next) -> Page {
        let mut page = Page::default();
        page.heading(&self.say("next", &[]));
        // As the program was called: a newcomer may not have it in the path.
        let program = std::env::args().next().unwrap_or_else(|| "giftproof".to_owned());
        let ledger = quoted(&next.ledger);
        let mut lines =
            vec![("lookup", format!("{program} lookup {} --ledger {ledger}", next.received))];
        if let Some(gift) = next.another_unit {
            lines.push(("lookup-wrong", format!("{program} lookup {gift} --ledger {ledger}")));
        }
        let audit = |bundle: &Path| {
            format!("{program} audit {} --trust {}", quoted(bundle), quoted(&next.trust))
        };
        lines.push(("list", format!("{program} list gifts --ledger {ledger}")));
        lines.push(("audit", audit(&next.bundle)));
        lines.push(("audit-forged", audit(&next.forged)));
        for (key, line) in lines {
            page.item(&self.say(&format!("next-{key}"), &[]));
            page.below(&line);
        }
        page
    }
}

/// The word of a proof that falls short of a vouched key, where the headline does not say so.
fn weaker_than_vouched(proof: &Proof) -> Option<&'static str> {
    match proof {
        Proof::Recovered => Some("recovered"),
        Proof::Provisional => Some("provisional"),
        Proof::Paper { .. } => Some("paper-nobody"),
        Proof::ClaimedByOthers => Some("claimed-by-others"),
        Proof::Vouched
        | Proof::RecipientAlone
        | Proof::OtherUnit
        | Proof::ArrivedUnfit
        | Proof::Nothing => None,
    }
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |character: char| character.is_alphanumeric() || "/._-+:@".contains(character);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn verdict(state: &State, gift: &EventHash) -> Verdict {
    let gift = state.gifts.get(gift).expect("it was given in this demonstration");
    Verdict::of(state, &gift, AsOf::last_entry(state))
}

fn answer(
    published: &Published,
    journeys: &Journeys,
    scenes: &[Scene],
    audits: &[Audited],
    exported: &Exported,
    next: &Next,
) -> Value {
    let state = exported.ledger.state();
    let told = |gift: &EventHash| {
        let verdict = verdict(state, gift);
        let flags: Vec<&str> = verdict.flags.iter().map(Flag::word).collect();
        json!({ "gift": verdict.gift, "headline": verdict.headline, "flags": flags })
    };
    let with = |mut value: Value, key: &str, more: Value| {
        value[key] = more;
        value
    };
    let journey = |journey: &Journey| with(told(&journey.gift), "row", json!(journey.row));
    let scene = |scene: &Scene| with(told(&scene.gift), "scene", json!(scene.word));
    let audit = |audited: &Audited| {
        json!({
            "bundle": audited.bundle,
            "changed": audited.changed,
            "exit": audited.report.outcome().exit_code(),
            "failures": audited.report.failures.first(),
        })
    };
    json!({
        "ledger": next.ledger,
        "bundle": next.bundle,
        "trust": next.trust,
        "published": {
            "received-lines": published.received_lines,
            "mapped-lines": published.mapped_lines,
            "gifts": published.gifts,
            "restating": published.restating,
            "linked": published.linked,
            "named": published.named,
            "refused": published.refused.iter().map(|row| &row.reference).collect::<Vec<_>>(),
            "issued-lines": published.issued_lines,
            "attestations": published.attestations,
            "issued-pairs": published.compared.issued,
            "matched": published.compared.matched,
            "exceeded": published.compared.exceeded.len(),
            "exceeded-without-restating": published.compared_without_restating.exceeded.len(),
            "duplicates": published.duplicates.len(),
        },
        "journeys": journeys.gifts.iter().map(journey).collect::<Vec<_>>(),
        "scenes": scenes.iter().map(scene).collect::<Vec<_>>(),
        "audits": audits.iter().map(audit).collect::<Vec<_>>(),
    })
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::NotEmpty(path) => Self::new("demo/not-empty").with("path", path.display()),
            DemoError::Writer(error) => error.into(),
            DemoError::Refused(refused) => refused.into(),
            DemoError::Ledger(error) => error.into(),
            DemoError::Rehearsal(violation) => violation.into(),
            DemoError::Malformed(malformed) => malformed.into(),
            other => Self::new("demo/failed").with("error", &other).or_say(&other),
        }
    }
}
