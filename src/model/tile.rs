//! Tiles and entry bundles: how a log is cut into files, and how those are named (C2SP tlog-tiles).
//!
//! A tile holds up to 256 hashes of one level; an entry bundle holds up to 256 entries. Tile
//! `index` of `level` has as its i-th hash the tree hash of the entries from
//! `(index * 256 + i) * 256^level` on, `256^level` of them: above level 0 only full tiles count.
//! What is in a tile is not computed here.

use std::fmt;

use thiserror::Error;

use super::hash::HASH_LEN;

/// Hashes in a full tile, and entries in a full entry bundle.
pub const TILE_WIDTH: u16 = 256;

/// The longest entry, in bytes: its length is written in 16 bits.
pub const ENTRY_LEN_MAX: usize = 65_535;

/// The highest level that tlog-tiles can name. A tree of 64-bit size ends at level 7.
const LEVEL_MAX: u8 = 63;

/// The levels that a tree of 64-bit size can have: `256^8 = 2^64`.
const LEVELS: u8 = 8;

const TILE_WIDTH_BITS: u32 = 8;

/// The length that stands before each entry, in bytes.
const LENGTH_PREFIX_LEN: usize = 2;

/// Names one tile of hashes. Displayed as its path below the log's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileCoord {
    level: u8,
    index: u64,
    width: u16,
}

impl TileCoord {
    /// Tile `index` (from 0) of `level` (0 to 63) with `width` (1 to 256) hashes; `None` if level
    /// or width are not of those.
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        (level <= LEVEL_MAX && (1..=TILE_WIDTH).contains(&width)).then_some(Self {
            level,
            index,
            width,
        })
    }

    /// The level, 0 for leaf hashes.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// The place within the level, from 0.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes are in it, 1 to 256; below 256 the tile is partial.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Its exact length in bytes: 32 a hash.
    pub fn len_bytes(&self) -> u64 {
        u64::from(self.width) * HASH_LEN as u64
    }
}

impl fmt::Display for TileCoord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        fmt_place(f, self.index, self.width)
    }
}

/// Names one entry bundle. Displayed as its path below the log's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleCoord {
    index: u64,
    width: u16,
}

impl BundleCoord {
    /// Entry bundle `index` (from 0) with `width` (1 to 256) entries; `None` for another width.
    pub fn new(index: u64, width: u16) -> Option<Self> {
        (1..=TILE_WIDTH).contains(&width).then_some(Self { index, width })
    }

    /// The place, from 0: its first entry is the one at `index * 256`.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many entries are in it, 1 to 256; below 256 the bundle is partial.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// The least length in bytes, with every entry empty.
    pub fn len_bytes_min(&self) -> u64 {
        u64::from(self.width) * LENGTH_PREFIX_LEN as u64
    }

    /// The greatest length in bytes, with every entry as long as can be; 16.8 MB at most.
    pub fn len_bytes_max(&self) -> u64 {
        u64::from(self.width) * (LENGTH_PREFIX_LEN + ENTRY_LEN_MAX) as u64
    }
}

impl fmt::Display for BundleCoord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        fmt_place(f, self.index, self.width)
    }
}

/// Writes `x001/x234/067` for index 1,234,067 (groups of three digits, all but the last marked),
/// and `.p/<width>` for what is partial.
fn fmt_place(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let mut group = 1_000_000_000_000_000_000;
    while group > 1 {
        if index >= group {
            write!(f, "x{:03}/", index / group % 1000)?;
        }
        group /= 1000;
    }
    write!(f, "{:03}", index % 1000)?;
    if width < TILE_WIDTH {
        write!(f, ".p/{width}")?;
    }
    Ok(())
}

/// The tiles and entry bundles of a tree of one size: which exist, and how wide each is.
///
/// At level `l` there are `floor(size / 256^(l+1))` full tiles and, if it is not 0, one partial
/// tile of width `floor(size / 256^l) mod 256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileLayout {
    size: u64,
}

impl TileLayout {
    /// The layout of a tree of `size` entries.
    pub const fn of_size(size: u64) -> Self {
        Self { size }
    }

    /// The number of entries.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Tile `index` of `level`, as wide as it is in this tree; `None` if the tree has none there.
    pub fn tile(&self, level: u8, index: u64) -> Option<TileCoord> {
        let width = width_at(self.nodes(level), index)?;
        Some(TileCoord { level, index, width })
    }

    /// Entry bundle `index`, as wide as it is in this tree; `None` if the tree has none there.
    pub fn bundle(&self, index: u64) -> Option<BundleCoord> {
        let width = width_at(self.size, index)?;
        Some(BundleCoord { index, width })
    }

    /// How many tiles are at `level`, the partial one included.
    pub fn tile_count(&self, level: u8) -> u64 {
        self.nodes(level).div_ceil(u64::from(TILE_WIDTH))
    }

    /// How many entry bundles there are, the partial one included.
    pub fn bundle_count(&self) -> u64 {
        self.size.div_ceil(u64::from(TILE_WIDTH))
    }

