//! The objects of a log that were read last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::ObjectName;

/// The most objects that are kept.
const OBJECTS_MAX: usize = 64;
/// The most bytes that are kept, unless one object alone is longer.
const BYTES_MAX: usize = 16 << 20;

/// A few objects of one log, which never change once they are there.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Vec<(ObjectName, Arc<Vec<u8>>)>>);

impl Cache {
    /// The object, if it is among them.
    pub(super) fn get(&self, name: &ObjectName) -> Option<Arc<Vec<u8>>> {
        let mut objects = self.objects();
        let at = objects.iter().position(|(cached, _)| cached == name)?;
        // The last is the most recently used one.
        let object = objects.remove(at);
        let bytes = Arc::clone(&object.1);
        objects.push(object);
        Some(bytes)
    }

    /// Adds an object, for the longest unused ones.
    pub(super) fn put(&self, name: ObjectName, bytes: &Arc<Vec<u8>>) {
        let mut objects = self.objects();
        objects.retain(|(cached, _)| *cached != name);
        objects.push((name, Arc::clone(bytes)));
        let mut len: usize = objects.iter().map(|(_, bytes)| bytes.len()).sum();
        while objects.len() > 1 && (objects.len() > OBJECTS_MAX || len > BYTES_MAX) {
            len -= objects.remove(0).1.len();
        }
    }

    fn objects(&self) -> MutexGuard<'_, Vec<(ObjectName, Arc<Vec<u8>>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_objects_go_first() {
        let cache = Cache::default();
        let name = |index| ObjectName::Bundle(index);
        let object = |len| Arc::new(vec![0; len]);
        (0..OBJECTS_MAX as u64).for_each(|index| cache.put(name(index), &object(1)));
        assert!(cache.get(&name(0)).is_some());
        cache.put(name(1000), &object(1));
        assert!(cache.get(&name(0)).is_some());
        assert!(cache.get(&name(1)).is_none());

        cache.put(name(1001), &object(BYTES_MAX));
        assert!(cache.get(&name(1001)).is_some());
        assert!(cache.get(&name(0)).is_none());
    }
}
