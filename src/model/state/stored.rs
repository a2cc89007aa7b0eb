//! A whole state as bytes: what [`State`] encodes, then every gift and every shipment.
//!
//! ```text
//! state || count of gifts u64 || records || count of shipments u64 || records
//! record = label 20 || length u32 || value
//! ```

use std::io::{self, Read, Write};

use super::kept::{Keep, Kept, LABEL_LEN};
use super::{Gift, ShelfError, Shipment, State};
use crate::model::derived::{self, array};

impl State {
    /// Writes everything, one gift and one shipment after the other.
    ///
    /// # Errors
    /// That of writing, or why a value could not be had.
    pub fn write(&self, into: &mut dyn Write) -> io::Result<()> {
        derived::write(self, into)?;
        write_all(&self.gifts, into)?;
        write_all(&self.shipments, into)
    }

    /// Reads what [`Self::write`] wrote, in at most `len` bytes. Gifts and shipments are put into
    /// these, which hold nothing yet.
    ///
    /// # Errors
    /// That of reading, or of the shelves; `InvalidData` if these bytes are no state.
    pub fn read(
        from: &mut dyn Read,
        len: u64,
        gifts: Kept<Gift>,
        shipments: Kept<Shipment>,
    ) -> io::Result<Self> {
        let mut state: Self = derived::read(from, len)?;
        state.gifts = read_all(from, gifts)?;
        state.shipments = read_all(from, shipments)?;
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

fn write_all<V: Keep>(kept: &Kept<V>, into: &mut dyn Write) -> io::Result<()> {
    into.write_all(&(kept.len() as u64).to_be_bytes())?;
    for record in kept.records() {
        let (label, bytes) = record?;
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        into.write_all(&label)?;
        into.write_all(&len.to_be_bytes())?;
        into.write_all(&bytes)?;
    }
    Ok(())
}

fn read_all<V: Keep>(from: &mut dyn Read, mut kept: Kept<V>) -> io::Result<Kept<V>> {
    let count = u64::from_be_bytes(array(from)?);
    let mut record = Vec::new();
    for _ in 0..count {
        let label: [u8; LABEL_LEN] = array(from)?;
        let len = u32::from_be_bytes(array(from)?);
        record.clear();
        // What is stated is not believed: no more is allocated than there is.
        from.take(len.into()).read_to_end(&mut record)?;
        if record.len() != len as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        kept.restore(label, &record)?;
    }
    Ok(kept)
}
