//! The op queue: what was asked of a stored source, which only the loop can do.
//!
//! Ops are applied in the order in which they were issued, after the callback that issued them and before any other.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use crate::EventLoop;
use crate::registry::slot::Slot;
use crate::registry::source::AnySource;
use crate::shrink::pop_front;
use crate::token::SourceKey;

/// An operation on a source.
pub(crate) enum Op<Data> {
    Insert(SourceKey, Slot<Data>),
    Enable(SourceKey),
    Disable(SourceKey),
    Remove(SourceKey),
    /// Moves a timer.
    SetDeadline(SourceKey, Instant),
    /// To drop the closure may run code of the user's, if it `drops`; to call it changes the source alone.
    Update {
        key: SourceKey,
        change: Change,
        drops: bool,
    },
    Visit(SourceKey, Visitor<Data>),
    Take(SourceKey, Taker<Data>),
    /// Of no source.
    Inspect(Look<Data>),
}

pub(crate) type Change = Box<dyn FnOnce(&mut dyn AnySource)>;
pub(crate) type Visitor<Data> = Box<dyn FnOnce(&mut dyn AnySource, &mut Data)>;
/// Given the loop's state and a source that was taken out of its slot.
pub(crate) type Taker<Data> = Box<dyn FnOnce(Box<dyn AnySource>, &mut Data)>;
pub(crate) type Look<Data> = Box<dyn FnOnce(&mut EventLoop<Data>, &mut Data)>;

impl<Data> Op<Data> {
    /// Whether code of the user's runs when it is applied, destructors among it: such ops have a budget.
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

    /// The deadline of the last op, if that moves this timer: of several in a row the last is what counts.
    #[inline]
    pub(crate) fn last_move(&mut self, key: SourceKey) -> Option<&mut Instant> {
        match self.queue.back_mut() {
            Some(Op::SetDeadline(last, deadline)) if *last == key => Some(deadline),
            _ => None,
        }
    }

    /// The next one, if it runs no code of the user's or `may_run` says that it may.
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
