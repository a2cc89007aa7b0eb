//! The texts about a tree: notes, checkpoints, cosignatures, policies, trust files; against the
//! published vectors of C2SP and its implementers, and other implementations.

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::SigningKey;
use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::hash::leaf_hash;
use giftproof::model::merkle::{inclusion_proof, verify_consistency, verify_inclusion};
use giftproof::model::note::*;
use giftproof::model::policy::Policy;
use giftproof::model::trust::TrustFile;
use proptest::prelude::*;

use super::tree::{Leaves, frontier, node, nodes, published_leaves};

// Notes.

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
/// golang/mod, sumdb/note/note_test.go.
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETER_LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuG\
                          UgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str = "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+\
                          vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn vkey(text: &str) -> VerifierKey {
    let key = VerifierKey::parse(text).unwrap();
    assert_eq!(key.to_string(), text);
    key
}

fn note(bytes: &str) -> Note {
    let note = Note::parse(bytes.as_bytes()).unwrap();
    assert_eq!(note.to_string(), bytes);
    note
}

#[test]
fn published_notes() {
    let example = vkey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
    let signed = note(
        "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6T\
         fXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
    );
    assert_eq!(signed.verify(&[&example]).unwrap()[0].key, &example);
    assert_eq!(signed.text(), "This is an example message.\n");

    // The private key PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz.
    let seed = BASE64_STANDARD.decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();
    let key = SigningKey::from_bytes(seed[1..].try_into().unwrap());
    let peter = vkey(PETER);
    assert_eq!(VerifierKey::of_signer(peter.name().clone(), KeyKind::Ed25519, &key), peter);
    let line = NoteSignature::sign(TEXT, peter.name(), &key);
    let signed = Note::new(TEXT.to_owned(), vec![line]).unwrap();
    assert_eq!(signed.to_string(), format!("{TEXT}\n{PETER_LINE}"));
}

#[test]
fn every_mangled_key_is_refused() {
    for from in 0..PETER.len() {
        for to in from + 1..=PETER.len() {
            let whole = (from, to) == (0, PETER.len());
            assert_eq!(VerifierKey::parse(&PETER[from..to]).is_ok(), whole);
        }
        let mut changed = PETER.as_bytes().to_vec();
        changed[from] += 1;
        assert!(VerifierKey::parse(std::str::from_utf8(&changed).unwrap()).is_err());
    }
    let key = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    // Points of small order, and points that are written with y >= p.
    let of_point = |first: u8, rest: u8, last: u8| {
        let mut bytes = vec![1, first];
        bytes.extend([rest; 30]);
        bytes.push(last);
        format!("a+00000000+{}", BASE64_STANDARD.encode(bytes))
    };
    for (text, code) in [
        // As published, with an id that fits; its base64 has bits set beyond the last byte.
        (format!("PeterNeumann+cc469956+{key}BADKEY=="), "vkey/base64"),
        (format!("PeterNeumann+cc469956+{key}BADKEQ=="), "vkey/length"),
        (
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".into(),
            "vkey/algorithm",
        ),
        (format!("PeterNeumann+C74F20A3+{key}"), "vkey/format"),
        (format!("PeterNeumann+c74f20a+{key}"), "vkey/format"),
        (format!("Peter Neumann+c74f20a3+{key}"), "vkey/format"),
        (format!("+c74f20a3+{key}"), "vkey/format"),
        (format!("PeterNeumann+c74f20a3+{key}="), "vkey/base64"),
        ("PeterNeumann+c74f20a3+".into(), "vkey/base64"),
        (format!("PeterNeuman+c74f20a3+{key}"), "vkey/id"),
        (of_point(1, 0, 0), "vkey/point"),
        (of_point(0, 0, 0), "vkey/point"),
        (of_point(0xee, 0xff, 0x7f), "vkey/point"),
        (of_point(0xf0, 0xff, 0x7f), "vkey/point"),
    ] {
        assert_eq!(VerifierKey::parse(&text).unwrap_err().code(), code, "{text}");
    }
}

