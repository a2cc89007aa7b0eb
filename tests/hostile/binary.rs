//! The binary formats against hostile bytes: as the texts, and with their lengths, counts and parts
//! taken one by one.
//!
//! Where a process can be held to so much memory, it is: no number in a file reserves more than
//! that. Of files up to [`EVERY_BIT`] bytes every bit is flipped; of longer ones every 83rd, and
//! numbers are put at every eleventh byte: `no_bit_of_a_proof_can_be_turned` goes through all bytes.

use std::path::Path;
use std::process::Command;

use giftproof::model::fraud::Fraud;
use giftproof::model::hash::{Digest32, EventHash, HASH_LEN};
use giftproof::model::ident::GiftId;
use giftproof::model::lodged::Lodged;
use giftproof::model::proof_file::{About, Level, ProofFault, ProofFile};
use giftproof::verify::AuditState;
use serde_json::Value;

use super::walk::{self, Walk};
use super::*;
use crate::forge::Forge;
use crate::util::{World, state_hash};

/// Up to so many bytes, every bit of a file is flipped.
const EVERY_BIT: usize = 1200;

/// The address space that the test may have, in kilobytes.
const MEMORY_KB: u32 = 1 << 20;
const WITHIN: &str = "GIFTPROOF_TEST_MEMORY_IS_BOUNDED";

struct Binary {
    format: Format,
    walk: fn(&[u8]) -> Walk<'_>,
}

const BINARIES: [Binary; 5] = [
    Binary {
        format: Format { name: "audit-state", protected: true, read: read_audit_state },
        walk: walk::whole,
    },
    Binary {
        format: Format { name: "audit-state", protected: false, read: read_pinned_audit_state },
        walk: walk::whole,
    },
    Binary {
        format: Format { name: "fraud", protected: true, read: read_fraud },
        walk: walk::fraud,
    },
    Binary {
        format: Format { name: "lodged", protected: true, read: read_lodged },
        walk: walk::lodged,
    },
    Binary {
        format: Format { name: "proof", protected: true, read: read_proof },
        walk: walk::proof,
    },
];

/// The folders of the binary formats' seeds.
pub fn folders() -> impl Iterator<Item = String> {
    BINARIES.iter().map(|binary| binary.format.name.to_owned())
}

/// The hash that the audit named, kept where the state is not.
fn pinned(seed: &str) -> Digest32 {
    let seeds = seeds("audit-state");
    let (_, bytes) = seeds.iter().find(|(name, _)| name == seed).unwrap();
    let hash = bytes[bytes.len() - HASH_LEN..].try_into().unwrap();
    Digest32::from_bytes(hash)
}

fn read_state(bytes: &[u8], pinned: &Digest32) -> Result<Reading, &'static str> {
    let state = AuditState::open(bytes, pinned).map_err(|error| error.code())?;
    Ok(says(format!("{} {}", state.checkpoint(), state.audited_at_unix_seconds())))
}

fn read_audit_state(seed: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    static PINNED: LazyLock<Digest32> = LazyLock::new(|| pinned("story"));
    assert_eq!(seed, "story", "whose hash is pinned must stand here");
    read_state(bytes, &PINNED)
}

/// Bytes under a hash that fits them, as if the auditor had pinned a broken state: whatever it then
/// says is the auditor's own word, but it is refused or read.
fn read_pinned_audit_state(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let content = &bytes[..bytes.len().saturating_sub(HASH_LEN)];
    let hash = state_hash(content);
    read_state(&[content, hash.as_bytes()].concat(), &hash).map(|_| says(""))
}

static FORGED: LazyLock<TrustFile> = LazyLock::new(|| Forge::of(&World::new()).trust());

fn read_fraud(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let accusation = Fraud::parse(bytes).and_then(|fraud| fraud.check(&FORGED));
    let accusation = accusation.map_err(|fault| fault.code())?;
    Ok(says(serde_json::to_string(&accusation).unwrap()))
}

fn read_lodged(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let lodged = Lodged::parse(bytes).map_err(|fault| fault.code())?;
    Ok(says(format!("{} {:?} {} {}", lodged.genesis, lodged.at, lodged.key, lodged.event.hash)))
}

/// A vector of `fixtures/proofs`: its trust file and its proof.
fn vector(name: &str) -> (TrustFile, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/proofs");
    let vector = fs::read(folder.join(format!("{name}.json"))).unwrap();
    let vector: Value = serde_json::from_slice(&vector).unwrap();
    let trust = TrustFile::parse(vector["trust"].as_str().unwrap().as_bytes()).unwrap();
    (trust, hex::decode(vector["proof"].as_str().unwrap()).unwrap())
}

/// The gift that all proofs but one are about.
static GIVEN: LazyLock<EventHash> = LazyLock::new(|| {
    let proof = ProofFile::parse(&vector("complete").1).unwrap();
    let About::Gift(donation) = proof.about else { panic!("{:?}", proof.about) };
    donation
});

const PROOFS: [&str; 4] = ["audited", "complete", "no-gift", "witnessed"];

