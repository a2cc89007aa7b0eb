//! Fraud proofs: a dishonest operator is shown to be one, and no honest one can be, however its
//! own signed bytes are twisted.

use giftproof::bundle::LogSource;
use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::date::UnixMs;
use giftproof::model::event::*;
use giftproof::model::fraud::{Deed, Fraud, FraudFault, Head, Shown};
use giftproof::model::hash::{LeafHash, NodeHash, leaf_hash, node_hash};
use giftproof::model::lodged::Lodged;
use giftproof::model::merkle::{
    TileNodes, consistency_roots, inclusion_proof, whole_consistency_proof,
};
use giftproof::model::note::{CosignatureTime, KeyKind, KeyName, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::trust::TrustFile;
use giftproof::verify::fraud::{Comparison, Evidence, Unclear, compare};

use crate::forge::*;
use crate::util::*;

mod commands;
mod seals;

pub use seals::{lodged_samples, story};

/// The entries of the cast's enrolment: more than eight.
fn honest() -> Forge {
    Forge::of(&World::new())
}

/// The same log, but from this index on its clock is one second behind.
fn fork(forge: &Forge, at: usize) -> Forge {
    let mut fork = forge.clone();
    fork.items[at..].iter_mut().for_each(|item| item.recorded_at.0 += 1000);
    fork
}

/// MTH as RFC 6962 defines it.
fn mth(leaves: &[LeafHash]) -> NodeHash {
    if let [leaf] = leaves {
        return (*leaf).into();
    }
    let mut k = 1;
    while k * 2 < leaves.len() {
        k *= 2;
    }
    node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
}

fn leaves(entries: &[Vec<u8>]) -> Vec<LeafHash> {
    entries.iter().map(|entry| leaf_hash(entry)).collect()
}

fn nodes(entries: &[Vec<u8>]) -> impl giftproof::model::merkle::NodeSource<Error: std::fmt::Debug> {
    let leaves: Vec<NodeHash> = leaves(entries).into_iter().map(NodeHash::from).collect();
    TileNodes::new(move |_, _| Ok::<_, ()>(leaves.clone()))
}

/// The operator's checkpoint over these entries.
fn note(entries: &[Vec<u8>]) -> SignedCheckpoint {
    Files::of(entries, "operator").signed_checkpoint()
}

fn head(entries: &[Vec<u8>]) -> Head {
    Head::by_first_key(note(entries))
}

fn shown(entries: &[Vec<u8>], index: usize) -> Shown {
    let path = inclusion_proof(index as u64, entries.len() as u64, &nodes(entries)).unwrap();
    Shown { entry: entries[index].clone(), path }
}

fn trees(older: &[Vec<u8>], newer: &[Vec<u8>]) -> Fraud {
    let (m, n) = (older.len() as u64, newer.len() as u64);
    let whole = || whole_consistency_proof(m, n, &nodes(newer)).unwrap();
    let hashes = if m < n { whole() } else { Vec::new() };
    Fraud::Trees { older: Box::new(head(older)), newer: Box::new(head(newer)), hashes }
}

fn entries(index: usize, older: &[Vec<u8>], newer: &[Vec<u8>]) -> Fraud {
    let side = |entries: &[Vec<u8>]| Box::new((head(entries), shown(entries, index)));
    Fraud::Entries { index: index as u64, older: side(older), newer: side(newer) }
}

/// A proof of every deed, all against the operator of one ledger.
pub fn samples() -> Vec<(&'static str, Fraud)> {
    let log = honest().entries();
    let forked = fork(&honest(), 3).entries();
    let mut samples = vec![
        ("two-trees", trees(&log[..5], &forked)),
        ("two-entries", entries(4, &log[..6], &forked)),
    ];
    samples.extend(seals::samples());
    samples
}

/// The code with which a proof is refused. What is refused is refused as bytes too.
fn refused(fraud: &Fraud, trust: &TrustFile) -> &'static str {
    let parsed = Fraud::parse(&fraud.to_bytes()).unwrap();
    assert_eq!(parsed, *fraud);
    fraud.check(trust).unwrap_err().code()
}

