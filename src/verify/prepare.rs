//! The parallel part of the audit: reads entry bundles and does all with them that needs nothing
//! but their own bytes and the genesis hash (steps 3 to 6, for the most part).
//!
//! Runs of [`RUN`] bundles go to the workers in turn, and each worker hands its bundles on in their
//! order through a channel of its own. So the order needs no sorting, and no more than a few
//! slices of a run wait for each worker, however slow the rules are.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

use super::{AuditError, refusal};
use crate::bundle::{LogSource, SourceError};
use crate::model::encoding::Malformed;
use crate::model::entry::{Entry, Header, NO_LEAF};
use crate::model::hash::{LeafHash, leaf_hash};
use crate::model::ident::EntryIndex;
use crate::model::key::{KeyBytes, PublicKey};
use crate::model::signature::{Signature, SignedMessage, verify_batch};
use crate::model::state::Recorded;
use crate::model::subject::HashedSubject;
use crate::model::tile::{BundleCoord, EntryBundle, TILE_WIDTH, TileCoord, TileLayout};
use crate::model::violation::{Code, Violation};

/// Bundles in a run: 4,096 entries, so that mostly one run makes one batch of signatures.
const RUN: u64 = 16;

/// A slice of a run ends when it holds so many signatures, or so many bytes of entries.
const SLICE_SIGNATURES: usize = 8_192;
const SLICE_BYTES: usize = 8 << 20;

/// How many judged keys a worker remembers, before it begins anew: about 5 MB.
const KEYS_MAX: usize = 65_536;

/// An entry bundle, read.
pub(super) struct Prepared {
    pub coord: BundleCoord,
    pub contents: Contents,
    /// The lowest tile over the same entries.
    pub tile: Result<Vec<u8>, SourceError>,
}

/// What is in an entry bundle.
pub(super) enum Contents {
    Entries(Vec<PreparedEntry>),
    /// No entries can be found in it.
    Refused(Violation),
    Failed(AuditError),
}

/// An entry with its leaf hash; read, if its bytes are the one spelling of an entry.
pub(super) struct PreparedEntry {
    pub leaf: LeafHash,
    pub content: Result<Content, Malformed>,
}

/// An entry's parts, each read as far as it can be.
pub(super) struct Content {
    pub header: Header,
    /// The number of the event's kind.
    pub kind: u16,
    /// The event at the place that it has in the log, whatever its header says.
    pub recorded: Result<Recorded, Malformed>,
    /// What the event touches, as far as it says so itself; if it does not, what the links say.
    pub touched: Vec<HashedSubject>,
    /// How many of the signers stand before the first whose signature is not valid.
    pub bad_signer: Option<usize>,
}

/// What the operator's links say, where the event cannot tell.
pub(super) fn linked(header: &Header) -> Vec<HashedSubject> {
    header.links.iter().map(|link| link.subject.into()).collect()
}

/// What all workers need.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub source: &'a dyn LogSource,
    pub layout: TileLayout,
    pub genesis: LeafHash,
    /// The bundle with which the audit begins.
    pub first_bundle: u64,
}

/// Where the prepared bundles come in, in the order of the log.
pub(super) struct Intake {
    inboxes: Vec<Inbox>,
}

/// What comes from one worker, and goes back to it.
struct Inbox {
    slices: Receiver<Vec<Prepared>>,
    waiting: VecDeque<Prepared>,
    done: Sender<Vec<PreparedEntry>>,
}

impl Intake {
    /// Starts the workers. They end when the log, or the intake, does.
    pub(super) fn start<'scope, 'a: 'scope>(
        task: Task<'a>,
        threads: NonZeroUsize,
        scope: &'scope Scope<'scope, '_>,
    ) -> Self {
        let inbox = |number| {
            let (outbox, slices) = sync_channel(1);
            let (done, spent) = channel();
            let worker = Worker { task, slices: outbox, spent, keys: Keys::default() };
            scope.spawn(move || worker.work(number, threads));
            Inbox { slices, waiting: VecDeque::new(), done }
        };
        Self { inboxes: (0..threads.get() as u64).map(inbox).collect() }
    }

    fn inbox(&mut self, bundle: u64) -> &mut Inbox {
        let worker = bundle / RUN % self.inboxes.len() as u64;
        &mut self.inboxes[worker as usize]
    }

    /// Bundle `index`. To be called for each in turn from the task's first, up to the first without entries.
    pub(super) fn next(&mut self, index: u64) -> Prepared {
        let Inbox { slices, waiting, .. } = self.inbox(index);
        if waiting.is_empty() {
            let slice =
                slices.recv().expect("a worker goes on to the first bundle without entries");
            waiting.extend(slice);
        }
        waiting.pop_front().expect("no worker sends an empty slice")
    }

    /// Gives the entries of bundle `index` back to the worker that read them: it frees their many
    /// pieces at less cost than any other thread, and leaves this one to the rules.
    pub(super) fn give_back(&mut self, index: u64, entries: Vec<PreparedEntry>) {
        // A worker that has ended needs no help.
        let _ = self.inbox(index).done.send(entries);
    }
}

