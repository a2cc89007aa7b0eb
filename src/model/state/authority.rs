//! Who must sign what, and in which role (spec section 7.3).

use super::parties::Owner;
use super::signers::Signers;
use super::{History, Recorded, State};
use crate::model::event::*;
use crate::model::hash::EventHash;
use crate::model::violation::{Code, Violation};

impl State {
    pub(super) fn authorise_genesis(
        &self,
        head: &Head,
        genesis: &LedgerCreated,
    ) -> Result<(), Violation> {
        let mut signers = Signers::new(head, &self.parties);
        if !signers.operator()? {
            return Err(Violation::new(Code::SignerMissing, "operator", ()));
        }
        let registrars = signers.registrars()?;
        if registrars.len() < genesis.registrars.len() {
            let (all, some) = (genesis.registrars.len(), registrars.len());
            return Err(Violation::new(Code::RegistrarsTooFew, all, some));
        }
        signers.finish()
    }

    pub(super) fn authorise(
        &self,
        head: &Head,
        statement: &Statement,
        entry: &Recorded,
        history: &dyn History,
    ) -> Result<(), Violation> {
        let mut signers = Signers::new(head, &self.parties);
        match statement {
            Statement::LedgerCreated(_) => {
                return Err(Violation::new(Code::GenesisPlace, 0u64, entry.index));
            }
            Statement::PartyEnrolled(s) => self.may_enrol(s, &mut signers)?,
            Statement::KeyAdded(s) => {
                self.parties.require(&s.handle)?;
                self.parties.check_new_key(&s.key)?;
                signers.new_key(Some(&s.handle), &s.key)?;
                // A party that nobody vouches for speaks for its own keys; never the operator,
                // who could then sign in the name of a donor.
                let vouched = self.parties.require(&s.handle)?.needs_vouching();
                match signers.party(Capacity::Oneself)? {
                    Some(party) if *party == s.handle && !vouched => {}
                    Some(party) => {
                        return Err(Violation::new(Code::SignerWrong, "registrar", party));
                    }
                    None => {
                        signers.enough_registrars()?;
                    }
                }
            }
            Statement::KeyRotated(s) => {
                self.parties.require(&s.handle)?;
                self.parties.check_new_key(&s.new)?;
                let owner = Owner::Party(s.handle.clone());
                self.parties.check_key(&s.old, &owner)?;
                signers.new_key(Some(&s.handle), &s.new)?;
                // A key that is known to be in the wrong hands cannot name its own successor.
                let clean = self.parties.key(&s.old).is_some_and(|k| k.compromised_since.is_none());
                if !signers.key(Capacity::Oneself, Some(&s.handle), &s.old) || !clean {
                    signers.enough_registrars()?;
                }
            }
            // Another key of the same party cannot: a thief of one key would lock out the rest.
            Statement::KeyRevoked(s) => {
                self.parties.require(&s.handle)?;
                self.parties.check_key(&s.key, &Owner::Party(s.handle.clone()))?;
                if !signers.key(Capacity::Oneself, Some(&s.handle), &s.key) {
                    signers.enough_registrars()?;
                }
            }
            Statement::KeyCompromised(s) => {
                self.parties.require(&s.handle)?;
                let owner = Owner::Party(s.handle.clone());
                if self.parties.key(&s.key).is_none_or(|record| record.owner != owner) {
                    return Err(Violation::new(Code::KeyNotOfParty, &s.handle, s.key));
                }
                match signers.party(Capacity::Oneself)? {
                    Some(party) if *party == s.handle => {}
                    Some(party) => {
                        return Err(Violation::new(Code::SignerWrong, &s.handle, party));
                    }
                    None => {
                        signers.enough_registrars()?;
                    }
                }
            }
            Statement::PartyUpdated(s) => {
                let party = self.parties.require(&s.handle)?;
                if party.vouched_since.is_some()
                    && party.particulars == s.particulars
                    && party.successor == s.successor
                {
                    return Err(Violation::new(Code::NoChange, (), &s.handle));
                }
                if let Some(successor) = &s.successor
                    && !self.scope.is_part()
                {
                    self.parties.require(successor)?;
                }
                signers.enough_registrars()?;
            }
            Statement::RegistrarsChanged(s) => self.may_change_registrars(s, &mut signers)?,
            Statement::OperatorRotated(s) => {
                self.parties.check_new_key(&s.key)?;
                signers.new_key(Some(&self.parties.operator), &s.key)?;
                signers.enough_registrars()?;
            }
            Statement::RulesChanged(_) => {
                signers.enough_registrars()?;
            }
            Statement::NeedDeclared(_) => {
                let party = signers.some_party(Capacity::Recipient)?;
                self.parties.require_role(party, &[Role::Recipient])?;
            }
            Statement::NeedClosed(s) => {
                let open = self.needs.get(&s.need).filter(|need| need.closed.is_none());
                let need = open.ok_or(Violation::new(Code::NeedUnknown, (), s.need))?;
                signers.this_party(Capacity::Recipient, &need.recipient)?;
            }
            Statement::Donation(s) => self.may_donate(s, &mut signers)?,
            Statement::Withdrawal(s) => {
                let gifts = s.portions.iter().map(|portion| portion.goods.gift);
                self.donor_or_taker(gifts, &mut signers)?;
            }
            Statement::GiftTakenOver(s) => self.may_take_over(s, &mut signers)?,
            Statement::Order(s) => {
                let party = signers.some_party(Capacity::Coordinator)?;
                self.parties.require_role(party, &[Role::Coordinator])?;
                self.parties.require(&s.holder)?;
                self.parties.require_role(&s.recipient, &[Role::Recipient])?;
            }
            Statement::Designation(s) => self.may_designate(s, head, &mut signers)?,
            Statement::Dispatch(s) => self.may_dispatch(s, &mut signers)?,
            Statement::Delivery(s) => {
                let shipment = self.shipments.get(&s.shipment);
                let shipment =
                    shipment.ok_or_else(|| Violation::new(Code::ShipmentUnknown, (), ()))?;
                match signers.party(Capacity::Carrier)? {
                    Some(party) if Some(party) == shipment.carrier.as_ref() => {}
                    Some(party) => {
                        let expected = shipment.carrier.as_ref().unwrap_or(&shipment.id.giver);
                        return Err(Violation::new(Code::SignerWrong, expected, party));
                    }
                    None => signers.this_party(Capacity::Holder, &s.shipment.giver)?,
                }
            }
            Statement::Receipt(s) => {
                let taker = signers.some_party(Capacity::Taker)?;
                let sent = s.shipment.as_ref().and_then(|id| self.shipments.get(id));
                let sent = sent.filter(|sent| sent.taker == *taker);
                // What comes back may come back to a donor.
                if s.purpose.or(sent.map(|sent| sent.purpose)) != Some(Purpose::Return) {
                    self.parties.require_custodian(taker)?;
                }
                if let Some(giver) = &s.giver {
                    if giver == taker {
                        return Err(Violation::new(Code::SameParty, (), giver));
                    }
                    signers.this_party(Capacity::Holder, giver)?;
                }
            }
            Statement::Count(_)
            | Statement::Use(_)
            | Statement::Disposal(_)
            | Statement::Hold(_)
            | Statement::Release(_) => {
                signers.some_party(Capacity::Holder)?;
            }
            Statement::Dispute(s) => self.may_speak_of(&s.gift, &mut signers)?,
            Statement::Answer(s) => self.may_speak_of(&s.gift, &mut signers)?,
            Statement::DisputeClosed(s) => self.may_speak_of(&s.gift, &mut signers)?,
            Statement::Correction(s) => return self.may_correct(s, head, history),
            Statement::Recall(_) => {
                if let Some(party) = signers.party(Capacity::Speaker)? {
                    self.parties.require_role(party, &[Role::Maker, Role::Regulator])?;
                } else if signers.registrars()?.len() != 1 {
                    return Err(Violation::new(Code::SignerMissing, "speaker", ()));
                }
            }
            Statement::RecallLifted(s) => {
                let unknown = Violation::new(Code::RecallUnknown, (), s.recall);
                let recalls = self.recalls.get(&(s.item.clone(), s.lot.clone()));
                let open = |recall: &&super::RecallState| {
                    recall.event == s.recall && recall.lifted.is_none()
                };
                let recall = recalls.and_then(|list| list.iter().find(open)).ok_or(unknown)?;
                match signers.party(Capacity::Speaker)? {
                    Some(party) if *party == recall.by => {}
                    Some(party) => {
                        return Err(Violation::new(Code::SignerWrong, &recall.by, party));
                    }
                    None => {
                        let registrars = signers.registrars()?;
                        if !registrars.contains(&recall.by) {
                            signers.check_enough(&registrars)?;
                        }
                    }
                }
            }
            Statement::Attestation(s) => {
                signers.some_party(Capacity::Speaker)?;
                if let Some(holder) = &s.held_by {
                    self.parties.require(holder)?;
                }
                if let Some(id) = &s.shipment
                    && !self.shipments.contains(id)
                    && !self.scope.is_part()
                {
                    return Err(Violation::new(Code::ShipmentUnknown, (), &id.giver));
                }
            }
            Statement::EpochSealed(_) => {
                if !signers.operator()? {
                    return Err(Violation::new(Code::SignerMissing, "operator", ()));
                }
            }
        }
        signers.finish()
    }

