//! The witness: every answer it gives, what it keeps and when, and that no history of requests gets
//! two cosignatures of trees that do not fit.

mod folder;
#[cfg(feature = "serve")]
mod http;
mod published;
mod random;
#[cfg(feature = "serve")]
pub mod run;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Barrier, Mutex};

use ed25519_dalek::SigningKey;
use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::hash::{LeafHash, NodeHash, empty_root, node_hash};
use giftproof::model::key::SecretKey;
use giftproof::model::note::{KeyKind, KeyName, Note, NoteSignature, VerifierKey};
use giftproof::model::witness::AddCheckpoint;
use giftproof::witness::{
    Answer, CLOCK_STEP_BACK_MAX, Evidence, Keeper, MisfitKind, TrustedLogs, Witness, verifier_key,
};

pub const ORIGIN: &str = "log.example/one";
pub const NOW: u64 = 1_800_000_000;

/// MTH(D[n]) as RFC 6962 section 2.1 defines it.
pub fn root(leaves: &[LeafHash]) -> NodeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => NodeHash::from(*leaf),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

/// PROOF(m, D[n]) as RFC 6962 section 2.1.2 defines it, for 0 < m <= n.
pub fn proof(m: usize, leaves: &[LeafHash]) -> Vec<NodeHash> {
    fn subproof(m: usize, leaves: &[LeafHash], whole: bool) -> Vec<NodeHash> {
        let n = leaves.len();
        if m == n {
            return if whole { Vec::new() } else { vec![root(leaves)] };
        }
        let k = n.next_power_of_two() / 2;
        let (left, right) = leaves.split_at(k);
        let (mut proof, last) = if m <= k {
            (subproof(m, left, whole), root(right))
        } else {
            (subproof(m - k, right, false), root(left))
        };
        proof.push(last);
        proof
    }
    subproof(m, leaves, true)
}

/// Leaves of a history: those of one branch differ from those of another from `shared` on.
pub fn leaves(count: usize, shared: usize, branch: u8) -> Vec<LeafHash> {
    let leaf = |i: usize| {
        let branch = if i < shared { 0 } else { branch };
        let mut bytes = [branch; 32];
        bytes[..8].copy_from_slice(&(i as u64).to_be_bytes());
        LeafHash::from_bytes(bytes)
    };
    (0..count).map(leaf).collect()
}

pub fn origin() -> Origin {
    Origin::parse(ORIGIN).unwrap()
}

pub fn log_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn vkey(seed: u8) -> VerifierKey {
    VerifierKey::of_signer(origin().key_name().clone(), KeyKind::Ed25519, &log_key(seed))
}

pub fn logs(seeds: &[u8]) -> TrustedLogs {
    let mut logs = TrustedLogs::default();
    seeds.iter().for_each(|seed| logs.add(vkey(*seed)).unwrap());
    logs
}

pub fn witness_key() -> (KeyName, SecretKey) {
    (KeyName::parse("witness.example/w").unwrap(), SecretKey::from_seed(&[200; 32]))
}

pub fn witness_vkey() -> VerifierKey {
    let (name, key) = witness_key();
    verifier_key(&name, &key)
}

pub fn checkpoint(size: u64, root: NodeHash) -> Checkpoint {
    Checkpoint { origin: origin(), size, root }
}

pub fn signed(leaves: &[LeafHash]) -> SignedCheckpoint {
    checkpoint(leaves.len() as u64, root(leaves)).sign(&log_key(1))
}

/// A request to go from the first `old` of these leaves to all of them.
pub fn request(old: usize, leaves: &[LeafHash]) -> AddCheckpoint {
    let proof = if old == 0 { Vec::new() } else { proof(old, leaves) };
    AddCheckpoint { old_size: old as u64, proof, checkpoint: signed(leaves) }
}

/// In what keeping fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    NotKept,
    KeptAllTheSame,
}

/// A keeper in memory, with faults.
#[derive(Default)]
pub struct Shelf {
    pub notes: Mutex<BTreeMap<Origin, String>>,
    pub evidence: Mutex<Vec<(MisfitKind, String, String)>>,
    pub fault: Mutex<Option<Fault>>,
    pub writes: Mutex<usize>,
}

