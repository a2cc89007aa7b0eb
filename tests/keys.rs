//! Keys and the one rule of signatures, against published and crafted vectors and the definition.

use std::path::Path;

use giftproof::model::key::{KeyFault, PublicKey, SecretKey};
use giftproof::model::signature::{self, Signature, SignedMessage};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A random source that repeats itself, named by its seed.
fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    key: String,
    message: String,
    signature: String,
    verdict: String,
    /// The same by the equation without the cofactor, as `verify_strict` has it.
    cofactorless: String,
}

impl Vector {
    fn key(&self) -> Result<PublicKey, KeyFault> {
        let bytes = hex::decode(&self.key).unwrap();
        PublicKey::from_bytes(&bytes.try_into().unwrap())
    }

    fn message(&self) -> Vec<u8> {
        hex::decode(&self.message).unwrap()
    }

    fn signature(&self) -> Signature {
        Signature::from_bytes(hex::decode(&self.signature).unwrap().try_into().unwrap())
    }
}

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/signatures");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn vectors() -> Vec<Vector> {
    let text = fixture("crafted.jsonl") + &fixture("published.jsonl");
    let vectors: Vec<Vector> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(vectors.len() > 100);
    vectors
}

/// Good signatures by a few keys, to hide others among.
fn crowd(count: usize) -> Vec<(Vec<u8>, PublicKey, Signature)> {
    (0..count)
        .map(|i| {
            let secret = SecretKey::from_seed(&[i as u8 % 3; 32]);
            let message = format!("carton {i}").into_bytes();
            let signature = secret.sign(&message);
            (message, secret.public(), signature)
        })
        .collect()
}

fn items(signed: &[(Vec<u8>, PublicKey, Signature)]) -> Vec<SignedMessage<'_>> {
    signed
        .iter()
        .map(|(message, key, signature)| SignedMessage {
            message,
            key: *key,
            signature: *signature,
        })
        .collect()
}

#[test]
fn every_vector_gets_its_verdict() {
    for vector in vectors() {
        let verdict = match vector.key() {
            Err(fault) => fault.code(),
            Ok(key) => signature::verify(&vector.message(), &key, &vector.signature())
                .map_or_else(|fault| fault.code(), |()| "ok"),
        };
        assert_eq!(verdict, vector.verdict, "{}", vector.name);
    }
}

/// What a library without the cofactor accepts is valid; what it refuses need not be invalid.
#[test]
fn a_cofactorless_library_says_of_each_vector_what_its_column_says() {
    for vector in vectors() {
        let Ok(key) = vector.key() else { continue };
        let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(vector.signature().as_bytes());
        let accepted = key.verify_strict(&vector.message(), &signature).is_ok();
        assert_eq!(accepted, vector.cofactorless == "ok", "{}", vector.name);
        assert!(!accepted || vector.verdict == "ok", "{}", vector.name);
    }
}

