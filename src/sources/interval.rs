//! Steady ticks: the source [`Interval`], and its event.

use std::convert::Infallible;
use std::io;
use std::time::{Duration, Instant};

use crate::{
    Clock, EventSource, InterestToken, PostAction, Readiness, Registrar, TimeoutAction, Timer,
};

/// The event of an [`Interval`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Tick {
    /// When it was due: the latest tick that is not after the time of the callback.
    pub deadline: Instant,
    /// How many ticks between the last delivered one and this one were missed; 0 as long as the loop keeps up.
    pub missed: u64,
}

/// Ticks once a period, without drift.
///
/// The ticks are due at a first deadline and at whole periods after it, however late they are delivered. A loop that
/// was busy for several periods gets one tick, not a burst: the latest one that is due, with the number of those it
/// missed, as a read of a repeating `timerfd_create(2)` returns the number of expirations. After a stall of 3.5
/// periods the next tick has `missed: 2` and a deadline half a period ago; the one after it is due half a period
/// later.
///
/// The callback answers how to go on: [`PostAction::Continue`] (or `Again`, or `Reregister`, with the same meaning
/// here) ticks on; [`PostAction::Remove`] removes the interval and [`PostAction::Disable`] disables it. Time goes on
/// while the interval is disabled: the tick after [`enable`](crate::LoopHandle::enable) says how many were missed.
/// The same holds for an interval that is [taken](crate::LoopHandle::take) and inserted again.
///
/// # Limits
///
/// A round delivers at most one tick. A period of zero is always due: it ticks once in every round, at the time of
/// the callback, misses nothing, and keeps the loop from ever sleeping. A tick more than 292 years away, such as the
/// second one of a period of [`Duration::MAX`], never comes.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, missed: Vec<u64> }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
/// use soloop::{Clock, EventLoop, Interval, PostAction, Tick};
///
/// let clock = Clock::manual();
/// let (mut event_loop, handle) = EventLoop::with_clock(clock.clone())?;
/// let mut state = State { handle, missed: Vec::new() };
/// let frame = Duration::from_millis(16);
/// state.handle.insert_source(Interval::new(frame), |tick: Tick, state| {
///     state.missed.push(tick.missed);
///     PostAction::Continue
/// })?;
/// event_loop.dispatch(None, &mut state)?; // a manual clock jumps to the next tick
/// clock.advance(frame * 7 / 2); // a stall
/// event_loop.dispatch(None, &mut state)?;
/// event_loop.dispatch(None, &mut state)?;
/// assert_eq!(state.missed, [0, 2, 0]);
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias = "set_interval")]
pub struct Interval {
    period: Duration,
    /// The next tick. A duration: one period after the next registration.
    timer: Timer,
    /// The deadline in the deadline queue, until it is delivered.
    armed: Option<Instant>,
    /// The loop's clock, to count missed ticks.
    clock: Option<Clock>,
}

impl Interval {
    /// Makes an interval whose first tick is due one `period` after it is inserted, on the loop's clock.
    pub fn new(period: Duration) -> Self {
        Self { period, timer: Timer::from_duration(period), armed: None, clock: None }
    }

    /// Makes an interval whose first tick is due at `first`, the others every `period` after it. If `first` has
    /// passed, the latest tick that is due comes at once, and counts those before it as missed.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, missed: Option<u64> }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use soloop::{Clock, EventLoop, Interval, PostAction};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual();
    /// let (mut event_loop, handle) = EventLoop::with_clock(clock.clone())?;
    /// let mut state = State { handle, missed: None };
    /// let second = Duration::from_secs(1);
    /// let interval = Interval::starting_at(clock.now(), second);
    /// clock.advance(3 * second + second / 2);
    /// state.handle.insert_source(interval, |tick, state| {
    ///     state.missed = Some(tick.missed);
    ///     PostAction::Continue
    /// })?;
    /// event_loop.dispatch(Duration::ZERO, &mut state)?;
    /// assert_eq!(state.missed, Some(3)); // the ticks of seconds 0, 1 and 2
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn starting_at(first: Instant, period: Duration) -> Self {
        Self { timer: Timer::from_deadline(first), ..Self::new(period) }
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Changes the period and starts over: the next tick is due one new period after the interval is inserted, or
    /// updated with [`LoopHandle::update`](crate::LoopHandle::update). Ticks that were due and not delivered are
    /// forgotten. Setting the same period changes nothing.
    pub fn set_period(&mut self, period: Duration) {
        if period != self.period {
            self.period = period;
            self.timer.set_duration(period);
        }
    }

    /// When the next tick is due. `None` if it never comes, or if it depends on an insertion or update that has not
    /// happened yet.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timer.current_deadline()
    }
}

