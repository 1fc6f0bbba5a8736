//! The deadline queue: an indexed 4-ary heap, and the list of what expired.
//!
//! Every armed deadline knows its place in the heap, so that moving and cancelling it take O(log n)
//! and leave nothing behind. A round takes what expired until the end of its wait into a list of its own
//! and delivers that one by one: what a callback arms meanwhile goes to the heap, and what it moves or
//! cancels leaves the list. Equal deadlines leave in the order in which they were armed: an entry is
//! ordered by its deadline, then by a sequence number. The heap is 4-ary because its nodes then lie
//! beside each other in memory (four children of 20 bytes: one or two cache lines), which makes up for the
//! three more comparisons a level: see LaMarca and Ladner, *The influence of caches on the performance
//! of heaps* (1996).
//!
//! The places are kept by the caller (in the table of interests), which every method tells of moves
//! through its `moved` closure. What leaves the heap leaves its place behind, where its entry then is no more: firing
//! needs not touch the table twice, whose lines are far apart in memory.

use crate::token::InterestKey;

const ARITY: usize = 4;

/// Where a deadline was in the heap when it was last there: it is, if its entry is there still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position(u32);

impl Position {
    pub(crate) const NONE: Self = Self(u32::MAX);
}

/// Packed so that it takes 20 bytes instead of 24.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
struct Entry {
    /// Nanoseconds on the clock's scale.
    at: i64,
    sequence: u32,
    key: InterestKey,
}

impl Entry {
    /// The deadline, then the sequence number, as one number: comparing it takes no branch.
    #[inline]
    fn order(&self) -> i128 {
        i128::from(self.at) << 32 | i128::from(self.sequence)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: Vec<Entry>,
    /// Of the next entry that is armed.
    sequence: u32,
    /// What expired when and is not delivered yet, in order, from `next_due` on. What was moved since is in the
    /// heap, what was cancelled has no interest.
    due: Vec<(InterestKey, i64)>,
    next_due: usize,
}

impl Deadlines {
    #[inline]
    pub(crate) fn nearest(&self) -> Option<i64> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Arms `key` for `at`, or moves it there from `position`. It goes behind its equals, but keeps its turn if
    /// it is armed for `at` already.
    #[inline]
    pub(crate) fn set(
        &mut self,
        key: InterestKey,
        position: Position,
        at: i64,
        mut moved: impl FnMut(InterestKey, Position),
    ) {
        if self.is_set_to(key, position, at) {
            return;
        }
        if self.sequence == u32::MAX {
            // Its place changes with all others: it leaves first.
            self.remove(key, position, &mut moved);
            self.renumber(&mut moved);
            return self.set(key, Position::NONE, at, moved);
        }
        let entry = Entry { at, sequence: self.sequence, key };
        self.sequence += 1;
        match self.find(key, position) {
            Some(hole) => self.settle(hole, entry, &mut moved),
            None => {
                let hole = self.heap.len();
                self.heap.push(entry);
                self.sift_up(hole, entry, &mut moved);
            }
        }
    }

    /// The place of `key` in the heap, if it is there.
    #[inline]
    fn find(&self, key: InterestKey, position: Position) -> Option<usize> {
        let place = position.0 as usize;
        self.heap.get(place).is_some_and(|entry| entry.key == key).then_some(place)
    }

    /// Whether `key` is armed for `at`, or expired with that deadline in this round.
    #[inline]
    fn is_set_to(&self, key: InterestKey, position: Position, at: i64) -> bool {
        match self.find(key, position) {
            Some(place) => self.heap[place].at == at,
            None => position != Position::NONE && self.is_due(key, at),
        }
    }

    /// Whether `key` expired with the deadline `at` and is not delivered yet.
    fn is_due(&self, key: InterestKey, at: i64) -> bool {
        let due = &self.due[self.next_due..];
        let first = due.partition_point(|due| due.1 < at);
        due[first..].iter().take_while(|due| due.1 == at).any(|due| due.0 == key)
    }

    /// Takes `key` out of the heap, if it is there.
    #[inline]
    pub(crate) fn remove(
        &mut self,
        key: InterestKey,
        position: Position,
        mut moved: impl FnMut(InterestKey, Position),
    ) {
        if let Some(hole) = self.find(key, position) {
            self.remove_at(hole, &mut moved);
        }
    }

    fn remove_at(&mut self, hole: usize, moved: &mut impl FnMut(InterestKey, Position)) {
        let Some(last) = self.heap.pop() else { return };
        if hole < self.heap.len() {
            self.settle(hole, last, moved);
        }
        self.shrink();
    }

