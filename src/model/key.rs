//! Ed25519 keys, public and secret (spec section 3, RFC 8032).
//!
//! A public key is valid if and only if its encoding is canonical, it is a point of the curve, not
//! the identity, and free of torsion: then the cofactored equation says about it what a plain
//! reader expects, and no two keys or signatures share a meaning. The check costs about as much as
//! a signature, so bytes that merely claim to be a key are a type of their own ([`KeyBytes`]), to
//! be looked up among keys that were checked where they first appeared.
//!
//! Signatures are judged in [`crate::model::signature`]; files with keys are read and written in
//! [`crate::keyfile`].

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity;
use ed25519_dalek::{Signer, SigningKey};
use rand::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use super::signature::Signature;

/// The length of a public key, in bytes.
pub const PUBLIC_KEY_LEN: usize = 32;

/// The length of the seed that a secret key is made from (RFC 8032 section 5.1.5), in bytes.
pub const SEED_LEN: usize = 32;

/// Why bytes or text are not a public key; checks run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The text is not 64 lower-case hex digits.
    #[error("a public key is written as 64 lower-case hex digits")]
    NotHex,
    /// The point has another, shorter spelling: y is not below 2^255 - 19, or x is zero with its
    /// sign bit set (RFC 8032 section 5.1.3).
    #[error("the public key is not in canonical encoding")]
    NotCanonical,
    /// No point of the curve has this y.
    #[error("the public key is not a point of the curve")]
    NotOnCurve,
    /// The neutral element: it "signs" everything.
    #[error("the public key is the identity")]
    Identity,
    /// The point is not of prime order; all points of small order but the identity are among these.
    #[error("the public key has a torsion part")]
    Torsion,
}

impl KeyFault {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotHex => "key/not-hex",
            Self::NotCanonical => "key/not-canonical",
            Self::NotOnCurve => "key/not-on-curve",
            Self::Identity => "key/identity",
            Self::Torsion => "key/torsion",
        }
    }
}

/// 32 bytes that claim to be a public key, not checked.
///
/// Compares and hashes as [`PublicKey`] does, and a `PublicKey` borrows as one, so that a map of
/// checked keys can be asked for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyBytes([u8; PUBLIC_KEY_LEN]);

impl KeyBytes {
    /// Takes 32 bytes that were read from somewhere.
    pub const fn from_bytes(bytes: [u8; PUBLIC_KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }

    /// Judges the bytes: one scalar multiplication.
    ///
    /// # Errors
    ///
    /// The first of `NotCanonical`, `NotOnCurve`, `Identity` and `Torsion` that applies.
    pub fn check(&self) -> Result<PublicKey, KeyFault> {
        if !is_canonical(&self.0) {
            return Err(KeyFault::NotCanonical);
        }
        let point = CompressedEdwardsY(self.0).decompress().ok_or(KeyFault::NotOnCurve)?;
        if point.is_identity() {
            return Err(KeyFault::Identity);
        }
        if !point.is_torsion_free() {
            return Err(KeyFault::Torsion);
        }
        Ok(PublicKey(*self))
    }
}

impl fmt::Display for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBytes({self})")
    }
}

/// A valid public key: canonical, on the curve, not the identity, free of torsion.
///
/// Written as 64 lower-case hex digits; ordered by its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(KeyBytes);

impl PublicKey {
    /// Parses 32 bytes; see [`KeyBytes::check`] for the cost.
    ///
    /// # Errors
    ///
    /// The first of `NotCanonical`, `NotOnCurve`, `Identity` and `Torsion` that applies.
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, KeyFault> {
        KeyBytes(*bytes).check()
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        self.0.as_bytes()
    }
}

impl Borrow<KeyBytes> for PublicKey {
    fn borrow(&self) -> &KeyBytes {
        &self.0
    }
}

impl From<PublicKey> for KeyBytes {
    fn from(key: PublicKey) -> Self {
        key.0
    }
}

impl FromStr for PublicKey {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        // Upper case would be a second spelling of the same key.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(KeyFault::NotHex);
        }
        let mut bytes = [0; PUBLIC_KEY_LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyFault::NotHex)?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A secret key; its bytes are zeroed when it is dropped, and it never prints.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes the key that RFC 8032 section 5.1.5 derives from a 32-byte seed. Every seed is good.
    pub fn from_seed(seed: &[u8; SEED_LEN]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Makes a new key from the given source of randomness.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The seed, for those who store it. Not a copy: it is zeroed with the key.
    pub fn seed(&self) -> &[u8; SEED_LEN] {
        self.0.as_bytes()
    }

    /// The key with its public half worked out, which signs notes. Not a copy.
    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.0
    }

    /// The public key that verifies this key's signatures.
    pub fn public(&self) -> PublicKey {
        // Valid without a check: the scalar is a multiple of 8 in 2^254..2^255, hence 8m with
        // 0 < m < L; so the point [8m]B has no torsion and is not the identity.
        PublicKey(KeyBytes(self.0.verifying_key().to_bytes()))
    }

    /// Signs a message by RFC 8032 section 5.1.6: the same message gives the same signature.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Whether no shorter spelling of the same point exists: y < p, and the sign bit is clear where x
