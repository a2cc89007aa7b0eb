//! Everything that is read as text: each input is tried as every format, and what is accepted as
//! one is printed as it was read.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use giftproof::cli::event_file::EventFile;
use giftproof::cli::shipment::ShipmentFile;
use giftproof::import::{self, ImportError, Map, Table, Template};
use giftproof::keyfile;
use giftproof::model::audited::{AuditStatement, SignedStatement};
use giftproof::model::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use giftproof::model::date::Date;
use giftproof::model::hash::{Digest32, EventHash, LeafHash, NodeHash, SubjectHash};
use giftproof::model::ident::{GiftId, Handle, KeyBytes, ShipmentId};
use giftproof::model::key::PublicKey;
use giftproof::model::note::{KeyName, Note, VerifierKey};
use giftproof::model::policy::Policy;
use giftproof::model::text::Text;
use giftproof::model::tlog_proof::TlogProof;
use giftproof::model::trust::TrustFile;
use giftproof::model::witness::AddCheckpoint;
use giftproof::witness::WitnessFolder;

use super::event;

/// What lies between a map and the list that it describes, in one input.
pub const MAP_END: &str = "\n---\n";

pub fn run(bytes: &[u8]) {
    one_spelling(bytes, Note::parse(bytes));
    one_spelling(bytes, SignedCheckpoint::parse(bytes));
    one_spelling(bytes, SignedStatement::parse(bytes));
    one_spelling(bytes, TlogProof::parse(bytes));
    one_spelling(bytes, TrustFile::parse(bytes));
    one_spelling(bytes, AddCheckpoint::parse(bytes));
    settles(Policy::parse(bytes), |policy| Policy::parse(policy.as_bytes()));
    secret_key(bytes);
    event_file(bytes);
    shipment_file(bytes);
    witness_marker(bytes);
    let _ = Table::read(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    one_spelling(bytes, VerifierKey::parse(text));
    one_spelling(bytes, Checkpoint::parse(text));
    one_spelling(bytes, AuditStatement::parse(text));
    one_spelling(bytes, Origin::parse(text).ok_or(()));
    one_spelling(bytes, KeyName::parse(text).ok_or(()));
    word::<Handle>(text);
    word::<KeyBytes>(text);
    word::<PublicKey>(text);
    word::<ShipmentId>(text);
    word::<Date>(text);
    word::<Text<200>>(text);
    word::<LeafHash>(text);
    word::<NodeHash>(text);
    word::<EventHash>(text);
    word::<SubjectHash>(text);
    word::<Digest32>(text);
    settles(text.parse::<GiftId>(), str::parse);
    let _ = text.parse::<Template>();
    import(text);
}

/// An accepted text is printed as it was read.
fn one_spelling<T: Display, E>(bytes: &[u8], read: Result<T, E>) {
    if let Ok(value) = read {
        assert_eq!(value.to_string().as_bytes(), bytes, "a second spelling");
    }
}

fn word<T: FromStr + Display>(text: &str) {
    one_spelling(text.as_bytes(), text.parse::<T>());
}

/// An accepted text of several spellings has one that is printed, and that says the same.
fn settles<T: Display, E: Debug>(read: Result<T, E>, again: impl Fn(&str) -> Result<T, E>) {
    if let Ok(value) = read {
        let printed = value.to_string();
        assert_eq!(again(&printed).unwrap().to_string(), printed);
    }
}

/// Keys under a passphrase are read up to where it is needed.
fn secret_key(bytes: &[u8]) {
    if let Ok(key) = keyfile::decode(bytes, None) {
        let plain = keyfile::Protection::Unencrypted;
        let pem = keyfile::encode(&key, plain, &mut rand::rng()).unwrap();
        let again = keyfile::decode(pem.as_bytes(), None).unwrap();
        assert_eq!(again.seed(), key.seed());
    }
}

/// JSON has many spellings: what was read is written and read again.
fn event_file(bytes: &[u8]) {
    if !bytes.starts_with(b"{") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.json");
    std::fs::write(&path, bytes).unwrap();
    if let Ok(file) = EventFile::read(&path) {
        let _ = file.signed();
        file.write(&path, giftproof::bundle::Existing::Replace).unwrap();
        assert_eq!(EventFile::read(&path).ok(), Some(file));
    }
}

/// As an event file; what it says is on its way is what its entries say.
fn shipment_file(bytes: &[u8]) {
    if !bytes.starts_with(b"{") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, written) = (folder.path().join("shipment.json"), folder.path().join("again.json"));
    std::fs::write(&path, bytes).unwrap();
    if let Ok(file) = ShipmentFile::read(&path) {
        event::on_its_way(&file);
        file.write_to(ShipmentFile::begin(&written).unwrap(), &written).unwrap();
        let again = ShipmentFile::read(&written).unwrap();
        assert_eq!((again.genesis, again.shipment), (file.genesis, file.shipment));
        assert_eq!(again.entries, file.entries);
    }
}

/// What says that a folder is a witness's, and of which key.
fn witness_marker(bytes: &[u8]) {
    if !bytes.starts_with(b"giftproof-witness/") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("giftproof-witness"), bytes).unwrap();
    if let Ok(key) = WitnessFolder::vkey(folder.path()) {
        assert_eq!(format!("giftproof-witness/v1\n{key}\n").as_bytes(), bytes);
    }
}

/// A list under a map, which joins no other lists than the list itself: each row is planned or
/// refused.
fn import(text: &str) {
    let (map, list) = text.split_once(MAP_END).unwrap_or((text, ""));
    let Ok(map) = Map::read(map) else { return };
    let join = |_: &str| Ok::<_, ImportError>(list.as_bytes().to_vec());
    if let Ok(plan) = import::plan(list.as_bytes(), &map, join) {
        assert_eq!(plan.mapped_count() + plan.refused.len(), plan.row_count);
        import::to_csv(&plan.refused);
    }
}
