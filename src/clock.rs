//! The clock that a loop reads: the system's, or one that tests move by hand.

use std::fmt;
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use crate::sync::{AtomicI64, Mutex, Ordering, lock};

/// The clock that a loop's timers follow.
///
/// [`Clock::system`] is [`Instant::now`]. [`Clock::manual`] stands still until [`advance`](Self::advance) moves it,
/// or a dispatch has nothing to do but wait: the dispatch then moves the clock to the next deadline, or by its
/// timeout, whichever comes first. So a test of an hour of timers takes milliseconds and runs the same way every
/// time. A `dispatch(Duration::ZERO)` does not move the clock. A dispatch without a timeout on a loop without a
/// deadline waits in real time.
///
/// A clone is the same clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use soloop::Clock;
///
/// let clock = Clock::manual();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now() - before, Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

/// A loop that follows a manual clock: the part of it that is shared between threads.
pub(crate) trait FollowsClock: Send + Sync + fmt::Debug {
    fn time_passed(&self);
}

#[derive(Debug)]
struct Manual {
    /// On the scale of deadlines.
    now: AtomicI64,
    /// The loops to tell when time passes.
    loops: Mutex<Vec<Weak<dyn FollowsClock>>>,
}

impl Clock {
    /// The system's monotonic clock.
    pub fn system() -> Self {
        LazyLock::force(&ZERO);
        Self { manual: None }
    }

    /// Makes a clock that moves only by [`advance`](Self::advance), or when a loop that uses it would wait.
    ///
    /// Threads, child processes and sockets do not follow it. A loop that has nothing to do moves on to its next
    /// deadline while they are still at work. [`EventLoop::run_until`](crate::EventLoop::run_until) moves the clock
    /// no farther than its deadline, and `dispatch(Duration::ZERO)` does not move it.
    ///
    /// # Examples
    ///
    /// An hour of frames, in milliseconds:
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, frames: u32 }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::{Duration, Instant};
    /// use soloop::{Clock, EventLoop, TimeoutAction, Timer};
    ///
    /// const FRAME: Duration = Duration::from_millis(20);
    /// const HOUR: Duration = Duration::from_secs(3600);
    ///
    /// let clock = Clock::manual();
    /// let (mut event_loop, handle) = EventLoop::with_clock(clock.clone())?;
    /// let mut state = State { handle, frames: 0 };
    /// state.handle.insert_source(Timer::from_duration(FRAME), |deadline, state| {
    ///     state.frames += 1;
    ///     TimeoutAction::ToInstant(deadline + FRAME)
    /// })?;
    /// let start = clock.now();
    /// while clock.now() - start < HOUR {
    ///     event_loop.dispatch(None, &mut state)?; // jumps to the next frame
    /// }
    /// assert_eq!(state.frames, 180_000);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn manual() -> Self {
        let now = AtomicI64::new(stamp(Instant::now()));
        Self { manual: Some(Arc::new(Manual { now, loops: Mutex::default() })) }
    }

    /// The time on this clock.
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.manual {
            None => Instant::now(),
            Some(manual) => instant(manual.now.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock forward by `duration`; the next dispatch fires the timers that are due by then. Does
    /// nothing to the system's clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use soloop::Clock;
    ///
    /// let clock = Clock::manual();
    /// let start = clock.now();
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(clock.now() - start, Duration::from_secs(60));
    /// ```
    pub fn advance(&self, duration: Duration) {
        let Some(manual) = &self.manual else { return };
        // The end of the scale stands for a deadline that never comes.
        let _ = manual.now.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            Some(now.saturating_add(nanos(duration)).min(i64::MAX - 1))
        });
        for follower in lock(&manual.loops).iter().filter_map(Weak::upgrade) {
            follower.time_passed();
        }
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.manual.is_some()
    }

    /// Tells `follower` when a manual clock moves, as long as it lives.
    pub(crate) fn tell(&self, follower: Weak<dyn FollowsClock>) {
        if let Some(manual) = &self.manual {
            let mut loops = lock(&manual.loops);
            loops.retain(|follower| follower.strong_count() > 0);
            loops.push(follower);
        }
    }

    /// The time on this clock, on the scale of deadlines.
    #[inline]
    pub(crate) fn now_stamp(&self) -> i64 {
        stamp(self.now())
    }
}

/// The zero of the scale of deadlines, in nanoseconds. The first loop sets it, so that later times are positive, for
/// which subtracting is quickest.
static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);

/// `instant` on the scale of deadlines, which spans ±292 years; instants beyond map to its ends.
#[inline]
pub(crate) fn stamp(instant: Instant) -> i64 {
    let zero = *ZERO;
    match instant.checked_duration_since(zero) {
        Some(after) => nanos(after),
        None => -nanos(zero.saturating_duration_since(instant)),
    }
}

/// The instant of a time on the scale of deadlines. Returns the zero of the scale if no instant can represent the time.
pub(crate) fn instant(stamp: i64) -> Instant {
    let distance = Duration::from_nanos(stamp.unsigned_abs());
    let instant = if stamp < 0 { ZERO.checked_sub(distance) } else { ZERO.checked_add(distance) };
    instant.unwrap_or(*ZERO)
}

/// A time in nanoseconds as a duration; zero if it is negative.
pub(crate) fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.try_into().unwrap_or(0))
}

/// A duration in nanoseconds, at most `i64::MAX`.
#[inline]
pub(crate) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
