//! The events that a round has to deliver, first in, first out.
//!
//! A vector and a cursor: what was delivered stays in front of the cursor until all is, so that neither end moves
//! anything.

use crate::interest::ReadySet;
use crate::token::InterestKey;

/// What was found ready. The interest may be gone. Two words, so that it goes through registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyEvent {
    token: mio::Token,
    pub(crate) readiness: ReadySet,
}

impl ReadyEvent {
    #[inline]
    pub(crate) fn new(interest: InterestKey, readiness: ReadySet) -> Self {
        Self::told(interest.into_mio(), readiness)
    }

    /// An event without readiness, for an interest that is not watched by the kernel.
    #[inline]
    pub(crate) fn plain(interest: InterestKey) -> Self {
        Self::new(interest, ReadySet::EMPTY)
    }

    /// As the kernel told it.
    #[inline]
    pub(crate) fn told(token: mio::Token, readiness: ReadySet) -> Self {
        Self { token, readiness }
    }

    #[inline]
    pub(crate) fn interest(&self) -> InterestKey {
        InterestKey::from_mio(self.token)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    events: Vec<ReadyEvent>,
    /// The first that is not delivered; 0 if there is none.
    next: usize,
}

impl Backlog {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.next == self.events.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len() - self.next
    }

    #[inline]
    pub(crate) fn push(&mut self, event: ReadyEvent) {
        self.events.push(event);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<ReadyEvent> {
        if self.next == self.events.len() {
            self.events.clear();
            self.next = 0;
            return None;
        }
        self.next += 1;
        Some(self.events[self.next - 1])
    }

    /// The next one, if `wanted` says so of it.
    pub(crate) fn pop_if(
        &mut self,
        wanted: impl FnOnce(&ReadyEvent) -> bool,
    ) -> Option<ReadyEvent> {
        if self.events.get(self.next).is_some_and(|event| !wanted(event)) {
            return None;
        }
        self.pop()
    }

    /// Drops what is not `wanted`.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&ReadyEvent) -> bool) {
        self.events.drain(..self.next);
        self.next = 0;
        self.events.retain(wanted);
    }

    /// What is not delivered.
    pub(crate) fn as_slice(&self) -> &[ReadyEvent] {
        &self.events[self.next..]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [ReadyEvent] {
        &mut self.events[self.next..]
    }
}
