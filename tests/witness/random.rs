//! Random histories of requests, right and wrong, over two branches of one log, with faults and
//! restarts, beside a naive model; and mutated requests.

use proptest::prelude::*;

use super::*;

/// Where the two branches part.
const SHARED: usize = 4;
const SIZE_MAX: usize = 12;

#[derive(Clone, Debug)]
enum Move {
    Ask { old: Option<usize>, size: usize, branch: u8, proof: Proof, signed: bool },
    Fail(Fault),
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Proof {
    True,
    Missing,
    Longer,
    WrongHash(usize),
}

fn moves() -> impl Strategy<Value = Move> {
    let proof = prop_oneof![
        6 => Just(Proof::True),
        1 => Just(Proof::Missing),
        1 => Just(Proof::Longer),
        1 => (0usize..4).prop_map(Proof::WrongHash),
    ];
    let old = prop_oneof![3 => Just(None), 1 => (0..=SIZE_MAX).prop_map(Some)];
    let ask = (old, 0..=SIZE_MAX, 0u8..2, proof, prop::bool::weighted(0.9));
    let ask = ask.prop_map(|(old, size, branch, proof, signed)| Move::Ask {
        old,
        size,
        branch,
        proof,
        signed,
    });
    prop_oneof![
        12 => ask,
        1 => prop_oneof![Just(Fault::NotKept), Just(Fault::KeptAllTheSame)].prop_map(Move::Fail),
        1 => Just(Move::Restart),
    ]
}

proptest! {
    #[test]
    fn no_history_of_requests_gets_two_histories_cosigned(
        history in prop::collection::vec(moves(), 1..60),
    ) {
        let shelf = Shared::default();
        let mut witness = open(&shelf, &[1], 100_000);
        // What was cosigned, as leaves; what the model has kept; the second of the clock.
        let mut cosigned: Vec<Vec<LeafHash>> = Vec::new();
        let mut kept: Option<Vec<LeafHash>> = None;
        let mut now = NOW;
        for step in history {
            now += 1;
            let (old, size, branch, kind, signed_by_log) = match step {
                Move::Fail(fault) => {
                    *shelf.0.fault.lock().unwrap() = Some(fault);
                    continue;
                }
                Move::Restart => {
                    witness = open(&shelf, &[1], 100_000);
                    continue;
                }
                Move::Ask { old, size, branch, proof, signed } => (old, size, branch, proof, signed),
            };
            let kept_size = kept.as_ref().map_or(0, Vec::len);
            let old = old.unwrap_or(kept_size);
            let tree = leaves(size, SHARED, branch);
            let mut request = request(old.min(size), &tree);
            request.old_size = old as u64;
            match kind {
                Proof::True => {}
                Proof::Missing => request.proof.clear(),
                Proof::Longer => request.proof.push(empty_root()),
                Proof::WrongHash(at) => {
                    if let Some(hash) = request.proof.get_mut(at) {
                        *hash = empty_root();
                    }
                }
            }
            let as_it_should_be = {
                let proof = if old == 0 || old > size { Vec::new() } else { proof(old, &tree) };
                request.proof == proof
            };
            if !signed_by_log {
                request.checkpoint = checkpoint(size as u64, root(&tree)).sign(&log_key(7));
            }
            let fault = *shelf.0.fault.lock().unwrap();
            let answer = witness.add_checkpoint(request.to_string().as_bytes(), now);

            // The rules, over leaves instead of hashes.
            let begins = kept.as_ref().is_none_or(|kept| tree.starts_with(kept));
            let expected = match () {
                () if !signed_by_log => 403,
                () if old > size => 400,
                () if old != kept_size => 409,
                () if !begins || !as_it_should_be => 422,
                () if fault.is_some() => 500,
                () => 200,
            };
            prop_assert_eq!(answer.status(), expected, "{:?}", answer.outcome);
            match expected {
                200 => {
                    prop_assert_eq!(cosigned_at(&answer, &request), now);
                    cosigned.push(tree.clone());
                    kept = Some(tree);
                }
                500 if fault == Some(Fault::KeptAllTheSame) => kept = Some(tree),
                _ => {}
            }
        }
        for one in &cosigned {
            for other in &cosigned {
                prop_assert!(one.starts_with(other) || other.starts_with(one));
            }
        }
    }

    /// A request with anything changed is refused, or says the same as before.
    #[test]
    fn no_mutated_request_is_cosigned_but_one_that_means_the_same(
        at in any::<prop::sample::Index>(),
        change in prop_oneof![
            (0u8..8).prop_map(Change::Flip),
            any::<u8>().prop_map(Change::Insert),
            Just(Change::Remove),
            Just(Change::Cut),
            any::<prop::sample::Index>().prop_map(Change::SwapLines),
            any::<prop::sample::Index>().prop_map(Change::RepeatLine),
        ],
    ) {
        let shelf = Shared::default();
        let witness = open(&shelf, &[1], 1000);
        let first = request(0, &leaves(5, 0, 0));
        prop_assert_eq!(witness.add_checkpoint(first.to_string().as_bytes(), NOW).status(), 200);
        let request = request(5, &leaves(9, 0, 0));
        let body = change.apply(request.to_string().into_bytes(), at);
        let answer = witness.add_checkpoint(&body, NOW + 1);
        if answer.status() == 200 {
            let read = AddCheckpoint::parse(&body).unwrap();
            // Only lines of others may differ, which the witness ignores.
            prop_assert_eq!(read.checkpoint.checkpoint(), request.checkpoint.checkpoint());
            prop_assert_eq!((read.old_size, &read.proof), (request.old_size, &request.proof));
            let by_log = request.checkpoint.note().signatures();
            prop_assert!(read.checkpoint.note().signatures().contains(&by_log[0]));
            prop_assert_eq!(cosigned_at(&answer, &request), NOW + 1);
        } else {
            prop_assert!((400..500).contains(&answer.status()), "{:?}", answer.outcome);
        }
    }

    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let witness = open(&Shared::default(), &[1], 1000);
        prop_assert_eq!(witness.add_checkpoint(&body, NOW).status(), 400);
        let mut after_a_true_line = b"old 0\n\n".to_vec();
        after_a_true_line.extend(&body);
        prop_assert_eq!(witness.add_checkpoint(&after_a_true_line, NOW).status(), 400);
    }
}

#[derive(Clone, Debug)]
enum Change {
    Flip(u8),
    Insert(u8),
    Remove,
    Cut,
    SwapLines(prop::sample::Index),
    RepeatLine(prop::sample::Index),
}

impl Change {
    fn apply(&self, mut body: Vec<u8>, at: prop::sample::Index) -> Vec<u8> {
        let byte = at.index(body.len());
        let mut lines: Vec<Vec<u8>> =
            body.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let line = at.index(lines.len());
        match self {
            Change::Flip(bit) => body[byte] ^= 1 << bit,
            Change::Insert(new) => body.insert(byte, *new),
            Change::Remove => {
                body.remove(byte);
            }
            Change::Cut => body.truncate(byte),
            Change::SwapLines(other) => {
                let other = other.index(lines.len());
                lines.swap(line, other);
                body = lines.concat();
            }
            Change::RepeatLine(other) => {
                let copy = lines[line].clone();
                let other = other.index(lines.len());
                lines.insert(other, copy);
                body = lines.concat();
            }
        }
        body
    }
}
