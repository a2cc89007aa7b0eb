//! Gifts and shipments: values of which there are many more than are in use.
//!
//! Those that were used last are in memory as they are: they are *hot*. All others lie encoded on a
//! [`Shelf`], and a directory says where. What is hot is bounded in bytes, and which goes is
//! decided by nothing but when it was used last: a log cannot choose to keep its gifts in memory.
//!
//! - What is hot says itself whether it lies on the shelf as it is now, and where; what the
//!   directory says of it may be of an older one.
//! - What is not hot lies at its place in the directory.
//! - To look at a value changes nothing; only to change it, or to ask for it by [`Kept::warm`],
//!   makes it hot.
//!
//! A shelf can fail, and the rules have no word for that: to them the value is not there. So after
//! it let them judge, the caller asks for [`Kept::fault`], and believes no answer if there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use lru::LruCache;

use super::record::{Dictionary, Recorder};
use super::shelf::{MemoryShelf, Place, Shelf, ShelfError};
use crate::model::encoding::never_borrows;

/// The bytes under which a value is kept.
pub const LABEL_LEN: usize = 20;

/// Under what a value is kept: as many bytes as nobody can make two keys for. Values are in the
/// order of their labels.
pub type Label = [u8; LABEL_LEN];

/// A value that can be kept.
pub trait Keep: Encode + Decode<()> + Clone + PartialEq + fmt::Debug {
    /// What tells it from others.
    type Key: PartialEq;

    /// How much of all values is hot if nothing else is said, in bytes as [`Self::weight`] has them.
    const HOT_MAX: usize;

    /// Its key.
    fn key(&self) -> &Self::Key;

    /// The label of a key; no two values that are kept have the same.
    fn label(key: &Self::Key) -> Label;

    /// About how many bytes it takes in memory.
    fn weight(&self) -> usize;
}

/// A value in memory.
#[derive(Clone)]
struct Hot<V> {
    value: Arc<V>,
    weight: usize,
    /// Where it lies on the shelf as it is now.
    place: Option<Place>,
}

/// Any number of values, of which a bounded part is in memory.
///
/// A copy shares the shelf with the original, and its faults.
pub struct Kept<V: Keep> {
    /// Where each value lies that is not hot; nothing is to be read from it of one that is.
    directory: BTreeMap<Label, Option<Place>>,
    hot: LruCache<Label, Hot<V>>,
    hot_weight: usize,
    hot_max: usize,
    shelf: Arc<RwLock<dyn Shelf>>,
    /// Held by each copy.
    copies: Arc<()>,
    /// What has changed since [`Self::take_changed`]; `None` before it is asked first.
    changed: Option<BTreeSet<Label>>,
    fault: Arc<OnceLock<ShelfError>>,
    /// What records are made and read with.
    dictionary: Dictionary,
    learns: bool,
    recorder: Recorder,
}

impl<V: Keep> Default for Kept<V> {
    /// Nothing, over a shelf in memory.
    fn default() -> Self {
        Self::over(MemoryShelf::default(), V::HOT_MAX)
    }
}

impl<V: Keep> Kept<V> {
    /// Nothing yet, over a shelf. So many bytes are hot, or one value if that has more.
    pub fn over(shelf: impl Shelf + 'static, hot_max: usize) -> Self {
        Self {
            directory: BTreeMap::new(),
            hot: LruCache::unbounded(),
            hot_weight: 0,
            hot_max,
            shelf: Arc::new(RwLock::new(shelf)),
            copies: Arc::default(),
            changed: None,
            fault: Arc::default(),
            dictionary: Dictionary::default(),
            learns: false,
            recorder: Recorder::default(),
        }
    }

    /// What lies on a shelf already, in records that this could have made.
    pub fn at_places(
        &self,
        shelf: impl Shelf + 'static,
        hot_max: usize,
        places: impl IntoIterator<Item = (Label, Place)>,
    ) -> Self {
        let places = places.into_iter().map(|(label, place)| (label, Some(place)));
        let (directory, dictionary) = (places.collect(), self.dictionary.clone());
        Self { directory, dictionary, ..Self::over(shelf, hot_max) }
    }

    /// The same, on a shelf that lasts: it is worth some time to make records short.
    pub fn learning(self) -> Self {
        Self { learns: true, ..self }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.directory.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.directory.is_empty()
    }

