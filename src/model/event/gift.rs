//! Needs, gifts and for whom they are (spec sections 5.11 to 5.17).

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::model::date::Date;
use crate::model::encoding::{Keyed, List, Malformed, codes};
use crate::model::hash::{Digest32, EventHash};
use crate::model::ident::{Handle, KeyBytes};
use crate::model::text::Text;

/// The largest quantity of a line, in its smallest unit.
pub const QUANTITY_MAX: u64 = 1_000_000_000_000_000;

/// 1 to 10^15.
pub(super) fn check_quantity(quantity: u64) -> Result<(), Malformed> {
    match quantity {
        0 => Err(Malformed::new("quantity/zero")),
        1..=QUANTITY_MAX => Ok(()),
        _ => Err(Malformed::new("quantity/too-large")),
    }
}

/// Wanted by a final recipient.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct NeedDeclared {
    /// What.
    pub item: Text<200>,
    /// To which standard.
    pub standard: Text<120>,
    /// How many, if known.
    pub quantity: Option<u64>,
    /// Of which unit.
    pub unit: Text<24>,
    /// By when.
    pub wanted_by: Option<Date>,
}

impl NeedDeclared {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if self.item.is_empty() {
            return Err(Malformed::new("line/no-item"));
        }
        self.quantity.map_or(Ok(()), check_quantity)
    }
}

/// A need is met or gone; signed by who declared it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct NeedClosed {
    /// The event that declared it.
    pub need: EventHash,
}

codes! {
    /// How a donor stands behind its gift.
    DonorKind {
        /// An enrolled party.
        Enrolled = 1 "enrolled",
        /// A key that the donor made for this gift alone.
        OneTimeKey = 2 "one-time-key",
        /// A key on a slip that an intermediary made, and so had.
        Slip = 3 "slip",
        /// Named by the taker; did not sign.
        Recorded = 4 "recorded",
    }

    /// What a value rests on.
    ValueBasis {
        /// An invoice.
        Invoice = 1 "invoice",
        /// The donor said so.
        Declared = 2 "declared",
        /// An appraisal.
        Appraised = 3 "appraised",
        /// A published list.
        Published = 4 "published",
    }

    /// What a change of recipient rests on.
    Consent {
        /// Nothing: shown as "changed without the donor's consent".
        None = 0 "none",
        /// The donor's key, among the signers.
        Signed = 1 "signed",
        /// The donation allowed it beforehand.
        Standing = 2 "standing",
        /// Consent on paper, whose hash is among the documents.
        Paper = 3 "paper",
        /// The goods were for nobody yet, or the holder's to assign.
        NotNeeded = 4 "not-needed",
    }
}

/// Who gives.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Donor {
    /// How the donor stands behind the gift.
    pub kind: DonorKind,
    /// The enrolled donor, or the intermediary that issued the slip.
    pub party: Option<Handle>,
    /// The gift's own key: one-time key or slip.
    pub key: Option<KeyBytes>,
    /// The donor's name as written or published; empty for anonymous.
    pub name: Text<200>,
}

impl Donor {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        let (party, key) = match self.kind {
            DonorKind::Enrolled => (true, false),
            DonorKind::OneTimeKey => (false, true),
            DonorKind::Slip => (true, true),
            DonorKind::Recorded => (false, false),
        };
        if self.party.is_some() != party || self.key.is_some() != key {
            return Err(Malformed::new("donor/kind"));
        }
        Ok(())
    }
}

/// What one unit holds: 1 box = 2,000 pieces.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Pack {
    /// So many.
    pub content: u64,
    /// Of these.
    pub unit: Text<24>,
}

/// A lot (batch) of goods.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Lot {
    /// The maker's number.
    pub number: Text<60>,
    /// Its expiry.
    pub expires_on: Option<Date>,
}

impl Keyed for Lot {
    type Key<'a> = &'a Text<60>;

    fn key(&self) -> &Text<60> {
        &self.number
    }
}

/// A sum of money.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Value {
    /// Hundredths of the currency's unit.
    pub cents: u64,
    /// ISO 4217, for example `CNY`.
    pub currency: Text<3>,
    /// What it rests on.
    pub basis: ValueBasis,
}

/// So much of a line is for this final recipient.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Share {
    /// The final recipient.
    pub recipient: Handle,
    /// So many of the line's unit.
    pub quantity: u64,
}

