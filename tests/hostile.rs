//! Every file format against hostile bytes: cut short, bits flipped, lengths out of bounds, lines and
//! parts repeated, dropped, exchanged, and mixed with those of other files.
//!
//! The seeds are the files of `fixtures/seeds/<format>/`, of which each must be accepted. Whatever is
//! made of them is refused under a code of ledger-spec.md, or says what a seed says, and by nobody
//! who did not sign that. To add a format: a folder of seeds, and a line in [`FORMATS`].

mod binary;
mod walk;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use giftproof::model::audited::SignedStatement;
use giftproof::model::checkpoint::{Origin, SignedCheckpoint};
use giftproof::model::hash::leaf_hash;
use giftproof::model::key::SecretKey;
use giftproof::model::note::{KeyKind, KeyName, Note, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::tlog_proof::TlogProof;
use giftproof::model::trust::TrustFile;
use giftproof::witness::{OpenError, TrustedLogs, Witness};

use crate::tlog_proof::{LOG, WITNESS, witnessed};
use crate::witness::{NOW, Shared};

/// What an accepted file says, in a spelling that is the same wherever the meaning is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub says: String,
    /// Who vouches for it beside whom every reader demands.
    pub by: BTreeSet<String>,
}

/// One file format.
pub struct Format {
    /// The folder of its seeds.
    pub name: &'static str,
    /// Whether signatures or hashes protect the meaning. Where none do, a changed file may be
    /// another good one: then it must be read the same when it is printed and read again.
    pub protected: bool,
    /// Reads and verifies a file; the first argument is the name of the seed that it comes from.
    pub read: fn(&str, &[u8]) -> Result<Reading, &'static str>,
}

pub const FORMATS: &[Format] = &[
    Format { name: "audit-statement", protected: true, read: read_audit_statement },
    Format { name: "checkpoint", protected: true, read: read_checkpoint },
    Format { name: "note", protected: true, read: read_note },
    Format { name: "policy", protected: false, read: read_policy },
    Format { name: "tlog-proof", protected: true, read: read_tlog_proof },
    Format { name: "trust", protected: false, read: read_trust },
    Format { name: "vkey", protected: true, read: read_vkey },
    Format { name: "witness-note", protected: true, read: read_witness_note },
    Format { name: "witness-request", protected: true, read: read_witness_request },
];

static LOG_KEY: LazyLock<VerifierKey> = LazyLock::new(|| VerifierKey::parse(LOG).unwrap());
static WITNESS_KEY: LazyLock<VerifierKey> = LazyLock::new(|| VerifierKey::parse(WITNESS).unwrap());
static AUDITORS: LazyLock<[VerifierKey; 1]> = LazyLock::new(|| {
    let secret = SigningKey::from_bytes(&std::array::from_fn(|i| 0x60 + i as u8));
    let name = KeyName::parse("auditor.example/a").unwrap();
    [VerifierKey::of_signer(name, KeyKind::Ed25519, &secret)]
});
static TRUST: LazyLock<TrustFile> = LazyLock::new(witnessed);

fn says(says: impl ToString) -> Reading {
    Reading { says: says.to_string(), by: BTreeSet::new() }
}

fn read_audit_statement(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let note = SignedStatement::parse(bytes).map_err(|error| error.code())?;
    let auditors = note.verify(&*AUDITORS).map_err(|error| error.code())?;
    // An unknown auditor's word counts for nothing; that it is there is no fault.
    if auditors.is_empty() { Err("note/no-known-signature") } else { Ok(says(note.statement())) }
}

fn read_checkpoint(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let note = SignedCheckpoint::parse(bytes).map_err(|error| error.code())?;
    let cosigned = note.verify(&LOG_KEY, [&*WITNESS_KEY]).map_err(|error| error.code())?;
    let by = cosigned.iter().map(|by| format!("{} {:?}", by.key, by.time)).collect();
    Ok(Reading { by, ..says(note.checkpoint()) })
}

