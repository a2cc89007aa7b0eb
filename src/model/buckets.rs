//! Where a hash belongs in a row of buckets that grows by one bucket at a time.
//!
//! The buckets stand at the leaves of a complete binary tree that is numbered like a heap: node `i`
//! parts into `2i` and `2i + 1` by the next bit of the hash, and of `n` buckets the nodes 1 to
//! n - 1 are inner ones, n to 2n - 1 the buckets. The row grows at its first bucket, node `n`: that
//! becomes an inner node, and its halves come to stand at the end. So no growth stalls anybody or
//! needs twice the memory, and a bucket is found by the bits of its hashes.

/// The node of the bucket that a hash with these first bits belongs to.
pub(super) const fn node_of(bits: u64, buckets: usize) -> usize {
    // Buckets stand at this depth and, as far as the row has grown, at the next.
    let depth = buckets.ilog2();
    let deeper = (2usize << depth) | (bits >> (63 - depth)) as usize;
    if deeper < 2 * buckets { deeper } else { deeper >> 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
