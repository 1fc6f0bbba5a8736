//! What a round found, what earlier ones left, and what was running when a panic came.
//!
//! Each interest that is ready is in a queue once, by the priority of its source, and what it is ready for is in its row
//! of the tables: whatever finds it ready again adds to that. One that gets no events any more leaves its place in the
//! queue, where it then is ready for nothing.

use std::collections::VecDeque;

use crate::error::{Error, Outcome};
use crate::interest::ReadinessBits;
use crate::registry::options::Priority;
use crate::registry::{Registrations, Turn};
use crate::shrink::{pop_front, shrink};
use crate::token::{InterestKey, SourceKey};

#[derive(Debug)]
pub(crate) struct Round {
    /// What is to be delivered in this round, or in the next if this one ends before.
    ready: [VecDeque<InterestKey>; Priority::COUNT],
    /// How many are in these queues and in the next.
    queued: usize,
    /// What had its turn and has more: it goes behind what the next wait finds.
    deferred: Vec<InterestKey>,
    /// The event that a source processes, or has more of while ops are applied.
    running: Option<(InterestKey, ReadinessBits)>,
    /// The source that is being registered, because it was enabled, or unregistered.
    changing: Option<SourceKey>,
    /// Errors that are to come out of this dispatch or of later ones.
    failures: VecDeque<Box<Error>>,
    /// A dispatch is under way; or an error or a panic ended the last one.
    is_open: bool,
    /// An error ended the last dispatch before it was through.
    was_cut: bool,
    /// No error ends this one before: else a source that fails each time would keep others from theirs.
    holds_failures: bool,
    /// What the kernel told of while it is nobody's.
    stale: Vec<InterestKey>,
    /// Code of the user's ran in this dispatch, before its wait: the wait then does not block.
    ran_user_code: bool,
    /// Callbacks ran since the last wait, and may have asked something of a hosted loop.
    called: bool,
    /// An fd of which the kernel tells as long as it is ready was delivered.
    delivered_level: bool,
}

impl Round {
    pub(crate) fn new() -> Self {
        Self {
            ready: Default::default(),
            queued: 0,
            deferred: Vec::new(),
            running: None,
            changing: None,
            failures: VecDeque::new(),
            is_open: false,
            was_cut: false,
            holds_failures: false,
            stale: Vec::new(),
            ran_user_code: false,
            called: false,
            delivered_level: false,
        }
    }

