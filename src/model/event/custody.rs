//! Goods on their way, and what becomes of them (spec sections 5.18 to 5.25).

use bincode::{Decode, Encode};
use serde::Serialize;

use super::gift::{Goods, Portion, Portions, Value, check_portions, check_quantity};
use crate::model::date::Date;
use crate::model::encoding::{Keyed, List, Malformed, codes};
use crate::model::ident::{Handle, ShipmentId};
use crate::model::text::Text;

codes! {
    /// What a shipment is for.
    Purpose {
        /// For the taker's own use.
        Issue = 1 "issue",
        /// To be stored or passed on.
        Transfer = 2 "transfer",
        /// Back to where it came from.
        Return = 3 "return",
        /// To be given back.
        Loan = 4 "loan",
    }

    /// How goods are kept at rest.
    Condition {
        /// Fit for use and free to move.
        Good = 1 "good",
        /// Awaiting inspection.
        Pending = 2 "pending",
        /// Not fit for use.
        Damaged = 3 "damaged",
        /// May not move.
        OnHold = 4 "on-hold",
    }

    /// What became of goods that are gone.
    Fate {
        /// Lost or stolen.
        Lost = 1 "lost",
        /// Destroyed.
        Destroyed = 2 "destroyed",
        /// Past expiry, and disposed of.
        Expired = 3 "expired",
        /// Sold.
        Sold = 4 "sold",
        /// Lent outside the ledger.
        Lent = 5 "lent",
    }

    /// Why goods may not move.
    HoldCause {
        /// At customs.
        Customs = 1 "customs",
        /// A recall.
        Recall = 2 "recall",
        /// Quarantine.
        Quarantine = 3 "quarantine",
        /// An authority's order.
        Authority = 4 "authority",
    }
}

/// A package of a shipment: described, never balanced.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Package {
    /// Its mark.
    pub label: Text<40>,
    /// Its seal.
    pub seal: Text<40>,
    /// What is in it, in words.
    pub content: Text<120>,
}

impl Keyed for Package {
    type Key<'a> = &'a Text<40>;

    fn key(&self) -> &Text<40> {
        &self.label
    }
}

/// Goods leave a holder; signed by it, and by the carrier when it is a party.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Dispatch {
    /// The shipment; a shipment may span several dispatches.
    pub shipment: ShipmentId,
    /// To whom.
    pub taker: Handle,
    /// What for.
    pub purpose: Purpose,
    /// An enrolled carrier.
    pub carrier: Option<Handle>,
    /// The name of a carrier that is not enrolled.
    pub carrier_name: Text<120>,
    /// The carrier's number.
    pub waybill: Text<60>,
    /// How many packages.
    pub package_count: Option<u32>,
    /// Packages with marks and seals.
    pub packages: List<Package, 100>,
    /// When it should arrive.
    pub expected_on: Option<Date>,
    /// The goods.
    pub portions: Portions,
}

impl Dispatch {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        check_shipment(&self.shipment)?;
        if self.taker == self.shipment.giver {
            return Err(Malformed::new("shipment/to-oneself"));
        }
        let carries = self.carrier.as_ref();
        if carries == Some(&self.taker) || carries == Some(&self.shipment.giver) {
            return Err(Malformed::new("shipment/carrier-is-party-to-it"));
        }
        check_portions(&self.portions)
    }
}

fn check_shipment(shipment: &ShipmentId) -> Result<(), Malformed> {
    if shipment.number.is_empty() {
        return Err(Malformed::new("shipment/malformed"));
    }
    Ok(())
}

/// A claim of arrival by the carrier or the sender. Moves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Delivery {
    /// The shipment.
    pub shipment: ShipmentId,
    /// Where it was handed over.
    pub place: Text<200>,
    /// The carrier's number.
    pub waybill: Text<60>,
    /// At what time of the day, as written.
    pub time: Text<20>,
}

/// What was in fact in the package.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Actual {
    /// The item, if another.
    pub item: Text<200>,
    /// The lot.
    pub lot: Text<60>,
    /// Its expiry.
    pub expires_on: Option<Date>,
}

/// What arrived of some goods. All quantities may be zero in a closing receipt: nothing came.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Arrival {
    /// Which goods.
    pub goods: Goods,
    /// Taken, fit for use.
    pub accepted: u64,
    /// Taken, awaiting inspection.
    pub pending: u64,
    /// Taken, not fit for use.
    pub damaged: u64,
    /// Not taken: stays with the giver.
    pub rejected: u64,
    /// Came beyond what was sent.
    pub surplus: u64,
    /// What was in fact in the package.
    pub actual: Option<Actual>,
}