fn read_proof(seed: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    static TRUSTED: LazyLock<[TrustFile; 4]> = LazyLock::new(|| PROOFS.map(|name| vector(name).0));
    let trust = &TRUSTED[PROOFS.iter().position(|name| *name == seed).unwrap()];
    let proof = ProofFile::parse(bytes).map_err(ProofFault::from);
    let proven = proof.and_then(|proof| proof.check(trust)).map_err(|fault| fault.code)?;
    // A proof that lost its auditor or a witness proves less, and nothing else.
    let cosigned = proven.cosigned.iter().map(|by| format!("{} {:?}", by.witness, by.time));
    let audited = proven.audited.iter().map(|audited| format!("{audited:?}"));
    let mut by: BTreeSet<String> = cosigned.chain(audited).collect();
    if let Some(seal) = &proven.seal {
        by.insert(format!("{seal:?}, not after it {:?}", proven.after_seal));
    }
    if proven.level() == Level::Audited {
        by.insert("audited".to_owned());
    }
    let (failures, unknown) = (&proven.failures, &proven.not_understood);
    let checkpoint = proven.checkpoint.checkpoint();
    let gift = proven.gift();
    // Of which id there is no gift, may change: that is true of every id that names none.
    let about = match proven.about {
        About::Gift(donation) => donation.to_string(),
        About::NoGift(id) => {
            assert_ne!(id, GiftId::from(&*GIVEN), "a gift is denied");
            "nothing".to_owned()
        }
    };
    Ok(Reading { by, ..says(format!("{about} {gift:?} {failures:?} {unknown:?} {checkpoint}")) })
}

/// Flipped bits, as many as the file's length allows.
fn some_flipped(seed: &[u8]) -> impl Iterator<Item = Mutant> + '_ {
    let step = if seed.len() > EVERY_BIT { 83 } else { 1 };
    flipped(seed).step_by(step)
}

/// The largest and the smallest number wherever one may stand, also within the entries.
fn filled(seed: &[u8]) -> impl Iterator<Item = Mutant> + '_ {
    let widths = [(4, 0xff), (2, 0)].into_iter();
    widths.flat_map(move |(width, with)| {
        (0..seed.len()).step_by(if seed.len() > EVERY_BIT { 11 } else { 1 }).map(move |at| {
            let mut bytes = seed.to_vec();
            let end = bytes.len().min(at + width);
            bytes[at..end].fill(with);
            (format!("{width} bytes {with:02x} at {at}"), bytes)
        })
    })
}

fn try_binary(Binary { format, walk }: &Binary, codes: &BTreeSet<&str>) {
    let seeds = seeds(format.name);
    let walks: Vec<Walk<'_>> = seeds.iter().map(|(_, bytes)| walk(bytes)).collect();
    let trial = Trial::new(format, &seeds, codes);
    for ((name, seed), walked) in seeds.iter().zip(&walks) {
        let own = cut(seed).chain(some_flipped(seed)).chain(filled(seed)).chain(walked.numbers());
        let with_others =
            walks.iter().flat_map(|other| walked.parts(other).chain(walked.lists(other)));
        let trailing = [(String::from("one byte more"), [seed, &[0][..]].concat())];
        trial.hold(name, seed, own.chain(with_others).chain(trailing));
    }
}

#[test]
fn whatever_is_made_of_good_binary_files_is_refused_by_a_code_or_means_the_same() {
    if cfg!(target_os = "linux") && std::env::var_os(WITHIN).is_none() {
        return within_bounds();
    }
    let spec = spec();
    let codes = codes_of(&spec);
    std::thread::scope(|scope| {
        for binary in &BINARIES {
            let codes = &codes;
            scope.spawn(move || try_binary(binary, codes));
        }
    });
}

/// Runs this test again where memory is short: a file that makes the program reserve more ends it.
fn within_bounds() {
    let name = "hostile::binary::\
                whatever_is_made_of_good_binary_files_is_refused_by_a_code_or_means_the_same";
    let line = format!("ulimit -v {MEMORY_KB} && exec \"$0\" --exact {name}");
    let mut command = Command::new("sh");
    command.args(["-c", &line]).arg(std::env::current_exe().unwrap());
    let output = command.env(WITHIN, "1").env("MALLOC_ARENA_MAX", "1").output().unwrap();
    let (told, failed) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{failed}");
    assert!(told.contains("1 passed"), "{told}");
}

/// The seeds, by format and name.
fn made() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut made = Vec::new();
    for name in PROOFS {
        made.push(("proof", name.to_owned(), vector(name).1));
    }
    for (name, fraud) in crate::fraud::samples() {
        made.push(("fraud", name.to_owned(), fraud.to_bytes()));
    }
    for (name, lodged) in crate::fraud::lodged_samples() {
        made.push(("lodged", name.to_owned(), lodged));
    }
    let files = Forge::of(&crate::fraud::story()).files();
    let report = crate::audit::run(&files, None);
    let (state, _) = AuditState::encode(&report, 1_800_000_000).unwrap();
    made.push(("audit-state", "story".to_owned(), state));
    made
}

/// A change of a byte of these formats shows here.
#[test]
fn binary_seeds_are_those_that_are_made() {
    let made = made();
    let names: BTreeSet<_> = made.iter().map(|(format, name, _)| (*format, name.clone())).collect();
    let found = BINARIES.iter().map(|binary| binary.format.name);
    let found = found.flat_map(|format| seeds(format).into_iter().map(move |s| (format, s.0)));
    assert_eq!(found.collect::<BTreeSet<_>>(), names);
    for (format, name, bytes) in made {
        // What is in a state comes in no order.
        if format == "audit-state" {
            continue;
        }
        let path = seed_folder(format).join(&name);
        assert!(fs::read(path).unwrap() == bytes, "{format}/{name} is another");
    }
}

#[test]
#[ignore = "writes the files that the other tests read"]
fn write_binary_seeds() {
    for (format, name, bytes) in made() {
        fs::create_dir_all(seed_folder(format)).unwrap();
        fs::write(seed_folder(format).join(name), bytes).unwrap();
    }
}
