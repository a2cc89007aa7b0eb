//! Takes the signers of an event one by one, each with the right to be there (spec section 7.3).

use crate::model::event::{Capacity, Head, Signer};
use crate::model::ident::{Handle, KeyBytes};
use crate::model::violation::{Code, Violation};

use super::parties::{Owner, Parties};

/// The signers of an event that nobody has asked for yet.
pub(super) struct Signers<'a> {
    parties: &'a Parties,
    left: Vec<&'a Signer>,
}

impl<'a> Signers<'a> {
    pub(super) fn new(head: &'a Head, parties: &'a Parties) -> Self {
        Self { parties, left: head.signers.iter().collect() }
    }

    fn take(&mut self, wanted: impl Fn(&Signer) -> bool) -> Option<&'a Signer> {
        let at = self.left.iter().position(|signer| wanted(signer))?;
        Some(self.left.remove(at))
    }

    /// The party that signs in this capacity, with a key that is its own now.
    pub(super) fn party(&mut self, capacity: Capacity) -> Result<Option<&'a Handle>, Violation> {
        let party = |signer: &Signer| signer.capacity == capacity && signer.party.is_some();
        let Some(signer) = self.take(party) else { return Ok(None) };
        let handle = signer.party.as_ref().expect("only such were taken");
        self.parties.require(handle)?;
        self.parties.check_key(&signer.key, &Owner::Party(handle.clone()))?;
        Ok(Some(handle))
    }

    /// As [`Self::party`], where somebody must sign.
    pub(super) fn some_party(&mut self, capacity: Capacity) -> Result<&'a Handle, Violation> {
        self.party(capacity)?
            .ok_or_else(|| Violation::new(Code::SignerMissing, capacity.word(), ()))
    }

    /// As [`Self::party`], where this party must sign.
    pub(super) fn this_party(
        &mut self,
        capacity: Capacity,
        handle: &Handle,
    ) -> Result<(), Violation> {
        let signer = self.some_party(capacity)?;
        if signer == handle {
            Ok(())
        } else {
            Err(Violation::new(Code::SignerWrong, handle, signer))
        }
    }

    /// The current registrars who sign. Their handles differ, since a list holds each once.
    pub(super) fn registrars(&mut self) -> Result<Vec<Handle>, Violation> {
        let mut handles = Vec::new();
        while let Some(signer) = self.take(|signer| signer.capacity == Capacity::Registrar) {
            let registrar = signer.party.as_ref().and_then(|h| self.parties.registrars.find(h));
            let Some(registrar) = registrar else {
                return Err(Violation::new(Code::SignerWrong, "registrar", signer.party.as_ref()));
            };
            if registrar.key != signer.key {
                return Err(Violation::new(Code::KeyNotOfParty, &registrar.handle, signer.key));
            }
            if handles.contains(&registrar.handle) {
                return Err(Violation::new(Code::SignerExtra, (), &registrar.handle));
            }
            handles.push(registrar.handle.clone());
        }
        Ok(handles)
    }

    /// At least k registrars.
    pub(super) fn enough_registrars(&mut self) -> Result<Vec<Handle>, Violation> {
        let handles = self.registrars()?;
        self.check_enough(&handles)?;
        Ok(handles)
    }

    pub(super) fn check_enough(&self, registrars: &[Handle]) -> Result<(), Violation> {
        let threshold = usize::from(self.parties.threshold);
        if registrars.len() < threshold {
            return Err(Violation::new(Code::RegistrarsTooFew, threshold, registrars.len()));
        }
        Ok(())
    }

    /// Whether the operator signs.
    pub(super) fn operator(&mut self) -> Result<bool, Violation> {
        let Some(signer) = self.take(|signer| signer.capacity == Capacity::Operator) else {
            return Ok(false);
        };
        if signer.party.as_ref() != Some(&self.parties.operator) {
            let found = signer.party.as_ref();
            return Err(Violation::new(Code::SignerWrong, &self.parties.operator, found));
        }
        self.parties.check_key(&signer.key, &Owner::Operator)?;
        Ok(true)
    }

    /// Whether this key signs in this capacity, under this name or as a gift's own.
    pub(super) fn key(
        &mut self,
        capacity: Capacity,
        party: Option<&Handle>,
        key: &KeyBytes,
    ) -> bool {
        let wanted = |signer: &Signer| {
            signer.capacity == capacity && signer.party.as_ref() == party && signer.key == *key
        };
        self.take(wanted).is_some()
    }

    /// This key must sign, as proof of possession.
    pub(super) fn new_key(
        &mut self,
        party: Option<&Handle>,
        key: &KeyBytes,
    ) -> Result<(), Violation> {
        if self.key(Capacity::NewKey, party, key) {
            return Ok(());
        }
        Err(Violation::new(Code::SignerMissing, *key, ()))
    }

    /// Takes everybody in this capacity, unchecked.
    pub(super) fn leave_out(&mut self, capacity: Capacity) {
        self.left.retain(|signer| signer.capacity != capacity);
    }

    /// Nobody else signs.
    pub(super) fn finish(self) -> Result<(), Violation> {
        match self.left.first() {
            None => Ok(()),
            Some(signer) => Err(Violation::new(Code::SignerExtra, (), signer.capacity.word())),
        }
    }
}
