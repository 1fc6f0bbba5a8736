//! The events that a round has to deliver, first in, first out.
//!
//! A vector and a cursor: what was delivered stays in front of the cursor until all is, so that neither end moves
//! anything.

use crate::interest::ReadySet;
use crate::token::InterestKey;

/// An event that is being delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyEvent {
    pub(crate) interest: InterestKey,
    pub(crate) readiness: ReadySet,
}

impl ReadyEvent {
    /// An event without readiness, for an interest that is not watched by the kernel.
    #[inline]
    pub(crate) fn new(interest: InterestKey) -> Self {
        Self { interest, readiness: ReadySet::EMPTY }
    }
}

/// What was found ready. Its interest may be gone.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// As the kernel told it, read when its turn comes.
    Kernel(mio::event::Event),
    Ready(ReadyEvent),
}

impl Found {
    #[inline]
    pub(crate) fn interest(&self) -> InterestKey {
        match self {
            Self::Kernel(event) => InterestKey::from_mio(event.token()),
            Self::Ready(event) => event.interest,
        }
    }
}

impl From<&mio::event::Event> for Found {
    #[inline]
    fn from(event: &mio::event::Event) -> Self {
        Self::Kernel(event.clone())
    }
}

impl From<ReadyEvent> for Found {
    #[inline]
    fn from(event: ReadyEvent) -> Self {
        Self::Ready(event)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    events: Vec<Found>,
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
    pub(crate) fn push(&mut self, event: impl Into<Found>) {
        self.events.push(event.into());
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<&Found> {
        if self.next == self.events.len() {
            self.events.clear();
            self.next = 0;
            return None;
        }
        self.next += 1;
        Some(&self.events[self.next - 1])
    }

    /// The next one, if `wanted` says so of it.
    pub(crate) fn pop_if(&mut self, wanted: impl FnOnce(&Found) -> bool) -> Option<&Found> {
        if self.events.get(self.next).is_some_and(|event| !wanted(event)) {
            return None;
        }
        self.pop()
    }

    /// Drops what is not `wanted`.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&Found) -> bool) {
        self.events.drain(..self.next);
        self.next = 0;
        self.events.retain(wanted);
    }

    /// What is not delivered.
    pub(crate) fn as_slice(&self) -> &[Found] {
        &self.events[self.next..]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Found] {
        &mut self.events[self.next..]
    }
}
