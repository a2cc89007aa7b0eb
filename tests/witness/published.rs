//! Vectors of others: the requests with which the makers of sigsum, torchwood and sunlight test
//! their witnesses (leaf k is 2a, k, and 30 zero bytes), and one made with independent code.

use ed25519_dalek::VerifyingKey;
use giftproof::model::checkpoint::Origin;
use giftproof::model::key::SecretKey;
use giftproof::model::note::{KeyKind, KeyName, VerifierKey};
use giftproof::model::witness::{AddCheckpoint, origin_hash};
use giftproof::witness::{TrustedLogs, Witness};

use super::{NOW, Shared, witness_key};

const SIGSUM: &str =
    "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
const SIGSUM_KEY: &str = "ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f";

const LEAF_1: &str = "KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const LEAF_2: &str = "KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const LEAF_3: &str = "KgMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const LEAF_4: &str = "KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const ROOT_1: &str = "KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const ROOT_3: &str = "RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=";
const ROOT_5: &str = "QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=";
const SIGNED_1: &str =
    "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=";
const SIGNED_3: &str =
    "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=";
const SIGNED_5: &str =
    "UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=";

fn body(old: u64, proof: &[&str], origin: &str, size: &str, root: &str, signature: &str) -> String {
    let proof: String = proof.iter().map(|hash| format!("{hash}\n")).collect();
    format!("old {old}\n{proof}\n{origin}\n{size}\n{root}\n\n\u{2014} {origin} {signature}\n")
}

#[test]
fn the_published_sequence_of_requests() {
    let key: [u8; 32] = hex::decode(SIGSUM_KEY).unwrap().try_into().unwrap();
    let key = VerifyingKey::from_bytes(&key).unwrap();
    let key = VerifierKey::new(KeyName::parse(SIGSUM).unwrap(), KeyKind::Ed25519, key).unwrap();
    assert!(key.to_string().ends_with("+5202289b+Af/cLU2Y5BJNP+r3iMDC+av9eWCD0fBJVDfzAux5zxAP"));
    let mut logs = TrustedLogs::default();
    logs.add(key).unwrap();
    let (name, secret) = witness_key();
    let witness = Witness::open(Shared::default(), name, &secret, logs, 60).unwrap();

    let unknown = SIGSUM.replace("e562", "e563");
    let wrong = SIGNED_3.replace("x6go=", "x6gx=");
    let wrong_hash = LEAF_2.replace("AAA=", "ABA=");
    let three = |old, proof: &[&str]| body(old, proof, SIGSUM, "3", ROOT_3, SIGNED_3);
    let five = |old, proof: &[&str]| body(old, proof, SIGSUM, "5", ROOT_5, SIGNED_5);
    let to_five = [LEAF_2, LEAF_3, "wgiIFdZfYNv6WU1OllBKsWnLYIS/DBMqt8Uh/S4OukE=", LEAF_4];
    let stale = [LEAF_1, "+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=", LEAF_4];
    let unsigned = format!("old 5\n\n{SIGSUM}\n5\n{ROOT_5}\n");
    let in_words = "UgIom4JTC2MerrFcJ5xDcWHzRPVB6zzGBIw4OFqcKDflqjH4q4xY5vMxUxyczvdIlEwFYf7ivQU4KoWan2bLmzLx0go=";
    for (what, body, status, answer) in [
        ("first", body(0, &[], SIGSUM, "1", ROOT_1, SIGNED_1), 200, "\u{2014} witness.example/w "),
        ("signature", body(1, &[LEAF_1, LEAF_2], SIGSUM, "3", ROOT_3, &wrong), 403, ""),
        ("unknown", body(1, &[LEAF_1, LEAF_2], &unknown, "3", ROOT_3, SIGNED_3), 404, ""),
        ("no proof", three(1, &[]), 422, ""),
        ("wrong proof", three(1, &[LEAF_1, &wrong_hash]), 422, ""),
        ("to 3", three(1, &[LEAF_1, LEAF_2]), 200, "\u{2014} witness.example/w "),
        ("stale", five(1, &stale), 409, "3\n"),
        ("to 5", five(3, &to_five), 200, "\u{2014} witness.example/w "),
        ("from 0", five(0, &[]), 409, "5\n"),
        ("unsigned", unsigned, 400, ""),
        ("five", body(5, &[], SIGSUM, "five", ROOT_1, in_words), 400, ""),
    ] {
        let said = witness.add_checkpoint(body.as_bytes(), NOW);
        assert_eq!(said.status(), status, "{what}: {}", said.body());
        assert!(said.body().starts_with(answer), "{what}: {}", said.body());
    }
}