    fn may_enrol(&self, s: &PartyEnrolled, signers: &mut Signers) -> Result<(), Violation> {
        self.parties.check_new_handle(&s.handle)?;
        self.parties.check_new_key(&s.key)?;
        signers.new_key(Some(&s.handle), &s.key)?;
        let registrars = signers.registrars()?.len();
        let operator = signers.operator()?;
        let vouched = s.roles.iter().any(|role| role.is_vouched());
        if registrars > 0 || (operator && !vouched) {
            return Ok(());
        }
        Err(Violation::new(Code::RegistrarsTooFew, 1u64, 0u64))
    }

    fn may_change_registrars(
        &self,
        s: &RegistrarsChanged,
        signers: &mut Signers,
    ) -> Result<(), Violation> {
        for registrar in &s.registrars {
            if self.parties.registrars.contains(registrar) {
                continue;
            }
            if !self.parties.is_registrars(&registrar.handle) {
                self.parties.check_new_handle(&registrar.handle)?;
            }
            self.parties.check_new_key(&registrar.key)?;
            signers.new_key(Some(&registrar.handle), &registrar.key)?;
        }
        signers.enough_registrars().map(|_| ())
    }

    fn may_donate(&self, s: &Donation, signers: &mut Signers) -> Result<(), Violation> {
        if let Some(taker) = &s.taker {
            self.parties.require_custodian(taker)?;
        }
        for share in s.lines.iter().flat_map(|line| &line.shares) {
            self.parties.require_role(&share.recipient, &[Role::Recipient])?;
        }
        let taker_signs = match &s.taker {
            Some(taker) => match signers.party(Capacity::Taker)? {
                Some(signer) if signer == taker => true,
                Some(signer) => return Err(Violation::new(Code::SignerWrong, taker, signer)),
                None => false,
            },
            None => false,
        };
        match (s.donor.kind, &s.donor.party, &s.donor.key) {
            (DonorKind::Enrolled, Some(donor), _) => {
                self.parties.require_role(donor, &[Role::Donor])?;
                return signers.this_party(Capacity::Donor, donor);
            }
            (DonorKind::Slip, Some(issuer), _) => {
                self.parties.require(issuer)?;
            }
            _ => {}
        }
        if let Some(key) = &s.donor.key {
            self.parties.check_new_key(key)?;
            if !signers.key(Capacity::Donor, None, key) {
                return Err(Violation::new(Code::SignerMissing, *key, ()));
            }
        }
        if taker_signs {
            Ok(())
        } else {
            Err(Violation::new(Code::SignerMissing, Capacity::Taker.word(), ()))
        }
    }

