//! Linux: `epoll_ctl(2)` on mio's instance, and `timerfd_create(2)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use super::ALARM;
use crate::clock::Clock;
use crate::registrations::Rearm;
use crate::token::InterestKey;
use crate::{Interest, Mode};

fn flags(interest: Interest, mode: Mode) -> EventFlags {
    let mut flags = EventFlags::empty();
    if interest.readable {
        flags |= EventFlags::IN | EventFlags::RDHUP;
    }
    if interest.writable {
        flags |= EventFlags::OUT;
    }
    if interest.priority {
        flags |= EventFlags::PRI;
    }
    // A hang-up is always reported: level-triggered, an interest in nothing would make the loop spin.
    flags |= match mode {
        Mode::Level if flags.is_empty() => EventFlags::ET,
        Mode::Level => EventFlags::empty(),
        Mode::Edge => EventFlags::ET,
        Mode::OneShot => EventFlags::ONESHOT,
    };
    flags
}

fn data(key: InterestKey) -> EventData {
    EventData::new_u64(key.into_mio().0 as u64)
}

pub(crate) fn add(
    registry: &mio::Registry,
    fd: BorrowedFd<'_>,
    key: InterestKey,
    interest: Interest,
    mode: Mode,
) -> io::Result<Rearm> {
    epoll::add(registry.as_fd(), fd, data(key), flags(interest, mode))?;
    Ok(Rearm::Native)
}

pub(crate) fn modify(
    registry: &mio::Registry,
    fd: BorrowedFd<'_>,
    key: InterestKey,
    interest: Interest,
    mode: Mode,
    _: Rearm,
) -> io::Result<Rearm> {
    match epoll::modify(registry.as_fd(), fd, data(key), flags(interest, mode)) {
        // The number now stands for another file than the one that was registered.
        Err(Errno::NOENT) => add(registry, fd, key, interest, mode),
        result => Ok(result.map(|()| Rearm::Native)?),
    }
}

/// A timerfd that makes the loop's epoll instance ready at a deadline.
///
/// It is registered edge-triggered and never read.
#[derive(Debug)]
pub(crate) struct Alarm {
    fd: OwnedFd,
    /// The clock's epoch on `CLOCK_MONOTONIC`, in nanoseconds.
    epoch: i64,
    /// What it is set to, on the clock's scale; [`Alarm::OFF`] if it is not.
    armed: AtomicI64,
}

impl Alarm {
    const OFF: i64 = i64::MAX;
    /// Whether the alarm wakes the loop at a deadline, to the precision of the kernel's timers.
    pub(crate) const PRECISE: bool = true;

    pub(crate) fn new(registry: &mio::Registry, clock: &Clock) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(
            &mut mio::unix::SourceFd(&fd.as_raw_fd()),
            ALARM,
            mio::Interest::READABLE,
        )?;
        // In this order, so that the alarm is late by the time between the two readings, never early.
        let stamp = clock.stamp(Instant::now());
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
        let epoch = tv_sec * 1_000_000_000 + tv_nsec - stamp;
        Ok(Self { fd, epoch, armed: AtomicI64::new(Self::OFF) })
    }

    /// Sets the alarm to a time on the clock's scale, or turns it off. A system call if that is a change.
    pub(crate) fn set(&self, at: Option<i64>) -> io::Result<()> {
        let at = at.unwrap_or(Self::OFF);
        if self.armed.load(Ordering::Relaxed) == at {
            return Ok(());
        }
        // A time of zero would turn it off; one in the past fires at once.
        let monotonic = at.saturating_add(self.epoch).max(1);
        let it_value = if at == Self::OFF {
            Timespec { tv_sec: 0, tv_nsec: 0 }
        } else {
            Timespec { tv_sec: monotonic / 1_000_000_000, tv_nsec: monotonic % 1_000_000_000 }
        };
        let new = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &new)?;
        self.armed.store(at, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it will tell of `at` by itself.
    #[inline]
    pub(crate) fn is_set_to(&self, at: i64) -> bool {
        self.armed.load(Ordering::Relaxed) == at
    }

    /// Notes that it went off.
    pub(crate) fn fired(&self) {
        self.armed.store(Self::OFF, Ordering::Relaxed);
    }
}