    /// The levels that have tiles are those from 0 to below this (0 to 8).
    pub fn level_count(&self) -> u8 {
        (0..LEVELS).take_while(|&level| self.nodes(level) > 0).count() as u8
    }

    /// All tiles, level by level from 0 up, each level in the order of the index.
    pub fn tiles(self) -> impl Iterator<Item = TileCoord> {
        (0..self.level_count()).flat_map(move |level| {
            (0..self.tile_count(level)).filter_map(move |index| self.tile(level, index))
        })
    }

    /// All entry bundles in the order of the index.
    pub fn bundles(self) -> impl Iterator<Item = BundleCoord> {
        (0..self.bundle_count()).filter_map(move |index| self.bundle(index))
    }

    /// How many hashes are at `level`: one for each complete run of `256^level` entries.
    fn nodes(&self, level: u8) -> u64 {
        self.size.checked_shr(TILE_WIDTH_BITS * u32::from(level)).unwrap_or(0)
    }
}

/// How many of `count` things, 256 to a place, are at place `index`.
fn width_at(count: u64, index: u64) -> Option<u16> {
    let left = count.checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
    let width = left.min(u64::from(TILE_WIDTH)) as u16;
    (width > 0).then_some(width)
}

/// An entry does not fit in an entry bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an entry has {len} bytes, more than {ENTRY_LEN_MAX}")]
pub struct EntryTooLong {
    /// The entry's length in bytes.
    pub len: usize,
}

impl EntryTooLong {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        "entries/entry-too-long"
    }
}

/// Adds one entry at the end of an entry bundle's bytes: u16 big-endian length, then the entry.
///
/// # Errors
/// If the entry is longer than [`ENTRY_LEN_MAX`]; `bundle` is then as it was.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let len = u16::try_from(entry.len()).map_err(|_| EntryTooLong { len: entry.len() })?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Bytes that are not the entry bundle they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EntriesMalformed {
    /// `entries/truncated`: the bytes end before the entry at `position` (from 0, within the
    /// bundle) does.
    #[error("{bundle} ends within its entry {position}")]
    Truncated { bundle: BundleCoord, position: u16 },
    /// `entries/trailing-bytes`: bytes are left after the last entry.
    #[error("{bundle} has {len} bytes after its last entry")]
    TrailingBytes { bundle: BundleCoord, len: usize },
}

impl EntriesMalformed {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "entries/truncated",
            Self::TrailingBytes { .. } => "entries/trailing-bytes",
        }
    }
}

/// An entry bundle's bytes, known to hold exactly the entries that its name says.
#[derive(Clone, Copy, Debug)]
pub struct EntryBundle<'a> {
    bytes: &'a [u8],
}

impl<'a> EntryBundle<'a> {
    /// Checks that `bytes` are as many entries as `coord` is wide, and nothing more. The entries'
    /// contents are not looked at, an empty one is allowed.
    ///
    /// # Errors
    /// The first of [`EntriesMalformed`].
    pub fn parse(bytes: &'a [u8], coord: &BundleCoord) -> Result<Self, EntriesMalformed> {
        let mut rest = bytes;
        for position in 0..coord.width {
            let truncated = EntriesMalformed::Truncated { bundle: *coord, position };
            (_, rest) = split_first_entry(rest).ok_or(truncated)?;
        }
        if !rest.is_empty() {
            return Err(EntriesMalformed::TrailingBytes { bundle: *coord, len: rest.len() });
        }
        Ok(Self { bytes })
    }

    /// The entries in their order.
    pub fn entries(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (entry, after) = split_first_entry(rest)?;
            rest = after;
            Some(entry)
        })
    }
}

