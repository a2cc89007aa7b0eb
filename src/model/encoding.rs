//! The one encoding of everything that is signed or hashed (spec section 2).
//!
//! bincode in one fixed configuration: integers big-endian and fixed-width, a limit on the whole.
//! On top of it this module fixes what bincode leaves open, so that a value has one spelling:
//!
//! - a text is a u16 length in bytes and UTF-8 (`text.rs`);
//! - a list is a u16 count and its items, strictly increasing by their key;
//! - a choice from a list of codes is one byte with a number from the spec;
//! - an optional value is one byte, 0 or 1, and the value;
//! - nothing may follow, and encoding what was decoded gives the same bytes.

use bincode::config::{self, Config};
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

/// The most bytes that one encoded value may take: an entry (C2SP tlog-tiles: u16 length).
pub const ENCODED_LEN_MAX: usize = 65_535;

fn configuration() -> impl Config {
    config::standard().with_big_endian().with_fixed_int_encoding().with_limit::<ENCODED_LEN_MAX>()
}

/// Bytes that are not the one spelling of what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}")]
pub struct Malformed {
    /// The stable code, for example `text/control`.
    pub code: &'static str,
}

impl Malformed {
    /// A malformation with this stable code.
    pub const fn new(code: &'static str) -> Self {
        Self { code }
    }
}

impl From<Malformed> for DecodeError {
    fn from(malformed: Malformed) -> Self {
        DecodeError::Other(malformed.code)
    }
}

impl From<DecodeError> for Malformed {
    fn from(error: DecodeError) -> Self {
        Malformed::new(match error {
            DecodeError::Other(code) => code,
            DecodeError::UnexpectedEnd { .. } => "encoding/truncated",
            DecodeError::LimitExceeded => "encoding/too-long",
            DecodeError::UnexpectedVariant { .. } => "encoding/option",
            DecodeError::InvalidBooleanValue(_) => "encoding/bool",
            _ => "encoding/malformed",
        })
    }
}

/// Encodes a value whose types bound it below [`ENCODED_LEN_MAX`].
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, configuration()).expect("encoding to memory cannot fail")
}

/// Decodes all of `bytes`, and refuses every spelling but the one that [`encode`] makes.
pub fn decode<T: Encode + Decode<()>>(bytes: &[u8]) -> Result<T, Malformed> {
    let (value, consumed) = decode_prefix(bytes)?;
    if consumed != bytes.len() {
        return Err(Malformed::new("encoding/trailing"));
    }
    Ok(value)
}

/// Decodes a value from the start of `bytes`; gives it with the number of bytes that it took.
pub fn decode_prefix<T: Encode + Decode<()>>(bytes: &[u8]) -> Result<(T, usize), Malformed> {
    let (value, consumed): (T, usize) = bincode::decode_from_slice(bytes, configuration())?;
    let mut spelling = Spelling { rest: &bytes[..consumed] };
    let encoded = bincode::encode_into_writer(&value, &mut spelling, configuration());
    if encoded.is_err() || !spelling.rest.is_empty() {
        return Err(Malformed::new("encoding/second-spelling"));
    }
    Ok((value, consumed))
}

/// What an encoding must be, piece by piece as it is made: nothing is written anywhere.
struct Spelling<'a> {
    rest: &'a [u8],
}

impl Writer for Spelling<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.rest = self.rest.strip_prefix(bytes).ok_or(EncodeError::UnexpectedEnd)?;
        Ok(())
    }
}

/// What a list is ordered by.
pub trait Keyed {
    /// The key: unique in its list.
    type Key<'a>: Ord
    where
        Self: 'a;

    /// The key of this item.
    fn key(&self) -> Self::Key<'_>;
}

