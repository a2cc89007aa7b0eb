//! Reads a bundle, and refuses it if a byte is not as its one form demands.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::layout::{BundleLayout, LogFile};
use super::zip::{self, Directory, END_LEN, FileFacts};
use super::{LogSource, SourceError, TrustCopy, check_len};
use crate::model::tile::{BundleCoord, TileCoord};

/// A bundle of which the end and the checkpoint have been read.
///
/// The size of the log is in the checkpoint, which is parsed and verified elsewhere. With the size
/// the names of all files are known, and [`OpenedBundle::with_size`] goes on.
#[derive(Debug)]
pub struct OpenedBundle {
    file: SharedFile,
    /// As the end records state it; place and length fit the zip's own length.
    directory: Directory,
    checkpoint: Vec<u8>,
    checkpoint_facts: FileFacts,
}

impl OpenedBundle {
    /// Opens the zip at `path` and reads its end, which must be canonical, and its first file.
    ///
    /// # Errors
    /// `bundle/io`, `bundle/truncated`, `bundle/not-canonical`, `bundle/wrong-length`,
    /// `bundle/crc`.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let file = SharedFile::open(path)?;
        let mut end = [0; END_LEN];
        let truncated = SourceError::Truncated { len: file.len };
        let Some(end_offset) = file.len.checked_sub(END_LEN as u64) else {
            return Err(truncated);
        };
        file.read_exact_at(&mut end, end_offset, None)?;
        if !zip::has_end_signature(&end) {
            return Err(truncated);
        }
        let stated = zip::read_end(&end);
        let offset = end_offset.checked_sub(stated.len).ok_or(truncated)?;
        let directory = Directory { offset, ..stated };
        compare(&zip::end(&directory), &end, end_offset)?;

        let log_file = LogFile::Checkpoint;
        let path = log_file.to_string();
        let mut header = vec![0; zip::local_header_len(&path)];
        file.read_exact_at(&mut header, 0, Some(log_file))?;
        let (crc, len) = zip::read_local_header(&header, &path);
        let checkpoint_facts = FileFacts { crc, len, offset: 0 };
        let checkpoint = file.read_checked(log_file, &checkpoint_facts)?;
        Ok(Self { file, directory, checkpoint, checkpoint_facts })
    }

    /// The checkpoint's bytes, not verified.
    pub fn checkpoint(&self) -> &[u8] {
        &self.checkpoint
    }

    /// Compares the directory, byte by byte, with that of a log of `size` entries, and reads the
    /// trust copy.
    ///
    /// Nothing is allocated because of what `size` or the zip claims: the table of files grows by
    /// 24 bytes with each entry of the directory (over 80 bytes) that was found to be right.
    ///
    /// # Errors
    /// As [`OpenedBundle::open`], but a trust copy with a wrong CRC-32 is [`TrustCopy::Damaged`].
    pub fn with_size(self, size: u64) -> Result<BundleReader, SourceError> {
        let Self { file, directory: stated, checkpoint, checkpoint_facts } = self;
        let layout = BundleLayout::of_size(size);
        let end_offset = stated.offset + stated.len;
        let found_end = zip::end(&stated);
        // The count comes first, so that a size that cannot be ends here.
        let counted = Directory { file_count: layout.file_count(), ..stated };
        compare(&zip::end(&counted), &found_end, end_offset)?;

        let mut directory = BufReader::with_capacity(1 << 16, file.starting_at(stated.offset));
        let mut facts = Vec::new();
        let (mut offset, mut at, mut entry) = (0, stated.offset, Vec::new());
        for log_file in layout.files() {
            let path = log_file.to_string();
            entry.resize(zip::directory_entry_len(&path), 0);
            directory.read_exact(&mut entry).map_err(|error| file.error(error, None))?;
            let expected = if log_file == LogFile::Checkpoint {
                checkpoint_facts
            } else {
                let (crc, len) = zip::read_directory_entry(&entry, &path);
                FileFacts { crc, len, offset }
            };
            compare(&zip::directory_entry(&path, &expected), &entry, at)?;
            check_len(log_file, expected.len)?;
            at += entry.len() as u64;
            offset = expected.end(&path);
            facts.push(expected);
        }
        // The files must fill the zip up to the directory, and the directory up to the end.
        let summed = Directory { offset, len: at - stated.offset, ..counted };
        compare(&zip::end(&summed), &found_end, end_offset)?;

        let trust_facts = &facts[1];
        let trust_bytes = file.read_contents(LogFile::TrustCopy, trust_facts)?;
        let trust_copy = if crc32fast::hash(&trust_bytes) == trust_facts.crc {
            TrustCopy::Intact(trust_bytes)
        } else {
            TrustCopy::Damaged(trust_bytes)
        };
        Ok(BundleReader { file, layout, facts, checkpoint, trust_copy })
    }
}

