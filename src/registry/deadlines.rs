//! The deadline queue: recently armed deadlines, a heap of the others, and the list of expired ones.
//!
//! Most deadlines are moved or cancelled long before they expire. So a newly armed deadline goes to the *fresh* ones,
//! which are unordered: arming, moving and cancelling there takes O(1). When one of them expires, the other fresh ones
//! move to the heap. Each heap entry's position is known, so moving and cancelling it takes O(log n). The fresh ones
//! also move to the heap when the nearest of them is gone and the nearest deadline is asked for. So each arming causes
//! at most one insertion into the heap, as if there were only the heap.
//!
//! A round moves what has expired by the end of its wait to a list of its own, and delivers the list one by one: a
//! deadline that a callback arms meanwhile is fresh, and one that it moves or cancels leaves the list. Equal deadlines
//! leave in the order in which they were armed: entries are ordered by deadline, then by sequence number.
//!
//! The rows of the interests keep the positions, and every method reports moves to them. The position of a removed entry
//! names no entry.

use std::collections::VecDeque;

use crate::shrink::{pop_front, shrink};
use crate::token::InterestToken;

mod heap;

use heap::{ARITY, Heap};

/// The position of a deadline in the queue: two bits name the part, the others the place in that part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position(u32);

/// Keeps the position of each deadline: the rows of the interests do.
pub(crate) trait Positions {
    fn set_position(&mut self, key: InterestToken, to: Position);
}

enum Place {
    Fresh(usize),
    Heap(usize),
    Expired(usize),
}

impl Position {
    const FRESH: u32 = 1 << 30;
    const EXPIRED: u32 = 1 << 31;
    const PLACE: u32 = Self::FRESH - 1;

    fn in_heap(place: usize) -> Self {
        Self(place as u32)
    }

    fn among_fresh(place: usize) -> Self {
        Self(place as u32 | Self::FRESH)
    }

    fn expired(number: u32) -> Self {
        Self(number & Self::PLACE | Self::EXPIRED)
    }
}

/// Packed so that it takes 20 bytes instead of 24.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
struct Deadline {
    /// Nanoseconds on the clock's scale.
    at: i64,
    sequence: u32,
    key: InterestToken,
}

impl Deadline {
    /// The deadline of an entry that was cancelled after it expired: before all others.
    const CANCELLED: i64 = i64::MIN;

    /// The deadline and the sequence number as one number, which is compared without a branch.
    fn order(&self) -> i128 {
        i128::from(self.at) << 32 | i128::from(self.sequence)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    fresh: Vec<Deadline>,
    /// No fresh deadline is before this.
    bound: i64,
    /// Whether there may be no fresh deadline left at `bound`.
    bound_is_old: bool,
    heap: Heap,
    /// The sequence number of the next entry.
    sequence: u32,
    /// Expired deadlines that are not delivered yet, in order.
    expired: VecDeque<Deadline>,
    /// How many entries have left the list so far. Their numbers wrap around where a position ends.
    delivered: u32,
    /// Buffer for expired deadlines before they are sorted.
    found: Vec<Deadline>,
}

impl Deadlines {
    /// The nearest deadline, or a time before it: see [`is_bound_old`](Self::is_bound_old).
    #[inline]
    pub(crate) fn nearest_bound(&self) -> Option<i64> {
        let fresh = (!self.fresh.is_empty()).then_some(self.bound);
        let first = self.heap.entries.first().map(|entry| entry.at);
        match (fresh, first) {
            (Some(fresh), Some(first)) => Some(fresh.min(first)),
            _ => fresh.or(first),
        }
    }

    /// Whether the nearest deadline may be later than its bound.
    pub(crate) fn is_bound_old(&self) -> bool {
        self.bound_is_old
    }

    /// Makes the bound equal to the nearest deadline.
    pub(crate) fn renew_bound(&mut self, rows: &mut impl Positions) {
        if self.bound_is_old {
            self.bound_is_old = false;
            self.heap.extend(self.fresh.drain(..), rows);
            shrink(&mut self.fresh);
        }
    }

    /// Makes sure that there is a sequence number for the next entry.
    #[inline]
    pub(crate) fn reserve(&mut self, rows: &mut impl Positions) {
        if self.sequence == u32::MAX {
            self.bound_is_old = true;
            self.renew_bound(rows);
            self.sequence = self.heap.renumber(rows);
        }
    }

    /// Arms `key`, which is not in the queue, for `at`. Returns its position. The caller has [reserved](Self::reserve)
    /// a sequence number.
    #[inline]
    pub(crate) fn push(&mut self, key: InterestToken, at: i64) -> Position {
        let entry = self.next_entry(key, at);
        if self.fresh.is_empty() {
            self.bound = i64::MAX;
        }
        let position = Position::among_fresh(self.fresh.len());
        self.fresh.push(entry);
        self.lower_bound(at);
        position
    }

