//! What an audit leaves for the next one, so that it need not begin with entry 0 again (spec
//! section 18.1).
//!
//! ```text
//! ff "giftproof audit state v3" 00 || values || body || rest || place of the body u64 || hash
//! ```
//!
//! The body is in the encoding of [`crate::model::derived`]: the signed checkpoint, the right edge
//! of the tree, what the audit counted and found wrong in the entries. Values and rest are what
//! follows from the entries, as [`State::write_values`] and [`State::write_rest`] have it. The hash
//! is that of all before, by [blocks](super::blocks): whoever goes on from a state hashes all of
//! it once, and then reads of the values, which are most of it, those that new entries touch.
//! Whoever could change a state could make the next audit say anything. So nobody goes on from one
//! without the hash that the audit named when it ended, kept where the state is not: the hash at
//! the end of the file finds damage only.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bincode::{Decode, Encode};
use thiserror::Error;

use super::AuditError;
use super::blocks::{Blocks, HashedBlocks, OnBlocks};
use super::past::{OldTree, Past};
use super::report::{Failure, LISTED_MAX, Listed, Report, Spot};
use crate::bundle::LogSource;
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::derived::{self, array};
use crate::model::event::Kind;
use crate::model::hash::{Digest32, HASH_LEN, LeafHash, NodeHash, SubjectHash};
use crate::model::ident::EntryIndex;
use crate::model::merkle::{TILE_WIDTH, TreeBuilder};
use crate::model::state::{History, Recorded, State};
use crate::model::tile::TileLayout;
use crate::model::version::newer;
use crate::model::violation::{Code, Violation};

/// With what every state begins.
const CONTEXT: &[u8] = b"\xffgiftproof audit state v3\0";

/// The place of the body, at the end of what is hashed.
const PLACE_LEN: u64 = 8;

/// So many bytes tell any version.
const BEGIN_LEN: u64 = 64;

/// Bytes that are no state of an audit, or not the one that was pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuditStateError {
    /// `audit-state/newer-version`: a newer giftproof wrote it.
    #[error("a newer version of this program wrote the state: version {0}")]
    NewerVersion(u64),
    /// `audit-state/version`: the bytes do not begin as a state of this version does.
    #[error("it does not begin as the state of an audit does")]
    Version,
    /// `audit-state/hash`: the bytes are not those that were written: cut off, or damaged.
    #[error("its bytes are not those that were written")]
    Hash,
    /// `audit-state/pinned`: a whole state, but not the one that is asked for.
    #[error("its SHA-256 is {found}, not {pinned}")]
    Pinned {
        /// The hash that the audit named.
        pinned: Digest32,
        /// That of these bytes.
        found: Digest32,
    },
    /// `audit-state/malformed`: what is in it does not hold together.
    #[error("what is in it does not hold together")]
    Malformed,
}

impl AuditStateError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NewerVersion(_) => "audit-state/newer-version",
            Self::Version => "audit-state/version",
            Self::Hash => "audit-state/hash",
            Self::Pinned { .. } => "audit-state/pinned",
            Self::Malformed => "audit-state/malformed",
        }
    }
}

/// Where an earlier audit ended, and what it found on its way.
#[derive(Debug)]
pub struct AuditState {
    checkpoint: SignedCheckpoint,
    audited_at_unix_seconds: u64,
    pub(super) tree: TreeBuilder,
    pub(super) found: Found,
    pub(super) state: State,
}

/// What the replay of the entries counted, and found wrong in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub events: BTreeMap<Kind, u64>,
    pub signatures: u64,
    pub failures: Listed<Failure>,
    pub not_understood: Listed<EntryIndex>,
    pub unjudged: Listed<Failure>,
    /// A seal that was due and not there has been reported.
    pub seal_missed: bool,
    /// Subjects of failed entries of which only the links could be read.
    pub failed_subjects: BTreeMap<SubjectHash, (EntryIndex, Code)>,
}

/// What a state says beside what follows from the entries.
#[derive(Encode, Decode)]
struct Body {
    checkpoint: String,
    audited_at_unix_seconds: u64,
    partial_tiles: Vec<Vec<[u8; HASH_LEN]>>,
    events: Vec<(u16, u64)>,
    signatures: u64,
    failures: Counted<(EntryIndex, Violation)>,
    not_understood: Counted<EntryIndex>,
    unjudged: Counted<(EntryIndex, Violation)>,
    seal_missed: bool,
    failed_subjects: BTreeMap<SubjectHash, (EntryIndex, Code)>,
}

/// What is listed, and how many there are in all.
type Counted<T> = (Vec<T>, u64);

impl AuditState {
    /// The state with which an audit ended, and its hash. None if it did not end well enough to go
    /// on from: with all entries replayed, and nothing wrong but in entries; or where what it kept
    /// outside memory cannot be had.
    pub fn encode(report: &Report, audited_at_unix_seconds: u64) -> Option<(Vec<u8>, Digest32)> {
        let mut bytes = Vec::new();
        let hash = Self::write(report, audited_at_unix_seconds, &mut bytes, &|_, _| {}).ok()??;
        Some((bytes, hash))
    }

