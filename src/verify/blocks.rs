//! Bytes that are hashed in blocks of 4 KiB, so that any of them can be had later, each checked,
//! without reading the others.
//!
//! ```text
//! hash = SHA-256(SHA-256(block)*)        the last block may be shorter
//! ```
//!
//! The hashes of the blocks stay in memory, under 1 % of the bytes. A block is compared with its
//! own each time it is read: whatever happens to a file after it was checked once, no other bytes
//! come out of it.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::spill::Spill;
use crate::model::hash::{Digest32, HASH_LEN};
use crate::model::state::{Shelf, ShelfError, ShelfPlace};

/// How long a block is.
const BLOCK: usize = 4096;

/// So much is read and hashed at a time, on all cores.
const CHUNK: usize = BLOCK << 10;

/// What is written through here, with the hash of it.
pub(super) struct HashedBlocks<W> {
    into: W,
    /// The block that is not full yet.
    block: Vec<u8>,
    hash: Sha256,
    len: u64,
}

impl<W: Write> HashedBlocks<W> {
    pub(super) fn new(into: W) -> Self {
        Self { into, block: Vec::with_capacity(BLOCK), hash: Sha256::new(), len: 0 }
    }

    /// How many bytes have been written.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The hash of all that was written.
    pub(super) fn finish(mut self) -> io::Result<Digest32> {
        self.put_block()?;
        Ok(Digest32::from_bytes(self.hash.finalize().into()))
    }

    fn put_block(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.into.write_all(&self.block)?;
            self.hash.update(Sha256::digest(&self.block));
            self.block.clear();
        }
        Ok(())
    }
}

impl<W: Write> Write for HashedBlocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        self.len += taken as u64;
        if self.block.len() == BLOCK {
            self.put_block()?;
        }
        Ok(taken)
    }

    /// Blocks are written when they are full, and the last one when the hash is asked for.
    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// The first bytes of a file, hashed in blocks.
pub(super) struct Blocks<F> {
    from: Mutex<From<F>>,
    hashes: Vec<[u8; HASH_LEN]>,
    len: u64,
}

/// The file, and the block that was read last.
struct From<F> {
    file: F,
    number: Option<u64>,
    block: Vec<u8>,
}

impl<F: Read + Seek> Blocks<F> {
    /// Reads and hashes the first `len` bytes, in pieces of 4 MiB; `progress` is told after each how
    /// many bytes are done, and how many there are.
    pub(super) fn hash(mut file: F, len: u64, progress: &dyn Fn(u64, u64)) -> io::Result<Self> {
        file.rewind()?;
        let (mut hashes, mut chunk) = (Vec::new(), Vec::new());
        let mut left = len;
        while left > 0 {
            chunk.clear();
            // What is stated is not believed: no more is allocated than there is.
            let read = (&mut file).take(left.min(CHUNK as u64)).read_to_end(&mut chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read as u64;
            hashes.par_extend(
                chunk
                    .par_chunks(BLOCK)
                    .map(|block| -> [u8; HASH_LEN] { Sha256::digest(block).into() }),
            );
            progress(len - left, len);
        }
        let from = Mutex::new(From { file, number: None, block: Vec::new() });
        Ok(Self { from, hashes, len })
    }

    /// The hash of all.
    pub(super) fn root(&self) -> Digest32 {
        Digest32::from_bytes(Sha256::digest(self.hashes.as_flattened()).into())
    }

    /// Reads what begins at this place, and checks it.
    fn read(&self, mut at: u64, mut into: &mut [u8]) -> Result<(), ShelfError> {
        let mut from = self.from();
        while !into.is_empty() {
            let block = from.block(at / BLOCK as u64, self)?;
            let rest = block.get((at % BLOCK as u64) as usize..).unwrap_or_default();
            let len = rest.len().min(into.len());
            if len == 0 {
                return Err(ShelfError::Damaged);
            }
            let (first, left) = into.split_at_mut(len);
            first.copy_from_slice(&rest[..len]);
            (at, into) = (at + len as u64, left);
        }
        Ok(())
    }

    /// All from this place on, one after the other.
    pub(super) fn reader(&self, at: u64) -> impl Read {
        Reader { blocks: self, at }
    }

    fn from(&self) -> MutexGuard<'_, From<F>> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Read + Seek> From<F> {
    /// A block, which has its hash.
    fn block(&mut self, number: u64, of: &Blocks<F>) -> Result<&[u8], ShelfError> {
        if self.number != Some(number) {
            let hash = usize::try_from(number).ok().and_then(|number| of.hashes.get(number));
            let hash = hash.ok_or(ShelfError::Damaged)?;
            let at = number * BLOCK as u64;
            self.number = None;
            self.block.resize((of.len - at).min(BLOCK as u64) as usize, 0);
            self.file.seek(SeekFrom::Start(at))?;
            match self.file.read_exact(&mut self.block) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(ShelfError::Damaged);
                }
                read => read?,
            }
            if Sha256::digest(&self.block)[..] != hash[..] {
                return Err(ShelfError::Damaged);
            }
            self.number = Some(number);
        }
        Ok(&self.block)
    }
}