impl Keyed for Arrival {
    type Key<'a> = &'a Goods;

    fn key(&self) -> &Goods {
        &self.goods
    }
}

impl Arrival {
    /// What came of what was sent; `None` beyond all bounds.
    pub fn came(&self) -> Option<u64> {
        let some = self.accepted.checked_add(self.pending)?.checked_add(self.damaged)?;
        some.checked_add(self.rejected)
    }
}

/// The taker signs for what arrived: by shipment, or hand to hand together with the holder.
///
/// Every quantity is written out: what a clerk calls "all accepted, except ..." is signed line by
/// line, so that each gift's receipt can be read without any other record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Receipt {
    /// The shipment; none when the goods pass from hand to hand.
    pub shipment: Option<ShipmentId>,
    /// Who gave, hand to hand.
    pub giver: Option<Handle>,
    /// What for, hand to hand; of a shipment, its dispatch says so.
    pub purpose: Option<Purpose>,
    /// No more will come of these portions: what is missing is unaccounted between the two.
    pub closing: bool,
    /// Packages counted.
    pub package_count: Option<u32>,
    /// Temperature on arrival, as read.
    pub temperature: Text<40>,
    /// The goods.
    pub arrivals: List<Arrival, 400>,
}

impl Receipt {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        match (&self.shipment, &self.giver, self.purpose) {
            (Some(shipment), None, None) => check_shipment(shipment)?,
            (None, Some(_), Some(_)) if !self.closing => {}
            _ => return Err(Malformed::new("receipt/source")),
        }
        if self.arrivals.is_empty() {
            return Err(Malformed::new("portion/none"));
        }
        for arrival in &self.arrivals {
            let came = arrival.came().unwrap_or(u64::MAX);
            let all = came.saturating_add(arrival.surplus);
            if all == 0 && self.closing {
                continue;
            }
            check_quantity(all)?;
        }
        Ok(())
    }
}

/// What a holder found when it looked into its stock.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Finding {
    /// Which goods.
    pub goods: Goods,
    /// Packs opened.
    pub opened: u64,
    /// Pieces that were in them.
    pub loose: u64,
    /// Pending goods that passed inspection.
    pub passed: u64,
    /// Pending goods that failed it.
    pub failed: u64,
    /// Missing against the book.
    pub shortage: u64,
    /// More than the book says.
    pub surplus: u64,
    /// Found again, of what was unaccounted.
    pub found: u64,
}

impl Keyed for Finding {
    type Key<'a> = &'a Goods;

    fn key(&self) -> &Goods {
        &self.goods
    }
}

/// A holder looks into its stock.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Count {
    /// The unit of the loose pieces.
    pub loose_unit: Text<24>,
    /// The findings.
    pub findings: List<Finding, 400>,
}

impl Count {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if self.findings.is_empty() {
            return Err(Malformed::new("portion/none"));
        }
        for finding in &self.findings {
            let quantities = [
                finding.opened,
                finding.loose,
                finding.passed,
                finding.failed,
                finding.shortage,
                finding.surplus,
                finding.found,
            ];
            let all = quantities.iter().try_fold(0u64, |sum, quantity| sum.checked_add(*quantity));
            check_quantity(all.unwrap_or(u64::MAX))?;
            if (finding.opened > 0 || finding.loose > 0) && self.loose_unit.is_empty() {
                return Err(Malformed::new("count/no-loose-unit"));
            }
            if finding.opened == 0 && finding.loose > 0 {
                return Err(Malformed::new("count/loose-without-pack"));
            }
        }
        Ok(())
    }
}

/// What became of accepted goods.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Use {
    /// In which ward.
    pub ward: Text<120>,
    /// For what.
    pub purpose: Text<200>,
    /// The goods.
    pub portions: Portions,
}

/// Goods are gone.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Disposal {
    /// What became of them.
    pub fate: Fate,
    /// In which condition they were.
    pub condition: Condition,
    /// To whom, in words.
    pub to: Text<200>,
    /// What was paid for them.
    pub proceeds: Option<Value>,
    /// The goods.
    pub portions: Portions,
}

/// Goods may not move.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Hold {
    /// Why.
    pub cause: HoldCause,
    /// Who ordered it.
    pub authority: Text<200>,
    /// The goods.
    pub portions: Portions,
}

/// Goods may move again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Release {
    /// The goods.
    pub portions: Portions,
}

/// One portion, for callers that build portions.
impl Portion {
    /// So much of these goods.
    pub fn new(goods: Goods, quantity: u64) -> Self {
        Self { goods, quantity }
    }
}
