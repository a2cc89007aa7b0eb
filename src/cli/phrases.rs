//! Facts of the ledger as people read them: names with handles, amounts, places, flags.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::locales::Language;
use crate::model::event::Condition;
use crate::model::ident::Handle;
use crate::model::state::{Reached, Standing, State, Whereabouts};
use crate::model::verdict::{Flag, Headline, Holding, Missing, Proof, Verdict};

/// Says things about one ledger in one language.
pub struct Phrases<'a> {
    /// The language.
    pub language: Language,
    /// The ledger.
    pub state: &'a State,
}

/// How wide paragraphs are, in cells of a terminal.
const WIDTH: usize = 94;

/// Breaks a text into lines of at most [`WIDTH`] cells: at blanks, and before wide characters but
/// for those that close something.
pub fn wrapped(text: &str) -> Vec<String> {
    let may_break = |before: char, after: char| {
        before == ' ' || (after.width() == Some(2) && !"，。；：、）”？".contains(after))
    };
    let mut lines = vec![String::new()];
    let mut piece = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        piece.push(character);
        let ends = characters.peek().is_none_or(|after| may_break(character, *after));
        if ends {
            let line = lines.last_mut().expect("there is a first line");
            if !line.is_empty() && line.width() + piece.trim_end().width() > WIDTH {
                line.truncate(line.trim_end().len());
                lines.push(std::mem::take(&mut piece));
            } else {
                line.push_str(&piece);
                piece.clear();
            }
        }
    }
    lines
}

