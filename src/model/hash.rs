//! Hashes, one type a meaning, made only by the functions here (spec section 3).
//!
//! Every hash is SHA-256. The Merkle tree's two prefixes are those of RFC 6962 section 2.1; every
//! other use starts with a context that begins with byte 0xff, which no tree input and no signed
//! note can begin with, so that no preimage serves in two places.

use std::fmt;

use sha2::{Digest, Sha256};

/// The length of every hash, in bytes.
pub const HASH_LEN: usize = 32;

macro_rules! hash_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; HASH_LEN]);

        impl $name {
            /// Takes 32 bytes that were read from somewhere; they claim to be such a hash.
            pub const fn from_bytes(bytes: [u8; HASH_LEN]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; HASH_LEN] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }
    )*};
}

hash_types! {
    /// SHA-256(0x00 || entry): a leaf of the tree, and the link to the entry before.
    LeafHash;
    /// A node of the tree; the root of a tree head is one.
    NodeHash;
    /// The identity of an event: what a gift, a dispute or a correction is named by.
    EventHash;
    /// The identity of something that events are about (gift, party, lot, shipment, the root).
    SubjectHash;
    /// SHA-256 of a document outside the log, or a salted commitment to a private value.
    Digest32;
}

/// leaf = SHA-256(0x00 || entry) [RFC 6962, 2.1]
pub fn leaf_hash(entry: &[u8]) -> LeafHash {
    LeafHash(Sha256::new().chain_update([0u8]).chain_update(entry).finalize().into())
}

/// node = SHA-256(0x01 || left || right) [RFC 6962, 2.1]
pub fn node_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    let hash = Sha256::new().chain_update([1u8]).chain_update(left.0).chain_update(right.0);
    NodeHash(hash.finalize().into())
}

/// The root of the empty tree, SHA-256("") [RFC 6962, 2.1].
pub fn empty_root() -> NodeHash {
    NodeHash(Sha256::digest([]).into())
}

impl From<LeafHash> for NodeHash {
    /// A leaf is the node of a tree of one.
    fn from(leaf: LeafHash) -> Self {
        NodeHash(leaf.0)
    }
}

/// SHA-256 of a document's bytes.
pub fn document_hash(bytes: &[u8]) -> Digest32 {
    Digest32(Sha256::digest(bytes).into())
}

/// SHA-256(context || parts[0] || parts[1] ...), for a context that begins with byte 0xff.
pub(crate) fn context_hash(context: &[u8], parts: &[&[u8]]) -> [u8; HASH_LEN] {
    debug_assert_eq!(context.first(), Some(&0xff));
    let mut hash = Sha256::new().chain_update(context);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