#[test]
fn rfc8032_seeds_give_the_published_keys_and_signatures() {
    let inputs: serde_json::Value =
        serde_json::from_str(&fixture("published-inputs.json")).unwrap();
    let field = |vector: &serde_json::Value, name: &str| {
        vector[name].as_str().map(|text| hex::decode(text).unwrap())
    };
    let mut seen = 0;
    for vector in inputs.as_array().unwrap() {
        let Some(seed) = field(vector, "seed") else { continue };
        let secret = SecretKey::from_seed(&seed.try_into().unwrap());
        assert_eq!(Some(secret.public().as_bytes().to_vec()), field(vector, "key"));
        let signature = secret.sign(&field(vector, "message").unwrap());
        assert_eq!(Some(signature.as_bytes().to_vec()), field(vector, "signature"));
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// Each vector hidden at the start, the middle and the end of a good batch: the coefficients
/// differ each time, the verdict must not.
#[test]
fn a_batch_says_of_each_vector_what_the_single_rule_says() {
    let mut seed = 0;
    for vector in vectors() {
        let Ok(key) = vector.key() else { continue };
        for position in [0, 4, 8] {
            let mut signed = crowd(8);
            signed.insert(position, (vector.message(), key, vector.signature()));
            let items = items(&signed);
            let expected = if vector.verdict == "ok" { vec![] } else { vec![position] };
            for _ in 0..3 {
                let bad = signature::verify_batch(&items, &mut rng(seed));
                assert_eq!(bad, expected, "{} at {position}, rng({seed})", vector.name);
                seed += 1;
            }
        }
    }
    assert!(seed > 500);
}

#[test]
fn all_vectors_in_one_batch_are_told_apart() {
    let vectors: Vec<Vector> = vectors().into_iter().filter(|v| v.key().is_ok()).collect();
    let signed: Vec<_> =
        vectors.iter().map(|v| (v.message(), v.key().unwrap(), v.signature())).collect();
    let items = items(&signed);
    let expected: Vec<usize> = (0..vectors.len()).filter(|&i| vectors[i].verdict != "ok").collect();
    for seed in 0..10 {
        let bad = signature::verify_batch(&items, &mut rng(seed));
        assert_eq!(bad, expected, "rng({seed})");
    }
}

/// A batch of nothing but torsion in R: the parts may add up to anything, and it is good.
#[test]
fn torsion_in_r_never_makes_a_batch_fail() {
    let vectors: Vec<Vector> =
        vectors().into_iter().filter(|v| v.verdict == "ok" && v.cofactorless != "ok").collect();
    assert_eq!(vectors.len(), 7);
    for (i, vector) in vectors.iter().enumerate() {
        let signed = vec![(vector.message(), vector.key().unwrap(), vector.signature()); i + 2];
        for seed in 0..40 {
            let bad = signature::verify_batch(&items(&signed), &mut rng(seed));
            assert!(bad.is_empty(), "{}, rng({seed}): {bad:?}", vector.name);
        }
    }
}

/// Two forgeries whose errors add up to zero: a batch without coefficients would pass them.
#[test]
fn forgeries_do_not_make_up_for_each_other() {
    use curve25519_dalek::scalar::Scalar;
    let mut signed = crowd(6);
    for (index, change) in [(1, Scalar::ONE), (4, -Scalar::ONE)] {
        let mut bytes = *signed[index].2.as_bytes();
        let s = Scalar::from_canonical_bytes(bytes[32..].try_into().unwrap()).unwrap();
        bytes[32..].copy_from_slice((s + change).as_bytes());
        signed[index].2 = Signature::from_bytes(bytes);
    }
    for seed in 0..20 {
        assert_eq!(signature::verify_batch(&items(&signed), &mut rng(seed)), [1, 4]);
    }
}

mod random {
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::edwards::CompressedEdwardsY;
    use curve25519_dalek::scalar::Scalar;
    use curve25519_dalek::traits::IsIdentity;
    use proptest::prelude::*;
    use sha2::{Digest, Sha512};

    fn challenge(r: &[u8], key: &[u8], message: &[u8]) -> Scalar {
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message);
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    }

    /// The rule word by word, in plain curve arithmetic.
    fn judge(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let (r, s) = signature.as_bytes().split_at(32);
        let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s.try_into().unwrap()))
        else {
            return false;
        };
        let Some(point) = CompressedEdwardsY(r.try_into().unwrap()).decompress() else {
            return false;
        };
        if point.compress().as_bytes() != r || point.is_small_order() {
            return false;
        }
        let a = CompressedEdwardsY(*key.as_bytes()).decompress().unwrap();
        let rest = s * ED25519_BASEPOINT_POINT - point - challenge(r, key.as_bytes(), message) * a;
        (Scalar::from(8u8) * rest).is_identity()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Signatures made with any scalars, torsion in R and a slip in S or none.
        #[test]
        fn all_ways_to_verify_agree_with_the_definition(
            (a, r) in (any::<[u8; 32]>(), any::<[u8; 32]>()),
            torsion in 0..8usize,
            slip in 0..2u8,
            message in any::<Vec<u8>>(),
            seed in any::<u64>(),
        ) {
            let (a, r) = (Scalar::from_bytes_mod_order(a), Scalar::from_bytes_mod_order(r));
            let key = (a * ED25519_BASEPOINT_POINT).compress().to_bytes();
            let Ok(key) = PublicKey::from_bytes(&key) else { return Ok(()) };
            let point = r * ED25519_BASEPOINT_POINT + EIGHT_TORSION[torsion];
            let r_bytes = point.compress().to_bytes();
            let s = r + challenge(&r_bytes, key.as_bytes(), &message) * a + Scalar::from(slip);
            let bytes = [r_bytes, s.to_bytes()].concat();
            let signature = Signature::from_bytes(bytes.try_into().unwrap());

            let valid = judge(&key, &message, &signature);
            prop_assert_eq!(valid, slip == 0 && !point.is_small_order());
            prop_assert_eq!(signature::verify(&message, &key, &signature).is_ok(), valid);

            let mut signed = crowd(3);
            signed.insert(1, (message, key, signature));
            let bad = signature::verify_batch(&items(&signed), &mut rng(seed));
            prop_assert_eq!(bad.is_empty(), valid);
        }

        /// One flipped bit anywhere in key, message or signature.
        #[test]
        fn a_changed_signature_is_refused(
            key_seed in any::<[u8; 32]>(),
            message in prop::collection::vec(any::<u8>(), 1..100),
            place in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let secret = SecretKey::from_seed(&key_seed);
            let mut bytes = [
                &secret.public().as_bytes()[..],
                secret.sign(&message).as_bytes(),
                &message,
            ].concat();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let Ok(key) = PublicKey::from_bytes(bytes[..32].try_into().unwrap()) else {
                return Ok(());
            };
            let signature = Signature::from_bytes(bytes[32..96].try_into().unwrap());
            prop_assert!(signature::verify(&bytes[96..], &key, &signature).is_err());
            let item = SignedMessage { message: &bytes[96..], key, signature };
            prop_assert_eq!(signature::verify_batch(&[item; 3], &mut rng(1)), [0, 1, 2]);
        }
    }
}
