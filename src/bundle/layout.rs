//! Which files a log of one size consists of, in the order in which a bundle has them.
//!
//! The order is `checkpoint`, the trust copy, all tiles from level 0 up, all entry bundles. Tiles
//! stand before entries for the sake of a reader that sees the bundle only once, as a stream: it
//! keeps one hash of each tile, has checked them all against the checkpoint when the last tile
//! has passed, and can then check each entry bundle when it arrives.

use std::fmt;
use std::ops::RangeInclusive;

use crate::model::tile::{BundleCoord, TileCoord, TileLayout};

/// The longest checkpoint, in bytes.
pub const CHECKPOINT_LEN_MAX: u64 = 64 * 1024;

/// The longest copy of a trust file, in bytes.
pub const TRUST_COPY_LEN_MAX: u64 = 128 * 1024;

/// The path of the trust file's copy. It is no path of tlog-tiles, whose tools pass over it.
pub const TRUST_COPY_PATH: &str = "giftproof.trust";

/// One file of a log. Displayed as its path below the log's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFile {
    /// The signed tree head.
    Checkpoint,
    /// The trust file's copy.
    TrustCopy,
    /// A tile of hashes.
    Tile(TileCoord),
    /// An entry bundle.
    Entries(BundleCoord),
}

impl LogFile {
    /// The lengths in bytes that such a file can have.
    pub fn len_bounds(&self) -> RangeInclusive<u64> {
        match self {
            Self::Checkpoint => 1..=CHECKPOINT_LEN_MAX,
            Self::TrustCopy => 0..=TRUST_COPY_LEN_MAX,
            Self::Tile(tile) => tile.len_bytes()..=tile.len_bytes(),
            Self::Entries(bundle) => bundle.len_bytes_min()..=bundle.len_bytes_max(),
        }
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::TrustCopy => f.write_str(TRUST_COPY_PATH),
            Self::Tile(tile) => tile.fmt(f),
            Self::Entries(bundle) => bundle.fmt(f),
        }
    }
}

/// The files of a bundle of one size, numbered from 0 in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleLayout {
    tree: TileLayout,
}

impl BundleLayout {
    /// The number of files before the first tile: the checkpoint and the trust copy.
    const HEAD_FILES: u64 = 2;

    /// The bundle of a log of `size` entries.
    pub const fn of_size(size: u64) -> Self {
        Self { tree: TileLayout::of_size(size) }
    }

    /// The tiles and entry bundles alone.
    pub const fn tree(&self) -> TileLayout {
        self.tree
    }

    /// How many files there are.
    pub fn file_count(&self) -> u64 {
        Self::HEAD_FILES + self.tiles_below(self.tree.level_count()) + self.tree.bundle_count()
    }

    /// All files in their order.
    pub fn files(self) -> impl Iterator<Item = LogFile> {
        [LogFile::Checkpoint, LogFile::TrustCopy]
            .into_iter()
            .chain(self.tree.tiles().map(LogFile::Tile))
            .chain(self.tree.bundles().map(LogFile::Entries))
    }

    /// The number of `file` in the order; `None` if this bundle has no file of exactly that name.
    pub fn position(&self, file: &LogFile) -> Option<u64> {
        match file {
            LogFile::Checkpoint => Some(0),
            LogFile::TrustCopy => Some(1),
            LogFile::Tile(tile) => {
                let exists = self.tree.tile(tile.level(), tile.index()) == Some(*tile);
                exists.then(|| Self::HEAD_FILES + self.tiles_below(tile.level()) + tile.index())
            }
            LogFile::Entries(bundle) => {
                let exists = self.tree.bundle(bundle.index()) == Some(*bundle);
                let tiles = self.tiles_below(self.tree.level_count());
                exists.then(|| Self::HEAD_FILES + tiles + bundle.index())
            }
        }
    }

    fn tiles_below(&self, level: u8) -> u64 {
        (0..level).map(|below| self.tree.tile_count(below)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_where_the_order_has_it() {
        for size in [0, 1, 255, 256, 257, 65_535, 65_536, 70_000] {
            let layout = BundleLayout::of_size(size);
            let mut count = 0;
            for file in layout.files() {
                assert_eq!(layout.position(&file), Some(count), "{file} at size {size}");
                count += 1;
            }
            assert_eq!(layout.file_count(), count, "size {size}");
        }
    }

    #[test]
    fn a_file_of_another_width_or_place_is_not_in_the_bundle() {
        let layout = BundleLayout::of_size(300);
        let tile = |level, index, width| {
            layout.position(&LogFile::Tile(TileCoord::new(level, index, width).unwrap()))
        };
        assert_eq!(tile(0, 1, 44), Some(3));
        assert_eq!(tile(0, 1, 43), None);
        assert_eq!(tile(0, 1, 256), None);
        assert_eq!(tile(0, 2, 1), None);
        assert_eq!(tile(1, 0, 1), Some(4));
        assert_eq!(tile(2, 0, 1), None);
        let entries = |index, width| {
            layout.position(&LogFile::Entries(BundleCoord::new(index, width).unwrap()))
        };
        assert_eq!(entries(1, 44), Some(6));
        assert_eq!(entries(0, 44), None);
    }

    #[test]
    fn ten_million_entries_are_78_thousand_files() {
        // Level 0 has 10,000,000 hashes, level 1 39,062, level 2 152, level 3 none.
        assert_eq!(BundleLayout::of_size(10_000_000).file_count(), 2 + 39_063 + 153 + 1 + 39_063);
    }

    #[test]
    fn counting_the_files_of_the_largest_size_does_not_overflow() {
        let tiles: u64 = (0..8).map(|level| 1u64 << (56 - 8 * level)).sum();
        assert_eq!(BundleLayout::of_size(u64::MAX).file_count(), 2 + tiles + (1 << 56));
    }
}
