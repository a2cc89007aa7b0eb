//! Finds what does not fit, and makes fraud proofs of it (spec section 19).

use std::collections::{BTreeSet, HashMap};

use crate::bundle::{LogSource, SourceError};
use crate::model::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::model::entry::{Entry, NO_LEAF, Place};
use crate::model::event::{Kind, Statement};
use crate::model::fraud::{Fraud, Head, SealedRow, Shown};
use crate::model::hash::{HASH_LEN, LeafHash, NodeHash, SubjectHash, empty_root, leaf_hash};
use crate::model::ident::EntryIndex;
use crate::model::merkle::{
    NodeSource, ProveError, TileNodeError, TileNodes, consistency_roots, inclusion_proof,
    whole_consistency_proof,
};
use crate::model::proof_file::parts::subjects;
use crate::model::proof_file::{ProofFile, Proven};
use crate::model::seal::{Row, Sort, TableProof};
use crate::model::subject::Subject;
use crate::model::tile::{EntryBundle, TILE_WIDTH, TileLayout};
use crate::model::trust::TrustFile;

/// A signed checkpoint, with the files of its log if they are at hand.
#[derive(Clone)]
pub struct Evidence<'a> {
    /// The checkpoint.
    pub note: SignedCheckpoint,
    /// The files.
    pub source: Option<&'a dyn LogSource>,
}

/// What a comparison of two checkpoints came to.
#[derive(Debug)]
pub enum Comparison {
    /// One tree extends the other, and the operator signed both.
    Fit,
    /// They cannot both be true, and the operator signed both.
    Fraud(Box<Fraud>),
    /// It cannot be told.
    Unclear(Unclear),
}

/// Why two checkpoints cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// `compare/key`: one is signed by no key that is known to be the operator's.
    Key,
    /// `compare/files`: the files of the larger log are not at hand, or not those that its
    /// checkpoint is about.
    Files,
}

impl Unclear {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key => "compare/key",
            Self::Files => "compare/files",
        }
    }
}

/// Tells whether two checkpoints of one operator fit, and proves it if they do not: by the first
/// entries that differ, if the files of both logs are at hand.
///
/// # Errors
/// [`SourceError`] if the system failed; files that are missing or wrong make it unclear.
pub fn compare(
    one: &Evidence<'_>,
    other: &Evidence<'_>,
    trust: &TrustFile,
) -> Result<Comparison, SourceError> {
    let place = |evidence: &Evidence<'_>| {
        let Checkpoint { size, root, .. } = *evidence.note.checkpoint();
        (size, root)
    };
    let (older, newer) = if place(one) <= place(other) { (one, other) } else { (other, one) };
    let (Some(older_head), Some(newer_head)) = (head(older, trust)?, head(newer, trust)?) else {
        return Ok(Comparison::Unclear(Unclear::Key));
    };
    let ((size, root), (newer_size, newer_root)) = (place(older), place(newer));
    let fits = (size, root) == (newer_size, newer_root) || (size, root) == (0, empty_root());
    if fits {
        return Ok(Comparison::Fit);
    }
    let mut hashes = Vec::new();
    if size < newer_size {
        let proof = match newer.source {
            Some(source) if size > 0 => {
                let nodes = nodes(source, newer_size);
                unless_io(whole_consistency_proof(size, newer_size, &nodes).map_err(Unread::from))?
            }
            _ => None,
        };
        let Some(proof) = proof else { return Ok(Comparison::Unclear(Unclear::Files)) };
        match consistency_roots(size, newer_size, &proof) {
            Ok((found, of_newer)) if of_newer == newer_root => {
                if found == root {
                    return Ok(Comparison::Fit);
                }
            }
            _ => return Ok(Comparison::Unclear(Unclear::Files)),
        }
        hashes = proof;
    }
    if let (Some(of_older), Some(of_newer)) = (older.source, newer.source)
        && let Some(entries) = two_entries((&older_head, of_older), (&newer_head, of_newer))?
        && entries.check(trust).is_ok()
    {
        return Ok(Comparison::Fraud(Box::new(entries)));
    }
    let trees = Fraud::Trees { older: Box::new(older_head), newer: Box::new(newer_head), hashes };
    Ok(Comparison::Fraud(Box::new(trees)))
}

