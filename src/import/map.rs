//! Column maps: which columns of a list make gifts, lines, shipments and dates.
//!
//! A map is a small TOML file. Its values are templates: text with places such as `{item}` that
//! the columns fill, or `{notice|restated}`, where the cell is looked up in a table of the map.
//! An empty result means "not stated". `fixtures/wuhan-2020` and `fixtures/scms-deliveries` hold
//! maps of real lists.

use std::collections::HashMap;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use unicode_normalization::UnicodeNormalization;

use super::plan::PlannedParty;
use super::table::{Row, Table};
use crate::model::encoding::{List, Malformed};
use crate::model::event::{
    DocumentKind, EvidenceKind, Particulars, PartyKind, Purpose, Role, ValueBasis,
};
use crate::model::hash::{Digest32, document_hash};
use crate::model::ident::Handle;
use crate::model::text::Text;

/// Tables of a map: name to cell to value.
pub(super) type Lookups = HashMap<String, HashMap<String, String>>;

/// A column map.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// What the list is, in words.
    #[serde(deserialize_with = "word")]
    pub about: Text<2000>,
    /// How the list itself names a row.
    pub reference: Template,
    /// Tables to look cells up in.
    #[serde(default)]
    pub tables: Lookups,
    /// Other lists that hold more about the same rows.
    #[serde(default)]
    pub join: Vec<Join>,
    /// Parties that sign; the first also attests which list was imported.
    pub party: Vec<PartyMap>,
    /// How final recipients are made from rows.
    pub recipient: Option<RecipientMap>,
    /// What is one gift.
    pub gift: Option<GiftMap>,
    /// What is a line of it.
    pub line: Option<LineMap>,
    /// What is one shipment.
    pub shipment: Option<ShipmentMap>,
    /// For lists whose rows are linked to no gift: what is one publication.
    pub publication: Option<PublicationMap>,
    /// The map's own text.
    #[serde(skip)]
    source: String,
}

/// Another list, whose columns are added as `name.column`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The name before the dot.
    pub name: String,
    /// The file, beside the map.
    pub file: String,
    /// What its rows are known by.
    pub key: Template,
    /// What a row of the imported list looks for.
    pub wanted: Template,
}

/// A party that signs. Its handle may be in the ledger already.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyMap {
    /// The handle.
    #[serde(deserialize_with = "word")]
    pub handle: Handle,
    /// The legal name.
    #[serde(deserialize_with = "word")]
    pub name: Text<200>,
    /// What it is.
    #[serde(default = "organisation", deserialize_with = "word")]
    pub kind: PartyKind,
    /// What it may do.
    #[serde(deserialize_with = "roles")]
    pub roles: List<Role, 8>,
    /// Unified social credit code, GLN or the like.
    #[serde(default, deserialize_with = "word")]
    pub identifier: Text<40>,
    /// Where it is.
    #[serde(default, deserialize_with = "word")]
    pub place: Text<200>,
}

impl PartyMap {
    pub(super) fn planned(&self) -> PlannedParty {
        PlannedParty {
            kind: self.kind,
            roles: self.roles.clone(),
            particulars: Particulars {
                name: self.name.clone(),
                identifier: self.identifier.clone(),
                place: self.place.clone(),
            },
        }
    }
}

/// A final recipient, enrolled once for each different handle.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientMap {
    /// From what its handle is made: lower-cased, without accents, other characters as `-`.
    pub handle: Template,
    /// Its name.
    pub name: Template,
    /// Where it is.
    #[serde(default)]
    pub place: Template,
}

/// One gift: all rows for which `group` says the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiftMap {
    /// What the rows of one gift have in common.
    pub group: Template,
    /// Who records it, and signs.
    #[serde(deserialize_with = "word")]
    pub taker: Handle,
    /// The donor's name.
    pub donor: Template,
    /// The day of the gift.
    #[serde(default)]
    pub date: Template,
    /// When it must have arrived.
    #[serde(default)]
    pub deadline: Template,
    /// What for.
    #[serde(default)]
    pub purpose: Template,
    /// Through which channel it came.
    #[serde(default)]
    pub channel: Template,
    /// The number of the campaign.
    #[serde(default)]
    pub campaign: Template,
    /// An earlier statement that this one restates.
    #[serde(default)]
    pub restates: Template,
    /// Documents.
    #[serde(default)]
    pub documents: Vec<DocumentMap>,
}