    /// Takes what is not after `now` into the list of what expired: off the top one by one, until that is a good
    /// part of the heap.
    #[inline]
    pub(crate) fn expire(&mut self, now: i64, mut moved: impl FnMut(InterestKey, Position)) {
        let mut few = self.heap.len() / 16;
        while let Some(&Entry { at, key, .. }) = self.heap.first()
            && at <= now
        {
            if few == 0 && self.heap.len() > 2 * ARITY {
                return self.expire_rest(now, &mut moved);
            }
            few = few.saturating_sub(1);
            self.remove_at(0, &mut moved);
            self.due.push((key, at));
        }
    }

    /// Takes all that is due at once: sorting it is faster than taking it off the top one by one where it is much,
    /// and what is left makes a new heap in linear time.
    fn expire_rest(&mut self, now: i64, moved: &mut impl FnMut(InterestKey, Position)) {
        let due: Vec<_> = self.heap.extract_if(.., |entry| entry.at <= now).collect();
        // Sorted by one number: the deadline, the sequence number, and the place of the entry.
        let first = due.iter().map(|entry| entry.at).min().unwrap_or(now);
        let order = |(place, entry): (usize, &Entry)| {
            let since = u128::from(entry.at.abs_diff(first));
            since << 64 | u128::from(entry.sequence) << 32 | place as u128
        };
        let mut order: Vec<u128> = due.iter().enumerate().map(order).collect();
        order.sort_unstable();
        let due = order.into_iter().map(|order| &due[order as u32 as usize]);
        self.due.extend(due.map(|entry| (entry.key, entry.at)));
        for at in 0..self.heap.len() {
            self.place(at, self.heap[at], moved);
        }
        for parent in (0..self.heap.len().div_ceil(ARITY)).rev() {
            self.sift_down(parent, self.heap[parent], moved);
        }
        self.shrink();
    }

    /// Whether the list of what expired has anything in it.
    #[inline]
    pub(crate) fn is_any_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next `N` of what expired, at every `N`-th of them.
    #[inline]
    pub(crate) fn coming<const N: usize>(&self) -> Option<&[(InterestKey, i64); N]> {
        if self.next_due.is_multiple_of(N) { self.due[self.next_due..].first_chunk() } else { None }
    }

    /// Takes out the first of what expired and was not moved or cancelled since, when that was, and what `look` says
    /// of it besides where it was in the heap; of what was cancelled it says nothing.
    #[inline]
    pub(crate) fn next_due<T>(
        &mut self,
        look: impl Fn(InterestKey) -> Option<(Position, T)>,
    ) -> Option<(InterestKey, i64, T)> {
        while let Some(&(key, at)) = self.due.get(self.next_due) {
            self.next_due += 1;
            if let Some((position, found)) = look(key)
                && self.find(key, position).is_none()
            {
                return Some((key, at, found));
            }
        }
        if self.next_due > 0 {
            self.next_due = 0;
            self.due.clear();
            if self.due.capacity() > 1024 {
                self.due.shrink_to(1024);
            }
        }
        None
    }

    /// Puts `entry` in the place `hole`, or where it belongs above or below it.
    fn settle(&mut self, hole: usize, entry: Entry, moved: &mut impl FnMut(InterestKey, Position)) {
        if hole > 0 && entry.order() < self.heap[(hole - 1) / ARITY].order() {
            self.sift_up(hole, entry, moved);
        } else {
            self.sift_down(hole, entry, moved);
        }
    }

    fn sift_up(
        &mut self,
        mut hole: usize,
        entry: Entry,
        moved: &mut impl FnMut(InterestKey, Position),
    ) {
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.heap[parent].order() <= entry.order() {
                break;
            }
            self.place(hole, self.heap[parent], moved);
            hole = parent;
        }
        self.place(hole, entry, moved);
    }

    fn sift_down(
        &mut self,
        mut hole: usize,
        entry: Entry,
        moved: &mut impl FnMut(InterestKey, Position),
    ) {
        loop {
            let first = hole * ARITY + 1;
            let children = first..(first + ARITY).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child].order()) else {
                break;
            };
            if entry.order() <= self.heap[least].order() {
                break;
            }
            self.place(hole, self.heap[least], moved);
            hole = least;
        }
        self.place(hole, entry, moved);
    }

    fn place(&mut self, at: usize, entry: Entry, moved: &mut impl FnMut(InterestKey, Position)) {
        self.heap[at] = entry;
        moved(entry.key, Position(at as u32));
    }

    /// Numbers all entries anew when the numbers run out: sorted by their order, which leaves a heap.
    fn renumber(&mut self, moved: &mut impl FnMut(InterestKey, Position)) {
        self.heap.sort_unstable_by_key(Entry::order);
        for at in 0..self.heap.len() {
            let entry = Entry { sequence: at as u32, ..self.heap[at] };
            self.place(at, entry, moved);
        }
        self.sequence = self.heap.len() as u32;
    }

    /// Gives memory back after a burst of deadlines is gone.
    fn shrink(&mut self) {
        if self.heap.capacity() > 1024 && self.heap.len() < self.heap.capacity() / 8 {
            self.heap.shrink_to(self.heap.capacity() / 4);
        }
    }
}

