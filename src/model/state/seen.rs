//! Which events are in the log, and where.
//!
//! Of each event, 40 bits of its hash and its index are kept, in [buckets](crate::model::buckets)
//! of some two dozen: about 13 bytes an event. Where the bits agree, the entry itself is read and
//! decides; of ten million events that are new, that happens to some fifty. Whoever searches for
//! events that share more bits makes others read more entries, and nothing else.

use bincode::{Decode, Encode};

use crate::model::buckets::{Buckets, Spread};
use crate::model::changed::Changed;
use crate::model::hash::EventHash;
use crate::model::ident::EntryIndex;

/// The bits of a hash that are kept, and those of an index.
const KEPT_BITS: u32 = 40;

/// An index in as few bytes as any has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) struct ShortIndex([u8; 5]);

impl ShortIndex {
    pub(super) fn new(index: EntryIndex) -> Self {
        assert!(index >> KEPT_BITS == 0, "no log has 2^40 entries");
        let [_, _, _, index @ ..] = index.to_be_bytes();
        Self(index)
    }

    pub(super) fn get(self) -> EntryIndex {
        let [a, b, c, d, e] = self.0;
        u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
    }
}

/// The first 40 bits of an event's hash, and its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) struct Slot {
    index: ShortIndex,
    hash: [u8; 5],
}

impl Slot {
    fn new(event: &EventHash, index: EntryIndex) -> Self {
        Self { hash: kept(event), index: ShortIndex::new(index) }
    }
}

impl Spread for Slot {
    const BITS: u32 = KEPT_BITS;

    fn bits(&self) -> u64 {
        bits(&self.hash)
    }
}

fn bits([a, b, c, d, e]: &[u8; 5]) -> u64 {
    u64::from_be_bytes([*a, *b, *c, *d, *e, 0, 0, 0])
}

fn kept(event: &EventHash) -> [u8; 5] {
    *event.as_bytes().first_chunk().expect("a hash is longer than 5 bytes")
}

/// The events of a log, in the order of their indexes in each bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Seen {
    slots: Buckets<Slot>,
    new: Changed<Vec<Slot>>,
}

impl Seen {
    /// The index of an event; `is_at` tells whether it is the one at an index where it may be.
    pub(super) fn index_of(
        &self,
        event: &EventHash,
        mut is_at: impl FnMut(EntryIndex) -> bool,
    ) -> Option<EntryIndex> {
        let hash = kept(event);
        let bucket = self.slots.of(bits(&hash)).iter();
        let mut alike = bucket.filter(|slot| slot.hash == hash).map(|slot| slot.index.get());
        alike.find(|index| is_at(*index))
    }

    /// Adds an event that is at a higher index than all before.
    pub(super) fn insert(&mut self, event: &EventHash, index: EntryIndex) {
        let slot = Slot::new(event, index);
        self.new.note(|new| new.push(slot));
        self.slots.push(slot);
    }

    /// The events that have come since this was asked last, by index; the first time, none.
    pub(super) fn take_changes(&mut self) -> Vec<Slot> {
        self.new.take()
    }

    /// Adds the events that another table of the same beginning has seen.
    pub(super) fn take_in(&mut self, slots: Vec<Slot>) {
        slots.into_iter().for_each(|slot| self.slots.push(slot));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::model::derived;

    /// Event `number`: spread evenly, or with the same 40, 20 or no first bits as some others.
    fn event(number: u64) -> EventHash {
        let mut hash: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
        match number % 5 {
            0 => hash[..5].fill(0xab),
            1 => hash[..5].copy_from_slice(&[0xab, 0xab, (number % 7) as u8, 0, 0]),
            2 => hash[..8].fill(0),
            _ => {}
        }
        EventHash::from_bytes(hash)
    }

    #[test]
    fn it_answers_as_a_map_does_also_where_hashes_begin_alike() {
        let (mut seen, mut map, mut log) = (Seen::default(), HashMap::new(), Vec::new());
        for number in 0..6000 {
            let (event, absent) = (event(number), event(number + 1_000_000));
            seen.insert(&event, number);
            map.insert(event, number);
            log.push(event);
            if number % 97 == 0 {
                for event in log.iter().step_by(13).chain([&event, &absent]) {
                    let found = seen.index_of(event, |index| log[index as usize] == *event);
                    assert_eq!(found, map.get(event).copied(), "{number}");
                }
            }
        }
        assert_eq!(derived::decode(&derived::encode(&seen)).as_ref(), Some(&seen));
    }

    #[test]
    fn only_alike_hashes_are_looked_up() {
        let mut seen = Seen::default();
        let event = |n: u64| EventHash::from_bytes(Sha256::digest(n.to_be_bytes()).into());
        (0..100_000).for_each(|number| seen.insert(&event(number), number));
        let mut asked = 0;
        for number in 100_000..200_000 {
            seen.index_of(&event(number), |_| {
                asked += 1;
                false
            });
        }
        // 10^10 pairs, of which one in 2^40 is alike.
        assert!(asked <= 2, "{asked}");
    }
}
