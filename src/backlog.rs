//! The events that a round has to deliver, first in, first out.

use crate::fifo::Fifo;
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

pub(crate) type Backlog = Fifo<ReadyEvent>;