    #[inline]
    fn next_entry(&mut self, key: InterestToken, at: i64) -> Deadline {
        let sequence = self.sequence;
        self.sequence += 1;
        // The minimum marks cancelled entries.
        Deadline { at: at.max(Deadline::CANCELLED + 1), sequence, key }
    }

    /// Notes that a fresh deadline is at `at`.
    #[inline]
    fn lower_bound(&mut self, at: i64) {
        if at <= self.bound {
            self.bound = at;
            self.bound_is_old = false;
        }
    }

    /// Moves `key` from `position` to `at`, behind equal deadlines. If `key` is armed for `at` already, it keeps its
    /// turn. Returns whether that is a change; `None` if other entries have to move as well, which [`set`](Self::set)
    /// does.
    #[inline]
    pub(crate) fn set_alone(
        &mut self,
        key: InterestToken,
        position: &mut Position,
        at: i64,
    ) -> Option<bool> {
        match self.find(key, *position) {
            Some((_, before)) if before == at => return Some(false),
            _ if self.sequence == u32::MAX => return None,
            Some((Place::Heap(_), _)) => return None,
            Some((Place::Fresh(place), before)) => {
                self.bound_is_old |= before == self.bound;
                self.fresh[place] = self.next_entry(key, at);
                self.lower_bound(at);
            }
            Some((Place::Expired(place), _)) => {
                self.expired[place].at = Deadline::CANCELLED;
                *position = self.push(key, at);
            }
            None => *position = self.push(key, at),
        }
        Some(true)
    }

    /// Moves `key` from `position` to `at`, behind equal deadlines.
    pub(crate) fn set(
        &mut self,
        key: InterestToken,
        position: Position,
        at: i64,
        rows: &mut impl Positions,
    ) {
        match self.find(key, position) {
            Some((Place::Heap(place), _)) if self.sequence < u32::MAX => {
                let entry = self.next_entry(key, at);
                self.heap.put(place, entry, rows);
            }
            _ => {
                // Removed first: `reserve` may move all other entries.
                self.remove(key, position, rows);
                self.reserve(rows);
                let position = self.push(key, at);
                rows.set_position(key, position);
            }
        }
    }

    /// The place of `key` and its deadline, if it is armed and not delivered.
    #[inline]
    fn find(&self, key: InterestToken, position: Position) -> Option<(Place, i64)> {
        let number = position.0 & Position::PLACE;
        let place = number as usize;
        let (place, entry) = if position.0 & Position::EXPIRED != 0 {
            let place = (number.wrapping_sub(self.delivered) & Position::PLACE) as usize;
            (Place::Expired(place), self.expired.get(place))
        } else if position.0 & Position::FRESH != 0 {
            (Place::Fresh(place), self.fresh.get(place))
        } else {
            (Place::Heap(place), self.heap.entries.get(place))
        };
        entry.filter(|entry| { entry.key } == key).map(|entry| (place, entry.at))
    }

    /// Takes out `key`, if it is armed and not delivered.
    #[inline]
    pub(crate) fn remove(
        &mut self,
        key: InterestToken,
        position: Position,
        rows: &mut impl Positions,
    ) {
        match self.find(key, position) {
            Some((Place::Fresh(place), at)) => {
                self.fresh.swap_remove(place);
                self.bound_is_old |= at == self.bound;
                if let Some(last) = self.fresh.get(place) {
                    rows.set_position(last.key, position);
                }
                shrink(&mut self.fresh);
            }
            Some((Place::Heap(place), _)) => self.heap.remove(place, rows),
            Some((Place::Expired(place), _)) => self.expired[place].at = Deadline::CANCELLED,
            None => {}
        }
    }

    /// Moves the deadlines that are not after `now` to the list of expired ones.
    pub(crate) fn expire(&mut self, now: i64, rows: &mut impl Positions) {
        let mut found = std::mem::take(&mut self.found);
        if self.bound <= now && !self.fresh.is_empty() {
            std::mem::swap(&mut self.fresh, &mut found);
            if found.iter().any(|entry| entry.at > now) {
                self.heap.extend(found.extract_if(.., |entry| entry.at > now), rows);
            }
        }
        // Pops single entries from the top, until they are a good part of the heap.
        let mut few = (self.heap.entries.len() / 16).max(ARITY);
        while let Some(&entry) = self.heap.entries.first()
            && entry.at <= now
        {
            if few == 0 {
                self.heap.extract(now, &mut found, rows);
                break;
            }
            few -= 1;
            self.heap.remove(0, rows);
            found.push(entry);
        }
        found.sort_unstable_by_key(Deadline::order);
        let mut number = self.delivered.wrapping_add(self.expired.len() as u32);
        self.expired.reserve(found.len());
        for entry in found.drain(..) {
            rows.set_position(entry.key, Position::expired(number));
            number = number.wrapping_add(1);
            self.expired.push_back(entry);
        }
        shrink(&mut found);
        self.found = found;
    }

