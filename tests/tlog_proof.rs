//! The proof of one entry (C2SP tlog-proof), against a vector that two other programs agreed on,
//! and everything that can be wrong with it.

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::SigningKey;
use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::hash::{LeafHash, leaf_hash};
use giftproof::model::merkle::inclusion_proof;
use giftproof::model::note::{CosignatureTime, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::tlog_proof::{TLOG_PROOF_LEN_MAX, TlogProof};
use giftproof::model::trust::TrustFile;

use super::tree::{Leaves, frontier, published_leaves};

pub const LOG: &str =
    "donations.example/log1+301bae82+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
pub const WITNESS: &str =
    "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";

/// Entry 5 of the eight published leaves. Note and path were cross-checked with the crates
/// signed_note and tlog_tiles, the cosignature with a program in Python.
const VECTOR: &str = "c2sp.org/tlog-proof@v1
index 5
vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=
yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=
037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=

donations.example/log1
8
XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=

\u{2014} donations.example/log1 MBuugj+P7ucy6pkcNWeSr40tA9hrVQcQj/Z3t7xaHanwW1WKfrAC4apnVIbULICpwuyT9QrKvX+f8iT0yDo7HLqZKgo=
\u{2014} witness.example/w1 IDJKvgAAAABlU/EA3Ne11g++P1beOf21CSpwydgodLBaLOqVPONg9sZJFxn9jSYLq7+dPx/x5xXcT1B0H5Vd9TISR05E0Ie0n17wCQ==
";

fn key(first: u8) -> SigningKey {
    SigningKey::from_bytes(&std::array::from_fn(|i| first + i as u8))
}

/// The leaf at index 5.
fn leaf() -> LeafHash {
    leaf_hash(b"\x40\x41\x42\x43")
}

/// Trust in the log of the vector, whose entry 0 is the empty one.
pub fn trust(policy: &str) -> TrustFile {
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let origin = Origin::parse("donations.example/log1").unwrap();
    let operator = VerifierKey::parse(LOG).unwrap();
    TrustFile::new(origin, leaf_hash(b""), operator, policy).unwrap()
}

pub fn witnessed() -> TrustFile {
    trust(&format!("witness w1 {WITNESS}\nquorum w1\n"))
}

fn parse(text: &str) -> TlogProof {
    let proof = TlogProof::parse(text.as_bytes()).unwrap();
    assert_eq!(proof.to_string(), text);
    proof
}

fn checked(text: &str, leaf: &LeafHash, trust: &TrustFile) -> &'static str {
    match TlogProof::parse(text.as_bytes()) {
        Err(error) => error.code(),
        Ok(proof) => proof.verify(leaf, trust).map_or_else(|error| error.code(), |_| "ok"),
    }
}

#[test]
fn the_published_proof_is_made_byte_for_byte_and_holds() {
    let leaves = published_leaves();
    let origin = Origin::parse("donations.example/log1").unwrap();
    let checkpoint = Checkpoint { origin, size: 8, root: frontier(&leaves).root() };
    let witness = VerifierKey::parse(WITNESS).unwrap();
    let time = CosignatureTime::new(1_700_000_000).unwrap();
    let note = checkpoint.sign(&key(0)).cosign(time, witness.name(), &key(0x20)).unwrap();
    let path = inclusion_proof(5, 8, &Leaves(&leaves)).unwrap();
    let made = TlogProof::new(5, path, note).unwrap();
    assert_eq!(made.to_string(), VECTOR);
    assert_eq!(parse(VECTOR), made);

    let cosigned = made.verify(&leaf(), &witnessed()).unwrap();
    assert_eq!((cosigned[0].witness.as_str(), cosigned[0].time), ("w1", time));
    assert_eq!(cosigned.len(), 1);
    // Whoever asks for no witness is told of none: the line is of no known key.
    assert_eq!(made.verify(&leaf(), &trust("quorum none\n")).unwrap(), []);
}

#[test]
fn extra_data_is_kept_and_means_nothing() {
    let extra = VECTOR.replacen("index", "extra Z2lmdA==\nindex", 1);
    assert_eq!(parse(&extra).extra(), Some(&b"gift"[..]));
    assert_eq!(parse(VECTOR).extra(), None);
    assert_eq!(checked(&extra, &leaf(), &witnessed()), "ok");
}

