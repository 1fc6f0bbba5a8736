//! The deadlines among the interests, one queue per priority: arming and moving deadlines, and taking expired ones.

use std::time::Duration;

use super::rows::Rows;
use super::{Held, Registrations, Turn, Watch};
use crate::clock::duration;
use crate::interest::ReadinessBits;
use crate::registry::deadlines::Deadlines;
use crate::registry::options::Priority;
use crate::token::{InterestToken, SourceKey};

impl Registrations {
    /// Adds an interest in the deadline `at`, on the clock's scale.
    #[inline]
    pub(crate) fn arm(&mut self, source: SourceKey, at: i64) -> InterestToken {
        let queue = &mut self.deadlines[self.priority(source).index()];
        queue.reserve(&mut self.rows);
        let key = self.rows.add(source, |key| Watch::Deadline(queue.push(key, at)));
        self.shared.lower_nearest_deadline(at);
        key
    }

    /// Moves the deadline `key` to `at`, if `source` holds it.
    #[inline]
    pub(crate) fn rearm(&mut self, source: SourceKey, key: InterestToken, at: i64) {
        let Some((holder, Held { watch: Watch::Deadline(position), ready })) = self.rows.get(key)
        else {
            return;
        };
        if holder.source != source {
            return;
        }
        // An event that was queued again belonged to the previous deadline.
        *ready = ReadinessBits::NONE;
        let queue = &mut self.deadlines[holder.priority.index()];
        match queue.set_alone(key, position, at) {
            Some(false) => {}
            Some(true) => self.shared.lower_nearest_deadline(at),
            None => {
                let position = *position;
                self.change_deadlines(source, |queue, rows| {
                    queue.set(key, position, at, rows);
                });
            }
        }
    }

    /// Moves the deadline of a timer; an op will tell the timer. `counts`: that op is new, not an already queued one
    /// with a new deadline. `false` if more such ops are queued than `moves` can count.
    ///
    /// The timer's turn among equal deadlines is decided here. The timer fires only after the last of these ops is
    /// applied.
    #[inline]
    pub(crate) fn begin_move(&mut self, source: SourceKey, at: i64, counts: bool) -> bool {
        let Some(row) = self.rows.sources.get_mut(source) else { return false };
        let Some(moves) = row.moves.checked_add(counts.into()) else { return false };
        row.moves = moves;
        if let Some((key, _)) = self.rows.interests_of(source).next() {
            self.rearm(source, key, at);
        }
        true
    }

    /// Whether ops are queued that move the deadline of the source.
    #[inline]
    pub(crate) fn is_moving(&self, source: SourceKey) -> bool {
        self.rows.sources.get(source).is_some_and(|row| row.moves > 0)
    }

    /// Notes that an op tells a timer of a move. Returns whether this was the last such op queued.
    pub(crate) fn end_move(&mut self, source: SourceKey) -> bool {
        let Some(row) = self.rows.sources.get_mut(source) else { return false };
        row.moves -= 1;
        row.moves == 0
    }

    /// Calls `change` on the queue of `source`.
    #[inline]
    pub(super) fn change_deadlines(
        &mut self,
        source: SourceKey,
        change: impl FnOnce(&mut Deadlines, &mut Rows),
    ) {
        let queue = &mut self.deadlines[self.priority(source).index()];
        let before = queue.nearest_bound();
        change(queue, &mut self.rows);
        if queue.nearest_bound() != before {
            self.nearest_changed();
        }
    }

    /// Moves the deadlines that have expired by now to the lists for [`begin_next_due`](Self::begin_next_due). Returns
    /// the current time, if it was read.
    #[inline]
    pub(crate) fn expire(&mut self) -> Option<i64> {
        // The bound may be too early; `expire` then finds nothing.
        let bound = self.shared.nearest_deadline()?;
        let now = self.shared.read_clock();
        if now >= bound {
            for queue in &mut self.deadlines {
                if queue.nearest_bound().is_some_and(|at| at <= now) {
                    queue.expire(now, &mut self.rows);
                }
            }
            self.nearest_changed();
            let due: usize = self.deadlines.iter().map(Deadlines::count_due).sum();
            // Sorting many deadlines takes longer than reading the clock.
            return Some(if due > 1024 { self.shared.read_clock() } else { now });
        }
        Some(now)
    }

    /// Whether the list of expired deadlines of `priority` has an entry. Cancelled ones count until they are taken off.
    #[inline]
    pub(crate) fn has_due(&self, priority: Priority) -> bool {
        self.deadlines[priority.index()].is_any_due()
    }

    /// [`has_due`](Self::has_due), of any priority.
    #[inline]
    pub(crate) fn is_any_due(&self) -> bool {
        self.deadlines.iter().any(Deadlines::is_any_due)
    }

    /// Starts the turn of the next expired deadline of `priority`, in the order of deadlines. `None` also if its
    /// source gets no events.
    #[inline]
    pub(crate) fn begin_next_due(&mut self, priority: Priority) -> Option<Turn> {
        let (interest, at) = self.deadlines[priority.index()].next_due()?;
        self.delivered = Some((interest, at));
        // An interest that was ready already has a place in the round's queue, and has its turn there.
        self.mark_ready(interest, ReadinessBits::NOTIFIED)??;
        self.begin_turn(interest)
    }

    /// Whether an interest is ready, or a deadline that has expired, and is not delivered yet.
    pub(crate) fn is_ready(&self, source: SourceKey, interest: InterestToken, held: &Held) -> bool {
        let queue = || &self.deadlines[self.priority(source).index()];
        held.ready.is_found()
            || matches!(held.watch, Watch::Deadline(at) if queue().has_expired(interest, at))
    }

    /// The nearest deadline of a source, on the clock's scale.
    pub(crate) fn nearest_deadline_of(&self, source: SourceKey) -> Option<i64> {
        let queue = &self.deadlines[self.priority(source).index()];
        let deadlines = self.rows.interests_of(source).filter_map(|(key, held)| match held.watch {
            Watch::Deadline(position) => queue.deadline(key, position),
            _ => None,
        });
        deadlines.min()
    }

    /// How many interests of a source are ready and not delivered yet.
    pub(crate) fn backlog_of(&self, source: SourceKey) -> usize {
        let interests = self.rows.interests_of(source);
        interests.filter(|&(key, held)| self.is_ready(source, key, held)).count()
    }

    /// How late the deadline that is being delivered is, if `interest` is one.
    pub(crate) fn lateness(&self, interest: InterestToken) -> Option<Duration> {
        let (_, at) = self.delivered.filter(|(delivered, _)| *delivered == interest)?;
        Some(duration(self.shared.clock().now_stamp().saturating_sub(at)))
    }

    /// Looks up the nearest deadline again, if the previous one has gone.
    #[inline]
    pub(crate) fn renew_nearest(&mut self) {
        if self.shared.nearest_deadline().is_some()
            && self.deadlines.iter().any(Deadlines::is_bound_old)
        {
            self.renew_bounds();
        }
    }

    #[inline(never)]
    fn renew_bounds(&mut self) {
        for queue in &mut self.deadlines {
            queue.renew_bound(&mut self.rows);
        }
        self.nearest_changed();
    }

    #[inline]
    fn nearest_changed(&self) {
        let nearest = self.deadlines.iter().filter_map(Deadlines::nearest_bound).min();
        self.shared.set_nearest_deadline(nearest);
    }
}
