//! `shipment`: what is on its way, as a list that a clerk can go through; also in a file, for a
//! recipient without network.
//!
//! ```json
//! {"format":"giftproof-shipment/v1","genesis":"<hex>","shipment":"red-cross/S-1",
//!  "entries":["<base64>"]}
//! ```
//!
//! The entries are those of the ledger, byte for byte: the dispatches, what was received of them
//! before, the donations that they carry, the enrolments of whoever is named, and all that the ledger
//! says of the taker's keys.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::context::{Context, columns};
use super::event_file::{decode_entries, encode_entries, read_json};
use super::failure::{Failure, write_failed};
use super::goods::{spoken, unit_name};
use crate::bundle::{Existing, OutputFile};
use crate::ledger::Ledger;
use crate::model::entry::Entry;
use crate::model::event::{
    Arrival, Dispatch, Donation, Goods, Kind, Purpose, Receipt, Statement, UnitChoice,
};
use crate::model::hash::{EventHash, LeafHash};
use crate::model::ident::{GiftId, Handle, KeyBytes, ShipmentId};
use crate::model::signature::{Signature, verify};
use crate::model::state::{Book, State, Whereabouts};
use crate::model::violation::Code;

const FORMAT: &str = "giftproof-shipment/v1";

/// The commands on shipments.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Shows what is on its way.
    Show(ShowArgs),
    /// Writes the file for a recipient without network.
    File(FileArgs),
}

/// What `shipment show` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ShowArgs {
    #[arg(value_name = "SENDER/NUMBER", required_unless_present = "shipment_file")]
    shipment: Option<ShipmentId>,
    #[arg(long, value_name = "FILE", conflicts_with = "shipment")]
    shipment_file: Option<PathBuf>,
}

/// What `shipment file` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct FileArgs {
    #[arg(value_name = "SENDER/NUMBER")]
    shipment: ShipmentId,
    #[arg(value_name = "OUT")]
    file: PathBuf,
}

/// A row of a shipment's list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Counted from 1.
    pub number: usize,
    /// The gift.
    pub gift: GiftId,
    /// What it is.
    pub item: String,
    /// How many are on their way.
    pub quantity: u64,
    /// Of which unit.
    pub unit: String,
    /// In the ledger's terms.
    pub goods: Goods,
}

/// A shipment's list.
#[derive(Clone, Debug, Serialize)]
pub struct Sheet {
    /// The shipment.
    pub shipment: ShipmentId,
    /// To whom.
    pub taker: Handle,
    /// What for.
    pub purpose: Purpose,
    /// What is on its way.
    pub rows: Vec<Row>,
}

/// Where goods of a shipment stand: gift, line, book, meant for whom.
type Place = (EventHash, u16, Book, Option<Handle>);

impl Sheet {
    /// What the ledger says is on its way.
    ///
    /// # Errors
    /// `shipment/unknown`.
    pub fn of_state(state: &State, id: &ShipmentId) -> Result<Self, Failure> {
        let shipment = state.shipments.get(id).ok_or(Code::ShipmentUnknown)?;
        let mut places: BTreeMap<(u64, Place), u64> = BTreeMap::new();
        for gift in shipment.gifts.iter().filter_map(|gift| state.gifts.get(gift)) {
            for (account, quantity) in gift.accounts.iter() {
                let here = matches!(&account.place, Whereabouts::Moving { shipment, .. } if shipment == id);
                if here && quantity > 0 {
                    let place = (gift.id, account.line, account.book, account.meant_for.clone());
                    *places.entry((gift.entries[0], place)).or_default() += quantity;
                }
            }
        }
        let row = |(at, ((_, place), quantity)): (usize, ((u64, Place), u64))| {
            let gift = state.gifts.get(&place.0).expect("it was read just now");
            let line = gift.donation.line(place.1).expect("an account is of a line");
            let (unit, quantity) = spoken(line, place.2, quantity);
            Row {
                number: at + 1,
                gift: (&gift.id).into(),
                item: line.item.to_string(),
                quantity,
                unit: unit_name(&gift, line, unit),
                goods: Goods { gift: gift.id, line: line.number, unit, meant_for: place.3 },
            }
        };
        let rows = places.into_iter().enumerate().map(row).collect();
        let (taker, purpose) = (shipment.taker.clone(), shipment.purpose);
        Ok(Self { shipment: id.clone(), taker, purpose, rows })
    }
}

