//! Gifts and shipments that are not in memory. That the rules say the same of them, every world of
//! these tests shows as it goes: beside its state grows one that keeps a single gift in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use giftproof::model::event::{Capacity, Purpose};
use giftproof::model::hash::{EventHash, document_hash};
use giftproof::model::state::{
    Gift, History, Keep, Kept, Label, MemoryShelf, Shelf, ShelfError, ShelfPlace, State,
};

use crate::util::*;

/// Two gifts on their way in one shipment, received, and one of them used.
fn history() -> World {
    let mut world = World::new();
    let mut give = |item: &str| {
        let line = line(1, item, 100, "box", &[("hospital-a", 100)]);
        let draft =
            world.draft(recorded("red-cross", vec![line]), &[(Capacity::Taker, "red-cross")]);
        world.accept(draft)
    };
    let (masks, gloves) = (give("masks"), give("gloves"));
    let mut both = [(masks, 1, Some("hospital-a"), 60), (gloves, 1, Some("hospital-a"), 70)];
    both.sort();
    let id = shipment("red-cross", "S-1");
    let sent = dispatch(id.clone(), "hospital-a", Purpose::Issue, portions(&both));
    world.accept(world.draft(sent, &[(Capacity::Holder, "red-cross")]));
    let arrivals = both.map(|(gift, line, meant_for, quantity)| {
        arrival(goods(gift, line, meant_for), [quantity, 0, 0, 0, 0])
    });
    let came = receipt(id, true, arrivals.to_vec());
    world.accept(world.draft(came, &[(Capacity::Taker, "hospital-a")]));
    let more = portions(&[(masks, 1, Some("hospital-a"), 40)]);
    let sent = dispatch(shipment("red-cross", "S-2"), "hospital-a", Purpose::Issue, more);
    world.accept(world.draft(sent, &[(Capacity::Holder, "red-cross")]));
    world
}

/// A state before its first gift, with its gifts on this shelf and one of them in memory.
fn begun(world: &World, shelf: impl Shelf + 'static) -> State {
    let mut state = State::begin(&world.log.event(0).unwrap(), world.log.leaf(0).unwrap()).unwrap();
    state.gifts = Kept::over(shelf, 0);
    state.shipments = Kept::over(MemoryShelf::default(), 0);
    state
}

/// Lets the state follow the log, until the end or a fault.
fn follow(state: &mut State, world: &World) -> Result<(), ShelfError> {
    for index in 1..world.log.entries.len() as u64 {
        let entry = world.log.event(index).unwrap();
        let subjects = state.subjects(&entry.event, &world.log);
        let applied = state.apply(&entry, &world.log);
        state.fault().map_or(Ok(()), Err)?;
        assert_eq!(applied, Ok(()), "entry {index} was refused for no fault");
        state.advance(&entry, world.log.leaf(index).unwrap(), &subjects);
    }
    Ok(())
}

/// A shelf that others can look at, and that fails from some use on.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<(MemoryShelf, Option<usize>)>>);

impl Watched {
    fn failing_after(uses: usize) -> Self {
        Self(Arc::new(Mutex::new((MemoryShelf::default(), Some(uses)))))
    }

    fn used<T>(
        &self,
        by: impl FnOnce(&mut MemoryShelf) -> Result<T, ShelfError>,
    ) -> Result<T, ShelfError> {
        let (shelf, left) = &mut *self.0.lock().unwrap();
        match left {
            Some(0) => return Err(ShelfError::Io(std::io::ErrorKind::StorageFull)),
            Some(left) => *left -= 1,
            None => {}
        }
        by(shelf)
    }
}

impl Shelf for Watched {
    fn put(&mut self, bytes: &[u8]) -> Result<ShelfPlace, ShelfError> {
        self.used(|shelf| shelf.put(bytes))
    }

    fn get(&self, place: ShelfPlace) -> Result<Vec<u8>, ShelfError> {
        self.used(|shelf| shelf.get(place))
    }

    fn clear(&mut self, place: ShelfPlace) {
        self.0.lock().unwrap().0.clear(place);
    }
}

