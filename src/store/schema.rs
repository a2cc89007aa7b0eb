//! The bytes that the local store writes: the marker file, keys and chunked values.
//!
//! Keys are big-endian, so they sort by index. A value is kept in chunks of [`CHUNK_LEN`] bytes, so
//! that no node of the database grows beyond what it keeps inline:
//!
//! ```text
//! key     = tag u8 || level u8 || index u64 || chunk u16
//! chunk 0 = length of the whole value u32 || first bytes
//! chunk n = the bytes that follow
//! ```
//!
//! The value of the head is `commit number u64 || head`; commits are counted from 1. The mark file
//! is `commit number u64 || its complement u64`.

use super::{HEAD_LEN_MAX, OBJECT_LEN_MAX, ObjectName};

/// The length of a chunk, in bytes.
///
/// sled keeps up to 16 values in a leaf (19 just after a merge) and moves a leaf above a quarter of
/// a segment into a file of its own, which it never syncs. 19 chunks of 32 KiB stay below a quarter
/// of [`SEGMENT_LEN`].
pub(super) const CHUNK_LEN: usize = 32 * 1024;

/// The length of a sled segment, in bytes. Part of the format: sled refuses to change it.
pub(super) const SEGMENT_LEN: usize = 4 * 1024 * 1024;

/// The version of the format in a ledger folder.
pub(super) const VERSION: u64 = 1;

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

/// What a value is kept under, without the chunk number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key([u8; 10]);

impl Key {
    /// The key of the head.
    pub(super) const HEAD: Self = Self([b'h', 0, 0, 0, 0, 0, 0, 0, 0, 0]);

    /// The key of the list of objects that a commit is about to put.
    pub(super) const PENDING: Self = Self([b'p', 0, 0, 0, 0, 0, 0, 0, 0, 0]);

    /// The key of an object.
    pub(super) fn of(name: &ObjectName) -> Self {
        let (tag, level, index) = match *name {
            ObjectName::Bundle(index) => (b'b', 0, index),
            ObjectName::Tile { level, index } => (b't', level, index),
            ObjectName::Tail { first } => (b'r', 0, first),
        };
        let mut key = [0; 10];
        key[0] = tag;
        key[1] = level;
        key[2..].copy_from_slice(&index.to_be_bytes());
        Self(key)
    }

    /// What the keys of all chunks begin with.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.0
    }

    /// The key of one chunk.
    pub(super) fn chunk(&self, number: u16) -> [u8; 12] {
        let mut key = [0; 12];
        key[..10].copy_from_slice(&self.0);
        key[10..].copy_from_slice(&number.to_be_bytes());
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
pub(super) const HEAD_CHUNKS_MAX: u16 = ((8 + HEAD_LEN_MAX).div_ceil(CHUNK_LEN)) as u16;

/// The value that keeps a head and the number of its commit.
pub(super) fn encode_head(commit_number: u64, head: &[u8]) -> Vec<u8> {
    [&commit_number.to_be_bytes()[..], head].concat()
}

/// Reads [`encode_head`] back; `None` if the value is too short.
pub(super) fn decode_head(value: &[u8]) -> Option<(u64, &[u8])> {
    let (commit_number, head) = value.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*commit_number), head))
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

/// The list of keys that a commit is about to put, as one value.
pub(super) fn encode_pending(keys: &[Key]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.0).collect()
}

/// Reads [`encode_pending`] back; `None` if the length is not that of a list of keys.
pub(super) fn decode_pending(bytes: &[u8]) -> Option<Vec<Key>> {
    let (keys, rest) = bytes.as_chunks::<10>();
    rest.is_empty().then(|| keys.iter().map(|key| Key(*key)).collect())
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
        let bundle = |index| Key::of(&ObjectName::Bundle(index));
        assert!(bundle(255).chunk(9) < bundle(256).chunk(0));
        assert!(bundle(7).chunk(255) < bundle(7).chunk(256));
        let tile = |level, index| Key::of(&ObjectName::Tile { level, index }).chunk(0);
        assert!(tile(0, u64::MAX) < tile(1, 0));
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
    fn the_head_follows_its_commit_number() {
        assert_eq!(encode_head(258, b"x"), [0, 0, 0, 0, 0, 0, 1, 2, b'x']);
        assert_eq!(decode_head(&[0, 0, 0, 0, 0, 0, 1, 2, b'x']), Some((258, &b"x"[..])));
        assert_eq!(decode_head(&[0; 7]), None);
        let longest = encode_head(1, &[0; HEAD_LEN_MAX]);
        assert_eq!(chunk_count(longest.len()), HEAD_CHUNKS_MAX);
    }

    #[test]
    fn the_pending_list_reads_back() {
        let keys: Vec<Key> = (0..3).map(|index| Key::of(&ObjectName::Bundle(index))).collect();
        assert_eq!(decode_pending(&encode_pending(&keys)), Some(keys));
        assert_eq!(decode_pending(&[0; 11]), None);
    }
}