/// A document, if its number is not empty.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentMap {
    /// What it is.
    #[serde(deserialize_with = "word")]
    pub kind: DocumentKind,
    /// Its number.
    pub number: Template,
}

/// One line of a gift: a row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineMap {
    /// What it is.
    pub item: Template,
    /// Its unit.
    pub unit: Template,
    /// How many: a whole number.
    pub quantity: Template,
    /// What one unit holds.
    pub pack: Option<PackMap>,
    /// A category.
    #[serde(default)]
    pub category: Template,
    /// The specification.
    #[serde(default)]
    pub specification: Template,
    /// Who made it.
    #[serde(default)]
    pub maker: Template,
    /// The standard that it keeps.
    #[serde(default)]
    pub standard: Template,
    /// Its value.
    pub value: Option<ValueMap>,
}

/// What one unit holds, if `content` is not empty.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackMap {
    /// So many.
    pub content: Template,
    /// Of these.
    pub unit: Template,
}

/// A sum of money, if `amount` is not empty.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueMap {
    /// A decimal number with at most two places.
    pub amount: Template,
    /// ISO 4217.
    pub currency: Template,
    /// What it rests on.
    #[serde(deserialize_with = "word")]
    pub basis: ValueBasis,
}

/// One shipment to a final recipient: all rows with the same number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShipmentMap {
    /// Its number; rows where it is empty were not sent.
    pub number: Template,
    /// What for.
    #[serde(deserialize_with = "word")]
    pub purpose: Purpose,
    /// The carrier's number.
    #[serde(default)]
    pub waybill: Template,
    /// The carrier's name.
    #[serde(default)]
    pub carrier: Template,
    /// When it was sent.
    #[serde(default)]
    pub dispatched: Template,
    /// When it arrived by the sender's word; empty: nobody says so.
    #[serde(default)]
    pub delivered: Template,
    /// When the recipient recorded it; empty: it did not.
    #[serde(default)]
    pub received: Template,
    /// Where it was handed over.
    #[serde(default)]
    pub place: Template,
    /// Documents.
    #[serde(default)]
    pub documents: Vec<DocumentMap>,
}

/// One publication: all rows for which `group` says the same. Its rows are listed, and move nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicationMap {
    /// What the rows of one publication have in common.
    pub group: Template,
    /// Who published it, and signs.
    #[serde(deserialize_with = "word")]
    pub speaker: Handle,
    /// What it is.
    #[serde(deserialize_with = "word")]
    pub evidence: EvidenceKind,
    /// In words.
    pub text: Template,
    /// Where it was published.
    #[serde(default)]
    pub url: Template,
    /// The day that it speaks of.
    #[serde(default)]
    pub date: Template,
    /// Whom it names as having received.
    #[serde(default)]
    pub recipient: Template,
    /// The row's number.
    pub row: Template,
    /// What it lists.
    pub item: Template,
    /// In which unit.
    pub unit: Template,
    /// How many: a whole number.
    pub quantity: Template,
    /// Documents.
    #[serde(default)]
    pub documents: Vec<DocumentMap>,
}

/// Why a map cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// It is no TOML, or not of this shape.
    #[error("the map cannot be read: {0}")]
    Malformed(#[from] toml::de::Error),
    /// It says neither what a gift nor what a publication is.
    #[error("the map needs [gift] and [line], or [publication]")]
    NothingToMake,
    /// A shipment needs somebody to whom it goes.
    #[error("a map with [shipment] needs [recipient]")]
    NoRecipient,
    /// A signer is not among the parties of the map.
    #[error("the map has no [[party]] with the handle {0}")]
    PartyMissing(Handle),
    /// A template names a column that the list does not have.
    #[error("the list has no column {column:?}; it has: {known}")]
    ColumnMissing {
        /// The column.
        column: String,
        /// Those that there are.
        known: String,
    },
    /// A template names a table that the map does not have.
    #[error("the map has no [tables.{0}]")]
    TableMissing(String),
}

