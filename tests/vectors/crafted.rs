//! Signatures that no honest signer makes, from the arithmetic of the curve.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use giftproof::model::key::SecretKey;
use sha2::{Digest, Sha512};

/// The group order, little-endian (RFC 8032 section 5.1).
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The secret scalar (RFC 8032 section 5.1.5).
fn scalar(key: &SecretKey) -> Scalar {
    let hash = Sha512::digest(key.seed());
    let mut bytes: [u8; 32] = hash[..32].try_into().unwrap();
    bytes[0] &= 248;
    bytes[31] = bytes[31] & 63 | 64;
    Scalar::from_bytes_mod_order(bytes)
}

fn challenge(r: &[u8; 32], key: &SecretKey, message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key.public().as_bytes());
    Scalar::from_bytes_mod_order_wide(&hash.chain_update(message).finalize().into())
}

fn join(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    signature
}

/// R = rB + T with T of order 8: only the equation with the cofactor holds.
pub fn with_torsion_in_r(key: &SecretKey, message: &[u8]) -> [u8; 64] {
    let nonce = Scalar::from(0x1234_5678_9abc_def1u64);
    let r = (EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[1]).compress().to_bytes();
    let s = nonce + challenge(&r, key, message) * scalar(key);
    join(r, s.to_bytes())
}

/// S = ka with R the identity in this encoding: the equation holds.
pub fn with_r_of_small_order(key: &SecretKey, message: &[u8], r: [u8; 32]) -> [u8; 64] {
    let s = challenge(&r, key, message) * scalar(key);
    join(r, s.to_bytes())
}

/// S + L: the same signature to whoever does not ask whether S is reduced.
pub fn with_s_not_reduced(mut signature: [u8; 64]) -> [u8; 64] {
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    signature
}

/// The canonical encoding of the identity.
pub fn identity() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
}

/// The identity with y = 1 + p: a second spelling.
pub fn identity_not_canonical() -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xee;
    bytes[31] = 0x7f;
    bytes
}

/// A key with a torsion part.
pub fn key_with_torsion(key: &SecretKey) -> [u8; 32] {
    let point = EdwardsPoint::mul_base(&scalar(key)) + EIGHT_TORSION[1];
    point.compress().to_bytes()
}
