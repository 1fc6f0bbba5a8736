//! Timers.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::clock::{instant, nanos, stamp};
use crate::{EventSource, InterestToken, PostAction, Readiness, Registrar};

pub use super::timeout::TimeoutFuture;

/// What becomes of a [`Timer`] that fired: the answer of its callback.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum TimeoutAction {
    /// Remove the timer. As a part of another source it stays in that, and does not fire again.
    #[default]
    Drop,
    /// Keep the timer, without a deadline: it fires when it has been given one, as one that was made by
    /// [`Timer::never`] does. A deadline that the callback gave it stands.
    Keep,
    /// Fire again at this time.
    ToInstant(Instant),
    /// Fire again after this time, counted from now on the loop's clock.
    ToDuration(Duration),
}

/// Fires once at a deadline, or again and again as its callback says.
///
/// The callback receives the deadline (not the time it runs, so that
/// `TimeoutAction::ToInstant(deadline + period)` repeats without drift). A timer never fires early; on
/// Linux it is as precise as the kernel's timers, elsewhere within a millisecond. A timer re-armed for
/// a time that has passed fires in the next round. A duration counts from the time the timer is inserted, enabled
/// or updated.
///
/// # Limits
///
/// The clock is the loop's, in general the system's monotonic one, which stands still during suspend: see `WallTimer`
/// for others. A deadline beyond the end of time, such as [`Duration::MAX`] from now, never comes; deadlines more than
/// 292 years away count as that, and so do durations of more than 146.
///
/// # Panics and composites
///
/// A timer whose callback panics is still due: it fires again in the next dispatch, with the same deadline.
///
/// In a source made of others, [`TimeoutAction::Drop`] is the end of this timer, whatever the other parts answer: it
/// fires no more until it has a new deadline and is registered or re-registered.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, fired: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::Duration;
/// use soloop::{Clock, EventLoop, TimeoutAction, Timer};
///
/// // A manual clock jumps to the next deadline: these three hours take no time.
/// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
/// let mut state = State { handle, fired: 0 };
/// let hour = Duration::from_secs(3600);
/// state.handle.insert_source(Timer::from_duration(hour), move |deadline, state: &mut State| {
///     state.fired += 1;
///     TimeoutAction::ToInstant(deadline + hour)
/// })?;
/// for _ in 0..3 {
///     event_loop.dispatch(None, &mut state)?;
/// }
/// assert_eq!(state.fired, 3);
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
pub struct Timer {
    /// The interest it is armed under.
    token: Option<InterestToken>,
    when: When,
}

/// The deadline in one word, so that a timer takes two: the largest number, never; down to the [`LONGEST`](Self::LONGEST)
/// duration before zero, a time on the scale of deadlines; what is less, a duration, counted from the next registration on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct When(i64);

impl When {
    const NEVER: Self = Self(i64::MAX);
    /// 146 years.
    const LONGEST: i64 = 1 << 62;

    #[inline]
    fn at(at: i64) -> Self {
        Self(at.max(-Self::LONGEST))
    }

    #[inline]
    fn after(duration: Duration) -> Self {
        let nanos = nanos(duration);
        if nanos < Self::LONGEST { Self(i64::MIN + nanos) } else { Self::NEVER }
    }

    /// On the scale of deadlines.
    #[inline]
    fn deadline(self) -> Option<i64> {
        (-Self::LONGEST..i64::MAX).contains(&self.0).then_some(self.0)
    }

    /// How long after the next registration.
    #[inline]
    fn duration(self) -> Option<i64> {
        (self.0 < -Self::LONGEST).then(|| self.0 - i64::MIN)
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.deadline(), self.duration()) {
            (Some(at), _) => write!(f, "{:?}", instant(at)),
            (_, Some(nanos)) => write!(f, "after {nanos} ns"),
            _ => f.write_str("never"),
        }
    }
}

static_assertions::const_assert!(size_of::<Timer>() == 16);

impl Timer {
    fn new(when: When) -> Self {
        Self { token: None, when }
    }

    /// Fires in the next round; the wait before it does not block.
    pub fn immediate() -> Self {
        Self::from_duration(Duration::ZERO)
    }

