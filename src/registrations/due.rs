//! The deadlines among the interests, a queue for each priority: arming and moving them, and what expired.

use std::ops::Range;
use std::time::Duration;

use super::rows::Rows;
use super::{Registrations, TIMER, Turn, Watch};
use crate::backlog::ReadyEvent;
use crate::deadlines::{Deadline, Deadlines, Position};
use crate::options::Priority;
use crate::token::{InterestKey, SourceKey};

impl Registrations {
    /// Adds an interest in the deadline `at`, on the clock's scale.
    #[inline]
    pub(crate) fn arm(&mut self, source: SourceKey, at: i64) -> InterestKey {
        let queue = &mut self.deadlines[self.priority(source).index()];
        queue.reserve(|key, to| self.rows.set_position(key, to));
        let key = self.rows.add(source, |key| Watch::Deadline(queue.push(key, at)));
        if self.shared.nearest_deadline().is_none_or(|nearest| at < nearest) {
            self.shared.set_nearest_deadline(Some(at));
        }
        key
    }

    /// Moves the deadline `key` to `at`, if `source` holds it.
    #[inline]
    pub(crate) fn rearm(&mut self, source: SourceKey, key: InterestKey, at: i64) {
        if let Some(&mut Watch::Deadline(position)) = self.watch(source, key) {
            self.set(source, key, position, at);
        }
    }

    #[inline]
    fn set(&mut self, source: SourceKey, key: InterestKey, position: Position, at: i64) {
        self.change_deadlines(source, |queue, rows| {
            queue.set(key, position, at, |key, to| rows.set_position(key, to))
        });
    }

    /// Moves the deadline of a timer to `at`, for which an op is queued that tells the timer: that does it where the
    /// deadline is not in its row. `false` if the timer is not live.
    #[inline]
    pub(crate) fn move_deadline(&mut self, source: SourceKey, at: i64) -> bool {
        let live = self.touch(source);
        if live
            && self.rows.source(source).is_some_and(|row| row.flags & TIMER != 0)
            && let Some((key, Watch::Deadline(position))) = self.rows.interest_in_row(source)
        {
            self.set(source, key, position, at);
        }
        live
    }

    /// Takes what is no interest any more out of the queue, if it is a deadline.
    #[inline]
    pub(super) fn cancel_removed(&mut self, key: InterestKey, removed: Option<(SourceKey, Watch)>) {
        if let Some((source, Watch::Deadline(position))) = removed {
            self.change_deadlines(source, |queue, rows| {
                queue.remove(key, position, |key, to| rows.set_position(key, to))
            });
        }
    }

    /// Changes the queue that the deadlines of `source` are in, if `change` answers that it did.
    #[inline]
    fn change_deadlines(
        &mut self,
        source: SourceKey,
        change: impl FnOnce(&mut Deadlines, &mut Rows) -> bool,
    ) {
        let queue = &mut self.deadlines[self.priority(source).index()];
        let before = queue.nearest_bound();
        if !change(queue, &mut self.rows) {
            return;
        }
        self.nearest_is_old |= queue.is_bound_old();
        if queue.nearest_bound() != before {
            self.nearest_changed();
        }
    }

    /// Takes what has expired by now out of the queues, if there is anything in them;
    /// [`begin_next_due`](Self::begin_next_due) has it delivered.
    #[inline(always)]
    pub(crate) fn expire(&mut self) {
        // There may be nothing at the bound: that is seen then.
        if let Some(bound) = self.shared.nearest_deadline() {
            self.expire_from(bound);
        }
    }

    fn expire_from(&mut self, bound: i64) {
        let now = self.clock.now_stamp();
        self.reached = now;
        if now < bound {
            return;
        }
        let queues = self.queues();
        for queue in &mut self.deadlines[queues] {
            queue.expire(now, |key, to| self.rows.set_position(key, to));
        }
        self.nearest_changed();
    }

    /// Whether `at` has passed, as far as that is known without a look at the clock.
    #[inline]
    pub(crate) fn is_reached(&self, at: i64) -> bool {
        at <= self.reached
    }

    /// Whether anything of `priority` expired that was not delivered, or at least not taken off the list.
    #[inline]
    pub(crate) fn is_any_due(&self, priority: Priority) -> bool {
        self.deadlines[priority.index()].is_any_due()
    }

    /// The next `N` of what expired of `priority`, at every `N`-th of them.
    #[inline]
    pub(crate) fn coming_due<const N: usize>(&self, priority: Priority) -> Option<&[Deadline; N]> {
        self.deadlines[priority.index()].coming()
    }

    /// Starts the turn of the next of what expired of `priority`, in the order of deadlines.
    #[inline]
    pub(crate) fn begin_next_due(&mut self, priority: Priority) -> Option<Turn> {
        let (interest, at, source) =
            self.deadlines[priority.index()].next_due(|key| match self.rows.get(key)? {
                (source, &Watch::Deadline(position)) => Some((position, source)),
                _ => None,
            })?;
        self.delivered = Some((interest, at));
        Some(self.turn_of(source, ReadyEvent::plain(interest), false))
    }

    /// How long ago the deadline was that is being delivered, if `interest` is one.
    pub(crate) fn lateness(&self, interest: InterestKey) -> Option<Duration> {
        let (_, at) = self.delivered.filter(|(delivered, _)| *delivered == interest)?;
        let late = self.clock.now_stamp().saturating_sub(at);
        Some(Duration::from_nanos(late.try_into().unwrap_or(0)))
    }

    /// The queues that may have anything in them.
    #[inline]
    fn queues(&self) -> Range<usize> {
        let normal = Priority::Normal.index();
        if self.prioritized { 0..Priority::COUNT } else { normal..normal + 1 }
    }

    /// The nearest deadline of all, on the clock's scale.
    #[inline]
    pub(crate) fn nearest_deadline(&mut self) -> Option<i64> {
        self.renew_nearest();
        self.shared.nearest_deadline()
    }

    /// Looks what the nearest deadline is, if the one that was has gone.
    #[inline]
    pub(crate) fn renew_nearest(&mut self) {
        if self.nearest_is_old {
            self.renew_bounds();
        }
    }

    #[inline(never)]
    fn renew_bounds(&mut self) {
        self.nearest_is_old = false;
        let queues = self.queues();
        for queue in &mut self.deadlines[queues] {
            queue.renew_bound(|key, to| self.rows.set_position(key, to));
        }
        self.nearest_changed();
    }

    #[inline]
    fn nearest_changed(&mut self) {
        let queues = &self.deadlines[self.queues()];
        let nearest = queues.iter().filter_map(Deadlines::nearest_bound).min();
        self.shared.set_nearest_deadline(nearest);
    }
}
