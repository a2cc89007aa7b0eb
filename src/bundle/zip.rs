//! The byte form of a bundle: a zip archive that could not be written in any other way.
//!
//! The records are those of PKWARE's APPNOTE 6.3.10; any zip tool that knows Zip64 reads them.
//! They are made here and not by a general library, because the bytes belong to our
//! specification: the same log with the same trust file gives the same bytes, and a reader
//! re-encodes every record and compares. So no byte is free:
//!
//! - Files are in the order of [`super::BundleLayout`], end to end, from byte 0; the directory
//!   follows at once, then the three end records; nothing stands between or after.
//! - Files are stored without compression. No comments, flags, data descriptors or encryption.
//! - Every size and offset is in a Zip64 field, also where 32 bits would do; the old fields say so
//!   with 0xffffffff. The count of files in the last record is 0xffff likewise.
//! - Versions, times and attributes are constants: Zip 4.5 made on Unix, 1980-01-01 00:00, a
//!   regular file with mode 0644.
//!
//! Two things are left to the files: each one's length, and its CRC-32. Both are stated twice (at
//! the file and in the directory), the lengths must add up to the place of the directory, and the
//! CRC-32 must be that of the bytes. Only the trust copy's bytes may differ from theirs.
//!
//! | record | bytes | source |
//! |---|---|---|
//! | local header | 30 + path + 20 | APPNOTE 4.3.7, 4.5.3 |
//! | directory entry | 46 + path + 28 | 4.3.12, 4.5.3 |
//! | Zip64 end, its locator, end | 56 + 20 + 22 | 4.3.14, 4.3.15, 4.3.16 |

const LOCAL_HEADER_SIGNATURE: u32 = 0x0403_4b50;
const DIRECTORY_ENTRY_SIGNATURE: u32 = 0x0201_4b50;
const ZIP64_END_SIGNATURE: u32 = 0x0606_4b50;
const ZIP64_LOCATOR_SIGNATURE: u32 = 0x0706_4b50;
const END_SIGNATURE: u32 = 0x0605_4b50;

/// Version 4.5 of the format, the first with Zip64.
const VERSION_NEEDED: u16 = 45;
/// The same, and made on Unix (3), so that the attributes below are a Unix mode.
const VERSION_MADE_BY: u16 = 3 << 8 | VERSION_NEEDED;
const FLAGS: u16 = 0;
const METHOD_STORED: u16 = 0;
const TIME_MIDNIGHT: u16 = 0;
/// Year 0 after 1980, month 1, day 1.
const DATE_1980_01_01: u16 = 1 << 5 | 1;
const EXTERNAL_ATTRIBUTES: u32 = 0o100_644 << 16;
const ZIP64_EXTRA_ID: u16 = 1;
/// "See the Zip64 field" for 32 and 16 bits.
const IN_ZIP64_32: u32 = u32::MAX;
const IN_ZIP64_16: u16 = u16::MAX;

/// The length of the three records at the end.
pub(super) const END_LEN: usize = 56 + 20 + 22;

/// Where the last record, the classic end record, begins within the three.
const CLASSIC_END_AT: usize = 56 + 20;

/// What the archive says about one file beyond its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileFacts {
    /// CRC-32 of the file's bytes.
    pub crc: u32,
    /// The file's length in bytes.
    pub len: u64,
    /// Where its local header begins.
    pub offset: u64,
}

impl FileFacts {
    /// Where the next record begins: after the header and the bytes of the file at `path`. The
    /// length must be in bounds.
    pub fn end(&self, path: &str) -> u64 {
        self.offset + local_header_len(path) as u64 + self.len
    }
}

/// Collects a record's little-endian fields.
struct Record(Vec<u8>);