#[test]
fn both_roots_of_a_whole_consistency_proof_are_those_of_the_definition() {
    let entries = honest().entries();
    let leaves = leaves(&entries);
    for n in 1..=leaves.len() {
        for m in 1..=n {
            let proof = whole_consistency_proof(m as u64, n as u64, &nodes(&entries[..n])).unwrap();
            let roots = (mth(&leaves[..m]), mth(&leaves[..n]));
            if m < n {
                assert_eq!(consistency_roots(m as u64, n as u64, &proof).unwrap(), roots);
            }
            let long = [&proof[..], &[roots.0]].concat();
            let refused = |proof: &[NodeHash]| {
                consistency_roots(m as u64, n as u64, proof).map_err(|error| error.code())
            };
            if m < n {
                assert_eq!(refused(&long), Err("proof/too-long"));
                assert_eq!(refused(&proof[..proof.len() - 1]), Err("proof/too-short"));
            }
            assert_eq!(refused(&[]), Err("proof/too-short"));
        }
    }
}

/// At every pair of sizes, and wherever the logs part: fraud is found if and only if one log is not
/// the beginning of the other, and what is found holds.
#[test]
fn two_logs_are_fraud_if_and_only_if_they_part() {
    let forge = honest();
    let trust = forge.trust();
    let honest = forge.entries();
    let mut found = 0;
    for parted in 1..=honest.len() {
        let forked = fork(&forge, parted).entries();
        for m in 1..=honest.len() {
            for n in 1..=honest.len() {
                let (one, other) = (Files::of(&honest[..m], "operator"), &forked[..n]);
                let other = Files::of(other, "operator");
                let of = |files: &'_ Files| files.signed_checkpoint();
                let one = Evidence { note: of(&one), source: Some(&one as &dyn LogSource) };
                let other = Evidence { note: of(&other), source: Some(&other as &dyn LogSource) };
                let first = honest[..m].iter().zip(&forked[..n]).position(|(a, b)| a != b);
                match (compare(&one, &other, &trust).unwrap(), first) {
                    (Comparison::Fit, None) => {}
                    (Comparison::Fraud(fraud), Some(first)) => {
                        let parsed = Fraud::parse(&fraud.to_bytes()).unwrap();
                        assert_eq!(parsed, *fraud);
                        let accusation = parsed.check(&trust).unwrap();
                        assert!(matches!(accusation.deed, Deed::TwoEntries { index, .. }
                                if index == first as u64),);
                        assert_eq!(accusation.heads[0].key, key("operator"));
                        found += 1;
                    }
                    (comparison, first) => panic!("{m}, {n}, {first:?}: {comparison:?}"),
                }
                // Of the smaller tree, its checkpoint is enough.
                let (older, newer) = if m <= n { (&one, &other) } else { (&other, &one) };
                let older = Evidence { note: older.note.clone(), source: None };
                match (compare(newer, &older, &trust).unwrap(), first) {
                    (Comparison::Fit, None) => {}
                    (Comparison::Fraud(fraud), Some(_)) => {
                        let accusation = fraud.check(&trust).unwrap();
                        assert!(matches!(accusation.deed, Deed::TwoTrees { .. }));
                    }
                    (comparison, first) => panic!("{m}, {n}, {first:?}: {comparison:?}"),
                }
            }
        }
    }
    assert!(found > 100, "{found}");
}

#[test]
fn what_cannot_be_told_is_not_told() {
    let forge = honest();
    let trust = forge.trust();
    let honest = forge.entries();
    let forked = fork(&forge, 3).entries();
    let bare = |entries: &[Vec<u8>]| Evidence { note: note(entries), source: None };
    let unclear = |one: &Evidence, other: &Evidence| match compare(one, other, &trust).unwrap() {
        Comparison::Unclear(unclear) => unclear,
        other => panic!("{other:?}"),
    };
    // Without the larger tree's files, nothing tells what it has at the smaller size.
    assert_eq!(unclear(&bare(&honest[..4]), &bare(&forked)), Unclear::Files);
    // Files that are not those of the checkpoint show nothing about it.
    let files = Files::of(&honest, "operator");
    let other = Evidence { note: note(&forked), source: Some(&files) };
    assert_eq!(unclear(&bare(&honest[..4]), &other), Unclear::Files);
    let mut cut = Files::of(&forked, "operator");
    cut.tiles.clear();
    let other = Evidence { note: note(&forked), source: Some(&cut) };
    assert_eq!(unclear(&bare(&honest[..4]), &other), Unclear::Files);
    // A stranger's checkpoint accuses nobody.
    let stranger = Files::of(&forked, "stranger");
    let other = Evidence { note: stranger.signed_checkpoint(), source: Some(&stranger) };
    assert_eq!(unclear(&bare(&honest), &other), Unclear::Key);
    // Of one size, two checkpoints are enough.
    assert!(matches!(compare(&bare(&honest), &bare(&forked), &trust), Ok(Comparison::Fraud(_))));
}