#[test]
fn known_keys_must_hold_and_unknown_ones_mean_nothing() {
    let (peter, enoch) = (&vkey(PETER), &vkey(ENOCH));
    let both = note(&format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}"));
    let names = |keys: &[&VerifierKey]| {
        let verified = both.verify(keys)?;
        Ok(verified.iter().map(|by| by.key.name().to_string()).collect::<Vec<_>>())
    };
    assert_eq!(names(&[peter]), Ok(vec!["PeterNeumann".into()]));
    assert_eq!(names(&[enoch, peter]), Ok(vec!["PeterNeumann".into(), "EnochRoot".into()]));
    assert_eq!(names(&[peter, peter]), Ok(vec!["PeterNeumann".into()]));
    assert_eq!(names(&[]), Err(NoteVerifyError::NoKnownSignature));

    // Peter's signature under Enoch's name: refused if Enoch is known, ignored if not.
    let forged = format!("\u{2014} EnochRoot rwz+eB{}", &PETER_LINE[23..]);
    let mixed = note(&format!("{TEXT}\n{PETER_LINE}{forged}"));
    assert_eq!(mixed.verify(&[peter]).unwrap().len(), 1);
    assert_eq!(mixed.verify(&[peter, enoch]).unwrap_err().code(), "note/signature-invalid");
    // The first line of a known key does not excuse the second.
    let longer = PETER_LINE.replacen("UgYN", "UgYNABCD", 1);
    let twice = note(&format!("{TEXT}\n{PETER_LINE}{longer}"));
    assert_eq!(twice.verify(&[peter]).unwrap_err().code(), "note/signature-invalid");
    assert_eq!(twice.verify(&[enoch]).unwrap_err().code(), "note/no-known-signature");
}

#[test]
fn wrong_notes_are_refused_by_their_code() {
    let text_of = |len: usize| "x".repeat(len - 1) + "\n";
    let room = NOTE_LEN_MAX - 1 - PETER_LINE.len();
    for (bytes, code) in [
        (format!("{}\n{PETER_LINE}", text_of(room + 1)), "note/too-long"),
        (format!("\u{1}{TEXT}\n{PETER_LINE}"), "note/encoding"),
        (format!("{TEXT}\n{PETER_LINE}\r\n"), "note/encoding"),
        (TEXT.to_owned(), "note/structure"),
        (format!("{TEXT}\n"), "note/structure"),
        (format!("\n{PETER_LINE}"), "note/structure"),
        (format!("{TEXT}\n{}", PETER_LINE.trim_end()), "note/structure"),
        (format!("{TEXT}\n{PETER_LINE}\n"), "note/structure"),
        (format!("{TEXT}\n{}", PETER_LINE.repeat(65)), "note/too-many-signatures"),
        (format!("{TEXT}\n{PETER_LINE}Unexpected line.\n"), "note/signature-line"),
        (format!("{TEXT}\n{}", PETER_LINE.replace("PeterN", "Peter N")), "note/signature-line"),
        (format!("{TEXT}\n{}", PETER_LINE.replace("PeterN", "Peter+N")), "note/signature-line"),
        (format!("{TEXT}\n{}", PETER_LINE.replace("AM=", "AN=")), "note/signature-line"),
        (format!("{TEXT}\n{}", PETER_LINE.replace("AM=", "AM")), "note/signature-line"),
        (format!("{TEXT}\n\u{2014} short AAAAAA==\n"), "note/signature-line"),
    ] {
        assert_eq!(Note::parse(bytes.as_bytes()).unwrap_err().code(), code, "{bytes:.100}");
    }
    assert_eq!(Note::parse(b"a\n\n\xff\n"), Err(NoteError::Encoding));
    note(&format!("{}\n{PETER_LINE}", text_of(room)));
    note(&format!("{TEXT}\n{}", PETER_LINE.repeat(64)));
    // Empty lines in the text, and text that looks like signatures.
    for text in ["\n", "\n\n\n", "a\n\nb\n", &format!("{TEXT}\n{PETER_LINE}")] {
        assert_eq!(note(&format!("{text}\n{PETER_LINE}")).text(), text);
    }
    let line = NoteSignature::parse(PETER_LINE.trim_end()).unwrap();
    for text in ["", "a", &format!("a\n\n{}", PETER_LINE.trim_end())] {
        assert_eq!(Note::new(text.into(), vec![line.clone()]), Err(NoteError::Structure));
    }
    assert_eq!(Note::new(TEXT.into(), vec![]), Err(NoteError::Structure));
    let full = Note::new(TEXT.into(), vec![line.clone(); 64]).unwrap();
    assert_eq!(full.with_signature(line), Err(NoteError::TooManySignatures(65)));
}

// Checkpoints and cosignatures.

/// A log and a witness with known seeds; the notes were cross-checked with two other programs.
const CHECKPOINT: &str =
    "donations.example/log1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";
