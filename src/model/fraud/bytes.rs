//! How the parts of these files are cut: fixed-width integers, lengths before bytes (spec section
//! 2), beyond the 65,535 bytes that one encoded value may have.

use crate::model::encoding::Malformed;
use crate::model::hash::{HASH_LEN, NodeHash};

const TRUNCATED: Malformed = Malformed::new("encoding/truncated");

/// Reads from the front. No length that it reads allocates anything before the bytes are there.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads what follows the first line of a file.
    ///
    /// # Errors
    /// `encoding/malformed` if the file begins with another line.
    pub fn after(magic: &[u8], bytes: &'a [u8]) -> Result<Self, Malformed> {
        bytes.strip_prefix(magic).map(Self).ok_or(Malformed::new("encoding/malformed"))
    }

    /// The next bytes.
    ///
    /// # Errors
    /// `encoding/truncated`, as for all that follow.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next bytes, so many as the type says.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    /// A u64.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A u16 length, and so many bytes: an entry.
    pub fn short(&mut self) -> Result<Vec<u8>, Malformed> {
        let len = self.array().map(u16::from_be_bytes)?;
        self.take(usize::from(len)).map(<[u8]>::to_vec)
    }

    /// A u32 length, and so many bytes.
    pub fn long(&mut self) -> Result<Vec<u8>, Malformed> {
        let len = self.array().map(u32::from_be_bytes)?;
        self.take(usize::try_from(len).map_err(|_| TRUNCATED)?).map(<[u8]>::to_vec)
    }

    /// A u8 count, and so many hashes.
    pub fn hashes(&mut self) -> Result<Vec<NodeHash>, Malformed> {
        let count = self.byte()?;
        let bytes = self.take(usize::from(count) * HASH_LEN)?;
        Ok(bytes.as_chunks().0.iter().map(|hash| NodeHash::from_bytes(*hash)).collect())
    }

    /// A u8 count, and so many of what `read` reads.
    pub fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        (0..self.byte()?).map(|_| read(self)).collect()
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// `encoding/trailing`.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::new("encoding/trailing")) }
    }
}

/// As [`Reader::short`] reads it; the caller's types bound the length.
pub fn put_short(into: &mut Vec<u8>, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).expect("an entry has at most 65,535 bytes");
    into.extend(len.to_be_bytes());
    into.extend(bytes);
}

/// As [`Reader::long`] reads it.
pub fn put_long(into: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("a note, event or table proof is far below 4 GB");
    into.extend(len.to_be_bytes());
    into.extend(bytes);
}

/// As [`Reader::hashes`] reads it.
pub fn put_hashes(into: &mut Vec<u8>, hashes: &[NodeHash]) {
    put_count(into, hashes.len());
    hashes.iter().for_each(|hash| into.extend(hash.as_bytes()));
}

/// The count before what [`Reader::list`] reads.
pub fn put_count(into: &mut Vec<u8>, count: usize) {
    into.push(u8::try_from(count).expect("paths and lists of these files are below 256"));
}
