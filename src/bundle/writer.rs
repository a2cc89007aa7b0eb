//! Writes a bundle as a stream.

use std::io::{self, Write};

use thiserror::Error;

use super::layout::{BundleLayout, LogFile};
use super::zip::{self, Directory, FileFacts};

/// Writes one bundle, file after file in the order of [`BundleLayout`].
///
/// Kept in memory are 24 bytes a file until the directory is written: 1.9 MB for 10 million
/// entries. Every step takes the writer and gives it back, so that none is left after an error:
/// what `out` then holds is of no use.
///
/// ```
/// use giftproof::bundle::{BundleWriter, LogFile};
///
/// # fn main() -> Result<(), giftproof::bundle::WriteError> {
/// let zip: Vec<u8> = BundleWriter::new(Vec::new(), 0)
///     .put(LogFile::Checkpoint, b"a signed note of an empty log\n")?
///     .put(LogFile::TrustCopy, b"a trust file")?
///     .finish()?;
/// assert!(zip.starts_with(b"PK"));
/// # Ok(())
/// # }
/// ```
pub struct BundleWriter<W> {
    out: W,
    layout: BundleLayout,
    missing: Box<dyn Iterator<Item = LogFile> + Send>,
    written: Vec<FileFacts>,
    offset: u64,
}

/// Why a bundle could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// `bundle/write-order`: another file is due; `None` stands for the end.
    #[error("{} is due in the bundle, not {}", name(.due), name(.given))]
    OutOfOrder { due: Option<LogFile>, given: Option<LogFile> },
    /// `bundle/write-length`: the file is shorter or longer than such a file can be.
    #[error("{file} has {len} bytes instead of {min} to {max}")]
    WrongLength { file: LogFile, len: u64, min: u64, max: u64 },
    /// `bundle/write-io`: the system failed.
    #[error("writing the bundle failed: {0}")]
    Io(#[from] io::Error),
}

impl WriteError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "bundle/write-order",
            Self::WrongLength { .. } => "bundle/write-length",
            Self::Io(_) => "bundle/write-io",
        }
    }
}

fn name(file: &Option<LogFile>) -> String {
    file.map_or_else(|| "the end".into(), |file| file.to_string())
}

impl<W: Write> BundleWriter<W> {
    /// Begins the bundle of a log of `size` entries at the start of `out`. Headers are written in
    /// small pieces, so `out` should be buffered.
    pub fn new(out: W, size: u64) -> Self {
        let layout = BundleLayout::of_size(size);
        let missing = Box::new(layout.files());
        Self { out, layout, missing, written: Vec::new(), offset: 0 }
    }

    /// Writes one whole file; it must be the next in the order.
    ///
    /// # Errors
    /// All of [`WriteError`].
    pub fn put(mut self, file: LogFile, bytes: &[u8]) -> Result<Self, WriteError> {
        let due = self.missing.next();
        if due != Some(file) {
            return Err(WriteError::OutOfOrder { due, given: Some(file) });
        }
        let (bounds, len) = (file.len_bounds(), bytes.len() as u64);
        if !bounds.contains(&len) {
            let (min, max) = bounds.into_inner();
            return Err(WriteError::WrongLength { file, len, min, max });
        }
        let facts = FileFacts { crc: crc32fast::hash(bytes), len, offset: self.offset };
        let path = file.to_string();
        self.out.write_all(&zip::local_header(&path, &facts))?;
        self.out.write_all(bytes)?;
        self.offset = facts.end(&path);
        self.written.push(facts);
        Ok(self)
    }

    /// Writes the directory and the end, flushes, and gives `out` back.
    ///
    /// # Errors
    /// [`WriteError::OutOfOrder`] if files are missing, or [`WriteError::Io`].
    pub fn finish(mut self) -> Result<W, WriteError> {
        if let Some(due) = self.missing.next() {
            return Err(WriteError::OutOfOrder { due: Some(due), given: None });
        }
        let mut len = 0;
        for (file, facts) in self.layout.files().zip(&self.written) {
            let entry = zip::directory_entry(&file.to_string(), facts);
            self.out.write_all(&entry)?;
            len += entry.len() as u64;
        }
        let file_count = self.written.len() as u64;
        self.out.write_all(&zip::end(&Directory { file_count, offset: self.offset, len }))?;
        self.out.flush()?;
        Ok(self.out)
    }
}