/// The latest tick not after `now`, of ticks that come every `period` from `due` on.
fn latest(due: Instant, period: Duration, now: Instant) -> Tick {
    const SECOND: u128 = 1_000_000_000;
    let late = now.saturating_duration_since(due).as_nanos();
    let period = period.as_nanos();
    if period == 0 {
        return Tick { deadline: now.max(due), missed: 0 };
    }
    let whole = late - late % period;
    let whole = Duration::new((whole / SECOND) as u64, (whole % SECOND) as u32);
    Tick { deadline: due + whole, missed: u64::try_from(late / period).unwrap_or(u64::MAX) }
}

impl EventSource for Interval {
    type Event<'a> = Tick;
    type Ret = PostAction;
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.clock = None;
        self.reregister(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.clock.get_or_insert_with(|| registrar.clock().clone());
        // A deadline that is already queued stays: arming it again would remove it from the current round, and a source
        // that is re-registered in every round would never fire.
        if self.armed.is_none() || self.armed != self.next_deadline() {
            self.timer.reregister(registrar)?;
            self.armed = self.next_deadline();
        }
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.armed = None;
        self.timer.unregister(registrar)
    }

    #[inline]
    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(Tick) -> PostAction,
    {
        let mut fired = None;
        self.timer.process_events(readiness, token, |due| {
            fired = Some(due);
            TimeoutAction::Keep
        })?;
        let (Some(due), Some(clock)) = (fired, &self.clock) else {
            return Ok(PostAction::Continue);
        };
        let now = clock.now();
        self.armed = None;
        if now < due {
            // The callback panicked at the previous tick, whose event is delivered again.
            self.timer.set_deadline(due);
            return Ok(PostAction::Reregister);
        }
        let tick = latest(due, self.period, now);
        // Otherwise the next tick is later than an [`Instant`] can express: `Keep` leaves the timer without a deadline.
        if let Some(next) = tick.deadline.checked_add(self.period) {
            self.timer.set_deadline(next);
        }
        Ok(match callback(tick) {
            PostAction::Continue | PostAction::Again | PostAction::Reregister => {
                PostAction::Reregister
            }
            action => action,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_tick_is_exact() {
        let start = Instant::now();
        let ns = Duration::from_nanos;
        let cases = [
            (10, 0, 0, 0),
            (10, 9, 0, 0),
            (10, 10, 10, 1),
            (10, 35, 30, 3),
            (1, 4_000_000_000, 4_000_000_000, 4_000_000_000),
            (7, 7_000_000_000_000_000_006, 7_000_000_000_000_000_000, 1_000_000_000_000_000_000),
            (u64::MAX, 5, 0, 0),
            (0, 5, 5, 0),
        ];
        for (period, late, after, missed) in cases {
            let tick = latest(start, ns(period), start + ns(late));
            assert_eq!(tick, Tick { deadline: start + ns(after), missed }, "{period} {late}");
        }
        let early = latest(start + ns(1), ns(10), start);
        assert_eq!(early, Tick { deadline: start + ns(1), missed: 0 });
        let longest = latest(start, Duration::MAX, start + ns(u64::MAX / 4));
        assert_eq!(longest, Tick { deadline: start, missed: 0 });
    }
}