/// Whatever an accuser picks out of an honest operator's trees and puts together.
#[test]
fn an_honest_operator_cannot_be_accused_of_two_trees() {
    let forge = honest();
    let trust = forge.trust();
    let log = forge.entries();
    let foreign: Vec<NodeHash> =
        leaves(&fork(&forge, 0).entries()).into_iter().map(NodeHash::from).collect();
    for n in 1..=log.len() {
        for m in 1..=n {
            let (older, newer) = (&log[..m], &log[..n]);
            let Fraud::Trees { hashes, .. } = trees(older, newer) else { unreachable!() };
            let with = |hashes: Vec<NodeHash>| Fraud::Trees {
                older: Box::new(head(older)),
                newer: Box::new(head(newer)),
                hashes,
            };
            assert_eq!(refused(&with(hashes.clone()), &trust), "fraud/fits");
            if m == n {
                continue;
            }
            // The proof that a reader who has the old root is given, which may lack the first hash.
            for at in 0..hashes.len() {
                let mut twisted = hashes.clone();
                twisted.remove(at);
                assert_eq!(refused(&with(twisted), &trust), "fraud/path");
                let mut twisted = hashes.clone();
                twisted.insert(at, foreign[at]);
                assert_eq!(refused(&with(twisted), &trust), "fraud/path");
                for other in [foreign[at], mth(&leaves(older)), mth(&leaves(newer))] {
                    let mut twisted = hashes.clone();
                    twisted[at] = other;
                    let fits = twisted == hashes;
                    let code = if fits { "fraud/fits" } else { "fraud/path" };
                    assert_eq!(refused(&with(twisted), &trust), code);
                }
            }
            // The proof of another pair of sizes.
            for other in 1..n {
                let of_other = whole_consistency_proof(other as u64, n as u64, &nodes(newer));
                let code = refused(&with(of_other.unwrap()), &trust);
                assert!(["fraud/fits", "fraud/path"].contains(&code));
            }
            let (older, newer) = (Box::new(head(newer)), Box::new(head(older)));
            let reversed = Fraud::Trees { older, newer, hashes };
            assert_eq!(refused(&reversed, &trust), "fraud/order");
        }
    }
}

#[test]
fn an_honest_operator_cannot_be_accused_of_two_entries() {
    let forge = honest();
    let trust = forge.trust();
    let log = forge.entries();
    let n = log.len();
    for m in 1..=n {
        for index in 0..m {
            let code = refused(&entries(index, &log[..m], &log), &trust);
            assert_eq!(code, "fraud/fits");
            for other in (0..n).filter(|other| *other != index) {
                let fraud = Fraud::Entries {
                    index: index as u64,
                    older: Box::new((head(&log[..m]), shown(&log[..m], index))),
                    newer: Box::new((head(&log), shown(&log, other))),
                };
                let code = if m == n { "fraud/fits" } else { "fraud/path" };
                assert_eq!(refused(&fraud, &trust), code);
            }
        }
    }
    // An inner node is no leaf: its two halves are no entry.
    let halves = [leaf_hash(&log[0]), leaf_hash(&log[1])].map(|leaf| *leaf.as_bytes()).concat();
    let path = shown(&log[..2], 0).path;
    let inner = Fraud::Entries {
        index: 0,
        older: Box::new((head(&log[..1]), shown(&log[..1], 0))),
        newer: Box::new((head(&log[..2]), Shown { entry: halves, path })),
    };
    assert_eq!(refused(&inner, &trust), "fraud/path");
}

