//! What has changed in a collection since somebody asked.
//!
//! Whoever keeps a large state on a disk writes what has changed, and not all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::encoding::never_borrows;

/// What has changed since this was asked last; before it is asked first, nothing is remembered.
///
/// It is no part of what the collection is: it equals any other, and its encoding is empty.
#[derive(Clone, Debug)]
pub(super) struct Changed<T>(Option<T>);

impl<T: Default> Changed<T> {
    /// Lets something be noted, if it is to be remembered.
    pub(super) fn note(&mut self, note: impl FnOnce(&mut T)) {
        self.0.as_mut().map(note);
    }

    /// What has changed since this was asked last. From now on it is remembered.
    pub(super) fn take(&mut self) -> T {
        self.0.replace(T::default()).unwrap_or_default()
    }
}

impl<T> Default for Changed<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> PartialEq for Changed<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Changed<T> {}

impl<T> Encode for Changed<T> {
    fn encode<E: Encoder>(&self, _: &mut E) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl<C, T> Decode<C> for Changed<T> {
    fn decode<D: Decoder<Context = C>>(_: &mut D) -> Result<Self, DecodeError> {
        Ok(Self::default())
    }
}

never_borrows! { [T] Changed<T>; }

/// A map that remembers what has changed in it. Nothing is ever taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked<K, V> {
    map: BTreeMap<K, V>,
    changed: Changed<BTreeSet<K>>,
}

impl<K: Ord + Clone, V: Clone> Tracked<K, V> {
    /// Puts a value in, or in place of the key's old one.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.changed.note(|keys| _ = keys.insert(key.clone()));
        self.map.insert(key, value);
    }

    /// The key's value, to be changed.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let value = self.map.get_mut(key)?;
        self.changed.note(|keys| _ = keys.insert(key.clone()));
        Some(value)
    }

    /// The key's value, to be changed; this one if it has none.
    pub(super) fn get_or_insert(&mut self, key: K, value: V) -> &mut V {
        self.changed.note(|keys| _ = keys.insert(key.clone()));
        self.map.entry(key).or_insert(value)
    }

    /// What has changed since this was asked last; the first time, nothing.
    pub(super) fn take_changes(&mut self) -> Vec<(K, V)> {
        let changed = self.changed.take().into_iter();
        changed
            .filter_map(|key| self.map.get_key_value(&key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// Makes the changes that another map of the same beginning has seen.
    pub(super) fn take_in(&mut self, changes: Vec<(K, V)>) {
        self.map.extend(changes);
    }
}

impl<K, V> Default for Tracked<K, V> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), changed: Changed::default() }
    }
}

impl<K, V> Deref for Tracked<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.map
    }
}

impl<K: Encode + Ord, V: Encode> Encode for Tracked<K, V> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.map.encode(encoder)
    }
}

impl<C, K: Decode<C> + Ord, V: Decode<C>> Decode<C> for Tracked<K, V> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self { map: BTreeMap::decode(decoder)?, changed: Changed::default() })
    }
}

never_borrows! { [K: Decode<C> + Ord, V: Decode<C>] Tracked<K, V>; }
