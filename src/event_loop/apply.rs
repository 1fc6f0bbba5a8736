//! Applies the ops that callbacks issued, in order, after the callbacks returned.
//!
//! Each op leaves the tables whole before it runs user code (a visitor, a destructor, the error policy). An op whose
//! source panics is not applied twice, except for a removal: the next dispatch finishes it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use slotmap::SecondaryMap;

use crate::dispatch::Lane;
use crate::error::Outcome;
use crate::handle::{LoopData, LoopHandle, Op, tables};
use crate::insight::instrumentation::{Subject, instrument};
use crate::registry::slot::{Slot, downcast_mut};
use crate::shrink::pop_front;
use crate::token::SourceKey;
use crate::{EventLoop, Registrar, Timer};

impl<Data: LoopData> EventLoop<Data> {
    /// The first step of a dispatch: takes up what a panic interrupted, applies ops, and runs posts.
    pub(super) fn apply(&mut self, data: &mut Data) -> Outcome {
        let registrations = &self.own_handle(data)?.registrations;
        self.shared.ready().end_rest();
        if self.round.was_interrupted() || registrations.running().is_some() {
            self.take_up_interrupted(data);
            self.own_handle(data)?;
        }
        let handle = data.loop_handle();
        if self.is_asked(handle) {
            self.budget.begin_without_wait(handle.registrations.has_urgent());
            self.apply_all_asked(data)?;
        }
        Ok(())
    }

    /// Applies ops and runs posts, if there are any.
    pub(super) fn apply_asked(&mut self, data: &mut Data) -> Outcome {
        if self.is_asked(data.loop_handle()) { self.apply_all_asked(data) } else { Ok(()) }
    }

    /// Whether there is an op to apply, a post to run, or an error to report.
    fn is_asked(&self, handle: &LoopHandle<Data>) -> bool {
        self.has_ops(handle) || !self.posts.is_empty() || !self.mailbox.is_empty()
    }

    /// Whether there is an op to apply, or an error to report.
    fn has_ops(&self, handle: &LoopHandle<Data>) -> bool {
        handle.has_ops() || !self.shared.dropped_guards().is_empty() || self.round.has_failed()
    }

    #[inline(never)]
    fn apply_all_asked(&mut self, data: &mut Data) -> Outcome {
        self.apply_ops(data)?;
        if self.posts.is_empty() && !self.mailbox.is_empty() {
            self.mailbox.take(&mut self.posts);
        }
        while !self.posts.is_empty() && self.may_run(Lane::Apply) {
            if let Some(post) = pop_front(&mut self.posts) {
                self.run_user_code(Subject::Remote, data, post);
            }
            self.apply_ops(data)?;
        }
        self.own_handle(data).map(drop)
    }

    /// Takes up what a panic or an error interrupted in the last dispatch.
    #[cold]
    fn take_up_interrupted(&mut self, data: &mut Data) {
        let registrations = tables(data);
        registrations.end_turn();
        let Some(key) = self.round.take_interrupted(registrations) else { return };
        // A registration is undone, an unregistration finished. This does something only if `register` panicked: the
        // source then still counts as registered.
        self.disable(key, data);
        let Ok(handle) = self.own_handle(data) else {
            return self.round.set_changing(Some(key));
        };
        let registrations = &mut handle.registrations;
        registrations.sweep(key);
        if !registrations.is_live(key) {
            drop(self.remove(key, data));
        }
    }

    /// Applies ops in the order in which they were issued.
    #[inline]
    pub(super) fn apply_ops(&mut self, data: &mut Data) -> Outcome {
        let handle = self.own_handle(data)?;
        if self.has_ops(handle) { self.apply_some_ops(data) } else { Ok(()) }
    }

    #[inline(never)]
    fn apply_some_ops(&mut self, data: &mut Data) -> Outcome {
        self.shared.set_applying(true);
        // Cleared after a panic, too: requests made from then on do not come from an op.
        let applied = catch_unwind(AssertUnwindSafe(|| -> Outcome {
            while let Some(op) = self.own_handle(data)?.next_op(|| self.may_run(Lane::Apply)) {
                self.take_lost(data);
                self.apply_op(op, data);
            }
            self.take_lost(data);
            Ok(())
        }));
        self.shared.set_applying(false);
        applied.unwrap_or_else(|panic| resume_unwind(panic))?;
        self.round.failure()
    }

    /// Whether an item of `lane` may run in this round.
    pub(super) fn may_run(&mut self, lane: Lane) -> bool {
        self.budget.may_run(lane, self.shared.clock())
    }