impl Map {
    /// Reads a map.
    ///
    /// # Errors
    /// See [`MapError`]; columns are checked against the list when it is planned.
    pub fn read(source: &str) -> Result<Self, MapError> {
        let mut map: Self = toml::from_str(source)?;
        map.source = source.to_owned();
        let makes_gifts = map.gift.is_some() && map.line.is_some();
        if !makes_gifts && map.publication.is_none() {
            return Err(MapError::NothingToMake);
        }
        if map.shipment.is_some() && map.recipient.is_none() {
            return Err(MapError::NoRecipient);
        }
        let signers = map.gift.iter().map(|gift| &gift.taker);
        let signers = signers.chain(map.publication.iter().map(|published| &published.speaker));
        for signer in signers {
            if !map.party.iter().any(|party| party.handle == *signer) {
                return Err(MapError::PartyMissing(signer.clone()));
            }
        }
        Ok(map)
    }

    /// SHA-256 of the map's text.
    pub fn sha256(&self) -> Digest32 {
        document_hash(self.source.as_bytes())
    }

    /// Every template that is filled from the list itself.
    fn templates(&self) -> Vec<&Template> {
        let mut all = vec![&self.reference];
        all.extend(self.join.iter().map(|join| &join.wanted));
        if let Some(map) = &self.recipient {
            all.extend([&map.handle, &map.name, &map.place]);
        }
        if let Some(map) = &self.gift {
            all.extend([&map.group, &map.donor, &map.date, &map.deadline, &map.purpose]);
            all.extend([&map.channel, &map.campaign, &map.restates]);
            all.extend(map.documents.iter().map(|document| &document.number));
        }
        if let Some(map) = &self.line {
            all.extend([&map.item, &map.unit, &map.quantity, &map.category]);
            all.extend([&map.specification, &map.maker, &map.standard]);
            all.extend(map.pack.iter().flat_map(|pack| [&pack.content, &pack.unit]));
            all.extend(map.value.iter().flat_map(|value| [&value.amount, &value.currency]));
        }
        if let Some(map) = &self.shipment {
            all.extend([&map.number, &map.waybill, &map.carrier, &map.dispatched]);
            all.extend([&map.delivered, &map.received, &map.place]);
            all.extend(map.documents.iter().map(|document| &document.number));
        }
        if let Some(map) = &self.publication {
            all.extend([&map.group, &map.text, &map.url, &map.date, &map.recipient]);
            all.extend([&map.row, &map.item, &map.unit, &map.quantity]);
            all.extend(map.documents.iter().map(|document| &document.number));
        }
        all
    }

    /// Whether every column and table that it names is there.
    pub(super) fn check(&self, table: &Table) -> Result<(), MapError> {
        self.templates().into_iter().try_for_each(|template| template.check(table, &self.tables))
    }
}

/// Text with places for cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Cell { column: String, table: Option<String> },
}

impl Template {
    /// Fills the places from a row; in Unicode normal form C, which the ledger's gate demands.
    pub(super) fn fill(&self, table: &Table, row: &Row, lookups: &Lookups) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Cell { column, table: None } => text.push_str(table.cell(row, column)),
                Piece::Cell { column, table: Some(name) } => {
                    let value = lookups.get(name).and_then(|t| t.get(table.cell(row, column)));
                    text.push_str(value.map_or("", String::as_str));
                }
            }
        }
        text.trim().nfc().collect()
    }

    /// Whether every column and table that it names is there.
    pub(super) fn check(&self, table: &Table, lookups: &Lookups) -> Result<(), MapError> {
        for piece in &self.0 {
            let Piece::Cell { column, table: lookup } = piece else { continue };
            if !table.has(column) {
                let (column, known) = (column.clone(), table.column_names());
                return Err(MapError::ColumnMissing { column, known });
            }
            if let Some(name) = lookup
                && !lookups.contains_key(name)
            {
                return Err(MapError::TableMissing(name.clone()));
            }
        }
        Ok(())
    }
}

impl FromStr for Template {
    type Err = Malformed;

    /// # Errors
    /// `map/template` for a brace without its other half, or a place without a name.
    fn from_str(source: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::new("map/template");
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some(open) = rest.find(['{', '}']) {
            let (text, from) = rest.split_at(open);
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            let (place, after) =
                from.strip_prefix('{').and_then(|p| p.split_once('}')).ok_or(malformed)?;
            let (column, table) = match place.split_once('|') {
                Some((column, table)) => (column, Some(table.to_owned())),
                None => (place, None),
            };
            if column.is_empty() || column.contains('{') {
                return Err(malformed);
            }
            pieces.push(Piece::Cell { column: column.to_owned(), table });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(deserializer)
    }
}

fn word<'de, D: Deserializer<'de>, T: FromStr<Err = Malformed>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text: String = String::deserialize(deserializer)?.nfc().collect();
    text.parse().map_err(|error| de::Error::custom(format!("{text:?}: {error}")))
}

