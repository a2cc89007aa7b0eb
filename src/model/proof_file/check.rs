//! Checks a proof file, and derives the verdict again (spec sections 17.4 to 17.6).

use std::collections::BTreeSet;
use std::sync::Arc;

use thiserror::Error;

use super::entries::{Entries, recorded};
use super::parts::{Parts, subjects};
use super::replay::{Replayed, Signatures};
use super::{About, NotAProof, ProofFile};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::hash::LeafHash;
use crate::model::ident::EntryIndex;
use crate::model::merkle::shown_root;
use crate::model::policy::Cosigned;
use crate::model::state::{Gift, History, Recorded, Sealed, State};
use crate::model::subject::Subject;
use crate::model::trust::{Distrust, TrustFile};
use crate::model::verdict::AsOf;
use crate::model::violation::{Code, Violation};

/// Why a proof file proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}")]
pub struct ProofFault {
    /// The stable code.
    pub code: &'static str,
    /// The entry at which it was found.
    pub at: Option<EntryIndex>,
    /// What is wrong in detail, by its code.
    pub detail: Option<&'static str>,
}

impl ProofFault {
    pub(super) const fn new(code: &'static str) -> Self {
        Self { code, at: None, detail: None }
    }

    pub(super) const fn at(code: &'static str, index: EntryIndex) -> Self {
        Self { code, at: Some(index), detail: None }
    }

    pub(super) const fn because(self, detail: &'static str) -> Self {
        Self { detail: Some(detail), ..self }
    }
}

impl From<NotAProof> for ProofFault {
    fn from(error: NotAProof) -> Self {
        Self::new(error.code()).because(error.detail.code)
    }
}

/// How much a proof proves (spec section 17.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// These entries are in the log.
    Included,
    /// As of a seal, they are all.
    Complete,
    /// And an auditor has replayed the log up to the seal.
    Audited,
}

impl Level {
    /// The word that programs and texts use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::Complete => "complete",
            Self::Audited => "audited",
        }
    }
}

/// What an auditor says of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The name of the auditor's key.
    pub by: String,
    /// How many entries it has replayed.
    pub size: u64,
    /// When, in seconds since 1970.
    pub unix_seconds: u64,
}

/// What a proof file proves, derived from its entries.
#[derive(Debug)]
pub struct Proven {
    /// What it is about.
    pub about: About,
    /// What follows from the entries.
    pub state: State,
    /// The entries.
    pub parts: Parts,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// The seal.
    pub seal: Option<Sealed>,
    /// Which witnesses of the trust file have cosigned the checkpoint, and when.
    pub cosigned: Vec<Cosigned>,
    /// Which auditors of the trust file have audited the log.
    pub audited: Vec<Audited>,
    /// Entries that the rules refuse: do not believe this ledger.
    pub failures: Vec<(EntryIndex, Violation)>,
    /// Entries of a kind that this build does not know.
    pub not_understood: Vec<EntryIndex>,
    /// Entries that the seal does not cover: included, not complete. The verdict rests on them,
    /// too, also where they are not about the gift itself: they may lift a recall.
    pub after_seal: Vec<EntryIndex>,
    /// As of when a verdict is given.
    pub as_of: AsOf,
}

impl Proven {
    /// How much is proven.
    pub fn level(&self) -> Level {
        match &self.seal {
            None => Level::Included,
            Some(seal) if self.audited.iter().any(|audit| audit.size > seal.index) => {
                Level::Audited
            }
            Some(_) => Level::Complete,
        }
    }

    /// The gift; none if the proof is that there is none.
    pub fn gift(&self) -> Option<Arc<Gift>> {
        match &self.about {
            About::Gift(donation) => self.state.gifts.get(donation),
            About::NoGift(_) => None,
        }
    }
}

impl History for Proven {
    fn event(&self, index: EntryIndex) -> Option<Recorded> {
        recorded(&self.parts, index)
    }

    fn leaf(&self, _: EntryIndex) -> Option<LeafHash> {
        None
    }
}

