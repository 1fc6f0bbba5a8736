//! The op queue: requests about stored sources, which only the loop can carry out.
//!
//! Ops are applied in the order in which they were issued, after the callback that issued them and, unless the time of
//! the round is over, before any other.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use crate::EventLoop;
use crate::registry::slot::Slot;
use crate::registry::source::AnySource;
use crate::shrink::pop_front;
use crate::token::SourceKey;

/// A request about a source.
pub(crate) enum Op<Data> {
    Insert(SourceKey, Slot<Data>),
    Enable(SourceKey),
    Disable(SourceKey),
    Remove(SourceKey),
    /// Moves a timer.
    SetDeadline(SourceKey, Instant),
    /// `drops`: dropping the closure may run user code. Calling it changes only the source.
    Update {
        key: SourceKey,
        change: Change,
        drops: bool,
    },
    Visit(SourceKey, Visitor<Data>),
    Take(SourceKey, Taker<Data>),
    /// Concerns no source.
    Inspect(Look<Data>),
}

pub(crate) type Change = Box<dyn FnOnce(&mut dyn AnySource)>;
pub(crate) type Visitor<Data> = Box<dyn FnOnce(&mut dyn AnySource, &mut Data)>;
/// Receives a source that was taken out of its slot, and the loop's state.
pub(crate) type Taker<Data> = Box<dyn FnOnce(Box<dyn AnySource>, &mut Data)>;
pub(crate) type Look<Data> = Box<dyn FnOnce(&mut EventLoop<Data>, &mut Data)>;

impl<Data> Op<Data> {
    /// Whether applying this op runs user code (destructors included). Such ops need the budget's permission.
    fn runs_user_code(&self) -> bool {
        match self {
            Self::Insert(..) | Self::Enable(_) | Self::Disable(_) | Self::SetDeadline(..) => false,
            Self::Remove(_)
            | Self::Update { .. }
            | Self::Visit(..)
            | Self::Take(..)
            | Self::Inspect(_) => true,
        }
    }
}

/// First in, first out.
pub(crate) struct Ops<Data> {
    queue: VecDeque<Op<Data>>,
}

impl<Data> Ops<Data> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[inline]
    pub(crate) fn push(&mut self, op: Op<Data>) {
        self.queue.push_back(op);
    }

    /// The deadline of the last queued op, if that op moves this timer: of several moves in a row only the last counts.
    #[inline]
    pub(crate) fn last_move(&mut self, key: SourceKey) -> Option<&mut Instant> {
        match self.queue.back_mut() {
            Some(Op::SetDeadline(last, deadline)) if *last == key => Some(deadline),
            _ => None,
        }
    }

    /// The next op, if it runs no user code or `may_run` allows it.
    #[inline]
    pub(crate) fn pop_if(&mut self, may_run: impl FnOnce() -> bool) -> Option<Op<Data>> {
        match self.queue.front() {
            None => None,
            Some(next) if next.runs_user_code() && !may_run() => None,
            Some(_) => pop_front(&mut self.queue),
        }
    }
}

impl<Data> fmt::Debug for Ops<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pending", self.queue.len())
    }
}