static_assertions::const_assert!(size_of::<Entry>() == 20);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use slotmap::SlotMap;

    use super::*;

    /// A queue with its places, as the table of interests keeps them.
    #[derive(Default)]
    struct Fixture {
        keys: SlotMap<InterestKey, ()>,
        queue: Deadlines,
        positions: HashMap<InterestKey, Position>,
    }

    impl Fixture {
        fn arm(&mut self, at: i64) -> InterestKey {
            let key = self.keys.insert(());
            self.set(key, at);
            key
        }

        fn set(&mut self, key: InterestKey, at: i64) {
            let position = self.positions.get(&key).copied().unwrap_or(Position::NONE);
            self.queue.set(key, position, at, |key, to| {
                self.positions.insert(key, to);
            });
        }

        fn cancel(&mut self, key: InterestKey) {
            let position = self.positions.remove(&key).unwrap();
            self.queue.remove(key, position, |key, to| {
                self.positions.insert(key, to);
            });
        }

        fn expire(&mut self, now: i64) {
            self.queue.expire(now, |key, to| {
                self.positions.insert(key, to);
            });
        }

        fn next_due(&mut self) -> Option<InterestKey> {
            self.queue.next_due(|key| Some((*self.positions.get(&key)?, ()))).map(|(key, ..)| key)
        }
    }

    #[test]
    fn equal_deadlines_leave_in_the_order_they_were_armed() {
        let mut fixture = Fixture::default();
        let keys: Vec<_> = (0..100).map(|_| fixture.arm(7)).collect();
        // Armed for the same, it keeps its turn; moved there and back, it goes behind.
        fixture.set(keys[3], 7);
        fixture.set(keys[5], 8);
        fixture.set(keys[5], 7);
        let mut expected = keys.clone();
        let moved = expected.remove(5);
        expected.push(moved);
        fixture.expire(7);
        let order: Vec<_> = std::iter::from_fn(|| fixture.next_due()).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn order_survives_the_end_of_the_sequence_numbers() {
        let mut fixture = Fixture::default();
        fixture.queue.sequence = u32::MAX - 5;
        let keys: Vec<_> = (0..20).map(|n| fixture.arm(n / 10)).collect();
        assert!(fixture.queue.sequence < 100, "the numbers started again");
        fixture.set(keys[0], 0);
        fixture.set(keys[0], -1);
        fixture.expire(7);
        let order: Vec<_> = std::iter::from_fn(|| fixture.next_due()).collect();
        assert_eq!(order, keys);
    }

    #[test]
    fn agrees_with_a_sorted_list_under_random_changes() {
        let mut fixture = Fixture::default();
        let mut model: Vec<(i64, u64, InterestKey)> = Vec::new();
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for step in 0..20_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = (random >> 32) as i64 % 50 - 25;
            let pick = (random >> 8) as usize % model.len().max(1);
            match random % 8 {
                0..4 => model.push((at, step, fixture.arm(at))),
                4 | 5 if !model.is_empty() => {
                    let (before, turn, key) = model[pick];
                    fixture.set(key, at);
                    model[pick] = (at, if before == at { turn } else { step }, key);
                }
                6 if !model.is_empty() => fixture.cancel(model.swap_remove(pick).2),
                7 => {
                    // All that expired, where a callback moves or cancels one of the later ones.
                    let now = model.iter().map(|entry| entry.0).min().unwrap_or(0);
                    let mut due: Vec<_> = model.extract_if(.., |entry| entry.0 <= now).collect();
                    due.sort();
                    fixture.expire(now);
                    if due.len() > 2 {
                        let (_, _, moved) = due.pop().unwrap();
                        fixture.set(moved, now - 1);
                        model.push((now - 1, step, moved));
                        fixture.cancel(due.pop().unwrap().2);
                    }
                    let fired: Vec<_> = std::iter::from_fn(|| fixture.next_due()).collect();
                    assert_eq!(fired, due.iter().map(|entry| entry.2).collect::<Vec<_>>());
                    assert!(fixture.queue.due.is_empty());
                }
                _ => {}
            }
            let nearest = model.iter().map(|entry| entry.0).min();
            assert_eq!(fixture.queue.nearest(), nearest);
        }
        assert!(model.len() > 100, "the run kept a real queue");
    }
}