    fn apply_op(&mut self, op: Op<Data>, data: &mut Data) {
        match op {
            Op::Insert(key, slot) => {
                if slot.source.has_hooks() {
                    self.hooks.push(key);
                }
                self.slots.insert(key, slot);
                self.round.calls();
            }
            Op::Enable(key) => self.enable(key, data),
            Op::Disable(key) => self.disable(key, data),
            Op::Remove(key) => drop(self.remove(key, data)),
            Op::SetDeadline(key, deadline) => {
                let is_last = tables(data).end_move(key);
                if let Some((_, slot)) = live_slot(&mut self.slots, key, data)
                    && let Some(timer) = downcast_mut::<Timer>(&mut *slot.source)
                {
                    timer.set_deadline(deadline);
                    if is_last {
                        self.reregister(key, data);
                    }
                }
            }
            Op::Visit { key, visitor, updates, runs } => {
                // Also if the visitor is dropped without running.
                if runs {
                    self.round.runs_user_code();
                }
                if let Some((subject, slot)) = live_slot(&mut self.slots, key, data) {
                    let visit = |data: &mut Data| visitor(&mut *slot.source, data);
                    instrument(&mut self.insight, subject, data, visit);
                    if updates && self.own_handle(data).is_ok() {
                        self.reregister(key, data);
                    }
                }
            }
            Op::Take(key, then) => {
                self.round.runs_user_code();
                if let Some(Slot { source, callback }) = self.remove(key, data) {
                    drop(callback);
                    // The policy, or the destructor of `callback`, may have put another loop's handle into the state.
                    if self.own_handle(data).is_err() {
                        return;
                    }
                    let subject = Subject::Op(key, source.type_name());
                    let take = |data: &mut Data| then(source, data);
                    self.run_user_code(subject, data, take);
                }
            }
            // The instrumentation is a part of what `look` sees, so it stays in its place meanwhile.
            Op::Inspect(look) => {
                self.round.runs_user_code();
                let subject = Subject::Inspect;
                let insight = self.insight.as_mut();
                let running = insight.map(|insight| insight.begin(subject, tables(data)));
                look(self, data);
                if let (Some(insight), Some(running)) = (&mut self.insight, running) {
                    insight.end(running);
                }
            }
        }
    }

    fn enable(&mut self, key: SourceKey, data: &mut Data) {
        let registrations = tables(data);
        let Some(slot) = self.slots.get_mut(key) else { return };
        if registrations.is_going(key) || !registrations.set_registered(key, true) {
            return;
        }
        self.round.set_changing(Some(key));
        let mut registrar = Registrar::new(registrations, key);
        let registered = slot.source.register(&mut registrar);
        if registered.is_err() {
            let _ = slot.source.unregister(&mut registrar);
            registrations.sweep(key);
            registrations.set_registered(key, false);
        }
        self.round.set_changing(None);
        self.settle(registered, key, data);
    }

    /// Updates the registration of a source that is registered. Outside of ops, the source has asked for that by its
    /// answer.
    pub(super) fn reregister(&mut self, key: SourceKey, data: &mut Data) {
        let registrations = tables(data);
        let Some(slot) = self.slots.get_mut(key) else { return };
        // While ops that move the deadline are queued, the tables are ahead of the source. The last of these ops
        // updates the registration, too.
        if !registrations.is_registered(key) || registrations.is_moving(key) {
            return;
        }
        let mut registrar = Registrar::new(registrations, key);
        registrar.is_answer = !self.shared.is_applying();
        let reregistered = slot.source.reregister(&mut registrar);
        self.settle(reregistered, key, data);
    }

    /// Takes up what a call of a source lost, and reports why the call failed, if it did.
    pub(super) fn settle(&mut self, changed: io::Result<()>, key: SourceKey, data: &mut Data) {
        self.take_lost(data);
        if let Err(error) = changed {
            let failure = self.source_failure(key, error.into(), data);
            self.report(failure, data);
        }
    }

    /// Records as orphans the interests that the kernel could not be told to forget.
    #[inline]
    fn take_lost(&mut self, data: &mut Data) {
        while let Some((source, interest)) = tables(data).next_lost() {
            self.note_orphan(source, interest, data);
        }
    }

    pub(super) fn disable(&mut self, key: SourceKey, data: &mut Data) {
        let unregistered = self.unregister(key, data);
        self.settle(unregistered, key, data);
    }

    /// Unregisters a source, if it is registered. The source counts as unregistered even if this fails.
    fn unregister(&mut self, key: SourceKey, data: &mut Data) -> io::Result<()> {
        let registrations = tables(data);
        let Some(slot) = self.slots.get_mut(key) else { return Ok(()) };
        if !registrations.set_registered(key, false) {
            return Ok(());
        }
        self.round.set_changing(Some(key));
        let unregistered = slot.source.unregister(&mut Registrar::new(registrations, key));
        registrations.sweep(key);
        self.round.set_changing(None);
        self.take_lost(data);
        unregistered
    }

    /// Unregisters a source and takes it out. The caller drops what it does not use, once every table is whole.
    pub(super) fn remove(&mut self, key: SourceKey, data: &mut Data) -> Option<Slot<Data>> {
        tables(data).begin_removal(key);
        let unregistered = self.unregister(key, data);
        let failure = unregistered.err().map(|error| self.source_failure(key, error.into(), data));
        let registrations = tables(data);
        if let Some(insight) = &mut self.insight
            && let Some(slot) = self.slots.get(key)
        {
            insight.note_removal(key, slot.source.type_name(), registrations);
        }
        if registrations.delete_row(key) {
            self.round.runs_user_code();
        }
        let slot = self.slots.remove(key);
        // A map without slots gives back what a burst took.
        if self.slots.is_empty() && self.slots.capacity() > 1024 {
            self.slots = SecondaryMap::new();
        }
        if let Some(failure) = failure {
            self.report(failure, data);
        }
        slot
    }
}

/// The slot of a source that may be visited: its removal was not requested meanwhile.
fn live_slot<'a, Data: LoopData>(
    slots: &'a mut SecondaryMap<SourceKey, Slot<Data>>,
    key: SourceKey,
    data: &mut Data,
) -> Option<(Subject<'static>, &'a mut Slot<Data>)> {
    if tables(data).is_going(key) {
        return None;
    }
    let slot = slots.get_mut(key)?;
    Some((Subject::Op(key, slot.source.type_name()), slot))
}