impl Record {
    fn new(signature: u32, capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity)).u32(signature)
    }

    fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The fields that the local header and the directory entry share.
    fn file_fields(self, path: &str, crc: u32, extra_len: u16) -> Self {
        let path_len = u16::try_from(path.len()).expect("paths of a log have under 60 bytes");
        self.u16(VERSION_NEEDED)
            .u16(FLAGS)
            .u16(METHOD_STORED)
            .u16(TIME_MIDNIGHT)
            .u16(DATE_1980_01_01)
            .u32(crc)
            .u32(IN_ZIP64_32) // compressed size
            .u32(IN_ZIP64_32) // size
            .u16(path_len)
            .u16(extra_len)
    }
}

/// Where the path stands within a local header.
const LOCAL_PATH_AT: usize = 30;

/// The length of the record before a file's bytes.
pub(super) const fn local_header_len(path: &str) -> usize {
    LOCAL_PATH_AT + path.len() + 20
}

/// The record before a file's bytes.
pub(super) fn local_header(path: &str, facts: &FileFacts) -> Vec<u8> {
    Record::new(LOCAL_HEADER_SIGNATURE, local_header_len(path))
        .file_fields(path, facts.crc, 20)
        .bytes(path.as_bytes())
        .u16(ZIP64_EXTRA_ID)
        .u16(16)
        .u64(facts.len)
        .u64(facts.len) // compressed size
        .0
}

/// What a local header for `path`, of the right length, states; everything else in it is left to
/// the comparison with [`local_header`]. The length is as stated, not bounded.
pub(super) fn read_local_header(header: &[u8], path: &str) -> (u32, u64) {
    (u32_at(header, 14), u64_at(header, LOCAL_PATH_AT + path.len() + 4))
}

/// Where the path stands within a directory entry.
const DIRECTORY_PATH_AT: usize = 46;

/// The length of a file's record in the directory.
pub(super) const fn directory_entry_len(path: &str) -> usize {
    DIRECTORY_PATH_AT + path.len() + 28
}

/// A file's record in the directory.
pub(super) fn directory_entry(path: &str, facts: &FileFacts) -> Vec<u8> {
    Record::new(DIRECTORY_ENTRY_SIGNATURE, directory_entry_len(path))
        .u16(VERSION_MADE_BY)
        .file_fields(path, facts.crc, 28)
        .u16(0) // length of comment
        .u16(0) // disk
        .u16(0) // internal attributes
        .u32(EXTERNAL_ATTRIBUTES)
        .u32(IN_ZIP64_32) // offset
        .bytes(path.as_bytes())
        .u16(ZIP64_EXTRA_ID)
        .u16(24)
        .u64(facts.len)
        .u64(facts.len) // compressed size
        .u64(facts.offset)
        .0
}

/// What a directory entry for `path`, of the right length, states: CRC-32 and length, as in
/// [`read_local_header`].
pub(super) fn read_directory_entry(entry: &[u8], path: &str) -> (u32, u64) {
    (u32_at(entry, 16), u64_at(entry, DIRECTORY_PATH_AT + path.len() + 4))
}

/// Where the directory is, and of how many files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub file_count: u64,
    pub offset: u64,
    pub len: u64,
}

/// The three records at the end.
pub(super) fn end(directory: &Directory) -> Vec<u8> {
    Record::new(ZIP64_END_SIGNATURE, END_LEN)
        .u64(44) // length of the rest of this record
        .u16(VERSION_MADE_BY)
        .u16(VERSION_NEEDED)
        .u32(0) // this disk
        .u32(0) // disk of the directory
        .u64(directory.file_count) // on this disk
        .u64(directory.file_count)
        .u64(directory.len)
        .u64(directory.offset)
        .u32(ZIP64_LOCATOR_SIGNATURE)
        .u32(0) // disk of the Zip64 end
        .u64(directory.offset.saturating_add(directory.len)) // where the Zip64 end is
        .u32(1) // count of disks
        .u32(END_SIGNATURE)
        .u16(0) // this disk
        .u16(0) // disk of the directory
        .u16(IN_ZIP64_16) // files on this disk
        .u16(IN_ZIP64_16) // files
        .u32(IN_ZIP64_32) // length of directory
        .u32(IN_ZIP64_32) // offset of directory
        .u16(0) // length of comment
        .0
}

