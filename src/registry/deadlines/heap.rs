//! An indexed 4-ary heap: every entry knows its place.
//!
//! It is 4-ary because its nodes then lie beside each other in memory (four children of 20 bytes: one or two cache
//! lines), which makes up for the three more comparisons a level: see LaMarca and Ladner, *The influence of caches on
//! the performance of heaps* (1996).

use super::{Deadline, Position};
use crate::shrink::shrink;
use crate::token::InterestKey;

pub(super) const ARITY: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: Vec<Deadline>,
}

impl Heap {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Deadline> {
        self.entries.first()
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<&Deadline> {
        self.entries.get(place)
    }

    /// Puts `entry` where it belongs from `hole` on, up or down.
    #[inline]
    pub(super) fn put(
        &mut self,
        hole: usize,
        entry: Deadline,
        moved: &mut impl FnMut(InterestKey, Position),
    ) {
        if hole > 0 && entry.order() < self.entries[(hole - 1) / ARITY].order() {
            self.sift_up(hole, entry, moved);
        } else {
            self.sift_down(hole, entry, moved);
        }
    }

    pub(super) fn remove(&mut self, hole: usize, moved: &mut impl FnMut(InterestKey, Position)) {
        let Some(last) = self.entries.pop() else { return };
        if hole < self.entries.len() {
            self.put(hole, last, moved);
        }
        shrink(&mut self.entries);
    }

    /// Takes in `more`: one by one if they are few, else all that is there makes a new heap in linear time.
    pub(super) fn extend(
        &mut self,
        more: impl Iterator<Item = Deadline>,
        moved: &mut impl FnMut(InterestKey, Position),
    ) {
        let before = self.entries.len();
        self.entries.extend(more);
        if self.entries.len() - before > before / 8 {
            return self.restore(before, moved);
        }
        for hole in before..self.entries.len() {
            self.sift_up(hole, self.entries[hole], moved);
        }
    }

    /// Moves what is not after `now` to the end of `into`, unordered.
    pub(super) fn extract(
        &mut self,
        now: i64,
        into: &mut Vec<Deadline>,
        moved: &mut impl FnMut(InterestKey, Position),
    ) {
        into.extend(self.entries.extract_if(.., |entry| entry.at <= now));
        self.restore(0, moved);
        shrink(&mut self.entries);
    }

    /// Numbers all entries anew: sorted by their order, which leaves a heap. The next number.
    pub(super) fn renumber(&mut self, moved: &mut impl FnMut(InterestKey, Position)) -> u32 {
        self.entries.sort_unstable_by_key(Deadline::order);
        for (entry, sequence) in self.entries.iter_mut().zip(0..) {
            entry.sequence = sequence;
        }
        self.restore(0, moved);
        self.entries.len() as u32
    }

    /// Makes a heap of entries of which those from `unknown` on don't know their place.
    fn restore(&mut self, unknown: usize, moved: &mut impl FnMut(InterestKey, Position)) {
        for place in unknown..self.entries.len() {
            moved(self.entries[place].key, Position::in_heap(place));
        }
        for parent in (0..self.entries.len().div_ceil(ARITY)).rev() {
            self.sift_down(parent, self.entries[parent], moved);
        }
    }

    fn sift_up(
        &mut self,
        mut hole: usize,
        entry: Deadline,
        moved: &mut impl FnMut(InterestKey, Position),
    ) {
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.entries[parent].order() <= entry.order() {
                break;
            }
            self.place(hole, self.entries[parent], moved);
            hole = parent;
        }
        self.place(hole, entry, moved);
    }

    fn sift_down(
        &mut self,
        mut hole: usize,
        entry: Deadline,
        moved: &mut impl FnMut(InterestKey, Position),
    ) {
        loop {
            let first = hole * ARITY + 1;
            let children = first..(first + ARITY).min(self.entries.len());
            let Some(least) = children.min_by_key(|&child| self.entries[child].order()) else {
                break;
            };
            if entry.order() <= self.entries[least].order() {
                break;
            }
            self.place(hole, self.entries[least], moved);
            hole = least;
        }
        self.place(hole, entry, moved);
    }

    fn place(&mut self, at: usize, entry: Deadline, moved: &mut impl FnMut(InterestKey, Position)) {
        self.entries[at] = entry;
        moved(entry.key, Position::in_heap(at));
    }
}
