//! `donate`: a gift begins.

use std::path::{Path, PathBuf};

use serde_json::json;
use zeroize::Zeroizing;

use super::context::{Context, random};
use super::event_file::FILE_LEN_MAX;
use super::failure::{Failure, read_file};
use super::key;
use super::keyring::Keyring;
use super::qr;
use super::signing::{self, Done, EventArgs, Plan, Scene, Signing};
use super::words::{self, ShareWord, parse_quantity, text};
use crate::keyfile::{self, Protection};
use crate::model::date::Date;
use crate::model::encoding::{List, Malformed};
use crate::model::event::{
    Capacity, Donation, Donor, DonorKind, Line, Lot, Pack, Part, Share, Value,
};
use crate::model::ident::{Handle, KeyBytes};
use crate::model::key::SecretKey;
use crate::model::text::Text;

/// What `donate` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    line: LineArgs,
    #[arg(long, value_name = "FILE.csv", conflicts_with = "item")]
    lines: Option<PathBuf>,
    #[arg(long, value_name = "HANDLE")]
    taker: Option<Handle>,
    #[arg(long, value_name = "HANDLE", conflicts_with_all = ["one_time_key", "slip"])]
    donor: Option<Handle>,
    #[arg(long, value_name = "OUT.key", conflicts_with = "slip")]
    one_time_key: Option<PathBuf>,
    #[arg(long, value_name = "OUT.key")]
    slip: Option<PathBuf>,
    #[arg(long, value_name = "NAME", value_parser = text::<200>)]
    donor_name: Option<Text<200>>,
    #[arg(long)]
    standing_consent: bool,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    purpose: Option<Text<200>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<80>)]
    channel: Option<Text<80>>,
    #[arg(long, value_name = "NUMBER", value_parser = text::<60>)]
    campaign: Option<Text<60>>,
    #[arg(long, value_name = "YYYY-MM-DD")]
    deadline: Option<Date>,
    #[arg(long, value_name = "N/OF", value_parser = words::part)]
    part: Option<Part>,
    #[arg(long)]
    historic: bool,
    #[arg(long, value_name = "TEXT", value_parser = text::<80>)]
    restates: Option<Text<80>>,
    #[arg(long)]
    unencrypted: bool,
    #[arg(long)]
    qr: bool,
    #[command(flatten)]
    event: EventArgs,
}

/// One line of goods.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct LineArgs {
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    item: Option<Text<200>>,
    #[arg(long, value_name = "N", value_parser = parse_quantity, allow_negative_numbers = true)]
    quantity: Option<u64>,
    #[arg(long, value_name = "TEXT", value_parser = text::<24>)]
    unit: Option<Text<24>>,
    #[arg(long, value_name = "N UNIT", value_parser = words::pack)]
    pack: Option<Pack>,
    #[arg(long = "for", value_name = "HANDLE[=N]")]
    shares: Vec<ShareWord>,
    #[arg(long = "lot", value_name = "LOT[@EXPIRY]", value_parser = words::lot)]
    lots: Vec<Lot>,
    #[arg(long, value_name = "TEXT", value_parser = text::<40>)]
    category: Option<Text<40>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<120>)]
    maker: Option<Text<120>>,
    #[arg(long, value_name = "CODE", value_parser = text::<60>)]
    product_code: Option<Text<60>>,
    #[arg(long, value_name = "NUMBER", value_parser = text::<60>)]
    registration: Option<Text<60>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<120>)]
    standard: Option<Text<120>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<80>)]
    storage: Option<Text<80>>,
    #[arg(long, value_name = "TEXT", value_parser = text::<200>)]
    specification: Option<Text<200>>,
    #[arg(long = "value", value_name = "SUM CURRENCY BASIS", value_parser = words::value)]
    worth: Option<Value>,
}

