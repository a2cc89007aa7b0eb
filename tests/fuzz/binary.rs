//! Binary files: proofs, fraud proofs, lodged notes, paths in seals' tables, what is kept to spare
//! deriving it again, and what a store writes. Each input is tried as every format; a file that
//! proves something proves what the keys' owners signed, which no input can change.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use giftproof::model::entry::Place;
use giftproof::model::fraud::Fraud;
use giftproof::model::hash::{Digest32, HASH_LEN, LeafHash, SubjectHash};
use giftproof::model::lodged::Lodged;
use giftproof::model::proof_file::ProofFile;
use giftproof::model::seal::{Row, Table, TableProof, TableRoot};
use giftproof::model::state::State;
use giftproof::model::trust::TrustFile;
use giftproof::verify::AuditState;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::store;
use crate::forge::Forge;
use crate::util::World;

pub fn run(bytes: &[u8]) {
    proof(bytes);
    fraud(bytes);
    if let Ok(lodged) = Lodged::parse(bytes) {
        assert_eq!(lodged.to_bytes(), bytes);
    }
    audit_state(bytes);
    path(bytes);
    store::run(bytes);
}

/// The vectors whose proofs are the seeds.
const PROOFS: [&str; 4] = ["audited", "complete", "no-gift", "witnessed"];

fn proof(bytes: &[u8]) {
    let Ok(proof) = ProofFile::parse(bytes) else { return };
    assert_eq!(proof.to_bytes(), bytes);
    /// Whom to trust about each vector, and the checkpoint that was signed there.
    static VECTORS: LazyLock<Vec<(TrustFile, String)>> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let folder = folder.map(|above| above.join("fixtures/proofs")).find(|path| path.exists());
        let folder = folder.expect("the fixtures are beside the tests");
        let vector = |name: &str| {
            let vector = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
            let vector: Value = serde_json::from_slice(&vector).unwrap();
            let trust = TrustFile::parse(vector["trust"].as_str().unwrap().as_bytes()).unwrap();
            let proof = hex::decode(vector["proof"].as_str().unwrap()).unwrap();
            let proven = ProofFile::parse(&proof).unwrap().check(&trust).unwrap();
            (trust, proven.checkpoint.checkpoint().to_string())
        };
        PROOFS.map(vector).into()
    });
    let signed: BTreeSet<&String> = VECTORS.iter().map(|(_, checkpoint)| checkpoint).collect();
    for (trust, _) in &*VECTORS {
        if let Ok(proven) = proof.clone().check(trust) {
            assert!(signed.contains(&proven.checkpoint.checkpoint().to_string()));
            proven.level();
            proven.gift();
        }
    }
}

fn fraud(bytes: &[u8]) {
    static TRUST: LazyLock<TrustFile> = LazyLock::new(|| Forge::of(&World::new()).trust());
    let Ok(fraud) = Fraud::parse(bytes) else { return };
    assert_eq!(fraud.to_bytes(), bytes);
    if let Ok(accusation) = fraud.check(&TRUST) {
        serde_json::to_string(&accusation).unwrap();
    }
}

/// A state whose bytes were changed before they were hashed: it is refused, or can be used.
fn audit_state(bytes: &[u8]) {
    if !AuditState::is_state(bytes) {
        return;
    }
    let content = &bytes[..bytes.len().saturating_sub(HASH_LEN)];
    let hash: [u8; HASH_LEN] = Sha256::digest(content).into();
    let whole = [content, &hash].concat();
    if let Ok(state) = AuditState::open(&whole, &Digest32::from_bytes(hash)) {
        look_through(state.state());
    }
}

fn look_through(state: &State) {
    for gift in state.gifts.iter() {
        state.gifts.get(&gift.id).unwrap();
    }
    state.clone().seal_statement();
}

/// A table of 16 subjects, of which every second has a row.
static TABLE: LazyLock<(Table, TableRoot)> = LazyLock::new(|| {
    let mut table = Table::new();
    for number in (0..16).step_by(2) {
        table.insert(subject(number), row(number));
    }
    table.seal();
    let root = table.sealed().unwrap();
    (table, root)
});

fn subject(number: u8) -> SubjectHash {
    SubjectHash::from_bytes(Sha256::digest([number]).into())
}

fn row(number: u8) -> Row {
    let leaf = LeafHash::from_bytes([number; HASH_LEN]);
    Row { number: u32::from(number) + 1, place: Place { index: u64::from(number), leaf } }
}

/// A count, for each claim the numbers of its subject and row (255 for none), and the path: the
/// table has the rows that a path shows under its root, and lacks those that it shows to be absent.
fn path(bytes: &[u8]) {
    let Some((&count, bytes)) = bytes.split_first().filter(|(count, _)| **count <= 8) else {
        return;
    };
    let Some((claimed, path)) = bytes.split_at_checked(2 * usize::from(count)) else { return };
    let claim = |claim: &[u8]| {
        let stated = (claim[1] != u8::MAX).then(|| row(claim[1]));
        (subject(claim[0] % 16), stated)
    };
    let claims: Vec<_> = claimed.chunks_exact(2).map(claim).collect();
    let (table, root) = &*TABLE;
    let path = TableProof::from_bytes(path.to_vec());
    if path.verify(&claims, root).is_ok() {
        assert!(claims.iter().all(|(subject, row)| table.get(subject) == *row));
        let subjects: Vec<_> = claims.iter().map(|(subject, _)| *subject).collect();
        assert_eq!(table.prove(&subjects).as_bytes(), path.as_bytes(), "a second spelling");
        for (subject, row) in &claims {
            path.narrow(&claims, subject).unwrap().verify(&[(*subject, *row)], root).unwrap();
        }
    }
}

/// Paths that hold, with what they are about.
#[cfg(test)]
pub fn paths() -> Vec<(&'static str, Vec<u8>)> {
    let made = |numbers: &[u8]| {
        let mut bytes = vec![numbers.len() as u8];
        for number in numbers {
            let stated = if number % 2 == 0 { *number } else { u8::MAX };
            bytes.extend([*number, stated]);
        }
        let subjects: Vec<_> = numbers.iter().map(|number| subject(*number)).collect();
        bytes.extend(TABLE.0.prove(&subjects).as_bytes());
        bytes
    };
    vec![
        ("path-to-a-row", made(&[4])),
        ("path-to-none", made(&[5])),
        ("path-to-several", made(&[0, 1, 6, 7, 14])),
    ]
}
