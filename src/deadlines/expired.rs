//! What expired and is not delivered yet.

use super::Deadline;
use crate::token::InterestKey;

/// The deadlines that expired, in order. What was moved since is in the queue again, what was cancelled has no interest.
#[derive(Debug, Default)]
pub(super) struct Expired {
    entries: Vec<Deadline>,
    /// The first that is not delivered.
    next: usize,
    /// Room to sort: where the deadlines of a stretch of time are.
    buckets: Vec<u32>,
}

impl Expired {
    /// How many find room without an allocation, from the second time on, if more don't expire at once.
    const KEPT: usize = 1024;
    /// How many are sorted as they are.
    const FEW: usize = 32;

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
        let room = found.len().max(Self::KEPT);
        self.entries.shrink_to(self.entries.len() + room);
        self.buckets.shrink_to(room);
        if found.len() > 1 {
            self.append_sorted(found);
        } else {
            self.entries.append(found);
        }
        found.shrink_to(Self::KEPT);
    }

    fn append_sorted(&mut self, found: &mut Vec<Deadline>) {
        if found.len() > Self::FEW && !found.is_sorted_by_key(Deadline::order) {
            self.append_by_buckets(found);
            found.clear();
        } else {
            found.sort_unstable_by_key(Deadline::order);
            self.entries.append(found);
        }
    }

    /// Takes copies of `found` in order: each goes to its bucket, a stretch of time of which there are about a quarter as
    /// many as there are deadlines, and the buckets are sorted one by one.
    fn append_by_buckets(&mut self, found: &[Deadline]) {
        let (mut earliest, mut latest) = (i64::MAX, i64::MIN);
        for entry in found {
            earliest = earliest.min(entry.at);
            latest = latest.max(entry.at);
        }
        let span = latest.abs_diff(earliest);
        let bits = (found.len() / 4).ilog2() + 1;
        let shift = (u64::BITS - span.leading_zeros()).saturating_sub(bits);
        let bucket = |entry: &Deadline| (entry.at.abs_diff(earliest) >> shift) as usize;
        // How many each has; then where it ends; then, as each deadline takes the last place that is free, where it starts.
        self.buckets.clear();
        self.buckets.resize((span >> shift) as usize + 2, 0);
        for entry in found {
            self.buckets[bucket(entry)] += 1;
        }
        let mut end = 0;
        for bucket in &mut self.buckets {
            end += *bucket;
            *bucket = end;
        }
        let first = self.entries.len();
        self.entries.extend_from_slice(found);
        let entries = &mut self.entries[first..];
        for entry in found {
            let place = &mut self.buckets[bucket(entry)];
            *place -= 1;
            entries[*place as usize] = *entry;
        }
        for bounds in self.buckets.windows(2) {
            entries[bounds[0] as usize..bounds[1] as usize].sort_unstable_by_key(Deadline::order);
        }
    }
}
