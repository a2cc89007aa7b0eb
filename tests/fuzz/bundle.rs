//! Zips that claim to be bundles. An input is a zip, or four bytes for each change to an honest
//! one. What can be read of it, put together again, is the same zip.

use std::io::Write as _;
use std::sync::LazyLock;

use giftproof::bundle::{BundleWriter, LogFile, LogSource, OpenedBundle, SourceError, TrustCopy};
use giftproof::model::checkpoint::SignedCheckpoint;

use crate::forge::Files;

/// What a zip begins with.
const ZIP: &[u8] = b"PK";

/// A log with files of every sort: a full tile and a partial one, one above them, and the bundles of
/// both. Its entries are short, so that two bytes name any byte of the zip; what they say is not
/// read here.
static HONEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let entries: Vec<Vec<u8>> = (0..258u16).map(|number| number.to_be_bytes().into()).collect();
    let mut files = Files::of(&entries, "operator");
    files.trust_copy = TrustCopy::Intact(b"whom to trust\n".into());
    let zip = files.zip();
    assert!(zip.len() < usize::from(u16::MAX));
    zip
});

pub fn run(bytes: &[u8]) {
    is_whole(bytes);
}

/// Whether every file can be read.
///
/// # Panics
/// When what was read has two spellings.
pub fn is_whole(bytes: &[u8]) -> bool {
    if bytes.starts_with(ZIP) {
        return read(bytes).is_some();
    }
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
    read(&zip).is_some()
}

fn read(zip: &[u8]) -> Option<()> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(zip).unwrap();
    let bundle = OpenedBundle::open(file.path()).ok()?;
    let size = SignedCheckpoint::parse(bundle.checkpoint()).ok()?.checkpoint().size;
    let bundle = bundle.with_size(size).ok()?;
    let mut again = BundleWriter::new(Vec::new(), size);
    for file in bundle.layout().files() {
        let contents = match file {
            LogFile::Checkpoint => bundle.checkpoint(),
            LogFile::TrustCopy => bundle.trust_copy().and_then(intact),
            LogFile::Tile(tile) => bundle.tile(&tile),
            LogFile::Entries(entries) => bundle.entries(&entries),
        };
        again = again.put(file, &contents.ok()?).unwrap();
    }
    assert!(again.finish().unwrap() == zip, "a second spelling");
    Some(())
}

/// A copy whose bytes do not fit its checksum cannot be written again.
fn intact(copy: TrustCopy) -> Result<Vec<u8>, SourceError> {
    match copy {
        TrustCopy::Intact(bytes) => Ok(bytes),
        _ => Err(SourceError::Missing { file: LogFile::TrustCopy }),
    }
}
