//! What every event says beside its statement (spec section 4.2).

use bincode::{Decode, Encode};
use serde::Serialize;

use super::{Anchor, SIGNERS_MAX};
use crate::model::date::{Date, UnixMs};
use crate::model::encoding::{Keyed, List, Malformed, codes};
use crate::model::hash::Digest32;
use crate::model::ident::{Handle, KeyBytes};
use crate::model::text::Text;

/// The head of every event, of every kind and version.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Head {
    /// The day on which it happened, if known.
    pub occurred_on: Option<Date>,
    /// When it was signed, by the signer's clock.
    pub signed_at: UnixMs,
    /// 16 random bytes: two equal statements are still two events.
    #[serde(serialize_with = "hex::serde::serialize")]
    pub nonce: [u8; 16],
    /// The newest entry that the signer had seen; none when it was offline.
    pub anchor: Option<Anchor>,
    /// Documents that the statement refers to.
    pub documents: List<Document, 32>,
    /// Why, where a reason is owed.
    pub reason: Option<Reason>,
    /// Who signs. The signatures stand in this order.
    pub signers: List<Signer, SIGNERS_MAX>,
}

impl Head {
    pub(super) fn check(&self) -> Result<(), Malformed> {
        if self.signers.is_empty() {
            return Err(Malformed::new("signer/none"));
        }
        let mut keys: Vec<_> = self.signers.iter().map(|signer| signer.key).collect();
        keys.sort();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Malformed::new("signer/duplicate-key"));
        }
        Ok(())
    }

    /// The signers in this capacity.
    pub fn signers_as(&self, capacity: Capacity) -> impl Iterator<Item = &Signer> {
        self.signers.iter().filter(move |signer| signer.capacity == capacity)
    }

    /// The only signer in this capacity.
    pub fn signer_as(&self, capacity: Capacity) -> Option<&Signer> {
        self.signers_as(capacity).next()
    }
}

/// A signer, as named inside the signed body.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Signer {
    /// The party; none for a key that belongs to a gift alone.
    pub party: Option<Handle>,
    /// The key.
    pub key: KeyBytes,
    /// As what it signs.
    pub capacity: Capacity,
}

impl Keyed for Signer {
    type Key<'a> = (Capacity, Option<&'a Handle>, KeyBytes);

    fn key(&self) -> Self::Key<'_> {
        (self.capacity, self.party.as_ref(), self.key)
    }
}

codes! {
    /// As what somebody signs.
    Capacity {
        /// Runs the ledger.
        Operator = 1 "operator",
        /// Vouches for keys.
        Registrar = 2 "registrar",
        /// The party that the event is about.
        Oneself = 3 "self",
        /// With a key that comes in with this event, as proof of possession.
        NewKey = 4 "new-key",
        /// Gives.
        Donor = 5 "donor",
        /// Takes into its custody.
        Taker = 6 "taker",
        /// Answers for the goods now.
        Holder = 7 "holder",
        /// Carries.
        Carrier = 8 "carrier",
        /// Is the final recipient.
        Recipient = 9 "recipient",
        /// Decides who gets what.
        Coordinator = 10 "coordinator",
        /// Contradicts, answers, attests or recalls.
        Speaker = 11 "speaker",
    }

    /// What a document is.
    DocumentKind {
        /// A waybill.
        Waybill = 1 "waybill",
        /// A donation receipt or certificate.
        DonationReceipt = 2 "donation-receipt",
        /// A delivery note or packing list.
        DeliveryNote = 3 "delivery-note",
        /// A stamped paper receipt.
        PaperReceipt = 4 "paper-receipt",
        /// An order of an authority.
        Order = 5 "order",
        /// A published notice.
        Notice = 6 "notice",
        /// Photo or film.
        Photo = 7 "photo",
        /// Test or inspection report.
        Inspection = 8 "inspection",
        /// A customs paper.
        Customs = 9 "customs",
        /// A donor's consent on paper.
        Consent = 10 "consent",
        /// A purchase order or contract.
        Contract = 11 "contract",
        /// Anything else.
        Other = 99 "other",
    }

    /// Why something was done.
    ReasonCode {
        /// A slip of the pen.
        Typing = 1 "typing",
        /// The goods are not what was written.
        Description = 2 "description",
        /// Another quantity was counted.
        Quantity = 3 "quantity",
        /// The donor wants it so.
        DonorsWish = 4 "donors-wish",
        /// The recipient cannot use it.
        NotUsable = 5 "not-usable",
        /// Need is greater elsewhere.
        GreaterNeed = 6 "greater-need",
        /// Packing was wet or torn.
        Packing = 7 "packing",
        /// Standard or registration is missing.
        Standard = 8 "standard",
        /// An authority ordered it.
        Authority = 9 "authority",
        /// Past its expiry.
        Expired = 10 "expired",
        /// Entered twice.
        Duplicate = 11 "duplicate",
        /// Anything else, in words.
        Other = 99 "other",
    }
}

/// A document, by number and, where its bytes are at hand, by hash.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// Its number, as people write it.
    pub number: Text<80>,
    /// SHA-256 of its bytes.
    pub sha256: Option<Digest32>,
}

impl Keyed for Document {
    type Key<'a> = (DocumentKind, &'a Text<80>, Option<Digest32>);

    fn key(&self) -> Self::Key<'_> {
        (self.kind, &self.number, self.sha256)
    }
}

/// A reason: a code, and words.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Reason {
    /// The code.
    pub code: ReasonCode,
    /// In words.
    pub text: Text<400>,
}
