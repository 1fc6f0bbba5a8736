//! Settling: applying what callbacks asked for, in order, once they have returned.
//!
//! Each op leaves the tables whole before it runs user code (a visitor, a destructor, the error policy) and
//! calls into a source. An op whose source panics is not applied twice, except for a removal, which is
//! finished by the next dispatch.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{BoxError, Error, ErrorAction, Outcome};
use crate::insight::{Subject, watched};
use crate::pending::{Call, Op};
use crate::shared::Shared;
use crate::slot::{Slot, downcast_mut};
use crate::token::SourceKey;
use crate::{
    AnyToken, EventLoop, LoopData, LoopHandle, Registrar, SourceOptions, TimeoutAction, Timer,
};

impl<Data: LoopData> EventLoop<Data> {
    /// Applies pending ops in order; whether any of them ran user code.
    #[inline]
    pub(crate) fn settle(&mut self, data: &mut Data) -> Outcome<bool> {
        if !own_handle(&self.shared, data)?.has_ops() {
            return Ok(false);
        }
        self.settle_pending(data)
    }

    /// [`settle`](Self::settle), if there is something to.
    #[inline(never)]
    pub(crate) fn settle_pending(&mut self, data: &mut Data) -> Outcome<bool> {
        let mut ran_user_code = false;
        while let handle = own_handle(&self.shared, data)?
            && let Some(queued) = handle.next_op()
        {
            let key = queued.key();
            match queued.op {
                Op::Insert => {
                    if let Some(slot) = handle.pending.next_slot() {
                        self.slots.insert(key, slot);
                    }
                }
                Op::InsertBatch => {
                    // At once, since growing by itself it would be copied time and again.
                    self.slots.set_capacity(handle.registrations.len());
                    for (key, slot) in handle.pending.next_batch() {
                        self.slots.insert(key, slot);
                    }
                }
                Op::Hook => self.hooks.push(key),
                Op::Enable => self.enable(key, data)?,
                Op::Disable => self.disable(key, data)?,
                Op::Remove => self.remove(key, data).1?,
                Op::SetDeadline => {
                    if let Some(at) = handle.pending.next_deadline() {
                        self.set_deadline(key, at, data)?;
                    }
                }
                Op::Call => {
                    if let Some(call) = handle.pending.next_call() {
                        ran_user_code |= self.do_call(key, call, data)?;
                    }
                }
            }
        }
        Ok(ran_user_code)
    }

    /// Runs what the user wants to have done; whether that could have changed the state.
    fn do_call(&mut self, key: SourceKey, call: Call<Data>, data: &mut Data) -> Outcome<bool> {
        match call {
            Call::Update(change) => {
                let Some(slot) = self.slots.get_mut(key) else {
                    return Ok(false);
                };
                let subject = Subject::op(key, slot.source().type_name());
                watched(&mut self.insight, subject, data, |_| change(slot.source_mut()));
                self.reregister(key, false, data).map(|()| false)
            }
            Call::Visit(visitor) => {
                let Some(slot) = self.slots.get_mut(key) else {
                    return Ok(false);
                };
                let subject = Subject::op(key, slot.source().type_name());
                let visit = |data: &mut Data| visitor(slot.source_mut(), data);
                watched(&mut self.insight, subject, data, visit);
                Ok(true)
            }
            Call::Take(then) => {
                let (slot, unregistered) = self.remove(key, data);
                let taken = slot.is_some();
                if let Some(slot) = slot {
                    let subject = Subject::op(key, slot.source().type_name());
                    watched(&mut self.insight, subject, data, |data| {
                        then(slot.into_source(), data)
                    });
                }
                unregistered.map(|()| taken)
            }
            Call::Inspect(look) => {
                self.show(look, data);
                Ok(true)
            }
        }
    }

    fn set_deadline(&mut self, key: SourceKey, at: i64, data: &mut Data) -> Outcome {
        if let Some(slot) = self.slots.get_mut(key)
            && let Some(timer) = downcast_mut::<Timer>(slot.source_mut())
        {
            timer.set_stamp(at);
        }
        self.reregister(key, false, data)
    }

    fn enable(&mut self, key: SourceKey, data: &mut Data) -> Outcome {
        let registrations = &mut data.loop_handle().registrations;
        let Some(slot) = self.slots.get_mut(key) else {
            return Ok(());
        };
        if !registrations.set_enabled(key, true) {
            return Ok(());
        }
        let mut registrar = Registrar::new(registrations, key);
        if let Err(error) = slot.source_mut().register(&mut registrar) {
            let _ = slot.unregister(&mut registrar);
            registrations.sweep(key);
            registrations.set_enabled(key, false);
            let error = self.failure(key, error.into(), data);
            return self.report(key, error, data);
        }
        Ok(())
    }

