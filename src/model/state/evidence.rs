//! Evidence outside the log: what others say of gifts and campaigns (spec section 5.32).

use std::collections::BTreeSet;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::gift::{Books, Fact, Gift};
use super::{Recorded, State, fact};
use crate::model::event::*;
use crate::model::hash::{Digest32, EventHash};
use crate::model::ident::{EntryIndex, Handle};
use crate::model::text::Text;
use crate::model::violation::Violation;

/// Evidence outside the log that speaks of this gift.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Evidence {
    /// The attestation's entry.
    pub index: EntryIndex,
    /// What it is.
    pub kind: EvidenceKind,
    /// Who says so.
    pub by: Handle,
    /// Who has the original.
    pub held_by: Option<Handle>,
    /// Whom it names as having received.
    pub recipient_name: Text<200>,
    /// Of which line.
    pub line: u16,
    /// How much, in the line's smallest unit.
    pub quantity: u64,
    /// The hash of a document, where one is given.
    pub sha256: Option<Digest32>,
}

impl Gift {
    /// What an attestation says of this gift.
    pub(super) fn testimonies(
        &self,
        s: &Attestation,
        fact: &Fact,
    ) -> Result<Vec<Evidence>, Violation> {
        let by = fact.head.signers.first().and_then(|signer| signer.party.as_ref());
        let by = by.expect("a speaker is a party");
        let mine = s.goods.iter().filter(|testimony| testimony.goods.gift == self.id);
        mine.map(|testimony| {
            let (lot, quantity) = self.in_book(&testimony.goods, testimony.quantity)?;
            Ok(Evidence {
                index: fact.index,
                kind: s.evidence,
                by: by.clone(),
                held_by: s.held_by.clone(),
                recipient_name: s.recipient_name.clone(),
                line: lot.line,
                quantity,
                sha256: fact.head.documents.iter().find_map(|document| document.sha256),
            })
        })
        .collect()
    }
}

impl State {
    /// Lets an attestation stand beside the gifts that it speaks of. Any party may attest to any
    /// gift as often as it likes: so the gifts are asked first and added to in place, where other
    /// events change a copy.
    pub(super) fn attested(&mut self, s: &Attestation, entry: &Recorded) -> Result<(), Violation> {
        let statement = entry.event.statement.as_ref().expect("an attestation is a statement");
        let fact = fact(entry, statement);
        let named = s.goods.iter().map(|testimony| testimony.goods.gift);
        let gifts: BTreeSet<EventHash> = named.filter(|gift| self.scope.covers(gift)).collect();
        for id in &gifts {
            self.known_gift(id)?.testimonies(s, &fact)?;
        }
        let rules = self.rules_at(entry.index).clone();
        let books = Books { parties: &self.parties, shipments: &self.shipments, rules: &rules };
        for id in &gifts {
            self.gifts.change(id, |gift| gift.post(&fact, &books)).transpose()?;
        }
        self.note_report(s, entry);
        if gifts.is_empty() {
            self.publications.insert(entry.index, ());
        }
        Ok(())
    }

    /// A report is one of the campaigns whose numbers its documents have.
    fn note_report(&mut self, attestation: &Attestation, entry: &Recorded) {
        if attestation.evidence != EvidenceKind::Report {
            return;
        }
        let day = self.dated(entry).day();
        for document in &entry.event.head.documents {
            let number = Text::new(document.number.as_str()).ok();
            if let Some(campaign) = number.and_then(|number| self.campaigns.get_mut(&number)) {
                campaign.reports.push(day);
            }
        }
    }
}