struct Worker<'a> {
    task: Task<'a>,
    slices: SyncSender<Vec<Prepared>>,
    /// Entries that were replayed.
    spent: Receiver<Vec<PreparedEntry>>,
    keys: Keys,
}

impl Worker<'_> {
    /// Of all workers, each with its number, this one takes every so-manieth run.
    fn work(mut self, number: u64, threads: NonZeroUsize) {
        let (first, bundle_count) = (self.task.first_bundle, self.task.layout.bundle_count());
        let runs = first / RUN..bundle_count.div_ceil(RUN);
        for run in runs.filter(|run| run % threads.get() as u64 == number) {
            let end = bundle_count.min((run + 1) * RUN);
            let mut slice = Vec::new();
            let (mut signatures, mut bytes) = (0, 0);
            for bundle in first.max(run * RUN)..end {
                self.spent.try_iter().for_each(drop);
                let (prepared, len) = self.read(bundle);
                let readable = match &prepared.contents {
                    Contents::Entries(entries) => {
                        signatures += entries.iter().map(signature_count).sum::<usize>();
                        bytes += len;
                        true
                    }
                    Contents::Refused(_) | Contents::Failed(_) => false,
                };
                slice.push(prepared);
                let is_full = signatures >= SLICE_SIGNATURES || bytes >= SLICE_BYTES;
                if is_full || !readable || bundle + 1 == end {
                    self.verify(&mut slice);
                    // Nobody listens any more when the replay has ended.
                    if self.slices.send(std::mem::take(&mut slice)).is_err() || !readable {
                        return;
                    }
                    (signatures, bytes) = (0, 0);
                }
            }
        }
    }

    /// Reads a bundle and the tile over it; gives the bundle's length in bytes too.
    fn read(&self, index: u64) -> (Prepared, usize) {
        let Task { source, layout, genesis, .. } = self.task;
        let coord = layout.bundle(index).expect("the index is below the number of bundles");
        let tile = TileCoord::new(0, index, coord.width()).expect("a bundle is as wide as a tile");
        let (contents, len) = match source.entries(&coord) {
            Ok(bytes) => (read_entries(&bytes, coord, &genesis), bytes.len()),
            Err(error) => {
                let refused = refusal(error, Code::BundleMismatch).map(Contents::Refused);
                (refused.unwrap_or_else(Contents::Failed), 0)
            }
        };
        (Prepared { coord, contents, tile: source.tile(&tile) }, len)
    }

    /// Checks all signatures of a slice together, and marks the events that have a bad one.
    fn verify(&mut self, slice: &mut [Prepared]) {
        let mut messages = Vec::new();
        let mut claims = Vec::new();
        let mut number = 0;
        for_each_event(slice, |recorded, bad_signer| {
            let genesis = if recorded.index == 0 { NO_LEAF } else { self.task.genesis };
            let event = &recorded.event;
            let begin = messages.len();
            event.signed.frame.append_signing_message(&genesis, &mut messages);
            let message = begin..messages.len();
            let signed = event.head.signers.iter().zip(&event.signed.signatures);
            for (at, (signer, signature)) in signed.enumerate() {
                let (message, signature) = (message.clone(), Signature::from_bytes(*signature));
                match self.keys.judge(&signer.key) {
                    Some(key) => claims.push(Claim { number, at, message, key, signature }),
                    None => note_bad(bad_signer, at),
                }
            }
            number += 1;
        });
        let signed_message = |claim: &Claim| SignedMessage {
            message: &messages[claim.message.clone()],
            key: claim.key,
            signature: claim.signature,
        };
        let items: Vec<SignedMessage<'_>> = claims.iter().map(signed_message).collect();
        let bad = verify_batch(&items, &mut rand::rng());
        let mut bad = bad.into_iter().map(|item| &claims[item]).peekable();
        let mut number = 0;
        for_each_event(slice, |_, bad_signer| {
            while let Some(claim) = bad.next_if(|claim| claim.number == number) {
                note_bad(bad_signer, claim.at);
            }
            number += 1;
        });
    }
}

/// That a key has signed an event.
struct Claim {
    /// The how-manieth event of the slice it is.
    number: usize,
    /// How many of its signers stand before this one.
    at: usize,
    /// Where the signing message is.
    message: Range<usize>,
    key: PublicKey,
    signature: Signature,
}

fn note_bad(bad_signer: &mut Option<usize>, at: usize) {
    *bad_signer = Some(bad_signer.map_or(at, |first| first.min(at)));
}

fn signature_count(entry: &PreparedEntry) -> usize {
    match &entry.content {
        Ok(Content { recorded: Ok(Recorded { event, .. }), .. }) => event.signed.signatures.len(),
        _ => 0,
    }
}

