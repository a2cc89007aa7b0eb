//! The bundle as a container: one byte form, no free byte, bounded reading, foreign zip tools.
//!
//! Hashes and signatures play no part here: every file's contents are made up, and compared.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use giftproof::bundle::{
    BundleLayout, BundleWriter, Existing, LogFile, LogFolder, LogSource, OpenedBundle, OutputFile,
    SourceError, TrustCopy, WriteError,
};
use giftproof::model::tile::{BundleCoord, TileCoord, push_entry};

const TRUST: &[u8] = b"trust: this text is free";

/// Made-up contents of every file of a log: no two tiles, and no two entries, are alike.
fn contents(file: LogFile) -> Vec<u8> {
    match file {
        LogFile::Checkpoint => b"donations.example/log1\n3\n".to_vec(),
        LogFile::TrustCopy => TRUST.to_vec(),
        LogFile::Tile(tile) => {
            let hash = |i| {
                let text = format!("{:02} {:012} {i:03}", tile.level(), tile.index());
                format!("{text:-<32}").into_bytes()
            };
            (0..tile.width()).flat_map(hash).collect()
        }
        LogFile::Entries(bundle) => {
            let mut bytes = Vec::new();
            for i in 0..u64::from(bundle.width()) {
                let entry = (bundle.index() * 256 + i).to_string();
                push_entry(&mut bytes, entry.as_bytes()).unwrap();
            }
            bytes
        }
    }
}

fn write_bundle<W: Write>(out: W, size: u64) -> Result<W, WriteError> {
    let mut writer = BundleWriter::new(out, size);
    for file in BundleLayout::of_size(size).files() {
        writer = writer.put(file, &contents(file))?;
    }
    writer.finish()
}

fn bundle(size: u64) -> Vec<u8> {
    write_bundle(Vec::new(), size).unwrap()
}

fn read_file(source: &impl LogSource, file: LogFile) -> Result<Vec<u8>, SourceError> {
    match file {
        LogFile::Checkpoint => source.checkpoint(),
        LogFile::TrustCopy => Ok(source.trust_copy()?.bytes().unwrap_or_default().to_vec()),
        LogFile::Tile(tile) => source.tile(&tile),
        LogFile::Entries(bundle) => source.entries(&bundle),
    }
}

/// Everything that the zip holds, in its order, and the trust copy as it was found.
fn read_all(path: &Path, size: u64) -> Result<(Vec<Vec<u8>>, TrustCopy), SourceError> {
    let reader = OpenedBundle::open(path)?.with_size(size)?;
    let files = reader.layout().files().map(|file| read_file(&reader, file));
    Ok((files.collect::<Result<_, _>>()?, reader.trust_copy()?))
}

fn assert_complete(source: &impl LogSource, size: u64) {
    for file in BundleLayout::of_size(size).files() {
        assert_eq!(read_file(source, file).unwrap(), contents(file), "{file}");
    }
}

