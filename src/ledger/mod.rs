//! A ledger folder: the log, and the state that follows from it.
//!
//! ```text
//! giftproof-ledger, giftproof-mark, log/   the store, see `store`
//! checkpoint                               the newest checkpoint, as others see it
//! witnesses, cosigned/                     the policy and the cosignatures, see [`Witnessed`]
//! giftproof.trust                          the trust file as of the ledger's creation
//! index/                                   the derived index, deletable, see `index`
//! ```
//!
//! - [`Log`]: entries, tree and checkpoint, checked against one another.
//! - [`Ledger`]: the log with the state; what the writer grows, and what is open for reading.
//!
//! Opening reads the head and the right edge of the tree, takes the state from the index and
//! replays what the index does not know. Older entries are checked when they are read. Signatures
//! of events are not checked again here: that is the auditor's work.

mod append;
mod cache;
mod carried;
mod error;
mod export;
mod index;
mod log;
mod prove;
mod published;
mod restored;
mod values;
mod witnessed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::checkpoint::{Origin, SignedCheckpoint};
use crate::model::date::UnixMs;
use crate::model::encoding::Malformed;
use crate::model::entry::{Entry, Header, Link, Links, NO_LEAF, OpenEvent};
use crate::model::event::{Anchor, Statement};
use crate::model::hash::{EventHash, LeafHash};
use crate::model::ident::EntryIndex;
use crate::model::key::SecretKey;
use crate::model::policy::Policy;
use crate::model::state::{History, Recorded, State};
use crate::model::subject::Subject;
use crate::model::trust::TrustFile;
use crate::model::violation::{Code, Violation};
use crate::store::{Commit, LocalStore, Store};

use index::Index;

pub(crate) use append::AppendError;
pub use carried::{BESIDE, Beside, CarryError, carry};
pub use error::LedgerError;
pub use log::Log;
pub use prove::ProveError;
pub use published::CHECKPOINT_FILE;
pub use witnessed::{POLICY_FILE, Trouble, Witnessed};

/// The file of the ledger folder with the trust file.
pub const TRUST_FILE: &str = "giftproof.trust";

/// A catch-up of so many entries is worth an index of its own.
const CATCH_UP_WORTH_SAVING: u64 = 4096;

/// What takes long when a ledger is opened, indexed or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Entries are taken in, out of the index, or one by one.
    Entries,
    /// Gifts and shipments are written to the index.
    Index,
}

/// A ledger that is open for reading.
///
/// It has the folder to itself: no other process can open it meanwhile.
pub struct Ledger {
    folder: Option<PathBuf>,
    log: Log,
    state: State,
    /// None if there is no folder for it.
    index: Option<Index>,
}

