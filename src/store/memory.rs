//! The reference store: a medium in memory that can be told to fail.
//!
//! Tests of the layers above run on it. A [`MemoryStore`] is a handle on a medium;
//! [`MemoryStore::reopen`] is a power cut followed by a new start: it gives a new handle on what
//! the medium has kept, and all older handles answer [`StoreError::Stopped`].
//!
//! Each commit takes *steps*: one for each object put and each tail dropped, one for the head, one
//! for the sync. [`MemoryStore::fail_at`] makes one of them fail, [`MemoryStore::fail_read_at`] a
//! read; [`MemoryStore::steps`] tells what has happened in which order, so that a test can demand
//! that nothing is answered before its sync.
//!
//! Where the contract leaves room this store is unkind: orphans of a torn commit stay readable.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Commit, CommitError, ObjectName, Store, StoreError};

/// What goes wrong at a step of a commit.
///
/// `keep` chooses among the objects written so far: the object written as number `n` of its commit
/// stays when bit `n % 64` is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The commit fails, and nothing of it is there after a reopen.
    NotPersisted,
    /// The commit fails, yet all of it is there after a reopen.
    ButPersisted,
    /// The commit fails; some of its objects are there after a reopen, the head is the old one.
    Torn {
        /// The objects that stay.
        keep: u64,
    },
    /// The medium breaks the contract: the head, if its step was reached, and the drops are there
    /// after a reopen, but only some of the objects.
    Reordered {
        /// The objects that stay.
        keep: u64,
    },
    /// The medium is full: the commit is refused and nothing has changed.
    Full,
}

/// What goes wrong with a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFault {
    /// Reads fail with an input/output error.
    Fails,
    /// Objects are read with one bit flipped, this one modulo their length in bits.
    Flipped {
        /// The position of the bit.
        bit: usize,
    },
    /// Objects end in their middle.
    Cut,
    /// Objects are read with the bytes of another one: the next by name, or the first.
    Misplaced,
    /// Objects are absent.
    Missing,
    /// The head is the one before the newest.
    StaleHead,
}

/// One thing that happened on a medium, in the order of [`MemoryStore::steps`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An object that was absent was written.
    Put(ObjectName),
    /// A tail was dropped.
    Drop {
        /// The index of its first entry.
        first: u64,
    },
    /// The head was written.
    Head(Vec<u8>),
    /// Everything before became durable.
    Sync,
    /// The layer above has answered that this entry is in the log.
    Answer {
        /// The index of the entry.
        entry: u64,
    },
}

/// The reference store, in memory.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    medium: Arc<Mutex<Medium>>,
    generation: u64,
}

#[derive(Clone, Debug, Default)]
struct Medium {
    objects: BTreeMap<ObjectName, Object>,
    head: Option<Vec<u8>>,
    head_before: Option<Vec<u8>>,
    /// The generation of the handles in use; older ones are of a process that is gone.
    generation: u64,
    stopped: bool,
    steps: Vec<Step>,
    /// A fault, and how many steps of commits come before the one that fails.
    fault: Option<(u64, Fault)>,
    read_fault: Option<ReadFault>,
    /// How many reads there were.
    reads: u64,
    /// A fault of a single read, and the number of that read, counted from 1.
    read_fault_at: Option<(u64, ReadFault)>,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Vec<u8>,
    /// Left behind by a commit that never came to its head.
    orphan: bool,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store on a medium of its own.
    pub fn new() -> Self {
        Self { medium: Arc::default(), generation: 0 }
    }

    /// A store on a copy of the medium: what happens to one does not happen to the other.
    pub fn copy(&self) -> Self {
        let medium = self.medium().clone();
        Self { medium: Arc::new(Mutex::new(medium)), generation: self.generation }
    }

    /// Cuts the power and starts again on what the medium has kept. Planned faults are forgotten.
    pub fn reopen(&self) -> Self {
        let mut medium = self.medium();
        medium.generation += 1;
        medium.stopped = false;
        medium.fault = None;
        medium.read_fault = None;
        medium.read_fault_at = None;
        Self { medium: Arc::clone(&self.medium), generation: medium.generation }
    }

    /// Makes a step of a commit fail: the next one for `steps_before` 0.
    pub fn fail_at(&self, steps_before: u64, fault: Fault) {
        self.medium().fault = Some((steps_before, fault));
    }

    /// Makes all reads fail from now on; `None` makes them work again.
    pub fn fail_reads(&self, fault: Option<ReadFault>) {
        self.medium().read_fault = fault;
    }

    /// Makes a single read fail: the next one for `reads_before` 0.
    pub fn fail_read_at(&self, reads_before: u64, fault: ReadFault) {
        let mut medium = self.medium();
        medium.read_fault_at = Some((medium.reads + 1 + reads_before, fault));
    }

    /// How many reads, of objects and of the head, there were since the medium was made.
    pub fn reads(&self) -> u64 {
        self.medium().reads
    }

    /// Notes that the layer above answers now that `entry` is in the log.
    pub fn note_answer(&self, entry: u64) {
        self.medium().steps.push(Step::Answer { entry });
    }

    /// All that happened on the medium since it was made, across reopenings.
    pub fn steps(&self) -> Vec<Step> {
        self.medium().steps.clone()
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().expect("nothing panics while it holds the medium")
    }