/// At most `MAX` items, strictly increasing by their key, so that nothing is counted twice.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Keyed, const MAX: usize> List<T, MAX> {
    /// Orders the items by their key.
    ///
    /// # Errors
    /// `list/too-long`, `list/duplicate`.
    pub fn new(mut items: Vec<T>) -> Result<Self, Malformed> {
        items.sort_by(|a, b| a.key().cmp(&b.key()));
        Self::from_ordered(items)
    }

    fn from_ordered(items: Vec<T>) -> Result<Self, Malformed> {
        if items.len() > MAX {
            return Err(Malformed::new("list/too-long"));
        }
        for pair in items.windows(2) {
            match pair[0].key().cmp(&pair[1].key()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(Malformed::new("list/duplicate")),
                std::cmp::Ordering::Greater => return Err(Malformed::new("list/order")),
            }
        }
        Ok(Self(items))
    }

    /// The item with this key.
    pub fn find<'a>(&'a self, key: T::Key<'a>) -> Option<&'a T> {
        self.0.iter().find(|item| item.key() == key)
    }
}

impl<T, const MAX: usize> std::ops::Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a List<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let count = u16::try_from(self.0.len()).expect("MAX is below 65,536");
        count.encode(encoder)?;
        self.0.iter().try_for_each(|item| item.encode(encoder))
    }
}

impl<C, T: Keyed + Decode<C>, const MAX: usize> Decode<C> for List<T, MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let count = usize::from(u16::decode(decoder)?);
        if count > MAX {
            return Err(Malformed::new("list/too-long").into());
        }
        // There is room for twice as many as have been read, and no more: a hostile count allocates
        // nothing by itself, and the one item that most lists have takes its own place only.
        let mut items: Vec<T> = Vec::new();
        for left in (1..=count).rev() {
            let item = T::decode(decoder)?;
            if items.len() == items.capacity() {
                items.reserve_exact(left.min(items.len().max(1)));
            }
            items.push(item);
        }
        Ok(Self::from_ordered(items)?)
    }
}

/// Opaque bytes, at most `MAX`, with a u16 length before them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Blob<MAX> {
    /// Takes the bytes.
    ///
    /// # Errors
    /// `encoding/too-long`.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Malformed> {
        if bytes.len() > MAX {
            return Err(Malformed::new("encoding/too-long"));
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> serde::Serialize for Blob<MAX> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<const MAX: usize> Encode for Blob<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_bytes(&self.0, encoder)
    }
}

impl<C, const MAX: usize> Decode<C> for Blob<MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decode_bytes(decoder, MAX, "encoding/too-long", |bytes| Ok(Self(bytes.to_vec())))
    }
}

/// bincode's derive asks for a borrowing decoder too; ours never borrow.
macro_rules! never_borrows {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<'de, C, $($generics)*> bincode::BorrowDecode<'de, C> for $type {
            fn borrow_decode<D: bincode::de::BorrowDecoder<'de, Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                bincode::Decode::decode(decoder)
            }
        }
    )*};
}
pub(crate) use never_borrows;

never_borrows! {
    [T: Keyed + Decode<C>, const MAX: usize] List<T, MAX>;
    [const MAX: usize] Blob<MAX>;
}

/// Writes a u16 length and the bytes.
pub(crate) fn encode_bytes<E: Encoder>(bytes: &[u8], encoder: &mut E) -> Result<(), EncodeError> {
    u16::try_from(bytes.len()).expect("bounded by the type").encode(encoder)?;
    encoder.writer().write(bytes)
}

/// Reads a u16 length, at most `max`, and so many bytes, of which `make` makes a value.
pub(crate) fn decode_bytes<D: Decoder, T>(
    decoder: &mut D,
    max: usize,
    too_long: &'static str,
    make: impl FnOnce(&[u8]) -> Result<T, Malformed>,
) -> Result<T, DecodeError> {
    use bincode::de::read::Reader;
    let len = usize::from(u16::decode(decoder)?);
    if len > max {
        return Err(Malformed::new(too_long).into());
    }
    decoder.claim_bytes_read(len)?;
    if let Some(bytes) = decoder.reader().peek_read(len) {
        let value = make(bytes)?;
        decoder.reader().consume(len);
        return Ok(value);
    }
    // A reader that does not show what comes; or that has not got as much, which it says now.
    let mut bytes = vec![0; len];
    decoder.reader().read(&mut bytes)?;
    Ok(make(&bytes)?)
}