impl Keyed for Share {
    type Key<'a> = &'a Handle;

    fn key(&self) -> &Handle {
        &self.recipient
    }
}

/// One kind of goods in a gift.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Line {
    /// The number of the line in its gift, from 1.
    pub number: u16,
    /// What it is, as written.
    pub item: Text<200>,
    /// A category, as the charity orders its stock.
    pub category: Text<40>,
    /// The unit of the quantity.
    pub unit: Text<24>,
    /// What one unit holds, if known. Without it the quantity *is* so many units.
    pub pack: Option<Pack>,
    /// How many units.
    pub quantity: u64,
    /// For whom; what is left over is undesignated.
    pub shares: List<Share, 64>,
    /// Lots.
    pub lots: List<Lot, 64>,
    /// Who made it, where that is known.
    pub maker: Text<120>,
    /// GTIN, UDI or the like.
    pub product_code: Text<60>,
    /// Registration number of a medical product.
    pub registration: Text<60>,
    /// The standard that it keeps.
    pub standard: Text<120>,
    /// Serial numbers.
    pub serials: List<Text<40>, 64>,
    /// How it must be stored.
    pub storage: Text<80>,
    /// The specification, as written.
    pub specification: Text<200>,
    /// Its value.
    pub value: Option<Value>,
}

impl Keyed for Line {
    type Key<'a> = u16;

    fn key(&self) -> u16 {
        self.number
    }
}

impl Line {
    /// How many of the smallest known unit one stated unit is.
    pub fn content(&self) -> u64 {
        self.pack.as_ref().map_or(1, |pack| pack.content)
    }

    /// The smallest known unit: what the line's books are kept in.
    pub fn smallest_unit(&self) -> &Text<24> {
        self.pack.as_ref().map_or(&self.unit, |pack| &pack.unit)
    }

    pub(crate) fn check(&self) -> Result<(), Malformed> {
        if self.number == 0 {
            return Err(Malformed::new("line/number"));
        }
        if self.item.is_empty() {
            return Err(Malformed::new("line/no-item"));
        }
        if self.unit.is_empty() {
            return Err(Malformed::new("line/no-unit"));
        }
        check_quantity(self.quantity)?;
        if let Some(pack) = &self.pack {
            check_quantity(pack.content)?;
            if pack.unit.is_empty() || pack.unit == self.unit {
                return Err(Malformed::new("line/pack-unit"));
            }
        }
        let total = self.quantity.checked_mul(self.content());
        check_quantity(total.unwrap_or(u64::MAX))?;
        let mut left = self.quantity;
        for share in &self.shares {
            check_quantity(share.quantity)?;
            left = left.checked_sub(share.quantity).ok_or(Malformed::new("line/shares-exceed"))?;
        }
        Ok(())
    }
}

/// A value that is kept outside the log, as a salted commitment (spec section 2.7).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Commitment {
    /// What it is.
    pub label: Text<40>,
    /// SHA-256(context || genesis || nonce || label || salt || value).
    pub digest: Digest32,
}

impl Keyed for Commitment {
    type Key<'a> = &'a Text<40>;

    fn key(&self) -> &Text<40> {
        &self.label
    }
}

/// A part of a gift that is too large for one event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Part {
    /// This is part so many, from 1.
    pub number: u16,
    /// Of so many.
    pub of: u16,
}

/// A gift begins: one donor, one or more lines.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Donation {
    /// Who gives.
    pub donor: Donor,
    /// The donor's own mark: a salted commitment whose opening is on the slip.
    pub mark: Option<Digest32>,
    /// Who takes it; nobody yet for a gift that a donor only announces.
    pub taker: Option<Handle>,
    /// The goods.
    pub lines: List<Line, 300>,
    /// The donor agrees beforehand to another final recipient.
    pub standing_consent: bool,
    /// What for, in the donor's words.
    pub purpose: Text<200>,
    /// Through which channel it came.
    pub channel: Text<80>,
    /// The number of the public campaign.
    pub campaign: Text<60>,
    /// Which part of a large gift this is.
    pub part: Option<Part>,
    /// When it must have reached its final recipients.
    pub deadline: Option<Date>,
    /// Entered from an old list: disclosure and filing clocks do not run.
    pub historic: bool,
    /// An earlier published statement that this one restates, as written there.
    pub restates: Text<80>,
    /// Private fields.
    pub commitments: List<Commitment, 32>,
}