    /// Whether `key` has expired and is not delivered.
    pub(crate) fn has_expired(&self, key: InterestToken, position: Position) -> bool {
        matches!(self.find(key, position), Some((Place::Expired(_), _)))
    }

    /// The deadline of `key`; `None` if it is not armed.
    pub(crate) fn deadline(&self, key: InterestToken, position: Position) -> Option<i64> {
        self.find(key, position).map(|(_, at)| at)
    }

    /// Whether the list of expired deadlines has an entry.
    pub(crate) fn is_any_due(&self) -> bool {
        !self.expired.is_empty()
    }

    /// The length of the list of expired deadlines.
    pub(crate) fn count_due(&self) -> usize {
        self.expired.len()
    }

    /// Takes out the first expired entry that was not moved or cancelled since. Returns its key and its deadline.
    #[inline]
    pub(crate) fn next_due(&mut self) -> Option<(InterestToken, i64)> {
        while let Some(Deadline { at, key, .. }) = pop_front(&mut self.expired) {
            self.delivered = self.delivered.wrapping_add(1);
            if at != Deadline::CANCELLED {
                return Some((key, at));
            }
        }
        None
    }
}

static_assertions::const_assert!(size_of::<Deadline>() == 20);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use slotmap::SlotMap;

    use super::*;
    use crate::token::OtherKey;

    /// A queue and the positions that the rows of the interests would keep.
    #[derive(Default)]
    struct Fixture {
        keys: SlotMap<OtherKey, ()>,
        queue: Deadlines,
        positions: Reported,
    }

    #[derive(Default)]
    struct Reported {
        of: HashMap<InterestToken, Position>,
        /// How many were reported.
        moves: usize,
    }

    impl Positions for Reported {
        fn set_position(&mut self, key: InterestToken, to: Position) {
            self.moves += 1;
            self.of.insert(key, to);
        }
    }

    impl Fixture {
        fn arm(&mut self, at: i64) -> InterestToken {
            let key = InterestToken::other(self.keys.insert(()));
            self.queue.reserve(&mut self.positions);
            let position = self.queue.push(key, at);
            self.positions.of.insert(key, position);
            key
        }

        fn set(&mut self, key: InterestToken, at: i64) {
            let mut position = self.positions.of[&key];
            match self.queue.set_alone(key, &mut position, at) {
                Some(_) => drop(self.positions.of.insert(key, position)),
                None => self.queue.set(key, position, at, &mut self.positions),
            }
        }

        fn cancel(&mut self, key: InterestToken) {
            let position = self.positions.of.remove(&key).unwrap();
            self.queue.remove(key, position, &mut self.positions);
        }

        fn expire(&mut self, now: i64) {
            self.queue.expire(now, &mut self.positions);
        }

        fn renew_bound(&mut self) {
            self.queue.renew_bound(&mut self.positions);
        }

        fn next_due(&mut self) -> Option<InterestToken> {
            self.queue.next_due().map(|(key, _)| key)
        }
    }

    #[test]
    fn equal_deadlines_leave_in_the_order_they_were_armed() {
        let mut fixture = Fixture::default();
        let keys: Vec<_> = (0..100).map(|_| fixture.arm(7)).collect();
        // Armed again for the same time, it keeps its turn; moved away and back, it goes behind the others.
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
    fn the_first_of_all_times_is_a_deadline() {
        let mut fixture = Fixture::default();
        let key = fixture.arm(i64::MIN);
        assert!(!fixture.queue.is_bound_old(), "the bound is the deadline");
        fixture.expire(0);
        assert_eq!(fixture.next_due(), Some(key));
    }

    #[test]
    fn what_expires_at_once_leaves_in_order_however_far_apart() {
        for span in [1_000, i64::MAX] {
            let mut fixture = Fixture::default();
            let mut armed: Vec<_> = (0..1_000)
                .map(|n: i64| {
                    let at = n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) % span / 10 * 10;
                    (at, fixture.arm(at))
                })
                .collect();
            // The last entry takes the place of the cancelled one.
            for n in (0..900).step_by(9) {
                fixture.cancel(armed.swap_remove(n).1);
            }
            let later = fixture.arm(i64::MAX);
            armed.sort_by_key(|&(at, key)| (at, key));
            fixture.expire(i64::MAX - 1);
            let order: Vec<_> = std::iter::from_fn(|| fixture.next_due()).collect();
            assert_eq!(order, armed.iter().map(|&(_, key)| key).collect::<Vec<_>>());
            fixture.expire(i64::MAX);
            assert_eq!(fixture.next_due(), Some(later));
        }
    }