const LOG: &str = "donations.example/log1+301bae82+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const LOG_LINE: &str = "\u{2014} donations.example/log1 MBuugj+P7ucy6pkcNWeSr40tA9hrVQcQj/Z3t7xaHan\
                        wW1WKfrAC4apnVIbULICpwuyT9QrKvX+f8iT0yDo7HLqZKgo=\n";
const WITNESS: &str = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";
const WITNESS_LINE: &str = "\u{2014} witness.example/w1 IDJKvgAAAABlU/EA3Ne11g++P1beOf21CSpwydgodLB\
                            aLOqVPONg9sZJFxn9jSYLq7+dPx/x5xXcT1B0H5Vd9TISR05E0Ie0n17wCQ==\n";

fn signing_key(first: u8) -> SigningKey {
    SigningKey::from_bytes(&std::array::from_fn(|i| first + i as u8))
}

fn time(unix_seconds: u64) -> CosignatureTime {
    CosignatureTime::new(unix_seconds).unwrap()
}

#[test]
fn a_checkpoint_from_entries_to_cosignature() {
    let leaves = published_leaves();
    let checkpoint = Checkpoint {
        origin: Origin::parse("donations.example/log1").unwrap(),
        size: 8,
        root: frontier(&leaves).root(),
    };
    assert_eq!(checkpoint.to_string(), CHECKPOINT);
    assert_eq!(Checkpoint::parse(CHECKPOINT).unwrap(), checkpoint);
    let (log, witness) = (&vkey(LOG), &vkey(WITNESS));
    let signed = checkpoint
        .sign(&signing_key(0))
        .cosign(time(1_700_000_000), witness.name(), &signing_key(0x20))
        .unwrap();
    let expected = format!("{CHECKPOINT}\n{LOG_LINE}{WITNESS_LINE}");
    assert_eq!(signed.to_string(), expected);
    assert_eq!(SignedCheckpoint::parse(expected.as_bytes()).unwrap(), signed);
    let cosignatures = signed.verify(log, [witness]).unwrap();
    assert_eq!(cosignatures, [Verified { key: witness, time: Some(time(1_700_000_000)) }]);
    assert_eq!(signed.verify(log, []).unwrap(), []);

    let proof = nodes([
        "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
        "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
        "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
    ]);
    assert_eq!(inclusion_proof(5, 8, &Leaves(&leaves)).unwrap(), proof);
    verify_inclusion(5, 8, &leaf_hash(b"\x40\x41\x42\x43"), &proof, &checkpoint.root).unwrap();
    let second = node("QnGia+DYqE8L1UyMMC58s6O10fpngKQLzOKHNHfatlg=");
    let proof = [proof[0], second, proof[1], proof[2]];
    let five = node("Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=");
    verify_consistency(5, 8, &five, &checkpoint.root, &proof).unwrap();
}

#[test]
fn published_cosignatures() {
    // Sunlight, cmd/skylight/testdata.
    for (origin, key, line) in [
        (
            "rome2026h1.example.org",
            "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN",
            "uKLPIAAAAABpVGeAhm2bOvKc3LaB9PFN1ruG19Y5yqslmcAAbhftnn1Zznmo0LXFZq4LGvqKqLX8jWlwLKas\
             xEGTLIqAVusneCBmBw==",
        ),
        (
            "milan2026h1.example.org",
            "witness2.example.org+2e55b896+BIZ7fpceQWd60IfqQeS9IAnmNOCZjMDne8lZuguz/bi9",
            "LlW4lgAAAABpVGeAN/uFWqfjdU94rrKxFycCggM0Sa1L5tOJCJdYBwJ41CQsgKWA6B0+vywok3cPI3JIzuPe\
             R+VotuYe/eNy0+30Dw==",
        ),
    ] {
        let key = vkey(key);
        let text = format!("{origin}\n300\nlCkHUpkmVBEms2r2T1K6Og69+wUuuN3MIEW1/ezu2v0=\n");
        let signed = note(&format!("{text}\n\u{2014} {} {line}\n", key.name()));
        let verified = signed.verify(&[&key]).unwrap();
        assert_eq!(verified, [Verified { key: &key, time: Some(time(1_767_139_200)) }]);
        let other = note(&signed.to_string().replacen("300", "301", 1));
        assert_eq!(other.verify(&[&key]).unwrap_err().code(), "note/signature-invalid");
    }
}