impl LineArgs {
    fn line(&self, number: u16) -> Result<Line, Failure> {
        let missing = |what: &str| Failure::new("usage/line-lacks").with("what", what);
        let quantity = self.quantity.ok_or_else(|| missing("--quantity"))?;
        Ok(Line {
            number,
            item: self.item.clone().ok_or_else(|| missing("--item"))?,
            category: self.category.clone().unwrap_or_default(),
            unit: self.unit.clone().ok_or_else(|| missing("--unit"))?,
            pack: self.pack.clone(),
            quantity,
            shares: shares(&self.shares, quantity)?,
            lots: List::new(self.lots.clone())?,
            maker: self.maker.clone().unwrap_or_default(),
            product_code: self.product_code.clone().unwrap_or_default(),
            registration: self.registration.clone().unwrap_or_default(),
            standard: self.standard.clone().unwrap_or_default(),
            serials: List::default(),
            storage: self.storage.clone().unwrap_or_default(),
            specification: self.specification.clone().unwrap_or_default(),
            value: self.worth.clone(),
        })
    }
}

/// A share without a quantity takes what the others leave.
fn shares(words: &[ShareWord], quantity: u64) -> Result<List<Share, 64>, Malformed> {
    let stated: u64 = words.iter().filter_map(|word| word.quantity).fold(0, u64::saturating_add);
    let share = |word: &ShareWord| Share {
        recipient: word.recipient.clone(),
        quantity: word.quantity.unwrap_or(quantity.saturating_sub(stated)),
    };
    List::new(words.iter().map(share).collect())
}

/// Reads lines from CSV: one line of goods a row, the columns named as the options of `donate`.
fn lines_from(path: &Path) -> Result<Vec<Line>, Failure> {
    let bytes = read_file(path, FILE_LEN_MAX)?;
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let bad_row = |row: u64, reason: Failure| {
        Failure::new("csv/row").with("path", path.display()).with("row", row).because(reason)
    };
    let malformed = |row: u64| bad_row(row, Failure::new("csv/malformed"));
    let heads = reader.headers().map_err(|_| malformed(1))?.clone();
    let mut lines = Vec::new();
    for (at, record) in reader.records().enumerate() {
        // Row 1 is the head.
        let row = at as u64 + 2;
        let record = record.map_err(|_| malformed(row))?;
        let mut args = LineArgs::default();
        for (head, cell) in heads.iter().zip(&record) {
            args.set(head.trim(), cell.trim()).map_err(|reason| bad_row(row, reason.into()))?;
        }
        let too_long = |_| bad_row(row, Malformed::new("list/too-long").into());
        let number = u16::try_from(at + 1).map_err(too_long)?;
        lines.push(args.line(number).map_err(|reason| bad_row(row, reason))?);
    }
    Ok(lines)
}

impl LineArgs {
    fn set(&mut self, column: &str, cell: &str) -> Result<(), Malformed> {
        if cell.is_empty() {
            return Ok(());
        }
        match column {
            "item" => self.item = Some(text(cell)?),
            "quantity" => self.quantity = Some(parse_quantity(cell)?),
            "unit" => self.unit = Some(text(cell)?),
            "pack" => self.pack = Some(words::pack(cell)?),
            "for" => {
                let each = cell.split(';').map(|share| share.trim().parse());
                self.shares = each.collect::<Result<_, _>>()?;
            }
            "lot" => {
                let each = cell.split(';').map(|lot| words::lot(lot.trim()));
                self.lots = each.collect::<Result<_, _>>()?;
            }
            "category" => self.category = Some(text(cell)?),
            "maker" => self.maker = Some(text(cell)?),
            "product-code" => self.product_code = Some(text(cell)?),
            "registration" => self.registration = Some(text(cell)?),
            "standard" => self.standard = Some(text(cell)?),
            "storage" => self.storage = Some(text(cell)?),
            "specification" => self.specification = Some(text(cell)?),
            "value" => self.worth = Some(words::value(cell)?),
            _ => return Err(Malformed::new("csv/column")),
        }
        Ok(())
    }
}

/// Records a gift.
///
/// # Errors
/// As [`signing::carry_out`].
pub fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let lines = match &args.lines {
        Some(path) => lines_from(path)?,
        None => vec![args.line.line(1)?],
    };
    let mut ring = Keyring::read(ctx, &args.event.keys)?;
    let own = match args.slip.as_ref().or(args.one_time_key.as_ref()) {
        Some(path) => Some(OwnKey::make(args, ctx, path)?),
        None => None,
    };
    let own_key = own.as_ref().map(|own| KeyBytes::from(own.secret.public()));
    if let Some(own) = &own {
        ring.add(SecretKey::from_seed(own.secret.seed()));
    }
    let done =
        signing::carry_out(ctx, &args.event, ring, |scene| plan(args, lines, own_key, scene));
    let done = match (done, own) {
        (Ok(done), Some(own)) => {
            let slip = own.slip(args, ctx);
            done.report(ctx, &[("key_file", json!(own.path), slip)])?;
            return show_qr(args, ctx, &done);
        }
        (Err(failure), Some(own)) => {
            own.discard();
            return Err(failure);
        }
        (done, None) => done?,
    };
    done.report(ctx, &[])?;
    show_qr(args, ctx, &done)
}