impl Ledger {
    /// Opens a ledger folder.
    ///
    /// # Errors
    /// Those of the store; `ledger/missing`, `ledger/damaged`, `ledger/head`, `ledger/root`,
    /// `ledger/head-signature`, `ledger/entry`, `ledger/rules` where it is damaged;
    /// `ledger/rolled-back` and `ledger/forked` where it is not the one that was published.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        Self::open_telling(dir, &mut |_, _, _| {})
    }

    /// As [`Self::open`]. `progress` is told how much of a stage is done, and how much there is.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_telling(
        dir: &Path,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Self, LedgerError> {
        Self::over_telling(Arc::new(LocalStore::open(dir)?), Some(dir), progress)
    }

    /// Opens a ledger whose log is in this store, and whose other files are in `folder`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn over(store: Arc<dyn Store>, folder: Option<&Path>) -> Result<Self, LedgerError> {
        Self::over_telling(store, folder, &mut |_, _, _| {})
    }

    /// As [`Self::over`] and [`Self::open_telling`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn over_telling(
        store: Arc<dyn Store>,
        folder: Option<&Path>,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Self, LedgerError> {
        let witnessed = Arc::new(Witnessed::open(folder)?);
        Self::witnessed_by(store, folder, witnessed, progress)
    }

    /// As [`Self::over`], with what is known of its witnesses.
    fn witnessed_by(
        store: Arc<dyn Store>,
        folder: Option<&Path>,
        witnessed: Arc<Witnessed>,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Self, LedgerError> {
        let log = Log::open(store, witnessed)?;
        let (index, known) = folder.and_then(|folder| Index::load(folder, &log, progress)).unzip();
        // Derived: without a place for it, all is in memory, and each opening replays.
        let index = index.or_else(|| Index::begin(folder?).ok());
        Self::of_log(log, index, known, folder, progress)
    }

    /// Builds the index of a ledger folder anew from its entries. `progress` is told how much of a
    /// stage is done, and how much there is.
    ///
    /// # Errors
    /// As [`Self::open`], and `ledger/io` if the index cannot be written.
    pub fn reindex(
        dir: &Path,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Self, LedgerError> {
        Self::reindex_over(Arc::new(LocalStore::open(dir)?), dir, progress)
    }

    fn of_log(
        log: Log,
        mut index: Option<Index>,
        known: Option<State>,
        folder: Option<&Path>,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Self, LedgerError> {
        let state = replay(known, &log, &mut index, progress)?;
        let folder = folder.map(Path::to_path_buf);
        let mut ledger = Self { folder, log, state, index };
        ledger.check_head()?;
        if let Some(folder) = &ledger.folder
            && let Some(Ok(published)) = published::read(&folder.join(CHECKPOINT_FILE))?
            && !ledger.is_rotten(&published)
        {
            published::check(&ledger.log, &published)?;
        }
        // What others have cosigned was durable before they were asked.
        ledger.witnessed().forget_if(|cosigned| ledger.is_unsigned(cosigned));
        if let Some(cosigned) = ledger.witnessed().largest() {
            published::check(&ledger.log, &cosigned)?;
        }
        if ledger.unindexed() >= CATCH_UP_WORTH_SAVING {
            // Derived: without it, the next opening takes as long as this one.
            let _ = ledger.save_index_telling(progress);
        }
        Ok(ledger)
    }

    /// The head must be signed with the key that was the operator's at its last entry.
    fn check_head(&self) -> Result<(), LedgerError> {
        let checkpoint = self.checkpoint();
        let key = self.state.parties.operator_key_at(checkpoint.checkpoint().size);
        if checkpoint.checkpoint().origin.as_str() != self.state.origin.as_str() {
            return Err(LedgerError::Origin);
        }
        let key = self.log.origin().log_key(&key);
        let key = key.map_err(|error| LedgerError::Trust(error.into()))?;
        checkpoint.verify(&key, [])?;
        Ok(())
    }

    /// Refuses to begin a ledger whose operator's mark is of another one.
    pub(crate) fn check_mark_is_new(mark: &Path) -> Result<(), LedgerError> {
        match published::read(mark)? {
            None => Ok(()),
            Some(_) => Err(LedgerError::MarkTaken),
        }
    }

    /// Refuses a ledger that is behind the mark beside the operator's key.
    pub(crate) fn check_mark(&self, mark: &Path) -> Result<(), LedgerError> {
        match published::read(mark)? {
            None => Ok(()),
            Some(published) => {
                published::check(&self.log, &published.map_err(LedgerError::MarkUnreadable)?)
            }
        }
    }

    /// Creates the log of a ledger in a store, by whatever way the store has for its first commit.
    /// The genesis event has been checked at the gate.
    pub(crate) fn begin<T, E: Into<LedgerError>>(
        genesis: OpenEvent,
        operator: &SecretKey,
        recorded_at: UnixMs,
        commit: impl FnOnce(&Commit<'_>) -> Result<T, E>,
    ) -> Result<T, LedgerError> {
        let rules = |violation| LedgerError::Rules { index: 0, violation };
        let Some(Statement::LedgerCreated(created)) = &genesis.statement else {
            let found = u64::from(genesis.signed.frame.kind);
            return Err(rules(Violation::new(Code::GenesisPlace, (), found)));
        };
        let origin = Origin::parse(created.origin.as_str()).ok_or(LedgerError::Origin)?;
        let (expected, found) = (created.operator.key, operator.public().into());
        if expected != found {
            return Err(LedgerError::WrongOperatorKey { expected, found });
        }
        let link = Link { subject: Subject::Root.hash(), number: 1, previous: None };
        let header = Header {
            index: 0,
            previous: NO_LEAF,
            recorded_at,
            links: Links::new(vec![link]).expect("one link is below the limit"),
        };
        let entry = Entry { header, event: genesis.signed.clone() };
        let recorded = Recorded { index: 0, recorded_at, event: genesis };
        State::begin(&recorded, entry.leaf()).map_err(rules)?;
        let (put, head) = log::first_commit(origin, &entry.to_bytes(), operator);
        let head = head.to_string();
        let first =
            Commit { put, drop_tails: Vec::new(), expected_head: None, head: head.as_bytes() };
        commit(&first).map_err(Into::into)
    }

    /// What follows from the entries.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The entries and the tree.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The entries and the tree alone, for whoever needs nothing that follows from them: the state
    /// of a large log takes much memory. It keeps the folder open.
    pub fn into_log(self) -> Log {
        self.log
    }

    /// The entry at an index.
    ///
    /// # Errors
    /// As [`Log::entry`].
    pub fn entry(&self, index: EntryIndex) -> Result<Entry, LedgerError> {
        self.log.entry(index)
    }

    /// The entry of an event that is in the log.
    ///
    /// # Errors
    /// As [`Log::entry`].
    pub fn index_of(&self, event: &EventHash) -> Result<Option<EntryIndex>, LedgerError> {
        let found = self.state.index_of(event, &self.log);
        self.log.take_fault().map_or(Ok(found), Err)
    }

    /// The newest durable checkpoint.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        self.log.checkpoint()
    }

    /// The newest entry, for signers to name as the one that they had seen.
    pub fn newest(&self) -> Anchor {
        Anchor { index: self.state.size - 1, leaf: self.state.last_leaf }
    }

    /// What whoever trusts this ledger would pin now, its policy of witnesses included.
    ///
    /// # Errors
    /// As [`Log::trust_as_of`].
    pub fn trust(&self) -> Result<TrustFile, LedgerError> {
        self.log.trust_as_of(&self.log.cosigned())
    }

    /// The policy, and what its witnesses have cosigned.
    pub fn witnessed(&self) -> &Arc<Witnessed> {
        self.log.witnessed()
    }

    /// Gives the ledger another policy of witnesses, which takes effect when it is opened again.
    ///
    /// # Errors
    /// `ledger/trust` if it takes the operator's key for a witness's; `ledger/io`.
    pub fn set_policy(&self, policy: &Policy) -> Result<(), LedgerError> {
        self.log.trust_with(policy.clone(), self.checkpoint())?;
        self.folder.as_deref().map_or(Ok(()), |folder| witnessed::write_policy(folder, policy))
    }

    /// Writes the index, so that the next opening need not replay.
    ///
    /// # Errors
    /// `ledger/io`.
    pub fn save_index(&mut self) -> Result<(), LedgerError> {
        self.save_index_telling(&mut |_, _, _| {})
    }

    /// As [`Self::save_index`]. `progress` is told how much of it is done, and how much there is.
    ///
    /// # Errors
    /// As [`Self::save_index`].
    pub fn save_index_telling(
        &mut self,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<(), LedgerError> {
        self.index.as_mut().map_or(Ok(()), |index| index.save(&mut self.state, progress))
    }

    /// As [`Self::save_index`], but that most of it is done by another thread while the ledger goes
    /// on; whoever saves next waits for it.
    ///
    /// # Errors
    /// `ledger/io`, also of the time before.
    pub fn save_index_behind(&mut self) -> Result<(), LedgerError> {
        self.index.as_mut().map_or(Ok(()), |index| index.save_behind(&mut self.state))
    }

    /// As [`Self::save_index_behind`], if the index does not know so many entries that it is time.
    pub(crate) fn save_index_if_due(&mut self) {
        self.index.iter_mut().for_each(|index| index.save_if_due(&mut self.state));
    }

    /// How many entries the index does not know; 0 if there is no place for it.
    pub(crate) fn unindexed(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| self.state.size - index.size)
    }
}

impl History for Ledger {
    fn event(&self, index: EntryIndex) -> Option<Recorded> {
        self.log.event(index)
    }

    fn leaf(&self, index: EntryIndex) -> Option<LeafHash> {
        History::leaf(&self.log, index)
    }
}

/// Goes on from a known state, or from entry 0, to the end of the log.
fn replay(
    known: Option<State>,
    log: &Log,
    index: &mut Option<Index>,
    progress: &mut dyn FnMut(Stage, u64, u64),
) -> Result<State, LedgerError> {
    let rules = |index| move |violation| LedgerError::Rules { index, violation };
    let mut state = match known {
        Some(state) => state,
        None => {
            let mut state = State::begin(&log.recorded(0)?, log.leaf(0)?).map_err(rules(0))?;
            index.iter().for_each(|index| index.shelve(&mut state));
            state
        }
    };
    while state.size < log.size() {
        let at = state.size;
        let Entry { header, event } = log.entry(at)?;
        let malformed = |malformed| LedgerError::Entry { index: at, malformed };
        if header.index != at || header.previous != state.last_leaf {
            return Err(malformed(Malformed::new(Code::ChainPrevious.as_str())));
        }
        let event = event.open(&state.genesis).map_err(malformed)?;
        let recorded = Recorded { index: at, recorded_at: header.recorded_at, event };
        let touched = state.touched(&recorded.event, log);
        let applied = state.apply(&recorded, log);
        if let Some(fault) = log.take_fault() {
            return Err(fault);
        }
        state.fault().map_or(Ok(()), Err)?;
        applied.map_err(rules(at))?;
        let touched = match &recorded.event.statement {
            Some(_) => touched,
            // Only the links can tell.
            None => header.links.iter().map(|link| link.subject.into()).collect(),
        };
        state.advance_by_hash(at, header.recorded_at, log.leaf(at)?, &touched);
        index.iter_mut().for_each(|index| index.save_if_due(&mut state));
        progress(Stage::Entries, state.size, log.size());
    }
    Ok(state)
}