fn roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<List<Role, 8>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    let roles = words.iter().map(|word| word.parse()).collect::<Result<_, Malformed>>();
    roles.and_then(List::new).map_err(|error| de::Error::custom(format!("{words:?}: {error}")))
}

fn organisation() -> PartyKind {
    PartyKind::Organisation
}

/// A handle from any name: lower case, without accents, everything else as `-`. A name that leaves
/// too little, as Chinese ones do, is stood for by the start of its hash.
pub(super) fn handle_from(name: &str) -> Handle {
    let mut slug = String::new();
    let mut lost = false;
    for character in name.nfd() {
        match character.to_ascii_lowercase() {
            kept @ ('a'..='z' | '0'..='9') => slug.push(kept),
            other if other.is_ascii() => slug.push('-'),
            other => lost |= other.is_alphanumeric(),
        }
    }
    let words: Vec<&str> = slug.split('-').filter(|word| !word.is_empty()).collect();
    let slug = words.join("-");
    match Handle::new(&slug) {
        Ok(handle) if !lost => handle,
        _ => {
            let hash = document_hash(name.as_bytes()).to_string();
            Handle::new(&format!("party-{}", &hash[..12])).expect("18 characters of the right kind")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_text_with_places() {
        let table = Table::read("a,b\n1,x y\n2,\n".as_bytes()).unwrap();
        let ring = Table::read("a\nA\u{30a}\n".as_bytes()).unwrap();
        let composed: Template = "{a}".parse().unwrap();
        assert_eq!(composed.fill(&ring, &ring.rows()[0], &Lookups::new()), "\u{c5}");
        let lookups: Lookups =
            [("t".to_owned(), [("1".to_owned(), "one".to_owned())].into())].into();
        let fill = |source: &str| -> Vec<String> {
            let template: Template = source.parse().unwrap();
            template.check(&table, &lookups).unwrap();
            table.rows().iter().map(|row| template.fill(&table, row, &lookups)).collect()
        };
        assert_eq!(fill("{a}: {b}"), ["1: x y", "2:"]);
        assert_eq!(fill("{a|t}"), ["one", ""]);
        assert_eq!(fill("plain"), ["plain", "plain"]);
        for source in ["{a", "a}", "{}", "{{a}}", "{|t}"] {
            assert!(source.parse::<Template>().is_err(), "{source}");
        }
        let check = |source: &str| source.parse::<Template>().unwrap().check(&table, &lookups);
        assert!(matches!(check("{c}"), Err(MapError::ColumnMissing { .. })));
        assert!(matches!(check("{a|u}"), Err(MapError::TableMissing(_))));
    }

    #[test]
    fn handles_are_made_from_names() {
        assert_eq!(handle_from("country-Côte d'Ivoire").as_str(), "country-cote-d-ivoire");
        assert_eq!(handle_from("Congo, DRC").as_str(), "congo-drc");
        let chinese = handle_from("武汉市第七医院");
        assert_eq!(chinese, handle_from("武汉市第七医院"));
        assert_ne!(chinese, handle_from("武汉市第八医院"));
        assert_eq!(chinese.as_str().len(), 18);
    }

    #[test]
    fn a_map_names_its_signers_and_its_shape() {
        let head = "about = 'a'\nreference = '{a}'\n";
        let party = "[[party]]\nhandle = 'red-cross'\nname = 'R'\nroles = ['charity']\n";
        let gift = "[gift]\ngroup = '{a}'\ntaker = 'red-cross'\ndonor = '{a}'\n";
        let line = "[line]\nitem = '{a}'\nunit = '{a}'\nquantity = '{a}'\n";
        let read = |parts: &[&str]| Map::read(&(head.to_owned() + &parts.concat()));
        assert!(read(&[party, gift, line]).is_ok());
        assert!(matches!(read(&[party, gift]), Err(MapError::NothingToMake)));
        let other = party.replace("red-cross", "blue-cross");
        assert!(matches!(read(&[&other, gift, line]), Err(MapError::PartyMissing(_))));
        assert!(matches!(read(&[party, gift, line, "color = 1"]), Err(MapError::Malformed(_))));
    }
}