#[test]
fn only_what_the_operator_signed_accuses_it() {
    let forge = honest();
    let trust = forge.trust();
    let log = forge.entries();
    let forked = fork(&forge, 2).entries();
    let sound = trees(&log[..5], &forked);
    assert!(sound.check(&trust).is_ok());
    let Fraud::Trees { older, hashes, .. } = &sound else { unreachable!() };
    let with = |newer: SignedCheckpoint| Fraud::Trees {
        older: older.clone(),
        newer: Box::new(Head::by_first_key(newer)),
        hashes: hashes.clone(),
    };
    let root = mth(&leaves(&forked));
    for signer in ["stranger", "registrar-1", "hospital-a"] {
        assert_eq!(
            refused(&with(Files::of(&forked, signer).signed_checkpoint()), &trust),
            "fraud/checkpoint"
        );
    }
    // A checkpoint of another ledger that the same operator runs.
    let origin = Origin::parse("ledger.example/other").unwrap();
    let other = Checkpoint { origin, size: forked.len() as u64, root };
    assert_eq!(refused(&with(other.sign(&note_key("operator"))), &trust), "fraud/checkpoint");
    // The operator's signature under another root, or another size.
    let honest = note(&log).to_string();
    for (from, to) in [("\n12\n", "\n11\n"), ("ledger.example", "ledger.examplf")] {
        if honest.contains(from) {
            let twisted = honest.replacen(from, to, 1);
            let twisted = SignedCheckpoint::parse(twisted.as_bytes()).unwrap();
            assert_eq!(refused(&with(twisted), &trust), "fraud/checkpoint");
        }
    }
    // Somebody who trusts another ledger learns nothing.
    let other = Forge::of(&World::under(Rules { inclusion_seconds: 1, ..rules() })).trust();
    assert!(sound.check(&other).is_ok(), "the operator's key is what counts, and it is the same");
}

const TWO: [(Capacity, &str); 2] =
    [(Capacity::Registrar, "registrar-1"), (Capacity::Registrar, "registrar-3")];

fn rotation(world: &World, to: &str, by: &[(Capacity, &str)]) -> giftproof::model::draft::Draft {
    world.draft(OperatorRotated { key: key(to) }, by).signer(
        Capacity::NewKey,
        Some(&handle("operator")),
        key(to),
    )
}

/// A log in which the operator's key and a registrar changed, and the indexes of its root entries.
fn rotated() -> (Forge, Vec<usize>) {
    let mut world = World::new();
    world.accept(world.draft(RulesChanged { rules: rules() }, &TWO));
    let mut registrars = REGISTRARS.map(identity).to_vec();
    registrars[2] = Identity { key: key("new-3"), ..identity("registrar-3") };
    let changed = RegistrarsChanged {
        registrars: giftproof::model::encoding::List::new(registrars).unwrap(),
        threshold: 2,
    };
    let draft = world.draft(changed, &TWO);
    world.accept(draft.signer(Capacity::NewKey, Some(&handle("registrar-3")), key("new-3")));
    let draft = world
        .draft(OperatorRotated { key: key("operator-2") }, &TWO[..1])
        .signer(Capacity::Registrar, Some(&handle("registrar-3")), key("new-3"))
        .signer(Capacity::NewKey, Some(&handle("operator")), key("operator-2"));
    world.accept(draft);
    let size = world.state.size as usize;
    world.enrol("late", Role::Carrier, 1);
    world.enrol("later", Role::Carrier, 1);
    (Forge::of(&world), vec![0, size - 3, size - 2, size - 1])
}

fn rotated_head(log: &[Vec<u8>], root: &[usize], signer: &str) -> Head {
    Head {
        note: Files::of(log, signer).signed_checkpoint(),
        root: root.iter().map(|index| log[*index].clone()).collect(),
        path: shown(log, *root.last().unwrap()).path,
    }
}

