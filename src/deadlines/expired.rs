//! What expired and is not delivered yet.

use super::Deadline;
use crate::token::InterestKey;

/// The deadlines that expired, in order. What was moved since is in the queue again, what was cancelled has no interest.
#[derive(Debug, Default)]
pub(super) struct Expired {
    entries: Vec<Deadline>,
    /// The first that is not delivered.
    next: usize,
    /// Room to sort.
    order: Vec<u64>,
}

impl Expired {
    /// How many find room without an allocation, from the second time on, if more don't expire at once.
    const KEPT: usize = 1024;

    /// Whether there is nothing in the list, delivered or not.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `key` expired with the deadline `at` and is not delivered yet.
    pub(super) fn contains(&self, key: InterestKey, at: i64) -> bool {
        let coming = &self.entries[self.next..];
        let first = coming.partition_point(|entry| entry.at < at);
        coming[first..].iter().take_while(|entry| entry.at == at).any(|entry| { entry.key } == key)
    }

    /// The next `N`, at every `N`-th.
    #[inline]
    pub(super) fn coming<const N: usize>(&self) -> Option<&[Deadline; N]> {
        if !self.next.is_multiple_of(N) {
            return None;
        }
        self.entries[self.next..].first_chunk()
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Deadline> {
        let Some(&entry) = self.entries.get(self.next) else {
            self.next = 0;
            self.entries.clear();
            return None;
        };
        self.next += 1;
        Some(entry)
    }

    /// Takes all of `found`, which is in any order and not before what is here. The room that as many took before is
    /// kept, what is beyond it given back.
    #[inline]
    pub(super) fn append(&mut self, found: &mut Vec<Deadline>) {
        let room = self.entries.len() + found.len().max(Self::KEPT);
        self.entries.shrink_to(room);
        self.order.shrink_to(room);
        if found.len() > 1 {
            self.append_sorted(found);
        } else {
            self.entries.append(found);
        }
        found.shrink_to(Self::KEPT);
    }

    fn append_sorted(&mut self, found: &mut Vec<Deadline>) {
        if found.len() > 32 && !found.is_sorted_by_key(Deadline::order) && self.sort_places(found) {
            let place = |order: &u64| *order as usize & (found.len().next_power_of_two() - 1);
            let first = self.entries.len();
            self.entries.extend(self.order.iter().map(|order| found[place(order)]));
            for equal in self.entries[first..].chunk_by_mut(|one, next| one.at == next.at) {
                equal.sort_unstable_by_key(|entry| entry.sequence);
            }
            found.clear();
        } else {
            found.sort_unstable_by_key(Deadline::order);
            self.entries.append(found);
        }
    }

    /// Sorts the deadlines of `found` with their places in the lowest bits, a word each, which takes half the time;
    /// `false` if they are too far apart for that.
    fn sort_places(&mut self, found: &[Deadline]) -> bool {
        let earliest = found.iter().map(|entry| entry.at).min().unwrap_or(0);
        let latest = found.iter().map(|entry| entry.at).max().unwrap_or(0);
        let places = found.len().next_power_of_two().trailing_zeros();
        if latest.abs_diff(earliest).leading_zeros() < places {
            return false;
        }
        let order = |(place, entry): (usize, &Deadline)| {
            entry.at.abs_diff(earliest) << places | place as u64
        };
        self.order.clear();
        self.order.extend(found.iter().enumerate().map(order));
        self.order.sort_unstable();
        true
    }
}