    /// The donor of every gift (its own key, or the enrolled donor), or the taker of every gift.
    fn donor_or_taker(
        &self,
        gifts: impl Iterator<Item = EventHash>,
        signers: &mut Signers,
    ) -> Result<(), Violation> {
        let taker = signers.party(Capacity::Taker)?;
        let donor = if taker.is_none() { signers.party(Capacity::Donor)? } else { None };
        for id in gifts.filter(|id| self.scope.covers(id)) {
            let gift = self.known_gift(&id)?;
            let is_taker = taker.is_some() && gift.donation.taker.as_ref() == taker;
            let is_donor = donor.is_some() && gift.donor.party.as_ref() == donor;
            if !is_taker && !is_donor {
                let found = taker.or(donor);
                let expected = gift.donation.taker.as_ref().or(gift.donor.party.as_ref());
                return Err(Violation::new(Code::SignerWrong, expected, found));
            }
        }
        Ok(())
    }

    fn may_take_over(&self, s: &GiftTakenOver, signers: &mut Signers) -> Result<(), Violation> {
        let gift = self.known_gift(&s.gift)?;
        let slip = (gift.donor.kind == DonorKind::Slip).then_some(gift.donor.key).flatten();
        let refused =
            Violation::new(Code::TakeOver, DonorKind::Slip.word(), gift.donor.kind.word());
        let slip = slip.ok_or(refused.clone())?;
        if !signers.key(Capacity::Donor, None, &slip) {
            return Err(Violation::new(Code::SignerMissing, slip, ()));
        }
        match (s.donor.kind, &s.donor.party, &s.donor.key) {
            (DonorKind::OneTimeKey, _, Some(key)) => {
                self.parties.check_new_key(key)?;
                signers.new_key(None, key)
            }
            (DonorKind::Enrolled, Some(donor), _) => {
                self.parties.require_role(donor, &[Role::Donor])?;
                // Who takes the goods, or issued the slip, cannot make itself their donor.
                if gift.donation.taker.as_ref() == Some(donor)
                    || gift.donor.party.as_ref() == Some(donor)
                {
                    return Err(Violation::new(Code::SameParty, (), donor));
                }
                signers.this_party(Capacity::Oneself, donor)
            }
            _ => Err(refused),
        }
    }

