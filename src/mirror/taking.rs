//! A log on its way into a mirror.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bundle::output::sync_folder;
use crate::bundle::{Existing, LogFile, LogFolder, LogSource, OutputFile, SourceError, TrustCopy};
use crate::model::merkle::TILE_HEIGHT;
use crate::model::tile::{BundleCoord, TILE_WIDTH, TileCoord, TileLayout};

/// Reads what the mirror has from the mirror, and all else from the source, keeping it.
///
/// What is kept is not checked here. It stands apart from the mirror until an audit that read it
/// through this is clean; then [`Self::settle`] moves it over.
pub(super) struct Taking<'a> {
    source: &'a dyn LogSource,
    /// The source's checkpoint, read once: it may grow meanwhile.
    checkpoint: Vec<u8>,
    mirror: &'a Path,
    /// How many entries the mirror has.
    have: u64,
    incoming: PathBuf,
    /// Something was there already: an earlier attempt was interrupted.
    reused: AtomicBool,
}

impl<'a> Taking<'a> {
    pub(super) fn new(
        source: &'a dyn LogSource,
        checkpoint: Vec<u8>,
        mirror: &'a Path,
        have: u64,
        incoming: PathBuf,
    ) -> Self {
        Self { source, checkpoint, mirror, have, incoming, reused: AtomicBool::new(false) }
    }

    /// Where all comes from.
    pub(super) fn source(&self) -> &dyn LogSource {
        self.source
    }

    /// The source's checkpoint.
    pub(super) fn offered(&self) -> &[u8] {
        &self.checkpoint
    }

    /// Whether anything that was read was kept by an earlier attempt.
    pub(super) fn reused(&self) -> bool {
        self.reused.load(Ordering::Relaxed)
    }

    /// Forgets what was taken.
    pub(super) fn discard(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves what a log of this size consists of into the mirror. A crash on the way leaves files
    /// there that no checkpoint of the mirror asks for yet.
    pub(super) fn settle(&self, size: u64) -> io::Result<()> {
        let new = TileLayout::of_size(size);
        let tiles = (0..new.level_count()).flat_map(|level| {
            let indexes = self.full(level)..new.tile_count(level);
            indexes.filter_map(move |index| new.tile(level, index)).map(LogFile::Tile)
        });
        let bundles = (self.full(0)..new.bundle_count()).filter_map(|index| new.bundle(index));
        let mut folders = BTreeSet::new();
        for file in tiles.chain(bundles.map(LogFile::Entries)) {
            let path = self.mirror.join(file.to_string());
            let folder = path.parent().expect("it is below the mirror");
            fs::create_dir_all(folder)?;
            fs::rename(self.incoming.join(file.to_string()), &path)?;
            let below = folder.ancestors().take_while(|above| above.starts_with(self.mirror));
            folders.extend(below.map(Path::to_path_buf));
        }
        // All names are durable before the checkpoint that needs them is.
        folders.iter().try_for_each(|folder| sync_folder(folder))?;
        self.discard()
    }

    /// The file as an earlier attempt kept it, or as the source has it, which is then kept.
    fn take(
        &self,
        file: LogFile,
        kept: impl FnOnce(&LogFolder) -> Result<Vec<u8>, SourceError>,
        read: impl FnOnce() -> Result<Vec<u8>, SourceError>,
    ) -> Result<Vec<u8>, SourceError> {
        if let Ok(bytes) = kept(&LogFolder::new(&self.incoming)) {
            self.reused.store(true, Ordering::Relaxed);
            return Ok(bytes);
        }
        let bytes = read()?;
        let keep = || -> io::Result<()> {
            let path = self.incoming.join(file.to_string());
            fs::create_dir_all(path.parent().expect("it is below a folder"))?;
            let mut output = OutputFile::create(&path, Existing::Replace)?;
            output.write_all(&bytes)?;
            output.commit()
        };
        keep().map_err(|source| SourceError::Io { file: Some(file), source })?;
        Ok(bytes)
    }

    /// How many full tiles of a level the mirror has; of bundles, as many as of level 0.
    fn full(&self, level: u8) -> u64 {
        let bits = u32::from(TILE_HEIGHT) * (u32::from(level) + 1);
        self.have.checked_shr(bits).unwrap_or(0)
    }
}

impl LogSource for Taking<'_> {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        Ok(self.checkpoint.clone())
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        self.source.trust_copy()
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        if tile.width() == TILE_WIDTH && tile.index() < self.full(tile.level()) {
            return LogFolder::new(self.mirror).tile(tile);
        }
        self.take(LogFile::Tile(*tile), |kept| kept.tile(tile), || self.source.tile(tile))
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        if bundle.width() == TILE_WIDTH && bundle.index() < self.full(0) {
            return LogFolder::new(self.mirror).entries(bundle);
        }
        let read = || self.source.entries(bundle);
        self.take(LogFile::Entries(*bundle), |kept| kept.entries(bundle), read)
    }
}