/// Why a shipment cannot be received: all of it was, before. None where something is on its way.
pub fn received(state: &State, id: &ShipmentId) -> Option<Failure> {
    let last = state.shipments.get(id)?.receipts.last()?.index;
    let nothing_left = Sheet::of_state(state, id).is_ok_and(|sheet| sheet.rows.is_empty());
    let failure = || Failure::refused("shipment/received").with("shipment", id).with("index", last);
    nothing_left.then(failure)
}

/// A shipment with the entries that it rests on.
#[derive(Clone, Debug)]
pub struct ShipmentFile {
    /// The ledger that it is of.
    pub genesis: LeafHash,
    /// Which it is.
    pub shipment: ShipmentId,
    /// The ledger's entries, byte for byte.
    pub entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    genesis: String,
    shipment: String,
    entries: Vec<String>,
}

impl ShipmentFile {
    /// Takes what a shipment rests on out of a ledger.
    ///
    /// # Errors
    /// `shipment/unknown`, and when the ledger cannot be read.
    pub fn of(ledger: &Ledger, id: &ShipmentId) -> Result<Self, Failure> {
        let state = ledger.state();
        let shipment = state.shipments.get(id).ok_or(Code::ShipmentUnknown)?;
        let mut indexes = BTreeSet::new();
        let mut named: BTreeSet<Handle> = [shipment.taker.clone(), id.giver.clone()].into();
        named.extend(shipment.carrier.clone());
        for gift in shipment.gifts.iter().filter_map(|gift| state.gifts.get(gift)) {
            named.extend(gift.accounts.iter().filter_map(|(account, _)| account.meant_for.clone()));
            for index in &gift.entries {
                let event = ledger.entry(*index)?.event.open(&state.genesis)?;
                let needed = match &event.statement {
                    Some(Statement::Dispatch(dispatch)) => dispatch.shipment == *id,
                    Some(Statement::Receipt(receipt)) => receipt.shipment.as_ref() == Some(id),
                    Some(statement) => {
                        matches!(statement.kind(), Kind::Donation | Kind::Count | Kind::Correction)
                    }
                    None => false,
                };
                if needed {
                    indexes.insert(*index);
                }
            }
        }
        indexes.extend(named.iter().filter_map(|who| Some(state.parties.get(who)?.enrolled_at)));
        let taker = state.parties.get(&shipment.taker);
        let keys = taker.iter().flat_map(|taker| &taker.keys).filter_map(|key| {
            let record = state.parties.key(key)?;
            Some([Some(record.origin.index), record.ended])
        });
        indexes.extend(keys.flatten().flatten());
        let entries = indexes.into_iter().map(|index| ledger.entry(index));
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Self { genesis: state.genesis, shipment: id.clone(), entries })
    }

    /// Reads a file, and checks the signatures in it.
    ///
    /// # Errors
    /// `shipment-file/malformed`, `shipment-file/signature`.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let written: Written = read_json(path, FORMAT, "shipment-file")?;
        let malformed = || Failure::new("shipment-file/malformed").with("path", path.display());
        if written.format != FORMAT {
            return Err(malformed());
        }
        let genesis = written.genesis.parse().map_err(|_| malformed())?;
        let shipment = written.shipment.parse().map_err(|_| malformed())?;
        let entries = decode_entries(&written.entries).ok_or_else(malformed)?;
        let file = Self { genesis, shipment, entries };
        for entry in &file.entries {
            let event = entry.event.clone().open(&genesis).map_err(|_| malformed())?;
            let message = entry.event.frame.signing_message(&genesis);
            let good =
                event.head.signers.iter().zip(&entry.event.signatures).all(|(who, bytes)| {
                    who.key.check().is_ok_and(|key| {
                        verify(&message, &key, &Signature::from_bytes(*bytes)).is_ok()
                    })
                });
            if !good {
                let failure = Failure::refused("shipment-file/signature");
                return Err(failure.with("index", entry.header.index));
            }
        }
        Ok(file)
    }

    /// Begins a file, before it is known what will be in it.
    ///
    /// # Errors
    /// When it exists, or cannot be made.
    pub fn begin(path: &Path) -> Result<OutputFile, Failure> {
        OutputFile::create(path, Existing::Refuse).map_err(|error| write_failed(path, &error))
    }

    /// Writes the file that was begun at `path`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_to(&self, mut file: OutputFile, path: &Path) -> Result<(), Failure> {
        let written = Written {
            format: FORMAT.to_owned(),
            genesis: self.genesis.to_string(),
            shipment: self.shipment.to_string(),
            entries: encode_entries(&self.entries),
        };
        let mut bytes = serde_json::to_vec_pretty(&written).expect("string keys and no floats");
        bytes.push(b'\n');
        let end = file.write_all(&bytes).and_then(|()| file.commit());
        end.map_err(|error| write_failed(path, &error))
    }

    /// The keys that a party may sign with by these entries; none where they do not say.
    ///
    /// # Errors
    /// Where an entry's bytes are no event.
    pub fn keys_of(&self, party: &Handle) -> Result<BTreeSet<KeyBytes>, Failure> {
        let mut keys = BTreeSet::new();
        for entry in &self.entries {
            match entry.event.clone().open(&self.genesis)?.statement {
                Some(Statement::PartyEnrolled(enrolled)) if enrolled.handle == *party => {
                    keys.insert(enrolled.key);
                }
                Some(Statement::KeyAdded(added)) if added.handle == *party => {
                    keys.insert(added.key);
                }
                Some(Statement::KeyRotated(rotated)) if rotated.handle == *party => {
                    keys.remove(&rotated.old);
                    keys.insert(rotated.new);
                }
                Some(Statement::KeyRevoked(revoked)) if revoked.handle == *party => {
                    keys.remove(&revoked.key);
                }
                _ => {}
            }
        }
        Ok(keys)
    }

    /// What is on its way by these entries: what was dispatched, without what was received before.
    ///
    /// # Errors
    /// `shipment-file/malformed` when they contradict each other.
    pub fn sheet(&self) -> Result<Sheet, Failure> {
        let malformed = || Failure::refused("shipment-file/malformed").with("path", &self.shipment);
        let mut statements: BTreeMap<u64, (EventHash, Statement)> = BTreeMap::new();
        for entry in &self.entries {
            let event = entry.event.clone().open(&self.genesis)?;
            match event.statement {
                Some(Statement::Correction(correction)) => {
                    let held = statements.remove(&correction.target_index);
                    if let (Some((hash, _)), Some(new)) = (held, correction.replacement()?) {
                        statements.insert(correction.target_index, (hash, new));
                    }
                }
                Some(statement) => {
                    statements.insert(entry.header.index, (event.hash, statement));
                }
                None => {}
            }
        }
        let statements: Vec<(EventHash, Statement)> = statements.into_values().collect();
        let mut gathered = Gathered::default();
        for (hash, statement) in &statements {
            gathered.take(self, *hash, statement).ok_or_else(malformed)?;
        }
        gathered.sheet(&self.shipment).ok_or_else(malformed)
    }
}