/// A zip on disk whose bytes a test changes and restores.
struct Specimen {
    _folder: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Specimen {
    fn of_size(size: u64) -> Self {
        Self::of_bytes(bundle(size))
    }

    fn of_bytes(bytes: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.zip");
        fs::write(&path, &bytes).unwrap();
        Self { _folder: folder, path, bytes }
    }

    fn overwrite(&self, at: usize, bytes: &[u8]) {
        let mut file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// Reads everything while `bytes` stand at `at`.
    fn read_with(
        &self,
        at: usize,
        bytes: &[u8],
        size: u64,
    ) -> Result<(Vec<Vec<u8>>, TrustCopy), SourceError> {
        self.overwrite(at, bytes);
        let result = read_all(&self.path, size);
        self.overwrite(at, &self.bytes[at..at + bytes.len()]);
        result
    }

    fn find(&self, needle: &[u8]) -> usize {
        self.bytes.windows(needle.len()).position(|window| window == needle).unwrap()
    }
}

fn code<T>(result: Result<T, SourceError>) -> &'static str {
    result.err().map_or("accepted", |error| error.code())
}

#[test]
fn the_same_log_gives_the_same_bytes_and_reading_gives_them_back() {
    for size in [0, 1, 3, 256, 257, 1000] {
        let specimen = Specimen::of_size(size);
        assert_eq!(specimen.bytes, bundle(size));

        let (files, trust) = read_all(&specimen.path, size).unwrap();
        assert_eq!(trust, TrustCopy::Intact(TRUST.to_vec()));
        let mut again = BundleWriter::new(Vec::new(), size);
        for (file, bytes) in BundleLayout::of_size(size).files().zip(&files) {
            assert_eq!(bytes, &contents(file));
            again = again.put(file, bytes).unwrap();
        }
        assert_eq!(again.finish().unwrap(), specimen.bytes);
    }
}

#[test]
fn every_flipped_bit_outside_the_trust_copy_is_refused() {
    let specimen = Specimen::of_size(3);
    let trust_at = specimen.find(TRUST);
    let mut refused = std::collections::BTreeSet::new();
    for at in 0..specimen.bytes.len() {
        for bit in 0..8 {
            let result = specimen.read_with(at, &[specimen.bytes[at] ^ 1 << bit], 3);
            if (trust_at..trust_at + TRUST.len()).contains(&at) {
                let (files, trust) = result.unwrap();
                let mut flipped = TRUST.to_vec();
                flipped[at - trust_at] ^= 1 << bit;
                assert_eq!(trust, TrustCopy::Damaged(flipped));
                for (i, file) in BundleLayout::of_size(3).files().enumerate() {
                    assert!(file == LogFile::TrustCopy || files[i] == contents(file));
                }
            } else {
                assert!(result.is_err(), "bit {bit} of byte {at} is free");
                refused.insert(result.unwrap_err().code());
            }
        }
    }
    let codes = ["bundle/crc", "bundle/not-canonical", "bundle/truncated"];
    assert!(refused.iter().eq(&codes), "{refused:?}");
}

#[test]
fn what_is_wrong_is_named_by_code_and_place() {
    let specimen = Specimen::of_size(3);
    let flip = |at: usize| specimen.read_with(at, &[specimen.bytes[at] ^ 1], 3).unwrap_err();

    let entries = LogFile::Entries(BundleCoord::new(0, 3).unwrap());
    let at = specimen.find(&contents(entries));
    assert!(matches!(flip(at), SourceError::Crc { file, .. } if file == entries));
    let tile = LogFile::Tile(TileCoord::new(0, 0, 3).unwrap());
    let at = specimen.find(tile.to_string().as_bytes());
    let error = flip(at);
    assert!(
        matches!(error, SourceError::NotCanonical { offset, expected: b't', found: b'u' }
            if offset == at as u64),
        "{error}"
    );
    // Both lengths of the first local header, behind its path and the Zip64 field's own header.
    let error = specimen.read_with(30 + 10 + 4, &[0xff; 16], 3).unwrap_err();
    let long = |error, log_file| matches!(error, SourceError::WrongLength { file, len: u64::MAX, .. } if file == log_file);
    assert!(long(error, LogFile::Checkpoint));
    // Both lengths of the last directory entry, before its offset and the end records.
    let at = specimen.bytes.len() - 98 - 24;
    assert!(long(specimen.read_with(at, &[0xff; 16], 3).unwrap_err(), entries));
}

#[test]
fn every_overwritten_field_is_refused() {
    let specimen = Specimen::of_size(3);
    let trust_at = specimen.find(TRUST);
    let trust = trust_at..trust_at + TRUST.len();
    for len in [2, 4, 8] {
        for at in 0..specimen.bytes.len() - len {
            for byte in [0x00, 0xff] {
                let changed = vec![byte; len];
                let within_trust = trust.contains(&at) && trust.contains(&(at + len - 1));
                if changed == specimen.bytes[at..at + len] || within_trust {
                    continue;
                }
                let result = specimen.read_with(at, &changed, 3);
                let only_trust =
                    (at..at + len).all(|i| trust.contains(&i) || specimen.bytes[i] == byte);
                assert_eq!(result.is_ok(), only_trust, "{len} bytes {byte:#x} at {at}");
            }
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    let specimen = Specimen::of_size(3);
    for len in 0..specimen.bytes.len() {
        fs::write(&specimen.path, &specimen.bytes[..len]).unwrap();
        assert_eq!(code(read_all(&specimen.path, 3)), "bundle/truncated", "{len} bytes");
    }
    for added in 1..200 {
        let mut bytes = specimen.bytes.clone();
        bytes.resize(bytes.len() + added, 0);
        fs::write(&specimen.path, &bytes).unwrap();
        assert_eq!(code(read_all(&specimen.path, 3)), "bundle/truncated", "{added} bytes more");
        // Before the zip, where many tools tolerate a foreign beginning.
        bytes.rotate_right(added);
        fs::write(&specimen.path, &bytes).unwrap();
        assert_eq!(code(read_all(&specimen.path, 3)), "bundle/not-canonical");
    }
}

/// A gap that no record mentions, with every offset after it put right: zip tools read that.
#[test]
fn bytes_between_the_records_are_refused() {
    let bytes = bundle(3);
    let end = bytes.len() - 98;
    let directory = u64::from_le_bytes(bytes[end + 48..end + 56].try_into().unwrap()) as usize;
    let add = |bytes: &mut Vec<u8>, at: usize| {
        let moved = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) + 1;
        bytes[at..at + 8].copy_from_slice(&moved.to_le_bytes());
    };
    let mut before_directory = bytes.clone();
    add(&mut before_directory, end + 48);
    add(&mut before_directory, end + 56 + 8);

    // The last entry of the directory ends with its file's offset.
    let mut before_last_file = before_directory.clone();
    add(&mut before_last_file, end - 8);
    let last_file = u64::from_le_bytes(bytes[end - 8..end].try_into().unwrap()) as usize;

    before_directory.insert(directory, 0);
    before_last_file.insert(last_file, 0);
    for bytes in [before_directory, before_last_file] {
        let specimen = Specimen::of_bytes(bytes);
        assert_eq!(code(read_all(&specimen.path, 3)), "bundle/not-canonical");
    }
}

#[test]
fn a_bundle_of_another_size_is_refused() {
    let specimen = Specimen::of_size(300);
    for size in (0..1000).chain([65_536, 1 << 32, u64::MAX / 2, u64::MAX]) {
        let expected = if size == 300 { "accepted" } else { "bundle/not-canonical" };
        // Sizes with as many files differ in the width of one, so in its path.
        assert_eq!(code(read_all(&specimen.path, size)), expected, "size {size}");
    }
}

/// The count of files agrees with the largest size; no directory could hold them.
#[test]
fn a_hostile_count_allocates_nothing() {
    let mut bytes = bundle(3);
    let end = bytes.len() - 98;
    let count = BundleLayout::of_size(u64::MAX).file_count().to_le_bytes();
    bytes[end + 24..end + 32].copy_from_slice(&count);
    bytes[end + 32..end + 40].copy_from_slice(&count);
    let specimen = Specimen::of_bytes(bytes);
    assert_eq!(code(read_all(&specimen.path, u64::MAX)), "bundle/not-canonical");
}

#[test]
fn files_that_the_log_does_not_have_are_missing() {
    let specimen = Specimen::of_size(300);
    let reader = OpenedBundle::open(&specimen.path).unwrap().with_size(300).unwrap();
    assert_eq!(code(reader.tile(&TileCoord::new(0, 1, 43).unwrap())), "bundle/missing");
    assert_eq!(code(reader.tile(&TileCoord::new(1, 1, 1).unwrap())), "bundle/missing");
    assert_eq!(code(reader.entries(&BundleCoord::new(1, 256).unwrap())), "bundle/missing");
    let nowhere = specimen.path.with_extension("none");
    assert_eq!(code(OpenedBundle::open(&nowhere)), "bundle/io");
}

#[test]
fn the_writer_takes_only_the_one_order() {
    let tile = LogFile::Tile(TileCoord::new(0, 0, 3).unwrap());
    let begun = || BundleWriter::new(Vec::new(), 3).put(LogFile::Checkpoint, b"note\n").unwrap();

    let skipped = begun().put(tile, &contents(tile)).err().unwrap();
    let (due, given) = (Some(LogFile::TrustCopy), Some(tile));
    assert!(
        matches!(skipped, WriteError::OutOfOrder { due: d, given: g } if (d, g) == (due, given))
    );
    let unfinished = begun().finish().err().unwrap();
    assert!(matches!(unfinished, WriteError::OutOfOrder { due: d, given: None } if d == due));
    assert_eq!(unfinished.code(), "bundle/write-order");

    let trusted = begun().put(LogFile::TrustCopy, TRUST).unwrap();
    let short = trusted.put(tile, &[0; 95]).err().unwrap();
    assert!(matches!(short, WriteError::WrongLength { len: 95, min: 96, max: 96, .. }));
    let long = begun().put(LogFile::TrustCopy, &[0; 128 * 1024 + 1]).err().unwrap();
    assert_eq!(long.code(), "bundle/write-length");

    let empty = BundleWriter::new(Vec::new(), 0).put(LogFile::Checkpoint, b"note\n").unwrap();
    let full = empty.put(LogFile::TrustCopy, b"").unwrap();
    let more = full.put(tile, &contents(tile)).err().unwrap();
    assert!(matches!(more, WriteError::OutOfOrder { due: None, given: Some(_) }));
}

#[test]
fn a_log_of_70_000_entries_comes_back_on_four_threads() {
    const SIZE: u64 = 70_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.zip");
    let output = OutputFile::create(&path, Existing::Refuse).unwrap();
    write_bundle(output, SIZE).unwrap().commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), bundle(SIZE));

