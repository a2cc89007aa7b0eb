//! Steps 1, 2 and 8 to 12 of the audit: files, checkpoint, trust.

use giftproof::model::hash::{LeafHash, NodeHash};
use giftproof::model::note::CosignatureTime;
use giftproof::model::trust::TrustFile;

use super::two;
use crate::vectors::case::{At, Case, files_of, zip_of};
use crate::vectors::scribe::{ORIGIN, Scribe, checkpoint, note_key, origin, vkey};
use crate::vectors::statements::*;

/// Steps 1, 2, 8 and 9.
pub fn files() -> Vec<Case> {
    let mut log = two();
    pooled(&mut log, 10, &[]);
    let size = log.entries.len() as u64;
    let note = log.checkpoint().to_string();
    let tree = files_of(&log.entries);
    let (tile, bundle) = ("tile/0/000.p/4", "tile/entries/000.p/4");
    let changed = |path: &str, at: usize| {
        let mut bytes = tree[path].clone();
        bytes[at] ^= 1;
        Some(bytes)
    };
    let longer = |path: &str| Some([&tree[path][..], &[0]].concat());
    let other_root = NodeHash::from_bytes([7; 32]);
    let mut cases = vec![
        Case::wrong_file("bundle-missing", "bundle/mismatch", bundle, &log)
            .detail("bundle/missing")
            .file(bundle, None)
            .about("11.1", "The entry bundle is not there."),
        Case::wrong_file("bundle-trailing", "bundle/mismatch", bundle, &log)
            .detail("entries/trailing-bytes")
            .file(bundle, longer(bundle))
            .about("10.3", "One byte after the last entry."),
        Case::wrong_file("bundle-truncated", "bundle/mismatch", bundle, &log)
            .detail("entries/truncated")
            .file(bundle, Some(tree[bundle][..tree[bundle].len() - 1].to_vec()))
            .about("10.3", "The last entry is cut off."),
        Case::wrong_file("bundle-changed", "bundle/mismatch", bundle, &log)
            .file(bundle, changed(bundle, tree[bundle].len() - 1))
            .also("signature/invalid", At::Entry(3))
            .also("checkpoint/root", At::File("checkpoint"))
            .about("11.1", "A byte of an entry was changed after the checkpoint was signed."),
        Case::wrong_file("tile-changed", "tile/mismatch", tile, &log)
            .file(tile, changed(tile, 40))
            .about("10.3", "A hash in the lowest tile is another."),
        Case::wrong_file("tile-missing", "tile/mismatch", tile, &log)
            .detail("bundle/missing")
            .file(tile, None)
            .about("10.3", "The lowest tile is not there."),
        Case::wrong_file("checkpoint-root", "checkpoint/root", "checkpoint", &log)
            .checkpoint(checkpoint(ORIGIN, size, other_root, "operator"))
            .about("10.5", "The operator signed another root."),
        Case::wrong_file("checkpoint-extension", "checkpoint/malformed", "checkpoint", &log)
            .detail("checkpoint/extension")
            .checkpoint(note.replacen("\n\n", "\nmore\n\n", 1))
            .about("10.5", "A line after the root."),
        Case::wrong_file("checkpoint-size", "checkpoint/malformed", "checkpoint", &log)
            .detail("checkpoint/size")
            .checkpoint(note.replacen("\n4\n", "\n04\n", 1))
            .about("10.5", "A size with a leading zero."),
        Case::wrong_file("checkpoint-signature", "checkpoint/signature", "checkpoint", &log)
            .checkpoint(checkpoint(ORIGIN, size, log.root(), "stranger"))
            .about("10.5", "Signed by a key that is not the operator's."),
        Case::wrong_file("checkpoint-signature-bit", "checkpoint/signature", "checkpoint", &log)
            .detail("note/signature-invalid")
            .checkpoint(other_signature(&log))
            .about("10.4", "The operator's signature of another checkpoint."),
        Case::wrong_file("checkpoint-origin", "checkpoint/origin", "checkpoint", &log)
            .checkpoint(checkpoint("ledger.example/other", size, log.root(), "operator"))
            .about("10.5", "The checkpoint of a log of another name."),
    ];
    let offices = new_offices();
    cases.push(
        Case::wrong_file("checkpoint-old-operator", "checkpoint/signature", "checkpoint", &offices)
            .about("7.2", "Signed by the operator's key that was rotated."),
    );
    let zip = zip_of(&log);
    let inside = |what: &[u8]| {
        let at = zip.windows(what.len()).position(|window| window == what).unwrap();
        let mut zip = zip.clone();
        zip[at] ^= 1;
        zip
    };
    cases.push(
        Case::wrong_file("container-crc", "container/malformed", bundle, &log)
            .detail("bundle/crc")
            .zip(inside("N95口罩".as_bytes()))
            .about("13.4", "A byte of a file in the zip was changed, its CRC-32 was not."),
    );
    let mut cut = zip.clone();
    cut.truncate(zip.len() - 1);
    cases.push(
        Case::wrong_file("container-truncated", "container/malformed", "zip", &log)
            .detail("bundle/truncated")
            .zip(cut)
            .about("13.4", "The last byte of the zip is missing."),
    );
    cases.push(
        Case::wrong_file("container-date", "container/malformed", "zip", &log)
            .detail("bundle/not-canonical")
            .zip(inside(&[0x21, 0x00]))
            .about("13.4", "The checkpoint's date in the zip is another."),
    );
    cases
}

