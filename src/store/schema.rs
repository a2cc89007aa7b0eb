//! The bytes that the local store writes: the marker file, and the keys and values of its databases.
//!
//! Numbers are big-endian, so keys sort by index. Values are kept in chunks of [`CHUNK_LEN`] bytes,
//! so that no node of a database grows beyond what it keeps inline. Objects:
//!
//! ```text
//! place  = u64                                  -> chunk
//! name   = tag u8 || level u8 || index u64      -> first place u64 || length u32
//! LAST   = nothing                              -> commit number u64 || first place u64
//!                                                  || place after the last u64 || names
//! ```
//!
//! What is recent:
//!
//! ```text
//! key     = tag u8 || first index u64 || chunk u16
//! chunk 0 = length of the whole value u32 || first bytes
//! chunk n = the bytes that follow
//! ```
//!
//! The value of the head is `commit number u64 || number of the newest commit with objects u64 ||
//! head`; commits are counted from 1. The mark file is `commit number u64 || its complement u64`.

use std::ops::Range;

use super::{HEAD_LEN_MAX, OBJECT_LEN_MAX, ObjectName};

/// The length of a chunk, in bytes.
///
/// sled keeps up to 16 values in a leaf (19 just after a merge) and moves a leaf above a quarter of
/// a segment into a file of its own, which it never syncs. 19 chunks of 12 KiB stay below a quarter
/// of [`SEGMENT_LEN`].
pub(super) const CHUNK_LEN: usize = 12 * 1024;

/// The length of a sled segment, in bytes. Part of the format: sled refuses to change it.
pub(super) const SEGMENT_LEN: usize = 1024 * 1024;

/// The version of the format in a ledger folder.
pub(super) const VERSION: u64 = 2;

/// The text of the marker file of this version.
pub(super) fn marker_text() -> String {
    format!("giftproof-ledger/v{VERSION}\n")
}

/// The version that the text of a marker file names; `None` if it is no marker.
pub(super) fn marker_version(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"giftproof-ledger/v")?.strip_suffix(b"\n")?;
    if digits.first() == Some(&b'0') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What an object is named by.
pub(super) type NameKey = [u8; 10];

/// The key of a bundle's or tile's name.
///
/// # Panics
///
/// For a tail, which is not kept among the objects.
pub(super) fn name_key(name: &ObjectName) -> NameKey {
    let (tag, level, index) = match *name {
        ObjectName::Bundle(index) => (b'b', 0, index),
        ObjectName::Tile { level, index } => (b't', level, index),
        ObjectName::Tail { .. } => unreachable!("a tail is not kept among the objects"),
    };
    let mut key = [0; 10];
    key[0] = tag;
    key[1] = level;
    key[2..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Its first place.
    pub(super) first: u64,
    /// Its length in bytes.
    pub(super) len: usize,
}

impl Extent {
    /// Its places, one for each chunk.
    pub(super) fn places(&self) -> Range<u64> {
        self.first..self.first + self.len.div_ceil(CHUNK_LEN) as u64
    }

    pub(super) fn encode(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.first.to_be_bytes());
        let len = u32::try_from(self.len).expect("an object is below 4 GiB");
        bytes[8..].copy_from_slice(&len.to_be_bytes());
        bytes
    }

    /// Reads [`Self::encode`] back; `None` if no object is so long.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, len) = bytes.split_first_chunk::<8>()?;
        let first = u64::from_be_bytes(*first);
        let len = usize::try_from(u32::from_be_bytes(len.try_into().ok()?)).ok()?;
        let ends = first.checked_add(len.div_ceil(CHUNK_LEN) as u64).is_some();
        (ends && len <= OBJECT_LEN_MAX).then_some(Self { first, len })
    }
}

/// The number in the key of a place.
pub(super) fn decode_place(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?)).filter(|place| *place < u64::MAX)
}

/// The one key of what a commit has put last.
pub(super) const LAST_KEY: &[u8] = b"";

/// What the newest commit with objects has put, or is about to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LastPut {
    /// The number of the commit; 0 for none.
    pub(super) commit_number: u64,
    /// The places that it fills.
    pub(super) places: Range<u64>,
    /// The names that it gives.
    pub(super) names: Vec<NameKey>,
}

impl LastPut {
    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = [self.commit_number, self.places.start, self.places.end];
        let numbers = numbers.map(u64::to_be_bytes);
        numbers.as_flattened().iter().chain(self.names.as_flattened()).copied().collect()
    }

    /// Reads [`Self::encode`] back; `None` if it cannot have been that.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, names) = bytes.split_first_chunk::<24>()?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let number = |position: usize| u64::from_be_bytes(numbers[position]);
        let (names, rest) = names.as_chunks::<10>();
        let places = number(1)..number(2);
        let most = (names.len() * OBJECT_LEN_MAX.div_ceil(CHUNK_LEN)) as u64;
        let fits = places.end.checked_sub(places.start)? <= most && rest.is_empty();
        let names = names.to_vec();
        fits.then_some(Self { commit_number: number(0), places, names })
    }
}

