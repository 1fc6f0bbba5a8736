//! The deferred operations: what a callback asked for and only the loop can do, since it touches slots.
//!
//! They are applied in the order in which they were issued, after the callback and before any other.

use std::collections::VecDeque;
use std::fmt;

use crate::EventLoop;
use crate::slot::Slot;
use crate::source::AnySource;
use crate::token::SourceKey;

/// Given the loop's state and a source that was taken out of its slot.
pub(crate) type Taker<Data> = Box<dyn FnOnce(Box<dyn AnySource>, &mut Data)>;
pub(crate) type Visitor<Data> = Box<dyn FnOnce(&mut dyn AnySource, &mut Data)>;
pub(crate) type Change = Box<dyn FnOnce(&mut dyn AnySource)>;

pub(crate) type Look<Data> = Box<dyn FnOnce(&EventLoop<Data>, &mut Data)>;

pub(crate) enum Op<Data> {
    Insert(SourceKey, Slot<Data>),
    Enable(SourceKey),
    Disable(SourceKey),
    Update(SourceKey, Change),
    Visit(SourceKey, Visitor<Data>),
    Remove(SourceKey),
    Take(SourceKey, Taker<Data>),
    Inspect(Look<Data>),
}

pub(crate) struct Pending<Data> {
    ops: VecDeque<Op<Data>>,
}

impl<Data> Pending<Data> {
    /// The room that is kept when the queue is empty, in ops.
    const KEPT: usize = 1024;

    pub(crate) fn new() -> Self {
        Self { ops: VecDeque::new() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    #[inline]
    pub(crate) fn push(&mut self, op: Op<Data>) {
        self.ops.push_back(op);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Op<Data>> {
        let op = self.ops.pop_front();
        if op.is_none() && self.ops.capacity() > Self::KEPT {
            self.ops = VecDeque::new();
        }
        op
    }
}

impl<Data> fmt::Debug for Pending<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pending", self.ops.len())
    }
}