    /// Does not fire before it is given a deadline: for one that lives as long as what it serves, and is armed now and
    /// then.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, saved: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{Clock, EventLoop, TimeoutAction, Timer};
    ///
    /// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    /// let mut state = State { handle, saved: 0 };
    /// let save = state.handle.insert_timer(Timer::never(), |_, state: &mut State| {
    ///     state.saved += 1;
    ///     TimeoutAction::Keep
    /// });
    /// for _change in 0..3 {
    ///     let soon = state.handle.now() + Duration::from_secs(1);
    ///     state.handle.set_deadline(save, soon);
    /// }
    /// event_loop.dispatch(None, &mut state)?;
    /// assert_eq!(state.saved, 1); // once for the three
    /// assert!(state.handle.contains(save));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn never() -> Self {
        Self::new(When::NEVER)
    }

    /// Fires `duration` after it is inserted.
    pub fn from_duration(duration: Duration) -> Self {
        Self::new(When::after(duration))
    }

    /// Fires at `deadline`.
    pub fn from_deadline(deadline: Instant) -> Self {
        Self::new(When::at(stamp(deadline)))
    }

    /// Moves the deadline. For a timer that is inserted this takes effect with
    /// [`LoopHandle::update`](crate::LoopHandle::update);
    /// [`LoopHandle::set_deadline`](crate::LoopHandle::set_deadline) does both.
    #[inline]
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.set_stamp(stamp(deadline));
    }

    /// [`set_deadline`](Self::set_deadline), the deadline on the clock's scale.
    #[inline]
    pub(crate) fn set_stamp(&mut self, at: i64) {
        self.when = When::at(at);
    }

    /// Moves the deadline to `duration` after the timer is inserted or updated.
    pub fn set_duration(&mut self, duration: Duration) {
        self.when = When::after(duration);
    }

    /// When it fires; `None` if it has no deadline, if that is beyond the end of time, or counted from an insertion that has not
    /// taken place.
    #[inline]
    pub fn current_deadline(&self) -> Option<Instant> {
        self.when.deadline().and_then(instant)
    }

    /// The deadline, counted from now if it was a duration.
    #[inline]
    fn fix_deadline(&mut self, registrar: &Registrar<'_>) -> Option<i64> {
        if let Some(nanos) = self.when.duration() {
            self.when = count_from_now(nanos, registrar);
        }
        self.when.deadline()
    }
}

#[inline(never)]
fn count_from_now(nanos: i64, registrar: &Registrar<'_>) -> When {
    When::at(registrar.clock().now_stamp().saturating_add(nanos))
}

impl EventSource for Timer {
    type Event<'a> = Instant;
    type Ret = TimeoutAction;
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.token = self.fix_deadline(registrar).map(|at| registrar.arm_at(at));
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        match (self.token, self.fix_deadline(registrar)) {
            (Some(token), Some(at)) => registrar.rearm_at(token, at),
            _ => {
                self.unregister(registrar)?;
                self.register(registrar)?;
            }
        }
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some(token) = self.token.take() {
            registrar.disarm(token);
        }
        Ok(())
    }

    #[inline]
    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(Instant) -> TimeoutAction,
    {
        let Some(deadline) = self.current_deadline() else {
            return Ok(PostAction::Continue);
        };
        if self.token != Some(token) {
            return Ok(PostAction::Continue);
        }
        Ok(match callback(deadline) {
            TimeoutAction::Drop => {
                // Wherever the timer lies: the source around it may go on.
                self.when = When::NEVER;
                PostAction::Remove
            }
            TimeoutAction::Keep => {
                self.when = When::NEVER;
                PostAction::Reregister
            }
            TimeoutAction::ToInstant(deadline) => {
                self.set_deadline(deadline);
                PostAction::Reregister
            }
            TimeoutAction::ToDuration(duration) => {
                self.set_duration(duration);
                PostAction::Reregister
            }
        })
    }
}

assert_traits!(TimeoutAction: Copy, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_traits!(Timer: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe; not Copy, Clone);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_what_it_was_set_to_to_the_nanosecond() {
        let now = Instant::now();
        let century = Duration::from_secs(100 * 365 * 86_400);
        for away in
            [Duration::ZERO, Duration::from_nanos(1), Duration::from_nanos(987_654_321), century]
        {
            for deadline in [now + away, now.checked_sub(away).unwrap_or(now)] {
                let mut timer = Timer::from_deadline(deadline);
                assert_eq!(timer.current_deadline(), Some(deadline));
                timer.set_duration(away);
                assert_eq!(timer.current_deadline(), None);
                assert_eq!(timer.when.duration(), Some(nanos(away)));
            }
        }
        let longest = Duration::from_nanos(When::LONGEST.unsigned_abs());
        assert_eq!(When::after(longest), When::NEVER);
        assert_eq!(
            When::after(longest - Duration::from_nanos(1)).duration(),
            Some(When::LONGEST - 1)
        );
    }
}
