//! Limits one round, so that due timers and sources of higher priority are late by a bounded time even in a flood.
//!
//! A round begins when its wait ends, and includes the steps before the next wait. Whatever runs user code asks first
//! ([`Budget::may_run`]), as one of a few [`Lane`]s. When the time of the round, or its count, is used up, the answer
//! is no. The rest waits for the next round, which takes in due timers and higher priorities first. So that no lane
//! starves, a refused lane is owed a share of the next round. The remaining time is split equally between the lane that
//! asks and the other lanes that are owed a share: it gets half of that time if there is one other. One refused lane
//! per round also gets one item after the time is over: between the end of a round and the next wait, one item runs at
//! most.
//!
//! The budget reads the loop's clock before every item while items are slow, and before every eighth while they are
//! quick. It does not read a manual clock: there only the count ends a round, so that runs repeat exactly.

use std::time::Duration;

use crate::clock::{Clock, nanos};
use crate::registry::options::Priority;

/// A kind of work that takes a part of a round.
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

#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// The time of a round, in nanoseconds.
    time: i64,
    /// How many ops and posts the round may still run. Ops may issue further ops endlessly.
    left: u32,
    /// When the round began, if known.
    started: Option<i64>,
    /// How much of the round's time was used up at the last reading of the clock.
    spent: i64,
    /// How many more items run before the next reading of the clock, and how many run between two readings.
    unread: u32,
    stride: u32,
    /// The refused lanes. A lane leaves the set when it runs, or when a round completes without refusing it.
    starved: u8,
    /// The lanes that were starved when the round began, and have not had their share of this round.
    owed: u8,
    /// The lanes that this round refused.
    closed: u8,
    /// The value of `spent` when a lane was last added to `closed`.
    shared: i64,
    /// The lanes that wait for other lanes in this round. Waiting does not count as a refusal.
    held: u8,
    /// The lanes that ran an item in this round.
    ran: u8,
    /// The lane that overdrew last. The next lane in turn is the first starved one after it.
    last: u32,
    /// An item ran in this round after its time was over.
    overdrawn: bool,
    /// This round refused an item.
    refused: bool,
    /// The round before refused an item.
    follows_refusal: bool,
}

impl Budget {
    /// How many ops and posts a round may run: more than occur together in practice.
    const COUNT: u32 = 1 << 20;
    const STRIDE: u32 = 8;
    pub(crate) const TIME: Duration = Duration::from_millis(10);

    pub(crate) fn new() -> Self {
        let time = nanos(Self::TIME);
        Self { time, left: Self::COUNT, unread: 1, stride: 1, ..Self::default() }
    }

    pub(crate) fn set_time(&mut self, time: Duration) {
        self.time = nanos(time);
    }

    /// Gives the steps before a wait the time of a new round, unless the round that they belong to refused something.
    pub(crate) fn begin_without_wait(&mut self, urgent: bool) {
        if !self.refused {
            self.restart(None, urgent);
        }
    }

    /// Begins a round, at `now` if known. `urgent`: there may be something that could be late.
    #[inline]
    pub(crate) fn restart(&mut self, now: Option<i64>, urgent: bool) {
        *self = Self {
            time: self.time,
            starved: self.starved,
            owed: self.starved,
            last: self.last,
            left: Self::COUNT,
            started: now,
            // The first item needs no reading of the clock if the start of the round is known or does not matter.
            unread: u32::from(now.is_some() || !urgent),
            stride: 1,
            follows_refusal: self.refused,
            ..Self::default()
        };
    }

    /// Whether this round refused something.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused
    }

    /// Whether the round before refused something: due timers then come first.
    pub(crate) fn follows_refusal(&self) -> bool {
        self.follows_refusal
    }

    /// Whether an item of `lane`, which is at hand, may run.
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

    /// Whether no lane was refused in this round or the one before. Each lane may then use all the time there is.
    fn is_calm(&self) -> bool {
        u32::from_ne_bytes([self.starved, self.owed, self.closed, self.held]) == 0
    }

    #[inline(never)]
    fn decide(&mut self, lane: Lane, clock: &Clock) -> bool {
        let bit = lane.bit();
        if self.held & bit != 0 {
            return false;
        }
        if self.unread == 0 {
            self.read(clock);
        }
        self.unread -= 1;
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

    /// When the share of a lane ends. The lane shares the remaining time with all others that are owed a share.
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
        // This item may take any time, so the clock is read before the next one.
        self.unread = 0;
        if self.closed & bit == 0 {
            self.closed |= bit;
            self.shared = self.spent.min(self.time);
        }
        self.owed &= !bit;
        // Lanes that ran in this round come after those that did not; otherwise they would stay next in turn forever.
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

    /// The round is complete: lanes that it did not refuse have no claim on the next one.
    pub(crate) fn finish(&mut self) {
        self.starved &= self.closed;
    }

    /// Gives ops and posts the time of a whole round, however much the last round used.
    pub(crate) fn allow_ops(&mut self) {
        self.left = Self::COUNT;
        self.started = None;
        self.spent = 0;
        self.unread = 1;
        self.held = 0;
        self.closed &= !Lane::Apply.bit();
    }

    /// Makes `lane` wait for others.
    pub(crate) fn hold(&mut self, lane: Lane) {
        self.held |= lane.bit();
    }

    /// Lets all lanes go on.
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
        // One that was not refused before does not run beyond the end.
        budget.restart(None, true);
        assert!(!budget.may_run(Lane::Idle, &clock));
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
            // Those that this round refused keep their claim.
            budget.finish();
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
        // By themselves, ops get a whole round again.
        budget.allow_ops();
        let items = (0..).take_while(|_| budget.may_run(Lane::Apply, &clock)).count();
        assert!(items >= Budget::COUNT as usize, "{items}");
    }
}
