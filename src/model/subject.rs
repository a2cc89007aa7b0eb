//! What events are about (spec section 6.3).
//!
//! From a subject's newest entry one can walk along the links to its first, so that a few entries
//! and one inclusion path hold all that the log says about it.

use super::encoding::{self, Malformed};
use super::event::{Attestation, Statement};
use super::hash::{EventHash, HASH_LEN, SubjectHash, context_hash};
use super::ident::{GIFT_ID_LEN, GiftId, Handle, ShipmentId};
use super::seal::Sort;
use super::text::Text;

const CONTEXT: &[u8] = b"\xffgiftproof subject v1\0";

/// Something that events are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Registrars, operator, rules.
    Root,
    /// A party: its keys and particulars.
    Party(Handle),
    /// A gift, by its donation. Only the first 20 bytes, the gift's id, enter the hash.
    Gift(EventHash),
    /// An item and a lot of it, byte for byte: for recalls.
    Lot {
        /// The item.
        item: Text<200>,
        /// The lot; empty for every lot.
        lot: Text<60>,
    },
    /// A shipment.
    Shipment(ShipmentId),
    /// A need or an order, by the event that made it.
    Statement(EventHash),
}

/// A subject by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashedSubject {
    /// The hash.
    pub hash: SubjectHash,
    /// The table that it stands in; none for the root, and where only a link tells of it.
    pub sort: Option<Sort>,
}

impl From<&Subject> for HashedSubject {
    fn from(subject: &Subject) -> Self {
        Self { hash: subject.hash(), sort: Sort::of(subject) }
    }
}

impl From<SubjectHash> for HashedSubject {
    fn from(hash: SubjectHash) -> Self {
        Self { hash, sort: None }
    }
}

impl Subject {
    /// SHA-256(context || number of the sort || its encoding).
    ///
    /// Of a gift, the encoding is the 20 bytes of its id: so who holds nothing but an id can tell
    /// where the gift would stand, and be shown that it does not.
    pub fn hash(&self) -> SubjectHash {
        if let Subject::Gift(donation) = self {
            return Self::hash_of_gift_id(&GiftId::from(donation));
        }
        let (sort, bytes) = self.encoded();
        SubjectHash::from_bytes(context_hash(CONTEXT, &[&[sort], &bytes]))
    }

    /// The number of its sort, and its encoding: of a gift the 20 bytes of its id.
    pub fn encoded(&self) -> (u8, Vec<u8>) {
        match self {
            Subject::Root => (1, Vec::new()),
            Subject::Party(handle) => (2, encoding::encode(handle)),
            Subject::Gift(donation) => (3, GiftId::from(donation).as_bytes().to_vec()),
            Subject::Lot { item, lot } => (4, encoding::encode(&(item.clone(), lot.clone()))),
            Subject::Shipment(shipment) => (5, encoding::encode(shipment)),
            Subject::Statement(event) => (6, encoding::encode(event)),
        }
    }

    /// Reads what [`Self::encoded`] gives. Of a gift only the id is known then: zeros stand for the
    /// rest of its donation's hash.
    ///
    /// # Errors
    /// `code/unknown` for another sort, or where the bytes are not the one spelling of a subject.
    pub fn from_encoded(sort: u8, bytes: &[u8]) -> Result<Self, Malformed> {
        Ok(match sort {
            1 if bytes.is_empty() => Subject::Root,
            1 => return Err(Malformed::new("encoding/trailing")),
            2 => Subject::Party(encoding::decode(bytes)?),
            3 => {
                let id: [u8; GIFT_ID_LEN] =
                    bytes.try_into().map_err(|_| Malformed::new("encoding/truncated"))?;
                let mut donation = [0; HASH_LEN];
                donation[..GIFT_ID_LEN].copy_from_slice(&id);
                Subject::Gift(EventHash::from_bytes(donation))
            }
            4 => {
                let (item, lot) = encoding::decode(bytes)?;
                Subject::Lot { item, lot }
            }
            5 => Subject::Shipment(encoding::decode(bytes)?),
            6 => Subject::Statement(encoding::decode(bytes)?),
            _ => return Err(Malformed::new("code/unknown")),
        })
    }

    /// The hash of the gift with this id, whether there is one or not.
    pub fn hash_of_gift_id(id: &GiftId) -> SubjectHash {
        SubjectHash::from_bytes(context_hash(CONTEXT, &[&[3], id.as_bytes()]))
    }

    /// The hash of the shipment with this id.
    pub fn hash_of_shipment(id: &ShipmentId) -> SubjectHash {
        SubjectHash::from_bytes(context_hash(CONTEXT, &[&[5], &encoding::encode(id)]))
    }

