//! Timers: the source [`Timer`], the answer of its callback, and the future [`TimeoutFuture`].

use std::convert::Infallible;
use std::io;
use std::time::{Duration, Instant};

pub use super::timeout::TimeoutFuture;
use crate::{EventSource, InterestToken, PostAction, Readiness, Registrar};

/// What a [`Timer`] does after it fired: the answer of its callback.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum TimeoutAction {
    /// Remove the timer. A timer that is a part of a composite source is not removed, but does not fire again.
    #[default]
    Drop,
    /// Keep the timer without a deadline, like one made by [`Timer::never`]: it fires when it gets a new one. A
    /// deadline that the callback has set stays.
    Keep,
    /// Fire again at this time.
    ToInstant(Instant),
    /// Fire again after this time, counted from now on the loop's clock.
    ToDuration(Duration),
}

/// Fires at a deadline; once, or as often as its callback says.
///
/// The callback receives the deadline (not the time it runs, so that `TimeoutAction::ToInstant(deadline + period)`
/// repeats without drift). A timer never fires early; on Linux it is as precise as the kernel's timers, elsewhere
/// within a millisecond. A timer re-armed for a time that has passed fires in the next round. A duration counts from
/// the time the timer is inserted, enabled or updated.
///
/// # Limits
///
/// The clock is the loop's, which is usually the system's monotonic clock. That stands still during suspend;
/// `WallTimer` follows other clocks. A deadline more than 292 years away, such as [`Duration::MAX`] from now, never
/// comes.
///
/// # Panics and composites
///
/// A timer whose callback panics is still due: it fires again in the next dispatch, with the same deadline.
///
/// In a composite source, [`TimeoutAction::Drop`] ends this timer, whatever the other parts answer: it does not fire
/// again until it has a new deadline and is registered or re-registered.
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
/// state.handle.insert_source(Timer::from_duration(hour), move |deadline, state| {
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
    /// The interest under which the timer is armed.
    token: Option<InterestToken>,
    when: When,
}

/// [`When::At`], the largest, leaves room for the other variants, so that a timer takes three words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    At(Instant),
    /// This many nanoseconds after the next registration.
    After(u64),
    Never,
}

impl When {
    fn after(duration: Duration) -> Self {
        u64::try_from(duration.as_nanos()).map_or(Self::Never, Self::After)
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
static_assertions::const_assert!(size_of::<Timer>() == 24);

impl Timer {
    fn new(when: When) -> Self {
        Self { token: None, when }
    }

    /// Makes a timer that fires in the next round; the wait before it does not block.
    pub fn immediate() -> Self {
        Self::from_duration(Duration::ZERO)
    }

    /// Makes a timer without a deadline, which does not fire until it gets one: for a timer that lives as long as
    /// what it serves, and is armed now and then.
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
    /// let save = state.handle.insert_timer(Timer::never(), |_, state| {
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
        Self::new(When::Never)
    }

    /// Makes a timer that fires `duration` after it is inserted.
    pub fn from_duration(duration: Duration) -> Self {
        Self::new(When::after(duration))
    }

    /// Makes a timer that fires at `deadline`.
    pub fn from_deadline(deadline: Instant) -> Self {
        Self::new(When::At(deadline))
    }

    /// Sets the deadline. An inserted timer takes it over with [`LoopHandle::update`](crate::LoopHandle::update);
    /// [`LoopHandle::set_deadline`](crate::LoopHandle::set_deadline) does both in one call.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.when = When::At(deadline);
    }

    /// Sets the deadline to `duration` after the timer is inserted, or updated with
    /// [`LoopHandle::update`](crate::LoopHandle::update).
    pub fn set_duration(&mut self, duration: Duration) {
        self.when = When::after(duration);
    }

    /// When the timer fires. `None` if it has no deadline, if the deadline never comes, or if it depends on an
    /// insertion that has not happened yet.
    #[inline]
    pub fn current_deadline(&self) -> Option<Instant> {
        match self.when {
            When::At(deadline) => Some(deadline),
            When::After(_) | When::Never => None,
        }
    }

    /// Returns the deadline, and turns a duration into one that counts from now.
    #[inline]
    fn fix_deadline(&mut self, registrar: &Registrar<'_>) -> Option<Instant> {
        if let When::After(nanos) = self.when {
            let deadline = registrar.now().checked_add(Duration::from_nanos(nanos));
            self.when = deadline.map_or(When::Never, When::At);
        }
        self.current_deadline()
    }
}

impl EventSource for Timer {
    type Event<'a> = Instant;
    type Ret = TimeoutAction;
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.token = self.fix_deadline(registrar).map(|deadline| registrar.arm(deadline));
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        match (self.token, self.fix_deadline(registrar)) {
            (Some(token), Some(deadline)) => registrar.rearm(token, deadline),
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
        let Some(deadline) = self.current_deadline().filter(|_| self.token == Some(token)) else {
            return Ok(PostAction::Continue);
        };
        let answer = callback(deadline);
        self.when = match answer {
            // `Drop` also inside a composite, which may go on.
            TimeoutAction::Drop | TimeoutAction::Keep => When::Never,
            TimeoutAction::ToInstant(deadline) => When::At(deadline),
            TimeoutAction::ToDuration(duration) => When::after(duration),
        };
        Ok(match answer {
            TimeoutAction::Drop => PostAction::Remove,
            _ => PostAction::Reregister,
        })
    }
}

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
                assert_eq!(timer.when, When::After(away.as_nanos() as u64));
            }
        }
        let longest = Duration::from_nanos(u64::MAX);
        assert_eq!(When::after(longest), When::After(u64::MAX));
        assert_eq!(When::after(longest + Duration::from_nanos(1)), When::Never);
    }
}
