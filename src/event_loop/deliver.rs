//! Delivers what a round found: by priority; within one, fds and notifications in the order of arrival, then deadlines
//! in their own order.
//!
//! Ops are applied after every callback. Ops that a callback issued for its own source take precedence over what the
//! source answers.

use crate::dispatch::Lane;
use crate::error::Outcome;
use crate::handle::{LoopData, tables};
use crate::insight::instrumentation::Subject;
use crate::registry::options::Priority;
use crate::registry::slot::{Answer, Failure, What};
use crate::registry::{SourceBudget, Turn, Watch};
use crate::{EventLoop, PostAction};

impl<Data: LoopData> EventLoop<Data> {
    pub(super) fn deliver(&mut self, data: &mut Data) -> Outcome {
        if self.budget.follows_refusal() {
            return self.deliver_after_refusal(data);
        }
        self.apply_asked(data)?;
        if self.round.has_queued() || tables(data).is_any_due() {
            for priority in Priority::DESCENDING {
                for lane in [Lane::Events(priority), Lane::Timers(priority)] {
                    if self.has_next(lane, data) {
                        self.deliver_lane(lane, data)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Delivers after a round that ran out of time: what could be late comes first.
    #[cold]
    fn deliver_after_refusal(&mut self, data: &mut Data) -> Outcome {
        // Leftover ops wait until the urgent lanes have run. A callback's own ops are queued behind them, so applying
        // those would run the leftovers first.
        if self.own_handle(data)?.has_ops() {
            self.budget.hold(Lane::Apply);
        }
        for priority in Priority::DESCENDING {
            self.deliver_lane(Lane::Timers(priority), data)?;
            if priority == Priority::Normal {
                self.budget.hold_nothing();
                self.apply_asked(data)?;
            }
            self.deliver_lane(Lane::Events(priority), data)?;
        }
        Ok(())
    }

    /// Delivers what one lane has, as far as the budget goes.
    #[inline(never)]
    fn deliver_lane(&mut self, lane: Lane, data: &mut Data) -> Outcome {
        while self.has_next(lane, data) && self.may_run(lane) {
            let registrations = tables(data);
            // `None` also if the source gets no events.
            let turn = match lane {
                Lane::Events(priority) => self.round.next_ready(priority, registrations),
                Lane::Timers(priority) => registrations.begin_next_due(priority),
                Lane::Apply | Lane::Idle => None,
            };
            if let Some(turn) = turn {
                self.call(turn, lane, data)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn has_next(&self, lane: Lane, data: &mut Data) -> bool {
        match lane {
            Lane::Events(priority) => self.round.has_ready(priority),
            Lane::Timers(priority) => tables(data).has_due(priority),
            Lane::Apply | Lane::Idle => false,
        }
    }

    /// Calls back for one event, and again while the source answers `Again` and has budget left.
    #[inline]
    fn call(&mut self, mut turn: Turn, lane: Lane, data: &mut Data) -> Outcome {
        let mut budget = tables(data).source_budget(turn);
        loop {
            match self.call_once(turn, data) {
                Ok(PostAction::Again) => {
                    turn.readiness = turn.readiness.with_more();
                    if !self.goes_on(&turn, &mut budget, lane, data)? {
                        return Ok(());
                    }
                }
                answer => return self.end_turn(answer, turn, data),
            }
        }
    }

    /// Applies ops in the middle of a turn. Returns whether the turn goes on.
    #[inline(never)]
    fn goes_on(
        &mut self,
        turn: &Turn,
        budget: &mut SourceBudget,
        lane: Lane,
        data: &mut Data,
    ) -> Outcome<bool> {
        // The source has more, even if one of the ops panics.
        self.round.set_running(turn.interest, turn.readiness);
        let applied = self.apply_ops(data);
        let registrations = &mut self.own_handle(data)?.registrations;
        self.round.set_done();
        let may_go_on = registrations.may_go_on(turn.interest);
        let has_budget = applied.is_ok() && budget.goes_on(self.shared.clock());
        let goes_on = may_go_on && has_budget && self.may_run(lane);
        if !goes_on {
            let registrations = tables(data);
            if may_go_on {
                self.round.defer(turn.interest, turn.readiness, registrations);
            }
            registrations.end_turn();
        }
        applied.map(|()| goes_on)
    }

    /// Lets the source process an event.
    #[inline]
    fn call_once(&mut self, turn: Turn, data: &mut Data) -> Answer {
        let Turn { source: key, interest, readiness, .. } = turn;
        let registrations = tables(data);
        self.shared.set_again(false);
        let Some(slot) = self.slots.get_mut(key) else {
            // The op that stores the source is still queued. A level-triggered event is dropped: it may not hold any
            // more by then, and the kernel repeats it if it does.
            if !readiness.is_told_again() {
                self.round.defer(interest, readiness, registrations);
            }
            return Ok(PostAction::Continue);
        };
        registrations.begin_callback(key);
        // No note for what the kernel repeats. A source that goes after its first event goes after a panic, too,
        // whatever the kernel says.
        if !readiness.is_told_again() || turn.once {
            let again = if turn.once { readiness.with_more() } else { readiness };
            self.round.set_running(interest, again);
        }
        self.counters.events += 1;
        self.round.calls();
        let what = What::Process(interest, readiness);
        match &mut self.insight {
            None => slot.call(what, data),
            Some(insight) => {
                let subject = Subject::Source(key, slot.source.type_name(), interest);
                insight.watch(subject, data, |data| slot.call(what, data))
            }
        }
    }

    /// Ends the turn of a source that answered, and applies ops.
    #[inline]
    fn end_turn(&mut self, answer: Answer, turn: Turn, data: &mut Data) -> Outcome {
        let has_more = self.shared.is_again();
        let mut registrations = &mut self.own_handle(data)?.registrations;
        let is_over = matches!(answer, Ok(PostAction::Continue)) && !has_more;
        if !is_over || registrations.emulates_level() {
            self.answered(answer, turn, data);
            registrations = &mut self.own_handle(data)?.registrations;
            if has_more {
                self.round.defer(turn.interest, turn.readiness, registrations);
            }
        }
        registrations.end_turn();
        self.round.set_done();
        self.apply_ops(data)
    }

    /// Does what the source answered, unless its callback issued ops that say otherwise.
    fn answered(&mut self, answer: Answer, turn: Turn, data: &mut Data) {
        let key = turn.source;
        let registrations = tables(data);
        match answer {
            // The queued op removes the source; a `take` does more than that.
            Ok(PostAction::Disable | PostAction::Remove) if !registrations.is_live(key) => {}
            // The source stays. Its registration is updated, which contradicts no op that follows. A source that goes
            // after its first event goes whatever was asked for.
            Ok(PostAction::Disable | PostAction::Remove)
                if registrations.was_touched() && !turn.once =>
            {
                self.reregister(key, data);
            }
            Ok(PostAction::Again) => {}
            // It goes on, and its mode does not need the registration updated for the next event.
            Ok(PostAction::Continue)
                if !registrations.watch(key, turn.interest).is_some_and(Watch::needs_rearm) => {}
            Ok(PostAction::Continue | PostAction::Reregister) => self.reregister(key, data),
            Ok(PostAction::Disable) => self.disable(key, data),
            Ok(PostAction::Remove) => drop(self.remove(key, data)),
            Err(failure) => self.failed(*failure, turn, data),
        }
    }

    #[cold]
    fn failed(&mut self, failure: Failure, turn: Turn, data: &mut Data) {
        let Turn { source: key, interest, readiness, .. } = turn;
        let Failure { error, last } = failure;
        let registrations = tables(data);
        let watch = registrations.watch(key, interest);
        if let Some(Watch::Notifier) = watch {
            // The source may have more, and its notifier reports that only once.
            self.round.defer(interest, readiness, registrations);
        }
        // Without this, a deadline that the source set in the failed call would be lost.
        let is_deadline = matches!(watch, Some(Watch::Deadline(_)));
        let reregisters = !last && (is_deadline || watch.is_some_and(Watch::needs_rearm));
        let failure = self.source_failure(key, error, data);
        let removed = last.then(|| self.remove(key, data));
        if reregisters {
            self.reregister(key, data);
        }
        self.report(failure, data);
        drop(removed);
    }

    /// Runs the idles that are queued at this moment.
    #[inline]
    pub(super) fn run_idles(&mut self, data: &mut Data) -> Outcome {
        for _ in 0..data.loop_handle().idles.len() {
            if !self.may_run(Lane::Idle) {
                return Ok(());
            }
            if let Some((name, idle)) = data.loop_handle().idles.pop() {
                self.run_user_code(Subject::Idle(name.as_deref()), data, idle);
                self.apply_ops(data)?;
            }
        }
        Ok(())
    }
}
