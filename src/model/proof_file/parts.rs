//! What belongs into a proof (spec section 17.2): its subjects, and the entries beside theirs.

use std::collections::{BTreeMap, BTreeSet};

use super::About;
use crate::model::encoding::Malformed;
use crate::model::entry::{Header, OpenEvent};
use crate::model::event::{Capacity, Statement};
use crate::model::hash::{EventHash, SubjectHash};
use crate::model::ident::{EntryIndex, Handle};
use crate::model::state::Gift;
use crate::model::subject::Subject;
use crate::model::text::Text;

/// An entry of a proof.
#[derive(Clone, Debug)]
pub struct Part {
    /// What the operator added.
    pub header: Header,
    /// The event, if it can be read.
    pub event: Result<OpenEvent, Malformed>,
}

/// The entries of a proof.
pub type Parts = BTreeMap<EntryIndex, Part>;

/// An entry that belongs into a proof although it touches none of its subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Further {
    /// The order that a designation of the gift cites.
    Order(EventHash),
    /// The entry that a correction corrects.
    Target(EntryIndex),
}

impl Part {
    /// What it states; none if it cannot be read, or is of a kind that this build does not know.
    pub fn statement(&self) -> Option<&Statement> {
        self.event.as_ref().ok().and_then(|event| event.statement.as_ref())
    }

    /// Whether it has a link of this subject.
    pub fn links(&self, subject: &SubjectHash) -> bool {
        self.header.links.find(*subject).is_some()
    }

    /// What it says, or what a correction says in place of another.
    fn words(&self) -> Option<std::borrow::Cow<'_, Statement>> {
        match self.statement()? {
            Statement::Correction(s) => s.replacement().ok().flatten().map(std::borrow::Cow::Owned),
            statement => Some(std::borrow::Cow::Borrowed(statement)),
        }
    }
}

/// The subjects of a proof, as far as the entries at hand tell. `gift` is what a replay has made of
/// them, of all the log or of a part.
pub fn subjects(about: &About, gift: Option<&Gift>, parts: &Parts) -> BTreeSet<Subject> {
    let mut subjects = BTreeSet::from([Subject::Root]);
    let donation = match about {
        // All that counts of a gift's name is its first 20 bytes.
        About::NoGift(id) => {
            subjects.insert(Subject::Gift(id.first_hash()));
            return subjects;
        }
        About::Gift(donation) => *donation,
    };
    let own = Subject::Gift(donation).hash();
    subjects.insert(Subject::Gift(donation));
    let of_gift = parts.values().filter(|part| part.links(&own));
    for words in of_gift.filter_map(Part::words) {
        subjects.extend(match words.as_ref() {
            Statement::Dispatch(s) => Some(Subject::Shipment(s.shipment.clone())),
            Statement::Receipt(s) => s.shipment.clone().map(Subject::Shipment),
            _ => None,
        });
    }
    let held = gift.into_iter().flat_map(|gift| gift.lots().chain(gift.actual.iter().cloned()));
    for (item, lot) in held {
        let every = Subject::Lot { item: item.clone(), lot: Text::default() };
        subjects.extend([every, Subject::Lot { item, lot }]);
    }
    let mut parties = BTreeSet::new();
    for part in parts.values().filter(|part| speaks(part, &own)) {
        let head = part.event.as_ref().map(|event| &event.head);
        let signers = head.iter().flat_map(|head| head.signers.iter());
        let as_parties = signers
            .filter(|signer| !matches!(signer.capacity, Capacity::Registrar | Capacity::Operator));
        parties.extend(as_parties.filter_map(|signer| signer.party.clone()));
        if let Some(words) = part.words() {
            parties.extend(named(&words, &donation));
        }
    }
    subjects.extend(parties.into_iter().map(Subject::Party));
    subjects
}

/// Whether an entry is judged for what it says, and not only as one of the root or of a party.
fn speaks(part: &Part, own: &SubjectHash) -> bool {
    match part.statement() {
        None => false,
        Some(Statement::Attestation(_)) => part.links(own),
        Some(statement) => !statement.kind().is_of_root_or_party(),
    }
}

/// The parties that a statement names, as far as it is about this gift.
fn named(statement: &Statement, gift: &EventHash) -> Vec<Handle> {
    let mut named = Vec::new();
    match statement {
        Statement::Donation(s) => {
            named.extend(s.donor.party.iter().chain(&s.taker).cloned());
            let shares = s.lines.iter().flat_map(|line| &line.shares);
            named.extend(shares.map(|share| share.recipient.clone()));
        }
        Statement::GiftTakenOver(s) => named.extend(s.donor.party.clone()),
        Statement::Order(s) => named.extend([s.holder.clone(), s.recipient.clone()]),
        Statement::Designation(s) => {
            named.push(s.holder.clone());
            let mine = s.assignments.iter().filter(|a| a.goods.gift == *gift);
            named.extend(mine.map(|assignment| assignment.recipient.clone()));
        }
        Statement::Dispatch(s) => {
            named.extend([s.shipment.giver.clone(), s.taker.clone()]);
            named.extend(s.carrier.clone());
        }
        Statement::Delivery(s) => named.push(s.shipment.giver.clone()),
        Statement::Receipt(s) => {
            named.extend(s.giver.clone());
            named.extend(s.shipment.as_ref().map(|shipment| shipment.giver.clone()));
        }
        Statement::Attestation(s) => named.extend(s.held_by.clone()),
        _ => {}
    }
    named
}

/// The entries that belong into a proof beside those of its subjects.
pub fn further(about: &About, parts: &Parts) -> BTreeSet<Further> {
    let About::Gift(donation) = about else { return BTreeSet::new() };
    let own = Subject::Gift(*donation).hash();
    let further = |part: &Part| match part.statement()? {
        Statement::Designation(s) if part.links(&own) => s.order.map(Further::Order),
        Statement::Correction(s) => Some(Further::Target(s.target_index)),
        _ => None,
    };
    parts.values().filter_map(further).collect()
}