#[test]
fn a_key_that_registrars_made_the_operators_is_followed() {
    let (forge, root) = rotated();
    let trust = forge.trust();
    let log = forge.entries();
    let forked = fork(&forge, log.len() - 1).entries();
    let files = [&log, &forked].map(|entries| Files::of(entries, "operator-2"));
    let [one, other] = [&files[0], &files[1]]
        .map(|files| Evidence { note: files.signed_checkpoint(), source: Some(files) });
    let Comparison::Fraud(fraud) = compare(&one, &other, &trust).unwrap() else { panic!() };
    let accusation = fraud.check(&trust).unwrap();
    for head in &accusation.heads {
        assert_eq!((head.key, head.key_since), (key("operator-2"), Some(root[3] as u64)));
    }
    // With an old checkpoint, of the first key.
    let first = Evidence { note: note(&fork(&forge, 4).entries()[..8]), source: None };
    let Comparison::Fraud(fraud) = compare(&first, &other, &trust).unwrap() else { panic!() };
    let accusation = fraud.check(&trust).unwrap();
    assert_eq!(accusation.heads[0].key, key("operator"));
    assert_eq!(accusation.heads[1].key, key("operator-2"));
    // A log in which the key never changed, signed with the old one, is one that deceives.
    let old = Evidence { note: note(&forked), source: None };
    let Comparison::Fraud(fraud) = compare(&old, &one, &trust).unwrap() else { panic!() };
    let mut keys: Vec<_> = fraud.check(&trust).unwrap().heads.iter().map(|head| head.key).collect();
    keys.sort();
    let mut both = vec![key("operator"), key("operator-2")];
    both.sort();
    assert_eq!(keys, both);
    let bare = Evidence { note: one.note.clone(), source: None };
    let told = compare(&bare, &other, &trust).unwrap();
    assert!(matches!(told, Comparison::Unclear(Unclear::Key)), "{told:?}");
}

#[test]
fn a_key_is_not_made_the_operators_by_whoever_accuses() {
    let (forge, root) = rotated();
    let trust = forge.trust();
    let log = forge.entries();
    let sound = rotated_head(&log, &root, "operator-2");
    assert!(sound.check(&trust).is_ok());
    let fault = |head: Head| {
        let fault = head.check(&trust).unwrap_err();
        assert!(matches!(fault, FraudFault::Keys(_)), "{fault:?}");
        fault.detail().unwrap()
    };
    let edit = |edit: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut head = sound.clone();
        edit(&mut head.root);
        fault(head)
    };
    for at in 1..root.len() - 1 {
        assert_eq!(edit(&|root| drop(root.remove(at))), "links/mismatch");
    }
    assert_eq!(edit(&|root| drop(root.remove(0))), "trust/genesis");
    assert_eq!(edit(&|root| drop(root.pop())), "encoding/second-spelling");
    assert_eq!(edit(&|root| root.swap(1, 2)), "links/mismatch");
    assert_eq!(edit(&|root| root.push(root[3].clone())), "links/mismatch");
    assert_eq!(edit(&|root| root.push(log[log.len() - 1].clone())), "links/mismatch");
    assert_eq!(edit(&|root| root[3].truncate(300)), "encoding/truncated");
    assert_eq!(edit(&|root| root[3][400] ^= 1), "signature/equation");

    // A tree of the accuser's own: whoever signs there, it takes k of the registrars.
    let mut world = World::new();
    let as_registrars = [(Capacity::Registrar, "registrar-1")];
    for (draft, code) in [
        (rotation(&world, "mine", &as_registrars), "registrars/too-few"),
        (rotation(&world, "mine", &[(Capacity::Operator, "operator")]), "registrars/too-few"),
        (rotation(&world, "mine", &[]), "registrars/too-few"),
        (
            rotation(&world, "mine", &TWO[..1]).signer(
                Capacity::Registrar,
                Some(&handle("registrar-3")),
                key("mine too"),
            ),
            "key/not-of-party",
        ),
    ] {
        let mut forge = Forge::of(&world);
        let at = forge.push(&draft);
        let log = forge.entries();
        assert_eq!(fault(rotated_head(&log, &[0, at], "mine")), code);
    }
    // With k of them it is theirs to answer for: they can replace the operator.
    world.accept(rotation(&world, "mine", &TWO));
    let log = Forge::of(&world).entries();
    assert!(rotated_head(&log, &[0, log.len() - 1], "mine").check(&trust).is_ok());
    // But not one that the tree does not have, nor in the name of the key that came.
    let mut head = rotated_head(&log, &[0, log.len() - 1], "mine");
    head.note = note(&log[..log.len() - 1]);
    assert!(matches!(head.check(&trust), Err(FraudFault::Path("proof/index-outside"))));
    let head = rotated_head(&log, &[0, log.len() - 1], "operator");
    assert!(matches!(head.check(&trust), Err(FraudFault::Checkpoint(_))));
    // Nor entries that are not needed.
    let mut head = self::head(&log);
    head.path = shown(&log, 1).path;
    assert_eq!(fault(head), "encoding/second-spelling");
}