/// What a seal that somebody was shown says of a subject.
#[derive(Clone, Debug)]
pub struct SealedClaim {
    /// The seal's index.
    pub seal: EntryIndex,
    /// The subject.
    pub subject: Subject,
    /// Its row; none if it has none.
    pub row: Option<Row>,
    /// What shows that in the table of the subject's sort; empty for the root.
    pub table: TableProof,
}

/// What the seal under a proof file says of each of its subjects, if the proof holds.
pub fn sealed_claims(file: &ProofFile, proven: &Proven) -> Vec<SealedClaim> {
    let Some(seal) = file.seal else { return Vec::new() };
    let leaves = proven.parts.keys().zip(&file.entries);
    let leaves: HashMap<EntryIndex, LeafHash> =
        leaves.map(|(index, bytes)| (*index, leaf_hash(bytes))).collect();
    let row = |subject: &Subject| {
        let mut before = proven.parts.range(..seal).rev();
        before.find_map(|(index, part)| {
            let number = part.header.links.find(subject.hash())?.number;
            Some(Row { number, place: Place { index: *index, leaf: *leaves.get(index)? } })
        })
    };
    let subjects = subjects(&file.about, proven.gift().as_deref(), &proven.parts);
    let mut claims = Vec::new();
    for (sort, bytes) in Sort::ALL.iter().zip(&file.tables) {
        let of_sort = subjects.iter().filter(|subject| Sort::of(subject) == Some(*sort));
        let rows: Vec<_> = of_sort.clone().map(|subject| (subject.hash(), row(subject))).collect();
        let table = TableProof::from_bytes(bytes.clone());
        claims.extend(of_sort.filter_map(|subject| {
            let table = table.narrow(&rows, &subject.hash()).ok()?;
            Some(SealedClaim { seal, subject: subject.clone(), row: row(subject), table })
        }));
    }
    claims
}

/// Looks in a log for the newest entries that contradict what its seals say: of these subjects, and
/// of the root, whose row stands in each seal. Gives the first proof that holds.
///
/// # Errors
/// [`SourceError`] if the system failed.
pub fn false_seal(
    log: &Evidence<'_>,
    claims: &[SealedClaim],
    trust: &TrustFile,
) -> Result<Option<Fraud>, SourceError> {
    let Some(source) = log.source else { return Ok(None) };
    let size = log.note.checkpoint().size;
    let root = Subject::Root.hash();
    let asked: BTreeSet<SubjectHash> =
        claims.iter().map(|claim| claim.subject.hash()).chain([root]).collect();
    let mut newest: HashMap<SubjectHash, EntryIndex> = HashMap::new();
    let mut suspects: Vec<(SealedClaim, EntryIndex)> = Vec::new();
    let scanned = for_each_entry(source, size, |index, bytes| {
        let Ok(entry) = Entry::from_bytes(bytes) else { return };
        let genesis = if index == 0 { NO_LEAF } else { trust.genesis() };
        let event = entry.event.open(&genesis);
        if let Ok(Some(Statement::EpochSealed(seal))) = event.as_ref().map(|event| &event.statement)
        {
            let of_root = SealedClaim {
                seal: index,
                subject: Subject::Root,
                row: Some(seal.root),
                table: TableProof::from_bytes(Vec::new()),
            };
            let about_this = claims.iter().filter(|claim| claim.seal == index).cloned();
            for claim in about_this.chain([of_root]) {
                let Some(entry) = newest.get(&claim.subject.hash()) else { continue };
                if claim.row.is_none_or(|row| row.place.index != *entry) {
                    suspects.push((claim, *entry));
                }
            }
        }
        let linked = entry.header.links.iter().map(|link| link.subject);
        let told = event.map(|event| event.subjects(None)).unwrap_or_default();
        let told = told.iter().map(Subject::hash);
        newest.extend(
            linked.chain(told).filter(|hash| asked.contains(hash)).map(|hash| (hash, index)),
        );
    });
    if unless_io(scanned)?.is_none() || suspects.is_empty() {
        return Ok(None);
    }
    let Some(head) = head(log, trust)? else { return Ok(None) };
    for (SealedClaim { seal, subject, row, table }, entry) in suspects {
        let (seal, entry) = (show(source, size, seal)?, show(source, size, entry)?);
        let (Some(seal), Some(entry)) = (seal, entry) else { continue };
        let sealed = SealedRow { seal, row, table };
        let fraud = Fraud::Unsealed { head: Box::new(head.clone()), subject, sealed, entry };
        if fraud.check(trust).is_ok() {
            return Ok(Some(fraud));
        }
    }
    Ok(None)
}