/// A bundle of known size, whose directory, end, checkpoint and trust copy are canonical.
///
/// Each other file's header and CRC-32 are compared whenever it is read, so whoever has read every
/// file of [`BundleLayout`] has had every byte of the zip checked. In memory are 24 bytes a file
/// and whatever is being read: at most 16.8 MB at a time for each thread.
#[derive(Debug)]
pub struct BundleReader {
    file: SharedFile,
    layout: BundleLayout,
    facts: Vec<FileFacts>,
    checkpoint: Vec<u8>,
    trust_copy: TrustCopy,
}

impl BundleReader {
    /// The files that the bundle has.
    pub const fn layout(&self) -> BundleLayout {
        self.layout
    }

    fn read(&self, log_file: LogFile) -> Result<Vec<u8>, SourceError> {
        let position = self.layout.position(&log_file);
        let facts = position.and_then(|position| self.facts.get(usize::try_from(position).ok()?));
        self.file.read_checked(log_file, facts.ok_or(SourceError::Missing { file: log_file })?)
    }
}

impl LogSource for BundleReader {
    fn checkpoint(&self) -> Result<Vec<u8>, SourceError> {
        Ok(self.checkpoint.clone())
    }

    fn trust_copy(&self) -> Result<TrustCopy, SourceError> {
        Ok(self.trust_copy.clone())
    }

    fn tile(&self, tile: &TileCoord) -> Result<Vec<u8>, SourceError> {
        self.read(LogFile::Tile(*tile))
    }

    fn entries(&self, bundle: &BundleCoord) -> Result<Vec<u8>, SourceError> {
        self.read(LogFile::Entries(*bundle))
    }
}

/// Compares the bytes that should be there with those found; `offset` is where `found` begins in the zip.
fn compare(expected: &[u8], found: &[u8], offset: u64) -> Result<(), SourceError> {
    let differing = expected.iter().zip(found).zip(offset..).find(|((a, b), _)| a != b);
    match differing {
        Some(((&expected, &found), offset)) => {
            Err(SourceError::NotCanonical { offset, expected, found })
        }
        None => Ok(()),
    }
}

/// A file that several threads read at places of their own.
#[derive(Debug)]
struct SharedFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
    /// The length in bytes when it was opened.
    len: u64,
}

impl SharedFile {
    fn open(path: &Path) -> Result<Self, SourceError> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|source| SourceError::Io { file: None, source })?;
        #[cfg(not(unix))]
        let file = std::sync::Mutex::new(file);
        Ok(Self { file, len })
    }

    /// Reads a file of the log whose header and CRC-32 must be as `facts` say.
    fn read_checked(&self, log_file: LogFile, facts: &FileFacts) -> Result<Vec<u8>, SourceError> {
        let bytes = self.read_contents(log_file, facts)?;
        let found = crc32fast::hash(&bytes);
        if found != facts.crc {
            return Err(SourceError::Crc { file: log_file, stated: facts.crc, found });
        }
        Ok(bytes)
    }

    /// Reads a file of the log whose header must be as `facts` say.
    fn read_contents(&self, log_file: LogFile, facts: &FileFacts) -> Result<Vec<u8>, SourceError> {
        let expected = zip::local_header(&log_file.to_string(), facts);
        let mut header = vec![0; expected.len()];
        self.read_exact_at(&mut header, facts.offset, Some(log_file))?;
        compare(&expected, &header, facts.offset)?;
        check_len(log_file, facts.len)?;
        let mut bytes = vec![0; facts.len as usize];
        self.read_exact_at(&mut bytes, facts.offset + expected.len() as u64, Some(log_file))?;
        Ok(bytes)
    }

    fn read_exact_at(
        &self,
        bytes: &mut [u8],
        offset: u64,
        log_file: Option<LogFile>,
    ) -> Result<(), SourceError> {
        self.starting_at(offset).read_exact(bytes).map_err(|error| self.error(error, log_file))
    }

    /// A reader from `offset` on, with a position of its own.
    fn starting_at(&self, offset: u64) -> ReadFrom<'_> {
        ReadFrom { file: self, offset }
    }

    fn error(&self, source: io::Error, file: Option<LogFile>) -> SourceError {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => SourceError::Truncated { len: self.len },
            _ => SourceError::Io { file, source },
        }
    }

    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, bytes, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        use std::io::{Seek, SeekFrom};
        // A thread that panicked with the lock left at worst another position, which is set here.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read(bytes)
    }
}

struct ReadFrom<'a> {
    file: &'a SharedFile,
    offset: u64,
}

impl Read for ReadFrom<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(bytes, self.offset)?;
        self.offset += len as u64;
        Ok(len)
    }
}