#[test]
fn a_shelf_that_fails_at_any_use_is_seen_before_an_answer_is_believed() {
    let world = history();
    let mut faults = 0;
    loop {
        let mut state = begun(&world, Watched::failing_after(faults));
        match follow(&mut state, &world) {
            Err(fault) => assert_eq!(fault.code(), "shelf/io"),
            Ok(()) => {
                // All that was to be asked was asked.
                let known = state.gifts == world.state.gifts;
                assert_eq!(known, state.fault().is_none());
                if known {
                    break;
                }
            }
        }
        faults += 1;
    }
    assert!(faults > 5, "the shelf was used {faults} times only");
}

/// A gift under so many ids, in a bound of so many gifts.
fn many(count: u32, bound: usize) -> (Kept<Gift>, Vec<Gift>) {
    let world = history();
    let gift = world.state.gifts.iter().next().unwrap();
    let mut kept = Kept::over(MemoryShelf::default(), bound * gift.weight());
    let mut all: Vec<Gift> = Vec::new();
    for number in 0..count {
        let id = EventHash::from_bytes(*document_hash(&number.to_be_bytes()).as_bytes());
        let mut gift = Gift::clone(&gift);
        (gift.id, gift.surplus) = (id, number.into());
        kept.put(gift.clone());
        all.push(gift);
        assert!(kept.hot_len() <= bound);
    }
    (kept, all)
}

#[test]
fn any_number_of_values_needs_no_more_memory_than_the_bound() {
    let (mut kept, mut all) = many(1_000, 7);
    assert_eq!((kept.len(), kept.hot_len()), (1_000, 7));
    for gift in &all {
        assert_eq!(kept.get(&gift.id).as_deref(), Some(gift));
    }
    for (at, gift) in all.iter_mut().enumerate().step_by(3) {
        gift.damaged = at as u64;
        assert_eq!(kept.change(&gift.id, |kept| kept.damaged = at as u64), Some(()));
        assert!(kept.hot_len() <= 7);
    }
    assert!(!kept.contains(&EventHash::from_bytes([7; 32])));
    // The same first 20 bytes are not the same gift.
    let mut other = *all[0].id.as_bytes();
    other[31] ^= 1;
    assert_eq!(kept.change(&EventHash::from_bytes(other), |_| ()), None);
    all.sort_by_key(|gift| gift.id);
    assert!(kept.iter().map(Arc::unwrap_or_clone).eq(all));
    assert_eq!(kept.fault(), None);
}

#[test]
fn a_copy_stays_as_it_was() {
    let (mut kept, all) = many(50, 3);
    let copy = kept.clone();
    all.iter().for_each(|gift| assert!(kept.change(&gift.id, |gift| gift.rejected = 1).is_some()));
    assert!(copy.iter().all(|gift| gift.rejected == 0));
    assert!(kept.iter().all(|gift| gift.rejected == 1));
}

/// The places of what has changed, after it was put on the shelf.
fn changes(kept: &mut Kept<Gift>) -> Vec<(Label, ShelfPlace)> {
    let (places, shelved) = kept.take_changed().shelve().unwrap();
    kept.note_shelved(shelved);
    places
}

#[test]
fn what_has_changed_is_told_once_with_its_place() {
    let shelf = Watched::default();
    let (some, all) = many(20, 20);
    let mut kept = Kept::over(shelf.clone(), 4 * all[0].weight());
    all.iter().for_each(|gift| kept.put(gift.clone()));
    let mut places: BTreeMap<_, _> = changes(&mut kept).into_iter().collect();
    assert_eq!(places.len(), 20);
    assert_eq!(changes(&mut kept), []);
    kept.change(&all[3].id, |gift| gift.rejected = 9);
    kept.get(&all[4].id).unwrap();
    kept.warm(&all[5].id).unwrap();
    let changed = changes(&mut kept);
    let labels: Vec<_> = changed.iter().map(|(label, _)| *label).collect();
    assert_eq!(labels, [Gift::label(&all[3].id)]);
    places.extend(changed);
    // Who has the shelf and the places has everything.
    let again = kept.at_places(shelf, 0, places);
    assert_eq!(again, kept);
    assert_ne!(again, some);
}

