//! A shelf for what does not fit in memory: its first bytes are in memory, all others in a
//! temporary file that nobody can name and that is gone when the audit ends.
//!
//! ```text
//! slot = length u32 || CRC-32 of the bytes u32 || bytes || room up to a multiple of 64
//! ```
//!
//! A slot that was cleared is given to the next bytes that need one of its length, so the file is
//! about as long as all that lies in it. The checksum finds what a disk or a memory has changed;
//! against people the file is safe, as they cannot get at it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use crate::model::state::{Shelf, ShelfError, ShelfHead, ShelfPlace};

/// How much stays in memory: no small audit writes a file.
const IN_MEMORY: usize = 16 << 20;

/// Slots begin at multiples of this.
const GRAIN: usize = 64;

/// The shelf.
pub(super) struct Spill {
    /// Where the file begins, and how much is in memory at most.
    in_memory: usize,
    memory: Vec<u8>,
    file: Option<Mutex<File>>,
    /// The end of the last slot.
    end: u64,
    /// Cleared slots, by their length.
    free: BTreeMap<usize, Vec<u64>>,
}

impl Default for Spill {
    fn default() -> Self {
        Self::after(IN_MEMORY)
    }
}

impl Spill {
    /// A shelf with so much in memory.
    pub(super) fn after(in_memory: usize) -> Self {
        let memory = Vec::new();
        Self { in_memory, memory, file: None, end: 0, free: BTreeMap::new() }
    }

    fn write(&mut self, at: u64, slot: &[u8]) -> Result<(), ShelfError> {
        let end = at + slot.len() as u64;
        if end <= self.in_memory as u64 {
            let (at, end) = (at as usize, end as usize);
            self.memory.resize(self.memory.len().max(end), 0);
            self.memory[at..end].copy_from_slice(slot);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Mutex::new(tempfile::tempfile()?)),
        };
        let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        Ok(file.write_all(slot)?)
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), ShelfError> {
        let end = at.checked_add(bytes.len() as u64).ok_or(ShelfError::Damaged)?;
        if end <= self.memory.len() as u64 {
            bytes.copy_from_slice(&self.memory[at as usize..end as usize]);
            return Ok(());
        }
        let file = self.file.as_ref().ok_or(ShelfError::Damaged)?;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        Ok(file.read_exact(bytes)?)
    }

    /// The head of what is in a slot.
    fn head(&self, at: u64) -> Result<ShelfHead, ShelfError> {
        let mut head = [0; ShelfHead::LEN];
        self.read(at, &mut head)?;
        let head = ShelfHead::begin(&head)?;
        let fits = at + head.value_len() as u64 <= self.end;
        if fits { Ok(head) } else { Err(ShelfError::Damaged) }
    }
}

/// How long the slot for so many bytes is.
fn slot_len(bytes: usize) -> usize {
    (ShelfHead::LEN + bytes).next_multiple_of(GRAIN)
}

impl Shelf for Spill {
    fn put(&mut self, bytes: &[u8]) -> Result<ShelfPlace, ShelfError> {
        let len = slot_len(bytes.len());
        let mut slot = Vec::with_capacity(len);
        slot.extend_from_slice(&ShelfHead::of(bytes)?.to_bytes());
        slot.extend_from_slice(bytes);
        slot.resize(len, 0);
        let free = self.free.get(&len).and_then(|free| free.last().copied());
        // None lies across the end of what is in memory.
        let room = self.in_memory as u64;
        let next = if self.end < room && self.end + len as u64 > room { room } else { self.end };
        let at = free.unwrap_or(next);
        self.write(at, &slot)?;
        if let (Some(_), Some(cleared)) = (free, self.free.get_mut(&len)) {
            cleared.pop();
        }
        self.end = self.end.max(at + len as u64);
        Ok(ShelfPlace::new(at))
    }

    fn get(&self, place: ShelfPlace) -> Result<Vec<u8>, ShelfError> {
        let head = self.head(place.number())?;
        let mut bytes = vec![0; head.value_len()];
        self.read(place.number() + ShelfHead::LEN as u64, &mut bytes)?;
        head.check(bytes)
    }

    fn clear(&mut self, place: ShelfPlace) {
        // A slot whose length cannot be read is never used again.
        if let Ok(head) = self.head(place.number()) {
            self.free.entry(slot_len(head.value_len())).or_default().push(place.number());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was put is there, in memory, across its end and in the file, whatever was put and
    /// cleared since: against a map.
    #[test]
    fn what_was_put_is_there_until_it_is_cleared() {
        let mut spill = Spill::after(4096);
        let mut naive: BTreeMap<ShelfPlace, Vec<u8>> = BTreeMap::new();
        let mut seed = 1u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 8
        };
        for _ in 0..2_000 {
            let known: Vec<ShelfPlace> = naive.keys().copied().collect();
            if next() % 3 == 0 && !known.is_empty() {
                let place = known[next() as usize % known.len()];
                naive.remove(&place);
                spill.clear(place);
            } else {
                let bytes: Vec<u8> = (0..next() % 700).map(|_| next() as u8).collect();
                let place = spill.put(&bytes).unwrap();
                assert!(naive.insert(place, bytes).is_none(), "a place was given twice");
            }
        }
        assert!(spill.file.is_some() && spill.end > 100_000);
        for (place, bytes) in &naive {
            assert_eq!(spill.get(*place).as_ref(), Ok(bytes));
        }
    }

    /// As long as one thing at a time is kept, any number of them need no more room.
    #[test]
    fn cleared_slots_are_used_again() {
        let mut spill = Spill::after(256);
        for round in 0..1_000u32 {
            let place = spill.put(&[round as u8; 500]).unwrap();
            spill.clear(place);
        }
        assert_eq!(spill.end, 256 + 512);
    }

    #[test]
    fn every_flipped_bit_of_a_slot_is_found() {
        for in_memory in [0, 4096] {
            let mut spill = Spill::after(in_memory);
            let place = spill.put(b"a gift").unwrap();
            for bit in 0..8 * (ShelfHead::LEN + 6) {
                let mut slot = [0; ShelfHead::LEN + 6];
                spill.read(0, &mut slot).unwrap();
                slot[bit / 8] ^= 1 << (bit % 8);
                spill.write(0, &slot).unwrap();
                assert!(spill.get(place).is_err(), "bit {bit}");
                slot[bit / 8] ^= 1 << (bit % 8);
                spill.write(0, &slot).unwrap();
            }
            assert_eq!(spill.get(place).unwrap(), b"a gift");
        }
    }
}