impl Donation {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        self.donor.check()?;
        if self.lines.is_empty() {
            return Err(Malformed::new("gift/no-line"));
        }
        if self.taker.is_none() && self.donor.kind != DonorKind::Enrolled {
            return Err(Malformed::new("donor/taker-missing"));
        }
        if self.taker.is_some() && self.taker == self.donor.party {
            // A slip is issued by the intermediary that takes the gift; nobody gives to itself.
            if self.donor.kind == DonorKind::Enrolled {
                return Err(Malformed::new("donor/is-taker"));
            }
        }
        if let Some(part) = &self.part
            && (part.number == 0 || part.number > part.of)
        {
            return Err(Malformed::new("gift/part"));
        }
        self.lines.iter().try_for_each(Line::check)
    }

    /// The line with this number.
    pub fn line(&self, number: u16) -> Option<&Line> {
        self.lines.find(number)
    }
}

codes! {
    /// In which unit of its line a portion is counted.
    UnitChoice {
        /// The line's unit, as stated.
        Stated = 0 "stated",
        /// What one unit holds, if the line says so.
        Inner = 1 "inner",
        /// What a count took out of opened packs.
        Loose = 2 "loose",
    }
}

/// Which goods: a line of a gift, meant for one recipient or for nobody yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
pub struct Goods {
    /// The gift, by its donation.
    pub gift: EventHash,
    /// The line.
    pub line: u16,
    /// The unit that quantities are in.
    pub unit: UnitChoice,
    /// Whom they are meant for.
    pub meant_for: Option<Handle>,
}

/// So much of some goods.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Portion {
    /// Which goods.
    pub goods: Goods,
    /// How many.
    pub quantity: u64,
}

impl Keyed for Portion {
    type Key<'a> = &'a Goods;

    fn key(&self) -> &Goods {
        &self.goods
    }
}

/// The portions of one event.
pub type Portions = List<Portion, 400>;

pub(super) fn check_portions(portions: &Portions) -> Result<(), Malformed> {
    if portions.is_empty() {
        return Err(Malformed::new("portion/none"));
    }
    portions.iter().try_for_each(|portion| check_quantity(portion.quantity))
}

/// Takes back what was only announced; by the donor, or by the taker: never delivered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Withdrawal {
    /// What is taken back.
    pub portions: Portions,
}

/// The donor takes a slip's gift over; signed by slip key and new key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct GiftTakenOver {
    /// The gift.
    pub gift: EventHash,
    /// The donor from now on: a one-time key of its own, or enrolled.
    pub donor: Donor,
}

/// A coordinator orders pooled stock of a holder to a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Order {
    /// The order's number.
    pub number: Text<60>,
    /// Whose stock.
    pub holder: Handle,
    /// Of which item.
    pub item: Text<200>,
    /// In which unit.
    pub unit: Text<24>,
    /// How many.
    pub quantity: u64,
    /// For whom.
    pub recipient: Handle,
}

/// So much of some goods is from now on for this recipient.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Assignment {
    /// Which goods, with whom they were meant for until now.
    pub goods: Goods,
    /// Whom they are meant for now.
    pub recipient: Handle,
    /// How many.
    pub quantity: u64,
}

impl Keyed for Assignment {
    type Key<'a> = (&'a Goods, &'a Handle);

    fn key(&self) -> Self::Key<'_> {
        (&self.goods, &self.recipient)
    }
}

/// Who the final recipient of portions at rest is; signed by their holder or a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Designation {
    /// Where the goods rest.
    pub holder: Handle,
    /// The coordinator's order that it carries out.
    pub order: Option<EventHash>,
    /// Who decided: a party or a named authority; often not who holds.
    pub decided_by: Text<200>,
    /// The number of that decision.
    pub decision: Text<60>,
    /// What a change rests on.
    pub consent: Consent,
    /// The goods.
    pub assignments: List<Assignment, 400>,
}

impl Designation {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if self.assignments.is_empty() {
            return Err(Malformed::new("portion/none"));
        }
        for assignment in &self.assignments {
            check_quantity(assignment.quantity)?;
            if assignment.goods.meant_for.as_ref() == Some(&assignment.recipient) {
                return Err(Malformed::new("designation/no-change"));
            }
        }
        Ok(())
    }
}