/// The test's half of a [`Shelf`].
#[derive(Clone, Default)]
pub struct Shared(pub Arc<Shelf>);

impl Keeper for Shared {
    fn newest(&self, origin: &Origin) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.notes.lock().unwrap().get(origin).map(|note| note.clone().into_bytes()))
    }

    fn keep_newest(&self, origin: &Origin, note: &str) -> io::Result<()> {
        *self.0.writes.lock().unwrap() += 1;
        let fault = self.0.fault.lock().unwrap().take();
        if fault != Some(Fault::NotKept) {
            self.0.notes.lock().unwrap().insert(origin.clone(), note.to_owned());
        }
        fault.map_or(Ok(()), |_| Err(io::ErrorKind::StorageFull.into()))
    }

    fn keep_evidence(&self, evidence: &Evidence<'_>) -> io::Result<Option<PathBuf>> {
        let (cosigned, offered) = (evidence.cosigned.to_owned(), evidence.offered.to_string());
        self.0.evidence.lock().unwrap().push((evidence.kind, cosigned, offered));
        Ok(Some(PathBuf::new()))
    }
}

pub fn open(shelf: &Shared, seeds: &[u8], per_minute: u32) -> Witness<Shared> {
    let (name, key) = witness_key();
    Witness::open(shelf.clone(), name, &key, logs(seeds), per_minute).unwrap()
}

/// A witness of the log of seed 1 that has cosigned the first `size` of the true leaves.
fn witness_at(size: usize) -> (Witness<Shared>, Shared) {
    let shelf = Shared::default();
    let witness = open(&shelf, &[1], 1000);
    if size > 0 {
        assert_eq!(ask(&witness, &request(0, &leaves(size, 0, 0))).status(), 200);
    }
    (witness, shelf)
}

fn ask<K: Keeper>(witness: &Witness<K>, request: &AddCheckpoint) -> Answer {
    witness.add_checkpoint(request.to_string().as_bytes(), NOW)
}

/// The answer must be a cosignature of what was asked for, by this witness; gives its time.
pub fn cosigned_at(answer: &Answer, request: &AddCheckpoint) -> u64 {
    assert_eq!((answer.status(), answer.code()), (200, "cosigned"), "{:?}", answer.outcome);
    // As a client does it: the lines of the answer below the checkpoint [C2SP tlog-witness].
    let note = format!("{}{}", request.checkpoint, answer.body());
    let note = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    let (log, witness) = (vkey(1), witness_vkey());
    let cosignatures = note.verify(&log, [&witness]).unwrap();
    assert_eq!(cosignatures.len(), 1);
    cosignatures[0].time.unwrap().unix_seconds()
}

