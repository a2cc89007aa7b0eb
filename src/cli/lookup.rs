//! `lookup`: the donor's command. The first line says where the gift is and how much was accepted.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::book::Book;
use super::context::Context;
use super::failure::Failure;
use super::gift_page::{Step, journey, page};
use super::init::check_output;
use super::phrases::{Phrases, number, wrapped};
use super::prove::write;
use super::witnesses::ask_if_missing;
use super::{proof, qr, words};
use crate::model::event::Document;
use crate::model::ident::GiftId;
use crate::model::proof_file::About;
use crate::model::state::Gift;
use crate::model::verdict::{AsOf, Headline, Verdict};

/// What `lookup` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[arg(value_name = "GIFT", required_unless_present = "document", conflicts_with = "document")]
    gift: Option<GiftId>,
    #[arg(long, value_name = "NUMBER", value_parser = words::composed)]
    document: Option<String>,
    #[arg(long, value_name = "HEADLINE", value_parser = expectations())]
    expect: Option<String>,
    #[arg(long)]
    qr: bool,
    #[arg(long, value_name = "FILE", requires = "gift")]
    qr_svg: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires = "proof")]
    statement: Vec<PathBuf>,
}

/// The answer for programs.
#[derive(Serialize)]
struct Answer {
    verdict: Verdict,
    checkpoint: Checkpoint,
    level: &'static str,
    journey: Vec<Step>,
}

#[derive(Serialize)]
struct Checkpoint {
    origin: String,
    size: u64,
    root: String,
}

/// Looks up a gift by its id, or gifts by the number of a document.
///
/// # Errors
/// `gift/unknown`, `gift-id/mistyped`; `expectation/not-met` with exit code 3.
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    for path in args.qr_svg.iter().chain(&args.proof) {
        check_output(path)?;
    }
    let ledger = Book::open(ctx)?;
    let gifts = find(args, &ledger);
    if let Some(path) = &args.proof {
        let about = match (&gifts, &args.gift) {
            (Ok(gifts), _) => match gifts[..] {
                [ref gift] => About::Gift(gift.id),
                _ => return Err(Failure::refused("lookup/several").with("count", gifts.len())),
            },
            // That there is none can be proven, too.
            (Err(_), Some(id)) => About::NoGift(*id),
            (Err(_), None) => return gifts.map(|_| ()),
        };
        if let Some(own) = ledger.own() {
            ask_if_missing(own, ctx);
        }
        proof::write(ctx, &ledger, about, path, &args.statement)?;
    }
    let gifts = gifts?;
    let mut answers = Vec::new();
    let mut pages = Vec::new();
    let as_of = AsOf::newest(ledger.state(), &ledger.cosigned());
    for gift in &gifts {
        let verdict = Verdict::of(ledger.state(), gift, as_of);
        let journey = journey(ledger.state(), gift, |index| ledger.recorded(index))?;
        let words = Phrases { language: ctx.language, state: ledger.state() };
        let mut page = page(&words, gift, &verdict, &journey) + &footing(&words, &ledger, &verdict);
        if args.qr {
            page += &format!("\n{}", qr::terminal(&verdict.gift));
        }
        if let Some(path) = &args.qr_svg {
            write(path, qr::image(&verdict.gift).as_bytes())?;
        }
        pages.push(page);
        let checkpoint = ledger.checkpoint().checkpoint();
        let checkpoint = Checkpoint {
            origin: checkpoint.origin.to_string(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
        };
        answers.push(Answer { verdict, checkpoint, level: "included", journey });
    }
    let mut text = String::new();
    if gifts.len() > 1 {
        text = ctx.say("lookup.several", &[("count", &gifts.len())]) + "\n\n";
    }
    text.push_str(&pages.join("\n"));
    match answers.as_slice() {
        [answer] => ctx.answer(answer, &text)?,
        several => ctx.answer(&several, &text)?,
    }
    let expected = args.expect.as_deref();
    if answers.iter().all(|answer| proof::is_expected(answer.verdict.headline, expected)) {
        return Ok(());
    }
    let expected = expected.unwrap_or_default();
    let word = if expected == "received" { Headline::ReceivedInFull.word() } else { expected };
    let expected = ctx.say(&format!("headline.{word}"), &[]);
    Err(Failure::not_as_expected("lookup/not-as-expected").with("expected", expected))
}

fn find(args: &Args, ledger: &Book) -> Result<Vec<Arc<Gift>>, Failure> {
    let state = ledger.state();
    let found: Vec<Arc<Gift>> = match (&args.gift, &args.document) {
        (Some(id), _) => state.gift_by_id(id).into_iter().collect(),
        (None, Some(number)) => {
            let has =
                |documents: &[Document]| documents.iter().any(|d| d.number.as_str() == number);
            let carried = |gift: &Gift| {
                gift.shipments.iter().filter_map(|id| state.shipments.get(id)).any(|shipment| {
                    shipment.waybill.as_str() == number || shipment.id.number.as_str() == number
                })
            };
            state.gifts.iter().filter(|gift| has(&gift.documents) || carried(gift)).collect()
        }
        (None, None) => Vec::new(),
    };
    if found.is_empty() { Err(Failure::refused("lookup/not-found")) } else { Ok(found) }
}

/// How far the answer can be trusted.
fn footing(words: &Phrases, ledger: &Book, verdict: &Verdict) -> String {
    let checkpoint = ledger.checkpoint().checkpoint();
    let root = checkpoint.root.to_string();
    let level = words.say(
        "lookup.level",
        &[
            ("day", &verdict.as_of.day),
            ("entries", &number(checkpoint.size)),
            ("root", &&root[..16]),
        ],
    );
    let texts = [level, words.say("lookup.limit", &[])];
    texts.iter().map(|text| format!("\n{}\n", wrapped(text).join("\n"))).collect()
}

/// What `--expect` may name.
fn expectations() -> clap::builder::PossibleValuesParser {
    let headlines = Headline::ALL.iter().map(|headline| headline.word());
    std::iter::once("received").chain(headlines).collect::<Vec<_>>().into()
}
