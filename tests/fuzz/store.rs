//! The values and marks of a ledger folder's store: what is read has one spelling, and any value
//! comes back out of its chunks.

use giftproof::store::{HEAD_LEN_MAX, OBJECT_LEN_MAX, ObjectName};

/// The file itself: nobody but the store and this has a use for it.
#[allow(dead_code, reason = "the store uses all of it")]
#[path = "../../src/store/schema.rs"]
mod schema;

use schema::*;

pub fn run(bytes: &[u8]) {
    if let Some(version) = marker_version(bytes) {
        assert_eq!(format!("giftproof-ledger/v{version}\n").as_bytes(), bytes);
    }
    if let Some(number) = decode_mark(bytes) {
        assert_eq!(encode_mark(number), bytes);
    }
    if let Some(head) = Head::decode(bytes) {
        assert_eq!(head.encode(), bytes);
    }
    if let Some(last) = LastPut::decode(bytes) {
        assert_eq!(last.encode(), bytes);
    }
    if let Some(place) = decode_place(bytes) {
        assert_eq!(place.to_be_bytes(), bytes);
    }
    if let Some(extent) = Extent::decode(bytes) {
        assert_eq!(extent.encode(), bytes);
        let places = extent.places();
        let room = (places.end - places.start) as usize * CHUNK_LEN;
        assert!((extent.len..extent.len + CHUNK_LEN).contains(&room));
    }
    if let Some((total, first)) = open_chunk(bytes) {
        assert_eq!([&(total as u32).to_be_bytes(), first].concat(), bytes);
        assert!(first.len() == total || chunk_count(total) > 1);
    }
    chunked(bytes);
}

/// A value goes into chunks, and comes out of them as the store joins them.
fn chunked(value: &[u8]) {
    let chunks = chunks(value);
    assert_eq!(chunks.len(), usize::from(chunk_count(value.len())));
    let (total, first) = open_chunk(&chunks[0].1).unwrap();
    let rest = chunks[1..].iter().flat_map(|(_, bytes)| bytes);
    assert!(first.iter().chain(rest).eq(value) && total == value.len());
}

/// One of each.
#[cfg(test)]
pub fn values() -> Vec<(&'static str, Vec<u8>)> {
    let names = vec![
        name_key(&ObjectName::Bundle(1)),
        name_key(&ObjectName::Tile { level: 0, index: 1 }),
        name_key(&ObjectName::Tile { level: 1, index: 0 }),
    ];
    let last = LastPut { commit_number: 9, places: 4..11, names };
    vec![
        ("store-marker", marker_text().into_bytes()),
        ("store-mark", encode_mark(9).to_vec()),
        ("store-head", Head { commit_number: 9, objects_at: 7, bytes: b"a head" }.encode()),
        ("store-last-put", last.encode()),
        ("store-extent", Extent { first: 4, len: CHUNK_LEN + 1 }.encode().to_vec()),
        ("store-chunk", chunks(b"a value").remove(0).1),
    ]
}