fn read_note(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let note = Note::parse(bytes).map_err(|error| error.code())?;
    note.verify(&[&LOG_KEY]).map_err(|error| error.code())?;
    Ok(says(note.text()))
}

fn read_policy(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    Policy::parse(bytes).map(says).map_err(|error| error.code())
}

/// The leaves are those of the eight published ones; the seed's name says which.
fn read_tlog_proof(seed: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let entry: &[u8] = match seed {
        "entry-0-of-1" => b"",
        "entry-5-of-8" => &[0x40, 0x41, 0x42, 0x43],
        "entry-6-of-7-extra" => &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        other => panic!("which entry {other} is about must stand here"),
    };
    let proof = TlogProof::parse(bytes).map_err(|error| error.code())?;
    let cosigned = proof.verify(&leaf_hash(entry), &TRUST).map_err(|error| error.code())?;
    let by = cosigned.iter().map(|by| format!("{} {:?}", by.witness, by.time)).collect();
    let checkpoint = proof.checkpoint().checkpoint();
    Ok(Reading { by, ..says(format!("{} {entry:?} {checkpoint}", proof.index())) })
}

fn read_trust(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let trust = TrustFile::parse(bytes).map_err(|error| error.code())?;
    assert_eq!(trust.to_string().as_bytes(), bytes, "a second spelling");
    Ok(says(trust))
}

fn read_vkey(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "vkey/format")?;
    let key = VerifierKey::parse(text).map_err(|error| error.code())?;
    assert_eq!(key.to_string(), text, "a second spelling");
    Ok(says(key))
}

/// The witness of the cosigned seeds, with this note kept as its newest.
fn witness(note: &[u8]) -> (Result<Witness<Shared>, OpenError>, Shared) {
    let shelf = Shared::default();
    let origin = Origin::parse(LOG_KEY.name().as_str()).unwrap();
    shelf.0.notes.lock().unwrap().insert(origin, String::from_utf8_lossy(note).into_owned());
    let mut logs = TrustedLogs::default();
    logs.add(LOG_KEY.clone()).unwrap();
    let key = SecretKey::from_seed(&std::array::from_fn(|i| 0x20 + i as u8));
    let name = WITNESS_KEY.name().clone();
    (Witness::open(shelf.clone(), name, &key, logs, 1000), shelf)
}

/// What a witness has kept under the log's name.
fn kept(shelf: &Shared) -> Reading {
    let notes = shelf.0.notes.lock().unwrap();
    let note = notes.values().next().unwrap();
    says(SignedCheckpoint::parse(note.as_bytes()).unwrap().checkpoint())
}

/// A note that a witness has kept, when it starts again.
fn read_witness_note(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    let (witness, shelf) = witness(bytes);
    witness.map_err(|error| error.code())?;
    Ok(kept(&shelf))
}

/// What a witness cosigns that has cosigned five entries.
fn read_witness_request(_: &str, bytes: &[u8]) -> Result<Reading, &'static str> {
    static FIVE: LazyLock<Vec<u8>> =
        LazyLock::new(|| fs::read(seed_folder("witness-note").join("five")).unwrap());
    let (witness, shelf) = witness(&FIVE);
    let answer = witness.unwrap().add_checkpoint(bytes, NOW);
    if answer.status() == 200 { Ok(kept(&shelf)) } else { Err(answer.code()) }
}

// What is made of a seed.

/// What was done to the seed, and what came of it.
type Mutant = (String, Vec<u8>);

/// A line, with its line feed where it has one.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

fn cut(seed: &[u8]) -> impl Iterator<Item = Mutant> + '_ {
    (0..seed.len()).flat_map(move |at| {
        let (head, tail) = seed.split_at(at);
        [(format!("first {at} bytes"), head.to_vec()), (format!("from byte {at}"), tail.to_vec())]
    })
}

fn flipped(seed: &[u8]) -> impl Iterator<Item = Mutant> + '_ {
    (0..seed.len() * 8).map(move |bit| {
        let mut bytes = seed.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit}"), bytes)
    })
}

