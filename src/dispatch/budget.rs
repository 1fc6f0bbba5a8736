//! What one round may take: a due timer and a source of higher priority are late by a bound, and not by a flood.
//!
//! A round begins when its wait has ended, and what precedes the next wait still belongs to it. Whatever runs code of
//! the user's asks first ([`Budget::may_run`]), as one of a few [`Lane`]s. When the time of the round is over, or the
//! count, the answer is no: what is left waits for the next round, which takes in due timers and higher priorities
//! before it. So that no lane starves, one that was refused is owed an equal share of what time the next round has left
//! when it comes to it: half, if others want but one share beside it. And it gets one item even if the time is over,
//! though only one lane of a round does: between the end of a round and the next wait there is one item at most.
//!
//! The time is read from the loop's clock, at every item while items are slow, and at every eighth while they are quick.
//! A manual clock is not read at all: there the count alone ends a round, so that runs repeat.

use std::time::Duration;

use crate::clock::{Clock, nanos};
use crate::registry::options::Priority;

/// What takes a part of a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lane {
    Apply,
    Idle,
    Events(Priority),
    Timers(Priority),
}

impl Lane {
    #[inline]
    fn bit(self) -> u8 {
        match self {
            Self::Apply => 1,
            Self::Idle => 1 << 1,
            Self::Events(priority) => 1 << 2 << priority.index(),
            Self::Timers(priority) => 1 << 5 << priority.index(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Budget {
    /// The time of a round, in nanoseconds.
    time: i64,
    /// How many ops and posts the round may still run: ops may issue others without an end.
    left: u32,
    /// When the round began, if that is known.
    started: Option<i64>,
    /// What of its time is known to be over.
    spent: i64,
    /// How many items run until the clock is read again, and how many that were the last time.
    unread: u32,
    stride: u32,
    /// The lanes that were refused since they last ran, or had nothing to run for a round.
    starved: u8,
    /// The lanes that were starved when the round began, and have not had their share of it.
    owed: u8,
    /// The lanes that this round refused.
    closed: u8,
    /// What had been spent when the last of these was refused.
    shared: i64,
    /// The lanes that wait for others in this round, and are not refused by that.
    held: u8,
    /// The lanes of which something ran in this round.
    ran: u8,
    /// The lane that overdrew last: the next in turn is the first starved one after it.
    last: u32,
    /// One item ran although the time was over.
    overdrawn: bool,
    /// This round refused something.
    refused: bool,
    /// The round before did.
    follows_refusal: bool,
}

impl Budget {
    /// How many ops and posts a round may run: more than come together in practice.
    const COUNT: u32 = 1 << 20;
    const STRIDE: u32 = 8;
    pub(crate) const TIME: Duration = Duration::from_millis(10);

    pub(crate) fn new() -> Self {
        Self {
            time: nanos(Self::TIME),
            left: Self::COUNT,
            started: None,
            spent: 0,
            unread: 1,
            stride: 1,
            starved: 0,
            owed: 0,
            closed: 0,
            held: 0,
            ran: 0,
            shared: 0,
            last: 0,
            overdrawn: false,
            refused: false,
            follows_refusal: false,
        }
    }

    pub(crate) fn set_time(&mut self, time: Duration) {
        self.time = nanos(time);
    }

    /// What precedes a wait belongs to the round before, which has the time of another one unless it refused something.
    pub(crate) fn begin_without_wait(&mut self, urgent: bool) {
        if !self.refused {
            self.restart(None, urgent);
        }
    }

    /// Begins a round, at `now` if that is known. `urgent`: there may be something that could be late.
    #[inline]
    pub(crate) fn restart(&mut self, now: Option<i64>, urgent: bool) {
        self.left = Self::COUNT;
        self.started = now;
        self.spent = 0;
        self.owed = self.starved;
        self.closed = 0;
        self.held = 0;
        self.ran = 0;
        self.shared = 0;
        // The first item needs no look at the clock if it is known when the round began, or if that does not matter.
        self.unread = u32::from(now.is_some() || !urgent);
        self.stride = 1;
        self.overdrawn = false;
        self.follows_refusal = std::mem::take(&mut self.refused);
    }

    /// Whether this round refused something.
    #[inline]
    pub(crate) fn has_refused(&self) -> bool {
        self.refused
    }

    /// Whether the round before refused something: due timers then come first.
    #[inline]
    pub(crate) fn follows_refusal(&self) -> bool {
        self.follows_refusal
    }

    /// Whether an item of `lane` may run, which is there.
    #[inline]
    pub(crate) fn may_run(&mut self, lane: Lane, clock: &Clock) -> bool {
        let is_op = lane == Lane::Apply;
        if self.unread == 0 || !self.is_calm() || is_op && self.left == 0 {
            return self.decide(lane, clock);
        }
        self.unread -= 1;
        self.left -= u32::from(is_op);
        true
    }

    /// Whether no lane was refused, in this round or before: each then has what time there is.
    #[inline]
    fn is_calm(&self) -> bool {
        u32::from_ne_bytes([self.starved, self.owed, self.closed, self.held]) == 0
    }

    #[inline(never)]
    fn decide(&mut self, lane: Lane, clock: &Clock) -> bool {
        if self.held & lane.bit() != 0 {
            return false;
        }
        if self.unread == 0 {
            self.read(clock);
        }
        self.unread -= 1;
        let bit = lane.bit();
        if self.spent >= self.share_end(bit)
            || self.closed & bit != 0
            || lane == Lane::Apply && self.left == 0
        {
            return self.overdraw(bit);
        }
        self.left -= u32::from(lane == Lane::Apply);
        self.ran |= bit;
        self.starved &= !bit;
        true
    }

    /// When the share of a lane ends: those that are owed one share what is left with it.
    fn share_end(&self, bit: u8) -> i64 {
        match self.owed & !bit {
            0 => self.time,
            others => {
                self.shared + (self.time - self.shared) / (1 + i64::from(others.count_ones()))
            }
        }
    }

    #[cold]
    fn overdraw(&mut self, bit: u8) -> bool {
        // What runs now takes as long as it takes.
        self.unread = 0;
        if self.closed & bit == 0 {
            self.closed |= bit;
            self.shared = self.spent.min(self.time);
        }
        self.owed &= !bit;
        // Those that had a part of this round are behind those that had none, or would stay the next in turn for ever.
        let waiting = match self.starved & !self.ran {
            0 => self.starved,
            waiting => waiting,
        };
        let next = (self.last + 1 + waiting.rotate_right(self.last + 1).trailing_zeros()) % 8;
        let may_run = waiting & bit != 0 && bit == 1 << next && !self.overdrawn;
        if may_run {
            self.overdrawn = true;
            self.last = next;
            self.starved &= !bit;
        } else {
            self.refused = true;
            self.starved |= bit;
        }
        may_run
    }

    /// The round is through: a lane that it did not refuse has no claim to the next one.
    #[inline]
    pub(crate) fn finish(&mut self) {
        self.starved &= self.closed;
    }

    /// Gives what is applied the time of a round, whatever the last one left of its own.
    pub(crate) fn allow_ops(&mut self) {
        self.left = Self::COUNT;
        self.started = None;
        self.spent = 0;
        self.unread = 1;
        self.held = 0;
        self.closed &= !Lane::Apply.bit();
    }

    /// Has what a lane was left with wait for others.
    pub(crate) fn hold(&mut self, lane: Lane) {
        self.held |= lane.bit();
    }

    /// Has all lanes go on.
    pub(crate) fn hold_nothing(&mut self) {
        self.held = 0;
    }

    fn read(&mut self, clock: &Clock) {
        if clock.is_manual() {
            self.unread = u32::MAX;
            return;
        }
        let now = clock.now_stamp();
        let spent = now - *self.started.get_or_insert(now);
        let slow = spent - self.spent > self.time / 64;
        let first = spent == 0;
        self.spent = spent;
        self.stride = if slow || first { 1 } else { (2 * self.stride).min(Self::STRIDE) };
        self.unread = self.stride;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_was_refused_runs_in_the_next_round_but_only_one_beyond_the_end() {
        let clock = Clock::manual();
        let mut budget = Budget::new();
        budget.set_time(Duration::ZERO);
        let lanes = [Lane::Events(Priority::Normal), Lane::Idle, Lane::Apply];
        let mut ran = [0; 3];
        for _ in 0..30 {
            budget.restart(None, true);
            let mut of_round = 0;
            for (lane, ran) in lanes.iter().zip(&mut ran) {
                let may_run = budget.may_run(*lane, &clock);
                *ran += u32::from(may_run);
                of_round += u32::from(may_run);
            }
            assert!(of_round <= 1);
        }
        assert!(ran.iter().all(|&ran| ran >= 5), "{ran:?}");
    }

    #[test]
    fn a_count_ends_a_round_that_takes_no_time() {
        let clock = Clock::manual();
        let mut budget = Budget::new();
        budget.restart(None, true);
        let items = (0..).take_while(|_| budget.may_run(Lane::Apply, &clock)).count();
        assert_eq!(items, Budget::COUNT as usize);
        assert!(budget.has_refused());
    }
}