    /// Writes what [`Self::encode`] gives, as it goes along, and gives the hash. `progress` is told
    /// how many gifts and shipments are written, and how many there are.
    ///
    /// # Errors
    /// That of writing, or why gifts cannot be had.
    pub fn write(
        report: &Report,
        audited_at_unix_seconds: u64,
        into: &mut dyn Write,
        progress: &dyn Fn(u64, u64),
    ) -> io::Result<Option<Digest32>> {
        let body = Self::body(report, audited_at_unix_seconds);
        let (Some(body), Some(state)) = (body, &report.state) else { return Ok(None) };
        let mut hashed = HashedBlocks::new(&mut *into);
        hashed.write_all(CONTEXT)?;
        let values = state.write_values(&mut hashed, progress)?;
        let place = hashed.len();
        derived::write(&body, &mut hashed)?;
        state.write_rest(&values, &mut hashed)?;
        hashed.write_all(&place.to_be_bytes())?;
        let hash = hashed.finish()?;
        into.write_all(hash.as_bytes())?;
        Ok(Some(hash))
    }

    fn body(report: &Report, audited_at_unix_seconds: u64) -> Option<Body> {
        let checkpoint = report.signed_checkpoint.as_ref()?;
        let end = report.end.as_ref()?;
        if report.failures.count() != end.found.failures.count() {
            return None;
        }
        let mut partial_tiles = Vec::new();
        for tile in end.tree.partial_tiles() {
            partial_tiles.resize(usize::from(tile.level), Vec::new());
            partial_tiles.push(tile.hashes.iter().map(|hash| *hash.as_bytes()).collect());
        }
        let found = &end.found;
        Some(Body {
            checkpoint: checkpoint.to_string(),
            audited_at_unix_seconds,
            partial_tiles,
            events: found.events.iter().map(|(kind, count)| (*kind as u16, *count)).collect(),
            signatures: found.signatures,
            failures: stored(&found.failures)?,
            not_understood: (found.not_understood.first().to_vec(), found.not_understood.count()),
            unjudged: stored(&found.unjudged)?,
            seal_missed: found.seal_missed,
            failed_subjects: found.failed_subjects.clone(),
        })
    }

    /// As what [`Self::encode`] writes and [`Self::open`] reads, without the bytes between.
    pub fn of(report: Report, audited_at_unix_seconds: u64) -> Option<Self> {
        let end = report.end?;
        if report.failures.count() != end.found.failures.count() {
            return None;
        }
        let (checkpoint, state) = (report.signed_checkpoint?, report.state?);
        Some(Self { checkpoint, audited_at_unix_seconds, tree: end.tree, found: end.found, state })
    }

    /// Whether bytes begin as a state does, of this version or a newer one.
    pub fn is_state(bytes: &[u8]) -> bool {
        bytes.starts_with(CONTEXT) || newer(CONTEXT, bytes).is_some()
    }

    /// Reads the state that has the pinned hash.
    ///
    /// # Errors
    /// [`AuditStateError`], the first that applies, in the order of its variants.
    pub fn open(bytes: &[u8], pinned: &Digest32) -> Result<Self, AuditStateError> {
        let read = Self::read(io::Cursor::new(bytes.to_vec()), pinned, &|_, _| {});
        read.unwrap_or(Err(AuditStateError::Malformed))
    }

