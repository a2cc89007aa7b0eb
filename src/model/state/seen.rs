//! Which events are in the log, and where.
//!
//! Of each event, 40 bits of its hash and its index are kept, in [buckets](crate::model::buckets)
//! of some two dozen: about 13 bytes an event. Where the bits agree, the entry itself is read and
//! decides; of ten million events that are new, that happens to some fifty. Whoever searches for
//! events that share more bits makes others read more entries, and nothing else.

use std::collections::VecDeque;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};

use crate::model::buckets::node_of;
use crate::model::changed::Changed;
use crate::model::encoding::never_borrows;
use crate::model::hash::EventHash;
use crate::model::ident::EntryIndex;

/// There is a bucket for so many events.
const EVENTS_A_BUCKET: usize = 24;

/// A full bucket grows by room for so many: twice as much would be the most of the memory.
const GROWTH: usize = 4;

/// The bits of a hash that are kept, and those of an index.
const KEPT_BITS: u32 = 40;

/// The first 40 bits of an event's hash, and its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) struct Slot {
    index: [u8; 5],
    hash: [u8; 5],
}

impl Slot {
    fn new(event: &EventHash, index: EntryIndex) -> Self {
        assert!(index >> KEPT_BITS == 0, "no log has 2^40 entries");
        let [_, _, _, index @ ..] = index.to_be_bytes();
        Self { hash: kept(event), index }
    }

    fn index(&self) -> EntryIndex {
        let [a, b, c, d, e] = self.index;
        u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
    }

    /// The bits of the hash, highest first; those that are not kept are 0.
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
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub(super) struct Seen {
    buckets: VecDeque<Vec<Slot>>,
    count: u64,
    new: Changed<Slot>,
}

impl Default for Seen {
    fn default() -> Self {
        let buckets = VecDeque::from([Vec::new()]);
        Self { buckets, count: 0, new: Changed::default() }
    }
}

impl Seen {
    /// The index of an event; `is_at` tells whether it is the one at an index where it may be.
    pub(super) fn index_of(
        &self,
        event: &EventHash,
        mut is_at: impl FnMut(EntryIndex) -> bool,
    ) -> Option<EntryIndex> {
        let (hash, count) = (kept(event), self.buckets.len());
        let bucket = &self.buckets[node_of(bits(&hash), count) - count];
        let mut alike = bucket.iter().filter(|slot| slot.hash == hash).map(Slot::index);
        alike.find(|index| is_at(*index))
    }

    /// Adds an event that is at a higher index than all before.
    pub(super) fn insert(&mut self, event: &EventHash, index: EntryIndex) {
        let slot = Slot::new(event, index);
        self.new.note(slot);
        self.put(slot);
    }

    /// The events that have come since this was asked last, by index; the first time, none.
    pub(super) fn take_changes(&mut self) -> Vec<Slot> {
        self.new.take().into_iter().collect()
    }

    /// Adds the events that another table of the same beginning has seen.
    pub(super) fn take_in(&mut self, slots: Vec<Slot>) {
        slots.into_iter().for_each(|slot| self.put(slot));
    }

    fn put(&mut self, slot: Slot) {
        let count = self.buckets.len();
        push(&mut self.buckets[node_of(slot.bits(), count) - count], slot);
        self.count += 1;
        // Deeper than the kept bits go, a row would not part any more.
        if self.count > (count * EVENTS_A_BUCKET) as u64 && count.ilog2() < KEPT_BITS {
            self.grow();
        }
    }

    /// Halves the first bucket.
    fn grow(&mut self) {
        let depth = self.buckets.len().ilog2();
        let whole = self.buckets.pop_front().expect("there is a bucket");
        let is_one = |slot: &Slot| slot.bits() << depth >> 63 == 1;
        let ones = whole.iter().filter(|slot| is_one(slot)).count();
        let mut halves = [Vec::with_capacity(whole.len() - ones), Vec::with_capacity(ones)];
        whole.into_iter().for_each(|slot| halves[usize::from(is_one(&slot))].push(slot));
        self.buckets.extend(halves);
    }
}

fn push(bucket: &mut Vec<Slot>, slot: Slot) {
    if bucket.len() == bucket.capacity() {
        bucket.reserve_exact(GROWTH);
    }
    bucket.push(slot);
}

impl<C> Decode<C> for Seen {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let buckets = VecDeque::<Vec<Slot>>::decode(decoder)?;
        let (len, count) = (buckets.len(), u64::decode(decoder)?);
        let fits = |(at, bucket): (usize, &Vec<Slot>)| {
            bucket.iter().all(|slot| node_of(slot.bits(), len) == len + at)
        };
        let counted: u64 = buckets.iter().map(|bucket| bucket.len() as u64).sum();
        if len == 0 || counted != count || !buckets.iter().enumerate().all(fits) {
            return Err(DecodeError::Other("events out of their places"));
        }
        Ok(Self { buckets, count, new: Changed::default() })
    }
}

never_borrows! { [] Seen; }

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
    fn only_alike_hashes_are_looked_up_and_no_bucket_is_crowded_by_others() {
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
        let longest = seen.buckets.iter().map(Vec::len).max().unwrap();
        assert!(longest < 4 * EVENTS_A_BUCKET, "{longest}");
    }

    #[test]
    fn events_out_of_their_places_are_no_table() {
        let mut seen = Seen::default();
        (0..100).for_each(|number| seen.insert(&event(number), number));
        seen.buckets.swap(0, 1);
        assert_eq!(derived::decode::<Seen>(&derived::encode(&seen)), None);
        let none = Seen { buckets: VecDeque::new(), count: 0, new: Changed::default() };
        assert_eq!(derived::decode::<Seen>(&derived::encode(&none)), None);
    }
}
