//! The bytes of a proof file (spec section 17.1).

use super::{
    AUDITS_MAX, About, AuditShown, MAGIC, NotAProof, PROOF_FILE_LEN_MAX, ProofFile, TABLES,
};
use crate::model::checkpoint::SignedCheckpoint;
use crate::model::encoding::Malformed;
use crate::model::entry::{ENTRY_LEN_MAX, ENTRY_LEN_MIN};
use crate::model::hash::{EventHash, HASH_LEN, NodeHash};
use crate::model::ident::GiftId;
use crate::model::version::newer;
use crate::model::violation::Code;

const GIFT: u8 = 1;
const NO_GIFT: u8 = 2;

impl ProofFile {
    /// Whether bytes claim to be a proof file, of this version or a newer one.
    pub fn is_meant(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC) || newer(MAGIC, bytes).is_some()
    }

    /// Reads a proof file; only its own spelling is accepted.
    ///
    /// # Errors
    /// `proof-file/newer-version`; `proof-file/malformed` with the detail: `encoding/truncated`, `encoding/trailing`,
    /// `encoding/too-long`, `encoding/option`, `code/unknown`, `proof-file/magic`, `list/too-long`,
    /// `entry/too-large`; `checkpoint/malformed` with what is wrong with the checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAProof> {
        if bytes.len() > PROOF_FILE_LEN_MAX {
            return Err(Malformed::new("encoding/too-long").into());
        }
        if newer(MAGIC, bytes).is_some() {
            let detail = Malformed::new("proof-file/magic");
            return Err(NotAProof { code: "proof-file/newer-version", detail });
        }
        let bytes = bytes.strip_prefix(MAGIC).ok_or(Malformed::new("proof-file/magic"))?;
        let mut reader = Reader(bytes);
        let about = match reader.array()? {
            [GIFT] => About::Gift(EventHash::from_bytes(reader.array()?)),
            [NO_GIFT] => About::NoGift(GiftId::from_bytes(reader.array()?)),
            _ => return Err(Malformed::new("code/unknown").into()),
        };
        let checkpoint = reader.long()?;
        let seal = match reader.array()? {
            [0] => None,
            [1] => Some(u64::from_be_bytes(reader.array()?)),
            _ => return Err(Malformed::new("encoding/option").into()),
        };
        let count = u32::from_be_bytes(reader.array()?);
        // Items grow the vectors one by one: a hostile count allocates nothing by itself.
        let mut entries = Vec::new();
        for _ in 0..count {
            let len = usize::from(u16::from_be_bytes(reader.array()?));
            // What takes more memory than bytes is no entry.
            if len < ENTRY_LEN_MIN {
                return Err(Malformed::new("encoding/truncated").into());
            }
            entries.push(reader.take(len)?.to_vec());
        }
        let count = u32::from_be_bytes(reader.array()?);
        let tree = reader.hashes(usize::try_from(count).unwrap_or(usize::MAX))?;
        let mut tables: [Vec<u8>; TABLES] = Default::default();
        for table in &mut tables {
            *table = reader.long()?.to_vec();
        }
        let [count] = reader.array()?;
        if usize::from(count) > AUDITS_MAX {
            return Err(Malformed::new("list/too-long").into());
        }
        let mut audits = Vec::new();
        for _ in 0..count {
            let note = reader.long()?.to_vec();
            let [count] = reader.array()?;
            audits.push(AuditShown { note, consistency: reader.hashes(usize::from(count))? });
        }
        if !reader.0.is_empty() {
            return Err(Malformed::new("encoding/trailing").into());
        }
        let checkpoint = SignedCheckpoint::parse(checkpoint).map_err(|error| NotAProof {
            code: Code::CheckpointMalformed.as_str(),
            detail: Malformed::new(error.code()),
        })?;
        Ok(Self { about, checkpoint, seal, entries, tree, tables, audits })
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        match &self.about {
            About::Gift(donation) => {
                bytes.push(GIFT);
                bytes.extend_from_slice(donation.as_bytes());
            }
            About::NoGift(id) => {
                bytes.push(NO_GIFT);
                bytes.extend_from_slice(id.as_bytes());
            }
        }
        push_long(&mut bytes, self.checkpoint.to_string().as_bytes());
        bytes.push(u8::from(self.seal.is_some()));
        bytes.extend(self.seal.iter().flat_map(|index| index.to_be_bytes()));
        bytes.extend_from_slice(&count(self.entries.len()).to_be_bytes());
        for entry in &self.entries {
            assert!(entry.len() <= ENTRY_LEN_MAX, "a log has no longer entries");
            bytes.extend_from_slice(&(entry.len() as u16).to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        bytes.extend_from_slice(&count(self.tree.len()).to_be_bytes());
        self.tree.iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
        self.tables.iter().for_each(|table| push_long(&mut bytes, table));
        bytes.push(u8::try_from(self.audits.len()).expect("there are at most 16"));
        for audit in &self.audits {
            push_long(&mut bytes, &audit.note);
            bytes.push(u8::try_from(audit.consistency.len()).expect("at most 64 hashes"));
            audit.consistency.iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
        }
        bytes
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("a proof file is at most 64 MiB")
}

fn push_long(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&count(part.len()).to_be_bytes());
    bytes.extend_from_slice(part);
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let parts = self.0.split_at_checked(len);
        let (part, rest) = parts.ok_or(Malformed::new("encoding/truncated"))?;
        self.0 = rest;
        Ok(part)
    }

    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], Malformed> {
        let bytes = self.take(LEN)?;
        Ok(bytes.try_into().expect("so many bytes were taken"))
    }

    /// A u32 length and so many bytes.
    fn long(&mut self) -> Result<&'a [u8], Malformed> {
        let len = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    fn hashes(&mut self, count: usize) -> Result<Vec<NodeHash>, Malformed> {
        let (hashes, _) = self.take(count.saturating_mul(HASH_LEN))?.as_chunks::<HASH_LEN>();
        Ok(hashes.iter().copied().map(NodeHash::from_bytes).collect())
    }
}