    /// As [`Self::open`], from a file, which stays open: gifts and shipments are read from it when
    /// they are asked for. `progress` is told how many bytes are hashed, and how many there are.
    ///
    /// # Errors
    /// That of reading.
    pub fn read(
        mut from: impl Read + Seek + Send + 'static,
        pinned: &Digest32,
        progress: &dyn Fn(u64, u64),
    ) -> io::Result<Result<Self, AuditStateError>> {
        let len = from.seek(SeekFrom::End(0))?;
        from.rewind()?;
        let mut begin = Vec::new();
        (&mut from).take(BEGIN_LEN).read_to_end(&mut begin)?;
        if let Some(found) = newer(CONTEXT, &begin) {
            return Ok(Err(AuditStateError::NewerVersion(found)));
        }
        if !begin.starts_with(CONTEXT) {
            return Ok(Err(AuditStateError::Version));
        }
        let Some(len) = len.checked_sub(HASH_LEN as u64) else {
            return Ok(Err(AuditStateError::Hash));
        };
        from.seek(SeekFrom::Start(len))?;
        let stated = Digest32::from_bytes(array(&mut from)?);
        // Nothing is believed before its hash is known.
        let blocks = Blocks::hash(from, len, progress)?;
        if blocks.root() != stated {
            return Ok(Err(AuditStateError::Hash));
        }
        if stated != *pinned {
            return Ok(Err(AuditStateError::Pinned { pinned: *pinned, found: stated }));
        }
        match Self::parts(Arc::new(blocks), len) {
            Ok((body, state)) => Ok(Self::restore(body, state).ok_or(AuditStateError::Malformed)),
            Err(error) => match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Ok(Err(AuditStateError::Malformed))
                }
                _ => Err(error),
            },
        }
    }

    /// What is in a file whose first `len` bytes have the right hash.
    fn parts<F: Read + Seek + Send + 'static>(
        blocks: Arc<Blocks<F>>,
        len: u64,
    ) -> io::Result<(Body, State)> {
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        let begin = CONTEXT.len() as u64;
        let end = len.checked_sub(PLACE_LEN).ok_or_else(malformed)?;
        let place = u64::from_be_bytes(array(&mut blocks.reader(end))?);
        if !(begin..end).contains(&place) {
            return Err(malformed());
        }
        let mut from = BufReader::new(blocks.reader(place)).take(end - place);
        let len = from.limit();
        let body = derived::read(&mut from, len)?;
        let (gifts, shipments) = (OnBlocks::new(blocks.clone()), OnBlocks::new(blocks.clone()));
        let state = State::read(&mut from, len, begin..place, gifts, shipments)?;
        match from.limit() {
            0 => Ok((body, state)),
            _ => Err(malformed()),
        }
    }

    fn restore(body: Body, state: State) -> Option<Self> {
        let checkpoint = SignedCheckpoint::parse(body.checkpoint.as_bytes()).ok()?;
        let Checkpoint { origin, size, root } = checkpoint.checkpoint();
        let hashes = |tile: Vec<_>| tile.into_iter().map(NodeHash::from_bytes).collect();
        let partial = body.partial_tiles.into_iter().map(hashes).collect();
        let tree = TreeBuilder::from_partial_tiles(*size, partial).ok()?;
        let fits = tree.root() == *root
            && state.size == *size
            && state.origin.as_str() == origin.as_str()
            && last_leaf(&tree).is_none_or(|leaf| leaf == NodeHash::from(state.last_leaf));
        let events = body.events.into_iter();
        let events = events.map(|(kind, count)| Some((Kind::from_number(kind)?, count)));
        let found = Found {
            events: events.collect::<Option<_>>()?,
            signatures: body.signatures,
            failures: restored(body.failures, *size)?,
            not_understood: Listed::restore(body.not_understood)?,
            unjudged: restored(body.unjudged, *size)?,
            seal_missed: body.seal_missed,
            failed_subjects: body.failed_subjects,
        };
        let audited_at_unix_seconds = body.audited_at_unix_seconds;
        fits.then_some(Self { checkpoint, audited_at_unix_seconds, tree, found, state })
    }

    /// The checkpoint that was audited.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The leaf hash of entry 0.
    pub fn genesis(&self) -> LeafHash {
        self.state.genesis
    }

    /// What follows from the entries.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// An entry of the audited log, read again from where it was read then.
    ///
    /// # Errors
    /// [`AuditError`] if it cannot be had, or is not what it was.
    pub fn recorded(
        &self,
        source: &dyn LogSource,
        index: EntryIndex,
    ) -> Result<Option<Recorded>, AuditError> {
        let layout = TileLayout::of_size(self.tree.size());
        let old = OldTree::new(source, &self.tree);
        let past = Past::new(source, layout, self.genesis(), old);
        let recorded = past.event(index);
        past.take_fault().map_or(Ok(recorded), Err)
    }

    /// When that was, in seconds since 1970 by the auditor's clock.
    pub fn audited_at_unix_seconds(&self) -> u64 {
        self.audited_at_unix_seconds
    }
}

/// The last leaf, where it is in a partial tile.
fn last_leaf(tree: &TreeBuilder) -> Option<NodeHash> {
    let ends_a_tile = tree.size().is_multiple_of(TILE_WIDTH as u64);
    let lowest = tree.partial_tiles().next().filter(|_| !ends_a_tile)?;
    lowest.hashes.last().copied()
}

fn stored(found: &Listed<Failure>) -> Option<Counted<(EntryIndex, Violation)>> {
    let entry = |failure: &Failure| match failure.at {
        Spot::Entry(index) => Some((index, failure.violation.clone())),
        Spot::File(_) => None,
    };
    let listed = found.first().iter().map(entry).collect::<Option<_>>()?;
    Some((listed, found.count()))
}

fn restored(stored: Counted<(EntryIndex, Violation)>, size: u64) -> Option<Listed<Failure>> {
    let (listed, count) = stored;
    if listed.len() > LISTED_MAX || listed.iter().any(|(index, _)| *index >= size) {
        return None;
    }
    let failure = |(index, violation)| Failure { at: Spot::Entry(index), violation };
    Listed::restore((listed.into_iter().map(failure).collect(), count))
}
