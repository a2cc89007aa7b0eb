//! The rules over a part of a log (spec section 17.5).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::About;
use super::check::{ProofFault, own};
use super::entries::{Entries, recorded};
use super::parts::Part;
use crate::model::event::{Kind, Statement};
use crate::model::ident::EntryIndex;
use crate::model::state::{Gift, State};
use crate::model::subject::Subject;
use crate::model::violation::{Code, Violation};

/// Whether signatures are to be checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// They are.
    Check,
    /// Somebody has done so.
    Known,
}

/// What the entries have made of one another.
pub(super) struct Replayed {
    pub(super) state: State,
    pub(super) failures: Vec<(EntryIndex, Violation)>,
    pub(super) not_understood: Vec<EntryIndex>,
}

impl Replayed {
    /// Step 3.
    pub(super) fn of(
        file: &Entries,
        about: About,
        seal: Option<EntryIndex>,
        signatures: Signatures,
    ) -> Result<Self, ProofFault> {
        let donation = match about {
            About::Gift(donation) => Some(donation),
            About::NoGift(_) => None,
        };
        let first = recorded(&file.parts, 0).expect("a file begins with a readable entry 0");
        let refused = |code: &'static str| ProofFault::at(code, 0);
        if signatures == Signatures::Check && file.bad_signer(&file.parts[&0]).is_some() {
            return Err(refused(Code::SignatureInvalid.as_str()));
        }
        let state = State::begin_part(&first, file.genesis, donation);
        let state = state.map_err(|violation| refused(violation.code.as_str()))?;
        let mut replayed = Self { state, failures: Vec::new(), not_understood: Vec::new() };
        let own = own(&about);
        for (index, part) in file.parts.iter().skip(1) {
            let bad = match signatures {
                Signatures::Check => file.bad_signer(part),
                Signatures::Known => None,
            };
            replayed.add(file, part, &own, bad, seal == Some(*index));
        }
        Ok(replayed)
    }

    fn add(
        &mut self,
        file: &Entries,
        part: &Part,
        own: &Subject,
        bad_signer: Option<usize>,
        is_seal: bool,
    ) {
        let index = part.header.index;
        let judged = self.judge(file, part, own, bad_signer, is_seal);
        if let Err(violation) = judged {
            if part.links(&own.hash()) {
                let subjects = BTreeSet::from([own.clone()]);
                self.state.fail(&subjects, index, violation.code.as_str());
            }
            self.failures.push((index, violation));
        }
        self.state.pass_over(index, part.header.recorded_at, file.leaves[&index]);
    }

    /// What an auditor would say of the entry, as far as a part of the log can tell.
    fn judge(
        &mut self,
        file: &Entries,
        part: &Part,
        own: &Subject,
        bad_signer: Option<usize>,
        is_seal: bool,
    ) -> Result<(), Violation> {
        let index = part.header.index;
        let before = file.leaves.get(&(index - 1));
        if let Some(leaf) = before.filter(|leaf| **leaf != part.header.previous) {
            return Err(Violation::new(Code::ChainPrevious, *leaf, part.header.previous));
        }
        if part.header.recorded_at < self.state.recorded_at {
            let (expected, found) = (self.state.recorded_at.0, part.header.recorded_at.0);
            return Err(Violation::new(Code::ChainTime, expected, found));
        }
        let event = match &part.event {
            Ok(event) => event,
            Err(malformed) => {
                return Err(Violation::new(Code::EventMalformed, (), malformed.code));
            }
        };
        if let Some(first) = self.state.index_of(&event.hash, file) {
            return Err(Violation::new(Code::EventDuplicate, first, index));
        }
        if let Some(at) = bad_signer {
            return Err(Violation::new(Code::SignatureInvalid, (), at));
        }
        match &event.statement {
            None => {
                self.not_understood.push(index);
                Ok(())
            }
            Some(statement) if statement.kind() == Kind::EpochSealed && is_seal => Ok(()),
            Some(Statement::Attestation(_)) if !part.links(&own.hash()) => Ok(()),
            Some(_) => {
                let entry = recorded(&file.parts, index).expect("its event was read");
                self.state.apply(&entry, file)
            }
        }
    }

    /// The gift that the proof is about; none if it is about there being none.
    pub(super) fn gift(
        &self,
        file: &Entries,
        about: &About,
    ) -> Result<Option<Arc<Gift>>, ProofFault> {
        let fault = ProofFault::new("proof-file/gift");
        match about {
            About::Gift(donation) => self.state.gifts.get(donation).map(Some).ok_or(fault),
            About::NoGift(id) => {
                let own = Subject::hash_of_gift_id(id);
                let none = file.parts.values().all(|part| !part.links(&own));
                if none { Ok(None) } else { Err(fault) }
            }
        }
    }
}