    /// How many are in memory.
    pub fn hot_len(&self) -> usize {
        self.hot.len()
    }

    /// The value with this key.
    pub fn get(&self, key: &V::Key) -> Option<Arc<V>> {
        self.labelled(&V::label(key)).filter(|value| value.key() == key)
    }

    /// Whether there is a value with this key.
    pub fn contains(&self, key: &V::Key) -> bool {
        self.get(key).is_some()
    }

    /// The value with this label.
    pub fn labelled(&self, label: &Label) -> Option<Arc<V>> {
        match self.hot.peek(label) {
            Some(hot) => Some(Arc::clone(&hot.value)),
            None => self.cold(label, self.directory.get(label)?).map(|(value, _)| value),
        }
    }

    /// All values, in the order of their labels.
    pub fn iter(&self) -> impl Iterator<Item = Arc<V>> {
        self.directory.iter().filter_map(|(label, place)| match self.hot.peek(label) {
            Some(hot) => Some(Arc::clone(&hot.value)),
            None => self.cold(label, place).map(|(value, _)| value),
        })
    }

    /// As [`Self::get`], for a value that is about to be used more than once.
    pub fn warm(&mut self, key: &V::Key) -> Option<Arc<V>> {
        let label = V::label(key);
        if let Some(hot) = self.hot.get(&label) {
            return Some(Arc::clone(&hot.value)).filter(|value| value.key() == key);
        }
        let (value, place) = self.cold(&label, self.directory.get(&label)?)?;
        if value.key() != key {
            return None;
        }
        self.heat(label, Arc::clone(&value), Some(place));
        Some(value)
    }

    /// Takes a value in, in place of what has its key.
    pub fn put(&mut self, value: impl Into<Arc<V>>) {
        let value = value.into();
        let label = V::label(value.key());
        let lay = match self.hot.peek(&label) {
            Some(hot) => hot.place,
            None => match self.directory.insert(label, None) {
                Some(before) => before,
                None => {
                    if self.learns {
                        self.dictionary.learn_new(&*value);
                    }
                    None
                }
            },
        };
        self.settle(label, value, lay);
    }

    /// Lets a value change, if there is one with this key.
    pub fn change<T>(&mut self, key: &V::Key, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        let label = V::label(key);
        // Out of the cache, so that it need not be copied.
        let (mut value, lay) = match self.hot.pop(&label) {
            Some(hot) => {
                self.hot_weight -= hot.weight;
                (hot.value, hot.place)
            }
            None => {
                let (value, place) = self.cold(&label, self.directory.get(&label)?)?;
                (value, Some(place))
            }
        };
        if value.key() != key {
            self.heat(label, value, lay);
            return None;
        }
        let result = change(Arc::make_mut(&mut value));
        if self.learns {
            self.dictionary.learn_changed(&*value);
        }
        self.settle(label, value, lay);
        Some(result)
    }

    /// Takes in what is new under a label of the directory; `lay` is where the old one did.
    fn settle(&mut self, label: Label, value: Arc<V>, lay: Option<Place>) {
        if let Some(place) = lay {
            self.clear(place);
        }
        if let Some(changed) = &mut self.changed {
            changed.insert(label);
        }
        self.heat(label, value, None);
    }

    /// What has changed since this was asked last; at first, everything.
    pub fn take_changed(&mut self) -> ChangedValues<V> {
        let labels: Vec<Label> = match self.changed.replace(BTreeSet::new()) {
            Some(changed) => changed.into_iter().collect(),
            None => self.directory.keys().copied().collect(),
        };
        let value = |label: Label| match self.hot.peek(&label) {
            Some(Hot { value, place: None, .. }) => (label, ChangedValue::Hot(Arc::clone(value))),
            Some(Hot { place: Some(place), .. }) => (label, ChangedValue::Lies(*place)),
            None => (label, ChangedValue::Lies(shelved(&self.directory[&label]))),
        };
        let values = labels.into_iter().map(value).collect();
        let dictionary = self.dictionary.clone();
        ChangedValues { values, shelf: Arc::clone(&self.shelf), dictionary }
    }

    /// What has changed until now is not asked for: [`Self::take_changed`] gives what changes after.
    pub fn track_changes(&mut self) {
        self.changed = Some(BTreeSet::new());
    }

    /// What was taken has come to nothing: [`Self::take_changed`] gives everything again.
    pub fn forget_changes(&mut self) {
        self.changed = None;
    }

