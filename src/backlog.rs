//! The events that a round has to deliver, first in, first out.

use crate::fifo::Fifo;
use crate::interest::ReadySet;
use crate::token::InterestKey;

/// What was found ready. The interest may be gone. Two words, so that it goes through registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyEvent {
    pub(crate) interest: InterestKey,
    pub(crate) readiness: ReadySet,
}

impl ReadyEvent {
    /// An event without readiness, for an interest that is not watched by the kernel.
    #[inline]
    pub(crate) fn plain(interest: InterestKey) -> Self {
        Self { interest, readiness: ReadySet::EMPTY }
    }
}

pub(crate) type Backlog = Fifo<ReadyEvent>;