#[test]
fn a_witness_that_cosigned_both_is_named() {
    let forge = honest();
    let name = KeyName::parse("witness.example/w").unwrap();
    let vkey = |name: &str, of: &str| {
        let name = KeyName::parse(name).unwrap();
        VerifierKey::of_signer(name, KeyKind::Cosignature, &note_key(of))
    };
    let policy = format!(
        "witness liar {}\nwitness honest {}\nquorum none\n",
        vkey("witness.example/w", "liar"),
        vkey("witness.example/h", "honest"),
    );
    let trust = forge.trust_with(Policy::parse(policy.as_bytes()).unwrap());
    let log = forge.entries();
    let forked = fork(&forge, 2).entries();
    let cosign = |note: SignedCheckpoint, seconds: u64, name: &KeyName, of: &str| {
        note.cosign(CosignatureTime::new(seconds).unwrap(), name, &note_key(of)).unwrap()
    };
    let one = cosign(note(&log), 1_767_225_600, &name, "liar");
    let one = cosign(one, 1_767_225_601, &KeyName::parse("witness.example/h").unwrap(), "honest");
    // Somebody else's line under the honest witness's name and key id does not shield the operator.
    let mut other = cosign(note(&forked), 1_767_225_602, &name, "liar").to_string();
    let line = one.to_string().lines().last().unwrap().to_owned();
    other += &format!("{line}\n");
    let other = SignedCheckpoint::parse(other.as_bytes()).unwrap();
    let evidence = |note| Evidence { note, source: None };
    let Comparison::Fraud(fraud) = compare(&evidence(one), &evidence(other), &trust).unwrap()
    else {
        panic!()
    };
    let accusation = fraud.check(&trust).unwrap();
    assert_eq!(accusation.witnesses(), ["liar"]);
    let mut times: Vec<u64> =
        accusation.heads.iter().flat_map(|head| &head.cosigned).map(|(_, time)| *time).collect();
    times.sort();
    assert_eq!(times, [1_767_225_600, 1_767_225_601, 1_767_225_602]);
}

/// Every truncation, every single-bit flip, bytes that follow, and every length made large.
#[test]
fn hostile_bytes_never_hold() {
    let forge = honest();
    let trust = forge.trust();
    let log = forge.entries();
    let forked = fork(&forge, 2).entries();
    for fraud in [trees(&log[..5], &forked[..7]), entries(2, &log[..3], &forked[..4])] {
        let bytes = fraud.to_bytes();
        let judge = |bytes: &[u8]| Fraud::parse(bytes).and_then(|fraud| fraud.check(&trust));
        assert!(judge(&bytes).is_ok());
        for len in 0..bytes.len() {
            assert_eq!(judge(&bytes[..len]).unwrap_err().code(), "fraud/malformed", "{len}");
        }
        assert_eq!(judge(&[&bytes[..], &[0]].concat()).unwrap_err().code(), "fraud/malformed");
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let fault = judge(&flipped).unwrap_err();
                assert!(fault.code().starts_with("fraud/"), "byte {at}, bit {bit}: {fault}");
            }
            let mut large = bytes.clone();
            let end = large.len().min(at + 4);
            large[at..end].fill(0xff);
            assert!(judge(&large).is_err(), "{at}");
        }
    }
    let long = vec![0; giftproof::model::fraud::FRAUD_LEN_MAX + 1];
    assert_eq!(Fraud::parse(&long).unwrap_err().detail(), Some("encoding/too-long"));
}

/// A moment after the first of the log.
fn after(seconds: u64) -> UnixMs {
    UnixMs(START_MS + seconds * 1000)
}