#[test]
fn the_tree_of_one_needs_no_hash_and_its_entry_is_the_trusted_one() {
    let origin = Origin::parse("donations.example/log1").unwrap();
    for (entry, code) in [(&b""[..], "ok"), (b"\0", "trust/genesis")] {
        let leaf = leaf_hash(entry);
        let root = frontier(&[leaf]).root();
        let note = Checkpoint { origin: origin.clone(), size: 1, root }.sign(&key(0));
        let proof = TlogProof::new(0, vec![], note).unwrap().to_string();
        parse(&proof);
        assert_eq!(checked(&proof, &leaf, &trust("quorum none\n")), code);
    }
}

#[test]
fn paths_of_another_length_or_order_are_refused() {
    let proof = parse(VECTOR);
    let refused = |path: &[_], index| {
        let changed = TlogProof::new(index, path.to_vec(), proof.checkpoint().clone()).unwrap();
        checked(&changed.to_string(), &leaf(), &witnessed())
    };
    let path = proof.path();
    assert_eq!(refused(path, 5), "ok");
    for at in 0..path.len() {
        let mut shorter = path.to_vec();
        shorter.remove(at);
        assert_eq!(refused(&shorter, 5), "proof/too-short");
        for again in 0..path.len() {
            let mut longer = path.to_vec();
            longer.insert(at, path[again]);
            assert_eq!(refused(&longer, 5), "proof/too-long");
            let mut swapped = path.to_vec();
            swapped.swap(at, again);
            assert_eq!(refused(&swapped, 5), if at == again { "ok" } else { "proof/root" });
        }
    }
    assert_eq!(refused(&[], 5), "proof/too-short");
    assert_eq!(refused(&[path[0]; 64], 5), "proof/too-long");
    for index in (0..8).filter(|index| *index != 5) {
        assert_eq!(refused(path, index), "proof/root");
    }
    for index in [8, u64::MAX] {
        assert_eq!(refused(path, index), "proof/index-outside");
    }
    assert_eq!(checked(VECTOR, &leaf_hash(b"\x40\x41\x42"), &witnessed()), "proof/root");
    let too_many = TlogProof::new(5, vec![path[0]; 65], proof.checkpoint().clone());
    assert_eq!(too_many.unwrap_err().code(), "tlog-proof/too-many-hashes");
}

#[test]
fn wrong_files_are_refused_by_their_code() {
    let hash = "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=";
    let replaced = |from: &str, to: &str| {
        assert!(VECTOR.contains(from), "{from}");
        VECTOR.replacen(from, to, 1)
    };
    let long_extra = BASE64_STANDARD.encode(vec![7; TLOG_PROOF_LEN_MAX]);
    for (text, code) in [
        (replaced("index", &format!("extra {long_extra}\nindex")), "tlog-proof/too-long"),
        (String::new(), "tlog-proof/version"),
        (replaced("@v1", "@v2"), "tlog-proof/newer-version"),
        (replaced("@v1\n", "@v1\r\n"), "tlog-proof/version"),
        (format!("\n{VECTOR}"), "tlog-proof/version"),
        ("c2sp.org/tlog-proof@v1\nindex 5\n".into(), "tlog-proof/structure"),
        (replaced("index", "extra \nindex"), "tlog-proof/extra"),
        (replaced("index", "extra Z2lmdA\nindex"), "tlog-proof/extra"),
        (replaced("index", "extra Z2lmdB==\nindex"), "tlog-proof/extra"),
        (replaced("index", "extra Z2lmdA==\nextra Z2lmdA==\nindex"), "tlog-proof/index"),
        (replaced("index", "extra\nindex"), "tlog-proof/index"),
        (replaced("index 5", "index 05"), "tlog-proof/index"),
        (replaced("index 5", "index +5"), "tlog-proof/index"),
        (replaced("index 5", "index  5"), "tlog-proof/index"),
        (replaced("index 5", "index 18446744073709551616"), "tlog-proof/index"),
        (replaced("index 5\n", ""), "tlog-proof/index"),
        (replaced(hash, &vec![hash; 63].join("\n")), "tlog-proof/too-many-hashes"),
        (replaced("nms=", "nmt="), "tlog-proof/hash"),
        (replaced("nms=", "nms"), "tlog-proof/hash"),
        (replaced("nms=", "nms=\r"), "tlog-proof/hash"),
        (replaced(hash, "vBoGQ7Eu"), "tlog-proof/hash"),
        (replaced(hash, "index 5"), "tlog-proof/hash"),
        (replaced("\n\ndona", "\n\n\ndona"), "checkpoint/extension"),
        (replaced("\n\ndona", "\ndona"), "tlog-proof/hash"),
        (replaced("\n8\n", "\n08\n"), "checkpoint/size"),
        (format!("{VECTOR}\n"), "note/structure"),
    ] {
        let error = TlogProof::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{error}\n{text:.300}");
    }
    assert_eq!(TlogProof::parse(b"\xff").unwrap_err().code(), "tlog-proof/encoding");
}

