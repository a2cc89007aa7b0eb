//! Entries, events, statements and drafts: what is read has one spelling, whatever it states. Entries
//! end to end are also tried as what a shipment rests on, signed or not.

use giftproof::cli::shipment::ShipmentFile;
use giftproof::model::draft::Draft;
use giftproof::model::entry::{Entry, NO_LEAF, SignedEvent};
use giftproof::model::event::{Frame, Kind, Statement};
use giftproof::model::tile::{EntryBundle, TileLayout, push_entry};

pub fn run(bytes: &[u8]) {
    if let Ok(entry) = Entry::from_bytes(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
        open(entry.event);
    }
    if let Ok(event) = SignedEvent::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
        open(event);
    }
    if let Some((number, bytes)) = bytes.split_first_chunk()
        && let Some(kind) = Kind::from_number(u16::from_be_bytes(*number))
        && let Ok(statement) = Statement::from_bytes(kind, bytes)
    {
        assert_eq!(statement.to_bytes(), bytes);
    }
    for size in [1, 2, 256] {
        entries(bytes, size);
    }
    shipment(bytes);
}

/// Entries end to end, as many as the first bundle of a log of this size has.
fn entries(bytes: &[u8], size: u64) {
    let coord = TileLayout::of_size(size).bundle(0).unwrap();
    let Ok(bundle) = EntryBundle::parse(bytes, &coord) else { return };
    let mut again = Vec::new();
    bundle.entries().for_each(|entry| push_entry(&mut again, entry).unwrap());
    assert_eq!(again, bytes);
    for entry in bundle.entries() {
        if let Ok(entry) = Entry::from_bytes(entry) {
            open(entry.event);
        }
    }
}

/// As many entries as there are, and the shipment of the first dispatch among them.
fn shipment(mut bytes: &[u8]) {
    let mut entries = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let Some((entry, rest)) = rest.split_at_checked(u16::from_be_bytes(*len).into()) else {
            return;
        };
        let Ok(entry) = Entry::from_bytes(entry) else { return };
        entries.push(entry);
        bytes = rest;
    }
    let sent = |entry: &Entry| match entry.event.clone().open(&NO_LEAF).ok()?.statement? {
        Statement::Dispatch(dispatch) => Some(dispatch.shipment),
        _ => None,
    };
    if let Some(shipment) = entries.iter().find_map(sent) {
        on_its_way(&ShipmentFile { genesis: NO_LEAF, shipment, entries });
    }
}

/// A shipment's list has what was sent and has not come yet, whoever says so.
pub fn on_its_way(file: &ShipmentFile) {
    let _ = file.keys_of(&file.shipment.giver);
    let Ok(sheet) = file.sheet() else { return };
    for (row, number) in sheet.rows.iter().zip(1..) {
        assert!(row.number == number && row.quantity > 0);
    }
    serde_json::to_string(&sheet).unwrap();
}

/// An event that can be read is put together again from what it says.
fn open(event: SignedEvent) {
    let Ok(event) = event.open(&NO_LEAF) else { return };
    event.touched();
    let Some(statement) = &event.statement else { return };
    let body = &event.signed.frame.body;
    assert!(body.ends_with(&statement.to_bytes()));
    let head = &event.head;
    let draft = Draft {
        statement: statement.clone(),
        occurred_on: head.occurred_on,
        signed_at: head.signed_at,
        nonce: head.nonce,
        anchor: head.anchor,
        documents: head.documents.to_vec(),
        reason: head.reason.clone(),
        signers: head.signers.to_vec(),
    };
    let frame = draft.frame().unwrap();
    assert_eq!(frame, Frame::new(head, statement).unwrap());
    assert_eq!(frame, event.signed.frame);
}
