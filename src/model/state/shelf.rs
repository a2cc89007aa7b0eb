//! Where values lie that are not in use, as bytes.
//!
//! The model puts nothing on a disk: whoever has more than fits in memory gives it a [`Shelf`].

use std::io;
use std::num::NonZeroU64;

use thiserror::Error;

/// Where bytes lie on a shelf. What the number says is the shelf's own affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(NonZeroU64);

impl Place {
    /// The place with this number, below 2^64 - 1.
    pub const fn new(number: u64) -> Self {
        // So that no place is zero, and an optional one takes 8 bytes in a directory.
        Self(NonZeroU64::MIN.saturating_add(number))
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0.get() - 1
    }
}

/// Why bytes could not be put on a shelf, or had from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ShelfError {
    /// `shelf/io`: the system failed.
    #[error("what is kept of gifts and shipments outside memory cannot be had: {0}")]
    Io(io::ErrorKind),
    /// `shelf/damaged`: the bytes are not those that were put there.
    #[error("what is kept of gifts and shipments outside memory is damaged")]
    Damaged,
}

impl ShelfError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "shelf/io",
            Self::Damaged => "shelf/damaged",
        }
    }
}

impl From<io::Error> for ShelfError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

/// Keeps bytes for as long as they are wanted, in any number of places.
///
/// A place that was given stays what it is until it is cleared, and only then may it be given
/// again. A shelf that is to outlive the process (the index of a ledger) does not give a cleared
/// place again as long as anything durable names it: until the next list of places is durable,
/// the last one must still find what it names. It need not sync before it answers [`Shelf::put`],
/// but before whoever keeps it makes a list durable that names the place.
pub trait Shelf: Send + Sync {
    /// Puts bytes down.
    ///
    /// # Errors
    /// [`ShelfError::Io`]; nothing is there then.
    fn put(&mut self, bytes: &[u8]) -> Result<Place, ShelfError>;

    /// The bytes at a place: those that were put there, or an error, and never others.
    ///
    /// # Errors
    /// [`ShelfError`].
    fn get(&self, place: Place) -> Result<Vec<u8>, ShelfError>;

    /// Nobody will ask for this place again.
    fn clear(&mut self, place: Place);
}

/// What stands before a value that lies in a file: its length and its CRC-32, each a big-endian u32.
/// It finds what a disk or a memory has changed, and no forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    len: u32,
    crc: u32,
}

impl Head {
    /// How many bytes it takes.
    pub const LEN: usize = 8;

    /// That of a value.
    ///
    /// # Errors
    /// [`ShelfError::Io`] of 2^32 bytes or more.
    pub fn of(value: &[u8]) -> Result<Self, ShelfError> {
        let len = u32::try_from(value.len()).map_err(io::Error::other)?;
        Ok(Self { len, crc: crc32fast::hash(value) })
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let ([a, b, c, d], [e, f, g, h]) = (self.len.to_be_bytes(), self.crc.to_be_bytes());
        [a, b, c, d, e, f, g, h]
    }

    /// That with which a record begins.
    ///
    /// # Errors
    /// [`ShelfError::Damaged`] if there are fewer bytes.
    pub fn begin(record: &[u8]) -> Result<Self, ShelfError> {
        let [a, b, c, d, rest @ ..] =
            *record.first_chunk::<{ Self::LEN }>().ok_or(ShelfError::Damaged)?;
        Ok(Self { len: u32::from_be_bytes([a, b, c, d]), crc: u32::from_be_bytes(rest) })
    }

    /// How many bytes the value takes.
    pub const fn value_len(self) -> usize {
        self.len as usize
    }

    /// The value, if it is the one that was meant.
    ///
    /// # Errors
    /// [`ShelfError::Damaged`].
    pub fn check<V: AsRef<[u8]>>(self, value: V) -> Result<V, ShelfError> {
        let bytes = value.as_ref();
        let is_whole = bytes.len() == self.value_len() && crc32fast::hash(bytes) == self.crc;
        if is_whole { Ok(value) } else { Err(ShelfError::Damaged) }
    }
}

/// A shelf in memory.
#[derive(Debug, Default)]
pub struct MemoryShelf {
    places: Vec<Option<Box<[u8]>>>,
    free: Vec<Place>,
}

impl Shelf for MemoryShelf {
    fn put(&mut self, bytes: &[u8]) -> Result<Place, ShelfError> {
        let bytes = Some(bytes.into());
        match self.free.pop() {
            Some(place) => {
                self.places[place.number() as usize] = bytes;
                Ok(place)
            }
            None => {
                self.places.push(bytes);
                Ok(Place::new(self.places.len() as u64 - 1))
            }
        }
    }

    fn get(&self, place: Place) -> Result<Vec<u8>, ShelfError> {
        let at = usize::try_from(place.number()).map_err(|_| ShelfError::Damaged)?;
        let bytes = self.places.get(at).and_then(Option::as_deref);
        bytes.map(<[u8]>::to_vec).ok_or(ShelfError::Damaged)
    }

    fn clear(&mut self, place: Place) {
        self.places[place.number() as usize] = None;
        self.free.push(place);
    }
}