/// What a recent value is kept under, without the chunk number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key([u8; 9]);

impl Key {
    /// The key of the head.
    pub(super) const HEAD: Self = Self([b'h', 0, 0, 0, 0, 0, 0, 0, 0]);

    /// The key of the tail that begins with this entry.
    pub(super) fn tail(first: u64) -> Self {
        let mut key = [b'r'; 9];
        key[1..].copy_from_slice(&first.to_be_bytes());
        Self(key)
    }

    /// What the keys of all chunks begin with.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.0
    }

    /// The key of one chunk.
    pub(super) fn chunk(&self, number: u16) -> [u8; 11] {
        let mut key = [0; 11];
        key[..9].copy_from_slice(&self.0);
        key[9..].copy_from_slice(&number.to_be_bytes());
        key
    }
}

/// The chunks of a value, from 0.
///
/// # Panics
///
/// If the value is above [`OBJECT_LEN_MAX`] bytes, which the caller has refused.
pub(super) fn chunks(value: &[u8]) -> Vec<(u16, Vec<u8>)> {
    assert!(value.len() <= OBJECT_LEN_MAX, "the limits are checked before");
    let total = u32::try_from(value.len()).expect("an object is below 4 GiB");
    let (first, rest) = value.split_at(value.len().min(CHUNK_LEN));
    let first = [&total.to_be_bytes()[..], first].concat();
    let rest = rest.chunks(CHUNK_LEN).map(<[u8]>::to_vec);
    (0..).zip(std::iter::once(first).chain(rest)).collect()
}

/// The length of the whole value and the bytes of its chunk 0; `None` if that is no chunk 0.
pub(super) fn open_chunk(chunk: &[u8]) -> Option<(usize, &[u8])> {
    let (total, bytes) = chunk.split_first_chunk::<4>()?;
    let total = usize::try_from(u32::from_be_bytes(*total)).ok()?;
    (total <= OBJECT_LEN_MAX && bytes.len() == total.min(CHUNK_LEN)).then_some((total, bytes))
}

/// The number of chunks of a value of `len` bytes.
pub(super) fn chunk_count(len: usize) -> u16 {
    u16::try_from(len.div_ceil(CHUNK_LEN).max(1)).expect("an object has fewer than 65,536 chunks")
}

/// The most chunks that the value of a head takes.
pub(super) const HEAD_CHUNKS_MAX: u16 = ((16 + HEAD_LEN_MAX).div_ceil(CHUNK_LEN)) as u16;

/// The value that keeps a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The number of its commit.
    pub(super) commit_number: u64,
    /// The number of the newest commit with objects, up to this one; 0 for none.
    pub(super) objects_at: u64,
    /// The head itself.
    pub(super) bytes: &'a [u8],
}

impl<'a> Head<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (commit_number, objects_at) = (self.commit_number, self.objects_at);
        [&commit_number.to_be_bytes()[..], &objects_at.to_be_bytes(), self.bytes].concat()
    }

    /// Reads [`Self::encode`] back; `None` if the value is too short.
    pub(super) fn decode(value: &'a [u8]) -> Option<Self> {
        let (commit_number, rest) = value.split_first_chunk::<8>()?;
        let (objects_at, bytes) = rest.split_first_chunk::<8>()?;
        let commit_number = u64::from_be_bytes(*commit_number);
        Some(Self { commit_number, objects_at: u64::from_be_bytes(*objects_at), bytes })
    }
}

/// The bytes of the mark file.
pub(super) fn encode_mark(commit_number: u64) -> [u8; 16] {
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&commit_number.to_be_bytes());
    mark[8..].copy_from_slice(&(!commit_number).to_be_bytes());
    mark
}

