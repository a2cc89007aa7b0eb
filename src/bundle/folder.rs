//! A log as a folder of files: a bundle unpacked, or a mirror of the log.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::layout::LogFile;
use super::{LogSource, SourceError, TrustCopy, check_len};
use crate::model::tile::{BundleCoord, TileCoord};

/// Reads a log's files below one folder, by their paths in tlog-tiles.
///
/// Only plain files in plain folders are read: no symbolic link is followed below the folder. That
/// keeps a folder from elsewhere from pointing at other files of the reader's machine; it is no
/// guard against somebody who changes the folder meanwhile. Files that the log does not have are
/// passed over.
#[derive(Clone, Debug)]
pub struct LogFolder {
    folder: PathBuf,
}

impl LogFolder {
    /// The log in `folder`. Nothing is read yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn read(&self, log_file: LogFile) -> Result<Vec<u8>, SourceError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => SourceError::Missing { file: log_file },
            _ => SourceError::Io { file: Some(log_file), source },
        };
        let path = log_file.to_string();
        let path = self.plain_path(&path).map_err(failed)?;
        let path = path.ok_or(SourceError::NotAFile { file: log_file })?;
        let file = File::open(path).map_err(failed)?;
        check_len(log_file, file.metadata().map_err(failed)?.len())?;
        // The file may grow while it is read: one byte more than allowed shows it.
        let mut bytes = Vec::new();
        let bound = log_file.len_bounds().end() + 1;
        file.take(bound).read_to_end(&mut bytes).map_err(failed)?;
        check_len(log_file, bytes.len() as u64)?;
        Ok(bytes)
    }

    /// The whole path of a file; `None` if a link, or anything else than a file in folders, is on
    /// the way.
    fn plain_path(&self, path: &str) -> io::Result<Option<PathBuf>> {
        let mut whole = self.folder.clone();
        let mut parts = Path::new(path).iter().peekable();
        while let Some(part) = parts.next() {
            whole.push(part);
            // Does not follow a link, so a link is neither a file nor a folder.
            let kind = fs::symlink_metadata(&whole)?.file_type();
            let plain = if parts.peek().is_some() { kind.is_dir() } else { kind.is_file() };
            if !plain {
                return Ok(None);
            }
        }
        Ok(Some(whole))
    }
}

impl LogSource for LogFolder {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        self.read(LogFile::Checkpoint)
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        match self.read(LogFile::TrustCopy) {
            Ok(bytes) => Ok(TrustCopy::Intact(bytes)),
            Err(SourceError::Missing { .. }) => Ok(TrustCopy::Absent),
            Err(error) => Err(error),
        }
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        self.read(LogFile::Tile(*tile))
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        self.read(LogFile::Entries(*bundle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn code<T: std::fmt::Debug>(result: Result<T, SourceError>) -> &'static str {
        result.unwrap_err().code()
    }

    #[test]
    fn reads_files_by_their_paths() {
        let folder = folder_with(&[
            ("checkpoint", b"note"),
            ("tile/0/x001/000.p/2", &[5; 64]),
            ("tile/entries/x001/000.p/2", &[0, 1, 7, 0, 0]),
        ]);
        let log = LogFolder::new(folder.path());
        assert_eq!(log.checkpoint().unwrap(), b"note");
        assert_eq!(log.trust_copy().unwrap(), TrustCopy::Absent);
        assert_eq!(log.tile(&TileCoord::new(0, 1000, 2).unwrap()).unwrap(), [5; 64]);
        let entries = log.entries(&BundleCoord::new(1000, 2).unwrap());
        assert_eq!(entries.unwrap(), [0, 1, 7, 0, 0]);
        assert_eq!(code(log.tile(&TileCoord::new(0, 1000, 3).unwrap())), "bundle/missing");
        // `tile/0/x001/000` is missing although `tile/0/x001/000.p` is there.
        assert_eq!(code(log.tile(&TileCoord::new(0, 1000, 256).unwrap())), "bundle/missing");
    }

    #[test]
    fn lengths_are_bounded() {
        let folder = folder_with(&[
            ("checkpoint", &[b'a'; 65_537]),
            ("giftproof.trust", &[b'a'; 131_073]),
            ("tile/0/000.p/2", &[0; 63]),
            ("tile/0/001.p/2", &[0; 65]),
            ("tile/entries/000.p/2", &[0; 3]),
            ("tile/entries/001.p/2", &[0; 131_075]),
        ]);
        let log = LogFolder::new(folder.path());
        assert_eq!(code(log.checkpoint()), "bundle/wrong-length");
        assert_eq!(code(log.trust_copy()), "bundle/wrong-length");
        for index in [0, 1] {
            let tile = TileCoord::new(0, index, 2).unwrap();
            assert_eq!(code(log.tile(&tile)), "bundle/wrong-length");
            let entries = BundleCoord::new(index, 2).unwrap();
            assert_eq!(code(log.entries(&entries)), "bundle/wrong-length");
        }
    }

    #[test]
    #[cfg(unix)]
    fn links_and_folders_are_not_read_as_files() {
        use std::os::unix::fs::symlink;
        let elsewhere = folder_with(&[("secret", b"secret"), ("0/000.p/1", &[0; 32])]);
        let folder = folder_with(&[("tile/1/000.p/1/file", b"")]);
        symlink(elsewhere.path().join("secret"), folder.path().join("checkpoint")).unwrap();
        symlink(elsewhere.path().join("nothing"), folder.path().join("giftproof.trust")).unwrap();
        symlink(elsewhere.path().join("0"), folder.path().join("tile/0")).unwrap();
        let log = LogFolder::new(folder.path());
        assert_eq!(code(log.checkpoint()), "bundle/not-a-file");
        assert_eq!(code(log.trust_copy()), "bundle/not-a-file");
        assert_eq!(code(log.tile(&TileCoord::new(0, 0, 1).unwrap())), "bundle/not-a-file");
        assert_eq!(code(log.tile(&TileCoord::new(1, 0, 1).unwrap())), "bundle/not-a-file");
    }
}
