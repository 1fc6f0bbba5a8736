//! An indexed 4-ary heap: it reports the place of every entry that it moves.
//!
//! 4-ary, because the children of a node then lie side by side in memory (four entries of 20 bytes: one or two cache
//! lines). This makes up for more comparisons per level: see LaMarca and Ladner, *The influence of caches on the
//! performance of heaps* (1996).

use super::{Deadline, Position, Positions};
use crate::shrink::shrink;

pub(super) const ARITY: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Heap {
    /// The caller only reads them.
    pub(super) entries: Vec<Deadline>,
}

impl Heap {
    /// Puts `entry` where it belongs, moving `hole` up or down.
    #[inline]
    pub(super) fn put(&mut self, hole: usize, entry: Deadline, rows: &mut impl Positions) {
        if hole > 0 && entry.order() < self.entries[(hole - 1) / ARITY].order() {
            self.sift_up(hole, entry, rows);
        } else {
            self.sift_down(hole, entry, rows);
        }
    }

    pub(super) fn remove(&mut self, hole: usize, rows: &mut impl Positions) {
        let Some(last) = self.entries.pop() else { return };
        if hole < self.entries.len() {
            self.put(hole, last, rows);
        }
        shrink(&mut self.entries);
    }

    /// Adds the entries of `more`: one by one if they are few; otherwise rebuilds the heap in linear time.
    pub(super) fn extend(
        &mut self,
        more: impl Iterator<Item = Deadline>,
        rows: &mut impl Positions,
    ) {
        let before = self.entries.len();
        self.entries.extend(more);
        if self.entries.len() - before > before / 8 {
            return self.restore(before, rows);
        }
        for hole in before..self.entries.len() {
            self.sift_up(hole, self.entries[hole], rows);
        }
    }

    /// Moves the entries that are not after `now` to the end of `into`, unordered.
    pub(super) fn extract(
        &mut self,
        now: i64,
        into: &mut Vec<Deadline>,
        rows: &mut impl Positions,
    ) {
        into.extend(self.entries.extract_if(.., |entry| entry.at <= now));
        self.restore(0, rows);
        shrink(&mut self.entries);
    }

    /// Renumbers all entries and leaves them sorted, which is a heap. Returns the next number.
    pub(super) fn renumber(&mut self, rows: &mut impl Positions) -> u32 {
        self.entries.sort_unstable_by_key(Deadline::order);
        for (entry, sequence) in self.entries.iter_mut().zip(0..) {
            entry.sequence = sequence;
        }
        self.restore(0, rows);
        self.entries.len() as u32
    }

    /// Restores the heap order. Entries from `unknown` on have not had their place reported.
    fn restore(&mut self, unknown: usize, rows: &mut impl Positions) {
        for place in unknown..self.entries.len() {
            rows.set_position(self.entries[place].key, Position::in_heap(place));
        }
        for parent in (0..self.entries.len().div_ceil(ARITY)).rev() {
            self.sift_down(parent, self.entries[parent], rows);
        }
    }

    fn sift_up(&mut self, mut hole: usize, entry: Deadline, rows: &mut impl Positions) {
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.entries[parent].order() <= entry.order() {
                break;
            }
            self.place(hole, self.entries[parent], rows);
            hole = parent;
        }
        self.place(hole, entry, rows);
    }

    fn sift_down(&mut self, mut hole: usize, entry: Deadline, rows: &mut impl Positions) {
        loop {
            let first = hole * ARITY + 1;
            let children = first..(first + ARITY).min(self.entries.len());
            let Some(least) = children.min_by_key(|&child| self.entries[child].order()) else {
                break;
            };
            if entry.order() <= self.entries[least].order() {
                break;
            }
            self.place(hole, self.entries[least], rows);
            hole = least;
        }
        self.place(hole, entry, rows);
    }

    fn place(&mut self, at: usize, entry: Deadline, rows: &mut impl Positions) {
        self.entries[at] = entry;
        rows.set_position(entry.key, Position::in_heap(at));
    }
}