/// Reads [`encode_mark`] back; `None` if the bytes are not a mark.
pub(super) fn decode_mark(mark: &[u8]) -> Option<u64> {
    let (number, complement) = mark.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*number);
    (complement == (!number).to_be_bytes()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_of_a_marker_is_read() {
        assert_eq!(marker_version(b"giftproof-ledger/v1\n"), Some(1));
        assert_eq!(marker_version(b"giftproof-ledger/v12\n"), Some(12));
        for wrong in [
            &b""[..],
            b"giftproof-ledger/v1",
            b"giftproof-ledger/v1\n\n",
            b"giftproof-ledger/v01\n",
            b"giftproof-ledger/v0\n",
            b"giftproof-ledger/v+1\n",
            b"giftproof-ledger/v\n",
            b"giftproof-ledger/v99999999999999999999\n",
            b"something-else/v1\n",
        ] {
            assert_eq!(marker_version(wrong), None, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn keys_sort_by_index_and_chunk() {
        assert!(Key::tail(255).chunk(9) < Key::tail(256).chunk(0));
        assert!(Key::tail(7).chunk(255) < Key::tail(7).chunk(256));
        let bundle = |index| name_key(&ObjectName::Bundle(index));
        assert!(bundle(255) < bundle(256));
        let tile = |level, index| name_key(&ObjectName::Tile { level, index });
        assert!(tile(0, u64::MAX) < tile(1, 0));
    }

    #[test]
    fn an_extent_has_a_place_for_each_chunk() {
        for (len, places) in [(0, 5..5), (1, 5..6), (CHUNK_LEN, 5..6), (CHUNK_LEN + 1, 5..7)] {
            let extent = Extent { first: 5, len };
            assert_eq!(extent.places(), places);
            assert_eq!(Extent::decode(&extent.encode()), Some(extent));
        }
        assert_eq!(Extent { first: 258, len: 3 }.encode(), *b"\0\0\0\0\0\0\x01\x02\0\0\0\x03");
        assert_eq!(Extent::decode(&[0; 11]), None);
        assert_eq!(Extent::decode(&[0; 13]), None);
        assert_eq!(Extent::decode(b"\0\0\0\0\0\0\0\0\xff\xff\xff\xff"), None);
        assert_eq!(Extent::decode(b"\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01"), None);
    }

    #[test]
    fn chunks_join_to_the_value() {
        let lens = [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 3 * CHUNK_LEN, OBJECT_LEN_MAX];
        for len in lens {
            let value: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let chunks = chunks(&value);
            assert_eq!(chunks.len(), usize::from(chunk_count(len)));
            let (total, first) = open_chunk(&chunks[0].1).unwrap();
            assert_eq!(total, len);
            let mut joined = first.to_vec();
            for (position, (number, bytes)) in chunks.iter().enumerate().skip(1) {
                assert_eq!(usize::from(*number), position);
                assert!(bytes.len() <= CHUNK_LEN);
                joined.extend_from_slice(bytes);
            }
            assert!(joined == value, "{len} bytes");
        }
    }

    #[test]
    fn a_first_chunk_with_a_wrong_length_is_refused() {
        assert_eq!(open_chunk(&[0, 0, 0]), None);
        assert_eq!(open_chunk(&[0, 0, 0, 2, 7]), None);
        assert_eq!(open_chunk(&[0, 0, 0, 1, 7, 7]), None);
        assert_eq!(open_chunk(&[0xff, 0xff, 0xff, 0xff, 7]), None);
        assert_eq!(open_chunk(&[0, 0, 0, 1, 7]), Some((1, &[7][..])));
    }

    #[test]
    fn a_mark_with_any_bit_flipped_is_no_mark() {
        let mark = encode_mark(0x0102_0304_0506_0708);
        assert_eq!(mark[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(decode_mark(&mark), Some(0x0102_0304_0506_0708));
        for bit in 0..128 {
            let mut flipped = mark;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_mark(&flipped), None, "bit {bit}");
        }
        assert_eq!(decode_mark(&mark[..15]), None);
        assert_eq!(decode_mark(&[]), None);
        assert_eq!(decode_mark(&[0; 16]), None);
    }

    #[test]
    fn the_head_follows_its_numbers() {
        let head = Head { commit_number: 258, objects_at: 7, bytes: b"x" };
        let value = [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 7, b'x'];
        assert_eq!(head.encode(), value);
        assert_eq!(Head::decode(&value), Some(head));
        assert_eq!(Head::decode(&[0; 15]), None);
        let longest = Head { commit_number: 1, objects_at: 1, bytes: &[0; HEAD_LEN_MAX] }.encode();
        assert_eq!(chunk_count(longest.len()), HEAD_CHUNKS_MAX);
    }

    #[test]
    fn what_was_put_last_reads_back() {
        let names = (0..3).map(|index| name_key(&ObjectName::Bundle(index))).collect();
        let last = LastPut { commit_number: 9, places: 4..11, names };
        assert_eq!(LastPut::decode(&last.encode()), Some(last));
        assert_eq!(LastPut::decode(&LastPut::default().encode()), Some(LastPut::default()));
        assert_eq!(LastPut::decode(&[0; 23]), None);
        assert_eq!(LastPut::decode(&[0; 25]), None);
        // Places without names, and places that end before they begin.
        for places in [0..1, Range { start: 2, end: 1 }] {
            let wrong = LastPut { commit_number: 1, places, names: Vec::new() };
            assert_eq!(LastPut::decode(&wrong.encode()), None);
        }
    }
}