#[test]
fn checkpoints_need_their_own_log() {
    let (log, witness) = (&vkey(LOG), &vkey(WITNESS));
    let parse =
        |lines: &str| SignedCheckpoint::parse(format!("{CHECKPOINT}\n{lines}").as_bytes()).unwrap();
    let cosigner = VerifierKey::new(log.name().clone(), KeyKind::Cosignature, *log.public_key());
    let (peter, cosigner) = (&vkey(PETER), &cosigner.unwrap());
    let code = |lines: &str, log| parse(lines).verify(log, [witness]).unwrap_err().code();
    assert_eq!(code(WITNESS_LINE, log), "checkpoint/log-signature-missing");
    assert_eq!(code(PETER_LINE, log), "note/no-known-signature");
    assert_eq!(code(LOG_LINE, peter), "checkpoint/log-key");
    assert_eq!(code(LOG_LINE, cosigner), "checkpoint/log-key");
    let wrong_time = WITNESS_LINE.replace("lU/EA", "lU/EB");
    assert_eq!(code(&format!("{LOG_LINE}{wrong_time}"), log), "note/signature-invalid");
    assert!(parse(&format!("{LOG_LINE}{wrong_time}")).verify(log, []).is_ok());
    // A plain signature is no cosignature, whatever its key id says.
    let swapped = format!("{LOG_LINE}\u{2014} witness.example/w1 IDJKvg{}", &LOG_LINE[33..]);
    assert_eq!(code(&swapped, log), "note/signature-invalid");
    assert_eq!(CosignatureTime::new(1 << 63), None);
}