/// The checkpoint with what makes its key the operator's; none if nothing at hand does.
pub(super) fn head(
    evidence: &Evidence<'_>,
    trust: &TrustFile,
) -> Result<Option<Head>, SourceError> {
    let first = Head::by_first_key(evidence.note.clone());
    if first.check(trust).is_ok() {
        return Ok(Some(first));
    }
    let Some(source) = evidence.source else { return Ok(None) };
    let size = evidence.note.checkpoint().size;
    let mut root = Vec::new();
    let mut found = None;
    let about_root = Subject::Root.hash();
    let scanned = for_each_entry(source, size, |index, bytes| {
        let Ok(entry) = Entry::from_bytes(bytes) else { return };
        if !touches(&entry, about_root) {
            return;
        }
        root.push(bytes.to_vec());
        if entry.event.frame.kind == Kind::OperatorRotated as u16 {
            found = Some((index, root.len()));
        }
    });
    if unless_io(scanned)?.is_none() {
        return Ok(None);
    }
    // The newest rotation below a checkpoint's size brought the key that must sign it.
    let Some((index, len)) = found else { return Ok(None) };
    root.truncate(len);
    let path = inclusion_proof(index, size, &nodes(source, size)).map_err(Unread::from);
    let Some(path) = unless_io(path)? else { return Ok(None) };
    let head = Head { note: evidence.note.clone(), root, path };
    Ok(Some(head).filter(|head| head.check(trust).is_ok()))
}

fn touches(entry: &Entry, subject: SubjectHash) -> bool {
    entry.header.links.find(subject).is_some()
}

/// The first entries at which two logs part.
fn two_entries(
    (older, of_older): (&Head, &dyn LogSource),
    (newer, of_newer): (&Head, &dyn LogSource),
) -> Result<Option<Fraud>, SourceError> {
    let (size, newer_size) = (older.checkpoint().size, newer.checkpoint().size);
    let parted = first_difference(size, &nodes(of_older, size), &nodes(of_newer, newer_size));
    let Some(Some(index)) = unless_io(parted.map_err(Unread::from))? else { return Ok(None) };
    let (Some(one), Some(other)) =
        (show(of_older, size, index)?, show(of_newer, newer_size, index)?)
    else {
        return Ok(None);
    };
    Ok(Some(Fraud::Entries {
        index,
        older: Box::new((older.clone(), one)),
        newer: Box::new((newer.clone(), other)),
    }))
}

/// The first leaf below `size` that differs between two trees of at least this size.
fn first_difference<E>(
    size: u64,
    one: &impl NodeSource<Error = E>,
    other: &impl NodeSource<Error = E>,
) -> Result<Option<EntryIndex>, E> {
    let differs = |level: u8, index: u64| Ok(one.node(level, index)? != other.node(level, index)?);
    let mut begin = 0;
    while begin < size {
        let mut level = (size - begin).ilog2() as u8;
        if !differs(level, begin >> level)? {
            begin += 1u64 << level;
            continue;
        }
        let mut index = begin >> level;
        while level > 0 {
            level -= 1;
            index *= 2;
            if !differs(level, index)? {
                index += 1;
            }
        }
        return Ok(Some(index));
    }
    Ok(None)
}

