//! What is said about gifts and statements (spec sections 5.26 to 5.32).

use bincode::{Decode, Encode};
use serde::Serialize;

use super::gift::{Goods, check_quantity};
use super::{Kind, Statement};
use crate::model::date::Date;
use crate::model::encoding::{Blob, Keyed, List, Malformed, codes};
use crate::model::hash::EventHash;
use crate::model::ident::{Handle, ShipmentId};
use crate::model::text::Text;

codes! {
    /// What is disputed.
    Claim {
        /// It did not arrive.
        NotReceived = 1 "not-received",
        /// Another quantity.
        Quantity = 2 "quantity",
        /// Another kind of goods.
        Item = 3 "item",
        /// Its condition.
        Condition = 4 "condition",
        /// It went to somebody else.
        Recipient = 5 "recipient",
        /// "I did not sign this."
        Signature = 6 "signature",
        /// Anything else, in words.
        Other = 99 "other",
    }

    /// What evidence is.
    EvidenceKind {
        /// A stamped paper receipt.
        PaperReceipt = 1 "paper-receipt",
        /// A photo or film.
        Photo = 2 "photo",
        /// An inspection report.
        Inspection = 3 "inspection",
        /// A publication, with address and period.
        Publication = 4 "publication",
        /// A campaign's report.
        Report = 5 "report",
        /// Anything else.
        Other = 99 "other",
    }
}

/// Somebody contradicts: a party of the gift's journey, its donor, or a registrar.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Dispute {
    /// The gift.
    pub gift: EventHash,
    /// What is disputed.
    pub claim: Claim,
    /// In words.
    pub text: Text<800>,
}

/// An answer stands beside the dispute.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Answer {
    /// The gift.
    pub gift: EventHash,
    /// The dispute.
    pub dispute: EventHash,
    /// In words.
    pub text: Text<800>,
}

/// Who disputed is content.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DisputeClosed {
    /// The gift.
    pub gift: EventHash,
    /// The dispute.
    pub dispute: EventHash,
    /// The outcome, in words.
    pub text: Text<800>,
}

/// A statement is replaced or voided by the parties that signed it, with keys valid now.
///
/// Both versions stay visible. It holds if the history of every gift that it touches, replayed
/// with the new statement in the old one's place, still balances; donor, final recipients, consent
/// and origin stay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Correction {
    /// The corrected event's entry.
    pub target_index: u64,
    /// The corrected event.
    pub target: EventHash,
    /// The kind of the corrected event.
    pub target_kind: u16,
    /// The statement that holds instead, of the same kind; empty to void it.
    pub replacement: Blob<30_000>,
}

impl Correction {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        self.replacement().map(|_| ())
    }

    /// The statement that holds instead; `None` voids.
    ///
    /// # Errors
    /// `correction/kind` for a kind that cannot be corrected, or where the bytes are not the one
    /// spelling of such a statement.
    pub fn replacement(&self) -> Result<Option<Statement>, Malformed> {
        let kind = Kind::from_number(self.target_kind)
            .filter(|kind| is_correctable(*kind))
            .ok_or(Malformed::new("correction/kind"))?;
        if self.replacement.as_bytes().is_empty() {
            return Ok(None);
        }
        Statement::from_bytes(kind, self.replacement.as_bytes()).map(Some)
    }
}

/// Whether statements of this kind can be corrected; the others have events of their own.
pub const fn is_correctable(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Donation
            | Kind::Dispatch
            | Kind::Delivery
            | Kind::Receipt
            | Kind::Count
            | Kind::Use
            | Kind::Disposal
    )
}

/// Goods of an item and lot, byte for byte, are to be kept from use.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Recall {
    /// The item.
    pub item: Text<200>,
    /// The lot; empty for every lot of the item.
    pub lot: Text<60>,
    /// The recall's number.
    pub number: Text<60>,
    /// In words.
    pub text: Text<400>,
}

/// A recall ends; by who signed it, or k registrars.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct RecallLifted {
    /// The recall.
    pub recall: EventHash,
    /// The item.
    pub item: Text<200>,
    /// The lot.
    pub lot: Text<60>,
}

/// What evidence says of some goods.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Testimony {
    /// Which goods.
    pub goods: Goods,
    /// So many of them.
    pub quantity: u64,
}

impl Keyed for Testimony {
    type Key<'a> = &'a Goods;

    fn key(&self) -> &Goods {
        &self.goods
    }
}

/// Evidence outside the log, by the SHA-256 in the head's documents. Moves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Attestation {
    /// What it is.
    pub evidence: EvidenceKind,
    /// In words.
    pub text: Text<2000>,
    /// Where it was published.
    pub url: Text<300>,
    /// The first day that it speaks of.
    pub from: Option<Date>,
    /// The last day that it speaks of.
    pub until: Option<Date>,
    /// Who has the original.
    pub held_by: Option<Handle>,
    /// Whom it names as having received, as written.
    pub recipient_name: Text<200>,
    /// The shipment that it is about.
    pub shipment: Option<ShipmentId>,
    /// The gifts' goods that it is about.
    pub goods: List<Testimony, 400>,
    /// What else it lists, as written: goods that are linked to no gift.
    pub listed: List<Listed, 400>,
}

/// Goods that a publication lists without a link to any gift.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Listed {
    /// The row, as the publication counts.
    pub row: u32,
    /// What, as written.
    pub item: Text<200>,
    /// How many.
    pub quantity: u64,
    /// Of which unit, as written.
    pub unit: Text<24>,
}

impl Keyed for Listed {
    type Key<'a> = u32;

    fn key(&self) -> u32 {
        self.row
    }
}

impl Attestation {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        self.goods.iter().try_for_each(|testimony| check_quantity(testimony.quantity))?;
        self.listed.iter().try_for_each(|listed| check_quantity(listed.quantity))
    }
}
