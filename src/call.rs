//! The turn of one source: it is called back for an event, and the loop does what it answers.
//!
//! Pending ops are settled after every call, and the op that a callback issued for its own source precedes what the
//! source answers.

use crate::backlog::ReadyEvent;
use crate::error::Outcome;
use crate::insight::Subject;
use crate::registrations::{Budget, Turn};
use crate::settle::own_handle;
use crate::slot::{Answer, Failure};
use crate::token::SourceKey;
use crate::{EventLoop, LoopData};

impl<Data: LoopData> EventLoop<Data> {
    /// Calls back for one event, again and again while the source says so and has budget left.
    #[inline(always)]
    pub(crate) fn call(&mut self, turn: Turn, data: &mut Data) -> Outcome {
        let Turn { source: key, event, rearms } = turn;
        let budget = data.loop_handle().registrations.budget(key);
        self.current = Some(event.interest);
        match self.call_once(event, key, data) {
            // The most frequent answer asks for nothing.
            Answer::Continue if !rearms => {
                self.current = None;
                self.settle(data).map(drop)
            }
            Answer::Again => self.go_on(event, key, budget, data),
            answer => self.end_turn(answer, event, key, data),
        }
    }

    /// Has the source process an event, unless it is gone.
    #[inline]
    fn call_once(&mut self, event: ReadyEvent, key: SourceKey, data: &mut Data) -> Answer {
        let (interest, readiness) = (event.interest, event.readiness);
        let Some(slot) = self.slots.get_mut(key) else {
            return Answer::Continue;
        };
        self.counters.events += 1;
        match &mut self.insight {
            None => slot.call(interest, readiness, data),
            Some(insight) => {
                let subject = Subject::source(key, interest, slot.source().type_name());
                insight.watch(subject, data, |data| slot.call(interest, readiness, data))
            }
        }
    }

    /// Has a source called back again that answered `Again`, until it has said all or used up its budget.
    fn go_on(
        &mut self,
        event: ReadyEvent,
        key: SourceKey,
        mut budget: Budget,
        data: &mut Data,
    ) -> Outcome {
        loop {
            budget.callbacks -= 1;
            let mut settled = Ok(false);
            if own_handle(&self.shared, data)?.has_ops() {
                settled = self.settle_pending(data);
                if !data.loop_handle().registrations.resume_turn(event.interest) {
                    self.current = None;
                    return settled.map(drop);
                }
            }
            if settled.is_err() || data.loop_handle().registrations.is_over(budget) {
                self.carried.push(event);
                self.current = None;
                return settled.map(drop);
            }
            match self.call_once(event, key, data) {
                Answer::Again => {}
                answer => return self.end_turn(answer, event, key, data),
            }
        }
    }

    /// Ends the turn of a source that answered.
    fn end_turn(
        &mut self,
        answer: Answer,
        event: ReadyEvent,
        key: SourceKey,
        data: &mut Data,
    ) -> Outcome {
        let done = self.answered(answer, event, key, data);
        self.current = None;
        done.and_then(|()| self.settle(data)).map(drop)
    }

    /// Does what the source answered, unless its callback asked for something else.
    fn answered(
        &mut self,
        answer: Answer,
        event: ReadyEvent,
        key: SourceKey,
        data: &mut Data,
    ) -> Outcome {
        let registrations = &mut own_handle(&self.shared, data)?.registrations;
        match answer {
            // A registration brought up to date contradicts no op that follows. What goes after its first event
            // goes whatever was asked for.
            Answer::Disable | Answer::Remove
                if registrations.was_touched() && !registrations.is_once(key) =>
            {
                self.rearm(event, key, data)
            }
            Answer::Again => Ok(()),
            Answer::Continue => self.rearm(event, key, data),
            Answer::Reregister => self.reregister(key, true, data),
            Answer::Disable => self.disable(key, data),
            Answer::Remove => self.remove(key, data).1,
            Answer::Failed(failure) => self.failed(*failure, event, key, data),
        }
    }

    /// Has a source that goes on told of its next event, if its mode asks for something.
    fn rearm(&mut self, event: ReadyEvent, key: SourceKey, data: &mut Data) -> Outcome {
        if data.loop_handle().registrations.needs_rearm(event.interest) {
            self.reregister(key, true, data)
        } else {
            Ok(())
        }
    }

    #[cold]
    fn failed(
        &mut self,
        Failure { error, spent }: Failure,
        event: ReadyEvent,
        key: SourceKey,
        data: &mut Data,
    ) -> Outcome {
        if data.loop_handle().registrations.is_notifier(event.interest) {
            // It may have more, and tells of it only once.
            self.carried.push(event);
        }
        let error = self.failure(key, error, data);
        if spent {
            self.remove(key, data).1?;
            return self.report(key, error, data);
        }
        let reported = self.report(key, error, data);
        self.rearm(event, key, data)?;
        reported
    }
}
