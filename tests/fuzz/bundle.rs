//! Zips that claim to be bundles. An input is a zip, or four bytes for each change to an honest
//! one. What can be read of it, put together again, is the same zip.

use std::io::Write as _;
use std::sync::LazyLock;

use giftproof::bundle::{BundleWriter, LogFile, LogSource, OpenedBundle, SourceError, TrustCopy};
use giftproof::model::checkpoint::SignedCheckpoint;

use crate::forge::Forge;
use crate::util::World;

/// What a zip begins with.
const ZIP: &[u8] = b"PK";

pub fn run(bytes: &[u8]) {
    if bytes.starts_with(ZIP) {
        read(bytes);
        return;
    }
    static HONEST: LazyLock<Vec<u8>> = LazyLock::new(|| Forge::of(&World::bare()).files().zip());
    let mut zip = HONEST.clone();
    for change in bytes.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % zip.len();
        match change[2] % 4 {
            0 => zip[at] = change[3],
            1 => zip.insert(at, change[3]),
            2 => _ = zip.drain(at..zip.len().min(at + 1 + usize::from(change[3]))),
            _ => zip.truncate(at),
        }
        if zip.is_empty() {
            break;
        }
    }
    read(&zip);
}

fn read(zip: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(zip).unwrap();
    let Ok(bundle) = OpenedBundle::open(file.path()) else { return };
    let Ok(checkpoint) = SignedCheckpoint::parse(bundle.checkpoint()) else { return };
    let size = checkpoint.checkpoint().size;
    let Ok(bundle) = bundle.with_size(size) else { return };
    let mut again = BundleWriter::new(Vec::new(), size);
    for file in bundle.layout().files() {
        let contents = match file {
            LogFile::Checkpoint => bundle.checkpoint(),
            LogFile::TrustCopy => bundle.trust_copy().and_then(intact),
            LogFile::Tile(tile) => bundle.tile(&tile),
            LogFile::Entries(entries) => bundle.entries(&entries),
        };
        let Ok(contents) = contents else { return };
        again = again.put(file, &contents).unwrap();
    }
    assert!(again.finish().unwrap() == zip, "a second spelling");
}

/// A copy whose bytes do not fit its checksum cannot be written again.
fn intact(copy: TrustCopy) -> Result<Vec<u8>, SourceError> {
    match copy {
        TrustCopy::Intact(bytes) => Ok(bytes),
        _ => Err(SourceError::Missing { file: LogFile::TrustCopy }),
    }
}
