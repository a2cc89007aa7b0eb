//! How a value lies on a shelf: the encoding of [`derived`] in one block of LZ4, since names recur in
//! it, and much of it is as in other values.
//!
//! ```text
//! record = learnt u16 || length u32 || block      numbers as in `derived`
//! ```
//!
//! The block is made after so many bytes of a [`Dictionary`], and has so many bytes before.

use std::sync::Arc;

use bincode::{Decode, Encode};
use lz4_flex::block::{
    CompressTable, compress_into_with_dict, compress_into_with_table, decompress_with_dict,
    get_maximum_output_size,
};

use crate::model::derived;

/// The longest dictionary: some four gifts. To compress after more takes longer, and saves little.
const LEARNT_MAX: usize = 2048;

/// What values of one sort have in common: the encodings of some that were there first.
///
/// It only grows: a record says how much of it there was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Dictionary(Arc<Vec<u8>>);

impl Dictionary {
    /// Takes in a value that is new, as long as that leaves half of the room for values that have
    /// changed already: most are of that sort in the end.
    pub(super) fn learn_new(&mut self, value: &impl Encode) {
        self.learn(value, LEARNT_MAX / 2);
    }

    /// Takes in a value that has changed, as long as there is room.
    pub(super) fn learn_changed(&mut self, value: &impl Encode) {
        self.learn(value, LEARNT_MAX);
    }

    fn learn(&mut self, value: &impl Encode, max: usize) {
        if self.0.len() < max {
            let learnt = Arc::make_mut(&mut self.0);
            derived::encode_onto(value, learnt);
            learnt.truncate(max);
        }
    }

    /// The value of a record; none if it is none.
    pub(super) fn value<V: Decode<()>>(&self, record: &[u8]) -> Option<V> {
        let mut block = record;
        let (learnt, len): (u16, u32) = derived::read(&mut block, record.len() as u64).ok()?;
        let (learnt, len) = (self.0.get(..learnt.into())?, len as usize);
        // A byte of a block stands for 255 at most: more is not allocated for it.
        if len > 64 + 255 * block.len() {
            return None;
        }
        derived::decode(&decompress_with_dict(block, len, learnt).ok()?)
    }
}

/// Makes records, one after the other in the same room.
#[derive(Default)]
pub(super) struct Recorder {
    encoded: Vec<u8>,
    record: Vec<u8>,
    table: CompressTable,
}

impl Recorder {
    /// The record of a value.
    pub(super) fn record(&mut self, value: &impl Encode, dictionary: &Dictionary) -> &[u8] {
        let Dictionary(learnt) = dictionary;
        self.encoded.clear();
        derived::encode_onto(value, &mut self.encoded);
        let len = u32::try_from(self.encoded.len()).expect("no value has 4 GB");
        let learnt_len = u16::try_from(learnt.len()).expect("a dictionary is shorter");
        self.record.clear();
        derived::encode_onto(&(learnt_len, len), &mut self.record);
        let begin = self.record.len();
        self.record.resize(begin + get_maximum_output_size(self.encoded.len()), 0);
        let block = &mut self.record[begin..];
        let len = match learnt.is_empty() {
            true => compress_into_with_table(&self.encoded, block, &mut self.table),
            false => compress_into_with_dict(&self.encoded, block, learnt),
        };
        self.record.truncate(begin + len.expect("there is room for the longest block"));
        &self.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of all lengths, before and after the dictionary has grown.
    #[test]
    fn a_record_gives_back_its_value_also_when_more_has_been_learnt() {
        let (mut recorder, mut dictionary) = (Recorder::default(), Dictionary::default());
        let mut records = Vec::new();
        for len in (0..300).chain([65_534, 65_535, 65_536, 200_000]).chain(0..300) {
            let value: Vec<u32> = (0..len).map(|number| number % 1000 * 77_777).collect();
            let record = recorder.record(&value, &dictionary).to_vec();
            for cut in [1, 4, record.len()] {
                let cut = &record[..record.len().saturating_sub(cut)];
                assert_eq!(dictionary.value::<Vec<u32>>(cut), None, "{len}");
            }
            records.push((value.clone(), record));
            dictionary.learn_new(&value);
            assert!(dictionary.0.len() <= LEARNT_MAX / 2);
        }
        dictionary.learn_changed(&records[299].0);
        dictionary.learn_changed(&records[302].0);
        assert_eq!(dictionary.0.len(), LEARNT_MAX);
        for (value, record) in &records {
            assert_eq!(dictionary.value::<Vec<u32>>(record).as_ref(), Some(value));
        }
        let again = recorder.record(&records[299].0, &dictionary);
        assert!(2 * again.len() < records[299].1.len(), "{}", again.len());
        assert_eq!(Dictionary::default().value::<Vec<u32>>(again), None);
    }

    #[test]
    fn a_record_that_claims_too_much_allocates_nothing() {
        let dictionary = Dictionary::default();
        let record = [derived::encode(&(0u16, u32::MAX)), vec![0x10, 7]].concat();
        assert_eq!(dictionary.value::<u8>(&record), None);
        let record = [derived::encode(&(0u16, 1u32)), vec![0x10, 7]].concat();
        assert_eq!(dictionary.value::<u8>(&record), Some(7));
    }
}