/// is zero, which is at y = 1 and y = p - 1 (RFC 8032 section 5.1.3). Whether a point has this y at
/// all is not asked.
pub(super) fn is_canonical(bytes: &[u8; 32]) -> bool {
    // p = 2^255 - 19 is ed ff .. ff 7f in little-endian bytes.
    let sign = bytes[31] & 0x80 != 0;
    let top = bytes[31] & 0x7f;
    let middle = &bytes[1..31];
    if top == 0x7f && middle.iter().all(|&byte| byte == 0xff) {
        let x_is_zero = bytes[0] == 0xec;
        return bytes[0] < 0xed && !(sign && x_is_zero);
    }
    let x_is_zero = bytes[0] == 1 && top == 0 && middle.iter().all(|&byte| byte == 0);
    !(sign && x_is_zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::EIGHT_TORSION;

    const RFC8032_TEST1: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn text_has_one_spelling() {
        let key: PublicKey = RFC8032_TEST1.parse().unwrap();
        assert_eq!(key.to_string(), RFC8032_TEST1);
        assert_eq!(format!("{key:?}"), format!("PublicKey({RFC8032_TEST1})"));
        let upper = RFC8032_TEST1.to_uppercase();
        for text in [&upper, "", &RFC8032_TEST1[2..], &format!("{RFC8032_TEST1}00"), "zz"] {
            assert_eq!(text.parse::<PublicKey>(), Err(KeyFault::NotHex), "{text}");
        }
    }

    #[test]
    fn order_is_that_of_the_bytes_and_lookups_need_no_check() {
        let keys: Vec<PublicKey> =
            (0..20).map(|seed| SecretKey::from_seed(&[seed; SEED_LEN]).public()).collect();
        let mut by_key = keys.clone();
        by_key.sort();
        let mut by_bytes: Vec<[u8; 32]> = keys.iter().map(|key| *key.as_bytes()).collect();
        by_bytes.sort();
        assert_eq!(by_key.iter().map(|key| *key.as_bytes()).collect::<Vec<_>>(), by_bytes);

        let known: std::collections::HashSet<PublicKey> = keys.iter().copied().collect();
        assert_eq!(known.get(&KeyBytes::from(keys[3])), Some(&keys[3]));
        assert_eq!(known.get(&KeyBytes::from_bytes([7; 32])), None);
    }

    #[test]
    fn a_secret_key_does_not_print() {
        let secret = SecretKey::from_seed(&[0x5a; SEED_LEN]);
        assert_eq!(format!("{secret:?}"), "SecretKey(..)");
    }

    #[test]
    fn public_keys_of_secret_keys_are_valid() {
        for seed in 0..=255 {
            let key = SecretKey::from_seed(&[seed; SEED_LEN]).public();
            assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
        }
    }

    /// Canonical is what decoding and encoding again leaves as it is: judged over every encoding
    /// near the two ends of the field, where the spellings differ.
    #[test]
    fn canonical_is_what_the_curve_library_writes_itself() {
        let mut judged = 0;
        for sign in [0x00, 0x80] {
            for low in 0..=255 {
                for (fill, top) in [(0x00, 0x00), (0xff, 0x7f), (0x00, 0x7f), (0xff, 0x00)] {
                    let mut bytes = [fill; 32];
                    bytes[0] = low;
                    bytes[31] = top | sign;
                    let Some(point) = CompressedEdwardsY(bytes).decompress() else { continue };
                    let same = point.compress().to_bytes() == bytes;
                    assert_eq!(is_canonical(&bytes), same, "{}", hex::encode(bytes));
                    judged += 1;
                }
            }
        }
        assert!(judged > 500);
    }

    #[test]
    fn points_of_small_order_are_no_keys() {
        for (i, point) in EIGHT_TORSION.iter().enumerate() {
            let fault = if i == 0 { KeyFault::Identity } else { KeyFault::Torsion };
            assert_eq!(PublicKey::from_bytes(&point.compress().to_bytes()), Err(fault));
        }
    }
}