#[test]
fn no_bit_of_a_signed_checkpoint_can_change() {
    let log = &vkey(LOG);
    let signed = format!("{CHECKPOINT}\n{LOG_LINE}").into_bytes();
    for bit in 0..signed.len() * 8 {
        let mut flipped = signed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let accepted = SignedCheckpoint::parse(&flipped).is_ok_and(|it| it.verify(log, []).is_ok());
        assert!(!accepted, "bit {bit}");
    }
    for len in 0..signed.len() {
        assert!(SignedCheckpoint::parse(&signed[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn wrong_checkpoints_are_refused_by_their_code() {
    let root = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=";
    let long = "x".repeat(255);
    for (text, code) in [
        (String::new(), "checkpoint/structure"),
        (format!("a\n8\n{root}"), "checkpoint/structure"),
        ("a\n8\n".into(), "checkpoint/structure"),
        (format!("a\n8\n{root}\nextension\n"), "checkpoint/extension"),
        (format!("a\n8\n{root}\n\n"), "checkpoint/extension"),
        (format!("\n8\n{root}\n"), "checkpoint/origin"),
        (format!("a b\n8\n{root}\n"), "checkpoint/origin"),
        (format!("a\u{3000}b\n8\n{root}\n"), "checkpoint/origin"),
        (format!("a+b\n8\n{root}\n"), "checkpoint/origin"),
        (format!("a\u{7f}\n8\n{root}\n"), "checkpoint/origin"),
        (format!("{long}x\n8\n{root}\n"), "checkpoint/origin"),
        (format!("a\n08\n{root}\n"), "checkpoint/size"),
        (format!("a\n+8\n{root}\n"), "checkpoint/size"),
        (format!("a\n-0\n{root}\n"), "checkpoint/size"),
        (format!("a\n\n{root}\n"), "checkpoint/size"),
        (format!("a\nfive\n{root}\n"), "checkpoint/size"),
        (format!("a\n18446744073709551616\n{root}\n"), "checkpoint/size"),
        ("a\n8\n\n".into(), "checkpoint/root"),
        (format!("a\n8\n{}h=\n", &root[..42]), "checkpoint/root"),
        (format!("a\n8\n{}\n", &root[..43]), "checkpoint/root"),
        (format!("a\n8\n{}\n", &root[4..]), "checkpoint/root"),
        (format!("a\n8\n{}\n", root.replace('+', "-")), "checkpoint/root"),
    ] {
        assert_eq!(Checkpoint::parse(&text).unwrap_err().code(), code, "{text}");
    }
    for text in [format!("{long}\n0\n{root}\n"), format!("a\n18446744073709551615\n{root}\n")] {
        assert_eq!(Checkpoint::parse(&text).unwrap().to_string(), text);
    }
}

// Any bytes.

/// A few edits of a valid input, or bytes without any relation to it.
fn near(valid: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let valid = valid.as_bytes().to_vec();
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\n\n +=0123aAw#\t\xe2".to_vec())];
    let edit = (any::<prop::sample::Index>(), 0..4u8, byte);
    let edits = prop::collection::vec(edit, 0..4).prop_map(move |edits| {
        let mut bytes = valid.clone();
        for (at, kind, byte) in edits {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => {
                    let line = bytes[..at].split(|b| *b == b'\n').next_back().unwrap().to_vec();
                    bytes.splice(at..at, line);
                }
            }
        }
        bytes
    });
    prop_oneof![4 => edits, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn signed() -> String {
    format!("{CHECKPOINT}\n{LOG_LINE}{WITNESS_LINE}")
}

fn policy() -> String {
    format!("log {LOG} https://log.example/\nwitness w {WITNESS}\ngroup g any w\nquorum g\n")
}

fn trust() -> String {
    let genesis = leaf_hash(b"");
    let (policy, signed) = (policy(), signed());
    let head = "giftproof-trust/v1\norigin donations.example/log1";
    format!("{head}\ngenesis {genesis}\noperator {LOG}\n\n{policy}\n{signed}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn notes_print_as_they_were_and_parse_as_elsewhere(bytes in near(&signed())) {
        let ours = Note::parse(&bytes);
        let theirs = signed_note::Note::from_bytes(&bytes);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours.to_string().into_bytes(), bytes);
            prop_assert_eq!(ours.text().as_bytes(), theirs.text());
            let (log, log_there) = (vkey(LOG), signed_note::StandardVerifier::new(LOG).unwrap());
            let known = signed_note::VerifierList::new(vec![Box::new(log_there)]);
            let lines = |note: &Note| {
                note.signatures().iter().filter(|line| line.key_name() == log.name()).count()
            };
            // Elsewhere, a second line of a key is not checked.
            if lines(&ours) < 2 {
                prop_assert_eq!(ours.verify(&[&log]).is_ok(), theirs.verify(&known).is_ok());
            }
        }
    }

    #[test]
    fn keys_print_as_they_were_and_parse_as_elsewhere(bytes in near(LOG)) {
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        let ours = VerifierKey::parse(text);
        // Elsewhere the id may also be spelt in capitals; here it has one spelling.
        let in_capitals = text.split('+').nth(1).is_some_and(|id| id != id.to_lowercase());
        let theirs = signed_note::StandardVerifier::new(text);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok() && !in_capitals);
        if let Ok(key) = ours {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn checkpoints_print_as_they_were_and_parse_elsewhere(bytes in near(CHECKPOINT)) {
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(()) };
        if let Ok(checkpoint) = Checkpoint::parse(text) {
            prop_assert_eq!(checkpoint.to_string(), text);
            let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes());
            let theirs = theirs.unwrap();
            prop_assert_eq!(theirs.origin(), checkpoint.origin.as_str());
            prop_assert_eq!(theirs.size(), checkpoint.size);
            prop_assert_eq!(&theirs.hash().0, checkpoint.root.as_bytes());
        }
    }

    #[test]
    fn policies_parse_back_equal(bytes in near(&policy())) {
        if let Ok(policy) = Policy::parse(&bytes) {
            let printed = policy.to_string();
            let again = Policy::parse(printed.as_bytes()).unwrap();
            prop_assert_eq!(again.to_string(), printed);
            prop_assert_eq!(again, policy);
        }
    }

    #[test]
    fn trust_files_print_as_they_were(bytes in near(&trust())) {
        if let Ok(trust) = TrustFile::parse(&bytes) {
            prop_assert_eq!(trust.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn any_text_signed_here_verifies_elsewhere(
        text in "([^\\x00-\\x1f]{0,20}\n){1,5}",
        name in "[^\\s+\\x00-\\x1f]{1,20}",
        seed in any::<[u8; 32]>(),
    ) {
        let key = SigningKey::from_bytes(&seed);
        let name = KeyName::parse(&name).unwrap();
        let line = NoteSignature::sign(&text, &name, &key);
        let note = Note::new(text, vec![line]).unwrap();
        let vkey = VerifierKey::of_signer(name, KeyKind::Ed25519, &key);
        prop_assert_eq!(note.verify(&[&vkey]).unwrap().len(), 1);
        let theirs = signed_note::StandardVerifier::new(&vkey.to_string()).unwrap();
        let known = signed_note::VerifierList::new(vec![Box::new(theirs)]);
        let note = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
        prop_assert_eq!(note.verify(&known).unwrap().0.len(), 1);
    }
}
