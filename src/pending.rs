//! The deferred operations: what a callback asked for and only the loop can do, since it touches slots.
//!
//! They are applied in the order in which they were issued, after the callback and before any other. What an op needs
//! besides the key of its source waits in a queue of its own: so an op is two words, which go through registers, and most
//! of them need nothing else. Insertions in a row are few ops: the first, and the others in batches.

use std::collections::VecDeque;
use std::fmt;

use slotmap::{Key, KeyData};

use crate::EventLoop;
use crate::fifo::Fifo;
use crate::slot::Slot;
use crate::source::AnySource;
use crate::token::SourceKey;

/// An operation on a source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Stores the [`Pending::next_slot`].
    Insert,
    /// Stores the [`Pending::next_batch`], which was inserted right after.
    InsertBatch,
    /// Has the lifecycle hooks of the source called from now on.
    Hook,
    Enable,
    Disable,
    Remove,
    /// Sets the deadline of a timer to the [`Pending::next_deadline`].
    SetDeadline,
    /// Does the next of [`Pending::next_call`].
    Call,
}

/// An operation that runs code of the user's.
pub(crate) enum Call<Data> {
    Update(Change),
    Visit(Visitor<Data>),
    Take(Taker<Data>),
    /// Of no source.
    Inspect(Look<Data>),
}

pub(crate) type Change = Box<dyn FnOnce(&mut dyn AnySource)>;
pub(crate) type Visitor<Data> = Box<dyn FnOnce(&mut dyn AnySource, &mut Data)>;
/// Given the loop's state and a source that was taken out of its slot.
pub(crate) type Taker<Data> = Box<dyn FnOnce(Box<dyn AnySource>, &mut Data)>;
pub(crate) type Look<Data> = Box<dyn FnOnce(&EventLoop<Data>, &mut Data)>;

/// An op and the source that it is done to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    pub(crate) op: Op,
    /// In one piece, as it is read.
    key: u64,
}

impl Queued {
    #[inline]
    pub(crate) fn key(self) -> SourceKey {
        KeyData::from_ffi(self.key).into()
    }
}

/// Sources to store. What there is no room for goes to the next batch, so that none is moved.
pub(crate) type Batch<Data> = Vec<(SourceKey, Slot<Data>)>;

pub(crate) struct Pending<Data> {
    ops: Fifo<Queued>,
    /// As many as there are single insertions among `ops`.
    slots: VecDeque<Slot<Data>>,
    /// As many as there are batches among `ops`.
    batches: VecDeque<Batch<Data>>,
    /// As many as there are deadlines to set among `ops`, on the clock's scale.
    deadlines: VecDeque<i64>,
    /// As many as there are calls among `ops`.
    calls: VecDeque<Call<Data>>,
}

impl<Data> Pending<Data> {
    /// The room that is kept when a queue is empty, in ops.
    const KEPT: usize = 1024;
    /// The largest batch.
    const BATCH: usize = 1024;

    pub(crate) fn new() -> Self {
        Self {
            ops: Fifo::default(),
            slots: VecDeque::new(),
            batches: VecDeque::new(),
            deadlines: VecDeque::new(),
            calls: VecDeque::new(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    #[inline]
    pub(crate) fn push(&mut self, key: SourceKey, op: Op) {
        if self.ops.is_empty() {
            self.ops.clear();
        }
        self.ops.push(Queued { op, key: key.data().as_ffi() });
    }

    #[inline(always)]
    pub(crate) fn push_insert(&mut self, key: SourceKey, slot: Slot<Data>) {
        match (self.ops.last().map(|last| last.op), self.batches.back_mut()) {
            (Some(Op::InsertBatch), Some(batch)) if batch.len() < batch.capacity() => {
                batch.push((key, slot));
            }
            (Some(Op::Insert | Op::InsertBatch), _) => self.push_batch(key, slot),
            _ => {
                self.slots.push_back(slot);
                self.push(key, Op::Insert);
            }
        }
    }

    #[inline(never)]
    fn push_batch(&mut self, key: SourceKey, slot: Slot<Data>) {
        let room = self.batches.back().map_or(8, |full| 2 * full.capacity());
        let mut batch = Vec::with_capacity(room.min(Self::BATCH));
        batch.push((key, slot));
        self.batches.push_back(batch);
        self.push(key, Op::InsertBatch);
    }

    /// Of several in a row for the same timer the last is what counts.
    #[inline]
    pub(crate) fn push_deadline(&mut self, key: SourceKey, at: i64) {
        match (self.ops.last(), self.deadlines.back_mut()) {
            (Some(&Queued { op: Op::SetDeadline, key: last }), Some(deadline))
                if last == key.data().as_ffi() =>
            {
                *deadline = at;
            }
            _ => {
                self.deadlines.push_back(at);
                self.push(key, Op::SetDeadline);
            }
        }
    }

    #[inline]
    pub(crate) fn push_call(&mut self, key: SourceKey, call: Call<Data>) {
        self.calls.push_back(call);
        self.push(key, Op::Call);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Queued> {
        let queued = self.ops.pop();
        if queued.is_none() {
            self.shrink();
        }
        queued
    }

    /// Gives memory back after a burst.
    #[inline]
    fn shrink(&mut self) {
        if self.ops.capacity().max(self.slots.capacity()).max(self.batches.capacity()) > Self::KEPT
        {
            *self = Self::new();
        }
    }

    /// What the [`Op::Insert`] stores that was popped last.
    #[inline]
    pub(crate) fn next_slot(&mut self) -> Option<Slot<Data>> {
        self.slots.pop_front()
    }

    /// What the [`Op::InsertBatch`] stores that was popped last.
    #[inline]
    pub(crate) fn next_batch(&mut self) -> Batch<Data> {
        self.batches.pop_front().unwrap_or_default()
    }

    /// What the [`Op::SetDeadline`] sets that was popped last.
    #[inline]
    pub(crate) fn next_deadline(&mut self) -> Option<i64> {
        self.deadlines.pop_front()
    }

    /// What the [`Op::Call`] does that was popped last.
    #[inline]
    pub(crate) fn next_call(&mut self) -> Option<Call<Data>> {
        self.calls.pop_front()
    }
}

impl<Data> fmt::Debug for Pending<Data> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pending", self.ops.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error ends a settling before it finds the queue empty.
    #[test]
    fn ops_that_end_their_settling_take_no_more_room_each_time() {
        let mut pending = Pending::<()>::new();
        for _ in 0..10_000 {
            pending.push(SourceKey::null(), Op::Disable);
            assert!(matches!(pending.pop(), Some(Queued { op: Op::Disable, .. })));
        }
        assert!(pending.ops.capacity() < 100);
    }
}
