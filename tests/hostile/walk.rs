//! Where the fields of the binary formats lie, by ledger-spec.md alone, and what is made of them.

use std::ops::Range;

/// A list with its count before it.
#[derive(Clone, Debug)]
pub struct Listed {
    count: Range<usize>,
    items: Vec<Range<usize>>,
}

/// Where what lies in a good file.
#[derive(Clone, Debug, Default)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Lengths, counts, indexes, and bytes that say which of several things follows.
    numbers: Vec<Range<usize>>,
    /// Bytes with their length before them.
    blobs: Vec<Range<usize>>,
    lists: Vec<Listed>,
}

const LINE_END: u8 = b'\n';
const HASH: usize = 32;

/// Spec section 17.1.
pub fn proof(bytes: &[u8]) -> Walk<'_> {
    let mut walk = Walk::after_first_line(bytes);
    let about = walk.number(1);
    walk.skip(if about == 1 { HASH } else { 20 });
    walk.blob(4);
    walk.option(|walk| _ = walk.number(8));
    walk.list(4, |walk| walk.blob(2));
    walk.hashes(4);
    (0..5).for_each(|_| walk.blob(4));
    walk.list(1, |walk| {
        walk.blob(4);
        walk.hashes(1);
    });
    walk.finish()
}

/// Spec section 19.5.
pub fn lodged(bytes: &[u8]) -> Walk<'_> {
    let mut walk = Walk::after_first_line(bytes);
    walk.skip(HASH);
    walk.number(8);
    walk.skip(HASH);
    walk.blob(4);
    walk.skip(64);
    walk.finish()
}

/// Spec section 19.
pub fn fraud(bytes: &[u8]) -> Walk<'_> {
    let mut walk = Walk::after_first_line(bytes);
    match walk.number(1) {
        1 => {
            walk.head();
            walk.head();
            walk.hashes(1);
        }
        2 => {
            walk.number(8);
            for _ in 0..2 {
                walk.head();
                walk.shown();
            }
        }
        3 => {
            walk.head();
            walk.subject();
            walk.sealed_row();
            walk.shown();
        }
        4 => {
            walk.head();
            walk.subject();
            walk.sealed_row();
            walk.sealed_row();
        }
        5 => {
            walk.head();
            walk.blob(4);
            walk.hashes(1);
            walk.shown();
            walk.list(1, |walk| {
                walk.subject();
                walk.row();
            });
            walk.list(4, |walk| walk.blob(2));
        }
        other => panic!("a sixth deed, {other}"),
    }
    walk.finish()
}

/// Spec section 18.1: no part of it is anybody's business but the program's.
pub fn whole(bytes: &[u8]) -> Walk<'_> {
    Walk { bytes, ..Walk::default() }
}

impl<'a> Walk<'a> {
    fn after_first_line(bytes: &'a [u8]) -> Self {
        let end = bytes.iter().position(|byte| *byte == LINE_END).unwrap();
        Self { bytes, at: end + 1, ..Self::default() }
    }

    fn skip(&mut self, len: usize) {
        self.at += len;
    }

    fn number(&mut self, width: usize) -> usize {
        let place = self.at..self.at + width;
        self.at = place.end;
        self.numbers.push(place.clone());
        self.bytes[place].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn blob(&mut self, width: usize) {
        let start = self.at;
        let len = self.number(width);
        self.skip(len);
        self.blobs.push(start..self.at);
    }

    fn list(&mut self, width: usize, mut item: impl FnMut(&mut Self)) {
        let start = self.at;
        let len = self.number(width);
        let count = start..self.at;
        let mut items = Vec::new();
        for _ in 0..len {
            let start = self.at;
            item(self);
            items.push(start..self.at);
        }
        self.lists.push(Listed { count, items });
    }

    fn hashes(&mut self, width: usize) {
        self.list(width, |walk| walk.skip(HASH));
    }

    /// What follows a byte of 1, and not one of 0.
    fn option(&mut self, some: impl FnOnce(&mut Self)) {
        if self.number(1) == 1 {
            some(self);
        }
    }

    fn finish(self) -> Self {
        assert_eq!(self.at, self.bytes.len(), "the spec's layout leaves bytes over");
        self
    }

    fn head(&mut self) {
        self.blob(4);
        self.list(1, |walk| walk.blob(2));
        self.hashes(1);
    }

    fn shown(&mut self) {
        self.blob(2);
        self.hashes(1);
    }

    fn subject(&mut self) {
        self.number(1);
        self.blob(2);
    }

    fn row(&mut self) {
        self.option(|walk| {
            walk.number(4);
            walk.number(8);
            walk.skip(HASH);
        });
        self.blob(4);
    }

    fn sealed_row(&mut self) {
        self.shown();
        self.row();
    }

    fn replaced(&self, place: &Range<usize>, with: &[u8]) -> Vec<u8> {
        [&self.bytes[..place.start], with, &self.bytes[place.end..]].concat()
    }

    /// Every number at and beyond its bounds.
    pub fn numbers(&self) -> impl Iterator<Item = super::Mutant> + '_ {
        self.numbers.iter().flat_map(|place| {
            let old = &self.bytes[place.clone()];
            let near = |step: i8| {
                let mut bytes = old.to_vec();
                let last = bytes.last_mut().expect("a number has a byte");
                *last = last.wrapping_add_signed(step);
                bytes
            };
            let width = old.len();
            let filled = |first: u8, rest: u8, last: u8| {
                let mut bytes = vec![rest; width];
                bytes[0] = first;
                bytes[width - 1] = last;
                bytes
            };
            [
                filled(0, 0, 0),
                filled(0, 0, 1),
                filled(0, 0, 2),
                filled(0xff, 0xff, 0xff),
                filled(0xff, 0xff, 0xfe),
                filled(0x7f, 0xff, 0xff),
                filled(0x80, 0, 0),
                near(1),
                near(-1),
            ]
            .map(|number| {
                let what = format!("number at {} is {number:02x?}", place.start);
                (what, self.replaced(place, &number))
            })
        })
    }