    #[test]
    fn one_that_expires_leaves_no_room_for_all_that_were_armed() {
        let mut fixture = Fixture::default();
        for at in 0..10_000 {
            fixture.arm(at);
        }
        fixture.expire(0);
        let queue = &fixture.queue;
        assert_eq!(queue.heap.entries.len(), 9_999);
        assert!(queue.fresh.capacity() + queue.found.capacity() < 5_000);
    }

    /// Each position that changes is reported: how many are is a measure of the work.
    #[test]
    fn the_work_is_in_proportion_to_what_changes() {
        let mut fixture = Fixture::default();
        let expect = |fixture: &mut Fixture, at_most: usize| {
            let moves = std::mem::take(&mut fixture.positions.moves);
            assert!(moves <= at_most, "{moves} moves, {at_most} expected at most");
        };
        let keys: Vec<_> = (0..10_001).rev().map(|at| fixture.arm(10 * at)).collect();
        fixture.set(keys[0], 20_000_000);
        expect(&mut fixture, 0);
        // All of them become a heap: in linear time. One by one, from the last to the first, it would be 60,000.
        fixture.expire(0);
        assert_eq!(fixture.queue.heap.entries.len(), 10_000);
        expect(&mut fixture, 25_000);
        fixture.set(keys[1], 10_000_000);
        expect(&mut fixture, 10);
        assert!(fixture.queue.fresh.is_empty(), "it stays in the heap");
        // Ten expire, and a hundredth of the heap is added. To restore the heap would be 12,500.
        fixture.expire(100);
        expect(&mut fixture, 100);
        for at in (0..100).rev() {
            fixture.arm(105 + at);
        }
        fixture.expire(105);
        expect(&mut fixture, 1000);
        // Half of the heap is added. One by one it would be 35,000.
        for at in (0..5000).rev() {
            fixture.arm(106 + at);
        }
        fixture.expire(106);
        expect(&mut fixture, 22_000);
        // Nearly all expire. One by one it would be 100,000.
        fixture.expire(9_000_000);
        expect(&mut fixture, 30_000);
    }

    #[test]
    fn order_survives_the_end_of_the_sequence_numbers() {
        let mut fixture = Fixture::default();
        fixture.queue.sequence = u32::MAX - 5;
        let keys: Vec<_> = (0..20).map(|n| fixture.arm(n / 10)).collect();
        assert!(fixture.queue.sequence < 100, "the numbers started again");
        fixture.queue.sequence = u32::MAX;
        fixture.set(keys[0], -2);
        assert!(fixture.queue.sequence < 100, "and once more");
        fixture.set(keys[0], 0);
        fixture.set(keys[0], -1);
        fixture.expire(7);
        let order: Vec<_> = std::iter::from_fn(|| fixture.next_due()).collect();
        assert_eq!(order, keys);
    }

    #[test]
    fn one_that_was_armed_last_is_moved_after_the_end_of_the_sequence_numbers() {
        let mut fixture = Fixture::default();
        let keys = [fixture.arm(3), fixture.arm(2)];
        fixture.queue.sequence = u32::MAX;
        fixture.set(keys[0], 1);
        fixture.expire(3);
        assert_eq!([fixture.next_due(), fixture.next_due()], keys.map(Some));
    }

    #[test]
    fn agrees_with_a_sorted_list_under_random_changes() {
        let mut fixture = Fixture::default();
        let mut model: Vec<(i64, u64, InterestToken)> = Vec::new();
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
                    // All that expired, while a callback moves or cancels one of the later ones.
                    let now = model.iter().map(|entry| entry.0).min().unwrap_or(0);
                    let mut due: Vec<_> = model.extract_if(.., |entry| entry.0 <= now).collect();
                    due.sort_by_key(|&(at, turn, _)| (at, turn));
                    fixture.expire(now);
                    if due.len() > 2 {
                        let (_, _, moved) = due.pop().unwrap();
                        fixture.set(moved, now - 1);
                        model.push((now - 1, step, moved));
                        fixture.cancel(due.pop().unwrap().2);
                    }
                    let fired: Vec<_> = std::iter::from_fn(|| fixture.next_due()).collect();
                    assert_eq!(fired, due.iter().map(|entry| entry.2).collect::<Vec<_>>());
                    assert!(fixture.queue.expired.is_empty() && fixture.queue.found.is_empty());
                }
                _ => {}
            }
            assert_eq!(fixture.queue.fresh.len() + fixture.queue.heap.entries.len(), model.len());
            let nearest = model.iter().map(|entry| entry.0).min();
            assert!(fixture.queue.nearest_bound() <= nearest);
            if random & 1 << 40 == 0 {
                fixture.renew_bound();
            }
            if !fixture.queue.is_bound_old() {
                assert_eq!(fixture.queue.nearest_bound(), nearest);
            }
        }
        assert!(model.len() > 100, "the run kept a real queue");
    }
}