/// What the end records state, unchecked.
pub(super) fn read_end(end: &[u8; END_LEN]) -> Directory {
    Directory { file_count: u64_at(end, 32), len: u64_at(end, 40), offset: u64_at(end, 48) }
}

/// Whether one of the two outer end records begins where it should. If neither does, the archive
/// was cut off or added to.
pub(super) fn has_end_signature(end: &[u8; END_LEN]) -> bool {
    u32_at(end, 0) == ZIP64_END_SIGNATURE || u32_at(end, CLASSIC_END_AT) == END_SIGNATURE
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let field = bytes[at..].first_chunk().expect("the record has its full length");
    u32::from_le_bytes(*field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let field = bytes[at..].first_chunk().expect("the record has its full length");
    u64::from_le_bytes(*field)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: FileFacts = FileFacts { crc: 0x0a0b_0c0d, len: 0x1122, offset: 0x33_4455_6677 };

    /// Written down by hand from APPNOTE 6.3.10, field by field.
    #[test]
    fn records_are_those_of_the_appnote() {
        let local = concat!(
            "504b0304", // signature
            "2d00",     // version needed
            "0000",     // flags
            "0000",     // method
            "0000",     // time
            "2100",     // date
            "0d0c0b0a", // CRC-32
            "ffffffff", // compressed size
            "ffffffff", // size
            "0a00",     // length of name
            "1400",     // length of extra
            "636865636b706f696e74",
            "0100",             // Zip64
            "1000",             // its length
            "2211000000000000", // size
            "2211000000000000", // compressed size
        );
        assert_eq!(hex::encode(local_header("checkpoint", &FACTS)), local);

        let entry = concat!(
            "504b0102", // signature
            "2d03",     // version made by
            "2d00",     // version needed
            "0000",     // flags
            "0000",     // method
            "0000",     // time
            "2100",     // date
            "0d0c0b0a", // CRC-32
            "ffffffff", // compressed size
            "ffffffff", // size
            "0a00",     // length of name
            "1c00",     // length of extra
            "0000",     // length of comment
            "0000",     // disk
            "0000",     // internal attributes
            "0000a481", // external attributes
            "ffffffff", // offset
            "636865636b706f696e74",
            "0100",             // Zip64
            "1800",             // its length
            "2211000000000000", // size
            "2211000000000000", // compressed size
            "7766554433000000", // offset
        );
        assert_eq!(hex::encode(directory_entry("checkpoint", &FACTS)), entry);

        let directory = Directory { file_count: 3, offset: 0x1000, len: 0x200 };
        let ends = concat!(
            "504b0606",         // Zip64 end
            "2c00000000000000", // its length, less 12
            "2d03",             // version made by
            "2d00",             // version needed
            "00000000",         // this disk
            "00000000",         // disk of the directory
            "0300000000000000", // entries on this disk
            "0300000000000000", // entries
            "0002000000000000", // length of the directory
            "0010000000000000", // offset of the directory
            "504b0607",         // locator
            "00000000",         // disk of the Zip64 end
            "0012000000000000", // offset of the Zip64 end
            "01000000",         // disks
            "504b0506",         // end
            "0000",             // this disk
            "0000",             // disk of the directory
            "ffff",             // entries on this disk
            "ffff",             // entries
            "ffffffff",         // length of the directory
            "ffffffff",         // offset of the directory
            "0000",             // length of comment
        );
        assert_eq!(hex::encode(end(&directory)), ends);
    }

    #[test]
    fn what_is_stated_is_read_back() {
        let (path, stated) = ("tile/0/000.p/3", (FACTS.crc, FACTS.len));
        assert_eq!(read_local_header(&local_header(path, &FACTS), path), stated);
        assert_eq!(read_directory_entry(&directory_entry(path, &FACTS), path), stated);
        let directory = Directory { file_count: 7, offset: 1 << 40, len: 99 };
        let bytes: [u8; END_LEN] = end(&directory).try_into().unwrap();
        assert_eq!(read_end(&bytes), directory);
        assert!(has_end_signature(&bytes));
    }
}