#[test]
fn every_status_of_the_table() {
    let (witness, _) = witness_at(5);
    let true_leaves = leaves(9, 0, 0);
    let good = request(5, &true_leaves);
    let with = |change: &dyn Fn(&mut AddCheckpoint)| {
        let mut request = good.clone();
        change(&mut request);
        request.to_string()
    };
    let resigned = |checkpoint: Checkpoint, seed| {
        let signed = checkpoint.sign(&log_key(seed));
        with(&|request| request.checkpoint = signed.clone())
    };
    let text = good.to_string();
    let elsewhere = Checkpoint {
        origin: Origin::parse("other.example").unwrap(),
        ..checkpoint(9, root(&true_leaves))
    };
    let beyond = checkpoint(1 << 63, root(&true_leaves));
    let zero = |root| {
        AddCheckpoint {
            old_size: 0,
            proof: Vec::new(),
            checkpoint: checkpoint(0, root).sign(&log_key(1)),
        }
        .to_string()
    };
    let hash = root(&true_leaves);
    let rows: &[(&str, String, u16, &str)] = &[
        ("an unknown log", resigned(elsewhere, 1), 404, "cosign/unknown-log"),
        (
            "another's key under the name",
            resigned(checkpoint(9, hash), 2),
            403,
            "note/no-known-signature",
        ),
        ("a bit of the signature", flip_signature(&text), 403, "note/signature-invalid"),
        (
            "a line that is no signature",
            text.replace("\u{2014} log", "\u{2014} log log"),
            403,
            "note/signature-line",
        ),
        ("no signature", text[..text.find("\u{2014}").unwrap()].to_owned(), 400, "note/structure"),
        (
            "an extension line",
            text.replace("=\n\n\u{2014}", "=\nmore\n\n\u{2014}"),
            400,
            "checkpoint/extension",
        ),
        ("a size in words", text.replace("one\n9\n", "one\nnine\n"), 400, "checkpoint/size"),
        ("no old line", text.replacen("old 5\n", "", 1), 400, "request/old-size"),
        ("a leading zero", text.replacen("old 5", "old 05", 1), 400, "request/old-size"),
        ("a sign", text.replacen("old 5", "old +5", 1), 400, "request/old-size"),
        ("two spaces", text.replacen("old 5", "old  5", 1), 400, "request/old-size"),
        (
            "an old size above 2^64",
            text.replacen("old 5", "old 18446744073709551616", 1),
            400,
            "request/old-size",
        ),
        ("carriage returns", text.replace('\n', "\r\n"), 400, "request/old-size"),
        ("no empty line", "old 5\n".to_owned(), 400, "request/structure"),
        ("nothing", String::new(), 400, "request/old-size"),
        ("a hash without its padding", text.replacen("=\n", "\n", 1), 400, "request/proof-line"),
        (
            "64 hashes",
            with(&|request| request.proof = vec![hash; 64]),
            400,
            "request/proof-too-long",
        ),
        ("old above the size", with(&|request| request.old_size = 10), 400, "cosign/old-size"),
        ("a tree too large", resigned(beyond, 1), 400, "tree/too-large"),
        ("an empty tree with a root", zero(hash), 422, "cosign/empty-root"),
        ("an empty tree, too late", zero(empty_root()), 409, "cosign/conflict"),
        ("old below the kept size", request(3, &true_leaves).to_string(), 409, "cosign/conflict"),
        ("old above the kept size", request(7, &true_leaves).to_string(), 409, "cosign/conflict"),
        ("old 0", request(0, &true_leaves).to_string(), 409, "cosign/conflict"),
        ("no proof", with(&|request| request.proof.clear()), 422, "proof/too-short"),
        ("a proof too short", with(&|request| request.proof.truncate(2)), 422, "proof/too-short"),
        ("a proof too long", with(&|request| request.proof.push(hash)), 422, "proof/too-long"),
        ("63 hashes", with(&|request| request.proof = vec![hash; 63]), 422, "proof/too-long"),
        ("a wrong hash", with(&|request| request.proof[0] = hash), 422, "proof/old-root"),
        ("another history", request(5, &leaves(9, 3, 1)).to_string(), 422, "proof/old-root"),
        ("another root", resigned(checkpoint(9, root(&leaves(9, 5, 1))), 1), 422, "proof/root"),
        (
            "equal sizes with a proof",
            {
                let mut same = request(5, &leaves(5, 0, 0));
                same.proof.push(hash);
                same.to_string()
            },
            422,
            "proof/too-long",
        ),
        (
            "equal sizes, another root",
            request(5, &leaves(5, 3, 1)).to_string(),
            422,
            "cosign/root-differs",
        ),
    ];
    for (what, body, status, code) in rows {
        let answer = witness.add_checkpoint(body.as_bytes(), NOW);
        assert_eq!((answer.status(), answer.code()), (*status, *code), "{what}");
        let conflict = *status == 409;
        let (kind, body) = (answer.content_type(), answer.body());
        assert_eq!(kind == "text/x.tlog.size", conflict, "{what}");
        assert!(if conflict { body == "5\n" } else { body.starts_with(code) }, "{what}: {body}");
    }
    // None of these has changed anything.
    assert_eq!(cosigned_at(&ask(&witness, &good), &good), NOW);
}