/// A shelf of which something durable names any place.
#[derive(Clone, Default)]
struct Lasting(Arc<Mutex<MemoryShelf>>);

impl Shelf for Lasting {
    fn put(&mut self, bytes: &[u8]) -> Result<ShelfPlace, ShelfError> {
        self.0.lock().unwrap().put(bytes)
    }

    fn get(&self, place: ShelfPlace) -> Result<Vec<u8>, ShelfError> {
        self.0.lock().unwrap().get(place)
    }

    fn clear(&mut self, _: ShelfPlace) {}
}

/// While another thread puts on the shelf what has changed, the values change again, come and go: what
/// it has put there is as of the moment at which it was taken, and the collection as it is now.
#[test]
fn what_is_put_on_the_shelf_meanwhile_is_as_it_was() {
    for hot in [0, 4, 1000] {
        let shelf = Lasting::default();
        let (_, mut all) = many(20, 20);
        let mut kept = Kept::over(shelf.clone(), hot * all[0].weight());
        all.iter().for_each(|gift| kept.put(gift.clone()));
        let mut durable: BTreeMap<Label, ShelfPlace> = BTreeMap::new();
        for round in 1..60 {
            let then = all.clone();
            let taken = kept.take_changed();
            let change = |kept: &mut Kept<Gift>, all: &mut Vec<Gift>, times: u64| {
                for time in 0..times {
                    let at = ((round * 7 + time * 11) % 20) as usize;
                    all[at].rejected = 100 * round + time;
                    let rejected = all[at].rejected;
                    kept.change(&all[at].id, |gift| gift.rejected = rejected).unwrap();
                }
            };
            change(&mut kept, &mut all, round % 4);
            let (places, shelved) = taken.shelve().unwrap();
            change(&mut kept, &mut all, round % 3);
            durable.extend(places);
            if round % 5 == 0 {
                // It came to nothing: everything is given again.
                kept.forget_changes();
            } else {
                kept.note_shelved(shelved);
            }
            let as_of_then = kept.at_places(shelf.clone(), 0, durable.clone());
            assert!(then.iter().all(|gift| as_of_then.get(&gift.id).as_deref() == Some(gift)));
            assert!(all.iter().all(|gift| kept.get(&gift.id).as_deref() == Some(gift)), "{round}");
        }
        durable.extend(changes(&mut kept));
        let again = kept.at_places(shelf, 0, durable);
        assert_eq!(again, kept);
    }
}

#[test]
fn values_that_were_moved_are_found_on_the_other_shelf_and_nowhere_else() {
    let (old, mut new) = (Lasting::default(), MemoryShelf::default());
    let (_, mut all) = many(40, 40);
    let mut kept = Kept::over(old.clone(), 5 * all[0].weight());
    all.iter().for_each(|gift| kept.put(gift.clone()));
    // Of those in memory, one lies on the shelf and one does not.
    kept.warm(&all[0].id).unwrap();
    all[1].rejected = 3;
    kept.change(&all[1].id, |gift| gift.rejected = 3).unwrap();
    let copy = kept.clone();
    let (taken, hot) = (kept.taken(), kept.hot_len());
    assert!(taken.is_sorted() && (40 - hot..40).contains(&taken.len()), "{}", taken.len());
    new.put(b"another value").unwrap();
    let record = |place: &ShelfPlace| old.get(*place).unwrap();
    let to = taken.iter().map(|place| new.put(&record(place)).unwrap()).collect();
    kept.relocate(new, to);
    assert_eq!(kept.hot_len(), hot);
    assert_eq!(copy, kept);
    *old.0.lock().unwrap() = MemoryShelf::default();
    assert!(all.iter().all(|gift| kept.get(&gift.id).as_deref() == Some(gift)));
    all.iter().for_each(|gift| assert!(kept.change(&gift.id, |gift| gift.rejected = 4).is_some()));
    assert!(kept.iter().all(|gift| gift.rejected == 4));
    assert_eq!(kept.fault(), None);
}
