//! What people type: texts, words of the spec, and short notations for portions, documents and
//! reasons.

use std::fs::File;
use std::io::{self, Read as _};
use std::num::{IntErrorKind, ParseIntError};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::failure::{Failure, file_failed};
use crate::model::encoding::Malformed;
use crate::model::event::{Document, DocumentKind, Lot, Part, Reason, ReasonCode, Value};
use crate::model::hash::Digest32;
use crate::model::ident::{GiftId, Handle};
use crate::model::text::Text;

/// Text as typed, in the normal form that the ledger wants.
///
/// # Errors
/// As [`Text::new`].
pub fn text<const MAX: usize>(typed: &str) -> Result<Text<MAX>, Malformed> {
    Text::new(typed.nfc().collect::<String>())
}

/// What is typed to be looked for, in the normal form in which the ledger keeps texts.
///
/// # Errors
/// None: whatever is typed can be looked for.
pub fn composed(typed: &str) -> Result<String, std::convert::Infallible> {
    Ok(typed.nfc().collect())
}

/// A parser of one of the spec's choices that lists them in the help.
macro_rules! choice {
    ($name:ident) => {{
        use clap::builder::TypedValueParser as _;
        let words = <$name>::ALL.iter().map(|choice| choice.word());
        clap::builder::PossibleValuesParser::new(words).try_map(|word| word.parse::<$name>())
    }};
}
pub(super) use choice;

/// `gift1...` or `gift1...:2`: a gift, or one of its lines.
#[derive(Clone, Debug)]
pub struct GiftLine {
    /// The gift.
    pub gift: GiftId,
    /// The line; none for all.
    pub line: Option<u16>,
}

impl FromStr for GiftLine {
    type Err = Malformed;

    fn from_str(typed: &str) -> Result<Self, Malformed> {
        match typed.split_once(':') {
            None => Ok(Self { gift: typed.parse()?, line: None }),
            Some((gift, line)) => {
                let line = line.parse().map_err(|_| Malformed::new("line/number"))?;
                Ok(Self { gift: gift.parse()?, line: Some(line) })
            }
        }
    }
}

/// `gift1...:2=500`: so much of a gift's line. The quantity may be given elsewhere.
#[derive(Clone, Debug)]
pub struct GiftPortion {
    /// Which goods.
    pub of: GiftLine,
    /// How many.
    pub quantity: Option<u64>,
}

impl FromStr for GiftPortion {
    type Err = Malformed;

    fn from_str(typed: &str) -> Result<Self, Malformed> {
        match typed.split_once('=') {
            None => Ok(Self { of: typed.parse()?, quantity: None }),
            Some((of, quantity)) => {
                Ok(Self { of: of.parse()?, quantity: Some(parse_quantity(quantity)?) })
            }
        }
    }
}

/// A whole number; commas and underscores between the digits are for people.
///
/// # Errors
/// `quantity/malformed`, `quantity/zero`, `quantity/too-large`.
pub fn parse_quantity(typed: &str) -> Result<u64, Malformed> {
    let digits: String = typed.chars().filter(|c| !matches!(c, ',' | '_' | '，')).collect();
    // What is less than nothing is answered like nothing.
    if digits.parse::<i64>().is_ok_and(|number| number < 0) {
        return Err(Malformed::new("quantity/zero"));
    }
    digits.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => Malformed::new("quantity/too-large"),
        _ => Malformed::new("quantity/malformed"),
    })
}

/// `hospital-a=16000`, or `hospital-a` for all of the line.
#[derive(Clone, Debug)]
pub struct ShareWord {
    /// The final recipient.
    pub recipient: Handle,
    /// How many; none for all that is left.
    pub quantity: Option<u64>,
}

impl FromStr for ShareWord {
    type Err = Malformed;

    fn from_str(typed: &str) -> Result<Self, Malformed> {
        match typed.split_once('=') {
            None => Ok(Self { recipient: typed.parse()?, quantity: None }),
            Some((recipient, quantity)) => Ok(Self {
                recipient: recipient.parse()?,
                quantity: Some(parse_quantity(quantity)?),
            }),
        }
    }
}

/// `waybill:SF123` or `paper-receipt:7:scan.pdf`: a document, hashed where its file is given.
#[derive(Clone, Debug)]
pub struct DocumentWord {
    kind: DocumentKind,
    number: Text<80>,
    file: Option<PathBuf>,
}

impl FromStr for DocumentWord {
    type Err = Malformed;

    fn from_str(typed: &str) -> Result<Self, Malformed> {
        let (kind, rest) = typed.split_once(':').ok_or(Malformed::new("document/malformed"))?;
        let (number, file) = match rest.split_once(':') {
            None => (rest, None),
            Some((number, file)) => (number, Some(PathBuf::from(file))),
        };
        let kind = kind.parse().map_err(|_| Malformed::new("document/kind"))?;
        Ok(Self { kind, number: text(number)?, file })
    }
}