    let reader = OpenedBundle::open(&path).unwrap().with_size(SIZE).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let reader = &reader;
            scope.spawn(move || {
                for file in reader.layout().files().skip(thread).step_by(4) {
                    assert_eq!(read_file(reader, file).unwrap(), contents(file), "{file}");
                }
            });
        }
    });
}

/// Zip tools of others must read a bundle without a complaint, and unpack it to the same files.
/// They may be missing where these tests run, so each has to be asked for.
mod foreign_tools {
    use super::*;

    const SIZE: u64 = 70_000;

    /// Runs `tool` in a folder with `bundle.zip` and an empty folder `out`.
    fn run(folder: &Path, tool: &str, args: &[&str]) {
        let done = Command::new(tool).args(args).current_dir(folder).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        let warned = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && warned.is_empty(), "{tool}: {said}{warned}");
    }

    fn with_bundle(test: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("bundle.zip"), bundle(SIZE)).unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        test(folder.path());
    }

    fn assert_unpacked(folder: &Path) {
        assert_complete(&LogFolder::new(folder.join("out")), SIZE);
    }

    #[test]
    #[ignore = "needs python3"]
    fn python_zipfile() {
        with_bundle(|folder| {
            let script = "import zipfile\n\
                z = zipfile.ZipFile('bundle.zip')\n\
                assert z.testzip() is None\n\
                assert [i.filename for i in z.infolist()][:3] == \
                    ['checkpoint', 'giftproof.trust', 'tile/0/000']\n\
                assert {i.date_time for i in z.infolist()} == {(1980, 1, 1, 0, 0, 0)}\n\
                assert {i.external_attr for i in z.infolist()} == {0o100644 << 16}\n\
                z.extractall('out')";
            run(folder, "python3", &["-W", "error", "-c", script]);
            assert_unpacked(folder);
        });
    }

    #[test]
    #[ignore = "needs unzip and zip"]
    fn info_zip() {
        with_bundle(|folder| {
            run(folder, "unzip", &["-tqq", "bundle.zip"]);
            run(folder, "zip", &["-T", "bundle.zip"]);
            run(folder, "unzip", &["-qq", "bundle.zip", "-d", "out"]);
            assert_unpacked(folder);
        });
    }

    #[test]
    #[ignore = "needs cmake, which brings libarchive, the library of bsdtar"]
    fn libarchive() {
        with_bundle(|folder| {
            run(&folder.join("out"), "cmake", &["-E", "tar", "xf", "../bundle.zip"]);
            assert_unpacked(folder);
        });
    }

    #[test]
    #[ignore = "needs java"]
    fn java_jar() {
        with_bundle(|folder| {
            run(&folder.join("out"), "jar", &["xf", "../bundle.zip"]);
            assert_unpacked(folder);
        });
    }

    #[test]
    #[ignore = "needs go"]
    fn go_archive_zip() {
        with_bundle(|folder| {
            let program = r#"package main

import (
	"archive/zip"
	"os"
)

func main() {
	bundle, err := zip.OpenReader("bundle.zip")
	if err != nil {
		panic(err)
	}
	if err := os.CopyFS("out", bundle); err != nil {
		panic(err)
	}
}
"#;
            fs::write(folder.join("unpack.go"), program).unwrap();
            run(folder, "go", &["run", "unpack.go"]);
            assert_unpacked(folder);
        });
    }
}