    fn may_designate(
        &self,
        s: &Designation,
        head: &Head,
        signers: &mut Signers,
    ) -> Result<(), Violation> {
        self.parties.require(&s.holder)?;
        for assignment in s.assignments.iter().filter(|a| self.scope.covers(&a.goods.gift)) {
            self.parties.require_role(&assignment.recipient, &[Role::Recipient])?;
        }
        match signers.party(Capacity::Coordinator)? {
            Some(party) => {
                self.parties.require_role(party, &[Role::Coordinator])?;
            }
            None => signers.this_party(Capacity::Holder, &s.holder)?,
        }
        if s.consent == Consent::Signed {
            self.take_donors(s, head, signers)?;
        }
        Ok(())
    }

    /// Takes the donors of the gifts that change their recipient out of the signers.
    fn take_donors(
        &self,
        s: &Designation,
        head: &Head,
        signers: &mut Signers,
    ) -> Result<(), Violation> {
        for assignment in s.assignments.iter().filter(|a| self.scope.covers(&a.goods.gift)) {
            let donor = &self.known_gift(&assignment.goods.gift)?.donor;
            let (party, key) = match (&donor.party, &donor.key) {
                (_, Some(key)) => (None, *key),
                (Some(party), None) => {
                    let signer = head.signers_as(Capacity::Donor);
                    let mut signer = signer.filter(|signer| signer.party.as_ref() == Some(party));
                    let Some(signer) = signer.next() else { continue };
                    self.parties.check_key(&signer.key, &Owner::Party(party.clone()))?;
                    (Some(party), signer.key)
                }
                (None, None) => continue,
            };
            signers.key(Capacity::Donor, party, &key);
        }
        if self.scope.is_part() {
            // Others sign for gifts that are not known here.
            signers.leave_out(Capacity::Donor);
        }
        Ok(())
    }

    fn may_dispatch(&self, s: &Dispatch, signers: &mut Signers) -> Result<(), Violation> {
        let giver = &s.shipment.giver;
        self.parties.require(giver)?;
        if s.purpose == Purpose::Return {
            self.parties.require(&s.taker)?;
        } else {
            self.parties.require_custodian(&s.taker)?;
        }
        if let Some(carrier) = &s.carrier {
            self.parties.require_role(carrier, &[Role::Carrier])?;
        }
        signers.this_party(Capacity::Holder, giver)?;
        match signers.party(Capacity::Carrier)? {
            Some(party) if Some(party) != s.carrier.as_ref() => {
                let expected = s.carrier.as_ref().unwrap_or(giver);
                Err(Violation::new(Code::SignerWrong, expected, party))
            }
            _ => Ok(()),
        }
    }

    /// A party of the gift's journey, its donor, or one registrar.
    fn may_speak_of(&self, gift: &EventHash, signers: &mut Signers) -> Result<(), Violation> {
        let gift = self.known_gift(gift)?;
        if let Some(key) = gift.donor.key
            && signers.key(Capacity::Donor, None, &key)
        {
            return Ok(());
        }
        if let Some(party) = signers.party(Capacity::Speaker)? {
            if gift.journey.contains(party) {
                return Ok(());
            }
            return Err(Violation::new(Code::SignerWrong, "party-of-the-journey", party));
        }
        match signers.registrars()?.len() {
            1 => Ok(()),
            _ => Err(Violation::new(Code::SignerMissing, Capacity::Speaker.word(), ())),
        }
    }
}