/// A whole number with its thousands set apart.
pub fn number(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text in this style; the streams of the command line strip it where it does not belong.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The style of a heading.
pub const HEADING: Style = Style::new().bold();

/// How a headline looks: good, worth a look, or bad.
pub fn headline_style(headline: Headline) -> Style {
    let colour = match headline {
        Headline::ReceivedInFull => AnsiColor::Green,
        Headline::LedgerFails | Headline::Lost => AnsiColor::Red,
        Headline::ReachedAnotherUnit
        | Headline::ReceivedWithDifferences
        | Headline::RecordedByRecipientAlone
        | Headline::ClaimedNotSigned
        | Headline::DisposedOf => AnsiColor::Yellow,
        _ => AnsiColor::Cyan,
    };
    colour.on_default().bold()
}

impl Phrases<'_> {
    /// The text with this key, its places filled.
    pub fn say(&self, key: &str, places: &[(&str, &dyn std::fmt::Display)]) -> String {
        self.language.say(key, places)
    }

    /// A party: its legal name, never without its handle.
    pub fn who(&self, handle: &Handle) -> String {
        match self.state.parties.name(handle).filter(|name| *name != handle.as_str()) {
            Some(name) => format!("{name} ({handle})"),
            None => handle.to_string(),
        }
    }

    fn maybe(&self, handle: Option<&Handle>) -> String {
        handle.map_or_else(|| self.say("flag.somebody", &[]), |handle| self.who(handle))
    }

    /// The first line of an answer: headline and quantities.
    pub fn headline(&self, verdict: &Verdict) -> String {
        let headline = self.say(&format!("headline.{}", verdict.headline.word()), &[]);
        let quantities = match &verdict.total {
            Some(total) => self.say(
                "headline.of",
                &[
                    ("accepted", &number(total.accepted)),
                    ("donated", &number(total.donated)),
                    ("unit", &total.unit),
                ],
            ),
            None => {
                let full =
                    |line: &&crate::model::verdict::LineVerdict| line.accepted >= line.donated;
                let accepted = verdict.lines.iter().filter(full).count();
                let lines = verdict.lines.len();
                self.say("headline.of-lines", &[("accepted", &accepted), ("lines", &lines)])
            }
        };
        let styled = styled(headline_style(verdict.headline), &headline);
        let lowered = verdict.flags.iter().filter_map(|flag| match flag {
            Flag::Lowered { line, from, to, by_alone, .. } => {
                let unit = verdict.lines.iter().find(|l| l.number == *line).map(|l| &l.unit);
                let unit = unit.map(ToString::to_string).unwrap_or_default();
                let (from, to) = (number(*from), number(*to));
                Some(match by_alone {
                    Some(who) => self.say(
                        "headline.lowered",
                        &[("from", &from), ("to", &to), ("unit", &unit), ("who", &self.who(who))],
                    ),
                    None => self
                        .say("headline.changed", &[("from", &from), ("to", &to), ("unit", &unit)]),
                })
            }
            _ => None,
        });
        let (colon, semicolon) = match self.language {
            Language::English => (": ", "; "),
            Language::Chinese => ("：", "；"),
        };
        let mut facts = vec![quantities];
        facts.extend(lowered);
        format!("{styled}{colon}{}", facts.join(semicolon))
    }

    /// Where some goods are.
    pub fn place(&self, holding: &Holding) -> String {
        let recipient = holding.meant_for.as_ref().map(|to| self.who(to)).unwrap_or_default();
        let since = holding.since.map(|day| day.to_string()).unwrap_or_default();
        let answers = self.maybe(holding.answered_by.as_ref());
        match &holding.place {
            Whereabouts::AtRest { holder, condition } => {
                let holder = self.who(holder);
                let key = match (condition, holding.reached) {
                    (Condition::Damaged, _) => "place.damaged",
                    (Condition::OnHold, _) => "place.on-hold",
                    (_, Some(Reached::Recipient(_))) => "place.kept-accepted",
                    (_, Some(Reached::RecordedAlone)) => "place.kept-alone",
                    (_, Some(Reached::OtherUnit)) => "place.kept-other",
                    (_, None) if holding.meant_for.is_some() => {
                        return self.say(
                            "place.good-for",
                            &[("holder", &holder), ("recipient", &recipient)],
                        );
                    }
                    (_, None) => "place.good-nobody",
                };
                self.say(key, &[("holder", &holder)])
            }
            Whereabouts::Inspected { holder, .. } => {
                self.say("place.pending", &[("holder", &self.who(holder))])
            }
            Whereabouts::Moving { shipment, returning } => {
                let taker = self.state.shipments.get(shipment).map(|s| self.who(&s.taker));
                let key = if *returning { "place.returning" } else { "place.moving" };
                self.say(
                    key,
                    &[
                        ("taker", &taker.unwrap_or_default()),
                        ("since", &since),
                        ("answers", &answers),
                        ("shipment", shipment),
                    ],
                )
            }
            Whereabouts::Used { by } => self.say("place.used", &[("holder", &self.who(by))]),
            Whereabouts::Disposed { by, fate } => {
                self.say(&format!("place.{fate}"), &[("holder", &self.who(by))])
            }
            Whereabouts::Unaccounted { giver, taker: None } => {
                self.say("place.unaccounted", &[("holder", &self.who(giver))])
            }
            Whereabouts::Unaccounted { giver, taker: Some(taker) } => self.say(
                "place.unaccounted-between",
                &[("holder", &self.who(giver)), ("taker", &self.who(taker))],
            ),
            Whereabouts::Opened { by } => self.say("place.opened", &[("holder", &self.who(by))]),
            Whereabouts::Announced => self.say("place.announced", &[]),
            Whereabouts::Withdrawn => self.say("place.withdrawn", &[]),
        }
    }

    /// How well something is proven.
    pub fn proof(&self, proof: &Proof) -> String {
        match proof {
            Proof::Vouched => {
                self.say("proof.vouched", &[("threshold", &self.state.parties.threshold)])
            }
            Proof::Recovered => self.say("proof.recovered", &[]),
            Proof::Provisional => self.say("proof.provisional", &[]),
            Proof::RecipientAlone => self.say("proof.recipient-alone", &[]),
            Proof::OtherUnit => self.say("proof.other-unit", &[]),
            Proof::ArrivedUnfit => self.say("proof.arrived-unfit", &[]),
            Proof::Paper { held_by: Some(holder) } => {
                self.say("proof.paper", &[("held-by", &self.who(holder))])
            }
            Proof::Paper { held_by: None } => self.say("proof.paper-nobody", &[]),
            Proof::ClaimedByOthers => self.say("proof.claimed-by-others", &[]),
            Proof::Nothing => self.say("proof.nothing", &[]),
        }
    }

    /// What deserves attention.
    pub fn flag(&self, flag: &Flag) -> String {
        let quantity = |key: &str, quantity: &u64| {
            self.say(&format!("flag.{key}"), &[("quantity", &number(*quantity))])
        };
        match flag {
            Flag::Late { clock, days, index } => {
                let index = index.map(|index| index.to_string()).unwrap_or_default();
                let key = format!("flag.late-{}", clock.word());
                self.say(&key, &[("days", days), ("index", &index)])
            }
            Flag::Overdue { clock, days } => {
                self.say(&format!("flag.overdue-{}", clock.word()), &[("days", days)])
            }
            Flag::Damaged { quantity: q }
            | Flag::Short { quantity: q }
            | Flag::Rejected { quantity: q }
            | Flag::Surplus { quantity: q }
            | Flag::OnHold { quantity: q }
            | Flag::RecordedByRecipientAlone { quantity: q } => quantity(flag.word(), q),
            Flag::ChangedWithConsent { index, consent } => {
                let consent = self.say(&format!("consent.{consent}"), &[]);
                self.say("flag.changed-with-consent", &[("consent", &consent), ("index", index)])
            }
            Flag::ChangedWithoutConsent { index } => {
                self.say("flag.changed-without-consent", &[("index", index)])
            }
            Flag::Lowered { index, line, from, to, by_alone } => {
                let (from, to) = (number(*from), number(*to));
                match by_alone {
                    Some(who) => self.say(
                        "flag.lowered",
                        &[
                            ("line", line),
                            ("from", &from),
                            ("to", &to),
                            ("who", &self.who(who)),
                            ("index", index),
                        ],
                    ),
                    None => self.say(
                        "flag.changed-quantity",
                        &[("line", line), ("from", &from), ("to", &to), ("index", index)],
                    ),
                }
            }
            Flag::Corrected { target, index } => {
                self.say("flag.corrected", &[("target", target), ("index", index)])
            }
            Flag::Disputed { by, claim, answered, closed, .. } => {
                let key = match (closed, answered) {
                    (true, _) => "flag.disputed-closed",
                    (false, true) => "flag.disputed-answered",
                    (false, false) => "flag.disputed-open",
                };
                let claim = self.say(&format!("claim.{claim}"), &[]);
                self.say(key, &[("who", &self.maybe(by.as_ref())), ("claim", &claim)])
            }
            Flag::Recalled { number, by, item, lot } if lot.is_empty() => self.say(
                "flag.recalled-every-lot",
                &[("who", &self.who(by)), ("item", item), ("number", number)],
            ),
            Flag::Recalled { number, by, item, lot } => self.say(
                "flag.recalled",
                &[("who", &self.who(by)), ("item", item), ("lot", lot), ("number", number)],
            ),
            Flag::SuspectedDuplicate { restates } => {
                self.say("flag.suspected-duplicate", &[("restates", restates)])
            }
            Flag::DonorOnlyRecorded => self.say("flag.donor-only-recorded", &[]),
            Flag::SlipNotTakenOver { issuer } => {
                self.say("flag.slip-not-taken-over", &[("who", &self.maybe(issuer.as_ref()))])
            }
            Flag::KeyCompromised { index, since, .. } => {
                self.say("flag.key-compromised", &[("index", index), ("since", since)])
            }
            Flag::UnsupportedReceipt { index } => {
                self.say("flag.unsupported-receipt", &[("index", index)])
            }
            Flag::ReceiptBeforeDelivery { index, shipment } => self
                .say("flag.receipt-before-delivery", &[("index", index), ("shipment", shipment)]),
            Flag::Unwitnessed => self.say("flag.unwitnessed", &[]),
        }
    }

    /// What is missing.
    pub fn missing(&self, missing: &Missing) -> String {
        match missing {
            Missing::DonorSignature => self.say("missing.donor-signature", &[]),
            Missing::Designation { quantity } => {
                self.say("missing.designation", &[("quantity", &number(*quantity))])
            }
            Missing::Dispatch { holder } => {
                self.say("missing.dispatch", &[("holder", &self.who(holder))])
            }
            Missing::Receipt { shipment, taker } => {
                self.say("missing.receipt", &[("shipment", shipment), ("taker", &self.who(taker))])
            }
            Missing::Inspection { holder } => {
                self.say("missing.inspection", &[("holder", &self.who(holder))])
            }
            Missing::Vouching { party } => {
                self.say("missing.vouching", &[("party", &self.who(party))])
            }
            Missing::Explanation { quantity } => {
                self.say("missing.explanation", &[("quantity", &number(*quantity))])
            }
            Missing::Settlement { dispute } => {
                self.say("missing.settlement", &[("dispute", dispute)])
            }
        }
    }

    /// How well a party's signature was vouched for, in a word.
    pub fn standing(&self, standing: Standing) -> String {
        let word = match standing {
            Standing::Vouched => "vouched",
            Standing::Recovered => "recovered",
            Standing::Provisional => "provisional",
        };
        self.say(&format!("standing.{word}"), &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks_and_between_chinese_characters() {
        let english = "four ".repeat(40);
        let chinese = "口罩，".repeat(40);
        for text in [english.trim_end(), chinese.as_str()] {
            let lines = wrapped(text);
            assert!(lines.len() > 1 && lines.iter().all(|line| line.width() <= WIDTH), "{lines:?}");
            assert!(lines.iter().all(|line| !line.starts_with('，') && !line.starts_with(' ')));
            let kept = |text: &str| text.replace(' ', "");
            assert_eq!(kept(&lines.concat()), kept(text));
        }
        assert_eq!(wrapped("short"), ["short"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        let cases: [(u64, &str); 5] = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (36_000, "36,000"),
            (1_234_567, "1,234,567"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