    /// Takes note of where the values lie that were put on the shelf.
    pub fn note_shelved(&mut self, shelved: ShelvedValues<V>) {
        for (label, value, place) in shelved.0 {
            match self.hot.peek_mut(&label) {
                Some(hot) if hot.place.is_none() && Arc::ptr_eq(&hot.value, &value) => {
                    hot.place = Some(place);
                }
                // It has changed since, or gone to the shelf once more.
                _ => self.clear(place),
            }
        }
    }

    /// Where everything lies, in the order of labels; `None` for what is not on the shelf as it is.
    pub fn places(&self) -> impl Iterator<Item = (Label, Option<Place>)> {
        self.directory.iter().map(|(label, place)| match self.hot.peek(label) {
            Some(hot) => (*label, hot.place),
            None => (*label, *place),
        })
    }

    /// What records are made with now.
    pub(super) fn dictionary(&self) -> Dictionary {
        self.dictionary.clone()
    }

    /// Takes in where values lie that another has put on the same shelf, with its dictionary.
    pub(super) fn take_in(
        &mut self,
        places: impl IntoIterator<Item = (Label, Place)>,
        dictionary: Dictionary,
    ) {
        self.dictionary = dictionary;
        for (label, place) in places {
            if let Some(old) = self.hot.pop(&label) {
                self.hot_weight -= old.weight;
            }
            self.directory.insert(label, Some(place));
        }
    }

    /// The places of all that lies on the shelf as it is, in their order.
    pub fn taken(&self) -> Vec<Place> {
        let mut taken: Vec<Place> = self.places().filter_map(|(_, place)| place).collect();
        taken.sort_unstable();
        taken
    }

    /// What lies at the places that are [taken](Self::taken) lies at these of another shelf, in the
    /// same order.
    ///
    /// # Panics
    /// If they are more or fewer.
    pub fn relocate(&mut self, shelf: impl Shelf + 'static, to: Vec<Place>) {
        let cold = self.directory.iter_mut().filter(|(label, _)| !self.hot.contains(*label));
        let mut taken: Vec<&mut Place> = cold.filter_map(|(_, place)| place.as_mut()).collect();
        taken.extend(self.hot.iter_mut().filter_map(|(_, hot)| hot.place.as_mut()));
        taken.sort_unstable();
        assert_eq!(taken.len(), to.len(), "a place for each");
        taken.into_iter().zip(to).for_each(|(place, to)| *place = to);
        // Copies are left with the old one.
        (self.shelf, self.copies) = (Arc::new(RwLock::new(shelf)), Arc::default());
    }

    /// Every value as it would lie on a shelf, with its label, in the order of labels.
    pub fn records(&self) -> impl Iterator<Item = Result<(Label, Vec<u8>), ShelfError>> {
        let mut recorder = Recorder::default();
        self.places().map(move |(label, place)| {
            let bytes = match place {
                Some(place) => self.shelf().get(place)?,
                None => {
                    let hot = self.hot.peek(&label).expect("what is not on the shelf is hot");
                    recorder.record(&*hot.value, &self.dictionary).to_vec()
                }
            };
            Ok((label, bytes))
        })
    }

    /// Why a value could not be had, if that has happened. Whatever was answered since may be
    /// wrong.
    pub fn fault(&self) -> Option<ShelfError> {
        self.fault.get().copied()
    }

    /// [`Self::fault`], for whoever has this in hand no more.
    pub(super) fn watch(&self) -> impl Fn() -> Option<ShelfError> + use<V> {
        let fault = Arc::clone(&self.fault);
        move || fault.get().copied()
    }

    /// A value that is not hot, with its place in the directory.
    fn cold(&self, label: &Label, place: &Option<Place>) -> Option<(Arc<V>, Place)> {
        let place = shelved(place);
        let read = self.shelf().get(place).and_then(|bytes| {
            let value = self.dictionary.value::<V>(&bytes);
            let value = value.filter(|value| V::label(value.key()) == *label);
            value.ok_or(ShelfError::Damaged)
        });
        read.map(|value| (Arc::new(value), place)).map_err(|error| self.note(error)).ok()
    }

