//! The op queue: what was asked of a stored source, which only the loop can do.
//!
//! Ops are applied in the order in which they were issued, after the callback that issued them and before any other.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use crate::EventLoop;
use crate::shrink::pop_front;
use crate::slot::Slot;
use crate::source::AnySource;
use crate::token::SourceKey;

/// An operation on a source.
pub(crate) enum Op<Data> {
    Insert(SourceKey, Slot<Data>),
    Enable(SourceKey),
    Disable(SourceKey),
    Remove(SourceKey),
    /// Tells a timer its deadline: it has been moved to it already.
    SetDeadline(SourceKey, Instant),
    Update(SourceKey, Change),
    Visit(SourceKey, Visitor<Data>),
    Take(SourceKey, Taker<Data>),
    /// Of no source.
    Inspect(Look<Data>),
}

pub(crate) type Change = Box<dyn FnOnce(&mut dyn AnySource)>;
pub(crate) type Visitor<Data> = Box<dyn FnOnce(&mut dyn AnySource, &mut Data)>;
/// Given the loop's state and a source that was taken out of its slot.
pub(crate) type Taker<Data> = Box<dyn FnOnce(Box<dyn AnySource>, &mut Data)>;
pub(crate) type Look<Data> = Box<dyn FnOnce(&EventLoop<Data>, &mut Data)>;

impl<Data> Op<Data> {
    /// Whether code of the user's runs when it is applied, destructors among it: such ops have a budget.
    fn runs_user_code(&self) -> bool {
        match self {
            Self::Insert(..) | Self::Enable(_) | Self::Disable(_) | Self::SetDeadline(..) => false,
            Self::Remove(_)
            | Self::Update(..)
            | Self::Visit(..)
            | Self::Take(..)
            | Self::Inspect(_) => true,
        }
    }
}

/// First in, first out.
pub(crate) struct Ops<Data> {
    queue: VecDeque<Op<Data>>,
    /// Since one was taken out, the queue was not found empty.
    applying: bool,
}

impl<Data> Ops<Data> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new(), applying: false }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[inline]
    pub(crate) fn push(&mut self, op: Op<Data>) {
        self.queue.push_back(op);
    }

    /// Changes the last op, if that tells the same timer its deadline; whether it does.
    #[inline]
    pub(crate) fn merge_deadline(&mut self, key: SourceKey, deadline: Instant) -> bool {
        match self.queue.back_mut() {
            Some(Op::SetDeadline(last, there)) if *last == key => {
                *there = deadline;
                true
            }
            _ => false,
        }
    }

    /// The next one, if it runs no code of the user's or `may_run` says that it may.
    #[inline]
    pub(crate) fn pop_if(&mut self, may_run: impl FnOnce() -> bool) -> Option<Op<Data>> {
        let next = match self.queue.front() {
            None => None,
            Some(next) if next.runs_user_code() && !may_run() => None,
            Some(_) => pop_front(&mut self.queue),
        };
        self.applying = next.is_some();
        next
    }

    /// None is being applied, whatever a panic left.
    #[inline]
    pub(crate) fn end_applying(&mut self) {
        self.applying = false;
    }

    /// Whether ops are being applied, and what is asked for now is asked for by one.
    #[inline]
    pub(crate) fn is_applying(&self) -> bool {
        self.applying
    }
}

impl<Data> fmt::Debug for Ops<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pending", self.queue.len())
    }
}
