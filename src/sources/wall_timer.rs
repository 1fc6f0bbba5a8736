//! Timers on the system's clocks: the source [`WallTimer`], its event, and the answer of its callback.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use super::generic::Generic;
use crate::{EventSource, Interest, InterestToken, Mode, PostAction, Readiness, Registrar};

/// The event of a [`WallTimer`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum WallEvent {
    /// The deadline has come.
    Fired,
    /// The system's clock was set, so a time of day may be nearer or farther than it was. The deadline stays as it
    /// was given.
    ClockChanged,
}

/// What a [`WallTimer`] does next: the answer of its callback.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum WallAction {
    /// Remove the timer.
    #[default]
    Drop,
    /// Keep the timer as it is. After [`WallEvent::ClockChanged`] the deadline still holds, and fires at once if the
    /// clock is past it now. After [`WallEvent::Fired`] there is no deadline until [`WallTimer::set_time`] sets one.
    Keep,
    /// Fire at this time.
    ToTime(SystemTime),
    /// Fire after this duration, counted from now on the timer's clock.
    ToDuration(Duration),
}

/// Fires at a time of day, or after a time that counts while the system is suspended. Linux only.
///
/// A [`Timer`](crate::Timer) follows the loop's monotonic clock, which stands still while the system is suspended and
/// ignores changes of the date. For *a quarter past seven* that is wrong. This timer is a `timerfd_create(2)` of its
/// own, on one of two clocks:
///
/// * [`new`](Self::new) takes a [`SystemTime`] and follows `CLOCK_REALTIME`. If that clock is set (by hand, or by NTP
///   in a step; not by slewing) the callback receives [`WallEvent::ClockChanged`], from `TFD_TIMER_CANCEL_ON_SET`;
/// * [`after`](Self::after) takes a [`Duration`] and follows `CLOCK_BOOTTIME`, which goes on during suspend and can't
///   be set.
///
/// The timer runs from its creation on, whether it is inserted and enabled or not; its events are delivered once it
/// is. It is as precise as the kernel's timers, and never fires early.
///
/// # Limits
///
/// Each timer takes an fd. It does not wake a suspended system: a deadline during suspend fires after it. It follows
/// the system's clocks even in a loop with a [manual clock](crate::Clock::manual); such a loop waits for the timer in
/// real time only if it has no deadline of its own. A deadline before 1970 has passed; one more than 292 years after
/// 1970 never comes.
///
/// # Examples
///
/// ```
/// # struct State { handle: soloop::LoopHandle<Self>, hours: u32 }
/// # impl soloop::LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
/// # }
/// use std::time::{Duration, SystemTime};
/// use soloop::{EventLoop, WallAction, WallEvent, WallTimer};
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, hours: 0 };
/// // The last full hour, which has passed; then the next ones.
/// let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
/// let mut hour = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() / 3600 * 3600);
/// state.handle.insert_source(WallTimer::new(hour)?, move |event, state| match event {
///     WallEvent::Fired => {
///         state.hours += 1;
///         hour += Duration::from_secs(3600);
///         WallAction::ToTime(hour)
///     }
///     _ => WallAction::Keep,
/// })?;
/// event_loop.dispatch(None, &mut state)?;
/// assert_eq!(state.hours, 1);
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug)]
pub struct WallTimer {
    fd: Generic<OwnedFd>,
    clock: TimerfdClockId,
    /// Counted from the zero of the timer's clock; `None` once it has fired.
    deadline: Option<Duration>,
    /// The clock was set while the deadline was being set: deliver that at once.
    changed: bool,
}

impl WallTimer {
    /// Makes a timer that fires at `deadline` on the system's clock, `CLOCK_REALTIME`, and reports when that clock is
    /// set.
    ///
    /// # Errors
    ///
    /// Those of `timerfd_create(2)`, such as `EMFILE`.
    pub fn new(deadline: SystemTime) -> io::Result<Self> {
        let mut timer = Self::on(TimerfdClockId::Realtime)?;
        timer.set_time(deadline)?;
        Ok(timer)
    }