    /// Whether there is nothing to deliver, but for deadlines.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queued == 0 && self.failures.is_empty() && !self.was_interrupted()
    }

    /// Whether there is an interest to deliver, in this round or in the next.
    #[inline]
    pub(crate) fn has_queued(&self) -> bool {
        self.queued > 0
    }

    /// How many interests are in the queues.
    pub(crate) fn len(&self) -> usize {
        self.queued
    }

    /// Takes note that `interest` is ready. `false` if it is nobody's.
    #[inline]
    pub(crate) fn found(
        &mut self,
        interest: InterestKey,
        readiness: ReadinessBits,
        registrations: &mut Registrations,
    ) -> bool {
        match registrations.mark_ready(interest, readiness) {
            None => false,
            Some(first) => {
                if let Some(priority) = first {
                    self.ready[priority.index()].push_back(interest);
                    self.queued += 1;
                }
                true
            }
        }
    }

    /// Forgets what the kernel says again if it still holds: it may hold no more, and a read would block. The places in
    /// the queue stay.
    #[inline]
    pub(crate) fn forget_level(&self, registrations: &mut Registrations) {
        if self.queued > 0 {
            self.forget_some_level(registrations);
        }
    }

    fn forget_some_level(&self, registrations: &mut Registrations) {
        for interest in self.ready.iter().flatten() {
            registrations.forget_level(*interest);
        }
    }

    /// Has what had its turn in the last round follow what was found by now.
    #[inline]
    pub(crate) fn take_up_deferred(&mut self, registrations: &Registrations) {
        if self.deferred.is_empty() {
            return;
        }
        for interest in self.deferred.drain(..) {
            let priority = registrations.priority_of(interest);
            self.ready[priority.index()].push_back(interest);
        }
        shrink(&mut self.deferred);
    }

    /// Has an interest that has more go on in the next round.
    pub(crate) fn defer(
        &mut self,
        interest: InterestKey,
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

    /// Starts the turn of the next interest of `priority`; the inner `None` if its source gets no events.
    #[inline]
    pub(crate) fn next_ready(
        &mut self,
        priority: Priority,
        registrations: &mut Registrations,
    ) -> Option<Option<Turn>> {
        let interest = pop_front(&mut self.ready[priority.index()])?;
        self.queued -= 1;
        Some(registrations.begin_turn(interest))
    }

    /// Takes note that the kernel told of what is nobody's.
    #[cold]
    pub(crate) fn found_stale(&mut self, interest: InterestKey) {
        self.stale.push(interest);
    }

    #[inline]
    pub(crate) fn has_stale(&self) -> bool {
        !self.stale.is_empty()
    }

    /// What the kernel told of while it was nobody's.
    pub(crate) fn take_stale(&mut self) -> Vec<InterestKey> {
        std::mem::take(&mut self.stale)
    }

    // What ran.

    /// Code of the user's runs that may run before a wait: that does not block then.
    #[inline]
    pub(crate) fn runs_user_code(&mut self) {
        self.ran_user_code = true;
    }

    /// Whether such code ran since the dispatch began; forgets it.
    #[inline]
    pub(crate) fn take_user_code(&mut self) -> bool {
        std::mem::take(&mut self.ran_user_code)
    }

    /// Something runs that may ask a hosted loop for something.
    #[inline]
    pub(crate) fn calls(&mut self) {
        self.called = true;
    }

    /// Whether something did since the last wait; forgets it.
    #[inline]
    pub(crate) fn take_calls(&mut self) -> bool {
        std::mem::take(&mut self.called)
    }

    /// Takes note of what was delivered.
    #[inline]
    pub(crate) fn delivered(&mut self, readiness: ReadinessBits) {
        self.delivered_level |= readiness.is_level();
    }

    /// Whether the kernel goes on to tell of something that was delivered; forgets it.
    pub(crate) fn take_delivered_level(&mut self) -> bool {
        std::mem::take(&mut self.delivered_level)
    }

    // What a panic interrupts.

    #[inline]
    pub(crate) fn set_running(&mut self, interest: InterestKey, readiness: ReadinessBits) {
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

    /// Takes up what a panic interrupted. An event is delivered once more: it may be all that tells of a backlog. The
    /// source that was being registered or unregistered.
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

    /// What precedes a wait begins; whether the last dispatch was not through to its end.
    #[inline]
    pub(crate) fn begin(&mut self) -> bool {
        self.ran_user_code = false;
        std::mem::replace(&mut self.is_open, true)
    }

    /// A dispatch begins: after one that an error cut short it goes through to its end.
    #[inline]
    pub(crate) fn begin_dispatch(&mut self) {
        self.holds_failures = std::mem::take(&mut self.was_cut);
    }

    /// A dispatch ends, by an error or with its last step: what comes out of it.
    #[inline]
    pub(crate) fn end_dispatch(&mut self, steps: Outcome) -> Outcome {
        let was_held = std::mem::take(&mut self.holds_failures);
        let outcome = steps.and_then(|()| self.failure());
        self.was_cut = outcome.is_err() && !was_held;
        self.close(&outcome);
        outcome
    }

    /// What was begun is through, unless by an error.
    #[inline]
    pub(crate) fn close(&mut self, outcome: &Outcome) {
        self.is_open &= outcome.is_err();
    }

    /// No error is held, whatever a panic left.
    pub(crate) fn hold_no_failures(&mut self) {
        self.holds_failures = false;
    }

    /// Whether there is an error that came out of nothing yet.
    #[inline]
    pub(crate) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The next error that is to come out now.
    #[inline]
    pub(crate) fn failure(&mut self) -> Outcome {
        if self.has_failed() { self.next_failure() } else { Ok(()) }
    }

    #[cold]
    fn next_failure(&mut self) -> Outcome {
        if self.holds_failures { Ok(()) } else { self.failures.pop_front().map_or(Ok(()), Err) }
    }
}
