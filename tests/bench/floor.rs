//! What everything is measured against: a bare loop of ed25519-dalek `verify_strict` over signatures
//! of the same log, with as many threads as the machine has.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use ed25519_dalek::{Signature, VerifyingKey};
use giftproof::bundle::{BundleReader, LogSource};
use giftproof::model::entry::{Entry, NO_LEAF, SignedEvent};
use giftproof::model::hash::LeafHash;
use giftproof::model::ident::KeyBytes;
use giftproof::model::tile::EntryBundle;

use crate::measurement::{Result, timed};

/// A signature with its message, the key in the form that verifies fastest.
pub struct Signed {
    message: Vec<u8>,
    key: VerifyingKey,
    signature: Signature,
}

impl Signed {
    pub fn verify(&self) {
        let Self { message, key, signature } = self;
        key.verify_strict(message, signature).expect("the gate would let it in");
    }
}

/// Keys that have been decompressed.
#[derive(Default)]
pub struct Keys(HashMap<KeyBytes, VerifyingKey>);

impl Keys {
    /// All signatures of an event.
    pub fn signatures(&mut self, event: &SignedEvent, genesis: &LeafHash) -> Result<Vec<Signed>> {
        let message = event.frame.signing_message(genesis);
        let (head, _) = event.frame.open()?;
        let mut signed = Vec::new();
        for (signer, signature) in head.signers.iter().zip(&event.signatures) {
            let key = match self.0.get(&signer.key) {
                Some(key) => *key,
                None => VerifyingKey::from_bytes(signer.key.as_bytes())?,
            };
            self.0.insert(signer.key, key);
            let signature = Signature::from_bytes(signature);
            signed.push(Signed { message: message.clone(), key, signature });
        }
        Ok(signed)
    }
}

/// Signatures of a log.
pub struct Floor {
    signatures: Vec<Signed>,
    threads: NonZeroUsize,
}

impl Floor {
    /// Takes about so many signatures, in whole bundles that are spread evenly over the log.
    pub fn sample(bundle: &BundleReader, genesis: &LeafHash, about: u64) -> Result<Self> {
        let layout = bundle.layout().tree();
        let bundles = (about / 256).clamp(1, layout.bundle_count());
        let mut keys = Keys::default();
        let mut signatures = Vec::new();
        for number in 0..bundles {
            let coord = layout.bundle(number * layout.bundle_count() / bundles);
            let coord = coord.expect("it is below the number of bundles");
            for entry in EntryBundle::parse(&bundle.entries(&coord)?, &coord)?.entries() {
                let Entry { header, event } = Entry::from_bytes(entry)?;
                let genesis = if header.index == 0 { &NO_LEAF } else { genesis };
                signatures.extend(keys.signatures(&event, genesis)?);
            }
        }
        Ok(Self { signatures, threads: available_parallelism().unwrap_or(NonZeroUsize::MIN) })
    }

    pub fn threads(&self) -> usize {
        self.threads.get()
    }

    /// Verifies all of them once: the seconds that it takes.
    fn seconds(&self) -> f64 {
        let verify = |share: &[Signed]| share.iter().for_each(Signed::verify);
        let shares = self.signatures.len().div_ceil(self.threads.get());
        timed(|| {
            std::thread::scope(|scope| {
                for share in self.signatures.chunks(shares) {
                    scope.spawn(move || verify(share));
                }
            });
        })
        .1
    }

    /// What `work` gives, and the floor in signatures a second. It is measured before and after,
    /// so that what else the machine does falls on both.
    pub fn around<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
        let before = self.seconds();
        let result = work()?;
        let seconds = before + self.seconds();
        Ok((result, 2.0 * self.signatures.len() as f64 / seconds))
    }
}

/// The leaf hash of entry 0.
pub fn genesis_of(bundle: &BundleReader) -> Result<LeafHash> {
    let coord = bundle.layout().tree().bundle(0).expect("a log has an entry");
    let bytes = bundle.entries(&coord)?;
    let bundle = EntryBundle::parse(&bytes, &coord)?;
    let entry = bundle.entries().next().expect("a bundle has an entry");
    Ok(giftproof::model::hash::leaf_hash(entry))
}
