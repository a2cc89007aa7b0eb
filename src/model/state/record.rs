//! How a value lies on a shelf: the encoding of [`derived`] in one block of LZ4 after its length,
//! since names and keys recur in it.

use bincode::{Decode, Encode};
use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress, get_maximum_output_size, uncompressed_size,
};

use crate::model::derived;

/// Makes records, one after the other in the same room.
#[derive(Default)]
pub(super) struct Recorder {
    encoded: Vec<u8>,
    record: Vec<u8>,
    table: CompressTable,
}

impl Recorder {
    /// The record of a value.
    pub(super) fn record(&mut self, value: &impl Encode) -> &[u8] {
        self.encoded.clear();
        derived::encode_onto(value, &mut self.encoded);
        let len = u32::try_from(self.encoded.len()).expect("no value has 4 GB");
        self.record.clear();
        self.record.extend_from_slice(&len.to_le_bytes());
        let begin = self.record.len();
        self.record.resize(begin + get_maximum_output_size(self.encoded.len()), 0);
        let block = &mut self.record[begin..];
        let len = compress_into_with_table(&self.encoded, block, &mut self.table);
        self.record.truncate(begin + len.expect("there is room for the longest block"));
        &self.record
    }
}

/// The value of a record; none if it is none.
pub(super) fn of_record<V: Decode<()>>(record: &[u8]) -> Option<V> {
    let (len, block) = uncompressed_size(record).ok()?;
    // A byte of a block stands for 255 at most: more is not allocated for it.
    if len > 64 + 255 * block.len() {
        return None;
    }
    derived::decode(&decompress(block, len).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of all lengths, before and after the table has grown for a long one.
    #[test]
    fn a_record_gives_back_its_value() {
        let mut recorder = Recorder::default();
        for len in (0..300).chain([65_534, 65_535, 65_536, 200_000]).chain(0..300) {
            let value: Vec<u32> = (0..len).map(|number| number % 1000 * 77_777).collect();
            let record = recorder.record(&value);
            assert_eq!(of_record::<Vec<u32>>(record).as_ref(), Some(&value), "{len}");
            let whole = record.to_vec();
            for cut in [1, 4, whole.len()] {
                assert_eq!(of_record::<Vec<u32>>(&whole[..whole.len() - cut]), None, "{len}");
            }
        }
    }

    #[test]
    fn a_record_that_claims_too_much_allocates_nothing() {
        let mut record = Recorder::default().record(&7u8).to_vec();
        record[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(of_record::<u8>(&record), None);
    }
}