/// Log seed 00..1f, witness seed 20..3f, the eight leaves of transparency-dev/merkle; the lines are
/// from independent code.
#[test]
fn the_cosignature_of_the_end_to_end_vector() {
    let (log, name) = ("donations.example/log1", "witness.example/w1");
    let log_vkey = format!("{log}+301bae82+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4");
    let note = format!(
        "{log}\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n\u{2014} {log} \
         MBuugj+P7ucy6pkcNWeSr40tA9hrVQcQj/Z3t7xaHanwW1WKfrAC4apnVIbULICpwuyT9QrKvX+f8iT0yDo7HLqZKgo=\n"
    );
    let line = format!(
        "\u{2014} {name} IDJKvgAAAABlU/EA3Ne11g++P1beOf21CSpwydgodLBaLOqVPONg9sZJFxn9jSYLq7+dPx/x5xXcT1B0H5Vd9TISR05E0Ie0n17wCQ==\n"
    );
    let body = format!(
        "old 5\n\
         vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n\
         QnGia+DYqE8L1UyMMC58s6O10fpngKQLzOKHNHfatlg=\n\
         yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=\n\
         037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=\n\n{note}"
    );
    let seed = |from: u8| -> [u8; 32] { std::array::from_fn(|i| from + i as u8) };
    let mut logs = TrustedLogs::default();
    logs.add(VerifierKey::parse(&log_vkey).unwrap()).unwrap();
    let secret = SecretKey::from_seed(&seed(0x20));
    let name = KeyName::parse(name).unwrap();
    let witness = Witness::open(Shared::default(), name, &secret, logs, 60).unwrap();
    let vkey = witness.verifier_key().to_string();
    assert_eq!(vkey, "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X");

    // The checkpoint at 5 has the vector's root and our signature.
    let root = *b"\x4e\x3b\xbb\x1f\x7b\x47\x8d\xcf\xe7\x1f\xb6\x31\x63\x15\x19\xa3\xbc\xa1\x2c\x9a\xef\xca\x16\x12\xbf\xce\x4c\x13\xa8\x62\x64\xd4";
    let five = giftproof::model::checkpoint::Checkpoint {
        origin: Origin::parse(log).unwrap(),
        size: 5,
        root: giftproof::model::hash::NodeHash::from_bytes(root),
    };
    let five = five.sign(&ed25519_dalek::SigningKey::from_bytes(&seed(0)));
    let five = AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint: five };
    assert_eq!(witness.add_checkpoint(five.to_string().as_bytes(), 1_600_000_000).status(), 200);
    let answer = witness.add_checkpoint(body.as_bytes(), 1_700_000_000);
    assert_eq!((answer.status(), answer.body()), (200, line.clone()));
    assert_eq!(witness.newest(&Origin::parse(log).unwrap()).unwrap(), note + &line);
    // The bytes of a request have one reading.
    assert_eq!(AddCheckpoint::parse(body.as_bytes()).unwrap().to_string(), body);
}

#[test]
fn the_name_under_which_monitors_find_a_log() {
    // By sha256sum, as in the test data of sunlight.
    let expected = "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706";
    assert_eq!(origin_hash(&Origin::parse("rome2026h1.example.org").unwrap()), expected);
}