    /// Makes a value the one that was used last, and lets others go for it.
    fn heat(&mut self, label: Label, value: Arc<V>, place: Option<Place>) {
        let weight = value.weight();
        self.hot_weight += weight;
        if let Some(before) = self.hot.put(label, Hot { value, weight, place }) {
            self.hot_weight -= before.weight;
        }
        while self.hot_weight > self.hot_max && self.hot.len() > 1 {
            if let Err(error) = self.cool() {
                // It stays, so that nothing is lost: until the caller asks for the fault, more is
                // in memory than should be.
                self.note(error);
                return;
            }
        }
    }

    /// Lets the value go that was not used for longest.
    fn cool(&mut self) -> Result<(), ShelfError> {
        let Some((label, oldest)) = self.hot.peek_lru() else { return Ok(()) };
        let place = match oldest.place {
            Some(place) => place,
            None => {
                let record = self.recorder.record(&*oldest.value, &self.dictionary);
                self.shelf.write().unwrap_or_else(PoisonError::into_inner).put(record)?
            }
        };
        self.hot_weight -= oldest.weight;
        self.directory.insert(*label, Some(place));
        self.hot.pop_lru();
        Ok(())
    }

    /// A copy may still find there what it holds: then the place stays taken.
    fn clear(&mut self, place: Place) {
        if Arc::strong_count(&self.copies) == 1 {
            self.shelf_mut().clear(place);
        }
    }

    fn note(&self, error: ShelfError) {
        self.fault.get_or_init(|| error);
    }

    fn shelf(&self) -> RwLockReadGuard<'_, dyn Shelf + 'static> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf_mut(&self) -> RwLockWriteGuard<'_, dyn Shelf + 'static> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of what is not hot.
fn shelved(place: &Option<Place>) -> Place {
    place.expect("what is not hot has gone to the shelf")
}

/// What has changed, to be put on the shelf, by whoever has the time.
pub struct ChangedValues<V> {
    values: Vec<(Label, ChangedValue<V>)>,
    shelf: Arc<RwLock<dyn Shelf>>,
    dictionary: Dictionary,
}

enum ChangedValue<V> {
    Lies(Place),
    /// It stays as it is: whoever changes it has another one then.
    Hot(Arc<V>),
}

/// Labels, in their order, and where their values lie.
pub type Places = Vec<(Label, Place)>;

/// The values that were put on the shelf, and where.
pub struct ShelvedValues<V>(Vec<(Label, Arc<V>, Place)>);

impl<V: Keep> ChangedValues<V> {
    /// Puts on the shelf what is not there: gives the places of all, in the order of labels, and
    /// what [`Kept::note_shelved`] is to know.
    ///
    /// # Errors
    /// Those of [`Shelf::put`].
    pub fn shelve(self) -> Result<(Places, ShelvedValues<V>), ShelfError> {
        let (mut places, mut shelved) = (Vec::with_capacity(self.values.len()), Vec::new());
        let mut recorder = Recorder::default();
        for (label, value) in self.values {
            let place = match value {
                ChangedValue::Lies(place) => place,
                ChangedValue::Hot(value) => {
                    let record = recorder.record(&*value, &self.dictionary);
                    let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
                    let place = shelf.put(record)?;
                    shelved.push((label, value, place));
                    place
                }
            };
            places.push((label, place));
        }
        Ok((places, ShelvedValues(shelved)))
    }
}

impl<V: Keep> Clone for Kept<V> {
    fn clone(&self) -> Self {
        Self {
            directory: self.directory.clone(),
            hot: self.hot.clone(),
            hot_weight: self.hot_weight,
            hot_max: self.hot_max,
            shelf: Arc::clone(&self.shelf),
            copies: Arc::clone(&self.copies),
            changed: self.changed.clone(),
            fault: Arc::clone(&self.fault),
            dictionary: self.dictionary.clone(),
            learns: self.learns,
            recorder: Recorder::default(),
        }
    }
}

/// What records are read with: values lie on their shelf, or are written as [`Kept::records`].
impl<V: Keep> Encode for Kept<V> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.dictionary.encode(encoder)
    }
}

/// Nothing, to be filled by whoever knows where the values are: see [`Kept::at_places`].
impl<V: Keep, C> Decode<C> for Kept<V> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self { dictionary: Dictionary::decode(decoder)?, ..Self::default() })
    }
}

never_borrows! { [V: Keep] Kept<V>; }

impl<V: Keep> PartialEq for Kept<V> {
    /// Whether the values are the same, wherever they are.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<V: Keep> fmt::Debug for Kept<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
