//! The keys that belong to gifts: one-time keys and slips (spec section 7.2).
//!
//! There are as many as there are donors without a name, and little is ever said of one: which gift
//! it is for, and since when; that it has ended, if somebody took the gift over. So each takes some
//! 65 bytes, in [buckets](crate::model::buckets) by the bits of the key.

use bincode::{Decode, Encode};

use super::seen::ShortIndex;
use crate::model::buckets::{Buckets, Spread};
use crate::model::changed::Changed;
use crate::model::ident::{EntryIndex, GIFT_ID_LEN, GiftId, KeyBytes};

/// A gift's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GiftKey {
    key: KeyBytes,
    gift: [u8; GIFT_ID_LEN],
    since: ShortIndex,
    /// 0 as long as it has not: no key ends with entry 0.
    ended: ShortIndex,
}

impl GiftKey {
    /// Whose it is.
    pub fn gift(&self) -> GiftId {
        GiftId::from_bytes(self.gift)
    }

    /// The entry with which it began.
    pub fn since(&self) -> EntryIndex {
        self.since.get()
    }

    /// The entry with which it ended.
    pub fn ended(&self) -> Option<EntryIndex> {
        Some(self.ended.get()).filter(|index| *index != 0)
    }
}

impl Spread for GiftKey {
    const BITS: u32 = 64;

    fn bits(&self) -> u64 {
        bits(&self.key)
    }
}

fn bits(key: &KeyBytes) -> u64 {
    u64::from_be_bytes(*key.as_bytes().first_chunk().expect("a key is longer than 8 bytes"))
}

/// The keys of all gifts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct GiftKeys {
    keys: Buckets<GiftKey>,
    /// As they were after each change.
    changed: Changed<Vec<GiftKey>>,
}

impl GiftKeys {
    pub(super) fn get(&self, key: &KeyBytes) -> Option<&GiftKey> {
        self.keys.of(bits(key)).iter().find(|known| known.key == *key)
    }

    /// Adds a key that is nobody's yet.
    pub(super) fn insert(&mut self, key: KeyBytes, gift: GiftId, since: EntryIndex) {
        let (begun, ended) = (ShortIndex::new(since), ShortIndex::new(0));
        let new = GiftKey { key, gift: *gift.as_bytes(), since: begun, ended };
        self.keys.push(new);
        self.changed.note(|keys| keys.push(new));
    }

    /// Ends a key, unless it is no gift's or has ended already.
    pub(super) fn end(&mut self, key: &KeyBytes, at: EntryIndex) {
        if let Some(known) = self.get_mut(key).filter(|known| known.ended().is_none()) {
            known.ended = ShortIndex::new(at);
            let ended = *known;
            self.changed.note(|keys| keys.push(ended));
        }
    }

    /// The keys that have changed since this was asked last; the first time, none.
    pub(super) fn take_changes(&mut self) -> Vec<GiftKey> {
        self.changed.take()
    }

    /// Makes the changes that others of the same beginning have seen.
    pub(super) fn take_in(&mut self, changes: Vec<GiftKey>) {
        for changed in changes {
            match self.get_mut(&changed.key) {
                Some(known) => *known = changed,
                None => self.keys.push(changed),
            }
        }
    }

    fn get_mut(&mut self, key: &KeyBytes) -> Option<&mut GiftKey> {
        self.keys.of_mut(bits(key)).iter_mut().find(|known| known.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::derived;

    /// What was said of a gift's key: the gift, its first entry, its last.
    type Naive = BTreeMap<KeyBytes, (GiftId, EntryIndex, Option<EntryIndex>)>;

    /// Keys that begin alike, and keys that do not.
    fn key(number: u64) -> KeyBytes {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        if number.is_multiple_of(7) {
            bytes[..8].fill(3);
        }
        bytes[24..].copy_from_slice(&number.to_be_bytes());
        KeyBytes::from_bytes(bytes)
    }

    fn check(keys: &GiftKeys, naive: &Naive) {
        for number in 0..2_000 {
            let known = keys.get(&key(number));
            let known = known.map(|known| (known.gift(), known.since(), known.ended()));
            assert_eq!(known, naive.get(&key(number)).copied(), "{number}");
        }
    }

    #[test]
    fn it_answers_as_a_map_does_and_changes_bring_another_to_the_same() {
        let (mut keys, mut naive) = (GiftKeys::default(), Naive::new());
        let mut other: Option<GiftKeys> = None;
        for number in 0..1_500u64 {
            let gift = GiftId::from_bytes([number as u8; GIFT_ID_LEN]);
            keys.insert(key(number), gift, number + 1);
            naive.insert(key(number), (gift, number + 1, None));
            // Some that there are, some that have ended, some that there are not.
            let ended = key(number * 31 % 1_700);
            keys.end(&ended, number + 1);
            if let Some((_, _, end)) = naive.get_mut(&ended) {
                end.get_or_insert(number + 1);
            }
            if number % 250 == 0 {
                let changes = keys.take_changes();
                match &mut other {
                    None => other = derived::decode(&derived::encode(&keys)),
                    Some(other) => other.take_in(changes),
                }
                assert_eq!(other.as_ref(), Some(&keys), "{number}");
                check(&keys, &naive);
            }
        }
        check(&keys, &naive);
    }
}
