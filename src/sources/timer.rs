//! Timers.

use std::convert::Infallible;
use std::io;
use std::time::{Duration, Instant};

use crate::clock::nanos;
use crate::{EventSource, InterestToken, PostAction, Readiness, Registrar};

pub use super::timeout::TimeoutFuture;

/// What becomes of a [`Timer`] that fired: the answer of its callback.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimeoutAction {
    /// Remove the timer.
    Drop,
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
/// 292 years away count as that. A timer whose callback panics stays, but does not fire again before it is updated.
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
    when: When,
}

/// The deadline, with the interest it is armed under. A duration is kept in nanoseconds, so that all of it
/// fits into 24 bytes.
#[derive(Clone, Copy, Debug)]
enum When {
    At(Option<InterestToken>, Instant),
    After(Option<InterestToken>, i64),
    Never(Option<InterestToken>),
}

static_assertions::const_assert!(size_of::<Timer>() <= 24 || cfg!(not(target_os = "linux")));

impl Timer {
    /// Fires in the next round.
    pub fn immediate() -> Self {
        Self::from_duration(Duration::ZERO)
    }

    /// Fires `duration` after it is inserted.
    pub fn from_duration(duration: Duration) -> Self {
        Self { when: When::After(None, nanos(duration)) }
    }

    /// Fires at `deadline`.
    pub fn from_deadline(deadline: Instant) -> Self {
        Self { when: When::At(None, deadline) }
    }

    /// Moves the deadline. For a timer that is inserted this takes effect with
    /// [`LoopHandle::update`](crate::LoopHandle::update).
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.when = When::At(self.token(), deadline);
    }

    /// Moves the deadline to `duration` after the timer is inserted or updated.
    pub fn set_duration(&mut self, duration: Duration) {
        self.when = When::After(self.token(), nanos(duration));
    }

    /// When it fires; `None` if that is beyond the end of time, or counted from an insertion that has not
    /// taken place.
    pub fn current_deadline(&self) -> Option<Instant> {
        match self.when {
            When::At(_, deadline) => Some(deadline),
            When::After(..) | When::Never(_) => None,
        }
    }

    fn token(&self) -> Option<InterestToken> {
        match self.when {
            When::At(token, _) | When::After(token, _) | When::Never(token) => token,
        }
    }

    /// The deadline, counted from now if it was a duration.
    fn fix_deadline(&mut self, registrar: &Registrar<'_>) -> Option<Instant> {
        if let When::After(token, nanos) = self.when {
            let duration = Duration::from_nanos(nanos.unsigned_abs());
            self.when = match registrar.now().checked_add(duration) {
                Some(deadline) if nanos < i64::MAX => When::At(token, deadline),
                _ => When::Never(token),
            };
        }
        self.current_deadline()
    }

    fn set_token(&mut self, token: Option<InterestToken>) {
        self.when = match self.when {
            When::At(_, deadline) => When::At(token, deadline),
            When::After(_, nanos) => When::After(token, nanos),
            When::Never(_) => When::Never(token),
        };
    }
}

impl EventSource for Timer {
    type Event<'a> = Instant;
    type Ret = TimeoutAction;
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        let token = self.fix_deadline(registrar).map(|deadline| registrar.arm(deadline));
        self.set_token(token);
        Ok(())
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        match (self.token(), self.fix_deadline(registrar)) {
            (Some(token), Some(deadline)) => registrar.rearm(token, deadline),
            _ => {
                self.unregister(registrar)?;
                self.register(registrar)?;
            }
        }
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if let Some(token) = self.token() {
            registrar.disarm(token);
            self.set_token(None);
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
        let When::At(Some(ours), deadline) = self.when else {
            return Ok(PostAction::Continue);
        };
        if ours != token {
            return Ok(PostAction::Continue);
        }
        Ok(match callback(deadline) {
            TimeoutAction::Drop => PostAction::Remove,
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