    /// The hashes of subjects, in order, each once: gifts that share an id share a hash.
    pub fn hashed<'a>(subjects: impl IntoIterator<Item = &'a Self>) -> Vec<HashedSubject> {
        let mut hashed: Vec<_> = subjects.into_iter().map(HashedSubject::from).collect();
        hashed.sort_unstable();
        hashed.dedup();
        hashed
    }

    /// Adds the subjects of a statement, some of them perhaps more than once; `own` is the hash of its event.
    pub(super) fn of_statement(
        statement: &Statement,
        own: EventHash,
        into: &mut impl Extend<Self>,
    ) {
        let mut gift = |gift: &EventHash| {
            into.extend([Subject::Gift(*gift)]);
        };
        match statement {
            Statement::Donation(_) => gift(&own),
            Statement::Withdrawal(s) => s.portions.iter().for_each(|p| gift(&p.goods.gift)),
            Statement::GiftTakenOver(s) => gift(&s.gift),
            Statement::Designation(s) => {
                s.assignments.iter().for_each(|a| gift(&a.goods.gift));
                into.extend(s.order.map(Subject::Statement));
            }
            Statement::Dispatch(s) => {
                s.portions.iter().for_each(|p| gift(&p.goods.gift));
                into.extend([Subject::Shipment(s.shipment.clone())]);
            }
            Statement::Receipt(s) => {
                s.arrivals.iter().for_each(|a| gift(&a.goods.gift));
                into.extend(s.shipment.clone().map(Subject::Shipment));
            }
            Statement::Count(s) => s.findings.iter().for_each(|f| gift(&f.goods.gift)),
            Statement::Use(s) => s.portions.iter().for_each(|p| gift(&p.goods.gift)),
            Statement::Disposal(s) => s.portions.iter().for_each(|p| gift(&p.goods.gift)),
            Statement::Hold(s) => s.portions.iter().for_each(|p| gift(&p.goods.gift)),
            Statement::Release(s) => s.portions.iter().for_each(|p| gift(&p.goods.gift)),
            Statement::Dispute(s) => gift(&s.gift),
            Statement::Answer(s) => gift(&s.gift),
            Statement::DisputeClosed(s) => gift(&s.gift),
            Statement::Attestation(Attestation { goods, shipment, .. }) => {
                goods.iter().for_each(|testimony| gift(&testimony.goods.gift));
                into.extend(shipment.clone().map(Subject::Shipment));
            }
            Statement::Delivery(s) => {
                into.extend([Subject::Shipment(s.shipment.clone())]);
            }
            Statement::Order(_) | Statement::NeedDeclared(_) => {
                into.extend([Subject::Statement(own)]);
            }
            Statement::NeedClosed(s) => {
                into.extend([Subject::Statement(s.need)]);
            }
            Statement::Recall(s) => {
                into.extend([Subject::Lot { item: s.item.clone(), lot: s.lot.clone() }]);
            }
            Statement::RecallLifted(s) => {
                into.extend([Subject::Lot { item: s.item.clone(), lot: s.lot.clone() }]);
            }
            Statement::Correction(s) => {
                if let Ok(Some(replacement)) = s.replacement() {
                    Subject::of_statement(&replacement, s.target, into);
                }
            }
            Statement::PartyEnrolled(s) => party(&s.handle, into),
            Statement::KeyAdded(s) => party(&s.handle, into),
            Statement::KeyRotated(s) => party(&s.handle, into),
            Statement::KeyRevoked(s) => party(&s.handle, into),
            Statement::KeyCompromised(s) => party(&s.handle, into),
            Statement::PartyUpdated(s) => party(&s.handle, into),
            Statement::LedgerCreated(_)
            | Statement::RegistrarsChanged(_)
            | Statement::OperatorRotated(_)
            | Statement::RulesChanged(_) => {
                into.extend([Subject::Root]);
            }
            Statement::EpochSealed(_) => {}
        }
    }
}

fn party(handle: &Handle, into: &mut impl Extend<Subject>) {
    into.extend([Subject::Party(handle.clone())]);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a_gift_is_hashed_by_its_id() {
        let donation = EventHash::from_bytes(std::array::from_fn(|at| at as u8));
        let mut bytes = b"\xffgiftproof subject v1\0\x03".to_vec();
        bytes.extend(0u8..20);
        let expected = SubjectHash::from_bytes(Sha256::digest(&bytes).into());
        assert_eq!(Subject::Gift(donation).hash(), expected);
        assert_eq!(Subject::hash_of_gift_id(&GiftId::from(&donation)), expected);
    }

    #[test]
    fn gifts_with_one_id_are_linked_once() {
        let gift = |last| {
            let mut bytes = [7; 32];
            bytes[31] = last;
            Subject::Gift(EventHash::from_bytes(bytes))
        };
        let subjects = BTreeSet::from([gift(1), Subject::Root, gift(2)]);
        let mut expected = vec![gift(1).hash(), Subject::Root.hash()];
        expected.sort();
        let hashes: Vec<_> = Subject::hashed(&subjects).iter().map(|hashed| hashed.hash).collect();
        assert_eq!(hashes, expected);
    }
}