/// One line replaced, repeated or dropped, or something put before it.
fn line_by_line(seed: &[u8]) -> impl Iterator<Item = Mutant> + '_ {
    let all = lines(seed);
    (0..all.len()).flat_map(move |at| {
        let line = all[at];
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let (before, after) = (all[..at].concat(), all[at + 1..].concat());
        let with = |what: &str, middle: Vec<u8>| {
            (format!("line {at} {what}"), [&before, &middle, &after].map(|part| &part[..]).concat())
        };
        vec![
            with("dropped", vec![]),
            with("emptied", b"\n".to_vec()),
            with("doubled", line.repeat(2)),
            with("a hundred times", line.repeat(100)),
            with("3000 times", line.repeat(3000)),
            with("after an empty one", [b"\n", line].concat()),
            with("joined with the next", bare.to_vec()),
            with("with a carriage return", [bare, b"\r\n"].concat()),
            with("with a blank at the end", [bare, b" \n"].concat()),
            with("with a blank before", [b" ", line].concat()),
            with("with a NUL", [bare, b"\0\n"].concat()),
            with("with a mark of order", [b"\xef\xbb\xbf", line].concat()),
            with("with an overlong byte", [bare, b"\xc0\x8a\n"].concat()),
            with("very long", [bare, &b"A".repeat(200_000)[..], b"\n"].concat()),
            with("of four times as many", [bare.repeat(4), b"\n".to_vec()].concat()),
            with("in capitals", line.to_ascii_uppercase()),
            with("in small letters", line.to_ascii_lowercase()),
        ]
    })
}

/// Every run of digits replaced by numbers at and beyond all bounds.
fn numbers(seed: &[u8]) -> impl Iterator<Item = Mutant> + '_ {
    let digit = |at: usize| seed.get(at).is_some_and(u8::is_ascii_digit);
    let starts: Vec<usize> =
        (0..seed.len()).filter(|at| digit(*at) && !(*at > 0 && digit(at - 1))).collect();
    let huge = "9".repeat(5000);
    let hostile = ["", "0", "00", "-1", "+1", "1e9", "0x10", "4294967296", "9223372036854775808"];
    let beyond = ["18446744073709551615", "18446744073709551616", &huge];
    let numbers: Vec<String> = hostile.iter().chain(&beyond).map(|text| text.to_string()).collect();
    starts.into_iter().flat_map(move |from| {
        let to = (from..).find(|at| !digit(*at)).expect("the file ends");
        let mutant = |number: &String| {
            let bytes = [&seed[..from], number.as_bytes(), &seed[to..]].concat();
            (format!("number at {from}: {number:.30}"), bytes)
        };
        numbers.iter().map(mutant).collect::<Vec<_>>()
    })
}

/// Lines exchanged, and the beginning of one file with the end of another.
fn reordered<'a>(seed: &'a [u8], others: &'a [Vec<u8>]) -> impl Iterator<Item = Mutant> + 'a {
    let all = lines(seed);
    let pairs = (0..all.len()).flat_map(move |one| (0..one).map(move |other| (one, other)));
    let swapped = pairs.map({
        let all = all.clone();
        move |(one, other)| {
            let mut all = all.clone();
            all.swap(one, other);
            (format!("lines {one} and {other} exchanged"), all.concat())
        }
    });
    let spliced = others.iter().enumerate().flat_map(move |(which, other)| {
        let (all, theirs) = (all.clone(), lines(other));
        (0..=all.len()).flat_map(move |head| {
            let (all, theirs) = (all.clone(), theirs.clone());
            (0..=theirs.len()).map(move |tail| {
                let bytes = [all[..head].concat(), theirs[tail..].concat()].concat();
                (format!("{head} lines, then seed {which} from line {tail}"), bytes)
            })
        })
    });
    swapped.chain(spliced)
}

fn seed_folder(format: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/seeds").join(format)
}

