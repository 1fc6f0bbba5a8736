//! The deadlines among the interests, a queue for each priority: arming and moving them, and what expired.

use std::ops::Range;
use std::time::{Duration, Instant};

use slotmap::SlotMap;

use super::{InterestState, Registrations, Turn, Watch};
use crate::backlog::ReadyEvent;
use crate::deadlines::{Deadlines, Position};
use crate::options::Priority;
use crate::token::{InterestKey, SourceKey};

impl Registrations {
    #[inline]
    pub(crate) fn arm(&mut self, key: InterestKey, deadline: Instant) {
        let at = self.clock.stamp(deadline);
        let Some(&InterestState { source, watch: Watch::Deadline(position) }) =
            self.interests.get(key)
        else {
            return;
        };
        self.change_deadlines(source, |queue, interests| {
            queue.set(key, position, at, |key, to| set_position(interests, key, to));
        });
    }

    /// Takes what is at `position` out of the queue: it is no interest any more.
    #[inline]
    pub(super) fn cancel(&mut self, key: InterestKey, position: Position, source: SourceKey) {
        self.change_deadlines(source, |queue, interests| {
            queue.remove(key, position, |key, to| set_position(interests, key, to));
        });
    }

    /// Changes the queue that the deadlines of `source` are in.
    #[inline]
    fn change_deadlines(
        &mut self,
        source: SourceKey,
        change: impl FnOnce(&mut Deadlines, &mut SlotMap<InterestKey, InterestState>),
    ) {
        let queue = &mut self.deadlines[self.priority(source).index()];
        let before = queue.nearest_bound();
        change(queue, &mut self.interests);
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
            queue.expire(now, |key, to| set_position(&mut self.interests, key, to));
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

    /// The sources of the next `N` of what expired of `priority`, at every `N`-th of them.
    #[inline]
    pub(crate) fn coming_due<const N: usize>(
        &self,
        priority: Priority,
    ) -> Option<[Option<SourceKey>; N]> {
        let coming = self.deadlines[priority.index()].coming::<N>()?;
        Some(coming.map(|interest| self.source_of(interest)))
    }

    /// Starts the turn of the next of what expired of `priority`, in the order of deadlines.
    #[inline]
    pub(crate) fn begin_next_due(&mut self, priority: Priority) -> Option<Turn> {
        let (interest, at, source) = self.deadlines[priority.index()].next_due(|key| {
            let interest = self.interests.get(key)?;
            match interest.watch {
                Watch::Deadline(position) => Some((position, interest.source)),
                _ => None,
            }
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
            queue.renew_bound(|key, to| set_position(&mut self.interests, key, to));
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

fn set_position(
    interests: &mut SlotMap<InterestKey, InterestState>,
    key: InterestKey,
    to: Position,
) {
    if let Some(InterestState { watch: Watch::Deadline(position), .. }) = interests.get_mut(key) {
        *position = to;
    }
}