/// The last bit of the signature's last full base64 group.
fn flip_signature(request: &str) -> String {
    let mut bytes = request.as_bytes().to_vec();
    let at = bytes.len() - 6;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_empty_tree_may_come_first_and_proves_nothing() {
    let (witness, _) = witness_at(0);
    let empty = request(0, &[]);
    assert_eq!(cosigned_at(&ask(&witness, &empty), &empty), NOW);
    assert_eq!(cosigned_at(&ask(&witness, &empty), &empty), NOW);
    let mut next = request(0, &leaves(3, 0, 0));
    next.proof.push(empty_root());
    assert_eq!(ask(&witness, &next).code(), "proof/too-long");
    next.proof.clear();
    assert_eq!(cosigned_at(&ask(&witness, &next), &next), NOW);
}

#[test]
fn every_pair_of_sizes_up_to_twenty() {
    for old in 0..20 {
        for new in old..20 {
            let (witness, _) = witness_at(old);
            let true_request = request(old, &leaves(new, 0, 0));
            // A tree with another leaf before the old size, or another proof, is refused.
            if old > 0 && new > old {
                let forked = request(old, &leaves(new, old - 1, 1));
                assert_eq!(ask(&witness, &forked).status(), 422, "{old} {new}");
            }
            assert_eq!(cosigned_at(&ask(&witness, &true_request), &true_request), NOW);
        }
    }
}

#[test]
fn a_log_that_changes_its_key_is_known_by_both() {
    let shelf = Shared::default();
    let witness = open(&shelf, &[1, 2], 1000);
    let tree = leaves(4, 0, 0);
    let text = checkpoint(4, root(&tree)).to_string();
    let by = |seed| NoteSignature::sign(&text, origin().key_name(), &log_key(seed));
    let with = |lines: &[u8]| {
        let note = Note::new(text.clone(), lines.iter().map(|seed| by(*seed)).collect()).unwrap();
        format!("old 0\n\n{note}")
    };
    // The old key, both, and one of them wrong.
    let half_wrong = flip_signature(&with(&[1, 2]));
    let answer = witness.add_checkpoint(half_wrong.as_bytes(), NOW);
    assert_eq!(answer.code(), "note/signature-invalid");
    assert_eq!(witness.add_checkpoint(with(&[3, 2, 1, 2]).as_bytes(), NOW).status(), 200);
    // What is shown has one line of each trusted key, and no others.
    let shown = SignedCheckpoint::parse(witness.newest(&origin()).unwrap().as_bytes()).unwrap();
    assert_eq!(shown.note().signatures().len(), 3);
    let own = witness_vkey();
    assert_eq!(shown.verify(&vkey(1), [&own]).unwrap().len(), 1);
    assert_eq!(shown.verify(&vkey(2), [&own]).unwrap().len(), 1);
    // With the new key alone, it goes on.
    let next = leaves(6, 0, 0);
    let signed = checkpoint(6, root(&next)).sign(&log_key(2));
    let request = AddCheckpoint { old_size: 4, proof: proof(4, &next), checkpoint: signed };
    assert_eq!(ask(&witness, &request).status(), 200);
}

#[test]
fn lines_in_the_witnesss_own_name_are_not_taken_over() {
    let (witness, shelf) = witness_at(0);
    let tree = leaves(2, 0, 0);
    let text = signed(&tree).note().text().to_owned();
    // A line of the right name and id, whose signature is of another text.
    let (name, key) = witness_key();
    let key = SigningKey::from_bytes(key.seed());
    let time = giftproof::model::note::CosignatureTime::new(5).unwrap();
    let forged = NoteSignature::cosign("other", time, &name, &key);
    let by_log = signed(&tree).note().signatures()[0].clone();
    let note = Note::new(text, vec![forged, by_log]).unwrap();
    let answer = witness.add_checkpoint(format!("old 0\n\n{note}").as_bytes(), NOW);
    assert_eq!(answer.status(), 200);
    let own = witness_vkey();
    let shown = SignedCheckpoint::parse(witness.newest(&origin()).unwrap().as_bytes()).unwrap();
    assert_eq!(shown.verify(&vkey(1), [&own]).unwrap().len(), 1);
    // What was kept opens again, and the log goes on.
    let again = open(&shelf, &[1], 1000);
    let next = request(2, &leaves(3, 0, 0));
    assert_eq!(cosigned_at(&ask(&again, &next), &next), NOW);
}

#[test]
fn times_are_never_zero_and_never_go_back() {
    let (witness, shelf) = witness_at(0);
    let body = |size: usize, old: usize| request(old, &leaves(size, 0, 0));
    let at = |witness: &Witness<Shared>, request: &AddCheckpoint, now| {
        let answer = witness.add_checkpoint(request.to_string().as_bytes(), now);
        (answer.status() == 200).then(|| cosigned_at(&answer, request)).ok_or(answer.code())
    };
    let first = body(1, 0);
    assert_eq!(at(&witness, &first, 0), Err("cosign/clock"));
    assert_eq!(at(&witness, &first, 1 << 63), Err("cosign/clock"));
    assert_eq!(at(&witness, &first, 1000), Ok(1000));
    // A little back, the last time is given again, to the same tree and to a larger one.
    assert_eq!(at(&witness, &body(1, 1), 1000 - CLOCK_STEP_BACK_MAX), Ok(1000));
    assert_eq!(at(&witness, &body(2, 1), 999), Ok(1000));
    assert_eq!(at(&witness, &body(2, 2), 999 - CLOCK_STEP_BACK_MAX), Err("cosign/clock"));
    assert_eq!(at(&witness, &body(2, 2), 1001), Ok(1001));
    // Nor does a restart forget.
    let again = open(&shelf, &[1], 1000);
    assert_eq!(at(&again, &body(3, 2), 1000), Ok(1001));
}

#[test]
fn asking_again_within_a_second_costs_nothing() {
    let (witness, shelf) = witness_at(3);
    let same = request(3, &leaves(3, 0, 0));
    let writes = || *shelf.0.writes.lock().unwrap();
    let before = writes();
    let first = ask(&witness, &same).body();
    assert_eq!(ask(&witness, &same).body(), first);
    assert_eq!(writes(), before, "it was cosigned at this second already");
    let later = witness.add_checkpoint(same.to_string().as_bytes(), NOW + 1);
    assert_eq!(cosigned_at(&later, &same), NOW + 1);
    assert_ne!(later.body(), first);
    assert_eq!(writes(), before + 1);
}

#[test]
fn only_larger_trees_use_up_what_a_log_is_allowed() {
    let shelf = Shared::default();
    let witness = open(&shelf, &[1], 2);
    let grow = |to: usize, now| {
        let request = request(to - 1, &leaves(to, 0, 0));
        witness.add_checkpoint(request.to_string().as_bytes(), now)
    };
    assert_eq!([grow(1, NOW).status(), grow(2, NOW).status()], [200, 200]);
    let refused = grow(3, NOW);
    assert_eq!((refused.status(), refused.code()), (429, "cosign/too-many"));
    assert_eq!(refused.retry_after_seconds(), Some(30));
    // Repeated, outdated and false requests cost the log nothing.
    for now in NOW..NOW + 30 {
        let same = request(2, &leaves(2, 0, 0)).to_string();
        assert_eq!(witness.add_checkpoint(same.as_bytes(), now).status(), 200);
        let old = request(1, &leaves(2, 0, 0)).to_string();
        assert_eq!(witness.add_checkpoint(old.as_bytes(), now).status(), 409);
    }
    assert_eq!(grow(3, NOW + 29).status(), 429);
    assert_eq!(grow(3, NOW + 30).status(), 200);
}

#[test]
fn nothing_is_cosigned_that_is_not_kept() {
    for fault in [Fault::NotKept, Fault::KeptAllTheSame] {
        let (witness, shelf) = witness_at(4);
        let shown = witness.newest(&origin());
        *shelf.0.fault.lock().unwrap() = Some(fault);
        let next = request(4, &leaves(7, 0, 0));
        let answer = ask(&witness, &next);
        assert_eq!((answer.status(), answer.code()), (500, "cosign/storage"));
        assert_eq!(answer.body(), "cosign/storage\n", "no cosignature, and nothing of the system");
        assert_eq!(witness.newest(&origin()), shown, "monitors see what was given out");
        // The next request finds out what is on disk.
        let kept = if fault == Fault::NotKept { 4 } else { 7 };
        let outdated = ask(&witness, &request(1, &leaves(9, 0, 0)));
        assert_eq!(outdated.body(), format!("{kept}\n"), "{fault:?}");
        let on = request(kept, &leaves(9, 0, 0));
        assert_eq!(cosigned_at(&ask(&witness, &on), &on), NOW);
    }
}

#[test]
fn of_many_histories_at_once_one_is_cosigned() {
    let (witness, shelf) = witness_at(3);
    let start = Barrier::new(8);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked = (0..8).map(|branch| {
            let (witness, start) = (&witness, &start);
            scope.spawn(move || {
                let request = request(3, &leaves(6 + usize::from(branch), 3, branch));
                start.wait();
                ask(witness, &request).status()
            })
        });
        let asked: Vec<_> = asked.collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
    let branch = statuses.iter().position(|status| *status == 200).unwrap();
    let kept = shelf.0.notes.lock().unwrap()[&origin()].clone();
    let expected = signed(&leaves(6 + branch, 3, branch as u8));
    assert!(kept.starts_with(expected.note().text()));
}

#[test]
fn a_forked_operator_is_caught_and_cannot_deny_it() {
    let (witness, shelf) = witness_at(8);
    // The operator's other history, of the same size: whatever old size it is sent with.
    for old in [0, 5, 8] {
        let mut forked = request(0, &leaves(8, 5, 1));
        forked.old_size = old;
        let answer = ask(&witness, &forked);
        assert_eq!(answer.status(), if old == 8 { 422 } else { 409 });
        assert_eq!(answer.misfit.unwrap().kind, MisfitKind::Fork);
    }
    for (kind, cosigned, offered) in shelf.0.evidence.lock().unwrap().drain(..) {
        assert_eq!(kind, MisfitKind::Fork);
        let notes =
            [cosigned, offered].map(|note| SignedCheckpoint::parse(note.as_bytes()).unwrap());
        for note in &notes {
            assert!(note.verify(&vkey(1), []).is_ok(), "the log has signed both");
        }
        let [one, two] = notes.map(|note| note.checkpoint().clone());
        assert_eq!((&one.origin, one.size), (&two.origin, two.size));
        assert_ne!(one.root, two.root);
    }
    // It grew since: no proof can hold.
    let grown = request(8, &leaves(11, 5, 1));
    let answer = ask(&witness, &grown);
    assert_eq!((answer.status(), answer.misfit.unwrap().kind), (422, MisfitKind::Unproven));
    let (_, cosigned, offered) = shelf.0.evidence.lock().unwrap().pop().unwrap();
    assert_eq!(offered, grown.checkpoint.to_string());
    assert!(cosigned.starts_with(signed(&leaves(8, 0, 0)).note().text()));
    // Nobody else can make evidence against it, and honest mistakes are none.
    for harmless in [
        flip_signature(&request(8, &leaves(8, 5, 1)).to_string()),
        request(3, &leaves(11, 0, 0)).to_string(),
        request(3, &leaves(5, 0, 0)).to_string(),
        request(8, &leaves(11, 0, 0)).to_string(),
    ] {
        assert!(witness.add_checkpoint(harmless.as_bytes(), NOW).misfit.is_none(), "{harmless}");
    }
    assert!(shelf.0.evidence.lock().unwrap().is_empty());
}

#[test]
fn a_witness_begins_only_with_what_is_its_own() {
    let (name, key) = witness_key();
    let open = |shelf: &Shared, key: &SecretKey, logs| {
        Witness::open(shelf.clone(), name.clone(), key, logs, 1).map_err(|error| error.code())
    };
    let (_, shelf) = witness_at(3);
    assert!(open(&shelf, &key, logs(&[1])).is_ok());
    assert_eq!(open(&shelf, &key, TrustedLogs::default()).unwrap_err(), "witness/no-logs");
    // The log's own key for a witness's.
    let log = SecretKey::from_seed(&[1; 32]);
    assert_eq!(open(&shelf, &log, logs(&[2, 1])).unwrap_err(), "witness/key-is-log");
    // Notes with another witness's cosignature, without any, of another log, and damaged ones.
    let other = SecretKey::from_seed(&[9; 32]);
    assert_eq!(open(&shelf, &other, logs(&[1])).unwrap_err(), "witness/damaged");
    let kept = shelf.0.notes.lock().unwrap()[&origin()].clone();
    let moved = kept.replacen("log.example/one\n", "log.example/two\n", 1);
    for damaged in
        [signed(&leaves(3, 0, 0)).to_string(), moved, kept[1..].to_owned(), String::new()]
    {
        shelf.0.notes.lock().unwrap().insert(origin(), damaged);
        assert_eq!(open(&shelf, &key, logs(&[1])).unwrap_err(), "witness/damaged");
    }
}