fn seeds(format: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(seed_folder(format)).unwrap().map(|file| file.unwrap());
    let mut seeds: Vec<_> = files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{format} has no seeds");
    seeds
}

/// The seeds of a format, and what each says.
struct Trial<'a> {
    format: &'a Format,
    good: Vec<Reading>,
    codes: &'a BTreeSet<&'a str>,
}

impl<'a> Trial<'a> {
    fn new(format: &'a Format, seeds: &[(String, Vec<u8>)], codes: &'a BTreeSet<&'a str>) -> Self {
        let read = |(name, bytes): &(String, Vec<u8>)| match (format.read)(name, bytes) {
            Ok(reading) => reading,
            Err(code) => panic!("{}/{name} is no seed: {code}", format.name),
        };
        Self { format, good: seeds.iter().map(read).collect(), codes }
    }

    /// Tries what is made of a seed. Nearly all is refused, or the seed protects nothing.
    fn hold(&self, name: &str, seed: &[u8], mutants: impl Iterator<Item = Mutant>) {
        let (mut refused, mut tried) = (0u64, 0u64);
        for (what, bytes) in mutants.filter(|(_, bytes)| bytes != seed) {
            tried += 1;
            let what = format!("{}/{name}, {what}", self.format.name);
            refused += u64::from(self.judge(name, &bytes, &what).is_none());
        }
        assert!(tried > 100 && refused * 2 > tried, "{name}: {refused} of {tried}");
    }

    /// What a changed file says, if anything.
    fn judge(&self, name: &str, bytes: &[u8], what: &str) -> Option<()> {
        let read = catch_unwind(AssertUnwindSafe(|| (self.format.read)(name, bytes)));
        let reading = match read.unwrap_or_else(|_| panic!("{what}: panicked")) {
            Err(code) => {
                assert!(self.codes.contains(code), "{what}: {code}");
                return None;
            }
            Ok(reading) => reading,
        };
        if self.format.protected {
            let good: Vec<_> = self.good.iter().filter(|good| good.says == reading.says).collect();
            assert!(!good.is_empty(), "{what}: accepted with another meaning: {reading:?}");
            let signed = |by| good.iter().any(|good| good.by.contains(by));
            assert!(reading.by.iter().all(signed), "{what}: {:?}", reading.by);
        } else if !reading.says.is_empty() {
            let again = (self.format.read)(name, reading.says.as_bytes());
            assert_eq!(again.as_ref(), Ok(&reading), "{what}");
        }
        Some(())
    }
}

/// Tries everything that is made of a format's seeds.
fn try_format(format: &Format, codes: &BTreeSet<&str>) {
    let seeds = seeds(format.name);
    let trial = Trial::new(format, &seeds, codes);
    let others: Vec<Vec<u8>> = seeds.iter().map(|(_, bytes)| bytes.clone()).collect();
    for (name, seed) in &seeds {
        let mutants = cut(seed)
            .chain(flipped(seed))
            .chain(line_by_line(seed))
            .chain(numbers(seed))
            .chain(reordered(seed, &others));
        trial.hold(name, seed, mutants);
    }
}

fn spec() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("ledger-spec.md")).unwrap()
}

fn codes_of(spec: &str) -> BTreeSet<&str> {
    spec.split('`').skip(1).step_by(2).collect()
}

#[test]
fn whatever_is_made_of_good_files_is_refused_by_a_code_or_means_the_same() {
    let spec = spec();
    let codes = codes_of(&spec);
    std::thread::scope(|scope| {
        for format in FORMATS {
            let codes = &codes;
            scope.spawn(move || try_format(format, codes));
        }
    });
}

#[test]
fn every_folder_of_seeds_is_tried() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/seeds");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let found: BTreeSet<String> =
        folders.map(|folder| folder.file_name().into_string().unwrap()).collect();
    let listed = FORMATS.iter().map(|format| format.name.to_owned());
    assert_eq!(found, listed.chain(binary::folders()).collect());
}