    /// Parts exchanged, in this file and for those of another, each with its length.
    pub fn parts<'b>(&'b self, other: &'b Walk<'_>) -> impl Iterator<Item = super::Mutant> + 'b {
        let swapped = self.blobs.iter().enumerate().flat_map(move |(at, one)| {
            let later = self.blobs[at + 1..].iter().filter(|two| one.end <= two.start);
            later.map(move |two| {
                let between = &self.bytes[one.end..two.start];
                let (a, b) = (&self.bytes[one.clone()], &self.bytes[two.clone()]);
                let bytes = self.replaced(&(one.start..two.end), &[b, between, a].concat());
                (format!("parts at {} and {} exchanged", one.start, two.start), bytes)
            })
        });
        let taken = self.blobs.iter().flat_map(move |one| {
            other.blobs.iter().map(move |theirs| {
                let bytes = self.replaced(one, &other.bytes[theirs.clone()]);
                (format!("part at {} is another's at {}", one.start, theirs.start), bytes)
            })
        });
        swapped.chain(taken)
    }

    /// Lists with items dropped, doubled, exchanged, reversed, and taken from another file; the
    /// count is what there then is.
    pub fn lists<'b>(&'b self, other: &'b Walk<'_>) -> impl Iterator<Item = super::Mutant> + 'b {
        self.lists.iter().flat_map(move |list| {
            let items = |of: &Walk<'_>, list: &Listed| -> Vec<Vec<u8>> {
                list.items.iter().map(|item| of.bytes[item.clone()].to_vec()).collect()
            };
            let own = items(self, list);
            let mut made: Vec<(String, Vec<Vec<u8>>)> = vec![
                ("none".to_owned(), Vec::new()),
                ("reversed".to_owned(), own.iter().rev().cloned().collect()),
                ("twice".to_owned(), [&own[..], &own[..]].concat()),
            ];
            for at in 0..own.len() {
                let mut dropped = own.clone();
                let item = dropped.remove(at);
                made.push((format!("item {at} dropped"), dropped));
                let mut doubled = own.clone();
                doubled.insert(at, item);
                made.push((format!("item {at} doubled"), doubled));
                for to in 0..at {
                    let mut swapped = own.clone();
                    swapped.swap(at, to);
                    made.push((format!("items {to} and {at} exchanged"), swapped));
                }
            }
            for theirs in &other.lists {
                let theirs = items(other, theirs);
                made.push(("another's".to_owned(), theirs.clone()));
                for at in 0..own.len().min(theirs.len()) {
                    let mut spliced = own.clone();
                    spliced[at].clone_from(&theirs[at]);
                    made.push((format!("item {at} is another's"), spliced));
                    let half = [&own[..at], &theirs[at..]].concat();
                    made.push((format!("another's from item {at}"), half));
                }
            }
            let end = list.items.last().map_or(list.count.end, |item| item.end);
            let width = list.count.len();
            made.into_iter().map(move |(what, items)| {
                let count = items.len().to_be_bytes();
                let bytes = [&count[count.len() - width..], &items.concat()].concat();
                let what = format!("list at {}, {what}", list.count.start);
                (what, self.replaced(&(list.count.start..end), &bytes))
            })
        })
    }
}