fn split_first_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<LENGTH_PREFIX_LEN>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tile_paths(size: u64) -> Vec<String> {
        TileLayout::of_size(size).tiles().map(|tile| tile.to_string()).collect()
    }

    fn bundle_paths(size: u64) -> Vec<String> {
        TileLayout::of_size(size).bundles().map(|bundle| bundle.to_string()).collect()
    }

    #[test]
    fn paths_of_the_specification() {
        let tile = |index, width| TileCoord::new(0, index, width).unwrap().to_string();
        assert_eq!(tile(0, 256), "tile/0/000");
        assert_eq!(tile(1000, 256), "tile/0/x001/000");
        assert_eq!(tile(1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile(1_234_067, 8), "tile/0/x001/x234/067.p/8");
        assert_eq!(
            TileCoord::new(63, u64::MAX, 1).unwrap().to_string(),
            "tile/63/x018/x446/x744/x073/x709/x551/615.p/1"
        );
        assert_eq!(
            BundleCoord::new(1_000_000, 255).unwrap().to_string(),
            "tile/entries/x001/x000/000.p/255"
        );
    }

    #[test]
    fn coordinates_out_of_range_do_not_exist() {
        assert_eq!(TileCoord::new(64, 0, 1), None);
        assert_eq!(TileCoord::new(0, 0, 0), None);
        assert_eq!(TileCoord::new(0, 0, 257), None);
        assert_eq!(BundleCoord::new(0, 0), None);
        assert_eq!(BundleCoord::new(0, 257), None);
    }

    #[test]
    fn layouts_of_the_specification() {
        assert!(tile_paths(0).is_empty() && bundle_paths(0).is_empty());
        assert_eq!(tile_paths(1), ["tile/0/000.p/1"]);
        assert_eq!(tile_paths(255), ["tile/0/000.p/255"]);
        assert_eq!(tile_paths(256), ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(bundle_paths(256), ["tile/entries/000"]);
        assert_eq!(bundle_paths(257), ["tile/entries/000", "tile/entries/001.p/1"]);

        let tiles = tile_paths(70_000);
        assert_eq!(tiles.len(), 274 + 2 + 1);
        assert_eq!(tiles[0], "tile/0/000");
        assert_eq!(
            tiles[272..],
            ["tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
        );
        let bundles = bundle_paths(70_000);
        assert_eq!(bundles.len(), 274);
        assert_eq!(bundles[272..], ["tile/entries/272", "tile/entries/273.p/112"]);
    }

    #[test]
    fn the_largest_tree_has_eight_levels() {
        let layout = TileLayout::of_size(u64::MAX);
        assert_eq!(layout.level_count(), 8);
        assert_eq!(layout.tile(7, 0), TileCoord::new(7, 0, 255));
        assert_eq!(layout.tile(0, (1 << 56) - 1), TileCoord::new(0, (1 << 56) - 1, 255));
        assert_eq!(layout.tile(0, 1 << 56), None);
        assert_eq!(layout.tile(0, u64::MAX), None);
        assert_eq!(layout.tile(8, 0), None);
        assert_eq!(layout.tile(255, 0), None);
    }

    /// The same as another implementation of tiles, Cloudflare's, whose paths name the height too.
    fn tiles_of_tlog_tiles(size: u64) -> Vec<String> {
        tlog_tiles::Tile::new_tiles(8, 0, size)
            .iter()
            .map(|tile| tile.path().replacen("tile/8/", "tile/", 1))
            .collect()
    }

    #[test]
    fn agrees_with_tlog_tiles_around_full_tiles() {
        for size in (0..600).chain(65_000..66_100).chain([16_777_215, 16_777_216, 16_777_217]) {
            assert_eq!(tile_paths(size), tiles_of_tlog_tiles(size), "size {size}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_tlog_tiles(size in 0u64..3_000_000) {
            prop_assert_eq!(tile_paths(size), tiles_of_tlog_tiles(size));
        }

        #[test]
        fn entries_come_back(entries in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..40), 1..=256)) {
            let mut bytes = Vec::new();
            for entry in &entries {
                push_entry(&mut bytes, entry).unwrap();
            }
            let coord = BundleCoord::new(0, entries.len() as u16).unwrap();
            let bundle = EntryBundle::parse(&bytes, &coord).unwrap();
            prop_assert!(bundle.entries().eq(entries.iter().map(Vec::as_slice)));
        }
    }

    /// The bundle that Tessera ships among its test data begins so.
    const WORDS: [u8; 17] =
        [0, 3, b'o', b'n', b'e', 0, 3, b't', b'w', b'o', 0, 5, b't', b'h', b'r', b'e', b'e'];

    #[test]
    fn entry_bundle_of_tessera() {
        let mut bytes = Vec::new();
        for word in ["one", "two", "three"] {
            push_entry(&mut bytes, word.as_bytes()).unwrap();
        }
        assert_eq!(bytes, WORDS);
        let coord = BundleCoord::new(0, 3).unwrap();
        let words: Vec<_> = EntryBundle::parse(&bytes, &coord).unwrap().entries().collect();
        assert_eq!(words, [b"one".as_slice(), b"two", b"three"]);
    }

    #[test]
    fn entry_bundle_with_other_entries_than_its_name_says_is_refused() {
        let coord = BundleCoord::new(0, 3).unwrap();
        for len in 0..WORDS.len() {
            let position = [5, 10, 17].iter().filter(|&&end| end <= len).count() as u16;
            assert_eq!(
                EntryBundle::parse(&WORDS[..len], &coord).unwrap_err(),
                EntriesMalformed::Truncated { bundle: coord, position }
            );
        }
        let narrower = BundleCoord::new(0, 2).unwrap();
        assert_eq!(
            EntryBundle::parse(&WORDS, &narrower).unwrap_err(),
            EntriesMalformed::TrailingBytes { bundle: narrower, len: 7 }
        );
    }

    #[test]
    fn the_longest_entry_fits_and_no_longer_one() {
        let coord = BundleCoord::new(0, 1).unwrap();
        let mut bytes = Vec::new();
        push_entry(&mut bytes, &[7; 65_535]).unwrap();
        assert_eq!(bytes.len() as u64, coord.len_bytes_max());
        assert!(EntryBundle::parse(&bytes, &coord).is_ok());
        assert_eq!(push_entry(&mut bytes, &[7; 65_536]), Err(EntryTooLong { len: 65_536 }));
        assert_eq!(bytes.len(), 65_537);
    }
}
