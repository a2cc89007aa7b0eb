//! The encoding of what follows from a log and is only kept to spare deriving it again.
//!
//! It is bincode's standard configuration. Unlike [`super::encoding`], nobody but this program and
//! version reads it, and nothing in it is signed: whoever keeps such bytes keeps a hash of them,
//! and derives them again if they do not decode.

use std::io::{self, Read, Write};

use bincode::config::standard;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

/// Encodes a value.
pub fn encode(value: &impl Encode) -> Vec<u8> {
    bincode::encode_to_vec(value, standard()).expect("encoding to memory cannot fail")
}

/// Decodes a value from all of `bytes`; none if they are not one.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    let (value, consumed) = decode_bounded(bytes)?;
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
    let bound = usize::try_from(len).unwrap_or(usize::MAX).saturating_mul(64);
    let value = if bound <= SMALL {
        bincode::decode_from_std_read(&mut from, standard().with_limit::<SMALL>())
    } else if bound <= MEDIUM {
        bincode::decode_from_std_read(&mut from, standard().with_limit::<MEDIUM>())
    } else {
        bincode::decode_from_std_read(&mut from, standard().with_limit::<LARGE>())
    };
    value.map_err(|error| match error {
        DecodeError::Io { inner, .. } => inner,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    })
}

const SMALL: usize = 64 << 20;
const MEDIUM: usize = SMALL << 6;
const LARGE: usize = MEDIUM << 6;

/// Decodes with a bound on what is allocated in advance, about 64 bytes for each byte read.
/// bincode has such bounds at compile time only, hence the steps.
fn decode_bounded<T: Decode<()>>(bytes: &[u8]) -> Option<(T, usize)> {
    let bound = bytes.len().saturating_mul(64);
    if bound <= SMALL {
        bincode::decode_from_slice(bytes, standard().with_limit::<SMALL>())
    } else if bound <= MEDIUM {
        bincode::decode_from_slice(bytes, standard().with_limit::<MEDIUM>())
    } else {
        bincode::decode_from_slice(bytes, standard().with_limit::<LARGE>())
    }
    .ok()
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