/// The gift's id for a slip of paper, where it is asked for; programs make their own.
fn show_qr(args: &Args, ctx: &Context, done: &Done) -> Result<(), Failure> {
    match done.gift().filter(|_| args.qr && !ctx.json) {
        Some(gift) => ctx.print(&qr::terminal(&gift)),
        None => Ok(()),
    }
}

/// The key of one gift alone, in its file before the gift is recorded.
struct OwnKey {
    secret: SecretKey,
    path: PathBuf,
}

impl OwnKey {
    fn make(args: &Args, ctx: &Context, path: &Path) -> Result<Self, Failure> {
        let secret = SecretKey::generate(&mut random());
        // A slip is handed to the donor as it is.
        let unencrypted = args.unencrypted || args.slip.is_some();
        key::write(ctx, path, &secret, unencrypted)?;
        Ok(Self { secret, path: path.to_owned() })
    }

    /// What the donor is told: where the secret is; of a slip, the secret itself, as it stands in
    /// the key file.
    fn slip(&self, args: &Args, ctx: &Context) -> String {
        if args.slip.is_none() {
            return ctx.say("next.one-time-key", &[("path", &self.path.display())]);
        }
        let pem: Zeroizing<String> =
            keyfile::encode(&self.secret, Protection::Unencrypted, &mut random())
                .expect("only an empty passphrase is refused");
        let head = ctx.say("next.slip", &[("path", &self.path.display())]);
        format!("{head}\n{}", pem.trim_end())
    }

    /// The gift was refused, so its key is of no use.
    fn discard(self) {
        // If the file stays, it stays as a key that nothing names.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn plan(
    args: &Args,
    lines: Vec<Line>,
    own: Option<KeyBytes>,
    scene: &Scene,
) -> Result<Plan, Failure> {
    let besides: Vec<&Handle> = args.donor.iter().collect();
    let taker = match &args.taker {
        Some(taker) => Some(taker.clone()),
        None if args.donor.is_some() && scene.parties().len() < 2 => None,
        None => Some(scene.actor(&besides)?),
    };
    let kind = match (&args.donor, &args.one_time_key, &args.slip) {
        (Some(_), _, _) => DonorKind::Enrolled,
        (_, Some(_), _) => DonorKind::OneTimeKey,
        (_, _, Some(_)) => DonorKind::Slip,
        _ => DonorKind::Recorded,
    };
    let issuer = taker.clone().filter(|_| kind == DonorKind::Slip);
    let mut signers = Vec::new();
    if let Some(donor) = &args.donor {
        signers.push(Signing::party(Capacity::Donor, donor));
    }
    if let Some(key) = own {
        signers.push(Signing::key(Capacity::Donor, None, key));
    }
    if let Some(taker) = &taker {
        // An enrolled donor announces a gift that its taker has yet to sign for.
        if args.donor.is_none() || scene.has(taker) {
            signers.push(Signing::party(Capacity::Taker, taker));
        }
    }
    let donation = Donation {
        donor: Donor {
            kind,
            party: args.donor.clone().or(issuer),
            key: own,
            name: args.donor_name.clone().unwrap_or_default(),
        },
        mark: None,
        taker,
        lines: List::new(lines)?,
        standing_consent: args.standing_consent,
        purpose: args.purpose.clone().unwrap_or_default(),
        channel: args.channel.clone().unwrap_or_default(),
        campaign: args.campaign.clone().unwrap_or_default(),
        part: args.part.clone(),
        deadline: args.deadline,
        historic: args.historic,
        restates: args.restates.clone().unwrap_or_default(),
        commitments: List::default(),
    };
    Ok(Plan::new(donation, signers))
}