/// The checkpoint, with the signature of another one.
fn other_signature(log: &Scribe) -> String {
    let size = log.entries.len() as u64;
    let other = checkpoint(ORIGIN, size - 1, log.root(), "operator").to_string();
    let (text, _) = log.checkpoint().to_string().split_once("\n\n").map(own).unwrap();
    let (_, signature) = other.split_once("\n\n").map(own).unwrap();
    format!("{text}\n\n{signature}")
}

fn own((text, signature): (&str, &str)) -> (String, String) {
    (text.to_owned(), signature.to_owned())
}

/// Steps 10 to 12.
pub fn trust() -> Vec<Case> {
    let mut log = two();
    let earlier = (log.entries.len() as u64, log.root());
    pooled(&mut log, 10, &[]);
    let genesis = log.world.state.genesis;
    let policy = giftproof::model::policy::Policy::without_witnesses();
    let trust = |genesis, operator: &str| {
        TrustFile::new(origin(ORIGIN), genesis, vkey(ORIGIN, operator), policy.clone()).unwrap()
    };
    let newest = |size, root, signer| {
        log.trust().with_newest(checkpoint(ORIGIN, size, root, signer)).unwrap()
    };
    let other_root = NodeHash::from_bytes([7; 32]);
    let time = CosignatureTime::new(1_767_300_000).unwrap();
    let cosigned = |signer| log.checkpoint().cosign(time, &witness_name(), &note_key(signer));
    let forged = cosigned("witness").unwrap().to_string();
    // The same name and key id over another signature: that of the checkpoint before.
    let before = checkpoint(ORIGIN, earlier.0, earlier.1, "operator");
    let before = before.cosign(time, &witness_name(), &note_key("witness")).unwrap().to_string();
    let (rest, _) = forged.trim_end().rsplit_once('\n').unwrap();
    let (_, wrong) = before.trim_end().rsplit_once('\n').unwrap();
    let forged = format!("{rest}\n{wrong}\n");
    vec![
        Case::entry("trust-genesis", "trust/genesis", 0, &log)
            .trust(trust(LeafHash::from_bytes([7; 32]), "operator"))
            .about("13.1", "A log under the same origin with another beginning."),
        Case::entry("trust-operator", "trust/operator", 0, &log)
            .trust(trust(genesis, "stranger"))
            .about("13.1", "The trust file names another operator."),
        Case::wrong_file("trust-shrunk", "trust/checkpoint", "checkpoint", &log)
            .trust(newest(9, other_root, "operator"))
            .about("11.1", "The log is smaller than the one that was seen."),
        Case::wrong_file("trust-forked", "trust/checkpoint", "checkpoint", &log)
            .trust(newest(earlier.0, other_root, "operator"))
            .about("11.1", "The log had another root at the size that was seen."),
        Case::wrong_file("trust-unsigned", "trust/checkpoint", "checkpoint", &log)
            .trust(newest(earlier.0, earlier.1, "stranger"))
            .about("11.1", "The operator did not sign the checkpoint in the trust file."),
        Case::wrong_file("trust-policy", "trust/policy", "checkpoint", &log)
            .trust(trust_in_witness(&log))
            .about("13.2", "The witness that the policy wants has not cosigned."),
        Case::wrong_file("trust-cosignature", "trust/policy", "checkpoint", &log)
            .detail("note/signature-invalid")
            .trust(trust_in_witness(&log))
            .checkpoint(forged)
            .about("13.2", "The witness's cosignature is that of another checkpoint."),
    ]
}
