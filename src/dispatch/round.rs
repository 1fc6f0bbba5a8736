//! What a round found, what earlier rounds left, and what a panic interrupted.
//!
//! Each ready interest is in a queue once, by the priority of its source. Its row in the tables says what it is ready
//! for; finding it ready again adds to the row. An interest that gets no more events keeps its place in the queue, but
//! is ready for nothing when its turn comes.

use std::collections::VecDeque;

use crate::error::{Error, Outcome};
use crate::interest::ReadinessBits;
use crate::registry::options::Priority;
use crate::registry::{Registrations, Turn};
use crate::shrink::{pop_front, shrink};
use crate::token::{InterestToken, SourceKey};

#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Interests to deliver in this round, or in the next if this one ends before.
    ready: [VecDeque<InterestToken>; Priority::COUNT],
    /// How many interests are in `ready` and `deferred`.
    queued: usize,
    /// Interests that had their turn and have more: they go behind what the next wait finds.
    deferred: Vec<InterestToken>,
    /// The event that a source is processing, or has more of while ops are applied.
    running: Option<(InterestToken, ReadinessBits)>,
    /// The source that is being enabled or unregistered.
    changing: Option<SourceKey>,
    /// Errors that this dispatch or later ones return.
    failures: VecDeque<Box<Error>>,
    /// An error ended the last dispatch before its last step.
    was_cut: bool,
    /// No error ends this dispatch early: otherwise a source that fails each time would keep others from their events.
    holds_failures: bool,
    /// User code ran in this dispatch before its wait: the wait then does not block.
    ran_user_code: bool,
    /// Callbacks ran since the last wait, and may have asked a hosted loop for something.
    called: bool,
}

impl Round {
    /// Whether there is nothing to deliver, apart from deadlines.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queued == 0 && !self.has_failed() && !self.was_interrupted()
    }

    /// Whether there is an interest to deliver, in this round or in the next.
    #[inline]
    pub(crate) fn has_queued(&self) -> bool {
        self.queued > 0
    }

    /// How many interests are queued.
    pub(crate) fn len(&self) -> usize {
        self.queued
    }

    /// Notes that `interest` is ready. `false` if no source holds it.
    #[inline]
    pub(crate) fn found(
        &mut self,
        interest: InterestToken,
        readiness: ReadinessBits,
        registrations: &mut Registrations,
    ) -> bool {
        let marked = registrations.mark_ready(interest, readiness);
        if let Some(Some(priority)) = marked {
            self.ready[priority.index()].push_back(interest);
            self.queued += 1;
        }
        marked.is_some()
    }

    /// Forgets the readiness that the kernel repeats while it holds: it may hold no more, and a read would then block.
    /// The interests keep their places in the queue.
    #[inline]
    pub(crate) fn forget_level(&self, registrations: &mut Registrations) {
        if self.queued > 0 {
            for interest in self.ready.iter().flatten() {
                registrations.forget_level(*interest);
            }
        }
    }

    /// Queues the interests that had their turn in the last round behind those found by now.
    #[inline]
    pub(crate) fn take_up_deferred(&mut self, registrations: &mut Registrations) {
        if self.deferred.is_empty() {
            return;
        }
        for interest in self.deferred.drain(..) {
            let priority = registrations.priority_of(interest);
            self.ready[priority.index()].push_back(interest);
        }
        shrink(&mut self.deferred);
    }

    /// Queues an interest that has more for the next round.
    pub(crate) fn defer(
        &mut self,
        interest: InterestToken,
        readiness: ReadinessBits,
        registrations: &mut Registrations,
    ) {
        if let Some(Some(_)) = registrations.mark_ready(interest, readiness.with_more()) {
            self.deferred.push(interest);
            self.queued += 1;
        }
    }

    /// Whether there is an interest of `priority` to deliver.
    #[inline]
    pub(crate) fn has_ready(&self, priority: Priority) -> bool {
        !self.ready[priority.index()].is_empty()
    }

    /// Starts the turn of the next interest of `priority`. `None` also if its source gets no events.
    #[inline]
    pub(crate) fn next_ready(
        &mut self,
        priority: Priority,
        registrations: &mut Registrations,
    ) -> Option<Turn> {
        let interest = pop_front(&mut self.ready[priority.index()])?;
        self.queued -= 1;
        registrations.begin_turn(interest)
    }

    // What ran.

    /// Notes user code that may run before a wait. That wait then does not block.
    #[inline]
    pub(crate) fn runs_user_code(&mut self) {
        self.ran_user_code = true;
        self.called = true;
    }

    /// Notes that something else runs that may ask a hosted loop for something.
    #[inline]
    pub(crate) fn calls(&mut self) {
        self.called = true;
    }

    /// Whether something ran that keeps a wait from blocking: user code since the dispatch began or, if the loop waits
    /// in a hosted one, any callback since the last wait. Resets both notes.
    #[inline]
    pub(crate) fn take_calls(&mut self, waits_in_host: bool) -> bool {
        let called = std::mem::take(&mut self.called);
        std::mem::take(&mut self.ran_user_code) || called && waits_in_host
    }

    // What a panic interrupts.

    #[inline]
    pub(crate) fn set_running(&mut self, interest: InterestToken, readiness: ReadinessBits) {
        self.running = Some((interest, readiness));
    }

    #[inline]
    pub(crate) fn set_done(&mut self) {
        self.running = None;
    }

    #[inline]
    pub(crate) fn set_changing(&mut self, source: Option<SourceKey>) {
        self.changing = source;
    }

    /// Takes up what a panic interrupted. Queues the interrupted event again: it may be the only sign of a backlog.
    /// Returns the source that was being registered or unregistered.
    pub(crate) fn take_interrupted(
        &mut self,
        registrations: &mut Registrations,
    ) -> Option<SourceKey> {
        if let Some((interest, readiness)) = self.running.take()
            && let Some(Some(priority)) = registrations.mark_ready(interest, readiness)
        {
            self.ready[priority.index()].push_front(interest);
            self.queued += 1;
        }
        self.changing.take()
    }

    #[inline]
    pub(crate) fn was_interrupted(&self) -> bool {
        self.running.is_some() || self.changing.is_some()
    }

    // Errors.

    #[cold]
    pub(crate) fn fail(&mut self, error: Error) {
        self.failures.push_back(Box::new(error));
    }

    /// Begins a dispatch. After one that an error cut short, this one goes through to its end.
    #[inline]
    pub(crate) fn begin_dispatch(&mut self) {
        self.ran_user_code = false;
        self.holds_failures = std::mem::take(&mut self.was_cut);
    }

    /// Ends a dispatch, after an error or its last step. Returns its outcome.
    #[inline]
    pub(crate) fn end_dispatch(&mut self, steps: Outcome) -> Outcome {
        let was_held = std::mem::take(&mut self.holds_failures);
        let outcome = steps.and_then(|()| self.failure());
        self.was_cut = outcome.is_err() && !was_held;
        outcome
    }

    /// Lets errors come out at once, whatever a panic left set.
    pub(crate) fn hold_no_failures(&mut self) {
        self.holds_failures = false;
    }

    /// Whether there is an error that was not returned yet.
    #[inline]
    pub(crate) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The next error to return now.
    #[inline]
    pub(crate) fn failure(&mut self) -> Outcome {
        if self.has_failed() { self.next_failure() } else { Ok(()) }
    }

    #[cold]
    fn next_failure(&mut self) -> Outcome {
        if self.holds_failures { Ok(()) } else { self.failures.pop_front().map_or(Ok(()), Err) }
    }
}