struct Reader<'a, F> {
    blocks: &'a Blocks<F>,
    at: u64,
}

impl<F: Read + Seek> Read for Reader<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.blocks.len.saturating_sub(self.at);
        let len = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.blocks.read(self.at, &mut into[..len])?;
        self.at += len as u64;
        Ok(len)
    }
}

/// A shelf on which the values of a file lie already, each after its length as a u32. What comes to
/// it goes elsewhere: the file stays as it is.
pub(super) struct OnBlocks<F> {
    blocks: Arc<Blocks<F>>,
    new: Spill,
}

impl<F> OnBlocks<F> {
    pub(super) fn new(blocks: Arc<Blocks<F>>) -> Self {
        Self { blocks, new: Spill::default() }
    }

    /// What lies elsewhere has its place after all of the file.
    fn elsewhere(&self, place: ShelfPlace) -> Option<ShelfPlace> {
        place.number().checked_sub(self.blocks.len).map(ShelfPlace::new)
    }
}

impl<F: Read + Seek + Send> Shelf for OnBlocks<F> {
    fn put(&mut self, bytes: &[u8]) -> Result<ShelfPlace, ShelfError> {
        Ok(ShelfPlace::new(self.blocks.len + self.new.put(bytes)?.number()))
    }

    fn get(&self, place: ShelfPlace) -> Result<Vec<u8>, ShelfError> {
        if let Some(place) = self.elsewhere(place) {
            return self.new.get(place);
        }
        let mut len = [0; 4];
        self.blocks.read(place.number(), &mut len)?;
        let (at, len) = (place.number() + 4, u32::from_be_bytes(len));
        if u64::from(len) > self.blocks.len.saturating_sub(at) {
            return Err(ShelfError::Damaged);
        }
        let mut bytes = vec![0; len as usize];
        self.blocks.read(at, &mut bytes)?;
        Ok(bytes)
    }

    fn clear(&mut self, place: ShelfPlace) {
        if let Some(place) = self.elsewhere(place) {
            self.new.clear(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn written(bytes: &[u8]) -> (Vec<u8>, Digest32) {
        let mut file = Vec::new();
        let mut hashed = HashedBlocks::new(&mut file);
        bytes.chunks(1000).for_each(|piece| hashed.write_all(piece).unwrap());
        assert_eq!(hashed.len(), bytes.len() as u64);
        let hash = hashed.finish().unwrap();
        (file, hash)
    }

    #[test]
    fn the_hash_is_that_of_the_hashes_of_the_blocks() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77] {
            let bytes: Vec<u8> = (0..len).map(|at| ((at * at) >> 3) as u8).collect();
            let (file, hash) = written(&bytes);
            assert_eq!(file, bytes);
            let hashes: Vec<_> = bytes.chunks(BLOCK).map(Sha256::digest).collect();
            let expected: [u8; 32] = Sha256::digest(hashes.concat()).into();
            assert_eq!(hash, Digest32::from_bytes(expected));
            let blocks = Blocks::hash(Cursor::new(&bytes), len as u64, &|_, _| {}).unwrap();
            assert_eq!(blocks.root(), hash);
            let mut read = Vec::new();
            blocks.reader(0).read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
            assert!(Blocks::hash(Cursor::new(&bytes), len as u64 + 1, &|_, _| {}).is_err());
        }
    }

    /// A file that is changed after it was hashed gives its old bytes, or none.
    #[test]
    fn what_has_changed_since_is_not_had() {
        let (mut file, mut places) = (Vec::new(), Vec::new());
        let values: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 611 * usize::from(n)]).collect();
        for value in &values {
            places.push(ShelfPlace::new(file.len() as u64));
            file.extend((value.len() as u32).to_be_bytes());
            file.extend(value);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, &file).unwrap();
        let open = std::fs::File::open(&path).unwrap();
        let blocks = Arc::new(Blocks::hash(open, file.len() as u64, &|_, _| {}).unwrap());
        let mut shelf = OnBlocks::new(Arc::clone(&blocks));
        let new = shelf.put(b"new").unwrap();
        let other = shelf.put(b"other").unwrap();
        shelf.clear(new);
        shelf.clear(places[0]);
        let newer = shelf.put(b"newer").unwrap();
        for changed in (0..file.len()).step_by(997) {
            let mut bytes = file.clone();
            bytes[changed] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            for (place, value) in places.iter().zip(&values) {
                let from = place.number() as usize;
                let mut touched = from / BLOCK..=(from + 3 + value.len()) / BLOCK;
                // The block that was read last may still be in memory.
                match shelf.get(*place) {
                    Ok(found) => assert_eq!(found, *value, "{changed}"),
                    Err(error) => {
                        assert_eq!(error, ShelfError::Damaged);
                        assert!(touched.any(|block| block == changed / BLOCK), "{changed}");
                    }
                }
            }
        }
        assert_eq!(shelf.get(newer).unwrap(), b"newer");
        assert_eq!(shelf.get(other).unwrap(), b"other");
        std::fs::write(&path, []).unwrap();
        assert_eq!(shelf.get(places[19]), Err(ShelfError::Damaged));
    }
}
