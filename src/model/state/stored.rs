//! A whole state as bytes: every gift and every shipment, then what [`State`] encodes, and where
//! those are.
//!
//! ```text
//! values    = (length u32 || value)*                     gifts, then shipments
//! rest      = state || directory of gifts || directory of shipments
//! directory = count u64 || (label 20 || length u32)*     in the order of the values
//! ```
//!
//! So whoever reads it needs to read no value before it is asked for.

use std::io::{self, Read, Write};
use std::ops::Range;

use super::kept::{Keep, Kept, LABEL_LEN};
use super::{Shelf, ShelfError, ShelfPlace, State};
use crate::model::derived::{self, array};

/// How long the values are that were written: of each gift, and of each shipment.
#[derive(Debug)]
pub struct ValuesWritten {
    gifts: Vec<u32>,
    shipments: Vec<u32>,
}

impl State {
    /// Writes every gift and every shipment; `progress` is told how many, and of how many. The state
    /// must not change until the rest is written.
    ///
    /// # Errors
    /// That of writing, or why a value could not be had.
    pub fn write_values(
        &self,
        into: &mut dyn Write,
        progress: &dyn Fn(u64, u64),
    ) -> io::Result<ValuesWritten> {
        let all = (self.gifts.len() + self.shipments.len()) as u64;
        let mut done = 0;
        let mut one_more = || {
            done += 1;
            progress(done, all);
        };
        let gifts = write_values(&self.gifts, into, &mut one_more)?;
        let shipments = write_values(&self.shipments, into, &mut one_more)?;
        Ok(ValuesWritten { gifts, shipments })
    }

    /// Writes what [`Self::write_values`] has left.
    ///
    /// # Errors
    /// That of writing.
    pub fn write_rest(&self, values: &ValuesWritten, into: &mut dyn Write) -> io::Result<()> {
        derived::write(self, into)?;
        write_directory(&self.gifts, &values.gifts, into)?;
        write_directory(&self.shipments, &values.shipments, into)
    }

    /// Reads what [`Self::write_rest`] wrote, in at most `len` bytes. The values lie between these
    /// places on both of the shelves.
    ///
    /// # Errors
    /// That of reading; `InvalidData` if these bytes are no state.
    pub fn read(
        from: &mut dyn Read,
        len: u64,
        values: Range<u64>,
        gifts: impl Shelf + 'static,
        shipments: impl Shelf + 'static,
    ) -> io::Result<Self> {
        let mut state: Self = derived::read(from, len)?;
        let mut at = values.start;
        state.gifts = read_directory(&state.gifts, from, &mut at, gifts)?;
        state.shipments = read_directory(&state.shipments, from, &mut at, shipments)?;
        if at != values.end {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(state)
    }
}

impl From<ShelfError> for io::Error {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Io(kind) => kind.into(),
            ShelfError::Damaged => Self::other(error),
        }
    }
}

fn write_values<V: Keep>(
    kept: &Kept<V>,
    into: &mut dyn Write,
    written: &mut dyn FnMut(),
) -> io::Result<Vec<u32>> {
    let mut lens = Vec::with_capacity(kept.len());
    for record in kept.records() {
        let (_, bytes) = record?;
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        into.write_all(&len.to_be_bytes())?;
        into.write_all(&bytes)?;
        lens.push(len);
        written();
    }
    Ok(lens)
}

fn write_directory<V: Keep>(kept: &Kept<V>, lens: &[u32], into: &mut dyn Write) -> io::Result<()> {
    into.write_all(&(kept.len() as u64).to_be_bytes())?;
    for ((label, _), len) in kept.places().zip(lens) {
        into.write_all(&label)?;
        into.write_all(&len.to_be_bytes())?;
    }
    Ok(())
}

/// Values that lie one after the other from `at` on.
fn read_directory<V: Keep>(
    kept: &Kept<V>,
    from: &mut dyn Read,
    at: &mut u64,
    shelf: impl Shelf + 'static,
) -> io::Result<Kept<V>> {
    let count = u64::from_be_bytes(array(from)?);
    let mut places = Vec::new();
    for _ in 0..count {
        let label = array::<LABEL_LEN>(from)?;
        places.push((label, ShelfPlace::new(*at)));
        *at += 4 + u64::from(u32::from_be_bytes(array(from)?));
    }
    // What is stated twice is there once.
    let kept = kept.at_places(shelf, V::HOT_MAX, places);
    match kept.len() as u64 == count {
        true => Ok(kept),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}