/// An entry with its inclusion path; none if the files do not have it.
pub(super) fn show(
    source: &dyn LogSource,
    size: u64,
    index: EntryIndex,
) -> Result<Option<Shown>, SourceError> {
    let path = inclusion_proof(index, size, &nodes(source, size)).map_err(Unread::from);
    let (path, entry) = (unless_io(path)?, entry_bytes(source, size, index)?);
    Ok(path.zip(entry).map(|(path, entry)| Shown { entry, path }))
}

/// An entry; none if the files do not have it.
pub(super) fn entry_at(
    source: &dyn LogSource,
    size: u64,
    index: EntryIndex,
) -> Result<Option<Entry>, SourceError> {
    let bytes = entry_bytes(source, size, index)?;
    Ok(bytes.and_then(|bytes| Entry::from_bytes(&bytes).ok()))
}

fn entry_bytes(
    source: &dyn LogSource,
    size: u64,
    index: EntryIndex,
) -> Result<Option<Vec<u8>>, SourceError> {
    let width = u64::from(TILE_WIDTH);
    let Some(coord) = TileLayout::of_size(size).bundle(index / width) else { return Ok(None) };
    let Some(bytes) = unless_io(source.entries(&coord).map_err(Unread::from))? else {
        return Ok(None);
    };
    let bundle = EntryBundle::parse(&bytes, &coord).ok();
    let entry = bundle.and_then(|bundle| bundle.entries().nth((index % width) as usize));
    Ok(entry.map(<[u8]>::to_vec))
}

/// Calls for each entry of a log, in order.
pub(super) fn for_each_entry(
    source: &dyn LogSource,
    size: u64,
    mut each: impl FnMut(EntryIndex, &[u8]),
) -> Result<(), Unread> {
    let mut index = 0;
    for coord in TileLayout::of_size(size).bundles() {
        let bytes = source.entries(&coord)?;
        let bundle = EntryBundle::parse(&bytes, &coord).map_err(|_| Unread::Unfit)?;
        for entry in bundle.entries() {
            each(index, entry);
            index += 1;
        }
    }
    Ok(())
}

/// Why something could not be read from a log.
pub(super) enum Unread {
    Source(SourceError),
    /// What is there is not what a tree of this size has.
    Unfit,
}

impl From<SourceError> for Unread {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<TileNodeError<Unread>> for Unread {
    fn from(error: TileNodeError<Unread>) -> Self {
        match error {
            TileNodeError::Read(unread) => unread,
            TileNodeError::TooNarrow { .. } => Self::Unfit,
        }
    }
}

impl From<ProveError<TileNodeError<Unread>>> for Unread {
    fn from(error: ProveError<TileNodeError<Unread>>) -> Self {
        match error {
            ProveError::Range(_) => Self::Unfit,
            ProveError::Source(error) => error.into(),
        }
    }
}

/// What could be read; none if the log lacks it, which shows nothing but that it is incomplete.
pub(super) fn unless_io<T>(read: Result<T, Unread>) -> Result<Option<T>, SourceError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Unread::Source(error @ SourceError::Io { .. })) => Err(error),
        Err(_) => Ok(None),
    }
}

/// The tree's nodes, from a log's tiles.
pub(super) fn nodes(
    source: &dyn LogSource,
    size: u64,
) -> impl NodeSource<Error = TileNodeError<Unread>> + use<'_> {
    let layout = TileLayout::of_size(size);
    TileNodes::new(move |level, index| -> Result<Vec<NodeHash>, Unread> {
        let coord = layout.tile(level, index).ok_or(Unread::Unfit)?;
        let bytes = source.tile(&coord)?;
        let hashes = bytes.as_chunks::<HASH_LEN>().0;
        Ok(hashes.iter().map(|hash| NodeHash::from_bytes(*hash)).collect())
    })
}