    /// The medium, unless this handle is of no use any more.
    fn running(&self) -> Result<MutexGuard<'_, Medium>, StoreError> {
        let medium = self.medium();
        if medium.stopped || medium.generation != self.generation {
            return Err(StoreError::Stopped);
        }
        Ok(medium)
    }
}

impl Store for MemoryStore {
    fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError> {
        let mut medium = self.running()?;
        let fault = medium.read_fault_now();
        let mut bytes = medium.objects.get(name).map(|object| object.bytes.clone());
        match (fault, &mut bytes) {
            (Some(ReadFault::Fails), _) => return Err(failed("reading an object")),
            (Some(ReadFault::Missing), _) => return Ok(None),
            (Some(ReadFault::Flipped { bit }), Some(bytes)) if !bytes.is_empty() => {
                let bit = bit % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            (Some(ReadFault::Cut), Some(bytes)) => bytes.truncate(bytes.len() / 2),
            (Some(ReadFault::Misplaced), Some(bytes)) => {
                let after = (Bound::Excluded(*name), Bound::Unbounded);
                let other = medium.objects.range(after).next().or(medium.objects.iter().next());
                *bytes = other.map(|(_, object)| object.bytes.clone()).unwrap_or_default();
            }
            _ => {}
        }
        Ok(bytes)
    }

    fn head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut medium = self.running()?;
        match medium.read_fault_now() {
            Some(ReadFault::Fails) => Err(failed("reading the head")),
            Some(ReadFault::StaleHead) => Ok(medium.head_before.clone()),
            _ => Ok(medium.head.clone()),
        }
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), CommitError> {
        commit.check_limits()?;
        let mut medium = self.running()?;
        if medium.head.as_deref() != commit.expected_head {
            return Err(CommitError::Conflict);
        }
        let puts = medium.missing(commit)?;
        let steps = (puts.iter().map(|(name, _)| Step::Put(*name)))
            .chain(commit.drop_tails.iter().map(|&first| Step::Drop { first }))
            .chain([Step::Head(commit.head.to_vec()), Step::Sync]);
        for (reached, step) in steps.enumerate() {
            if let Some(fault) = medium.fault_now() {
                return Err(medium.fail(fault, reached, commit, &puts));
            }
            medium.steps.push(step);
        }
        medium.keep_objects(&puts, u64::MAX, false);
        medium.keep_drops_and_head(commit);
        Ok(())
    }
}

impl Medium {
    /// What the commit has to write, without repetitions.
    fn missing<'a>(
        &self,
        commit: &'a Commit<'_>,
    ) -> Result<Vec<(ObjectName, &'a [u8])>, CommitError> {
        let mut missing: BTreeMap<ObjectName, &[u8]> = BTreeMap::new();
        let mut in_order = Vec::new();
        for (name, bytes) in &commit.put {
            let stored = self.objects.get(name).filter(|object| !object.orphan);
            let known = stored.map(|object| &object.bytes[..]).or(missing.get(name).copied());
            match known {
                Some(known) if known == bytes => {}
                Some(_) => return Err(CommitError::ObjectDiffers { name: *name }),
                None => {
                    missing.insert(*name, bytes);
                    in_order.push((*name, &bytes[..]));
                }
            }
        }
        Ok(in_order)
    }

    /// The fault that is due at this step, if any.
    fn fault_now(&mut self) -> Option<Fault> {
        match self.fault.take() {
            Some((0, fault)) => Some(fault),
            later => {
                self.fault = later.map(|(steps, fault)| (steps - 1, fault));
                None
            }
        }
    }

    /// Counts a read, and tells what goes wrong with it.
    fn read_fault_now(&mut self) -> Option<ReadFault> {
        self.reads += 1;
        match self.read_fault_at {
            Some((number, fault)) if number == self.reads => Some(fault),
            _ => self.read_fault,
        }
    }

    /// Does what the fault says to a commit that has taken `reached` steps.
    fn fail(
        &mut self,
        fault: Fault,
        reached: usize,
        commit: &Commit<'_>,
        puts: &[(ObjectName, &[u8])],
    ) -> CommitError {
        let written = &puts[..reached.min(puts.len())];
        let head_written = reached > puts.len() + commit.drop_tails.len();
        match fault {
            Fault::Full => return CommitError::Store(StoreError::Full),
            Fault::NotPersisted => {}
            Fault::ButPersisted => {
                self.keep_objects(puts, u64::MAX, false);
                self.keep_drops_and_head(commit);
            }
            Fault::Reordered { keep } if head_written => {
                self.keep_objects(written, keep, false);
                self.keep_drops_and_head(commit);
            }
            Fault::Torn { keep } | Fault::Reordered { keep } => {
                self.keep_objects(written, keep, true);
            }
        }
        self.stopped = true;
        CommitError::Unknown { cause: failed("writing a commit") }
    }

    fn keep_objects(&mut self, puts: &[(ObjectName, &[u8])], keep: u64, orphan: bool) {
        for (number, (name, bytes)) in puts.iter().enumerate() {
            if keep >> (number % 64) & 1 == 1 {
                self.objects.insert(*name, Object { bytes: bytes.to_vec(), orphan });
            }
        }
    }

    fn keep_drops_and_head(&mut self, commit: &Commit<'_>) {
        for &first in &commit.drop_tails {
            self.objects.remove(&ObjectName::Tail { first });
        }
        self.head_before = self.head.replace(commit.head.to_vec());
    }
}

fn failed(doing: &'static str) -> StoreError {
    StoreError::Io { doing, source: io::Error::other("a planned fault") }
}
