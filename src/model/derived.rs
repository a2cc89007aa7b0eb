//! The encoding of what follows from a log and is only kept to spare deriving it again.
//!
//! It is bincode's standard configuration. Unlike [`super::encoding`], nobody but this program and
//! version reads it, and nothing in it is signed: whoever keeps such bytes keeps a hash of them,
//! and derives them again if they do not decode.

use std::io::{self, Read, Write};

use bincode::config::standard;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

/// Decodes from so many bytes, with a bound on what is allocated in advance: about 64 bytes for
/// each. bincode has such bounds at compile time only, hence the steps.
macro_rules! bounded {
    ($len:expr, $decode:path, $from:expr) => {{
        const SMALL: usize = 64 << 20;
        const MEDIUM: usize = SMALL << 6;
        const LARGE: usize = MEDIUM << 6;
        let bound = $len.saturating_mul(64);
        if bound <= SMALL {
            $decode($from, standard().with_limit::<SMALL>())
        } else if bound <= MEDIUM {
            $decode($from, standard().with_limit::<MEDIUM>())
        } else {
            $decode($from, standard().with_limit::<LARGE>())
        }
    }};
}

/// Encodes a value.
pub fn encode(value: &impl Encode) -> Vec<u8> {
    bincode::encode_to_vec(value, standard()).expect("encoding to memory cannot fail")
}

/// As [`encode`], at the end of what is there already: whoever encodes many values keeps the room.
pub fn encode_onto(value: &impl Encode, bytes: &mut Vec<u8>) {
    bincode::encode_into_std_write(value, bytes, standard())
        .expect("encoding to memory cannot fail");
}

/// Decodes a value from all of `bytes`; none if they are not one.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    let decoded = bounded!(bytes.len(), bincode::decode_from_slice, bytes);
    let (value, consumed) = decoded.ok()?;
    (consumed == bytes.len()).then_some(value)
}

/// Encodes a value, as it goes along.
///
/// # Errors
/// That of writing.
pub fn write(value: &impl Encode, mut into: &mut dyn Write) -> io::Result<()> {
    match bincode::encode_into_std_write(value, &mut into, standard()) {
        Ok(_) => Ok(()),
        Err(EncodeError::Io { inner, .. }) => Err(inner),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Decodes what [`write()`] wrote, in at most `len` bytes.
///
/// # Errors
/// That of reading; `InvalidData` if the bytes are no such value.
pub fn read<T: Decode<()>>(mut from: &mut dyn Read, len: u64) -> io::Result<T> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    bounded!(len, bincode::decode_from_std_read, &mut from).map_err(|error| match error {
        DecodeError::Io { inner, .. } => inner,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    })
}

/// The next bytes, as many as an array has.
///
/// # Errors
/// That of reading; `UnexpectedEof` if there are fewer.
pub fn array<const LEN: usize>(from: &mut (impl Read + ?Sized)) -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_length_allocates_nothing_and_nothing_may_follow() {
        let bytes = encode(&vec![1u64, 2]);
        assert_eq!(decode::<Vec<u64>>(&bytes), Some(vec![1, 2]));
        assert_eq!(decode::<Vec<u64>>(&[bytes.as_slice(), &[0]].concat()), None);
        assert_eq!(decode::<Vec<u64>>(&bytes[..2]), None);
        // A u64 length, 2^60 items.
        assert_eq!(decode::<Vec<u64>>(&[253, 0, 0, 0, 0, 0, 0, 0, 16]), None);
    }
}
