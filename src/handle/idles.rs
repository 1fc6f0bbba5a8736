//! The idle queue: callbacks that run once, when all pending events are processed.

use std::collections::VecDeque;
use std::fmt;

use crate::IdleToken;
use crate::shrink::pop_front;

pub(crate) type Idle<Data> = Box<dyn FnOnce(&mut Data)>;

/// First in, first out. A token is the number of the idle since the beginning, so that its place in
/// the queue is a subtraction away; a cancelled idle leaves its place empty until its turn.
pub(crate) struct Idles<Data> {
    queue: VecDeque<Option<Idle<Data>>>,
    /// The number of the first one in the queue.
    first: u64,
}

impl<Data> Idles<Data> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new(), first: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[inline]
    pub(crate) fn push(&mut self, idle: Idle<Data>) -> IdleToken {
        self.queue.push_back(Some(idle));
        IdleToken(self.first + self.queue.len() as u64 - 1)
    }

    /// The idle that `token` names, if it has neither run nor been cancelled.
    pub(crate) fn cancel(&mut self, token: IdleToken) -> Option<Idle<Data>> {
        let place = usize::try_from(token.0.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(place)?.take()
    }

    /// The next idle; `Some(None)` in the place of a cancelled one.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Option<Idle<Data>>> {
        let idle = pop_front(&mut self.queue)?;
        self.first += 1;
        Some(idle)
    }
}

impl<Data> fmt::Debug for Idles<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} idle", self.queue.len())
    }
}