    /// Makes a timer that fires `duration` from now on `CLOCK_BOOTTIME`, which goes on while the system is suspended.
    ///
    /// # Errors
    ///
    /// Those of `timerfd_create(2)`, such as `EMFILE`.
    ///
    /// # Examples
    ///
    /// ```
    /// # struct State { handle: soloop::LoopHandle<Self>, awake: bool }
    /// # impl soloop::LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut soloop::LoopHandle<Self> { &mut self.handle }
    /// # }
    /// use std::time::Duration;
    /// use soloop::{EventLoop, WallAction, WallTimer};
    ///
    /// let (mut event_loop, handle) = EventLoop::new()?;
    /// let mut state = State { handle, awake: false };
    /// let nap = WallTimer::after(Duration::from_millis(1))?;
    /// state.handle.insert_source(nap, |_event, state| {
    ///     state.awake = true;
    ///     WallAction::Drop
    /// })?;
    /// event_loop.dispatch(None, &mut state)?;
    /// assert!(state.awake);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn after(duration: Duration) -> io::Result<Self> {
        let mut timer = Self::on(TimerfdClockId::Boottime)?;
        timer.set_duration(duration)?;
        Ok(timer)
    }

    fn on(clock: TimerfdClockId) -> io::Result<Self> {
        let fd = timerfd_create(clock, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let fd = Generic::new(fd, Interest::READ, Mode::Level);
        Ok(Self { fd, clock, deadline: None, changed: false })
    }

    /// Moves the deadline, at once. A timer made by [`after`](Self::after) converts it: it fires after the time that
    /// lies between now and `deadline` on the system's clock.
    ///
    /// # Errors
    ///
    /// Those of `timerfd_settime(2)`; none is expected.
    pub fn set_time(&mut self, deadline: SystemTime) -> io::Result<()> {
        if self.clock == TimerfdClockId::Realtime {
            let since = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.deadline = Some(since);
            return self.arm();
        }
        self.set_duration(deadline.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Moves the deadline to `duration` from now on the timer's clock, at once.
    ///
    /// # Errors
    ///
    /// As [`set_time`](Self::set_time).
    pub fn set_duration(&mut self, duration: Duration) -> io::Result<()> {
        self.deadline = Some(self.now().saturating_add(duration));
        self.arm()
    }

    /// The time until the deadline, on the timer's clock: zero if it has come, `None` if it was delivered.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_sub(self.now()))
    }

    /// The time on the timer's clock.
    fn now(&self) -> Duration {
        let clock = match self.clock {
            TimerfdClockId::Realtime => ClockId::Realtime,
            _ => ClockId::Boottime,
        };
        Duration::try_from(clock_gettime(clock)).unwrap_or_default()
    }

    fn arm(&mut self) -> io::Result<()> {
        self.changed |= self.settime(self.deadline)?;
        if self.changed {
            // Make the fd readable at once: the callback gets the change, then decides what is next.
            self.settime(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Sets the timer, or turns it off; in both cases it reports when the clock is set. Returns whether the clock was
    /// set since the timer last reported that: even then the kernel sets the timer.
    fn settime(&self, deadline: Option<Duration>) -> io::Result<bool> {
        // Zero turns the timer off.
        let deadline = deadline.map_or(Duration::ZERO, |at| at.max(Duration::from_nanos(1)));
        let farthest = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };
        let it_value = deadline.try_into().unwrap_or(farthest);
        let new = Itimerspec { it_interval: Timespec::default(), it_value };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(self.fd.get_ref(), flags, &new) {
            Ok(_) => Ok(false),
            Err(Errno::CANCELED) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The next event, if there is one.
    fn event(&mut self) -> io::Result<Option<WallEvent>> {
        let mut expirations = [0; 8];
        let heard = heard(rustix::io::read(self.fd.get_ref(), &mut expirations))?;
        let changed = std::mem::take(&mut self.changed);
        Ok(if changed { Some(WallEvent::ClockChanged) } else { heard })
    }
}

/// Interprets a read of the timer. `None`: there was no event.
fn heard(read: Result<usize, Errno>) -> io::Result<Option<WallEvent>> {
    match read {
        Ok(_) => Ok(Some(WallEvent::Fired)),
        Err(Errno::CANCELED) => Ok(Some(WallEvent::ClockChanged)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl EventSource for WallTimer {
    type Event<'a> = WallEvent;
    type Ret = WallAction;
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.fd.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.fd.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.fd.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(WallEvent) -> WallAction,
    {
        if !self.fd.watch.is(token) {
            return Ok(PostAction::Continue);
        }
        let Some(event) = self.event()? else {
            return Ok(PostAction::Continue);
        };
        // Keep the fd readable while the callback runs: if it panics, the event is delivered again.
        self.changed = event == WallEvent::ClockChanged;
        self.arm()?;
        let answer = callback(event);
        self.changed = false;
        if event == WallEvent::Fired {
            self.deadline = None;
        }
        match answer {
            WallAction::Drop => {
                // Also inside a composite, which may go on.
                self.deadline = None;
                self.arm()?;
                return Ok(PostAction::Remove);
            }
            // The kernel forgets an expiry that came with a change of the clock. Setting the timer again brings it back
            // if it is due.
            WallAction::Keep => self.arm()?,
            WallAction::ToTime(deadline) => self.set_time(deadline)?,
            WallAction::ToDuration(duration) => self.set_duration(duration)?,
        }
        Ok(PostAction::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_read_is_a_change_of_the_clock() {
        assert_eq!(heard(Ok(8)).unwrap(), Some(WallEvent::Fired));
        assert_eq!(heard(Err(Errno::CANCELED)).unwrap(), Some(WallEvent::ClockChanged));
        assert_eq!(heard(Err(Errno::AGAIN)).unwrap(), None);
        assert_eq!(heard(Err(Errno::INTR)).unwrap(), None);
        assert_eq!(heard(Err(Errno::BADF)).unwrap_err().raw_os_error(), Some(9));
    }

    #[test]
    fn a_change_seen_while_the_deadline_is_set_is_told_of_at_once() {
        let mut timer = WallTimer::new(SystemTime::now() + Duration::from_secs(3600)).unwrap();
        assert_eq!(timer.event().unwrap(), None);
        timer.changed = true;
        timer.arm().unwrap();
        // The read finds the expiry that made the fd readable; that expiry stands for the change.
        assert_eq!(timer.event().unwrap(), Some(WallEvent::ClockChanged));
        timer.arm().unwrap();
        assert_eq!(timer.event().unwrap(), None, "the deadline stands");
        assert!(timer.remaining() > Some(Duration::from_secs(3500)));
    }
}