/// Visits every event that could be read, and its first bad signer.
fn for_each_event(slice: &mut [Prepared], mut visit: impl FnMut(&Recorded, &mut Option<usize>)) {
    for prepared in slice {
        let Contents::Entries(entries) = &mut prepared.contents else { continue };
        for entry in entries {
            if let Ok(Content { recorded: Ok(recorded), bad_signer, .. }) = &mut entry.content {
                visit(recorded, bad_signer);
            }
        }
    }
}

fn read_entries(bytes: &[u8], coord: BundleCoord, genesis: &LeafHash) -> Contents {
    let bundle = match EntryBundle::parse(bytes, &coord) {
        Ok(bundle) => bundle,
        Err(malformed) => {
            return Contents::Refused(Violation::new(Code::BundleMismatch, (), malformed.code()));
        }
    };
    let first = coord.index() * u64::from(TILE_WIDTH);
    let mut entries = Vec::with_capacity(coord.width() as usize);
    entries.extend((first..).zip(bundle.entries()).map(|(index, bytes)| {
        let content = Entry::from_bytes(bytes).map(|entry| read_event(index, entry, genesis));
        PreparedEntry { leaf: leaf_hash(bytes), content }
    }));
    Contents::Entries(entries)
}

fn read_event(index: EntryIndex, entry: Entry, genesis: &LeafHash) -> Content {
    let Entry { header, event } = entry;
    let kind = event.frame.kind;
    let event = event.open(if index == 0 { &NO_LEAF } else { genesis });
    let touched = match &event {
        Ok(event) if event.statement.is_some() => event.touched(),
        _ => linked(&header),
    };
    let recorded_at = header.recorded_at;
    let recorded = event.map(|event| Recorded { index, recorded_at, event });
    Content { header, kind, recorded, touched, bad_signer: None }
}

/// Public keys that were judged: a judgement costs about as much as a signature.
#[derive(Default)]
struct Keys(HashMap<KeyBytes, Option<PublicKey>>);

impl Keys {
    /// The key, if it is valid.
    fn judge(&mut self, key: &KeyBytes) -> Option<PublicKey> {
        if let Some(judged) = self.0.get(key) {
            return *judged;
        }
        if self.0.len() == KEYS_MAX {
            self.0.clear();
        }
        let judged = key.check().ok();
        self.0.insert(*key, judged);
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{LogFile, TrustCopy};
    use crate::model::tile::push_entry;

    /// A log of which every entry is its own index, in bytes, and none can be read as one. The
    /// bundle after the last is missing.
    struct Numbers {
        bundle_count: u64,
    }

    impl LogSource for Numbers {
        fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
            unreachable!("the workers read bundles and tiles")
        }

        fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
            unreachable!("the workers read bundles and tiles")
        }

        fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
            Ok(tile.index().to_be_bytes().to_vec())
        }

        fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
            if bundle.index() == self.bundle_count {
                return Err(SourceError::Missing { file: LogFile::Entries(*bundle) });
            }
            let mut bytes = Vec::new();
            for at in 0..u64::from(bundle.width()) {
                push_entry(&mut bytes, &(bundle.index() * 256 + at).to_be_bytes()).unwrap();
            }
            Ok(bytes)
        }
    }

    fn task(source: &Numbers, size: u64) -> Task<'_> {
        let layout = TileLayout::of_size(size);
        Task { source, layout, genesis: NO_LEAF, first_bundle: 0 }
    }

    #[test]
    fn bundles_come_in_the_order_of_the_log() {
        let (source, size) = (Numbers { bundle_count: 50 }, 49 * 256 + 3);
        for threads in [1, 2, 3, 7] {
            std::thread::scope(|scope| {
                let threads = NonZeroUsize::new(threads).unwrap();
                let mut intake = Intake::start(task(&source, size), threads, scope);
                let mut index = 0u64;
                for bundle in 0..50 {
                    let Prepared { coord, contents, tile } = intake.next(bundle);
                    assert_eq!(coord.index(), bundle);
                    assert_eq!(tile.unwrap(), bundle.to_be_bytes());
                    let Contents::Entries(entries) = contents else { panic!("entries are there") };
                    for entry in &entries {
                        assert_eq!(entry.leaf, leaf_hash(&index.to_be_bytes()));
                        assert!(entry.content.is_err());
                        index += 1;
                    }
                    intake.give_back(bundle, entries);
                }
                assert_eq!(index, size);
            });
        }
    }

    /// The scope ends only when all workers have.
    #[test]
    fn workers_end_with_the_log_and_with_the_intake() {
        let threads = NonZeroUsize::new(3).unwrap();
        let source = Numbers { bundle_count: 20 };
        std::thread::scope(|scope| {
            let mut intake = Intake::start(task(&source, u64::MAX), threads, scope);
            for bundle in 0..20 {
                assert!(matches!(intake.next(bundle).contents, Contents::Entries(_)));
            }
            assert!(matches!(intake.next(20).contents, Contents::Refused(_)));
        });
        std::thread::scope(|scope| {
            drop(Intake::start(task(&source, 100_000), threads, scope));
        });
    }
}