/// SHA-256 of a file, however long: a film is evidence, too.
fn hash_file(path: &Path) -> io::Result<Digest32> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Digest32::from_bytes(hash.finalize().into())),
            len => hash.update(&chunk[..len]),
        }
    }
}

impl DocumentWord {
    /// The document; reads and hashes the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn document(&self) -> Result<Document, Failure> {
        let hash = |path: &PathBuf| hash_file(path).map_err(|e| file_failed(path, &e));
        let sha256 = self.file.as_ref().map(hash).transpose()?;
        Ok(Document { kind: self.kind, number: self.number.clone(), sha256 })
    }
}

/// `packing:cartons were wet`: a reason's code, and words.
///
/// # Errors
/// `reason/code`, or as [`text`].
pub fn reason(typed: &str) -> Result<Reason, Malformed> {
    let (code, words) = typed.split_once(':').unwrap_or((typed, ""));
    let code: ReasonCode = code.parse().map_err(|_| Malformed::new("reason/code"))?;
    Ok(Reason { code, text: text(words)? })
}

/// `L-7` or `L-7@2027-06-30`: a lot, and its expiry.
///
/// # Errors
/// As [`text`] and a date.
pub fn lot(typed: &str) -> Result<Lot, Malformed> {
    match typed.split_once('@') {
        None => Ok(Lot { number: text(typed)?, expires_on: None }),
        Some((number, day)) => Ok(Lot { number: text(number)?, expires_on: Some(day.parse()?) }),
    }
}

/// `2000 pieces`: what one unit holds.
///
/// # Errors
/// `quantity/malformed`, or as [`text`].
pub fn pack(typed: &str) -> Result<crate::model::event::Pack, Malformed> {
    let typed = typed.trim();
    let end = typed.find(|c: char| !c.is_ascii_digit()).unwrap_or(typed.len());
    let (content, unit) = typed.split_at(end);
    Ok(crate::model::event::Pack { content: parse_quantity(content)?, unit: text(unit.trim())? })
}

/// `1/3`: which part of a large gift this is.
///
/// # Errors
/// `gift/part`.
pub fn part(typed: &str) -> Result<Part, Malformed> {
    let malformed = Malformed::new("gift/part");
    let (number, of) = typed.split_once('/').ok_or(malformed)?;
    let read = |digits: &str| digits.parse().map_err(|_| malformed);
    Ok(Part { number: read(number)?, of: read(of)? })
}

/// `12000.50 CNY invoice`: a sum of money and what it rests on.
///
/// # Errors
/// `value/malformed`.
pub fn value(typed: &str) -> Result<Value, Malformed> {
    let malformed = Malformed::new("value/malformed");
    let mut parts = typed.split_whitespace();
    let (Some(sum), Some(currency), Some(basis), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed);
    };
    let (whole, cents) = sum.split_once('.').unwrap_or((sum, "00"));
    if cents.len() != 2 {
        return Err(malformed);
    }
    let cents: u64 = cents.parse().map_err(|_| malformed)?;
    let whole = parse_quantity(whole)?;
    let cents = whole.checked_mul(100).and_then(|w| w.checked_add(cents)).ok_or(malformed)?;
    let basis = basis.parse().map_err(|_| malformed)?;
    Ok(Value { cents, currency: text(currency)?, basis })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_are_read_as_they_are_written() {
        let share: ShareWord = "hospital-a=16,000".parse().unwrap();
        assert_eq!((share.recipient.as_str(), share.quantity), ("hospital-a", Some(16_000)));
        let pack = pack("2000只").unwrap();
        assert_eq!((pack.content, pack.unit.as_str()), (2000, "只"));
        let money = value("12000.50 CNY invoice").unwrap();
        assert_eq!((money.cents, money.currency.as_str()), (1_200_050, "CNY"));
        assert_eq!(value("1.5 CNY invoice").unwrap_err().code, "value/malformed");
        let lot = lot("L-7@2027-06-30").unwrap();
        assert_eq!(lot.expires_on.unwrap().to_string(), "2027-06-30");
        let why = reason("packing:two cartons: wet").unwrap();
        assert_eq!(why.text.as_str(), "two cartons: wet");
        let document: DocumentWord = "waybill:SF123".parse().unwrap();
        assert_eq!(document.document().unwrap().number.as_str(), "SF123");
        let second = part("2/3").unwrap();
        assert_eq!((second.number, second.of), (2, 3));
        let quantity = |typed| parse_quantity(typed).unwrap_err().code;
        assert_eq!(quantity("18446744073709551616"), "quantity/too-large");
        assert_eq!(quantity("-5"), "quantity/zero");
        assert_eq!(quantity("5.5"), "quantity/malformed");
        assert_eq!("gift1:x".parse::<GiftLine>().unwrap_err().code, "line/number");
    }

    #[test]
    fn texts_are_brought_into_normal_form() {
        // U+0065 U+0301 is U+00E9 in form C (UAX 15).
        assert_eq!(text::<8>("e\u{301}").unwrap().as_str(), "\u{e9}");
    }
}