#[test]
fn the_checkpoint_must_be_the_trusted_logs_and_witnessed_as_the_policy_asks() {
    let lines: Vec<&str> = VECTOR.lines().collect();
    let without = |line: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != line);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let (log_line, witness_line) = (lines.len() - 2, lines.len() - 1);
    let check = |text: &str, trust: &TrustFile| checked(text, &leaf(), trust);
    assert_eq!(check(&without(witness_line), &witnessed()), "trust/policy");
    assert_eq!(check(&without(witness_line), &trust("quorum none\n")), "ok");
    assert_eq!(check(&without(log_line), &witnessed()), "checkpoint/signature");
    // A witness's wrong signature refuses the note where it is known, and means nothing elsewhere.
    let wrong_time = VECTOR.replacen("lU/EA", "lU/EB", 1);
    assert_eq!(check(&wrong_time, &witnessed()), "trust/policy");
    assert_eq!(check(&wrong_time, &trust("quorum none\n")), "ok");

    // After a rotation the log signs with another key: that is said, not guessed at.
    let note = parse(VECTOR).checkpoint().checkpoint().clone().sign(&key(1));
    let other_line = note.to_string().lines().last().unwrap().to_owned();
    let rotated = VECTOR.replacen(lines[log_line], &other_line, 1);
    assert_eq!(check(&rotated, &witnessed()), "checkpoint/other-operator-key");
    let both = VECTOR.replacen(lines[log_line], &format!("{}\n{other_line}", lines[log_line]), 1);
    assert_eq!(check(&both, &witnessed()), "ok");
    let one_wrong = both.replacen("MBuugj+P7", "MBuugj+P8", 1);
    assert_eq!(check(&one_wrong, &witnessed()), "checkpoint/signature");

    let other_origin = Origin::parse("donations.example/log2").unwrap();
    let other_key = VerifierKey::of_signer(
        other_origin.key_name().clone(),
        giftproof::model::note::KeyKind::Ed25519,
        &key(0),
    );
    let policy = Policy::without_witnesses();
    let other = TrustFile::new(other_origin, leaf_hash(b""), other_key, policy).unwrap();
    assert_eq!(check(VECTOR, &other), "checkpoint/origin");
}

#[test]
fn a_fork_at_the_size_that_was_seen_is_found() {
    let checkpoint = parse(VECTOR).checkpoint().checkpoint().clone();
    let seen = |size, root| {
        let note: SignedCheckpoint = Checkpoint { size, root, ..checkpoint.clone() }.sign(&key(0));
        trust("quorum none\n").with_newest(note).unwrap()
    };
    let other_root = frontier(&published_leaves()[..7]).root();
    let check = |trust: &TrustFile| checked(VECTOR, &leaf(), trust);
    assert_eq!(check(&seen(8, checkpoint.root)), "ok");
    assert_eq!(check(&seen(8, other_root)), "trust/checkpoint");
    // Of other sizes nothing follows from two checkpoints alone.
    assert_eq!(check(&seen(7, other_root)), "ok");
    assert_eq!(check(&seen(9, other_root)), "ok");
}