    /// Brings a registration up to date, because the source `answered` so or for an op.
    pub(crate) fn reregister(
        &mut self,
        key: SourceKey,
        answered: bool,
        data: &mut Data,
    ) -> Outcome {
        let registrations = &mut data.loop_handle().registrations;
        let Some(slot) = self.slots.get_mut(key) else {
            return Ok(());
        };
        if !registrations.is_enabled(key) {
            return Ok(());
        }
        let mut registrar = Registrar::new(registrations, key);
        registrar.answered = answered;
        slot.source_mut().reregister(&mut registrar).or_else(|error| {
            let error = self.failure(key, error.into(), data);
            self.report(key, error, data)
        })
    }

    pub(crate) fn disable(&mut self, key: SourceKey, data: &mut Data) -> Outcome {
        if data.loop_handle().registrations.set_enabled(key, false) {
            self.unregister(key, data)
        } else {
            Ok(())
        }
    }

    /// Unregisters a source; one that fails to is swept, and is unregistered all the same.
    #[inline(always)]
    fn unregister(&mut self, key: SourceKey, data: &mut Data) -> Outcome {
        let registrations = &mut data.loop_handle().registrations;
        let Some(slot) = self.slots.get_mut(key) else {
            return Ok(());
        };
        self.unregistering = Some(key);
        let unregistered = slot.unregister(&mut Registrar::new(registrations, key));
        registrations.sweep(key);
        let reported = unregistered.or_else(|error| {
            let error = self.failure(key, error.into(), data);
            self.report(key, error, data)
        });
        self.unregistering = None;
        reported
    }

    /// Takes a source out, unregistered. The caller drops what it does not use, when every table is
    /// whole again.
    #[inline(always)]
    pub(crate) fn remove(
        &mut self,
        key: SourceKey,
        data: &mut Data,
    ) -> (Option<Slot<Data>>, Outcome) {
        let unregistered = if data.loop_handle().registrations.retire(key) {
            self.unregister(key, data)
        } else {
            Ok(())
        };
        let registrations = &mut data.loop_handle().registrations;
        if let Some(insight) = &mut self.insight
            && let Some(slot) = self.slots.get(key)
        {
            insight.note_removal(key, slot.source().type_name(), registrations);
        }
        registrations.forget_source(key);
        let slot = self.slots.remove(key);
        if self.hooks.contains(&key) {
            self.hooks.retain(|hook| *hook != key);
        }
        (slot, unregistered)
    }

    /// What a source failed with, under its name.
    #[cold]
    pub(crate) fn failure(&self, key: SourceKey, error: BoxError, data: &mut Data) -> Error {
        let options = data.loop_handle().registrations.options(key);
        let name = match options.and_then(|options| options.name.as_deref()) {
            Some(name) => name.to_owned(),
            None => self.slots.get(key).map_or("", |slot| slot.source().type_name()).to_owned(),
        };
        Error::Source { token: AnyToken::new(key), name, error }
    }

    /// Has the source's own policy, or else the loop's, decide on an error of a source.
    #[cold]
    pub(crate) fn report(&mut self, key: SourceKey, error: Error, data: &mut Data) -> Outcome {
        let registrations = &data.loop_handle().registrations;
        if let (Some(insight), Some(slot)) = (&mut self.insight, self.slots.get(key)) {
            insight.note_error(key, slot.source().type_name(), &error, registrations);
        }
        let action = match registrations.options(key).and_then(|options| options.on_error) {
            Some(action) => action,
            None => self.policy.as_mut().map_or(ErrorAction::Report, |policy| policy(&error, data)),
        };
        match action {
            ErrorAction::Report => return Err(Box::new(error)),
            ErrorAction::Ignore => {}
            ErrorAction::Disable => drop(data.loop_handle().disable(AnyToken::new(key))),
            ErrorAction::Remove => drop(data.loop_handle().remove(AnyToken::new(key))),
            ErrorAction::Retry(delay) => retry(key, delay, &error, data),
        }
        Ok(())
    }
}

/// Disables a source, and has a timer enable it again.
fn retry<Data: LoopData>(key: SourceKey, delay: Duration, error: &Error, data: &mut Data) {
    let handle = data.loop_handle();
    let source = AnyToken::new(key);
    if !handle.disable(source) {
        return;
    }
    let name = match error {
        Error::Source { name, .. } => format!("retry of {name}"),
        _ => String::from("retry"),
    };
    let enable = move |_, data: &mut Data| {
        let handle = data.loop_handle();
        // It is this timer's own: `enable` would remove the timer that is running.
        handle.registrations.retries.remove(key);
        handle.enable(source);
        TimeoutAction::Drop
    };
    let options = SourceOptions::new().name(name);
    // A timer is registered with nothing that could refuse it.
    if let Ok(timer) = handle.insert_source_with(options, Timer::from_duration(delay), enable) {
        handle.registrations.retries.insert(key, timer.into());
    }
}

/// The handle in `data`, if it is this loop's.
#[inline]
pub(crate) fn own_handle<'a, Data: LoopData>(
    shared: &Arc<Shared>,
    data: &'a mut Data,
) -> Outcome<&'a mut LoopHandle<Data>> {
    let handle = data.loop_handle();
    if Arc::ptr_eq(&handle.registrations.shared, shared) {
        Ok(handle)
    } else {
        Err(Box::new(Error::ForeignHandle))
    }
}
