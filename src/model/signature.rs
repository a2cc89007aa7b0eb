//! The one rule by which an Ed25519 signature is valid (spec section 7).
//!
//! A signature (R, S) of a message under a valid key A is valid if and only if
//!
//! 1. S < L;
//! 2. R is in canonical encoding and none of the eight encodings of small order;
//! 3. `[8]SB = [8]R + [8]kA`, where k = SHA-512(R || A || message), the equation of ZIP 215.
//!
//! Checks run in that order. Canonical asks for the spelling alone (y < 2^255 - 19, and no sign
//! bit where x is zero); an R that is no point of the curve fails the equation.
//!
//! Writer and auditor judge by this one rule. Because keys are free of torsion, it differs from the
//! equation without the cofactor 8 only where R has a torsion part; no honest signer makes such an
//! R. It is the equation that can be checked for many signatures together.

use std::fmt;
use std::sync::LazyLock;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::scalar::Scalar;
use ed25519_zebra::{VerificationKey, VerificationKeyBytes, batch};
use rand::CryptoRng;
use thiserror::Error;

use super::key::{self, PublicKey};

/// The length of a signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// 64 bytes that claim to be a signature: R || S (RFC 8032 section 5.1.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; SIGNATURE_LEN]);

impl Signature {
    /// Takes 64 bytes that were read from somewhere; nothing is checked.
    pub const fn from_bytes(bytes: [u8; SIGNATURE_LEN]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }

    /// The two halves, R and S.
    fn halves(&self) -> ([u8; 32], [u8; 32]) {
        let mut r = [0; 32];
        let mut s = [0; 32];
        r.copy_from_slice(&self.0[..32]);
        s.copy_from_slice(&self.0[32..]);
        (r, s)
    }

    /// Rules 1 and 2, which need neither message nor key.
    fn check_encoding(&self) -> Result<(), SignatureFault> {
        let (r, s) = self.halves();
        if bool::from(Scalar::from_canonical_bytes(s).is_none()) {
            return Err(SignatureFault::SNotReduced);
        }
        if !key::is_canonical(&r) {
            return Err(SignatureFault::RNotCanonical);
        }
        if SMALL_ORDER.contains(&r) {
            return Err(SignatureFault::RSmallOrder);
        }
        Ok(())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}

/// The canonical encodings of the eight points P with [8]P = 0.
static SMALL_ORDER: LazyLock<[[u8; 32]; 8]> =
    LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress().to_bytes()));

/// Why a signature is not valid; checks run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureFault {
    /// S is not below the group order L: somebody without the key can make such variants.
    #[error("S of the signature is not below the group order")]
    SNotReduced,
    /// R has another, shorter spelling.
    #[error("R of the signature is not in canonical encoding")]
    RNotCanonical,
    /// R is a point of small order, the identity included.
    #[error("R of the signature is a point of small order")]
    RSmallOrder,
    /// The equation does not hold: another message, another key, or not a signature at all.
    #[error("the signature does not fit message and key")]
    Equation,
}

impl SignatureFault {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SNotReduced => "signature/s-not-reduced",
            Self::RNotCanonical => "signature/r-not-canonical",
            Self::RSmallOrder => "signature/r-small-order",
            Self::Equation => "signature/equation",
        }
    }
}

/// A message with the key that is said to have signed it, and the signature.
#[derive(Clone, Copy, Debug)]
pub struct SignedMessage<'a> {
    /// The signed bytes.
    pub message: &'a [u8],
    /// The key that is said to have signed them.
    pub key: PublicKey,
    /// The signature.
    pub signature: Signature,
}

/// Verifies a signature by the rules 1, 2 and 3.
///
/// # Errors
///
/// The first of `SNotReduced`, `RNotCanonical`, `RSmallOrder` and `Equation` that applies.
pub fn verify(
    message: &[u8],
    key: &PublicKey,
    signature: &Signature,
) -> Result<(), SignatureFault> {
    signature.check_encoding()?;
    VerificationKey::try_from(*key.as_bytes())
        .expect("a public key is a point of the curve")
        .verify(&zebra_signature(signature), message)
        .map_err(|_| SignatureFault::Equation)
}

/// Finds those that [`verify`] refuses, many together: the indexes of the bad ones, ascending.
///
/// `rng` gives the coefficients that keep one bad signature from making up for another; they must
/// not be foreseeable to whoever made the signatures, so it is the system's random source outside
/// of tests. A bad signature slips through a pass with probability 2^-128 at most; a good one is
/// never refused. Each bad one costs about log2(n) further passes over ever smaller parts.
pub fn verify_batch<R: CryptoRng + ?Sized>(items: &[SignedMessage<'_>], rng: &mut R) -> Vec<usize> {
    let mut bad = Vec::new();
    let mut queue = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if item.signature.check_encoding().is_err() {
            bad.push(index);
            continue;
        }
        let key = VerificationKeyBytes::from(*item.key.as_bytes());
        let signature = zebra_signature(&item.signature);
        queue.push((index, batch::Item::from((key, signature, item.message))));
    }
    bisect(items, &queue, rng, &mut bad);
    bad.sort_unstable();
    bad
}

/// Adds to `bad` the indexes of those in `queue` whose equation does not hold.
fn bisect<R: CryptoRng + ?Sized>(
    items: &[SignedMessage<'_>],
    queue: &[(usize, batch::Item)],
    rng: &mut R,
    bad: &mut Vec<usize>,
) {
    match queue {
        [] => {}
        [(index, _)] => {
            let item = &items[*index];
            if verify(item.message, &item.key, &item.signature).is_err() {
                bad.push(*index);
            }
        }
        _ => {
            let mut verifier = batch::Verifier::new();
            queue.iter().for_each(|(_, item)| verifier.queue(item.clone()));
            if verifier.verify(&mut *rng).is_err() {
                let (left, right) = queue.split_at(queue.len() / 2);
                bisect(items, left, rng, bad);
                bisect(items, right, rng, bad);
            }
        }
    }
}

fn zebra_signature(signature: &Signature) -> ed25519_zebra::Signature {
    ed25519_zebra::Signature::from_bytes(signature.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight encodings as the literature on Ed25519 lists them (ZIP 215's test vectors).
    #[test]
    fn small_order_encodings_are_the_published_eight() {
        let published = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        ];
        let mut ours = SMALL_ORDER.map(hex::encode);
        let mut theirs = published.map(str::to_owned);
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn an_empty_batch_has_no_bad_ones() {
        assert!(verify_batch(&[], &mut rand::rng()).is_empty());
    }
}
