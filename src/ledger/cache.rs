//! What of a log was read last.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most bytes that are kept, unless one value alone is longer.
const BYTES_MAX: usize = 16 << 20;

/// What a value takes beside its bytes, about.
const EACH: usize = 128;

/// Values that never change once they are there.
///
/// They stand in two generations: what is used is in the younger one. When that has half of the
/// room, it becomes the older one, and what was not used since the last time is let go.
#[derive(Debug)]
pub(super) struct Cache<K>(Mutex<Generations<K>>);

#[derive(Debug)]
struct Generations<K> {
    younger: HashMap<K, Arc<Vec<u8>>>,
    older: HashMap<K, Arc<Vec<u8>>>,
    /// What the younger ones take, in bytes.
    len: usize,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self(Mutex::new(Generations { younger: HashMap::new(), older: HashMap::new(), len: 0 }))
    }
}

impl<K: Copy + Eq + Hash> Cache<K> {
    /// The value, if it is among them.
    pub(super) fn get(&self, key: &K) -> Option<Arc<Vec<u8>>> {
        let mut values = self.values();
        if let Some(bytes) = values.younger.get(key) {
            return Some(Arc::clone(bytes));
        }
        let bytes = values.older.remove(key)?;
        values.put(*key, &bytes);
        Some(bytes)
    }

    /// Adds a value, in the place of any other.
    pub(super) fn put(&self, key: K, bytes: &Arc<Vec<u8>>) {
        self.values().put(key, bytes);
    }

    fn values(&self) -> MutexGuard<'_, Generations<K>> {
        // A panic between two lines leaves at worst a length that is too great.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Generations<K> {
    fn put(&mut self, key: K, bytes: &Arc<Vec<u8>>) {
        let len = EACH + bytes.len();
        if self.len + len > BYTES_MAX / 2 {
            self.older = mem::take(&mut self.younger);
            self.len = 0;
        }
        self.len += len;
        self.younger.insert(key, Arc::clone(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_used_goes_first() {
        let cache = Cache::default();
        let value = |len| Arc::new(vec![0; len]);
        let len = BYTES_MAX / 64 - EACH;
        (0..32).for_each(|key| cache.put(key, &value(len)));
        // The next one begins another generation.
        cache.put(32, &value(len));
        assert!((0..16).all(|key| cache.get(&key).is_some()));
        (33..48).for_each(|key| cache.put(key, &value(len)));
        cache.put(48, &value(len));
        assert!((0..16).chain(32..49).all(|key| cache.get(&key).is_some()));
        assert!((16..32).all(|key| cache.get(&key).is_none()));
    }

    #[test]
    fn memory_is_bounded_and_one_value_is_always_kept() {
        let cache = Cache::default();
        let held = |cache: &Cache<u64>| -> usize {
            let values = cache.values();
            let both = values.younger.values().chain(values.older.values());
            both.map(|bytes| bytes.len() + EACH).sum()
        };
        for key in 0..1000u64 {
            cache.put(key, &Arc::new(vec![0; 1000 * (key as usize % 97)]));
            let _ = cache.get(&(key / 2));
            assert!(held(&cache) <= BYTES_MAX);
        }
        cache.put(1000, &Arc::new(vec![0; 2 * BYTES_MAX]));
        assert!(cache.get(&1000).is_some());
        cache.put(1001, &Arc::new(vec![0; 2 * BYTES_MAX]));
        cache.put(1002, &Arc::default());
        cache.put(1003, &Arc::new(vec![0; 2 * BYTES_MAX]));
        assert!(cache.get(&1001).is_none());
        assert!(cache.get(&1003).is_some());
    }
}