/// Defines a choice: one byte in the encoding, a word for programs, and no other value.
///
/// The numbers are the spec's and never change; a number that is not listed is refused with the
/// code `code/unknown`.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)+ }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that programs and command lines use.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::encoding::Malformed;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
                    .ok_or($crate::model::encoding::Malformed::new("code/unknown"))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl bincode::Encode for $name {
            fn encode<E: bincode::enc::Encoder>(
                &self, encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                (*self as u8).encode(encoder)
            }
        }

        impl<C> bincode::Decode<C> for $name {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let number = u8::decode(decoder)?;
                Self::ALL.iter().copied().find(|value| *value as u8 == number)
                    .ok_or($crate::model::encoding::Malformed::new("code/unknown").into())
            }
        }

        $crate::model::encoding::never_borrows! { [] $name; }

        impl $crate::model::encoding::Keyed for $name {
            type Key<'a> = u8;
            fn key(&self) -> u8 { *self as u8 }
        }
    )+};
}
pub(crate) use codes;

#[cfg(test)]
mod tests {
    use super::*;

    codes! { Colour { Red = 1 "red", Blue = 7 "blue", } }

    #[test]
    fn a_list_has_one_spelling() {
        let list: List<Colour, 4> = List::new(vec![Colour::Blue, Colour::Red]).unwrap();
        let bytes = encode(&list);
        assert_eq!(bytes, [0, 2, 1, 7]);
        assert_eq!(decode::<List<Colour, 4>>(&bytes).unwrap(), list);
        let refused = |bytes: &[u8]| decode::<List<Colour, 4>>(bytes).unwrap_err().code;
        assert_eq!(refused(&[0, 2, 7, 1]), "list/order");
        assert_eq!(refused(&[0, 2, 7, 7]), "list/duplicate");
        assert_eq!(refused(&[0, 1, 2]), "code/unknown");
        assert_eq!(refused(&[0, 5, 1, 2, 3, 4, 5]), "list/too-long");
        assert_eq!(refused(&[0, 2, 1]), "encoding/truncated");
        assert_eq!(refused(&[0, 1, 1, 0]), "encoding/trailing");
    }

    /// Encodes to something else than it was decoded from: the first byte, then as many more as
    /// that says, all of them seven.
    struct Sevens(u8);

    impl Encode for Sevens {
        fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
            self.0.encode(encoder)?;
            (0..self.0).try_for_each(|_| 7u8.encode(encoder))
        }
    }

    impl<C> Decode<C> for Sevens {
        fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
            let (count, _): (u8, u16) = Decode::decode(decoder)?;
            Ok(Self(count))
        }
    }

    #[test]
    fn what_encodes_to_other_bytes_is_a_second_spelling() {
        let code = |bytes: &[u8]| decode::<Sevens>(bytes).map(|sevens| sevens.0);
        assert_eq!(code(&[2, 7, 7]), Ok(2));
        for other in [[2, 7, 8], [2, 8, 7], [1, 7, 7], [3, 7, 7], [0, 7, 7]] {
            assert_eq!(code(&other), Err(Malformed::new("encoding/second-spelling")), "{other:?}");
        }
    }

    #[test]
    fn integers_are_fixed_width_and_big_endian() {
        assert_eq!(encode(&0x0102_0304_0506_0708u64), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(encode(&Some(258u16)), [1, 1, 2]);
        assert_eq!(decode::<Option<u16>>(&[2, 1, 2]).unwrap_err().code, "encoding/option");
    }

    #[test]
    fn a_hostile_length_allocates_nothing() {
        assert_eq!(decode::<Blob<8>>(&[0xff, 0xff]).unwrap_err().code, "encoding/too-long");
        assert_eq!(decode::<Blob<1_000>>(&[0x03, 0xe8]).unwrap_err().code, "encoding/truncated");
    }
}
