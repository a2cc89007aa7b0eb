//! A row of buckets for what is found by the bits of a hash, which grows by one bucket at a time.
//!
//! The buckets stand at the leaves of a complete binary tree that is numbered like a heap: node `i`
//! parts into `2i` and `2i + 1` by the next bit of the hash, and of `n` buckets the nodes 1 to
//! n - 1 are inner ones, n to 2n - 1 the buckets. The row grows at its first bucket, node `n`: that
//! becomes an inner node, and its halves come to stand at the end. So no growth stalls anybody or
//! needs twice the memory, and a bucket is found by the bits of its hashes.

use std::collections::VecDeque;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};

use super::encoding::never_borrows;

/// There is a bucket for so many items.
pub(super) const ITEMS_A_BUCKET: usize = 24;

/// A full bucket grows by room for so many: twice as much would be the most of the memory.
const GROWTH: usize = 4;

/// The node of the bucket that a hash with these first bits belongs to.
pub(super) const fn node_of(bits: u64, buckets: usize) -> usize {
    // Buckets stand at this depth and, as far as the row has grown, at the next.
    let depth = buckets.ilog2();
    let deeper = (2usize << depth) | (bits >> (63 - depth)) as usize;
    if deeper < 2 * buckets { deeper } else { deeper >> 1 }
}

/// What is found by the bits of a hash.
pub(super) trait Spread {
    /// How many bits there are at most: deeper than they go, a bucket would not part any more.
    const BITS: u32;

    /// The bits, highest first; those that there are not are 0.
    fn bits(&self) -> u64;
}

/// Small items in buckets of some two dozen, in the order in which they came. Nothing is taken out.
///
/// Hashes are spread evenly unless somebody searches for those that begin alike; such items crowd
/// one bucket, and cost their number at each look, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub(super) struct Buckets<T> {
    buckets: VecDeque<Vec<T>>,
    count: u64,
}

impl<T> Default for Buckets<T> {
    fn default() -> Self {
        Self { buckets: VecDeque::from([Vec::new()]), count: 0 }
    }
}

impl<T: Spread> Buckets<T> {
    /// The items among which those with these bits are.
    pub(super) fn of(&self, bits: u64) -> &[T] {
        let count = self.buckets.len();
        &self.buckets[node_of(bits, count) - count]
    }

    /// As [`Self::of`], to be changed in all but their bits.
    pub(super) fn of_mut(&mut self, bits: u64) -> &mut [T] {
        self.bucket(bits)
    }

    /// Adds an item.
    pub(super) fn push(&mut self, item: T) {
        let bucket = self.bucket(item.bits());
        if bucket.len() == bucket.capacity() {
            bucket.reserve_exact(GROWTH);
        }
        bucket.push(item);
        self.count += 1;
        let count = self.buckets.len();
        if self.count > (count * ITEMS_A_BUCKET) as u64 && count.ilog2() < T::BITS {
            self.grow();
        }
    }

    fn bucket(&mut self, bits: u64) -> &mut Vec<T> {
        let count = self.buckets.len();
        &mut self.buckets[node_of(bits, count) - count]
    }

    /// Halves the first bucket.
    fn grow(&mut self) {
        let depth = self.buckets.len().ilog2();
        let whole = self.buckets.pop_front().expect("there is a bucket");
        let is_one = |item: &T| item.bits() << depth >> 63 == 1;
        let ones = whole.iter().filter(|item| is_one(item)).count();
        let mut halves = [Vec::with_capacity(whole.len() - ones), Vec::with_capacity(ones)];
        whole.into_iter().for_each(|item| halves[usize::from(is_one(&item))].push(item));
        self.buckets.extend(halves);
    }
}

impl<C, T: Spread + Decode<C>> Decode<C> for Buckets<T> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let buckets = VecDeque::<Vec<T>>::decode(decoder)?;
        let (len, count) = (buckets.len(), u64::decode(decoder)?);
        let fits = |(at, bucket): (usize, &Vec<T>)| {
            bucket.iter().all(|item| node_of(item.bits(), len) == len + at)
        };
        let counted: u64 = buckets.iter().map(|bucket| bucket.len() as u64).sum();
        if len == 0 || counted != count || !buckets.iter().enumerate().all(fits) {
            return Err(DecodeError::Other("items out of their buckets"));
        }
        Ok(Self { buckets, count })
    }
}

never_borrows! { [T: Spread + Decode<C>] Buckets<T>; }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::derived;

    /// Goes down from the root, bit by bit, as far as there are inner nodes.
    fn naive(bits: u64, buckets: usize) -> usize {
        let (mut node, mut bits) = (1, bits);
        while node < buckets {
            node = 2 * node + (bits >> 63) as usize;
            bits <<= 1;
        }
        node
    }

    #[test]
    fn a_bucket_is_where_the_bits_lead() {
        for buckets in 1..70 {
            for top in 0..256u64 {
                let bits = top << 56 | 0x00ff_00ff_00ff_00ff;
                assert_eq!(node_of(bits, buckets), naive(bits, buckets), "{buckets} {top:x}");
            }
        }
    }

    #[derive(Clone, Debug, PartialEq, Encode, Decode)]
    struct Bits(u64);

    impl Spread for Bits {
        const BITS: u32 = 64;

        fn bits(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn an_item_is_among_those_of_its_bits_and_nowhere_else() {
        let mut buckets = Buckets::default();
        let hashes = (0..5000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for bits in hashes.clone() {
            assert!(!buckets.of(bits).contains(&Bits(bits)));
            buckets.push(Bits(bits));
        }
        assert!(hashes.clone().all(|bits| buckets.of(bits).contains(&Bits(bits))));
        let longest = hashes.map(|bits| buckets.of(bits).len()).max().unwrap();
        assert!(longest < 4 * ITEMS_A_BUCKET, "{longest}");
        let decoded = derived::decode::<Buckets<Bits>>(&derived::encode(&buckets));
        assert_eq!(decoded.as_ref(), Some(&buckets));
        buckets.buckets.swap(0, 1);
        assert_eq!(derived::decode::<Buckets<Bits>>(&derived::encode(&buckets)), None);
        buckets.buckets.clear();
        assert_eq!(derived::decode::<Buckets<Bits>>(&derived::encode(&buckets)), None);
    }
}