/// What a shipment's entries add up to.
#[derive(Default)]
struct Gathered<'a> {
    donations: BTreeMap<EventHash, (usize, &'a Donation)>,
    loose: BTreeMap<(EventHash, u16), String>,
    moving: BTreeMap<(usize, Place), u64>,
    dispatch: Option<&'a Dispatch>,
}

impl<'a> Gathered<'a> {
    fn take(&mut self, file: &ShipmentFile, hash: EventHash, s: &'a Statement) -> Option<()> {
        match s {
            Statement::Donation(donation) => {
                self.donations.insert(hash, (self.donations.len(), donation));
            }
            Statement::Count(count) => {
                let opened = count.findings.iter().filter(|finding| finding.opened > 0);
                let unit = count.loose_unit.to_string();
                self.loose.extend(
                    opened.map(|finding| ((finding.goods.gift, finding.goods.line), unit.clone())),
                );
            }
            Statement::Dispatch(dispatch) if dispatch.shipment == file.shipment => {
                for portion in &dispatch.portions {
                    let (place, quantity) = self.in_book(&portion.goods, portion.quantity)?;
                    let total = self.moving.entry(place).or_default();
                    *total = total.checked_add(quantity)?;
                }
                self.dispatch = Some(dispatch);
            }
            Statement::Receipt(Receipt { shipment: Some(id), arrivals, .. })
                if *id == file.shipment =>
            {
                for arrival in arrivals {
                    let (place, came) = self.in_book(&arrival.goods, Arrival::came(arrival)?)?;
                    // What came that was never sent is no part of the shipment.
                    if let Some(total) = self.moving.get_mut(&place) {
                        *total = total.checked_sub(came)?;
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    fn in_book(&self, goods: &Goods, quantity: u64) -> Option<((usize, Place), u64)> {
        let (at, donation) = self.donations.get(&goods.gift)?;
        let line = donation.line(goods.line)?;
        let (book, factor) = match goods.unit {
            UnitChoice::Stated => (Book::Smallest, line.content()),
            UnitChoice::Inner => (Book::Smallest, 1),
            UnitChoice::Loose => (Book::Loose, 1),
        };
        let place = (goods.gift, goods.line, book, goods.meant_for.clone());
        Some(((*at, place), quantity.checked_mul(factor)?))
    }

    fn sheet(self, id: &ShipmentId) -> Option<Sheet> {
        let dispatch = self.dispatch?;
        let mut rows = Vec::new();
        for ((_, (gift, number, book, meant_for)), quantity) in &self.moving {
            if *quantity == 0 {
                continue;
            }
            let line = self.donations.get(gift)?.1.line(*number)?;
            let (unit, quantity) = spoken(line, *book, *quantity);
            let unit_name = match unit {
                UnitChoice::Stated => line.unit.to_string(),
                UnitChoice::Inner => line.smallest_unit().to_string(),
                UnitChoice::Loose => self.loose.get(&(*gift, *number)).cloned().unwrap_or_default(),
            };
            rows.push(Row {
                number: rows.len() + 1,
                gift: gift.into(),
                item: line.item.to_string(),
                quantity,
                unit: unit_name,
                goods: Goods { gift: *gift, line: *number, unit, meant_for: meant_for.clone() },
            });
        }
        let (taker, purpose) = (dispatch.taker.clone(), dispatch.purpose);
        Some(Sheet { shipment: id.clone(), taker, purpose, rows })
    }
}

impl Sheet {
    /// The list for people.
    pub fn text(&self, ctx: &Context) -> String {
        let purpose = ctx.language.word(self.purpose.word());
        let mut text = ctx.say(
            "shipment.head",
            &[("shipment", &self.shipment), ("taker", &self.taker), ("purpose", &purpose)],
        );
        text.push('\n');
        let heads =
            ["shipment.row", "shipment.item", "shipment.quantity", "shipment.for", "shipment.gift"];
        let mut rows = vec![heads.map(|head| ctx.say(head, &[])).to_vec()];
        for row in &self.rows {
            rows.push(vec![
                row.number.to_string(),
                row.item.clone(),
                format!("{} {}", row.quantity, row.unit),
                row.goods.meant_for.as_ref().map(Handle::to_string).unwrap_or_default(),
                row.gift.to_string(),
            ]);
        }
        text + &columns(&rows)
    }
}

impl Command {
    /// Carries the command out.
    ///
    /// # Errors
    /// When ledger or file cannot be read or written.
    pub fn run(&self, ctx: &Context) -> Result<(), Failure> {
        match self {
            Self::Show(ShowArgs { shipment_file: Some(path), .. }) => {
                let sheet = ShipmentFile::read(path)?.sheet()?;
                ctx.answer(&sheet, &sheet.text(ctx))
            }
            Self::Show(ShowArgs { shipment, .. }) => {
                let id = shipment.as_ref().expect("the command line asks for one");
                let sheet = Sheet::of_state(ctx.open()?.state(), id)?;
                ctx.answer(&sheet, &sheet.text(ctx))
            }
            Self::File(args) => {
                let file = ShipmentFile::of(&ctx.open()?, &args.shipment)?;
                file.write_to(ShipmentFile::begin(&args.file)?, &args.file)?;
                let text = ctx.say("done.shipment-file", &[("path", &args.file.display())]);
                ctx.answer(&serde_json::json!({ "shipment_file": args.file }), &(text + "\n"))
            }
        }
    }
}