impl ProofFile {
    /// Checks everything that the file claims against a trust file.
    ///
    /// # Errors
    /// The first check that fails, in the order of spec section 17.4. Entries that break the rules
    /// of the ledger are no error here: they stand in the answer.
    pub fn check(&self, trust: &TrustFile) -> Result<Proven, ProofFault> {
        let size = self.checkpoint.checkpoint().size;
        if self.checkpoint.checkpoint().origin != *trust.origin() {
            return Err(ProofFault::new("checkpoint/origin"));
        }
        let file = Entries::read(&self.entries, size, trust)?;
        let replayed = Replayed::of(&file, self.about, self.seal, Signatures::Check)?;
        let gift = replayed.gift(&file, &self.about)?;
        let subjects = subjects(&self.about, gift.as_deref(), &file.parts);
        let chains = file.chains(&subjects)?;
        file.check_complete(&self.about, self.seal, &chains)?;
        let rows = match self.seal {
            Some(seal) => {
                file.check_seal(seal, &replayed.state, &chains, &self.tables)?;
                file.rows(&subjects, seal)
            }
            None => {
                let bare = self.tables.iter().all(Vec::is_empty);
                if !bare || matches!(self.about, About::NoGift(_)) {
                    return Err(ProofFault::new("proof-file/seal"));
                }
                BTreeSet::new()
            }
        };
        self.check_tree(&file, &rows)?;
        let (cosigned, as_of) = self.check_checkpoint(trust, &replayed.state)?;
        let audited = super::audits::check(&self.audits, &self.checkpoint, trust)?;
        let seal = self.seal.map(|index| {
            let recorded_at = file.parts[&index].header.recorded_at;
            Sealed { index, recorded_at }
        });
        let after_seal = |index: &&EntryIndex| self.seal.is_some_and(|seal| **index > seal);
        let after_seal = file.parts.keys().filter(after_seal).copied().collect();
        let Replayed { state, failures, not_understood } = replayed;
        Ok(Proven {
            about: self.about,
            state,
            checkpoint: self.checkpoint.clone(),
            seal,
            cosigned,
            audited,
            failures,
            not_understood,
            after_seal,
            as_of,
            parts: file.parts,
        })
    }

    /// Step 7: the entries that nothing else names are in the tree.
    fn check_tree(&self, file: &Entries, rows: &BTreeSet<EntryIndex>) -> Result<(), ProofFault> {
        let checkpoint = self.checkpoint.checkpoint();
        let shown = file.shown(&self.about, self.seal, rows);
        let fault = ProofFault::new("proof-file/tree");
        match shown_root(&shown, checkpoint.size, &self.tree) {
            Ok(root) if root == checkpoint.root => Ok(()),
            Ok(_) => Err(fault.because("proof/root")),
            Err(error) => Err(fault.because(error.code())),
        }
    }

    /// Step 8: who signed the checkpoint.
    fn check_checkpoint(
        &self,
        trust: &TrustFile,
        state: &State,
    ) -> Result<(Vec<Cosigned>, AsOf), ProofFault> {
        let checkpoint = self.checkpoint.checkpoint();
        let by_operator = ProofFault::new(Code::CheckpointSignature.as_str());
        let key = state.parties.operator_key_at(checkpoint.size);
        let key = checkpoint.origin.log_key(&key);
        let key = key.map_err(|error| by_operator.clone().because(error.code()))?;
        let cosigned =
            trust.judge_by(&self.checkpoint, &key).map_err(|distrust| match distrust {
                Distrust::OtherOperatorKey => by_operator.because("note/no-known-signature"),
                Distrust::Signature(error) => by_operator.because(error.code()),
                Distrust::Cosignature(error) => {
                    ProofFault::new(Code::TrustPolicy.as_str()).because(error.code())
                }
                other => ProofFault::new(other.code()),
            })?;
        let as_of = AsOf::newest(state, &cosigned);
        Ok((cosigned, as_of))
    }
}

/// The gift that a proof is about, or is not there.
pub(super) fn own(about: &About) -> Subject {
    match about {
        About::Gift(donation) => Subject::Gift(*donation),
        About::NoGift(id) => Subject::Gift(id.first_hash()),
    }
}
