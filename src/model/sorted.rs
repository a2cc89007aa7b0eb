//! Small sets and maps, each one ordered list.
//!
//! Of what a gift has, there is mostly one or two: a list takes the room of those, where a node of
//! a B-tree takes that of eleven. To put something in costs as much as what comes after it.

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use serde::Serialize;

use super::encoding::never_borrows;

/// Values, each once, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Serialize)]
#[serde(transparent)]
pub struct SortedSet<T>(Vec<T>);

/// Keys, each once and with a value, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct SortedMap<K, V>(Vec<(K, V)>);

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> std::ops::Deref for SortedSet<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Ord> SortedSet<T> {
    /// Whether a value is in it.
    pub fn contains(&self, value: &T) -> bool {
        self.0.binary_search(value).is_ok()
    }

    /// Puts a value in.
    pub fn insert(&mut self, value: T) {
        if let Err(at) = self.0.binary_search(&value) {
            insert(&mut self.0, at, value);
        }
    }

    /// Takes out what is not wanted.
    pub fn retain(&mut self, wanted: impl FnMut(&T) -> bool) {
        self.0.retain(wanted);
    }
}

impl<T: Ord> Extend<T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.insert(value));
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut set = Self::default();
        set.extend(values);
        set
    }
}

impl<'a, T> IntoIterator for &'a SortedSet<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<K, V> SortedMap<K, V> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every key with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }

    /// A key's value.
    pub fn get(&self, key: &K) -> Option<&V> {
        Some(&self.0[self.find(key).ok()?].1)
    }

    /// A key's value, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key).ok()?;
        Some(&mut self.0[at].1)
    }

    /// Puts a value in, or in place of the key's old one.
    pub fn insert(&mut self, key: K, value: V) {
        match self.find(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => insert(&mut self.0, at, (key, value)),
        }
    }

    /// A key's value, which is `new` if it had none.
    pub fn get_or_insert_with(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        let at = self.find(&key).unwrap_or_else(|at| {
            insert(&mut self.0, at, (key, new()));
            at
        });
        &mut self.0[at].1
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) {
        if let Ok(at) = self.find(key) {
            self.0.remove(at);
        }
    }
}

/// The first two take the room of themselves, and more make room for half as many again.
fn insert<T>(list: &mut Vec<T>, at: usize, value: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 2);
    }
    list.insert(at, value);
}

impl<C, T: Ord + Decode<C>> Decode<C> for SortedSet<T> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let values = Vec::<T>::decode(decoder)?;
        match values.windows(2).all(|pair| pair[0] < pair[1]) {
            true => Ok(Self(values)),
            false => Err(DecodeError::Other("a set that is not in order")),
        }
    }
}

impl<C, K: Ord + Decode<C>, V: Decode<C>> Decode<C> for SortedMap<K, V> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let pairs = Vec::<(K, V)>::decode(decoder)?;
        match pairs.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            true => Ok(Self(pairs)),
            false => Err(DecodeError::Other("a map that is not in order")),
        }
    }
}

never_borrows! { [T: Ord + Decode<C>] SortedSet<T>; }
never_borrows! { [K: Ord + Decode<C>, V: Decode<C>] SortedMap<K, V>; }

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::model::derived;

    #[test]
    fn they_are_what_trees_are() {
        let (mut set, mut tree) = (SortedSet::default(), BTreeSet::new());
        let (mut map, mut other) = (SortedMap::default(), BTreeMap::new());
        let mut number = 1u32;
        for round in 0..2_000u32 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = (number >> 16) % 100;
            set.insert(key);
            tree.insert(key);
            match number % 4 {
                0 => {
                    map.remove(&key);
                    other.remove(&key);
                }
                1 => {
                    map.insert(key, round);
                    other.insert(key, round);
                }
                2 => {
                    *map.get_or_insert_with(key, || round) += 1;
                    *other.entry(key).or_insert(round) += 1;
                }
                _ => {
                    assert_eq!(map.get(&key), other.get(&key));
                    assert_eq!(map.get_mut(&key), other.get_mut(&key));
                }
            }
            assert!(set.iter().eq(&tree) && set.contains(&key));
            assert_eq!(set.contains(&(key + 1)), tree.contains(&(key + 1)));
            assert!(map.iter().eq(&other) && map.len() == other.len());
        }
        set.retain(|key| key % 3 == 0);
        tree.retain(|key| key % 3 == 0);
        assert!(set.iter().eq(&tree));
        assert_eq!(derived::encode(&set), derived::encode(&tree));
        assert_eq!(derived::encode(&map), derived::encode(&other));
        assert_eq!(derived::decode(&derived::encode(&map)), Some(map));
        assert_eq!(derived::decode(&derived::encode(&set)), Some(set));
    }

    #[test]
    fn what_is_out_of_order_is_none() {
        assert_eq!(derived::decode::<SortedSet<u8>>(&derived::encode(&vec![2u8, 1])), None);
        assert_eq!(derived::decode::<SortedSet<u8>>(&derived::encode(&vec![1u8, 1])), None);
        let pairs = vec![(2u8, 0u8), (1, 0)];
        assert_eq!(derived::decode::<SortedMap<u8, u8>>(&derived::encode(&pairs)), None);
    }
}
